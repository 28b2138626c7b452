/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What containers may do on this host: assay-containers(5), of root. The name of an agent selects an entry;
 * nothing else that the starter of a container says decides.
 *
 *   {"version": 1, "containers": [ENTRY, ...]}
 *
 * Strict JSON of printable ASCII: unknown members, two entries for an agent, and any other character are refused, and
 * so is the whole file where one entry is damaged. The digest of an entry is SHA-256 of its canonical form
 * (json_write()), which is the same in every JSON library then.
 */
#ifndef ASSAY_ATTEST_CONTAINER_RULES_H
#define ASSAY_ATTEST_CONTAINER_RULES_H

#include <sys/types.h>

#include "base/json.h"
#include "firmware-measure/workload_event.h"

#define CONTAINER_RULES_MAX ((size_t)1024 * 1024) /* bytes of the file */
#define CONTAINER_RULES_ENTRIES 1024
#define CONTAINER_RULES_LIST 64 /* elements of each list of an entry but args and env */

enum container_seccomp { CONTAINER_SECCOMP_REQUIRED, CONTAINER_SECCOMP_ANY, CONTAINER_SECCOMP_EXACT };

/* Texts and parts live as long as the struct. Parts that are not there are NULL, unless it says otherwise. */
struct container_rules {
	json_t *json;               /* the entry; owner */
	const char *agent;
	const char *model;          /* absolute path on the host */
	struct image_digests image;
	uint8_t rootfs[32];
	const json_t *absent;       /* array of paths; never NULL */
	bool allow_devices;
	bool verdict_before;        /* the container starts only once the verifier has accepted it */
	uint8_t digest[32];         /* "policy" of a workload event */
	const json_t *args;         /* array of arrays of texts; NULL: any */
	const json_t *env;          /* object of texts, null: any value */
	uint32_t uid, gid;          /* uid is never 0 */
	const json_t *additional_gids;
	const char *cwd;            /* never NULL */
	const json_t *mounts;       /* of objects: struct container_mount_rule */
	const json_t *capabilities; /* array of texts */
	enum container_seccomp seccomp;
	uint8_t seccomp_digest[32];
	const json_t *namespaces;   /* object: kind -> "new", "host" or a path */
	const json_t *devices;      /* array of objects: path, major, minor */
	const json_t *hooks;        /* array of paths of programs */
	const json_t *sysctl, *annotations; /* objects of texts, null: any value */
	const char *apparmor;
	const json_t *unmasked;     /* array of paths */
	const json_t *runtime_folders; /* array of paths: where podman keeps what it mounts itself */

	/* What the caller sets after loading, borrowed; NULL: the defaults. */
	const char *state_dir, *socket; /* of struct conf: no mount may give access to the former */
	const char *program;            /* path that our own hooks have; NULL: of this process */
};
void container_rules_done(struct container_rules *r);
#define cleanup_container_rules cleanup(container_rules_done)

/* A permitted mount. */
struct container_mount_rule {
	const char *destination;
	const char *source;    /* NULL for a tmpfs */
	bool is_tmpfs;
	bool writable;         /* a bind mount is read-only otherwise */
	bool required;
	const json_t *options; /* that are permitted besides the usual ones, or NULL */
};
/* One element of rules.mounts. Errors of base/json.h, E_PEER_RANGE. */
must_check struct err container_mount_rule_read(const json_t *j, struct container_mount_rule *ret,
						struct reason *reterr);

/*
 * The entry of that agent in a file that only root can change: it and its folder belong to root (or to whom this
 * process runs as) and nobody else may write to them.
 *
 * ret: {0}, unchanged on failure. E_LOCAL_NOT_FOUND: no such file, or no entry for the agent. E_LOCAL_PERMISSION:
 * others can change the file or its folder. E_LOCAL_CONFIG: what is in it, with key and cause. E_LOCAL_IO, E_LIMIT_SIZE.
 */
must_check struct err container_rules_load(const char *file, const char *agent, struct container_rules *ret,
					   struct reason *reterr);

/* The same of the file's text. Errors of base/json.h, E_PEER_RANGE, E_LOCAL_NOT_FOUND. */
must_check struct err container_rules_parse(struct bytes in, const char *agent, struct container_rules *ret,
					    struct reason *reterr);

/* One entry alone. j: a reference is taken. */
must_check struct err container_rules_take(json_t *j, struct container_rules *ret, struct reason *reterr);

#endif
