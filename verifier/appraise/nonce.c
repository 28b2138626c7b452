/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/appraise/nonce.h"

#include <string.h>

#define VERSION 1
#define TIME_OFF 1
#define RANDOM_OFF 9
#define RANDOM_LEN 16
#define MAC_OFF 25
#define MAC_LEN 32
_Static_assert(MAC_OFF == RANDOM_OFF + RANDOM_LEN && MAC_OFF + MAC_LEN == NONCE_LEN, "layout of the nonce");

static void put_be(uint8_t *to, size_t n, uint64_t v)
{
	for (size_t i = 0; i < n; i++)
		to[i] = (uint8_t)(v >> 8 * (n - 1 - i));
}

#define PURPOSE_MAX 64
#define POLICY_MAX 64
/* What the MAC covers, in one piece: a part at a time costs more than it hashes. */
struct mac_input {
	size_t n;
	uint8_t v[16 + 4 * 4 + PURPOSE_MAX + HOST_ID_LEN + 6 * LIMIT_BANKS + POLICY_MAX + MAC_OFF];
};

/* The callers' lengths are checked in nonce_mac(), and v has room for the largest of all. */
static void put_bytes(struct mac_input *m, struct bytes b)
{
	if (b.n > 0)
		memcpy(m->v + m->n, b.p, b.n);
	m->n += b.n;
}

static void put_number(struct mac_input *m, size_t len, uint64_t v)
{
	put_be(m->v + m->n, len, v);
	m->n += len;
}

static void put_part(struct mac_input *m, struct bytes b)
{
	put_number(m, 4, b.n);
	put_bytes(m, b);
}

/*
 * HMAC over what the nonce is for and over the nonce without its MAC. Each
 * part of variable length has its length before it, so no two purposes give
 * the same input.
 */
static struct err nonce_mac(const uint8_t key[32], const struct nonce_for *f, const uint8_t *nonce, uint8_t ret[MAC_LEN])
{
	struct bytes purpose = bytes_str(f->purpose);
	size_t n_banks = f->selection == NULL ? 0 : f->selection->n;
	struct mac_input m = { .n = 0 };

	if (n_banks > LIMIT_BANKS || purpose.n > PURPOSE_MAX || f->host.n > HOST_ID_LEN || f->policy.n > POLICY_MAX)
		return ERR(E_BUG);
	put_bytes(&m, BYTES_LIT("assay nonce v1\0"));
	put_part(&m, purpose);
	put_part(&m, f->host);
	put_number(&m, 4, n_banks);
	for (size_t i = 0; i < n_banks; i++) {
		put_number(&m, 2, f->selection->bank[i].hash_alg);
		put_number(&m, 4, f->selection->bank[i].mask);
	}
	put_part(&m, f->policy);
	put_bytes(&m, BYTES(nonce, MAC_OFF));
	return hmac_sha256(BYTES(key, 32), ret, 1, &BYTES(m.v, m.n));
}

struct err nonce_make(const uint8_t key[32], const struct nonce_for *f, int64_t now_s, const uint8_t random[16],
		      uint8_t ret[NONCE_LEN])
{
	uint8_t nonce[NONCE_LEN] = { VERSION };
	struct err e;

	if (now_s < 0)
		return ERR(E_BUG);
	put_be(nonce + TIME_OFF, 8, (uint64_t)now_s);
	memcpy(nonce + RANDOM_OFF, random, RANDOM_LEN);
	if (failed(e = nonce_mac(key, f, nonce, nonce + MAC_OFF)))
		return e;
	memcpy(ret, nonce, sizeof(nonce));
	return ERR(E_OK);
}

int64_t nonce_time(struct bytes nonce)
{
	uint64_t t = 0;

	if (nonce.n != NONCE_LEN)
		return 0;
	for (size_t i = 0; i < 8; i++)
		t = t << 8 | nonce.p[TIME_OFF + i];
	return t > INT64_MAX ? INT64_MAX : (int64_t)t;
}

static struct err refuse(struct reason *reterr, const char *why)
{
	reason_set(reterr, "%s", why);
	return ERR(E_AUTH_NONCE);
}

struct err nonce_check(const uint8_t key[32], const struct nonce_for *f, int64_t now_s, struct bytes nonce,
		       struct reason *reterr)
{
	uint8_t mac[MAC_LEN];
	int64_t made_s;
	struct err e;

	if (nonce.n != NONCE_LEN || nonce.p[0] != VERSION)
		return refuse(reterr, "the nonce has another form than ours");
	if (failed(e = nonce_mac(key, f, nonce.p, mac)))
		return e;
	if (!bytes_eq_secret(BYTES_ARR(mac), BYTES(nonce.p + MAC_OFF, MAC_LEN)))
		return refuse(reterr, "the nonce is not ours, or was made for another host, purpose, selection or policy");
	made_s = nonce_time(nonce);
	if (made_s > now_s && made_s - now_s > NONCE_SKEW_S)
		return refuse(reterr, "the nonce is from the future");
	if (made_s < now_s && now_s - made_s >= NONCE_LIFE_S)
		return refuse(reterr, "the nonce has expired");
	return ERR(E_OK);
}
