/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration: defaults, then the file, then the command line. assay-verifier.json(5). */
#ifndef ASSAY_VERIFIER_SERVE_SETTINGS_H
#define ASSAY_VERIFIER_SERVE_SETTINGS_H

#include "base/json.h"
#include "base/log.h"
#include "verifier/serve/verifier.h"

struct config {
	struct verifier_config v;
	enum log_level log_level;
	bool log_json;
	json_t *file;                     /* owned: strings of the file live here; those of the command line in argv */
};
void config_done(struct config *c);
#define cleanup_config cleanup(config_done)

/*
 * Reads the command line and the file that it names (or the default one, which
 * may be missing). Returns -1 to go on, otherwise an exit status.
 */
int config_read(int argc, char **argv, struct config *ret);
/* The file alone, over what *c holds already. E_PEER_*, E_LIMIT_*; the reason names the member. */
must_check struct err config_parse(struct bytes json, struct config *c, struct reason *reterr);

#endif
