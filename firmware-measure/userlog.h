/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What systemd measured after the firmware had handed over: its log in
 * /run/log/systemd/tpm2-measure.log, a sequence of JSON texts (RFC 7464), each
 * a record of the TCG Canonical Event Log without its number:
 *
 *   {"pcr": 11, "digests": [{"hashAlg": "sha256", "digest": HEX}, ...],
 *    "content_type": "systemd",
 *    "content": {"eventType": "phase", "string": "ready", "bootId": ..., "timestamp": ...}}
 *
 * "nv_index" stands in the place of "pcr" where systemd extended an NV index;
 * no quote covers that, so such a record is only named.
 *
 * Registers cover the digests, and a digest covers content.string for most
 * types: userlog_verify() says whether it does. It never does where systemd
 * measured a keyed hash of a secret (volume keys). Type, time and boot id are
 * what the log says and nothing more. Contents of a type that is not
 * systemd's are not looked into.
 *
 * systemd appends under a lock, after it has extended. A log that is read
 * without that lock may end in a record that was cut.
 *
 * Source: TCG Canonical Event Log Format 1.0, 5.3 (JSON encoding); systemd's
 * TPM2_PCR_MEASUREMENTS and systemd-pcrextend(8), versions 254 to 261.
 */
#ifndef ASSAY_MEASURE_USERLOG_H
#define ASSAY_MEASURE_USERLOG_H

#include <jansson.h>

#include "firmware-measure/replay.h"

#define USERLOG_CONTENT_SYSTEMD "systemd"

/* Position in a log: all zero at the start. */
struct userlog_pos {
	size_t off;
	size_t index; /* of the next record, from 0 */
};

struct userlog_record {
	bool end;             /* no record any more, everything else is unset */
	size_t index, off;    /* off: bytes from the start of the log */
	uint32_t pcr;         /* 0..23, or EVLOG_NO_PCR */
	uint32_t nv_index;    /* with EVLOG_NO_PCR */
	struct digest digest[N_DIGESTS]; /* n == 0 where the record has none */
	/* UTF-8, in json; not yet verified. No bytes where it says none or is not systemd's. */
	struct bytes content_type, type, string;
	json_t *json;         /* owned */
};
void userlog_record_done(struct userlog_record *r);
#define cleanup_userlog_record cleanup(userlog_record_done)

/*
 * Reads the next record and advances; *ret is all zero, or a record before,
 * which is freed.
 *
 * E_PEER_SYNTAX (no separator in front, not JSON), E_PEER_TRUNCATED (no line
 * feed behind the last record), E_LIMIT_SIZE (a record above
 * LIMIT_USERSPACE_RECORD), E_PEER_DUPLICATE (a member or a bank twice),
 * E_PEER_MISSING, E_PEER_TYPE, E_PEER_RANGE (register above 23, size of a
 * digest), E_LIMIT_COUNT (more than 16 digests), E_LIMIT_DEPTH,
 * E_LOCAL_MEMORY. On failure *pos is unchanged, *ret is empty, and reterr,
 * which may be NULL, says where and why.
 */
must_check struct err userlog_next(struct bytes log, struct userlog_pos *pos, struct userlog_record *ret,
				   struct evlog_fault *reterr);

/* E2: whether the digest in this bank is that of the record's string. E_LOCAL_CRYPTO, E_LOCAL_MEMORY, no SM3: E_PEER_UNSUPPORTED. */
must_check struct err userlog_verify(const struct userlog_record *r, enum digest_id bank, bool *ret);

/*
 * Goes on with a replay of the firmware log. A record of a register without a
 * digest of the bank leaves r incomplete. Errors of digest_extend().
 */
must_check struct err userlog_replay(const struct userlog_record *rec, struct replay *r);

#endif
