/* SPDX-License-Identifier: Apache-2.0 */
/* Evidence and claims: what goes in comes out, and nothing else goes in. */
#include "protocol/evidence.h"

#include "base/cborx.h"
#include "tests/support/fault.h"
#include "tests/unit/unit.h"

#define HOST "h-00112233445566778899aabbccddeeff"

static struct evidence_claims claims;
static struct evidence evidence;
static struct buf claims_bytes = BUF_INIT(LIMIT_CLAIMS), evidence_bytes = BUF_INIT(LIMIT_EVIDENCE);
static uint8_t name_a[34] = { 0, 0x0b, 1 }, name_b[34] = { 0, 0x0b, 2 }, nonce[NONCE_LEN] = { 1 };
static uint8_t pcrs[3][32], log_bytes[100] = { 0xa0 };

static void fill_claims(struct evidence_claims *c)
{
	*c = (struct evidence_claims){
		.issuer = BYTES_LIT("https://verifier.example:8443"),
		.host_id = BYTES_LIT(HOST),
		.ak_name = BYTES_ARR(name_a),
		.boot_id = { 9 },
		.nonce = BYTES_ARR(nonce),
		.selection = { 2, { { TPM_ALG_SHA256, 0x2001 }, { TPM_ALG_SHA384, 1 } } },
		.log_offset = 100,
		.log_records = 2,
		.log_pcr = BYTES_ARR(pcrs[0]),
		.has_ima = true,
		.ima_offset = 4096,
		.n_instances = 2,
	};
	memset(c->instance[0].instance, 0x31, PRESENTED_ID_LEN);
	c->instance[0].key_name = BYTES_ARR(name_a);
	memset(c->instance[1].instance, 0x32, PRESENTED_ID_LEN);
	c->instance[1].key_name = BYTES_ARR(name_b);
}

static void fill_evidence(struct evidence *ev, struct bytes encoded_claims)
{
	static const struct evidence_key key = { { (const uint8_t *)"area", 4 },
						 { (const uint8_t *)"attest", 6 },
						 { (const uint8_t *)"signature", 9 } };

	*ev = (struct evidence){
		.claims = encoded_claims,
		.quote = BYTES_LIT("quote"),
		.signature = BYTES_LIT("signature"),
		.n_pcrs = 3,
		.pcr = { BYTES_ARR(pcrs[0]), BYTES_ARR(pcrs[1]), BYTES_ARR(pcrs[2]) },
		.log = BYTES_ARR(log_bytes),
		.has_boot = true,
		.boot = key,
		.has_firmware_log = true,
		.firmware_log = BYTES_LIT("firmware"),
		.has_ima = true,
		.ima = BYTES_LIT("ima"),
		.has_command_line = true,
		.command_line = BYTES_LIT("quiet"),
		.has_userspace_log = true,
		.userspace_log = BYTES_LIT("userspace"),
		.n_keys = 2,
		.key = { key, key },
	};
}

static struct err decode_evidence(struct bytes in)
{
	struct evidence *ev = malloc(sizeof(*ev));
	struct err e;

	assert_non_null(ev);
	memset(ev, 0x5a, sizeof(*ev));
	e = evidence_decode(in, ev);
	if (failed(e))
		assert_true(bytes_all(BYTES(ev, sizeof(*ev)), 0x5a));
	free(ev);
	return e;
}

static struct err decode_claims(struct bytes in)
{
	struct evidence_claims *c = malloc(sizeof(*c));
	struct err e;

	assert_non_null(c);
	memset(c, 0x5a, sizeof(*c));
	e = evidence_claims_decode(in, c);
	if (failed(e))
		assert_true(bytes_all(BYTES(c, sizeof(*c)), 0x5a));
	free(c);
	return e;
}

static void test_claims_round_trip(void **state)
{
	cleanup_buf struct buf again = BUF_INIT(LIMIT_CLAIMS);
	cleanup_free struct evidence_claims *c = calloc(1, sizeof(*c));

	(void)state;
	assert_ok(evidence_claims_decode(buf_bytes(&claims_bytes), c));
	assert_bytes(c->issuer, claims.issuer);
	assert_bytes(c->host_id, claims.host_id);
	assert_bytes(c->ak_name, claims.ak_name);
	assert_memory_equal(c->boot_id, claims.boot_id, BOOT_ID_LEN);
	assert_bytes(c->nonce, claims.nonce);
	assert_true(pcr_selection_equal(&c->selection, &claims.selection));
	assert_true(c->log_offset == claims.log_offset && c->log_records == claims.log_records);
	assert_bytes(c->log_pcr, claims.log_pcr);
	assert_true(c->has_ima && c->ima_offset == claims.ima_offset);
	assert_int_equal(c->n_instances, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_memory_equal(c->instance[i].instance, claims.instance[i].instance, PRESENTED_ID_LEN);
		assert_bytes(c->instance[i].key_name, claims.instance[i].key_name);
	}
	assert_ok(evidence_claims_encode(c, &again));
	assert_bytes(buf_bytes(&again), buf_bytes(&claims_bytes));
}

static void test_evidence_round_trip(void **state)
{
	cleanup_buf struct buf again = BUF_INIT(LIMIT_EVIDENCE);
	cleanup_free struct evidence *ev = calloc(1, sizeof(*ev));

	(void)state;
	assert_ok(evidence_decode(buf_bytes(&evidence_bytes), ev));
	assert_bytes(ev->claims, evidence.claims);
	assert_bytes(ev->quote, evidence.quote);
	assert_bytes(ev->signature, evidence.signature);
	assert_int_equal(ev->n_pcrs, 3);
	for (size_t i = 0; i < 3; i++)
		assert_bytes(ev->pcr[i], evidence.pcr[i]);
	assert_bytes(ev->log, evidence.log);
	assert_true(ev->has_boot);
	assert_bytes(ev->boot.public_area, evidence.boot.public_area);
	assert_true(ev->has_firmware_log && ev->has_ima && ev->has_command_line && ev->has_userspace_log);
	assert_bytes(ev->firmware_log, evidence.firmware_log);
	assert_bytes(ev->ima, evidence.ima);
	assert_bytes(ev->command_line, evidence.command_line);
	assert_bytes(ev->userspace_log, evidence.userspace_log);
	assert_int_equal(ev->n_keys, 2);
	assert_bytes(ev->key[1].attest, evidence.key[1].attest);
	assert_bytes(ev->key[1].signature, evidence.key[1].signature);
	assert_ok(evidence_encode(ev, &again));
	assert_bytes(buf_bytes(&again), buf_bytes(&evidence_bytes));
}

static void test_smallest_evidence_round_trip(void **state)
{
	cleanup_buf struct buf out = BUF_INIT(LIMIT_EVIDENCE), again = BUF_INIT(LIMIT_EVIDENCE);
	cleanup_free struct evidence *ev = calloc(1, sizeof(*ev)), *got = calloc(1, sizeof(*got));

	(void)state;
	ev->claims = ev->quote = ev->signature = BYTES_LIT("x");
	assert_ok(evidence_encode(ev, &out));
	assert_ok(evidence_decode(buf_bytes(&out), got));
	assert_false(got->has_boot);
	assert_int_equal(got->n_pcrs + got->n_keys + got->log.n, 0);
	assert_ok(evidence_encode(got, &again));
	assert_bytes(buf_bytes(&again), buf_bytes(&out));
}

/* Whatever the order of the caller, one set of instances has one form. */
static void test_instances_are_written_ascending(void **state)
{
	cleanup_buf struct buf out = BUF_INIT(LIMIT_CLAIMS);
	cleanup_free struct evidence_claims *c = malloc(sizeof(*c));

	(void)state;
	fill_claims(c);
	memset(c->instance[0].instance, 0x32, PRESENTED_ID_LEN);
	c->instance[0].key_name = BYTES_ARR(name_b);
	memset(c->instance[1].instance, 0x31, PRESENTED_ID_LEN);
	c->instance[1].key_name = BYTES_ARR(name_a);
	assert_ok(evidence_claims_encode(c, &out));
	assert_bytes(buf_bytes(&out), buf_bytes(&claims_bytes));
}

static void test_full_claims_fit(void **state)
{
	cleanup_buf struct buf out = BUF_INIT(LIMIT_CLAIMS);
	cleanup_free struct evidence_claims *c = malloc(sizeof(*c));
	static char issuer[ISSUER_MAX];

	(void)state;
	fill_claims(c);
	memset(issuer, 'x', sizeof(issuer));
	c->issuer = BYTES(issuer, sizeof(issuer));
	c->n_instances = LIMIT_INSTANCES;
	for (size_t i = 0; i < LIMIT_INSTANCES; i++) {
		c->instance[i].instance[0] = (uint8_t)(LIMIT_INSTANCES - 1 - i);
		c->instance[i].key_name = BYTES_ARR(name_b);
	}
	assert_ok(evidence_claims_encode(c, &out));
	assert_ok(decode_claims(buf_bytes(&out)));
	c->n_instances++;
	assert_err(evidence_claims_encode(c, &out), E_BUG);
	c->n_instances = 0;
	c->selection.n = LIMIT_BANKS + 1;
	assert_err(evidence_claims_encode(c, &out), E_BUG);
}

/* One change to good claims that the decoder must refuse. */
static void c_empty_issuer(struct evidence_claims *c)
{
	c->issuer = BYTES_NONE;
}
static void c_long_issuer(struct evidence_claims *c)
{
	static char issuer[ISSUER_MAX + 1];

	memset(issuer, 'x', sizeof(issuer));
	c->issuer = BYTES(issuer, sizeof(issuer));
}
static void c_host_short(struct evidence_claims *c)
{
	c->host_id = BYTES_LIT("h-00112233445566778899aabbccddeef");
}
static void c_host_upper(struct evidence_claims *c)
{
	c->host_id = BYTES_LIT("h-00112233445566778899AABBCCDDEEFF");
}
static void c_host_prefix(struct evidence_claims *c)
{
	c->host_id = BYTES_LIT("g-00112233445566778899aabbccddeeff");
}
static void c_ak_short(struct evidence_claims *c)
{
	c->ak_name.n--;
}
static void c_ak_alg(struct evidence_claims *c)
{
	static uint8_t name[34] = { 0, 0x27 };

	c->ak_name = BYTES_ARR(name);
}
static void c_nonce_short(struct evidence_claims *c)
{
	c->nonce.n--;
}
static void c_nonce_long(struct evidence_claims *c)
{
	static uint8_t longer[NONCE_LEN + 1];

	c->nonce = BYTES_ARR(longer);
}
static void c_no_bank(struct evidence_claims *c)
{
	c->selection.n = 0;
}
static void c_bank_twice(struct evidence_claims *c)
{
	c->selection.bank[1].hash_alg = TPM_ALG_SHA256;
}
static void c_pcr_24(struct evidence_claims *c)
{
	c->selection.bank[0].mask = 0x1000000;
}
static void c_offset_zero(struct evidence_claims *c)
{
	c->log_offset = 0;
}
static void c_records_zero(struct evidence_claims *c)
{
	c->log_records = 0;
}
static void c_no_log_pcr(struct evidence_claims *c)
{
	c->log_pcr = BYTES_NONE;
}
static void c_log_pcr_at_start(struct evidence_claims *c)
{
	c->log_offset = 0;
	c->log_records = 0;
}
static void c_log_pcr_size(struct evidence_claims *c)
{
	c->log_pcr.n = 31;
}
static void c_instance_twice(struct evidence_claims *c)
{
	memset(c->instance[1].instance, 0x31, PRESENTED_ID_LEN);
}
static void c_key_name(struct evidence_claims *c)
{
	c->instance[1].key_name.n = 33;
}
static void c_not_utf8(struct evidence_claims *c)
{
	c->issuer = BYTES_LIT("\xff\xfe");
}

static const struct {
	void (*apply)(struct evidence_claims *c);
	enum err_code want;
} bad_claims[] = {
	{ c_empty_issuer, E_PEER_RANGE },
	{ c_long_issuer, E_PEER_RANGE },
	{ c_not_utf8, E_PEER_SYNTAX },
	{ c_host_short, E_PEER_RANGE },
	{ c_host_upper, E_PEER_RANGE },
	{ c_host_prefix, E_PEER_RANGE },
	{ c_ak_short, E_PEER_RANGE },
	{ c_ak_alg, E_PEER_RANGE },
	{ c_nonce_short, E_PEER_RANGE },
	{ c_nonce_long, E_PEER_RANGE },
	{ c_no_bank, E_PEER_RANGE },
	{ c_bank_twice, E_PEER_DUPLICATE },
	{ c_pcr_24, E_PEER_RANGE },
	{ c_offset_zero, E_PEER_RANGE },
	{ c_records_zero, E_PEER_RANGE },
	{ c_no_log_pcr, E_PEER_RANGE },
	{ c_log_pcr_at_start, E_PEER_RANGE },
	{ c_log_pcr_size, E_PEER_RANGE },
	{ c_instance_twice, E_PEER_DUPLICATE },
	{ c_key_name, E_PEER_RANGE },
};

static void test_claims_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(bad_claims); i++) {
		cleanup_free struct evidence_claims *c = malloc(sizeof(*c));
		cleanup_buf struct buf out = BUF_INIT(LIMIT_CLAIMS);
		struct err e;

		fill_claims(c);
		bad_claims[i].apply(c);
		e = evidence_claims_encode(c, &out);
		if (!failed(e))
			e = decode_claims(buf_bytes(&out));
		assert_code(e, bad_claims[i].want);
	}
}

/* Instances in descending order, made by hand because the encoder does not write them. */
static void test_instances_out_of_order(void **state)
{
	cleanup_buf struct buf in = BUF_INIT(LIMIT_CLAIMS);
	uint8_t *first;

	(void)state;
	assert_ok(buf_add(&in, buf_bytes(&claims_bytes)));
	first = memmem(in.p, in.n, claims.instance[0].instance, PRESENTED_ID_LEN);
	assert_non_null(first);
	first[0] = 0x33;
	assert_err(decode_claims(buf_bytes(&in)), E_PEER_NOT_CANONICAL);
}

/* `in` with the bytes `from`, which are there, replaced by `to`. */
static void replace(struct bytes in, struct bytes from, struct bytes to, struct buf *ret)
{
	const uint8_t *at = memmem(in.p, in.n, from.p, from.n);
	size_t before;

	assert_non_null(at);
	before = (size_t)(at - in.p);
	assert_ok(buf_add(ret, BYTES(in.p, before)));
	assert_ok(buf_add(ret, to));
	assert_ok(buf_add(ret, BYTES(at + from.n, in.n - before - from.n)));
}

static void test_X3_inner_arrays_and_maps(void **state)
{
	static const struct {
		struct bytes from, to;
		enum err_code want;
	} cases[] = {
		{ BYTES_LIT("\x82\x0b\x19\x20\x01"), BYTES_LIT("\x81\x0b"), E_PEER_RANGE },
		{ BYTES_LIT("\x82\x0b\x19\x20\x01"), BYTES_LIT("\x80"), E_PEER_RANGE },
		{ BYTES_LIT("\x82\x0b\x19\x20\x01"), BYTES_LIT("\x83\x0b\x01\x01"), E_LIMIT_COUNT },
		{ BYTES_LIT("\x82\x0b\x19\x20\x01"), BYTES_LIT("\x82\x1a\x00\x01\x00\x00\x01"), E_PEER_RANGE },
		{ BYTES_LIT(
			  "\x82\x50\x31\x31\x31\x31\x31\x31\x31\x31\x31\x31\x31\x31\x31\x31\x31\x31\x58\x22\x00\x0b\x01"
			  "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
		  BYTES_LIT("\x81\x50\x31\x31\x31\x31\x31\x31\x31\x31\x31\x31\x31\x31\x31\x31\x31\x31"), E_PEER_RANGE },
	};
	cleanup_buf struct buf surplus = BUF_INIT(LIMIT_EVIDENCE);

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_buf struct buf in = BUF_INIT(LIMIT_CLAIMS);

		replace(buf_bytes(&claims_bytes), cases[i].from, cases[i].to, &in);
		assert_code(decode_claims(buf_bytes(&in)), cases[i].want);
	}
	replace(buf_bytes(&evidence_bytes),
		BYTES_LIT("\xa3\x01\x44"
			  "area\x02\x46"
			  "attest\x03\x49signature"),
		BYTES_LIT("\xa4\x01\x44"
			  "area\x02\x46"
			  "attest\x03\x49signature\x04\x00"),
		&surplus);
	assert_err(decode_evidence(buf_bytes(&surplus)), E_PEER_UNKNOWN_KEY);
}

static void test_cut_at_every_length(void **state)
{
	(void)state;
	for (size_t n = 0; n < claims_bytes.n; n++)
		assert_true(failed(decode_claims(BYTES(claims_bytes.p, n))));
	for (size_t n = 0; n < evidence_bytes.n; n++)
		assert_true(failed(decode_evidence(BYTES(evidence_bytes.p, n))));
}

/* A bit of the claims is refused, or it changes what the quote must say. */
static void test_Q10_every_bit_of_the_claims(void **state)
{
	cleanup_buf struct buf in = BUF_INIT(LIMIT_CLAIMS);
	uint8_t first[32], d[32];

	(void)state;
	assert_ok(buf_add(&in, buf_bytes(&claims_bytes)));
	assert_ok(evidence_qualifying_data(BYTES_ARR(nonce), buf_bytes(&in), first));
	for (size_t bit = 0; bit < in.n * 8; bit++) {
		in.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		(void)decode_claims(buf_bytes(&in)).code;
		assert_ok(evidence_qualifying_data(BYTES_ARR(nonce), buf_bytes(&in), d));
		assert_memory_not_equal(first, d, 32);
		in.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

/* Rows of the table of libcbor's traps, as whole messages. */
static const struct {
	const char *what, *hex;
	enum err_code want;
} traps[] = {
	{ "nothing", "", E_PEER_TRUNCATED },
	{ "array of 2^28", "9a10000000", E_PEER_TRUNCATED },
	{ "array of 2^40", "9b0000010000000000", E_PEER_TRUNCATED },
	{ "map of 2^63+1", "bb8000000000000001", E_PEER_TRUNCATED },
	{ "2^32 bytes", "a1015b0000000100000000", E_PEER_TRUNCATED },
	{ "key twice", "a2014178014178", E_PEER_DUPLICATE },
	{ "keys descending", "a2024178014178", E_PEER_NOT_CANONICAL },
	{ "trailing bytes", "a0ffff", E_PEER_TRAILING },
	{ "long head of an integer", "a118010a", E_PEER_NOT_CANONICAL },
	{ "long head of a string", "a101580178", E_PEER_NOT_CANONICAL },
	{ "indefinite map", "bf014178ff", E_PEER_NOT_CANONICAL },
	{ "indefinite string", "a1015f4178ff", E_PEER_NOT_CANONICAL },
	{ "tag 18", "d2a0", E_PEER_UNSUPPORTED },
	{ "float", "a101f93c00", E_PEER_UNSUPPORTED },
	{ "undefined", "a101f7", E_PEER_UNSUPPORTED },
	{ "nesting", "818181818181818181818181818181818180", E_LIMIT_DEPTH },
	{ "not a map", "80", E_PEER_TYPE },
	{ "empty map", "a0", E_PEER_MISSING },
	{ "text for bytes", "a1016178", E_PEER_TYPE },
	{ "null for bytes", "a101f6", E_PEER_TYPE },
	{ "text key", "a16178f6", E_PEER_MISSING },
};

static void test_X1_cbor_traps(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(traps); i++) {
		cleanup_buf struct buf in = BUF_INIT(0);

		unhex_(&in, traps[i].hex);
		assert_code(decode_evidence(buf_bytes(&in)), traps[i].want);
	}
}

static void test_X1_ten_thousand_levels(void **state)
{
	static uint8_t deep[10001];

	(void)state;
	memset(deep, 0x81, sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = 0x80;
	assert_err(decode_evidence(BYTES_ARR(deep)), E_LIMIT_DEPTH);
	assert_err(decode_claims(BYTES_ARR(deep)), E_LIMIT_DEPTH);
}

static void test_X2_caps(void **state)
{
	static uint8_t big[LIMIT_WORKLOAD_LOG + 1];
	cleanup_free struct evidence *ev = malloc(sizeof(*ev));
	cleanup_buf struct buf out = BUF_INIT(LIMIT_EVIDENCE + 1);
	struct bytes *members[] = { &ev->claims,           &ev->quote,         &ev->signature,   &ev->log,
				    &ev->boot.public_area, &ev->key[1].attest, &ev->command_line,
				    &ev->userspace_log };
	static const size_t caps[] = { LIMIT_CLAIMS, LIMIT_TPM2B, LIMIT_TPM2B,        LIMIT_WORKLOAD_LOG,
				       LIMIT_TPM2B,  LIMIT_TPM2B, LIMIT_COMMAND_LINE, LIMIT_USERSPACE_LOG };

	(void)state;
	for (size_t i = 0; i < array_len(caps); i++) {
		fill_evidence(ev, buf_bytes(&claims_bytes));
		*members[i] = BYTES(big, caps[i]);
		assert_ok(evidence_encode(ev, &out));
		assert_ok(decode_evidence(buf_bytes(&out)));
		buf_clear(&out);
		*members[i] = BYTES(big, caps[i] + 1);
		assert_ok(evidence_encode(ev, &out));
		assert_err(decode_evidence(buf_bytes(&out)), E_LIMIT_SIZE);
		buf_clear(&out);
	}
	assert_ok(buf_reserve(&out, LIMIT_EVIDENCE + 1));
	memset(out.p, 0, LIMIT_EVIDENCE + 1);
	assert_err(decode_evidence(BYTES(out.p, LIMIT_EVIDENCE + 1)), E_LIMIT_SIZE);
	assert_err(decode_claims(BYTES(out.p, LIMIT_CLAIMS + 1)), E_LIMIT_SIZE);
}

/* Empty where something must be, and PCR values of no bank's size. */
static void test_evidence_refused(void **state)
{
	cleanup_free struct evidence *ev = malloc(sizeof(*ev));
	struct bytes *members[] = { &ev->claims,
				    &ev->quote,
				    &ev->signature,
				    &ev->boot.public_area,
				    &ev->boot.attest,
				    &ev->boot.signature,
				    &ev->key[0].public_area,
				    &ev->key[1].attest,
				    &ev->key[1].signature,
				    &ev->pcr[0],
				    &ev->pcr[2],
				    &ev->command_line,
				    &ev->userspace_log };

	(void)state;
	for (size_t i = 0; i < array_len(members); i++) {
		cleanup_buf struct buf out = BUF_INIT(LIMIT_EVIDENCE);

		fill_evidence(ev, buf_bytes(&claims_bytes));
		*members[i] = BYTES_NONE;
		assert_ok(evidence_encode(ev, &out));
		assert_err(decode_evidence(buf_bytes(&out)), E_PEER_RANGE);
	}
}

static void test_X2_counts(void **state)
{
	cleanup_free struct evidence *ev = malloc(sizeof(*ev));
	cleanup_buf struct buf out = BUF_INIT(LIMIT_EVIDENCE);

	(void)state;
	fill_evidence(ev, buf_bytes(&claims_bytes));
	for (size_t i = 0; i < array_len(ev->pcr); i++)
		ev->pcr[i] = BYTES_ARR(pcrs[0]);
	for (size_t i = 0; i < array_len(ev->key); i++)
		ev->key[i] = ev->boot;
	ev->n_pcrs = array_len(ev->pcr);
	ev->n_keys = array_len(ev->key);
	assert_ok(evidence_encode(ev, &out));
	assert_ok(decode_evidence(buf_bytes(&out)));
	ev->n_pcrs++;
	assert_err(evidence_encode(ev, &out), E_BUG);
	ev->n_pcrs--;
	ev->n_keys++;
	assert_err(evidence_encode(ev, &out), E_BUG);
	/* One more than the cap, by hand: {1: x, 2: x, 3: x, 4: [121 values]...} */
	buf_clear(&out);
	assert_ok(cbor_wr_map(&out, 4));
	for (uint64_t key = 1; key <= 3; key++) {
		assert_ok(cbor_wr_uint(&out, key));
		assert_ok(cbor_wr_bytes(&out, BYTES_LIT("x")));
	}
	assert_ok(cbor_wr_uint(&out, 4));
	assert_ok(cbor_wr_array(&out, array_len(ev->pcr) + 1));
	for (size_t i = 0; i <= array_len(ev->pcr); i++)
		assert_ok(cbor_wr_bytes(&out, BYTES_ARR(pcrs[0])));
	assert_err(decode_evidence(buf_bytes(&out)), E_LIMIT_COUNT);
}

/* Writes a map again without its member `drop`, or with one more, `add`. */
static void rewrite(struct bytes in, uint64_t drop, uint64_t add, struct buf *ret)
{
	struct cbor_rd r = { 0 };
	struct cbor_map m = { 0 };
	size_t n = drop != 0 ? 0 : 1;

	assert_ok(cbor_rd_init(in, &r));
	assert_ok(cbor_rd_map(&r, &m));
	assert_ok(cbor_wr_map(ret, drop != 0 ? m.left - 1 : m.left + n));
	for (uint64_t key = 0; m.left > 0; key++) {
		struct bytes value = BYTES_NONE;
		bool there = false;

		assert_ok(cbor_rd_key_opt(&r, &m, key, &there));
		if (there)
			assert_ok(cbor_rd_item(&r, &value));
		if (there && key != drop) {
			assert_ok(cbor_wr_uint(ret, key));
			assert_ok(buf_add(ret, value));
		}
	}
	if (drop == 0) {
		assert_ok(cbor_wr_uint(ret, add));
		assert_ok(cbor_wr_uint(ret, 0));
	}
}

static void test_X3_member_missing(void **state)
{
	(void)state;
	for (uint64_t key = 1; key <= 11; key++) {
		cleanup_buf struct buf out = BUF_INIT(LIMIT_CLAIMS);

		rewrite(buf_bytes(&claims_bytes), key, 0, &out);
		assert_code(decode_claims(buf_bytes(&out)), key == 11 ? E_OK : E_PEER_MISSING);
	}
	/* The command line, 10, says something about the firmware log, 8, and is not there without it. */
	for (uint64_t key = 1; key <= 11; key++) {
		cleanup_buf struct buf out = BUF_INIT(LIMIT_EVIDENCE);

		rewrite(buf_bytes(&evidence_bytes), key, 0, &out);
		assert_code(decode_evidence(buf_bytes(&out)), key == 6 || key > 8 ? E_OK : E_PEER_MISSING);
	}
}

static void test_X3_unknown_member(void **state)
{
	cleanup_buf struct buf out = BUF_INIT(LIMIT_CLAIMS), ev = BUF_INIT(LIMIT_EVIDENCE);

	(void)state;
	rewrite(buf_bytes(&claims_bytes), 0, 12, &out);
	assert_err(decode_claims(buf_bytes(&out)), E_PEER_UNKNOWN_KEY);
	rewrite(buf_bytes(&evidence_bytes), 0, 12, &ev);
	assert_err(decode_evidence(buf_bytes(&ev)), E_PEER_UNKNOWN_KEY);
}

/* Computed with an independent implementation (Python's hashlib). */
static void test_derived_values(void **state)
{
	static const char qualifying[] = "db0fbb4979a43c11d700e13cfdacf3e90f01b48efe7ba4991d16478855a5ad35";
	static const char extra[] = "9e5a2d23e9842432f4c078f2825632d4c3602a674940ffbbf73544504aafdc80";
	static const char boot[] = "3e5bd6de0b83aea3bf7d6ccbf961aa26055bfdc7230b22100b44e7cb951dc17f";
	static const char host[] = "h-7fbe499ebec148e55d7d18d6cdf2d7c1";
	cleanup_buf struct buf want = BUF_INIT(0), want_extra = BUF_INIT(0), want_boot = BUF_INIT(0);
	const struct tpm_public ek = { .raw = BYTES_LIT("public area") };
	struct tpm_name null_primary;
	char id[HOST_ID_LEN + 1];
	uint8_t d[32], n[NONCE_LEN];

	(void)state;
	for (size_t i = 0; i < sizeof(n); i++)
		n[i] = (uint8_t)i;
	assert_ok(evidence_qualifying_data(BYTES_ARR(n), BYTES_LIT("claims"), d));
	assert_bytes(BYTES_ARR(d), unhex_(&want, qualifying));
	assert_ok(evidence_key_extra_data(BYTES_ARR(n), BYTES_LIT("claims"), BYTES_ARR(name_a), d));
	assert_bytes(BYTES_ARR(d), unhex_(&want_extra, extra));
	assert_ok(tpm_name_parse(BYTES_ARR(name_a), &null_primary));
	assert_ok(boot_id_of(&null_primary, 0x01020304, 5, d));
	assert_bytes(BYTES_ARR(d), unhex_(&want_boot, boot));
	assert_ok(host_id_of(&ek, id));
	assert_string_equal(id, host);
	assert_true(host_id_valid(bytes_str(id)));
	assert_err(evidence_qualifying_data(BYTES(n, NONCE_LEN - 1), BYTES_LIT("claims"), d), E_PEER_RANGE);
	assert_err(evidence_key_extra_data(BYTES_NONE, BYTES_LIT("claims"), BYTES_ARR(name_a), d), E_PEER_RANGE);
}

static void test_failing_allocations(void **state)
{
	cleanup_free struct evidence *ev = malloc(sizeof(*ev));
	cleanup_free struct evidence_claims *c = malloc(sizeof(*c));
	struct err e = ERR(E_LOCAL_MEMORY);
	long k = 0;

	(void)state;
	for (; failed(e); k++) {
		cleanup_buf struct buf out = BUF_INIT(LIMIT_EVIDENCE);

		fault_begin(k);
		e = evidence_encode(&evidence, &out);
		if (!failed(e))
			e = evidence_decode(buf_bytes(&out), ev);
		if (!failed(e))
			e = evidence_claims_decode(ev->claims, c);
		(void)fault_end();
		if (failed(e))
			assert_err(e, E_LOCAL_MEMORY);
	}
	assert_true(k > 3);
}

static int setup(void **state)
{
	(void)state;
	memset(pcrs[1], 1, sizeof(pcrs[1]));
	fill_claims(&claims);
	if (failed(evidence_claims_encode(&claims, &claims_bytes)))
		return 1;
	fill_evidence(&evidence, buf_bytes(&claims_bytes));
	return failed(evidence_encode(&evidence, &evidence_bytes));
}

static int teardown(void **state)
{
	(void)state;
	buf_free(&claims_bytes);
	buf_free(&evidence_bytes);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_claims_round_trip),
		cmocka_unit_test(test_evidence_round_trip),
		cmocka_unit_test(test_smallest_evidence_round_trip),
		cmocka_unit_test(test_instances_are_written_ascending),
		cmocka_unit_test(test_full_claims_fit),
		cmocka_unit_test(test_claims_refused),
		cmocka_unit_test(test_instances_out_of_order),
		cmocka_unit_test(test_cut_at_every_length),
		cmocka_unit_test(test_Q10_every_bit_of_the_claims),
		cmocka_unit_test(test_evidence_refused),
		cmocka_unit_test(test_X1_cbor_traps),
		cmocka_unit_test(test_X1_ten_thousand_levels),
		cmocka_unit_test(test_X2_caps),
		cmocka_unit_test(test_X2_counts),
		cmocka_unit_test(test_X3_member_missing),
		cmocka_unit_test(test_X3_unknown_member),
		cmocka_unit_test(test_X3_inner_arrays_and_maps),
		cmocka_unit_test(test_derived_values),
		cmocka_unit_test(test_failing_allocations),
	};

	fault_init();
	return cmocka_run_group_tests_name("evidence", tests, setup, teardown);
}
