/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index of an image archive, and manifest.json. Whatever the bytes are:
 * names are paths that lead nowhere else, each stands there once, and what
 * they name lies within the archive.
 */
#include <string.h>
#include <sys/mman.h>

#include "base/file.h"
#include "firmware-measure/archive.h"
#include "firmware-measure/oci_docker.h"
#include "tests/fuzz/fuzz.h"

static bool leads_elsewhere(const char *name)
{
	size_t n = strlen(name);

	return name[0] == '/' || strcmp(name, "..") == 0 || strncmp(name, "../", 3) == 0 ||
	       strstr(name, "/../") != NULL || (n >= 3 && strcmp(name + n - 3, "/..") == 0) ||
	       strchr(name, '\n') != NULL;
}

static void check_index(const struct span *s)
{
	cleanup_archive struct archive a = { 0 };
	struct reason why = { "" };

	if (failed(archive_index(s, &a, &why))) {
		fuzz_must(a.v == NULL && a.n == 0);
		return;
	}
	fuzz_must(a.n <= LIMIT_ARCHIVE_MEMBERS);
	for (size_t i = 0; i < a.n; i++) {
		fuzz_must(!leads_elsewhere(a.v[i].name));
		fuzz_must(i == 0 || strcmp(a.v[i - 1].name, a.v[i].name) < 0);
		fuzz_must(archive_find(&a, a.v[i].name) == &a.v[i]);
		fuzz_must(!a.v[i].is_file || (a.v[i].offset <= s->size && a.v[i].size <= s->size - a.v[i].offset));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	cleanup_docker_manifest struct docker_manifest m = { 0 };
	cleanup_fd int fd = memfd_create("fuzz", MFD_CLOEXEC);
	struct span s = { .fd = fd, .size = n, .name = "fuzz" };
	struct reason why = { "" };

	fuzz_must(fd >= 0 && !failed(fd_write_all(fd, BYTES(data, n))));
	check_index(&s);
	if (!failed(docker_manifest_parse(BYTES(data, n), &m, &why))) {
		fuzz_must(m.n > 0 && m.n <= LIMIT_DOCKER_IMAGES);
		for (size_t i = 0; i < m.n; i++)
			fuzz_must(m.v[i].config != NULL && m.v[i].n_layers <= LIMIT_OCI_LAYERS);
	}
	return 0;
}
