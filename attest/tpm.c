/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/tpm.h"

#include <string.h>
#include <time.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_tctildr.h>

#include "base/log.h"
#include "base/rd.h"
#include "base/wr.h"

#define PAUSE_MAX_DOUBLINGS 8 /* 256 ms */
#define HEADER_SIZE 10        /* tag, size, code */

/* The ranges that leak. Loaded policy sessions are listed among the HMAC ones, with a first byte of their own. */
static const struct {
	TPM2_HANDLE first, last;
	TPM2_PT free_slots;
} loaded[] = {
	{ TPM2_TRANSIENT_FIRST, TPM2_TRANSIENT_LAST, TPM2_PT_HR_TRANSIENT_AVAIL },
	{ TPM2_HMAC_SESSION_FIRST, TPM2_POLICY_SESSION_LAST, TPM2_PT_HR_LOADED_AVAIL },
};

bool tpm_again(struct tpm_retry *r, TSS2_RC rc)
{
	struct timespec pause = { 0 };

	if (rc != TPM2_RC_RETRY && rc != TPM2_RC_YIELDED && rc != TPM2_RC_TESTING)
		return false;
	if (r->n == TPM_RETRY_MAX)
		return false;
	pause.tv_nsec = 1000000L << (r->n < PAUSE_MAX_DOUBLINGS ? r->n : PAUSE_MAX_DOUBLINGS);
	(void)nanosleep(&pause, NULL);
	r->n++;
	return true;
}

/* The TPM or a resource manager has answered, so ESYS can go on. */
static bool answered(TSS2_RC rc)
{
	TSS2_RC layer = rc & TSS2_RC_LAYER_MASK;

	return layer == TSS2_TPM_RC_LAYER || layer == TSS2_RESMGR_TPM_RC_LAYER || layer == TSS2_RESMGR_RC_LAYER;
}

/*
 * TPM2_FlushContext as bytes, because ESYS flushes only what it has seen made.
 * Best effort: there is nobody left to tell.
 */
static void flush_raw(struct tpm *tpm, TPM2_HANDLE handle)
{
	cleanup_buf struct buf command = BUF_INIT(HEADER_SIZE + 4);
	uint8_t response[64];
	size_t n = sizeof(response);

	if (failed(wr_u16be(&command, TPM2_ST_NO_SESSIONS)) || failed(wr_u32be(&command, HEADER_SIZE + 4)) ||
	    failed(wr_u32be(&command, TPM2_CC_FlushContext)) || failed(wr_u32be(&command, handle)))
		return;
	if (Tss2_Tcti_Transmit(tpm_tcti_context(&tpm->deadline), command.n, command.p) != TSS2_RC_SUCCESS)
		return;
	if (Tss2_Tcti_Receive(tpm_tcti_context(&tpm->deadline), &n, response, TSS2_TCTI_TIMEOUT_BLOCK) != TSS2_RC_SUCCESS)
		return;
	log_debug("flushed 0x%x", handle);
}

static bool is_listed(const TPML_HANDLE *list, TPM2_HANDLE handle)
{
	for (uint32_t i = 0; i < list->count; i++)
		if (list->handle[i] == handle)
			return true;
	return false;
}

/* Flushes every loaded object and session that is not in keep; keep NULL keeps none. */
static struct err flush_range(struct tpm *tpm, size_t range, const TPML_HANDLE *keep)
{
	TPML_HANDLE now;
	struct err e;

	if (failed(e = tpm_handles(tpm, loaded[range].first, loaded[range].last, &now)))
		return e;
	for (uint32_t i = 0; i < now.count; i++)
		if (keep == NULL || !is_listed(keep, now.handle[i]))
			flush_raw(tpm, now.handle[i]);
	return ERR(E_OK);
}

static TSS2_RC init_esys(struct tpm *tpm)
{
	TSS2_RC rc = Esys_Initialize(&tpm->esys, tpm_tcti_context(&tpm->deadline), NULL);

	if (rc == TSS2_RC_SUCCESS)
		rc = Esys_TR_SetAuth(tpm->esys, ESYS_TR_RH_OWNER, &tpm->owner_auth);
	if (rc == TSS2_RC_SUCCESS)
		rc = Esys_TR_SetAuth(tpm->esys, ESYS_TR_RH_ENDORSEMENT, &tpm->endorsement_auth);
	return rc;
}

/*
 * After a lost command the ESYS context refuses everything, and an object may
 * have been made whose handle never arrived. The caller's reason stays: it
 * names the failure that led here.
 */
static void recover(struct tpm *tpm)
{
	struct reason *why = tpm->why;

	if (tpm->recovering)
		return;
	tpm->recovering = true;
	tpm->generation++;
	tpm->why = &tpm->nowhere;
	Esys_Finalize(&tpm->esys);
	tpm->broken = init_esys(tpm) != TSS2_RC_SUCCESS;
	for (size_t i = 0; !tpm->broken && i < array_len(loaded); i++)
		tpm->broken = failed(flush_range(tpm, i, &tpm->before[i]));
	if (tpm->broken)
		log_debug("the TPM does not recover: %s", tpm->nowhere.text);
	tpm->why = why;
	tpm->recovering = false;
}

struct err tpm_result(struct tpm *tpm, TSS2_RC rc, const char *what)
{
	if (rc == TSS2_RC_SUCCESS)
		return ERR(E_OK);
	if (tpm->deadline.dead) {
		reason_set(tpm->why, "the TPM did not answer within %u s (%s): it hangs, or another program has it for "
				     "itself; --tpm-timeout says how long to wait",
			   tpm->deadline.wait_ms / 1000, what);
		recover(tpm); /* lets go of what we held, without asking the TPM */
		return ERR(E_LOCAL_TIMEOUT);
	}
	log_debug("%s: 0x%x %s", what, rc, Tss2_RC_Decode(rc));
	reason_set(tpm->why, "%s failed: %s (0x%x)", what, Tss2_RC_Decode(rc), rc);
	if (!answered(rc))
		recover(tpm);
	return ERR(E_LOCAL_TPM);
}

/* See the head of tpm.h: what is loaded now is nobody's, but it is touched only where room is short. */
static struct err make_room(struct tpm *tpm)
{
	struct err e;
	uint32_t n_free;

	for (size_t i = 0; i < array_len(loaded); i++) {
		if (failed(e = tpm_property(tpm, loaded[i].free_slots, &n_free)))
			return e;
		if (n_free < TPM_SLOTS && failed(e = flush_range(tpm, i, NULL)))
			return e;
		if (failed(e = tpm_handles(tpm, loaded[i].first, loaded[i].last, &tpm->before[i])))
			return e;
	}
	return ERR(E_OK);
}

static struct err new_tpm(TSS2_TCTI_CONTEXT *tcti, bool own_tcti, unsigned timeout_s, struct reason *why, struct tpm **ret)
{
	struct tpm *tpm = calloc(1, sizeof(*tpm));

	if (tpm == NULL)
		return ERR(E_LOCAL_MEMORY);
	tpm->tcti = tcti;
	tpm->own_tcti = own_tcti;
	tpm_tcti_init(&tpm->deadline, tcti, timeout_s * 1000);
	tpm->why = why != NULL ? why : &tpm->nowhere;
	*ret = tpm;
	return ERR(E_OK);
}

static struct err start(struct tpm *tpm)
{
	struct err e;

	if (failed(e = tpm_result(tpm, init_esys(tpm), "Esys_Initialize")))
		return e;
	return make_room(tpm);
}

struct err tpm_open_tcti(TSS2_TCTI_CONTEXT *tcti, unsigned timeout_s, struct reason *why, struct tpm **ret)
{
	cleanup_tpm struct tpm *tpm = NULL;
	struct err e;

	if (failed(e = new_tpm(tcti, false, timeout_s, why, &tpm)) || failed(e = start(tpm)))
		return e;
	*ret = take_ptr(&tpm);
	return ERR(E_OK);
}

struct err tpm_open(const char *conf, unsigned timeout_s, struct reason *why, struct tpm **ret)
{
	cleanup_tpm struct tpm *tpm = NULL;
	TSS2_TCTI_CONTEXT *tcti = NULL;
	struct err e;
	TSS2_RC rc;

	rc = Tss2_TctiLdr_Initialize(conf, &tcti);
	if (rc != TSS2_RC_SUCCESS) {
		reason_set(why, "cannot open the TPM at \"%s\": %s", conf, Tss2_RC_Decode(rc));
		return ERR(E_LOCAL_TPM);
	}
	if (failed(e = new_tpm(tcti, true, timeout_s, why, &tpm))) {
		Tss2_TctiLdr_Finalize(&tcti);
		return e;
	}
	if (failed(e = start(tpm)))
		return e;
	*ret = take_ptr(&tpm);
	return ERR(E_OK);
}

void tpm_close(struct tpm *tpm)
{
	if (tpm == NULL)
		return;
	if (tpm->broken)
		recover(tpm);
	Esys_Finalize(&tpm->esys);
	if (tpm->own_tcti)
		Tss2_TctiLdr_Finalize(&tpm->tcti);
	wipe(tpm, sizeof(*tpm));
	free(tpm);
}

static struct err set_auth(struct bytes auth, TPM2B_AUTH *ret)
{
	if (auth.n > sizeof(ret->buffer))
		return ERR(E_LIMIT_SIZE);
	wipe(ret, sizeof(*ret));
	if (auth.n > 0)
		memcpy(ret->buffer, auth.p, auth.n);
	ret->size = (uint16_t)auth.n;
	return ERR(E_OK);
}

struct err tpm_set_auths(struct tpm *tpm, struct bytes owner, struct bytes endorsement)
{
	struct err e;

	if (failed(e = set_auth(owner, &tpm->owner_auth)) ||
	    failed(e = set_auth(endorsement, &tpm->endorsement_auth))) {
		reason_set(tpm->why, "a hierarchy's password has at most %zu bytes", sizeof(tpm->owner_auth.buffer));
		return e;
	}
	if (failed(e = tpm_result(tpm, Esys_TR_SetAuth(tpm->esys, ESYS_TR_RH_OWNER, &tpm->owner_auth),
				  "Esys_TR_SetAuth")))
		return e;
	return tpm_result(tpm, Esys_TR_SetAuth(tpm->esys, ESYS_TR_RH_ENDORSEMENT, &tpm->endorsement_auth),
			  "Esys_TR_SetAuth");
}

void tpm_handle_set(struct tpm_handle *h, struct tpm *tpm, ESYS_TR tr, bool persistent)
{
	*h = (struct tpm_handle){ .tpm = tpm, .tr = tr, .generation = tpm->generation, .persistent = persistent };
}

void tpm_handle_move(struct tpm_handle *dst, struct tpm_handle *src)
{
	*dst = *src;
	*src = (struct tpm_handle)TPM_HANDLE_NONE;
}

void tpm_handle_done(struct tpm_handle *h)
{
	struct tpm *tpm = h->tpm;
	struct tpm_retry again = { 0 };
	TSS2_RC rc;

	if (tpm == NULL)
		return;
	if (tpm->broken)
		recover(tpm);
	if (h->generation != tpm->generation) {
		*h = (struct tpm_handle)TPM_HANDLE_NONE;
		return; /* recovery flushed it */
	}
	/*
	 * ESYS 3.2 gives one ESYS_TR to everybody who opens the same persistent
	 * object, and closing it closes it for all: it stays until the connection ends.
	 */
	if (!h->persistent) {
		do
			rc = Esys_FlushContext(tpm->esys, h->tr);
		while (tpm_again(&again, rc));
		if (rc != TSS2_RC_SUCCESS) {
			log_debug("Esys_FlushContext: 0x%x", rc);
			recover(tpm);
		}
	}
	*h = (struct tpm_handle)TPM_HANDLE_NONE;
}
