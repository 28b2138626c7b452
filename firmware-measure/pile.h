/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is given back all at once, within a budget that several piles share. */
#ifndef ASSAY_MEASURE_PILE_H
#define ASSAY_MEASURE_PILE_H

#include <stdatomic.h>

#include "base/bytes.h"

/* What may still be taken. */
struct pile_budget {
	atomic_size_t entries;
	atomic_size_t bytes;
};

struct pile {
	struct pile_budget *budget; /* borrowed */
	struct pile_block *last;
};
void pile_done(struct pile *p);

/* n zeroed bytes, aligned for any type, that live as long as the pile. E_LIMIT_SIZE, E_LOCAL_MEMORY. */
must_check struct err pile_take(struct pile *p, size_t n, void **ret);

/* A copy; with a NUL behind it. */
must_check struct err pile_copy(struct pile *p, struct bytes b, const char **ret);

/* Takes one of n from the counter; false where none is left. */
bool budget_take(atomic_size_t *left, size_t n);

#endif
