/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/progress.h"

#include "base/file.h"
#include "base/limits.h"

#define QUIET_FOR_MS 500 /* shorter work shows no progress */

static void on_progress(void *ctx, uint64_t done, uint64_t total)
{
	struct progress *p = ctx;

	if (total == 0 || clock_boottime_ms() - p->since_ms < QUIET_FOR_MS)
		return;
	(void)fprintf(stderr, "\r%3u %% of %ju MiB", (unsigned)(100.0 * ((double)done / (double)total)),
		      (uintmax_t)(total / MIB));
	(void)fflush(stderr);
	p->drawn = true;
}

void progress_begin(struct progress *p, uint64_t jobs, struct model_options *ret)
{
	p->since_ms = clock_boottime_ms();
	*ret = (struct model_options){ .jobs = (unsigned)jobs };
	if (isatty(STDERR_FILENO) != 1)
		return;
	ret->progress = on_progress;
	ret->ctx = p;
}

void progress_end(const struct progress *p)
{
	if (p->drawn)
		(void)fprintf(stderr, "\r\033[K");
}
