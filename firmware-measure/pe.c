/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/pe.h"

#include <string.h>

#include "base/rd.h"

#define DOS_MAGIC 0x5a4d    /* "MZ" */
#define DOS_LFANEW 0x3c     /* offset of the offset of the PE signature */
#define PE_MAGIC 0x00004550 /* "PE\0\0" */
#define OPT_PE32 0x10b
#define OPT_PE32PLUS 0x20b
#define OPT_SIZE_OF_HEADERS 60 /* offsets in the optional header, the same in both forms */
#define OPT_CHECKSUM 64
#define OPT_DIRS_PE32 96 /* here begin the data directories; their number stands before them */
#define OPT_DIRS_PE32PLUS 112
#define DIR_CERTIFICATES 4
#define DIR_SIZE 8
#define SECTION_HEADER_SIZE 40

/* What headers say before it has been compared with anything. */
struct head {
	size_t opt_off;   /* of the optional header */
	struct bytes opt; /* optional header */
	uint16_t n_sections;
	uint32_t headers_len, cert_off, cert_len;
};

/* A cursor at off; E_PEER_TRUNCATED behind the end. */
static struct err rd_at(struct bytes b, size_t off, struct rd *ret)
{
	if (off > b.n)
		return ERR(E_PEER_TRUNCATED);
	*ret = RD(b);
	ret->off = off;
	return ERR(E_OK);
}

static struct err u16_at(struct bytes b, size_t off, uint16_t *ret)
{
	struct rd r;
	struct err e;

	if (failed(e = rd_at(b, off, &r)))
		return e;
	return rd_u16le(&r, ret);
}

static struct err u32_at(struct bytes b, size_t off, uint32_t *ret)
{
	struct rd r;
	struct err e;

	if (failed(e = rd_at(b, off, &r)))
		return e;
	return rd_u32le(&r, ret);
}

static struct err bad(struct reason *reterr, enum err_code code, const char *what, size_t off)
{
	reason_set(reterr, "PE image: %s, at byte %zu", what, off);
	return ERR(code);
}

/* Up to the optional header. */
static struct err read_coff(struct pe *pe, struct head *h, struct reason *reterr)
{
	uint16_t mz, opt_len;
	uint32_t lfanew, magic;
	struct bytes skipped;
	struct rd r;

	if (failed(u16_at(pe->file, 0, &mz)) || mz != DOS_MAGIC)
		return bad(reterr, E_PEER_SYNTAX, "does not begin with MZ", 0);
	if (failed(u32_at(pe->file, DOS_LFANEW, &lfanew)) || failed(rd_at(pe->file, lfanew, &r)) ||
	    failed(rd_u32le(&r, &magic)))
		return bad(reterr, E_PEER_TRUNCATED, "the PE signature lies past the end", DOS_LFANEW);
	if (magic != PE_MAGIC)
		return bad(reterr, E_PEER_SYNTAX, "no PE signature", lfanew);
	if (failed(rd_u16le(&r, &pe->machine)) || failed(rd_u16le(&r, &h->n_sections)) ||
	    failed(rd_bytes(&r, 12, &skipped)) || failed(rd_u16le(&r, &opt_len)) || failed(rd_bytes(&r, 2, &skipped)))
		return bad(reterr, E_PEER_TRUNCATED, "the file header ends early", r.off);
	h->opt_off = r.off;
	if (failed(rd_bytes(&r, opt_len, &h->opt)))
		return bad(reterr, E_PEER_TRUNCATED, "the optional header ends early", r.off);
	return ERR(E_OK);
}

static struct err read_optional(struct pe *pe, struct head *h, struct reason *reterr)
{
	size_t dirs_off;
	uint32_t n_dirs, checksum;
	uint16_t magic;
	struct rd r;

	if (failed(u16_at(h->opt, 0, &magic)))
		return bad(reterr, E_PEER_TRUNCATED, "no optional header", h->opt_off);
	if (magic != OPT_PE32 && magic != OPT_PE32PLUS)
		return bad(reterr, E_PEER_SYNTAX, "an optional header of an unknown kind", h->opt_off);
	pe->plus = magic == OPT_PE32PLUS;
	dirs_off = pe->plus ? OPT_DIRS_PE32PLUS : OPT_DIRS_PE32;
	if (failed(u32_at(h->opt, OPT_SIZE_OF_HEADERS, &h->headers_len)) ||
	    failed(u32_at(h->opt, OPT_CHECKSUM, &checksum)) || failed(u32_at(h->opt, dirs_off - 4, &n_dirs)))
		return bad(reterr, E_PEER_TRUNCATED, "the optional header is too short", h->opt_off);
	pe->checksum_off = h->opt_off + OPT_CHECKSUM;
	if (n_dirs <= DIR_CERTIFICATES)
		return ERR(E_OK);
	if (failed(rd_at(h->opt, dirs_off + DIR_CERTIFICATES * DIR_SIZE, &r)) || failed(rd_u32le(&r, &h->cert_off)) ||
	    failed(rd_u32le(&r, &h->cert_len)))
		return bad(reterr, E_PEER_TRUNCATED, "the data directories end early", h->opt_off);
	pe->cert_entry_off = h->opt_off + dirs_off + DIR_CERTIFICATES * DIR_SIZE;
	return ERR(E_OK);
}

static struct err read_section(struct bytes file, struct bytes header, struct pe_section *ret)
{
	uint32_t raw_len, raw_off;
	struct rd r = RD(header);
	struct bytes name;
	size_t n = 0;
	struct err e;

	*ret = (struct pe_section){ 0 };
	if (failed(e = rd_bytes(&r, PE_NAME_SIZE - 1, &name)) || failed(e = rd_u32le(&r, &ret->virtual_size)) ||
	    failed(e = rd_u32le(&r, &ret->virtual_address)) || failed(e = rd_u32le(&r, &raw_len)) ||
	    failed(e = rd_u32le(&r, &raw_off)))
		return e;
	while (n < name.n && name.p[n] != 0)
		n++;
	memcpy(ret->name, name.p, n);
	if (raw_len == 0)
		return ERR(E_OK);
	ret->off = raw_off;
	return bytes_sub(file, raw_off, raw_len, &ret->data);
}

static struct err read_sections(struct pe *pe, const struct head *h, struct reason *reterr)
{
	const size_t table_off = h->opt_off + h->opt.n;
	struct rd r;

	if (failed(bytes_sub(pe->file, 0, h->headers_len, &pe->headers)))
		return bad(reterr, E_PEER_TRUNCATED, "SizeOfHeaders is more than the file",
			   h->opt_off + OPT_SIZE_OF_HEADERS);
	if (h->n_sections > PE_MAX_SECTIONS)
		return bad(reterr, E_LIMIT_COUNT, "more than 96 sections", table_off);
	if (failed(rd_at(pe->headers, table_off, &r)) || rd_left(&r) / SECTION_HEADER_SIZE < h->n_sections)
		return bad(reterr, E_PEER_RANGE, "the section table does not lie within SizeOfHeaders", table_off);
	for (; pe->n_sections < h->n_sections; pe->n_sections++) {
		struct bytes header;
		const size_t off = r.off;

		if (failed(rd_bytes(&r, SECTION_HEADER_SIZE, &header)) ||
		    failed(read_section(pe->file, header, &pe->section[pe->n_sections])))
			return bad(reterr, E_PEER_TRUNCATED, "a section lies past the end of the file", off);
	}
	return ERR(E_OK);
}

/* Sections with data in the order of the file; their number. */
static size_t file_order(const struct pe *pe, const struct pe_section *ret[PE_MAX_SECTIONS])
{
	size_t n = 0;

	for (size_t i = 0; i < pe->n_sections; i++) {
		const struct pe_section *s = &pe->section[i];
		size_t at = n;

		if (s->data.n == 0)
			continue;
		for (; at > 0 && ret[at - 1]->off > s->off; at--)
			ret[at] = ret[at - 1];
		ret[at] = s;
		n++;
	}
	return n;
}

static struct err check_layout(struct pe *pe, const struct head *h, struct reason *reterr)
{
	const struct pe_section *s[PE_MAX_SECTIONS];
	const size_t n = file_order(pe, s);
	size_t end = pe->headers.n;

	for (size_t i = 0; i < n; i++) {
		if (s[i]->off < end)
			return bad(reterr, E_PEER_RANGE, "a section overlaps the headers or another section",
				   s[i]->off);
		pe->n_hole += s[i]->off - end;
		end = s[i]->off + s[i]->data.n; /* within the file, as the view is */
	}
	if (h->cert_len == 0)
		return ERR(E_OK);
	if (failed(bytes_sub(pe->file, h->cert_off, h->cert_len, &pe->certificates)))
		return bad(reterr, E_PEER_TRUNCATED, "the certificate table lies past the end of the file",
			   pe->cert_entry_off);
	if (h->cert_off < end || h->cert_off + pe->certificates.n != pe->file.n)
		return bad(reterr, E_PEER_RANGE, "the certificate table is not the end of the file", h->cert_off);
	return ERR(E_OK);
}

struct err pe_parse(struct bytes file, struct pe *ret, struct reason *reterr)
{
	struct pe pe = { .file = file };
	struct head h = { 0 };
	struct err e;

	if (failed(e = read_coff(&pe, &h, reterr)) || failed(e = read_optional(&pe, &h, reterr)) ||
	    failed(e = read_sections(&pe, &h, reterr)) || failed(e = check_layout(&pe, &h, reterr)))
		return e;
	/* Both fields that the digest leaves out lie before the section table, which lies within the headers. */
	*ret = pe;
	return ERR(E_OK);
}

/* Adds [from, to) of the file. */
static struct err add_range(struct hasher *hash, struct bytes file, size_t from, size_t to)
{
	struct bytes part;
	struct err e;

	if (to < from)
		return ERR(E_BUG);
	if (failed(e = bytes_sub(file, from, to - from, &part)))
		return e;
	return hasher_add(hash, part);
}

static struct err add_headers(struct hasher *hash, const struct pe *pe)
{
	size_t from = pe->checksum_off + 4;
	struct err e;

	if (failed(e = add_range(hash, pe->headers, 0, pe->checksum_off)))
		return e;
	if (pe->cert_entry_off != 0) {
		if (failed(e = add_range(hash, pe->headers, from, pe->cert_entry_off)))
			return e;
		from = pe->cert_entry_off + DIR_SIZE;
	}
	return add_range(hash, pe->headers, from, pe->headers.n);
}

struct err pe_authenticode(const struct pe *pe, enum digest_id alg, struct digest *ret)
{
	cleanup_hasher struct hasher *hash = NULL;
	const struct pe_section *s[PE_MAX_SECTIONS];
	const size_t n = file_order(pe, s);
	size_t done = pe->headers.n;
	struct err e;

	if (failed(e = hasher_new(alg, &hash)) || failed(e = add_headers(hash, pe)))
		return e;
	for (size_t i = 0; i < n; i++) {
		if (failed(e = hasher_add(hash, s[i]->data)))
			return e;
		done += s[i]->data.n;
	}
	/*
	 * What is left counts from the sum of what was hashed, not from the last
	 * section's end: with a hole between sections the two differ, and
	 * firmware uses the sum.
	 */
	if (failed(e = add_range(hash, pe->file, done, pe->file.n - pe->certificates.n)))
		return e;
	return hasher_finish(hash, ret);
}

const struct pe_section *pe_section_by_name(const struct pe *pe, const char *name)
{
	for (size_t i = 0; i < pe->n_sections; i++) {
		if (strcmp(pe->section[i].name, name) == 0)
			return &pe->section[i];
	}
	return NULL;
}

struct bytes pe_section_memory(const struct pe_section *s, size_t *ret_n_zeros)
{
	const size_t n = s->virtual_size < s->data.n ? s->virtual_size : s->data.n;

	*ret_n_zeros = s->virtual_size - n;
	return BYTES(s->data.p, n);
}
