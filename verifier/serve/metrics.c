/* SPDX-License-Identifier: Apache-2.0 */
/* Counters, and their text in the Prometheus exposition format 0.0.4. Labels are ours alone, never a peer's. */
#include <string.h>

#include "verifier/serve/internal.h"

static const char *const outcomes[N_ATTEST_OUTCOMES] = {
	[ATTEST_PASSED] = "passed",           [ATTEST_FAILED] = "failed",
	[ATTEST_UNAUTHENTIC] = "unauthentic", [ATTEST_RETRY] = "retry",
	[ATTEST_ERROR] = "error",
};

static const char *const oauth_codes[METRICS_OAUTH_CODES] = {
	"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type",
	"invalid_scope", "invalid_target", "invalid_dpop_proof", "use_dpop_nonce", "unsupported_token_type", "",
	"other",
};

static const unsigned statuses[METRICS_STATUSES] = {
	200, 400, 401, 403, 404, 405, 408, 409, 413, 415, 429, 500, 503, 0, 0, 0,
};

void metrics_count_refusal(struct metrics *m, const char *oauth_code)
{
	size_t i = 0;

	while (i < METRICS_OAUTH_CODES - 1 && strcmp(oauth_codes[i], oauth_code) != 0)
		i++;
	atomic_fetch_add(&m->refused[i], 1);
}

void metrics_count_http(struct metrics *m, size_t route, unsigned status, uint64_t us)
{
	size_t i = 0, r = route < METRICS_MAX_ROUTES ? route : METRICS_MAX_ROUTES;

	while (i < METRICS_STATUSES - 1 && statuses[i] != status)
		i++;
	atomic_fetch_add(&m->http[r][i], 1);
	atomic_fetch_add(&m->http_us[r], us);
}

void metrics_count_attest(struct metrics *m, enum attest_outcome o, const struct verdict *v)
{
	atomic_fetch_add(&m->attest[o], 1);
	for (size_t i = 0; v != NULL && o != ATTEST_PASSED && i < v->n_checks; i++) {
		if (v->result[i] == CHECK_FAIL) {
			atomic_fetch_add(&m->check[i], 1);
			return;
		}
	}
}

void verifier_count(struct verifier *v, const struct route *r, unsigned status, uint64_t us)
{
	metrics_count_http(&v->metrics, r == NULL ? METRICS_MAX_ROUTES : route_index(r), status, us);
}

static struct err head(struct buf *b, const char *name, const char *type, const char *help)
{
	return buf_addf(b, "# HELP assay_%s %s\n# TYPE assay_%s %s\n", name, help, name, type);
}

static struct err single(struct buf *b, const char *name, const char *type, const char *help, unsigned long long value)
{
	struct err e = head(b, name, type, help);

	return failed(e) ? e : buf_addf(b, "assay_%s %llu\n", name, value);
}

/* Labels that were never counted are left out, but for the outcomes, which alerts are written on. */
static struct err attestations(const struct metrics *m, struct buf *b)
{
	unsigned long long n;
	struct err e;

	if (failed(e = head(b, "attestations_total", "counter", "Evidence received, by what became of it.")))
		return e;
	for (size_t i = 0; i < N_ATTEST_OUTCOMES; i++)
		if (failed(e = buf_addf(b, "assay_attestations_total{outcome=\"%s\"} %llu\n", outcomes[i],
					atomic_load(&m->attest[i]))))
			return e;
	if (failed(e = head(b, "attestation_failures_total", "counter", "Evidence refused, by first failing check.")))
		return e;
	for (size_t i = 0; i < appraise_n_checks(); i++) {
		n = atomic_load(&m->check[i]);
		if (n > 0 && failed(e = buf_addf(b, "assay_attestation_failures_total{check=\"%s\"} %llu\n",
						 appraise_check(i).id, n)))
			return e;
	}
	return ERR(E_OK);
}

static struct err tokens(const struct metrics *m, struct buf *b)
{
	unsigned long long n;
	struct err e;

	if (failed(e = single(b, "enrolments_total", "counter", "Hosts activated.", atomic_load(&m->enrolled))) ||
	    failed(e = single(b, "tokens_total", "counter", "Access tokens issued.", atomic_load(&m->tokens))) ||
	    failed(e = single(b, "certificates_total", "counter", "X.509 certificates issued to agents.",
			      atomic_load(&m->certificates))) ||
	    failed(e = head(b, "oauth_refusals_total", "counter", "Requests refused, by OAuth error.")))
		return e;
	for (size_t i = 0; i < METRICS_OAUTH_CODES; i++) {
		n = atomic_load(&m->refused[i]);
		if (n > 0 &&
		    failed(e = buf_addf(b, "assay_oauth_refusals_total{error=\"%s\"} %llu\n", oauth_codes[i], n)))
			return e;
	}
	if (failed(e = head(b, "introspections_total", "counter", "Introspections, by answer.")))
		return e;
	return buf_addf(b, "assay_introspections_total{active=\"true\"} %llu\n"
			   "assay_introspections_total{active=\"false\"} %llu\n",
			atomic_load(&m->active), atomic_load(&m->inactive));
}

static struct err route_lines(const struct metrics *m, size_t i, struct buf *b)
{
	const struct route *r = route_at(i);
	const char *method = r == NULL ? "" : r->method, *path = r == NULL ? "other" : r->path;
	unsigned long long n;
	struct err e;

	for (size_t k = 0; k < METRICS_STATUSES; k++) {
		n = atomic_load(&m->http[i][k]);
		if (n == 0)
			continue;
		if (failed(e = buf_addf(b, "assay_http_requests_total{method=\"%s\",route=\"%s\",status=\"%u\"} %llu\n",
					method, path, statuses[k], n)))
			return e;
	}
	return ERR(E_OK);
}

static struct err http(const struct metrics *m, struct buf *b)
{
	unsigned long long us;
	struct err e;

	if (failed(e = head(b, "http_requests_total", "counter", "Requests answered; status 0 is any other.")))
		return e;
	for (size_t i = 0; i < routes_count(); i++)
		if (failed(e = route_lines(m, i, b)))
			return e;
	if (failed(e = route_lines(m, METRICS_MAX_ROUTES, b)) ||
	    failed(e = head(b, "http_request_seconds_total", "counter", "Time from the head of a request to its answer.")))
		return e;
	for (size_t i = 0; i < routes_count(); i++) {
		us = atomic_load(&m->http_us[i]);
		if (us > 0 && failed(e = buf_addf(b, "assay_http_request_seconds_total{method=\"%s\",route=\"%s\"} %llu.%06llu\n",
						  route_at(i)->method, route_at(i)->path, us / 1000000, us % 1000000)))
			return e;
	}
	return ERR(E_OK);
}

/* At most one scan a second, and one at a time. */
static struct err counts(struct verifier *v, int64_t now_s, struct store_counts *ret)
{
	struct err e = ERR(E_OK);

	(void)pthread_mutex_lock(&v->counts_lock);
	if (v->counts_at_s != now_s)
		e = store_counts(v->store, now_s, &v->counts);
	if (!failed(e)) {
		v->counts_at_s = now_s;
		*ret = v->counts;
	}
	(void)pthread_mutex_unlock(&v->counts_lock);
	return e;
}

static struct err gauges(struct verifier *v, int64_t now_s, struct buf *b)
{
	struct store_counts n;
	struct err e;

	if (failed(e = counts(v, now_s, &n)) ||
	    failed(e = single(b, "hosts", "gauge", "Hosts enrolled.", n.hosts)) ||
	    failed(e = single(b, "hosts_verified", "gauge", "Hosts with a live verdict.", n.verified)) ||
	    failed(e = single(b, "hosts_failed", "gauge", "Hosts whose last verdict failed.", n.failed)) ||
	    failed(e = single(b, "instances", "gauge", "Agents that may have a credential.", n.instances)) ||
	    failed(e = single(b, "credentials_live", "gauge", "Access tokens and certificates that are live.", n.credentials_live)))
		return e;
	return single(b, "documents", "gauge", "Operator documents that are not withdrawn.", n.documents);
}

struct err on_metrics(struct verifier *v, const struct request *q, struct reply *ret)
{
	struct err e;

	ret->content_type = "text/plain; version=0.0.4";
	if (failed(e = attestations(&v->metrics, &ret->body)) || failed(e = tokens(&v->metrics, &ret->body)) ||
	    failed(e = http(&v->metrics, &ret->body)))
		return e;
	return gauges(v, q->now_s, &ret->body);
}
