/* SPDX-License-Identifier: Apache-2.0 */
#include "swtpm-harness/harness_impl.h"

#include "swtpm-harness/fleet.h"

static struct err connect_to(const struct harness *h, size_t i, int *ret_fd, struct reason *reterr)
{
	return i < h->n ? tpm_connect(h->tpms[i].dir.text, TPM_COMMAND_TIMEOUT_MS, ret_fd, reterr) : ERR(E_BUG);
}

struct err harness_clock(const struct harness *h, size_t i, struct harness_clock *ret, struct reason *reterr)
{
	cleanup_fd int fd = -1;
	struct err e;

	if (failed(e = connect_to(h, i, &fd, reterr)))
		return e;
	return tpmraw_read_clock(fd, ret, reterr);
}

struct err harness_pcr_read(const struct harness *h, size_t i, enum digest_id bank, unsigned pcr, struct digest *ret,
			    struct reason *reterr)
{
	cleanup_fd int fd = -1;
	struct err e;

	if (failed(e = connect_to(h, i, &fd, reterr)))
		return e;
	return tpmraw_pcr_read(fd, bank, pcr, ret, reterr);
}

struct err harness_extend(struct harness *h, size_t i, unsigned pcr, struct bytes data, struct reason *reterr)
{
	cleanup_fd int fd = -1;
	struct err e;

	if (failed(e = connect_to(h, i, &fd, reterr)))
		return e;
	return tpmraw_pcr_event(fd, pcr, data, reterr);
}

struct err harness_extend_digest(struct harness *h, size_t i, unsigned pcr, enum digest_id bank, struct bytes digest,
				 struct reason *reterr)
{
	cleanup_fd int fd = -1;
	struct digest now;
	struct err e;

	if (failed(e = connect_to(h, i, &fd, reterr)))
		return e;
	/* PCR_Extend passes over a bank that is off without a word, so that it is looked up first. */
	if (failed(e = tpmraw_pcr_read(fd, bank, pcr, &now, reterr))) {
		if (e.code == E_LOCAL_NOT_FOUND)
			reason_set(reterr, "bank %s is off in this TPM", digest_alg(bank)->name);
		return e;
	}
	return tpmraw_pcr_extend(fd, pcr, bank, digest, reterr);
}

struct err harness_clear(struct harness *h, size_t i, struct reason *reterr)
{
	cleanup_fd int fd = -1;
	struct err e;

	if (failed(e = connect_to(h, i, &fd, reterr)))
		return e;
	return tpmraw_clear(fd, reterr);
}

/* The folder of TPM i under the lock, after a look at its power state; wanted -1: any. */
static struct err begin(const struct harness *h, size_t i, int wanted, int *ret_lock, const char **ret_dir,
			struct reason *reterr)
{
	enum harness_power power;
	struct err e;
	pid_t pid;

	if (i >= h->n)
		return ERR(E_BUG);
	if (failed(e = harness_lock(h->dir.text, ret_lock, reterr)))
		return e;
	power = tpm_power(h->tpms[i].dir.text, &pid);
	if (wanted >= 0 && (int)power != wanted) {
		reason_set(reterr, "tpm-%zu is %s, not %s", i, harness_power_name(power),
			   harness_power_name((enum harness_power)wanted));
		return ERR(E_AUTH_CONFLICT);
	}
	*ret_dir = h->tpms[i].dir.text;
	return ERR(E_OK);
}

struct err harness_reset(struct harness *h, size_t i, struct reason *reterr)
{
	cleanup_fd int fd = -1;
	const char *dir;
	struct err e;

	if (failed(e = begin(h, i, -1, &fd, &dir, reterr)) ||
	    failed(e = tpm_stop(dir, TPM_STOP_CLEAR, TPM_COMMAND_TIMEOUT_MS, reterr)))
		return e;
	return tpm_start(dir, TPMRAW_CLEAR, reterr);
}

struct err harness_suspend(struct harness *h, size_t i, struct reason *reterr)
{
	cleanup_fd int fd = -1;
	const char *dir;
	struct err e;

	if (failed(e = begin(h, i, HARNESS_ON, &fd, &dir, reterr)) ||
	    failed(e = tpm_stop(dir, TPM_STOP_STATE, TPM_COMMAND_TIMEOUT_MS, reterr)))
		return e;
	return folder_write(dir, "suspended", BYTES_NONE, 0644);
}

struct err harness_resume(struct harness *h, size_t i, struct reason *reterr)
{
	cleanup_fd int fd = -1;
	const char *dir;
	struct err e;

	if (failed(e = begin(h, i, HARNESS_SUSPENDED, &fd, &dir, reterr)))
		return e;
	return tpm_start(dir, TPMRAW_STATE, reterr);
}

struct err harness_restart(struct harness *h, size_t i, struct reason *reterr)
{
	cleanup_fd int fd = -1;
	const char *dir;
	struct err e;

	if (failed(e = begin(h, i, HARNESS_SUSPENDED, &fd, &dir, reterr)))
		return e;
	return tpm_start(dir, TPMRAW_CLEAR, reterr);
}

struct err harness_power_loss(struct harness *h, size_t i, struct reason *reterr)
{
	cleanup_fd int fd = -1;
	const char *dir;
	struct err e;

	if (failed(e = begin(h, i, HARNESS_ON, &fd, &dir, reterr)) ||
	    failed(e = tpm_stop(dir, TPM_STOP_CUT, 0, reterr)))
		return e;
	return tpm_start(dir, TPMRAW_CLEAR, reterr);
}

struct err harness_replace(struct harness *h, size_t i, struct reason *reterr)
{
	cleanup_fd int fd = -1;
	struct harness_info info;
	struct path conf, ca, state, fresh;
	struct fleet fleet = { .n = 1,
			       .state = "state.new",
			       .banks = info.banks,
			       .conf = conf.text,
			       .timeout_ms = h->timeout_ms,
			       .cancel_fd = -1 };
	const char *dir;
	struct err e;

	/* The new TPM is ready before the old one goes, so a failure in between leaves the old one. */
	if (failed(e = begin(h, i, -1, &fd, &dir, reterr)) || failed(e = tpm_info(dir, &info, reterr)) ||
	    failed(e = path_join(h->dir.text, HARNESS_CONF, &conf)) || failed(e = harness_ca(h, info.cert, &ca)) ||
	    failed(e = path_join(dir, "state", &state)) || failed(e = path_join(dir, "state.new", &fresh)))
		return e;
	fleet.dirs = &h->tpms[i].dir;
	if (failed(e = fleet_setup(&fleet, reterr)) || failed(e = harness_stop(dir, reterr)) ||
	    failed(e = folder_remove(state.text)))
		return e;
	if (rename(fresh.text, state.text) != 0)
		return ERR(E_LOCAL_IO);
	if (failed(e = tpm_start(dir, TPMRAW_CLEAR, reterr)))
		return e;
	return tpm_provision(dir, ca.text, info.cert, info.banks, reterr);
}
