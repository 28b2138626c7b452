/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/tls_sign.h"

#include "attest/instance_key.h"
#include "base/key.h"
#include "base/rd.h"

#define SPACES 64

/* The NUL of the text is the zero byte of the format. */
static const char client[] = "TLS 1.3, client CertificateVerify", server[] = "TLS 1.3, server CertificateVerify";
_Static_assert(SPACES + sizeof(client) + 48 == TLS_SIGN_MAX && sizeof(client) == sizeof(server), "both are as long");

struct err tls_sign_check(struct bytes content, struct reason *reterr)
{
	struct rd r = RD(content);
	struct bytes spaces, context;
	bool fits = !failed(rd_bytes(&r, SPACES, &spaces)) && !failed(rd_bytes(&r, sizeof(client), &context)) &&
		    (rd_left(&r) == 32 || rd_left(&r) == 48) &&
		    (bytes_eq(context, BYTES(client, sizeof(client))) || bytes_eq(context, BYTES(server, sizeof(server))));

	for (size_t i = 0; fits && i < spaces.n; i++)
		fits = spaces.p[i] == ' ';
	if (fits)
		return ERR(E_OK);
	reason_set(reterr, "only what a TLS 1.3 CertificateVerify signs is signed: 64 spaces, \"%s\" or \"%s\", a zero byte "
			   "and a hash of 32 or 48 bytes", client, server);
	return ERR(E_AUTH_REFUSED);
}

struct signing {
	struct bytes content;
	struct buf raw;
};

static struct err sign(void *ctx, const struct instance_key *k)
{
	struct signing *s = ctx;

	return instance_key_sign(k, s->content, &s->raw);
}

struct err tls_sign(struct host *h, const uint8_t id[INSTANCE_ID_LEN], struct bytes content, struct buf *ret)
{
	cleanup_wkey_blob struct wkey_blob blob = WKEY_BLOB_INIT;
	struct signing s = { content, BUF_INIT(WKEY_SIGNATURE_LEN) };
	struct err e;

	if (failed(e = tls_sign_check(content, &h->why)) || failed(e = instance_key_read(h, id, &blob)))
		return e;
	e = instance_key_visit(h, &blob, sign, &s);
	if (!failed(e))
		e = ecdsa_raw_to_der(KEY_EC_P256, buf_bytes(&s.raw), ret);
	buf_free(&s.raw);
	return e;
}
