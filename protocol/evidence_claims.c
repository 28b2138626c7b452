/* SPDX-License-Identifier: Apache-2.0 */
/* Encoder and decoder of `claims` in assay.cddl. */
#include "protocol/evidence.h"

#include <string.h>

#include "base/cborx.h"

enum {
	CLAIMS_ISSUER = 1,
	CLAIMS_HOST,
	CLAIMS_AK_NAME,
	CLAIMS_BOOT,
	CLAIMS_NONCE,
	CLAIMS_SELECTION,
	CLAIMS_LOG_OFFSET,
	CLAIMS_LOG_RECORDS,
	CLAIMS_LOG_PCR,
	CLAIMS_INSTANCES,
	CLAIMS_IMA_OFFSET,
};
#define N_CLAIMS 10 /* that are always there */
#define PCR_MASK_ALL 0xffffffu

static struct err check_name(struct bytes name)
{
	struct tpm_name parsed;

	return tpm_name_parse(name, &parsed);
}

/* Form of the values; what they mean is for appraisal. */
static struct err check_values(const struct evidence_claims *c)
{
	bool at_start = c->log_offset == 0;
	struct err e;

	if (c->issuer.n == 0 || c->issuer.n > ISSUER_MAX || !host_id_valid(c->host_id))
		return ERR(E_PEER_RANGE);
	if (failed(e = check_name(c->ak_name)))
		return e;
	if (at_start != (c->log_records == 0) || at_start != (c->log_pcr.n == 0))
		return ERR(E_PEER_RANGE);
	if (!at_start && !pcr_size_valid(c->log_pcr.n))
		return ERR(E_PEER_RANGE);
	return ERR(E_OK);
}

static struct err rd_bank(struct cbor_rd *r, struct pcr_selection *s)
{
	uint64_t alg = 0, mask = 0;
	size_t n = 0;
	struct err e;

	if (failed(e = cbor_rd_array(r, 2, &n)))
		return e;
	if (n != 2)
		return ERR(E_PEER_RANGE);
	if (failed(e = cbor_rd_uint(r, UINT16_MAX, &alg)) ||
	    failed(e = cbor_rd_uint(r, PCR_MASK_ALL, &mask)))
		return e;
	for (size_t i = 0; i < s->n; i++)
		if (s->bank[i].hash_alg == alg)
			return ERR(E_PEER_DUPLICATE);
	s->bank[s->n].hash_alg = (uint16_t)alg;
	s->bank[s->n].mask = (uint32_t)mask;
	s->n++;
	return ERR(E_OK);
}

static struct err rd_selection(struct cbor_rd *r, struct pcr_selection *s)
{
	size_t n = 0;
	struct err e;

	if (failed(e = cbor_rd_array(r, LIMIT_BANKS, &n)))
		return e;
	if (n == 0)
		return ERR(E_PEER_RANGE);
	for (size_t i = 0; i < n; i++)
		if (failed(e = rd_bank(r, s)))
			return e;
	return ERR(E_OK);
}

/* Instances ascend, so that none is there twice and one set has one form. */
static struct err check_order(const struct evidence_claims *c, size_t i)
{
	int order;

	if (i == 0)
		return ERR(E_OK);
	order = bytes_cmp(BYTES_ARR(c->instance[i - 1].instance), BYTES_ARR(c->instance[i].instance));
	if (order == 0)
		return ERR(E_PEER_DUPLICATE);
	return order < 0 ? ERR(E_OK) : ERR(E_PEER_NOT_CANONICAL);
}

static struct err rd_instance(struct cbor_rd *r, struct evidence_claims *c, size_t i)
{
	size_t n = 0;
	struct err e;

	if (failed(e = cbor_rd_array(r, 2, &n)))
		return e;
	if (n != 2)
		return ERR(E_PEER_RANGE);
	if (failed(e = cbor_rd_bytes_exact(r, c->instance[i].instance, PRESENTED_ID_LEN)) ||
	    failed(e = cbor_rd_bytes(r, &c->instance[i].key_name)) ||
	    failed(e = check_name(c->instance[i].key_name)))
		return e;
	return check_order(c, i);
}

static struct err rd_instances(struct cbor_rd *r, struct evidence_claims *c)
{
	struct err e;

	if (failed(e = cbor_rd_array(r, array_len(c->instance), &c->n_instances)))
		return e;
	for (size_t i = 0; i < c->n_instances; i++)
		if (failed(e = rd_instance(r, c, i)))
			return e;
	return ERR(E_OK);
}

static struct err rd_nonce(struct cbor_rd *r, struct bytes *ret)
{
	struct bytes nonce = BYTES_NONE;
	struct err e;

	if (failed(e = cbor_rd_bytes(r, &nonce)))
		return e;
	if (nonce.n != NONCE_LEN)
		return ERR(E_PEER_RANGE);
	*ret = nonce;
	return ERR(E_OK);
}

static struct err rd_ima(struct cbor_rd *r, struct cbor_map *m, struct evidence_claims *c)
{
	struct err e;

	if (failed(e = cbor_rd_key_opt(r, m, CLAIMS_IMA_OFFSET, &c->has_ima)))
		return e;
	return c->has_ima ? cbor_rd_uint(r, UINT64_MAX, &c->ima_offset) : ERR(E_OK);
}

static struct err rd_claims(struct cbor_rd *r, struct evidence_claims *c)
{
	struct cbor_map m = { 0 };
	struct err e;

	if (failed(e = cbor_rd_map(r, &m)) ||
	    failed(e = cbor_rd_key(r, &m, CLAIMS_ISSUER)) ||
	    failed(e = cbor_rd_text(r, &c->issuer)) ||
	    failed(e = cbor_rd_key(r, &m, CLAIMS_HOST)) ||
	    failed(e = cbor_rd_text(r, &c->host_id)) ||
	    failed(e = cbor_rd_key(r, &m, CLAIMS_AK_NAME)) ||
	    failed(e = cbor_rd_bytes(r, &c->ak_name)) ||
	    failed(e = cbor_rd_key(r, &m, CLAIMS_BOOT)) ||
	    failed(e = cbor_rd_bytes_exact(r, c->boot_id, BOOT_ID_LEN)) ||
	    failed(e = cbor_rd_key(r, &m, CLAIMS_NONCE)) ||
	    failed(e = rd_nonce(r, &c->nonce)) ||
	    failed(e = cbor_rd_key(r, &m, CLAIMS_SELECTION)) ||
	    failed(e = rd_selection(r, &c->selection)) ||
	    failed(e = cbor_rd_key(r, &m, CLAIMS_LOG_OFFSET)) ||
	    failed(e = cbor_rd_uint(r, UINT64_MAX, &c->log_offset)) ||
	    failed(e = cbor_rd_key(r, &m, CLAIMS_LOG_RECORDS)) ||
	    failed(e = cbor_rd_uint(r, UINT64_MAX, &c->log_records)) ||
	    failed(e = cbor_rd_key(r, &m, CLAIMS_LOG_PCR)) ||
	    failed(e = cbor_rd_bytes(r, &c->log_pcr)) ||
	    failed(e = cbor_rd_key(r, &m, CLAIMS_INSTANCES)) ||
	    failed(e = rd_instances(r, c)) ||
	    failed(e = rd_ima(r, &m, c)) ||
	    failed(e = cbor_rd_map_end(r, &m)) ||
	    failed(e = cbor_rd_end(r)))
		return e;
	return check_values(c);
}

struct err evidence_claims_decode(struct bytes in, struct evidence_claims *ret)
{
	cleanup_free struct evidence_claims *c = NULL;
	struct cbor_rd r = { 0 };
	struct err e;

	if (in.n > LIMIT_CLAIMS)
		return ERR(E_LIMIT_SIZE);
	if (failed(e = cbor_rd_init(in, &r)))
		return e;
	c = malloc(sizeof(*c));
	if (c == NULL)
		return ERR(E_LOCAL_MEMORY);
	/* Instances stand last and are mostly few: only those that are there are written and copied. */
	memset(c, 0, offsetof(struct evidence_claims, instance));
	if (failed(e = rd_claims(&r, c)))
		return e;
	memcpy(ret, c, offsetof(struct evidence_claims, instance) + c->n_instances * sizeof(c->instance[0]));
	return ERR(E_OK);
}

static struct err wr_selection(struct buf *b, const struct pcr_selection *s)
{
	struct err e;

	if (failed(e = cbor_wr_array(b, s->n)))
		return e;
	for (size_t i = 0; i < s->n; i++)
		if (failed(e = cbor_wr_array(b, 2)) ||
		    failed(e = cbor_wr_uint(b, s->bank[i].hash_alg)) ||
		    failed(e = cbor_wr_uint(b, s->bank[i].mask)))
			return e;
	return ERR(E_OK);
}

/* Indices of the instances in the order of their ids. */
static void sort_instances(const struct evidence_claims *c, size_t *order)
{
	for (size_t i = 0; i < c->n_instances; i++) {
		struct bytes id = BYTES_ARR(c->instance[i].instance);
		size_t at = i;

		for (; at > 0 && bytes_cmp(BYTES_ARR(c->instance[order[at - 1]].instance), id) > 0; at--)
			order[at] = order[at - 1];
		order[at] = i;
	}
}

static struct err wr_instances(struct buf *b, const struct evidence_claims *c)
{
	size_t order[LIMIT_INSTANCES] = { 0 };
	struct err e;

	sort_instances(c, order);
	if (failed(e = cbor_wr_array(b, c->n_instances)))
		return e;
	for (size_t i = 0; i < c->n_instances; i++)
		if (failed(e = cbor_wr_array(b, 2)) ||
		    failed(e = cbor_wr_bytes(b, BYTES_ARR(c->instance[order[i]].instance))) ||
		    failed(e = cbor_wr_bytes(b, c->instance[order[i]].key_name)))
			return e;
	return ERR(E_OK);
}

static struct err wr_ima(struct buf *b, const struct evidence_claims *c)
{
	struct err e;

	if (!c->has_ima)
		return ERR(E_OK);
	if (failed(e = cbor_wr_uint(b, CLAIMS_IMA_OFFSET)))
		return e;
	return cbor_wr_uint(b, c->ima_offset);
}

static struct err wr_claims(struct buf *b, const struct evidence_claims *c)
{
	struct err e;

	if (failed(e = cbor_wr_map(b, N_CLAIMS + (c->has_ima ? 1 : 0))) ||
	    failed(e = cbor_wr_uint(b, CLAIMS_ISSUER)) ||
	    failed(e = cbor_wr_text(b, c->issuer)) ||
	    failed(e = cbor_wr_uint(b, CLAIMS_HOST)) ||
	    failed(e = cbor_wr_text(b, c->host_id)) ||
	    failed(e = cbor_wr_uint(b, CLAIMS_AK_NAME)) ||
	    failed(e = cbor_wr_bytes(b, c->ak_name)) ||
	    failed(e = cbor_wr_uint(b, CLAIMS_BOOT)) ||
	    failed(e = cbor_wr_bytes(b, BYTES_ARR(c->boot_id))) ||
	    failed(e = cbor_wr_uint(b, CLAIMS_NONCE)) ||
	    failed(e = cbor_wr_bytes(b, c->nonce)) ||
	    failed(e = cbor_wr_uint(b, CLAIMS_SELECTION)) ||
	    failed(e = wr_selection(b, &c->selection)) ||
	    failed(e = cbor_wr_uint(b, CLAIMS_LOG_OFFSET)) ||
	    failed(e = cbor_wr_uint(b, c->log_offset)) ||
	    failed(e = cbor_wr_uint(b, CLAIMS_LOG_RECORDS)) ||
	    failed(e = cbor_wr_uint(b, c->log_records)) ||
	    failed(e = cbor_wr_uint(b, CLAIMS_LOG_PCR)) ||
	    failed(e = cbor_wr_bytes(b, c->log_pcr)) ||
	    failed(e = cbor_wr_uint(b, CLAIMS_INSTANCES)) ||
	    failed(e = wr_instances(b, c)))
		return e;
	return wr_ima(b, c);
}

struct err evidence_claims_encode(const struct evidence_claims *c, struct buf *ret)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_CLAIMS);
	struct err e;

	if (c->selection.n > LIMIT_BANKS || c->n_instances > LIMIT_INSTANCES)
		return ERR(E_BUG);
	if (failed(e = wr_claims(&b, c)))
		return e;
	return buf_add(ret, buf_bytes(&b));
}
