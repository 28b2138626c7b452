# SPDX-License-Identifier: Apache-2.0
"""Makes OpenSSF Model Signing bundles, as versions 0.2 to 1.1 of the reference implementation write them; openssl(1) signs."""
import base64
import hashlib
import json
import os
import subprocess

MEDIA = "application/vnd.dev.sigstore.bundle.v0.3+json"
TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://model_signing/signature/v1.0"
PREDICATE_0_2 = "https://model_signing/Digests/v0.1"
HASH = {"P-256": "sha256", "P-384": "sha384", "P-521": "sha512", "rsa": "sha256"}


def openssl(*args, data=None):
	return subprocess.run(("openssl",) + args, input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True).stdout


def b64(data):
	return base64.b64encode(data).decode()


class Key:
	"""A key pair in the folder: NAME.key and NAME.pub."""

	def __init__(self, folder, name, curve="P-256"):
		self.curve, self.path, self.pub = curve, os.path.join(folder, name + ".key"), os.path.join(folder, name + ".pub")
		kind = ("-algorithm", "RSA") if curve == "rsa" else ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:" + curve)
		openssl("genpkey", *kind, "-out", self.path)
		openssl("pkey", "-in", self.path, "-pubout", "-out", self.pub)
		with open(self.pub, "rb") as f:
			self.pem = f.read()

	def sign(self, data, hash_name=None):
		return openssl("dgst", "-" + (hash_name or HASH[self.curve]), "-sign", self.path, data=data)


class Cert:
	"""A certificate for key, NAME.crt; extensions are lines of openssl's configuration."""

	def __init__(self, folder, name, key, issuer, subject, extensions, days=("20250101000000Z", "20991231235959Z")):
		self.key, self.path = key, os.path.join(folder, name + ".crt")
		conf, csr = os.path.join(folder, name + ".conf"), os.path.join(folder, name + ".csr")
		with open(conf, "w") as f:
			f.write("[ca]\ndefault_ca=d\n[d]\ndatabase=%s.db\nnew_certs_dir=%s\nrand_serial=yes\ndefault_md=sha256\n"
				"policy=p\nunique_subject=no\nemail_in_dn=no\n[p]\ncommonName=supplied\n[req]\ndistinguished_name=n\n[n]\n"
				"[x]\n%s\n" % (conf, folder, "\n".join(extensions)))
		with open(conf + ".db", "w"):
			pass
		openssl("req", "-new", "-config", conf, "-key", key.path, "-subj", "/CN=" + subject, "-out", csr)
		by = ("-selfsign", "-keyfile", key.path) if issuer is None else ("-cert", issuer.path, "-keyfile", issuer.key.path)
		openssl("ca", "-batch", "-notext", "-config", conf, "-extensions", "x", "-startdate", days[0], "-enddate", days[1],
			"-in", csr, "-out", self.path, *by)
		self.der = openssl("x509", "-in", self.path, "-outform", "DER")


def sha256(data):
	return hashlib.sha256(data).hexdigest()


def resources(files, shard=None, name="sha256"):
	"""files: path -> content. Order as the reference implementation has it: by component, shards by number."""
	out = []
	for path in sorted(files, key=lambda p: p.split("/")):
		content = files[path]
		if shard is None:
			out.append({"name": path, "algorithm": name, "digest": sha256(content)})
			continue
		for at in range(0, len(content), shard):
			part = content[at:at + shard]
			out.append({"name": "%s:%d:%d" % (path, at, at + len(part)), "algorithm": name, "digest": sha256(part)})
	return out


def root(res):
	return sha256(b"".join(bytes.fromhex(r["digest"]) for r in res))


def statement(files, ignore=None, shard=None, alg="sha256", subject="model", **serialization):
	res = resources(files, shard, alg)
	how = {"method": "files" if shard is None else "shards", "hash_type": alg, "allow_symlinks": False}
	if shard is not None:
		how["shard_size"] = float(shard)
	if ignore is not None:
		how["ignore_paths"] = ignore
	how.update(serialization)
	return {"_type": STATEMENT, "subject": [{"name": subject, "digest": {"sha256": root(res)}}],
		"predicateType": PREDICATE, "predicate": {"serialization": how, "resources": res}}


def statement_0_2(files):
	return {"_type": STATEMENT, "predicateType": PREDICATE_0_2,
		"subject": [{"name": r["name"], "digest": {"sha256": r["digest"]},
			     "annotations": {"actual_hash_algorithm": "file-sha256"}} for r in resources(files)],
		"predicate": {"unused": "Unused, just passed due to API requirements"}}


def pae(payload):
	return b"DSSEv1 %d %s %d " % (len(TYPE), TYPE.encode(), len(payload)) + payload


def pae_0_2(payload):
	return ("DSSEV1 %d %s %d %s" % (len(TYPE), TYPE, len(payload), payload)).encode()


def by_hint(key):
	return {"publicKey": {"hint": sha256(key.pem)}, "tlogEntries": []}


def by_raw(key):
	"""Before 1.1."""
	return {"publicKey": {"rawBytes": b64(key.pem), "keyDetails": "PKIX_ECDSA_P384_SHA_384"}}


def by_chain(*certs):
	return {"x509CertificateChain": {"certificates": [{"rawBytes": b64(c.der)} for c in certs]}, "tlogEntries": []}


def bundle(st, key, material=None, encode=pae, hash_name=None, keyid="", payload=None):
	payload = json.dumps(st, indent=2).encode() if payload is None else payload
	return {"mediaType": MEDIA, "verificationMaterial": by_hint(key) if material is None else material,
		"dsseEnvelope": {"payload": b64(payload), "payloadType": TYPE,
				 "signatures": [{"sig": b64(key.sign(encode(payload), hash_name)), "keyid": keyid}]}}


def read_payload(b):
	return json.loads(base64.b64decode(b["dsseEnvelope"]["payload"]))


def reference_accepts(b, files, key, ignored=()):
	"""What the reference implementation checks of a bundle by key, in its way: None, or what it would say."""
	material, envelope = b["verificationMaterial"], b["dsseEnvelope"]
	payload, sig = base64.b64decode(envelope["payload"]), base64.b64decode(envelope["signatures"][0]["sig"])
	st = json.loads(payload)
	if b["mediaType"] != MEDIA or material["tlogEntries"] != [] or envelope["signatures"][0]["keyid"] != "":
		return "form of the bundle"
	if material["publicKey"]["hint"] != sha256(key.pem):
		return "hint"
	with open(key.path + ".sig", "wb") as f:
		f.write(sig)
	p = subprocess.run(("openssl", "dgst", "-" + HASH[key.curve], "-verify", key.pub, "-signature", key.path + ".sig"), input=pae(payload),
			   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
	if p.returncode != 0:
		return "signature"
	if envelope["payloadType"] != TYPE or st["_type"] != STATEMENT or st["predicateType"] != PREDICATE or len(st["subject"]) != 1:
		return "statement"
	res, how = st["predicate"]["resources"], st["predicate"]["serialization"]
	if st["subject"][0]["digest"] != {"sha256": root(res)}:
		return "root digest"
	if [r["name"] for r in res] != sorted(r["name"] for r in res):
		return "order"
	skip = set(how["ignore_paths"]) | set(ignored)
	left = {p: c for p, c in files.items() if not any(p == s or p.startswith(s + "/") for s in skip)}
	want = resources(left, how.get("shard_size"))
	if {r["name"]: (r["algorithm"], r["digest"]) for r in res} != {r["name"]: (r["algorithm"], r["digest"]) for r in want}:
		return "files: %r, not %r" % ([r["name"] for r in res], [r["name"] for r in want])
	return None
