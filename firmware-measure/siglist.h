/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EFI signature databases (PK, KEK, db, dbx, MokList): EFI_SIGNATURE_LIST after
 * EFI_SIGNATURE_LIST, read without copying. One struct siglist is one entry.
 *
 *   struct siglist_pos pos = { 0 };
 *   struct siglist s;
 *
 *   for (;;) {
 *           if (failed(e = siglist_next(db, &pos, &s)))
 *                   return e;
 *           if (s.end)
 *                   break;
 *           ...
 *   }
 *
 * Source: UEFI 2.10, 32.4.1 (EFI_SIGNATURE_LIST, EFI_SIGNATURE_DATA).
 */
#ifndef ASSAY_MEASURE_SIGLIST_H
#define ASSAY_MEASURE_SIGLIST_H

#include "base/bytes.h"

#define EFI_GUID_SIZE 16

enum siglist_type {
	SIGLIST_OTHER, /* a GUID that we do not know; data is opaque */
	SIGLIST_SHA1,  /* data: 20 bytes */
	SIGLIST_SHA224,
	SIGLIST_SHA256, /* data: 32 bytes, an Authenticode digest */
	SIGLIST_SHA384,
	SIGLIST_SHA512,
	SIGLIST_X509,        /* data: one certificate, DER */
	SIGLIST_RSA2048,     /* data: modulus, 256 bytes */
	SIGLIST_X509_SHA256, /* data: SHA-256 of a to-be-signed certificate, then 16 bytes EFI_TIME of revocation */
	SIGLIST_X509_SHA384,
	SIGLIST_X509_SHA512,
};

struct siglist {
	bool end; /* no entry any more, everything else is unset */
	enum siglist_type type;
	struct bytes type_guid; /* EFI_GUID_SIZE bytes as they lie in the list */
	struct bytes owner;     /* EFI_GUID_SIZE bytes */
	struct bytes data;      /* without the owner */
};

/* Position in a database; all zero at the start. */
struct siglist_pos {
	size_t off;           /* of the next list */
	struct bytes entries; /* of the list that is being read: what is left of them */
	struct bytes type_guid;
	size_t entry_size;
	size_t n_entries; /* so far, in all lists */
};

#define SIGLIST_MAX_ENTRIES 65536

/*
 * The next entry of a database (whole contents of the variable). An empty
 * database ends at once. E_PEER_TRUNCATED; E_PEER_RANGE (an entry below 16
 * bytes, a list that its entries do not fill evenly, data of another size than
 * its type has); E_LIMIT_COUNT above SIGLIST_MAX_ENTRIES. On failure *pos and
 * *ret are unchanged.
 */
must_check struct err siglist_next(struct bytes db, struct siglist_pos *pos, struct siglist *ret);

/* Number of entries of a database; reads it to its end, so E_OK means well formed. Errors of siglist_next(). */
must_check struct err siglist_count(struct bytes db, size_t *ret);

/*
 * E12: whether measured holds every (type, data) of reference. The owner is
 * not compared, for it says who added an entry and nothing about what it
 * revokes. *ret_missing counts what is not there; ret_first, which may be
 * NULL, is the first of it.
 *
 * O(n log n), allocates an index of both. E_LOCAL_MEMORY and the errors of
 * siglist_next() for either.
 */
must_check struct err siglist_missing(struct bytes measured, struct bytes reference, size_t *ret_missing,
				      struct siglist *ret_first);

/* "sha256", "x509", "x509-sha256" ...; "other". Static. */
const char *siglist_type_name(enum siglist_type type);

/* "d719b2cb-3d3a-4596-a3bc-dad00e67656f": the first three fields are little endian. */
#define EFI_GUID_TEXT_SIZE 37
/* guid must have EFI_GUID_SIZE bytes, else the text is empty. */
void efi_guid_text(struct bytes guid, char ret[EFI_GUID_TEXT_SIZE]);

#endif
