/* SPDX-License-Identifier: Apache-2.0 */
/* Names of event types and the registers that they belong into. */
#include "firmware-measure/evlog_check.h"

#define T(type)                                                                                                        \
	{                                                                                                              \
		type, #type                                                                                            \
	}
static const struct {
	uint32_t type;
	const char *name;
} types[] = {
	T(EV_PREBOOT_CERT),
	T(EV_POST_CODE),
	T(EV_UNUSED),
	T(EV_NO_ACTION),
	T(EV_SEPARATOR),
	T(EV_ACTION),
	T(EV_EVENT_TAG),
	T(EV_S_CRTM_CONTENTS),
	T(EV_S_CRTM_VERSION),
	T(EV_CPU_MICROCODE),
	T(EV_PLATFORM_CONFIG_FLAGS),
	T(EV_TABLE_OF_DEVICES),
	T(EV_COMPACT_HASH),
	T(EV_IPL),
	T(EV_IPL_PARTITION_DATA),
	T(EV_NONHOST_CODE),
	T(EV_NONHOST_CONFIG),
	T(EV_NONHOST_INFO),
	T(EV_OMIT_BOOT_DEVICE_EVENTS),
	T(EV_POST_CODE2),
	T(EV_EFI_VARIABLE_DRIVER_CONFIG),
	T(EV_EFI_VARIABLE_BOOT),
	T(EV_EFI_BOOT_SERVICES_APPLICATION),
	T(EV_EFI_BOOT_SERVICES_DRIVER),
	T(EV_EFI_RUNTIME_SERVICES_DRIVER),
	T(EV_EFI_GPT_EVENT),
	T(EV_EFI_ACTION),
	T(EV_EFI_PLATFORM_FIRMWARE_BLOB),
	T(EV_EFI_HANDOFF_TABLES),
	T(EV_EFI_PLATFORM_FIRMWARE_BLOB2),
	T(EV_EFI_HANDOFF_TABLES2),
	T(EV_EFI_VARIABLE_BOOT2),
	T(EV_EFI_GPT_EVENT2),
	T(EV_EFI_HCRTM_EVENT),
	T(EV_EFI_VARIABLE_AUTHORITY),
	T(EV_EFI_SPDM_FIRMWARE_BLOB),
	T(EV_EFI_SPDM_FIRMWARE_CONFIG),
	T(EV_EFI_SPDM_DEVICE_POLICY),
	T(EV_EFI_SPDM_DEVICE_AUTHORITY),
};

const char *evlog_type_name(uint32_t type)
{
	for (size_t i = 0; i < array_len(types); i++)
		if (types[i].type == type)
			return types[i].name;
	return NULL;
}

struct err evlog_type_by_name(struct bytes name, uint32_t *ret)
{
	for (size_t i = 0; i < array_len(types); i++) {
		if (bytes_eq(bytes_str(types[i].name), name)) {
			*ret = types[i].type;
			return ERR(E_OK);
		}
	}
	return ERR(E_PEER_RANGE);
}

/*
 * Which registers a type belongs into, a bit each. PFP 1.06, 10.4.1 and 3.3.4
 * (PCR usage), and beyond PCR 7 what shim, GRUB, systemd, Linux and Windows
 * measure. PCR 16 to 23 have no place in a firmware log.
 */
#define P(pcr) (1U << (pcr))
#define OS (P(8) | P(9) | P(10) | P(11) | P(12) | P(13) | P(14) | P(15))
#define PRE (P(0) | P(1) | P(2) | P(3) | P(4) | P(5) | P(6) | P(7))
static const struct {
	uint32_t type, pcrs;
} places[] = {
	{ EV_POST_CODE, P(0) | P(1) | P(2) },
	{ EV_POST_CODE2, P(0) | P(1) | P(2) },
	{ EV_SEPARATOR, PRE | OS },
	{ EV_ACTION, PRE },
	{ EV_EVENT_TAG, P(1) | P(4) | P(5) | P(6) | OS },
	{ EV_S_CRTM_CONTENTS, P(0) },
	{ EV_S_CRTM_VERSION, P(0) },
	{ EV_CPU_MICROCODE, P(0) | P(1) },
	{ EV_PLATFORM_CONFIG_FLAGS, P(0) | P(1) },
	{ EV_TABLE_OF_DEVICES, P(1) | P(3) },
	{ EV_COMPACT_HASH, P(4) | P(5) | P(6) | P(7) | OS },
	{ EV_IPL, P(4) | P(5) | OS },
	{ EV_IPL_PARTITION_DATA, P(5) },
	{ EV_NONHOST_CODE, P(0) | P(2) },
	{ EV_NONHOST_CONFIG, P(1) | P(3) },
	{ EV_NONHOST_INFO, P(0) | P(1) },
	{ EV_OMIT_BOOT_DEVICE_EVENTS, P(4) },
	{ EV_EFI_VARIABLE_DRIVER_CONFIG, P(1) | P(3) | P(7) },
	{ EV_EFI_VARIABLE_BOOT, P(1) | P(5) },
	{ EV_EFI_VARIABLE_BOOT2, P(1) | P(5) },
	{ EV_EFI_BOOT_SERVICES_APPLICATION, P(2) | P(4) },
	{ EV_EFI_BOOT_SERVICES_DRIVER, P(0) | P(2) | P(4) },
	{ EV_EFI_RUNTIME_SERVICES_DRIVER, P(0) | P(2) | P(4) },
	{ EV_EFI_GPT_EVENT, P(5) },
	{ EV_EFI_GPT_EVENT2, P(5) },
	{ EV_EFI_ACTION, PRE },
	{ EV_EFI_PLATFORM_FIRMWARE_BLOB, P(0) | P(2) | P(4) },
	{ EV_EFI_PLATFORM_FIRMWARE_BLOB2, P(0) | P(2) | P(4) },
	{ EV_EFI_HANDOFF_TABLES, P(0) | P(1) },
	{ EV_EFI_HANDOFF_TABLES2, P(0) | P(1) },
	{ EV_EFI_HCRTM_EVENT, P(0) },
	{ EV_EFI_VARIABLE_AUTHORITY, P(7) },
	{ EV_EFI_SPDM_FIRMWARE_BLOB, P(2) },
	{ EV_EFI_SPDM_FIRMWARE_CONFIG, P(3) },
	{ EV_EFI_SPDM_DEVICE_POLICY, P(7) },
	{ EV_EFI_SPDM_DEVICE_AUTHORITY, P(7) },
};

bool evlog_type_belongs(uint32_t pcr, uint32_t type)
{
	for (size_t i = 0; i < array_len(places); i++)
		if (places[i].type == type)
			return pcr < LIMIT_PCRS && (places[i].pcrs >> pcr & 1) != 0;
	return false;
}
