/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/grub.h"

#include <string.h>

#include "base/log.h"
#include "base/rd.h"

#define MAX_LINE 4096

/* Commands that read no file, so that the list is complete when all are of these. */
static const char *const plain_commands[] = { "set", "serial", "terminal_input", "terminal_output", "echo", "boot" };

struct line {
	char text[MAX_LINE]; /* words with one space between them */
	size_t n;
};

/* Neither quotes nor what the script language gives a meaning. */
static bool plain_char(char c)
{
	return c >= 0x20 && c <= 0x7e && strchr("'\"\\$;{}&|<>*?[]`", c) == NULL;
}

/* One space between words, none around them. E_PEER_RANGE; E_LIMIT_SIZE. */
static struct err tidy(struct bytes in, struct line *ret)
{
	ret->n = 0;
	for (size_t i = 0; i < in.n; i++) {
		const char c = in.p[i] == '\t' ? ' ' : (char)in.p[i];

		if (!plain_char(c))
			return ERR(E_PEER_RANGE);
		if (c == ' ' && (ret->n == 0 || ret->text[ret->n - 1] == ' '))
			continue;
		if (ret->n == sizeof(ret->text) - 1)
			return ERR(E_LIMIT_SIZE);
		ret->text[ret->n++] = c;
	}
	while (ret->n > 0 && ret->text[ret->n - 1] == ' ')
		ret->n--;
	ret->text[ret->n] = '\0';
	return ERR(E_OK);
}

static struct err add_text(struct prediction *p, enum predict_role role, const char *prefix, const struct line *l)
{
	const struct bytes digested = BYTES(l->text, l->n);

	return predict_add(p, role, 8, EV_IPL, 1, &digested, "%s: %s", prefix, l->text);
}

static struct err add_file(struct prediction *p, enum predict_role role, struct bytes data, const char *what)
{
	return predict_add(p, role, 9, EV_IPL, 1, &data, "%s", what);
}

static bool first_word(const struct line *l, const char *word)
{
	const size_t n = strlen(word);

	return strncmp(l->text, word, n) == 0 && (l->text[n] == ' ' || l->text[n] == '\0');
}

/* The next line of grub.cfg; false at its end. */
static bool next_line(struct rd *r, struct bytes *ret)
{
	const struct bytes rest = BYTES(r->p + r->off, rd_left(r));
	const uint8_t *nl;

	if (rest.n == 0)
		return false;
	nl = memchr(rest.p, '\n', rest.n);
	return !failed(rd_bytes(r, nl == NULL ? rest.n : (size_t)(nl - rest.p), ret)) &&
	       (nl == NULL || !failed(rd_bytes(r, 1, &(struct bytes){ 0 })));
}

enum config_kind { CONFIG_PLAIN, CONFIG_PROGRAM };

/* Whether grub.cfg is a list of commands that are known here, each line one. */
static enum config_kind config_kind(struct bytes config, size_t n_initrds, struct line *l)
{
	struct rd r = RD(config);
	struct bytes line;
	size_t n_linux = 0, n_initrd_files = 0;

	while (next_line(&r, &line)) {
		bool known = false;

		if (line.n > 0 && line.p[0] == '#')
			continue;
		if (failed(tidy(line, l)))
			return CONFIG_PROGRAM;
		for (size_t i = 0; i < array_len(plain_commands); i++)
			known = known || first_word(l, plain_commands[i]);
		if (first_word(l, "linux"))
			n_linux++;
		else if (first_word(l, "initrd"))
			for (const char *c = l->text; *c != '\0'; c++)
				n_initrd_files += *c == ' ' ? 1 : 0;
		else if (l->n > 0 && !known)
			return CONFIG_PROGRAM;
	}
	return n_linux == 1 && n_initrd_files == n_initrds ? CONFIG_PLAIN : CONFIG_PROGRAM;
}

static struct err add_initrds(const struct grub_boot *boot, enum predict_role role, struct prediction *p)
{
	struct err e;

	for (size_t i = 0; i < boot->n_initrds; i++) {
		if (failed(e = add_file(p, role, boot->initrd[i], "initrd that GRUB reads")))
			return e;
	}
	return ERR(E_OK);
}

/* Everything behind the first word. */
static void behind_command(struct line *l)
{
	const char *space = strchr(l->text, ' ');
	const size_t skip = space == NULL ? l->n : (size_t)(space - l->text) + 1;

	memmove(l->text, l->text + skip, l->n - skip + 1);
	l->n -= skip;
}

static struct err add_config_line(const struct grub_boot *boot, struct line *l, struct prediction *p)
{
	struct err e;

	if (failed(e = add_text(p, ROLE_COMMAND, "grub_cmd", l)))
		return e;
	if (first_word(l, "initrd"))
		return add_initrds(boot, ROLE_FILE_KERNEL, p);
	if (!first_word(l, "linux"))
		return ERR(E_OK);
	behind_command(l);
	if (failed(e = add_file(p, ROLE_FILE_KERNEL, boot->kernel->file, "kernel that GRUB reads")))
		return e;
	predict_line(p, bytes_str(l->text));
	return add_text(p, ROLE_COMMAND, "kernel_cmdline", l);
}

/* All of grub.cfg. */
static struct err add_config(const struct grub_boot *boot, struct line *l, struct prediction *p)
{
	struct rd r = RD(boot->config);
	struct bytes line;
	struct err e;

	while (next_line(&r, &line)) {
		if (line.n > 0 && line.p[0] == '#')
			continue;
		if (failed(e = tidy(line, l)))
			return e;
		if (l->n > 0 && failed(e = add_config_line(boot, l, p)))
			return e;
	}
	return ERR(E_OK);
}

/* The commands that load kernel and initrd, whatever stands around them. */
static struct err add_commands(const struct grub_boot *boot, struct line *l, struct prediction *p)
{
	char text[MAX_LINE];
	int n;
	struct err e;

	if (failed(e = add_file(p, ROLE_FILE_KERNEL, boot->kernel->file, "kernel that GRUB reads")) ||
	    failed(e = add_initrds(boot, ROLE_FILE_INITRD, p)))
		return e;
	if (boot->kernel_path == NULL || boot->cmdline == NULL) {
		predict_note(
			p, "PCR 8: the kernel's path and command line were not given, so its events are not predicted");
		return ERR(E_OK);
	}
	n = snprintf(text, sizeof(text), "linux %s %s", boot->kernel_path, boot->cmdline);
	if (n < 0 || (size_t)n >= sizeof(text))
		return ERR(E_LIMIT_SIZE);
	if (failed(e = tidy(bytes_str(text), l)) || failed(e = add_text(p, ROLE_CMD_LINUX, "grub_cmd", l)))
		return e;
	behind_command(l);
	predict_line(p, bytes_str(l->text));
	if (failed(e = add_text(p, ROLE_CMDLINE, "kernel_cmdline", l)) || boot->initrd_paths == NULL)
		return e;
	n = snprintf(text, sizeof(text), "initrd %s", boot->initrd_paths);
	if (n < 0 || (size_t)n >= sizeof(text))
		return ERR(E_LIMIT_SIZE);
	if (failed(e = tidy(bytes_str(text), l)))
		return e;
	return add_text(p, ROLE_CMD_INITRD, "grub_cmd", l);
}

static struct err add_images(const struct grub_boot *boot, struct prediction *p)
{
	struct err e;

	if (boot->shim != NULL && failed(e = predict_add_image(p, ROLE_SHIM, boot->shim, "shim")))
		return e;
	if (failed(e = predict_add_image(p, ROLE_GRUB, boot->grub, "GRUB")) ||
	    failed(e = predict_add_image(p, ROLE_KERNEL, boot->kernel, "kernel")))
		return e;
	predict_optional(p);
	return ERR(E_OK);
}

struct err grub_predict(const struct grub_boot *boot, struct prediction *p, struct reason *reterr)
{
	cleanup_free struct line *l = calloc(1, sizeof(*l));
	struct err e;

	if (l == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = add_images(boot, p)))
		return e;
	predict_note(p,
		     "PCR 4, 8 and 9: what the firmware, and the script that is built into GRUB, measure is known only "
		     "from the log of an earlier boot (--base)");
	if (boot->config.n > 0 && failed(e = add_file(p, ROLE_CONFIG, boot->config, "grub.cfg")))
		return e;
	if (boot->config.n > 0 && config_kind(boot->config, boot->n_initrds, l) == CONFIG_PLAIN)
		return add_config(boot, l, p);
	if (boot->config.n > 0)
		predict_note(p,
			     "PCR 8 and 9: this grub.cfg is a program; only the commands that load kernel and initrd "
			     "are predicted, the others must be as in the earlier boot");
	e = add_commands(boot, l, p);
	if (e.code == E_PEER_RANGE)
		reason_set(reterr,
			   "paths and command line must be printable ASCII without quotes, backslashes and what "
			   "GRUB's scripts give a meaning");
	return e;
}

static struct err copy_text(struct bytes b, char ret[LIMIT_PATH])
{
	if (b.n >= LIMIT_PATH)
		return ERR(E_LIMIT_SIZE);
	for (size_t i = 0; i < b.n; i++)
		ret[i] = (char)b.p[i];
	ret[b.n] = '\0';
	return ERR(E_OK);
}

/* What stands behind the prefix, up to the NUL; false for another event. */
static bool behind(const struct evlog_event *ev, const char *prefix, struct bytes *ret)
{
	struct rd r = RD(ev->data);
	struct bytes head;

	if (ev->pcr != 8 || ev->type != EV_IPL || failed(rd_bytes(&r, strlen(prefix), &head)) ||
	    !bytes_eq(head, bytes_str(prefix)))
		return false;
	*ret = rd_rest(&r);
	if (ret->n > 0 && ret->p[ret->n - 1] == 0)
		ret->n--;
	return true;
}

struct err grub_paths(const struct evlog *log, char ret_kernel[LIMIT_PATH], char ret_initrds[LIMIT_PATH])
{
	struct evlog_pos pos = { 0 };
	struct evlog_event ev;
	struct bytes text;
	struct err e;

	ret_kernel[0] = ret_initrds[0] = '\0';
	for (;;) {
		const uint8_t *space;

		if (failed(e = evlog_next(log, &pos, &ev, NULL)))
			return e;
		if (ev.end)
			break;
		if (behind(&ev, "grub_cmd: linux ", &text)) {
			space = text.n == 0 ? NULL : memchr(text.p, ' ', text.n);
			if (space != NULL)
				text.n = (size_t)(space - text.p);
			e = copy_text(text, ret_kernel);
		} else if (behind(&ev, "grub_cmd: initrd ", &text)) {
			e = copy_text(text, ret_initrds);
		}
		if (failed(e))
			return e;
	}
	return ret_kernel[0] == '\0' ? ERR(E_PEER_MISSING) : ERR(E_OK);
}
