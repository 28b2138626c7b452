/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection to a TPM 2.0 through ESYS, and what every module does with it.
 *
 * No handle outlives its owner: objects and sessions live in a struct
 * tpm_handle, which flushes on cleanup. Where a command was lost on the way
 * (transport failure), nobody knows what it left behind: a new ESYS context is made
 * on the same TCTI, and everything flushed that was not there when the connection
 * was opened. Handles from before are dead then, the connection is not.
 *
 * Assay works without a resource manager in three object slots. One process has
 * such a TPM at a time, so objects that are loaded when we open it were left
 * behind, for example by a process that was killed. They are flushed where
 * fewer than TPM_SLOTS slots are free.
 *
 * Every failure explains itself in the struct reason that was given to
 * tpm_open(); functions here have no other. TSS codes do not travel up.
 *
 * Source: TCG TPM 2.0 Library, Parts 1 and 3, rev 1.59; TSS 2.0 ESAPI 1.00.
 */
#ifndef ASSAY_ATTEST_TPM_H
#define ASSAY_ATTEST_TPM_H

#include <tss2/tss2_esys.h>

#include "attest/tpm_tcti.h"
#include "protocol/tpmw.h"

#define TPM_TIMEOUT_S 30
#define TPM_TIMEOUT_MAX_S 600
#define TPM_SLOTS 3 /* transient objects, and loaded sessions, that every PC Client TPM has room for */

struct tpm {
	ESYS_CONTEXT *esys;
	TSS2_TCTI_CONTEXT *tcti;  /* the real one */
	struct tpm_tcti deadline; /* in front of it, for everything that is sent */
	bool own_tcti;
	bool broken;            /* a command was lost, and recovery failed; cleanups try again */
	bool recovering;
	unsigned generation;    /* recoveries so far; handles of an earlier one are gone */
	struct reason *why;     /* borrowed, never NULL */
	struct reason nowhere;  /* where why points when the caller wants no reasons */
	TPML_HANDLE before[2];  /* objects and sessions that are not ours */
	TPM2B_AUTH owner_auth, endorsement_auth;
};

/*
 * tcti  as tss2-tctildr reads it: "device:/dev/tpmrm0", "swtpm:path=/run/tpm/sock"
 * timeout_s  for the answer to one command, 1 to TPM_TIMEOUT_MAX_S; see tpm_tcti.h
 * why   borrowed as long as the connection is open; may be NULL
 * E_LOCAL_TPM, E_LOCAL_TIMEOUT, E_LOCAL_MEMORY.
 */
must_check struct err tpm_open(const char *tcti, unsigned timeout_s, struct reason *why, struct tpm **ret);
/* The same over a ready TCTI context, which stays the caller's. */
must_check struct err tpm_open_tcti(TSS2_TCTI_CONTEXT *tcti, unsigned timeout_s, struct reason *why, struct tpm **ret);
void tpm_close(struct tpm *tpm);
DEFINE_CLEANUP(struct tpm, cleanup_tpm_, tpm_close)
#define cleanup_tpm cleanup(cleanup_tpm_)

/* Passwords of hierarchies, at most 64 bytes (E_LIMIT_SIZE); used with HMAC sessions, never sent. */
must_check struct err tpm_set_auths(struct tpm *tpm, struct bytes owner, struct bytes endorsement);

/*
 * Translates a TSS result: E_OK, or E_LOCAL_TPM with `what` and the decoded
 * code in the reason, or E_LOCAL_TIMEOUT where it has not answered in time; this
 * and every later command fail then. Recovers where the code is not the TPM's own. Codes that callers act on are compared before.
 */
must_check struct err tpm_result(struct tpm *tpm, TSS2_RC rc, const char *what);

/* Whether the TPM answered with this format-one code, whichever parameter, handle or session it names. */
static inline bool tpm_rc_is(TSS2_RC rc, TPM2_RC fmt1)
{
	return (rc & ~0xfffu) == 0 && (rc & (TPM2_RC_FMT1 | 0x3f)) == fmt1;
}

/*
 * TPM_RC_RETRY, TPM_RC_YIELDED and TPM_RC_TESTING ask to send the command
 * again. ESYS does so five times; a self-test can take longer:
 *
 *	struct tpm_retry again = { 0 };
 *	do
 *		rc = Esys_Quote(...);
 *	while (tpm_again(&again, rc));
 *
 * True for TPM_RETRY_MAX times, after a pause that doubles from 1 ms to 256 ms.
 */
#define TPM_RETRY_MAX 24
struct tpm_retry {
	unsigned n;
};
bool tpm_again(struct tpm_retry *r, TSS2_RC rc);

/*
 * An object or session. Flushed on cleanup unless it is persistent; so it is
 * declared behind the struct tpm that it belongs to, which is closed last.
 */
struct tpm_handle {
	struct tpm *tpm; /* NULL: empty */
	ESYS_TR tr;
	unsigned generation;
	bool persistent;
};
#define TPM_HANDLE_NONE { .tr = ESYS_TR_NONE }
void tpm_handle_done(struct tpm_handle *h); /* h is empty afterwards */
#define cleanup_tpm_handle cleanup(tpm_handle_done)
void tpm_handle_set(struct tpm_handle *h, struct tpm *tpm, ESYS_TR tr, bool persistent);
/* Moves the handle to an empty *dst; *src is empty afterwards. */
void tpm_handle_move(struct tpm_handle *dst, struct tpm_handle *src);

static inline void cleanup_esys_(void *p)
{
	Esys_Free(*(void **)p);
}
#define cleanup_esys cleanup(cleanup_esys_)

/*
 * Opens the object at a persistent handle and tells its public area (TPMT_PUBLIC,
 * set into *ret_public) and Name. Both are of the very object that ESYS
 * encrypts salts to. *ret_handle stays empty, and E_OK is returned, where there
 * is none.
 */
must_check struct err tpm_persistent(struct tpm *tpm, TPM2_HANDLE handle, struct tpm_handle *ret_handle,
				     struct buf *ret_public, struct tpm_name *ret_name);

/*
 * The same without the public area, for a key that only signs: the Name is the one
 * that the TPM says. A false one gives signatures that no verifier accepts.
 */
must_check struct err tpm_persistent_signer(struct tpm *tpm, TPM2_HANDLE handle, struct tpm_handle *ret_handle,
					    struct tpm_name *ret_name);

/* Creates a primary object with an empty authValue. session authorises with the hierarchy's password. */
must_check struct err tpm_create_primary(struct tpm *tpm, ESYS_TR hierarchy, ESYS_TR session,
					 const TPM2B_PUBLIC *template, struct tpm_handle *ret_handle,
					 struct buf *ret_public, struct tpm_name *ret_name);

/* TPM2_EvictControl: a persistent copy of a transient object. The original stays with its owner. */
must_check struct err tpm_persist(struct tpm *tpm, const struct tpm_handle *object, ESYS_TR session, TPM2_HANDLE to);

/* Public area as TPMT_PUBLIC, appended. E_BUG where it does not fit. */
must_check struct err tpm_public_bytes(const TPM2B_PUBLIC *public, struct buf *ret);
/* Name computed from a TPMT_PUBLIC. */
must_check struct err tpm_name_of(struct bytes public_area, struct tpm_name *ret);

/* Handles in use from first to last. */
must_check struct err tpm_handles(struct tpm *tpm, TPM2_HANDLE first, TPM2_HANDLE last, TPML_HANDLE *ret);
/* One TPM2_PT. E_LOCAL_NOT_FOUND where the TPM does not have it. */
must_check struct err tpm_property(struct tpm *tpm, TPM2_PT property, uint32_t *ret);

/* Banks that hold this PCR and whose algorithm we know, ascending by TPM algorithm id; at most LIMIT_BANKS. */
struct tpm_banks {
	size_t n;
	enum digest_id bank[LIMIT_BANKS];
};
must_check struct err tpm_banks(struct tpm *tpm, unsigned pcr, struct tpm_banks *ret);

void tpm_selection_to_tss(const struct pcr_selection *s, TPML_PCR_SELECTION *ret);

/* Values of all selected PCRs in selection order; n: pcr_selection_count(). E_LOCAL_NOT_FOUND where a bank is off. */
must_check struct err tpm_pcr_read(struct tpm *tpm, const struct pcr_selection *selection, size_t n,
				   struct digest *ret);
/* One PCR in each of the banks. */
must_check struct err tpm_pcr_read_banks(struct tpm *tpm, unsigned pcr, const struct tpm_banks *banks,
					 struct digest ret[LIMIT_BANKS]);
/* Extends all banks in one command: the TPM does all or none of it. */
must_check struct err tpm_pcr_extend(struct tpm *tpm, unsigned pcr, const struct tpm_banks *banks,
				     const struct digest digest[LIMIT_BANKS]);

/*
 * Contents of an NV index, appended; read in pieces of TPM2_PT_NV_BUFFER_MAX.
 * Authorised by the index with an empty password or, where it does not allow
 * that, by the owner. E_LOCAL_NOT_FOUND where the index is not defined.
 */
must_check struct err tpm_nv_read(struct tpm *tpm, TPM2_HANDLE index, struct buf *ret);

must_check struct err tpm_read_clock(struct tpm *tpm, struct tpm_clock *ret);

#endif
