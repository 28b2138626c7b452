/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/interval.h"

#include "base/digest.h"
#include "base/file.h"

#define MIN_MS 1000
#define UNKNOWN_MS 60000 /* a verdict that does not say how long it lives */
#define DAY_S 86400

uint64_t interval_jitter(uint64_t ms)
{
	uint8_t r = 0;

	if (failed(random_bytes(&r, sizeof(r))))
		r = 0;
	return ms - ms / 5 * r / 255;
}

uint64_t interval_ms(const struct conf *conf, int64_t expires_s)
{
	int64_t left_s = expires_s - clock_now_s();
	uint64_t ms = UNKNOWN_MS, most_ms = (uint64_t)conf->interval_s * 1000;

	if (expires_s != 0)
		ms = left_s > 0 && left_s < DAY_S ? (uint64_t)left_s * 1000 / 3 : MIN_MS;
	if (most_ms != 0 && ms > most_ms)
		ms = most_ms;
	return interval_jitter(ms < MIN_MS ? MIN_MS : ms);
}
