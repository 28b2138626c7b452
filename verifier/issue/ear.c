/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/issue/ear.h"

#include "base/jose.h"
#include "base/text.h"
#include "config.h"

#define EAR_PROFILE "tag:ietf.org,2026:rats/ear#03"
#define EAR_DEVELOPER "urn:assay:verifier"

static struct err put_claim(json_t *o, const char *name, int8_t value)
{
	/* 0 is "no claim" and an absent member says the same (AR4SI, 2.3). */
	return value == 0 ? ERR(E_OK) : json_put_int(o, name, value);
}

static struct err vector_json(const struct trust_vector *v, json_t **ret)
{
	cleanup_json json_t *o = NULL;
	struct err e;

	if (failed(e = json_new_object(&o)) || failed(e = put_claim(o, "instance-identity", v->instance_identity)) ||
	    failed(e = put_claim(o, "configuration", v->configuration)) ||
	    failed(e = put_claim(o, "executables", v->executables)) ||
	    failed(e = put_claim(o, "file-system", v->file_system)) ||
	    failed(e = put_claim(o, "hardware", v->hardware)) ||
	    failed(e = put_claim(o, "runtime-opaque", v->runtime_opaque)) ||
	    failed(e = put_claim(o, "storage-opaque", v->storage_opaque)) ||
	    failed(e = put_claim(o, "sourced-data", v->sourced_data)))
		return e;
	*ret = take_ptr(&o);
	return ERR(E_OK);
}

/* Documents that decided, in order of use; an all-zero digest is "none". */
static struct err policy_ids(const uint8_t *const *docs, size_t n, json_t **ret)
{
	cleanup_json json_t *ids = json_array();
	char text[128] = "urn:assay:document:sha256:";
	const size_t prefix = sizeof("urn:assay:document:sha256:") - 1;
	struct err e;

	if (ids == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < n; i++) {
		if (bytes_all(BYTES(docs[i], 32), 0))
			continue;
		if (failed(e = hex_encode(BYTES(docs[i], 32), text + prefix, sizeof(text) - prefix)))
			return e;
		if (json_array_append_new(ids, json_string(text)) != 0)
			return ERR(E_LOCAL_MEMORY);
	}
	*ret = take_ptr(&ids);
	return ERR(E_OK);
}

static struct err put_submod(json_t *submods, const char *label, const struct trust_vector *v,
			     const uint8_t *const *docs, size_t n_docs)
{
	cleanup_json json_t *o = NULL, *vector = NULL, *ids = NULL;
	struct err e;

	if (failed(e = json_new_object(&o)) || failed(e = vector_json(v, &vector)) ||
	    failed(e = policy_ids(docs, n_docs, &ids)) ||
	    failed(e = json_put_str(o, "ear_status", tier_name(trust_vector_tier(v)))) ||
	    failed(e = json_put(o, "ear_trustworthiness_vector", take_ptr(&vector))))
		return e;
	if (json_array_size(ids) > 0 && failed(e = json_put(o, "ear_appraisal_policy_ids", take_ptr(&ids))))
		return e;
	return json_put(submods, label, take_ptr(&o));
}

static struct err put_submods(json_t *claims, const struct verdict *v, const struct instance_verdict *i)
{
	const uint8_t *const platform_docs[] = { v->host_doc, v->platform_doc };
	cleanup_json json_t *submods = NULL;
	struct err e;

	if (failed(e = json_new_object(&submods)))
		return e;
	if (i == NULL) {
		if (failed(e = put_submod(submods, "platform", &v->platform, platform_docs, 2)))
			return e;
		return json_put(claims, "submods", take_ptr(&submods));
	}
	if (failed(e = put_submod(submods, "platform", &i->platform, platform_docs, 2)) ||
	    failed(e = put_submod(submods, "container", &i->container, (const uint8_t *const[]){ i->image_doc }, 1)) ||
	    failed(e = put_submod(submods, "model", &i->model, (const uint8_t *const[]){ i->model_doc }, 1)) ||
	    failed(e = put_submod(submods, "key", &i->key, (const uint8_t *const[]){ i->agent_doc }, 1)))
		return e;
	return json_put(claims, "submods", take_ptr(&submods));
}

static struct err put_verifier_id(json_t *claims)
{
	cleanup_json json_t *id = NULL;
	struct err e;

	if (failed(e = json_new_object(&id)) || failed(e = json_put_str(id, "developer", EAR_DEVELOPER)) ||
	    failed(e = json_put_str(id, "build", "assay-verifier " ASSAY_VERSION)))
		return e;
	return json_put(claims, "ear_verifier_id", take_ptr(&id));
}

static struct err put_cnf(json_t *claims, const char *jkt)
{
	cleanup_json json_t *cnf = NULL;
	struct err e;

	if (jkt[0] == '\0')
		return ERR(E_OK);
	if (failed(e = json_new_object(&cnf)) || failed(e = json_put_str(cnf, "jkt", jkt)))
		return e;
	return json_put(claims, "cnf", take_ptr(&cnf));
}

static struct err put_subject(json_t *claims, const struct ear_spec *s, const struct host_record *host,
			      const struct instance_verdict *i)
{
	cleanup_buf struct buf sub = BUF_INIT(512);
	const char *text;
	struct err e;

	if (i == NULL)
		e = buf_addf(&sub, "spiffe://%s/host/%s", s->realm, host->id);
	else if (!failed(e = buf_addf(&sub, "spiffe://%s/agent/%s/instance/", s->realm, i->agent)))
		e = buf_add_hex(&sub, BYTES_ARR(i->id));
	if (failed(e) || failed(e = buf_cstr(&sub, &text)))
		return e;
	return json_put_str(claims, "sub", text);
}

struct err ear_issue(const struct ear_spec *s, const struct host_record *host, const struct verdict *v, size_t instance,
		     struct buf *ret)
{
	const struct instance_verdict *i = instance < v->n_instances ? &v->instance[instance] : NULL;
	enum tier status = i != NULL ? i->status : trust_vector_tier(&v->platform);
	cleanup_json json_t *claims = NULL;
	struct err e;

	/* No better than the verdict as a whole: a host that failed has no affirming instance. */
	if (!verdict_passed(v))
		status = TIER_CONTRAINDICATED;
	if (failed(e = json_new_object(&claims)) || failed(e = json_put_str(claims, "eat_profile", EAR_PROFILE)) ||
	    failed(e = json_put_str(claims, "iss", s->issuer)) || failed(e = json_put_str(claims, "aud", s->audience)) ||
	    failed(e = put_subject(claims, s, host, i)) || failed(e = json_put_int(claims, "iat", s->now_s)) ||
	    failed(e = json_put_int(claims, "exp", s->expires_s)) || failed(e = put_verifier_id(claims)) ||
	    failed(e = json_put_str(claims, "ear_status", tier_name(status))) ||
	    failed(e = put_submods(claims, v, i)) || failed(e = json_put_b64url(claims, "eat_nonce", v->nonce)) ||
	    failed(e = put_cnf(claims, i != NULL ? i->jkt : "")))
		return e;
	return jws_sign_key(s->signer, s->kid, EAR_TYPE, claims, ret);
}
