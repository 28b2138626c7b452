/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/pe.h"

#include "pe-fixture.h"

static const struct fix_section three[] = {
	{ ".text", "code and more code", 0 },
	{ ".bss", "", 64 },
	{ ".data", "data", 0 },
};

static void build(struct buf *b)
{
	buf_init(b, MIB);
	pe_build(b, three, array_len(three));
}

/* A copy of exactly its size, so that a sanitizer sees every overrun. */
static struct err parse(struct bytes in, struct pe *ret, struct reason *why)
{
	uint8_t *copy = malloc(in.n == 0 ? 1 : in.n);
	struct err e;

	assert_non_null(copy);
	if (in.n > 0)
		memcpy(copy, in.p, in.n);
	e = pe_parse(BYTES(copy, in.n), ret, why);
	free(copy);
	return e;
}

static void reads_sections(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(0);
	struct pe pe;
	size_t zeros;

	(void)state;
	build(&b);
	assert_ok(pe_parse(buf_bytes(&b), &pe, NULL));
	assert_int_equal(pe.machine, 0x8664);
	assert_true(pe.plus);
	assert_int_equal(pe.n_sections, 3);
	assert_string_equal(pe.section[1].name, ".bss");
	assert_int_equal(pe.section[0].data.n, 32);
	assert_bytes(pe_section_memory(pe_section_by_name(&pe, ".data"), &zeros), BYTES_LIT("data"));
	assert_int_equal(zeros, 0);
	assert_int_equal(pe_section_memory(&pe.section[1], &zeros).n, 0);
	assert_int_equal(zeros, 64);
	assert_null(pe_section_by_name(&pe, ".dat"));
	assert_int_equal(pe.certificates.n, 0);
	assert_int_equal(pe.n_hole, 0);
}

/* The digest, spelled out: header without two fields, then sections, then what is left. */
static void digest_is_that_of_the_specification(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(0);
	struct digest got, want;
	struct pe pe;

	(void)state;
	build(&b);
	assert_ok(buf_add(&b, BYTES_LIT("behind all sections")));
	assert_ok(pe_parse(buf_bytes(&b), &pe, NULL));
	for (unsigned alg = DIGEST_SHA1; alg <= DIGEST_SHA512; alg++) {
		const struct bytes parts[] = {
			BYTES(b.p, FIX_CHECKSUM),
			BYTES(b.p + FIX_CHECKSUM + 4, FIX_CERT - FIX_CHECKSUM - 4),
			BYTES(b.p + FIX_CERT + 8, b.n - FIX_CERT - 8),
		};

		assert_ok(digest_of((enum digest_id)alg, &want, array_len(parts), parts));
		assert_ok(pe_authenticode(&pe, (enum digest_id)alg, &got));
		assert_bytes(digest_bytes(&got), digest_bytes(&want));
	}
}

static struct digest digest_now(const struct buf *b)
{
	struct digest d;
	struct pe pe;

	assert_ok(pe_parse(buf_bytes(b), &pe, NULL));
	assert_ok(pe_authenticode(&pe, DIGEST_SHA256, &d));
	return d;
}

static void signature_and_checksum_do_not_count(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(0);
	struct digest plain, d;

	(void)state;
	build(&b);
	plain = digest_now(&b);
	pe_sign(&b, 24);
	d = digest_now(&b);
	assert_bytes(digest_bytes(&d), digest_bytes(&plain));
	b.p[FIX_CHECKSUM] ^= 1;
	b.p[b.n - 1] ^= 1;
	d = digest_now(&b);
	assert_bytes(digest_bytes(&d), digest_bytes(&plain));
}

/* Every other byte does. */
static void every_other_bit_counts(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(0);
	struct digest plain;

	(void)state;
	build(&b);
	plain = digest_now(&b);
	for (size_t i = 0; i < b.n; i++) {
		struct digest d = { 0 };
		struct pe pe;

		if ((i >= FIX_CHECKSUM && i < FIX_CHECKSUM + 4) || (i >= FIX_CERT && i < FIX_CERT + 8))
			continue;
		b.p[i] ^= 0x10;
		if (!failed(pe_parse(buf_bytes(&b), &pe, NULL))) {
			assert_ok(pe_authenticode(&pe, DIGEST_SHA256, &d));
			assert_false(bytes_eq(digest_bytes(&d), digest_bytes(&plain)));
		}
		b.p[i] ^= 0x10;
	}
}

/* Sections count in the order of the file, whatever the table's order is. */
static void order_is_that_of_the_file(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(0);
	uint8_t first[40];
	struct digest got, want;

	(void)state;
	build(&b);
	memcpy(first, b.p + fix_header(0), 40);
	memcpy(b.p + fix_header(0), b.p + fix_header(2), 40);
	memcpy(b.p + fix_header(2), first, 40);
	got = digest_now(&b);
	const struct bytes parts[] = {
		BYTES(b.p, FIX_CHECKSUM),
		BYTES(b.p + FIX_CHECKSUM + 4, FIX_CERT - FIX_CHECKSUM - 4),
		BYTES(b.p + FIX_CERT + 8, b.n - FIX_CERT - 8),
	};
	assert_ok(digest_of(DIGEST_SHA256, &want, array_len(parts), parts));
	assert_bytes(digest_bytes(&got), digest_bytes(&want));
}

/* A header with fewer directories has no certificate entry, so nothing but the checksum is left out. */
static void header_without_certificate_entry(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(0);
	struct digest got, want;

	(void)state;
	build(&b);
	put_le(b.p + FIX_N_DIRS, 4, 4);
	put_le(b.p + FIX_CERT, 4, 0x7fffffff); /* not looked at */
	got = digest_now(&b);
	const struct bytes parts[] = { BYTES(b.p, FIX_CHECKSUM),
				       BYTES(b.p + FIX_CHECKSUM + 4, b.n - FIX_CHECKSUM - 4) };
	assert_ok(digest_of(DIGEST_SHA256, &want, array_len(parts), parts));
	assert_bytes(digest_bytes(&got), digest_bytes(&want));
}

/* A hole is not hashed and the sum of sizes decides what follows, as in firmware. */
static void hole_between_sections(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(0);
	struct pe pe;
	struct digest got, want;
	size_t data_off;

	(void)state;
	build(&b);
	data_off = FIX_HEADERS + 32;
	for (size_t i = 0; i < 16; i++)
		assert_ok(buf_add_u8(&b, (uint8_t)i));
	put_le(b.p + fix_header(2) + 20, 4, data_off + 16);
	assert_ok(pe_parse(buf_bytes(&b), &pe, NULL));
	assert_int_equal(pe.n_hole, 16);
	assert_ok(pe_authenticode(&pe, DIGEST_SHA256, &got));
	const struct bytes parts[] = {
		BYTES(b.p, FIX_CHECKSUM),
		BYTES(b.p + FIX_CHECKSUM + 4, FIX_CERT - FIX_CHECKSUM - 4),
		BYTES(b.p + FIX_CERT + 8, data_off - FIX_CERT - 8),
		BYTES(b.p + data_off + 16, 16),
		BYTES(b.p + data_off + 16, 16), /* from the sum to the end */
	};
	assert_ok(digest_of(DIGEST_SHA256, &want, array_len(parts), parts));
	assert_bytes(digest_bytes(&got), digest_bytes(&want));
}

struct change {
	const char *what;
	size_t off, n;
	uint64_t v;
	enum err_code want;
};

static void hostile_headers(void **state)
{
	static const struct change changes[] = {
		{ "no MZ", 0, 2, 0x4141, E_PEER_SYNTAX },
		{ "signature behind the end", 0x3c, 4, 0xfffffff0, E_PEER_TRUNCATED },
		{ "signature at the very end", 0x3c, 4, 0x42e, E_PEER_TRUNCATED },
		{ "no PE", FIX_LFANEW, 4, 0x4551, E_PEER_SYNTAX },
		{ "optional header magic", FIX_OPT, 2, 0x107, E_PEER_SYNTAX },
		{ "no optional header", FIX_OPT_LEN, 2, 0, E_PEER_TRUNCATED },
		{ "optional header ends before the checksum", FIX_OPT_LEN, 2, 66, E_PEER_TRUNCATED },
		{ "optional header ends before the directories", FIX_OPT_LEN, 2, 112, E_PEER_TRUNCATED },
		{ "optional header longer than the file", FIX_OPT_LEN, 2, 0xffff, E_PEER_TRUNCATED },
		{ "headers longer than the file", FIX_SIZE_OF_HEADERS, 4, 0xffffffff, E_PEER_TRUNCATED },
		{ "headers end before the table", FIX_SIZE_OF_HEADERS, 4, FIX_TABLE + 119, E_PEER_RANGE },
		{ "no headers", FIX_SIZE_OF_HEADERS, 4, 0, E_PEER_RANGE },
		{ "headers reach into a section", FIX_SIZE_OF_HEADERS, 4, FIX_HEADERS + 1, E_PEER_RANGE },
		{ "97 sections", FIX_N_SECTIONS, 2, 97, E_LIMIT_COUNT },
		{ "65535 sections", FIX_N_SECTIONS, 2, 0xffff, E_LIMIT_COUNT },
		{ "more sections than the table", FIX_N_SECTIONS, 2, 90, E_PEER_RANGE },
		{ "section longer than the file", FIX_TABLE + 16, 4, 0xffffffff, E_PEER_TRUNCATED },
		{ "section behind the file", FIX_TABLE + 20, 4, 0xfffffff0, E_PEER_TRUNCATED },
		{ "section over the headers", FIX_TABLE + 20, 4, 0, E_PEER_RANGE },
		{ "section over another", FIX_TABLE + 80 + 20, 4, FIX_HEADERS + 31, E_PEER_RANGE },
		{ "section over all", FIX_TABLE + 16, 4, 48, E_PEER_RANGE },
	};

	(void)state;
	for (size_t i = 0; i < array_len(changes); i++) {
		cleanup_buf struct buf b = BUF_INIT(0);
		struct reason why = { "" };
		struct pe pe;

		build(&b);
		put_le(b.p + changes[i].off, changes[i].n, changes[i].v);
		print_message("# %s\n", changes[i].what);
		assert_code(parse(buf_bytes(&b), &pe, &why), changes[i].want);
		assert_true(strlen(why.text) > 10);
	}
}

static void hostile_certificate_tables(void **state)
{
	static const struct {
		uint32_t off, n; /* n bytes at off, from the end of the sections */
		enum err_code want;
	} t[] = {
		{ 0, 16, E_OK },
		{ 0, 17, E_PEER_TRUNCATED },
		{ 0, 15, E_PEER_RANGE },            /* bytes behind the table would be covered by nothing */
		{ 8, 8, E_OK },                     /* bytes before it are hashed */
		{ (uint32_t)-8, 24, E_PEER_RANGE }, /* over a section */
		{ 0x7fffffff, 16, E_PEER_TRUNCATED },
		{ 0, 0xffffffff, E_PEER_TRUNCATED },
		{ 8, 0, E_OK }, /* none */
	};

	(void)state;
	for (size_t i = 0; i < array_len(t); i++) {
		cleanup_buf struct buf b = BUF_INIT(0);
		struct pe pe;
		size_t end;

		build(&b);
		end = b.n;
		pe_sign(&b, 16);
		put_le(b.p + FIX_CERT, 4, (uint32_t)end + t[i].off);
		put_le(b.p + FIX_CERT + 4, 4, t[i].n);
		assert_code(parse(buf_bytes(&b), &pe, NULL), t[i].want);
	}
}

/* The checksum lies at the very end of the file, so there is nothing behind it. */
static void every_cut_is_refused(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(0);
	struct pe pe;

	(void)state;
	build(&b);
	for (size_t n = 0; n < b.n; n++)
		assert_true(failed(parse(BYTES(b.p, n), &pe, NULL)));
	assert_ok(parse(buf_bytes(&b), &pe, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_sections),
		cmocka_unit_test(digest_is_that_of_the_specification),
		cmocka_unit_test(signature_and_checksum_do_not_count),
		cmocka_unit_test(every_other_bit_counts),
		cmocka_unit_test(order_is_that_of_the_file),
		cmocka_unit_test(header_without_certificate_entry),
		cmocka_unit_test(hole_between_sections),
		cmocka_unit_test(hostile_headers),
		cmocka_unit_test(hostile_certificate_tables),
		cmocka_unit_test(every_cut_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
