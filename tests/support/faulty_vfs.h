/* SPDX-License-Identifier: Apache-2.0 */
/* SQLite's file system, which fails when told to, and SQLite's memory on the counter of fault.h. */
#ifndef ASSAY_TESTS_SUPPORT_FAULTY_VFS_H
#define ASSAY_TESTS_SUPPORT_FAULTY_VFS_H

/* Before anything else of SQLite: its allocations become ours, which fault.h can fail. */
void faulty_memory_init(void);
/* Makes the failing file system the default one. After faulty_memory_init(). */
void faulty_vfs_init(void);

/* The k-th write or truncation (0 is the next) and every later one finds the disk full; none where k is negative. */
void faulty_vfs_full_at(long k);
/* The k-th sync fails, once. */
void faulty_vfs_sync_at(long k);
/* Ends both. Number of writes and syncs since the last call that counted them. */
long faulty_vfs_end(void);

#endif
