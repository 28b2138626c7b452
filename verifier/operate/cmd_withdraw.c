/* SPDX-License-Identifier: Apache-2.0 */
/* assayctl withdraw KIND NAME: a signed document that ends all serials up to the newest. */
#include <string.h>

#include "base/text.h"
#include "verifier/operate/ctl.h"

/* Highest serial that holds for this kind and name. */
static struct err newest(const struct ctl *c, const char *kind, const char *name, uint64_t *ret, struct reason *reterr)
{
	cleanup_json json_t *list = NULL;
	json_t *row;
	size_t i;
	struct err e;

	*ret = 0;
	if (failed(e = ctl_request(c, "/v1/admin/documents", NULL, NULL, &list, reterr)))
		return e;
	json_array_foreach(list, i, row) {
		const char *k = json_string_value(json_object_get(row, "kind"));
		const char *n = json_string_value(json_object_get(row, "name"));
		json_int_t serial = json_integer_value(json_object_get(row, "serial"));

		if (json_object_get(row, "withdrawn") != NULL)
			continue;

		if (k != NULL && n != NULL && strcmp(k, kind) == 0 && strcmp(n, name) == 0 && serial > 0 &&
		    (uint64_t)serial > *ret)
			*ret = (uint64_t)serial;
	}
	if (*ret > 0)
		return ERR(E_OK);
	reason_set(reterr, "no %s document named %s holds (see assayctl documents)", kind, name);
	return ERR(E_AUTH_UNKNOWN);
}

static struct err withdraw(const struct ctl *c, struct ctl_document *d, uint64_t target, const char *kind,
			   const char *name, json_t **ret, struct reason *reterr)
{
	cleanup_json json_t *p = NULL;
	struct err e;

	if (target == 0 && failed(e = newest(c, kind, name, &target, reterr)))
		return e;
	/* Withdrawing a later serial needs a later withdrawal, so the target's serial serves for both. */
	if (d->serial == 0)
		d->serial = target;
	if (failed(e = json_new_object(&p)) || failed(e = json_put_str(p, "target_kind", kind)) ||
	    failed(e = json_put_str(p, "target_name", name)) ||
	    failed(e = json_put_int(p, "target_serial", (int64_t)target)))
		return e;
	return ctl_document_send(c, d, DOCUMENT_WITHDRAW, name, p, "/v1/admin/withdraw", ret, reterr);
}

int cmd_withdraw(void *ctx, int argc, char **argv)
{
	/* A withdrawal needs no long life of its own: once accepted it stays. */
	struct ctl_document d = { .expires_s = 86400 };
	uint64_t target = 0;
	const struct opt opts[] = {
		{ "key", OPT_STRING, &d.key_file, "FILE", "operator's private key", 0 },
		{ "owner", OPT_STRING, &d.owner, "TEXT", "who answers for this", 0 },
		{ "serial", OPT_U64, &d.serial, "N", "serial of the withdrawal (the target's)", INT64_MAX },
		{ "target-serial", OPT_U64, &target, "N", "withdraw serials up to this one (the newest)", INT64_MAX },
		{ "out", OPT_STRING, &d.out_file, "FILE", "write the signed document instead of handing it over", 0 },
	};
	cleanup_json json_t *answer = NULL;
	struct reason why = { { 0 } };
	const struct ctl *c = ctx;
	enum document_kind kind;
	char **pos;
	int n, status;
	struct err e;

	status = verb_options(&ctl_program, ctl_verb("withdraw"), argc, argv, opts, array_len(opts), 2, 2, &pos, &n);
	if (status >= 0)
		return status;
	kind = document_kind_by_name(pos[0]);
	if (kind == N_DOCUMENT_KINDS || kind == DOCUMENT_WITHDRAW || !id_valid(bytes_str(pos[1])))
		return usage_error(&ctl_program, "withdraw: expected host, image, model, platform or agent, and a name");
	if (d.out_file != NULL && target == 0)
		return usage_error(&ctl_program, "withdraw: --out needs --target-serial");
	if (failed(e = withdraw(c, &d, target, pos[0], pos[1], &answer, &why)))
		return e.code == E_LOCAL_CONFIG ? usage_error(&ctl_program, "withdraw: %s", why.text) :
						  ctl_fail("withdraw", e, &why);
	return failed(e = ctl_print(c, answer)) ? ctl_fail("withdraw", e, NULL) : EXIT_ACCEPTED;
}
