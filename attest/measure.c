/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/measure.h"

#include <string.h>

#include "attest/container/root.h"
#include "base/args.h"
#include "firmware-measure/model.h"
#include "firmware-measure/oci.h"

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

static struct err measure_container(const struct instance_container *c, struct measured *m, struct reason *reterr)
{
	struct err e = container_root_digest(c, m->container.rootfs, reterr);

	if (!failed(e))
		m->image = c->image;
	return e;
}

/* Its image, however it is there. */
static struct err measure_first(const struct instance *i, struct measured *m, struct reason *reterr)
{
	if (i->container.id == NULL)
		return measure_image(i->image, i->image_select, &m->image, reterr);
	m->has_container = true;
	memcpy(m->container.policy, i->container.policy, sizeof(m->container.policy));
	return measure_container(&i->container, m, reterr);
}

struct err measure(const struct instance *i, struct measured *ret, struct reason *reterr)
{
	struct measured m = { 0 };
	struct err e;

	if (failed(e = measure_first(i, &m, reterr)) || failed(e = measure_model(i->model, &m.model, reterr)))
		return e;
	*ret = m;
	return ERR(E_OK);
}

static bool is_change(struct err e)
{
	return e.code == E_LOCAL_NOT_FOUND || exit_for(e) == EXIT_REJECTED;
}

struct err measure_again(const struct instance *i, struct measured *ret, struct reason *reterr)
{
	struct measured m = { 0 };
	struct err e;

	e = measure_first(i, &m, reterr);
	if (failed(e) && !is_change(e))
		return e;
	m.unmeasurable = failed(e);
	e = measure_model(i->model, &m.model, m.unmeasurable ? NULL : reterr);
	if (failed(e) && !is_change(e))
		return e;
	m.unmeasurable = m.unmeasurable || failed(e);
	*ret = m;
	return ERR(E_OK);
}
