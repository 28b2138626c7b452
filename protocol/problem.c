/* SPDX-License-Identifier: Apache-2.0 */
/* problem of assay.cddl: application/problem+json (RFC 9457). */
#include "protocol/message_parts.h"

#include <string.h>

#include "base/text.h"

#define TYPE_PREFIX "urn:assay:error:"
#define TYPE_MAX (sizeof(TYPE_PREFIX) + sizeof(((struct problem *)0)->name))
#define STATUS_MIN 100
#define STATUS_MAX 599

struct err problem_encode(const struct problem *m, struct buf *ret)
{
	cleanup_buf struct buf type = BUF_INIT(TYPE_MAX);
	cleanup_json json_t *o = NULL;
	struct err e;

	if (failed(e = buf_addf(&type, TYPE_PREFIX "%s", m->name)) ||
	    failed(e = json_new_object(&o)) ||
	    failed(e = json_put_text(o, "type", buf_bytes(&type))) ||
	    failed(e = json_put_str(o, "title", m->title)) ||
	    failed(e = json_put_int(o, "status", (int64_t)m->status)) ||
	    failed(e = json_put_str(o, "detail", m->detail)))
		return e;
	if (m->check[0] != '\0' && failed(e = json_put_str(o, "check", m->check)))
		return e;
	return json_write(o, ret);
}

static struct err get_type(struct jobj *o, struct problem *m)
{
	const char *type = NULL;
	struct err e;

	if (failed(e = jobj_str(o, "type", TYPE_MAX, &type)))
		return e;
	if (strncmp(type, TYPE_PREFIX, strlen(TYPE_PREFIX)) != 0 ||
	    !id_valid(bytes_str(type + strlen(TYPE_PREFIX)))) {
		reason_set(o->reterr, "type: " TYPE_PREFIX " and a name is expected");
		return ERR(E_PEER_RANGE);
	}
	return text_put(o, "type", type + strlen(TYPE_PREFIX), m->name, sizeof(m->name));
}

static struct err get_status(struct jobj *o, struct problem *m)
{
	uint64_t status = 0;
	struct err e;

	if (failed(e = jobj_u64(o, "status", STATUS_MAX, &status)))
		return e;
	if (status < STATUS_MIN) {
		reason_set(o->reterr, "status: no HTTP status");
		return ERR(E_PEER_RANGE);
	}
	m->status = (unsigned)status;
	return ERR(E_OK);
}

struct err problem_decode(struct bytes in, struct problem *ret, struct reason *reterr)
{
	cleanup_json json_t *j = NULL;
	struct problem m = { 0 };
	struct jobj o = { 0 };
	struct err e;

	/* No jobj_end(): RFC 9457, 3.2 wants unknown members of a problem ignored. */
	if (failed(e = body_parse(in, LIMIT_SMALL, &j, &o, reterr)) ||
	    failed(e = get_type(&o, &m)) ||
	    failed(e = text_get(&o, "title", m.title, sizeof(m.title))) ||
	    failed(e = get_status(&o, &m)) ||
	    failed(e = text_get(&o, "detail", m.detail, sizeof(m.detail))))
		return e;
	if (jobj_has(&o, "check") && failed(e = id_get(&o, "check", m.check, sizeof(m.check))))
		return e;
	*ret = m;
	return ERR(E_OK);
}
