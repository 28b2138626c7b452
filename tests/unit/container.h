/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations and rules of containers from tests/data/container, with changes told by a path into the JSON. */
#ifndef ASSAY_TESTS_CONTAINER_H
#define ASSAY_TESTS_CONTAINER_H

#include <fcntl.h>

#include "base/file.h"
#include "base/json.h"
#include "unit.h"

static inline json_t *container_fixture(const char *name)
{
	cleanup_buf struct buf text = BUF_INIT(1 << 20);
	const char *data = getenv("ASSAY_TEST_DATA");
	char path[4096];
	json_t *j = NULL;

	assert_non_null(data);
	(void)snprintf(path, sizeof(path), "%s/container/%s", data, name);
	assert_ok(file_read(AT_FDCWD, path, &text));
	assert_ok(json_parse(buf_bytes(&text), text.max, &j, NULL));
	return j;
}

/* One step down; of an array by its number. */
static inline json_t *container_step(json_t *at, const char *name)
{
	return json_is_array(at) ? json_array_get(at, strtoul(name, NULL, 10)) : json_object_get(at, name);
}

/*
 * path: "process/user/uid", members that are missing are made; numbers count in arrays, "+" appends. value: JSON text;
 * NULL takes the member away. A '|' in place of '/' lets names have a '/'.
 */
static inline void container_edit(json_t *root, const char *path, const char *value)
{
	char copy[512], separator[2] = { strchr(path, '|') != NULL ? '|' : '/', '\0' };
	json_t *v = value == NULL ? NULL : json_loads(value, JSON_DECODE_ANY, NULL), *at = root;
	char *name = copy, *next;

	assert_true(value == NULL || v != NULL);
	(void)snprintf(copy, sizeof(copy), "%s", path);
	while ((next = strstr(name, separator)) != NULL) {
		*next = '\0';
		if (container_step(at, name) == NULL)
			assert_int_equal(json_object_set_new(at, name, json_object()), 0);
		at = container_step(at, name);
		assert_non_null(at);
		name = next + 1;
	}
	if (strcmp(name, "+") == 0)
		assert_int_equal(json_array_append_new(at, v), 0);
	else if (json_is_array(at) && v == NULL)
		assert_int_equal(json_array_remove(at, strtoul(name, NULL, 10)), 0);
	else if (json_is_array(at))
		assert_int_equal(json_array_set_new(at, strtoul(name, NULL, 10), v), 0);
	else if (v == NULL)
		assert_int_equal(json_object_del(at, name), 0);
	else
		assert_int_equal(json_object_set_new(at, name, v), 0);
}

/* Text of it in memory of exactly its size. */
static inline struct bytes container_text(const json_t *j, struct buf *to)
{
	buf_init(to, 1 << 20);
	assert_ok(json_write(j, to));
	return buf_bytes(to);
}

#endif
