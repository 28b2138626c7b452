/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel command lines, wherever a boot measures one: GRUB (PCR 8) and
 * systemd-stub (PCR 12) as text, a UKI's section (PCR 11) and the load options
 * that the kernel itself measures (PCR 9) as a digest only, which exact lines
 * can be compared with.
 */
#include <string.h>

#include "firmware-measure/boot_event.h"
#include "verifier/appraise/platform_judge.h"

/* Differences of a line from one that is approved. */
struct diff {
	size_t n;
	char text[200];
};

static void differs(struct diff *d, char sign, struct bytes word, const char *why)
{
	size_t len = strlen(d->text);

	d->n++;
	platform_say(d->text + len, sizeof(d->text) - len, "%s%c %.*s%s", len == 0 ? "" : ", ", sign,
		     (int)(word.n < 100 ? word.n : 100), (const char *)word.p, why);
}

/* The next word, split at spaces as the kernel does; quotes keep a word together. False at the end. */
static bool word_next(struct bytes *rest, struct bytes *ret)
{
	size_t from = 0, to;
	bool quoted = false;

	while (from < rest->n && rest->p[from] == ' ')
		from++;
	for (to = from; to < rest->n && (quoted || rest->p[to] != ' '); to++)
		quoted = quoted != (rest->p[to] == '"');
	*ret = BYTES(rest->p + from, to - from);
	*rest = BYTES(rest->p + to, rest->n - to);
	return ret->n > 0;
}

static bool has_word(struct bytes line, struct bytes word)
{
	struct bytes w;

	while (word_next(&line, &w))
		if (bytes_eq(w, word))
			return true;
	return false;
}

static void diff_exact(const char *want, struct bytes line, struct diff *d)
{
	struct bytes rest = line, w, exact = bytes_str(want);

	if (bytes_eq(exact, line))
		return;
	while (word_next(&rest, &w))
		if (!has_word(exact, w))
			differs(d, '+', w, "");
	rest = exact;
	while (word_next(&rest, &w))
		if (!has_word(line, w))
			differs(d, '-', w, "");
	if (d->n == 0)
		differs(d, '~', BYTES_LIT("the same words"), " in another order, number or spacing");
}

/* "name=*" fits "name=" and any value. */
static bool fits(const char *pattern, struct bytes word)
{
	size_t n = strlen(pattern);
	struct bytes start;

	if (n < 2 || strcmp(pattern + n - 2, "=*") != 0)
		return bytes_eq(bytes_str(pattern), word);
	return !failed(bytes_sub(word, 0, n - 1, &start)) && bytes_eq(BYTES(pattern, n - 1), start);
}

static bool fits_any(const struct platform_texts *l, struct bytes word)
{
	for (size_t i = 0; i < l->n; i++)
		if (fits(l->v[i], word))
			return true;
	return false;
}

static void diff_grammar(const struct platform_command_line *c, struct bytes line, struct diff *d)
{
	struct bytes rest = line, w;

	while (word_next(&rest, &w)) {
		if (fits_any(&c->forbidden, w))
			differs(d, '+', w, " (forbidden)");
		else if (!c->allow_other && !fits_any(&c->required, w) && !fits_any(&c->allowed, w))
			differs(d, '+', w, "");
	}
	for (size_t i = 0; i < c->required.n; i++) {
		bool there = false;

		for (rest = line; !there && word_next(&rest, &w);)
			there = fits(c->required.v[i], w);
		if (!there)
			differs(d, '-', bytes_str(c->required.v[i]), " (required)");
	}
}

/* The approved line that differs least, and by what. There is at least one. */
static const struct platform_command_line *nearest_line(const struct firmware_work *w, struct bytes line,
							struct diff *ret)
{
	const struct platform_command_line *nearest = NULL;

	for (size_t i = 0; i < w->rules->n_command_lines; i++) {
		const struct platform_command_line *c = &w->rules->command_lines[i];
		struct diff d = { 0 };

		if (c->exact != NULL)
			diff_exact(c->exact, line, &d);
		else
			diff_grammar(c, line, &d);
		if (nearest == NULL || d.n < ret->n) {
			nearest = c;
			*ret = d;
		}
	}
	return nearest;
}

static void say(struct platform_failure *f, const struct platform_command_line *nearest, const struct diff *d)
{
	PSAY(f->expected, "%s",
	     nearest->exact != NULL ? nearest->exact : "the words that the profile wants, no others");
	PSAY(f->seen, "%s", d->text);
}

static enum ruling judge_text(struct firmware_work *w, struct bytes line)
{
	struct diff d = { 0 };
	const struct platform_command_line *nearest = nearest_line(w, line, &d);

	w->command_line_seen = true;
	if (d.n == 0)
		return RULING_APPROVED;
	say(firmware_fail(w, "P-profile", "firmware.command_lines", "kernel command line"), nearest, &d);
	return RULING_REFUSED;
}

void command_line_say(const struct firmware_work *w, struct platform_failure *f)
{
	struct diff d = { 0 };

	say(f, nearest_line(w, w->in->command_line, &d), &d);
}

struct err command_line_claimed(struct firmware_work *w)
{
	cleanup_buf struct buf line = BUF_INIT(LIMIT_COMMAND_LINE + 1);
	const char *text;
	struct err e;

	/* Anything but plain text could be shown as something else than it is. */
	for (size_t i = 0; i < w->in->command_line.n; i++)
		if (w->in->command_line.p[i] < 0x20 || w->in->command_line.p[i] > 0x7e)
			return ERR(E_OK);
	if (w->in->command_line.n == 0 || w->in->command_line.n > LIMIT_COMMAND_LINE || w->rules->n_command_lines == 0)
		return ERR(E_OK);
	if (failed(e = buf_add(&line, w->in->command_line)) || failed(e = buf_cstr(&line, &text)))
		return e;
	return boot_line_digests(text, w->in->bank, &w->claimed);
}

static struct err hash_lines(struct firmware_work *w)
{
	size_t n = w->rules->n_command_lines;
	struct err e;

	if (w->n_hashed == n)
		return ERR(E_OK);
	w->hashed = calloc(n, sizeof(*w->hashed));
	if (w->hashed == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (; w->n_hashed < n; w->n_hashed++) {
		const char *exact = w->rules->command_lines[w->n_hashed].exact;

		if (exact != NULL && failed(e = boot_line_digests(exact, w->in->bank, &w->hashed[w->n_hashed])))
			return e;
	}
	return ERR(E_OK);
}

/*
 * A digest that no exact line has is that of the line which the host claims, and then judged by its words; or it is
 * left to "events". With a grammar it may be right, but its text is not in the log. What the words do not allow is not
 * refused here, for "events" may know the digest, as it may without the claim.
 */
static struct err judge_digest(struct firmware_work *w, struct bytes digest, bool section, enum ruling *ret)
{
	struct err e;

	if (failed(e = hash_lines(w)))
		return e;
	w->strict = true;
	for (size_t i = 0; i < w->n_hashed; i++)
		w->strict = w->strict && w->rules->command_lines[i].exact != NULL;
	for (size_t i = 0; i < w->n_hashed && *ret == RULING_NONE; i++) {
		if (boot_line_is(&w->hashed[i], section, digest))
			*ret = RULING_APPROVED;
	}
	if (*ret == RULING_NONE && boot_line_is(&w->claimed, section, digest)) {
		struct diff d = { 0 };

		(void)nearest_line(w, w->in->command_line, &d);
		*ret = d.n == 0 ? RULING_APPROVED : RULING_NONE;
		w->strict = w->line_known = d.n > 0;
	}
	if (*ret == RULING_APPROVED)
		w->command_line_seen = true;
	return ERR(E_OK);
}

struct err rule_command_line(struct firmware_work *w, const struct evdata *d, enum ruling *ret)
{
	const struct evlog_event *ev = d->ev;
	bool section = w->section_is_command_line && ev->pcr == 11;
	struct bytes digest = ev->digest[w->in->bank], line;
	enum evdata_text kind;
	struct evdata_tag tag;
	struct err e;

	if (ev->pcr == 11)
		w->section_is_command_line = false;
	if (ev->type == EV_EVENT_TAG && !failed(evdata_parse_tag(ev->data, &tag)) &&
	    tag.id == EVDATA_TAG_LINUX_LOAD_OPTIONS)
		return judge_digest(w, digest, false, ret);
	if (ev->type != EV_IPL)
		return ERR(E_OK);
	if (section)
		return judge_digest(w, digest, true, ret);
	buf_clear(&w->text);
	e = evdata_text(d, &kind, &w->text);
	if (e.code == E_LOCAL_MEMORY)
		return e;
	if (failed(e))
		return ERR(E_OK);
	if (kind == EVDATA_TEXT_STUB_SECTION)
		w->section_is_command_line = bytes_eq(buf_bytes(&w->text), BYTES_LIT(".cmdline"));
	else if (boot_event_command_line(kind, buf_bytes(&w->text), &line))
		*ret = judge_text(w, line);
	return ERR(E_OK);
}
