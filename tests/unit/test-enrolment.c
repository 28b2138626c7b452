/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/appraise/enrolment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "tests/support/softtpm.h"
#include "verifier/appraise/host.h"

#define YEAR_S (365 * 86400)

static const uint8_t key[32] = { 3 }, random_bytes_16[16] = { 9, 9, 9 };

/* A TPM, the trust that its certificate needs, and the request that is made of it. */
struct office {
	struct softtpm_ca *ca;
	struct softtpm *tpm;
	struct trust *trust;
	struct enrol_request request;
	int64_t now_s;
};

static void put(struct buf *to, struct bytes b)
{
	buf_clear(to);
	assert_false(failed(buf_add(to, b)));
}

static void fill(struct office *o)
{
	put(&o->request.ek_public, buf_bytes(&o->tpm->ek->area));
	put(&o->request.ak_public, buf_bytes(&o->tpm->ak->area));
	put(&o->request.ek_cert, cert_der(o->tpm->ek_cert));
	put(&o->request.chain[0], cert_der(o->ca->issuer));
	o->request.n_chain = 1;
}

static struct office *office_new(enum softtpm_template ek, enum softtpm_template ak)
{
	struct office *o = calloc(1, sizeof(*o));
	struct softtpm_options opt = { .ek = ek, .ak = ak };

	assert_non_null(o);
	o->now_s = clock_now_s();
	enrol_request_init(&o->request);
	assert_false(failed(softtpm_ca_new(&o->ca)));
	opt.ca = o->ca;
	assert_false(failed(softtpm_new(&opt, &o->tpm)));
	assert_false(failed(trust_new(&o->trust)));
	assert_false(failed(trust_add(o->trust, o->ca->root)));
	fill(o);
	return o;
}

static void office_free(struct office *o)
{
	enrol_request_done(&o->request);
	trust_free(o->trust);
	softtpm_free(o->tpm);
	softtpm_ca_free(o->ca);
	free(o);
}
DEFINE_CLEANUP(struct office, cleanup_office_, office_free)
#define cleanup_office cleanup(cleanup_office_)

static void judge(struct office *o, enum err_code want, const char *id)
{
	struct enrolment en;
	struct reason why = { "" };
	struct err e;

	memset(&en, 0xee, sizeof(en));
	e = enrolment_judge(&o->request, o->trust, true, o->now_s, &en, &why);
	if (e.code != want)
		fail_msg("%s instead of %s (%s)", err_name(e), err_name(ERR(want)), why.text);
	if (want == E_OK)
		return;
	if (strncmp(why.text, id, strlen(id)) != 0 || why.text[strlen(id)] != ':')
		fail_msg("\"%s\" does not begin with %s", why.text, id);
	assert_int_equal(en.ek_sha256[0], 0xee);
}

static void test_accepts(void **state)
{
	static const enum softtpm_template eks[] = { SOFTTPM_EK_RSA2048, SOFTTPM_EK_P256, SOFTTPM_EK_P384 };

	(void)state;
	for (size_t i = 0; i < array_len(eks); i++) {
		cleanup_office struct office *o = office_new(eks[i], SOFTTPM_AK_P256);
		struct enrolment en;
		char id[HOST_ID_LEN + 1];
		uint8_t sum[32];

		assert_false(failed(enrolment_judge(&o->request, o->trust, true, o->now_s, &en, NULL)));
		assert_false(failed(host_id_of(&o->tpm->ek->pub, id)));
		assert_false(failed(key_spki_sha256(o->tpm->ek->key, sum)));
		assert_string_equal(en.host_id, id);
		assert_memory_equal(en.ek_sha256, sum, 32);
		assert_true(bytes_eq(tpm_name_bytes(&en.ak_name), tpm_name_bytes(&o->tpm->ak->name)));
		assert_true(en.has_certificate);
	}
}

/* ---- N1, N2: the certificate. */

static void test_N1_without_certificate(void **state)
{
	cleanup_office struct office *o = office_new(SOFTTPM_EK_P256, SOFTTPM_AK_P256);
	struct enrolment en;

	(void)state;
	buf_clear(&o->request.ek_cert);
	judge(o, E_AUTH_CERTIFICATE, "N1");
	/* The verifier's own configuration may allow it; then it is known that there was none. */
	assert_false(failed(enrolment_judge(&o->request, o->trust, false, o->now_s, &en, NULL)));
	assert_false(en.has_certificate);
}

/* One that came is judged, also where none is wanted. */
static void test_N1_bad_certificate_where_none_is_wanted(void **state)
{
	cleanup_office struct office *o = office_new(SOFTTPM_EK_P256, SOFTTPM_AK_P256);
	struct enrolment en;

	(void)state;
	o->request.ek_cert.p[o->request.ek_cert.n - 1] ^= 1;
	assert_int_equal(enrolment_judge(&o->request, o->trust, false, o->now_s, &en, NULL).code, E_AUTH_CERTIFICATE);
}

static void test_N1_missing_intermediate(void **state)
{
	cleanup_office struct office *o = office_new(SOFTTPM_EK_P256, SOFTTPM_AK_P256);

	(void)state;
	o->request.n_chain = 0;
	judge(o, E_AUTH_CERTIFICATE, "N1");
	/* Configured instead of sent. */
	assert_false(failed(trust_add(o->trust, o->ca->issuer)));
	judge(o, E_OK, "");
}

static void test_N1_foreign_ca(void **state)
{
	cleanup_office struct office *o = office_new(SOFTTPM_EK_P256, SOFTTPM_AK_P256);
	cleanup_office struct office *other = office_new(SOFTTPM_EK_P256, SOFTTPM_AK_P256);
	struct trust *t = take_ptr(&o->trust);

	(void)state;
	/* The issuers have the same names; only the signatures differ. */
	o->trust = take_ptr(&other->trust);
	other->trust = t;
	judge(o, E_AUTH_CERTIFICATE, "N1");
}

static void test_N1_dates(void **state)
{
	cleanup_office struct office *o = office_new(SOFTTPM_EK_P256, SOFTTPM_AK_P256);

	(void)state;
	o->now_s += 20LL * YEAR_S;
	judge(o, E_AUTH_CERTIFICATE, "N1");
	o->now_s -= 40LL * YEAR_S;
	judge(o, E_AUTH_CERTIFICATE, "N1");
}

static void issue(struct office *o, const struct cert_spec *spec, const struct key *subject)
{
	cleanup_cert struct cert *c = NULL;
	struct cert_spec s = *spec;

	s.common_name = "unknown";
	s.not_before_s = o->now_s - 60;
	s.not_after_s = o->now_s + YEAR_S;
	assert_false(failed(cert_issue(&s, subject, o->ca->issuer, o->ca->issuer_key, &c)));
	put(&o->request.ek_cert, cert_der(c));
}

static void test_N2_ca_as_ek(void **state)
{
	static const char *const eku[] = { "2.23.133.8.1" };
	cleanup_office struct office *o = office_new(SOFTTPM_EK_P256, SOFTTPM_AK_P256);

	(void)state;
	issue(o, &(struct cert_spec){ .ca = true, .path_len = -1, .tpm_san = true, .eku_oids = eku, .n_eku_oids = 1 },
	      o->tpm->ek->key);
	judge(o, E_AUTH_CERTIFICATE, "N2");
	put(&o->request.ek_cert, cert_der(o->ca->issuer));
	judge(o, E_AUTH_CERTIFICATE, "N2");
}

static void test_N2_usage(void **state)
{
	static const char *const platform[] = { "2.23.133.8.2" };
	cleanup_office struct office *o = office_new(SOFTTPM_EK_P256, SOFTTPM_AK_P256);

	(void)state;
	issue(o, &(struct cert_spec){ .tpm_san = true }, o->tpm->ek->key);
	judge(o, E_AUTH_CERTIFICATE, "N1");
	issue(o, &(struct cert_spec){ .tpm_san = true, .eku_oids = platform, .n_eku_oids = 1 }, o->tpm->ek->key);
	judge(o, E_AUTH_CERTIFICATE, "N1");
}

static void test_N3_certificate_of_another_tpm(void **state)
{
	cleanup_office struct office *o = office_new(SOFTTPM_EK_P256, SOFTTPM_AK_P256);
	cleanup_softtpm struct softtpm *other = NULL;
	const struct softtpm_options opt = { .ek = SOFTTPM_EK_P256, .ak = SOFTTPM_AK_P256, .ca = o->ca };

	(void)state;
	assert_false(failed(softtpm_new(&opt, &other)));
	put(&o->request.ek_cert, cert_der(other->ek_cert));
	judge(o, E_AUTH_CERTIFICATE, "N3");
	put(&o->request.ek_cert, cert_der(o->tpm->ek_cert));
	put(&o->request.ek_public, buf_bytes(&other->ek->area));
	judge(o, E_AUTH_CERTIFICATE, "N3");
}

/* N6: NV areas are longer than what is in them; the bytes of the certificate are verified as they came. */
static void test_N6_padding(void **state)
{
	cleanup_office struct office *o = office_new(SOFTTPM_EK_P256, SOFTTPM_AK_P256);

	(void)state;
	for (unsigned i = 0; i < 16; i++)
		assert_false(failed(buf_add_u8(&o->request.ek_cert, 0xff)));
	judge(o, E_OK, "");
}

static void test_N12_caps(void **state)
{
	cleanup_office struct office *o = office_new(SOFTTPM_EK_P256, SOFTTPM_AK_P256);
	static const uint8_t zeros[LIMIT_CERT + 8] = { 0x30, 0x82, 0x20, 0x01 };

	(void)state;
	o->request.ek_cert.max = sizeof(zeros);
	put(&o->request.ek_cert, BYTES_ARR(zeros));
	judge(o, E_LIMIT_SIZE, "N1");
	fill(o);
	o->request.n_chain = LIMIT_CHAIN + 1;
	judge(o, E_LIMIT_COUNT, "N1");
	o->request.n_chain = 1;
	put(&o->request.chain[0], BYTES_LIT("no certificate"));
	judge(o, E_PEER_SYNTAX, "N1");
}

/* ---- N4, K2, K3: public areas. */

static void use_key(struct office *o, const struct softtpm_spec *spec, struct buf *to)
{
	cleanup_softtpm_key struct softtpm_key *k = NULL;

	(void)o;
	assert_false(failed(softtpm_key_new(spec, &k)));
	put(to, buf_bytes(&k->area));
}

static void test_N4_ek(void **state)
{
	static const uint32_t flips[] = { TPMA_SIGN, TPMA_RESTRICTED, TPMA_DECRYPT, TPMA_FIXED_TPM, TPMA_FIXED_PARENT,
					  TPMA_SENSITIVE_DATA_ORIGIN, TPMA_ADMIN_WITH_POLICY, TPMA_USER_WITH_AUTH };
	cleanup_office struct office *o = office_new(SOFTTPM_EK_P256, SOFTTPM_AK_P256);
	uint8_t other_policy[32] = { 1 };
	struct softtpm_spec spec;

	(void)state;
	for (size_t i = 0; i < array_len(flips); i++) {
		spec = softtpm_spec_of(SOFTTPM_EK_P256);
		spec.attributes ^= flips[i];
		use_key(o, &spec, &o->request.ek_public);
		judge(o, E_PEER_RANGE, "N4");
	}
	spec = softtpm_spec_of(SOFTTPM_EK_P256);
	spec.policy = BYTES_ARR(other_policy);
	use_key(o, &spec, &o->request.ek_public);
	judge(o, E_PEER_RANGE, "N4");
	put(&o->request.ek_public, BYTES(o->tpm->ek->area.p, o->tpm->ek->area.n - 1));
	judge(o, E_PEER_TRUNCATED, "N4");
}

static void test_K2_ak(void **state)
{
	static const uint32_t flips[] = { TPMA_RESTRICTED, TPMA_SIGN, TPMA_FIXED_TPM, TPMA_FIXED_PARENT,
					  TPMA_SENSITIVE_DATA_ORIGIN, TPMA_DECRYPT };
	cleanup_office struct office *o = office_new(SOFTTPM_EK_P256, SOFTTPM_AK_P256);

	(void)state;
	for (size_t i = 0; i < array_len(flips); i++) {
		struct softtpm_spec spec = softtpm_spec_of(SOFTTPM_AK_P256);

		spec.attributes ^= flips[i];
		use_key(o, &spec, &o->request.ak_public);
		judge(o, E_PEER_RANGE, "K2");
	}
}

static void test_K3_ak(void **state)
{
	cleanup_office struct office *o = office_new(SOFTTPM_EK_P256, SOFTTPM_AK_P256);
	struct softtpm_spec spec = softtpm_spec_of(SOFTTPM_AK_P256);

	(void)state;
	spec.scheme_hash = TPM_ALG_SHA1;
	use_key(o, &spec, &o->request.ak_public);
	judge(o, E_PEER_RANGE, "K3");
	spec = softtpm_spec_of(SOFTTPM_AK_P256);
	spec.name_alg = TPM_ALG_SHA1;
	use_key(o, &spec, &o->request.ak_public);
	judge(o, E_PEER_RANGE, "K3");
	spec = softtpm_spec_of(SOFTTPM_AK_P256);
	spec.scheme = TPM_ALG_NULL;
	spec.scheme_hash = 0;
	use_key(o, &spec, &o->request.ak_public);
	judge(o, E_PEER_RANGE, "K3");
	/* Q9: an exponent other than 65537. */
	spec = softtpm_spec_of(SOFTTPM_AK_RSASSA);
	spec.rsa_exponent = 3;
	{
		cleanup_key struct key *rsa = NULL;
		cleanup_buf struct buf area = BUF_INIT(LIMIT_TPM2B);
		struct enrolment en;
		struct reason why = { "" };

		assert_false(failed(key_generate(KEY_RSA, &rsa)));
		assert_false(failed(softtpm_area_write(&spec, rsa, &area)));
		put(&o->request.ak_public, buf_bytes(&area));
		assert_true(failed(enrolment_judge(&o->request, o->trust, true, o->now_s, &en, &why)));
		assert_memory_equal(why.text, "K3:", 3);
	}
}

/* ---- N8, N9: the two steps. */

struct steps {
	struct office *o;
	struct enrolment en;
	struct enrol_challenge challenge;
	struct enrol_activation activation;
};

static void steps_begin(struct steps *s)
{
	s->o = office_new(SOFTTPM_EK_P256, SOFTTPM_AK_P256);
	enrol_challenge_init(&s->challenge);
	enrol_activation_init(&s->activation);
	assert_false(failed(enrolment_judge(&s->o->request, s->o->trust, true, s->o->now_s, &s->en, NULL)));
	assert_false(failed(enrolment_challenge(&s->o->request, &s->en, key, s->o->now_s, random_bytes_16,
						&s->challenge)));
	put(&s->activation.request.ek_public, buf_bytes(&s->o->request.ek_public));
	put(&s->activation.request.ak_public, buf_bytes(&s->o->request.ak_public));
	put(&s->activation.request.ek_cert, buf_bytes(&s->o->request.ek_cert));
	put(&s->activation.request.chain[0], buf_bytes(&s->o->request.chain[0]));
	s->activation.request.n_chain = 1;
	put(&s->activation.session, buf_bytes(&s->challenge.session));
	assert_false(failed(softtpm_activate(s->o->tpm, &s->o->tpm->ak->name, buf_bytes(&s->challenge.credential_blob),
					     buf_bytes(&s->challenge.encrypted_secret), &s->activation.secret)));
}

static void steps_end(struct steps *s)
{
	enrol_challenge_done(&s->challenge);
	enrol_activation_done(&s->activation);
	office_free(s->o);
}
#define cleanup_steps cleanup(steps_end)

static enum err_code activate(struct steps *s, int64_t now_s, bool want_valid)
{
	uint8_t id[ENROL_SESSION_ID_LEN] = { 0 };
	struct reason why = { "" };
	bool valid = !want_valid;
	struct err e = enrolment_activate(&s->activation, &s->en, key, now_s, id, &valid, &why);

	assert_int_equal(valid, want_valid);
	assert_int_equal(memcmp(id, random_bytes_16, sizeof(id)) == 0, want_valid);
	assert_int_equal(failed(e), why.text[0] != '\0');
	return e.code;
}

static void test_two_steps(void **state)
{
	cleanup_steps struct steps s;

	(void)state;
	steps_begin(&s);
	assert_string_equal(s.challenge.host_id, s.en.host_id);
	assert_int_equal(s.activation.secret.n, 32);
	assert_int_equal(activate(&s, s.o->now_s, true), E_OK);
	assert_int_equal(activate(&s, s.o->now_s + ENROL_SESSION_LIFE_S - 1, true), E_OK);
}

/* N8: only this TPM can open it, and only for this AK. */
static void test_N8_other_tpm_other_ak(void **state)
{
	cleanup_steps struct steps s, other;
	cleanup_buf struct buf secret = BUF_INIT(64);

	(void)state;
	steps_begin(&s);
	steps_begin(&other);
	assert_true(failed(softtpm_activate(other.o->tpm, &s.o->tpm->ak->name, buf_bytes(&s.challenge.credential_blob),
					    buf_bytes(&s.challenge.encrypted_secret), &secret)));
	assert_true(failed(softtpm_activate(s.o->tpm, &other.o->tpm->ak->name, buf_bytes(&s.challenge.credential_blob),
					    buf_bytes(&s.challenge.encrypted_secret), &secret)));
}

static void test_N9_secret(void **state)
{
	cleanup_steps struct steps s;

	(void)state;
	steps_begin(&s);
	for (size_t i = 0; i < 8 * 32; i++) {
		s.activation.secret.p[i / 8] ^= (uint8_t)(1u << i % 8);
		/* The session is known all the same, so that its use can be recorded. */
		assert_int_equal(activate(&s, s.o->now_s, true), E_AUTH_REFUSED);
		s.activation.secret.p[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	s.activation.secret.n = 31;
	assert_int_equal(activate(&s, s.o->now_s, true), E_AUTH_REFUSED);
	s.activation.secret.n = 0;
	assert_int_equal(activate(&s, s.o->now_s, true), E_AUTH_REFUSED);
}

/* No secret in any reply. */
static void test_N9_secret_stays_here(void **state)
{
	cleanup_steps struct steps s;
	const struct buf *replies[] = { &s.challenge.session, &s.challenge.credential_blob,
					&s.challenge.encrypted_secret };

	(void)state;
	steps_begin(&s);
	for (size_t i = 0; i < array_len(replies); i++)
		assert_null(memmem(replies[i]->p, replies[i]->n, s.activation.secret.p, 8));
}

static void test_N9_session(void **state)
{
	cleanup_steps struct steps s;
	static const uint8_t other_key[32] = { 4 };
	uint8_t id[ENROL_SESSION_ID_LEN];
	bool valid = true;

	(void)state;
	steps_begin(&s);
	for (size_t i = 0; i < 8 * s.activation.session.n; i++) {
		s.activation.session.p[i / 8] ^= (uint8_t)(1u << i % 8);
		assert_int_equal(activate(&s, s.o->now_s, false), E_AUTH_NONCE);
		s.activation.session.p[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	for (size_t n = s.activation.session.n; n-- > 0;) {
		s.activation.session.n = n;
		assert_int_equal(activate(&s, s.o->now_s, false), E_AUTH_NONCE);
	}
	put(&s.activation.session, buf_bytes(&s.challenge.session));
	assert_int_equal(activate(&s, s.o->now_s + ENROL_SESSION_LIFE_S, false), E_AUTH_NONCE);
	assert_int_equal(activate(&s, s.o->now_s - 1, false), E_AUTH_NONCE);
	assert_int_equal(enrolment_activate(&s.activation, &s.en, other_key, s.o->now_s, id, &valid, NULL).code,
			 E_AUTH_NONCE);
	assert_false(valid);
}

/* N11: the request of step two is that of step one, in every part. */
static void test_N11_another_request(void **state)
{
	(void)state;
	for (unsigned part = 0; part < 5; part++) {
		cleanup_steps struct steps s;
		struct enrol_request *r;
		struct buf *parts[4];

		steps_begin(&s);
		r = &s.activation.request;
		parts[0] = &r->ek_public;
		parts[1] = &r->ak_public;
		parts[2] = &r->ek_cert;
		parts[3] = &r->chain[0];
		if (part < 4)
			parts[part]->p[parts[part]->n - 1] ^= 1;
		else
			r->n_chain = 0;
		assert_int_equal(activate(&s, s.o->now_s, false), E_AUTH_NONCE);
	}
}

/* A byte that moves from one part to the next is another request, too. */
static void test_N11_parts_do_not_run_together(void **state)
{
	cleanup_steps struct steps s;
	struct enrol_request *r;

	(void)state;
	steps_begin(&s);
	r = &s.activation.request;
	assert_false(failed(buf_add_u8(&r->ek_public, r->ak_public.p[0])));
	memmove(r->ak_public.p, r->ak_public.p + 1, --r->ak_public.n);
	assert_int_equal(activate(&s, s.o->now_s, false), E_AUTH_NONCE);
}

/* What is stored after activation is read back as the same host. */
static void test_record(void **state)
{
	cleanup_office struct office *o = office_new(SOFTTPM_EK_RSA2048, SOFTTPM_AK_P256);
	cleanup_buf struct buf record = BUF_INIT(HOST_RECORD_MAX);
	cleanup_host_record struct host_record *h = NULL;
	struct enrolment en;

	(void)state;
	assert_false(failed(enrolment_judge(&o->request, o->trust, true, o->now_s, &en, NULL)));
	assert_false(failed(host_record_encode(buf_bytes(&o->request.ek_public), buf_bytes(&o->request.ek_cert),
					       buf_bytes(&o->request.ak_public), o->now_s, &record)));
	assert_false(failed(host_record_decode(buf_bytes(&record), &h)));
	assert_string_equal(h->id, en.host_id);
	assert_memory_equal(h->ek_sha256, en.ek_sha256, 32);
	assert_true(bytes_eq(tpm_name_bytes(&h->ak_name), tpm_name_bytes(&en.ak_name)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepts),
		cmocka_unit_test(test_N1_without_certificate),
		cmocka_unit_test(test_N1_bad_certificate_where_none_is_wanted),
		cmocka_unit_test(test_N1_missing_intermediate),
		cmocka_unit_test(test_N1_foreign_ca),
		cmocka_unit_test(test_N1_dates),
		cmocka_unit_test(test_N2_ca_as_ek),
		cmocka_unit_test(test_N2_usage),
		cmocka_unit_test(test_N3_certificate_of_another_tpm),
		cmocka_unit_test(test_N6_padding),
		cmocka_unit_test(test_N12_caps),
		cmocka_unit_test(test_N4_ek),
		cmocka_unit_test(test_K2_ak),
		cmocka_unit_test(test_K3_ak),
		cmocka_unit_test(test_two_steps),
		cmocka_unit_test(test_N8_other_tpm_other_ak),
		cmocka_unit_test(test_N9_secret),
		cmocka_unit_test(test_N9_secret_stays_here),
		cmocka_unit_test(test_N9_session),
		cmocka_unit_test(test_N11_another_request),
		cmocka_unit_test(test_N11_parts_do_not_run_together),
		cmocka_unit_test(test_record),
	};

	return cmocka_run_group_tests_name("enrolment", tests, NULL, NULL);
}
