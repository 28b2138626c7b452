/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a boot will measure, computed before it from the files that it will
 * load: a list of events with their digests, and the registers that follow.
 *
 * Files say nothing about the firmware, so few registers are determined by
 * them alone. With the log of an earlier boot of the same machine the events
 * that come from elsewhere are taken from there and the predicted ones put in
 * the place of those that they replace: predict_on_base().
 */
#ifndef ASSAY_MEASURE_PREDICT_H
#define ASSAY_MEASURE_PREDICT_H

#include "firmware-measure/evlog.h"
#include "firmware-measure/pe.h"
#include "firmware-measure/replay.h"

#define PREDICT_MAX_EVENTS 256
#define PREDICT_MAX_NOTES 16
#define PREDICT_MAX_LINE 4096         /* bytes of a kernel command line, as in a platform profile */
#define PREDICT_USERSPACE 0xffffffffU /* type of what systemd-pcrphase extends: it has no firmware event */

/* What an event is, so that the one of an earlier boot can be found. */
enum predict_role {
	ROLE_NONE, /* of an event in a log: comes from elsewhere, stays as it is */
	ROLE_SHIM,
	ROLE_GRUB,
	ROLE_UKI,
	ROLE_KERNEL,       /* PCR 4, once for each time that the kernel was measured */
	ROLE_SECTION,      /* PCR 11 */
	ROLE_PHASE,        /* PCR 11, from userspace */
	ROLE_PARAMETER,    /* PCR 12 */
	ROLE_SYSEXT,       /* PCR 13 */
	ROLE_LOAD_OPTIONS, /* PCR 9, by the kernel */
	ROLE_LINUX_INITRD, /* PCR 9, by the kernel */
	ROLE_CONFIG,       /* PCR 9: grub.cfg */
	ROLE_COMMAND,      /* PCR 8: a command of grub.cfg, all of them together */
	ROLE_CMD_LINUX,    /* PCR 8: the same where only this one is known */
	ROLE_CMD_INITRD,
	ROLE_CMDLINE,     /* PCR 8: "kernel_cmdline: ..." */
	ROLE_FILE_KERNEL, /* PCR 9: what GRUB read */
	ROLE_FILE_INITRD,
};

struct predict_event {
	enum predict_role role;
	uint32_t pcr;
	uint32_t type;                   /* as in evlog.h, or PREDICT_USERSPACE */
	bool optional;                   /* left out on a base that has none of this role; predict_optional() */
	char what[160];                  /* for people; printable */
	struct digest digest[N_DIGESTS]; /* n == 0 in banks that were not asked for */
};

struct prediction {
	uint32_t banks; /* bit (1 << enum digest_id) for each bank wanted */
	size_t n;
	struct predict_event ev[PREDICT_MAX_EVENTS]; /* in order within each register */
	uint32_t complete;                           /* bit per register that these events determine, nothing else */
	uint32_t uncertain;              /* bit per register that no log can complete either; a note says why */
	char line[PREDICT_MAX_LINE + 1]; /* the kernel's command line, printable ASCII; empty where it is not certain */
	size_t n_notes;
	struct reason note[PREDICT_MAX_NOTES]; /* what could not be determined, for people */
};

/* An empty list. Large: keep it on the heap. */
void predict_init(struct prediction *p, uint32_t banks);

/*
 * Adds an event whose digest is that of the parts together. what is a printf
 * format; foreign text in it has gone through log_quote().
 * E_LIMIT_COUNT, and the errors of digest_of(). On failure p is unchanged.
 */
must_check struct err predict_add(struct prediction *p, enum predict_role role, uint32_t pcr, uint32_t type,
				  size_t n_parts, const struct bytes *parts, const char *what, ...) printf_like(7, 8);

/* Adds the start of an EFI application, PCR 4: its Authenticode digest. */
must_check struct err predict_add_image(struct prediction *p, enum predict_role role, const struct pe *pe,
					const char *what);

/* The event added last depends on the machine: a base that has none of its role says that this one has none. */
void predict_optional(struct prediction *p);

/* The kernel's command line, as a boot loader or the kernel measures it. One that is no plain text is not kept. */
void predict_line(struct prediction *p, struct bytes line);

/* One more thing that could not be determined. Further ones than fit are dropped. */
void predict_note(struct prediction *p, const char *fmt, ...) printf_like(2, 3);

/* The register as the predicted events leave it, from zero. E_LOCAL_CRYPTO and so on. */
must_check struct err predict_pcr(const struct prediction *p, enum digest_id bank, uint32_t pcr, struct digest *ret);

/* What will differ from the base boot. */
struct predict_change {
	uint32_t pcr;
	char what[160];
	struct digest was, will_be; /* n == 0: there was none, or will be none */
};

struct predict_result {
	struct replay replay; /* registers of the bank after the boot; those in uncertain are not to be used */
	uint32_t uncertain;
	bool left_out[PREDICT_MAX_EVENTS]; /* of the predicted events: optional, and the base has none of the role */
	size_t n_changes;
	struct predict_change change[2 * PREDICT_MAX_EVENTS];
};

/*
 * Replays the base log with the predicted events in the place of those of the
 * same role; further ones of a role that the base has go where its first
 * stands, ones of a role it has not to the end of their register.
 *
 * base    log of an earlier boot of the same machine, of the same kind
 * ret     large: keep it on the heap
 *
 * E_PEER_MISSING: the base shows no boot of this kind (no boot application
 * after the separator, no section measured by systemd-stub); E_PEER_RANGE: an
 * event of the base has no digest in this bank; E_PEER_UNSUPPORTED: the base
 * has no such bank; E_LIMIT_COUNT; errors of evlog_next() and replay.
 */
must_check struct err predict_on_base(const struct prediction *p, const struct evlog *base, enum digest_id bank,
				      struct predict_result *ret, struct reason *reterr);

#endif
