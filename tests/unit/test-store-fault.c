/* SPDX-License-Identifier: Apache-2.0 */
/*
 * V1, T24: whatever fails, and whenever, a write that was acknowledged is
 * there, whole, and one that was not has not been acknowledged. Afterwards the
 * store works again.
 */
#include "unit.h"

#include <string.h>

#include <sqlite3.h>

#include "tests/support/fault.h"
#include "tests/support/faulty_vfs.h"
#include "tests/support/store_fixture.h"

#define LATER (FX_NOW + 300)

/* What a handler does after an attestation: nonce, verdict and time in one write. */
struct attest {
	uint32_t nonce;
	const struct verdict_write *v;
};

static struct err attest_txn(struct txn *t, void *ctx)
{
	const struct attest *a = ctx;
	struct err e;

	if (failed(e = txn_use_once(t, "attest", BYTES(&a->nonce, sizeof(a->nonce)), LATER)) ||
	    failed(e = txn_verdict(t, a->v)))
		return e;
	return txn_time_advance(t, FX_NOW + a->nonce);
}

struct world {
	char *dir;
	struct store *s;
	struct fx_host h;
	uint32_t nonce;
};

static void world_open(struct world *w)
{
	bool existed;

	w->dir = fx_dir();
	assert_ok(store_open(w->dir, &w->s, NULL));
	fx_host_make(&w->h);
	assert_ok(fx_host_add(w->s, w->h.id, buf_bytes(&w->h.record), &existed));
}

static void world_close(struct world *w)
{
	store_close(take_ptr(&w->s));
	fx_host_done(&w->h);
	fx_dir_remove(take_ptr(&w->dir));
}

/* One attestation with fresh nonce over the row as it is; *ret_version is the row's after a success. */
static struct err attest_once(struct world *w, uint64_t *ret_version)
{
	cleanup_host_row struct host_row row = { 0 };
	struct instance_row i = fx_instance(1);
	struct verdict_write v = { .host_id = w->h.id, .passed = true, .now_s = FX_NOW, .expires_s = LATER,
				   .n_instances = 1, .instance = &i, .explanation = BYTES_LIT("{}") };
	struct attest a = { ++w->nonce, &v };
	struct err e = store_host(w->s, w->h.id, &row);

	if (failed(e))
		return e;
	row.state.status = HOST_VERIFIED;
	v.next = &row.state;
	v.version = row.version;
	v.epoch = row.epoch;
	*ret_version = row.version + 1;
	return store_write(w->s, attest_txn, &a);
}

/* All of the last attestation is there, or nothing of it. */
static void assert_atomic(struct world *w, bool acked, uint64_t version)
{
	cleanup_host_row struct host_row row = { 0 };
	int64_t high;
	bool used, moved;

	assert_ok(store_host(w->s, w->h.id, &row));
	assert_ok(store_time_high(w->s, &high));
	used = failed(fx_use_once(w->s, "attest", BYTES(&w->nonce, sizeof(w->nonce)), LATER));
	moved = high == FX_NOW + w->nonce;
	if (acked) {
		assert_true(used);
		assert_int_equal(row.version, version);
	}
	assert_int_equal(used, moved);
}

/* The k-th allocation of ours, of SQLite's and of OpenSSL's fails, until k lies behind the last one. */
static void test_every_allocation_of_an_attestation(void **state)
{
	struct world w = { 0 };
	unsigned n_failed = 0;
	bool done = false;

	(void)state;
	world_open(&w);
	for (long k = 0; !done; k++) {
		uint64_t version = 0;
		struct err e;

		assert_true(k < 100000);
		fault_begin(k);
		e = attest_once(&w, &version);
		done = fault_end() <= k;
		n_failed += failed(e);
		if (failed(e))
			assert_true(e.code == E_LOCAL_MEMORY || e.code == E_LOCAL_STORE);
		assert_atomic(&w, !failed(e), version);
		assert_ok(store_ping(w.s));
	}
	/* SQLite carries on without some of them, but not without most. */
	assert_true(n_failed >= 10);
	world_close(&w);
}

static struct err walk(void *ctx, struct bytes envelope, const char *keyid, const char *kind, const char *name,
		       uint64_t serial)
{
	(void)ctx, (void)envelope, (void)keyid, (void)kind, (void)name, (void)serial;
	return ERR(E_OK);
}

/* Every read, so that none answers from half of what it asked for. */
static struct err read_everything(struct world *w)
{
	cleanup_host_row struct host_row row = { 0 };
	cleanup_credential_row struct credential_row c = { 0 };
	cleanup_json json_t *a = NULL, *b = NULL, *d = NULL, *f = NULL, *g = NULL;
	cleanup_buf struct buf json = BUF_INIT(KIB);
	struct instance_row i;
	struct store_counts n;
	uint64_t epoch;
	bool alive, asks;
	struct err e;

	if (failed(e = store_host(w->s, w->h.id, &row)) || failed(e = store_credential(w->s, "jti", &c, &alive)) ||
	    failed(e = store_instance_by_jkt(w->s, fx_instance(1).jkt, &i, &epoch)) ||
	    failed(e = store_list_hosts(w->s, FX_NOW, 9, &a)) ||
	    failed(e = store_list_instances(w->s, FX_NOW, 9, &b)) ||
	    failed(e = store_list_credentials(w->s, FX_NOW, 9, &d)) ||
	    failed(e = store_list_documents(w->s, 9, &f)) || failed(e = store_list_clients(w->s, 9, &g)) ||
	    failed(e = store_counts(w->s, FX_NOW, &n)) || failed(e = store_explanation(w->s, w->h.id, &json)) ||
	    failed(e = store_client_resource(w->s, "api", "https://a", &asks)) ||
	    failed(e = store_documents(w->s, walk, NULL, NULL)))
		return e;
	assert_string_equal(row.record->id, w->h.id);
	assert_true(alive && asks);
	assert_string_equal(c.owner, "ops@example.org");
	assert_int_equal(json_array_size(a) + json_array_size(b) + json_array_size(d) + json_array_size(f) +
				 json_array_size(g),
			 5);
	assert_int_equal(n.credentials_live, 1);
	return ERR(E_OK);
}

static void test_every_allocation_of_the_reads(void **state)
{
	struct world w = { 0 };
	uint8_t secret[32] = { 1 };
	struct document d = fx_document(DOCUMENT_IMAGE, "img", 1, 7);
	bool done = false;
	unsigned n_failed = 0;

	(void)state;
	world_open(&w);
	assert_ok(fx_verdict(w.s, w.h.id, true, FX_NOW, LATER, 1, 1, 7));
	{
		cleanup_credential_row struct credential_row c =
			fx_credential(w.s, w.h.id, 1, "jti", "task", FX_NOW, LATER);

		assert_ok(fx_credential_add(w.s, &c));
	}
	assert_ok(fx_document_add(w.s, &d, BYTES_LIT("env"), fx_keyid('a'), FX_NOW));
	assert_ok(fx_client_add(w.s, "api", secret, FX_NOW));
	assert_ok(fx_client_resource_add(w.s, "api", "https://a"));
	for (long k = 0; !done; k++) {
		struct err e;

		assert_true(k < 100000);
		fault_begin(k);
		e = read_everything(&w);
		done = fault_end() <= k;
		n_failed += failed(e);
		if (failed(e))
			assert_true(e.code == E_LOCAL_MEMORY || e.code == E_LOCAL_STORE);
	}
	assert_true(n_failed >= 100);
	world_close(&w);
}

/* Nine connections read the schema one like the other: all of the first one's allocations, then every 97th. */
static void test_allocations_of_opening(void **state)
{
	bool done = false;

	(void)state;
	for (long k = 0; !done; k += k < 300 ? 1 : 97) {
		cleanup_fx_dir char *dir = fx_dir();
		cleanup_store struct store *s = NULL;
		struct reason why = { { 0 } };
		struct err e;

		assert_true(k < 100000);
		fault_begin(k);
		e = store_open(dir, &s, &why);
		done = fault_end() <= k;
		if (failed(e)) {
			assert_null(s);
			assert_true(e.code == E_LOCAL_MEMORY || e.code == E_LOCAL_STORE);
		}
		/* What the attempt left behind does not keep the next one from working. */
		store_close(take_ptr(&s));
		assert_ok(store_open(dir, &s, &why));
		assert_ok(store_ping(s));
	}
}

/* The disk is full from the k-th write on; then there is room again. */
static void test_disk_full_at_every_write(void **state)
{
	struct world w = { 0 };
	unsigned n_failed = 0;
	bool done = false;

	(void)state;
	world_open(&w);
	for (long k = 0; !done; k++) {
		uint64_t version = 0;
		struct store_counts n;
		struct err e;

		assert_true(k < 10000);
		faulty_vfs_full_at(k);
		e = attest_once(&w, &version);
		if (failed(e)) {
			assert_err(e, E_LOCAL_STORE);
			/* Still full: health tells, and reads go on. */
			assert_err(store_ping(w.s), E_LOCAL_STORE);
			assert_ok(store_counts(w.s, FX_NOW, &n));
		}
		done = faulty_vfs_end() <= k;
		n_failed += failed(e);
		assert_ok(store_ping(w.s));
		store_close(take_ptr(&w.s));
		assert_ok(store_open(w.dir, &w.s, NULL));
		assert_atomic(&w, !failed(e), version);
	}
	assert_true(n_failed >= 3);
	world_close(&w);
}

static void test_every_sync_fails_once(void **state)
{
	struct world w = { 0 };
	unsigned n_failed = 0;
	bool done = false;

	(void)state;
	world_open(&w);
	for (long k = 0; !done; k++) {
		uint64_t version = 0;
		struct err e;

		assert_true(k < 1000);
		faulty_vfs_sync_at(k);
		e = attest_once(&w, &version);
		done = faulty_vfs_end() <= k;
		n_failed += failed(e);
		assert_atomic(&w, !failed(e), version);
		assert_ok(store_ping(w.s));
	}
	assert_true(n_failed >= 1);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_allocation_of_an_attestation),
		cmocka_unit_test(test_every_allocation_of_the_reads),
		cmocka_unit_test(test_allocations_of_opening),
		cmocka_unit_test(test_disk_full_at_every_write),
		cmocka_unit_test(test_every_sync_fails_once),
	};

	fault_init();
	faulty_memory_init();
	faulty_vfs_init();
	return cmocka_run_group_tests_name("store-fault", tests, NULL, NULL);
}
