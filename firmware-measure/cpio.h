/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cpio archives ("newc") that systemd-stub makes of files beside a UKI and
 * of some of its sections, byte for byte: the stub extends them into PCR 12
 * and 13, and the kernel measures them as part of its initrd.
 *
 * Source: Linux Documentation/driver-api/early-userspace/buffer-format; what
 * stands in the fields: systemd-stub(7) and the archives themselves.
 */
#ifndef ASSAY_MEASURE_CPIO_H
#define ASSAY_MEASURE_CPIO_H

#include "base/bytes.h"

struct cpio_file {
	const char *name; /* ASCII, without folders; borrowed */
	struct bytes data;
};

/*
 * Appends an archive of the folder and everything above it (mode 0555 but for
 * the last), then the files in the order given, then the end mark.
 *
 * folder     ".extra/credentials": relative, no slash at the end
 * dir_mode   of the folder, e.g. 0500
 * file_mode  of each file, e.g. 0400
 * ret        appended; its maximum bounds everything
 *
 * E_LIMIT_SIZE (also a file of 4 GiB or more), E_LOCAL_MEMORY. ret may then hold a part.
 */
must_check struct err cpio_write(const char *folder, unsigned dir_mode, unsigned file_mode, size_t n_files,
				 const struct cpio_file *files, struct buf *ret);

#endif
