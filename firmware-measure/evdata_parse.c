/* SPDX-License-Identifier: Apache-2.0 */
/* The structures of event data, as bare bytes. */
#include "base/rd.h"
#include "firmware-measure/evdata.h"

#define MAX_NAME_CHARS 512 /* of a variable */

static const uint8_t guid_global[EFI_GUID_SIZE] = { 0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11,
						    0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c };
static const uint8_t guid_security[EFI_GUID_SIZE] = { 0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d, 0x96, 0x45,
						      0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f };
static const uint8_t guid_shim[EFI_GUID_SIZE] = { 0x50, 0xab, 0x5d, 0x60, 0x46, 0xe0, 0x00, 0x43,
						  0xab, 0xb6, 0x3d, 0xd8, 0x10, 0xdd, 0x8b, 0x23 };

static const struct {
	const uint8_t *guid;
	const char *name;
	enum evdata_variable_id id;
} variables[] = {
	{ guid_global, "SecureBoot", EFI_VAR_SECURE_BOOT },
	{ guid_global, "PK", EFI_VAR_PK },
	{ guid_global, "KEK", EFI_VAR_KEK },
	{ guid_security, "db", EFI_VAR_DB },
	{ guid_security, "dbx", EFI_VAR_DBX },
	{ guid_security, "dbt", EFI_VAR_DBT },
	{ guid_security, "dbr", EFI_VAR_DBR },
	{ guid_global, "SetupMode", EFI_VAR_SETUP_MODE },
	{ guid_global, "AuditMode", EFI_VAR_AUDIT_MODE },
	{ guid_global, "DeployedMode", EFI_VAR_DEPLOYED_MODE },
	{ guid_global, "BootOrder", EFI_VAR_BOOT_ORDER },
	{ guid_shim, "SbatLevel", EFI_VAR_SBAT_LEVEL },
	{ guid_shim, "Shim", EFI_VAR_SHIM },
	{ guid_shim, "MokList", EFI_VAR_MOK_LIST },
	{ guid_shim, "MokListRT", EFI_VAR_MOK_LIST },
	{ guid_shim, "MokListX", EFI_VAR_MOK_LIST_X },
	{ guid_shim, "MokListXRT", EFI_VAR_MOK_LIST_X },
	{ guid_shim, "MokListTrusted", EFI_VAR_MOK_LIST_TRUSTED },
	{ guid_shim, "MokListTrustedRT", EFI_VAR_MOK_LIST_TRUSTED },
	{ guid_shim, "MokSBState", EFI_VAR_MOK_SB_STATE },
};

static bool utf16_is(struct bytes utf16, const char *ascii)
{
	struct bytes s = bytes_str(ascii);
	struct rd r = rd_init(utf16);
	uint16_t c;

	for (size_t i = 0; i < s.n; i++)
		if (failed(rd_u16le(&r, &c)) || c != s.p[i])
			return false;
	return rd_left(&r) == 0;
}

/* Boot####: four digits of upper-case hex (UEFI 2.10, 3.3). */
static bool boot_number(struct bytes name, uint16_t *ret)
{
	struct rd r = rd_init(name);
	uint16_t v = 0, c;
	struct bytes boot;

	if (failed(rd_bytes(&r, 8, &boot)) || !utf16_is(boot, "Boot") || rd_left(&r) != 8)
		return false;
	for (int i = 0; i < 4; i++) {
		unsigned digit;

		if (failed(rd_u16le(&r, &c)))
			return false;
		if (c >= '0' && c <= '9')
			digit = c - (unsigned)'0';
		else if (c >= 'A' && c <= 'F')
			digit = c - (unsigned)'A' + 10;
		else
			return false;
		v = (uint16_t)((unsigned)v << 4 | digit);
	}
	*ret = v;
	return true;
}

static void name_variable(struct evdata_variable *v)
{
	for (size_t i = 0; i < array_len(variables); i++) {
		if (bytes_eq(v->guid, BYTES(variables[i].guid, EFI_GUID_SIZE)) &&
		    utf16_is(v->name, variables[i].name)) {
			v->id = variables[i].id;
			return;
		}
	}
	if (bytes_eq(v->guid, BYTES_ARR(guid_global)) && boot_number(v->name, &v->number))
		v->id = EFI_VAR_BOOT;
}

struct err evdata_parse_variable(struct bytes data, struct evdata_variable *ret)
{
	struct evdata_variable v = { .id = EFI_VAR_OTHER };
	struct rd r = rd_init(data);
	uint64_t name_chars, contents_len;
	struct err e;

	if (failed(e = rd_bytes(&r, EFI_GUID_SIZE, &v.guid)) || failed(e = rd_u64le(&r, &name_chars)) ||
	    failed(e = rd_u64le(&r, &contents_len)))
		return e;
	if (name_chars > MAX_NAME_CHARS)
		return ERR(E_LIMIT_SIZE);
	if (failed(e = rd_bytes(&r, (size_t)name_chars * 2, &v.name)))
		return e;
	if (contents_len > rd_left(&r))
		return ERR(E_PEER_TRUNCATED);
	if (failed(e = rd_bytes(&r, (size_t)contents_len, &v.contents)) || failed(e = rd_end(&r)))
		return e;
	name_variable(&v);
	*ret = v;
	return ERR(E_OK);
}

struct err evdata_parse_image(struct bytes data, struct evdata_image *ret)
{
	struct rd r = rd_init(data);
	struct evdata_image i;
	uint64_t path_len;
	struct err e;

	if (failed(e = rd_u64le(&r, &i.address)) || failed(e = rd_u64le(&r, &i.length)) ||
	    failed(e = rd_u64le(&r, &i.link_address)) || failed(e = rd_u64le(&r, &path_len)))
		return e;
	if (path_len > rd_left(&r))
		return ERR(E_PEER_TRUNCATED);
	if (failed(e = rd_bytes(&r, (size_t)path_len, &i.device_path)) || failed(e = rd_end(&r)))
		return e;
	*ret = i;
	return ERR(E_OK);
}

#define GPT_HEADER_SIZE 92
#define GPT_ENTRY_MIN 128
#define GPT_NAME_SIZE 72

/* EFI_PARTITION_TABLE_HEADER (UEFI 2.10, 5.3.2), then the number of entries and the entries. */
struct err evdata_parse_gpt(struct bytes data, struct evdata_gpt *ret)
{
	struct bytes header, signature, skipped;
	struct rd r = rd_init(data), h;
	uint32_t entry_size;
	struct evdata_gpt g;
	struct err e;

	if (failed(e = rd_bytes(&r, GPT_HEADER_SIZE, &header)) || failed(e = rd_u64le(&r, &g.n_partitions)))
		return e;
	h = rd_init(header);
	if (failed(e = rd_bytes(&h, 8, &signature)) || failed(e = rd_bytes(&h, 48, &skipped)) ||
	    failed(e = rd_bytes(&h, EFI_GUID_SIZE, &g.disk_guid)) || failed(e = rd_bytes(&h, 12, &skipped)) ||
	    failed(e = rd_u32le(&h, &entry_size)))
		return e;
	if (!bytes_eq(signature, BYTES_LIT("EFI PART")))
		return ERR(E_PEER_TYPE);
	if (entry_size < GPT_ENTRY_MIN)
		return ERR(E_PEER_RANGE);
	if (g.n_partitions > rd_left(&r) / entry_size)
		return ERR(E_PEER_TRUNCATED);
	if (failed(e = rd_bytes(&r, (size_t)g.n_partitions * entry_size, &g.partitions)) || failed(e = rd_end(&r)))
		return e;
	g.partition_size = entry_size;
	*ret = g;
	return ERR(E_OK);
}

/* UTF-16LE up to the first NUL. */
static struct bytes until_nul16(struct bytes s)
{
	size_t n = 0;

	while (n + 1 < s.n && (s.p[n] != 0 || s.p[n + 1] != 0))
		n += 2;
	return BYTES(s.p, n);
}

struct err evdata_gpt_partition(const struct evdata_gpt *g, size_t i, struct evdata_partition *ret)
{
	struct evdata_partition p;
	struct bytes entry, name;
	struct rd r;
	struct err e;

	if (i >= g->n_partitions)
		return ERR(E_PEER_RANGE);
	if (failed(e = bytes_sub(g->partitions, i * g->partition_size, g->partition_size, &entry)))
		return e;
	r = rd_init(entry);
	if (failed(e = rd_bytes(&r, EFI_GUID_SIZE, &p.type_guid)) || failed(e = rd_bytes(&r, EFI_GUID_SIZE, &p.guid)) ||
	    failed(e = rd_u64le(&r, &p.first_lba)) || failed(e = rd_u64le(&r, &p.last_lba)) ||
	    failed(e = rd_u64le(&r, &p.attributes)) || failed(e = rd_bytes(&r, GPT_NAME_SIZE, &name)))
		return e;
	p.name = until_nul16(name);
	*ret = p;
	return ERR(E_OK);
}

struct err evdata_parse_blob(uint32_t type, struct bytes data, struct evdata_blob *ret)
{
	struct evdata_blob b = { .description = BYTES_NONE };
	struct rd r = rd_init(data);
	uint8_t n = 0;
	struct err e;

	/* EV_POST_CODE and EV_POST_CODE2 have the same two forms. */
	if (type == EV_EFI_PLATFORM_FIRMWARE_BLOB2 || type == EV_POST_CODE2) {
		if (failed(e = rd_u8(&r, &n)) || failed(e = rd_bytes(&r, n, &b.description)))
			return e;
	}
	if (failed(e = rd_u64le(&r, &b.base)) || failed(e = rd_u64le(&r, &b.length)) || failed(e = rd_end(&r)))
		return e;
	*ret = b;
	return ERR(E_OK);
}

/* Data of Windows holds one such structure around others; then the contents are those. */
struct err evdata_parse_tag(struct bytes data, struct evdata_tag *ret)
{
	struct rd r = rd_init(data);
	struct evdata_tag t;
	struct err e;
	uint32_t n;

	if (failed(e = rd_u32le(&r, &t.id)) || failed(e = rd_u32le(&r, &n)) ||
	    failed(e = rd_bytes(&r, n, &t.contents)) || failed(e = rd_end(&r)))
		return e;
	*ret = t;
	return ERR(E_OK);
}

static struct err add_char(uint32_t c, struct buf *ret)
{
	uint8_t s[4];
	size_t n = 0;

	if (c < 0x80) {
		s[n++] = (uint8_t)c;
	} else if (c < 0x800) {
		s[n++] = (uint8_t)(0xc0 | c >> 6);
		s[n++] = (uint8_t)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		s[n++] = (uint8_t)(0xe0 | c >> 12);
		s[n++] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		s[n++] = (uint8_t)(0x80 | (c & 0x3f));
	} else {
		s[n++] = (uint8_t)(0xf0 | c >> 18);
		s[n++] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
		s[n++] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		s[n++] = (uint8_t)(0x80 | (c & 0x3f));
	}
	return buf_add(ret, BYTES(s, n));
}

struct err utf16_to_utf8(struct bytes utf16, struct buf *ret)
{
	struct rd r = rd_init(utf16);
	uint16_t unit, low;
	struct err e;

	while (rd_left(&r) > 0) {
		uint32_t c;

		if (failed(rd_u16le(&r, &unit)))
			return ERR(E_PEER_SYNTAX);
		if (unit == 0)
			return ERR(rd_left(&r) == 0 ? E_OK : E_PEER_SYNTAX);
		c = unit;
		if (unit >= 0xd800 && unit < 0xe000) {
			if (unit >= 0xdc00 || failed(rd_u16le(&r, &low)) || low < 0xdc00 || low >= 0xe000)
				return ERR(E_PEER_SYNTAX);
			c = 0x10000U + ((uint32_t)(unit - 0xd800U) << 10 | (low - 0xdc00U));
		}
		if (failed(e = add_char(c, ret)))
			return e;
	}
	return ERR(E_OK);
}
