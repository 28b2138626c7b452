/* SPDX-License-Identifier: Apache-2.0 */
/* The workload log against the quoted register, and what it may say. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "firmware-measure/cel.h"
#include "tests/support/lab_check.h"

/* Offsets of the records in the log. */
static size_t offsets(const struct lab *l, size_t *ret, size_t max)
{
	size_t n = 0, off = 0, len;
	struct cel_record rec;

	for (;;) {
		assert_true(n < max);
		ret[n] = off;
		if (off == l->log.n)
			return n;
		assert_false(failed(cel_read(BYTES(l->log.p + off, l->log.n - off), &rec, &len)));
		off += len;
		n++;
	}
}

static struct lab *three_instances(void)
{
	struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)lab_start(l, "agt", "image", "model");
	(void)lab_start(l, "agt", "image", "model");
	return l;
}

/* The log that is sent; the register keeps what was extended. */
static void log_becomes(struct lab *l, struct bytes a, struct bytes b, struct bytes c)
{
	struct buf new = BUF_INIT(8 * MIB);

	assert_false(failed(buf_add(&new, a)) || failed(buf_add(&new, b)) || failed(buf_add(&new, c)));
	buf_free(&l->log);
	buf_move(&l->log, &new);
}

/* ---- W1: the log gives the register's value. */

static void test_W1_record_missing(void **state)
{
	(void)state;
	for (size_t drop = 0; drop < 4; drop++) {
		cleanup_lab struct lab *l = three_instances();
		cleanup_verdict struct verdict v;
		size_t at[8], n = offsets(l, at, 8);

		verdict_init(&v);
		assert_int_equal(n, 4);
		log_becomes(l, BYTES(l->log.p, at[drop]), BYTES(l->log.p + at[drop + 1], at[n] - at[drop + 1]), BYTES_NONE);
		attest(l, NULL, &v);
		fails(&v, "W1");
		assert_int_equal(v.status, HOST_FAILED);
	}
}

static void test_W1_records_swapped(void **state)
{
	cleanup_lab struct lab *l = three_instances();
	cleanup_verdict struct verdict v;
	size_t at[8], n = offsets(l, at, 8);
	struct buf head = BUF_INIT(8 * MIB);

	(void)state;
	verdict_init(&v);
	assert_int_equal(n, 4);
	assert_false(failed(buf_add(&head, BYTES(l->log.p, at[2]))));
	log_becomes(l, buf_bytes(&head), BYTES(l->log.p + at[3], at[4] - at[3]), BYTES(l->log.p + at[2], at[3] - at[2]));
	buf_free(&head);
	attest(l, NULL, &v);
	fails(&v, "W1");
}

/* Each byte of the log: the record no longer reads, no longer fits its digest, or no longer gives the register. */
static void test_W1_each_byte(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	for (size_t i = 0; i < l->log.n; i++) {
		cleanup_verdict struct verdict v;

		verdict_init(&v);
		l->log.p[i] ^= 1;
		attest(l, NULL, &v);
		l->log.p[i] ^= 1;
		assert_false(verdict_passed(&v));
		assert_true(v.result[row_of("W1")] == CHECK_FAIL || v.result[row_of("W-order")] == CHECK_FAIL);
	}
}

/* Extended without a record, and a record without an extend before others. */
static void test_W1_extended_twice(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	struct cel_record rec;
	size_t at[8], len;

	(void)state;
	(void)offsets(l, at, 8);
	assert_false(failed(cel_read(BYTES(l->log.p + at[1], l->log.n - at[1]), &rec, &len)));
	assert_false(failed(softtpm_extend(l->tpm, DIGEST_SHA256, WORKLOAD_PCR, digest_bytes(&rec.digest[0]))));
	refused(l, NULL, "W1");
}

static void test_W1_foreign_extend(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	assert_false(failed(softtpm_event(l->tpm, WORKLOAD_PCR, BYTES_LIT("not ours"))));
	refused(l, NULL, "W1");
}

static void test_W1_no_log(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	buf_clear(&l->log);
	refused(l, NULL, "W1");
}

/* E8: a log of another bank is not rehashed. */
static void test_W1_E8_other_bank(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	buf_clear(&l->log);
	l->n_records = 0;
	l->tpm->banks = 1u << DIGEST_SHA384;
	lab_record(l, &(struct workload_event){ .kind = WORKLOAD_BEGIN, .n_banks = 1, .bank = { DIGEST_SHA384 },
						.before = { { .n = 48 } } });
	l->tpm->banks = 1u << DIGEST_SHA256;
	refused(l, NULL, "W1");
}

/* L6, I3: the log may be longer than the quote; what lies behind the match is not covered, and not even read. */
static void append_junk(struct lab *l, struct evidence *ev)
{
	static uint8_t copy[LIMIT_SMALL];

	(void)l;
	memcpy(copy, ev->log.p, ev->log.n);
	memset(copy + ev->log.n, 0xff, 100);
	ev->log = BYTES(copy, ev->log.n + 100);
}

static void test_W1_L6_prefix(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	attest(l, &(struct lab_change){ .evidence = append_junk }, &v);
	passes(&v);
	assert_int_equal(v.next.log_offset, l->log.n);
	lab_store(l, &v);
	/* And what was behind it then is covered when a quote covers it. */
	(void)lab_start(l, "agt", "image", "model");
	lab_must_pass(l);
	assert_int_equal(l->state.log_offset, l->log.n);
}

/* An event that is in the log, but not yet in the quote, tells nothing. */
static void test_W1_L6_not_covered(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;
	struct digest pcr = l->tpm->pcr[DIGEST_SHA256][WORKLOAD_PCR];

	(void)state;
	verdict_init(&v);
	lab_changed(l, 0, "other image", "model");
	l->tpm->pcr[DIGEST_SHA256][WORKLOAD_PCR] = pcr;
	attest(l, NULL, &v);
	passes(&v);
	assert_int_equal(v.next.log_records, 2);
	assert_false(v.next.instance[0].changed);
}

static void test_W1_delta(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	lab_must_pass(l);
	(void)lab_start(l, "agt", "image", "model");
	l->log.p[l->log.n - 1] ^= 1;
	refused(l, NULL, "W1");
}

/* A host that runs nothing has no log. */
static void test_no_log_at_all(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	assert_false(failed(softtpm_reset(l->tpm)));
	lab_boot(l);
	buf_clear(&l->log);
	l->n_records = 0;
	memset(l->tpm->pcr[DIGEST_SHA256][WORKLOAD_PCR].v, 0, 32);
	attest(l, NULL, &v);
	passes(&v);
	assert_int_equal(v.n_instances, 0);
	assert_int_equal(trust_vector_tier(&v.platform), TIER_AFFIRMING);
	lab_store(l, &v);
	lab_must_pass(l);
	/* The first record comes with the first workload. */
	lab_record(l, &(struct workload_event){ .kind = WORKLOAD_BEGIN, .n_banks = 1, .bank = { DIGEST_SHA256 },
						.before = { { .n = 32 } } });
	(void)lab_start(l, "agt", "image", "model");
	lab_must_pass(l);
	assert_int_equal(l->state.n_instances, 1);
}

/* ---- W-begin. */

static void empty_log(struct lab *l)
{
	assert_false(failed(softtpm_reset(l->tpm)));
	lab_boot(l);
	buf_clear(&l->log);
	l->n_records = 0;
	memset(l->tpm->pcr[DIGEST_SHA256][WORKLOAD_PCR].v, 0, 32);
}

static void test_W_begin_missing(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	empty_log(l);
	(void)lab_start(l, "agt", "image", "model");
	refused(l, NULL, "W-begin");
}

static void begin_at(struct lab *l, const struct digest *before)
{
	struct workload_event ev = { .kind = WORKLOAD_BEGIN, .n_banks = 1, .bank = { DIGEST_SHA256 } };

	ev.before[0] = *before;
	lab_record(l, &ev);
}

static void test_W_begin_twice(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	struct digest zero = { .n = 32 };

	(void)state;
	begin_at(l, &zero);
	refused(l, NULL, "W-begin");
}

static void test_W_begin_twice_in_a_delta(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	struct digest zero = { .n = 32 };

	(void)state;
	lab_must_pass(l);
	begin_at(l, &zero);
	refused(l, NULL, "W-begin");
}

/* Something was extended before the log: only a value that an operator named explains it. */
static void test_W_begin_value_before(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	struct digest *pcr = &l->tpm->pcr[DIGEST_SHA256][WORKLOAD_PCR];
	char json[80];

	(void)state;
	empty_log(l);
	assert_false(failed(softtpm_event(l->tpm, WORKLOAD_PCR, BYTES_LIT("measured by somebody else"))));
	(void)snprintf(json, sizeof(json), "\"%s\"", hex32(pcr->v).text);
	begin_at(l, pcr);
	(void)lab_start(l, "agt", "image", "model");
	refused(l, NULL, "W-begin");
	lab_doc_set(l, DOCUMENT_PLATFORM, "workload_pcr_before", json);
	lab_must_pass(l);
	/* Another value than the approved one. */
	json[1] = json[1] == '0' ? '1' : '0';
	lab_doc_set(l, DOCUMENT_PLATFORM, "workload_pcr_before", json);
	refused(l, NULL, "W-begin");
}

/* The value before, without any log. */
static void test_W_begin_value_without_log(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	char json[80];

	(void)state;
	empty_log(l);
	assert_false(failed(softtpm_event(l->tpm, WORKLOAD_PCR, BYTES_LIT("measured by somebody else"))));
	refused(l, NULL, "W1");
	(void)snprintf(json, sizeof(json), "\"%s\"", hex32(l->tpm->pcr[DIGEST_SHA256][WORKLOAD_PCR].v).text);
	lab_doc_set(l, DOCUMENT_PLATFORM, "workload_pcr_before", json);
	lab_must_pass(l);
}

/* A begin that tells a value which the register did not have. */
static void test_W_begin_value_invented(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	struct digest invented = { .n = 32, .v = { 1 } };
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	empty_log(l);
	begin_at(l, &invented);
	attest(l, NULL, &v);
	fails(&v, "W-begin");
	fails(&v, "W1");
}

/* ---- W-order: number and register lie outside the digest. */

static void test_W_order(void **state)
{
	static const struct {
		uint64_t recnum;
		uint32_t pcr;
	} cases[] = { { 3, WORKLOAD_PCR }, { 1, WORKLOAD_PCR }, { 0, WORKLOAD_PCR }, { 2, 12 }, { 2, 23 } };

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
		struct workload_event ev = { .kind = WORKLOAD_END };

		memcpy(ev.instance, l->instance[0].id, sizeof(ev.instance));
		lab_record_as(l, &ev, cases[i].recnum, cases[i].pcr);
		l->instance[0].live = false;
		refused(l, NULL, "W-order");
	}
}

static void test_W_order_in_a_delta(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	struct workload_event ev = { .kind = WORKLOAD_END };

	(void)state;
	lab_must_pass(l);
	memcpy(ev.instance, l->instance[0].id, sizeof(ev.instance));
	lab_record_as(l, &ev, 0, WORKLOAD_PCR);
	l->instance[0].live = false;
	refused(l, NULL, "W-order");
}

/* ---- W-once (W3): nothing starts twice, nothing speaks after its end. */

/* A start with the id of one instance and the key of another. */
static void start_as(struct lab *l, const uint8_t id[INSTANCE_ID_LEN], const struct tpm_name *key)
{
	struct workload_event ev = { .kind = WORKLOAD_START, .agent = BYTES_LIT("agt") };

	memcpy(ev.instance, id, sizeof(ev.instance));
	assert_false(failed(sha256(BYTES_LIT("image"), ev.image.manifest)));
	assert_false(failed(sha256(BYTES_LIT("model"), ev.model.manifest)));
	ev.key_name = tpm_name_bytes(key);
	lab_record(l, &ev);
}

static const uint8_t new_id[INSTANCE_ID_LEN] = { 0x77 };

static void test_W_once_live_id(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_softtpm_key struct softtpm_key *k = NULL;

	(void)state;
	assert_false(failed(softtpm_workload_key(l->tpm, &k)));
	start_as(l, l->instance[0].id, &k->name);
	refused(l, NULL, "W-once");
}

static void test_W_once_live_key(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	start_as(l, new_id, &l->instance[0].key->name);
	refused(l, NULL, "W-once");
}

/* Ids and keys that have ended, in the same evidence and, from the state, in a later one. */
static void test_W_once_after_the_end(void **state)
{
	(void)state;
	for (unsigned variant = 0; variant < 8; variant++) {
		cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
		cleanup_softtpm_key struct softtpm_key *k = NULL;

		assert_false(failed(softtpm_workload_key(l->tpm, &k)));
		lab_end(l, 0);
		if ((variant & 1) != 0)
			lab_must_pass(l);
		switch (variant >> 1) {
		case 0:
			start_as(l, l->instance[0].id, &k->name);
			break;
		case 1:
			start_as(l, new_id, &l->instance[0].key->name);
			break;
		case 2:
			lab_changed(l, 0, "image", "model");
			break;
		default:
			lab_end(l, 0);
		}
		refused(l, NULL, "W-once");
	}
}

static void test_W_once_changed_is_terminal(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	lab_doc_set(l, DOCUMENT_PLATFORM, "unapproved_workload", "\"instance\"");
	lab_changed(l, 0, "other", "model");
	attest(l, NULL, &v);
	passes(&v);
	assert_false(v.instance[0].usable);
	lab_store(l, &v);
	/* Back to what it was: too late. */
	lab_changed(l, 0, "image", "model");
	verdict_done(&v);
	attest(l, NULL, &v);
	only_failure(&v, "W-once");
}

static void test_W_once_many(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	struct tpm_name name = l->instance[0].key->name;
	uint8_t id[INSTANCE_ID_LEN] = { 0 };

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		struct workload_event ev = { .kind = WORKLOAD_END };

		memcpy(id + 4, &i, sizeof(i));
		id[0] = 0x55;
		memcpy(name.v + 2, &i, sizeof(i));
		start_as(l, id, &name);
		memcpy(ev.instance, id, sizeof(id));
		lab_record(l, &ev);
	}
	lab_must_pass(l);
	assert_int_equal(l->state.n_gone, 600);
	/* One from the middle, from the state. */
	id[4] = 100;
	id[5] = 0;
	start_as(l, id, &name);
	refused(l, NULL, "W-once");
}

static void test_W_once_too_many_live(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;
	struct tpm_name name = l->instance[0].key->name;
	uint8_t id[INSTANCE_ID_LEN] = { 0x55 };

	(void)state;
	verdict_init(&v);
	for (unsigned i = 0; i < LIMIT_INSTANCES; i++) {
		memcpy(id + 4, &i, sizeof(i));
		memcpy(name.v + 2, &i, sizeof(i));
		start_as(l, id, &name);
	}
	attest(l, NULL, &v);
	fails(&v, "W-once");
	assert_int_equal(v.n_instances, LIMIT_INSTANCES);
}

/* ---- W-resume. */

static void resume_to(struct lab *l, uint32_t count)
{
	lab_record(l, &(struct workload_event){ .kind = WORKLOAD_RESUME, .restart_count = count });
}

static void test_W_resume_future(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	softtpm_resume(l->tpm);
	resume_to(l, 2);
	refused(l, NULL, "W-resume");
}

static void test_W_resume_twice(void **state)
{
	(void)state;
	for (unsigned delta = 0; delta < 2; delta++) {
		cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

		softtpm_resume(l->tpm);
		resume_to(l, 1);
		if (delta == 1)
			lab_must_pass(l);
		resume_to(l, 1);
		refused(l, NULL, "W-resume");
	}
}

static void test_W_resume_zero(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	resume_to(l, 0);
	refused(l, NULL, "W-resume");
}

static void test_W_resume_several(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	for (unsigned i = 1; i < 4; i++) {
		softtpm_resume(l->tpm);
		resume_to(l, i);
	}
	lab_must_pass(l);
	assert_int_equal(l->state.log_restart, 3);
}

/* ---- W6: claims and log. */

static void present_less(struct lab *l, struct evidence_claims *c)
{
	(void)l;
	c->n_instances--;
}
static void present_more(struct lab *l, struct evidence_claims *c)
{
	(void)l;
	c->instance[c->n_instances] = c->instance[0];
	c->instance[c->n_instances++].instance[0] ^= 1;
}
static void present_other_id(struct lab *l, struct evidence_claims *c)
{
	(void)l;
	c->instance[0].instance[3] ^= 1;
}
static void present_other_key(struct lab *l, struct evidence_claims *c)
{
	c->instance[0].key_name = tpm_name_bytes(&l->tpm->ek->name);
}

static void test_W6_presented(void **state)
{
	static void (*const changes[])(struct lab *, struct evidence_claims *) = { present_less, present_more,
										    present_other_id, present_other_key };

	(void)state;
	for (size_t i = 0; i < array_len(changes); i++) {
		cleanup_lab struct lab *l = three_instances();

		refused(l, &(struct lab_change){ .claims = changes[i] }, "W6");
	}
}

/* Incremental state advances with a pass only, or the next delta would launder a bad record. */
static void test_bad_record_is_not_laundered(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	lab_must_pass(l);
	start_as(l, new_id, &l->instance[0].key->name);
	attest(l, NULL, &v);
	fails(&v, "W-once");
	lab_store(l, &v);
	assert_int_equal(l->state.status, HOST_FAILED);
	/* Everything is asked for again, and the bad record is still in it. */
	refused(l, NULL, "W-once");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_W1_record_missing),
		cmocka_unit_test(test_W1_records_swapped),
		cmocka_unit_test(test_W1_each_byte),
		cmocka_unit_test(test_W1_extended_twice),
		cmocka_unit_test(test_W1_foreign_extend),
		cmocka_unit_test(test_W1_no_log),
		cmocka_unit_test(test_W1_E8_other_bank),
		cmocka_unit_test(test_W1_L6_prefix),
		cmocka_unit_test(test_W1_L6_not_covered),
		cmocka_unit_test(test_W1_delta),
		cmocka_unit_test(test_no_log_at_all),
		cmocka_unit_test(test_W_begin_missing),
		cmocka_unit_test(test_W_begin_twice),
		cmocka_unit_test(test_W_begin_twice_in_a_delta),
		cmocka_unit_test(test_W_begin_value_before),
		cmocka_unit_test(test_W_begin_value_without_log),
		cmocka_unit_test(test_W_begin_value_invented),
		cmocka_unit_test(test_W_order),
		cmocka_unit_test(test_W_order_in_a_delta),
		cmocka_unit_test(test_W_once_live_id),
		cmocka_unit_test(test_W_once_live_key),
		cmocka_unit_test(test_W_once_after_the_end),
		cmocka_unit_test(test_W_once_changed_is_terminal),
		cmocka_unit_test(test_W_once_many),
		cmocka_unit_test(test_W_once_too_many_live),
		cmocka_unit_test(test_W_resume_future),
		cmocka_unit_test(test_W_resume_twice),
		cmocka_unit_test(test_W_resume_zero),
		cmocka_unit_test(test_W_resume_several),
		cmocka_unit_test(test_W6_presented),
		cmocka_unit_test(test_bad_record_is_not_laundered),
	};

	return cmocka_run_group_tests_name("appraise-log", tests, NULL, NULL);
}
