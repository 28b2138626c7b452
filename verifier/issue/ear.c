/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/issue/ear.h"

#include "base/jose.h"
#include "base/jsonw.h"
#include "base/text.h"
#include "config.h"
#include "verifier/issue/spiffe.h"

#define EAR_PROFILE "tag:ietf.org,2026:rats/ear#03"
#define EAR_DEVELOPER "urn:assay:verifier"

/* Documents that decided, in order of use; an all-zero digest is "none", and a list of none is left out. */
static struct err put_policy_ids(struct jsonw *w, const uint8_t *const *docs, size_t n)
{
	char text[128] = "urn:assay:document:sha256:";
	const size_t prefix = sizeof("urn:assay:document:sha256:") - 1;
	bool any = false;
	struct err e;

	for (size_t i = 0; i < n; i++) {
		if (bytes_all(BYTES(docs[i], 32), 0))
			continue;
		if (failed(e = hex_encode(BYTES(docs[i], 32), text + prefix, sizeof(text) - prefix)))
			return e;
		if (!any)
			jsonw_array(w, "ear_appraisal_policy_ids");
		any = true;
		jsonw_str(w, NULL, text);
	}
	if (any)
		jsonw_close(w);
	return ERR(E_OK);
}

static struct err put_submod(struct jsonw *w, const char *label, const struct trust_vector *v,
			     const uint8_t *const *docs, size_t n_docs)
{
	struct err e;

	jsonw_object(w, label);
	jsonw_str(w, "ear_status", tier_name(trust_vector_tier(v)));
	jsonw_object(w, "ear_trustworthiness_vector");
	trust_vector_json(v, w);
	jsonw_close(w);
	e = put_policy_ids(w, docs, n_docs);
	jsonw_close(w);
	return e;
}

static struct err put_submods(struct jsonw *w, const struct verdict *v, const struct instance_verdict *i)
{
	const uint8_t *const platform_docs[] = { v->host_doc, v->platform_doc };
	struct err e;

	jsonw_object(w, "submods");
	if (failed(e = put_submod(w, "platform", i == NULL ? &v->platform : &i->platform, platform_docs, 2)))
		return e;
	if (i != NULL &&
	    (failed(e = put_submod(w, "container", &i->container, (const uint8_t *const[]){ i->image_doc }, 1)) ||
	     failed(e = put_submod(w, "model", &i->model, (const uint8_t *const[]){ i->model_doc }, 1)) ||
	     failed(e = put_submod(w, "key", &i->key, (const uint8_t *const[]){ i->agent_doc }, 1))))
		return e;
	jsonw_close(w);
	return ERR(E_OK);
}

static struct err put_subject(struct jsonw *w, const struct ear_spec *s, const struct host_record *host,
			      const struct instance_verdict *i)
{
	cleanup_buf struct buf sub = BUF_INIT(512);
	struct err e;

	if (i == NULL)
		e = buf_addf(&sub, "spiffe://%s/host/%s", s->trust_domain, host->id);
	else
		e = spiffe_instance(s->trust_domain, i->agent, i->id, &sub);
	if (failed(e))
		return e;
	jsonw_text(w, "sub", buf_bytes(&sub));
	return ERR(E_OK);
}

static struct err put_claims(struct jsonw *w, const struct ear_spec *s, const struct host_record *host,
			     const struct verdict *v, const struct instance_verdict *i)
{
	/* No better than the verdict as a whole: a host that failed has no affirming instance. */
	enum tier status = !verdict_passed(v) ? TIER_CONTRAINDICATED :
			   i != NULL	      ? i->status :
						trust_vector_tier(&v->platform);
	struct err e;

	jsonw_str(w, "eat_profile", EAR_PROFILE);
	jsonw_str(w, "iss", s->issuer);
	jsonw_str(w, "aud", s->audience);
	if (failed(e = put_subject(w, s, host, i)))
		return e;
	jsonw_int(w, "iat", s->now_s);
	jsonw_int(w, "exp", s->expires_s);
	jsonw_object(w, "ear_verifier_id");
	jsonw_str(w, "developer", EAR_DEVELOPER);
	jsonw_str(w, "build", "assay-verifier " ASSAY_VERSION);
	jsonw_close(w);
	jsonw_str(w, "ear_status", tier_name(status));
	if (failed(e = put_submods(w, v, i)))
		return e;
	jsonw_b64url(w, "eat_nonce", v->nonce);
	if (i != NULL && i->jkt[0] != '\0') {
		jsonw_object(w, "cnf");
		jsonw_str(w, "jkt", i->jkt);
		jsonw_close(w);
	}
	return ERR(E_OK);
}

struct err ear_issue(const struct ear_spec *s, const struct host_record *host, const struct verdict *v, size_t instance,
		     struct buf *ret)
{
	const struct instance_verdict *i = instance < v->n_instances ? &v->instance[instance] : NULL;
	cleanup_buf struct buf claims = BUF_INIT(LIMIT_TOKEN);
	struct jsonw w;
	struct err e;

	jsonw_begin(&w, &claims);
	if (failed(e = put_claims(&w, s, host, v, i)) || failed(e = jsonw_end(&w)))
		return e;
	return jws_sign_key(s->signer, s->kid, EAR_TYPE, buf_bytes(&claims), ret);
}
