/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers: the instances that a runtime's hook has made. Nobody stays with them as `run` stays with its command, so
 * the daemon does: a watcher for each (watcher.h), an attestation of that instance at once where something was done to
 * its root or model, and its end where it is not accepted any more, or no instance: SIGTERM to its init, after conf->grace_s SIGKILL,
 * which takes everything in its pid namespace with it.
 *
 * Which there are says the roster. So a daemon that was started again has the containers of the one before.
 */
#ifndef ASSAY_ATTEST_DAEMON_CONTAINER_H
#define ASSAY_ATTEST_DAEMON_CONTAINER_H

#include "attest/daemon/job.h"
#include "attest/daemon/serve.h"

#define CONTAINER_WATCH_TIMEOUT_S 60 /* for a hook that waits until its container is being watched */
#define CONTAINER_NEVER UINT64_MAX

/* All times in clock_boottime_ms(). */
struct container {
	uint8_t id[INSTANCE_ID_LEN];
	char *name, *root;     /* the runtime's id of it, its root folder */
	int pidfd;             /* of its init: the container is here until that has ended */
	uint64_t since_ms;     /* it is known here */
	struct job watcher;
	bool watched;          /* the watcher has said so, and lives */
	bool inherited;        /* lived when the daemon began */
	bool vetted;           /* it keeps to our rules, or did so under the daemon before */
	bool fresh;            /* for the first time, and no attestation of ours has had it digested yet */
	uint8_t last_word;     /* of the watcher, whose reason is being read; 0: none */
	struct reason why;     /* it is not watched; "": it is not known yet whether it can be */
	unsigned n_failures;   /* of its watchers, in a row */
	uint64_t start_at_ms;  /* a watcher */
	uint64_t digest_at_ms; /* and attest */
	bool ending;
	uint64_t kill_at_ms;
};

struct daemon;
struct containers {
	size_t n;
	bool begun;            /* those that lived when the daemon began are there */
	unsigned reading;      /* of the roster, that these are of */
	struct container *v[LIMIT_INSTANCES];
};
void containers_done(struct containers *c);

/* Which there are now; watchers and signals that are due. Pointers to containers are void afterwards. */
void containers_tick(struct daemon *d);
/* Its watcher has said something. */
void container_ready(struct daemon *d, struct container *c);
/* When the next watcher or signal is due. */
uint64_t containers_next_ms(const struct containers *c);

/* NULL: no instance in a container that lives has this id. */
struct container *containers_find(const struct containers *c, const uint8_t id[INSTANCE_ID_LEN]);
/* Each is being watched, or it is known that it is not. */
bool containers_settled(const struct containers *c);
/* The one whose digests are due next, or NULL. */
struct container *containers_due(const struct containers *c);
/* An attestation begins in which everything is digested. */
void containers_digested(struct containers *c);
/* Ends those that an attestation which began at since_ms, and was decided, did not accept. */
void containers_judge(struct daemon *d, const struct outcome *o, uint64_t since_ms);
/* For a status: adds "containers", as many of them as a reply has room for. */
must_check struct err containers_put(const struct containers *c, json_t *o);

#endif
