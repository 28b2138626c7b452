/* SPDX-License-Identifier: Apache-2.0 */
/* Quotes, keys and Names of real and virtual machines: $ASSAY_DATA/quotes and $ASSAY_DATA/boots. */
#include "protocol/tpmw.h"

#include <fcntl.h>

#include "base/file.h"
#include "base/json.h"
#include "tests/unit/unit.h"

static const char *data;

static struct bytes load(const char *folder, const char *file, struct buf *ret)
{
	char path[LIMIT_PATH];

	buf_init(ret, LIMIT_SMALL);
	assert_true(snprintf(path, sizeof(path), "%s/%s/%s", data, folder, file) < (int)sizeof(path));
	assert_ok(file_read(AT_FDCWD, path, ret));
	return buf_bytes(ret);
}

/* PCR values of one bank from {"0":"hex",...}, in the order of the mask. */
static size_t values_from_json(const char *folder, uint32_t mask, struct digest *ret)
{
	cleanup_buf struct buf text = BUF_INIT(0);
	cleanup_json json_t *j = NULL;
	struct jobj o;
	size_t n = 0;

	load(folder, "pcrs.json", &text);
	assert_ok(json_parse(buf_bytes(&text), LIMIT_SMALL, &j, NULL));
	assert_ok(jobj_init(&o, j, "", NULL));
	for (unsigned pcr = 0; pcr < LIMIT_PCRS; pcr++) {
		const char *hex = NULL;
		char key[8];

		if ((mask >> pcr & 1) == 0)
			continue;
		(void)snprintf(key, sizeof(key), "%u", pcr);
		assert_ok(jobj_str(&o, key, 2 * DIGEST_MAX, &hex));
		ret[n].n = (uint8_t)(strlen(hex) / 2);
		assert_ok(hex_decode_exact(bytes_str(hex), ret[n].v, ret[n].n));
		n++;
	}
	return n;
}

static void check_pcr_digest(const char *folder, const struct tpm_attest *a, enum digest_id hash)
{
	struct digest values[LIMIT_PCRS], d;
	size_t n;

	assert_int_equal(a->selection.n, 1);
	n = values_from_json(folder, a->selection.bank[0].mask, values);
	assert_int_equal(n, pcr_selection_count(&a->selection));
	assert_ok(tpm_pcr_digest(hash, n, values, &d));
	assert_bytes(digest_bytes(&d), a->pcr_digest);
	if (n > 1) {
		const struct digest first = values[0];

		values[0] = values[4];
		values[4] = first;
		assert_ok(tpm_pcr_digest(hash, n, values, &d));
		assert_false(bytes_eq(digest_bytes(&d), a->pcr_digest));
	}
}

/* The whole structure, written again from what was parsed, has the same bytes. */
static void check_whole(const struct tpm_attest *a)
{
	cleanup_buf struct buf want = BUF_INIT(LIMIT_TPM2B);

	assert_ok(tpm_quote_expected(a, a->extra_data, &a->selection, a->pcr_digest, &want));
	assert_bytes(buf_bytes(&want), a->raw);
}

static void test_quote_of_a_cloud_machine(void **state)
{
	static const char folder[] = "quotes/go-tpm-tools-gce-cos-85-no-nonce-sha256";
	cleanup_buf struct buf area = BUF_INIT(0), msg = BUF_INIT(0), sig = BUF_INIT(0);
	cleanup_key struct key *k = NULL;
	enum sig_scheme scheme = SIG_NONE;
	enum digest_id hash = DIGEST_SHA1;
	struct tpm_public p;
	struct tpm_attest a;
	struct tpm_signature s;
	struct tpm_name name, qualified;

	(void)state;
	assert_ok(tpm_public_parse(load(folder, "ak.tpmt_public", &area), &p));
	assert_ok(tpm_check_ak(&p, NULL));
	assert_ok(tpm_public_scheme(&p, &scheme, &hash));
	assert_int_equal(scheme, SIG_RSASSA);
	assert_int_equal(hash, DIGEST_SHA256);
	assert_ok(tpm_public_key(&p, &k));
	assert_ok(tpm_attest_parse(load(folder, "quote.msg", &msg), &a));
	assert_ok(tpm_signature_parse(load(folder, "quote.sig", &sig), &s));
	assert_ok(tpm_signature_verify(&s, k, scheme, hash, a.raw));
	assert_err(tpm_signature_verify(&s, k, SIG_RSAPSS, hash, a.raw), E_PEER_UNSUPPORTED);
	check_pcr_digest(folder, &a, DIGEST_SHA256);
	check_whole(&a);
	assert_int_equal(a.clock.reset_count, 10);
	assert_true(a.clock.clock_ms == 8219152533);
	assert_int_equal(a.extra_data.n, 0);
	/* A primary key of the endorsement hierarchy. */
	assert_ok(tpm_public_name(&p, &name));
	assert_ok(tpm_qualified_name_primary(TPM_RH_ENDORSEMENT, &name, &qualified));
	assert_bytes(tpm_name_bytes(&qualified), a.qualified_signer);
	msg.p[20] ^= 1;
	assert_err(tpm_signature_verify(&s, k, scheme, hash, a.raw), E_AUTH_SIGNATURE);
}

/* RSASSA with SHA-1, an owner-hierarchy key: parsed, never verified. */
static void test_Q7_quote_signed_with_sha1(void **state)
{
	static const char folder[] = "quotes/go-attestation-windows-gcp-sha1";
	cleanup_buf struct buf area = BUF_INIT(0), msg = BUF_INIT(0), sig = BUF_INIT(0);
	cleanup_key struct key *k = NULL;
	enum sig_scheme scheme = SIG_NONE;
	enum digest_id hash = DIGEST_SHA512;
	struct reason why = { "" };
	struct tpm_public p;
	struct tpm_attest a;
	struct tpm_signature s;

	(void)state;
	assert_ok(tpm_public_parse(load(folder, "ak.tpmt_public", &area), &p));
	assert_int_equal(p.auth_policy.n, 32);
	assert_err(tpm_check_ak(&p, &why), E_PEER_RANGE);
	assert_non_null(strstr(why.text, "hash of the scheme"));
	assert_err(tpm_public_scheme(&p, &scheme, &hash), E_PEER_UNSUPPORTED);
	assert_ok(tpm_public_key(&p, &k));
	assert_ok(tpm_attest_parse(load(folder, "quote.msg", &msg), &a));
	assert_ok(tpm_signature_parse(load(folder, "quote.sig", &sig), &s));
	assert_err(tpm_signature_verify(&s, k, SIG_RSASSA, DIGEST_SHA1, a.raw), E_PEER_UNSUPPORTED);
	assert_err(tpm_signature_verify(&s, k, SIG_RSASSA, DIGEST_SHA256, a.raw), E_PEER_UNSUPPORTED);
	check_pcr_digest(folder, &a, DIGEST_SHA1);
	check_whole(&a);
}

static void test_quote_with_a_pem_key(void **state)
{
	static const char folder[] = "quotes/keylime-tpm_util_test";
	cleanup_buf struct buf pem = BUF_INIT(0), msg = BUF_INIT(0), sig = BUF_INIT(0), nonce = BUF_INIT(0);
	cleanup_key struct key *k = NULL;
	struct tpm_attest a;
	struct tpm_signature s;

	(void)state;
	assert_ok(key_from_pem(load(folder, "ak.pub.pem", &pem), &k));
	assert_ok(tpm_attest_parse(load(folder, "quote.msg", &msg), &a));
	assert_ok(tpm_signature_parse(load(folder, "quote.sig", &sig), &s));
	assert_ok(tpm_signature_verify(&s, k, SIG_RSASSA, DIGEST_SHA256, a.raw));
	assert_bytes(a.extra_data, load(folder, "nonce.bin", &nonce));
	check_pcr_digest(folder, &a, DIGEST_SHA256);
	check_whole(&a);
}

/* A hex value behind a label in a text file. */
static void hex_after(const char *folder, const char *file, const char *label, struct buf *ret)
{
	cleanup_buf struct buf text = BUF_INIT(0);
	const char *s = NULL, *at;

	load(folder, file, &text);
	assert_ok(buf_cstr(&text, &s));
	at = strstr(s, label);
	assert_non_null(at);
	at += strlen(label);
	at += strspn(at, " ");
	buf_free(ret);
	buf_init(ret, LIMIT_TPM2B);
	assert_ok(hex_decode(BYTES(at, strspn(at, "0123456789abcdefABCDEF")), ret));
}

static const char *const boots[] = { "boots/grub-ms", "boots/uki-tis" };

static void test_boots_ecc_quote(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(boots); i++) {
		cleanup_buf struct buf area = BUF_INIT(0), msg = BUF_INIT(0), sig = BUF_INIT(0), name = BUF_INIT(0);
		cleanup_buf struct buf qualified = BUF_INIT(0), nonce = BUF_INIT(0);
		cleanup_key struct key *k = NULL;
		struct tpm_public p;
		struct tpm_attest a;
		struct tpm_signature s;
		struct tpm_name n;

		assert_ok(tpm2b_public_parse(load(boots[i], "ak-ecc.tpmt", &area), &p));
		assert_ok(tpm_check_ak(&p, NULL));
		assert_ok(tpm_public_name(&p, &n));
		assert_bytes(tpm_name_bytes(&n), load(boots[i], "ak-ecc.name", &name));
		assert_ok(tpm_public_key(&p, &k));
		assert_ok(tpm_attest_parse(load(boots[i], "quote-ecc.msg", &msg), &a));
		assert_ok(tpm_signature_parse(load(boots[i], "quote-ecc.sig", &sig), &s));
		assert_ok(tpm_signature_verify(&s, k, SIG_ECDSA, DIGEST_SHA256, a.raw));
		check_whole(&a);
		hex_after(boots[i], "ak-ecc.yaml", "qualified name:", &qualified);
		assert_bytes(a.qualified_signer, buf_bytes(&qualified));
		hex_after(boots[i], "nonce.hex", "", &nonce);
		assert_bytes(a.extra_data, buf_bytes(&nonce));
		hex_after(boots[i], "quote-ecc.yaml", "calcDigest:", &nonce);
		assert_bytes(a.pcr_digest, buf_bytes(&nonce));
	}
}

/* The AKs of these machines are children of the EK, so their qualified name goes over the EK's. */
static void test_Q14_qualified_name_of_a_child(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(boots); i++) {
		cleanup_buf struct buf ek = BUF_INIT(0), name = BUF_INIT(0), qualified = BUF_INIT(0);
		struct tpm_name n, ek_name, ek_qualified, child;
		struct tpm_public p;

		assert_ok(tpm2b_public_parse(load(boots[i], "ek-rsa.pub", &ek), &p));
		assert_ok(tpm_check_ek(&p, NULL));
		assert_ok(tpm_public_name(&p, &ek_name));
		assert_ok(tpm_qualified_name_primary(TPM_RH_ENDORSEMENT, &ek_name, &ek_qualified));
		assert_ok(tpm_name_parse(load(boots[i], "ak-ecc.name", &name), &n));
		assert_ok(tpm_qualified_name_child(&ek_qualified, &n, &child));
		hex_after(boots[i], "ak-ecc.yaml", "qualified name:", &qualified);
		assert_bytes(tpm_name_bytes(&child), buf_bytes(&qualified));
	}
}

static void test_boots_rsa_quote(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(boots); i++) {
		cleanup_buf struct buf pem = BUF_INIT(0), msg = BUF_INIT(0), sig = BUF_INIT(0);
		cleanup_key struct key *k = NULL;
		struct tpm_attest a;
		struct tpm_signature s;

		assert_ok(key_from_pem(load(boots[i], "ak-rsa.pub.pem", &pem), &k));
		assert_ok(tpm_attest_parse(load(boots[i], "quote-rsa.msg", &msg), &a));
		assert_ok(tpm_signature_parse(load(boots[i], "quote-rsa.sig", &sig), &s));
		assert_ok(tpm_signature_verify(&s, k, SIG_RSASSA, DIGEST_SHA256, a.raw));
		check_whole(&a);
		sig.p[sig.n - 1] ^= 1;
		assert_err(tpm_signature_verify(&s, k, SIG_RSASSA, DIGEST_SHA256, a.raw), E_AUTH_SIGNATURE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quote_of_a_cloud_machine),
		cmocka_unit_test(test_Q7_quote_signed_with_sha1),
		cmocka_unit_test(test_quote_with_a_pem_key),
		cmocka_unit_test(test_boots_ecc_quote),
		cmocka_unit_test(test_Q14_qualified_name_of_a_child),
		cmocka_unit_test(test_boots_rsa_quote),
	};

	data = getenv("ASSAY_DATA");
	if (data == NULL || access(data, R_OK) != 0) {
		puts("1..0 # SKIP ASSAY_DATA names no folder");
		return 0;
	}
	return cmocka_run_group_tests_name("tpmw-data", tests, NULL, NULL);
}
