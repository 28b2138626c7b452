/* SPDX-License-Identifier: Apache-2.0 */
/* The table of checks and the loop over it. */
#include "verifier/appraise/appraise.h"

#include <stdarg.h>
#include <string.h>

#include "base/text.h"
#include "verifier/appraise/work.h"

/* Registers of a host that no platform document speaks of yet: those of the firmware and the boot. */
#define DEFAULT_PCRS 0xffffu /* firmware, boot loader, kernel, IMA: all that cannot be reset without a restart */

/*
 * Ids are those of the list of attestation checks; rows that it does not
 * number have readable ones. Nothing on quote, key, enrolment, certification
 * or clock can be waived. A gate ends the run: what follows would only guess.
 */
static const struct {
	const char *id, *name;
	bool waivable, gate;
	row_fn run;
} table[N_ROWS] = {
	[ROW_FORM] = { "X1", "evidence is well formed", false, true, row_form },
	[ROW_ISSUER] = { "L2", "claims name this verifier", false, true, row_issuer },
	[ROW_HOST] = { "L3", "claims name the host of the record", false, true, row_host },
	[ROW_AK_NAME] = { "K1", "claims name the enrolled attestation key", false, true, row_ak_name },
	[ROW_NONCE] = { "L1", "nonce is ours, for this, and live", false, true, row_nonce },
	[ROW_PARSE] = { "Q1", "quote and signature are well formed", false, true, row_parse },
	[ROW_SCHEME] = { "Q7", "signature scheme is the enrolled key's", false, true, row_scheme },
	[ROW_SIGNATURE] = { "Q6", "quote is signed by the enrolled key", false, true, row_signature },
	[ROW_MAGIC] = { "Q2", "a TPM made the structure", false, true, row_magic },
	[ROW_TYPE] = { "Q3", "the structure is a quote", false, true, row_type },
	[ROW_EXTRA_DATA] = { "Q10", "quote covers nonce and claims", false, true, row_extra_data },
	[ROW_SELECTION] = { "Q4", "selection is the one that was asked for", false, true, row_selection },
	[ROW_PCR_DIGEST] = { "Q11", "register values give the signed digest", false, true, row_pcr_digest },
	[ROW_WHOLE] = { "Q16", "whole quote equals the expected one", false, true, row_whole },
	[ROW_SIGNER] = { "Q14", "signer is in the endorsement hierarchy", false, true, row_signer },
	[ROW_OVERTAKEN] = { "R1", "clock is later than the last answer's", false, true, row_overtaken },
	[ROW_RESET] = { "R5", "reset count has not gone back", false, true, row_reset },
	[ROW_RESTART] = { "R-restart", "restart count has not gone back within the boot", false, true, row_restart },
	[ROW_NEW_BOOT] = { "R2", "claims stand in the boot of the quote", false, true, row_new_boot },
	[ROW_POSITION] = { "W-offset", "log begins where the verifier stands", false, true, row_position },
	[ROW_NULL_PRIMARY] = { "B1", "null primary is certified for this boot", false, false, row_null_primary },
	[ROW_BOOT_ID] = { "R6", "boot id follows from counters and null primary", false, false, row_boot_id },
	[ROW_FIRMWARE] = { "Q15", "firmware version as before, or whole evidence", false, false, row_firmware },
	[ROW_LOG] = { "W1", "workload log replays to the quoted register", false, false, row_log },
	[ROW_LOG_ORDER] = { "W-order", "records are numbered without a gap, in the workload register", false, false,
			    row_log_order },
	[ROW_LOG_BEGIN] = { "W-begin", "one begin, first, on an untouched register", false, false, row_log_begin },
	[ROW_LOG_ONCE] = { "W-once", "instances and keys start once and end for good", false, false, row_log_once },
	[ROW_LOG_CONTAINER] = { "W-container", "changes name a container exactly where the start did", false, false,
				row_log_container },
	[ROW_LOG_RESUME] = { "W-resume", "resumes follow the restart count", false, false, row_log_resume },
	[ROW_PRESENTED] = { "W6", "claims present what the log says runs", false, false, row_presented },
	[ROW_KEY_AREA] = { "C-area", "public areas of keys are well formed", false, false, row_key_area },
	[ROW_KEY_ALGORITHM] = { "C4", "keys are P-256 with ECDSA and SHA-256", false, false, row_key_algorithm },
	[ROW_KEY_ATTRIBUTES] = { "C3", "keys cannot leave their TPM", false, false, row_key_attributes },
	[ROW_KEY_MEASURED] = { "C-log", "keys are those of the log", false, false, row_key_measured },
	[ROW_KEY_SIGNATURE] = { "C1", "keys are certified by the enrolled key", false, false, row_key_signature },
	[ROW_KEY_NONCE] = { "C5", "certifications are for this challenge", false, false, row_key_nonce },
	[ROW_KEY_NAME] = { "C2", "certified Names are those of the public areas", false, false, row_key_name },
	[ROW_KEY_PARENT] = { "C-parent", "keys hang below this boot's null primary", false, false, row_key_parent },
	[ROW_KEY_BOOT] = { "C8", "keys are certified in the boot of the quote", false, false, row_key_boot },
	[ROW_KEYS_ALL] = { "C-key", "every live instance has a certified key", false, false, row_keys_all },
	[ROW_HOST_DOCUMENT] = { "N7", "an operator has approved this machine", false, true, row_host_document },
	[ROW_PLATFORM] = { "P-platform", "registers equal one approved vector, where there are some", true, false,
			   row_platform },
	[ROW_FIRMWARE_LOG] = { "E7", "firmware log explains the quoted registers", false, false, row_firmware_log },
	[ROW_FIRMWARE_FORM] = { "E1", "firmware log is built as a boot writes it", false, false, row_firmware_form },
	[ROW_FIRMWARE_EVENTS] = { "P-firmware", "firmware events are approved", false, false, row_firmware_events },
	[ROW_IMA] = { "I3", "IMA list replays to its quoted register", false, false, row_ima },
	[ROW_IMA_FORM] = { "I2", "entries of the IMA list are what their hashes say", false, false, row_ima_form },
	[ROW_IMA_ENTRIES] = { "P-ima", "entries of the IMA list are approved", false, false, row_ima_entries },
	[ROW_MEASURER] = { "P-measurer", "the measurer is attested as the platform document asks", false, false,
			   row_measurer },
	[ROW_COMPARED] = { "P1", "something was compared", false, false, row_compared },
	[ROW_IMAGE] = { "W4", "images are approved", true, false, row_image },
	[ROW_ROOT] = { "W-root", "roots of containers are those of their images", true, false, row_root },
	[ROW_MODEL] = { "W5", "models are approved", true, false, row_model },
	[ROW_CHANGED] = { "W7", "image, container and model are as they were started", true, false, row_changed },
	[ROW_AGENT] = { "P-agent", "agents may run this image with this model here", true, false, row_agent },
	[ROW_CONTAINER] = { "P-container", "agents run in the containers that their documents ask for", true, false,
			    row_container },
};

size_t appraise_n_checks(void)
{
	return N_ROWS;
}

struct check_info appraise_check(size_t i)
{
	if (i >= N_ROWS)
		return (struct check_info){ "", "", false, true };
	return (struct check_info){ table[i].id, table[i].name, table[i].waivable, table[i].gate };
}

void say(char *to, size_t size, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(to, size, fmt, args);
	va_end(args);
	if (n < 0)
		to[0] = '\0';
	/* What was cut may have been cut inside a character. */
	for (size_t len = strlen(to); len > 0 && !utf8_valid(BYTES(to, len)); len--)
		to[len - 1] = '\0';
}

const char *hex_text(struct hex_text *h, struct bytes b)
{
	if (b.n > DIGEST_MAX)
		b.n = DIGEST_MAX;
	if (b.n == 0)
		return "nothing";
	if (failed(hex_encode(b, h->text, sizeof(h->text))))
		h->text[0] = '\0';
	return h->text;
}

void work_pass(struct work *w, enum row row)
{
	if (w->v->result[row] == CHECK_NOT_RUN)
		w->v->result[row] = CHECK_PASS;
}

bool work_failed(const struct work *w, enum row row)
{
	return w->v->result[row] == CHECK_FAIL;
}

struct attest_failure *work_note(struct work *w, enum row row, const char *subject)
{
	struct verdict *v = w->v;
	size_t at = v->n_failures;
	struct attest_failure *f;

	while (at > 0 && w->failure_row[at - 1] > row)
		at--;
	if (at == ATTEST_MAX_FAILURES)
		return &w->dropped;
	if (v->n_failures == ATTEST_MAX_FAILURES)
		v->n_failures--;
	memmove(&v->failure[at + 1], &v->failure[at], (v->n_failures - at) * sizeof(v->failure[0]));
	memmove(&w->failure_row[at + 1], &w->failure_row[at], v->n_failures - at);
	v->n_failures++;
	w->failure_row[at] = (uint8_t)row;
	f = &v->failure[at];
	*f = (struct attest_failure){ 0 };
	SAY(f->check, "%s", table[row].id);
	SAY(f->subject, "%s", subject);
	return f;
}

struct attest_failure *work_fail(struct work *w, enum row row, const char *subject)
{
	w->v->result[row] = CHECK_FAIL;
	return work_note(w, row, subject);
}

struct err fail_with(struct work *w, enum row row, const char *subject, const char *expected, struct err e,
		     const struct reason *why)
{
	struct attest_failure *f;

	if (undecided(e))
		return e;
	f = work_fail(w, row, subject);
	SAY(f->expected, "%s", expected);
	SAY(f->seen, "%s", why != NULL && why->text[0] != '\0' ? why->text : err_text(e));
	return ERR(E_OK);
}

/* A host that nobody has named is asked what any host is: nobody can tell from the challenge which ones are ours. */
static const char *host_name(const struct document *host)
{
	return host != NULL ? host->name : "*";
}

struct err appraise_selection(const struct reference *r, const uint8_t ek_sha256[32], int64_t now_s,
			      struct pcr_selection *ret)
{
	const struct document *host = reference_host(r, ek_sha256, now_s), *d;
	enum digest_id bank = DIGEST_SHA256;
	uint32_t mask = 0;

	for (size_t i = 0;; i++) {
		d = reference_platform(r, host_name(host), now_s, i);
		if (d == NULL)
			break;
		/* One quote has one bank; the first document in order says which. */
		if (mask == 0)
			bank = d->bank;
		if (d->bank == bank)
			mask |= document_pcrs(d);
	}
	*ret = (struct pcr_selection){ .n = 1 };
	ret->bank[0].hash_alg = digest_alg(bank)->tpm_alg;
	ret->bank[0].mask = (mask == 0 ? DEFAULT_PCRS : mask) | 1u << WORKLOAD_PCR;
	return ERR(E_OK);
}

uint32_t document_pcrs(const struct document *d)
{
	const struct platform_firmware *f = d->profile.firmware;

	return d->pcr_mask | (f != NULL ? f->pcr_mask : 0) | (d->profile.ima != NULL ? IMA_PCRS : 0);
}

void appraise_logs(const struct reference *r, const uint8_t ek_sha256[32], int64_t now_s, const struct host_state *s,
		   const uint8_t boot_id[BOOT_ID_LEN], struct appraise_logs *ret)
{
	const struct document *host = reference_host(r, ek_sha256, now_s), *d;
	struct appraise_logs logs = { 0 };
	uint8_t policy[32];

	reference_policy_digest(r, policy);
	for (size_t i = 0;; i++) {
		d = reference_platform(r, host_name(host), now_s, i);
		if (d == NULL)
			break;
		logs.firmware |= d->profile.firmware != NULL;
		logs.userspace |= d->profile.firmware != NULL && d->profile.firmware->n_userspace > 0;
		logs.ima |= d->profile.ima != NULL;
	}
	if (s != NULL && s->firmware.has && host_state_continues(s, boot_id, policy))
		logs.firmware = false;
	if (s != NULL && logs.ima && ima_progress_continues(&s->ima, boot_id, policy))
		logs.ima_offset = s->ima.offset;
	*ret = logs;
}

static struct work *work_new(void)
{
	struct work *w = malloc(sizeof(*w));

	if (w != NULL)
		memset(w, 0, offsetof(struct work, ev));
	return w;
}

static void work_free(struct work *w)
{
	idset_done(&w->gone);
	free(w->firmware);
	ima_progress_done(&w->ima_progress);
	free(w);
}
DEFINE_CLEANUP(struct work, cleanup_work_, work_free)
#define cleanup_work cleanup(cleanup_work_)

struct err appraise_unsigned_host(struct bytes evidence, char ret[HOST_ID_LEN + 1])
{
	cleanup_work struct work *w = work_new();
	struct err e;

	if (w == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (evidence.n > LIMIT_EVIDENCE)
		return ERR(E_LIMIT_SIZE);
	if (failed(e = evidence_decode(evidence, &w->ev)) ||
	    failed(e = evidence_claims_decode(w->ev.claims, &w->claims)))
		return e;
	if (!host_id_valid(w->claims.host_id) || w->claims.host_id.n != HOST_ID_LEN)
		return ERR(E_PEER_RANGE);
	memcpy(ret, w->claims.host_id.p, HOST_ID_LEN);
	ret[HOST_ID_LEN] = '\0';
	return ERR(E_OK);
}

static struct err prepare(struct work *w)
{
	const struct appraisal *in = w->in;
	struct verdict *v = w->v;
	struct err e;

	v->n_checks = N_ROWS;
	reference_policy_digest(in->reference, w->policy);
	memcpy(v->policy_digest, w->policy, sizeof(v->policy_digest));
	memcpy(v->record_digest, in->host->digest, sizeof(v->record_digest));
	w->host_doc = reference_host(in->reference, in->host->ek_sha256, in->now_s);
	if (failed(e = appraise_selection(in->reference, in->host->ek_sha256, in->now_s, &w->want)))
		return e;
	w->bank = digest_by_tpm_alg(w->want.bank[0].hash_alg)->id;
	return ERR(E_OK);
}

static struct err run(struct work *w)
{
	struct err e;

	if (failed(e = prepare(w)))
		return e;
	for (size_t i = 0; i < N_ROWS; i++) {
		if (failed(e = table[i].run(w)))
			return e;
		if (table[i].gate && w->v->result[i] != CHECK_PASS && w->v->result[i] != CHECK_WAIVED)
			break;
	}
	return work_conclude(w);
}

struct err appraise(const struct appraisal *in, struct verdict *ret)
{
	cleanup_work struct work *w = work_new();
	struct err e;

	if (w == NULL)
		return ERR(E_LOCAL_MEMORY);
	w->in = in;
	w->v = ret;
	if (failed(e = run(w)))
		verdict_done(ret);
	return e;
}
