/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a platform profile, and looking into its lists. */
#include "verifier/appraise/platform_read.h"

#include <string.h>

static void texts_done(struct platform_texts *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	*l = (struct platform_texts){ 0 };
}

static void firmware_free(struct platform_firmware *f)
{
	if (f == NULL)
		return;
	for (size_t i = 0; i < array_len(f->ignored_reason); i++)
		free(f->ignored_reason[i]);
	for (size_t i = 0; i < array_len(f->variable); i++) {
		free(f->variable[i].owners);
		free(f->variable[i].certificates.v);
		free(f->variable[i].hashes.v);
	}
	free(f->dbx.v);
	free(f->applications.v);
	free(f->signers.v);
	for (size_t i = 0; i < f->n_command_lines; i++) {
		free(f->command_lines[i].exact);
		texts_done(&f->command_lines[i].required);
		texts_done(&f->command_lines[i].allowed);
		texts_done(&f->command_lines[i].forbidden);
	}
	free(f->command_lines);
	free(f->versions.v);
	texts_done(&f->crtm);
	for (size_t i = 0; i < f->n_events; i++)
		free(f->events[i].digests.v);
	free(f->events);
	for (size_t i = 0; i < f->n_userspace; i++) {
		texts_done(&f->userspace[i].strings);
		free(f->userspace[i].digests.v);
	}
	free(f->userspace);
	free(f);
}

static void ima_free(struct platform_ima *m)
{
	if (m == NULL)
		return;
	free(m->allowlists);
	free(m->digests.v);
	for (size_t i = 0; i < m->n_signers; i++)
		key_free(m->signers[i]);
	free(m->signers);
	free(m->signer_ids);
	for (size_t i = 0; i < m->n_signer_cas; i++)
		cert_free(m->signer_cas[i]);
	free(m->signer_cas);
	texts_done(&m->exclude);
	texts_done(&m->templates);
	free(m);
}

void platform_profile_done(struct platform_profile *p)
{
	free(p->measurer_digests.v);
	firmware_free(p->firmware);
	ima_free(p->ima);
	*p = (struct platform_profile){ 0 };
}

size_t platform_digests_place(const struct platform_digests *l, const uint8_t *v, bool *ret_there)
{
	size_t from = 0, to = l->n;

	while (from < to) {
		size_t mid = from + (to - from) / 2;
		int order = memcmp(l->v + mid * l->size, v, l->size);

		if (order == 0) {
			*ret_there = true;
			return mid;
		}
		if (order < 0)
			from = mid + 1;
		else
			to = mid;
	}
	*ret_there = false;
	return from;
}

bool platform_digests_has(const struct platform_digests *l, struct bytes digest)
{
	bool there = false;

	if (l->n > 0 && digest.n == l->size)
		(void)platform_digests_place(l, digest.p, &there);
	return there;
}

int platform_file_digest_cmp(const struct platform_file_digest *a, const struct platform_file_digest *b)
{
	if (a->verity != b->verity)
		return a->verity ? 1 : -1;
	if (a->alg != b->alg)
		return a->alg < b->alg ? -1 : 1;
	return bytes_cmp(digest_bytes(&a->value), digest_bytes(&b->value));
}

bool platform_file_digests_has(const struct platform_file_digests *l, const struct platform_file_digest *d)
{
	size_t from = 0, to = l->n;

	while (from < to) {
		size_t mid = from + (to - from) / 2;
		int order = platform_file_digest_cmp(&l->v[mid], d);

		if (order == 0)
			return true;
		if (order < 0)
			from = mid + 1;
		else
			to = mid;
	}
	return false;
}
