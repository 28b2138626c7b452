/* SPDX-License-Identifier: Apache-2.0 */
/* The member "firmware.userspace" of a platform document: assay-platform(5). */
#include <string.h>

#include "base/text.h"
#include "verifier/appraise/platform_read.h"

/* One line of text; a star is a pattern's, and stands at its end only. */
static bool rule_string(const char *s)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f || (s[i] == '*' && i + 1 < n))
			return false;
	/* A star alone would approve whatever is measured. */
	return n > 0 && strcmp(s, "*") != 0 && utf8_valid(bytes_str(s));
}

static struct err read_rule(const struct jobj *o, size_t i, const json_t *item, enum digest_id bank,
			    struct platform_firmware *f, struct platform_userspace_rule *ret)
{
	struct read_path where = read_path_item(o, "userspace", i);
	struct jobj row;
	uint64_t pcr;
	struct err e;

	if (failed(e = jobj_init(&row, item, where.text, o->reterr)) ||
	    failed(e = jobj_u64(&row, "pcr", LIMIT_PCRS - 1, &pcr)))
		return e;
	ret->pcr = (uint32_t)pcr;
	if ((f->pcr_mask >> pcr & 1) == 0) {
		reason_set(o->reterr, "%s.pcr: a register that \"pcrs\" does not name", where.text);
		return ERR(E_PEER_RANGE);
	}
	for (size_t k = 0; k < i; k++)
		if (f->userspace[k].pcr == ret->pcr)
			return read_twice(o, "userspace", i);
	if (jobj_has(&row, "strings") &&
	    failed(e = read_texts(&row, "strings", PLATFORM_MAX_CMDLINE, rule_string, &ret->strings)))
		return e;
	if (jobj_has(&row, "digests") && failed(e = read_bank_digests(&row, "digests", bank, &ret->digests)))
		return e;
	if (ret->strings.n == 0 && ret->digests.n == 0) {
		reason_set(o->reterr, "%s: neither strings nor digests, so it would approve nothing", where.text);
		return ERR(E_PEER_RANGE);
	}
	return jobj_end(&row);
}

struct err read_userspace(struct jobj *o, enum digest_id bank, struct platform_firmware *f)
{
	const json_t *array;
	struct err e;

	if (!jobj_has(o, "userspace"))
		return ERR(E_OK);
	if (failed(e = read_list(o, "userspace", LIMIT_PCRS, &array)))
		return e;
	f->userspace = calloc(json_array_size(array), sizeof(*f->userspace));
	if (f->userspace == NULL)
		return ERR(E_LOCAL_MEMORY);
	while (f->n_userspace < json_array_size(array)) {
		size_t i = f->n_userspace++;

		if (failed(e = read_rule(o, i, json_array_get(array, i), bank, f, &f->userspace[i])))
			return e;
	}
	return ERR(E_OK);
}
