/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data of firmware events.
 *
 * Anybody can write data into a log; only what the event's digest covers was
 * measured. evdata_verify() computes the digest anew and says what it covers.
 * The evdata_x(const struct evdata *, ...) functions are the only ones whose
 * results a policy may use: they refuse (E_PEER_DIGEST) what is not covered.
 * The evdata_parse_x() functions take bare bytes and are for people to read.
 *
 * Never covered: register index, which only replay proves; type; the prefix
 * "grub_cmd: " and its like; the path of a file whose contents were measured;
 * the device path of a boot application, whose digest is that of the image.
 *
 * All pure; results are views into the event unless said otherwise.
 *
 * Source: TCG PC Client PFP 1.06, 10.4.2 (event data), UEFI 2.10.
 */
#ifndef ASSAY_MEASURE_EVDATA_H
#define ASSAY_MEASURE_EVDATA_H

#include "firmware-measure/evlog.h"
#include "firmware-measure/siglist.h"

/* What the digest of an event is known to cover. */
enum evdata_cover {
	EVDATA_COVER_NONE,  /* nothing of the data: it must not be used */
	EVDATA_COVER_ALL,   /* every byte */
	EVDATA_COVER_VALUE, /* a variable's contents, but neither its name nor its GUID; a tagged event's contents, not
			       its tag */
	EVDATA_COVER_TEXT,  /* a string without its prefix and NUL (GRUB), or in another encoding (systemd-stub's
			       sections) */
};

struct evdata {
	const struct evlog_event *ev; /* borrowed */
	enum digest_id bank;
	enum evdata_cover cover;
	bool verified; /* cover is not NONE */
};

/*
 * Computes the digest anew in the given bank. E_PEER_UNSUPPORTED where the
 * event has no digest in it; E_LOCAL_CRYPTO, E_LOCAL_MEMORY. That nothing is
 * covered is no error.
 */
must_check struct err evdata_verify(const struct evlog_event *ev, enum digest_id bank, struct evdata *ret);

/*
 * E2: types whose digest is over the data by specification, so that one that
 * does not match is a finding.
 */
bool evdata_must_match(uint32_t type);

/* UEFI_VARIABLE_DATA. */
enum evdata_variable_id {
	EFI_VAR_OTHER,
	EFI_VAR_SECURE_BOOT,
	EFI_VAR_PK,
	EFI_VAR_KEK,
	EFI_VAR_DB,
	EFI_VAR_DBX,
	EFI_VAR_DBT,
	EFI_VAR_DBR,
	EFI_VAR_SETUP_MODE,
	EFI_VAR_AUDIT_MODE,
	EFI_VAR_DEPLOYED_MODE,
	EFI_VAR_BOOT_ORDER,
	EFI_VAR_BOOT,       /* Boot####, number says which */
	EFI_VAR_SBAT_LEVEL, /* shim's: SbatLevel, MokList..., as variables */
	EFI_VAR_SHIM,
	EFI_VAR_MOK_LIST,
	EFI_VAR_MOK_LIST_X,
	EFI_VAR_MOK_LIST_TRUSTED,
	EFI_VAR_MOK_SB_STATE,
};

struct evdata_variable {
	enum evdata_variable_id id; /* by name and GUID together */
	struct bytes guid;          /* EFI_GUID_SIZE bytes as in the log */
	struct bytes name;          /* UTF-16LE without NUL */
	struct bytes contents;
	uint16_t number; /* EFI_VAR_BOOT */
};

/*
 * The bare structure. E_PEER_TRUNCATED, E_PEER_TRAILING, E_LIMIT_SIZE (a name
 * above 1 KiB).
 */
must_check struct err evdata_parse_variable(struct bytes data, struct evdata_variable *ret);

/*
 * The variable of an EV_EFI_VARIABLE_* event. With EVDATA_COVER_VALUE, which
 * is allowed for EV_EFI_VARIABLE_BOOT and _BOOT2 only, name, GUID and id are
 * hints. E_PEER_TYPE (another event), E_PEER_DIGEST (not covered), and as
 * evdata_parse_variable().
 */
must_check struct err evdata_variable(const struct evdata *d, struct evdata_variable *ret);

/*
 * A variable that means true or false, one byte 0 or 1: SecureBoot, SetupMode, AuditMode, DeployedMode.
 * E_PEER_RANGE for another length (E4) or value.
 */
must_check struct err evdata_variable_bool(const struct evdata_variable *v, bool *ret);

/* UEFI_IMAGE_LOAD_EVENT: nothing of it is covered, for the digest is the image's Authenticode digest. */
struct evdata_image {
	uint64_t address, length, link_address;
	struct bytes device_path;
};
must_check struct err evdata_parse_image(struct bytes data, struct evdata_image *ret);

/*
 * The Authenticode digest of the image that an EV_EFI_BOOT_SERVICES_*,
 * EV_EFI_RUNTIME_SERVICES_DRIVER event measured: what a policy may use of it. E_PEER_TYPE, E_PEER_UNSUPPORTED.
 */
must_check struct err evdata_image_digest(const struct evlog_event *ev, enum digest_id bank, struct bytes *ret);

/*
 * Device path as text ("PciRoot(0x0)/Pci(0x1,0x0)/HD(1,GPT,...)/\EFI\BOOT\BOOTX64.EFI"), appended; for people.
 * An unknown node is shown by type and length. E_PEER_TRUNCATED, E_PEER_RANGE,
 * E_LIMIT_COUNT (above 64 nodes), E_LIMIT_SIZE, E_LOCAL_MEMORY; ret may then hold a part.
 */
must_check struct err evdata_device_path_text(struct bytes path, struct buf *ret);

/* The path of the last file path node, or empty; UTF-16LE without NUL. Errors as above. */
must_check struct err evdata_device_path_file(struct bytes path, struct bytes *ret);

/* UEFI_GPT_DATA: header and the partitions that are used. */
struct evdata_gpt {
	struct bytes disk_guid;
	uint64_t n_partitions;
	struct bytes partitions; /* n_partitions entries of partition_size bytes */
	size_t partition_size;
};
struct evdata_partition {
	struct bytes type_guid, guid;
	uint64_t first_lba, last_lba, attributes;
	struct bytes name; /* UTF-16LE without NUL */
};
must_check struct err evdata_parse_gpt(struct bytes data, struct evdata_gpt *ret);
must_check struct err evdata_gpt(const struct evdata *d, struct evdata_gpt *ret);
must_check struct err evdata_gpt_partition(const struct evdata_gpt *g, size_t i, struct evdata_partition *ret);

/* UEFI_PLATFORM_FIRMWARE_BLOB and, with a description, _BLOB2. Never covered: the digest is the blob's. */
struct evdata_blob {
	struct bytes description; /* of any encoding; none in the first form */
	uint64_t base, length;
};
must_check struct err evdata_parse_blob(uint32_t type, struct bytes data, struct evdata_blob *ret);

/* EV_SEPARATOR of 4 bytes; 0 is the good one. E_PEER_TYPE, E_PEER_DIGEST, E_PEER_RANGE (another length). */
must_check struct err evdata_separator(const struct evdata *d, uint32_t *ret);

/*
 * Strings that a policy can compare: what the digest covers, as UTF-8, appended
 * to ret. EV_S_CRTM_VERSION (UTF-16, a GUID as text, or ASCII), EV_EFI_ACTION,
 * EV_ACTION, EV_IPL of GRUB ("linux /vmlinuz quiet": without its prefix) and
 * of systemd-stub and systemd-boot (UTF-16 command line; section name),
 * EV_OMIT_BOOT_DEVICE_EVENTS.
 *
 * *ret_kind says which. E_PEER_TYPE for events that hold no such string,
 * E_PEER_DIGEST, E_PEER_SYNTAX (not text), E_LIMIT_SIZE, E_LOCAL_MEMORY.
 */
enum evdata_text {
	EVDATA_TEXT_VERSION, /* of the firmware */
	EVDATA_TEXT_ACTION,
	EVDATA_TEXT_GRUB_COMMAND,
	EVDATA_TEXT_GRUB_CMDLINE,   /* "kernel_cmdline: ", of the kernel with its path as first word */
	EVDATA_TEXT_MODULE_CMDLINE, /* "module_cmdline: " */
	EVDATA_TEXT_STUB_CMDLINE,   /* UTF-16 string with its NUL: kernel command line of systemd */
	EVDATA_TEXT_STUB_SECTION,   /* ".linux": the event that names a section of a UKI; the next one measures it */
	EVDATA_TEXT_OTHER,          /* text that is covered whole */
};
must_check struct err evdata_text(const struct evdata *d, enum evdata_text *ret_kind, struct buf *ret);

/* EV_EVENT_TAG: TCG_PCClientTaggedEvent. Several may follow each other in data of Windows. */
#define EVDATA_TAG_LINUX_INITRD 0x8f3b22ecU       /* the digest is the initrd's, contents "Linux initrd" */
#define EVDATA_TAG_LINUX_LOAD_OPTIONS 0x8f3b22edU /* the digest is the command line's (UTF-16 with its NUL) */
#define EVDATA_TAG_SD_LOADER_CONF 0xf5bc582aU     /* systemd-boot: loader.conf */
#define EVDATA_TAG_SD_DEVICETREE 0x6c46f751U      /* systemd-boot: device tree addon */
#define EVDATA_TAG_SD_INITRD 0x49dffe0fU          /* systemd-stub: initrd addon */
#define EVDATA_TAG_SD_UCODE 0xdac08e1aU           /* systemd-stub: microcode addon */
struct evdata_tag {
	uint32_t id;
	struct bytes contents;
};
must_check struct err evdata_parse_tag(struct bytes data, struct evdata_tag *ret);

/* UTF-16LE as UTF-8, appended; a NUL ends it and must then be the last character. E_PEER_SYNTAX (also odd length). */
must_check struct err utf16_to_utf8(struct bytes utf16, struct buf *ret);

#endif
