/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the configuration of a container keeps to the rules of its agent. assay-containers(5) tells every rule;
 * what is not told there, a container may not have.
 *
 * Always: a read-only root, no new privileges, a user of its own that is not root, new process and mount
 * namespaces and no user namespace, no device of the host but those listed, no hook but ours and those listed, nothing
 * of the host mounted but what is listed and what the runtime makes itself (/proc, /dev, /sys, ...), no propagation of
 * mounts, no annotation that changes what the runtime does.
 */
#ifndef ASSAY_ATTEST_CONTAINER_JUDGE_H
#define ASSAY_ATTEST_CONTAINER_JUDGE_H

#include "attest/container/config.h"
#include "attest/container/rules.h"

/*
 * The environment of our hooks, all of it. Without one in the configuration, runc and crun hand down that of whoever
 * called them, which could make another program of ours; and podman drops an empty one on its way to them.
 */
#define CONTAINER_HOOK_ENV "PATH=/usr/sbin:/usr/bin:/sbin:/bin"

/* By this annotation and value crun(1) shows what a hook says, as the others do by themselves. */
#define CONTAINER_HOOK_STDERR "run.oci.hooks.stderr"
#define CONTAINER_HOOK_STDERR_VALUE "/dev/stderr"

/*
 * E_AUTH_REFUSED: the first rule that is broken, with what was expected and what was seen. E_LOCAL_MEMORY,
 * E_LOCAL_CRYPTO. Looks at the file system for one thing only: where permitted sources of bind mounts lead by symbolic
 * links.
 */
must_check struct err container_judge(const struct container_config *c, const struct container_rules *r,
				      struct reason *reterr);

/* SHA-256 of a seccomp profile as "seccomp" of the rules tells it. */
must_check struct err container_seccomp_digest(const json_t *seccomp, uint8_t ret[32]);

#endif
