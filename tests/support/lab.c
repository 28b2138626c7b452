/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/lab.h"

#include <string.h>

#include "firmware-measure/cel.h"
#include "firmware-measure/evlog.h"
#include "firmware-measure/imalog.h"

#define MAX_BYTES (8 * MIB)

static void must_at(struct err e, int line)
{
	if (failed(e)) {
		(void)fprintf(stderr, "lab.c:%d: %s\n", line, err_name(e));
		abort();
	}
}
#define must(e) must_at((e), __LINE__)

static void *must_alloc(size_t n)
{
	void *p = calloc(1, n);

	if (p == NULL)
		abort();
	return p;
}

static void publish(struct lab *l)
{
	struct document *docs[LAB_MAX_DOCS];
	size_t n = 0;

	for (size_t i = 0; i < LAB_MAX_DOCS; i++) {
		if (l->doc[i] != NULL)
			docs[n++] = doc_make(json_deep_copy(l->doc[i]));
	}
	reference_release(l->reference);
	l->reference = NULL;
	must(reference_new(docs, n, &l->reference));
}

void lab_doc_set(struct lab *l, size_t doc, const char *key, const char *json)
{
	doc_set(l->doc[doc], key, json);
	publish(l);
}

void lab_doc_put(struct lab *l, size_t doc, json_t *p)
{
	json_decref(l->doc[doc]);
	l->doc[doc] = p;
	publish(l);
}

static void set_digests(json_t *p, const char *key, struct hex32 h)
{
	if (json_object_set_new(p, key, json_pack("[s]", h.text)) != 0)
		abort();
}

void lab_approve_platform(struct lab *l)
{
	json_t *vector = json_array(), *p = l->doc[DOCUMENT_PLATFORM];
	size_t i;
	json_t *pcr;

	json_array_foreach(json_object_get(p, "pcrs"), i, pcr) {
		const struct digest *d = &l->tpm->pcr[DIGEST_SHA256][json_integer_value(pcr)];

		if (json_array_append_new(vector, json_string(hex32(d->v).text)) != 0)
			abort();
	}
	if (json_object_set_new(p, "vectors", json_pack("[o]", vector)) != 0)
		abort();
	publish(l);
}

void lab_approve_root(struct lab *l, const char *root)
{
	set_digests(l->doc[DOCUMENT_IMAGE], "rootfs", hex32_of(root));
	publish(l);
}

void lab_boot_id(const struct lab *l, uint8_t ret[BOOT_ID_LEN])
{
	must(boot_id_of(&l->tpm->null_primary->name, l->tpm->clock.reset_count, l->tpm->clock.restart_count, ret));
}

static void write_record(struct lab *l, const struct workload_event *ev, uint64_t recnum, uint32_t pcr, bool extend)
{
	cleanup_buf struct buf content = BUF_INIT(LIMIT_LOG_RECORD);
	struct cel_record rec = { .recnum = recnum, .pcr = pcr };
	enum digest_id algs[N_DIGESTS];
	size_t n = 0;

	for (unsigned i = 0; i < N_DIGESTS; i++) {
		if ((l->tpm->banks >> i & 1) != 0)
			algs[n++] = (enum digest_id)i;
	}
	must(workload_event_encode(ev, &content));
	must(cel_digests(buf_bytes(&content), n, algs, &rec));
	must(cel_encode(&rec, &l->log));
	l->n_records++;
	for (size_t i = 0; i < n && extend; i++)
		must(softtpm_extend(l->tpm, algs[i], WORKLOAD_PCR, digest_bytes(&rec.digest[i])));
}

void lab_record(struct lab *l, const struct workload_event *ev)
{
	write_record(l, ev, l->n_records, WORKLOAD_PCR, true);
}

void lab_record_as(struct lab *l, const struct workload_event *ev, uint64_t recnum, uint32_t pcr)
{
	write_record(l, ev, recnum, pcr, true);
}

static void begin(struct lab *l)
{
	struct workload_event ev = { .kind = WORKLOAD_BEGIN };

	for (unsigned i = 0; i < N_DIGESTS; i++) {
		if ((l->tpm->banks >> i & 1) == 0)
			continue;
		ev.bank[ev.n_banks] = (enum digest_id)i;
		ev.before[ev.n_banks++] = l->tpm->pcr[i][WORKLOAD_PCR];
	}
	lab_record(l, &ev);
}

static void measure_log(struct lab *l)
{
	struct evlog_pos pos = { 0 };
	struct evlog_event ev;
	struct evlog log;

	must(evlog_open(buf_bytes(&l->firmware_log), &log, NULL));
	for (;;) {
		must(evlog_next(&log, &pos, &ev, NULL));
		if (ev.end)
			break;
		for (unsigned id = 0; evlog_extends(&ev) && id < N_DIGESTS; id++)
			if (ev.digest[id].n > 0)
				must(softtpm_extend(l->tpm, (enum digest_id)id, ev.pcr, ev.digest[id]));
	}
}

void lab_ima(struct lab *l, struct bytes list)
{
	cleanup_imalog struct imalog log;
	struct ima_entry ent;
	struct digest d;
	bool more;

	imalog_init(&log, IMALOG_BINARY, IMALOG_LITTLE_ENDIAN);
	must(imalog_feed(&log, list));
	for (;;) {
		must(imalog_next(&log, &ent, &more, NULL));
		if (more)
			break;
		must(digest_one(DIGEST_SHA256, ent.hashed, &d));
		must(softtpm_extend(l->tpm, DIGEST_SHA256, IMA_PCR, digest_bytes(&d)));
	}
	must(buf_add(&l->ima, list));
}

void lab_boot(struct lab *l)
{
	char text[16];

	for (unsigned pcr = 0; pcr < 8 && l->firmware_log.n == 0; pcr++) {
		(void)snprintf(text, sizeof(text), "firmware %u", pcr);
		must(softtpm_event(l->tpm, pcr, bytes_str(text)));
	}
	if (l->firmware_log.n > 0)
		measure_log(l);
	buf_clear(&l->log);
	l->n_records = 0;
	for (size_t i = 0; i < l->n_instances; i++)
		softtpm_key_free(l->instance[i].key);
	l->n_instances = 0;
	begin(l);
}

static void digest_pair(const char *text, uint8_t first[32], uint8_t second[32])
{
	must(sha256(bytes_str(text), first));
	must(sha256(BYTES(first, 32), second));
}

/* What an event says of image and model, and of the container where there is one (root not NULL). */
static void digests_of(struct workload_event *ev, const char *image, const char *model, const char *root,
		       const char *policy)
{
	digest_pair(image, ev->image.manifest, ev->image.config);
	digest_pair(model, ev->model.manifest, ev->model.oms_root);
	ev->has_container = root != NULL;
	if (root == NULL)
		return;
	must(sha256(bytes_str(root), ev->container.rootfs));
	must(sha256(bytes_str(policy), ev->container.policy));
}

static size_t start(struct lab *l, struct workload_event *ev, const char *agent, struct softtpm_key *key)
{
	struct lab_instance *i = &l->instance[l->n_instances];

	if (l->n_instances == LAB_MAX_INSTANCES)
		abort();
	i->key = key;
	memset(i->id, (int)(0x10 + l->n_instances), sizeof(i->id));
	i->live = true;
	ev->kind = WORKLOAD_START;
	ev->agent = bytes_str(agent);
	memcpy(ev->instance, i->id, sizeof(ev->instance));
	must(workload_args_digest(0, NULL, ev->args));
	ev->key_name = tpm_name_bytes(&i->key->name);
	lab_record(l, ev);
	return l->n_instances++;
}

size_t lab_start_key(struct lab *l, const char *agent, const char *image, const char *model, struct softtpm_key *key)
{
	struct workload_event ev = { 0 };

	digests_of(&ev, image, model, NULL, NULL);
	return start(l, &ev, agent, key);
}

size_t lab_start_container(struct lab *l, const char *agent, const char *image, const char *root, const char *policy)
{
	struct workload_event ev = { 0 };
	struct softtpm_key *key = NULL;

	must(softtpm_workload_key(l->tpm, &key));
	digests_of(&ev, image, "model", root, policy);
	return start(l, &ev, agent, key);
}

size_t lab_start(struct lab *l, const char *agent, const char *image, const char *model)
{
	struct softtpm_key *key = NULL;

	must(softtpm_workload_key(l->tpm, &key));
	return lab_start_key(l, agent, image, model, key);
}

void lab_end(struct lab *l, size_t instance)
{
	struct workload_event ev = { .kind = WORKLOAD_END };

	memcpy(ev.instance, l->instance[instance].id, sizeof(ev.instance));
	lab_record(l, &ev);
	l->instance[instance].live = false;
}

static void task_id(uint32_t number, uint8_t ret[INSTANCE_ID_LEN])
{
	memset(ret, 0x55, INSTANCE_ID_LEN);
	memcpy(ret + 4, &number, sizeof(number));
}

void lab_task_start(struct lab *l, uint32_t number, const char *agent, const char *image)
{
	struct workload_event ev = { .kind = WORKLOAD_START, .agent = bytes_str(agent) };
	struct tpm_name name = l->instance[0].key->name;

	task_id(number, ev.instance);
	memcpy(name.v + 2, &number, sizeof(number));
	digest_pair(image, ev.image.manifest, ev.image.config);
	digest_pair("model", ev.model.manifest, ev.model.oms_root);
	ev.key_name = tpm_name_bytes(&name);
	lab_record(l, &ev);
}

void lab_task_end(struct lab *l, uint32_t number)
{
	struct workload_event ev = { .kind = WORKLOAD_END };

	task_id(number, ev.instance);
	lab_record(l, &ev);
}

uint32_t lab_tasks(struct lab *l, uint32_t from, size_t bytes)
{
	for (; l->log.n < bytes; from++) {
		lab_task_start(l, from, "agt", "image");
		lab_task_end(l, from);
	}
	return from;
}

static void changed(struct lab *l, size_t instance, struct workload_event *ev)
{
	ev->kind = WORKLOAD_CHANGED;
	memcpy(ev->instance, l->instance[instance].id, sizeof(ev->instance));
	lab_record(l, ev);
}

void lab_changed(struct lab *l, size_t instance, const char *image, const char *model)
{
	struct workload_event ev = { 0 };

	digests_of(&ev, image, model, NULL, NULL);
	changed(l, instance, &ev);
}

void lab_changed_container(struct lab *l, size_t instance, const char *image, const char *root, const char *policy)
{
	struct workload_event ev = { 0 };

	digests_of(&ev, image, "model", root, policy);
	changed(l, instance, &ev);
}

static void enrol(struct lab *l, enum softtpm_template ak)
{
	const struct softtpm_options o = { .ek = SOFTTPM_EK_P256, .ak = ak };
	cleanup_buf struct buf record = BUF_INIT(HOST_RECORD_MAX);

	must(softtpm_new(&o, &l->tpm));
	must(host_record_encode(buf_bytes(&l->tpm->ek->area), BYTES_LIT("certificate"), buf_bytes(&l->tpm->ak->area),
				LAB_NOW - 1000, &record));
	must(host_record_decode(buf_bytes(&record), &l->host));
}

struct lab *lab_new(enum softtpm_template ak)
{
	struct lab *l = must_alloc(sizeof(*l));

	l->ev = must_alloc(sizeof(*l->ev));
	l->claims = must_alloc(sizeof(*l->claims));
	l->now_s = LAB_NOW;
	memset(l->nonce_key, 0x5a, sizeof(l->nonce_key));
	buf_init(&l->log, MAX_BYTES);
	buf_init(&l->firmware_log, MAX_BYTES);
	buf_init(&l->userspace_log, MAX_BYTES);
	buf_init(&l->ima, MAX_BYTES);
	buf_init(&l->evidence, MAX_BYTES);
	host_state_init(&l->state);
	enrol(l, ak);
	for (unsigned k = 0; k < DOCUMENT_WITHDRAW; k++)
		l->doc[k] = doc_predicate((enum document_kind)k);
	set_digests(l->doc[DOCUMENT_HOST], "ek_sha256", hex32(l->host->ek_sha256));
	lab_boot(l);
	lab_approve_platform(l);
	(void)lab_start(l, "agt", "image", "model");
	return l;
}

void lab_free(struct lab *l)
{
	for (size_t i = 0; i < l->n_instances; i++)
		softtpm_key_free(l->instance[i].key);
	for (size_t i = 0; i < LAB_MAX_DOCS; i++)
		json_decref(l->doc[i]);
	reference_release(l->reference);
	host_record_free(l->host);
	host_state_done(&l->state);
	softtpm_free(l->tpm);
	buf_free(&l->log);
	buf_free(&l->firmware_log);
	buf_free(&l->userspace_log);
	buf_free(&l->ima);
	buf_free(&l->evidence);
	free(l->ev);
	free(l->claims);
	free(l);
}

static void known_keys(struct lab *l, const struct host_state *log)
{
	for (size_t i = 0; i < log->n_instances; i++) {
		if (log->instance[i].has_key)
			memcpy(l->challenge.known[l->challenge.n_known++], log->instance[i].id, INSTANCE_ID_LEN);
	}
}

void lab_challenge(struct lab *l)
{
	struct challenge *c = &l->challenge;
	uint8_t policy[32], boot[BOOT_ID_LEN], random[16] = { 0 };
	const struct host_state *log;
	struct appraise_logs logs;
	struct nonce_for f = { .purpose = "attest", .host = bytes_str(l->host->id), .selection = &c->selection };

	*c = (struct challenge){ .issuer = LAB_ISSUER };
	lab_boot_id(l, boot);
	appraise_logs(l->reference, l->host->ek_sha256, l->now_s, &l->state, boot, &logs);
	c->firmware_log = logs.firmware;
	c->userspace_log = logs.userspace;
	c->wants_ima = logs.ima;
	c->ima_offset = logs.ima_offset;
	reference_policy_digest(l->reference, policy);
	must(appraise_selection(l->reference, l->host->ek_sha256, l->now_s, &c->selection));
	f.policy = BYTES_ARR(policy);
	memcpy(random, &l->n_challenges, sizeof(l->n_challenges));
	l->n_challenges++;
	must(nonce_make(l->nonce_key, &f, l->now_s, random, c->nonce));
	c->boot_known = host_state_continues(&l->state, boot, policy);
	log = host_state_log(&l->state, boot, policy);
	if (log == NULL)
		return;
	c->log_offset = log->log_offset;
	c->log_records = log->log_records;
	if (c->log_records > 0)
		c->log_pcr = log->pcr[0];
	known_keys(l, log);
}

static bool is_known(const struct challenge *c, const uint8_t id[INSTANCE_ID_LEN])
{
	for (size_t i = 0; i < c->n_known; i++) {
		if (memcmp(c->known[i], id, INSTANCE_ID_LEN) == 0)
			return true;
	}
	return false;
}

static void fill_claims(struct lab *l, struct evidence_claims *c)
{
	const struct challenge *ch = &l->challenge;

	*c = (struct evidence_claims){
		.issuer = bytes_str(ch->issuer),
		.host_id = bytes_str(l->host->id),
		.ak_name = tpm_name_bytes(&l->tpm->ak->name),
		.nonce = BYTES_ARR(ch->nonce),
		.selection = ch->selection,
		.log_offset = ch->log_offset,
		.log_records = ch->log_records,
		.log_pcr = digest_bytes(&ch->log_pcr),
		.has_ima = ch->wants_ima,
		.ima_offset = ch->ima_offset,
	};
	lab_boot_id(l, c->boot_id);
	for (size_t i = 0; i < l->n_instances; i++) {
		if (!l->instance[i].live)
			continue;
		memcpy(c->instance[c->n_instances].instance, l->instance[i].id, INSTANCE_ID_LEN);
		c->instance[c->n_instances++].key_name = tpm_name_bytes(&l->instance[i].key->name);
	}
}

/* Everything that the encoded evidence borrows from. */
struct draft {
	struct buf claims, quote, sig, key[2 * (LAB_MAX_INSTANCES + 1)];
	struct digest pcr[LIMIT_BANKS * LIMIT_PCRS];
};

static struct draft *draft_new(void)
{
	struct draft *d = must_alloc(sizeof(*d));

	buf_init(&d->claims, MAX_BYTES);
	buf_init(&d->quote, MAX_BYTES);
	buf_init(&d->sig, MAX_BYTES);
	for (size_t i = 0; i < array_len(d->key); i++)
		buf_init(&d->key[i], MAX_BYTES);
	return d;
}

static void draft_free(struct draft *d)
{
	buf_free(&d->claims);
	buf_free(&d->quote);
	buf_free(&d->sig);
	for (size_t i = 0; i < array_len(d->key); i++)
		buf_free(&d->key[i]);
	free(d);
}

static void make_quote(struct lab *l, const struct lab_change *ch, struct draft *d, struct evidence *ev)
{
	const struct softtpm_key *signer = ch->signer != NULL ? ch->signer : l->tpm->ak;
	const struct pcr_selection *selection = ch->quoted != NULL ? ch->quoted : &l->challenge.selection;
	struct pcr_selection done;
	struct tpm_attest a;
	struct digest digest = { 0 };
	uint8_t extra[32];

	must(evidence_qualifying_data(BYTES_ARR(l->challenge.nonce), buf_bytes(&d->claims), extra));
	must(softtpm_quote_fields(l->tpm, signer, BYTES_ARR(extra), selection, &digest, &a));
	if (ch->quote != NULL)
		ch->quote(l, &a);
	must(softtpm_attest_write(&a, ch->body, &d->quote));
	if (ch->quote_bytes != NULL)
		ch->quote_bytes(l, &d->quote);
	must(softtpm_sign(signer, buf_bytes(&d->quote), &d->sig));
	if (ch->signature != NULL)
		ch->signature(l, &d->sig);
	softtpm_pcr_read(l->tpm, &l->challenge.selection, &done, d->pcr, &ev->n_pcrs);
	for (size_t i = 0; i < ev->n_pcrs; i++)
		ev->pcr[i] = digest_bytes(&d->pcr[i]);
	ev->quote = buf_bytes(&d->quote);
	ev->signature = buf_bytes(&d->sig);
}

/* Slot LAB_MAX_INSTANCES is the null primary's. */
static void certify(struct lab *l, const struct softtpm_key *object, const struct lab_change *ch, struct draft *d,
		    size_t slot, struct evidence_key *ret)
{
	bool boot = slot == LAB_MAX_INSTANCES;
	const struct softtpm_key *signer = boot ? ch->boot_signer : ch->key_signer;
	void (*change)(struct lab *, struct tpm_attest *) = boot ? ch->boot : ch->key;
	void (*change_bytes)(struct lab *, struct buf *) = boot ? ch->boot_bytes : ch->key_bytes;
	struct buf *attest = &d->key[2 * slot], *sig = &d->key[2 * slot + 1];
	struct tpm_attest a;
	uint8_t extra[32];

	if (signer == NULL)
		signer = l->tpm->ak;
	must(evidence_key_extra_data(BYTES_ARR(l->challenge.nonce), buf_bytes(&d->claims),
				     tpm_name_bytes(&object->name), extra));
	must(softtpm_certify_fields(l->tpm, signer, object, BYTES_ARR(extra), &a));
	if (change != NULL)
		change(l, &a);
	must(softtpm_attest_write(&a, ch->body, attest));
	if (change_bytes != NULL)
		change_bytes(l, attest);
	must(softtpm_sign(signer, buf_bytes(attest), sig));
	*ret = (struct evidence_key){ buf_bytes(&object->area), buf_bytes(attest), buf_bytes(sig) };
}

static void make_keys(struct lab *l, const struct lab_change *ch, struct draft *d, struct evidence *ev)
{
	if (!l->challenge.boot_known) {
		ev->has_boot = true;
		certify(l, l->tpm->null_primary, ch, d, LAB_MAX_INSTANCES, &ev->boot);
	}
	for (size_t i = 0; i < l->n_instances; i++) {
		if (l->instance[i].live && !is_known(&l->challenge, l->instance[i].id))
			certify(l, l->instance[i].key, ch, d, i, &ev->key[ev->n_keys++]);
	}
}

void lab_evidence(struct lab *l, const struct lab_change *change)
{
	static const struct lab_change none;
	const struct lab_change *ch = change == NULL ? &none : change;
	struct draft *d = draft_new();
	struct evidence *ev = l->ev;
	size_t off;

	softtpm_tick(l->tpm, 100);
	fill_claims(l, l->claims);
	if (ch->claims != NULL)
		ch->claims(l, l->claims);
	must(evidence_claims_encode(l->claims, &d->claims));
	if (ch->claims_bytes != NULL)
		ch->claims_bytes(l, &d->claims);
	off = l->challenge.log_offset < l->log.n ? (size_t)l->challenge.log_offset : l->log.n;
	*ev = (struct evidence){ .claims = buf_bytes(&d->claims), .log = BYTES(l->log.p + off, l->log.n - off) };
	if (ev->log.n > LIMIT_WORKLOAD_LOG)
		ev->log.n = LIMIT_WORKLOAD_LOG;
	ev->has_firmware_log = l->challenge.firmware_log && l->firmware_log.n > 0;
	ev->firmware_log = buf_bytes(&l->firmware_log);
	ev->has_userspace_log = l->challenge.userspace_log && l->userspace_log.n > 0;
	ev->userspace_log = buf_bytes(&l->userspace_log);
	ev->has_ima = l->challenge.wants_ima;
	if (l->challenge.ima_offset < l->ima.n)
		ev->ima = BYTES(l->ima.p + l->challenge.ima_offset, l->ima.n - (size_t)l->challenge.ima_offset);
	if (ev->ima.n > LIMIT_IMA_PART)
		ev->ima.n = LIMIT_IMA_PART;
	make_keys(l, ch, d, ev);
	make_quote(l, ch, d, ev);
	if (ch->evidence != NULL)
		ch->evidence(l, ev);
	buf_clear(&l->evidence);
	must(evidence_encode(ev, &l->evidence));
	draft_free(d);
}

struct err lab_appraise(struct lab *l, struct verdict *ret)
{
	const struct appraisal in = {
		.evidence = buf_bytes(&l->evidence),
		.issuer = LAB_ISSUER,
		.nonce_key = l->nonce_key,
		.host = l->host,
		.state = &l->state,
		.reference = l->reference,
		.now_s = l->now_s,
	};

	return appraise(&in, ret);
}

void lab_store(struct lab *l, struct verdict *v)
{
	if (!v->authentic || v->overtaken)
		return;
	host_state_done(&l->state);
	l->state = v->next;
	host_state_init(&v->next);
}

void lab_must_pass(struct lab *l)
{
	cleanup_verdict struct verdict v;

	verdict_init(&v);
	lab_challenge(l);
	lab_evidence(l, NULL);
	must(lab_appraise(l, &v));
	for (size_t i = 0; i < v.n_failures && !verdict_passed(&v); i++)
		(void)fprintf(stderr, "%s (%s): expected %s, seen %s\n", v.failure[i].check, v.failure[i].subject,
			      v.failure[i].expected, v.failure[i].seen);
	if (!verdict_passed(&v))
		abort();
	lab_store(l, &v);
}
