/* SPDX-License-Identifier: Apache-2.0 */
/* assay-attest: the host side of Assay. */
#include <string.h>

#include "attest/app.h"

static const struct verb verbs[] = {
	{ "enrol", "enroll", "", "enrol this host's TPM with a verifier", verb_enrol },
	{ "run", NULL, "-- CMD [ARG...]", "measure an image and a model, then run a command for them", verb_run },
	{ "attest", NULL, "", "measure live instances again and attest this host", verb_attest },
	{ "daemon", NULL, "", "attest this host again and again, and serve its agents", verb_daemon },
	{ "identity", NULL, "", "ask the daemon which instance the caller is part of", verb_identity },
	{ "token", NULL, "", "get an access token for an instance", verb_token },
	{ "certificate", NULL, "", "get an X.509 certificate for an instance's key", verb_certificate },
	{ "proof", NULL, "", "print a DPoP proof by an instance's key", verb_proof },
	{ "revoke", NULL, "", "give an access token of an instance back before its end", verb_revoke },
	{ "oci-hook", NULL, "createRuntime|poststop", "for container runtimes: let a container start, or end its instance", verb_oci_hook },
	{ "hooks", NULL, "install | remove | policy | check", "tell container engines of oci-hook, make and try rules", verb_hooks },
	{ "status", NULL, "", "show enrolment, boot, workload log and instances", verb_status },
};

int main(int argc, char **argv)
{
	static const struct opt json = { "json", OPT_FLAG, NULL, NULL, "print JSON", 0 };
	struct opt common[CONF_OPTS + 1];
	struct app app = { 0 };
	const struct program program = {
		.name = "assay-attest",
		.help = "Attest this host and the AI agents on it with its TPM.",
		.verbs = verbs,
		.n_verbs = array_len(verbs),
		.common = common,
		.n_common = array_len(common),
	};

	/* TSS libraries write their own view of failures to stderr; ours is in the reasons. */
	(void)setenv("TSS2_LOG", "all+NONE", 0);
	app.program = &program;
	conf_options(&app.flags, common);
	common[CONF_OPTS] = json;
	common[CONF_OPTS].to = &app.json;
	return program_main(&program, &app, argc, argv);
}
