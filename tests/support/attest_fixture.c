/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/attest_fixture.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>
#include <cmocka.h>
#include <tss2/tss2_tctildr.h>

#include "base/log.h"
#include "base/text.h"
#include "config.h"

struct reason fixture_why;
struct harness *fixture_harness;

void fixture_ok(struct err e, const char *what, const char *file, int line)
{
	if (!failed(e))
		return;
	print_error("%s: %s (%s)\n", what, err_name(e), fixture_why.text);
	_fail(file, line);
}

void fixture_fails(struct err want, struct err e, const char *what, const char *file, int line)
{
	if (e.code == want.code)
		return;
	print_error("%s: %s instead of %s (%s)\n", what, err_name(e), err_name(want), fixture_why.text);
	_fail(file, line);
}

int fixture_up(void **state)
{
	const struct harness_options o = { .count = 1, .banks = "sha256,sha384", .cert = HARNESS_CERT_GOOD };
	struct err e = harness_up(&o, &fixture_harness, &fixture_why);

	(void)state;
	(void)setenv("TSS2_LOG", "all+NONE", 0);
	if (getenv("ASSAY_TEST_DEBUG") != NULL)
		log_init(LOG_LEVEL_DEBUG, false);
	if (failed(e))
		print_error("harness_up: %s (%s)\n", err_name(e), fixture_why.text);
	return failed(e) ? -1 : 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

/* The harness takes away what is its own; tests put files of theirs beside it. */
int fixture_down(void **state)
{
	char dir[LIMIT_PATH];

	(void)state;
	if (fixture_harness == NULL)
		return 0;
	(void)snprintf(dir, sizeof(dir), "%s", harness_dir(fixture_harness));
	harness_down_free(fixture_harness);
	fixture_harness = NULL;
	(void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

TSS2_TCTI_CONTEXT *fixture_connect(void)
{
	TSS2_TCTI_CONTEXT *tcti = NULL;

	assert_int_equal(Tss2_TctiLdr_Initialize(harness_tcti(fixture_harness, 0), &tcti), TSS2_RC_SUCCESS);
	return tcti;
}

void fixture_disconnect(TSS2_TCTI_CONTEXT **tcti)
{
	Tss2_TctiLdr_Finalize(tcti);
}

static size_t count_from(ESYS_CONTEXT *esys, TPM2_HANDLE first)
{
	TPMS_CAPABILITY_DATA *data = NULL;
	TPMI_YES_NO more;
	size_t n;

	assert_int_equal(Esys_GetCapability(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_CAP_HANDLES, first,
					    TPM2_MAX_CAP_HANDLES, &more, &data),
			 TSS2_RC_SUCCESS);
	n = data->data.handles.count;
	Esys_Free(data);
	return n;
}

size_t fixture_loaded(TSS2_TCTI_CONTEXT *tcti)
{
	ESYS_CONTEXT *esys = NULL;
	size_t n;

	assert_int_equal(Esys_Initialize(&esys, tcti, NULL), TSS2_RC_SUCCESS);
	n = count_from(esys, 0x80000000u) + count_from(esys, 0x02000000u) +
	    count_from(esys, 0x03000000u);
	Esys_Finalize(&esys);
	return n;
}

unsigned fixture_runs(const char *env, unsigned full, unsigned sanitized)
{
	const char *s = getenv(env);
	uint64_t n;

	if (s != NULL && !failed(parse_u64(s, 1000000, &n)))
		return (unsigned)n;
	return ASSAY_SANITIZED ? sanitized : full;
}
