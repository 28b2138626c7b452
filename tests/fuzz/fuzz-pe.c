/* SPDX-License-Identifier: Apache-2.0 */
/* PE images: what is accepted can be hashed, its sections lie within the file, and a signature changes no digest. */
#include <string.h>

#include "firmware-measure/pe.h"
#include "tests/fuzz/fuzz.h"

static bool inside(struct bytes part, struct bytes file)
{
	return part.n == 0 || (part.p >= file.p && part.p + part.n <= file.p + file.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct bytes in = BYTES(data, n);
	struct digest d, again;
	struct pe pe, unsigned_pe;
	size_t zeros;

	if (failed(pe_parse(in, &pe, NULL)))
		return 0;
	fuzz_must(inside(pe.headers, in) && inside(pe.certificates, in));
	for (size_t i = 0; i < pe.n_sections; i++) {
		const struct bytes m = pe_section_memory(&pe.section[i], &zeros);

		fuzz_must(inside(pe.section[i].data, in) && inside(m, in));
		fuzz_must(m.n + zeros == pe.section[i].virtual_size);
		fuzz_must(memchr(pe.section[i].name, 0, PE_NAME_SIZE) != NULL);
	}
	fuzz_must(!failed(pe_authenticode(&pe, DIGEST_SHA256, &d)));
	if (pe.certificates.n == 0)
		return 0;
	/* The same image before it was signed. */
	unsigned_pe = pe;
	unsigned_pe.file.n -= pe.certificates.n;
	unsigned_pe.certificates = BYTES_NONE;
	fuzz_must(!failed(pe_authenticode(&unsigned_pe, DIGEST_SHA256, &again)));
	fuzz_must(bytes_eq(digest_bytes(&d), digest_bytes(&again)));
	return 0;
}
