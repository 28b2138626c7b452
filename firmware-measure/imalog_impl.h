/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the reader of IMA lists share; not for others. */
#ifndef ASSAY_MEASURE_IMALOG_IMPL_H
#define ASSAY_MEASURE_IMALOG_IMPL_H

#include "base/rd.h"
#include "firmware-measure/imalog.h"

#define IMA_LEGACY "ima"
#define IMA_LEGACY_NAME_MAX 255 /* bytes; hashed as 256 with zeros behind */

/* An entry of which no more is known than where its parts lie. */
struct ima_frame {
	uint32_t pcr;
	struct bytes hash, name;
	struct bytes data; /* template data as in a binary list, lengths included */
	size_t size;       /* of the entry in the list */
};

must_check static inline struct err ima_rd_u32(struct rd *r, enum imalog_order order, uint32_t *ret)
{
	return order == IMALOG_BIG_ENDIAN ? rd_u32be(r, ret) : rd_u32le(r, ret);
}

/*
 * The line at the start of b; its data are put together in l->text.
 * E_PEER_TRUNCATED where b has no end of line: *ret_need is one more than b.n.
 * In the tail only the last byte can be one.
 */
must_check struct err ima_frame_text(struct imalog *l, struct bytes b, bool in_tail, struct ima_frame *ret,
				     size_t *ret_need, struct reason *reterr);

/* Makes l->template that of the name, known or not. */
void ima_template_find(struct imalog *l, struct bytes name);

/* Sets state, hashed and, where the data fit the template, the fields. ret is otherwise filled in. */
void ima_entry_decode(struct imalog *l, struct bytes data, struct ima_entry *ret);

#endif
