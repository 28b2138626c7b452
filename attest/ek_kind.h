/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kinds of endorsement key that a host can enrol with: where each lies, and
 * the template that makes it again.
 *
 * Source: TCG EK Credential Profile 2.5, 2.2.1.4 and 2.2.1.5 (NV indices of the
 * low and the high range), annex B.3.3, B.3.4 and B.4 (templates L-1, L-2, H-3).
 */
#ifndef ASSAY_ATTEST_EK_KIND_H
#define ASSAY_ATTEST_EK_KIND_H

#include "attest/tpm.h"

enum ek_kind {
	EK_AUTO,     /* no kind, but the wish that ek_choose() finds one */
	EK_RSA_2048, /* L-1; in the order in which EK_AUTO looks for a certificate */
	EK_ECC_P384, /* H-3 */
	EK_ECC_P256, /* L-2 */
};

struct ek_kind_info {
	const char *name;
	TPM2_HANDLE handle;      /* of the persistent key */
	TPM2_HANDLE nv_cert;
	TPM2_HANDLE nv_nonce;    /* begins the unique field; 0: the range has none */
	TPM2_HANDLE nv_template; /* replaces ours */
	TPM2B_PUBLIC template;
};

/* NULL for EK_AUTO. */
const struct ek_kind_info *ek_kind_info(enum ek_kind kind);

/* "auto", "rsa-2048", "ecc-p384", "ecc-p256". E_PEER_UNSUPPORTED. */
must_check struct err ek_kind_parse(const char *s, enum ek_kind *ret);
const char *ek_kind_name(enum ek_kind kind);

/* The kind whose key this would be, by its algorithm and curve: EK_AUTO where there is none. */
enum ek_kind ek_kind_of(const struct tpm_public *p);

/*
 * The first kind, in the order of the enum, whose certificate index the TPM has;
 * EK_RSA_2048 where it has none, because every PC Client TPM makes that one.
 */
must_check struct err ek_choose(struct tpm *tpm, enum ek_kind *ret);

/* The template with what the manufacturer left in NV: another template, a nonce. E_LOCAL_TPM: what lies there is no template of this kind. */
must_check struct err ek_template(struct tpm *tpm, const struct ek_kind_info *kind, TPM2B_PUBLIC *ret);

#endif
