/* SPDX-License-Identifier: Apache-2.0 */
/* Builds PE images in memory, right ones and, by changing a field afterwards, wrong ones. */
#ifndef ASSAY_TESTS_PE_FIXTURE_H
#define ASSAY_TESTS_PE_FIXTURE_H

#include "firmware-measure/pe.h"
#include "unit.h"

/* Where fields lie in what pe_build() makes. */
enum {
	FIX_LFANEW = 0x80,
	FIX_N_SECTIONS = FIX_LFANEW + 6,
	FIX_OPT_LEN = FIX_LFANEW + 20,
	FIX_OPT = FIX_LFANEW + 24,
	FIX_SIZE_OF_HEADERS = FIX_OPT + 60,
	FIX_CHECKSUM = FIX_OPT + 64,
	FIX_N_DIRS = FIX_OPT + 108,
	FIX_CERT = FIX_OPT + 112 + 4 * 8,
	FIX_TABLE = FIX_OPT + 112 + 16 * 8,
	FIX_HEADERS = 0x400,
};

struct fix_section {
	const char *name;
	const char *data;
	uint32_t virtual_size; /* 0: that of data */
};

static inline void put_le(uint8_t *p, size_t n, uint64_t v)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

/* Header of section i. */
static inline size_t fix_header(size_t i)
{
	return FIX_TABLE + 40 * i;
}

/* A PE32+ for x86-64; raw data is aligned to 16 bytes. */
static inline void pe_build(struct buf *b, const struct fix_section *s, size_t n)
{
	static const uint8_t zeros[FIX_HEADERS];
	uint32_t address = 0x1000;

	assert_ok(buf_add(b, BYTES_ARR(zeros)));
	put_le(b->p, 2, 0x5a4d);
	put_le(b->p + 0x3c, 4, FIX_LFANEW);
	put_le(b->p + FIX_LFANEW, 4, 0x4550);
	put_le(b->p + FIX_LFANEW + 4, 2, 0x8664);
	put_le(b->p + FIX_N_SECTIONS, 2, n);
	put_le(b->p + FIX_OPT_LEN, 2, 112 + 16 * 8);
	put_le(b->p + FIX_OPT, 2, 0x20b);
	put_le(b->p + FIX_SIZE_OF_HEADERS, 4, FIX_HEADERS);
	put_le(b->p + FIX_CHECKSUM, 4, 0xdeadbeef);
	put_le(b->p + FIX_N_DIRS, 4, 16);
	for (size_t i = 0; i < n; i++) {
		const size_t len = strlen(s[i].data), raw = (len + 15) / 16 * 16;
		uint8_t *h = b->p + fix_header(i);

		memcpy(h, s[i].name, strlen(s[i].name));
		put_le(h + 8, 4, s[i].virtual_size != 0 ? s[i].virtual_size : len);
		put_le(h + 12, 4, address);
		put_le(h + 16, 4, raw);
		put_le(h + 20, 4, raw == 0 ? 0 : b->n);
		assert_ok(buf_add(b, BYTES(s[i].data, len)));
		assert_ok(buf_add(b, BYTES(zeros, raw - len)));
		address += 0x1000 * (uint32_t)(raw / 0x1000 + 1);
	}
}

/* A certificate table of n bytes at the end, as a signing tool adds it. */
static inline void pe_sign(struct buf *b, size_t n)
{
	const size_t off = b->n;

	for (size_t i = 0; i < n; i++)
		assert_ok(buf_add_u8(b, 0xcc));
	put_le(b->p + FIX_CERT, 4, off);
	put_le(b->p + FIX_CERT + 4, 4, n);
}

#endif
