/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/app.h"

#include <string.h>

#include "attest/daemon/request.h"
#include "base/log.h"

#define GO_ON (-1)

const struct verb *app_verb(const struct app *app, const char *name)
{
	for (size_t i = 0; i < app->program->n_verbs; i++)
		if (strcmp(app->program->verbs[i].name, name) == 0)
			return &app->program->verbs[i];
	return NULL;
}

struct err app_print_json(const json_t *o, FILE *f)
{
	cleanup_buf struct buf line = BUF_INIT(LIMIT_EVIDENCE);
	struct err e;

	if (failed(e = json_write(o, &line)) || failed(e = buf_add_u8(&line, '\n')))
		return e;
	return fwrite(line.p, 1, line.n, f) == line.n && fflush(f) == 0 ? ERR(E_OK) : ERR(E_LOCAL_IO);
}

static struct err print_failure(struct err why, const char *text)
{
	cleanup_buf struct buf line = BUF_INIT(LIMIT_SMALL);
	struct err e;

	if (failed(e = reply_failed(why, text, &line)) || failed(e = buf_add_u8(&line, '\n')))
		return e;
	return fwrite(line.p, 1, line.n, stdout) == line.n && fflush(stdout) == 0 ? ERR(E_OK) : ERR(E_LOCAL_IO);
}

int app_failed(const struct app *app, struct err e, const struct reason *why)
{
	const char *text = why->text[0] != '\0' ? why->text : err_text(e);

	(void)usage_error(app->program, "%s", text);
	/* stderr has it, and the status stays what it was. */
	if (app->json && failed(print_failure(e, text)))
		log_debug("standard output is closed");
	return exit_for(e);
}

int app_open(const struct app *app, struct conf *ret_conf, struct host *ret_host)
{
	struct reason why = { "" };
	enum log_level level;
	struct err e;

	if (failed(e = conf_load(&app->flags, ret_conf, &why)) ||
	    failed(e = log_level_parse(ret_conf->log_level, &level)))
		return app_failed(app, e, &why);
	log_init(level, app->json);
	if (failed(e = host_open(ret_conf, ret_host)))
		return app_failed(app, e, &ret_host->why);
	return GO_ON;
}

int app_open_enrolled(const struct app *app, struct conf *ret_conf, struct host *ret_host)
{
	int status = app_open(app, ret_conf, ret_host);
	struct err e;

	if (status != GO_ON)
		return status;
	if (failed(e = host_need_enrolment(ret_host)))
		return app_failed(app, e, &ret_host->why);
	return GO_ON;
}
