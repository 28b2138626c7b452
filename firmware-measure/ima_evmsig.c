/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EVM portable signatures: template evm-sig holds all that such a signature
 * covers. That is the values of the protected extended attributes one after
 * the other, and of the inode owner, group and mode, as a kernel of 64 bits
 * lays them out with its inode number and generation left at zero:
 *
 *   12 zero bytes, u32 uid, u32 gid, u16 mode, 2 zero bytes
 *
 * security.ima is one of these attributes, and has to be about the digest that
 * was measured: that digest itself, or an IMA signature of it.
 *
 * Source: Linux security/integrity/evm/evm_crypto.c (hmac_add_misc,
 * evm_calc_hmac_or_hash), evm_main.c (evm_read_protected_xattrs),
 * ima/ima_template_lib.c; integrity.h (evm_ima_xattr_type).
 */
#include <string.h>

#include "base/rd.h"
#include "firmware-measure/ima_sign_impl.h"

#define TYPE_PORTABLE 5 /* EVM_XATTR_PORTABLE_DIGSIG */
#define IMA_DIGEST_SHA1 1
#define IMA_SIGNATURE 3
#define IMA_DIGEST_NG 4
#define N_ZEROS 12

/* Takes the next name of a list joined by '|' that ends in a NUL. */
static bool name_take(struct bytes *names, struct bytes *ret)
{
	size_t n = 0;

	while (n < names->n && names->p[n] != '|' && names->p[n] != 0)
		n++;
	if (n == names->n)
		return false;
	*ret = BYTES(names->p, n);
	*names = BYTES(names->p + n + 1, names->n - n - 1);
	return true;
}

/*
 * The value of security.ima; false where there is none, or the three lists do
 * not fit together. Lengths are little endian: another machine's do not fit.
 */
static bool find_ima(const struct ima_entry *ent, struct bytes *ret)
{
	struct bytes names = ent->field[IMA_FIELD_XATTRNAMES], name, value;
	struct rd lengths = RD(ent->field[IMA_FIELD_XATTRLENGTHS]), values = RD(ent->field[IMA_FIELD_XATTRVALUES]);
	bool found = false;
	uint32_t n;

	while (names.n > 0) {
		if (!name_take(&names, &name) || failed(rd_u32le(&lengths, &n)) || failed(rd_bytes(&values, n, &value)))
			return false;
		if (!bytes_eq(name, BYTES_LIT("security.ima")))
			continue;
		if (found)
			return false;
		found = true;
		*ret = value;
	}
	return found && !failed(rd_end(&lengths)) && !failed(rd_end(&values));
}

/* Whether security.ima is about the digest of the entry. */
static struct err about_digest(const struct ima_entry *ent, struct bytes ima, size_t n, const struct ima_key *keys,
			       enum ima_signed *ret)
{
	struct ima_entry with = *ent;
	struct rd r = RD(ima);
	uint8_t type, number;
	size_t unused;

	*ret = IMA_SIGNED_FORM;
	if (failed(rd_u8(&r, &type)))
		return ERR(E_OK);
	if (type == IMA_SIGNATURE) {
		with.field[IMA_FIELD_SIG] = ima;
		return ima_signed_check(&with, n, keys, ret, &unused);
	}
	if (type == IMA_DIGEST_SHA1)
		*ret = IMA_SIGNED_WEAK;
	if (type != IMA_DIGEST_NG || failed(rd_u8(&r, &number)))
		return ERR(E_OK);
	*ret = IMA_SIGNED_WEAK;
	if (!ima_hash_strong(ima_hash_by_number(number)))
		return ERR(E_OK);
	*ret = ent->digest.kind == IMA_DIGEST_FILE && ent->digest.alg == ima_hash_by_number(number) &&
			       bytes_eq(ent->digest.value, rd_rest(&r))
		       ? IMA_SIGNED_GOOD
		       : IMA_SIGNED_OTHER;
	return ERR(E_OK);
}

static struct err try_keys(const struct ima_entry *ent, const struct ima_signature *s, size_t n,
			   const struct ima_key *keys, enum ima_signed *ret, size_t *ret_key)
{
	static const uint8_t zeros[N_ZEROS];
	const struct bytes parts[] = { ent->field[IMA_FIELD_XATTRVALUES], BYTES_ARR(zeros),
				       ent->field[IMA_FIELD_IUID],        ent->field[IMA_FIELD_IGID],
				       ent->field[IMA_FIELD_IMODE],       BYTES(zeros, 2) };
	struct digest d;
	struct err e;

	if (failed(e = digest_of(s->hash, &d, array_len(parts), parts)))
		return e;
	*ret = IMA_SIGNED_UNKNOWN_KEY;
	for (size_t i = 0; i < n; i++) {
		if (!bytes_eq(BYTES_ARR(keys[i].id), BYTES_ARR(s->key_id)))
			continue;
		e = ima_signature_verify(keys[i].key, s->hash, digest_bytes(&d), s->value);
		if (ima_sign_local(e))
			return e;
		if (!failed(e)) {
			*ret_key = i;
			*ret = IMA_SIGNED_GOOD;
			return e;
		}
		*ret = IMA_SIGNED_OTHER;
	}
	return ERR(E_OK);
}

struct err ima_evmsig_check(const struct ima_entry *ent, size_t n, const struct ima_key *keys, enum ima_signed *ret,
			    size_t *ret_key)
{
	struct ima_signature s;
	struct bytes ima = BYTES_NONE;
	struct err e;

	*ret_key = n;
	*ret = IMA_SIGNED_ABSENT;
	if (ent->state != IMA_ENTRY_DECODED || ent->field[IMA_FIELD_EVMSIG].n == 0)
		return ERR(E_OK);
	*ret = IMA_SIGNED_FORM;
	if (failed(ima_signature_read(ent->field[IMA_FIELD_EVMSIG], &s)) || s.type != TYPE_PORTABLE || s.version != 2 ||
	    ent->field[IMA_FIELD_IUID].n != 4 || ent->field[IMA_FIELD_IGID].n != 4 ||
	    ent->field[IMA_FIELD_IMODE].n != 2 || !find_ima(ent, &ima))
		return ERR(E_OK);
	if (s.hash == DIGEST_SHA1)
		*ret = IMA_SIGNED_WEAK;
	if (!ima_hash_strong(s.hash))
		return ERR(E_OK);
	if (failed(e = about_digest(ent, ima, n, keys, ret)) || *ret != IMA_SIGNED_GOOD)
		return e;
	return try_keys(ent, &s, n, keys, ret, ret_key);
}
