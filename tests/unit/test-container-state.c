/* SPDX-License-Identifier: Apache-2.0 */
/* What runtimes tell their hooks. */
#include "unit.h"

#include "attest/container/state.h"

/* As runc 1.1 and crun 1.8 write it. */
#define RUNC                                                                                                           \
	"{\"ociVersion\":\"1.0.2-dev\",\"id\":\"c-1\",\"status\":\"creating\",\"pid\":15767,\"bundle\":\"/b\","        \
	"\"annotations\":{\"dev.assay.agent\":\"a\"}}"
#define RUNC_STOPPED                                                                                                   \
	"{\"ociVersion\":\"1.0.2-dev\",\"id\":\"c-1\",\"status\":\"stopped\",\"bundle\":\"/b\",\"annotations\":{}}"
#define CRUN                                                                                                           \
	"{\"ociVersion\":\"1.0\",\"id\":\"c-1\",\"pid\":7,\"root\":\"/r\",\"bundle\":\"/b\",\"status\":\"created\","   \
	"\"annotations\":{\"dev.assay.agent\":\"agent-b\",\"x\":\"y\"}}"

static struct err parse(const char *text, struct container_state *ret, struct reason *why)
{
	why->text[0] = '\0';
	return container_state_parse(bytes_str(text), ret, why);
}

static void test_runtimes(void **state)
{
	cleanup_container_state struct container_state a = { 0 }, b = { 0 }, c = { 0 };
	struct reason why;

	(void)state;
	assert_ok(parse(RUNC, &a, &why));
	assert_string_equal(a.id, "c-1");
	assert_string_equal(a.status, "creating");
	assert_string_equal(a.bundle, "/b");
	assert_string_equal(a.agent, "a");
	assert_int_equal(a.pid, 15767);
	assert_ok(parse(RUNC_STOPPED, &b, &why));
	assert_int_equal(b.pid, 0);
	assert_null(b.agent);
	assert_ok(parse(CRUN, &c, &why));
	assert_string_equal(c.agent, "agent-b");
	assert_int_equal(c.pid, 7);
}

static void test_no_annotations(void **state)
{
	static const char *const texts[] = {
		"{\"ociVersion\":\"1.1.0\",\"id\":\"c\",\"pid\":1,\"bundle\":\"/b\",\"status\":\"running\"}",
		"{\"ociVersion\":\"1.1.0\",\"id\":\"c\",\"pid\":1,\"bundle\":\"/b\",\"status\":\"running\",\"annotations\":null}",
	};

	(void)state;
	for (size_t i = 0; i < array_len(texts); i++) {
		cleanup_container_state struct container_state s = { 0 };
		struct reason why;

		assert_ok(parse(texts[i], &s, &why));
		assert_null(s.agent);
	}
}

static const struct {
	const char *text;
	enum err_code code;
	const char *why;
} refused[] = {
	{ "", E_PEER_SYNTAX, "nothing there" },
	{ "[]", E_PEER_TYPE, "an object" },
	{ "{}", E_PEER_MISSING, "ociVersion" },
	{ RUNC "x", E_PEER_SYNTAX, "line 1" },
	{ "{\"ociVersion\":\"2.0\",\"id\":\"c\",\"pid\":1,\"bundle\":\"/b\",\"status\":\"created\"}", E_PEER_UNSUPPORTED, "2.0" },
	{ "{\"ociVersion\":\"1.0\",\"pid\":1,\"bundle\":\"/b\",\"status\":\"created\"}", E_PEER_MISSING, "state.id" },
	{ "{\"ociVersion\":\"1.0\",\"id\":\"\",\"pid\":1,\"bundle\":\"/b\",\"status\":\"created\"}", E_PEER_RANGE, "id" },
	{ "{\"ociVersion\":\"1.0\",\"id\":\"..\",\"pid\":1,\"bundle\":\"/b\",\"status\":\"created\"}", E_PEER_RANGE, "id" },
	{ "{\"ociVersion\":\"1.0\",\"id\":\"a/b\",\"pid\":1,\"bundle\":\"/b\",\"status\":\"created\"}", E_PEER_RANGE, "id" },
	{ "{\"ociVersion\":\"1.0\",\"id\":\"c\",\"id\":\"d\",\"pid\":1,\"bundle\":\"/b\",\"status\":\"created\"}", E_PEER_DUPLICATE, "" },
	{ "{\"ociVersion\":\"1.0\",\"id\":\"c\",\"pid\":1,\"bundle\":\"b\",\"status\":\"created\"}", E_PEER_RANGE, "absolute" },
	{ "{\"ociVersion\":\"1.0\",\"id\":\"c\",\"pid\":1,\"bundle\":\"/b\",\"status\":\"paused\"}", E_PEER_RANGE, "paused" },
	{ "{\"ociVersion\":\"1.0\",\"id\":\"c\",\"bundle\":\"/b\",\"status\":\"created\"}", E_PEER_MISSING, "no pid" },
	{ "{\"ociVersion\":\"1.0\",\"id\":\"c\",\"pid\":0,\"bundle\":\"/b\",\"status\":\"created\"}", E_PEER_MISSING, "no pid" },
	{ "{\"ociVersion\":\"1.0\",\"id\":\"c\",\"pid\":-1,\"bundle\":\"/b\",\"status\":\"created\"}", E_PEER_RANGE, "state.pid" },
	{ "{\"ociVersion\":\"1.0\",\"id\":\"c\",\"pid\":4194305,\"bundle\":\"/b\",\"status\":\"created\"}", E_PEER_RANGE, "state.pid" },
	{ "{\"ociVersion\":\"1.0\",\"id\":\"c\",\"pid\":\"1\",\"bundle\":\"/b\",\"status\":\"created\"}", E_PEER_TYPE, "state.pid" },
	{ "{\"ociVersion\":\"1.0\",\"id\":\"c\",\"pid\":1,\"bundle\":\"/b\",\"status\":\"created\",\"annotations\":[]}", E_PEER_TYPE,
	  "annotations" },
	{ "{\"ociVersion\":\"1.0\",\"id\":\"c\",\"pid\":1,\"bundle\":\"/b\",\"status\":\"created\",\"annotations\":{\"dev.assay.agent\":1}}",
	  E_PEER_TYPE, "dev.assay.agent" },
	{ "{\"ociVersion\":\"1.0\",\"id\":\"c\",\"pid\":1,\"bundle\":\"/b\",\"status\":\"created\",\"annotations\":{\"dev.assay.agent\":\"a b\"}}",
	  E_PEER_RANGE, "dev.assay.agent" },
	{ "{\"ociVersion\":\"1.0\",\"id\":\"c\",\"pid\":1,\"bundle\":\"/b\",\"status\":\"created\",\"annotations\":{\"dev.assay.agent\":\"\"}}",
	  E_PEER_RANGE, "dev.assay.agent" },
};

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(refused); i++) {
		struct container_state s = { 0 };
		struct reason why;

		assert_code(parse(refused[i].text, &s, &why), refused[i].code);
		if (strstr(why.text, refused[i].why) == NULL)
			fail_msg("%s: \"%s\" expected in \"%s\"", refused[i].text, refused[i].why, why.text);
		assert_null(s.json);
		assert_null(s.id);
	}
}

static void test_too_large(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(CONTAINER_STATE_MAX + 1);
	struct container_state s = { 0 };

	(void)state;
	assert_ok(buf_add_str(&b, RUNC));
	while (b.n < CONTAINER_STATE_MAX)
		assert_ok(buf_add_u8(&b, ' '));
	assert_ok(container_state_parse(buf_bytes(&b), &s, NULL));
	container_state_done(&s);
	assert_ok(buf_add_u8(&b, ' '));
	assert_err(container_state_parse(buf_bytes(&b), &s, NULL), E_LIMIT_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_runtimes),
		cmocka_unit_test(test_no_annotations),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
