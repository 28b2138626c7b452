/* SPDX-License-Identifier: Apache-2.0 */
/* The certification authority of the EK certificates: root -> issuer -> EK, P-256, in one folder. */
#ifndef ASSAY_SWTPM_HARNESS_CA_H
#define ASSAY_SWTPM_HARNESS_CA_H

#include "base/x509.h"
#include "swtpm-harness/harness.h"

/* Makes folder dir with root.pem, root.key, issuer.pem and issuer.key unless it is there already. */
must_check struct err ca_make(const char *dir, const char *name);

/* An EK certificate for key by the issuer in dir. kind: anything but HARNESS_CERT_NONE. */
must_check struct err ca_issue(const char *dir, enum harness_cert kind, const struct key *key, struct cert **ret);

#endif
