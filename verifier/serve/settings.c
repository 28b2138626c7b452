/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/serve/settings.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>

#include "base/args.h"
#include "base/file.h"
#include "base/text.h"
#include "config.h"
#include "verifier/issue/spiffe.h"

#define DEFAULT_FILE ASSAY_SYSCONFDIR "/verifier.json"
#define UNSET UINT64_MAX
#define MAX_KEY 32

enum kind { TEXT, NUMBER, SECONDS, SWITCH };

/* One row is a member of the file and, with '-' for '_', an option. Numbers are at least 1. */
static const struct setting {
	const char *key;
	enum kind kind;
	size_t offset;                    /* in struct verifier_config: const char *, unsigned, bool */
	unsigned max;
	const char *value, *help;
} settings[] = {
#define AT(member) offsetof(struct verifier_config, member)
	{ "issuer", TEXT, AT(issuer), 0, "URL", "name of this verifier in tokens, and where hosts reach it" },
	{ "realm", TEXT, AT(realm), 0, "NAME", "deployment that operators' documents are for" },
	{ "trust_domain", TEXT, AT(trust_domain), 0, "NAME", "SPIFFE trust domain of agents (the issuer's host)" },
	{ "listen", TEXT, AT(listen), 0, "ADDRESS:PORT", "where HTTPS listens" },
	{ "admin_socket", TEXT, AT(admin_socket), 0, "PATH", "Unix socket for assayctl" },
	{ "state_dir", TEXT, AT(state_dir), 0, "DIR", "database and keys" },
	{ "operators_file", TEXT, AT(operators_file), 0, "FILE", "keys of the operators" },
	{ "allowlists", TEXT, AT(allowlists), 0, "DIR", "files of approved digests that platform documents name" },
	{ "tls_cert_file", TEXT, AT(tls_cert_file), 0, "FILE", "certificate chain, PEM" },
	{ "tls_key_file", TEXT, AT(tls_key_file), 0, "FILE", "its private key, PEM, mode 0600" },
	{ "dev", SWITCH, AT(dev), 0, NULL, "make a CA and a certificate in the state folder" },
	{ "allow_no_ek_certificate", SWITCH, AT(allow_no_ek_certificate), 0, NULL,
	  "enrol TPMs without a certificate; an operator's word is then all there is" },
	{ "verdict_life_s", SECONDS, AT(verdict_life_s), 3600, "TIME", "how long a verdict holds" },
	{ "max_connections", NUMBER, AT(max_connections), 65536, "N", "open at a time" },
	{ "max_connections_per_address", NUMBER, AT(max_connections_per_ip), 65536, "N", "of one client address" },
	{ "timeout_s", SECONDS, AT(timeout_s), 600, "TIME", "for the head of a request; twice that for its body" },
	{ "threads", NUMBER, AT(threads), 256, "N", "that read and write connections" },
	{ "workers", NUMBER, AT(workers), 256, "N", "that appraise and commit" },
#undef AT
};
#define N_SETTINGS array_len(settings)

static const struct verb the_verb = {
	.name = "",
	.help = "Appraises hosts and issues credentials.",
};
static const struct program program = {
	.name = "assay-verifier",
	.help = "Appraises hosts and issues credentials.",
};

static void *at(struct verifier_config *c, const struct setting *s)
{
	return (char *)c + s->offset;
}

void config_done(struct config *c)
{
	json_decref(c->file);
	c->file = NULL;
}

static struct err number(const struct setting *s, uint64_t n, struct verifier_config *c, struct reason *reterr)
{
	if (n == 0 || n > s->max) {
		reason_set(reterr, "%s: expected 1 to %u", s->key, s->max);
		return ERR(E_PEER_RANGE);
	}
	*(unsigned *)at(c, s) = (unsigned)n;
	return ERR(E_OK);
}

static struct err from_file(const struct setting *s, struct jobj *o, struct verifier_config *c)
{
	uint64_t n;
	struct err e;

	if (!jobj_has(o, s->key))
		return ERR(E_OK);
	if (s->kind == TEXT)
		return jobj_str(o, s->key, LIMIT_PATH, at(c, s));
	if (s->kind == SWITCH)
		return jobj_bool(o, s->key, at(c, s));
	return failed(e = jobj_u64(o, s->key, UINT32_MAX, &n)) ? e : number(s, n, c, o->reterr);
}

static struct err add_uid(uint64_t uid, struct verifier_config *c)
{
	if (c->n_admin_uids == array_len(c->admin_uid))
		return ERR(E_LIMIT_COUNT);
	c->admin_uid[c->n_admin_uids++] = (uint32_t)uid;
	return ERR(E_OK);
}

static struct err uids_from_file(struct jobj *o, struct verifier_config *c)
{
	const json_t *list, *uid;
	size_t i;
	struct err e;

	if (!jobj_has(o, "admin_uids"))
		return ERR(E_OK);
	if (failed(e = jobj_arr(o, "admin_uids", array_len(c->admin_uid), &list)))
		return e;
	json_array_foreach(list, i, uid) {
		json_int_t n = json_integer_value(uid);

		if (!json_is_integer(uid) || n < 0 || n > UINT32_MAX) {
			reason_set(o->reterr, "admin_uids: expected user ids");
			return ERR(E_PEER_RANGE);
		}
		if (failed(e = add_uid((uint64_t)n, c)))
			return e;
	}
	return ERR(E_OK);
}

static struct err log_from_file(struct jobj *o, struct config *c)
{
	const char *level;
	struct err e;

	if (jobj_has(o, "log_json") && failed(e = jobj_bool(o, "log_json", &c->log_json)))
		return e;
	if (!jobj_has(o, "log_level"))
		return ERR(E_OK);
	if (failed(e = jobj_str(o, "log_level", 16, &level)))
		return e;
	return log_level_parse(level, &c->log_level);
}

struct err config_parse(struct bytes json, struct config *c, struct reason *reterr)
{
	struct jobj o;
	struct err e;

	if (failed(e = json_parse(json, LIMIT_CONFIG, &c->file, reterr)) ||
	    failed(e = jobj_init(&o, c->file, "", reterr)))
		return e;
	for (size_t i = 0; i < N_SETTINGS; i++)
		if (failed(e = from_file(&settings[i], &o, &c->v)))
			return e;
	if (failed(e = uids_from_file(&o, &c->v)) || failed(e = log_from_file(&o, c)))
		return e;
	return jobj_end(&o);
}

/* What the command line said; unset where it said nothing. */
struct line {
	const char *file, *log_level;
	bool log_json;
	struct opt_list uids;
	const char *text[N_SETTINGS];
	uint64_t number[N_SETTINGS];
	bool on[N_SETTINGS];
	char name[N_SETTINGS][MAX_KEY];
};

static struct opt option_of(struct line *l, size_t i)
{
	const struct setting *s = &settings[i];
	struct opt o = { .name = l->name[i], .value = s->value, .help = s->help };

	(void)snprintf(l->name[i], MAX_KEY, "%s", s->key);
	for (char *c = l->name[i]; *c != '\0'; c++)
		if (*c == '_')
			*c = '-';
	l->number[i] = UNSET;
	switch (s->kind) {
	case TEXT:
		o.kind = OPT_STRING;
		o.to = &l->text[i];
		break;
	case NUMBER:
	case SECONDS:
		o.kind = s->kind == NUMBER ? OPT_U64 : OPT_DURATION;
		o.to = &l->number[i];
		o.max = s->max;
		/* "verdict_life_s" is "--verdict-life 5m". */
		if (s->kind == SECONDS)
			l->name[i][strlen(s->key) - strlen("_s")] = '\0';
		break;
	case SWITCH:
		o.kind = OPT_FLAG;
		o.to = &l->on[i];
		break;
	}
	return o;
}

static struct err from_line(const struct line *l, struct config *c, struct reason *reterr)
{
	uint64_t uid;
	struct err e;

	for (size_t i = 0; i < N_SETTINGS; i++) {
		const struct setting *s = &settings[i];

		if (l->text[i] != NULL)
			*(const char **)at(&c->v, s) = l->text[i];
		if (l->on[i])
			*(bool *)at(&c->v, s) = true;
		if (l->number[i] != UNSET && failed(e = number(s, l->number[i], &c->v, reterr)))
			return e;
	}
	c->log_json = c->log_json || l->log_json;
	for (size_t i = 0; i < l->uids.n; i++) {
		if (failed(e = parse_u64(l->uids.v[i], UINT32_MAX, &uid)) || failed(e = add_uid(uid, &c->v))) {
			reason_set(reterr, "--admin-uid: expected at most %zu user ids", array_len(c->v.admin_uid));
			return e;
		}
	}
	if (l->log_level != NULL && failed(e = log_level_parse(l->log_level, &c->log_level))) {
		reason_set(reterr, "--log-level: expected error, warning, info or debug");
		return e;
	}
	return ERR(E_OK);
}

static struct err read_file(const char *named, struct config *c, struct reason *reterr)
{
	const char *path = named != NULL ? named : DEFAULT_FILE;
	cleanup_buf struct buf json = BUF_INIT(LIMIT_CONFIG);
	struct reason why = { "" };
	struct err e = file_read(AT_FDCWD, path, &json);

	if (named == NULL && e.code == E_LOCAL_NOT_FOUND)
		return ERR(E_OK);
	if (!failed(e))
		e = config_parse(buf_bytes(&json), c, &why);
	if (failed(e))
		reason_set(reterr, "%s: %s", path, why.text[0] != '\0' ? why.text : err_text(e));
	return e;
}

/* What cannot work is told before anything is opened. */
static struct err check(const struct verifier_config *c, struct reason *reterr)
{
	char host[TRUST_DOMAIN_MAX + 1];
	const char *wrong = NULL;

	if (strncmp(c->issuer, "https://", strlen("https://")) != 0 || strlen(c->issuer) > ISSUER_MAX ||
	    c->issuer[strlen(c->issuer) - 1] == '/')
		wrong = "issuer: expected an https URL without a slash at its end";
	else if (!id_valid(bytes_str(c->realm)))
		wrong = "realm: expected 1 to 64 characters of A-Z a-z 0-9 . _ -";
	else if (c->trust_domain != NULL && !trust_domain_valid(bytes_str(c->trust_domain)))
		wrong = "trust_domain: expected 1 to 255 characters of a-z 0-9 . _ -";
	else if (c->trust_domain == NULL && failed(trust_domain_of_url(c->issuer, host)))
		wrong = "trust_domain is needed, as the issuer's host can be none: 1 to 255 characters of a-z 0-9 . _ -";
	else if (!c->dev && (c->tls_cert_file == NULL || c->tls_key_file == NULL))
		wrong = "tls_cert_file and tls_key_file are needed, or --dev, which makes its own";
	if (wrong == NULL)
		return ERR(E_OK);
	reason_set(reterr, "%s", wrong);
	return ERR(E_LOCAL_CONFIG);
}

int config_read(int argc, char **argv, struct config *ret)
{
	struct line l = { .file = NULL };
	struct opt opts[N_SETTINGS + 4] = {
		{ "config", OPT_STRING, &l.file, "FILE", "configuration (" DEFAULT_FILE ")", 0 },
		{ "log-level", OPT_STRING, &l.log_level, "LEVEL", "error, warning, info (default) or debug", 0 },
		{ "log-json", OPT_FLAG, &l.log_json, NULL, "log lines as JSON", 0 },
		{ "admin-uid", OPT_LIST, &l.uids, "UID", "user of the admin socket beside root and us; may repeat", 0 },
	};
	struct reason why = { "" };
	char **pos;
	int n, status;

	for (size_t i = 0; i < N_SETTINGS; i++)
		opts[4 + i] = option_of(&l, i);
	status = verb_options(&program, &the_verb, argc, argv, opts, array_len(opts), 0, 0, &pos, &n);
	if (status >= 0)
		return status;
	verifier_config_init(&ret->v);
	ret->log_level = LOG_LEVEL_INFO;
	if (failed(read_file(l.file, ret, &why)) || failed(from_line(&l, ret, &why)) || failed(check(&ret->v, &why)))
		return usage_error(&program, "%s", why.text);
	return -1;
}
