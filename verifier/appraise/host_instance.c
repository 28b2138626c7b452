/* SPDX-License-Identifier: Apache-2.0 */
/*
 * instance = {
 *   1: id, 2: agent, 3: image-digests, 4: model-digests, 5: args, 6: key Name,
 *   ? 7: x, ? 8: y, ? 9: thumbprint,  ; once certified
 *   ? 10: image-digests, ? 11: model-digests, ; once changed
 *   ? 12: container-digests,          ; in a container, and then with 10
 *   ? 13: container-digests
 * }
 */
#include "verifier/appraise/host_instance.h"

#include <string.h>

#include "base/text.h"

#define JKT_TEXT_LEN 43

enum {
	INST_ID = 1, INST_AGENT, INST_IMAGE, INST_MODEL, INST_ARGS, INST_KEY_NAME, INST_X, INST_Y, INST_JKT,
	INST_NOW_IMAGE, INST_NOW_MODEL, INST_CONTAINER, INST_NOW_CONTAINER,
};

struct err host_wr_bytes(struct buf *b, uint64_t key, struct bytes v)
{
	struct err e;

	if (failed(e = cbor_wr_uint(b, key)))
		return e;
	return cbor_wr_bytes(b, v);
}

static struct err wr_pair(struct buf *b, uint64_t key, const uint8_t first[32], const uint8_t second[32])
{
	struct err e;

	if (failed(e = cbor_wr_uint(b, key)) ||
	    failed(e = cbor_wr_array(b, 2)) ||
	    failed(e = cbor_wr_bytes(b, BYTES(first, 32))))
		return e;
	return cbor_wr_bytes(b, BYTES(second, 32));
}

static struct err wr_certified(struct buf *b, const struct instance *i)
{
	struct err e;

	if (failed(e = host_wr_bytes(b, INST_X, BYTES_ARR(i->key_x))) ||
	    failed(e = host_wr_bytes(b, INST_Y, BYTES_ARR(i->key_y))) ||
	    failed(e = cbor_wr_uint(b, INST_JKT)))
		return e;
	return cbor_wr_text(b, bytes_str(i->jkt));
}

static struct err wr_changed(struct buf *b, const struct instance *i)
{
	struct err e;

	if (failed(e = wr_pair(b, INST_NOW_IMAGE, i->now_image.manifest, i->now_image.config)))
		return e;
	return wr_pair(b, INST_NOW_MODEL, i->now_model.manifest, i->now_model.oms_root);
}

static struct err wr_container(struct buf *b, const struct instance *i)
{
	struct err e;

	if (failed(e = wr_pair(b, INST_CONTAINER, i->container.rootfs, i->container.policy)) || !i->changed)
		return e;
	return wr_pair(b, INST_NOW_CONTAINER, i->now_container.rootfs, i->now_container.policy);
}

struct err host_instance_encode(const struct instance *i, struct buf *b)
{
	const int n = 6 + (i->has_key ? 3 : 0) + (i->changed ? 2 : 0) + (i->has_container ? 1 + i->changed : 0);
	struct err e;

	if (failed(e = cbor_wr_map(b, (size_t)n)) ||
	    failed(e = host_wr_bytes(b, INST_ID, BYTES_ARR(i->id))) ||
	    failed(e = cbor_wr_uint(b, INST_AGENT)) ||
	    failed(e = cbor_wr_text(b, bytes_str(i->agent))) ||
	    failed(e = wr_pair(b, INST_IMAGE, i->image.manifest, i->image.config)) ||
	    failed(e = wr_pair(b, INST_MODEL, i->model.manifest, i->model.oms_root)) ||
	    failed(e = host_wr_bytes(b, INST_ARGS, BYTES_ARR(i->args))) ||
	    failed(e = host_wr_bytes(b, INST_KEY_NAME, tpm_name_bytes(&i->key_name))))
		return e;
	if ((i->has_key && failed(e = wr_certified(b, i))) || (i->changed && failed(e = wr_changed(b, i))))
		return e;
	return i->has_container ? wr_container(b, i) : ERR(E_OK);
}

static struct err rd_pair(struct cbor_rd *r, uint8_t first[32], uint8_t second[32])
{
	size_t n;
	struct err e;

	if (failed(e = cbor_rd_array(r, 2, &n)))
		return e;
	if (n != 2)
		return ERR(E_PEER_RANGE);
	if (failed(e = cbor_rd_bytes_exact(r, first, 32)))
		return e;
	return cbor_rd_bytes_exact(r, second, 32);
}

struct err host_rd_name(struct cbor_rd *r, struct tpm_name *ret)
{
	struct bytes name;
	struct err e;

	if (failed(e = cbor_rd_bytes(r, &name)))
		return e;
	return tpm_name_parse(name, ret);
}

static struct err rd_agent(struct cbor_rd *r, char ret[65])
{
	struct bytes agent;
	struct err e;

	if (failed(e = cbor_rd_text(r, &agent)))
		return e;
	if (!id_valid(agent))
		return ERR(E_PEER_RANGE);
	memcpy(ret, agent.p, agent.n);
	ret[agent.n] = '\0';
	return ERR(E_OK);
}

static struct err rd_certified(struct cbor_rd *r, struct cbor_map *m, struct instance *i)
{
	struct bytes jkt;
	struct err e;

	if (failed(e = cbor_rd_key_opt(r, m, INST_X, &i->has_key)))
		return e;
	if (!i->has_key)
		return ERR(E_OK);
	if (failed(e = cbor_rd_bytes_exact(r, i->key_x, sizeof(i->key_x))) ||
	    failed(e = cbor_rd_key(r, m, INST_Y)) ||
	    failed(e = cbor_rd_bytes_exact(r, i->key_y, sizeof(i->key_y))) ||
	    failed(e = cbor_rd_key(r, m, INST_JKT)) ||
	    failed(e = cbor_rd_text(r, &jkt)))
		return e;
	if (jkt.n != JKT_TEXT_LEN)
		return ERR(E_PEER_RANGE);
	memcpy(i->jkt, jkt.p, jkt.n);
	return ERR(E_OK);
}

static struct err rd_changed(struct cbor_rd *r, struct cbor_map *m, struct instance *i)
{
	struct err e;

	if (failed(e = cbor_rd_key_opt(r, m, INST_NOW_IMAGE, &i->changed)))
		return e;
	if (!i->changed)
		return ERR(E_OK);
	if (failed(e = rd_pair(r, i->now_image.manifest, i->now_image.config)) ||
	    failed(e = cbor_rd_key(r, m, INST_NOW_MODEL)))
		return e;
	return rd_pair(r, i->now_model.manifest, i->now_model.oms_root);
}

/* Absent in what was stored before there were containers, as in what runs in none. */
static struct err rd_container(struct cbor_rd *r, struct cbor_map *m, struct instance *i)
{
	struct err e;

	if (failed(e = cbor_rd_key_opt(r, m, INST_CONTAINER, &i->has_container)) || !i->has_container)
		return e;
	if (failed(e = rd_pair(r, i->container.rootfs, i->container.policy)) || !i->changed)
		return e;
	if (failed(e = cbor_rd_key(r, m, INST_NOW_CONTAINER)))
		return e;
	return rd_pair(r, i->now_container.rootfs, i->now_container.policy);
}

struct err host_instance_decode(struct cbor_rd *r, struct instance *i)
{
	struct cbor_map m;
	struct err e;

	if (failed(e = cbor_rd_map(r, &m)) ||
	    failed(e = cbor_rd_key(r, &m, INST_ID)) ||
	    failed(e = cbor_rd_bytes_exact(r, i->id, sizeof(i->id))) ||
	    failed(e = cbor_rd_key(r, &m, INST_AGENT)) ||
	    failed(e = rd_agent(r, i->agent)) ||
	    failed(e = cbor_rd_key(r, &m, INST_IMAGE)) ||
	    failed(e = rd_pair(r, i->image.manifest, i->image.config)) ||
	    failed(e = cbor_rd_key(r, &m, INST_MODEL)) ||
	    failed(e = rd_pair(r, i->model.manifest, i->model.oms_root)) ||
	    failed(e = cbor_rd_key(r, &m, INST_ARGS)) ||
	    failed(e = cbor_rd_bytes_exact(r, i->args, sizeof(i->args))) ||
	    failed(e = cbor_rd_key(r, &m, INST_KEY_NAME)) ||
	    failed(e = host_rd_name(r, &i->key_name)) ||
	    failed(e = rd_certified(r, &m, i)) ||
	    failed(e = rd_changed(r, &m, i)) ||
	    failed(e = rd_container(r, &m, i)))
		return e;
	return cbor_rd_map_end(r, &m);
}
