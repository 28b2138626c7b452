/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/collect.h"

#include <fcntl.h>
#include <string.h>

#include "attest/instance.h"
#include "attest/tpm_session.h"
#include "base/file.h"
#include "base/log.h"

#define USERSPACE_LOCK_MS 10000 /* longest wait for what systemd is measuring just now */

/* A workload key with the AK's word for it; owns what struct evidence borrows. */
struct certified {
	struct wkey_blob blob;
	struct attestation attestation;
};

/* Everything that must live until the evidence is encoded. */
struct work {
	const struct collect *c;
	struct evidence_claims *claims;
	struct evidence *evidence;
	struct buf encoded_claims;
	struct buf log, firmware_log, command_line, userspace_log, ima;
	bool last; /* the log ends with the part that is sent */
	struct attestation quote, boot;
	struct digest pcr[LIMIT_BANKS * LIMIT_PCRS];
	size_t n_certified;
	struct certified *certified; /* one for each live instance */
};

static void work_done(struct work *k)
{
	for (size_t i = 0; i < k->n_certified; i++) {
		wkey_blob_done(&k->certified[i].blob);
		attestation_done(&k->certified[i].attestation);
	}
	free(k->certified);
	attestation_done(&k->quote);
	attestation_done(&k->boot);
	buf_free(&k->encoded_claims);
	buf_free(&k->log);
	buf_free(&k->firmware_log);
	buf_free(&k->command_line);
	buf_free(&k->userspace_log);
	buf_free(&k->ima);
	free(k->claims);
	free(k->evidence);
}

static struct err work_init(const struct collect *c, struct work *k)
{
	*k = (struct work){ .c = c, .quote = ATTESTATION_INIT, .boot = ATTESTATION_INIT };
	buf_init(&k->encoded_claims, LIMIT_SMALL);
	buf_init(&k->log, LIMIT_WORKLOAD_LOG);
	buf_init(&k->firmware_log, LIMIT_FIRMWARE_LOG);
	buf_init(&k->command_line, LIMIT_COMMAND_LINE + 1);
	buf_init(&k->userspace_log, LIMIT_USERSPACE_LOG);
	buf_init(&k->ima, LIMIT_IMA_PART);
	k->claims = calloc(1, sizeof(*k->claims));
	k->evidence = calloc(1, sizeof(*k->evidence));
	k->certified = calloc(c->workload->n_live + 1, sizeof(*k->certified));
	return k->claims == NULL || k->evidence == NULL || k->certified == NULL ? ERR(E_LOCAL_MEMORY) : ERR(E_OK);
}

static struct err bank_of(const struct challenge *ch, struct reason *why, enum digest_id *ret)
{
	const struct digest_alg *alg = digest_by_tpm_alg(ch->selection.bank[0].hash_alg);

	if (ch->selection.n != 1 || alg == NULL) {
		reason_set(why, "the challenge selects another bank than one that Assay knows");
		return ERR(E_PEER_UNSUPPORTED);
	}
	*ret = alg->id;
	return ERR(E_OK);
}

/* The log from where the verifier's copy ends, if it ends where ours has the same value. */
static struct err set_position(const struct work *k, enum digest_id bank)
{
	const struct challenge *ch = k->c->challenge;
	struct evidence_claims *claims = k->claims;
	struct digest pcr;
	uint64_t records;
	struct err e;

	e = workload_position(k->c->workload, ch->log_offset, bank, &records, &pcr);
	if (failed(e) && e.code != E_PEER_RANGE)
		return e;
	if (failed(e) || records != ch->log_records || !bytes_eq(digest_bytes(&pcr), digest_bytes(&ch->log_pcr))) {
		log_debug("the verifier's position in the log is not ours: all of it is sent");
		return ERR(E_OK);
	}
	claims->log_offset = ch->log_offset;
	claims->log_records = ch->log_records;
	claims->log_pcr = digest_bytes(&ch->log_pcr);
	return ERR(E_OK);
}

static struct err make_claims(struct work *k, enum digest_id bank)
{
	const struct collect *c = k->c;
	struct evidence_claims *claims = k->claims;
	struct err e;

	if (strcmp(c->issuer, c->challenge->issuer) != 0) {
		reason_set(c->tpm->why, "the challenge is of issuer %s, but this host enrolled with %s",
			   log_quote(bytes_str(c->challenge->issuer)), c->issuer);
		return ERR(E_AUTH_CONFLICT);
	}
	claims->issuer = bytes_str(c->issuer);
	claims->host_id = bytes_str(c->host_id);
	claims->ak_name = tpm_name_bytes(&c->ak->name);
	memcpy(claims->boot_id, c->boot->id, BOOT_ID_LEN);
	claims->nonce = BYTES_ARR(c->challenge->nonce);
	claims->selection = c->challenge->selection;
	if (failed(e = set_position(k, bank)))
		return e;
	claims->has_ima = c->challenge->wants_ima;
	claims->ima_offset = c->challenge->ima_offset;
	claims->n_instances = c->workload->n_live;
	for (size_t i = 0; i < c->workload->n_live; i++) {
		memcpy(claims->instance[i].instance, c->workload->live[i].id, PRESENTED_ID_LEN);
		claims->instance[i].key_name = BYTES_ARR(c->workload->live[i].key_name);
	}
	if (failed(e = evidence_claims_encode(claims, &k->encoded_claims)))
		return e;
	k->evidence->claims = buf_bytes(&k->encoded_claims);
	return ERR(E_OK);
}

/* Quote, then read; *ret_fits where the values are those that were signed. */
static struct err quote_once(struct work *k, struct bytes qualifying_data, bool *ret_fits)
{
	const struct pcr_selection *selection = &k->claims->selection;
	size_t n = pcr_selection_count(selection);
	struct tpm_attest attest;
	struct digest digest;
	struct err e;

	buf_clear(&k->quote.attest);
	buf_clear(&k->quote.signature);
	if (failed(e = ak_quote(k->c->ak, qualifying_data, selection, &k->quote)) ||
	    failed(e = tpm_pcr_read(k->c->tpm, selection, n, k->pcr)) ||
	    failed(e = tpm_attest_parse(buf_bytes(&k->quote.attest), &attest)) ||
	    failed(e = tpm_pcr_digest(DIGEST_SHA256, n, k->pcr, &digest)))
		return e;
	if (attest.clock.reset_count != k->c->boot->reset_count ||
	    attest.clock.restart_count != k->c->boot->restart_count) {
		reason_set(k->c->tpm->why, "the TPM was reset or resumed while evidence was collected");
		return ERR(E_AUTH_RETRY);
	}
	*ret_fits = bytes_eq(attest.pcr_digest, digest_bytes(&digest));
	return ERR(E_OK);
}

static struct err make_quote(struct work *k)
{
	uint8_t data[32];
	bool fits = false;
	struct err e;

	if (failed(e = evidence_qualifying_data(k->claims->nonce, k->evidence->claims, data)))
		return e;
	for (int i = 0; i < COLLECT_QUOTES_MAX && !fits; i++)
		if (failed(e = quote_once(k, BYTES_ARR(data), &fits)))
			return e;
	if (!fits) {
		reason_set(k->c->tpm->why, "the selected registers change faster than they can be quoted and read");
		return ERR(E_AUTH_RETRY);
	}
	k->evidence->quote = buf_bytes(&k->quote.attest);
	k->evidence->signature = buf_bytes(&k->quote.signature);
	k->evidence->n_pcrs = pcr_selection_count(&k->claims->selection);
	for (size_t i = 0; i < k->evidence->n_pcrs; i++)
		k->evidence->pcr[i] = digest_bytes(&k->pcr[i]);
	return ERR(E_OK);
}

/* Only now: what the quote covers is in the log, and nothing else may have moved the register. */
static struct err add_log(struct work *k, enum digest_id bank)
{
	const struct workload *w = k->c->workload;
	uint32_t mask = k->claims->selection.bank[0].mask;
	struct err e;

	for (size_t i = 0; i < w->banks.n; i++) {
		size_t at = (size_t)__builtin_popcount(mask & ((1u << WORKLOAD_PCR) - 1));

		if (w->banks.bank[i] == bank && (mask >> WORKLOAD_PCR & 1) != 0 &&
		    !bytes_eq(digest_bytes(&k->pcr[at]), digest_bytes(&w->pcr[i]))) {
			reason_set(k->c->tpm->why,
				   "PCR %d is unexplained: something else than Assay has extended it. Assay does not "
				   "repair this: reboot the host",
				   WORKLOAD_PCR);
			return ERR(E_AUTH_CONFLICT);
		}
	}
	/* As much as one message holds. A record may be cut: the verifier goes on before it. */
	if (failed(e = workload_read(w, k->claims->log_offset, LIMIT_WORKLOAD_LOG, &k->log))) {
		reason_set(k->c->tpm->why, "workload log %s: %s", w->file, err_text(e));
		return e;
	}
	k->evidence->log = buf_bytes(&k->log);
	k->last = k->claims->log_offset + k->log.n == w->log_size;
	return ERR(E_OK);
}

/*
 * A log that this machine does not keep is not sent, and the verdict says so.
 * Only what is not there is passed over: a log that cannot be read is a fault here.
 */
static struct err read_failed(const struct work *k, const char *what, const char *path, struct err e)
{
	if (e.code == E_LOCAL_NOT_FOUND) {
		log_warning("the verifier asks for the %s, and there is no %s", what, path);
		return ERR(E_OK);
	}
	reason_set(k->c->tpm->why, "%s %s: %s", what, path, err_text(e));
	return e;
}

/*
 * The words of a command line that the log may hold as a digest only. Without
 * them the verdict cannot say what differs; that is all, so nothing fails here.
 */
static void add_command_line(struct work *k)
{
	struct bytes line;

	if (k->c->command_line == NULL || failed(file_read(AT_FDCWD, k->c->command_line, &k->command_line)))
		return;
	line = buf_bytes(&k->command_line);
	if (line.n > 0 && line.p[line.n - 1] == '\n')
		line.n--;
	k->evidence->has_command_line = line.n > 0 && line.n <= LIMIT_COMMAND_LINE;
	k->evidence->command_line = line;
}

static struct err add_firmware_log(struct work *k)
{
	const char *path = k->c->firmware_log;
	struct err e;

	if (!k->c->challenge->firmware_log)
		return ERR(E_OK);
	e = file_read(AT_FDCWD, path, &k->firmware_log);
	if (failed(e))
		return read_failed(k, "firmware log", path, e);
	k->evidence->has_firmware_log = k->firmware_log.n > 0;
	k->evidence->firmware_log = buf_bytes(&k->firmware_log);
	if (k->evidence->has_firmware_log)
		add_command_line(k);
	return ERR(E_OK);
}

/*
 * systemd extends and appends under a lock: with it, the log holds all that
 * the quote covers. What it measures later, behind the limit too, the verifier
 * does not read.
 */
static struct err add_userspace_log(struct work *k)
{
	const char *path = k->c->userspace_log;
	struct err e;

	if (!k->c->challenge->userspace_log)
		return ERR(E_OK);
	e = file_read_shared(AT_FDCWD, path, USERSPACE_LOCK_MS, LIMIT_USERSPACE_LOG, &k->userspace_log);
	if (failed(e))
		return read_failed(k, "log of systemd", path, e);
	k->evidence->has_userspace_log = k->userspace_log.n > 0;
	k->evidence->userspace_log = buf_bytes(&k->userspace_log);
	return ERR(E_OK);
}

/* As much of the list as one message holds. An entry may be cut: the verifier goes on before it. */
static struct err add_ima(struct work *k)
{
	const char *path = k->c->ima_list;
	struct err e;

	if (!k->c->challenge->wants_ima)
		return ERR(E_OK);
	e = file_read_part(AT_FDCWD, path, k->claims->ima_offset, LIMIT_IMA_PART, &k->ima);
	if (failed(e) && failed(e = read_failed(k, "IMA list", path, e)))
		return e;
	k->evidence->has_ima = true;
	k->evidence->ima = buf_bytes(&k->ima);
	return ERR(E_OK);
}

static struct err certify(struct work *k, const struct tpm_handle *object, ESYS_TR session, struct bytes name,
			  struct attestation *ret)
{
	uint8_t extra[32];
	struct err e;

	if (failed(e = evidence_key_extra_data(k->claims->nonce, k->evidence->claims, name, extra)))
		return e;
	return ak_certify(k->c->ak, object, session, BYTES_ARR(extra), ret);
}

static struct err add_boot(struct work *k)
{
	cleanup_tpm_handle struct tpm_handle primary = TPM_HANDLE_NONE;
	struct boot *boot = k->c->boot;
	struct err e;

	if (k->c->challenge->boot_known)
		return ERR(E_OK);
	if (failed(e = boot_primary(k->c->tpm, boot, &primary)) ||
	    failed(e = certify(k, &primary, ESYS_TR_PASSWORD, tpm_name_bytes(&boot->null_name), &k->boot)))
		return e;
	k->evidence->has_boot = true;
	k->evidence->boot = (struct evidence_key){ buf_bytes(&boot->null_public), buf_bytes(&k->boot.attest),
						   buf_bytes(&k->boot.signature) };
	return ERR(E_OK);
}

static bool is_known(const struct challenge *ch, const uint8_t id[INSTANCE_ID_LEN])
{
	for (size_t i = 0; i < ch->n_known; i++)
		if (memcmp(ch->known[i], id, INSTANCE_ID_LEN) == 0)
			return true;
	return false;
}

static struct err add_key(struct work *k, const struct workload_instance *live, const struct tpm_handle *session)
{
	struct certified *to = &k->certified[k->n_certified];
	cleanup_tpm_handle struct tpm_handle primary = TPM_HANDLE_NONE, key = TPM_HANDLE_NONE;
	cleanup_instance struct instance i = { 0 };
	struct tpm *tpm = k->c->tpm;
	struct err e;

	to->blob = (struct wkey_blob)WKEY_BLOB_INIT;
	to->attestation = (struct attestation)ATTESTATION_INIT;
	k->n_certified++;
	if (failed(e = instance_read(k->c->state_fd, live->id, &i, &to->blob, tpm->why)) ||
	    failed(e = boot_primary(tpm, k->c->boot, &primary)) || failed(e = wkey_load(&primary, &to->blob, &key)))
		return e;
	tpm_handle_done(&primary);
	if (failed(e = certify(k, &key, session->tr, BYTES_ARR(live->key_name), &to->attestation)))
		return e;
	k->evidence->key[k->evidence->n_keys++] =
		(struct evidence_key){ buf_bytes(&to->blob.public_area), buf_bytes(&to->attestation.attest),
				       buf_bytes(&to->attestation.signature) };
	return ERR(E_OK);
}

/*
 * Keys that the verifier does not hold, when it learns from the log which they
 * are. The session is started only where there are some.
 */
static struct err add_keys(struct work *k)
{
	cleanup_tpm_handle struct tpm_handle session = TPM_HANDLE_NONE;
	const struct workload *w = k->c->workload;
	struct err e;

	for (size_t i = 0; k->last && i < w->n_live; i++) {
		if (is_known(k->c->challenge, w->live[i].id))
			continue;
		if (session.tpm == NULL && failed(e = session_hmac(k->c->tpm, NULL, &session)))
			return e;
		if (failed(e = add_key(k, &w->live[i], &session)))
			return e;
	}
	return ERR(E_OK);
}

struct err collect_evidence(const struct collect *c, struct buf *ret)
{
	cleanup(work_done) struct work k = { 0 };
	enum digest_id bank;
	struct err e;

	if (failed(e = work_init(c, &k)) || failed(e = bank_of(c->challenge, c->tpm->why, &bank)) ||
	    failed(e = make_claims(&k, bank)) || failed(e = make_quote(&k)) || failed(e = add_log(&k, bank)) ||
	    failed(e = add_boot(&k)) || failed(e = add_keys(&k)) || failed(e = add_firmware_log(&k)) ||
	    failed(e = add_userspace_log(&k)) || failed(e = add_ima(&k)))
		return e;
	return evidence_encode(k.evidence, ret);
}
