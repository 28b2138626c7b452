/* SPDX-License-Identifier: Apache-2.0 */
/* Encoder and decoder of `evidence` and `certified-key` in assay.cddl; the derived values beside them. */
#include "protocol/evidence.h"

#include <string.h>

#include "base/cborx.h"
#include "base/text.h"

enum {
	EVIDENCE_CLAIMS = 1,
	EVIDENCE_QUOTE,
	EVIDENCE_SIGNATURE,
	EVIDENCE_PCRS,
	EVIDENCE_LOG,
	EVIDENCE_BOOT,
	EVIDENCE_KEYS,
	EVIDENCE_FIRMWARE_LOG,
	EVIDENCE_IMA,
	EVIDENCE_COMMAND_LINE,
	EVIDENCE_USERSPACE_LOG,
};
enum {
	KEY_PUBLIC = 1,
	KEY_ATTEST,
	KEY_SIGNATURE,
};

/* The NUL behind each domain string is part of it, so none begins another. */
static const uint8_t domain_boot[] = "assay boot v1";
static const uint8_t domain_host[] = "assay host v1";
static const uint8_t domain_evidence[] = "assay evidence v1";
static const uint8_t domain_key[] = "assay key v1";

static struct err sha256_parts(uint8_t ret[32], size_t n, const struct bytes *parts)
{
	struct digest d = { 0 };
	struct err e;

	if (failed(e = digest_of(DIGEST_SHA256, &d, n, parts)))
		return e;
	return bytes_copy_exact(digest_bytes(&d), ret, 32);
}

static void put_u32be(uint32_t v, uint8_t ret[4])
{
	for (unsigned i = 0; i < 4; i++)
		ret[i] = (uint8_t)(v >> (24 - 8 * i) & 0xff);
}

struct err boot_id_of(const struct tpm_name *null_primary, uint32_t reset_count, uint32_t restart_count,
		      uint8_t ret[BOOT_ID_LEN])
{
	uint8_t reset[4], restart[4];
	const struct bytes parts[] = { BYTES_ARR(domain_boot), tpm_name_bytes(null_primary), BYTES_ARR(reset),
				       BYTES_ARR(restart) };

	put_u32be(reset_count, reset);
	put_u32be(restart_count, restart);
	return sha256_parts(ret, array_len(parts), parts);
}

struct err host_id_of(const struct tpm_public *ek, char ret[HOST_ID_LEN + 1])
{
	const struct bytes parts[] = { BYTES_ARR(domain_host), ek->raw };
	char hex[HOST_ID_LEN - 1] = { 0 };
	uint8_t d[32];
	struct err e;

	if (failed(e = sha256_parts(d, array_len(parts), parts)) ||
	    failed(e = hex_encode(BYTES(d, sizeof(hex) / 2), hex, sizeof(hex))))
		return e;
	ret[0] = 'h';
	ret[1] = '-';
	memcpy(ret + 2, hex, sizeof(hex));
	return ERR(E_OK);
}

bool host_id_valid(struct bytes id)
{
	if (id.n != HOST_ID_LEN || id.p[0] != 'h' || id.p[1] != '-')
		return false;
	for (size_t i = 2; i < id.n; i++)
		if (!(id.p[i] >= '0' && id.p[i] <= '9') && !(id.p[i] >= 'a' && id.p[i] <= 'f'))
			return false;
	return true;
}

struct err evidence_qualifying_data(struct bytes nonce, struct bytes claims, uint8_t ret[32])
{
	uint8_t d[32];
	const struct bytes parts[] = { BYTES_ARR(domain_evidence), nonce, BYTES_ARR(d) };
	struct err e;

	if (nonce.n != NONCE_LEN)
		return ERR(E_PEER_RANGE);
	if (failed(e = sha256(claims, d)))
		return e;
	return sha256_parts(ret, array_len(parts), parts);
}

struct err evidence_key_extra_data(struct bytes nonce, struct bytes claims, struct bytes key_name, uint8_t ret[32])
{
	uint8_t d[32];
	const struct bytes parts[] = { BYTES_ARR(domain_key), nonce, BYTES_ARR(d), key_name };
	struct err e;

	if (nonce.n != NONCE_LEN)
		return ERR(E_PEER_RANGE);
	if (failed(e = sha256(claims, d)))
		return e;
	return sha256_parts(ret, array_len(parts), parts);
}

/* A byte string of 1..max bytes; evidence holds no empty ones but the log. */
static struct err rd_some(struct cbor_rd *r, size_t max, struct bytes *ret)
{
	struct bytes b = BYTES_NONE;
	struct err e;

	if (failed(e = cbor_rd_bytes(r, &b)))
		return e;
	if (b.n == 0)
		return ERR(E_PEER_RANGE);
	if (b.n > max)
		return ERR(E_LIMIT_SIZE);
	*ret = b;
	return ERR(E_OK);
}

bool pcr_size_valid(size_t n)
{
	for (int id = 0; id < N_DIGESTS; id++)
		if (digest_alg((enum digest_id)id)->size == n)
			return true;
	return false;
}

static struct err rd_pcrs(struct cbor_rd *r, struct evidence *ev)
{
	struct err e;

	if (failed(e = cbor_rd_array(r, array_len(ev->pcr), &ev->n_pcrs)))
		return e;
	for (size_t i = 0; i < ev->n_pcrs; i++) {
		if (failed(e = cbor_rd_bytes(r, &ev->pcr[i])))
			return e;
		if (!pcr_size_valid(ev->pcr[i].n))
			return ERR(E_PEER_RANGE);
	}
	return ERR(E_OK);
}

static struct err rd_key(struct cbor_rd *r, struct evidence_key *ret)
{
	struct evidence_key k = { 0 };
	struct cbor_map m = { 0 };
	struct err e;

	if (failed(e = cbor_rd_map(r, &m)) ||
	    failed(e = cbor_rd_key(r, &m, KEY_PUBLIC)) ||
	    failed(e = rd_some(r, LIMIT_TPM2B, &k.public_area)) ||
	    failed(e = cbor_rd_key(r, &m, KEY_ATTEST)) ||
	    failed(e = rd_some(r, LIMIT_TPM2B, &k.attest)) ||
	    failed(e = cbor_rd_key(r, &m, KEY_SIGNATURE)) ||
	    failed(e = rd_some(r, LIMIT_TPM2B, &k.signature)) ||
	    failed(e = cbor_rd_map_end(r, &m)))
		return e;
	*ret = k;
	return ERR(E_OK);
}

static struct err rd_keys(struct cbor_rd *r, struct evidence *ev)
{
	struct err e;

	if (failed(e = cbor_rd_array(r, array_len(ev->key), &ev->n_keys)))
		return e;
	for (size_t i = 0; i < ev->n_keys; i++)
		if (failed(e = rd_key(r, &ev->key[i])))
			return e;
	return ERR(E_OK);
}

/* A byte string that may be empty. */
static struct err rd_log(struct cbor_rd *r, size_t max, struct bytes *ret)
{
	struct bytes log = BYTES_NONE;
	struct err e;

	if (failed(e = cbor_rd_bytes(r, &log)))
		return e;
	if (log.n > max)
		return ERR(E_LIMIT_SIZE);
	*ret = log;
	return ERR(E_OK);
}

/* What was measured before any workload: sent only where a platform document speaks of it. */
static struct err rd_platform_logs(struct cbor_rd *r, struct cbor_map *m, struct evidence *ev)
{
	struct err e;

	if (failed(e = cbor_rd_key_opt(r, m, EVIDENCE_FIRMWARE_LOG, &ev->has_firmware_log)) ||
	    (ev->has_firmware_log && failed(e = rd_some(r, LIMIT_FIRMWARE_LOG, &ev->firmware_log))) ||
	    failed(e = cbor_rd_key_opt(r, m, EVIDENCE_IMA, &ev->has_ima)) ||
	    (ev->has_ima && failed(e = rd_log(r, LIMIT_IMA_PART, &ev->ima))) ||
	    failed(e = cbor_rd_key_opt(r, m, EVIDENCE_COMMAND_LINE, &ev->has_command_line)) ||
	    (ev->has_command_line && failed(e = rd_some(r, LIMIT_COMMAND_LINE, &ev->command_line))) ||
	    failed(e = cbor_rd_key_opt(r, m, EVIDENCE_USERSPACE_LOG, &ev->has_userspace_log)) ||
	    (ev->has_userspace_log && failed(e = rd_some(r, LIMIT_USERSPACE_LOG, &ev->userspace_log))))
		return e;
	return ev->has_command_line && !ev->has_firmware_log ? ERR(E_PEER_MISSING) : ERR(E_OK);
}

static struct err rd_evidence(struct cbor_rd *r, struct evidence *ev)
{
	struct cbor_map m = { 0 };
	struct err e;

	if (failed(e = cbor_rd_map(r, &m)) ||
	    failed(e = cbor_rd_key(r, &m, EVIDENCE_CLAIMS)) ||
	    failed(e = rd_some(r, LIMIT_CLAIMS, &ev->claims)) ||
	    failed(e = cbor_rd_key(r, &m, EVIDENCE_QUOTE)) ||
	    failed(e = rd_some(r, LIMIT_TPM2B, &ev->quote)) ||
	    failed(e = cbor_rd_key(r, &m, EVIDENCE_SIGNATURE)) ||
	    failed(e = rd_some(r, LIMIT_TPM2B, &ev->signature)) ||
	    failed(e = cbor_rd_key(r, &m, EVIDENCE_PCRS)) ||
	    failed(e = rd_pcrs(r, ev)) ||
	    failed(e = cbor_rd_key(r, &m, EVIDENCE_LOG)) ||
	    failed(e = rd_log(r, LIMIT_WORKLOAD_LOG, &ev->log)) ||
	    failed(e = cbor_rd_key_opt(r, &m, EVIDENCE_BOOT, &ev->has_boot)))
		return e;
	if (ev->has_boot && failed(e = rd_key(r, &ev->boot)))
		return e;
	if (failed(e = cbor_rd_key(r, &m, EVIDENCE_KEYS)) ||
	    failed(e = rd_keys(r, ev)) ||
	    failed(e = rd_platform_logs(r, &m, ev)) ||
	    failed(e = cbor_rd_map_end(r, &m)))
		return e;
	return cbor_rd_end(r);
}

struct err evidence_decode(struct bytes in, struct evidence *ret)
{
	cleanup_free struct evidence *ev = NULL;
	struct cbor_rd r = { 0 };
	struct err e;

	if (in.n > LIMIT_EVIDENCE)
		return ERR(E_LIMIT_SIZE);
	if (failed(e = cbor_rd_init(in, &r)))
		return e;
	ev = malloc(sizeof(*ev));
	if (ev == NULL)
		return ERR(E_LOCAL_MEMORY);
	/* Keys stand last and are mostly few: only those that are there are written and copied. */
	memset(ev, 0, offsetof(struct evidence, key));
	if (failed(e = rd_evidence(&r, ev)))
		return e;
	memcpy(ret, ev, offsetof(struct evidence, key) + ev->n_keys * sizeof(ev->key[0]));
	return ERR(E_OK);
}

static struct err wr_pcrs(struct buf *b, const struct evidence *ev)
{
	struct err e;

	if (failed(e = cbor_wr_array(b, ev->n_pcrs)))
		return e;
	for (size_t i = 0; i < ev->n_pcrs; i++)
		if (failed(e = cbor_wr_bytes(b, ev->pcr[i])))
			return e;
	return ERR(E_OK);
}

static struct err wr_key(struct buf *b, const struct evidence_key *k)
{
	struct err e;

	if (failed(e = cbor_wr_map(b, 3)) ||
	    failed(e = cbor_wr_uint(b, KEY_PUBLIC)) ||
	    failed(e = cbor_wr_bytes(b, k->public_area)) ||
	    failed(e = cbor_wr_uint(b, KEY_ATTEST)) ||
	    failed(e = cbor_wr_bytes(b, k->attest)) ||
	    failed(e = cbor_wr_uint(b, KEY_SIGNATURE)) ||
	    failed(e = cbor_wr_bytes(b, k->signature)))
		return e;
	return ERR(E_OK);
}

static struct err wr_keys(struct buf *b, const struct evidence *ev)
{
	struct err e;

	if (failed(e = cbor_wr_array(b, ev->n_keys)))
		return e;
	for (size_t i = 0; i < ev->n_keys; i++)
		if (failed(e = wr_key(b, &ev->key[i])))
			return e;
	return ERR(E_OK);
}

static struct err wr_boot(struct buf *b, const struct evidence *ev)
{
	struct err e;

	if (!ev->has_boot)
		return ERR(E_OK);
	if (failed(e = cbor_wr_uint(b, EVIDENCE_BOOT)))
		return e;
	return wr_key(b, &ev->boot);
}

static struct err wr_platform_logs(struct buf *b, const struct evidence *ev)
{
	struct err e;

	if (ev->has_firmware_log && (failed(e = cbor_wr_uint(b, EVIDENCE_FIRMWARE_LOG)) ||
				     failed(e = cbor_wr_bytes(b, ev->firmware_log))))
		return e;
	if (ev->has_ima && (failed(e = cbor_wr_uint(b, EVIDENCE_IMA)) || failed(e = cbor_wr_bytes(b, ev->ima))))
		return e;
	if (ev->has_command_line && (failed(e = cbor_wr_uint(b, EVIDENCE_COMMAND_LINE)) ||
				     failed(e = cbor_wr_bytes(b, ev->command_line))))
		return e;
	if (!ev->has_userspace_log)
		return ERR(E_OK);
	if (failed(e = cbor_wr_uint(b, EVIDENCE_USERSPACE_LOG)))
		return e;
	return cbor_wr_bytes(b, ev->userspace_log);
}

struct err evidence_encode(const struct evidence *ev, struct buf *ret)
{
	size_t n_optional = (size_t)ev->has_boot + ev->has_firmware_log + ev->has_ima + ev->has_command_line +
			    ev->has_userspace_log;
	cleanup_buf struct buf b = BUF_INIT(LIMIT_EVIDENCE);
	struct err e;

	if (ev->n_pcrs > array_len(ev->pcr) || ev->n_keys > array_len(ev->key))
		return ERR(E_BUG);
	if (failed(e = cbor_wr_map(&b, 6 + n_optional)) ||
	    failed(e = cbor_wr_uint(&b, EVIDENCE_CLAIMS)) ||
	    failed(e = cbor_wr_bytes(&b, ev->claims)) ||
	    failed(e = cbor_wr_uint(&b, EVIDENCE_QUOTE)) ||
	    failed(e = cbor_wr_bytes(&b, ev->quote)) ||
	    failed(e = cbor_wr_uint(&b, EVIDENCE_SIGNATURE)) ||
	    failed(e = cbor_wr_bytes(&b, ev->signature)) ||
	    failed(e = cbor_wr_uint(&b, EVIDENCE_PCRS)) ||
	    failed(e = wr_pcrs(&b, ev)) ||
	    failed(e = cbor_wr_uint(&b, EVIDENCE_LOG)) ||
	    failed(e = cbor_wr_bytes(&b, ev->log)) ||
	    failed(e = wr_boot(&b, ev)) ||
	    failed(e = cbor_wr_uint(&b, EVIDENCE_KEYS)) ||
	    failed(e = wr_keys(&b, ev)) ||
	    failed(e = wr_platform_logs(&b, ev)))
		return e;
	return buf_add(ret, buf_bytes(&b));
}
