/* SPDX-License-Identifier: Apache-2.0 */
#include "folder.h"

#include "base/digest.h"
#include "base/file.h"
#include "firmware-measure/model.h"
#include "firmware-measure/oci.h"
#include "tests/support/fault.h"

#define INDEX_TYPE "application/vnd.oci.image.index.v1+json"
#define MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"
#define CONFIG_TYPE "application/vnd.oci.image.config.v1+json"
#define LAYER_TYPE "application/vnd.oci.image.layer.v1.tar+gzip"
#define DOCKER_TYPE "application/vnd.docker.distribution.manifest.v2+json"

/* Text that lives until 64 more were made: enough for one test's nested calls. */
static const char *format(const char *fmt, ...) printf_like(1, 2);
static const char *format(const char *fmt, ...)
{
	static char ring[64][4096];
	static size_t next;
	char *to = ring[next++ % array_len(ring)];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(to, sizeof(ring[0]), fmt, ap);
	va_end(ap);
	assert_true(n >= 0 && (size_t)n < sizeof(ring[0]));
	return to;
}

/* A blob's descriptor, as it stands in JSON, and where the blob lies. */
struct blob {
	char hex[65], path[96];
	size_t n;
};

static struct blob put_blob(const char *content, size_t n)
{
	struct blob b = { .n = n };
	uint8_t d[32];

	assert_ok(sha256(BYTES(content, n), d));
	assert_ok(hex_encode(BYTES_ARR(d), b.hex, sizeof(b.hex)));
	(void)snprintf(b.path, sizeof(b.path), "i/blobs/sha256/%s", b.hex);
	put(b.path, content, n);
	return b;
}

static const char *descriptor(const char *type, const struct blob *b, const char *more)
{
	return format("{\"mediaType\":\"%s\",\"digest\":\"sha256:%s\",\"size\":%zu%s}", type, b->hex, b->n, more);
}

static const char *tagged(const char *type, const struct blob *b, const char *tag)
{
	return descriptor(type, b, format(",\"annotations\":{\"org.opencontainers.image.ref.name\":\"%s\"}", tag));
}

static void put_index(const char *descriptors)
{
	put_text("i/index.json", format("{\"schemaVersion\":2,\"manifests\":[%s]}", descriptors));
}

/* The image that most tests begin with: two layers, tag v1. */
static struct {
	struct blob layer[2], config, manifest;
} image;

static struct blob put_manifest(const struct blob *config, const struct blob *first, const struct blob *second)
{
	const char *t = format("{\"schemaVersion\":2,\"mediaType\":\"%s\",\"config\":%s,\"layers\":[%s,%s],"
			       "\"annotations\":{\"a\":\"b\"},\"unknown\":[1,2]}",
			       MANIFEST_TYPE, descriptor(CONFIG_TYPE, config, ""), descriptor(LAYER_TYPE, first, ""),
			       descriptor(LAYER_TYPE, second, ",\"urls\":[\"https://example.com/\"]"));

	return put_blob(t, strlen(t));
}

static struct blob put_string(const char *s)
{
	return put_blob(s, strlen(s));
}

static int enter(void **state)
{
	if (folder_enter(state) != 0)
		return -1;
	put_folder("i");
	put_folder("i/blobs");
	put_folder("i/blobs/sha256");
	put_text("i/oci-layout", "{\"imageLayoutVersion\":\"1.0.0\",\"more\":true}");
	image.layer[0] = put_string("first layer");
	image.layer[1] = put_string("the second layer");
	image.config = put_string("{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\"}}");
	image.manifest = put_manifest(&image.config, &image.layer[0], &image.layer[1]);
	put_index(tagged(MANIFEST_TYPE, &image.manifest, "v1"));
	(void)put_string("a blob that nothing names");
	return 0;
}

static struct image_report *measure_with(const char *selector, struct err *ret_e, struct reason *why)
{
	struct image_report *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	*ret_e = oci_measure("i", selector, r, why);
	return r;
}

static void expect(const char *selector, const struct blob *manifest, const char *tag)
{
	struct reason why = { "" };
	struct err e;
	cleanup_free struct image_report *r = measure_with(selector, &e, &why);

	if (failed(e))
		fail_msg("%s: %s", err_name(e), why.text);
	assert_hex(r->digests.manifest, manifest->hex);
	assert_string_equal(r->tag, tag);
}

static void expect_failure(const char *what, const char *selector, enum err_code want, const char *words)
{
	struct reason why = { "" };
	struct err e;
	cleanup_free struct image_report *r = measure_with(selector, &e, &why);

	if (e.code != want || strstr(why.text, words) == NULL)
		fail_msg("%s: %s \"%s\" instead of %s \"...%s...\"", what, err_name(e), why.text, err_name(ERR(want)),
			 words);
	assert_int_equal(r->n_bytes, 0);
}

static void whole_image(void **state)
{
	struct reason why = { "" };
	struct err e;
	cleanup_free struct image_report *r = measure_with("v1", &e, &why);

	(void)state;
	assert_ok(e);
	assert_hex(r->digests.manifest, image.manifest.hex);
	assert_hex(r->digests.config, image.config.hex);
	assert_int_equal(r->n_layers, 2);
	assert_hex(r->layer[0], image.layer[0].hex);
	assert_hex(r->layer[1], image.layer[1].hex);
	assert_int_equal(r->n_bytes, image.manifest.n + image.config.n + image.layer[0].n + image.layer[1].n);
	assert_string_equal(r->tag, "v1");
}

static void selectors(void **state)
{
	struct blob other = put_manifest(&image.config, &image.layer[1], &image.layer[0]);
	char digest[80];

	(void)state;
	expect(NULL, &image.manifest, "");
	expect(format("sha256:%s", image.manifest.hex), &image.manifest, "");
	expect_failure("unknown tag", "v2", E_LOCAL_NOT_FOUND, "tag v2");
	expect_failure("empty tag", "", E_LOCAL_NOT_FOUND, "not in the index");
	expect_failure("part of the tag", "v", E_LOCAL_NOT_FOUND, "tag v");

	put_index(format("%s,%s", tagged(MANIFEST_TYPE, &image.manifest, "v1"), tagged(MANIFEST_TYPE, &other, "v2")));
	expect("v1", &image.manifest, "v1");
	expect("v2", &other, "v2");
	expect_failure("none of two", NULL, E_PEER_DUPLICATE, "more than one image manifest");
	(void)snprintf(digest, sizeof(digest), "sha256:%s", other.hex);
	expect(digest, &other, "");
	digest[7] = digest[7] == '0' ? '1' : '0';
	expect_failure("unknown digest", digest, E_LOCAL_NOT_FOUND, "no such image manifest");
	digest[70] = '\0';
	expect_failure("short digest", digest, E_PEER_SYNTAX, "64 lower-case hex digits");
	expect_failure("digest of a blob that is no manifest", format("sha256:%s", image.layer[0].hex),
		       E_LOCAL_NOT_FOUND, "no such image manifest");

	put_index(descriptor(MANIFEST_TYPE, &image.manifest, ""));
	expect_failure("empty tag, untagged descriptor", "", E_LOCAL_NOT_FOUND, "not in the index");
	put_index("");
	expect_failure("empty index", NULL, E_LOCAL_NOT_FOUND, "no such image manifest");
}

static void W4_tag_is_no_identity(void **state)
{
	struct blob other = put_manifest(&image.config, &image.layer[1], &image.layer[0]);

	(void)state;
	expect("v1", &image.manifest, "v1");
	put_index(tagged(MANIFEST_TYPE, &other, "v1"));
	expect("v1", &other, "v1");
}

static void W4_ambiguous_tag(void **state)
{
	struct blob other = put_manifest(&image.config, &image.layer[1], &image.layer[0]);

	(void)state;
	put_index(format("%s,%s", tagged(MANIFEST_TYPE, &image.manifest, "v1"), tagged(MANIFEST_TYPE, &other, "v1")));
	expect_failure("tag twice", "v1", E_PEER_DUPLICATE, "more than one descriptor");
}

/* One bit of a file; twice gives the old file back. */
static void flip(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	uint8_t b;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &b, 1, 5), 1);
	b ^= 1;
	assert_int_equal(pwrite(fd, &b, 1, 5), 1);
	assert_int_equal(close(fd), 0);
}

static void W4_blobs(void **state)
{
	struct blob *const blobs[] = { &image.manifest, &image.config, &image.layer[0], &image.layer[1] };
	char elsewhere[] = "elsewhere";

	(void)state;
	for (size_t i = 0; i < array_len(blobs); i++) {
		const struct blob *b = blobs[i];

		flip(b->path);
		expect_failure("byte changed", "v1", E_PEER_DIGEST, b->hex);
		flip(b->path);

		assert_int_equal(truncate(b->path, (off_t)b->n - 1), 0);
		expect_failure("too short", "v1", E_PEER_RANGE, b->hex);
		assert_int_equal(truncate(b->path, (off_t)b->n + 1), 0);
		expect_failure("too long", "v1", E_PEER_RANGE, b->hex);
		assert_int_equal(truncate(b->path, 0), 0);
		expect_failure("empty", "v1", E_PEER_RANGE, b->hex);
		assert_int_equal(unlink(b->path), 0);
		expect_failure("missing", "v1", E_LOCAL_NOT_FOUND, b->hex);

		assert_int_equal(mkdir(b->path, 0700), 0);
		expect_failure("folder", "v1", E_PEER_UNSUPPORTED, "a folder");
		assert_int_equal(rmdir(b->path), 0);
		assert_int_equal(mkfifo(b->path, 0600), 0);
		expect_failure("FIFO", "v1", E_PEER_UNSUPPORTED, "a FIFO");
		assert_int_equal(unlink(b->path), 0);
		assert_int_equal(symlink("../../../elsewhere", b->path), 0);
		expect_failure("dangling link", "v1", E_PEER_UNSUPPORTED, "a symbolic link");
		assert_int_equal(unlink(b->path), 0);

		/* A link to the right content is refused as well: what it leads to can change without this folder. */
		assert_int_equal(folder_leave(NULL), 0);
		assert_int_equal(enter(NULL), 0);
		assert_int_equal(rename(b->path, elsewhere), 0);
		assert_int_equal(symlink("../../../elsewhere", b->path), 0);
		expect_failure("link", "v1", E_PEER_UNSUPPORTED, "a symbolic link");
		assert_int_equal(unlink(b->path), 0);
		assert_int_equal(rename(elsewhere, b->path), 0);
		expect("v1", &image.manifest, "v1");
	}
}

static void W4_links_in_the_layout(void **state)
{
	static const char *const names[] = { "i", "i/blobs", "i/blobs/sha256", "i/oci-layout", "i/index.json" };

	(void)state;
	for (size_t i = 0; i < array_len(names); i++) {
		const char *target = format("%s/moved", folder);

		assert_int_equal(rename(names[i], "moved"), 0);
		expect_failure(names[i], "v1", E_LOCAL_NOT_FOUND, strrchr(names[i], '/') != NULL ? "" : "i:");
		assert_int_equal(symlink(target, names[i]), 0);
		expect_failure(names[i], "v1", E_PEER_UNSUPPORTED, "a symbolic link");
		assert_int_equal(unlink(names[i]), 0);
		assert_int_equal(rename("moved", names[i]), 0);
	}
	expect("v1", &image.manifest, "v1");
	assert_int_equal(symlink("i", "link"), 0);
	{
		cleanup_free struct image_report *r = calloc(1, sizeof(*r));
		struct reason why = { "" };

		assert_non_null(r);
		assert_err(oci_measure("link", "v1", r, &why), E_PEER_UNSUPPORTED);
		assert_err(oci_measure("link/", "v1", r, &why), E_PEER_UNSUPPORTED);
		assert_ok(oci_measure("i//", "v1", r, &why));
		assert_err(oci_measure("", "v1", r, &why), E_LOCAL_NOT_FOUND);
		assert_err(oci_measure("i/index.json", "v1", r, &why), E_PEER_UNSUPPORTED);
	}
}

/* What the descriptors of a manifest claim, one claim wrong at a time; @ is the layer's digest. */
static void W4_wrong_descriptors(void **state)
{
	static const struct {
		const char *what, *layer;
		enum err_code want;
	} cases[] = {
		{ "negative size", "{\"mediaType\":\"x/y\",\"digest\":\"sha256:@\",\"size\":-1}", E_PEER_RANGE },
		{ "another size", "{\"mediaType\":\"x/y\",\"digest\":\"sha256:@\",\"size\":10}", E_PEER_RANGE },
		{ "size of 2^63", "{\"mediaType\":\"x/y\",\"digest\":\"sha256:@\",\"size\":9223372036854775808}",
		  E_PEER_RANGE },
		{ "size as text", "{\"mediaType\":\"x/y\",\"digest\":\"sha256:@\",\"size\":\"11\"}", E_PEER_TYPE },
		{ "size as real", "{\"mediaType\":\"x/y\",\"digest\":\"sha256:@\",\"size\":11.0}", E_PEER_TYPE },
		{ "no size", "{\"mediaType\":\"x/y\",\"digest\":\"sha256:@\"}", E_PEER_MISSING },
		{ "no media type", "{\"digest\":\"sha256:@\",\"size\":11}", E_PEER_MISSING },
		{ "no digest", "{\"mediaType\":\"x/y\",\"other\":\"@\",\"size\":11}", E_PEER_MISSING },
		{ "digest twice", "{\"mediaType\":\"x/y\",\"digest\":\"x\",\"digest\":\"sha256:@\",\"size\":11}",
		  E_PEER_DUPLICATE },
		{ "SHA-512", "{\"mediaType\":\"x/y\",\"digest\":\"sha512:@\",\"size\":11}", E_PEER_UNSUPPORTED },
		{ "no algorithm", "{\"mediaType\":\"x/y\",\"digest\":\"@\",\"size\":11}", E_PEER_SYNTAX },
		{ "digest with a tail", "{\"mediaType\":\"x/y\",\"digest\":\"sha256:@0\",\"size\":11}", E_PEER_SYNTAX },
		{ "path in the digest", "{\"mediaType\":\"x/y\",\"digest\":\"sha256:../../@\",\"size\":11}",
		  E_PEER_SYNTAX },
		{ "Docker layer",
		  "{\"mediaType\":\"application/vnd.docker.image.rootfs.diff.tar.gzip\",\"digest\":\"sha256:@\","
		  "\"size\":11}",
		  E_PEER_UNSUPPORTED },
		{ "unknown media type", "{\"mediaType\":\"x/y\",\"digest\":\"sha256:@\",\"size\":11}", E_OK },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		const char *at = strchr(cases[i].layer, '@');
		const char *layer, *t;
		struct blob m;

		assert_non_null(at);
		layer = format("%.*s%s%s", (int)(at - cases[i].layer), cases[i].layer, image.layer[0].hex, at + 1);
		t = format("{\"schemaVersion\":2,\"config\":%s,\"layers\":[%s]}",
			   descriptor(CONFIG_TYPE, &image.config, ""), layer);
		m = put_string(t);
		put_index(tagged(MANIFEST_TYPE, &m, "v1"));
		if (cases[i].want == E_OK)
			expect("v1", &m, "v1");
		else
			expect_failure(cases[i].what, "v1", cases[i].want, "");
	}
}

/* A layer named twice is hashed once and reported twice. */
static void repeated_layer(void **state)
{
	struct blob m = put_manifest(&image.config, &image.layer[0], &image.layer[0]);
	struct reason why = { "" };
	struct err e;
	struct image_report *r;

	(void)state;
	put_index(tagged(MANIFEST_TYPE, &m, "v1"));
	r = measure_with("v1", &e, &why);
	assert_ok(e);
	assert_int_equal(r->n_layers, 2);
	assert_hex(r->layer[1], image.layer[0].hex);
	assert_int_equal(r->n_bytes, m.n + image.config.n + image.layer[0].n);
	free(r);
}

static struct blob put_nested(const char *descriptors)
{
	return put_string(
		format("{\"schemaVersion\":2,\"mediaType\":\"%s\",\"manifests\":[%s]}", INDEX_TYPE, descriptors));
}

static void nested_indexes(void **state)
{
	struct blob other = put_manifest(&image.config, &image.layer[1], &image.layer[0]);
	struct blob inner = put_nested(tagged(MANIFEST_TYPE, &image.manifest, "inner"));

	(void)state;
	put_index(tagged(INDEX_TYPE, &inner, "v1"));
	expect("v1", &image.manifest, "v1");
	expect(NULL, &image.manifest, "");
	expect(format("sha256:%s", image.manifest.hex), &image.manifest, "");
	expect_failure("a tag counts in index.json alone", "inner", E_LOCAL_NOT_FOUND, "tag inner");
	expect_failure("an index is no image", format("sha256:%s", inner.hex), E_LOCAL_NOT_FOUND, "no such");

	/* Several platforms: the digest decides. */
	inner = put_nested(format("%s,%s", descriptor(MANIFEST_TYPE, &image.manifest, ""),
				  descriptor(MANIFEST_TYPE, &other, ",\"platform\":{\"os\":\"linux\"}")));
	put_index(tagged(INDEX_TYPE, &inner, "v1"));
	expect_failure("two platforms", "v1", E_PEER_DUPLICATE, "more than one image manifest");
	expect(format("sha256:%s", other.hex), &other, "");

	/* The same manifest by two ways is one manifest. */
	inner = put_nested(descriptor(MANIFEST_TYPE, &image.manifest, ""));
	put_index(format("%s,%s", descriptor(MANIFEST_TYPE, &image.manifest, ""), descriptor(INDEX_TYPE, &inner, "")));
	expect(NULL, &image.manifest, "");

	flip(inner.path);
	expect_failure("nested index changed", NULL, E_PEER_DIGEST, inner.hex);
	expect(format("sha256:%s", image.manifest.hex), &image.manifest, "");
}

static void index_depth(void **state)
{
	struct blob b = put_nested(descriptor(MANIFEST_TYPE, &image.manifest, ""));

	(void)state;
	for (int i = 1; i < LIMIT_OCI_DEPTH; i++)
		b = put_nested(descriptor(INDEX_TYPE, &b, ""));
	put_index(tagged(INDEX_TYPE, &b, "v1"));
	expect("v1", &image.manifest, "v1");
	expect(NULL, &image.manifest, "");
	b = put_nested(descriptor(INDEX_TYPE, &b, ""));
	put_index(tagged(INDEX_TYPE, &b, "v1"));
	expect_failure("one index too many, by tag", "v1", E_LIMIT_DEPTH, "nested more than");
	expect_failure("one index too many", NULL, E_LIMIT_DEPTH, "nested more than");
}

/* An index that names itself needs a digest that it cannot have. */
static void index_cycle(void **state)
{
	static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";
	struct blob self = { .path = "" };
	const char *t;

	(void)state;
	strcpy(self.hex, zeros);
	t = format("{\"schemaVersion\":2,\"mediaType\":\"%s\",\"manifests\":[%s]}", INDEX_TYPE,
		   descriptor(INDEX_TYPE, &self, ""));
	self.n = strlen(t) + 2; /* a size of three digits instead of one */
	t = format("{\"schemaVersion\":2,\"mediaType\":\"%s\",\"manifests\":[%s]}", INDEX_TYPE,
		   descriptor(INDEX_TYPE, &self, ""));
	assert_int_equal(strlen(t), self.n);
	put_text(format("i/blobs/sha256/%s", zeros), t);
	put_index(tagged(INDEX_TYPE, &self, "v1"));
	expect_failure("cycle", "v1", E_PEER_DIGEST, zeros);
	expect_failure("cycle", NULL, E_PEER_DIGEST, zeros);
}

static void append_many(const char *path, const char *head, const char *each, size_t n, const char *tail)
{
	cleanup_buf struct buf b = BUF_INIT(SIZE_MAX);

	assert_ok(buf_add_str(&b, head));
	for (size_t i = 0; i < n; i++) {
		assert_ok(i == 0 ? ERR(E_OK) : buf_add_str(&b, ","));
		assert_ok(buf_add_str(&b, each));
	}
	assert_ok(buf_add_str(&b, tail));
	put(path, (const char *)b.p, b.n);
}

/* Few bytes that lead to very many visits: indexes that each name the next one often. */
static void index_fan_out(void **state)
{
	struct blob b = put_nested(descriptor(MANIFEST_TYPE, &image.manifest, ""));

	(void)state;
	for (size_t n = LIMIT_OCI_INDEXES; n <= LIMIT_OCI_INDEXES + 1; n++) {
		append_many("i/index.json", "{\"schemaVersion\":2,\"manifests\":[", descriptor(INDEX_TYPE, &b, ""), n,
			    "]}");
		if (n == LIMIT_OCI_INDEXES)
			expect(NULL, &image.manifest, "");
		else
			expect_failure("nested indexes", NULL, E_LIMIT_COUNT, "nested indexes");
	}
	for (int i = 1; i < LIMIT_OCI_DEPTH; i++) {
		const char *d = descriptor(INDEX_TYPE, &b, "");

		b = put_nested(format("%s,%s,%s,%s,%s,%s,%s,%s", d, d, d, d, d, d, d, d));
	}
	put_index(tagged(INDEX_TYPE, &b, "v1"));
	expect_failure("fan-out", "v1", E_LIMIT_COUNT, "more than");
}

/* Many descriptors in few indexes, each of them within the limit. */
static void descriptors_in_all(void **state)
{
	const char *d = descriptor(MANIFEST_TYPE, &image.manifest, "");
	cleanup_buf struct buf b = BUF_INIT(SIZE_MAX);
	struct blob inner;

	(void)state;
	append_many("inner", "{\"schemaVersion\":2,\"manifests\":[", d, LIMIT_OCI_MANIFESTS / 2, "]}");
	assert_ok(file_read(AT_FDCWD, "inner", &b));
	inner = put_blob((const char *)b.p, b.n);
	put_index(descriptor(INDEX_TYPE, &inner, ""));
	expect(NULL, &image.manifest, "");
	put_index(format("%s,%s", descriptor(INDEX_TYPE, &inner, ""), descriptor(INDEX_TYPE, &inner, "")));
	expect_failure("descriptors of all indexes", NULL, E_LIMIT_COUNT, "descriptors in the indexes");
}

static void layout_version(void **state)
{
	(void)state;
	put_text("i/oci-layout", "{\"imageLayoutVersion\":\"1.1.0\"}");
	expect_failure("another version", "v1", E_PEER_UNSUPPORTED, "oci-layout: imageLayoutVersion 1.1.0");
}

static void too_much(void **state)
{
	const char *d = descriptor(MANIFEST_TYPE, &image.manifest, "");
	const char *l = descriptor(LAYER_TYPE, &image.layer[0], "");
	const char *head =
		format("{\"schemaVersion\":2,\"config\":%s,\"layers\":[", descriptor(CONFIG_TYPE, &image.config, ""));
	cleanup_buf struct buf b = BUF_INIT(SIZE_MAX);
	int fd = open("i", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct blob m;

	(void)state;
	append_many("i/index.json", "{\"schemaVersion\":2,\"manifests\":[", d, LIMIT_OCI_MANIFESTS, "]}");
	expect(NULL, &image.manifest, "");
	append_many("i/index.json", "{\"schemaVersion\":2,\"manifests\":[", d, LIMIT_OCI_MANIFESTS + 1, "]}");
	expect_failure("descriptors", NULL, E_LIMIT_COUNT, "manifests");

	for (size_t n = LIMIT_OCI_LAYERS; n <= LIMIT_OCI_LAYERS + 1; n++) {
		buf_clear(&b);
		append_many("i/manifest", head, l, n, "]}");
		assert_ok(file_read(fd, "manifest", &b));
		m = put_blob((const char *)b.p, b.n);
		put_index(tagged(MANIFEST_TYPE, &m, "v1"));
		if (n == LIMIT_OCI_LAYERS)
			expect("v1", &m, "v1");
		else
			expect_failure("layers", "v1", E_LIMIT_COUNT, "layers");
	}
	assert_int_equal(close(fd), 0);

	assert_int_equal(truncate("i/index.json", LIMIT_OCI_JSON + 1), 0);
	expect_failure("giant index", "v1", E_LIMIT_SIZE, "index.json");
	assert_int_equal(truncate("i/oci-layout", LIMIT_SMALL + 1), 0);
	expect_failure("giant oci-layout", "v1", E_LIMIT_SIZE, "oci-layout");
}

static void giant_documents(void **state)
{
	struct blob m = image.manifest;

	(void)state;
	m.n = LIMIT_OCI_JSON + 1;
	assert_int_equal(truncate(m.path, (off_t)m.n), 0);
	put_index(tagged(MANIFEST_TYPE, &m, "v1"));
	expect_failure("giant manifest", "v1", E_LIMIT_SIZE, m.hex);

	assert_int_equal(folder_leave(NULL), 0);
	assert_int_equal(enter(NULL), 0);
	image.config.n = LIMIT_OCI_JSON + 1;
	assert_int_equal(truncate(image.config.path, (off_t)image.config.n), 0);
	m = put_manifest(&image.config, &image.layer[0], &image.layer[1]);
	put_index(tagged(MANIFEST_TYPE, &m, "v1"));
	expect_failure("giant config", "v1", E_LIMIT_SIZE, image.config.hex);
}

static void media_types(void **state)
{
	struct blob b = image.manifest;

	(void)state;
	put_index(tagged(DOCKER_TYPE, &b, "v1"));
	expect_failure("Docker manifest by tag", "v1", E_PEER_UNSUPPORTED, "Docker");
	expect_failure("Docker manifest alone", NULL, E_PEER_UNSUPPORTED, "Docker");
	put_index(tagged("application/x", &b, "v1"));
	expect_failure("something else by tag", "v1", E_PEER_UNSUPPORTED, "no image manifest and no index");
	expect_failure("something else alone", NULL, E_LOCAL_NOT_FOUND, "no such");
	put_index(format("%s,%s", tagged("application/x", &b, "v2"), tagged(MANIFEST_TYPE, &b, "v1")));
	expect(NULL, &image.manifest, "");

	/* A manifest that is called an index, and the other way round. */
	put_index(tagged(INDEX_TYPE, &b, "v1"));
	expect_failure("manifest as index", "v1", E_PEER_UNSUPPORTED, "media type");
	b = put_nested(descriptor(MANIFEST_TYPE, &image.manifest, ""));
	put_index(tagged(MANIFEST_TYPE, &b, "v1"));
	expect_failure("index as manifest", "v1", E_PEER_UNSUPPORTED, "media type");

	/* An artefact is no container image. */
	b = put_string(format("{\"schemaVersion\":2,\"config\":%s,\"layers\":[]}",
			      descriptor("application/vnd.oci.empty.v1+json", &image.config, "")));
	put_index(tagged(MANIFEST_TYPE, &b, "v1"));
	expect_failure("artefact", "v1", E_PEER_UNSUPPORTED, "no container image");
}

static void bad_config(void **state)
{
	static const struct {
		const char *text;
		enum err_code want;
	} cases[] = {
		{ "[]", E_PEER_TYPE },
		{ "{\"os\":\"a\",\"os\":\"b\"}", E_PEER_DUPLICATE },
		{ "{", E_PEER_SYNTAX },
		{ "", E_PEER_SYNTAX },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		struct blob c = put_string(cases[i].text);
		struct blob m = put_manifest(&c, &image.layer[0], &image.layer[1]);

		put_index(tagged(MANIFEST_TYPE, &m, "v1"));
		expect_failure(cases[i].text, "v1", cases[i].want, "image configuration: ");
	}
}

static void replace_layer(void)
{
	flip(image.layer[0].path);
}

static void on_progress(void *ctx, uint64_t done, uint64_t total)
{
	bool *did = ctx;

	(void)total;
	if (*did || done > 0)
		return;
	*did = true;
	replace_layer();
}

static void W4_changed_while_read(void **state)
{
	cleanup_free struct image_report *r = calloc(1, sizeof(*r));
	bool did = false;
	struct model_options o = { .progress = on_progress, .ctx = &did };
	struct reason why = { "" };

	(void)state;
	assert_non_null(r);
	assert_err(oci_measure_with("i", "v1", &o, r, &why), E_PEER_CHANGED);
	assert_true(did);
	assert_non_null(strstr(why.text, image.layer[0].hex));
}

static void failing_allocations(void **state)
{
	struct model_options o = { .jobs = 1 };
	struct err e;
	long k = 0;

	(void)state;
	do {
		struct image_report *r = calloc(1, sizeof(*r));
		struct reason why = { "" };

		assert_non_null(r);
		fault_begin(k++);
		e = oci_measure_with("i", "v1", &o, r, &why);
		(void)fault_end();
		if (failed(e))
			assert_true(e.code == E_LOCAL_MEMORY || e.code == E_LOCAL_CRYPTO);
		else
			assert_hex(r->digests.manifest, image.manifest.hex);
		free(r);
	} while (failed(e));
	assert_true(k > 10);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, enter, folder_leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(whole_image),
		TEST(selectors),
		TEST(W4_tag_is_no_identity),
		TEST(W4_ambiguous_tag),
		TEST(W4_blobs),
		TEST(W4_links_in_the_layout),
		TEST(W4_wrong_descriptors),
		TEST(W4_changed_while_read),
		TEST(repeated_layer),
		TEST(nested_indexes),
		TEST(index_depth),
		TEST(index_cycle),
		TEST(index_fan_out),
		TEST(descriptors_in_all),
		TEST(layout_version),
		TEST(too_much),
		TEST(giant_documents),
		TEST(media_types),
		TEST(bad_config),
		TEST(failing_allocations),
	};

	fault_init();
	return cmocka_run_group_tests_name("oci", tests, NULL, NULL);
}
