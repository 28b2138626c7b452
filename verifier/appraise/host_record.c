/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host-record = {
 *   1: bstr,    ; EK, TPMT_PUBLIC
 *   2: bstr,    ; EK certificate, DER as received, or empty
 *   3: bstr,    ; AK, TPMT_PUBLIC
 *   4: uint,    ; seconds since 1970
 * }
 */
#include "verifier/appraise/host.h"

enum { KEY_EK = 1, KEY_EK_CERT, KEY_AK, KEY_ENROLLED };

struct err host_record_encode(struct bytes ek_public, struct bytes ek_cert, struct bytes ak_public, int64_t enrolled_s,
			      struct buf *ret)
{
	cleanup_buf struct buf b = BUF_INIT(HOST_RECORD_MAX);
	struct err e;

	if (enrolled_s < 0)
		return ERR(E_BUG);
	if (failed(e = cbor_wr_map(&b, 4)) ||
	    failed(e = cbor_wr_uint(&b, KEY_EK)) ||
	    failed(e = cbor_wr_bytes(&b, ek_public)) ||
	    failed(e = cbor_wr_uint(&b, KEY_EK_CERT)) ||
	    failed(e = cbor_wr_bytes(&b, ek_cert)) ||
	    failed(e = cbor_wr_uint(&b, KEY_AK)) ||
	    failed(e = cbor_wr_bytes(&b, ak_public)) ||
	    failed(e = cbor_wr_uint(&b, KEY_ENROLLED)) ||
	    failed(e = cbor_wr_uint(&b, (uint64_t)enrolled_s)))
		return e;
	return buf_add(ret, buf_bytes(&b));
}

struct host_record *host_record_hold(struct host_record *h)
{
	atomic_fetch_add(&h->holders, 1);
	return h;
}

void host_record_free(struct host_record *h)
{
	if (h == NULL || atomic_fetch_sub(&h->holders, 1) > 0)
		return;
	key_free(h->ak);
	free(h);
}

static struct err derive_ek(struct bytes area, struct host_record *h)
{
	cleanup_key struct key *key = NULL;
	struct tpm_public ek;
	struct err e;

	if (failed(e = tpm_public_parse(area, &ek)) ||
	    failed(e = tpm_check_ek(&ek, NULL)) ||
	    failed(e = host_id_of(&ek, h->id)) ||
	    failed(e = tpm_public_key(&ek, &key)))
		return e;
	return key_spki_sha256(key, h->ek_sha256);
}

static struct err derive_ak(struct bytes area, struct host_record *h)
{
	struct tpm_public ak;
	struct err e;

	if (failed(e = tpm_public_parse(area, &ak)) ||
	    failed(e = tpm_check_ak(&ak, NULL)) ||
	    failed(e = tpm_public_name(&ak, &h->ak_name)) ||
	    failed(e = tpm_public_scheme(&ak, &h->ak_scheme, &h->ak_hash)) ||
	    failed(e = tpm_qualified_name_primary(TPM_RH_ENDORSEMENT, &h->ak_name, &h->ak_qualified_name)))
		return e;
	return tpm_public_key(&ak, &h->ak);
}

struct err host_record_decode(struct bytes in, struct host_record **ret)
{
	cleanup_host_record struct host_record *h = calloc(1, sizeof(*h));
	struct bytes ek, ek_cert, ak;
	struct cbor_rd r;
	struct cbor_map m;
	uint64_t enrolled;
	struct err e;

	if (h == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (in.n > HOST_RECORD_MAX)
		return ERR(E_LIMIT_SIZE);
	if (failed(e = cbor_rd_init(in, &r)) ||
	    failed(e = cbor_rd_map(&r, &m)) ||
	    failed(e = cbor_rd_key(&r, &m, KEY_EK)) ||
	    failed(e = cbor_rd_bytes(&r, &ek)) ||
	    failed(e = cbor_rd_key(&r, &m, KEY_EK_CERT)) ||
	    failed(e = cbor_rd_bytes(&r, &ek_cert)) ||
	    failed(e = cbor_rd_key(&r, &m, KEY_AK)) ||
	    failed(e = cbor_rd_bytes(&r, &ak)) ||
	    failed(e = cbor_rd_key(&r, &m, KEY_ENROLLED)) ||
	    failed(e = cbor_rd_uint(&r, INT64_MAX, &enrolled)) ||
	    failed(e = cbor_rd_map_end(&r, &m)) ||
	    failed(e = cbor_rd_end(&r)) ||
	    failed(e = derive_ek(ek, h)) ||
	    failed(e = derive_ak(ak, h)) ||
	    failed(e = sha256(in, h->digest)))
		return e;
	h->has_ek_cert = ek_cert.n > 0;
	h->enrolled_s = (int64_t)enrolled;
	*ret = take_ptr(&h);
	return ERR(E_OK);
}
