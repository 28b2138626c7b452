/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/tpm_tcti.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <tss2/tss2_tpm2_types.h>

#include "base/cleanup.h"
#include "base/rd.h"

#define MAGIC 0x4153534159444c4eull
#define HANDLES_MAX 4

static bool is_stream(int fd)
{
	socklen_t n = sizeof(int);
	int type = 0;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_STREAM;
}

/* Bytes 6 to 9 of a command (Part 1, 18.4). */
static bool makes_key(struct bytes command)
{
	struct rd r = RD(command);
	struct bytes tag_and_size;
	uint32_t code;

	if (failed(rd_bytes(&r, 6, &tag_and_size)) || failed(rd_u32be(&r, &code)))
		return false;
	return code == TPM2_CC_CreatePrimary || code == TPM2_CC_Create || code == TPM2_CC_CreateLoaded;
}

/* The descriptor that the next one opened will be; -1 where none can be. */
static int next_fd(void)
{
	cleanup_fd int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	return fd;
}

/* Transmits, and finds the socket that was opened for it, if one was: it has the lowest number that was free. */
static TSS2_RC transmit_and_watch(struct tpm_tcti *t, size_t n, const uint8_t *command)
{
	int fd = next_fd();
	TSS2_RC rc = Tss2_Tcti_Transmit(t->next, n, command);

	if (fd >= 0 && is_stream(fd))
		t->fd = fd;
	return rc;
}

static TSS2_RC transmit(TSS2_TCTI_CONTEXT *context, size_t n, const uint8_t *command)
{
	struct tpm_tcti *t = (struct tpm_tcti *)context;

	if (t->dead)
		return TSS2_TCTI_RC_IO_ERROR;
	t->came = false;
	t->wait_ms = makes_key(BYTES(command, n)) ? t->timeout_ms * TPM_TCTI_KEY_FACTOR : t->timeout_ms;
	if (t->fd >= 0 && !is_stream(t->fd))
		t->fd = -1;
	return t->fd < 0 ? transmit_and_watch(t, n, command) : Tss2_Tcti_Transmit(t->next, n, command);
}

static int64_t now_ms(void)
{
	struct timespec t = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Sets t->came; also where the TCTI does not tell what to wait for. */
static TSS2_RC wait_for_answer(struct tpm_tcti *t)
{
	TSS2_TCTI_POLL_HANDLE fds[HANDLES_MAX];
	int64_t end = now_ms() + t->wait_ms, left;
	size_t n = HANDLES_MAX;
	int ready;

	t->came = true;
	if (Tss2_Tcti_GetPollHandles(t->next, fds, &n) != TSS2_RC_SUCCESS) {
		fds[0].fd = t->fd;
		n = t->fd < 0 ? 0 : 1;
	}
	if (n == 0)
		return TSS2_RC_SUCCESS;
	for (size_t i = 0; i < n; i++)
		fds[i].events = POLLIN; /* some TCTIs also ask for room to write, which there always is */
	do {
		left = end - now_ms();
		ready = poll(fds, (nfds_t)n, left > 0 ? (int)left : 0);
	} while (ready < 0 && errno == EINTR);
	t->came = ready > 0;
	return ready < 0 ? TSS2_TCTI_RC_IO_ERROR : TSS2_RC_SUCCESS;
}

static TSS2_RC receive(TSS2_TCTI_CONTEXT *context, size_t *n, uint8_t *response, int32_t timeout)
{
	struct tpm_tcti *t = (struct tpm_tcti *)context;
	TSS2_RC rc;

	if (t->dead)
		return TSS2_TCTI_RC_IO_ERROR;
	/* Once for each command: the size is asked for first, and a TCTI may hold the whole answer by then. */
	if (timeout == TSS2_TCTI_TIMEOUT_BLOCK && !t->came) {
		rc = wait_for_answer(t);
		if (rc != TSS2_RC_SUCCESS)
			return rc;
		if (!t->came) {
			t->dead = true;
			return TSS2_TCTI_RC_IO_ERROR;
		}
	}
	return Tss2_Tcti_Receive(t->next, n, response, timeout);
}

void tpm_tcti_init(struct tpm_tcti *t, TSS2_TCTI_CONTEXT *next, unsigned timeout_ms)
{
	*t = (struct tpm_tcti){ .next = next, .fd = -1, .timeout_ms = timeout_ms };
	t->common.magic = MAGIC;
	t->common.version = 1;
	t->common.transmit = transmit;
	t->common.receive = receive;
}
