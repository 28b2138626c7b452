/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is what runs approved: image, model, agent. Where the platform document
 * says so, an instance that nobody approved fails alone; its failure is
 * listed, and the host passes without it.
 */
#include <string.h>

#include "verifier/appraise/work.h"

static bool named(const struct str_list *names, const char *name)
{
	for (size_t i = 0; i < names->n; i++) {
		if (strcmp(names->v[i], name) == 0)
			return true;
	}
	return false;
}

const struct document *approved_image(const struct work *w, const struct image_digests *d, bool include_expired,
				      const struct document *agent)
{
	const struct document *first = NULL, *doc;

	for (size_t i = 0;; i++) {
		doc = reference_approval(w->in->reference, DOCUMENT_IMAGE, d->manifest, w->in->now_s, include_expired,
					 i);
		if (doc == NULL)
			return first;
		if (first == NULL)
			first = doc;
		if (agent == NULL || named(&agent->images, doc->name))
			return doc;
	}
}

/* Ours covers names and sizes; where the document also lists OMS roots, that one has to be among them. */
static bool oms_root_fits(const struct document *doc, const struct model_digests *d)
{
	for (size_t i = 0; i < doc->oms_roots.n; i++) {
		if (memcmp(doc->oms_roots.v[i], d->oms_root, sizeof(d->oms_root)) == 0)
			return true;
	}
	return doc->oms_roots.n == 0;
}

const struct document *approved_model(const struct work *w, const struct model_digests *d, bool include_expired,
				      const struct document *agent)
{
	const struct document *first = NULL, *doc;

	for (size_t i = 0;; i++) {
		doc = reference_approval(w->in->reference, DOCUMENT_MODEL, d->manifest, w->in->now_s, include_expired,
					 i);
		if (doc == NULL)
			return first;
		if (!oms_root_fits(doc, d))
			continue;
		if (first == NULL)
			first = doc;
		if (agent == NULL || named(&agent->models, doc->name))
			return doc;
	}
}

static const struct document *agent_of(const struct work *w, const struct instance *i)
{
	return reference_agent(w->in->reference, bytes_str(i->agent), w->in->now_s);
}

/* Without a fitting platform document there is nobody who could have said that the host may pass. */
static bool fails_host(const struct work *w)
{
	return w->platform == NULL || w->platform->unapproved_fails_host;
}

static struct attest_failure *fail_instance(struct work *w, enum row row, const struct instance *i)
{
	const char *subject = HEX(BYTES_ARR(i->id));

	return fails_host(w) ? work_fail(w, row, subject) : work_note(w, row, subject);
}

/* One verdict per live instance, in the order of the state; made by the first of these rows. */
static struct err make_instances(struct work *w)
{
	const struct host_state *s = &w->v->next;

	if (s->n_instances == 0)
		return ERR(E_OK);
	w->v->instance = calloc(s->n_instances, sizeof(*w->v->instance));
	if (w->v->instance == NULL)
		return ERR(E_LOCAL_MEMORY);
	w->v->n_instances = s->n_instances;
	for (size_t k = 0; k < s->n_instances; k++) {
		struct instance_verdict *v = &w->v->instance[k];

		memcpy(v->id, s->instance[k].id, sizeof(v->id));
		memcpy(v->agent, s->instance[k].agent, sizeof(v->agent));
		memcpy(v->jkt, s->instance[k].jkt, sizeof(v->jkt));
	}
	return ERR(E_OK);
}

static void judge_gone(struct work *w, enum row row, const struct unexplained *u)
{
	struct attest_failure *f;

	if (u->n == 0 || !fails_host(w))
		return;
	f = work_fail(w, row, HEX(BYTES_ARR(u->instance)));
	SAY(f->expected, "an approval, also one that has expired, of what ran and ended in this boot");
	SAY(f->seen, "%s, and %zu more", HEX(BYTES_ARR(u->manifest)), u->n - 1);
}

/* W4: by the digest of the manifest, never by a name. */
struct err row_image(struct work *w)
{
	const struct host_state *s = &w->v->next;
	struct err e;

	if (!w->log_walked)
		return ERR(E_OK);
	if (failed(e = make_instances(w)))
		return e;
	for (size_t k = 0; k < s->n_instances; k++) {
		const struct instance *i = &s->instance[k];
		const struct document *doc = approved_image(w, &i->image, false, agent_of(w, i));
		struct attest_failure *f;

		if (doc != NULL) {
			memcpy(w->v->instance[k].image_doc, doc->digest, sizeof(doc->digest));
			continue;
		}
		f = fail_instance(w, ROW_IMAGE, i);
		SAY(f->expected, "an image that an operator approved (assayctl approve image)");
		SAY(f->seen, "agent %s with image %s", i->agent, HEX(BYTES_ARR(i->image.manifest)));
	}
	judge_gone(w, ROW_IMAGE, &w->image_gone);
	work_pass(w, ROW_IMAGE);
	return ERR(E_OK);
}

/* W5 */
struct err row_model(struct work *w)
{
	const struct host_state *s = &w->v->next;

	if (!w->log_walked)
		return ERR(E_OK);
	for (size_t k = 0; k < s->n_instances; k++) {
		const struct instance *i = &s->instance[k];
		const struct document *doc = approved_model(w, &i->model, false, agent_of(w, i));
		struct attest_failure *f;

		if (doc != NULL) {
			memcpy(w->v->instance[k].model_doc, doc->digest, sizeof(doc->digest));
			continue;
		}
		f = fail_instance(w, ROW_MODEL, i);
		SAY(f->expected, "a model that an operator approved (assayctl approve model)");
		SAY(f->seen, "agent %s with model %s", i->agent, HEX(BYTES_ARR(i->model.manifest)));
	}
	judge_gone(w, ROW_MODEL, &w->model_gone);
	work_pass(w, ROW_MODEL);
	return ERR(E_OK);
}

/* W7: what was approved at the start is not what is there now, and stays so until the instance ends. */
struct err row_changed(struct work *w)
{
	const struct host_state *s = &w->v->next;

	if (!w->log_walked)
		return ERR(E_OK);
	for (size_t k = 0; k < s->n_instances; k++) {
		const struct instance *i = &s->instance[k];
		bool image = memcmp(&i->image, &i->now_image, sizeof(i->image)) != 0;
		struct attest_failure *f;

		if (!i->changed)
			continue;
		f = fail_instance(w, ROW_CHANGED, i);
		SAY(f->expected, "%s %s, as it was started", image ? "image" : "model",
		    HEX(image ? BYTES_ARR(i->image.manifest) : BYTES_ARR(i->model.manifest)));
		SAY(f->seen, "%s of agent %s", HEX(image ? BYTES_ARR(i->now_image.manifest) : BYTES_ARR(i->now_model.manifest)),
		    i->agent);
	}
	work_pass(w, ROW_CHANGED);
	return ERR(E_OK);
}

/* What an agent document does not allow of an instance, or NULL. */
static const char *not_bound(const struct work *w, const struct document *agent, const struct instance *i)
{
	const struct document *image, *model;

	if (agent == NULL)
		return "no agent document of this name holds";
	image = approved_image(w, &i->image, false, agent);
	model = approved_model(w, &i->model, false, agent);
	if (image != NULL && !named(&agent->images, image->name))
		return "its agent document does not list this image";
	if (model != NULL && !named(&agent->models, model->name))
		return "its agent document does not list this model";
	if (w->platform != NULL && !named(&agent->platforms, w->platform->name))
		return "its agent document does not list this platform";
	return NULL;
}

/* Image, model and platform belong together as the agent document says; the status is judged in the conclusion. */
struct err row_agent(struct work *w)
{
	const struct host_state *s = &w->v->next;

	if (!w->log_walked)
		return ERR(E_OK);
	for (size_t k = 0; k < s->n_instances; k++) {
		const struct instance *i = &s->instance[k];
		const struct document *agent = agent_of(w, i);
		const char *why = not_bound(w, agent, i);
		struct attest_failure *f;

		if (why == NULL) {
			memcpy(w->v->instance[k].agent_doc, agent->digest, sizeof(agent->digest));
			continue;
		}
		f = fail_instance(w, ROW_AGENT, i);
		SAY(f->expected, "an agent document that allows this image with this model on this platform");
		SAY(f->seen, "agent %s: %s", i->agent, why);
	}
	work_pass(w, ROW_AGENT);
	return ERR(E_OK);
}
