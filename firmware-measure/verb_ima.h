/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs that read IMA lists share: files in parts, whatever their size says. */
#ifndef ASSAY_MEASURE_VERB_IMA_H
#define ASSAY_MEASURE_VERB_IMA_H

#include "firmware-measure/imalog.h"
#include "firmware-measure/program.h"

#define IMA_PART MIB

struct ima_file {
	const char *path; /* borrowed; NULL: closed */
	int fd;
	struct buf part;
	uint64_t off; /* of the entry that could not be read */
};

/* E_LOCAL_*; the reason names the file. */
must_check struct err ima_file_open(const char *path, struct ima_file *f, struct reason *reterr);
void ima_file_done(struct ima_file *f);
#define cleanup_ima_file cleanup(ima_file_done)

/* The next bytes, at most IMA_PART; none at the end of the file. They live until the next call. */
must_check struct err ima_file_part(struct ima_file *f, struct bytes *ret, struct reason *reterr);

/*
 * Gives each entry of the list to fn, whose first bytes are `first`. Fails as
 * fn, as imalog_next() and with E_PEER_TRUNCATED; the reason then names file,
 * entry and offset.
 */
must_check struct err ima_file_walk(struct ima_file *f, struct bytes first, enum imalog_order order,
				    struct err (*fn)(void *ctx, const struct ima_entry *ent, struct reason *reterr),
				    void *ctx, struct reason *reterr);

#endif
