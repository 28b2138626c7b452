/* SPDX-License-Identifier: Apache-2.0 */
/* The verb "model". */
#include "base/log.h"
#include "firmware-measure/oms.h"
#include "firmware-measure/verb_model.h"

static struct model_verb options;

static const struct opt opts[] = {
	{ "jobs", OPT_U64, &options.jobs, "N", "threads (default: one per processor)", PROGRESS_MAX_JOBS },
	{ "files", OPT_FLAG, &options.files, NULL, "list every file with its digest and size", 0 },
	{ "verity", OPT_FLAG, &options.verity, NULL, "fs-verity digests of files in place of SHA-256", 0 },
	{ "verify", OPT_STRING, &options.verify, "BUNDLE", "check it against an OpenSSF Model Signing bundle", 0 },
	{ "key", OPT_STRING, &options.key, "PEM", "verify: the signer's public key", 0 },
	{ "ca", OPT_STRING, &options.ca, "PEM", "verify: CAs of the signer's certificate", 0 },
	{ "sign", OPT_STRING, &options.sign, "KEY", "make an OpenSSF Model Signing bundle with this private key", 0 },
	{ "out", OPT_STRING, &options.out, "BUNDLE", "sign: where the bundle is written", 0 },
	{ "shard-size", OPT_U64, &options.shard_size, "BYTES", "sign: in shards of this size, hashed by several threads",
	  OMS_SHARD_MAX },
	{ "ignore", OPT_LIST, &options.ignore, "PATH", "verify, sign: leave out this path below the folder; may repeat", 0 },
};

static struct err file_json(const struct model_file *f, struct buf *ret)
{
	cleanup_json json_t *o = NULL;
	struct err e;

	buf_clear(ret);
	if (failed(e = json_new_object(&o)) || failed(e = json_put_str(o, "path", f->path)) ||
	    failed(e = json_put_int(o, "size", (int64_t)f->size)) ||
	    failed(e = json_put_hex(o, options.verity ? "verity" : "sha256", BYTES_ARR(f->sha256))))
		return e;
	return json_write(o, ret);
}

static struct err model_head(const struct model_report *m, struct buf *ret)
{
	cleanup_json json_t *o = NULL;
	struct err e;

	if (failed(e = json_new_object(&o)))
		return e;
	if (options.verity)
		e = json_put_hex(o, "verity", BYTES_ARR(m->verity));
	else if (!failed(e = json_put_hex(o, "manifest", BYTES_ARR(m->digests.manifest))))
		e = json_put_hex(o, "oms_root", BYTES_ARR(m->digests.oms_root));
	if (failed(e) || (options.verity && failed(e = json_put_int(o, "n_kept", (int64_t)m->n_kept))) ||
	    failed(e = json_put_int(o, "n_files", (int64_t)m->n_files)) ||
	    failed(e = json_put_int(o, "bytes", (int64_t)m->n_bytes)))
		return e;
	return json_write(o, ret);
}

static struct err hint_json(const struct model_hint *h, struct buf *ret)
{
	const struct {
		const char *key, *text;
	} texts[] = { { "name", h->name }, { "version", h->version }, { "architecture", h->architecture } };
	cleanup_json json_t *o = NULL;
	struct err e;

	buf_clear(ret);
	if (failed(e = json_new_object(&o)) || failed(e = json_put_str(o, "path", h->path)) ||
	    failed(e = json_put_str(o, "format", h->format)))
		return e;
	if (failed(h->e)) {
		if (failed(e = json_put_str(o, "error", h->why.text[0] != '\0' ? h->why.text : err_text(h->e))))
			return e;
		return json_write(o, ret);
	}
	if (failed(e = json_put_int(o, "tensors", (int64_t)h->n_tensors)) ||
	    failed(e = json_put_int(o, "parameters", (int64_t)h->n_parameters)))
		return e;
	for (size_t i = 0; i < array_len(texts); i++)
		if (texts[i].text[0] != '\0' && failed(e = json_put_str(o, texts[i].key, texts[i].text)))
			return e;
	return json_write(o, ret);
}

static struct err hints_json(const struct model_report *m, struct buf *b)
{
	struct err e;

	for (size_t i = 0; i < m->n_hints; i++) {
		if (failed(e = hint_json(&m->hints[i], b)))
			return e;
		(void)fputs(i == 0 ? ",\"hints\":[" : ",", stdout);
		(void)fwrite(b->p, 1, b->n, stdout);
	}
	(void)fputs(m->n_hints > 0 ? "]" : "", stdout);
	return ERR(E_OK);
}

/* File by file, so that a model of a million files needs no tree of them. */
static struct err model_json(const struct model_report *m)
{
	cleanup_buf struct buf b = BUF_INIT(SIZE_MAX);
	struct err e;

	if (failed(e = model_head(m, &b)))
		return e;
	(void)fwrite(b.p, 1, b.n - 1, stdout); /* without its closing brace */
	if (failed(e = hints_json(m, &b)))
		return e;
	for (size_t i = 0; options.files && i < m->n_files; i++) {
		if (failed(e = file_json(&m->files[i], &b)))
			return e;
		(void)fputs(i == 0 ? ",\"files\":[" : ",", stdout);
		(void)fwrite(b.p, 1, b.n, stdout);
	}
	(void)fputs(options.files ? "]}\n" : "}\n", stdout);
	return ERR(E_OK);
}

static void hint_text(const struct model_hint *h)
{
	if (failed(h->e)) {
		(void)printf("hint      %s: %s, not understood: %s\n", h->path, h->format,
			     h->why.text[0] != '\0' ? h->why.text : err_text(h->e));
		return;
	}
	(void)printf("hint      %s: %s, %ju tensors, %ju parameters", h->path, h->format, (uintmax_t)h->n_tensors,
		     (uintmax_t)h->n_parameters);
	if (h->name[0] != '\0')
		(void)printf(", \"%s\"", log_quote(bytes_str(h->name)));
	if (h->version[0] != '\0')
		(void)printf(", version \"%s\"", log_quote(bytes_str(h->version)));
	if (h->architecture[0] != '\0')
		(void)printf(", %s", log_quote(bytes_str(h->architecture)));
	(void)printf("\n");
}

static void model_text(const struct model_report *m)
{
	for (size_t i = 0; options.files && i < m->n_files; i++)
		(void)printf("%s  %12ju  %s\n", hex(m->files[i].sha256).s, (uintmax_t)m->files[i].size,
			     m->files[i].path);
	if (options.verity)
		(void)printf("verity    %s\nkept      %zu\n", hex(m->verity).s, m->n_kept);
	else
		(void)printf("manifest  %s\noms_root  %s\n", hex(m->digests.manifest).s, hex(m->digests.oms_root).s);
	(void)printf("files     %zu\nbytes     %ju\n", m->n_files, (uintmax_t)m->n_bytes);
	for (size_t i = 0; i < m->n_hints; i++)
		hint_text(&m->hints[i]);
}

int verb_model(void *ctx, int argc, char **argv)
{
	cleanup_model_report struct model_report m = { 0 };
	struct progress progress = { 0 };
	struct reason why = { "" };
	struct model_options o;
	char **pos;
	int n, status;
	struct err e;

	(void)ctx;
	status = program_options(argc, argv, opts, array_len(opts), 1, 1, &pos, &n);
	if (status >= 0)
		return status;
	if (options.verify != NULL && options.sign != NULL)
		return program_usage("model: --verify or --sign, not both");
	if (options.verify != NULL)
		return model_verify(&options, pos[0]);
	if (options.key != NULL || options.ca != NULL)
		return program_usage("model: --key and --ca go with --verify");
	if (options.sign != NULL)
		return model_sign(&options, pos[0]);
	if (options.out != NULL || options.shard_size > 0 || options.ignore.n > 0)
		return program_usage("model: --out and --shard-size go with --sign, --ignore with --verify or --sign");
	progress_begin(&progress, options.jobs, &o);
	o.hints = true;
	o.verity = options.verity;
	e = model_measure(pos[0], &o, &m, &why);
	progress_end(&progress);
	if (failed(e))
		return refused(e, &why);
	if (!common.json)
		model_text(&m);
	else if (failed(e = model_json(&m)))
		return refused(e, &why);
	return printed();
}
