/* SPDX-License-Identifier: Apache-2.0 */
/* status: enrolment, boot, workload log, instances. Changes nothing. */
#include <inttypes.h>
#include <string.h>

#include "attest/app.h"
#include "attest/daemon/ask.h"
#include "base/log.h"
#include "base/text.h"

#define DAEMON_TIMEOUT_S 5

static const char *const look_names[] = {
	[WORKLOAD_NONE] = "none",
	[WORKLOAD_EXPLAINED] = "explained",
	[WORKLOAD_RESTARTED] = "restarted",
	[WORKLOAD_UNEXPLAINED] = "unexplained",
};

static struct err put_enrolment(const struct host *h, json_t *o)
{
	cleanup_json json_t *en = NULL;
	struct err e;

	if (!h->enrolled)
		return ERR(E_OK);
	if (failed(e = json_new_object(&en)) || failed(e = json_put_str(en, "host", h->enrolment.host_id)) ||
	    failed(e = json_put_str(en, "issuer", h->enrolment.issuer)) ||
	    failed(e = json_put_str(en, "verifier_url", h->enrolment.verifier_url)) ||
	    failed(e = json_put_str(en, "state", h->enrolment.state)) ||
	    failed(e = json_put_hex(en, "ek_sha256", BYTES_ARR(h->enrolment.ek_sha256))) ||
	    failed(e = json_put_str(en, "ak", ak_kind_name(h->enrolment.ak))))
		return e;
	return json_put(o, "enrolment", json_incref(en));
}

static struct err put_boot(const struct boot *b, json_t *o)
{
	cleanup_json json_t *boot = NULL;
	struct err e;

	if (failed(e = json_new_object(&boot)) || failed(e = json_put_hex(boot, "id", BYTES_ARR(b->id))) ||
	    failed(e = json_put_int(boot, "reset_count", b->reset_count)) ||
	    failed(e = json_put_int(boot, "restart_count", b->restart_count)))
		return e;
	return json_put(o, "boot", json_incref(boot));
}

static struct err put_log(const struct workload *w, enum workload_look look, json_t *o)
{
	cleanup_json json_t *log = NULL;
	struct err e;

	if (failed(e = json_new_object(&log)) || failed(e = json_put_str(log, "file", w->file)) ||
	    failed(e = json_put_str(log, "pcr", look_names[look])) ||
	    failed(e = json_put_int(log, "records", (int64_t)w->n_records)) ||
	    failed(e = json_put_int(log, "bytes", (int64_t)w->log_size)))
		return e;
	return json_put(o, "log", json_incref(log));
}

static struct err put_instance(struct host *h, const struct workload_instance *live, json_t *list)
{
	cleanup_instance struct instance i = { 0 };
	cleanup_json json_t *o = NULL;
	struct err e;

	if (failed(e = json_new_object(&o)) || failed(e = json_put_hex(o, "instance", BYTES_ARR(live->id))) ||
	    failed(e = json_put_str(o, "agent", live->agent)) ||
	    failed(e = json_put_hex(o, "image", BYTES_ARR(live->image.manifest))) ||
	    failed(e = json_put_hex(o, "model", BYTES_ARR(live->model.manifest))))
		return e;
	/* A folder that cannot be read makes an instance whose process is not there. */
	if (failed(instance_read(h->state_fd, live->id, &i, NULL, NULL)))
		e = json_put_bool(o, "running", false);
	else if (!failed(e = json_put_bool(o, "running", process_alive(&i.parent))) &&
		 !failed(e = json_put_int(o, "pid", i.parent.pid)))
		e = json_put_int(o, "started", i.started_s);
	if (failed(e))
		return e;
	return json_array_append(list, o) == 0 ? ERR(E_OK) : ERR(E_LOCAL_MEMORY);
}

static struct err put_instances(struct host *h, const struct workload *w, json_t *o)
{
	cleanup_json json_t *list = json_array();
	struct err e;

	if (list == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < w->n_live; i++)
		if (failed(e = put_instance(h, &w->live[i], list)))
			return e;
	return json_put(o, "instances", json_incref(list));
}

static struct err collect_status(struct host *h, json_t **ret, bool *ret_good)
{
	cleanup_visit struct visit v = VISIT_INIT;
	cleanup_json json_t *o = NULL;
	enum workload_look look;
	struct err e;

	if (failed(e = json_new_object(&o)) || failed(e = json_put_bool(o, "enrolled", h->enrolled)) ||
	    failed(e = put_enrolment(h, o)) || failed(e = visit_begin(h, &v)) ||
	    failed(e = boot_read(v.tpm, &v.boot)) ||
	    failed(e = workload_look(h->state_fd, v.tpm, &v.boot, &v.workload, &look)) ||
	    failed(e = put_boot(&v.boot, o)) || failed(e = put_log(&v.workload, look, o)) ||
	    failed(e = put_instances(h, &v.workload, o)))
		return e;
	*ret_good = h->enrolled && look != WORKLOAD_UNEXPLAINED;
	*ret = take_ptr(&o);
	return ERR(E_OK);
}

/* The daemon's own words; nothing where there is none. */
static struct err put_daemon(const struct host *h, json_t *o)
{
	cleanup_request struct request q = { .kind = REQUEST_STATUS };
	struct reason why = { "" };
	json_t *answer = NULL;
	struct err e;

	e = ask(h->conf->socket, &q, DAEMON_TIMEOUT_S, NULL, &answer, &why);
	if (e.code == E_LOCAL_NOT_FOUND)
		return ERR(E_OK);
	if (!failed(e))
		return json_put(o, "daemon", answer);
	return json_put_str(o, "daemon_error", why.text);
}

static const char *member(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s == NULL ? "" : s;
}

static void print_containers(const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *c = json_array_get(list, i);
		const char *why = member(c, "reason");

		(void)printf("container  %s, instance %s, root %s, %s%s%s\n", log_quote(bytes_str(member(c, "id"))),
			     member(c, "instance"), log_quote(bytes_str(member(c, "root"))),
			     json_is_true(json_object_get(c, "watched")) ? "watched" : "not watched",
			     why[0] != '\0' ? ": " : "", log_quote(bytes_str(why)));
	}
}

static void print_daemon(const json_t *o)
{
	const json_t *d = json_object_get(o, "daemon");
	char at[TIME_TEXT_SIZE] = "not yet";

	if (d == NULL) {
		(void)printf("daemon     %s%s\n", json_object_get(o, "daemon_error") == NULL ? "none" : "does not answer: ",
			     member(o, "daemon_error"));
		return;
	}
	if (json_object_get(d, "attested") != NULL &&
	    failed(time_format(json_integer_value(json_object_get(d, "attested")), at, sizeof(at))))
		at[0] = '\0';
	(void)printf("daemon     pid %" JSON_INTEGER_FORMAT ", attested %s%s%s\n",
		     json_integer_value(json_object_get(d, "pid")), at, member(d, "outcome")[0] != '\0' ? ": " : "",
		     member(d, "outcome"));
	print_containers(json_object_get(d, "containers"));
}

static struct err print_text(const json_t *o)
{
	const json_t *en = json_object_get(o, "enrolment"), *boot = json_object_get(o, "boot"),
		     *log = json_object_get(o, "log"), *list = json_object_get(o, "instances");

	if (en == NULL)
		(void)printf("host       not enrolled\n");
	else
		(void)printf("host       %s, %s when it enrolled with %s\nEK sha256  %s\n", member(en, "host"),
			     member(en, "state"), member(en, "issuer"), member(en, "ek_sha256"));
	(void)printf("boot       %s, reset %" JSON_INTEGER_FORMAT ", restart %" JSON_INTEGER_FORMAT "\n",
		     member(boot, "id"), json_integer_value(json_object_get(boot, "reset_count")),
		     json_integer_value(json_object_get(boot, "restart_count")));
	(void)printf("log        %s, %" JSON_INTEGER_FORMAT " records; PCR %d is %s\n", member(log, "file"),
		     json_integer_value(json_object_get(log, "records")), WORKLOAD_PCR, member(log, "pcr"));
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);

		(void)printf("instance   %s of agent %s, %s\n", member(one, "instance"), member(one, "agent"),
			     json_is_true(json_object_get(one, "running")) ? "running" : "ended without a word");
	}
	print_daemon(o);
	return fflush(stdout) == 0 ? ERR(E_OK) : ERR(E_LOCAL_IO);
}

int verb_status(void *ctx, int argc, char **argv)
{
	const struct app *app = ctx;
	cleanup_conf struct conf conf = { 0 };
	cleanup_host struct host host = HOST_INIT;
	cleanup_json json_t *o = NULL;
	int n_pos, status;
	bool good;
	char **pos;
	struct err e;

	status = verb_options(app->program, app_verb(app, "status"), argc, argv, NULL, 0, 0, 0, &pos, &n_pos);
	if (status >= 0 || (status = app_open(app, &conf, &host)) >= 0)
		return status;
	/* The daemon is asked when the TPM is free again. */
	if (failed(e = collect_status(&host, &o, &good)) || failed(e = put_daemon(&host, o)) ||
	    failed(e = app->json ? app_print_json(o, stdout) : print_text(o)))
		return app_failed(app, e, &host.why);
	return good ? EXIT_ACCEPTED : EXIT_REJECTED;
}
