/* SPDX-License-Identifier: Apache-2.0 */
/* assay-verifier: starts, serves until it is told to stop, and tells its service manager. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>

#include "base/args.h"
#include "base/file.h"
#include "base/service.h"
#include "base/unix.h"
#include "verifier/serve/settings.h"
#include "verifier/serve/dev.h"
#include "verifier/serve/http.h"
#include "verifier/serve/listen.h"

#define DRAIN_MS 10000
#define TICK_S 60

/* Certificate and key of the HTTPS listener, PEM. */
struct tls {
	struct buf cert, key;
	const char *cert_pem, *key_pem;
};

static void tls_done(struct tls *t)
{
	buf_free(&t->cert);
	buf_free(&t->key);
}

static struct err tls_files(const struct verifier_config *c, struct tls *t, struct reason *reterr)
{
	struct err e = file_read(AT_FDCWD, c->tls_cert_file, &t->cert);

	if (failed(e)) {
		reason_set(reterr, "%s: %s", c->tls_cert_file, err_text(e));
		return e;
	}
	e = file_read_secret(AT_FDCWD, c->tls_key_file, &t->key);
	if (failed(e))
		reason_set(reterr, "%s: %s%s", c->tls_key_file, err_text(e),
			   e.code == E_LOCAL_PERMISSION ? "; it must be mode 0600 and the verifier's own" : "");
	return e;
}

static struct err tls_load(const struct verifier_config *c, struct tls *t, struct reason *reterr)
{
	cleanup_fd int dir_fd = -1;
	struct err e;

	if (c->dev) {
		if (failed(e = dir_open(AT_FDCWD, c->state_dir, &dir_fd)) ||
		    failed(e = dev_tls(dir_fd, c->issuer, clock_now_s(), &t->cert, &t->key, reterr)))
			return e;
	} else if (failed(e = tls_files(c, t, reterr))) {
		return e;
	}
	if (failed(e = buf_cstr(&t->cert, &t->cert_pem)))
		return e;
	return buf_cstr(&t->key, &t->key_pem);
}

/* Signals come as bytes, so that nothing runs inside a handler. */
static struct err take_signals(int *ret_fd)
{
	sigset_t set;
	int fd;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)sigaddset(&set, SIGPIPE);
	if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
		return ERR(E_LOCAL_IO);
	(void)sigdelset(&set, SIGPIPE);
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (fd < 0)
		return ERR(E_LOCAL_IO);
	*ret_fd = fd;
	return ERR(E_OK);
}

static struct err start_timer(int *ret_fd)
{
	const struct itimerspec each = { { 1, 0 }, { 1, 0 } };
	cleanup_fd int fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC);

	if (fd < 0 || timerfd_settime(fd, 0, &each, NULL) != 0)
		return ERR(E_LOCAL_IO);
	*ret_fd = take_fd(&fd);
	return ERR(E_OK);
}

static void on_hangup(struct verifier *v)
{
	struct reason why = { "" };
	char text[64];
	struct err e;

	(void)snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_boottime_ms() * 1000);
	service_notify(text);
	e = verifier_reload(v, &why);
	if (failed(e))
		log_error("operators not reloaded, the old ones stay: %s", why.text[0] != '\0' ? why.text : err_text(e));
	else
		log_info("operators reloaded");
	service_notify("READY=1");
}

static void on_timer(struct verifier *v, struct server *s, uint64_t *seconds, uint64_t n)
{
	uint64_t before = *seconds / TICK_S;
	struct err e;

	server_check(s);
	*seconds += n;
	if (*seconds / TICK_S == before)
		return;
	e = verifier_tick(v, clock_now_s());
	if (failed(e))
		log_error("housekeeping: %s", err_text(e));
}

/* Until SIGTERM or SIGINT. */
static struct err serve(struct verifier *v, struct server *s, int signal_fd, int timer_fd)
{
	struct pollfd fds[] = { { signal_fd, POLLIN, 0 }, { timer_fd, POLLIN, 0 } };
	struct signalfd_siginfo info;
	uint64_t seconds = 0, n;

	for (;;) {
		if (poll(fds, array_len(fds), -1) < 0 && errno != EINTR)
			return ERR(E_LOCAL_IO);
		if ((fds[1].revents & POLLIN) != 0 && read(timer_fd, &n, sizeof(n)) == sizeof(n))
			on_timer(v, s, &seconds, n);
		if ((fds[0].revents & POLLIN) == 0)
			continue;
		if (read(signal_fd, &info, sizeof(info)) != sizeof(info))
			return ERR(E_LOCAL_IO);
		if (info.ssi_signo != SIGHUP)
			return ERR(E_OK);
		on_hangup(v);
	}
}

struct sockets {
	int tcp, unix_socket;
	uint16_t port;
};

static void sockets_done(struct sockets *s)
{
	cleanup_fd_(&s->tcp);
	cleanup_fd_(&s->unix_socket);
}

static struct err run(const struct config *c, struct reason *reterr)
{
	struct sockets fds cleanup(sockets_done) = { -1, -1, 0 };
	struct tls tls cleanup(tls_done) = { BUF_INIT(LIMIT_SMALL), BUF_INIT(LIMIT_SMALL), NULL, NULL };
	cleanup_verifier struct verifier *v = NULL;
	cleanup_fd int signal_fd = -1, timer_fd = -1;
	struct server_spec spec = { .config = &c->v };
	struct server *s = NULL;
	struct err e;

	if (failed(e = take_signals(&signal_fd)) || failed(e = start_timer(&timer_fd)) ||
	    failed(e = dir_make(c->v.state_dir, 0700)) || failed(e = verifier_new(&c->v, &v, reterr)) ||
	    failed(e = tls_load(&c->v, &tls, reterr)) || failed(e = listen_tcp(c->v.listen, &fds.tcp, &fds.port, reterr)) ||
	    failed(e = unix_listen(c->v.admin_socket, SOCK_STREAM, 0660, &fds.unix_socket, reterr)))
		return e;
	spec.verifier = v;
	spec.tcp_fd = fds.tcp;
	spec.unix_fd = fds.unix_socket;
	spec.cert_pem = tls.cert_pem;
	spec.key_pem = tls.key_pem;
	if (failed(e = server_start(&spec, &s, reterr)))
		return e;
	fds.tcp = fds.unix_socket = -1;
	log_info("assay-verifier %s serves %s on port %u", c->v.issuer, c->v.listen, fds.port);
	service_notify("READY=1");
	e = serve(v, s, signal_fd, timer_fd);
	service_notify("STOPPING=1");
	log_info("assay-verifier stops");
	server_stop(s, DRAIN_MS);
	(void)unlink(c->v.admin_socket);
	return e;
}

int main(int argc, char **argv)
{
	cleanup_config struct config c = { .file = NULL };
	struct reason why = { "" };
	int status;
	struct err e;

	status = config_read(argc, argv, &c);
	if (status >= 0)
		return status;
	log_init(c.log_level, c.log_json);
	/* Memory of a request goes to the next one; giving it back to the system in between costs more than the request. */
	(void)mallopt(M_TRIM_THRESHOLD, 4 * 1024 * 1024);
	(void)umask(0077);
	e = run(&c, &why);
	if (!failed(e))
		return EXIT_ACCEPTED;
	log_error("assay-verifier: %s", why.text[0] != '\0' ? why.text : err_text(e));
	return EXIT_UNDECIDED;
}
