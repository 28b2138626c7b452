/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/credential.h"

#include <fcntl.h>
#include <time.h>

#include "attest/daemon/ask.h"
#include "attest/interval.h"
#include "base/file.h"
#include "base/log.h"

static struct err fetch(const struct credential *c, json_t **ret)
{
	struct request q = c->request;

	c->why->text[0] = '\0';
	if (c->id != NULL)
		return c->get(c, ret);
	return ask(conf_socket(&c->app->flags), &q, ASK_TIMEOUT_S, NULL, ret, c->why);
}

struct err credential_put(const struct credential *c, const json_t *answer, const char *member, const char *end,
			  const char *path, mode_t mode)
{
	const char *text = json_string_value(json_object_get(answer, member));
	cleanup_buf struct buf b = BUF_INIT(LIMIT_SMALL);
	struct err e;

	if (text == NULL)
		return ERR(E_PEER_MISSING);
	if (failed(e = buf_addf(&b, "%s%s", text, end)) ||
	    failed(e = file_write(AT_FDCWD, path, buf_bytes(&b), mode)))
		reason_set(c->why, "%s: %s", path, err_text(e));
	return e;
}

/* Into the file; tells how long it lives. */
static struct err put(const struct credential *c, const json_t *answer, int64_t *ret_life_s)
{
	*ret_life_s = json_integer_value(json_object_get(answer, "expires_in"));
	return *ret_life_s <= 0 ? ERR(E_PEER_MISSING) : c->write(c, answer);
}

static void pause_s(int64_t s)
{
	uint64_t ms = interval_jitter((uint64_t)s * 1000);

	(void)nanosleep(&(struct timespec){ .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000 }, NULL);
}

/* Too many at a time is no word about the token. */
static bool is_refusal(struct err e)
{
	return exit_for(e) == EXIT_REJECTED && e.code != E_LIMIT_RATE;
}

/* A new one each time when two thirds of the last one's life are over, until that is refused. What has expired goes away. */
static int keep(const struct credential *c)
{
	int64_t life_s = 0, expires_s = 0;

	for (;;) {
		cleanup_json json_t *answer = NULL;
		struct err e;

		if (!failed(e = fetch(c, &answer)) && !failed(e = put(c, answer, &life_s))) {
			expires_s = clock_now_s() + life_s;
			pause_s(life_s * 2 / 3 > 0 ? life_s * 2 / 3 : 1);
			continue;
		}
		/* Nothing could be decided: the last one is good until its end. */
		if (!is_refusal(e) && expires_s != 0 && clock_now_s() < expires_s) {
			log_warning("no new %s yet: %s", c->name, c->why->text[0] != '\0' ? c->why->text : err_text(e));
			pause_s(1);
			continue;
		}
		(void)unlink(c->out);
		return app_failed(c->app, e, c->why);
	}
}

static int deliver(const struct credential *c)
{
	cleanup_json json_t *answer = NULL;
	int64_t life_s;
	struct err e;

	if (c->renew)
		return keep(c);
	if (failed(e = fetch(c, &answer)) ||
	    failed(e = c->out == NULL ? c->print(c, answer) : put(c, answer, &life_s)))
		return app_failed(c->app, e, c->why);
	return EXIT_ACCEPTED;
}

/* For root, who names an instance. */
static int deliver_by_ourselves(struct credential *c)
{
	cleanup_conf struct conf conf = { 0 };
	cleanup_host struct host host = HOST_INIT;
	int status = app_open_enrolled(c->app, &conf, &host);

	if (status >= 0)
		return status;
	c->host = &host;
	c->why = &host.why;
	return deliver(c);
}

int credential_deliver(struct credential *c, const char *instance)
{
	struct reason why = { "" };
	uint8_t id[INSTANCE_ID_LEN];

	if (c->renew && c->out == NULL)
		return usage_error(c->app->program, "--renew needs --out FILE");
	c->why = &why;
	if (instance == NULL)
		return deliver(c);
	if (failed(instance_id_parse(instance, id)))
		return usage_error(c->app->program, "--instance: not 32 lower-case hex digits");
	c->id = id;
	return deliver_by_ourselves(c);
}
