/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The platform profile: what an operator approves of a measured boot and of
 * what runs after it. assay-platform(5) describes the members; each list here
 * is one list there. Owned by its document, immutable.
 *
 * Old and new versions of a platform overlap in two ways, and no entry has a
 * validity of its own: a list holds both, or two documents (or two serials of
 * one) hold at the same time, each within its own window.
 */
#ifndef ASSAY_VERIFIER_PLATFORM_H
#define ASSAY_VERIFIER_PLATFORM_H

#include "base/x509.h"
#include "base/limits.h"

#define PLATFORM_MAX_LIST 1024    /* entries of a list of digests; a dbx has about 500 */
#define PLATFORM_MAX_EVENTS 256   /* rows of "events" */
#define PLATFORM_MAX_CMDLINE 4096 /* bytes of a kernel command line or a word of one */

struct ima_key; /* firmware-measure/ima_sign.h */

struct platform_texts {
	size_t n;
	char **v;
};
/* Digests in the bank of the document, sorted. */
struct platform_digests {
	size_t n, size; /* size: bytes of each */
	uint8_t *v;
};
bool platform_digests_has(const struct platform_digests *l, struct bytes digest);

enum platform_secure_boot { SECURE_BOOT_REQUIRED, SECURE_BOOT_OFF, SECURE_BOOT_ANY };

/* What a signature database may hold. No list for a form: no entry of that form may be there. */
struct platform_variable {
	bool given;
	size_t n_owners;
	uint8_t (*owners)[16];                /* EFI GUID as in memory; none: any owner */
	struct platform_digests certificates; /* SHA-256 of the DER */
	struct platform_digests hashes;       /* SHA-256 entries themselves */
};

enum platform_database { PLATFORM_PK, PLATFORM_KEK, PLATFORM_DB, N_PLATFORM_DATABASES };

struct platform_command_line {
	char *exact; /* or NULL: the grammar below */
	/* Words: "quiet", "root=/dev/vda2", or "root=*" for any value. */
	struct platform_texts required, allowed, forbidden;
	bool allow_other; /* words in no list; default deny. forbidden is only with it, allowed only without */
};

struct platform_event_rule {
	uint32_t pcr, type;
	struct platform_digests digests;
};

/* What systemd measured after the boot, of one register. */
struct platform_userspace_rule {
	uint32_t pcr;
	struct platform_texts strings; /* each whole, or up to the "*" that it ends in */
	struct platform_digests digests;
};

struct platform_firmware {
	uint32_t pcr_mask;                /* registers that the log must explain */
	uint32_t ignored_mask;            /* deliberately not compared */
	char *ignored_reason[LIMIT_PCRS]; /* of each in ignored_mask */
	enum platform_secure_boot secure_boot;
	struct platform_variable variable[N_PLATFORM_DATABASES];
	struct platform_digests dbx;          /* SHA-256 hashes that the measured dbx must hold (E12); none: no rule */
	struct platform_digests applications; /* boot applications, bank of the document */
	struct platform_digests signers;      /* SHA-256 of certificates that may have authorised one */
	size_t n_command_lines;
	struct platform_command_line *command_lines;
	struct platform_digests versions; /* firmware code and its version, bank of the document */
	struct platform_texts crtm;       /* S-CRTM version strings */
	size_t n_events;
	struct platform_event_rule *events;     /* anything else, by digest; sorted by pcr and type */
	size_t n_userspace;
	struct platform_userspace_rule *userspace; /* one for a register; none: systemd's log is not asked for */
	bool allow_unknown;                     /* events that no rule decides; default deny */
	bool exit_boot_services_may_be_missing; /* E11 */
};

enum platform_violations { VIOLATIONS_DENY, VIOLATIONS_COUNT, VIOLATIONS_IGNORE };

/* A file digest as IMA writes it: "sha256:HEX", "verity:sha256:HEX". */
struct platform_file_digest {
	bool verity;
	enum digest_id alg; /* SHA-256 or better */
	struct digest value;
};
struct platform_file_digests {
	size_t n;
	struct platform_file_digest *v; /* sorted */
};
bool platform_file_digests_has(const struct platform_file_digests *l, const struct platform_file_digest *d);

struct platform_ima {
	size_t n_allowlists;
	uint8_t (*allowlists)[32]; /* SHA-256 of each file */
	struct platform_file_digests digests;
	size_t n_signers;
	struct key **signers;
	size_t n_signer_cas;
	struct cert **signer_cas;      /* CAs whose word makes a key that the list tells of count (I7) */
	struct ima_key *signer_ids;    /* the same keys, with the id under which signatures name them */
	struct platform_texts exclude; /* absolute canonical paths; each covers itself and what lies below */
	enum platform_violations violations;
	bool allow_unsigned;             /* files without a signature that nothing else approves; default deny */
	bool boot_aggregate_required;    /* default */
	struct platform_texts templates; /* none: every template that can be read */
};

enum platform_measurer {
	MEASURER_UNATTESTED,
	MEASURER_IMA,        /* a digest of measurer_digests must be in the list */
	MEASURER_BOOT_IMAGE, /* the boot image is approved by digest as a whole, and the measurer is in it */
};

struct platform_profile {
	enum platform_measurer measurer;
	struct platform_file_digests measurer_digests;
	struct platform_firmware *firmware; /* or NULL */
	struct platform_ima *ima;           /* or NULL */
};
void platform_profile_done(struct platform_profile *p);

/*
 * One thing that is not as the profile wants it. id is that of the check
 * ("E3", "I1", "E12", "P1", "P6"), or "P-profile" where a rule of the profile
 * decided; rule names the member ("firmware.command_lines") or is "".
 */
struct platform_failure {
	char id[12];
	char rule[40];
	char subject[80];
	char expected[200], seen[200];
};
#define PLATFORM_MAX_FAILURES 12

#endif
