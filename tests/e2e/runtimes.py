# SPDX-License-Identifier: Apache-2.0
"""Real containers for tests: images by umoci and buildah, bundles, and what runc, crun and podman make of them.

No registry is asked: what is in an image comes from this machine. A runtime is tried out once, on a container that does
nothing, in each of the ways that a machine may need; where none works, the test skips with the runtime's own words."""
import contextlib
import json
import os
import shutil
import signal
import stat
import subprocess
import threading

import lab as L

BUSYBOX = "/bin/busybox"
SOCKET_DIR = "/run/assay-attest" # in the container
NOBODY = 65534

# What runs in a container: it does what the test writes to its standard input, a shell command a line, and says how it went.
AGENT = r"""#!/bin/busybox sh
trap 'exit 143' TERM
echo "@ready"
while IFS= read -r line; do
	eval "$line" 2>&1 </dev/null
	echo "@$?"
done
"""
# Without controllers that a private mount of the second version can offer, a runtime makes do with the hierarchy alone.
WITHOUT_UNIFIED = 'umount /sys/fs/cgroup/unified && exec "$@"'
WITH_CGROUP2 = 'mount -t cgroup2 none /sys/fs/cgroup && exec "$@"'


def privately(script):
	"""A prefix that changes mounts for one command only."""
	return ["unshare", "--mount", "sh", "-c", script, "sh"]


# Ways to call a runtime, (what stands before it, its own options), from the plain one to those for machines with half a cgroup.
WAYS = {
	"runc": [([], []), (privately(WITH_CGROUP2), [])],
	"crun": [([], []), (privately(WITHOUT_UNIFIED), []), ([], ["--cgroup-manager=disabled"]),
		 (privately(WITH_CGROUP2), ["--cgroup-manager=disabled"])],
	"podman": [([], ["--runtime", "runc"]), ([], ["--runtime", "crun"]), (privately(WITH_CGROUP2), ["--runtime", "runc"])],
}
# podman asks for more than a machine may give, where it is not told.
PODMAN_RUN = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024", "--network", "none", "--cap-drop", "all",
	      "--security-opt", "no-new-privileges"]
PODMAN_ENV = ("PATH", "TERM") # which it sets itself


# ---------------------------------------------------------------- content and images

def libraries(program):
	"""Files that the dynamic linker loads for a program, itself included."""
	out = subprocess.run(["ldd", program], stdout=subprocess.PIPE, text=True, check=True).stdout
	words = (word for line in out.splitlines() for word in line.split())
	return sorted({word for word in words if word.startswith("/")})


def put(folder, source, name=None, mode=0o755):
	path = os.path.join(folder, (name or source).lstrip("/"))
	os.makedirs(os.path.dirname(path), exist_ok=True)
	shutil.copyfile(source, path)
	os.chmod(path, mode)


def make_content(folder, attest):
	"""A root: a shell, the program under test with its libraries where one is given, and AGENT."""
	os.makedirs(folder)
	put(folder, BUSYBOX)
	if attest is not None:
		put(folder, attest, "/usr/bin/assay-attest")
		for path in libraries(attest):
			put(folder, path)
	with open(os.path.join(folder, "agent"), "w") as f:
		f.write(AGENT)
	os.chmod(os.path.join(folder, "agent"), 0o755)
	for name in ("proc", "dev", "sys", "tmp", "etc", "model", SOCKET_DIR.lstrip("/")):
		os.makedirs(os.path.join(folder, name), exist_ok=True)
	return folder


def umoci_image(lab, content, name):
	"""An image layout with one layer, by umoci; its path. The tag is "latest"."""
	layout = lab.path(name)
	lab.run("umoci", "init", "--layout", layout)
	lab.run("umoci", "new", "--image", layout + ":latest")
	lab.run("umoci", "insert", "--image", layout + ":latest", content, "/")
	lab.run("umoci", "config", "--image", layout + ":latest", "--config.entrypoint", "/agent", "--config.user",
		"%d:%d" % (NOBODY, NOBODY))
	lab.run("umoci", "gc", "--layout", layout) # what no image refers to would be refused
	return layout


def buildah_image(lab, content, name):
	"""The same by buildah, in two layers, whose second removes something of the first."""
	layout, store = lab.path(name), lab.path(name + "-store")
	buildah = ["buildah", "--root", store, "--runroot", store + "-run", "--storage-driver", "vfs"]
	lab.at_close.append(lambda: forget_store(store))
	first = lab.run(*buildah, "from", "scratch").stdout.strip()
	lab.run(*buildah, "copy", first, content, "/")
	extra = lab.path(name + "-extra")
	os.makedirs(extra)
	for file in ("kept", "gone"):
		with open(os.path.join(extra, file), "w") as f:
			f.write(file)
	lab.run(*buildah, "copy", first, extra, "/srv")
	lab.run(*buildah, "commit", first, "localhost/first")
	second = lab.run(*buildah, "from", "--pull-never", "localhost/first").stdout.strip()
	mounted = lab.run(*buildah, "mount", second).stdout.strip()
	os.unlink(os.path.join(mounted, "srv", "gone"))
	lab.run(*buildah, "umount", second)
	lab.run(*buildah, "config", "--entrypoint", '["/agent"]', "--user", "%d:%d" % (NOBODY, NOBODY), second)
	lab.run(*buildah, "commit", second, "oci:%s:latest" % layout)
	lab.run(*buildah, "rm", "--all")
	return layout


def forget_store(path):
	"""A private store of podman's or buildah's, which may have mounted itself onto itself."""
	for mount in mounts_below(path) + mounts_below(path + "-run"):
		subprocess.run(["umount", "--lazy", mount], stderr=subprocess.DEVNULL)


def mounts_below(path):
	with open("/proc/self/mountinfo") as f:
		points = [line.split()[4] for line in f]
	return sorted((p for p in points if (p + "/").startswith(path + "/")), reverse=True)


# ---------------------------------------------------------------- bundles

PROFILE = "/usr/share/containers/seccomp.json" # of podman and buildah, for all architectures and capabilities
MASKED = ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
	  "/proc/sched_debug", "/proc/scsi", "/sys/firmware"]


def seccomp_profile():
	"""What podman makes of its profile for a container without capabilities on this architecture."""
	with open(PROFILE) as f:
		p = json.load(f)
	kept = [x for x in p["syscalls"] if not x.get("includes") or x["includes"].get("arches") == ["amd64", "x32"]]
	for x in kept:
		for name in ("includes", "excludes", "comment", "errno"):
			x.pop(name, None)
		x["args"] = x.get("args") or []
	return {"defaultAction": p["defaultAction"], "defaultErrnoRet": p.get("defaultErrnoRet", 38), "architectures": ["SCMP_ARCH_X86_64"],
		"syscalls": kept}

class Bundle:
	"""A folder that a runtime starts a container from, unpacked by umoci, its configuration trimmed to the least."""

	image = None # of podman's store, which it starts instead

	def __init__(self, lab, layout, name, agent=None, model=None):
		self.lab, self.dir, self.root = lab, lab.path(name), lab.path(name, "rootfs")
		lab.run("umoci", "unpack", "--image", layout + ":latest", self.dir)
		self.file = os.path.join(self.dir, "config.json")
		with open(self.file) as f:
			self.config = json.load(f)
		self.trim(agent, model)
		self.save()

	def trim(self, agent, model):
		c = self.config
		c["process"].update(terminal=False, noNewPrivileges=True, args=["/agent"],
				    capabilities={k: [] for k in c["process"]["capabilities"]})
		c["root"]["readonly"] = True
		c["linux"].update(seccomp=seccomp_profile(), maskedPaths=MASKED)
		if agent is not None:
			c.setdefault("annotations", {})["dev.assay.agent"] = agent
		if model is not None:
			self.bind(model, "/model")

	def bind(self, source, destination, *options):
		self.config["mounts"].append({"destination": destination, "type": "bind", "source": source,
					      "options": ["bind", "ro", "nosuid", "nodev", *options]})

	def save(self):
		with open(self.file, "w") as f:
			json.dump(self.config, f, indent=1)

	def load(self):
		"""What another program has made of it."""
		with open(self.file) as f:
			self.config = json.load(f)

	@contextlib.contextmanager
	def changed(self):
		"""Inside, the configuration is what the test makes of the one that it is given."""
		with open(self.file) as f:
			before = f.read()
		self.config = json.loads(before)
		try:
			yield self.config
		finally:
			with open(self.file, "w") as f:
				f.write(before)
			self.config = json.loads(before)


def podman_options(config):
	"""Options of podman run for what the others read in a bundle."""
	user, options = config["process"]["user"], list(PODMAN_RUN)
	options += ["--user", "%d:%d" % (user["uid"], user["gid"])]
	if config["root"].get("readonly"):
		options += ["--read-only", "--read-only-tmpfs=false"]
	for name in ("dev.assay.agent",):
		if name in config.get("annotations", {}):
			options += ["--annotation", "%s=%s" % (name, config["annotations"][name])]
	for m in config["mounts"]:
		if m["type"] == "bind":
			flags = [o for o in m["options"] if o != "bind"]
			options += ["--volume", "%s:%s:%s" % (m["source"], m["destination"], ",".join(flags))]
	for variable in config["process"]["env"]:
		if variable.partition("=")[0] not in PODMAN_ENV:
			options += ["--env", variable]
	for capability in config["process"]["capabilities"].get("bounding", []):
		options += ["--cap-add", capability]
	return options


class Probe:
	"""A bundle that has nothing to do with us, whose container ends at once."""

	image = None

	def __init__(self, lab, path):
		self.dir, self.root = path, os.path.join(path, "rootfs")
		put(self.root, BUSYBOX)
		lab.run("runc" if shutil.which("runc") else "crun", "spec", cwd=path)
		with open(os.path.join(path, "config.json")) as f:
			self.config = json.load(f)
		self.config["process"].update(terminal=False, args=[BUSYBOX, "true"])
		with open(os.path.join(path, "config.json"), "w") as f:
			json.dump(self.config, f)


# ---------------------------------------------------------------- runtimes

class Runtime:
	"""One of WAYS, in the way that works here. Raises Skip where none does."""

	def __init__(self, lab, name):
		self.lab, self.name, self.store, self.n = lab, name, lab.path("store-" + name), 0
		self.hooks = lab.path("hooks-" + name) # podman's folder for them
		os.makedirs(self.hooks)
		if shutil.which(name) is None:
			raise L.Skip("%s is not installed" % name)
		lab.at_close.append(self.clean)
		self.prefix, self.options = self.find_way()

	def find_way(self):
		"""Whether a container can run here at all, apart from everything that is ours."""
		bundle = Probe(self.lab, self.lab.path("probe-" + self.name))
		words = []
		for self.prefix, self.options in WAYS[self.name]:
			p = subprocess.run(self.run_argv(self.new_id(), bundle), env=self.lab.env(), stdin=subprocess.DEVNULL,
					   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=L.DEADLINE_S)
			if p.returncode == 0:
				return self.prefix, self.options
			words.append(" ".join(p.stdout.split())[:200])
		raise L.Skip("%s runs no container here: %s" % (self.name, words[0]))

	def new_id(self):
		self.n += 1
		return "assay-e2e-%d-%s-%d" % (os.getpid(), self.name, self.n)

	def argv(self, *args):
		if self.name != "podman":
			return [*self.prefix, self.name, "--root", self.store, *self.options, *args]
		return [*self.prefix, "podman", "--root", self.store, "--runroot", self.store + "-run", "--tmpdir", self.store + "-tmp",
			"--storage-driver", "vfs", "--cgroup-manager=cgroupfs", "--events-backend=none", "--hooks-dir", self.hooks,
			*self.options, *args]

	def run_argv(self, id, bundle):
		if self.name == "podman":
			what = [bundle.image] if bundle.image else ["--rootfs", bundle.root, *bundle.config["process"]["args"]]
			return self.argv("run", "--rm", "-i", "--name", id, *podman_options(bundle.config), *what)
		return self.argv("run", "--bundle", bundle.dir, id)

	def call(self, *args, status=0):
		return self.lab.run(*self.argv(*args), status=status)

	def state(self, id):
		"""What the runtime says of a container, or None."""
		verb = ("container", "inspect") if self.name == "podman" else ("state",)
		p = subprocess.run(self.argv(*verb, id), env=self.lab.env(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
		if p.returncode:
			return None
		s = json.loads(p.stdout)
		return {"id": s[0]["Id"], "pid": s[0]["State"]["Pid"], "status": s[0]["State"]["Status"]} if isinstance(s, list) else s

	def exec(self, id, *command):
		"""A further process in a container: (status, output)."""
		user = ("--user", "%d:%d" % (NOBODY, NOBODY))
		p = subprocess.run(self.argv("exec", *user, id, *command), env=self.lab.env(), stdin=subprocess.DEVNULL,
				   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=L.DEADLINE_S)
		return p.returncode, p.stdout

	def delete(self, id):
		args = ("rm", "--force", "--time", "0", id) if self.name == "podman" else ("delete", "--force", id)
		subprocess.run(self.argv(*args), env=self.lab.env(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

	def clean(self):
		if self.name == "podman" and os.path.isdir(self.store):
			subprocess.run(self.argv("rm", "--all", "--force", "--time", "0"), env=self.lab.env(), stdout=subprocess.DEVNULL,
				       stderr=subprocess.DEVNULL)
		for n in range(1, self.n + 1):
			if self.name != "podman":
				self.delete("assay-e2e-%d-%s-%d" % (os.getpid(), self.name, n))
		forget_store(self.store)
		for folder, _, _ in os.walk("/sys/fs/cgroup", topdown=False):
			if os.path.basename(folder).startswith("assay-e2e-%d-" % os.getpid()):
				with contextlib.suppress(OSError):
					os.rmdir(folder)


class Container:
	"""A container that runs, whose AGENT does what it is told."""

	def __init__(self, runtime, bundle, ready=True):
		self.runtime, self.lab, self.bundle, self.id = runtime, runtime.lab, bundle, runtime.new_id()
		self.log = self.lab.path("run-%s.log" % self.id)
		# To be appended to, because crun and a hook that it calls each open it.
		with open(self.log, "a") as log:
			self.p = self.lab.spawn(*runtime.run_argv(self.id, bundle), stdin=subprocess.PIPE,
						stdout=subprocess.PIPE, stderr=log, text=True)
		if ready and self.line() != "@ready\n":
			self.p.wait(L.DEADLINE_S)
			raise L.Failure("the container did not start: status %d\n%s" % (self.p.returncode, self.errors()))

	def errors(self):
		return L.read_text(self.log)

	def line(self):
		"""A line that the agent prints; "" once it has ended. What hangs is ended."""
		timer = threading.Timer(L.DEADLINE_S, self.p.kill)
		timer.start()
		try:
			return self.p.stdout.readline()
		finally:
			timer.cancel()

	def do(self, command):
		"""(status, output) of a shell command in the container."""
		self.p.stdin.write(command + "\n")
		self.p.stdin.flush()
		out = ""
		while True:
			line = self.line()
			if not line:
				raise L.Failure("the container has ended: %s" % self.errors())
			# Output need not end with a line feed.
			text, at, status = line.rpartition("@")
			if at and status.strip().isdigit():
				return int(status), out + text
			out += line

	def cli(self, verb, *args, status=0):
		"""The real program in the container; its output."""
		words = " ".join("'%s'" % w for w in ("/usr/bin/assay-attest", verb, *args))
		seen, out = self.do(words)
		L.clean_stderr(out)
		if status is not None and seen != status:
			raise L.Failure("%s: expected exit status %s, seen %d: %s" % (words, status, seen, out))
		return out

	def identity(self):
		return json.loads(self.cli("identity", "--json"))

	def token(self, task="task-1"):
		return self.cli("token", "--scope", "read", "--resource", L.RESOURCE, "--task", task, "--expected", "60s").strip()

	def proof(self, token, url=L.RESOURCE + "/things"):
		self.do("echo '%s' >/dev/shm/token" % token)
		return self.cli("proof", "--method", "GET", "--url", url, "--token-file", "/dev/shm/token").strip()

	@property
	def init(self):
		"""Process id of its init, as the host counts."""
		return self.runtime.state(self.id)["pid"]

	def wait(self):
		"""Until it has ended, however; the runtime's status."""
		self.p.wait(L.DEADLINE_S)
		return self.p.returncode

	def stop(self):
		self.p.stdin.close()
		return self.wait()

	def kill(self):
		os.kill(self.init, signal.SIGKILL)
		return self.wait()

	def __enter__(self):
		return self

	def __exit__(self, *_):
		if self.p.poll() is None:
			with contextlib.suppress(BrokenPipeError):
				self.p.stdin.close()
			try:
				self.p.wait(5)
			except subprocess.TimeoutExpired:
				self.runtime.delete(self.id)
				self.wait()


def not_started(runtime, bundle, *words):
	"""The container does not start, and its starter reads why: each of the words stands in what the runtime says."""
	c = Container(runtime, bundle, ready=False)
	with c:
		out = c.line()
		status = c.stop()
	L.equal(out, "", "output of a container that must not start")
	L.check(status != 0, "the runtime's exit status is 0")
	text = c.errors()
	for w in words:
		L.check(w in text, "the reason does not hold %r: %s" % (w, text))
	return text


def is_socket(path):
	with contextlib.suppress(OSError):
		return stat.S_ISSOCK(os.stat(path).st_mode)
	return False
