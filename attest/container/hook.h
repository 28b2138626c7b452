/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the OCI runtime hook does.
 *
 * The runtime has made the container's namespaces and root and holds its init; whether that may go on is decided here,
 * by the rules of this host (rules.h). The name of an entry of these rules is all that counts of what the starter of
 * the container says. Not being asked, or failing, starts nothing that could get a credential: only an instance in the
 * workload log has a key.
 *
 * Sources: OCI Runtime Specification 1.1, runtime.md (lifecycle, state) and config.md (POSIX-platform Hooks).
 */
#ifndef ASSAY_ATTEST_CONTAINER_HOOK_H
#define ASSAY_ATTEST_CONTAINER_HOOK_H

#include "attest/container/state.h"
#include "attest/host.h"

struct hook_report {
	char instance[INSTANCE_HEX_LEN + 1];
	struct measured measured;
	uint64_t digest_ms, total_ms; /* digesting root and model; all together */
};

/*
 * createRuntime: judges the bundle's configuration, digests root and model, starts an instance whose process is the
 * container's init, has the daemon watch it. After a failure no instance lives.
 *
 * E_AUTH_REFUSED: the rules are broken, another root, or a verdict against it; E_LOCAL_NOT_FOUND: no entry of that
 * name, or no daemon; E_AUTH_CONFLICT: an instance of that container lives, or its root is another folder;
 * E_PEER_CHANGED: root or model changed meanwhile; E_PEER_*: what cannot be read or digested; E_LOCAL_*.
 * The reason is the host's.
 */
must_check struct err hook_create_runtime(struct host *h, const struct container_state *s, struct hook_report *ret);

/* poststop: ends the instance of the container; E_OK where there is none. *ret_why: as of instance_end(). */
must_check struct err hook_poststop(struct host *h, const struct container_state *s, struct reason *ret_why);

#endif
