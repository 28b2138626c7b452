/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A measurement list: the first byte says which form and byte order, the rest
 * is the list. It is read as a whole and in parts of a few bytes, which must
 * give the same; entries lie one after the other and add up; nothing but one
 * entry is kept. Every entry is replayed, its signature judged, its name
 * compared with a rule. Lists that lie in the first byte's high half are taken
 * for a position instead, which has one form.
 */
#include <string.h>

#include "firmware-measure/ima_path.h"
#include "firmware-measure/ima_replay.h"
#include "firmware-measure/ima_sign.h"
#include "tests/fuzz/fuzz.h"

struct result {
	struct err e;
	uint64_t n, off;
	struct ima_replay replay;
	struct digest fields; /* over everything that entries gave */
};

static void add(struct hasher *h, struct bytes b)
{
	const uint8_t n[4] = { (uint8_t)b.n, (uint8_t)(b.n >> 8), (uint8_t)(b.n >> 16), (uint8_t)(b.n >> 24) };

	fuzz_must(!failed(hasher_add(h, BYTES_ARR(n))) && !failed(hasher_add(h, b)));
}

static void check_entry(const struct ima_entry *ent, struct hasher *h)
{
	static const struct ima_key no_keys[1];
	struct ima_signature sig;
	enum ima_signed judged;
	size_t key;

	fuzz_must(ent->template_hash.n == IMA_HASH_SIZE && ent->pcr < LIMIT_PCRS);
	fuzz_must(ent->state == IMA_ENTRY_DECODED ||
		  (ent->fields == 0 && ent->digest.value.n == 0 && ent->name.n == 0));
	fuzz_must(ent->name.n == 0 || memchr(ent->name.p, 0, ent->name.n) == NULL);
	fuzz_must(ent->violation || ent->digest.alg == N_DIGESTS ||
		  ent->digest.value.n == digest_alg(ent->digest.alg)->size);
	if (ima_path_below(ent->name, BYTES_LIT("/usr")))
		fuzz_must(ent->name.n >= 4 && memmem(ent->name.p, ent->name.n, "/../", 4) == NULL);
	fuzz_must(!failed(ima_signed_check(ent, 0, no_keys, &judged, &key)) && judged != IMA_SIGNED_GOOD);
	fuzz_must(!failed(ima_modsig_check(ent, 0, no_keys, &judged, &key)) && judged != IMA_SIGNED_GOOD);
	fuzz_must(!failed(ima_evmsig_check(ent, 0, no_keys, &judged, &key)) && judged != IMA_SIGNED_GOOD);
	if (!failed(ima_signature_parse(ent->field[IMA_FIELD_SIG], &sig)))
		fuzz_must(sig.value.n <= ent->field[IMA_FIELD_SIG].n);
	add(h, ent->template_hash);
	add(h, ent->template_name);
	add(h, ent->hashed);
	add(h, ent->digest.value);
	add(h, ent->name);
	for (size_t i = 0; i < N_IMA_FIELDS; i++)
		add(h, ent->field[i]);
}

static void read_parts(struct bytes in, enum imalog_form form, enum imalog_order order, size_t part, struct result *r)
{
	cleanup_imalog struct imalog l = { 0 };
	cleanup_hasher struct hasher *h = NULL;
	struct ima_entry ent;
	bool more = true;

	*r = (struct result){ .e = ERR(E_OK) };
	imalog_init(&l, form, order);
	fuzz_must(!failed(hasher_new(DIGEST_SHA256, &h)));
	fuzz_must(!failed(ima_replay_init(&r->replay, IMA_PCR, 1u << DIGEST_SHA1 | 1u << DIGEST_SHA256, NULL)));
	for (size_t off = 0; off < in.n && !failed(r->e); off += part) {
		fuzz_must(!failed(imalog_feed(&l, BYTES(in.p + off, in.n - off < part ? in.n - off : part))));
		while (!failed(r->e = imalog_next(&l, &ent, &more, NULL)) && !more) {
			unsigned odd;

			fuzz_must(ent.index == r->n && ent.off == r->off && ent.size > 0 && ent.size <= IMA_ENTRY_MAX);
			r->n++;
			r->off += ent.size;
			check_entry(&ent, h);
			fuzz_must(!failed(ima_replay_entry(&r->replay, &ent, &odd)));
		}
		fuzz_must(l.tail.n <= IMA_ENTRY_MAX);
	}
	if (!failed(r->e))
		r->e = imalog_end(&l);
	fuzz_must(failed(r->e) ? r->off <= in.n : r->off == in.n);
	fuzz_must(!failed(hasher_finish(h, &r->fields)));
}

static void check_position(struct bytes in)
{
	cleanup_buf struct buf again = BUF_INIT(SIZE_MAX);
	struct ima_position p;

	if (failed(ima_position_decode(in, &p)))
		return;
	fuzz_must(!failed(ima_position_encode(&p, &again)) && bytes_eq(buf_bytes(&again), in));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const size_t parts[] = { 1, 7, 61 };
	struct result whole, got;
	struct bytes in;

	if (failed(bytes_sub(BYTES(data, n), 1, n == 0 ? 0 : n - 1, &in)))
		return 0;
	if ((data[0] & 0x80) != 0) {
		check_position(in);
		return 0;
	}
	(void)imalog_form_of(in);
	read_parts(in, data[0] & 1 ? IMALOG_ASCII : IMALOG_BINARY,
		   data[0] & 2 ? IMALOG_BIG_ENDIAN : IMALOG_LITTLE_ENDIAN, n + 1, &whole);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		read_parts(in, data[0] & 1 ? IMALOG_ASCII : IMALOG_BINARY,
			   data[0] & 2 ? IMALOG_BIG_ENDIAN : IMALOG_LITTLE_ENDIAN, parts[i], &got);
		fuzz_must(got.e.code == whole.e.code && got.n == whole.n && got.off == whole.off);
		fuzz_must(bytes_eq(digest_bytes(&got.fields), digest_bytes(&whole.fields)));
		fuzz_must(bytes_eq(digest_bytes(&got.replay.bank[DIGEST_SHA256].native),
				   digest_bytes(&whole.replay.bank[DIGEST_SHA256].native)));
	}
	return 0;
}
