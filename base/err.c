/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	const char *text;
	unsigned http;
} table[N_ERR_CODES] = {
#define X(code, status, words) [code] = { #code, words, status },
	ERR_TABLE(X)
#undef X
};

static bool known(struct err e)
{
	return (unsigned)e.code < N_ERR_CODES;
}

const char *err_name(struct err e)
{
	return known(e) ? table[e.code].name : "E_?";
}

const char *err_text(struct err e)
{
	return known(e) ? table[e.code].text : "unknown error";
}

unsigned err_http(struct err e)
{
	return known(e) ? table[e.code].http : 500;
}

enum err_code err_by_name(const char *name)
{
	for (size_t i = 0; i < N_ERR_CODES; i++)
		if (strcmp(table[i].name, name) == 0)
			return (enum err_code)i;
	return N_ERR_CODES;
}

void reason_set(struct reason *r, const char *fmt, ...)
{
	static const char dots[] = "...";
	size_t cut = sizeof(r->text) - sizeof(dots);
	va_list ap;
	int n;

	if (r == NULL)
		return;
	va_start(ap, fmt);
	n = vsnprintf(r->text, sizeof(r->text), fmt, ap);
	va_end(ap);
	if (n < 0) {
		r->text[0] = '\0';
		return;
	}
	if ((size_t)n < sizeof(r->text))
		return;

	/* Cut in front of a character, so that UTF-8 stays UTF-8. */
	while (cut > 0 && ((unsigned char)r->text[cut] & 0xc0) == 0x80)
		cut--;
	memcpy(r->text + cut, dots, sizeof(dots));
}
