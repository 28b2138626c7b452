/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/imagebuild.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/text.h"
#include "tests/support/tarbuild.h"
#include "tests/unit/unit.h"

#define TYPE "application/vnd.oci.image."

struct image_build *image_build_new(void)
{
	struct image_build *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	return b;
}

void image_build_free(struct image_build *b)
{
	for (size_t i = 0; i < b->n; i++)
		buf_free(&b->file[i].content);
	free(b);
}

void image_hex(struct bytes content, char ret_hex[65])
{
	uint8_t d[32];

	assert_ok(sha256(content, d));
	assert_ok(hex_encode(BYTES_ARR(d), ret_hex, 65));
}

static struct image_file *find(struct image_build *b, const char *name)
{
	for (size_t i = 0; i < b->n; i++) {
		if (strcmp(b->file[i].name, name) == 0)
			return &b->file[i];
	}
	return NULL;
}

void image_put(struct image_build *b, const char *name, struct bytes content)
{
	struct image_file *f = find(b, name);

	if (f == NULL) {
		assert_true(b->n < IMAGE_FILES);
		f = &b->file[b->n++];
		(void)snprintf(f->name, sizeof(f->name), "%s", name);
	}
	buf_free(&f->content);
	buf_init(&f->content, SIZE_MAX);
	assert_ok(buf_add(&f->content, content));
}

void image_drop(struct image_build *b, const char *name)
{
	struct image_file *f = find(b, name);

	assert_non_null(f);
	buf_free(&f->content);
	b->n--;
	if (f != &b->file[b->n])
		*f = b->file[b->n];
	b->file[b->n] = (struct image_file){ 0 };
}

void image_blob(struct image_build *b, struct bytes content, char ret_hex[65])
{
	char hex[65], name[128];

	image_hex(content, hex);
	(void)snprintf(name, sizeof(name), "blobs/sha256/%s", hex);
	image_put(b, name, content);
	if (ret_hex != NULL)
		memcpy(ret_hex, hex, sizeof(hex));
}

static void descriptor(char to[400], const char *type, const char *hex, size_t n)
{
	(void)snprintf(to, 400, "{\"mediaType\":\"" TYPE "%s\",\"digest\":\"sha256:%s\",\"size\":%zu}", type, hex, n);
}

void image_layer(struct image_build *b, const char *suffix, struct bytes stored, struct bytes uncompressed)
{
	char type[64], hex[65];

	assert_true(b->n_layers < IMAGE_LAYERS);
	image_blob(b, stored, hex);
	(void)snprintf(type, sizeof(type), "layer.v1.tar%s", suffix);
	descriptor(b->layer[b->n_layers], type, hex, stored.n);
	image_hex(uncompressed, b->diff_id[b->n_layers]);
	b->n_layers++;
}

void image_finish(struct image_build *b, const char *tag)
{
	cleanup_buf struct buf text = BUF_INIT(MIB);
	char config[400];

	assert_ok(buf_addf(&text, "{%s,\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[",
			   b->platform != NULL ? b->platform : "\"architecture\":\"amd64\",\"os\":\"linux\""));
	for (size_t i = 0; i < b->n_layers; i++)
		assert_ok(buf_addf(&text, "%s\"sha256:%s\"", i > 0 ? "," : "", b->diff_id[i]));
	assert_ok(buf_add_str(&text, "]}}"));
	image_blob(b, buf_bytes(&text), b->config_hex);
	descriptor(config, "config.v1+json", b->config_hex, text.n);
	buf_clear(&text);
	assert_ok(buf_addf(&text, "{\"schemaVersion\":2,\"config\":%s,\"layers\":[", config));
	for (size_t i = 0; i < b->n_layers; i++)
		assert_ok(buf_addf(&text, "%s%s", i > 0 ? "," : "", b->layer[i]));
	assert_ok(buf_add_str(&text, "]}"));
	image_blob(b, buf_bytes(&text), b->manifest_hex);
	b->manifest_n = text.n;
	descriptor(config, "manifest.v1+json", b->manifest_hex, text.n);
	config[strlen(config) - 1] = '\0';
	buf_clear(&text);
	assert_ok(buf_addf(&text,
			   "{\"schemaVersion\":2,\"manifests\":[%s,\"annotations\":{"
			   "\"org.opencontainers.image.ref.name\":\"%s\"}}]}",
			   config, tag));
	image_put(b, "index.json", buf_bytes(&text));
	image_put(b, "oci-layout", BYTES_LIT("{\"imageLayoutVersion\":\"1.0.0\"}"));
}

void image_write_folder(const struct image_build *b, const char *path)
{
	char name[256];

	(void)snprintf(name, sizeof(name), "%s/blobs/sha256", path);
	assert_ok(dir_make(name, 0700));
	for (size_t i = 0; i < b->n; i++) {
		(void)snprintf(name, sizeof(name), "%s/%s", path, b->file[i].name);
		assert_ok(file_write(AT_FDCWD, name, buf_bytes(&b->file[i].content), 0600));
	}
}

void image_write_archive(const struct image_build *b, const char *path)
{
	cleanup_buf struct buf tar = BUF_INIT(SIZE_MAX);

	TAR_PUT(&tar, .name = "blobs/", .type = '5', .mode = 0755);
	for (size_t i = 0; i < b->n; i++) {
		const struct buf *content = &b->file[i].content;

		TAR_PUT(&tar, .name = b->file[i].name, .content = (const char *)content->p, .n = content->n);
	}
	tar_put_end(&tar);
	assert_ok(file_write(AT_FDCWD, path, buf_bytes(&tar), 0600));
}
