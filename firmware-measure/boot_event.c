/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/boot_event.h"

bool boot_event_structural(const struct evdata *d)
{
	static const char *const actions[] = {
		"Calling EFI Application from Boot Option",
		"Returning from EFI Application from Boot Option",
		"Exit Boot Services Invocation",
		"Exit Boot Services Returned with Success",
	};
	const struct evlog_event *ev = d->ev;
	uint32_t value;

	if (ev->type == EV_SEPARATOR)
		return ev->pcr <= 7 && !failed(evdata_separator(d, &value)) && value == 0;
	if (ev->type != EV_EFI_ACTION || d->cover != EVDATA_COVER_ALL || (ev->pcr != 4 && ev->pcr != 5))
		return false;
	for (size_t i = 0; i < array_len(actions); i++)
		if (bytes_eq(ev->data, bytes_str(actions[i])))
			return true;
	return false;
}

static bool begins(struct bytes text, const char *with, struct bytes *ret_rest)
{
	struct bytes word = bytes_str(with), start;

	return !failed(bytes_sub(text, 0, word.n, &start)) && bytes_eq(start, word) &&
	       !failed(bytes_sub(text, word.n, text.n - word.n, ret_rest));
}

bool boot_event_command_line(enum evdata_text kind, struct bytes text, struct bytes *ret)
{
	if (kind == EVDATA_TEXT_GRUB_CMDLINE || kind == EVDATA_TEXT_STUB_CMDLINE) {
		*ret = text;
		return true;
	}
	return kind == EVDATA_TEXT_GRUB_COMMAND && (begins(text, "linux ", ret) || begins(text, "linuxefi ", ret));
}

#define MAX_LINE (16 * KIB) /* in UTF-16 */

struct err boot_line_digests(const char *line, enum digest_id bank, struct boot_line *ret)
{
	static const struct bytes ends[BOOT_LINE_FORMS] = { { NULL, 0 }, BYTES_LIT("\0"), BYTES_LIT("\n") };
	cleanup_buf struct buf wide = BUF_INIT(MAX_LINE);
	struct boot_line l;
	struct err e;

	for (const char *p = line;; p++) {
		if (failed(e = buf_add_u8(&wide, (uint8_t)*p)) || failed(e = buf_add_u8(&wide, 0)))
			return e;
		if (*p == '\0')
			break;
	}
	if (failed(e = digest_one(bank, buf_bytes(&wide), &l.options)))
		return e;
	for (size_t i = 0; i < BOOT_LINE_FORMS; i++) {
		const struct bytes parts[] = { bytes_str(line), ends[i] };

		if (failed(e = digest_of(bank, &l.section[i], array_len(parts), parts)))
			return e;
	}
	*ret = l;
	return ERR(E_OK);
}

bool boot_line_is(const struct boot_line *l, bool section, struct bytes digest)
{
	if (digest.n == 0)
		return false;
	if (!section)
		return bytes_eq(digest_bytes(&l->options), digest);
	for (size_t i = 0; i < BOOT_LINE_FORMS; i++)
		if (bytes_eq(digest_bytes(&l->section[i]), digest))
			return true;
	return false;
}
