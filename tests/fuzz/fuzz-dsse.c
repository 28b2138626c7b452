/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DSSE envelopes. The first byte says what follows: 'e' an envelope as sent;
 * 'p' a payload, which must come back out of the envelope that we make of it;
 * 's' what stands in `signatures` beside a good signature.
 */
#include <string.h>

#include "base/jose.h"
#include "base/limits.h"
#include "base/text.h"
#include "tests/fuzz/fuzz.h"

#define TYPE "application/vnd.in-toto+json"

/* Made in this process: nothing in the corpus can be signed by it. */
static struct key *own;
static char keyid[65];

static struct err verify(struct bytes envelope, struct buf *ret)
{
	/* The second key id is in the corpus; that key's signatures are not. */
	const struct dsse_key keys[] = { { keyid, own }, { "known", own } };
	size_t which = 99;
	struct err e = dsse_verify(envelope, LIMIT_DOCUMENT, TYPE, keys, array_len(keys), ret, &which, NULL);

	fuzz_must(failed(e) ? which == 99 && ret->n == 0 : which < array_len(keys));
	return e;
}

static void check_envelope(struct bytes in)
{
	cleanup_buf struct buf out = BUF_INIT(LIMIT_DOCUMENT);

	fuzz_must(failed(verify(in, &out)));
}

static void check_payload(struct bytes in)
{
	cleanup_buf struct buf out = BUF_INIT(LIMIT_DOCUMENT), envelope = BUF_INIT(LIMIT_DOCUMENT);

	if (failed(dsse_sign(own, TYPE, in, &envelope)))
		return;
	fuzz_must(!failed(verify(buf_bytes(&envelope), &out)));
	fuzz_must(bytes_eq(buf_bytes(&out), in));
}

/* Whatever stands beside it: if the envelope is accepted, the payload is the signed one. */
static void check_signatures(struct bytes in)
{
	cleanup_buf struct buf envelope = BUF_INIT(LIMIT_DOCUMENT), text = BUF_INIT(LIMIT_DOCUMENT);
	cleanup_buf struct buf out = BUF_INIT(LIMIT_DOCUMENT);
	struct bytes head = BYTES_NONE;

	fuzz_must(!failed(dsse_sign(own, TYPE, BYTES_LIT("payload"), &envelope)));
	/* The envelope ends in "]}", and members are sorted, so the list of signatures is last. */
	fuzz_must(!failed(bytes_sub(buf_bytes(&envelope), 0, envelope.n - 2, &head)));
	if (failed(buf_add(&text, head)) || failed(buf_add(&text, in)) || failed(buf_add_str(&text, "]}")))
		return;
	if (!failed(verify(buf_bytes(&text), &out)))
		fuzz_must(bytes_eq(buf_bytes(&out), BYTES_LIT("payload")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (own == NULL) {
		uint8_t h[32];

		fuzz_must(!failed(key_generate(KEY_ED25519, &own)) && !failed(key_spki_sha256(own, h)));
		fuzz_must(!failed(hex_encode(BYTES_ARR(h), keyid, sizeof(keyid))));
	}
	if (n == 0)
		return 0;
	if (data[0] == 'e')
		check_envelope(BYTES(data + 1, n - 1));
	else if (data[0] == 'p')
		check_payload(BYTES(data + 1, n - 1));
	else if (data[0] == 's')
		check_signatures(BYTES(data + 1, n - 1));
	return 0;
}
