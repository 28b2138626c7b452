/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "config.h"

#define CONF_FILE ASSAY_SYSCONFDIR "/attest.json"
#define CONF_CONTAINERS ASSAY_SYSCONFDIR "/containers.json"
#define CONF_FIRMWARE_LOG "/sys/kernel/security/tpm0/binary_bios_measurements"
#define CONF_IMA_LIST "/sys/kernel/security/ima/binary_runtime_measurements"
#define CONF_USERSPACE_LOG "/run/log/systemd/tpm2-measure.log"
#define DAY_S 86400

void conf_done(struct conf *c)
{
	json_decref(c->file);
	*c = (struct conf){ 0 };
}

void conf_options(struct conf_flags *to, struct opt ret[CONF_OPTS])
{
	const struct opt opts[CONF_OPTS] = {
		{ "config", OPT_STRING, &to->config, "FILE", "configuration (" CONF_FILE ")", 0 },
		{ "verifier", OPT_STRING, &to->verifier, "URL", "where the verifier is; for enrol", 0 },
		{ "ca", OPT_STRING, &to->ca, "FILE", "the only CA that may certify the verifier, PEM; for enrol", 0 },
		{ "state-dir", OPT_STRING, &to->state_dir, "DIR", "state folder (/var/lib/assay/attest)", 0 },
		{ "socket", OPT_STRING, &to->socket, "PATH", "of the daemon ($ASSAY_SOCKET, " CONF_SOCKET ")", 0 },
		{ "tcti", OPT_STRING, &to->tcti, "TCTI", "TPM ($ASSAY_TCTI, $TPM2TOOLS_TCTI, device:/dev/tpmrm0)", 0 },
		{ "ak", OPT_STRING, &to->ak, "KIND", "attestation key: ecc-p256 (default) or rsa-2048", 0 },
		{ "ak-handle", OPT_STRING, &to->ak_handle, "HANDLE", "where it is kept in the TPM (0x81010a55)", 0 },
		{ "ek", OPT_STRING, &to->ek, "KIND", "endorsement key: auto (default), rsa-2048, ecc-p384 or ecc-p256", 0 },
		{ "firmware-log", OPT_STRING, &to->firmware_log, "FILE", "log of the firmware (" CONF_FIRMWARE_LOG ")", 0 },
		{ "userspace-log", OPT_STRING, &to->userspace_log, "FILE", "log of systemd (" CONF_USERSPACE_LOG ")", 0 },
		{ "ima-list", OPT_STRING, &to->ima_list, "FILE", "measurement list of IMA (" CONF_IMA_LIST ")", 0 },
		{ "ek-cert", OPT_STRING, &to->ek_cert, "FILE", "EK certificate, where the TPM holds none", 0 },
		{ "ek-chain", OPT_LIST, &to->ek_chain, "FILE", "intermediate certificates; may repeat", 0 },
		{ "endorsement-auth-file", OPT_STRING, &to->endorsement_auth_file, "FILE",
		  "password of the endorsement hierarchy", 0 },
		{ "owner-auth-file", OPT_STRING, &to->owner_auth_file, "FILE", "password of the owner hierarchy", 0 },
		{ "user", OPT_STRING, &to->user, "USER", "who runs the command of run (nobody)", 0 },
		{ "containers", OPT_STRING, &to->containers, "FILE", "rules for containers (" CONF_CONTAINERS ")", 0 },
		{ "interval", OPT_DURATION, &to->interval_s, "TIME", "longest time between attestations", DAY_S },
		{ "tpm-timeout", OPT_DURATION, &to->tpm_timeout_s, "TIME", "for the TPM's answer to one command (30s)",
		  TPM_TIMEOUT_MAX_S },
		{ "timeout", OPT_DURATION, &to->timeout_s, "TIME", "for one request to the verifier (30s)", 3600 },
		{ "grace", OPT_DURATION, &to->grace_s, "TIME", "between TERM and KILL (10s)", 3600 },
		{ "log-level", OPT_STRING, &to->log_level, "LEVEL", "error, warning, info or debug (warning)", 0 },
	};

	memcpy(ret, opts, sizeof(opts));
}

/* One key of the file: text, or a number of seconds. */
struct key {
	const char *name;
	const char **text;
	unsigned *seconds;
};

static struct err take_keys(struct jobj *o, const struct key *keys, size_t n)
{
	struct err e;

	for (size_t i = 0; i < n; i++) {
		uint64_t s;

		if (!jobj_has(o, keys[i].name))
			continue;
		if (keys[i].text != NULL && failed(e = jobj_str(o, keys[i].name, LIMIT_PATH, keys[i].text)))
			return e;
		if (keys[i].seconds == NULL)
			continue;
		if (failed(e = jobj_u64(o, keys[i].name, DAY_S, &s)))
			return e;
		*keys[i].seconds = (unsigned)s;
	}
	return ERR(E_OK);
}

static struct err take_chain(struct jobj *o, struct conf *c, struct reason *reterr)
{
	const json_t *list;
	struct err e;

	if (!jobj_has(o, "ek_chain"))
		return ERR(E_OK);
	if (failed(e = jobj_arr(o, "ek_chain", CONF_CHAIN_FILES, &list)))
		return e;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *path = json_string_value(json_array_get(list, i));

		if (path == NULL) {
			reason_set(reterr, "ek_chain: not a list of file names");
			return ERR(E_PEER_TYPE);
		}
		c->ek_chain[c->n_ek_chain++] = path;
	}
	return ERR(E_OK);
}

/* Texts that are turned into something else after options had their say. */
struct texts {
	const char *ak, *ak_handle, *ek;
};

static struct err read_members(struct conf *c, struct texts *t, struct reason *reterr)
{
	const struct key keys[] = {
		{ "verifier_url", &c->verifier_url, NULL },
		{ "ca_file", &c->ca_file, NULL },
		{ "state_dir", &c->state_dir, NULL },
		{ "socket", &c->socket, NULL },
		{ "tcti", &c->tcti, NULL },
		{ "ak", &t->ak, NULL },
		{ "ak_handle", &t->ak_handle, NULL },
		{ "ek", &t->ek, NULL },
		{ "firmware_log", &c->firmware_log, NULL },
		{ "userspace_log", &c->userspace_log, NULL },
		{ "ima_list", &c->ima_list, NULL },
		{ "ek_cert", &c->ek_cert, NULL },
		{ "endorsement_auth_file", &c->endorsement_auth_file, NULL },
		{ "owner_auth_file", &c->owner_auth_file, NULL },
		{ "user", &c->user, NULL },
		{ "containers", &c->containers, NULL },
		{ "log_level", &c->log_level, NULL },
		{ "interval_s", NULL, &c->interval_s },
		{ "tpm_timeout_s", NULL, &c->tpm_timeout_s },
		{ "timeout_s", NULL, &c->timeout_s },
		{ "grace_s", NULL, &c->grace_s },
	};
	struct jobj o;
	struct err e;

	if (failed(e = jobj_init(&o, c->file, "", reterr)) || failed(e = take_keys(&o, keys, array_len(keys))) ||
	    failed(e = take_chain(&o, c, reterr)))
		return e;
	return jobj_end(&o);
}

static struct err read_file(const char *path, bool optional, struct conf *c, struct texts *t, struct reason *reterr)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_CONFIG);
	struct reason why = { "" };
	struct err e = file_read(AT_FDCWD, path, &text);

	if (optional && e.code == E_LOCAL_NOT_FOUND)
		return ERR(E_OK);
	if (!failed(e))
		e = json_parse(buf_bytes(&text), text.max, &c->file, &why);
	if (!failed(e))
		e = read_members(c, t, &why);
	if (!failed(e))
		return ERR(E_OK);
	reason_set(reterr, "%s: %s", path, why.text[0] != '\0' ? why.text : err_text(e));
	return ERR(E_LOCAL_CONFIG);
}

static void prefer(const char **to, const char *said)
{
	if (said != NULL && said[0] != '\0')
		*to = said;
}

static void prefer_s(unsigned *to, uint64_t said)
{
	if (said != 0)
		*to = (unsigned)said;
}

static struct err take_flags(const struct conf_flags *f, struct conf *c, struct texts *t, struct reason *reterr)
{
	prefer(&c->tcti, getenv("TPM2TOOLS_TCTI"));
	prefer(&c->tcti, getenv("ASSAY_TCTI"));
	prefer(&c->tcti, f->tcti);
	prefer(&c->verifier_url, f->verifier);
	prefer(&c->ca_file, f->ca);
	prefer(&c->state_dir, f->state_dir);
	prefer(&c->socket, getenv("ASSAY_SOCKET"));
	prefer(&c->socket, f->socket);
	prefer(&t->ak, f->ak);
	prefer(&t->ak_handle, f->ak_handle);
	prefer(&t->ek, f->ek);
	prefer(&c->firmware_log, f->firmware_log);
	prefer(&c->userspace_log, f->userspace_log);
	prefer(&c->ima_list, f->ima_list);
	prefer(&c->ek_cert, f->ek_cert);
	prefer(&c->endorsement_auth_file, f->endorsement_auth_file);
	prefer(&c->owner_auth_file, f->owner_auth_file);
	prefer(&c->user, f->user);
	prefer(&c->containers, f->containers);
	prefer(&c->log_level, f->log_level);
	prefer_s(&c->interval_s, f->interval_s);
	prefer_s(&c->tpm_timeout_s, f->tpm_timeout_s);
	prefer_s(&c->timeout_s, f->timeout_s);
	prefer_s(&c->grace_s, f->grace_s);
	if (f->ek_chain.n == 0)
		return ERR(E_OK);
	if (f->ek_chain.n > CONF_CHAIN_FILES) {
		reason_set(reterr, "--ek-chain: at most %d files", CONF_CHAIN_FILES);
		return ERR(E_LOCAL_CONFIG);
	}
	c->n_ek_chain = f->ek_chain.n;
	memcpy(c->ek_chain, f->ek_chain.v, f->ek_chain.n * sizeof(c->ek_chain[0]));
	return ERR(E_OK);
}

const char *conf_socket(const struct conf_flags *flags)
{
	const char *path = CONF_SOCKET;

	prefer(&path, getenv("ASSAY_SOCKET"));
	prefer(&path, flags->socket);
	return path;
}

/* "0x81010a55" in the owner's range of persistent handles. */
static struct err parse_handle(const char *s, TPM2_HANDLE *ret)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(s, &end, 16);
	if (strncmp(s, "0x", 2) != 0 || strlen(s) != 10 || errno != 0 || *end != '\0' || v < AK_HANDLE_FIRST ||
	    v > AK_HANDLE_LAST)
		return ERR(E_LOCAL_CONFIG);
	*ret = (TPM2_HANDLE)v;
	return ERR(E_OK);
}

static struct err take_texts(const struct texts *t, struct conf *c, struct reason *reterr)
{
	enum log_level level;

	if (failed(ak_kind_parse(t->ak, &c->ak))) {
		reason_set(reterr, "ak: \"%s\" is neither ecc-p256 nor rsa-2048", log_quote(bytes_str(t->ak)));
		return ERR(E_LOCAL_CONFIG);
	}
	if (failed(parse_handle(t->ak_handle, &c->ak_handle))) {
		reason_set(reterr, "ak_handle: \"%s\" is not from 0x%x to 0x%x, the owner's persistent handles",
			   log_quote(bytes_str(t->ak_handle)), AK_HANDLE_FIRST, AK_HANDLE_LAST);
		return ERR(E_LOCAL_CONFIG);
	}
	if (failed(ek_kind_parse(t->ek, &c->ek))) {
		reason_set(reterr, "ek: \"%s\" is not auto, rsa-2048, ecc-p384 or ecc-p256",
			   log_quote(bytes_str(t->ek)));
		return ERR(E_LOCAL_CONFIG);
	}
	if (failed(log_level_parse(c->log_level, &level))) {
		reason_set(reterr, "log_level: \"%s\" is not error, warning, info or debug",
			   log_quote(bytes_str(c->log_level)));
		return ERR(E_LOCAL_CONFIG);
	}
	if (c->tpm_timeout_s == 0 || c->tpm_timeout_s > TPM_TIMEOUT_MAX_S) {
		reason_set(reterr, "tpm_timeout_s must be from 1 to %d", TPM_TIMEOUT_MAX_S);
		return ERR(E_LOCAL_CONFIG);
	}
	if (c->timeout_s == 0 || c->grace_s > 3600) {
		reason_set(reterr, "timeout_s must not be 0, grace_s not above 3600");
		return ERR(E_LOCAL_CONFIG);
	}
	return ERR(E_OK);
}

struct err conf_load(const struct conf_flags *flags, struct conf *ret, struct reason *reterr)
{
	struct texts t = { .ak = "ecc-p256", .ak_handle = "0x81010a55", .ek = "auto" };
	cleanup_conf struct conf c = {
		.state_dir = "/var/lib/assay/attest",
		.socket = CONF_SOCKET,
		.tcti = "device:/dev/tpmrm0",
		.user = "nobody",
		.containers = CONF_CONTAINERS,
		.tpm_timeout_s = TPM_TIMEOUT_S,
		.firmware_log = CONF_FIRMWARE_LOG,
		.userspace_log = CONF_USERSPACE_LOG,
		.ima_list = CONF_IMA_LIST,
		.timeout_s = 30,
		.grace_s = 10,
		.log_level = "warning",
	};
	struct err e;

	if (failed(e = read_file(flags->config != NULL ? flags->config : CONF_FILE, flags->config == NULL, &c, &t,
				 reterr)) ||
	    failed(e = take_flags(flags, &c, &t, reterr)) || failed(e = take_texts(&t, &c, reterr)))
		return e;
	*ret = c;
	c = (struct conf){ 0 };
	return ERR(E_OK);
}
