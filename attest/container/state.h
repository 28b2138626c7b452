/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an OCI runtime says of a container to its hooks, on their standard input.
 *
 * Only what is named here is read. Members that are not named are passed over: runtimes add some ("root", "owner",
 * "created"), and none of them can loosen anything, because what a container may do stands in its config.json.
 *
 * Source: OCI Runtime Specification 1.0 and 1.1, runtime.md, State.
 */
#ifndef ASSAY_ATTEST_CONTAINER_STATE_H
#define ASSAY_ATTEST_CONTAINER_STATE_H

#include <sys/types.h>

#include "base/json.h"
#include "base/limits.h"

#define CONTAINER_STATE_MAX LIMIT_DOCUMENT /* bytes */
#define CONTAINER_ID_MAX 1024
#define CONTAINER_ANNOTATION "dev.assay.agent" /* selects the rules by the name of an agent */

struct container_state {
	json_t *json;       /* owner of the texts */
	const char *id;     /* A-Z a-z 0-9 + . _ -, as runc wants them; neither "." nor ".." */
	const char *status; /* "creating", "created", "running" or "stopped" */
	const char *bundle; /* absolute path */
	const char *agent;  /* of the annotation, id_valid(); NULL: there is none */
	pid_t pid;          /* of its init, in the pid namespace of the runtime; 0: none is said, which goes with stopped */
};
void container_state_done(struct container_state *s);
#define cleanup_container_state cleanup(container_state_done)

/*
 * ret: {0}, and unchanged on failure. E_PEER_MISSING, E_PEER_TYPE, E_PEER_RANGE (an id, status, pid or agent of a
 * form that they cannot have, a bundle that is no absolute path), E_PEER_UNSUPPORTED (ociVersion is not 1.x), and the
 * errors of json_parse().
 */
must_check struct err container_state_parse(struct bytes in, struct container_state *ret, struct reason *reterr);

#endif
