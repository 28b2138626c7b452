/* SPDX-License-Identifier: Apache-2.0 */
#include "ima_list.h"

#include <string.h>

#include "base/text.h"

static void must(struct err e)
{
	if (failed(e))
		abort();
}

void ima_list_init(struct ima_list *l)
{
	*l = (struct ima_list){ .order = IMALOG_LITTLE_ENDIAN, .pcr = IMA_PCR };
	buf_init(&l->binary, SIZE_MAX);
	buf_init(&l->ascii, SIZE_MAX);
	buf_init(&l->data, SIZE_MAX);
	buf_init(&l->line, SIZE_MAX);
}

void ima_list_done(struct ima_list *l)
{
	buf_free(&l->binary);
	buf_free(&l->ascii);
	buf_free(&l->data);
	buf_free(&l->line);
}

static void put_u32(const struct ima_list *l, struct buf *b, size_t v)
{
	for (unsigned i = 0; i < 4; i++)
		must(buf_add_u8(b, (uint8_t)(v >> (l->order == IMALOG_BIG_ENDIAN ? 24 - 8 * i : 8 * i))));
}

void ima_list_field(struct ima_list *l, struct bytes value, const char *text)
{
	put_u32(l, &l->data, value.n);
	must(buf_add(&l->data, value));
	must(buf_add_u8(&l->line, ' '));
	must(buf_add_str(&l->line, text));
}

void ima_list_digest(struct ima_list *l, const char *alg, struct bytes digest)
{
	cleanup_buf struct buf v = BUF_INIT(SIZE_MAX), t = BUF_INIT(SIZE_MAX);
	const char *text;

	must(buf_add_str(&v, alg));
	must(buf_add(&v, BYTES(":", 2)));
	must(buf_add(&v, digest));
	must(buf_add_str(&t, alg));
	must(buf_add_str(&t, alg[0] == '\0' ? "" : ":"));
	must(buf_add_hex(&t, digest));
	must(buf_cstr(&t, &text));
	ima_list_field(l, buf_bytes(&v), text);
}

void ima_list_name(struct ima_list *l, struct bytes name)
{
	put_u32(l, &l->data, name.n + 1);
	must(buf_add(&l->data, name));
	must(buf_add_u8(&l->data, 0));
	must(buf_add_u8(&l->line, ' '));
	must(buf_add(&l->line, name));
}

void ima_list_raw(struct ima_list *l, struct bytes value)
{
	cleanup_buf struct buf t = BUF_INIT(SIZE_MAX);
	const char *text;

	must(buf_add_hex(&t, value));
	must(buf_cstr(&t, &text));
	ima_list_field(l, value, text);
}

/* The frame in both forms; data go to the binary one, with their length where the template has one. */
static void frame(struct ima_list *l, const char *name, struct bytes hash, bool sized, struct bytes data)
{
	put_u32(l, &l->binary, l->pcr);
	must(buf_add(&l->binary, hash));
	put_u32(l, &l->binary, strlen(name));
	must(buf_add_str(&l->binary, name));
	if (sized)
		put_u32(l, &l->binary, data.n);
	must(buf_add(&l->binary, data));
	must(buf_addf(&l->ascii, "%2u ", l->pcr));
	must(buf_add_hex(&l->ascii, hash));
	must(buf_addf(&l->ascii, " %s", name));
	must(buf_add(&l->ascii, buf_bytes(&l->line)));
	must(buf_add_u8(&l->ascii, '\n'));
	buf_clear(&l->data);
	buf_clear(&l->line);
}

void ima_list_end_hash(struct ima_list *l, const char *template_name, struct bytes hash)
{
	frame(l, template_name, hash, true, buf_bytes(&l->data));
}

void ima_list_end(struct ima_list *l, const char *template_name)
{
	struct digest d;

	must(digest_one(DIGEST_SHA1, buf_bytes(&l->data), &d));
	ima_list_end_hash(l, template_name, digest_bytes(&d));
}

void ima_list_file(struct ima_list *l, struct bytes digest, const char *path)
{
	ima_list_digest(l, "sha256", digest);
	ima_list_name(l, bytes_str(path));
	ima_list_end(l, "ima-ng");
}

void ima_list_violation(struct ima_list *l, const char *path)
{
	static const uint8_t zeros[32];

	ima_list_digest(l, "sha256", BYTES_ARR(zeros));
	ima_list_name(l, bytes_str(path));
	ima_list_end_hash(l, "ima-ng", BYTES(zeros, IMA_HASH_SIZE));
}

void ima_list_legacy(struct ima_list *l, const uint8_t digest[IMA_HASH_SIZE], const char *path)
{
	cleanup_buf struct buf data = BUF_INIT(SIZE_MAX);
	uint8_t hashed[IMA_HASH_SIZE + 256] = { 0 };
	struct digest d;

	if (strlen(path) > 255)
		abort();
	memcpy(hashed, digest, IMA_HASH_SIZE);
	memcpy(hashed + IMA_HASH_SIZE, path, strlen(path));
	must(digest_one(DIGEST_SHA1, BYTES_ARR(hashed), &d));
	must(buf_add(&data, BYTES(digest, IMA_HASH_SIZE)));
	put_u32(l, &data, strlen(path));
	must(buf_add_str(&data, path));
	must(buf_add_u8(&l->line, ' '));
	must(buf_add_hex(&l->line, BYTES(digest, IMA_HASH_SIZE)));
	must(buf_addf(&l->line, " %s", path));
	frame(l, "ima", digest_bytes(&d), false, buf_bytes(&data));
}
