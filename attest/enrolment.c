/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/enrolment.h"

#include <string.h>

#include "base/file.h"

#define ENROLMENT_FILE "enrolment.json"
#define CA_FILE "ca.pem"

void enrolment_done(struct enrolment *e)
{
	buf_free(&e->ca_pem);
}

static struct err text(struct jobj *o, const char *key, char *to, size_t size)
{
	const char *s;
	struct err e;

	if (failed(e = jobj_str(o, key, size - 1, &s)))
		return e;
	(void)snprintf(to, size, "%s", s);
	return ERR(E_OK);
}

static struct err name(struct jobj *o, const char *key, struct tpm_name *ret)
{
	cleanup_buf struct buf b = BUF_INIT(sizeof(ret->v));
	struct err e;

	if (failed(e = jobj_b64url(o, key, &b)))
		return e;
	return tpm_name_parse(buf_bytes(&b), ret);
}

/* Hosts that enrolled before there was a choice have none recorded. */
static struct err read_ek_kind(struct jobj *o, enum ek_kind *ret)
{
	char kind[16] = "rsa-2048";
	struct err e;

	if (jobj_has(o, "ek") && failed(e = text(o, "ek", kind, sizeof(kind))))
		return e;
	if (failed(e = ek_kind_parse(kind, ret)))
		return e;
	return *ret == EK_AUTO ? ERR(E_PEER_UNSUPPORTED) : ERR(E_OK);
}

static struct err from_json(const json_t *j, struct enrolment *ret, struct reason *reterr)
{
	uint64_t handle;
	char kind[16];
	struct jobj o;
	struct err e;

	if (failed(e = jobj_init(&o, j, ENROLMENT_FILE, reterr)) ||
	    failed(e = text(&o, "host", ret->host_id, sizeof(ret->host_id))) ||
	    failed(e = text(&o, "issuer", ret->issuer, sizeof(ret->issuer))) ||
	    failed(e = text(&o, "verifier_url", ret->verifier_url, sizeof(ret->verifier_url))) ||
	    failed(e = text(&o, "state", ret->state, sizeof(ret->state))) ||
	    failed(e = jobj_hex(&o, "ek_sha256", ret->ek_sha256, sizeof(ret->ek_sha256))) ||
	    failed(e = name(&o, "ek_name", &ret->ek_name)) || failed(e = name(&o, "ak_name", &ret->ak_name)) ||
	    failed(e = read_ek_kind(&o, &ret->ek)) || failed(e = text(&o, "ak", kind, sizeof(kind))) ||
	    failed(e = jobj_u64(&o, "ak_handle", UINT32_MAX, &handle)) || failed(e = jobj_end(&o)))
		return e;
	ret->ak_handle = (TPM2_HANDLE)handle;
	return ak_kind_parse(kind, &ret->ak);
}

struct err enrolment_read(int state_fd, struct enrolment *ret, struct reason *reterr)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_SMALL);
	cleanup_json json_t *json = NULL;
	struct err e;

	e = file_read(state_fd, ENROLMENT_FILE, &b);
	if (e.code == E_LOCAL_NOT_FOUND)
		reason_set(reterr, "this host is not enrolled: assay-attest enrol --verifier URL --ca FILE");
	if (failed(e))
		return e;
	if (failed(e = json_parse(buf_bytes(&b), b.max, &json, reterr)) || failed(e = from_json(json, ret, reterr)))
		return e;
	e = file_read(state_fd, CA_FILE, &ret->ca_pem);
	if (failed(e))
		reason_set(reterr, "the pinned CA (ca.pem in the state folder) cannot be read: %s", err_text(e));
	return e;
}

static struct err to_json(const struct enrolment *en, struct buf *ret)
{
	cleanup_json json_t *j = NULL;
	struct err e;

	if (failed(e = json_new_object(&j)) || failed(e = json_put_str(j, "host", en->host_id)) ||
	    failed(e = json_put_str(j, "issuer", en->issuer)) ||
	    failed(e = json_put_str(j, "verifier_url", en->verifier_url)) ||
	    failed(e = json_put_str(j, "state", en->state)) ||
	    failed(e = json_put_hex(j, "ek_sha256", BYTES_ARR(en->ek_sha256))) ||
	    failed(e = json_put_b64url(j, "ek_name", tpm_name_bytes(&en->ek_name))) ||
	    failed(e = json_put_b64url(j, "ak_name", tpm_name_bytes(&en->ak_name))) ||
	    failed(e = json_put_str(j, "ek", ek_kind_name(en->ek))) ||
	    failed(e = json_put_str(j, "ak", ak_kind_name(en->ak))) ||
	    failed(e = json_put_int(j, "ak_handle", en->ak_handle)))
		return e;
	return json_write_pretty(j, ret);
}

struct err enrolment_write(int state_fd, const struct enrolment *en)
{
	cleanup_buf struct buf json = BUF_INIT(LIMIT_SMALL);
	struct err e;

	if (failed(e = to_json(en, &json)) || failed(e = file_write(state_fd, CA_FILE, buf_bytes(&en->ca_pem), 0600)))
		return e;
	return file_write(state_fd, ENROLMENT_FILE, buf_bytes(&json), 0600);
}
