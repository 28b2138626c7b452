/* SPDX-License-Identifier: Apache-2.0 */
/* Layers of an image: decompressed, compared with their diff_ids, and what none may hold. */
#include "root.h"

#include <zlib.h>
#include <zstd.h>

#include "base/digest.h"
#include "firmware-measure/layer.h"
#include "firmware-measure/layer_stream.h"

static void gzip(struct bytes in, struct buf *ret)
{
	uint8_t out[8 * KIB];
	z_stream z = { 0 };
	int code;

	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (uint8_t *)(uintptr_t)in.p;
	z.avail_in = (uInt)in.n;
	do {
		z.next_out = out;
		z.avail_out = sizeof(out);
		code = deflate(&z, Z_FINISH);
		assert_ok(buf_add(ret, BYTES(out, sizeof(out) - z.avail_out)));
	} while (code == Z_OK);
	assert_int_equal(code, Z_STREAM_END);
	assert_int_equal(deflateEnd(&z), Z_OK);
}

static void zstd(struct bytes in, struct buf *ret)
{
	size_t max = ZSTD_compressBound(in.n), n;
	cleanup_free uint8_t *out = malloc(max);

	assert_non_null(out);
	n = ZSTD_compress(out, max, in.p, in.n, 3);
	assert_false(ZSTD_isError(n));
	assert_ok(buf_add(ret, BYTES(out, n)));
}

/* One member that no layer may have, above the lower layer. */
static void W4_hostile_layers(void **state)
{
	static const struct {
		const char *what;
		struct tar_member m;
		enum err_code want;
		const char *words;
	} cases[] = {
		{ "traversal", { .name = "../x" }, E_PEER_RANGE, "layer 1: ../x: \"..\" in a name" },
		{ "traversal inside", { .name = "d/../../x" }, E_PEER_RANGE, "\"..\" in a name" },
		{ "absolute", { .name = "/etc/passwd" }, E_PEER_RANGE, "an absolute name" },
		{ "absolute hard link",
		  { .name = "x", .type = '1', .link = "/etc/shadow" },
		  E_PEER_RANGE,
		  "/etc/shadow" },
		{ "hard link outside",
		  { .name = "x", .type = '1', .link = "../../etc/shadow" },
		  E_PEER_RANGE,
		  "x is a hard link" },
		{ "hard link to nothing",
		  { .name = "x", .type = '1', .link = "y" },
		  E_PEER_RANGE,
		  "y, which is not there" },
		{ "hard link to a folder",
		  { .name = "x", .type = '1', .link = "d" },
		  E_PEER_RANGE,
		  "which is a folder" },
		{ "hard link to itself", { .name = "x", .type = '1', .link = "x" }, E_PEER_RANGE, "follows it only" },
		{ "newline", { .name = "a\nb" }, E_PEER_SYNTAX, "a\\x0ab" },
		{ "not UTF-8", { .name = "a\xff" }, E_PEER_SYNTAX, "a\\xff" },
		{ "target with newline", { .name = "x", .type = '2', .link = "a\nb" }, E_PEER_SYNTAX, "x: targets" },
		{ "device",
		  { .name = "dev/null", .type = '3', .major = 1, .minor = 3 },
		  E_PEER_UNSUPPORTED,
		  "dev/null is a device" },
		{ "block device", { .name = "sda", .type = '4' }, E_PEER_UNSUPPORTED, "sda is a device" },
		{ "FIFO", { .name = "fifo", .type = '6' }, E_PEER_UNSUPPORTED, "fifo is a FIFO" },
		{ "sparse", { .name = "x", .type = 'S' }, E_PEER_UNSUPPORTED, "sparse" },
		{ "below a file", { .name = "f/x" }, E_PEER_UNSUPPORTED, "f/x lies below f, which is a regular file" },
		{ "below a hard link", { .name = "h/x" }, E_PEER_UNSUPPORTED, "h/x lies below h" },
		{ "whiteout with content", { .name = ".wh.f", .content = "x" }, E_PEER_UNSUPPORTED, ".wh.f" },
		{ "whiteout that is a folder", { .name = ".wh.f", .type = '5' }, E_PEER_UNSUPPORTED, ".wh.f" },
		{ "whiteout of nothing", { .name = "d/.wh." }, E_PEER_UNSUPPORTED, "d/.wh." },
		{ "whiteout of the parent", { .name = "d/.wh..." }, E_PEER_UNSUPPORTED, "d/.wh..." },
		{ "whiteout of the folder", { .name = "d/.wh.." }, E_PEER_UNSUPPORTED, "d/.wh.." },
		{ "mark of AUFS", { .name = ".wh..wh.plnk" }, E_PEER_UNSUPPORTED, ".wh..wh.plnk" },
		{ "below a whiteout", { .name = ".wh.d/x" }, E_PEER_UNSUPPORTED, ".wh.d/x" },
		{ "root that is a file", { .name = "./" }, E_PEER_UNSUPPORTED, "" },
		{ "root that is a link",
		  { .name = ".", .type = '2', .link = "/" },
		  E_PEER_UNSUPPORTED,
		  "the root is a symbolic link" },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_buf struct buf b = BUF_INIT(MIB);

		lower_layer();
		tar_put(&b, &cases[i].m);
		tar_put_end(&b);
		layer(&b);
		refused(cases[i].what, cases[i].want, cases[i].words);
	}
}

static void W4_links_do_not_lead_elsewhere(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(MIB), twice = BUF_INIT(MIB), late = BUF_INIT(MIB);

	(void)state;
	TAR_PUT(&b, .name = "etc", .type = '2', .link = "/etc");
	TAR_PUT(&b, .name = "etc/passwd", .content = "x");
	tar_put_end(&b);
	layer(&b);
	refused("through a link", E_PEER_UNSUPPORTED, "etc/passwd lies below etc, which is a symbolic link");

	TAR_PUT(&twice, .name = "x", .content = "1");
	TAR_PUT(&twice, .name = "./x", .type = '2', .link = "y");
	tar_put_end(&twice);
	layer(&twice);
	refused("twice", E_PEER_DUPLICATE, "x stands there twice");

	TAR_PUT(&late, .name = "x", .type = '1', .link = "y");
	TAR_PUT(&late, .name = "y", .content = "1");
	tar_put_end(&late);
	layer(&late);
	refused("link before its target", E_PEER_RANGE, "y, which follows it only");
}

static void compressed(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(4 * MIB), z = BUF_INIT(4 * MIB);
	cleanup_free char *noise = malloc(MIB);
	cleanup_free struct image_report *plain = NULL, *r = NULL;
	uint64_t seed = 1;

	(void)state;
	assert_non_null(noise);
	for (size_t i = 0; i < MIB; i++) {
		seed = seed * 6364136223846793005u + 1;
		noise[i] = (char)(seed >> 60);
	}
	TAR_PUT(&b, .name = "noise", .content = noise, .n = MIB - 7);
	tar_put_end(&b);
	layer(&b);
	plain = accepted();
	for (unsigned i = 0; i < 5; i++) {
		bool is_gzip = i < 3;

		buf_clear(&z);
		if (i == 0) {
			gzip(buf_bytes(&b), &z);
		} else if (i == 1) { /* members of any length, one of them empty */
			gzip(BYTES(b.p, 1000), &z);
			gzip(BYTES(b.p, 0), &z);
			gzip(BYTES(b.p + 1000, b.n - 1000), &z);
		} else if (i == 2) {
			for (size_t k = 0; k < b.n; k += 100000)
				gzip(BYTES(b.p + k, b.n - k < 100000 ? b.n - k : 100000), &z);
		} else if (i == 3) {
			zstd(buf_bytes(&b), &z);
		} else { /* a skippable frame, then two */
			assert_ok(buf_add(&z, BYTES_LIT("\x50\x2a\x4d\x18\3\0\0\0abc")));
			zstd(BYTES(b.p, 70000), &z);
			zstd(BYTES(b.p + 70000, b.n - 70000), &z);
		}
		image_layer(image, is_gzip ? "+gzip" : "+zstd", buf_bytes(&z), buf_bytes(&b));
		r = accepted();
		assert_memory_equal(r->rootfs, plain->rootfs, 32);
		assert_memory_equal(r->diff_id[0], plain->layer[0], 32);
		assert_memory_equal(r->chain, plain->layer[0], 32);
		assert_int_equal(r->n_root_bytes, b.n);
		cleanup_free_(&r);
		r = NULL;
	}
}

static void W4_diff_ids(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(MIB), other = BUF_INIT(MIB), z = BUF_INIT(MIB);
	static const char *const suffixes[] = { "", "+gzip", "+zstd" };

	(void)state;
	TAR_PUT(&b, .name = "a", .content = "1");
	tar_put_end(&b);
	TAR_PUT(&other, .name = "a", .content = "2");
	tar_put_end(&other);
	for (size_t i = 0; i < array_len(suffixes); i++) {
		buf_clear(&z);
		if (i == 0)
			assert_ok(buf_add(&z, buf_bytes(&b)));
		else if (i == 1)
			gzip(buf_bytes(&b), &z);
		else
			zstd(buf_bytes(&b), &z);
		image_layer(image, suffixes[i], buf_bytes(&z), buf_bytes(&other));
		refused(suffixes[i], E_PEER_DIGEST, "its diff_id is");
		/* The same stored layer, once right and once wrong. */
		image_layer(image, suffixes[i], buf_bytes(&z), buf_bytes(&b));
		image_layer(image, suffixes[i], buf_bytes(&z), buf_bytes(&other));
		refused(suffixes[i], E_PEER_DIGEST, "layer 1 has the digest");
	}
	layer(&b);
	layer(&other);
	image->n_layers = 1;
	image_finish(image, "v1");
	{
		/* Of two layers in the manifest the configuration knows one. */
		cleanup_buf struct buf m = BUF_INIT(MIB);
		char text[600], hex[65], name[128];
		size_t config_size = 0;

		(void)snprintf(name, sizeof(name), "blobs/sha256/%s", image->config_hex);
		for (size_t i = 0; i < image->n; i++)
			config_size = strcmp(image->file[i].name, name) == 0 ? image->file[i].content.n : config_size;
		assert_ok(
			buf_addf(&m,
				 "{\"schemaVersion\":2,\"config\":{\"mediaType\":"
				 "\"application/vnd.oci.image.config.v1+json\",\"digest\":\"sha256:%s\",\"size\":%zu},"
				 "\"layers\":[%s,%s]}",
				 image->config_hex, config_size, image->layer[0], image->layer[1]));
		image_blob(image, buf_bytes(&m), hex);
		(void)snprintf(
			text, sizeof(text),
			"{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":"
			"\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:%s\",\"size\":%zu}]}",
			hex, m.n);
		image_put(image, "index.json", bytes_str(text));
		image_write_archive(image, "a.tar");
		{
			const struct root_options o = { 0 };
			cleanup_free struct image_report *r = calloc(1, sizeof(*r));
			struct reason why = { "" };
			struct err e = oci_measure_root("a.tar", NULL, &o, r, &why);

			if (e.code != E_PEER_RANGE || strstr(why.text, "1 diff_ids, the manifest has 2 layers") == NULL)
				fail_msg("%s: %s", err_name(e), why.text);
		}
	}
}

static void W4_broken_compression(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(MIB), z = BUF_INIT(MIB);
	cleanup_free char *noise = calloc(1, 50000);

	(void)state;
	assert_non_null(noise);
	for (size_t i = 0; i < 50000; i++)
		noise[i] = (char)(i * i >> 3);
	TAR_PUT(&b, .name = "a", .content = noise, .n = 50000);
	tar_put_end(&b);
	for (unsigned i = 0; i < 2; i++) {
		const char *suffix = i == 0 ? "+gzip" : "+zstd";

		buf_clear(&z);
		i == 0 ? gzip(buf_bytes(&b), &z) : zstd(buf_bytes(&b), &z);
		image_layer(image, suffix, BYTES(z.p, z.n / 2), buf_bytes(&b));
		refused("cut", E_PEER_TRUNCATED, "ends early");
		image_layer(image, suffix, BYTES(z.p, z.n - 1), buf_bytes(&b));
		refused("one byte short", E_PEER_TRUNCATED, "ends early");
		z.p[z.n / 2] ^= 0x55;
		image_layer(image, suffix, buf_bytes(&z), buf_bytes(&b));
		{
			struct reason why = { "" };
			struct err e;
			cleanup_free struct image_report *r = measure(&e, &why);

			assert_non_null(r);
			assert_true(failed(e) && e.code < E_AUTH_SIGNATURE);
		}
		start_again();
		z.p[z.n / 2] ^= 0x55;
		assert_ok(buf_add(&z, BYTES_LIT("trailing bytes")));
		image_layer(image, suffix, buf_bytes(&z), buf_bytes(&b));
		refused("garbage behind", E_PEER_SYNTAX, i == 0 ? "not in the format gzip" : "not in the format zstd");
		image_layer(image, suffix, buf_bytes(&b), buf_bytes(&b));
		refused("not compressed at all", E_PEER_SYNTAX, "not in the format");
	}
	image_layer(image, "+other", buf_bytes(&b), buf_bytes(&b));
	refused("an unknown kind of layer", E_PEER_UNSUPPORTED, "layer 0 is no tar archive");
}

static void W4_bombs(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(128 * MIB), z = BUF_INIT(4 * MIB);
	const size_t n = 48 * MIB;
	cleanup_free char *zeros = calloc(1, n);

	(void)state;
	assert_non_null(zeros);
	TAR_PUT(&b, .name = "zeros", .content = zeros, .n = n);
	tar_put_end(&b);
	gzip(buf_bytes(&b), &z);
	image_layer(image, "+gzip", buf_bytes(&z), buf_bytes(&b));
	refused("gzip", E_LIMIT_SIZE, "more than 200 times as many");
	buf_clear(&z);
	zstd(buf_bytes(&b), &z);
	image_layer(image, "+zstd", buf_bytes(&z), buf_bytes(&b));
	refused("zstd", E_LIMIT_SIZE, "more than 200 times as many");

	/* As large, and within what is allowed. */
	buf_clear(&b);
	buf_clear(&z);
	TAR_PUT(&b, .name = "zeros", .content = zeros, .n = 12 * MIB);
	tar_put_end(&b);
	zstd(buf_bytes(&b), &z);
	image_layer(image, "+zstd", buf_bytes(&z), buf_bytes(&b));
	cleanup_free_(&(struct image_report *){ accepted() });
}

static void W4_broken_layer_is_named_by_its_digest(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(MIB);
	const struct root_options o = { 0 };
	cleanup_free struct image_report *r = calloc(1, sizeof(*r));
	struct reason why = { "" };
	char name[128];

	(void)state;
	TAR_PUT(&b, .name = "a", .content = "1");
	tar_put_end(&b);
	layer(&b);
	image_finish(image, "v1");
	b.p[0] ^= 1;
	(void)snprintf(name, sizeof(name), "blobs/sha256/%s", image->diff_id[0]);
	image_put(image, name, buf_bytes(&b));
	image_write_archive(image, "a.tar");
	assert_err(oci_measure_root("a.tar", NULL, &o, r, &why), E_PEER_DIGEST);
	if (strstr(why.text, "has the digest") == NULL)
		fail_msg("%s", why.text);
}

static void W4_extra_blobs(void **state)
{
	const struct root_options o = { 0 };
	cleanup_free struct image_report *r = calloc(1, sizeof(*r));
	struct reason why = { "" };
	char hex[65];

	(void)state;
	lower_layer();
	image_finish(image, "v1");
	image_blob(image, BYTES_LIT("nobody's"), hex);
	image_write_archive(image, "a.tar");
	image_write_folder(image, "i");
	assert_err(oci_measure_root("a.tar", NULL, &o, r, &why), E_PEER_UNKNOWN_KEY);
	assert_non_null(strstr(why.text, hex));
	assert_err(oci_measure_root("i", NULL, &o, r, &why), E_PEER_UNKNOWN_KEY);
	assert_non_null(strstr(why.text, hex));
	/* What is measured at every attestation is the image alone. */
	assert_ok(oci_measure("a.tar", NULL, r, &why));

	{
		char name[128];

		(void)snprintf(name, sizeof(name), "blobs/sha256/%s", hex);
		image_drop(image, name);
		image_put(image, "blobs/sha256/README", BYTES_LIT("no digest"));
		image_write_archive(image, "a.tar");
		assert_err(oci_measure_root("a.tar", NULL, &o, r, &why), E_PEER_UNKNOWN_KEY);
	}
}

struct memory {
	struct bytes left;
};

static struct err memory_more(void *ctx, struct bytes *ret, struct reason *reterr)
{
	struct memory *m = ctx;

	(void)reterr;
	*ret = m->left;
	m->left = BYTES_NONE;
	return ERR(E_OK);
}

/* With a small budget, because a million entries take their time. */
static void budget_of_names(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(8 * MIB);
	cleanup_hasher struct hasher *h = NULL;
	char name[256];

	(void)state;
	assert_ok(hasher_new(DIGEST_SHA256, &h));
	memset(name, 'n', sizeof(name));
	for (unsigned i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof(name), "%090u", i);
		TAR_PUT(&b, .name = name);
	}
	tar_put_end(&b);
	for (unsigned i = 0; i < 4; i++) {
		struct pile_budget budget = { i == 1 ? 999 : 1000, i == 2 ? 128 * KIB : MIB };
		cleanup_tree struct tree t = { .pile = { .budget = &budget } };
		struct memory m = { .left = buf_bytes(&b) };
		const struct tar_source source = { .more = memory_more, .ctx = &m };
		struct reason why = { "" };
		struct err e = layer_read(&source, h, false, &t, &why);

		if (i == 1) {
			assert_err(e, E_LIMIT_COUNT);
			assert_non_null(strstr(why.text, "0999: more than 1000000 files and folders"));
		} else if (i == 2) {
			assert_err(e, E_LIMIT_SIZE);
			assert_non_null(strstr(why.text, "names and attributes of more than"));
		} else {
			assert_ok(e);
			assert_int_equal(t.n, 1000);
		}
	}
}

/* What a layer may become, whatever its ratio. */
static void W4_size_of_a_layer(void **state)
{
	static uint8_t buffer[JOB_BUFFER_LEN];
	const struct job_kit kit = { .buffer = buffer };
	cleanup_buf struct buf b = BUF_INIT(MIB), z = BUF_INIT(MIB);

	(void)state;
	TAR_PUT(&b, .name = "a", .content = "1");
	tar_put_end(&b);
	gzip(buf_bytes(&b), &z);
	for (unsigned i = 0; i < 4; i++) {
		const struct buf *in = i % 2 == 0 ? &b : &z;
		const uint64_t max = i < 2 ? b.n : b.n - 1;
		cleanup_fd int fd = memfd_create("layer", MFD_CLOEXEC);
		struct pile_budget budget = { 10, MIB };
		cleanup_tree struct tree t = { .pile = { .budget = &budget } };
		cleanup_layer_stream struct layer_stream *s = NULL;
		const struct span span = { .fd = fd, .size = in->n, .name = "layer" };
		cleanup_hasher struct hasher *h = NULL;
		struct tar_source source;
		struct reason why = { "" };

		assert_ok(hasher_new(DIGEST_SHA256, &h));
		assert_ok(fd_write_all(fd, buf_bytes(in)));
		assert_ok(layer_stream_new(i % 2 == 0 ? LAYER_TAR : LAYER_GZIP, &span, &kit, max, NULL, &s));
		source = layer_stream_source(s);
		if (i < 2) {
			assert_ok(layer_read(&source, h, false, &t, &why));
			continue;
		}
		assert_err(layer_read(&source, h, false, &t, &why), E_LIMIT_SIZE);
		assert_non_null(strstr(why.text, "layer becomes larger than 2047 bytes"));
	}
}

static void failing_allocations(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(MIB), z = BUF_INIT(MIB);
	struct model_options run = { .jobs = 1 };
	const struct root_options o = { .run = &run };
	struct err e;
	long k = 0;

	(void)state;
	lower_layer();
	TAR_PUT(&b, .name = "x/y", .content = "1", .pax = "SCHILY.xattr.user.a=1\n");
	TAR_PUT(&b, .name = "x/z", .type = '1', .link = "x/y");
	TAR_PUT(&b, .name = ".wh.d");
	tar_put_end(&b);
	gzip(buf_bytes(&b), &z);
	image_layer(image, "+gzip", buf_bytes(&z), buf_bytes(&b));
	image_finish(image, "v1");
	image_write_archive(image, "a.tar");
	do {
		struct image_report *r = calloc(1, sizeof(*r));
		struct reason why = { "" };

		assert_non_null(r);
		fault_begin(k++);
		e = oci_measure_root("a.tar", "v1", &o, r, &why);
		(void)fault_end();
		if (failed(e)) {
			assert_true(e.code == E_LOCAL_MEMORY || e.code == E_LOCAL_CRYPTO);
			assert_int_equal(r->n_bytes, 0);
		}
		free(r);
	} while (failed(e));
	assert_true(k > 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(W4_hostile_layers),
		TEST(W4_links_do_not_lead_elsewhere),
		TEST(compressed),
		TEST(W4_diff_ids),
		TEST(W4_broken_compression),
		TEST(W4_bombs),
		TEST(W4_size_of_a_layer),
		TEST(W4_broken_layer_is_named_by_its_digest),
		TEST(W4_extra_blobs),
		TEST(budget_of_names),
		TEST(failing_allocations),
	};

	fault_init();
	return cmocka_run_group_tests_name("oci-layers", tests, NULL, NULL);
}
