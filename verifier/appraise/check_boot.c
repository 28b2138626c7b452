/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The boot: its id follows from the Name of the null-hierarchy primary, which
 * no reset leaves alone, and from the counters of the quote.
 */
#include <string.h>

#include "verifier/appraise/work.h"

static struct err judge_primary(const struct work *w, struct tpm_name *ret, struct reason *reterr)
{
	struct certified c;
	struct tpm_name qualified;
	enum certified_fault fault;
	struct err e;

	if (failed(e = certified_area(&w->ev.boot, &c, reterr)) ||
	    failed(e = tpm_check_null_primary(&c.area, reterr)) ||
	    failed(e = tpm_qualified_name_primary(TPM_RH_NULL, &c.name, &qualified)) ||
	    failed(e = certified_signature(w, &w->ev.boot, &c, reterr)) ||
	    failed(e = certified_boot(w, &c, reterr)) ||
	    failed(e = certified_compare(w, &c, &qualified, &fault)))
		return e;
	if (fault != CERTIFIED_AS_EXPECTED) {
		reason_set(reterr, "%s", certified_fault_text(fault));
		return ERR(E_AUTH_REFUSED);
	}
	*ret = c.name;
	return ERR(E_OK);
}

/* Certified in this evidence, or known from evidence of this boot. */
struct err row_null_primary(struct work *w)
{
	const char *expected = "the primary of the null hierarchy, certified by the attestation key for this nonce";
	struct reason why = { "it was not sent, and this boot is not known" };
	struct tpm_name name;
	struct err e;

	if (w->ev.has_boot)
		e = judge_primary(w, &name, &why);
	else
		e = w->continues ? ERR(E_OK) : ERR(E_AUTH_UNKNOWN);
	if (failed(e))
		return fail_with(w, ROW_NULL_PRIMARY, "", expected, e, &why);
	w->v->next.null_name = w->ev.has_boot ? name : w->in->state->null_name;
	work_pass(w, ROW_NULL_PRIMARY);
	return ERR(E_OK);
}

/* R6: a boot id is what the counters say, whatever the attester calls it. */
struct err row_boot_id(struct work *w)
{
	const struct tpm_clock *c = &w->quote.clock;
	struct attest_failure *f;
	uint8_t want[BOOT_ID_LEN];
	struct err e;

	if (w->v->result[ROW_NULL_PRIMARY] != CHECK_PASS)
		return ERR(E_OK);
	/* Of the very counters and primary that the state has; the claims name it (host_state_continues()). */
	if (w->continues && !w->ev.has_boot) {
		memcpy(w->v->next.boot_id, w->in->state->boot_id, sizeof(want));
		work_pass(w, ROW_BOOT_ID);
		return ERR(E_OK);
	}
	if (failed(e = boot_id_of(&w->v->next.null_name, c->reset_count, c->restart_count, want)))
		return e;
	if (memcmp(want, w->claims.boot_id, sizeof(want)) == 0) {
		memcpy(w->v->next.boot_id, want, sizeof(want));
		work_pass(w, ROW_BOOT_ID);
		return ERR(E_OK);
	}
	f = work_fail(w, ROW_BOOT_ID, "");
	SAY(f->expected, "%s: of null primary and counters", HEX(BYTES_ARR(want)));
	SAY(f->seen, "%s", HEX(BYTES_ARR(w->claims.boot_id)));
	return ERR(E_OK);
}
