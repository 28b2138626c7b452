#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""assayctl approve model --oms. usage: test-oms-approve.py FIRMWARE_MEASURE ASSAYCTL"""
import base64
import json
import os
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import oms_maker as O
from oms_world import FILES, main


class Approval:
	def __init__(self, w):
		self.w, self.ctl = w, sys.argv[2]
		subprocess.run((self.ctl, "key", "new", "--out", w.path("op.key")), check=True, stdout=subprocess.DEVNULL)

	def run(self, *args):
		return subprocess.run((self.ctl, "approve", "model", "mdl", "--key", self.w.path("op.key"), "--owner", "ops", "--expires", "1d",
				       "--serial", "1", "--out", self.w.path("doc"), "--version-name", "1") + args, stdout=subprocess.PIPE,
				      stderr=subprocess.PIPE, text=True, timeout=60)

	def good(self, name, *args):
		"""The approved digests: manifests, OpenSSF root digests."""
		p = self.run(*args)
		self.w.true(name, p.returncode == 0, p.stderr)
		if p.returncode:
			return None, None
		with open(self.w.path("doc")) as f:
			predicate = json.loads(base64.b64decode(json.load(f)["payload"]))["predicate"]
		os.unlink(self.w.path("doc"))
		return predicate["manifests"], predicate["oms_root"]

	def refused(self, name, *args, status=1, says=()):
		p = self.run(*args)
		self.w.true("%s: refused" % name, p.returncode == status and all(x in p.stderr for x in says) and
			    not os.path.exists(self.w.path("doc")), p.stderr)


def measured(w, path="m"):
	"""What assay-attest would measure: manifest, root digest."""
	p = subprocess.run((w.program, "model", "--json", w.path(path)), stdout=subprocess.PIPE, check=True)
	o = json.loads(p.stdout)
	return o["manifest"], o["oms_root"]


def approvals(w):
	a = Approval(w)
	key = ("--oms-key", w.key.pub)
	path, out, inside = ("--path", w.lay()), ("--oms", w.path("b.sig")), ("--oms", w.path("m", "model.sig"))
	plain = measured(w)
	good = O.bundle(O.statement(FILES), w.key)
	w.put(good)
	manifests, roots = a.good("bundle beside the folder", *path, *out, *key)
	w.true("what is approved is what is measured", manifests == [plain[0]] and roots == [plain[1]], manifests)
	w.put(good, "m", "model.sig")
	manifests, roots = a.good("bundle in the folder", *path, *inside, *key)
	w.true("with the bundle and without", manifests == [measured(w)[0], plain[0]] and roots == [measured(w)[1], plain[1]], manifests)
	w.put(O.bundle(O.statement({k: v for k, v in FILES.items() if v}, shard=7), w.key), "m", "model.sig")
	a.refused("empty file beside shards", *path, *inside, *key, says=("empty and not listed empty",))
	os.unlink(w.path("m", "empty"))
	manifests, _ = a.good("shards", *path, *inside, *key)
	w.true("shards approve whole files", manifests[0] == measured(w)[0], manifests)
	w.lay({"x.gguf": b"GGUF"})
	w.put(O.bundle(O.statement({".": b"GGUF"}), w.key, O.by_raw(w.key)))
	manifests, _ = a.good("one file", "--path", w.path("m", "x.gguf"), *out, *key)
	w.true("one file under its name", manifests == [measured(w, "m/x.gguf")[0]], manifests)

	w.lay()
	w.put(good)
	a.refused("another key", *path, *out, "--oms-key", w.other.pub, says=("another key",))
	unsigned = json.loads(json.dumps(good))
	unsigned["dsseEnvelope"]["signatures"][0]["sig"] = O.b64(w.other.sign(b"x"))
	w.put(unsigned, "bad.sig")
	a.refused("signature that does not verify", *path, "--oms", w.path("bad.sig"), *key, says=("signature does not verify",))

	def changed(name, change, says, bundle=out):
		w.lay()
		w.put(good, "m", "model.sig") if bundle is inside else None
		change(w.path("m"))
		a.refused(name, *path, *bundle, *key, says=says)

	def write(*names):
		def do(m):
			os.makedirs(os.path.dirname(os.path.join(m, *names)), exist_ok=True)
			with open(os.path.join(m, *names), "w") as f:
				f.write("x")
		return do
	changed("changed file", write("config.json"), ("changed config.json",))
	changed("missing file", lambda m: os.unlink(m + "/config.json"), ("missing config.json",))
	changed("file that nobody signed", write("extra"), ("not signed extra", "every file"))
	changed("file in .git, which is measured too", write(".git", "HEAD"), ("not signed .git/HEAD",))
	changed("a copy of the bundle by another name", lambda m: shutil.copy(m + "/model.sig", m + "/copy"), ("not signed copy",), inside)
	changed("symlink", lambda m: os.symlink("config.json", m + "/link"), ("symbolic link",))
	many = w.lay(dict(FILES, **{"extra%d" % i: b"x" for i in range(9)}))
	a.refused("many files that nobody signed", "--path", many, *out, *key, says=("extra2 and more",))
	w.put(O.bundle(O.statement(FILES, ignore=["cache"]), w.key), "ignoring.sig")
	changed("what the signer ignored", write("cache", "z"), ("not signed cache/z",), ("--oms", w.path("ignoring.sig")))

	w.lay()
	a.refused("bundle without its key", *path, *out, status=2, says=("--oms-key",))
	a.refused("bundle with key and CA", *path, *out, *key, "--oms-ca", w.key.pub, status=2, says=("one of",))
	a.refused("key without a bundle", *path, *key, status=2, says=("--oms",))
	a.refused("CA without a bundle", *path, "--oms-ca", w.key.pub, status=2, says=("--oms",))
	a.refused("key and CA without a bundle", *path, *key, "--oms-ca", w.key.pub, status=2, says=("--oms",))
	a.refused("bundle without the model", *out, *key, "--digest", plain[0], status=2, says=("--path",))
	a.refused("bundle alone", *out, *key, status=2, says=("--path",))
	a.refused("bundle that is not there", *path, "--oms", w.path("none"), *key, status=3, says=("none",))


if __name__ == "__main__":
	sys.exit(main((approvals,)))
