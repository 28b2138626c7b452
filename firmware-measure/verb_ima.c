/* SPDX-License-Identifier: Apache-2.0 */
/* The verb "ima": what a measurement list holds and what it makes of its register. */
#include "firmware-measure/verb_ima.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "firmware-measure/ima_replay.h"

#define MAX_SHOWN 4096 /* findings and indexes; all are counted */
#define MAX_TEMPLATES 64

static struct {
	bool big_endian;
	uint64_t pcr;
} options;

static const struct opt opts[] = {
	{ "big-endian", OPT_FLAG, &options.big_endian, NULL, "a list of a big-endian machine", 0 },
	{ "pcr", OPT_U64, &options.pcr, "N", "register of the list (default 10)", LIMIT_PCRS - 1 },
};

struct template_count {
	char name[IMA_TEMPLATE_NAME_MAX + 1];
	uint64_t n;
};

struct report {
	enum imalog_form form;
	uint64_t n_entries, n_bad, n_violations, n_findings, n_extended, n_other_templates;
	size_t n_templates, n_shown_bad;
	struct template_count templates[MAX_TEMPLATES];
	uint64_t bad[MAX_SHOWN];
	struct ima_replay replay;
	json_t *findings;
	uint64_t off;      /* of what could not be read */
	json_t *aggregate; /* digest of the first entry, or NULL */
};

struct err ima_file_open(const char *path, struct ima_file *f, struct reason *reterr)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int why = errno;

	if (fd < 0) {
		reason_set(reterr, "%s: %s", log_quote(bytes_str(path)), strerrordesc_np(why));
		return ERR(why == ENOENT ? E_LOCAL_NOT_FOUND : why == EACCES ? E_LOCAL_PERMISSION : E_LOCAL_IO);
	}
	*f = (struct ima_file){ .path = path, .fd = fd };
	buf_init(&f->part, IMA_PART);
	return buf_reserve(&f->part, IMA_PART);
}

void ima_file_done(struct ima_file *f)
{
	buf_free(&f->part);
	if (f->path != NULL)
		(void)close(f->fd);
	f->path = NULL;
}

/* securityfs gives short reads and says that the file is empty: only a read of nothing is the end. */
struct err ima_file_part(struct ima_file *f, struct bytes *ret, struct reason *reterr)
{
	ssize_t n;

	do
		n = read(f->fd, f->part.p, IMA_PART);
	while (n < 0 && errno == EINTR);
	if (n < 0) {
		reason_set(reterr, "%s: %s", log_quote(bytes_str(f->path)), strerrordesc_np(errno));
		return ERR(E_LOCAL_IO);
	}
	*ret = BYTES(f->part.p, (size_t)n);
	return ERR(E_OK);
}

/* Each entry to fn. E_PEER_TRUNCATED for a file of no bytes: no list that a kernel keeps is empty. */
struct err ima_file_walk(struct ima_file *f, struct bytes first, enum imalog_order order,
			 struct err (*fn)(void *ctx, const struct ima_entry *ent, struct reason *reterr), void *ctx,
			 struct reason *reterr)
{
	cleanup_imalog struct imalog l = { 0 };
	struct bytes part = first;
	struct ima_entry ent;
	struct err e;
	bool more;

	imalog_init(&l, imalog_form_of(first), order);
	while (part.n > 0) {
		if (failed(e = imalog_feed(&l, part)))
			return e;
		for (;;) {
			struct reason why = { "" };

			e = imalog_next(&l, &ent, &more, &why);
			f->off = l.off;
			if (failed(e)) {
				reason_set(reterr, "%s: entry %zu at offset %zu: %s", log_quote(bytes_str(f->path)),
					   (size_t)l.n_entries, (size_t)l.off,
					   why.text[0] != '\0' ? why.text : err_text(e));
				return e;
			}
			if (more)
				break;
			if (failed(e = fn(ctx, &ent, reterr)))
				return e;
		}
		if (failed(e = ima_file_part(f, &part, reterr)))
			return e;
	}
	e = l.n_entries == 0 && first.n == 0 ? ERR(E_PEER_TRUNCATED) : imalog_end(&l);
	if (failed(e))
		reason_set(reterr, "%s: entry %zu at offset %zu: %s", log_quote(bytes_str(f->path)),
			   (size_t)l.n_entries, (size_t)l.off,
			   first.n == 0 ? "the file is empty" : "the list ends within it");
	return e;
}

static struct err finding(struct report *r, const char *id, const struct ima_entry *ent, const char *text)
{
	cleanup_json json_t *o = NULL;
	struct err e;

	if (r->n_findings++ >= MAX_SHOWN)
		return ERR(E_OK);
	if (failed(e = json_new_object(&o)) || failed(e = json_put_str(o, "id", id)) ||
	    failed(e = json_put_int(o, "entry", (int64_t)ent->index)) || failed(e = json_put_str(o, "text", text)))
		return e;
	return ERR(json_array_append(r->findings, o) == 0 ? E_OK : E_LOCAL_MEMORY);
}

static void count_template(struct report *r, struct bytes name)
{
	for (size_t i = 0; i < r->n_templates; i++)
		if (bytes_eq(bytes_str(r->templates[i].name), name)) {
			r->templates[i].n++;
			return;
		}
	if (r->n_templates == MAX_TEMPLATES || name.n > IMA_TEMPLATE_NAME_MAX) {
		r->n_other_templates++;
		return;
	}
	memcpy(r->templates[r->n_templates].name, name.p, name.n);
	r->templates[r->n_templates++].n = 1;
}

static bool is_aggregate(const struct ima_entry *ent)
{
	return ent->state == IMA_ENTRY_DECODED && bytes_eq(ent->name, BYTES_LIT("boot_aggregate"));
}

static struct err judge_aggregate(struct report *r, const struct ima_entry *ent)
{
	cleanup_json json_t *o = NULL;
	struct err e;

	if (!is_aggregate(ent) && ent->index == 0)
		return finding(r, "I9", ent, "the first entry is not boot_aggregate");
	if (!is_aggregate(ent))
		return ERR(E_OK);
	if (ent->index > 0)
		return finding(r, "I9", ent,
			       "boot_aggregate again: the list went on through kexec, or was put together");
	if (failed(e = json_new_object(&o)) || failed(e = json_put_text(o, "alg", ent->digest.alg_name)) ||
	    failed(e = json_put_hex(o, "digest", ent->digest.value)))
		return e;
	r->aggregate = json_incref(o);
	return e;
}

static struct err judge_entry(struct report *r, const struct ima_entry *ent, unsigned odd)
{
	struct reason text = { "" };
	struct err e;

	if ((odd & IMA_ODD_VIOLATION) != 0) {
		reason_set(&text, "a violation: %s was open for writing while it was measured, or the reverse",
			   log_quote(ent->name));
		if (failed(e = finding(r, "I1", ent, text.text)))
			return e;
	}
	if ((odd & IMA_ODD_HASH) != 0) {
		if (r->n_shown_bad < MAX_SHOWN)
			r->bad[r->n_shown_bad++] = ent->index;
		r->n_bad++;
		if (failed(e = finding(r, "I2", ent, "the template hash is not that of the template data")))
			return e;
	}
	if (ent->state != IMA_ENTRY_DECODED) {
		reason_set(&text,
			   ent->state == IMA_ENTRY_UNKNOWN ? "the template %s is not known"
							   : "the data do not fit the template %s",
			   log_quote(ent->template_name));
		if (failed(e = finding(r, "I2", ent, text.text)))
			return e;
	}
	if ((odd & IMA_ODD_PCR) != 0) {
		reason_set(&text, "expected PCR %u, seen %u: not replayed", r->replay.pcr, ent->pcr);
		if (failed(e = finding(r, "I8", ent, text.text)))
			return e;
	}
	return judge_aggregate(r, ent);
}

static struct err take_entry(void *ctx, const struct ima_entry *ent, struct reason *reterr)
{
	struct report *r = ctx;
	unsigned odd;
	struct err e;

	(void)reterr;
	if (failed(e = ima_replay_entry(&r->replay, ent, &odd)))
		return e;
	r->n_entries++;
	r->n_violations += ent->violation;
	r->n_extended += (odd & IMA_ODD_PCR) == 0;
	count_template(r, ent->template_name);
	return judge_entry(r, ent, odd);
}

/* The banks that this cryptographic library can compute; SM3 is not everywhere. */
static struct err replay_begin(struct report *r)
{
	unsigned banks = 0;
	struct digest d;
	struct err e;

	for (unsigned id = 0; id < N_DIGESTS; id++) {
		e = digest_one((enum digest_id)id, BYTES_NONE, &d);
		if (failed(e) && e.code != E_PEER_UNSUPPORTED)
			return e;
		if (!failed(e))
			banks |= 1u << id;
	}
	return ima_replay_init(&r->replay, (uint32_t)options.pcr, banks, NULL);
}

static struct err put_banks(const struct report *r, enum ima_fit fit, const char *suffix, json_t *o)
{
	cleanup_json json_t *banks = NULL;
	char key[32];
	struct err e;

	(void)snprintf(key, sizeof(key), "pcr%u%s", r->replay.pcr, suffix);
	if (failed(e = json_new_object(&banks)))
		return e;
	for (unsigned id = 0; id < N_DIGESTS && r->n_extended > 0; id++) {
		const struct digest *d = ima_replay_value(&r->replay, (enum digest_id)id, fit);

		if (d != NULL && failed(e = json_put_hex(banks, digest_alg((enum digest_id)id)->name, digest_bytes(d))))
			return e;
	}
	return json_put(o, key, json_incref(banks));
}

static struct err put_templates(const struct report *r, json_t *o)
{
	cleanup_json json_t *t = NULL;
	struct err e;

	if (failed(e = json_new_object(&t)))
		return e;
	for (size_t i = 0; i < r->n_templates; i++)
		if (failed(e = json_put_int(t, r->templates[i].name, (int64_t)r->templates[i].n)))
			return e;
	if (failed(e = json_put(o, "templates", json_incref(t))))
		return e;
	return json_put_int(o, "other_templates", (int64_t)r->n_other_templates);
}

static struct err put_bad(const struct report *r, json_t *o)
{
	cleanup_json json_t *bad = json_array();
	struct err e;

	for (size_t i = 0; i < r->n_shown_bad; i++)
		if (json_array_append_new(bad, json_integer((json_int_t)r->bad[i])) != 0)
			return ERR(E_LOCAL_MEMORY);
	if (failed(e = json_put(o, "bad", json_incref(bad))))
		return e;
	return json_put_int(o, "n_bad", (int64_t)r->n_bad);
}

static struct err report_json(const struct report *r)
{
	cleanup_json json_t *o = NULL;
	struct err e;

	if (failed(e = json_new_object(&o)) || failed(e = json_put_int(o, "entries", (int64_t)r->n_entries)) ||
	    failed(e = json_put_str(o, "format", r->form == IMALOG_ASCII ? "ascii" : "binary")) ||
	    failed(e = put_templates(r, o)) || failed(e = json_put_int(o, "violations", (int64_t)r->n_violations)) ||
	    failed(e = put_bad(r, o)) || failed(e = put_banks(r, IMA_FIT_NATIVE, "", o)) ||
	    failed(e = put_banks(r, IMA_FIT_PADDED_FULL, "_padded", o)) ||
	    failed(e = put_banks(r, IMA_FIT_PADDED_SHORT, "_padded_short", o)) ||
	    failed(e = json_put(o, "boot_aggregate", r->aggregate != NULL ? json_incref(r->aggregate) : json_null())) ||
	    failed(e = json_put(o, "findings", json_incref(r->findings))) ||
	    failed(e = json_put_int(o, "n_findings", (int64_t)r->n_findings)))
		return e;
	return print_json(o);
}

static struct err report_text(const struct report *r)
{
	char hex[2 * DIGEST_MAX + 1];
	const json_t *f;
	size_t i;
	struct err e;

	(void)printf("format       %s\nentries      %zu\nviolations   %zu\nbad          %zu\n",
		     r->form == IMALOG_ASCII ? "ASCII" : "binary", (size_t)r->n_entries, (size_t)r->n_violations,
		     (size_t)r->n_bad);
	for (i = 0; i < r->n_templates; i++)
		(void)printf("template     %s  %zu\n", r->templates[i].name, (size_t)r->templates[i].n);
	for (unsigned id = 0; id < N_DIGESTS && r->n_extended > 0; id++) {
		const struct digest *d = ima_replay_value(&r->replay, (enum digest_id)id, IMA_FIT_NATIVE);

		if (d == NULL)
			continue;
		if (failed(e = hex_encode(digest_bytes(d), hex, sizeof(hex))))
			return e;
		(void)printf("%s:%u  %s\n", digest_alg((enum digest_id)id)->name, r->replay.pcr, hex);
	}
	json_array_foreach(r->findings, i, f)(void)
		printf("finding %s   entry %lld: %s\n", json_string_value(json_object_get(f, "id")),
		       (long long)json_integer_value(json_object_get(f, "entry")),
		       json_string_value(json_object_get(f, "text")));
	if (r->n_findings > MAX_SHOWN)
		(void)printf("and %zu findings more\n", (size_t)r->n_findings - MAX_SHOWN);
	return ERR(E_OK);
}

static struct err measure(const char *path, struct report *r, struct reason *why)
{
	cleanup_ima_file struct ima_file f = { 0 };
	struct bytes first;
	struct err e;

	r->findings = json_array();
	if (r->findings == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = replay_begin(r)) || failed(e = ima_file_open(path, &f, why)) ||
	    failed(e = ima_file_part(&f, &first, why)))
		return e;
	r->form = imalog_form_of(first);
	e = ima_file_walk(&f, first, options.big_endian ? IMALOG_BIG_ENDIAN : IMALOG_LITTLE_ENDIAN, take_entry, r, why);
	r->off = f.off;
	if (failed(e))
		return e;
	return common.json ? report_json(r) : report_text(r);
}

/* What could not be read, as the object that a script waits for. */
static struct err fault_json(struct err e, const struct report *r, const struct reason *why)
{
	cleanup_json json_t *o = NULL;
	struct err f;

	if (failed(f = json_new_object(&o)) || failed(f = json_put_str(o, "error", err_name(e))) ||
	    failed(f = json_put_int(o, "offset", (int64_t)r->off)) || failed(f = json_put_str(o, "text", why->text)))
		return f;
	return print_json(o);
}

int verb_ima(void *ctx, int argc, char **argv)
{
	cleanup_free struct report *r = NULL;
	struct reason why = { "" };
	char **pos;
	int n, status;
	struct err e;

	(void)ctx;
	options.pcr = IMA_PCR;
	status = program_options(argc, argv, opts, array_len(opts), 1, 1, &pos, &n);
	if (status >= 0)
		return status;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return refused(ERR(E_LOCAL_MEMORY), &why);
	e = measure(pos[0], r, &why);
	if (failed(e) && common.json && failed(fault_json(e, r, &why)))
		e = ERR(E_LOCAL_MEMORY);
	json_decref(r->findings);
	json_decref(r->aggregate);
	if (!failed(e))
		return printed();
	(void)fflush(stdout);
	return refused(e, &why);
}
