/* SPDX-License-Identifier: Apache-2.0 */
/* What the digest of an event covers, and the accessors that depend on it. */
#include "firmware-measure/evdata.h"

#include "base/rd.h"
#include "base/text.h"

#define TEXT_MAX (64 * KIB)

/* What GRUB writes before the text that it measures; the edition of Red Hat Enterprise Linux 8 measures its NUL too. */
static const struct {
	struct bytes prefix;
	enum evdata_text kind;
	bool with_nul;
} prefixes[] = {
	{ BYTES_LIT("grub_cmd: "), EVDATA_TEXT_GRUB_COMMAND, false },
	{ BYTES_LIT("kernel_cmdline: "), EVDATA_TEXT_GRUB_CMDLINE, false },
	{ BYTES_LIT("module_cmdline: "), EVDATA_TEXT_MODULE_CMDLINE, false },
	{ BYTES_LIT("grub_cmd "), EVDATA_TEXT_GRUB_COMMAND, true },
	{ BYTES_LIT("grub_kernel_cmdline "), EVDATA_TEXT_GRUB_CMDLINE, true },
};

bool evdata_must_match(uint32_t type)
{
	switch (type) {
	case EV_SEPARATOR:
	case EV_S_CRTM_VERSION:
	case EV_ACTION:
	case EV_EFI_ACTION:
	case EV_EFI_VARIABLE_DRIVER_CONFIG:
	case EV_EFI_VARIABLE_BOOT:
	case EV_EFI_VARIABLE_BOOT2:
	case EV_EFI_VARIABLE_AUTHORITY:
	case EV_EFI_GPT_EVENT:
	case EV_EFI_GPT_EVENT2:
		return true;
	default:
		return false;
	}
}

/* The digest is over something that lies elsewhere: not worth hashing. */
static bool never_covered(uint32_t type)
{
	switch (type) {
	case EV_NO_ACTION:
	case EV_S_CRTM_CONTENTS:
	case EV_POST_CODE:
	case EV_POST_CODE2:
	case EV_CPU_MICROCODE:
	case EV_TABLE_OF_DEVICES:
	case EV_EFI_BOOT_SERVICES_APPLICATION:
	case EV_EFI_BOOT_SERVICES_DRIVER:
	case EV_EFI_RUNTIME_SERVICES_DRIVER:
	case EV_EFI_PLATFORM_FIRMWARE_BLOB:
	case EV_EFI_PLATFORM_FIRMWARE_BLOB2:
	case EV_EFI_HANDOFF_TABLES:
	case EV_EFI_HANDOFF_TABLES2:
	case EV_EFI_HCRTM_EVENT:
		return true;
	default:
		return false;
	}
}

static bool is_variable(uint32_t type)
{
	return type == EV_EFI_VARIABLE_DRIVER_CONFIG || type == EV_EFI_VARIABLE_BOOT || type == EV_EFI_VARIABLE_BOOT2 ||
	       type == EV_EFI_VARIABLE_AUTHORITY;
}

static bool is_image(uint32_t type)
{
	return type == EV_EFI_BOOT_SERVICES_APPLICATION || type == EV_EFI_BOOT_SERVICES_DRIVER ||
	       type == EV_EFI_RUNTIME_SERVICES_DRIVER;
}

/* Without the NUL at the end, if there is one. */
static struct bytes without_nul(struct bytes text)
{
	if (text.n > 0 && text.p[text.n - 1] == '\0')
		text.n--;
	return text;
}

/* What was measured of the text behind the prefix, and which it is. */
static bool split_prefix(struct bytes data, enum evdata_text *ret_kind, struct bytes *ret)
{
	for (size_t i = 0; i < array_len(prefixes); i++) {
		struct rd r = rd_init(data);
		struct bytes begin;

		if (failed(rd_bytes(&r, prefixes[i].prefix.n, &begin)) || !bytes_eq(begin, prefixes[i].prefix))
			continue;
		*ret_kind = prefixes[i].kind;
		*ret = rd_rest(&r);
		if (!prefixes[i].with_nul)
			*ret = without_nul(*ret);
		return true;
	}
	return false;
}

/* A UTF-16 string of ASCII characters, NUL included, as systemd-stub logs the section name that it measures in ASCII.
 */
static bool section_name(struct bytes data, uint8_t *to, size_t size, struct bytes *ret)
{
	struct rd r = rd_init(data);
	uint16_t c = 1;
	size_t n = 0;

	while (rd_left(&r) > 0) {
		if (c == 0 || n >= size || failed(rd_u16le(&r, &c)) || c > 0x7f)
			return false;
		to[n++] = (uint8_t)c;
	}
	if (n < 2 || c != 0 || to[0] != '.')
		return false;
	*ret = BYTES(to, n);
	return true;
}

/* The part of the data that may be what was measured, where not all of it was. */
static enum evdata_cover candidate(const struct evlog_event *ev, uint8_t name[64], struct bytes *ret)
{
	struct evdata_variable v;
	enum evdata_text kind;
	struct evdata_tag tag;

	switch (ev->type) {
	case EV_EFI_VARIABLE_BOOT:
	case EV_EFI_VARIABLE_BOOT2:
		if (failed(evdata_parse_variable(ev->data, &v)))
			return EVDATA_COVER_NONE;
		*ret = v.contents;
		return EVDATA_COVER_VALUE;
	case EV_EVENT_TAG:
		if (failed(evdata_parse_tag(ev->data, &tag)))
			return EVDATA_COVER_NONE;
		*ret = tag.contents;
		return EVDATA_COVER_VALUE;
	case EV_IPL:
		if (split_prefix(ev->data, &kind, ret) || section_name(ev->data, name, 64, ret))
			return EVDATA_COVER_TEXT;
		break;
	case EV_ACTION:
	case EV_EFI_ACTION:
	case EV_S_CRTM_VERSION:
	case EV_OMIT_BOOT_DEVICE_EVENTS:
		break;
	default:
		return EVDATA_COVER_NONE;
	}
	*ret = without_nul(ev->data);
	return ret->n < ev->data.n ? EVDATA_COVER_TEXT : EVDATA_COVER_NONE;
}

struct err evdata_verify(const struct evlog_event *ev, enum digest_id bank, struct evdata *ret)
{
	struct evdata d = { .ev = ev, .bank = bank };
	struct digest got;
	uint8_t name[64];
	bool part_first;
	struct err e;

	if ((unsigned)bank >= N_DIGESTS)
		return ERR(E_BUG);
	if (ev->digest[bank].n == 0)
		return ERR(E_PEER_UNSUPPORTED);
	if (never_covered(ev->type)) {
		*ret = d;
		return ERR(E_OK);
	}
	/* GRUB's text is nearly always measured without its prefix: the more likely of two hashes comes first. */
	part_first = ev->type == EV_IPL;
	for (int i = 0; i < 2 && d.cover == EVDATA_COVER_NONE; i++) {
		enum evdata_cover cover = EVDATA_COVER_ALL;
		struct bytes part = ev->data;

		if ((i == 0) == part_first)
			cover = candidate(ev, name, &part);
		if (cover == EVDATA_COVER_NONE)
			continue;
		if (failed(e = digest_one(bank, part, &got)))
			return e;
		if (bytes_eq(digest_bytes(&got), ev->digest[bank]))
			d.cover = cover;
	}
	d.verified = d.cover != EVDATA_COVER_NONE;
	*ret = d;
	return ERR(E_OK);
}

struct err evdata_variable(const struct evdata *d, struct evdata_variable *ret)
{
	bool boot = d->ev->type == EV_EFI_VARIABLE_BOOT || d->ev->type == EV_EFI_VARIABLE_BOOT2;

	if (!is_variable(d->ev->type))
		return ERR(E_PEER_TYPE);
	if (d->cover != EVDATA_COVER_ALL && !(boot && d->cover == EVDATA_COVER_VALUE))
		return ERR(E_PEER_DIGEST);
	return evdata_parse_variable(d->ev->data, ret);
}

struct err evdata_variable_bool(const struct evdata_variable *v, bool *ret)
{
	if (v->contents.n != 1 || v->contents.p[0] > 1)
		return ERR(E_PEER_RANGE);
	*ret = v->contents.p[0] == 1;
	return ERR(E_OK);
}

struct err evdata_image_digest(const struct evlog_event *ev, enum digest_id bank, struct bytes *ret)
{
	if (!is_image(ev->type))
		return ERR(E_PEER_TYPE);
	if ((unsigned)bank >= N_DIGESTS || ev->digest[bank].n == 0 || (ev->repeated >> bank & 1) != 0)
		return ERR(E_PEER_UNSUPPORTED);
	*ret = ev->digest[bank];
	return ERR(E_OK);
}

struct err evdata_gpt(const struct evdata *d, struct evdata_gpt *ret)
{
	if (d->ev->type != EV_EFI_GPT_EVENT && d->ev->type != EV_EFI_GPT_EVENT2)
		return ERR(E_PEER_TYPE);
	if (d->cover != EVDATA_COVER_ALL)
		return ERR(E_PEER_DIGEST);
	return evdata_parse_gpt(d->ev->data, ret);
}

struct err evdata_separator(const struct evdata *d, uint32_t *ret)
{
	struct rd r = rd_init(d->ev->data);
	uint32_t v;

	if (d->ev->type != EV_SEPARATOR)
		return ERR(E_PEER_TYPE);
	if (d->cover != EVDATA_COVER_ALL)
		return ERR(E_PEER_DIGEST);
	if (failed(rd_u32le(&r, &v)) || failed(rd_end(&r)))
		return ERR(E_PEER_RANGE);
	*ret = v;
	return ERR(E_OK);
}

static struct err add_utf8(struct bytes text, struct buf *ret)
{
	if (text.n > TEXT_MAX)
		return ERR(E_LIMIT_SIZE);
	if (!utf8_valid(text))
		return ERR(E_PEER_SYNTAX);
	return buf_add(ret, text);
}

/* UTF-16 with its NUL. */
static bool looks_utf16(struct bytes data)
{
	return data.n >= 2 && data.n % 2 == 0 && data.p[data.n - 1] == 0 && data.p[data.n - 2] == 0;
}

static struct err add_any_text(struct bytes data, struct buf *ret)
{
	if (data.n > TEXT_MAX)
		return ERR(E_LIMIT_SIZE);
	return looks_utf16(data) ? utf16_to_utf8(data, ret) : add_utf8(without_nul(data), ret);
}

/* UTF-16 or ASCII, or 16 bytes that are neither: a GUID. */
static struct err add_version(struct bytes data, struct buf *ret)
{
	char guid[EFI_GUID_TEXT_SIZE];

	if (data.n != EFI_GUID_SIZE || looks_utf16(data) || utf8_valid(data))
		return add_any_text(data, ret);
	efi_guid_text(data, guid);
	return buf_add_str(ret, guid);
}

static struct err add_ipl(const struct evdata *d, enum evdata_text *ret_kind, struct buf *ret)
{
	struct bytes text = BYTES_NONE;
	uint8_t name[64];

	if (d->cover == EVDATA_COVER_ALL) {
		*ret_kind = looks_utf16(d->ev->data) ? EVDATA_TEXT_STUB_CMDLINE : EVDATA_TEXT_OTHER;
		return add_any_text(d->ev->data, ret);
	}
	if (split_prefix(d->ev->data, ret_kind, &text))
		return add_utf8(without_nul(text), ret);
	if (section_name(d->ev->data, name, sizeof(name), &text)) {
		*ret_kind = EVDATA_TEXT_STUB_SECTION;
		return add_utf8(without_nul(text), ret);
	}
	*ret_kind = EVDATA_TEXT_OTHER;
	return add_utf8(without_nul(d->ev->data), ret);
}

struct err evdata_text(const struct evdata *d, enum evdata_text *ret_kind, struct buf *ret)
{
	enum evdata_text kind;
	size_t before = ret->n;
	struct err e;

	switch (d->ev->type) {
	case EV_S_CRTM_VERSION:
		kind = EVDATA_TEXT_VERSION;
		break;
	case EV_ACTION:
	case EV_EFI_ACTION:
		kind = EVDATA_TEXT_ACTION;
		break;
	case EV_IPL:
	case EV_OMIT_BOOT_DEVICE_EVENTS:
		kind = EVDATA_TEXT_OTHER;
		break;
	default:
		return ERR(E_PEER_TYPE);
	}
	if (!d->verified)
		return ERR(E_PEER_DIGEST);
	if (d->ev->type == EV_IPL)
		e = add_ipl(d, &kind, ret);
	else if (d->ev->type == EV_S_CRTM_VERSION)
		e = add_version(d->ev->data, ret);
	else
		e = add_utf8(without_nul(d->ev->data), ret);
	if (failed(e)) {
		if (failed(buf_truncate(ret, before)))
			return ERR(E_BUG);
		return e;
	}
	*ret_kind = kind;
	return ERR(E_OK);
}
