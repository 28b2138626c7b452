/* SPDX-License-Identifier: Apache-2.0 */
/* Templates and their fields: what stands within the frame of an entry. */
#include <string.h>

#include "firmware-measure/imalog_impl.h"

static const char *const field_names[N_IMA_FIELDS] = {
	[IMA_FIELD_D] = "d",
	[IMA_FIELD_N] = "n",
	[IMA_FIELD_D_NG] = "d-ng",
	[IMA_FIELD_D_NGV2] = "d-ngv2",
	[IMA_FIELD_D_MODSIG] = "d-modsig",
	[IMA_FIELD_N_NG] = "n-ng",
	[IMA_FIELD_SIG] = "sig",
	[IMA_FIELD_BUF] = "buf",
	[IMA_FIELD_MODSIG] = "modsig",
	[IMA_FIELD_EVMSIG] = "evmsig",
	[IMA_FIELD_IUID] = "iuid",
	[IMA_FIELD_IGID] = "igid",
	[IMA_FIELD_IMODE] = "imode",
	[IMA_FIELD_XATTRNAMES] = "xattrnames",
	[IMA_FIELD_XATTRLENGTHS] = "xattrlengths",
	[IMA_FIELD_XATTRVALUES] = "xattrvalues",
};

static const struct {
	const char *name, *fields;
} templates[] = {
	{ IMA_LEGACY, "d|n" },
	{ "ima-ng", "d-ng|n-ng" },
	{ "ima-sig", "d-ng|n-ng|sig" },
	{ "ima-buf", "d-ng|n-ng|buf" },
	{ "ima-modsig", "d-ng|n-ng|sig|d-modsig|modsig" },
	{ "ima-ngv2", "d-ngv2|n-ng" },
	{ "ima-sigv2", "d-ngv2|n-ng|sig" },
	{ "evm-sig", "d-ng|n-ng|evmsig|xattrnames|xattrlengths|xattrvalues|iuid|igid|imode" },
};

#define BIT(id) (1u << (id))
#define DIGEST_FIELDS (BIT(IMA_FIELD_D) | BIT(IMA_FIELD_D_NG) | BIT(IMA_FIELD_D_NGV2))
#define NAME_FIELDS (BIT(IMA_FIELD_N) | BIT(IMA_FIELD_N_NG))

const char *ima_field_name(enum ima_field_id id)
{
	return (unsigned)id < N_IMA_FIELDS ? field_names[id] : NULL;
}

static enum ima_field_id field_by_name(struct bytes name)
{
	unsigned id = 0;

	while (id < N_IMA_FIELDS && !bytes_eq(bytes_str(field_names[id]), name))
		id++;
	return (enum ima_field_id)id;
}

/* Splits a list of fields. False for an unknown field, one given twice, or two digests or names, of which one would
 * lie. */
static bool fields_split(struct bytes list, struct imalog_template *t)
{
	uint32_t seen = 0;
	size_t from = 0;

	t->n_fields = 0;
	for (size_t i = 0; i <= list.n; i++) {
		enum ima_field_id id;

		if (i < list.n && list.p[i] != '|')
			continue;
		id = field_by_name(BYTES(list.p + from, i - from));
		from = i + 1;
		if (id == N_IMA_FIELDS || t->n_fields == IMA_FIELDS_MAX || (seen & BIT(id)) != 0 ||
		    ((BIT(id) & DIGEST_FIELDS) != 0 && (seen & DIGEST_FIELDS) != 0) ||
		    ((BIT(id) & NAME_FIELDS) != 0 && (seen & NAME_FIELDS) != 0))
			return false;
		seen |= BIT(id);
		t->field[t->n_fields++] = (uint8_t)id;
	}
	return true;
}

bool ima_template_named(struct bytes name)
{
	for (size_t i = 0; i < sizeof(templates) / sizeof(templates[0]); i++)
		if (bytes_eq(bytes_str(templates[i].name), name))
			return true;
	return false;
}

void ima_template_find(struct imalog *l, struct bytes name)
{
	struct imalog_template *t = &l->template;
	struct bytes list = name;

	if (name.n > 0 && bytes_eq(BYTES(t->name, t->name_len), name))
		return;
	*t = (struct imalog_template){ 0 };
	if (name.n == 0 || name.n > sizeof(t->name))
		return;
	for (size_t i = 0; i < sizeof(templates) / sizeof(templates[0]); i++)
		if (bytes_eq(bytes_str(templates[i].name), name))
			list = bytes_str(templates[i].fields);
	t->known = fields_split(list, t);
	t->legacy = bytes_eq(name, BYTES_LIT(IMA_LEGACY));
	memcpy(t->name, name.p, name.n);
	t->name_len = (uint8_t)name.n;
}

/* The kernel spells one algorithm in two ways, neither of which is TCG's. */
static enum digest_id alg_by_name(struct bytes name)
{
	const struct digest_alg *a;

	/* Kernels are built with this one. */
	if (bytes_eq(name, BYTES_LIT("sha256")))
		return DIGEST_SHA256;
	a = digest_by_name(name);
	if (a != NULL)
		return a->id;
	return bytes_eq(name, BYTES_LIT("sm3")) || bytes_eq(name, BYTES_LIT("sm3-256")) ? DIGEST_SM3_256 : N_DIGESTS;
}

static bool alg_name_plain(struct bytes name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!(name.p[i] >= 'a' && name.p[i] <= 'z') && !(name.p[i] >= '0' && name.p[i] <= '9') &&
		    name.p[i] != '-')
			return false;
	return true;
}

/* Takes "word:" off the front of b. */
static bool word_take(struct bytes *b, struct bytes *ret)
{
	const uint8_t *colon = b->n == 0 ? NULL : memchr(b->p, ':', b->n);
	size_t n;

	if (colon == NULL)
		return false;
	n = (size_t)(colon - b->p);
	*ret = BYTES(b->p, n);
	*b = BYTES(colon + 1, b->n - n - 1);
	return true;
}

/* "alg:", NUL, digest; with a kind, "kind:alg:", NUL, digest. */
static bool digest_split(struct bytes v, bool has_kind, bool violation, struct ima_digest *ret)
{
	struct ima_digest d = { .kind = IMA_DIGEST_FILE, .alg = N_DIGESTS };
	struct bytes kind;

	if (has_kind) {
		if (!word_take(&v, &kind))
			return false;
		if (bytes_eq(kind, BYTES_LIT("verity")))
			d.kind = IMA_DIGEST_VERITY;
		else if (!bytes_eq(kind, BYTES_LIT("ima")))
			return false;
	}
	if (!word_take(&v, &d.alg_name) || v.n == 0 || v.p[0] != 0)
		return false;
	d.value = BYTES(v.p + 1, v.n - 1);
	if (!alg_name_plain(d.alg_name) || d.value.n == 0 || d.value.n > DIGEST_MAX)
		return false;
	d.alg = alg_by_name(d.alg_name);
	/* A violation has zeros where its digest would be, on old kernels as many as SHA-1 has and without a name. */
	if (!(violation && bytes_all(d.value, 0)) &&
	    (d.alg_name.n == 0 || (d.alg != N_DIGESTS && d.value.n != digest_alg(d.alg)->size)))
		return false;
	*ret = d;
	return true;
}

bool ima_entry_modsig_digest(const struct ima_entry *ent, struct ima_digest *ret)
{
	return ent->state == IMA_ENTRY_DECODED && ent->field[IMA_FIELD_D_MODSIG].n > 0 &&
	       digest_split(ent->field[IMA_FIELD_D_MODSIG], false, ent->violation, ret);
}

/* Text that ends in its only NUL. */
static bool text_split(struct bytes v, struct bytes *ret)
{
	if (v.n == 0 || memchr(v.p, 0, v.n) != v.p + v.n - 1)
		return false;
	*ret = BYTES(v.p, v.n - 1);
	return true;
}

static bool field_decode(enum ima_field_id id, struct bytes v, struct ima_entry *ent)
{
	struct ima_digest unused;
	struct bytes text;

	switch (id) {
	case IMA_FIELD_D:
		ent->digest = (struct ima_digest){ IMA_DIGEST_FILE, BYTES_LIT("sha1"), DIGEST_SHA1, v };
		return v.n == IMA_HASH_SIZE;
	case IMA_FIELD_D_NG:
	case IMA_FIELD_D_NGV2:
		return digest_split(v, id == IMA_FIELD_D_NGV2, ent->violation, &ent->digest);
	case IMA_FIELD_D_MODSIG:
		return v.n == 0 || digest_split(v, false, ent->violation, &unused);
	case IMA_FIELD_N:
	case IMA_FIELD_N_NG:
		return text_split(v, &ent->name);
	case IMA_FIELD_XATTRNAMES:
		return v.n == 0 || text_split(v, &text);
	case IMA_FIELD_XATTRLENGTHS:
		return v.n % 4 == 0;
	case IMA_FIELD_IUID:
	case IMA_FIELD_IGID:
		return v.n == 0 || v.n == 4;
	case IMA_FIELD_IMODE:
		return v.n == 0 || v.n == 2;
	case IMA_FIELD_SIG:
	case IMA_FIELD_BUF:
	case IMA_FIELD_MODSIG:
	case IMA_FIELD_EVMSIG:
	case IMA_FIELD_XATTRVALUES:
		return true;
	case N_IMA_FIELDS:
		break;
	}
	return false;
}

/* Digest and name without their own rules of length; what is hashed is put together with zeros behind the name. */
static bool legacy_decode(struct imalog *l, struct bytes data, struct ima_entry *ent)
{
	struct rd r = RD(data);
	struct bytes digest, name;
	uint32_t n;

	if (failed(rd_bytes(&r, IMA_HASH_SIZE, &digest)) || failed(ima_rd_u32(&r, l->order, &n)) ||
	    n > IMA_LEGACY_NAME_MAX || failed(rd_bytes(&r, n, &name)) || failed(rd_end(&r)))
		return false;
	memset(l->legacy, 0, sizeof(l->legacy));
	memcpy(l->legacy, digest.p, digest.n);
	if (name.n > 0)
		memcpy(l->legacy + IMA_HASH_SIZE, name.p, name.n);
	ent->hashed = BYTES_ARR(l->legacy);
	ent->fields = BIT(IMA_FIELD_D) | BIT(IMA_FIELD_N);
	ent->field[IMA_FIELD_D] = digest;
	ent->field[IMA_FIELD_N] = ent->name = name;
	return field_decode(IMA_FIELD_D, digest, ent) && (name.n == 0 || memchr(name.p, 0, name.n) == NULL);
}

static bool fields_decode(struct imalog *l, struct bytes data, struct ima_entry *ent)
{
	const struct imalog_template *t = &l->template;
	struct rd r = RD(data);

	for (size_t i = 0; i < t->n_fields; i++) {
		enum ima_field_id id = (enum ima_field_id)t->field[i];
		struct bytes v;
		uint32_t n;

		if (failed(ima_rd_u32(&r, l->order, &n)) || failed(rd_bytes(&r, n, &v)) || !field_decode(id, v, ent))
			return false;
		ent->field[id] = v;
		ent->fields |= BIT(id);
	}
	return !failed(rd_end(&r));
}

void ima_entry_decode(struct imalog *l, struct bytes data, struct ima_entry *ret)
{
	bool fits;

	ima_template_find(l, ret->template_name);
	if (!l->template.known) {
		ret->state = IMA_ENTRY_UNKNOWN;
		return;
	}
	fits = l->template.legacy ? legacy_decode(l, data, ret) : fields_decode(l, data, ret);
	if (fits)
		return;
	ret->state = IMA_ENTRY_MALFORMED;
	ret->fields = 0;
	memset(ret->field, 0, sizeof(ret->field));
	ret->digest = (struct ima_digest){ .alg = N_DIGESTS };
	ret->name = BYTES_NONE;
}
