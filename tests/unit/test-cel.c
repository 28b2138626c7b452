/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/cborx.h"
#include "firmware-measure/cel.h"

/* Made with another implementation of SHA and CBOR: record 7, PCR 13, SHA-1 and SHA-256 of content "assay". */
static const char known[] = "a40007010d03a20454a5724761ab872d41a12c906982a12262723c82f70b5820d44f5e6e1d90db5af8dee226f"
			    "cea6249f2a57f70e987477a8d57e609f911a214194153456173736179";

static void known_record(void **state)
{
	static const enum digest_id algs[] = { DIGEST_SHA1, DIGEST_SHA256 };
	cleanup_buf struct buf want = BUF_INIT(0), got = BUF_INIT(SIZE_MAX);
	struct cel_record rec = { .recnum = 7, .pcr = 13 }, back;
	size_t n = 0;

	(void)state;
	unhex_(&want, known);
	assert_ok(cel_digests(BYTES_LIT("assay"), array_len(algs), algs, &rec));
	assert_ok(cel_encode(&rec, &got));
	assert_bytes(buf_bytes(&got), buf_bytes(&want));
	assert_ok(cel_read(buf_bytes(&want), &back, &n));
	assert_int_equal(n, want.n);
	assert_int_equal(back.recnum, 7);
	assert_int_equal(back.pcr, 13);
	assert_int_equal(back.n_digests, 2);
	assert_bytes(back.content, BYTES_LIT("assay"));
	assert_bytes(digest_bytes(cel_digest(&back, DIGEST_SHA256)), digest_bytes(&rec.digest[1]));
	assert_null(cel_digest(&back, DIGEST_SHA384));
}

/* Every set of banks, written and read back. SM3 is left to systems whose OpenSSL has it. */
static void round_trips(void **state)
{
	(void)state;
	for (unsigned set = 1; set < 1u << DIGEST_SM3_256; set++) {
		cleanup_buf struct buf b = BUF_INIT(SIZE_MAX), again = BUF_INIT(SIZE_MAX);
		struct cel_record rec = { .recnum = UINT64_MAX - set, .pcr = set % LIMIT_PCRS }, back;
		enum digest_id algs[LIMIT_BANKS];
		size_t n_algs = 0, n = 0;

		for (unsigned id = 0; id < DIGEST_SM3_256; id++)
			if ((set >> id & 1) != 0)
				algs[n_algs++] = (enum digest_id)id;
		assert_ok(cel_digests(BYTES("0123456789abcdef", set), n_algs, algs, &rec));
		assert_ok(cel_encode(&rec, &b));
		assert_ok(cel_read(buf_bytes(&b), &back, &n));
		assert_int_equal(n, b.n);
		assert_int_equal(back.recnum, rec.recnum);
		assert_int_equal(back.n_digests, n_algs);
		assert_ok(cel_encode(&back, &again));
		assert_bytes(buf_bytes(&again), buf_bytes(&b));
	}
}

static void sequence(void **state)
{
	static const enum digest_id alg = DIGEST_SHA256;
	cleanup_buf struct buf log = BUF_INIT(SIZE_MAX);
	struct cel_record rec = { .pcr = 13 }, got = { .recnum = 99 };
	struct bytes left;
	size_t n = 1;

	(void)state;
	for (rec.recnum = 0; rec.recnum < 3; rec.recnum++) {
		assert_ok(cel_digests(BYTES(&rec.recnum, 8), 1, &alg, &rec));
		assert_ok(cel_encode(&rec, &log));
	}
	left = buf_bytes(&log);
	for (uint64_t i = 0; i < 3; i++) {
		assert_ok(cel_read(left, &got, &n));
		assert_int_equal(got.recnum, i);
		assert_ok(bytes_sub(left, n, left.n - n, &left));
	}
	assert_ok(cel_read(left, &got, &n));
	assert_int_equal(n, 0);
	assert_int_equal(got.recnum, 2);
}

static void truncated(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(0);

	(void)state;
	unhex_(&b, known);
	for (size_t len = 1; len < b.n; len++) {
		struct cel_record rec = { .recnum = 99 };
		uint8_t *exact = malloc(len);
		size_t n = 77;

		assert_non_null(exact);
		memcpy(exact, b.p, len);
		assert_err(cel_read(BYTES(exact, len), &rec, &n), E_PEER_TRUNCATED);
		assert_int_equal(n, 77);
		assert_int_equal(rec.recnum, 99);
		free(exact);
	}
}

/* Any bit: refused, or it is a bit of record number or PCR index, which callers compare. */
static void bit_flips(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(0);
	size_t n_free = 0;

	(void)state;
	unhex_(&b, known);
	for (size_t bit = 0; bit < 8 * b.n; bit++) {
		struct cel_record rec;
		size_t n = 0;

		b.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (!failed(cel_read(buf_bytes(&b), &rec, &n))) {
			assert_true(bit / 8 == 2 || bit / 8 == 4);
			assert_true(rec.recnum != 7 || rec.pcr != 13);
			n_free++;
		}
		b.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_true(n_free > 0);
}

#define SHA256_OF_ASSAY "d44f5e6e1d90db5af8dee226fcea6249f2a57f70e987477a8d57e609f911a214"
#define TAIL "194153456173736179"
#define DIGESTS "03a10b5820" SHA256_OF_ASSAY

static const struct {
	const char *name, *hex;
	enum err_code want;
} rejects[] = {
	{ "the valid one", "a40000010d" DIGESTS TAIL, E_OK },
	{ "no map", "80", E_PEER_TYPE },
	{ "empty map", "a0", E_PEER_MISSING },
	{ "no record number", "a3010d" DIGESTS TAIL, E_PEER_MISSING },
	{ "no PCR", "a30000" DIGESTS TAIL, E_PEER_MISSING },
	{ "no digests", "a30000010d" TAIL, E_PEER_MISSING },
	{ "no content", "a30000010d" DIGESTS, E_PEER_MISSING },
	{ "empty digests", "a40000010d03a0" TAIL, E_PEER_MISSING },
	{ "negative record number", "a40020010d" DIGESTS TAIL, E_PEER_TYPE },
	{ "text record number", "a400616101" "0d" DIGESTS TAIL, E_PEER_TYPE },
	{ "PCR 24", "a40000011818" DIGESTS TAIL, E_PEER_RANGE },
	{ "PCR of 64 bits", "a40000011bffffffffffffffff" DIGESTS TAIL, E_PEER_RANGE },
	{ "record number in a long head", "a4001800010d" DIGESTS TAIL, E_PEER_NOT_CANONICAL },
	{ "members in another order", "a4010d0000" DIGESTS TAIL, E_PEER_NOT_CANONICAL },
	{ "record number twice", "a500000000010d" DIGESTS TAIL, E_PEER_DUPLICATE },
	{ "unknown member", "a50000010d0200" DIGESTS TAIL, E_PEER_MISSING },
	{ "unknown member behind", "a50000010d" DIGESTS TAIL "19415400", E_PEER_UNKNOWN_KEY },
	{ "another content type", "a40000010d" DIGESTS "194154456173736179", E_PEER_MISSING },
	{ "content as text", "a40000010d" DIGESTS "194153656173736179", E_PEER_TYPE },
	{ "content changed", "a40000010d" DIGESTS "194153456173736178", E_PEER_DIGEST },
	{ "content empty", "a40000010d" DIGESTS "19415340", E_PEER_DIGEST },
	{ "digest too short", "a40000010d03a10b40" TAIL, E_PEER_RANGE },
	{ "digest as text", "a40000010d03a10b6161" TAIL, E_PEER_TYPE },
	{ "unknown algorithm", "a40000010d03a1184040" TAIL, E_PEER_UNKNOWN_KEY },
	{ "unknown algorithm beside a known one", "a40000010d03a20b5820" SHA256_OF_ASSAY "184040" TAIL,
	  E_PEER_UNKNOWN_KEY },
	{ "algorithms descending", "a40000010d03a20b5820" SHA256_OF_ASSAY "0440" TAIL, E_PEER_NOT_CANONICAL },
	{ "digests as array", "a40000010d0380" TAIL, E_PEER_TYPE },
	{ "indefinite map", "bf0000010d" DIGESTS TAIL "ff", E_PEER_NOT_CANONICAL },
	{ "claims 2^32 members", "ba10000000", E_PEER_TRUNCATED },
};

static void refuses(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(rejects); i++) {
		cleanup_buf struct buf b = BUF_INIT(0);
		struct cel_record rec;
		size_t n = 0;
		struct err e = cel_read(unhex_(&b, rejects[i].hex), &rec, &n);

		if (e.code != rejects[i].want)
			fail_msg("%s: %s instead of %s", rejects[i].name, err_name(e), err_name(ERR(rejects[i].want)));
	}
}

static void record_size(void **state)
{
	static const enum digest_id alg = DIGEST_SHA256;
	static uint8_t zeros[LIMIT_LOG_RECORD];
	cleanup_buf struct buf b = BUF_INIT(SIZE_MAX);
	struct cel_record rec = { 0 };
	/* Head, record number, PCR, head of the digests, one digest, the content's key and head. */
	size_t room = LIMIT_LOG_RECORD - (1 + 2 + 2 + 2 + 35 + 3 + 3), n = 0;

	(void)state;
	assert_ok(cel_digests(BYTES(zeros, room), 1, &alg, &rec));
	assert_ok(cel_encode(&rec, &b));
	assert_int_equal(b.n, LIMIT_LOG_RECORD);
	assert_ok(cel_read(buf_bytes(&b), &rec, &n));
	assert_int_equal(n, LIMIT_LOG_RECORD);

	assert_ok(cel_digests(BYTES(zeros, room + 1), 1, &alg, &rec));
	buf_clear(&b);
	assert_err(cel_encode(&rec, &b), E_LIMIT_SIZE);
	assert_int_equal(b.n, 0);
}

/* An array of one byte string of len bytes. */
static void long_item(struct buf *b, size_t len)
{
	static const uint8_t zeros[4096];

	assert_ok(cbor_wr_array(b, 1));
	if (len > 0xffff) {
		assert_ok(buf_add_u8(b, 0x5a));
		assert_ok(buf_add_u8(b, (uint8_t)(len >> 24)));
		assert_ok(buf_add_u8(b, (uint8_t)(len >> 16)));
	} else {
		assert_ok(buf_add_u8(b, 0x59));
	}
	assert_ok(buf_add_u8(b, (uint8_t)(len >> 8)));
	assert_ok(buf_add_u8(b, (uint8_t)len));
	for (size_t left = len; left > 0; left -= left < sizeof(zeros) ? left : sizeof(zeros))
		assert_ok(buf_add(b, BYTES(zeros, left < sizeof(zeros) ? left : sizeof(zeros))));
}

/* Too long by one byte, and by far in a log that goes on. */
static void record_too_long(void **state)
{
	static const size_t lens[] = { LIMIT_LOG_RECORD - 3, LIMIT_WORKLOAD_LOG };

	(void)state;
	for (size_t i = 0; i < array_len(lens); i++) {
		cleanup_buf struct buf b = BUF_INIT(SIZE_MAX);
		struct cel_record rec;
		size_t n = 77;

		long_item(&b, lens[i]);
		assert_err(cel_read(buf_bytes(&b), &rec, &n), E_LIMIT_SIZE);
		assert_int_equal(n, 77);
	}
}

static void writer_refuses(void **state)
{
	static const enum digest_id twice[] = { DIGEST_SHA256, DIGEST_SHA256 };
	static const enum digest_id down[] = { DIGEST_SHA256, DIGEST_SHA1 };
	static const enum digest_id alg = DIGEST_SHA256;
	cleanup_buf struct buf b = BUF_INIT(SIZE_MAX);
	struct cel_record rec = { 0 };

	(void)state;
	assert_err(cel_digests(BYTES_LIT("x"), 0, &alg, &rec), E_BUG);
	assert_err(cel_digests(BYTES_LIT("x"), 2, twice, &rec), E_BUG);
	assert_err(cel_digests(BYTES_LIT("x"), 2, down, &rec), E_BUG);
	assert_int_equal(rec.n_digests, 0);
	assert_err(cel_encode(&rec, &b), E_BUG);
	assert_ok(cel_digests(BYTES_LIT("x"), 1, &alg, &rec));
	rec.pcr = LIMIT_PCRS;
	assert_err(cel_encode(&rec, &b), E_BUG);
	rec.pcr = 13;
	rec.digest[0].n = 20;
	assert_err(cel_encode(&rec, &b), E_BUG);
	assert_int_equal(b.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_record),
		cmocka_unit_test(round_trips),
		cmocka_unit_test(sequence),
		cmocka_unit_test(truncated),
		cmocka_unit_test(bit_flips),
		cmocka_unit_test(refuses),
		cmocka_unit_test(record_size),
		cmocka_unit_test(record_too_long),
		cmocka_unit_test(writer_refuses),
	};

	return cmocka_run_group_tests_name("cel", tests, NULL, NULL);
}
