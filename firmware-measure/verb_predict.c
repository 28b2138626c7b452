/* SPDX-License-Identifier: Apache-2.0 */
/* The verb "predict": what reads files and prints; the predictions are in uki.c, grub.c and predict_base.c. */
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "firmware-measure/grub.h"
#include "firmware-measure/predict_profile.h"
#include "firmware-measure/program.h"
#include "firmware-measure/uki.h"

#define MAX_FILES 256

static struct {
	const char *base, *profile, *secure_boot, *load_options, *phase;
	struct opt_list bank, credential, global_credential, sysext, initrd;
	const char *shim, *grub, *kernel, *cmdline, *config, *kernel_path, *initrd_path;
} options;

static const struct opt opts[] = {
	{ "base", OPT_STRING, &options.base, "LOG", "event log of an earlier boot of the same machine", 0 },
	{ "profile", OPT_STRING, &options.profile, "FILE", "print this platform profile with the boot approved in it",
	  0 },
	{ "bank", OPT_LIST, &options.bank, "NAME", "sha1, sha256, sha384, sha512 (default: sha256, or those of LOG)",
	  0 },
	{ "secure-boot", OPT_STRING, &options.secure_boot, "on|off", "uki: state of Secure Boot", 0 },
	{ "options", OPT_STRING, &options.load_options, "TEXT", "uki: command line that the boot entry gives", 0 },
	{ "phase", OPT_STRING, &options.phase, "WORDS", "uki: boot phases too, enter-initrd:leave-initrd", 0 },
	{ "credential", OPT_LIST, &options.credential, "FILE", "uki: credential beside the image", 0 },
	{ "global-credential", OPT_LIST, &options.global_credential, "FILE", "uki: credential for all images", 0 },
	{ "sysext", OPT_LIST, &options.sysext, "FILE", "uki: system extension beside the image", 0 },
	{ "shim", OPT_STRING, &options.shim, "FILE", "grub: shim, where the firmware starts it", 0 },
	{ "grub", OPT_STRING, &options.grub, "FILE", "grub: GRUB", 0 },
	{ "kernel", OPT_STRING, &options.kernel, "FILE", "grub: kernel", 0 },
	{ "initrd", OPT_LIST, &options.initrd, "FILE", "grub: initrd", 0 },
	{ "cmdline", OPT_STRING, &options.cmdline, "TEXT", "grub: kernel command line behind the kernel's path", 0 },
	{ "config", OPT_STRING, &options.config, "FILE", "grub: grub.cfg", 0 },
	{ "kernel-path", OPT_STRING, &options.kernel_path, "PATH", "grub: kernel as GRUB names it (default: as in LOG)",
	  0 },
	{ "initrd-path", OPT_STRING, &options.initrd_path, "PATH", "grub: initrd as GRUB names it (default: as in LOG)",
	  0 },
};

/* Everything that one run holds. */
struct run {
	size_t n_files;
	struct buf file[MAX_FILES];
	struct pe pe[3];
	size_t n_pe;
	struct uki_boot uki;
	struct grub_boot grub;
	char kernel_path[LIMIT_PATH], initrd_paths[LIMIT_PATH];
	struct prediction p;
	struct evlog base;
	json_t *profile; /* owned, or NULL */
	struct predict_result result;
	struct reason why;
};

static void run_free(struct run *r)
{
	for (size_t i = 0; i < r->n_files; i++)
		buf_free(&r->file[i]);
	json_decref(r->profile);
	free(r);
}
DEFINE_CLEANUP(struct run, cleanup_run_, run_free)

static struct err load(struct run *r, const char *path, size_t max, struct bytes *ret)
{
	struct buf *b = &r->file[r->n_files];
	struct err e;

	if (r->n_files == MAX_FILES)
		return ERR(E_LIMIT_COUNT);
	buf_init(b, max);
	r->n_files++;
	if (failed(e = file_read(AT_FDCWD, path, b))) {
		reason_set(&r->why, "%s: %s", log_quote(bytes_str(path)), err_text(e));
		return e;
	}
	*ret = buf_bytes(b);
	return ERR(E_OK);
}

static struct err load_pe(struct run *r, const char *path, const struct pe **ret)
{
	struct reason why = { "" };
	struct bytes file;
	struct err e;

	if (failed(e = load(r, path, LIMIT_BOOT_FILE, &file)))
		return e;
	if (failed(e = pe_parse(file, &r->pe[r->n_pe], &why))) {
		reason_set(&r->why, "%s: %.300s", log_quote(bytes_str(path)), why.text);
		return e;
	}
	*ret = &r->pe[r->n_pe++];
	return ERR(E_OK);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

/* In the order of their names, as the stub packs them. */
static struct err load_files(struct run *r, const struct opt_list *paths, struct uki_files *ret)
{
	struct err e;

	for (size_t i = 0; i < paths->n; i++) {
		struct cpio_file f = { .name = base_name(paths->v[i]) };
		size_t at = ret->n;

		if (failed(e = load(r, paths->v[i], LIMIT_BOOT_FILE, &f.data)))
			return e;
		for (; at > 0 && strcmp(ret->file[at - 1].name, f.name) > 0; at--)
			ret->file[at] = ret->file[at - 1];
		ret->file[at] = f;
		ret->n++;
	}
	return ERR(E_OK);
}

static struct err open_base(struct run *r)
{
	struct evlog_fault fault = { 0 };
	struct bytes raw;
	struct err e;

	if (options.base == NULL)
		return ERR(E_OK);
	if (failed(e = load(r, options.base, LIMIT_EVLOG, &raw)))
		return e;
	if (failed(e = evlog_open(raw, &r->base, &fault)))
		reason_set(&r->why, "%s, at byte %zu: %.300s", log_quote(bytes_str(options.base)), fault.off,
			   fault.why.text);
	return e;
}

static struct err predict_uki(struct run *r, const char *path)
{
	const struct pe *image;
	struct err e;

	r->uki.options = options.load_options;
	r->uki.phases = options.phase;
	if (options.secure_boot != NULL)
		r->uki.secure_boot = strcmp(options.secure_boot, "on") == 0 ? UKI_SECURE_BOOT_ON : UKI_SECURE_BOOT_OFF;
	if (failed(e = load_pe(r, path, &image)) ||
	    failed(e = load_files(r, &options.credential, &r->uki.credentials)) ||
	    failed(e = load_files(r, &options.global_credential, &r->uki.global_credentials)) ||
	    failed(e = load_files(r, &options.sysext, &r->uki.sysexts)))
		return e;
	return uki_predict(image, &r->uki, &r->p, &r->why);
}

/* Paths that were not given are those of the earlier boot. */
static struct err set_paths(struct run *r)
{
	struct err e;

	r->grub.kernel_path = options.kernel_path;
	r->grub.initrd_paths = options.initrd_path;
	if (options.base == NULL)
		return ERR(E_OK);
	e = grub_paths(&r->base, r->kernel_path, r->initrd_paths);
	if (e.code == E_PEER_MISSING)
		return ERR(E_OK);
	if (failed(e))
		return e;
	if (options.kernel_path == NULL)
		r->grub.kernel_path = r->kernel_path;
	if (options.initrd_path == NULL && r->initrd_paths[0] != '\0')
		r->grub.initrd_paths = r->initrd_paths;
	return ERR(E_OK);
}

static struct err predict_grub(struct run *r)
{
	struct err e;

	r->grub.cmdline = options.cmdline;
	if ((options.shim != NULL && failed(e = load_pe(r, options.shim, &r->grub.shim))) ||
	    failed(e = load_pe(r, options.grub, &r->grub.grub)) ||
	    failed(e = load_pe(r, options.kernel, &r->grub.kernel)) ||
	    (options.config != NULL && failed(e = load(r, options.config, MIB, &r->grub.config))) ||
	    failed(e = set_paths(r)))
		return e;
	for (size_t i = 0; i < options.initrd.n; i++) {
		if (failed(e = load(r, options.initrd.v[i], LIMIT_BOOT_FILE, &r->grub.initrd[r->grub.n_initrds++])))
			return e;
	}
	return grub_predict(&r->grub, &r->p, &r->why);
}

/* "EV_IPL". */
static const char *type_name(uint32_t type)
{
	const char *name = evlog_type_name(type);

	return type == PREDICT_USERSPACE ? "userspace" : name != NULL ? name : "?";
}

static struct err events_json(const struct prediction *p, json_t *to)
{
	cleanup_json json_t *list = json_array();
	struct err e;

	for (size_t i = 0; list != NULL && i < p->n; i++) {
		const struct predict_event *ev = &p->ev[i];
		json_t *o = NULL;

		if (failed(e = json_new_object(&o)))
			return e;
		if (json_array_append_new(list, o) != 0)
			return ERR(E_LOCAL_MEMORY);
		if (failed(e = json_put_int(o, "pcr", ev->pcr)) ||
		    failed(e = json_put_str(o, "type", type_name(ev->type))) ||
		    failed(e = json_put_str(o, "what", ev->what)))
			return e;
		for (unsigned bank = 0; bank < N_DIGESTS; bank++) {
			if ((p->banks >> bank & 1) != 0 &&
			    failed(e = json_put_hex(o, digest_alg((enum digest_id)bank)->name,
						    digest_bytes(&ev->digest[bank]))))
				return e;
		}
	}
	return json_put(to, "events", take_ptr(&list));
}

static struct err notes_json(const struct prediction *p, json_t *to)
{
	cleanup_json json_t *list = json_array();

	for (size_t i = 0; list != NULL && i < p->n_notes; i++) {
		if (json_array_append_new(list, json_string(p->note[i].text)) != 0)
			return ERR(E_LOCAL_MEMORY);
	}
	return json_put(to, "notes", take_ptr(&list));
}

static struct err changes_json(const struct predict_result *res, json_t *to, const char *bank)
{
	cleanup_json json_t *list = json_array();
	struct err e;

	for (size_t i = 0; list != NULL && i < res->n_changes; i++) {
		const struct predict_change *c = &res->change[i];
		json_t *o = NULL;

		if (failed(e = json_new_object(&o)))
			return e;
		if (json_array_append_new(list, o) != 0)
			return ERR(E_LOCAL_MEMORY);
		if (failed(e = json_put_int(o, "pcr", c->pcr)) || failed(e = json_put_str(o, "what", c->what)) ||
		    (c->was.n > 0 && failed(e = json_put_hex(o, "was", digest_bytes(&c->was)))) ||
		    (c->will_be.n > 0 && failed(e = json_put_hex(o, "will_be", digest_bytes(&c->will_be)))))
			return e;
	}
	return json_put(to, bank, take_ptr(&list));
}

/* Whether the value of a register can be given, and the value. */
static struct err value_of(const struct run *r, enum digest_id bank, unsigned pcr, bool *ret_known, struct digest *ret)
{
	*ret_known = false;
	if (options.base == NULL) {
		*ret_known = ((r->p.complete & ~r->p.uncertain) >> pcr & 1) != 0;
		return *ret_known ? predict_pcr(&r->p, bank, pcr, ret) : ERR(E_OK);
	}
	*ret_known = replay_extended(&r->result.replay, pcr) && (r->result.uncertain >> pcr & 1) == 0;
	*ret = r->result.replay.pcr[pcr];
	return ERR(E_OK);
}

static struct err pcrs_json(const struct run *r, enum digest_id bank, json_t *to)
{
	cleanup_json json_t *o = NULL;
	struct err e;

	if (failed(e = json_new_object(&o)))
		return e;
	for (unsigned pcr = 0; pcr < LIMIT_PCRS; pcr++) {
		struct digest d;
		bool known;
		char key[8];

		(void)snprintf(key, sizeof(key), "%u", pcr);
		if (failed(e = value_of(r, bank, pcr, &known, &d)) ||
		    (known && failed(e = json_put_hex(o, key, digest_bytes(&d)))))
			return e;
	}
	return json_put(to, digest_alg(bank)->name, take_ptr(&o));
}

static void print_hex(const char *label, const struct digest *d)
{
	char text[2 * DIGEST_MAX + 1];

	if (d->n == 0 || failed(hex_encode(digest_bytes(d), text, sizeof(text))))
		(void)printf("        %-8s none\n", label);
	else
		(void)printf("        %-8s %s\n", label, text);
}

static void print_events(const struct prediction *p)
{
	for (size_t i = 0; i < p->n; i++) {
		(void)printf("PCR %2u  %s: %s\n", p->ev[i].pcr, type_name(p->ev[i].type), p->ev[i].what);
		for (unsigned bank = 0; bank < N_DIGESTS; bank++) {
			if ((p->banks >> bank & 1) != 0)
				print_hex(digest_alg((enum digest_id)bank)->name, &p->ev[i].digest[bank]);
		}
	}
	for (size_t i = 0; i < p->n_notes; i++)
		(void)printf("note: %s\n", p->note[i].text);
}

static struct err print_bank(const struct run *r, enum digest_id bank)
{
	struct err e;

	(void)printf("\nregisters, %s\n", digest_alg(bank)->name);
	for (unsigned pcr = 0; pcr < LIMIT_PCRS; pcr++) {
		struct digest d;
		bool known;
		char label[8];

		(void)snprintf(label, sizeof(label), "%u", pcr);
		if (failed(e = value_of(r, bank, pcr, &known, &d)))
			return e;
		if (known)
			print_hex(label, &d);
	}
	if (options.base != NULL)
		(void)printf("\ndiffers from the earlier boot, %s\n", digest_alg(bank)->name);
	for (size_t i = 0; i < r->result.n_changes; i++) {
		(void)printf("PCR %2u  %s\n", r->result.change[i].pcr, r->result.change[i].what);
		print_hex("was", &r->result.change[i].was);
		print_hex("will be", &r->result.change[i].will_be);
	}
	return ERR(E_OK);
}

/* Bank by bank, because the replay of one is held at a time. */
static struct err report(struct run *r)
{
	cleanup_json json_t *o = NULL, *pcrs = NULL, *changes = NULL;
	struct err e;

	if (failed(e = json_new_object(&o)) || failed(e = json_new_object(&pcrs)) ||
	    failed(e = json_new_object(&changes)))
		return e;
	if (!common.json)
		print_events(&r->p);
	for (unsigned i = 0; i < N_DIGESTS; i++) {
		const enum digest_id bank = (enum digest_id)i;

		if ((r->p.banks >> i & 1) == 0)
			continue;
		if (options.base != NULL && failed(e = predict_on_base(&r->p, &r->base, bank, &r->result, &r->why)))
			return e;
		if (!common.json)
			e = print_bank(r, bank);
		else if (!failed(e = pcrs_json(r, bank, pcrs)) && options.base != NULL)
			e = changes_json(&r->result, changes, digest_alg(bank)->name);
		if (failed(e))
			return e;
	}
	if (!common.json)
		return ERR(E_OK);
	if (failed(e = events_json(&r->p, o)) || failed(e = notes_json(&r->p, o)) ||
	    failed(e = json_put(o, "pcrs", take_ptr(&pcrs))) ||
	    (options.base != NULL && failed(e = json_put(o, "changes", take_ptr(&changes)))))
		return e;
	return print_json(o);
}

static struct err open_profile(struct run *r)
{
	struct reason why = { "" };
	struct bytes text;
	struct err e;

	if (options.profile == NULL)
		return ERR(E_OK);
	if (failed(e = load(r, options.profile, 16 * MIB, &text)))
		return e;
	if (failed(e = json_parse(text, 16 * MIB, &r->profile, &why)))
		reason_set(&r->why, "%s: %.300s", log_quote(bytes_str(options.profile)), why.text);
	return e;
}

/* The bank of the profile, which is sha256 where it does not say; NULL for an unknown one. */
static const struct digest_alg *profile_bank(const struct run *r)
{
	const json_t *bank = json_object_get(r->profile, "bank");

	return bank == NULL           ? digest_alg(DIGEST_SHA256)
	       : json_is_string(bank) ? digest_by_name(bytes_str(json_string_value(bank)))
				      : NULL;
}

/* The profile as it has to be for this boot to pass. */
static struct err report_profile(struct run *r)
{
	cleanup_buf struct buf text = BUF_INIT(16 * MIB);
	const enum digest_id bank = profile_bank(r)->id;
	size_t n_added;
	struct err e;

	if (failed(e = predict_on_base(&r->p, &r->base, bank, &r->result, &r->why)) ||
	    failed(e = predict_profile(&r->p, &r->result, bank, r->profile, &n_added, &r->why)))
		return e;
	for (size_t i = 0; i < r->p.n_notes; i++)
		(void)fprintf(stderr, "note: %s\n", r->p.note[i].text);
	(void)fprintf(stderr, "note: %zu digests and lines added\n", n_added);
	if (common.json)
		return print_json(r->profile);
	if (failed(e = json_write_pretty(r->profile, &text)))
		return e;
	(void)fwrite(text.p, 1, text.n, stdout);
	return ERR(E_OK);
}

/* Banks to compute; 0 where a name is unknown. */
static uint32_t banks_wanted(const struct run *r)
{
	const struct digest_alg *of_profile = r->profile != NULL ? profile_bank(r) : NULL;
	uint32_t banks = 0;

	if (r->profile != NULL)
		return of_profile != NULL ? 1U << of_profile->id : 0;
	if (options.bank.n == 0)
		return options.base != NULL ? r->base.banks : 1U << DIGEST_SHA256;
	for (size_t i = 0; i < options.bank.n; i++) {
		const struct digest_alg *a = digest_by_name(bytes_str(options.bank.v[i]));

		if (a == NULL)
			return 0;
		banks |= 1U << a->id;
	}
	return banks;
}

static int usage(const char *text)
{
	(void)fprintf(stderr, "firmware-measure: %s\n", text);
	return EXIT_USAGE;
}

/* What options alone cannot say: EXIT_ACCEPTED or EXIT_USAGE. */
static int check_usage(char **pos, int n)
{
	const bool uki = strcmp(pos[0], "uki") == 0;

	if (!uki && strcmp(pos[0], "grub") != 0)
		return usage("predict: say \"uki FILE\" or \"grub --grub FILE --kernel FILE\"");
	if (n != (uki ? 2 : 1))
		return usage(uki ? "predict uki takes one FILE" : "predict grub takes its files as options");
	if (!uki && (options.grub == NULL || options.kernel == NULL))
		return usage("predict grub needs --grub and --kernel");
	if (options.initrd.n > GRUB_MAX_INITRDS)
		return usage("at most 8 files can be given with --initrd");
	if (options.profile != NULL && (options.base == NULL || options.bank.n > 0))
		return usage("--profile needs --base LOG, and names the bank itself");
	if (options.secure_boot != NULL && strcmp(options.secure_boot, "on") != 0 &&
	    strcmp(options.secure_boot, "off") != 0)
		return usage("--secure-boot is on or off");
	return EXIT_ACCEPTED;
}

int verb_predict(void *ctx, int argc, char **argv)
{
	cleanup(cleanup_run_) struct run *r = NULL;
	char **pos;
	int n, status;
	struct err e;

	(void)ctx;
	status = program_options(argc, argv, opts, array_len(opts), 1, 2, &pos, &n);
	if (status >= 0)
		return status;
	if ((status = check_usage(pos, n)) != EXIT_ACCEPTED)
		return status;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return refused(ERR(E_LOCAL_MEMORY), &(struct reason){ "" });
	if (failed(e = open_base(r)) || failed(e = open_profile(r)))
		return refused(e, &r->why);
	if (banks_wanted(r) == 0)
		return usage("a bank is sha1, sha256, sha384, sha512 or sm3_256");
	predict_init(&r->p, banks_wanted(r));
	e = strcmp(pos[0], "uki") == 0 ? predict_uki(r, pos[1]) : predict_grub(r);
	if (failed(e) || failed(e = r->profile != NULL ? report_profile(r) : report(r)))
		return refused(e, &r->why);
	return printed();
}
