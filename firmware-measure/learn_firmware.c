/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/learn.h"

#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "firmware-measure/boot_event.h"

#define N_DATABASES 3
#define MAX_FINDINGS 16
#define MAX_LINES 256

static const char *const database_names[N_DATABASES] = { "PK", "KEK", "db" };

struct err learn_set_add(json_t *set, const char *member)
{
	return json_object_set_new(set, member, json_true()) == 0 ? ERR(E_OK) : ERR(E_LOCAL_MEMORY);
}

struct err learn_set_add_hex(json_t *set, struct bytes digest)
{
	char text[2 * DIGEST_MAX + 1];
	struct err e = hex_encode(digest, text, sizeof(text));

	return failed(e) ? e : learn_set_add(set, text);
}

struct err learn_set_add_all(json_t *set, json_t *other)
{
	return json_object_update(set, other) == 0 ? ERR(E_OK) : ERR(E_LOCAL_MEMORY);
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct err learn_set_list(json_t *set, json_t **ret)
{
	cleanup_free const char **keys = calloc(json_object_size(set) + 1, sizeof(*keys));
	cleanup_json json_t *list = json_array();
	const char *key;
	json_t *value;
	size_t n = 0;

	if (keys == NULL || list == NULL)
		return ERR(E_LOCAL_MEMORY);
	json_object_foreach(set, key, value) keys[n++] = key;
	qsort(keys, n, sizeof(*keys), compare_strings);
	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(list, json_string(keys[i])) != 0)
			return ERR(E_LOCAL_MEMORY);
	*ret = take_ptr(&list);
	return ERR(E_OK);
}

void learn_firmware_done(struct learn_firmware *l)
{
	for (size_t i = 0; i < N_DATABASES; i++) {
		json_decref(l->certificates[i]);
		json_decref(l->hashes[i]);
		json_decref(l->variable_events[i]);
	}
	json_decref(l->dbx);
	json_decref(l->dbx_events);
	json_decref(l->applications);
	json_decref(l->versions);
	json_decref(l->lines);
	json_decref(l->line_events);
	json_decref(l->events);
	json_decref(l->user_texts);
	json_decref(l->user_digests);
	free(l->given_digests);
	*l = (struct learn_firmware){ 0 };
}

struct err learn_firmware_init(struct learn_firmware *l, enum digest_id bank, uint32_t accepted)
{
	struct err e;

	*l = (struct learn_firmware){ .bank = bank, .accepted = accepted, .lines_plain = true };
	for (size_t i = 0; i < N_DATABASES; i++) {
		l->plain[i] = true;
		if (failed(e = json_new_object(&l->certificates[i])) || failed(e = json_new_object(&l->hashes[i])) ||
		    failed(e = json_new_object(&l->variable_events[i])))
			return e;
	}
	if (failed(e = json_new_object(&l->dbx_events)) || failed(e = json_new_object(&l->applications)) ||
	    failed(e = json_new_object(&l->versions)) || failed(e = json_new_object(&l->lines)) ||
	    failed(e = json_new_object(&l->line_events)) || failed(e = json_new_object(&l->events)) ||
	    failed(e = json_new_object(&l->user_texts)) || failed(e = json_new_object(&l->user_digests)))
		return e;
	return ERR(E_OK);
}

struct err learn_firmware_lines(struct learn_firmware *l, size_t n, const char *const *lines)
{
	struct err e;

	if (n == 0)
		return ERR(E_OK);
	free(l->given_digests);
	l->given_digests = calloc(n, sizeof(*l->given_digests));
	if (l->given_digests == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < n; i++)
		if (failed(e = boot_line_digests(lines[i], l->bank, &l->given_digests[i])))
			return e;
	l->given = lines;
	l->n_given = n;
	return ERR(E_OK);
}

static struct err add_event_digest(json_t *events, uint32_t pcr, uint32_t type, struct bytes digest)
{
	char key[32];
	json_t *set;

	(void)snprintf(key, sizeof(key), "%02u %08x", pcr, type);
	set = json_object_get(events, key);
	if (set == NULL) {
		if (json_object_set_new(events, key, json_object()) != 0)
			return ERR(E_LOCAL_MEMORY);
		set = json_object_get(events, key);
	}
	return learn_set_add_hex(set, digest);
}

/* Certificates and hashes; anything else, or nothing at all, makes the variable one that is known by digest only. */
static struct err learn_database(struct learn_firmware *l, size_t which, struct bytes db)
{
	struct siglist_pos pos = { 0 };
	struct siglist s;
	uint8_t sum[32];
	size_t n = 0;
	struct err e;

	for (;; n++) {
		if (failed(siglist_next(db, &pos, &s))) {
			l->plain[which] = false;
			return ERR(E_OK);
		}
		if (s.end)
			break;
		if (s.type == SIGLIST_X509) {
			if (failed(e = sha256(s.data, sum)) ||
			    failed(e = learn_set_add_hex(l->certificates[which], BYTES_ARR(sum))))
				return e;
		} else if (s.type == SIGLIST_SHA256) {
			if (failed(e = learn_set_add_hex(l->hashes[which], s.data)))
				return e;
		} else {
			l->plain[which] = false;
		}
	}
	l->plain[which] = l->plain[which] && n > 0;
	return ERR(E_OK);
}

/* Only what every host has can be demanded of every host. */
static struct err learn_dbx(struct learn_firmware *l, struct bytes dbx)
{
	cleanup_json json_t *here = json_object(), *both = json_object();
	struct siglist_pos pos = { 0 };
	struct siglist s;
	const char *key;
	json_t *value;
	struct err e;

	if (here == NULL || both == NULL)
		return ERR(E_LOCAL_MEMORY);
	while (!failed(siglist_next(dbx, &pos, &s)) && !s.end)
		if (s.type == SIGLIST_SHA256 && failed(e = learn_set_add_hex(here, s.data)))
			return e;
	if (l->dbx == NULL) {
		l->dbx = take_ptr(&here);
		return ERR(E_OK);
	}
	json_object_foreach(here, key, value) if (json_object_get(l->dbx, key) != NULL &&
						  failed(e = learn_set_add(both, key))) return e;
	json_decref(l->dbx);
	l->dbx = take_ptr(&both);
	return ERR(E_OK);
}

static struct err learn_variable(struct learn_firmware *l, const struct evdata *d, struct bytes digest)
{
	static const enum evdata_variable_id ids[N_DATABASES] = { EFI_VAR_PK, EFI_VAR_KEK, EFI_VAR_DB };
	struct evdata_variable v;
	struct err e;

	if (d->ev->pcr != 7 || failed(evdata_variable(d, &v)))
		return add_event_digest(l->events, d->ev->pcr, d->ev->type, digest);
	if (v.id == EFI_VAR_SECURE_BOOT)
		return ERR(E_OK); /* evlog_check() has seen it */
	if (v.id == EFI_VAR_DBX) {
		if (failed(e = learn_set_add_hex(l->dbx_events, digest)))
			return e;
		return learn_dbx(l, v.contents);
	}
	for (size_t i = 0; i < N_DATABASES; i++) {
		if (v.id != ids[i])
			continue;
		if (failed(e = learn_set_add_hex(l->variable_events[i], digest)))
			return e;
		return learn_database(l, i, v.contents);
	}
	return add_event_digest(l->events, d->ev->pcr, d->ev->type, digest);
}

static bool printable(const char *s)
{
	for (; *s != '\0'; s++)
		if (*s < 0x20 || *s > 0x7e)
			return false;
	return true;
}

/* A given command line that the event measures as a digest, or NULL. */
static const char *given_line(struct learn_firmware *l, const struct evlog_event *ev, bool section)
{
	struct evdata_tag tag;

	if (!section && (ev->type != EV_EVENT_TAG || failed(evdata_parse_tag(ev->data, &tag)) ||
			 tag.id != EVDATA_TAG_LINUX_LOAD_OPTIONS))
		return NULL;
	for (size_t i = 0; i < l->n_given; i++)
		if (boot_line_is(&l->given_digests[i], section, ev->digest[l->bank]))
			return l->given[i];
	return NULL;
}

/* A command line that stands in the log as text; whatever else a boot loader measures is known by digest. */
static struct err learn_loader(struct learn_firmware *l, const struct evdata *d, struct bytes digest)
{
	cleanup_buf struct buf text = BUF_INIT(64 * KIB), line = BUF_INIT(64 * KIB);
	bool section = l->section_is_line && d->ev->pcr == 11;
	const char *s = given_line(l, d->ev, section);
	enum evdata_text kind;
	struct bytes words;
	struct err e;

	if (d->ev->pcr == 11)
		l->section_is_line = false;
	if (s != NULL) {
		if (failed(e = add_event_digest(l->line_events, d->ev->pcr, d->ev->type, digest)))
			return e;
		l->lines_plain = l->lines_plain && printable(s);
		return l->lines_plain ? learn_set_add(l->lines, s) : ERR(E_OK);
	}
	e = d->ev->type == EV_IPL ? evdata_text(d, &kind, &text) : ERR(E_PEER_TYPE);
	if (e.code == E_LOCAL_MEMORY)
		return e;
	if (!failed(e) && kind == EVDATA_TEXT_STUB_SECTION)
		l->section_is_line = bytes_eq(buf_bytes(&text), BYTES_LIT(".cmdline"));
	if (failed(e) || !boot_event_command_line(kind, buf_bytes(&text), &words))
		return add_event_digest(l->events, d->ev->pcr, d->ev->type, digest);
	if (failed(e = buf_add(&line, words)) || failed(e = buf_cstr(&line, &s)) ||
	    failed(e = add_event_digest(l->line_events, d->ev->pcr, d->ev->type, digest)))
		return e;
	l->lines_plain = l->lines_plain && printable(s) && line.n <= 4096;
	return l->lines_plain ? learn_set_add(l->lines, s) : ERR(E_OK);
}

static struct err learn_event(struct learn_firmware *l, const struct evdata *d)
{
	const struct evlog_event *ev = d->ev;
	struct bytes digest = ev->digest[l->bank];

	if (boot_event_structural(d))
		return ERR(E_OK);
	if (ev->type == EV_EFI_VARIABLE_DRIVER_CONFIG)
		return learn_variable(l, d, digest);
	if (ev->type == EV_EFI_BOOT_SERVICES_APPLICATION && ev->pcr == 4)
		return learn_set_add_hex(l->applications, digest);
	if (ev->type == EV_IPL || ev->type == EV_EVENT_TAG)
		return learn_loader(l, d, digest);
	if (ev->pcr == 0 || ev->pcr == 2)
		return learn_set_add_hex(l->versions, digest);
	return add_event_digest(l->events, ev->pcr, ev->type, digest);
}

static struct err learn_walk(struct learn_firmware *l, const struct evlog *log)
{
	struct evlog_pos pos = { 0 };
	struct evlog_event ev;
	struct evdata d;
	struct err e;

	for (;;) {
		if (failed(e = evlog_next(log, &pos, &ev, NULL)))
			return e;
		if (ev.end)
			return ERR(E_OK);
		if (!evlog_extends(&ev))
			continue;
		if (failed(e = evdata_verify(&ev, l->bank, &d)) || failed(e = learn_event(l, &d)))
			return e;
	}
}

/* E2 is no reason to refuse: such data is not used by any rule, and its event is known by digest. */
static struct err check_findings(struct learn_firmware *l, const struct evlog_finding *f, size_t n,
				 struct reason *reterr)
{
	for (size_t i = 0; i < n && i < MAX_FINDINGS; i++) {
		if (f[i].id == EVLOG_E11)
			l->exit_missing = true;
		if (f[i].id == EVLOG_E2 || (l->accepted & 1u << f[i].id) != 0)
			continue;
		reason_set(reterr,
			   "E%d, %s: a verifier would refuse this boot (--accept E%d to learn from it all the same)",
			   (int)f[i].id, f[i].text, (int)f[i].id);
		return ERR(E_AUTH_REFUSED);
	}
	return ERR(E_OK);
}

static struct err at_offset(struct err e, const struct evlog_fault *fault, struct reason *reterr)
{
	if (fault->why.text[0] != '\0')
		reason_set(reterr, "at offset %zu: %s", fault->off, fault->why.text);
	return e;
}

static void compare_registers(struct learn_firmware *l, const struct replay *r)
{
	for (uint32_t pcr = 0; pcr < LIMIT_PCRS; pcr++) {
		if (l->n_logs == 0)
			l->first[pcr] = r->pcr[pcr];
		else if (!bytes_eq(digest_bytes(&l->first[pcr]), digest_bytes(&r->pcr[pcr])))
			l->differs |= 1u << pcr;
	}
	l->extended |= r->extended;
}

struct err learn_firmware_log(struct learn_firmware *l, struct bytes raw, struct reason *reterr)
{
	const struct evlog_check_options options = { 0 };
	struct evlog_finding findings[MAX_FINDINGS];
	enum evlog_secure_boot secure_boot;
	struct evlog_fault fault = { 0 };
	struct evlog log;
	struct replay r;
	size_t n;
	struct err e;

	if (failed(e = evlog_open(raw, &log, &fault)))
		return at_offset(e, &fault, reterr);
	if (!evlog_has_bank(&log, l->bank)) {
		reason_set(reterr, "the log has no %s bank", digest_alg(l->bank)->name);
		return ERR(E_PEER_UNSUPPORTED);
	}
	if (log.header_index != 0) {
		reason_set(reterr, "this is the log of a confidential VM, whose registers no TPM quotes");
		return ERR(E_AUTH_REFUSED);
	}
	if (failed(e = replay_log(&log, l->bank, &r, &fault)) ||
	    failed(e = evlog_check(&log, l->bank, &options, MAX_FINDINGS, findings, &n, &secure_boot, &fault)))
		return at_offset(e, &fault, reterr);
	if (!r.complete) {
		reason_set(reterr, "event %zu has no %s digest", r.first_gap, digest_alg(l->bank)->name);
		return ERR(E_AUTH_REFUSED);
	}
	if (failed(e = check_findings(l, findings, n, reterr)) || failed(e = learn_walk(l, &log)))
		return e;
	compare_registers(l, &r);
	l->n_on += secure_boot == EVLOG_SECURE_BOOT_ON;
	l->n_off += secure_boot == EVLOG_SECURE_BOOT_OFF;
	l->n_logs++;
	return ERR(E_OK);
}

/* Why a register is each host's own, or NULL. */
static const char *own_of_host(const struct learn_firmware *l, uint32_t pcr)
{
	if (pcr == 1)
		return "settings, boot order and tables of each host (serial numbers, MAC addresses)";
	if (pcr == 5 && (l->differs & 1u << 5) != 0)
		return "partition tables differ from host to host";
	if (pcr == 10)
		return "IMA's, which its list explains";
	if (pcr == 13)
		return "the workload's: say workload_pcr_before where the boot measures into it";
	if (pcr == 16 || pcr == 23)
		return "anyone can reset it";
	return NULL;
}

static uint32_t compared(const struct learn_firmware *l)
{
	uint32_t mask = 0;

	for (uint32_t pcr = 0; pcr < LIMIT_PCRS; pcr++)
		if ((l->extended >> pcr & 1) != 0 && own_of_host(l, pcr) == NULL)
			mask |= 1u << pcr;
	return mask;
}

static struct err put_registers(const struct learn_firmware *l, json_t *o)
{
	cleanup_json json_t *pcrs = json_array(), *ignored = json_array();
	uint32_t mask = compared(l);
	struct err e;

	if (pcrs == NULL || ignored == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (uint32_t pcr = 0; pcr < LIMIT_PCRS; pcr++) {
		const char *why = own_of_host(l, pcr);

		if ((mask >> pcr & 1) != 0 && json_array_append_new(pcrs, json_integer((json_int_t)pcr)) != 0)
			return ERR(E_LOCAL_MEMORY);
		if ((l->extended >> pcr & 1) != 0 && why != NULL &&
		    json_array_append_new(ignored, json_pack("{s:i, s:s}", "pcr", (int)pcr, "reason", why)) != 0)
			return ERR(E_LOCAL_MEMORY);
	}
	if (failed(e = json_put(o, "pcrs", take_ptr(&pcrs))))
		return e;
	return json_array_size(ignored) > 0 ? json_put(o, "ignored", take_ptr(&ignored)) : ERR(E_OK);
}

/* A list where the set has members, and no member where it has none. */
static struct err put_set(json_t *o, const char *key, json_t *set)
{
	json_t *list = NULL;
	struct err e;

	if (json_object_size(set) == 0)
		return ERR(E_OK);
	if (json_object_size(set) > LEARN_MAX_LIST)
		return ERR(E_LIMIT_COUNT);
	if (failed(e = learn_set_list(set, &list)))
		return e;
	return json_put(o, key, list);
}

static struct err put_if_any(json_t *o, const char *key, json_t **member)
{
	return json_object_size(*member) > 0 ? json_put(o, key, take_ptr(member)) : ERR(E_OK);
}

/* Digests of a set become a row of "events". */
static struct err events_take(json_t *events, uint32_t pcr, uint32_t type, json_t *set)
{
	char key[32];
	json_t *mine;

	if (json_object_size(set) == 0)
		return ERR(E_OK);
	(void)snprintf(key, sizeof(key), "%02u %08x", pcr, type);
	mine = json_object_get(events, key);
	if (mine != NULL)
		return learn_set_add_all(mine, set);
	return json_object_set_new(events, key, json_deep_copy(set)) == 0 ? ERR(E_OK) : ERR(E_LOCAL_MEMORY);
}

static struct err put_variables(const struct learn_firmware *l, json_t *o, json_t *events)
{
	cleanup_json json_t *variables = json_object();
	struct err e;

	if (variables == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < N_DATABASES; i++) {
		cleanup_json json_t *v = json_object();

		if (v == NULL)
			return ERR(E_LOCAL_MEMORY);
		if (l->plain[i] && (failed(e = put_set(v, "certificates", l->certificates[i])) ||
				    failed(e = put_set(v, "hashes", l->hashes[i])) ||
				    failed(e = put_if_any(variables, database_names[i], &v))))
			return e;
		if (!l->plain[i] &&
		    failed(e = events_take(events, 7, EV_EFI_VARIABLE_DRIVER_CONFIG, l->variable_events[i])))
			return e;
	}
	if (failed(e = put_if_any(o, "variables", &variables)))
		return e;
	if (l->dbx != NULL && json_object_size(l->dbx) > 0 && json_object_size(l->dbx) <= LEARN_MAX_LIST)
		return put_set(o, "dbx", l->dbx);
	return events_take(events, 7, EV_EFI_VARIABLE_DRIVER_CONFIG, l->dbx_events);
}

static struct err put_code(const struct learn_firmware *l, json_t *o)
{
	cleanup_json json_t *applications = json_object(), *versions = json_object();
	struct err e;

	if (applications == NULL || versions == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = put_set(applications, "digests", l->applications)) ||
	    failed(e = put_if_any(o, "boot_applications", &applications)) ||
	    failed(e = put_set(versions, "digests", l->versions)))
		return e;
	return put_if_any(o, "versions", &versions);
}

static struct err put_lines(const struct learn_firmware *l, json_t *o, json_t *events)
{
	cleanup_json json_t *rows = json_array(), *lines = NULL;
	json_t *set;
	const char *key;
	size_t i;
	json_t *line;
	struct err e;

	if (!l->lines_plain || json_object_size(l->lines) > MAX_LINES) {
		json_object_foreach(l->line_events, key,
				    set) if (json_object_get(events, key) != NULL
						     ? failed(e = learn_set_add_all(json_object_get(events, key), set))
						     : failed(e = json_put(events, key, json_deep_copy(set)))) return e;
		return ERR(E_OK);
	}
	if (failed(e = learn_set_list(l->lines, &lines)))
		return e;
	if (rows == NULL)
		return ERR(E_LOCAL_MEMORY);
	json_array_foreach(lines, i, line) if (json_array_append_new(rows, json_pack("{s:O}", "exact", line)) !=
					       0) return ERR(E_LOCAL_MEMORY);
	return json_array_size(rows) > 0 ? json_put(o, "command_lines", take_ptr(&rows)) : ERR(E_OK);
}

static struct err put_events(const struct learn_firmware *l, json_t *o, json_t *events)
{
	cleanup_json json_t *rows = json_array(), *keys = NULL;
	uint32_t mask = compared(l);
	json_t *key;
	size_t i;
	struct err e;

	if (rows == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = learn_set_list(events, &keys)))
		return e;
	json_array_foreach(keys, i, key)
	{
		const char *s = json_string_value(key);
		unsigned pcr = (unsigned)(s[0] - '0') * 10 + (unsigned)(s[1] - '0');
		uint8_t raw[4];
		cleanup_json json_t *row = NULL;
		char number[16];
		const char *name;

		if ((mask >> pcr & 1) == 0)
			continue;
		if (failed(e = hex_decode_exact(bytes_str(s + 3), raw, sizeof(raw))))
			return e;
		name = evlog_type_name((uint32_t)raw[0] << 24 | (uint32_t)raw[1] << 16 | (uint32_t)raw[2] << 8 |
				       raw[3]);
		(void)snprintf(number, sizeof(number), "0x%s", s + 3);
		if (failed(e = json_new_object(&row)) || failed(e = json_put_int(row, "pcr", pcr)) ||
		    failed(e = json_put_str(row, "type", name != NULL ? name : number)) ||
		    failed(e = put_set(row, "digests", json_object_get(events, s))))
			return e;
		if (json_array_append_new(rows, take_ptr(&row)) != 0)
			return ERR(E_LOCAL_MEMORY);
	}
	return json_array_size(rows) > 0 ? json_put(o, "events", take_ptr(&rows)) : ERR(E_OK);
}

struct err learn_firmware_profile(const struct learn_firmware *l, json_t **ret, struct reason *reterr)
{
	cleanup_json json_t *o = NULL, *events = json_deep_copy(l->events);
	const char *secure_boot = l->n_on == l->n_logs ? "required" : l->n_off == l->n_logs ? "off" : "any";
	struct err e;

	if (events == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = json_new_object(&o)) || failed(e = put_registers(l, o)) ||
	    failed(e = json_put_str(o, "secure_boot", secure_boot)) || failed(e = put_variables(l, o, events)) ||
	    failed(e = put_code(l, o)) || failed(e = put_lines(l, o, events)) || failed(e = put_events(l, o, events)) ||
	    failed(e = learn_put_userspace(l, compared(l), o)) ||
	    (l->exit_missing && failed(e = json_put_str(o, "exit_boot_services", "may_be_missing")))) {
		if (e.code == E_LIMIT_COUNT)
			reason_set(reterr, "more than %d different values for one list of a profile", LEARN_MAX_LIST);
		return e;
	}
	*ret = take_ptr(&o);
	return ERR(E_OK);
}
