/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host-state = {
 *   1: 0..4,                          ; status
 *   ? 2: [clock_ms: uint, reset: uint, restart: uint, safe: 0..1],
 *   ? 3: uint,                        ; firmware version, exactly with 2
 *   ? 4: bstr .size 32,               ; boot id; 5 to 12 stand exactly with it
 *   ? 5: bstr,                        ; Name of the null primary
 *   ? 6: bstr .size 32,               ; policy digest
 *   ? 7: uint,                        ; log offset
 *   ? 8: uint,                        ; log records
 *   ? 9: uint,                        ; last resume
 *   ? 10: [* [tpm-alg, digest]],      ; workload PCR per bank
 *   ? 11: [* instance],               ; host_instance.c
 *   ? 12: bstr,                       ; gone, 8 bytes each, big endian
 *   ? 13: firmware-judged,            ; host_firmware.c; only with 4
 *   ? 14: ima-progress,               ; host_ima.c
 *   ? 15: log-progress,               ; host_log.c
 * }
 */
#include "verifier/appraise/host.h"

#include <string.h>

#include "base/rd.h"
#include "base/wr.h"
#include "verifier/appraise/host_firmware.h"
#include "verifier/appraise/host_ima.h"
#include "verifier/appraise/host_instance.h"
#include "verifier/appraise/host_log.h"

enum {
	KEY_STATUS = 1, KEY_CLOCK, KEY_FIRMWARE, KEY_BOOT_ID, KEY_NULL_NAME, KEY_POLICY, KEY_OFFSET, KEY_RECORDS,
	KEY_RESTART, KEY_BANKS, KEY_INSTANCES, KEY_GONE, KEY_FIRMWARE_LOG, KEY_IMA, KEY_OPEN,
};

static const char *const status_names[] = {
	[HOST_NEVER] = "NEVER",       [HOST_VERIFIED] = "VERIFIED", [HOST_FAILED] = "FAILED",
	[HOST_REBOOTED] = "REBOOTED", [HOST_ERROR] = "ERROR",
};

const char *host_status_name(enum host_status s)
{
	return (size_t)s < array_len(status_names) ? status_names[s] : "ERROR";
}

void host_state_init(struct host_state *s)
{
	*s = (struct host_state){ .status = HOST_NEVER };
}

void host_state_done(struct host_state *s)
{
	free(s->instance);
	free(s->gone);
	ima_progress_done(&s->ima);
	log_progress_done(&s->open);
	host_state_init(s);
}

void host_state_forget_log(struct host_state *s)
{
	struct host_state kept = {
		.status = s->status,
		.has_clock = s->has_clock,
		.clock = s->clock,
		.firmware_version = s->firmware_version,
	};

	host_state_done(s);
	*s = kept;
}

bool host_state_continues(const struct host_state *s, const uint8_t boot_id[BOOT_ID_LEN],
			  const uint8_t policy_digest[32])
{
	return s->has_boot && memcmp(s->boot_id, boot_id, BOOT_ID_LEN) == 0 &&
	       memcmp(s->policy_digest, policy_digest, sizeof(s->policy_digest)) == 0;
}

struct err host_state_copy(const struct host_state *from, struct host_state *ret)
{
	cleanup_host_state struct host_state s = *from;
	struct err e;

	s.instance = NULL;
	s.gone = NULL;
	s.ima.state = NULL;
	s.open.state = NULL;
	if (from->n_instances > 0) {
		s.instance = calloc(from->n_instances, sizeof(*s.instance));
		if (s.instance == NULL)
			return ERR(E_LOCAL_MEMORY);
		memcpy(s.instance, from->instance, from->n_instances * sizeof(*s.instance));
	}
	if (from->n_gone > 0) {
		s.gone = calloc(from->n_gone, sizeof(*s.gone));
		if (s.gone == NULL)
			return ERR(E_LOCAL_MEMORY);
		memcpy(s.gone, from->gone, from->n_gone * sizeof(*s.gone));
	}
	if (failed(e = ima_progress_keep(&s.ima, BYTES(from->ima.state, from->ima.n))) ||
	    failed(e = log_progress_copy(&from->open, &s.open)))
		return e;
	*ret = s;
	host_state_init(&s);
	return ERR(E_OK);
}

static struct err wr_key_uint(struct buf *b, uint64_t key, uint64_t v)
{
	struct err e;

	if (failed(e = cbor_wr_uint(b, key)))
		return e;
	return cbor_wr_uint(b, v);
}

static struct err wr_banks(struct buf *b, const struct host_state *s)
{
	struct err e;

	if (failed(e = cbor_wr_uint(b, KEY_BANKS)) ||
	    failed(e = cbor_wr_array(b, s->n_banks)))
		return e;
	for (size_t i = 0; i < s->n_banks; i++) {
		const struct digest_alg *alg = digest_alg(s->bank[i]);

		if (alg == NULL)
			return ERR(E_BUG);
		if (failed(e = cbor_wr_array(b, 2)) ||
		    failed(e = cbor_wr_uint(b, alg->tpm_alg)) ||
		    failed(e = cbor_wr_bytes(b, digest_bytes(&s->pcr[i]))))
			return e;
	}
	return ERR(E_OK);
}

static struct err wr_gone(struct buf *b, const struct host_state *s)
{
	cleanup_buf struct buf all = BUF_INIT(HOST_STATE_MAX);
	struct err e;

	for (size_t i = 0; i < s->n_gone; i++) {
		if (failed(e = wr_u64be(&all, s->gone[i])))
			return e;
	}
	return host_wr_bytes(b, KEY_GONE, buf_bytes(&all));
}

static struct err wr_clock(struct buf *b, const struct host_state *s)
{
	struct err e;

	if (failed(e = cbor_wr_uint(b, KEY_CLOCK)) ||
	    failed(e = cbor_wr_array(b, 4)) ||
	    failed(e = cbor_wr_uint(b, s->clock.clock_ms)) ||
	    failed(e = cbor_wr_uint(b, s->clock.reset_count)) ||
	    failed(e = cbor_wr_uint(b, s->clock.restart_count)) ||
	    failed(e = cbor_wr_uint(b, s->clock.safe)))
		return e;
	return wr_key_uint(b, KEY_FIRMWARE, s->firmware_version);
}

static struct err wr_boot(struct buf *b, const struct host_state *s)
{
	struct err e;

	if (failed(e = host_wr_bytes(b, KEY_BOOT_ID, BYTES_ARR(s->boot_id))) ||
	    failed(e = host_wr_bytes(b, KEY_NULL_NAME, tpm_name_bytes(&s->null_name))) ||
	    failed(e = host_wr_bytes(b, KEY_POLICY, BYTES_ARR(s->policy_digest))) ||
	    failed(e = wr_key_uint(b, KEY_OFFSET, s->log_offset)) ||
	    failed(e = wr_key_uint(b, KEY_RECORDS, s->log_records)) ||
	    failed(e = wr_key_uint(b, KEY_RESTART, s->log_restart)) ||
	    failed(e = wr_banks(b, s)) ||
	    failed(e = cbor_wr_uint(b, KEY_INSTANCES)) ||
	    failed(e = cbor_wr_array(b, s->n_instances)))
		return e;
	for (size_t i = 0; i < s->n_instances; i++) {
		if (failed(e = host_instance_encode(&s->instance[i], b)))
			return e;
	}
	if (failed(e = wr_gone(b, s)))
		return e;
	if (!s->firmware.has)
		return ERR(E_OK);
	if (failed(e = cbor_wr_uint(b, KEY_FIRMWARE_LOG)))
		return e;
	return firmware_judged_encode(&s->firmware, b);
}

struct err host_state_encode(const struct host_state *s, struct buf *ret)
{
	cleanup_buf struct buf b = BUF_INIT(HOST_STATE_MAX);
	size_t n = (size_t)(1 + (s->has_clock ? 2 : 0) + (s->has_boot ? 9 : 0) + (s->has_boot && s->firmware.has) +
			    s->ima.has + (s->open.state != NULL));
	struct err e;

	if (failed(e = cbor_wr_map(&b, n)) ||
	    failed(e = wr_key_uint(&b, KEY_STATUS, s->status)) ||
	    (s->has_clock && failed(e = wr_clock(&b, s))) ||
	    (s->has_boot && failed(e = wr_boot(&b, s))))
		return e;
	if (s->ima.has && (failed(e = cbor_wr_uint(&b, KEY_IMA)) || failed(e = ima_progress_encode(&s->ima, &b))))
		return e;
	if (s->open.state != NULL &&
	    (failed(e = cbor_wr_uint(&b, KEY_OPEN)) || failed(e = log_progress_encode(&s->open, &b))))
		return e;
	return buf_add(ret, buf_bytes(&b));
}

static struct err rd_instances(struct cbor_rd *r, struct host_state *s)
{
	size_t n;
	struct err e;

	if (failed(e = cbor_rd_array(r, LIMIT_INSTANCES, &n)))
		return e;
	if (n == 0)
		return ERR(E_OK);
	s->instance = calloc(n, sizeof(*s->instance));
	if (s->instance == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (; s->n_instances < n; s->n_instances++) {
		if (failed(e = host_instance_decode(r, &s->instance[s->n_instances])))
			return e;
	}
	return ERR(E_OK);
}

static struct err rd_banks(struct cbor_rd *r, struct host_state *s)
{
	size_t n, pair;
	uint64_t id;
	const struct digest_alg *alg;
	struct err e;

	if (failed(e = cbor_rd_array(r, LIMIT_BANKS, &n)))
		return e;
	for (; s->n_banks < n; s->n_banks++) {
		if (failed(e = cbor_rd_array(r, 2, &pair)) ||
		    failed(e = cbor_rd_uint(r, UINT16_MAX, &id)))
			return e;
		alg = digest_by_tpm_alg((uint16_t)id);
		if (pair != 2 || alg == NULL)
			return ERR(E_PEER_RANGE);
		s->bank[s->n_banks] = alg->id;
		s->pcr[s->n_banks].n = (uint8_t)alg->size;
		if (failed(e = cbor_rd_bytes_exact(r, s->pcr[s->n_banks].v, alg->size)))
			return e;
	}
	return ERR(E_OK);
}

static struct err rd_gone(struct cbor_rd *r, struct host_state *s)
{
	struct bytes all;
	struct rd in;
	struct err e;

	if (failed(e = cbor_rd_bytes(r, &all)))
		return e;
	if (all.n % 8 != 0)
		return ERR(E_PEER_RANGE);
	if (all.n == 0)
		return ERR(E_OK);
	s->gone = calloc(all.n / 8, sizeof(*s->gone));
	if (s->gone == NULL)
		return ERR(E_LOCAL_MEMORY);
	in = RD(all);
	for (; s->n_gone < all.n / 8; s->n_gone++) {
		if (failed(e = rd_u64be(&in, &s->gone[s->n_gone])))
			return e;
	}
	return ERR(E_OK);
}

static struct err rd_clock(struct cbor_rd *r, struct cbor_map *m, struct host_state *s)
{
	uint64_t reset, restart, safe;
	size_t n;
	struct err e;

	if (failed(e = cbor_rd_key_opt(r, m, KEY_CLOCK, &s->has_clock)))
		return e;
	if (!s->has_clock)
		return ERR(E_OK);
	if (failed(e = cbor_rd_array(r, 4, &n)))
		return e;
	if (n != 4)
		return ERR(E_PEER_RANGE);
	if (failed(e = cbor_rd_uint(r, UINT64_MAX, &s->clock.clock_ms)) ||
	    failed(e = cbor_rd_uint(r, UINT32_MAX, &reset)) ||
	    failed(e = cbor_rd_uint(r, UINT32_MAX, &restart)) ||
	    failed(e = cbor_rd_uint(r, 1, &safe)) ||
	    failed(e = cbor_rd_key(r, m, KEY_FIRMWARE)) ||
	    failed(e = cbor_rd_uint(r, UINT64_MAX, &s->firmware_version)))
		return e;
	s->clock.reset_count = (uint32_t)reset;
	s->clock.restart_count = (uint32_t)restart;
	s->clock.safe = (uint8_t)safe;
	return ERR(E_OK);
}

static struct err rd_boot(struct cbor_rd *r, struct cbor_map *m, struct host_state *s)
{
	uint64_t restart;
	struct err e;

	if (failed(e = cbor_rd_key_opt(r, m, KEY_BOOT_ID, &s->has_boot)))
		return e;
	if (!s->has_boot)
		return ERR(E_OK);
	if (failed(e = cbor_rd_bytes_exact(r, s->boot_id, sizeof(s->boot_id))) ||
	    failed(e = cbor_rd_key(r, m, KEY_NULL_NAME)) ||
	    failed(e = host_rd_name(r, &s->null_name)) ||
	    failed(e = cbor_rd_key(r, m, KEY_POLICY)) ||
	    failed(e = cbor_rd_bytes_exact(r, s->policy_digest, sizeof(s->policy_digest))) ||
	    failed(e = cbor_rd_key(r, m, KEY_OFFSET)) ||
	    failed(e = cbor_rd_uint(r, UINT64_MAX, &s->log_offset)) ||
	    failed(e = cbor_rd_key(r, m, KEY_RECORDS)) ||
	    failed(e = cbor_rd_uint(r, UINT64_MAX, &s->log_records)) ||
	    failed(e = cbor_rd_key(r, m, KEY_RESTART)) ||
	    failed(e = cbor_rd_uint(r, UINT32_MAX, &restart)) ||
	    failed(e = cbor_rd_key(r, m, KEY_BANKS)) ||
	    failed(e = rd_banks(r, s)) ||
	    failed(e = cbor_rd_key(r, m, KEY_INSTANCES)) ||
	    failed(e = rd_instances(r, s)) ||
	    failed(e = cbor_rd_key(r, m, KEY_GONE)) ||
	    failed(e = rd_gone(r, s)) ||
	    failed(e = cbor_rd_key_opt(r, m, KEY_FIRMWARE_LOG, &s->firmware.has)) ||
	    (s->firmware.has && failed(e = firmware_judged_decode(r, &s->firmware))))
		return e;
	s->log_restart = (uint32_t)restart;
	return ERR(E_OK);
}

static struct err decode(struct bytes in, bool may_be_open, struct host_state *ret)
{
	cleanup_host_state struct host_state s = { .status = HOST_NEVER };
	struct cbor_rd r;
	struct cbor_map m;
	uint64_t status;
	bool open = false;
	struct err e;

	if (in.n > HOST_STATE_MAX)
		return ERR(E_LIMIT_SIZE);
	if (failed(e = cbor_rd_init(in, &r)) ||
	    failed(e = cbor_rd_map(&r, &m)) ||
	    failed(e = cbor_rd_key(&r, &m, KEY_STATUS)) ||
	    failed(e = cbor_rd_uint(&r, HOST_ERROR, &status)) ||
	    failed(e = rd_clock(&r, &m, &s)) ||
	    failed(e = rd_boot(&r, &m, &s)) ||
	    failed(e = cbor_rd_key_opt(&r, &m, KEY_IMA, &s.ima.has)) ||
	    (s.ima.has && failed(e = ima_progress_decode(&r, &s.ima))) ||
	    (may_be_open && failed(e = cbor_rd_key_opt(&r, &m, KEY_OPEN, &open))) ||
	    (open && failed(e = log_progress_decode(&r, &s.open))) ||
	    failed(e = cbor_rd_map_end(&r, &m)) ||
	    failed(e = cbor_rd_end(&r)))
		return e;
	s.status = (enum host_status)status;
	*ret = s;
	host_state_init(&s);
	return ERR(E_OK);
}

struct err host_state_decode(struct bytes in, struct host_state *ret)
{
	return decode(in, true, ret);
}

struct err host_state_decode_log(struct bytes in, struct host_state *ret)
{
	cleanup_host_state struct host_state s = { .status = HOST_NEVER };
	struct err e;

	if (failed(e = decode(in, false, &s)))
		return e;
	if (s.status != HOST_NEVER || !s.has_boot || s.has_clock || s.firmware.has || s.ima.has)
		return ERR(E_PEER_RANGE);
	*ret = s;
	host_state_init(&s);
	return ERR(E_OK);
}
