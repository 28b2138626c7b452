#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The programs as people and scripts use them: exit codes, output, isolation of the command, runs side by side."""
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time

sys.dont_write_bytecode = True

import lab as L
import wire
from lab import check, equal
from tpm import Tpm

VERBS = ("enrol", "enroll", "run", "attest", "daemon", "identity", "token", "proof", "revoke", "status")
CTL_VERBS = ("key", "approve", "withdraw", "documents", "trust", "hosts", "agents", "credentials", "explain", "revoke",
	     "client", "verify-quote")
NOBODY = 65534


def setup(lab):
	lab.up(tpms=2)
	lab.h = lab.host(0)
	lab.h.enrol()
	lab.h.approve()
	lab.make_world(lab.h)
	lab.h.attest()
	lab.api = L.Resource(lab)


# ---- help and usage

def test_help_and_version(lab):
	"""On standard output, exit 0, nothing on standard error; for every program and verb."""
	for name, verbs in (("ASSAY_ATTEST", VERBS), ("ASSAYCTL", CTL_VERBS), ("ASSAY_VERIFIER", ()), ("SWTPM_HARNESS", ("up",))):
		for args in [["--help"], ["--version"]] + [[v, "--help"] for v in verbs]:
			p = lab.run(lab.program(name), *args)
			check(p.stdout.strip() and not p.stderr, "%s %s: %r %r" % (name, args, p.stdout, p.stderr))


def test_usage_errors_are_one_line_and_2(lab):
	for name in ("ASSAY_ATTEST", "ASSAYCTL", "ASSAY_VERIFIER"):
		for args in (["nonsense"], ["--nonsense"]):
			p = lab.run(lab.program(name), *args, status=2)
			equal(len(p.stderr.strip().splitlines()), 1, "lines on standard error of %s %s" % (name, args))
			equal(p.stdout, "", "standard output")
	lab.run(lab.program("ASSAY_ATTEST"), "run", "--agent", "a", "--", "true", status=2)
	lab.run(lab.program("ASSAY_ATTEST"), "token", "--instance", "xyz", status=2)
	lab.run(lab.program("ASSAYCTL"), "revoke", status=2)


# ---- enrolment

def test_enrol_twice(lab):
	with lab.unchanged("once"):
		r = lab.h.enrol()
		equal(r["state"], "ENROLLED", "state of an approved host that enrols again")
		text = lab.h.cmd("enroll", "--verifier", lab.issuer, "--ca", lab.ca).stdout
	check(lab.h.id in text, "the alias prints no host id: %r" % text)


def test_L_nothing_is_sent_before_tls_is_verified(lab):
	"""Another CA: refused, and the verifier saw no request. No CA at all: usage."""
	other = lab.host(1)
	before = requests(lab)
	p = other.cmd("enrol", "--verifier", lab.issuer, "--ca", lab.path("tpm", "ca", "root.pem"), status=1)
	check("certificate" in p.stderr.lower(), "no reason: %r" % p.stderr)
	equal(requests(lab), before, "requests that the verifier saw")
	other.cmd("enrol", "--verifier", lab.issuer, status=2)
	check(not os.path.exists(os.path.join(other.state, "enrolment.json")), "an enrolment was written")


def requests(lab):
	return sum(v for k, v in lab.metrics().items() if "/v1/enrol" in k)


def test_host_that_is_not_enrolled(lab):
	other = lab.host(1)
	for verb in ("attest", "run"):
		args = ("--agent", "a", "--image", "x", "--model", "y", "--", "true") if verb == "run" else ()
		p = other.cmd(verb, *args, status=None)
		equal(p.returncode, 125 if verb == "run" else 3, "exit status of %s" % verb)
		check("enrol" in p.stderr, "no reason: %r" % p.stderr)


# ---- run

def test_run_exits_as_the_command_does(lab):
	for script, status in (("exit 0", 0), ("exit 7", 7), ("exit 125", 125), ("kill -KILL $$", 137), ("kill -TERM $$", 143)):
		lab.h.run("/bin/sh", "-c", script, status=status)


def test_run_126_and_127(lab):
	path = lab.path("not-executable")
	with open(path, "w") as f:
		f.write("#!/bin/sh\n")
	os.chmod(path, 0o644)
	lab.h.run(path, status=126)
	lab.h.run("/nonexistent/program", status=127)
	lab.h.run("no-such-program-anywhere", status=127)


def test_run_125_where_assay_refuses(lab):
	p = lab.h.run("/bin/echo", "ran", agent="nobody-knows-me", status=125)
	check("P-agent" in p.stderr and "ran" not in p.stdout, "%r %r" % (p.stdout, p.stderr))
	lab.harness("reset", "--index", "0")
	lab.boot_measurements(0)
	lab.h.attest()


def test_run_forwards_signals(lab):
	"""TERM, INT, HUP, USR1 and USR2 reach the command, which says how it ends."""
	for name in ("TERM", "INT", "HUP", "USR1", "USR2"):
		script = "trap 'echo got; exit 9' %s; echo ready; while :; do read x || exit 1; done" % name
		p = lab.spawn(*lab.h.run_argv("/bin/sh", "-c", script), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
			      stderr=subprocess.DEVNULL, text=True)
		equal(p.stdout.readline(), "ready\n", "the command's first line")
		p.send_signal(getattr(signal, "SIG" + name))
		# The shell runs the trap when its read returns.
		p.stdin.write("\n")
		p.stdin.flush()
		equal(p.wait(L.DEADLINE_S), 9, "exit status after SIG" + name)
		p.stdin.close()


def inside(lab, script, status=0, **k):
	return lab.h.run("/bin/sh", "-c", script, status=status, **k).stdout


def test_command_runs_as_somebody_else_without_rights(lab):
	"""Another uid and gid, no groups, no capabilities, no way to get any."""
	out = inside(lab, "id -u; id -g; id -G; grep -E '^(Cap(Inh|Prm|Eff|Amb)|NoNewPrivs):' /proc/self/status",
		     extra_groups=[0, 4, 42]).split("\n")
	equal(out[:3], [str(NOBODY)] * 3, "uid, gid, groups")
	values = dict(line.split(":\t") for line in out[3:] if line)
	equal(values.pop("NoNewPrivs"), "1", "NoNewPrivs")
	equal(set(values.values()), {"0" * 16}, "capabilities")


def test_command_cannot_reach_tpm_or_state(lab):
	"""Neither by path nor by a descriptor that was left open, here or by whoever started run."""
	sock = lab.tpm_socket(0)
	folder = os.open(lab.h.state, os.O_RDONLY)
	script = "; ".join([
		"ls %s && echo STATE" % lab.h.state,
		"cat %s/enrolment.json && echo STATE" % lab.h.state,
		"ls %s && echo TPM" % os.path.dirname(sock),
		"test -w %s && echo TPM" % sock,
		"for n in /proc/$$/fd/*; do test ${n##*/} -gt 2 && test -e $n && echo FD $n; done",
		"env | grep -E 'TCTI|ASSAY_TCTI' && echo ENV", "exit 0"])
	try:
		out = inside(lab, script, pass_fds=[folder])
	finally:
		os.close(folder)
	for word in ("STATE", "TPM", "FD", "ENV"):
		check(word not in out, "the command reaches %s: %r" % (word, out))
	python = lab.h.run("/usr/bin/python3", "-c", "import socket,sys\ns=socket.socket(socket.AF_UNIX)\n"
			   "try: s.connect(%r); print('CONNECTED')\nexcept OSError as e: print('refused', e.errno)" % sock).stdout
	equal(python, "refused 13\n", "connecting to the TPM")


def test_command_knows_who_it_is(lab):
	out = inside(lab, "echo $ASSAY_AGENT $ASSAY_INSTANCE")
	agent, instance = out.split()
	equal(agent, "agent", "ASSAY_AGENT")
	check(len(instance) == 32, "ASSAY_INSTANCE: %r" % instance)


def test_command_may_not_be_root_nor_reach_the_tpm(lab):
	"""--user root is refused; so is a user for whom the state folder is open."""
	p = lab.h.run("/bin/echo", "ran", args=("--user", "root"), status=125)
	check("ran" not in p.stdout and p.stderr, "%r" % p)
	p = lab.h.run("/bin/echo", "ran", args=("--user", "no-such-user"), status=125)
	check("no-such-user" in p.stderr, "%r" % p.stderr)
	os.chmod(lab.h.state, 0o755)
	try:
		p = lab.h.run("/bin/echo", "ran", status=None)
		check(p.returncode in (3, 125) and "ran" not in p.stdout, "%r" % p)
	finally:
		os.chmod(lab.h.state, 0o700)
	sock = lab.tpm_socket(0)
	folders = [lab.path("tpm"), os.path.dirname(sock)]
	modes = [(p, os.stat(p).st_mode & 0o7777) for p in folders + [sock]]
	try:
		for path, _ in modes:
			os.chmod(path, 0o777)
		p = lab.h.run("/bin/echo", "ran", status=125)
		check("ran" not in p.stdout and sock in p.stderr, "%r" % p)
	finally:
		for path, mode in modes:
			os.chmod(path, mode)
	lab.h.run("/bin/true")


def test_what_the_command_leaves_behind_dies_with_it(lab):
	out = inside(lab, "setsid sleep 1000 >/dev/null 2>&1 & echo $!")
	pid = int(out)
	L.wait_for("the end of what the command left behind", lambda: not os.path.exists("/proc/%d" % pid), 10)


def test_run_killed_takes_the_command_along(lab):
	"""kill -9 of run: the command dies, the next attestation says that the instance has ended."""
	agent = lab.h.start()
	child = int(open("/proc/%d/task/%d/children" % (agent.p.pid, agent.p.pid)).read().split()[0])
	token = lab.h.token(agent.instance)
	agent.p.kill()
	agent.p.wait()
	L.wait_for("the command's end", lambda: not os.path.exists("/proc/%d" % child), 10)
	r = lab.h.attest()
	check(agent.instance not in [x["instance"] for x in r["results"]], "it is still live: %r" % r)
	check(agent.instance not in os.listdir(os.path.join(lab.h.state, "instances")), "its key is still there")
	proof = wire.dpop(wire.SoftKey(), "GET", L.RESOURCE + "/things", token=token)
	lab.api.inactive(token, proof)


def test_runs_side_by_side(lab):
	"""Eight at once, two of them refused: each ends as it must, and the log explains the register."""
	ps = [lab.spawn(*lab.h.run_argv("/bin/sh", "-c", "echo ran; exit %d" % i), stdout=subprocess.PIPE,
			stderr=subprocess.PIPE, text=True) for i in range(6)]
	for i, p in enumerate(ps):
		out, err = p.communicate(timeout=L.DEADLINE_S)
		L.clean_stderr(err)
		equal((p.returncode, out), (i, "ran\n"), "run %d: %s" % (i, err))
	r = lab.h.attest()
	equal((r["state"], [x["instance"] for x in r["results"]]), ("VERIFIED", [""]), "afterwards")
	equal(lab.h.json("status")["log"]["pcr"], "explained", "register 13")


def test_run_speaks_json(lab):
	p = lab.h.run("/bin/echo", "hello", args=("--json",))
	equal(p.stdout, "hello\n", "standard output is the command's own")
	events = [json.loads(line) for line in p.stderr.splitlines()]
	equal(events[0]["event"], "accepted", "first event")
	check(all(set(e) >= {"event", "instance", "agent", "text"} for e in events), "events: %r" % events)


def test_verifier_down(lab):
	"""Could not decide: 3; run refuses; the log stays right, and afterwards all is well."""
	lab.stop_verifier()
	try:
		p = lab.h.cmd("attest", status=3)
		check(p.stderr.strip(), "no reason")
		p = lab.h.run("/bin/echo", "ran", status=125)
		check("ran" not in p.stdout, "the command ran without a verdict")
		equal(lab.ctl("hosts", status=3).returncode, 3, "assayctl without a verifier")
	finally:
		lab.start_verifier()
	equal(lab.h.attest()["state"], "VERIFIED", "afterwards")


# ---- status, attest, token, proof

def test_status_tells_and_changes_nothing(lab):
	with lab.h.start() as agent:
		before = {f: open(os.path.join(lab.h.state, f), "rb").read() for f in lab.h.log_files()}
		s = lab.h.json("status")
		equal((s["enrolled"], s["enrolment"]["host"], s["log"]["pcr"]), (True, lab.h.id, "explained"), "status")
		equal([(i["instance"], i["running"], i["agent"]) for i in s["instances"]], [(agent.instance, True, "agent")],
		      "instances")
		text = lab.h.cmd("status").stdout
		check(lab.h.id in text and agent.instance in text, "text: %r" % text)
		equal({f: open(os.path.join(lab.h.state, f), "rb").read() for f in lab.h.log_files()}, before, "log")


def test_attest_for_people_and_machines(lab):
	r = lab.h.attest()
	equal((r["host"], r["state"], r["accepted"], r["failures"]), (lab.h.id, "VERIFIED", True, []), "attest --json")
	text = lab.h.cmd("attest").stdout
	check("VERIFIED" in text, "text: %r" % text)


def test_token_and_proof_by_the_key_in_the_tpm(lab):
	"""The whole loop with the programs alone; another instance's proof is worth nothing."""
	with lab.h.start() as agent, lab.h.start() as other:
		token = lab.h.token(agent.instance)
		header, claims = lab.open_jws(token)
		check(claims["sub"].endswith("/agent/agent/instance/" + agent.instance), "sub: %r" % claims)
		proof = lab.h.proof(agent.instance, token)
		ph, pc = wire.jws_open(proof)
		equal(wire.thumbprint(ph["jwk"]), claims["cnf"]["jkt"], "thumbprint of the proof's key")
		wire.jws_open(proof, ph["jwk"])
		equal(pc["ath"], wire.ath(token), "ath")
		equal(lab.api.ask(token, proof).json()["active"], True, "token with its proof")
		equal(lab.api.ask(token, lab.h.proof(other.instance, token)).json(), {"active": False}, "another's proof")
		j = json.loads(lab.h.cmd("proof", "--json", "--instance", agent.instance, "--method", "GET", "--url",
					 L.RESOURCE).stdout)
		check(wire.jws_open(j["proof"])[1]["htu"] == L.RESOURCE, "proof in JSON: %r" % j)


def test_token_refused(lab):
	with lab.h.start() as agent:
		for k in ({"scope": "admin"}, {"resource": "https://elsewhere.example"}):
			p = lab.h.token(agent.instance, status=1, **k)
			check(p.stderr.strip() and not p.stdout.strip(), "%r" % p)
	p = lab.h.token("0" * 32, status=None)
	check(p.returncode == 1 and p.stderr.strip(), "unknown instance: %r" % p)


def test_key_files_are_for_root_alone(lab):
	with lab.h.start() as agent:
		folder = os.path.join(lab.h.state, "instances", agent.instance)
		equal(os.stat(lab.h.state).st_mode & 0o777, 0o700, "state folder")
		for name in os.listdir(folder):
			mode = os.stat(os.path.join(folder, name)).st_mode & 0o777
			check(mode & 0o077 == 0 or name in ("instance.json", "key.pub"), "%s has mode %o" % (name, mode))
		equal(os.stat(os.path.join(folder, "auth")).st_mode & 0o777, 0o600, "mode of the key's authValue")
	check(not os.path.exists(folder), "the key's folder outlives the instance")


def test_no_object_or_session_is_left_in_the_tpm(lab):
	with Tpm(lab.tpm_socket(0)) as t:
		for first in (0x80000000, 0x02000000, 0x03000000):
			h = t.handles_from(first)
			check(h is None or h >> 24 != first >> 24, "handle %#x is left" % (h or 0))


def test_configuration_file(lab):
	"""Every option may stand there; an unknown key, and a file that is named but not there, are refused."""
	path = lab.path("attest.json")
	with open(path, "w") as f:
		json.dump({"state_dir": lab.h.state, "tcti": "swtpm:path=" + lab.tpm_socket(0)}, f)
	lab.run(lab.program("ASSAY_ATTEST"), "attest", "--config", path)
	with open(path, "w") as f:
		json.dump({"state_dir": lab.h.state, "tcit": "x"}, f)
	p = lab.run(lab.program("ASSAY_ATTEST"), "attest", "--config", path, status=3)
	check("tcit" in p.stderr, "the key is not named: %r" % p.stderr)
	p = lab.run(lab.program("ASSAY_ATTEST"), "attest", "--config", lab.path("none.json"), status=3)
	check("none.json" in p.stderr, "%r" % p.stderr)


# ---- the verifier as a program

def verifier_refuses(lab, word, **changes):
	"""A second verifier with this configuration does not start; it says why."""
	path = lab.path("other.json")
	with open(lab.path("verifier.json")) as f:
		config = json.load(f)
	config.update({"listen": "127.0.0.1:%d" % L.free_port(), "admin_socket": lab.path("other.sock")})
	config.update(changes)
	with open(path, "w") as f:
		json.dump({k: v for k, v in config.items() if v is not None}, f)
	p = lab.run(lab.program("ASSAY_VERIFIER"), "--config", path, "--dev", status=None)
	check(p.returncode in (2, 3) and p.stderr.strip(), "it started or said nothing: %r" % p)
	check(word in p.stderr, "the reason does not hold %r: %r" % (word, p.stderr))


def test_V12_verifier_that_does_not_start(lab):
	"""State in use, a key that others can read, an unknown member, a newer schema."""
	verifier_refuses(lab, "another verifier")
	verifier_refuses(lab, "unknown_member", unknown_member=1, state_dir=lab.path("other"))
	os.mkdir(lab.path("other"), 0o700)
	with open(lab.path("other.key"), "w") as f:
		f.write("x")
	lab.stop_verifier()
	try:
		keys = [f for f in os.listdir(lab.state) if f.endswith(".key") or f.endswith(".keys")]
		check(keys, "no key in the state folder: %r" % os.listdir(lab.state))
		for name in keys:
			path = os.path.join(lab.state, name)
			equal(os.stat(path).st_mode & 0o777, 0o600, "mode of " + name)
			os.chmod(path, 0o644)
			verifier_refuses(lab, name)
			os.chmod(path, 0o600)
		os.chmod(lab.state, 0o755)
		verifier_refuses(lab, lab.state)
		os.chmod(lab.state, 0o700)
		db = sqlite3.connect(lab.path("verifier", "assay.db"))
		version = db.execute("PRAGMA user_version").fetchone()[0]
		db.execute("PRAGMA user_version = %d" % (version + 1))
		db.close()
		verifier_refuses(lab, str(version + 1))
		db = sqlite3.connect(lab.path("verifier", "assay.db"))
		db.execute("PRAGMA user_version = %d" % version)
		db.close()
	finally:
		os.chmod(lab.state, 0o700)
		lab.start_verifier()
	equal(lab.h.attest()["state"], "VERIFIED", "afterwards")


def test_V8_admin_socket_is_for_root(lab):
	"""Another user is refused, even one who can open the socket."""
	os.chmod(lab.socket, 0o666)
	script = ("import socket\ns=socket.socket(socket.AF_UNIX); s.settimeout(20)\ns.connect(%r)\n"
		  "s.sendall(b'GET /v1/admin/hosts HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n')\n"
		  "print(s.makefile().readline())" % lab.socket)
	p = subprocess.run(["/usr/bin/python3", "-c", script], user=NOBODY, group=NOBODY, extra_groups=[], text=True,
			   stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=L.DEADLINE_S)
	os.chmod(lab.socket, 0o600)
	check(" 403 " in p.stdout or p.returncode != 0, "another user may ask: %r" % p)
	check(lab.host_list(), "root may not ask")


def test_admin_routes_are_not_on_the_network(lab):
	with lab.client() as c:
		for path in ("/v1/admin/hosts", "/v1/admin/documents", "/v1/admin/trust"):
			L.refused(c.get(path), 404, "E_PEER_NO_ROUTE")
		L.refused(c.post("/v1/admin/revoke", {"host": lab.h.id}), 404, "E_PEER_NO_ROUTE")
	with lab.admin() as c:
		L.refused(c.post("/v1/challenge", {"host": lab.h.id, "boot": "AA"}), 404, "E_PEER_NO_ROUTE")


def test_lists_for_operators(lab):
	"""What assayctl lists is what happened."""
	with lab.h.start() as agent:
		token = lab.h.token(agent.instance, task="task-list")
		jti = wire.jws_open(token)[1]["jti"]
		check(any(a["instance"] == agent.instance and a["agent"] == "agent" for a in lab.ctl("agents")), "agents")
		rows = [c for c in lab.ctl("credentials") if c["jti"] == jti]
		equal([(c["task"], c["owner"], c["alive"]) for c in rows], [("task-list", L.OWNER, True)], "credentials")
		check(any(d["kind"] == "agent" and d["name"] == "agent" for d in lab.ctl("documents")), "documents")
		equal(len(lab.ctl("trust", "list")), 2, "trust anchors")
		equal([c["name"] for c in lab.ctl("client", "list")], ["api"], "clients")
		e = lab.explain(lab.h.id)
		check(all(c["result"] == "pass" for c in e["checks"]), "explanation: %r" % e)
		text = lab.run(lab.program("ASSAYCTL"), "explain", "--socket", lab.socket, lab.h.id).stdout
		check("VERIFIED" in text and "Q6" in text, "text of explain: %r" % text)


if __name__ == "__main__":
	sys.exit(L.main(setup, needs_root=True))
