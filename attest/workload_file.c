/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "attest/workload_impl.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"

#define STATE_FILE "workload.json"

struct err log_read(const struct workload *w, uint64_t offset, size_t max, struct buf *ret)
{
	struct err e = file_read_part(w->dir_fd, w->file, offset, max, ret);

	return e.code == E_LOCAL_NOT_FOUND ? ERR(E_OK) : e;
}

struct err log_set(const struct workload *w, uint64_t base, struct bytes tail)
{
	cleanup_fd int fd = openat(w->dir_fd, w->file, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat st;
	struct err e;

	if (fd < 0 || fstat(fd, &st) != 0)
		return ERR(E_LOCAL_IO);
	/* Never longer by a cut: bytes that were not there would be read as a hole. */
	if (base > INT64_MAX || (uint64_t)st.st_size < base)
		return ERR(E_BUG);
	if (((uint64_t)st.st_size != base && ftruncate(fd, (off_t)base) != 0) || lseek(fd, (off_t)base, SEEK_SET) < 0)
		return ERR(E_LOCAL_IO);
	if (failed(e = fd_write_all(fd, tail)))
		return e;
	if (fsync(fd) != 0 || (base == 0 && fsync(w->dir_fd) != 0))
		return ERR(E_LOCAL_IO);
	return ERR(E_OK);
}

struct err log_put_aside(const struct workload *w, uint32_t restart_count)
{
	char key[2 * BOOT_KEY_LEN + 1], aside[96];
	struct err e;

	if (failed(e = hex_encode(BYTES_ARR(w->boot_key), key, sizeof(key))))
		return e;
	(void)snprintf(aside, sizeof(aside), "workload-%s.restart-%u.cel", key, restart_count);
	if (renameat(w->dir_fd, w->file, w->dir_fd, aside) != 0 || fsync(w->dir_fd) != 0)
		return ERR(E_LOCAL_IO);
	return ERR(E_OK);
}

struct err log_state_read(const struct workload *w, struct log_state *ret)
{
	cleanup_buf struct buf text = BUF_INIT(4 * KIB);
	cleanup_json json_t *json = NULL;
	uint8_t key[BOOT_KEY_LEN];
	uint64_t restart_count;
	struct jobj o;
	struct err e;

	*ret = (struct log_state){ 0 };
	e = file_read(w->dir_fd, STATE_FILE, &text);
	if (e.code == E_LOCAL_NOT_FOUND)
		return ERR(E_OK);
	if (failed(e))
		return e;
	if (failed(e = json_parse(buf_bytes(&text), text.max, &json, w->tpm->why)) ||
	    failed(e = jobj_init(&o, json, STATE_FILE, w->tpm->why)) ||
	    failed(e = jobj_hex(&o, "boot", key, sizeof(key))) ||
	    failed(e = jobj_u64(&o, "restart_count", UINT32_MAX, &restart_count)) || failed(e = jobj_end(&o)))
		return e;
	ret->present = memcmp(key, w->boot_key, sizeof(key)) == 0;
	ret->restart_count = (uint32_t)restart_count;
	return ERR(E_OK);
}

struct err log_state_write(const struct workload *w, uint32_t restart_count)
{
	cleanup_buf struct buf text = BUF_INIT(4 * KIB);
	cleanup_json json_t *json = NULL;
	struct err e;

	if (failed(e = json_new_object(&json)) || failed(e = json_put_hex(json, "boot", BYTES_ARR(w->boot_key))) ||
	    failed(e = json_put_int(json, "restart_count", restart_count)) || failed(e = json_write(json, &text)))
		return e;
	return file_write(w->dir_fd, STATE_FILE, buf_bytes(&text), 0600);
}
