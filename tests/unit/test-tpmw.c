/* SPDX-License-Identifier: Apache-2.0 */
/* TPMS_ATTEST, TPML_PCR_SELECTION, TPMT_PUBLIC and Names: form, and what is made of it. */
#include "protocol/tpmw.h"

#include "base/wr.h"
#include "tests/support/softtpm.h"
#include "tests/unit/unit.h"

static struct softtpm *tpm;
static const struct pcr_selection selection = { .n = 1, .bank = { { TPM_ALG_SHA256, 0x00207f } } };

/* A copy of exactly n bytes, so that a sanitizer sees every overrun. */
static struct bytes exact(struct buf *b, struct bytes from, size_t n)
{
	uint8_t *p = malloc(n == 0 ? 1 : n);

	assert_non_null(p);
	memcpy(p, from.p, n);
	*b = (struct buf){ .p = p, .n = n, .cap = n, .max = n };
	return buf_bytes(b);
}

static void quote_of(struct bytes extra, struct buf *attest, struct buf *sig)
{
	buf_init(attest, LIMIT_TPM2B);
	buf_init(sig, LIMIT_TPM2B);
	assert_ok(softtpm_quote(tpm, tpm->ak, extra, &selection, attest, sig));
}

static void test_quote_parses(void **state)
{
	struct buf attest, sig;
	struct tpm_attest a;

	(void)state;
	quote_of(BYTES_LIT("0123456789abcdef"), &attest, &sig);
	assert_ok(tpm_attest_parse(buf_bytes(&attest), &a));
	assert_int_equal(a.magic, TPM_GENERATED);
	assert_int_equal(a.type, TPM_ST_ATTEST_QUOTE);
	assert_bytes(a.qualified_signer, tpm_name_bytes(&tpm->ak->qualified_name));
	assert_bytes(a.extra_data, BYTES_LIT("0123456789abcdef"));
	assert_int_equal(a.clock.reset_count, tpm->clock.reset_count);
	assert_int_equal(a.clock.restart_count, tpm->clock.restart_count);
	assert_int_equal(a.clock.safe, 1);
	assert_true(a.firmware_version == tpm->firmware_version);
	assert_true(pcr_selection_equal(&a.selection, &selection));
	assert_int_equal(a.pcr_digest.n, 32);
	assert_bytes(a.raw, buf_bytes(&attest));
	buf_free(&attest);
	buf_free(&sig);
}

static void test_certify_parses(void **state)
{
	cleanup_softtpm_key struct softtpm_key *wk = NULL;
	cleanup_buf struct buf attest = BUF_INIT(LIMIT_TPM2B), sig = BUF_INIT(LIMIT_TPM2B);
	struct tpm_attest a;

	(void)state;
	assert_ok(softtpm_workload_key(tpm, &wk));
	assert_ok(softtpm_certify(tpm, tpm->ak, wk, BYTES_LIT("x"), &attest, &sig));
	assert_ok(tpm_attest_parse(buf_bytes(&attest), &a));
	assert_int_equal(a.type, TPM_ST_ATTEST_CERTIFY);
	assert_bytes(a.name, tpm_name_bytes(&wk->name));
	assert_bytes(a.qualified_name, tpm_name_bytes(&wk->qualified_name));
}

static void test_Q1_one_trailing_byte(void **state)
{
	struct buf attest, sig;
	struct tpm_attest a = { .type = 0x1234 };

	(void)state;
	quote_of(BYTES_LIT("n"), &attest, &sig);
	assert_ok(buf_add_u8(&attest, 0));
	assert_err(tpm_attest_parse(buf_bytes(&attest), &a), E_PEER_TRAILING);
	assert_int_equal(a.type, 0x1234);
	buf_free(&attest);
	buf_free(&sig);
}

static void test_Q1_cut_at_every_length(void **state)
{
	struct buf attest, sig;

	(void)state;
	quote_of(BYTES_LIT("0123456789abcdef0123456789abcdef"), &attest, &sig);
	for (size_t n = 0; n < attest.n; n++) {
		cleanup_buf struct buf cut = BUF_INIT(0);
		struct tpm_attest a;

		assert_err(tpm_attest_parse(exact(&cut, buf_bytes(&attest), n), &a), E_PEER_TRUNCATED);
	}
	for (size_t n = 0; n < sig.n; n++) {
		cleanup_buf struct buf cut = BUF_INIT(0);
		struct tpm_signature s;

		assert_err(tpm_signature_parse(exact(&cut, buf_bytes(&sig), n), &s), E_PEER_TRUNCATED);
	}
	buf_free(&attest);
	buf_free(&sig);
}

/* Offsets of the TPM2B sizes in the quote that quote_of() makes with 32 bytes of extraData. */
static const size_t size_offsets[] = {
	6,                               /* qualifiedSigner */
	6 + 2 + 34,                      /* extraData */
	6 + 2 + 34 + 2 + 32 + 25 + 4 + 6, /* pcrDigest */
};

static void test_Q1_each_size_changed(void **state)
{
	static const struct {
		int by;
		uint16_t to;
	} changes[] = { { 0, 0 }, { 1, 0 }, { 0, 0xffff } };
	struct buf attest, sig;

	(void)state;
	quote_of(BYTES_LIT("0123456789abcdef0123456789abcdef"), &attest, &sig);
	for (size_t i = 0; i < array_len(size_offsets); i++) {
		for (size_t c = 0; c < array_len(changes); c++) {
			uint8_t *p = attest.p + size_offsets[i], old[2] = { p[0], p[1] };
			uint16_t was = (uint16_t)(p[0] << 8 | p[1]);
			uint16_t now = changes[c].by != 0 ? (uint16_t)(was + 1) : changes[c].to;
			struct tpm_attest a;

			assert_true(was == 34 || was == 32);
			p[0] = (uint8_t)(now >> 8);
			p[1] = (uint8_t)(now & 0xff);
			assert_true(failed(tpm_attest_parse(buf_bytes(&attest), &a)));
			memcpy(p, old, 2);
		}
	}
	buf_free(&attest);
	buf_free(&sig);
}

/* A parser that searches for byte patterns would stumble here. */
static void test_Q1_nonce_that_looks_like_structure(void **state)
{
	static const uint8_t nonce[] = { 0xff, 0x54, 0x43, 0x47, 0x80, 0x18, 0x00, 0x22, 0x00, 0x24, 0x00, 0x20, 0xff };
	struct buf attest, sig;
	struct tpm_attest a;

	(void)state;
	quote_of(BYTES_ARR(nonce), &attest, &sig);
	assert_ok(tpm_attest_parse(buf_bytes(&attest), &a));
	assert_bytes(a.extra_data, BYTES_ARR(nonce));
	assert_true(pcr_selection_equal(&a.selection, &selection));
	buf_free(&attest);
	buf_free(&sig);
}

static void test_attest_values_out_of_range(void **state)
{
	cleanup_buf struct buf big = BUF_INIT(LIMIT_TPM2B + 1);
	struct buf attest, sig;
	struct tpm_attest a;

	(void)state;
	quote_of(BYTES_LIT("n"), &attest, &sig);
	attest.p[6 + 2 + 34 + 2 + 1 + 16] = 2; /* safe */
	assert_err(tpm_attest_parse(buf_bytes(&attest), &a), E_PEER_RANGE);
	assert_ok(buf_reserve(&big, LIMIT_TPM2B + 1));
	memset(big.p, 0, LIMIT_TPM2B + 1);
	assert_err(tpm_attest_parse(BYTES(big.p, LIMIT_TPM2B + 1), &a), E_LIMIT_SIZE);
	buf_free(&attest);
	buf_free(&sig);
}

/* Magic and type are the caller's to judge; a body that nobody reads does not matter. */
static void test_attest_of_other_types(void **state)
{
	static const uint16_t types[] = { 0x8014, 0x8015, 0x8016, 0x8019, 0x801a, 0x0000 };
	struct tpm_attest in = { .magic = 0x12345678 }, a;

	(void)state;
	for (size_t i = 0; i < array_len(types); i++) {
		cleanup_buf struct buf b = BUF_INIT(LIMIT_TPM2B);

		in.type = types[i];
		assert_ok(softtpm_attest_write(&in, BYTES_LIT("some body"), &b));
		assert_ok(tpm_attest_parse(buf_bytes(&b), &a));
		assert_int_equal(a.magic, 0x12345678);
		assert_int_equal(a.type, types[i]);
		assert_int_equal(a.selection.n, 0);
		assert_int_equal(a.name.n, 0);
	}
}

static const struct {
	const char *what, *hex;
	enum err_code want;
} selections[] = {
	{ "none", "00000000", E_OK },
	{ "one bank", "00000001000b03ff7f00", E_OK },
	{ "one octet", "00000001000b01ff", E_OK },
	{ "four octets", "00000001000b04ffffff00", E_OK },
	{ "two banks", "00000002000403000001000b03010000", E_OK },
	{ "unknown bank", "00000001002703010000", E_OK },
	{ "no octet", "00000001000b00", E_PEER_RANGE },
	{ "five octets", "00000001000b050000000000", E_PEER_RANGE },
	{ "PCR 24", "00000001000b0400000001", E_PEER_RANGE },
	{ "PCR 31", "00000001000b0400000080", E_PEER_RANGE },
	{ "bank twice", "00000002000b03010000000b03020000", E_PEER_DUPLICATE },
	{ "six banks", "00000006", E_LIMIT_COUNT },
	{ "2^32-1 banks", "ffffffff", E_LIMIT_COUNT },
	{ "count short", "000000", E_PEER_TRUNCATED },
	{ "bank missing", "00000002000b03010000", E_PEER_TRUNCATED },
	{ "octets short", "00000001000b03ff7f", E_PEER_TRUNCATED },
	{ "trailing byte", "00000001000b03ff7f0000", E_PEER_TRAILING },
};

static void test_selection_form(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(selections); i++) {
		struct pcr_selection s = { .n = 99 }, again = { 0 };
		cleanup_buf struct buf in = BUF_INIT(0), out = BUF_INIT(64);

		assert_code(pcr_selection_parse(unhex_(&in, selections[i].hex), &s), selections[i].want);
		if (selections[i].want != E_OK) {
			assert_int_equal(s.n, 99);
			continue;
		}
		assert_ok(pcr_selection_write(&s, &out));
		assert_ok(pcr_selection_parse(buf_bytes(&out), &again));
		assert_true(pcr_selection_equal(&s, &again));
	}
}

static void test_selection_compare_and_count(void **state)
{
	struct pcr_selection a = { 2, { { TPM_ALG_SHA256, 0x800001 }, { TPM_ALG_SHA384, 0 } } }, b = a;
	struct pcr_selection too_high = { 1, { { TPM_ALG_SHA256, 0x1000000 } } };
	cleanup_buf struct buf out = BUF_INIT(64);

	(void)state;
	assert_int_equal(pcr_selection_count(&a), 2);
	assert_true(pcr_selection_equal(&a, &b));
	b.bank[1].mask = 1;
	assert_false(pcr_selection_equal(&a, &b));
	b = a;
	b.bank[1].hash_alg = TPM_ALG_SHA512;
	assert_false(pcr_selection_equal(&a, &b));
	b = a;
	b.n = 1;
	assert_false(pcr_selection_equal(&a, &b));
	/* An empty bank more is another selection: that is how a bank that is off shows. */
	assert_false(pcr_selection_equal(&b, &a));
	assert_err(pcr_selection_write(&too_high, &out), E_BUG);
	too_high.n = LIMIT_BANKS + 1;
	too_high.bank[0].mask = 1;
	assert_err(pcr_selection_write(&too_high, &out), E_BUG);
	assert_int_equal(out.n, 0);
}

static void test_Q11_digest_over_values(void **state)
{
	static const struct pcr_selection two = { 2, { { TPM_ALG_SHA1, 0x1 }, { TPM_ALG_SHA256, 0x2002 } } };
	struct digest values[3], swapped[3], d, other;
	struct pcr_selection got;
	size_t n = 0;

	(void)state;
	assert_ok(softtpm_event(tpm, 1, BYTES_LIT("firmware")));
	softtpm_pcr_read(tpm, &two, &got, values, &n);
	assert_int_equal(n, 3);
	assert_ok(tpm_pcr_digest(DIGEST_SHA256, n, values, &d));
	swapped[0] = values[0];
	swapped[1] = values[2];
	swapped[2] = values[1];
	assert_ok(tpm_pcr_digest(DIGEST_SHA256, n, swapped, &other));
	assert_false(bytes_eq(digest_bytes(&d), digest_bytes(&other)));
	assert_ok(tpm_pcr_digest(DIGEST_SHA384, n, values, &other));
	assert_int_equal(other.n, 48);
	assert_ok(tpm_pcr_digest(DIGEST_SHA256, n - 1, values, &other));
	assert_false(bytes_eq(digest_bytes(&d), digest_bytes(&other)));
	assert_err(tpm_pcr_digest(DIGEST_SHA256, LIMIT_BANKS * LIMIT_PCRS + 1, values, &other), E_LIMIT_COUNT);
}

/* Quote over a bank that is off: what a TPM then says is the digest of nothing. */
static void test_Q11_digest_of_nothing(void **state)
{
	static const struct pcr_selection off = { 1, { { TPM_ALG_SHA512, 0xffffff } } };
	cleanup_buf struct buf attest = BUF_INIT(LIMIT_TPM2B), sig = BUF_INIT(LIMIT_TPM2B), want = BUF_INIT(0);
	struct tpm_attest a;

	(void)state;
	assert_ok(softtpm_quote(tpm, tpm->ak, BYTES_LIT("n"), &off, &attest, &sig));
	assert_ok(tpm_attest_parse(buf_bytes(&attest), &a));
	assert_false(pcr_selection_equal(&a.selection, &off));
	assert_int_equal(pcr_selection_count(&a.selection), 0);
	assert_bytes(a.pcr_digest,
		     unhex_(&want, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
}

/* True where the bit lies in a field that the expected structure copies over. */
static bool free_bit(size_t byte)
{
	return (byte >= 8 && byte < 42) ||  /* qualifiedSigner, judged by Q14 */
	       (byte >= 76 && byte < 92) || /* clock, resetCount, restartCount: judged by the clock rule */
	       byte == 92 ||                /* safe: 0 or 1 */
	       (byte >= 93 && byte < 101);  /* firmwareVersion: a change is a warning */
}

static void test_Q16_expected_quote_leaves_only_named_bits(void **state)
{
	static const uint8_t extra[32] = { 7 };
	struct buf attest, sig;
	struct tpm_attest a;
	struct bytes digest;
	size_t n_free = 0;

	(void)state;
	quote_of(BYTES_ARR(extra), &attest, &sig);
	assert_ok(tpm_attest_parse(buf_bytes(&attest), &a));
	digest = a.pcr_digest;
	for (size_t bit = 0; bit < attest.n * 8; bit++) {
		cleanup_buf struct buf flipped = BUF_INIT(0), want = BUF_INIT(LIMIT_TPM2B);
		struct bytes in = exact(&flipped, buf_bytes(&attest), attest.n);
		struct tpm_attest got;

		flipped.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (failed(tpm_attest_parse(in, &got)))
			continue;
		assert_ok(tpm_quote_expected(&got, BYTES_ARR(extra), &selection, digest, &want));
		if (!bytes_eq(buf_bytes(&want), in))
			continue;
		assert_true(free_bit(bit / 8));
		n_free++;
	}
	assert_int_equal(n_free, 8 * (34 + 16 + 8) + 1);
	buf_free(&attest);
	buf_free(&sig);
}

static void test_Q16_expected_certify(void **state)
{
	cleanup_softtpm_key struct softtpm_key *wk = NULL, *other = NULL;
	cleanup_buf struct buf attest = BUF_INIT(LIMIT_TPM2B), sig = BUF_INIT(LIMIT_TPM2B);
	cleanup_buf struct buf want = BUF_INIT(LIMIT_TPM2B);
	struct tpm_attest a;

	(void)state;
	assert_ok(softtpm_workload_key(tpm, &wk));
	assert_ok(softtpm_workload_key(tpm, &other));
	assert_ok(softtpm_certify(tpm, tpm->ak, wk, BYTES_LIT("x"), &attest, &sig));
	assert_ok(tpm_attest_parse(buf_bytes(&attest), &a));
	assert_ok(tpm_certify_expected(&a, BYTES_LIT("x"), &wk->name, &wk->qualified_name, &want));
	assert_bytes(buf_bytes(&want), buf_bytes(&attest));
	buf_clear(&want);
	assert_ok(tpm_certify_expected(&a, BYTES_LIT("y"), &wk->name, &wk->qualified_name, &want));
	assert_false(bytes_eq(buf_bytes(&want), buf_bytes(&attest)));
	buf_clear(&want);
	assert_ok(tpm_certify_expected(&a, BYTES_LIT("x"), &other->name, &wk->qualified_name, &want));
	assert_false(bytes_eq(buf_bytes(&want), buf_bytes(&attest)));
	buf_clear(&want);
	assert_ok(tpm_certify_expected(&a, BYTES_LIT("x"), &wk->name, &other->qualified_name, &want));
	assert_false(bytes_eq(buf_bytes(&want), buf_bytes(&attest)));
}

/* Primary of the null hierarchy as swtpm 0.7.1 made it: TPMT_PUBLIC, Name and qualified name. */
static const char null_area[] = "0023000b00030072000000060080004300100003001000"
				"20a89bb6a28c46114a52a409e44816683cf8f655ab8d502af2ce8e6bf447843292"
				"0020528300193c905d70241d2202966d9589243ec54db42913fd60849049b86174a9";
static const char null_name[] = "000b0b7575bfd6d744f261eb67862387103cb4ae8f2826c9e7d35118957b53a49cde";
static const char null_qualified[] = "000bb188caf8a8e46966ad98f76c643605c867a2ac8fc535acedd02e753815b44add";

static void test_Q14_K1_names_as_a_tpm_makes_them(void **state)
{
	cleanup_buf struct buf area = BUF_INIT(0), name = BUF_INIT(0), qualified = BUF_INIT(0);
	struct tpm_public p;
	struct tpm_name n, q;

	(void)state;
	assert_ok(tpm_public_parse(unhex_(&area, null_area), &p));
	assert_ok(tpm_public_name(&p, &n));
	assert_bytes(tpm_name_bytes(&n), unhex_(&name, null_name));
	assert_ok(tpm_qualified_name_primary(TPM_RH_NULL, &n, &q));
	assert_bytes(tpm_name_bytes(&q), unhex_(&qualified, null_qualified));
	assert_ok(tpm_qualified_name_primary(TPM_RH_OWNER, &n, &q));
	assert_false(bytes_eq(tpm_name_bytes(&q), buf_bytes(&qualified)));
	p.name_alg = 0x0027;
	assert_err(tpm_public_name(&p, &n), E_PEER_UNSUPPORTED);
}

static void test_Q14_child_depends_on_parent(void **state)
{
	struct tpm_name parent = tpm->null_primary->qualified_name, a, b;
	struct digest d;

	(void)state;
	assert_ok(tpm_qualified_name_child(&parent, &tpm->ak->name, &a));
	const struct bytes parts[] = { tpm_name_bytes(&parent), tpm_name_bytes(&tpm->ak->name) };
	assert_ok(digest_of(DIGEST_SHA256, &d, 2, parts));
	assert_int_equal(a.v[0] << 8 | a.v[1], TPM_ALG_SHA256);
	assert_bytes(BYTES(a.v + 2, a.n - 2u), digest_bytes(&d));
	parent.v[5] ^= 1;
	assert_ok(tpm_qualified_name_child(&parent, &tpm->ak->name, &b));
	assert_false(bytes_eq(tpm_name_bytes(&a), tpm_name_bytes(&b)));
}

static void test_Q14_name_of_wrong_form(void **state)
{
	static const char *const bad[] = {
		"",
		"00",
		"000b",
		"000b00",
		/* one byte short, one long, unknown algorithm, length of another algorithm */
		"000b7575bfd6d744f261eb67862387103cb4ae8f2826c9e7d35118957b53a49cde",
		"000b000b7575bfd6d744f261eb67862387103cb4ae8f2826c9e7d35118957b53a49cde",
		"00270b7575bfd6d744f261eb67862387103cb4ae8f2826c9e7d35118957b53a49cde",
		"000c0b7575bfd6d744f261eb67862387103cb4ae8f2826c9e7d35118957b53a49cde",
	};
	struct tpm_name n = { .n = 7 }, good;
	cleanup_buf struct buf name = BUF_INIT(0);

	(void)state;
	for (size_t i = 0; i < array_len(bad); i++) {
		cleanup_buf struct buf in = BUF_INIT(0);

		assert_err(tpm_name_parse(unhex_(&in, bad[i]), &n), E_PEER_RANGE);
		assert_int_equal(n.n, 7);
	}
	assert_ok(tpm_name_parse(unhex_(&name, null_name), &good));
	assert_bytes(tpm_name_bytes(&good), buf_bytes(&name));
	good.n--;
	assert_err(tpm_qualified_name_primary(TPM_RH_NULL, &good, &n), E_PEER_RANGE);
}

static void test_K1_one_bit_changes_the_name(void **state)
{
	cleanup_buf struct buf area = BUF_INIT(0);
	struct bytes in = unhex_(&area, null_area);
	struct tpm_public p;
	struct tpm_name first, n;

	(void)state;
	assert_ok(tpm_public_parse(in, &p));
	assert_ok(tpm_public_name(&p, &first));
	for (size_t bit = 0; bit < area.n * 8; bit++) {
		area.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (!failed(tpm_public_parse(in, &p))) {
			assert_ok(tpm_public_name(&p, &n));
			assert_false(bytes_eq(tpm_name_bytes(&first), tpm_name_bytes(&n)));
		}
		area.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static int setup(void **state)
{
	const struct softtpm_options o = { .ek = SOFTTPM_EK_P256,
					   .ak = SOFTTPM_AK_P256,
					   .banks = 1u << DIGEST_SHA1 | 1u << DIGEST_SHA256 };

	(void)state;
	return failed(softtpm_new(&o, &tpm));
}

static int teardown(void **state)
{
	(void)state;
	softtpm_free(tpm);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quote_parses),
		cmocka_unit_test(test_certify_parses),
		cmocka_unit_test(test_Q1_one_trailing_byte),
		cmocka_unit_test(test_Q1_cut_at_every_length),
		cmocka_unit_test(test_Q1_each_size_changed),
		cmocka_unit_test(test_Q1_nonce_that_looks_like_structure),
		cmocka_unit_test(test_attest_values_out_of_range),
		cmocka_unit_test(test_attest_of_other_types),
		cmocka_unit_test(test_selection_form),
		cmocka_unit_test(test_selection_compare_and_count),
		cmocka_unit_test(test_Q11_digest_over_values),
		cmocka_unit_test(test_Q11_digest_of_nothing),
		cmocka_unit_test(test_Q16_expected_quote_leaves_only_named_bits),
		cmocka_unit_test(test_Q16_expected_certify),
		cmocka_unit_test(test_Q14_K1_names_as_a_tpm_makes_them),
		cmocka_unit_test(test_Q14_child_depends_on_parent),
		cmocka_unit_test(test_Q14_name_of_wrong_form),
		cmocka_unit_test(test_K1_one_bit_changes_the_name),
	};

	return cmocka_run_group_tests_name("tpmw", tests, setup, teardown);
}
