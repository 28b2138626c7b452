/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "firmware-measure/imalog.h"
#include "tests/support/ima_list.h"

#define array_len_(a) (sizeof(a) / sizeof((a)[0]))

static const uint8_t digest_a[32] = { 0xa1, 0xa2, 0xa3, 0xff }, digest_b[32] = { 0xb1 };

/* Memory of exactly the size, so that a sanitizer sees what is read behind the end. */
static struct bytes exact(struct buf *b, struct bytes from)
{
	buf_init(b, from.n);
	b->p = malloc(from.n == 0 ? 1 : from.n);
	assert_non_null(b->p);
	if (from.n > 0)
		memcpy(b->p, from.p, from.n);
	b->n = b->cap = from.n;
	return buf_bytes(b);
}

static void words(struct buf *out, const struct ima_entry *ent)
{
	assert_ok(buf_addf(out, "%zu@%zu+%zu pcr %u v%d s%d f%x alg %d kind %d [", (size_t)ent->index,
			   (size_t)ent->off, ent->size, ent->pcr, ent->violation, (int)ent->state, ent->fields,
			   (int)ent->digest.alg, (int)ent->digest.kind));
	assert_ok(buf_add_hex(out, ent->template_hash));
	assert_ok(buf_add_str(out, "|"));
	assert_ok(buf_add(out, ent->template_name));
	assert_ok(buf_add_str(out, "|"));
	assert_ok(buf_add_hex(out, ent->hashed));
	assert_ok(buf_add_str(out, "|"));
	assert_ok(buf_add_hex(out, ent->digest.value));
	assert_ok(buf_add_str(out, "|"));
	assert_ok(buf_add_hex(out, ent->name));
	for (unsigned i = 0; i < N_IMA_FIELDS; i++) {
		assert_ok(buf_add_str(out, "|"));
		assert_ok(buf_add_hex(out, ent->field[i]));
	}
	assert_ok(buf_add_str(out, "]\n"));
}

/* What is left of a part, entry by entry. */
static struct err singles(struct imalog *l, struct buf *out)
{
	struct ima_entry ent;
	bool more = false;
	struct err e;

	while (!failed(e = imalog_next(l, &ent, &more, NULL)) && !more) {
		assert_true(l->tail.cap <= 2 * IMA_ENTRY_MAX);
		words(out, &ent);
	}
	return e;
}

/* The same in batches, looked at when a batch is full. */
static struct err batches(struct imalog *l, struct buf *out)
{
	struct imalog_batch b = { 0 };

	while (!b.more && !failed(b.e)) {
		imalog_next_batch(l, &b);
		for (size_t i = 0; i < b.n; i++)
			words(out, &b.v[i]);
	}
	return b.e;
}

/* Reads a list in parts of part_size bytes; each entry's words go to out, so that two runs can be compared. */
static struct err walk(struct bytes list, enum imalog_form form, enum imalog_order order, size_t part_size,
		       bool in_batches, struct buf *out, uint64_t *ret_off)
{
	cleanup_imalog struct imalog l = { 0 };
	struct err e = ERR(E_OK);

	imalog_init(&l, form, order);
	for (size_t off = 0; off < list.n && !failed(e); off += part_size) {
		size_t n = list.n - off < part_size ? list.n - off : part_size;
		cleanup_buf struct buf part = { 0 };

		assert_ok(imalog_feed(&l, exact(&part, BYTES(list.p + off, n))));
		e = in_batches ? batches(&l, out) : singles(&l, out);
	}
	if (!failed(e))
		e = imalog_end(&l);
	*ret_off = l.off;
	return e;
}

/* The list as a whole, in parts, and in batches gives the same; returns what it gave. */
static struct err walk_all(struct bytes list, enum imalog_form form, enum imalog_order order, uint64_t *ret_off)
{
	static const size_t sizes[] = { 1, 7, 4096 };
	cleanup_buf struct buf whole = BUF_INIT(SIZE_MAX);
	struct err e = walk(list, form, order, list.n + 1, false, &whole, ret_off);

	for (size_t i = 0; i < 2 * array_len_(sizes) + 1; i++) {
		size_t size = i < 2 * array_len_(sizes) ? sizes[i / 2] : list.n + 1;
		cleanup_buf struct buf got = BUF_INIT(SIZE_MAX);
		uint64_t off = 0;

		assert_code(walk(list, form, order, size, i % 2 == 0, &got, &off), e.code);
		assert_int_equal(off, *ret_off);
		assert_bytes(buf_bytes(&got), buf_bytes(&whole));
	}
	return e;
}

/* Reads the only entry of a list. */
static struct err only(struct imalog *l, struct bytes list, struct ima_entry *ret)
{
	bool more = true;
	struct err e;

	if (failed(e = imalog_feed(l, list)) || failed(e = imalog_next(l, ret, &more, NULL)))
		return e;
	assert_false(more);
	return e;
}

static void entry_of_ima_ng(void **state)
{
	cleanup_ima_list struct ima_list list = { 0 };
	cleanup_imalog struct imalog l = { 0 };
	struct ima_entry ent;
	struct digest want;

	(void)state;
	ima_list_init(&list);
	ima_list_file(&list, BYTES_ARR(digest_a), "/usr/bin/true");
	for (int form = IMALOG_BINARY; form <= IMALOG_ASCII; form++) {
		const struct buf *b = form == IMALOG_BINARY ? &list.binary : &list.ascii;
		cleanup_buf struct buf mem = { 0 };
		struct bytes text = exact(&mem, buf_bytes(b));

		imalog_init(&l, (enum imalog_form)form, IMALOG_LITTLE_ENDIAN);
		assert_int_equal(imalog_form_of(text), form);
		assert_ok(only(&l, text, &ent));
		assert_ok(imalog_end(&l));
		assert_int_equal(ent.state, IMA_ENTRY_DECODED);
		assert_int_equal(ent.index, 0);
		assert_int_equal(ent.off, 0);
		assert_int_equal(ent.size, b->n);
		assert_int_equal(ent.pcr, 10);
		assert_false(ent.violation);
		assert_bytes(ent.template_name, BYTES_LIT("ima-ng"));
		assert_bytes(ent.name, BYTES_LIT("/usr/bin/true"));
		assert_int_equal(ent.digest.kind, IMA_DIGEST_FILE);
		assert_int_equal(ent.digest.alg, DIGEST_SHA256);
		assert_bytes(ent.digest.value, BYTES_ARR(digest_a));
		assert_true(ima_entry_has(&ent, IMA_FIELD_D_NG) && ima_entry_has(&ent, IMA_FIELD_N_NG));
		assert_false(ima_entry_has(&ent, IMA_FIELD_SIG));
		assert_ok(digest_one(DIGEST_SHA1, ent.hashed, &want));
		assert_bytes(ent.template_hash, digest_bytes(&want));
		imalog_done(&l);
	}
}

/* Every template the kernel has, fields by a list of their own, both orders, both forms, any part size. */
static void every_template(void **state)
{
	(void)state;
	for (int order = IMALOG_LITTLE_ENDIAN; order <= IMALOG_BIG_ENDIAN; order++) {
		cleanup_ima_list struct ima_list l = { 0 };
		uint64_t off;

		ima_list_init(&l);
		l.order = (enum imalog_order)order;
		ima_list_legacy(&l, digest_a, "/sbin/init");
		ima_list_file(&l, BYTES_ARR(digest_a), "/bin/a name with spaces ");
		ima_list_violation(&l, "/var/log/x");
		ima_list_digest(&l, "sha1", BYTES(digest_b, 20));
		ima_list_name(&l, BYTES_LIT("/bin/b"));
		ima_list_raw(&l, BYTES_LIT("\x03\x02\x04"));
		ima_list_end(&l, "ima-sig");
		ima_list_digest(&l, "sha256", BYTES_ARR(digest_b));
		ima_list_name(&l, BYTES_LIT("kexec-cmdline"));
		ima_list_raw(&l, BYTES_LIT("root=/dev/sda quiet"));
		ima_list_end(&l, "ima-buf");
		ima_list_digest(&l, "sha256", BYTES_ARR(digest_b));
		ima_list_name(&l, BYTES_LIT("/boot/k"));
		ima_list_raw(&l, BYTES_NONE);
		ima_list_raw(&l, BYTES_NONE);
		ima_list_raw(&l, BYTES_NONE);
		ima_list_end(&l, "ima-modsig");
		ima_list_digest(&l, "verity:sha256", BYTES_ARR(digest_b));
		ima_list_name(&l, BYTES_LIT("/bin/v"));
		ima_list_end(&l, "ima-ngv2");
		ima_list_digest(&l, "ima:sha512",
				BYTES("0123456789012345678901234567890123456789012345678901234567890123", 64));
		ima_list_name(&l, BYTES_LIT(""));
		ima_list_raw(&l, BYTES_NONE);
		ima_list_end(&l, "ima-sigv2");
		ima_list_digest(&l, "md5", BYTES(digest_b, 16));
		ima_list_name(&l, BYTES_LIT("/bin/e"));
		ima_list_raw(&l, BYTES_LIT("\x05\x02"));
		ima_list_field(&l, BYTES("security.ima|security.selinux", 30), "security.ima|security.selinux");
		ima_list_raw(&l, BYTES_LIT("\1\0\0\0\1\0\0\0"));
		ima_list_raw(&l, BYTES_LIT("xy"));
		ima_list_field(&l, order == IMALOG_BIG_ENDIAN ? BYTES_LIT("\0\0\3\xe8") : BYTES_LIT("\xe8\3\0\0"),
			       "1000");
		ima_list_field(&l, BYTES_LIT("\0\0\0\0"), "0");
		ima_list_field(&l, order == IMALOG_BIG_ENDIAN ? BYTES_LIT("\x81\xed") : BYTES_LIT("\xed\x81"), "33261");
		ima_list_end(&l, "evm-sig");
		ima_list_name(&l, BYTES_LIT("/bin/own format"));
		ima_list_digest(&l, "sha384", BYTES("012345678901234567890123456789012345678901234567", 48));
		ima_list_end(&l, "n-ng|d-ng");
		for (int form = IMALOG_BINARY; form <= IMALOG_ASCII; form++) {
			struct bytes text = buf_bytes(form == IMALOG_BINARY ? &l.binary : &l.ascii);
			cleanup_imalog struct imalog r = { 0 };
			struct ima_entry ent;
			size_t n = 0;
			bool more;

			assert_ok(walk_all(text, (enum imalog_form)form, l.order, &off));
			assert_int_equal(off, text.n);
			imalog_init(&r, (enum imalog_form)form, l.order);
			assert_ok(imalog_feed(&r, text));
			while (!failed(imalog_next(&r, &ent, &more, NULL)) && !more) {
				struct digest d;

				n++;
				assert_int_equal(ent.state, IMA_ENTRY_DECODED);
				assert_ok(digest_one(DIGEST_SHA1, ent.hashed, &d));
				assert_int_equal(bytes_eq(ent.template_hash, digest_bytes(&d)), !ent.violation);
				if (ent.index == 6)
					assert_int_equal(ent.digest.kind, IMA_DIGEST_VERITY);
				if (ent.index == 7)
					assert_int_equal(ent.digest.alg, DIGEST_SHA512);
				if (ent.index == 8)
					assert_int_equal(ent.digest.alg, N_DIGESTS);
				if (ent.index == 9)
					assert_bytes(ent.name, BYTES_LIT("/bin/own format"));
			}
			assert_int_equal(n, 10);
		}
	}
}

/* A template nobody knows is replayed and its fields are not used. */
static void unknown_template(void **state)
{
	static const char *const names[] = { "ima-new", "d-ng|d-ng", "d-ng|d", "n|n-ng", "d-ng|", "|", "d-ng|x-ng" };

	(void)state;
	for (size_t i = 0; i < array_len_(names); i++) {
		cleanup_ima_list struct ima_list list = { 0 };
		cleanup_imalog struct imalog l = { 0 };
		struct ima_entry ent;

		ima_list_init(&list);
		ima_list_digest(&list, "sha256", BYTES_ARR(digest_a));
		ima_list_name(&list, BYTES_LIT("/bin/x"));
		ima_list_end(&list, names[i]);
		imalog_init(&l, IMALOG_BINARY, IMALOG_LITTLE_ENDIAN);
		assert_ok(only(&l, buf_bytes(&list.binary), &ent));
		assert_int_equal(ent.state, IMA_ENTRY_UNKNOWN);
		assert_int_equal(ent.fields, 0);
		assert_int_equal(ent.name.n, 0);
		assert_int_equal(ent.digest.value.n, 0);
		assert_true(ent.hashed.n > 0);
		imalog_done(&l);
		imalog_init(&l, IMALOG_ASCII, IMALOG_LITTLE_ENDIAN);
		assert_err(only(&l, buf_bytes(&list.ascii), &ent), E_PEER_UNSUPPORTED);
	}
}

/* What stands in a known template and does not fit it: the entry is given, its fields are not. */
static void malformed_fields(void **state)
{
	static const struct {
		const char *alg;
		size_t digest_len;
		const char *name;
		size_t name_len;
	} bad[] = {
		{ "sha256", 31, "/a", 3 },    { "sha256", 33, "/a", 3 },   { "sha256", 0, "/a", 3 },
		{ "", 32, "/a", 3 },          { "SHA256", 32, "/a", 3 },   { "sha256", 32, "/a", 2 },
		{ "sha256", 32, "/a\0b", 5 }, { "sha256", 32, "", 0 },     { "sha 256", 32, "/a", 3 },
		{ "a:b", 32, "/a", 3 },       { "sha256", 32, "/a\0", 4 },
	};

	(void)state;
	for (size_t i = 0; i < array_len_(bad); i++) {
		cleanup_ima_list struct ima_list list = { 0 };
		cleanup_imalog struct imalog l = { 0 };
		cleanup_buf struct buf mem = { 0 };
		struct ima_entry ent;
		uint8_t some[64];

		memset(some, 7, sizeof(some));
		ima_list_init(&list);
		ima_list_digest(&list, bad[i].alg, BYTES(some, bad[i].digest_len));
		ima_list_raw(&list, BYTES(bad[i].name, bad[i].name_len));
		ima_list_end(&list, "ima-ng");
		imalog_init(&l, IMALOG_BINARY, IMALOG_LITTLE_ENDIAN);
		assert_ok(only(&l, exact(&mem, buf_bytes(&list.binary)), &ent));
		assert_int_equal(ent.state, IMA_ENTRY_MALFORMED);
		assert_int_equal(ent.fields, 0);
		assert_int_equal(ent.name.n + ent.digest.value.n + ent.field[IMA_FIELD_D_NG].n, 0);
	}
}

/* A frame that is broken ends the list at the entry's offset, however it is fed. */
static void broken_frame(void **state)
{
	cleanup_ima_list struct ima_list l = { 0 };
	uint64_t off;
	size_t first;

	(void)state;
	ima_list_init(&l);
	ima_list_file(&l, BYTES_ARR(digest_a), "/a");
	first = l.binary.n;
	ima_list_file(&l, BYTES_ARR(digest_b), "/b");
	assert_ok(walk_all(buf_bytes(&l.binary), IMALOG_BINARY, IMALOG_LITTLE_ENDIAN, &off));
	assert_err(walk_all(buf_bytes(&l.binary), IMALOG_BINARY, IMALOG_BIG_ENDIAN, &off), E_PEER_RANGE);
	assert_int_equal(off, 0);
	l.binary.p[first] = 24; /* no TPM has it */
	assert_err(walk_all(buf_bytes(&l.binary), IMALOG_BINARY, IMALOG_LITTLE_ENDIAN, &off), E_PEER_RANGE);
	assert_int_equal(off, first);
	l.binary.p[first] = 10;
	l.binary.p[first + 24] = 0; /* name length */
	assert_err(walk_all(buf_bytes(&l.binary), IMALOG_BINARY, IMALOG_LITTLE_ENDIAN, &off), E_PEER_SYNTAX);
	l.binary.p[first + 25] = 1; /* 256 */
	assert_err(walk_all(buf_bytes(&l.binary), IMALOG_BINARY, IMALOG_LITTLE_ENDIAN, &off), E_LIMIT_SIZE);
	l.binary.p[first + 25] = 0;
	l.binary.p[first + 24] = 6;
	memset(l.binary.p + first + 34, 0xff, 4); /* data length */
	assert_err(walk_all(buf_bytes(&l.binary), IMALOG_BINARY, IMALOG_LITTLE_ENDIAN, &off), E_LIMIT_SIZE);
	assert_int_equal(off, first);
}

static void cut_everywhere(void **state)
{
	cleanup_ima_list struct ima_list l = { 0 };
	size_t end[3];

	(void)state;
	ima_list_init(&l);
	ima_list_legacy(&l, digest_a, "/sbin/init");
	end[0] = l.binary.n;
	ima_list_file(&l, BYTES_ARR(digest_a), "/a");
	end[1] = l.binary.n;
	ima_list_violation(&l, "/b");
	end[2] = l.binary.n;
	for (size_t n = 0; n <= l.binary.n; n++) {
		bool whole = n == 0 || n == end[0] || n == end[1] || n == end[2];
		uint64_t off;

		assert_code(walk_all(BYTES(l.binary.p, n), IMALOG_BINARY, IMALOG_LITTLE_ENDIAN, &off),
			    whole ? E_OK : E_PEER_TRUNCATED);
		assert_int_equal(off, n < end[0] ? 0 : n < end[1] ? end[0] : n < end[2] ? end[1] : end[2]);
	}
	for (size_t n = 1; n < l.ascii.n; n++) {
		uint64_t off;

		assert_code(walk_all(BYTES(l.ascii.p, n), IMALOG_ASCII, IMALOG_LITTLE_ENDIAN, &off),
			    l.ascii.p[n - 1] == '\n' ? E_OK : E_PEER_TRUNCATED);
	}
}

/* An entry may be as large as the limit and no larger; the reader never keeps more than one. */
static void entry_limit(void **state)
{
	cleanup_buf struct buf big = BUF_INIT(SIZE_MAX);

	(void)state;
	assert_ok(buf_reserve(&big, IMA_ENTRY_MAX));
	memset(big.p, 'x', IMA_ENTRY_MAX);
	for (size_t over = 0; over < 2; over++) {
		cleanup_ima_list struct ima_list l = { 0 };
		cleanup_buf struct buf out = BUF_INIT(SIZE_MAX);
		uint64_t off;

		ima_list_init(&l);
		ima_list_digest(&l, "sha256", BYTES_ARR(digest_a));
		ima_list_name(&l, BYTES_LIT("/a"));
		/* frame 28 + 7 + 4, digest 4 + 8 + 32, name 4 + 3, length of buf 4 */
		ima_list_raw(&l, BYTES(big.p, IMA_ENTRY_MAX - 94 + over));
		ima_list_end(&l, "ima-buf");
		assert_int_equal(l.binary.n, IMA_ENTRY_MAX + over);
		assert_code(walk(buf_bytes(&l.binary), IMALOG_BINARY, IMALOG_LITTLE_ENDIAN, 65536, false, &out, &off),
			    over ? E_LIMIT_SIZE : E_OK);
		assert_code(walk(buf_bytes(&l.binary), IMALOG_BINARY, IMALOG_LITTLE_ENDIAN, MIB, false, &out, &off),
			    over ? E_LIMIT_SIZE : E_OK);
		assert_err(walk(buf_bytes(&l.ascii), IMALOG_ASCII, IMALOG_LITTLE_ENDIAN, 65536, false, &out, &off),
			   E_LIMIT_SIZE);
		assert_err(walk(buf_bytes(&l.ascii), IMALOG_ASCII, IMALOG_LITTLE_ENDIAN, 4 * MIB, false, &out, &off),
			   E_LIMIT_SIZE);
	}
}

static void text_that_is_none(void **state)
{
	static const char *const bad[] = {
		"10 0adefe762c149c7cec19da62f0da1297fcfbfff ima-ng sha256:00 /a\n",
		"24 0adefe762c149c7cec19da62f0da1297fcfbffff ima-ng sha256:00 /a\n",
		"-1 0adefe762c149c7cec19da62f0da1297fcfbffff ima-ng sha256:00 /a\n",
		"10 0adefe762c149c7cec19da62f0da1297fcfbffff ima-ng sha256:0g /a\n",
		"10 0adefe762c149c7cec19da62f0da1297fcfbffff ima-ng sha256:00\n",
		"10 0adefe762c149c7cec19da62f0da1297fcfbffff ima-ng\n",
		"10 0adefe762c149c7cec19da62f0da1297fcfbffff ima-sig sha256:00 /a 0g\n",
		"10 0adefe762c149c7cec19da62f0da1297fcfbffff ima 00 /a\n",
		"10 0adefe762c149c7cec19da62f0da1297fcfbffff d-ng|imode sha256:00 65536\n",
		"\n",
		"10\n",
	};
	uint64_t off;

	(void)state;
	for (size_t i = 0; i < array_len_(bad); i++)
		assert_err(walk_all(bytes_str(bad[i]), IMALOG_ASCII, IMALOG_LITTLE_ENDIAN, &off), E_PEER_SYNTAX);
}

/* As many as a batch holds, fewer where an entry's views last only until the next call, and none is lost or twice. */
static void batch_of_all_kinds(void **state)
{
	static const uint8_t legacy[IMA_HASH_SIZE] = { 1 };
	static const size_t want[] = { IMALOG_BATCH, 5, IMALOG_BATCH, 3 };
	cleanup_ima_list struct ima_list list;
	cleanup_imalog struct imalog l = { 0 };
	struct imalog_batch b;
	uint64_t off, next = 0;

	(void)state;
	ima_list_init(&list);
	for (unsigned i = 0; i < 40; i++) {
		if (i == 20)
			ima_list_legacy(&list, legacy, "/bin/old");
		else if (i % 7 == 3)
			ima_list_violation(&list, "/bin/log");
		else
			ima_list_file(&list, BYTES_ARR(digest_a), "/bin/x");
	}
	assert_ok(walk_all(buf_bytes(&list.binary), IMALOG_BINARY, IMALOG_LITTLE_ENDIAN, &off));
	assert_ok(walk_all(buf_bytes(&list.ascii), IMALOG_ASCII, IMALOG_LITTLE_ENDIAN, &off));
	imalog_init(&l, IMALOG_BINARY, IMALOG_LITTLE_ENDIAN);
	assert_ok(imalog_feed(&l, buf_bytes(&list.binary)));
	for (size_t i = 0; i < array_len_(want); i++) {
		imalog_next_batch(&l, &b);
		assert_ok(b.e);
		assert_int_equal(b.n, want[i]);
		for (size_t k = 0; k < b.n; k++)
			assert_int_equal(b.v[k].index, next++);
		assert_int_equal(b.more, i + 1 == array_len_(want));
	}
}

static void part_not_read(void **state)
{
	cleanup_imalog struct imalog l = { 0 };

	(void)state;
	imalog_init(&l, IMALOG_BINARY, IMALOG_LITTLE_ENDIAN);
	assert_ok(imalog_feed(&l, BYTES_LIT("x")));
	assert_err(imalog_feed(&l, BYTES_LIT("y")), E_BUG);
	assert_err(imalog_end(&l), E_PEER_TRUNCATED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entry_of_ima_ng),  cmocka_unit_test(every_template),
		cmocka_unit_test(unknown_template), cmocka_unit_test(malformed_fields),
		cmocka_unit_test(broken_frame),     cmocka_unit_test(cut_everywhere),
		cmocka_unit_test(entry_limit),      cmocka_unit_test(text_that_is_none),
		cmocka_unit_test(part_not_read),    cmocka_unit_test(batch_of_all_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
