/* SPDX-License-Identifier: Apache-2.0 */
/* Paths inside a harness folder, and the few things done to whole folders. */
#ifndef ASSAY_SWTPM_HARNESS_FOLDER_H
#define ASSAY_SWTPM_HARNESS_FOLDER_H

#include "base/bytes.h"

/* The folder's own path is bounded by sun_path (108 bytes), and names in it are short: every path fits. */
struct path {
	char text[256];
};

/* "a/b"; E_LIMIT_SIZE. */
must_check struct err path_join(const char *a, const char *b, struct path *ret);

/* file_write() and file_read() of dir/name. */
must_check struct err folder_write(const char *dir, const char *name, struct bytes data, mode_t mode);
must_check struct err folder_read(const char *dir, const char *name, struct buf *ret);
bool folder_has(const char *dir, const char *name);

/* Removes dir/name; nothing there is fine. */
must_check struct err folder_unlink(const char *dir, const char *name);

/* Removes a folder and everything below it, follows no symlink; nothing there is fine. */
must_check struct err folder_remove(const char *path);

/* The last lines of dir/log on one line, escaped, for a reason. */
struct tail {
	char text[240];
};
void folder_log_tail(const char *dir, struct tail *ret);

#endif
