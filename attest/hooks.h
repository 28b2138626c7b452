/* SPDX-License-Identifier: Apache-2.0 */
/* The verb hooks, in parts: where our hooks are told to engines and runtimes, and rules made from an image. */
#ifndef ASSAY_ATTEST_HOOKS_H
#define ASSAY_ATTEST_HOOKS_H

#include "base/json.h"

#define HOOKS_DIR "/etc/containers/oci/hooks.d" /* of podman and CRI-O */

/* Where hooks are told. bundle NULL: the folder dir, for every container with the annotation. */
struct hooks_place {
	const char *dir;
	const char *bundle;
	const char *agent;  /* of a bundle: its annotation; NULL: as it is */
	const char *config; /* configuration file for our hooks, or NULL */
};

/*
 * Tells our hooks there: two files of version 1.0.0 (oci-hooks(5)), or in the config.json of the bundle. There they
 * stand behind all others, because what others change afterwards nobody has looked at. What is there of ours already
 * is replaced. Appends the names of the files that were written to the array files.
 *
 * E_LOCAL_NOT_FOUND (folder, config.json), E_PEER_* (a config.json that is none), E_LOCAL_IO, E_LOCAL_PERMISSION.
 */
must_check struct err hooks_install(const struct hooks_place *p, json_t *files, struct reason *reterr);

/* Takes them away; E_OK where there are none. */
must_check struct err hooks_remove(const struct hooks_place *p, json_t *files, struct reason *reterr);

/*
 * Whether a config.json, as parsed, has the hook of this program without which a container starts unjudged. That of
 * poststop is not asked for: podman keeps it back and calls it itself, and the daemon notices an end without it.
 * E_LOCAL_IO.
 */
must_check struct err hooks_are_in(const json_t *hooks, bool *ret, struct reason *reterr);

struct hooks_policy {
	const char *agent, *image /* LAYOUT[:TAG] */, *model;
	const char *model_at; /* where the container has it */
	const char *user;     /* "UID[:GID]"; NULL: as the image says */
	bool allow_devices;
};

/*
 * An entry of assay-containers(5) for an image: its digests, its program and arguments, variables, working folder
 * and user, and which mount points it lacks. warnings: array of texts, on what the image leaves open.
 *
 * Errors of oci_measure_root(); E_PEER_RANGE: no entry can be made of what the image says, with the reason.
 */
must_check struct err hooks_policy_make(const struct hooks_policy *p, json_t *warnings, json_t **ret,
					struct reason *reterr);

#endif
