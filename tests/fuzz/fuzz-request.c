/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes over the daemon's socket: 'r' a request, as an agent may send it to root's daemon; 'o' the outcome of an
 * attestation, which comes from a child that has talked to TPM and verifier.
 */
#include <string.h>

#include "attest/daemon/request.h"
#include "attest/daemon/serve.h"
#include "base/text.h"
#include "tests/fuzz/fuzz.h"

static bool same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void check_members(const struct request *r)
{
	const bool token = r->kind == REQUEST_TOKEN, proof = r->kind == REQUEST_PROOF;

	fuzz_must(r->kind <= REQUEST_CONTAINER);
	fuzz_must((r->want.scope != NULL) == token && (r->want.resource != NULL) == token);
	fuzz_must((r->method != NULL) == proof && (r->url != NULL) == proof);
	fuzz_must((r->want.task != NULL) == (token || r->kind == REQUEST_CERTIFICATE));
	fuzz_must(r->message_n <= sizeof(r->message) && (r->message_n == 0 || r->kind == REQUEST_TLS_SIGN));
	fuzz_must(proof || r->dpop_nonce == NULL);
	fuzz_must(proof || (r->token != NULL) == (r->kind == REQUEST_REVOKE));
	if (token)
		fuzz_must(id_valid(bytes_str(r->want.task)) && r->want.expected_s > 0 &&
			  r->want.expected_s <= TOKEN_EXPECTED_MAX_S);
	if (proof)
		fuzz_must(strlen(r->method) <= REQUEST_METHOD_MAX && strlen(r->url) <= LIMIT_PATH);
}

static void check_request(struct bytes in)
{
	cleanup_buf struct buf written = BUF_INIT(8 * REQUEST_MAX);
	cleanup_request struct request r = { 0 }, back = { 0 };
	struct err e;

	if (failed(request_parse(in, &r, NULL))) {
		fuzz_must(r.json == NULL && r.url == NULL);
		return;
	}
	check_members(&r);
	fuzz_must(!failed(request_write(&r, &written)));
	e = request_parse(buf_bytes(&written), &back, NULL);
	/* Escapes may make it longer than a packet. */
	if (written.n > REQUEST_MAX)
		return;
	fuzz_must(!failed(e) && back.kind == r.kind && memcmp(back.nonce, r.nonce, sizeof(r.nonce)) == 0);
	fuzz_must(memcmp(back.instance, r.instance, sizeof(r.instance)) == 0);
	fuzz_must(bytes_eq(BYTES(back.message, back.message_n), BYTES(r.message, r.message_n)));
	fuzz_must(same_text(back.want.scope, r.want.scope) && same_text(back.want.resource, r.want.resource) &&
		  same_text(back.want.task, r.want.task) && back.want.expected_s == r.want.expected_s);
	fuzz_must(same_text(back.method, r.method) && same_text(back.url, r.url) && same_text(back.token, r.token) &&
		  same_text(back.dpop_nonce, r.dpop_nonce));
}

static void check_outcome(struct bytes in)
{
	cleanup_buf struct buf written = BUF_INIT(8 * LIMIT_SMALL);
	cleanup_free struct outcome *o = calloc(2, sizeof(*o));

	if (o == NULL)
		return;
	outcome_read(in, &o[0]);
	fuzz_must(o[0].kind <= OUTCOME_REFUSED && o[0].n_accepted <= LIMIT_INSTANCES && o[0].expires_s >= 0);
	fuzz_must(strlen(o[0].text) < sizeof(o[0].text));
	fuzz_must(!failed(outcome_write(&o[0], &written)));
	outcome_read(buf_bytes(&written), &o[1]);
	fuzz_must(o[1].kind == o[0].kind && o[1].expires_s == o[0].expires_s && o[1].n_accepted == o[0].n_accepted);
	fuzz_must(strcmp(o[1].text, o[0].text) == 0 && memcmp(o[1].accepted, o[0].accepted, sizeof(o[0].accepted)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n > 0 && data[0] == 'r')
		check_request(BYTES(data + 1, n - 1));
	else if (n > 0 && data[0] == 'o')
		check_outcome(BYTES(data + 1, n - 1));
	return 0;
}
