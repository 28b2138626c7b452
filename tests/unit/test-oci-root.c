/* SPDX-License-Identifier: Apache-2.0 */
/* The root that the layers of an image make, and its digest, against the documented format written by hand. */
#include "root.h"

#include "base/digest.h"
#include "base/wr.h"

/* The documented format, by hand: what the root must be, entry by entry. */
static struct buf want;

static void want_begin(const char *domain)
{
	buf_free(&want);
	buf_init(&want, 4 * MIB);
	assert_ok(buf_add(&want, BYTES(domain, strlen(domain) + 1)));
}

static void want_text(const char *s)
{
	assert_ok(wr_u32be(&want, (uint32_t)strlen(s)));
	assert_ok(buf_add_str(&want, s));
}

static void want_head(char type, const char *path, unsigned mode, unsigned uid, unsigned gid)
{
	assert_ok(buf_add_u8(&want, (uint8_t)type));
	want_text(path);
	assert_ok(wr_u32be(&want, mode));
	assert_ok(wr_u32be(&want, uid));
	assert_ok(wr_u32be(&want, gid));
	assert_ok(wr_u32be(&want, 0));
}

static void want_file(const char *path, unsigned mode, unsigned uid, unsigned gid, const char *content)
{
	uint8_t d[32];

	want_head('f', path, mode, uid, gid);
	assert_ok(wr_u64be(&want, strlen(content)));
	assert_ok(sha256(bytes_str(content), d));
	assert_ok(buf_add(&want, BYTES_ARR(d)));
}

static void want_again(const char *path, const char *first)
{
	assert_ok(buf_add_u8(&want, 'h'));
	want_text(path);
	want_text(first);
}

static void assert_wanted(size_t n_entries)
{
	cleanup_free struct image_report *r = accepted();
	uint8_t d[32];
	char hex[65];

	assert_ok(sha256(buf_bytes(&want), d));
	assert_ok(hex_encode(BYTES_ARR(d), hex, sizeof(hex)));
	assert_hex(r->rootfs, hex);
	assert_int_equal(r->n_entries, n_entries);
	buf_free(&want);
}

#define WANT_ROOT want_head('d', "", 0, 0, 0)

static void every_type(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(MIB);

	(void)state;
	allow_devices = true;
	TAR_PUT(&b, .name = "./", .type = '5', .mode = 0755, .uid = 1, .gid = 2);
	TAR_PUT(&b, .name = "f", .content = "hello", .mode = 04711, .uid = 3, .gid = 4,
		.pax = "SCHILY.xattr.user.b=2\nSCHILY.xattr.user.a=1\nSCHILY.xattr.security.selinux=x\n");
	TAR_PUT(&b, .name = "l", .type = '2', .link = "/etc/passwd", .mode = 0700);
	TAR_PUT(&b, .name = "c", .type = '3', .major = 1, .minor = 3);
	TAR_PUT(&b, .name = "b", .type = '4', .major = 8, .minor = 1);
	TAR_PUT(&b, .name = "p", .type = '6');
	tar_put_end(&b);
	layer(&b);
	want_begin("assay rootfs v1");
	want_head('d', "", 0, 1, 2);
	want_head('b', "b", 0644, 0, 0);
	assert_ok(wr_u32be(&want, 8));
	assert_ok(wr_u32be(&want, 1));
	want_head('c', "c", 0644, 0, 0);
	assert_ok(wr_u32be(&want, 1));
	assert_ok(wr_u32be(&want, 3));
	want_file("f", 04711, 3, 4, "hello");
	{
		/* Its attributes, in order of name: what stands behind the owners. */
		static const uint8_t attributes[] = "\0\0\0\6user.a\0\0\0\1"
						    "1\0\0\0\6user.b\0\0\0\1"
						    "2";
		size_t n = sizeof(attributes) - 1, tail = 40;
		uint8_t rest[40];

		memcpy(rest, want.p + want.n - tail, tail);
		assert_ok(buf_truncate(&want, want.n - tail - 4));
		assert_ok(wr_u32be(&want, (uint32_t)n));
		assert_ok(buf_add(&want, BYTES(attributes, n)));
		assert_ok(buf_add(&want, BYTES_ARR(rest)));
	}
	want_head('l', "l", 0777, 0, 0);
	want_text("/etc/passwd");
	want_head('p', "p", 0644, 0, 0);
	assert_wanted(6);
}

static void order_and_missing_folders(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(MIB);

	(void)state;
	/* '/' sorts before everything: "a/z" before "a-b" and "a.b". */
	TAR_PUT(&b, .name = "a.b", .content = "1");
	TAR_PUT(&b, .name = "a-b", .content = "2");
	TAR_PUT(&b, .name = "a/z", .content = "3");
	TAR_PUT(&b, .name = "x/y/z", .content = "4", .uid = 9);
	TAR_PUT(&b, .name = "x/", .type = '5', .mode = 0700);
	TAR_PUT(&b, .name = "x/", .type = '5', .mode = 0711);
	tar_put_end(&b);
	layer(&b);
	want_begin("assay rootfs v1");
	WANT_ROOT;
	want_head('d', "a", 0755, 0, 0);
	want_file("a/z", 0644, 0, 0, "3");
	want_file("a-b", 0644, 0, 0, "2");
	want_file("a.b", 0644, 0, 0, "1");
	want_head('d', "x", 0711, 0, 0);
	want_head('d', "x/y", 0755, 0, 0);
	want_file("x/y/z", 0644, 9, 0, "4");
	assert_wanted(8);
}

static void without_owners(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(MIB);

	(void)state;
	ignore_owner = true;
	TAR_PUT(&b, .name = "a", .content = "1", .uid = 5, .gid = 6);
	tar_put_end(&b);
	layer(&b);
	want_begin("assay rootfs without owners v1");
	WANT_ROOT;
	want_file("a", 0644, 0, 0, "1");
	assert_wanted(2);
}

static void root_mode(void **state)
{
	static const unsigned modes[][2] = { { 0755, 0 }, { 0555, 0 }, { 0700, 0 }, { 0775, 020 }, { 01777, 01022 } };

	(void)state;
	for (size_t i = 0; i < array_len(modes); i++) {
		cleanup_buf struct buf b = BUF_INIT(MIB);

		TAR_PUT(&b, .name = ".", .type = '5', .mode = modes[i][0]);
		tar_put_end(&b);
		layer(&b);
		want_begin("assay rootfs v1");
		want_head('d', "", modes[i][1], 0, 0);
		assert_wanted(1);
	}
}

static void whiteouts(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(MIB);

	(void)state;
	lower_layer();
	TAR_PUT(&b, .name = "d/.wh.1");
	TAR_PUT(&b, .name = "d/.wh.s");
	TAR_PUT(&b, .name = ".wh.nothing");
	TAR_PUT(&b, .name = "none/.wh.nothing");
	TAR_PUT(&b, .name = ".wh.f");
	tar_put_end(&b);
	layer(&b);
	want_begin("assay rootfs v1");
	WANT_ROOT;
	want_head('d', "d", 0750, 0, 0);
	want_file("d/2", 0644, 0, 0, "2");
	want_file("d.x", 0644, 0, 0, "x");
	want_file("h", 0644, 0, 0, "f");
	assert_wanted(5);
}

/* A whiteout hides lower layers, never its own, wherever it stands. */
static void whiteouts_and_their_own_layer(void **state)
{
	(void)state;
	for (unsigned first = 0; first < 2; first++) {
		cleanup_buf struct buf b = BUF_INIT(MIB);

		lower_layer();
		if (first == 1)
			TAR_PUT(&b, .name = ".wh.d");
		TAR_PUT(&b, .name = "d/", .type = '5', .mode = 0711);
		TAR_PUT(&b, .name = "d/new", .content = "n");
		if (first == 0)
			TAR_PUT(&b, .name = ".wh.d");
		tar_put_end(&b);
		layer(&b);
		want_begin("assay rootfs v1");
		WANT_ROOT;
		want_head('d', "d", 0711, 0, 0);
		want_file("d/new", 0644, 0, 0, "n");
		want_file("d.x", 0644, 0, 0, "x");
		want_file("f", 0644, 0, 0, "f");
		want_again("h", "f");
		assert_wanted(6);
	}
}

static void opaque_folders(void **state)
{
	(void)state;
	for (unsigned first = 0; first < 2; first++) {
		cleanup_buf struct buf b = BUF_INIT(MIB);

		lower_layer();
		if (first == 1)
			TAR_PUT(&b, .name = "d/.wh..wh..opq");
		TAR_PUT(&b, .name = "d/s/new", .content = "n");
		if (first == 0)
			TAR_PUT(&b, .name = "d/.wh..wh..opq");
		TAR_PUT(&b, .name = ".wh.h");
		tar_put_end(&b);
		layer(&b);
		want_begin("assay rootfs v1");
		WANT_ROOT;
		want_head('d', "d", 0750, 0, 0);
		want_head('d', "d/s", 0755, 0, 0);
		want_file("d/s/new", 0644, 0, 0, "n");
		want_file("d.x", 0644, 0, 0, "x");
		want_file("f", 0644, 0, 0, "f");
		assert_wanted(6);
	}
	{
		cleanup_buf struct buf b = BUF_INIT(MIB);

		lower_layer();
		TAR_PUT(&b, .name = ".wh..wh..opq");
		tar_put_end(&b);
		layer(&b);
		want_begin("assay rootfs v1");
		WANT_ROOT;
		assert_wanted(1);
	}
}

static void replaced(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(MIB);

	(void)state;
	lower_layer();
	TAR_PUT(&b, .name = "d", .content = "a file now");
	TAR_PUT(&b, .name = "f/", .type = '5', .mode = 0755);
	TAR_PUT(&b, .name = "f/x", .content = "x");
	tar_put_end(&b);
	layer(&b);
	want_begin("assay rootfs v1");
	WANT_ROOT;
	want_file("d", 0644, 0, 0, "a file now");
	want_file("d.x", 0644, 0, 0, "x");
	want_head('d', "f", 0755, 0, 0);
	want_file("f/x", 0644, 0, 0, "x");
	want_file("h", 0644, 0, 0, "f");
	assert_wanted(6);
}

static void hard_links(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(MIB);

	(void)state;
	lower_layer();
	TAR_PUT(&b, .name = "z/a", .type = '1', .link = "./d//1");
	TAR_PUT(&b, .name = "f", .content = "new");
	TAR_PUT(&b, .name = "a", .type = '1', .link = "f");
	TAR_PUT(&b, .name = "b", .type = '1', .link = "a");
	TAR_PUT(&b, .name = "d/.wh.s");
	TAR_PUT(&b, .name = "d/.wh.2");
	tar_put_end(&b);
	layer(&b);
	want_begin("assay rootfs v1");
	WANT_ROOT;
	want_file("a", 0644, 0, 0, "new");
	want_again("b", "a");
	want_head('d', "d", 0750, 0, 0);
	want_file("d/1", 0644, 0, 0, "1");
	want_file("d.x", 0644, 0, 0, "x");
	want_again("f", "a");
	want_file("h", 0644, 0, 0, "f"); /* the old one lives on */
	want_head('d', "z", 0755, 0, 0);
	want_again("z/a", "d/1");
	assert_wanted(10);
}

static void repeated_layer(void **state)
{
	(void)state;
	lower_layer();
	lower_layer();
	want_begin("assay rootfs v1");
	WANT_ROOT;
	want_head('d', "d", 0750, 0, 0);
	want_file("d/1", 0644, 0, 0, "1");
	want_file("d/2", 0644, 0, 0, "2");
	want_head('d', "d/s", 0755, 0, 0);
	want_file("d/s/3", 0644, 0, 0, "3");
	want_file("d.x", 0644, 0, 0, "x");
	want_file("f", 0644, 0, 0, "f");
	want_again("h", "f");
	assert_wanted(9);
}

static void no_layers(void **state)
{
	(void)state;
	want_begin("assay rootfs v1");
	WANT_ROOT;
	assert_wanted(1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_type),     TEST(order_and_missing_folders),
		TEST(without_owners), TEST(root_mode),
		TEST(whiteouts),      TEST(whiteouts_and_their_own_layer),
		TEST(opaque_folders), TEST(replaced),
		TEST(hard_links),     TEST(repeated_layer),
		TEST(no_layers),
	};

	fault_init();
	return cmocka_run_group_tests_name("oci-root", tests, NULL, NULL);
}
