/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/verb_evlog.h"

#include <errno.h>
#include <fcntl.h>

#include "base/file.h"
#include "base/log.h"

/* The best of these banks, where nobody says which: what quotes use most, then by strength. */
static bool best_bank(uint32_t banks, enum digest_id *ret)
{
	static const enum digest_id preferred[] = { DIGEST_SHA256, DIGEST_SHA384, DIGEST_SHA512, DIGEST_SM3_256,
						    DIGEST_SHA1 };

	for (size_t i = 0; i < array_len(preferred); i++) {
		if ((banks >> preferred[i] & 1) != 0) {
			*ret = preferred[i];
			return true;
		}
	}
	return false;
}

struct err log_common_bank(const struct evlog *a, const struct evlog *b, enum digest_id *ret,
			   struct evlog_fault *reterr)
{
	if (best_bank(a->banks & b->banks, ret))
		return ERR(E_OK);
	reason_set(&reterr->why, "the logs have no bank in common");
	return ERR(E_PEER_UNSUPPORTED);
}

static struct err choose_bank(const struct log_options *o, struct log_input *in, struct evlog_fault *reterr)
{
	const struct digest_alg *alg = o->bank == NULL ? NULL : digest_by_name(bytes_str(o->bank));

	if (alg != NULL && !evlog_has_bank(&in->log, alg->id)) {
		reterr->off = 0;
		reason_set(&reterr->why, "the log has no %s bank", alg->name);
		return ERR(E_PEER_UNSUPPORTED);
	}
	if (alg != NULL) {
		in->bank = alg->id;
		return ERR(E_OK);
	}
	if (best_bank(in->log.banks, &in->bank))
		return ERR(E_OK);
	reason_set(&reterr->why, "the log has no bank of an algorithm that is known here");
	return ERR(E_PEER_UNSUPPORTED);
}

static struct err read_file(const char *path, struct buf *ret, struct evlog_fault *reterr)
{
	struct err e;

	errno = 0;
	if (failed(e = file_read(AT_FDCWD, path, ret)))
		reason_set(&reterr->why, "%s: %s", log_quote(bytes_str(path)), err_text(e));
	return e;
}

void log_input_done(struct log_input *in)
{
	buf_free(&in->raw);
	buf_free(&in->userspace);
}

struct err log_input_read(const char *path, const struct log_options *o, struct log_input *in,
			  struct evlog_fault *reterr)
{
	struct err e;

	*in = (struct log_input){ .raw = BUF_INIT(LIMIT_EVLOG), .userspace = BUF_INIT(LIMIT_EVLOG) };
	if (failed(e = read_file(path, &in->raw, reterr)) ||
	    (o->userspace != NULL && failed(e = read_file(o->userspace, &in->userspace, reterr))))
		return e;
	if (failed(e = evlog_open(buf_bytes(&in->raw), &in->log, reterr)))
		return e;
	in->confidential = o->cc || in->log.header_index != 0;
	return choose_bank(o, in, reterr);
}

struct err log_next_record(const struct log_input *in, struct userlog_pos *pos, struct userlog_record *ret,
			   struct evlog_fault *reterr)
{
	struct err e = userlog_next(buf_bytes(&in->userspace), pos, ret, reterr);
	struct reason why;

	if (!failed(e))
		return e;
	why = reterr->why;
	reason_set(&reterr->why, "userspace log: %.400s", why.text);
	return e;
}

struct bytes log_record_type(const struct userlog_record *r)
{
	return r->type.n > 0 ? r->type : r->content_type.n > 0 ? r->content_type : BYTES_LIT("untyped");
}

static struct err fault_json(struct err e, const struct evlog_fault *fault)
{
	cleanup_json json_t *o = NULL;
	struct err f;

	if (failed(f = json_new_object(&o)) || failed(f = json_put_str(o, "error", err_name(e))) ||
	    failed(f = json_put_int(o, "offset", (int64_t)fault->off)) ||
	    failed(f = json_put_str(o, "text", fault->why.text)))
		return f;
	return print_json(o);
}

int log_refused(struct err e, const struct evlog_fault *fault)
{
	struct reason why = { "" };

	if (common.json && failed(fault_json(e, fault)))
		return EXIT_UNDECIDED;
	if (exit_for(e) == EXIT_REJECTED)
		reason_set(&why, "at offset %zu: %s", fault->off, fault->why.text);
	else
		why = fault->why;
	(void)fflush(stdout);
	return refused(e, &why);
}

int log_check_bank(const char *bank)
{
	if (bank == NULL || digest_by_name(bytes_str(bank)) != NULL)
		return -1;
	return program_usage("no bank %s, expected sha1, sha256, sha384, sha512 or sm3_256",
			     log_quote(bytes_str(bank)));
}
