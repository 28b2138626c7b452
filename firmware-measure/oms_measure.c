/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/oms_measure.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"

#define CAS_MAX 256

void oms_trusted_done(struct oms_trusted *t)
{
	key_free(t->key);
	trust_free(t->ca);
	*t = (struct oms_trusted){ 0 };
}

/*
 * Links are followed: CAs of a system and bundles in a cache of a hub are links,
 * and what is read here is whatever the caller named.
 */
static struct err read_named(const char *path, struct buf *ret, struct reason *reterr)
{
	cleanup_free char *real = realpath(path, NULL);
	struct err e = ERR(errno == EACCES ? E_LOCAL_PERMISSION : E_LOCAL_NOT_FOUND);

	if (real != NULL)
		e = file_read(AT_FDCWD, real, ret);

	if (failed(e))
		reason_set(reterr, "%s: %s", log_quote(bytes_str(path)), err_text(e));
	return e;
}

struct err oms_trusted_read(const char *key, const char *ca, struct oms_trusted *ret, struct reason *reterr)
{
	cleanup_oms_trusted struct oms_trusted t = { 0 };
	cleanup_buf struct buf pem = BUF_INIT(MIB);
	struct err e;

	if ((key == NULL) == (ca == NULL))
		return ERR(E_BUG);
	if (failed(e = read_named(key != NULL ? key : ca, &pem, reterr)))
		return e;
	if (key != NULL) {
		if (failed(e = key_from_pem(buf_bytes(&pem), &t.key))) {
			reason_set(reterr, "%s: no public key in PEM: %s", log_quote(bytes_str(key)), err_text(e));
			return e;
		}
	} else if (failed(e = trust_new(&t.ca)) ||
		   failed(e = trust_add_signers(t.ca, buf_bytes(&pem), CAS_MAX, reterr))) {
		return e;
	}
	*ret = t;
	t = (struct oms_trusted){ 0 };
	return ERR(E_OK);
}

static struct err verify_bytes(struct bytes bundle, const struct oms_trusted *by, struct oms_manifest *ret,
			       struct reason *reterr)
{
	const struct oms_signer signer = { .key = by->key, .ca = by->ca, .now_s = clock_now_s() };

	return oms_verify(bundle, &signer, ret, reterr);
}

struct err oms_verify_file(const char *path, const struct oms_trusted *by, struct oms_manifest *ret,
			   struct reason *reterr)
{
	cleanup_buf struct buf bundle = BUF_INIT(LIMIT_OMS_BUNDLE);
	struct err e;

	if (failed(e = read_named(path, &bundle, reterr)))
		return e;
	return verify_bytes(buf_bytes(&bundle), by, ret, reterr);
}

/* What may differ and what does: the bundle among the files, and the first differences in words. */
struct found {
	const char *bundle;  /* its path, or "" */
	size_t n;
	char text[240];
};

static void on_difference(void *ctx, enum oms_difference kind, const char *path)
{
	static const char *const words[] = { "changed", "missing", "not signed", "empty and not listed" };
	struct found *f = ctx;
	size_t len = strlen(f->text);

	if (kind == OMS_UNSIGNED && strcmp(path, f->bundle) == 0)
		return;
	if (f->n++ < 3)
		(void)snprintf(f->text + len, sizeof(f->text) - len, "%s%s %.60s", len > 0 ? ", " : "", words[kind],
			       log_quote(bytes_str(path)));
}

/* Everything is signed. A bundle that is empty in the listing of shards, or signed by itself, is no case of its own. */
static struct err check_signed(const struct oms_manifest *m, const struct model_report *r, const char *bundle,
			       struct reason *reterr)
{
	struct found f = { .bundle = bundle };
	size_t n = 0;
	struct err e;

	if (failed(e = oms_compare(m, r, on_difference, &f, &n)))
		return e;
	if (f.n == 0)
		return ERR(E_OK);
	reason_set(reterr,
		   "not what the bundle signs: %s%s; assay-attest measures every file, so every one must be signed", f.text,
		   f.n > 3 ? " and more" : "");
	return ERR(E_PEER_DIGEST);
}

/* The bundle as it was measured is the one that was verified. */
static struct err check_bundle(const struct model_report *r, const char *path, struct bytes bundle,
			       struct reason *reterr)
{
	uint8_t d[32];
	struct err e;

	if (failed(e = sha256(bundle, d)))
		return e;
	for (size_t i = 0; i < r->n_files; i++) {
		if (strcmp(r->files[i].path, path) != 0)
			continue;
		if (bytes_eq(BYTES_ARR(r->files[i].sha256), BYTES_ARR(d)))
			return ERR(E_OK);
		break;
	}
	reason_set(reterr, "%s changed while the model was read", log_quote(bytes_str(path)));
	return ERR(E_PEER_CHANGED);
}

struct err oms_measure(const char *model, const char *bundle, const struct oms_trusted *by, struct oms_measured *ret,
		       struct reason *reterr)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_OMS_BUNDLE);
	cleanup_oms_manifest struct oms_manifest m = { 0 };
	cleanup_model_report struct model_report r = { 0 };
	struct oms_measured out = { .n = 1 };
	struct model_options o = { 0 };
	struct oms_skip where = { 0 };
	struct err e;

	if (failed(e = read_named(bundle, &text, reterr)) ||
	    failed(e = verify_bytes(buf_bytes(&text), by, &m, reterr)) ||
	    failed(e = oms_skip_bundle(&where, model, bundle, reterr)))
		return e;
	o.shard_size = m.shard_size;
	if (failed(e = model_measure(model, &o, &r, reterr)) || failed(e = check_signed(&m, &r, where.bundle, reterr)))
		return e;
	out.digests[0] = r.digests;
	if (where.bundle[0] != '\0') {
		if (failed(e = check_bundle(&r, where.bundle, buf_bytes(&text), reterr)) ||
		    failed(e = model_digests_without(&r, where.bundle, &out.digests[1])))
			return e;
		out.n = 2;
	}
	out.n_files = r.n_files;
	memcpy(out.signer, m.signer, sizeof(out.signer));
	*ret = out;
	return ERR(E_OK);
}
