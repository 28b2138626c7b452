/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/instance_key.h"

#include <string.h>

#include "attest/tpm_session.h"
#include "base/key.h"

#define NAMED_MAX 4 /* instances that a refusal names */

/* Names of some instances, for people. */
struct named {
	size_t n;
	char text[NAMED_MAX * (INSTANCE_HEX_LEN + 2) + 1];
};

static void name_instance(void *ctx, const uint8_t id[INSTANCE_ID_LEN])
{
	struct named *x = ctx;
	char hex[INSTANCE_HEX_LEN + 1];
	size_t used = strlen(x->text);

	instance_id_format(id, hex);
	if (x->n++ < NAMED_MAX)
		(void)snprintf(x->text + used, sizeof(x->text) - used, "%s%s", used == 0 ? "" : ", ", hex);
}

/* Whoever asks has mistaken the id, or the instance has ended: a "no", and what there is instead. */
static struct err no_such_instance(struct host *h, const uint8_t id[INSTANCE_ID_LEN])
{
	char hex[INSTANCE_HEX_LEN + 1];
	struct named there = { 0 };
	struct err e;

	instance_id_format(id, hex);
	if (failed(e = instance_each(h->state_fd, name_instance, &there)))
		return e;
	if (there.n == 0)
		reason_set(&h->why, "there is no instance %s on this host, and no other (assay-attest status lists them)", hex);
	else
		reason_set(&h->why, "there is no instance %s on this host, but %s%s (assay-attest status lists them)", hex,
			   there.text, there.n > NAMED_MAX ? " and others" : "");
	return ERR(E_AUTH_UNKNOWN);
}

struct err instance_key_read(struct host *h, const uint8_t id[INSTANCE_ID_LEN], struct wkey_blob *ret)
{
	cleanup_instance struct instance i = { 0 };
	struct err e = instance_read(h->state_fd, id, &i, ret, &h->why);

	return e.code == E_LOCAL_NOT_FOUND ? no_such_instance(h, id) : e;
}

struct err instance_key_public(const struct wkey_blob *blob, struct key **ret)
{
	struct tpm_public p;
	struct err e = tpm_public_parse(buf_bytes(&blob->public_area), &p);

	return failed(e) ? e : tpm_public_key(&p, ret);
}

struct err instance_key_sign(const struct instance_key *k, struct bytes data, struct buf *ret)
{
	return wkey_sign(k->key, k->session, data, ret);
}

struct err instance_key_visit(struct host *h, const struct wkey_blob *blob,
			      struct err (*use)(void *ctx, const struct instance_key *k), void *ctx)
{
	cleanup_visit struct visit v = VISIT_INIT;
	cleanup_tpm_handle struct tpm_handle session = TPM_HANDLE_NONE, primary = TPM_HANDLE_NONE, key = TPM_HANDLE_NONE;
	cleanup_buf struct buf parent = BUF_INIT(LIMIT_TPM2B);
	const struct instance_key k = { &key, &session };
	struct tpm_name parent_name;
	struct err e;

	if (failed(e = visit_begin(h, &v)) || failed(e = session_hmac(v.tpm, NULL, &session)) ||
	    failed(e = boot_null_primary(v.tpm, &primary, &parent, &parent_name)) ||
	    failed(e = wkey_load(&primary, blob, &key)))
		return e;
	tpm_handle_done(&primary);
	return use(ctx, &k);
}
