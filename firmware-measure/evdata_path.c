/* SPDX-License-Identifier: Apache-2.0 */
/* EFI device paths as text. Source: UEFI 2.10, 10.3 (nodes), 10.6 (text). */
#include <inttypes.h>

#include "base/rd.h"
#include "base/text.h"
#include "firmware-measure/evdata.h"

#define MAX_NODES 64

enum {
	TYPE_HARDWARE = 1,
	TYPE_ACPI = 2,
	TYPE_MESSAGING = 3,
	TYPE_MEDIA = 4,
	TYPE_BIOS = 5,
	TYPE_END = 0x7f,
};

struct node {
	uint8_t type, subtype;
	struct bytes data; /* behind the four bytes of its header */
};

static struct err next_node(struct rd *r, struct node *ret)
{
	struct node n;
	uint16_t len;
	struct err e;

	if (failed(e = rd_u8(r, &n.type)) || failed(e = rd_u8(r, &n.subtype)) || failed(e = rd_u16le(r, &len)))
		return e;
	if (len < 4)
		return ERR(E_PEER_RANGE);
	if (failed(e = rd_bytes(r, len - 4U, &n.data)))
		return e;
	*ret = n;
	return ERR(E_OK);
}

/* Any node that is not known, or not as long as it should be. */
static struct err add_unknown(const struct node *n, struct buf *ret)
{
	return buf_addf(ret, "Path(%u,%u,%zu bytes)", n->type, n->subtype, n->data.n);
}

static struct err add_guid(const char *name, const struct node *n, struct buf *ret)
{
	char text[EFI_GUID_TEXT_SIZE];
	struct rd r = rd_init(n->data);
	struct bytes guid;

	if (failed(rd_bytes(&r, EFI_GUID_SIZE, &guid)))
		return add_unknown(n, ret);
	efi_guid_text(guid, text);
	return buf_addf(ret, "%s(%s)", name, text);
}

static struct err add_pci(const struct node *n, struct buf *ret)
{
	struct rd r = rd_init(n->data);
	uint8_t function, device;

	if (failed(rd_u8(&r, &function)) || failed(rd_u8(&r, &device)) || failed(rd_end(&r)))
		return add_unknown(n, ret);
	return buf_addf(ret, "Pci(0x%x,0x%x)", device, function);
}

static struct err add_memory(const struct node *n, struct buf *ret)
{
	struct rd r = rd_init(n->data);
	uint64_t first, last;
	uint32_t type;

	if (failed(rd_u32le(&r, &type)) || failed(rd_u64le(&r, &first)) || failed(rd_u64le(&r, &last)))
		return add_unknown(n, ret);
	return buf_addf(ret, "MemoryMapped(0x%x,0x%" PRIx64 ",0x%" PRIx64 ")", type, first, last);
}

#define EISA_PNP 0x41d0U
#define EISA_PCI_ROOT 0x0a03U
#define EISA_PCIE_ROOT 0x0a08U

static struct err add_acpi(const struct node *n, struct buf *ret)
{
	struct rd r = rd_init(n->data);
	uint32_t hid, uid;

	if (failed(rd_u32le(&r, &hid)) || failed(rd_u32le(&r, &uid)))
		return add_unknown(n, ret);
	if ((hid & 0xffff) != EISA_PNP)
		return buf_addf(ret, "Acpi(0x%08x,0x%x)", hid, uid);
	if (hid >> 16 == EISA_PCI_ROOT)
		return buf_addf(ret, "PciRoot(0x%x)", uid);
	if (hid >> 16 == EISA_PCIE_ROOT)
		return buf_addf(ret, "PcieRoot(0x%x)", uid);
	return buf_addf(ret, "Acpi(PNP%04X,0x%x)", hid >> 16, uid);
}

static struct err add_messaging(const struct node *n, struct buf *ret)
{
	struct rd r = rd_init(n->data);
	uint16_t a, b, c;
	uint8_t x, y;
	uint32_t id;
	struct bytes mac;
	struct err e;

	switch (n->subtype) {
	case 2: /* SCSI */
		if (failed(rd_u16le(&r, &a)) || failed(rd_u16le(&r, &b)))
			break;
		return buf_addf(ret, "Scsi(0x%x,0x%x)", a, b);
	case 5: /* USB */
		if (failed(rd_u8(&r, &x)) || failed(rd_u8(&r, &y)))
			break;
		return buf_addf(ret, "USB(0x%x,0x%x)", x, y);
	case 10:
		return add_guid("VenMsg", n, ret);
	case 11: /* MAC: 32 bytes of which Ethernet uses 6 */
		if (failed(rd_bytes(&r, 6, &mac)))
			break;
		if (failed(e = buf_add_str(ret, "MAC(")) || failed(e = buf_add_hex(ret, mac)))
			return e;
		return buf_add_str(ret, ")");
	case 12:
		return buf_add_str(ret, "IPv4()");
	case 13:
		return buf_add_str(ret, "IPv6()");
	case 18: /* SATA */
		if (failed(rd_u16le(&r, &a)) || failed(rd_u16le(&r, &b)) || failed(rd_u16le(&r, &c)))
			break;
		return buf_addf(ret, "Sata(0x%x,0x%x,0x%x)", a, b, c);
	case 23: /* NVMe */
		if (failed(rd_u32le(&r, &id)))
			break;
		return buf_addf(ret, "NVMe(0x%x)", id);
	case 24:
		return buf_add_str(ret, "Uri()");
	default:
		break;
	}
	return add_unknown(n, ret);
}

static struct err add_disk(const struct node *n, struct buf *ret)
{
	struct rd r = rd_init(n->data);
	char text[EFI_GUID_TEXT_SIZE];
	uint8_t format, signature_type;
	uint64_t start, size;
	struct bytes signature;
	uint32_t number;

	if (failed(rd_u32le(&r, &number)) || failed(rd_u64le(&r, &start)) || failed(rd_u64le(&r, &size)) ||
	    failed(rd_bytes(&r, 16, &signature)) || failed(rd_u8(&r, &format)) || failed(rd_u8(&r, &signature_type)) ||
	    failed(rd_end(&r)))
		return add_unknown(n, ret);
	if (format == 2 && signature_type == 2) {
		efi_guid_text(signature, text);
		return buf_addf(ret, "HD(%u,GPT,%s,0x%" PRIx64 ",0x%" PRIx64 ")", number, text, start, size);
	}
	return buf_addf(ret, "HD(%u,%s,0x%" PRIx64 ",0x%" PRIx64 ")", number, format == 1 ? "MBR" : "?", start, size);
}

static struct err add_file(const struct node *n, struct buf *ret)
{
	size_t before = ret->n;

	if (!failed(utf16_to_utf8(n->data, ret)))
		return ERR(E_OK);
	if (failed(buf_truncate(ret, before)))
		return ERR(E_BUG);
	return add_unknown(n, ret);
}

static struct err add_media(const struct node *n, struct buf *ret)
{
	switch (n->subtype) {
	case 1:
		return add_disk(n, ret);
	case 2:
		return buf_add_str(ret, "CDROM()");
	case 3:
		return add_guid("VenMedia", n, ret);
	case 4:
		return add_file(n, ret);
	case 6:
		return add_guid("FvFile", n, ret);
	case 7:
		return add_guid("Fv", n, ret);
	case 8:
		return buf_add_str(ret, "Offset()");
	default:
		return add_unknown(n, ret);
	}
}

static struct err add_node(const struct node *n, struct buf *ret)
{
	switch (n->type) {
	case TYPE_HARDWARE:
		if (n->subtype == 1)
			return add_pci(n, ret);
		if (n->subtype == 3)
			return add_memory(n, ret);
		return n->subtype == 4 ? add_guid("VenHw", n, ret) : add_unknown(n, ret);
	case TYPE_ACPI:
		return n->subtype == 1 ? add_acpi(n, ret) : add_unknown(n, ret);
	case TYPE_MESSAGING:
		return add_messaging(n, ret);
	case TYPE_MEDIA:
		return add_media(n, ret);
	case TYPE_BIOS:
		return buf_add_str(ret, "BBS()");
	default:
		return add_unknown(n, ret);
	}
}

struct err evdata_device_path_text(struct bytes path, struct buf *ret)
{
	struct rd r = rd_init(path);
	size_t before = ret->n;
	struct node n;
	struct err e;

	for (size_t i = 0; rd_left(&r) > 0; i++) {
		if (i >= MAX_NODES)
			return ERR(E_LIMIT_COUNT);
		if (failed(e = next_node(&r, &n)))
			return e;
		if (n.type == TYPE_END) {
			/* 0xff ends the path, 0x01 one of several instances. */
			if (n.subtype != 1)
				break;
			e = buf_add_str(ret, ",");
		} else {
			bool slash = ret->n > before && ret->p[ret->n - 1] != ',';

			if (slash && failed(e = buf_add_str(ret, "/")))
				return e;
			e = add_node(&n, ret);
		}
		if (failed(e))
			return e;
	}
	return ERR(E_OK);
}

struct err evdata_device_path_file(struct bytes path, struct bytes *ret)
{
	struct bytes file = BYTES_NONE;
	struct rd r = rd_init(path);
	struct node n;
	struct err e;

	for (size_t i = 0; rd_left(&r) > 0; i++) {
		if (i >= MAX_NODES)
			return ERR(E_LIMIT_COUNT);
		if (failed(e = next_node(&r, &n)))
			return e;
		if (n.type == TYPE_END && n.subtype != 1)
			break;
		if (n.type == TYPE_MEDIA && n.subtype == 4)
			file = n.data;
	}
	if (file.n >= 2 && file.p[file.n - 1] == 0 && file.p[file.n - 2] == 0)
		file.n -= 2;
	*ret = file;
	return ERR(E_OK);
}
