/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/predict.h"

#include <stdarg.h>
#include <string.h>

void predict_init(struct prediction *p, uint32_t banks)
{
	memset(p, 0, sizeof(*p));
	p->banks = banks;
}

/* The next free place, cleared. */
static struct err place(struct prediction *p, enum predict_role role, uint32_t pcr, uint32_t type,
			struct predict_event **ret)
{
	if (p->n == PREDICT_MAX_EVENTS)
		return ERR(E_LIMIT_COUNT);
	*ret = &p->ev[p->n];
	**ret = (struct predict_event){ .role = role, .pcr = pcr, .type = type };
	return ERR(E_OK);
}

struct err predict_add(struct prediction *p, enum predict_role role, uint32_t pcr, uint32_t type, size_t n_parts,
		       const struct bytes *parts, const char *what, ...)
{
	struct predict_event *ev;
	struct err e;
	va_list ap;

	if (failed(e = place(p, role, pcr, type, &ev)))
		return e;
	for (unsigned bank = 0; bank < N_DIGESTS; bank++) {
		if ((p->banks >> bank & 1) != 0 &&
		    failed(e = digest_of((enum digest_id)bank, &ev->digest[bank], n_parts, parts)))
			return e;
	}
	va_start(ap, what);
	(void)vsnprintf(ev->what, sizeof(ev->what), what, ap);
	va_end(ap);
	p->n++;
	return ERR(E_OK);
}

struct err predict_add_image(struct prediction *p, enum predict_role role, const struct pe *pe, const char *what)
{
	struct predict_event *ev;
	struct err e;

	if (failed(e = place(p, role, 4, EV_EFI_BOOT_SERVICES_APPLICATION, &ev)))
		return e;
	for (unsigned bank = 0; bank < N_DIGESTS; bank++) {
		if ((p->banks >> bank & 1) != 0 &&
		    failed(e = pe_authenticode(pe, (enum digest_id)bank, &ev->digest[bank])))
			return e;
	}
	(void)snprintf(ev->what, sizeof(ev->what), "%s", what);
	if (pe->n_hole > 0)
		predict_note(p, "%s: %zu bytes between its sections are covered by no digest", what, pe->n_hole);
	p->n++;
	return ERR(E_OK);
}

void predict_optional(struct prediction *p)
{
	if (p->n > 0)
		p->ev[p->n - 1].optional = true;
}

void predict_line(struct prediction *p, struct bytes line)
{
	p->line[0] = '\0';
	if (line.n > PREDICT_MAX_LINE)
		return;
	for (size_t i = 0; i < line.n; i++)
		if (line.p[i] < 0x20 || line.p[i] > 0x7e)
			return;
	(void)snprintf(p->line, sizeof(p->line), "%.*s", (int)line.n, (const char *)line.p);
}

void predict_note(struct prediction *p, const char *fmt, ...)
{
	va_list ap;

	if (p->n_notes == PREDICT_MAX_NOTES)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(p->note[p->n_notes].text, sizeof(p->note[0].text), fmt, ap);
	va_end(ap);
	p->n_notes++;
}

struct err predict_pcr(const struct prediction *p, enum digest_id bank, uint32_t pcr, struct digest *ret)
{
	struct digest d = { .n = (uint8_t)digest_alg(bank)->size };
	struct err e;

	for (size_t i = 0; i < p->n; i++) {
		if (p->ev[i].pcr == pcr &&
		    failed(e = digest_extend(bank, &d, digest_bytes(&p->ev[i].digest[bank]), &d)))
			return e;
	}
	*ret = d;
	return ERR(E_OK);
}
