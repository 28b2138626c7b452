/* SPDX-License-Identifier: Apache-2.0 */
/* POST /v1/challenge: a nonce, and what evidence has to cover. Costs no memory but a slot of a bounded cache, and an unknown host gets the same. */
#include <string.h>

#include "base/log.h"
#include "verifier/serve/internal.h"

/* Which logs are wanted, and from where. */
static void logs(const struct policy *p, const uint8_t ek_sha256[32], int64_t now_s, const struct host_state *s,
		 const struct challenge_request *m, struct challenge *c)
{
	struct appraise_logs want;

	appraise_logs(p->reference, ek_sha256, now_s, s, m->boot_id, &want);
	c->firmware_log = want.firmware;
	c->userspace_log = want.userspace;
	c->wants_ima = want.ima;
	c->ima_offset = want.ima_offset;
}

/* Where the log goes on; only for the boot, and under the documents, that state and open replay stand for. */
static void positions(const struct host_state *s, const struct policy *p, const struct challenge_request *m,
		      struct challenge *c)
{
	const struct host_state *log = host_state_log(s, m->boot_id, p->digest);

	c->boot_known = host_state_continues(s, m->boot_id, p->digest);
	if (log == NULL)
		return;
	c->log_offset = log->log_offset;
	c->log_records = log->log_records;
	if (log->log_records > 0)
		c->log_pcr = log->pcr[0];
	for (size_t i = 0; i < log->n_instances && c->n_known < LIMIT_INSTANCES; i++)
		if (log->instance[i].has_key)
			memcpy(c->known[c->n_known++], log->instance[i].id, INSTANCE_ID_LEN);
}

/* The EK that decides which platform documents are asked about; for a host that is not there, none of anybody. */
static struct err look_up(struct verifier *v, const char *id, struct host_row *row, bool *ret_known)
{
	struct err e = store_host(v->store, id, row);

	*ret_known = !failed(e);
	if (e.code != E_LOCAL_NOT_FOUND)
		return e;
	memcpy(row->ek_sha256, v->decoy->ek_sha256, sizeof(row->ek_sha256));
	return ERR(E_OK);
}

static struct err make_nonce(struct verifier *v, const char *host, const struct policy *p, int64_t now_s,
			     struct challenge *c)
{
	const struct nonce_for f = {
		.purpose = "attest",
		.host = bytes_str(host),
		.selection = &c->selection,
		.policy = BYTES_ARR(p->digest),
	};
	uint8_t random[16];
	struct err e = random_bytes(random, sizeof(random));

	return failed(e) ? e : nonce_make(v->nonce_key, &f, now_s, random, c->nonce);
}

struct err on_challenge(struct verifier *v, const struct request *q, struct reply *ret)
{
	cleanup_policy struct policy *p = policy_hold(v);
	cleanup_free struct challenge *c = calloc(1, sizeof(*c));
	cleanup_host_row struct host_row row = { 0 };
	struct challenge_request m;
	bool known;
	struct err e;

	if (c == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = challenge_request_decode(q->body, &m, &ret->why)))
		return e;
	memcpy(ret->log_host, m.host_id, sizeof(ret->log_host));
	if (failed(e = look_up(v, m.host_id, &row, &known)) ||
	    failed(e = appraise_selection(p->reference, row.ek_sha256, q->now_s, &c->selection)) ||
	    failed(e = make_nonce(v, m.host_id, p, q->now_s, c)))
		return e;
	logs(p, row.ek_sha256, q->now_s, known ? &row.state : NULL, &m, c);
	if (known)
		positions(&row.state, p, &m, c);
	(void)snprintf(c->issuer, sizeof(c->issuer), "%s", v->c.issuer);
	if (failed(e = challenge_encode(c, &ret->body)))
		return e;
	return dpop_nonce(v, q->now_s, ret);
}
