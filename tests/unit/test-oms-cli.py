#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""firmware-measure model --verify against bundles of every version, and --sign. usage: test-oms-cli.py PROGRAM"""
import copy
import json
import os
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import oms_maker as O
from oms_world import FILES, main

SIGNER = ["basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature", "extendedKeyUsage=codeSigning",
	  "subjectKeyIdentifier=hash", "authorityKeyIdentifier=keyid"]
CA = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign", "subjectKeyIdentifier=hash"]


def versions(w):
	"""What each version writes is accepted, and refused as soon as a byte differs."""
	one = {"only.gguf": b"GGUF"}
	as_dot = O.statement({".": b"GGUF"}, subject="only.gguf")
	shards = dict(shard=8, alg="sha256-sharded-8")
	full = {k: v for k, v in FILES.items() if v}
	for name, bundle, files, path in (
			("0.2", O.bundle(O.statement_0_2(FILES), w.key, O.by_raw(w.key), O.pae_0_2, "sha256", None), FILES, ""),
			("0.2, hash by curve", O.bundle(O.statement_0_2(FILES), w.key, O.by_raw(w.key), O.pae_0_2, None, None), FILES, ""),
			("0.3 folder", O.bundle(O.statement(FILES), w.key, O.by_raw(w.key), keyid=None), FILES, ""),
			("0.3 file", O.bundle(as_dot, w.key, O.by_raw(w.key), keyid=None), one, "only.gguf"),
			("1.0 shards of a file", O.bundle(O.statement({".": b"GGUF" * 9}, **shards), w.key, O.by_raw(w.key)),
			 {"x.bin": b"GGUF" * 9}, "x.bin"),
			("1.0 shards", O.bundle(O.statement(FILES, **shards), w.key, O.by_raw(w.key)), FILES, ""),
			("1.0 symlinks allowed, none there", O.bundle(O.statement(FILES, allow_symlinks=True), w.key), FILES, ""),
			("1.1 folder", O.bundle(O.statement(FILES, ignore=[".git", "model.sig"]), w.key), FILES, ""),
			("1.1 file by name", O.bundle(O.statement(one), w.key), one, "only.gguf"),
			("specified shards", O.bundle(O.statement(full, shard=1 << 20), w.key), full, ""),
			("without keyid and tlogEntries", without_keyid(w), FILES, "")):
		model = os.path.join(w.lay(files), path).rstrip("/")
		w.verify("version " + name, 0, bundle, model=model, says=("verified",))
		w.verify("version %s, another key" % name, 1, bundle, key=("--key", w.other.pub), model=model)
		victim = model if path else w.path("m", "weights", "a.bin")
		with open(victim, "r+b") as f:
			f.write(b"!")
		w.verify("version %s, tampered" % name, 1, bundle, model=model, says=("changed ",))
	w.lay(FILES)


def without_keyid(w):
	b = O.bundle(O.statement(FILES), w.key, {"publicKey": {"hint": "some name"}})
	del b["dsseEnvelope"]["signatures"][0]["keyid"]
	b["dsseEnvelope"]["something"] = 1
	return b


def curves(w):
	w.lay()
	for curve in ("P-256", "P-384", "P-521"):
		k = O.Key(w.top, curve, curve)
		w.verify("curve " + curve, 0, O.bundle(O.statement(FILES), k), key=("--key", k.pub))
	w.verify("P-384 with SHA-256", 1, O.bundle(O.statement(FILES), w.key, hash_name="sha256"), says=("E_AUTH_SIGNATURE",))
	rsa = O.Key(w.top, "rsa", "rsa")
	w.verify("RSA", 1, O.bundle(O.statement(FILES), rsa), key=("--key", rsa.pub), says=("P-256",))


def folder_changes(w):
	good = O.bundle(O.statement(FILES), w.key)

	def case(name, change, *more, want=1, says=()):
		w.lay()
		change(w.path("m"))
		w.verify(name, want, good, *more, says=says)

	def write(*names):
		def do(m):
			path = os.path.join(m, *names)
			os.makedirs(os.path.dirname(path), exist_ok=True)
			with open(path, "w") as f:
				f.write("x")
		return do

	case("file missing", lambda m: os.unlink(m + "/config.json"), says=("missing   config.json",))
	case("file renamed", lambda m: os.rename(m + "/config.json", m + "/c.json"), says=("missing   config.json", "unsigned  c.json"))
	case("file moved", lambda m: os.rename(m + "/config.json", m + "/weights/config.json"), says=("unsigned  weights/config.json",))
	case("file added", write("weights", "z"), says=("unsigned  weights/z",))
	case("empty file added", lambda m: open(m + "/z", "w").close(), says=("unsigned  z",))
	case("empty folder added", lambda m: os.mkdir(m + "/z"), want=0)
	case("file added and ignored", write("weights", "z"), "--ignore", "weights/z", want=0)
	case("ignored by an odd spelling", write("weights", "z"), "--ignore", "./weights/z", want=0)
	case("folder added and ignored", write("cache", "a", "b"), "--ignore", "cache/", want=0)
	case("ignored name elsewhere", write("weights", "cache"), "--ignore", "cache", says=("unsigned  weights/cache",))
	case("ignored name only begins like it", write("cached"), "--ignore", "cache")
	case("signed file ignored", lambda m: None, "--ignore", "config.json", says=("missing   config.json",))
	for name in (".git", ".gitignore", ".gitattributes", ".github", ".gitmodules"):
		case(name + " at the top", write(name), want=0)
	case(".git folder at the top", write(".git", "objects", "x"), want=0)
	case(".gitignore below", write("weights", ".gitignore"), says=("unsigned  weights/.gitignore",))
	case("symlink", lambda m: os.symlink("config.json", m + "/link"), says=("link is a symbolic link",))
	case("FIFO", lambda m: os.mkfifo(m + "/fifo"), says=("fifo is a FIFO",))
	case("FIFO that is ignored", lambda m: os.mkfifo(m + "/fifo"), "--ignore", "fifo", want=0)
	case("name with newline", write("a\nb"), says=("names must be UTF-8",))
	case("name that is not UTF-8", write("a\udcffb"), says=("names must be UTF-8",))
	case("nothing left", lambda m: shutil.rmtree(m) or os.mkdir(m), says=("no regular file",))


def git_files_that_are_signed(w):
	files = dict(FILES, **{".gitattributes": b"*.bin lfs", ".github/ci.yml": b"x"})
	w.lay(files)
	good = O.bundle(O.statement(files), w.key)
	w.verify("signed .git files are checked", 0, good)
	w.lay(dict(files, **{".gitattributes": b"*.bin"}))
	w.verify("signed .git file changed", 1, good, says=("changed   .gitattributes",))
	w.lay(dict(files, **{".github/more.yml": b"y"}))
	w.verify("file added to a signed .github", 1, good, says=("unsigned  .github/more.yml",))
	w.lay(dict(files, **{".github/ci.yml": b"y"}))
	w.verify("signed file in .github changed", 1, good, says=("changed   .github/ci.yml",))


def bundle_inside(w):
	w.lay()
	w.put(O.bundle(O.statement(FILES), w.key), "m", "model.sig")
	key = ("--key", w.key.pub)
	w.check("bundle inside the folder", 0, "--verify", w.path("m", "model.sig"), *key, w.path("m"))
	w.check("bundle inside, oddly named", 0, "--verify", w.path("m", "weights", "..", ".", "model.sig"), *key, w.path("m") + "//")
	shutil.copy(w.path("m", "model.sig"), w.path("m", "weights"))
	w.check("bundle there twice", 1, "--verify", w.path("m", "model.sig"), *key, w.path("m"), says=("unsigned  weights/model.sig",))
	w.check("the other one counts", 1, "--verify", w.path("m", "weights", "model.sig"), *key, w.path("m"), says=("unsigned  model.sig",))
	w.lay()
	w.put(O.bundle(O.statement(FILES, ignore=["./cache/", "model.sig", "../elsewhere", "."]), w.key), "m", "model.sig")
	os.makedirs(w.path("m", "cache"))
	w.put(b"x", "m", "cache", "z")
	w.check("signed ignored paths", 0, "--verify", w.path("m", "model.sig"), *key, w.path("m"))
	shutil.copy(w.path("m", "model.sig"), w.path("b.sig"))
	w.check("an ignored name is ignored wherever the bundle lies", 0, "--verify", w.path("b.sig"), *key, w.path("m"))
	w.lay()


def certificates(w):
	top, files = w.top, FILES
	root, inter = O.Key(top, "root", "rsa"), O.Key(top, "inter", "rsa")
	root_crt = O.Cert(top, "root", root, None, "root-ca", CA)
	inter_crt = O.Cert(top, "inter", inter, root_crt, "intermediate-ca", CA + ["authorityKeyIdentifier=keyid"])
	wrong = O.Cert(top, "wrong", O.Key(top, "wrong"), None, "root-ca", CA)
	# The reference implementation's own test certificates: a signer that says it is a CA, by its issuer's name.
	odd = ["basicConstraints=critical,CA:TRUE"] + SIGNER[1:]
	w.lay()

	def case(name, want, extensions=SIGNER, chain=True, ca=root_crt, issuer=inter_crt, subject="signer", says=(), days=None, key=None,
		 **how):
		leaf = O.Cert(top, "leaf", key or w.key, issuer, subject, extensions, **({"days": days} if days else {}))
		certs = (leaf, inter_crt) if chain else (leaf,)
		w.verify("certificate: " + name, want, O.bundle(how.pop("st", O.statement(files)), key or w.key, O.by_chain(*certs), **how),
			 key=("--ca", (leaf if ca is None else ca).path), says=says)

	case("chain", 0, says=("signer    certificate CN=signer",))
	case("of the reference implementation", 0, odd, subject="intermediate-ca")
	case("version 0.2", 0, odd, subject="intermediate-ca", st=O.statement_0_2(files), encode=O.pae_0_2, hash_name="sha256", keyid=None)
	case("signed by the anchor", 0, issuer=root_crt, chain=False)
	case("that is the anchor", 0, odd[:3] + ["subjectKeyIdentifier=hash"], ca=None, issuer=None, chain=False)
	case("that is the anchor and no CA", 0, SIGNER[:3], ca=None, issuer=None, chain=False)
	lone = O.Cert(top, "lone", w.other, None, "signer", SIGNER[:3])
	case("anchor that is no CA signs no others", 1, ca=lone, issuer=lone, chain=False, says=("E_AUTH_CERTIFICATE",))
	case("that is the anchor, expired", 1, SIGNER[:3], ca=None, issuer=None, chain=False,
	     days=("20200101000000Z", "20200102000000Z"), says=("expired",))
	case("another CA of the same name", 1, ca=wrong, says=("E_AUTH_CERTIFICATE",))
	case("intermediate alone is no anchor", 1, ca=inter_crt, says=("E_AUTH_CERTIFICATE",))
	case("intermediate missing", 1, chain=False, says=("E_AUTH_CERTIFICATE",))
	case("expired", 1, days=("20200101000000Z", "20200102000000Z"), says=("expired",))
	case("not yet valid", 1, days=("20900101000000Z", "20990102000000Z"), says=("not yet valid",))
	case("without keyUsage", 1, [x for x in SIGNER if "keyUsage=crit" not in x], says=("digitalSignature",))
	case("keyUsage without digitalSignature", 1, [x.replace("digitalSignature", "keyEncipherment") for x in SIGNER],
	     says=("digitalSignature",))
	case("for TLS servers only", 1, [x.replace("codeSigning", "serverAuth") for x in SIGNER], says=("codeSigning",))
	case("without extendedKeyUsage", 0, [x for x in SIGNER if "extended" not in x])
	case("unknown critical extension", 1, SIGNER + ["1.2.3.4=critical,ASN1:NULL"], says=("critical",))
	case("RSA key", 1, key=root, says=("P-256",))
	leaf = O.Cert(top, "leaf", w.key, inter_crt, "signer", SIGNER)
	w.verify("certificate: of another key than signed", 1, O.bundle(O.statement(files), w.other, O.by_chain(leaf, inter_crt)),
		 key=("--ca", root_crt.path), says=("E_AUTH_SIGNATURE",))
	good = O.bundle(O.statement(files), w.key, O.by_chain(leaf, inter_crt))
	w.verify("certificate bundle with its key", 1, good, says=("signed with a certificate",))
	w.verify("key bundle with a CA", 1, O.bundle(O.statement(files), w.key), key=("--ca", root_crt.path), says=("signed with a key",))
	w.verify("several CAs in a file", 0, good, key=("--ca", join(w, wrong, root_crt)))
	w.verify("CA file without certificate", 1, good, key=("--ca", w.key.pub), says=("no certificate",))
	w.verify("CA file with a certificate that is no CA", 1, good, key=("--ca", leaf_of_no_ca(w, inter_crt)), says=("no CA",))
	lone = copy.deepcopy(good)
	lone["verificationMaterial"] = {"certificate": {"rawBytes": O.b64(leaf.der)}, "tlogEntries": []}
	w.verify("keyless bundle", 1, lone, key=("--ca", root_crt.path), says=("not supported",))
	many = O.by_chain(leaf, *[inter_crt] * 8)
	w.verify("too long a chain", 1, O.bundle(O.statement(files), w.key, many), key=("--ca", root_crt.path), says=("E_LIMIT_COUNT",))
	w.verify("empty chain", 1, O.bundle(O.statement(files), w.key, O.by_chain()), key=("--ca", root_crt.path), says=("E_PEER_MISSING",))


def join(w, *certs):
	text = b"".join(open(c.path, "rb").read() for c in certs)
	w.put(text, "all.pem")
	return w.path("all.pem")


def leaf_of_no_ca(w, issuer):
	return O.Cert(w.top, "noca", w.other, issuer, "nobody", SIGNER).path


def bad_bundles(w):
	"""Every check of the format, one at a time."""
	w.lay()
	good = O.bundle(O.statement(FILES), w.key)

	def outside(name, change, code):
		b = copy.deepcopy(good)
		change(b)
		w.verify("bundle: " + name, 1, b, says=(code,))

	def inside(name, change, code, **how):
		st = O.statement(FILES, **how)
		change(st)
		w.verify("statement: " + name, 1, O.bundle(st, w.key), says=(code,))

	def put(*path, value):
		def do(o):
			for p in path[:-1]:
				o = o[p]
			o[path[-1]] = value
		return do

	def cut(*path):
		def do(o):
			for p in path[:-1]:
				o = o[p]
			del o[path[-1]]
		return do

	text = json.dumps(good).encode()
	w.verify("bundle: empty", 1, b"", says=("E_PEER_SYNTAX",))
	w.verify("bundle: cut", 1, text[:100], says=("E_PEER_SYNTAX",))
	w.verify("bundle: bytes behind", 1, text + b"x", says=("E_PEER_SYNTAX",))
	w.verify("bundle: no JSON", 1, b"\x00\xff", says=("E_PEER_SYNTAX",))
	w.verify("bundle: member twice", 1, text.replace(b'"mediaType"', b'"mediaType": "x", "mediaType"', 1), says=("E_PEER_DUPLICATE",))
	outside("old media type", put("mediaType", value="application/vnd.dev.sigstore.bundle+json;version=0.1"), "E_PEER_MEDIA_TYPE")
	outside("no media type", cut("mediaType"), "E_PEER_MISSING")
	outside("no envelope", cut("dsseEnvelope"), "E_PEER_MISSING")
	outside("no material", cut("verificationMaterial"), "E_PEER_MISSING")
	outside("no method", cut("verificationMaterial", "publicKey"), "E_PEER_MISSING")
	outside("two methods", put("verificationMaterial", "x509CertificateChain", value={"certificates": []}), "E_PEER_DUPLICATE")
	outside("hint of another key", put("verificationMaterial", "publicKey", "hint", value="ab" * 32), "E_AUTH_SIGNATURE")
	outside("payload type", put("dsseEnvelope", "payloadType", value="application/octet-stream"), "E_PEER_TYPE")
	outside("payload changed", put("dsseEnvelope", "payload", value=O.b64(b"{}")), "E_AUTH_SIGNATURE")
	outside("payload no base64", put("dsseEnvelope", "payload", value="e30"), "E_PEER_")
	outside("no signature", put("dsseEnvelope", "signatures", value=[]), "E_PEER_MISSING")
	outside("two signatures", put("dsseEnvelope", "signatures", value=good["dsseEnvelope"]["signatures"] * 2), "E_LIMIT_COUNT")
	outside("signature no DER", put("dsseEnvelope", "signatures", 0, "sig", value=O.b64(b"x" * 96)), "E_PEER_")
	w.verify("signed payload that is no JSON", 1, O.bundle(None, w.key, payload=b"nothing"), says=("E_PEER_SYNTAX",))
	inside("type", put("_type", value="https://in-toto.io/Statement/v0.1"), "E_PEER_TYPE")
	inside("predicate type", put("predicateType", value="https://slsa.dev/provenance/v1"), "E_PEER_TYPE")
	inside("no predicate type", cut("predicateType"), "E_PEER_MISSING")
	inside("no subject", put("subject", value=[]), "E_PEER_MISSING")
	inside("two subjects", lambda s: s["subject"].append(s["subject"][0]), "E_LIMIT_COUNT")
	inside("another root digest", put("subject", 0, "digest", "sha256", value="00" * 32), "E_PEER_DIGEST")
	inside("no serialization", cut("predicate", "serialization"), "E_PEER_MISSING")
	inside("no resources", put("predicate", "resources", value=[]), "E_PEER_MISSING")
	inside("unknown method", lambda s: None, "E_PEER_UNSUPPORTED", method="tensors")
	inside("BLAKE2", lambda s: None, "E_PEER_UNSUPPORTED", hash_type="blake2b")
	inside("BLAKE3 for one file", put("predicate", "resources", 0, "algorithm", value="blake3"), "E_PEER_UNSUPPORTED")
	inside("no allow_symlinks", cut("predicate", "serialization", "allow_symlinks"), "E_PEER_MISSING")
	inside("ignored path no text", lambda s: None, "E_PEER_TYPE", ignore=[1])
	inside("short digest", put("predicate", "resources", 0, "digest", value="00"), "E_PEER_RANGE")
	inside("shards without size", cut("predicate", "serialization", "shard_size"), "E_PEER_MISSING", shard=8)
	for size in (0, -8, 8.5, 1e300, "8"):
		inside("shard size %r" % size, put("predicate", "serialization", "shard_size", value=size), "E_PEER_RANGE", shard=8)
	inside("shard of another size's hash", lambda s: None, "E_PEER_UNSUPPORTED", shard=8, alg="sha256-sharded-9")

	def rename(new):
		def do(s):
			s["predicate"]["resources"][0]["name"] = new
		return do
	for name in ("config.json", "config.json:0", "config.json:0:x", "config.json:8:0", "config.json:-1:8", ":0:8"):
		inside("shard named %r" % name, rename(name), "E_PEER_SYNTAX", shard=8)

	def twice(s):
		r = s["predicate"]["resources"]
		r.append(r[0])
		s["subject"][0]["digest"]["sha256"] = O.root(r)
	inside("file twice", twice, "E_PEER_DUPLICATE")
	inside("shard twice", twice, "E_PEER_DUPLICATE", shard=8)


def shards(w):
	"""Another partition than the signed one does not pass, nor does half a file."""
	files = {"w": b"0123456789abcdef0123", "e": b"", "x:0:8": b"colons"}
	good = O.statement(files, shard=8)

	def case(name, want, change=lambda r: r, content=None, says=()):
		st = copy.deepcopy(good)
		r = st["predicate"]["resources"] = change(st["predicate"]["resources"])
		st["subject"][0]["digest"]["sha256"] = O.root(r)
		w.lay(dict(files, **(content or {})))
		w.verify("shards: " + name, want, O.bundle(st, w.key), says=says)

	def of_bytes(name, start, end, data):
		return {"name": "%s:%d:%d" % (name, start, end), "algorithm": "sha256", "digest": O.sha256(data)}
	case("as signed", 0)
	case("empty file listed", 0, lambda r: r + [of_bytes("e", 0, 0, b"")])
	case("empty file listed with another digest", 1, lambda r: r + [of_bytes("e", 0, 0, b"x")], says=("changed   e",))
	case("empty file filled", 1, content={"e": b"x"}, says=("unsigned  e",))
	case("last shard missing", 1, lambda r: [x for x in r if x["name"] != "w:16:20"], says=("changed   w",))
	case("all shards missing", 1, lambda r: [x for x in r if not x["name"].startswith("w")], says=("unsigned  w",))
	case("file longer", 1, content={"w": files["w"] + b"!"}, says=("changed   w",))
	case("file cut at a shard", 1, content={"w": files["w"][:16]}, says=("changed   w",))
	case("byte in the middle", 1, content={"w": b"0123456789abcdeF0123"}, says=("changed   w",))
	case("partition moved", 1, lambda r: [x for x in r if not x["name"].startswith("w")] +
	     [of_bytes("w", 0, 4, b"0123"), of_bytes("w", 4, 12, files["w"][4:12]), of_bytes("w", 12, 20, files["w"][12:])],
	     says=("changed   w",))
	same = [of_bytes("z", 0, 8, b"a" * 8), of_bytes("z", 8, 16, b"a" * 8)]
	case("the same bytes again and again", 0, lambda r: r + same, {"z": b"a" * 16})
	case("another beginning", 1, lambda r: r + [same[0], of_bytes("z", 9, 16, b"a" * 8)], {"z": b"a" * 16}, says=("changed   z",))
	case("another end", 1, lambda r: r + [same[0], of_bytes("z", 8, 17, b"a" * 8)], {"z": b"a" * 16}, says=("changed   z",))
	case("shard more", 1, lambda r: r + [of_bytes("w", 20, 28, b"")], says=("changed   w",))
	w.lay()


def usage(w):
	w.lay()
	w.put(O.bundle(O.statement(FILES), w.key))
	b, k, m = ("--verify", w.path("b.sig")), ("--key", w.key.pub), w.path("m")
	w.check("usage: no key", 2, *b, m)
	w.check("usage: key and CA", 2, *b, *k, "--ca", w.key.pub, m)
	w.check("usage: no folder", 2, *b, *k)
	w.check("usage: two folders", 2, *b, *k, m, m)
	w.check("usage: key without a bundle", 2, *k, m)
	w.check("usage: ignore without a bundle", 2, "--ignore", "x", m)
	w.check("usage: files", 2, *b, *k, "--files", m)
	for path in ("", "/etc", "..", "../x", "a/../b", "a/.."):
		w.check("usage: ignore %r" % path, 2, *b, *k, "--ignore", path, m)
	w.check("names with dots are paths", 0, *b, *k, "--ignore", "..a", "--ignore", "a..", "--ignore", "a/..b", m)
	os.symlink("signer.pub", w.path("link.pub"))
	os.symlink("b.sig", w.path("link.sig"))
	w.check("key and bundle by links", 0, "--verify", w.path("link.sig"), "--key", w.path("link.pub"), m)
	os.symlink("nowhere", w.path("link.none"))
	w.check("key by a link that leads nowhere", 3, *b, "--key", w.path("link.none"), m)
	w.check("folder in place of a key", 3, *b, "--key", m, m)
	w.check("bundle that is not there", 3, "--verify", w.path("none"), *k, m)
	w.check("key that is not there", 3, *b, "--key", w.path("none"), m)
	w.check("model that is not there", 3, *b, *k, w.path("none"))
	w.check("private key in place of the public one", 1, *b, "--key", w.key.path, m)
	w.check("for machines", 0, *b, *k, "--json", m, says=('"verified":true', '"unsigned":[]', '"signer":"key '))
	os.unlink(w.path("m", "config.json"))
	w.check("for machines, not matching", 1, *b, *k, "--json", m, says=('"verified":false', '"missing":["config.json"]'))


def signing(w):
	"""What is signed is what another implementation accepts, and what we accept."""
	out = w.path("m", "model.sig")
	files = dict(FILES, **{".git/HEAD": b"ref", ".gitmodules": b"x", "cache/z": b"z", "a:b": b"c", "a.b": b"d", "a/b": b"e"})

	def case(name, key, *more, ignored=(), shard=None, curve_file=None, given=files):
		w.lay(given)
		w.check("sign: " + name, 0, "--sign", curve_file or key.path, "--out", out, *more, w.path("m") + "/", says=("signed ",))
		with open(out) as f:
			b = json.load(f)
		complaint = O.reference_accepts(b, dict(given, **{"model.sig": b""}), key)
		how = O.read_payload(b)["predicate"]["serialization"]
		w.true("sign: %s, by another implementation" % name, complaint is None, complaint)
		w.true("sign: %s, serialization" % name, how["ignore_paths"] == [".git", ".gitattributes", ".github", ".gitignore"] +
		       list(ignored) + ["model.sig"] and how.get("shard_size") == shard, how)
		w.true("sign: %s, subject" % name, O.read_payload(b)["subject"][0]["name"] == "m", O.read_payload(b)["subject"])
		w.check("sign: %s, verified" % name, 0, "--verify", out, "--key", key.pub, w.path("m"))
		with open(w.path("m", "a.b"), "a") as f:
			f.write("!")
		w.check("sign: %s, then changed" % name, 1, "--verify", out, "--key", key.pub, w.path("m"), says=("changed   a.b",))

	for curve in ("P-256", "P-384", "P-521"):
		case(curve, O.Key(w.top, curve, curve))
	case("shards", w.key, "--shard-size", "7", shard=7)
	case("one shard a file", w.key, "--shard-size", "9007199254740992", shard=1 << 53)
	case("ignored paths", w.key, "--ignore", "./cache/", "--ignore", "none", ignored=("cache", "none"))
	sec1 = w.path("sec1.pem")
	O.openssl("ec", "-in", w.key.path, "-out", sec1)
	case("SEC 1 key", w.key, curve_file=sec1)
	w.put(O.openssl("ecparam", "-name", "secp384r1") + open(sec1, "rb").read(), "params.pem")
	os.chmod(w.path("params.pem"), 0o600)
	case("SEC 1 key behind its parameters", w.key, curve_file=w.path("params.pem"))
	again = json.load(open(out))
	w.check("sign: over the bundle that is there", 0, "--sign", w.key.path, "--out", out, w.path("m"))
	w.true("sign: the bundle does not sign itself", "model.sig" not in json.dumps(O.read_payload(json.load(open(out)))["predicate"]["resources"]),
	       again)

	one = ("--sign", w.key.path, "--out", w.path("f.sig"))
	w.check("sign: one file", 0, *one, w.path("m", "a.b"))
	with open(w.path("f.sig")) as f:
		st = O.read_payload(json.load(f))
	w.true("sign: one file has its name", [r["name"] for r in st["predicate"]["resources"]] == ["a.b"] and st["subject"][0]["name"] == "a.b", st)
	w.check("sign: one file, verified", 0, "--verify", w.path("f.sig"), "--key", w.key.pub, w.path("m", "a.b"))
	os.rename(w.path("m", "a.b"), w.path("m", "A.b"))
	w.check("sign: one file, renamed", 1, "--verify", w.path("f.sig"), "--key", w.key.pub, w.path("m", "A.b"), says=("missing   a.b",))

	w.lay({"blobs/" + "a" * 40: b"blob", "snapshots/r/config.json": b"{}"})
	os.symlink("../../blobs/" + "a" * 40, w.path("m", "snapshots", "r", "w.bin"))
	w.check("sign: a revision in a Hugging Face cache", 0, "--sign", w.key.path, "--out", out, w.path("m", "snapshots", "r"))
	how = O.read_payload(json.load(open(out)))["predicate"]["serialization"]
	w.true("sign: links were followed", how["allow_symlinks"] is True, how)
	os.rename(out, w.path("m", "blobs", "b" * 40))
	os.symlink("../../blobs/" + "b" * 40, w.path("m", "snapshots", "r", "model.sig"))
	w.check("sign: bundle as a link of a cache", 0, "--verify", w.path("m", "snapshots", "r", "model.sig"), "--key", w.key.pub,
		w.path("m", "snapshots", "r"))
	os.unlink(w.path("m", "snapshots", "r", "model.sig"))
	os.rename(w.path("m", "blobs", "b" * 40), out)
	w.check("sign: links of a cache, verified", 0, "--verify", out, "--key", w.key.pub, w.path("m", "snapshots", "r"))
	with open(w.path("m", "blobs", "a" * 40), "w") as f:
		f.write("x")
	w.check("sign: blob changed", 1, "--verify", out, "--key", w.key.pub, w.path("m", "snapshots", "r"), says=("changed   w.bin",))

	rsa = O.Key(w.top, "rsa", "rsa")
	w.lay()
	w.check("sign: RSA", 1, "--sign", rsa.path, "--out", w.path("x.sig"), w.path("m"), says=("P-256",))
	w.check("sign: public key", 1, "--sign", pub_0600(w), "--out", w.path("x.sig"), w.path("m"), says=("no private key",))
	os.chmod(w.other.path, 0o644)
	w.check("sign: key that others can read", 3, "--sign", w.other.path, "--out", w.path("x.sig"), w.path("m"), says=("0600",))
	w.check("sign: no such folder", 3, "--sign", w.key.path, "--out", w.path("none", "x.sig"), w.path("m"))
	w.check("sign: no such model", 3, "--sign", w.key.path, "--out", w.path("x.sig"), w.path("none"))
	w.check("sign: no out", 2, "--sign", w.key.path, w.path("m"))
	w.check("sign: and verify", 2, "--sign", w.key.path, "--out", w.path("x.sig"), "--verify", out, w.path("m"))
	w.check("sign: with a CA", 2, "--sign", w.key.path, "--out", w.path("x.sig"), "--ca", out, w.path("m"))
	w.check("sign: out alone", 2, "--out", w.path("x.sig"), w.path("m"))
	w.check("sign: shard size alone", 2, "--shard-size", "8", w.path("m"))
	w.check("sign: shard size to verify", 2, "--verify", w.path("f.sig"), "--key", w.key.pub, "--shard-size", "8", w.path("m"))
	w.check("sign: shards too large", 2, "--sign", w.key.path, "--out", w.path("x.sig"), "--shard-size", "9007199254740993", w.path("m"))
	w.check("sign: symlink", 1, "--sign", w.key.path, "--out", w.path("x.sig"), link_in(w), says=("symbolic link",))
	w.lay({".git/HEAD": b"x"})
	w.check("sign: nothing left", 1, "--sign", w.key.path, "--out", w.path("x.sig"), w.path("m"), says=("E_PEER_MISSING",))
	w.lay({"e": b""})
	w.check("sign: shards of nothing", 1, "--sign", w.key.path, "--out", w.path("x.sig"), "--shard-size", "8", w.path("m"),
		says=("E_PEER_MISSING",))
	w.true("sign: nothing was written", not os.path.exists(w.path("x.sig")), None)


def pub_0600(w):
	os.chmod(w.key.pub, 0o600)
	return w.key.pub


def link_in(w):
	os.symlink("config.json", w.path("m", "link"))
	return w.path("m")


def reference_tool(w):
	"""The reference implementation itself, where it is installed."""
	tool = shutil.which("model_signing")
	if tool is None:
		w.n += 1
		print("ok %d - both ways with the reference implementation # SKIP model_signing is not installed" % w.n)
		return

	def run(verb, option, key):
		text = subprocess.run((tool, verb, "key", "--help"), stdout=subprocess.PIPE, text=True).stdout
		option = option if option in text else option.replace("_", "-")
		return subprocess.run((tool, verb, "key", w.path("m"), "--signature", w.path("m", "model.sig"), option, key),
				      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
	w.lay()
	w.check("ours for the reference implementation", 0, "--sign", w.key.path, "--out", w.path("m", "model.sig"), w.path("m"))
	p = run("verify", "--public_key", w.key.pub)
	w.true("the reference implementation accepts ours", p.returncode == 0, p.stdout)
	os.unlink(w.path("m", "model.sig"))
	p = run("sign", "--private_key", w.key.path)
	w.true("the reference implementation signs", p.returncode == 0, p.stdout)
	w.check("we accept the reference implementation's", 0, "--verify", w.path("m", "model.sig"), "--key", w.key.pub, w.path("m"))


if __name__ == "__main__":
	sys.exit(main((versions, curves, folder_changes, git_files_that_are_signed, bundle_inside, certificates, bad_bundles, shards, usage,
		       signing, reference_tool)))
