/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Appraisal of hostile evidence. As it comes, it never passes. Then what a
 * host with the keys could do with it: claims, registers, log and keys as the
 * input has them, but named, covered and signed as this host's own TPM would,
 * so that the input reaches the rows behind the signature. Whatever the
 * verdict, it must be one that can be told and stored.
 */
#include <string.h>

#include "firmware-measure/cel.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/lab.h"

static void must(struct err e)
{
	if (failed(e)) {
		(void)fprintf(stderr, "%s\n", err_name(e));
		abort();
	}
}

/* Nothing in a container gets anything but with the root that is approved. */
static void check_container(const struct instance_verdict *i)
{
	if (i->usable && i->has_container)
		fuzz_must(strcmp(hex32(i->digests.rootfs).text, hex32_of("root").text) == 0);
}

/* What a verdict promises to those who read it. */
static void check_verdict(const struct lab *l, const struct verdict *v)
{
	cleanup_host_state struct host_state back;
	cleanup_buf struct buf state = BUF_INIT(HOST_STATE_MAX), text = BUF_INIT(LIMIT_EVIDENCE);
	cleanup_json json_t *json = NULL;
	bool passed = verdict_passed(v);
	struct jsonw w;

	host_state_init(&back);
	jsonw_begin(&w, &text);
	verdict_json(v, &w);
	fuzz_must(!failed(jsonw_end(&w)) && !failed(json_parse(buf_bytes(&text), text.n, &json, NULL)));
	fuzz_must(!failed(host_state_encode(&v->next, &state)));
	fuzz_must(!failed(host_state_decode(buf_bytes(&state), &back)));
	fuzz_must(v->n_failures <= ATTEST_MAX_FAILURES && (passed || v->n_failures > 0));
	fuzz_must(!passed || (v->authentic && !v->overtaken && v->next.has_boot && v->n_compared > 0));
	fuzz_must(passed == (v->authentic && !v->overtaken && v->status == HOST_VERIFIED));
	if (!v->authentic || v->overtaken)
		fuzz_must(v->next.log_offset == l->state.log_offset && v->next.status == l->state.status);
	else if (!passed)
		fuzz_must(v->next.log_offset == 0 && !v->next.has_boot && v->next.n_instances == 0);
	for (size_t i = 0; i < v->n_instances; i++) {
		check_container(&v->instance[i]);
		fuzz_must(!v->instance[i].usable || (passed && v->next.instance[i].has_key &&
						     !v->next.instance[i].changed));
		fuzz_must(passed || v->instance[i].status == TIER_CONTRAINDICATED);
	}
}

static bool appraise_it(struct lab *l)
{
	cleanup_verdict struct verdict v;
	bool passed;

	verdict_init(&v);
	must(lab_appraise(l, &v));
	check_verdict(l, &v);
	passed = verdict_passed(&v);
	return passed;
}

/* The register as the log of the input would leave it. */
static void follow_log(struct lab *l, struct bytes log)
{
	struct digest *pcr = &l->tpm->pcr[DIGEST_SHA256][WORKLOAD_PCR];
	const struct digest *d;
	struct cel_record rec;
	size_t n;

	memset(pcr->v, 0, sizeof(pcr->v));
	if (l->state.n_banks == 1)
		*pcr = l->state.pcr[0];
	while (!failed(cel_read(log, &rec, &n)) && n > 0) {
		d = cel_digest(&rec, DIGEST_SHA256);
		if (d != NULL)
			must(digest_extend(DIGEST_SHA256, pcr, digest_bytes(d), pcr));
		log = BYTES(log.p + n, log.n - n);
	}
}

struct signed_key {
	struct buf attest, sig;
};

/* The area of the input, certified as if it were a key of this TPM. */
static void certify_area(struct lab *l, const struct tpm_name *parent, struct evidence_key *k, struct bytes claims,
			 struct signed_key *ret)
{
	struct softtpm_key object = { .hierarchy = TPM_RH_NULL };
	struct tpm_attest a;
	uint8_t extra[32];

	if (failed(tpm_public_parse(k->public_area, &object.pub)) ||
	    failed(tpm_public_name(&object.pub, &object.name)))
		return;
	if (parent == NULL)
		must(tpm_qualified_name_primary(TPM_RH_NULL, &object.name, &object.qualified_name));
	else
		must(tpm_qualified_name_child(parent, &object.name, &object.qualified_name));
	must(evidence_key_extra_data(BYTES_ARR(l->challenge.nonce), claims, tpm_name_bytes(&object.name), extra));
	must(softtpm_certify_fields(l->tpm, l->tpm->ak, &object, BYTES_ARR(extra), &a));
	must(softtpm_attest_write(&a, BYTES_NONE, &ret->attest));
	must(softtpm_sign(l->tpm->ak, buf_bytes(&ret->attest), &ret->sig));
	k->attest = buf_bytes(&ret->attest);
	k->signature = buf_bytes(&ret->sig);
}

/* Name of the null primary that the input brings, or of ours. */
static struct tpm_name null_name(const struct lab *l, const struct evidence *ev)
{
	struct tpm_public area;
	struct tpm_name name;

	if (ev->has_boot && !failed(tpm_public_parse(ev->boot.public_area, &area)) &&
	    !failed(tpm_public_name(&area, &name)))
		return name;
	return l->tpm->null_primary->name;
}

#define MAX_SIGNED 4 /* signing takes time, and more keys show nothing new */

static void sign_all(struct lab *l, struct evidence *ev, struct evidence_claims *c)
{
	struct buf claims = BUF_INIT(LIMIT_EVIDENCE), quote = BUF_INIT(LIMIT_TPM2B), sig = BUF_INIT(LIMIT_TPM2B);
	struct signed_key keys[MAX_SIGNED + 1];
	struct digest values[LIMIT_BANKS * LIMIT_PCRS];
	struct pcr_selection quoted;
	struct tpm_name null = null_name(l, ev), parent;
	uint8_t extra[32];

	must(tpm_qualified_name_primary(TPM_RH_NULL, &null, &parent));
	for (size_t i = 0; i < array_len(keys); i++)
		keys[i] = (struct signed_key){ BUF_INIT(LIMIT_TPM2B), BUF_INIT(LIMIT_TPM2B) };
	must(evidence_claims_encode(c, &claims));
	ev->claims = buf_bytes(&claims);
	if (ev->has_boot)
		certify_area(l, NULL, &ev->boot, ev->claims, &keys[MAX_SIGNED]);
	for (size_t i = 0; i < ev->n_keys && i < MAX_SIGNED; i++)
		certify_area(l, &parent, &ev->key[i], ev->claims, &keys[i]);
	must(evidence_qualifying_data(BYTES_ARR(l->challenge.nonce), ev->claims, extra));
	must(softtpm_quote(l->tpm, l->tpm->ak, BYTES_ARR(extra), &l->challenge.selection, &quote, &sig));
	softtpm_pcr_read(l->tpm, &l->challenge.selection, &quoted, values, &ev->n_pcrs);
	for (size_t i = 0; i < ev->n_pcrs; i++)
		ev->pcr[i] = digest_bytes(&values[i]);
	ev->quote = buf_bytes(&quote);
	ev->signature = buf_bytes(&sig);
	buf_clear(&l->evidence);
	must(evidence_encode(ev, &l->evidence));
	buf_free(&claims);
	buf_free(&quote);
	buf_free(&sig);
	for (size_t i = 0; i < array_len(keys); i++) {
		buf_free(&keys[i].attest);
		buf_free(&keys[i].sig);
	}
}

static void as_this_host(struct lab *l, struct bytes in)
{
	struct evidence *ev = l->ev;
	struct evidence_claims *c = l->claims;
	struct tpm_name null;

	if (failed(evidence_decode(in, ev)) || failed(evidence_claims_decode(ev->claims, c)))
		return;
	softtpm_tick(l->tpm, 1);
	lab_challenge(l);
	follow_log(l, ev->log);
	c->issuer = bytes_str(LAB_ISSUER);
	c->host_id = bytes_str(l->host->id);
	c->ak_name = tpm_name_bytes(&l->tpm->ak->name);
	c->nonce = BYTES_ARR(l->challenge.nonce);
	c->selection = l->challenge.selection;
	if (c->boot_id[0] < 0xf0) {
		null = null_name(l, ev);
		must(boot_id_of(&null, l->tpm->clock.reset_count, l->tpm->clock.restart_count, c->boot_id));
	}
	if (c->log_offset == 0 || !l->challenge.boot_known) {
		c->log_offset = c->log_records = 0;
		c->log_pcr = BYTES_NONE;
	} else {
		c->log_offset = l->challenge.log_offset;
		c->log_records = l->challenge.log_records;
		c->log_pcr = digest_bytes(&l->challenge.log_pcr);
	}
	sign_all(l, ev, c);
	(void)appraise_it(l);
}

/* Two hosts: one never attested, one verified with a log behind it. */
static struct lab *host(unsigned which)
{
	static struct lab *hosts[2];

	if (hosts[0] == NULL) {
		hosts[0] = lab_new(SOFTTPM_AK_P256);
		hosts[1] = lab_new(SOFTTPM_AK_P256);
		lab_doc_set(hosts[1], DOCUMENT_PLATFORM, "unapproved_workload", "\"instance\"");
		lab_approve_root(hosts[1], "root");
		lab_must_pass(hosts[1]);
	}
	return hosts[which];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	for (unsigned which = 0; which < 2; which++) {
		struct lab *l = host(which);

		buf_clear(&l->evidence);
		if (n > 0)
			must(buf_add(&l->evidence, BYTES(data, n)));
		lab_challenge(l);
		fuzz_must(!appraise_it(l));
		as_this_host(l, BYTES(data, n));
	}
	return 0;
}
