/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host as verbs see it: state folder, enrolment, and visits to the TPM.
 *
 * A visit holds the writer lock and the one connection to the TPM from beginning
 * to end. It is short: no network and no digesting of images and models inside.
 */
#ifndef ASSAY_ATTEST_HOST_H
#define ASSAY_ATTEST_HOST_H

#include "attest/client.h"
#include "attest/conf.h"
#include "attest/ek.h"
#include "attest/enrolment.h"
#include "attest/instance.h"
#include "attest/measure.h"
#include "attest/workload.h"

struct host {
	const struct conf *conf; /* borrowed */
	struct reason why;       /* of the last failure */
	int state_fd;
	bool enrolled;
	struct enrolment enrolment;
	struct buf owner_auth, endorsement_auth;
};
#define HOST_INIT                                                                                    \
	{                                                                                            \
		.state_fd = -1, .enrolment = ENROLMENT_INIT, .owner_auth = BUF_INIT(256),            \
		.endorsement_auth = BUF_INIT(256)                                                    \
	}
void host_done(struct host *h);
#define cleanup_host cleanup(host_done)

/*
 * Makes the state folder 0700 where it is absent, refuses one that others can
 * open (E_LOCAL_PERMISSION), reads the enrolment where there is one, and the
 * hierarchies' passwords. ret: HOST_INIT; conf lives as long.
 */
must_check struct err host_open(const struct conf *conf, struct host *ret);
/* E_LOCAL_NOT_FOUND where the host is not enrolled. */
must_check struct err host_need_enrolment(struct host *h);

/* Reads the enrolment again, which another process may have replaced; for those that live long. E_LOCAL_NOT_FOUND. */
must_check struct err host_read_enrolment(struct host *h);

/* Lock and TPM. */
struct visit {
	struct host *host; /* borrowed */
	int lock_fd;
	struct tpm *tpm;
	struct boot boot;
	struct workload workload;
};
#define VISIT_INIT { .lock_fd = -1, .boot = BOOT_INIT, .workload = WORKLOAD_INIT }
void visit_done(struct visit *v);
#define cleanup_visit cleanup(visit_done)

/* Takes the lock and opens the TPM. */
must_check struct err visit_begin(struct host *h, struct visit *ret);
/*
 * The same, then boot and workload log; ends instances whose `run` died, and
 * removes what is left of others. For enrolled hosts.
 */
must_check struct err visit_begin_log(struct host *h, struct visit *ret);

/* A session salted with the enrolled EK, and the enrolled AK. */
must_check struct err visit_session(struct visit *v, struct tpm_handle *ret);
must_check struct err visit_ak(struct visit *v, struct ak *ret);

/* Extends `end` for a live instance and removes its folder; nothing for another. */
must_check struct err visit_end_instance(struct visit *v, const uint8_t id[INSTANCE_ID_LEN]);

/* A connection to the pinned verifier. */
must_check struct err host_client(struct host *h, struct client *ret);

#endif
