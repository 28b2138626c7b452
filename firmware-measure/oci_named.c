/* SPDX-License-Identifier: Apache-2.0 */
/* Which blobs a document of a layout names. */
#include <string.h>

#include "base/json.h"
#include "base/limits.h"
#include "firmware-measure/oci_json.h"

void oci_named_done(struct oci_named *n)
{
	free(n->v);
	*n = (struct oci_named){ 0 };
}

static struct err add(struct oci_named *to, const json_t *descriptor, struct reason *reterr)
{
	const char *digest = json_string_value(json_object_get(descriptor, "digest"));
	const char *media = json_string_value(json_object_get(descriptor, "mediaType"));
	const json_int_t size = json_integer_value(json_object_get(descriptor, "size"));
	struct oci_descriptor d = { .media = OCI_MEDIA_OTHER, .size = size > 0 ? (uint64_t)size : 0 };

	if (digest == NULL || failed(oci_digest_parse(digest, d.sha256, NULL)))
		return ERR(E_OK);
	if (media != NULL)
		d.media = oci_media_of(media);
	if (to->n == LIMIT_OCI_NAMED) {
		reason_set(reterr, "the layout names more than %d blobs", LIMIT_OCI_NAMED);
		return ERR(E_LIMIT_COUNT);
	}
	if (to->n == to->cap) {
		size_t cap = to->cap == 0 ? 64 : 2 * to->cap; /* at most twice LIMIT_OCI_NAMED */
		struct oci_descriptor *v = reallocarray(to->v, cap, sizeof(*v));

		if (v == NULL)
			return ERR(E_LOCAL_MEMORY);
		to->v = v;
		to->cap = cap;
	}
	to->v[to->n++] = d;
	return ERR(E_OK);
}

struct err oci_named_add(struct bytes in, struct oci_named *ret, struct reason *reterr)
{
	static const char *const one[] = { "config", "subject" };
	static const char *const many[] = { "manifests", "layers", "blobs" };
	cleanup_json json_t *j = NULL;
	struct err e;

	if (failed(e = json_parse(in, LIMIT_OCI_JSON, &j, reterr)))
		return e;
	for (size_t i = 0; i < array_len(one); i++) {
		if (failed(e = add(ret, json_object_get(j, one[i]), reterr)))
			return e;
	}
	for (size_t i = 0; i < array_len(many); i++) {
		const json_t *list = json_object_get(j, many[i]);

		for (size_t k = 0; k < json_array_size(list); k++) {
			if (failed(e = add(ret, json_array_get(list, k), reterr)))
				return e;
		}
	}
	return ERR(E_OK);
}
