/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "firmware-measure/workload_event.h"

#define INSTANCE "50000102030405060708090a0b0c0d0e0f"
#define B32(x) "5820" x x x x x x x x
#define IMAGE "0482" B32("11111111") B32("22222222")
#define MODEL "0582" B32("33333333") B32("44444444")
#define ARGS "06" B32("55555555")
#define NAME32 "7777777777777777777777777777777777777777777777777777777777777777"
#define NAME "075822000b" NAME32
#define AGENT "036573636f7574"

#define ZERO20 "540000000000000000000000000000000000000000"
#define ZERO32 B32("00000000")

/* One of each kind, made with another implementation of CBOR. */
static const char begin_hex[] = "a2000001a204" ZERO20 "0b" ZERO32;
static const char start_hex[] = "a7000102" INSTANCE AGENT IMAGE MODEL ARGS NAME;
static const char changed_hex[] = "a4000202" INSTANCE IMAGE MODEL;
static const char end_hex[] = "a2000302" INSTANCE;
static const char resume_hex[] = "a20004081affffffff";

/* The same of a container. */
#define CONTAINER "0982" B32("88888888") B32("99999999")
static const char container_start_hex[] = "a8000102" INSTANCE AGENT IMAGE MODEL ARGS NAME CONTAINER;
static const char container_changed_hex[] = "a5000202" INSTANCE IMAGE MODEL CONTAINER;

static uint8_t name[34];

static void fill(struct workload_event *ev, enum workload_kind kind)
{
	*ev = (struct workload_event){ .kind = kind };
	if (kind == WORKLOAD_BEGIN) {
		ev->n_banks = 2;
		ev->bank[0] = DIGEST_SHA1;
		ev->before[0].n = 20;
		ev->bank[1] = DIGEST_SHA256;
		ev->before[1].n = 32;
		return;
	}
	if (kind == WORKLOAD_RESUME) {
		ev->restart_count = UINT32_MAX;
		return;
	}
	for (uint8_t i = 0; i < INSTANCE_ID_LEN; i++)
		ev->instance[i] = i;
	if (kind == WORKLOAD_END)
		return;
	memset(ev->image.manifest, 0x11, 32);
	memset(ev->image.config, 0x22, 32);
	memset(ev->model.manifest, 0x33, 32);
	memset(ev->model.oms_root, 0x44, 32);
	if (kind == WORKLOAD_CHANGED)
		return;
	ev->agent = BYTES_LIT("scout");
	memset(ev->args, 0x55, 32);
	memset(name, 0x77, sizeof(name));
	name[0] = 0;
	name[1] = 0x0b;
	ev->key_name = BYTES_ARR(name);
}

static const char *const known[] = { begin_hex, start_hex, changed_hex, end_hex, resume_hex };

static void known_events(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(known); i++) {
		cleanup_buf struct buf want = BUF_INIT(0), got = BUF_INIT(SIZE_MAX), again = BUF_INIT(SIZE_MAX);
		struct workload_event ev, back;

		unhex_(&want, known[i]);
		fill(&ev, (enum workload_kind)i);
		assert_ok(workload_event_encode(&ev, &got));
		assert_bytes(buf_bytes(&got), buf_bytes(&want));

		assert_ok(workload_event_decode(buf_bytes(&want), &back));
		assert_int_equal(back.kind, i);
		assert_int_equal(back.n_banks, ev.n_banks);
		assert_memory_equal(back.instance, ev.instance, sizeof(ev.instance));
		assert_memory_equal(&back.image, &ev.image, sizeof(ev.image));
		assert_memory_equal(&back.model, &ev.model, sizeof(ev.model));
		assert_memory_equal(back.args, ev.args, sizeof(ev.args));
		assert_bytes(back.agent, ev.agent);
		assert_bytes(back.key_name, ev.key_name);
		assert_int_equal(back.restart_count, ev.restart_count);
		assert_ok(workload_event_encode(&back, &again));
		assert_bytes(buf_bytes(&again), buf_bytes(&want));
	}
}

static void W_container(void **state)
{
	static const char *const hex[] = { container_start_hex, container_changed_hex };
	static const char *const damaged[] = {
		"a8000102" INSTANCE AGENT IMAGE MODEL ARGS NAME "0981" B32("88888888"), /* one digest */
		"a8000102" INSTANCE AGENT IMAGE MODEL ARGS NAME "0a82" B32("88888888") B32("99999999"),
		"a3000302" INSTANCE CONTAINER, /* an end has none */
	};

	(void)state;
	for (size_t i = 0; i < array_len(hex); i++) {
		cleanup_buf struct buf want = BUF_INIT(0), got = BUF_INIT(SIZE_MAX);
		struct workload_event ev, back;

		fill(&ev, (enum workload_kind)(i + 1));
		ev.has_container = true;
		memset(ev.container.rootfs, 0x88, 32);
		memset(ev.container.policy, 0x99, 32);
		unhex_(&want, hex[i]);
		assert_ok(workload_event_encode(&ev, &got));
		assert_bytes(buf_bytes(&got), buf_bytes(&want));
		assert_ok(workload_event_decode(buf_bytes(&want), &back));
		assert_true(back.has_container);
		assert_memory_equal(&back.container, &ev.container, sizeof(ev.container));
	}
	for (size_t i = 0; i < array_len(damaged); i++) {
		cleanup_buf struct buf b = BUF_INIT(0);
		struct workload_event ev;

		unhex_(&b, damaged[i]);
		assert_true(failed(workload_event_decode(buf_bytes(&b), &ev)));
	}
}

static void truncated(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(known); i++) {
		cleanup_buf struct buf b = BUF_INIT(0);

		unhex_(&b, known[i]);
		for (size_t len = 0; len < b.n; len++) {
			struct workload_event ev = { .n_banks = 99 };
			uint8_t *exact = malloc(len + 1);

			assert_non_null(exact);
			memcpy(exact, b.p, len);
			assert_err(workload_event_decode(BYTES(exact, len), &ev), E_PEER_TRUNCATED);
			assert_int_equal(ev.n_banks, 99);
			free(exact);
		}
	}
}

/* A flipped bit is refused, or says something else: no two inputs mean the same event. */
static void bit_flips(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(known); i++) {
		cleanup_buf struct buf b = BUF_INIT(0);

		unhex_(&b, known[i]);
		for (size_t bit = 0; bit < 8 * b.n; bit++) {
			cleanup_buf struct buf again = BUF_INIT(SIZE_MAX);
			struct workload_event ev;

			b.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
			if (!failed(workload_event_decode(buf_bytes(&b), &ev))) {
				assert_ok(workload_event_encode(&ev, &again));
				assert_bytes(buf_bytes(&again), buf_bytes(&b));
			}
			b.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	}
}

static const struct {
	const char *name, *hex;
	enum err_code want;
} rejects[] = {
	{ "no map", "00", E_PEER_TYPE },
	{ "empty map", "a0", E_PEER_MISSING },
	{ "no kind", "a102" INSTANCE, E_PEER_MISSING },
	{ "unknown kind", "a2000502" INSTANCE, E_PEER_RANGE },
	{ "kind of 64 bits", "a2001bffffffffffffffff02" INSTANCE, E_PEER_RANGE },
	{ "kind as text", "a200613302" INSTANCE, E_PEER_TYPE },
	{ "trailing byte", "a2000302" INSTANCE "00", E_PEER_TRAILING },
	{ "end without instance", "a10003", E_PEER_MISSING },
	{ "end with an image", "a3000302" INSTANCE IMAGE, E_PEER_UNKNOWN_KEY },
	{ "end with unknown member", "a3000302" INSTANCE "1863f6", E_PEER_UNKNOWN_KEY },
	{ "instance of 15 bytes", "a20003024f000102030405060708090a0b0c0d0e", E_PEER_RANGE },
	{ "instance twice", "a3000302" INSTANCE "02" INSTANCE, E_PEER_DUPLICATE },
	{ "members in another order", "a202" INSTANCE "0003", E_PEER_NOT_CANONICAL },
	{ "resume without count", "a10004", E_PEER_MISSING },
	{ "restart count of 33 bits", "a20004081b0000000100000000", E_PEER_RANGE },
	{ "restart count in a long head", "a20004081800", E_PEER_NOT_CANONICAL },
	{ "negative restart count", "a200040820", E_PEER_TYPE },
	{ "begin without banks", "a10000", E_PEER_MISSING },
	{ "begin with no bank", "a2000001a0", E_PEER_MISSING },
	{ "begin with an unknown bank", "a2000001a1184040", E_PEER_UNKNOWN_KEY },
	{ "begin with a short value", "a2000001a10b40", E_PEER_RANGE },
	{ "begin with a value of another bank", "a2000001a10b" ZERO20, E_PEER_RANGE },
	{ "banks descending", "a2000001a20b" ZERO32 "04" ZERO20, E_PEER_NOT_CANONICAL },
	{ "bank twice", "a2000001a204" ZERO20 "04" ZERO20, E_PEER_DUPLICATE },
	{ "begin with an instance", "a3000001a104" ZERO20 "02" INSTANCE, E_PEER_UNKNOWN_KEY },
	{ "start without instance", "a60001" AGENT IMAGE MODEL ARGS NAME, E_PEER_MISSING },
	{ "start without agent", "a6000102" INSTANCE IMAGE MODEL ARGS NAME, E_PEER_MISSING },
	{ "start without image", "a6000102" INSTANCE AGENT MODEL ARGS NAME, E_PEER_MISSING },
	{ "start without model", "a6000102" INSTANCE AGENT IMAGE ARGS NAME, E_PEER_MISSING },
	{ "start without arguments", "a6000102" INSTANCE AGENT IMAGE MODEL NAME, E_PEER_MISSING },
	{ "start without key", "a6000102" INSTANCE AGENT IMAGE MODEL ARGS, E_PEER_MISSING },
	{ "start with a restart count", "a8000102" INSTANCE AGENT IMAGE MODEL ARGS NAME "0800", E_PEER_UNKNOWN_KEY },
	{ "agent empty", "a7000102" INSTANCE "0360" IMAGE MODEL ARGS NAME, E_PEER_RANGE },
	{ "agent with a slash", "a7000102" INSTANCE "0365736f2f7574" IMAGE MODEL ARGS NAME, E_PEER_RANGE },
	{ "agent as bytes", "a7000102" INSTANCE "034573636f7574" IMAGE MODEL ARGS NAME, E_PEER_TYPE },
	{ "image of one digest", "a4000202" INSTANCE "0481" B32("11111111") MODEL, E_PEER_MISSING },
	{ "image of three digests", "a4000202" INSTANCE "0483" B32("11111111") B32("11111111") B32("11111111") MODEL,
	  E_LIMIT_COUNT },
	{ "image digest of 20 bytes", "a4000202" INSTANCE "0482" ZERO20 ZERO32 MODEL, E_PEER_RANGE },
	{ "changed without model", "a3000202" INSTANCE IMAGE, E_PEER_MISSING },
	{ "arguments of 20 bytes", "a7000102" INSTANCE AGENT IMAGE MODEL "06" ZERO20 NAME, E_PEER_RANGE },
	{ "key Name of 33 bytes", "a7000102" INSTANCE AGENT IMAGE MODEL ARGS
	  "075821000b77777777777777777777777777777777777777777777777777777777777777", E_PEER_RANGE },
	{ "key Name of SHA-1", "a7000102" INSTANCE AGENT IMAGE MODEL ARGS "0758220004" NAME32, E_PEER_UNSUPPORTED },
};

static void refuses(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(rejects); i++) {
		cleanup_buf struct buf b = BUF_INIT(0);
		struct workload_event ev;
		struct err e = workload_event_decode(unhex_(&b, rejects[i].hex), &ev);

		if (e.code != rejects[i].want)
			fail_msg("%s: %s instead of %s", rejects[i].name, err_name(e), err_name(ERR(rejects[i].want)));
	}
}

static void agent_name_length(void **state)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklm";
	cleanup_buf struct buf b = BUF_INIT(SIZE_MAX);
	struct workload_event ev;

	(void)state;
	fill(&ev, WORKLOAD_START);
	ev.agent = BYTES(letters, 64);
	assert_ok(workload_event_encode(&ev, &b));
	ev.agent = BYTES(letters, 65);
	assert_err(workload_event_encode(&ev, &b), E_PEER_RANGE);
}

/* The writer keeps the reader's rules, so that a host cannot lock itself out with its own log. */
static void writer_refuses(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(SIZE_MAX);
	struct workload_event ev;

	(void)state;
	fill(&ev, WORKLOAD_START);
	ev.agent = BYTES_LIT("a b");
	assert_err(workload_event_encode(&ev, &b), E_PEER_RANGE);
	fill(&ev, WORKLOAD_START);
	ev.key_name = BYTES_NONE;
	assert_err(workload_event_encode(&ev, &b), E_PEER_RANGE);
	fill(&ev, WORKLOAD_START);
	name[1] = 0x04;
	assert_err(workload_event_encode(&ev, &b), E_PEER_UNSUPPORTED);
	fill(&ev, WORKLOAD_BEGIN);
	ev.n_banks = 0;
	assert_err(workload_event_encode(&ev, &b), E_PEER_MISSING);
	fill(&ev, WORKLOAD_BEGIN);
	ev.n_banks = LIMIT_BANKS + 1;
	assert_err(workload_event_encode(&ev, &b), E_LIMIT_COUNT);
	fill(&ev, WORKLOAD_BEGIN);
	ev.before[1].n = 20;
	assert_err(workload_event_encode(&ev, &b), E_PEER_RANGE);
	fill(&ev, WORKLOAD_BEGIN);
	ev.bank[0] = DIGEST_SHA384;
	ev.before[0].n = 48;
	assert_err(workload_event_encode(&ev, &b), E_PEER_NOT_CANONICAL);
	ev.kind = (enum workload_kind)5;
	assert_err(workload_event_encode(&ev, &b), E_BUG);
	assert_int_equal(b.n, 0);
}

static void W4_arguments(void **state)
{
	static char agent[] = "/bin/agent", empty[] = "", model[] = "--model", mo[] = "--mo", del[] = "del";
	static char *const argv[] = { agent, empty, model };
	static char *const split[] = { agent, empty, mo, del };
	static char *const shorter[] = { agent, model };
	cleanup_buf struct buf none = BUF_INIT(0), three = BUF_INIT(0);
	uint8_t d[32], other[32];

	(void)state;
	unhex_(&none, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	unhex_(&three, "cb8c5ca937ea95ade6a84e332cbf8f635cb0f6e8cc641093591bfbfdca1209eb");
	assert_ok(workload_args_digest(0, NULL, d));
	assert_memory_equal(d, none.p, 32);
	assert_ok(workload_args_digest(array_len(argv), argv, d));
	assert_memory_equal(d, three.p, 32);
	assert_ok(workload_args_digest(array_len(split), split, other));
	assert_memory_not_equal(d, other, 32);
	assert_ok(workload_args_digest(array_len(shorter), shorter, other));
	assert_memory_not_equal(d, other, 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_events),
		cmocka_unit_test(W_container),
		cmocka_unit_test(truncated),
		cmocka_unit_test(bit_flips),
		cmocka_unit_test(refuses),
		cmocka_unit_test(agent_name_length),
		cmocka_unit_test(writer_refuses),
		cmocka_unit_test(W4_arguments),
	};

	return cmocka_run_group_tests_name("workload-event", tests, NULL, NULL);
}
