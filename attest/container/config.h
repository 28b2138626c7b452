/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The config.json of a container's bundle: read, not judged (judge.h does that).
 *
 * It is hostile: whoever starts a container writes it. Every part is taken that says what the container may do, with
 * the type that the specification gives it. What the specification does not know, or only later versions of it, is
 * refused where it could loosen something: members of the document itself, of process, process.user,
 * process.capabilities, root, linux, linux.resources, and of each entry of mounts, linux.namespaces, linux.devices,
 * linux.resources.devices, each hook, linux.seccomp and its rules. Settings for other systems (windows, solaris, vm,
 * zos, freebsd) are such members, and so are names in other letters: Go's decoder, which runc uses, takes "Mounts" for
 * "mounts". Not looked into are process.rlimits, process.scheduler, process.ioPriority, process.execCPUAffinity,
 * process.consoleSize, and what linux.resources says of processors, memory, numbers of processes and throughput: they
 * share out the host and give access to nothing.
 *
 * Source: OCI Runtime Specification 1.0 and 1.1, config.md, config-linux.md; runc 1.1, crun 1.8, podman 4.3.
 */
#ifndef ASSAY_ATTEST_CONTAINER_CONFIG_H
#define ASSAY_ATTEST_CONTAINER_CONFIG_H

#include <sys/types.h>

#include "base/json.h"
#include "base/limits.h"

#define CONTAINER_CONFIG_MAX ((size_t)1024 * 1024) /* bytes */
#define CONTAINER_LIST_MAX 1024                    /* arguments, variables, mounts, paths, rules: each list */

/* Texts and parts live as long as the struct. Parts that are not there are NULL. */
struct container_config {
	json_t *json;                 /* owner */
	const char *root;             /* root.path as written: relative to the bundle, or absolute */
	bool root_readonly;
	uint32_t uid, gid;            /* process.user */
	size_t n_args;                /* at least 1 */
	char **args;                  /* the array is owned, texts are borrowed; ends with NULL */
	const char *cwd;              /* absolute */
	bool no_new_privileges;
	const char *agent;            /* of the annotation, id_valid(), or NULL */
	const json_t *additional_gids, *env;
	const json_t *capabilities;   /* object of arrays of texts */
	const json_t *annotations;    /* object of texts */
	const json_t *mounts;         /* array of objects */
	const json_t *hooks;          /* object of arrays of objects */
	const json_t *namespaces, *devices, *device_rules;
	const json_t *uid_mappings, *gid_mappings;
	const json_t *sysctl, *unified; /* objects of texts */
	const json_t *seccomp;        /* object */
	const json_t *masked, *readonly_paths;
	const json_t *personality;
	const char *apparmor, *selinux, *mount_label, *propagation, *cgroups_path;
	const char *id;               /* of the container: the caller sets it from the state; NULL: not known */
};
void container_config_done(struct container_config *c);
#define cleanup_container_config cleanup(container_config_done)

/*
 * ret: {0}, and unchanged on failure. E_PEER_MISSING (process, process.args, process.cwd, process.user, root, linux),
 * E_PEER_UNKNOWN_KEY, E_PEER_TYPE, E_PEER_RANGE, E_PEER_UNSUPPORTED (ociVersion is not 1.x), E_LIMIT_COUNT,
 * E_LIMIT_SIZE, and the errors of json_parse().
 */
must_check struct err container_config_parse(struct bytes in, struct container_config *ret, struct reason *reterr);

#endif
