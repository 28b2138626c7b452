/* SPDX-License-Identifier: Apache-2.0 */
/* attest-reply of assay.cddl. */
#include "protocol/message_parts.h"

#include <string.h>

#include "base/jsonw.h"
#include "base/text.h"

#define RESULTS_MAX (LIMIT_INSTANCES + 1) /* one per instance and one for the host as a whole */

#define cleanup_reply cleanup(attest_reply_done)

static const char *const states[] = { "NEVER", "PENDING", "VERIFIED", "FAILED", "STALE", "REBOOTED", "ERROR" };
static const char *const statuses[] = { "none", "affirming", "warning", "contraindicated" };

static bool listed(const char *s, size_t n, const char *const *list)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(s, list[i]) == 0)
			return true;
	return false;
}

void attest_reply_done(struct attest_reply *m)
{
	for (size_t i = 0; i < m->n_results && m->result != NULL; i++)
		buf_free(&m->result[i].ear);
	free(m->result);
	m->result = NULL;
	m->n_results = 0;
}

static void put_failures(struct jsonw *w, const struct attest_reply *m)
{
	jsonw_array(w, "failures");
	for (size_t i = 0; i < m->n_failures; i++) {
		const struct attest_failure *f = &m->failure[i];

		jsonw_object(w, NULL);
		jsonw_str(w, "check", f->check);
		jsonw_str(w, "expected", f->expected);
		jsonw_str(w, "seen", f->seen);
		jsonw_str(w, "subject", f->subject);
		jsonw_close(w);
	}
	jsonw_close(w);
}

static struct err put_results(struct jsonw *w, const struct attest_reply *m)
{
	jsonw_array(w, "results");
	for (size_t i = 0; i < m->n_results; i++) {
		const struct attest_result *r = &m->result[i];

		if (!listed(r->status, array_len(statuses), statuses))
			return ERR(E_BUG);
		jsonw_object(w, NULL);
		jsonw_text(w, "ear", buf_bytes(&r->ear));
		jsonw_str(w, "instance", r->instance);
		jsonw_str(w, "status", r->status);
		jsonw_close(w);
	}
	jsonw_close(w);
	return ERR(E_OK);
}

struct err attest_reply_encode(const struct attest_reply *m, struct buf *ret)
{
	char expires[TIME_TEXT_SIZE];
	struct jsonw w;
	struct err e;

	if (m->n_failures > ATTEST_MAX_FAILURES || m->n_results > RESULTS_MAX ||
	    !listed(m->state, array_len(states), states))
		return ERR(E_BUG);
	if (m->expires_s != 0 && failed(e = time_format(m->expires_s, expires, sizeof(expires))))
		return e;
	/* Members in the order of json_write(), as all messages have them. */
	jsonw_begin(&w, ret);
	if (m->expires_s != 0)
		jsonw_str(&w, "expires", expires);
	put_failures(&w, m);
	jsonw_str(&w, "host", m->host_id);
	jsonw_bool(&w, "incomplete", m->incomplete);
	if (failed(e = put_results(&w, m))) {
		struct err cut = buf_truncate(ret, w.start);

		return failed(cut) ? cut : e;
	}
	jsonw_str(&w, "state", m->state);
	return jsonw_end(&w);
}

static struct err get_failure(const json_t *j, struct attest_failure *f, struct reason *reterr)
{
	struct jobj o = { 0 };
	struct err e;

	if (failed(e = jobj_init(&o, j, "failures", reterr)) ||
	    failed(e = id_get(&o, "check", f->check, sizeof(f->check))) ||
	    failed(e = text_get(&o, "subject", f->subject, sizeof(f->subject))) ||
	    failed(e = text_get(&o, "expected", f->expected, sizeof(f->expected))) ||
	    failed(e = text_get(&o, "seen", f->seen, sizeof(f->seen))))
		return e;
	return jobj_end(&o);
}

static struct err get_failures(struct jobj *o, struct attest_reply *m)
{
	const json_t *a = NULL;
	struct err e;

	if (failed(e = jobj_arr(o, "failures", ATTEST_MAX_FAILURES, &a)))
		return e;
	m->n_failures = json_array_size(a);
	for (size_t i = 0; i < m->n_failures; i++)
		if (failed(e = get_failure(json_array_get(a, i), &m->failure[i], o->reterr)))
			return e;
	return ERR(E_OK);
}

static bool instance_valid(const char *s)
{
	size_t n = strspn(s, "0123456789abcdef");

	return s[n] == '\0' && (n == 0 || n == (size_t)2 * PRESENTED_ID_LEN);
}

static struct err get_result(const json_t *j, struct attest_result *r, struct reason *reterr)
{
	const char *ear = NULL;
	struct jobj o = { 0 };
	struct err e;

	buf_init(&r->ear, LIMIT_TOKEN);
	if (failed(e = jobj_init(&o, j, "results", reterr)) ||
	    failed(e = text_get(&o, "instance", r->instance, sizeof(r->instance))) ||
	    failed(e = text_get(&o, "status", r->status, sizeof(r->status))) ||
	    failed(e = jobj_str(&o, "ear", LIMIT_TOKEN, &ear)) ||
	    failed(e = buf_add_str(&r->ear, ear)) ||
	    failed(e = jobj_end(&o)))
		return e;
	if (!instance_valid(r->instance) || !listed(r->status, array_len(statuses), statuses)) {
		reason_set(reterr, "results: instance or status has an unexpected value");
		return ERR(E_PEER_RANGE);
	}
	return ERR(E_OK);
}

static struct err get_results(struct jobj *o, struct attest_reply *m)
{
	const json_t *a = NULL;
	size_t n;
	struct err e;

	if (failed(e = jobj_arr(o, "results", RESULTS_MAX, &a)))
		return e;
	n = json_array_size(a);
	if (n == 0)
		return ERR(E_OK);
	m->result = calloc(n, sizeof(*m->result));
	if (m->result == NULL)
		return ERR(E_LOCAL_MEMORY);
	m->n_results = n;
	for (size_t i = 0; i < n; i++)
		if (failed(e = get_result(json_array_get(a, i), &m->result[i], o->reterr)))
			return e;
	return ERR(E_OK);
}

static struct err get_reply(struct jobj *o, struct attest_reply *m)
{
	struct err e;

	if (failed(e = host_id_get(o, "host", m->host_id)) ||
	    failed(e = text_get(o, "state", m->state, sizeof(m->state))))
		return e;
	if (!listed(m->state, array_len(states), states)) {
		reason_set(o->reterr, "state: unexpected value");
		return ERR(E_PEER_RANGE);
	}
	if (failed(e = jobj_bool(o, "incomplete", &m->incomplete)))
		return e;
	if (jobj_has(o, "expires") && failed(e = jobj_time(o, "expires", &m->expires_s)))
		return e;
	if (failed(e = get_failures(o, m)) ||
	    failed(e = get_results(o, m)))
		return e;
	return jobj_end(o);
}

struct err attest_reply_decode(struct bytes in, struct attest_reply *ret, struct reason *reterr)
{
	cleanup_reply struct attest_reply m = { 0 };
	cleanup_json json_t *j = NULL;
	struct jobj o = { 0 };
	struct err e;

	if (failed(e = body_parse(in, LIMIT_EVIDENCE, &j, &o, reterr)) ||
	    failed(e = get_reply(&o, &m)))
		return e;
	*ret = m;
	m = (struct attest_reply){ 0 };
	return ERR(E_OK);
}
