/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a person gives for a boot through GRUB: after 'L' a firmware log, in
 * which the paths of kernel and initrds are looked for; otherwise grub.cfg, of
 * which every command that is predicted stands in it.
 */
#include <string.h>

#include "firmware-measure/grub.h"
#include "tests/fuzz/fuzz.h"

/* The smallest PE32+ that is one: headers without sections. */
static struct pe image(void)
{
	static uint8_t raw[0x200];
	struct pe pe;

	raw[0] = 'M';
	raw[1] = 'Z';
	raw[0x3c] = 0x40;
	raw[0x40] = 'P';
	raw[0x41] = 'E';
	raw[0x44] = 0x64;
	raw[0x45] = 0x86;
	raw[0x54] = 112 + 16 * 8;
	raw[0x58] = 0x0b;
	raw[0x59] = 0x02;
	raw[0x58 + 61] = 0x02; /* size of headers: 0x200 */
	raw[0x58 + 108] = 16;
	fuzz_must(!failed(pe_parse(BYTES_ARR(raw), &pe, NULL)));
	return pe;
}

static void paths(struct bytes raw)
{
	static char kernel[LIMIT_PATH], initrds[LIMIT_PATH];
	struct evlog log;

	(void)memset(kernel, 'x', sizeof(kernel));
	(void)memset(initrds, 'x', sizeof(initrds));
	if (failed(evlog_open(raw, &log, NULL)) || failed(grub_paths(&log, kernel, initrds)))
		return;
	fuzz_must(memchr(kernel, 0, sizeof(kernel)) != NULL && memchr(initrds, 0, sizeof(initrds)) != NULL);
	fuzz_must(kernel[0] != '\0');
}

static void config(struct bytes text)
{
	static struct prediction p, again;
	struct pe pe = image();
	struct grub_boot boot = { .shim = &pe,
				  .grub = &pe,
				  .kernel = &pe,
				  .n_initrds = 1,
				  .initrd = { BYTES_LIT("initrd") },
				  .kernel_path = "/vmlinuz",
				  .initrd_paths = "/initrd",
				  .cmdline = "quiet",
				  .config = text };
	struct reason why = { "" };
	size_t n_commands = 0, n_lines = 1;

	predict_init(&p, 1u << DIGEST_SHA256);
	predict_init(&again, 1u << DIGEST_SHA256);
	if (failed(grub_predict(&boot, &p, &why)))
		return;
	fuzz_must(!failed(grub_predict(&boot, &again, &why)) && memcmp(&p, &again, sizeof(p)) == 0);
	fuzz_must(p.n > 0 && p.n <= PREDICT_MAX_EVENTS && p.n_notes <= PREDICT_MAX_NOTES);
	for (size_t i = 0; i < text.n; i++)
		n_lines += text.p[i] == '\n' || text.p[i] == ';';
	for (size_t i = 0; i < p.n; i++) {
		fuzz_must(memchr(p.ev[i].what, 0, sizeof(p.ev[i].what)) != NULL);
		fuzz_must(p.ev[i].digest[DIGEST_SHA256].n == 32 && p.ev[i].digest[DIGEST_SHA1].n == 0);
		n_commands += p.ev[i].role == ROLE_COMMAND;
	}
	/* A command line of the kernel comes with each "linux". */
	fuzz_must(n_commands <= 2 * n_lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n > 0 && data[0] == 'L')
		paths(BYTES(data + 1, n - 1));
	else
		config(BYTES(data, n));
	return 0;
}
