/* SPDX-License-Identifier: Apache-2.0 */
/* Files of approved digests: named by documents, held by the verifier, asked about what IMA measured. */
#include "folder.h"

#include "firmware-measure/ima_allowlist.h"
#include "tests/support/ima_list.h"
#include "tests/support/service_fixture.h"

/* A list that approves the contents "agent" (with: and these). */
static struct hex32 write_list(const char *path, const char *with)
{
	struct ima_allowlist_builder b;
	uint8_t v[32];
	size_t n;

	assert_ok(ima_allowlist_begin(&b, DIGEST_SHA256, IMA_DIGEST_FILE));
	assert_ok(sha256(BYTES_LIT("agent"), v));
	assert_ok(ima_allowlist_add(&b, BYTES_ARR(v)));
	assert_ok(sha256(bytes_str(with), v));
	assert_ok(ima_allowlist_add(&b, BYTES_ARR(v)));
	assert_ok(ima_allowlist_finish(&b, &n));
	put(path, (const char *)b.file.p, b.file.n);
	assert_ok(sha256(buf_bytes(&b.file), v));
	ima_allowlist_builder_done(&b);
	return hex32(v);
}

/* The host's list, and what its kernel made of register 10. */
static void measure(struct service *s, const char *contents)
{
	cleanup_ima_list struct ima_list l;
	cleanup_imalog struct imalog log;
	struct ima_entry ent;
	bool more = false;
	struct digest d;
	uint8_t v[32];

	ima_list_init(&l);
	assert_ok(sha256(bytes_str(contents), v));
	ima_list_file(&l, BYTES_ARR(v), "/usr/bin/agent");
	imalog_init(&log, IMALOG_BINARY, IMALOG_LITTLE_ENDIAN);
	assert_ok(imalog_feed(&log, buf_bytes(&l.binary)));
	for (;;) {
		assert_ok(imalog_next(&log, &ent, &more, NULL));
		if (more)
			break;
		assert_ok(digest_one(DIGEST_SHA256, ent.hashed, &d));
		assert_ok(softtpm_extend(s->lab->tpm, DIGEST_SHA256, IMA_PCR, digest_bytes(&d)));
	}
	assert_ok(buf_add(&s->lab->ima, buf_bytes(&l.binary)));
}

static void approve_list(struct service *s, const char *hex)
{
	char json[256];

	(void)snprintf(json, sizeof(json), "{\"allowlists\":[\"%s\"],\"boot_aggregate\":\"ignored\"}", hex);
	lab_doc_set(s->lab, DOCUMENT_PLATFORM, "ima", json);
}

static struct service *start(void)
{
	struct service *s = service_new();

	put_folder("lists");
	s->c.allowlists = "lists";
	service_restart(s);
	return s;
}

static void upload(struct service *s, unsigned want, const char *says)
{
	cleanup_reply struct reply r;
	json_t *p = s->lab->doc[DOCUMENT_PLATFORM];

	assert_int_equal(json_object_set_new(p, "serial", json_integer(100 + s->n_serials++)), 0);
	assert_int_equal(service_upload(s, p, s->operator, & r), want);
	if (says != NULL) {
		char text[512];

		service_member(&r, "detail", text, sizeof(text));
		if (strstr(text, says) == NULL)
			fail_msg("\"%s\" does not say \"%s\"", text, says);
	}
}

static void test_no_folder(void **state)
{
	cleanup_service struct service *s = service_new();

	(void)state;
	approve_list(s, hex32_of("x").text);
	upload(s, 403, "no folder of allowlists");
}

/* A document is refused until there is a file that it names; other files do no harm. */
static void test_document_needs_its_list(void **state)
{
	cleanup_service struct service *s = start();
	struct hex32 hex;

	(void)state;
	put_text("lists/README", "not a list");
	approve_list(s, hex32_of("x").text);
	upload(s, 403, hex32_of("x").text);
	hex = write_list("lists/one", "a");
	upload(s, 403, "lists");
	approve_list(s, hex.text);
	upload(s, 200, NULL);
	service_restart(s);
	upload(s, 200, NULL);
}

static void attest(struct service *s, bool pass, const char *says)
{
	cleanup_reply struct reply r;
	cleanup_free char *body = NULL;

	service_challenge(s);
	assert_int_equal(service_post_evidence(s, NULL, &r), 200);
	body = strndup((const char *)r.body.p, r.body.n);
	assert_non_null(body);
	if ((strstr(body, "\"VERIFIED\"") != NULL) != pass || (says != NULL && strstr(body, says) == NULL))
		fail_msg("not as expected: %s", body);
}

/* What the list holds passes, what it does not is named; and a list that has gone approves nothing. */
static void test_list_decides(void **state)
{
	cleanup_service struct service *s = start();
	struct hex32 hex = write_list("lists/one", "tool");

	(void)state;
	approve_list(s, hex.text);
	service_enrol(s);
	service_approve_all(s);
	measure(s, "agent");
	attest(s, true, NULL);
	measure(s, "tool");
	attest(s, true, NULL);
	assert_int_equal(unlink("lists/one"), 0);
	attest(s, true, NULL); /* it is held open */
	measure(s, "intruder");
	attest(s, false, "/usr/bin/agent");
	service_restart(s);
	attest(s, false, "holds no such file");
	(void)write_list("lists/other", "intruder"); /* another file is another list */
	service_restart(s);
	attest(s, false, "holds no such file");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_folder, folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(test_document_needs_its_list, folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(test_list_decides, folder_enter, folder_leave),
	};

	return cmocka_run_group_tests_name("serve-allowlists", tests, NULL, NULL);
}
