/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/span.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"

struct err span_read(const struct span *s, uint64_t at, uint8_t *to, size_t n, size_t *ret_n, struct reason *reterr)
{
	ssize_t got;

	if (at >= s->size || s->offset > INT64_MAX - at)
		return ERR(E_BUG);
	if (n > s->size - at)
		n = (size_t)(s->size - at);
	do
		got = pread(s->fd, to, n, (off_t)(s->offset + at));
	while (got < 0 && errno == EINTR);
	if (got < 0) {
		reason_set(reterr, "%s: %s", log_quote(bytes_str(s->name)), strerrordesc_np(errno) ?: "cannot be read");
		return ERR(E_LOCAL_IO);
	}
	if (got == 0) {
		reason_set(reterr, "%s changed while it was read", log_quote(bytes_str(s->name)));
		return ERR(E_PEER_CHANGED);
	}
	*ret_n = (size_t)got;
	return ERR(E_OK);
}
