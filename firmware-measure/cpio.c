/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/cpio.h"

#include <inttypes.h>
#include <string.h>

#define IS_DIR 0040000U
#define IS_FILE 0100000U

static struct err pad4(struct buf *b, size_t start)
{
	struct err e;

	while ((b->n - start) % 4 != 0) {
		if (failed(e = buf_add_u8(b, 0)))
			return e;
	}
	return ERR(E_OK);
}

/* One member: owner root, no times, so that the same files always give the same bytes. */
static struct err add_member(struct buf *b, size_t start, uint32_t inode, unsigned mode, const char *folder,
			     const char *name, struct bytes data)
{
	const size_t name_len = strlen(folder) + (name != NULL ? 1 + strlen(name) : 0) + 1;
	struct err e;

	if (data.n > UINT32_MAX || name_len > UINT32_MAX)
		return ERR(E_LIMIT_SIZE);
	if (failed(e = buf_addf(b, "070701%08" PRIx32 "%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x%s", inode,
				mode, 0, 0, 1, 0, data.n, 0, 0, 0, 0, name_len, 0, folder)))
		return e;
	if (name != NULL && (failed(e = buf_add_u8(b, '/')) || failed(e = buf_add_str(b, name))))
		return e;
	if (failed(e = buf_add_u8(b, 0)) || failed(e = pad4(b, start)) || failed(e = buf_add(b, data)))
		return e;
	return pad4(b, start);
}

struct err cpio_write(const char *folder, unsigned dir_mode, unsigned file_mode, size_t n_files,
		      const struct cpio_file *files, struct buf *ret)
{
	/* The end mark is upper case where the stub's other numbers are not. */
	static const char end[] = "070701"
				  "00000000"
				  "00000000"
				  "00000000"
				  "00000000"
				  "00000001"
				  "00000000"
				  "00000000"
				  "00000000"
				  "00000000"
				  "00000000"
				  "00000000"
				  "0000000B"
				  "00000000"
				  "TRAILER!!!\0\0\0";
	const size_t start = ret->n;
	uint32_t inode = 1;
	struct err e;

	for (const char *p = strchr(folder, '/'); p != NULL; p = strchr(p + 1, '/')) {
		char parent[64];

		if ((size_t)snprintf(parent, sizeof(parent), "%.*s", (int)(p - folder), folder) >= sizeof(parent))
			return ERR(E_LIMIT_SIZE);
		if (failed(e = add_member(ret, start, inode++, 0555 | IS_DIR, parent, NULL, BYTES_NONE)))
			return e;
	}
	if (failed(e = add_member(ret, start, inode++, dir_mode | IS_DIR, folder, NULL, BYTES_NONE)))
		return e;
	for (size_t i = 0; i < n_files; i++) {
		if (failed(e = add_member(ret, start, inode++, file_mode | IS_FILE, folder, files[i].name,
					  files[i].data)))
			return e;
	}
	return buf_add(ret, BYTES(end, sizeof(end)));
}
