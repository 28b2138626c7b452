/* SPDX-License-Identifier: Apache-2.0 */
/* EK certificates from files, for TPMs that hold none. */
#include <fcntl.h>
#include <string.h>

#include "attest/ek.h"
#include "base/file.h"

#define PEM_BEGIN "-----BEGIN CERTIFICATE-----"

/* The text from the first PEM certificate at or behind `from` on, or no bytes. */
static struct bytes next_pem(struct bytes text, size_t from)
{
	struct bytes rest, found;
	const uint8_t *at;

	if (failed(bytes_sub(text, from, text.n - from, &rest)) || rest.n == 0)
		return BYTES_NONE;
	at = memmem(rest.p, rest.n, PEM_BEGIN, strlen(PEM_BEGIN));
	if (at == NULL || failed(bytes_sub(rest, (size_t)(at - rest.p), rest.n - (size_t)(at - rest.p), &found)))
		return BYTES_NONE;
	return found;
}

static struct err add(struct bytes der, size_t max, struct buf *list, size_t *n)
{
	struct err e;

	if (*n == max)
		return ERR(E_LIMIT_COUNT);
	if (failed(e = buf_add(&list[*n], der)))
		return e;
	(*n)++;
	return ERR(E_OK);
}

static struct err add_pems(struct bytes text, size_t max, struct buf *list, size_t *n)
{
	struct err e;

	for (struct bytes at = next_pem(text, 0); at.n > 0; at = next_pem(at, 1)) {
		cleanup_cert struct cert *cert = NULL;

		if (failed(e = cert_from_pem(at, &cert)) || failed(e = add(cert_der(cert), max, list, n)))
			return e;
	}
	return ERR(E_OK);
}

struct err ek_certs_from_file(const char *path, size_t max, struct buf *list, size_t *n, struct reason *reterr)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_CHAIN * 2 * LIMIT_CERT);
	struct err e;

	if (failed(e = file_read(AT_FDCWD, path, &text))) {
		reason_set(reterr, "cannot read %s: %s", path, err_text(e));
		return e;
	}
	if (next_pem(buf_bytes(&text), 0).n > 0)
		e = add_pems(buf_bytes(&text), max, list, n);
	else
		e = add(buf_bytes(&text), max, list, n);
	if (failed(e))
		reason_set(reterr, "%s: no usable certificates, or more than %zu: %s", path, max, err_text(e));
	return e;
}
