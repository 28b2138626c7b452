/* SPDX-License-Identifier: Apache-2.0 */
/*
 * assayctl approve KIND NAME: makes the predicate of one kind from measured
 * things or given digests, signs it and hands it to the verifier.
 */
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "firmware-measure/oci.h"
#include "firmware-measure/oms_measure.h"
#include "verifier/operate/ctl.h"

struct approve {
	struct ctl *ctl;
	struct ctl_document doc;
	struct opt_list digests, oms_roots, hosts, images, models, platforms, scopes, resources, containers;
	const char *ek_sha256, *from, *asset, *layout, *select, *path, *version, *pcrs, *workload_before, *unapproved;
	const char *minimum_status, *profile, *oms, *oms_key, *oms_ca;
	bool rootfs, allow_devices, x509;
	uint64_t max_ttl_s;
};

static struct err put_strings(json_t *o, const char *key, const struct opt_list *l)
{
	cleanup_json json_t *a = json_array();

	if (a == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < l->n; i++)
		if (json_array_append_new(a, json_string(l->v[i])) != 0)
			return ERR(E_LOCAL_MEMORY);
	return json_put(o, key, take_ptr(&a));
}

static struct err put_one_hex(json_t *o, const char *key, struct bytes digest)
{
	char hex[2 * DIGEST_MAX + 1];
	struct opt_list l = { .n = 1, .v = { hex } };
	struct err e;

	if (failed(e = hex_encode(digest, hex, sizeof(hex))))
		return e;
	return put_strings(o, key, &l);
}

static struct err need(bool there, struct reason *reterr, const char *what)
{
	if (there)
		return ERR(E_OK);
	reason_set(reterr, "%s", what);
	return ERR(E_LOCAL_CONFIG);
}

/* The row of a host in the verifier's list, borrowed from *list. */
static struct err host_row(const struct ctl *c, const char *host, json_t **list, json_t **ret, struct reason *reterr)
{
	json_t *row;
	size_t i;
	struct err e;

	if (failed(e = ctl_request(c, "/v1/admin/hosts", NULL, NULL, list, reterr)))
		return e;
	json_array_foreach(*list, i, row) {
		const char *id = json_string_value(json_object_get(row, "host"));

		if (id != NULL && strcmp(id, host) == 0) {
			*ret = row;
			return ERR(E_OK);
		}
	}
	reason_set(reterr, "no host %s is enrolled (see assayctl hosts)", log_quote(bytes_str(host)));
	return ERR(E_AUTH_UNKNOWN);
}

static struct err host_predicate(const struct approve *a, json_t *p, struct reason *reterr)
{
	cleanup_json json_t *list = NULL;
	const char *ek = a->ek_sha256;
	struct opt_list one;
	json_t *row;
	struct err e;

	if (failed(e = need((ek != NULL) != (a->from != NULL), reterr,
			    "host: give the EK as --ek-sha256 HEX, or take the enrolled one with --from HOST")) ||
	    failed(e = need(a->asset != NULL, reterr, "host: --asset TEXT is needed: which machine is this")))
		return e;
	if (ek == NULL) {
		if (failed(e = host_row(a->ctl, a->from, &list, &row, reterr)))
			return e;
		ek = json_string_value(json_object_get(row, "ek_sha256"));
		if (ek == NULL)
			return ERR(E_BUG);
	}
	one = (struct opt_list){ .n = 1, .v = { ek } };
	if (failed(e = put_strings(p, "ek_sha256", &one)))
		return e;
	return json_put_str(p, "asset", a->asset);
}

static struct err image_predicate(const struct approve *a, json_t *p, struct reason *reterr)
{
	const struct root_options options = { .allow_devices = a->allow_devices };
	cleanup_free struct image_report *r = calloc(1, sizeof(*r));
	struct err e;

	if (r == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = need((a->layout != NULL) != (a->digests.n > 0), reterr,
			    "image: give --layout PATH (measured now) or --digest HEX of the manifest")))
		return e;
	if (failed(e = need(!a->rootfs || a->layout != NULL, reterr, "image: --rootfs goes with --layout")) ||
	    failed(e = need(!a->allow_devices || a->rootfs, reterr, "image: --allow-devices goes with --rootfs")))
		return e;
	if (a->digests.n > 0)
		return put_strings(p, "manifests", &a->digests);
	e = a->rootfs ? oci_measure_root(a->layout, a->select, &options, r, reterr) :
			oci_measure(a->layout, a->select, r, reterr);
	if (failed(e) || failed(e = put_one_hex(p, "manifests", BYTES_ARR(r->digests.manifest))) || !a->rootfs)
		return e;
	return put_one_hex(p, "rootfs", BYTES_ARR(r->rootfs));
}

/* Digests of a model in its folder or file; with a bundle only where that signs every file of it. */
static struct err measure_model(const struct approve *a, struct oms_measured *ret, struct reason *reterr)
{
	cleanup_oms_trusted struct oms_trusted by = { 0 };
	cleanup_model_report struct model_report r = { 0 };
	struct err e;

	if (a->oms == NULL) {
		e = model_measure(a->path, NULL, &r, reterr);
		*ret = (struct oms_measured){ .n = 1, .digests = { r.digests } };
		return e;
	}
	if (failed(e = oms_trusted_read(a->oms_key, a->oms_ca, &by, reterr)))
		return e;
	return oms_measure(a->path, a->oms, &by, ret, reterr);
}

static struct err put_model_digests(const struct oms_measured *m, json_t *p)
{
	char manifest[2][65], root[2][65];
	struct opt_list manifests = { .n = m->n }, roots = { .n = m->n };
	struct err e;

	for (size_t i = 0; i < m->n; i++) {
		if (failed(e = hex_encode(BYTES_ARR(m->digests[i].manifest), manifest[i], sizeof(manifest[i]))) ||
		    failed(e = hex_encode(BYTES_ARR(m->digests[i].oms_root), root[i], sizeof(root[i]))))
			return e;
		manifests.v[i] = manifest[i];
		roots.v[i] = root[i];
	}
	if (failed(e = put_strings(p, "manifests", &manifests)))
		return e;
	return put_strings(p, "oms_root", &roots);
}

static struct err model_predicate(const struct approve *a, json_t *p, struct reason *reterr)
{
	struct oms_measured m = { 0 };
	struct err e;

	if (failed(e = need((a->path != NULL) != (a->digests.n > 0), reterr,
			    "model: give --path FOLDER|FILE (measured now) or --digest HEX of Assay's manifest")) ||
	    failed(e = need(a->oms == NULL || a->path != NULL, reterr,
			    "model: --oms goes with --path: a bundle holds no sizes, so the model itself is measured")) ||
	    failed(e = need((a->oms != NULL) == ((a->oms_key != NULL) != (a->oms_ca != NULL)) &&
				    (a->oms != NULL || (a->oms_key == NULL && a->oms_ca == NULL)),
			    reterr, "model: --oms BUNDLE goes with one of --oms-key PEM and --oms-ca PEM")) ||
	    failed(e = need(a->version != NULL, reterr, "model: --version-name TEXT is needed")) ||
	    failed(e = json_put_str(p, "version", a->version)))
		return e;
	if (a->digests.n > 0) {
		if (failed(e = put_strings(p, "manifests", &a->digests)) || a->oms_roots.n == 0)
			return e;
		return put_strings(p, "oms_root", &a->oms_roots);
	}
	if (failed(e = measure_model(a, &m, reterr)))
		return e;
	return put_model_digests(&m, p);
}

/* "0-7,14" as a mask. */
static struct err pcrs_parse(const char *s, uint32_t *ret)
{
	uint32_t mask = 0;

	while (*s != '\0') {
		uint64_t from = 0, to;
		size_t n = strspn(s, "0123456789");
		char number[4];

		if (n == 0 || n > 2)
			return ERR(E_PEER_SYNTAX);
		(void)snprintf(number, sizeof(number), "%.*s", (int)n, s);
		if (failed(parse_u64(number, 23, &from)))
			return ERR(E_PEER_RANGE);
		to = from;
		s += n;
		if (*s == '-') {
			n = strspn(++s, "0123456789");
			if (n == 0 || n > 2)
				return ERR(E_PEER_SYNTAX);
			(void)snprintf(number, sizeof(number), "%.*s", (int)n, s);
			if (failed(parse_u64(number, 23, &to)) || to < from)
				return ERR(E_PEER_RANGE);
			s += n;
		}
		for (uint64_t i = from; i <= to; i++)
			mask |= 1u << i;
		if (*s == ',')
			s++;
		else if (*s != '\0')
			return ERR(E_PEER_SYNTAX);
	}
	*ret = mask;
	return mask != 0 ? ERR(E_OK) : ERR(E_PEER_SYNTAX);
}

/* One vector: the registers that the host quoted last, as the verifier kept them. */
static struct err vector_from(const struct approve *a, uint32_t mask, json_t *pcrs, json_t *vector,
			      struct reason *reterr)
{
	cleanup_json json_t *explanation = NULL;
	char path[128], number[8];
	const json_t *bank;
	struct err e;

	if (!id_valid(bytes_str(a->from)))
		return ERR(E_PEER_SYNTAX);
	(void)snprintf(path, sizeof(path), "/v1/admin/explain?host=%s", a->from);
	if (failed(e = ctl_request(a->ctl, path, NULL, NULL, &explanation, reterr)))
		return e;
	bank = json_object_get(json_object_get(explanation, "pcrs"), "sha256");
	for (unsigned i = 0; i < LIMIT_PCRS; i++) {
		const char *value;

		if ((mask & (1u << i)) == 0)
			continue;
		(void)snprintf(number, sizeof(number), "%u", i);
		value = json_string_value(json_object_get(bank, number));
		if (value == NULL) {
			reason_set(reterr,
				   "%s has not quoted register %u: it quotes what its platform documents name, and 0 to "
				   "15 where none is in force; withdraw those, then run assay-attest attest there",
				   a->from, i);
			return ERR(E_AUTH_UNKNOWN);
		}
		if (json_array_append_new(pcrs, json_integer((json_int_t)i)) != 0 ||
		    json_array_append_new(vector, json_string(value)) != 0)
			return ERR(E_LOCAL_MEMORY);
	}
	return ERR(E_OK);
}

/* Registers as one host showed them. */
static struct err golden_values(const struct approve *a, json_t *p, struct reason *reterr)
{
	cleanup_json json_t *pcrs = json_array(), *vector = json_array(), *vectors = json_array();
	uint32_t mask;
	struct err e;

	if (pcrs == NULL || vector == NULL || vectors == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = need(a->from != NULL && a->pcrs != NULL, reterr,
			    "platform: give rules as --profile FILE, or golden values as --from HOST and --pcrs LIST, for "
			    "example --pcrs 0-7")))
		return e;
	if (failed(pcrs_parse(a->pcrs, &mask))) {
		reason_set(reterr, "platform: --pcrs takes numbers up to 23, for example 0-7,14");
		return ERR(E_LOCAL_CONFIG);
	}
	if (failed(e = vector_from(a, mask, pcrs, vector, reterr)))
		return e;
	if (json_array_append_new(vectors, take_ptr(&vector)) != 0)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = json_put(p, "pcrs", take_ptr(&pcrs))))
		return e;
	return json_put(p, "vectors", take_ptr(&vectors));
}

/* The rules of a file, as they stand there: the verifier reads them strictly, and what is for us to say is not taken from it. */
static struct err put_profile(const struct approve *a, json_t *p, struct reason *reterr)
{
	static const char *const members[] = { "bank", "firmware", "ima", "measurer" };
	cleanup_buf struct buf text = BUF_INIT(LIMIT_DOCUMENT);
	cleanup_json json_t *file = NULL;
	const char *key;
	json_t *value;
	struct err e;

	if (failed(e = file_read(AT_FDCWD, a->profile, &text))) {
		reason_set(reterr, "platform: --profile %s: %s", a->profile, err_text(e));
		return ERR(E_LOCAL_CONFIG);
	}
	if (failed(e = json_parse(buf_bytes(&text), text.max, &file, reterr)))
		return e;
	json_object_foreach(file, key, value) {
		bool known = false;

		for (size_t i = 0; i < array_len(members); i++)
			known |= strcmp(key, members[i]) == 0;
		if (!known) {
			reason_set(reterr, "platform: %s: \"%s\" is not one of bank, firmware, ima, measurer", a->profile,
				   log_quote(bytes_str(key)));
			return ERR(E_PEER_UNKNOWN_KEY);
		}
		if (json_object_set(p, key, value) != 0)
			return ERR(E_LOCAL_MEMORY);
	}
	return ERR(E_OK);
}

static struct err put_default(json_t *p, const char *key, const char *value)
{
	return json_object_get(p, key) != NULL ? ERR(E_OK) : json_put_str(p, key, value);
}

static struct err platform_predicate(const struct approve *a, json_t *p, struct reason *reterr)
{
	static const struct opt_list everywhere = { .n = 1, .v = { "*" } };
	struct err e;

	if (a->profile != NULL && failed(e = put_profile(a, p, reterr)))
		return e;
	if ((a->profile == NULL || a->from != NULL || a->pcrs != NULL) && failed(e = golden_values(a, p, reterr)))
		return e;
	if (failed(e = put_strings(p, "hosts", a->hosts.n > 0 ? &a->hosts : &everywhere)) ||
	    failed(e = put_default(p, "bank", "sha256")) || failed(e = put_default(p, "measurer", "unattested")))
		return e;
	if (a->workload_before != NULL && failed(e = json_put_str(p, "workload_pcr_before", a->workload_before)))
		return e;
	return a->unapproved != NULL ? json_put_str(p, "unapproved_workload", a->unapproved) : ERR(E_OK);
}

static struct err agent_predicate(const struct approve *a, json_t *p, struct reason *reterr)
{
	struct err e;

	if (failed(e = need(a->images.n > 0 && a->models.n > 0 && a->platforms.n > 0 && a->scopes.n > 0 &&
				    a->resources.n > 0,
			    reterr, "agent: --image, --model, --platform, --scope and --resource are needed")) ||
	    failed(e = put_strings(p, "images", &a->images)) || failed(e = put_strings(p, "models", &a->models)) ||
	    failed(e = put_strings(p, "platforms", &a->platforms)) ||
	    failed(e = put_strings(p, "scopes", &a->scopes)) ||
	    failed(e = put_strings(p, "resources", &a->resources)) ||
	    failed(e = json_put_int(p, "max_ttl_s", (int64_t)a->max_ttl_s)) ||
	    (a->containers.n > 0 && failed(e = put_strings(p, "containers", &a->containers))) ||
	    (a->x509 && failed(e = json_put_bool(p, "x509", true))))
		return e;
	return a->minimum_status != NULL ? json_put_str(p, "minimum_status", a->minimum_status) : ERR(E_OK);
}

static struct err predicate(const struct approve *a, enum document_kind kind, json_t *p, struct reason *reterr)
{
	switch (kind) {
	case DOCUMENT_HOST:
		return host_predicate(a, p, reterr);
	case DOCUMENT_IMAGE:
		return image_predicate(a, p, reterr);
	case DOCUMENT_MODEL:
		return model_predicate(a, p, reterr);
	case DOCUMENT_PLATFORM:
		return platform_predicate(a, p, reterr);
	case DOCUMENT_AGENT:
		return agent_predicate(a, p, reterr);
	case DOCUMENT_WITHDRAW:
	case N_DOCUMENT_KINDS:
		break;
	}
	return ERR(E_BUG);
}

static int approve(struct approve *a, const char *kind_name, const char *name)
{
	enum document_kind kind = document_kind_by_name(kind_name);
	cleanup_json json_t *p = NULL, *answer = NULL;
	struct reason why = { { 0 } };
	struct err e;

	if (kind == N_DOCUMENT_KINDS || kind == DOCUMENT_WITHDRAW)
		return usage_error(&ctl_program, "approve: expected host, image, model, platform or agent");
	if (!id_valid(bytes_str(name)))
		return usage_error(&ctl_program, "approve: a name has 1 to 64 characters of A-Z a-z 0-9 . _ -");
	if (failed(e = json_new_object(&p)) || failed(e = predicate(a, kind, p, &why)) ||
	    failed(e = ctl_document_send(a->ctl, &a->doc, kind, name, p, "/v1/admin/documents", &answer, &why)))
		return e.code == E_LOCAL_CONFIG ? usage_error(&ctl_program, "approve: %s", why.text) :
						  ctl_fail("approve", e, &why);
	return failed(e = ctl_print(a->ctl, answer)) ? ctl_fail("approve", e, NULL) : EXIT_ACCEPTED;
}

int cmd_approve(void *ctx, int argc, char **argv)
{
	struct approve a = { .ctl = ctx, .max_ttl_s = 300 };
	const struct opt opts[] = {
		{ "key", OPT_STRING, &a.doc.key_file, "FILE", "operator's private key", 0 },
		{ "owner", OPT_STRING, &a.doc.owner, "TEXT", "who answers for this", 0 },
		{ "expires", OPT_DURATION, &a.doc.expires_s, "TIME", "how long it holds, for example 30d", 3650ull * 86400 },
		{ "serial", OPT_U64, &a.doc.serial, "N", "serial (one above the highest known)", INT64_MAX },
		{ "out", OPT_STRING, &a.doc.out_file, "FILE", "write the signed document instead of handing it over", 0 },
		{ "from", OPT_STRING, &a.from, "HOST", "host, platform: take what this enrolled host showed", 0 },
		{ "ek-sha256", OPT_STRING, &a.ek_sha256, "HEX", "host: SHA-256 of the EK public key", 0 },
		{ "asset", OPT_STRING, &a.asset, "TEXT", "host: which machine this is", 0 },
		{ "layout", OPT_STRING, &a.layout, "PATH", "image: OCI image layout or archive to measure", 0 },
		{ "select", OPT_STRING, &a.select, "TAG|DIGEST", "image: which image of the layout", 0 },
		{ "rootfs", OPT_FLAG, &a.rootfs, NULL, "image: check what its layers hold, approve the root that they make", 0 },
		{ "allow-devices", OPT_FLAG, &a.allow_devices, NULL, "image: accept devices and FIFOs in its layers", 0 },
		{ "path", OPT_STRING, &a.path, "PATH", "model: folder or file to measure", 0 },
		{ "version-name", OPT_STRING, &a.version, "TEXT", "model: its version", 0 },
		{ "digest", OPT_LIST, &a.digests, "HEX", "image, model: manifest digest; may repeat", 0 },
		{ "oms-root", OPT_LIST, &a.oms_roots, "HEX", "model: OpenSSF Model Signing root digest; may repeat", 0 },
		{ "oms", OPT_STRING, &a.oms, "BUNDLE", "model: OpenSSF Model Signing bundle that must sign all of --path", 0 },
		{ "oms-key", OPT_STRING, &a.oms_key, "PEM", "model: public key that must have signed the bundle", 0 },
		{ "oms-ca", OPT_STRING, &a.oms_ca, "PEM", "model: CAs of the certificate that must have signed the bundle", 0 },
		{ "profile", OPT_STRING, &a.profile, "FILE", "platform: rules over logs, as firmware-measure learn writes them", 0 },
		{ "pcrs", OPT_STRING, &a.pcrs, "LIST", "platform: registers to compare, for example 0-7", 0 },
		{ "host", OPT_LIST, &a.hosts, "NAME", "platform: host documents it is for (all); may repeat", 0 },
		{ "workload-pcr-before", OPT_STRING, &a.workload_before, "HEX",
		  "platform: value of PCR 13 that may stand before the first workload", 0 },
		{ "unapproved-workload", OPT_STRING, &a.unapproved, "host|instance",
		  "platform: what an unapproved workload fails (host)", 0 },
		{ "image", OPT_LIST, &a.images, "NAME", "agent: image document; may repeat", 0 },
		{ "model", OPT_LIST, &a.models, "NAME", "agent: model document; may repeat", 0 },
		{ "platform", OPT_LIST, &a.platforms, "NAME", "agent: platform document; may repeat", 0 },
		{ "container-policy", OPT_LIST, &a.containers, "HEX",
		  "agent: policy of a container that it has to run in (any, or none); may repeat", 0 },
		{ "scope", OPT_LIST, &a.scopes, "SCOPE", "agent: scope it may ask for; may repeat", 0 },
		{ "resource", OPT_LIST, &a.resources, "URL", "agent: resource it may ask for; may repeat", 0 },
		{ "max-ttl", OPT_DURATION, &a.max_ttl_s, "TIME", "agent: longest life of a credential (300s)", 900 },
		{ "x509", OPT_FLAG, &a.x509, NULL, "agent: X.509 certificates too", 0 },
		{ "minimum-status", OPT_STRING, &a.minimum_status, "STATUS",
		  "agent: affirming or warning (affirming)", 0 },
	};
	char **pos;
	int n, status;

	status = verb_options(&ctl_program, ctl_verb("approve"), argc, argv, opts, array_len(opts), 2, 2, &pos, &n);
	return status >= 0 ? status : approve(&a, pos[0], pos[1]);
}
