/* SPDX-License-Identifier: Apache-2.0 */
/* The program: digests and logs for people and scripts. */
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "firmware-measure/program.h"

struct common_options common;

static const struct opt common_opts[] = {
	{ "json", OPT_FLAG, &common.json, NULL, "print one JSON object", 0 },
};

static const struct verb verbs[] = {
	{ "log", NULL, "FILE", "replay a TCG firmware event log and say what is odd", verb_log },
	{ "explain", NULL, "FILE", "show a TCG firmware event log event by event", verb_explain },
	{ "diff", NULL, "LOG1 LOG2", "say what changed between two boots", verb_diff },
	{ "ima", NULL, "FILE", "replay an IMA measurement list and say what is odd", verb_ima },
	{ "allowlist", NULL, "[FILE...]", "make an allowlist from IMA lists, sums and folders", verb_allowlist },
	{ "learn", NULL, "LOG [LOG...]", "write a platform profile from the logs of hosts that are good", verb_learn },
	{ "image", NULL, "LAYOUT", "digest a container image in an OCI image layout or archive", verb_image },
	{ "rootfs", NULL, "FOLDER", "digest an unpacked root file system, as of the image it is from", verb_rootfs },
	{ "model", NULL, "PATH", "digest a model: a folder or one file", verb_model },
	{ "predict", NULL, "uki FILE | grub", "compute what a boot will measure, from its files", verb_predict },
};

const struct program measure_program = {
	.name = "firmware-measure",
	.help = "measure container images and models, read firmware logs and IMA lists",
	.verbs = verbs,
	.n_verbs = array_len(verbs),
	.common = common_opts,
	.n_common = array_len(common_opts),
};

int program_options(int argc, char **argv, const struct opt *opts, size_t n_opts, int min, int max, char ***ret_pos,
		    int *ret_n_pos)
{
	for (size_t i = 0; i < array_len(verbs); i++) {
		if (strcmp(verbs[i].name, argv[0]) == 0)
			return verb_options(&measure_program, &verbs[i], argc, argv, opts, n_opts, min, max, ret_pos,
					    ret_n_pos);
	}
	return EXIT_UNDECIDED; /* cannot happen: the verb was found by its name */
}

int refused(struct err e, const struct reason *why)
{
	(void)fprintf(stderr, "%s: %s (%s)\n", measure_program.name, why->text[0] != '\0' ? why->text : err_text(e),
		      err_name(e));
	return exit_for(e);
}

int printed(void)
{
	return fflush(stdout) == 0 && ferror(stdout) == 0 ? EXIT_ACCEPTED : EXIT_UNDECIDED;
}

struct err print_json(const json_t *o)
{
	cleanup_buf struct buf b = BUF_INIT(SIZE_MAX);
	struct err e;

	if (failed(e = json_write(o, &b)))
		return e;
	(void)fwrite(b.p, 1, b.n, stdout);
	(void)fputc('\n', stdout);
	return ERR(E_OK);
}

struct hex hex(const uint8_t d[32])
{
	struct hex h = { "" };

	if (failed(hex_encode(BYTES(d, 32), h.s, sizeof(h.s))))
		return (struct hex){ "" }; /* cannot happen: the size is right */
	return h;
}

int main(int argc, char **argv)
{
	log_init(LOG_LEVEL_WARNING, false);
	return program_main(&measure_program, NULL, argc, argv);
}
