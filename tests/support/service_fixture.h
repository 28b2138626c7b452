/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole service without sockets: a verifier in a folder of its own, a host
 * from the lab, an operator who signs. Requests go to route_run() as the HTTP
 * glue hands them over. Failures of the fixture itself abort.
 */
#ifndef ASSAY_TESTS_SUPPORT_SERVICE_FIXTURE_H
#define ASSAY_TESTS_SUPPORT_SERVICE_FIXTURE_H

#include "tests/support/lab.h"
#include "verifier/serve/internal.h"

#define SERVICE_RESOURCE "https://api.example/v1"
#define JSON_TYPE "application/json"
#define FORM_TYPE "application/x-www-form-urlencoded"
#define DSSE_TYPE "application/vnd.dsse+json"

struct service {
	char *dir, operators_file[128];
	struct verifier_config c;
	struct verifier *v;
	struct key *operator;
	struct lab *lab;
	int64_t now_s;
	unsigned n_proofs, n_serials;
};

/* Enrolled nowhere, approved by nobody. */
struct service *service_new(void);
void service_free(struct service *s);
DEFINE_CLEANUP(struct service, cleanup_service_, service_free)
#define cleanup_service cleanup(cleanup_service_)
/* Stops and starts the verifier on the same folder. */
void service_restart(struct service *s);
/* Writes the operators file with these rights (JSON text of "kinds", or NULL: nobody is an operator). */
void service_operators(struct service *s, const char *kinds);

/* A request to be changed before it is sent. */
struct request service_request(const struct service *s, const char *method, const char *path, const char *type,
			       struct bytes body);
/* Finds the route as the listener would and runs it; a missing route is its error reply. */
void service_send(struct service *s, const struct request *q, struct reply *ret);
/* The same in one; the reply is initialised here. Returns the status. */
unsigned service_call(struct service *s, const char *method, const char *path, const char *type, struct bytes body,
		      struct reply *ret);
/* JSON of a reply; the caller owns it. */
json_t *service_json(const struct reply *r);
/* A member of a JSON reply as text, copied to out. "" where it is missing. */
void service_member(const struct reply *r, const char *key, char *out, size_t n);

/* Steps of the loop; each aborts unless it is answered with 200. */
void service_enrol(struct service *s);
/* Uploads the lab's document of this kind under a new serial. */
void service_approve(struct service *s, enum document_kind kind);
void service_approve_all(struct service *s);
void service_challenge(struct service *s);
void service_attest(struct service *s);
/* Enrolled, approved, and attested with a pass. */
struct service *service_ready(void);

/* Signs and sends a document, whatever the answer. */
unsigned service_upload(struct service *s, const json_t *predicate, const struct key *signer, struct reply *ret);
/* A withdrawal of the lab's document of this kind. */
unsigned service_withdraw(struct service *s, enum document_kind kind, struct reply *ret);
/* Evidence for the last challenge, whatever the answer. The reply is initialised here. */
unsigned service_post_evidence(struct service *s, const struct lab_change *change, struct reply *ret);

/* A proof by an instance's key. Everything may be NULL; nonce and ath are then left out. */
struct service_proof {
	const char *htm, *htu, *jti, *nonce;
	struct bytes token;
	const struct key *key;            /* of the lab's first instance */
	int64_t iat;                      /* 0: now */
};
void service_proof(struct service *s, const struct service_proof *p, struct buf *ret);
/* A fresh nonce for proofs. */
void service_nonce(struct service *s, char ret[96]);

/* POST /v1/token with a good proof for this form; NULL: an ordinary one. */
#define SERVICE_FORM                                                                                                   \
	"grant_type=client_credentials&scope=read&resource=https%3A%2F%2Fapi.example%2Fv1&task_id=task-1&expected_s=100"
unsigned service_token(struct service *s, const char *form, struct reply *ret);
/* The token of such an answer; aborts without one. */
void service_get_token(struct service *s, struct buf *ret);

/* Adds a client; its Authorization header goes to ret. resources: JSON text or NULL. */
void service_client(struct service *s, const char *name, const char *resources, char ret[256]);
/* POST /v1/introspect for this token with a proof for GET of the resource by this key (NULL: the right one). */
unsigned service_introspect(struct service *s, const char *authorization, struct bytes token, const struct key *key,
			    struct reply *ret);
/* The form of that request, and a request that borrows it. */
struct request service_introspection(struct service *s, const char *authorization, struct bytes token,
				     const struct key *key, struct buf *form);
/* Whether that says active. */
bool service_active(struct service *s, const char *authorization, struct bytes token);

/* POST of one JSON member to an admin route. */
unsigned service_admin(struct service *s, const char *path, const char *key, const char *value, struct reply *ret);

#endif
