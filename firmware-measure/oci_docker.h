/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manifest.json, which docker save and podman save write: a list of images,
 * each with the names of its configuration and its layers in the archive.
 *
 * Since version 25 Docker writes an OCI image layout, and manifest.json beside
 * index.json: there index.json decides, and manifest.json must not tell
 * another image, because docker load reads that one.
 *
 * Older archives, and those of podman save, have no OCI manifest. Such an
 * image has the digests of its uncompressed layers in its configuration, and
 * nothing else that says what it is. Its identity here is the digest of the OCI
 * manifest over these, without white space and with members in this order:
 *
 *   {"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
 *    "config":{"mediaType":"application/vnd.oci.image.config.v1+json",
 *              "digest":"sha256:HEX","size":N},
 *    "layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar",
 *               "digest":"sha256:HEX","size":N},...]}
 *
 * A registry's digest of the same image is another one, as there the layers
 * are compressed.
 *
 * Source: Docker Image Specification 1.2, "Combined Image JSON + Filesystem
 * Changeset Format".
 */
#ifndef ASSAY_MEASURE_OCI_DOCKER_H
#define ASSAY_MEASURE_OCI_DOCKER_H

#include "base/json.h"
#include "firmware-measure/oci_image.h"

#define LIMIT_DOCKER_IMAGES 64
#define LIMIT_DOCKER_TAGS 64

struct docker_image {
	const char *config; /* borrowed from the document */
	size_t n_layers, n_tags;
	const char *layer[LIMIT_OCI_LAYERS];
	const char *tag[LIMIT_DOCKER_TAGS]; /* NAME:TAG */
};

struct docker_manifest {
	json_t *doc; /* owned */
	size_t n;
	struct docker_image *v; /* owned */
};
void docker_manifest_done(struct docker_manifest *m);
#define cleanup_docker_manifest cleanup(docker_manifest_done)

/* Members that it does not name are accepted, as Docker adds some. Errors of base/json.h, E_LIMIT_COUNT. */
must_check struct err docker_manifest_parse(struct bytes in, struct docker_manifest *ret, struct reason *reterr);

/*
 * The image of an archive that has no index.json. selector: a tag, as the
 * whole NAME:TAG or TAG alone; "sha256:<hex>" as above; NULL where there is
 * one image. Its layers are known by size only: that they have the digests
 * which the configuration tells is the caller's to check.
 */
must_check struct err docker_image_read(const struct store *s, const char *selector, struct oci_image *ret,
					struct reason *reterr);

/* E_PEER_RANGE where manifest.json stands beside index.json and does not name this image. */
must_check struct err docker_manifest_agrees(const struct store *s, const struct oci_image *image,
					     struct reason *reterr);

#endif
