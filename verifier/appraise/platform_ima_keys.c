/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys that the list itself tells of (I7). The kernel measures a certificate
 * that is added to a keyring (policy rule KEY_CHECK) as the buffer of an entry
 * of template ima-buf under the keyring's name; only those of .ima sign files.
 *
 * Kept as [* [SubjectPublicKeyInfo: bstr, id: bstr .size 4]].
 */
#include "base/cborx.h"
#include "verifier/appraise/platform_ima.h"

#define MAX_SPKI 640 /* of RSA-4096: 550 */

void platform_ima_state_done(struct platform_ima_state *s)
{
	for (size_t i = 0; i < s->n_keys && i < PLATFORM_IMA_KEYS; i++)
		key_free(s->key[i]);
	*s = (struct platform_ima_state){ 0 };
}

bool platform_ima_tells_key(const struct ima_entry *ent)
{
	return bytes_eq(ent->template_name, BYTES_LIT("ima-buf")) && bytes_eq(ent->name, BYTES_LIT(".ima"));
}

/* No hash covers the template's name: that the digest is the buffer's tells a buffer from a signature called one. */
static struct err check_digest(const struct ima_entry *ent, struct reason *why)
{
	const struct ima_digest *d = &ent->digest;
	struct digest own = { 0 };
	struct err e;

	if (d->kind == IMA_DIGEST_FILE && d->alg < N_DIGESTS &&
	    failed(e = digest_one(d->alg, ent->field[IMA_FIELD_BUF], &own)))
		return e;
	if (own.n > 0 && bytes_eq(digest_bytes(&own), d->value))
		return ERR(E_OK);
	reason_set(why, "the entry's digest is not that of its buffer");
	return ERR(E_PEER_DIGEST);
}

static struct err add(struct platform_ima_state *s, struct key *k, const uint8_t id[IMA_KEY_ID_SIZE],
		      struct reason *why)
{
	struct err e;

	for (size_t i = 0; i < s->n_keys; i++) {
		if (!key_equal(s->key[i], k))
			continue;
		key_free(k);
		return ERR(E_OK);
	}
	if (s->n_keys == PLATFORM_IMA_KEYS) {
		key_free(k);
		reason_set(why, "more than %d such keys", PLATFORM_IMA_KEYS);
		return ERR(E_LIMIT_COUNT);
	}
	s->learned[s->n_keys].key = k;
	if (failed(e = bytes_copy_exact(BYTES(id, IMA_KEY_ID_SIZE), s->learned[s->n_keys].id, IMA_KEY_ID_SIZE))) {
		key_free(k);
		return e;
	}
	s->key[s->n_keys++] = k;
	return ERR(E_OK);
}

struct err platform_ima_learn(const struct ima_input *in, const struct ima_entry *ent, struct platform_ima_state *s,
			      struct reason *why)
{
	const struct platform_ima *m = in->profile->ima;
	uint8_t id[IMA_KEY_ID_SIZE];
	struct key *k = NULL;
	struct err e;

	if (failed(e = check_digest(ent, why)) ||
	    failed(e = ima_key_learn(ent, m->n_signer_cas, (const struct cert *const *)m->signer_cas, in->now_s, &k, id,
				     why)))
		return e;
	return add(s, k, id, why);
}

struct err platform_ima_keys_encode(const struct platform_ima_state *s, struct buf *b)
{
	struct err e;

	if (failed(e = cbor_wr_array(b, s->n_keys)))
		return e;
	for (size_t i = 0; i < s->n_keys; i++) {
		cleanup_buf struct buf spki = BUF_INIT(MAX_SPKI);

		if (failed(e = key_spki(s->key[i], &spki)) || failed(e = cbor_wr_array(b, 2)) ||
		    failed(e = cbor_wr_bytes(b, buf_bytes(&spki))) ||
		    failed(e = cbor_wr_bytes(b, BYTES_ARR(s->learned[i].id))))
			return e;
	}
	return ERR(E_OK);
}

struct err platform_ima_keys_decode(struct cbor_rd *r, struct platform_ima_state *s)
{
	size_t n, two;
	struct err e;

	if (failed(e = cbor_rd_array(r, PLATFORM_IMA_KEYS, &n)))
		return e;
	for (size_t i = 0; i < n; i++) {
		uint8_t id[IMA_KEY_ID_SIZE];
		struct key *k = NULL;
		struct bytes spki;

		if (failed(e = cbor_rd_array(r, 2, &two)) || failed(e = cbor_rd_bytes(r, &spki)) ||
		    failed(e = cbor_rd_bytes_exact(r, id, sizeof(id))))
			return e;
		if (two != 2 || spki.n > MAX_SPKI)
			return ERR(E_PEER_RANGE);
		if (failed(e = key_from_spki(spki, &k)) || failed(e = add(s, k, id, NULL)))
			return e;
	}
	/* None twice, and none where there are none. */
	return ERR(n > 0 && s->n_keys == n ? E_OK : E_PEER_RANGE);
}
