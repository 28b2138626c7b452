/* SPDX-License-Identifier: Apache-2.0 */
/* The verb "rootfs". */
#include <string.h>

#include "base/text.h"
#include "firmware-measure/program.h"
#include "firmware-measure/progress.h"
#include "firmware-measure/tree_walk.h"

static struct {
	const char *expect;
	uint64_t jobs;
	bool allow_devices, ignore_owner;
} options;

static const struct opt opts[] = {
	{ "expect", OPT_STRING, &options.expect, "HEX", "the digest that it must have", 0 },
	{ "allow-devices", OPT_FLAG, &options.allow_devices, NULL, "accept devices and FIFOs", 0 },
	{ "ignore-owner", OPT_FLAG, &options.ignore_owner, NULL, "digest without owners", 0 },
	{ "jobs", OPT_U64, &options.jobs, "N", "threads (default: one per processor)", PROGRESS_MAX_JOBS },
};

struct rootfs_report {
	uint8_t digest[32];
	size_t n_entries;
	uint64_t n_bytes;
};

static struct err rootfs_measure(const char *path, const struct model_options *o, struct rootfs_report *ret,
				 struct reason *reterr)
{
	struct pile_budget budget = { LIMIT_TREE_ENTRIES, LIMIT_TREE_BYTES };
	cleanup_tree struct tree tree = { .pile = { .budget = &budget } };
	struct err e;

	if (failed(e = tree_walk(path, options.allow_devices, o, &tree, &ret->n_bytes, reterr)))
		return e;
	ret->n_entries = tree.n;
	return tree_digest(&tree, options.ignore_owner, ret->digest);
}

static struct err rootfs_json(const struct rootfs_report *r)
{
	cleanup_json json_t *o = NULL;
	struct err e;

	if (failed(e = json_new_object(&o)) ||
	    failed(e = json_put_hex(o, options.ignore_owner ? "rootfs_without_owners" : "rootfs",
				    BYTES_ARR(r->digest))) ||
	    failed(e = json_put_int(o, "entries", (int64_t)r->n_entries)) ||
	    failed(e = json_put_int(o, "bytes", (int64_t)r->n_bytes)))
		return e;
	return print_json(o);
}

int verb_rootfs(void *ctx, int argc, char **argv)
{
	struct rootfs_report r = { 0 };
	struct progress progress = { 0 };
	struct reason why = { "" };
	struct model_options o;
	uint8_t want[32];
	char **pos;
	int n, status;
	struct err e;

	(void)ctx;
	status = program_options(argc, argv, opts, array_len(opts), 1, 1, &pos, &n);
	if (status >= 0)
		return status;
	if (options.expect != NULL && failed(hex_decode_exact(bytes_str(options.expect), want, sizeof(want))))
		return program_usage("rootfs: --expect takes 64 hex digits");
	progress_begin(&progress, options.jobs, &o);
	e = rootfs_measure(pos[0], &o, &r, &why);
	progress_end(&progress);
	if (failed(e))
		return refused(e, &why);
	if (options.expect != NULL && !bytes_eq(BYTES_ARR(want), BYTES_ARR(r.digest))) {
		reason_set(&why, "the root has the digest %s, expected %s", hex(r.digest).s, hex(want).s);
		return refused(ERR(E_PEER_DIGEST), &why);
	}
	if (common.json && failed(e = rootfs_json(&r)))
		return refused(e, &why);
	if (!common.json)
		(void)printf("rootfs    %s\nentries   %zu\nbytes     %ju\n", hex(r.digest).s, r.n_entries,
			     (uintmax_t)r.n_bytes);
	return printed();
}
