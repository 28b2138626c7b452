/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verifier's routes that a host uses, without policy: evidence is checked for
 * holding together, and the test says what the verdict is.
 */
#ifndef ASSAY_TESTS_SUPPORT_FAKE_VERIFIER_H
#define ASSAY_TESTS_SUPPORT_FAKE_VERIFIER_H

#include "tests/support/evidence_check.h"
#include "tests/support/http_server.h"

struct fake_verifier {
	struct http_server server;
	struct http_ca ca;
	struct evidence_check check;
	struct challenge *challenge;         /* the last one */
	char host_id[HOST_ID_LEN + 1];
	uint8_t secret[32];

	/* What the test wants; read with the server's lock held. */
	const char *state;                   /* of the host: "VERIFIED" */
	const char *status;                  /* of each instance: "warning" */
	bool fail_on_change;                 /* FAILED, and that instance contraindicated, once a change was seen */
	unsigned life_s;
	unsigned n_retry;                    /* so many attestations get 409 E_AUTH_RETRY first */
	unsigned n_unavailable;              /* so many requests get 503 first, or the next status */
	unsigned unavailable;                /* 0: 503 */
	const char *issuer;                  /* NULL: the server's URL */

	/* What happened. */
	unsigned n_enrolled, n_challenges, n_attested, n_tokens;
	struct reason why;                   /* of the first thing that did not hold together */
	unsigned n_start, n_end, n_changed;  /* events seen, each once */
	bool changed;
	uint64_t n_counted;                  /* records of this boot that were counted */
	struct tpm_name counted_boot;
	char jkt[44];                        /* of the last token's proof */
	char form[1024];                     /* of the last token request */
};

void fake_verifier_start(struct fake_verifier *v);
void fake_verifier_stop(struct fake_verifier *v);
/* Reads or writes of a counter or wish while the server runs. */
#define FAKE_VERIFIER_WITH(v, statement)                            \
	do {                                                        \
		(void)pthread_mutex_lock(&(v)->server.lock);        \
		statement;                                          \
		(void)pthread_mutex_unlock(&(v)->server.lock);      \
	} while (0)

#endif
