/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/replay.h"

#include <string.h>

#include "base/rd.h"

#define FIRST_DYNAMIC_PCR 17
#define LAST_DYNAMIC_PCR 22
#define HCRTM_LOCALITY 4

static bool is_dynamic(uint32_t pcr)
{
	return pcr >= FIRST_DYNAMIC_PCR && pcr <= LAST_DYNAMIC_PCR;
}

struct err replay_init(const struct evlog *log, enum digest_id bank, struct replay *ret)
{
	const struct digest_alg *alg = digest_alg(bank);

	if (alg == NULL)
		return ERR(E_BUG);
	if (!evlog_has_bank(log, bank))
		return ERR(E_PEER_UNSUPPORTED);
	*ret = (struct replay){ .bank = bank, .complete = true, .startup_locality = -1 };
	for (uint32_t pcr = 0; pcr < LIMIT_PCRS; pcr++) {
		ret->pcr[pcr].n = (uint8_t)alg->size;
		memset(ret->pcr[pcr].v, is_dynamic(pcr) ? 0xff : 0, alg->size);
	}
	return ERR(E_OK);
}

bool replay_startup_locality(const struct evlog_event *ev, uint8_t *ret)
{
	struct rd r = rd_init(ev->data);
	struct bytes signature;
	uint8_t locality;

	if (ev->type != EV_NO_ACTION || failed(rd_bytes(&r, 16, &signature)) ||
	    !bytes_eq(signature, BYTES_LIT("StartupLocality\0")) || failed(rd_u8(&r, &locality)) || failed(rd_end(&r)))
		return false;
	*ret = locality;
	return true;
}

static void set_locality(struct replay *r, uint8_t locality)
{
	r->pcr[0].v[r->pcr[0].n - 1] = locality;
}

static void add_no_action(struct replay *r, const struct evlog_event *ev)
{
	uint8_t locality;

	if (!replay_startup_locality(ev, &locality))
		return;
	/* Anywhere else, a second time, or with another value it says nothing. */
	if (ev->pcr != 0 || replay_extended(r, 0) || r->startup_locality >= 0 ||
	    (locality != 0 && locality != 3 && locality != 4))
		return;
	r->startup_locality = locality;
	set_locality(r, locality);
}

static void add_gap(struct replay *r, const struct evlog_event *ev)
{
	if (r->complete)
		r->first_gap = ev->index;
	r->complete = false;
}

struct err replay_add(struct replay *r, const struct evlog_event *ev)
{
	const struct bytes digest = ev->digest[r->bank];
	struct digest start, *pcr;
	struct err e;

	if (!evlog_extends(ev)) {
		add_no_action(r, ev);
		r->n_events++;
		return ERR(E_OK);
	}
	if (ev->pcr >= LIMIT_PCRS)
		return ERR(E_BUG);
	if (digest.n == 0 || (ev->repeated >> r->bank & 1) != 0)
		add_gap(r, ev);
	if (digest.n == 0) {
		r->n_events++;
		return ERR(E_OK);
	}
	pcr = &r->pcr[ev->pcr];
	start = *pcr;
	if (!replay_extended(r, ev->pcr)) {
		if (is_dynamic(ev->pcr))
			memset(start.v, 0, start.n);
		if (ev->pcr == 0 && ev->type == EV_EFI_HCRTM_EVENT) {
			start.v[start.n - 1] = HCRTM_LOCALITY;
			r->hcrtm = true;
		}
	}
	if (failed(e = digest_extend(r->bank, &start, digest, pcr)))
		return e;
	r->extended |= 1U << ev->pcr;
	r->n_extends++;
	r->n_events++;
	return ERR(E_OK);
}

struct err replay_log(const struct evlog *log, enum digest_id bank, struct replay *ret, struct evlog_fault *reterr)
{
	struct evlog_pos pos = { 0 };
	struct evlog_event ev;
	struct replay r;
	struct err e;

	if (failed(e = replay_init(log, bank, &r)))
		return e;
	for (;;) {
		if (failed(e = evlog_next(log, &pos, &ev, reterr)))
			return e;
		if (ev.end)
			break;
		if (failed(e = replay_add(&r, &ev)))
			return e;
	}
	*ret = r;
	return ERR(E_OK);
}

bool replay_explains(const struct replay *r, uint32_t pcr, struct bytes quoted)
{
	return r->complete && pcr < LIMIT_PCRS && bytes_eq(digest_bytes(&r->pcr[pcr]), quoted);
}
