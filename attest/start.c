/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/start.h"

#include <string.h>

#include "attest/attest.h"

struct err instance_start(struct host *h, const struct instance *i, const struct measured *m, size_t n_args,
			  char *const *args)
{
	cleanup_visit struct visit v = VISIT_INIT;
	cleanup_tpm_handle struct tpm_handle session = TPM_HANDLE_NONE, primary = TPM_HANDLE_NONE;
	cleanup_wkey_blob struct wkey_blob key = WKEY_BLOB_INIT;
	struct workload_event ev = { .kind = WORKLOAD_START, .agent = bytes_str(i->agent), .image = m->image,
				     .model = m->model, .has_container = m->has_container, .container = m->container };
	struct tpm_name name;
	struct err e;

	if (failed(e = visit_begin_log(h, &v)) || failed(e = visit_session(&v, &session)) ||
	    failed(e = boot_primary(v.tpm, &v.boot, &primary)) ||
	    failed(e = wkey_create(&primary, &session, &key, &name)))
		return e;
	tpm_handle_done(&primary);
	if (failed(e = workload_args_digest(n_args, args, ev.args)) ||
	    failed(e = instance_write(h->state_fd, i, &key)))
		return e;
	memcpy(ev.instance, i->id, INSTANCE_ID_LEN);
	ev.key_name = tpm_name_bytes(&name);
	return workload_append(&v.workload, &ev);
}

/* *ret_was: there was something to end. A folder without a start is swept away by the visit itself. */
static struct err say_end(struct host *h, const uint8_t id[INSTANCE_ID_LEN], bool *ret_was)
{
	cleanup_visit struct visit v = VISIT_INIT;
	struct err e;

	*ret_was = false;
	if (failed(e = visit_begin_log(h, &v)))
		return e;
	*ret_was = workload_find(&v.workload, id) != NULL;
	return visit_end_instance(&v, id);
}

void instance_end(struct host *h, const uint8_t id[INSTANCE_ID_LEN], struct reason *ret_why)
{
	const struct attest_options options = { .measure = false };
	cleanup(attest_reply_done) struct attest_reply reply = { 0 };
	struct err e;
	bool was;

	h->why.text[0] = ret_why->text[0] = '\0';
	e = say_end(h, id, &was);
	if (!failed(e) && was)
		e = attest(h, &options, &reply);
	if (failed(e))
		reason_set(ret_why, "%s", h->why.text[0] != '\0' ? h->why.text : err_text(e));
}
