/* SPDX-License-Identifier: Apache-2.0 */
/* POST /v1/enrol and /v1/enrol/activate. Step one stores nothing; the row is made when the TPM has answered. */
#include <string.h>

#include "base/log.h"
#include "verifier/appraise/enrolment.h"
#include "verifier/serve/internal.h"

static void enrol_request_done_(struct enrol_request *m)
{
	enrol_request_done(m);
}
static void enrol_challenge_done_(struct enrol_challenge *m)
{
	enrol_challenge_done(m);
}
static void enrol_activation_done_(struct enrol_activation *m)
{
	enrol_activation_done(m);
}

static struct err judge(struct verifier *v, const struct enrol_request *m, int64_t now_s, struct enrolment *ret,
			struct reply *reply)
{
	cleanup_anchors struct anchors *a = anchors_hold(v);
	struct err e = enrolment_judge(m, a->trust, !v->c.allow_no_ek_certificate, now_s, ret, &reply->why);

	if (!failed(e))
		(void)snprintf(reply->log_host, sizeof(reply->log_host), "%s", ret->host_id);
	return e;
}

struct err on_enrol(struct verifier *v, const struct request *q, struct reply *ret)
{
	struct enrol_request m cleanup(enrol_request_done_);
	struct enrol_challenge c cleanup(enrol_challenge_done_);
	struct enrolment en;
	uint8_t random[16];
	struct err e;

	enrol_request_init(&m);
	enrol_challenge_init(&c);
	if (failed(e = enrol_request_decode(q->body, &m, &ret->why)) ||
	    failed(e = judge(v, &m, q->now_s, &en, ret)) || failed(e = random_bytes(random, sizeof(random))) ||
	    failed(e = enrolment_challenge(&m, &en, v->enrol_key, q->now_s, random, &c)))
		return e;
	return enrol_challenge_encode(&c, &ret->body);
}

struct activation {
	const uint8_t *session_id;
	const char *host_id;
	struct bytes record;              /* empty: the secret was wrong */
	int64_t now_s;
	bool used, conflict;
};

/* N9: the session is used up whatever came with it. N10: the first record stays. */
static struct err activate_txn(struct txn *t, void *ctx)
{
	struct activation *a = ctx;
	bool existed;
	struct err e = txn_use_once(t, "enrol", BYTES(a->session_id, ENROL_SESSION_ID_LEN),
				    a->now_s + ENROL_SESSION_LIFE_S + CLOCK_SKEW_S);

	a->used = e.code == E_AUTH_CONFLICT;
	a->conflict = false;
	if (failed(e))
		return e;
	if (a->record.n > 0) {
		e = txn_host_add(t, a->host_id, a->record, &existed);
		a->conflict = e.code == E_AUTH_CONFLICT;
		/* Nothing was changed by it, and the session shall stay used. */
		if (failed(e) && !a->conflict)
			return e;
	}
	return txn_time_advance(t, a->now_s);
}

static struct err commit(struct verifier *v, struct activation *a, struct reply *ret)
{
	struct err e = store_write(v->store, activate_txn, a);

	if (a->used) {
		reason_set(&ret->why, "N9: this session was used before; enrol again");
		return ERR(E_AUTH_NONCE);
	}
	if (failed(e))
		return e;
	verifier_time_seen(v, a->now_s);
	if (a->conflict) {
		reason_set(&ret->why, "N10: this host is enrolled with another attestation key; an operator can remove it");
		return ERR(E_AUTH_CONFLICT);
	}
	return ERR(E_OK);
}

static struct err answer(struct verifier *v, const struct enrolment *en, int64_t now_s, struct reply *ret)
{
	cleanup_policy struct policy *p = policy_hold(v);
	bool named = reference_host(p->reference, en->ek_sha256, now_s) != NULL;
	struct enrol_reply m = { .state = "" };

	memcpy(m.host_id, en->host_id, sizeof(m.host_id));
	memcpy(m.ek_sha256, en->ek_sha256, sizeof(m.ek_sha256));
	(void)snprintf(m.state, sizeof(m.state), "%s", named ? "ENROLLED" : "PENDING");
	(void)snprintf(m.issuer, sizeof(m.issuer), "%s", v->c.issuer);
	(void)snprintf(ret->log_verdict, sizeof(ret->log_verdict), "%s", m.state);
	return enrol_reply_encode(&m, &ret->body);
}

struct err on_enrol_activate(struct verifier *v, const struct request *q, struct reply *ret)
{
	struct enrol_activation m cleanup(enrol_activation_done_);
	cleanup_buf struct buf record = BUF_INIT(HOST_RECORD_MAX);
	uint8_t session_id[ENROL_SESSION_ID_LEN];
	struct activation a = { .session_id = session_id, .now_s = q->now_s };
	bool ours = false;
	struct enrolment en;
	struct err e, wrong;

	enrol_activation_init(&m);
	if (failed(e = enrol_activation_decode(q->body, &m, &ret->why)) ||
	    failed(e = judge(v, &m.request, q->now_s, &en, ret)))
		return e;
	wrong = enrolment_activate(&m, &en, v->enrol_key, q->now_s, session_id, &ours, &ret->why);
	if (failed(wrong) && !ours)
		return wrong;
	a.host_id = en.host_id;
	if (!failed(wrong)) {
		if (failed(e = host_record_encode(buf_bytes(&m.request.ek_public), buf_bytes(&m.request.ek_cert),
						  buf_bytes(&m.request.ak_public), q->now_s, &record)))
			return e;
		a.record = buf_bytes(&record);
	}
	if (failed(e = commit(v, &a, ret)))
		return e;
	if (failed(wrong))
		return wrong;
	atomic_fetch_add(&v->metrics.enrolled, 1);
	return answer(v, &en, q->now_s, ret);
}
