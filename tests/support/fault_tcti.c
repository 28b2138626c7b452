/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/fault_tcti.h"

#include <string.h>

#include "base/limits.h"
#include "base/rd.h"
#include "base/wr.h"

#define MAGIC 0x4153534159544354ull
#define BUS_MAX (16 * MIB)

static void listen(struct fault_tcti *f, const uint8_t *p, size_t n)
{
	if (f->listens && failed(buf_add(&f->bus, BYTES(p, n))))
		abort();
}

static bool fails_now(const struct fault_tcti *f)
{
	return f->kind != FAULT_TCTI_NONE && f->n_commands >= f->at && f->n_commands - f->at < f->times;
}

/* Bytes 6 to 9 of a command (TPM 2.0 Part 1, 18.4). */
static uint32_t command_code(const uint8_t *command, size_t n)
{
	struct rd r = RD(BYTES(command, n));
	struct bytes skipped;
	uint32_t code;

	if (failed(rd_bytes(&r, 6, &skipped)) || failed(rd_u32be(&r, &code)))
		abort();
	return code;
}

static TSS2_RC transmit(TSS2_TCTI_CONTEXT *context, size_t n, const uint8_t *command)
{
	struct fault_tcti *f = (struct fault_tcti *)context;
	bool fails = fails_now(f);
	TSS2_RC rc;

	listen(f, command, n);
	f->n_commands++;
	if (f->before != NULL)
		f->before(f->before_ctx, command_code(command, n));
	if (fails && f->kind == FAULT_TCTI_COMMAND)
		return TSS2_TCTI_RC_IO_ERROR;
	if (fails && f->kind == FAULT_TCTI_CODE) {
		f->pending_code = f->code;
		return TSS2_RC_SUCCESS;
	}
	rc = Tss2_Tcti_Transmit(f->next, n, command);
	if (fails && f->kind == FAULT_TCTI_ANSWER)
		f->pending_code = TSS2_TCTI_RC_IO_ERROR;
	return rc;
}

static TSS2_RC give_code(uint32_t code, size_t *n, uint8_t *response)
{
	struct buf answer = BUF_INIT(10);

	if (failed(wr_u16be(&answer, 0x8001)) || failed(wr_u32be(&answer, 10)) || failed(wr_u32be(&answer, code)))
		abort();
	memcpy(response, answer.p, answer.n);
	*n = answer.n;
	buf_free(&answer);
	return TSS2_RC_SUCCESS;
}

static TSS2_RC receive(TSS2_TCTI_CONTEXT *context, size_t *n, uint8_t *response, int32_t timeout)
{
	struct fault_tcti *f = (struct fault_tcti *)context;
	TSS2_RC rc;

	if (response == NULL) { /* asked for the size only */
		*n = 4096;
		return TSS2_RC_SUCCESS;
	}
	if (f->pending_code != 0 && f->pending_code != TSS2_TCTI_RC_IO_ERROR) {
		uint32_t code = f->pending_code;

		f->pending_code = 0;
		return give_code(code, n, response);
	}
	rc = Tss2_Tcti_Receive(f->next, n, response, timeout);
	if (f->pending_code == TSS2_TCTI_RC_IO_ERROR) {
		f->pending_code = 0;
		return TSS2_TCTI_RC_IO_ERROR;
	}
	if (rc == TSS2_RC_SUCCESS)
		listen(f, response, *n);
	return rc;
}

static TSS2_RC get_poll_handles(TSS2_TCTI_CONTEXT *context, TSS2_TCTI_POLL_HANDLE *handles, size_t *n)
{
	const struct fault_tcti *f = (const struct fault_tcti *)context;

	if (f->silent_fd < 0)
		return TSS2_TCTI_RC_NOT_IMPLEMENTED;
	handles[0].fd = f->silent_fd;
	*n = 1;
	return TSS2_RC_SUCCESS;
}

void fault_tcti_init(struct fault_tcti *f, TSS2_TCTI_CONTEXT *next)
{
	memset(f, 0, sizeof(*f));
	f->common.magic = MAGIC;
	f->common.version = 1;
	f->common.transmit = transmit;
	f->common.receive = receive;
	f->common.getPollHandles = get_poll_handles;
	f->silent_fd = -1;
	f->next = next;
	buf_init(&f->bus, BUS_MAX);
}

void fault_tcti_done(struct fault_tcti *f)
{
	buf_free(&f->bus);
}

void fault_tcti_arm(struct fault_tcti *f, enum fault_tcti_kind kind, unsigned at, unsigned times, uint32_t code)
{
	f->kind = kind;
	f->at = at;
	f->times = times;
	f->code = code;
	f->n_commands = 0;
}

bool fault_tcti_heard(const struct fault_tcti *f, struct bytes b)
{
	return memmem(f->bus.p, f->bus.n, b.p, b.n) != NULL;
}
