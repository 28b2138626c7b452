/* SPDX-License-Identifier: Apache-2.0 */
/* The strict tar reader, on archives of every kind and on what it must refuse. */
#include "unit.h"

#include "base/limits.h"
#include "firmware-measure/tar.h"
#include "tests/support/tarbuild.h"

/* A source that gives so many bytes at a time. */
struct memory {
	struct bytes left;
	size_t step;
};

static struct err memory_more(void *ctx, struct bytes *ret, struct reason *reterr)
{
	struct memory *m = ctx;
	size_t n = m->left.n < m->step ? m->left.n : m->step;

	(void)reterr;
	*ret = BYTES(m->left.p, n);
	m->left = BYTES(m->left.p + n, m->left.n - n);
	return ERR(E_OK);
}

/* Everything that the archive holds, as one line a member. */
static bool open_end;

static struct err list(struct bytes archive, size_t step, struct buf *ret, struct reason *why)
{
	struct memory m = { .left = archive, .step = step };
	const struct tar_source source = { .more = memory_more, .ctx = &m };
	cleanup_tar struct tar t = { 0 };
	struct tar_entry entry;
	struct bytes b;
	bool end = false;
	struct err e;

	tar_init(&t, &source);
	t.open_end = open_end;
	for (;;) {
		if (failed(e = tar_next(&t, &entry, &end, why)) || end)
			return e;
		assert_ok(buf_addf(ret, "%d %.*s", (int)entry.type, (int)entry.name.n, (const char *)entry.name.p));
		if (entry.link.n > 0)
			assert_ok(buf_addf(ret, " -> %.*s", (int)entry.link.n, (const char *)entry.link.p));
		assert_ok(buf_addf(ret, " %o %u:%u %u:%u %ju %zu\"", entry.mode, entry.uid, entry.gid, entry.major,
				   entry.minor, (uintmax_t)entry.size, entry.xattrs->n));
		do {
			if (failed(e = tar_content(&t, &b, why)))
				return e;
			assert_ok(buf_add(ret, b));
		} while (b.n > 0);
		assert_ok(buf_add_str(ret, "\"\n"));
	}
}

static void expect(const struct buf *archive, const char *want)
{
	static const size_t steps[] = { 1, 100, 512, 4096, SIZE_MAX };

	for (size_t i = 0; i < array_len(steps); i++) {
		cleanup_buf struct buf b = BUF_INIT(MIB);
		struct reason why = { "" };
		struct err e = list(buf_bytes(archive), steps[i], &b, &why);
		const char *text = NULL;

		if (failed(e))
			fail_msg("%s: %s", err_name(e), why.text);
		assert_ok(buf_cstr(&b, &text));
		assert_string_equal(text, want);
	}
}

static void refused(const char *what, const struct buf *archive, enum err_code want, const char *words)
{
	cleanup_buf struct buf b = BUF_INIT(MIB);
	struct reason why = { "" };
	struct err e = list(buf_bytes(archive), 700, &b, &why);

	if (e.code != want || strstr(why.text, words) == NULL)
		fail_msg("%s: %s \"%s\" instead of %s \"...%s...\"", what, err_name(e), why.text, err_name(ERR(want)),
			 words);
}

static void every_type(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(MIB);

	(void)state;
	TAR_PUT(&b, .name = "./", .type = '5', .mode = 0755);
	TAR_PUT(&b, .name = "a", .content = "hello", .mode = 04755, .uid = 7, .gid = 8);
	TAR_PUT(&b, .name = "b", .type = '1', .link = "a");
	TAR_PUT(&b, .name = "c", .type = '2', .link = "../a", .mode = 0777);
	TAR_PUT(&b, .name = "d", .type = '3', .major = 1, .minor = 3);
	TAR_PUT(&b, .name = "e", .type = '4', .major = 8, .minor = 1);
	TAR_PUT(&b, .name = "f", .type = '6');
	TAR_PUT(&b, .name = "empty");
	tar_put_end(&b);
	expect(&b, "5 ./ 755 0:0 0:0 0 0\"\"\n"
		   "0 a 4755 7:8 0:0 5 0\"hello\"\n"
		   "1 b -> a 644 0:0 0:0 0 0\"\"\n"
		   "2 c -> ../a 777 0:0 0:0 0 0\"\"\n"
		   "3 d 644 0:0 1:3 0 0\"\"\n"
		   "4 e 644 0:0 8:1 0 0\"\"\n"
		   "6 f 644 0:0 0:0 0 0\"\"\n"
		   "0 empty 644 0:0 0:0 0 0\"\"\n");
}

static void pax_headers(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(MIB);

	(void)state;
	tar_put_pax(&b, 'g', "comment=made by hand\n");
	TAR_PUT(&b, .name = "short", .content = "x",
		.pax = "path=a/longer name\nuid=3000000000\ngid=4\nmtime=1.5\nunknown.key=1\n"
		       "SCHILY.xattr.user.a=1\nSCHILY.xattr.security.selinux=label\nSCHILY.xattr.trusted.overlay."
		       "opaque=y\n");
	/* It holds for one entry. */
	TAR_PUT(&b, .name = "next", .type = '2', .link = "x", .pax = "linkpath=else where\n");
	TAR_PUT(&b, .name = "last");
	tar_put_end(&b);
	expect(&b, "0 a/longer name 644 3000000000:4 0:0 1 1\"x\"\n"
		   "2 next -> else where 644 0:0 0:0 0 0\"\"\n"
		   "0 last 644 0:0 0:0 0 0\"\"\n");
}

static void gnu_headers(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(MIB);
	size_t at;

	(void)state;
	tar_put_data(&b, 'L', BYTES_LIT("a long name\0"));
	tar_put_data(&b, 'K', BYTES_LIT("a long target\0"));
	at = b.n;
	TAR_PUT(&b, .name = "cut", .type = '2', .link = "cut");
	memcpy(b.p + at + 257, "ustar  \0", 8);
	memcpy(b.p + at + 345, "12345670123", 11); /* GNU has times where ustar has the prefix */
	memcpy(b.p + at + 108, "\x80\0\0\0\x7f\xff\xff\xff", 8);
	tar_seal(&b, at);
	at = b.n;
	TAR_PUT(&b, .name = "name");
	memcpy(b.p + at + 345, "prefix", 6);
	tar_seal(&b, at);
	tar_put_end(&b);
	expect(&b, "2 a long name -> a long target 644 2147483647:0 0:0 0 0\"\"\n"
		   "0 prefix/name 644 0:0 0:0 0 0\"\"\n");
}

/* One field of one header changed. */
static void hostile_headers(void **state)
{
	static const struct {
		const char *what;
		size_t at;
		struct bytes value;
		bool keep_checksum;
		enum err_code want;
		const char *words;
	} cases[] = {
		{ "name", 0, BYTES_LIT("b"), true, E_PEER_DIGEST, "checksum" },
		{ "checksum is no number", 148, BYTES_LIT("zz"), true, E_PEER_DIGEST, "checksum" },
		{ "no name", 0, BYTES_LIT("\0"), false, E_PEER_SYNTAX, "without a name" },
		{ "mode", 100, BYTES_LIT("0000x44"), false, E_PEER_SYNTAX, "a number" },
		{ "uid -1", 108, BYTES_LIT("\xff\xff\xff\xff\xff\xff\xff\xff"), false, E_PEER_RANGE, "a number" },
		{ "uid 2^32-1", 108, BYTES_LIT("\x80\0\0\0\xff\xff\xff\xff"), false, E_PEER_RANGE, "a number" },
		{ "gid 2^32", 116, BYTES_LIT("\x80\0\0\1\0\0\0\0"), false, E_PEER_RANGE, "a number" },
		{ "size 2^63", 124, BYTES_LIT("\x80\0\0\0\x80\0\0\0\0\0\0\0"), false, E_PEER_RANGE, "a number" },
		{ "size 2^72", 124, BYTES_LIT("\x80\0\1\0\0\0\0\0\0\0\0\0"), false, E_PEER_RANGE, "a number" },
		{ "size beyond the end", 124, BYTES_LIT("00000777777"), false, E_PEER_TRUNCATED, "ends early" },
		{ "size 2^62", 124, BYTES_LIT("\x80\0\0\0\x40\0\0\0\0\0\0\0"), false, E_PEER_TRUNCATED, "ends early" },
		{ "sparse", 156, BYTES_LIT("S"), false, E_PEER_UNSUPPORTED, "sparse" },
		{ "contiguous", 156, BYTES_LIT("7"), false, E_PEER_UNSUPPORTED, "type" },
		{ "multi-volume", 156, BYTES_LIT("M"), false, E_PEER_UNSUPPORTED, "type" },
		{ "folder with content", 156, BYTES_LIT("5"), false, E_PEER_RANGE, "a number" },
		{ "link with content", 156, BYTES_LIT("1"), false, E_PEER_RANGE, "a number" },
		{ "file called like a folder", 1, BYTES_LIT("/"), false, E_PEER_UNSUPPORTED, "slash" },
		{ "version 7", 257, BYTES_LIT("\0\0\0\0\0\0\0\0"), false, E_PEER_UNSUPPORTED, "not a tar archive" },
		{ "star", 508, BYTES_LIT("tar\0"), false, E_PEER_UNSUPPORTED, "not a tar archive" },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_buf struct buf b = BUF_INIT(MIB);

		TAR_PUT(&b, .name = "a", .content = "hello");
		tar_put_end(&b);
		memcpy(b.p + cases[i].at, cases[i].value.p, cases[i].value.n);
		if (!cases[i].keep_checksum)
			tar_seal(&b, 0);
		refused(cases[i].what, &b, cases[i].want, cases[i].words);
	}
}

static void hostile_extensions(void **state)
{
	static const struct {
		const char *pax;
		enum err_code want;
		const char *words;
	} cases[] = {
		{ "path=a\npath=b\n", E_PEER_DUPLICATE, "twice" },
		{ "uid=1\nuid=1\n", E_PEER_DUPLICATE, "twice" },
		{ "size=1\nsize=1\n", E_PEER_DUPLICATE, "twice" },
		{ "SCHILY.xattr.user.a=1\nSCHILY.xattr.user.a=1\n", E_PEER_DUPLICATE, "twice" },
		{ "path=\n", E_PEER_SYNTAX, "records" },
		{ "uid=-1\n", E_PEER_SYNTAX, "records" },
		{ "uid=4294967295\n", E_PEER_RANGE, "a number" },
		{ "size=18446744073709551615\n", E_PEER_RANGE, "a number" },
		{ "size=18446744073709551616\n", E_PEER_SYNTAX, "records" },
		{ "GNU.sparse.major=1\n", E_PEER_UNSUPPORTED, "sparse" },
		{ "SCHILY.realsize=1000000000000\n", E_PEER_UNSUPPORTED, "sparse" },
		{ "hdrcharset=BINARY\n", E_PEER_UNSUPPORTED, "character sets" },
		{ "=x\n", E_PEER_SYNTAX, "records" },
	};
	static const char *const raw[] = { "3 a",
					   "11 path=abc\n",
					   "9 path=a",
					   "x path=a\n",
					   "99 path=a\n",
					   " path=a\n",
					   "18446744073709551616 path=a\n",
					   "4 ab\n",
					   "0 path=a\n" };

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_buf struct buf b = BUF_INIT(MIB);

		TAR_PUT(&b, .name = "a", .content = "x", .pax = cases[i].pax);
		tar_put_end(&b);
		refused(cases[i].pax, &b, cases[i].want, cases[i].words);
	}
	for (size_t i = 0; i < array_len(raw); i++) {
		cleanup_buf struct buf b = BUF_INIT(MIB);

		tar_put_data(&b, 'x', bytes_str(raw[i]));
		TAR_PUT(&b, .name = "a");
		tar_put_end(&b);
		refused(raw[i], &b, E_PEER_SYNTAX, "records");
	}
}

static void hostile_sequences(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(4 * MIB), big = BUF_INIT(4 * MIB);
	static const char zeros[MIB + 1];

	(void)state;
	tar_put_data(&b, 'L', BYTES_LIT("one\0"));
	tar_put_data(&b, 'L', BYTES_LIT("two\0"));
	refused("two long names", &b, E_PEER_DUPLICATE, "twice");

	buf_clear(&b);
	tar_put_data(&b, 'L', BYTES_LIT("one\0"));
	tar_put_pax(&b, 'x', "path=two\n");
	refused("a long name and a pax one", &b, E_PEER_DUPLICATE, "twice");

	buf_clear(&b);
	tar_put_data(&b, 'L', BYTES_LIT("one\0two\0"));
	refused("NUL in a long name", &b, E_PEER_SYNTAX, "NUL");

	buf_clear(&b);
	tar_put_data(&b, 'L', BYTES(zeros, 0));
	refused("empty long name", &b, E_PEER_SYNTAX, "empty");

	buf_clear(&b);
	tar_put_pax(&b, 'g', "path=everywhere\n");
	refused("global path", &b, E_PEER_UNSUPPORTED, "global");

	buf_clear(&b);
	for (unsigned i = 0; i < 10; i++)
		tar_put_pax(&b, 'x', "comment=c\n");
	refused("many headers", &b, E_LIMIT_COUNT, "extended headers");

	buf_clear(&b);
	tar_put_data(&b, 'x', BYTES(zeros, 1));
	refused("pax header of a NUL", &b, E_PEER_SYNTAX, "records");

	tar_put_data(&big, 'x', BYTES(zeros, MIB + 1));
	refused("large pax header", &big, E_LIMIT_SIZE, "extended header");
}

static void the_end(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(4 * MIB);
	static const uint8_t zeros[MIB + 1024];

	(void)state;
	refused("nothing", &b, E_PEER_TRUNCATED, "ends early");
	TAR_PUT(&b, .name = "a", .content = "x");
	refused("no end", &b, E_PEER_TRUNCATED, "ends early");
	assert_ok(buf_add(&b, BYTES(zeros, TAR_BLOCK_LEN)));
	refused("half an end", &b, E_PEER_TRUNCATED, "ends early");
	assert_ok(buf_add(&b, BYTES(zeros, TAR_BLOCK_LEN)));
	expect(&b, "0 a 644 0:0 0:0 1 0\"x\"\n");
	assert_ok(buf_add(&b, BYTES(zeros, 8 * TAR_BLOCK_LEN)));
	expect(&b, "0 a 644 0:0 0:0 1 0\"x\"\n");
	TAR_PUT(&b, .name = "b");
	refused("an entry behind the end", &b, E_PEER_TRAILING, "behind the end");

	buf_clear(&b);
	TAR_PUT(&b, .name = "a");
	tar_put_end(&b);
	assert_ok(buf_add(&b, BYTES_ARR(zeros)));
	refused("zeros without end", &b, E_LIMIT_SIZE, "zeros");
}

/* Where a digest tells what is whole. */
static void open_ends(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(MIB);
	static const uint8_t zeros[TAR_BLOCK_LEN];

	(void)state;
	open_end = true;
	expect(&b, "");
	TAR_PUT(&b, .name = "a", .content = "x");
	expect(&b, "0 a 644 0:0 0:0 1 0\"x\"\n");
	assert_ok(buf_add(&b, BYTES_ARR(zeros)));
	expect(&b, "0 a 644 0:0 0:0 1 0\"x\"\n");
	assert_ok(buf_add(&b, BYTES(zeros, 100)));
	refused("part of a block", &b, E_PEER_TRUNCATED, "ends early");
	assert_ok(buf_truncate(&b, TAR_BLOCK_LEN + 100));
	refused("within padding", &b, E_PEER_TRUNCATED, "ends early");
	assert_ok(buf_truncate(&b, TAR_BLOCK_LEN + 1));
	expect(&b, "0 a 644 0:0 0:0 1 0\"x\"\n");
	assert_ok(buf_truncate(&b, TAR_BLOCK_LEN));
	refused("within content", &b, E_PEER_TRUNCATED, "ends early");
	assert_ok(buf_truncate(&b, 100));
	refused("within a header", &b, E_PEER_TRUNCATED, "ends early");
	buf_clear(&b);
	tar_put_pax(&b, 'x', "path=a\n");
	refused("behind a pax header", &b, E_PEER_TRUNCATED, "ends early");
	tar_put_end(&b);
	refused("end behind a pax header", &b, E_PEER_TRUNCATED, "ends early");
	open_end = false;
}

/* Cut at every length: never accepted, never another error. */
static void truncated_everywhere(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(MIB);

	(void)state;
	TAR_PUT(&b, .name = "a", .content = "hello", .pax = "path=b\n");
	tar_put_end(&b);
	for (size_t n = 0; n < b.n; n += 7) {
		struct buf cut = { .p = b.p, .n = n };

		refused("cut", &cut, E_PEER_TRUNCATED, "ends early");
	}
}

static void paths(void **state)
{
	static const struct {
		const char *name;
		enum err_code want;
		const char *path;
	} cases[] = {
		{ "a", E_OK, "a" },
		{ "./a/b/", E_OK, "a/b" },
		{ "a//./b", E_OK, "a/b" },
		{ "./", E_OK, "" },
		{ ".", E_OK, "" },
		{ "/", E_OK, "" },
		{ "...", E_OK, "..." },
		{ "..a/b..", E_OK, "..a/b.." },
		{ "N\xc5\x91", E_OK, "N\xc5\x91" },
		{ "/etc/passwd", E_PEER_RANGE, NULL },
		{ "//", E_PEER_RANGE, NULL },
		{ "../a", E_PEER_RANGE, NULL },
		{ "a/../b", E_PEER_RANGE, NULL },
		{ "a/..", E_PEER_RANGE, NULL },
		{ "a\nb", E_PEER_SYNTAX, NULL },
		{ "a\x7f", E_PEER_SYNTAX, NULL },
		{ "a\xff", E_PEER_SYNTAX, NULL },
		{ "a\xc2\x9b", E_PEER_SYNTAX, NULL },
		{ "a\xc0\xaf", E_PEER_SYNTAX, NULL },
	};
	cleanup_buf struct buf b = BUF_INIT(LIMIT_PATH);
	char name[2 * LIMIT_PATH];

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		struct reason why = { "" };

		buf_clear(&b);
		assert_code(tar_path(bytes_str(cases[i].name), &b, &why), cases[i].want);
		if (cases[i].path != NULL)
			assert_bytes(buf_bytes(&b), bytes_str(cases[i].path));
	}
	memset(name, 'a', sizeof(name));
	buf_clear(&b);
	assert_ok(tar_path(BYTES(name, 255), &b, NULL));
	assert_err(tar_path(BYTES(name, 256), &b, NULL), E_LIMIT_SIZE);
	for (size_t i = 1; i < sizeof(name); i += 2)
		name[i] = '/';
	buf_clear(&b);
	assert_ok(tar_path(BYTES(name, LIMIT_PATH - 1), &b, NULL));
	assert_err(tar_path(BYTES(name, LIMIT_PATH), &b, NULL), E_LIMIT_SIZE);
}

static void attributes(void **state)
{
	cleanup_xattrs struct xattrs x = XATTRS_INIT;
	cleanup_buf struct buf b = BUF_INIT(2 * LIMIT_XATTR_BYTES);
	static const uint8_t large[LIMIT_XATTR_BYTES];
	char name[32];

	(void)state;
	assert_true(xattr_matters(BYTES_LIT("security.capability")));
	assert_true(xattr_matters(BYTES_LIT("system.posix_acl_access")));
	assert_true(xattr_matters(BYTES_LIT("system.posix_acl_default")));
	assert_true(xattr_matters(BYTES_LIT("user.anything")));
	assert_false(xattr_matters(BYTES_LIT("security.selinux")));
	assert_false(xattr_matters(BYTES_LIT("security.ima")));
	assert_false(xattr_matters(BYTES_LIT("trusted.overlay.opaque")));
	assert_false(xattr_matters(BYTES_LIT("user.overlay.opaque")));
	assert_false(xattr_matters(BYTES_LIT("user.containers.override_stat")));
	assert_false(xattr_matters(BYTES_LIT("user.rootlesscontainers")));
	assert_false(xattr_matters(BYTES_LIT("user")));

	assert_ok(xattrs_add(&x, BYTES_LIT("user.b"), BYTES_LIT("2")));
	assert_ok(xattrs_add(&x, BYTES_LIT("user.a"), BYTES_NONE));
	assert_ok(xattrs_add(&x, BYTES_LIT("security.ima"), BYTES_LIT("2")));
	assert_err(xattrs_add(&x, BYTES_LIT("user.b"), BYTES_LIT("3")), E_PEER_DUPLICATE);
	assert_ok(xattrs_encode(&x, &b));
	assert_bytes(buf_bytes(&b), BYTES_LIT("\0\0\0\6user.a\0\0\0\0\0\0\0\6user.b\0\0\0\1"
					      "2"));
	assert_err(xattrs_add(&x, BYTES_LIT("user.c"), BYTES_ARR(large)), E_LIMIT_SIZE);
	xattrs_clear(&x);
	for (unsigned i = 0; i < LIMIT_XATTRS; i++) {
		(void)snprintf(name, sizeof(name), "user.%u", i);
		assert_ok(xattrs_add(&x, bytes_str(name), BYTES_NONE));
	}
	assert_err(xattrs_add(&x, BYTES_LIT("user.more"), BYTES_NONE), E_LIMIT_COUNT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type),
		cmocka_unit_test(pax_headers),
		cmocka_unit_test(gnu_headers),
		cmocka_unit_test(hostile_headers),
		cmocka_unit_test(hostile_extensions),
		cmocka_unit_test(hostile_sequences),
		cmocka_unit_test(the_end),
		cmocka_unit_test(open_ends),
		cmocka_unit_test(truncated_everywhere),
		cmocka_unit_test(paths),
		cmocka_unit_test(attributes),
	};

	return cmocka_run_group_tests_name("tar", tests, NULL, NULL);
}
