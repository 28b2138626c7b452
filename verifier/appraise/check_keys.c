/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workload keys: attestation-checks, section 5. The log ties a key's Name to
 * image and model; the AK certifies that a key of that Name is in this TPM,
 * in this boot, below the null primary. A key that was certified earlier in
 * this boot is known from the state.
 */
#include <string.h>

#include "base/jose.h"
#include "verifier/appraise/work.h"

#define COORDINATE 32
_Static_assert(sizeof(((struct instance *)0)->jkt) == JKT_LEN + 1, "room for a thumbprint");

static struct instance *find_by_name(const struct host_state *s, const struct tpm_name *name)
{
	for (size_t i = 0; i < s->n_instances; i++) {
		if (bytes_eq(tpm_name_bytes(&s->instance[i].key_name), tpm_name_bytes(name)))
			return &s->instance[i];
	}
	return NULL;
}

/* C4 */
static struct err check_algorithm(const struct tpm_public *p, struct reason *reterr)
{
	if (p->type == TPM_ALG_ECC && p->ecc_curve == TPM_ECC_P256 && p->scheme == TPM_ALG_ECDSA &&
	    p->scheme_hash == TPM_ALG_SHA256 && p->name_alg == TPM_ALG_SHA256)
		return ERR(E_OK);
	reason_set(reterr, "type %04x, curve %04x, scheme %04x, hash %04x, Name algorithm %04x", p->type, p->ecc_curve,
		   p->scheme, p->scheme_hash, p->name_alg);
	return ERR(E_PEER_UNSUPPORTED);
}

/* C6: the thumbprint comes from the verified public area, with coordinates at full length. */
static struct err take_key(const struct tpm_public *p, struct instance *i)
{
	cleanup_buf struct buf x = BUF_INIT(COORDINATE), y = BUF_INIT(COORDINATE);
	cleanup_key struct key *key = NULL;
	struct err e;

	if (failed(e = tpm_public_key(p, &key)) ||
	    failed(e = key_numbers(key, &x, &y)) ||
	    failed(e = bytes_copy_exact(buf_bytes(&x), i->key_x, sizeof(i->key_x))) ||
	    failed(e = bytes_copy_exact(buf_bytes(&y), i->key_y, sizeof(i->key_y))) ||
	    failed(e = jwk_thumbprint(key, i->jkt)))
		return e;
	i->has_key = true;
	return ERR(E_OK);
}

/* One presented key and the row that judges it next. */
struct candidate {
	struct work *w;
	char subject[80];
	struct err e;
	struct reason why;
};

/*
 * Takes the result of one step: true to go on. The step's row fails with a
 * result that decides; one that does not stays in c->e for the caller.
 */
static bool step(struct candidate *c, enum row row, const char *expected, struct err e)
{
	c->e = e;
	if (!failed(e))
		return true;
	c->e = fail_with(c->w, row, c->subject, expected, e, &c->why);
	return false;
}

static struct err already(const struct instance *i, struct reason *reterr)
{
	if (i == NULL)
		reason_set(reterr, "no instance of the log has this key");
	else if (i->has_key)
		reason_set(reterr, "the key is certified already");
	else
		return ERR(E_OK);
	return ERR(E_AUTH_REFUSED);
}

static enum row row_to_blame(enum certified_fault f)
{
	switch (f) {
	case CERTIFIED_OTHER_NONCE:
		return ROW_KEY_NONCE;
	case CERTIFIED_OTHER_NAME:
		return ROW_KEY_NAME;
	case CERTIFIED_OTHER_PARENT:
		return ROW_KEY_PARENT;
	case CERTIFIED_AS_EXPECTED:
	case CERTIFIED_OTHERWISE:
		break;
	}
	return ROW_KEY_SIGNATURE;
}

static bool judge_contents(struct candidate *c, const struct certified *cert)
{
	struct tpm_name null_qualified, qualified;
	enum certified_fault fault;

	if (failed(c->e = tpm_qualified_name_primary(TPM_RH_NULL, &c->w->v->next.null_name, &null_qualified)) ||
	    failed(c->e = tpm_qualified_name_child(&null_qualified, &cert->name, &qualified)) ||
	    failed(c->e = certified_compare(c->w, cert, &qualified, &fault)))
		return false;
	if (fault == CERTIFIED_AS_EXPECTED)
		return true;
	reason_set(&c->why, "%s", certified_fault_text(fault));
	return step(c, row_to_blame(fault), "this nonce, these claims, this key, below this boot's null primary",
		    ERR(E_AUTH_REFUSED));
}

static struct err judge_key(struct work *w, size_t index, const struct evidence_key *k)
{
	struct candidate c = { .w = w };
	struct certified cert;
	struct instance *i;

	(void)snprintf(c.subject, sizeof(c.subject), "key %zu", index);
	if (!step(&c, ROW_KEY_AREA, "a TPMT_PUBLIC", certified_area(k, &cert, &c.why)) ||
	    !step(&c, ROW_KEY_ALGORITHM, "P-256 with ECDSA and SHA-256", check_algorithm(&cert.area, &c.why)) ||
	    !step(&c, ROW_KEY_ATTRIBUTES, "an unrestricted signing key that was made in and never leaves this TPM",
		  tpm_check_workload_key(&cert.area, &c.why)))
		return c.e;
	i = find_by_name(&w->v->next, &cert.name);
	if (!step(&c, ROW_KEY_MEASURED, "the key of a live instance, once", already(i, &c.why)) ||
	    !step(&c, ROW_KEY_SIGNATURE, "TPM2_Certify by the attestation key",
		  certified_signature(w, k, &cert, &c.why)) ||
	    !step(&c, ROW_KEY_BOOT, "certified in the boot of the quote", certified_boot(w, &cert, &c.why)) ||
	    !judge_contents(&c, &cert))
		return c.e;
	(void)step(&c, ROW_KEY_ALGORITHM, "a point on P-256", take_key(&cert.area, i));
	return c.e;
}

/* Walks all keys. Nothing can be said about them without the log and the null primary. */
struct err row_key_area(struct work *w)
{
	struct err e;

	if (!w->log_walked || w->v->result[ROW_NULL_PRIMARY] != CHECK_PASS)
		return ERR(E_OK);
	for (size_t i = 0; i < w->ev.n_keys; i++) {
		if (failed(e = judge_key(w, i, &w->ev.key[i])))
			return e;
	}
	w->keys_walked = true;
	work_pass(w, ROW_KEY_AREA);
	return ERR(E_OK);
}

static struct err keys_walked(struct work *w, enum row row)
{
	if (w->keys_walked)
		work_pass(w, row);
	return ERR(E_OK);
}

struct err row_key_algorithm(struct work *w)
{
	return keys_walked(w, ROW_KEY_ALGORITHM);
}

struct err row_key_attributes(struct work *w)
{
	return keys_walked(w, ROW_KEY_ATTRIBUTES);
}

struct err row_key_measured(struct work *w)
{
	return keys_walked(w, ROW_KEY_MEASURED);
}

struct err row_key_signature(struct work *w)
{
	return keys_walked(w, ROW_KEY_SIGNATURE);
}

struct err row_key_nonce(struct work *w)
{
	return keys_walked(w, ROW_KEY_NONCE);
}

struct err row_key_name(struct work *w)
{
	return keys_walked(w, ROW_KEY_NAME);
}

struct err row_key_parent(struct work *w)
{
	return keys_walked(w, ROW_KEY_PARENT);
}

struct err row_key_boot(struct work *w)
{
	return keys_walked(w, ROW_KEY_BOOT);
}

/* Each instance that runs has a certified key: from this evidence, or from earlier in this boot. */
struct err row_keys_all(struct work *w)
{
	const struct host_state *s = &w->v->next;
	struct attest_failure *f;

	if (!w->keys_walked)
		return ERR(E_OK);
	for (size_t i = 0; i < s->n_instances; i++) {
		if (s->instance[i].has_key)
			continue;
		f = work_fail(w, ROW_KEYS_ALL, HEX(BYTES_ARR(s->instance[i].id)));
		SAY(f->expected, "key %s, certified in this boot", HEX(tpm_name_bytes(&s->instance[i].key_name)));
		SAY(f->seen, "no certification that holds");
	}
	work_pass(w, ROW_KEYS_ALL);
	return ERR(E_OK);
}
