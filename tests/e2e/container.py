#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Containers without a runtime: the kernel's part of one, and the instance that a hook would make of it.

As a program it is the runtime: container.py ROOT UID [TARGET=SOURCE...] makes namespaces, mounts each SOURCE in the root, and
writes its init's pid as a line. When it has read one byte, the init changes its root and its user and becomes agent.py."""
import ctypes
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile

HERE = os.path.dirname(os.path.abspath(__file__))
NAMES = {"mnt": 0x00020000, "cgroup": 0x02000000, "uts": 0x04000000, "ipc": 0x08000000, "pid": 0x20000000}
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
MNT_DETACH = 2
SYS_PIVOT_ROOT = 155
libc = ctypes.CDLL(None, use_errno=True)


def must(result):
	if result != 0:
		raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def mount(source, target, kind=None, flags=0):
	must(libc.mount(source.encode() if source else None, target.encode(), kind.encode() if kind else None,
			ctypes.c_ulong(flags), None))


def prepare(root, mounts):
	"""In the init: what runtimes do before they call createRuntime hooks."""
	mount(None, "/", None, MS_REC | MS_PRIVATE)
	mount(root, root, None, MS_BIND)
	mount("proc", root + "/proc", "proc")
	for m in mounts:
		target, _, source = m.partition("=")
		mount(source, root + target, None, MS_BIND | MS_REC)


def enter(root):
	"""And what they do afterwards."""
	os.chdir(root)
	must(libc.syscall(SYS_PIVOT_ROOT, b".", b"."))
	must(libc.umount2(b".", MNT_DETACH))
	os.chdir("/")
	mount(None, "/", None, MS_REMOUNT | MS_BIND | MS_RDONLY)


def init(root, uid, mounts, ready, go):
	prepare(root, mounts)
	os.write(ready, b"x")
	if not os.read(go, 1):
		os._exit(1)
	enter(root)
	os.setresgid(uid, uid, uid)
	os.setgroups([])
	os.setresuid(uid, uid, uid)
	os.execv("/usr/bin/python3", ["/usr/bin/python3", "/lab/agent.py"])


def runtime(root, uid, *mounts):
	ready, go = os.pipe(), os.pipe()
	must(libc.unshare(NAMES["pid"] | NAMES["mnt"] | NAMES["ipc"] | NAMES["uts"]))
	pid = os.fork()
	if pid == 0:
		os.close(go[1])
		init(root, int(uid), mounts, ready[1], go[0])
	os.close(ready[1])
	if not os.read(ready[0], 1):
		return 1
	os.write(1, b"%d\n" % pid)
	if os.read(0, 1):
		os.write(go[1], b"x")
	os.close(go[1])
	return 0 if os.waitpid(pid, 0)[1] == 0 else 1


if __name__ == "__main__":
	sys.exit(runtime(*sys.argv[1:]))


# ---------------------------------------------------------------- for tests

import daemon_lab as D
import lab as L

NOBODY = 65534
LINKS = {"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64"}
MOUNTS = ("/proc", "/usr", "/dev", "/lab")


def make_image(layout):
	"""An image of one layer with a program; what the program needs is mounted from this host, and the image lacks it."""
	out = io.BytesIO()
	with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as t:
		for name, target in LINKS.items():
			x = tarfile.TarInfo(name)
			x.type, x.linkname, x.mode = tarfile.SYMTYPE, target, 0o777
			t.addfile(x)
		for name, mode, data in (("opt", 0o755, None), ("opt/agent", 0o755, b"the agent's program\n"), ("opt/data", 0o644, b"data\n")):
			x = tarfile.TarInfo(name)
			x.mode, x.size = mode, len(data or b"")
			x.type = tarfile.DIRTYPE if data is None else tarfile.REGTYPE
			t.addfile(x, io.BytesIO(data or b""))
	return L.make_image(layout, layer=out.getvalue())


def unpack(image, root):
	os.mkdir(root, 0o755)
	with tarfile.open(image["layer"]) as t:
		t.extractall(root, numeric_owner=True)
	for target in MOUNTS:
		os.mkdir(root + target, 0o755)


def environment(lab):
	"""Of programs in a container."""
	return {"ASSAY_SOCKET": "/lab/" + os.path.basename(lab.daemon.path), "PYTHONDONTWRITEBYTECODE": "1"}


class Container(D.Agent):
	"""An instance in a container, whose init is agent.py. started=False: its runtime still waits for the hook."""
	number = 0

	def __init__(self, host, uid=NOBODY, said_uid=None, started=True, root=None):
		lab = self.lab = host.lab
		Container.number += 1
		self.host, self.uid, self.said_uid = host, uid, uid if said_uid is None else said_uid
		self.name = "box-%d" % Container.number
		self.root = root or lab.path(self.name)
		self.log = lab.path("%s.log" % self.name)
		self.instance = None
		if root is None:
			unpack(lab.box_image, self.root)
		with open(self.log, "w") as log:
			self.p = lab.spawn("/usr/bin/python3", os.path.join(HERE, "container.py"), self.root, str(uid), "/usr=/usr", "/dev=/dev",
					   "/lab=" + lab.dir, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
					   env=environment(lab))
		line = self.p.stdout.readline()
		if not line:
			raise L.Failure("no container: %r" % L.read_text(self.log))
		self.init = int(line)
		if started:
			self.hook()
			self.go()

	def hook(self, status=0, rules=None):
		"""What the runtime's hook does."""
		lab = self.lab
		p = lab.run(lab.program("START_CONTAINER"), self.host.state, "swtpm:path=" + lab.tpm_socket(self.host.index),
			    lab.daemon.path, rules or lab.path("containers.json"), "boxed", self.root, str(self.init), self.name, str(self.said_uid), lab.path("mdl"),
			    lab.box_image["digest"], lab.box_image["config_digest"], *MOUNTS, status=status)
		self.instance = p.stdout.strip() or None
		return p

	def go(self):
		self.p.stdin.write("x")
		self.p.stdin.flush()
		self.read()

	def cli(self, *argv):
		return self.do("answer = run('/lab/assay-attest', *%r)" % (argv,))

	def ended(self):
		"""Waits until its init has."""
		self.p.wait(L.DEADLINE_S)

	def kill(self):
		"""The init, as nobody asked for."""
		try:
			os.kill(self.init, signal.SIGKILL)
		except ProcessLookupError:
			pass
		self.p.stdin.close() # a runtime that waits for its hook waits no more
		self.p.wait(L.DEADLINE_S)

	def __enter__(self):
		return self

	def __exit__(self, *_):
		if self.p.poll() is None:
			self.kill()
		for f in (self.p.stdin, self.p.stdout):
			f.close()
		shutil.rmtree(self.root, ignore_errors=True)

	def live(self):
		"""Whether the workload log still has it."""
		return self.instance in (i["instance"] for i in self.host.json("status")["instances"])

	def watched(self):
		return next((c["watched"] for c in self.lab.daemon.status()["containers"] if c["instance"] == self.instance), None)


def write_rules(lab, **members):
	"""Their digest is all that is looked at here."""
	entry = {"agent": "boxed", "image": {"manifest": lab.box_image["digest"], "config": lab.box_image["config_digest"], "rootfs": "0" * 64},
		 "absent": list(MOUNTS), "model": lab.path("mdl"), "user": {"uid": NOBODY, "gid": NOBODY}, **members}
	with open(lab.path("containers.json"), "w") as f:
		json.dump({"version": 1, "containers": [entry]}, f)


def setup(lab, *options):
	"""daemon_lab's, and the agent "boxed" in containers of the image "box" with the model "mdl"."""
	os.makedirs(lab.path("box"))
	lab.box_image = make_image(lab.path("box"))
	write_rules(lab)
	D.setup(lab, "--containers", lab.path("containers.json"), *options)
	lab.approve("image", "box", "--layout", lab.path("box"), "--rootfs")
	lab.approve("agent", "boxed", "--image", "box", "--model", "mdl", "--platform", "plat", "--scope", "read", "--scope", "write",
		    "--resource", L.RESOURCE, "--minimum-status", "warning")
