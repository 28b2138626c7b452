/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of real and virtual machines: $ASSAY_DATA/ima with EXPECTED.json, and
 * the two whole boots with their registers. Each list is also cut and changed:
 * what is then accepted as the quoted state holds what was measured.
 */
#include "unit.h"

#include <fcntl.h>

#include "base/file.h"
#include "base/json.h"
#include "firmware-measure/ima_replay.h"

static const char *data;

#define BANKS (1u << DIGEST_SHA1 | 1u << DIGEST_SHA256 | 1u << DIGEST_SHA384)
#define N_CHANGES 10000
#define N_CUTS 4096
#define ALL_CUTS (64 * KIB) /* up to here at every byte */
#define STEP 16             /* entries between two states that a changed list goes on from */

/* Damaged in their collection: a byte is missing or too many, so that the last entry is no entry. */
static const struct {
	const char *file;
	size_t off, entries;
} refused[] = {
	{ "ima/sml-ima-ng-sha1-invalidated.bin", 0, 0 },
	{ "ima/sml-ima-ng-sha1.bin", 558, 6 },
	{ "ima/sml-ima-sha1.bin", 916, 12 },
	{ "ima/sml-ima-sig-sha256.bin", 987, 9 },
};

static struct bytes load(const char *file, struct buf *ret)
{
	char path[LIMIT_PATH];

	buf_init(ret, 16 * MIB);
	assert_true(snprintf(path, sizeof(path), "%s/%s", data, file) < (int)sizeof(path));
	assert_ok(file_read(AT_FDCWD, path, ret));
	return buf_bytes(ret);
}

/* A list with the state after each entry of it. */
struct list {
	struct buf file;
	enum imalog_form form;
	size_t n;
	size_t *end;              /* of each entry */
	struct ima_replay *state; /* before entry i, for i = 0..n */
	uint64_t n_bad;
	unsigned odd;
};

static void list_done(struct list *l)
{
	buf_free(&l->file);
	free(l->end);
	free(l->state);
}

/* Reads list bytes into r in parts; counts entries. */
static struct err run(struct bytes in, enum imalog_form form, size_t part, struct ima_replay *r, size_t *ret_n,
		      uint64_t *ret_off, unsigned *ret_odd)
{
	cleanup_imalog struct imalog l = { 0 };
	struct ima_entry ent;
	struct err e;
	bool more;

	imalog_init(&l, form, IMALOG_LITTLE_ENDIAN);
	*ret_n = 0;
	*ret_odd = 0;
	for (size_t off = 0; off < in.n; off += part) {
		assert_ok(imalog_feed(&l, BYTES(in.p + off, in.n - off < part ? in.n - off : part)));
		for (;;) {
			unsigned odd;

			e = imalog_next(&l, &ent, &more, NULL);
			*ret_off = l.off;
			if (failed(e))
				return e;
			if (more)
				break;
			++*ret_n;
			if (r != NULL) {
				assert_ok(ima_replay_entry(r, &ent, &odd));
				*ret_odd |= odd | (ent.state == IMA_ENTRY_DECODED ? 0 : 1u << 31);
			}
		}
	}
	*ret_off = l.off;
	return imalog_end(&l);
}

static void list_read(const char *file, struct list *l)
{
	cleanup_imalog struct imalog r = { 0 };
	struct bytes in = load(file, &l->file);
	struct ima_entry ent;
	unsigned odd;
	size_t cap = 0;
	bool more;

	l->form = imalog_form_of(in);
	imalog_init(&r, l->form, IMALOG_LITTLE_ENDIAN);
	assert_ok(imalog_feed(&r, in));
	for (;;) {
		if (l->n + 1 >= cap) {
			cap = cap == 0 ? 64 : 2 * cap;
			l->end = reallocarray(l->end, cap, sizeof(*l->end));
			l->state = reallocarray(l->state, cap, sizeof(*l->state));
			assert_true(l->end != NULL && l->state != NULL);
			if (l->n == 0)
				assert_ok(ima_replay_init(&l->state[0], IMA_PCR, BANKS, NULL));
		}
		assert_ok(imalog_next(&r, &ent, &more, NULL));
		if (more)
			break;
		l->state[l->n + 1] = l->state[l->n];
		assert_ok(ima_replay_entry(&l->state[l->n + 1], &ent, &odd));
		l->odd |= odd;
		assert_int_equal(ent.state, IMA_ENTRY_DECODED);
		l->end[l->n++] = (size_t)(ent.off + ent.size);
	}
	assert_ok(imalog_end(&r));
	assert_true(l->n > 0);
}

static bool is_refused(const char *file)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if (strcmp(refused[i].file, file) == 0)
			return true;
	return false;
}

static const json_t *expected(json_t **ret)
{
	cleanup_buf struct buf text = { 0 };

	load("EXPECTED.json", &text);
	assert_ok(json_parse(buf_bytes(&text), 16 * MIB, ret, NULL));
	return json_object_get(*ret, "ima");
}

static void check_value(const json_t *want, const char *key, const struct digest *got)
{
	uint8_t d[DIGEST_MAX];

	assert_non_null(got);
	assert_ok(hex_decode_exact(bytes_str(json_string_value(json_object_get(want, key))), d, got->n));
	assert_memory_equal(d, got->v, got->n);
}

static void assert_same(const struct ima_replay *a, const struct ima_replay *b)
{
	assert_int_equal(a->n_entries, b->n_entries);
	assert_int_equal(a->off, b->off);
	assert_int_equal(a->n_violations, b->n_violations);
	assert_int_equal(a->n_bad_hash, b->n_bad_hash);
	for (unsigned id = 0; id <= DIGEST_SHA384; id++)
		for (int fit = IMA_FIT_NATIVE; fit <= IMA_FIT_PADDED_SHORT; fit++) {
			const struct digest *x = ima_replay_value(a, (enum digest_id)id, (enum ima_fit)fit);
			const struct digest *y = ima_replay_value(b, (enum digest_id)id, (enum ima_fit)fit);

			assert_int_equal(x == NULL, y == NULL);
			if (x != NULL)
				assert_bytes(digest_bytes(x), digest_bytes(y));
		}
}

/* Every list of EXPECTED.json: counts, templates and registers, in parts of any size. */
static void every_list(void **state)
{
	static const size_t parts[] = { 1, 7, 4096, SIZE_MAX / 2 };
	cleanup_json json_t *j = NULL;
	const json_t *lists = expected(&j), *want;
	size_t i, done = 0;

	(void)state;
	json_array_foreach(lists, i, want)
	{
		const char *file = json_string_value(json_object_get(want, "file"));
		cleanup(list_done) struct list l = { 0 };
		struct ima_replay *end;

		if (is_refused(file))
			continue;
		list_read(file, &l);
		end = &l.state[l.n];
		assert_int_equal(l.n, json_integer_value(json_object_get(want, "entries")));
		assert_int_equal(end->n_violations, json_integer_value(json_object_get(want, "violations")));
		assert_int_equal(end->n_bad_hash, json_integer_value(json_object_get(want, "template_hash_bad")));
		assert_int_equal(end->n_other_pcr, 0);
		check_value(want, "pcr10_sha1", ima_replay_value(end, DIGEST_SHA1, IMA_FIT_NATIVE));
		check_value(want, "pcr10_sha256", ima_replay_value(end, DIGEST_SHA256, IMA_FIT_NATIVE));
		check_value(want, "pcr10_sha384", ima_replay_value(end, DIGEST_SHA384, IMA_FIT_NATIVE));
		check_value(want, "pcr10_sha256_padded_sha1",
			    ima_replay_value(end, DIGEST_SHA256, IMA_FIT_PADDED_SHORT));
		for (size_t p = 0; p < 4; p++) {
			struct ima_replay r = l.state[0];
			uint64_t off;
			unsigned odd;
			size_t n;

			assert_ok(run(buf_bytes(&l.file), l.form, parts[p], &r, &n, &off, &odd));
			assert_int_equal(n, l.n);
			assert_int_equal(off, l.file.n);
			assert_same(&r, end);
		}
		done++;
	}
	assert_true(done >= 7);
}

static void damaged_lists(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		cleanup_buf struct buf file = { 0 };
		struct bytes in = load(refused[i].file, &file);
		uint64_t off;
		unsigned odd;
		size_t n;

		assert_err(run(in, imalog_form_of(in), 4096, NULL, &n, &off, &odd), E_PEER_TRUNCATED);
		assert_int_equal(off, refused[i].off);
		assert_int_equal(n, refused[i].entries);
	}
}

/* Registers of a boot: lines "PCR HEX". */
static void registers(const char *boot, enum digest_id bank, struct digest ret[LIMIT_PCRS])
{
	cleanup_buf struct buf b = { 0 };
	const char *text;
	char file[128], *line, *rest = NULL;

	(void)snprintf(file, sizeof(file), "boots/%s/pcrs-after-%s.txt", boot, digest_alg(bank)->name);
	load(file, &b);
	assert_ok(buf_cstr(&b, &text));
	for (line = strtok_r((char *)b.p, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
		char *hex = NULL;
		unsigned long pcr = strtoul(line, &hex, 10);

		assert_true(pcr < LIMIT_PCRS && *hex == ' ');
		ret[pcr].n = (uint8_t)digest_alg(bank)->size;
		assert_ok(hex_decode_exact(bytes_str(hex + 1), ret[pcr].v, ret[pcr].n));
	}
}

static void check_boot(const char *boot, const char *file)
{
	static const enum digest_id banks[] = { DIGEST_SHA1, DIGEST_SHA256, DIGEST_SHA384 };
	static const enum ima_fit fits[] = { IMA_FIT_NATIVE, IMA_FIT_NATIVE, IMA_FIT_PADDED };
	struct ima_bank_values values[3];
	cleanup_imalog struct imalog l = { 0 };
	cleanup_buf struct buf b = { 0 };
	enum ima_aggregate aggregate;
	struct ima_replay r;
	struct ima_position p;
	struct ima_entry ent;
	char path[128];
	uint64_t off;
	unsigned odd;
	size_t n;
	bool more;

	(void)snprintf(path, sizeof(path), "boots/%s/%s", boot, file);
	load(path, &b);
	assert_ok(ima_replay_init(&r, IMA_PCR, BANKS, NULL));
	for (size_t i = 0; i < 3; i++) {
		struct digest pcrs[LIMIT_PCRS] = { 0 };

		registers(boot, banks[i], pcrs);
		values[i].bank = banks[i];
		memcpy(values[i].pcr, pcrs, sizeof(values[i].pcr));
		assert_ok(ima_replay_quoted(&r, banks[i], digest_bytes(&pcrs[IMA_PCR])));
	}
	assert_ok(run(buf_bytes(&b), imalog_form_of(buf_bytes(&b)), 4096, &r, &n, &off, &odd));
	assert_int_equal(odd, 0);
	assert_int_equal(n, 45);
	assert_ok(ima_replay_position(&r, &p));
	assert_int_equal(p.n_entries, 45);
	/* This kernel had no SHA-384 when IMA began. */
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(p.fit[banks[i]], fits[i]);
	imalog_init(&l, imalog_form_of(buf_bytes(&b)), IMALOG_LITTLE_ENDIAN);
	assert_ok(imalog_feed(&l, buf_bytes(&b)));
	assert_ok(imalog_next(&l, &ent, &more, NULL));
	assert_ok(ima_aggregate_check(&ent, 3, values, &aggregate));
	assert_int_equal(aggregate, IMA_AGGREGATE_FITS_0_9);
	values[1].pcr[4].v[0] ^= 1;
	assert_ok(ima_aggregate_check(&ent, 3, values, &aggregate));
	assert_int_equal(aggregate, IMA_AGGREGATE_DIFFERS);
}

static void whole_boots(void **state)
{
	static const char *const boots[] = { "uki-tis", "grub-ms" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		check_boot(boots[i], "binary_runtime_measurements");
		check_boot(boots[i], "ascii_runtime_measurements");
	}
}

/* All lists, those of the boots too. */
static void each_list(void (*fn)(struct list *l))
{
	static const char *const boots[] = { "boots/uki-tis/binary_runtime_measurements",
					     "boots/grub-ms/ascii_runtime_measurements" };
	cleanup_json json_t *j = NULL;
	const json_t *lists = expected(&j), *want;
	size_t i;

	json_array_foreach(lists, i, want)
	{
		const char *file = json_string_value(json_object_get(want, "file"));
		cleanup(list_done) struct list l = { 0 };

		if (is_refused(file))
			continue;
		list_read(file, &l);
		fn(&l);
	}
	for (i = 0; i < 2; i++) {
		cleanup(list_done) struct list l = { 0 };

		list_read(boots[i], &l);
		fn(&l);
	}
}

/* xorshift64*: places that are the same in every run. */
static uint64_t next_random(uint64_t *s)
{
	*s ^= *s >> 12;
	*s ^= *s << 25;
	*s ^= *s >> 27;
	return *s * UINT64_C(2685821657736338717);
}

/* Index of the entry that holds byte off. */
static size_t entry_at(const struct list *l, size_t off)
{
	size_t lo = 0, hi = l->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (l->end[mid] <= off)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The list ends at byte n: it is whole at the end of an entry only, and says where that was. Read from a few entries
 * before. */
static void cut_at(struct list *l, size_t n)
{
	size_t in = entry_at(l, n), from = in < 2 ? 0 : in - 2, start = from == 0 ? 0 : l->end[from - 1];
	size_t last = in == 0 ? 0 : l->end[in - 1], count;
	cleanup_free uint8_t *exact = malloc(n - start + 1);
	uint64_t off = 0;
	unsigned odd;

	assert_non_null(exact);
	memcpy(exact, l->file.p + start, n - start);
	assert_code(run(BYTES(exact, n - start), l->form, SIZE_MAX / 2, NULL, &count, &off, &odd),
		    last == n ? E_OK : E_PEER_TRUNCATED);
	assert_int_equal(count, in - from);
	assert_int_equal(start + off, last);
}

static void cut_list(struct list *l)
{
	uint64_t seed = 88172645463325252;

	for (size_t n = 0; n <= l->file.n && l->file.n <= ALL_CUTS; n++)
		cut_at(l, n);
	for (size_t i = 0; i < l->n; i++) {
		cut_at(l, l->end[i] - 1);
		cut_at(l, l->end[i]);
		if (l->end[i] < l->file.n)
			cut_at(l, l->end[i] + 1);
	}
	for (size_t i = 0; i < N_CUTS && l->file.n > ALL_CUTS; i++)
		cut_at(l, (size_t)(next_random(&seed) % l->file.n));
}

static void cut_everywhere(void **state)
{
	(void)state;
	each_list(cut_list);
}

static void quote_state(struct ima_replay *r, const struct ima_replay *at)
{
	for (unsigned id = 0; id <= DIGEST_SHA384; id++)
		assert_ok(ima_replay_quoted(r, (enum digest_id)id,
					    digest_bytes(ima_replay_value(at, (enum digest_id)id, IMA_FIT_NATIVE))));
}

/* What the hashes cover of the entries from..to, in order; a violation covers nothing. */
static void covered(struct bytes in, enum imalog_form form, size_t max, struct buf *ret)
{
	cleanup_imalog struct imalog l = { 0 };
	struct ima_entry ent;
	bool more;

	imalog_init(&l, form, IMALOG_LITTLE_ENDIAN);
	assert_ok(imalog_feed(&l, in));
	for (size_t i = 0; i < max && !failed(imalog_next(&l, &ent, &more, NULL)) && !more; i++)
		if (!ent.violation)
			assert_ok(buf_add(ret, ent.hashed));
}

/*
 * One bit of a list is changed, and the list is replayed against the value
 * that the true one has STEP entries later at least: either it is refused or
 * does not come out, or an oddity shows, or what is hashed is what it was.
 */
static void change_bit(struct list *l, size_t off, unsigned bit)
{
	size_t in = entry_at(l, off), from = in - in % STEP, to = from + 2 * STEP < l->n ? from + 2 * STEP : l->n;
	size_t start = from == 0 ? 0 : l->end[from - 1], n, len = l->end[to - 1] - start;
	cleanup_buf struct buf was = BUF_INIT(SIZE_MAX), is = BUF_INIT(SIZE_MAX);
	struct bytes part = BYTES(l->file.p + start, len);
	struct ima_replay r = l->state[from];
	struct ima_position p;
	uint64_t read;
	unsigned odd;
	struct err e;

	r.start_entries = r.n_entries;
	quote_state(&r, &l->state[to]);
	covered(part, l->form, to - from, &was);
	l->file.p[off] ^= (uint8_t)(1u << bit);
	e = run(part, l->form, SIZE_MAX / 2, &r, &n, &read, &odd);
	assert_true(n <= len);
	if (!failed(e) && !failed(ima_replay_position(&r, &p)) && odd == 0) {
		covered(part, l->form, (size_t)(p.n_entries - r.start_entries), &is);
		assert_bytes(buf_bytes(&is), buf_bytes(&was));
	}
	l->file.p[off] ^= (uint8_t)(1u << bit);
}

static void change_list(struct list *l)
{
	uint64_t seed = 2463534242;

	for (size_t i = 0; i < N_CHANGES; i++) {
		uint64_t x = next_random(&seed);

		change_bit(l, (size_t)((x >> 8) % l->file.n), (unsigned)(x & 7));
	}
}

static void change_everywhere(void **state)
{
	(void)state;
	each_list(change_list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_list),     cmocka_unit_test(damaged_lists),     cmocka_unit_test(whole_boots),
		cmocka_unit_test(cut_everywhere), cmocka_unit_test(change_everywhere),
	};

	data = getenv("ASSAY_DATA");
	if (data == NULL || access(data, R_OK) != 0) {
		puts("1..0 # SKIP ASSAY_DATA names no folder");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
