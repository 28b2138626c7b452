/* SPDX-License-Identifier: Apache-2.0 */
/* The verifier's own keys: made at the first start, private to its user for ever after. */
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "verifier/serve/internal.h"

#define SIGNING_KEY "signing-key.pem"
#define MASTER_KEY "master.key"
#define MASTER_LEN 32

static struct err explain(struct err e, const char *name, struct reason *reterr)
{
	if (e.code == E_LOCAL_PERMISSION)
		reason_set(reterr, "%s in the state folder must be mode 0600 and the verifier's own", name);
	else if (failed(e))
		reason_set(reterr, "%s in the state folder: %s", name, err_text(e));
	return e;
}

static struct err make_signing_key(int dir_fd)
{
	cleanup_key struct key *k = NULL;
	cleanup_buf struct buf pem = BUF_INIT(LIMIT_SMALL);
	struct err e;

	if (failed(e = key_generate(KEY_EC_P256, &k)) || failed(e = key_private_to_pem(k, &pem)))
		return e;
	return file_create(dir_fd, SIGNING_KEY, buf_bytes(&pem), 0600);
}

static struct err load_signing_key(struct verifier *v, int dir_fd)
{
	cleanup_buf struct buf pem = BUF_INIT(LIMIT_SMALL);
	struct err e = file_read_secret(dir_fd, SIGNING_KEY, &pem);

	if (e.code == E_LOCAL_NOT_FOUND && !failed(e = make_signing_key(dir_fd)))
		e = file_read_secret(dir_fd, SIGNING_KEY, &pem);
	if (failed(e) || failed(e = key_private_from_pem(buf_bytes(&pem), &v->signer)))
		return e;
	if (key_kind(v->signer) != KEY_EC_P256)
		return ERR(E_LOCAL_CONFIG);
	return jwk_thumbprint(v->signer, v->kid);
}

static struct err make_master(int dir_fd)
{
	uint8_t master[MASTER_LEN];
	struct err e = random_bytes(master, sizeof(master));

	if (!failed(e))
		e = file_create(dir_fd, MASTER_KEY, BYTES_ARR(master), 0600);
	wipe(master, sizeof(master));
	return e;
}

/* One key for one purpose, so that what is authenticated for one is nothing for another. */
static struct err subkey(struct bytes master, const char *purpose, uint8_t ret[32])
{
	return hmac_sha256(master, ret, 2, (struct bytes[]){ BYTES_LIT("assay verifier key v1\0"), bytes_str(purpose) });
}

static struct err load_subkeys(struct verifier *v, int dir_fd)
{
	cleanup_buf struct buf master = BUF_INIT(MASTER_LEN);
	struct err e = file_read_secret(dir_fd, MASTER_KEY, &master);

	if (e.code == E_LOCAL_NOT_FOUND && !failed(e = make_master(dir_fd)))
		e = file_read_secret(dir_fd, MASTER_KEY, &master);
	if (failed(e))
		return e;
	if (master.n != MASTER_LEN)
		return ERR(E_LOCAL_CONFIG);
	if (failed(e = subkey(buf_bytes(&master), "attest", v->nonce_key)) ||
	    failed(e = subkey(buf_bytes(&master), "dpop", v->dpop_key)))
		return e;
	return subkey(buf_bytes(&master), "enrol", v->enrol_key);
}

/* RFC 7517, with the members whose absence breaks clients: use, alg, kid. */
static struct err make_jwks(struct verifier *v)
{
	cleanup_json json_t *set = NULL, *jwk = NULL, *keys = json_array();
	struct err e;

	if (keys == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = json_new_object(&set)) || failed(e = jwk_from_key(v->signer, &jwk)) ||
	    failed(e = json_put_str(jwk, "use", "sig")) ||
	    failed(e = json_put_str(jwk, "alg", jws_alg_for(v->signer))) ||
	    failed(e = json_put_str(jwk, "kid", v->kid)))
		return e;
	if (json_array_append_new(keys, take_ptr(&jwk)) != 0)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = json_put(set, "keys", take_ptr(&keys))))
		return e;
	return json_write(set, &v->jwks);
}

struct err keys_load(struct verifier *v, int dir_fd, struct reason *reterr)
{
	struct err e;

	if (failed(e = load_signing_key(v, dir_fd)))
		return explain(e, SIGNING_KEY, reterr);
	if (failed(e = load_subkeys(v, dir_fd)))
		return explain(e, MASTER_KEY, reterr);
	return make_jwks(v);
}
