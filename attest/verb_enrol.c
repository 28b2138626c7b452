/* SPDX-License-Identifier: Apache-2.0 */
/* enrol: who this TPM is, proved by activation; pins the verifier. */
#include <fcntl.h>
#include <string.h>

#include "attest/app.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"

/* What is known before the verifier is asked. */
struct enrolling {
	struct host *host;
	const struct conf *conf;
	bool replace;
	struct buf ca_pem;
	enum ek_kind ek;
	struct enrol_request request;
	struct tpm_name ek_name, ak_name;
};

static void enrolling_done(struct enrolling *x)
{
	buf_free(&x->ca_pem);
	enrol_request_done(&x->request);
}

/* Pins are not changed by the way: another verifier, CA or TPM is said to be one. */
static struct err check_pins(struct enrolling *x)
{
	const struct enrolment *was = &x->host->enrolment;
	struct reason *why = &x->host->why;

	if (!x->host->enrolled || x->replace)
		return ERR(E_OK);
	if (strcmp(was->verifier_url, x->conf->verifier_url) != 0 ||
	    !bytes_eq(buf_bytes(&was->ca_pem), buf_bytes(&x->ca_pem))) {
		reason_set(why, "this host is enrolled with %s and its CA; --replace enrols it elsewhere",
			   was->verifier_url);
		return ERR(E_AUTH_CONFLICT);
	}
	return ERR(E_OK);
}

static struct err check_tpm(struct enrolling *x)
{
	const struct enrolment *was = &x->host->enrolment;

	if (!x->host->enrolled || x->replace || bytes_eq(tpm_name_bytes(&was->ek_name), tpm_name_bytes(&x->ek_name)))
		return ERR(E_OK);
	if (was->ek != x->ek)
		reason_set(&x->host->why, "this host (%s) is enrolled with its endorsement key of kind %s; --replace "
					  "enrols it as another host, with %s",
			   was->host_id, ek_kind_name(was->ek), ek_kind_name(x->ek));
	else
		reason_set(&x->host->why, "this is another TPM than the enrolled one (%s); --replace enrols it as "
					  "another host",
			   was->host_id);
	return ERR(E_AUTH_CONFLICT);
}

/* The kind of key that a certificate from a file is for. EK_AUTO: of none. */
static enum ek_kind kind_of_cert(struct bytes der)
{
	cleanup_cert struct cert *cert = NULL;
	cleanup_key struct key *key = NULL;

	if (failed(cert_from_der(der, &cert, NULL)) || failed(cert_key(cert, &key)))
		return EK_AUTO; /* the verifier says what is wrong with it */
	switch (key_kind(key)) {
	case KEY_EC_P256:
		return EK_ECC_P256;
	case KEY_EC_P384:
		return EK_ECC_P384;
	case KEY_RSA:
		return EK_RSA_2048;
	case KEY_NONE:
	case KEY_EC_P521:
	case KEY_ED25519:
		break;
	}
	return EK_AUTO;
}

/* As configured; else as enrolled, so that a host stays the same; else what a certificate is there for. */
static struct err choose_ek(struct enrolling *x, struct tpm *tpm)
{
	cleanup_buf struct buf leaf = BUF_INIT(LIMIT_CERT);
	const struct conf *c = x->conf;
	struct err e;
	size_t n = 0;

	x->ek = c->ek;
	if (x->ek == EK_AUTO && x->host->enrolled && !x->replace)
		x->ek = x->host->enrolment.ek;
	if (x->ek == EK_AUTO && c->ek_cert != NULL) {
		if (failed(e = ek_certs_from_file(c->ek_cert, 1, &leaf, &n, tpm->why)))
			return e;
		x->ek = kind_of_cert(buf_bytes(&leaf));
	}
	return x->ek == EK_AUTO ? ek_choose(tpm, &x->ek) : ERR(E_OK);
}

static struct err get_certs(struct enrolling *x, struct tpm *tpm)
{
	cleanup_ek_certs struct ek_certs certs;
	const struct conf *c = x->conf;
	size_t n_leaf = 0;
	struct err e;

	ek_certs_init(&certs);
	if (failed(e = ek_certs_from_nv(tpm, x->ek, &certs)))
		return e;
	if (c->ek_cert != NULL) {
		buf_clear(&certs.leaf);
		if (failed(e = ek_certs_from_file(c->ek_cert, 1, &certs.leaf, &n_leaf, tpm->why)))
			return e;
	}
	for (size_t i = 0; i < c->n_ek_chain; i++)
		if (failed(e = ek_certs_from_file(c->ek_chain[i], LIMIT_CHAIN, certs.chain, &certs.n_chain, tpm->why)))
			return e;
	buf_move(&x->request.ek_cert, &certs.leaf);
	for (size_t i = 0; i < certs.n_chain; i++)
		buf_move(&x->request.chain[i], &certs.chain[i]);
	x->request.n_chain = certs.n_chain;
	return ERR(E_OK);
}

/* Both keys. ek and ak: EK_INIT, AK_INIT. */
static struct err open_keys(struct enrolling *x, struct visit *v, struct ek *ek, struct ak *ak,
			    struct tpm_handle *ret_session)
{
	const struct ak_spec spec = { x->conf->ak, x->conf->ak_handle, NULL };
	struct err e;

	if (failed(e = ek_open(v->tpm, x->ek, ek)) || failed(e = ek_session_first(ek, ret_session)) ||
	    failed(e = ak_open(v->tpm, &spec, ret_session, ak)))
		return e;
	if (!ek->persistent && failed(ek_persist(ek, ret_session)))
		log_debug("the EK is not kept: %s", x->host->why.text);
	return ERR(E_OK);
}

static struct err gather(struct enrolling *x)
{
	cleanup_visit struct visit v = VISIT_INIT;
	cleanup_tpm_handle struct tpm_handle session = TPM_HANDLE_NONE;
	cleanup_ek struct ek ek = EK_INIT;
	cleanup_ak struct ak ak = AK_INIT;
	struct err e;

	if (failed(e = visit_begin(x->host, &v)) || failed(e = choose_ek(x, v.tpm)) ||
	    failed(e = open_keys(x, &v, &ek, &ak, &session)))
		return e;
	x->ek_name = ek.name;
	x->ak_name = ak.name;
	if (failed(e = check_tpm(x)) || failed(e = get_certs(x, v.tpm)) ||
	    failed(e = buf_add(&x->request.ek_public, buf_bytes(&ek.public_area))))
		return e;
	return buf_add(&x->request.ak_public, buf_bytes(&ak.public_area));
}

/* The keys must be those that the verifier was told of: a second visit may meet another TPM. */
static struct err activate(struct enrolling *x, const struct enrol_challenge *ch, struct buf *ret_secret)
{
	cleanup_visit struct visit v = VISIT_INIT;
	cleanup_tpm_handle struct tpm_handle session = TPM_HANDLE_NONE;
	cleanup_ek struct ek ek = EK_INIT;
	cleanup_ak struct ak ak = AK_INIT;
	struct err e;

	if (failed(e = visit_begin(x->host, &v)) || failed(e = open_keys(x, &v, &ek, &ak, &session)))
		return e;
	if (!bytes_eq(tpm_name_bytes(&ek.name), tpm_name_bytes(&x->ek_name)) ||
	    !bytes_eq(tpm_name_bytes(&ak.name), tpm_name_bytes(&x->ak_name))) {
		reason_set(&x->host->why, "the TPM was exchanged while it enrolled");
		return ERR(E_AUTH_CONFLICT);
	}
	return ek_activate(&ek, &ak.handle, &session, buf_bytes(&ch->credential_blob),
			   buf_bytes(&ch->encrypted_secret), ret_secret);
}

/* Both sides compute the host's id from the EK; a verifier that says another one means another host. */
static struct err check_host_id(struct enrolling *x, const char *said)
{
	char own[HOST_ID_LEN + 1];
	struct tpm_public p;
	struct err e;

	if (failed(e = tpm_public_parse(buf_bytes(&x->request.ek_public), &p)) || failed(e = host_id_of(&p, own)))
		return e;
	if (strcmp(own, said) == 0)
		return ERR(E_OK);
	reason_set(&x->host->why, "the verifier calls this host %s, but its endorsement key says %s",
		   log_quote(bytes_str(said)), own);
	return ERR(E_AUTH_CONFLICT);
}

static struct err exchange(struct enrolling *x, struct client *client, struct enrol_reply *ret)
{
	cleanup(enrol_challenge_done) struct enrol_challenge ch;
	cleanup(enrol_activation_done) struct enrol_activation answer;
	char host_id[HOST_ID_LEN + 1];
	struct err e;

	enrol_challenge_init(&ch);
	enrol_activation_init(&answer);
	if (failed(e = client_enrol(client, &x->request, &ch)) || failed(e = check_host_id(x, ch.host_id)) ||
	    failed(e = activate(x, &ch, &answer.secret)))
		return e;
	(void)snprintf(host_id, sizeof(host_id), "%s", ch.host_id);
	/* The request moves over: step two repeats it. */
	buf_move(&answer.session, &ch.session);
	answer.request = x->request;
	enrol_request_init(&x->request);
	if (failed(e = client_activate(client, &answer, ret)))
		return e;
	if (strcmp(ret->host_id, host_id) != 0) {
		reason_set(&x->host->why, "the verifier calls this host by two names");
		return ERR(E_AUTH_CONFLICT);
	}
	return ERR(E_OK);
}

static struct err pin(struct enrolling *x, const struct enrol_reply *reply)
{
	cleanup_enrolment struct enrolment en = ENROLMENT_INIT;
	struct err e;

	if (x->host->enrolled && !x->replace && strcmp(x->host->enrolment.issuer, reply->issuer) != 0) {
		reason_set(&x->host->why, "the verifier's issuer was %s and is %s now; --replace accepts that",
			   x->host->enrolment.issuer, log_quote(bytes_str(reply->issuer)));
		return ERR(E_AUTH_CONFLICT);
	}
	(void)snprintf(en.host_id, sizeof(en.host_id), "%s", reply->host_id);
	(void)snprintf(en.issuer, sizeof(en.issuer), "%s", reply->issuer);
	(void)snprintf(en.verifier_url, sizeof(en.verifier_url), "%s", x->conf->verifier_url);
	(void)snprintf(en.state, sizeof(en.state), "%s", reply->state);
	memcpy(en.ek_sha256, reply->ek_sha256, sizeof(en.ek_sha256));
	en.ek_name = x->ek_name;
	en.ak_name = x->ak_name;
	en.ek = x->ek;
	en.ak = x->conf->ak;
	en.ak_handle = x->conf->ak_handle;
	if (failed(e = buf_add(&en.ca_pem, buf_bytes(&x->ca_pem))))
		return e;
	e = enrolment_write(x->host->state_fd, &en);
	if (failed(e))
		reason_set(&x->host->why, "cannot write the enrolment: %s", err_text(e));
	return e;
}

static struct err enrol(struct enrolling *x, struct enrol_reply *ret)
{
	cleanup_client struct client client = { 0 };
	struct err e;

	e = file_read(AT_FDCWD, x->conf->ca_file, &x->ca_pem);
	if (failed(e)) {
		reason_set(&x->host->why, "%s: %s", x->conf->ca_file, err_text(e));
		return e;
	}
	if (strlen(x->conf->verifier_url) > ISSUER_MAX)
		return ERR(E_LIMIT_SIZE);
	if (failed(e = check_pins(x)) ||
	    failed(e = client_init(x->conf->verifier_url, buf_bytes(&x->ca_pem), x->conf->timeout_s, &x->host->why,
				   &client)) ||
	    failed(e = gather(x)) || failed(e = exchange(x, &client, ret)))
		return e;
	return pin(x, ret);
}

static struct err print(const struct app *app, const struct enrol_reply *r)
{
	cleanup_json json_t *o = NULL;
	char ek[65];
	struct err e;

	if (failed(e = hex_encode(BYTES_ARR(r->ek_sha256), ek, sizeof(ek))))
		return e;
	if (app->json) {
		if (failed(e = json_new_object(&o)) || failed(e = json_put_str(o, "outcome", "ok")) ||
		    failed(e = json_put_str(o, "host", r->host_id)) || failed(e = json_put_str(o, "state", r->state)) ||
		    failed(e = json_put_str(o, "issuer", r->issuer)) || failed(e = json_put_str(o, "ek_sha256", ek)))
			return e;
		return app_print_json(o, stdout);
	}
	(void)printf("host       %s\nEK sha256  %s\nissuer     %s\nstate      %s\n", r->host_id, ek, r->issuer,
		     r->state);
	if (strcmp(r->state, "PENDING") == 0)
		(void)printf("\nThe TPM is genuine, but nobody has said that it is yours. An operator does, with\n"
			     "\n    assayctl approve host NAME --ek-sha256 %s --asset TEXT ...\n"
			     "\nand until then this host gets no credential.\n",
			     ek);
	return fflush(stdout) == 0 ? ERR(E_OK) : ERR(E_LOCAL_IO);
}

int verb_enrol(void *ctx, int argc, char **argv)
{
	const struct app *app = ctx;
	cleanup_conf struct conf conf = { 0 };
	cleanup_host struct host host = HOST_INIT;
	cleanup(enrolling_done) struct enrolling x = { .host = &host, .conf = &conf, .ca_pem = BUF_INIT(LIMIT_SMALL) };
	const struct opt opts[] = {
		{ "replace", OPT_FLAG, &x.replace, NULL, "forget another enrolment", 0 },
	};
	struct enrol_reply reply;
	char **pos;
	int n_pos, status;
	struct err e;

	enrol_request_init(&x.request);
	status = verb_options(app->program, app_verb(app, "enrol"), argc, argv, opts, array_len(opts), 0, 0, &pos,
			      &n_pos);
	if (status >= 0 || (status = app_open(app, &conf, &host)) >= 0)
		return status;
	if (conf.verifier_url == NULL || conf.ca_file == NULL)
		return usage_error(app->program, "enrol needs --verifier URL and --ca FILE, or both in the "
						  "configuration");
	if (failed(e = enrol(&x, &reply)) || failed(e = print(app, &reply)))
		return app_failed(app, e, &host.why);
	return EXIT_ACCEPTED;
}
