/* SPDX-License-Identifier: Apache-2.0 */
/* One entry of an IMA list after the other: attestation-checks, section 8. */
#include "verifier/appraise/platform_ima.h"

#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "firmware-measure/ima_allowlist.h"
#include "firmware-measure/ima_path.h"
#include "firmware-measure/ima_replay.h"
#include "firmware-measure/ima_sign.h"
#include "verifier/appraise/platform_judge.h"

#define KEPT_TEXT 121 /* of what was expected and seen, with NUL: four failures fit into an encoded state */

static const char *const rule_names[N_IMA_RULES] = {
	[IMA_RULE_BOOT_AGGREGATE] = "ima.boot_aggregate",
	[IMA_RULE_VIOLATIONS] = "ima.violations",
	[IMA_RULE_MEASURER] = "measurer",
	[IMA_RULE_DIGESTS] = "ima.digests",
	[IMA_RULE_ALLOWLISTS] = "ima.allowlists",
	[IMA_RULE_SIGNERS] = "ima.signers",
	[IMA_RULE_SIGNER_CAS] = "ima.signer_cas",
	[IMA_RULE_EXCLUDE] = "ima.exclude",
	[IMA_RULE_UNSIGNED] = "ima.unsigned",
};

const char *ima_rule_name(enum ima_rule r)
{
	return (unsigned)r < N_IMA_RULES ? rule_names[r] : "";
}

static void fail(struct platform_ima_state *s, const char *id, const char *rule, const struct ima_entry *ent,
		 const char *expected, const char *seen)
{
	struct platform_failure *f;

	s->n_failed++;
	if (s->n_kept >= PLATFORM_IMA_FAILURES)
		return;
	f = &s->failure[s->n_kept++];
	*f = (struct platform_failure){ 0 };
	PSAY(f->id, "%s", id);
	PSAY(f->rule, "%s", rule);
	PSAY(f->subject, "IMA entry %llu, %s", (unsigned long long)s->n_entries, log_quote(ent->name));
	platform_say(f->expected, KEPT_TEXT, "%s", expected);
	platform_say(f->seen, KEPT_TEXT, "%s", seen);
}

/* What the digest is, in the words of IMA. */
static void digest_words(const struct ima_digest *d, char *to, size_t size)
{
	char hex[2 * DIGEST_MAX + 1] = "";

	if (d->value.n == 0 || failed(hex_encode(d->value, hex, sizeof(hex))))
		platform_say(to, size, "no digest");
	else
		platform_say(to, size, "%s%s:%s", d->kind == IMA_DIGEST_VERITY ? "verity:" : "", log_quote(d->alg_name),
			     hex);
}

/* I9. The first entry ties the list to this boot; it is no file. */
static struct err judge_first(const struct ima_input *in, const struct ima_entry *ent, struct platform_ima_state *s)
{
	static const char *const seen[] = {
		[IMA_AGGREGATE_ABSENT] = "another entry is the first",
		[IMA_AGGREGATE_NOT_QUOTED] = "its hash is not over registers that were quoted",
		[IMA_AGGREGATE_DIFFERS] = "the value of another boot, or none",
	};
	struct ima_bank_values bank = { .bank = in->bank };
	enum ima_aggregate is;
	struct err e;

	if (!in->profile->ima->boot_aggregate_required) {
		s->decided[IMA_RULE_BOOT_AGGREGATE]++;
		return ERR(E_OK);
	}
	for (size_t i = 0; i < array_len(bank.pcr); i++)
		if ((in->pcr_mask >> i & 1) != 0)
			bank.pcr[i] = in->pcr[i];
	if (failed(e = ima_aggregate_check(ent, 1, &bank, &is)))
		return e;
	if (ima_aggregate_fits(is)) {
		s->boot_aggregate_seen = true;
		s->decided[IMA_RULE_BOOT_AGGREGATE]++;
		return ERR(E_OK);
	}
	fail(s, "I9", rule_names[IMA_RULE_BOOT_AGGREGATE], ent, "boot_aggregate over the quoted registers", seen[is]);
	return ERR(E_OK);
}

static bool is_aggregate(const struct ima_entry *ent)
{
	return bytes_eq(ent->name, BYTES_LIT("boot_aggregate"));
}

/* Nothing covers what a template is called, so a list of fields counts only where the operator wrote that very list. */
static bool template_allowed(const struct platform_ima *m, struct bytes name)
{
	for (size_t i = 0; i < m->templates.n; i++)
		if (bytes_eq(bytes_str(m->templates.v[i]), name))
			return true;
	return m->templates.n == 0 && ima_template_named(name);
}

/* True where a rule approves the digest of the entry. */
static bool by_digest(const struct ima_input *in, const struct ima_entry *ent, enum ima_rule *ret)
{
	const struct ima_digest *d = &ent->digest;
	struct platform_file_digest f = { .verity = d->kind == IMA_DIGEST_VERITY, .alg = d->alg };

	if (d->alg >= N_DIGESTS || d->value.n != digest_alg(d->alg)->size ||
	    failed(bytes_copy_exact(d->value, f.value.v, digest_alg(d->alg)->size)))
		return false;
	f.value.n = (uint8_t)d->value.n;
	if (platform_file_digests_has(&in->profile->measurer_digests, &f)) {
		*ret = IMA_RULE_MEASURER;
		return true;
	}
	if (platform_file_digests_has(&in->profile->ima->digests, &f)) {
		*ret = IMA_RULE_DIGESTS;
		return true;
	}
	*ret = IMA_RULE_ALLOWLISTS;
	/* SHA-1 collides for money; lists of it identify nothing. */
	for (size_t i = 0; d->alg != DIGEST_SHA1 && i < in->profile->ima->n_allowlists; i++)
		if (ima_allowlist_has(in->allowlists[i], d))
			return true;
	return false;
}

void platform_ima_ahead(const struct ima_input *in, const struct ima_entry *entry)
{
	for (size_t i = 0; i < in->profile->ima->n_allowlists; i++)
		ima_allowlist_prefetch(in->allowlists[i], &entry->digest);
}

/* I5: the path is what the opener saw, so this says only that nobody judges the file. */
static bool by_path(const struct platform_ima *m, struct bytes name)
{
	for (size_t i = 0; i < m->exclude.n; i++)
		if (ima_path_below(name, bytes_str(m->exclude.v[i])))
			return true;
	return false;
}

static const char *signature_words(enum ima_signed is)
{
	switch (is) {
	case IMA_SIGNED_FORM:
		return "a signature of an unknown form";
	case IMA_SIGNED_WEAK:
		return "a signature over a weak digest";
	case IMA_SIGNED_UNKNOWN_KEY:
		return "a signature by a key that is not approved";
	case IMA_SIGNED_OTHER:
		return "a signature that does not verify";
	case IMA_SIGNED_GOOD:
	case IMA_SIGNED_ABSENT:
		break;
	}
	return "no signature";
}

/*
 * The signatures that an entry can have, until one is good; what is said of the
 * entry is otherwise what was found first. EVM's are by keys of their own
 * keyring, so those that the list told of do not count there.
 */
static struct err check_with(const struct ima_entry *ent, size_t n, const struct ima_key *keys, bool evm,
			     enum ima_signed *ret)
{
	enum ima_signed is = IMA_SIGNED_ABSENT;
	size_t which;
	struct err e;

	if (failed(e = ima_signed_check(ent, n, keys, ret, &which)) || *ret == IMA_SIGNED_GOOD)
		return e;
	if (failed(e = ima_modsig_check(ent, n, keys, &is, &which)))
		return e;
	if (is == IMA_SIGNED_ABSENT && evm && failed(e = ima_evmsig_check(ent, n, keys, &is, &which)))
		return e;
	if (is == IMA_SIGNED_GOOD || *ret == IMA_SIGNED_ABSENT)
		*ret = is;
	return ERR(E_OK);
}

/* I6: by a key of the operator, else by one that the list told of before (I7). *ret_rule is for a good one. */
static struct err check_signature(const struct platform_ima *m, const struct ima_entry *ent,
				  const struct platform_ima_state *s, enum ima_signed *ret, enum ima_rule *ret_rule)
{
	enum ima_signed by_learned = IMA_SIGNED_ABSENT;
	struct err e;

	*ret = IMA_SIGNED_ABSENT;
	*ret_rule = IMA_RULE_SIGNERS;
	if (m->n_signers == 0 && m->n_signer_cas == 0)
		return ERR(E_OK);
	if (failed(e = check_with(ent, m->n_signers, m->signer_ids, true, ret)) || s->n_keys == 0 ||
	    *ret == IMA_SIGNED_GOOD)
		return e;
	if (failed(e = check_with(ent, s->n_keys, s->learned, false, &by_learned)))
		return e;
	if (by_learned == IMA_SIGNED_GOOD)
		*ret_rule = IMA_RULE_SIGNER_CAS;
	if (by_learned != IMA_SIGNED_ABSENT && (by_learned == IMA_SIGNED_GOOD || *ret == IMA_SIGNED_UNKNOWN_KEY))
		*ret = by_learned;
	return ERR(E_OK);
}

/* I7: a certificate that was added to the keyring of file signatures. Approved by a CA of the profile, or like any file. */
static struct err judge_key(const struct ima_input *in, const struct ima_entry *ent, struct platform_ima_state *s)
{
	struct reason why = { "" };
	enum ima_rule rule;
	struct err e = platform_ima_learn(in, ent, s, &why);

	if (e.code >= E_LOCAL_MEMORY)
		return e;
	if (!failed(e))
		s->decided[IMA_RULE_SIGNER_CAS]++;
	else if (by_digest(in, ent, &rule))
		s->decided[rule]++;
	else
		fail(s, "I7", rule_names[IMA_RULE_SIGNER_CAS], ent, "a key with a certificate by a CA of the profile",
		     why.text[0] != '\0' ? why.text : err_text(e));
	return ERR(E_OK);
}

static struct err judge_file(const struct ima_input *in, const struct ima_entry *ent, struct platform_ima_state *s)
{
	const struct platform_ima *m = in->profile->ima;
	enum ima_signed is = IMA_SIGNED_ABSENT;
	enum ima_rule rule;
	char words[KEPT_TEXT];
	struct err e;

	if (by_digest(in, ent, &rule)) {
		s->decided[rule]++;
		s->measurer_seen = s->measurer_seen || rule == IMA_RULE_MEASURER;
		return ERR(E_OK);
	}
	if (failed(e = check_signature(m, ent, s, &is, &rule)))
		return e;
	if (is == IMA_SIGNED_GOOD) {
		s->decided[rule]++;
	} else if (by_path(m, ent->name)) {
		s->decided[IMA_RULE_EXCLUDE]++;
	} else if (is != IMA_SIGNED_ABSENT) {
		fail(s, "I6", rule_names[IMA_RULE_SIGNERS], ent, "a signature by an approved key", signature_words(is));
	} else if (m->allow_unsigned) {
		s->decided[IMA_RULE_UNSIGNED]++;
	} else {
		digest_words(&ent->digest, words, sizeof(words));
		fail(s, "P-profile", "ima", ent, "a file that a rule of the profile approves", words);
	}
	return ERR(E_OK);
}

static struct err judge_entry(const struct ima_input *in, const struct ima_entry *ent, struct platform_ima_state *s)
{
	const struct platform_ima *m = in->profile->ima;
	char words[KEPT_TEXT];

	if (ent->pcr != IMA_PCR) {
		platform_say(words, sizeof(words), "register %u", ent->pcr);
		fail(s, "I8", "", ent, "register 10", words);
		return ERR(E_OK);
	}
	if (ent->violation) {
		if (m->violations == VIOLATIONS_DENY)
			fail(s, "I1", rule_names[IMA_RULE_VIOLATIONS], ent, "no violation", "a violation");
		else
			s->decided[IMA_RULE_VIOLATIONS]++;
		return ERR(E_OK);
	}
	if (ent->state != IMA_ENTRY_DECODED || !template_allowed(m, ent->template_name)) {
		platform_say(words, sizeof(words), "template %s", log_quote(ent->template_name));
		fail(s, "P-profile", "ima.templates", ent,
		     ent->state == IMA_ENTRY_DECODED ? "a template of the profile" : "an entry that can be read",
		     words);
		return ERR(E_OK);
	}
	if (s->n_entries == 0 && (m->boot_aggregate_required || is_aggregate(ent)))
		return judge_first(in, ent, s);
	if (m->n_signer_cas > 0 && platform_ima_tells_key(ent))
		return judge_key(in, ent, s);
	return judge_file(in, ent, s);
}

struct err platform_ima_add(const struct ima_input *in, const struct ima_entry *entry, struct platform_ima_state *s)
{
	struct err e;

	if (in->profile->ima == NULL || digest_alg(in->bank) == NULL)
		return ERR(E_BUG);
	if (failed(e = judge_entry(in, entry, s)))
		return e;
	s->n_entries++;
	return ERR(E_OK);
}

static void conclude(struct ima_judgement *j, const char *id, const char *rule, const char *expected, const char *seen)
{
	struct platform_failure *f = &j->failure[j->n_failures++];

	*f = (struct platform_failure){ .subject = "IMA list" };
	PSAY(f->id, "%s", id);
	PSAY(f->rule, "%s", rule);
	PSAY(f->expected, "%s", expected);
	PSAY(f->seen, "%s", seen);
}

void platform_ima_conclude(const struct ima_input *in, const struct platform_ima_state *s, struct ima_judgement *ret)
{
	*ret = (struct ima_judgement){ 0 };
	for (size_t i = 0; i < s->n_kept && i < PLATFORM_IMA_FAILURES; i++)
		ret->failure[ret->n_failures++] = s->failure[i];
	if (in->profile->measurer == MEASURER_IMA && !s->measurer_seen)
		conclude(ret, "P-profile", "measurer", "an entry with an approved digest of the measurer",
			 "none in the part of the list that the quote covers");
	if (s->n_failed == 0 && s->decided[IMA_RULE_MEASURER] + s->decided[IMA_RULE_DIGESTS] +
						s->decided[IMA_RULE_ALLOWLISTS] + s->decided[IMA_RULE_SIGNERS] +
						s->decided[IMA_RULE_SIGNER_CAS] ==
					0)
		conclude(ret, "P1", "ima", "at least one file that a digest or a signature approves",
			 "none: nothing was compared");
	ret->passed = ret->n_failures == 0 && s->n_failed == 0;
	ret->warn = in->profile->ima->violations == VIOLATIONS_COUNT && s->decided[IMA_RULE_VIOLATIONS] > 0;
}
