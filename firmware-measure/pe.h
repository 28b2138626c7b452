/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PE/COFF images, as EFI applications, kernels and UKIs are: a bounded reader
 * that borrows everything, and the Authenticode digest that firmware extends
 * into PCR 4 when it starts one.
 *
 * What is not laid out as the firmware demands is refused, so that a digest is
 * never of something else than what would run: headers and section table lie
 * within SizeOfHeaders, sections lie behind it, within the file and beside
 * each other, and the certificate table ends the file.
 *
 * Source: Microsoft PE Format (headers, section table, attribute certificate
 * table); Windows Authenticode Portable Executable Signature Format,
 * "Calculating the PE Image Hash"; TCG PFP 1.06, 3.3.4.5 (what PCR 4 measures).
 */
#ifndef ASSAY_MEASURE_PE_H
#define ASSAY_MEASURE_PE_H

#include "base/digest.h"
#include "base/limits.h"

#define PE_MAX_SECTIONS 96 /* more than any loader we know of accepts */
#define PE_NAME_SIZE 9     /* 8 characters and a NUL */

struct pe_section {
	char name[PE_NAME_SIZE]; /* as it stands there: "" or any bytes but NUL */
	uint32_t virtual_size;   /* bytes in memory */
	uint32_t virtual_address;
	size_t off;        /* of data, bytes from the start of the file; 0 where it has none */
	struct bytes data; /* SizeOfRawData bytes of the file; view */
};

struct pe {
	struct bytes file;    /* borrowed; must outlive this */
	uint16_t machine;     /* 0x8664 x86-64, 0xaa64 arm64, 0x14c i386, ... */
	bool plus;            /* PE32+, otherwise PE32 */
	struct bytes headers; /* SizeOfHeaders bytes from the start */
	size_t checksum_off;
	size_t cert_entry_off;     /* directory entry of the certificate table; 0 where the header has none */
	struct bytes certificates; /* the table, at the end of the file; n == 0 in an unsigned file */
	size_t n_sections;
	struct pe_section section[PE_MAX_SECTIONS]; /* in the order of the table */
	size_t n_hole; /* bytes between sections, which no digest covers; 0 in what tools make */
};

/*
 * Reads headers and section table.
 *
 * file    the whole file, borrowed by *ret
 * reterr  says what is wrong, with the offset; may be NULL
 *
 * E_PEER_SYNTAX (no MZ, PE or optional header magic); E_PEER_TRUNCATED (a
 * header, section or table that goes past the end); E_PEER_RANGE (sizes that
 * contradict each other, sections that overlap headers or each other, a
 * certificate table that is not the end); E_LIMIT_COUNT (sections).
 */
must_check struct err pe_parse(struct bytes file, struct pe *ret, struct reason *reterr);

/*
 * Authenticode digest, as firmware computes it: everything but checksum,
 * directory entry of the certificates, and the certificates. An unsigned file
 * is hashed as it is; a tool that signs one whose size is no multiple of 8
 * pads it with zeros first and so makes another file with another digest.
 *
 * E_LOCAL_CRYPTO, E_LOCAL_MEMORY, E_PEER_UNSUPPORTED (no SM3).
 */
must_check struct err pe_authenticode(const struct pe *pe, enum digest_id alg, struct digest *ret);

/* The first section with this name; NULL where there is none. */
const struct pe_section *pe_section_by_name(const struct pe *pe, const char *name);

/*
 * What lies in memory once the section is loaded: a view of the file, then
 * *ret_n_zeros zero bytes. Together they are virtual_size bytes.
 */
struct bytes pe_section_memory(const struct pe_section *s, size_t *ret_n_zeros);

#endif
