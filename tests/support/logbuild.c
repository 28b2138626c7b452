/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/logbuild.h"

#include <string.h>

#include "base/text.h"

static const uint8_t global_guid[] = { 0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11,
				       0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c };
static const uint8_t security_guid[] = { 0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d, 0x96, 0x45,
					 0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f };
static const uint8_t sha256_guid[] = { 0x26, 0x16, 0xc4, 0xc1, 0x4c, 0x50, 0x92, 0x40,
				       0xac, 0xa9, 0x41, 0xf9, 0x36, 0x93, 0x43, 0x28 };

static void fine(struct err e)
{
	if (failed(e)) {
		(void)fprintf(stderr, "logbuild: %s\n", err_name(e));
		abort();
	}
}

static void add(struct buf *b, struct bytes data)
{
	fine(buf_add(b, data));
}

static void le(struct buf *b, uint64_t v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fine(buf_add_u8(b, (uint8_t)(v >> 8 * i)));
}

void logbuild_u8(struct buf *b, uint8_t v)
{
	le(b, v, 1);
}

void logbuild_u16(struct buf *b, uint16_t v)
{
	le(b, v, 2);
}

void logbuild_u32(struct buf *b, uint32_t v)
{
	le(b, v, 4);
}

void logbuild_u64(struct buf *b, uint64_t v)
{
	le(b, v, 8);
}

void logbuild_utf16(struct buf *b, const char *ascii)
{
	for (; *ascii != '\0'; ascii++)
		logbuild_u16(b, (uint8_t)*ascii);
}

void logbuild_init(struct logbuild *l, enum evlog_format format, size_t n_banks, const enum digest_id *banks)
{
	*l = (struct logbuild){ .b = BUF_INIT(LIMIT_EVLOG + MIB), .format = format, .n_banks = n_banks };
	for (size_t i = 0; i < n_banks; i++)
		l->bank[i] = banks[i];
}

void logbuild_header_with(struct logbuild *l, uint32_t pcr, size_t n_algs, const uint16_t (*algs)[2],
			  struct bytes extra)
{
	static const uint8_t zero[20];
	cleanup_buf struct buf d = BUF_INIT(LIMIT_SMALL);

	add(&d, BYTES_LIT("Spec ID Event03\0"));
	logbuild_u32(&d, 0);
	add(&d, BYTES_LIT("\x00\x02\x69\x02"));
	logbuild_u32(&d, (uint32_t)n_algs);
	for (size_t i = 0; i < n_algs; i++) {
		logbuild_u16(&d, algs[i][0]);
		logbuild_u16(&d, algs[i][1]);
	}
	logbuild_u8(&d, 0);
	add(&d, extra);
	logbuild_u32(&l->b, pcr);
	logbuild_u32(&l->b, EV_NO_ACTION);
	add(&l->b, BYTES_ARR(zero));
	logbuild_u32(&l->b, (uint32_t)d.n);
	add(&l->b, buf_bytes(&d));
}

void logbuild_header(struct logbuild *l)
{
	uint16_t algs[N_DIGESTS][2];

	for (size_t i = 0; i < l->n_banks; i++) {
		algs[i][0] = digest_alg(l->bank[i])->tpm_alg;
		algs[i][1] = (uint16_t)digest_alg(l->bank[i])->size;
	}
	logbuild_header_with(l, 0, l->n_banks, algs, BYTES_NONE);
}

static void add_event(struct logbuild *l, uint32_t pcr, uint32_t type, struct bytes data, const struct bytes *measured)
{
	logbuild_u32(&l->b, pcr);
	logbuild_u32(&l->b, type);
	if (l->format == EVLOG_AGILE)
		logbuild_u32(&l->b, (uint32_t)l->n_banks);
	for (size_t i = 0; i < l->n_banks; i++) {
		struct digest d = { .n = (uint8_t)digest_alg(l->bank[i])->size };

		if (measured != NULL)
			fine(digest_one(l->bank[i], *measured, &d));
		if (l->format == EVLOG_AGILE)
			logbuild_u16(&l->b, digest_alg(l->bank[i])->tpm_alg);
		add(&l->b, digest_bytes(&d));
	}
	logbuild_u32(&l->b, (uint32_t)data.n);
	add(&l->b, data);
}

void logbuild_measure(struct logbuild *l, uint32_t pcr, uint32_t type, struct bytes data, struct bytes measured)
{
	add_event(l, pcr, type, data, &measured);
}

void logbuild_add(struct logbuild *l, uint32_t pcr, uint32_t type, struct bytes data)
{
	add_event(l, pcr, type, data, &data);
}

void logbuild_no_action(struct logbuild *l, uint32_t pcr, struct bytes data)
{
	add_event(l, pcr, EV_NO_ACTION, data, NULL);
}

void logbuild_locality(struct logbuild *l, uint32_t pcr, uint8_t locality)
{
	uint8_t data[] = "StartupLocality\0";

	data[16] = locality;
	logbuild_no_action(l, pcr, BYTES(data, 17));
}

void logbuild_separator(struct logbuild *l, uint32_t pcr, uint32_t value)
{
	cleanup_buf struct buf d = BUF_INIT(4);

	logbuild_u32(&d, value);
	logbuild_add(l, pcr, EV_SEPARATOR, buf_bytes(&d));
}

void logbuild_variable_data(struct buf *b, const uint8_t *guid, const char *name, struct bytes contents)
{
	if (guid == NULL)
		guid = strcmp(name, "db") == 0 || strcmp(name, "dbx") == 0 ? security_guid : global_guid;
	add(b, BYTES(guid, 16));
	logbuild_u64(b, strlen(name));
	logbuild_u64(b, contents.n);
	logbuild_utf16(b, name);
	add(b, contents);
}

void logbuild_variable(struct logbuild *l, uint32_t pcr, uint32_t type, const uint8_t *guid, const char *name,
		       struct bytes contents)
{
	cleanup_buf struct buf d = BUF_INIT(LIMIT_EVLOG);

	logbuild_variable_data(&d, guid, name, contents);
	logbuild_measure(l, pcr, type, buf_bytes(&d), type == EV_EFI_VARIABLE_BOOT ? contents : buf_bytes(&d));
}

void logbuild_image(struct logbuild *l, uint32_t pcr, uint32_t type, const char *path, struct bytes image)
{
	cleanup_buf struct buf d = BUF_INIT(LIMIT_SMALL), p = BUF_INIT(LIMIT_SMALL);

	logbuild_u8(&p, 4); /* media, file path */
	logbuild_u8(&p, 4);
	logbuild_u16(&p, (uint16_t)(4 + 2 * strlen(path) + 2));
	logbuild_utf16(&p, path);
	logbuild_u16(&p, 0);
	add(&p, BYTES_LIT("\x7f\xff\x04\x00"));
	logbuild_u64(&d, 0x1000);
	logbuild_u64(&d, image.n);
	logbuild_u64(&d, 0);
	logbuild_u64(&d, p.n);
	add(&d, buf_bytes(&p));
	logbuild_measure(l, pcr, type, buf_bytes(&d), image);
}

void logbuild_hash_list(struct buf *b, uint8_t first, size_t n)
{
	add(b, BYTES_ARR(sha256_guid));
	logbuild_u32(b, (uint32_t)(28 + 48 * n));
	logbuild_u32(b, 0);
	logbuild_u32(b, 48);
	for (size_t i = 0; i < n; i++) {
		add(b, BYTES_ARR(global_guid));
		for (size_t k = 0; k < 32; k++)
			logbuild_u8(b, (uint8_t)(first + i));
	}
}

void logbuild_good(struct logbuild *l, struct logbuild_marks *ret_marks)
{
	static const char *const names[] = { "PK", "KEK", "db", "dbx" };
	static const char calling[] = "Calling EFI Application from Boot Option";
	struct logbuild_marks m = { 0 };

	if (l->format == EVLOG_AGILE)
		logbuild_header(l);
	logbuild_add(l, 0, EV_S_CRTM_VERSION, BYTES_LIT("1\0.\0\0\0"));
	logbuild_measure(l, 0, EV_EFI_PLATFORM_FIRMWARE_BLOB, BYTES_LIT("\0\0\x80\0\0\0\0\0\0\0\x10\0\0\0\0\0"),
			 BYTES_LIT("firmware"));
	m.secure_boot = l->b.n;
	logbuild_variable(l, 7, EV_EFI_VARIABLE_DRIVER_CONFIG, NULL, "SecureBoot", BYTES_LIT("\1"));
	for (size_t i = 0; i < array_len(names); i++) {
		cleanup_buf struct buf list = BUF_INIT(LIMIT_SMALL);

		logbuild_hash_list(&list, (uint8_t)(16 * i), 1 + i);
		logbuild_variable(l, 7, EV_EFI_VARIABLE_DRIVER_CONFIG, NULL, names[i], buf_bytes(&list));
	}
	m.separator_7 = l->b.n;
	logbuild_separator(l, 7, 0);
	logbuild_variable(l, 1, EV_EFI_VARIABLE_BOOT, NULL, "BootOrder", BYTES_LIT("\0\0"));
	logbuild_add(l, 4, EV_EFI_ACTION, BYTES(calling, sizeof(calling) - 1));
	for (uint32_t pcr = 0; pcr < 7; pcr++)
		logbuild_separator(l, pcr, 0);
	m.authority = l->b.n;
	logbuild_variable(l, 7, EV_EFI_VARIABLE_AUTHORITY, NULL, "db", BYTES_LIT("owner and certificate"));
	m.app = l->b.n;
	logbuild_image(l, 4, EV_EFI_BOOT_SERVICES_APPLICATION, "\\EFI\\BOOT\\BOOTX64.EFI", BYTES_LIT("shim"));
	logbuild_measure(l, 8, EV_IPL, BYTES_LIT("kernel_cmdline: /vmlinuz quiet\0"), BYTES_LIT("/vmlinuz quiet"));
	logbuild_measure(l, 9, EV_IPL, BYTES_LIT("/vmlinuz\0"), BYTES_LIT("a kernel"));
	m.exit_boot = l->b.n;
	logbuild_add(l, 5, EV_EFI_ACTION, BYTES_LIT("Exit Boot Services Invocation"));
	logbuild_add(l, 5, EV_EFI_ACTION, BYTES_LIT("Exit Boot Services Returned with Success"));
	if (ret_marks != NULL)
		*ret_marks = m;
}

void logbuild_userspace(struct buf *b, uint32_t pcr, const char *type, const char *text, struct bytes measured)
{
	static const enum digest_id banks[] = { DIGEST_SHA1, DIGEST_SHA256 };

	fine(buf_addf(b, "\x1e{\"%s\":%u,\"digests\":[", pcr < LIMIT_PCRS ? "pcr" : "nv_index", pcr));
	for (size_t i = 0; i < array_len(banks); i++) {
		struct digest d;

		fine(digest_one(banks[i], measured, &d));
		fine(buf_addf(b, "%s{\"hashAlg\":\"%s\",\"digest\":\"", i > 0 ? "," : "", digest_alg(banks[i])->name));
		fine(buf_add_hex(b, digest_bytes(&d)));
		fine(buf_add_str(b, "\"}"));
	}
	fine(buf_add_str(b, "],\"content_type\":\"systemd\",\"content\":{"));
	if (text != NULL)
		fine(buf_addf(b, "\"string\":\"%s\",", text));
	fine(buf_addf(b, "\"bootId\":\"71b6a2ba5b134f9ea2f9a4a67e4a0e0e\",\"timestamp\":1234567,\"eventType\":\"%s\"}}\n",
		      type));
}

void logbuild_phase(struct buf *b, const char *text)
{
	logbuild_userspace(b, 11, "phase", text, bytes_str(text));
}
