/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration of assay-attest: defaults, then the file (strict JSON,
 * assay-attest.json(5)), then environment (TCTI and socket only), then options. Every key of
 * the file is an option too.
 */
#ifndef ASSAY_ATTEST_CONF_H
#define ASSAY_ATTEST_CONF_H

#include "attest/ak.h"
#include "attest/ek_kind.h"
#include "base/args.h"
#include "base/json.h"

#define CONF_CHAIN_FILES 8

/* Strings live as long as the struct. NULL where nothing was said and there is no default. */
struct conf {
	const char *verifier_url, *ca_file;
	const char *state_dir;
	const char *socket;                   /* of the daemon */
	const char *tcti;
	enum ak_kind ak;
	TPM2_HANDLE ak_handle;
	enum ek_kind ek;
	const char *firmware_log, *ima_list;  /* files of the kernel */
	const char *userspace_log;            /* systemd's */
	const char *ek_cert;                  /* file; NULL: from NV */
	size_t n_ek_chain;
	const char *ek_chain[CONF_CHAIN_FILES];
	const char *endorsement_auth_file, *owner_auth_file;
	const char *containers;               /* file: rules for containers, assay-containers(5) */
	const char *user;                     /* for `run`: name or number */
	unsigned interval_s;                  /* longest time between attestations; 0: a third of the verdict's life */
	unsigned tpm_timeout_s;               /* of one command to the TPM that makes no key */
	unsigned timeout_s;                   /* of one request to the verifier, and for locks */
	unsigned grace_s;                     /* between TERM and KILL */
	const char *log_level;
	json_t *file;                         /* owner of what came from the file */
};
void conf_done(struct conf *c);
#define cleanup_conf cleanup(conf_done)

/* What options said; zero and NULL mean nothing. Fill it in by conf_options(). */
struct conf_flags {
	const char *config, *verifier, *ca, *state_dir, *socket, *tcti, *ak, *ak_handle, *ek, *ek_cert;
	const char *firmware_log, *userspace_log, *ima_list;
	struct opt_list ek_chain;
	const char *endorsement_auth_file, *owner_auth_file, *user, *containers, *log_level;
	uint64_t interval_s, tpm_timeout_s, timeout_s, grace_s;
};
#define CONF_OPTS 23
#define CONF_SOCKET "/run/assay-attest/attest.sock"
/* The options, for struct program's common ones; they write to *to. */
void conf_options(struct conf_flags *to, struct opt ret[CONF_OPTS]);

/*
 * A configuration file that is named must be there; the default one may be
 * absent. E_LOCAL_CONFIG with key and cause in the reason.
 */
must_check struct err conf_load(const struct conf_flags *flags, struct conf *ret, struct reason *reterr);

/*
 * Where the daemon's socket is, without reading the configuration, which an agent may not be able to: the option, then
 * $ASSAY_SOCKET, then CONF_SOCKET.
 */
const char *conf_socket(const struct conf_flags *flags);

#endif
