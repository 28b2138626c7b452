/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/userlog.h"

#include <string.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"

#define SEPARATOR 0x1e
#define MAX_NAME 64 /* of an algorithm or a content type */

void userlog_record_done(struct userlog_record *r)
{
	json_decref(r->json);
	*r = (struct userlog_record){ 0 };
}

static struct err fault_at(struct evlog_fault *f, size_t off, const struct userlog_pos *pos, struct err e,
			   const char *why)
{
	if (f == NULL)
		return e;
	f->off = off;
	reason_set(&f->why, "record %zu: %.400s", pos->index, why);
	return e;
}

static struct err text_member(struct jobj *o, const char *key, size_t max, struct bytes *ret)
{
	const char *s;
	struct err e;

	if (!jobj_has(o, key))
		return ERR(E_OK);
	if (failed(e = jobj_str(o, key, max, &s)))
		return e;
	*ret = bytes_str(s);
	return ERR(E_OK);
}

/* The register or the NV index that was extended: exactly one of them. */
static struct err read_register(struct jobj *o, struct userlog_record *r)
{
	uint64_t n;
	struct err e;

	if (jobj_has(o, "pcr") == jobj_has(o, "nv_index")) {
		reason_set(o->reterr, "expected either \"pcr\" or \"nv_index\"");
		return ERR(E_PEER_MISSING);
	}
	r->pcr = EVLOG_NO_PCR;
	if (jobj_has(o, "nv_index")) {
		if (failed(e = jobj_u64(o, "nv_index", UINT32_MAX, &n)))
			return e;
		r->nv_index = (uint32_t)n;
		return ERR(E_OK);
	}
	if (failed(e = jobj_u64(o, "pcr", LIMIT_PCRS - 1, &n)))
		return e;
	r->pcr = (uint32_t)n;
	return ERR(E_OK);
}

/* {"hashAlg", "digest"}; a digest of an algorithm that is not known here is skipped. */
static struct err read_digest(const struct jobj *o, const json_t *item, struct userlog_record *r)
{
	const struct digest_alg *alg;
	const char *name, *hex;
	struct digest *to;
	struct jobj d;
	struct err e;

	if (failed(e = jobj_init(&d, item, "digests[]", o->reterr)) ||
	    failed(e = jobj_str(&d, "hashAlg", MAX_NAME, &name)) ||
	    failed(e = jobj_str(&d, "digest", LIMIT_USERSPACE_RECORD, &hex)))
		return e;
	alg = digest_by_name(bytes_str(name));
	if (alg == NULL)
		return ERR(E_OK);
	to = &r->digest[alg->id];
	if (to->n != 0) {
		reason_set(o->reterr, "two digests of %s", alg->name);
		return ERR(E_PEER_DUPLICATE);
	}
	if (failed(e = hex_decode_exact(bytes_str(hex), to->v, alg->size))) {
		reason_set(o->reterr, "expected a %s digest of %zu bytes in hex, seen \"%.80s\"", alg->name, alg->size,
			   log_quote(bytes_str(hex)));
		return e;
	}
	to->n = (uint8_t)alg->size;
	return ERR(E_OK);
}

static struct err read_digests(struct jobj *o, struct userlog_record *r)
{
	const json_t *array;
	struct err e;

	if (failed(e = jobj_arr(o, "digests", EVLOG_MAX_ALGS, &array)))
		return e;
	for (size_t i = 0; i < json_array_size(array); i++)
		if (failed(e = read_digest(o, json_array_get(array, i), r)))
			return e;
	return ERR(E_OK);
}

static struct err read_content(struct jobj *o, struct userlog_record *r)
{
	const json_t *inner;
	struct jobj c;
	struct err e;

	if (failed(e = text_member(o, "content_type", MAX_NAME, &r->content_type)))
		return e;
	if (!bytes_eq(r->content_type, BYTES_LIT(USERLOG_CONTENT_SYSTEMD)))
		return ERR(E_OK);
	if (failed(e = jobj_obj(o, "content", &inner)) || failed(e = jobj_init(&c, inner, "content", o->reterr)) ||
	    failed(e = text_member(&c, "eventType", MAX_NAME, &r->type)))
		return e;
	return text_member(&c, "string", LIMIT_USERSPACE_RECORD, &r->string);
}

/* Members that are not known are left alone: systemd adds some, and nothing that a rule uses follows from them. */
static struct err read_record(struct bytes text, struct userlog_record *r, struct reason *why)
{
	struct jobj o;
	struct err e;

	if (failed(e = json_parse(text, LIMIT_USERSPACE_RECORD, &r->json, why)) ||
	    failed(e = jobj_init(&o, r->json, "", why)) || failed(e = read_register(&o, r)) ||
	    failed(e = read_digests(&o, r)))
		return e;
	return read_content(&o, r);
}

/* The text from off up to the next separator or the end. */
static struct bytes text_at(struct bytes log, size_t off)
{
	const uint8_t *next = memchr(log.p + off, SEPARATOR, log.n - off);

	return BYTES(log.p + off, next == NULL ? log.n - off : (size_t)(next - (log.p + off)));
}

struct err userlog_next(struct bytes log, struct userlog_pos *pos, struct userlog_record *ret,
			struct evlog_fault *reterr)
{
	struct userlog_record r = { .index = pos->index };
	struct reason why = { "" };
	size_t off = pos->off;
	struct bytes text;
	struct err e;

	userlog_record_done(ret);
	if (off > log.n)
		return ERR(E_BUG);
	if (off < log.n && log.p[off] != SEPARATOR)
		return fault_at(reterr, off, pos, ERR(E_PEER_SYNTAX), "expected a record separator (0x1e)");
	/* RFC 7464, 2.1: separators may repeat. */
	while (off < log.n && log.p[off] == SEPARATOR)
		off++;
	if (off == log.n && off == pos->off) {
		ret->end = true;
		return ERR(E_OK);
	}
	if (off == log.n)
		return fault_at(reterr, off, pos, ERR(E_PEER_TRUNCATED), "nothing behind the separator");
	text = text_at(log, off);
	/* RFC 7464, 2.4: a text without a line feed behind it was cut. */
	if (text.p[text.n - 1] != '\n')
		return fault_at(reterr, off, pos, ERR(E_PEER_TRUNCATED), "it does not end in a line feed");
	r.off = off;
	if (failed(e = read_record(text, &r, &why))) {
		userlog_record_done(&r);
		return fault_at(reterr, off, pos, e, why.text[0] != '\0' ? why.text : err_text(e));
	}
	*ret = r;
	pos->off = off + text.n;
	pos->index++;
	return ERR(E_OK);
}

struct err userlog_verify(const struct userlog_record *r, enum digest_id bank, bool *ret)
{
	struct digest d;
	struct err e;

	*ret = false;
	if (r->string.p == NULL || r->digest[bank].n == 0)
		return ERR(E_OK);
	if (failed(e = digest_one(bank, r->string, &d)))
		return e;
	*ret = bytes_eq(digest_bytes(&d), digest_bytes(&r->digest[bank]));
	return ERR(E_OK);
}

struct err userlog_replay(const struct userlog_record *rec, struct replay *r)
{
	struct err e;

	if (rec->pcr >= LIMIT_PCRS)
		return ERR(E_OK);
	if (rec->digest[r->bank].n == 0) {
		r->complete = false;
		return ERR(E_OK);
	}
	if (failed(e = digest_extend(r->bank, &r->pcr[rec->pcr], digest_bytes(&rec->digest[r->bank]),
				     &r->pcr[rec->pcr])))
		return e;
	r->extended |= 1U << rec->pcr;
	r->n_extends++;
	return ERR(E_OK);
}
