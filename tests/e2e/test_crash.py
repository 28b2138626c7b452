#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of verifier and attester at random points, and full disks: no acknowledged verdict lost, none invented."""
import http.client
import os
import random
import sqlite3
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True

import lab as L
from lab import check, equal, passed, refused
from rogue import CLAIM, Rogue
from wire import dpop, jws_open, uncbor

KILLS = 100 # of each


def setup(lab):
	# On file systems of their own, so that they can be full.
	lab.own_disks = all(lab.mount_tmpfs(name, "24m") for name in ("verifier", "host-1"))
	lab.up(tpms=2)
	lab.r = Rogue(lab, 0).join()
	lab.make_world(lab.r)
	lab.r.start()
	lab.r.must_pass()
	lab.key = next(iter(lab.r.keys.values()))
	lab.api = L.Resource(lab)
	lab.h = lab.host(1)
	lab.h.state = lab.path("host-1")
	lab.h.enrol()
	lab.h.approve()
	lab.h.attest()
	seed = os.environ.get("ASSAY_TEST_SEED", str(time.time_ns()))
	print("# ASSAY_TEST_SEED=" + seed)
	lab.random = random.Random(seed)


class Load(threading.Thread):
	"""Asks for verdicts or tokens without pause until the connection breaks; remembers what was asked and acknowledged."""

	def __init__(self, lab, kind):
		super().__init__(daemon=True)
		self.lab, self.kind, self.stopped = lab, kind, False
		self.sent, self.acknowledged, self.errors = [], [], []
		self.before = {bytes(r[0]) for r in lab.db("SELECT value FROM once WHERE space = 'attest'")}

	def run(self):
		while not self.stopped:
			try:
				getattr(self, self.kind)()
			except (OSError, http.client.HTTPException, L.Failure):
				return # the verifier is gone
			except Exception as e:
				self.errors.append(e)
				return

	def verdict(self):
		ev = self.lab.r.collect()
		self.sent.append(ev)
		r = self.lab.post_evidence(ev.encode())
		if r.status == 200 and r.json()["state"] == "VERIFIED":
			self.acknowledged.append((ev, r.json()))
		elif r.status not in (409, 503):
			self.errors.append(r)

	def token(self):
		with self.lab.client() as c:
			self.sent.append(None)
			r = L.token_request(c, self.lab.issuer, self.lab.key)
			if r.status == 200:
				self.acknowledged.append(jws_open(r.json()["access_token"])[1])
			elif r.status not in (400, 503):
				self.errors.append(r)


def intact(lab):
	with sqlite3.connect("file:%s?mode=ro" % lab.path("verifier", "assay.db"), uri=True) as c:
		equal(c.execute("PRAGMA integrity_check").fetchall(), [("ok",)], "integrity of the database")


def check_promises(lab, verdicts, tokens, tokens_before):
	"""What the store holds after the crash against what was sent and acknowledged."""
	for load in (verdicts, tokens):
		if load.errors:
			raise L.Failure("while it ran: %r" % load.errors[0])
	rows = {r[0]: r for r in lab.db("SELECT jti, jkt, issued, expires FROM credential")}
	for c in tokens.acknowledged:
		check(c["jti"] in rows, "an acknowledged token is lost: %s" % c["jti"])
		equal(rows[c["jti"]][2:], (c["iat"], c["exp"]), "times of a token")
	check(len(rows) - tokens_before <= len(tokens.sent), "tokens that nobody asked for: %d, asked %d" % (
		len(rows) - tokens_before, len(tokens.sent)))
	used = {bytes(r[0]) for r in lab.db("SELECT value FROM once WHERE space = 'attest'")}
	sent = {uncbor(ev.claims)[CLAIM["nonce"]] for ev in verdicts.sent}
	for ev, _ in verdicts.acknowledged:
		check(uncbor(ev.claims)[CLAIM["nonce"]] in used, "an acknowledged verdict is lost: its nonce is not used")
	check(used <= sent | verdicts.before, "nonces were used that nobody sent")
	equal(lab.host_list()[lab.r.id]["status"], "VERIFIED", "status after the crash")


def test_verifier_killed_at_random_points(lab):
	"""Under verdicts and tokens. Every acknowledged one is there afterwards, and there are no others than were asked for."""
	n_verdicts = n_tokens = 0
	for i in range(KILLS):
		before = lab.db("SELECT count(*) FROM credential")[0][0]
		verdicts, tokens = Load(lab, "verdict"), Load(lab, "token")
		verdicts.start(), tokens.start()
		# At a point anywhere in the first rounds of each, or in the start of the service for them.
		rounds, deadline = lab.random.randrange(3), time.monotonic() + 2
		while len(verdicts.acknowledged) + len(tokens.acknowledged) < rounds and time.monotonic() < deadline:
			time.sleep(0.001)
		time.sleep(lab.random.uniform(0, 0.08))
		lab.kill_verifier()
		verdicts.stopped = tokens.stopped = True
		verdicts.join(), tokens.join()
		lab.start_verifier()
		check_promises(lab, verdicts, tokens, before)
		n_verdicts += len(verdicts.acknowledged)
		n_tokens += len(tokens.acknowledged)
		if i % 10 == 9:
			intact(lab)
			passed(lab.r.attest())
	intact(lab)
	passed(lab.r.attest())
	check(n_verdicts > KILLS // 10 and n_tokens > KILLS // 10, "the kills came too early to say anything: "
	      "%d verdicts, %d tokens" % (n_verdicts, n_tokens))
	print("# %d kills, %d verdicts and %d tokens acknowledged" % (KILLS, n_verdicts, n_tokens))


def explained(lab):
	s = lab.h.json("status", status=None)
	check(s.get("log", {}).get("pcr") in ("explained", "none"), "log and register disagree: %r" % s)
	return s


def test_attester_killed_at_random_points(lab):
	"""Runs and attestations, killed anywhere from start to end: what is left explains the register, and is repaired."""
	kinds = [lab.h.run_argv("/bin/true"), lab.h.run_argv("/bin/true"), lab.h.argv("attest")]
	whole = [took(lab, argv) for argv in kinds]
	landed = tries = 0
	while landed < KILLS:
		tries += 1
		check(tries < 4 * KILLS, "only %d of %d kills came before the end" % (landed, tries))
		p = lab.spawn(*kinds[tries % 3], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
		try:
			p.wait(lab.random.uniform(0, whole[tries % 3]))
			continue
		except subprocess.TimeoutExpired:
			landed += 1
		p.kill()
		p.wait()
		if landed % 4 == 0:
			explained(lab)
		if landed % 10 == 0:
			r = lab.h.attest()
			equal((r["state"], [x["instance"] for x in r["results"]]), ("VERIFIED", [""]), "after %d kills" % landed)
			left = os.path.join(lab.h.state, "instances")
			equal(os.listdir(left) if os.path.isdir(left) else [], [], "folders of instances that are gone")
	equal(lab.h.attest()["state"], "VERIFIED", "afterwards")
	equal(explained(lab)["log"]["pcr"], "explained", "register")
	print("# %d kills in %d tries" % (landed, tries))


def took(lab, argv):
	start = time.monotonic()
	lab.run(*argv)
	return time.monotonic() - start


# ---- full disks

def fill(lab, path):
	"""Leaves not a block."""
	if not lab.own_disks:
		raise L.Skip("no file system of its own: cannot mount a tmpfs")
	with open(os.path.join(path, "filler"), "wb", buffering=0) as f:
		for size in (1 << 20, 4096, 1):
			try:
				while True:
					f.write(bytes(size))
			except OSError:
				pass


def unless_stored(lab):
	"""The answer to new evidence; None for a verdict, which must then be in the store."""
	ev = lab.r.collect()
	r = lab.post_evidence(ev.encode())
	nonce = uncbor(ev.claims)[CLAIM["nonce"]]
	stored = lab.db("SELECT count(*) FROM once WHERE space = 'attest' AND value = ?", nonce)[0][0]
	equal(stored, 1 if r.status == 200 else 0, "nonces in the store after %r" % r)
	return None if r.status == 200 else r


def unless_issued(lab):
	"""The answer to a token request; None for a token, which must then be in the store."""
	with lab.client() as c:
		r = L.token_request(c, lab.issuer, lab.key)
	if r.status != 200:
		check("access_token" not in r.json(), "a token beside an error: %r" % r)
		return r
	jti = jws_open(r.json()["access_token"])[1]["jti"]
	equal(lab.db("SELECT count(*) FROM credential WHERE jti = ?", jti)[0][0], 1, "rows of an issued token")
	return None


def unless_active(lab, token):
	r = lab.api.ask(token, dpop(lab.key, "GET", L.RESOURCE + "/things", token=token))
	if r.status != 200:
		check("active" not in r.json(), "an answer beside an error: %r" % r)
		return r
	equal(r.json()["active"], True, "the token")
	return None


def test_verifier_with_a_full_disk(lab):
	"""Nothing is acknowledged that could not be stored: 503, not healthy; and all is well when there is room again."""
	token = L.get_token(lab, lab.key)["access_token"]
	# A log that was emptied has no room of its own left to write into.
	lab.restart_verifier()
	fill(lab, lab.state)
	try:
		answer = L.wait_for("an answer that is no verdict", lambda: unless_stored(lab))
		refused(answer, 503, "E_LOCAL_STORE")
		check(answer.headers["Retry-After"], "no Retry-After")
		r = L.wait_for("an answer that is no token", lambda: unless_issued(lab))
		equal(r.status, 503, "token on a full disk: %r" % r)
		# The least that is ever stored is a proof that was used, so now nothing fits.
		r = L.wait_for("an answer that is not about the token", lambda: unless_active(lab, token))
		equal(r.status, 503, "introspection on a full disk: %r" % r)
		before = lab.db("SELECT count(*) FROM credential")
		with lab.client() as c:
			for _ in range(3):
				equal(c.get("/healthz").status, 503, "health on a full disk")
		equal(lab.approve("image", "full", "--digest", "11" * 32, status=3).returncode, 3, "assayctl on a full disk")
		equal(lab.db("SELECT count(*) FROM credential"), before, "credentials")
	finally:
		os.unlink(os.path.join(lab.state, "filler"))
	L.wait_for("good health", lab.healthy)
	passed(lab.r.attest())
	check(lab.api.active(lab.key, token), "the old token")
	L.get_token(lab, lab.key)
	intact(lab)


def test_verifier_starts_on_a_full_disk_or_says_why(lab):
	fill(lab, lab.state)
	try:
		lab.kill_verifier()
		p = lab.spawn(lab.program("ASSAY_VERIFIER"), "--config", lab.path("verifier.json"), "--dev",
			      stdout=subprocess.DEVNULL, stderr=open(lab.log, "a"))
		lab.verifier = p
		L.wait_for("a start or an end", lambda: p.poll() is not None or answers(lab))
		if p.poll() is not None:
			equal(p.returncode, 3, "exit status")
			lab.verifier = None
	finally:
		os.unlink(os.path.join(lab.state, "filler"))
	if lab.verifier is None:
		lab.start_verifier()
	L.wait_for("good health", lab.healthy)
	passed(lab.r.attest())
	intact(lab)


def answers(lab):
	try:
		with lab.client() as c:
			return c.get("/healthz").status in (200, 503)
	except (OSError, http.client.HTTPException):
		return False


def test_attester_with_a_full_disk(lab):
	"""Run refuses before anything is extended that could not be written down; afterwards all is well."""
	fill(lab, lab.h.state)
	try:
		p = lab.h.run("/bin/echo", "ran", status=125)
		check("ran" not in p.stdout and p.stderr.strip(), "%r" % p)
		explained(lab)
	finally:
		os.unlink(os.path.join(lab.h.state, "filler"))
	lab.h.run("/bin/true")
	r = lab.h.attest()
	equal((r["state"], [x["instance"] for x in r["results"]]), ("VERIFIED", [""]), "afterwards")


if __name__ == "__main__":
	sys.exit(L.main(setup, needs_root=True))
