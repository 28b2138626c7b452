/* SPDX-License-Identifier: Apache-2.0 */
/* Is this machine ours, and does it look as an operator approved it: attestation-checks, N7 and section 10. */
#include <string.h>

#include "verifier/appraise/work.h"

/* Registers named in one verdict; more of them would push out what else is wrong. */
#define MAX_NAMED 8

/* N7: a genuine TPM is not yet our machine. Without this document the host is PENDING, and nothing else is ours to judge. */
struct err row_host_document(struct work *w)
{
	struct attest_failure *f;

	if (w->host_doc != NULL) {
		memcpy(w->v->host_doc, w->host_doc->digest, sizeof(w->v->host_doc));
		work_pass(w, ROW_HOST_DOCUMENT);
		return ERR(E_OK);
	}
	f = work_fail(w, ROW_HOST_DOCUMENT, w->in->host->id);
	SAY(f->expected, "a host document that names EK %s", HEX(BYTES_ARR(w->in->host->ek_sha256)));
	SAY(f->seen, "none: the host is PENDING until an operator runs assayctl approve host with this EK");
	return ERR(E_OK);
}

/* What one document makes of the evidence. */
struct candidate {
	const struct document *doc;
	const struct digest *vector;       /* the one with the fewest registers that differ; NULL where it has none */
	size_t n_differ;
	struct firmware_judgement *firmware; /* owned */
	size_t n_wrong;                    /* registers and what its rules find in the firmware log */
};

static void candidate_done(struct candidate *c)
{
	free(c->firmware);
	*c = (struct candidate){ .doc = NULL };
}
#define cleanup_candidate cleanup(candidate_done)

static size_t n_differ(const struct work *w, const struct document *d, const struct digest *vector)
{
	size_t n = 0, k = 0;

	for (unsigned pcr = 0; pcr < LIMIT_PCRS; pcr++) {
		if ((d->pcr_mask >> pcr & 1) == 0)
			continue;
		if (!bytes_eq(digest_bytes(&vector[k]), digest_bytes(&w->v->pcr[pcr])))
			n++;
		k++;
	}
	return n;
}

static struct err look_at(const struct work *w, const struct document *d, struct candidate *ret)
{
	cleanup_candidate struct candidate c = { .doc = d };
	struct err e;

	for (size_t i = 0; i < d->n_vectors; i++) {
		const struct digest *vector = d->vectors + i * d->n_pcrs;
		size_t n = n_differ(w, d, vector);

		if (c.vector != NULL && n >= c.n_differ)
			continue;
		c.vector = vector;
		c.n_differ = n;
	}
	if (failed(e = firmware_judge(w, d, &c.firmware, &c.n_wrong)))
		return e;
	c.n_wrong += c.n_differ;
	*ret = c;
	c.firmware = NULL;
	return ERR(E_OK);
}

static void name_differences(struct work *w, const struct candidate *best)
{
	struct attest_failure *f;
	size_t n = 0, k = 0;

	for (unsigned pcr = 0; pcr < LIMIT_PCRS && n < MAX_NAMED; pcr++) {
		if ((best->doc->pcr_mask >> pcr & 1) == 0)
			continue;
		if (!bytes_eq(digest_bytes(&best->vector[k]), digest_bytes(&w->v->pcr[pcr]))) {
			f = work_fail(w, ROW_PLATFORM, "");
			SAY(f->subject, "PCR %u, platform %.48s", pcr, best->doc->name);
			SAY(f->expected, "%s", HEX(digest_bytes(&best->vector[k])));
			SAY(f->seen, "%s", HEX(digest_bytes(&w->v->pcr[pcr])));
			n++;
		}
		k++;
	}
}

/*
 * Values that a register has at power-on and that therefore tell nothing: zero,
 * ones after a reset without DRTM, and for PCR 0 the locality of the startup
 * (TCG PC Client PTP 1.05, 4.6.2).
 */
static bool at_reset(unsigned pcr, const struct digest *d)
{
	if (bytes_all(digest_bytes(d), 0) || bytes_all(digest_bytes(d), 0xff))
		return true;
	return pcr == 0 && bytes_all(BYTES(d->v, d->n - 1u), 0) && d->v[d->n - 1u] <= 4;
}

void count_compared(struct work *w, uint32_t mask)
{
	mask &= ~w->v->compared_mask;
	for (unsigned pcr = 0; pcr < LIMIT_PCRS; pcr++) {
		if ((mask >> pcr & 1) == 0 || at_reset(pcr, &w->v->pcr[pcr]))
			continue;
		w->v->compared_mask |= 1u << pcr;
		w->v->n_compared++;
	}
}

static void fail_without_document(struct work *w)
{
	struct attest_failure *f = work_fail(w, ROW_PLATFORM, w->host_doc->name);

	SAY(f->expected, "a platform document that holds for this host in bank %s", digest_alg(w->bank)->name);
	SAY(f->seen, "none: an operator can run assayctl approve platform --from %s", w->in->host->id);
}

static struct err nearest(struct work *w, struct candidate *best)
{
	const struct document *d;
	struct err e;

	for (size_t i = 0; best->doc == NULL || best->n_wrong > 0; i++) {
		cleanup_candidate struct candidate c = { .doc = NULL };

		d = reference_platform(w->in->reference, w->host_doc->name, w->in->now_s, i);
		if (d == NULL)
			break;
		if (d->bank != w->bank || (document_pcrs(d) & ~w->v->pcr_mask) != 0)
			continue;
		w->n_platforms++;
		if (failed(e = look_at(w, d, &c)))
			return e;
		if (best->doc != NULL && c.n_wrong >= best->n_wrong)
			continue;
		candidate_done(best);
		*best = c;
		c.firmware = NULL;
	}
	return ERR(E_OK);
}

/*
 * One document as a whole: one vector of it, and its rules over the firmware
 * log. Neither values of two vectors nor rules of two documents ever mix.
 */
struct err row_platform(struct work *w)
{
	cleanup_candidate struct candidate best = { .doc = NULL };
	struct err e;

	if (failed(e = nearest(w, &best)))
		return e;
	if (best.doc == NULL) {
		fail_without_document(w);
		return ERR(E_OK);
	}
	w->nearest = best.doc;
	w->firmware = take_ptr(&best.firmware);
	if (best.n_differ > 0)
		name_differences(w, &best);
	work_pass(w, ROW_PLATFORM);
	if (best.n_wrong > 0)
		return ERR(E_OK);
	w->platform = best.doc;
	memcpy(w->v->platform_doc, best.doc->digest, sizeof(w->v->platform_doc));
	count_compared(w, best.doc->pcr_mask);
	return ERR(E_OK);
}

/* P1: values at reset that equal approved values at reset compare nothing with nothing. */
struct err row_compared(struct work *w)
{
	struct attest_failure *f;

	if (w->platform == NULL || w->v->incomplete)
		return ERR(E_OK);
	if (w->v->n_compared > 0) {
		work_pass(w, ROW_COMPARED);
		return ERR(E_OK);
	}
	f = work_fail(w, ROW_COMPARED, w->platform->name);
	SAY(f->expected, "at least one measured register among those that are compared");
	SAY(f->seen, "every one of them at its reset value");
	return ERR(E_OK);
}
