/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/predict_profile.h"

#include <string.h>

#include "base/text.h"
#include "firmware-measure/boot_event.h"

/* Of a platform document. */
#define MAX_LIST 1024
#define MAX_LINES 256
#define MAX_EVENTS 256

struct work {
	const struct prediction *p;
	const struct predict_result *r;
	enum digest_id bank;
	json_t *firmware;           /* borrowed from the profile */
	uint32_t compared, ignored; /* registers */
	struct boot_line line;
	struct digest command[2]; /* GRUB's commands that hold the line */
	size_t n_added;
	struct reason *reterr;
};

static struct err refuse(struct work *w, enum err_code code, const char *what)
{
	reason_set(w->reterr, "%s", what);
	return ERR(code);
}

/* A list of the profile, made where it is not there and may be. */
static struct err list_of(struct work *w, json_t *o, const char *key, json_t **ret)
{
	struct err e;

	*ret = json_object_get(o, key);
	if (*ret == NULL) {
		if (failed(e = json_put(o, key, json_array())))
			return e;
		*ret = json_object_get(o, key);
	}
	if (json_is_array(*ret))
		return ERR(E_OK);
	reason_set(w->reterr, "profile: %s is not a list", key);
	return ERR(E_PEER_TYPE);
}

static struct err add_digest(struct work *w, json_t *o, struct bytes digest)
{
	char hex[2 * DIGEST_MAX + 1];
	json_t *list, *item;
	size_t i;
	struct err e;

	if (failed(e = list_of(w, o, "digests", &list)) || failed(e = hex_encode(digest, hex, sizeof(hex))))
		return e;
	json_array_foreach(list, i, item)
	{
		if (json_is_string(item) && strcasecmp(json_string_value(item), hex) == 0)
			return ERR(E_OK);
	}
	if (json_array_size(list) >= MAX_LIST)
		return refuse(w, E_LIMIT_COUNT, "a list of the profile is full: it holds 1024 digests");
	if (json_array_append_new(list, json_string(hex)) != 0)
		return ERR(E_LOCAL_MEMORY);
	w->n_added++;
	return ERR(E_OK);
}

/* The row of "events" for this register and type. */
static struct err row_of(struct work *w, const struct predict_event *ev, json_t **ret)
{
	const char *name = evlog_type_name(ev->type);
	cleanup_json json_t *made = NULL;
	json_t *rows, *row;
	size_t i;
	struct err e;

	if (name == NULL)
		return ERR(E_BUG);
	if (failed(e = list_of(w, w->firmware, "events", &rows)))
		return e;
	json_array_foreach(rows, i, row)
	{
		const char *type = json_string_value(json_object_get(row, "type"));

		if (json_integer_value(json_object_get(row, "pcr")) == (json_int_t)ev->pcr && type != NULL &&
		    strcmp(type, name) == 0) {
			*ret = row;
			return ERR(E_OK);
		}
	}
	if (json_array_size(rows) >= MAX_EVENTS)
		return refuse(w, E_LIMIT_COUNT, "firmware.events of the profile is full: it holds 256 rows");
	if (failed(e = json_new_object(&made)) || failed(e = json_put_int(made, "pcr", ev->pcr)) ||
	    failed(e = json_put_str(made, "type", name)))
		return e;
	*ret = made;
	return json_array_append_new(rows, take_ptr(&made)) == 0 ? ERR(E_OK) : ERR(E_LOCAL_MEMORY);
}

static struct err add_line(struct work *w, json_t *rows)
{
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		const char *exact = json_string_value(json_object_get(row, "exact"));

		if (exact != NULL && strcmp(exact, w->p->line) == 0)
			return ERR(E_OK);
	}
	if (json_array_size(rows) >= MAX_LINES)
		return refuse(w, E_LIMIT_COUNT, "firmware.command_lines of the profile is full: it holds 256 lines");
	if (json_array_append_new(rows, json_pack("{s:s}", "exact", w->p->line)) != 0)
		return ERR(E_LOCAL_MEMORY);
	w->n_added++;
	return ERR(E_OK);
}

/* Whether the event measures the command line, in any of the forms that a verifier knows again. */
static bool is_line(const struct work *w, const struct predict_event *ev)
{
	struct bytes digest = digest_bytes(&ev->digest[w->bank]);

	if (w->p->line[0] == '\0')
		return false;
	if (ev->type == EV_EVENT_TAG || ev->pcr == 12)
		return boot_line_is(&w->line, false, digest);
	if (ev->pcr == 8)
		return boot_line_is(&w->line, true, digest) || bytes_eq(digest_bytes(&w->command[0]), digest) ||
		       bytes_eq(digest_bytes(&w->command[1]), digest);
	return ev->type == EV_IPL && ev->pcr == 11 && boot_line_is(&w->line, true, digest);
}

static struct err approve(struct work *w, const struct predict_event *ev)
{
	json_t *applications = json_object_get(w->firmware, "boot_applications");
	json_t *lines = json_object_get(w->firmware, "command_lines");
	struct bytes digest = digest_bytes(&ev->digest[w->bank]);
	json_t *row = NULL;
	struct err e;

	if (ev->type == EV_EFI_BOOT_SERVICES_APPLICATION && json_is_object(applications))
		return add_digest(w, applications, digest);
	if (json_is_array(lines) && is_line(w, ev))
		return add_line(w, lines);
	return failed(e = row_of(w, ev, &row)) ? e : add_digest(w, row, digest);
}

static struct err approve_event(struct work *w, size_t i)
{
	const struct predict_event *ev = &w->p->ev[i];
	const uint32_t bit = 1U << ev->pcr;

	if (w->r->left_out[i] || (w->ignored & bit) != 0)
		return ERR(E_OK);
	if ((w->compared & bit) == 0) {
		reason_set(w->reterr,
			   "this boot measures into register %u (%s), which the profile neither compares nor ignores",
			   ev->pcr, ev->what);
		return ERR(E_PEER_RANGE);
	}
	if (ev->type == PREDICT_USERSPACE) {
		reason_set(w->reterr,
			   "%s: no firmware log holds it, so no rule over one can approve register %u with it",
			   ev->what, ev->pcr);
		return ERR(E_PEER_UNSUPPORTED);
	}
	return approve(w, ev);
}

/* Registers of "pcrs", or of the rows of "ignored". */
static struct err read_mask(struct work *w, const char *key, uint32_t *ret)
{
	json_t *list = json_object_get(w->firmware, key), *item;
	uint32_t mask = 0;
	size_t i;

	json_array_foreach(list, i, item)
	{
		const json_t *n = json_is_object(item) ? json_object_get(item, "pcr") : item;

		if (!json_is_integer(n) || json_integer_value(n) < 0 || json_integer_value(n) >= LIMIT_PCRS) {
			reason_set(w->reterr, "profile: firmware.%s[%zu]: there is no such register", key, i);
			return ERR(E_PEER_TYPE);
		}
		mask |= 1U << json_integer_value(n);
	}
	*ret = mask;
	return ERR(E_OK);
}

static struct err hash_line(struct work *w)
{
	static const char *const commands[] = { "linux ", "linuxefi " };
	struct err e;

	if (failed(e = boot_line_digests(w->p->line, w->bank, &w->line)))
		return e;
	for (size_t i = 0; i < array_len(commands); i++) {
		const struct bytes parts[] = { bytes_str(commands[i]), bytes_str(w->p->line) };

		if (failed(e = digest_of(w->bank, &w->command[i], array_len(parts), parts)))
			return e;
	}
	return ERR(E_OK);
}

/* The note that says why a register is not certain, or nothing. */
static const char *note_of(const struct prediction *p, unsigned pcr)
{
	char start[16];

	(void)snprintf(start, sizeof(start), "PCR %u: ", pcr);
	for (size_t i = 0; i < p->n_notes; i++)
		if (strncmp(p->note[i].text, start, strlen(start)) == 0)
			return p->note[i].text + strlen(start);
	return "";
}

/* A profile that lacks what could not be predicted would refuse the boot, or approve it without knowing. */
static struct err check_certain(struct work *w)
{
	const uint32_t unsure = w->r->uncertain & w->compared;

	for (unsigned pcr = 0; pcr < LIMIT_PCRS; pcr++) {
		const char *note = note_of(w->p, pcr);

		if ((unsure >> pcr & 1) == 0)
			continue;
		reason_set(w->reterr, "register %u, which the profile compares, cannot be predicted%s%.300s", pcr,
			   note[0] != '\0' ? ": " : "", note);
		return ERR(E_PEER_UNSUPPORTED);
	}
	return ERR(E_OK);
}

struct err predict_profile(const struct prediction *p, const struct predict_result *r, enum digest_id bank,
			   json_t *profile, size_t *ret, struct reason *reterr)
{
	struct work w = { .p = p, .r = r, .bank = bank, .reterr = reterr };
	struct err e;

	w.firmware = json_object_get(profile, "firmware");
	if (!json_is_object(w.firmware))
		return refuse(&w, E_PEER_MISSING, "profile: no member \"firmware\", to which a boot could be added");
	if (failed(e = read_mask(&w, "pcrs", &w.compared)) || failed(e = read_mask(&w, "ignored", &w.ignored)) ||
	    failed(e = check_certain(&w)) || failed(e = hash_line(&w)))
		return e;
	for (size_t i = 0; i < p->n; i++)
		if (failed(e = approve_event(&w, i)))
			return e;
	*ret = w.n_added;
	return ERR(E_OK);
}
