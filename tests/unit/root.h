/* SPDX-License-Identifier: Apache-2.0 */
/* For tests on the root of an image: layers are added to `image`, which is then measured as an archive. */
#ifndef ASSAY_TESTS_ROOT_H
#define ASSAY_TESTS_ROOT_H

#include "folder.h"

#include "base/file.h"
#include "firmware-measure/model.h"
#include "firmware-measure/oci.h"
#include "tests/support/fault.h"
#include "tests/support/imagebuild.h"
#include "tests/support/tarbuild.h"

static struct image_build *image;
static bool allow_devices, ignore_owner;

static inline int enter(void **state)
{
	image = image_build_new();
	allow_devices = ignore_owner = false;
	return folder_enter(state);
}

static inline int leave(void **state)
{
	image_build_free(image);
	return folder_leave(state);
}

static inline void layer(const struct buf *tar)
{
	image_layer(image, "", buf_bytes(tar), buf_bytes(tar));
}

static inline void start_again(void)
{
	image_build_free(image);
	image = image_build_new();
}

static inline struct image_report *measure(struct err *ret_e, struct reason *why)
{
	const struct root_options o = { .allow_devices = allow_devices, .ignore_owner = ignore_owner };
	struct image_report *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	image_finish(image, "v1");
	image_write_archive(image, "a.tar");
	*ret_e = oci_measure_root("a.tar", "v1", &o, r, why);
	return r;
}

static inline void refused(const char *what, enum err_code want, const char *words)
{
	struct reason why = { "" };
	struct err e;
	cleanup_free struct image_report *r = measure(&e, &why);

	if (e.code != want || strstr(why.text, words) == NULL)
		fail_msg("%s: %s \"%s\" instead of %s \"...%s...\"", what, err_name(e), why.text, err_name(ERR(want)),
			 words);
	assert_int_equal(r->n_bytes, 0);
	start_again();
}

static inline struct image_report *accepted(void)
{
	struct reason why = { "" };
	struct err e;
	struct image_report *r = measure(&e, &why);

	if (failed(e))
		fail_msg("%s: %s", err_name(e), why.text);
	start_again();
	return r;
}

/* What a lower layer has, for the tests of whiteouts. */
static inline void lower_layer(void)
{
	cleanup_buf struct buf b = BUF_INIT(MIB);

	TAR_PUT(&b, .name = "d/", .type = '5', .mode = 0750);
	TAR_PUT(&b, .name = "d/1", .content = "1");
	TAR_PUT(&b, .name = "d/2", .content = "2");
	TAR_PUT(&b, .name = "d/s/", .type = '5', .mode = 0755);
	TAR_PUT(&b, .name = "d/s/3", .content = "3");
	TAR_PUT(&b, .name = "d.x", .content = "x");
	TAR_PUT(&b, .name = "f", .content = "f");
	TAR_PUT(&b, .name = "h", .type = '1', .link = "f");
	tar_put_end(&b);
	layer(&b);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, enter, leave)

#endif
