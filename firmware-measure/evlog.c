/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/evlog.h"

#include "base/rd.h"

#define SHA1_SIZE 20
#define MIN_PADDING 8     /* fewer bytes can be the beginning of an event that was cut: its register and type */
#define SIGNATURE_SIZE 16 /* of a SpecID, with its NUL */

static const struct bytes agile_signature = BYTES_LIT("Spec ID Event03\0");

/* "Spec ID Event00" and "Spec ID Event02": headers of the SHA-1 format, without a list of algorithms. */
static bool is_sha1_signature(struct bytes s)
{
	return bytes_eq(s, BYTES_LIT("Spec ID Event00\0")) || bytes_eq(s, BYTES_LIT("Spec ID Event02\0"));
}

#define fault_at(f, where, e, ...)                                                                                     \
	({                                                                                                             \
		struct evlog_fault *f_ = (f);                                                                          \
		if (f_ != NULL) {                                                                                      \
			f_->off = (where);                                                                             \
			reason_set(&f_->why, __VA_ARGS__);                                                             \
		}                                                                                                      \
		(e);                                                                                                   \
	})

/* The part that both formats begin with, and the cursor behind it. */
static struct err read_head(struct rd *r, uint32_t *ret_pcr, uint32_t *ret_type)
{
	struct err e;

	if (failed(e = rd_u32le(r, ret_pcr)))
		return e;
	return rd_u32le(r, ret_type);
}

static struct err read_data(struct rd *r, struct bytes *ret)
{
	struct err e;
	uint32_t n;

	if (failed(e = rd_u32le(r, &n)))
		return e;
	return rd_bytes(r, n, ret);
}

/* TCG_PCR_EVENT. Source: PFP 1.06, 10.2.1. */
static struct err read_sha1(struct rd *r, struct evlog_event *ev)
{
	struct err e;

	if (failed(e = read_head(r, &ev->pcr, &ev->type)) ||
	    failed(e = rd_bytes(r, SHA1_SIZE, &ev->digest[DIGEST_SHA1])))
		return e;
	return read_data(r, &ev->data);
}

static const struct evlog_alg *alg_find(const struct evlog *log, uint16_t tpm_alg, size_t *ret_i)
{
	for (size_t i = 0; i < log->n_algs; i++) {
		if (log->alg[i].tpm_alg == tpm_alg) {
			*ret_i = i;
			return &log->alg[i];
		}
	}
	return NULL;
}

static struct err read_digest(const struct evlog *log, struct rd *r, struct evlog_event *ev, uint32_t *seen,
			      struct evlog_fault *reterr)
{
	const struct evlog_alg *alg;
	struct bytes value;
	uint16_t tpm_alg;
	size_t i = 0;
	struct err e;

	if (failed(e = rd_u16le(r, &tpm_alg)))
		return e;
	alg = alg_find(log, tpm_alg, &i);
	if (alg == NULL)
		return fault_at(reterr, r->off, ERR(E_PEER_UNSUPPORTED),
				"event %zu has a digest of algorithm 0x%04x, which the header does not declare",
				ev->index, tpm_alg);
	if (failed(e = rd_bytes(r, alg->size, &value)))
		return e;
	if ((*seen >> i & 1) != 0) {
		if (alg->known != NULL)
			ev->repeated |= 1U << alg->known->id;
		else
			ev->uneven = true;
		return ERR(E_OK);
	}
	*seen |= 1U << i;
	if (alg->known != NULL)
		ev->digest[alg->known->id] = value;
	return ERR(E_OK);
}

/* TPML_DIGEST_VALUES, little endian. */
static struct err read_digests(const struct evlog *log, struct rd *r, struct evlog_event *ev,
			       struct evlog_fault *reterr)
{
	uint32_t n, seen = 0;
	struct err e;

	if (failed(e = rd_u32le(r, &n)))
		return e;
	if (n == 0)
		return fault_at(reterr, r->off, ERR(E_PEER_RANGE), "event %zu has no digest", ev->index);
	if (n > EVLOG_MAX_ALGS)
		return fault_at(reterr, r->off, ERR(E_LIMIT_COUNT), "event %zu has %u digests, at most %d are accepted",
				ev->index, n, EVLOG_MAX_ALGS);
	for (uint32_t i = 0; i < n; i++)
		if (failed(e = read_digest(log, r, ev, &seen, reterr)))
			return e;
	for (size_t i = 0; i < log->n_algs; i++) {
		if ((seen >> i & 1) != 0)
			continue;
		if (log->alg[i].known != NULL)
			ev->missing |= 1U << log->alg[i].known->id;
		else
			ev->uneven = true;
	}
	return ERR(E_OK);
}

/* TCG_PCR_EVENT2. Source: PFP 1.06, 10.2.2. */
static struct err read_agile(const struct evlog *log, struct rd *r, struct evlog_event *ev, struct evlog_fault *reterr)
{
	struct err e;

	if (failed(e = read_head(r, &ev->pcr, &ev->type)) || failed(e = read_digests(log, r, ev, reterr)))
		return e;
	return read_data(r, &ev->data);
}

static struct err check_event(const struct evlog *log, const struct evlog_event *ev, struct evlog_fault *reterr)
{
	if (ev->pcr >= LIMIT_PCRS && !(ev->pcr == EVLOG_NO_PCR && ev->type == EV_NO_ACTION))
		return fault_at(reterr, ev->off, ERR(E_PEER_RANGE), "event %zu is for register %u, expected 0 to %d",
				ev->index, ev->pcr, LIMIT_PCRS - 1);
	/* What padding looks like to this format; it is none, for another byte follows. */
	if (log->format == EVLOG_SHA1 && ev->pcr == 0 && ev->type == 0 && ev->data.n == 0 &&
	    bytes_all(ev->digest[DIGEST_SHA1], 0))
		return fault_at(reterr, ev->off, ERR(E_PEER_RANGE),
				"event %zu is all zero, and padding must run to the end of the log", ev->index);
	return ERR(E_OK);
}

struct err evlog_next(const struct evlog *log, struct evlog_pos *pos, struct evlog_event *ret,
		      struct evlog_fault *reterr)
{
	struct rd r = { log->raw.p, log->raw.n, pos->off };
	struct evlog_event ev = { .index = pos->index, .off = pos->off };
	struct err e;

	if (pos->off > log->raw.n)
		return ERR(E_BUG);
	/* The zeros that an event ends in are part of the tail, but not of the padding. */
	if (pos->off == log->raw.n || (pos->off >= log->pad_off && log->raw.n - pos->off >= MIN_PADDING)) {
		*ret = (struct evlog_event){ .end = true, .index = pos->index, .off = pos->off };
		return ERR(E_OK);
	}
	if (reterr != NULL)
		reterr->why.text[0] = '\0';
	if (log->format == EVLOG_AGILE && pos->index > 0)
		e = read_agile(log, &r, &ev, reterr);
	else
		e = read_sha1(&r, &ev);
	/* The fault of a short event is where it begins, unless a more exact one was found. */
	if (failed(e) && reterr != NULL && reterr->why.text[0] == '\0')
		return fault_at(reterr, pos->off, e, "event %zu does not fit into the %zu bytes that are left",
				pos->index, log->raw.n - pos->off);
	if (failed(e) || failed(e = check_event(log, &ev, reterr)))
		return e;
	if (log->format == EVLOG_AGILE && pos->index == 0)
		ev.digest[DIGEST_SHA1] = BYTES_NONE;
	*ret = ev;
	pos->off = r.off;
	pos->index++;
	return ERR(E_OK);
}

static struct err check_alg(const struct evlog *log, const struct evlog_alg *a, size_t off, struct evlog_fault *reterr)
{
	size_t i = 0;

	if (a->size == 0 || a->size > EVLOG_MAX_DIGEST || (a->known != NULL && a->size != a->known->size))
		return fault_at(reterr, off, ERR(E_PEER_RANGE), "header declares %u bytes for algorithm 0x%04x (%s)",
				a->size, a->tpm_alg, a->known != NULL ? a->known->name : "unknown");
	if (alg_find(log, a->tpm_alg, &i) != NULL)
		return fault_at(reterr, off, ERR(E_PEER_DUPLICATE), "header declares algorithm 0x%04x twice",
				a->tpm_alg);
	return ERR(E_OK);
}

static struct err read_algs(struct evlog *log, struct rd *r, size_t base, struct evlog_fault *reterr)
{
	struct err e;
	uint32_t n;

	if (failed(e = rd_u32le(r, &n)))
		return e;
	if (n == 0)
		return fault_at(reterr, base + r->off, ERR(E_PEER_RANGE), "header declares no algorithm");
	if (n > EVLOG_MAX_ALGS)
		return fault_at(reterr, base + r->off, ERR(E_LIMIT_COUNT),
				"header declares %u algorithms, at most %d are accepted", n, EVLOG_MAX_ALGS);
	for (uint32_t i = 0; i < n; i++) {
		struct evlog_alg a;

		if (failed(e = rd_u16le(r, &a.tpm_alg)) || failed(e = rd_u16le(r, &a.size)))
			return e;
		a.known = digest_by_tpm_alg(a.tpm_alg);
		if (failed(e = check_alg(log, &a, base + r->off, reterr)))
			return e;
		log->alg[log->n_algs++] = a;
		if (a.known != NULL)
			log->banks |= 1U << a.known->id;
	}
	return ERR(E_OK);
}

/* TCG_EfiSpecIDEvent, whose signature was seen. base is where data begins in the log. */
static struct err read_spec_id(struct evlog *log, struct bytes data, size_t base, struct evlog_fault *reterr)
{
	uint8_t uintn_size, vendor_len;
	struct bytes signature, vendor;
	struct rd r = rd_init(data);
	uint32_t platform_class;
	struct err e;

	(void)fault_at(reterr, base, ERR(E_OK), "the header event of %zu bytes ends early", data.n);
	if (failed(e = rd_bytes(&r, SIGNATURE_SIZE, &signature)) || failed(e = rd_u32le(&r, &platform_class)) ||
	    failed(e = rd_u8(&r, &log->version_minor)) || failed(e = rd_u8(&r, &log->version_major)) ||
	    failed(e = rd_u8(&r, &log->errata)) || failed(e = rd_u8(&r, &uintn_size)) ||
	    failed(e = read_algs(log, &r, base, reterr)) || failed(e = rd_u8(&r, &vendor_len)) ||
	    failed(e = rd_bytes(&r, vendor_len, &vendor)))
		return e;
	if (failed(e = rd_end(&r)))
		return fault_at(reterr, base + r.off, e, "%zu bytes are left behind the header", rd_left(&r));
	return ERR(E_OK);
}

/* Where the longest tail of equal bytes 00 or FF begins: looked for once, so that reading stays linear. */
static size_t find_padding(struct bytes raw)
{
	size_t off = raw.n;

	if (off == 0 || (raw.p[off - 1] != 0x00 && raw.p[off - 1] != 0xff))
		return off;
	while (off > 0 && raw.p[off - 1] == raw.p[raw.n - 1])
		off--;
	return raw.n - off < MIN_PADDING ? raw.n : off;
}

static void sha1_header(struct evlog *log, struct bytes data)
{
	const struct digest_alg *sha1 = digest_alg(DIGEST_SHA1);
	struct bytes signature;

	log->format = EVLOG_SHA1;
	log->n_algs = 1;
	log->alg[0] = (struct evlog_alg){ sha1->tpm_alg, (uint16_t)sha1->size, sha1 };
	log->banks = 1U << DIGEST_SHA1;
	if (failed(bytes_sub(data, 0, SIGNATURE_SIZE, &signature)) || !is_sha1_signature(signature))
		return;
	log->has_spec_id = true;
}

struct err evlog_open(struct bytes raw, struct evlog *ret, struct evlog_fault *reterr)
{
	struct evlog log = { .raw = raw, .pad_off = raw.n };
	struct evlog_event ev = { 0 };
	struct evlog_pos pos = { 0 };
	struct bytes signature;
	struct err e;

	if (raw.n > LIMIT_EVLOG)
		return fault_at(reterr, LIMIT_EVLOG, ERR(E_LIMIT_SIZE),
				"the log has %zu bytes, at most %zu are accepted", raw.n, LIMIT_EVLOG);
	if (raw.n == 0)
		return fault_at(reterr, 0, ERR(E_PEER_TRUNCATED), "the log is empty");
	if (failed(e = evlog_next(&log, &pos, &ev, reterr)))
		return e;
	log.header_index = ev.pcr;
	log.pad_off = find_padding(raw);
	if (log.pad_off < pos.off)
		log.pad_off = pos.off;
	if (ev.type != EV_NO_ACTION || failed(bytes_sub(ev.data, 0, SIGNATURE_SIZE, &signature)) ||
	    !bytes_eq(signature, agile_signature)) {
		sha1_header(&log, ev.data);
	} else {
		log.format = EVLOG_AGILE;
		log.has_spec_id = true;
		if (failed(e = read_spec_id(&log, ev.data, pos.off - ev.data.n, reterr)))
			return e;
	}
	*ret = log;
	return ERR(E_OK);
}
