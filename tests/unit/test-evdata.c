/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/logbuild.h"
#include "unit.h"

static const enum digest_id both[] = { DIGEST_SHA1, DIGEST_SHA256 };
static const uint8_t shim_guid[] = { 0x50, 0xab, 0x5d, 0x60, 0x46, 0xe0, 0x00, 0x43,
				     0xab, 0xb6, 0x3d, 0xd8, 0x10, 0xdd, 0x8b, 0x23 };

/* One event that measured some bytes. */
struct one {
	struct evlog_event ev;
	struct digest d[N_DIGESTS];
};

static struct evdata event(struct one *o, uint32_t type, struct bytes data, struct bytes measured)
{
	struct evdata d = { 0 };

	*o = (struct one){ .ev = { .type = type, .data = data } };
	for (size_t i = 0; i < array_len(both); i++) {
		assert_ok(digest_one(both[i], measured, &o->d[both[i]]));
		o->ev.digest[both[i]] = digest_bytes(&o->d[both[i]]);
	}
	assert_ok(evdata_verify(&o->ev, DIGEST_SHA256, &d));
	return d;
}

static void assert_text(const struct evdata *d, enum evdata_text want_kind, const char *want)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_SMALL);
	enum evdata_text kind = EVDATA_TEXT_OTHER;
	const char *s = NULL;

	assert_ok(evdata_text(d, &kind, &b));
	assert_int_equal(kind, want_kind);
	assert_ok(buf_cstr(&b, &s));
	assert_string_equal(s, want);
}

static void test_E2_data_that_does_not_match_is_refused(void **state)
{
	static const uint32_t types[] = { EV_EFI_VARIABLE_DRIVER_CONFIG, EV_EFI_VARIABLE_AUTHORITY,
					  EV_EFI_VARIABLE_BOOT };
	cleanup_buf struct buf var = BUF_INIT(LIMIT_SMALL);
	struct evdata_variable v = { 0 };

	(void)state;
	logbuild_variable_data(&var, NULL, "SecureBoot", BYTES_LIT("\1"));
	for (size_t i = 0; i < array_len(types); i++) {
		for (size_t k = 0; k < var.n; k++) {
			cleanup_buf struct buf changed = BUF_INIT(LIMIT_SMALL);
			struct evdata d;
			struct one o;

			assert_ok(buf_add(&changed, buf_bytes(&var)));
			d = event(&o, types[i], buf_bytes(&changed), buf_bytes(&var));
			assert_true(d.verified);
			assert_ok(evdata_variable(&d, &v));
			assert_int_equal(v.id, EFI_VAR_SECURE_BOOT);
			changed.p[k] ^= 1;
			d = event(&o, types[i], buf_bytes(&changed), buf_bytes(&var));
			assert_false(d.verified);
			assert_int_equal(d.cover, EVDATA_COVER_NONE);
			assert_err(evdata_variable(&d, &v), E_PEER_DIGEST);
		}
	}
}

static void test_E2_version_that_does_not_match(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_SMALL);
	enum evdata_text kind;
	struct evdata d;
	struct one o;

	(void)state;
	d = event(&o, EV_S_CRTM_VERSION, BYTES_LIT("2\0.\0003\0\0\0"), BYTES_LIT("another"));
	assert_err(evdata_text(&d, &kind, &b), E_PEER_DIGEST);
	d = event(&o, EV_S_CRTM_VERSION, BYTES_LIT("2\0.\0003\0\0\0"), BYTES_LIT("2\0.\0003\0\0\0"));
	assert_text(&d, EVDATA_TEXT_VERSION, "2.3");
	d = event(&o, EV_S_CRTM_VERSION, BYTES_LIT("\x1e\xfb\x6b\x54\x0c\x1d\x55\x40\xa4\xad\x4e\xf4\xbf\x17\xb8\x3a"),
		  BYTES_LIT("\x1e\xfb\x6b\x54\x0c\x1d\x55\x40\xa4\xad\x4e\xf4\xbf\x17\xb8\x3a"));
	assert_text(&d, EVDATA_TEXT_VERSION, "546bfb1e-1d0c-4055-a4ad-4ef4bf17b83a");
	d = event(&o, EV_S_CRTM_VERSION, BYTES_LIT("1.2.3\0"), BYTES_LIT("1.2.3\0"));
	assert_text(&d, EVDATA_TEXT_VERSION, "1.2.3");
	d = event(&o, EV_S_CRTM_VERSION, BYTES_LIT("M60\0\0\xff"), BYTES_LIT("M60\0\0\xff"));
	assert_err(evdata_text(&d, &kind, &b), E_PEER_SYNTAX);
	assert_int_equal(b.n, 0);
}

static void test_E8_only_the_bank_that_is_asked(void **state)
{
	struct evdata d;
	struct one o;

	(void)state;
	d = event(&o, EV_EFI_ACTION, BYTES_LIT("an action"), BYTES_LIT("an action"));
	assert_true(d.verified);
	assert_err(evdata_verify(&o.ev, DIGEST_SHA384, &d), E_PEER_UNSUPPORTED);
	/* A digest that fits in another bank says nothing. */
	o.d[DIGEST_SHA256].v[0] ^= 1;
	assert_ok(evdata_verify(&o.ev, DIGEST_SHA1, &d));
	assert_true(d.verified);
	assert_ok(evdata_verify(&o.ev, DIGEST_SHA256, &d));
	assert_false(d.verified);
}

static void test_boot_variable_by_contents(void **state)
{
	cleanup_buf struct buf var = BUF_INIT(LIMIT_SMALL);
	struct evdata_variable v = { 0 };
	struct evdata d;
	struct one o;

	(void)state;
	logbuild_variable_data(&var, NULL, "Boot00A1", BYTES_LIT("option"));
	d = event(&o, EV_EFI_VARIABLE_BOOT, buf_bytes(&var), BYTES_LIT("option"));
	assert_int_equal(d.cover, EVDATA_COVER_VALUE);
	assert_ok(evdata_variable(&d, &v));
	assert_int_equal(v.id, EFI_VAR_BOOT);
	assert_int_equal(v.number, 0xa1);
	assert_bytes(v.contents, BYTES_LIT("option"));
	/* Not so for the others, whose name must be covered. */
	d = event(&o, EV_EFI_VARIABLE_DRIVER_CONFIG, buf_bytes(&var), BYTES_LIT("option"));
	assert_err(evdata_variable(&d, &v), E_PEER_DIGEST);
	d = event(&o, EV_EFI_VARIABLE_AUTHORITY, buf_bytes(&var), BYTES_LIT("option"));
	assert_err(evdata_variable(&d, &v), E_PEER_DIGEST);
}

static void test_variables_by_name_and_guid(void **state)
{
	static const struct {
		const uint8_t *guid;
		const char *name;
		enum evdata_variable_id want;
	} cases[] = {
		{ NULL, "SecureBoot", EFI_VAR_SECURE_BOOT },
		{ NULL, "PK", EFI_VAR_PK },
		{ NULL, "KEK", EFI_VAR_KEK },
		{ NULL, "db", EFI_VAR_DB },
		{ NULL, "dbx", EFI_VAR_DBX },
		{ NULL, "SetupMode", EFI_VAR_SETUP_MODE },
		{ NULL, "AuditMode", EFI_VAR_AUDIT_MODE },
		{ NULL, "DeployedMode", EFI_VAR_DEPLOYED_MODE },
		{ NULL, "BootOrder", EFI_VAR_BOOT_ORDER },
		{ NULL, "Boot0000", EFI_VAR_BOOT },
		{ NULL, "Boot000g", EFI_VAR_OTHER },
		{ NULL, "Boot000a", EFI_VAR_OTHER },
		{ NULL, "Boot00000", EFI_VAR_OTHER },
		{ NULL, "SecureBoo", EFI_VAR_OTHER },
		{ NULL, "SecureBoot2", EFI_VAR_OTHER },
		{ NULL, "", EFI_VAR_OTHER },
		{ shim_guid, "SecureBoot", EFI_VAR_OTHER },
		{ shim_guid, "db", EFI_VAR_OTHER },
		{ shim_guid, "SbatLevel", EFI_VAR_SBAT_LEVEL },
		{ shim_guid, "MokListRT", EFI_VAR_MOK_LIST },
		{ shim_guid, "MokListX", EFI_VAR_MOK_LIST_X },
		{ shim_guid, "MokListTrusted", EFI_VAR_MOK_LIST_TRUSTED },
		{ NULL, "MokListTrusted", EFI_VAR_OTHER },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_buf struct buf var = BUF_INIT(LIMIT_SMALL), name = BUF_INIT(LIMIT_SMALL);
		struct evdata_variable v = { 0 };

		logbuild_variable_data(&var, cases[i].guid, cases[i].name, BYTES_LIT("x"));
		assert_ok(evdata_parse_variable(buf_bytes(&var), &v));
		assert_int_equal(v.id, cases[i].want);
		assert_ok(utf16_to_utf8(v.name, &name));
		assert_bytes(buf_bytes(&name), bytes_str(cases[i].name));
		assert_ok(buf_add_u8(&var, 0));
		assert_err(evdata_parse_variable(buf_bytes(&var), &v), E_PEER_TRAILING);
		for (size_t cut = 0; cut + 1 < var.n; cut++)
			assert_err(evdata_parse_variable(BYTES(var.p, cut), &v), E_PEER_TRUNCATED);
	}
}

static void test_lengths_that_would_wrap(void **state)
{
	cleanup_buf struct buf var = BUF_INIT(LIMIT_SMALL);
	struct evdata_variable v;

	(void)state;
	logbuild_variable_data(&var, NULL, "db", BYTES_LIT("contents"));
	memset(var.p + 16, 0xff, 8); /* characters of the name */
	assert_err(evdata_parse_variable(buf_bytes(&var), &v), E_LIMIT_SIZE);
	memset(var.p + 16, 0, 8);
	memset(var.p + 24, 0xff, 8); /* bytes of the contents */
	assert_err(evdata_parse_variable(buf_bytes(&var), &v), E_PEER_TRUNCATED);
}

static void test_E4_flags_are_one_byte(void **state)
{
	struct evdata_variable v = { .contents = BYTES_LIT("\1") };
	bool on = false;

	(void)state;
	assert_ok(evdata_variable_bool(&v, &on));
	assert_true(on);
	v.contents = BYTES_LIT("\0");
	assert_ok(evdata_variable_bool(&v, &on));
	assert_false(on);
	v.contents = BYTES_LIT("\2");
	assert_err(evdata_variable_bool(&v, &on), E_PEER_RANGE);
	v.contents = BYTES_NONE;
	assert_err(evdata_variable_bool(&v, &on), E_PEER_RANGE);
	v.contents = BYTES_LIT("\1\0");
	assert_err(evdata_variable_bool(&v, &on), E_PEER_RANGE);
}

static void test_strings_of_boot_loaders(void **state)
{
	static const struct {
		struct bytes data, measured;
		enum evdata_text kind;
		const char *want;
	} cases[] = {
		{ BYTES_LIT("grub_cmd: set x=1\0"), BYTES_LIT("set x=1"), EVDATA_TEXT_GRUB_COMMAND, "set x=1" },
		{ BYTES_LIT("grub_cmd: set x=1"), BYTES_LIT("set x=1"), EVDATA_TEXT_GRUB_COMMAND, "set x=1" },
		{ BYTES_LIT("grub_cmd set x=1\0"), BYTES_LIT("set x=1\0"), EVDATA_TEXT_GRUB_COMMAND, "set x=1" },
		{ BYTES_LIT("kernel_cmdline: /vmlinuz quiet\0"), BYTES_LIT("/vmlinuz quiet"), EVDATA_TEXT_GRUB_CMDLINE,
		  "/vmlinuz quiet" },
		{ BYTES_LIT("grub_kernel_cmdline /v q\0"), BYTES_LIT("/v q\0"), EVDATA_TEXT_GRUB_CMDLINE, "/v q" },
		{ BYTES_LIT("module_cmdline: m\0"), BYTES_LIT("m"), EVDATA_TEXT_MODULE_CMDLINE, "m" },
		{ BYTES_LIT("r\0o\0\0\0"), BYTES_LIT("r\0o\0\0\0"), EVDATA_TEXT_STUB_CMDLINE, "ro" },
		{ BYTES_LIT(".\0l\0i\0n\0u\0x\0\0\0"), BYTES_LIT(".linux\0"), EVDATA_TEXT_STUB_SECTION, ".linux" },
		{ BYTES_LIT("text\0"), BYTES_LIT("text"), EVDATA_TEXT_OTHER, "text" },
		{ BYTES_LIT("text\0"), BYTES_LIT("text\0"), EVDATA_TEXT_OTHER, "text" },
	};
	struct evdata d;
	struct one o;

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		d = event(&o, EV_IPL, cases[i].data, cases[i].measured);
		assert_text(&d, cases[i].kind, cases[i].want);
	}
}

/* A file's contents were measured: its path is nobody's word. */
static void test_E2_paths_are_hints(void **state)
{
	static const struct bytes data[] = { BYTES_LIT("(hd0,gpt1)/EFI/debian/grub.cfg\0"), BYTES_LIT("MokList\0"),
					     BYTES_LIT(".\0l\0i\0n\0u\0x\0\0\0"),
					     BYTES_LIT("kernel_cmdline: debug\0") };
	cleanup_buf struct buf b = BUF_INIT(LIMIT_SMALL);
	enum evdata_text kind;
	struct evdata d;
	struct one o;

	(void)state;
	for (size_t i = 0; i < array_len(data); i++) {
		d = event(&o, EV_IPL, data[i], BYTES_LIT("contents of a file"));
		assert_err(evdata_text(&d, &kind, &b), E_PEER_DIGEST);
	}
	d = event(&o, EV_EFI_GPT_EVENT, BYTES_LIT("x"), BYTES_LIT("x"));
	assert_err(evdata_text(&d, &kind, &b), E_PEER_TYPE);
}

static void test_text_that_is_none(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_SMALL);
	enum evdata_text kind;
	struct evdata d;
	struct one o;

	(void)state;
	d = event(&o, EV_EFI_ACTION, BYTES_LIT("a\0b"), BYTES_LIT("a\0b"));
	assert_err(evdata_text(&d, &kind, &b), E_PEER_SYNTAX);
	d = event(&o, EV_EFI_ACTION, BYTES_LIT("\xff"), BYTES_LIT("\xff"));
	assert_err(evdata_text(&d, &kind, &b), E_PEER_SYNTAX);
	/* UTF-16: a NUL within, half a pair. */
	d = event(&o, EV_IPL, BYTES_LIT("a\0\0\0b\0\0\0"), BYTES_LIT("a\0\0\0b\0\0\0"));
	assert_err(evdata_text(&d, &kind, &b), E_PEER_SYNTAX);
	d = event(&o, EV_IPL, BYTES_LIT("\x00\xd8\0\0"), BYTES_LIT("\x00\xd8\0\0"));
	assert_err(evdata_text(&d, &kind, &b), E_PEER_SYNTAX);
	assert_err(utf16_to_utf8(BYTES_LIT("a"), &b), E_PEER_SYNTAX);
	buf_clear(&b);
	assert_ok(utf16_to_utf8(BYTES_LIT("\xe9\0\xac\x20\x3d\xd8\x00\xde"), &b));
	assert_bytes(buf_bytes(&b), BYTES_LIT("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"));
}

static void test_boot_application(void **state)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_SMALL);
	const enum digest_id bank = DIGEST_SHA256;
	struct bytes digest, file;
	struct evdata_image image;
	struct evlog_event ev;
	struct evlog_pos pos = { 0 };
	struct logbuild l;
	struct evlog log;
	struct evdata d;
	struct digest want;

	(void)state;
	logbuild_init(&l, EVLOG_AGILE, 1, &bank);
	logbuild_header(&l);
	logbuild_image(&l, 4, EV_EFI_BOOT_SERVICES_APPLICATION, "\\EFI\\a.efi", BYTES_LIT("image"));
	assert_ok(evlog_open(buf_bytes(&l.b), &log, NULL));
	assert_ok(evlog_next(&log, &pos, &ev, NULL));
	assert_err(evdata_image_digest(&ev, bank, &digest), E_PEER_TYPE);
	assert_ok(evlog_next(&log, &pos, &ev, NULL));
	assert_ok(evdata_verify(&ev, bank, &d));
	assert_false(d.verified);
	assert_ok(evdata_image_digest(&ev, bank, &digest));
	assert_ok(digest_one(bank, BYTES_LIT("image"), &want));
	assert_bytes(digest, digest_bytes(&want));
	assert_err(evdata_image_digest(&ev, DIGEST_SHA1, &digest), E_PEER_UNSUPPORTED);
	assert_ok(evdata_parse_image(ev.data, &image));
	assert_ok(evdata_device_path_text(image.device_path, &text));
	assert_bytes(buf_bytes(&text), BYTES_LIT("\\EFI\\a.efi"));
	assert_ok(evdata_device_path_file(image.device_path, &file));
	assert_int_equal(file.n, 2 * strlen("\\EFI\\a.efi"));
	buf_free(&l.b);
}

static void test_device_paths(void **state)
{
	static const struct {
		const char *hex, *want;
	} cases[] = {
		{ "02010c00d041030a00000000"
		  "010106000001"
		  "7fff0400",
		  "PciRoot(0x0)/Pci(0x1,0x0)" },
		{ "03120a00010000000000"
		  "7fff0400",
		  "Sata(0x1,0x0,0x0)" },
		{ "0317100001000000"
		  "0000000000000000"
		  "7fff0400",
		  "NVMe(0x1)" },
		{ "04012a0001000000"
		  "0008000000000000"
		  "00f0030000000000"
		  "00000000111122223333555555555555"
		  "0202"
		  "7fff0400",
		  "HD(1,GPT,00000000-1111-2222-3333-555555555555,0x800,0x3f000)" },
		{ "040314004ec5d155cd04b5468a20e56cbb3052d0"
		  "7fff0400",
		  "VenMedia(55d1c54e-04cd-46b5-8a20-e56cbb3052d0)" },
		{ "0101050000"
		  "7fff0400",
		  "Path(1,1,1 bytes)" },
		{ "630105aa00"
		  "7fff0400",
		  NULL },
		{ "63010500aa"
		  "7fff0400",
		  "Path(99,1,1 bytes)" },
		{ "01010300", NULL }, /* shorter than its header */
		{ "0101ffff00", NULL },
		{ "010106000001", "Pci(0x1,0x0)" }, /* without an end */
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_buf struct buf path = BUF_INIT(0), text = BUF_INIT(LIMIT_SMALL);
		struct err e = evdata_device_path_text(unhex_(&path, cases[i].hex), &text);
		struct bytes file;

		(void)evdata_device_path_file(buf_bytes(&path), &file).code;
		assert_int_equal(failed(e), cases[i].want == NULL);
		if (cases[i].want != NULL)
			assert_bytes(buf_bytes(&text), bytes_str(cases[i].want));
	}
}

static void test_device_path_is_bounded(void **state)
{
	cleanup_buf struct buf path = BUF_INIT(LIMIT_SMALL), text = BUF_INIT(LIMIT_SMALL);
	struct bytes file;

	(void)state;
	for (size_t i = 0; i < 65; i++)
		assert_ok(buf_add(&path, BYTES_LIT("\x01\x01\x06\x00\x00\x01")));
	assert_err(evdata_device_path_text(buf_bytes(&path), &text), E_LIMIT_COUNT);
	assert_err(evdata_device_path_file(buf_bytes(&path), &file), E_LIMIT_COUNT);
}

static void put_gpt(struct buf *b, uint64_t n, uint32_t entry_size, size_t n_bytes)
{
	assert_ok(buf_add(b, BYTES_LIT("EFI PART")));
	for (size_t i = 0; i < 48; i++)
		logbuild_u8(b, 0);
	assert_ok(buf_add(b, BYTES_LIT("0123456789abcdef")));
	logbuild_u64(b, 2);
	logbuild_u32(b, 128);
	logbuild_u32(b, entry_size);
	logbuild_u32(b, 0);
	logbuild_u64(b, n);
	for (size_t i = 0; i < n_bytes; i++)
		logbuild_u8(b, (uint8_t)(i % 128 == 56 ? 'a' : 0));
}

static void test_gpt(void **state)
{
	static const struct {
		uint64_t n;
		uint32_t entry_size;
		size_t n_bytes;
		enum err_code want;
	} cases[] = {
		{ 2, 128, 256, E_OK },
		{ 0, 128, 0, E_OK },
		{ 2, 128, 255, E_PEER_TRUNCATED },
		{ 2, 128, 257, E_PEER_TRAILING },
		{ 1, 127, 127, E_PEER_RANGE },
		{ UINT64_MAX, 128, 256, E_PEER_TRUNCATED },
		{ 1, 0, 128, E_PEER_RANGE },
		{ UINT64_MAX / 64, 128, 256, E_PEER_TRUNCATED },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_buf struct buf b = BUF_INIT(LIMIT_SMALL);
		struct evdata_partition p;
		struct evdata_gpt g;
		struct evdata d;
		struct one o;

		put_gpt(&b, cases[i].n, cases[i].entry_size, cases[i].n_bytes);
		d = event(&o, EV_EFI_GPT_EVENT, buf_bytes(&b), buf_bytes(&b));
		assert_code(evdata_gpt(&d, &g), cases[i].want);
		d.cover = EVDATA_COVER_NONE;
		assert_err(evdata_gpt(&d, &g), E_PEER_DIGEST);
		if (cases[i].want != E_OK)
			continue;
		assert_bytes(g.disk_guid, BYTES_LIT("0123456789abcdef"));
		for (size_t k = 0; k < cases[i].n; k++) {
			assert_ok(evdata_gpt_partition(&g, k, &p));
			assert_bytes(p.name, BYTES_LIT("a\0"));
		}
		assert_err(evdata_gpt_partition(&g, cases[i].n, &p), E_PEER_RANGE);
	}
}

static void test_E3_separator_values(void **state)
{
	uint32_t value = 7;
	struct evdata d;
	struct one o;

	(void)state;
	d = event(&o, EV_SEPARATOR, BYTES_LIT("\0\0\0\0"), BYTES_LIT("\0\0\0\0"));
	assert_ok(evdata_separator(&d, &value));
	assert_int_equal(value, 0);
	d = event(&o, EV_SEPARATOR, BYTES_LIT("\xff\xff\xff\xff"), BYTES_LIT("\xff\xff\xff\xff"));
	assert_ok(evdata_separator(&d, &value));
	assert_true(value == UINT32_MAX);
	d = event(&o, EV_SEPARATOR, BYTES_LIT("\0\0\0\0"), BYTES_LIT("\xff\xff\xff\xff"));
	assert_err(evdata_separator(&d, &value), E_PEER_DIGEST);
	d = event(&o, EV_SEPARATOR, BYTES_LIT("\0\0\0"), BYTES_LIT("\0\0\0"));
	assert_err(evdata_separator(&d, &value), E_PEER_RANGE);
	d = event(&o, EV_SEPARATOR, BYTES_LIT("\0\0\0\0\0"), BYTES_LIT("\0\0\0\0\0"));
	assert_err(evdata_separator(&d, &value), E_PEER_RANGE);
}

static void test_blobs_and_tags(void **state)
{
	struct evdata_blob b;
	struct evdata_tag t;
	struct evdata d;
	struct one o;

	(void)state;
	assert_ok(evdata_parse_blob(EV_EFI_PLATFORM_FIRMWARE_BLOB, BYTES_LIT("\0\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0"), &b));
	assert_int_equal(b.base, 0x100);
	assert_int_equal(b.length, 0x200);
	assert_ok(evdata_parse_blob(EV_EFI_PLATFORM_FIRMWARE_BLOB2, BYTES_LIT("\2DX\0\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0"),
				    &b));
	assert_bytes(b.description, BYTES_LIT("DX"));
	assert_int_equal(b.length, 0x200);
	assert_err(evdata_parse_blob(EV_EFI_PLATFORM_FIRMWARE_BLOB2,
				     BYTES_LIT("\xff"
					       "DX"),
				     &b),
		   E_PEER_TRUNCATED);
	assert_ok(evdata_parse_tag(BYTES_LIT("\xec\x22\x3b\x8f\x03\0\0\0abc"), &t));
	assert_true(t.id == EVDATA_TAG_LINUX_INITRD);
	assert_bytes(t.contents, BYTES_LIT("abc"));
	assert_err(evdata_parse_tag(BYTES_LIT("\xec\x22\x3b\x8f\x04\0\0\0abc"), &t), E_PEER_TRUNCATED);
	d = event(&o, EV_EVENT_TAG, BYTES_LIT("\xec\x22\x3b\x8f\x03\0\0\0abc"), BYTES_LIT("abc"));
	assert_int_equal(d.cover, EVDATA_COVER_VALUE);
	d = event(&o, EV_EVENT_TAG, BYTES_LIT("\xec\x22\x3b\x8f\x03\0\0\0abc"), BYTES_LIT("the initrd"));
	assert_int_equal(d.cover, EVDATA_COVER_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_E2_data_that_does_not_match_is_refused),
		cmocka_unit_test(test_E2_version_that_does_not_match),
		cmocka_unit_test(test_E8_only_the_bank_that_is_asked),
		cmocka_unit_test(test_boot_variable_by_contents),
		cmocka_unit_test(test_variables_by_name_and_guid),
		cmocka_unit_test(test_lengths_that_would_wrap),
		cmocka_unit_test(test_E4_flags_are_one_byte),
		cmocka_unit_test(test_strings_of_boot_loaders),
		cmocka_unit_test(test_E2_paths_are_hints),
		cmocka_unit_test(test_text_that_is_none),
		cmocka_unit_test(test_boot_application),
		cmocka_unit_test(test_device_paths),
		cmocka_unit_test(test_device_path_is_bounded),
		cmocka_unit_test(test_gpt),
		cmocka_unit_test(test_E3_separator_values),
		cmocka_unit_test(test_blobs_and_tags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
