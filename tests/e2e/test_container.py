#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Real containers that start by the hook, under runc, crun and podman."""
import fcntl
import json
import os
import random
import shutil
import subprocess
import signal
import sys
import time

sys.dont_write_bytecode = True

import container_lab as K
import lab as L
import runtimes as C
from container_lab import active, each, instances, log_agrees, nothing_lives
from lab import check, equal, wait_for
from runtimes import Container, not_started


# ---------------------------------------------------------------- what an agent in a container gets

@each()
def test_agent_in_a_container_gets_identity_token_and_proof(lab, r):
	"""Through the socket that is mounted there; the real program, from the image. Its end is the end of the token."""
	b = K.bundle(lab, "b")
	with Container(r, b) as c:
		who = c.identity()
		equal((who["agent"], who["host"], who["issuer"]), ("agent", lab.h.id, lab.issuer), "identity")
		equal([i["instance"] for i in instances(lab)], [who["instance"]], "instances")
		token = c.token()
		before, after = c.proof(token), c.proof(token)
		check(active(lab, token, before), "the token is not active")
		equal(lab.open_jws(token)[1]["sub"].rpartition("/")[2], who["instance"], "whose token it is")
		equal(c.stop(), 0, "exit status: " + c.errors())
	wait_for("the end of the token", lambda: not instances(lab))
	check(not active(lab, token, after), "the token outlives its container")
	log_agrees(lab)


@each()
def test_end_of_a_container_that_is_killed(lab, r):
	"""Without a word to anybody."""
	with Container(r, K.bundle(lab, "b")) as c:
		token = c.token()
		proof = c.proof(token)
		c.kill()
		nothing_lives(lab)
		check(not active(lab, token, proof), "the token outlives its container")


@each("runc", "podman")
def test_two_containers_of_one_image(lab, r):
	"""Two instances with two keys; the end of one is not that of the other."""
	with Container(r, K.bundle(lab, "b")) as one, Container(r, K.bundle(lab, "b-2")) as two:
		first, second = one.identity(), two.identity()
		check(first["instance"] != second["instance"] and first["jkt"] != second["jkt"], "%r, %r" % (first, second))
		token = one.token()
		check(not active(lab, token, two.proof(token)), "a token with the proof of another instance is active")
		proof = one.proof(token)
		two.stop()
		wait_for("the end of one", lambda: len(instances(lab)) == 1)
		check(active(lab, token, proof), "the other one's token is not active")
	nothing_lives(lab)


@each()
def test_container_that_asks_for_nothing(lab, r):
	"""Without the annotation it starts, is no instance, and gets nothing."""
	with Container(r, K.bundle(lab, "b", agent=None)) as c:
		equal(c.do("echo here"), (0, "here\n"), "the container")
		check("belongs to no instance" in c.cli("identity", status=1), "no reason")
		equal(instances(lab), [], "instances")


@each("runc")
def test_image_of_buildah(lab, r):
	"""Layers of which one takes something away that another has brought, and a label, which becomes an annotation."""
	if shutil.which("buildah") is None:
		raise L.Skip("buildah is not installed")
	image = C.buildah_image(lab, lab.path("content"), "image-2")
	lab.approve("image", "img-2", "--layout", image, "--rootfs")
	lab.approve("agent", "agent-2", "--image", "img-2", "--model", "mdl", "--platform", "plat", "--scope", "read", "--resource",
		    L.RESOURCE, "--minimum-status", "warning")
	with K.rules(lab, lab.entry, K.entry(lab, "agent-2", image)), Container(r, K.bundle(lab, "b", "agent-2", image)) as c:
		equal(c.do("busybox ls /srv"), (0, "kept\n"), "what is in the image")
		equal(c.identity()["agent"], "agent-2", "agent")
		c.token()
	nothing_lives(lab)


@each("podman")
def test_image_in_the_store_of_podman(lab, r):
	"""The root is what podman's storage makes of the layers, and podman says what else there is."""
	b = K.bundle(lab, "b")
	# By a relative path: podman makes a name of it, which not every path is.
	b.image = r.call("pull", "--quiet", "oci:%s:latest" % os.path.basename(lab.img)).stdout.strip()
	with Container(r, b) as c:
		equal(c.identity()["agent"], "agent", "agent")
		c.token()
	nothing_lives(lab)


# ---------------------------------------------------------------- changes

def ends_by(lab, r, change):
	"""A change of something that was measured ends token and container."""
	b = K.bundle(lab, "b")
	with Container(r, b) as c:
		token = c.token()
		before, after = c.proof(token), c.proof(token)
		check(active(lab, token, before), "the token is not active")
		change(b)
		status = c.wait()
		check(status != 0, "exit status of the runtime: %d" % status)
		check(not active(lab, token, after), "the token outlives the change")
	nothing_lives(lab)
	log_agrees(lab)


def add_file(b):
	with open(os.path.join(b.root, "etc", "added"), "w") as f:
		f.write("x")


@each()
def test_changed_file_in_the_root(lab, r):
	"""One that the container has not even opened: the host notices without being asked."""
	ends_by(lab, r, add_file)


@each("runc")
def test_changed_model(lab, r):
	path = lab.path("mdl", "weights", "b.bin")
	was = open(path, "rb").read()

	def change(_):
		with open(path, "r+b") as f:
			f.write(b"?")
	try:
		ends_by(lab, r, change)
	finally:
		with open(path, "wb") as f:
			f.write(was)


@each("runc", "crun")
def test_root_that_gets_another_name(lab, r):
	"""The container keeps what it has; the host cannot tell any more what that is."""
	def change(b):
		os.rename(b.root, b.root + "-was")
		shutil.copytree(b.root + "-was", b.root, symlinks=True)
	ends_by(lab, r, change)


# ---------------------------------------------------------------- what does not start

@each()
def test_other_root_than_the_approved_one(lab, r):
	"""One byte more in one file."""
	b = K.bundle(lab, "b")
	with open(os.path.join(b.root, "agent"), "a") as f:
		f.write("\n")
	not_started(r, b, "digest")
	nothing_lives(lab)
	log_agrees(lab)


def mount(c):
	c["mounts"].append({"destination": "/tmp", "type": "bind", "source": "/etc", "options": ["bind", "ro"]})


# What is done to a configuration, and what the reason then names.
LOOSENED = {
	"mounts: /tmp": mount,
	"LD_PRELOAD": lambda c: c["process"]["env"].append("LD_PRELOAD=/tmp/x.so"),
	"CAP_SYS_ADMIN": lambda c: [s.append("CAP_SYS_ADMIN") for s in c["process"]["capabilities"].values()],
	"root.readonly": lambda c: c["root"].update(readonly=False),
	"process.user.uid": lambda c: c["process"]["user"].update(uid=0),
	"process.args": lambda c: c["process"].update(args=["/bin/busybox", "sh"]),
}
# What podman does not leave out, or is asked for by other words.
LOOSENED_BUNDLE = {
	"noNewPrivileges": lambda c: c["process"].update(noNewPrivileges=False),
	"pid is missing": lambda c: c["linux"].update(namespaces=[n for n in c["linux"]["namespaces"] if n["type"] != "pid"]),
	"seccomp is missing": lambda c: c["linux"].pop("seccomp"),
	"hooks.createContainer": lambda c: c.setdefault("hooks", {}).setdefault("createContainer", []).append({"path": "/bin/true"}),
}


@each()
def test_configuration_that_is_looser_than_the_rules(lab, r):
	"""One thing at a time; the reason names it."""
	b = K.bundle(lab, "b")
	for word, loosen in dict(LOOSENED, **({} if r.name == "podman" else LOOSENED_BUNDLE)).items():
		with b.changed() as c:
			loosen(c)
			b.save()
			not_started(r, b, word)
	equal(instances(lab), [], "instances")
	# In a root that it may write to podman has left its files.
	with Container(r, K.bundle(lab, "b")) as c:
		c.identity()
	nothing_lives(lab)
	log_agrees(lab)


@each()
def test_agent_that_the_rules_do_not_name(lab, r):
	b = K.bundle(lab, "b", agent="nobody-else")
	not_started(r, b, "nobody-else")


@each("runc")
def test_rules_that_are_not_roots(lab, r):
	"""Who may write them could permit anything."""
	b = K.bundle(lab, "b")
	os.chmod(lab.rules, 0o666)
	try:
		not_started(r, b, "containers.json")
	finally:
		os.chmod(lab.rules, 0o644)


@each()
def test_no_daemon(lab, r):
	"""Nobody would watch: nothing starts."""
	b = K.bundle(lab, "b")
	lab.daemon.stop()
	try:
		not_started(r, b, "daemon")
		equal(instances(lab), [], "instances")
	finally:
		lab.daemon.start()
	with Container(r, b) as c:
		c.identity()
	nothing_lives(lab)
	log_agrees(lab)


@each("runc", "podman")
def test_verdict_before_the_start(lab, r):
	"""Where the rules ask for it, the verifier decides first."""
	b = K.bundle(lab, "b")
	with K.rules(lab, verdict="before"):
		with Container(r, b) as c:
			c.token()
		nothing_lives(lab)
		lab.withdraw("agent", "agent")
		try:
			not_started(r, b, "P-agent")
		finally:
			lab.approve_agent()
	nothing_lives(lab)
	lab.h.attest()


# ---------------------------------------------------------------- races and crashes

def hook_process(c):
	"""The hook that the runtime of this container waits for, or None."""
	for pid in filter(str.isdigit, os.listdir("/proc")):
		try:
			with open("/proc/%s/cmdline" % pid, "rb") as f:
				words = f.read().split(b"\0")
		except OSError:
			continue
		if b"oci-hook" in words and b"createRuntime" in words and words[0].endswith(b"assay-attest") and is_below(int(pid), c.p.pid):
			return int(pid)
	return None


def is_below(pid, ancestor):
	while pid > 1:
		if pid == ancestor:
			return True
		try:
			with open("/proc/%d/stat" % pid) as f:
				pid = int(f.read().rpartition(")")[2].split()[1])
		except OSError:
			return False
	return False


def meddled(lab, r, script, words):
	"""Another hook, which the rules permit, acts between the runtime's mounts and our look. The starter reads why not."""
	path = lab.path("meddle-%s.sh" % r.name)
	with open(path, "w") as f:
		f.write("#!/bin/sh\nset -e\npid=$(sed 's/.*\"pid\": *\\([0-9]*\\).*/\\1/')\n" + script)
	os.chmod(path, 0o755)
	b = K.bundle(lab, "b")
	with K.rules(lab, hooks=[path]), b.changed() as c:
		c["hooks"]["createRuntime"].insert(0, {"path": path, "args": [path], "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]})
		b.save()
		not_started(r, b, words)
	equal(instances(lab), [], "instances")


@each("runc")
def test_what_the_kernel_shows_is_not_what_the_bundle_says(lab, r):
	"""Names, digests and configuration are all good: only what is mounted in the container is not."""
	root, model = lab.path("b", "rootfs"), lab.path("mdl")
	meddled(lab, r, "mv %s %s-was && cp -a %s-was %s\n" % (root, root, root, root), "is no mount of its own")
	shutil.rmtree(root)
	shutil.rmtree(root + "-was")
	meddled(lab, r, "nsenter --target $pid --mount mount -t tmpfs none %s/etc\n" % root, "names no such mount")
	try:
		meddled(lab, r, "mv %s %s-was && cp -a %s-was %s\n" % (model, model, model, model), "which its configuration names")
	finally:
		shutil.rmtree(model)
		os.rename(model + "-was", model)
	log_agrees(lab)


@each("runc")
def test_hook_called_by_hand(lab, r):
	"""For a container that lives, or that has been started: nothing more comes of it."""
	b = K.bundle(lab, "b")
	with Container(r, b) as c:
		who = [i["instance"] for i in instances(lab)]
		state = {"ociVersion": "1.0.2", "id": c.id, "pid": c.init, "bundle": b.dir, "annotations": {"dev.assay.agent": "agent"}}
		for status, words in (("running", "not yet started"), ("created", "lives already")):
			p = subprocess.run(lab.h.argv("oci-hook", "createRuntime"), input=json.dumps(dict(state, status=status)), env=lab.env(),
					   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
			equal(p.returncode, 1, "exit status: " + p.stderr)
			check(words in p.stderr, p.stderr)
		equal([i["instance"] for i in instances(lab)], who, "instances")
	nothing_lives(lab)


@each("runc", "crun")
def test_root_exchanged_before_the_hook_looks(lab, r):
	"""After the runtime has mounted it: the good one has its name, another one is in the container."""
	b = K.bundle(lab, "b")
	bad = b.root + "-bad"
	shutil.copytree(b.root, bad, symlinks=True)
	with open(os.path.join(bad, "agent"), "a") as f:
		f.write("echo bad\n")
	os.rename(b.root, b.root + "-good")
	os.rename(bad, b.root)
	with open(os.path.join(lab.h.state, "lock")) as lock:
		fcntl.flock(lock, fcntl.LOCK_EX)
		c = Container(r, b, ready=False)
		wait_for("the hook", lambda: hook_process(c))
		# By now the runtime has the bad one. The hook waits for the lock before it looks.
		os.rename(b.root, bad)
		os.rename(b.root + "-good", b.root)
	with c:
		equal(c.line(), "", "output of the container")
		check(c.wait() != 0, "the container has started")
		check("root" in c.errors(), c.errors())
	equal(instances(lab), [], "instances")
	log_agrees(lab)


@each("runc", "crun")
def test_hook_that_is_killed(lab, r):
	"""At any moment: the container does not start unless the hook was through, and log and register agree."""
	b = K.bundle(lab, "b")
	rng, since = random.Random(1), time.monotonic()
	with Container(r, b) as c:
		takes = time.monotonic() - since
		c.identity()
	started = 0
	for _ in range(12):
		c = Container(r, b, ready=False)
		pid = wait_for("the hook", lambda: hook_process(c))
		time.sleep(rng.uniform(0, takes))
		try:
			os.kill(pid, signal.SIGKILL)
		except ProcessLookupError:
			pass
		with c:
			if c.line():
				started += 1
				c.identity()
				equal(c.stop(), 0, "exit status of a container that has started")
			else:
				check(c.wait() != 0, "exit status of one that has not")
		nothing_lives(lab)
		log_agrees(lab)
	print("# %d of 12 hooks were through" % started)


@each("runc", "podman")
def test_daemon_that_starts_anew_takes_over(lab, r):
	b = K.bundle(lab, "b")
	with Container(r, b) as c:
		who, token = c.identity(), c.token()
		proof = c.proof(token)
		lab.daemon.kill()
		lab.daemon.start()
		equal(c.identity()["instance"], who["instance"], "instance")
		check(active(lab, token, proof), "the token has ended")
		add_file(b)
		check(c.wait() != 0, "the container goes on")
	nothing_lives(lab)
	log_agrees(lab)


# ---------------------------------------------------------------- who is no part of it

@each()
def test_container_in_a_container(lab, r):
	"""A process of the agent's in namespaces that it has made is not what was measured."""
	with Container(r, K.bundle(lab, "b")) as c:
		status, out = c.do("/bin/busybox unshare -r /usr/bin/assay-attest identity")
		# Root is nobody there, so the program does not take the daemon for root's.
		check(status == 1 and ("namespace" in out or "not by root's daemon" in out), "%d %s" % (status, out))
		c.identity()
	nothing_lives(lab)


@each()
def test_process_that_is_put_into_a_container(lab, r):
	"""By whoever rules the runtime: it is not below the container's init, so it is nobody."""
	with Container(r, K.bundle(lab, "b")) as c:
		status, out = r.exec(c.id, "/usr/bin/assay-attest", "identity")
		check(status == 1 and "from outside" in out, "%d %s" % (status, out))
	nothing_lives(lab)


if __name__ == "__main__":
	sys.exit(L.main(K.setup, needs_root=True))
