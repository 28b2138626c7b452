/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSF Model Signing (OMS) 1.0: a Sigstore bundle with a DSSE envelope, in it
 * an in-toto statement that lists files, or shards of files, with their SHA-256.
 *
 * Methods "key" (publicKey) and "certificate" (x509CertificateChain); keys on
 * P-256, P-384 and P-521, the hash by the curve. Not "sigstore" (keyless). Read
 * are bundles as the reference implementation wrote them from 0.2 to 1.1:
 *
 *   0.2   statement https://model_signing/Digests/v0.1, whose subjects are the
 *         files; signed over another encoding than DSSE's ("DSSEV1", and the
 *         payload as Python prints bytes), with SHA-256 whatever the curve
 *   0.3   publicKey.rawBytes in place of hint, keyid null, the only file of a
 *         model that is one file is named ".", no ignore_paths
 *   all   numbers of a predicate may be written as 8.0; the hash of shards of 8
 *         bytes may be named sha256-sharded-8
 *
 * What the signature does not cover is not believed: the envelope's key hint
 * only makes a better reason, certificates count through their chain.
 *
 * Source: OpenSSF Model Signing Specification 1.0, 4 to 6, 8 and 11; Sigstore
 * bundle format 0.3; DSSE 1.0.
 */
#ifndef ASSAY_MEASURE_OMS_H
#define ASSAY_MEASURE_OMS_H

#include "base/json.h"
#include "base/x509.h"
#include "firmware-measure/model.h"

#define OMS_MEDIA_TYPE "application/vnd.dev.sigstore.bundle.v0.3+json"
#define OMS_PAYLOAD_TYPE "application/vnd.in-toto+json"
#define OMS_STATEMENT_TYPE "https://in-toto.io/Statement/v1"
#define OMS_PREDICATE_TYPE "https://model_signing/signature/v1.0"
#define OMS_PREDICATE_TYPE_0_2 "https://model_signing/Digests/v0.1"
#define OMS_SHARD_MAX ((uint64_t)1 << 53) /* bytes; up to here every integer is a number of JSON */

/* Whose signature counts: exactly one of key and ca. Borrowed. */
struct oms_signer {
	const struct key *key;   /* P-256, P-384 or P-521 */
	const struct trust *ca;
	int64_t now_s;           /* with ca: certificates must be valid at this time */
};

/* One signed file, or one shard of a file. */
struct oms_resource {
	char *path;              /* as signed: '/' between components, "." for the file of a model that is one file */
	uint64_t start, end;     /* shards: bytes from start to before end; files: 0 */
	uint8_t sha256[32];
};

/* What a bundle signs. */
struct oms_manifest {
	uint64_t shard_size;     /* bytes; 0: files as wholes */
	bool allow_symlinks;
	size_t n_ignored;
	char **ignored;          /* paths that the signer left out, as signed */
	size_t n_resources;      /* at least one */
	struct oms_resource *resources; /* sorted bytewise by path, then by start; each once */
	uint8_t root[32];        /* root digest: SHA-256 over the resources' digests in the signed order */
	char signer[256];        /* for people: "key <hex SHA-256 of the SPKI>" or "certificate <subject>" */
};
void oms_manifest_done(struct oms_manifest *m);
#define cleanup_oms_manifest cleanup(oms_manifest_done)

/*
 * Verifies the signature of a bundle of at most LIMIT_OMS_BUNDLE bytes and gives what it signs.
 *
 * E_AUTH_SIGNATURE (not by this key), E_AUTH_CERTIFICATE (no chain to this CA),
 * E_PEER_MEDIA_TYPE, E_PEER_UNSUPPORTED (method, hash, kind of key),
 * E_PEER_DIGEST (the root digest is not that of the resources), E_PEER_DUPLICATE
 * (a resource), E_PEER_*, E_LIMIT_*, E_LOCAL_MEMORY, E_LOCAL_CRYPTO.
 */
must_check struct err oms_verify(struct bytes bundle, const struct oms_signer *by, struct oms_manifest *ret,
				 struct reason *reterr);

/* A bundle as it is written, nothing verified. Owned by the caller; what fuzzers and oms_verify() begin with. */
struct oms_bundle {
	struct buf unsigned_payload;
	struct buf unsigned_signature; /* DER */
	bool has_key;                  /* method "key", else "certificate" */
	char unsigned_hint[65];        /* lower-case hex SHA-256, or "" */
	size_t n_chain;
	struct cert *unsigned_chain[LIMIT_CHAIN]; /* leaf first */
};
void oms_bundle_done(struct oms_bundle *b);
#define cleanup_oms_bundle cleanup(oms_bundle_done)
must_check struct err oms_bundle_parse(struct bytes bundle, struct oms_bundle *ret, struct reason *reterr);

/* The statement of a bundle whose signature was verified; signer is left empty. Errors as oms_verify(). */
must_check struct err oms_statement_parse(struct bytes payload, struct oms_manifest *ret, struct reason *reterr);

/* What is left out when a model is compared with a bundle or signed. */
struct oms_skip {
	const struct oms_manifest *manifest; /* what is compared; NULL to sign */
	size_t n_ignored;
	const char *const *ignored;          /* relative to the folder; "./" before and '/' behind do not count; borrowed */
	char bundle[LIMIT_PATH];             /* path of the bundle itself where it lies below the folder, else "" */
};

/* What every signer leaves out at the top of a folder (6.2). */
#define OMS_N_GIT_NAMES 4
extern const char *const oms_git_names[OMS_N_GIT_NAMES];

/* An ignored path without "./" before and '/' behind: *ret_len bytes of path. */
const char *oms_clean_path(const char *path, size_t *ret_len);

/*
 * A model_skip; ctx is a struct oms_skip. Left out are the bundle, ignored
 * paths with all that is in them, and at the top of the folder oms_git_names;
 * to compare, the paths that the manifest ignores and all that begins with
 * ".git" at the top, unless the manifest lists it.
 */
bool oms_skip_path(void *ctx, const char *path);

/* Fills in bundle: where file lies below the folder model. The file itself need not be there. E_LOCAL_NOT_FOUND, E_LOCAL_IO. */
must_check struct err oms_skip_bundle(struct oms_skip *s, const char *model, const char *file, struct reason *reterr);

enum oms_difference {
	OMS_CHANGED,  /* another content than signed */
	OMS_MISSING,  /* signed and not there, or signed and left out */
	OMS_UNSIGNED, /* there and not signed */
	OMS_EMPTY,    /* there, empty and not listed, where shards are signed: these leave empty files out; no difference */
};
typedef void oms_each(void *ctx, enum oms_difference kind, const char *path);

/*
 * Compares a model, measured with the manifest's shard_size, with what was
 * signed; calls each in order of path. Returns the number of differences: none
 * is the verdict "matches". E_LOCAL_CRYPTO, E_LOCAL_MEMORY where it could not be decided.
 */
must_check struct err oms_compare(const struct oms_manifest *m, const struct model_report *r, oms_each *each, void *ctx,
				  size_t *ret_n);

/* Root digest (6.5.1) of resources in this order. E_LOCAL_CRYPTO, E_LOCAL_MEMORY. */
must_check struct err oms_root(size_t n, const struct oms_resource *resources, uint8_t ret[32]);

/* The hash that goes with the curve of a key; false for other keys. */
bool oms_hash_of(const struct key *k, enum digest_id *ret);

/*
 * Signs a model, measured with oms_skip_path() and this shard_size; 0: files as
 * wholes. The bundle is appended to ret.
 *
 * name  what the model is called, for people
 * skip  manifest is NULL; what was ignored is signed with it
 * k     private, on P-256, P-384 or P-521
 *
 * E_PEER_UNSUPPORTED (kind of key), E_PEER_MISSING (shards of empty files only),
 * E_LIMIT_SIZE (LIMIT_OMS_BUNDLE), E_LOCAL_CRYPTO, E_LOCAL_MEMORY.
 */
must_check struct err oms_sign(const struct model_report *r, uint64_t shard_size, const char *name,
			       const struct oms_skip *skip, const struct key *k, struct buf *ret,
			       struct reason *reterr);

#endif
