/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON documents of an OCI image layout as pure functions over bytes.
 *
 * The specification demands that members it does not name are accepted, so
 * unknown ones are; everything that is read is checked, duplicate keys are
 * refused, sizes and counts are bounded. A document that could be read as an
 * index and as a manifest is refused (the type confusion of CVE-2021-41190).
 * Docker's own media types are refused with words, not converted.
 *
 * Errors: those of base/json.h; E_PEER_UNSUPPORTED (version, media type,
 * digest algorithm), E_PEER_SYNTAX (digest), E_PEER_RANGE (size, reference
 * name), E_PEER_UNKNOWN_KEY (ambiguous document), E_LIMIT_COUNT.
 *
 * Source: OCI Image Format Specification 1.0: descriptor.md, image-index.md,
 * manifest.md, image-layout.md, config.md, media-types.md.
 */
#ifndef ASSAY_MEASURE_OCI_JSON_H
#define ASSAY_MEASURE_OCI_JSON_H

#include "base/bytes.h"

enum oci_media {
	OCI_MEDIA_OTHER,
	OCI_MEDIA_INDEX,
	OCI_MEDIA_MANIFEST,
	OCI_MEDIA_CONFIG,
	OCI_MEDIA_DOCKER,
	OCI_MEDIA_LAYER, /* a tar archive; also what is not to be distributed */
	OCI_MEDIA_LAYER_GZIP,
	OCI_MEDIA_LAYER_ZSTD,
};

#define OCI_TYPE_INDEX "application/vnd.oci.image.index.v1+json"
#define OCI_TYPE_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define OCI_TYPE_CONFIG "application/vnd.oci.image.config.v1+json"
#define OCI_TYPE_LAYER "application/vnd.oci.image.layer.v1.tar"

#define OCI_TAG_MAX 128
#define OCI_PLATFORM_MAX 31

/* What an image is for. All empty: not said. */
struct oci_platform {
	char os[OCI_PLATFORM_MAX + 1];
	char architecture[OCI_PLATFORM_MAX + 1];
	char variant[OCI_PLATFORM_MAX + 1]; /* "": none, or any */
};

struct oci_descriptor {
	enum oci_media media;
	uint8_t sha256[32];
	uint64_t size;              /* bytes, at most INT64_MAX */
	char tag[OCI_TAG_MAX + 1];  /* annotation org.opencontainers.image.ref.name, or "" */
	struct oci_platform platform; /* as an index tells it */
};

struct oci_index {
	size_t n;
	struct oci_descriptor *v; /* owned */
};
void oci_index_done(struct oci_index *i);
#define cleanup_oci_index cleanup(oci_index_done)

struct oci_manifest {
	struct oci_descriptor config; /* of an image: OCI_MEDIA_CONFIG */
	size_t n_layers;              /* at most LIMIT_OCI_LAYERS */
	struct oci_descriptor *layer; /* owned; none is OCI_MEDIA_DOCKER */
};
void oci_manifest_done(struct oci_manifest *m);
#define cleanup_oci_manifest cleanup(oci_manifest_done)

/* What a media type means here. */
enum oci_media oci_media_of(const char *type);

/* "sha256:" and 64 lower-case hex digits. */
must_check struct err oci_digest_parse(const char *s, uint8_t ret[32], struct reason *reterr);

/* "linux/arm64" or "linux/arm/v7" as people write it. False for anything else. */
bool oci_platform_parse(struct bytes text, struct oci_platform *ret);
/* Whether an image for `is` fits who wants `want`; a variant counts only where one is wanted. */
bool oci_platform_fits(const struct oci_platform *is, const struct oci_platform *want);

/* The file oci-layout: imageLayoutVersion 1.0.0. */
must_check struct err oci_layout_parse(struct bytes in, struct reason *reterr);

/* index.json or a nested index: at most LIMIT_OCI_MANIFESTS descriptors. Media types are the caller's to judge. */
must_check struct err oci_index_parse(struct bytes in, struct oci_index *ret, struct reason *reterr);

/* Image manifest. */
must_check struct err oci_manifest_parse(struct bytes in, struct oci_manifest *ret, struct reason *reterr);

/* Image configuration: a JSON object; its members are nobody's here. */
must_check struct err oci_config_parse(struct bytes in, struct reason *reterr);

/* What of a configuration says how the root file system is made. */
struct oci_config {
	size_t n_diff_ids;       /* at most LIMIT_OCI_LAYERS */
	uint8_t (*diff_id)[32];  /* SHA-256 of each uncompressed layer, the lowest first; owned */
};
void oci_config_done(struct oci_config *c);
#define cleanup_oci_config cleanup(oci_config_done)

/* The same document, read for these members: rootfs of type "layers", diff_ids. Source: config.md. */
must_check struct err oci_config_read(struct bytes in, struct oci_config *ret, struct reason *reterr);

/* The same document, read for os, architecture and variant: what it does not say is empty. */
must_check struct err oci_config_platform(struct bytes in, struct oci_platform *ret, struct reason *reterr);

/* Blobs that a document names, whatever it is: an index, a manifest of an image or of something else. */
struct oci_named {
	size_t n, cap;
	struct oci_descriptor *v; /* owned */
};
void oci_named_done(struct oci_named *n);
#define cleanup_oci_named cleanup(oci_named_done)

/*
 * Appends what stands in manifests, config, layers, blobs and subject; of
 * another digest algorithm nothing. E_LIMIT_COUNT above LIMIT_OCI_NAMED.
 */
must_check struct err oci_named_add(struct bytes in, struct oci_named *ret, struct reason *reterr);

#endif
