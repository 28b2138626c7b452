/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines on stderr with the <n> priority prefix of sd-daemon(3) when stderr
 * is the journal, plain otherwise, or as JSON lines. Only main files and the
 * HTTP glue log above debug; libraries stay silent. The level and form are the
 * only file-scope state of the project beside fetched algorithms.
 */
#ifndef ASSAY_BASE_LOG_H
#define ASSAY_BASE_LOG_H

#include "base/bytes.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* level, JSON lines or text; call once, before threads. */
void log_init(enum log_level level, bool json);
/* "error", "warning", "info", "debug". E_PEER_RANGE. */
must_check struct err log_level_parse(const char *s, enum log_level *ret);
bool log_wants(enum log_level level);

/*
 * One line in one write(2), with a time (UTC) in JSON; long text is cut, controls
 * are escaped, errno is kept. Text that others control goes through
 * log_quote() first.
 */
void log_line(enum log_level level, const char *fmt, ...) printf_like(2, 3);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

/*
 * Printable form of foreign bytes: C0/C1 controls, DEL, backslash, quotes and
 * ill-formed UTF-8 are escaped as \xNN, the rest kept; cut with "..." so that
 * it fits. Returns q->text.
 */
struct log_quote {
	char text[256];
};
const char *log_quote_(struct log_quote *q, struct bytes foreign);
#define log_quote(b) log_quote_(&(struct log_quote){ { 0 } }, (b))

#endif
