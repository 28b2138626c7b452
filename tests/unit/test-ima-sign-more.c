/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures behind a file and EVM's portable ones, as other programs made them. */
#include "firmware-measure/ima_sign.h"

#include <openssl/cms.h>

#include "ima-sign-vectors.h"
#include "tests/support/ima_list.h"
#include "unit.h"

static struct key *signer, *stranger;
static struct ima_key keys[2]; /* the stranger first, under the signer's id where a test says so */

static int set_up(void **state)
{
	struct buf b;

	(void)state;
	assert_ok(key_from_spki(unhex_(&b, spki), &signer));
	buf_free(&b);
	assert_ok(key_generate(KEY_EC_P256, &stranger));
	keys[0].key = stranger;
	keys[1].key = signer;
	for (size_t i = 0; i < 2; i++)
		assert_ok(ima_key_id(keys[i].key, keys[i].id));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	key_free(signer);
	key_free(stranger);
	return 0;
}

static void raw_hex(struct ima_list *l, const char *hex)
{
	struct buf b;

	ima_list_raw(l, unhex_(&b, hex));
	buf_free(&b);
}

static void digest_hex(struct ima_list *l, const char *alg, const char *hex)
{
	struct buf b;

	ima_list_digest(l, alg, unhex_(&b, hex));
	buf_free(&b);
}

typedef struct err check_fn(const struct ima_entry *ent, size_t n, const struct ima_key *k, enum ima_signed *ret,
			    size_t *ret_key);

/* The only entry of the list under the keys. */
static enum ima_signed judge(const struct ima_list *list, check_fn *check, size_t n, size_t *ret_key)
{
	cleanup_imalog struct imalog l = { 0 };
	enum ima_signed got;
	struct ima_entry ent;
	bool more;

	imalog_init(&l, IMALOG_BINARY, IMALOG_LITTLE_ENDIAN);
	assert_ok(imalog_feed(&l, buf_bytes(&list->binary)));
	assert_ok(imalog_next(&l, &ent, &more, NULL));
	assert_int_equal(ent.state, IMA_ENTRY_DECODED);
	assert_ok(check(&ent, n, keys, &got, ret_key));
	return got;
}

static enum ima_signed modsig(const char *alg, const char *sum, struct bytes sig, size_t n, size_t *ret_key)
{
	cleanup_ima_list struct ima_list l;

	ima_list_init(&l);
	digest_hex(&l, "sha256", file_sum);
	ima_list_name(&l, BYTES_LIT("/lib/modules/m.ko"));
	ima_list_raw(&l, BYTES_NONE);
	if (sum == NULL)
		ima_list_raw(&l, BYTES_NONE);
	else
		digest_hex(&l, alg, sum);
	ima_list_raw(&l, sig);
	ima_list_end(&l, "ima-modsig");
	return judge(&l, ima_modsig_check, n, ret_key);
}

static enum ima_signed modsig_hex(const char *alg, const char *sum, const char *sig, size_t n, size_t *ret_key)
{
	enum ima_signed got;
	struct buf b;

	got = modsig(alg, sum, unhex_(&b, sig), n, ret_key);
	buf_free(&b);
	return got;
}

static void i6_signature_behind_a_file(void **state)
{
	char long_sum[2 * sizeof(module_sum)];
	size_t key;

	(void)state;
	assert_int_equal(modsig_hex("sha256", module_sum, by_name, 2, &key), IMA_SIGNED_GOOD);
	assert_int_equal(key, 1);
	assert_int_equal(modsig_hex("sha256", module_sum, by_key_id, 2, &key), IMA_SIGNED_GOOD);
	assert_int_equal(key, 1);
	/* Another file; a digest of another algorithm, or none. */
	assert_int_equal(modsig_hex("sha256", file_sum, by_key_id, 2, &key), IMA_SIGNED_OTHER);
	assert_int_equal(modsig_hex("sha256", file_sum, by_name, 2, &key), IMA_SIGNED_UNKNOWN_KEY);
	(void)snprintf(long_sum, sizeof(long_sum), "%s%s", module_sum, module_sum);
	assert_int_equal(modsig_hex("sha512", long_sum, by_name, 2, &key), IMA_SIGNED_OTHER);
	assert_int_equal(modsig_hex("sm3", module_sum, by_name, 2, &key), IMA_SIGNED_OTHER);
	assert_int_equal(modsig_hex("sha256", NULL, by_name, 2, &key), IMA_SIGNED_FORM);
	/* Without the signer. */
	assert_int_equal(modsig_hex("sha256", module_sum, by_name, 1, &key), IMA_SIGNED_UNKNOWN_KEY);
	assert_int_equal(modsig_hex("sha256", module_sum, by_key_id, 1, &key), IMA_SIGNED_UNKNOWN_KEY);
	assert_int_equal(key, 1);
	assert_int_equal(modsig_hex("sha256", module_sum, by_name, 0, &key), IMA_SIGNED_UNKNOWN_KEY);
	assert_int_equal(modsig("sha256", module_sum, BYTES_NONE, 2, &key), IMA_SIGNED_ABSENT);
}

/* Cut at every byte, one byte more, each bit of the signature's value. */
static void i6_signature_behind_a_file_changed(void **state)
{
	cleanup_buf struct buf more = BUF_INIT(KIB);
	struct buf b;
	size_t key;

	(void)state;
	(void)unhex_(&b, by_key_id);
	for (size_t n = 1; n < b.n; n++)
		assert_int_equal(modsig("sha256", module_sum, BYTES(b.p, n), 2, &key), IMA_SIGNED_FORM);
	assert_ok(buf_add(&more, buf_bytes(&b)));
	assert_ok(buf_add_u8(&more, 0));
	assert_int_equal(modsig("sha256", module_sum, buf_bytes(&more), 2, &key), IMA_SIGNED_FORM);
	for (size_t i = 8 * (b.n - 30); i < 8 * b.n; i++) {
		b.p[i / 8] ^= (uint8_t)(1u << i % 8);
		assert_int_equal(modsig("sha256", module_sum, buf_bytes(&b), 2, &key), IMA_SIGNED_OTHER);
		b.p[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	buf_free(&b);
}

/* What is not over the file alone: its own content, signed attributes, two signers; and SHA-1. */
static void i6_messages_of_another_shape(void **state)
{
	static const struct {
		unsigned flags, signers;
		bool sha1;
		enum ima_signed want;
	} shapes[] = {
		{ CMS_DETACHED | CMS_NOATTR, 1, false, IMA_SIGNED_UNKNOWN_KEY },
		{ CMS_NOATTR, 1, false, IMA_SIGNED_FORM },
		{ CMS_DETACHED, 1, false, IMA_SIGNED_FORM },
		{ CMS_DETACHED | CMS_NOATTR, 2, false, IMA_SIGNED_FORM },
		{ CMS_DETACHED | CMS_NOATTR, 1, true, IMA_SIGNED_WEAK },
	};
	const struct cert_spec spec = { .common_name = "s", .path_len = -1, .not_after_s = 4000000000 };
	cleanup_cert struct cert *c = NULL;
	const unsigned char *at;
	X509 *x;
	size_t key;

	(void)state;
	assert_ok(cert_issue(&spec, stranger, NULL, stranger, &c));
	at = cert_der(c).p;
	x = d2i_X509(NULL, &at, (long)cert_der(c).n);
	assert_non_null(x);
	for (size_t i = 0; i < array_len(shapes); i++) {
		unsigned flags = shapes[i].flags | CMS_BINARY | CMS_NOCERTS;
		BIO *in = BIO_new_mem_buf("a file\n", 7);
		CMS_ContentInfo *cms = CMS_sign(NULL, NULL, NULL, in, flags | CMS_PARTIAL);
		unsigned char *der = NULL;
		int n;

		assert_non_null(cms);
		for (unsigned k = 0; k < shapes[i].signers; k++)
			assert_non_null(CMS_add1_signer(cms, x, key_evp(stranger), shapes[i].sha1 ? EVP_sha1() : EVP_sha256(),
							flags));
		assert_int_equal(CMS_final(cms, in, NULL, flags), 1);
		n = i2d_CMS_ContentInfo(cms, &der);
		assert_true(n > 0);
		assert_int_equal(modsig("sha256", module_sum, BYTES(der, (size_t)n), 2, &key), shapes[i].want);
		if (i == 0)
			assert_int_equal(modsig("sha256", file_sum, BYTES(der, (size_t)n), 2, &key), IMA_SIGNED_GOOD);
		OPENSSL_free(der);
		CMS_ContentInfo_free(cms);
		BIO_free(in);
	}
	X509_free(x);
}

#pragma GCC diagnostic ignored "-Woverride-init"
#ifdef __clang__
#pragma clang diagnostic ignored "-Winitializer-overrides"
#endif
/* An entry of evm-sig; what a test changes of it. */
struct evm {
	const char *sum, *sig, *names, *lengths, *values, *uid, *gid, *mode;
};
#define OF_HASH \
	.sum = file_sum, .sig = evm_of_hash, .names = "security.ima", .lengths = "22000000", .values = ima_hash, \
	.uid = "00000000", .gid = "00000000", .mode = "ed81"
static char with_capability[400]; /* the value of security.ima that is a signature, and the capability */
#define OF_SIG \
	.sum = file_sum, .sig = evm_of_sig, .names = "security.ima|security.capability", .lengths = "5000000014000000", \
	.values = with_capability, .uid = "e8030000", .gid = "07000000", .mode = "a481"

static enum ima_signed evm(const struct evm *t, size_t n, size_t *ret_key)
{
	cleanup_ima_list struct ima_list l;

	ima_list_init(&l);
	digest_hex(&l, "sha256", t->sum);
	ima_list_name(&l, BYTES_LIT("/usr/bin/file"));
	raw_hex(&l, t->sig);
	ima_list_name(&l, bytes_str(t->names));
	raw_hex(&l, t->lengths);
	raw_hex(&l, t->values);
	raw_hex(&l, t->uid);
	raw_hex(&l, t->gid);
	raw_hex(&l, t->mode);
	ima_list_end(&l, "evm-sig");
	return judge(&l, ima_evmsig_check, n, ret_key);
}

static void i6_evm_portable(void **state)
{
	const struct {
		const char *name;
		struct evm t;
		enum ima_signed want;
	} cases[] = {
		{ "over a hash", { OF_HASH }, IMA_SIGNED_GOOD },
		{ "over a signature", { OF_SIG }, IMA_SIGNED_GOOD },
		{ "another file", { OF_HASH, .sum = module_sum }, IMA_SIGNED_OTHER },
		{ "another file under its signature", { OF_SIG, .sum = module_sum }, IMA_SIGNED_OTHER },
		{ "another owner", { OF_HASH, .uid = "01000000" }, IMA_SIGNED_OTHER },
		{ "another group", { OF_HASH, .gid = "01000000" }, IMA_SIGNED_OTHER },
		{ "another mode", { OF_HASH, .mode = "ed89" }, IMA_SIGNED_OTHER },
		{ "no owner", { OF_HASH, .uid = "" }, IMA_SIGNED_FORM },
		{ "no mode", { OF_HASH, .mode = "" }, IMA_SIGNED_FORM },
		{ "no attributes", { OF_HASH, .names = "", .lengths = "", .values = "" }, IMA_SIGNED_FORM },
		{ "security.ima is another attribute", { OF_HASH, .names = "security.imb" }, IMA_SIGNED_FORM },
		{ "security.ima twice", { OF_SIG, .names = "security.ima|security.ima" }, IMA_SIGNED_FORM },
		{ "a name more", { OF_HASH, .names = "security.ima|security.x" }, IMA_SIGNED_FORM },
		{ "a length more", { OF_HASH, .lengths = "2200000000000000" }, IMA_SIGNED_FORM },
		{ "lengths of another byte order", { OF_HASH, .lengths = "00000022" }, IMA_SIGNED_FORM },
		{ "lengths that leave something", { OF_HASH, .lengths = "21000000" }, IMA_SIGNED_FORM },
		{ "attributes in another place",
		  { OF_SIG, .names = "security.capability|security.ima", .lengths = "1400000050000000" },
		  IMA_SIGNED_FORM },
		{ "of another type", { OF_HASH, .sig = ima_sig }, IMA_SIGNED_FORM },
	};
	size_t key;

	(void)state;
	(void)snprintf(with_capability, sizeof(with_capability), "%s%s", ima_sig, capability);
	for (size_t i = 0; i < array_len(cases); i++) {
		enum ima_signed got = evm(&cases[i].t, 2, &key);

		if (got != cases[i].want || key != (got == IMA_SIGNED_GOOD ? 1 : 2))
			fail_msg("%s: %d", cases[i].name, (int)got);
	}
	assert_int_equal(evm(&cases[0].t, 1, &key), IMA_SIGNED_UNKNOWN_KEY);
}

/* SHA-1 in the signature or in security.ima, version 3, and a signature that was cut. */
static void i6_evm_forms(void **state)
{
	static const struct {
		size_t at;
		const char *hex;
		enum ima_signed want;
	} in_sig[] = { { 0, "03", IMA_SIGNED_FORM }, { 1, "03", IMA_SIGNED_FORM }, { 2, "02", IMA_SIGNED_WEAK },
		       { 2, "01", IMA_SIGNED_FORM }, { 2, "05", IMA_SIGNED_OTHER }, { 3, "00", IMA_SIGNED_UNKNOWN_KEY } },
	  in_ima[] = { { 0, "01", IMA_SIGNED_WEAK }, { 1, "02", IMA_SIGNED_WEAK }, { 0, "02", IMA_SIGNED_FORM },
		       { 1, "05", IMA_SIGNED_OTHER } };
	char sig[sizeof(evm_of_hash)], ima[sizeof(ima_hash)];
	size_t key;

	(void)state;
	for (size_t i = 0; i < array_len(in_sig); i++) {
		const struct evm t = { OF_HASH, .sig = sig };

		(void)strcpy(sig, evm_of_hash);
		(void)memcpy(sig + 2 * in_sig[i].at, in_sig[i].hex, 2);
		assert_int_equal(evm(&t, 2, &key), in_sig[i].want);
	}
	for (size_t i = 0; i < array_len(in_ima); i++) {
		const struct evm t = { OF_HASH, .values = ima };

		(void)strcpy(ima, ima_hash);
		(void)memcpy(ima + 2 * in_ima[i].at, in_ima[i].hex, 2);
		assert_int_equal(evm(&t, 2, &key), in_ima[i].want);
	}
	(void)strcpy(sig, evm_of_hash);
	for (size_t n = strlen(sig) - 2; n > 0; n -= 2) {
		const struct evm t = { OF_HASH, .sig = sig };

		sig[n] = '\0';
		assert_int_equal(evm(&t, 2, &key), IMA_SIGNED_FORM);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(i6_signature_behind_a_file),
		cmocka_unit_test(i6_signature_behind_a_file_changed),
		cmocka_unit_test(i6_messages_of_another_shape),
		cmocka_unit_test(i6_evm_portable),
		cmocka_unit_test(i6_evm_forms),
	};

	return cmocka_run_group_tests_name("ima-sign-more", tests, set_up, tear_down);
}
