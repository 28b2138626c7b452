/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/uki.h"

#include <string.h>

#include "base/log.h"
#include "base/rd.h"

#define STUB_MAGIC "#### LoaderInfo: systemd-stub "
#define MAX_ZEROS 4096

/* In the order in which they are measured. */
static const struct {
	const char *name;
	unsigned since; /* first version that measures it */
	bool chosen;    /* of several, the machine decides which one */
} sections[] = {
	{ ".linux", 251, false }, { ".osrel", 251, false },   { ".cmdline", 251, false }, { ".initrd", 251, false },
	{ ".ucode", 256, false }, { ".splash", 251, false },  { ".dtb", 251, false },     { ".uname", 254, false },
	{ ".sbat", 254, false },  { ".pcrpkey", 251, false }, { ".profile", 257, false }, { ".dtbauto", 257, true },
	{ ".hwids", 257, false }, { ".efifw", 258, true },
};

/* A kernel's EFI stub that measures holds these strings. */
#define KERNEL_OPTIONS "LOADED_IMAGE::LoadOptions"
#define KERNEL_INITRD "Linux initrd"

struct ctx {
	const struct pe *pe;
	const struct uki_boot *boot;
	struct prediction *p;
	struct reason *reterr;
	unsigned version;
	struct bytes linux_data;
	struct buf extra; /* archives that the stub makes, one after the other */
};

static bool has(struct bytes b, const char *what)
{
	return b.n > 0 && memmem(b.p, b.n, what, strlen(what)) != NULL;
}

/* A section that counts: present, not empty in memory. */
static const struct pe_section *find(const struct pe *pe, const char *name)
{
	const struct pe_section *s = pe_section_by_name(pe, name);

	return s != NULL && s->virtual_size > 0 ? s : NULL;
}

static bool printable(const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s < 0x20 || *s > 0x7e)
			return false;
	}
	return true;
}

struct err uki_stub_version(const struct pe *pe, unsigned *ret)
{
	const struct pe_section *s = find(pe, ".sdmagic");
	const struct bytes magic = BYTES_LIT(STUB_MAGIC);
	struct bytes found;
	unsigned v = 0;
	size_t i;

	if (s == NULL || failed(bytes_sub(s->data, 0, magic.n, &found)) || !bytes_eq(found, magic))
		return ERR(E_PEER_MISSING);
	for (i = magic.n; i < s->data.n && s->data.p[i] >= '0' && s->data.p[i] <= '9' && v < 100000; i++)
		v = 10 * v + (unsigned)(s->data.p[i] - '0');
	if (i == magic.n)
		return ERR(E_PEER_MISSING);
	*ret = v;
	return ERR(E_OK);
}

/* Two sections of one name: which of them the stub takes depends on its version, so neither is guessed. */
static struct err check_names(const struct ctx *c)
{
	if (find(c->pe, ".profile") != NULL) {
		reason_set(c->reterr, "this image has profiles (.profile), which cannot be predicted yet");
		return ERR(E_PEER_UNSUPPORTED);
	}
	for (size_t i = 0; i < c->pe->n_sections; i++) {
		const struct pe_section *s = &c->pe->section[i];

		for (size_t k = 0; k < array_len(sections); k++) {
			if (strcmp(s->name, sections[k].name) == 0 && !sections[k].chosen &&
			    pe_section_by_name(c->pe, s->name) != s) {
				reason_set(c->reterr, "section %s stands there twice", s->name);
				return ERR(E_PEER_DUPLICATE);
			}
		}
	}
	return ERR(E_OK);
}

static struct err add_section(const struct ctx *c, const struct pe_section *s)
{
	static const uint8_t zeros[MAX_ZEROS];
	struct bytes parts[2];
	size_t n_zeros;
	struct err e;

	parts[0] = pe_section_memory(s, &n_zeros);
	if (n_zeros > MAX_ZEROS) {
		reason_set(c->reterr, "section %s is %zu bytes larger in memory than in the file", s->name, n_zeros);
		return ERR(E_LIMIT_SIZE);
	}
	parts[1] = BYTES(zeros, n_zeros);
	if (failed(e = predict_add(c->p, ROLE_SECTION, 11, EV_IPL, 1,
				   &(struct bytes){ (const uint8_t *)s->name, strlen(s->name) + 1 },
				   "name of section %s", s->name)))
		return e;
	return predict_add(c->p, ROLE_SECTION, 11, EV_IPL, 2, parts, "content of section %s", s->name);
}

static struct err add_sections(const struct ctx *c)
{
	struct err e;

	c->p->complete |= 1U << 11;
	for (size_t i = 0; i < array_len(sections); i++) {
		const struct pe_section *s = find(c->pe, sections[i].name);

		if (s == NULL || c->version < sections[i].since)
			continue;
		if (sections[i].chosen) {
			c->p->complete &= ~(1U << 11);
			c->p->uncertain |= 1U << 11;
			predict_note(c->p, "PCR 11: the machine decides which %s is used and measured",
				     sections[i].name);
			continue;
		}
		if (failed(e = add_section(c, s)))
			return e;
	}
	return ERR(E_OK);
}

/* The words that systemd-pcrphase extends, without NUL. */
static struct err add_phases(const struct ctx *c)
{
	const char *p = c->boot->phases;
	struct err e;

	while (p != NULL && *p != '\0') {
		const size_t n = strcspn(p, ":");
		const struct bytes word = BYTES(p, n);

		if (n == 0 || n > 64 || !printable(p)) {
			reason_set(c->reterr, "phases are words between colons, \"enter-initrd:leave-initrd\"");
			return ERR(E_PEER_RANGE);
		}
		if (failed(e = predict_add(c->p, ROLE_PHASE, 11, PREDICT_USERSPACE, 1, &word, "boot phase %.*s", (int)n,
					   p)))
			return e;
		p += n + (p[n] == ':' ? 1 : 0);
	}
	return ERR(E_OK);
}

/* ASCII as UTF-16 with its NUL: how load options lie in memory. */
static struct err utf16(struct bytes in, struct buf *ret)
{
	struct err e;

	for (size_t i = 0; i <= in.n; i++) {
		if (failed(e = buf_add_u8(ret, i < in.n ? in.p[i] : 0)) || failed(e = buf_add_u8(ret, 0)))
			return e;
	}
	return ERR(E_OK);
}

/* Versions of the stub differ in what they make of such a line. */
static bool line_is_plain(struct bytes line)
{
	for (size_t i = 0; i < line.n; i++) {
		if (line.p[i] < 0x20 || line.p[i] > 0x7e)
			return false;
	}
	return line.n > 0 && line.p[line.n - 1] != ' ';
}

static void unsure(const struct ctx *c, unsigned pcr, const char *why)
{
	c->p->complete &= ~(1U << pcr);
	c->p->uncertain |= 1U << pcr;
	predict_note(c->p, "PCR %u: %s", pcr, why);
}

/* The command line that the kernel gets; *ret_known where it is certain. PCR 12 gets one from outside. */
static struct err add_command_line(const struct ctx *c, struct bytes *ret, bool *ret_known)
{
	const struct pe_section *s = find(c->pe, ".cmdline");
	cleanup_buf struct buf wide = BUF_INIT(LIMIT_SMALL);
	const bool given = c->boot->options != NULL && c->boot->options[0] != '\0';
	size_t n_zeros = 0;
	struct err e;

	*ret = s != NULL ? pe_section_memory(s, &n_zeros) : BYTES_NONE;
	*ret_known = n_zeros == 0;
	if (!given)
		return ERR(E_OK);
	if (!printable(c->boot->options)) {
		reason_set(c->reterr, "load options must be printable ASCII");
		return ERR(E_PEER_RANGE);
	}
	if (s != NULL && c->boot->secure_boot == UKI_SECURE_BOOT_ON) {
		predict_note(c->p, "the load options do not count: Secure Boot is on and the image has a .cmdline");
		return ERR(E_OK);
	}
	if (s != NULL && c->boot->secure_boot == UKI_SECURE_BOOT_UNKNOWN) {
		*ret_known = false;
		unsure(c, 12, "load options count only with Secure Boot off; say which with --secure-boot");
		return ERR(E_OK);
	}
	*ret = bytes_str(c->boot->options);
	*ret_known = true;
	if (!line_is_plain(*ret)) {
		unsure(c, 12, "versions of the stub treat white space at the end of load options differently");
		return ERR(E_OK);
	}
	if (failed(e = utf16(*ret, &wide)))
		return e;
	c->p->complete |= 1U << 12;
	return predict_add(c->p, ROLE_PARAMETER, 12, EV_IPL, 1, &(struct bytes){ wide.p, wide.n },
			   "kernel command line from the boot entry: %s", c->boot->options);
}

/* An archive of files beside the image; also kept for the initrd. */
static struct err add_files(struct ctx *c, const struct uki_files *f, const char *dir, unsigned dir_mode,
			    unsigned file_mode, enum predict_role role, unsigned pcr, const char *what)
{
	const size_t start = c->extra.n;
	struct bytes archive;
	struct err e;

	if (f->n == 0)
		return ERR(E_OK);
	if (failed(e = cpio_write(dir, dir_mode, file_mode, f->n, f->file, &c->extra)) ||
	    failed(e = bytes_sub(buf_bytes(&c->extra), start, c->extra.n - start, &archive)))
		return e;
	c->p->complete |= (1U << pcr) & ~c->p->uncertain;
	return predict_add(c->p, role, pcr, EV_IPL, 1, &archive, "%s, %zu files", what, f->n);
}

/* A section that the stub also gives to the initrd, unmeasured in itself. */
static struct err add_literal(struct ctx *c, const char *section, const char *name)
{
	const struct pe_section *s = find(c->pe, section);
	struct cpio_file file = { .name = name };
	size_t n_zeros;

	if (s == NULL)
		return ERR(E_OK);
	file.data = pe_section_memory(s, &n_zeros);
	if (n_zeros > 0) {
		reason_set(c->reterr, "section %s is %zu bytes larger in memory than in the file", s->name, n_zeros);
		return ERR(E_PEER_UNSUPPORTED);
	}
	return cpio_write(".extra", 0555, 0444, 1, &file, &c->extra);
}

static struct err add_beside(struct ctx *c)
{
	const struct uki_boot *b = c->boot;
	struct err e;

	if (failed(e = add_files(c, &b->credentials, ".extra/credentials", 0500, 0400, ROLE_PARAMETER, 12,
				 "credentials beside the image")) ||
	    failed(e = add_files(c, &b->global_credentials, ".extra/global_credentials", 0500, 0400, ROLE_PARAMETER, 12,
				 "credentials for all images")) ||
	    failed(e = add_files(c, &b->sysexts, ".extra/sysext", 0555, 0444, ROLE_SYSEXT, 13, "system extensions")) ||
	    failed(e = add_literal(c, ".pcrsig", "tpm2-pcr-signature.json")) ||
	    failed(e = add_literal(c, ".pcrpkey", "tpm2-pcr-public-key.pem")))
		return e;
	return ERR(E_OK);
}

/* What the kernel's own EFI stub measures into PCR 9. */
static struct err add_kernel_events(const struct ctx *c, struct bytes line, bool line_known)
{
	static const uint8_t zeros[4];
	cleanup_buf struct buf wide = BUF_INIT(LIMIT_SMALL);
	const struct pe_section *initrd = find(c->pe, ".initrd");
	struct bytes parts[3] = { BYTES_NONE, BYTES_NONE, buf_bytes(&c->extra) };
	size_t n_zeros = 0;
	struct err e;

	if (!has(c->linux_data, KERNEL_OPTIONS) || !has(c->linux_data, KERNEL_INITRD)) {
		unsure(c, 9,
		       "this kernel's EFI stub does not measure load options and initrd in a way that is known here");
		return ERR(E_OK);
	}
	if (!line_known || !line_is_plain(line)) {
		unsure(c, 9, "the command line that the kernel gets is not certain");
		return ERR(E_OK);
	}
	if (c->version >= 257 || (c->version > 252 && (c->extra.n > 0 || find(c->pe, ".ucode") != NULL))) {
		unsure(c, 9, "what this version of the stub adds to the initrd is not known here");
		return ERR(E_OK);
	}
	if (failed(e = utf16(line, &wide)) ||
	    failed(e = predict_add(c->p, ROLE_LOAD_OPTIONS, 9, EV_EVENT_TAG, 1, &(struct bytes){ wide.p, wide.n },
				   "load options that the kernel gets: %.*s", (int)line.n, (const char *)line.p)))
		return e;
	c->p->complete |= 1U << 9;
	if (initrd == NULL && c->extra.n == 0)
		return ERR(E_OK);
	if (initrd != NULL) {
		parts[0] = pe_section_memory(initrd, &n_zeros);
		if (n_zeros > 0) {
			unsure(c, 9, ".initrd is larger in memory than in the file");
			return ERR(E_OK);
		}
	}
	if (c->extra.n > 0)
		parts[1] = BYTES(zeros, (4 - parts[0].n % 4) % 4);
	return predict_add(c->p, ROLE_LINUX_INITRD, 9, EV_EVENT_TAG, 3, parts, "initrd that the kernel gets");
}

static struct err add_images(const struct ctx *c)
{
	struct pe *kernel = NULL;
	cleanup_free void *owner = NULL;
	struct err e;

	if (failed(e = predict_add_image(c->p, ROLE_UKI, c->pe, "unified kernel image")))
		return e;
	if (c->boot->secure_boot == UKI_SECURE_BOOT_ON)
		return ERR(E_OK);
	owner = kernel = calloc(1, sizeof(*kernel));
	if (kernel == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = pe_parse(c->linux_data, kernel, c->reterr)) ||
	    failed(e = predict_add_image(c->p, ROLE_KERNEL, kernel, "kernel in section .linux")))
		return e;
	if (c->boot->secure_boot == UKI_SECURE_BOOT_UNKNOWN)
		predict_optional(c->p);
	return ERR(E_OK);
}

static struct err check_stub(struct ctx *c)
{
	const struct pe_section *s = find(c->pe, ".linux");
	size_t n_zeros;
	struct err e;

	if (failed(e = uki_stub_version(c->pe, &c->version))) {
		reason_set(c->reterr, "no section .sdmagic of a systemd-stub: not a unified kernel image of systemd");
		return e;
	}
	if (c->version < 251) {
		reason_set(c->reterr, "systemd-stub %u measures differently; 251 and later are understood", c->version);
		return ERR(E_PEER_UNSUPPORTED);
	}
	if (s == NULL) {
		reason_set(c->reterr, "no section .linux: a stub without a kernel");
		return ERR(E_PEER_MISSING);
	}
	c->linux_data = pe_section_memory(s, &n_zeros);
	return check_names(c);
}

static struct err predict(struct ctx *c)
{
	struct bytes line;
	bool line_known;
	struct err e;

	if (failed(e = check_stub(c)) || failed(e = add_images(c)) || failed(e = add_sections(c)) ||
	    failed(e = add_phases(c)) || failed(e = add_command_line(c, &line, &line_known)) ||
	    failed(e = add_beside(c)))
		return e;
	if (line_known)
		predict_line(c->p, line);
	return add_kernel_events(c, line, line_known);
}

struct err uki_predict(const struct pe *pe, const struct uki_boot *boot, struct prediction *p, struct reason *reterr)
{
	struct ctx c = { .pe = pe, .boot = boot, .p = p, .reterr = reterr };
	struct err e;

	buf_init(&c.extra, LIMIT_BOOT_FILE);
	e = predict(&c);
	buf_free(&c.extra);
	return e;
}
