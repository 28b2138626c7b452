/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /v1/attest. Straight down: find the host, appraise, sign, commit, and
 * only then answer. Evidence that the enrolled AK did not sign over a live
 * nonce of ours is refused without a trace but in the counters.
 */
#include <string.h>

#include "verifier/serve/attest_write.h"

/* What the refusal is called, so that a client knows whether another challenge helps. */
static struct err unauthentic_code(const char *check)
{
	static const struct {
		const char *check;
		enum err_code code;
	} codes[] = {
		{ "X1", E_PEER_SYNTAX }, { "Q1", E_PEER_SYNTAX },    { "L1", E_AUTH_NONCE },
		{ "Q6", E_AUTH_SIGNATURE }, { "Q7", E_AUTH_SIGNATURE },
	};

	for (size_t i = 0; i < array_len(codes); i++)
		if (strcmp(codes[i].check, check) == 0)
			return ERR(codes[i].code);
	return ERR(E_AUTH_REFUSED);
}

/* The name of the check and nothing of what was expected: that would tell strangers about the host. */
static struct err refuse_unauthentic(const struct verdict *v, struct reply *ret)
{
	const char *check = verdict_first_failure(v);

	(void)snprintf(ret->log_verdict, sizeof(ret->log_verdict), "unauthentic");
	(void)snprintf(ret->log_check, sizeof(ret->log_check), "%.23s", check);
	for (size_t i = 0; i < v->n_checks; i++)
		if (strcmp(appraise_check(i).id, check) == 0)
			reason_set(&ret->why, "failed: %s", appraise_check(i).name);
	return unauthentic_code(check);
}

static struct err fill_reply(const struct attestation *a, struct attest_reply *m)
{
	const struct verdict *v = a->verdict;
	bool pending = reference_host(a->policy->reference, a->row->record->ek_sha256, a->now_s) == NULL;

	memcpy(m->host_id, a->row->record->id, sizeof(m->host_id));
	(void)snprintf(m->state, sizeof(m->state), "%s",
		       pending && v->status == HOST_NEVER ? "PENDING" : host_status_name(v->status));
	m->incomplete = v->incomplete;
	m->expires_s = a->expires_s;
	m->n_failures = v->n_failures;
	memcpy(m->failure, v->failure, v->n_failures * sizeof(v->failure[0]));
	/* Borrowed from the attestation, and never freed here. */
	m->n_results = a->n_results;
	m->result = a->result;
	return ERR(E_OK);
}

static struct err answer(const struct attestation *a, struct reply *ret)
{
	cleanup_free struct attest_reply *m = calloc(1, sizeof(*m));
	struct err e;

	if (m == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = fill_reply(a, m)))
		return e;
	(void)snprintf(ret->log_verdict, sizeof(ret->log_verdict), "%s", m->incomplete ? "incomplete" : m->state);
	(void)snprintf(ret->log_check, sizeof(ret->log_check), "%.23s", verdict_first_failure(a->verdict));
	return attest_reply_encode(m, &ret->body);
}

static struct err refuse_used(struct reply *ret)
{
	(void)snprintf(ret->log_check, sizeof(ret->log_check), "L1");
	reason_set(&ret->why, "failed: this nonce was used before");
	return ERR(E_AUTH_NONCE);
}

/*
 * Evidence that another answer overtook. The one that carries the same nonce
 * is no late answer but a replay, and is called that.
 */
static struct err refuse_overtaken(struct verifier *v, const struct verdict *verdict, struct reply *ret)
{
	bool used;
	struct err e = store_was_used(v->store, "attest", verdict->nonce, &used);

	if (failed(e))
		return e;
	if (used)
		return refuse_used(ret);
	reason_set(&ret->why, "a later answer of this host came first");
	(void)snprintf(ret->log_check, sizeof(ret->log_check), "%.23s", verdict_first_failure(verdict));
	return ERR(E_AUTH_RETRY);
}

static struct err commit(struct attestation *a, struct reply *ret)
{
	struct err e;

	if (failed(e = attestation_prepare(a)))
		return e;
	e = attestation_commit(a);
	if (a->nonce_used)
		return refuse_used(ret);
	if (a->key_taken)
		reason_set(&ret->why, "a workload key is another host's");
	return e;
}

static struct err decide(struct verifier *v, const struct request *q, const struct host_row *row, bool known,
			 struct verdict *verdict, struct reply *ret)
{
	cleanup_policy struct policy *p = policy_hold(v);
	cleanup_attestation struct attestation a = { .v = v, .policy = p, .row = row, .verdict = verdict,
						     .now_s = q->now_s };
	const struct appraisal in = {
		.evidence = q->body,
		.issuer = v->c.issuer,
		.nonce_key = v->nonce_key,
		.host = row->record,
		.state = &row->state,
		.reference = p->reference,
		.allowlists = &p->lists,
		.now_s = q->now_s,
	};
	struct err e;

	if (failed(e = appraise(&in, verdict)))
		return e;
	if (!verdict->authentic || !known)
		return refuse_unauthentic(verdict, ret);
	if (verdict->overtaken)
		return refuse_overtaken(v, verdict, ret);
	a.passed = verdict_passed(verdict);
	if (a.passed)
		a.expires_s = attestation_expiry(&a);
	if (failed(e = commit(&a, ret)))
		return e;
	return answer(&a, ret);
}

static enum attest_outcome outcome_of(struct err e, const struct verdict *v)
{
	if (!failed(e))
		return v->incomplete ? ATTEST_RETRY : verdict_passed(v) ? ATTEST_PASSED : ATTEST_FAILED;
	if (e.code == E_AUTH_RETRY)
		return ATTEST_RETRY;
	return e.code >= E_LOCAL_MEMORY ? ATTEST_ERROR : ATTEST_UNAUTHENTIC;
}

/* A row for a host that is not there; the record is the decoy's under another name, and nobody's to free. */
static void decoy_row(struct verifier *v, const char *id, struct host_record *record, struct host_row *row)
{
	*record = *v->decoy;
	memcpy(record->id, id, sizeof(record->id));
	row->record = record;
	host_state_init(&row->state);
}

struct err on_attest(struct verifier *v, const struct request *q, struct reply *ret)
{
	cleanup_host_row struct host_row row = { 0 };
	cleanup_free struct verdict *verdict = calloc(1, sizeof(*verdict));
	char id[HOST_ID_LEN + 1];
	struct host_record decoy;
	bool known;
	struct err e;

	if (verdict == NULL)
		return ERR(E_LOCAL_MEMORY);
	verdict_init(verdict);
	e = appraise_unsigned_host(q->body, id);
	if (failed(e)) {
		metrics_count_attest(&v->metrics, outcome_of(e, verdict), NULL);
		(void)snprintf(ret->log_check, sizeof(ret->log_check), "X1");
		return e;
	}
	memcpy(ret->log_host, id, sizeof(ret->log_host));
	e = store_host(v->store, id, &row);
	known = !failed(e);
	if (failed(e) && e.code != E_LOCAL_NOT_FOUND)
		return e;
	if (!known)
		decoy_row(v, id, &decoy, &row);
	e = decide(v, q, &row, known, verdict, ret);
	if (!known)
		row.record = NULL;
	metrics_count_attest(&v->metrics, outcome_of(e, verdict), verdict);
	verdict_done(verdict);
	return e;
}
