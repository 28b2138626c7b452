/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/host.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "attest/tpm_session.h"
#include "base/file.h"
#include "base/log.h"

#define LOCK_FILE "lock"
#define LOCK_TIMEOUT_MIN_S 60 /* a TPM that has to make an RSA key takes its time */

void host_done(struct host *h)
{
	cleanup_fd_(&h->state_fd);
	h->state_fd = -1;
	enrolment_done(&h->enrolment);
	buf_free(&h->owner_auth);
	buf_free(&h->endorsement_auth);
}

static struct err check_folder(struct host *h)
{
	struct stat st;

	if (fstat(h->state_fd, &st) != 0)
		return ERR(E_LOCAL_IO);
	if (st.st_uid != geteuid() || (st.st_mode & 077) != 0) {
		reason_set(&h->why, "%s must belong to uid %u with mode 0700: who can open it can use its keys",
			   h->conf->state_dir, (unsigned)geteuid());
		return ERR(E_LOCAL_PERMISSION);
	}
	return ERR(E_OK);
}

/* A password is the file's first line without its end. */
static struct err read_auth(struct host *h, const char *path, struct buf *ret)
{
	struct err e;

	if (path == NULL)
		return ERR(E_OK);
	if (failed(e = file_read_secret(AT_FDCWD, path, ret))) {
		reason_set(&h->why, "%s: %s (a password's file has mode 0600 and our uid)", path, err_text(e));
		return e;
	}
	if (ret->n > 0 && ret->p[ret->n - 1] == '\n')
		return buf_truncate(ret, ret->n - 1);
	return ERR(E_OK);
}

struct err host_open(const struct conf *conf, struct host *ret)
{
	struct err e;

	ret->conf = conf;
	if (failed(e = dir_make(conf->state_dir, 0700)) ||
	    failed(e = dir_open(AT_FDCWD, conf->state_dir, &ret->state_fd))) {
		reason_set(&ret->why, "cannot open the state folder %s: %s", conf->state_dir, err_text(e));
		return e;
	}
	if (failed(e = check_folder(ret)) || failed(e = read_auth(ret, conf->owner_auth_file, &ret->owner_auth)) ||
	    failed(e = read_auth(ret, conf->endorsement_auth_file, &ret->endorsement_auth)))
		return e;
	e = enrolment_read(ret->state_fd, &ret->enrolment, &ret->why);
	ret->enrolled = !failed(e);
	return e.code == E_LOCAL_NOT_FOUND ? ERR(E_OK) : e;
}

struct err host_need_enrolment(struct host *h)
{
	if (h->enrolled)
		return ERR(E_OK);
	reason_set(&h->why, "this host is not enrolled: assay-attest enrol --verifier URL --ca FILE");
	return ERR(E_LOCAL_NOT_FOUND);
}

struct err host_read_enrolment(struct host *h)
{
	cleanup_enrolment struct enrolment now = ENROLMENT_INIT;
	struct err e = enrolment_read(h->state_fd, &now, &h->why);

	if (failed(e))
		return e;
	enrolment_done(&h->enrolment);
	h->enrolment = now;
	now = (struct enrolment)ENROLMENT_INIT;
	return ERR(E_OK);
}

void visit_done(struct visit *v)
{
	workload_done(&v->workload);
	boot_done(&v->boot);
	tpm_close(v->tpm);
	v->tpm = NULL;
	cleanup_fd_(&v->lock_fd);
	v->lock_fd = -1;
}

struct err visit_begin(struct host *h, struct visit *ret)
{
	unsigned s = h->conf->timeout_s > LOCK_TIMEOUT_MIN_S ? h->conf->timeout_s : LOCK_TIMEOUT_MIN_S;
	struct err e;

	ret->host = h;
	if (failed(e = file_lock(h->state_fd, LOCK_FILE, s * 1000, &ret->lock_fd))) {
		reason_set(&h->why, "cannot lock the state folder %s: %s", h->conf->state_dir, err_text(e));
		return e;
	}
	if (failed(e = tpm_open(h->conf->tcti, h->conf->tpm_timeout_s, &h->why, &ret->tpm)))
		return e;
	return tpm_set_auths(ret->tpm, buf_bytes(&h->owner_auth), buf_bytes(&h->endorsement_auth));
}

/* `run` stays until its command ends; where it died, nobody will say `end`. */
static struct err is_abandoned(struct visit *v, const uint8_t id[INSTANCE_ID_LEN], bool *ret)
{
	cleanup_instance struct instance i = { 0 };
	struct err e = instance_read(v->host->state_fd, id, &i, NULL, &v->host->why);

	/* A folder that is gone or damaged cannot be presented again either. */
	*ret = e.code == E_LOCAL_NOT_FOUND || exit_for(e) == EXIT_REJECTED || (!failed(e) && !process_alive(&i.parent));
	return *ret ? ERR(E_OK) : e;
}

static bool is_live(void *ctx, const uint8_t id[INSTANCE_ID_LEN])
{
	const struct visit *v = ctx;

	return workload_find(&v->workload, id) != NULL;
}

struct err visit_end_instance(struct visit *v, const uint8_t id[INSTANCE_ID_LEN])
{
	struct workload_event ev = { .kind = WORKLOAD_END };
	struct err e;

	if (workload_find(&v->workload, id) == NULL)
		return ERR(E_OK);
	memcpy(ev.instance, id, INSTANCE_ID_LEN);
	if (failed(e = workload_append(&v->workload, &ev)))
		return e;
	return instance_remove(v->host->state_fd, ev.instance);
}

static struct err end_abandoned(struct visit *v)
{
	struct err e;

	/* From the back: an end moves the last instance to its place. */
	for (size_t i = v->workload.n_live; i-- > 0;) {
		uint8_t id[INSTANCE_ID_LEN];
		bool abandoned;

		memcpy(id, v->workload.live[i].id, sizeof(id));
		if (failed(e = is_abandoned(v, id, &abandoned)) ||
		    (abandoned && failed(e = visit_end_instance(v, id))))
			return e;
	}
	return instance_prune(v->host->state_fd, is_live, v);
}

struct err visit_begin_log(struct host *h, struct visit *ret)
{
	struct err e;

	if (failed(e = visit_begin(h, ret)) || failed(e = boot_read(ret->tpm, &ret->boot)) ||
	    failed(e = workload_open(h->state_fd, ret->tpm, &ret->boot, &ret->workload)))
		return e;
	return end_abandoned(ret);
}

struct err visit_session(struct visit *v, struct tpm_handle *ret)
{
	cleanup_ek struct ek ek = EK_INIT;
	struct err e;

	if (failed(e = ek_open(v->tpm, v->host->enrolment.ek, &ek)) ||
	    failed(e = ek_session(&ek, &v->host->enrolment.ek_name, ret)))
		return e;
	/* After a TPM2_Clear the next visit shall not have to make it again. Without the owner's consent it must. */
	if (!ek.persistent && failed(ek_persist(&ek, ret)))
		log_debug("the EK is not kept: %s", v->host->why.text);
	return ERR(E_OK);
}

struct err visit_ak(struct visit *v, struct ak *ret)
{
	const struct enrolment *en = &v->host->enrolment;
	const struct ak_spec spec = { en->ak, en->ak_handle, &en->ak_name };

	return ak_open(v->tpm, &spec, NULL, ret);
}

struct err host_client(struct host *h, struct client *ret)
{
	return client_init(h->enrolment.verifier_url, buf_bytes(&h->enrolment.ca_pem), h->conf->timeout_s, &h->why,
			   ret);
}
