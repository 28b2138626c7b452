/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON messages: what a decoder accepts can be written, and what is
 * written is read and written again without a change. Every input goes
 * through every decoder.
 */
#include "protocol/messages.h"
#include "tests/fuzz/fuzz.h"

/* A decoder and its encoder as one: E_OK means that both worked; a failing encoder is a finding. */
#define AGAIN(type)                                                                                      \
	static struct err type##_again(struct bytes in, struct buf *ret)                                 \
	{                                                                                                \
		struct type m;                                                                           \
		struct reason why = { "" };                                                              \
		struct err e;                                                                            \
                                                                                                         \
		begin_##type(&m);                                                                        \
		e = type##_decode(in, &m, &why);                                                         \
		fuzz_must(failed(e) == (why.text[0] != '\0'));                                           \
		if (!failed(e))                                                                          \
			fuzz_must(!failed(type##_encode(&m, ret)));                                      \
		end_##type(&m);                                                                          \
		return e;                                                                                \
	}

#define begin_enrol_request enrol_request_init
#define end_enrol_request enrol_request_done
#define begin_enrol_challenge enrol_challenge_init
#define end_enrol_challenge enrol_challenge_done
#define begin_enrol_activation enrol_activation_init
#define end_enrol_activation enrol_activation_done
#define begin_enrol_reply(m) (*(m) = (struct enrol_reply){ 0 })
#define end_enrol_reply(m) ((void)(m))
#define begin_challenge_request(m) (*(m) = (struct challenge_request){ 0 })
#define end_challenge_request(m) ((void)(m))
#define begin_challenge(m) (*(m) = (struct challenge){ 0 })
#define end_challenge(m) ((void)(m))
#define begin_attest_reply(m) (*(m) = (struct attest_reply){ 0 })
#define end_attest_reply attest_reply_done
#define begin_problem(m) (*(m) = (struct problem){ 0 })
#define end_problem(m) ((void)(m))

AGAIN(enrol_request)
AGAIN(enrol_challenge)
AGAIN(enrol_activation)
AGAIN(enrol_reply)
AGAIN(challenge_request)
AGAIN(challenge)
AGAIN(attest_reply)
AGAIN(problem)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct err (*const again[])(struct bytes in, struct buf *ret) = {
		enrol_request_again,	 enrol_challenge_again, enrol_activation_again, enrol_reply_again,
		challenge_request_again, challenge_again,	attest_reply_again,	problem_again,
	};

	for (size_t i = 0; i < array_len(again); i++) {
		cleanup_buf struct buf first = BUF_INIT(2 * LIMIT_EVIDENCE), second = BUF_INIT(2 * LIMIT_EVIDENCE);

		if (failed(again[i](BYTES(data, n), &first)))
			continue;
		fuzz_must(!failed(again[i](buf_bytes(&first), &second)));
		fuzz_must(bytes_eq(buf_bytes(&first), buf_bytes(&second)));
	}
	return 0;
}
