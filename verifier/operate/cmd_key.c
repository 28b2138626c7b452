/* SPDX-License-Identifier: Apache-2.0 */
/* assayctl key new: an operator's key pair. */
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/text.h"
#include "verifier/operate/ctl.h"

/* An entry for the operators file, ready to paste. */
static struct err entry_json(const struct key *k, const char *name, json_t **ret)
{
	cleanup_json json_t *o = NULL, *kinds = json_array(), *prefixes = json_array();
	cleanup_buf struct buf pem = BUF_INIT(LIMIT_SMALL);
	struct err e;

	if (kinds == NULL || prefixes == NULL || json_array_append_new(prefixes, json_string("")) != 0)
		return ERR(E_LOCAL_MEMORY);
	for (int i = 0; i < N_DOCUMENT_KINDS; i++)
		if (json_array_append_new(kinds, json_string(document_kind_name((enum document_kind)i))) != 0)
			return ERR(E_LOCAL_MEMORY);
	if (failed(e = key_public_to_pem(k, &pem)) || failed(e = json_new_object(&o)) ||
	    failed(e = json_put_str(o, "name", name)) || failed(e = json_put_text(o, "public_key", buf_bytes(&pem))) ||
	    failed(e = json_put(o, "kinds", take_ptr(&kinds))) ||
	    failed(e = json_put(o, "prefixes", take_ptr(&prefixes))))
		return e;
	*ret = take_ptr(&o);
	return ERR(E_OK);
}

static struct err key_make(const char *type, const char *out, const char *name, json_t **ret, struct reason *reterr)
{
	enum key_kind kind = strcmp(type, "p256") == 0 ? KEY_EC_P256 : KEY_ED25519;
	cleanup_buf struct buf pem = BUF_INIT(LIMIT_SMALL);
	cleanup_key struct key *k = NULL;
	struct err e;

	if (failed(e = key_generate(kind, &k)) || failed(e = key_private_to_pem(k, &pem)))
		return e;
	/* file_create, so that a key in use is never replaced by accident. */
	if (failed(e = file_create(AT_FDCWD, out, buf_bytes(&pem), 0600))) {
		reason_set(reterr, "%s: %s", out, err_text(e));
		return e;
	}
	return entry_json(k, name, ret);
}

int cmd_key(void *ctx, int argc, char **argv)
{
	const char *out = "operator.key", *type = "ed25519", *name = "operator";
	const struct opt opts[] = {
		{ "out", OPT_STRING, &out, "FILE", "where the private key goes, mode 0600 (operator.key)", 0 },
		{ "type", OPT_STRING, &type, "TYPE", "ed25519 or p256 (ed25519)", 0 },
		{ "name", OPT_STRING, &name, "NAME", "operator's name in the operators file (operator)", 0 },
	};
	cleanup_json json_t *entry = NULL;
	struct reason why = { { 0 } };
	char **pos;
	int n, status;
	struct err e;

	(void)ctx;
	status = verb_options(&ctl_program, ctl_verb("key"), argc, argv, opts, array_len(opts), 1, 1, &pos, &n);
	if (status >= 0)
		return status;
	if (strcmp(pos[0], "new") != 0)
		return usage_error(&ctl_program, "key: expected new (see assayctl key --help)");
	if (strcmp(type, "ed25519") != 0 && strcmp(type, "p256") != 0)
		return usage_error(&ctl_program, "key: --type is ed25519 or p256");
	if (!id_valid(bytes_str(name)))
		return usage_error(&ctl_program, "key: --name takes 1 to 64 characters of A-Z a-z 0-9 . _ -");
	if (failed(e = key_make(type, out, name, &entry, &why)))
		return ctl_fail("key", e, &why);
	/* The entry is JSON in both forms: it belongs into the list "operators" of the operators file. */
	struct ctl print = { .json = true };

	return failed(e = ctl_print(&print, entry)) ? ctl_fail("key", e, NULL) : EXIT_ACCEPTED;
}
