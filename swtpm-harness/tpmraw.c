/* SPDX-License-Identifier: Apache-2.0 */
#include "swtpm-harness/tpmraw.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "base/file.h"
#include "base/rd.h"
#include "base/wr.h"

#define MESSAGE_MAX 4096
#define HEADER_SIZE 10
#define NV_CHUNK 1024 /* MAX_NV_BUFFER_SIZE of libtpms */
#define TRIES 8

enum { /* TPM_ST, TPM_RC, TPM_RH, TPM_RS, TPM_ALG, TPM_ECC_CURVE */
       ST_NO_SESSIONS = 0x8001,
       ST_SESSIONS = 0x8002,
       RC_TESTING = 0x090a,
       RC_RETRY = 0x0922,
       RS_PW = 0x40000009,
       RH_PLATFORM = 0x4000000c,
       ALG_RSA = 0x0001,
       ALG_SHA256 = 0x000b,
       ALG_NULL = 0x0010,
       ALG_ECC = 0x0023,
       CURVE_P256 = 0x0003,
       CURVE_P384 = 0x0004,
};

enum { /* TPM_CC */
       CC_CLEAR = 0x126,
       CC_NV_DEFINE_SPACE = 0x12a,
       CC_NV_WRITE = 0x137,
       CC_PCR_EVENT = 0x13c,
       CC_SHUTDOWN = 0x145,
       CC_READ_PUBLIC = 0x173,
       CC_PCR_READ = 0x17e,
       CC_READ_CLOCK = 0x181,
       CC_PCR_EXTEND = 0x182,
};

/* TPMA_NV: PPWRITE, PPREAD, OWNERREAD, AUTHREAD, NO_DA, PLATFORMCREATE, as TPM makers set them for certificates. */
#define NV_CERT_ATTRIBUTES (1u << 0 | 1u << 16 | 1u << 17 | 1u << 18 | 1u << 25 | 1u << 30)

struct err tpmraw_open(const char *sock, unsigned timeout_ms, int *ret_fd)
{
	struct timeval limit = { .tv_sec = (time_t)(timeout_ms / 1000),
				 .tv_usec = (suseconds_t)(timeout_ms % 1000) * 1000 };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t n = strlen(sock);

	if (n >= sizeof(address.sun_path))
		return ERR(E_LIMIT_SIZE);
	memcpy(address.sun_path, sock, n);
	/* The send limit also bounds connect(2), which waits while swtpm's queue of one is full. */
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0)
		return ERR(E_LOCAL_IO);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
		return ERR(errno == EAGAIN ? E_LOCAL_TIMEOUT : E_LOCAL_IO);
	*ret_fd = take_fd(&fd);
	return ERR(E_OK);
}

static struct err receive(int fd, size_t n, struct buf *ret)
{
	uint8_t part[512];
	struct err e;

	while (n > 0) {
		ssize_t got = recv(fd, part, n < sizeof(part) ? n : sizeof(part), 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN)
			return ERR(E_LOCAL_TIMEOUT);
		if (got <= 0)
			return ERR(E_LOCAL_IO);
		if (failed(e = buf_add(ret, BYTES(part, (size_t)got))))
			return e;
		n -= (size_t)got;
	}
	return ERR(E_OK);
}

static struct err exchange(int fd, struct bytes command, struct buf *ret, uint32_t *ret_code)
{
	uint16_t tag;
	uint32_t size, code;
	struct rd r;
	struct err e;

	for (size_t done = 0; done < command.n;) {
		ssize_t n = send(fd, command.p + done, command.n - done, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return ERR(n < 0 && errno == EAGAIN ? E_LOCAL_TIMEOUT : E_LOCAL_IO);
		done += (size_t)n;
	}
	buf_clear(ret);
	if (failed(e = receive(fd, HEADER_SIZE, ret)))
		return e;
	r = RD(buf_bytes(ret));
	if (failed(e = rd_u16be(&r, &tag)) || failed(e = rd_u32be(&r, &size)) || failed(e = rd_u32be(&r, &code)))
		return e;
	if (size < HEADER_SIZE || size > MESSAGE_MAX)
		return ERR(E_PEER_RANGE);
	if (failed(e = receive(fd, size - HEADER_SIZE, ret)))
		return e;
	*ret_code = code;
	return ERR(E_OK);
}

/* Handles with an empty password for the first one, or none at all. */
struct command {
	uint32_t code;
	const char *name;
	bool authorised;
	size_t n_handles;
	uint32_t handles[2];
};

static struct err command_encode(const struct command *c, struct bytes params, struct buf *ret)
{
	cleanup_buf struct buf body = BUF_INIT(MESSAGE_MAX);
	struct err e;

	for (size_t i = 0; i < c->n_handles; i++) {
		if (failed(e = wr_u32be(&body, c->handles[i])))
			return e;
	}
	/* authorizationSize; TPMS_AUTH_COMMAND: handle, nonce, sessionAttributes, hmac. Part 1, 18.4. */
	if (c->authorised && (failed(e = wr_u32be(&body, 9)) || failed(e = wr_u32be(&body, RS_PW)) ||
			      failed(e = wr_tpm2b(&body, BYTES_NONE)) || failed(e = buf_add_u8(&body, 0)) ||
			      failed(e = wr_tpm2b(&body, BYTES_NONE))))
		return e;
	if (failed(e = buf_add(&body, params)) ||
	    failed(e = wr_u16be(ret, c->authorised ? ST_SESSIONS : ST_NO_SESSIONS)) ||
	    failed(e = wr_u32be(ret, (uint32_t)(HEADER_SIZE + body.n))) || failed(e = wr_u32be(ret, c->code)))
		return e;
	return buf_add(ret, buf_bytes(&body));
}

/* Sends one command; *ret_params are the answer's parameters, a view into *answer. */
static struct err run(int fd, const struct command *c, struct bytes params, struct buf *answer,
		      struct bytes *ret_params, struct reason *reterr)
{
	cleanup_buf struct buf command = BUF_INIT(MESSAGE_MAX);
	uint32_t code = RC_RETRY, size;
	struct rd r;
	struct err e;

	if (failed(e = command_encode(c, params, &command)))
		return e;
	/* The first use of an algorithm after start is answered with RETRY while the TPM tests itself. */
	for (int i = 0; i < TRIES && (code == RC_RETRY || code == RC_TESTING); i++) {
		if (failed(e = exchange(fd, buf_bytes(&command), answer, &code))) {
			reason_set(reterr, "%s: no answer from the TPM%s", c->name,
				   e.code == E_LOCAL_TIMEOUT ? "; another program may hold its only connection" : "");
			return e;
		}
	}
	if (code != 0) {
		reason_set(reterr, "%s: the TPM answered 0x%x", c->name, code);
		return ERR(E_LOCAL_TPM);
	}
	r = RD(buf_bytes(answer));
	if (failed(e = rd_bytes(&r, HEADER_SIZE, ret_params)))
		return e;
	if (c->authorised && failed(e = rd_u32be(&r, &size)))
		return e;
	if (c->authorised)
		return rd_bytes(&r, size, ret_params);
	*ret_params = rd_rest(&r);
	return ERR(E_OK);
}

struct err tpmraw_shutdown(int fd, enum tpmraw_startup kind, struct reason *reterr)
{
	const struct command c = { .code = CC_SHUTDOWN, .name = "Shutdown" };
	cleanup_buf struct buf params = BUF_INIT(2), answer = BUF_INIT(MESSAGE_MAX);
	struct bytes out;
	struct err e;

	if (failed(e = wr_u16be(&params, (uint16_t)kind)))
		return e;
	return run(fd, &c, buf_bytes(&params), &answer, &out, reterr);
}

struct err tpmraw_read_clock(int fd, struct harness_clock *ret, struct reason *reterr)
{
	const struct command c = { .code = CC_READ_CLOCK, .name = "ReadClock" };
	cleanup_buf struct buf answer = BUF_INIT(MESSAGE_MAX);
	struct harness_clock clock = { 0 };
	struct bytes out;
	struct rd r;
	uint8_t safe;
	struct err e;

	if (failed(e = run(fd, &c, BYTES_NONE, &answer, &out, reterr)))
		return e;
	r = RD(out);
	if (failed(e = rd_u64be(&r, &clock.time_ms)) || failed(e = rd_u64be(&r, &clock.clock_ms)) ||
	    failed(e = rd_u32be(&r, &clock.reset_count)) || failed(e = rd_u32be(&r, &clock.restart_count)) ||
	    failed(e = rd_u8(&r, &safe)) || failed(e = rd_end(&r)))
		return e;
	clock.safe = safe == 1;
	*ret = clock;
	return ERR(E_OK);
}

struct err tpmraw_clear(int fd, struct reason *reterr)
{
	const struct command c = {
		.code = CC_CLEAR, .name = "Clear", .authorised = true, .n_handles = 1, .handles = { RH_PLATFORM }
	};
	cleanup_buf struct buf answer = BUF_INIT(MESSAGE_MAX);
	struct bytes out;

	return run(fd, &c, BYTES_NONE, &answer, &out, reterr);
}

/* TPMT_SYM_DEF_OBJECT: key bits and mode follow unless it is TPM_ALG_NULL. Part 2, 11.1.7. */
static struct err rd_symmetric(struct rd *r)
{
	uint16_t alg, bits, mode;
	struct err e;

	if (failed(e = rd_u16be(r, &alg)) || alg == ALG_NULL)
		return e;
	if (failed(e = rd_u16be(r, &bits)))
		return e;
	return rd_u16be(r, &mode);
}

/* TPMT_RSA_SCHEME, TPMT_ECC_SCHEME, TPMT_KDF_SCHEME of a decryption key: TPM_ALG_NULL, no details. */
static struct err rd_no_scheme(struct rd *r)
{
	uint16_t alg;
	struct err e;

	if (failed(e = rd_u16be(r, &alg)))
		return e;
	return alg == ALG_NULL ? ERR(E_OK) : ERR(E_PEER_UNSUPPORTED);
}

static struct err rd_rsa_key(struct rd *r, struct key **ret)
{
	struct bytes modulus;
	uint32_t exponent;
	uint16_t bits;
	struct err e;

	if (failed(e = rd_symmetric(r)) || failed(e = rd_no_scheme(r)) || failed(e = rd_u16be(r, &bits)) ||
	    failed(e = rd_u32be(r, &exponent)) || failed(e = rd_tpm2b(r, MESSAGE_MAX, &modulus)) ||
	    failed(e = rd_end(r)))
		return e;
	return key_from_rsa(modulus, exponent, ret);
}

static struct err rd_ecc_key(struct rd *r, struct key **ret)
{
	struct bytes x, y;
	uint16_t curve;
	struct err e;

	if (failed(e = rd_symmetric(r)) || failed(e = rd_no_scheme(r)) || failed(e = rd_u16be(r, &curve)) ||
	    failed(e = rd_no_scheme(r)) || failed(e = rd_tpm2b(r, MESSAGE_MAX, &x)) ||
	    failed(e = rd_tpm2b(r, MESSAGE_MAX, &y)) || failed(e = rd_end(r)))
		return e;
	if (curve != CURVE_P256 && curve != CURVE_P384)
		return ERR(E_PEER_UNSUPPORTED);
	return key_from_ec(curve == CURVE_P256 ? KEY_EC_P256 : KEY_EC_P384, x, y, ret);
}

struct err tpmraw_read_public(int fd, uint32_t handle, struct key **ret, struct reason *reterr)
{
	const struct command c = {
		.code = CC_READ_PUBLIC, .name = "ReadPublic", .n_handles = 1, .handles = { handle }
	};
	cleanup_buf struct buf answer = BUF_INIT(MESSAGE_MAX);
	struct bytes out, area, policy;
	uint16_t type, name_alg;
	uint32_t attributes;
	struct rd r;
	struct err e;

	if (failed(e = run(fd, &c, BYTES_NONE, &answer, &out, reterr)))
		return e;
	r = RD(out);
	if (failed(e = rd_tpm2b(&r, MESSAGE_MAX, &area)))
		return e;
	r = RD(area);
	if (failed(e = rd_u16be(&r, &type)) || failed(e = rd_u16be(&r, &name_alg)) ||
	    failed(e = rd_u32be(&r, &attributes)) || failed(e = rd_tpm2b(&r, MESSAGE_MAX, &policy)))
		return e;
	if (type == ALG_RSA)
		return rd_rsa_key(&r, ret);
	return type == ALG_ECC ? rd_ecc_key(&r, ret) : ERR(E_PEER_UNSUPPORTED);
}

static struct err nv_define(int fd, uint32_t index, uint16_t size, struct reason *reterr)
{
	const struct command c = { .code = CC_NV_DEFINE_SPACE,
				   .name = "NV_DefineSpace",
				   .authorised = true,
				   .n_handles = 1,
				   .handles = { RH_PLATFORM } };
	cleanup_buf struct buf info = BUF_INIT(64), params = BUF_INIT(128), answer = BUF_INIT(MESSAGE_MAX);
	struct bytes out;
	struct err e;

	if (failed(e = wr_u32be(&info, index)) || failed(e = wr_u16be(&info, ALG_SHA256)) ||
	    failed(e = wr_u32be(&info, NV_CERT_ATTRIBUTES)) || failed(e = wr_tpm2b(&info, BYTES_NONE)) ||
	    failed(e = wr_u16be(&info, size)) || failed(e = wr_tpm2b(&params, BYTES_NONE)) ||
	    failed(e = wr_tpm2b(&params, buf_bytes(&info))))
		return e;
	return run(fd, &c, buf_bytes(&params), &answer, &out, reterr);
}

struct err tpmraw_nv_store(int fd, uint32_t index, struct bytes data, struct reason *reterr)
{
	const struct command c = { .code = CC_NV_WRITE,
				   .name = "NV_Write",
				   .authorised = true,
				   .n_handles = 2,
				   .handles = { RH_PLATFORM, index } };
	struct err e;

	if (data.n > UINT16_MAX)
		return ERR(E_LIMIT_SIZE);
	if (failed(e = nv_define(fd, index, (uint16_t)data.n, reterr)))
		return e;
	for (size_t off = 0; off < data.n; off += NV_CHUNK) {
		cleanup_buf struct buf params = BUF_INIT(NV_CHUNK + 4), answer = BUF_INIT(MESSAGE_MAX);
		struct bytes part, out;

		if (failed(e = bytes_sub(data, off, data.n - off < NV_CHUNK ? data.n - off : NV_CHUNK, &part)) ||
		    failed(e = wr_tpm2b(&params, part)) || failed(e = wr_u16be(&params, (uint16_t)off)) ||
		    failed(e = run(fd, &c, buf_bytes(&params), &answer, &out, reterr)))
			return e;
	}
	return ERR(E_OK);
}

struct err tpmraw_pcr_event(int fd, unsigned pcr, struct bytes data, struct reason *reterr)
{
	const struct command c = {
		.code = CC_PCR_EVENT, .name = "PCR_Event", .authorised = true, .n_handles = 1, .handles = { pcr }
	};
	cleanup_buf struct buf params = BUF_INIT(MESSAGE_MAX), answer = BUF_INIT(MESSAGE_MAX);
	struct bytes out;
	struct err e;

	if (failed(e = wr_tpm2b(&params, data)))
		return e;
	return run(fd, &c, buf_bytes(&params), &answer, &out, reterr);
}

struct err tpmraw_pcr_extend(int fd, unsigned pcr, enum digest_id bank, struct bytes digest, struct reason *reterr)
{
	const struct command c = {
		.code = CC_PCR_EXTEND, .name = "PCR_Extend", .authorised = true, .n_handles = 1, .handles = { pcr }
	};
	cleanup_buf struct buf params = BUF_INIT(128), answer = BUF_INIT(MESSAGE_MAX);
	struct bytes out;
	struct err e;

	if (digest.n != digest_alg(bank)->size) {
		reason_set(reterr, "a digest of %s has %zu bytes, this one has %zu", digest_alg(bank)->name,
			   digest_alg(bank)->size, digest.n);
		return ERR(E_PEER_RANGE);
	}
	/* TPML_DIGEST_VALUES with one TPMT_HA. */
	if (failed(e = wr_u32be(&params, 1)) || failed(e = wr_u16be(&params, digest_alg(bank)->tpm_alg)) ||
	    failed(e = buf_add(&params, digest)))
		return e;
	return run(fd, &c, buf_bytes(&params), &answer, &out, reterr);
}

struct err tpmraw_pcr_read(int fd, enum digest_id bank, unsigned pcr, struct digest *ret, struct reason *reterr)
{
	const struct command c = { .code = CC_PCR_READ, .name = "PCR_Read" };
	cleanup_buf struct buf params = BUF_INIT(16), answer = BUF_INIT(MESSAGE_MAX);
	uint8_t bitmap[3] = { 0 };
	struct bytes out, skipped, value;
	uint32_t counter, n;
	struct rd r;
	struct err e;

	if (pcr >= 24)
		return ERR(E_PEER_RANGE);
	bitmap[pcr / 8] = (uint8_t)(1u << (pcr % 8));
	/* TPML_PCR_SELECTION with one TPMS_PCR_SELECTION. */
	if (failed(e = wr_u32be(&params, 1)) || failed(e = wr_u16be(&params, digest_alg(bank)->tpm_alg)) ||
	    failed(e = buf_add_u8(&params, sizeof(bitmap))) || failed(e = buf_add(&params, BYTES_ARR(bitmap))) ||
	    failed(e = run(fd, &c, buf_bytes(&params), &answer, &out, reterr)))
		return e;
	r = RD(out);
	/* pcrUpdateCounter, the selection as it was answered (the same size), TPML_DIGEST. */
	if (failed(e = rd_u32be(&r, &counter)) || failed(e = rd_bytes(&r, params.n, &skipped)) ||
	    failed(e = rd_u32be(&r, &n)))
		return e;
	if (n == 0)
		return ERR(E_LOCAL_NOT_FOUND);
	if (failed(e = rd_tpm2b(&r, DIGEST_MAX, &value)) || failed(e = rd_end(&r)))
		return e;
	if (value.n != digest_alg(bank)->size)
		return ERR(E_PEER_RANGE);
	ret->n = (uint8_t)value.n;
	return bytes_copy_exact(value, ret->v, value.n);
}
