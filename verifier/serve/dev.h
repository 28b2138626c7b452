/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates for trying things out: a CA in the state folder, and a server certificate from it at every start. */
#ifndef ASSAY_VERIFIER_SERVE_DEV_H
#define ASSAY_VERIFIER_SERVE_DEV_H

#include "base/bytes.h"

#define DEV_CA_FILE "ca.pem"

/*
 * The CA of dir_fd, made at the first start (ca.pem, and ca-key.pem of mode
 * 0600, which is refused when it is wider), and a certificate for the host of
 * issuer, localhost, 127.0.0.1 and ::1, as PEM with its key, which is nowhere
 * else. E_LOCAL_*.
 */
must_check struct err dev_tls(int dir_fd, const char *issuer, int64_t now_s, struct buf *ret_cert, struct buf *ret_key,
			      struct reason *reterr);

#endif
