/* SPDX-License-Identifier: Apache-2.0 */
/* The verb "image". */
#include "firmware-measure/oci.h"
#include "firmware-measure/program.h"
#include "firmware-measure/progress.h"

static struct {
	const char *select;
	uint64_t jobs;
	bool blobs_only;
	struct root_options root;
} options;

static const struct opt opts[] = {
	{ "select", OPT_STRING, &options.select, "TAG|DIGEST", "which image of the layout (the only one); @OS/ARCH may follow", 0 },
	{ "blobs-only", OPT_FLAG, &options.blobs_only, NULL, "look at the blobs, not at what the layers hold", 0 },
	{ "allow-devices", OPT_FLAG, &options.root.allow_devices, NULL, "accept devices and FIFOs in the layers", 0 },
	{ "ignore-owner", OPT_FLAG, &options.root.ignore_owner, NULL, "digest of the root without owners", 0 },
	{ "jobs", OPT_U64, &options.jobs, "N", "threads (default: one per processor)", PROGRESS_MAX_JOBS },
};

static struct err put_digests(json_t *o, const char *key, size_t n, const uint8_t (*digest)[32])
{
	json_t *list = json_array();

	if (list == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < n; i++) {
		if (json_array_append_new(list, json_string(hex(digest[i]).s)) != 0) {
			json_decref(list);
			return ERR(E_LOCAL_MEMORY);
		}
	}
	return json_put(o, key, list);
}

static struct err put_root(const struct image_report *r, json_t *o)
{
	struct err e;

	if (failed(e = put_digests(o, "diff_ids", r->n_layers, r->diff_id)) ||
	    failed(e = json_put_hex(o, "chain", r->n_layers > 0 ? BYTES_ARR(r->chain) : BYTES_NONE)) ||
	    failed(e = json_put_hex(o, options.root.ignore_owner ? "rootfs_without_owners" : "rootfs",
				    BYTES_ARR(r->rootfs))) ||
	    failed(e = json_put_int(o, "entries", (int64_t)r->n_entries)))
		return e;
	return json_put_int(o, "uncompressed_bytes", (int64_t)r->n_root_bytes);
}

static struct err image_json(const struct image_report *r)
{
	cleanup_json json_t *o = NULL;
	struct err e;

	if (failed(e = json_new_object(&o)) ||
	    failed(e = json_put_hex(o, "manifest", BYTES_ARR(r->digests.manifest))) ||
	    failed(e = json_put_hex(o, "config", BYTES_ARR(r->digests.config))) ||
	    failed(e = put_digests(o, "layers", r->n_layers, r->layer)) ||
	    failed(e = json_put_int(o, "bytes", (int64_t)r->n_bytes)) || failed(e = json_put_str(o, "tag", r->tag)) ||
	    (!options.blobs_only && failed(e = put_root(r, o))))
		return e;
	return print_json(o);
}

static void image_text(const struct image_report *r)
{
	(void)printf("manifest  %s\nconfig    %s\n", hex(r->digests.manifest).s, hex(r->digests.config).s);
	for (size_t i = 0; i < r->n_layers; i++) {
		(void)printf("layer     %s\n", hex(r->layer[i]).s);
		if (!options.blobs_only)
			(void)printf("diff_id   %s\n", hex(r->diff_id[i]).s);
	}
	if (!options.blobs_only) {
		if (r->n_layers > 0)
			(void)printf("chain     %s\n", hex(r->chain).s);
		(void)printf("rootfs    %s\n", hex(r->rootfs).s);
		(void)printf("entries   %zu\n", r->n_entries);
	}
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
	if (options.blobs_only && (options.root.allow_devices || options.root.ignore_owner))
		return program_usage("image: --blobs-only does not go with --allow-devices and --ignore-owner");
	if (r == NULL)
		return refused(ERR(E_LOCAL_MEMORY), &why);
	progress_begin(&progress, options.jobs, &o);
	options.root.run = &o;
	e = options.blobs_only ? oci_measure_with(pos[0], options.select, &o, r, &why) :
				 oci_measure_root(pos[0], options.select, &options.root, r, &why);
	progress_end(&progress);
	if (failed(e))
		return refused(e, &why);
	if (!common.json)
		image_text(r);
	else if (failed(e = image_json(r)))
		return refused(e, &why);
	return printed();
}
