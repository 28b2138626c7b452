/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/json.h"
#include "base/text.h"

#define FOLDER "instances"
#define NAME_MAX_LEN (INSTANCE_HEX_LEN + 8)

void instance_done(struct instance *i)
{
	free(i->image);
	free(i->image_select);
	free(i->model);
	free(i->container.id);
	free(i->container.rootfs);
	json_decref(i->container.absent);
	*i = (struct instance){ 0 };
}

struct err instance_id_parse(const char *hex, uint8_t ret[INSTANCE_ID_LEN])
{
	if (strspn(hex, "0123456789abcdef") != strlen(hex))
		return ERR(E_PEER_SYNTAX);
	return hex_decode_exact(bytes_str(hex), ret, INSTANCE_ID_LEN);
}

void instance_id_format(const uint8_t id[INSTANCE_ID_LEN], char ret[INSTANCE_HEX_LEN + 1])
{
	if (failed(hex_encode(BYTES(id, INSTANCE_ID_LEN), ret, INSTANCE_HEX_LEN + 1)))
		ret[0] = '\0'; /* cannot be: the sizes fit */
}

static struct err open_folder(int state_fd, int *ret)
{
	if (mkdirat(state_fd, FOLDER, 0700) != 0 && errno != EEXIST)
		return ERR(E_LOCAL_IO);
	return dir_open(state_fd, FOLDER, ret);
}

static struct err put_container(const struct instance_container *c, json_t *to)
{
	cleanup_json json_t *j = NULL;
	struct err e;

	if (failed(e = json_new_object(&j)) || failed(e = json_put_str(j, "id", c->id)) ||
	    failed(e = json_put_str(j, "rootfs", c->rootfs)) || failed(e = json_put_int(j, "dev", (int64_t)c->dev)) ||
	    failed(e = json_put_int(j, "ino", (int64_t)c->ino)) ||
	    failed(e = json_put(j, "absent", json_incref(c->absent))) ||
	    failed(e = json_put(j, "allow_devices", json_boolean(c->allow_devices))) ||
	    failed(e = json_put_hex(j, "policy", BYTES_ARR(c->policy))) ||
	    failed(e = json_put_hex(j, "manifest", BYTES_ARR(c->image.manifest))) ||
	    failed(e = json_put_hex(j, "config", BYTES_ARR(c->image.config))))
		return e;
	return json_put(to, "container", take_ptr(&j));
}

static struct err to_json(const struct instance *i, struct buf *ret)
{
	cleanup_json json_t *j = NULL;
	struct err e;

	if (failed(e = json_new_object(&j)) || failed(e = json_put_str(j, "agent", i->agent)) ||
	    failed(e = json_put_str(j, "model", i->model)) ||
	    failed(e = json_put_int(j, "uid", i->uid)) || failed(e = json_put_int(j, "started", i->started_s)) ||
	    failed(e = json_put_int(j, "pid", i->parent.pid)) ||
	    failed(e = json_put_int(j, "pid_start", (int64_t)i->parent.start)) ||
	    failed(e = json_put_str(j, "pid_boot", i->parent.boot)))
		return e;
	if (i->container.id != NULL)
		e = put_container(&i->container, j);
	else
		e = json_put_str(j, "image", i->image);
	if (failed(e))
		return e;
	if (i->image_select != NULL && failed(e = json_put_str(j, "image_select", i->image_select)))
		return e;
	return json_write(j, ret);
}

static struct err put(int folder, const char *name, struct bytes data)
{
	cleanup_fd int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 ? ERR(E_LOCAL_IO) : fd_write_all(fd, data);
}

struct err instance_write(int state_fd, const struct instance *i, const struct wkey_blob *key)
{
	char hex[INSTANCE_HEX_LEN + 1], temporary[NAME_MAX_LEN];
	cleanup_buf struct buf json = BUF_INIT(64 * KIB);
	cleanup_fd int folder = -1, fd = -1;
	struct err e;

	instance_id_format(i->id, hex);
	(void)snprintf(temporary, sizeof(temporary), "%s.new", hex);
	if (failed(e = to_json(i, &json)) || failed(e = open_folder(state_fd, &folder)))
		return e;
	if (mkdirat(folder, temporary, 0700) != 0)
		return ERR(E_LOCAL_IO);
	if (failed(e = dir_open(folder, temporary, &fd)) ||
	    failed(e = put(fd, "key.pub", buf_bytes(&key->public_area))) ||
	    failed(e = put(fd, "key.priv", buf_bytes(&key->private))) ||
	    failed(e = put(fd, "auth", buf_bytes(&key->auth))) ||
	    failed(e = put(fd, "instance.json", buf_bytes(&json))))
		return e;
	return renameat(folder, temporary, folder, hex) == 0 ? ERR(E_OK) : ERR(E_LOCAL_IO);
}

static struct err dup_str(const char *s, char **ret)
{
	*ret = strdup(s);
	return *ret == NULL ? ERR(E_LOCAL_MEMORY) : ERR(E_OK);
}

static struct err read_process(struct jobj *o, struct process_id *ret)
{
	uint64_t pid;
	const char *boot;
	struct err e;

	if (failed(e = jobj_u64(o, "pid", INT32_MAX, &pid)) ||
	    failed(e = jobj_u64(o, "pid_start", INT64_MAX, &ret->start)) ||
	    failed(e = jobj_str(o, "pid_boot", sizeof(ret->boot) - 1, &boot)))
		return e;
	ret->pid = (pid_t)pid;
	(void)snprintf(ret->boot, sizeof(ret->boot), "%s", boot);
	return ERR(E_OK);
}

static struct err read_container(const json_t *j, struct instance_container *ret, struct reason *reterr)
{
	const char *id, *rootfs;
	const json_t *absent;
	struct jobj o;
	struct err e;

	if (failed(e = jobj_init(&o, j, "container", reterr)) || failed(e = jobj_str(&o, "id", LIMIT_PATH, &id)) ||
	    failed(e = jobj_str(&o, "rootfs", LIMIT_PATH, &rootfs)) ||
	    failed(e = jobj_u64(&o, "dev", INT64_MAX, &ret->dev)) ||
	    failed(e = jobj_u64(&o, "ino", INT64_MAX, &ret->ino)) ||
	    failed(e = jobj_arr(&o, "absent", INSTANCE_ABSENT_MAX, &absent)) ||
	    failed(e = jobj_bool(&o, "allow_devices", &ret->allow_devices)) ||
	    failed(e = jobj_hex(&o, "policy", ret->policy, sizeof(ret->policy))) ||
	    failed(e = jobj_hex(&o, "manifest", ret->image.manifest, sizeof(ret->image.manifest))) ||
	    failed(e = jobj_hex(&o, "config", ret->image.config, sizeof(ret->image.config))) ||
	    failed(e = jobj_end(&o)) || failed(e = dup_str(id, &ret->id)) ||
	    failed(e = dup_str(rootfs, &ret->rootfs)))
		return e;
	ret->absent = json_incref((json_t *)(uintptr_t)absent);
	return ERR(E_OK);
}

static struct err from_json(const json_t *j, struct instance *ret, struct reason *reterr)
{
	const char *agent, *image = NULL, *model, *select = NULL;
	const json_t *container = NULL;
	uint64_t uid, started;
	struct jobj o;
	struct err e;

	if (failed(e = jobj_init(&o, j, "instance.json", reterr)) || failed(e = jobj_id(&o, "agent", &agent)) ||
	    failed(e = jobj_str(&o, "model", LIMIT_PATH, &model)) ||
	    failed(e = jobj_u64(&o, "uid", UINT32_MAX, &uid)) ||
	    failed(e = jobj_u64(&o, "started", INT64_MAX, &started)) || failed(e = read_process(&o, &ret->parent)))
		return e;
	if (jobj_has(&o, "container"))
		e = jobj_obj(&o, "container", &container);
	else
		e = jobj_str(&o, "image", LIMIT_PATH, &image);
	if (failed(e))
		return e;
	if (jobj_has(&o, "image_select") && failed(e = jobj_str(&o, "image_select", LIMIT_PATH, &select)))
		return e;
	if (failed(e = jobj_end(&o)) || failed(e = dup_str(model, &ret->model)) ||
	    (image != NULL && failed(e = dup_str(image, &ret->image))) ||
	    (container != NULL && failed(e = read_container(container, &ret->container, reterr))))
		return e;
	if (select != NULL && failed(e = dup_str(select, &ret->image_select)))
		return e;
	(void)snprintf(ret->agent, sizeof(ret->agent), "%s", agent);
	ret->uid = (uint32_t)uid;
	ret->started_s = (int64_t)started;
	return ERR(E_OK);
}

struct err instance_read(int state_fd, const uint8_t id[INSTANCE_ID_LEN], struct instance *ret, struct wkey_blob *key,
			 struct reason *reterr)
{
	char path[sizeof(FOLDER) + NAME_MAX_LEN], hex[INSTANCE_HEX_LEN + 1];
	cleanup_buf struct buf text = BUF_INIT(64 * KIB);
	cleanup_instance struct instance i = { 0 };
	cleanup_json json_t *json = NULL;
	cleanup_fd int fd = -1;
	struct err e;

	instance_id_format(id, hex);
	(void)snprintf(path, sizeof(path), FOLDER "/%s", hex);
	if (failed(e = dir_open(state_fd, path, &fd)) || failed(e = file_read(fd, "instance.json", &text)) ||
	    failed(e = json_parse(buf_bytes(&text), text.max, &json, reterr)) ||
	    failed(e = from_json(json, &i, reterr)))
		return e;
	memcpy(i.id, id, INSTANCE_ID_LEN);
	if (key != NULL && (failed(e = file_read(fd, "key.pub", &key->public_area)) ||
			    failed(e = file_read(fd, "key.priv", &key->private)) ||
			    failed(e = file_read_secret(fd, "auth", &key->auth))))
		return e;
	*ret = i;
	i = (struct instance){ 0 };
	return ERR(E_OK);
}
