/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/serve/dev.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/x509.h"

#define CA_KEY_FILE "ca-key.pem"
#define DAY_S ((int64_t)86400)

static struct err make_ca(int dir_fd, int64_t now_s)
{
	const struct cert_spec spec = { .common_name = "Assay development CA", .ca = true, .path_len = 0,
					.not_before_s = now_s - DAY_S, .not_after_s = now_s + 3650 * DAY_S };
	cleanup_key struct key *k = NULL;
	cleanup_cert struct cert *c = NULL;
	cleanup_buf struct buf key_pem = BUF_INIT(LIMIT_SMALL), cert_pem = BUF_INIT(LIMIT_SMALL);
	struct err e;

	if (failed(e = key_generate(KEY_EC_P256, &k)) || failed(e = cert_issue(&spec, k, NULL, k, &c)) ||
	    failed(e = key_private_to_pem(k, &key_pem)) || failed(e = cert_to_pem(c, &cert_pem)) ||
	    failed(e = file_write(dir_fd, DEV_CA_FILE, buf_bytes(&cert_pem), 0644)))
		return e;
	/* The key last: as long as it is missing, the next start makes both anew. */
	return file_create(dir_fd, CA_KEY_FILE, buf_bytes(&key_pem), 0600);
}

static struct err load_ca(int dir_fd, int64_t now_s, struct key **ret_key, struct cert **ret_cert)
{
	cleanup_buf struct buf key_pem = BUF_INIT(LIMIT_SMALL), cert_pem = BUF_INIT(LIMIT_SMALL);
	struct err e = file_read_secret(dir_fd, CA_KEY_FILE, &key_pem);

	if (e.code == E_LOCAL_NOT_FOUND && !failed(e = make_ca(dir_fd, now_s)))
		e = file_read_secret(dir_fd, CA_KEY_FILE, &key_pem);
	if (failed(e) || failed(e = file_read(dir_fd, DEV_CA_FILE, &cert_pem)) ||
	    failed(e = key_private_from_pem(buf_bytes(&key_pem), ret_key)))
		return e;
	return cert_from_pem(buf_bytes(&cert_pem), ret_cert);
}

/* Host of "https://HOST[:PORT]..." without brackets; "" where there is none that fits. */
static void host_of(const char *url, char ret[256])
{
	const char *host = strstr(url, "://");
	size_t n;

	ret[0] = '\0';
	if (host == NULL)
		return;
	host += 3;
	if (*host == '[') {
		host++;
		n = strcspn(host, "]");
	} else {
		n = strcspn(host, ":/");
	}
	if (n < 256) {
		memcpy(ret, host, n);
		ret[n] = '\0';
	}
}

static struct err issue(const struct key *ca_key, const struct cert *ca, const char *issuer, int64_t now_s,
			struct buf *ret_cert, struct buf *ret_key)
{
	uint8_t address[16];
	char host[256];
	const char *dns[2] = { "localhost", host }, *ip[3] = { "127.0.0.1", "::1", host };
	struct cert_spec spec = { .common_name = "assay-verifier", .path_len = -1, .dns = dns, .n_dns = 1, .ip = ip,
				  .n_ip = 2, .tls_server = true, .not_before_s = now_s - DAY_S,
				  .not_after_s = now_s + 825 * DAY_S };
	cleanup_key struct key *k = NULL;
	cleanup_cert struct cert *c = NULL;
	bool is_ip;
	struct err e;

	host_of(issuer, host);
	is_ip = inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
	if (is_ip && strcmp(host, ip[0]) != 0 && strcmp(host, ip[1]) != 0)
		spec.n_ip++;
	if (!is_ip && host[0] != '\0' && strcmp(host, dns[0]) != 0)
		spec.n_dns++;
	if (failed(e = key_generate(KEY_EC_P256, &k)) || failed(e = cert_issue(&spec, k, ca, ca_key, &c)) ||
	    failed(e = cert_to_pem(c, ret_cert)))
		return e;
	return key_private_to_pem(k, ret_key);
}

struct err dev_tls(int dir_fd, const char *issuer, int64_t now_s, struct buf *ret_cert, struct buf *ret_key,
		   struct reason *reterr)
{
	cleanup_key struct key *ca_key = NULL;
	cleanup_cert struct cert *ca = NULL;
	struct err e;

	if (failed(e = load_ca(dir_fd, now_s, &ca_key, &ca)) ||
	    failed(e = issue(ca_key, ca, issuer, now_s, ret_cert, ret_key)))
		reason_set(reterr, "development CA in the state folder: %s%s", err_text(e),
			   e.code == E_LOCAL_PERMISSION ? "; " CA_KEY_FILE " must be mode 0600 and the verifier's own" : "");
	return e;
}
