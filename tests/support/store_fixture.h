/* SPDX-License-Identifier: Apache-2.0 */
/* A store in a folder of its own, hosts to put into it, and each txn_ function as a write of its own. */
#ifndef ASSAY_TESTS_SUPPORT_STORE_FIXTURE_H
#define ASSAY_TESTS_SUPPORT_STORE_FIXTURE_H

#include "verifier/store/store.h"

#define FX_NOW 1800000000

/* A new folder, 0700; fx_dir_remove() removes it with the files in it and frees the path. */
char *fx_dir(void);
void fx_dir_remove(char *dir);
static inline void cleanup_fx_dir_(char **dir)
{
	if (*dir != NULL)
		fx_dir_remove(*dir);
}
#define cleanup_fx_dir cleanup(cleanup_fx_dir_)

/* A host with keys that exist nowhere else: its id, and its record for txn_host_add(). */
struct fx_host {
	char id[HOST_ID_LEN + 1];
	struct buf ek, record;
};
void fx_host_make(struct fx_host *h);
/* The same EK with another AK. */
void fx_host_with_other_ak(const struct fx_host *h, struct fx_host *ret);
void fx_host_done(struct fx_host *h);
#define cleanup_fx_host cleanup(fx_host_done)

/* An instance whose id, jkt and digests all follow from n. */
struct instance_row fx_instance(unsigned n);
/* A document that refers to nothing, with digest bytes n; borrowed strings, not to be freed. */
struct document fx_document(enum document_kind kind, const char *name, uint64_t serial, uint8_t n);
/* keyid of 64 characters c. */
const char *fx_keyid(char c);

/* Stores a verdict: `passed`, n instances from fx_instance(first), document digests of bytes doc (none if 0). */
struct err fx_verdict(struct store *s, const char *host, bool passed, int64_t now_s, int64_t expires_s, unsigned first,
		      size_t n, uint8_t doc);
/* Row of a credential for fx_instance(n) at the host's present epoch. */
struct credential_row fx_credential(struct store *s, const char *host, unsigned n, const char *jti, const char *task,
				    int64_t now_s, int64_t expires_s);

struct err fx_use_once(struct store *s, const char *space, struct bytes value, int64_t expires_s);
struct err fx_prune(struct store *s, int64_t now_s);
struct err fx_time_advance(struct store *s, int64_t now_s);
struct err fx_host_add(struct store *s, const char *id, struct bytes record, bool *ret_existed);
struct err fx_host_clear(struct store *s, const char *id);
struct err fx_host_remove(struct store *s, const char *id);
struct err fx_host_revoke(struct store *s, const char *id);
struct err fx_verdict_raw(struct store *s, const struct verdict_write *v);
struct err fx_instance_revoke(struct store *s, const uint8_t *id);
struct err fx_credential_add(struct store *s, const struct credential_row *c);
struct err fx_credential_revoke(struct store *s, const char *jti);
struct err fx_task_revoke(struct store *s, const char *task, uint64_t *ret_n);
struct err fx_document_add(struct store *s, const struct document *d, struct bytes envelope, const char *keyid,
			   int64_t now_s);
struct err fx_document_withdraw(struct store *s, const struct document *d, struct bytes envelope, const char *keyid,
				int64_t now_s, uint64_t *ret_n);
struct err fx_operator_removed(struct store *s, const char *keyid, uint64_t *ret_n);
struct err fx_document_dropped(struct store *s, const char *kind, const char *name, uint64_t serial, uint64_t *ret_n);
struct err fx_trust_add(struct store *s, const uint8_t *sha256, struct bytes der);
struct err fx_trust_remove(struct store *s, const uint8_t *sha256);
struct err fx_client_add(struct store *s, const char *name, const uint8_t *sha256, int64_t now_s);
struct err fx_client_resource_add(struct store *s, const char *name, const char *resource);
struct err fx_client_remove(struct store *s, const char *name);

#endif
