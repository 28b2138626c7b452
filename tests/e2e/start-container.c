/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of the daemon: makes the instance of a container as a runtime's hook does, without a runtime, its state and
 * its rules, and has the daemon watch it.
 *
 * start-container STATE_DIR TCTI SOCKET RULES AGENT ROOT PID NAME UID MODEL MANIFEST CONFIG ABSENT...
 *
 * ROOT is a folder that PID is about to have as its root; ABSENT are paths in it that are mounted over. Prints the id.
 */
#include <stdio.h>
#include <string.h>

#include "attest/container/root.h"
#include "attest/container/rules.h"
#include "attest/daemon/ask.h"
#include "attest/start.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/text.h"

enum { STATE_DIR = 1, TCTI, SOCKET, RULES, AGENT, ROOT, PID, NAME, UID, MODEL, MANIFEST, CONFIG, ABSENT };

static struct err describe(char **argv, struct instance *i, struct reason *reterr)
{
	cleanup_container_rules struct container_rules r = { 0 };
	struct instance_container *c = &i->container;
	uint64_t pid, uid;
	struct err e;

	(void)snprintf(i->agent, sizeof(i->agent), "%s", argv[AGENT]);
	i->model = strdup(argv[MODEL]);
	i->started_s = clock_now_s();
	c->id = strdup(argv[NAME]);
	c->rootfs = strdup(argv[ROOT]);
	c->absent = json_array();
	for (char **p = argv + ABSENT; *p != NULL; p++)
		if (json_array_append_new(c->absent, json_string(*p)) != 0)
			return ERR(E_LOCAL_MEMORY);
	if (failed(e = parse_u64(argv[PID], INT32_MAX, &pid)) || failed(e = parse_u64(argv[UID], UINT32_MAX, &uid)) ||
	    failed(e = hex_decode_exact(bytes_str(argv[MANIFEST]), c->image.manifest, sizeof(c->image.manifest))) ||
	    failed(e = hex_decode_exact(bytes_str(argv[CONFIG]), c->image.config, sizeof(c->image.config))) ||
	    failed(e = random_bytes(i->id, sizeof(i->id))) || failed(e = process_find((pid_t)pid, &i->parent)))
		return e;
	i->uid = (uint32_t)uid;
	if (failed(e = container_rules_load(argv[RULES], i->agent, &r, reterr)) ||
	    failed(e = bytes_copy_exact(BYTES_ARR(r.digest), c->policy, sizeof(c->policy))))
		return e;
	return container_root_pin(c, (pid_t)pid, reterr);
}

static struct err have_watched(struct host *h, const struct instance *i)
{
	cleanup_request struct request q = { .kind = REQUEST_CONTAINER };
	cleanup_json json_t *answer = NULL;

	memcpy(q.instance, i->id, INSTANCE_ID_LEN);
	return ask(h->conf->socket, &q, ASK_TIMEOUT_S, NULL, &answer, &h->why);
}

static struct err start(struct host *h, char **argv, struct instance *i)
{
	char hex[INSTANCE_HEX_LEN + 1];
	struct reason why, after;
	struct measured m;
	struct err e;

	if (failed(e = host_need_enrolment(h)) || failed(e = describe(argv, i, &h->why)) ||
	    failed(e = measure(i, &m, &h->why)) || failed(e = instance_start(h, i, &m, 0, NULL)))
		return e;
	if (failed(e = have_watched(h, i))) {
		why = h->why;
		instance_end(h, i->id, &after);
		h->why = why;
		return e;
	}
	instance_id_format(i->id, hex);
	return puts(hex) < 0 ? ERR(E_LOCAL_IO) : ERR(E_OK);
}

int main(int argc, char **argv)
{
	cleanup_instance struct instance i = { 0 };
	cleanup_host struct host h = HOST_INIT;
	struct conf conf = { .timeout_s = 30, .tpm_timeout_s = 60 };
	struct err e;

	if (argc < ABSENT)
		return EXIT_USAGE;
	conf.state_dir = argv[STATE_DIR];
	conf.tcti = argv[TCTI];
	conf.socket = argv[SOCKET];
	if (failed(e = host_open(&conf, &h)) || failed(e = start(&h, argv, &i))) {
		(void)fprintf(stderr, "%s: %s\n", err_name(e), h.why.text);
		return exit_for(e);
	}
	return EXIT_ACCEPTED;
}
