/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "base/wr.h"
#include "firmware-measure/ima_sign.h"
#include "tests/support/chain_fixture.h"
#include "tests/support/ima_list.h"

static const uint8_t file_a[32] = { 0xa1 }, file_b[32] = { 0xb1 };
static struct key *rsa, *p256, *p384, *other;
static struct ima_key keys[3];

static int set_up(void **state)
{
	struct key **all[] = { &rsa, &p256, &p384 };
	static const enum key_kind kinds[] = { KEY_RSA, KEY_EC_P256, KEY_EC_P384 };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		assert_ok(key_generate(kinds[i], all[i]));
		keys[i].key = *all[i];
		assert_ok(ima_key_id(*all[i], keys[i].id));
	}
	assert_ok(key_generate(KEY_EC_P256, &other));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	key_free(rsa);
	key_free(p256);
	key_free(p384);
	key_free(other);
	return 0;
}

/* What a signature is made of; the test changes one thing at a time. */
struct spec {
	uint8_t type, version, hash_number;
	const struct key *key;
	const uint8_t *id;
	enum digest_id hash;
};

/* PKCS#1 v1.5, or ECDSA in DER, over a digest: base signs data only. */
static void sign_digest(const struct key *k, enum digest_id hash, struct bytes digest, struct buf *ret)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new((EVP_PKEY *)key_evp(k), NULL);
	const EVP_MD *md = EVP_get_digestbyname(digest_alg(hash)->ossl);
	uint8_t sig[1024];
	size_t n = sizeof(sig);

	assert_non_null(ctx);
	assert_int_equal(EVP_PKEY_sign_init(ctx), 1);
	if (key_kind(k) == KEY_RSA)
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING), 1);
	assert_int_equal(EVP_PKEY_CTX_set_signature_md(ctx, md), 1);
	assert_int_equal(EVP_PKEY_sign(ctx, sig, &n, digest.p, digest.n), 1);
	EVP_PKEY_CTX_free(ctx);
	assert_ok(buf_add(ret, BYTES(sig, n)));
}

static void make(const struct spec *s, struct bytes digest, struct buf *ret)
{
	cleanup_buf struct buf value = BUF_INIT(KIB);
	const uint8_t id[2] = { s->type, s->hash_number };
	const struct bytes parts[] = { BYTES_ARR(id), digest };
	struct digest d = { .n = (uint8_t)digest.n };

	memcpy(d.v, digest.p, digest.n);
	if (s->version == 3)
		assert_ok(digest_of(s->hash, &d, 2, parts));
	sign_digest(s->key, s->hash, digest_bytes(&d), &value);
	assert_ok(buf_add_u8(ret, s->type));
	assert_ok(buf_add_u8(ret, s->version));
	assert_ok(buf_add_u8(ret, s->hash_number));
	assert_ok(buf_add(ret, BYTES(s->id, IMA_KEY_ID_SIZE)));
	assert_ok(wr_u16be(ret, (uint16_t)value.n));
	assert_ok(buf_add(ret, buf_bytes(&value)));
}

/* Judges an entry with this digest ("sha256", "verity:sha256" ...) and signature. */
static enum ima_signed judge(const char *alg, struct bytes digest, struct bytes sig, size_t *ret_key)
{
	cleanup_ima_list struct ima_list list = { 0 };
	cleanup_imalog struct imalog l = { 0 };
	enum ima_signed got;
	struct ima_entry ent;
	bool more;

	ima_list_init(&list);
	ima_list_digest(&list, alg, digest);
	ima_list_name(&list, BYTES_LIT("/bin/a"));
	ima_list_raw(&list, sig);
	ima_list_end(&list, strchr(alg, ':') != NULL ? "ima-sigv2" : "ima-sig");
	imalog_init(&l, IMALOG_BINARY, IMALOG_LITTLE_ENDIAN);
	assert_ok(imalog_feed(&l, buf_bytes(&list.binary)));
	assert_ok(imalog_next(&l, &ent, &more, NULL));
	assert_int_equal(ent.state, IMA_ENTRY_DECODED);
	assert_ok(ima_signed_check(&ent, 3, keys, &got, ret_key));
	return got;
}

/* Every kind of key, version 2 over contents, version 3 over contents and over fs-verity. */
static void i6_good(void **state)
{
	static const struct {
		uint8_t type, version;
		const char *alg;
	} t[] = { { 3, 2, "sha256" }, { 3, 3, "ima:sha256" }, { 6, 3, "verity:sha256" } };

	(void)state;
	for (size_t k = 0; k < 3; k++)
		for (size_t i = 0; i < 3; i++) {
			struct spec s = { t[i].type, t[i].version, 4, keys[k].key, keys[k].id, DIGEST_SHA256 };
			cleanup_buf struct buf sig = BUF_INIT(KIB);
			struct ima_signature parsed;
			size_t key;

			make(&s, BYTES_ARR(file_a), &sig);
			assert_ok(ima_signature_parse(buf_bytes(&sig), &parsed));
			assert_int_equal(parsed.hash, DIGEST_SHA256);
			assert_memory_equal(parsed.key_id, keys[k].id, IMA_KEY_ID_SIZE);
			assert_int_equal(judge(t[i].alg, BYTES_ARR(file_a), buf_bytes(&sig), &key), IMA_SIGNED_GOOD);
			assert_int_equal(key, k);
		}
}

/* I6: the signature of another file, of another kind of digest, a changed byte anywhere. */
static void i6_other_file(void **state)
{
	struct spec s = { 3, 2, 4, p256, keys[1].id, DIGEST_SHA256 },
		    verity = { 6, 3, 4, p256, keys[1].id, DIGEST_SHA256 };
	cleanup_buf struct buf sig = BUF_INIT(KIB), v = BUF_INIT(KIB);
	size_t key;

	(void)state;
	make(&s, BYTES_ARR(file_a), &sig);
	assert_int_equal(judge("sha256", BYTES_ARR(file_b), buf_bytes(&sig), &key), IMA_SIGNED_OTHER);
	assert_int_equal(key, 3);
	assert_int_equal(judge("verity:sha256", BYTES_ARR(file_a), buf_bytes(&sig), &key), IMA_SIGNED_OTHER);
	make(&verity, BYTES_ARR(file_a), &v);
	assert_int_equal(judge("sha256", BYTES_ARR(file_a), buf_bytes(&v), &key), IMA_SIGNED_OTHER);
	/* Taken for one over contents of version 3, its type is part of what was signed. */
	v.p[0] = 3;
	assert_int_equal(judge("sha256", BYTES_ARR(file_a), buf_bytes(&v), &key), IMA_SIGNED_OTHER);
	for (size_t i = 0; i < sig.n; i++) {
		sig.p[i] ^= 1;
		assert_int_not_equal(judge("sha256", BYTES_ARR(file_a), buf_bytes(&sig), &key), IMA_SIGNED_GOOD);
		sig.p[i] ^= 1;
	}
	for (size_t n = 1; n < sig.n; n++)
		assert_int_equal(judge("sha256", BYTES_ARR(file_a), BYTES(sig.p, n), &key), IMA_SIGNED_FORM);
	assert_ok(buf_add_u8(&sig, 0));
	assert_int_equal(judge("sha256", BYTES_ARR(file_a), buf_bytes(&sig), &key), IMA_SIGNED_FORM);
}

/* I6: no signature; one by a key that nobody approved, under its own id and under that of another. */
static void i6_unknown_key(void **state)
{
	struct spec s = { 3, 2, 4, other, NULL, DIGEST_SHA256 };
	cleanup_buf struct buf own = BUF_INIT(KIB), borrowed = BUF_INIT(KIB);
	uint8_t id[IMA_KEY_ID_SIZE];
	size_t key;

	(void)state;
	assert_int_equal(judge("sha256", BYTES_ARR(file_a), BYTES_NONE, &key), IMA_SIGNED_ABSENT);
	assert_ok(ima_key_id(other, id));
	s.id = id;
	make(&s, BYTES_ARR(file_a), &own);
	assert_int_equal(judge("sha256", BYTES_ARR(file_a), buf_bytes(&own), &key), IMA_SIGNED_UNKNOWN_KEY);
	s.id = keys[1].id;
	make(&s, BYTES_ARR(file_a), &borrowed);
	assert_int_equal(judge("sha256", BYTES_ARR(file_a), buf_bytes(&borrowed), &key), IMA_SIGNED_OTHER);
}

/* I6: SHA-256 or better, and the hash of the signature is that of the entry. */
static void i6_weak_hash(void **state)
{
	struct spec sha1 = { 3, 2, 2, rsa, keys[0].id, DIGEST_SHA1 }, s = { 3, 2, 4, rsa, keys[0].id, DIGEST_SHA256 };
	cleanup_buf struct buf weak = BUF_INIT(KIB), sound = BUF_INIT(KIB);
	size_t key;

	(void)state;
	make(&sha1, BYTES(file_a, 20), &weak);
	assert_int_equal(judge("sha1", BYTES(file_a, 20), buf_bytes(&weak), &key), IMA_SIGNED_WEAK);
	make(&s, BYTES_ARR(file_a), &sound);
	assert_int_equal(judge("sha1", BYTES(file_a, 20), buf_bytes(&sound), &key), IMA_SIGNED_WEAK);
	sound.p[2] = 5; /* says SHA-384 */
	assert_int_equal(judge("sha256", BYTES_ARR(file_a), buf_bytes(&sound), &key), IMA_SIGNED_OTHER);
	sound.p[2] = 1; /* MD5 */
	assert_int_equal(judge("sha256", BYTES_ARR(file_a), buf_bytes(&sound), &key), IMA_SIGNED_FORM);
	sound.p[2] = 4;
	assert_int_equal(judge("md5", BYTES(file_a, 16), buf_bytes(&sound), &key), IMA_SIGNED_OTHER);
	assert_int_equal(judge("sha256", BYTES_ARR(file_a), buf_bytes(&sound), &key), IMA_SIGNED_GOOD);
}

static void header_forms(void **state)
{
	static const uint8_t bad[][9] = { { 1, 2, 4, 0, 0, 0, 0, 0, 0 },
					  { 3, 1, 4, 0, 0, 0, 0, 0, 0 },
					  { 6, 2, 4, 0, 0, 0, 0, 0, 0 },
					  { 3, 4, 4, 0, 0, 0, 0, 0, 0 },
					  { 5, 2, 4, 0, 0, 0, 0, 0, 0 } };
	struct ima_signature s;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_err(ima_signature_parse(BYTES_ARR(bad[i]), &s), E_PEER_UNSUPPORTED);
	assert_err(ima_signature_parse(BYTES_LIT("\3\2\4abcd\0\1"), &s), E_PEER_TRUNCATED);
	assert_err(ima_signature_parse(BYTES_LIT("\3\2\4abcd\0\1xy"), &s), E_PEER_TRAILING);
	assert_ok(ima_signature_parse(BYTES_LIT("\3\2\xffgabc\0\1x"), &s));
	assert_int_equal(s.hash, N_DIGESTS);
}

static struct cert *issue(const char *name, bool ca, const struct key *key, const struct cert *by,
			  const struct key *by_key)
{
	struct cert_spec s = {
		.common_name = name, .ca = ca, .path_len = -1, .not_before_s = NOW_S - 1000, .not_after_s = NOW_S + 1000
	};
	struct cert *c = NULL;

	assert_ok(cert_issue(&s, key, by, by_key, &c));
	return c;
}

static struct err learn(struct bytes buf, const char *template, const struct cert *ca, int64_t now_s, struct key **ret,
			uint8_t id[IMA_KEY_ID_SIZE])
{
	cleanup_ima_list struct ima_list list = { 0 };
	cleanup_imalog struct imalog l = { 0 };
	const struct cert *cas[] = { ca };
	struct ima_entry ent;
	bool more;

	ima_list_init(&list);
	ima_list_digest(&list, "sha256", BYTES_ARR(file_a));
	ima_list_name(&list, BYTES_LIT(".ima"));
	ima_list_raw(&list, buf);
	ima_list_end(&list, template);
	imalog_init(&l, IMALOG_BINARY, IMALOG_LITTLE_ENDIAN);
	assert_ok(imalog_feed(&l, buf_bytes(&list.binary)));
	assert_ok(imalog_next(&l, &ent, &more, NULL));
	return ima_key_learn(&ent, 1, cas, now_s, ret, id, NULL);
}

/* Without the extensions that would say what the key may do. */
static void not_a_ca(X509 *x)
{
	chain_drop_ext(x, NID_basic_constraints);
	chain_drop_ext(x, NID_key_usage);
}

/* I7: a key in the list counts when a CA of the policy signed it; not by itself, not outside its dates, not by a leaf.
 */
static void i7_learned_keys(void **state)
{
	cleanup_cert struct cert *ca = issue("ca", true, rsa, NULL, rsa), *leaf = issue("signer", false, p256, ca, rsa);
	cleanup_cert struct cert *self = issue("signer", false, other, NULL, other);
	cleanup_cert struct cert *fake_ca = issue("ca", true, other, NULL, other);
	cleanup_cert struct cert *fake = issue("signer", false, p256, fake_ca, other);
	cleanup_cert struct cert *by_leaf = issue("below", false, p384, leaf, p256);
	cleanup_key struct key *k = NULL;
	uint8_t id[IMA_KEY_ID_SIZE] = { 0 }, want[IMA_KEY_ID_SIZE];

	(void)state;
	assert_ok(learn(cert_der(leaf), "ima-buf", ca, NOW_S, &k, id));
	assert_true(key_equal(k, p256));
	assert_ok(ima_cert_key_id(leaf, want));
	assert_memory_equal(id, want, sizeof(want));
	key_free(take_ptr(&k));
	assert_err(learn(cert_der(self), "ima-buf", ca, NOW_S, &k, id), E_AUTH_CERTIFICATE);
	assert_err(learn(cert_der(fake), "ima-buf", ca, NOW_S, &k, id), E_AUTH_CERTIFICATE);
	assert_err(learn(cert_der(by_leaf), "ima-buf", leaf, NOW_S, &k, id), E_AUTH_CERTIFICATE);
	assert_err(learn(cert_der(leaf), "ima-buf", ca, NOW_S - 2000, &k, id), E_AUTH_CERTIFICATE);
	assert_err(learn(cert_der(leaf), "ima-buf", ca, NOW_S + 2000, &k, id), E_AUTH_CERTIFICATE);
	assert_err(learn(cert_der(leaf), "ima-sig", ca, NOW_S, &k, id), E_PEER_MISSING);
	assert_err(learn(BYTES_LIT("no certificate"), "ima-buf", ca, NOW_S, &k, id), E_PEER_SYNTAX);
	assert_null(k);
}

/* I7: names and key ids say that a CA signed it; the signature does not, or with SHA-1, or the CA is none. */
static void i7_forged_certificates(void **state)
{
	cleanup_cert struct cert *ca = issue("ca", true, rsa, NULL, rsa), *leaf = issue("signer", false, p256, ca, rsa);
	cleanup_cert struct cert *forged = NULL;
	cleanup_cert struct cert *weak = chain_resign(leaf, rsa, EVP_sha1(), NULL);
	cleanup_cert struct cert *again = chain_resign(leaf, rsa, EVP_sha256(), NULL);
	cleanup_cert struct cert *no_ca = chain_resign(ca, rsa, EVP_sha256(), not_a_ca);
	cleanup_key struct key *k = NULL, *forger = NULL;
	uint8_t id[IMA_KEY_ID_SIZE] = { 0 };

	(void)state;
	assert_ok(key_generate(KEY_RSA, &forger)); /* of the CA's kind: another would be told by the algorithm */
	forged = chain_resign(leaf, forger, EVP_sha256(), NULL);
	assert_err(learn(cert_der(forged), "ima-buf", ca, NOW_S, &k, id), E_AUTH_CERTIFICATE);
	assert_err(learn(cert_der(weak), "ima-buf", ca, NOW_S, &k, id), E_AUTH_CERTIFICATE);
	assert_err(learn(cert_der(leaf), "ima-buf", no_ca, NOW_S, &k, id), E_AUTH_CERTIFICATE);
	assert_null(k);
	assert_ok(learn(cert_der(again), "ima-buf", ca, NOW_S, &k, id));
}

/* The end of SHA-1 over the generator of P-256, computed with another implementation. */
static void key_ids(void **state)
{
	static const char pem[] = "-----BEGIN PUBLIC KEY-----\n"
				  "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n"
				  "6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n"
				  "-----END PUBLIC KEY-----\n";
	cleanup_key struct key *k = NULL;
	static const uint8_t want[IMA_KEY_ID_SIZE] = { 0x5e, 0xfd, 0xa0, 0xe1 };
	uint8_t id[IMA_KEY_ID_SIZE];

	(void)state;
	assert_ok(key_from_pem(bytes_str(pem), &k));
	assert_ok(ima_key_id(k, id));
	assert_memory_equal(id, want, IMA_KEY_ID_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(i6_good),
		cmocka_unit_test(i6_other_file),
		cmocka_unit_test(i6_unknown_key),
		cmocka_unit_test(i6_weak_hash),
		cmocka_unit_test(header_forms),
		cmocka_unit_test(i7_learned_keys),
		cmocka_unit_test(i7_forged_certificates),
		cmocka_unit_test(key_ids),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
