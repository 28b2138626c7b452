/* SPDX-License-Identifier: Apache-2.0 */
/* Rules over what systemd measured after the boot. */
#include <string.h>

#include "base/text.h"
#include "firmware-measure/learn.h"
#include "firmware-measure/userlog.h"

#define MAX_TEXT 4096 /* of a rule */
#define MAX_LIST 256  /* texts of a rule */

/* What a rule can say word by word: one line that is no pattern. */
static bool plain(struct bytes text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] < 0x20 || text.p[i] == 0x7f)
			return false;
	return text.n > 0 && text.n <= MAX_TEXT && text.p[text.n - 1] != '*' && utf8_valid(text);
}

/* The set of a register, made where it is not there yet. */
static struct err set_of(json_t *sets, uint32_t pcr, json_t **ret)
{
	char key[8];

	(void)snprintf(key, sizeof(key), "%02u", pcr);
	*ret = json_object_get(sets, key);
	if (*ret != NULL)
		return ERR(E_OK);
	if (json_object_set_new(sets, key, json_object()) != 0)
		return ERR(E_LOCAL_MEMORY);
	*ret = json_object_get(sets, key);
	return ERR(E_OK);
}

static struct err learn_record(struct learn_firmware *l, const struct userlog_record *r, struct reason *reterr)
{
	cleanup_buf struct buf text = BUF_INIT(MAX_TEXT);
	const char *s;
	bool verified;
	json_t *set;
	struct err e;

	if (r->digest[l->bank].n == 0) {
		reason_set(reterr, "record %zu has no %s digest", r->index, digest_alg(l->bank)->name);
		return ERR(E_AUTH_REFUSED);
	}
	if (failed(e = userlog_verify(r, l->bank, &verified)))
		return e;
	l->extended |= 1u << r->pcr;
	if (!verified || !plain(r->string))
		return failed(e = set_of(l->user_digests, r->pcr, &set))
			       ? e
			       : learn_set_add_hex(set, digest_bytes(&r->digest[l->bank]));
	if (failed(e = set_of(l->user_texts, r->pcr, &set)) || failed(e = buf_add(&text, r->string)) ||
	    failed(e = buf_cstr(&text, &s)))
		return e;
	return learn_set_add(set, s);
}

struct err learn_firmware_userspace(struct learn_firmware *l, struct bytes raw, struct reason *reterr)
{
	cleanup_userlog_record struct userlog_record r = { 0 };
	struct evlog_fault fault = { 0 };
	struct userlog_pos pos = { 0 };
	struct err e;

	for (;;) {
		if (failed(e = userlog_next(raw, &pos, &r, &fault))) {
			reason_set(reterr, "at offset %zu: %s", fault.off, fault.why.text);
			return e;
		}
		if (r.end)
			return ERR(E_OK);
		if (r.pcr < LIMIT_PCRS && failed(e = learn_record(l, &r, reterr)))
			return e;
	}
}

static struct err put_list(json_t *row, const char *key, json_t *set, size_t max)
{
	json_t *list = NULL;
	struct err e;

	if (json_object_size(set) == 0)
		return ERR(E_OK);
	if (json_object_size(set) > max)
		return ERR(E_LIMIT_COUNT);
	if (failed(e = learn_set_list(set, &list)))
		return e;
	return json_put(row, key, list);
}

struct err learn_put_userspace(const struct learn_firmware *l, uint32_t compared, json_t *o)
{
	cleanup_json json_t *rows = json_array();
	struct err e;

	if (rows == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (uint32_t pcr = 0; pcr < LIMIT_PCRS; pcr++) {
		cleanup_json json_t *row = NULL;
		char key[8];
		json_t *texts, *digests;

		(void)snprintf(key, sizeof(key), "%02u", pcr);
		texts = json_object_get(l->user_texts, key);
		digests = json_object_get(l->user_digests, key);
		if ((compared >> pcr & 1) == 0 || (texts == NULL && digests == NULL))
			continue;
		if (failed(e = json_new_object(&row)) || failed(e = json_put_int(row, "pcr", pcr)) ||
		    failed(e = put_list(row, "strings", texts, MAX_LIST)) ||
		    failed(e = put_list(row, "digests", digests, LEARN_MAX_LIST)))
			return e;
		if (json_array_append_new(rows, take_ptr(&row)) != 0)
			return ERR(E_LOCAL_MEMORY);
	}
	return json_array_size(rows) > 0 ? json_put(o, "userspace", take_ptr(&rows)) : ERR(E_OK);
}
