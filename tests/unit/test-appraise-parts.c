/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A workload log that is longer than one message: parts, each with a quote of
 * its own, of which nothing counts before the last one gives the register.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "firmware-measure/cel.h"
#include "tests/support/ima_list.h"
#include "tests/support/lab_check.h"

#define PART LIMIT_WORKLOAD_LOG

/* One part: nothing failed, nothing is decided, and the host stays what it was. */
static void part(struct lab *l)
{
	cleanup_verdict struct verdict v;
	enum host_status before = l->state.status;

	verdict_init(&v);
	attest(l, NULL, &v);
	print_failures(&v);
	assert_true(v.incomplete);
	assert_false(verdict_passed(&v));
	assert_int_equal(v.n_failures, 0);
	assert_int_equal(v.result[row_of("W1")], CHECK_NOT_RUN);
	assert_int_equal(v.result[row_of("W6")], CHECK_NOT_RUN);
	assert_int_equal(v.result[row_of("W4")], CHECK_NOT_RUN);
	assert_int_equal(v.n_instances, 0);
	assert_int_equal(v.status, before);
	assert_non_null(v.next.open.state);
	lab_store(l, &v);
}

/* What a store makes of the state. */
static void store_and_read(struct lab *l)
{
	cleanup_buf struct buf b = BUF_INIT(HOST_STATE_MAX), again = BUF_INIT(HOST_STATE_MAX);
	struct host_state s;

	host_state_init(&s);
	assert_false(failed(host_state_encode(&l->state, &b)));
	assert_false(failed(host_state_decode(buf_bytes(&b), &s)));
	assert_false(failed(host_state_encode(&s, &again)));
	assert_true(bytes_eq(buf_bytes(&b), buf_bytes(&again)));
	host_state_done(&l->state);
	l->state = s;
}

/* A host of which the verifier knows nothing, with a log of a little more than so many parts. */
static struct lab *long_log(size_t parts, uint32_t *ret_tasks)
{
	struct lab *l = lab_new(SOFTTPM_AK_P256);
	uint32_t n = lab_tasks(l, 0, parts * PART + 1000);

	if (ret_tasks != NULL)
		*ret_tasks = n;
	return l;
}

static void test_W1_parts(void **state)
{
	cleanup_lab struct lab *l = NULL;
	uint32_t tasks;

	(void)state;
	l = long_log(2, &tasks);
	part(l);
	assert_false(l->state.has_boot);
	assert_int_equal(l->state.log_offset, 0);
	assert_int_equal(l->state.status, HOST_NEVER);
	store_and_read(l);
	lab_challenge(l);
	assert_false(l->challenge.boot_known);
	assert_int_equal(l->challenge.log_offset, l->state.open.state->log_offset);
	assert_true(l->challenge.log_offset > PART - 1000 && l->challenge.log_offset < PART);
	part(l);
	store_and_read(l);
	/* Meanwhile the log goes on. */
	(void)lab_start(l, "agt", "image", "model");
	lab_must_pass(l);
	assert_null(l->state.open.state);
	assert_true(l->state.has_boot);
	assert_int_equal(l->state.log_offset, l->log.n);
	assert_int_equal(l->state.log_records, l->n_records);
	assert_int_equal(l->state.n_gone, 2 * tasks);
	assert_int_equal(l->state.n_instances, 2);
	/* From here on as ever. */
	lab_end(l, 1);
	lab_must_pass(l);
	assert_int_equal(l->ev->log.n, l->log.n - l->challenge.log_offset);
	assert_true(l->ev->log.n < 1000);
}

/* A host that was verified and then not seen for long: its last verdict stands beside the open replay. */
static void test_W1_parts_behind_a_pass(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	uint64_t verified;
	uint32_t tasks;

	(void)state;
	lab_must_pass(l);
	verified = l->state.log_offset;
	tasks = lab_tasks(l, 0, PART + PART / 2);
	part(l);
	assert_int_equal(l->state.status, HOST_VERIFIED);
	assert_true(l->state.has_boot);
	assert_int_equal(l->state.log_offset, verified);
	assert_int_equal(l->state.n_gone, 0);
	store_and_read(l);
	lab_challenge(l);
	assert_true(l->challenge.boot_known);
	assert_int_equal(l->challenge.n_known, 1);
	lab_must_pass(l);
	assert_int_equal(l->state.n_gone, 2 * tasks);
	assert_int_equal(l->state.n_instances, 1);
	assert_true(l->state.instance[0].has_key);
}

/* Fills the log up to exactly so many bytes: a record grows by one with each letter of its agent's name. */
static void fill_to(struct lab *l, uint32_t from, size_t bytes)
{
	char name[65];
	size_t task, before, left;

	from = lab_tasks(l, from, bytes - 3000);
	before = l->log.n;
	lab_task_start(l, from, "a", "image");
	lab_task_end(l, from++);
	task = l->log.n - before;
	for (left = bytes - l->log.n; left > 0; left = bytes - l->log.n) {
		size_t tasks = left / task, more = left - tasks * task;

		/* Longer heads of longer names, and no name above 64. */
		more = more > 22 ? 22 : more;
		(void)snprintf(name, sizeof(name), "%.*s", (int)(1 + more), "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
		assert_true(tasks > 0);
		lab_task_start(l, from, name, "image");
		lab_task_end(l, from++);
	}
}

/* What fits is one message, as ever, to the last byte. */
static void test_W1_whole_part(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	fill_to(l, 0, PART);
	lab_must_pass(l);
	assert_int_equal(l->ev->log.n, PART);
	assert_int_equal(l->state.log_offset, PART);
	assert_null(l->state.open.state);
}

/* A full part is not the last one only because nothing is behind it: then the register decides. */
static void test_W1_nothing_behind_a_part(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	fill_to(l, 0, PART);
	assert_false(failed(softtpm_event(l->tpm, WORKLOAD_PCR, BYTES_LIT("not ours"))));
	part(l);
	attest(l, NULL, &v);
	assert_int_equal(l->ev->log.n, 0);
	fails(&v, "W1");
	assert_false(v.incomplete);
	assert_int_equal(v.status, HOST_FAILED);
	assert_null(v.next.open.state);
}

/* One byte less than a part was the end of the log. */
static void shorten(struct lab *l, struct evidence *ev)
{
	(void)l;
	ev->log.n--;
}

static void test_W1_short_part(void **state)
{
	cleanup_lab struct lab *l = long_log(1, NULL);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	attest(l, &(struct lab_change){ .evidence = shorten }, &v);
	fails(&v, "W1");
	assert_false(v.incomplete);
	assert_null(v.next.open.state);
}

/* Another agent in the first record that follows the instance's own: as good a record, but not the one that was
 * extended. */
static void alter(struct lab *l)
{
	static const uint8_t agent[] = { 0x63, 'a', 'g', 't' };
	struct buf new = BUF_INIT(8 * MIB);
	struct cel_record rec;
	size_t off = 0, n;

	for (unsigned i = 0; i < 2; i++, off += n)
		assert_false(failed(cel_read(BYTES(l->log.p + off, l->log.n - off), &rec, &n)));
	assert_false(failed(cel_read(BYTES(l->log.p + off, l->log.n - off), &rec, &n)));
	assert_false(failed(buf_add(&new, rec.content)));
	for (size_t i = 0; i + sizeof(agent) < new.n; i++)
		if (memcmp(new.p + i, agent, sizeof(agent)) == 0)
			new.p[i + 1] = 'A';
	assert_false(failed(cel_digests(buf_bytes(&new), 1, &(enum digest_id){ DIGEST_SHA256 }, &rec)));
	{
		cleanup_buf struct buf record = BUF_INIT(LIMIT_LOG_RECORD);

		assert_false(failed(cel_encode(&rec, &record)));
		assert_int_equal(record.n, n);
		memcpy(l->log.p + off, record.p, n);
	}
	buf_free(&new);
}

/* Found at the end: then all of it is dropped, and only the true log from its beginning helps. */
static void test_W1_altered_in_the_first_part(void **state)
{
	cleanup_lab struct lab *l = long_log(1, NULL);
	cleanup_buf struct buf log = BUF_INIT(8 * MIB);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	assert_false(failed(buf_add(&log, buf_bytes(&l->log))));
	alter(l);
	assert_memory_not_equal(log.p, l->log.p, log.n);
	part(l);
	attest(l, NULL, &v);
	fails(&v, "W1");
	assert_int_equal(v.status, HOST_FAILED);
	assert_null(v.next.open.state);
	lab_store(l, &v);
	memcpy(l->log.p, log.p, log.n);
	lab_challenge(l);
	assert_int_equal(l->challenge.log_offset, 0);
	part(l);
	assert_int_equal(l->state.status, HOST_FAILED);
	lab_must_pass(l);
}

/* ---- Parts that are not the next one. */

static struct evidence_claims kept;
static struct digest kept_pcr;

static void claim_kept(struct lab *l, struct evidence_claims *c)
{
	(void)l;
	c->log_offset = kept.log_offset;
	c->log_records = kept.log_records;
	c->log_pcr = kept.log_offset > 0 ? digest_bytes(&kept_pcr) : BYTES_NONE;
}

static void send_from_kept(struct lab *l, struct evidence *ev)
{
	ev->log = BYTES(l->log.p + kept.log_offset, PART);
}

static void send_first_part(struct lab *l, struct evidence *ev)
{
	ev->log = BYTES(l->log.p, PART);
}

/* The position after two parts, while the verifier has one: refused, and what is open stays. */
static void test_W_offset_part_left_out(void **state)
{
	cleanup_lab struct lab *l = long_log(2, NULL);
	cleanup_verdict struct verdict v;
	struct host_state first;

	(void)state;
	verdict_init(&v);
	host_state_init(&first);
	part(l);
	assert_false(failed(host_state_copy(&l->state, &first)));
	part(l);
	kept.log_offset = l->state.open.state->log_offset;
	kept.log_records = l->state.open.state->log_records;
	kept_pcr = l->state.open.state->pcr[0];
	host_state_done(&l->state);
	l->state = first;
	attest(l, &(struct lab_change){ .claims = claim_kept }, &v);
	/* The clock of the state is that of the first part, so nothing but the position is wrong. */
	only_failure(&v, "W-offset");
	assert_true(v.overtaken);
	assert_non_null(v.next.open.state);
	assert_int_equal(v.next.open.state->log_offset, l->state.open.state->log_offset);
	verdict_done(&v);
	/* Each of the three. */
	for (unsigned i = 0; i < 3; i++) {
		verdict_init(&v);
		kept.log_offset = l->state.open.state->log_offset + (i == 0);
		kept.log_records = l->state.open.state->log_records + (i == 1);
		kept_pcr = l->state.open.state->pcr[0];
		kept_pcr.v[0] ^= i == 2;
		attest(l, &(struct lab_change){ .claims = claim_kept }, &v);
		only_failure(&v, "W-offset");
		verdict_done(&v);
	}
	part(l);
	lab_must_pass(l);
}

/* The first part under the claims of the second one: its records were there already. */
static void test_W_order_part_repeated(void **state)
{
	cleanup_lab struct lab *l = long_log(1, NULL);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	part(l);
	attest(l, &(struct lab_change){ .evidence = send_first_part }, &v);
	fails(&v, "W-order");
	assert_false(v.incomplete);
	assert_int_equal(v.status, HOST_FAILED);
	assert_null(v.next.open.state);
}

/* From the beginning again is no repetition, and brings no further. */
static void test_W1_parts_again_from_the_start(void **state)
{
	cleanup_lab struct lab *l = long_log(1, NULL);
	cleanup_verdict struct verdict v;
	uint64_t first;

	(void)state;
	verdict_init(&v);
	part(l);
	first = l->state.open.state->log_offset;
	kept = (struct evidence_claims){ .log_offset = 0 };
	attest(l, &(struct lab_change){ .claims = claim_kept, .evidence = send_first_part }, &v);
	assert_true(v.incomplete);
	assert_int_equal(v.next.open.state->log_offset, first);
	lab_store(l, &v);
	lab_must_pass(l);
}

/* The same from where the last pass stands; the replay that was open is not kept within the new one. */
static void test_W1_parts_again_from_a_pass(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	lab_must_pass(l);
	(void)lab_tasks(l, 0, PART + PART / 2);
	part(l);
	kept.log_offset = l->state.log_offset;
	kept.log_records = l->state.log_records;
	kept_pcr = l->state.pcr[0];
	attest(l, &(struct lab_change){ .claims = claim_kept, .evidence = send_from_kept }, &v);
	assert_true(v.incomplete);
	lab_store(l, &v);
	store_and_read(l);
	lab_must_pass(l);
}

/* What is open is of one boot. */
static void test_R2_part_of_another_boot(void **state)
{
	cleanup_lab struct lab *l = long_log(1, NULL);
	cleanup_verdict struct verdict v;
	const struct host_state *open;

	(void)state;
	verdict_init(&v);
	part(l);
	open = l->state.open.state;
	kept.log_offset = open->log_offset;
	kept.log_records = open->log_records;
	kept_pcr = open->pcr[0];
	assert_false(failed(softtpm_reset(l->tpm)));
	lab_boot(l);
	(void)lab_start(l, "agt", "image", "model");
	lab_challenge(l);
	assert_int_equal(l->challenge.log_offset, 0);
	attest(l, &(struct lab_change){ .claims = claim_kept }, &v);
	only_failure(&v, "R2");
	assert_int_equal(v.status, HOST_REBOOTED);
	assert_null(v.next.open.state);
	lab_must_pass(l);
	assert_null(l->state.open.state);
}

/* A long log is the first that is seen of a new boot. */
static void test_R2_parts_of_a_new_boot(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	lab_must_pass(l);
	assert_false(failed(softtpm_reset(l->tpm)));
	lab_boot(l);
	(void)lab_start(l, "agt", "image", "model");
	(void)lab_tasks(l, 0, PART + 1000);
	attest(l, NULL, &v);
	assert_false(verdict_passed(&v));
	assert_false(v.incomplete);
	assert_int_equal(v.status, HOST_REBOOTED);
	assert_false(v.next.has_boot);
	assert_non_null(v.next.open.state);
	lab_store(l, &v);
	lab_must_pass(l);
}

/* Parts from the first record on are whole evidence: another firmware is no failure in any of them. */
static void test_Q15_parts_under_new_firmware(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	lab_must_pass(l);
	(void)lab_tasks(l, 0, PART + PART / 2);
	assert_false(failed(softtpm_event(l->tpm, 2, BYTES_LIT("a boot that fails"))));
	attest(l, NULL, &v);
	assert_int_equal(v.status, HOST_FAILED);
	lab_store(l, &v);
	verdict_done(&v);
	verdict_init(&v);
	lab_approve_platform(l);
	l->tpm->firmware_version++;
	part(l);
	attest(l, NULL, &v);
	passes(&v);
	assert_true(v.firmware_changed);
}

/* Other reference values: what ended has to be looked at again. */
static void test_P5_policy_moves_between_parts(void **state)
{
	cleanup_lab struct lab *l = long_log(1, NULL);

	(void)state;
	part(l);
	lab_doc_set(l, DOCUMENT_IMAGE, "serial", "2");
	lab_challenge(l);
	assert_int_equal(l->challenge.log_offset, 0);
	part(l);
	lab_must_pass(l);
}

/* ---- What was found in a part stays found. */

static void test_W4_ended_in_the_first_part(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	lab_task_start(l, 1000000, "agt", "poisoned image");
	lab_task_end(l, 1000000);
	(void)lab_tasks(l, 0, PART + 1000);
	part(l);
	store_and_read(l);
	attest(l, NULL, &v);
	only_failure(&v, "W4");
}

/* Likewise a root that nobody approved; and a container that runs is still one in the next part. */
static void test_W_root_over_parts(void **state)
{
	(void)state;
	for (unsigned good = 0; good < 2; good++) {
		cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
		cleanup_verdict struct verdict v;

		verdict_init(&v);
		lab_approve_root(l, "root");
		lab_end(l, lab_start_container(l, "agt", "image", good == 1 ? "root" : "another root", "policy"));
		(void)lab_start_container(l, "agt", "image", "root", "policy");
		(void)lab_tasks(l, 0, PART + 1000);
		part(l);
		store_and_read(l);
		if (good == 0)
			lab_changed(l, 2, "image", "model");
		attest(l, NULL, &v);
		if (good == 1) {
			passes(&v);
			assert_true(v.next.instance[1].has_container);
			continue;
		}
		fails(&v, "W-root");
		fails(&v, "W-container");
	}
}

/* Nothing that ended in one part starts in another. */
static void test_W_once_over_parts(void **state)
{
	cleanup_lab struct lab *l = long_log(1, NULL);

	(void)state;
	part(l);
	lab_task_start(l, 7, "agt", "image");
	refused(l, NULL, "W-once");
}

static void test_W_begin_in_a_later_part(void **state)
{
	cleanup_lab struct lab *l = long_log(1, NULL);

	(void)state;
	part(l);
	lab_record(l, &(struct workload_event){ .kind = WORKLOAD_BEGIN,
						.n_banks = 1,
						.bank = { DIGEST_SHA256 },
						.before = { { .n = 32 } } });
	refused(l, NULL, "W-begin");
}

/* What fails beside a part fails the host: a part is no way round the other checks. */
static void test_P_platform_beside_a_part(void **state)
{
	cleanup_lab struct lab *l = long_log(1, NULL);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	assert_false(failed(softtpm_event(l->tpm, 2, BYTES_LIT("something else"))));
	attest(l, NULL, &v);
	fails(&v, "P-platform");
	assert_false(v.incomplete);
	assert_int_equal(v.status, HOST_FAILED);
	assert_null(v.next.open.state);
}

/* Whoever nobody has approved is told so with the first part, and takes no place. */
static void test_N7_part_of_a_pending_host(void **state)
{
	cleanup_lab struct lab *l = long_log(1, NULL);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	lab_doc_put(l, DOCUMENT_HOST, NULL);
	attest(l, NULL, &v);
	fails(&v, "N7");
	assert_false(v.incomplete);
	assert_int_equal(v.status, HOST_NEVER);
	assert_null(v.next.open.state);
}

/* So many starts in a boot, and none more: what ended is remembered. */
static void test_W_once_too_many_starts(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	size_t n = 2 * (LIMIT_STARTS - 2);

	(void)state;
	lab_must_pass(l);
	free(l->state.gone);
	l->state.gone = calloc(n, sizeof(*l->state.gone));
	assert_non_null(l->state.gone);
	for (size_t i = 0; i < n; i++)
		l->state.gone[i] = i;
	l->state.n_gone = n;
	lab_task_start(l, 0, "agt", "image");
	lab_task_end(l, 0);
	lab_must_pass(l);
	store_and_read(l);
	lab_task_start(l, 1, "agt", "image");
	lab_task_end(l, 1);
	refused(l, NULL, "W-once");
}

/* ---- A long IMA list beside it. */

static void ima_entries(struct lab *l, size_t bytes)
{
	cleanup_ima_list struct ima_list list;

	ima_list_init(&list);
	for (unsigned i = 0; list.binary.n < bytes; i++) {
		char path[32];

		(void)snprintf(path, sizeof(path), "/usr/bin/%u", i);
		ima_list_file(&list, BYTES(l->host->digest, 32), path);
	}
	lab_ima(l, buf_bytes(&list.binary));
}

/* Both in parts: each goes on from where it is, and the one that is there first waits for the other. */
static void test_I3_W1_both_in_parts(void **state)
{
	static const size_t ima[] = { 3 * LIMIT_IMA_PART + 1000, 1000 }, logs[] = { 1, 2 };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		cleanup_lab struct lab *l = long_log(logs[i], NULL);
		unsigned parts = 0;
		char json[128];

		(void)snprintf(json, sizeof(json), "{\"digests\":[\"%s\"],\"boot_aggregate\":\"ignored\"}",
			       hex32(l->host->digest).text);
		lab_doc_set(l, DOCUMENT_PLATFORM, "ima", json);
		ima_entries(l, ima[i]);
		for (;;) {
			cleanup_verdict struct verdict v;

			verdict_init(&v);
			attest(l, NULL, &v);
			if (!v.incomplete) {
				passes(&v);
				assert_null(v.next.open.state);
				break;
			}
			assert_int_equal(v.n_failures, 0);
			lab_store(l, &v);
			store_and_read(l);
			assert_true(parts++ < 4);
			/* No part comes twice, the last one of the log neither. */
			if (parts > logs[i])
				assert_int_equal(l->state.open.state->log_offset, l->log.n);
		}
		assert_int_equal(parts, i == 0 ? 3 : 2);
	}
}

static uint64_t claimed_offset;
static void claim_offset(struct lab *l, struct evidence_claims *c)
{
	(void)l;
	c->ima_offset = claimed_offset;
}

/* The check fails under this id, and the state falls back, so that the next challenge asks for the list from its start. */
static void refused_as(struct lab *l, const char *id)
{
	cleanup_verdict struct verdict v;

	verdict_init(&v);
	attest(l, &(struct lab_change){ .claims = claim_offset }, &v);
	assert_false(verdict_passed(&v));
	if (v.n_failures != 1 || strcmp(v.failure[0].check, id) != 0) {
		print_failures(&v);
		fail_msg("offset %llu is not refused as %s", (unsigned long long)claimed_offset, id);
	}
	assert_false(v.next.ima.has);
}

/* An offset that the verifier did not ask for: past the end, within, of another boot, or of a host it has never seen. */
static void test_I4_offset_of_the_ima_list(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	char json[128];

	(void)state;
	(void)snprintf(json, sizeof(json), "{\"digests\":[\"%s\"],\"boot_aggregate\":\"ignored\"}",
		       hex32(l->host->digest).text);
	lab_doc_set(l, DOCUMENT_PLATFORM, "ima", json);
	ima_entries(l, 1000);
	claimed_offset = 100;
	refused_as(l, "I4");
	lab_must_pass(l);
	store_and_read(l);
	lab_challenge(l);
	assert_int_equal(l->challenge.ima_offset, l->ima.n);
	for (int i = -1; i <= 1; i += 2) {
		claimed_offset = l->ima.n + (uint64_t)i;
		refused_as(l, "I4");
	}
	/* Where the verifier stands. */
	claimed_offset = l->ima.n;
	accepted(l, &(struct lab_change){ .claims = claim_offset });

	claimed_offset = l->ima.n;
	assert_false(failed(softtpm_reset(l->tpm)));
	lab_boot(l);
	buf_clear(&l->ima);
	ima_entries(l, 1000);
	refused_as(l, "I4");
}

/* What lies behind the quoted value is not looked at, even where it could not be read; before it, it is. */
static void test_I3_unreadable_behind_the_quoted_state(void **state)
{
	(void)state;
	for (int before = 0; before < 2; before++) {
		cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
		char json[128];

		(void)snprintf(json, sizeof(json), "{\"digests\":[\"%s\"],\"boot_aggregate\":\"ignored\"}",
			       hex32(l->host->digest).text);
		lab_doc_set(l, DOCUMENT_PLATFORM, "ima", json);
		ima_entries(l, 1000);
		assert_false(failed(buf_add(&l->ima, BYTES_LIT("\xff\xff\xff\xff no entry of any list"))));
		if (before == 0) {
			lab_must_pass(l);
		} else {
			cleanup_verdict struct verdict v;

			verdict_init(&v);
			l->ima.p[0] = 0xff;
			attest(l, NULL, &v);
			assert_int_equal(v.result[row_of("I3")], CHECK_FAIL);
			assert_false(verdict_passed(&v));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_W1_parts),
		cmocka_unit_test(test_W1_parts_behind_a_pass),
		cmocka_unit_test(test_W1_whole_part),
		cmocka_unit_test(test_W1_nothing_behind_a_part),
		cmocka_unit_test(test_W1_short_part),
		cmocka_unit_test(test_W1_altered_in_the_first_part),
		cmocka_unit_test(test_W_offset_part_left_out),
		cmocka_unit_test(test_W_order_part_repeated),
		cmocka_unit_test(test_W1_parts_again_from_the_start),
		cmocka_unit_test(test_W1_parts_again_from_a_pass),
		cmocka_unit_test(test_R2_part_of_another_boot),
		cmocka_unit_test(test_R2_parts_of_a_new_boot),
		cmocka_unit_test(test_Q15_parts_under_new_firmware),
		cmocka_unit_test(test_P5_policy_moves_between_parts),
		cmocka_unit_test(test_W4_ended_in_the_first_part),
		cmocka_unit_test(test_W_root_over_parts),
		cmocka_unit_test(test_W_once_over_parts),
		cmocka_unit_test(test_W_begin_in_a_later_part),
		cmocka_unit_test(test_P_platform_beside_a_part),
		cmocka_unit_test(test_N7_part_of_a_pending_host),
		cmocka_unit_test(test_W_once_too_many_starts),
		cmocka_unit_test(test_I3_W1_both_in_parts),
		cmocka_unit_test(test_I4_offset_of_the_ima_list),
		cmocka_unit_test(test_I3_unreadable_behind_the_quoted_state),
	};

	return cmocka_run_group_tests_name("appraise-parts", tests, NULL, NULL);
}
