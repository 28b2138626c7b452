/* SPDX-License-Identifier: Apache-2.0 */
#include "swtpm-harness/tpm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
#include "swtpm-harness/ca.h"
#include "swtpm-harness/folder.h"

#define START_TIMEOUT_MS 30000

static struct err argument(const char *before, const char *path, const char *after, struct path *ret)
{
	int n = snprintf(ret->text, sizeof(ret->text), "%s%s%s", before, path, after);

	return n > 0 && (size_t)n < sizeof(ret->text) ? ERR(E_OK) : ERR(E_LIMIT_SIZE);
}

static struct err spawn(const char *const *argv, const char *package, const char *dir, struct process *ret,
			struct reason *reterr)
{
	struct path log;
	struct err e;

	if (failed(e = path_join(dir, "log", &log)))
		return e;
	e = process_spawn(argv, log.text, ret);
	if (e.code == E_LOCAL_NOT_FOUND)
		reason_set(reterr, "%s is not installed; on Debian it is in the package %s", argv[0], package);
	else if (failed(e))
		reason_set(reterr, "%s cannot be started", argv[0]);
	return e;
}

struct err tpm_setup(const char *dir, const char *state, const char *banks, const char *conf, struct process *ret,
		     struct reason *reterr)
{
	struct path state_dir;
	const char *argv[] = { "swtpm_setup", "--tpm2", "--createek", "--tpmstate", state_dir.text,
			       "--pcr-banks", banks,    "--config",   conf,         NULL };
	struct err e;

	if (failed(e = path_join(dir, state, &state_dir)) || failed(e = folder_remove(state_dir.text)) ||
	    failed(e = dir_make(state_dir.text, 0700)))
		return e;
	return spawn(argv, "swtpm-tools", dir, ret, reterr);
}

/* Spawns swtpm; *ret_ready becomes readable as soon as it listens. */
static struct err spawn_swtpm(const char *dir, enum tpmraw_startup kind, struct process *ret, int *ret_ready,
			      struct reason *reterr)
{
	struct path state, server, control, ready, pid;
	const char *argv[] = { "swtpm",
			       "socket",
			       "--tpm2",
			       "--tpmstate",
			       state.text,
			       "--server",
			       server.text,
			       "--ctrl",
			       control.text,
			       "--flags",
			       kind == TPMRAW_STATE ? "not-need-init,startup-state" : "not-need-init,startup-clear",
			       "--pid",
			       pid.text,
			       NULL };
	cleanup_fd int fd = -1;
	struct err e;

	if (failed(e = argument("dir=", dir, "/state", &state)) ||
	    failed(e = argument("type=unixio,path=", dir, "/sock,mode=0600", &server)) ||
	    failed(e = argument("type=unixio,path=", dir, "/sock.ctrl,mode=0600", &control)) ||
	    failed(e = argument("file=", dir, "/ready", &pid)) || failed(e = path_join(dir, "ready", &ready)) ||
	    failed(e = folder_unlink(dir, "ready")))
		return e;
	/* swtpm writes its pid file once its sockets listen. A FIFO in that place turns this into an event. */
	if (mkfifo(ready.text, 0600) != 0 || (fd = open(ready.text, O_RDONLY | O_NONBLOCK | O_CLOEXEC)) < 0)
		return ERR(E_LOCAL_IO);
	if (failed(e = spawn(argv, "swtpm", dir, ret, reterr)))
		return e;
	*ret_ready = take_fd(&fd);
	return ERR(E_OK);
}

static struct err wait_until_up(const char *dir, const struct process *p, int ready, struct reason *reterr)
{
	cleanup_fd int fd = -1;
	struct harness_clock clock;
	struct tail tail;
	struct path sock;
	struct err e = process_wait(p, START_TIMEOUT_MS, ready, NULL);

	if (e.code == E_LOCAL_BUSY) {
		if (failed(e = path_join(dir, "sock", &sock)) ||
		    failed(e = tpmraw_open(sock.text, TPM_COMMAND_TIMEOUT_MS, &fd)))
			return e;
		/* It listens before it has read its state, and ends where Startup fails: only an answer counts. */
		e = tpmraw_read_clock(fd, &clock, NULL);
		if (!failed(e))
			return e;
	} else if (!failed(e)) {
		e = ERR(E_LOCAL_TPM);
	}
	folder_log_tail(dir, &tail);
	reason_set(reterr, "swtpm does not answer; %s/log ends: %s", dir, tail.text);
	return e;
}

struct err tpm_start(const char *dir, enum tpmraw_startup kind, struct reason *reterr)
{
	cleanup_fd int ready = -1;
	struct process p;
	struct err e;

	if (failed(e = spawn_swtpm(dir, kind, &p, &ready, reterr)))
		return e;
	/* Recorded before it is waited for: whatever ends this program, somebody can still take the TPM down. */
	if (failed(e = process_save(&p, dir)) || failed(e = wait_until_up(dir, &p, ready, reterr)) ||
	    failed(e = folder_unlink(dir, "ready")) || failed(e = folder_unlink(dir, "suspended"))) {
		if (failed(process_kill(&p)) || failed(folder_unlink(dir, "pid")))
			reason_set(reterr, "swtpm (process %d) cannot be ended", (int)p.pid);
		return e;
	}
	return ERR(E_OK);
}

struct err tpm_stop(const char *dir, enum tpm_stop how, unsigned timeout_ms, struct reason *reterr)
{
	struct process p;
	struct err e = process_load(dir, &p);

	if (e.code == E_LOCAL_NOT_FOUND)
		return ERR(E_OK);
	if (failed(e))
		return e;
	if (how != TPM_STOP_CUT && process_runs(&p)) {
		cleanup_fd int fd = -1;

		if (failed(e = tpm_connect(dir, timeout_ms, &fd, reterr)) ||
		    failed(e = tpmraw_shutdown(fd, how == TPM_STOP_STATE ? TPMRAW_STATE : TPMRAW_CLEAR, reterr)))
			return e;
	}
	/* After Shutdown the state is on disk, so the end can be the same for all: at once. */
	if (failed(e = process_kill(&p))) {
		reason_set(reterr, "swtpm (process %d) cannot be ended", (int)p.pid);
		return e;
	}
	return folder_unlink(dir, "pid");
}

enum harness_power tpm_power(const char *dir, pid_t *ret_pid)
{
	struct process p;
	bool on = !failed(process_load(dir, &p)) && process_runs(&p);

	*ret_pid = on ? p.pid : 0;
	if (on)
		return HARNESS_ON;
	return folder_has(dir, "suspended") ? HARNESS_SUSPENDED : HARNESS_OFF;
}

struct err tpm_connect(const char *dir, unsigned timeout_ms, int *ret_fd, struct reason *reterr)
{
	enum harness_power power;
	struct path sock;
	struct err e;
	pid_t pid;

	power = tpm_power(dir, &pid);
	if (power != HARNESS_ON) {
		reason_set(reterr, "%s is %s", dir, harness_power_name(power));
		return ERR(E_AUTH_CONFLICT);
	}
	if (failed(e = path_join(dir, "sock", &sock)))
		return e;
	if (failed(e = tpmraw_open(sock.text, timeout_ms, ret_fd)))
		reason_set(reterr, "%s: cannot connect; another program may hold the TPM's only connection", sock.text);
	return e;
}

/* One EK: its public key to a file, and a certificate to a file and to NV memory unless there shall be none. */
static struct err provision_ek(const char *dir, const char *ca_dir, enum harness_cert kind, const char *name, int fd,
			       uint32_t handle, uint32_t nv_index, uint8_t ret_sha256[32], struct reason *reterr)
{
	cleanup_buf struct buf pem = BUF_INIT(LIMIT_SMALL);
	cleanup_key struct key *key = NULL;
	cleanup_cert struct cert *cert = NULL;
	char file[32];
	struct err e;

	if (failed(e = tpmraw_read_public(fd, handle, &key, reterr)) || failed(e = key_spki_sha256(key, ret_sha256)) ||
	    failed(e = key_public_to_pem(key, &pem)))
		return e;
	(void)snprintf(file, sizeof(file), "%s.pub", name);
	if (failed(e = folder_write(dir, file, buf_bytes(&pem), 0644)))
		return e;
	(void)snprintf(file, sizeof(file), "%s.pem", name);
	if (kind == HARNESS_CERT_NONE)
		return folder_unlink(dir, file);
	buf_clear(&pem);
	if (failed(e = ca_issue(ca_dir, kind, key, &cert)) ||
	    failed(e = tpmraw_nv_store(fd, nv_index, cert_der(cert), reterr)) || failed(e = cert_to_pem(cert, &pem)))
		return e;
	return folder_write(dir, file, buf_bytes(&pem), 0644);
}

static struct err record_write(const char *dir, const struct harness_info *info)
{
	cleanup_json json_t *json = NULL;
	cleanup_buf struct buf text = BUF_INIT(LIMIT_SMALL);
	struct err e;

	if (failed(e = json_new_object(&json)) ||
	    failed(e = json_put_str(json, "cert", harness_cert_name(info->cert))) ||
	    failed(e = json_put_str(json, "banks", info->banks)) ||
	    failed(e = json_put_hex(json, "ek_sha256", BYTES_ARR(info->ek_sha256))) ||
	    failed(e = json_put_hex(json, "ek_ecc_sha256", BYTES_ARR(info->ek_ecc_sha256))) ||
	    failed(e = json_write(json, &text)))
		return e;
	return folder_write(dir, "tpm.json", buf_bytes(&text), 0644);
}

struct err tpm_provision(const char *dir, const char *ca_dir, enum harness_cert kind, const char *banks,
			 struct reason *reterr)
{
	struct harness_info info = { .cert = kind };
	cleanup_fd int fd = -1;
	struct err e;

	if (strlen(banks) >= sizeof(info.banks))
		return ERR(E_LIMIT_SIZE);
	memcpy(info.banks, banks, strlen(banks) + 1);
	if (failed(e = tpm_connect(dir, TPM_COMMAND_TIMEOUT_MS, &fd, reterr)) ||
	    failed(e = provision_ek(dir, ca_dir, kind, "ek-rsa", fd, TPMRAW_EK_RSA, TPMRAW_NV_EK_CERT_RSA,
				    info.ek_sha256, reterr)) ||
	    failed(e = provision_ek(dir, ca_dir, kind, "ek-ecc", fd, TPMRAW_EK_ECC, TPMRAW_NV_EK_CERT_ECC,
				    info.ek_ecc_sha256, reterr)) ||
	    failed(e = tpm_tcti(dir, info.tcti)) || failed(e = folder_write(dir, "tcti", bytes_str(info.tcti), 0644)))
		return e;
	return record_write(dir, &info);
}

struct err tpm_tcti(const char *dir, char ret[HARNESS_TCTI_SIZE])
{
	int n = snprintf(ret, HARNESS_TCTI_SIZE, "swtpm:path=%s/sock", dir);

	return n > 0 && n < HARNESS_TCTI_SIZE ? ERR(E_OK) : ERR(E_LIMIT_SIZE);
}

static struct err cert_kind(const char *name, enum harness_cert *ret)
{
	for (enum harness_cert c = HARNESS_CERT_GOOD; c <= HARNESS_CERT_CA; c++) {
		if (strcmp(harness_cert_name(c), name) == 0) {
			*ret = c;
			return ERR(E_OK);
		}
	}
	return ERR(E_PEER_RANGE);
}

struct err tpm_info(const char *dir, struct harness_info *ret, struct reason *reterr)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_SMALL);
	cleanup_json json_t *json = NULL;
	struct harness_info info = { 0 };
	const char *cert, *banks;
	struct jobj o;
	struct err e;

	if (failed(e = folder_read(dir, "tpm.json", &text)) ||
	    failed(e = json_parse(buf_bytes(&text), LIMIT_SMALL, &json, reterr)) ||
	    failed(e = jobj_init(&o, json, "tpm.json", reterr)) || failed(e = jobj_str(&o, "cert", 16, &cert)) ||
	    failed(e = cert_kind(cert, &info.cert)) ||
	    failed(e = jobj_str(&o, "banks", sizeof(info.banks) - 1, &banks)) ||
	    failed(e = jobj_hex(&o, "ek_sha256", info.ek_sha256, sizeof(info.ek_sha256))) ||
	    failed(e = jobj_hex(&o, "ek_ecc_sha256", info.ek_ecc_sha256, sizeof(info.ek_ecc_sha256))) ||
	    failed(e = jobj_end(&o)))
		return e;
	(void)snprintf(info.banks, sizeof(info.banks), "%s", banks);
	if (failed(e = tpm_tcti(dir, info.tcti)))
		return e;
	info.power = tpm_power(dir, &info.pid);
	*ret = info;
	return ERR(E_OK);
}
