/* SPDX-License-Identifier: Apache-2.0 */
/* What an instance's key signs on demand: RFC 8446, 4.4.3, to the byte. */
#include "unit.h"

#include "attest/tls_sign.h"

#define SPACES "                                                                "
#define CLIENT "TLS 1.3, client CertificateVerify"
#define SERVER "TLS 1.3, server CertificateVerify"
#define HASH16 "0123456789abcdef"
#define HASH32 HASH16 HASH16
#define HASH48 HASH32 HASH16

static void test_what_is_signed(void **state)
{
	const struct bytes good[] = {
		BYTES_LIT(SPACES CLIENT "\0" HASH32),
		BYTES_LIT(SPACES CLIENT "\0" HASH48),
		BYTES_LIT(SPACES SERVER "\0" HASH32),
		BYTES_LIT(SPACES SERVER "\0" HASH48),
	};

	(void)state;
	_Static_assert(sizeof(SPACES) == 65, "64 spaces");
	for (size_t i = 0; i < array_len(good); i++)
		assert_ok(tls_sign_check(good[i], NULL));
	assert_int_equal(good[1].n, TLS_SIGN_MAX);
}

static void test_what_is_not(void **state)
{
	const struct {
		const char *what;
		struct bytes content;
	} bad[] = {
		{ "nothing", BYTES_LIT("") },
		{ "spaces alone", BYTES_LIT(SPACES) },
		{ "no hash", BYTES_LIT(SPACES CLIENT "\0") },
		{ "63 spaces", BYTES_LIT("                                                               " CLIENT "\0" HASH32) },
		{ "65 spaces", BYTES_LIT(" " SPACES CLIENT "\0" HASH32) },
		{ "63 spaces, as long", BYTES_LIT("                                                               " CLIENT "\0" HASH32 "x") },
		{ "no spaces", BYTES_LIT(CLIENT "\0" HASH32) },
		{ "a hash of 31 bytes", BYTES_LIT(SPACES CLIENT "\0" HASH16 "0123456789abcde") },
		{ "a hash of 33 bytes", BYTES_LIT(SPACES CLIENT "\0" HASH32 "x") },
		{ "a hash of 47 bytes", BYTES_LIT(SPACES CLIENT "\0" HASH32 "0123456789abcde") },
		{ "a hash of 64 bytes", BYTES_LIT(SPACES CLIENT "\0" HASH32 HASH32) },
		{ "a hash of 16 bytes", BYTES_LIT(SPACES CLIENT "\0" HASH16) },
		{ "no zero byte", BYTES_LIT(SPACES CLIENT " " HASH32) },
		{ "two zero bytes", BYTES_LIT(SPACES CLIENT "\0\0" HASH32) },
		{ "another version", BYTES_LIT(SPACES "TLS 1.2, client CertificateVerify\0" HASH32) },
		{ "another case", BYTES_LIT(SPACES "TLS 1.3, Client CertificateVerify\0" HASH32) },
		{ "another end", BYTES_LIT(SPACES "TLS 1.3, others CertificateVerify\0" HASH32) },
		{ "an exporter's word", BYTES_LIT(SPACES "TLS 1.3, client CertificateVerifz\0" HASH32) },
		{ "an exported authenticator", BYTES_LIT(SPACES "Exported Authenticator\0" HASH32) },
		{ "a tab", BYTES_LIT("\t" "                                                               " CLIENT "\0" HASH32) },
		{ "a proof", BYTES_LIT("eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2In0.eyJqdGkiOiIxIn0") },
		{ "a TPM's attestation", BYTES_LIT("\xffTCG\x80\x18") },
	};

	(void)state;
	for (size_t i = 0; i < array_len(bad); i++) {
		struct reason why = { "" };

		if (tls_sign_check(bad[i].content, &why).code != E_AUTH_REFUSED)
			fail_msg("%s is signed", bad[i].what);
		assert_non_null(strstr(why.text, "CertificateVerify"));
	}
}

/* Every byte before the hash is fixed. */
static void test_every_bit_counts(void **state)
{
	char content[] = SPACES CLIENT "\0" HASH32;
	const size_t fixed = 64 + sizeof(CLIENT);

	(void)state;
	for (size_t i = 0; i < fixed * 8; i++) {
		content[i / 8] = (char)(content[i / 8] ^ 1 << i % 8);
		assert_int_equal(tls_sign_check(BYTES(content, sizeof(content) - 1), NULL).code, E_AUTH_REFUSED);
		content[i / 8] = (char)(content[i / 8] ^ 1 << i % 8);
	}
	assert_ok(tls_sign_check(BYTES(content, sizeof(content) - 1), NULL));
	for (size_t n = 0; n < sizeof(content) - 1; n++)
		assert_int_equal(tls_sign_check(BYTES(content, n), NULL).code, E_AUTH_REFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_signed),
		cmocka_unit_test(test_what_is_not),
		cmocka_unit_test(test_every_bit_counts),
	};

	return cmocka_run_group_tests_name("tls-sign", tests, NULL, NULL);
}
