/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One valid evidence, changed in every way: each bit flipped, cut at each
 * length, each map entry doubled and swapped with the next. None may pass.
 * Then the structures that the TPM signs, each bit flipped and signed anew:
 * only the bits that are listed here may survive, and those must.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "firmware-measure/cel.h"
#include "tests/support/lab_boot.h"
#include "tests/support/lab_check.h"


/* First failing check, "" for a pass. What is not signed by the AK changes nothing. */
static const char *outcome(struct lab *l)
{
	cleanup_verdict struct verdict v;
	const char *first;

	verdict_init(&v);
	appraise_it(l, &v);
	first = verdict_first_failure(&v);
	assert_int_equal(verdict_passed(&v), first[0] == '\0');
	if (!v.authentic || v.overtaken) {
		assert_int_equal(v.next.status, l->state.status);
		assert_int_equal(v.next.log_offset, l->state.log_offset);
		assert_int_equal(v.next.n_instances, l->state.n_instances);
	}
	if (!verdict_passed(&v))
		assert_true(v.next.log_offset == 0 || v.next.log_offset == l->state.log_offset);
	return first;
}

static struct lab *whole(void)
{
	struct lab *l = lab_new(SOFTTPM_AK_P256);

	lab_challenge(l);
	lab_evidence(l, NULL);
	return l;
}

/* Evidence that goes on: one record and one key more, of a container. */
static struct lab *incremental(void)
{
	struct lab *l = lab_new(SOFTTPM_AK_P256);

	lab_approve_root(l, "root");
	lab_must_pass(l);
	(void)lab_start_container(l, "agt", "image", "root", "policy");
	lab_challenge(l);
	lab_evidence(l, NULL);
	return l;
}

static struct lab *(*const kinds[])(void) = { whole, incremental };

/* ---- Bits and lengths. No bit of evidence is free. */

static void test_each_bit(void **state)
{
	(void)state;
	for (size_t k = 0; k < array_len(kinds); k++) {
		cleanup_lab struct lab *l = kinds[k]();

		assert_string_equal(outcome(l), "");
		for (size_t i = 0; i < 8 * l->evidence.n; i++) {
			l->evidence.p[i / 8] ^= (uint8_t)(1u << i % 8);
			if (outcome(l)[0] == '\0')
				fail_msg("bit %zu of byte %zu is free", i % 8, i / 8);
			l->evidence.p[i / 8] ^= (uint8_t)(1u << i % 8);
		}
		assert_string_equal(outcome(l), "");
	}
}

static void test_each_length(void **state)
{
	(void)state;
	for (size_t k = 0; k < array_len(kinds); k++) {
		cleanup_lab struct lab *l = kinds[k]();
		size_t n = l->evidence.n;

		for (size_t cut = 0; cut < n; cut++) {
			l->evidence.n = cut;
			assert_string_equal(outcome(l), "X1");
		}
		l->evidence.n = n;
		for (unsigned byte = 0; byte < 256; byte++) {
			assert_false(failed(buf_add_u8(&l->evidence, (uint8_t)byte)));
			assert_string_equal(outcome(l), "X1");
			l->evidence.n = n;
		}
	}
}

/* ---- Map entries. A walk over CBOR that knows heads and nothing else. */

struct head {
	unsigned major;
	uint64_t value;
	size_t len;
};

static struct head head_at(struct bytes b, size_t off)
{
	struct head h = { .major = b.p[off] >> 5, .value = b.p[off] & 31, .len = 1 };
	size_t more;

	if (h.value < 24)
		return h;
	more = (size_t)1 << (h.value - 24);
	h.value = 0;
	for (size_t i = 0; i < more; i++)
		h.value = h.value << 8 | b.p[off + 1 + i];
	h.len += more;
	return h;
}

static size_t item_end(struct bytes b, size_t off)
{
	struct head h = head_at(b, off);
	uint64_t n_inside = h.major == 4 ? h.value : h.major == 5 ? 2 * h.value : 0;

	off += h.len;
	if (h.major == 2 || h.major == 3)
		off += (size_t)h.value;
	for (; n_inside > 0; n_inside--)
		off = item_end(b, off);
	return off;
}

/* One entry of a map, as offsets; the map's head has one byte in all that we send. */
struct place {
	size_t head, start, end, next_end; /* next_end: 0 for the last entry */
};

struct places {
	size_t n;
	struct place v[64];
};

static void find_entries(struct bytes b, size_t off, struct places *ret)
{
	struct head h = head_at(b, off);
	size_t at = off + h.len;

	for (uint64_t i = 0; (h.major == 4 || h.major == 5) && i < h.value; i++) {
		size_t key = at;

		if (h.major == 5)
			at = item_end(b, at);
		find_entries(b, at, ret);
		at = item_end(b, at);
		if (h.major == 5) {
			bool last = i + 1 == h.value;

			assert_true(ret->n < array_len(ret->v) && h.len == 1 && h.value < 23);
			ret->v[ret->n++] =
				(struct place){ off, key, at, last ? 0 : item_end(b, item_end(b, at)) };
		}
	}
}

static void write_change(struct bytes b, const struct place *p, bool swap, struct buf *ret)
{
	size_t after = swap ? p->next_end : p->end;

	buf_clear(ret);
	assert_false(failed(buf_add(ret, BYTES(b.p, p->start))));
	if (swap)
		assert_false(failed(buf_add(ret, BYTES(b.p + p->end, p->next_end - p->end))));
	assert_false(failed(buf_add(ret, BYTES(b.p + p->start, p->end - p->start))));
	if (!swap) {
		assert_false(failed(buf_add(ret, BYTES(b.p + p->start, p->end - p->start))));
		ret->p[p->head]++;
	}
	assert_false(failed(buf_add(ret, BYTES(b.p + after, b.n - after))));
}

static void test_each_entry_of_evidence(void **state)
{
	(void)state;
	for (size_t k = 0; k < array_len(kinds); k++) {
		cleanup_lab struct lab *l = kinds[k]();
		cleanup_buf struct buf good = BUF_INIT(LIMIT_EVIDENCE);
		struct places p = { 0 };

		buf_move(&good, &l->evidence);
		find_entries(buf_bytes(&good), 0, &p);
		/* Seven members, six without the boot; three in each certified key. */
		assert_int_equal(p.n, k == 0 ? 7 + 3 + 3 : 6 + 3);
		for (size_t i = 0; i < p.n; i++) {
			for (unsigned swap = 0; swap <= (p.v[i].next_end != 0 ? 1 : 0); swap++) {
				write_change(buf_bytes(&good), &p.v[i], swap == 1, &l->evidence);
				assert_string_equal(outcome(l), "X1");
			}
		}
	}
}

/* The claims, changed before the quote covers them: signed, and refused for their form. */
static const struct place *a_place;
static bool a_swap;
static void change_claims(struct lab *l, struct buf *claims)
{
	cleanup_buf struct buf good = BUF_INIT(LIMIT_EVIDENCE);

	(void)l;
	buf_move(&good, claims);
	claims->max = LIMIT_EVIDENCE;
	write_change(buf_bytes(&good), a_place, a_swap, claims);
}

static struct places claims_places;
static void look_at_claims(struct lab *l, struct buf *claims)
{
	(void)l;
	claims_places.n = 0;
	find_entries(buf_bytes(claims), 0, &claims_places);
}

static void test_each_entry_of_claims(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	lab_challenge(l);
	lab_evidence(l, &(struct lab_change){ .claims_bytes = look_at_claims });
	assert_string_equal(outcome(l), "");
	assert_int_equal(claims_places.n, 10);
	for (size_t i = 0; i < claims_places.n; i++) {
		a_place = &claims_places.v[i];
		for (unsigned swap = 0; swap <= (a_place->next_end != 0 ? 1 : 0); swap++) {
			a_swap = swap == 1;
			lab_challenge(l);
			lab_evidence(l, &(struct lab_change){ .claims_bytes = change_claims });
			assert_string_equal(outcome(l), "X1");
		}
	}
}

static void test_each_entry_of_the_log(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_buf struct buf good = BUF_INIT(LIMIT_EVIDENCE), changed = BUF_INIT(LIMIT_EVIDENCE);
	struct places p = { 0 };

	(void)state;
	assert_false(failed(buf_add(&good, buf_bytes(&l->log))));
	for (size_t off = 0; off < good.n; off = item_end(buf_bytes(&good), off))
		find_entries(buf_bytes(&good), off, &p);
	/* Two records of four members, one digest each. */
	assert_int_equal(p.n, 2 * (4 + 1));
	for (size_t i = 0; i < p.n; i++) {
		for (unsigned swap = 0; swap <= (p.v[i].next_end != 0 ? 1 : 0); swap++) {
			write_change(buf_bytes(&good), &p.v[i], swap == 1, &changed);
			buf_clear(&l->log);
			assert_false(failed(buf_add(&l->log, buf_bytes(&changed))));
			lab_challenge(l);
			lab_evidence(l, NULL);
			assert_string_equal(outcome(l), "W1");
		}
	}
}

/* ---- The start of a container, changed and measured: the register follows what the record says. */

struct started {
	struct lab *l;
	struct buf log, content;          /* before the start, and what it says */
	struct digest pcr[N_DIGESTS];     /* before it */
};

static void started_init(struct started *s)
{
	struct lab *l = lab_new(SOFTTPM_AK_P256);
	struct cel_record rec;
	size_t n;

	*s = (struct started){ .l = l, .log = BUF_INIT(LIMIT_EVIDENCE), .content = BUF_INIT(LIMIT_EVIDENCE) };
	lab_approve_root(l, "root");
	doc_set(l->doc[DOCUMENT_AGENT], "containers", "[]");
	assert_int_equal(json_array_append_new(json_object_get(l->doc[DOCUMENT_AGENT], "containers"),
					       json_string(hex32_of("policy").text)), 0);
	lab_doc_set(l, DOCUMENT_AGENT, "serial", "2");
	lab_end(l, 0);
	for (unsigned i = 0; i < N_DIGESTS; i++)
		s->pcr[i] = l->tpm->pcr[i][WORKLOAD_PCR];
	assert_false(failed(buf_add(&s->log, buf_bytes(&l->log))));
	(void)lab_start_container(l, "agt", "image", "root", "policy");
	assert_false(failed(cel_read(BYTES(l->log.p + s->log.n, l->log.n - s->log.n), &rec, &n)));
	assert_false(failed(buf_add(&s->content, rec.content)));
}

static void started_done(struct started *s)
{
	lab_free(s->l);
	buf_free(&s->log);
	buf_free(&s->content);
}

/* What comes of a host that has measured this in place of the start. */
static const char *outcome_of_start(struct started *s, struct bytes content)
{
	enum digest_id algs[N_DIGESTS];
	struct cel_record rec = { .recnum = s->l->n_records - 1, .pcr = WORKLOAD_PCR };
	size_t n = 0;

	for (unsigned i = 0; i < N_DIGESTS; i++) {
		s->l->tpm->pcr[i][WORKLOAD_PCR] = s->pcr[i];
		if ((s->l->tpm->banks >> i & 1) != 0)
			algs[n++] = (enum digest_id)i;
	}
	buf_clear(&s->l->log);
	assert_false(failed(buf_add(&s->l->log, buf_bytes(&s->log))));
	assert_false(failed(cel_digests(content, n, algs, &rec)) || failed(cel_encode(&rec, &s->l->log)));
	for (size_t i = 0; i < n; i++)
		assert_false(failed(softtpm_extend(s->l->tpm, algs[i], WORKLOAD_PCR, digest_bytes(&rec.digest[i]))));
	lab_challenge(s->l);
	lab_evidence(s->l, NULL);
	return outcome(s->l);
}

/* What each digest of the start is for: the check that refuses another one, or a reason why none does. */
static const struct {
	const char *text; /* whose digest; of it once more where twice */
	bool twice;
	const char *check, *reason;
} start_digests[] = {
	{ "image", false, "W4", NULL },
	{ "image", true, "", "config digest: the manifest names it" },
	{ "model", false, "W5", NULL },
	{ "model", true, "", "OMS root: the document lists none" },
	{ "", false, "", "arguments: the document says nothing of them" },
	{ "root", false, "W-root", NULL },
	{ "policy", false, "P-container", NULL },
};

static size_t find_digest(const struct buf *content, size_t which)
{
	uint8_t sum[32];
	const uint8_t *at;

	assert_false(failed(sha256(bytes_str(start_digests[which].text), sum)));
	if (start_digests[which].twice)
		assert_false(failed(sha256(BYTES_ARR(sum), sum)));
	at = memmem(content->p, content->n, sum, sizeof(sum));
	assert_non_null(at);
	return (size_t)(at - content->p);
}

static void test_each_bit_of_a_start(void **state)
{
	const char *want[KIB] = { NULL };
	struct started s;

	(void)state;
	started_init(&s);
	assert_true(s.content.n <= array_len(want));
	assert_string_equal(outcome_of_start(&s, buf_bytes(&s.content)), "");
	for (size_t k = 0; k < array_len(start_digests); k++) {
		size_t at = find_digest(&s.content, k);

		if (start_digests[k].reason != NULL)
			print_message("# free: %s\n", start_digests[k].reason);
		for (size_t i = 0; i < 32; i++)
			want[at + i] = start_digests[k].check;
	}
	for (size_t i = 0; i < 8 * s.content.n; i++) {
		const char *first;

		s.content.p[i / 8] ^= (uint8_t)(1u << i % 8);
		first = outcome_of_start(&s, buf_bytes(&s.content));
		s.content.p[i / 8] ^= (uint8_t)(1u << i % 8);
		if (want[i / 8] == NULL ? first[0] == '\0' : strcmp(first, want[i / 8]) != 0)
			fail_msg("bit %zu of byte %zu: \"%s\"", i % 8, i / 8, first);
	}
	started_done(&s);
}

static void test_each_entry_of_a_start(void **state)
{
	cleanup_buf struct buf changed = BUF_INIT(LIMIT_EVIDENCE);
	struct places p = { 0 };
	struct started s;

	(void)state;
	started_init(&s);
	find_entries(buf_bytes(&s.content), 0, &p);
	assert_int_equal(p.n, 8);
	for (size_t i = 0; i < p.n; i++) {
		for (unsigned swap = 0; swap <= (p.v[i].next_end != 0 ? 1 : 0); swap++) {
			write_change(buf_bytes(&s.content), &p.v[i], swap == 1, &changed);
			assert_string_equal(outcome_of_start(&s, buf_bytes(&changed)), "W1");
		}
	}
	started_done(&s);
}

/* ---- Logs of the boot. Their bits are free where no digest of the quoted bank covers them: these, by name. */

static struct lab *measured(void)
{
	struct lab *l = lab_new(SOFTTPM_AK_P256);

	lab_boot_measure(l);
	lab_boot_approve(l);
	lab_challenge(l);
	lab_evidence(l, NULL);
	return l;
}

/* Where the userspace log lies in the evidence: it is the last member. */
static size_t userspace_at(const struct lab *l)
{
	return l->evidence.n - l->userspace_log.n;
}

/* Marks what lies between two words, the words included, each time that they stand in the log. */
static void mark(const struct buf *log, const char *from, const char *to, bool *may)
{
	const char *at = (const char *)log->p, *end = at + log->n;

	for (;;) {
		const char *a = memmem(at, (size_t)(end - at), from, strlen(from)), *b;

		if (a == NULL)
			return;
		b = memmem(a, (size_t)(end - a), to, strlen(to));
		assert_non_null(b);
		b += strlen(to);
		for (const char *p = a; p < b; p++)
			may[p - (const char *)log->p] = true;
		at = b;
	}
}

static void test_each_bit_of_the_userspace_log(void **state)
{
	cleanup_lab struct lab *l = measured();
	const size_t n = l->userspace_log.n, off = userspace_at(l);
	cleanup_free bool *may = calloc(n, sizeof(*may));
	size_t n_free = 0;

	(void)state;
	assert_non_null(may);
	print_message("# free: bootId, timestamp, eventType (no digest covers them), digests of SHA-1 (not quoted), "
		      "capital letters in hex\n");
	mark(&l->userspace_log, "\"bootId\"", "}}", may);
	mark(&l->userspace_log, "{\"hashAlg\":\"sha1\"", "\"}", may);
	assert_string_equal(outcome(l), "");
	for (size_t i = 0; i < 8 * n; i++) {
		uint8_t *at = &l->evidence.p[off + i / 8];
		bool passed;

		*at ^= (uint8_t)(1u << i % 8);
		passed = outcome(l)[0] == '\0' && !(*at >= 'A' && *at <= 'F');
		*at ^= (uint8_t)(1u << i % 8);
		if (passed && !may[i / 8])
			fail_msg("bit %zu of byte %zu is free: %.40s", i % 8, i / 8, (char *)l->userspace_log.p + i / 8);
		n_free += passed;
	}
	assert_true(n_free > 0);
}

static void test_each_length_of_the_userspace_log(void **state)
{
	cleanup_lab struct lab *l = measured();
	cleanup_buf struct buf log = BUF_INIT(LIMIT_USERSPACE_LOG);

	(void)state;
	buf_move(&log, &l->userspace_log);
	l->userspace_log.max = LIMIT_USERSPACE_LOG;
	for (size_t cut = 0; cut <= log.n; cut++) {
		buf_clear(&l->userspace_log);
		assert_false(failed(buf_add(&l->userspace_log, BYTES(log.p, cut))));
		lab_challenge(l);
		lab_evidence(l, NULL);
		assert_string_equal(outcome(l), cut < log.n ? "E7" : "");
	}
}

/* Two records, in each order and each twice: only what systemd did explains the register. */
static void test_records_of_the_userspace_log(void **state)
{
	static const unsigned orders[][3] = { { 1, 0, 2 }, { 0, 0, 1 }, { 0, 1, 1 }, { 1, 1, 0 }, { 1, 0, 1 } };
	cleanup_lab struct lab *l = measured();
	cleanup_buf struct buf log = BUF_INIT(LIMIT_USERSPACE_LOG);
	struct bytes part[3] = { 0 };
	const uint8_t *second;

	(void)state;
	buf_move(&log, &l->userspace_log);
	l->userspace_log.max = LIMIT_USERSPACE_LOG;
	second = memchr(log.p + 1, 0x1e, log.n - 1);
	assert_non_null(second);
	part[0] = BYTES(log.p, (size_t)(second - log.p));
	part[1] = BYTES(second, log.n - part[0].n);
	for (size_t i = 0; i < array_len(orders); i++) {
		/* The exact prefix counts: a repetition behind it is not looked at. */
		bool good = orders[i][0] == 0 && orders[i][1] == 1;

		buf_clear(&l->userspace_log);
		for (size_t k = 0; k < 3; k++)
			assert_false(failed(buf_add(&l->userspace_log, part[orders[i][k]])));
		lab_challenge(l);
		lab_evidence(l, NULL);
		assert_string_equal(outcome(l), good ? "" : "E7");
	}
}

/* ---- Q16: what the TPM signs, each bit, signed anew. */

struct free_bits {
	const char *name, *reason;
	size_t off, n; /* bytes from the start of the clock info, bits */
	uint8_t mask;  /* of the last byte, where not all of it */
};

/* TPMS_CLOCK_INFO and firmwareVersion stand behind the extra data: clock 8, reset 4, restart 4, safe 1, firmware 8. */
static const struct free_bits free_in_quote[] = {
	{ "clockInfo.clock", "any time is later than none: this is the first quote of the host", 0, 64, 0xff },
	{ "clockInfo.safe", "power loss is a warning, and the verdict carries it", 16, 1, 0x01 },
	{ "firmwareVersion", "the first version that is seen; a change is a warning (Q15)", 17, 64, 0xff },
};
static const struct free_bits free_in_certify[] = {
	{ "clockInfo.clock", "the boot is what counts, and the quote tells the time", 0, 64, 0xff },
	{ "clockInfo.safe", "the quote tells it", 16, 1, 0x01 },
	{ "firmwareVersion", "the quote tells it", 17, 64, 0xff },
};

static bool listed(const struct free_bits *list, size_t n, size_t clock_off, size_t bit)
{
	for (size_t i = 0; i < n; i++) {
		size_t first = 8 * (clock_off + list[i].off), end = first + (list[i].n + 7) / 8 * 8;

		if (bit >= first && bit < end && (list[i].mask >> bit % 8 & 1) != 0)
			return true;
	}
	return false;
}

static size_t flip_at, attest_len;
static void flip(struct lab *l, struct buf *attest)
{
	(void)l;
	attest_len = attest->n;
	if (flip_at < 8 * attest->n)
		attest->p[flip_at / 8] ^= (uint8_t)(1u << flip_at % 8);
}

static void each_bit_signed_anew(const struct lab_change *change, const struct free_bits *list, size_t n)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	/* magic, type, qualified signer, extra data */
	const size_t clock_off = 4 + 2 + 2 + 34 + 2 + 32;
	size_t n_free = 0, n_listed = 0;

	attest_len = SIZE_MAX / 8;
	for (flip_at = 0; flip_at < 8 * attest_len; flip_at++) {
		bool passed, may = listed(list, n, clock_off, flip_at);

		lab_challenge(l);
		lab_evidence(l, change);
		passed = outcome(l)[0] == '\0';
		if (passed != may)
			fail_msg("bit %zu of byte %zu %s", flip_at % 8, flip_at / 8,
				 passed ? "is free" : "is listed as free and is not");
		n_free += passed ? 1 : 0;
	}
	for (size_t i = 0; i < n; i++) {
		print_message("# free: %s (%s)\n", list[i].name, list[i].reason);
		n_listed += list[i].n;
	}
	assert_int_equal(n_free, n_listed);
}

static void test_Q16_quote(void **state)
{
	(void)state;
	each_bit_signed_anew(&(struct lab_change){ .quote_bytes = flip }, free_in_quote, array_len(free_in_quote));
}

static void test_Q16_null_primary(void **state)
{
	(void)state;
	each_bit_signed_anew(&(struct lab_change){ .boot_bytes = flip }, free_in_certify, array_len(free_in_certify));
}

static void test_Q16_workload_key(void **state)
{
	(void)state;
	each_bit_signed_anew(&(struct lab_change){ .key_bytes = flip }, free_in_certify, array_len(free_in_certify));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_bit),
		cmocka_unit_test(test_each_length),
		cmocka_unit_test(test_each_entry_of_evidence),
		cmocka_unit_test(test_each_entry_of_claims),
		cmocka_unit_test(test_each_entry_of_the_log),
		cmocka_unit_test(test_each_bit_of_a_start),
		cmocka_unit_test(test_each_entry_of_a_start),
		cmocka_unit_test(test_each_bit_of_the_userspace_log),
		cmocka_unit_test(test_each_length_of_the_userspace_log),
		cmocka_unit_test(test_records_of_the_userspace_log),
		cmocka_unit_test(test_Q16_quote),
		cmocka_unit_test(test_Q16_null_primary),
		cmocka_unit_test(test_Q16_workload_key),
	};

	return cmocka_run_group_tests_name("mutation-evidence", tests, NULL, NULL);
}
