/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two steps of an enrolment without memory between them:
 *
 *   session = 1 || u64be seconds || 16 random bytes
 *             || HMAC(key, "assay enrol session v1" 00 || all before || SHA-256(request))
 *   secret  = HMAC(key, "assay enrol secret v1" 00 || session)
 *
 * The request is covered part by part, so that EK, certificates and AK of the
 * second step are those of the first (CVE-2022-1053).
 */
#include <string.h>

#include "base/rd.h"
#include "base/wr.h"
#include "verifier/appraise/enrolment.h"

#define VERSION 1
#define HEAD_LEN (1 + 8 + ENROL_SESSION_ID_LEN)
#define MAC_LEN 32
#define SESSION_LEN (HEAD_LEN + MAC_LEN)
#define SECRET_LEN 32

/* Each part with its length before it. */
static struct err hash_part(struct hasher *h, struct bytes part)
{
	uint8_t len[4] = { (uint8_t)(part.n >> 24), (uint8_t)(part.n >> 16), (uint8_t)(part.n >> 8), (uint8_t)part.n };
	struct err e;

	if (failed(e = hasher_add(h, BYTES_ARR(len))))
		return e;
	return part.n == 0 ? ERR(E_OK) : hasher_add(h, part);
}

static struct err request_digest(const struct enrol_request *m, struct digest *ret)
{
	cleanup_hasher struct hasher *h = NULL;
	struct err e;

	if (m->n_chain > LIMIT_CHAIN)
		return ERR(E_LIMIT_COUNT);
	if (failed(e = hasher_new(DIGEST_SHA256, &h)) ||
	    failed(e = hash_part(h, buf_bytes(&m->ek_public))) ||
	    failed(e = hash_part(h, buf_bytes(&m->ak_public))) ||
	    failed(e = hash_part(h, buf_bytes(&m->ek_cert))))
		return e;
	for (size_t i = 0; i < m->n_chain; i++) {
		if (failed(e = hash_part(h, buf_bytes(&m->chain[i]))))
			return e;
	}
	return hasher_finish(h, ret);
}

static struct err session_mac(const uint8_t key[32], struct bytes head, const struct enrol_request *m,
			      uint8_t ret[MAC_LEN])
{
	struct digest request;
	struct err e;

	if (failed(e = request_digest(m, &request)))
		return e;
	return hmac_sha256(BYTES(key, 32), ret, 3,
			   (struct bytes[]){ BYTES_LIT("assay enrol session v1\0"), head, digest_bytes(&request) });
}

static struct err session_secret(const uint8_t key[32], struct bytes session, uint8_t ret[SECRET_LEN])
{
	return hmac_sha256(BYTES(key, 32), ret, 2,
			   (struct bytes[]){ BYTES_LIT("assay enrol secret v1\0"), session });
}

static struct err write_session(const struct enrol_request *m, const uint8_t key[32], int64_t now_s,
				const uint8_t random[16], struct buf *ret)
{
	uint8_t mac[MAC_LEN];
	struct err e;

	if (now_s < 0)
		return ERR(E_BUG);
	if (failed(e = buf_add_u8(ret, VERSION)) ||
	    failed(e = wr_u64be(ret, (uint64_t)now_s)) ||
	    failed(e = buf_add(ret, BYTES(random, ENROL_SESSION_ID_LEN))) ||
	    failed(e = session_mac(key, buf_bytes(ret), m, mac)))
		return e;
	return buf_add(ret, BYTES_ARR(mac));
}

static void wipe_secret(uint8_t (*s)[SECRET_LEN])
{
	wipe(*s, sizeof(*s));
}
#define cleanup_secret cleanup(wipe_secret)

struct err enrolment_challenge(const struct enrol_request *m, const struct enrolment *en, const uint8_t key[32],
			       int64_t now_s, const uint8_t random[16], struct enrol_challenge *ret)
{
	cleanup_buf struct buf session = BUF_INIT(SESSION_LEN);
	cleanup_secret uint8_t secret[SECRET_LEN];
	struct tpm_public ek;
	struct err e;

	if (failed(e = write_session(m, key, now_s, random, &session)) ||
	    failed(e = session_secret(key, buf_bytes(&session), secret)) ||
	    failed(e = tpm_public_parse(buf_bytes(&m->ek_public), &ek)) ||
	    failed(e = tpm_make_credential(&ek, &en->ak_name, BYTES_ARR(secret), &ret->credential_blob,
					   &ret->encrypted_secret)) ||
	    failed(e = buf_add(&ret->session, buf_bytes(&session))))
		return e;
	memcpy(ret->host_id, en->host_id, sizeof(ret->host_id));
	return ERR(E_OK);
}

static struct err refuse(struct reason *reterr, const char *why)
{
	reason_set(reterr, "N9: %s", why);
	return ERR(E_AUTH_NONCE);
}

static struct err check_session(const struct enrol_activation *m, const uint8_t key[32], int64_t now_s,
				struct bytes *ret_id, struct reason *reterr)
{
	struct rd r = RD(buf_bytes(&m->session));
	struct bytes id, mac;
	uint8_t version, want[MAC_LEN];
	uint64_t made_s;
	struct err e;

	if (failed(rd_u8(&r, &version)) || failed(rd_u64be(&r, &made_s)) ||
	    failed(rd_bytes(&r, ENROL_SESSION_ID_LEN, &id)) || failed(rd_bytes(&r, MAC_LEN, &mac)) ||
	    failed(rd_end(&r)) || version != VERSION)
		return refuse(reterr, "the session has another form than ours");
	if (failed(e = session_mac(key, BYTES(m->session.p, HEAD_LEN), &m->request, want)))
		return e;
	if (!bytes_eq_secret(mac, BYTES_ARR(want)))
		return refuse(reterr, "the session is not ours, or was opened for another request");
	if (made_s > INT64_MAX || now_s < 0 || (int64_t)made_s > now_s ||
	    now_s - (int64_t)made_s >= ENROL_SESSION_LIFE_S)
		return refuse(reterr, "the session has expired");
	*ret_id = id;
	return ERR(E_OK);
}

struct err enrolment_activate(const struct enrol_activation *m, const struct enrolment *en, const uint8_t key[32],
			      int64_t now_s, uint8_t ret_session_id[ENROL_SESSION_ID_LEN], bool *ret_session_valid,
			      struct reason *reterr)
{
	cleanup_secret uint8_t want[SECRET_LEN];
	struct tpm_public ak;
	struct tpm_name ak_name;
	struct bytes id;
	struct err e;

	*ret_session_valid = false;
	if (failed(e = check_session(m, key, now_s, &id, reterr)))
		return e;
	memcpy(ret_session_id, id.p, ENROL_SESSION_ID_LEN);
	*ret_session_valid = true;
	/* The judgement that the caller is about to store has to be that of this request (N11). */
	if (failed(e = tpm_public_parse(buf_bytes(&m->request.ak_public), &ak)) ||
	    failed(e = tpm_public_name(&ak, &ak_name)))
		return e;
	if (!bytes_eq(tpm_name_bytes(&ak_name), tpm_name_bytes(&en->ak_name)))
		return ERR(E_BUG);
	if (failed(e = session_secret(key, buf_bytes(&m->session), want)))
		return e;
	if (bytes_eq_secret(buf_bytes(&m->secret), BYTES_ARR(want)))
		return ERR(E_OK);
	reason_set(reterr, "N9: the secret is wrong; begin again");
	return ERR(E_AUTH_REFUSED);
}
