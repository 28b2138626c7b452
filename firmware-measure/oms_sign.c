/* SPDX-License-Identifier: Apache-2.0 */
/* Makes bundles, in the current form of the specification. */
#include <string.h>

#include "base/jose.h"
#include "base/jsonw.h"
#include "base/text.h"
#include "firmware-measure/oms.h"

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct oms_resource *)a)->path, ((const struct oms_resource *)b)->path);
}

/* path is the name as it is signed. Takes the next place. */
static struct err add(struct oms_manifest *m, int printed, char *name, const uint8_t sha256[32])
{
	struct oms_resource *r = &m->resources[m->n_resources];

	if (printed < 0)
		return ERR(E_LOCAL_MEMORY);
	r->path = name;
	m->n_resources++;
	return bytes_copy_exact(BYTES(sha256, 32), r->sha256, sizeof(r->sha256));
}

static struct err add_file(struct oms_manifest *m, const struct model_file *f)
{
	char *name = NULL;
	uint64_t at = 0;
	struct err e;

	if (m->shard_size == 0) {
		int n = asprintf(&name, "%s", f->path);

		return add(m, n, name, f->sha256);
	}
	for (size_t i = 0; i < f->n_shards; i++) {
		uint64_t left = f->size - at, end = at + (left < m->shard_size ? left : m->shard_size);
		int n = asprintf(&name, "%s:%ju:%ju", f->path, (uintmax_t)at, (uintmax_t)end);

		if (failed(e = add(m, n, name, f->shards[i])))
			return e;
		at = end;
	}
	return ERR(E_OK);
}

/* Resources with their names as signed, in the order of code points; which is that of the bytes of UTF-8. */
static struct err list_resources(const struct model_report *r, struct oms_manifest *m)
{
	size_t n = 0;
	struct err e;

	for (size_t i = 0; i < r->n_files; i++)
		n += m->shard_size > 0 ? r->files[i].n_shards : 1;
	m->resources = calloc(n + 1, sizeof(*m->resources));
	if (m->resources == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < r->n_files; i++)
		if (failed(e = add_file(m, &r->files[i])))
			return e;
	qsort(m->resources, m->n_resources, sizeof(*m->resources), by_name);
	return oms_root(m->n_resources, m->resources, m->root);
}

static void write_serialization(struct jsonw *w, const struct oms_manifest *m, const struct oms_skip *skip)
{
	jsonw_object(w, "serialization");
	jsonw_str(w, "method", m->shard_size > 0 ? "shards" : "files");
	jsonw_str(w, "hash_type", "sha256");
	if (m->shard_size > 0)
		jsonw_int(w, "shard_size", (int64_t)m->shard_size);
	jsonw_bool(w, "allow_symlinks", m->allow_symlinks);
	jsonw_array(w, "ignore_paths");
	for (size_t i = 0; i < OMS_N_GIT_NAMES; i++)
		jsonw_str(w, NULL, oms_git_names[i]);
	for (size_t i = 0; i < skip->n_ignored; i++) {
		size_t n = 0;
		const char *path = oms_clean_path(skip->ignored[i], &n);

		jsonw_text(w, NULL, BYTES(path, n));
	}
	if (skip->bundle[0] != '\0')
		jsonw_str(w, NULL, skip->bundle);
	jsonw_close(w);
	jsonw_close(w);
}

static struct err write_statement(const struct oms_manifest *m, const char *name, const struct oms_skip *skip,
				  struct buf *ret)
{
	struct jsonw w;

	jsonw_begin(&w, ret);
	jsonw_str(&w, "_type", OMS_STATEMENT_TYPE);
	jsonw_array(&w, "subject");
	jsonw_object(&w, NULL);
	jsonw_str(&w, "name", name);
	jsonw_object(&w, "digest");
	jsonw_hex(&w, "sha256", BYTES_ARR(m->root));
	jsonw_close(&w);
	jsonw_close(&w);
	jsonw_close(&w);
	jsonw_str(&w, "predicateType", OMS_PREDICATE_TYPE);
	jsonw_object(&w, "predicate");
	write_serialization(&w, m, skip);
	jsonw_array(&w, "resources");
	for (size_t i = 0; i < m->n_resources; i++) {
		jsonw_object(&w, NULL);
		jsonw_str(&w, "name", m->resources[i].path);
		jsonw_str(&w, "algorithm", "sha256");
		jsonw_hex(&w, "digest", BYTES_ARR(m->resources[i].sha256));
		jsonw_close(&w);
	}
	jsonw_close(&w);
	jsonw_close(&w);
	return jsonw_end(&w);
}

/* SHA-256 of the public key in PEM: what others write as the hint, and compare. */
static struct err key_hint(const struct key *k, uint8_t ret[32])
{
	cleanup_buf struct buf pem = BUF_INIT(LIMIT_SMALL);
	struct err e;

	if (failed(e = key_public_to_pem(k, &pem)))
		return e;
	return sha256(buf_bytes(&pem), ret);
}

static struct err write_bundle(const struct key *k, struct bytes payload, struct bytes sig, struct buf *ret)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_OMS_BUNDLE), sig_text = BUF_INIT(1024);
	uint8_t hint[32];
	struct jsonw w;
	struct err e;

	if (failed(e = b64_encode(payload, &text)) || failed(e = b64_encode(sig, &sig_text)) ||
	    failed(e = key_hint(k, hint)))
		return e;
	jsonw_begin(&w, ret);
	jsonw_str(&w, "mediaType", OMS_MEDIA_TYPE);
	jsonw_object(&w, "verificationMaterial");
	jsonw_object(&w, "publicKey");
	jsonw_hex(&w, "hint", BYTES_ARR(hint));
	jsonw_close(&w);
	jsonw_array(&w, "tlogEntries");
	jsonw_close(&w);
	jsonw_close(&w);
	jsonw_object(&w, "dsseEnvelope");
	jsonw_text(&w, "payload", buf_bytes(&text));
	jsonw_str(&w, "payloadType", OMS_PAYLOAD_TYPE);
	jsonw_array(&w, "signatures");
	jsonw_object(&w, NULL);
	jsonw_text(&w, "sig", buf_bytes(&sig_text));
	jsonw_str(&w, "keyid", "");
	jsonw_close(&w);
	jsonw_close(&w);
	jsonw_close(&w);
	return jsonw_end(&w);
}

struct err oms_sign(const struct model_report *r, uint64_t shard_size, const char *name, const struct oms_skip *skip,
		    const struct key *k, struct buf *ret, struct reason *reterr)
{
	cleanup_buf struct buf payload = BUF_INIT(LIMIT_OMS_BUNDLE), pae = BUF_INIT(2 * LIMIT_OMS_BUNDLE);
	cleanup_buf struct buf raw = BUF_INIT(256), der = BUF_INIT(256);
	cleanup_oms_manifest struct oms_manifest m = { .shard_size = shard_size, .allow_symlinks = r->n_links > 0 };
	enum digest_id hash;
	struct err e;

	if (!oms_hash_of(k, &hash)) {
		reason_set(reterr, "bundles are signed with keys on P-256, P-384 or P-521, and this is none");
		return ERR(E_PEER_UNSUPPORTED);
	}
	if (failed(e = list_resources(r, &m)))
		return e;
	if (m.n_resources == 0) {
		reason_set(reterr, "nothing to sign: all files are empty, and shards of empty files are not listed");
		return ERR(E_PEER_MISSING);
	}
	if (failed(e = write_statement(&m, name, skip, &payload)) ||
	    failed(e = dsse_pae(OMS_PAYLOAD_TYPE, buf_bytes(&payload), &pae)) ||
	    failed(e = key_sign(k, SIG_ECDSA, hash, buf_bytes(&pae), &raw)) ||
	    failed(e = ecdsa_raw_to_der(key_kind(k), buf_bytes(&raw), &der)) ||
	    failed(e = write_bundle(k, buf_bytes(&payload), buf_bytes(&der), ret))) {
		if (e.code == E_LIMIT_SIZE)
			reason_set(reterr, "a bundle of %zu files or shards is larger than %zu MiB", m.n_resources,
				   LIMIT_OMS_BUNDLE / MIB);
		return e;
	}
	return ERR(E_OK);
}
