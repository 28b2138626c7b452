/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, closing, and the pool of read connections. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/file.h"
#include "verifier/store/internal.h"

#define ROOM_MIN (1 * MIB) /* what a commit that failed must find before the store is called healthy again */

/* The folder holds verdicts and who may ask about tokens: whoever can write it can invent both. */
static struct err check_dir(const char *dir, struct reason *reterr)
{
	struct stat st;

	if (stat(dir, &st) != 0) {
		reason_set(reterr, "state folder %s: %s", dir, strerrordesc_np(errno) ?: "unknown error");
		return ERR(errno == ENOENT ? E_LOCAL_NOT_FOUND : E_LOCAL_IO);
	}
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077) != 0) {
		reason_set(reterr, "state folder %s must be a folder with mode 0700, owned by the verifier's user", dir);
		return ERR(E_LOCAL_PERMISSION);
	}
	return ERR(E_OK);
}

/* Made by us, so that it and the files SQLite makes after its mode are 0600. */
static struct err make_file(const char *path)
{
	struct err e = file_create(AT_FDCWD, path, BYTES_NONE, 0600);

	return e.code == E_LOCAL_EXISTS ? ERR(E_OK) : e;
}

static struct err open_writer(const char *path, struct conn **ret, struct reason *reterr)
{
	cleanup_conn struct conn *c = NULL;
	struct err e;

	if (failed(e = conn_open(path, &c)))
		return e;
	if (failed(e = store_migrate(c, path, store_migrations, store_n_migrations, reterr)) ||
	    failed(e = conn_exec(c, "PRAGMA journal_mode = WAL")))
		return e;
	*ret = take_ptr(&c);
	return ERR(E_OK);
}

static struct err open_readers(struct store *s, const char *path)
{
	struct err e;

	for (size_t i = 0; i < STORE_READERS; i++) {
		cleanup_conn struct conn *c = NULL;

		if (failed(e = conn_open(path, &c)) || failed(e = conn_exec(c, "PRAGMA query_only = ON")))
			return e;
		c->next = s->idle;
		s->idle = take_ptr(&c);
	}
	return ERR(E_OK);
}

void store_close(struct store *s)
{
	if (s == NULL)
		return;
	writer_stop(s);
	while (s->idle != NULL) {
		struct conn *c = s->idle;

		s->idle = c->next;
		conn_close(c);
	}
	/* Last, so that it is the one that folds the write-ahead log into the database. */
	conn_close(s->writer);
	host_cache_done(&s->hosts);
	(void)pthread_mutex_destroy(&s->lock);
	(void)pthread_cond_destroy(&s->work);
	(void)pthread_cond_destroy(&s->reader_free);
	free(s);
}

/*
 * SQLite keeps what a statement or savepoint may have to undo in memory, in one
 * piece of this size, made and freed each time. Its default of 64 KiB is what
 * the C library gives back to the system at every free. Refused, and not
 * needed, once SQLite is at work.
 */
#define UNDO_MEMORY (16 * 1024)

struct err store_open(const char *dir, struct store **ret, struct reason *reterr)
{
	cleanup_store struct store *s = calloc(1, sizeof(*s));
	cleanup_buf struct buf path = BUF_INIT(LIMIT_PATH);
	const char *path_s;
	struct err e;

	if (s == NULL)
		return ERR(E_LOCAL_MEMORY);
	(void)sqlite3_config(SQLITE_CONFIG_STMTJRNL_SPILL, UNDO_MEMORY);
	s->last = &s->first;
	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_cond_init(&s->work, NULL);
	(void)pthread_cond_init(&s->reader_free, NULL);
	reason_set(reterr, "cannot open the database in %s", dir);
	if (failed(e = host_cache_init(&s->hosts)) || failed(e = check_dir(dir, reterr)) || failed(e = buf_addf(&path, "%s/" STORE_FILE, dir)) ||
	    failed(e = buf_cstr(&path, &path_s)) || failed(e = make_file(path_s)) ||
	    failed(e = open_writer(path_s, &s->writer, reterr)) || failed(e = open_readers(s, path_s)) ||
	    failed(e = writer_start(s)))
		return e;
	*ret = take_ptr(&s);
	return ERR(E_OK);
}

struct conn *reader_take(struct store *s)
{
	struct conn *c;

	(void)pthread_mutex_lock(&s->lock);
	while (s->idle == NULL)
		(void)pthread_cond_wait(&s->reader_free, &s->lock);
	c = s->idle;
	s->idle = c->next;
	(void)pthread_mutex_unlock(&s->lock);
	return c;
}

void reader_give(struct store *s, struct conn *c)
{
	(void)pthread_mutex_lock(&s->lock);
	c->next = s->idle;
	s->idle = c;
	(void)pthread_cond_signal(&s->reader_free);
	(void)pthread_mutex_unlock(&s->lock);
}

static struct err nothing(struct txn *t, void *ctx)
{
	(void)t;
	(void)ctx;
	return ERR(E_OK);
}

/* Changes a value: SQLite writes nothing for an update that changes nothing. */
static struct err touch(struct txn *t, void *ctx)
{
	(void)ctx;
	return conn_run(t->c, SQL_TOUCH);
}

/* Whether an ordinary commit fits; a tiny one may still find a place in a page that the log has already. */
static bool has_room(struct store *s)
{
	struct statvfs f;
	const char *path = sqlite3_db_filename(s->writer->db, "main");

	return path != NULL && statvfs(path, &f) == 0 && f.f_bavail >= ROOM_MIN / f.f_frsize;
}

struct err store_ping(struct store *s)
{
	bool commit_failed = atomic_load(&s->commit_failed);
	int64_t high;
	struct err e = store_time_high(s, &high);

	if (failed(e))
		return e;
	if (commit_failed && !has_room(s))
		return ERR(E_LOCAL_STORE);
	/*
	 * An empty transaction takes the write lock and costs no disk write, as
	 * anyone may ask. After a commit that failed only one that works is proof.
	 */
	return store_write(s, commit_failed ? touch : nothing, NULL);
}
