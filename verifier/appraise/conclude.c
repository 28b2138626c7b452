/* SPDX-License-Identifier: Apache-2.0 */
/*
 * After the rows: what the host becomes, the state to store, the status of
 * each instance.
 *
 * The log's position, the boot and everything learned from them advance with a
 * pass only; otherwise a bad record would be laundered by the next delta. The
 * newest counters are kept whatever the verdict, as far as the clock rules
 * accepted them: they say which TPM this is and how far it has come, and
 * without them evidence that was overtaken, or a TPM whose counters went back,
 * could not be told after a failure.
 */
#include <string.h>

#include "verifier/appraise/host_log.h"
#include "verifier/appraise/work.h"

/* AR4SI values (draft-ietf-rats-ar4si, 2.3; credentials.md, section 5). Negative ones are ours. */
enum {
	IDENTITY_RECOGNISED = 2, IDENTITY_NOT_TRUSTWORTHY = 96,
	CRYPTO_FAILED = 99,
	CONFIGURATION_APPROVED = 2, CONFIGURATION_UNACCEPTABLE = 96,
	EXECUTABLES_APPROVED_AT_BOOT = 3, EXECUTABLES_UNRECOGNISED = 33, EXECUTABLES_CONTRAINDICATED = 96,
	FILES_APPROVED = 2, FILES_UNRECOGNISED = 32, FILES_CONTRAINDICATED = 96,
	HARDWARE_GENUINE = 2, HARDWARE_NO_CERTIFICATE = 32, HARDWARE_FIRMWARE_CHANGED = -33,
	STORAGE_HARDWARE_KEYS = 2,
	SOURCE_TRUSTED = 2, SOURCE_UNATTESTED = 32, SOURCE_CONTRAINDICATED = 96,
};

static struct trust_vector platform_vector(const struct work *w, bool passed)
{
	struct trust_vector v = {
		.instance_identity = passed ? IDENTITY_RECOGNISED : IDENTITY_NOT_TRUSTWORTHY,
		.hardware = w->in->host->has_ek_cert ? HARDWARE_GENUINE : HARDWARE_NO_CERTIFICATE,
	};

	if (w->v->firmware_changed && v.hardware == HARDWARE_GENUINE)
		v.hardware = HARDWARE_FIRMWARE_CHANGED;
	if (w->platform != NULL) {
		v.configuration = CONFIGURATION_APPROVED;
		/* The document counts violations of IMA instead of refusing them. */
		v.executables = w->ima.warn ? EXECUTABLES_UNRECOGNISED : EXECUTABLES_APPROVED_AT_BOOT;
	} else {
		v.executables = w->n_platforms > 0 ? EXECUTABLES_CONTRAINDICATED : EXECUTABLES_UNRECOGNISED;
	}
	return v;
}

static bool decided_by(const uint8_t doc[32])
{
	return !bytes_all(BYTES(doc, 32), 0);
}

/*
 * Where nothing says that it was our measurer who measured, what it says about
 * image and model comes from an unattested source, and that caps both.
 */
static int8_t source(const struct work *w)
{
	return w->measurer_attested ? SOURCE_TRUSTED : SOURCE_UNATTESTED;
}

/* Of the root that a container has; nothing is known of the files that others see. */
static int8_t file_system(const struct instance_verdict *i, bool changed)
{
	if (!i->has_container)
		return 0;
	if (changed)
		return FILES_CONTRAINDICATED;
	return decided_by(i->image_doc) ? FILES_APPROVED : FILES_UNRECOGNISED;
}

/* The document that decided names policies of containers: the one that this keeps to is among them. */
static bool configured(const struct work *w, const struct instance_verdict *i)
{
	const struct document *agent = reference_agent(w->in->reference, bytes_str(i->agent), w->in->now_s);

	return i->has_container && agent != NULL && agent->containers.n > 0;
}

static struct trust_vector container_vector(const struct work *w, const struct instance_verdict *i, bool changed)
{
	struct trust_vector v = { .executables = EXECUTABLES_APPROVED_AT_BOOT,
				  .file_system = file_system(i, changed),
				  .sourced_data = source(w) };

	if (!decided_by(i->image_doc))
		v.executables = EXECUTABLES_UNRECOGNISED;
	if (changed)
		v.executables = EXECUTABLES_CONTRAINDICATED;
	if (configured(w, i))
		v.configuration = CONFIGURATION_APPROVED;
	if (!decided_by(i->image_doc) || !decided_by(i->agent_doc))
		v.configuration = CONFIGURATION_UNACCEPTABLE;
	return v;
}

static struct trust_vector model_vector(const struct work *w, const struct instance_verdict *i, bool changed)
{
	bool golden = decided_by(i->model_doc) && !changed;

	return (struct trust_vector){ .sourced_data = golden ? source(w) : SOURCE_CONTRAINDICATED };
}

static struct trust_vector key_vector(bool certified)
{
	if (!certified)
		return (struct trust_vector){ .instance_identity = CRYPTO_FAILED, .storage_opaque = CRYPTO_FAILED };
	return (struct trust_vector){ .instance_identity = IDENTITY_RECOGNISED, .storage_opaque = STORAGE_HARDWARE_KEYS };
}

static enum tier worst_of(const struct instance_verdict *i)
{
	const enum tier tiers[] = { trust_vector_tier(&i->platform), trust_vector_tier(&i->container),
				    trust_vector_tier(&i->model), trust_vector_tier(&i->key) };
	enum tier worst = TIER_AFFIRMING;

	for (size_t k = 0; k < array_len(tiers); k++) {
		/* A submodule about which nothing is known is not affirmed. */
		if (tiers[k] == TIER_NONE)
			return TIER_CONTRAINDICATED;
		if (tiers[k] > worst)
			worst = tiers[k];
	}
	return worst;
}

static bool waived(const struct verdict *v)
{
	for (size_t i = 0; i < v->n_checks; i++) {
		if (v->result[i] == CHECK_WAIVED)
			return true;
	}
	return false;
}

/* The status that the agent document asks for. A lower one is no failure of the host. */
static bool meets_minimum(struct work *w, const struct instance *i, enum tier status)
{
	const struct document *agent = reference_agent(w->in->reference, bytes_str(i->agent), w->in->now_s);
	enum tier minimum = agent != NULL && agent->minimum_status == MINIMUM_WARNING ? TIER_WARNING : TIER_AFFIRMING;
	struct attest_failure *f;

	if (agent != NULL && status <= minimum)
		return true;
	if (agent == NULL || status >= TIER_CONTRAINDICATED)
		return false; /* and a row has said why */
	f = work_note(w, ROW_AGENT, HEX(BYTES_ARR(i->id)));
	SAY(f->expected, "status %s, as the document of agent %s asks (minimum_status)", tier_name(minimum), i->agent);
	SAY(f->seen, "%s%s", tier_name(status), w->measurer_attested ? "" : ": measurer not attested");
	return false;
}

static void conclude_instance(struct work *w, const struct instance *i, struct instance_verdict *v, bool passed)
{
	bool image_changed = i->changed && (memcmp(&i->image, &i->now_image, sizeof(i->image)) != 0 ||
					    memcmp(&i->container, &i->now_container, sizeof(i->container)) != 0);
	bool model_changed = i->changed && memcmp(&i->model, &i->now_model, sizeof(i->model)) != 0;

	/* A change record that names no difference is still one. */
	if (i->changed && !image_changed && !model_changed)
		image_changed = model_changed = true;
	v->platform = w->v->platform;
	v->container = container_vector(w, v, image_changed);
	v->model = model_vector(w, v, model_changed);
	v->key = key_vector(i->has_key);
	v->status = passed ? worst_of(v) : TIER_CONTRAINDICATED;
	if (waived(w->v) && v->status < TIER_WARNING)
		v->status = TIER_WARNING;
	v->usable = passed && !i->changed && i->has_key && decided_by(v->image_doc) && decided_by(v->model_doc) &&
		    decided_by(v->agent_doc) && meets_minimum(w, i, v->status);
}

static void conclude_instances(struct work *w, bool passed)
{
	w->v->platform = platform_vector(w, passed);
	for (size_t k = 0; k < w->v->n_instances; k++)
		conclude_instance(w, &w->v->next.instance[k], &w->v->instance[k], passed);
}

/* All that fails is that nobody has approved this machine yet. */
static bool only_pending(const struct verdict *v)
{
	for (size_t i = 0; i < v->n_checks; i++) {
		if (v->result[i] == CHECK_FAIL && i != ROW_HOST_DOCUMENT)
			return false;
	}
	return v->result[ROW_HOST_DOCUMENT] == CHECK_FAIL;
}

static enum host_status status_after(const struct work *w, bool passed)
{
	enum host_status before = w->in->state->status;

	if (passed)
		return HOST_VERIFIED;
	/* V3: no way round FAILED but a full verification or an operator. */
	if (before != HOST_FAILED && w->v->result[ROW_NEW_BOOT] == CHECK_FAIL)
		return HOST_REBOOTED;
	if (before == HOST_NEVER && only_pending(w->v))
		return HOST_NEVER;
	return HOST_FAILED;
}

static void advance(struct work *w)
{
	struct host_state *s = &w->v->next;

	s->has_boot = true;
	s->has_clock = true;
	s->clock = w->quote.clock;
	s->firmware_version = w->quote.firmware_version;
	memcpy(s->policy_digest, w->policy, sizeof(s->policy_digest));
	ima_progress_done(&s->ima);
	s->ima = w->ima_progress;
	w->ima_progress = (struct ima_progress){ .has = false };
	log_progress_done(&s->open);
}

/* The firmware version stays that of the last pass, so that a change is still a change after a failure in between. */
static void fall_back(struct work *w)
{
	const struct host_state *before = w->in->state;
	struct host_state *s = &w->v->next;

	host_state_forget_log(s);
	s->has_clock = before->has_clock || w->clock_accepted;
	s->clock = w->clock_accepted ? w->quote.clock : before->clock;
	s->firmware_version = before->has_clock ? before->firmware_version : w->quote.firmware_version;
}

/* Nothing was learned that may change anything: the state as it was. */
static struct err leave(struct work *w)
{
	host_state_done(&w->v->next);
	w->v->status = w->in->state->status;
	return host_state_copy(w->in->state, &w->v->next);
}

/* What is open stays open: nothing failed, and the rest of a log comes with the next evidence. */
static bool goes_on(const struct verdict *v)
{
	for (size_t i = 0; i < v->n_checks; i++) {
		if (v->result[i] == CHECK_FAIL)
			return false;
	}
	return v->incomplete;
}

/* A log that comes in parts: what was walked is not the state's before a verdict, and no part comes twice. */
static struct err keep_log(struct work *w, struct log_progress *ret)
{
	struct host_state *s = &w->v->next;
	struct err e;

	if (!w->log_open)
		return w->boot == BOOT_SAME ? log_progress_copy(&w->in->state->open, ret) : ERR(E_OK);
	if (failed(e = bytes_copy_exact(BYTES_ARR(w->policy), s->policy_digest, sizeof(s->policy_digest))))
		return e;
	ret->image_gone = w->image_gone;
	ret->root_gone = w->root_gone;
	ret->model_gone = w->model_gone;
	return log_progress_keep(ret, s);
}

/*
 * The state as it was, with the replays further on. After a reset it is that of
 * a host of which only the clock is known: what followed from the old boot is over.
 */
static struct err go_on(struct work *w)
{
	struct host_state *s = &w->v->next;
	cleanup_log_progress struct log_progress open = { .state = NULL };
	struct err e;

	if (failed(e = keep_log(w, &open)))
		return e;
	host_state_done(s);
	if (failed(e = host_state_copy(w->in->state, s)))
		return e;
	if (w->boot == BOOT_NEW || w->boot == BOOT_RESUMED) {
		w->v->incomplete = false;
		host_state_forget_log(s);
		s->status = w->in->state->status == HOST_FAILED ? HOST_FAILED : HOST_REBOOTED;
	}
	s->has_clock = true;
	s->clock = w->quote.clock;
	if (!w->in->state->has_clock)
		s->firmware_version = w->quote.firmware_version;
	ima_progress_done(&s->ima);
	s->ima = w->ima_progress;
	w->ima_progress = (struct ima_progress){ .has = false };
	log_progress_done(&s->open);
	s->open = open;
	open = (struct log_progress){ .state = NULL };
	w->v->status = s->status;
	return ERR(E_OK);
}

struct err work_conclude(struct work *w)
{
	bool passed = verdict_passed(w->v);

	if (!w->v->authentic || w->v->overtaken)
		return leave(w);
	if (goes_on(w->v))
		return go_on(w);
	w->v->incomplete = false;
	conclude_instances(w, passed);
	w->v->status = status_after(w, passed);
	if (passed)
		advance(w);
	else
		fall_back(w);
	w->v->next.status = w->v->status;
	return ERR(E_OK);
}
