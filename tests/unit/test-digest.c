/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <sys/wait.h>

#include "base/digest.h"
#include "tests/support/fault.h"

/* FIPS 180-4 and GB/T 32905 examples: "abc", and the message of two blocks. */
static const struct {
	enum digest_id id;
	uint16_t tpm_alg;
	const char *name, *none, *abc;
} known[] = {
	{ DIGEST_SHA1, 0x0004, "sha1", "da39a3ee5e6b4b0d3255bfef95601890afd80709",
	  "a9993e364706816aba3e25717850c26c9cd0d89d" },
	{ DIGEST_SHA256, 0x000b, "sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
	{ DIGEST_SHA384, 0x000c, "sha384",
	  "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b",
	  "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7" },
	{ DIGEST_SHA512, 0x000d, "sha512",
	  "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
	  "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
	  "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
	  "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f" },
	{ DIGEST_SM3_256, 0x0012, "sm3_256", "1ab21d8355cfa17f8e61194831e81a8f22bec8c728fefb747ed035eb5082aa2b",
	  "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0" },
};

static void assert_hex(struct bytes got, const char *want)
{
	char hex[2 * DIGEST_MAX + 1];

	assert_ok(hex_encode(got, hex, sizeof(hex)));
	assert_string_equal(hex, want);
}

static void table(void **state)
{
	(void)state;
	assert_int_equal(array_len(known), N_DIGESTS);
	for (size_t i = 0; i < array_len(known); i++) {
		const struct digest_alg *a = digest_alg(known[i].id);

		assert_non_null(a);
		assert_int_equal(a->id, known[i].id);
		assert_int_equal(a->tpm_alg, known[i].tpm_alg);
		assert_string_equal(a->name, known[i].name);
		assert_int_equal(a->size, strlen(known[i].abc) / 2);
		assert_ptr_equal(digest_by_tpm_alg(known[i].tpm_alg), a);
		assert_ptr_equal(digest_by_name(bytes_str(known[i].name)), a);
	}
	assert_null(digest_alg(N_DIGESTS));
	assert_null(digest_by_tpm_alg(0));
	assert_null(digest_by_tpm_alg(0x0010)); /* TPM_ALG_NULL */
	assert_null(digest_by_name(BYTES_LIT("SHA256")));
	assert_null(digest_by_name(BYTES_LIT("sha256\0")));
	assert_null(digest_by_name(BYTES_LIT("sha25")));
	assert_null(digest_by_name(BYTES_NONE));
}

static void known_answers(void **state)
{
	const struct bytes parts[] = { BYTES_LIT("a"), BYTES_NONE, BYTES_LIT("bc") };
	struct digest d;
	uint8_t raw[32];

	(void)state;
	for (size_t i = 0; i < array_len(known); i++) {
		memset(&d, 0xff, sizeof(d));
		assert_ok(digest_one(known[i].id, BYTES_LIT("abc"), &d));
		assert_hex(digest_bytes(&d), known[i].abc);
		assert_true(bytes_all(BYTES(d.v + d.n, DIGEST_MAX - (size_t)d.n), 0));
		assert_ok(digest_of(known[i].id, &d, array_len(parts), parts));
		assert_hex(digest_bytes(&d), known[i].abc);
		assert_ok(digest_of(known[i].id, &d, 0, NULL));
		assert_hex(digest_bytes(&d), known[i].none);
	}
	assert_ok(sha256(BYTES_LIT("abc"), raw));
	assert_hex(BYTES_ARR(raw), known[1].abc);
	assert_err(digest_one(N_DIGESTS, BYTES_NONE, &d), E_BUG);
}

static void hasher_in_pieces(void **state)
{
	uint8_t data[1000];
	struct digest whole, pieces;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	for (size_t i = 0; i < array_len(known); i++) {
		cleanup_hasher struct hasher *h = NULL;

		assert_ok(digest_one(known[i].id, BYTES_ARR(data), &whole));
		assert_ok(hasher_new(known[i].id, &h));
		for (size_t step = 1; step < 300; step += 97) {
			for (size_t off = 0; off < sizeof(data); off += step)
				assert_ok(hasher_add(
					h, BYTES(data + off, sizeof(data) - off < step ? sizeof(data) - off : step)));
			assert_ok(hasher_add(h, BYTES_NONE));
			assert_ok(hasher_finish(h, &pieces));
			assert_bytes(digest_bytes(&pieces), digest_bytes(&whole));
		}
		assert_ok(hasher_finish(h, &pieces));
		assert_hex(digest_bytes(&pieces), known[i].none);
	}
	hasher_free(NULL);
}

static void hasher_of_no_algorithm(void **state)
{
	struct hasher *h = (struct hasher *)state;

	assert_err(hasher_new(N_DIGESTS, &h), E_BUG);
	assert_ptr_equal(h, state);
}

/* SHA-256 of 32 zero bytes and the digest of "abc"; then the same once more. */
static void extend(void **state)
{
	struct digest pcr = { .n = 32 }, event, twice;
	uint8_t both[64] = { 0 };

	(void)state;
	assert_ok(digest_one(DIGEST_SHA256, BYTES_LIT("abc"), &event));
	memcpy(both + 32, event.v, 32);
	assert_ok(digest_extend(DIGEST_SHA256, &pcr, digest_bytes(&event), &pcr));
	assert_hex(digest_bytes(&pcr), "589f9ffed4c477966bfb8d41f37895b08c69047df8f911d6f3b57fbe08faee8d");
	assert_ok(digest_one(DIGEST_SHA256, BYTES_ARR(both), &twice));
	assert_bytes(digest_bytes(&pcr), digest_bytes(&twice));
}

static void extend_of_another_size(void **state)
{
	const struct digest old32 = { .n = 32 }, old20 = { .n = 20 }, none = { 0 };
	const uint8_t event[64] = { 0 };
	struct digest d = { .n = 7 };

	(void)state;
	assert_err(digest_extend(DIGEST_SHA256, &old20, BYTES(event, 32), &d), E_BUG);
	assert_err(digest_extend(DIGEST_SHA256, &none, BYTES(event, 32), &d), E_BUG);
	assert_err(digest_extend(DIGEST_SHA256, &old32, BYTES(event, 31), &d), E_BUG);
	assert_err(digest_extend(DIGEST_SHA256, &old32, BYTES(event, 33), &d), E_BUG);
	assert_err(digest_extend(DIGEST_SHA256, &old32, BYTES_NONE, &d), E_BUG);
	assert_err(digest_extend(DIGEST_SHA384, &old32, BYTES(event, 48), &d), E_BUG);
	assert_err(digest_extend(N_DIGESTS, &old32, BYTES(event, 32), &d), E_BUG);
	assert_int_equal(d.n, 7);
}

/* RFC 4231, and one with an empty key: it must not mean "the key from before". */
static void hmac_known_answers(void **state)
{
	static const struct {
		const char *key, *data, *mac;
	} cases[] = {
		{ "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265",
		  "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
		{ "4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
		  "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
		{ "", "", "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad" },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		  "ddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
		  "d",
		  "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe" },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_buf struct buf key, data;
		struct bytes k = unhex_(&key, cases[i].key), whole = unhex_(&data, cases[i].data);
		struct bytes parts[3] = { BYTES(whole.p, whole.n / 2), BYTES_NONE,
					  BYTES(whole.p + whole.n / 2, whole.n - whole.n / 2) };
		uint8_t mac[32];

		assert_ok(hmac_sha256(k, mac, 1, &whole));
		assert_hex(BYTES_ARR(mac), cases[i].mac);
		assert_ok(hmac_sha256(k, mac, array_len(parts), parts));
		assert_hex(BYTES_ARR(mac), cases[i].mac);
		if (k.n == 0) {
			assert_ok(hmac_sha256(BYTES_NONE, mac, 0, NULL));
			assert_hex(BYTES_ARR(mac), cases[i].mac);
		}
	}
}

/* RFC 4231, test case 6: a key longer than a block. */
static void hmac_long_key(void **state)
{
	const struct bytes data = BYTES_LIT("Test Using Larger Than Block-Size Key - Hash Key First");
	uint8_t key[131], mac[32];

	(void)state;
	memset(key, 0xaa, sizeof(key));
	assert_ok(hmac_sha256(BYTES_ARR(key), mac, 1, &data));
	assert_hex(BYTES_ARR(mac), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void *hash_many(void *arg)
{
	const unsigned seed = *(unsigned *)arg;
	bool *fine = malloc(sizeof(*fine));

	*fine = true;
	for (unsigned i = 0; i < 500; i++) {
		enum digest_id id = known[(seed + i) % array_len(known)].id;
		struct digest d;
		char hex[2 * DIGEST_MAX + 1];

		if (failed(digest_one(id, BYTES_LIT("abc"), &d)) ||
		    failed(hex_encode(digest_bytes(&d), hex, sizeof(hex))) || strcmp(hex, known[id].abc) != 0)
			*fine = false;
	}
	return fine;
}

/* Each thread has contexts of its own, and they end with it: the leak checker watches. */
static void threads(void **state)
{
	unsigned seeds[8];
	pthread_t ids[8];

	(void)state;
	for (unsigned i = 0; i < array_len(ids); i++) {
		seeds[i] = i;
		assert_int_equal(pthread_create(&ids[i], NULL, hash_many, &seeds[i]), 0);
	}
	for (unsigned i = 0; i < array_len(ids); i++) {
		void *fine = NULL;

		assert_int_equal(pthread_join(ids[i], &fine), 0);
		assert_true(*(bool *)fine);
		free(fine);
	}
}

static void random_numbers(void **state)
{
	static uint8_t big[100000];
	uint8_t a[64] = { 0 }, b[64] = { 0 };
	size_t seen[256] = { 0 };

	(void)state;
	assert_ok(random_bytes(a, sizeof(a)));
	assert_ok(random_bytes(b, sizeof(b)));
	assert_false(bytes_eq(BYTES_ARR(a), BYTES_ARR(b)));
	assert_ok(random_bytes(a, 0));
	/* All of a large request is filled: every value appears, and no end stays zero. */
	assert_ok(random_bytes(big, sizeof(big)));
	for (size_t i = 0; i < sizeof(big); i++)
		seen[big[i]]++;
	for (size_t i = 0; i < array_len(seen); i++)
		assert_in_range(seen[i], 200, 600);
	assert_false(bytes_all(BYTES(big + sizeof(big) - 16, 16), 0));
}

/* As in a library without the algorithms. In a process of its own, because the fetch happens once. */
static int without_algorithms(void)
{
	const struct bytes data = BYTES_LIT("abc");
	struct hasher *h = NULL;
	struct digest d;
	uint8_t mac[32];

	if (EVP_set_default_properties(NULL, "provider=none-such") != 1)
		return 1;
	if (digest_one(DIGEST_SHA256, data, &d).code != E_LOCAL_CRYPTO)
		return 2;
	if (digest_one(DIGEST_SM3_256, data, &d).code != E_PEER_UNSUPPORTED)
		return 3;
	if (hasher_new(DIGEST_SHA1, &h).code != E_LOCAL_CRYPTO || h != NULL)
		return 4;
	if (hmac_sha256(data, mac, 1, &data).code != E_LOCAL_CRYPTO)
		return 5;
	return 0;
}

static void missing_algorithms(void **state)
{
	int status = 0;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(without_algorithms());
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

struct fault_run {
	bool done;
	struct err e;
};

static void *hash_with_fault(void *arg)
{
	struct fault_run *r = arg;
	const struct bytes data = BYTES_LIT("abc");
	cleanup_hasher struct hasher *h = NULL;
	struct digest d;
	uint8_t mac[32];

	if (failed(r->e = digest_one(DIGEST_SHA256, data, &d)) || failed(r->e = hasher_new(DIGEST_SHA256, &h)) ||
	    failed(r->e = hasher_add(h, data)) || failed(r->e = hasher_finish(h, &d)) ||
	    failed(r->e = hmac_sha256(data, mac, 1, &data)))
		return NULL;
	r->done = true;
	return NULL;
}

/* Whatever allocation fails, the answer is an error or the right digest, and nothing leaks. */
static void failing_memory(void **state)
{
	long n = 1;

	(void)state;
	for (long k = -1; k < n; k++) {
		struct fault_run r = { 0 };
		pthread_t id;
		long seen;

		/* A new thread, so that its contexts are allocated anew. */
		fault_begin(k);
		if (pthread_create(&id, NULL, hash_with_fault, &r) == 0)
			assert_int_equal(pthread_join(id, NULL), 0);
		seen = fault_end();
		if (k < 0) {
			n = seen;
			assert_true(r.done);
			assert_true(n > 5);
		} else {
			assert_false(r.done);
			assert_true(r.e.code == E_LOCAL_MEMORY || r.e.code == E_LOCAL_CRYPTO);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(missing_algorithms), /* before anything is fetched */
		cmocka_unit_test(table),
		cmocka_unit_test(known_answers),
		cmocka_unit_test(hasher_in_pieces),
		cmocka_unit_test(hasher_of_no_algorithm),
		cmocka_unit_test(extend),
		cmocka_unit_test(extend_of_another_size),
		cmocka_unit_test(hmac_known_answers),
		cmocka_unit_test(hmac_long_key),
		cmocka_unit_test(threads),
		cmocka_unit_test(random_numbers),
		cmocka_unit_test(failing_memory),
	};

	fault_init();
	return cmocka_run_group_tests_name("digest", tests, NULL, NULL);
}
