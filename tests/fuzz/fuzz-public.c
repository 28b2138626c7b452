/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TPMT_PUBLIC: what parses has a Name and a key or none, fits at most one of
 * the templates for signing and decryption, and an EK that fits and holds a
 * real key gets a credential.
 */
#include "protocol/tpmw.h"
#include "tests/fuzz/fuzz.h"

static void use(const struct tpm_public *p)
{
	bool ek = !failed(tpm_check_ek(p, NULL)), ak = !failed(tpm_check_ak(p, NULL));
	bool workload = !failed(tpm_check_workload_key(p, NULL));
	bool storage = !failed(tpm_check_null_primary(p, NULL));
	cleanup_buf struct buf blob = BUF_INIT(LIMIT_TPM2B), sealed = BUF_INIT(LIMIT_TPM2B);
	cleanup_key struct key *k = NULL;
	struct tpm_name name = { 0 }, parsed;
	enum sig_scheme scheme = SIG_NONE;
	enum digest_id hash = DIGEST_SHA256;
	bool has_key, has_scheme;

	fuzz_must(ek + ak + workload <= 1 && storage + ak + workload <= 1);
	/* SM3 may be missing in the library; every other Name can be computed. */
	if (failed(tpm_public_name(p, &name)))
		return;
	fuzz_must(!failed(tpm_name_parse(tpm_name_bytes(&name), &parsed)));
	has_key = !failed(tpm_public_key(p, &k));
	has_scheme = !failed(tpm_public_scheme(p, &scheme, &hash)) && scheme != SIG_NONE;
	fuzz_must((!ak && !workload) || has_scheme);
	fuzz_must(!has_scheme || hash != DIGEST_SHA1);
	if (ek && has_key)
		fuzz_must(!failed(tpm_make_credential(p, &name, BYTES_LIT("secret"), &blob, &sealed)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct tpm_public p;

	if (!failed(tpm_public_parse(BYTES(data, n), &p)))
		use(&p);
	if (!failed(tpm2b_public_parse(BYTES(data, n), &p)))
		use(&p);
	return 0;
}
