/* SPDX-License-Identifier: Apache-2.0 */
/* Secure Boot: the variables that configure it, and the authorities that it used. */
#include <string.h>

#include "base/text.h"
#include "verifier/appraise/platform_judge.h"
#include "verifier/appraise/platform_read.h"

static const char *const database_names[N_PLATFORM_DATABASES] = {
	[PLATFORM_PK] = "PK", [PLATFORM_KEK] = "KEK", [PLATFORM_DB] = "db"
};

static bool owner_approved(const struct platform_variable *v, struct bytes owner)
{
	for (size_t i = 0; i < v->n_owners; i++)
		if (bytes_eq(BYTES_ARR(v->owners[i]), owner))
			return true;
	return v->n_owners == 0;
}

/* Why an entry is not approved, or NULL. */
static struct err judge_entry(const struct platform_variable *v, const struct siglist *s, const char **ret_what,
			      uint8_t ret_sum[32])
{
	struct err e;

	*ret_what = NULL;
	if (failed(e = sha256(s->data, ret_sum)))
		return e;
	if (!owner_approved(v, s->owner))
		*ret_what = "an owner that is not approved, entry";
	else if (s->type == SIGLIST_X509 && !platform_digests_has(&v->certificates, BYTES(ret_sum, 32)))
		*ret_what = "certificate";
	else if (s->type == SIGLIST_SHA256 && !platform_digests_has(&v->hashes, s->data))
		*ret_what = "hash, as SHA-256 of it,";
	else if (s->type != SIGLIST_X509 && s->type != SIGLIST_SHA256)
		*ret_what = "entry of a form that no rule approves";
	return ERR(E_OK);
}

static void refuse_variable(struct firmware_work *w, const char *name, const char *expected, const char *seen,
			    struct bytes sum)
{
	struct platform_failure *f = firmware_fail(w, "P-profile", "firmware.variables", "");
	char hex[65] = "";

	if (sum.n == 32 && failed(hex_encode(sum, hex, sizeof(hex))))
		hex[0] = '\0';
	PSAY(f->subject, "Secure Boot variable %s", name);
	PSAY(f->expected, "%s", expected);
	PSAY(f->seen, "%s%s%s", seen, hex[0] == '\0' ? "" : " ", hex);
}

static struct err judge_database(struct firmware_work *w, enum platform_database id, struct bytes db, enum ruling *ret)
{
	const struct platform_variable *rule = &w->rules->variable[id];
	struct siglist_pos pos = { 0 };
	struct siglist s;
	uint8_t sum[32];
	const char *what;
	size_t n = 0;
	struct err e;

	if (!rule->given)
		return ERR(E_OK);
	w->variable_seen[id] = true;
	*ret = RULING_REFUSED;
	for (;; n++) {
		if (failed(siglist_next(db, &pos, &s))) {
			refuse_variable(w, database_names[id], "a signature database", "bytes that are none",
					BYTES_NONE);
			return ERR(E_OK);
		}
		if (s.end)
			break;
		if (failed(e = judge_entry(rule, &s, &what, sum)))
			return e;
		if (what != NULL) {
			refuse_variable(w, database_names[id], "approved entries only", what, BYTES_ARR(sum));
			return ERR(E_OK);
		}
	}
	if (n == 0) {
		refuse_variable(w, database_names[id], "approved entries", "an empty database", BYTES_NONE);
		return ERR(E_OK);
	}
	*ret = RULING_APPROVED;
	return ERR(E_OK);
}

/* E12: no reference hash may be missing. */
static enum ruling judge_dbx(struct firmware_work *w, struct bytes dbx)
{
	const struct platform_digests *want = &w->rules->dbx;
	bool found[PLATFORM_MAX_LIST] = { false };
	struct siglist_pos pos = { 0 };
	struct platform_failure *f;
	struct siglist s;
	size_t n_missing = 0, first = 0;
	bool there, readable;
	char hex[2 * DIGEST_MAX + 1];

	if (want->n == 0)
		return RULING_NONE;
	w->dbx_seen = true;
	while ((readable = !failed(siglist_next(dbx, &pos, &s))) && !s.end) {
		size_t at = s.type == SIGLIST_SHA256 ? platform_digests_place(want, s.data.p, &there) : 0;

		if (s.type == SIGLIST_SHA256 && there)
			found[at] = true;
	}
	for (size_t i = want->n; i-- > 0;) {
		if (!found[i]) {
			n_missing++;
			first = i;
		}
	}
	if (readable && n_missing == 0)
		return RULING_APPROVED;
	f = firmware_fail(w, "E12", "firmware.dbx", "revocation list dbx");
	PSAY(f->expected, "every one of the %zu revocations of the profile", want->n);
	if (!readable)
		PSAY(f->seen, "bytes that are no signature database");
	else if (!failed(hex_encode(BYTES(want->v + first * want->size, want->size), hex, sizeof(hex))))
		PSAY(f->seen, "%zu missing, the first is %s", n_missing, hex);
	return RULING_REFUSED;
}

static enum ruling judge_secure_boot(struct firmware_work *w, const struct evdata_variable *v)
{
	enum platform_secure_boot want = w->rules->secure_boot;
	struct platform_failure *f;
	bool on;

	if (failed(evdata_variable_bool(v, &on)))
		return RULING_NONE; /* E4 has said so */
	if (want == SECURE_BOOT_ANY || on == (want == SECURE_BOOT_REQUIRED))
		return RULING_APPROVED;
	f = firmware_fail(w, "P-profile", "firmware.secure_boot", "Secure Boot");
	PSAY(f->expected, "%s", want == SECURE_BOOT_REQUIRED ? "on" : "off");
	PSAY(f->seen, "%s", on ? "on" : "off");
	return RULING_REFUSED;
}

struct err rule_variable(struct firmware_work *w, const struct evdata *d, enum firmware_rule *ret_rule,
			 enum ruling *ret)
{
	struct evdata_variable v;

	/* Only what is covered is looked at; where it is not, "events" may still know the digest (E2). */
	if (d->ev->pcr != 7 || failed(evdata_variable(d, &v)))
		return ERR(E_OK);
	*ret_rule = FIRMWARE_RULE_VARIABLES;
	if (v.id == EFI_VAR_PK)
		return judge_database(w, PLATFORM_PK, v.contents, ret);
	if (v.id == EFI_VAR_KEK)
		return judge_database(w, PLATFORM_KEK, v.contents, ret);
	if (v.id == EFI_VAR_DB)
		return judge_database(w, PLATFORM_DB, v.contents, ret);
	if (v.id == EFI_VAR_SECURE_BOOT) {
		*ret_rule = FIRMWARE_RULE_SECURE_BOOT;
		*ret = judge_secure_boot(w, &v);
	}
	if (v.id == EFI_VAR_DBX) {
		*ret_rule = FIRMWARE_RULE_DBX;
		*ret = judge_dbx(w, v.contents);
	}
	return ERR(E_OK);
}

/* An authority is one EFI_SIGNATURE_DATA: owner, then the certificate (PFP 1.06, 3.3.4.8). Others are left to "events".
 */
struct err rule_authority(struct firmware_work *w, const struct evdata *d, enum ruling *ret)
{
	struct evdata_variable v;
	struct platform_failure *f;
	struct bytes cert;
	uint8_t sum[32];
	char hex[65];
	struct err e;

	if (w->rules->signers.n == 0 || failed(evdata_variable(d, &v)) || v.contents.n < EFI_GUID_SIZE + 64 ||
	    failed(bytes_sub(v.contents, EFI_GUID_SIZE, v.contents.n - EFI_GUID_SIZE, &cert)) || cert.p[0] != 0x30)
		return ERR(E_OK);
	if (failed(e = sha256(cert, sum)))
		return e;
	if (platform_digests_has(&w->rules->signers, BYTES_ARR(sum))) {
		w->n_signed++;
		*ret = RULING_APPROVED;
		return ERR(E_OK);
	}
	if (failed(e = hex_encode(BYTES_ARR(sum), hex, sizeof(hex))))
		return e;
	f = firmware_fail(w, "P-profile", "firmware.boot_applications.signers", "signer of a boot application");
	PSAY(f->expected, "an approved certificate");
	PSAY(f->seen, "certificate %s", hex);
	*ret = RULING_REFUSED;
	return ERR(E_OK);
}
