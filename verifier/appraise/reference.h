/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reference values: all operator documents that hold now, parsed once, indexed
 * and shared by every host and thread. A snapshot is immutable; a changed
 * document makes a new snapshot. Counted references keep an old one alive for
 * appraisals under way.
 */
#ifndef ASSAY_VERIFIER_REFERENCE_H
#define ASSAY_VERIFIER_REFERENCE_H

#include "verifier/appraise/document.h"

struct reference;

/*
 * Takes ownership of the n documents on success (of the array not).
 * Withdrawals are refused (E_BUG): the caller has applied them. Of two serials of one kind
 * and name the caller passes both when both are accepted and not withdrawn:
 * old and new versions overlap within their windows. An entry holds when
 * not_before_s <= now < expires_s; withdrawn documents are not passed at all.
 */
must_check struct err reference_new(struct document **docs, size_t n, struct reference **ret);
struct reference *reference_hold(struct reference *r);
void reference_release(struct reference *r);
DEFINE_CLEANUP(struct reference, cleanup_reference_, reference_release)
#define cleanup_reference cleanup(cleanup_reference_)

/* SHA-256 over the digests of all documents of this snapshot, in order of their names: the policy digest of nonces and verdicts. */
void reference_policy_digest(const struct reference *r, uint8_t ret[32]);

/* Look-ups give the newest serial that holds at now_s, or NULL. Borrowed from the snapshot. */
const struct document *reference_host(const struct reference *r, const uint8_t ek_sha256[32], int64_t now_s);
const struct document *reference_agent(const struct reference *r, struct bytes name, int64_t now_s);
/* Any approval of this digest. include_expired: for instances that have ended. */
const struct document *reference_image(const struct reference *r, const uint8_t manifest[32], int64_t now_s,
				       bool include_expired);
const struct document *reference_model(const struct reference *r, const uint8_t manifest[32], int64_t now_s,
				       bool include_expired);
/*
 * i-th approval of an image or a model by this manifest digest, NULL at the
 * end: two documents may approve the same content under different names, and
 * an agent document names documents. Order: name, then serial descending.
 */
const struct document *reference_approval(const struct reference *r, enum document_kind kind,
					  const uint8_t manifest[32], int64_t now_s, bool include_expired, size_t i);
/* i-th platform document that holds for the host document's name; NULL at the end. Order: name, then serial descending. */
const struct document *reference_platform(const struct reference *r, const char *host_name, int64_t now_s, size_t i);
size_t reference_count(const struct reference *r, enum document_kind kind);

#endif
