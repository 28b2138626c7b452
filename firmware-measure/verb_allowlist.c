/* SPDX-License-Identifier: Apache-2.0 */
/* The verb "allowlist": digests out of lists, sums and folders into one file. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "firmware-measure/filehash.h"
#include "firmware-measure/ima_allowlist.h"
#include "firmware-measure/model.h"
#include "firmware-measure/verb_ima.h"

#define LINE_MAX_SUM (16 * KIB) /* a line of sha256sum(1), with its file's name escaped */

static struct {
	const char *out, *alg, *kind;
	bool big_endian;
	uint64_t jobs;
} options;

static const struct opt opts[] = {
	{ "out", OPT_STRING, &options.out, "FILE", "write the allowlist there (required)", 0 },
	{ "alg", OPT_STRING, &options.alg, "NAME", "algorithm of its digests (default sha256)", 0 },
	{ "kind", OPT_STRING, &options.kind, "file|verity", "over contents, or fs-verity's (default file)", 0 },
	{ "big-endian", OPT_FLAG, &options.big_endian, NULL, "IMA lists are of a big-endian machine", 0 },
	{ "jobs", OPT_U64, &options.jobs, "N", "threads for folders (default: one per processor)", 1024 },
};

struct work {
	struct ima_allowlist_builder builder;
	uint64_t n_read, n_skipped; /* digests and entries that were looked at; that are of another kind */
	const char *path;           /* being read */
};

static struct err add(struct work *w, struct bytes digest)
{
	w->n_read++;
	return ima_allowlist_add(&w->builder, digest);
}

/* Digests of files only: what the kernel put there itself is no file that anybody may run. */
static struct err take_entry(void *ctx, const struct ima_entry *ent, struct reason *reterr)
{
	struct work *w = ctx;
	struct digest d;
	struct err e;

	if (!ent->violation) {
		if (failed(e = digest_one(DIGEST_SHA1, ent->hashed, &d)))
			return e;
		if (!bytes_eq(digest_bytes(&d), ent->template_hash)) {
			reason_set(reterr,
				   "%s: entry %zu at offset %zu: the template hash is not that of the data (I2)",
				   log_quote(bytes_str(w->path)), (size_t)ent->index, (size_t)ent->off);
			return ERR(E_PEER_DIGEST);
		}
	}
	if (ent->violation || ent->state != IMA_ENTRY_DECODED || ent->digest.kind != w->builder.kind ||
	    ent->digest.alg != w->builder.alg || ima_entry_has(ent, IMA_FIELD_BUF) || ent->name.n == 0 ||
	    ent->name.p[0] != '/') {
		w->n_skipped++;
		return ERR(E_OK);
	}
	return add(w, ent->digest.value);
}

static size_t hex_size(const struct work *w)
{
	return 2 * digest_alg(w->builder.alg)->size;
}

/* A line of sha256sum(1) begins with the digest, behind a backslash where the file's name is escaped. */
static bool begins_with_sum(const struct work *w, struct bytes b)
{
	size_t n = 0;

	if (b.n > 0 && b.p[0] == '\\')
		b = BYTES(b.p + 1, b.n - 1);
	while (n < b.n && isxdigit(b.p[n]) != 0)
		n++;
	return n == hex_size(w);
}

static struct err take_line(struct work *w, struct bytes line, size_t number, struct reason *reterr)
{
	uint8_t d[DIGEST_MAX];
	struct bytes hex = line;
	size_t n = hex_size(w);

	if (line.n == 0)
		return ERR(E_OK);
	if (line.p[0] == '\\')
		hex = BYTES(line.p + 1, line.n - 1);
	if (hex.n < n || (hex.n > n && hex.p[n] != ' ') || failed(hex_decode_exact(BYTES(hex.p, n), d, n / 2))) {
		reason_set(reterr, "%s: line %zu: expected %zu hex digits and the name of a file",
			   log_quote(bytes_str(w->path)), number, n);
		return ERR(E_PEER_SYNTAX);
	}
	return add(w, BYTES(d, n / 2));
}

static struct err take_sums(struct work *w, struct ima_file *f, struct bytes part, struct reason *reterr)
{
	cleanup_buf struct buf line = BUF_INIT(LINE_MAX_SUM);
	size_t number = 1;
	struct err e = ERR(E_OK);

	while (part.n > 0) {
		const uint8_t *nl = memchr(part.p, '\n', part.n);
		size_t n = nl == NULL ? part.n : (size_t)(nl - part.p);

		if (failed(e = buf_add(&line, BYTES(part.p, n)))) {
			reason_set(reterr, "%s: line %zu is longer than %zu bytes", log_quote(bytes_str(w->path)),
				   number, LINE_MAX_SUM);
			return e;
		}
		if (nl != NULL) {
			if (failed(e = take_line(w, buf_bytes(&line), number++, reterr)) ||
			    failed(e = buf_truncate(&line, 0)))
				return e;
			n++;
		}
		part = BYTES(part.p + n, part.n - n);
		if (part.n == 0 && failed(e = ima_file_part(f, &part, reterr)))
			return e;
	}
	return take_line(w, buf_bytes(&line), number, reterr);
}

static struct err take_file(struct work *w, const char *path, struct reason *reterr)
{
	cleanup_ima_file struct ima_file f = { 0 };
	struct bytes first;
	struct err e;

	if (failed(e = ima_file_open(strcmp(path, "-") == 0 ? "/dev/stdin" : path, &f, reterr)) ||
	    failed(e = ima_file_part(&f, &first, reterr)))
		return e;
	if (begins_with_sum(w, first))
		return take_sums(w, &f, first, reterr);
	return ima_file_walk(&f, first, options.big_endian ? IMALOG_BIG_ENDIAN : IMALOG_LITTLE_ENDIAN, take_entry, w,
			     reterr);
}

/* The regular files below a folder. */
struct tree {
	struct hash_item *items;
	size_t n, cap;
};

static void tree_done(struct tree *t)
{
	for (size_t i = 0; i < t->n; i++)
		free((void *)(uintptr_t)t->items[i].path);
	free(t->items);
}

static struct err tree_add(struct tree *t, const char *path, const struct stat *st)
{
	struct hash_item *p;

	if (t->n == t->cap) {
		size_t cap = t->cap == 0 ? 1024 : 2 * t->cap;

		p = reallocarray(t->items, cap, sizeof(*p));
		if (p == NULL)
			return ERR(E_LOCAL_MEMORY);
		t->items = p;
		t->cap = cap;
	}
	p = &t->items[t->n];
	*p = (struct hash_item){ .path = strdup(path) };
	if (p->path == NULL)
		return ERR(E_LOCAL_MEMORY);
	file_id_of(st, &p->id);
	t->n++;
	return ERR(E_OK);
}

static void fts_free(FTS *f)
{
	(void)fts_close(f);
}
DEFINE_CLEANUP(FTS, cleanup_fts_, fts_free)

/* Links, sockets and the like are not measured by their path; what cannot be read is not left out in silence. */
static struct err tree_walk(struct tree *t, char *root, struct reason *reterr)
{
	char *const roots[] = { root, NULL };
	cleanup(cleanup_fts_) FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	size_t root_len = strlen(root);
	const FTSENT *f;
	struct err e;

	if (fts == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (errno = 0; (f = fts_read(fts)) != NULL; errno = 0) {
		const char *below = f->fts_path + root_len;

		if (f->fts_info == FTS_DNR || f->fts_info == FTS_ERR || f->fts_info == FTS_NS) {
			reason_set(reterr, "%s: %s", log_quote(bytes_str(f->fts_path)), strerrordesc_np(f->fts_errno));
			return ERR(f->fts_errno == EACCES ? E_LOCAL_PERMISSION : E_LOCAL_IO);
		}
		while (*below == '/')
			below++;
		if (f->fts_info == FTS_F && failed(e = tree_add(t, below, f->fts_statp)))
			return e;
	}
	return ERR(errno == 0 ? E_OK : E_LOCAL_IO);
}

static struct err take_folder(struct work *w, char *path, struct reason *reterr)
{
	const struct model_options o = { .jobs = (unsigned)options.jobs };
	cleanup(tree_done) struct tree t = { 0 };
	cleanup_fd int fd = -1;
	struct err e;

	if (w->builder.alg != DIGEST_SHA256 || w->builder.kind != IMA_DIGEST_FILE) {
		reason_set(reterr, "%s: folders give SHA-256 digests over contents only", log_quote(bytes_str(path)));
		return ERR(E_PEER_UNSUPPORTED);
	}
	if (failed(e = dir_open(AT_FDCWD, path, &fd)) || failed(e = tree_walk(&t, path, reterr)))
		return e;
	if (t.n > 0 && failed(e = filehash_run(fd, t.n, t.items, &o, reterr)))
		return e;
	for (size_t i = 0; i < t.n; i++)
		if (failed(e = add(w, BYTES(t.items[i].sha256, 32))))
			return e;
	return ERR(E_OK);
}

static struct err report(const struct work *w, size_t count)
{
	cleanup_json json_t *o = NULL;
	uint8_t sum[32];
	struct err e;

	if (failed(e = sha256(buf_bytes(&w->builder.file), sum)))
		return e;
	if (!common.json) {
		(void)printf("digests  %zu\nread     %zu\nskipped  %zu\nsha256   %s\n", count, (size_t)w->n_read,
			     (size_t)w->n_skipped, hex(sum).s);
		return e;
	}
	if (failed(e = json_new_object(&o)) || failed(e = json_put_int(o, "digests", (int64_t)count)) ||
	    failed(e = json_put_str(o, "algorithm", digest_alg(w->builder.alg)->name)) ||
	    failed(e = json_put_str(o, "kind", w->builder.kind == IMA_DIGEST_VERITY ? "verity" : "file")) ||
	    failed(e = json_put_int(o, "read", (int64_t)w->n_read)) ||
	    failed(e = json_put_int(o, "skipped", (int64_t)w->n_skipped)) ||
	    failed(e = json_put_hex(o, "sha256", BYTES_ARR(sum))))
		return e;
	return print_json(o);
}

static struct err build(struct work *w, int n, char **paths, struct reason *reterr)
{
	static char standard_input[] = "-";
	size_t count;
	struct err e;

	for (int i = 0; i < (n > 0 ? n : 1); i++) {
		char *path = n > 0 ? paths[i] : standard_input;
		struct stat st;

		w->path = path;
		e = stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? take_folder(w, path, reterr)
								: take_file(w, path, reterr);
		if (failed(e))
			return e;
	}
	if (failed(e = ima_allowlist_finish(&w->builder, &count))) {
		if (e.code == E_PEER_MISSING)
			reason_set(reterr, "no digest of this kind and algorithm in what was read");
		return e;
	}
	if (failed(e = file_write(AT_FDCWD, options.out, buf_bytes(&w->builder.file), 0644))) {
		reason_set(reterr, "%s: %s", log_quote(bytes_str(options.out)), err_text(e));
		return e;
	}
	return report(w, count);
}

int verb_allowlist(void *ctx, int argc, char **argv)
{
	enum ima_digest_kind kind = IMA_DIGEST_FILE;
	const struct digest_alg *alg;
	struct reason why = { "" };
	struct work w = { 0 };
	char **pos;
	int n, status;
	struct err e;

	(void)ctx;
	status = program_options(argc, argv, opts, array_len(opts), 0, INT32_MAX, &pos, &n);
	if (status >= 0)
		return status;
	if (options.out == NULL)
		return program_usage("allowlist needs --out FILE");
	alg = options.alg == NULL ? digest_alg(DIGEST_SHA256) : digest_by_name(bytes_str(options.alg));
	if (alg == NULL)
		return program_usage("no algorithm %s, expected sha1, sha256, sha384, sha512 or sm3_256",
				     log_quote(bytes_str(options.alg)));
	if (options.kind != NULL && strcmp(options.kind, "verity") == 0)
		kind = IMA_DIGEST_VERITY;
	else if (options.kind != NULL && strcmp(options.kind, "file") != 0)
		return program_usage("no kind %s, expected file or verity", log_quote(bytes_str(options.kind)));
	e = ima_allowlist_begin(&w.builder, alg->id, kind);
	if (!failed(e))
		e = build(&w, n, pos, &why);
	ima_allowlist_builder_done(&w.builder);
	return failed(e) ? refused(e, &why) : printed();
}
