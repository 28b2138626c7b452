/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one error type.
 *
 * A struct, so that it is never an int by mistake: `if ((e = f() != OK))` does
 * not compile, and neither does an ignored result. Codes come from one table
 * (name, HTTP status, text). An error means "could not decide"; a decision
 * "no" is a verdict and never travels as an error.
 *
 *   E_PEER_*   their bytes are wrong
 *   E_AUTH_*   not who or what they claim to be
 *   E_LIMIT_*  more than we accept
 *   E_LOCAL_*  memory, I/O, TPM, crypto or configuration here
 *   E_BUG      cannot happen
 *
 * Codes of OpenSSL, TSS, SQLite and errno are translated where they occur.
 */
#ifndef ASSAY_BASE_ERR_H
#define ASSAY_BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>

#define must_check __attribute__((warn_unused_result))
#define printf_like(fmt, args) __attribute__((format(printf, fmt, args)))

#define ERR_TABLE(X)                                                           \
	X(E_OK, 200, "success")                                                \
	X(E_PEER_TRUNCATED, 400, "input ends early")                           \
	X(E_PEER_TRAILING, 400, "bytes left after the end")                    \
	X(E_PEER_SYNTAX, 400, "not well formed")                               \
	X(E_PEER_NOT_CANONICAL, 400, "not in canonical form")                  \
	X(E_PEER_DUPLICATE, 400, "given twice")                                \
	X(E_PEER_UNKNOWN_KEY, 400, "unknown member")                           \
	X(E_PEER_MISSING, 400, "required member missing")                      \
	X(E_PEER_TYPE, 400, "wrong type")                                      \
	X(E_PEER_RANGE, 400, "value out of range")                             \
	X(E_PEER_UNSUPPORTED, 400, "algorithm or format not supported")        \
	X(E_PEER_DIGEST, 400, "content does not match its digest")             \
	X(E_PEER_CHANGED, 409, "changed while it was read")                    \
	X(E_PEER_MEDIA_TYPE, 415, "unsupported media type")                    \
	X(E_PEER_NO_ROUTE, 404, "no such resource")                            \
	X(E_PEER_METHOD, 405, "method not allowed")                            \
	X(E_AUTH_SIGNATURE, 403, "signature does not verify")                  \
	X(E_AUTH_CERTIFICATE, 403, "certificate not acceptable")               \
	X(E_AUTH_UNKNOWN, 403, "not known here")                               \
	X(E_AUTH_NONCE, 403, "nonce not live")                                 \
	X(E_AUTH_EXPIRED, 403, "expired or not yet valid")                     \
	X(E_AUTH_REFUSED, 403, "refused")                                      \
	X(E_AUTH_CLIENT, 401, "caller not authenticated")                      \
	X(E_AUTH_CONFLICT, 409, "conflicts with what is recorded")             \
	X(E_AUTH_RETRY, 409, "state moved meanwhile, ask for a new challenge") \
	X(E_LIMIT_SIZE, 413, "too large")                                      \
	X(E_LIMIT_DEPTH, 413, "nested too deeply")                             \
	X(E_LIMIT_COUNT, 413, "too many items")                                \
	X(E_LIMIT_RATE, 429, "too many requests")                              \
	X(E_LOCAL_MEMORY, 503, "out of memory")                                \
	X(E_LOCAL_IO, 503, "input or output failed")                           \
	X(E_LOCAL_NOT_FOUND, 500, "not found")                                 \
	X(E_LOCAL_EXISTS, 500, "exists already")                               \
	X(E_LOCAL_PERMISSION, 500, "permission missing or too wide")           \
	X(E_LOCAL_CONFIG, 500, "configuration not usable")                     \
	X(E_LOCAL_TPM, 503, "TPM failed")                                      \
	X(E_LOCAL_CRYPTO, 500, "cryptographic library failed")                 \
	X(E_LOCAL_STORE, 503, "store failed")                                  \
	X(E_LOCAL_NETWORK, 503, "network failed")                              \
	X(E_LOCAL_TIMEOUT, 503, "deadline passed")                             \
	X(E_LOCAL_BUSY, 503, "busy")                                           \
	X(E_LOCAL_CLOCK, 503, "the clock went back")                           \
	X(E_BUG, 500, "internal error")

enum err_code {
#define X(name, http, text) name,
	ERR_TABLE(X)
#undef X
	N_ERR_CODES
};

struct err {
	enum err_code code;
};

#define ERR(c) ((struct err){ (c) })

static inline must_check bool failed(struct err e)
{
	return e.code != E_OK;
}

/* Name ("E_PEER_TRUNCATED"), text and HTTP status of a code; static strings, never NULL. */
const char *err_name(struct err e);
const char *err_text(struct err e);
unsigned err_http(struct err e);

/* The code with this name, or N_ERR_CODES. For test runners that name files after errors. */
enum err_code err_by_name(const char *name);

/*
 * Why, for people: what was expected, what was seen, what to do next. A
 * function that can say more than its code takes `struct reason *reterr` as
 * its last argument; NULL is allowed everywhere and means "not wanted".
 * Foreign text goes in through log_quote() only. Never holds a secret.
 */
struct reason {
	char text[480];
};

void reason_set(struct reason *r, const char *fmt, ...) printf_like(2, 3);

#endif
