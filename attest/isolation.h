/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TPM access is the host's trust boundary: whoever can open the TPM can extend an
 * event that names his own key, and whoever can open the state folder has the
 * keys. So a command runs under a user who can do neither, or not at all.
 */
#ifndef ASSAY_ATTEST_ISOLATION_H
#define ASSAY_ATTEST_ISOLATION_H

#include <sys/types.h>

#include "base/bytes.h"
#include "base/limits.h"

struct user {
	uid_t uid;
	gid_t gid;
	char name[64];  /* "" where the user database does not know the uid */
	char home[256];
};

/* A name, or a uid in decimal (its group is that of the user database, else the same number). E_LOCAL_NOT_FOUND. */
must_check struct err user_find(const char *name, struct user *ret, struct reason *reterr);

/*
 * Files that open the TPM which a TCTI text names, one after the other, each with a
 * NUL behind; all of /dev/tpm*, /dev/tpmrm* belong to them. E_LOCAL_PERMISSION where
 * the TPM is open to everybody (TCP) or its access cannot be told.
 */
must_check struct err tpm_access_paths(const char *tcti, struct buf *ret, struct reason *reterr);

/*
 * Refuses uid 0 and gid 0, and a user who, with every group that he is in, could
 * open one of the paths of tpm_access_paths() or look into the state folder:
 * E_LOCAL_PERMISSION. Asked of the kernel in a process that has become this user.
 */
must_check struct err isolation_check(const struct user *u, const char *tcti, const char *state_dir,
				      struct reason *reterr);

#endif
