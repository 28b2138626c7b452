/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/text.h"

#define LOG_TEXT 1536                 /* bytes of one message; the rest is cut */
#define LOG_LINE (6 * LOG_TEXT + 128) /* JSON writes one byte as six at most */

static const struct {
	const char *name;
	unsigned priority; /* of syslog(3) */
} levels[] = {
	[LOG_LEVEL_ERROR] = { "error", 3 },
	[LOG_LEVEL_WARNING] = { "warning", 4 },
	[LOG_LEVEL_INFO] = { "info", 6 },
	[LOG_LEVEL_DEBUG] = { "debug", 7 },
};

static struct {
	enum log_level level;
	bool json;
	bool journal;
} conf = { .level = LOG_LEVEL_INFO };

/* systemd.exec(5): $JOURNAL_STREAM is "device:inode" of the stream; another stderr was put in its place otherwise. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char want[64];
	struct stat st;

	if (stream == NULL || fstat(STDERR_FILENO, &st) != 0)
		return false;
	(void)snprintf(want, sizeof(want), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(stream, want) == 0;
}

void log_init(enum log_level level, bool json)
{
	conf.level = level;
	conf.json = json;
	conf.journal = stderr_is_journal();
}

struct err log_level_parse(const char *s, enum log_level *ret)
{
	for (size_t i = 0; i < array_len(levels); i++) {
		if (strcmp(s, levels[i].name) == 0) {
			*ret = (enum log_level)i;
			return ERR(E_OK);
		}
	}
	return ERR(E_PEER_RANGE);
}

bool log_wants(enum log_level level)
{
	return level <= conf.level;
}

/* Writes text into a fixed array and stops, without a part of an item, when it is full. */
struct line {
	char *p;
	size_t n, max;
};

static bool line_add(struct line *l, const char *s, size_t n)
{
	if (n > l->max - l->n)
		return false;
	memcpy(l->p + l->n, s, n);
	l->n += n;
	return true;
}

/* C0, DEL, and C1, which is C2 80..9F in UTF-8. */
static bool is_control(struct bytes c)
{
	return c.p[0] < 0x20 || c.p[0] == 0x7f || (c.n == 2 && c.p[0] == 0xc2 && c.p[1] < 0xa0);
}

/* The first character of s, or its first byte where that is none; n > 0. */
static struct bytes next_char(struct bytes s, bool *ret_valid)
{
	size_t n = utf8_len(s);

	*ret_valid = n > 0;
	return BYTES(s.p, n > 0 ? n : 1);
}

/* "\xNN" for each byte; at most 4 bytes. */
static bool line_add_hex(struct line *l, struct bytes c)
{
	char out[4 * 4 + 1] = "";

	for (size_t i = 0; i < c.n && i < 4; i++)
		(void)snprintf(out + 4 * i, 5, "\\x%02x", c.p[i]);
	return line_add(l, out, strlen(out));
}

static bool line_add_json(struct line *l, struct bytes c, bool valid)
{
	char out[8];
	int n;

	if (!valid)
		return line_add(l, "\xef\xbf\xbd", 3); /* U+FFFD: JSON is UTF-8 (RFC 8259, 8.1) */
	if (c.n == 1 && (c.p[0] == '"' || c.p[0] == '\\')) {
		out[0] = '\\';
		out[1] = (char)c.p[0];
		return line_add(l, out, 2);
	}
	if (!is_control(c))
		return line_add(l, (const char *)c.p, c.n);
	n = snprintf(out, sizeof(out), "\\u%04x", c.p[c.n - 1]); /* C1 has its number in the second byte */
	return n == 6 && line_add(l, out, 6);
}

static void line_add_text(struct line *l, struct bytes text, bool json)
{
	bool valid, fits;

	while (text.n > 0) {
		struct bytes c = next_char(text, &valid);

		if (json)
			fits = line_add_json(l, c, valid);
		else if (!valid || is_control(c))
			fits = line_add_hex(l, c);
		else
			fits = line_add(l, (const char *)c.p, c.n);
		if (!fits)
			return;
		text = BYTES(text.p + c.n, text.n - c.n);
	}
}

static void line_begin(struct line *l, enum log_level level)
{
	char ts[TIME_TEXT_SIZE] = "";
	int n = 0;

	if (conf.json) {
		struct timespec now = { 0 };

		(void)clock_gettime(CLOCK_REALTIME, &now);
		if (failed(time_format(now.tv_sec, ts, sizeof(ts))))
			ts[0] = '\0';
		n = snprintf(l->p, l->max, "{\"ts\":\"%s\",\"level\":\"%s\",\"msg\":\"", ts, levels[level].name);
	} else if (conf.journal) {
		n = snprintf(l->p, l->max, "<%u>", levels[level].priority);
	} else if (level != LOG_LEVEL_INFO) {
		n = snprintf(l->p, l->max, "%s: ", levels[level].name);
	}
	l->n = n > 0 ? (size_t)n : 0;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char text[LOG_TEXT], out[LOG_LINE];
	struct line l = { out, 0, sizeof(out) - 3 }; /* room for the end of the line */
	int saved_errno = errno;
	va_list ap;
	int n;

	if ((size_t)level >= array_len(levels) || !log_wants(level))
		return;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0)
		return;

	line_begin(&l, level);
	line_add_text(&l, bytes_str(text), conf.json);
	if ((size_t)n >= sizeof(text)) {
		l.n = l.n > l.max - 3 ? l.max - 3 : l.n;
		(void)line_add(&l, "...", 3);
	}
	l.max = sizeof(out);
	(void)line_add(&l, conf.json ? "\"}\n" : "\n", conf.json ? 3 : 1);

	/*
	 * One write(2) a line keeps the lines of processes apart. Threads take
	 * turns: on a file that was not opened for appending, two writes at one
	 * offset would lose a line. Nobody is left to tell when it fails.
	 */
	static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

	(void)pthread_mutex_lock(&turn);
	while (write(STDERR_FILENO, out, l.n) < 0 && errno == EINTR)
		;
	(void)pthread_mutex_unlock(&turn);
	errno = saved_errno;
}

const char *log_quote_(struct log_quote *q, struct bytes foreign)
{
	static const char dots[] = "...";
	struct line l = { q->text, 0, sizeof(q->text) - 1 };
	size_t cut = 0; /* where the last item ended that leaves room for the dots */
	bool valid;

	while (foreign.n > 0) {
		struct bytes c = next_char(foreign, &valid);
		bool plain = valid && !is_control(c) && memchr("\\\"'", c.p[0], 3) == NULL;

		if (!(plain ? line_add(&l, (const char *)c.p, c.n) : line_add_hex(&l, c))) {
			l.n = cut;
			(void)line_add(&l, dots, sizeof(dots) - 1);
			break;
		}
		if (l.n <= l.max - (sizeof(dots) - 1))
			cut = l.n;
		foreign = BYTES(foreign.p + c.n, foreign.n - c.n);
	}
	q->text[l.n] = '\0';
	return q->text;
}
