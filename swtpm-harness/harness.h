/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Software TPMs for tests: made, started, reset, suspended, cut from power,
 * replaced and taken down, one or a fleet of them. The library behind
 * swtpm-harness(1); C tests link it.
 *
 * Everything lies in one folder, which only the harness writes to:
 *
 *   DIR/ca/{root,issuer}.{pem,key}          CA of the good EK certificates
 *   DIR/foreign-ca/{root,issuer}.{pem,key}  another one, chained to nothing in ca/
 *   DIR/tpm-N/tcti                          TCTI text, "swtpm:path=DIR/tpm-N/sock"
 *   DIR/tpm-N/pid                           "PID START BOOT", present while the TPM runs
 *   DIR/tpm-N/sock, sock.ctrl               data and control channel of swtpm
 *   DIR/tpm-N/ek-rsa.pem, ek-ecc.pem        EK certificates, absent with HARNESS_CERT_NONE
 *   DIR/tpm-N/ek-rsa.pub, ek-ecc.pub        EK public keys (PEM SubjectPublicKeyInfo)
 *   DIR/tpm-N/log                           output of swtpm_setup and swtpm
 *   DIR/tpm-N/state/                        swtpm's own; tpm.json, suspended: ours
 *
 * A TPM has an RSA-2048 EK at 0x81010001 with its certificate at NV 0x01c00002
 * and an ECC P-384 EK at 0x81010016 with its certificate at NV 0x01c00016.
 * Certificates run root -> issuer -> EK.
 *
 * swtpm serves one connection at a time. Functions that talk to the TPM wait
 * for other users until their deadline: E_LOCAL_TIMEOUT.
 *
 * Only processes that the harness started are signalled. A process is known by
 * its id, its start time and the machine's boot, so a reused id is left alone.
 *
 * Common errors: E_LOCAL_NOT_FOUND (no harness folder, swtpm not installed: the
 * reason names the package), E_LOCAL_TIMEOUT, E_LOCAL_IO, E_LOCAL_TPM,
 * E_LOCAL_MEMORY, E_BUG (index >= harness_count()). E_AUTH_CONFLICT: the TPM is
 * not in the power state that the call needs. reterr may be NULL everywhere.
 */
#ifndef ASSAY_SWTPM_HARNESS_HARNESS_H
#define ASSAY_SWTPM_HARNESS_HARNESS_H

#include <sys/types.h>

#include "base/digest.h"

#define HARNESS_TPMS_MAX 1024
#define HARNESS_TIMEOUT_MS 60000
#define HARNESS_TCTI_SIZE 160

enum harness_cert {
	HARNESS_CERT_GOOD,    /* chain up to ca/root.pem, valid to the end of 9999 */
	HARNESS_CERT_NONE,    /* no certificate in NV */
	HARNESS_CERT_FOREIGN, /* chain up to foreign-ca/root.pem */
	HARNESS_CERT_EXPIRED, /* as GOOD, but it ended in the past */
	HARNESS_CERT_CA,      /* as GOOD, but basicConstraints says CA:TRUE */
};

enum harness_power {
	HARNESS_ON,
	HARNESS_SUSPENDED, /* after Shutdown(STATE); waits for resume or restart */
	HARNESS_OFF,       /* no process; harness_reset() starts it */
};

struct harness_options {
	const char *dir;        /* made where absent; NULL: a new folder below $TMPDIR */
	size_t count;           /* TPMs to add; 0 means 1 */
	const char *banks;      /* "sha256,sha384": of sha1, sha256, sha384, sha512; NULL: "sha256" */
	enum harness_cert cert;
	unsigned timeout_ms;    /* for each TPM's manufacture; 0: HARNESS_TIMEOUT_MS */
	int cancel_fd;          /* readable means stop and leave nothing behind; 0: none */
	void (*progress)(void *ctx, size_t n_done, size_t n_total); /* or NULL */
	void *progress_ctx;
};

struct harness_info {
	char tcti[HARNESS_TCTI_SIZE];
	pid_t pid;                 /* 0 unless power is HARNESS_ON */
	enum harness_power power;
	enum harness_cert cert;
	char banks[40];
	uint8_t ek_sha256[32];     /* SHA-256 of the RSA EK's SubjectPublicKeyInfo */
	uint8_t ek_ecc_sha256[32]; /* of the P-384 EK's */
};

/* TPMS_TIME_INFO. */
struct harness_clock {
	uint64_t time_ms, clock_ms;
	uint32_t reset_count, restart_count;
	bool safe;
};

struct harness;

/* True where swtpm and swtpm_setup are in PATH. Tests skip otherwise. */
bool harness_available(void);

/*
 * Adds o->count running TPMs to o->dir; indexes go on after those that are
 * there. The CA is made once. On failure, and when cancelled (E_LOCAL_BUSY),
 * the new TPMs are gone again, and so is the folder when it was new.
 * E_LIMIT_SIZE: a socket path would not fit into sockaddr_un; the reason has the
 * limit. E_PEER_RANGE: count, banks, a comma in dir. E_LOCAL_EXISTS: dir holds
 * something else.
 */
must_check struct err harness_up(const struct harness_options *o, struct harness **ret, struct reason *reterr);

/* An existing folder. */
must_check struct err harness_open(const char *dir, struct harness **ret, struct reason *reterr);

/*
 * Stops every TPM in order (Shutdown(CLEAR), then the process) and, unless
 * keep, removes the folder. A TPM whose connection is held by somebody else is
 * stopped without Shutdown. h stays valid; without keep its count is 0.
 */
must_check struct err harness_down(struct harness *h, bool keep, struct reason *reterr);

/* Frees memory; the TPMs go on. */
void harness_free(struct harness *h);

/* For tests: takes the TPMs down, removes the folder, frees. NULL is allowed. */
void harness_down_free(struct harness *h);
DEFINE_CLEANUP(struct harness, cleanup_harness_, harness_down_free)
#define cleanup_harness cleanup(cleanup_harness_)

size_t harness_count(const struct harness *h);
/* Absolute paths, and the TCTI text; borrowed, NULL for an index out of range. */
const char *harness_dir(const struct harness *h);
const char *harness_root(const struct harness *h); /* DIR/ca/root.pem */
const char *harness_tcti(const struct harness *h, size_t i);
const char *harness_tpm_dir(const struct harness *h, size_t i);

/* Does not talk to the TPM. */
must_check struct err harness_info(const struct harness *h, size_t i, struct harness_info *ret, struct reason *reterr);

/* TPM2_ReadClock, and one PCR (E_LOCAL_NOT_FOUND where its bank is off). */
must_check struct err harness_clock(const struct harness *h, size_t i, struct harness_clock *ret,
				    struct reason *reterr);
must_check struct err harness_pcr_read(const struct harness *h, size_t i, enum digest_id bank, unsigned pcr,
				       struct digest *ret, struct reason *reterr);

/*
 * Transitions. What they do to TPMS_CLOCK_INFO and to PCR 0-15:
 *
 *   reset       Shutdown(CLEAR), Startup(CLEAR)  resetCount + 1, restartCount 0; PCRs zero
 *   suspend     Shutdown(STATE), process ends
 *   resume      Startup(STATE)                   restartCount + 1; PCRs kept
 *   restart     Startup(CLEAR) after suspend     restartCount + 1; PCRs zero
 *   power_loss  kill, Startup(CLEAR)             resetCount + 1, restartCount 0, not safe, clock may fall; PCRs zero
 *   clear       TPM2_Clear by platform           both counters and clock 0, safe; PCRs kept; persistent EKs
 *                                                gone, certificates stay
 *   replace     another TPM, other seeds, in the same place with the same banks and kind of certificate
 *
 * An orderly transition leaves safe as it was; an unsafe clock becomes safe again
 * within 4.1 seconds of running.
 *
 * harness_reset() of a TPM that is off or suspended starts it with
 * Startup(CLEAR). harness_resume() and harness_restart() need a suspended TPM;
 * suspend, power_loss and clear a running one: E_AUTH_CONFLICT.
 * Sockets and TCTI text stay the same throughout.
 */
must_check struct err harness_reset(struct harness *h, size_t i, struct reason *reterr);
must_check struct err harness_suspend(struct harness *h, size_t i, struct reason *reterr);
must_check struct err harness_resume(struct harness *h, size_t i, struct reason *reterr);
must_check struct err harness_restart(struct harness *h, size_t i, struct reason *reterr);
must_check struct err harness_power_loss(struct harness *h, size_t i, struct reason *reterr);
must_check struct err harness_clear(struct harness *h, size_t i, struct reason *reterr);
must_check struct err harness_replace(struct harness *h, size_t i, struct reason *reterr);

/* TPM2_PCR_Event: every bank that is on hashes data (at most 1024 bytes) and extends. */
must_check struct err harness_extend(struct harness *h, size_t i, unsigned pcr, struct bytes data,
				     struct reason *reterr);
/* TPM2_PCR_Extend of one bank with a ready digest. */
must_check struct err harness_extend_digest(struct harness *h, size_t i, unsigned pcr, enum digest_id bank,
					    struct bytes digest, struct reason *reterr);

/* Names for options and JSON: "good", "none", "foreign", "expired", "ca"; "on", "suspended", "off". */
const char *harness_cert_name(enum harness_cert c);
const char *harness_power_name(enum harness_power p);

#endif
