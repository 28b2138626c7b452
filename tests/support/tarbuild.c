/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/tarbuild.h"

#include <string.h>

#include "tests/unit/unit.h"

static void pad(struct buf *b)
{
	static const uint8_t zeros[TAR_BLOCK_LEN];

	assert_ok(buf_add(b, BYTES(zeros, (TAR_BLOCK_LEN - b->n % TAR_BLOCK_LEN) % TAR_BLOCK_LEN)));
}

static void octal(char *to, size_t digits, uint64_t v)
{
	for (size_t i = digits; i > 0; i--, v >>= 3)
		to[i - 1] = (char)('0' + (v & 7));
	assert_int_equal(v, 0);
}

void tar_seal(struct buf *b, size_t at)
{
	unsigned sum = 0;

	memset(b->p + at + 148, ' ', 8);
	for (size_t i = 0; i < TAR_BLOCK_LEN; i++)
		sum += b->p[at + i];
	octal((char *)b->p + at + 148, 6, sum);
	b->p[at + 154] = '\0';
}

static void put_header(struct buf *b, const struct tar_member *m, size_t size)
{
	char h[TAR_BLOCK_LEN] = { 0 };

	(void)snprintf(h, 100, "%s", m->name);
	octal(h + 100, 7, m->mode != 0 ? m->mode : 0644);
	octal(h + 108, 7, m->uid);
	octal(h + 116, 7, m->gid);
	octal(h + 124, 11, size);
	octal(h + 136, 11, 1000000000);
	h[156] = m->type != 0 ? m->type : '0';
	(void)snprintf(h + 157, 100, "%s", m->link != NULL ? m->link : "");
	memcpy(h + 257, "ustar\00000", 8);
	octal(h + 329, 7, m->major);
	octal(h + 337, 7, m->minor);
	assert_ok(buf_add(b, BYTES(h, sizeof(h))));
	tar_seal(b, b->n - TAR_BLOCK_LEN);
}

void tar_put_data(struct buf *b, char type, struct bytes data)
{
	put_header(b, &(const struct tar_member){ .name = "header", .type = type }, data.n);
	assert_ok(buf_add(b, data));
	pad(b);
}

void tar_put_pax(struct buf *b, char type, const char *lines)
{
	cleanup_buf struct buf records = BUF_INIT(4 << 20);

	while (*lines != '\0') {
		size_t n = strcspn(lines, "\n") + 1, length = n + 2;

		while (length != n + 1 + (size_t)snprintf(NULL, 0, "%zu", length))
			length++;
		assert_ok(buf_addf(&records, "%zu ", length));
		assert_ok(buf_add(&records, BYTES(lines, n)));
		lines += n;
	}
	tar_put_data(b, type, buf_bytes(&records));
}

void tar_put(struct buf *b, const struct tar_member *m)
{
	size_t n = m->n != 0 || m->content == NULL ? m->n : strlen(m->content);

	if (m->pax != NULL)
		tar_put_pax(b, 'x', m->pax);
	put_header(b, m, n);
	if (n > 0)
		assert_ok(buf_add(b, BYTES(m->content, n)));
	pad(b);
}

void tar_put_end(struct buf *b)
{
	static const uint8_t zeros[2 * TAR_BLOCK_LEN];

	assert_ok(buf_add(b, BYTES_ARR(zeros)));
}
