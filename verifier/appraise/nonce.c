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

/*
 * HMAC over what the nonce is for and over the nonce without its MAC. Each
 * part of variable length has its length before it, so no two purposes give
 * the same input.
 */
static struct err nonce_mac(const uint8_t key[32], const struct nonce_for *f, const uint8_t *nonce, uint8_t ret[MAC_LEN])
{
	struct bytes purpose = bytes_str(f->purpose);
	size_t n_banks = f->selection == NULL ? 0 : f->selection->n;
	uint8_t lens[4][4], banks[LIMIT_BANKS][6];

	if (n_banks > LIMIT_BANKS || purpose.n > 64 || f->host.n > HOST_ID_LEN || f->policy.n > 64)
		return ERR(E_BUG);
	for (size_t i = 0; i < n_banks; i++) {
		put_be(banks[i], 2, f->selection->bank[i].hash_alg);
		put_be(banks[i] + 2, 4, f->selection->bank[i].mask);
	}
	put_be(lens[0], 4, purpose.n);
	put_be(lens[1], 4, f->host.n);
	put_be(lens[2], 4, n_banks);
	put_be(lens[3], 4, f->policy.n);
	return hmac_sha256(BYTES(key, 32), ret, 10,
			   (struct bytes[]){ BYTES_LIT("assay nonce v1\0"), BYTES_ARR(lens[0]), purpose,
					     BYTES_ARR(lens[1]), f->host, BYTES_ARR(lens[2]),
					     BYTES(banks, n_banks * sizeof(banks[0])), BYTES_ARR(lens[3]), f->policy,
					     BYTES(nonce, MAC_OFF) });
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
