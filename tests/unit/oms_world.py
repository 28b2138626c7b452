# SPDX-License-Identifier: Apache-2.0
"""What the tests of signed models share: a folder, keys, a model in it, a program that is run and checked."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

import oms_maker as O

FILES = {"config.json": b"{}", "weights/a.bin": b"a" * 1000, "weights.txt": b"w", "empty": b"", ".env": b"x",
	 "\u6a21\u578b.bin": b"it's \\ 'quoted'\n"}


class World:
	def __init__(self, program, top):
		self.program, self.top, self.n, self.bad = program, top, 0, 0
		self.key = O.Key(top, "signer", "P-384")
		self.other = O.Key(top, "other", "P-384")

	def path(self, *names):
		return os.path.join(self.top, *names)

	def lay(self, files=FILES, name="m"):
		"""The model's folder, anew."""
		shutil.rmtree(self.path(name), ignore_errors=True)
		for path, content in files.items():
			os.makedirs(os.path.dirname(self.path(name, path)), exist_ok=True)
			with open(self.path(name, path), "wb") as f:
				f.write(content)
		return self.path(name)

	def put(self, bundle, *names):
		with open(self.path(*names or ("b.sig",)), "wb") as f:
			f.write(bundle if isinstance(bundle, bytes) else json.dumps(bundle).encode())

	def run(self, *args):
		return subprocess.run((self.program, "model") + args, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
				      timeout=60, errors="surrogateescape")

	def check(self, name, want, *args, says=()):
		"""The exit status, and words in the output."""
		p = self.run(*args)
		self.n += 1
		text = p.stdout + p.stderr
		good = p.returncode == want and all(w in text for w in says) and "runtime error" not in text
		print("%s %d - %s" % ("ok" if good else "not ok", self.n, name))
		if not good:
			self.bad += 1
			print("# status %d, expected %d; words %r" % (p.returncode, want, says))
			print("".join("# %s\n" % line for line in text.splitlines()))

	def true(self, name, good, shown):
		self.n += 1
		self.bad += 0 if good else 1
		print("%s %d - %s%s" % ("ok" if good else "not ok", self.n, name, "" if good else "\n# %s" % (shown,)))

	def verify(self, name, want, bundle, *more, key=None, model=None, says=()):
		self.put(bundle)
		self.check(name, want, "--verify", self.path("b.sig"), *(key or ("--key", self.key.pub)), *more,
			   model or self.path("m"), says=says)


def main(groups):
	"""Arguments: the program, and others that the groups find in sys.argv."""
	top = tempfile.mkdtemp(prefix="test-oms.")
	try:
		w = World(sys.argv[1], top)
		for group in groups:
			group(w)
		print("1..%d" % w.n)
		return 1 if w.bad else 0
	finally:
		shutil.rmtree(top)
