/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an instance keeps in the state folder:
 *
 *   instances/<hex id>/instance.json  who started it, with what, in which process
 *   instances/<hex id>/key.pub        TPMT_PUBLIC of its key
 *   instances/<hex id>/key.priv       TPM2B_PRIVATE, encrypted by the TPM
 *   instances/<hex id>/auth           the key's authValue, 0600: whoever has it and the TPM can sign
 *
 * The workload log says which instances live; a folder without a start there, or
 * after an end, is a remainder and goes away.
 */
#ifndef ASSAY_ATTEST_INSTANCE_H
#define ASSAY_ATTEST_INSTANCE_H

#include <sys/types.h>

#include "attest/wkey.h"
#include "base/json.h"
#include "firmware-measure/workload_event.h"

#define INSTANCE_ABSENT_MAX 64 /* paths of instance_container.absent */
#define INSTANCE_HEX_LEN (2 * INSTANCE_ID_LEN)

/* A process, so that another one with the same number is not taken for it. */
struct process_id {
	pid_t pid;
	uint64_t start;    /* clock ticks since boot, field 22 of /proc/PID/stat */
	char boot[37];     /* /proc/sys/kernel/random/boot_id */
};
must_check struct err process_self(struct process_id *ret);
/* Who has this number now. E_LOCAL_NOT_FOUND, E_LOCAL_IO: nobody. */
must_check struct err process_find(pid_t pid, struct process_id *ret);
/* False also where it has ended and nobody has waited for it yet. */
bool process_alive(const struct process_id *p);
/* Whether the process has not ended yet. */
bool pidfd_alive(int pidfd);
/* The process that pid is a child of now; 0 for none in our pid namespace. E_LOCAL_NOT_FOUND, E_LOCAL_IO: it is gone. */
must_check struct err process_parent(pid_t pid, pid_t *ret);

/* What an instance in a container has: the runtime's hook has made it. id NULL: an instance of `run`. */
struct instance_container {
	char *id;                   /* the runtime's, unique on this host while it lives */
	char *rootfs;               /* absolute path of its root folder, in our mount namespace */
	uint64_t dev, ino;          /* of that folder: another one under its name is another root */
	json_t *absent;             /* array of absolute paths: what the image has not and the runtime may make, to mount
				       something there */
	bool allow_devices;         /* in the root */
	uint8_t policy[32];         /* of workload_event.h */
	struct image_digests image; /* which the policy names for that root */
};

struct instance {
	uint8_t id[INSTANCE_ID_LEN];
	char agent[65];
	char *image;       /* absolute path of the OCI layout, NULL for a container; owned, as are the next two */
	char *image_select; /* tag or digest, or NULL */
	char *model;       /* absolute path */
	uint32_t uid;      /* of the command */
	int64_t started_s;
	struct process_id parent; /* `run`; of a container its init */
	struct instance_container container;
};
void instance_done(struct instance *i);
#define cleanup_instance cleanup(instance_done)

/* "0123...": 32 lower-case hex digits. E_PEER_SYNTAX, E_PEER_RANGE. */
must_check struct err instance_id_parse(const char *hex, uint8_t ret[INSTANCE_ID_LEN]);
void instance_id_format(const uint8_t id[INSTANCE_ID_LEN], char ret[INSTANCE_HEX_LEN + 1]);

/*
 * Writes the folder whole or not at all, as far as processes can see. It is not
 * forced to disk: when the machine stops, what is lost is of an earlier boot, whose
 * keys the TPM has forgotten; and an instance of the log without a folder is ended.
 * E_LOCAL_*.
 */
must_check struct err instance_write(int state_fd, const struct instance *i, const struct wkey_blob *key);
/* ret: {0}. key: WKEY_BLOB_INIT, or NULL. E_LOCAL_NOT_FOUND; E_PEER_* for damaged files. */
must_check struct err instance_read(int state_fd, const uint8_t id[INSTANCE_ID_LEN], struct instance *ret,
				    struct wkey_blob *key, struct reason *reterr);
/* Calls take() for each folder that is whole, in no particular order. */
must_check struct err instance_each(int state_fd, void (*take)(void *ctx, const uint8_t id[INSTANCE_ID_LEN]), void *ctx);
/* E_OK where it is gone already. */
must_check struct err instance_remove(int state_fd, const uint8_t id[INSTANCE_ID_LEN]);
/* Removes every folder that keep() does not want, half-written ones included. */
must_check struct err instance_prune(int state_fd, bool (*keep)(void *ctx, const uint8_t id[INSTANCE_ID_LEN]),
				     void *ctx);

#endif
