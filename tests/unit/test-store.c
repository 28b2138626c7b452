/* SPDX-License-Identifier: Apache-2.0 */
/* What the store promises, one promise after the other; restarts included. */
#include "unit.h"

#include <string.h>
#include <sys/stat.h>

#include <sqlite3.h>

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

static void test_files_are_private(void **state)
{
	static const char *const files[] = { STORE_FILE, STORE_FILE "-wal", STORE_FILE "-shm" };
	char path[256];
	struct stat st;

	WITH_STORE;
	assert_ok(fx_time_advance(s, FX_NOW));
	for (size_t i = 0; i < array_len(files); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
	store_close(take_ptr(&s));
	assert_int_equal(chmod(dir, 0750), 0);
	assert_err(store_open(dir, &s, NULL), E_LOCAL_PERMISSION);
	assert_err(store_open("/nonexistent/assay", &s, NULL), E_LOCAL_NOT_FOUND);
	assert_null(s);
}

/* Whatever changes a row, the next read sees it, also when the row was read a moment before. */
static void test_reads_see_the_last_commit(void **state)
{
	const struct document d = fx_document(DOCUMENT_HOST, "d", 1, 7);
	cleanup_host_row struct host_row a = { 0 }, b = { 0 }, c = { 0 }, again = { 0 }, f = { 0 };
	uint64_t n;

	WITH_HOST;
	assert_ok(store_host(s, h.id, &a));
	assert_ok(fx_verdict(s, h.id, true, FX_NOW, LATER, 1, 1, 7));
	assert_ok(store_host(s, h.id, &b));
	assert_int_equal(b.version, a.version + 1);
	assert_int_equal(b.verdict_s, FX_NOW);
	assert_int_equal(b.verdict_expires_s, LATER);
	assert_int_equal(b.state.status, HOST_VERIFIED);
	/* Not read anew: the record is the one that the caller before holds. */
	assert_ptr_equal(b.record, a.record);
	assert_memory_equal(b.ek_sha256, b.record->ek_sha256, 32);
	assert_ok(store_host(s, h.id, &again));
	assert_int_equal(again.version, b.version);
	assert_int_equal(again.epoch, b.epoch);

	assert_ok(fx_document_add(s, &d, BYTES_LIT("{}"), fx_keyid('a'), FX_NOW));
	assert_ok(fx_operator_removed(s, fx_keyid('a'), &n));
	assert_int_equal(n, 1);
	assert_ok(store_host(s, h.id, &c));
	assert_int_equal(c.epoch, b.epoch + 1);
	assert_int_equal(c.verdict_expires_s, 0);

	assert_ok(fx_host_revoke(s, h.id));
	host_row_done(&again);
	assert_ok(store_host(s, h.id, &again));
	assert_int_equal(again.epoch, c.epoch + 1);
	assert_ok(fx_host_clear(s, h.id));
	assert_ok(store_host(s, h.id, &f));
	assert_int_equal(f.epoch, again.epoch + 1);
	assert_int_equal(f.state.status, HOST_NEVER);
	assert_ok(fx_host_remove(s, h.id));
	host_row_done(&f);
	assert_err(store_host(s, h.id, &f), E_LOCAL_NOT_FOUND);
}

/* The id is the same and the record is not: the one that was kept must not come back. */
static void test_another_record_is_read(void **state)
{
	cleanup_fx_host struct fx_host other = { .id = "" };
	cleanup_host_row struct host_row a = { 0 }, b = { 0 };
	bool existed;

	WITH_HOST;
	assert_ok(store_host(s, h.id, &a));
	assert_ok(fx_host_remove(s, h.id));
	fx_host_with_other_ak(&h, &other);
	assert_string_equal(h.id, other.id);
	assert_ok(fx_host_add(s, other.id, buf_bytes(&other.record), &existed));
	assert_ok(store_host(s, other.id, &b));
	assert_memory_not_equal(a.record->digest, b.record->digest, 32);
	assert_false(bytes_eq(tpm_name_bytes(&a.record->ak_name), tpm_name_bytes(&b.record->ak_name)));
}

static void test_time_high_never_goes_back(void **state)
{
	int64_t high;

	WITH_STORE;
	assert_ok(store_time_high(s, &high));
	assert_int_equal(high, 0);
	assert_ok(fx_time_advance(s, FX_NOW));
	assert_ok(fx_time_advance(s, FX_NOW - 1000));
	assert_ok(store_time_high(s, &high));
	assert_int_equal(high, FX_NOW);
	store_close(take_ptr(&s));
	open_at(dir, &s);
	assert_ok(store_time_high(s, &high));
	assert_int_equal(high, FX_NOW);
}

static void test_use_once(void **state)
{
	const struct bytes a = BYTES_LIT("value a"), b = BYTES_LIT("value b");
	uint8_t longest[65] = { 0 };

	WITH_STORE;
	assert_ok(fx_use_once(s, "attest", a, FX_NOW));
	assert_err(fx_use_once(s, "attest", a, FX_NOW), E_AUTH_CONFLICT);
	/* Another expiry does not make it another value. */
	assert_err(fx_use_once(s, "attest", a, FX_NOW + 60), E_AUTH_CONFLICT);
	assert_ok(fx_use_once(s, "attest", b, FX_NOW));
	assert_ok(fx_use_once(s, "dpop", a, FX_NOW));
	assert_ok(fx_use_once(s, "attest", BYTES(longest, 64), FX_NOW));
	assert_err(fx_use_once(s, "attest", BYTES_ARR(longest), FX_NOW), E_BUG);
	assert_err(fx_use_once(s, "attest", BYTES_NONE, FX_NOW), E_BUG);
	store_close(take_ptr(&s));
	open_at(dir, &s);
	assert_err(fx_use_once(s, "attest", a, FX_NOW), E_AUTH_CONFLICT);
}

/* N9, L1: what was forgotten cannot be used either, whatever the clock says afterwards. */
static void test_prune_horizon(void **state)
{
	const struct bytes a = BYTES_LIT("value a"), b = BYTES_LIT("value b");

	WITH_STORE;
	assert_ok(fx_use_once(s, "attest", a, FX_NOW));
	assert_ok(fx_prune(s, FX_NOW + STORE_PRUNE_MARGIN_S));
	assert_err(fx_use_once(s, "attest", a, FX_NOW), E_AUTH_CONFLICT); /* still kept, and at the horizon */
	assert_ok(fx_prune(s, FX_NOW + STORE_PRUNE_MARGIN_S + 1));
	assert_err(fx_use_once(s, "attest", a, FX_NOW), E_AUTH_CONFLICT); /* forgotten */
	assert_err(fx_use_once(s, "attest", b, FX_NOW + 1), E_AUTH_CONFLICT);
	/* The clock steps back: the horizon does not. */
	assert_ok(fx_prune(s, FX_NOW - 100000));
	assert_err(fx_use_once(s, "attest", b, FX_NOW), E_AUTH_CONFLICT);
	assert_ok(fx_use_once(s, "attest", b, FX_NOW + 2));
	store_close(take_ptr(&s));
	open_at(dir, &s);
	assert_err(fx_use_once(s, "attest", a, FX_NOW), E_AUTH_CONFLICT);
}

/* N10, N11: first binding wins, and its record stays byte by byte. */
static void test_first_binding_wins(void **state)
{
	cleanup_fx_host struct fx_host other = { .id = "" };
	cleanup_host_row struct host_row before = { 0 }, after = { 0 };
	bool existed = false;

	WITH_HOST;
	assert_ok(store_host(s, h.id, &before));
	assert_ok(fx_host_add(s, h.id, buf_bytes(&h.record), &existed));
	assert_true(existed);
	/* Another TPM says it is this host: its record has another id inside. */
	fx_host_make(&other);
	assert_err(fx_host_add(s, h.id, buf_bytes(&other.record), &existed), E_BUG);
	assert_ok(store_host(s, h.id, &after));
	assert_memory_equal(before.record->digest, after.record->digest, 32);
	assert_int_equal(before.version, after.version);
	assert_err(store_host(s, other.id, &after), E_LOCAL_NOT_FOUND);
	/* Garbage never becomes a row. */
	assert_true(failed(fx_host_add(s, other.id, BYTES_LIT("garbage"), &existed)));
	assert_err(store_host(s, other.id, &after), E_LOCAL_NOT_FOUND);
}

/* N10: the same EK with another AK is another record, and the first one stays. */
static void test_same_ek_other_ak(void **state)
{
	cleanup_fx_host struct fx_host other = { .id = "" };
	cleanup_host_row struct host_row before = { 0 }, after = { 0 };
	bool existed;

	WITH_HOST;
	assert_ok(store_host(s, h.id, &before));
	fx_host_with_other_ak(&h, &other);
	assert_string_equal(other.id, h.id);
	assert_err(fx_host_add(s, other.id, buf_bytes(&other.record), &existed), E_AUTH_CONFLICT);
	assert_ok(store_host(s, h.id, &after));
	assert_memory_equal(before.record->digest, after.record->digest, 32);
}

/* N11: whoever gets at the database with SQL cannot change a record in place. */
static void test_record_is_immutable(void **state)
{
	char path[256];
	sqlite3 *db = NULL;

	WITH_HOST;
	(void)snprintf(path, sizeof(path), "%s/" STORE_FILE, dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "UPDATE host SET record = x'00'", NULL, NULL, NULL), SQLITE_CONSTRAINT);
	assert_int_equal(sqlite3_exec(db, "UPDATE host_state SET epoch = 0, version = version + 1", NULL, NULL, NULL),
			 SQLITE_CONSTRAINT);
	assert_int_equal(sqlite3_exec(db, "UPDATE meta SET time_high = -1", NULL, NULL, NULL), SQLITE_CONSTRAINT);
	assert_int_equal(sqlite3_exec(db, "UPDATE host_state SET verdict = 5, verdict_expires = 5, version = 9", NULL,
				      NULL, NULL),
			 SQLITE_CONSTRAINT);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void test_verdict_moves_the_row(void **state)
{
	cleanup_host_row struct host_row a = { 0 }, b = { 0 }, c = { 0 };
	const struct instance_row want = fx_instance(2);
	struct instance_row i;
	uint64_t epoch;

	WITH_HOST;
	assert_ok(store_host(s, h.id, &a));
	assert_int_equal(a.state.status, HOST_NEVER);
	assert_int_equal(a.verdict_expires_s, 0);
	assert_ok(fx_verdict(s, h.id, true, FX_NOW, LATER, 1, 2, 5));
	assert_ok(store_host(s, h.id, &b));
	assert_int_equal(b.state.status, HOST_VERIFIED);
	assert_int_equal(b.verdict_s, FX_NOW);
	assert_int_equal(b.verdict_expires_s, LATER);
	assert_int_equal(b.version, a.version + 1);
	assert_int_equal(b.epoch, a.epoch);
	assert_int_equal(b.host_doc[31], 5);
	assert_ok(store_instance_by_jkt(s, fx_instance(2).jkt, &i, &epoch));
	assert_string_equal(i.host_id, h.id);
	assert_string_equal(i.agent, "agent-2");
	assert_true(i.usable);
	assert_int_equal(i.epoch, b.epoch);
	assert_int_equal(epoch, b.epoch);
	assert_int_equal(i.verdict_expires_s, LATER);
	assert_memory_equal(&i.image, &want.image, sizeof(i.image));
	assert_memory_equal(&i.model, &want.model, sizeof(i.model));
	assert_true(i.has_container);
	assert_memory_equal(&i.container, &want.container, sizeof(i.container));
	assert_ok(store_instance_by_jkt(s, fx_instance(1).jkt, &i, &epoch));
	assert_false(i.has_container);
	assert_memory_equal(i.agent_doc, fx_instance(2).agent_doc, 32);
	assert_memory_equal(i.platform_doc, fx_instance(2).platform_doc, 32);
	assert_memory_equal(i.ear_digest, fx_instance(2).ear_digest, 32);

	/* Anything but a pass ends the verdict's life, moves the epoch and leaves no instance usable. */
	assert_ok(fx_verdict(s, h.id, false, FX_NOW + 10, LATER, 1, 1, 5));
	assert_ok(store_host(s, h.id, &c));
	assert_int_equal(c.state.status, HOST_FAILED);
	assert_int_equal(c.verdict_expires_s, 0);
	assert_int_equal(c.epoch, b.epoch + 1);
	assert_ok(store_instance_by_jkt(s, fx_instance(1).jkt, &i, &epoch));
	assert_false(i.usable);
	assert_err(store_instance_by_jkt(s, fx_instance(2).jkt, &i, &epoch), E_LOCAL_NOT_FOUND);
}

/* T20: what was appraised is no longer what is stored. */
struct progress {
	const struct verdict_write *w;
};

static struct err progress_txn(struct txn *t, void *ctx)
{
	return txn_progress(t, ((struct progress *)ctx)->w);
}

/* Evidence that goes on in the next message moves the state, and nothing that follows from the last verdict. */
static void test_progress_leaves_the_verdict(void **state)
{
	cleanup_host_row struct host_row a = { 0 }, b = { 0 };
	struct verdict_write w = { .now_s = FX_NOW + 10 };
	struct progress p = { &w };
	struct instance_row i;
	uint64_t epoch;

	WITH_HOST;
	assert_ok(fx_verdict(s, h.id, true, FX_NOW, LATER, 1, 1, 5));
	assert_ok(store_host(s, h.id, &a));
	a.state.ima.has = true;
	a.state.ima.offset = 4711;
	w.host_id = h.id;
	w.version = a.version;
	w.epoch = a.epoch;
	w.next = &a.state;
	assert_ok(store_write(s, progress_txn, &p));
	assert_ok(store_host(s, h.id, &b));
	assert_true(b.state.ima.has);
	assert_int_equal(b.state.ima.offset, 4711);
	assert_int_equal(b.version, a.version + 1);
	assert_int_equal(b.epoch, a.epoch);
	assert_int_equal(b.verdict_s, FX_NOW);
	assert_int_equal(b.verdict_expires_s, LATER);
	assert_ok(store_instance_by_jkt(s, fx_instance(1).jkt, &i, &epoch));
	assert_true(i.usable);
	/* The row has moved since. */
	assert_err(store_write(s, progress_txn, &p), E_AUTH_RETRY);
}

static void test_verdict_compares_version_and_epoch(void **state)
{
	static const struct {
		int version, epoch;
	} off[] = { { 1, 0 }, { -1, 0 }, { 0, 1 }, { 0, -1 } };
	cleanup_host_row struct host_row row = { 0 }, after = { 0 };

	WITH_HOST;
	assert_ok(store_host(s, h.id, &row));
	for (size_t k = 0; k < array_len(off); k++) {
		struct verdict_write v = { .host_id = h.id, .passed = true, .now_s = FX_NOW, .expires_s = LATER,
					   .next = &row.state, .explanation = BYTES_LIT("{}") };

		v.version = row.version + (uint64_t)off[k].version;
		v.epoch = row.epoch + (uint64_t)off[k].epoch;
		assert_err(fx_verdict_raw(s, &v), E_AUTH_RETRY);
	}
	assert_ok(store_host(s, h.id, &after));
	assert_int_equal(after.version, row.version);
	assert_int_equal(after.verdict_s, 0);
}

static void test_verdict_needs_a_life(void **state)
{
	WITH_HOST;
	assert_err(fx_verdict(s, h.id, true, FX_NOW, FX_NOW, 1, 0, 0), E_BUG);
	assert_err(fx_verdict(s, h.id, true, FX_NOW, 0, 1, 0, 0), E_BUG);
}

/* A key belongs to one instance of one host; the first one keeps it, and the second verdict changes nothing. */
static void test_key_of_another_host(void **state)
{
	cleanup_fx_host struct fx_host second = { .id = "" };
	cleanup_host_row struct host_row row = { 0 };
	struct instance_row i;
	uint64_t epoch;

	WITH_HOST;
	add_host(s, &second);
	assert_ok(fx_verdict(s, h.id, true, FX_NOW, LATER, 1, 1, 0));
	assert_err(fx_verdict(s, second.id, true, FX_NOW, LATER, 1, 1, 0), E_AUTH_CONFLICT);
	assert_ok(store_host(s, second.id, &row));
	assert_int_equal(row.state.status, HOST_NEVER);
	assert_ok(store_instance_by_jkt(s, fx_instance(1).jkt, &i, &epoch));
	assert_string_equal(i.host_id, h.id);
}

/* V2: expiry is what was written, however often the verifier starts. */
static void test_restart_does_not_extend(void **state)
{
	json_t *list = NULL;

	WITH_HOST;
	assert_ok(fx_verdict(s, h.id, true, FX_NOW, LATER, 1, 1, 0));
	for (int k = 0; k < 3; k++) {
		cleanup_host_row struct host_row row = { 0 };
		struct store_counts n;

		store_close(take_ptr(&s));
		open_at(dir, &s);
		assert_ok(store_host(s, h.id, &row));
		assert_int_equal(row.verdict_expires_s, LATER);
		assert_ok(store_counts(s, LATER - 1, &n));
		assert_int_equal(n.verified, 1);
		assert_int_equal(n.instances, 1);
		assert_ok(store_counts(s, LATER, &n));
		assert_int_equal(n.verified, 0);
		assert_int_equal(n.instances, 0);
	}
	assert_ok(store_list_hosts(s, LATER - 1, 10, &list));
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "status")), "VERIFIED");
	json_decref(list);
	assert_ok(store_list_hosts(s, LATER, 10, &list));
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "status")), "STALE");
	json_decref(list);
}

/* V5: removed and enrolled again, a host starts with nothing, above every epoch it had. */
static void test_remove_and_enrol_again(void **state)
{
	cleanup_host_row struct host_row old = { 0 }, new = { 0 };
	cleanup_credential_row struct credential_row c = { 0 }, read = { 0 };
	struct instance_row i;
	uint64_t epoch;
	bool alive = true, existed;

	WITH_HOST;
	assert_ok(fx_verdict(s, h.id, false, FX_NOW, LATER, 1, 0, 0));
	assert_ok(fx_verdict(s, h.id, true, FX_NOW, LATER, 1, 1, 0));
	assert_ok(store_host(s, h.id, &old));
	c = fx_credential(s, h.id, 1, "jti-1", "task-1", FX_NOW, LATER);
	assert_ok(fx_credential_add(s, &c));
	assert_ok(fx_host_remove(s, h.id));
	assert_err(fx_host_remove(s, h.id), E_LOCAL_NOT_FOUND);
	assert_err(store_instance_by_jkt(s, fx_instance(1).jkt, &i, &epoch), E_LOCAL_NOT_FOUND);
	assert_ok(store_credential(s, "jti-1", &read, &alive));
	assert_false(alive);
	assert_true(read.revoked);

	assert_ok(fx_host_add(s, h.id, buf_bytes(&h.record), &existed));
	assert_false(existed);
	assert_ok(store_host(s, h.id, &new));
	assert_int_equal(new.state.status, HOST_NEVER);
	assert_int_equal(new.verdict_s, 0);
	assert_true(new.epoch > old.epoch);
	assert_err(fx_credential_add(s, &c), E_AUTH_RETRY);
	credential_row_done(&read);
	assert_ok(store_credential(s, "jti-1", &read, &alive));
	assert_false(alive);
}

static void test_clear(void **state)
{
	cleanup_host_row struct host_row a = { 0 }, b = { 0 };

	WITH_HOST;
	assert_ok(fx_verdict(s, h.id, false, FX_NOW, LATER, 1, 1, 9));
	assert_ok(store_host(s, h.id, &a));
	assert_ok(fx_host_clear(s, h.id));
	assert_ok(store_host(s, h.id, &b));
	assert_int_equal(b.state.status, HOST_NEVER);
	assert_int_equal(b.epoch, a.epoch + 1);
	assert_int_equal(b.verdict_s, 0);
	assert_true(bytes_all(BYTES_ARR(b.host_doc), 0));
	assert_memory_equal(a.record->digest, b.record->digest, 32);
	assert_err(fx_host_clear(s, "h-00000000000000000000000000000000"), E_LOCAL_NOT_FOUND);
}

static void assert_alive(struct store *s, const char *jti, bool want)
{
	cleanup_credential_row struct credential_row c = { 0 };
	bool alive = !want;

	assert_ok(store_credential(s, jti, &c, &alive));
	assert_int_equal(alive, want);
}

/* Each way in which a credential dies, on a credential that was alive before. */
enum death { BY_HOST, BY_VERDICT, BY_INSTANCE, BY_DROP, BY_JTI, BY_TASK, BY_DOCUMENT, BY_OPERATOR, BY_RIGHTS, BY_CLEAR,
	     N_DEATHS };

static void kill_credential(struct store *s, const char *host, enum death how)
{
	struct document d = fx_document(DOCUMENT_WITHDRAW, "w", 1, 8);
	uint64_t n = 0;

	d.target_kind = DOCUMENT_IMAGE;
	d.target_serial = 1;
	(void)snprintf(d.target_name, sizeof(d.target_name), "img");
	switch (how) {
	case BY_HOST:
		assert_ok(fx_host_revoke(s, host));
		break;
	case BY_VERDICT:
		assert_ok(fx_verdict(s, host, false, FX_NOW + 1, LATER, 1, 1, 7));
		break;
	case BY_INSTANCE:
		assert_ok(fx_instance_revoke(s, fx_instance(1).id));
		break;
	case BY_DROP:
		assert_ok(fx_verdict(s, host, true, FX_NOW + 1, LATER, 2, 1, 7));
		break;
	case BY_JTI:
		assert_ok(fx_credential_revoke(s, "jti-1"));
		assert_ok(fx_credential_revoke(s, "jti-1"));
		break;
	case BY_TASK:
		assert_ok(fx_task_revoke(s, "task-1", &n));
		assert_int_equal(n, 1);
		break;
	case BY_DOCUMENT:
		assert_ok(fx_document_withdraw(s, &d, BYTES_LIT("env"), fx_keyid('a'), FX_NOW, &n));
		assert_int_equal(n, 1);
		break;
	case BY_OPERATOR:
		assert_ok(fx_operator_removed(s, fx_keyid('a'), &n));
		assert_int_equal(n, 1);
		break;
	case BY_RIGHTS:
		assert_ok(fx_document_dropped(s, "image", "img", 1, &n));
		assert_int_equal(n, 1);
		break;
	case BY_CLEAR:
		assert_ok(fx_host_clear(s, host));
		break;
	case N_DEATHS:
		fail();
	}
}

static void test_deaths_of_a_credential(void **state)
{
	for (enum death how = 0; how < N_DEATHS; how++) {
		cleanup_credential_row struct credential_row c = { 0 }, again = { 0 };
		struct document d = fx_document(DOCUMENT_IMAGE, "img", 1, 7);

		WITH_HOST;
		assert_ok(fx_document_add(s, &d, BYTES_LIT("env"), fx_keyid('a'), FX_NOW));
		assert_ok(fx_verdict(s, h.id, true, FX_NOW, LATER, 1, 1, 7));
		c = fx_credential(s, h.id, 1, "jti-1", "task-1", FX_NOW, LATER);
		assert_ok(fx_credential_add(s, &c));
		assert_alive(s, "jti-1", true);
		kill_credential(s, h.id, how);
		assert_alive(s, "jti-1", false);
		store_close(take_ptr(&s));
		open_at(dir, &s);
		assert_alive(s, "jti-1", false);
		/* T29: none is added afterwards by who read the old state, but for the one jti. */
		again = c;
		(void)snprintf(again.jti, sizeof(again.jti), "jti-2");
		if (how == BY_JTI)
			assert_ok(fx_credential_add(s, &again));
		else if (how == BY_TASK)
			assert_err(fx_credential_add(s, &again), E_AUTH_REFUSED);
		else
			assert_err(fx_credential_add(s, &again), E_AUTH_RETRY);
		again = (struct credential_row){ 0 };
	}
}

static void test_credential_row(void **state)
{
	cleanup_credential_row struct credential_row c = { 0 }, read = { 0 }, late = { 0 }, back = { 0 };
	bool alive;

	WITH_HOST;
	assert_ok(fx_verdict(s, h.id, true, FX_NOW, LATER, 1, 1, 0));
	c = fx_credential(s, h.id, 1, "jti-1", "task-1", FX_NOW, LATER);
	assert_ok(fx_credential_add(s, &c));
	assert_err(fx_credential_add(s, &c), E_AUTH_CONFLICT);
	assert_ok(store_credential(s, "jti-1", &read, &alive));
	assert_string_equal(read.jkt, c.jkt);
	assert_string_equal(read.host_id, h.id);
	assert_string_equal(read.scope, "read");
	assert_string_equal(read.audience, "https://api.example.org");
	assert_string_equal(read.task_id, "task-1");
	assert_string_equal(read.owner, "ops@example.org");
	assert_memory_equal(read.instance, c.instance, sizeof(c.instance));
	assert_int_equal(read.issued_s, FX_NOW);
	assert_int_equal(read.expires_s, LATER);
	assert_int_equal(read.epoch, c.epoch);
	assert_err(store_credential(s, "nope", &read, &alive), E_LOCAL_NOT_FOUND);
	assert_err(fx_credential_revoke(s, "nope"), E_LOCAL_NOT_FOUND);

	/* V6: not past the verdict's life. T40: nothing without an expiry behind its start, whatever the caller says. */
	late = fx_credential(s, h.id, 1, "jti-2", "task-1", FX_NOW, LATER + 1);
	assert_err(fx_credential_add(s, &late), E_AUTH_RETRY);
	back = fx_credential(s, h.id, 1, "jti-3", "task-1", FX_NOW, FX_NOW);
	assert_err(fx_credential_add(s, &back), E_BUG);
	free(back.owner);
	back.owner = strdup("");
	back.expires_s = LATER;
	assert_err(fx_credential_add(s, &back), E_BUG);
}

/* An unusable instance, another instance's key, another epoch: none gets a credential. */
static void test_credential_needs_its_instance(void **state)
{
	cleanup_credential_row struct credential_row c = { 0 };

	WITH_HOST;
	assert_ok(fx_verdict(s, h.id, true, FX_NOW, LATER, 1, 2, 0));
	c = fx_credential(s, h.id, 1, "jti-1", "task-1", FX_NOW, LATER);
	(void)snprintf(c.jkt, sizeof(c.jkt), "%s", fx_instance(2).jkt);
	assert_err(fx_credential_add(s, &c), E_AUTH_RETRY);
	(void)snprintf(c.jkt, sizeof(c.jkt), "%s", fx_instance(1).jkt);
	c.epoch++;
	assert_err(fx_credential_add(s, &c), E_AUTH_RETRY);
	c.epoch--;
	c.host_id[3] = c.host_id[3] == '0' ? '1' : '0';
	assert_err(fx_credential_add(s, &c), E_AUTH_RETRY);
}

/* A revoked instance stays revoked through later passes, until an operator clears the host. */
static void test_revoked_instance_stays(void **state)
{
	struct instance_row i;
	uint64_t epoch;

	WITH_HOST;
	assert_ok(fx_verdict(s, h.id, true, FX_NOW, LATER, 1, 2, 0));
	assert_err(fx_instance_revoke(s, fx_instance(3).id), E_LOCAL_NOT_FOUND);
	assert_ok(fx_instance_revoke(s, fx_instance(1).id));
	assert_ok(fx_instance_revoke(s, fx_instance(1).id));
	for (int k = 0; k < 2; k++) {
		assert_ok(fx_verdict(s, h.id, true, FX_NOW + k, LATER, 1, 2, 0));
		assert_ok(store_instance_by_jkt(s, fx_instance(1).jkt, &i, &epoch));
		assert_false(i.usable);
		assert_ok(store_instance_by_jkt(s, fx_instance(2).jkt, &i, &epoch));
		assert_true(i.usable);
	}
	assert_ok(fx_host_clear(s, h.id));
	assert_ok(fx_verdict(s, h.id, true, FX_NOW, LATER, 1, 2, 0));
	assert_ok(store_instance_by_jkt(s, fx_instance(1).jkt, &i, &epoch));
	assert_true(i.usable);
}

/* Credentials are forgotten an hour after they expired, not before. */
static void test_credentials_are_pruned(void **state)
{
	cleanup_credential_row struct credential_row c = { 0 }, read = { 0 };
	bool alive;

	WITH_HOST;
	assert_ok(fx_verdict(s, h.id, true, FX_NOW, LATER, 1, 1, 0));
	c = fx_credential(s, h.id, 1, "jti-1", "task-1", FX_NOW, LATER);
	assert_ok(fx_credential_add(s, &c));
	assert_ok(fx_prune(s, LATER + 3600 + STORE_PRUNE_MARGIN_S));
	assert_ok(store_credential(s, "jti-1", &read, &alive));
	assert_ok(fx_prune(s, LATER + 3600 + STORE_PRUNE_MARGIN_S + 1));
	assert_err(store_credential(s, "jti-1", &read, &alive), E_LOCAL_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files_are_private),
		cmocka_unit_test(test_reads_see_the_last_commit),
		cmocka_unit_test(test_another_record_is_read),
		cmocka_unit_test(test_time_high_never_goes_back),
		cmocka_unit_test(test_use_once),
		cmocka_unit_test(test_prune_horizon),
		cmocka_unit_test(test_first_binding_wins),
		cmocka_unit_test(test_same_ek_other_ak),
		cmocka_unit_test(test_record_is_immutable),
		cmocka_unit_test(test_verdict_moves_the_row),
		cmocka_unit_test(test_progress_leaves_the_verdict),
		cmocka_unit_test(test_verdict_compares_version_and_epoch),
		cmocka_unit_test(test_verdict_needs_a_life),
		cmocka_unit_test(test_key_of_another_host),
		cmocka_unit_test(test_restart_does_not_extend),
		cmocka_unit_test(test_remove_and_enrol_again),
		cmocka_unit_test(test_clear),
		cmocka_unit_test(test_deaths_of_a_credential),
		cmocka_unit_test(test_credential_row),
		cmocka_unit_test(test_credential_needs_its_instance),
		cmocka_unit_test(test_revoked_instance_stays),
		cmocka_unit_test(test_credentials_are_pruned),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
