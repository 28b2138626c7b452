/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "verifier/issue/dpop.h"

#define NOW 1800000000
#define URL "https://issuer.example/v1/token"
#define JTI "0123456789abcdef0123"

static const uint8_t nonce_key[32] = "the key of the server's nonces.";
static struct key *key, *other_key;

/* One proof, every member changeable; NULL leaves a text member out. */
struct proof {
	const char *typ, *jti, *htm, *htu, *ath, *nonce;
	int64_t iat;
	const struct key *jwk;  /* what the header shows */
	bool iat_is_text, twice;
};

static struct err sign(void *ctx, struct bytes data, struct buf *ret)
{
	return key_sign(ctx, SIG_ECDSA, DIGEST_SHA256, data, ret);
}

static void put(json_t *o, const char *name, const char *v)
{
	if (v != NULL)
		assert_ok(json_put_str(o, name, v));
}

static void proof_make(const struct proof *p, struct buf *ret)
{
	const struct jws_signer s = { .alg = "ES256", .sign = sign, .ctx = key };
	cleanup_json json_t *jwk = NULL, *claims = NULL;

	assert_ok(jwk_from_key(p->jwk, &jwk));
	assert_ok(json_new_object(&claims));
	put(claims, "jti", p->jti);
	put(claims, "htm", p->htm);
	put(claims, "htu", p->htu);
	put(claims, "ath", p->ath);
	put(claims, "nonce", p->nonce);
	if (p->iat_is_text)
		put(claims, "iat", "1800000000");
	else if (p->iat != 0)
		assert_ok(json_put_int(claims, "iat", p->iat));
	assert_ok(jws_sign(&s, p->typ, jwk, claims, ret));
}

static void nonce_text(int64_t at, const uint8_t k[32], const char *purpose, char *out, size_t n)
{
	static const uint8_t random[16] = { 7 };
	const struct nonce_for f = { .purpose = purpose };
	cleanup_buf struct buf text = BUF_INIT(128);
	uint8_t nonce[NONCE_LEN];
	const char *s;

	assert_ok(nonce_make(k, &f, at, random, nonce));
	assert_ok(b64url_encode(BYTES_ARR(nonce), &text));
	assert_ok(buf_cstr(&text, &s));
	assert_true(strlen(s) < n);
	(void)snprintf(out, n, "%s", s);
}

static struct err verify(const struct proof *p, const struct dpop_want *want, struct dpop_proof *ret,
			 struct reason *why)
{
	cleanup_buf struct buf token = BUF_INIT(LIMIT_TOKEN);

	proof_make(p, &token);
	return dpop_verify(buf_bytes(&token), want, ret, why);
}

static struct proof good_proof(void)
{
	return (struct proof){ .typ = "dpop+jwt", .jti = JTI, .htm = "POST", .htu = URL, .iat = NOW, .jwk = key };
}

static struct dpop_want good_want(void)
{
	return (struct dpop_want){ .htm = "POST", .htu = URL, .now_s = NOW };
}

static void a_proof_that_fits_is_accepted(void **state)
{
	struct proof p = good_proof();
	struct dpop_want w = good_want();
	struct dpop_proof got;
	char jkt[JKT_LEN + 1], nonce[128];

	(void)state;
	assert_ok(jwk_thumbprint(key, jkt));
	assert_ok(verify(&p, &w, &got, NULL));
	assert_string_equal(got.jkt, jkt);
	/* Forms of one URI (RFC 3986, 6.2.2, 6.2.3), and query and fragment do not count. */
	static const char *const same[] = { "HTTPS://ISSUER.example:443/v1/token", URL "?a=b", URL "#x",
					    "https://issuer.example/v1/./token", "https://issuer.example/x/../v1/token",
					    "https://issuer.example/v1/%74oken" };

	for (size_t i = 0; i < array_len(same); i++) {
		p.htu = same[i];
		assert_ok(verify(&p, &w, &got, NULL));
	}
	/* The nonce's time decides, however wrong the host's clock is. */
	p = good_proof();
	p.iat = 1;
	nonce_text(NOW - 5, nonce_key, "dpop", nonce, sizeof(nonce));
	p.nonce = nonce;
	w.nonce_key = nonce_key;
	w.jkt = jkt;
	assert_ok(verify(&p, &w, &got, NULL));
	assert_true(got.expires_s > NOW);
}

/* RFC 9449, 4.3: each check, by its number. */
static void each_check_refuses(void **state)
{
	static const struct {
		const char *what;
		struct proof change; /* members that are set replace the good ones; "-" leaves out */
		enum err_code want;
	} cases[] = {
		{ "4 typ", { .typ = "JWT" }, E_PEER_TYPE },
		{ "3 no jti", { .jti = "-" }, E_PEER_MISSING },
		{ "3 short jti", { .jti = "0123456789" }, E_PEER_RANGE },
		{ "3 no htm", { .htm = "-" }, E_PEER_MISSING },
		{ "3 no htu", { .htu = "-" }, E_PEER_MISSING },
		{ "3 iat is text", { .iat_is_text = true }, E_PEER_TYPE },
		{ "6 signed by another key", { .twice = true }, E_AUTH_SIGNATURE },
		{ "8 htm", { .htm = "GET" }, E_AUTH_REFUSED },
		{ "8 htm case", { .htm = "post" }, E_AUTH_REFUSED },
		{ "9 host", { .htu = "https://issuer.example.org/v1/token" }, E_AUTH_REFUSED },
		{ "9 scheme", { .htu = "http://issuer.example/v1/token" }, E_AUTH_REFUSED },
		{ "9 port", { .htu = "https://issuer.example:444/v1/token" }, E_AUTH_REFUSED },
		{ "9 path case", { .htu = "https://issuer.example/V1/token" }, E_AUTH_REFUSED },
		{ "9 final slash", { .htu = URL "/" }, E_AUTH_REFUSED },
		{ "9 double slash", { .htu = "https://issuer.example//v1/token" }, E_AUTH_REFUSED },
		{ "9 encoded slash", { .htu = "https://issuer.example/v1%2ftoken" }, E_AUTH_REFUSED },
		{ "9 user", { .htu = "https://u@issuer.example/v1/token" }, E_PEER_SYNTAX },
		{ "9 relative", { .htu = "/v1/token" }, E_PEER_SYNTAX },
		{ "11 old", { .iat = NOW - 61 }, E_AUTH_EXPIRED },
		{ "11 future", { .iat = NOW + 61 }, E_AUTH_EXPIRED },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		const struct proof *c = &cases[i].change;
		struct dpop_want w = good_want();
		struct proof p = good_proof();
		struct dpop_proof got;

#define CHANGE(m) p.m = c->m == NULL ? p.m : strcmp(c->m, "-") == 0 ? NULL : c->m
		CHANGE(typ);
		CHANGE(jti);
		CHANGE(htm);
		CHANGE(htu);
		p.iat = c->iat != 0 ? c->iat : p.iat;
		p.iat_is_text = c->iat_is_text;
		p.jwk = c->twice ? other_key : key;
		struct err e = verify(&p, &w, &got, NULL);

		if (e.code != cases[i].want)
			print_error("%s: %s\n", cases[i].what, err_name(e));
		assert_code(e, cases[i].want);
	}
}

static void t17_nonces(void **state)
{
	uint8_t foreign[32] = { 1 };
	struct {
		int64_t at;
		const uint8_t *k;
		const char *purpose;
		bool good;
	} cases[] = {
		{ NOW, nonce_key, "dpop", true },
		{ NOW - NONCE_LIFE_S - 1, nonce_key, "dpop", false },
		{ NOW + NONCE_SKEW_S + 1, nonce_key, "dpop", false },
		{ NOW, foreign, "dpop", false },
		{ NOW, nonce_key, "attest", false },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		struct dpop_want w = good_want();
		struct proof p = good_proof();
		struct dpop_proof got;
		char nonce[128];

		nonce_text(cases[i].at, cases[i].k, cases[i].purpose, nonce, sizeof(nonce));
		p.nonce = nonce;
		w.nonce_key = nonce_key;
		assert_code(verify(&p, &w, &got, NULL), cases[i].good ? E_OK : E_AUTH_NONCE);
	}
	struct dpop_want w = good_want();
	struct proof p = good_proof();
	struct dpop_proof got;

	w.nonce_key = nonce_key;
	assert_err(verify(&p, &w, &got, NULL), E_AUTH_NONCE);
	p.nonce = "not base64url!";
	assert_err(verify(&p, &w, &got, NULL), E_AUTH_NONCE);
}

static void t16_the_token_and_its_key(void **state)
{
	struct dpop_want w = good_want();
	struct proof p = good_proof();
	struct dpop_proof got;
	char jkt[JKT_LEN + 1];

	(void)state;
	/* Vector of RFC 9449, 7.1. */
	w.token = BYTES_LIT("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU");
	assert_err(verify(&p, &w, &got, NULL), E_AUTH_REFUSED);
	p.ath = "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo";
	assert_ok(verify(&p, &w, &got, NULL));
	p.ath = "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEp";
	assert_err(verify(&p, &w, &got, NULL), E_AUTH_REFUSED);
	p = good_proof();
	w = good_want();
	assert_ok(jwk_thumbprint(other_key, jkt));
	w.jkt = jkt;
	assert_err(verify(&p, &w, &got, NULL), E_AUTH_REFUSED);
}

static void t14_replay_ids(void **state)
{
	struct dpop_want w = good_want();
	struct proof p = good_proof();
	struct dpop_proof a, b;
	struct key *saved = key;

	(void)state;
	assert_ok(verify(&p, &w, &a, NULL));
	/* Variants of htu with the same jti are the same proof. */
	p.htu = URL "?x";
	assert_ok(verify(&p, &w, &b, NULL));
	assert_memory_equal(a.replay_id, b.replay_id, 32);
	p.jti = JTI "x";
	assert_ok(verify(&p, &w, &b, NULL));
	assert_memory_not_equal(a.replay_id, b.replay_id, 32);
	/* The same jti from another key is another proof. */
	key = other_key;
	p = good_proof();
	assert_ok(verify(&p, &w, &b, NULL));
	assert_memory_not_equal(a.replay_id, b.replay_id, 32);
	key = saved;
}

static void uris_are_normalised(void **state)
{
	static const struct {
		const char *in, *out; /* NULL: refused */
	} cases[] = {
		{ "http://a", "http://a/" },
		{ "http://A:80", "http://a/" },
		{ "https://a:0443/", NULL },
		{ "https://a:443/", "https://a/" },
		{ "https://a:/x", "https://a/x" },
		{ "https://a:99999/", "https://a:99999/" },
		{ "https://a:999999/", NULL },
		{ "https://a:1x/", NULL },
		{ "https://[::1]:8443/x", "https://[::1]:8443/x" },
		{ "https://[::1]", "https://[::1]/" },
		{ "https://a/b/../../c", "https://a/c" },
		{ "https://a/b/.", "https://a/b/" },
		{ "https://a/b/..", "https://a/" },
		{ "https://a/..b", "https://a/..b" },
		{ "https://a/%7e%2f%2F", "https://a/~%2F%2F" },
		{ "https://a/%2e%2e/b", "https://a/b" },
		{ "https://a/%zz", NULL },
		{ "https://a/%4", NULL },
		{ "https://a/ b", NULL },
		{ "https://a/\xc3\xa4", NULL },
		{ "https://", NULL },
		{ "https:///x", NULL },
		{ "https://:1/", NULL },
		{ "ftp://a/", NULL },
		{ "", NULL },
		{ "https:/a", NULL },
		{ "https://a;b/", NULL },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_buf struct buf out = BUF_INIT(256);
		struct err e = uri_normalise(bytes_str(cases[i].in), &out);

		if (cases[i].out == NULL) {
			assert_err(e, E_PEER_SYNTAX);
			assert_int_equal(out.n, 0);
			continue;
		}
		assert_ok(e);
		assert_bytes(buf_bytes(&out), bytes_str(cases[i].out));
	}
}

static int setup(void **state)
{
	(void)state;
	return failed(key_generate(KEY_EC_P256, &key)) || failed(key_generate(KEY_EC_P256, &other_key));
}

static int teardown(void **state)
{
	(void)state;
	key_free(key);
	key_free(other_key);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_proof_that_fits_is_accepted), cmocka_unit_test(each_check_refuses),
		cmocka_unit_test(t17_nonces),                    cmocka_unit_test(t16_the_token_and_its_key),
		cmocka_unit_test(t14_replay_ids),                cmocka_unit_test(uris_are_normalised),
	};

	return cmocka_run_group_tests_name("dpop", tests, setup, teardown);
}
