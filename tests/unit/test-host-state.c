/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/appraise/host_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "tests/support/softtpm.h"
#include "verifier/appraise/host_instance.h"

static void fill_instance(struct instance *i, uint8_t seed, bool key, bool changed)
{
	*i = (struct instance){ .has_key = key, .changed = changed };
	memset(i->id, seed, sizeof(i->id));
	(void)snprintf(i->agent, sizeof(i->agent), "agent-%u", seed);
	memset(&i->image, seed + 1, sizeof(i->image));
	memset(&i->model, seed + 2, sizeof(i->model));
	memset(i->args, seed + 3, sizeof(i->args));
	i->key_name.n = 34;
	memset(i->key_name.v, seed, 34);
	i->key_name.v[0] = 0;
	i->key_name.v[1] = 0x0b;
	if (key) {
		memset(i->key_x, seed + 4, sizeof(i->key_x));
		memset(i->key_y, seed + 5, sizeof(i->key_y));
		memset(i->jkt, 'J', 43);
	}
	if (changed) {
		memset(&i->now_image, seed + 6, sizeof(i->now_image));
		memset(&i->now_model, seed + 7, sizeof(i->now_model));
	}
}

static void fill_container(struct instance *i, uint8_t seed)
{
	i->has_container = true;
	memset(&i->container, seed, sizeof(i->container));
	i->container.policy[0]++;
	if (i->changed)
		memset(&i->now_container, seed + 2, sizeof(i->now_container));
}

/* What an open replay says of boot and log. */
static void fill_log(struct host_state *s)
{
	host_state_init(s);
	s->has_boot = true;
	memset(s->boot_id, 9, sizeof(s->boot_id));
	memset(s->policy_digest, 8, sizeof(s->policy_digest));
	s->null_name.n = 34;
	memset(s->null_name.v, 5, 34);
	s->null_name.v[0] = 0;
	s->null_name.v[1] = 0x0b;
	s->log_offset = 1 << 20;
	s->log_records = 4711;
	s->log_restart = 3;
	s->n_banks = 1;
	s->bank[0] = DIGEST_SHA384;
	s->pcr[0].n = 48;
	memset(s->pcr[0].v, 0x33, 48);
	s->n_instances = 5;
	s->instance = calloc(5, sizeof(*s->instance));
	assert_non_null(s->instance);
	fill_instance(&s->instance[0], 1, true, false);
	fill_instance(&s->instance[1], 2, false, false);
	fill_instance(&s->instance[2], 3, true, true);
	fill_instance(&s->instance[3], 4, true, false);
	fill_instance(&s->instance[4], 5, false, true);
	fill_container(&s->instance[3], 0x60);
	fill_container(&s->instance[4], 0x70);
	s->n_gone = 2;
	s->gone = calloc(2, sizeof(*s->gone));
	assert_non_null(s->gone);
	s->gone[0] = 1;
	s->gone[1] = UINT64_MAX;
}

static void fill(struct host_state *s)
{
	struct host_state open;

	fill_log(s);
	s->status = HOST_VERIFIED;
	s->has_clock = true;
	s->clock = (struct tpm_clock){ UINT64_MAX, UINT32_MAX, 7, 1 };
	s->firmware_version = 0x123456789abcdef0;
	s->firmware.has = true;
	memset(s->firmware.doc, 0x44, sizeof(s->firmware.doc));
	memset(s->firmware.pcrs, 0x45, sizeof(s->firmware.pcrs));
	s->firmware.compared_mask = 0xff;
	s->firmware.measurer_seen = true;
	s->firmware.base.mask = 1u << 11 | 1u << 23;
	s->firmware.base.pcr[11] = s->firmware.base.pcr[23] = (struct digest){ .n = 32, .v = { 0x46 } };
	s->ima.has = true;
	memset(s->ima.boot_id, 9, sizeof(s->ima.boot_id));
	memset(s->ima.policy_digest, 8, sizeof(s->ima.policy_digest));
	memset(s->ima.doc, 0x46, sizeof(s->ima.doc));
	s->ima.offset = 1 << 30;
	assert_false(failed(ima_progress_keep(&s->ima, BYTES_LIT("replay"))));
	fill_log(&open);
	open.log_offset = 2 << 20;
	s->open.image_gone = (struct unexplained){ .n = 2, .instance = { 1 }, .digest = { 2 } };
	s->open.model_gone = (struct unexplained){ .n = 1, .instance = { 3 }, .digest = { 4 } };
	s->open.root_gone = (struct unexplained){ .n = 3, .instance = { 5 }, .digest = { 6 } };
	assert_false(failed(log_progress_keep(&s->open, &open)));
}

static void encode(const struct host_state *s, struct buf *ret)
{
	assert_false(failed(host_state_encode(s, ret)));
}

static void same(const struct host_state *a, const struct host_state *b)
{
	struct host_state x = *a, y = *b;

	x.instance = y.instance = NULL;
	x.gone = y.gone = NULL;
	x.ima.state = y.ima.state = NULL;
	x.open.state = y.open.state = NULL;
	assert_memory_equal(&x, &y, sizeof(x));
	for (size_t i = 0; i < a->n_instances; i++)
		assert_memory_equal(&a->instance[i], &b->instance[i], sizeof(a->instance[i]));
	for (size_t i = 0; i < a->n_gone; i++)
		assert_int_equal(a->gone[i], b->gone[i]);
	assert_true(bytes_eq(BYTES(a->ima.state, a->ima.n), BYTES(b->ima.state, b->ima.n)));
	assert_int_equal(a->open.state == NULL, b->open.state == NULL);
	if (a->open.state != NULL)
		same(a->open.state, b->open.state);
}

static void test_round_trip(void **state)
{
	cleanup_host_state struct host_state s, back;
	cleanup_buf struct buf b = BUF_INIT(HOST_STATE_MAX), again = BUF_INIT(HOST_STATE_MAX);

	(void)state;
	fill(&s);
	host_state_init(&back);
	encode(&s, &b);
	assert_false(failed(host_state_decode(buf_bytes(&b), &back)));
	same(&s, &back);
	encode(&back, &again);
	assert_true(bytes_eq(buf_bytes(&b), buf_bytes(&again)));
}

static void test_round_trip_empty(void **state)
{
	cleanup_host_state struct host_state s, back;

	(void)state;
	host_state_init(&s);
	host_state_init(&back);
	for (int i = HOST_NEVER; i <= HOST_ERROR; i++) {
		cleanup_buf struct buf b = BUF_INIT(HOST_STATE_MAX);

		s.status = (enum host_status)i;
		encode(&s, &b);
		assert_int_equal(b.n, 3);
		assert_false(failed(host_state_decode(buf_bytes(&b), &back)));
		assert_int_equal(back.status, i);
	}
}

/* What a verifier stored that knew of no containers, by the digest of it: written the same way still, and read. */
static void test_state_without_containers(void **state)
{
	static const char before[] = "1029922bdb30e3508fc21902a46fe43ac6296f9e4fc1d4743ba45c613f8bcfbb";
	cleanup_host_state struct host_state s, back;
	cleanup_buf struct buf b = BUF_INIT(HOST_STATE_MAX);
	uint8_t want[32], sum[32];

	(void)state;
	assert_false(failed(hex_decode_exact(bytes_str(before), want, sizeof(want))));
	fill(&s);
	s.n_instances = s.open.state->n_instances = 3;
	s.open.root_gone = (struct unexplained){ .n = 0 };
	encode(&s, &b);
	assert_false(failed(sha256(buf_bytes(&b), sum)));
	assert_memory_equal(sum, want, sizeof(want));
	host_state_init(&back);
	assert_false(failed(host_state_decode(buf_bytes(&b), &back)));
	same(&s, &back);
	assert_false(back.instance[2].has_container);
}

/* What it became stands exactly where a container changed. */
static void test_container_members(void **state)
{
	const size_t pair = 1 + 1 + 2 * (2 + 32);
	struct instance i, back = { .id = { 0 } };
	struct cbor_rd r;

	(void)state;
	for (unsigned changed = 0; changed < 2; changed++) {
		cleanup_buf struct buf b = BUF_INIT(4 * KIB), more = BUF_INIT(4 * KIB);

		fill_instance(&i, 1, false, changed == 1);
		fill_container(&i, 2);
		assert_false(failed(host_instance_encode(&i, &b)));
		/* Without the last of them, and where nothing changed, with one more. */
		assert_false(failed(buf_add(&more, buf_bytes(&b))));
		if (changed == 1) {
			more.n -= pair;
			more.p[0]--;
		} else {
			assert_false(failed(buf_add(&more, BYTES(b.p + b.n - pair, pair))));
			more.p[b.n] = 13;
			more.p[0]++;
		}
		assert_false(failed(cbor_rd_init(buf_bytes(&b), &r)));
		assert_false(failed(host_instance_decode(&r, &back)));
		assert_memory_equal(&i, &back, sizeof(i));
		back = (struct instance){ .id = { 0 } };
		assert_false(failed(cbor_rd_init(buf_bytes(&more), &r)));
		assert_int_equal(host_instance_decode(&r, &back).code,
				 changed == 1 ? E_PEER_MISSING : E_PEER_UNKNOWN_KEY);
		back = (struct instance){ .id = { 0 } };
	}
}

static void test_cut_and_trailing(void **state)
{
	cleanup_host_state struct host_state s, back;
	cleanup_buf struct buf b = BUF_INIT(HOST_STATE_MAX);

	(void)state;
	fill(&s);
	host_state_init(&back);
	encode(&s, &b);
	for (size_t n = 0; n < b.n; n++)
		assert_true(failed(host_state_decode(BYTES(b.p, n), &back)));
	assert_false(failed(buf_add_u8(&b, 0)));
	assert_int_equal(host_state_decode(buf_bytes(&b), &back).code, E_PEER_TRAILING);
}

static void test_copy(void **state)
{
	cleanup_host_state struct host_state s, copy;

	(void)state;
	fill(&s);
	host_state_init(&copy);
	assert_false(failed(host_state_copy(&s, &copy)));
	same(&s, &copy);
	assert_ptr_not_equal(s.instance, copy.instance);
	assert_ptr_not_equal(s.ima.state, copy.ima.state);
	assert_ptr_not_equal(s.open.state, copy.open.state);
	assert_ptr_not_equal(s.open.state->instance, copy.open.state->instance);
	copy.instance[0].id[0] ^= 1;
	assert_int_equal(s.instance[0].id[0], 1);
}

/* R1, R2 and R5 must know the last counters whatever the verdicts were. */
static void test_forget_log(void **state)
{
	cleanup_host_state struct host_state s;

	(void)state;
	fill(&s);
	host_state_forget_log(&s);
	assert_int_equal(s.status, HOST_VERIFIED);
	assert_true(s.has_clock);
	assert_int_equal(s.clock.reset_count, UINT32_MAX);
	assert_int_equal(s.firmware_version, 0x123456789abcdef0);
	assert_false(s.has_boot);
	assert_int_equal(s.log_offset, 0);
	assert_int_equal(s.log_records, 0);
	assert_int_equal(s.n_banks, 0);
	assert_int_equal(s.n_instances, 0);
	assert_null(s.instance);
	assert_int_equal(s.n_gone, 0);
	assert_int_equal(s.null_name.n, 0);
	assert_false(s.firmware.has);
	assert_false(s.ima.has);
	assert_null(s.ima.state);
	assert_null(s.open.state);
	assert_int_equal(s.open.image_gone.n, 0);
	assert_int_equal(s.open.root_gone.n, 0);
}

static void test_continues(void **state)
{
	cleanup_host_state struct host_state s;
	uint8_t boot[BOOT_ID_LEN], policy[32];

	(void)state;
	fill(&s);
	memset(boot, 9, sizeof(boot));
	memset(policy, 8, sizeof(policy));
	assert_true(host_state_continues(&s, boot, policy));
	boot[31] ^= 1;
	assert_false(host_state_continues(&s, boot, policy));
	boot[31] ^= 1;
	policy[0] ^= 1;
	assert_false(host_state_continues(&s, boot, policy));
	policy[0] ^= 1;
	host_state_forget_log(&s);
	assert_false(host_state_continues(&s, boot, policy));
	/* Not even where both are all zero, as a state without a boot has them. */
	memset(boot, 0, sizeof(boot));
	memset(policy, 0, sizeof(policy));
	assert_false(host_state_continues(&s, boot, policy));
}

/* I4: an open replay goes on in its boot and under its reference values only. */
static void test_I4_ima_progress_continues(void **state)
{
	cleanup_host_state struct host_state s;
	uint8_t boot[BOOT_ID_LEN], policy[32], large[IMA_PROGRESS_MAX + 1] = { 0 };

	(void)state;
	fill(&s);
	memset(boot, 9, sizeof(boot));
	memset(policy, 8, sizeof(policy));
	assert_true(ima_progress_continues(&s.ima, boot, policy));
	boot[0] ^= 1;
	assert_false(ima_progress_continues(&s.ima, boot, policy));
	boot[0] ^= 1;
	policy[31] ^= 1;
	assert_false(ima_progress_continues(&s.ima, boot, policy));
	assert_int_equal(ima_progress_keep(&s.ima, BYTES_ARR(large)).code, E_BUG);
	ima_progress_done(&s.ima);
	memset(boot, 0, sizeof(boot));
	memset(policy, 0, sizeof(policy));
	assert_false(ima_progress_continues(&s.ima, boot, policy));
}

/* I4: so does an open replay of the workload log, which comes before the state. */
static void test_I4_state_of_the_log(void **state)
{
	cleanup_host_state struct host_state s;
	uint8_t boot[BOOT_ID_LEN], policy[32];

	(void)state;
	fill(&s);
	memset(boot, 9, sizeof(boot));
	memset(policy, 8, sizeof(policy));
	assert_ptr_equal(host_state_log(&s, boot, policy), s.open.state);
	s.open.state->boot_id[0] ^= 1;
	assert_ptr_equal(host_state_log(&s, boot, policy), &s);
	s.open.state->boot_id[0] ^= 1;
	s.has_boot = false;
	assert_ptr_equal(host_state_log(&s, boot, policy), s.open.state);
	s.open.state->policy_digest[31] ^= 1;
	assert_null(host_state_log(&s, boot, policy));
	s.has_boot = true;
	log_progress_done(&s.open);
	assert_ptr_equal(host_state_log(&s, boot, policy), &s);
}

/* Boot and log alone: no verdict, no clock, no other judgement and no replay within the replay comes back from a store.
 */
static void test_open_log_holds_a_log_only(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 7; i++) {
		cleanup_host_state struct host_state s, back;
		cleanup_buf struct buf b = BUF_INIT(HOST_STATE_MAX);
		struct host_state *open;
		struct err e;

		fill(&s);
		host_state_init(&back);
		open = s.open.state;
		open->status = i == 1 ? HOST_VERIFIED : HOST_NEVER;
		open->has_clock = i == 2;
		open->firmware.has = i == 3;
		open->has_boot = i != 4;
		open->ima.has = i == 5;
		if (i == 6)
			assert_false(failed(log_progress_copy(&s.open, &open->open)));
		encode(&s, &b);
		e = host_state_decode(buf_bytes(&b), &back);
		assert_int_equal(failed(e), i > 0);
		assert_int_equal(back.open.state == NULL, i > 0);
	}
}

/* ---- The record. */

static const struct {
	enum softtpm_template ek, ak;
	enum sig_scheme scheme;
	enum digest_id hash;
} records[] = {
	{ SOFTTPM_EK_RSA2048, SOFTTPM_AK_P256, SIG_ECDSA, DIGEST_SHA256 },
	{ SOFTTPM_EK_P384, SOFTTPM_AK_P384, SIG_ECDSA, DIGEST_SHA384 },
	{ SOFTTPM_EK_P256, SOFTTPM_AK_RSASSA, SIG_RSASSA, DIGEST_SHA256 },
	{ SOFTTPM_EK_P256, SOFTTPM_AK_RSAPSS, SIG_RSAPSS, DIGEST_SHA256 },
};

static void test_record(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(records); i++) {
		const struct softtpm_options o = { .ek = records[i].ek, .ak = records[i].ak };
		cleanup_softtpm struct softtpm *t = NULL;
		cleanup_buf struct buf b = BUF_INIT(HOST_RECORD_MAX);
		cleanup_host_record struct host_record *h = NULL, *h2 = NULL;
		char id[HOST_ID_LEN + 1];
		uint8_t ek[32];

		assert_false(failed(softtpm_new(&o, &t)));
		assert_false(failed(host_record_encode(buf_bytes(&t->ek->area), BYTES_LIT("der"),
						       buf_bytes(&t->ak->area), 12345, &b)));
		assert_false(failed(host_record_decode(buf_bytes(&b), &h)));
		assert_false(failed(host_id_of(&t->ek->pub, id)));
		assert_false(failed(key_spki_sha256(t->ek->key, ek)));
		assert_string_equal(h->id, id);
		assert_memory_equal(h->ek_sha256, ek, 32);
		assert_true(bytes_eq(tpm_name_bytes(&h->ak_name), tpm_name_bytes(&t->ak->name)));
		assert_true(bytes_eq(tpm_name_bytes(&h->ak_qualified_name), tpm_name_bytes(&t->ak->qualified_name)));
		assert_int_equal(h->ak_scheme, records[i].scheme);
		assert_int_equal(h->ak_hash, records[i].hash);
		assert_int_equal(h->enrolled_s, 12345);
		assert_true(h->has_ek_cert);
		for (size_t n = 0; n < b.n; n++)
			assert_true(failed(host_record_decode(BYTES(b.p, n), &h2)));
	}
}

/* N11: the digest names EK, AK and certificate together. */
static void test_N11_record_digest(void **state)
{
	const struct softtpm_options o = { .ek = SOFTTPM_EK_P256, .ak = SOFTTPM_AK_P256 };
	cleanup_softtpm struct softtpm *a = NULL, *b = NULL;
	struct bytes parts[4][3];
	uint8_t digest[4][32];

	(void)state;
	assert_false(failed(softtpm_new(&o, &a)));
	assert_false(failed(softtpm_new(&o, &b)));
	for (size_t i = 0; i < 4; i++) {
		cleanup_buf struct buf out = BUF_INIT(HOST_RECORD_MAX);
		cleanup_host_record struct host_record *h = NULL;

		parts[i][0] = buf_bytes(i == 1 ? &b->ek->area : &a->ek->area);
		parts[i][1] = i == 2 ? BYTES_LIT("der") : BYTES_NONE;
		parts[i][2] = buf_bytes(i == 3 ? &b->ak->area : &a->ak->area);
		assert_false(failed(host_record_encode(parts[i][0], parts[i][1], parts[i][2], 1, &out)));
		assert_false(failed(host_record_decode(buf_bytes(&out), &h)));
		assert_int_equal(h->has_ek_cert, i == 2);
		memcpy(digest[i], h->digest, 32);
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(digest[i], digest[j], 32);
	}
}

/* A record whose AK is none is refused when it is read, too. */
static void test_K2_record_with_unrestricted_ak(void **state)
{
	const struct softtpm_options o = { .ek = SOFTTPM_EK_P256, .ak = SOFTTPM_AK_P256 };
	struct softtpm_spec spec = softtpm_spec_of(SOFTTPM_AK_P256);
	cleanup_softtpm struct softtpm *t = NULL;
	cleanup_softtpm_key struct softtpm_key *k = NULL;
	cleanup_buf struct buf out = BUF_INIT(HOST_RECORD_MAX);
	cleanup_host_record struct host_record *h = NULL;

	(void)state;
	spec.attributes &= ~(uint32_t)TPMA_RESTRICTED;
	assert_false(failed(softtpm_new(&o, &t)));
	assert_false(failed(softtpm_key_new(&spec, &k)));
	assert_false(failed(host_record_encode(buf_bytes(&t->ek->area), BYTES_NONE, buf_bytes(&k->area), 1, &out)));
	assert_int_equal(host_record_decode(buf_bytes(&out), &h).code, E_PEER_RANGE);
	assert_null(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_round_trip_empty),
		cmocka_unit_test(test_state_without_containers),
		cmocka_unit_test(test_container_members),
		cmocka_unit_test(test_cut_and_trailing),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_forget_log),
		cmocka_unit_test(test_continues),
		cmocka_unit_test(test_I4_ima_progress_continues),
		cmocka_unit_test(test_I4_state_of_the_log),
		cmocka_unit_test(test_open_log_holds_a_log_only),
		cmocka_unit_test(test_record),
		cmocka_unit_test(test_N11_record_digest),
		cmocka_unit_test(test_K2_record_with_unrestricted_ak),
	};

	return cmocka_run_group_tests_name("host-state", tests, NULL, NULL);
}
