/* SPDX-License-Identifier: Apache-2.0 */
/* The verb "image". */
#include "firmware-measure/oci.h"
#include "firmware-measure/program.h"
#include "firmware-measure/progress.h"

static struct {
	const char *select;
	uint64_t jobs;
} options;

static const struct opt opts[] = {
	{ "select", OPT_STRING, &options.select, "TAG|DIGEST", "which image of the layout (default: the only one)", 0 },
	{ "jobs", OPT_U64, &options.jobs, "N", "threads (default: one per processor)", PROGRESS_MAX_JOBS },
};

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
	cleanup_json json_t *o = NULL;
	struct err e;

	if (failed(e = json_new_object(&o)) ||
	    failed(e = json_put_hex(o, "manifest", BYTES_ARR(r->digests.manifest))) ||
	    failed(e = json_put_hex(o, "config", BYTES_ARR(r->digests.config))) || failed(e = put_layers(r, o)) ||
	    failed(e = json_put_int(o, "bytes", (int64_t)r->n_bytes)) || failed(e = json_put_str(o, "tag", r->tag)))
		return e;
	return print_json(o);
}

static void image_text(const struct image_report *r)
{
	(void)printf("manifest  %s\nconfig    %s\n", hex(r->digests.manifest).s, hex(r->digests.config).s);
	for (size_t i = 0; i < r->n_layers; i++)
		(void)printf("layer     %s\n", hex(r->layer[i]).s);
	(void)printf("bytes     %ju\n", (uintmax_t)r->n_bytes);
}

int verb_image(void *ctx, int argc, char **argv)
{
	cleanup_free struct image_report *r = calloc(1, sizeof(*r));
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
	if (r == NULL)
		return refused(ERR(E_LOCAL_MEMORY), &why);
	progress_begin(&progress, options.jobs, &o);
	e = oci_measure_with(pos[0], options.select, &o, r, &why);
	progress_end(&progress);
	if (failed(e))
		return refused(e, &why);
	if (!common.json)
		image_text(r);
	else if (failed(e = image_json(r)))
		return refused(e, &why);
	return printed();
}
