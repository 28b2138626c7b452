/* SPDX-License-Identifier: Apache-2.0 */
#include "swtpm-harness/cli.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"

#define ALL UINT64_MAX /* --index not given */
#define OUTPUT_MAX (4 * MIB)
#define DATA_MAX 1024 /* TPM2B_EVENT */

void cli_up_init(struct cli_up *up)
{
	const struct opt opts[CLI_UP_OPTS] = {
		{ "count", OPT_U64, &up->count, "N", "TPMs to make (1)", HARNESS_TPMS_MAX },
		{ "banks", OPT_STRING, &up->banks, "LIST", "PCR banks, e.g. sha256,sha384 (sha256)", 0 },
		{ "no-ek-cert", OPT_FLAG, &up->no_ek_cert, NULL, "no EK certificates", 0 },
		{ "foreign-ca", OPT_FLAG, &up->foreign_ca, NULL,
		  "EK certificates of a CA that ca/root.pem does not cover", 0 },
		{ "expired-ek-cert", OPT_FLAG, &up->expired_ek_cert, NULL, "EK certificates that ended yesterday", 0 },
		{ "ek-cert-is-ca", OPT_FLAG, &up->ek_cert_is_ca, NULL, "EK certificates that say CA:TRUE", 0 },
		{ "timeout", OPT_DURATION, &up->timeout_s, "TIME", "limit for the manufacture of one TPM (60s)", 3600 },
	};

	*up = (struct cli_up){ .count = 1, .timeout_s = HARNESS_TIMEOUT_MS / 1000 };
	memcpy(up->opts, opts, sizeof(opts));
}

int cli_up_options(const struct cli *cli, const struct cli_up *up, struct harness_options *ret)
{
	const struct {
		bool set;
		enum harness_cert cert;
	} kinds[] = {
		{ up->no_ek_cert, HARNESS_CERT_NONE },
		{ up->foreign_ca, HARNESS_CERT_FOREIGN },
		{ up->expired_ek_cert, HARNESS_CERT_EXPIRED },
		{ up->ek_cert_is_ca, HARNESS_CERT_CA },
	};
	struct harness_options o = { .count = (size_t)up->count,
				     .banks = up->banks,
				     .cert = HARNESS_CERT_GOOD,
				     .timeout_ms = (unsigned)up->timeout_s * 1000 };

	if (up->count == 0 || up->timeout_s == 0)
		return usage_error(cli->program, "--count and --timeout must not be 0");
	for (size_t i = 0; i < array_len(kinds); i++) {
		if (!kinds[i].set)
			continue;
		if (o.cert != HARNESS_CERT_GOOD)
			return usage_error(cli->program, "--no-ek-cert, --foreign-ca, --expired-ek-cert and "
							 "--ek-cert-is-ca exclude one another");
		o.cert = kinds[i].cert;
	}
	*ret = o;
	return -1;
}

const struct verb *cli_verb(const struct cli *cli, const char *name)
{
	for (size_t i = 0; i < cli->program->n_verbs; i++) {
		if (strcmp(cli->program->verbs[i].name, name) == 0)
			return &cli->program->verbs[i];
	}
	return NULL;
}

int cli_failed(const struct cli *cli, struct err e, const struct reason *reason)
{
	(void)usage_error(cli->program, "%s", reason->text[0] != '\0' ? reason->text : err_text(e));
	if (e.code == E_AUTH_CONFLICT)
		return EXIT_REJECTED;
	return e.code == E_PEER_RANGE || e.code == E_LIMIT_SIZE ? EXIT_USAGE : EXIT_UNDECIDED;
}

struct err cli_signals(int *ret_fd)
{
	sigset_t set;
	int fd;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0 || (fd = signalfd(-1, &set, SFD_CLOEXEC)) < 0)
		return ERR(E_LOCAL_IO);
	*ret_fd = fd;
	return ERR(E_OK);
}

static struct err clock_json(const struct harness_clock *c, json_t *tpm)
{
	json_t *clock;
	struct err e;

	if (failed(e = json_new_object(&clock)))
		return e;
	/* Owned by tpm from here on, so that it is only borrowed below. */
	if (failed(e = json_put(tpm, "clock", clock)) ||
	    failed(e = json_put_int(clock, "clock_ms", (int64_t)c->clock_ms)) ||
	    failed(e = json_put_int(clock, "reset_count", c->reset_count)) ||
	    failed(e = json_put_int(clock, "restart_count", c->restart_count)))
		return e;
	return json_put_bool(clock, "safe", c->safe);
}

static struct err tpm_json(const struct harness *h, size_t i, const struct harness_info *info,
			   const struct harness_clock *clock, json_t *list)
{
	cleanup_json json_t *tpm = NULL;
	struct err e;

	if (failed(e = json_new_object(&tpm)) || failed(e = json_put_int(tpm, "index", (int64_t)i)) ||
	    failed(e = json_put_str(tpm, "dir", harness_tpm_dir(h, i))) ||
	    failed(e = json_put_str(tpm, "tcti", info->tcti)) || failed(e = json_put_int(tpm, "pid", info->pid)) ||
	    failed(e = json_put_bool(tpm, "alive", info->power == HARNESS_ON)) ||
	    failed(e = json_put_str(tpm, "power", harness_power_name(info->power))) ||
	    failed(e = json_put_str(tpm, "cert", harness_cert_name(info->cert))) ||
	    failed(e = json_put_str(tpm, "banks", info->banks)) ||
	    failed(e = json_put_hex(tpm, "ek_sha256", BYTES_ARR(info->ek_sha256))) ||
	    failed(e = json_put_hex(tpm, "ek_ecc_sha256", BYTES_ARR(info->ek_ecc_sha256))))
		return e;
	if (clock != NULL && failed(e = clock_json(clock, tpm)))
		return e;
	return json_array_append(list, tpm) == 0 ? ERR(E_OK) : ERR(E_LOCAL_MEMORY);
}

static void tpm_text(size_t i, const struct harness_info *info, const struct harness_clock *clock)
{
	(void)printf("tpm-%-3zu %-9s %-7s %s %s", i, harness_power_name(info->power), harness_cert_name(info->cert),
		     info->banks, info->tcti);
	if (clock != NULL)
		(void)printf(" reset %" PRIu32 " restart %" PRIu32 " clock %" PRIu64 " %s", clock->reset_count,
			     clock->restart_count, clock->clock_ms, clock->safe ? "safe" : "unsafe");
	(void)printf("\n");
}

static struct err print_json(const struct harness *h, json_t *list)
{
	cleanup_json json_t *out = NULL;
	cleanup_buf struct buf text = BUF_INIT(OUTPUT_MAX);
	struct err e;

	if (failed(e = json_new_object(&out)) || failed(e = json_put_str(out, "dir", harness_dir(h))) ||
	    failed(e = json_put_str(out, "root", harness_root(h))) ||
	    failed(e = json_put(out, "tpms", json_incref(list))) || failed(e = json_write(out, &text)))
		return e;
	return fwrite(text.p, 1, text.n, stdout) == text.n && putchar('\n') != EOF ? ERR(E_OK) : ERR(E_LOCAL_IO);
}

/* Prints every TPM as text or one JSON object; *ret_all_on: every one of them runs. */
static struct err print_tpms(const struct cli *cli, const struct harness *h, bool with_clock, bool *ret_all_on,
			     struct reason *reterr)
{
	cleanup_json json_t *list = json_array();
	bool all_on = harness_count(h) > 0; /* comparing nothing is no success */
	struct err e;

	if (list == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < harness_count(h); i++) {
		struct harness_info info;
		struct harness_clock clock;
		bool has_clock;

		if (failed(e = harness_info(h, i, &info, reterr)))
			return e;
		all_on = all_on && info.power == HARNESS_ON;
		has_clock = with_clock && info.power == HARNESS_ON;
		if (has_clock && failed(e = harness_clock(h, i, &clock, reterr)))
			return e;
		if (!cli->json)
			tpm_text(i, &info, has_clock ? &clock : NULL);
		else if (failed(e = tpm_json(h, i, &info, has_clock ? &clock : NULL, list)))
			return e;
	}
	*ret_all_on = all_on;
	if (cli->json && failed(e = print_json(h, list)))
		return e;
	return fflush(stdout) == 0 ? ERR(E_OK) : ERR(E_LOCAL_IO);
}

static void show_progress(void *ctx, size_t n_done, size_t n_total)
{
	(void)ctx;
	(void)fprintf(stderr, "\r%zu of %zu TPMs made%s", n_done, n_total, n_done == n_total ? "\n" : "");
}

static int verb_up(void *ctx, int argc, char **argv)
{
	const struct cli *cli = ctx;
	cleanup_fd int signals = -1;
	struct harness_options o = { 0 };
	struct reason reason = { 0 };
	struct harness *h = NULL;
	struct cli_up up;
	char **pos;
	int n, status;
	bool all_on;
	struct err e;

	cli_up_init(&up);
	status = verb_options(cli->program, cli_verb(cli, argv[0]), argc, argv, up.opts, array_len(up.opts), 0, 0, &pos,
			      &n);
	if (status >= 0 || (status = cli_up_options(cli, &up, &o)) >= 0)
		return status;
	o.dir = cli->dir != NULL ? cli->dir : CLI_DIR;
	if (isatty(STDERR_FILENO))
		o.progress = show_progress;
	if (failed(e = cli_signals(&signals)))
		return cli_failed(cli, e, &reason);
	o.cancel_fd = signals;
	if (failed(e = harness_up(&o, &h, &reason)))
		return cli_failed(cli, e, &reason);
	e = print_tpms(cli, h, false, &all_on, &reason);
	harness_free(h);
	return failed(e) ? cli_failed(cli, e, &reason) : EXIT_ACCEPTED;
}

static struct err open_harness(const struct cli *cli, struct harness **ret, struct reason *reterr)
{
	return harness_open(cli->dir != NULL ? cli->dir : CLI_DIR, ret, reterr);
}

static int verb_status(void *ctx, int argc, char **argv)
{
	const struct cli *cli = ctx;
	bool with_clock = false, all_on = false;
	const struct opt opts[] = {
		{ "clock", OPT_FLAG, &with_clock, NULL, "also ask each TPM for its counters and clock", 0 },
	};
	struct reason reason = { 0 };
	struct harness *h = NULL;
	char **pos;
	struct err e;
	int n, status = verb_options(cli->program, cli_verb(cli, argv[0]), argc, argv, opts, array_len(opts), 0, 0,
				     &pos, &n);

	if (status >= 0)
		return status;
	if (failed(e = open_harness(cli, &h, &reason)))
		return cli_failed(cli, e, &reason);
	e = print_tpms(cli, h, with_clock, &all_on, &reason);
	harness_free(h);
	if (failed(e))
		return cli_failed(cli, e, &reason);
	return all_on ? EXIT_ACCEPTED : EXIT_REJECTED;
}

static int verb_down(void *ctx, int argc, char **argv)
{
	const struct cli *cli = ctx;
	bool keep = false;
	const struct opt opts[] = {
		{ "keep", OPT_FLAG, &keep, NULL, "only stop the TPMs; `reset` starts them again", 0 },
	};
	struct reason reason = { 0 };
	struct harness *h = NULL;
	char **pos;
	struct err e;
	int n, status = verb_options(cli->program, cli_verb(cli, argv[0]), argc, argv, opts, array_len(opts), 0, 0,
				     &pos, &n);

	if (status >= 0)
		return status;
	if (failed(e = open_harness(cli, &h, &reason)))
		return cli_failed(cli, e, &reason);
	e = harness_down(h, keep, &reason);
	harness_free(h);
	return failed(e) ? cli_failed(cli, e, &reason) : EXIT_ACCEPTED;
}

typedef struct err each_fn(struct harness *h, size_t i, const void *arg, struct reason *reterr);

/* Does fn for one TPM or for all of them; with --json prints them afterwards. */
static int for_each(const struct cli *cli, uint64_t index, each_fn *fn, const void *arg)
{
	struct reason reason = { 0 };
	struct harness *h = NULL;
	struct err e;
	bool all_on;

	if (failed(e = open_harness(cli, &h, &reason)))
		return cli_failed(cli, e, &reason);
	if (index != ALL && index >= harness_count(h)) {
		int status =
			usage_error(cli->program, "--index %" PRIu64 ": there are %zu TPMs", index, harness_count(h));

		harness_free(h);
		return status;
	}
	for (size_t i = 0; !failed(e) && i < harness_count(h); i++) {
		if (index == ALL || index == i)
			e = fn(h, i, arg, &reason);
	}
	if (!failed(e) && cli->json)
		e = print_tpms(cli, h, false, &all_on, &reason);
	harness_free(h);
	return failed(e) ? cli_failed(cli, e, &reason) : EXIT_ACCEPTED;
}

typedef struct err transition_fn(struct harness *h, size_t i, struct reason *reterr);

static struct err one_transition(struct harness *h, size_t i, const void *arg, struct reason *reterr)
{
	return (*(transition_fn *const *)arg)(h, i, reterr);
}

static int verb_transition(void *ctx, int argc, char **argv)
{
	static const struct {
		const char *name;
		transition_fn *fn;
	} transitions[] = {
		{ "reset", harness_reset },           { "suspend", harness_suspend }, { "resume", harness_resume },
		{ "power-loss", harness_power_loss }, { "clear", harness_clear },     { "replace", harness_replace },
	};
	const struct cli *cli = ctx;
	uint64_t index = ALL;
	bool clear = false, is_resume = strcmp(argv[0], "resume") == 0;
	const struct opt opts[] = {
		{ "index", OPT_U64, &index, "I", "only this TPM (all)", HARNESS_TPMS_MAX - 1 },
		{ "clear", OPT_FLAG, &clear, NULL, "with Startup(CLEAR): a restart instead of a resume", 0 },
	};
	transition_fn *fn = NULL;
	char **pos;
	int n, status = verb_options(cli->program, cli_verb(cli, argv[0]), argc, argv, opts, is_resume ? 2 : 1, 0, 0,
				     &pos, &n);

	if (status >= 0)
		return status;
	for (size_t i = 0; i < array_len(transitions); i++) {
		if (strcmp(argv[0], transitions[i].name) == 0)
			fn = transitions[i].fn;
	}
	if (clear)
		fn = harness_restart;
	return for_each(cli, index, one_transition, &fn);
}

/* What `extend` does to each TPM: an event, or ready digests. */
struct extension {
	unsigned pcr;
	const struct buf *event; /* NULL: digests */
	size_t n_digests;
	struct {
		enum digest_id bank;
		struct digest digest;
	} digests[LIMIT_BANKS];
};

static struct err one_extension(struct harness *h, size_t i, const void *arg, struct reason *reterr)
{
	const struct extension *x = arg;
	struct err e = ERR(E_OK);

	if (x->event != NULL)
		return harness_extend(h, i, x->pcr, buf_bytes(x->event), reterr);
	for (size_t k = 0; !failed(e) && k < x->n_digests; k++)
		e = harness_extend_digest(h, i, x->pcr, x->digests[k].bank, digest_bytes(&x->digests[k].digest),
					  reterr);
	return e;
}

/* "sha256:HEX" */
static struct err add_digest(struct extension *x, const char *text)
{
	const char *colon = strchr(text, ':');
	const struct digest_alg *alg = colon != NULL ? digest_by_name(BYTES(text, (size_t)(colon - text))) : NULL;
	struct err e;

	if (alg == NULL || x->n_digests == array_len(x->digests))
		return ERR(E_PEER_RANGE);
	if (failed(e = hex_decode_exact(bytes_str(colon + 1), x->digests[x->n_digests].digest.v, alg->size)))
		return e;
	x->digests[x->n_digests].bank = alg->id;
	x->digests[x->n_digests].digest.n = (uint8_t)alg->size;
	x->n_digests++;
	return ERR(E_OK);
}

static int verb_extend(void *ctx, int argc, char **argv)
{
	const struct cli *cli = ctx;
	cleanup_buf struct buf event = BUF_INIT(DATA_MAX);
	uint64_t index = ALL, pcr = ALL;
	const char *data = NULL, *hex = NULL;
	struct opt_list digests = { 0 };
	const struct opt opts[] = {
		{ "index", OPT_U64, &index, "I", "only this TPM (all)", HARNESS_TPMS_MAX - 1 },
		{ "pcr", OPT_U64, &pcr, "N", "the register, 0 to 23", LIMIT_PCRS - 1 },
		{ "data", OPT_STRING, &data, "TEXT", "event that every bank hashes", 0 },
		{ "hex", OPT_STRING, &hex, "BYTES", "the same, in hexadecimal", 0 },
		{ "digest", OPT_LIST, &digests, "BANK:HEX", "ready digest for one bank; may repeat", 0 },
	};
	struct extension x = { 0 };
	char **pos;
	int n, status = verb_options(cli->program, cli_verb(cli, argv[0]), argc, argv, opts, array_len(opts), 0, 0,
				     &pos, &n);

	if (status >= 0)
		return status;
	if (pcr == ALL || (data != NULL) + (hex != NULL) + (digests.n > 0) != 1)
		return usage_error(cli->program, "extend needs --pcr and one of --data, --hex and --digest");
	if ((data != NULL && failed(buf_add_str(&event, data))) ||
	    (hex != NULL && failed(hex_decode(bytes_str(hex), &event))))
		return usage_error(cli->program, "the event is not hexadecimal or has more than %d bytes", DATA_MAX);
	for (size_t i = 0; i < digests.n; i++) {
		if (failed(add_digest(&x, digests.v[i])))
			return usage_error(cli->program,
					   "--digest is BANK:HEX with as many bytes as the bank's digests have");
	}
	x.pcr = (unsigned)pcr;
	x.event = digests.n > 0 ? NULL : &event;
	return for_each(cli, index, one_extension, &x);
}

int main(int argc, char **argv)
{
	static const struct verb verbs[] = {
		{ "up", NULL, "", "make TPMs and start them", verb_up },
		{ "status", NULL, "", "show the TPMs; exits 1 unless all run", verb_status },
		{ "reset", NULL, "", "Shutdown(CLEAR) and Startup(CLEAR); starts a TPM that is off", verb_transition },
		{ "suspend", NULL, "", "Shutdown(STATE)", verb_transition },
		{ "resume", NULL, "", "Startup(STATE) after suspend", verb_transition },
		{ "power-loss", NULL, "", "cut the power, then Startup(CLEAR)", verb_transition },
		{ "clear", NULL, "", "TPM2_Clear by the platform", verb_transition },
		{ "replace", NULL, "", "put another TPM in the same place", verb_transition },
		{ "extend", NULL, "", "extend a PCR", verb_extend },
		{ "run", NULL, "-- CMD [ARG...]", "bring TPMs up for one command, then take them down", cli_run },
		{ "down", NULL, "", "stop the TPMs and remove the folder", verb_down },
	};
	struct cli cli = { 0 };
	const struct opt common[] = {
		{ "dir", OPT_STRING, &cli.dir, "DIR", "folder of the TPMs (" CLI_DIR "; run: a temporary one)", 0 },
		{ "json", OPT_FLAG, &cli.json, NULL, "one JSON object on stdout", 0 },
	};
	const struct program program = { .name = "swtpm-harness",
					 .help = "Software TPMs with EK certificates, for tests.",
					 .verbs = verbs,
					 .n_verbs = array_len(verbs),
					 .common = common,
					 .n_common = array_len(common) };

	cli.program = &program;
	return program_main(&program, &cli, argc, argv);
}
