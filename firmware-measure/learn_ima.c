/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "base/text.h"
#include "firmware-measure/imalog.h"
#include "firmware-measure/learn.h"

#define MAX_LIST 1024 /* of a platform document */

void learn_ima_done(struct learn_ima *l)
{
	json_decref(l->digests);
	json_decref(l->templates);
	*l = (struct learn_ima){ 0 };
}

struct err learn_ima_init(struct learn_ima *l)
{
	struct err e;

	*l = (struct learn_ima){ 0 };
	return failed(e = json_new_object(&l->digests)) ? e : json_new_object(&l->templates);
}

static struct err learn_digest(struct learn_ima *l, const struct ima_entry *ent, struct reason *reterr)
{
	const struct ima_digest *d = &ent->digest;
	char text[32 + 2 * DIGEST_MAX], hex_of[2 * DIGEST_MAX + 1];
	struct err e;

	if (d->alg >= N_DIGESTS || d->alg == DIGEST_SHA1 || d->value.n != digest_alg(d->alg)->size) {
		reason_set(reterr,
			   "entry %llu, %s: its digest is not SHA-256 or better, so no profile can approve it "
			   "(boot with ima_hash=sha256)",
			   (unsigned long long)ent->index, log_quote(ent->name));
		return ERR(E_AUTH_REFUSED);
	}
	if (failed(e = hex_encode(d->value, hex_of, sizeof(hex_of))))
		return e;
	(void)snprintf(text, sizeof(text), "%s%s:%s", d->kind == IMA_DIGEST_VERITY ? "verity:" : "",
		       digest_alg(d->alg)->name, hex_of);
	return learn_set_add(l->digests, text);
}

static struct err learn_entry(struct learn_ima *l, const struct ima_entry *ent, struct reason *reterr)
{
	cleanup_buf struct buf name = BUF_INIT(2 * KIB);
	const char *s;
	struct err e;

	if (ent->violation) {
		l->n_violations++;
		return ERR(E_OK);
	}
	if (ent->state != IMA_ENTRY_DECODED) {
		reason_set(reterr, "entry %llu cannot be read (template %s)", (unsigned long long)ent->index,
			   log_quote(ent->template_name));
		return ERR(E_AUTH_REFUSED);
	}
	if (failed(e = buf_add(&name, ent->template_name)) || failed(e = buf_cstr(&name, &s)) ||
	    failed(e = learn_set_add(l->templates, s)))
		return e;
	/* The first entry is over registers, which differ from boot to boot. */
	if (ent->index == 0 && bytes_eq(ent->name, BYTES_LIT("boot_aggregate")))
		return ERR(E_OK);
	return learn_digest(l, ent, reterr);
}

struct err learn_ima_list(struct learn_ima *l, struct bytes raw, struct reason *reterr)
{
	cleanup_imalog struct imalog log;
	struct ima_entry ent;
	bool more = false;
	struct err e;

	imalog_init(&log, imalog_form_of(raw), IMALOG_LITTLE_ENDIAN);
	if (failed(e = imalog_feed(&log, raw)))
		return e;
	for (;;) {
		if (failed(e = imalog_next(&log, &ent, &more, reterr)))
			return e;
		if (more)
			return imalog_end(&log);
		if (failed(e = learn_entry(l, &ent, reterr)))
			return e;
	}
}

struct err learn_ima_profile(const struct learn_ima *l, json_t **ret, struct reason *reterr)
{
	cleanup_json json_t *o = NULL, *digests = NULL, *templates = NULL;
	struct err e;

	if (json_object_size(l->digests) == 0 || json_object_size(l->digests) > MAX_LIST) {
		reason_set(reterr,
			   "the lists name %zu different files, a document holds 1 to %d: "
			   "put them into an allowlist and name its SHA-256 as ima.allowlists",
			   json_object_size(l->digests), MAX_LIST);
		return ERR(E_LIMIT_COUNT);
	}
	if (failed(e = json_new_object(&o)) || failed(e = learn_set_list(l->digests, &digests)) ||
	    failed(e = learn_set_list(l->templates, &templates)) ||
	    failed(e = json_put(o, "digests", take_ptr(&digests))) ||
	    failed(e = json_put(o, "templates", take_ptr(&templates))) ||
	    failed(e = json_put_str(o, "violations", l->n_violations > 0 ? "count" : "deny")))
		return e;
	*ret = take_ptr(&o);
	return ERR(E_OK);
}
