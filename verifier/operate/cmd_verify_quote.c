/* SPDX-License-Identifier: Apache-2.0 */
/* assayctl verify-quote: reads the files, verify_quote.c decides. Exit 0 verified, 1 not, 2 usage, 3 a file cannot be read. */
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/text.h"
#include "verifier/operate/ctl.h"
#include "verifier/operate/verify_quote.h"

struct inputs {
	struct buf ak, quote, signature, nonce, pcrs;
};

static void inputs_done(struct inputs *in)
{
	buf_free(&in->ak);
	buf_free(&in->quote);
	buf_free(&in->signature);
	buf_free(&in->nonce);
	buf_free(&in->pcrs);
}

static struct err load(const char *path, struct buf *to, struct reason *reterr)
{
	struct err e;

	buf_init(to, LIMIT_SMALL);
	if (path == NULL)
		return ERR(E_OK);
	if (failed(e = file_read(AT_FDCWD, path, to)))
		reason_set(reterr, "%s: %s", path, err_text(e));
	return e;
}

static struct err put_selection(json_t *o, const struct pcr_selection *s)
{
	cleanup_json json_t *banks = NULL;
	struct err e;

	if (failed(e = json_new_object(&banks)))
		return e;
	for (size_t i = 0; i < s->n; i++) {
		const struct digest_alg *alg = digest_by_tpm_alg(s->bank[i].hash_alg);
		cleanup_json json_t *list = json_array();
		char name[16];

		(void)snprintf(name, sizeof(name), "0x%04x", s->bank[i].hash_alg);
		for (unsigned pcr = 0; pcr < LIMIT_PCRS; pcr++)
			if ((s->bank[i].mask & (1u << pcr)) != 0 &&
			    json_array_append_new(list, json_integer((json_int_t)pcr)) != 0)
				return ERR(E_LOCAL_MEMORY);
		if (failed(e = json_put(banks, alg != NULL ? alg->name : name, take_ptr(&list))))
			return e;
	}
	return json_put(o, "selection", take_ptr(&banks));
}

static struct err report_json(const struct quote_report *r, json_t **ret)
{
	cleanup_json json_t *o = NULL;
	struct err e;

	if (failed(e = json_new_object(&o)) || failed(e = json_put_bool(o, "verified", true)) ||
	    failed(e = json_put_hex(o, "pcr_digest", digest_bytes(&r->pcr_digest))) ||
	    failed(e = json_put_bool(o, "pcrs_compared", r->pcrs_compared)) ||
	    failed(e = json_put_int(o, "clock_ms", (int64_t)r->clock.clock_ms)) ||
	    failed(e = json_put_int(o, "reset_count", r->clock.reset_count)) ||
	    failed(e = json_put_int(o, "restart_count", r->clock.restart_count)) ||
	    failed(e = json_put_bool(o, "safe", r->clock.safe != 0)) || failed(e = put_selection(o, &r->selection)))
		return e;
	*ret = take_ptr(&o);
	return ERR(E_OK);
}

static int print_refusal(const struct ctl *c, struct err e, const struct reason *why)
{
	cleanup_json json_t *o = NULL;
	struct err e2;

	if (c->json && exit_for(e) == EXIT_REJECTED) {
		if (failed(e2 = json_new_object(&o)) || failed(e2 = json_put_bool(o, "verified", false)) ||
		    failed(e2 = json_put_str(o, "reason", why->text)) || failed(e2 = ctl_print(c, o)))
			return ctl_fail("verify-quote", e2, NULL);
	}
	return ctl_fail("verify-quote", e, why);
}

static int verify(const struct ctl *c, const struct inputs *in)
{
	const struct quote_files f = { .ak = buf_bytes(&in->ak), .quote = buf_bytes(&in->quote),
				       .signature = buf_bytes(&in->signature), .nonce = buf_bytes(&in->nonce),
				       .pcrs = buf_bytes(&in->pcrs) };
	cleanup_json json_t *o = NULL;
	struct reason why = { { 0 } };
	struct quote_report r;
	struct err e;

	if (failed(e = quote_verify(&f, &r, &why)))
		return print_refusal(c, e, &why);
	if (failed(e = report_json(&r, &o)) || failed(e = ctl_print(c, o)))
		return ctl_fail("verify-quote", e, NULL);
	return EXIT_ACCEPTED;
}

int cmd_verify_quote(void *ctx, int argc, char **argv)
{
	const char *ak = NULL, *quote = NULL, *sig = NULL, *nonce = NULL, *pcrs = NULL;
	const struct opt opts[] = {
		{ "ak", OPT_STRING, &ak, "FILE", "attestation key: PEM, TPMT_PUBLIC or TPM2B_PUBLIC", 0 },
		{ "quote", OPT_STRING, &quote, "FILE", "TPMS_ATTEST or TPM2B_ATTEST", 0 },
		{ "sig", OPT_STRING, &sig, "FILE", "TPMT_SIGNATURE, raw RSASSA-SHA256 or DER ECDSA-SHA256", 0 },
		{ "nonce", OPT_STRING, &nonce, "HEX", "what the quote must carry as extraData", 0 },
		{ "pcrs", OPT_STRING, &pcrs, "FILE", "register values, JSON {\"0\":\"hex\",...} or by bank", 0 },
	};
	__attribute__((__cleanup__(inputs_done))) struct inputs in = { 0 };
	struct reason why = { { 0 } };
	char **pos;
	int n, status;
	struct err e;

	status = verb_options(&ctl_program, ctl_verb("verify-quote"), argc, argv, opts, array_len(opts), 0, 0, &pos, &n);
	if (status >= 0)
		return status;
	if (ak == NULL || quote == NULL || sig == NULL || nonce == NULL)
		return usage_error(&ctl_program, "verify-quote: --ak, --quote, --sig and --nonce are needed");
	buf_init(&in.nonce, 64);
	if (failed(e = hex_decode(bytes_str(nonce), &in.nonce)))
		return usage_error(&ctl_program, "verify-quote: --nonce takes at most 64 bytes of hex");
	if (failed(e = load(ak, &in.ak, &why)) || failed(e = load(quote, &in.quote, &why)) ||
	    failed(e = load(sig, &in.signature, &why)) || failed(e = load(pcrs, &in.pcrs, &why)))
		return ctl_fail("verify-quote", e.code == E_LIMIT_SIZE ? e : ERR(E_LOCAL_IO), &why);
	if (pcrs != NULL && in.pcrs.n == 0)
		return ctl_fail("verify-quote", ERR(E_PEER_SYNTAX), &(struct reason){ "--pcrs: the file is empty" });
	return verify(ctx, &in);
}
