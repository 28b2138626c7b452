/* SPDX-License-Identifier: Apache-2.0 */
/* Platforms as people write them. */
#include <string.h>

#include "firmware-measure/oci_json.h"

/* One part, up to a slash or the end; *text goes on behind it. */
static bool take_part(struct bytes *text, char to[OCI_PLATFORM_MAX + 1])
{
	size_t n = 0;

	while (n < text->n && text->p[n] != '/') {
		char c = (char)text->p[n];
		bool fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';

		if (!fine || n == OCI_PLATFORM_MAX)
			return false;
		to[n++] = c;
	}
	to[n] = '\0';
	*text = n < text->n ? BYTES(text->p + n + 1, text->n - n - 1) : BYTES_NONE;
	return n > 0;
}

bool oci_platform_parse(struct bytes text, struct oci_platform *ret)
{
	struct oci_platform p = { 0 };

	if (text.n > 0 && text.p[text.n - 1] == '/')
		return false;
	if (!take_part(&text, p.os) || !take_part(&text, p.architecture) ||
	    (text.n > 0 && !take_part(&text, p.variant)) || text.n > 0)
		return false;
	*ret = p;
	return true;
}

bool oci_platform_fits(const struct oci_platform *is, const struct oci_platform *want)
{
	return strcmp(is->os, want->os) == 0 && strcmp(is->architecture, want->architecture) == 0 &&
	       (want->variant[0] == '\0' || strcmp(is->variant, want->variant) == 0);
}
