/* SPDX-License-Identifier: Apache-2.0 */
/* The members "ima" and "measurer" of a platform document: assay-platform(5). */
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "base/x509.h"
#include "firmware-measure/ima_sign.h"
#include "verifier/appraise/platform_read.h"

#define MAX_SIGNERS 64
#define MAX_SIGNER_CAS 16
#define MAX_SIGNER_TEXT (12 * KIB) /* a certificate of LIMIT_CERT bytes in PEM */

static struct err refuse(const struct jobj *o, const char *key, const char *why)
{
	reason_set(o->reterr, "%s.%s: %s", o->where, key, why);
	return ERR(E_PEER_RANGE);
}

/*
 * I5: an exclude covers whole components, so it has to be written as the
 * kernel writes paths: absolute, without empty components, "." and "..".
 */
static bool rule_path(const char *s)
{
	if (*s != '/' || s[1] == '\0' || !utf8_valid(bytes_str(s)))
		return false;
	while (*s == '/') {
		size_t n = strcspn(++s, "/");

		if (n == 0 || (n == 1 && s[0] == '.') || (n == 2 && s[0] == '.' && s[1] == '.'))
			return false;
		for (size_t i = 0; i < n; i++)
			if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
				return false;
		s += n;
	}
	return true;
}

/* A template by its name or its list of fields. */
static bool rule_template(const char *s)
{
	return *s != '\0' && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-|") == strlen(s);
}

static struct err signer_of_certificate(const struct cert *c, struct key **ret, struct ima_key *ret_id)
{
	struct err e;

	if (failed(e = ima_cert_key_id(c, ret_id->id)))
		return e;
	return cert_key(c, ret);
}

static struct err signer_of_key(struct err parsed, struct key **k, struct ima_key *ret_id)
{
	return failed(parsed) ? parsed : ima_key_id(*k, ret_id->id);
}

static struct err signer_parse(const char *s, struct key **ret, struct ima_key *ret_id)
{
	cleanup_buf struct buf der = BUF_INIT(LIMIT_CERT);
	cleanup_cert struct cert *c = NULL;
	struct err e;

	if (strncmp(s, "-----BEGIN CERTIFICATE-----", 27) == 0)
		return failed(e = cert_from_pem(bytes_str(s), &c)) ? e : signer_of_certificate(c, ret, ret_id);
	if (strncmp(s, "-----BEGIN ", 11) == 0)
		return signer_of_key(key_from_pem(bytes_str(s), ret), ret, ret_id);
	if (failed(e = b64_decode(bytes_str(s), &der)))
		return e;
	if (!failed(cert_from_der(buf_bytes(&der), &c, NULL)))
		return signer_of_certificate(c, ret, ret_id);
	return signer_of_key(key_from_spki(buf_bytes(&der), ret), ret, ret_id);
}

static struct err add_signer(const struct jobj *o, size_t i, const char *s, struct platform_ima *m)
{
	struct err e =
		strlen(s) > MAX_SIGNER_TEXT ? ERR(E_LIMIT_SIZE) : signer_parse(s, &m->signers[i], &m->signer_ids[i]);

	if (m->signers[i] != NULL)
		m->n_signers++;
	if (failed(e)) {
		reason_set(o->reterr, "%s.signers[%zu]: no public key or certificate in PEM or base64 DER (%s)",
			   o->where, i, err_text(e));
		return e;
	}
	m->signer_ids[i].key = m->signers[i];
	for (size_t k = 0; k < i; k++)
		if (key_equal(m->signers[k], m->signers[i]))
			return read_twice(o, "signers", i);
	return ERR(E_OK);
}

static struct err read_signers(struct jobj *o, struct platform_ima *m)
{
	const json_t *array;
	const char *s;
	struct err e;

	if (!jobj_has(o, "signers"))
		return ERR(E_OK);
	if (failed(e = read_list(o, "signers", MAX_SIGNERS, &array)))
		return e;
	m->signers = calloc(json_array_size(array), sizeof(struct key *));
	m->signer_ids = calloc(json_array_size(array), sizeof(*m->signer_ids));
	if (m->signers == NULL || m->signer_ids == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < json_array_size(array); i++)
		if (failed(e = read_item(o, "signers", array, i, &s)) || failed(e = add_signer(o, i, s, m)))
			return e;
	return ERR(E_OK);
}

static struct err ca_parse(const char *s, struct cert **ret)
{
	cleanup_buf struct buf der = BUF_INIT(LIMIT_CERT);
	struct err e;

	if (strlen(s) > MAX_SIGNER_TEXT)
		return ERR(E_LIMIT_SIZE);
	if (strncmp(s, "-----BEGIN ", 11) == 0)
		return cert_from_pem(bytes_str(s), ret);
	if (failed(e = b64_decode(bytes_str(s), &der)))
		return e;
	return cert_from_der(buf_bytes(&der), ret, NULL);
}

static struct err read_signer_cas(struct jobj *o, struct platform_ima *m)
{
	const json_t *array;
	const char *s;
	struct err e;

	if (!jobj_has(o, "signer_cas"))
		return ERR(E_OK);
	if (failed(e = read_list(o, "signer_cas", MAX_SIGNER_CAS, &array)))
		return e;
	m->signer_cas = calloc(json_array_size(array), sizeof(struct cert *));
	if (m->signer_cas == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < json_array_size(array); i++) {
		if (failed(e = read_item(o, "signer_cas", array, i, &s)))
			return e;
		if (failed(e = ca_parse(s, &m->signer_cas[i])) || !cert_is_ca(m->signer_cas[i])) {
			reason_set(o->reterr, "%s.signer_cas[%zu]: no certificate of a CA in PEM or base64 DER", o->where, i);
			m->n_signer_cas += m->signer_cas[i] != NULL;
			return failed(e) ? e : ERR(E_PEER_RANGE);
		}
		m->n_signer_cas++;
		for (size_t k = 0; k < i; k++)
			if (bytes_eq(cert_der(m->signer_cas[k]), cert_der(m->signer_cas[i])))
				return read_twice(o, "signer_cas", i);
	}
	return ERR(E_OK);
}

/* In the order of the document, for the caller opens them in that order. */
static struct err read_allowlists(struct jobj *o, struct platform_ima *m)
{
	struct sha_list l = { 0 };
	struct err e;

	if (!jobj_has(o, "allowlists"))
		return ERR(E_OK);
	if (failed(e = read_digests(o, "allowlists", &l)))
		return e;
	m->n_allowlists = l.n;
	m->allowlists = l.v;
	return ERR(E_OK);
}

static struct err read_ima_switches(struct jobj *o, struct platform_ima *m)
{
	static const char *const violations[] = {
		[VIOLATIONS_DENY] = "deny", [VIOLATIONS_COUNT] = "count", [VIOLATIONS_IGNORE] = "ignore"
	};
	static const char *const unsigned_files[] = { "deny", "allow" };
	static const char *const aggregate[] = { "required", "ignored" };
	size_t a, b, c;
	struct err e;

	if (failed(e = read_word_or_first(o, "violations", violations, array_len(violations), &a)) ||
	    failed(e = read_word_or_first(o, "unsigned", unsigned_files, array_len(unsigned_files), &b)) ||
	    failed(e = read_word_or_first(o, "boot_aggregate", aggregate, array_len(aggregate), &c)))
		return e;
	m->violations = (enum platform_violations)a;
	m->allow_unsigned = b == 1;
	m->boot_aggregate_required = c == 0;
	return ERR(E_OK);
}

static struct err read_ima_members(struct jobj *o, struct platform_ima *m)
{
	struct err e;

	if (failed(e = read_allowlists(o, m)) || failed(e = read_signers(o, m)) ||
	    failed(e = read_signer_cas(o, m)) ||
	    (jobj_has(o, "digests") && failed(e = read_file_digests(o, "digests", &m->digests))) ||
	    (jobj_has(o, "exclude") && failed(e = read_texts(o, "exclude", LIMIT_PATH, rule_path, &m->exclude))) ||
	    (jobj_has(o, "templates") && failed(e = read_texts(o, "templates", 255, rule_template, &m->templates))) ||
	    failed(e = read_ima_switches(o, m)))
		return e;
	return jobj_end(o);
}

struct err read_ima(struct jobj *o, struct platform_ima **ret)
{
	struct read_path where = read_path(o, "ima");
	const json_t *obj;
	struct jobj m;
	struct err e;

	if (failed(e = jobj_obj(o, "ima", &obj)) || failed(e = jobj_init(&m, obj, where.text, o->reterr)))
		return e;
	*ret = calloc(1, sizeof(**ret)); /* the document owns it from here, whatever happens */
	if (*ret == NULL)
		return ERR(E_LOCAL_MEMORY);
	return read_ima_members(&m, *ret);
}

static bool all_exact(const struct platform_firmware *f)
{
	for (size_t i = 0; i < f->n_command_lines; i++)
		if (f->command_lines[i].exact == NULL)
			return false;
	return true;
}

/*
 * A golden boot image: kernel, initrd and command line are approved by digest
 * and nothing beside them, so whoever measures is one of the files in them.
 */
static const char *image_not_golden(const struct platform_firmware *f)
{
	if (f == NULL)
		return "a boot image is approved by \"firmware\", which is missing";
	if (f->applications.n == 0 || f->signers.n > 0)
		return "boot applications have to be approved by digest, and none by its signer";
	if (f->allow_unknown)
		return "unknown events have to be denied";
	if (!all_exact(f))
		return "kernel command lines have to be exact";
	/* The initrd is measured into 9 by kernel and GRUB, into 11 by systemd-stub as part of the image. */
	if ((f->pcr_mask & 1u << 4) == 0 || (f->pcr_mask & (1u << 9 | 1u << 11)) == 0)
		return "the log has to explain register 4, and 9 or 11, where the initrd is measured";
	return NULL;
}

static struct err read_boot_image(struct jobj *o, struct platform_profile *p)
{
	const char *why = image_not_golden(p->firmware);
	bool yes = false;
	struct err e;

	if (failed(e = jobj_bool(o, "boot_image", &yes)))
		return e;
	if (!yes)
		why = "say \"measurer\": \"unattested\" instead";
	if (why != NULL)
		return refuse(o, "boot_image", why);
	p->measurer = MEASURER_BOOT_IMAGE;
	return jobj_end(o);
}

static struct err read_measurer_object(struct jobj *o, struct platform_profile *p)
{
	struct err e;

	if (!jobj_has(o, "ima"))
		return read_boot_image(o, p);
	if (failed(e = read_file_digests(o, "ima", &p->measurer_digests)))
		return e;
	if (p->ima == NULL)
		return refuse(o, "ima", "the measurer is looked for in IMA's list, but there is no member \"ima\"");
	p->measurer = MEASURER_IMA;
	return jobj_end(o);
}

struct err read_measurer(struct jobj *o, struct platform_profile *p)
{
	struct read_path where = read_path(o, "measurer");
	const json_t *m;
	struct jobj inner;
	struct err e;

	if (failed(e = jobj_any(o, "measurer", &m)))
		return e;
	if (json_is_string(m) && strcmp(json_string_value(m), "unattested") == 0) {
		p->measurer = MEASURER_UNATTESTED;
		return ERR(E_OK);
	}
	if (!json_is_object(m))
		return refuse(o, "measurer", "not one of \"unattested\", {\"ima\":[...]}, {\"boot_image\":true}");
	if (failed(e = jobj_init(&inner, m, where.text, o->reterr)))
		return e;
	return read_measurer_object(&inner, p);
}
