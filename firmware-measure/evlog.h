/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TCG firmware event log: a bounded reader that borrows everything.
 *
 * Two formats. SHA-1: TCG_PCR_EVENT after TCG_PCR_EVENT. Crypto-agile: one
 * TCG_PCR_EVENT that holds the SpecID header ("Spec ID Event03") with the list
 * of algorithms, then TCG_PCR_EVENT2. The log of a confidential VM (ACPI CCEL)
 * is a crypto-agile log whose register index is its own (0..4).
 *
 * Reading says what stands there, not whether it makes sense: that is
 * evlog_check.h. What cannot be read is an error with its offset, and the rest
 * of such a log must not be used.
 *
 * An event is *not* covered by its digest in index, type and, for some types,
 * data. Use data through evdata.h, which knows what is.
 *
 *   struct evlog_pos pos = { 0 };
 *   struct evlog_event ev;
 *
 *   if (failed(e = evlog_open(raw, &log, &fault)))
 *           return e;
 *   for (;;) {
 *           if (failed(e = evlog_next(&log, &pos, &ev, &fault)))
 *                   return e;
 *           if (ev.end)
 *                   break;
 *           ...
 *   }
 *
 * Source: TCG PC Client Platform Firmware Profile 1.06, 10 (event logging).
 */
#ifndef ASSAY_MEASURE_EVLOG_H
#define ASSAY_MEASURE_EVLOG_H

#include "base/digest.h"
#include "base/limits.h"

enum evlog_format {
	EVLOG_SHA1,
	EVLOG_AGILE,
};

#define EVLOG_NO_PCR 0xffffffffU /* register of an EV_NO_ACTION event that is about none */
#define EVLOG_MAX_ALGS 16   /* algorithms in a header */
#define EVLOG_MAX_DIGEST 64 /* bytes of a digest whose algorithm we do not know */

/* PFP 1.06, 10.4.1, table of event types. */
enum evlog_type {
	EV_PREBOOT_CERT = 0x0,
	EV_POST_CODE = 0x1,
	EV_UNUSED = 0x2,
	EV_NO_ACTION = 0x3,
	EV_SEPARATOR = 0x4,
	EV_ACTION = 0x5,
	EV_EVENT_TAG = 0x6,
	EV_S_CRTM_CONTENTS = 0x7,
	EV_S_CRTM_VERSION = 0x8,
	EV_CPU_MICROCODE = 0x9,
	EV_PLATFORM_CONFIG_FLAGS = 0xa,
	EV_TABLE_OF_DEVICES = 0xb,
	EV_COMPACT_HASH = 0xc,
	EV_IPL = 0xd,
	EV_IPL_PARTITION_DATA = 0xe,
	EV_NONHOST_CODE = 0xf,
	EV_NONHOST_CONFIG = 0x10,
	EV_NONHOST_INFO = 0x11,
	EV_OMIT_BOOT_DEVICE_EVENTS = 0x12,
	EV_POST_CODE2 = 0x13,
};
/* Above the range of int, so no enumerators. */
#define EV_EFI_VARIABLE_DRIVER_CONFIG 0x80000001U
#define EV_EFI_VARIABLE_BOOT 0x80000002U
#define EV_EFI_BOOT_SERVICES_APPLICATION 0x80000003U
#define EV_EFI_BOOT_SERVICES_DRIVER 0x80000004U
#define EV_EFI_RUNTIME_SERVICES_DRIVER 0x80000005U
#define EV_EFI_GPT_EVENT 0x80000006U
#define EV_EFI_ACTION 0x80000007U
#define EV_EFI_PLATFORM_FIRMWARE_BLOB 0x80000008U
#define EV_EFI_HANDOFF_TABLES 0x80000009U
#define EV_EFI_PLATFORM_FIRMWARE_BLOB2 0x8000000aU
#define EV_EFI_HANDOFF_TABLES2 0x8000000bU
#define EV_EFI_VARIABLE_BOOT2 0x8000000cU
#define EV_EFI_GPT_EVENT2 0x8000000dU
#define EV_EFI_HCRTM_EVENT 0x80000010U
#define EV_EFI_VARIABLE_AUTHORITY 0x800000e0U
#define EV_EFI_SPDM_FIRMWARE_BLOB 0x800000e1U
#define EV_EFI_SPDM_FIRMWARE_CONFIG 0x800000e2U
#define EV_EFI_SPDM_DEVICE_POLICY 0x800000e3U
#define EV_EFI_SPDM_DEVICE_AUTHORITY 0x800000e4U

/* "EV_SEPARATOR"; NULL for a type that is not in the list above. */
const char *evlog_type_name(uint32_t type);
/* The type with this name. E_PEER_RANGE. */
must_check struct err evlog_type_by_name(struct bytes name, uint32_t *ret);

/* Where and why a log cannot be read. */
struct evlog_fault {
	size_t off; /* bytes from the start of the log */
	struct reason why;
};

struct evlog_alg {
	uint16_t tpm_alg;               /* TCG algorithm registry */
	uint16_t size;                  /* bytes, 1..EVLOG_MAX_DIGEST, the known size where the algorithm is known */
	const struct digest_alg *known; /* NULL for an algorithm that is only skipped */
};

/* A log that was opened. Nothing is allocated; raw must outlive it. */
struct evlog {
	struct bytes raw;
	size_t pad_off; /* the longest tail that is all-00 or all-FF begins here; raw.n where there is none */
	enum evlog_format format;
	bool has_spec_id;      /* the first event is a SpecID of any format */
	uint32_t header_index; /* register index of the first event: 0, or 1 in logs of confidential VMs */
	uint8_t version_major, version_minor, errata; /* of the profile that the firmware follows; 0 without SpecID */
	size_t n_algs;                                /* SHA-1 format: 1 */
	struct evlog_alg alg[EVLOG_MAX_ALGS];
	uint32_t banks; /* bit (1 << enum digest_id) for each algorithm of the log that we know */
};

/* Position in a log: all zero at the start. A copy of it continues where it was made. */
struct evlog_pos {
	size_t off;
	size_t index; /* of the next event, from 0; the SpecID event counts */
};

struct evlog_event {
	bool end;          /* no event any more, everything else is unset */
	size_t index;      /* 0 is the first event of the log */
	size_t off;        /* where it begins, bytes from the start of the log */
	uint32_t pcr;      /* 0..23, for EV_NO_ACTION also EVLOG_NO_PCR; in a CCEL log its own register index */
	uint32_t type;     /* enum evlog_type or any other number */
	struct bytes data; /* view; not yet verified, see evdata.h */
	/*
	 * By bank, views of the algorithm's size, n == 0 where the event has none.
	 * The SpecID header has none at all.
	 */
	struct bytes digest[N_DIGESTS];
	uint32_t missing;  /* banks of the log that the event lacks, bits as in evlog.banks */
	uint32_t repeated; /* banks that it has more than once; digest[] holds the first */
	bool uneven;       /* also an algorithm that we do not know is missing or repeated */
};

/*
 * Recognises the format and reads the header.
 *
 * raw     whole log as the firmware gave it, at most LIMIT_EVLOG bytes; borrowed by *ret
 * reterr  set on failure; may be NULL
 *
 * E_PEER_TRUNCATED (also for no bytes); E_LIMIT_SIZE; of the header:
 * E_PEER_RANGE (no algorithm, size 0 or above 64, wrong size of a known
 * algorithm), E_PEER_DUPLICATE, E_LIMIT_COUNT, E_PEER_TRAILING.
 *
 * Source: PFP 1.06, 10.4.5.1.
 */
must_check struct err evlog_open(struct bytes raw, struct evlog *ret, struct evlog_fault *reterr);

/*
 * Reads the next event and advances. At the end: E_OK with ret->end; padding
 * counts as the end if it is all-00 or all-FF, of at least 8 bytes, and runs to
 * the last byte (fewer can be an event that was cut).
 *
 * E_PEER_TRUNCATED; E_PEER_RANGE (register above 23 but for an EV_NO_ACTION
 * event about no register, no digest, all-zero event
 * that is no padding); E_PEER_UNSUPPORTED (algorithm that the header does not
 * declare); E_LIMIT_COUNT (more than 16 digests). On failure *pos and *ret are
 * unchanged and pos->off is where the event begins; reterr->off may be further in.
 */
must_check struct err evlog_next(const struct evlog *log, struct evlog_pos *pos, struct evlog_event *ret,
				 struct evlog_fault *reterr);

static inline bool evlog_has_bank(const struct evlog *log, enum digest_id bank)
{
	return (log->banks >> bank & 1) != 0;
}

/* An EV_NO_ACTION event says something to the reader of the log and was not extended. The header is one. */
static inline bool evlog_extends(const struct evlog_event *ev)
{
	return ev->type != EV_NO_ACTION;
}

#endif
