/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A layer, plain or compressed: the first byte chooses. Whatever the bytes are:
 * what is accepted can be put on top of itself, is in order, and leads nowhere
 * else.
 */
#include <string.h>
#include <sys/mman.h>

#include "base/file.h"
#include "firmware-measure/layer.h"
#include "firmware-measure/layer_stream.h"
#include "tests/fuzz/fuzz.h"

static void check_order(const struct tree *t)
{
	for (size_t i = 0; i < t->n; i++) {
		const char *path = t->v[i]->path;

		fuzz_must(path[0] != '/' && strchr(path, '\n') == NULL && strstr(path, "//") == NULL);
		fuzz_must(strcmp(path, "..") != 0 && strncmp(path, "../", 3) != 0 && strstr(path, "/../") == NULL);
		fuzz_must(t->v[i]->inode != NULL);
		fuzz_must(i == 0 ? path[0] == '\0' : tree_path_cmp(t->v[i - 1]->path, path) < 0);
	}
}

static void check_root(const struct tree *layer, struct pile_budget *budget)
{
	cleanup_tree struct tree root = { .pile = { .budget = budget } };
	struct reason why = { "" };
	uint8_t once[32], again[32];

	if (failed(tree_root(&root, &why)) || failed(tree_apply(&root, layer, &why)))
		return;
	check_order(&root);
	fuzz_must(!failed(tree_digest(&root, false, once)));
	if (failed(tree_apply(&root, layer, &why)))
		return;
	check_order(&root);
	fuzz_must(!failed(tree_digest(&root, false, again)));
}

static void read_layer(enum layer_format format, const struct span *span)
{
	struct pile_budget budget = { 10000, 16 * MIB };
	cleanup_tree struct tree tree = { .pile = { .budget = &budget } };
	cleanup_layer_stream struct layer_stream *stream = NULL;
	cleanup_hasher struct hasher *h = NULL;
	static uint8_t buffer[JOB_BUFFER_LEN];
	struct job_kit kit = { .buffer = buffer };
	struct reason why = { "" };
	struct tar_source source;
	uint8_t stored[32], content[32];
	uint64_t size = 0;

	fuzz_must(!failed(hasher_new(DIGEST_SHA256, &h)));
	fuzz_must(!failed(layer_stream_new(format, span, &kit, 64 * MIB, NULL, &stream)));
	source = layer_stream_source(stream);
	if (failed(layer_read(&source, h, true, &tree, &why)))
		return;
	fuzz_must(!failed(layer_stream_finish(stream, stored, content, &size)));
	fuzz_must(format != LAYER_TAR || (size == span->size && memcmp(stored, content, sizeof(stored)) == 0));
	check_root(&tree, &budget);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	cleanup_fd int fd = memfd_create("fuzz", MFD_CLOEXEC);
	struct span span = { .fd = fd, .size = n - 1, .name = "fuzz" };

	if (n == 0)
		return 0;
	fuzz_must(fd >= 0 && !failed(fd_write_all(fd, BYTES(data + 1, n - 1))));
	read_layer((enum layer_format)(data[0] % 3), &span);
	return 0;
}
