/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/evdata_show.h"

#include <inttypes.h>

#include "base/log.h"
#include "base/rd.h"
#include "base/text.h"

#define SHOWN_BYTES 32

/* "12 bytes 0102..." */
static struct err show_bytes(struct bytes data, struct buf *ret)
{
	size_t n = data.n < SHOWN_BYTES ? data.n : SHOWN_BYTES;
	struct err e;

	if (failed(e = buf_addf(ret, "%zu bytes%s", data.n, n > 0 ? " " : "")) ||
	    failed(e = buf_add_hex(ret, BYTES(data.p, n))))
		return e;
	return n < data.n ? buf_add_str(ret, "...") : ERR(E_OK);
}

static struct err show_quoted(struct bytes text, struct buf *ret)
{
	return buf_addf(ret, "\"%s\"", log_quote(text));
}

/* Text in either encoding, or bytes. */
static struct err show_text(struct bytes data, struct buf *ret)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_SMALL);
	struct bytes s = data;

	if (data.n >= 2 && data.n % 2 == 0 && data.p[1] == 0 && !failed(utf16_to_utf8(data, &text)) && text.n > 0)
		return show_quoted(buf_bytes(&text), ret);
	if (s.n > 0 && s.p[s.n - 1] == '\0')
		s.n--;
	return s.n > 0 && utf8_valid(s) ? show_quoted(s, ret) : show_bytes(data, ret);
}

static struct err show_variable(struct bytes data, struct buf *ret)
{
	cleanup_buf struct buf name = BUF_INIT(LIMIT_SMALL);
	char guid[EFI_GUID_TEXT_SIZE];
	struct evdata_variable v;
	size_t n = 0;
	struct err e;

	if (failed(evdata_parse_variable(data, &v)) || failed(utf16_to_utf8(v.name, &name)))
		return show_bytes(data, ret);
	efi_guid_text(v.guid, guid);
	if (failed(e = buf_add_str(ret, log_quote(buf_bytes(&name)))) ||
	    (v.id == EFI_VAR_OTHER && failed(e = buf_addf(ret, " {%s}", guid))) || failed(e = buf_add_str(ret, " = ")))
		return e;
	switch (v.id) {
	case EFI_VAR_PK:
	case EFI_VAR_KEK:
	case EFI_VAR_DB:
	case EFI_VAR_DBX:
		if (!failed(siglist_count(v.contents, &n)))
			return buf_addf(ret, "%zu entries, %zu bytes", n, v.contents.n);
		break;
	case EFI_VAR_SBAT_LEVEL:
		return show_text(v.contents, ret);
	case EFI_VAR_BOOT: {
		struct bytes description;

		if (!failed(bytes_sub(v.contents, 6, v.contents.n < 6 ? 0 : v.contents.n - 6, &description))) {
			size_t end = 0;

			while (end + 1 < description.n && (description.p[end] != 0 || description.p[end + 1] != 0))
				end += 2;
			return show_text(BYTES(description.p, end), ret);
		}
		break;
	}
	case EFI_VAR_OTHER:
	case EFI_VAR_SECURE_BOOT:
	case EFI_VAR_DBT:
	case EFI_VAR_DBR:
	case EFI_VAR_SETUP_MODE:
	case EFI_VAR_AUDIT_MODE:
	case EFI_VAR_DEPLOYED_MODE:
	case EFI_VAR_BOOT_ORDER:
	case EFI_VAR_SHIM:
	case EFI_VAR_MOK_LIST:
	case EFI_VAR_MOK_LIST_X:
	case EFI_VAR_MOK_LIST_TRUSTED:
	case EFI_VAR_MOK_SB_STATE:
	default:
		break;
	}
	return show_bytes(v.contents, ret);
}

static struct err show_image(struct bytes data, struct buf *ret)
{
	cleanup_buf struct buf path = BUF_INIT(LIMIT_SMALL);
	struct evdata_image i;

	if (failed(evdata_parse_image(data, &i)) || failed(evdata_device_path_text(i.device_path, &path)))
		return show_bytes(data, ret);
	return path.n > 0 ? buf_add_str(ret, log_quote(buf_bytes(&path))) : buf_add_str(ret, "(no path)");
}

static struct err show_gpt(struct bytes data, struct buf *ret)
{
	char guid[EFI_GUID_TEXT_SIZE];
	struct evdata_gpt g;

	if (failed(evdata_parse_gpt(data, &g)))
		return show_bytes(data, ret);
	efi_guid_text(g.disk_guid, guid);
	return buf_addf(ret, "disk %s, %" PRIu64 " partitions", guid, g.n_partitions);
}

static struct err show_blob(const struct evlog_event *ev, struct buf *ret)
{
	struct evdata_blob b;
	struct err e;

	if (failed(evdata_parse_blob(ev->type, ev->data, &b)))
		return show_text(ev->data, ret);
	if (b.description.n > 0 && (failed(e = show_text(b.description, ret)) || failed(e = buf_add_str(ret, " "))))
		return e;
	return buf_addf(ret, "at 0x%" PRIx64 ", %" PRIu64 " bytes", b.base, b.length);
}

static struct err show_tag(struct bytes data, struct buf *ret)
{
	struct evdata_tag t;
	struct err e;

	if (failed(evdata_parse_tag(data, &t)))
		return show_bytes(data, ret);
	if (failed(e = buf_addf(ret, "tag 0x%08x ", t.id)))
		return e;
	return show_text(t.contents, ret);
}

struct err evdata_show(const struct evlog_event *ev, struct buf *ret)
{
	char guid[EFI_GUID_TEXT_SIZE];

	switch (ev->type) {
	case EV_EFI_VARIABLE_DRIVER_CONFIG:
	case EV_EFI_VARIABLE_BOOT:
	case EV_EFI_VARIABLE_BOOT2:
	case EV_EFI_VARIABLE_AUTHORITY:
		return show_variable(ev->data, ret);
	case EV_EFI_BOOT_SERVICES_APPLICATION:
	case EV_EFI_BOOT_SERVICES_DRIVER:
	case EV_EFI_RUNTIME_SERVICES_DRIVER:
		return show_image(ev->data, ret);
	case EV_EFI_GPT_EVENT:
	case EV_EFI_GPT_EVENT2:
		return show_gpt(ev->data, ret);
	case EV_POST_CODE:
	case EV_POST_CODE2:
	case EV_EFI_PLATFORM_FIRMWARE_BLOB:
	case EV_EFI_PLATFORM_FIRMWARE_BLOB2:
		return show_blob(ev, ret);
	case EV_EVENT_TAG:
		return show_tag(ev->data, ret);
	case EV_SEPARATOR:
		return show_bytes(ev->data, ret);
	case EV_S_CRTM_VERSION:
		if (ev->data.n != EFI_GUID_SIZE || utf8_valid(ev->data) || ev->data.p[1] == 0)
			return show_text(ev->data, ret);
		efi_guid_text(ev->data, guid);
		return buf_add_str(ret, guid);
	default:
		return show_text(ev->data, ret);
	}
}
