/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one layer of an image does to a root file system: the entries of its
 * tar archive, with a digest of each file's content, whiteouts among them.
 *
 * Refused, with the entry and the reason: what tar.h refuses; devices and FIFOs,
 * unless allowed; names that are reserved for whiteouts and are none; a name
 * twice; hard links that leave the root.
 *
 * Source: OCI Image Format Specification 1.0, layer.md.
 */
#ifndef ASSAY_MEASURE_LAYER_H
#define ASSAY_MEASURE_LAYER_H

#include "firmware-measure/tar.h"
#include "firmware-measure/tree.h"

struct hasher;

/*
 * hasher  SHA-256, at the start of a message, and so afterwards
 * ret     empty but for the budget of its pile; sorted on success
 *
 * Errors of tar_next(), tar_path() and tree_sort(); E_PEER_UNSUPPORTED,
 * E_LIMIT_COUNT and E_LIMIT_SIZE (the budget), E_LOCAL_MEMORY, E_LOCAL_CRYPTO.
 * The source was read to its end.
 */
must_check struct err layer_read(const struct tar_source *source, struct hasher *hasher, bool allow_devices,
				 struct tree *ret, struct reason *reterr);

#endif
