/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/siglist.h"

#include "base/rd.h"
#include "base/text.h"

static const struct {
	uint8_t guid[EFI_GUID_SIZE];
	enum siglist_type type;
	const char *name;
	size_t size; /* of the data; 0: any but none */
} types[] = {
	{ { 0x12, 0xa5, 0x6c, 0x82, 0x10, 0xcf, 0xc9, 0x4a, 0xb1, 0x87, 0xbe, 0x01, 0x49, 0x66, 0x31, 0xbd },
	  SIGLIST_SHA1,
	  "sha1",
	  20 },
	{ { 0x33, 0x52, 0x6e, 0x0b, 0x5c, 0xa6, 0xc9, 0x44, 0x94, 0x07, 0xd9, 0xab, 0x83, 0xbf, 0xc8, 0xbd },
	  SIGLIST_SHA224,
	  "sha224",
	  28 },
	{ { 0x26, 0x16, 0xc4, 0xc1, 0x4c, 0x50, 0x92, 0x40, 0xac, 0xa9, 0x41, 0xf9, 0x36, 0x93, 0x43, 0x28 },
	  SIGLIST_SHA256,
	  "sha256",
	  32 },
	{ { 0x07, 0x53, 0x3e, 0xff, 0xd0, 0x9f, 0xc9, 0x48, 0x85, 0xf1, 0x8a, 0xd5, 0x6c, 0x70, 0x1e, 0x01 },
	  SIGLIST_SHA384,
	  "sha384",
	  48 },
	{ { 0xae, 0x0f, 0x3e, 0x09, 0xc4, 0xa6, 0x50, 0x4f, 0x9f, 0x1b, 0xd4, 0x1e, 0x2b, 0x89, 0xc1, 0x9a },
	  SIGLIST_SHA512,
	  "sha512",
	  64 },
	{ { 0xa1, 0x59, 0xc0, 0xa5, 0xe4, 0x94, 0xa7, 0x4a, 0x87, 0xb5, 0xab, 0x15, 0x5c, 0x2b, 0xf0, 0x72 },
	  SIGLIST_X509,
	  "x509",
	  0 },
	{ { 0xe8, 0x66, 0x57, 0x3c, 0x9c, 0x26, 0x34, 0x4e, 0xaa, 0x14, 0xed, 0x77, 0x6e, 0x85, 0xb3, 0xb6 },
	  SIGLIST_RSA2048,
	  "rsa2048",
	  256 },
	{ { 0x92, 0xa4, 0xd2, 0x3b, 0xc0, 0x96, 0x79, 0x40, 0xb4, 0x20, 0xfc, 0xf9, 0x8e, 0xf1, 0x03, 0xed },
	  SIGLIST_X509_SHA256,
	  "x509-sha256",
	  48 },
	{ { 0x6e, 0x87, 0x76, 0x70, 0xc2, 0x80, 0xe6, 0x4e, 0xaa, 0xd2, 0x28, 0xb3, 0x49, 0xa6, 0x86, 0x5b },
	  SIGLIST_X509_SHA384,
	  "x509-sha384",
	  64 },
	{ { 0x63, 0xbf, 0x6d, 0x44, 0x02, 0x25, 0xda, 0x4c, 0xbc, 0xfa, 0x24, 0x65, 0xd2, 0xb0, 0xfe, 0x9d },
	  SIGLIST_X509_SHA512,
	  "x509-sha512",
	  80 },
};

const char *siglist_type_name(enum siglist_type type)
{
	for (size_t i = 0; i < array_len(types); i++)
		if (types[i].type == type)
			return types[i].name;
	return "other";
}

void efi_guid_text(struct bytes guid, char ret[EFI_GUID_TEXT_SIZE])
{
	static const uint8_t order[EFI_GUID_SIZE] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };
	static const char digits[] = "0123456789abcdef";
	size_t n = 0;

	for (size_t i = 0; guid.n == EFI_GUID_SIZE && i < array_len(order); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			ret[n++] = '-';
		ret[n++] = digits[guid.p[order[i]] >> 4];
		ret[n++] = digits[guid.p[order[i]] & 15];
	}
	ret[n] = '\0';
}

/* EFI_SIGNATURE_LIST: its header, and its entries as one view. */
static struct err next_list(struct bytes db, struct siglist_pos *pos)
{
	struct rd r = { db.p, db.n, pos->off }, list;
	uint32_t list_size, header_size, entry_size;
	struct bytes guid, body, header;
	struct err e;

	if (failed(e = rd_bytes(&r, EFI_GUID_SIZE, &guid)) || failed(e = rd_u32le(&r, &list_size)) ||
	    failed(e = rd_u32le(&r, &header_size)) || failed(e = rd_u32le(&r, &entry_size)))
		return e;
	/* The size counts what was read already. */
	if (list_size < r.off - pos->off || entry_size < EFI_GUID_SIZE)
		return ERR(E_PEER_RANGE);
	if (failed(e = rd_bytes(&r, list_size - (r.off - pos->off), &body)))
		return e;
	list = rd_init(body);
	if (failed(e = rd_bytes(&list, header_size, &header)))
		return e;
	if (rd_left(&list) % entry_size != 0)
		return ERR(E_PEER_RANGE);
	pos->off = r.off;
	pos->type_guid = guid;
	pos->entry_size = entry_size;
	pos->entries = rd_rest(&list);
	return ERR(E_OK);
}

static struct err set_type(struct siglist *s)
{
	for (size_t i = 0; i < array_len(types); i++) {
		if (!bytes_eq(BYTES_ARR(types[i].guid), s->type_guid))
			continue;
		s->type = types[i].type;
		return ERR((types[i].size != 0 ? s->data.n == types[i].size : s->data.n > 0) ? E_OK : E_PEER_RANGE);
	}
	s->type = SIGLIST_OTHER;
	return ERR(E_OK);
}

struct err siglist_next(struct bytes db, struct siglist_pos *pos, struct siglist *ret)
{
	struct siglist_pos p = *pos;
	struct siglist s = { 0 };
	struct bytes entry;
	struct rd r;
	struct err e;

	if (p.off > db.n)
		return ERR(E_BUG);
	/* A list may be empty. */
	while (p.entries.n == 0) {
		if (p.off == db.n) {
			*ret = (struct siglist){ .end = true };
			return ERR(E_OK);
		}
		if (failed(e = next_list(db, &p)))
			return e;
	}
	if (p.n_entries >= SIGLIST_MAX_ENTRIES)
		return ERR(E_LIMIT_COUNT);
	r = rd_init(p.entries);
	if (failed(e = rd_bytes(&r, p.entry_size, &entry)))
		return e;
	p.entries = rd_rest(&r);
	p.n_entries++;
	s.type_guid = p.type_guid;
	r = rd_init(entry);
	if (failed(e = rd_bytes(&r, EFI_GUID_SIZE, &s.owner)))
		return e;
	s.data = rd_rest(&r);
	if (failed(e = set_type(&s)))
		return e;
	*pos = p;
	*ret = s;
	return ERR(E_OK);
}

struct err siglist_count(struct bytes db, size_t *ret)
{
	struct siglist_pos pos = { 0 };
	struct siglist s;
	struct err e;

	for (;;) {
		if (failed(e = siglist_next(db, &pos, &s)))
			return e;
		if (s.end)
			break;
	}
	*ret = pos.n_entries;
	return ERR(E_OK);
}

static int compare(const void *a, const void *b)
{
	const struct siglist *x = a, *y = b;
	int c = bytes_cmp(x->type_guid, y->type_guid);

	return c != 0 ? c : bytes_cmp(x->data, y->data);
}

/* All entries, in order. */
static struct err sorted(struct bytes db, size_t *ret_n, struct siglist **ret)
{
	cleanup_free struct siglist *all = NULL;
	struct siglist_pos pos = { 0 };
	size_t n = 0;
	struct err e;

	if (failed(e = siglist_count(db, &n)))
		return e;
	all = calloc(n + 1, sizeof(*all));
	if (all == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < n; i++)
		if (failed(e = siglist_next(db, &pos, &all[i])))
			return e;
	qsort(all, n, sizeof(*all), compare);
	*ret_n = n;
	*ret = take_ptr(&all);
	return ERR(E_OK);
}

struct err siglist_missing(struct bytes measured, struct bytes reference, size_t *ret_missing,
			   struct siglist *ret_first)
{
	cleanup_free struct siglist *have = NULL, *want = NULL;
	struct siglist first = { .end = true };
	size_t n_have = 0, n_want = 0, n = 0;
	struct err e;

	if (failed(e = sorted(measured, &n_have, &have)) || failed(e = sorted(reference, &n_want, &want)))
		return e;
	for (size_t i = 0; i < n_want; i++) {
		if (n_have > 0 && bsearch(&want[i], have, n_have, sizeof(*have), compare) != NULL)
			continue;
		if (n++ == 0)
			first = want[i];
	}
	*ret_missing = n;
	if (ret_first != NULL)
		*ret_first = first;
	return ERR(E_OK);
}
