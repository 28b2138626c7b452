/* SPDX-License-Identifier: Apache-2.0 */
/* What operators put into the store: documents and their generations, CAs, clients, and the lists they read. */
#include "unit.h"

#include <string.h>

#include "tests/support/store_fixture.h"

#define LATER (FX_NOW + 300)

static void open_at(const char *dir, struct store **ret)
{
	struct reason why = { { 0 } };

	assert_ok(store_open(dir, ret, &why));
}

/* Host with id and row, ready for verdicts. */
static void add_host(struct store *s, struct fx_host *h)
{
	bool existed;

	fx_host_make(h);
	assert_ok(fx_host_add(s, h->id, buf_bytes(&h->record), &existed));
	assert_false(existed);
}

#define WITH_STORE                                    \
	cleanup_fx_dir char *dir = fx_dir();          \
	cleanup_store struct store *s = NULL;         \
	(void)state;                                  \
	open_at(dir, &s)
#define WITH_HOST                                     \
	WITH_STORE;                                   \
	cleanup_fx_host struct fx_host h = { .id = "" };             \
	add_host(s, &h)

static struct err count_document(void *ctx, struct bytes envelope, const char *keyid, const char *kind,
				 const char *name, uint64_t serial)
{
	unsigned *seen = ctx;

	assert_true(bytes_eq(envelope, BYTES_LIT("envelope")));
	assert_string_equal(keyid, fx_keyid('b'));
	assert_string_equal(kind, "model");
	assert_string_equal(name, "m");
	*seen |= 1u << serial;
	return ERR(E_OK);
}

static struct err refuse_document(void *ctx, struct bytes envelope, const char *keyid, const char *kind,
				  const char *name, uint64_t serial)
{
	(void)ctx, (void)envelope, (void)keyid, (void)kind, (void)name, (void)serial;
	return ERR(E_LOCAL_CONFIG);
}

static void test_documents_and_serials(void **state)
{
	const struct bytes env = BYTES_LIT("envelope");
	struct document d = fx_document(DOCUMENT_MODEL, "m", 2, 2), w = fx_document(DOCUMENT_WITHDRAW, "w", 1, 9);
	uint64_t n;
	unsigned seen = 0;

	WITH_STORE;
	assert_ok(fx_document_add(s, &d, env, fx_keyid('b'), FX_NOW));
	assert_err(fx_document_add(s, &d, env, fx_keyid('b'), FX_NOW), E_AUTH_CONFLICT);
	d = fx_document(DOCUMENT_MODEL, "m", 1, 1);
	assert_err(fx_document_add(s, &d, env, fx_keyid('b'), FX_NOW), E_AUTH_CONFLICT);
	d = fx_document(DOCUMENT_MODEL, "m", 4, 4);
	assert_ok(fx_document_add(s, &d, env, fx_keyid('b'), FX_NOW));
	assert_ok(store_documents(s, count_document, &seen, NULL));
	assert_int_equal(seen, 1u << 2 | 1u << 4);
	assert_err(store_documents(s, refuse_document, NULL, NULL), E_LOCAL_CONFIG);

	w.target_kind = DOCUMENT_MODEL;
	(void)snprintf(w.target_name, sizeof(w.target_name), "m");
	w.target_serial = 3;
	assert_ok(fx_document_withdraw(s, &w, env, fx_keyid('b'), FX_NOW, &n));
	assert_int_equal(n, 0);
	seen = 0;
	assert_ok(store_documents(s, count_document, &seen, NULL));
	assert_int_equal(seen, 1u << 4);
	/* The withdrawal cannot be replayed, and one that finds nothing changes nothing, its own serial included. */
	assert_err(fx_document_withdraw(s, &w, env, fx_keyid('b'), FX_NOW, &n), E_AUTH_CONFLICT);
	w.serial = 2;
	assert_err(fx_document_withdraw(s, &w, env, fx_keyid('b'), FX_NOW, &n), E_LOCAL_NOT_FOUND);
	w.target_serial = 9;
	assert_ok(fx_document_withdraw(s, &w, env, fx_keyid('b'), FX_NOW, &n));
	seen = 0;
	assert_ok(store_documents(s, count_document, &seen, NULL));
	assert_int_equal(seen, 0);
	/* Serials up to the withdrawn one never come back, also those that were never seen. */
	d = fx_document(DOCUMENT_MODEL, "m", 9, 5);
	assert_err(fx_document_add(s, &d, env, fx_keyid('b'), FX_NOW), E_AUTH_CONFLICT);
	store_close(take_ptr(&s));
	open_at(dir, &s);
	assert_err(fx_document_add(s, &d, env, fx_keyid('b'), FX_NOW), E_AUTH_CONFLICT);
	d = fx_document(DOCUMENT_MODEL, "m", 10, 5);
	assert_ok(fx_document_add(s, &d, env, fx_keyid('b'), FX_NOW));
	/* T40 */
	d = fx_document(DOCUMENT_MODEL, "n", 1, 5);
	d.expires_s = d.not_before_s;
	assert_err(fx_document_add(s, &d, env, fx_keyid('b'), FX_NOW), E_BUG);
}

/* Only hosts whose verdict used the document lose it, and they lose it once. */
static void test_withdrawal_moves_the_right_hosts(void **state)
{
	cleanup_fx_host struct fx_host other = { .id = "" };
	cleanup_host_row struct host_row a = { 0 }, b = { 0 }, c = { 0 };
	struct document d = fx_document(DOCUMENT_IMAGE, "img", 1, 7);
	uint64_t n;

	WITH_HOST;
	add_host(s, &other);
	assert_ok(fx_document_add(s, &d, BYTES_LIT("env"), fx_keyid('a'), FX_NOW));
	assert_ok(fx_verdict(s, h.id, true, FX_NOW, LATER, 1, 1, 7));
	assert_ok(fx_verdict(s, other.id, true, FX_NOW, LATER, 2, 1, 6));
	assert_ok(store_host(s, h.id, &a));
	assert_ok(fx_operator_removed(s, fx_keyid('c'), &n));
	assert_int_equal(n, 0);
	assert_ok(fx_operator_removed(s, fx_keyid('a'), &n));
	assert_int_equal(n, 1);
	assert_ok(fx_operator_removed(s, fx_keyid('a'), &n));
	assert_int_equal(n, 0);
	assert_ok(store_host(s, h.id, &b));
	assert_int_equal(b.epoch, a.epoch + 1);
	assert_int_equal(b.verdict_expires_s, 0);
	assert_ok(store_host(s, other.id, &c));
	assert_int_equal(c.verdict_expires_s, LATER);
	assert_err(fx_host_revoke(s, "h-00000000000000000000000000000000"), E_LOCAL_NOT_FOUND);
}

static struct err generation_is(struct txn *t, void *ctx)
{
	return txn_policy_check(t, *(const uint64_t *)ctx);
}

/* T20, P5: every change of the documents is a new generation, and who decided by an older one does not commit. */
static void test_policy_generation(void **state)
{
	struct document d = fx_document(DOCUMENT_MODEL, "m", 1, 1), w = fx_document(DOCUMENT_WITHDRAW, "w", 1, 9);
	uint64_t seen[6], n;
	unsigned docs = 0;

	WITH_STORE;
	w.target_kind = DOCUMENT_MODEL;
	w.target_serial = 1;
	(void)snprintf(w.target_name, sizeof(w.target_name), "m");
	assert_ok(store_documents(s, count_document, &docs, &seen[0]));
	assert_ok(fx_document_add(s, &d, BYTES_LIT("envelope"), fx_keyid('b'), FX_NOW));
	assert_ok(store_documents(s, count_document, &docs, &seen[1]));
	assert_ok(fx_document_dropped(s, "model", "m", 1, &n));
	assert_ok(store_documents(s, count_document, &docs, &seen[2]));
	assert_ok(fx_operator_removed(s, fx_keyid('b'), &n));
	assert_ok(store_documents(s, count_document, &docs, &seen[3]));
	assert_ok(fx_document_withdraw(s, &w, BYTES_LIT("env"), fx_keyid('b'), FX_NOW, &n));
	assert_ok(store_documents(s, count_document, &docs, &seen[4]));
	/* What is refused moves nothing. */
	assert_err(fx_document_add(s, &d, BYTES_LIT("envelope"), fx_keyid('b'), FX_NOW), E_AUTH_CONFLICT);
	assert_ok(store_documents(s, count_document, &docs, &seen[5]));
	for (size_t i = 0; i < 4; i++) {
		assert_true(seen[i] < seen[i + 1]);
		assert_err(store_write(s, generation_is, &seen[i]), E_AUTH_RETRY);
	}
	assert_int_equal(seen[4], seen[5]);
	assert_ok(store_write(s, generation_is, &seen[4]));
}

static struct err see_keyid(void *ctx, const char *keyid)
{
	unsigned *seen = ctx;

	*seen |= 1u << (keyid[0] - 'a');
	return ERR(E_OK);
}

static void test_keyids(void **state)
{
	struct document a = fx_document(DOCUMENT_IMAGE, "a", 1, 1), b = fx_document(DOCUMENT_MODEL, "b", 1, 2);
	unsigned seen = 0;

	WITH_STORE;
	assert_ok(fx_document_add(s, &a, BYTES_LIT("e"), fx_keyid('a'), FX_NOW));
	assert_ok(fx_document_add(s, &b, BYTES_LIT("e"), fx_keyid('c'), FX_NOW));
	assert_ok(store_document_keyids(s, see_keyid, &seen));
	assert_int_equal(seen, 1u | 4u);
}

static struct err count_der(void *ctx, struct bytes der)
{
	size_t *n = ctx;

	assert_true(bytes_eq(der, BYTES_LIT("\x30\x00\xff")));
	(*n)++;
	return ERR(E_OK);
}

static void test_trust_and_clients(void **state)
{
	uint8_t sha[32] = { 1 }, secret[32] = { 2 }, got[32];
	json_t *list = NULL;
	bool asks;
	size_t n = 0;

	WITH_STORE;
	assert_ok(fx_trust_add(s, sha, BYTES_LIT("\x30\x00\xff")));
	assert_err(fx_trust_add(s, sha, BYTES_LIT("\x30\x00\xff")), E_AUTH_CONFLICT);
	assert_ok(store_trust(s, count_der, &n));
	assert_int_equal(n, 1);
	assert_ok(fx_trust_remove(s, sha));
	assert_err(fx_trust_remove(s, sha), E_LOCAL_NOT_FOUND);

	assert_ok(fx_client_add(s, "api", secret, FX_NOW));
	assert_err(fx_client_add(s, "api", sha, FX_NOW), E_AUTH_CONFLICT);
	assert_ok(store_client(s, "api", got));
	assert_memory_equal(got, secret, 32);
	assert_err(store_client(s, "ap", got), E_LOCAL_NOT_FOUND);
	assert_err(fx_client_resource_add(s, "nobody", "https://a"), E_LOCAL_NOT_FOUND);
	assert_ok(fx_client_resource_add(s, "api", "https://a"));
	assert_ok(fx_client_resource_add(s, "api", "https://a"));
	assert_ok(fx_client_add(s, "other", secret, FX_NOW));
	assert_ok(store_client_resource(s, "api", "https://a", &asks));
	assert_true(asks);
	assert_ok(store_client_resource(s, "other", "https://a", &asks));
	assert_false(asks);
	assert_ok(store_client_resource(s, NULL, "https://a", &asks));
	assert_true(asks);
	assert_ok(store_client_resource(s, NULL, "https://a/", &asks));
	assert_false(asks);
	assert_ok(store_client_may_ask(s, "api", "https://a", &asks));
	assert_true(asks);
	assert_ok(store_client_may_ask(s, "api", "https://b", &asks));
	assert_false(asks);
	/* A client without resources of its own may ask about all of them; nobody may ask about none. */
	assert_ok(store_client_may_ask(s, "other", "https://b", &asks));
	assert_true(asks);
	assert_ok(store_client_may_ask(s, "nobody", "https://b", &asks));
	assert_false(asks);
	assert_ok(store_list_clients(s, 10, &list));
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(json_array_get(list, 0), "resources"), 0)),
		"https://a");
	/* Neither the secret nor its digest is in the list. */
	assert_null(json_object_get(json_array_get(list, 0), "secret_sha256"));
	json_decref(list);
	assert_ok(fx_client_remove(s, "api"));
	assert_err(fx_client_remove(s, "api"), E_LOCAL_NOT_FOUND);
	assert_ok(store_client_resource(s, NULL, "https://a", &asks));
	assert_false(asks);
}

static void test_lists_and_counts(void **state)
{
	cleanup_credential_row struct credential_row c = { 0 };
	cleanup_buf struct buf json = BUF_INIT(KIB);
	struct document d = fx_document(DOCUMENT_IMAGE, "img", 1, 7);
	struct store_counts n;
	json_t *list = NULL;

	WITH_HOST;
	assert_ok(fx_document_add(s, &d, BYTES_LIT("env"), fx_keyid('a'), FX_NOW));
	assert_ok(fx_verdict(s, h.id, true, FX_NOW, LATER, 1, 2, 7));
	c = fx_credential(s, h.id, 1, "jti-1", "task-1", FX_NOW, FX_NOW + 60);
	assert_ok(fx_credential_add(s, &c));
	assert_ok(store_counts(s, FX_NOW + 59, &n));
	assert_int_equal(n.hosts, 1);
	assert_int_equal(n.verified, 1);
	assert_int_equal(n.failed, 0);
	assert_int_equal(n.instances, 2);
	assert_int_equal(n.credentials_live, 1);
	assert_int_equal(n.documents, 1);
	assert_ok(store_counts(s, FX_NOW + 60, &n));
	assert_int_equal(n.credentials_live, 0);

	assert_ok(store_list_instances(s, FX_NOW, 1, &list));
	assert_int_equal(json_array_size(list), 1);
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "agent")), "agent-1");
	assert_true(json_is_true(json_object_get(json_array_get(list, 0), "usable")));
	json_decref(list);
	assert_ok(store_list_instances(s, LATER, 9, &list));
	assert_int_equal(json_array_size(list), 2);
	assert_true(json_is_false(json_object_get(json_array_get(list, 0), "usable")));
	assert_null(json_object_get(json_array_get(list, 0), "rootfs"));
	assert_memory_equal(json_string_value(json_object_get(json_array_get(list, 1), "rootfs")), "2323", 4);
	assert_memory_equal(json_string_value(json_object_get(json_array_get(list, 1), "container_policy")), "2424", 4);
	json_decref(list);
	assert_ok(store_list_credentials(s, FX_NOW + 59, 9, &list));
	assert_true(json_is_true(json_object_get(json_array_get(list, 0), "alive")));
	json_decref(list);
	assert_ok(store_list_credentials(s, FX_NOW + 60, 9, &list));
	assert_true(json_is_false(json_object_get(json_array_get(list, 0), "alive")));
	json_decref(list);
	assert_ok(store_list_documents(s, 9, &list));
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "owner")), "ops@example.org");
	assert_null(json_object_get(json_array_get(list, 0), "withdrawn"));
	json_decref(list);
	assert_ok(store_explanation(s, h.id, &json));
	assert_true(bytes_eq(buf_bytes(&json), BYTES_LIT("{\"status\":\"x\"}")));
	assert_err(store_explanation(s, "h-00000000000000000000000000000000", &json), E_LOCAL_NOT_FOUND);
	assert_ok(fx_verdict(s, h.id, false, FX_NOW, LATER, 1, 0, 7));
	assert_ok(store_counts(s, FX_NOW, &n));
	assert_int_equal(n.failed, 1);
	assert_int_equal(n.verified, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_documents_and_serials),
		cmocka_unit_test(test_withdrawal_moves_the_right_hosts),
		cmocka_unit_test(test_policy_generation),
		cmocka_unit_test(test_keyids),
		cmocka_unit_test(test_trust_and_clients),
		cmocka_unit_test(test_lists_and_counts),
	};

	return cmocka_run_group_tests_name("store-operator", tests, NULL, NULL);
}
