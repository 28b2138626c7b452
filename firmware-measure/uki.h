/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unified kernel images: systemd-stub with a kernel, an initrd and a command
 * line as sections of one PE file, and what its boot measures.
 *
 * PCR 4   the firmware: the image; the embedded kernel, unless Secure Boot is on
 * PCR 9   the embedded kernel's own EFI stub: load options and initrd
 * PCR 11  systemd-stub: name (with its NUL) and content of each section
 * PCR 12  systemd-stub: a command line from outside, credentials
 * PCR 13  systemd-stub: system extensions
 *
 * Which sections are measured depends on the version that the stub carries in
 * its section .sdmagic: 251 the first six and .pcrpkey, 254 also .uname and
 * .sbat, 256 .ucode, 257 .profile, .dtbauto and .hwids, 258 .efifw. .pcrsig
 * never is.
 *
 * Source: systemd-stub(7), systemd-measure(1), "TPM2 PCR Measurements Made by
 * systemd", UAPI.5 Unified Kernel Image. That the kernel is not measured into
 * PCR 4 under Secure Boot is what systemd 252 was seen to do.
 */
#ifndef ASSAY_MEASURE_UKI_H
#define ASSAY_MEASURE_UKI_H

#include "firmware-measure/cpio.h"
#include "firmware-measure/predict.h"

enum uki_secure_boot {
	UKI_SECURE_BOOT_UNKNOWN,
	UKI_SECURE_BOOT_OFF,
	UKI_SECURE_BOOT_ON,
};

#define UKI_MAX_FILES 64

/* Files of one kind that lie beside the image, in the order of their names. */
struct uki_files {
	size_t n;
	struct cpio_file file[UKI_MAX_FILES];
};

struct uki_boot {
	enum uki_secure_boot secure_boot;
	const char *options; /* load options of the boot entry: replace .cmdline where allowed; NULL for none */
	const char *phases;  /* "enter-initrd:leave-initrd", NULL for none */
	struct uki_files credentials;        /* NAME.efi.extra.d, *.cred */
	struct uki_files global_credentials; /* loader/credentials, *.cred */
	struct uki_files sysexts;            /* NAME.efi.extra.d, *.raw */
};

/*
 * The version of systemd that the stub is of, 252 for "252.39-1".
 * E_PEER_MISSING where the image has no .sdmagic of a systemd-stub.
 */
must_check struct err uki_stub_version(const struct pe *pe, unsigned *ret);

/*
 * Adds all events of the boot to p.
 *
 * E_PEER_MISSING (no systemd-stub, no .linux section); E_PEER_DUPLICATE (a
 * section twice); E_PEER_UNSUPPORTED (several profiles, a stub older than
 * 251); E_PEER_RANGE (options or phases that are not printable ASCII, or an
 * empty phase); the errors of pe_parse() for the embedded kernel;
 * E_LIMIT_SIZE, E_LIMIT_COUNT, E_LOCAL_MEMORY, E_LOCAL_CRYPTO.
 */
must_check struct err uki_predict(const struct pe *pe, const struct uki_boot *boot, struct prediction *p,
				  struct reason *reterr);

#endif
