#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The daemon: agents get credentials without the TPM, the host is attested again and again, ends are noticed."""
import json
import os
import signal
import socket
import subprocess
import sys
import time

sys.dont_write_bytecode = True

import agent as callers
import daemon_lab as D
import lab as L
import wire
from daemon_lab import Agent, refused
from lab import check, equal, wait_for


def setup(lab):
	D.setup(lab, "--interval", "2s")


def active(lab, agent, token):
	return lab.api.ask(token, agent.proof(token)).json()


# ---- what an agent gets

def test_agent_learns_who_it_is(lab):
	"""From the daemon, not from its environment; its key's thumbprint is that of its proofs."""
	with Agent(lab.h) as a:
		who = a.ok("identity")
		equal((who["instance"], who["agent"], who["host"], who["issuer"]), (a.instance, "agent", lab.h.id, lab.issuer), "identity")
		header = wire.jws_open(a.proof("x"))[0]
		equal(wire.thumbprint(header["jwk"]), who["jkt"], "thumbprint")
		p = a.cli("identity")
		equal(p["status"], 0, "exit status: %r" % p)
		check(a.instance in p["stdout"], "%r" % p)


def test_agent_gets_token_and_proof_without_the_tpm(lab):
	"""The program finds the socket by itself. Neither TPM nor state folder are the agent's to open."""
	with Agent(lab.h) as a:
		p = a.cli("token", "--scope", "read", "--resource", L.RESOURCE, "--task", "t-1", "--expected", "60s")
		equal(p["status"], 0, "exit status: %r" % p)
		token = p["stdout"].strip()
		equal(lab.open_jws(token)[1]["task_id"], "t-1", "task")
		a.do("open('/dev/shm/token-%s', 'w').write(%r)" % (a.instance, token + "\n"))
		path = "/dev/shm/token-" + a.instance
		p = a.cli("proof", "--method", "GET", "--url", L.RESOURCE + "/things", "--token-file", path)
		os.unlink(path)
		equal(lab.api.ask(token, p["stdout"].strip()).json().get("active"), True, "token with proof: %r" % p)
		for target in (lab.tpm_socket(0), lab.h.state):
			r = a.do("answer = os.access(%r, os.R_OK) or os.access(%r, os.W_OK)" % (target, target))
			equal(r, False, "access to " + target)
		p = a.cli("token", "--instance", a.instance, "--state-dir", lab.h.state, "--scope", "read", "--resource", L.RESOURCE,
			  "--task", "t-1", "--expected", "60s")
		check(p["status"] != 0 and not p["stdout"], "an agent goes past the daemon: %r" % p)


def test_task_ended_and_token_given_back(lab):
	"""By the agent, through the daemon, and by root; only its own, and other tasks go on."""
	path = "/dev/shm/assay-e2e-back-%d" % os.getpid()
	with Agent(lab.h) as a, Agent(lab.h) as b:
		t, by_root, stays = a.token(task="t-1"), a.token(task="t-2"), a.token(task="t-3")
		with open(path, "w") as f:
			f.write(t + "\n")
		os.chmod(path, 0o644)
		try:
			equal(b.cli("revoke", "--token-file", path)["status"], 0, "revocation by another instance")
			equal(active(lab, a, t).get("active"), True, "token that another instance gave back")
			p = a.cli("revoke", "--token-file", path)
			equal(p["status"], 0, "revocation: %r" % p)
			equal(active(lab, a, t), {"active": False}, "token that was given back")
			with open(path, "w") as f:
				f.write(by_root)
			lab.h.cmd("revoke", "--instance", a.instance, "--token-file", path)
			equal(active(lab, a, by_root), {"active": False}, "token that root gave back")
			lab.h.cmd("revoke", "--instance", a.instance, status=2)
		finally:
			os.unlink(path)
		equal(active(lab, a, stays).get("active"), True, "token of another task")


def keep_token(lab, agent, task, expected):
	"""A program of the agent's that keeps a token in a file; the path."""
	path = "/dev/shm/assay-e2e-%d-%s" % (os.getpid(), task)
	agent.do("""
keeper = subprocess.Popen([%r, "token", "--scope", "read", "--resource", %r, "--task", %r, "--expected", %r, "--out", %r, "--renew"],
	stderr=subprocess.PIPE, text=True)
""" % (lab.path("assay-attest"), L.RESOURCE, task, expected, path))
	wait_for("a token in the file", lambda: L.read_text(path))
	return path


def test_token_is_renewed_before_it_expires(lab):
	"""Into a file, again and again: whoever reads it finds one that is live. It ends, and the file goes, when it is refused."""
	with Agent(lab.h) as a:
		path, seen = keep_token(lab, a, "kept", "3s"), []
		while len(seen) < 3:
			token = wait_for("a new token in the file", lambda: L.read_text(path) not in seen and L.read_text(path))
			if seen:
				check(lab.open_jws(seen[-1].strip())[1]["exp"] >= time.time(), "the last one has expired by then")
			seen.append(token)
			equal(active(lab, a, token.strip()).get("active"), True, "token")
		equal(os.stat(path).st_mode & 0o777, 0o600, "mode of the file")
		lab.ctl("revoke", "--task", "kept")
		equal(a.do("answer = keeper.wait(60)"), 1, "exit status")
		check("invalid_grant" in a.do("answer = keeper.stderr.read()"), "no reason")
		check(not os.path.exists(path), "the file is still there")
		p = a.cli("token", "--scope", "read", "--resource", L.RESOURCE, "--task", "t", "--expected", "3s", "--renew")
		equal(p["status"], 2, "renewal to nowhere: %r" % p)


def test_token_is_kept_while_nothing_can_be_decided(lab):
	"""Without a verifier the last one stays until its end; then it goes, with the status that says so."""
	with Agent(lab.h) as a:
		path = keep_token(lab, a, "kept-2", "4s")
		lab.stop_verifier()
		try:
			check("no new token yet" in a.do("answer = keeper.stderr.readline()"), "no word of the failure")
			expires = lab_exp(L.read_text(path))
			equal(a.do("answer = keeper.wait(60)"), 3, "exit status")
			check(time.time() >= expires - 1, "it was given up while it was good")
			check(not os.path.exists(path), "an expired token is still there")
		finally:
			lab.start_verifier()


def lab_exp(token):
	check(token, "the token is gone while it is good")
	return wire.jws_open(token.strip())[1]["exp"]


def test_token_is_kept_by_one_that_has_too_many_connections(lab):
	"""The daemon's "too many" is no word about the token."""
	with Agent(lab.h) as a:
		path = keep_token(lab, a, "kept-3", "8s")
		first = L.read_text(path)
		check("too many" in a.do("""
import select
ones = []
while True:
	while len(ones) < 16:
		s = connect()
		if "nonce" not in receive(s):
			s.close()
			break
		ones.append(s)
	ready, _, _ = select.select([keeper.stderr, *ones], [], [], 0.05)
	if keeper.stderr in ready:
		answer = keeper.stderr.readline()
		break
	ones = [s for s in ones if s not in ready]
[s.close() for s in ones]
"""), "no word of the failure")
		wait_for("a new token", lambda: L.read_text(path) not in ("", first))
		a.do("keeper.kill(); keeper.wait()")
		os.unlink(path)


def test_children_of_an_agent_are_the_agent(lab):
	"""A child, a grandchild, and an orphan whose parent has ended."""
	with Agent(lab.h) as a:
		equal(a.do("answer = in_child(lambda: ask('identity'))")["answer"]["instance"], a.instance, "child")
		equal(a.do("answer = in_child(lambda: in_child(lambda: ask('identity')))")["answer"]["instance"], a.instance, "grandchild")
		equal(a.do("""
r, w = os.pipe()
pid = os.fork()
if pid == 0:
	middle = os.getpid()
	if os.fork() == 0:
		while os.getppid() == middle:
			pass
		os.write(w, json.dumps(ask('identity')).encode())
		os._exit(0)
	os._exit(0)
os.waitpid(pid, 0)
answer = json.loads(os.read(r, 65536))
""")["answer"]["instance"], a.instance, "orphan")


def test_enrolment_that_is_replaced(lab):
	"""The daemon goes by what is enrolled now, not by what was when it started."""
	path = os.path.join(lab.h.state, "enrolment.json")
	was = L.read_text(path)
	with Agent(lab.h) as a:
		with open(path, "w") as f:
			json.dump(dict(json.loads(was), issuer="https://another.example"), f)
		try:
			equal(a.ok("identity")["issuer"], "https://another.example", "issuer")
		finally:
			with open(path, "w") as f:
				f.write(was)
		equal(a.ok("identity")["issuer"], lab.issuer, "issuer")


def test_two_agents_are_two(lab):
	"""Side by side under one uid: each has its own key, and a token of the one is nothing with the other's proof."""
	with Agent(lab.h) as a, Agent(lab.h) as b:
		ia, ib = a.ok("identity"), b.ok("identity")
		equal((ia["instance"], ib["instance"]), (a.instance, b.instance), "instances")
		check(ia["jkt"] != ib["jkt"], "one key for two")
		t = a.token()
		equal(active(lab, a, t).get("active"), True, "token with its own key")
		equal(active(lab, b, t), {"active": False}, "token with the other's key")


def test_unmeasured_callers_get_nothing(lab):
	"""Root, another user, somebody with the environment of an agent: refused before they have said a word."""
	with Agent(lab.h) as a:
		for uid in (0, 65534, 12345):
			p = lab.run(lab.path("assay-attest"), "token", "--socket", lab.daemon.path, "--scope", "read", "--resource", L.RESOURCE,
				    "--task", "t", "--expected", "60s", status=1, user=uid, group=uid, extra_groups=[],
				    env={"ASSAY_INSTANCE": a.instance, "ASSAY_AGENT": "agent", "ASSAY_SOCKET": lab.daemon.path})
			check(not p.stdout and p.stderr.strip(), "%r" % p)
		hello = lab.run("/usr/bin/python3", lab.path("agent.py"), user=65534, group=65534, extra_groups=[],
				stdin=json.dumps("answer = receive(connect(%r))" % lab.daemon.path) + "\n").stdout
		check("nonce" not in hello and "E_AUTH_UNKNOWN" in hello, "an unmeasured process was asked: %r" % hello)


def test_what_a_role_may_not_ask(lab):
	with Agent(lab.h) as a:
		refused(a.ask("status"), "E_AUTH_REFUSED", "status")
		refused(a.ask("watch"), "E_AUTH_REFUSED", "watch")
	for request in ("identity", "watch"):
		refused(callers_ask(lab, request), "E_AUTH_REFUSED", request)


def callers_ask(lab, request, **members):
	with callers.connect(lab.daemon.path) as s:
		callers.send(s, callers.hello(s), request, **members)
		return callers.receive(s)


def test_scope_that_the_agent_may_not_have(lab):
	"""The verifier's refusal comes through, in its words."""
	with Agent(lab.h) as a:
		refused(a.ask("token", scope="admin", resource=L.RESOURCE, task="t", expected_s=60), "E_AUTH_REFUSED", "invalid_scope")


def test_root_goes_on_as_before(lab):
	"""With --instance the verbs go to TPM and verifier themselves, beside the daemon."""
	with Agent(lab.h) as a:
		t = lab.h.token(a.instance)
		equal(lab.api.ask(t, lab.h.proof(a.instance, t)).json().get("active"), True, "token")


def test_status_tells_of_the_daemon(lab):
	with Agent(lab.h):
		s = lab.h.json("status")["daemon"]
		equal((s["pid"], s["instances"]), (lab.daemon.p.pid, 1), "daemon")
		check("daemon     pid %d" % lab.daemon.p.pid in lab.h.cmd("status").stdout, "no word of the daemon")


def test_one_daemon_per_host(lab):
	p = lab.h.cmd("daemon", status=3)
	check("another daemon" in p.stderr, "%r" % p.stderr)
	check(lab.daemon.status(), "the first daemon is gone")


def test_daemon_of_somebody_else_is_not_believed(lab):
	"""Whoever can make a socket at the path that an agent was told could collect what it says."""
	path = lab.path("fake.sock")
	with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
		pid = os.fork()
		if pid == 0:
			os.umask(0)
			s.bind(path)
			os.setresuid(65534, 65534, 65534)
			s.listen()
			os.write(1, b"")
			signal.pause()
			os._exit(0)
		try:
			wait_for("the fake daemon", lambda: listens(path))
			p = lab.run(lab.path("assay-attest"), "identity", "--socket", path, status=1)
			check("65534" in p.stderr, "%r" % p)
		finally:
			os.kill(pid, signal.SIGKILL)
			os.waitpid(pid, 0)


def listens(path):
	try:
		callers.connect(path).close()
		return True
	except OSError:
		return False


# ---- again and again

def test_daemon_attests_by_itself(lab):
	"""Nobody asks, and the verifier hears again and again; `run` leaves it to the daemon."""
	with Agent(lab.h) as a:
		first = lab.daemon.attested(time.time())
		equal(first["outcome"], "accepted", "outcome")
		before = verified_at(lab)
		wait_for("the next verdict", lambda: verified_at(lab) > before)
		equal(active(lab, a, a.token()).get("active"), True, "token")


def verified_at(lab):
	return lab.db("SELECT verdict FROM host_state WHERE host = ?", lab.h.id)[0][0]


def test_W4_refusal_by_the_daemon_and_run_told(lab):
	"""The image is withdrawn: the daemon's attestation is refused, run hears of it, ends the command, says why, exits 125."""
	# Its own interval is longer than the test, and no file changes: what it hears, it hears from the daemon.
	agent = Agent(lab.h, args=("--interval", "12h"))
	t = agent.token()
	lab.withdraw("image", "img")
	try:
		agent.p.wait(L.DEADLINE_S)
	finally:
		lab.approve("image", "img", "--layout", lab.path("img"))
	equal(agent.p.returncode, 125, "exit status of run")
	check("W4" in L.read_text(agent.log), "no reason: %r" % L.read_text(agent.log))
	equal(lab.api.ask(t, "x.y.z").json(), {"active": False}, "token")
	equal(lab.h.attest()["state"], "VERIFIED", "the host afterwards")


def test_verifier_away_for_a_while(lab):
	"""Undecided is no refusal: agents go on, proofs go on, and verdicts come again when it is back."""
	with Agent(lab.h) as a:
		lab.stop_verifier()
		now = time.time()
		equal(lab.daemon.attested(now)["outcome"], "undecided", "outcome")
		check(a.proof("x"), "no proof")
		r = a.ask("token", scope="read", resource=L.RESOURCE, task="t", expected_s=60)
		equal((r["outcome"], r["error"]), ("error", "E_LOCAL_NETWORK"), "token without a verifier: %r" % r)
		lab.start_verifier()
		wait_for("a verdict", lambda: lab.daemon.status()["outcome"] == "accepted")
		check(a.token(), "no token")


# ---- its service manager

def test_notify_and_watchdog(lab):
	"""READY when it serves, WATCHDOG again and again, STOPPING at its end."""
	lab.daemon.stop()
	path = lab.path("notify.sock")
	with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
		s.bind(path)
		s.settimeout(L.DEADLINE_S)
		lab.daemon.start(wait=False, env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "600000"})
		equal(s.recv(256), b"READY=1", "first word")
		check(lab.daemon.status(), "it is ready and does not answer")
		for _ in range(3):
			equal(s.recv(256), b"WATCHDOG=1", "next words")
		p = lab.daemon.p
		p.terminate()
		words = set()
		while b"STOPPING=1" not in words:
			words.add(s.recv(256))
		equal(p.wait(L.DEADLINE_S), 0, "exit status")
		check(not os.path.exists(lab.daemon.path), "the socket is left behind")
	lab.daemon.p = None
	lab.daemon.start()


def test_capabilities_of_the_unit_are_enough(lab):
	"""Root without its powers, but for those that units/assay-attest.service keeps."""
	unit = L.read_text(os.path.join(D.HERE, "..", "..", "units", "assay-attest.service.in"))
	line = next(x for x in unit.splitlines() if x.startswith("CapabilityBoundingSet="))
	keep = ["+" + c.removeprefix("CAP_").lower() for c in line.partition("=")[2].split()]
	lab.daemon.stop()
	lab.daemon.start(prefix=["setpriv", "--no-new-privs", "--inh-caps=-all", "--bounding-set=" + ",".join(["-all"] + keep)])
	try:
		with Agent(lab.h) as a:
			equal(a.ok("identity")["instance"], a.instance, "identity")
			equal(active(lab, a, a.token()).get("active"), True, "token")
			equal(lab.daemon.attested(time.time())["outcome"], "accepted", "attestation")
	finally:
		lab.daemon.stop()
		lab.daemon.start()


def test_run_without_a_daemon_attests_by_itself(lab):
	"""The daemon goes away while an agent runs: run takes over; it comes back: run hears from it again."""
	with Agent(lab.h, args=("--interval", "2s")) as a:
		lab.daemon.stop()
		before = verified_at(lab)
		wait_for("a verdict by run", lambda: verified_at(lab) > before)
		lab.daemon.start()
		equal(a.ok("identity")["instance"], a.instance, "identity")
		wait_for("run at the daemon", lambda: lab.daemon.status()["connections"] > 1)


if __name__ == "__main__":
	sys.exit(L.main(setup, needs_root=True))
