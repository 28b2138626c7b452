/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Judging an enrolment (N1-N8, K1-K4, N12): pure. Step one stores nothing:
 * the secret that the TPM must release is derived from a server key and the
 * session, and the session is authenticated.
 */
#ifndef ASSAY_VERIFIER_ENROLMENT_H
#define ASSAY_VERIFIER_ENROLMENT_H

#include "base/x509.h"
#include "protocol/messages.h"

#define ENROL_SESSION_LIFE_S 120
#define ENROL_SESSION_ID_LEN 16

/* What follows from a request that is in order. */
struct enrolment {
	char host_id[HOST_ID_LEN + 1];
	uint8_t ek_sha256[32];
	struct tpm_name ak_name;
	bool has_certificate;             /* chain verified; false: no certificate came, which only the verifier's configuration may allow */
};

/*
 * Certificate chain up to an anchor, EKU, CA:FALSE, key of the certificate
 * equal to the EK, EK template, AK attributes and Name. require_certificate:
 * refuse a request without one. E_AUTH_CERTIFICATE, E_PEER_*, E_LIMIT_*; the
 * reason begins with the id of the check ("N3: ..."), where N1 stands for all
 * that ek_cert_verify() looks at (N1, N2, N5) but for a CA as EK (N2).
 */
must_check struct err enrolment_judge(const struct enrol_request *m, const struct trust *trust,
				      bool require_certificate, int64_t now_s, struct enrolment *ret,
				      struct reason *reterr);

/*
 * Step one: a session for this request and the credential for its AK, into
 * buffers of *ret as enrol_challenge_init() leaves them. e is what
 * enrolment_judge() said of m. key: 32 bytes. random: 16 bytes, the session's
 * id. E_PEER_UNSUPPORTED, E_LOCAL_*.
 */
must_check struct err enrolment_challenge(const struct enrol_request *m, const struct enrolment *e,
					  const uint8_t key[32], int64_t now_s, const uint8_t random[16],
					  struct enrol_challenge *ret);

/*
 * Step two: session ours, live and for this very request; secret right, in
 * constant time. e is what enrolment_judge() says of the request that came
 * again. *ret_session_id is set and *ret_session_valid true as soon as the
 * session is ours and live, so that the caller can record its use also when
 * the secret is wrong (N9). E_AUTH_NONCE, E_AUTH_REFUSED.
 */
must_check struct err enrolment_activate(const struct enrol_activation *m, const struct enrolment *e,
					 const uint8_t key[32], int64_t now_s,
					 uint8_t ret_session_id[ENROL_SESSION_ID_LEN], bool *ret_session_valid,
					 struct reason *reterr);

#endif
