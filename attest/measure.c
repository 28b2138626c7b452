/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/measure.h"

#include "base/args.h"

static struct err measure_image(const char *layout, const char *select, struct image_digests *ret,
				struct reason *reterr)
{
	cleanup_free struct image_report *report = calloc(1, sizeof(*report));
	struct err e;

	if (report == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = oci_measure(layout, select, report, reterr)))
		return e;
	*ret = report->digests;
	return ERR(E_OK);
}

static struct err measure_model(const char *path, struct model_digests *ret, struct reason *reterr)
{
	cleanup_model_report struct model_report report = { 0 };
	struct err e;

	if (failed(e = model_measure(path, NULL, &report, reterr)))
		return e;
	*ret = report.digests;
	return ERR(E_OK);
}

struct err measure(const char *image, const char *image_select, const char *model, struct measured *ret,
		   struct reason *reterr)
{
	struct measured m = { 0 };
	struct err e;

	if (failed(e = measure_image(image, image_select, &m.image, reterr)) ||
	    failed(e = measure_model(model, &m.model, reterr)))
		return e;
	*ret = m;
	return ERR(E_OK);
}

static bool is_change(struct err e)
{
	return e.code == E_LOCAL_NOT_FOUND || exit_for(e) == EXIT_REJECTED;
}

struct err measure_again(const char *image, const char *image_select, const char *model, struct measured *ret,
			 struct reason *reterr)
{
	struct measured m = { 0 };
	struct err e;

	e = measure_image(image, image_select, &m.image, reterr);
	if (failed(e) && !is_change(e))
		return e;
	m.unmeasurable = failed(e);
	e = measure_model(model, &m.model, m.unmeasurable ? NULL : reterr);
	if (failed(e) && !is_change(e))
		return e;
	m.unmeasurable = m.unmeasurable || failed(e);
	*ret = m;
	return ERR(E_OK);
}
