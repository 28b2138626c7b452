/* SPDX-License-Identifier: Apache-2.0 */
/* Digests of an instance's image and model; of a container, of its root and model. */
#ifndef ASSAY_ATTEST_MEASURE_H
#define ASSAY_ATTEST_MEASURE_H

#include "attest/instance.h"

struct measured {
	struct image_digests image; /* of a container: what its policy names for the root that it has */
	struct model_digests model;
	bool has_container;
	struct container_digests container;
	bool unmeasurable; /* measure_again() only: something is there that may not be, or nothing is */
};

/* i: image, image_select and model, or container and model. Errors of oci_measure(), container_root_digest(), model_measure(). */
must_check struct err measure(const struct instance *i, struct measured *ret, struct reason *reterr);

/*
 * The same for what was measured once: an image or model that is gone, or of which
 * no digest may be made (a symlink, a blob that does not match), is no failure to
 * decide but a change. Its digests are zero then, and the reason says what was found.
 */
must_check struct err measure_again(const struct instance *i, struct measured *ret, struct reason *reterr);

#endif
