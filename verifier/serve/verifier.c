/* SPDX-License-Identifier: Apache-2.0 */
/* Putting a verifier together, and the changes that come from outside of requests. */
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "config.h"
#include "verifier/serve/internal.h"

void verifier_config_init(struct verifier_config *c)
{
	*c = (struct verifier_config){
		.issuer = "https://127.0.0.1:8443",
		.realm = "assay",
		.listen = "127.0.0.1:8443",
		.admin_socket = "/run/assay/verifier.sock",
		.state_dir = "/var/lib/assay/verifier",
		.operators_file = ASSAY_SYSCONFDIR "/operators.json",
		.verdict_life_s = 300,
		.max_connections = 1024,
		.max_connections_per_ip = 128,
		.timeout_s = 15,
		.threads = 2,
		.workers = 16, /* they mostly wait for the disk, and wait together */
	};
}

/*
 * Evidence for a host that is not enrolled is appraised against a record that
 * nobody has, so that its refusal looks like any other one.
 */
static struct err make_decoy(struct host_record **ret)
{
	cleanup_host_record struct host_record *h = calloc(1, sizeof(*h));
	struct err e;

	if (h == NULL)
		return ERR(E_LOCAL_MEMORY);
	h->ak_scheme = SIG_ECDSA;
	h->ak_hash = DIGEST_SHA256;
	h->ak_name = (struct tpm_name){ .n = 34, .v = { TPM_ALG_SHA256 >> 8, TPM_ALG_SHA256 & 0xff } };
	h->ak_qualified_name = h->ak_name;
	if (failed(e = random_bytes(h->ak_name.v + 2, 32)) ||
	    failed(e = random_bytes(h->ak_qualified_name.v + 2, 32)) ||
	    failed(e = random_bytes(h->ek_sha256, sizeof(h->ek_sha256))) ||
	    failed(e = key_generate(KEY_EC_P256, &h->ak)))
		return e;
	*ret = take_ptr(&h);
	return ERR(E_OK);
}

/* Two verifiers on one store would each decide by documents that the other may have withdrawn. */
static struct err lock_state(int dir_fd, int *ret_fd, struct reason *reterr)
{
	struct err e = file_lock(dir_fd, "lock", 0, ret_fd);

	if (e.code != E_LOCAL_TIMEOUT)
		return e;
	reason_set(reterr, "another verifier works on this state folder");
	return ERR(E_LOCAL_BUSY);
}

static struct err load_all(struct verifier *v, struct reason *reterr)
{
	int64_t high;
	struct err e;

	if (failed(e = operators_load(v->c.operators_file, &v->operators, reterr)) ||
	    failed(e = allowlists_load(v, reterr)) ||
	    failed(e = operators_enforce(v, reterr)) || failed(e = policy_load(v, reterr)) ||
	    failed(e = anchors_load(v, reterr)) || failed(e = store_time_high(v->store, &high)))
		return e;
	atomic_store(&v->time_high, high);
	return ERR(E_OK);
}

static struct err name_trust_domain(struct verifier *v, struct reason *reterr)
{
	struct err e;

	if (v->c.trust_domain == NULL) {
		e = trust_domain_of_url(v->c.issuer, v->trust_domain);
	} else {
		(void)snprintf(v->trust_domain, sizeof(v->trust_domain), "%s", v->c.trust_domain);
		e = trust_domain_valid(bytes_str(v->c.trust_domain)) ? ERR(E_OK) : ERR(E_PEER_SYNTAX);
	}
	if (failed(e))
		reason_set(reterr, "trust_domain: expected 1 to %d characters of a-z 0-9 . _ -%s", TRUST_DOMAIN_MAX,
			   v->c.trust_domain == NULL ? "; the issuer's host is none, so it has to be given" : "");
	return e;
}

struct err verifier_new(const struct verifier_config *c, struct verifier **ret, struct reason *reterr)
{
	cleanup_verifier struct verifier *v = calloc(1, sizeof(*v));
	cleanup_fd int dir_fd = -1;
	struct err e;

	if (v == NULL)
		return ERR(E_LOCAL_MEMORY);
	v->c = *c;
	v->lock_fd = -1;
	buf_init(&v->jwks, LIMIT_SMALL);
	buf_init(&v->svid.pem, LIMIT_SMALL);
	buf_init(&v->svid.bundle, LIMIT_SMALL);
	(void)pthread_mutex_init(&v->change, NULL);
	(void)pthread_mutex_init(&v->lock, NULL);
	(void)pthread_mutex_init(&v->counts_lock, NULL);
	if (failed(e = name_trust_domain(v, reterr)))
		return e;
	reason_set(reterr, "state folder %s", c->state_dir);
	if (failed(e = store_open(c->state_dir, &v->store, reterr)) ||
	    failed(e = dir_open(AT_FDCWD, c->state_dir, &dir_fd)) ||
	    failed(e = lock_state(dir_fd, &v->lock_fd, reterr)) || failed(e = keys_load(v, dir_fd, reterr)) ||
	    failed(e = svid_ca_load(v, dir_fd, reterr)) ||
	    failed(e = make_decoy(&v->decoy)) || failed(e = load_all(v, reterr)))
		return e;
	*ret = take_ptr(&v);
	return ERR(E_OK);
}

void verifier_free(struct verifier *v)
{
	if (v == NULL)
		return;
	store_close(v->store);
	policy_release(v->policy);
	anchors_release(v->anchors);
	allowlists_done(v);
	operators_done(&v->operators);
	host_record_free(v->decoy);
	key_free(v->signer);
	buf_free(&v->jwks);
	key_free(v->svid.key);
	cert_free(v->svid.ca);
	buf_free(&v->svid.pem);
	buf_free(&v->svid.bundle);
	wipe(v->nonce_key, sizeof(v->nonce_key));
	wipe(v->dpop_key, sizeof(v->dpop_key));
	wipe(v->enrol_key, sizeof(v->enrol_key));
	(void)pthread_mutex_destroy(&v->change);
	(void)pthread_mutex_destroy(&v->lock);
	(void)pthread_mutex_destroy(&v->counts_lock);
	cleanup_fd_(&v->lock_fd);
	free(v);
}

static struct err reload(struct verifier *v, struct reason *reterr)
{
	cleanup_operators struct operators new = { 0 };
	struct operators old = v->operators;
	struct err e = operators_load(v->c.operators_file, &new, reterr);

	if (failed(e))
		return e;
	v->operators = new;
	new = old;
	if (failed(e = operators_enforce(v, reterr))) {
		new = v->operators;
		v->operators = old;
		return e;
	}
	/* From here on a failure leaves the old snapshot in place, whose generation no commit accepts any more. */
	return policy_load(v, reterr);
}

struct err verifier_reload(struct verifier *v, struct reason *reterr)
{
	struct err e;

	(void)pthread_mutex_lock(&v->change);
	e = reload(v, reterr);
	(void)pthread_mutex_unlock(&v->change);
	return e;
}

void verifier_time_seen(struct verifier *v, int64_t now_s)
{
	int64_t high = atomic_load(&v->time_high);

	while (high < now_s && !atomic_compare_exchange_weak(&v->time_high, &high, now_s))
		;
}

struct tick {
	int64_t now_s;
	uint64_t generation;
	bool stale;
};

static struct err tick(struct txn *t, void *ctx)
{
	struct tick *k = ctx;
	struct err e = txn_policy_check(t, k->generation);

	k->stale = e.code == E_AUTH_RETRY;
	if (failed(e) && !k->stale)
		return e;
	if (failed(e = txn_time_advance(t, k->now_s)))
		return e;
	return txn_prune(t, k->now_s);
}

struct err verifier_tick(struct verifier *v, int64_t now_s)
{
	cleanup_policy struct policy *p = policy_hold(v);
	struct tick k = { now_s, p->generation, false };
	struct err e;

	/* A clock that is behind must not move anything, and neither must the horizon when it comes back. */
	if (now_s < atomic_load(&v->time_high) - CLOCK_SKEW_S)
		return ERR(E_LOCAL_CLOCK);
	if (failed(e = store_write(v->store, tick, &k)))
		return e;
	verifier_time_seen(v, now_s);
	if (!k.stale)
		return ERR(E_OK);
	/* A snapshot that could not be replaced when documents changed. */
	(void)pthread_mutex_lock(&v->change);
	e = policy_load(v, NULL);
	(void)pthread_mutex_unlock(&v->change);
	return e;
}

bool verifier_admits(const struct verifier *v, uint32_t uid)
{
	if (uid == 0 || uid == geteuid())
		return true;
	for (size_t i = 0; i < v->c.n_admin_uids; i++)
		if (v->c.admin_uid[i] == uid)
			return true;
	return false;
}
