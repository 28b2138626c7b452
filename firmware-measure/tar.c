/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/tar.h"

#include <limits.h>
#include <string.h>

#include "base/log.h"
#include "base/rd.h"
#include "base/text.h"

#define BLOCK 512
#define LIMIT_HEADER_DATA (1 * MIB) /* of a pax header or a long name */
#define LIMIT_TAIL (1 * MIB)        /* zeros behind the end */
#define LIMIT_HEADERS 8             /* extended ones before an entry */

/* One header block as a view of its fields. */
struct header {
	struct bytes name, mode, uid, gid, size, checksum, link, magic, major, minor, prefix, tail;
	uint8_t type;
};

const char *tar_type_text(enum tar_type type)
{
	switch (type) {
	case TAR_FILE:
		return "a regular file";
	case TAR_HARD_LINK:
		return "a hard link";
	case TAR_SYMLINK:
		return "a symbolic link";
	case TAR_CHAR:
	case TAR_BLOCK:
		return "a device";
	case TAR_FOLDER:
		return "a folder";
	case TAR_FIFO:
		return "a FIFO";
	}
	return "of unknown kind";
}

void tar_init(struct tar *t, const struct tar_source *source)
{
	*t = (struct tar){
		.source = *source,
		.head = BUF_INIT(BLOCK),
		.name = BUF_INIT(LIMIT_PATH),
		.link = BUF_INIT(LIMIT_PATH),
		.xattrs = XATTRS_INIT,
	};
}

void tar_done(struct tar *t)
{
	buf_free(&t->head);
	buf_free(&t->name);
	buf_free(&t->link);
	xattrs_done(&t->xattrs);
}

bool path_text_valid(struct bytes text)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < 0x20 || text.p[i] == 0x7f)
			return false;
		if (text.p[i] == 0xc2 && i + 1 < text.n && text.p[i + 1] >= 0x80 && text.p[i + 1] <= 0x9f)
			return false;
	}
	return utf8_valid(text);
}

static struct err add_component(struct bytes part, struct buf *ret)
{
	struct err e;

	if (part.n > NAME_MAX)
		return ERR(E_LIMIT_SIZE);
	if (ret->n > 0 && failed(e = buf_add_u8(ret, '/')))
		return e;
	return buf_add(ret, part);
}

struct err tar_path(struct bytes name, struct buf *ret, struct reason *reterr)
{
	struct err e;
	size_t i = 0;

	if (!path_text_valid(name)) {
		reason_set(reterr, "%s: names must be UTF-8 without control characters", log_quote(name));
		return ERR(E_PEER_SYNTAX);
	}
	if (name.n > 1 && name.p[0] == '/') {
		reason_set(reterr, "%s: an absolute name", log_quote(name));
		return ERR(E_PEER_RANGE);
	}
	if (name.n >= LIMIT_PATH) {
		reason_set(reterr, "%s: longer than %d bytes", log_quote(name), LIMIT_PATH - 1);
		return ERR(E_LIMIT_SIZE);
	}
	while (i < name.n) {
		size_t n = 0;
		struct bytes part;

		while (i + n < name.n && name.p[i + n] != '/')
			n++;
		part = BYTES(name.p + i, n);
		i += n + 1;
		if (n == 0 || bytes_eq(part, BYTES_LIT(".")))
			continue;
		if (bytes_eq(part, BYTES_LIT(".."))) {
			reason_set(reterr, "%s: \"..\" in a name", log_quote(name));
			return ERR(E_PEER_RANGE);
		}
		if (failed(e = add_component(part, ret))) {
			reason_set(reterr, "%s: a component longer than %d bytes", log_quote(name), NAME_MAX);
			return e;
		}
	}
	return ERR(E_OK);
}

static struct err truncated(struct reason *reterr)
{
	reason_set(reterr, "the archive ends early: an entry, or the two blocks of zeros at its end, are missing");
	return ERR(E_PEER_TRUNCATED);
}

/* Makes the window hold something, unless the source is at its end. */
static struct err fill(struct tar *t, struct reason *reterr)
{
	return t->window.n > 0 ? ERR(E_OK) : t->source.more(t->source.ctx, &t->window, reterr);
}

/* The next bytes of the window, at most max. */
static struct bytes take(struct tar *t, uint64_t max)
{
	struct bytes b = t->window;

	if (b.n > max)
		b.n = (size_t)max;
	t->window.p += b.n;
	t->window.n -= b.n;
	t->offset += b.n;
	return b;
}

/* Exactly n bytes, appended. */
static struct err read_exact(struct tar *t, size_t n, struct buf *ret, struct reason *reterr)
{
	struct err e;

	while (n > 0) {
		struct bytes b;

		if (failed(e = fill(t, reterr)))
			return e;
		b = take(t, n);
		if (b.n == 0)
			return truncated(reterr);
		if (failed(e = buf_add(ret, b)))
			return e;
		n -= b.n;
	}
	return ERR(E_OK);
}

static struct err skip(struct tar *t, uint64_t n, struct reason *reterr)
{
	struct err e;

	while (n > 0) {
		uint64_t in_window = take(t, n).n;

		n -= in_window;
		if (n == 0)
			break;
		if (t->source.skip != NULL) {
			t->offset += n;
			return t->source.skip(t->source.ctx, n, reterr);
		}
		if (failed(e = fill(t, reterr)))
			return e;
		if (t->window.n == 0)
			return truncated(reterr);
	}
	return ERR(E_OK);
}

static struct err header_read(struct bytes block, struct header *ret)
{
	struct rd r = RD(block);
	struct bytes time, names;
	struct err e;

	if (failed(e = rd_bytes(&r, 100, &ret->name)) || failed(e = rd_bytes(&r, 8, &ret->mode)) ||
	    failed(e = rd_bytes(&r, 8, &ret->uid)) || failed(e = rd_bytes(&r, 8, &ret->gid)) ||
	    failed(e = rd_bytes(&r, 12, &ret->size)) || failed(e = rd_bytes(&r, 12, &time)) ||
	    failed(e = rd_bytes(&r, 8, &ret->checksum)) || failed(e = rd_u8(&r, &ret->type)) ||
	    failed(e = rd_bytes(&r, 100, &ret->link)) || failed(e = rd_bytes(&r, 8, &ret->magic)) ||
	    failed(e = rd_bytes(&r, 64, &names)) || failed(e = rd_bytes(&r, 8, &ret->major)) ||
	    failed(e = rd_bytes(&r, 8, &ret->minor)) || failed(e = rd_bytes(&r, 155, &ret->prefix)) ||
	    failed(e = rd_bytes(&r, 12, &ret->tail)))
		return e;
	return rd_end(&r);
}

/* Text up to the first NUL, or the whole field. */
static struct bytes text_of(struct bytes field)
{
	size_t n = 0;

	while (n < field.n && field.p[n] != '\0')
		n++;
	return BYTES(field.p, n);
}

/* GNU's form for large numbers: the first bit set, then big endian. Negative ones have the second bit set too. */
static struct err binary_number(struct bytes field, uint64_t *ret)
{
	uint64_t v = field.p[0] & 0x7f;

	if ((v & 0x40) != 0)
		return ERR(E_PEER_RANGE);
	for (size_t i = 1; i < field.n; i++) {
		if (v > UINT64_MAX >> 8)
			return ERR(E_PEER_RANGE);
		v = v << 8 | field.p[i];
	}
	*ret = v;
	return ERR(E_OK);
}

/* Octal digits between spaces and zeros; nothing at all is 0. */
static struct err number(struct bytes field, uint64_t *ret)
{
	uint64_t v = 0;
	size_t i = 0;

	if ((field.p[0] & 0x80) != 0)
		return binary_number(field, ret);
	while (i < field.n && field.p[i] == ' ')
		i++;
	for (; i < field.n && field.p[i] >= '0' && field.p[i] <= '7'; i++) /* 12 digits at most */
		v = v << 3 | (uint64_t)(field.p[i] - '0');
	for (; i < field.n; i++) {
		if (field.p[i] != ' ' && field.p[i] != '\0')
			return ERR(E_PEER_SYNTAX);
	}
	*ret = v;
	return ERR(E_OK);
}

/* The sum of the header's bytes, with spaces in its own place. */
static bool checksum_fits(struct bytes block, const struct header *h)
{
	uint64_t sum = 0, want = 0;

	for (size_t i = 0; i < block.n; i++)
		sum += block.p[i];
	for (size_t i = 0; i < h->checksum.n; i++)
		sum += (uint64_t)' ' - h->checksum.p[i];
	return !failed(number(h->checksum, &want)) && sum == want;
}

enum format { FORMAT_USTAR, FORMAT_GNU };

static struct err format_of(const struct header *h, enum format *ret, struct reason *reterr)
{
	/* star's own variation of ustar has another prefix. */
	bool star = bytes_eq(BYTES(h->tail.p + 8, 4), BYTES_LIT("tar\0"));

	if (bytes_eq(h->magic, BYTES_LIT("ustar\00000")) && !star) {
		*ret = FORMAT_USTAR;
		return ERR(E_OK);
	}
	if (bytes_eq(h->magic, BYTES_LIT("ustar  \0"))) {
		*ret = FORMAT_GNU;
		return ERR(E_OK);
	}
	reason_set(reterr, "not a tar archive in one of the formats ustar, pax and GNU");
	return ERR(E_PEER_UNSUPPORTED);
}

/* The content of an extended header, and what pads it. */
static struct err read_data(struct tar *t, uint64_t size, struct buf *ret, struct reason *reterr)
{
	struct err e;

	if (size > ret->max) {
		reason_set(reterr, "an extended header of %ju bytes, at most %zu are accepted", (uintmax_t)size,
			   ret->max);
		return ERR(E_LIMIT_SIZE);
	}
	if (failed(e = read_exact(t, (size_t)size, ret, reterr)))
		return e;
	return skip(t, (BLOCK - size % BLOCK) % BLOCK, reterr);
}

/* GNU's long name or link: the text and a NUL. */
static struct err long_name(struct tar *t, uint64_t size, struct buf *to, struct reason *reterr)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_HEADER_DATA);
	struct bytes text;
	struct err e;

	if (to->n > 0) {
		reason_set(reterr, "a name that is given twice");
		return ERR(E_PEER_DUPLICATE);
	}
	if (failed(e = read_data(t, size, &b, reterr)))
		return e;
	text = text_of(buf_bytes(&b));
	if (text.n == 0 || text.n + 1 < b.n) {
		reason_set(reterr, "a long name that is empty, or with a NUL inside");
		return ERR(E_PEER_SYNTAX);
	}
	if (failed(e = buf_add(to, text)))
		reason_set(reterr, "%s: longer than %zu bytes", log_quote(text), to->max);
	return e;
}

static struct err pax(struct tar *t, uint8_t type, uint64_t size, struct reason *reterr)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_HEADER_DATA);
	struct err e;

	if (failed(e = read_data(t, size, &b, reterr)))
		return e;
	return type == 'g' ? tar_pax_global(buf_bytes(&b), reterr) : tar_pax_read(t, buf_bytes(&b), reterr);
}

/* Headers before the entry that say something about it. *ret_is: it was one. */
static struct err extended(struct tar *t, const struct header *h, bool *ret_is, struct reason *reterr)
{
	uint64_t size = 0;
	struct err e;

	*ret_is = h->type == 'x' || h->type == 'g' || h->type == 'L' || h->type == 'K';
	if (!*ret_is)
		return ERR(E_OK);
	if (failed(e = number(h->size, &size)))
		return e;
	switch (h->type) {
	case 'L':
		return long_name(t, size, &t->name, reterr);
	case 'K':
		return long_name(t, size, &t->link, reterr);
	default:
		return pax(t, h->type, size, reterr);
	}
}

static struct err type_of(uint8_t c, struct bytes name, enum tar_type *ret, struct reason *reterr)
{
	if (c == '\0')
		c = '0';
	if (c < '0' || c > '6') {
		reason_set(reterr, "%s: %s", log_quote(name),
			   c == 'S' ? "a sparse file" : "an entry of a type that is not accepted");
		return ERR(E_PEER_UNSUPPORTED);
	}
	*ret = (enum tar_type)(c - '0');
	if (*ret == TAR_FILE && name.n > 0 && name.p[name.n - 1] == '/') {
		reason_set(reterr, "%s: a file whose name ends in a slash", log_quote(name));
		return ERR(E_PEER_UNSUPPORTED);
	}
	return ERR(E_OK);
}

/* Name and link from the header, where no extended one gave them. */
static struct err names(struct tar *t, const struct header *h, enum format format, struct reason *reterr)
{
	struct bytes prefix = text_of(h->prefix);
	struct err e;

	if (t->name.n == 0) {
		if (format == FORMAT_USTAR && prefix.n > 0 &&
		    (failed(e = buf_add(&t->name, prefix)) || failed(e = buf_add_u8(&t->name, '/'))))
			return e;
		if (failed(e = buf_add(&t->name, text_of(h->name))))
			return e;
	}
	if (t->link.n == 0 && failed(e = buf_add(&t->link, text_of(h->link))))
		return e;
	if (t->name.n > 0)
		return ERR(E_OK);
	reason_set(reterr, "an entry without a name");
	return ERR(E_PEER_SYNTAX);
}

static struct err owner(struct bytes field, bool given, uint64_t pax_value, uint32_t *ret)
{
	uint64_t v = pax_value;
	struct err e;

	if (!given && failed(e = number(field, &v)))
		return e;
	if (v >= UINT32_MAX)
		return ERR(E_PEER_RANGE);
	*ret = (uint32_t)v;
	return ERR(E_OK);
}

static struct err device(const struct header *h, struct tar_entry *ret)
{
	uint64_t major = 0, minor = 0;
	struct err e;

	if (ret->type != TAR_CHAR && ret->type != TAR_BLOCK)
		return ERR(E_OK);
	if (failed(e = number(h->major, &major)) || failed(e = number(h->minor, &minor)))
		return e;
	if (major > UINT32_MAX || minor > UINT32_MAX)
		return ERR(E_PEER_RANGE);
	ret->major = (uint32_t)major;
	ret->minor = (uint32_t)minor;
	return ERR(E_OK);
}

static struct err numbers(const struct tar *t, const struct header *h, struct tar_entry *ret)
{
	uint64_t mode = 0;
	struct err e;

	if (failed(e = number(h->mode, &mode)) || failed(e = owner(h->uid, t->has_uid, t->uid, &ret->uid)) ||
	    failed(e = owner(h->gid, t->has_gid, t->gid, &ret->gid)) || failed(e = device(h, ret)))
		return e;
	ret->mode = (uint32_t)(mode & 07777);
	ret->size = t->size;
	if (!t->has_size && failed(e = number(h->size, &ret->size)))
		return e;
	/* Readers differ on whether content follows; only files have any. */
	if (ret->size > INT64_MAX || (ret->type != TAR_FILE && ret->size > 0))
		return ERR(E_PEER_RANGE);
	return ERR(E_OK);
}

static struct err entry(struct tar *t, const struct header *h, struct tar_entry *ret, struct reason *reterr)
{
	bool is_link;
	struct tar_entry r = { 0 };
	enum format format;
	struct err e;

	if (failed(e = format_of(h, &format, reterr)) || failed(e = names(t, h, format, reterr)) ||
	    failed(e = type_of(h->type, buf_bytes(&t->name), &r.type, reterr)))
		return e;
	if (failed(e = numbers(t, h, &r))) {
		reason_set(reterr, "%s: a number in its header is out of range or none at all",
			   log_quote(buf_bytes(&t->name)));
		return e;
	}
	is_link = r.type == TAR_HARD_LINK || r.type == TAR_SYMLINK;
	r.name = buf_bytes(&t->name);
	r.link = is_link ? buf_bytes(&t->link) : BYTES_NONE;
	if (is_link && r.link.n == 0) {
		reason_set(reterr, "%s: a link without a target", log_quote(r.name));
		return ERR(E_PEER_SYNTAX);
	}
	r.offset = t->offset;
	r.xattrs = &t->xattrs;
	t->left = r.size;
	t->padding = (size_t)((BLOCK - r.size % BLOCK) % BLOCK);
	*ret = r;
	return ERR(E_OK);
}

/* Behind the first block of zeros: a second one, and nothing but zeros to the end of the source. */
static struct err end_of_archive(struct tar *t, struct reason *reterr)
{
	uint64_t n = 0;
	struct err e;

	for (;;) {
		struct bytes b;

		if (failed(e = fill(t, reterr)))
			return e;
		b = take(t, UINT64_MAX);
		if (b.n == 0)
			break;
		n += b.n;
		if (!bytes_all(b, 0)) {
			reason_set(reterr, "something stands behind the end of the archive");
			return ERR(E_PEER_TRAILING);
		}
		if (n > LIMIT_TAIL) {
			reason_set(reterr, "more than %zu bytes of zeros behind the end of the archive", LIMIT_TAIL);
			return ERR(E_LIMIT_SIZE);
		}
	}
	t->ended = true;
	return n >= BLOCK || (n == 0 && t->open_end) ? ERR(E_OK) : truncated(reterr);
}

static void forget(struct tar *t)
{
	buf_clear(&t->name);
	buf_clear(&t->link);
	xattrs_clear(&t->xattrs);
	t->has_size = t->has_uid = t->has_gid = false;
}

/* One block: an entry, the end, or an extended header (neither is set then). */
static struct err block(struct tar *t, struct tar_entry *ret, bool *ret_entry, bool *ret_end, struct reason *reterr)
{
	struct header h;
	bool is_extended = false;
	struct err e;

	buf_clear(&t->head);
	if (failed(e = fill(t, reterr)))
		return e;
	if (t->window.n == 0 && t->open_end) {
		t->ended = *ret_end = true;
		return ERR(E_OK);
	}
	if (failed(e = read_exact(t, BLOCK, &t->head, reterr)))
		return e;
	if (bytes_all(buf_bytes(&t->head), 0)) {
		*ret_end = true;
		return end_of_archive(t, reterr);
	}
	if (failed(e = header_read(buf_bytes(&t->head), &h)))
		return e;
	if (!checksum_fits(buf_bytes(&t->head), &h)) {
		reason_set(reterr, "the checksum of the header at byte %ju is wrong, or this is no tar archive",
			   (uintmax_t)(t->offset - BLOCK));
		return ERR(E_PEER_DIGEST);
	}
	if (failed(e = extended(t, &h, &is_extended, reterr)) || is_extended)
		return e;
	*ret_entry = true;
	return entry(t, &h, ret, reterr);
}

/* umoci insert leaves out even the last entry's. */
static struct err skip_padding(struct tar *t, struct reason *reterr)
{
	struct err e;

	if (t->open_end && (failed(e = fill(t, reterr)) || t->window.n == 0))
		return e;
	return skip(t, t->padding, reterr);
}

struct err tar_next(struct tar *t, struct tar_entry *ret, bool *ret_end, struct reason *reterr)
{
	bool got = false, end = false;
	unsigned n = 0;
	struct err e;

	if (t->ended) {
		*ret_end = true;
		return ERR(E_OK);
	}
	if (failed(e = skip(t, t->left, reterr)) || (t->padding > 0 && failed(e = skip_padding(t, reterr))))
		return e;
	t->left = 0;
	t->padding = 0;
	forget(t);
	while (!got && !end) {
		if (n++ > LIMIT_HEADERS) {
			reason_set(reterr, "more than %d extended headers before an entry", LIMIT_HEADERS);
			return ERR(E_LIMIT_COUNT);
		}
		if (failed(e = block(t, ret, &got, &end, reterr)))
			return e;
	}
	if (end && n > 1)
		return truncated(reterr);
	*ret_end = end;
	return ERR(E_OK);
}

struct err tar_content(struct tar *t, struct bytes *ret, struct reason *reterr)
{
	struct err e;

	if (t->left == 0) {
		*ret = BYTES_NONE;
		return ERR(E_OK);
	}
	if (failed(e = fill(t, reterr)))
		return e;
	*ret = take(t, t->left);
	if (ret->n == 0)
		return truncated(reterr);
	t->left -= ret->n;
	return ERR(E_OK);
}
