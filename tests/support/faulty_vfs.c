/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/faulty_vfs.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

/* --- memory: a header in front of each block remembers its size, as SQLite wants to ask for it --- */

union header {
	size_t n;
	max_align_t align;
};

static void *mem_malloc(int n)
{
	union header *h = malloc(sizeof(*h) + (size_t)n);

	if (h == NULL)
		return NULL;
	h->n = (size_t)n;
	return h + 1;
}

static void mem_free(void *p)
{
	if (p != NULL)
		free((union header *)p - 1);
}

static void *mem_realloc(void *p, int n)
{
	union header *h = realloc((union header *)p - 1, sizeof(*h) + (size_t)n);

	if (h == NULL)
		return NULL;
	h->n = (size_t)n;
	return h + 1;
}

static int mem_size(void *p)
{
	return p == NULL ? 0 : (int)((union header *)p - 1)->n;
}

static int mem_roundup(int n)
{
	return (n + 7) & ~7;
}

static int mem_init(void *ctx)
{
	(void)ctx;
	return SQLITE_OK;
}

static void mem_shutdown(void *ctx)
{
	(void)ctx;
}

void faulty_memory_init(void)
{
	static sqlite3_mem_methods methods = { mem_malloc, mem_free, mem_realloc, mem_size,
					       mem_roundup, mem_init, mem_shutdown, NULL };

	if (sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) != SQLITE_OK)
		abort();
}

/* --- files --- */

static atomic_long write_at = -1, sync_at = -1, n_writes, n_syncs;

struct file {
	sqlite3_file base;
	sqlite3_file *real;
};

static sqlite3_file *real(sqlite3_file *f)
{
	return ((struct file *)f)->real;
}

static int disk_full(void)
{
	long at = atomic_load(&write_at);

	return at >= 0 && atomic_fetch_add(&n_writes, 1) >= at;
}

static int f_close(sqlite3_file *f)
{
	return real(f)->pMethods->xClose(real(f));
}

static int f_read(sqlite3_file *f, void *p, int n, sqlite3_int64 off)
{
	return real(f)->pMethods->xRead(real(f), p, n, off);
}

static int f_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 off)
{
	return disk_full() ? SQLITE_FULL : real(f)->pMethods->xWrite(real(f), p, n, off);
}

static int f_truncate(sqlite3_file *f, sqlite3_int64 n)
{
	return disk_full() ? SQLITE_IOERR_TRUNCATE : real(f)->pMethods->xTruncate(real(f), n);
}

static int f_sync(sqlite3_file *f, int flags)
{
	long at = atomic_load(&sync_at);

	if (at >= 0 && atomic_fetch_add(&n_syncs, 1) == at)
		return SQLITE_IOERR_FSYNC;
	return real(f)->pMethods->xSync(real(f), flags);
}

static int f_size(sqlite3_file *f, sqlite3_int64 *n)
{
	return real(f)->pMethods->xFileSize(real(f), n);
}

static int f_lock(sqlite3_file *f, int level)
{
	return real(f)->pMethods->xLock(real(f), level);
}

static int f_unlock(sqlite3_file *f, int level)
{
	return real(f)->pMethods->xUnlock(real(f), level);
}

static int f_check(sqlite3_file *f, int *out)
{
	return real(f)->pMethods->xCheckReservedLock(real(f), out);
}

static int f_control(sqlite3_file *f, int op, void *arg)
{
	return real(f)->pMethods->xFileControl(real(f), op, arg);
}

static int f_sector(sqlite3_file *f)
{
	return real(f)->pMethods->xSectorSize(real(f));
}

static int f_characteristics(sqlite3_file *f)
{
	return real(f)->pMethods->xDeviceCharacteristics(real(f));
}

static int f_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
	return real(f)->pMethods->xShmMap(real(f), page, size, extend, out);
}

static int f_shm_lock(sqlite3_file *f, int off, int n, int flags)
{
	return real(f)->pMethods->xShmLock(real(f), off, n, flags);
}

static void f_shm_barrier(sqlite3_file *f)
{
	real(f)->pMethods->xShmBarrier(real(f));
}

static int f_shm_unmap(sqlite3_file *f, int remove)
{
	return real(f)->pMethods->xShmUnmap(real(f), remove);
}

static const sqlite3_io_methods methods = {
	.iVersion = 2, .xClose = f_close, .xRead = f_read, .xWrite = f_write, .xTruncate = f_truncate,
	.xSync = f_sync, .xFileSize = f_size, .xLock = f_lock, .xUnlock = f_unlock, .xCheckReservedLock = f_check,
	.xFileControl = f_control, .xSectorSize = f_sector, .xDeviceCharacteristics = f_characteristics,
	.xShmMap = f_shm_map, .xShmLock = f_shm_lock, .xShmBarrier = f_shm_barrier, .xShmUnmap = f_shm_unmap,
};

static sqlite3_vfs *os;
static sqlite3_vfs faulty;

static int v_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *out, int flags, int *out_flags)
{
	struct file *f = (struct file *)out;
	int rc;

	(void)vfs;
	f->real = (sqlite3_file *)(f + 1);
	f->real->pMethods = NULL;
	rc = os->xOpen(os, name, f->real, flags, out_flags);
	f->base.pMethods = f->real->pMethods != NULL ? &methods : NULL;
	return rc;
}

void faulty_vfs_init(void)
{
	os = sqlite3_vfs_find(NULL);
	if (os == NULL)
		abort();
	faulty = *os;
	faulty.zName = "faulty";
	faulty.szOsFile = (int)sizeof(struct file) + os->szOsFile;
	faulty.xOpen = v_open;
	faulty.pNext = NULL;
	if (sqlite3_vfs_register(&faulty, 1) != SQLITE_OK)
		abort();
}

void faulty_vfs_full_at(long k)
{
	atomic_store(&n_writes, 0);
	atomic_store(&write_at, k);
}

void faulty_vfs_sync_at(long k)
{
	atomic_store(&n_syncs, 0);
	atomic_store(&sync_at, k);
}

long faulty_vfs_end(void)
{
	atomic_store(&write_at, -1);
	atomic_store(&sync_at, -1);
	return atomic_exchange(&n_writes, 0) + atomic_exchange(&n_syncs, 0);
}
