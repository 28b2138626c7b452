/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data of one event, whose type is the first byte (upper half of the
 * range: 0x80000000 and the rest): verified with a digest that fits, with one
 * that does not, and shown.
 */
#include "firmware-measure/evdata_show.h"
#include "tests/fuzz/fuzz.h"

static void use(const struct evdata *d)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_SMALL), path = BUF_INIT(LIMIT_SMALL);
	struct evdata_partition p;
	struct evdata_variable v;
	enum evdata_text kind;
	struct evdata_gpt g;
	uint32_t value;
	bool usable = false;

	usable |= !failed(evdata_variable(d, &v));
	if (!failed(evdata_gpt(d, &g))) {
		usable = true;
		for (size_t i = 0; i < g.n_partitions && i < 4; i++)
			fuzz_must(!failed(evdata_gpt_partition(&g, i, &p)));
	}
	usable |= !failed(evdata_separator(d, &value));
	usable |= !failed(evdata_text(d, &kind, &text));
	fuzz_must(d->verified || !usable);
	(void)evdata_device_path_text(d->ev->data, &path).code;
	fuzz_must(!failed(evdata_show(d->ev, &text)) || text.n > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct evlog_event ev = { .index = 1 };
	struct digest digest;
	struct evdata d;

	if (n == 0)
		return 0;
	ev.type = data[0] < 0x80 ? data[0] : 0x80000000U + (data[0] - 0x80U) + (data[0] >= 0xc0 ? 0xa0U : 0);
	ev.data = BYTES(data + 1, n - 1);
	fuzz_must(!failed(digest_one(DIGEST_SHA256, ev.data, &digest)));
	ev.digest[DIGEST_SHA256] = digest_bytes(&digest);
	fuzz_must(!failed(evdata_verify(&ev, DIGEST_SHA256, &d)));
	use(&d);
	digest.v[0] ^= 1;
	fuzz_must(!failed(evdata_verify(&ev, DIGEST_SHA256, &d)));
	fuzz_must(!d.verified);
	use(&d);
	return 0;
}
