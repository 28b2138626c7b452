/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A unified kernel image: what can be predicted of its boot is the same each
 * time, every event has its digest in the banks that were asked for and in no
 * other, and what is said of it can be printed. Of an image that is refused it
 * is said why.
 */
#include <string.h>

#include "firmware-measure/uki.h"
#include "tests/fuzz/fuzz.h"

static const uint32_t banks = 1u << DIGEST_SHA1 | 1u << DIGEST_SHA256;

static void printable(const char *s, size_t size)
{
	fuzz_must(memchr(s, 0, size) != NULL);
	for (; *s != '\0'; s++)
		fuzz_must((unsigned char)*s >= 0x20 && *s != 0x7f);
}

static void look(const struct prediction *p)
{
	fuzz_must(p->n > 0 && p->n <= PREDICT_MAX_EVENTS && p->n_notes <= PREDICT_MAX_NOTES);
	for (size_t i = 0; i < p->n; i++) {
		const struct predict_event *ev = &p->ev[i];

		fuzz_must(ev->pcr < LIMIT_PCRS);
		printable(ev->what, sizeof(ev->what));
		for (unsigned id = 0; id < N_DIGESTS; id++)
			fuzz_must(ev->digest[id].n ==
				  ((banks >> id & 1) != 0 ? digest_alg((enum digest_id)id)->size : 0));
	}
	printable(p->line, sizeof(p->line));
	for (size_t i = 0; i < p->n_notes; i++)
		printable(p->note[i].text, sizeof(p->note[i].text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct prediction p, again;
	static const struct {
		enum uki_secure_boot on;
		const char *options, *phases;
	} boots[] = { { UKI_SECURE_BOOT_UNKNOWN, NULL, NULL },
		      { UKI_SECURE_BOOT_OFF, "root=/dev/vda1", "enter-initrd:leave-initrd" },
		      { UKI_SECURE_BOOT_ON, NULL, "ready" } };
	struct reason why;
	struct pe pe;
	struct err e;

	if (failed(pe_parse(BYTES(data, n), &pe, NULL)))
		return 0;
	for (size_t i = 0; i < array_len(boots); i++) {
		const struct uki_boot boot = { .secure_boot = boots[i].on, .options = boots[i].options,
					       .phases = boots[i].phases };

		predict_init(&p, banks);
		predict_init(&again, banks);
		why.text[0] = '\0';
		e = uki_predict(&pe, &boot, &p, &why);
		if (failed(e)) {
			fuzz_must(why.text[0] != '\0' || e.code == E_LIMIT_SIZE || e.code == E_LIMIT_COUNT);
			continue;
		}
		look(&p);
		fuzz_must(!failed(uki_predict(&pe, &boot, &again, &why)) && memcmp(&p, &again, sizeof(p)) == 0);
	}
	return 0;
}
