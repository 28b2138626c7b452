/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/oci_image.h"

#include <string.h>

#include "firmware-measure/oci_select.h"

void oci_image_done(struct oci_image *i)
{
	oci_manifest_done(&i->m);
	free(i->name);
	i->name = NULL;
	buf_free(&i->config);
}

static struct err name_layers(struct oci_image *i)
{
	struct blob_name name;
	struct err e;

	i->name = calloc(i->m.n_layers + 1, sizeof(*i->name));
	if (i->name == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t k = 0; k < i->m.n_layers; k++) {
		if (failed(e = blob_name(i->m.layer[k].sha256, &name)))
			return e;
		(void)snprintf(i->name[k].path, sizeof(i->name[k].path), "%s", name.path);
	}
	return ERR(E_OK);
}

static struct err read_manifest(const struct store *s, const struct oci_descriptor *d, struct oci_image *i,
				struct reason *reterr)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_OCI_JSON);
	struct reason why = { "" };
	struct err e;

	if (failed(e = oci_blob_read(s, d, &b, reterr)))
		return e;
	if (failed(e = oci_manifest_parse(buf_bytes(&b), &i->m, &why)))
		return oci_in_document("image manifest", &why, e, reterr);
	if (failed(e = oci_blob_read(s, &i->m.config, &i->config, reterr)))
		return e;
	if (failed(e = oci_config_parse(buf_bytes(&i->config), &why)))
		return oci_in_document("image configuration", &why, e, reterr);
	i->n_bytes = b.n + i->config.n;
	return bytes_copy_exact(BYTES_ARR(d->sha256), i->manifest, sizeof(i->manifest));
}

static struct err read_layout(const struct store *s, struct reason *reterr)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_SMALL);
	struct reason why = { "" };
	struct err e;

	if (failed(e = store_read(s, "oci-layout", &b, reterr)))
		return e;
	if (failed(e = oci_layout_parse(buf_bytes(&b), &why)))
		return oci_in_document("oci-layout", &why, e, reterr);
	return ERR(E_OK);
}

struct err oci_image_read(const struct store *s, const char *selector, struct oci_image *ret, struct reason *reterr)
{
	struct oci_selector asked = { 0 };
	struct oci_descriptor d = { 0 };
	struct err e;

	if (failed(e = read_layout(s, reterr)) || failed(e = oci_select(s, selector, &d, &asked, reterr)) ||
	    failed(e = read_manifest(s, &d, ret, reterr)) ||
	    failed(e = oci_platform_check(buf_bytes(&ret->config), &asked, reterr)))
		return e;
	if (!oci_is_digest(asked.name))
		memcpy(ret->tag, asked.name, strlen(asked.name) + 1); /* equal to a tag, so it fits */
	return name_layers(ret);
}
