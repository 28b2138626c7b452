#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Agents in containers and their daemon: who gets an identity, what happens when root or model change, and who ends what.
There is no runtime here (see container.py); what a runtime and its hook do is tested in test_container.py."""
import concurrent.futures
import json
import os
import signal
import sys
import time

sys.dont_write_bytecode = True

import agent as callers
import container
import daemon_lab as D
import lab as L
from container import NOBODY, Container
from daemon_lab import Agent, refused
from lab import check, equal, wait_for


def setup(lab):
	container.setup(lab, "--interval", "12h", "--grace", "1s")
	lab.daemon.attested(0)


def active(lab, agent, token):
	return lab.api.ask(token, agent.proof(token)).json().get("active")


# ---- who is who

def test_init_of_a_container(lab):
	"""Identity, proof, and after the attestation that the daemon makes at once, a token."""
	with Container(lab.h) as c:
		who = c.ok("identity")
		equal((who["instance"], who["agent"]), (c.instance, "boxed"), "identity")
		equal(c.do("answer = os.getpid()"), 1, "its own number in the container")
		wait_for("the first verdict", lambda: c.ask("token", scope="read", resource=L.RESOURCE, task="t", expected_s=60)
			 ["outcome"] == "ok")
		check(active(lab, c, c.token()), "its token is not active")


def test_program_in_a_container(lab):
	"""The real program: the daemon's pid is 0 there, and its peer is root all the same."""
	with Container(lab.h) as c:
		p = c.cli("identity")
		equal(p["status"], 0, "exit status: %r" % p)
		check(c.instance in p["stdout"], "%r" % p)


def test_processes_below_init(lab):
	with Container(lab.h) as c:
		equal(c.do("answer = in_child(lambda: ask('identity'))")["answer"]["instance"], c.instance, "child")
		equal(c.do("""
r, w = os.pipe()
pid = os.fork()
if pid == 0:
	if os.fork() == 0:
		while os.getppid() != 1:
			pass
		os.write(w, json.dumps(ask('identity')).encode())
		os._exit(0)
	os._exit(0)
os.waitpid(pid, 0)
answer = json.loads(os.read(r, 65536))
""")["answer"]["instance"], c.instance, "orphan")


def test_user_that_was_not_measured(lab):
	"""The hook wrote down another uid than the process has; root in a container is nobody either, and not the host's root."""
	for uid in (12345, 0):
		with Container(lab.h, uid=uid, said_uid=NOBODY) as c:
			refused(c.ask("identity"), "E_AUTH_REFUSED", "has uid %d" % uid)
			refused(c.ask("status"), "E_AUTH_REFUSED", "has uid %d" % uid)


def test_root_of_a_container(lab):
	"""Where it was measured with uid 0 it is an agent, and has none of what this host's root may ask."""
	with Container(lab.h, uid=0) as c:
		equal(c.ok("identity")["instance"], c.instance, "identity")
		refused(c.ask("status"), "E_AUTH_REFUSED", "part of an instance")
		refused(c.ask("container", instance=c.instance), "E_AUTH_REFUSED", "part of an instance")


def test_nested_container(lab):
	with Container(lab.h, uid=0) as c:
		r = c.do("""
libc = __import__('ctypes').CDLL(None)
def nested():
	if libc.unshare(0x20000000) != 0:
		raise OSError
	return in_child(lambda: ask('identity'))
answer = in_child(nested)
""")
		refused(r, "E_AUTH_REFUSED", "another pid namespace")
		equal(c.ok("identity")["instance"], c.instance, "identity of the container afterwards")


ENTER = "import json, runpy; print(json.dumps(runpy.run_path('/lab/agent.py')['ask']('identity')))"


def test_entered_from_outside(lab):
	"""nsenter(1), as any `exec` of a runtime: namespaces, root, user and all, and yet not what was measured."""
	with Container(lab.h) as c:
		out = lab.run("nsenter", "--target", str(c.init), "--mount", "--pid", "--ipc", "--uts", "--root", "--setuid", str(NOBODY),
			      "--setgid", str(NOBODY), "/usr/bin/python3", "-B", "-c", ENTER, env=container.environment(lab)).stdout
		refused(json.loads(out), "E_AUTH_REFUSED", "from outside")
		equal(c.ok("identity")["instance"], c.instance, "identity of the container afterwards")


def test_socket_of_another_container(lab):
	"""Made in one, used in the other: nobody gets the identity of either."""
	with Container(lab.h) as a, Container(lab.h) as b:
		name = "@assay-box-%d" % os.getpid()
		b.do("meet = socket.socket(socket.AF_UNIX); meet.bind('\\0%s'); meet.listen()" % name[1:])
		a.do("s = connect(); n = hello(s); m = socket.socket(socket.AF_UNIX); m.connect('\\0%s'); give(m, s.fileno())" % name[1:])
		n = a.do("answer = n")
		r = b.do("c, _ = meet.accept(); s = socket.socket(fileno=take(c)); s.settimeout(60); send(s, %r, 'identity'); "
			 "answer = receive(s)" % n)
		refused(r, "E_AUTH_REFUSED", "speaks for who made it")


def test_two_containers_and_a_run_are_three(lab):
	with Container(lab.h) as a, Container(lab.h) as b, Agent(lab.h) as r:
		ids = {x.ok("identity")["instance"] for x in (a, b, r)}
		equal(ids, {a.instance, b.instance, r.instance}, "instances")


# ---- the hook's request

def test_only_root_asks_for_containers(lab):
	with Agent(lab.h) as a:
		refused(a.ask("container", instance=a.instance), "E_AUTH_REFUSED", "part of an instance")


def ask_root(lab, request, **members):
	with callers.connect(lab.daemon.path) as s:
		callers.send(s, callers.hello(s), request, **members)
		return callers.receive(s)


def test_what_is_no_container(lab):
	refused(ask_root(lab, "container", instance="00" * 16), "E_AUTH_UNKNOWN", "there is no container")
	with Agent(lab.h) as a:
		refused(ask_root(lab, "container", instance=a.instance), "E_AUTH_UNKNOWN", "there is no container")


def later(function):
	"""Begins it; what is given waits for its end."""
	pool = concurrent.futures.ThreadPoolExecutor(1)
	return pool.submit(function).result


def instances(lab):
	try:
		return os.listdir(os.path.join(lab.h.state, "instances"))
	except FileNotFoundError:
		return []


def test_container_that_cannot_be_watched(lab):
	"""Another folder has the root's name by the time that the daemon looks: the hook is told, and nothing lives."""
	with Container(lab.h, started=False) as c:
		os.mkdir(lab.path("aside"))
		before = instances(lab)
		lab.daemon.p.send_signal(signal.SIGSTOP)
		try:
			hook = later(lambda: c.hook(status=3))
			wait_for("the instance", lambda: any(len(x) == 32 and x not in before for x in instances(lab)))
			os.rename(c.root, lab.path("aside", "root"))
			os.mkdir(c.root)
		finally:
			lab.daemon.p.send_signal(signal.SIGCONT)
		p = hook()
		check("cannot be watched" in p.stderr and "another folder" in p.stderr, "%r" % p.stderr)
		equal(lab.h.json("status")["instances"], [], "instances")


def test_rules_that_are_not_the_daemons(lab):
	"""Whoever writes the hook's arguments could name another file: the daemon knows its own, and nothing lives."""
	own = lab.path("containers.json")
	os.mkdir(lab.path("rules"))
	with open(own) as f:
		rules = json.load(f)
	rules["containers"][0]["env"] = {"LD_PRELOAD": None}
	other = lab.path("rules", "containers.json")
	with open(other, "w") as f:
		json.dump(rules, f)
	with Container(lab.h, started=False) as c:
		p = c.hook(status=1, rules=other)
		check("other rules than those for agent boxed" in p.stderr, "%r" % p.stderr)
	equal(lab.h.json("status")["instances"], [], "instances")


def test_rules_that_were_edited_since(lab):
	"""They are for what starts then: what lives goes on, under another daemon too."""
	with Container(lab.h) as c:
		try:
			container.write_rules(lab, env={"LANG": None})
			lab.daemon.kill()
			lab.daemon.start()
			wait_for("the watch", c.watched)
			equal(c.ok("identity")["instance"], c.instance, "identity")
		finally:
			container.write_rules(lab)


def test_status_tells_of_containers(lab):
	with Container(lab.h) as c:
		s = lab.h.json("status")["daemon"]["containers"]
		equal(s, [{"instance": c.instance, "id": c.name, "root": c.root, "watched": True}], "containers")
		check("container  %s" % c.name in lab.h.cmd("status").stdout, "no word of the container")


# ---- changes, and what follows

def is_ended(lab, c, token):
	"""The container is gone, and so is everything that it had, without anybody's help."""
	c.ended()
	equal(lab.api.ask(token, "x.y.z").json(), {"active": False}, "token")
	wait_for("the end in the log", lambda: not c.live())
	equal(lab.h.attest()["state"], "VERIFIED", "the host afterwards")


def verdict(c):
	return wait_for("a token", lambda: c.ask("token", scope="read", resource=L.RESOURCE, task="t", expected_s=60).get("answer"))["access_token"]


def change(path, data=b"!"):
	with open(path, "ab") as f:
		f.write(data)


def test_changed_root(lab):
	"""Content, mode, a new file: inactive at once, and the container is ended. Others go on."""
	with Container(lab.h) as other:
		for do in (lambda r: change(r + "/opt/agent"), lambda r: os.chmod(r + "/opt/data", 0o666), lambda r: os.mkdir(r + "/opt/new")):
			with Container(lab.h) as c:
				t = verdict(c)
				do(c.root)
				is_ended(lab, c, t)
			check("container %s is ended" % c.name in L.read_text(lab.daemon.log), "no word of it in the log")
		equal(other.ok("identity")["instance"], other.instance, "the other container")
		check(active(lab, other, verdict(other)), "the other container's token")


def test_changed_model(lab):
	"""Every container that has it."""
	path = lab.path("mdl", "config.json")
	was = L.read_text(path)
	with Container(lab.h) as a, Container(lab.h) as b:
		ta, tb = verdict(a), verdict(b)
		change(path)
		try:
			is_ended(lab, a, ta)
			is_ended(lab, b, tb)
		finally:
			with open(path, "w") as f:
				f.write(was)


def test_touched_and_the_same(lab):
	"""Something was done, and nothing is different: digested, accepted, and the container goes on."""
	with Container(lab.h) as c:
		t = verdict(c)
		os.utime(c.root + "/opt/data")
		seen = "container %s: something was done" % c.name
		wait_for("an attestation after it was seen", lambda: "attestation " in L.read_text(lab.daemon.log).partition(seen)[2])
		equal(lab.daemon.status()["outcome"], "accepted", "outcome")
		check(active(lab, c, t), "its token")


def test_init_killed(lab):
	"""Its end is in the log without anybody's word, and its token is nothing any more."""
	with Container(lab.h) as c:
		t = verdict(c)
		c.kill()
		is_ended(lab, c, t)
		equal(lab.daemon.status()["containers"], [], "containers")


def test_withdrawn_image(lab):
	"""By the operator: the next attestation, whoever makes it, ends the container. It is given its time, and no more."""
	with Container(lab.h) as c:
		t = verdict(c)
		lab.withdraw("image", "box")
		try:
			change(lab.path("mdl", "config.json"), b"")
			os.utime(c.root + "/opt/data")
			is_ended(lab, c, t)
		finally:
			lab.approve("image", "box", "--layout", lab.path("box"), "--rootfs")


def test_container_without_an_instance(lab):
	"""Its instance was ended while it runs: nobody measures it any more, so it does not stay."""
	with Container(lab.h) as c:
		t = verdict(c)
		state = {"ociVersion": "1.0.2", "id": c.name, "status": "stopped", "bundle": lab.dir, "annotations": {"dev.assay.agent": "boxed"}}
		lab.h.cmd("oci-hook", "poststop", stdin=json.dumps(state))
		is_ended(lab, c, t)
		check("container %s is ended" % c.name in L.read_text(lab.daemon.log), "no word of it in the log")


def test_time_to_end(lab):
	"""An init that takes SIGTERM comes to its own end; one that does not is killed (all the others here)."""
	with Container(lab.h) as c:
		t = verdict(c)
		c.do("import signal; signal.signal(signal.SIGTERM, lambda *_: os._exit(0))")
		change(c.root + "/opt/agent")
		is_ended(lab, c, t)
		equal(c.p.returncode, 0, "status of the init")


def test_verifier_away_when_something_changes(lab):
	"""Undecided is no refusal; when it is decided, it is one."""
	with Container(lab.h) as c:
		t, now = verdict(c), time.time()
		lab.stop_verifier()
		try:
			change(c.root + "/opt/agent")
			equal(lab.daemon.attested(now)["outcome"], "undecided", "outcome")
			equal(c.p.poll(), None, "the container")
		finally:
			lab.start_verifier()
		is_ended(lab, c, t)


def test_other_root(lab):
	"""What was measured and watched is not what the container got: ended, whatever the digests say."""
	with Container(lab.h, started=False) as c:
		c.hook()
		other = lab.path("elsewhere")
		container.unpack(lab.box_image, other)
		script = " && ".join([*("mount --rbind %s%s %s%s" % (c.root, m, other, m) for m in container.MOUNTS), "mount --rbind %s %s" % (other, c.root)])
		lab.run("nsenter", "--target", str(c.init), "--mount", "sh", "-c", script)
		c.go()
		c.ended()
		wait_for("the end in the log", lambda: not c.live())
		check("the container's root is not the folder" in L.read_text(lab.daemon.log), "no reason in the log")


# ---- the daemon's own end

def test_daemon_killed_and_started_again(lab):
	"""The same instance, with the same token; and it is watched again."""
	with Container(lab.h) as c:
		t = verdict(c)
		lab.daemon.kill()
		lab.daemon.start()
		equal(c.ok("identity")["instance"], c.instance, "identity")
		check(active(lab, c, t), "its token")
		wait_for("its watch", c.watched)
		lab.daemon.attested(0)
		check(active(lab, c, t), "its token after the first attestation")
		change(c.root + "/opt/agent")
		is_ended(lab, c, t)


def test_changed_while_there_was_no_daemon(lab):
	"""Nobody saw it: so the new daemon digests before it believes."""
	with Container(lab.h) as c:
		t = verdict(c)
		lab.daemon.kill()
		change(c.root + "/opt/agent")
		lab.daemon.start()
		is_ended(lab, c, t)


def test_daemon_stopped(lab):
	"""Containers go on without it."""
	with Container(lab.h) as c:
		t = verdict(c)
		lab.daemon.stop()
		equal(c.p.poll(), None, "the container")
		lab.daemon.start()
		equal(c.ok("identity")["instance"], c.instance, "identity")
		check(active(lab, c, t), "its token")


def test_watcher_killed(lab):
	"""Another one takes its place, and what was done meanwhile is found."""
	with Container(lab.h) as c:
		t = verdict(c)
		wait_for("the daemon's rest", lambda: len(children(lab)) == 1)
		os.kill(children(lab)[0], signal.SIGKILL)
		change(c.root + "/opt/agent")
		is_ended(lab, c, t)


def children(lab):
	return [int(x) for x in L.read_text("/proc/%d/task/%d/children" % (lab.daemon.p.pid, lab.daemon.p.pid)).split()]


def test_watcher_has_nothing_else(lab):
	"""Of the daemon's descriptors: its output. The rest is its own watch."""
	with Container(lab.h):
		wait_for("the daemon's rest", lambda: len(children(lab)) == 1)
		folder = "/proc/%d/fd" % children(lab)[0]
		links = sorted(os.readlink(os.path.join(folder, x)) for x in os.listdir(folder) if int(x) > 2)
		kinds = ["mountinfo" if x.endswith("/mountinfo") else "pipe" if x.startswith("pipe:") else x for x in links]
		equal(sorted(kinds), ["anon_inode:[pidfd]", "anon_inode:inotify", "mountinfo", "mountinfo", "pipe"], "descriptors")


def test_capabilities_of_the_unit_are_enough(lab):
	"""Root without its powers, but for those that units/assay-attest.service keeps."""
	unit = L.read_text(os.path.join(D.HERE, "..", "..", "units", "assay-attest.service.in"))
	line = next(x for x in unit.splitlines() if x.startswith("CapabilityBoundingSet="))
	keep = ["+" + c.removeprefix("CAP_").lower() for c in line.partition("=")[2].split()]
	lab.daemon.stop()
	lab.daemon.start(prefix=["setpriv", "--no-new-privs", "--inh-caps=-all", "--bounding-set=" + ",".join(["-all"] + keep)])
	try:
		with Container(lab.h) as c:
			t = verdict(c)
			equal(c.ok("identity")["instance"], c.instance, "identity")
			change(c.root + "/opt/agent")
			is_ended(lab, c, t)
	finally:
		lab.daemon.stop()
		lab.daemon.start()


if __name__ == "__main__":
	sys.exit(L.main(setup, needs_root=True))
