/* SPDX-License-Identifier: Apache-2.0 */
/* Form, claims, nonce and quote: each check with evidence that passes but for one thing, signed anew where a TPM signs it. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "tests/support/lab_check.h"

static void test_passes(void **state)
{
	static const enum softtpm_template aks[] = { SOFTTPM_AK_P256, SOFTTPM_AK_P384, SOFTTPM_AK_RSASSA,
						     SOFTTPM_AK_RSAPSS };

	(void)state;
	for (size_t i = 0; i < array_len(aks); i++) {
		cleanup_lab struct lab *l = lab_new(aks[i]);
		cleanup_verdict struct verdict v;

		verdict_init(&v);
		attest(l, NULL, &v);
		passes(&v);
		assert_int_equal(v.n_checks, appraise_n_checks());
		assert_int_equal(v.n_compared, 4);
		assert_int_equal(v.compared_mask, 0xf);
		assert_int_equal(v.n_failures, 0);
		assert_int_equal(v.n_instances, 1);
		assert_true(v.instance[0].usable);
		assert_int_equal(v.instance[0].status, TIER_WARNING);
		assert_true(bytes_eq(v.nonce, BYTES_ARR(l->challenge.nonce)));
		assert_int_equal(v.next.log_offset, l->log.n);
		assert_int_equal(v.next.log_records, l->n_records);
		assert_memory_equal(v.record_digest, l->host->digest, 32);
	}
}

/* Incremental evidence: nothing new, then one record more. */
static void test_goes_on(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	lab_must_pass(l);
	assert_int_equal(l->state.log_records, 2);
	lab_must_pass(l);
	assert_int_equal(l->ev->log.n, 0);
	assert_int_equal(l->ev->n_keys, 0);
	assert_false(l->ev->has_boot);
	(void)lab_start(l, "agt", "image", "model");
	lab_must_pass(l);
	assert_int_equal(l->ev->n_keys, 1);
	assert_int_equal(l->state.n_instances, 2);
	lab_end(l, 0);
	lab_must_pass(l);
	assert_int_equal(l->state.n_instances, 1);
	assert_int_equal(l->state.n_gone, 2);
	lab_end(l, 1);
	lab_must_pass(l);
	assert_int_equal(l->state.n_instances, 0);
}

/* ---- X1: form. */

static void test_X1_bytes(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;
	size_t n;

	(void)state;
	lab_challenge(l);
	lab_evidence(l, NULL);
	n = l->evidence.n;
	assert_false(failed(buf_add_u8(&l->evidence, 0)));
	for (size_t cut = 0; cut <= n + 1; cut += cut < 64 ? 1 : 61) {
		if (cut == n)
			continue;
		verdict_init(&v);
		l->evidence.n = cut;
		appraise_it(l, &v);
		only_failure(&v, "X1");
		assert_false(v.authentic);
		verdict_done(&v);
	}
	verdict_init(&v);
	l->evidence.n = n + 1;
	appraise_it(l, &v);
	only_failure(&v, "X1");
}

static void cut_claims(struct lab *l, struct evidence *ev)
{
	(void)l;
	ev->claims.n--;
}

static void test_X1_claims(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	refused(l, &(struct lab_change){ .evidence = cut_claims }, "X1");
}

static void list_without_claim(struct lab *l, struct evidence *ev)
{
	(void)l;
	ev->has_ima = !ev->has_ima;
}

static void claim_without_list(struct lab *l, struct evidence_claims *c)
{
	(void)l;
	c->has_ima = !c->has_ima;
}

/* An IMA list and the claim where it begins come together, whether a document asks for them or not. */
static void test_X1_ima_list_and_claim(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	refused(l, &(struct lab_change){ .evidence = list_without_claim }, "X1");
	refused(l, &(struct lab_change){ .claims = claim_without_list }, "X1");
}

/* X2: bytes above the cap are not even looked at. */
static void test_X2_size(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;
	static const uint8_t zeros[4096];

	(void)state;
	verdict_init(&v);
	lab_challenge(l);
	lab_evidence(l, NULL);
	while (l->evidence.n <= LIMIT_EVIDENCE)
		assert_false(failed(buf_add(&l->evidence, BYTES_ARR(zeros))));
	appraise_it(l, &v);
	only_failure(&v, "X1");
}

/* ---- Claims. */

static void other_issuer(struct lab *l, struct evidence_claims *c)
{
	(void)l;
	c->issuer = BYTES_LIT("https://verifier.example.net");
}

static void test_L2_issuer(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	refused(l, &(struct lab_change){ .claims = other_issuer }, "L2");
}

static void other_host(struct lab *l, struct evidence_claims *c)
{
	(void)l;
	c->host_id = BYTES_LIT("h-00000000000000000000000000000000");
}

static void test_L3_host(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	refused(l, &(struct lab_change){ .claims = other_host }, "L3");
}

static struct tpm_name a_name;
static void other_ak(struct lab *l, struct evidence_claims *c)
{
	a_name = l->tpm->ak->name;
	a_name.v[a_name.n - 1] ^= 1;
	c->ak_name = tpm_name_bytes(&a_name);
}

static void test_K1_ak_name(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	refused(l, &(struct lab_change){ .claims = other_ak }, "K1");
}

/* ---- L1: the nonce. */

static void test_L1_expired(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	lab_challenge(l);
	lab_evidence(l, NULL);
	l->now_s += NONCE_LIFE_S;
	appraise_it(l, &v);
	only_failure(&v, "L1");
	assert_false(v.authentic);
}

static void test_L1_from_the_future(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	lab_challenge(l);
	lab_evidence(l, NULL);
	l->now_s -= NONCE_SKEW_S + 1;
	appraise_it(l, &v);
	only_failure(&v, "L1");
}

static void test_L1_foreign_key(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	lab_challenge(l);
	lab_evidence(l, NULL);
	l->nonce_key[0] ^= 1;
	appraise_it(l, &v);
	only_failure(&v, "L1");
}

/* A nonce works for the reference values under which it was asked for: a change means a new challenge, not FAILED. */
static void test_L1_policy_moved(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	lab_must_pass(l);
	lab_challenge(l);
	lab_evidence(l, NULL);
	lab_doc_set(l, DOCUMENT_MODEL, "serial", "2");
	appraise_it(l, &v);
	only_failure(&v, "L1");
	assert_false(v.authentic);
	assert_int_equal(v.next.status, HOST_VERIFIED);
}

/* The nonce of another host, in claims that this host signs. */
static void test_L1_other_host(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256), *other = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	lab_challenge(other);
	lab_challenge(l);
	memcpy(l->challenge.nonce, other->challenge.nonce, NONCE_LEN);
	lab_evidence(l, NULL);
	appraise_it(l, &v);
	only_failure(&v, "L1");
}

/* ---- Q1: structure. Signed bytes that are no TPMS_ATTEST. */

static void one_more(struct lab *l, struct buf *b)
{
	(void)l;
	assert_false(failed(buf_add_u8(b, 0)));
}

static void one_less(struct lab *l, struct buf *b)
{
	(void)l;
	assert_false(failed(buf_truncate(b, b->n - 1)));
}

/* Size of the qualified signer, which stands behind magic and type. */
static void size_zero(struct lab *l, struct buf *b)
{
	(void)l;
	b->p[6] = b->p[7] = 0;
}

static void size_plus_one(struct lab *l, struct buf *b)
{
	(void)l;
	b->p[7]++;
}

static void size_largest(struct lab *l, struct buf *b)
{
	(void)l;
	b->p[6] = b->p[7] = 0xff;
}

static void test_Q1_quote(void **state)
{
	static void (*const changes[])(struct lab *, struct buf *) = { one_more, one_less, size_zero, size_plus_one,
									size_largest };

	(void)state;
	for (size_t i = 0; i < array_len(changes); i++) {
		cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

		refused(l, &(struct lab_change){ .quote_bytes = changes[i] }, "Q1");
	}
}

static void test_Q1_signature(void **state)
{
	static void (*const changes[])(struct lab *, struct buf *) = { one_more, one_less };

	(void)state;
	for (size_t i = 0; i < array_len(changes); i++) {
		cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

		refused(l, &(struct lab_change){ .signature = changes[i] }, "Q1");
	}
}

/* ---- Q7: scheme. */

static void sign_again(struct lab *l, struct buf *sig, uint16_t alg, uint16_t hash)
{
	cleanup_buf struct buf copy = BUF_INIT(LIMIT_TPM2B);

	/* The attestation that was signed is still in the draft; a signature of something fits as well here. */
	assert_false(failed(softtpm_sign_as(l->tpm->ak, alg, hash, BYTES_LIT("x"), &copy)));
	buf_clear(sig);
	assert_false(failed(buf_add(sig, buf_bytes(&copy))));
}

static void sha1_signature(struct lab *l, struct buf *sig)
{
	sign_again(l, sig, l->tpm->ak->pub.scheme, TPM_ALG_SHA1);
}

static void sha384_label(struct lab *l, struct buf *sig)
{
	(void)l;
	sig->p[2] = 0;
	sig->p[3] = TPM_ALG_SHA384;
}

static void pss_signature(struct lab *l, struct buf *sig)
{
	sign_again(l, sig, TPM_ALG_RSAPSS, TPM_ALG_SHA256);
}

static void pkcs1_signature(struct lab *l, struct buf *sig)
{
	sign_again(l, sig, TPM_ALG_RSASSA, TPM_ALG_SHA256);
}

static void test_Q7_scheme(void **state)
{
	static const struct {
		enum softtpm_template ak;
		void (*change)(struct lab *, struct buf *);
	} cases[] = {
		{ SOFTTPM_AK_P256, sha1_signature },   { SOFTTPM_AK_RSASSA, sha1_signature },
		{ SOFTTPM_AK_P256, sha384_label },     { SOFTTPM_AK_RSASSA, sha384_label },
		{ SOFTTPM_AK_RSASSA, pss_signature },  { SOFTTPM_AK_RSAPSS, pkcs1_signature },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_lab struct lab *l = lab_new(cases[i].ak);

		refused(l, &(struct lab_change){ .signature = cases[i].change }, "Q7");
	}
}

/* ---- Q6, Q8: signature. */

static size_t flip_at;
static void flip_byte(struct lab *l, struct buf *sig)
{
	(void)l;
	if (flip_at < sig->n)
		sig->p[flip_at] ^= 1;
}

static void test_Q6_each_byte(void **state)
{
	static const enum softtpm_template aks[] = { SOFTTPM_AK_P256, SOFTTPM_AK_RSASSA, SOFTTPM_AK_RSAPSS };

	(void)state;
	for (size_t k = 0; k < array_len(aks); k++) {
		cleanup_lab struct lab *l = lab_new(aks[k]);
		size_t n = aks[k] == SOFTTPM_AK_P256 ? 4 + 2 + 32 + 2 + 32 : 4 + 2 + 256;

		for (flip_at = 4; flip_at < n; flip_at++) {
			cleanup_verdict struct verdict v;
			const char *id;

			verdict_init(&v);
			attest(l, &(struct lab_change){ .signature = flip_byte }, &v);
			assert_false(verdict_passed(&v));
			assert_false(v.authentic);
			id = verdict_first_failure(&v);
			/* A size that is wrong is the structure's fault. */
			assert_true(strcmp(id, "Q6") == 0 || strcmp(id, "Q1") == 0);
		}
	}
}

static void test_Q6_K5_other_tpm(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256), *other = lab_new(SOFTTPM_AK_P256);

	(void)state;
	refused(l, &(struct lab_change){ .signer = other->tpm->ak }, "Q6");
}

static const uint8_t p256_n[32] = {
	0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
};
static void r_zero(struct lab *l, struct buf *sig)
{
	(void)l;
	memset(sig->p + 6, 0, 32);
}
static void s_zero(struct lab *l, struct buf *sig)
{
	(void)l;
	memset(sig->p + 40, 0, 32);
}
static void r_n(struct lab *l, struct buf *sig)
{
	(void)l;
	memcpy(sig->p + 6, p256_n, 32);
}
static void s_n(struct lab *l, struct buf *sig)
{
	(void)l;
	memcpy(sig->p + 40, p256_n, 32);
}

/* r with a byte before it, which changes nothing of the number. */
static void r_long(struct lab *l, struct buf *sig)
{
	uint8_t s[34];

	(void)l;
	memcpy(s, sig->p + 38, sizeof(s));
	assert_false(failed(buf_add_u8(sig, 0)));
	memmove(sig->p + 7, sig->p + 6, 32);
	sig->p[5] = 33;
	sig->p[6] = 0;
	memcpy(sig->p + 39, s, sizeof(s));
}

static void test_Q8_range(void **state)
{
	static void (*const changes[])(struct lab *, struct buf *) = { r_zero, s_zero, r_n, s_n, r_long };

	(void)state;
	for (size_t i = 0; i < array_len(changes); i++) {
		cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

		refused(l, &(struct lab_change){ .signature = changes[i] }, "Q6");
	}
}

static unsigned n_shortened;
static void shorten_r(struct lab *l, struct buf *sig)
{
	(void)l;
	if (sig->p[6] != 0)
		return;
	memmove(sig->p + 6, sig->p + 7, sig->n - 7);
	sig->p[5] = 31;
	assert_false(failed(buf_truncate(sig, sig->n - 1)));
	n_shortened++;
}

/* Good signatures pass whatever their numbers are; some TPMs drop leading zeros. */
static void test_Q8_short_numbers(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	for (unsigned i = 0; i < 1000 || n_shortened == 0; i++)
		accepted(l, &(struct lab_change){ .signature = shorten_r });
}

/* ---- Q2, Q3. */

static void other_magic(struct lab *l, struct tpm_attest *a)
{
	(void)l;
	a->magic ^= 1;
}

static void test_Q2_magic(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	refused(l, &(struct lab_change){ .quote = other_magic }, "Q2");
}

static uint16_t a_type;
static void other_type(struct lab *l, struct tpm_attest *a)
{
	(void)l;
	a->type = a_type;
	a->name = tpm_name_bytes(&l->tpm->null_primary->name);
	a->qualified_name = tpm_name_bytes(&l->tpm->null_primary->qualified_name);
}

static void test_Q3_type(void **state)
{
	/* NV, command audit, session audit, certify, time, creation, NV digest */
	static const uint16_t types[] = { 0x8014, 0x8015, 0x8016, 0x8017, 0x8019, 0x801a, 0x801c };

	(void)state;
	for (size_t i = 0; i < array_len(types); i++) {
		cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

		a_type = types[i];
		refused(l, &(struct lab_change){ .quote = other_type, .body = BYTES_LIT("body") }, "Q3");
	}
}

/* ---- Q10: extra data. */

static uint8_t extra[80];
static size_t extra_n;
static void other_extra(struct lab *l, struct tpm_attest *a)
{
	(void)l;
	memcpy(extra, a->extra_data.p, 32);
	if (extra_n == 99)
		extra[7] ^= 0x20;
	a->extra_data = BYTES(extra, extra_n == 99 ? 32 : extra_n);
}

static void test_Q10_extra_data(void **state)
{
	/* shorter by one, one zero more, empty, one bit */
	static const size_t lengths[] = { 31, 33, 0, 99 };

	(void)state;
	for (size_t i = 0; i < array_len(lengths); i++) {
		cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

		memset(extra, 0, sizeof(extra));
		extra_n = lengths[i];
		refused(l, &(struct lab_change){ .quote = other_extra }, "Q10");
	}
}

static void text_extra(struct lab *l, struct tpm_attest *a)
{
	(void)l;
	assert_false(failed(hex_encode(a->extra_data, (char *)extra, sizeof(extra))));
	a->extra_data = BYTES(extra, 64);
}

static void test_Q10_text(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	refused(l, &(struct lab_change){ .quote = text_extra }, "Q10");
}

/* A byte of the claims after the quote covered them: the log offset that is claimed, say. */
static void claims_behind(struct lab *l, struct evidence *ev)
{
	static uint8_t copy[LIMIT_SMALL];

	(void)l;
	memcpy(copy, ev->claims.p, ev->claims.n);
	ev->claims.p = copy;
	/* The boot id: 32 bytes behind key 4. */
	for (size_t i = 0; i + 34 < ev->claims.n; i++) {
		if (copy[i] == 0x04 && copy[i + 1] == 0x58 && copy[i + 2] == 0x20) {
			copy[i + 3] ^= 1;
			return;
		}
	}
	fail();
}

static void test_Q10_claims_changed(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	refused(l, &(struct lab_change){ .evidence = claims_behind }, "Q10");
}

/* ---- Q4, Q5: selection. */

static struct pcr_selection selection_of(uint16_t alg, uint32_t mask)
{
	return (struct pcr_selection){ .n = 1, .bank = { { alg, mask } } };
}

static void test_Q4_signed(void **state)
{
	const uint32_t want = 0xf | 1u << WORKLOAD_PCR;
	struct pcr_selection cases[] = {
		selection_of(TPM_ALG_SHA256, 0),
		selection_of(TPM_ALG_SHA256, want & ~2u),
		selection_of(TPM_ALG_SHA256, want | 1u << 9),
		selection_of(TPM_ALG_SHA256, 1u << 23),
		selection_of(TPM_ALG_SHA1, want),
		selection_of(TPM_ALG_SHA384, want), /* a bank that is off: the TPM quotes nothing of it, and says so */
		{ .n = 0 },
		{ .n = 2, .bank = { { TPM_ALG_SHA256, want }, { TPM_ALG_SHA1, 0 } } },
		{ .n = 2, .bank = { { TPM_ALG_SHA1, want }, { TPM_ALG_SHA256, want } } },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

		refused(l, &(struct lab_change){ .quoted = &cases[i] }, "Q4");
	}
}

static void claim_selection(struct lab *l, struct evidence_claims *c)
{
	(void)l;
	c->selection.bank[0].mask ^= 1u << 3;
}

static void test_Q4_claimed(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	refused(l, &(struct lab_change){ .claims = claim_selection }, "Q4");
}

/* Claims and quote agree with each other, but not with what was asked. */
static void test_Q5_claimed_and_signed(void **state)
{
	struct pcr_selection less = selection_of(TPM_ALG_SHA256, 0x7 | 1u << WORKLOAD_PCR);
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	refused(l, &(struct lab_change){ .claims = claim_selection, .quoted = &less }, "Q4");
}

/* ---- Q11: values. */

static void swap_values(struct lab *l, struct evidence *ev)
{
	struct bytes first = ev->pcr[0];

	(void)l;
	ev->pcr[0] = ev->pcr[1];
	ev->pcr[1] = first;
}

static void short_value(struct lab *l, struct evidence *ev)
{
	(void)l;
	ev->pcr[2].n = 20;
}

static void value_less(struct lab *l, struct evidence *ev)
{
	(void)l;
	ev->n_pcrs--;
}

static void value_more(struct lab *l, struct evidence *ev)
{
	(void)l;
	ev->pcr[ev->n_pcrs] = ev->pcr[0];
	ev->n_pcrs++;
}

static void test_Q11_values(void **state)
{
	static void (*const changes[])(struct lab *, struct evidence *) = { swap_values, short_value, value_less,
									     value_more };

	(void)state;
	for (size_t i = 0; i < array_len(changes); i++) {
		cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

		refused(l, &(struct lab_change){ .evidence = changes[i] }, "Q11");
	}
}

static struct digest a_digest;
static void digest_of_the_bank(struct lab *l, struct tpm_attest *a)
{
	struct pcr_selection s;
	struct digest values[LIMIT_BANKS * LIMIT_PCRS];
	size_t n;

	softtpm_pcr_read(l->tpm, &l->challenge.selection, &s, values, &n);
	assert_false(failed(tpm_pcr_digest(DIGEST_SHA256, n, values, &a_digest)));
	a->pcr_digest = digest_bytes(&a_digest);
}

/* The hash is that of the signing scheme (SHA-384 here), not that of the bank. */
static void test_Q11_hash(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P384);

	(void)state;
	refused(l, &(struct lab_change){ .quote = digest_of_the_bank }, "Q11");
}

/* ---- Q14, Q15, Q16. */

static struct tpm_name a_qualified_name;
static uint32_t a_hierarchy;
static void other_signer(struct lab *l, struct tpm_attest *a)
{
	assert_false(failed(tpm_qualified_name_primary(a_hierarchy, &l->tpm->ak->name, &a_qualified_name)));
	a->qualified_signer = tpm_name_bytes(&a_qualified_name);
}

static void test_Q14_K4_hierarchy(void **state)
{
	static const uint32_t hierarchies[] = { TPM_RH_OWNER, TPM_RH_NULL };

	(void)state;
	for (size_t i = 0; i < array_len(hierarchies); i++) {
		cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

		a_hierarchy = hierarchies[i];
		refused(l, &(struct lab_change){ .quote = other_signer }, "Q14");
	}
}

static void signer_of_another_key(struct lab *l, struct tpm_attest *a)
{
	a->qualified_signer = tpm_name_bytes(&l->tpm->ek->qualified_name);
}

static void signer_with_another_algorithm(struct lab *l, struct tpm_attest *a)
{
	a_qualified_name = l->tpm->ak->qualified_name;
	a_qualified_name.v[1] = TPM_ALG_SHA384;
	a->qualified_signer = tpm_name_bytes(&a_qualified_name);
}

static void signer_cut(struct lab *l, struct tpm_attest *a)
{
	(void)l;
	a->qualified_signer.n--;
}

static void test_Q14_signer(void **state)
{
	static void (*const changes[])(struct lab *, struct tpm_attest *) = { signer_of_another_key,
									       signer_with_another_algorithm, signer_cut };

	(void)state;
	for (size_t i = 0; i < array_len(changes); i++) {
		cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

		refused(l, &(struct lab_change){ .quote = changes[i] }, "Q14");
	}
}

/* A fourth byte in the bitmap: the same registers, written as we never ask for them. */
static void wide_bitmap(struct lab *l, struct buf *b)
{
	size_t size_at = b->n - 34 - 4;

	(void)l;
	assert_int_equal(b->p[size_at], 3);
	assert_false(failed(buf_add_u8(b, 0)));
	memmove(b->p + size_at + 5, b->p + size_at + 4, 34);
	b->p[size_at] = 4;
	b->p[size_at + 4] = 0;
}

static void test_Q16_whole(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	refused(l, &(struct lab_change){ .quote_bytes = wide_bitmap }, "Q16");
}

static void test_Q15_firmware(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	lab_must_pass(l);
	l->tpm->firmware_version++;
	attest(l, NULL, &v);
	only_failure(&v, "Q15");
	assert_int_equal(v.status, HOST_FAILED);
	lab_store(l, &v);
	/* Whole evidence is looked at as a whole, and carries the warning once. */
	verdict_done(&v);
	attest(l, NULL, &v);
	passes(&v);
	assert_true(v.firmware_changed);
	assert_int_equal(trust_vector_tier(&v.platform), TIER_WARNING);
	lab_store(l, &v);
	verdict_done(&v);
	attest(l, NULL, &v);
	passes(&v);
	assert_false(v.firmware_changed);
	assert_int_equal(trust_vector_tier(&v.platform), TIER_AFFIRMING);
}

/* ---- Nobody can fail a host from outside; whoever signed can. */

static void test_strangers_change_nothing(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256), *other = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	lab_must_pass(l);
	attest(l, &(struct lab_change){ .signer = other->tpm->ak }, &v);
	assert_false(v.authentic);
	assert_int_equal(v.status, HOST_VERIFIED);
	assert_int_equal(v.nonce.n, 0);
	lab_store(l, &v);
	assert_int_equal(l->state.status, HOST_VERIFIED);
	lab_must_pass(l);
}

/* V3: FAILED until a full verification; the next challenge asks for everything. */
static void test_V3_failed_wants_everything(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	lab_must_pass(l);
	attest(l, &(struct lab_change){ .evidence = swap_values }, &v);
	assert_true(v.authentic);
	assert_int_equal(v.status, HOST_FAILED);
	lab_store(l, &v);
	assert_int_equal(l->state.status, HOST_FAILED);
	lab_challenge(l);
	assert_false(l->challenge.boot_known);
	assert_int_equal(l->challenge.log_offset, 0);
	assert_int_equal(l->challenge.n_known, 0);
	lab_must_pass(l);
	assert_int_equal(l->state.status, HOST_VERIFIED);
}

static void test_unsigned_host(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	char id[HOST_ID_LEN + 1] = "";

	(void)state;
	lab_challenge(l);
	lab_evidence(l, NULL);
	assert_false(failed(appraise_unsigned_host(buf_bytes(&l->evidence), id)));
	assert_string_equal(id, l->host->id);
	id[0] = '\0';
	assert_true(failed(appraise_unsigned_host(BYTES(l->evidence.p, l->evidence.n - 1), id)));
	assert_string_equal(id, "");
}

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < appraise_n_checks(); i++) {
		const struct check_info c = appraise_check(i);

		assert_true(id_valid(bytes_str(c.id)) && strlen(c.id) < sizeof(((struct attest_failure *)0)->check));
		assert_true(c.name[0] != '\0');
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(c.id, appraise_check(j).id);
		/* Never those on quote, key, enrolment, certification and clock. */
		if (c.waivable)
			assert_true(strncmp(c.id, "W", 1) == 0 || strncmp(c.id, "P-", 2) == 0);
	}
	assert_string_equal(appraise_check(appraise_n_checks()).id, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_passes),
		cmocka_unit_test(test_goes_on),
		cmocka_unit_test(test_X1_bytes),
		cmocka_unit_test(test_X1_claims),
		cmocka_unit_test(test_X1_ima_list_and_claim),
		cmocka_unit_test(test_X2_size),
		cmocka_unit_test(test_L2_issuer),
		cmocka_unit_test(test_L3_host),
		cmocka_unit_test(test_K1_ak_name),
		cmocka_unit_test(test_L1_expired),
		cmocka_unit_test(test_L1_from_the_future),
		cmocka_unit_test(test_L1_foreign_key),
		cmocka_unit_test(test_L1_policy_moved),
		cmocka_unit_test(test_L1_other_host),
		cmocka_unit_test(test_Q1_quote),
		cmocka_unit_test(test_Q1_signature),
		cmocka_unit_test(test_Q7_scheme),
		cmocka_unit_test(test_Q6_each_byte),
		cmocka_unit_test(test_Q6_K5_other_tpm),
		cmocka_unit_test(test_Q8_range),
		cmocka_unit_test(test_Q8_short_numbers),
		cmocka_unit_test(test_Q2_magic),
		cmocka_unit_test(test_Q3_type),
		cmocka_unit_test(test_Q10_extra_data),
		cmocka_unit_test(test_Q10_text),
		cmocka_unit_test(test_Q10_claims_changed),
		cmocka_unit_test(test_Q4_signed),
		cmocka_unit_test(test_Q4_claimed),
		cmocka_unit_test(test_Q5_claimed_and_signed),
		cmocka_unit_test(test_Q11_values),
		cmocka_unit_test(test_Q11_hash),
		cmocka_unit_test(test_Q14_K4_hierarchy),
		cmocka_unit_test(test_Q14_signer),
		cmocka_unit_test(test_Q16_whole),
		cmocka_unit_test(test_Q15_firmware),
		cmocka_unit_test(test_strangers_change_nothing),
		cmocka_unit_test(test_V3_failed_wants_everything),
		cmocka_unit_test(test_unsigned_host),
		cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests_name("appraise", tests, NULL, NULL);
}
