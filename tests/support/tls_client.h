/* SPDX-License-Identifier: Apache-2.0 */
/* Raw bytes over TLS, so that a test can be as slow, as long and as wrong as it wants. Loopback only. */
#ifndef ASSAY_TESTS_SUPPORT_TLS_CLIENT_H
#define ASSAY_TESTS_SUPPORT_TLS_CLIENT_H

#include <stdint.h>

#include "base/bytes.h"

/* A TCP connection to 127.0.0.1:port, from this loopback address (NULL: any). -1 where it is refused. */
int tcp_connect(uint16_t port, const char *from);

struct tls_client;
/* Connects and shakes hands, trusting this CA. NULL where the server does not want to. */
struct tls_client *tls_client_new(uint16_t port, const char *ca_pem);
void tls_client_free(struct tls_client *c);
static inline void cleanup_tls_client_(struct tls_client **c)
{
	if (*c != NULL)
		tls_client_free(*c);
}
#define cleanup_tls_client cleanup(cleanup_tls_client_)

/* False once the connection is gone. */
bool tls_client_send(struct tls_client *c, const char *bytes, size_t n);
/*
 * Reads one answer (head and a body of Content-Length) into out with a NUL.
 * Its status; 0 where the connection ended first; -1 after timeout_ms.
 */
int tls_client_answer(struct tls_client *c, char *out, size_t out_size, int timeout_ms);
/* Sends and reads the answer, with 10 s. */
int tls_client_ask(struct tls_client *c, const char *request, char *out, size_t out_size);

#endif
