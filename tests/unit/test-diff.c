/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of two logs that differ in one thing. */
#include "firmware-measure/diff.h"
#include "tests/support/logbuild.h"
#include "unit.h"

static const enum digest_id both[] = { DIGEST_SHA1, DIGEST_SHA256 };

/* A boot; each member is one thing that can differ. */
struct boot {
	const char *cmdline, *measured_cmdline, *dbx, *secure_boot, *version, *app, *more, *other_action;
	size_t n_dbx, n_many;
	int locality;
};
static const struct boot usual = {
	.cmdline = "/vmlinuz ro quiet", .secure_boot = "\1", .version = "v1.0", .app = "shim", .n_dbx = 2, .locality = 3
};

static struct logbuild build(const struct boot *b)
{
	cleanup_buf struct buf dbx = BUF_INIT(LIMIT_SMALL), line = BUF_INIT(LIMIT_SMALL);
	struct logbuild l;

	logbuild_init(&l, EVLOG_AGILE, 2, both);
	logbuild_header(&l);
	logbuild_locality(&l, 0, (uint8_t)b->locality);
	logbuild_add(&l, 0, EV_S_CRTM_VERSION, bytes_str(b->version));
	logbuild_variable(&l, 7, EV_EFI_VARIABLE_DRIVER_CONFIG, NULL, "SecureBoot",
			  BYTES((const uint8_t *)b->secure_boot, 1));
	logbuild_hash_list(&dbx, 0x10, b->n_dbx);
	logbuild_variable(&l, 7, EV_EFI_VARIABLE_DRIVER_CONFIG, NULL, "dbx", buf_bytes(&dbx));
	if (b->other_action != NULL)
		logbuild_add(&l, 4, EV_EFI_ACTION, bytes_str(b->other_action));
	logbuild_separator(&l, 4, 0);
	logbuild_image(&l, 4, EV_EFI_BOOT_SERVICES_APPLICATION, "\\EFI\\BOOT\\BOOTX64.EFI", bytes_str(b->app));
	if (b->more != NULL)
		logbuild_image(&l, 4, EV_EFI_BOOT_SERVICES_APPLICATION, b->more, bytes_str(b->more));
	assert_ok(buf_addf(&line, "kernel_cmdline: %s", b->cmdline));
	assert_ok(buf_add_u8(&line, 0));
	logbuild_measure(&l, 8, EV_IPL, buf_bytes(&line),
			 bytes_str(b->measured_cmdline != NULL ? b->measured_cmdline : b->cmdline));
	for (size_t i = 0; i < b->n_many; i++) {
		assert_ok(buf_addf(&line, "%zu", i));
		logbuild_measure(&l, 5, EV_EFI_ACTION, BYTES_LIT("x"), BYTES(line.p, line.n));
		assert_ok(buf_truncate(&line, line.n - 1));
	}
	return l;
}

static struct err collect(void *ctx, const struct diff_change *c)
{
	return buf_addf(ctx, "%u|%s|%.*s|%.*s\n", c->pcr, c->what, (int)c->was.n, (const char *)c->was.p, (int)c->now.n,
			(const char *)c->now.p);
}

static struct err diff(const struct boot *was, const struct boot *now, enum digest_id bank, struct buf *text,
		       bool *same)
{
	struct logbuild a = build(was), b = build(now);
	struct evlog log_a, log_b;
	struct evlog_fault why = { 0 };
	struct err e;

	assert_ok(evlog_open(buf_bytes(&a.b), &log_a, NULL));
	assert_ok(evlog_open(buf_bytes(&b.b), &log_b, NULL));
	e = diff_logs(&log_a, &log_b, bank, collect, text, same, &why);
	buf_free(&a.b);
	buf_free(&b.b);
	return e;
}

/* The changes from one boot to the other begin with want, as many lines as it has. */
static void expect_from(const struct boot *was, const struct boot *now, const char *want)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_SMALL);
	const char *got;
	bool same;

	assert_ok(diff(was, now, DIGEST_SHA256, &text, &same));
	assert_int_equal(same, want[0] == '\0');
	assert_ok(buf_cstr(&text, &got));
	assert_string_equal(got, want);
}

static void expect(struct boot now, const char *want)
{
	expect_from(&usual, &now, want);
}

#define CHANGED(member, value)                                                                                         \
	({                                                                                                             \
		struct boot b_ = usual;                                                                                \
		b_.member = (value);                                                                                   \
		b_;                                                                                                    \
	})

static void nothing(void **state)
{
	(void)state;
	expect(usual, "");
}

static void words(void **state)
{
	(void)state;
	expect(CHANGED(cmdline, "/vmlinuz ro quiet debug"), "8|kernel command line||debug\n");
	expect(CHANGED(cmdline, "/vmlinuz debug ro quiet"), "8|kernel command line||debug\n");
	expect(CHANGED(cmdline, "/vmlinuz quiet"), "8|kernel command line|ro|\n");
	expect(CHANGED(cmdline, "/vmlinuz rw quiet"), "8|kernel command line|ro|rw\n");
	expect(CHANGED(cmdline, "x/vmlinuz ro quiet"), "8|kernel command line|/vmlinuz|x/vmlinuz\n");
	expect(CHANGED(cmdline, "/vmlinuz ro quiet "), "8|kernel command line|/vmlinuz ro quiet|/vmlinuz ro quiet \n");
}

static void variables(void **state)
{
	(void)state;
	expect(CHANGED(secure_boot, "\0"), "7|Secure Boot|on|off\n");
	expect(CHANGED(n_dbx, 1),
	       "7|dbx|1 hash, sha256 1111111111111111111111111111111111111111111111111111111111111111|\n");
	expect(CHANGED(n_dbx, 4), "7|dbx||2 entries, the first: sha256 "
				  "1212121212121212121212121212121212121212121212121212121212121212\n");
	expect(CHANGED(version, "v1.1"), "0|firmware version|v1.0|v1.1\n");
	expect(CHANGED(locality, 0), "0|startup locality|3|0\n");
}

static void images(void **state)
{
	const struct boot more = CHANGED(more, "\\x.efi");

	(void)state;
	/* SHA-256 of "shim", "other", "\x.efi" */
	expect(CHANGED(app, "other"),
	       "4|boot application "
	       "\\EFI\\BOOT\\BOOTX64.EFI|sha256:04e666aa09809daf691a99cc7bf2d57ba09bac171966a71812ffd049d7c96bb1|"
	       "sha256:d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa\n");
	expect(more, "4|1 event more: boot application "
		     "\\x.efi||sha256:08fca7d40dec352510a1f743a68a90255a5c1772fec028908aef70b2475aa2f3\n");
	expect_from(&more, &usual,
		    "4|1 event less: boot application "
		    "\\x.efi|sha256:08fca7d40dec352510a1f743a68a90255a5c1772fec028908aef70b2475aa2f3|\n");
	expect(CHANGED(other_action, "an action"), "4|1 event more: action||an action\n");
}

/* Data that the digest does not cover is not told. */
static void lies(void **state)
{
	const struct boot lie = CHANGED(measured_cmdline, "/vmlinuz ro quiet evil");
	struct boot same = usual;
	cleanup_buf struct buf text = BUF_INIT(LIMIT_SMALL);
	const char *got;
	bool is;

	(void)state;
	assert_ok(diff(&usual, &lie, DIGEST_SHA256, &text, &is));
	assert_false(is);
	assert_ok(buf_cstr(&text, &got));
	assert_null(strstr(got, "quiet|"));
	assert_non_null(strstr(got, "|sha256:"));
	/* and two texts with one digest are the same */
	same.cmdline = "/vmlinuz evil";
	same.measured_cmdline = usual.cmdline;
	expect(same, "");
}

static void limits(void **state)
{
	const struct boot few = CHANGED(n_many, 10), many = CHANGED(n_many, DIFF_MAX_EVENTS + 1);
	cleanup_buf struct buf text = BUF_INIT(MIB);
	bool same = true;

	(void)state;
	assert_err(diff(&few, &many, DIGEST_SHA256, &text, &same), E_LIMIT_COUNT);
	assert_false(same);
	assert_err(diff(&few, &few, DIGEST_SHA384, &text, &same), E_PEER_UNSUPPORTED);
	assert_false(same);
	assert_ok(diff(&few, &few, DIGEST_SHA1, &text, &same));
	assert_true(same);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing), cmocka_unit_test(words), cmocka_unit_test(variables),
		cmocka_unit_test(images),  cmocka_unit_test(lies),  cmocka_unit_test(limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
