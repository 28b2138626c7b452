/* SPDX-License-Identifier: Apache-2.0 */
/* Who may sign what: /etc/assay/operators.json, written by root. */
#include "verifier/appraise/document_impl.h"

#include <string.h>

#include "base/text.h"

#define OPERATORS_MAX 1024

void operators_done(struct operators *o)
{
	for (size_t i = 0; i < o->n; i++) {
		key_free(o->v[i].key);
		str_list_done(&o->v[i].prefixes);
	}
	free(o->v);
	*o = (struct operators){ 0 };
}

static struct err read_key(struct jobj *o, struct operator_key *ret)
{
	uint8_t sum[32];
	const char *pem;
	struct err e;

	if (failed(e = jobj_str(o, "public_key", 4096, &pem)))
		return e;
	if (failed(e = key_from_pem(bytes_str(pem), &ret->key))) {
		reason_set(o->reterr, "%s.public_key: not a public key in PEM (%s)", o->where, err_text(e));
		return e;
	}
	if (key_kind(ret->key) != KEY_ED25519 && key_kind(ret->key) != KEY_EC_P256) {
		reason_set(o->reterr, "%s.public_key: neither Ed25519 nor P-256", o->where);
		return ERR(E_PEER_UNSUPPORTED);
	}
	if (failed(e = key_spki_sha256(ret->key, sum)))
		return e;
	return hex_encode(BYTES_ARR(sum), ret->keyid, sizeof(ret->keyid));
}

/* Fills in the last operator of the list, which counts already and so is freed with it. */
static struct err read_operator(const json_t *item, struct operators *list, struct reason *reterr)
{
	struct operator_key *me = &list->v[list->n - 1];
	const char *name;
	char where[32];
	struct jobj o;
	struct err e;

	(void)snprintf(where, sizeof(where), "operators[%zu]", list->n - 1);
	if (failed(e = jobj_init(&o, item, where, reterr)) ||
	    failed(e = jobj_id(&o, "name", &name)) ||
	    failed(e = read_key(&o, me)) ||
	    failed(e = read_kinds(&o, "kinds", &me->kinds)) ||
	    failed(e = read_strings(&o, "prefixes", rule_prefix, &me->prefixes)) ||
	    failed(e = jobj_end(&o)))
		return e;
	memcpy(me->name, name, strlen(name) + 1);
	for (size_t i = 0; i + 1 < list->n; i++) {
		if (strcmp(list->v[i].name, me->name) == 0 || strcmp(list->v[i].keyid, me->keyid) == 0) {
			reason_set(reterr, "%s: name or key given twice", where);
			return ERR(E_PEER_DUPLICATE);
		}
	}
	return ERR(E_OK);
}

struct err operators_parse(struct bytes json, struct operators *ret, struct reason *reterr)
{
	cleanup_operators struct operators list = { 0 };
	cleanup_json json_t *root = NULL;
	const json_t *array;
	struct jobj o;
	struct err e;

	if (failed(e = json_parse(json, LIMIT_CONFIG, &root, reterr)) ||
	    failed(e = jobj_init(&o, root, "operators file", reterr)) ||
	    failed(e = jobj_arr(&o, "operators", OPERATORS_MAX, &array)) ||
	    failed(e = jobj_end(&o)))
		return e;
	if (json_array_size(array) > 0) {
		list.v = calloc(json_array_size(array), sizeof(*list.v));
		if (list.v == NULL)
			return ERR(E_LOCAL_MEMORY);
	}
	for (size_t i = 0; i < json_array_size(array); i++) {
		list.n++;
		if (failed(e = read_operator(json_array_get(array, i), &list, reterr)))
			return e;
	}
	*ret = list;
	list = (struct operators){ 0 };
	return ERR(E_OK);
}
