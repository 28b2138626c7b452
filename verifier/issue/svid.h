/* SPDX-License-Identifier: Apache-2.0 */
/*
 * X509-SVIDs: certificates of agents' keys, for TLS in both directions
 * (SPIFFE X509-SVID). Nobody asks the verifier about one before it is
 * believed, so its life is all that bounds it.
 */
#ifndef ASSAY_VERIFIER_SVID_H
#define ASSAY_VERIFIER_SVID_H

#include "base/x509.h"
#include "verifier/issue/dpop.h"
#include "verifier/issue/token.h"

#define SVID_SCOPE "x509-svid"            /* of its row among the credentials, whose audience is the trust domain */
#define SVID_BACK_S 60                    /* notBefore lies so far back, for clocks that are late */
#define SVID_CA_BACK_S 3600
#define SVID_CA_LIFE_S (3650 * (int64_t)86400)
#define SVID_REFRESH_HINT_S 300

/* A self-signed CA for the trust domain and nothing below it but leaves. The caller owns *ret. */
must_check struct err svid_ca_issue(const char *trust_domain, const struct key *key, int64_t now_s, struct cert **ret);
/* Whether c is a CA of the trust domain: its one name, and cA. */
bool svid_ca_fits(const struct cert *c, const char *trust_domain);

/*
 * The trust bundle (SPIFFE Trust Domain and Bundle, 4): a JWK Set with the
 * certificate of each CA. Its sequence is the latest start of one of them, so
 * it rises with each new CA. Appended.
 */
must_check struct err svid_bundle(const struct cert *const *cas, size_t n, struct buf *ret);

/* Form of POST /v1/x509-svid. The caller owns *ret_task. E_PEER_* with *reterr_oauth. */
must_check struct err svid_request_parse(struct bytes form, char **ret_task, struct oauth_error *reterr_oauth);

/* instance_decide(), and the document permits certificates. E_AUTH_REFUSED with *reterr_oauth. */
must_check struct err svid_decide(const struct instance_row *i, uint64_t epoch, const struct document *agent,
				  int64_t now_s, struct oauth_error *reterr_oauth);

/* min(agent document, 900, what is left of verdict, document and CA); 0: nothing may be issued. */
uint64_t svid_ttl(const struct document *agent, int64_t verdict_expires_s, int64_t ca_expires_s, int64_t now_s);

struct svid_spec {
	const char *trust_domain;
	const struct key *ca_key;
	const struct cert *ca;
	int64_t now_s;
	uint64_t ttl_s;
};
/*
 * A certificate for the key that has proved itself, which must be the
 * instance's (E_BUG), and the row to store; its jti is the serial number in
 * hex. The caller owns both.
 */
must_check struct err svid_issue(const struct svid_spec *s, const struct dpop_proof *proof, const struct instance_row *i,
				 uint64_t epoch, const struct document *agent, const char *task_id,
				 struct credential_row *ret_row, struct cert **ret);

#endif
