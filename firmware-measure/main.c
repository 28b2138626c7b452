/* SPDX-License-Identifier: Apache-2.0 */
/* The program: digests of images and models for people and scripts. */
#include <string.h>

#include "base/args.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "firmware-measure/model.h"
#include "firmware-measure/oci.h"

#define QUIET_FOR_MS 500 /* shorter work shows no progress */
#define MAX_JOBS 256

struct options {
	bool json;
	bool files;
	const char *select;
	uint64_t jobs;
};

static int verb_image(void *ctx, int argc, char **argv);
static int verb_model(void *ctx, int argc, char **argv);

static struct options options;

static const struct opt common_opts[] = {
	{ "json", OPT_FLAG, &options.json, NULL, "print one JSON object", 0 },
};

static const struct opt image_opts[] = {
	{ "select", OPT_STRING, &options.select, "TAG|DIGEST", "which image of the layout (default: the only one)", 0 },
	{ "jobs", OPT_U64, &options.jobs, "N", "threads (default: one per processor)", MAX_JOBS },
};

static const struct opt model_opts[] = {
	{ "jobs", OPT_U64, &options.jobs, "N", "threads (default: one per processor)", MAX_JOBS },
	{ "files", OPT_FLAG, &options.files, NULL, "list every file with its digest and size", 0 },
};

static const struct verb verbs[] = {
	{ "image", NULL, "LAYOUT", "digest a container image in an OCI image layout folder", verb_image },
	{ "model", NULL, "PATH", "digest a model: a folder or one file", verb_model },
};

static const struct program program = {
	.name = "firmware-measure",
	.help = "measure container images and models",
	.verbs = verbs,
	.n_verbs = array_len(verbs),
	.common = common_opts,
	.n_common = array_len(common_opts),
};

/* Progress on a terminal, one line that is drawn over itself. */
struct progress {
	uint64_t since_ms;
	bool drawn;
};

static void on_progress(void *ctx, uint64_t done, uint64_t total)
{
	struct progress *p = ctx;

	if (total == 0 || clock_boottime_ms() - p->since_ms < QUIET_FOR_MS)
		return;
	(void)fprintf(stderr, "\r%3u %% of %ju MiB", (unsigned)(100.0 * ((double)done / (double)total)),
		      (uintmax_t)(total / MIB));
	(void)fflush(stderr);
	p->drawn = true;
}

static void measure_options(struct progress *p, struct model_options *ret)
{
	p->since_ms = clock_boottime_ms();
	*ret = (struct model_options){ .jobs = (unsigned)options.jobs };
	if (isatty(STDERR_FILENO) != 1)
		return;
	ret->progress = on_progress;
	ret->ctx = p;
}

static void progress_end(const struct progress *p)
{
	if (p->drawn)
		(void)fprintf(stderr, "\r\033[K");
}

/* "firmware-measure: reason (E_NAME)" on stderr; the exit status of the error. */
static int refused(struct err e, const struct reason *why)
{
	(void)fprintf(stderr, "%s: %s (%s)\n", program.name, why->text[0] != '\0' ? why->text : err_text(e),
		      err_name(e));
	return exit_for(e);
}

/* What was printed has reached whoever reads it, or nothing was decided. */
static int printed(void)
{
	return fflush(stdout) == 0 && ferror(stdout) == 0 ? EXIT_ACCEPTED : EXIT_UNDECIDED;
}

struct hex {
	char s[65];
};

static struct hex hex(const uint8_t d[32])
{
	struct hex h = { "" };

	if (failed(hex_encode(BYTES(d, 32), h.s, sizeof(h.s))))
		return (struct hex){ "" }; /* cannot happen: the size is right */
	return h;
}

static struct err put_layers(const struct image_report *r, json_t *o)
{
	json_t *layers = json_array();

	if (layers == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < r->n_layers; i++) {
		if (json_array_append_new(layers, json_string(hex(r->layer[i]).s)) != 0) {
			json_decref(layers);
			return ERR(E_LOCAL_MEMORY);
		}
	}
	return json_put(o, "layers", layers);
}

static struct err image_json(const struct image_report *r)
{
	cleanup_buf struct buf b = BUF_INIT(SIZE_MAX);
	cleanup_json json_t *o = NULL;
	struct err e;

	if (failed(e = json_new_object(&o)) ||
	    failed(e = json_put_hex(o, "manifest", BYTES_ARR(r->digests.manifest))) ||
	    failed(e = json_put_hex(o, "config", BYTES_ARR(r->digests.config))) ||
	    failed(e = put_layers(r, o)) ||
	    failed(e = json_put_int(o, "bytes", (int64_t)r->n_bytes)) ||
	    failed(e = json_put_str(o, "tag", r->tag)) ||
	    failed(e = json_write(o, &b)))
		return e;
	(void)fwrite(b.p, 1, b.n, stdout);
	(void)fputc('\n', stdout);
	return ERR(E_OK);
}

static void image_text(const struct image_report *r)
{
	(void)printf("manifest  %s\nconfig    %s\n", hex(r->digests.manifest).s, hex(r->digests.config).s);
	for (size_t i = 0; i < r->n_layers; i++)
		(void)printf("layer     %s\n", hex(r->layer[i]).s);
	(void)printf("bytes     %ju\n", (uintmax_t)r->n_bytes);
}

static int verb_image(void *ctx, int argc, char **argv)
{
	cleanup_free struct image_report *r = calloc(1, sizeof(*r));
	struct progress progress = { 0 };
	struct reason why = { "" };
	struct model_options o;
	char **pos;
	int n, status;
	struct err e;

	(void)ctx;
	status = verb_options(&program, &verbs[0], argc, argv, image_opts, array_len(image_opts), 1, 1, &pos, &n);
	if (status >= 0)
		return status;
	if (r == NULL)
		return refused(ERR(E_LOCAL_MEMORY), &why);
	measure_options(&progress, &o);
	e = oci_measure_with(pos[0], options.select, &o, r, &why);
	progress_end(&progress);
	if (failed(e))
		return refused(e, &why);
	if (!options.json)
		image_text(r);
	else if (failed(e = image_json(r)))
		return refused(e, &why);
	return printed();
}

static struct err file_json(const struct model_file *f, struct buf *ret)
{
	cleanup_json json_t *o = NULL;
	struct err e;

	buf_clear(ret);
	if (failed(e = json_new_object(&o)) ||
	    failed(e = json_put_str(o, "path", f->path)) ||
	    failed(e = json_put_int(o, "size", (int64_t)f->size)) ||
	    failed(e = json_put_hex(o, "sha256", BYTES_ARR(f->sha256))))
		return e;
	return json_write(o, ret);
}

static struct err model_head(const struct model_report *m, struct buf *ret)
{
	cleanup_json json_t *o = NULL;
	struct err e;

	if (failed(e = json_new_object(&o)) ||
	    failed(e = json_put_hex(o, "manifest", BYTES_ARR(m->digests.manifest))) ||
	    failed(e = json_put_hex(o, "oms_root", BYTES_ARR(m->digests.oms_root))) ||
	    failed(e = json_put_int(o, "n_files", (int64_t)m->n_files)) ||
	    failed(e = json_put_int(o, "bytes", (int64_t)m->n_bytes)))
		return e;
	return json_write(o, ret);
}

/* File by file, so that a model of a million files needs no tree of them. */
static struct err model_json(const struct model_report *m)
{
	cleanup_buf struct buf b = BUF_INIT(SIZE_MAX);
	struct err e;

	if (failed(e = model_head(m, &b)))
		return e;
	if (!options.files) {
		(void)fwrite(b.p, 1, b.n, stdout);
		(void)fputc('\n', stdout);
		return ERR(E_OK);
	}
	(void)fwrite(b.p, 1, b.n - 1, stdout); /* without its closing brace */
	for (size_t i = 0; i < m->n_files; i++) {
		if (failed(e = file_json(&m->files[i], &b)))
			return e;
		(void)fputs(i == 0 ? ",\"files\":[" : ",", stdout);
		(void)fwrite(b.p, 1, b.n, stdout);
	}
	(void)fputs("]}\n", stdout);
	return ERR(E_OK);
}

static void model_text(const struct model_report *m)
{
	for (size_t i = 0; options.files && i < m->n_files; i++)
		(void)printf("%s  %12ju  %s\n", hex(m->files[i].sha256).s, (uintmax_t)m->files[i].size,
			     m->files[i].path);
	(void)printf("manifest  %s\noms_root  %s\nfiles     %zu\nbytes     %ju\n", hex(m->digests.manifest).s,
		     hex(m->digests.oms_root).s, m->n_files, (uintmax_t)m->n_bytes);
}

static int verb_model(void *ctx, int argc, char **argv)
{
	cleanup_model_report struct model_report m = { 0 };
	struct progress progress = { 0 };
	struct reason why = { "" };
	struct model_options o;
	char **pos;
	int n, status;
	struct err e;

	(void)ctx;
	status = verb_options(&program, &verbs[1], argc, argv, model_opts, array_len(model_opts), 1, 1, &pos, &n);
	if (status >= 0)
		return status;
	measure_options(&progress, &o);
	e = model_measure(pos[0], &o, &m, &why);
	progress_end(&progress);
	if (failed(e))
		return refused(e, &why);
	if (!options.json)
		model_text(&m);
	else if (failed(e = model_json(&m)))
		return refused(e, &why);
	return printed();
}

int main(int argc, char **argv)
{
	log_init(LOG_LEVEL_WARNING, false);
	return program_main(&program, NULL, argc, argv);
}
