/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/operate/ctl.h"

#include <string.h>

#include "base/log.h"

#define DEFAULT_SOCKET "/run/assay/verifier.sock"
#define DEFAULT_REALM "assay"

static struct ctl ctl = { .socket = DEFAULT_SOCKET, .realm = DEFAULT_REALM };

static const struct opt common[] = {
	{ "socket", OPT_STRING, &ctl.socket, "PATH", "admin socket of the verifier (" DEFAULT_SOCKET ")", 0 },
	{ "realm", OPT_STRING, &ctl.realm, "NAME", "deployment that documents are for (" DEFAULT_REALM ")", 0 },
	{ "json", OPT_FLAG, &ctl.json, NULL, "print JSON", 0 },
};

static const struct verb verbs[] = {
	{ "key", NULL, "new", "make an operator key", cmd_key },
	{ "approve", NULL, "host|image|model|platform|agent NAME", "sign a document and hand it to the verifier",
	  cmd_approve },
	{ "withdraw", NULL, "host|image|model|platform|agent NAME", "take an approval back", cmd_withdraw },
	{ "documents", NULL, "", "list the documents that hold", cmd_documents },
	{ "trust", NULL, "add CA.pem | list | remove SHA256", "certificate authorities of TPM makers", cmd_trust },
	{ "hosts", NULL, "[list | clear HOST | remove HOST]", "list hosts, clear a failure, remove a host", cmd_hosts },
	{ "agents", NULL, "", "list running instances", cmd_agents },
	{ "credentials", NULL, "", "list credentials", cmd_credentials },
	{ "explain", NULL, "HOST", "show the last verdict of a host, check by check", cmd_explain },
	{ "revoke", NULL, "", "end credentials of a host, an instance, a task, or one", cmd_revoke },
	{ "client", NULL, "add NAME | list | remove NAME", "services that may introspect tokens", cmd_client },
	{ "verify-quote", NULL, "", "verify a TPM quote from files, without a verifier", cmd_verify_quote },
};

const struct program ctl_program = {
	.name = "assayctl",
	.help = "operate an Assay verifier: approve, list, explain, revoke",
	.verbs = verbs,
	.n_verbs = array_len(verbs),
	.common = common,
	.n_common = array_len(common),
};

const struct verb *ctl_verb(const char *name)
{
	for (size_t i = 0; i < array_len(verbs); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

int main(int argc, char **argv)
{
	log_init(LOG_LEVEL_WARNING, false);
	return program_main(&ctl_program, &ctl, argc, argv);
}
