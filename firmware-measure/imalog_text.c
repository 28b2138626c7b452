/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of ascii_runtime_measurements, turned back into template data:
 *
 *   PCR (two places) SP 40 hex digits SP template name { SP field }
 *
 * The kernel escapes nothing, so that a name may hold spaces: it is what is
 * left between the fields before and the fields behind it, none of which
 * can hold one. Whether that was right, the template hash tells.
 */
#include <string.h>

#include "base/text.h"
#include "firmware-measure/imalog_impl.h"

static struct err put_uint(struct buf *b, enum imalog_order order, size_t n, uint32_t v)
{
	struct err e;

	for (size_t i = 0; i < n; i++) {
		size_t shift = 8 * (order == IMALOG_BIG_ENDIAN ? n - 1 - i : i);

		if (failed(e = buf_add_u8(b, (uint8_t)(v >> shift))))
			return e;
	}
	return ERR(E_OK);
}

static struct err number(struct bytes s, uint64_t max, uint32_t *ret)
{
	char text[11];
	struct err e;
	uint64_t v;

	if (s.n == 0 || s.n >= sizeof(text))
		return ERR(E_PEER_SYNTAX);
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	if (failed(e = parse_u64(text, max, &v)))
		return e;
	*ret = (uint32_t)v;
	return e;
}

/* Takes the word before the first space off the front of b, and the space. */
static bool word_first(struct bytes *b, struct bytes *ret)
{
	const uint8_t *sp = b->n == 0 ? NULL : memchr(b->p, ' ', b->n);
	size_t n;

	if (sp == NULL)
		return false;
	n = (size_t)(sp - b->p);
	*ret = BYTES(b->p, n);
	*b = BYTES(sp + 1, b->n - n - 1);
	return true;
}

/* Takes the word behind the last space off the end of b, and the space. */
static bool word_last(struct bytes *b, struct bytes *ret)
{
	const uint8_t *sp = b->n == 0 ? NULL : memrchr(b->p, ' ', b->n);
	size_t n;

	if (sp == NULL)
		return false;
	n = (size_t)(sp - b->p);
	*ret = BYTES(sp + 1, b->n - n - 1);
	*b = BYTES(b->p, n);
	return true;
}

/* "alg:hex" as "alg:", NUL, digest; without an algorithm the kernel prints no colon either. */
static struct err put_digest(struct buf *b, struct bytes word)
{
	const uint8_t *colon = word.n == 0 ? NULL : memrchr(word.p, ':', word.n);
	size_t n = colon == NULL ? 0 : (size_t)(colon - word.p);
	struct bytes hex = colon == NULL ? word : BYTES(colon + 1, word.n - n - 1);
	struct err e;

	if (failed(e = buf_add(b, BYTES(word.p, n))) || failed(e = buf_add(b, BYTES(":", 2))))
		return e;
	return hex_decode(hex, b);
}

static struct err put_text(struct buf *b, struct bytes word)
{
	struct err e;

	if (failed(e = buf_add(b, word)))
		return e;
	return buf_add_u8(b, 0);
}

static struct err put_number(struct buf *b, enum imalog_order order, size_t n, struct bytes word)
{
	struct err e;
	uint32_t v;

	if (failed(e = number(word, n == 2 ? UINT16_MAX : UINT32_MAX, &v)))
		return e;
	return put_uint(b, order, n, v);
}

static struct err put_value(struct buf *b, enum imalog_order order, enum ima_field_id id, struct bytes word)
{
	switch (id) {
	case IMA_FIELD_N:
	case IMA_FIELD_N_NG:
		return put_text(b, word);
	case IMA_FIELD_XATTRNAMES:
		return word.n == 0 ? ERR(E_OK) : put_text(b, word);
	case IMA_FIELD_D_NG:
	case IMA_FIELD_D_NGV2:
	case IMA_FIELD_D_MODSIG:
		return word.n == 0 ? ERR(E_OK) : put_digest(b, word);
	case IMA_FIELD_IUID:
	case IMA_FIELD_IGID:
		return word.n == 0 ? ERR(E_OK) : put_number(b, order, 4, word);
	case IMA_FIELD_IMODE:
		return word.n == 0 ? ERR(E_OK) : put_number(b, order, 2, word);
	case IMA_FIELD_D:
	case IMA_FIELD_SIG:
	case IMA_FIELD_BUF:
	case IMA_FIELD_MODSIG:
	case IMA_FIELD_EVMSIG:
	case IMA_FIELD_XATTRLENGTHS:
	case IMA_FIELD_XATTRVALUES:
		return hex_decode(word, b);
	case N_IMA_FIELDS:
		break;
	}
	return ERR(E_BUG);
}

/* A field with its length before it, which is known only when the value is made. */
static struct err put_field(struct imalog *l, enum ima_field_id id, struct bytes word)
{
	struct err e;

	if (failed(e = buf_truncate(&l->value, 0)) || failed(e = put_value(&l->value, l->order, id, word)) ||
	    failed(e = put_uint(&l->text, l->order, 4, (uint32_t)l->value.n)))
		return e;
	return buf_add(&l->text, buf_bytes(&l->value));
}

static struct err put_legacy(struct imalog *l, struct bytes digest, struct bytes name)
{
	struct err e;

	if (digest.n != 2 * (size_t)IMA_HASH_SIZE)
		return ERR(E_PEER_SYNTAX);
	if (failed(e = hex_decode(digest, &l->text)) || failed(e = put_uint(&l->text, l->order, 4, (uint32_t)name.n)))
		return e;
	return buf_add(&l->text, name);
}

/* Words of the fields: those before the name from the left, those behind it from the right. */
static bool words_split(const struct imalog_template *t, struct bytes rest, struct bytes *words)
{
	size_t at = 0;

	while (at < t->n_fields && t->field[at] != IMA_FIELD_N && t->field[at] != IMA_FIELD_N_NG)
		at++;
	/* Without a name the last field takes its place, and it must hold no space. */
	if (at == t->n_fields)
		at--;
	for (size_t i = 0; i < at; i++)
		if (!word_first(&rest, &words[i]))
			return false;
	for (size_t i = (size_t)t->n_fields - 1; i > at; i--)
		if (!word_last(&rest, &words[i]))
			return false;
	words[at] = rest;
	return true;
}

static struct err data_put(struct imalog *l, struct bytes rest)
{
	struct bytes words[IMA_FIELDS_MAX] = { 0 };
	const struct imalog_template *t = &l->template;
	struct err e;

	if (failed(e = buf_truncate(&l->text, 0)))
		return e;
	if (!words_split(t, rest, words))
		return ERR(E_PEER_SYNTAX);
	if (t->legacy)
		return put_legacy(l, words[0], words[1]);
	for (size_t i = 0; i < t->n_fields; i++)
		if (failed(e = put_field(l, (enum ima_field_id)t->field[i], words[i])))
			return e;
	return ERR(E_OK);
}

static struct err line_split(struct imalog *l, struct bytes line, struct ima_frame *ret, struct reason *reterr)
{
	struct bytes pcr, hash, rest = line;
	struct err e;

	/* "%2d": one space before a single digit */
	if (rest.n > 0 && rest.p[0] == ' ')
		rest = BYTES(rest.p + 1, rest.n - 1);
	if (!word_first(&rest, &pcr) || failed(number(pcr, LIMIT_PCRS - 1, &ret->pcr)) || !word_first(&rest, &hash) ||
	    failed(hex_decode_exact(hash, l->text_hash, IMA_HASH_SIZE)) || !word_first(&rest, &ret->name) ||
	    ret->name.n == 0 || ret->name.n > IMA_TEMPLATE_NAME_MAX) {
		reason_set(reterr, "expected a line of PCR, 40 hex digits, template name and fields");
		return ERR(E_PEER_SYNTAX);
	}
	ima_template_find(l, ret->name);
	if (!l->template.known) {
		reason_set(reterr,
			   "the fields of this template are not known, so that its text cannot be turned into data; "
			   "use the binary list");
		return ERR(E_PEER_UNSUPPORTED);
	}
	if (failed(e = data_put(l, rest))) {
		if (e.code != E_LIMIT_SIZE && e.code != E_LOCAL_MEMORY) {
			reason_set(reterr, "the fields of the line are not those of its template");
			e = ERR(E_PEER_SYNTAX);
		}
		return e;
	}
	ret->hash = BYTES_ARR(l->text_hash);
	ret->data = buf_bytes(&l->text);
	return ERR(E_OK);
}

struct err ima_frame_text(struct imalog *l, struct bytes b, bool in_tail, struct ima_frame *ret, size_t *ret_need,
			  struct reason *reterr)
{
	const uint8_t *nl;

	if (in_tail)
		nl = b.n > 0 && b.p[b.n - 1] == '\n' ? b.p + b.n - 1 : NULL;
	else
		nl = b.n == 0 ? NULL : memchr(b.p, '\n', b.n);
	if (nl == NULL) {
		*ret_need = b.n + 1;
		return ERR(E_PEER_TRUNCATED);
	}
	ret->size = (size_t)(nl - b.p) + 1;
	if (ret->size > IMA_ENTRY_MAX)
		return ERR(E_OK); /* the caller refuses it */
	return line_split(l, BYTES(b.p, ret->size - 1), ret, reterr);
}
