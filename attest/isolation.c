/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/isolation.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/wait.h>

#include "base/log.h"
#include "base/text.h"

#define PATHS_MAX 16384
#define GROUPS_MAX 1024
#define PROBE_FREE 0   /* exit status of the probe: nothing is open to the user */
#define PROBE_ERROR 255

static void set_user(const struct passwd *pw, struct user *ret)
{
	*ret = (struct user){ .uid = pw->pw_uid, .gid = pw->pw_gid };
	(void)snprintf(ret->name, sizeof(ret->name), "%s", pw->pw_name);
	(void)snprintf(ret->home, sizeof(ret->home), "%s", pw->pw_dir);
}

struct err user_find(const char *name, struct user *ret, struct reason *reterr)
{
	const struct passwd *pw = getpwnam(name);
	uint64_t uid;

	if (pw == NULL && !failed(parse_u64(name, UINT32_MAX - 1, &uid))) {
		pw = getpwuid((uid_t)uid);
		if (pw == NULL) {
			*ret = (struct user){ .uid = (uid_t)uid, .gid = (gid_t)uid };
			return ERR(E_OK);
		}
	}
	if (pw == NULL) {
		reason_set(reterr, "there is no user %s", log_quote(bytes_str(name)));
		return ERR(E_LOCAL_NOT_FOUND);
	}
	set_user(pw, ret);
	return ERR(E_OK);
}

static struct err add_path(struct buf *b, const char *path, const char *suffix)
{
	struct err e;

	if (failed(e = buf_addf(b, "%s%s", path, suffix)))
		return e;
	return buf_add_u8(b, '\0');
}

static void free_glob(glob_t *g)
{
	globfree(g);
}

/* Whatever the TCTI says: a device beside it is the same TPM. */
static struct err add_devices(struct buf *b)
{
	static const char *const patterns[] = { "/dev/tpm*", "/dev/tpmrm*" };
	struct err e;

	for (size_t i = 0; i < array_len(patterns); i++) {
		cleanup(free_glob) glob_t g = { 0 };
		int rc = glob(patterns[i], 0, NULL, &g);

		if (rc != 0 && rc != GLOB_NOMATCH)
			return ERR(E_LOCAL_MEMORY);
		for (size_t k = 0; k < g.gl_pathc; k++)
			if (failed(e = add_path(b, g.gl_pathv[k], "")))
				return e;
	}
	return ERR(E_OK);
}

/* The value of "key=" in "a=1,key=value,b=2", to out; false where it is absent or does not fit. */
static bool option_value(const char *conf, const char *key, char *out, size_t size)
{
	for (const char *at = conf; at != NULL; at = strchr(at, ',') == NULL ? NULL : strchr(at, ',') + 1) {
		size_t n;

		if (strncmp(at, key, strlen(key)) != 0 || at[strlen(key)] != '=')
			continue;
		at += strlen(key) + 1;
		n = strcspn(at, ",");
		if (n == 0 || n >= size)
			return false;
		memcpy(out, at, n);
		out[n] = '\0';
		return true;
	}
	return false;
}

/* "device" of "device:/dev/tpm0" and of "libtss2-tcti-device.so.0:/dev/tpm0". */
static bool is_tcti(const char *tcti, const char *name)
{
	static const char prefix[] = "libtss2-tcti-";

	if (strncmp(tcti, prefix, strlen(prefix)) == 0)
		tcti += strlen(prefix);
	return strncmp(tcti, name, strlen(name)) == 0 && strchr(":.", tcti[strlen(name)]) != NULL;
}

static struct err add_tcti(const char *tcti, struct buf *b, struct reason *reterr)
{
	const char *conf = strchr(tcti, ':');
	char path[LIMIT_PATH];
	struct err e;

	conf = conf == NULL ? "" : conf + 1;
	if (is_tcti(tcti, "device"))
		return conf[0] == '/' ? add_path(b, conf, "") : ERR(E_OK); /* its default is among the devices */
	if ((is_tcti(tcti, "swtpm") || is_tcti(tcti, "mssim")) && option_value(conf, "path", path, sizeof(path))) {
		if (failed(e = add_path(b, path, "")))
			return e;
		return add_path(b, path, ".ctrl");
	}
	reason_set(reterr,
		   "the TPM at \"%s\" is open to every user of this host, or Assay cannot tell to whom: run needs a "
		   "device or a UNIX socket",
		   log_quote(bytes_str(tcti)));
	return ERR(E_LOCAL_PERMISSION);
}

struct err tpm_access_paths(const char *tcti, struct buf *ret, struct reason *reterr)
{
	struct err e;

	if (failed(e = add_tcti(tcti, ret, reterr)))
		return e;
	return add_devices(ret);
}

/* Becomes the user with every group that he could get by himself. */
static bool become(const struct user *u)
{
	gid_t groups[GROUPS_MAX];
	int n = GROUPS_MAX;

	groups[0] = u->gid;
	if (u->name[0] == '\0')
		n = 1;
	else if (getgrouplist(u->name, u->gid, groups, &n) < 0)
		return false;
	return setgroups((size_t)n, groups) == 0 && setresgid(u->gid, u->gid, u->gid) == 0 &&
	       setresuid(u->uid, u->uid, u->uid) == 0;
}

static bool can(const char *path, int mode)
{
	return faccessat(AT_FDCWD, path, mode, AT_EACCESS) == 0;
}

/* In a process of its own. The exit status is the number of the path that is open, from 1. */
static int probe(const struct user *u, struct bytes paths, const char *state_dir)
{
	struct bytes rest = paths;
	int n = 1;

	if (!become(u))
		return PROBE_ERROR;
	if (can(state_dir, R_OK) || can(state_dir, W_OK) || can(state_dir, X_OK))
		return n;
	while (rest.n > 0) {
		const char *path = (const char *)rest.p;
		size_t len = strlen(path) + 1;

		n = n < PROBE_ERROR - 1 ? n + 1 : n;
		if (can(path, R_OK) || can(path, W_OK))
			return n;
		if (failed(bytes_sub(rest, len, rest.n - len, &rest)))
			return PROBE_ERROR;
	}
	return PROBE_FREE;
}

static const char *nth_path(struct bytes paths, int n)
{
	const char *at = (const char *)paths.p;

	for (int i = 2; i < n; i++)
		at += strlen(at) + 1;
	return at;
}

struct err isolation_check(const struct user *u, const char *tcti, const char *state_dir, struct reason *reterr)
{
	cleanup_buf struct buf paths = BUF_INIT(PATHS_MAX);
	struct err e;
	int status;
	pid_t pid;

	if (u->uid == 0 || u->gid == 0) {
		reason_set(reterr, "the command may not run as root or in its group: it could open the TPM (--user)");
		return ERR(E_LOCAL_PERMISSION);
	}
	if (failed(e = tpm_access_paths(tcti, &paths, reterr)))
		return e;
	pid = fork();
	if (pid == 0)
		_exit(probe(u, buf_bytes(&paths), state_dir));
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) == PROBE_ERROR) {
		reason_set(reterr, "cannot become uid %u to see what it may open; run needs to be root",
			   (unsigned)u->uid);
		return ERR(E_LOCAL_PERMISSION);
	}
	if (WEXITSTATUS(status) == PROBE_FREE)
		return ERR(E_OK);
	reason_set(reterr,
		   "uid %u can open %s: a command that runs under it could forge measurements or use other keys. "
		   "Choose another user (--user) or take that access away",
		   (unsigned)u->uid,
		   WEXITSTATUS(status) == 1 ? state_dir : nth_path(buf_bytes(&paths), WEXITSTATUS(status)));
	return ERR(E_LOCAL_PERMISSION);
}
