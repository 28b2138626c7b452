/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/ima_path.h"

#include "base/limits.h"

static bool component_plain(struct bytes c)
{
	return c.n > 0 && !bytes_eq(c, BYTES_LIT(".")) && !bytes_eq(c, BYTES_LIT(".."));
}

bool ima_path_plain(struct bytes path)
{
	size_t from = 1;

	if (path.n < 2 || path.n >= LIMIT_PATH || path.p[0] != '/')
		return false;
	for (size_t i = 1; i <= path.n; i++) {
		if (i < path.n && (path.p[i] < ' ' || path.p[i] == 0x7f))
			return false;
		if (i < path.n && path.p[i] != '/')
			continue;
		if (!component_plain(BYTES(path.p + from, i - from)))
			return false;
		from = i + 1;
	}
	return true;
}

bool ima_path_below(struct bytes path, struct bytes rule)
{
	if (!ima_path_plain(path) || !ima_path_plain(rule) || path.n < rule.n)
		return false;
	return bytes_eq(BYTES(path.p, rule.n), rule) && (path.n == rule.n || path.p[rule.n] == '/');
}
