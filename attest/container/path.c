/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/container/path.h"

#include <string.h>

#include "base/cleanup.h"
#include <config.h> /* of the build, not the one beside this file */

bool container_path_normal(const char *path)
{
	const char *p = path;

	if (strcmp(path, "/") == 0)
		return true;
	if (path[0] == '\0')
		return false;
	while (*p == '/') {
		size_t n = strcspn(++p, "/");

		if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		p += n;
	}
	return *p == '\0';
}

bool container_path_within(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	if (strcmp(folder, "/") == 0)
		return true;
	return strncmp(path, folder, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

static const struct {
	const char *path, *what;
} protected[] = {
	{ "/dev", "devices" },
	{ "/proc", "the host's /proc" },
	{ "/sys", "the host's /sys" },
	{ "/etc/assay", "the configuration of Assay" },
	{ ASSAY_SYSCONFDIR, "the configuration of Assay" },
	{ "/var/lib/assay", "keys and records of Assay" },
	{ "/run/assay", "the verifier's sockets" },
	{ "/run/assay-attest", "the daemon's folder, but at its own place" },
	{ "/run/systemd", "sockets of systemd" },
	{ "/run/dbus", "the system bus" },
	{ "/run/user", "sockets of users" },
	{ "/run/podman", "the socket of podman" },
	{ "/run/libpod", "what podman keeps" },
	{ "/run/containers", "what podman keeps" },
	{ "/run/docker.sock", "the socket of docker" },
	{ "/run/docker", "what docker keeps" },
	{ "/run/containerd", "the socket of containerd" },
	{ "/run/crio", "the socket of CRI-O" },
	{ "/run/runc", "what runc keeps" },
	{ "/run/crun", "what crun keeps" },
	{ "/run/netns", "network namespaces" },
	{ "/var/lib/docker", "what docker keeps" },
	{ "/var/lib/containerd", "what containerd keeps" },
	{ "/etc/containers", "the configuration of podman" },
};

/* Named volumes lie among what is protected. */
#define STORAGE "/var/lib/containers"
#define VOLUMES "/var/lib/containers/storage/volumes/"

static bool overlaps(const char *a, const char *b)
{
	return container_path_within(a, b) || container_path_within(b, a);
}

const char *container_path_protected(const char *source, const char *state_dir)
{
	/* /var/run is a link to /run wherever there is a /run. */
	const char *path = strncmp(source, "/var/run/", 9) == 0 ? source + 4 : source;

	if (strcmp(source, "/var/run") == 0)
		path = "/run";
	for (size_t i = 0; i < array_len(protected); i++)
		if (overlaps(path, protected[i].path))
			return protected[i].what;
	if (overlaps(path, STORAGE) && strncmp(path, VOLUMES, strlen(VOLUMES)) != 0)
		return "what podman keeps";
	if (state_dir != NULL && overlaps(path, state_dir))
		return "the state folder";
	return NULL;
}
