/* SPDX-License-Identifier: Apache-2.0 */
/* The predicted events in the place of those of an earlier boot. */
#include <string.h>

#include "base/rd.h"
#include "firmware-measure/predict.h"

#define TAG_LOAD_OPTIONS 0x8f3b22edU /* tags of the kernel's EFI stub */
#define TAG_INITRD 0x8f3b22ecU
#define CMD_LINUX "grub_cmd: linux"
#define CMD_INITRD "grub_cmd: initrd"
#define N_ROLES (ROLE_FILE_INITRD + 1)

struct base {
	const struct prediction *p;
	enum digest_id bank;
	bool separated; /* the separator of PCR 4 was seen: what follows is the boot chain */
	size_t n_apps;  /* boot applications behind it, up to here */
	size_t uki_app; /* which of them is the UKI */
	bool has_sections;
	bool config_read;          /* GRUB has read a grub.cfg */
	struct bytes kernel_path;  /* what GRUB was told to read, views of the log */
	struct bytes initrd_paths; /* separated by spaces */
	size_t met[N_ROLES];       /* events of the base by role */
	struct predict_result *ret;
};

static const struct predict_event *predicted(const struct prediction *p, enum predict_role role, size_t k)
{
	for (size_t i = 0; i < p->n; i++) {
		if (p->ev[i].role == role && k-- == 0)
			return &p->ev[i];
	}
	return NULL;
}

static bool predicts(const struct base *b, enum predict_role role)
{
	return predicted(b->p, role, 0) != NULL;
}

static bool starts(struct bytes b, const char *text)
{
	struct bytes head;

	return !failed(bytes_sub(b, 0, strlen(text), &head)) && bytes_eq(head, bytes_str(text));
}

static bool ends(struct bytes b, struct bytes with)
{
	struct bytes tail;

	return b.n >= with.n && !failed(bytes_sub(b, b.n - with.n, with.n, &tail)) && bytes_eq(tail, with);
}

/* A string of the log without the NUL that ends it. */
static struct bytes text_of(const struct evlog_event *ev)
{
	struct bytes t = ev->data;

	if (t.n > 0 && t.p[t.n - 1] == 0)
		t.n--;
	return t;
}

/* What stands behind the first space that follows n characters; with one word only that word. */
static struct bytes words_behind(struct bytes line, size_t n, bool one)
{
	struct rd r = RD(line);
	struct bytes skipped, rest;
	const uint8_t *space;

	if (failed(rd_bytes(&r, n, &skipped)))
		return BYTES_NONE;
	rest = rd_rest(&r);
	space = rest.n == 0 ? NULL : memchr(rest.p, ' ', rest.n);
	if (space == NULL ||
	    failed(bytes_sub(rest, (size_t)(space - rest.p) + 1, rest.n - (size_t)(space - rest.p) - 1, &rest)))
		return BYTES_NONE;
	space = rest.n == 0 ? NULL : memchr(rest.p, ' ', rest.n);
	if (one && space != NULL)
		rest.n = (size_t)(space - rest.p);
	return rest;
}

static bool is_word_of(struct bytes words, struct bytes w)
{
	struct rd r = RD(words);

	while (w.n > 0 && rd_left(&r) >= w.n) {
		const struct rd at = r;
		struct bytes seen;

		if (failed(rd_bytes(&r, w.n, &seen)))
			return false;
		if (bytes_eq(seen, w) && (rd_left(&r) == 0 || words.p[r.off] == ' '))
			return true;
		r = at;
		while (rd_left(&r) > 0 && words.p[r.off] != ' ')
			r.off++;
		if (rd_left(&r) > 0)
			r.off++;
	}
	return false;
}

static enum predict_role app_role(const struct base *b)
{
	const bool shim = predicts(b, ROLE_SHIM);

	if (predicts(b, ROLE_UKI)) {
		if (b->n_apps < b->uki_app)
			return ROLE_NONE; /* a boot loader before it */
		return b->n_apps == b->uki_app ? ROLE_UKI : ROLE_KERNEL;
	}
	if (shim && b->n_apps == 0)
		return ROLE_SHIM;
	return b->n_apps == (shim ? 1 : 0) ? ROLE_GRUB : ROLE_KERNEL;
}

static enum predict_role command_role(struct base *b, struct bytes text)
{
	if (predicts(b, ROLE_COMMAND))
		return b->config_read ? ROLE_COMMAND : ROLE_NONE;
	if (starts(text, "kernel_cmdline: "))
		return ROLE_CMDLINE;
	if (starts(text, CMD_LINUX)) {
		if (!starts(text, CMD_LINUX " "))
			b->ret->uncertain |= 1U << 8; /* linuxefi, linux16: another command than the predicted one */
		b->kernel_path = words_behind(text, strlen(CMD_LINUX), true);
		return ROLE_CMD_LINUX;
	}
	if (starts(text, CMD_INITRD)) {
		b->initrd_paths = words_behind(text, strlen(CMD_INITRD), false);
		return ROLE_CMD_INITRD;
	}
	return ROLE_NONE;
}

static enum predict_role file_role(struct base *b, struct bytes text)
{
	const bool was_read = b->config_read;

	if (ends(text, BYTES_LIT("/grub.cfg"))) {
		b->config_read = true;
		return ROLE_CONFIG;
	}
	if (predicts(b, ROLE_COMMAND)) {
		/* With the whole menu known every file that it reads is known, too. */
		return was_read ? ROLE_FILE_KERNEL : ROLE_NONE;
	}
	if (is_word_of(b->kernel_path, text))
		return ROLE_FILE_KERNEL;
	return is_word_of(b->initrd_paths, text) ? ROLE_FILE_INITRD : ROLE_NONE;
}

static enum predict_role tag_role(const struct evlog_event *ev)
{
	struct rd r = RD(ev->data);
	uint32_t tag;

	if (failed(rd_u32le(&r, &tag)))
		return ROLE_NONE;
	return tag == TAG_LOAD_OPTIONS ? ROLE_LOAD_OPTIONS : tag == TAG_INITRD ? ROLE_LINUX_INITRD : ROLE_NONE;
}

static enum predict_role role_of(struct base *b, const struct evlog_event *ev)
{
	const bool uki = predicts(b, ROLE_UKI);
	enum predict_role role;

	if (ev->pcr == 4 && ev->type == EV_SEPARATOR)
		b->separated = true;
	if (ev->pcr == 4 && ev->type == EV_EFI_BOOT_SERVICES_APPLICATION && b->separated) {
		role = app_role(b);
		b->n_apps++;
		return role;
	}
	if (ev->pcr == 9 && ev->type == EV_EVENT_TAG)
		return tag_role(ev);
	if (ev->type != EV_IPL)
		return ROLE_NONE;
	if (uki)
		return ev->pcr == 11   ? ROLE_SECTION
		       : ev->pcr == 12 ? ROLE_PARAMETER
		       : ev->pcr == 13 ? ROLE_SYSEXT
				       : ROLE_NONE;
	return ev->pcr == 8 ? command_role(b, text_of(ev)) : ev->pcr == 9 ? file_role(b, text_of(ev)) : ROLE_NONE;
}

static struct err add_change(struct base *b, const struct predict_event *ev, uint32_t pcr, struct bytes was)
{
	const struct digest none = { 0 };
	struct predict_result *r = b->ret;
	struct predict_change *c;

	if (ev != NULL && bytes_eq(digest_bytes(&ev->digest[b->bank]), was))
		return ERR(E_OK);
	if (r->n_changes == array_len(r->change))
		return ERR(E_LIMIT_COUNT);
	c = &r->change[r->n_changes++];
	*c = (struct predict_change){ .pcr = pcr, .was.n = (uint8_t)was.n };
	c->will_be = ev == NULL ? none : ev->digest[b->bank];
	(void)snprintf(c->what, sizeof(c->what), "%s", ev == NULL ? "an event that the base has" : ev->what);
	return bytes_copy_exact(was, c->was.v, was.n);
}

static struct err emit(struct base *b, const struct predict_event *ev)
{
	struct evlog_event as_logged = { .pcr = ev->pcr, .type = ev->type };

	as_logged.digest[b->bank] = digest_bytes(&ev->digest[b->bank]);
	return replay_add(&b->ret->replay, &as_logged);
}

/* Predicted events of a role from the k-th on, except that a kernel counts once for each time it was measured. */
static struct err emit_from(struct base *b, enum predict_role role, size_t k)
{
	const struct predict_event *ev;
	struct err e;

	for (; (ev = predicted(b->p, role, k)) != NULL; k++) {
		if (failed(e = emit(b, ev)))
			return e;
	}
	return ERR(E_OK);
}

/* An event of the base that prediction does not touch; what its presence says about others. */
static void kept(struct base *b, enum predict_role role)
{
	if (role == ROLE_KERNEL)
		b->ret->uncertain |= 1U << 4;
	if (role == ROLE_LOAD_OPTIONS || role == ROLE_LINUX_INITRD)
		b->ret->uncertain |= 1U << 9;
	if (role == ROLE_PARAMETER)
		b->ret->uncertain |= 1U << 9 | 1U << 12;
}

static struct err take(struct base *b, const struct evlog_event *ev)
{
	const enum predict_role role = role_of(b, ev);
	const struct bytes was = ev->digest[b->bank];
	const size_t k = b->met[role]++;
	struct err e;

	if (!evlog_extends(ev) || role == ROLE_NONE || !predicts(b, role)) {
		kept(b, role);
		return replay_add(&b->ret->replay, ev);
	}
	if (role == ROLE_KERNEL) {
		if (failed(e = emit(b, predicted(b->p, role, 0))))
			return e;
		return add_change(b, predicted(b->p, role, 0), ev->pcr, was);
	}
	if (k == 0 && failed(e = emit_from(b, role, 0)))
		return e;
	return add_change(b, predicted(b->p, role, k), ev->pcr, was);
}

/* What the base has fewer of. */
static struct err finish(struct base *b)
{
	struct err e;

	for (size_t i = 0; i < b->p->n; i++) {
		const struct predict_event *ev = &b->p->ev[i];

		if (b->met[ev->role] > 0)
			continue;
		b->ret->left_out[i] = ev->optional;
		if (ev->optional)
			continue;
		if (failed(e = emit(b, ev)) || failed(e = add_change(b, ev, ev->pcr, BYTES_NONE)))
			return e;
	}
	for (unsigned role = ROLE_NONE + 1; role < N_ROLES; role++) {
		const struct predict_event *ev;

		for (size_t k = b->met[role]; k > 0 && (ev = predicted(b->p, (enum predict_role)role, k)) != NULL;
		     k++) {
			if (failed(e = add_change(b, ev, ev->pcr, BYTES_NONE)))
				return e;
		}
	}
	return ERR(E_OK);
}

/* Calls fn for each event. */
static struct err each(struct base *b, const struct evlog *log,
		       struct err (*fn)(struct base *, const struct evlog_event *), struct evlog_fault *fault)
{
	struct evlog_pos pos = { 0 };
	struct evlog_event ev;
	struct err e;

	for (;;) {
		if (failed(e = evlog_next(log, &pos, &ev, fault)))
			return e;
		if (ev.end)
			return ERR(E_OK);
		if (failed(e = fn(b, &ev)))
			return e;
	}
}

/* First walk: the UKI is the boot application before the first section that systemd-stub measures. */
static struct err look(struct base *b, const struct evlog_event *ev)
{
	if (ev->pcr == 4 && ev->type == EV_SEPARATOR)
		b->separated = true;
	if (ev->pcr == 4 && ev->type == EV_EFI_BOOT_SERVICES_APPLICATION && b->separated)
		b->n_apps++;
	if (ev->pcr == 11 && ev->type == EV_IPL && !b->has_sections && b->n_apps > 0) {
		b->has_sections = true;
		b->uki_app = b->n_apps - 1;
	}
	return ERR(E_OK);
}

static struct err check_kind(const struct base *b, struct reason *reterr)
{
	if (b->n_apps == 0) {
		reason_set(reterr, "the base log shows no boot application behind the separator of PCR 4");
		return ERR(E_PEER_MISSING);
	}
	if (predicts(b, ROLE_UKI) && !b->has_sections) {
		reason_set(reterr, "the base log shows no boot of a unified kernel image: nothing in PCR 11; "
				   "give the log of one");
		return ERR(E_PEER_MISSING);
	}
	if (!predicts(b, ROLE_UKI) && b->has_sections) {
		reason_set(reterr, "the base log is of the boot of a unified kernel image, not of GRUB");
		return ERR(E_PEER_MISSING);
	}
	return ERR(E_OK);
}

struct err predict_on_base(const struct prediction *p, const struct evlog *base, enum digest_id bank,
			   struct predict_result *ret, struct reason *reterr)
{
	struct base first = { .p = p }, b = { .p = p, .bank = bank, .ret = ret };
	struct evlog_fault fault = { 0 };
	struct err e;

	memset(ret, 0, sizeof(*ret));
	ret->uncertain = p->uncertain;
	if (failed(e = replay_init(base, bank, &ret->replay))) {
		reason_set(reterr, "the base log has no bank %s", digest_alg(bank)->name);
		return e;
	}
	if (failed(e = each(&first, base, look, &fault))) {
		reason_set(reterr, "base log, at byte %zu: %.300s", fault.off, fault.why.text);
		return e;
	}
	if (failed(e = check_kind(&first, reterr)))
		return e;
	b.uki_app = first.uki_app;
	if (failed(e = each(&b, base, take, &fault)) || failed(e = finish(&b)))
		return e;
	if (!ret->replay.complete) {
		reason_set(reterr, "event %zu of the base log has no %s digest", ret->replay.first_gap,
			   digest_alg(bank)->name);
		return ERR(E_PEER_RANGE);
	}
	return ERR(E_OK);
}
