/* SPDX-License-Identifier: Apache-2.0 */
/* The verdict on an enrolment request: attestation-checks, sections 3 and 4. */
#include "verifier/appraise/enrolment.h"

/* Puts the id of a check in front of a reason. */
static struct err judged(struct err e, const char *id, const struct reason *why, struct reason *reterr)
{
	if (failed(e))
		reason_set(reterr, "%s: %s", id, why->text[0] != '\0' ? why->text : err_text(e));
	return e;
}

static struct err judge_ek(const struct enrol_request *m, struct tpm_public *ret_ek, struct key **ret_key,
			   struct reason *reterr)
{
	struct reason why = { "" };
	struct err e;

	if (!failed(e = tpm_public_parse(buf_bytes(&m->ek_public), ret_ek)))
		e = tpm_check_ek(ret_ek, &why);
	if (!failed(e))
		e = tpm_public_key(ret_ek, ret_key);
	return judged(e, "N4", &why, reterr);
}

static struct err judge_ak(const struct enrol_request *m, struct tpm_name *ret_name, struct reason *reterr)
{
	const uint32_t set = TPMA_RESTRICTED | TPMA_SIGN | TPMA_FIXED_TPM | TPMA_FIXED_PARENT |
			     TPMA_SENSITIVE_DATA_ORIGIN;
	cleanup_key struct key *key = NULL;
	struct reason why = { "" };
	struct tpm_public ak;
	const char *id = "K3";
	struct err e;

	if (failed(e = tpm_public_parse(buf_bytes(&m->ak_public), &ak)))
		return judged(e, id, &why, reterr);
	if ((ak.attributes & set) != set || (ak.attributes & TPMA_DECRYPT) != 0)
		id = "K2";
	if (!failed(e = tpm_check_ak(&ak, &why)))
		e = tpm_public_key(&ak, &key);
	if (failed(e))
		return judged(e, id, &why, reterr);
	return judged(tpm_public_name(&ak, ret_name), "K1", &why, reterr);
}

/* What came beside the leaf. Owned. */
struct sent_chain {
	size_t n;
	struct cert *cert[LIMIT_CHAIN];
};
static void sent_chain_done(struct sent_chain *c)
{
	for (size_t i = 0; i < c->n; i++)
		cert_free(c->cert[i]);
}
#define cleanup_sent_chain cleanup(sent_chain_done)

static struct err read_chain(const struct enrol_request *m, struct sent_chain *ret)
{
	struct err e;

	if (m->n_chain > LIMIT_CHAIN)
		return ERR(E_LIMIT_COUNT);
	for (size_t i = 0; i < m->n_chain; i++) {
		if (failed(e = cert_from_der(buf_bytes(&m->chain[i]), &ret->cert[i], NULL)))
			return e;
		ret->n++;
	}
	return ERR(E_OK);
}

static struct err judge_certificate(const struct enrol_request *m, const struct trust *trust, int64_t now_s,
				    const struct key *ek, struct reason *reterr)
{
	cleanup_sent_chain struct sent_chain chain = { 0 };
	cleanup_cert struct cert *leaf = NULL;
	cleanup_key struct key *key = NULL;
	struct reason why = { "" };
	size_t used;
	struct err e;

	/* NV areas are longer than the certificate in them, and some hosts send them as they are (N6). */
	if (failed(e = cert_from_der(buf_bytes(&m->ek_cert), &leaf, &used)) ||
	    failed(e = read_chain(m, &chain)))
		return judged(e, "N1", &why, reterr);
	if (cert_is_ca(leaf)) {
		reason_set(&why, "certificate \"%s\": a CA certificate is no EK certificate", cert_subject(leaf));
		return judged(ERR(E_AUTH_CERTIFICATE), "N2", &why, reterr);
	}
	if (failed(e = ek_cert_verify(trust, leaf, chain.cert, chain.n, now_s, &why)))
		return judged(e, "N1", &why, reterr);
	if (failed(e = cert_key(leaf, &key)))
		return judged(e, "N3", &why, reterr);
	if (!key_equal(key, ek)) {
		reason_set(&why, "the certificate \"%s\" is for another key than the EK", cert_subject(leaf));
		return judged(ERR(E_AUTH_CERTIFICATE), "N3", &why, reterr);
	}
	return ERR(E_OK);
}

struct err enrolment_judge(const struct enrol_request *m, const struct trust *trust, bool require_certificate,
			   int64_t now_s, struct enrolment *ret, struct reason *reterr)
{
	cleanup_key struct key *ek_key = NULL;
	struct enrolment r = { .has_certificate = m->ek_cert.n > 0 };
	struct tpm_public ek;
	struct err e;

	if (failed(e = judge_ek(m, &ek, &ek_key, reterr)) ||
	    failed(e = judge_ak(m, &r.ak_name, reterr)))
		return e;
	if (require_certificate && !r.has_certificate) {
		reason_set(reterr, "N1: no EK certificate was sent, and this verifier wants one");
		return ERR(E_AUTH_CERTIFICATE);
	}
	if (r.has_certificate && failed(e = judge_certificate(m, trust, now_s, ek_key, reterr)))
		return e;
	if (failed(e = host_id_of(&ek, r.host_id)) ||
	    failed(e = key_spki_sha256(ek_key, r.ek_sha256)))
		return e;
	*ret = r;
	return ERR(E_OK);
}
