/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/evidence_check.h"

#include <string.h>

#define WORKLOAD_PCR 13

#define DEMAND(what)                                            \
	do {                                                    \
		if (!(what)) {                                  \
			reason_set(reterr, "not so: %s", #what); \
			return ERR(E_AUTH_REFUSED);             \
		}                                               \
	} while (0)
#define TRY(call)                                                            \
	do {                                                                 \
		struct err e_ = (call);                                      \
		if (failed(e_)) {                                            \
			reason_set(reterr, "%s: %s", #call, err_name(e_));   \
			return e_;                                           \
		}                                                            \
	} while (0)

void evidence_check_init(struct evidence_check *c)
{
	memset(c, 0, sizeof(*c));
	buf_init(&c->ak_public, LIMIT_TPM2B);
}

void evidence_check_done(struct evidence_check *c)
{
	buf_free(&c->ak_public);
}

void evidence_check_forget(struct evidence_check *c)
{
	c->boot_known = false;
	c->log_offset = 0;
	c->log_records = 0;
	c->pcr = (struct digest){ 0 };
	c->n_known = 0;
}

void evidence_check_challenge(const struct evidence_check *c, struct challenge *ch)
{
	ch->log_offset = c->log_offset;
	ch->log_records = c->log_records;
	ch->log_pcr = c->pcr;
	ch->boot_known = c->boot_known;
	ch->n_known = c->n_known;
	memcpy(ch->known, c->known, sizeof(ch->known));
}

static struct err open_ak(const struct evidence_check *c, struct key **ret, struct tpm_name *ret_name)
{
	struct tpm_public p;
	struct err e;

	if (failed(e = tpm_public_parse(buf_bytes(&c->ak_public), &p)) || failed(e = tpm_check_ak(&p, NULL)) ||
	    failed(e = tpm_public_name(&p, ret_name)))
		return e;
	return tpm_public_key(&p, ret);
}

static struct err signed_by(const struct evidence_check *c, const struct key *ak, struct bytes attest, struct bytes sig)
{
	struct tpm_signature s;
	enum sig_scheme scheme;
	enum digest_id hash;
	struct tpm_public p;
	struct err e;

	if (failed(e = tpm_public_parse(buf_bytes(&c->ak_public), &p)) ||
	    failed(e = tpm_public_scheme(&p, &scheme, &hash)) || failed(e = tpm_signature_parse(sig, &s)))
		return e;
	return tpm_signature_verify(&s, ak, scheme, hash, attest);
}

static struct err check_quote(struct evidence_check *c, const struct challenge *ch, const struct evidence *ev,
			      const struct key *ak, const struct tpm_name *ak_name, struct reason *reterr)
{
	cleanup_buf struct buf want = BUF_INIT(LIMIT_TPM2B);
	struct digest values[LIMIT_BANKS * LIMIT_PCRS], digest;
	struct tpm_name qualified;
	struct tpm_attest a;
	uint8_t data[32];

	TRY(tpm_attest_parse(ev->quote, &a));
	TRY(signed_by(c, ak, ev->quote, ev->signature));
	TRY(evidence_qualifying_data(BYTES_ARR(ch->nonce), ev->claims, data));
	DEMAND(ev->n_pcrs == pcr_selection_count(&ch->selection));
	for (size_t i = 0; i < ev->n_pcrs; i++) {
		values[i].n = (uint8_t)ev->pcr[i].n;
		memcpy(values[i].v, ev->pcr[i].p, ev->pcr[i].n);
	}
	TRY(tpm_pcr_digest(DIGEST_SHA256, ev->n_pcrs, values, &digest));
	TRY(tpm_quote_expected(&a, BYTES_ARR(data), &ch->selection, digest_bytes(&digest), &want));
	DEMAND(bytes_eq(buf_bytes(&want), ev->quote));
	TRY(tpm_qualified_name_primary(TPM_RH_ENDORSEMENT, ak_name, &qualified));
	DEMAND(bytes_eq(a.qualified_signer, tpm_name_bytes(&qualified)));
	return ERR(E_OK);
}

static struct err check_certify(struct evidence_check *c, const struct challenge *ch, const struct evidence *ev,
				const struct evidence_key *k, const struct key *ak, const struct tpm_name *qualified,
				struct reason *reterr)
{
	cleanup_buf struct buf want = BUF_INIT(LIMIT_TPM2B);
	struct tpm_name name;
	struct tpm_attest a;
	struct tpm_public p;
	uint8_t data[32];

	TRY(tpm_public_parse(k->public_area, &p));
	TRY(tpm_public_name(&p, &name));
	TRY(tpm_attest_parse(k->attest, &a));
	TRY(signed_by(c, ak, k->attest, k->signature));
	TRY(evidence_key_extra_data(BYTES_ARR(ch->nonce), ev->claims, tpm_name_bytes(&name), data));
	TRY(tpm_certify_expected(&a, BYTES_ARR(data), &name, qualified, &want));
	DEMAND(bytes_eq(buf_bytes(&want), k->attest));
	return ERR(E_OK);
}

static struct err check_boot(struct evidence_check *c, const struct challenge *ch, const struct evidence *ev,
			     const struct evidence_claims *claims, const struct key *ak, struct reason *reterr)
{
	struct tpm_name qualified;
	struct tpm_attest a;
	struct tpm_public p;
	uint8_t id[BOOT_ID_LEN];

	c->had_boot = ev->has_boot;
	DEMAND(ev->has_boot == !ch->boot_known);
	if (ev->has_boot) {
		TRY(tpm_public_parse(ev->boot.public_area, &p));
		TRY(tpm_check_null_primary(&p, reterr));
		TRY(tpm_public_name(&p, &c->null_name));
		TRY(tpm_qualified_name_primary(TPM_RH_NULL, &c->null_name, &qualified));
		TRY(check_certify(c, ch, ev, &ev->boot, ak, &qualified, reterr));
	}
	TRY(tpm_attest_parse(ev->quote, &a));
	TRY(boot_id_of(&c->null_name, a.clock.reset_count, a.clock.restart_count, id));
	DEMAND(memcmp(id, claims->boot_id, sizeof(id)) == 0);
	c->boot_known = true;
	return ERR(E_OK);
}

static bool knows(const struct evidence_check *c, const uint8_t *id)
{
	for (size_t i = 0; i < c->n_known; i++)
		if (memcmp(c->known[i], id, PRESENTED_ID_LEN) == 0)
			return true;
	return false;
}

static struct err check_keys(struct evidence_check *c, const struct challenge *ch, const struct evidence *ev,
			     const struct evidence_claims *claims, const struct key *ak, struct reason *reterr)
{
	struct tpm_name parent, name, qualified;

	TRY(tpm_qualified_name_primary(TPM_RH_NULL, &c->null_name, &parent));
	c->n_presented = claims->n_instances;
	c->n_new_keys = ev->n_keys;
	for (size_t i = 0; i < claims->n_instances; i++) {
		bool found = knows(c, claims->instance[i].instance);

		memcpy(c->presented[i], claims->instance[i].instance, PRESENTED_ID_LEN);
		for (size_t k = 0; k < ev->n_keys && !found; k++) {
			struct tpm_public p;

			TRY(tpm_public_parse(ev->key[k].public_area, &p));
			TRY(tpm_check_workload_key(&p, reterr));
			TRY(tpm_public_name(&p, &name));
			if (!bytes_eq(tpm_name_bytes(&name), claims->instance[i].key_name))
				continue;
			TRY(tpm_qualified_name_child(&parent, &name, &qualified));
			TRY(check_certify(c, ch, ev, &ev->key[k], ak, &qualified, reterr));
			memcpy(c->known[c->n_known++], claims->instance[i].instance, PRESENTED_ID_LEN);
			found = true;
		}
		DEMAND(found);
	}
	return ERR(E_OK);
}

static struct err take_event(struct evidence_check *c, const struct cel_record *rec, struct reason *reterr)
{
	struct workload_event ev;

	TRY(workload_event_decode(rec->content, &ev));
	if (ev.kind == WORKLOAD_START || ev.kind == WORKLOAD_CHANGED) {
		c->last_image = ev.image;
		c->last_model = ev.model;
	}
	DEMAND(c->n_events < 1024);
	c->event[c->n_events] = ev.kind;
	memcpy(c->event_instance[c->n_events], ev.instance, INSTANCE_ID_LEN);
	c->n_events++;
	return ERR(E_OK);
}

static struct err check_log(struct evidence_check *c, const struct challenge *ch, const struct evidence *ev,
			    const struct evidence_claims *claims, struct reason *reterr)
{
	const struct digest_alg *alg = digest_by_tpm_alg(ch->selection.bank[0].hash_alg);
	size_t at = (size_t)__builtin_popcount(ch->selection.bank[0].mask & ((1u << WORKLOAD_PCR) - 1));
	uint64_t records = claims->log_records;
	struct digest pcr = { .n = (uint8_t)alg->size };
	size_t off = 0;

	c->n_events = 0;
	if (claims->log_offset != 0) {
		DEMAND(claims->log_offset == c->log_offset && records == c->log_records);
		DEMAND(bytes_eq(claims->log_pcr, digest_bytes(&c->pcr)));
		pcr = c->pcr;
	}
	while (off < ev->log.n) {
		struct cel_record rec;
		size_t n;

		TRY(cel_read(BYTES(ev->log.p + off, ev->log.n - off), &rec, &n));
		DEMAND(rec.recnum == records && rec.pcr == WORKLOAD_PCR);
		TRY(take_event(c, &rec, reterr));
		TRY(digest_extend(alg->id, &pcr, digest_bytes(cel_digest(&rec, alg->id)), &pcr));
		records++;
		off += n;
	}
	DEMAND(bytes_eq(digest_bytes(&pcr), ev->pcr[at]));
	c->pcr = pcr;
	c->log_records = records;
	c->log_offset = claims->log_offset + ev->log.n;
	return ERR(E_OK);
}

static struct err check_claims(const struct challenge *ch, const struct evidence_claims *claims,
			       const struct tpm_name *ak_name, struct reason *reterr)
{
	DEMAND(bytes_eq(claims->nonce, BYTES_ARR(ch->nonce)));
	DEMAND(bytes_eq(claims->issuer, bytes_str(ch->issuer)));
	DEMAND(bytes_eq(claims->ak_name, tpm_name_bytes(ak_name)));
	DEMAND(pcr_selection_equal(&claims->selection, &ch->selection));
	return ERR(E_OK);
}

static struct err check_all(struct evidence_check *c, const struct challenge *ch, const struct evidence *ev,
			    const struct evidence_claims *claims, struct reason *reterr)
{
	cleanup_key struct key *ak = NULL;
	struct tpm_name ak_name;

	TRY(open_ak(c, &ak, &ak_name));
	TRY(check_claims(ch, claims, &ak_name, reterr));
	TRY(check_quote(c, ch, ev, ak, &ak_name, reterr));
	TRY(check_log(c, ch, ev, claims, reterr));
	TRY(check_boot(c, ch, ev, claims, ak, reterr));
	return check_keys(c, ch, ev, claims, ak, reterr);
}

struct err evidence_check(struct evidence_check *c, const struct challenge *ch, struct bytes evidence,
			  struct reason *reterr)
{
	cleanup_free struct evidence_claims *claims = calloc(1, sizeof(*claims));
	cleanup_free struct evidence *ev = calloc(1, sizeof(*ev));

	if (claims == NULL || ev == NULL)
		return ERR(E_LOCAL_MEMORY);
	TRY(evidence_decode(evidence, ev));
	TRY(evidence_claims_decode(ev->claims, claims));
	return check_all(c, ch, ev, claims, reterr);
}
