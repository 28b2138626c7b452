/* SPDX-License-Identifier: Apache-2.0 */
#include "swtpm-harness/harness_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/un.h>

#include "base/file.h"
#include "swtpm-harness/ca.h"
#include "swtpm-harness/fleet.h"

#define CONF_TEXT "# A folder of swtpm-harness(1). swtpm_setup reads this file in place of /etc/swtpm_setup.conf.\n"

#define LOCK_TIMEOUT_MS 120000
#define POLITE_TIMEOUT_MS 2000

const char *harness_cert_name(enum harness_cert c)
{
	static const char *const names[] = { "good", "none", "foreign", "expired", "ca" };

	return (size_t)c < array_len(names) ? names[c] : "?";
}

const char *harness_power_name(enum harness_power p)
{
	static const char *const names[] = { "on", "suspended", "off" };

	return (size_t)p < array_len(names) ? names[p] : "?";
}

bool harness_available(void)
{
	return program_in_path("swtpm") && program_in_path("swtpm_setup");
}

static struct err tpm_path(const char *dir, size_t i, struct path *ret)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "tpm-%zu", i);
	return path_join(dir, name, ret);
}

struct err harness_lock(const char *dir, int *ret_fd, struct reason *reterr)
{
	struct path p;
	struct err e;

	if (failed(e = path_join(dir, "lock", &p)))
		return e;
	e = file_lock(AT_FDCWD, p.text, LOCK_TIMEOUT_MS, ret_fd);
	if (e.code == E_LOCAL_TIMEOUT)
		reason_set(reterr, "another swtpm-harness has been busy with %s for too long", dir);
	return e;
}

/* Finds the TPMs that are complete. */
static struct err scan(struct harness *h)
{
	cleanup_free struct tpm *tpms = calloc(HARNESS_TPMS_MAX, sizeof(*tpms));
	size_t n;
	struct err e;

	if (tpms == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (n = 0; n < HARNESS_TPMS_MAX; n++) {
		if (failed(e = tpm_path(h->dir.text, n, &tpms[n].dir)))
			return e;
		if (!folder_has(tpms[n].dir.text, "tpm.json"))
			break;
		if (failed(e = tpm_tcti(tpms[n].dir.text, tpms[n].tcti)))
			return e;
	}
	free(h->tpms);
	h->tpms = take_ptr(&tpms);
	h->n = n;
	return ERR(E_OK);
}

static struct err harness_new(const char *dir, struct harness **ret)
{
	struct harness *h = calloc(1, sizeof(*h));
	struct err e;

	if (h == NULL)
		return ERR(E_LOCAL_MEMORY);
	h->timeout_ms = HARNESS_TIMEOUT_MS;
	(void)snprintf(h->dir.text, sizeof(h->dir.text), "%s", dir);
	if (failed(e = path_join(dir, "ca/root.pem", &h->root)) || failed(e = scan(h))) {
		harness_free(h);
		return e;
	}
	*ret = h;
	return ERR(E_OK);
}

void harness_free(struct harness *h)
{
	if (h == NULL)
		return;
	free(h->tpms);
	free(h);
}

void harness_down_free(struct harness *h)
{
	struct err e;

	if (h == NULL)
		return;
	/* A cleanup at the end of a test has nobody to tell. */
	e = harness_down(h, false, NULL);
	(void)e;
	harness_free(h);
}

/* Absolute, because swtpm and users of the TCTI have other working folders; symlinks stay as they are. */
static struct err absolute(const char *dir, struct path *ret, struct reason *reterr)
{
	cleanup_free char *cwd = dir[0] == '/' ? strdup("") : getcwd(NULL, 0);
	size_t n = strlen(dir);
	int len;

	if (cwd == NULL)
		return ERR(E_LOCAL_MEMORY);
	while (n > 1 && dir[n - 1] == '/')
		n--;
	if (n == 0 || strchr(dir, ',') != NULL || strchr(cwd, ',') != NULL) {
		reason_set(reterr, "the folder's path is empty or has a comma, which separates swtpm's options");
		return ERR(E_PEER_RANGE);
	}
	len = snprintf(ret->text, sizeof(ret->text), "%s%s%.*s", cwd, cwd[0] != '\0' ? "/" : "", (int)n, dir);
	if (len < 0 || (size_t)len >= sizeof(ret->text)) {
		reason_set(reterr,
			   "the folder's path has %d bytes, too many for UNIX sockets (107 with the socket's name)",
			   len);
		return ERR(E_LIMIT_SIZE);
	}
	return ERR(E_OK);
}

static struct err check_socket_path(const char *dir, size_t last, struct reason *reterr)
{
	const size_t limit = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
	int n = snprintf(NULL, 0, "%s/tpm-%zu/sock.ctrl", dir, last);

	if (n > 0 && (size_t)n <= limit)
		return ERR(E_OK);
	reason_set(reterr, "%s/tpm-%zu/sock.ctrl has %d bytes; UNIX sockets allow %zu: choose a shorter folder", dir,
		   last, n, limit);
	return ERR(E_LIMIT_SIZE);
}

static struct err check_banks(const char *banks, struct reason *reterr)
{
	char text[40], *save = NULL;
	unsigned seen = 0;

	if (strlen(banks) >= sizeof(text) || banks[0] == '\0') {
		reason_set(reterr, "banks: of sha1, sha256, sha384 and sha512, with commas between them");
		return ERR(E_PEER_RANGE);
	}
	memcpy(text, banks, strlen(banks) + 1);
	for (char *name = strtok_r(text, ",", &save); name != NULL; name = strtok_r(NULL, ",", &save)) {
		const struct digest_alg *alg = digest_by_name(bytes_str(name));

		if (alg == NULL || alg->id == DIGEST_SM3_256 || (seen & 1u << alg->id) != 0) {
			reason_set(reterr,
				   "banks: of sha1, sha256, sha384 and sha512, each once, with commas between them");
			return ERR(E_PEER_RANGE);
		}
		seen |= 1u << alg->id;
	}
	return ERR(E_OK);
}

static bool folder_empty(const char *dir)
{
	DIR *d = opendir(dir);
	const struct dirent *entry;
	bool empty = d != NULL;

	if (d == NULL)
		return errno == ENOENT;
	while (empty && (entry = readdir(d)) != NULL)
		empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
	(void)closedir(d);
	return empty;
}

/* Where the folder of these options is; makes a new one below $TMPDIR for none. */
static struct err choose_folder(const char *wanted, struct path *ret, struct reason *reterr)
{
	const char *tmp = getenv("TMPDIR");
	struct path p;
	struct err e;

	if (wanted != NULL)
		return absolute(wanted, ret, reterr);
	if (failed(e = absolute(tmp != NULL && tmp[0] != '\0' ? tmp : "/tmp", &p, reterr)) ||
	    failed(e = path_join(p.text, "swtpm-XXXXXX", ret)) || failed(e = check_socket_path(ret->text, 0, reterr)))
		return e;
	if (mkdtemp(ret->text) == NULL) {
		reason_set(reterr, "no folder can be made in %s: %s", p.text, strerror(errno));
		return ERR(E_LOCAL_IO);
	}
	return ERR(E_OK);
}

/* Removes what is ours in the folder, and the folder unless others have put something there. */
static struct err remove_folder(const char *dir)
{
	static const char *const folders[] = { "ca", "foreign-ca" }, *const files[] = { HARNESS_CONF, "lock" };
	struct path p;
	struct err e;

	for (size_t i = 0; i < array_len(folders); i++) {
		if (failed(e = path_join(dir, folders[i], &p)) || failed(e = folder_remove(p.text)))
			return e;
	}
	for (size_t i = 0; i < array_len(files); i++) {
		if (failed(e = folder_unlink(dir, files[i])))
			return e;
	}
	return rmdir(dir) == 0 || errno == ENOTEMPTY || errno == ENOENT ? ERR(E_OK) : ERR(E_LOCAL_IO);
}

static struct err open_folder(const char *dir, bool *ret_new, struct reason *reterr)
{
	struct err e;

	*ret_new = false;
	if (folder_has(dir, HARNESS_CONF))
		return ERR(E_OK);
	if (!folder_empty(dir)) {
		reason_set(reterr, "%s exists and is not a folder of swtpm-harness", dir);
		return ERR(E_LOCAL_EXISTS);
	}
	if (failed(e = dir_make(dir, 0700)) ||
	    failed(e = folder_write(dir, HARNESS_CONF, BYTES_LIT(CONF_TEXT), 0644))) {
		reason_set(reterr, "%s cannot be made", dir);
		return e;
	}
	*ret_new = true;
	return ERR(E_OK);
}

struct err harness_ca(const struct harness *h, enum harness_cert kind, struct path *ret)
{
	return path_join(h->dir.text, kind == HARNESS_CERT_FOREIGN ? "foreign-ca" : "ca", ret);
}

static struct err make_cas(const struct harness *h, enum harness_cert kind)
{
	struct path p;
	struct err e;

	/* The good one always: its root is what relying parties of this folder trust. */
	if (failed(e = harness_ca(h, HARNESS_CERT_GOOD, &p)) || failed(e = ca_make(p.text, "swtpm-harness")))
		return e;
	if (kind != HARNESS_CERT_FOREIGN)
		return ERR(E_OK);
	if (failed(e = harness_ca(h, kind, &p)))
		return e;
	return ca_make(p.text, "foreign swtpm-harness");
}

static bool cancelled(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return fd >= 0 && poll(&p, 1, 0) > 0;
}

/* Makes, starts and provisions the TPMs in dirs, whose folders exist and are empty. */
static struct err bring_up(const struct harness *h, const struct harness_options *o, const char *banks,
			   const struct path *dirs, size_t n, struct reason *reterr)
{
	struct path conf, ca;
	struct fleet fleet = { .dirs = dirs,
			       .n = n,
			       .state = "state",
			       .banks = banks,
			       .conf = conf.text,
			       .timeout_ms = h->timeout_ms,
			       .cancel_fd = o->cancel_fd > 0 ? o->cancel_fd : -1,
			       .progress = o->progress,
			       .progress_ctx = o->progress_ctx };
	struct err e;

	if (failed(e = path_join(h->dir.text, HARNESS_CONF, &conf)) || failed(e = harness_ca(h, o->cert, &ca)) ||
	    failed(e = make_cas(h, o->cert)) || failed(e = fleet_setup(&fleet, reterr)))
		return e;
	for (size_t i = 0; i < n; i++) {
		if (cancelled(fleet.cancel_fd)) {
			reason_set(reterr, "interrupted");
			return ERR(E_LOCAL_BUSY);
		}
		if (failed(e = tpm_start(dirs[i].text, TPMRAW_CLEAR, reterr)) ||
		    failed(e = tpm_provision(dirs[i].text, ca.text, o->cert, banks, reterr)))
			return e;
	}
	return ERR(E_OK);
}

/* Ends the TPM in dir without ceremony and removes the folder. */
static struct err discard(const char *dir, struct reason *reterr)
{
	struct err e;

	if (failed(e = tpm_stop(dir, TPM_STOP_CUT, 0, reterr)))
		return e;
	return folder_remove(dir);
}

static struct err add_tpms(struct harness *h, const struct harness_options *o, struct reason *reterr)
{
	const size_t n = o->count > 0 ? o->count : 1;
	cleanup_free struct path *dirs = calloc(n, sizeof(*dirs));
	struct err e = ERR(E_OK);

	if (dirs == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < n; i++) {
		/* A folder without tpm.json is what a killed harness left. */
		if (failed(e = tpm_path(h->dir.text, h->n + i, &dirs[i])) ||
		    failed(e = discard(dirs[i].text, reterr)) || failed(e = dir_make(dirs[i].text, 0700)))
			break;
	}
	if (!failed(e))
		e = bring_up(h, o, o->banks != NULL ? o->banks : "sha256", dirs, n, reterr);
	if (!failed(e))
		return scan(h);
	for (size_t i = 0; i < n; i++) {
		if (dirs[i].text[0] != '\0' && failed(discard(dirs[i].text, NULL)))
			reason_set(reterr, "%s cannot be removed", dirs[i].text);
	}
	return e;
}

struct err harness_up(const struct harness_options *o, struct harness **ret, struct reason *reterr)
{
	struct harness *h = NULL;
	struct path dir;
	bool new_folder;
	struct err e;

	if (o->count > HARNESS_TPMS_MAX) {
		reason_set(reterr, "at most %d TPMs in one folder", HARNESS_TPMS_MAX);
		return ERR(E_PEER_RANGE);
	}
	if ((o->banks != NULL && failed(e = check_banks(o->banks, reterr))) ||
	    failed(e = choose_folder(o->dir, &dir, reterr)) ||
	    failed(e = check_socket_path(dir.text, HARNESS_TPMS_MAX - 1, reterr)) ||
	    failed(e = open_folder(dir.text, &new_folder, reterr)))
		return e;
	if (!failed(e = harness_new(dir.text, &h))) {
		cleanup_fd int fd = -1;

		if (o->timeout_ms > 0)
			h->timeout_ms = o->timeout_ms;
		if (!failed(e = harness_lock(dir.text, &fd, reterr)) && !failed(e = scan(h))) {
			if (o->count > HARNESS_TPMS_MAX - h->n) {
				reason_set(reterr, "at most %d TPMs in one folder", HARNESS_TPMS_MAX);
				e = ERR(E_PEER_RANGE);
			} else {
				e = add_tpms(h, o, reterr);
			}
		}
	}
	if (!failed(e)) {
		*ret = h;
		return e;
	}
	harness_free(h);
	if (new_folder && failed(remove_folder(dir.text)))
		reason_set(reterr, "%s cannot be removed", dir.text);
	return e;
}

struct err harness_open(const char *dir, struct harness **ret, struct reason *reterr)
{
	struct path p;
	struct err e;

	if (failed(e = absolute(dir, &p, reterr)))
		return e;
	if (!folder_has(p.text, HARNESS_CONF)) {
		reason_set(reterr, "%s is not a folder of swtpm-harness", p.text);
		return ERR(E_LOCAL_NOT_FOUND);
	}
	return harness_new(p.text, ret);
}

struct err harness_stop(const char *dir, struct reason *reterr)
{
	if (!failed(tpm_stop(dir, TPM_STOP_CLEAR, POLITE_TIMEOUT_MS, NULL)))
		return ERR(E_OK);
	return tpm_stop(dir, TPM_STOP_CUT, 0, reterr);
}

struct err harness_down(struct harness *h, bool keep, struct reason *reterr)
{
	cleanup_fd int fd = -1;
	struct err e, first = ERR(E_OK);
	struct path p;

	if (!folder_has(h->dir.text, HARNESS_CONF))
		return ERR(E_OK);
	if (failed(e = harness_lock(h->dir.text, &fd, reterr)))
		return e;
	/* Not only the h->n complete ones: a killed harness may have left another. */
	for (size_t i = 0; i < HARNESS_TPMS_MAX; i++) {
		if (failed(e = tpm_path(h->dir.text, i, &p)))
			return e;
		if (access(p.text, F_OK) != 0)
			continue;
		e = harness_stop(p.text, reterr);
		if (!failed(e) && !keep)
			e = folder_remove(p.text);
		if (failed(e) && !failed(first))
			first = e;
	}
	if (keep || failed(first))
		return first;
	h->n = 0;
	return remove_folder(h->dir.text);
}

size_t harness_count(const struct harness *h)
{
	return h->n;
}

const char *harness_dir(const struct harness *h)
{
	return h->dir.text;
}

const char *harness_root(const struct harness *h)
{
	return h->root.text;
}

const char *harness_tcti(const struct harness *h, size_t i)
{
	return i < h->n ? h->tpms[i].tcti : NULL;
}

const char *harness_tpm_dir(const struct harness *h, size_t i)
{
	return i < h->n ? h->tpms[i].dir.text : NULL;
}

struct err harness_info(const struct harness *h, size_t i, struct harness_info *ret, struct reason *reterr)
{
	return i < h->n ? tpm_info(h->tpms[i].dir.text, ret, reterr) : ERR(E_BUG);
}
