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

static bool listed(const struct sha_list *l, const uint8_t v[32])
{
	for (size_t i = 0; i < l->n; i++) {
		if (memcmp(l->v[i], v, sizeof(l->v[i])) == 0)
			return true;
	}
	return false;
}

const struct document *approved_image(const struct work *w, const struct image_digests *d,
				      const struct container_digests *container, bool include_expired,
				      const struct document *agent)
{
	const struct document *first = NULL, *doc;

	for (size_t i = 0;; i++) {
		doc = reference_approval(w->in->reference, DOCUMENT_IMAGE, d->manifest, w->in->now_s, include_expired,
					 i);
		if (doc == NULL)
			return first;
		if (container != NULL && !listed(&doc->rootfs, container->rootfs))
			continue;
		if (first == NULL)
			first = doc;
		if (agent == NULL || named(&agent->images, doc->name))
			return doc;
	}
}

/* Ours covers names and sizes; where the document also lists OMS roots, that one has to be among them. */
static bool oms_root_fits(const struct document *doc, const struct model_digests *d)
{
	return doc->oms_roots.n == 0 || listed(&doc->oms_roots, d->oms_root);
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
		v->has_container = s->instance[k].has_container;
		v->digests = s->instance[k].container;
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
	SAY(f->seen, "%s, and %zu more", HEX(BYTES_ARR(u->digest)), u->n - 1);
}

/*
 * W4: by the digest of the manifest, never by a name. Of a container another row says which document decided: a
 * manifest alone permits no root.
 */
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
		const struct document *doc = approved_image(w, &i->image, NULL, false, agent_of(w, i));
		struct attest_failure *f;

		if (doc != NULL && !i->has_container)
			memcpy(w->v->instance[k].image_doc, doc->digest, sizeof(doc->digest));
		if (doc != NULL)
			continue;
		f = fail_instance(w, ROW_IMAGE, i);
		SAY(f->expected, "an image that an operator approved (assayctl approve image)");
		SAY(f->seen, "agent %s with image %s", i->agent, HEX(BYTES_ARR(i->image.manifest)));
	}
	judge_gone(w, ROW_IMAGE, &w->image_gone);
	work_pass(w, ROW_IMAGE);
	return ERR(E_OK);
}

static void fail_root(struct work *w, const struct instance *i)
{
	const struct document *doc = approved_image(w, &i->image, NULL, false, agent_of(w, i));
	struct attest_failure *f = fail_instance(w, ROW_ROOT, i);
	const char *root = HEX(BYTES_ARR(i->container.rootfs));

	if (doc == NULL) {
		SAY(f->expected, "an image document with this root and manifest %s", HEX(BYTES_ARR(i->image.manifest)));
		SAY(f->seen, "agent %s with root %s; none permits the manifest", i->agent, root);
	} else if (doc->rootfs.n == 0) {
		SAY(f->expected, "a root in image document %s: without one it permits no containers (assayctl approve "
				 "image --rootfs)", doc->name);
		SAY(f->seen, "agent %s in a container with root %s", i->agent, root);
	} else {
		SAY(f->expected, "root %s of image document %s%s", HEX(BYTES_ARR(doc->rootfs.v[0])), doc->name,
		    doc->rootfs.n > 1 ? ", or another of its roots" : "");
		SAY(f->seen, "agent %s with root %s", i->agent, root);
	}
}

/*
 * What a container has as its root is what the layers of its image make, as the document says that permits the
 * image. Two documents that each know one half decide nothing together.
 */
struct err row_root(struct work *w)
{
	const struct host_state *s = &w->v->next;

	if (!w->log_walked)
		return ERR(E_OK);
	for (size_t k = 0; k < s->n_instances; k++) {
		const struct instance *i = &s->instance[k];
		const struct document *doc;

		if (!i->has_container)
			continue;
		doc = approved_image(w, &i->image, &i->container, false, agent_of(w, i));
		if (doc == NULL)
			fail_root(w, i);
		else
			memcpy(w->v->instance[k].image_doc, doc->digest, sizeof(doc->digest));
	}
	judge_gone(w, ROW_ROOT, &w->root_gone);
	work_pass(w, ROW_ROOT);
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

/* What a change record says is not as it was. */
struct difference {
	const char *what;
	struct bytes was, is;
};

static struct difference difference(const struct instance *i)
{
	const struct container_digests *c = &i->container, *now = &i->now_container;

	if (memcmp(&i->image, &i->now_image, sizeof(i->image)) != 0)
		return (struct difference){ "image", BYTES_ARR(i->image.manifest), BYTES_ARR(i->now_image.manifest) };
	if (memcmp(c->rootfs, now->rootfs, sizeof(c->rootfs)) != 0)
		return (struct difference){ "root", BYTES_ARR(c->rootfs), BYTES_ARR(now->rootfs) };
	if (memcmp(c->policy, now->policy, sizeof(c->policy)) != 0)
		return (struct difference){ "policy", BYTES_ARR(c->policy), BYTES_ARR(now->policy) };
	return (struct difference){ "model", BYTES_ARR(i->model.manifest), BYTES_ARR(i->now_model.manifest) };
}

/* W7: what was approved at the start is not what is there now, and stays so until the instance ends. */
struct err row_changed(struct work *w)
{
	const struct host_state *s = &w->v->next;

	if (!w->log_walked)
		return ERR(E_OK);
	for (size_t k = 0; k < s->n_instances; k++) {
		const struct instance *i = &s->instance[k];
		const struct difference d = difference(i);
		struct attest_failure *f;

		if (!i->changed)
			continue;
		f = fail_instance(w, ROW_CHANGED, i);
		SAY(f->expected, "%s %s, as it was started", d.what, HEX(d.was));
		SAY(f->seen, "%s of agent %s", HEX(d.is), i->agent);
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
	image = approved_image(w, &i->image, i->has_container ? &i->container : NULL, false, agent);
	model = approved_model(w, &i->model, false, agent);
	if (image != NULL && !named(&agent->images, image->name))
		return i->has_container ? "its agent document does not list the image document with this root" :
					  "its agent document does not list this image";
	if (model != NULL && !named(&agent->models, model->name))
		return "its agent document does not list this model";
	if (w->platform != NULL && !named(&agent->platforms, w->platform->name))
		return "its agent document does not list this platform";
	return NULL;
}

/* In a container as the document asks for, where it asks for one. */
static bool contained(const struct document *agent, const struct instance *i)
{
	return agent->containers.n == 0 || (i->has_container && listed(&agent->containers, i->container.policy));
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
			/* A document that asks for another container has not decided in favour of this instance. */
			if (contained(agent, i))
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

/* Without a document there is nobody who could have asked, and that is another row's to say. */
struct err row_container(struct work *w)
{
	const struct host_state *s = &w->v->next;

	if (!w->log_walked)
		return ERR(E_OK);
	for (size_t k = 0; k < s->n_instances; k++) {
		const struct instance *i = &s->instance[k];
		const struct document *agent = agent_of(w, i);
		struct attest_failure *f;

		if (agent == NULL || contained(agent, i))
			continue;
		f = fail_instance(w, ROW_CONTAINER, i);
		SAY(f->expected, "a container under policy %s%s, as the document of agent %s asks (containers)",
		    HEX(BYTES_ARR(agent->containers.v[0])), agent->containers.n > 1 ? " or another that it lists" : "",
		    i->agent);
		if (i->has_container)
			SAY(f->seen, "policy %s", HEX(BYTES_ARR(i->container.policy)));
		else
			SAY(f->seen, "an instance in no container");
	}
	work_pass(w, ROW_CONTAINER);
	return ERR(E_OK);
}
