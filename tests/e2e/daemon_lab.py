# SPDX-License-Identifier: Apache-2.0
"""The daemon of a host, and agents that talk to it (agent.py), for tests."""
import json
import os
import shutil
import subprocess

import agent as callers
import lab as L

HERE = os.path.dirname(os.path.abspath(__file__))


class Daemon:
	"""assay-attest daemon on a Host, which is told where it listens."""

	def __init__(self, host, *options, path=None):
		self.host, self.lab, self.options, self.p = host, host.lab, options, None
		self.path = path or host.lab.path("attest-%d.sock" % host.index)
		self.log = host.lab.path("daemon-%d.log" % host.index)
		host.options += ["--socket", self.path]
		host.lab.at_close.append(self.close)
		# Agents are not root: the build folder may not be theirs to enter.
		self.program = host.lab.path("assay-attest")
		if not os.path.exists(self.program):
			shutil.copy(host.lab.program("ASSAY_ATTEST"), self.program)
			shutil.copy(os.path.join(HERE, "agent.py"), host.lab.path("agent.py"))
			os.chmod(host.lab.path("agent.py"), 0o644)

	def start(self, wait=True, prefix=(), **k):
		L.check(self.p is None, "the daemon runs already")
		with open(self.log, "a") as log:
			self.p = self.lab.spawn(*prefix, *self.host.argv("daemon", "--log-level", "info", *self.options), stdout=log, stderr=log,
						**k)
		if wait:
			L.wait_for("the daemon's socket", self.answers)
		return self

	def answers(self):
		if self.p.poll() is not None:
			raise L.Failure("the daemon ended with status %d\n%s" % (self.p.returncode, L.read_text(self.log)))
		return self.status() is not None

	def status(self):
		"""What it says of itself, asked directly; None where it does not answer."""
		try:
			with callers.connect(self.path) as s:
				callers.send(s, callers.hello(s), "status")
				return callers.receive(s)["answer"]
		except (OSError, callers.Refused, TypeError):
			return None

	def attested(self, since):
		"""Waits for the outcome of an attestation that ended at this time (seconds) or later."""
		def look():
			s = self.status()
			return s if s and s.get("attested", 0) >= since else None
		return L.wait_for("an attestation by the daemon", look)

	def kill(self):
		p, self.p = self.p, None
		p.kill()
		p.wait()

	def stop(self, status=0):
		p, self.p = self.p, None
		p.terminate()
		p.wait(L.DEADLINE_S)
		L.equal(p.returncode, status, "exit status of the daemon after SIGTERM")
		L.clean_stderr(L.read_text(self.log))

	def close(self):
		if self.p is not None and self.p.poll() is None:
			self.stop()


class Agent(L.Running):
	"""An instance whose command is agent.py."""

	def __init__(self, host, user="nobody", args=(), **k):
		self.host, self.lab = host, host.lab
		self.log = host.lab.path("run-%d.log" % len(host.lab.children))
		with open(self.log, "w") as log:
			self.p = host.lab.spawn(*host.run_argv("/usr/bin/python3", host.lab.path("agent.py"), args=("--user", user, *args), **k),
						stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
		self.instance = self.read()

	def read(self):
		line = self.p.stdout.readline()
		if not line:
			self.p.wait(L.DEADLINE_S)
			raise L.Failure("the agent has ended: run's status %d\n%s" % (self.p.returncode, L.read_text(self.log)))
		return json.loads(line)

	def do(self, python):
		"""Runs it in the agent; what it leaves in `answer`."""
		self.p.stdin.write(json.dumps(python) + "\n")
		self.p.stdin.flush()
		return self.read()

	def ask(self, request, **members):
		return self.do("answer = ask(%r, **%r)" % (request, members))

	def ok(self, request, **members):
		r = self.ask(request, **members)
		if not r or r.get("outcome") != "ok":
			raise L.Failure("%s: expected an answer, seen %r" % (request, r))
		return r["answer"]

	def cli(self, *argv):
		"""The real program, run by the agent."""
		return self.do("answer = run(%r, *%r)" % (self.lab.path("assay-attest"), argv))

	def token(self, scope="read", task="task-1", expected_s=60):
		return self.ok("token", scope=scope, resource=L.RESOURCE, task=task, expected_s=expected_s)["access_token"]

	def proof(self, token, method="GET", url=L.RESOURCE + "/things"):
		return self.ok("proof", method=method, url=url, token=token)["proof"]

	def kill(self):
		"""`run` itself, without a word."""
		self.p.kill()
		self.p.wait()


def refused(reply, name, *words):
	"""The daemon's reply is this refusal."""
	if not reply or reply.get("outcome") != "refused" or reply.get("error") != name:
		raise L.Failure("expected a refusal %s, seen %r" % (name, reply))
	for w in words:
		L.check(w in reply["reason"], "the reason does not hold %r: %r" % (w, reply))
	return reply


def setup(lab, *options):
	"""A verifier, one host with its daemon, a world in which "agent" passes."""
	lab.up(tpms=1)
	lab.h = lab.host(0)
	lab.h.enrol()
	lab.h.approve()
	lab.make_world(lab.h, "--unapproved-workload", "instance")
	lab.h.attest()
	lab.api = L.Resource(lab)
	lab.daemon = Daemon(lab.h, *options).start()
