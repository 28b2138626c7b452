/* SPDX-License-Identifier: Apache-2.0 */
/* model --verify and --sign: OpenSSF Model Signing for people and scripts. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "firmware-measure/oms_measure.h"
#include "firmware-measure/verb_model.h"

/* A path below the folder: not empty, not absolute, no "..". */
static bool is_below(const char *path)
{
	if (path[0] == '\0' || path[0] == '/')
		return false;
	for (const char *at = path; at != NULL; at = strchr(at, '/')) {
		at += at[0] == '/' ? 1 : 0;
		if (strncmp(at, "..", 2) == 0 && (at[2] == '\0' || at[2] == '/'))
			return false;
	}
	return true;
}

/* What differs, said as it is found; for machines kept by kind. */
struct differences {
	json_t *list[OMS_EMPTY];
	struct err e;
};

static void on_difference(void *ctx, enum oms_difference kind, const char *path)
{
	static const char *const words[] = { "changed ", "missing ", "unsigned" };
	struct differences *d = ctx;

	if (kind == OMS_EMPTY)
		return;
	if (!common.json)
		(void)printf("%s  %s\n", words[kind], log_quote(bytes_str(path)));
	else if (json_array_append_new(d->list[kind], json_string(path)) != 0)
		d->e = ERR(E_LOCAL_MEMORY);
}

static struct err verdict_json(const struct oms_manifest *m, const struct model_report *r, struct differences *d,
			       bool fits)
{
	static const char *const names[] = { "changed", "missing", "unsigned" };
	cleanup_json json_t *o = NULL;
	struct err e;

	if (failed(e = d->e) || failed(e = json_new_object(&o)) || failed(e = json_put_bool(o, "verified", fits)) ||
	    failed(e = json_put_str(o, "signer", m->signer)) ||
	    failed(e = json_put_hex(o, "oms_root", BYTES_ARR(m->root))) ||
	    failed(e = json_put_int(o, "n_files", (int64_t)r->n_files)) ||
	    failed(e = json_put_int(o, "bytes", (int64_t)r->n_bytes)))
		return e;
	for (size_t i = 0; i < OMS_EMPTY; i++)
		if (failed(e = json_put(o, names[i], json_incref(d->list[i]))))
			return e;
	return print_json(o);
}

static struct err compare(const struct oms_manifest *m, const struct model_report *r, struct differences *d, bool *ret)
{
	size_t n = 0;
	struct err e;

	for (size_t i = 0; i < OMS_EMPTY; i++) {
		d->list[i] = json_array();
		if (d->list[i] == NULL)
			return ERR(E_LOCAL_MEMORY);
	}
	if (failed(e = oms_compare(m, r, on_difference, d, &n)))
		return e;
	*ret = n == 0;
	if (common.json)
		return verdict_json(m, r, d, n == 0);
	if (n == 0)
		(void)printf("verified  %zu files, %ju bytes\nsigner    %s\noms_root  %s\n", r->n_files,
			     (uintmax_t)r->n_bytes, m->signer, hex(m->root).s);
	return ERR(E_OK);
}

static struct err measure(const struct model_verb *o, const char *path, struct oms_skip *skip, uint64_t shard_size,
			  struct model_report *ret, struct reason *reterr)
{
	struct progress progress = { 0 };
	struct model_options mo;
	struct err e;

	progress_begin(&progress, o->jobs, &mo);
	mo.skip = oms_skip_path;
	mo.skip_ctx = skip;
	mo.shard_size = shard_size;
	mo.shards_only = shard_size > 0;
	e = model_measure(path, &mo, ret, reterr);
	progress_end(&progress);
	return e;
}

static struct err verify(const struct model_verb *o, const char *path, bool *ret, struct reason *reterr)
{
	cleanup_oms_manifest struct oms_manifest m = { 0 };
	cleanup_model_report struct model_report r = { 0 };
	cleanup_oms_trusted struct oms_trusted by = { 0 };
	struct oms_skip skip = { .manifest = &m, .n_ignored = o->ignore.n, .ignored = o->ignore.v };
	struct differences d = { 0 };
	struct err e;

	if (failed(e = oms_trusted_read(o->key, o->ca, &by, reterr)) ||
	    failed(e = oms_verify_file(o->verify, &by, &m, reterr)) ||
	    failed(e = oms_skip_bundle(&skip, path, o->verify, reterr)))
		return e;
	if (failed(e = measure(o, path, &skip, m.shard_size, &r, reterr)))
		return e;
	e = compare(&m, &r, &d, ret);
	for (size_t i = 0; i < OMS_EMPTY; i++)
		json_decref(d.list[i]);
	return e;
}

/* A usage error, or -1 to go on. */
static int check_ignored(const struct model_verb *o)
{
	for (size_t i = 0; i < o->ignore.n; i++)
		if (!is_below(o->ignore.v[i]))
			return program_usage("model: --ignore %s: expected a path below the folder",
					     log_quote(bytes_str(o->ignore.v[i])));
	if (o->files || o->verity)
		return program_usage("model: --files and --verity do not go with --verify or --sign");
	return -1;
}

int model_verify(const struct model_verb *o, const char *path)
{
	struct reason why = { "" };
	bool fits = false;
	struct err e;
	int status;

	if ((o->key != NULL) == (o->ca != NULL))
		return program_usage("model: --verify needs --key PEM or --ca PEM: whose signature counts");
	if (o->out != NULL || o->shard_size > 0)
		return program_usage("model: --out and --shard-size go with --sign");
	status = check_ignored(o);
	if (status >= 0)
		return status;
	if (failed(e = verify(o, path, &fits, &why)))
		return refused(e, &why);
	status = printed();
	return status == EXIT_ACCEPTED && !fits ? EXIT_REJECTED : status;
}

static struct err private_key(const char *path, struct key **ret, struct reason *reterr)
{
	cleanup_buf struct buf pem = BUF_INIT(LIMIT_SMALL);
	struct err e = file_read_secret(AT_FDCWD, path, &pem);

	if (failed(e)) {
		reason_set(reterr, "--sign %s: %s%s", log_quote(bytes_str(path)), err_text(e),
			   e.code == E_LOCAL_PERMISSION ? "; a private key must be mode 0600 and yours" : "");
		return e;
	}
	if (failed(e = key_private_from_pem(buf_bytes(&pem), ret)))
		reason_set(reterr, "--sign %s: no private key in PEM without a password: %s", log_quote(bytes_str(path)),
			   err_text(e));
	return e;
}

/* What people call the model: the last part of its path, whichever way that was written. */
static struct err model_name(const char *path, char **ret, struct reason *reterr)
{
	cleanup_free char *real = realpath(path, NULL);

	if (real == NULL) {
		reason_set(reterr, "%s: %s", log_quote(bytes_str(path)), strerrordesc_np(errno) ?: "not found");
		return ERR(errno == ENOENT || errno == ENOTDIR ? E_LOCAL_NOT_FOUND : E_LOCAL_IO);
	}
	*ret = strdup(strcmp(real, "/") == 0 ? real : strrchr(real, '/') + 1);
	return *ret != NULL ? ERR(E_OK) : ERR(E_LOCAL_MEMORY);
}

static struct err signed_json(const struct model_report *r)
{
	cleanup_json json_t *o = NULL;
	struct err e;

	if (failed(e = json_new_object(&o)) || failed(e = json_put_int(o, "n_files", (int64_t)r->n_files)) ||
	    failed(e = json_put_int(o, "bytes", (int64_t)r->n_bytes)))
		return e;
	return print_json(o);
}

static struct err sign(const struct model_verb *o, const char *path, struct reason *reterr)
{
	cleanup_model_report struct model_report r = { 0 };
	cleanup_buf struct buf bundle = BUF_INIT(2 * LIMIT_OMS_BUNDLE);
	struct oms_skip skip = { .n_ignored = o->ignore.n, .ignored = o->ignore.v };
	cleanup_key struct key *k = NULL;
	cleanup_free char *name = NULL;
	struct err e;

	if (failed(e = private_key(o->sign, &k, reterr)) || failed(e = model_name(path, &name, reterr)) ||
	    failed(e = oms_skip_bundle(&skip, path, o->out, reterr)) ||
	    failed(e = measure(o, path, &skip, o->shard_size, &r, reterr)) ||
	    failed(e = oms_sign(&r, o->shard_size, name, &skip, k, &bundle, reterr)))
		return e;
	if (failed(e = file_write(AT_FDCWD, o->out, buf_bytes(&bundle), 0644))) {
		reason_set(reterr, "--out %s: %s", log_quote(bytes_str(o->out)), err_text(e));
		return e;
	}
	if (common.json)
		return signed_json(&r);
	(void)printf("signed    %zu files, %ju bytes\n", r.n_files, (uintmax_t)r.n_bytes);
	return ERR(E_OK);
}

int model_sign(const struct model_verb *o, const char *path)
{
	struct reason why = { "" };
	struct err e;
	int status;

	if (o->out == NULL)
		return program_usage("model: --sign needs --out BUNDLE: where it is written");
	status = check_ignored(o);
	if (status >= 0)
		return status;
	if (failed(e = sign(o, path, &why)))
		return refused(e, &why);
	return printed();
}
