/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What enrolment pins, in the state folder: enrolment.json and ca.pem. After it,
 * the host talks to this verifier only, by this CA, with this TPM.
 */
#ifndef ASSAY_ATTEST_ENROLMENT_H
#define ASSAY_ATTEST_ENROLMENT_H

#include "attest/ak.h"
#include "attest/ek_kind.h"
#include "protocol/messages.h"

struct enrolment {
	char host_id[HOST_ID_LEN + 1];
	char issuer[ISSUER_MAX + 1];
	char verifier_url[ISSUER_MAX + 1];
	char state[16];            /* as the verifier last said: PENDING or ENROLLED */
	uint8_t ek_sha256[32];     /* of the EK's SubjectPublicKeyInfo: what a host document names */
	struct tpm_name ek_name, ak_name;
	enum ek_kind ek;           /* never EK_AUTO */
	enum ak_kind ak;
	TPM2_HANDLE ak_handle;
	struct buf ca_pem;
};
#define ENROLMENT_INIT { .ca_pem = BUF_INIT(LIMIT_SMALL) }
void enrolment_done(struct enrolment *e);
#define cleanup_enrolment cleanup(enrolment_done)

/* E_LOCAL_NOT_FOUND where the host is not enrolled; E_PEER_* for a damaged file. ret: ENROLMENT_INIT. */
must_check struct err enrolment_read(int state_fd, struct enrolment *ret, struct reason *reterr);
/* CA first, then enrolment.json: whoever reads the second finds the first. */
must_check struct err enrolment_write(int state_fd, const struct enrolment *e);

#endif
