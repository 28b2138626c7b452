/* SPDX-License-Identifier: Apache-2.0 */
/* Names of event types. */
#include "firmware-measure/evlog.h"

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
