/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/appraise/document_impl.h"

#include <string.h>

#include "base/log.h"
#include "base/text.h"

void str_list_done(struct str_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	*l = (struct str_list){ 0 };
}

bool rule_id(const char *s)
{
	return id_valid(bytes_str(s));
}

bool rule_host(const char *s)
{
	return strcmp(s, "*") == 0 || rule_id(s);
}

bool rule_prefix(const char *s)
{
	char id[66];
	int n = snprintf(id, sizeof(id), "%sx", s);

	return n > 0 && (size_t)n < sizeof(id) && rule_id(id);
}

bool rule_scope(const char *s)
{
	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++) {
		if (*s <= 0x20 || *s > 0x7e || *s == '"' || *s == '\\')
			return false;
	}
	return true;
}

bool rule_url(const char *s)
{
	const char *rest;

	if (strncmp(s, "https://", 8) == 0)
		rest = s + 8;
	else if (strncmp(s, "http://", 7) == 0)
		rest = s + 7;
	else
		return false;
	if (*rest == '\0' || *rest == '/' || *rest == '?')
		return false;
	for (; *rest != '\0'; rest++) {
		if (*rest <= 0x20 || *rest > 0x7e || *rest == '#' || *rest == '"' || *rest == '<' || *rest == '>' ||
		    *rest == '\\')
			return false;
	}
	return true;
}

/* An array that is not empty. */
static struct err list_open(struct jobj *o, const char *key, const json_t **ret)
{
	struct err e;

	if (failed(e = jobj_arr(o, key, DOCUMENT_MAX_LIST, ret)))
		return e;
	if (json_array_size(*ret) > 0)
		return ERR(E_OK);
	reason_set(o->reterr, "%s.%s: the list is empty", o->where, key);
	return ERR(E_PEER_RANGE);
}

static struct err list_string(const struct jobj *o, const char *key, const json_t *array, size_t i, const char **ret)
{
	const json_t *item = json_array_get(array, i);

	if (!json_is_string(item)) {
		reason_set(o->reterr, "%s.%s[%zu]: not a string", o->where, key, i);
		return ERR(E_PEER_TYPE);
	}
	*ret = json_string_value(item);
	return ERR(E_OK);
}

static struct err list_twice(const struct jobj *o, const char *key, size_t i)
{
	reason_set(o->reterr, "%s.%s[%zu]: given twice", o->where, key, i);
	return ERR(E_PEER_DUPLICATE);
}

static struct err strings_add(struct jobj *o, const char *key, const json_t *array, text_rule rule,
			      struct str_list *list)
{
	size_t i = list->n;
	const char *s;
	struct err e;

	if (failed(e = list_string(o, key, array, i, &s)))
		return e;
	if (strlen(s) > DOCUMENT_MAX_TEXT || !rule(s)) {
		reason_set(o->reterr, "%s.%s[%zu]: \"%s\" is not allowed here", o->where, key, i,
			   log_quote(bytes_str(s)));
		return ERR(E_PEER_RANGE);
	}
	for (size_t j = 0; j < i; j++) {
		if (strcmp(list->v[j], s) == 0)
			return list_twice(o, key, i);
	}
	list->v[i] = strdup(s);
	if (list->v[i] == NULL)
		return ERR(E_LOCAL_MEMORY);
	list->n++;
	return ERR(E_OK);
}

struct err read_strings(struct jobj *o, const char *key, text_rule rule, struct str_list *ret)
{
	const json_t *array;
	struct err e;

	if (failed(e = list_open(o, key, &array)))
		return e;
	ret->v = calloc(json_array_size(array), sizeof(*ret->v));
	if (ret->v == NULL)
		return ERR(E_LOCAL_MEMORY);
	while (ret->n < json_array_size(array)) {
		if (failed(e = strings_add(o, key, array, rule, ret))) {
			str_list_done(ret);
			return e;
		}
	}
	return ERR(E_OK);
}

static struct err digests_add(struct jobj *o, const char *key, const json_t *array, struct sha_list *list)
{
	size_t i = list->n;
	const char *s;
	struct err e;

	if (failed(e = list_string(o, key, array, i, &s)))
		return e;
	if (failed(e = hex_decode_exact(bytes_str(s), list->v[i], sizeof(list->v[i])))) {
		reason_set(o->reterr, "%s.%s[%zu]: not a SHA-256 in hex", o->where, key, i);
		return e;
	}
	for (size_t j = 0; j < i; j++) {
		if (memcmp(list->v[j], list->v[i], sizeof(list->v[i])) == 0)
			return list_twice(o, key, i);
	}
	list->n++;
	return ERR(E_OK);
}

struct err read_digests(struct jobj *o, const char *key, struct sha_list *ret)
{
	const json_t *array;
	struct err e;

	if (failed(e = list_open(o, key, &array)))
		return e;
	ret->v = calloc(json_array_size(array), sizeof(*ret->v));
	if (ret->v == NULL)
		return ERR(E_LOCAL_MEMORY);
	while (ret->n < json_array_size(array)) {
		if (failed(e = digests_add(o, key, array, ret))) {
			free(ret->v);
			*ret = (struct sha_list){ 0 };
			return e;
		}
	}
	return ERR(E_OK);
}

struct err read_text(struct jobj *o, const char *key, char **ret)
{
	const char *s;
	struct err e;

	if (failed(e = jobj_str(o, key, DOCUMENT_MAX_TEXT, &s)))
		return e;
	if (*s == '\0') {
		reason_set(o->reterr, "%s.%s: the text is empty", o->where, key);
		return ERR(E_PEER_RANGE);
	}
	*ret = strdup(s);
	return *ret == NULL ? ERR(E_LOCAL_MEMORY) : ERR(E_OK);
}

struct err read_kinds(struct jobj *o, const char *key, unsigned *ret)
{
	const json_t *array;
	unsigned kinds = 0;
	struct err e;

	if (failed(e = list_open(o, key, &array)))
		return e;
	for (size_t i = 0; i < json_array_size(array); i++) {
		enum document_kind k;
		const char *s;

		if (failed(e = list_string(o, key, array, i, &s)))
			return e;
		k = document_kind_by_name(s);
		if (k == N_DOCUMENT_KINDS) {
			reason_set(o->reterr, "%s.%s[%zu]: \"%s\" is no kind of document", o->where, key, i,
				   log_quote(bytes_str(s)));
			return ERR(E_PEER_RANGE);
		}
		if ((kinds & 1u << k) != 0)
			return list_twice(o, key, i);
		kinds |= 1u << k;
	}
	*ret = kinds;
	return ERR(E_OK);
}

struct err read_word(struct jobj *o, const char *key, const char *const *words, size_t n, size_t *ret)
{
	char list[128] = "";
	const char *s;
	struct err e;

	if (failed(e = jobj_str(o, key, 32, &s)))
		return e;
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(list);

		if (strcmp(s, words[i]) == 0) {
			*ret = i;
			return ERR(E_OK);
		}
		(void)snprintf(list + len, sizeof(list) - len, "%s%s", i == 0 ? "" : ", ", words[i]);
	}
	reason_set(o->reterr, "%s.%s: \"%s\" is not one of %s", o->where, key, log_quote(bytes_str(s)), list);
	return ERR(E_PEER_RANGE);
}

struct err read_word_or_first(struct jobj *o, const char *key, const char *const *words, size_t n, size_t *ret)
{
	if (jobj_has(o, key))
		return read_word(o, key, words, n, ret);
	*ret = 0;
	return ERR(E_OK);
}
