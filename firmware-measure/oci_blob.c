/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/oci_blob.h"

#include "base/digest.h"
#include "base/text.h"

struct err blob_name(const uint8_t sha256[32], struct blob_name *ret)
{
	char hex[65];
	struct err e;

	if (failed(e = hex_encode(BYTES(sha256, 32), hex, sizeof(hex))))
		return e;
	(void)snprintf(ret->path, sizeof(ret->path), OCI_BLOBS "%s", hex);
	return ERR(E_OK);
}

struct err oci_in_document(const char *name, const struct reason *why, struct err e, struct reason *reterr)
{
	reason_set(reterr, "%s: %s", name, why->text[0] != '\0' ? why->text : err_text(e));
	return e;
}

struct err oci_wrong_size(const char *name, uint64_t size, uint64_t want, struct reason *reterr)
{
	reason_set(reterr, "blob %s has %ju bytes, its descriptor says %ju", name, (uintmax_t)size, (uintmax_t)want);
	return ERR(E_PEER_RANGE);
}

struct err oci_blob_open(const struct store *s, const struct oci_descriptor *d, const struct blob_name *name,
			 struct blob *ret, struct reason *reterr)
{
	cleanup_blob struct blob b = BLOB_NONE;
	struct err e;

	if (failed(e = store_blob_open(s, name->path, &b, reterr)))
		return e;
	if (b.span.size != d->size)
		return oci_wrong_size(blob_hex(name), b.span.size, d->size, reterr);
	*ret = b;
	b.own_fd = -1;
	return ERR(E_OK);
}

struct err oci_blob_compare(const char *hex, const uint8_t got[32], const uint8_t want[32], struct reason *reterr)
{
	char seen[65];
	struct err e;

	if (bytes_eq(BYTES(got, 32), BYTES(want, 32)))
		return ERR(E_OK);
	if (failed(e = hex_encode(BYTES(got, 32), seen, sizeof(seen))))
		return e;
	reason_set(reterr, "blob %s has the digest %s", hex, seen);
	return ERR(E_PEER_DIGEST);
}

/* The size is compared first: of a blob with another one nothing is read. */
struct err oci_blob_read(const struct store *s, const struct oci_descriptor *d, struct buf *ret, struct reason *reterr)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_OCI_JSON);
	cleanup_blob struct blob blob = BLOB_NONE;
	struct blob_name name;
	uint8_t got[32];
	struct err e;

	if (failed(e = blob_name(d->sha256, &name)) || failed(e = oci_blob_open(s, d, &name, &blob, reterr)) ||
	    failed(e = store_read(s, name.path, &b, reterr)) || failed(e = sha256(buf_bytes(&b), got)) ||
	    failed(e = oci_blob_compare(blob_hex(&name), got, d->sha256, reterr)))
		return e;
	buf_move(ret, &b);
	return ERR(E_OK);
}
