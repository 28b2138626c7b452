/* SPDX-License-Identifier: Apache-2.0 */
#include "swtpm-harness/ca.h"

#include "base/file.h"
#include "base/limits.h"
#include "swtpm-harness/folder.h"

#define DAY_S 86400
#define END_OF_9999_S 253402300799        /* "no well-defined expiry": RFC 5280, 4.1.2.5 */
#define OID_EK_CERTIFICATE "2.23.133.8.1" /* tcg-kp-EKCertificate */

static struct err write_cert(const char *dir, const char *name, const struct cert *cert)
{
	cleanup_buf struct buf pem = BUF_INIT(4 * LIMIT_CERT);
	struct err e;

	if (failed(e = cert_to_pem(cert, &pem)))
		return e;
	return folder_write(dir, name, buf_bytes(&pem), 0644);
}

static struct err write_key(const char *dir, const char *name, const struct key *key)
{
	cleanup_buf struct buf pem = BUF_INIT(LIMIT_SMALL);
	struct err e;

	if (failed(e = key_private_to_pem(key, &pem)))
		return e;
	return folder_write(dir, name, buf_bytes(&pem), 0600);
}

/* issuer NULL: self-signed. */
static struct err make_authority(const char *common_name, int path_len, const struct cert *issuer,
				 const struct key *issuer_key, struct cert **ret, struct key **ret_key)
{
	struct cert_spec spec = { .common_name = common_name,
				  .ca = true,
				  .path_len = path_len,
				  .not_before_s = clock_now_s() - 30 * DAY_S,
				  .not_after_s = END_OF_9999_S };
	cleanup_cert struct cert *cert = NULL;
	cleanup_key struct key *key = NULL;
	struct err e;

	if (failed(e = key_generate(KEY_EC_P256, &key)) ||
	    failed(e = cert_issue(&spec, key, issuer, issuer == NULL ? key : issuer_key, &cert)))
		return e;
	*ret = take_ptr(&cert);
	*ret_key = take_ptr(&key);
	return ERR(E_OK);
}

struct err ca_make(const char *dir, const char *name)
{
	cleanup_cert struct cert *root = NULL, *issuer = NULL;
	cleanup_key struct key *root_key = NULL, *issuer_key = NULL;
	char root_name[64], issuer_name[64];
	struct err e;

	/* The issuer's certificate is written last, so a folder that has it is complete. */
	if (folder_has(dir, "issuer.pem"))
		return ERR(E_OK);
	(void)snprintf(root_name, sizeof(root_name), "%s root", name);
	(void)snprintf(issuer_name, sizeof(issuer_name), "%s issuer", name);
	if (failed(e = dir_make(dir, 0700)) || failed(e = make_authority(root_name, 1, NULL, NULL, &root, &root_key)) ||
	    failed(e = make_authority(issuer_name, 0, root, root_key, &issuer, &issuer_key)) ||
	    failed(e = write_key(dir, "root.key", root_key)) || failed(e = write_cert(dir, "root.pem", root)) ||
	    failed(e = write_key(dir, "issuer.key", issuer_key)))
		return e;
	return write_cert(dir, "issuer.pem", issuer);
}

static struct err read_issuer(const char *dir, struct cert **ret, struct key **ret_key)
{
	cleanup_buf struct buf cert_pem = BUF_INIT(LIMIT_SMALL), key_pem = BUF_INIT(LIMIT_SMALL);
	cleanup_cert struct cert *cert = NULL;
	struct err e;

	if (failed(e = folder_read(dir, "issuer.pem", &cert_pem)) ||
	    failed(e = folder_read(dir, "issuer.key", &key_pem)) ||
	    failed(e = cert_from_pem(buf_bytes(&cert_pem), &cert)) ||
	    failed(e = key_private_from_pem(buf_bytes(&key_pem), ret_key)))
		return e;
	*ret = take_ptr(&cert);
	return ERR(E_OK);
}

struct err ca_issue(const char *dir, enum harness_cert kind, const struct key *key, struct cert **ret)
{
	static const char *const purposes[] = { OID_EK_CERTIFICATE };
	struct cert_spec spec = { .common_name = "unknown",
				  .eku_oids = purposes,
				  .n_eku_oids = array_len(purposes),
				  .path_len = -1,
				  .tpm_san = true,
				  .not_before_s = clock_now_s() - 2 * DAY_S,
				  .not_after_s = END_OF_9999_S };
	cleanup_cert struct cert *issuer = NULL;
	cleanup_key struct key *issuer_key = NULL;
	struct err e;

	/* Each bad kind differs from a good certificate in one thing. */
	spec.ca = kind == HARNESS_CERT_CA;
	if (kind == HARNESS_CERT_EXPIRED)
		spec.not_after_s = clock_now_s() - DAY_S;
	if (failed(e = read_issuer(dir, &issuer, &issuer_key)))
		return e;
	return cert_issue(&spec, key, issuer, issuer_key, ret);
}
