/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TPMS_ATTEST, TPML_PCR_SELECTION and TPMT_SIGNATURE: what is written from a
 * parsed structure parses to the same, and nothing in the corpus is a
 * signature of this key.
 */
#include "protocol/tpmw.h"
#include "tests/fuzz/fuzz.h"

static bool same_head(const struct tpm_attest *a, const struct tpm_attest *b)
{
	return a->type == b->type && bytes_eq(a->qualified_signer, b->qualified_signer) &&
	       bytes_eq(a->extra_data, b->extra_data) && a->clock.clock_ms == b->clock.clock_ms &&
	       a->clock.reset_count == b->clock.reset_count && a->clock.restart_count == b->clock.restart_count &&
	       a->clock.safe == b->clock.safe && a->firmware_version == b->firmware_version;
}

static void quote_again(const struct tpm_attest *a)
{
	cleanup_buf struct buf out = BUF_INIT(LIMIT_TPM2B);
	struct tpm_attest b;

	fuzz_must(!failed(tpm_quote_expected(a, a->extra_data, &a->selection, a->pcr_digest, &out)));
	fuzz_must(!failed(tpm_attest_parse(buf_bytes(&out), &b)));
	fuzz_must(same_head(a, &b) && pcr_selection_equal(&a->selection, &b.selection));
	fuzz_must(bytes_eq(a->pcr_digest, b.pcr_digest) && b.magic == TPM_GENERATED);
}

static void certify_again(const struct tpm_attest *a)
{
	cleanup_buf struct buf out = BUF_INIT(LIMIT_TPM2B);
	struct tpm_name name, qualified;

	if (failed(tpm_name_parse(a->name, &name)) || failed(tpm_name_parse(a->qualified_name, &qualified)))
		return;
	fuzz_must(!failed(tpm_certify_expected(a, a->extra_data, &name, &qualified, &out)));
	fuzz_must(a->magic != TPM_GENERATED || bytes_eq(buf_bytes(&out), a->raw));
}

static void attest(struct bytes in)
{
	struct tpm_attest a;

	if (failed(tpm_attest_parse(in, &a)))
		return;
	fuzz_must(a.clock.safe <= 1 && a.selection.n <= LIMIT_BANKS);
	fuzz_must(pcr_selection_count(&a.selection) <= (size_t)LIMIT_BANKS * LIMIT_PCRS);
	if (a.type == TPM_ST_ATTEST_QUOTE)
		quote_again(&a);
	if (a.type == TPM_ST_ATTEST_CERTIFY)
		certify_again(&a);
}

static void selection(struct bytes in)
{
	cleanup_buf struct buf out = BUF_INIT(LIMIT_TPM2B);
	struct pcr_selection a, b;

	if (failed(pcr_selection_parse(in, &a)))
		return;
	fuzz_must(!failed(pcr_selection_write(&a, &out)));
	fuzz_must(!failed(pcr_selection_parse(buf_bytes(&out), &b)) && pcr_selection_equal(&a, &b));
}

/* The generator of P-256 as a public key: its private key is 1, but no input was signed with it. */
static const uint8_t gx[] = { 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6,
			      0xe5, 0x63, 0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb,
			      0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96 };
static const uint8_t gy[] = { 0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb,
			      0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31,
			      0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5 };

static void signature(struct bytes in)
{
	static struct key *k;
	struct tpm_signature s;

	if (k == NULL)
		fuzz_must(!failed(key_from_ec(KEY_EC_P256, BYTES_ARR(gx), BYTES_ARR(gy), &k)));
	if (failed(tpm_signature_parse(in, &s)))
		return;
	fuzz_must(failed(tpm_signature_verify(&s, k, SIG_ECDSA, DIGEST_SHA256, BYTES_LIT("never signed"))));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	attest(BYTES(data, n));
	selection(BYTES(data, n));
	signature(BYTES(data, n));
	return 0;
}
