/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/jose.h"
#include "base/limits.h"
#include "base/text.h"

#define COORDINATE_MAX 66
#define MODULUS_MAX (LIMIT_RSA_BITS / 8)
#define RSA_EXPONENT 65537u
#define MEMBER_MAX 1024 /* base64url of a modulus and more */

/* RFC 7518, 6.2.1.1; RFC 8037, 2. */
static const struct {
	enum key_kind kind;
	const char *kty, *crv; /* crv is NULL for RSA */
	size_t size;           /* bytes of a coordinate */
} forms[] = {
	{ KEY_EC_P256, "EC", "P-256", 32 },    { KEY_EC_P384, "EC", "P-384", 48 }, { KEY_EC_P521, "EC", "P-521", 66 },
	{ KEY_ED25519, "OKP", "Ed25519", 32 }, { KEY_RSA, "RSA", NULL, 0 },
};

/* RFC 7518, 6.2.2, 6.3.2 and 6.4.1: what would make the key private or symmetric. */
static const char *const private_members[] = { "d", "p", "q", "dp", "dq", "qi", "oth", "k" };

static size_t form_of(enum key_kind kind)
{
	size_t i = 0;

	while (i < array_len(forms) && forms[i].kind != kind)
		i++;
	return i;
}

const char *jws_alg_for(const struct key *k)
{
	if (key_kind(k) == KEY_EC_P256)
		return "ES256";
	if (key_kind(k) == KEY_RSA)
		return "RS256";
	return key_kind(k) == KEY_ED25519 ? "EdDSA" : NULL;
}

struct err jwk_from_key(const struct key *k, json_t **ret)
{
	cleanup_buf struct buf a = BUF_INIT(MODULUS_MAX), b = BUF_INIT(MODULUS_MAX);
	cleanup_json json_t *o = NULL;
	size_t f = form_of(key_kind(k));
	struct err e;

	if (f == array_len(forms))
		return ERR(E_BUG);
	if (failed(e = key_numbers(k, &a, &b)) || failed(e = json_new_object(&o)) ||
	    failed(e = json_put_str(o, "kty", forms[f].kty)))
		return e;
	if (forms[f].kind == KEY_RSA) {
		if (failed(e = json_put_str(o, "e", "AQAB")) || failed(e = json_put_b64url(o, "n", buf_bytes(&a))))
			return e;
		*ret = take_ptr(&o);
		return ERR(E_OK);
	}
	if (failed(e = json_put_str(o, "crv", forms[f].crv)) || failed(e = json_put_b64url(o, "x", buf_bytes(&a))))
		return e;
	if (b.n > 0 && failed(e = json_put_b64url(o, "y", buf_bytes(&b))))
		return e;
	*ret = take_ptr(&o);
	return ERR(E_OK);
}

struct err jwk_thumbprint(const struct key *k, char ret[JKT_LEN + 1])
{
	cleanup_buf struct buf text = BUF_INIT(MEMBER_MAX), out = BUF_INIT(JKT_LEN);
	cleanup_json json_t *o = NULL;
	uint8_t h[32];
	struct err e;

	/* RFC 7638, 3: the required members, sorted, without white space. All of them are printable ASCII. */
	if (failed(e = jwk_from_key(k, &o)) || failed(e = json_write(o, &text)) ||
	    failed(e = sha256(buf_bytes(&text), h)) || failed(e = b64url_encode(BYTES_ARR(h), &out)))
		return e;
	if (failed(e = bytes_copy_exact(buf_bytes(&out), (uint8_t *)ret, JKT_LEN)))
		return e;
	ret[JKT_LEN] = '\0';
	return ERR(E_OK);
}

/* Members that restrict a key must not speak against checking signatures (RFC 7517, 4.2 to 4.4). */
static struct err check_purpose(struct jobj *o, const struct key *k)
{
	const char *alg = jws_alg_for(k), *s = NULL;
	const json_t *ops = NULL;
	bool may_verify = false;
	struct err e;

	if (jobj_has(o, "use")) {
		if (failed(e = jobj_str(o, "use", MEMBER_MAX, &s)))
			return e;
		if (strcmp(s, "sig") != 0) {
			reason_set(o->reterr, "%s: \"use\" is not \"sig\"", o->where);
			return ERR(E_PEER_UNSUPPORTED);
		}
	}
	if (jobj_has(o, "alg")) {
		if (failed(e = jobj_str(o, "alg", MEMBER_MAX, &s)))
			return e;
		if (alg == NULL || strcmp(s, alg) != 0) {
			reason_set(o->reterr, "%s: \"alg\" does not fit the key", o->where);
			return ERR(E_PEER_UNSUPPORTED);
		}
	}
	if (!jobj_has(o, "key_ops"))
		return ERR(E_OK);
	if (failed(e = jobj_arr(o, "key_ops", 16, &ops)))
		return e;
	for (size_t i = 0; i < json_array_size(ops); i++) {
		const char *op = json_string_value(json_array_get(ops, i));

		may_verify = may_verify || (op != NULL && strcmp(op, "verify") == 0);
	}
	if (!may_verify) {
		reason_set(o->reterr, "%s: \"key_ops\" without \"verify\"", o->where);
		return ERR(E_PEER_UNSUPPORTED);
	}
	return ERR(E_OK);
}

static struct err rsa_key(struct jobj *o, struct key **ret)
{
	cleanup_buf struct buf n = BUF_INIT(MODULUS_MAX);
	const char *exponent = NULL;
	struct err e;

	if (failed(e = jobj_b64url(o, "n", &n)) || failed(e = jobj_str(o, "e", MEMBER_MAX, &exponent)))
		return e;
	e = strcmp(exponent, "AQAB") == 0 ? key_from_rsa(buf_bytes(&n), RSA_EXPONENT, ret) : ERR(E_PEER_RANGE);
	if (failed(e))
		reason_set(o->reterr, "%s: RSA of 2048..%d bits with exponent 65537 is expected", o->where,
			   LIMIT_RSA_BITS);
	return e;
}

static struct err curve_key(struct jobj *o, size_t f, struct key **ret)
{
	cleanup_buf struct buf x = BUF_INIT(COORDINATE_MAX), y = BUF_INIT(COORDINATE_MAX);
	bool has_y = forms[f].kind != KEY_ED25519;
	struct err e;

	if (failed(e = jobj_b64url(o, "x", &x)) || (has_y && failed(e = jobj_b64url(o, "y", &y))))
		return e;
	/* RFC 7518, 6.2.1.2: the full size of a coordinate, although key_from_ec() would take less. */
	if (x.n != forms[f].size || (has_y && y.n != forms[f].size)) {
		reason_set(o->reterr, "%s: coordinates of %zu bytes are expected", o->where, forms[f].size);
		return ERR(E_PEER_RANGE);
	}
	e = has_y ? key_from_ec(forms[f].kind, buf_bytes(&x), buf_bytes(&y), ret)
		  : key_from_ed25519(buf_bytes(&x), ret);
	if (failed(e))
		reason_set(o->reterr, "%s: not a point of %s that can be a key", o->where, forms[f].crv);
	return e;
}

struct err jwk_to_key(const json_t *jwk, struct key **ret, struct reason *reterr)
{
	cleanup_key struct key *k = NULL;
	const char *kty = NULL, *crv = NULL;
	struct jobj o;
	size_t f = 0;
	struct err e;

	if (failed(e = jobj_init(&o, jwk, "jwk", reterr)))
		return e;
	for (size_t i = 0; i < array_len(private_members); i++) {
		if (jobj_has(&o, private_members[i])) {
			reason_set(reterr, "jwk.%s: private or symmetric key material", private_members[i]);
			return ERR(E_PEER_UNSUPPORTED);
		}
	}
	if (failed(e = jobj_str(&o, "kty", MEMBER_MAX, &kty)))
		return e;
	if (strcmp(kty, "RSA") != 0 && failed(e = jobj_str(&o, "crv", MEMBER_MAX, &crv)))
		return e;
	while (f < array_len(forms) &&
	       (strcmp(forms[f].kty, kty) != 0 || (crv != NULL && strcmp(forms[f].crv, crv) != 0)))
		f++;
	if (f == array_len(forms)) {
		reason_set(reterr, "jwk: key type or curve not supported");
		return ERR(E_PEER_UNSUPPORTED);
	}
	e = forms[f].kind == KEY_RSA ? rsa_key(&o, &k) : curve_key(&o, f, &k);
	if (failed(e) || failed(e = check_purpose(&o, k)))
		return e;
	*ret = take_ptr(&k);
	return ERR(E_OK);
}
