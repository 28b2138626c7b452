/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A workload log, record by record, and the event in each. What is accepted
 * has one encoding: writing it again gives the same bytes. The first byte says
 * whether the rest is a log or a bare event, so that events are reached
 * without a digest that fits.
 */
#include <string.h>

#include "firmware-measure/cel.h"
#include "firmware-measure/workload_event.h"
#include "tests/fuzz/fuzz.h"

static void check_event(struct bytes in)
{
	cleanup_buf struct buf again = BUF_INIT(SIZE_MAX);
	struct workload_event ev;

	if (failed(workload_event_decode(in, &ev)))
		return;
	fuzz_must(!failed(workload_event_encode(&ev, &again)));
	fuzz_must(bytes_eq(buf_bytes(&again), in));
}

static void check_log(struct bytes log)
{
	size_t n = 1;

	while (n > 0) {
		cleanup_buf struct buf again = BUF_INIT(SIZE_MAX);
		struct cel_record rec;
		struct bytes read;

		if (failed(cel_read(log, &rec, &n)))
			return;
		fuzz_must(n <= log.n && (n > 0 || log.n == 0));
		if (n == 0)
			return;
		fuzz_must(!failed(bytes_sub(log, 0, n, &read)));
		fuzz_must(!failed(cel_encode(&rec, &again)));
		fuzz_must(bytes_eq(buf_bytes(&again), read));
		check_event(rec.content);
		fuzz_must(!failed(bytes_sub(log, n, log.n - n, &log)));
	}
}

/* The same content with digests that fit, so that a changed event inside a record is reached too. */
static void check_wrapped(struct bytes content)
{
	static const enum digest_id alg = DIGEST_SHA256;
	cleanup_buf struct buf b = BUF_INIT(SIZE_MAX);
	struct cel_record rec = { .recnum = content.n, .pcr = 13 }, back;
	size_t n = 0;

	fuzz_must(!failed(cel_digests(content, 1, &alg, &rec)));
	if (failed(cel_encode(&rec, &b)))
		return;
	fuzz_must(!failed(cel_read(buf_bytes(&b), &back, &n)) && n == b.n);
	fuzz_must(bytes_eq(back.content, content));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct bytes in = BYTES(data, n), rest;

	if (failed(bytes_sub(in, 1, n == 0 ? 0 : n - 1, &rest)))
		return 0;
	if (data[0] == 'E') {
		check_event(rest);
		check_wrapped(rest);
	} else {
		check_log(rest);
	}
	return 0;
}
