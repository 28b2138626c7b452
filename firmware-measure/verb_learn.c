/* SPDX-License-Identifier: Apache-2.0 */
/* The verb "learn". */
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "firmware-measure/learn.h"
#include "firmware-measure/program.h"

#define LIMIT_LIST (128 * MIB)
#define LIMIT_MEASURER (64 * MIB)

static struct learn_options {
	struct opt_list ima, lines, userspace;
	const char *bank, *accept, *measurer;
} options = { .bank = "sha256" };

static const struct opt opts[] = {
	{ "ima", OPT_LIST, &options.ima, "LIST", "an IMA list of such a host; may repeat", 0 },
	{ "userspace", OPT_LIST, &options.userspace, "FILE",
	  "systemd's log of such a host (tpm2-measure.log); may repeat", 0 },
	{ "command-line", OPT_LIST, &options.lines, "TEXT",
	  "a kernel command line, for logs that hold its digest only (UKI); may repeat", 0 },
	{ "measurer", OPT_STRING, &options.measurer, "FILE",
	  "assay-attest as these hosts have it, which the lists must show", 0 },
	{ "bank", OPT_STRING, &options.bank, "BANK", "that hosts will quote (sha256)", 0 },
	{ "accept", OPT_STRING, &options.accept, "E3,...", "findings that are no reason to refuse a log", 0 },
};

/* "E3,E11" as bits. */
static bool parse_accept(const char *s, uint32_t *ret)
{
	uint32_t mask = 0;

	while (s != NULL && *s != '\0') {
		size_t n = strcspn(s, ",");
		char number[4] = "";
		uint64_t id;

		if (n < 2 || n > 3 || *s != 'E')
			return false;
		(void)snprintf(number, sizeof(number), "%.*s", (int)n - 1, s + 1);
		if (failed(parse_u64(number, 12, &id)) || id == 0)
			return false;
		mask |= 1u << id;
		s += n;
		if (*s == ',' && *++s == '\0')
			return false;
	}
	*ret = mask;
	return true;
}

static struct err read_named(const char *path, struct buf *ret, struct reason *why)
{
	struct err e = file_read(AT_FDCWD, path, ret);

	if (failed(e))
		reason_set(why, "%s", err_text(e));
	return e;
}

static struct err learn_logs(struct learn_firmware *l, char **paths, int n, const char **ret_path, struct reason *why)
{
	struct err e;

	for (int i = 0; i < n; i++) {
		cleanup_buf struct buf raw = BUF_INIT(LIMIT_EVLOG);

		*ret_path = paths[i];
		if (failed(e = read_named(paths[i], &raw, why)) ||
		    failed(e = learn_firmware_log(l, buf_bytes(&raw), why)))
			return e;
	}
	return ERR(E_OK);
}

static struct err learn_userspace(struct learn_firmware *l, const char **ret_path, struct reason *why)
{
	struct err e;

	for (size_t i = 0; i < options.userspace.n; i++) {
		cleanup_buf struct buf raw = BUF_INIT(LIMIT_EVLOG);

		*ret_path = options.userspace.v[i];
		if (failed(e = read_named(options.userspace.v[i], &raw, why)) ||
		    failed(e = learn_firmware_userspace(l, buf_bytes(&raw), why)))
			return e;
	}
	return ERR(E_OK);
}

static struct err learn_lists(struct learn_ima *l, const char **ret_path, struct reason *why)
{
	struct err e;

	for (size_t i = 0; i < options.ima.n; i++) {
		cleanup_buf struct buf raw = BUF_INIT(LIMIT_LIST);

		*ret_path = options.ima.v[i];
		if (failed(e = read_named(options.ima.v[i], &raw, why)) ||
		    failed(e = learn_ima_list(l, buf_bytes(&raw), why)))
			return e;
	}
	return ERR(E_OK);
}

/* Who measures: the file whose digest the lists of these hosts have to show. */
static struct err put_measurer(const struct learn_ima *m, json_t *o, struct reason *why)
{
	cleanup_buf struct buf file = BUF_INIT(LIMIT_MEASURER);
	uint8_t sum[32];
	char key[80];
	json_t *rule;
	struct err e;

	if (failed(e = file_read(AT_FDCWD, options.measurer, &file))) {
		reason_set(why, "%s: %s", log_quote(bytes_str(options.measurer)), err_text(e));
		return e;
	}
	if (failed(e = sha256(buf_bytes(&file), sum)))
		return e;
	(void)snprintf(key, sizeof(key), "sha256:%s", hex(sum).s);
	if (json_object_get(m->digests, key) == NULL) {
		reason_set(why, "%s: the lists do not show its digest %s, so it did not measure on these hosts",
			   log_quote(bytes_str(options.measurer)), hex(sum).s);
		return ERR(E_AUTH_REFUSED);
	}
	rule = json_pack("{s:[s]}", "ima", hex(sum).s);
	return json_put(o, "measurer", rule);
}

static struct err print_profile(const struct learn_firmware *f, const struct learn_ima *m, struct reason *why)
{
	cleanup_json json_t *o = NULL, *firmware = NULL, *ima = NULL;
	cleanup_buf struct buf text = BUF_INIT(16 * MIB);
	struct err e;

	if (failed(e = json_new_object(&o)) || failed(e = json_put_str(o, "bank", digest_alg(f->bank)->name)) ||
	    failed(e = learn_firmware_profile(f, &firmware, why)) ||
	    failed(e = json_put(o, "firmware", take_ptr(&firmware))))
		return e;
	if (options.ima.n > 0 &&
	    (failed(e = learn_ima_profile(m, &ima, why)) || failed(e = json_put(o, "ima", take_ptr(&ima)))))
		return e;
	if (options.measurer != NULL && failed(e = put_measurer(m, o, why)))
		return e;
	if (common.json)
		return print_json(o);
	if (failed(e = json_write_pretty(o, &text)))
		return e;
	(void)fwrite(text.p, 1, text.n, stdout);
	return ERR(E_OK);
}

/* What an operator should look at before he signs. */
static void notes(const struct learn_firmware *f, const struct learn_ima *m)
{
	if (f->n_on != f->n_logs && f->n_off != f->n_logs)
		(void)fprintf(stderr, "note: Secure Boot is on in %zu of %zu logs, so secure_boot is \"any\"\n",
			      f->n_on, f->n_logs);
	if (m->n_violations > 0)
		(void)fprintf(stderr, "note: the lists hold %llu violations, so ima.violations is \"count\"\n",
			      (unsigned long long)m->n_violations);
	if (f->exit_missing)
		(void)fprintf(stderr, "note: a log lacks the events of ExitBootServices, so they may be missing\n");
}

static int learn(enum digest_id bank, uint32_t accepted, char **paths, int n)
{
	cleanup_learn_firmware struct learn_firmware f = { 0 };
	cleanup_learn_ima struct learn_ima m = { 0 };
	struct reason why = { "" }, named;
	const char *path = "";
	struct err e;

	if (failed(e = learn_firmware_init(&f, bank, accepted)) || failed(e = learn_ima_init(&m)) ||
	    failed(e = learn_firmware_lines(&f, options.lines.n, options.lines.v)) ||
	    failed(e = learn_logs(&f, paths, n, &path, &why)) || failed(e = learn_userspace(&f, &path, &why)) ||
	    failed(e = learn_lists(&m, &path, &why))) {
		reason_set(&named, "%s: %s", log_quote(bytes_str(path)), why.text[0] != '\0' ? why.text : err_text(e));
		return refused(e, &named);
	}
	if (failed(e = print_profile(&f, &m, &why)))
		return refused(e, &why);
	notes(&f, &m);
	return printed();
}

int verb_learn(void *ctx, int argc, char **argv)
{
	const struct digest_alg *alg;
	uint32_t accepted;
	char **pos;
	int n, status;

	(void)ctx;
	status = program_options(argc, argv, opts, array_len(opts), 1, OPT_LIST_MAX, &pos, &n);
	if (status >= 0)
		return status;
	alg = digest_by_name(bytes_str(options.bank));
	if (alg == NULL || (alg->id != DIGEST_SHA256 && alg->id != DIGEST_SHA384 && alg->id != DIGEST_SHA512))
		return program_usage("no bank %s for a profile, expected sha256, sha384 or sha512",
				     log_quote(bytes_str(options.bank)));
	if (!parse_accept(options.accept, &accepted))
		return program_usage("--accept takes ids of findings, for example E3,E11");
	if (options.measurer != NULL && options.ima.n == 0)
		return program_usage("--measurer needs --ima LIST, which shows that it measured there");
	return learn(alg->id, accepted, pos, n);
}
