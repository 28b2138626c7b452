/* SPDX-License-Identifier: Apache-2.0 */
/* Predictions on the logs of two real boots, $ASSAY_DATA/boots: a UKI, and shim with GRUB. */
#include <fcntl.h>

#include "base/file.h"
#include "firmware-measure/grub.h"
#include "firmware-measure/uki.h"

#include "pe-fixture.h"

static const char *data;
static struct prediction p;
static struct predict_result result;
static struct reason why;

static struct bytes load(const char *file, struct buf *ret)
{
	char path[LIMIT_PATH];

	buf_init(ret, LIMIT_EVLOG);
	assert_true(snprintf(path, sizeof(path), "%s/boots/%s", data, file) < (int)sizeof(path));
	assert_ok(file_read(AT_FDCWD, path, ret));
	return buf_bytes(ret);
}

/* What the TPM held, one "N HEX" a line. */
static struct digest real_pcr(const char *file, unsigned pcr)
{
	cleanup_buf struct buf b = BUF_INIT(0);
	struct digest d = { .n = 32 };
	const char *text = NULL, *line;
	char key[8];

	load(file, &b);
	assert_ok(buf_cstr(&b, &text));
	(void)snprintf(key, sizeof(key), "\n%u ", pcr);
	line = pcr == 0 ? text - 1 : strstr(text, key);
	assert_non_null(line);
	assert_ok(hex_decode_exact(BYTES(line + strlen(key), 64), d.v, 32));
	return d;
}

/* Registers 0..15 but 10 against the TPM; returns the bits of those that differ. */
static uint32_t different(const char *file)
{
	uint32_t bits = 0;

	for (unsigned pcr = 0; pcr < 16; pcr++) {
		const struct digest real = real_pcr(file, pcr);

		if (pcr != 10 && !bytes_eq(digest_bytes(&result.replay.pcr[pcr]), digest_bytes(&real)))
			bits |= 1U << pcr;
	}
	return bits;
}

static void open_log(const char *file, struct buf *raw, struct evlog *ret)
{
	assert_ok(evlog_open(load(file, raw), ret, NULL));
}

/* Images that never were there: only what they change may change. */
static void grub_menu_of_a_real_boot(void **state)
{
	static const struct fix_section s[] = { { ".text", "x", 0 } };
	cleanup_buf struct buf raw = BUF_INIT(0), config = BUF_INIT(0), image = BUF_INIT(MIB);
	struct evlog log;
	struct pe pe;
	struct grub_boot b = { .shim = &pe, .grub = &pe, .kernel = &pe, .n_initrds = 1 };

	(void)state;
	pe_build(&image, s, 1);
	assert_ok(pe_parse(buf_bytes(&image), &pe, NULL));
	open_log("grub-ms/binary_bios_measurements", &raw, &log);
	b.initrd[0] = BYTES_LIT("an initrd");
	b.config = load("grub-ms/grub.cfg", &config);
	predict_init(&p, 1U << DIGEST_SHA256);
	assert_ok(grub_predict(&b, &p, &why));
	assert_ok(predict_on_base(&p, &log, DIGEST_SHA256, &result, &why));
	assert_int_equal(different("grub-ms/pcrs-before-sha256.txt"), 1U << 4 | 1U << 9);
	/* shim, GRUB, the kernel twice, the kernel and the initrd as files; grub.cfg is the same */
	assert_int_equal(result.n_changes, 6);
	assert_int_equal(result.uncertain, 0);
}

/* The same with one word more on the command line, as one changed command. */
static void grub_command_line_of_a_real_boot(void **state)
{
	static const struct fix_section s[] = { { ".text", "x", 0 } };
	cleanup_buf struct buf raw = BUF_INIT(0), line = BUF_INIT(0), image = BUF_INIT(MIB);
	char kernel[LIMIT_PATH], initrds[LIMIT_PATH], cmdline[1024];
	struct evlog log;
	struct pe pe;
	struct grub_boot b = { .shim = &pe, .grub = &pe, .kernel = &pe };
	const char *text = NULL, *space;

	(void)state;
	pe_build(&image, s, 1);
	assert_ok(pe_parse(buf_bytes(&image), &pe, NULL));
	open_log("grub-ms/binary_bios_measurements", &raw, &log);
	assert_ok(grub_paths(&log, kernel, initrds));
	assert_string_equal(kernel, "/EFI/debian/vmlinuz");
	assert_string_equal(initrds, "/EFI/debian/initrd");
	load("grub-ms/cmdline.txt", &line);
	assert_ok(buf_truncate(&line, line.n - 1));
	assert_ok(buf_cstr(&line, &text));
	space = strchr(text, ' ');
	assert_non_null(space);
	b.kernel_path = kernel;
	b.initrd_paths = initrds;
	for (unsigned more = 0; more < 2; more++) {
		(void)snprintf(cmdline, sizeof(cmdline), "%s%s", space + 1, more ? " debug" : "");
		b.cmdline = cmdline;
		predict_init(&p, 1U << DIGEST_SHA256);
		assert_ok(grub_predict(&b, &p, &why));
		assert_ok(predict_on_base(&p, &log, DIGEST_SHA256, &result, &why));
		assert_int_equal(different("grub-ms/pcrs-before-sha256.txt"), 1U << 4 | 1U << 9 | (more ? 1U << 8 : 0));
	}
}

/* The prediction that says what happened: sections, images and the kernel's events as the log has them. */
static void predict_what_happened(const struct evlog *log)
{
	struct evlog_pos pos = { 0 };
	struct evlog_event ev;
	size_t n_apps = 0;

	predict_init(&p, 1U << DIGEST_SHA256);
	for (;;) {
		enum predict_role role = ROLE_NONE;

		assert_ok(evlog_next(log, &pos, &ev, NULL));
		if (ev.end)
			return;
		if (ev.type == EV_EFI_BOOT_SERVICES_APPLICATION)
			role = n_apps++ == 0 ? ROLE_UKI : ROLE_KERNEL;
		if (ev.pcr == 11)
			role = ROLE_SECTION;
		if (ev.type == EV_EVENT_TAG)
			role = ev.data.p[0] == 0xed ? ROLE_LOAD_OPTIONS : ROLE_LINUX_INITRD;
		if (role == ROLE_NONE)
			continue;
		p.ev[p.n] = (struct predict_event){ .role = role, .pcr = ev.pcr, .type = ev.type, .what = "x" };
		p.ev[p.n].digest[DIGEST_SHA256].n = 32;
		assert_ok(bytes_copy_exact(ev.digest[DIGEST_SHA256], p.ev[p.n].digest[DIGEST_SHA256].v, 32));
		p.n++;
	}
}

static void uki_of_a_real_boot(void **state)
{
	cleanup_buf struct buf raw = BUF_INIT(0), cmdline = BUF_INIT(0), osrel = BUF_INIT(0);
	struct digest d;
	struct evlog log;

	(void)state;
	open_log("uki-tis/binary_bios_measurements", &raw, &log);
	predict_what_happened(&log);
	assert_int_equal(p.n, 12);
	assert_ok(predict_on_base(&p, &log, DIGEST_SHA256, &result, &why));
	assert_int_equal(different("uki-tis/pcrs-before-sha256.txt"), 0);
	assert_int_equal(result.n_changes, 0);
	/* Each of them counts, and only in its register. */
	for (size_t i = 0; i < p.n; i++) {
		p.ev[i].digest[DIGEST_SHA256].v[0] ^= 1;
		assert_ok(predict_on_base(&p, &log, DIGEST_SHA256, &result, &why));
		assert_int_equal(different("uki-tis/pcrs-before-sha256.txt"), 1U << p.ev[i].pcr);
		assert_int_equal(result.n_changes, 1);
		p.ev[i].digest[DIGEST_SHA256].v[0] ^= 1;
	}
	/* The sections whose contents are known have the digests that uki.c would give them. */
	assert_ok(digest_one(DIGEST_SHA256, load("uki-tis/uki.efi.osrel", &osrel), &d));
	assert_bytes(digest_bytes(&p.ev[4].digest[DIGEST_SHA256]), digest_bytes(&d));
	assert_ok(digest_one(DIGEST_SHA256, load("uki-tis/uki.efi.cmdline", &cmdline), &d));
	assert_bytes(digest_bytes(&p.ev[6].digest[DIGEST_SHA256]), digest_bytes(&d));
}

static void base_of_another_kind(void **state)
{
	cleanup_buf struct buf uki_raw = BUF_INIT(0), grub_raw = BUF_INIT(0);
	struct evlog uki, grub;

	(void)state;
	open_log("uki-tis/binary_bios_measurements", &uki_raw, &uki);
	open_log("grub-ms/binary_bios_measurements", &grub_raw, &grub);
	predict_what_happened(&uki);
	assert_err(predict_on_base(&p, &grub, DIGEST_SHA256, &result, &why), E_PEER_MISSING);
	assert_err(predict_on_base(&p, &uki, DIGEST_SHA512, &result, &why), E_PEER_UNSUPPORTED);
	for (size_t i = 0; i < p.n; i++)
		p.ev[i].role = ROLE_GRUB;
	assert_err(predict_on_base(&p, &uki, DIGEST_SHA256, &result, &why), E_PEER_MISSING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grub_menu_of_a_real_boot),
		cmocka_unit_test(grub_command_line_of_a_real_boot),
		cmocka_unit_test(uki_of_a_real_boot),
		cmocka_unit_test(base_of_another_kind),
	};
	char path[LIMIT_PATH];

	data = getenv("ASSAY_DATA");
	if (data == NULL || snprintf(path, sizeof(path), "%s/boots", data) >= (int)sizeof(path) ||
	    access(path, R_OK) != 0) {
		(void)printf("1..0 # SKIP no captured boots: $ASSAY_DATA/boots is not there\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
