/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/ek_kind.h"

#include <string.h>
#include <tss2/tss2_mu.h>

#define RSA_BYTES 256
#define P256_BYTES 32

/* PolicySecret(TPM_RH_ENDORSEMENT), EK Credential Profile B.6.2 (PolicyA, SHA-256): the low range. */
#define POLICY_A                                                                                                     \
	{                                                                                                            \
		0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd, \
			0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa     \
	}
/* PolicyOR(PolicyA, PolicyAuthorizeNV), B.6.5 (PolicyB, SHA-384): the high range. */
#define POLICY_B_SHA384                                                                                               \
	{                                                                                                             \
		0xb2, 0x6e, 0x7d, 0x28, 0xd1, 0x1a, 0x50, 0xbc, 0x53, 0xd8, 0x82, 0xbc, 0xf5, 0xfd, 0x3a, 0x1a, 0x07, \
			0x41, 0x48, 0xbb, 0x35, 0xd3, 0xb4, 0xe4, 0xcb, 0x1c, 0x0a, 0xd9, 0xbd, 0xe4, 0x19, 0xca,     \
			0xcb, 0x47, 0xba, 0x09, 0x69, 0x96, 0x46, 0x15, 0x0f, 0x9f, 0xc0, 0x00, 0xf3, 0xf8, 0x0e, 0x12 \
	}

#define LOW_ATTRIBUTES                                                                                 \
	(TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |            \
	 TPMA_OBJECT_ADMINWITHPOLICY | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT)
#define HIGH_ATTRIBUTES (LOW_ATTRIBUTES | TPMA_OBJECT_USERWITHAUTH)

static const struct ek_kind_info kinds[] = {
	[EK_AUTO] = { .name = "auto" },
	[EK_RSA_2048] = {
		.name = "rsa-2048", .handle = 0x81010001, .nv_cert = 0x01c00002, .nv_nonce = 0x01c00003,
		.nv_template = 0x01c00004,
		.template.publicArea = {
			.type = TPM2_ALG_RSA,
			.nameAlg = TPM2_ALG_SHA256,
			.objectAttributes = LOW_ATTRIBUTES,
			.authPolicy = { .size = 32, .buffer = POLICY_A },
			.parameters.rsaDetail = {
				.symmetric = { .algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB },
				.scheme = { .scheme = TPM2_ALG_NULL },
				.keyBits = RSA_BYTES * 8,
			},
			.unique.rsa = { .size = RSA_BYTES },
		},
	},
	[EK_ECC_P384] = {
		.name = "ecc-p384", .handle = 0x81010016, .nv_cert = 0x01c00016, .nv_template = 0x01c00017,
		.template.publicArea = {
			.type = TPM2_ALG_ECC,
			.nameAlg = TPM2_ALG_SHA384,
			.objectAttributes = HIGH_ATTRIBUTES,
			.authPolicy = { .size = 48, .buffer = POLICY_B_SHA384 },
			.parameters.eccDetail = {
				.symmetric = { .algorithm = TPM2_ALG_AES, .keyBits.aes = 256, .mode.aes = TPM2_ALG_CFB },
				.scheme = { .scheme = TPM2_ALG_NULL },
				.curveID = TPM2_ECC_NIST_P384,
				.kdf = { .scheme = TPM2_ALG_NULL },
			},
		},
	},
	/* No list of reserved handles has one for L-2: here it has the low bits of its certificate's index, as in the high range. */
	[EK_ECC_P256] = {
		.name = "ecc-p256", .handle = 0x8101000a, .nv_cert = 0x01c0000a, .nv_nonce = 0x01c0000b,
		.nv_template = 0x01c0000c,
		.template.publicArea = {
			.type = TPM2_ALG_ECC,
			.nameAlg = TPM2_ALG_SHA256,
			.objectAttributes = LOW_ATTRIBUTES,
			.authPolicy = { .size = 32, .buffer = POLICY_A },
			.parameters.eccDetail = {
				.symmetric = { .algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB },
				.scheme = { .scheme = TPM2_ALG_NULL },
				.curveID = TPM2_ECC_NIST_P256,
				.kdf = { .scheme = TPM2_ALG_NULL },
			},
			.unique.ecc = { .x = { .size = P256_BYTES }, .y = { .size = P256_BYTES } },
		},
	},
};

const struct ek_kind_info *ek_kind_info(enum ek_kind kind)
{
	return kind == EK_AUTO || (size_t)kind >= array_len(kinds) ? NULL : &kinds[kind];
}

struct err ek_kind_parse(const char *s, enum ek_kind *ret)
{
	for (size_t i = 0; i < array_len(kinds); i++)
		if (strcmp(s, kinds[i].name) == 0) {
			*ret = (enum ek_kind)i;
			return ERR(E_OK);
		}
	return ERR(E_PEER_UNSUPPORTED);
}

const char *ek_kind_name(enum ek_kind kind)
{
	return kinds[kind].name;
}

enum ek_kind ek_kind_of(const struct tpm_public *p)
{
	for (size_t i = EK_AUTO + 1; i < array_len(kinds); i++) {
		const TPMT_PUBLIC *t = &kinds[i].template.publicArea;

		if (p->type != t->type || p->name_alg != t->nameAlg)
			continue;
		if (p->type == TPM2_ALG_RSA ? p->rsa_bits == t->parameters.rsaDetail.keyBits :
					      p->ecc_curve == t->parameters.eccDetail.curveID)
			return (enum ek_kind)i;
	}
	return EK_AUTO;
}

struct err ek_choose(struct tpm *tpm, enum ek_kind *ret)
{
	TPML_HANDLE there;
	struct err e;

	for (size_t i = EK_AUTO + 1; i < array_len(kinds); i++) {
		if (failed(e = tpm_handles(tpm, kinds[i].nv_cert, kinds[i].nv_cert, &there)))
			return e;
		if (there.count > 0) {
			*ret = (enum ek_kind)i;
			return ERR(E_OK);
		}
	}
	*ret = EK_RSA_2048;
	return ERR(E_OK);
}

/* Reads an NV index that may be absent, or not exist for the kind (0): *ret stays empty then. */
static struct err nv_read_optional(struct tpm *tpm, TPM2_HANDLE index, struct buf *ret)
{
	struct err e;

	if (index == 0)
		return ERR(E_OK);
	e = tpm_nv_read(tpm, index, ret);
	return e.code == E_LOCAL_NOT_FOUND ? ERR(E_OK) : e;
}

/* EK Credential Profile 2.2.1.4: the nonce is followed by zeros up to the key's size; an ECC key has it in x. */
static void set_nonce(struct bytes nonce, TPMT_PUBLIC *template)
{
	wipe(&template->unique, sizeof(template->unique));
	if (template->type == TPM2_ALG_RSA) {
		template->unique.rsa.size = RSA_BYTES;
		memcpy(template->unique.rsa.buffer, nonce.p, nonce.n);
		return;
	}
	template->unique.ecc.x.size = P256_BYTES;
	template->unique.ecc.y.size = P256_BYTES;
	memcpy(template->unique.ecc.x.buffer, nonce.p, nonce.n);
}

struct err ek_template(struct tpm *tpm, const struct ek_kind_info *kind, TPM2B_PUBLIC *ret)
{
	cleanup_buf struct buf template = BUF_INIT(LIMIT_TPM2B), nonce = BUF_INIT(RSA_BYTES);
	struct err e;
	size_t n = 0;

	nonce.max = kind->template.publicArea.type == TPM2_ALG_RSA ? RSA_BYTES : P256_BYTES;
	*ret = kind->template;
	if (failed(e = nv_read_optional(tpm, kind->nv_template, &template)))
		return e;
	if (template.n > 0 && (Tss2_MU_TPMT_PUBLIC_Unmarshal(template.p, template.n, &n, &ret->publicArea) !=
				       TSS2_RC_SUCCESS ||
			       n != template.n || ret->publicArea.type != kind->template.publicArea.type)) {
		reason_set(tpm->why, "NV index 0x%x holds no template of an endorsement key of kind %s",
			   kind->nv_template, kind->name);
		return ERR(E_LOCAL_TPM);
	}
	if (failed(e = nv_read_optional(tpm, kind->nv_nonce, &nonce)))
		return e;
	if (nonce.n > 0)
		set_nonce(buf_bytes(&nonce), &ret->publicArea);
	return ERR(E_OK);
}
