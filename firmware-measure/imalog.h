/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The measurement list of Linux IMA, read entry by entry from parts of any
 * size. Nothing is allocated per entry: what an entry shows are views into
 * the part, or into the reader where a part ended within the entry.
 *
 * A list is binary (binary_runtime_measurements) or ASCII
 * (ascii_runtime_measurements). A binary entry is
 *
 *   u32 PCR, 20 bytes SHA-1 template hash, u32 n, n bytes template name,
 *   u32 n, n bytes template data: per field u32 n and n bytes
 *
 * with all numbers in the byte order of the machine, or little endian where
 * its kernel was told so (ima_canonical_fmt): the caller says which, and
 * nothing is guessed. Entries of the old template "ima" have no length of
 * template data: 20 bytes digest, u32 n, n bytes name.
 *
 * Two kinds of failure are kept apart. Where an entry ends is not known
 * without its lengths: a list whose frame is broken is not readable from
 * there on (E_PEER_*). What stands within a frame may be unknown or
 * malformed: such an entry is still replayed, its state says so, and no
 * field of it may be used by a policy.
 *
 * The template's name is covered by no hash: whoever holds the list can rename
 * a template and so call the same bytes other fields. A policy must demand the
 * digest of each entry, and count an entry without one as not allowed.
 *
 * Source: Linux Documentation/security/IMA-templates.rst;
 * security/integrity/ima/ima_fs.c, ima_template.c, ima_template_lib.c.
 */
#ifndef ASSAY_MEASURE_IMALOG_H
#define ASSAY_MEASURE_IMALOG_H

#include "base/digest.h"
#include "base/limits.h"

#define IMA_HASH_SIZE 20          /* the list holds SHA-1 template hashes whatever the bank */
#define IMA_PCR 10                /* unless the kernel was built with another */
#define IMA_FIELDS_MAX 16         /* fields of one template */
#define IMA_TEMPLATE_NAME_MAX 255 /* bytes of a template name or field list */
#define IMA_ENTRY_MAX (512 * KIB) /* one entry of a list, binary or line of text */

enum imalog_form { IMALOG_BINARY, IMALOG_ASCII };

/* Byte order of the numbers in a binary list, and of those that the template hash covers. */
enum imalog_order { IMALOG_LITTLE_ENDIAN, IMALOG_BIG_ENDIAN };

/* Fields of templates, named as the kernel names them. */
enum ima_field_id {
	IMA_FIELD_D,            /* "d": digest, MD5 or SHA-1, 20 bytes */
	IMA_FIELD_N,            /* "n": name */
	IMA_FIELD_D_NG,         /* "d-ng": digest with the name of its algorithm */
	IMA_FIELD_D_NGV2,       /* "d-ngv2": the same with its kind, ima or verity */
	IMA_FIELD_D_MODSIG,     /* "d-modsig": digest without the appended signature; may be empty */
	IMA_FIELD_N_NG,         /* "n-ng": name */
	IMA_FIELD_SIG,          /* "sig": signature with its header, may be empty */
	IMA_FIELD_BUF,          /* "buf": what was measured itself */
	IMA_FIELD_MODSIG,       /* "modsig": appended signature, may be empty */
	IMA_FIELD_EVMSIG,       /* "evmsig": EVM portable signature, may be empty */
	IMA_FIELD_IUID,         /* "iuid": owner of the inode, u32 */
	IMA_FIELD_IGID,         /* "igid": group of the inode, u32 */
	IMA_FIELD_IMODE,        /* "imode": mode of the inode, u16 */
	IMA_FIELD_XATTRNAMES,   /* "xattrnames": names joined by '|' */
	IMA_FIELD_XATTRLENGTHS, /* "xattrlengths": u32 per name */
	IMA_FIELD_XATTRVALUES,  /* "xattrvalues": the values in one */
	N_IMA_FIELDS,
};

enum ima_entry_state {
	IMA_ENTRY_DECODED,   /* every field is in its form */
	IMA_ENTRY_UNKNOWN,   /* the template is neither known nor a list of known fields: no field is given */
	IMA_ENTRY_MALFORMED, /* the template is known and its data do not fit it: no field is given */
};

/* Kind of a file digest: "d-ngv2" names it, the others mean IMA_DIGEST_FILE. */
enum ima_digest_kind {
	IMA_DIGEST_FILE,   /* over the contents of the file or buffer */
	IMA_DIGEST_VERITY, /* fs-verity's; never to be compared with one over contents */
};

/* A digest as a field gives it. */
struct ima_digest {
	enum ima_digest_kind kind;
	struct bytes alg_name; /* "sha256"; as the kernel spells it */
	enum digest_id alg;    /* N_DIGESTS where the algorithm has no place in digest.h (md5, sha224, ...) */
	struct bytes value;    /* of the size of alg, where known; n == 0: the field is absent or empty */
};

struct ima_entry {
	uint64_t index;             /* from 0 in this reader */
	uint64_t off;               /* of its first byte from the first byte fed */
	size_t size;                /* bytes in the list */
	uint32_t pcr;               /* 0..LIMIT_PCRS-1 */
	struct bytes template_hash; /* IMA_HASH_SIZE bytes */
	bool violation;             /* the template hash is all zeros */
	struct bytes template_name; /* as in the list */
	enum ima_entry_state state;
	struct bytes hashed; /* what the template hash is over; also H for other banks */
	bool in_reader;      /* views point into the reader, not into the part (text, template "ima", a part's end) */

	/* From here on: only where state is IMA_ENTRY_DECODED, else empty. */
	uint32_t fields;                  /* bit 1 << ima_field_id per field present */
	struct bytes field[N_IMA_FIELDS]; /* value of each field as in the list */
	struct ima_digest digest;         /* of d, d-ng or d-ngv2 */
	struct bytes name;                /* of n or n-ng, without NUL: a hint, not an identity (any byte but NUL) */
};

struct imalog {
	enum imalog_form form;
	enum imalog_order order;
	struct bytes part;      /* what is left of the part, borrowed */
	struct buf tail;        /* the entry that began in an earlier part; at most IMA_ENTRY_MAX */
	struct buf text, value; /* ASCII: template data put together again, and one field of them */
	uint64_t n_entries;     /* entries given so far */
	uint64_t off;           /* of the first byte that belongs to no given entry, from the first byte fed */
	bool tail_used;         /* the last entry's views point into tail */
	uint8_t text_hash[IMA_HASH_SIZE];    /* ASCII: the template hash of the line */
	uint8_t legacy[IMA_HASH_SIZE + 256]; /* template "ima": what its hash is over */
	struct imalog_template {             /* the last template looked up: lists use one or two */
		uint8_t name[IMA_TEMPLATE_NAME_MAX];
		uint8_t name_len, n_fields;
		uint8_t field[IMA_FIELDS_MAX];
		bool known, legacy;
	} template;
};

/* A reader at the start of a list, or at any boundary between entries. Allocates nothing. */
void imalog_init(struct imalog *l, enum imalog_form form, enum imalog_order order);
void imalog_done(struct imalog *l);
#define cleanup_imalog cleanup(imalog_done)

/*
 * Gives the reader the next bytes of the list. They are borrowed until
 * imalog_next() has said that it needs more, which must have happened for the
 * part before (E_BUG).
 */
must_check struct err imalog_feed(struct imalog *l, struct bytes part);

/*
 * The next entry; *ret_more true: there is none before the next part. Views
 * in *ret live as long as the part; those of an entry that is in_reader only
 * until the next call on l.
 *
 * E_LIMIT_SIZE for an entry above IMA_ENTRY_MAX; E_PEER_RANGE for a PCR that
 * no TPM has (often the other byte order); E_PEER_SYNTAX; for ASCII also
 * E_PEER_UNSUPPORTED where a template is not known, as its text cannot be
 * turned into data. l->off is then the offset of the entry that failed, and
 * every further call fails likewise. reterr may be NULL.
 */
must_check struct err imalog_next(struct imalog *l, struct ima_entry *ret, bool *ret_more, struct reason *reterr);

/*
 * Several entries at once, so that what is looked up for them can be asked for
 * (ima_allowlist_prefetch) while others are hashed: one after the other, most
 * of the wait for memory would stay.
 */
#define IMALOG_BATCH 16
struct imalog_batch {
	size_t n; /* entries of v; their views all live until the next call on the reader */
	bool more; /* as imalog_next() says it, after the n entries */
	struct err e; /* likewise: the n entries before it are good */
	struct reason why;
	struct ima_entry v[IMALOG_BATCH];
};
void imalog_next_batch(struct imalog *l, struct imalog_batch *ret);

/* At the end of the list: E_PEER_TRUNCATED where the last entry is incomplete, at l->off. */
must_check struct err imalog_end(const struct imalog *l);

/*
 * Looks at the first bytes of a list: ASCII where they are a number, spaces
 * and 40 hex digits as far as there are bytes, else binary. Both forms of the
 * same first byte cannot be: a binary PCR below LIMIT_PCRS is no digit or
 * space.
 */
enum imalog_form imalog_form_of(struct bytes start);

/*
 * Whether a kernel knows a template by this name ("ima-ng"), unlike a list of
 * fields. No hash covers the name: whoever holds the list can call an entry's
 * fields something else, for instance a measured buffer a digest. Among the
 * named ones digest and name stand first and are the same whatever the name,
 * or do not parse.
 */
bool ima_template_named(struct bytes name);

/* Name of a field ("d-ng"); static, NULL for N_IMA_FIELDS and above. */
const char *ima_field_name(enum ima_field_id id);

/* The digest of field d-modsig; false where the entry has none. */
bool ima_entry_modsig_digest(const struct ima_entry *ent, struct ima_digest *ret);

static inline bool ima_entry_has(const struct ima_entry *ent, enum ima_field_id id)
{
	return (ent->fields & (1u << id)) != 0;
}

#endif
