/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the verbs of assayctl share: the admin socket, output, and the
 * operator's signature. Each cmd_*.c is one verb.
 */
#ifndef ASSAY_OPERATE_CTL_H
#define ASSAY_OPERATE_CTL_H

#include "base/args.h"
#include "base/json.h"
#include "base/key.h"
#include "verifier/appraise/document.h"

struct ctl {
	const char *socket; /* admin socket of the verifier */
	const char *realm;
	bool json;
};

extern const struct program ctl_program;

/* The verb's own entry of the table, for verb_options(). */
const struct verb *ctl_verb(const char *name);

/* One line "assayctl: what: why" on stderr; the exit status that fits e. */
int ctl_fail(const char *what, struct err e, const struct reason *why);

/*
 * One request to the admin socket; body NULL is a GET. The answer must be
 * JSON. A refusal (problem+json) becomes an error of the class that its status
 * says, with its detail as reason. The caller owns *ret.
 */
must_check struct err ctl_request(const struct ctl *c, const char *path, const char *content_type,
				  const struct bytes *body, json_t **ret, struct reason *reterr);
must_check struct err ctl_post(const struct ctl *c, const char *path, const json_t *body, json_t **ret,
			       struct reason *reterr);

/* Prints a value: with --json as it came, otherwise an array of objects as a table and an object as "name: value" lines. */
must_check struct err ctl_print(const struct ctl *c, const json_t *j);

/* Signed documents: options that approve and withdraw share. */
struct ctl_document {
	const char *key_file, *owner, *out_file;
	uint64_t expires_s, serial;       /* serial 0: one above the highest that the verifier knows */
};
/*
 * Completes predicate (kind, name, realm, serial, owner, window), checks it
 * with the verifier's own parser, signs, and uploads it to path or writes it
 * to out_file. Takes no ownership.
 */
must_check struct err ctl_document_send(const struct ctl *c, const struct ctl_document *d, enum document_kind kind,
					const char *name, json_t *predicate, const char *path, json_t **ret,
					struct reason *reterr);

int cmd_key(void *ctx, int argc, char **argv);
int cmd_approve(void *ctx, int argc, char **argv);
int cmd_withdraw(void *ctx, int argc, char **argv);
int cmd_documents(void *ctx, int argc, char **argv);
int cmd_trust(void *ctx, int argc, char **argv);
int cmd_hosts(void *ctx, int argc, char **argv);
int cmd_agents(void *ctx, int argc, char **argv);
int cmd_credentials(void *ctx, int argc, char **argv);
int cmd_explain(void *ctx, int argc, char **argv);
int cmd_revoke(void *ctx, int argc, char **argv);
int cmd_client(void *ctx, int argc, char **argv);
int cmd_verify_quote(void *ctx, int argc, char **argv);

#endif
