# SPDX-License-Identifier: Apache-2.0
"""A host whose containers start by the hook: approved image and model, rules, a daemon, and the runtimes."""
import contextlib
import json
import os
import shutil

import daemon_lab as D
import lab as L
import runtimes as C

RUNTIMES = ("runc", "crun", "podman")

def each(*names):
	"""A decorator: a case test(lab, runtime) becomes one for each runtime, all by default."""
	def make(function):
		space = function.__globals__
		for name in names or RUNTIMES:
			def case(lab, name=name):
				function(lab, runtime(lab, name))
			case.__doc__, case.__name__ = function.__doc__, "%s_%s" % (function.__name__, name)
			space[case.__name__] = case
		return None
	return make


def runtime(lab, name):
	"""Found once; a case is skipped where it does not work, for the reason that was seen then."""
	if name not in lab.runtimes:
		try:
			lab.runtimes[name] = C.Runtime(lab, name)
			install_podman(lab, lab.runtimes[name])
		except L.Skip as e:
			lab.runtimes[name] = e
	if isinstance(lab.runtimes[name], L.Skip):
		raise lab.runtimes[name]
	return lab.runtimes[name]


# ---------------------------------------------------------------- the world

def setup(lab, *options, bare=False):
	"""A verifier, a host with its daemon, a world in which "agent" passes in a container. bare: a root without our program."""
	if shutil.which("umoci") is None:
		raise L.Skip("umoci is not installed")
	lab.up(tpms=1)
	lab.h = lab.host(0)
	lab.runtimes = {}
	os.mkdir(lab.path("socket"))
	os.chmod(lab.path("socket"), 0o755)
	lab.rules = lab.path("containers.json")
	lab.h.options += ["--config", configure(lab)]
	lab.h.enrol()
	lab.h.approve()
	make_world(lab, bare)
	lab.daemon = D.Daemon(lab.h, "--interval", "12h", *options, path=lab.path("socket", "attest.sock")).start()
	lab.api = L.Resource(lab)


def configure(lab):
	"""What the hook goes by, whose options are --config alone; a path."""
	path = lab.path("attest.json")
	with open(path, "w") as f:
		json.dump({"state_dir": lab.h.state, "tcti": "swtpm:path=" + lab.tpm_socket(0), "containers": lab.rules,
			   "socket": lab.path("socket", "attest.sock")}, f)
	return path


def make_world(lab, bare):
	content = C.make_content(lab.path("content"), None if bare else lab.program("ASSAY_ATTEST"))
	lab.img = C.umoci_image(lab, content, "image")
	os.makedirs(lab.path("mdl"))
	L.make_model(lab.path("mdl"))
	L.open_to_all(lab.path("mdl"))
	lab.approve("image", "img", "--layout", lab.img, "--rootfs")
	lab.approve("model", "mdl", "--path", lab.path("mdl"), "--version-name", "1")
	lab.h.show_registers()
	lab.approve("platform", "plat", "--from", lab.h.id, "--pcrs", "0-7", "--unapproved-workload", "instance")
	lab.approve_agent()
	lab.entry = entry(lab)
	write_rules(lab, lab.entry)
	lab.h.attest()


def entry(lab, agent="agent", image=None, model=None):
	"""A rule as assay-attest makes it from an image."""
	p = lab.h.cmd("hooks", "policy", "--agent", agent, "--image", (image or lab.img) + ":latest", "--model", model or lab.path("mdl"))
	e = json.loads(p.stdout)
	e["runtime_folders"] = [lab.path("store-podman"), lab.path("store-podman-run")] # it is a private one
	return e


def write_rules(lab, *entries):
	with open(lab.rules, "w") as f:
		json.dump({"version": 1, "containers": list(entries)}, f)
	os.chmod(lab.rules, 0o644)


@contextlib.contextmanager
def rules(lab, *entries, **members):
	"""Inside, these are the rules; by default the usual one, with other members."""
	write_rules(lab, *(entries or [dict(lab.entry, **members)]))
	try:
		yield
	finally:
		write_rules(lab, lab.entry)


def install_podman(lab, r):
	if r.name == "podman":
		lab.h.cmd("hooks", "install", "--podman", "--dir", r.hooks)


def bundle(lab, name, agent="agent", image=None, model=None, hooks=True):
	"""A bundle with our hooks, the daemon's socket and the model."""
	path = lab.path(name)
	if os.path.isdir(path):
		shutil.rmtree(path)
	b = C.Bundle(lab, image or lab.img, name, agent, model or lab.path("mdl"))
	b.bind(lab.path("socket"), C.SOCKET_DIR)
	b.save()
	if hooks:
		lab.h.cmd("hooks", "install", "--bundle", b.dir)
		b.load()
	return b


# ---------------------------------------------------------------- what is so

def instances(lab):
	return [i for i in lab.h.json("status")["instances"] if i["running"]]


def active(lab, token, proof):
	return lab.api.ask(token, proof).json().get("active") is True


def nothing_lives(lab):
	L.wait_for("the end of every instance", lambda: not instances(lab))


def log_agrees(lab):
	"""The verifier replays the log to what the TPM quotes."""
	L.equal(lab.h.attest()["state"], "VERIFIED", "state of the host")
