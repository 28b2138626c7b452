/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/lab_boot.h"

#include "firmware-measure/evlog.h"
#include "tests/support/logbuild.h"

static void must(struct err e)
{
	if (failed(e)) {
		(void)fprintf(stderr, "lab_boot: %s\n", err_name(e));
		abort();
	}
}

void lab_phase(struct lab *l, const char *phase)
{
	logbuild_phase(&l->userspace_log, phase);
	must(softtpm_event(l->tpm, 11, bytes_str(phase)));
}

void lab_boot_measure(struct lab *l)
{
	static const enum digest_id bank = DIGEST_SHA256;
	struct evlog_pos pos = { 0 };
	struct evlog_event ev;
	struct logbuild b;
	struct evlog log;

	logbuild_init(&b, EVLOG_AGILE, 1, &bank);
	logbuild_good(&b, NULL);
	logbuild_measure(&b, 11, EV_IPL, BYTES_LIT(".\0l\0i\0n\0u\0x\0\0\0"), BYTES_LIT(".linux"));
	buf_clear(&l->firmware_log);
	buf_clear(&l->userspace_log);
	must(buf_add(&l->firmware_log, buf_bytes(&b.b)));
	buf_free(&b.b);
	must(evlog_open(buf_bytes(&l->firmware_log), &log, NULL));
	for (must(evlog_next(&log, &pos, &ev, NULL)); !ev.end; must(evlog_next(&log, &pos, &ev, NULL)))
		if (ev.pcr >= 8 && evlog_extends(&ev))
			must(softtpm_extend(l->tpm, bank, ev.pcr, ev.digest[bank]));
	lab_phase(l, "enter-initrd");
	lab_phase(l, "leave-initrd");
}

void lab_boot_approve(struct lab *l)
{
	json_t *ignored = json_array(), *f;

	for (int pcr = 0; pcr < 8; pcr++)
		(void)json_array_append_new(ignored, json_pack("{s:i, s:s}", "pcr", pcr, "reason", "the lab's own"));
	f = json_pack("{s:[i,i,i], s:o, s:s, s:[{s:s}], s:[{s:i,s:s,s:[s]},{s:i,s:s,s:[s]}], s:[{s:i,s:[s,s,s,s]}]}", "pcrs", 8, 9,
		      11, "ignored", ignored, "secure_boot", "any", "command_lines", "exact", "/vmlinuz quiet", "events", "pcr",
		      9, "type", "EV_IPL", "digests", hex32_of("a kernel").text, "pcr", 11, "type", "EV_IPL", "digests",
		      hex32_of(".linux").text, "userspace", "pcr", 11, "strings", "enter-initrd", "leave-initrd", "sysinit",
		      "ready");
	if (f == NULL || json_object_set_new(l->doc[DOCUMENT_PLATFORM], "firmware", f) != 0)
		abort();
	(void)json_object_del(l->doc[DOCUMENT_PLATFORM], "pcrs");
	lab_doc_set(l, DOCUMENT_PLATFORM, "vectors", NULL);
}
