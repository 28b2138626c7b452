/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/diff_say.h"

#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "base/x509.h"
#include "firmware-measure/evdata.h"

#define MAX_VALUE (64 * KIB)

struct label {
	char text[400];
};

static const char *tag_name(uint32_t id)
{
	return id == EVDATA_TAG_LINUX_INITRD         ? "initrd"
	       : id == EVDATA_TAG_LINUX_LOAD_OPTIONS ? "kernel load options"
	       : id == EVDATA_TAG_SD_LOADER_CONF     ? "loader.conf"
						     : "tagged event";
}

/* Which variable, in the words that people use. */
static void name_variable(const struct evlog_event *ev, struct label *l)
{
	cleanup_buf struct buf name = BUF_INIT(MAX_VALUE);
	const char *by = ev->type == EV_EFI_VARIABLE_AUTHORITY ? "authority " : "";
	struct evdata_variable v;

	if (failed(evdata_parse_variable(ev->data, &v)) || failed(utf16_to_utf8(v.name, &name)))
		(void)snprintf(l->text, sizeof(l->text), "%svariable", by);
	else if (v.id == EFI_VAR_SECURE_BOOT)
		(void)snprintf(l->text, sizeof(l->text), "Secure Boot");
	else
		(void)snprintf(l->text, sizeof(l->text), "%s%s", by, log_quote(buf_bytes(&name)));
}

static void name_image(const struct evlog_event *ev, struct label *l)
{
	cleanup_buf struct buf path = BUF_INIT(MAX_VALUE);
	const char *kind = ev->type == EV_EFI_BOOT_SERVICES_APPLICATION ? "boot application" : "driver";
	struct evdata_image i;
	struct bytes file = BYTES_NONE;

	if (!failed(evdata_parse_image(ev->data, &i)) && !failed(evdata_device_path_file(i.device_path, &file)) &&
	    !failed(utf16_to_utf8(file, &path)) && path.n > 0) {
		/* backslashes would be escaped, and paths of UEFI consist of them */
		for (size_t k = 0; k < path.n; k++)
			if (path.p[k] == '\\')
				path.p[k] = '/';
		(void)snprintf(l->text, sizeof(l->text), "%s %s", kind, log_quote(buf_bytes(&path)));
		for (char *c = l->text; *c != '\0'; c++)
			if (*c == '/')
				*c = '\\';
	} else {
		(void)snprintf(l->text, sizeof(l->text), "%s", kind);
	}
}

static void name_ipl(const struct evlog_event *ev, const struct evdata *d, struct label *l)
{
	cleanup_buf struct buf text = BUF_INIT(MAX_VALUE);
	enum evdata_text kind = EVDATA_TEXT_OTHER;
	const struct bytes data = ev->data;
	const bool utf16 = data.n >= 2 && data.p[data.n - 1] == 0 && data.p[1] == 0;
	struct bytes s = data;

	if (!failed(evdata_text(d, &kind, &text)) && kind != EVDATA_TEXT_OTHER) {
		(void)snprintf(l->text, sizeof(l->text), "%s",
			       kind == EVDATA_TEXT_GRUB_COMMAND     ? "GRUB command"
			       : kind == EVDATA_TEXT_STUB_SECTION   ? "name of a section"
			       : kind == EVDATA_TEXT_MODULE_CMDLINE ? "module command line"
								    : "kernel command line");
		return;
	}
	if (ev->pcr != 9 && ev->pcr != 11) { /* text that nothing covers would look like a fact */
		(void)snprintf(l->text, sizeof(l->text), "text");
		return;
	}
	buf_clear(&text);
	if (utf16 && !failed(utf16_to_utf8(data, &text)))
		s = buf_bytes(&text);
	else if (s.n > 0 && s.p[s.n - 1] == 0)
		s.n--;
	(void)snprintf(l->text, sizeof(l->text), "%s %s",
		       ev->pcr == 11  ? "section"
		       : ev->pcr == 9 ? "file"
				      : "text",
		       log_quote(s));
}

static void name(const struct evlog_event *ev, const struct evdata *d, struct label *l)
{
	const char *type = evlog_type_name(ev->type);
	struct evdata_tag tag;

	switch (ev->type) {
	case EV_EFI_VARIABLE_DRIVER_CONFIG:
	case EV_EFI_VARIABLE_BOOT:
	case EV_EFI_VARIABLE_BOOT2:
	case EV_EFI_VARIABLE_AUTHORITY:
		name_variable(ev, l);
		return;
	case EV_EFI_BOOT_SERVICES_APPLICATION:
	case EV_EFI_BOOT_SERVICES_DRIVER:
	case EV_EFI_RUNTIME_SERVICES_DRIVER:
		name_image(ev, l);
		return;
	case EV_IPL:
		name_ipl(ev, d, l);
		return;
	case EV_EVENT_TAG:
		type = failed(evdata_parse_tag(ev->data, &tag)) ? "tagged event" : tag_name(tag.id);
		break;
	case EV_S_CRTM_VERSION:
		type = "firmware version";
		break;
	case EV_EFI_ACTION:
	case EV_ACTION:
		type = "action";
		break;
	case EV_EFI_PLATFORM_FIRMWARE_BLOB:
	case EV_EFI_PLATFORM_FIRMWARE_BLOB2:
	case EV_POST_CODE:
	case EV_POST_CODE2:
		type = "firmware blob";
		break;
	case EV_EFI_GPT_EVENT:
	case EV_EFI_GPT_EVENT2:
		type = "partition table";
		break;
	default:
		break;
	}
	if (type != NULL)
		(void)snprintf(l->text, sizeof(l->text), "%s", type);
	else
		(void)snprintf(l->text, sizeof(l->text), "event type 0x%08x", ev->type);
}

/* What the digest covers, as text; false where it covers nothing that is text. */
static bool covered_text(const struct evdata *d, struct buf *ret)
{
	struct evdata_variable v;
	enum evdata_text kind;
	bool on;

	if (!failed(evdata_variable(d, &v)))
		return d->cover == EVDATA_COVER_ALL && v.id != EFI_VAR_OTHER &&
		       !failed(evdata_variable_bool(&v, &on)) && !failed(buf_add_str(ret, on ? "on" : "off"));
	return !failed(evdata_text(d, &kind, ret));
}

static struct err digest_text(const struct evdata *d, struct buf *ret)
{
	struct err e;

	buf_clear(ret);
	if (failed(e = buf_addf(ret, "%s:", digest_alg(d->bank)->name)))
		return e;
	return buf_add_hex(ret, d->ev->digest[d->bank]);
}

static struct err entries_text(size_t n, const struct siglist *first, struct buf *ret)
{
	const bool certificate = first->type == SIGLIST_X509;
	cleanup_cert struct cert *c = NULL;
	struct err e;

	if (failed(e = n == 1 ? buf_add_str(ret, certificate ? "certificate " : "1 hash, ")
			      : buf_addf(ret, "%zu entries, the first: ", n)))
		return e;
	if (certificate && !failed(cert_from_der(first->data, &c, NULL)))
		return buf_add_str(ret, cert_subject(c));
	if (failed(e = buf_addf(ret, "%s ", siglist_type_name(first->type))))
		return e;
	return buf_add_hex(ret, BYTES(first->data.p, first->data.n < 32 ? first->data.n : 32));
}

/* Signature databases by their entries. *ret_done: there was something to say. */
static struct err say_entries(const struct diff_to *to, const char *what, const struct evdata *was,
			      const struct evdata *now, bool *ret_done)
{
	struct evdata_variable v[2];
	struct siglist first;
	size_t n;

	*ret_done = false;
	if (was->cover != EVDATA_COVER_ALL || now->cover != EVDATA_COVER_ALL || failed(evdata_variable(was, &v[0])) ||
	    failed(evdata_variable(now, &v[1])) || v[0].id != v[1].id ||
	    (v[0].id != EFI_VAR_PK && v[0].id != EFI_VAR_KEK && v[0].id != EFI_VAR_DB && v[0].id != EFI_VAR_DBX))
		return ERR(E_OK);
	for (int i = 0; i < 2; i++) {
		cleanup_buf struct buf text = BUF_INIT(MAX_VALUE);
		struct diff_change c = { .pcr = was->ev->pcr, .what = what };
		struct err e;

		e = siglist_missing(v[1 - i].contents, v[i].contents, &n, &first);
		if (e.code == E_LOCAL_MEMORY)
			return e;
		if (failed(e) || n == 0)
			continue;
		if (failed(e = entries_text(n, &first, &text)))
			return e;
		*(i == 0 ? &c.was : &c.now) = buf_bytes(&text);
		*ret_done = true;
		if (failed(e = to->fn(to->ctx, &c)))
			return e;
	}
	return ERR(E_OK);
}

static struct bytes next_word(struct bytes *line)
{
	const uint8_t *space = line->n == 0 ? NULL : memchr(line->p, ' ', line->n);
	const size_t n = space == NULL ? line->n : (size_t)(space - line->p);
	const struct bytes word = BYTES(line->p, n), rest = *line;
	const size_t skip = n < rest.n ? n + 1 : n;

	*line = BYTES(rest.p + skip, rest.n - skip);
	return word;
}

/* What is left between the words that both lines begin and end with. */
static void trim_words(struct bytes *a, struct bytes *b)
{
	struct bytes rest_a = *a, rest_b = *b;
	size_t n = 0, last = 0;

	while (a->n > 0 && b->n > 0 && bytes_eq(next_word(&rest_a), next_word(&rest_b))) {
		*a = rest_a;
		*b = rest_b;
	}
	while (n < a->n && n < b->n && a->p[a->n - 1 - n] == b->p[b->n - 1 - n]) {
		n++;
		if (a->p[a->n - n] == ' ')
			last = n;
	}
	/* One line is the end of the other, where a word begins. */
	if (n > 0 && (n == a->n || a->p[a->n - 1 - n] == ' ') && (n == b->n || b->p[b->n - 1 - n] == ' '))
		last = n;
	a->n -= last;
	b->n -= last;
	while (a->n > 0 && a->p[a->n - 1] == ' ')
		a->n--;
	while (b->n > 0 && b->p[b->n - 1] == ' ')
		b->n--;
}

static struct err say_pair(const struct diff_to *to, const struct evdata *was, const struct evdata *now)
{
	cleanup_buf struct buf from = BUF_INIT(MAX_VALUE), into = BUF_INIT(MAX_VALUE);
	struct diff_change c = { .pcr = was->ev->pcr };
	struct label l;
	bool done;
	struct err e;

	name(now->ev, now, &l);
	c.what = l.text;
	if (failed(e = say_entries(to, l.text, was, now, &done)) || done)
		return e;
	if (!covered_text(was, &from) || !covered_text(now, &into) || bytes_eq(buf_bytes(&from), buf_bytes(&into))) {
		if (failed(e = digest_text(was, &from)) || failed(e = digest_text(now, &into)))
			return e;
	}
	c.was = buf_bytes(&from);
	c.now = buf_bytes(&into);
	if (now->ev->type == EV_IPL) {
		trim_words(&c.was, &c.now);
		if (c.was.n == 0 && c.now.n == 0) { /* they differ in spaces */
			c.was = buf_bytes(&from);
			c.now = buf_bytes(&into);
		}
	}
	return to->fn(to->ctx, &c);
}

struct err diff_say(const struct diff_to *to, const struct evlog_event *was, const struct evlog_event *now)
{
	const struct evlog_event *one = was != NULL ? was : now;
	cleanup_buf struct buf text = BUF_INIT(MAX_VALUE);
	struct diff_change c = { .pcr = one->pcr };
	struct evdata d, other;
	struct label l, what;
	struct err e;

	if (failed(e = evdata_verify(one, to->bank, &d)))
		return e;
	if (was != NULL && now != NULL) {
		if (failed(e = evdata_verify(now, to->bank, &other)))
			return e;
		return say_pair(to, &d, &other);
	}
	name(one, &d, &l);
	(void)snprintf(what.text, sizeof(what.text), "1 event %s: %.360s", was != NULL ? "less" : "more", l.text);
	c.what = what.text;
	if ((!covered_text(&d, &text) || text.n == 0) && failed(e = digest_text(&d, &text)))
		return e;
	*(was != NULL ? &c.was : &c.now) = buf_bytes(&text);
	return to->fn(to->ctx, &c);
}
