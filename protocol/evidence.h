/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evidence: what a host sends to POST /v1/attest, as deterministic CBOR
 * (application/vnd.assay.evidence+cbor). CDDL: evidence and claims in
 * assay.cddl, which numbers the members.
 *
 * Only `claims` (whose SHA-256 is in the quote), structures signed by the AK,
 * logs that PCRs cover, and PCR values that match pcrDigest are used.
 *
 *   qualifyingData = SHA-256("assay evidence v1" 00 || nonce || SHA-256(claims))
 *   extraData of a key's certify = SHA-256("assay key v1" 00 || nonce || SHA-256(claims) || key Name)
 */
#ifndef ASSAY_PROTOCOL_EVIDENCE_H
#define ASSAY_PROTOCOL_EVIDENCE_H

#include "protocol/tpmw.h"

#define EVIDENCE_MEDIA_TYPE "application/vnd.assay.evidence+cbor"
#define NONCE_LEN 57 /* version 1, time 8, random 16, HMAC 32 */
#define BOOT_ID_LEN 32
#define HOST_ID_LEN 34 /* "h-" and 32 hex digits */
#define ISSUER_MAX 256
#define PRESENTED_ID_LEN 16

/* Boot id on the wire: SHA-256("assay boot v1" 00 || Name of the null primary || u32be resetCount || u32be restartCount). */
must_check struct err boot_id_of(const struct tpm_name *null_primary, uint32_t reset_count, uint32_t restart_count,
				 uint8_t ret[BOOT_ID_LEN]);

/* Host id: "h-" and the first 32 hex digits of SHA-256("assay host v1" 00 || EK TPMT_PUBLIC). With a NUL. */
must_check struct err host_id_of(const struct tpm_public *ek, char ret[HOST_ID_LEN + 1]);
/* Whether text has that form: "h-" and 32 lower-case hex digits. */
bool host_id_valid(struct bytes id);

/* Whether n bytes is the size of some bank's PCR values. */
bool pcr_size_valid(size_t n);

struct evidence_claims {
	struct bytes issuer;       /* verifier's issuer URL, text */
	struct bytes host_id;      /* text */
	struct bytes ak_name;
	uint8_t boot_id[BOOT_ID_LEN];
	struct bytes nonce;        /* NONCE_LEN bytes */
	struct pcr_selection selection;
	uint64_t log_offset;       /* bytes of the workload log that the verifier holds already */
	uint64_t log_records;      /* records before that offset */
	struct bytes log_pcr;      /* value of the workload PCR at that offset in the selection's bank; empty at offset 0 */
	bool has_ima;              /* a part of the IMA list is sent */
	uint64_t ima_offset;       /* bytes of the list before that part */
	size_t n_instances;        /* live instances whose keys are presented; decoded ones ascend by id */
	struct {
		uint8_t instance[PRESENTED_ID_LEN];
		struct bytes key_name;
	} instance[LIMIT_INSTANCES];
};

/* A public area with the AK's certification. */
struct evidence_key {
	struct bytes public_area;  /* TPMT_PUBLIC */
	struct bytes attest;       /* TPMS_ATTEST, type certify */
	struct bytes signature;    /* TPMT_SIGNATURE */
};

struct evidence {
	struct bytes claims;       /* encoded evidence_claims */
	struct bytes quote;        /* TPMS_ATTEST */
	struct bytes signature;    /* TPMT_SIGNATURE */
	size_t n_pcrs;             /* equals the number of selected PCRs */
	struct bytes pcr[LIMIT_BANKS * LIMIT_PCRS];
	struct bytes log;          /* workload log from log_offset on; at most LIMIT_WORKLOAD_LOG */
	bool has_boot;             /* once per boot: the null primary, certified; its extraData uses the key rule above */
	struct evidence_key boot;
	bool has_firmware_log;
	struct bytes firmware_log; /* whole, as the firmware left it; 1..LIMIT_FIRMWARE_LOG bytes */
	bool has_command_line;     /* only beside a firmware log */
	struct bytes command_line; /* as the kernel runs; only digests in that log cover it; 1..LIMIT_COMMAND_LINE bytes */
	bool has_userspace_log;
	struct bytes userspace_log; /* systemd's, from its first record on; a longer one is cut to LIMIT_USERSPACE_LOG */
	bool has_ima;
	struct bytes ima;          /* list of the kernel from claims.ima_offset on, in its binary form; at most LIMIT_IMA_PART */
	size_t n_keys;             /* new workload keys */
	struct evidence_key key[LIMIT_INSTANCES];
};

/*
 * Both structs are large: allocate them. Views borrow from `in`. Of keys and
 * instances, only those that are counted are written to *ret. Decoders
 * take the whole input, in deterministic form (base/cborx.h), with the members
 * of the CDDL and no others; E_PEER_*, E_LIMIT_SIZE, E_LIMIT_COUNT,
 * E_LOCAL_MEMORY. What they check is form: claims name a well-formed host id
 * and Names, selection banks are unique, records and log PCR are empty exactly
 * at log offset 0, instances ascend by id. What a value means is for appraisal.
 */
must_check struct err evidence_decode(struct bytes in, struct evidence *ret);
must_check struct err evidence_claims_decode(struct bytes in, struct evidence_claims *ret);

/*
 * Encoders append; ret is unchanged on failure. Values are written as they
 * are, instances in ascending order of their ids whatever their order in c.
 * E_BUG (a count above its array), E_LIMIT_SIZE, E_LOCAL_MEMORY.
 */
must_check struct err evidence_encode(const struct evidence *ev, struct buf *ret);
must_check struct err evidence_claims_encode(const struct evidence_claims *c, struct buf *ret);

/* The two derived values on top of this page. E_PEER_RANGE unless nonce has NONCE_LEN bytes. */
must_check struct err evidence_qualifying_data(struct bytes nonce, struct bytes claims, uint8_t ret[32]);
must_check struct err evidence_key_extra_data(struct bytes nonce, struct bytes claims, struct bytes key_name,
					      uint8_t ret[32]);

#endif
