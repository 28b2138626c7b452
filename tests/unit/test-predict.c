/* SPDX-License-Identifier: Apache-2.0 */
/* Predictions of boots through a UKI and through GRUB, without a base. */
#include "firmware-measure/grub.h"
#include "firmware-measure/uki.h"

#include "pe-fixture.h"

#define MAGIC "#### LoaderInfo: systemd-stub 252.39-1~deb12u2 ####"
#define KERNEL_STRINGS "LOADED_IMAGE::LoadOptions Linux initrd"

struct fixture {
	struct buf kernel, image;
	struct pe pe;
	struct uki_boot boot;
	struct prediction p;
	struct reason why;
};

static struct fixture *f;

static int setup(void **state)
{
	(void)state;
	f = calloc(1, sizeof(*f));
	if (f == NULL)
		return -1;
	buf_init(&f->kernel, MIB);
	buf_init(&f->image, MIB);
	predict_init(&f->p, 1U << DIGEST_SHA256 | 1U << DIGEST_SHA1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	buf_free(&f->kernel);
	buf_free(&f->image);
	free(f);
	return 0;
}

/* A UKI whose .linux, the section named LINUX, becomes a PE image itself. */
static void build_uki(const char *magic, const struct fix_section *more, size_t n_more)
{
	static const struct fix_section in_kernel[] = { { ".text", KERNEL_STRINGS, 0 } };
	struct fix_section s[12] = { { ".text", "stub", 0 }, { ".sdmagic", magic, 0 } };
	static char room[FIX_HEADERS + 64];
	size_t i = 2;

	pe_build(&f->kernel, in_kernel, 1);
	memset(room, 'K', f->kernel.n);
	room[f->kernel.n] = '\0';
	s[i++] = (struct fix_section){ ".linux", room, 0 };
	for (size_t k = 0; k < n_more; k++)
		s[i++] = more[k];
	pe_build(&f->image, s, i);
	assert_ok(pe_parse(buf_bytes(&f->image), &f->pe, NULL));
	memcpy(f->image.p + pe_section_by_name(&f->pe, ".linux")->off, f->kernel.p, f->kernel.n);
}

static const struct fix_section usual[] = {
	{ ".cmdline", "console=ttyS0 quiet", 0 },
	{ ".osrel", "ID=x\n", 0 },
	{ ".uname", "6.1.0", 0 },
	{ ".initrd", "an initrd", 0 },
	{ ".pcrsig", "{}", 0 },
};

static struct err predict(void)
{
	return uki_predict(&f->pe, &f->boot, &f->p, &f->why);
}

static const struct predict_event *event(enum predict_role role, size_t k)
{
	for (size_t i = 0; i < f->p.n; i++) {
		if (f->p.ev[i].role == role && k-- == 0)
			return &f->p.ev[i];
	}
	return NULL;
}

static size_t count(enum predict_role role)
{
	size_t n = 0;

	while (event(role, n) != NULL)
		n++;
	return n;
}

static void assert_digest_of(const struct predict_event *ev, struct bytes data)
{
	struct digest d;

	assert_non_null(ev);
	assert_ok(digest_one(DIGEST_SHA256, data, &d));
	assert_bytes(digest_bytes(&ev->digest[DIGEST_SHA256]), digest_bytes(&d));
	assert_int_equal(ev->digest[DIGEST_SHA1].n, 20);
	assert_int_equal(ev->digest[DIGEST_SHA384].n, 0);
}

static void sections_in_canonical_order(void **state)
{
	static const struct {
		const char *name, *data;
	} want[] = { { ".linux", NULL },
		     { ".osrel", "ID=x\n" },
		     { ".cmdline", "console=ttyS0 quiet" },
		     { ".initrd", "an initrd" } };
	struct digest pcr = { .n = 32 }, seen;

	(void)state;
	build_uki(MAGIC, usual, array_len(usual));
	assert_ok(predict());
	assert_int_equal(count(ROLE_SECTION), 2 * array_len(want));
	for (size_t i = 0; i < array_len(want); i++) {
		struct bytes data = want[i].data == NULL ? buf_bytes(&f->kernel) : bytes_str(want[i].data);
		struct digest d;

		assert_digest_of(event(ROLE_SECTION, 2 * i), BYTES(want[i].name, strlen(want[i].name) + 1));
		assert_digest_of(event(ROLE_SECTION, 2 * i + 1), data);
		assert_ok(digest_one(DIGEST_SHA256, BYTES(want[i].name, strlen(want[i].name) + 1), &d));
		assert_ok(digest_extend(DIGEST_SHA256, &pcr, digest_bytes(&d), &pcr));
		assert_ok(digest_one(DIGEST_SHA256, data, &d));
		assert_ok(digest_extend(DIGEST_SHA256, &pcr, digest_bytes(&d), &pcr));
	}
	assert_ok(predict_pcr(&f->p, DIGEST_SHA256, 11, &seen));
	assert_bytes(digest_bytes(&seen), digest_bytes(&pcr));
	assert_true((f->p.complete >> 11 & 1) == 1);
	assert_true((f->p.complete >> 4 & 1) == 0);
}

static void stub_254_measures_uname(void **state)
{
	(void)state;
	build_uki("#### LoaderInfo: systemd-stub 254.1 ####", usual, array_len(usual));
	assert_ok(predict());
	assert_int_equal(count(ROLE_SECTION), 10);
	assert_digest_of(event(ROLE_SECTION, 9), BYTES_LIT("6.1.0"));
}

/* Memory behind the file's part of a section is zero, and counts. */
static void section_larger_in_memory(void **state)
{
	static const struct fix_section s[] = { { ".osrel", "ID=x", 20 }, { ".cmdline", "quiet", 0 } };
	uint8_t want[20] = "ID=x";

	(void)state;
	build_uki(MAGIC, s, array_len(s));
	assert_ok(predict());
	assert_digest_of(event(ROLE_SECTION, 3), BYTES_ARR(want));
}

static void phases(void **state)
{
	(void)state;
	build_uki(MAGIC, usual, array_len(usual));
	f->boot.phases = "enter-initrd:leave-initrd";
	assert_ok(predict());
	assert_int_equal(count(ROLE_PHASE), 2);
	assert_digest_of(event(ROLE_PHASE, 0), BYTES_LIT("enter-initrd"));
	assert_digest_of(event(ROLE_PHASE, 1), BYTES_LIT("leave-initrd"));
}

static void bad_phases(void **state)
{
	static const char *const bad[] = { ":", "a::b", "a\nb" };

	(void)state;
	build_uki(MAGIC, usual, array_len(usual));
	for (size_t i = 0; i < array_len(bad); i++) {
		f->boot.phases = bad[i];
		assert_err(predict(), E_PEER_RANGE);
	}
}

static void utf16(const char *s, uint8_t *ret)
{
	for (size_t i = 0; i <= strlen(s); i++) {
		ret[2 * i] = (uint8_t)s[i];
		ret[2 * i + 1] = 0;
	}
}

static void kernel_measures_options_and_initrd(void **state)
{
	uint8_t wide[64];

	(void)state;
	build_uki(MAGIC, usual, 4); /* without .pcrsig */
	assert_ok(predict());
	utf16("console=ttyS0 quiet", wide);
	assert_digest_of(event(ROLE_LOAD_OPTIONS, 0), BYTES(wide, 40));
	assert_digest_of(event(ROLE_LINUX_INITRD, 0), BYTES_LIT("an initrd"));
	assert_true((f->p.complete >> 9 & 1) == 1);
}

/* Secure Boot decides who measures the kernel, and whose command line counts. */
static void secure_boot(void **state)
{
	struct digest d;
	struct pe kernel;
	uint8_t wide[16];

	(void)state;
	build_uki(MAGIC, usual, array_len(usual));
	f->boot.options = "debug";
	f->boot.secure_boot = UKI_SECURE_BOOT_ON;
	assert_ok(predict());
	assert_int_equal(count(ROLE_KERNEL), 0);
	assert_int_equal(count(ROLE_PARAMETER), 0);

	predict_init(&f->p, f->p.banks);
	f->boot.secure_boot = UKI_SECURE_BOOT_OFF;
	assert_ok(predict());
	assert_ok(pe_parse(buf_bytes(&f->kernel), &kernel, NULL));
	assert_ok(pe_authenticode(&kernel, DIGEST_SHA256, &d));
	assert_bytes(digest_bytes(&event(ROLE_KERNEL, 0)->digest[DIGEST_SHA256]), digest_bytes(&d));
	assert_false(event(ROLE_KERNEL, 0)->optional);
	utf16("debug", wide);
	assert_digest_of(event(ROLE_PARAMETER, 0), BYTES(wide, 12));
	assert_digest_of(event(ROLE_LOAD_OPTIONS, 0), BYTES(wide, 12));

	predict_init(&f->p, f->p.banks);
	f->boot.secure_boot = UKI_SECURE_BOOT_UNKNOWN;
	assert_ok(predict());
	assert_true(event(ROLE_KERNEL, 0)->optional);
	assert_true((f->p.uncertain >> 12 & 1) == 1 && (f->p.uncertain >> 9 & 1) == 1);
}

static void not_a_uki(void **state)
{
	static const struct fix_section no_stub[] = { { ".linux", "x", 0 } };
	static const struct fix_section no_linux[] = { { ".sdmagic", MAGIC, 0 } };
	static const struct fix_section other[] = { { ".sdmagic", "#### LoaderInfo: systemd-boot 252 ####", 0 } };
	static const struct fix_section *const all[] = { no_stub, no_linux, other };

	(void)state;
	for (size_t i = 0; i < array_len(all); i++) {
		buf_clear(&f->image);
		pe_build(&f->image, all[i], 1);
		assert_ok(pe_parse(buf_bytes(&f->image), &f->pe, NULL));
		assert_err(predict(), E_PEER_MISSING);
	}
}

static void refused_images(void **state)
{
	static const struct fix_section twice[] = { { ".cmdline", "a", 0 }, { ".cmdline", "b", 0 } };
	static const struct fix_section profile[] = { { ".profile", "ID=x", 0 } };

	(void)state;
	build_uki(MAGIC, twice, 2);
	assert_err(predict(), E_PEER_DUPLICATE);
	buf_clear(&f->image);
	buf_clear(&f->kernel);
	build_uki(MAGIC, profile, 1);
	assert_err(predict(), E_PEER_UNSUPPORTED);
	buf_clear(&f->image);
	buf_clear(&f->kernel);
	build_uki("#### LoaderInfo: systemd-stub 250 ####", usual, 1);
	assert_err(predict(), E_PEER_UNSUPPORTED);
}

/* Spelled out: what GNU cpio would read, one folder above, root, no times. */
static void credentials_as_an_archive(void **state)
{
	static const char want[] = "070701"
				   "00000001"
				   "0000416d"
				   "00000000"
				   "00000000"
				   "00000001"
				   "00000000"
				   "00000000"
				   "00000000"
				   "00000000"
				   "00000000"
				   "00000000"
				   "00000007"
				   "00000000"
				   ".extra\0"
				   "\0\0\0"
				   "070701"
				   "00000002"
				   "00004140"
				   "00000000"
				   "00000000"
				   "00000001"
				   "00000000"
				   "00000000"
				   "00000000"
				   "00000000"
				   "00000000"
				   "00000000"
				   "00000013"
				   "00000000"
				   ".extra/credentials\0"
				   "\0\0\0"
				   "070701"
				   "00000003"
				   "00008100"
				   "00000000"
				   "00000000"
				   "00000001"
				   "00000000"
				   "00000005"
				   "00000000"
				   "00000000"
				   "00000000"
				   "00000000"
				   "0000001a"
				   "00000000"
				   ".extra/credentials/x.cred\0"
				   "hello\0\0\0"
				   "070701"
				   "00000000"
				   "00000000"
				   "00000000"
				   "00000000"
				   "00000001"
				   "00000000"
				   "00000000"
				   "00000000"
				   "00000000"
				   "00000000"
				   "00000000"
				   "0000000B"
				   "00000000"
				   "TRAILER!!!\0\0\0";

	(void)state;
	build_uki(MAGIC, usual, 4);
	f->boot.credentials.n = 1;
	f->boot.credentials.file[0] = (struct cpio_file){ "x.cred", BYTES_LIT("hello") };
	assert_ok(predict());
	assert_digest_of(event(ROLE_PARAMETER, 0), BYTES(want, sizeof(want)));
	assert_true((f->p.complete >> 12 & 1) == 1);
	/* The kernel's initrd is the section, filled to a multiple of 4, and the archive. */
	struct digest d;
	assert_ok(digest_of(DIGEST_SHA256, &d, 3,
			    (struct bytes[]){ BYTES_LIT("an initrd"), BYTES("\0\0\0", 3), BYTES(want, sizeof(want)) }));
	assert_bytes(digest_bytes(&event(ROLE_LINUX_INITRD, 0)->digest[DIGEST_SHA256]), digest_bytes(&d));
}

static void grub_boot(struct grub_boot *b, struct pe *kernel)
{
	static const struct fix_section s[] = { { ".text", "x", 0 } };

	pe_build(&f->kernel, s, 1);
	assert_ok(pe_parse(buf_bytes(&f->kernel), kernel, NULL));
	*b = (struct grub_boot){ .shim = kernel, .grub = kernel, .kernel = kernel, .n_initrds = 1 };
	b->initrd[0] = BYTES_LIT("initrd");
}

static void grub_with_a_plain_config(void **state)
{
	static const char config[] = "# comment\nset  timeout=0\n\nlinux /vmlinuz console=ttyS0 quiet \n"
				     "initrd /initrd\nboot";
	static const char *const want[] = { "set timeout=0", "linux /vmlinuz console=ttyS0 quiet",
					    "/vmlinuz console=ttyS0 quiet", "initrd /initrd", "boot" };
	struct grub_boot b;
	struct pe kernel;

	(void)state;
	grub_boot(&b, &kernel);
	b.config = bytes_str(config);
	assert_ok(grub_predict(&b, &f->p, &f->why));
	assert_int_equal(count(ROLE_COMMAND), array_len(want));
	for (size_t i = 0; i < array_len(want); i++)
		assert_digest_of(event(ROLE_COMMAND, i), bytes_str(want[i]));
	assert_digest_of(event(ROLE_CONFIG, 0), bytes_str(config));
	assert_digest_of(event(ROLE_FILE_KERNEL, 0), buf_bytes(&f->kernel));
	assert_digest_of(event(ROLE_FILE_KERNEL, 1), BYTES_LIT("initrd"));
	assert_int_equal(f->p.complete, 0);
}

static void grub_with_a_program(void **state)
{
	static const char *const programs[] = { "if true; then\nlinux /v a\nfi\ninitrd /i\n",
						"insmod gzio\nlinux /v a\ninitrd /i\n", "linux /v a\ninitrd /i /j\n",
						"linux /v a\nlinux /w a\ninitrd /i\n" };

	(void)state;
	for (size_t i = 0; i < array_len(programs); i++) {
		struct grub_boot b;
		struct pe kernel;

		predict_init(&f->p, f->p.banks);
		buf_clear(&f->kernel);
		grub_boot(&b, &kernel);
		b.config = bytes_str(programs[i]);
		b.kernel_path = "/v";
		b.initrd_paths = "/i";
		b.cmdline = "a  b";
		assert_ok(grub_predict(&b, &f->p, &f->why));
		assert_int_equal(count(ROLE_COMMAND), 0);
		assert_digest_of(event(ROLE_CMD_LINUX, 0), BYTES_LIT("linux /v a b"));
		assert_digest_of(event(ROLE_CMDLINE, 0), BYTES_LIT("/v a b"));
		assert_digest_of(event(ROLE_CMD_INITRD, 0), BYTES_LIT("initrd /i"));
	}
}

static void grub_refuses_quotes(void **state)
{
	struct grub_boot b;
	struct pe kernel;

	(void)state;
	grub_boot(&b, &kernel);
	b.kernel_path = "/v";
	b.cmdline = "x=\"a b\"";
	assert_err(grub_predict(&b, &f->p, &f->why), E_PEER_RANGE);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(sections_in_canonical_order),
		T(stub_254_measures_uname),
		T(section_larger_in_memory),
		T(phases),
		T(bad_phases),
		T(kernel_measures_options_and_initrd),
		T(secure_boot),
		T(not_a_uki),
		T(refused_images),
		T(credentials_as_an_archive),
		T(grub_with_a_plain_config),
		T(grub_with_a_program),
		T(grub_refuses_quotes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
