/* SPDX-License-Identifier: Apache-2.0 */
/* Quotes of real machines and of two recorded boots, where that data is at hand (ASSAY_DATA). */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/file.h"
#include "base/limits.h"
#include "verifier/operate/verify_quote.h"

struct evidence_files {
	struct buf ak, quote, sig, nonce, pcrs;
};

static const char *root;

static void load(const char *folder, const char *name, struct buf *to)
{
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s/%s", root, folder, name);
	buf_init(to, LIMIT_SMALL);
	assert_ok(file_read(AT_FDCWD, path, to));
}

static void done(struct evidence_files *f)
{
	buf_free(&f->ak);
	buf_free(&f->quote);
	buf_free(&f->sig);
	buf_free(&f->nonce);
	buf_free(&f->pcrs);
}

static void load_quote(const char *folder, const char *ak, struct evidence_files *f)
{
	load(folder, ak, &f->ak);
	load(folder, "quote.msg", &f->quote);
	load(folder, "quote.sig", &f->sig);
	load(folder, "nonce.bin", &f->nonce);
	load(folder, "pcrs.json", &f->pcrs);
}

static void load_boot(const char *folder, const char *ak, const char *kind, struct evidence_files *f)
{
	cleanup_buf struct buf hex = BUF_INIT(256);
	char name[64];

	load(folder, ak, &f->ak);
	(void)snprintf(name, sizeof(name), "quote-%s.msg", kind);
	load(folder, name, &f->quote);
	(void)snprintf(name, sizeof(name), "quote-%s.sig", kind);
	load(folder, name, &f->sig);
	load(folder, "nonce.hex", &hex);
	buf_init(&f->nonce, 64);
	while (hex.n > 0 && hex.p[hex.n - 1] == '\n')
		assert_ok(buf_truncate(&hex, hex.n - 1));
	assert_ok(hex_decode(buf_bytes(&hex), &f->nonce));
	buf_init(&f->pcrs, LIMIT_SMALL);
}

static struct err verify(const struct evidence_files *f, struct quote_report *r, struct reason *why)
{
	const struct quote_files q = { buf_bytes(&f->ak), buf_bytes(&f->quote), buf_bytes(&f->sig),
				       buf_bytes(&f->nonce), buf_bytes(&f->pcrs) };

	return quote_verify(&q, r, why);
}

static void expect_refusal(struct evidence_files *f, const char *check)
{
	struct reason why = { { 0 } };
	struct quote_report r;

	assert_true(failed(verify(f, &r, &why)));
	assert_memory_equal(why.text, check, strlen(check));
}

static void a_machines_quote_is_verified(void **state)
{
	struct evidence_files f;
	struct quote_report r;

	(void)state;
	load_quote("quotes/keylime-tpm_util_test", "ak.pub.pem", &f);
	assert_ok(verify(&f, &r, NULL));
	assert_true(r.pcrs_compared);
	assert_int_equal(r.clock.reset_count, 3);
	assert_int_equal(r.selection.bank[0].mask, 1u << 16);
	/* Every bit of quote and signature counts, but for TPMT_SIGNATURE's free form there is none. */
	for (size_t i = 0; i < 8 * f.quote.n; i++) {
		f.quote.p[i / 8] ^= (uint8_t)(1u << i % 8);
		assert_true(failed(verify(&f, &r, NULL)));
		f.quote.p[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	for (size_t i = 0; i < 8 * f.sig.n; i++) {
		f.sig.p[i / 8] ^= (uint8_t)(1u << i % 8);
		assert_true(failed(verify(&f, &r, NULL)));
		f.sig.p[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	for (size_t n = 0; n < f.quote.n; n++) {
		struct evidence_files cut = f;

		cut.quote.n = n;
		assert_true(failed(verify(&cut, &r, NULL)));
	}
	f.nonce.p[0] ^= 1;
	expect_refusal(&f, "Q10");
	f.nonce.p[0] ^= 1;
	/* Value of one register shown as that of another. */
	buf_clear(&f.pcrs);
	assert_ok(buf_add_str(&f.pcrs, "{\"10\":\"d471c0674951f0ef075aecdd42fbefa6eca6019820add0bd222d1c4e6242ce6f\"}"));
	expect_refusal(&f, "Q5");
	done(&f);
}

static void quotes_that_prove_nothing_are_refused(void **state)
{
	struct evidence_files f;

	(void)state;
	/* No nonce in it: it may be of any age. */
	load_quote("quotes/go-tpm-tools-gce-cos-85-no-nonce-sha256", "ak.tpmt_public", &f);
	expect_refusal(&f, "Q10");
	done(&f);
	load_quote("quotes/go-attestation-windows-gcp-sha1", "ak.tpmt_public", &f);
	expect_refusal(&f, "Q7");
	done(&f);
	load_quote("quotes/go-attestation-windows-gcp-sha1", "ak.pub.pem", &f);
	expect_refusal(&f, "Q7");
	done(&f);
}

static void recorded_boots_are_verified(void **state)
{
	static const struct {
		const char *folder, *ak, *kind;
	} cases[] = {
		{ "boots/uki-tis", "ak-ecc.tpmt", "ecc" },     { "boots/uki-tis", "ak-ecc.pub.pem", "ecc" },
		{ "boots/uki-tis", "ak-rsa.pub.pem", "rsa" },  { "boots/grub-ms", "ak-ecc.pub.pem", "ecc" },
		{ "boots/grub-ms", "ak-rsa.pub.pem", "rsa" },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		struct evidence_files f, other;
		struct quote_report r;

		load_boot(cases[i].folder, cases[i].ak, cases[i].kind, &f);
		assert_ok(verify(&f, &r, NULL));
		assert_false(r.pcrs_compared);
		/* The other key of the same TPM did not sign this. */
		load_boot(cases[i].folder, strcmp(cases[i].kind, "ecc") == 0 ? "ak-rsa.pub.pem" : "ak-ecc.pub.pem",
			  cases[i].kind, &other);
		assert_true(failed(verify(&other, &r, NULL)));
		done(&other);
		done(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_machines_quote_is_verified),
		cmocka_unit_test(quotes_that_prove_nothing_are_refused),
		cmocka_unit_test(recorded_boots_are_verified),
	};

	root = getenv("ASSAY_DATA");
	if (root == NULL || access(root, R_OK) != 0) {
		printf("1..0 # SKIP recorded evidence is not at hand (ASSAY_DATA)\n");
		return 0;
	}
	return cmocka_run_group_tests_name("verify-quote-data", tests, NULL, NULL);
}
