/* SPDX-License-Identifier: Apache-2.0 */
#include "base/digest.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>

#include "base/ossl.h"

static const struct digest_alg algs[N_DIGESTS] = {
	{ DIGEST_SHA1, 0x0004, "sha1", "SHA1", 20 },
	{ DIGEST_SHA256, 0x000b, "sha256", "SHA256", 32 },
	{ DIGEST_SHA384, 0x000c, "sha384", "SHA384", 48 },
	{ DIGEST_SHA512, 0x000d, "sha512", "SHA512", 64 },
	{ DIGEST_SM3_256, 0x0012, "sm3_256", "SM3", 32 },
};

const struct digest_alg *digest_alg(enum digest_id id)
{
	return (unsigned)id < N_DIGESTS ? &algs[id] : NULL;
}

const struct digest_alg *digest_by_tpm_alg(uint16_t alg)
{
	for (size_t i = 0; i < N_DIGESTS; i++)
		if (algs[i].tpm_alg == alg)
			return &algs[i];
	return NULL;
}

const struct digest_alg *digest_by_name(struct bytes name)
{
	for (size_t i = 0; i < N_DIGESTS; i++)
		if (bytes_eq(bytes_str(algs[i].name), name))
			return &algs[i];
	return NULL;
}

/* Contexts that one thread uses again and again; they die with the thread. */
struct thread_state {
	EVP_MD_CTX *md[N_DIGESTS];
};

/* What a process fetches once. Nothing here changes after fetch_all(). */
static struct {
	EVP_MD *md[N_DIGESTS];
	pthread_key_t key;
	bool has_key;
} fetched;
static pthread_once_t fetched_once = PTHREAD_ONCE_INIT;

/* This thread's, or NULL; the key is there for its end only, because asking it is one more call for each hash. */
static _Thread_local struct thread_state *mine;

static void thread_state_free(void *p)
{
	struct thread_state *t = p;

	mine = NULL;
	for (size_t i = 0; i < N_DIGESTS; i++)
		EVP_MD_CTX_free(t->md[i]);
	free(t);
}

static void fetch_all(void)
{
	for (size_t i = 0; i < N_DIGESTS; i++)
		fetched.md[i] = EVP_MD_fetch(NULL, algs[i].ossl, NULL);
	fetched.has_key = pthread_key_create(&fetched.key, thread_state_free) == 0;
	ERR_clear_error();
}

static struct err fetched_md(enum digest_id id, EVP_MD **ret)
{
	if ((unsigned)id >= N_DIGESTS)
		return ERR(E_BUG);
	if (pthread_once(&fetched_once, fetch_all) != 0)
		return ERR(E_LOCAL_CRYPTO);
	if (fetched.md[id] == NULL)
		return ERR(id == DIGEST_SM3_256 ? E_PEER_UNSUPPORTED : E_LOCAL_CRYPTO);
	*ret = fetched.md[id];
	return ERR(E_OK);
}

static struct err thread_state(struct thread_state **ret)
{
	struct thread_state *t;

	if (mine == NULL) {
		if (!fetched.has_key)
			return ERR(E_LOCAL_CRYPTO);
		t = calloc(1, sizeof(*t));
		if (t == NULL)
			return ERR(E_LOCAL_MEMORY);
		if (pthread_setspecific(fetched.key, t) != 0) {
			free(t);
			return ERR(E_LOCAL_MEMORY);
		}
		mine = t;
	}
	*ret = mine;
	return ERR(E_OK);
}

/* A context that this thread has not used yet. */
static struct err new_ctx(enum digest_id id, EVP_MD_CTX **ret)
{
	struct thread_state *t;
	EVP_MD *md;
	struct err e;

	if (failed(e = fetched_md(id, &md)) || failed(e = thread_state(&t)))
		return e;
	if (t->md[id] == NULL)
		t->md[id] = EVP_MD_CTX_new();
	if (t->md[id] == NULL)
		return ERR(E_LOCAL_MEMORY);
	*ret = t->md[id];
	return ERR(E_OK);
}

/* This thread's context for the algorithm, at the start of a message. */
static struct err thread_ctx(enum digest_id id, EVP_MD_CTX **ret)
{
	EVP_MD_CTX *ctx = mine != NULL && (unsigned)id < N_DIGESTS ? mine->md[id] : NULL;
	struct err e;

	if (ctx == NULL && failed(e = new_ctx(id, &ctx)))
		return e;
	/* There is a context only of what was fetched. */
	if (EVP_DigestInit_ex2(ctx, fetched.md[id], NULL) != 1)
		return ossl_failed(E_LOCAL_CRYPTO);
	*ret = ctx;
	return ERR(E_OK);
}

static struct err ctx_add(EVP_MD_CTX *ctx, struct bytes data)
{
	if (data.n > 0 && EVP_DigestUpdate(ctx, data.p, data.n) != 1)
		return ossl_failed(E_LOCAL_CRYPTO);
	return ERR(E_OK);
}

static struct err ctx_finish(EVP_MD_CTX *ctx, enum digest_id id, struct digest *ret)
{
	uint8_t v[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (EVP_DigestFinal_ex(ctx, v, &n) != 1)
		return ossl_failed(E_LOCAL_CRYPTO);
	if (n != algs[id].size)
		return ERR(E_BUG);
	*ret = (struct digest){ .n = (uint8_t)n };
	memcpy(ret->v, v, n);
	return ERR(E_OK);
}

struct err digest_of(enum digest_id id, struct digest *ret, size_t n_parts, const struct bytes *parts)
{
	EVP_MD_CTX *ctx;
	struct err e;

	if (failed(e = thread_ctx(id, &ctx)))
		return e;
	for (size_t i = 0; i < n_parts; i++)
		if (failed(e = ctx_add(ctx, parts[i])))
			return e;
	return ctx_finish(ctx, id, ret);
}

struct err digest_one(enum digest_id id, struct bytes data, struct digest *ret)
{
	return digest_of(id, ret, 1, &data);
}

struct err sha256(struct bytes data, uint8_t ret[32])
{
	struct digest d;
	struct err e;

	if (failed(e = digest_one(DIGEST_SHA256, data, &d)))
		return e;
	memcpy(ret, d.v, 32);
	return ERR(E_OK);
}

struct err digest_extend(enum digest_id id, const struct digest *old, struct bytes event, struct digest *ret)
{
	uint8_t both[2 * DIGEST_MAX]; /* side by side: a second call into the library costs a tenth of the hash */

	if ((unsigned)id >= N_DIGESTS || old->n != algs[id].size || event.n != algs[id].size)
		return ERR(E_BUG);
	memcpy(both, old->v, old->n);
	memcpy(both + old->n, event.p, event.n);
	return digest_one(id, BYTES(both, 2 * event.n), ret);
}

struct hasher {
	enum digest_id id;
	EVP_MD *md; /* the fetched one */
	EVP_MD_CTX *ctx;
};

void hasher_free(struct hasher *h)
{
	if (h == NULL)
		return;
	EVP_MD_CTX_free(h->ctx);
	free(h);
}

static struct err hasher_start(struct hasher *h)
{
	if (EVP_DigestInit_ex2(h->ctx, h->md, NULL) != 1)
		return ossl_failed(E_LOCAL_CRYPTO);
	return ERR(E_OK);
}

struct err hasher_new(enum digest_id id, struct hasher **ret)
{
	cleanup_hasher struct hasher *h = NULL;
	EVP_MD *md;
	struct err e;

	if (failed(e = fetched_md(id, &md)))
		return e;
	h = calloc(1, sizeof(*h));
	if (h == NULL)
		return ERR(E_LOCAL_MEMORY);
	h->id = id;
	h->md = md;
	h->ctx = EVP_MD_CTX_new();
	if (h->ctx == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = hasher_start(h)))
		return e;
	*ret = take_ptr(&h);
	return ERR(E_OK);
}

struct err hasher_add(struct hasher *h, struct bytes data)
{
	return ctx_add(h->ctx, data);
}

struct err hasher_finish(struct hasher *h, struct digest *ret)
{
	struct digest d;
	struct err e;

	if (failed(e = ctx_finish(h->ctx, h->id, &d)) ||
	    failed(e = hasher_start(h)))
		return e;
	*ret = d;
	return ERR(E_OK);
}

#define HMAC_BLOCK 64

static void wipe_block(uint8_t (*b)[HMAC_BLOCK])
{
	wipe(*b, sizeof(*b));
}

/* H(block || parts), and then nothing of the block is left in the context: SHA256_Init() clears all of it. */
static struct err keyed_digest(const uint8_t block[HMAC_BLOCK], size_t n_parts, const struct bytes *parts,
			       struct digest *ret)
{
	EVP_MD_CTX *ctx;
	struct err e, again;

	if (failed(e = thread_ctx(DIGEST_SHA256, &ctx)))
		return e;
	e = ctx_add(ctx, BYTES(block, HMAC_BLOCK));
	for (size_t i = 0; i < n_parts && !failed(e); i++)
		e = ctx_add(ctx, parts[i]);
	if (!failed(e))
		e = ctx_finish(ctx, DIGEST_SHA256, ret);
	again = thread_ctx(DIGEST_SHA256, &ctx);
	return failed(e) ? e : again;
}

/*
 * RFC 2104, section 2, on this thread's context: copying, keying and freeing
 * an EVP_MAC context costs three times as much as a short message.
 */
struct err hmac_sha256(struct bytes key, uint8_t ret[32], size_t n_parts, const struct bytes *parts)
{
	cleanup(wipe_block) uint8_t block[HMAC_BLOCK] = { 0 };
	struct digest long_key, inner, outer;
	struct err e;

	if (key.n > HMAC_BLOCK) {
		if (failed(e = digest_one(DIGEST_SHA256, key, &long_key)))
			return e;
		key = digest_bytes(&long_key);
	}
	if (key.n > 0)
		memcpy(block, key.p, key.n);
	for (size_t i = 0; i < sizeof(block); i++)
		block[i] ^= 0x36;
	if (failed(e = keyed_digest(block, n_parts, parts, &inner)))
		return e;
	for (size_t i = 0; i < sizeof(block); i++)
		block[i] ^= 0x36 ^ 0x5c;
	if (failed(e = keyed_digest(block, 1, &BYTES(inner.v, inner.n), &outer)))
		return e;
	memcpy(ret, outer.v, 32);
	wipe(&inner, sizeof(inner));
	wipe(&outer, sizeof(outer));
	wipe(&long_key, sizeof(long_key));
	return ERR(E_OK);
}

struct err random_bytes(uint8_t *out, size_t n)
{
	size_t done = 0;
	ssize_t got;

	while (done < n) {
		got = getrandom(out + done, n - done, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			wipe(out, n);
			return ERR(E_LOCAL_CRYPTO);
		}
		done += (size_t)got;
	}
	return ERR(E_OK);
}
