/* SPDX-License-Identifier: Apache-2.0 */
/* Digests of an instance's image and model. */
#ifndef ASSAY_ATTEST_MEASURE_H
#define ASSAY_ATTEST_MEASURE_H

#include "firmware-measure/model.h"
#include "firmware-measure/oci.h"

struct measured {
	struct image_digests image;
	struct model_digests model;
	bool unmeasurable; /* measure_again() only: something is there that may not be, or nothing is */
};

/* image_select: as oci_measure(), NULL where the layout holds one manifest. Errors of oci_measure(), model_measure(). */
must_check struct err measure(const char *image, const char *image_select, const char *model, struct measured *ret,
			      struct reason *reterr);

/*
 * The same for what was measured once: an image or model that is gone, or of which
 * no digest may be made (a symlink, a blob that does not match), is no failure to
 * decide but a change. Its digests are zero then, and the reason says what was found.
 */
must_check struct err measure_again(const char *image, const char *image_select, const char *model,
				    struct measured *ret, struct reason *reterr);

#endif
