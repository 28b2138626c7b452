/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/store_fixture.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/key.h"
#include "base/text.h"
#include "base/wr.h"

/* What a fixture cannot make ends the test program: no test could go on. */
static void must(struct err e)
{
	if (failed(e)) {
		(void)fprintf(stderr, "fixture: %s\n", err_name(e));
		abort();
	}
}

char *fx_dir(void)
{
	char *path = strdup("/tmp/assay-store-XXXXXX");

	if (path == NULL || mkdtemp(path) == NULL)
		abort();
	return path;
}

void fx_dir_remove(char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	while (d != NULL && (entry = readdir(d)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			(void)unlinkat(dirfd(d), entry->d_name, 0);
	if (d != NULL)
		(void)closedir(d);
	(void)rmdir(dir);
	free(dir);
}

static void add_public(struct buf *b, uint32_t attributes, struct bytes policy, bool storage)
{
	cleanup_key struct key *k = NULL;
	cleanup_buf struct buf x = BUF_INIT(32), y = BUF_INIT(32);

	must(key_generate(KEY_EC_P256, &k));
	must(key_numbers(k, &x, &y));
	must(wr_u16be(b, TPM_ALG_ECC));
	must(wr_u16be(b, TPM_ALG_SHA256));
	must(wr_u32be(b, attributes));
	must(wr_tpm2b(b, policy));
	if (storage) {
		must(wr_u16be(b, TPM_ALG_AES));
		must(wr_u16be(b, 128));
		must(wr_u16be(b, TPM_ALG_CFB));
		must(wr_u16be(b, TPM_ALG_NULL));
	} else {
		must(wr_u16be(b, TPM_ALG_NULL));
		must(wr_u16be(b, TPM_ALG_ECDSA));
		must(wr_u16be(b, TPM_ALG_SHA256));
	}
	must(wr_u16be(b, TPM_ECC_P256));
	must(wr_u16be(b, TPM_ALG_NULL));
	must(wr_tpm2b(b, buf_bytes(&x)));
	must(wr_tpm2b(b, buf_bytes(&y)));
}

/* id and record for the EK that h holds and a new AK. */
static void finish_host(struct fx_host *h)
{
	cleanup_buf struct buf ak = BUF_INIT(512);
	struct tpm_public ek;

	add_public(&ak, TPMA_FIXED_TPM | TPMA_FIXED_PARENT | TPMA_SENSITIVE_DATA_ORIGIN | TPMA_USER_WITH_AUTH |
			TPMA_RESTRICTED | TPMA_SIGN, BYTES_NONE, false);
	must(tpm_public_parse(buf_bytes(&h->ek), &ek));
	must(host_id_of(&ek, h->id));
	buf_init(&h->record, 64 * KIB);
	must(host_record_encode(buf_bytes(&h->ek), BYTES_NONE, buf_bytes(&ak), FX_NOW, &h->record));
}

void fx_host_make(struct fx_host *h)
{
	/* PolicyA of the EK templates: TCG EK Credential Profile 2.5, B.6.2. */
	static const uint8_t policy[32] = { 0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc,
					    0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52,
					    0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa };

	buf_init(&h->ek, 512);
	add_public(&h->ek, TPMA_FIXED_TPM | TPMA_FIXED_PARENT | TPMA_SENSITIVE_DATA_ORIGIN | TPMA_ADMIN_WITH_POLICY |
			   TPMA_RESTRICTED | TPMA_DECRYPT, BYTES_ARR(policy), true);
	finish_host(h);
}

void fx_host_with_other_ak(const struct fx_host *h, struct fx_host *ret)
{
	buf_init(&ret->ek, 512);
	must(buf_add(&ret->ek, buf_bytes(&h->ek)));
	finish_host(ret);
}

void fx_host_done(struct fx_host *h)
{
	buf_free(&h->ek);
	buf_free(&h->record);
}

struct instance_row fx_instance(unsigned n)
{
	struct instance_row i = { .usable = true, .status = 2 };

	memset(i.id, (int)n, sizeof(i.id));
	(void)snprintf(i.agent, sizeof(i.agent), "agent-%u", n);
	(void)snprintf(i.jkt, sizeof(i.jkt), "%043u", n);
	memset(&i.image, 0x11, sizeof(i.image));
	memset(i.image.config, 0x12, sizeof(i.image.config));
	memset(i.model.manifest, 0x21, sizeof(i.model.manifest));
	memset(i.model.oms_root, 0x22, sizeof(i.model.oms_root));
	/* The even ones run in containers. */
	i.has_container = n % 2 == 0;
	if (i.has_container) {
		memset(i.container.rootfs, 0x23, sizeof(i.container.rootfs));
		memset(i.container.policy, 0x24, sizeof(i.container.policy));
	}
	memset(i.agent_doc, 0x31, sizeof(i.agent_doc));
	memset(i.image_doc, 0x32, sizeof(i.image_doc));
	memset(i.model_doc, 0x33, sizeof(i.model_doc));
	memset(i.platform_doc, 0x34, sizeof(i.platform_doc));
	memset(i.ear_digest, 0x41, sizeof(i.ear_digest));
	return i;
}

struct document fx_document(enum document_kind kind, const char *name, uint64_t serial, uint8_t n)
{
	static char owner[] = "ops@example.org";
	struct document d = { .kind = kind, .serial = serial, .owner = owner, .not_before_s = FX_NOW - 10,
			      .expires_s = FX_NOW + 86400 };

	(void)snprintf(d.name, sizeof(d.name), "%s", name);
	memset(d.digest, n, sizeof(d.digest));
	return d;
}

const char *fx_keyid(char c)
{
	static char id[65];

	memset(id, c, 64);
	return id;
}

struct err fx_verdict(struct store *s, const char *host, bool passed, int64_t now_s, int64_t expires_s, unsigned first,
		      size_t n, uint8_t doc)
{
	cleanup_host_row struct host_row row = { 0 };
	struct instance_row instance[4];
	uint8_t docs[1][32];
	struct err e = store_host(s, host, &row);
	struct verdict_write v = { .host_id = host, .passed = passed, .now_s = now_s, .expires_s = expires_s,
				   .n_docs = doc != 0 ? 1 : 0, .docs = (const uint8_t (*)[32])docs, .n_instances = n,
				   .instance = instance, .explanation = BYTES_LIT("{\"status\":\"x\"}") };

	if (failed(e))
		return e;
	memset(docs, doc, sizeof(docs));
	for (size_t i = 0; i < n; i++)
		instance[i] = fx_instance(first + (unsigned)i);
	row.state.status = passed ? HOST_VERIFIED : HOST_FAILED;
	v.version = row.version;
	v.epoch = row.epoch;
	v.next = &row.state;
	memset(v.host_doc, doc, sizeof(v.host_doc));
	return fx_verdict_raw(s, &v);
}

struct credential_row fx_credential(struct store *s, const char *host, unsigned n, const char *jti, const char *task,
				    int64_t now_s, int64_t expires_s)
{
	cleanup_host_row struct host_row row = { 0 };
	struct instance_row i = fx_instance(n);
	struct credential_row c = { .issued_s = now_s, .expires_s = expires_s };

	must(store_host(s, host, &row));
	c.epoch = row.epoch;
	(void)snprintf(c.jti, sizeof(c.jti), "%s", jti);
	(void)snprintf(c.jkt, sizeof(c.jkt), "%s", i.jkt);
	(void)snprintf(c.host_id, sizeof(c.host_id), "%s", host);
	(void)snprintf(c.agent, sizeof(c.agent), "%s", i.agent);
	memcpy(c.instance, i.id, sizeof(c.instance));
	c.scope = strdup("read");
	c.audience = strdup("https://api.example.org");
	c.task_id = strdup(task);
	c.owner = strdup("ops@example.org");
	return c;
}

/* One write with one call of txn_<name>. */
#define WRAP1(name, fn, A)                                                        \
	static struct err run_##name(struct txn *t, void *ctx)                    \
	{                                                                         \
		return fn(t, *(A *)ctx);                                          \
	}                                                                         \
	struct err fx_##name(struct store *s, A a)                                \
	{                                                                         \
		return store_write(s, run_##name, &a);                            \
	}
#define WRAP2(name, fn, A, B)                                                     \
	struct args_##name {                                                      \
		A a;                                                              \
		B b;                                                              \
	};                                                                        \
	static struct err run_##name(struct txn *t, void *ctx)                    \
	{                                                                         \
		struct args_##name *x = ctx;                                      \
		return fn(t, x->a, x->b);                                         \
	}                                                                         \
	struct err fx_##name(struct store *s, A a, B b)                           \
	{                                                                         \
		return store_write(s, run_##name, &(struct args_##name){ a, b }); \
	}
#define WRAP3(name, fn, A, B, C)                                                     \
	struct args_##name {                                                         \
		A a;                                                                 \
		B b;                                                                 \
		C c;                                                                 \
	};                                                                           \
	static struct err run_##name(struct txn *t, void *ctx)                       \
	{                                                                            \
		struct args_##name *x = ctx;                                         \
		return fn(t, x->a, x->b, x->c);                                      \
	}                                                                            \
	struct err fx_##name(struct store *s, A a, B b, C c)                         \
	{                                                                            \
		return store_write(s, run_##name, &(struct args_##name){ a, b, c }); \
	}
#define WRAP4(name, fn, A, B, C, D)                                                     \
	struct args_##name {                                                            \
		A a;                                                                    \
		B b;                                                                    \
		C c;                                                                    \
		D d;                                                                    \
	};                                                                              \
	static struct err run_##name(struct txn *t, void *ctx)                          \
	{                                                                               \
		struct args_##name *x = ctx;                                            \
		return fn(t, x->a, x->b, x->c, x->d);                                   \
	}                                                                               \
	struct err fx_##name(struct store *s, A a, B b, C c, D d)                       \
	{                                                                               \
		return store_write(s, run_##name, &(struct args_##name){ a, b, c, d }); \
	}

typedef const char *str;
typedef const uint8_t *octets;
typedef const struct document *doc_ptr;
typedef const struct verdict_write *verdict_ptr;
typedef const struct credential_row *credential_ptr;
typedef uint64_t *count_ptr;
typedef bool *bool_ptr;

WRAP3(use_once, txn_use_once, str, struct bytes, int64_t)
WRAP1(prune, txn_prune, int64_t)
WRAP1(time_advance, txn_time_advance, int64_t)
WRAP3(host_add, txn_host_add, str, struct bytes, bool_ptr)
WRAP1(host_clear, txn_host_clear, str)
WRAP1(host_remove, txn_host_remove, str)
WRAP1(host_revoke, txn_host_revoke, str)
WRAP1(verdict_raw, txn_verdict, verdict_ptr)
WRAP1(instance_revoke, txn_instance_revoke, octets)
WRAP1(credential_add, txn_credential_add, credential_ptr)
WRAP1(credential_revoke, txn_credential_revoke, str)
WRAP2(task_revoke, txn_task_revoke, str, count_ptr)
WRAP4(document_add, txn_document_add, doc_ptr, struct bytes, str, int64_t)
WRAP2(operator_removed, txn_operator_removed, str, count_ptr)
WRAP4(document_dropped, txn_document_dropped, str, str, uint64_t, count_ptr)
WRAP2(trust_add, txn_trust_add, octets, struct bytes)
WRAP1(trust_remove, txn_trust_remove, octets)
WRAP3(client_add, txn_client_add, str, octets, int64_t)
WRAP2(client_resource_add, txn_client_resource_add, str, str)
WRAP1(client_remove, txn_client_remove, str)

struct withdraw_args {
	const struct document *d;
	struct bytes envelope;
	const char *keyid;
	int64_t now_s;
	uint64_t *n;
};

static struct err run_withdraw(struct txn *t, void *ctx)
{
	struct withdraw_args *x = ctx;

	return txn_document_withdraw(t, x->d, x->envelope, x->keyid, x->now_s, x->n);
}

struct err fx_document_withdraw(struct store *s, const struct document *d, struct bytes envelope, const char *keyid,
				int64_t now_s, uint64_t *ret_n)
{
	return store_write(s, run_withdraw, &(struct withdraw_args){ d, envelope, keyid, now_s, ret_n });
}
