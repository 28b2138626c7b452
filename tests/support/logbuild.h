/* SPDX-License-Identifier: Apache-2.0 */
/* Firmware logs as tests want them: event by event, with digests that fit unless the test says otherwise. */
#ifndef ASSAY_TESTS_LOGBUILD_H
#define ASSAY_TESTS_LOGBUILD_H

#include "firmware-measure/evdata.h"

struct logbuild {
	struct buf b; /* the log so far; cleaned up by buf_free() */
	enum evlog_format format;
	size_t n_banks;
	enum digest_id bank[N_DIGESTS];
};

/* An empty log without a header. Failures end the program. */
void logbuild_init(struct logbuild *l, enum evlog_format format, size_t n_banks, const enum digest_id *banks);

void logbuild_u8(struct buf *b, uint8_t v);
void logbuild_u16(struct buf *b, uint16_t v);
void logbuild_u32(struct buf *b, uint32_t v);
void logbuild_u64(struct buf *b, uint64_t v);
/* ASCII as UTF-16LE without NUL. */
void logbuild_utf16(struct buf *b, const char *ascii);

/* The SpecID header of a crypto-agile log with the builder's banks. */
void logbuild_header(struct logbuild *l);
/* The same with any list of (algorithm, size), any register and any bytes behind the vendor's. */
void logbuild_header_with(struct logbuild *l, uint32_t pcr, size_t n_algs, const uint16_t (*algs)[2],
			  struct bytes extra);

/* An event whose digests are those of its data. */
void logbuild_add(struct logbuild *l, uint32_t pcr, uint32_t type, struct bytes data);
/* One that measured something else. */
void logbuild_measure(struct logbuild *l, uint32_t pcr, uint32_t type, struct bytes data, struct bytes measured);
/* EV_NO_ACTION with zero digests. */
void logbuild_no_action(struct logbuild *l, uint32_t pcr, struct bytes data);
void logbuild_locality(struct logbuild *l, uint32_t pcr, uint8_t locality);
void logbuild_separator(struct logbuild *l, uint32_t pcr, uint32_t value);
/* UEFI_VARIABLE_DATA; guid NULL is the one that UEFI gives the name (global, or the security database's for db and
 * dbx). */
void logbuild_variable(struct logbuild *l, uint32_t pcr, uint32_t type, const uint8_t *guid, const char *name,
		       struct bytes contents);
void logbuild_variable_data(struct buf *b, const uint8_t *guid, const char *name, struct bytes contents);
/* UEFI_IMAGE_LOAD_EVENT of an image with that path. */
void logbuild_image(struct logbuild *l, uint32_t pcr, uint32_t type, const char *path, struct bytes image);

/* Where the events of a log begin that logbuild_good() made. */
struct logbuild_marks {
	size_t secure_boot, separator_7, authority, app, exit_boot;
};
/* A whole boot that has no finding: SecureBoot on, shim and GRUB. marks may be NULL. */
void logbuild_good(struct logbuild *l, struct logbuild_marks *ret_marks);

/*
 * A record as systemd appends it to its own log, with digests over measured in SHA-1 and SHA-256. text NULL: content
 * without a string. A register above 23 is the number of an NV index.
 */
void logbuild_userspace(struct buf *b, uint32_t pcr, const char *type, const char *text, struct bytes measured);
/* The same with the text itself measured. */
void logbuild_phase(struct buf *b, const char *text);

/* EFI_SIGNATURE_LIST of n SHA-256 hashes, each of 32 times the byte that follows first. */
void logbuild_hash_list(struct buf *b, uint8_t first, size_t n);

#endif
