/* SPDX-License-Identifier: Apache-2.0 */
/* The CA of agents' certificates: made at the first start, like the signing key, and used for nothing else. */
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "verifier/issue/svid.h"
#include "verifier/serve/internal.h"

#define CA_KEY "svid-ca-key.pem"
#define CA_CERT "svid-ca.pem"
#define OLD_CERT "svid-ca-old.pem" /* of the last one, which may still be in use: published and never signed with */
#define WARN_S (60 * (int64_t)86400)

static struct err make(const struct verifier *v, int dir_fd)
{
	cleanup_buf struct buf key_pem = BUF_INIT(LIMIT_SMALL), cert_pem = BUF_INIT(LIMIT_SMALL);
	cleanup_key struct key *k = NULL;
	cleanup_cert struct cert *c = NULL;
	struct err e;

	if (failed(e = key_generate(KEY_EC_P256, &k)) ||
	    failed(e = svid_ca_issue(v->trust_domain, k, clock_now_s(), &c)) ||
	    failed(e = key_private_to_pem(k, &key_pem)) || failed(e = cert_to_pem(c, &cert_pem)) ||
	    failed(e = file_write(dir_fd, CA_CERT, buf_bytes(&cert_pem), 0644)))
		return e;
	/* The key last: as long as it is missing, the next start makes both anew. */
	return file_create(dir_fd, CA_KEY, buf_bytes(&key_pem), 0600);
}

static struct err read_key(struct verifier *v, int dir_fd)
{
	cleanup_buf struct buf pem = BUF_INIT(LIMIT_SMALL);
	struct err e = file_read_secret(dir_fd, CA_KEY, &pem);

	if (e.code == E_LOCAL_NOT_FOUND && !failed(e = make(v, dir_fd)))
		e = file_read_secret(dir_fd, CA_KEY, &pem);
	return failed(e) ? e : key_private_from_pem(buf_bytes(&pem), &v->svid.key);
}

/* A certificate of this trust domain; it goes to the PEM text of all, too. */
static struct err read_cert(struct verifier *v, int dir_fd, const char *name, struct cert **ret, struct reason *reterr)
{
	cleanup_buf struct buf pem = BUF_INIT(LIMIT_SMALL);
	cleanup_cert struct cert *c = NULL;
	struct err e = file_read(dir_fd, name, &pem);

	if (failed(e) || failed(e = cert_from_pem(buf_bytes(&pem), &c)))
		return e;
	if (!svid_ca_fits(c, v->trust_domain)) {
		reason_set(reterr,
			   "%s in the state folder is no CA of trust domain %s: set trust_domain to the one that it names, "
			   "or remove it and " CA_KEY " to have a new CA made", name, v->trust_domain);
		return ERR(E_LOCAL_CONFIG);
	}
	if (failed(e = cert_to_pem(c, &v->svid.pem)))
		return e;
	*ret = take_ptr(&c);
	return ERR(E_OK);
}

static struct err check_pair(struct verifier *v, struct reason *reterr)
{
	cleanup_key struct key *public = NULL;
	int64_t from, left;
	struct err e;

	if (failed(e = cert_key(v->svid.ca, &public)) ||
	    failed(e = cert_validity(v->svid.ca, &from, &v->svid.expires_s)))
		return e;
	if (key_kind(v->svid.key) != KEY_EC_P256 || !key_equal(public, v->svid.key)) {
		reason_set(reterr, CA_KEY " is not the key of " CA_CERT " in the state folder");
		return ERR(E_LOCAL_CONFIG);
	}
	left = v->svid.expires_s - clock_now_s();
	if (left < WARN_S)
		log_warning(CA_CERT " in the state folder %s: replace it as assay-verifier(8) describes",
			    left <= 0 ? "has expired" : "expires soon");
	return ERR(E_OK);
}

static struct err load(struct verifier *v, int dir_fd, struct reason *reterr)
{
	cleanup_cert struct cert *old = NULL;
	const struct cert *cas[2];
	size_t n = 1;
	struct err e;

	if (failed(e = read_key(v, dir_fd)) || failed(e = read_cert(v, dir_fd, CA_CERT, &v->svid.ca, reterr)) ||
	    failed(e = check_pair(v, reterr)))
		return e;
	e = read_cert(v, dir_fd, OLD_CERT, &old, reterr);
	if (failed(e) && e.code != E_LOCAL_NOT_FOUND)
		return e;
	cas[0] = v->svid.ca;
	if (old != NULL)
		cas[n++] = old;
	return svid_bundle(cas, n, &v->svid.bundle);
}

struct err svid_ca_load(struct verifier *v, int dir_fd, struct reason *reterr)
{
	struct reason why = { "" };
	struct err e = load(v, dir_fd, &why);

	if (failed(e) && why.text[0] != '\0')
		reason_set(reterr, "%s", why.text);
	else if (failed(e))
		reason_set(reterr, CA_KEY " and " CA_CERT " in the state folder: %s%s", err_text(e),
			   e.code == E_LOCAL_PERMISSION ? "; the key must be mode 0600 and the verifier's own" : "");
	return e;
}
