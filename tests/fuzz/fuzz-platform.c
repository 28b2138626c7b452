/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A platform document and what it judges: the predicate as JSON text, a NUL,
 * one byte, then a firmware log or, after 'I', an IMA list or, after 'U', the
 * log of systemd behind a firmware log that left the registers at zero.
 */
#include <string.h>

#include "firmware-measure/userlog.h"
#include "tests/fuzz/fuzz.h"
#include "verifier/appraise/document.h"
#include "verifier/appraise/platform_firmware.h"
#include "verifier/appraise/platform_ima.h"

static struct document *read_document(struct bytes text)
{
	cleanup_buf struct buf payload = BUF_INIT(LIMIT_DOCUMENT);
	cleanup_json json_t *predicate = NULL;
	struct document *d = NULL;
	struct reason why = { "" };

	if (failed(json_parse(text, LIMIT_DOCUMENT, &predicate, &why)) ||
	    failed(document_statement(predicate, &payload, &why)))
		return NULL;
	if (failed(document_parse(buf_bytes(&payload), "example", &d, &why)))
		fuzz_must(d == NULL);
	return d;
}

static void judge_firmware(const struct document *d, struct bytes raw)
{
	static struct firmware_judgement j, other;
	struct firmware_input in = {
		.rules = d->profile.firmware,
		.measurer = d->profile.measurer,
		.bank = d->bank,
		.log = raw,
		.pcr_mask = 0xffffff,
	};
	struct digest quoted[LIMIT_PCRS];
	struct evlog log;
	struct replay r = { 0 };
	size_t n;

	for (size_t i = 0; i < LIMIT_PCRS; i++)
		quoted[i] = (struct digest){ .n = (uint8_t)digest_alg(d->bank)->size };
	if (!failed(evlog_open(raw, &log, NULL)) && !failed(replay_log(&log, d->bank, &r, NULL)))
		(void)memcpy(quoted, r.pcr, sizeof(quoted));
	in.pcr = quoted;
	fuzz_must(!failed(platform_firmware_judge(&in, &j)));
	fuzz_must(j.passed == (j.n_failures == 0));
	fuzz_must((j.compared_mask & ~d->profile.firmware->pcr_mask) == 0);
	n = j.n_undecided + j.n_ignored;
	for (size_t i = 0; i < N_FIRMWARE_RULES; i++)
		n += j.decided[i];
	fuzz_must(n == j.n_events);
	/* What the host claims counts for nothing where no event measured it: nobody finds the text for a digest. */
	fuzz_must(
		!failed(bytes_sub(raw, raw.n - (raw.n < 64 ? raw.n : 64), raw.n < 64 ? raw.n : 64, &in.command_line)));
	fuzz_must(!failed(platform_firmware_judge(&in, &other)));
	fuzz_must(other.passed == j.passed && other.n_failures == j.n_failures);
	in.command_line = BYTES_NONE;
	if (!j.passed)
		return;
	/* Each register that was compared counts, and no other. */
	for (uint32_t pcr = 0; pcr < LIMIT_PCRS; pcr++) {
		quoted[pcr].v[0] ^= 1;
		fuzz_must(!failed(platform_firmware_judge(&in, &other)));
		quoted[pcr].v[0] ^= 1;
		fuzz_must(other.passed == ((d->profile.firmware->pcr_mask >> pcr & 1) == 0));
	}
}

/* Registers as the readable records leave them. */
static void replay_userspace(enum digest_id bank, struct bytes raw, struct digest *quoted)
{
	cleanup_userlog_record struct userlog_record r = { 0 };
	struct replay at = { .bank = bank, .complete = true };
	struct userlog_pos pos = { 0 };

	(void)memcpy(at.pcr, quoted, sizeof(at.pcr));
	while (!failed(userlog_next(raw, &pos, &r, NULL)) && !r.end)
		fuzz_must(!failed(userlog_replay(&r, &at)));
	(void)memcpy(quoted, at.pcr, sizeof(at.pcr));
}

static void judge_userspace(const struct document *d, struct bytes raw)
{
	static struct firmware_judgement j, other;
	struct firmware_base base = { .mask = d->profile.firmware->pcr_mask };
	struct digest quoted[LIMIT_PCRS];
	const struct firmware_input in = {
		.rules = d->profile.firmware,
		.measurer = d->profile.measurer,
		.bank = d->bank,
		.pcr_mask = 0xffffff,
		.pcr = quoted,
		.userspace = raw,
		.base = &base,
		.compared_before = base.mask,
	};
	size_t n;

	for (size_t i = 0; i < LIMIT_PCRS; i++)
		quoted[i] = base.pcr[i] = (struct digest){ .n = (uint8_t)digest_alg(d->bank)->size };
	replay_userspace(d->bank, raw, quoted);
	fuzz_must(!failed(platform_firmware_judge(&in, &j)));
	fuzz_must(j.from_base && j.passed == (j.n_failures == 0));
	n = j.n_undecided + j.n_ignored + j.decided[FIRMWARE_RULE_USERSPACE];
	fuzz_must(n == j.n_events);
	if (!j.passed)
		return;
	fuzz_must(j.decided[FIRMWARE_RULE_USERSPACE] > 0 && j.compared_mask == base.mask);
	/* What is sent behind the quoted state counts for nothing; each register that is compared counts. */
	for (uint32_t pcr = 0; pcr < LIMIT_PCRS; pcr++) {
		quoted[pcr].v[0] ^= 1;
		fuzz_must(!failed(platform_firmware_judge(&in, &other)));
		quoted[pcr].v[0] ^= 1;
		fuzz_must(other.passed == ((base.mask >> pcr & 1) == 0));
	}
}

static void keep(struct platform_ima_state *s)
{
	cleanup_buf struct buf b = BUF_INIT(PLATFORM_IMA_STATE_MAX), again = BUF_INIT(PLATFORM_IMA_STATE_MAX);
	static struct platform_ima_state read;

	fuzz_must(!failed(platform_ima_encode(s, &b)));
	fuzz_must(!failed(platform_ima_decode(buf_bytes(&b), &read)));
	fuzz_must(!failed(platform_ima_encode(&read, &again)));
	fuzz_must(bytes_eq(buf_bytes(&b), buf_bytes(&again)));
	platform_ima_state_done(s);
	*s = read;
}

static void judge_ima(const struct document *d, struct bytes raw)
{
	static struct platform_ima_state s;
	static struct ima_judgement j;
	struct digest quoted[LIMIT_PCRS] = { 0 };
	const struct ima_input in = { .profile = &d->profile, .bank = d->bank, .pcr = quoted, .now_s = 1800000000 };
	cleanup_imalog struct imalog log;
	struct ima_entry ent;
	uint64_t n = 0, all;
	bool more = false;

	imalog_init(&log, imalog_form_of(raw), IMALOG_LITTLE_ENDIAN);
	fuzz_must(!failed(imalog_feed(&log, raw)));
	s = (struct platform_ima_state){ 0 };
	while (!failed(imalog_next(&log, &ent, &more, NULL)) && !more) {
		fuzz_must(!failed(platform_ima_add(&in, &ent, &s)));
		if (n++ % 3 == 0)
			keep(&s);
	}
	all = s.n_failed;
	for (size_t i = 0; i < N_IMA_RULES; i++)
		all += s.decided[i];
	fuzz_must(s.n_entries == n && all == n);
	platform_ima_conclude(&in, &s, &j);
	fuzz_must(!j.passed || (j.n_failures == 0 && s.n_failed == 0));
	platform_ima_state_done(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct platform_ima_state s;
	const uint8_t *nul = n == 0 ? NULL : memchr(data, 0, n);
	cleanup_document struct document *d = NULL;
	size_t at = nul == NULL ? n : (size_t)(nul - data);
	struct bytes rest;

	if (!failed(platform_ima_decode(BYTES(data, n), &s)))
		keep(&s);
	platform_ima_state_done(&s);
	if (n - at < 2)
		return 0;
	rest = BYTES(data + at + 2, n - at - 2);
	d = read_document(BYTES(data, at));
	if (d == NULL || d->kind != DOCUMENT_PLATFORM)
		return 0;
	if (data[at + 1] == 'I' && d->profile.ima != NULL && d->profile.ima->n_allowlists == 0)
		judge_ima(d, rest);
	else if (data[at + 1] == 'U' && d->profile.firmware != NULL && d->profile.firmware->n_userspace > 0)
		judge_userspace(d, rest);
	else if (data[at + 1] != 'I' && data[at + 1] != 'U' && d->profile.firmware != NULL)
		judge_firmware(d, rest);
	return 0;
}
