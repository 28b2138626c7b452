/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/ima_replay.h"

#include <string.h>

#define BIT(bank) (1u << (bank))

const char *ima_fit_name(enum ima_fit fit)
{
	switch (fit) {
	case IMA_FIT_NATIVE:
		return "native";
	case IMA_FIT_PADDED:
	case IMA_FIT_PADDED_FULL:
	case IMA_FIT_PADDED_SHORT:
		return "padded";
	case IMA_FIT_UNKNOWN:
		break;
	}
	return NULL;
}

/* The values that a bank can have at the start, given how it was extended so far. */
static struct err bank_init(struct ima_bank *b, enum digest_id id, const struct digest *value, enum ima_fit fit)
{
	*b = (struct ima_bank){ .fit = IMA_FIT_UNKNOWN };
	if (value->n != digest_alg(id)->size)
		return ERR(E_PEER_RANGE);
	if (fit == IMA_FIT_UNKNOWN || fit == IMA_FIT_NATIVE)
		b->native = *value;
	/* SHA-1 has nothing to pad. */
	if (id != DIGEST_SHA1 && fit != IMA_FIT_NATIVE && fit != IMA_FIT_PADDED_SHORT)
		b->full = *value;
	if (id != DIGEST_SHA1 && fit == IMA_FIT_PADDED_SHORT)
		b->shrt = *value;
	b->split = fit == IMA_FIT_PADDED_FULL || fit == IMA_FIT_PADDED_SHORT;
	return ERR(E_OK);
}

struct err ima_replay_init(struct ima_replay *r, uint32_t pcr, unsigned banks, const struct ima_position *from)
{
	struct ima_replay fresh = { .pcr = pcr, .banks = banks };
	struct err e;

	if (banks == 0 || banks >> N_DIGESTS != 0)
		return ERR(E_BUG);
	if (pcr >= LIMIT_PCRS)
		return ERR(E_PEER_RANGE);
	if (from != NULL && (banks & ~from->banks) != 0)
		return ERR(E_PEER_MISSING);
	for (unsigned id = 0; id < N_DIGESTS; id++) {
		struct digest zero = { 0 };

		if ((banks & BIT(id)) == 0)
			continue;
		zero.n = (uint8_t)digest_alg((enum digest_id)id)->size;
		if (failed(e = bank_init(&fresh.bank[id], (enum digest_id)id, from != NULL ? &from->pcr[id] : &zero,
					 from != NULL ? from->fit[id] : IMA_FIT_UNKNOWN)))
			return e;
	}
	if (from != NULL) {
		fresh.n_entries = fresh.start_entries = from->n_entries;
		fresh.off = from->off;
	}
	*r = fresh;
	return ERR(E_OK);
}

void ima_replay_native_only(struct ima_replay *r)
{
	for (unsigned id = 0; id < N_DIGESTS; id++)
		r->bank[id].full.n = r->bank[id].shrt.n = 0;
}

static bool value_is(const struct digest *value, const struct digest *want)
{
	return value->n > 0 && bytes_eq(digest_bytes(value), digest_bytes(want));
}

static enum ima_fit bank_fit(const struct ima_bank *b)
{
	if (value_is(&b->native, &b->want))
		return IMA_FIT_NATIVE;
	if (value_is(&b->full, &b->want))
		return b->split ? IMA_FIT_PADDED_FULL : IMA_FIT_PADDED;
	if (value_is(&b->shrt, &b->want))
		return IMA_FIT_PADDED_SHORT;
	return IMA_FIT_UNKNOWN;
}

/* All quoted banks at the same entry, or none. */
static void match(struct ima_replay *r)
{
	for (unsigned id = 0; r->quoted >> id != 0; id++)
		if ((r->quoted & BIT(id)) != 0 && bank_fit(&r->bank[id]) == IMA_FIT_UNKNOWN)
			return;
	for (unsigned id = 0; id < N_DIGESTS; id++)
		r->bank[id].fit = (r->quoted & BIT(id)) != 0 ? bank_fit(&r->bank[id]) : IMA_FIT_UNKNOWN;
	r->matched = r->quoted != 0;
}

struct err ima_replay_quoted(struct ima_replay *r, enum digest_id bank, struct bytes value)
{
	struct digest want = { 0 };

	if ((unsigned)bank >= N_DIGESTS || (r->banks & BIT(bank)) == 0 || r->n_entries != r->start_entries)
		return ERR(E_BUG);
	if (value.n != digest_alg(bank)->size)
		return ERR(E_PEER_RANGE);
	want.n = (uint8_t)value.n;
	memcpy(want.v, value.p, value.n);
	r->bank[bank].want = want;
	r->quoted |= BIT(bank);
	r->matched = false;
	match(r);
	return ERR(E_OK);
}

/* Extends with n bytes and zeros behind, where the value is not ruled out. */
static struct err extend_padded(enum digest_id id, struct digest *value, struct bytes event)
{
	uint8_t padded[DIGEST_MAX] = { 0 };

	if (value->n == 0)
		return ERR(E_OK);
	memcpy(padded, event.p, event.n < value->n ? event.n : value->n);
	return digest_extend(id, value, BYTES(padded, value->n), value);
}

static struct err bank_violation(struct ima_bank *b, enum digest_id id)
{
	uint8_t ones[DIGEST_MAX];
	struct err e;

	memset(ones, 0xff, sizeof(ones));
	if (!b->split && b->full.n > 0) {
		b->shrt = b->full;
		b->split = true;
	}
	if (failed(e = extend_padded(id, &b->native, BYTES_ARR(ones))) ||
	    failed(e = extend_padded(id, &b->full, BYTES_ARR(ones))))
		return e;
	return extend_padded(id, &b->shrt, BYTES(ones, IMA_HASH_SIZE));
}

/* SHA-1 is extended with what the list says: that it is the hash of the data was judged apart. */
static struct err bank_entry(struct ima_bank *b, enum digest_id id, const struct ima_entry *ent)
{
	struct digest d;
	struct err e;

	if (ent->violation)
		return bank_violation(b, id);
	if (b->native.n > 0) {
		if (id == DIGEST_SHA1) {
			if (failed(e = digest_extend(id, &b->native, ent->template_hash, &b->native)))
				return e;
		} else if (failed(e = digest_one(id, ent->hashed, &d)) ||
			   failed(e = digest_extend(id, &b->native, digest_bytes(&d), &b->native))) {
			return e;
		}
	}
	if (failed(e = extend_padded(id, &b->full, ent->template_hash)))
		return e;
	return extend_padded(id, &b->shrt, ent->template_hash);
}

struct err ima_replay_entry(struct ima_replay *r, const struct ima_entry *ent, unsigned *ret_odd)
{
	struct digest d;
	unsigned odd = 0;
	struct err e;

	if (r->matched) {
		r->n_not_covered++;
		*ret_odd = IMA_ODD_NOT_COVERED;
		return ERR(E_OK);
	}
	if (ent->violation) {
		odd |= IMA_ODD_VIOLATION;
	} else {
		if (failed(e = digest_one(DIGEST_SHA1, ent->hashed, &d)))
			return e;
		if (!bytes_eq(digest_bytes(&d), ent->template_hash))
			odd |= IMA_ODD_HASH;
	}
	if (ent->pcr != r->pcr)
		odd |= IMA_ODD_PCR;
	for (unsigned id = 0; r->banks >> id != 0 && (odd & IMA_ODD_PCR) == 0; id++)
		if ((r->banks & BIT(id)) != 0 && failed(e = bank_entry(&r->bank[id], (enum digest_id)id, ent)))
			return e;
	r->n_entries++;
	r->off += ent->size;
	r->n_violations += (odd & IMA_ODD_VIOLATION) != 0;
	r->n_bad_hash += (odd & IMA_ODD_HASH) != 0;
	r->n_other_pcr += (odd & IMA_ODD_PCR) != 0;
	match(r);
	*ret_odd = odd;
	return ERR(E_OK);
}

struct err ima_replay_position(const struct ima_replay *r, struct ima_position *ret)
{
	struct ima_position p = { .n_entries = r->n_entries, .off = r->off, .banks = r->quoted };

	if (!r->matched)
		return ERR(E_PEER_DIGEST);
	for (unsigned id = 0; id < N_DIGESTS; id++) {
		if ((r->quoted & BIT(id)) == 0)
			continue;
		p.pcr[id] = r->bank[id].want;
		p.fit[id] = r->bank[id].fit;
	}
	*ret = p;
	return ERR(E_OK);
}

const struct digest *ima_replay_value(const struct ima_replay *r, enum digest_id bank, enum ima_fit fit)
{
	const struct ima_bank *b;
	const struct digest *d;

	if ((unsigned)bank >= N_DIGESTS || (r->banks & BIT(bank)) == 0 || fit == IMA_FIT_UNKNOWN)
		return NULL;
	b = &r->bank[bank];
	d = fit == IMA_FIT_NATIVE ? &b->native : fit == IMA_FIT_PADDED_SHORT && b->split ? &b->shrt : &b->full;
	return d->n > 0 ? d : NULL;
}
