/* SPDX-License-Identifier: Apache-2.0 */
/* Lists and words of a platform document. */
#include "verifier/appraise/platform_read.h"

#include <string.h>

#include "base/log.h"
#include "base/text.h"

struct read_path read_path(const struct jobj *o, const char *key)
{
	struct read_path p;

	(void)snprintf(p.text, sizeof(p.text), "%s.%s", o->where, key);
	return p;
}

struct read_path read_path_item(const struct jobj *o, const char *key, size_t i)
{
	struct read_path p;

	(void)snprintf(p.text, sizeof(p.text), "%s.%s[%zu]", o->where, key, i);
	return p;
}

struct err read_list(struct jobj *o, const char *key, size_t max, const json_t **ret)
{
	struct err e;

	if (failed(e = jobj_arr(o, key, max, ret)))
		return e;
	if (json_array_size(*ret) > 0)
		return ERR(E_OK);
	reason_set(o->reterr, "%s.%s: the list is empty", o->where, key);
	return ERR(E_PEER_RANGE);
}

struct err read_item(const struct jobj *o, const char *key, const json_t *array, size_t i, const char **ret)
{
	const json_t *item = json_array_get(array, i);

	if (!json_is_string(item)) {
		reason_set(o->reterr, "%s.%s[%zu]: not a string", o->where, key, i);
		return ERR(E_PEER_TYPE);
	}
	*ret = json_string_value(item);
	return ERR(E_OK);
}

struct err read_twice(const struct jobj *o, const char *key, size_t i)
{
	reason_set(o->reterr, "%s.%s[%zu]: given twice", o->where, key, i);
	return ERR(E_PEER_DUPLICATE);
}

struct err read_bank_digests(struct jobj *o, const char *key, enum digest_id bank, struct platform_digests *ret)
{
	const struct digest_alg *alg = digest_alg(bank);
	uint8_t v[DIGEST_MAX];
	const json_t *array;
	const char *s;
	struct err e;

	if (failed(e = read_list(o, key, PLATFORM_MAX_LIST, &array)))
		return e;
	ret->size = alg->size;
	ret->v = calloc(json_array_size(array), alg->size);
	if (ret->v == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < json_array_size(array); i++) {
		bool there;
		size_t at;

		if (failed(e = read_item(o, key, array, i, &s)))
			return e;
		if (failed(e = hex_decode_exact(bytes_str(s), v, alg->size))) {
			reason_set(o->reterr, "%s.%s[%zu]: not a %s digest in hex", o->where, key, i, alg->name);
			return e;
		}
		at = platform_digests_place(ret, v, &there);
		if (there)
			return read_twice(o, key, i);
		memmove(ret->v + (at + 1) * alg->size, ret->v + at * alg->size, (ret->n - at) * alg->size);
		memcpy(ret->v + at * alg->size, v, alg->size);
		ret->n++;
	}
	return ERR(E_OK);
}

struct err read_texts(struct jobj *o, const char *key, size_t max_len, text_rule rule, struct platform_texts *ret)
{
	const json_t *array;
	const char *s;
	struct err e;

	if (failed(e = read_list(o, key, DOCUMENT_MAX_LIST, &array)))
		return e;
	ret->v = calloc(json_array_size(array), sizeof(*ret->v));
	if (ret->v == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < json_array_size(array); i++) {
		if (failed(e = read_item(o, key, array, i, &s)))
			return e;
		if (strlen(s) > max_len || !rule(s)) {
			reason_set(o->reterr, "%s.%s[%zu]: \"%s\" is not allowed here", o->where, key, i,
				   log_quote(bytes_str(s)));
			return ERR(E_PEER_RANGE);
		}
		for (size_t k = 0; k < i; k++)
			if (strcmp(ret->v[k], s) == 0)
				return read_twice(o, key, i);
		ret->v[i] = strdup(s);
		if (ret->v[i] == NULL)
			return ERR(E_LOCAL_MEMORY);
		ret->n++;
	}
	return ERR(E_OK);
}

/* SHA-1 collides for money, so a file is not known by it. */
static bool file_digest_parse(const char *s, struct platform_file_digest *ret)
{
	struct platform_file_digest d = { .verity = strncmp(s, "verity:", 7) == 0, .alg = DIGEST_SHA256 };
	const struct digest_alg *alg;
	const char *colon;

	if (d.verity)
		s += 7;
	colon = strchr(s, ':');
	alg = colon == NULL ? digest_alg(DIGEST_SHA256) : digest_by_name(BYTES(s, (size_t)(colon - s)));
	if (alg == NULL || alg->id == DIGEST_SHA1 ||
	    failed(hex_decode_exact(bytes_str(colon == NULL ? s : colon + 1), d.value.v, alg->size)))
		return false;
	d.alg = alg->id;
	d.value.n = (uint8_t)alg->size;
	*ret = d;
	return true;
}

static int compare_file_digests(const void *a, const void *b)
{
	return platform_file_digest_cmp(a, b);
}

struct err read_file_digests(struct jobj *o, const char *key, struct platform_file_digests *ret)
{
	const json_t *array;
	const char *s;
	struct err e;

	if (failed(e = read_list(o, key, PLATFORM_MAX_LIST, &array)))
		return e;
	ret->v = calloc(json_array_size(array), sizeof(*ret->v));
	if (ret->v == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < json_array_size(array); i++) {
		if (failed(e = read_item(o, key, array, i, &s)))
			return e;
		if (!file_digest_parse(s, &ret->v[i])) {
			reason_set(o->reterr,
				   "%s.%s[%zu]: not a digest of SHA-256 or better as HEX, ALG:HEX or verity:ALG:HEX",
				   o->where, key, i);
			return ERR(E_PEER_RANGE);
		}
		ret->n++;
	}
	qsort(ret->v, ret->n, sizeof(*ret->v), compare_file_digests);
	for (size_t i = 1; i < ret->n; i++) {
		if (platform_file_digest_cmp(&ret->v[i - 1], &ret->v[i]) == 0) {
			reason_set(o->reterr, "%s.%s: a digest is given twice", o->where, key);
			return ERR(E_PEER_DUPLICATE);
		}
	}
	return ERR(E_OK);
}
