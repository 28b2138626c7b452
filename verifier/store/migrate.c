/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The schema, and the steps from older ones. A step that was released is never
 * edited; a new one is appended.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "verifier/store/internal.h"

/* "asay": so that a database of somebody else is not taken for an empty one of ours. */
#define APPLICATION_ID 0x61736179

/*
 * Times are seconds since 1970. The rules that must hold whatever the code
 * does stand here: nothing without an expiry behind its start, immutable host
 * records, one key for one instance.
 */
static const char schema_1[] =
	"CREATE TABLE meta (id INTEGER PRIMARY KEY CHECK (id = 1), time_high INTEGER NOT NULL,"
	" prune_horizon INTEGER NOT NULL, epoch_floor INTEGER NOT NULL,"
	" policy_generation INTEGER NOT NULL, probe INTEGER NOT NULL) STRICT;"
	"INSERT INTO meta VALUES (1, 0, 0, 1, 1, 0);"
	"CREATE TRIGGER meta_forward BEFORE UPDATE ON meta"
	" WHEN NEW.time_high < OLD.time_high OR NEW.prune_horizon < OLD.prune_horizon OR NEW.epoch_floor < OLD.epoch_floor"
	" OR NEW.policy_generation < OLD.policy_generation"
	" BEGIN SELECT RAISE(ABORT, 'never back'); END;"

	"CREATE TABLE once (space TEXT NOT NULL, value BLOB NOT NULL CHECK (length(value) BETWEEN 1 AND 64),"
	" expires INTEGER NOT NULL, PRIMARY KEY (space, value)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX once_expires ON once (expires);"

	"CREATE TABLE host (id TEXT PRIMARY KEY CHECK (length(id) = 34),"
	" ek_sha256 BLOB NOT NULL UNIQUE CHECK (length(ek_sha256) = 32), enrolled INTEGER NOT NULL CHECK (enrolled > 0),"
	" record BLOB NOT NULL) STRICT;"
	"CREATE TRIGGER host_immutable BEFORE UPDATE ON host BEGIN SELECT RAISE(ABORT, 'immutable'); END;"
	"CREATE TABLE host_state (host TEXT PRIMARY KEY REFERENCES host ON DELETE CASCADE, status INTEGER NOT NULL,"
	" version INTEGER NOT NULL DEFAULT 1, epoch INTEGER NOT NULL, verdict INTEGER NOT NULL DEFAULT 0,"
	" verdict_expires INTEGER NOT NULL DEFAULT 0 CHECK (verdict_expires = 0 OR verdict_expires > verdict),"
	" host_doc BLOB NOT NULL DEFAULT (zeroblob(32)) CHECK (length(host_doc) = 32),"
	" docs BLOB NOT NULL DEFAULT (x'') CHECK (length(docs) % 32 = 0),"
	" state BLOB NOT NULL, explanation BLOB NOT NULL DEFAULT (x'')) STRICT;"
	"CREATE TRIGGER host_state_forward BEFORE UPDATE ON host_state"
	" WHEN NEW.epoch < OLD.epoch OR NEW.version <= OLD.version"
	" BEGIN SELECT RAISE(ABORT, 'never back'); END;"

	"CREATE TABLE instance (host TEXT NOT NULL REFERENCES host ON DELETE CASCADE,"
	" id BLOB NOT NULL CHECK (length(id) = 16), agent TEXT NOT NULL CHECK (length(agent) BETWEEN 1 AND 64),"
	" jkt TEXT NOT NULL UNIQUE CHECK (length(jkt) = 43), usable INTEGER NOT NULL CHECK (usable IN (0, 1)),"
	" status INTEGER NOT NULL, image BLOB NOT NULL CHECK (length(image) = 64),"
	" model BLOB NOT NULL CHECK (length(model) = 64), docs BLOB NOT NULL CHECK (length(docs) = 128),"
	" ear BLOB NOT NULL CHECK (length(ear) = 32), epoch INTEGER NOT NULL, verdict_expires INTEGER NOT NULL,"
	" PRIMARY KEY (host, id)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE instance_revoked (host TEXT NOT NULL REFERENCES host ON DELETE CASCADE, id BLOB NOT NULL,"
	" PRIMARY KEY (host, id)) STRICT, WITHOUT ROWID;"

	"CREATE TABLE credential (jti TEXT PRIMARY KEY CHECK (length(jti) BETWEEN 1 AND 43),"
	" jkt TEXT NOT NULL CHECK (length(jkt) = 43), host TEXT NOT NULL, instance BLOB NOT NULL CHECK (length(instance) = 16),"
	" agent TEXT NOT NULL, scope TEXT NOT NULL, audience TEXT NOT NULL, task TEXT NOT NULL,"
	" owner TEXT NOT NULL CHECK (length(owner) > 0), issued INTEGER NOT NULL,"
	" expires INTEGER NOT NULL CHECK (expires > issued), epoch INTEGER NOT NULL,"
	" revoked INTEGER NOT NULL DEFAULT 0 CHECK (revoked IN (0, 1))) STRICT, WITHOUT ROWID;"
	"CREATE INDEX credential_expires ON credential (expires);"
	"CREATE INDEX credential_task ON credential (task);"
	"CREATE INDEX credential_host ON credential (host);"
	"CREATE TABLE task_ended (task TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;"

	"CREATE TABLE document (kind TEXT NOT NULL, name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 64),"
	" serial INTEGER NOT NULL CHECK (serial > 0), digest BLOB NOT NULL CHECK (length(digest) = 32),"
	" envelope BLOB NOT NULL, keyid TEXT NOT NULL CHECK (length(keyid) = 64),"
	" owner TEXT NOT NULL CHECK (length(owner) > 0), not_before INTEGER NOT NULL,"
	" expires INTEGER NOT NULL CHECK (expires > not_before), accepted INTEGER NOT NULL,"
	" withdrawn INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (kind, name, serial)) STRICT;"
	"CREATE TABLE document_high (kind TEXT NOT NULL, name TEXT NOT NULL, serial INTEGER NOT NULL,"
	" PRIMARY KEY (kind, name)) STRICT, WITHOUT ROWID;"
	"CREATE TRIGGER document_high_forward BEFORE UPDATE ON document_high WHEN NEW.serial < OLD.serial"
	" BEGIN SELECT RAISE(ABORT, 'never back'); END;"

	"CREATE TABLE trust (sha256 BLOB PRIMARY KEY CHECK (length(sha256) = 32), der BLOB NOT NULL) STRICT;"
	"CREATE TABLE client (name TEXT PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 64),"
	" secret_sha256 BLOB NOT NULL CHECK (length(secret_sha256) = 32), created INTEGER NOT NULL) STRICT;"
	"CREATE TABLE client_resource (client TEXT NOT NULL REFERENCES client ON DELETE CASCADE, resource TEXT NOT NULL,"
	" PRIMARY KEY (client, resource)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX client_resource_resource ON client_resource (resource);";

/* Root and policy of an instance in a container; empty for others. */
static const char schema_2[] =
	"ALTER TABLE instance ADD COLUMN container BLOB NOT NULL DEFAULT x'' CHECK (length(container) IN (0, 64));";

const struct migration store_migrations[] = {
	{ schema_1 },
	{ schema_2 },
};
const size_t store_n_migrations = array_len(store_migrations);

/* One integer that a text of ours asks for. */
static struct err ask(struct conn *c, const char *sql, int64_t *ret)
{
	sqlite3_stmt *st = NULL;
	struct err e = ERR(E_OK);

	if (sqlite3_prepare_v2(c->db, sql, -1, &st, NULL) != SQLITE_OK)
		return conn_failed(c, sql);
	if (sqlite3_step(st) == SQLITE_ROW)
		*ret = sqlite3_column_int64(st, 0);
	else
		e = conn_failed(c, sql);
	(void)sqlite3_finalize(st);
	return e;
}

static struct err vacuum_into(struct conn *c, const char *to)
{
	sqlite3_stmt *st = NULL;
	struct err e = ERR(E_OK);

	if (sqlite3_prepare_v2(c->db, "VACUUM INTO ?1", -1, &st, NULL) != SQLITE_OK)
		return conn_failed(c, "backup");
	if (sqlite3_bind_text(st, 1, to, -1, SQLITE_STATIC) != SQLITE_OK || sqlite3_step(st) != SQLITE_DONE)
		e = conn_failed(c, "backup");
	(void)sqlite3_finalize(st);
	return e;
}

static struct err sync_path(const char *path, int flags)
{
	cleanup_fd int fd = open(path, flags | O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd >= 0 && fsync(fd) == 0 ? ERR(E_OK) : ERR(E_LOCAL_IO);
}

/*
 * A copy beside the database, whole and durable before anything is changed:
 * "<path>.v<version>-<time>.bak". Made empty first, because SQLite would give
 * it the mode of the umask.
 */
static struct err backup(struct conn *c, const char *path, int64_t version, struct reason *reterr)
{
	cleanup_buf struct buf name = BUF_INIT(LIMIT_PATH), dir = BUF_INIT(LIMIT_PATH);
	const char *name_s, *dir_s, *slash = strrchr(path, '/');
	struct err e;

	if (failed(e = buf_addf(&name, "%s.v%lld-%lld.bak", path, (long long)version, (long long)clock_now_s())) ||
	    failed(e = buf_cstr(&name, &name_s)) ||
	    failed(e = buf_add(&dir, slash == NULL ? BYTES_LIT(".") : BYTES(path, (size_t)(slash - path) + 1))) ||
	    failed(e = buf_cstr(&dir, &dir_s)))
		return e;
	if (failed(e = file_create(AT_FDCWD, name_s, BYTES_NONE, 0600)) || failed(e = vacuum_into(c, name_s)) ||
	    failed(e = sync_path(name_s, 0)) || failed(e = sync_path(dir_s, O_DIRECTORY))) {
		reason_set(reterr, "cannot back up the database before its schema is changed (%s); nothing was changed",
			   err_text(e));
		return e;
	}
	return ERR(E_OK);
}

static struct err run_steps(struct conn *c, const struct migration *steps, int64_t from, int64_t to)
{
	char pragma[80];
	int64_t bad = 0;
	struct err e;

	for (int64_t i = from; i < to; i++)
		if (failed(e = conn_exec(c, steps[i].sql)))
			return e;
	(void)snprintf(pragma, sizeof(pragma), "PRAGMA user_version = %lld; PRAGMA application_id = %d", (long long)to,
		       APPLICATION_ID);
	if (failed(e = conn_exec(c, pragma)) ||
	    failed(e = ask(c, "SELECT count(*) FROM pragma_foreign_key_check", &bad)))
		return e;
	return bad == 0 ? ERR(E_OK) : ERR(E_LOCAL_STORE);
}

struct err store_migrate(struct conn *c, const char *path, const struct migration *steps, size_t n,
			 struct reason *reterr)
{
	int64_t version = 0, application = 0, tables = 0, to = (int64_t)n;
	struct err e, undo;

	if (failed(e = ask(c, "PRAGMA user_version", &version)) ||
	    failed(e = ask(c, "PRAGMA application_id", &application)) ||
	    failed(e = ask(c, "SELECT count(*) FROM sqlite_schema", &tables)))
		return e;
	if (version < 0 || (tables > 0 && application != APPLICATION_ID)) {
		reason_set(reterr, "the database is not one of assay-verifier");
		return ERR(E_LOCAL_CONFIG);
	}
	if (version > to) {
		reason_set(reterr, "the database has schema %lld, this program knows up to %lld: start the newer program, or restore a backup",
			   (long long)version, (long long)to);
		return ERR(E_LOCAL_CONFIG);
	}
	if (version == to)
		return ERR(E_OK);
	if (tables > 0 && failed(e = backup(c, path, version, reterr)))
		return e;
	/* Rebuilding a table that others refer to needs foreign keys off, and that only works outside a transaction. */
	if (failed(e = conn_exec(c, "PRAGMA foreign_keys = OFF; BEGIN IMMEDIATE")))
		return e;
	e = run_steps(c, steps, version, to);
	if (!failed(e))
		e = conn_exec(c, "COMMIT");
	if (failed(e)) {
		/* The commit may have ended the transaction itself. */
		undo = sqlite3_get_autocommit(c->db) ? ERR(E_OK) : conn_exec(c, "ROLLBACK");
		reason_set(reterr, "the schema could not be changed from %lld to %lld (%s)%s", (long long)version,
			   (long long)to, err_text(e), failed(undo) ? "" : "; nothing was changed");
		return e;
	}
	return conn_exec(c, "PRAGMA foreign_keys = ON");
}
