/* SPDX-License-Identifier: Apache-2.0 */
/* challenge-request and challenge of assay.cddl. */
#include "protocol/message_parts.h"

#include <string.h>

struct err challenge_request_encode(const struct challenge_request *m, struct buf *ret)
{
	cleanup_json json_t *o = NULL;
	struct err e;

	if (failed(e = json_new_object(&o)) ||
	    failed(e = json_put_str(o, "host", m->host_id)) ||
	    failed(e = json_put_b64url(o, "boot", BYTES_ARR(m->boot_id))))
		return e;
	return json_write(o, ret);
}

struct err challenge_request_decode(struct bytes in, struct challenge_request *ret, struct reason *reterr)
{
	cleanup_json json_t *j = NULL;
	struct challenge_request m = { 0 };
	struct jobj o = { 0 };
	struct err e;

	if (failed(e = body_parse(in, LIMIT_SMALL, &j, &o, reterr)) ||
	    failed(e = host_id_get(&o, "host", m.host_id)) ||
	    failed(e = bytes_get(&o, "boot", m.boot_id, sizeof(m.boot_id))) ||
	    failed(e = jobj_end(&o)))
		return e;
	*ret = m;
	return ERR(E_OK);
}

/* The one bank's name and the numbers of its PCRs, ascending. */
static struct err put_selection(json_t *o, const struct pcr_selection *s)
{
	cleanup_json json_t *pcrs = json_array();
	const struct digest_alg *alg;
	struct err e;

	if (s->n != 1 || s->bank[0].mask == 0 || s->bank[0].mask >> LIMIT_PCRS != 0)
		return ERR(E_BUG);
	alg = digest_by_tpm_alg(s->bank[0].hash_alg);
	if (alg == NULL)
		return ERR(E_BUG);
	if (pcrs == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (unsigned i = 0; i < LIMIT_PCRS; i++)
		if ((s->bank[0].mask >> i & 1) != 0 && json_array_append_new(pcrs, json_integer(i)) != 0)
			return ERR(E_LOCAL_MEMORY);
	if (failed(e = json_put_str(o, "bank", alg->name)))
		return e;
	return json_put(o, "pcrs", take_ptr(&pcrs));
}

static struct err put_known(json_t *o, const struct challenge *m)
{
	cleanup_json json_t *a = json_array();
	struct err e;

	if (a == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < m->n_known; i++)
		if (failed(e = element_put(a, BYTES_ARR(m->known[i]))))
			return e;
	return json_put(o, "keys_known", take_ptr(&a));
}

struct err challenge_encode(const struct challenge *m, struct buf *ret)
{
	cleanup_json json_t *o = NULL;
	struct err e;

	if (m->n_known > LIMIT_INSTANCES || m->log_offset > INT64_MAX || m->log_records > INT64_MAX ||
	    m->ima_offset > INT64_MAX)
		return ERR(E_BUG);
	if (failed(e = json_new_object(&o)) ||
	    failed(e = json_put_b64url(o, "nonce", BYTES_ARR(m->nonce))) ||
	    failed(e = json_put_str(o, "issuer", m->issuer)) ||
	    failed(e = put_selection(o, &m->selection)) ||
	    failed(e = json_put_int(o, "log_offset", (int64_t)m->log_offset)) ||
	    failed(e = json_put_int(o, "log_records", (int64_t)m->log_records)) ||
	    failed(e = json_put_b64url(o, "log_pcr", digest_bytes(&m->log_pcr))) ||
	    failed(e = json_put_bool(o, "boot_known", m->boot_known)) ||
	    failed(e = put_known(o, m)) ||
	    failed(e = json_put_bool(o, "firmware_log", m->firmware_log)))
		return e;
	if (m->userspace_log && failed(e = json_put_bool(o, "userspace_log", true)))
		return e;
	if (m->wants_ima && failed(e = json_put_int(o, "ima_offset", (int64_t)m->ima_offset)))
		return e;
	return json_write(o, ret);
}

static struct err get_bank(struct jobj *o, const struct digest_alg **ret)
{
	const struct digest_alg *alg;
	const char *name = NULL;
	struct err e;

	if (failed(e = jobj_str(o, "bank", 16, &name)))
		return e;
	alg = digest_by_name(bytes_str(name));
	if (alg == NULL) {
		reason_set(o->reterr, "bank: unknown hash algorithm");
		return ERR(E_PEER_UNSUPPORTED);
	}
	*ret = alg;
	return ERR(E_OK);
}

static struct err get_pcrs(struct jobj *o, uint32_t *ret_mask)
{
	const json_t *a = NULL;
	uint32_t mask = 0;
	struct err e;

	if (failed(e = jobj_arr(o, "pcrs", LIMIT_PCRS, &a)))
		return e;
	for (size_t i = 0; i < json_array_size(a); i++) {
		const json_t *j = json_array_get(a, i);
		json_int_t pcr = json_is_integer(j) ? json_integer_value(j) : -1;

		/* Ascending: no PCR may be at or above the highest one that is set already. */
		if (pcr < 0 || pcr >= LIMIT_PCRS || mask >> pcr != 0) {
			reason_set(o->reterr, "pcrs: numbers 0 to 23 in ascending order are expected");
			return ERR(E_PEER_RANGE);
		}
		mask |= UINT32_C(1) << pcr;
	}
	if (mask == 0) {
		reason_set(o->reterr, "pcrs: empty");
		return ERR(E_PEER_RANGE);
	}
	*ret_mask = mask;
	return ERR(E_OK);
}

/* Size of the value at the offset: that of the bank, nothing at offset 0. */
static struct err get_log(struct jobj *o, size_t bank_size, struct challenge *m)
{
	cleanup_buf struct buf pcr = BUF_INIT(DIGEST_MAX);
	bool at_start;
	struct err e;

	if (failed(e = jobj_u64(o, "log_offset", INT64_MAX, &m->log_offset)) ||
	    failed(e = jobj_u64(o, "log_records", INT64_MAX, &m->log_records)) ||
	    failed(e = jobj_b64url(o, "log_pcr", &pcr)))
		return e;
	at_start = m->log_offset == 0;
	if (at_start != (m->log_records == 0) || pcr.n != (at_start ? 0 : bank_size)) {
		reason_set(o->reterr, "log_offset, log_records and log_pcr do not fit together");
		return ERR(E_PEER_RANGE);
	}
	m->log_pcr.n = (uint8_t)pcr.n;
	return bytes_copy_exact(buf_bytes(&pcr), m->log_pcr.v, pcr.n);
}

static struct err get_known(struct jobj *o, struct challenge *m)
{
	const json_t *a = NULL;
	struct err e;

	if (failed(e = jobj_arr(o, "keys_known", LIMIT_INSTANCES, &a)))
		return e;
	m->n_known = json_array_size(a);
	for (size_t i = 0; i < m->n_known; i++) {
		cleanup_buf struct buf id = BUF_INIT(PRESENTED_ID_LEN);

		if (failed(e = element_get(json_array_get(a, i), "keys_known", &id, o->reterr)))
			return e;
		if (failed(bytes_copy_exact(buf_bytes(&id), m->known[i], PRESENTED_ID_LEN))) {
			reason_set(o->reterr, "keys_known: an element is too short");
			return ERR(E_PEER_RANGE);
		}
	}
	return ERR(E_OK);
}

static struct err get_challenge(struct jobj *o, struct challenge *m)
{
	const struct digest_alg *alg = NULL;
	struct err e;

	if (failed(e = bytes_get(o, "nonce", m->nonce, sizeof(m->nonce))) ||
	    failed(e = issuer_get(o, "issuer", m->issuer)) ||
	    failed(e = get_bank(o, &alg)) ||
	    failed(e = get_pcrs(o, &m->selection.bank[0].mask)))
		return e;
	m->selection.n = 1;
	m->selection.bank[0].hash_alg = alg->tpm_alg;
	if (failed(e = get_log(o, alg->size, m)) ||
	    failed(e = jobj_bool(o, "boot_known", &m->boot_known)) ||
	    failed(e = get_known(o, m)) ||
	    failed(e = jobj_bool(o, "firmware_log", &m->firmware_log)))
		return e;
	if (jobj_has(o, "userspace_log") && failed(e = jobj_bool(o, "userspace_log", &m->userspace_log)))
		return e;
	m->wants_ima = jobj_has(o, "ima_offset");
	if (m->wants_ima && failed(e = jobj_u64(o, "ima_offset", INT64_MAX, &m->ima_offset)))
		return e;
	return jobj_end(o);
}

struct err challenge_decode(struct bytes in, struct challenge *ret, struct reason *reterr)
{
	cleanup_json json_t *j = NULL;
	struct challenge m = { 0 };
	struct jobj o = { 0 };
	struct err e;

	if (failed(e = body_parse(in, LIMIT_SMALL, &j, &o, reterr)) ||
	    failed(e = get_challenge(&o, &m)))
		return e;
	*ret = m;
	return ERR(E_OK);
}
