/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <sys/stat.h>

#include "base/log.h"

static void levels_have_names(void **state)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };
	enum log_level level;

	(void)state;
	for (unsigned i = 0; i < array_len(names); i++) {
		assert_ok(log_level_parse(names[i], &level));
		assert_int_equal(level, i);
	}
	level = LOG_LEVEL_INFO;
	assert_err(log_level_parse("", &level), E_PEER_RANGE);
	assert_err(log_level_parse("INFO", &level), E_PEER_RANGE);
	assert_err(log_level_parse("infos", &level), E_PEER_RANGE);
	assert_err(log_level_parse("2", &level), E_PEER_RANGE);
	assert_int_equal(level, LOG_LEVEL_INFO);
}

static void only_wanted_levels_are_written(void **state)
{
	char out[1000];
	struct capture c;

	(void)state;
	assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
	for (unsigned level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++) {
		log_init((enum log_level)level, false);
		capture_begin(&c, STDERR_FILENO);
		log_error("e");
		log_warning("w");
		log_info("i");
		log_debug("d");
		capture_end(&c, out, sizeof(out));
		for (unsigned other = LOG_LEVEL_ERROR; other <= LOG_LEVEL_DEBUG; other++)
			assert_int_equal(log_wants((enum log_level)other), other <= level);
		assert_int_equal(strstr(out, "error: e\n") != NULL, true);
		assert_int_equal(strstr(out, "warning: w\n") != NULL, level >= LOG_LEVEL_WARNING);
		assert_int_equal(strstr(out, "i\n") != NULL, level >= LOG_LEVEL_INFO);
		assert_int_equal(strstr(out, "debug: d\n") != NULL, level >= LOG_LEVEL_DEBUG);
	}
}

static void log_of(const char *text, bool json, char *out, size_t out_size)
{
	struct capture c;

	log_init(LOG_LEVEL_INFO, json);
	capture_begin(&c, STDERR_FILENO);
	log_info("%s", text);
	capture_end(&c, out, out_size);
}

static void a_message_is_one_line(void **state)
{
	static const struct {
		const char *text, *line;
	} cases[] = {
		{ "plain", "plain\n" },
		{ "", "\n" },
		{ "two\nlines", "two\\x0alines\n" },
		{ "\x1b[31mred\r\x7f", "\\x1b[31mred\\x0d\\x7f\n" },
		{ "\xc2\x85 \xc2\xa0 \xc3\xbc", "\\xc2\\x85 \xc2\xa0 \xc3\xbc\n" },
		{ "\xff\xc3", "\\xff\\xc3\n" },
		{ "\"quoted\" \\", "\"quoted\" \\\n" },
	};
	char out[1000];

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		log_of(cases[i].text, false, out, sizeof(out));
		assert_string_equal(out, cases[i].line);
	}
}

static json_t *parse_line(const char *line)
{
	json_error_t why;
	json_t *j = json_loads(line, JSON_REJECT_DUPLICATES, &why);

	assert_non_null(j);
	assert_non_null(strchr(line, '\n'));
	assert_string_equal(strchr(line, '\n'), "\n");
	assert_int_equal(json_object_size(j), 3);
	assert_string_equal(json_string_value(json_object_get(j, "level")), "info");
	return j;
}

static void json_lines_carry_any_text(void **state)
{
	static const struct {
		const char *text, *msg;
	} cases[] = {
		{ "plain", "plain" },
		{ "", "" },
		{ "\"}\n{\"level\":\"error", "\"}\n{\"level\":\"error" },
		{ "\\ \x01\x1f\x7f\t", "\\ \x01\x1f\x7f\t" },
		{ "\xc2\x85\xc3\xbc\xf0\x9f\x94\x91", "\xc2\x85\xc3\xbc\xf0\x9f\x94\x91" },
		{ "a\xff"
		  "b\xe2\x82",
		  "a\xef\xbf\xbd"
		  "b\xef\xbf\xbd\xef\xbf\xbd" },
	};
	char out[1000];
	int64_t t;

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		json_t *j;

		log_of(cases[i].text, true, out, sizeof(out));
		for (size_t k = 0; k + 1 < strlen(out); k++)
			assert_true((uint8_t)out[k] >= 0x20 && out[k] != 0x7f);
		j = parse_line(out);
		assert_string_equal(json_string_value(json_object_get(j, "msg")), cases[i].msg);
		assert_ok(time_parse(json_string_value(json_object_get(j, "ts")), &t));
		assert_in_range(time(NULL) - t, 0, 60);
		json_decref(j);
	}
}

static void long_messages_are_cut(void **state)
{
	static char text[4000], out[20000];
	json_t *j;

	(void)state;
	memset(text, 1, sizeof(text)); /* the longest in JSON */
	text[sizeof(text) - 1] = '\0';
	log_of(text, true, out, sizeof(out));
	j = parse_line(out);
	assert_true(json_string_length(json_object_get(j, "msg")) > 1000);
	assert_string_equal(strrchr(out, ':') + 1 + strlen(strrchr(out, ':') + 1) - strlen("...\"}\n"), "...\"}\n");
	json_decref(j);
	log_of(text, false, out, sizeof(out));
	assert_string_equal(out + strlen(out) - 4, "...\n");
	assert_int_equal(strchr(out, '\n') - out, strlen(out) - 1);
}

/* A JOURNAL_STREAM that names where stderr goes now, or something else. */
static void journal_prefix(void **state)
{
	static const struct {
		long add;
		const char *lines;
	} cases[] = {
		{ 0, "<3>e\n<4>w\n<6>i\n<7>d\n" },
		{ 1, "error: e\nwarning: w\ni\ndebug: d\n" },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		char out[1000], stream[100];
		struct capture c;
		struct stat st;

		capture_begin(&c, STDERR_FILENO);
		assert_int_equal(fstat(STDERR_FILENO, &st), 0);
		(void)snprintf(stream, sizeof(stream), "%lu:%lu", (unsigned long)st.st_dev,
			       (unsigned long)st.st_ino + (unsigned long)cases[i].add);
		assert_int_equal(setenv("JOURNAL_STREAM", stream, 1), 0);
		log_init(LOG_LEVEL_DEBUG, false);
		log_error("e");
		log_warning("w");
		log_info("i");
		log_debug("d");
		capture_end(&c, out, sizeof(out));
		assert_string_equal(out, cases[i].lines);
	}
	assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
}

static void errno_is_kept(void **state)
{
	char out[1000];
	struct capture c;
	int seen;

	(void)state;
	log_init(LOG_LEVEL_INFO, false);
	capture_begin(&c, STDERR_FILENO);
	(void)close(STDERR_FILENO); /* the write fails with another errno */
	errno = ENOSPC;
	log_info("%d", 1);
	seen = errno;
	capture_end(&c, out, sizeof(out));
	assert_int_equal(seen, ENOSPC);
}

#define N_THREADS 4
#define N_LINES 200

static void *log_lines(void *arg)
{
	char text[100];

	memset(text, *(char *)arg, sizeof(text));
	text[sizeof(text) - 1] = '\0';
	for (unsigned i = 0; i < N_LINES; i++)
		log_info("%s", text);
	return NULL;
}

static void lines_of_threads_stay_whole(void **state)
{
	static char names[N_THREADS] = { 'a', 'b', 'c', 'd' };
	static char out[N_THREADS * N_LINES * 100 + 1];
	size_t count[N_THREADS] = { 0 };
	pthread_t ids[N_THREADS];
	struct capture c;

	(void)state;
	log_init(LOG_LEVEL_INFO, false);
	capture_begin(&c, STDERR_FILENO);
	for (size_t i = 0; i < N_THREADS; i++)
		assert_int_equal(pthread_create(&ids[i], NULL, log_lines, &names[i]), 0);
	for (size_t i = 0; i < N_THREADS; i++)
		assert_int_equal(pthread_join(ids[i], NULL), 0);
	capture_end(&c, out, sizeof(out));
	assert_int_equal(strlen(out), sizeof(out) - 1);
	for (size_t i = 0; i + 1 < sizeof(out); i += 100) {
		assert_true(bytes_all(BYTES(out + i, 99), (uint8_t)out[i]));
		assert_int_equal(out[i + 99], '\n');
		count[out[i] - 'a']++;
	}
	for (size_t i = 0; i < N_THREADS; i++)
		assert_int_equal(count[i], N_LINES);
}

static void quotes(void **state)
{
	static const struct {
		struct bytes in;
		const char *want;
	} cases[] = {
		{ BYTES_LIT("plain text"), "plain text" },
		{ BYTES_LIT(""), "" },
		{ { NULL, 0 }, "" },
		{ BYTES_LIT("a\0b"), "a\\x00b" },
		{ BYTES_LIT("\n\r\t\x1b\x7f"), "\\x0a\\x0d\\x09\\x1b\\x7f" },
		{ BYTES_LIT("\\ \" '"), "\\x5c \\x22 \\x27" },
		{ BYTES_LIT("\xc2\x80\xc2\x9f\xc2\xa0"), "\\xc2\\x80\\xc2\\x9f\xc2\xa0" },
		{ BYTES_LIT("\xc3\xbc\xe2\x82\xac\xf0\x9f\x94\x91"), "\xc3\xbc\xe2\x82\xac\xf0\x9f\x94\x91" },
		{ BYTES_LIT("\xff\xc3"
			    "a\xe2\x82"),
		  "\\xff\\xc3"
		  "a\\xe2\\x82" },
		{ BYTES_LIT("\xed\xa0\x80"), "\\xed\\xa0\\x80" },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++)
		assert_string_equal(log_quote(cases[i].in), cases[i].want);
}

static void long_quotes_are_cut_between_items(void **state)
{
	static const struct {
		const char *item, *shown;
	} items[] = { { "a", "a" },
		      { "\xc3\xbc", "\xc3\xbc" },
		      { "\xe2\x82\xac", "\xe2\x82\xac" },
		      { "\n", "\\x0a" },
		      { "\xc2\x85", "\\xc2\\x85" } };

	(void)state;
	for (size_t i = 0; i < array_len(items); i++) {
		for (size_t lead = 0; lead < 8; lead++) {
			cleanup_buf struct buf b = BUF_INIT(4000);
			struct log_quote q;
			size_t n;

			for (size_t k = 0; k < lead; k++)
				assert_ok(buf_add_str(&b, "x"));
			for (size_t k = 0; k < 300; k++)
				assert_ok(buf_add_str(&b, items[i].item));
			assert_ptr_equal(log_quote_(&q, buf_bytes(&b)), q.text);
			assert_non_null(memchr(q.text, 0, sizeof(q.text)));
			n = strlen(q.text);
			assert_in_range(n, sizeof(q.text) - 1 - strlen(items[i].shown), sizeof(q.text) - 1);
			assert_string_equal(q.text + n - 3, "...");
			assert_int_equal((n - 3 - lead) % strlen(items[i].shown), 0);
			for (size_t k = lead; k < n - 3; k += strlen(items[i].shown))
				assert_memory_equal(q.text + k, items[i].shown, strlen(items[i].shown));
		}
	}
}

static void a_quote_that_just_fits_is_whole(void **state)
{
	char text[256];

	(void)state;
	memset(text, 'a', sizeof(text));
	text[255] = '\0';
	assert_string_equal(log_quote(bytes_str(text)), text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(levels_have_names),
		cmocka_unit_test(only_wanted_levels_are_written),
		cmocka_unit_test(a_message_is_one_line),
		cmocka_unit_test(json_lines_carry_any_text),
		cmocka_unit_test(long_messages_are_cut),
		cmocka_unit_test(journal_prefix),
		cmocka_unit_test(errno_is_kept),
		cmocka_unit_test(lines_of_threads_stay_whole),
		cmocka_unit_test(quotes),
		cmocka_unit_test(long_quotes_are_cut_between_items),
		cmocka_unit_test(a_quote_that_just_fits_is_whole),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
