/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "firmware-measure/ima_path.h"
#include "firmware-measure/ima_replay.h"
#include "tests/support/ima_list.h"

#define SHA1_ (1u << DIGEST_SHA1)
#define SHA256_ (1u << DIGEST_SHA256)
#define SHA384_ (1u << DIGEST_SHA384)

static const uint8_t file_a[32] = { 0xa1 }, file_b[32] = { 0xb1 }, file_c[32] = { 0xc1 };

/* What a kernel would leave in a register, computed without the code under test. */
enum kernel { KERNEL_NATIVE, KERNEL_PADDED, KERNEL_PADDED_SHORT };

struct tpm {
	struct digest pcr[N_DIGESTS];
};

static void tpm_init(struct tpm *t)
{
	*t = (struct tpm){ 0 };
	for (unsigned i = 0; i < N_DIGESTS; i++)
		t->pcr[i].n = (uint8_t)digest_alg((enum digest_id)i)->size;
}

static void tpm_extend(struct tpm *t, const uint8_t *event, enum digest_id id)
{
	const struct bytes parts[] = { digest_bytes(&t->pcr[id]), BYTES(event, t->pcr[id].n) };
	struct digest d;

	assert_ok(digest_of(id, &d, 2, parts));
	t->pcr[id] = d;
}

/* Extends every bank but SM3 with the entries from..to of a list. */
static void tpm_run(struct tpm *t, const struct ima_list *list, size_t from, size_t to, enum kernel k)
{
	cleanup_imalog struct imalog l = { 0 };
	struct ima_entry ent;
	bool more;

	imalog_init(&l, IMALOG_BINARY, list->order);
	assert_ok(imalog_feed(&l, buf_bytes(&list->binary)));
	while (!failed(imalog_next(&l, &ent, &more, NULL)) && !more) {
		if (ent.index < from || ent.index >= to)
			continue;
		for (unsigned id = 0; id < DIGEST_SM3_256; id++) {
			uint8_t event[DIGEST_MAX] = { 0 };
			struct digest d;

			if (ent.violation) {
				memset(event, 0xff, k == KERNEL_PADDED_SHORT ? 20 : sizeof(event));
			} else if (id == DIGEST_SHA1 || k != KERNEL_NATIVE) {
				memcpy(event, ent.template_hash.p, 20);
			} else {
				assert_ok(digest_one((enum digest_id)id, ent.hashed, &d));
				memcpy(event, d.v, d.n);
			}
			tpm_extend(t, event, (enum digest_id)id);
		}
	}
}

/* Replays a list from byte off on; returns the union of what was odd. */
static unsigned replay(struct ima_replay *r, const struct ima_list *list, size_t off)
{
	cleanup_imalog struct imalog l = { 0 };
	struct ima_entry ent;
	unsigned all = 0, odd;
	bool more;

	imalog_init(&l, IMALOG_BINARY, list->order);
	assert_ok(imalog_feed(&l, BYTES(list->binary.p + off, list->binary.n - off)));
	for (;;) {
		assert_ok(imalog_next(&l, &ent, &more, NULL));
		if (more)
			return all;
		assert_ok(ima_replay_entry(r, &ent, &odd));
		all |= odd;
	}
}

static void quoted(struct ima_replay *r, const struct tpm *t, unsigned banks)
{
	for (unsigned id = 0; id < N_DIGESTS; id++)
		if ((banks & 1u << id) != 0)
			assert_ok(ima_replay_quoted(r, (enum digest_id)id, digest_bytes(&t->pcr[id])));
}

static void list_of_three(struct ima_list *l, size_t end[3])
{
	ima_list_init(l);
	ima_list_file(l, BYTES_ARR(file_a), "boot_aggregate");
	end[0] = l->binary.n;
	ima_list_file(l, BYTES_ARR(file_b), "/sbin/init");
	end[1] = l->binary.n;
	ima_list_file(l, BYTES_ARR(file_c), "/bin/sh");
	end[2] = l->binary.n;
}

/* A caller that cannot use padded values does not pay for them, and they do not fit. */
static void native_only(void **state)
{
	size_t end[3];

	(void)state;
	for (int k = KERNEL_NATIVE; k <= KERNEL_PADDED_SHORT; k++) {
		cleanup_ima_list struct ima_list l = { 0 };
		struct ima_replay r;
		struct tpm t;

		list_of_three(&l, end);
		tpm_init(&t);
		tpm_run(&t, &l, 0, 3, (enum kernel)k);
		assert_ok(ima_replay_init(&r, IMA_PCR, SHA256_, NULL));
		ima_replay_native_only(&r);
		quoted(&r, &t, SHA256_);
		assert_int_equal(replay(&r, &l, 0), 0);
		assert_int_equal(r.matched, k == KERNEL_NATIVE);
		assert_non_null(ima_replay_value(&r, DIGEST_SHA256, IMA_FIT_NATIVE));
		assert_null(ima_replay_value(&r, DIGEST_SHA256, IMA_FIT_PADDED));
		assert_null(ima_replay_value(&r, DIGEST_SHA256, IMA_FIT_PADDED_SHORT));
	}
}

/* Every bank alone and together, by a kernel that hashes for it and by those that do not. */
static void banks_and_fits(void **state)
{
	static const unsigned sets[] = { SHA1_, SHA256_, SHA384_, SHA1_ | SHA256_,
					 SHA256_ | SHA384_ | 1u << DIGEST_SHA512 };
	size_t end[3];

	(void)state;
	for (int k = KERNEL_NATIVE; k <= KERNEL_PADDED_SHORT; k++)
		for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
			cleanup_ima_list struct ima_list l = { 0 };
			struct ima_position p;
			struct ima_replay r;
			struct tpm t;

			list_of_three(&l, end);
			tpm_init(&t);
			tpm_run(&t, &l, 0, 3, (enum kernel)k);
			assert_ok(ima_replay_init(&r, IMA_PCR, sets[i], NULL));
			quoted(&r, &t, sets[i]);
			assert_false(r.matched);
			assert_int_equal(replay(&r, &l, 0), 0);
			assert_true(r.matched);
			assert_ok(ima_replay_position(&r, &p));
			assert_int_equal(p.n_entries, 3);
			assert_int_equal(p.off, end[2]);
			assert_int_equal(p.banks, sets[i]);
			for (unsigned id = 0; id < N_DIGESTS; id++)
				if ((sets[i] & 1u << id) != 0)
					assert_int_equal(p.fit[id], k == KERNEL_NATIVE || id == DIGEST_SHA1
									    ? IMA_FIT_NATIVE
									    : IMA_FIT_PADDED);
		}
}

/* I1: a violation is extended as ones; taken for an ordinary entry the value does not come out. */
static void i1_violation(void **state)
{
	static const enum ima_fit fits[] = { IMA_FIT_NATIVE, IMA_FIT_PADDED_FULL, IMA_FIT_PADDED_SHORT };

	(void)state;
	for (int k = KERNEL_NATIVE; k <= KERNEL_PADDED_SHORT; k++) {
		cleanup_ima_list struct ima_list l = { 0 };
		struct ima_position p, again;
		struct ima_replay r;
		struct tpm t;
		size_t mid, end;

		ima_list_init(&l);
		ima_list_file(&l, BYTES_ARR(file_a), "boot_aggregate");
		ima_list_violation(&l, "/var/log/x");
		mid = l.binary.n;
		ima_list_violation(&l, "/var/log/y");
		ima_list_file(&l, BYTES_ARR(file_b), "/bin/b");
		end = l.binary.n;
		tpm_init(&t);
		tpm_run(&t, &l, 0, 2, (enum kernel)k);
		assert_ok(ima_replay_init(&r, IMA_PCR, SHA256_, NULL));
		quoted(&r, &t, SHA256_);
		assert_int_equal(replay(&r, &l, 0), IMA_ODD_VIOLATION | IMA_ODD_NOT_COVERED);
		assert_int_equal(r.n_violations, 1);
		assert_int_equal(r.n_not_covered, 2);
		assert_ok(ima_replay_position(&r, &p));
		assert_int_equal(p.off, mid);
		assert_int_equal(p.fit[DIGEST_SHA256], fits[k]);
		/* And on from there, with what is known of the kernel. */
		tpm_run(&t, &l, 2, 4, (enum kernel)k);
		assert_ok(ima_replay_init(&r, IMA_PCR, SHA256_, &p));
		quoted(&r, &t, SHA256_);
		assert_int_equal(replay(&r, &l, p.off), IMA_ODD_VIOLATION);
		assert_ok(ima_replay_position(&r, &again));
		assert_int_equal(again.n_entries, 4);
		assert_int_equal(again.off, end);
	}
}

/* I1: a forged entry with a zero hash and another name is a violation like any other: it counts, and must be in the
 * value. */
static void i1_zero_hash_forged(void **state)
{
	cleanup_ima_list struct ima_list l = { 0 }, forged = { 0 };
	struct ima_replay r;
	struct tpm t;
	size_t end[3];

	(void)state;
	list_of_three(&l, end);
	tpm_init(&t);
	tpm_run(&t, &l, 0, 3, KERNEL_NATIVE);
	ima_list_init(&forged);
	ima_list_file(&forged, BYTES_ARR(file_a), "boot_aggregate");
	ima_list_violation(&forged, "/sbin/other");
	ima_list_file(&forged, BYTES_ARR(file_b), "/sbin/init");
	ima_list_file(&forged, BYTES_ARR(file_c), "/bin/sh");
	assert_ok(ima_replay_init(&r, IMA_PCR, SHA256_, NULL));
	quoted(&r, &t, SHA256_);
	assert_int_equal(replay(&r, &forged, 0), IMA_ODD_VIOLATION);
	assert_int_equal(r.n_violations, 1);
	assert_false(r.matched);
}

/* I2: a changed byte of the data with the old hash shows, though the SHA-1 value comes out. */
static void i2_hash_of_data(void **state)
{
	cleanup_ima_list struct ima_list l = { 0 };
	struct ima_position p;
	struct ima_replay r;
	struct tpm t;
	size_t end[3];

	(void)state;
	list_of_three(&l, end);
	tpm_init(&t);
	tpm_run(&t, &l, 0, 3, KERNEL_NATIVE);
	l.binary.p[end[1] - 3] ^= 1; /* "/sbin/inht" */
	assert_ok(ima_replay_init(&r, IMA_PCR, SHA1_, NULL));
	quoted(&r, &t, SHA1_);
	assert_int_equal(replay(&r, &l, 0), IMA_ODD_HASH);
	assert_int_equal(r.n_bad_hash, 1);
	assert_true(r.matched);
	/* With a bank that was extended with its own hash the value does not come out either. */
	assert_ok(ima_replay_init(&r, IMA_PCR, SHA256_, NULL));
	quoted(&r, &t, SHA256_);
	assert_int_equal(replay(&r, &l, 0), IMA_ODD_HASH);
	assert_false(r.matched);
	assert_err(ima_replay_position(&r, &p), E_PEER_DIGEST);
}

/* I3: what comes after the quoted state is not covered, be it true or forged. */
static void i3_longer_than_quote(void **state)
{
	cleanup_ima_list struct ima_list l = { 0 };
	struct ima_position p;
	struct ima_replay r;
	struct tpm t;
	size_t end[3];

	(void)state;
	list_of_three(&l, end);
	for (size_t n = 1; n <= 3; n++) {
		tpm_init(&t);
		tpm_run(&t, &l, 0, n, KERNEL_NATIVE);
		assert_ok(ima_replay_init(&r, IMA_PCR, SHA1_ | SHA256_, NULL));
		quoted(&r, &t, SHA1_ | SHA256_);
		assert_int_equal(replay(&r, &l, 0), n == 3 ? 0 : IMA_ODD_NOT_COVERED);
		assert_int_equal(r.n_not_covered, 3 - n);
		assert_ok(ima_replay_position(&r, &p));
		assert_int_equal(p.n_entries, n);
		assert_int_equal(p.off, end[n - 1]);
	}
	/* No match at all, and two banks that match at different entries. */
	t.pcr[DIGEST_SHA256].v[31] ^= 1;
	assert_ok(ima_replay_init(&r, IMA_PCR, SHA1_ | SHA256_, NULL));
	quoted(&r, &t, SHA1_ | SHA256_);
	assert_int_equal(replay(&r, &l, 0), 0);
	assert_err(ima_replay_position(&r, &p), E_PEER_DIGEST);
	tpm_init(&t);
	tpm_run(&t, &l, 0, 2, KERNEL_NATIVE);
	assert_ok(ima_replay_init(&r, IMA_PCR, SHA1_ | SHA256_, NULL));
	quoted(&r, &t, SHA256_);
	tpm_run(&t, &l, 2, 3, KERNEL_NATIVE);
	quoted(&r, &t, SHA1_);
	(void)replay(&r, &l, 0);
	assert_false(r.matched);
	/* Without a quoted value nothing is ever met. */
	assert_ok(ima_replay_init(&r, IMA_PCR, SHA1_, NULL));
	(void)replay(&r, &l, 0);
	assert_false(r.matched);
}

/* I4: from every position on, and none that does not fit. */
static void i4_incremental(void **state)
{
	cleanup_ima_list struct ima_list l = { 0 };
	struct ima_position p[4] = { 0 }, got;
	struct ima_replay r;
	struct tpm t, whole;
	size_t end[3];

	(void)state;
	list_of_three(&l, end);
	tpm_init(&t);
	tpm_init(&whole);
	tpm_run(&whole, &l, 0, 3, KERNEL_NATIVE);
	for (size_t n = 1; n <= 3; n++) {
		tpm_run(&t, &l, n - 1, n, KERNEL_NATIVE);
		assert_ok(ima_replay_init(&r, IMA_PCR, SHA256_, NULL));
		quoted(&r, &t, SHA256_);
		(void)replay(&r, &l, 0);
		assert_ok(ima_replay_position(&r, &p[n]));
	}
	for (size_t n = 1; n <= 3; n++) {
		assert_ok(ima_replay_init(&r, IMA_PCR, SHA256_, &p[n]));
		quoted(&r, &whole, SHA256_);
		assert_int_equal(r.matched, n == 3); /* nothing new since: met before the first entry */
		assert_int_equal(replay(&r, &l, p[n].off), 0);
		assert_ok(ima_replay_position(&r, &got));
		assert_true(ima_position_equal(&got, &p[3]));
	}
	/* Entries that belong to another position: skipped, repeated, or from another boot. */
	assert_ok(ima_replay_init(&r, IMA_PCR, SHA256_, &p[1]));
	quoted(&r, &whole, SHA256_);
	(void)replay(&r, &l, p[2].off);
	assert_false(r.matched);
	assert_ok(ima_replay_init(&r, IMA_PCR, SHA256_, &p[2]));
	quoted(&r, &whole, SHA256_);
	(void)replay(&r, &l, p[1].off);
	assert_false(r.matched);
	got = p[2];
	got.pcr[DIGEST_SHA256].v[0] ^= 1;
	assert_ok(ima_replay_init(&r, IMA_PCR, SHA256_, &got));
	quoted(&r, &whole, SHA256_);
	(void)replay(&r, &l, p[2].off);
	assert_false(r.matched);
	/* A bank that the position lacks. */
	assert_err(ima_replay_init(&r, IMA_PCR, SHA256_ | SHA1_, &p[1]), E_PEER_MISSING);
}

/* I4: a position that knows how the kernel extends does not take another way for it. */
static void i4_fit_is_kept(void **state)
{
	cleanup_ima_list struct ima_list l = { 0 };
	struct ima_position p;
	struct ima_replay r;
	struct tpm t;
	size_t end[3];

	(void)state;
	list_of_three(&l, end);
	for (int k = KERNEL_NATIVE; k <= KERNEL_PADDED; k++) {
		tpm_init(&t);
		tpm_run(&t, &l, 0, 2, (enum kernel)k);
		assert_ok(ima_replay_init(&r, IMA_PCR, SHA256_, NULL));
		quoted(&r, &t, SHA256_);
		(void)replay(&r, &l, 0);
		assert_ok(ima_replay_position(&r, &p));
		tpm_run(&t, &l, 2, 3, k == KERNEL_NATIVE ? KERNEL_PADDED : KERNEL_NATIVE);
		assert_ok(ima_replay_init(&r, IMA_PCR, SHA256_, &p));
		quoted(&r, &t, SHA256_);
		(void)replay(&r, &l, p.off);
		assert_false(r.matched);
	}
}

static void position_form(void **state)
{
	struct ima_position p = { .n_entries = 7, .off = 1ull << 40, .banks = SHA1_ | SHA384_ }, back;
	cleanup_buf struct buf b = BUF_INIT(KIB), more = BUF_INIT(KIB);

	(void)state;
	p.pcr[DIGEST_SHA1].n = 20;
	p.pcr[DIGEST_SHA384].n = 48;
	p.pcr[DIGEST_SHA384].v[47] = 9;
	p.fit[DIGEST_SHA1] = IMA_FIT_NATIVE;
	p.fit[DIGEST_SHA384] = IMA_FIT_PADDED_SHORT;
	assert_ok(ima_position_encode(&p, &b));
	assert_int_equal(b.n, 18 + 2 * 3 + 20 + 48);
	assert_ok(ima_position_decode(buf_bytes(&b), &back));
	assert_true(ima_position_equal(&p, &back));
	for (size_t n = 0; n < b.n; n++)
		assert_err(ima_position_decode(BYTES(b.p, n), &back), E_PEER_TRUNCATED);
	assert_ok(buf_add(&more, buf_bytes(&b)));
	assert_ok(buf_add_u8(&more, 0));
	assert_err(ima_position_decode(buf_bytes(&more), &back), E_PEER_TRAILING);
	b.p[0] = 2;
	assert_err(ima_position_decode(buf_bytes(&b), &back), E_PEER_UNSUPPORTED);
	b.p[0] = 1;
	b.p[17] = 0;
	assert_err(ima_position_decode(buf_bytes(&b), &back), E_PEER_RANGE);
	b.p[17] = 6;
	assert_err(ima_position_decode(buf_bytes(&b), &back), E_PEER_RANGE);
	b.p[17] = 2;
	b.p[20] = IMA_FIT_PADDED; /* SHA-1 has none */
	assert_err(ima_position_decode(buf_bytes(&b), &back), E_PEER_RANGE);
	b.p[20] = IMA_FIT_UNKNOWN;
	assert_err(ima_position_decode(buf_bytes(&b), &back), E_PEER_RANGE);
	b.p[20] = IMA_FIT_NATIVE;
	b.p[18 + 23 + 1] = 0x04; /* SHA-1 again */
	assert_err(ima_position_decode(buf_bytes(&b), &back), E_PEER_NOT_CANONICAL);
	b.p[18 + 23 + 1] = 0x77;
	assert_err(ima_position_decode(buf_bytes(&b), &back), E_PEER_UNSUPPORTED);
	p.fit[DIGEST_SHA1] = IMA_FIT_UNKNOWN;
	assert_err(ima_position_encode(&p, &more), E_BUG);
}

/* I5: whole components, nothing normalised, and no rule for a path that is not plain. */
static void i5_excludes(void **state)
{
	static const struct {
		const char *path, *rule;
		bool below;
	} t[] = {
		{ "/srv", "/srv", true },
		{ "/srv/x", "/srv", true },
		{ "/srv/x/y", "/srv/x", true },
		{ "/srv.evil", "/srv", false },
		{ "/srv.evil/x", "/srv", false },
		{ "/srvx", "/srv", false },
		{ "/sr", "/srv", false },
		{ "/SRV/x", "/srv", false },
		{ "srv/x", "/srv", false },
		{ "/srv/../usr/bin/x", "/srv", false },
		{ "/srv/..", "/srv", false },
		{ "/srv/./x", "/srv", false },
		{ "/srv//x", "/srv", false },
		{ "//srv/x", "/srv", false },
		{ "/srv/", "/srv", false },
		{ "/srv/a\nb", "/srv", false },
		{ "/srv/a\x7f", "/srv", false },
		{ "/srv/..x", "/srv", true },
		{ "/srv/x", "/srv/", false },
		{ "/srv/x", "/", false },
		{ "/srv/x", "", false },
		{ "", "", false },
		{ "/srv/x", "/srv/../srv", false },
		{ "/a/srv/x", "/srv", false },
	};
	char path[LIMIT_PATH + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		assert_int_equal(ima_path_below(bytes_str(t[i].path), bytes_str(t[i].rule)), t[i].below);
	assert_false(ima_path_below(BYTES("/srv/a\0b", 8), BYTES_LIT("/srv")));
	memset(path, 'x', sizeof(path));
	memcpy(path, "/srv/", 5);
	assert_true(ima_path_below(BYTES(path, LIMIT_PATH - 1), BYTES_LIT("/srv")));
	assert_false(ima_path_below(BYTES(path, LIMIT_PATH), BYTES_LIT("/srv")));
}

/* I8: an entry for another register is named and not replayed. */
static void i8_other_register(void **state)
{
	cleanup_ima_list struct ima_list l = { 0 };
	struct ima_replay r;
	struct tpm t;
	size_t end[3];

	(void)state;
	list_of_three(&l, end);
	tpm_init(&t);
	tpm_run(&t, &l, 0, 3, KERNEL_NATIVE);
	l.binary.p[end[0]] = 11;
	assert_ok(ima_replay_init(&r, IMA_PCR, SHA256_, NULL));
	quoted(&r, &t, SHA256_);
	assert_int_equal(replay(&r, &l, 0), IMA_ODD_PCR);
	assert_int_equal(r.n_other_pcr, 1);
	assert_false(r.matched);
	/* A policy may name another one for all. */
	l.binary.p[0] = l.binary.p[end[1]] = 11;
	assert_ok(ima_replay_init(&r, 11, SHA256_, NULL));
	quoted(&r, &t, SHA256_);
	assert_int_equal(replay(&r, &l, 0), 0);
	assert_true(r.matched);
	assert_err(ima_replay_init(&r, LIMIT_PCRS, SHA256_, NULL), E_PEER_RANGE);
}

static enum ima_aggregate aggregate(const struct ima_list *l, size_t n, const struct ima_bank_values *banks)
{
	cleanup_imalog struct imalog r = { 0 };
	enum ima_aggregate got;
	struct ima_entry ent;
	bool more;

	imalog_init(&r, IMALOG_BINARY, IMALOG_LITTLE_ENDIAN);
	assert_ok(imalog_feed(&r, buf_bytes(&l->binary)));
	assert_ok(imalog_next(&r, &ent, &more, NULL));
	assert_ok(ima_aggregate_check(&ent, n, banks, &got));
	return got;
}

/* A boot_aggregate in one hash over the first n registers of a bank. */
static void aggregate_list(struct ima_list *l, enum digest_id hash, const struct ima_bank_values *bank, size_t n,
			   const char *name)
{
	struct bytes parts[10];
	struct digest d;

	for (size_t i = 0; i < n; i++)
		parts[i] = digest_bytes(&bank->pcr[i]);
	assert_ok(digest_of(hash, &d, n, parts));
	ima_list_init(l);
	ima_list_digest(l, digest_alg(hash)->name, digest_bytes(&d));
	ima_list_name(l, bytes_str(name));
	ima_list_end(l, "ima-ng");
}

static void i9_boot_aggregate(void **state)
{
	static const struct {
		enum digest_id hash;
		size_t bank, n;
		enum ima_aggregate want;
	} t[] = {
		{ DIGEST_SHA256, 1, 10, IMA_AGGREGATE_FITS_0_9 }, { DIGEST_SHA256, 1, 8, IMA_AGGREGATE_FITS_0_7 },
		{ DIGEST_SHA256, 0, 8, IMA_AGGREGATE_FITS_SHA1 }, { DIGEST_SHA256, 0, 10, IMA_AGGREGATE_DIFFERS },
		{ DIGEST_SHA1, 0, 8, IMA_AGGREGATE_FITS_0_7 },    { DIGEST_SHA1, 0, 10, IMA_AGGREGATE_FITS_0_9 },
		{ DIGEST_SHA1, 1, 8, IMA_AGGREGATE_DIFFERS },     { DIGEST_SHA256, 1, 9, IMA_AGGREGATE_DIFFERS },
	};
	struct ima_bank_values banks[2] = { { .bank = DIGEST_SHA1 }, { .bank = DIGEST_SHA256 } }, other;

	(void)state;
	for (size_t b = 0; b < 2; b++)
		for (size_t i = 0; i < 10; i++) {
			banks[b].pcr[i].n = (uint8_t)digest_alg(banks[b].bank)->size;
			banks[b].pcr[i].v[0] = (uint8_t)(b * 16 + i + 1);
		}
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		cleanup_ima_list struct ima_list l = { 0 }, named = { 0 };

		aggregate_list(&l, t[i].hash, &banks[t[i].bank], t[i].n, "boot_aggregate");
		assert_int_equal(aggregate(&l, 2, banks), t[i].want);
		/* Another boot. */
		other = banks[t[i].bank];
		other.pcr[7].v[1] ^= 1;
		assert_int_equal(aggregate(&l, 1, &other), t[i].hash == other.bank || t[i].bank == 0
								   ? IMA_AGGREGATE_DIFFERS
								   : IMA_AGGREGATE_NOT_QUOTED);
		/* Not the entry it must be. */
		aggregate_list(&named, t[i].hash, &banks[t[i].bank], t[i].n, "boot_aggregate2");
		assert_int_equal(aggregate(&named, 2, banks), IMA_AGGREGATE_ABSENT);
	}
}

/* I9: without the registers there is no verdict; PCR 8 and 9 may be missing where the old form is used. */
static void i9_not_quoted(void **state)
{
	struct ima_bank_values bank = { .bank = DIGEST_SHA256 };
	cleanup_ima_list struct ima_list l = { 0 }, v = { 0 };

	(void)state;
	for (size_t i = 0; i < 10; i++)
		bank.pcr[i].n = 32;
	aggregate_list(&l, DIGEST_SHA256, &bank, 8, "boot_aggregate");
	assert_int_equal(aggregate(&l, 0, NULL), IMA_AGGREGATE_NOT_QUOTED);
	bank.pcr[9].n = 0;
	assert_int_equal(aggregate(&l, 1, &bank), IMA_AGGREGATE_FITS_0_7);
	bank.pcr[0].n = 0;
	assert_int_equal(aggregate(&l, 1, &bank), IMA_AGGREGATE_NOT_QUOTED);
	ima_list_init(&v);
	ima_list_violation(&v, "boot_aggregate");
	assert_int_equal(aggregate(&v, 1, &bank), IMA_AGGREGATE_ABSENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(native_only),
		cmocka_unit_test(banks_and_fits),       cmocka_unit_test(i1_violation),
		cmocka_unit_test(i1_zero_hash_forged),  cmocka_unit_test(i2_hash_of_data),
		cmocka_unit_test(i3_longer_than_quote), cmocka_unit_test(i4_incremental),
		cmocka_unit_test(i4_fit_is_kept),       cmocka_unit_test(position_form),
		cmocka_unit_test(i5_excludes),          cmocka_unit_test(i8_other_register),
		cmocka_unit_test(i9_boot_aggregate),    cmocka_unit_test(i9_not_quoted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
