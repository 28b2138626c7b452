/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Digest of a model: a folder or a single file.
 *
 * Manifest: the sorted list (bytewise by path) of path, size and SHA-256 of
 * every regular file. Ours is
 *
 *   SHA-256("assay model manifest v1" 00, then for each file
 *           u32be path length, path, u64be size, SHA-256 of the content)
 *
 * and covers names and sizes. The OpenSSF Model Signing v1.0 root digest is
 * SHA-256 over the files' SHA-256 digests in order of path and covers
 * contents only; it stands beside ours for people who use that tool.
 *
 * What to know about the OpenSSF root digest. It is over every file: that
 * tool leaves out .git, .github, .gitignore, .gitattributes at the top and its
 * own signature file, we leave out nothing, so a folder with these has another
 * root there. For a single file it is SHA-256 over the one digest; the name
 * (the specification says base name, the tool at 1.0 wrote ".") plays no part.
 * The specification orders names by code point, as we do; the Python tool
 * orders component by component, which differs only where one folder's name
 * begins a sibling's and the sibling goes on with a character below '/'
 * ("a/x" and "a.txt").
 * Source: OpenSSF Model Signing Specification 1.0, 5.2.1, 6.5.1.
 *
 * Symlinks (but those of a Hugging Face cache, see model_walk.h), devices,
 * FIFOs, sockets, names that are not UTF-8 or hold control characters, and a
 * file that changes while it is read are refused with the path and the reason;
 * nothing is measured half. Files are hashed in parallel,
 * then the folder is walked a second time and must be what it was. Empty
 * folders, owners, modes and times are not part of a model.
 */
#ifndef ASSAY_MEASURE_MODEL_H
#define ASSAY_MEASURE_MODEL_H

#include "firmware-measure/model_hint.h"
#include "firmware-measure/model_walk.h"
#include "firmware-measure/workload_event.h"

struct model_file {
	char *path;        /* relative to the folder, '/' between components */
	uint64_t size;
	uint8_t sha256[32];         /* zero with shards_only; with verity the fs-verity digest */
	size_t n_shards;            /* with shard_size: size / shard_size, rounded up */
	const uint8_t (*shards)[32]; /* SHA-256 of each, in order; borrowed from the report */
};

struct model_report {
	struct model_digests digests; /* zero with shards_only and verity */
	uint8_t verity[32];           /* with options.verity: digest over the fs-verity digests of files */
	size_t n_kept;                /* with options.verity: files whose digest the file system keeps */
	bool single;                  /* one file was named, not a folder */
	size_t n_links;               /* files that are links to blobs of a Hugging Face cache */
	size_t n_files;
	struct model_file *files; /* sorted bytewise by path */
	uint8_t (*shards)[32];    /* of all files */
	size_t n_hints;
	struct model_hint *hints; /* with options.hints: of safetensors and GGUF files, in order of path */
	uint64_t n_bytes;
};
void model_report_done(struct model_report *m);
#define cleanup_model_report cleanup(model_report_done)

struct model_options {
	unsigned jobs;                                             /* 0: one per processor */
	void (*progress)(void *ctx, uint64_t done, uint64_t total); /* bytes; may be NULL; called from the caller's thread */
	void *ctx;

	/* Files and folders that are no part of what is measured; never for an identity. NULL: every file is. */
	model_skip *skip;
	void *skip_ctx;

	/*
	 * Parts of this many bytes are hashed each on its own as well, so that more
	 * than one thread can work on a file; 0: none. At most LIMIT_MODEL_FILES parts.
	 */
	uint64_t shard_size;
	/*
	 * The fs-verity digest of each file in place of its SHA-256 (fsverity.h), and
	 * a digest over them: as the manifest's, with "assay model verity v1". Not
	 * with shard_size.
	 */
	bool verity;
	bool hints;       /* look into headers, for people; no digest depends on it */
	bool shards_only; /* and files as wholes are not: no digest of the model */
};

/*
 * path     folder or regular file; a file is a manifest of its base name
 * options  may be NULL
 * ret      owned by the caller (model_report_done)
 *
 * E_LOCAL_NOT_FOUND, E_LOCAL_PERMISSION, E_LOCAL_IO, E_LOCAL_MEMORY,
 * E_PEER_UNSUPPORTED (symlink or special file), E_PEER_SYNTAX (name),
 * E_PEER_DIGEST (a blob of a cache that is not what its name says),
 * E_PEER_MISSING (no file at all), E_PEER_CHANGED, E_LIMIT_COUNT
 * (LIMIT_MODEL_FILES, for files and for shards), E_LIMIT_DEPTH (LIMIT_MODEL_DEPTH), E_LIMIT_SIZE (path).
 */
must_check struct err model_measure(const char *path, const struct model_options *options, struct model_report *ret,
				    struct reason *reterr);

/* Digests of a measured model as if the file with this path were not there; NULL: of all files. E_LOCAL_*. */
must_check struct err model_digests_without(const struct model_report *m, const char *without,
					    struct model_digests *ret);

#endif
