#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""From a changed byte of a model to a credential that is inactive: the real programs, a software TPM, 50 agents on one host.

Each agent has a copy of the model of its own. One after the other, a byte of it is changed, and the verifier is asked
until it says that the agent's token is not active; it was a moment before, with a proof by the same key. The agents that
are left keep running. No interval helps: it is half a day.

usage: bench-change.py [--agents N], with the programs' paths in the environment as for tests/e2e."""
import argparse
import os
import shutil
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))

import lab as L

GOAL_S = 5.0


def start(lab, number):
	model = lab.path("mdl-%d" % number)
	shutil.copytree(lab.path("mdl"), model)
	L.open_to_all(model)
	agent = lab.h.start(model=model, args=("--interval", "12h"))
	agent.model = os.path.join(model, "weights", "b.bin")
	return agent


def usable(lab, jkt):
	rows = lab.db("SELECT usable FROM instance WHERE jkt = ?", jkt)
	return bool(rows and rows[0][0])


def seconds_to_inactive(lab, agent):
	token = lab.h.token(agent.instance, expected="600s")
	jkt = lab.open_jws(token)[1]["cnf"]["jkt"]
	before, after = (lab.h.proof(agent.instance, token) for _ in range(2))
	L.equal(lab.api.ask(token, before).json().get("active"), True, "token before the change")
	with open(agent.model, "r+b") as f:
		f.seek(1)
		f.write(b"?")
	changed = time.monotonic()
	# A proof counts once, so the question is put when the answer is due.
	while usable(lab, jkt):
		time.sleep(0.002)
	L.equal(lab.api.ask(token, after).json(), {"active": False}, "token after the change")
	took = time.monotonic() - changed
	agent.p.wait(L.DEADLINE_S)
	L.equal(agent.p.returncode, 125, "exit status of run")
	return took


def main():
	parser = argparse.ArgumentParser()
	parser.add_argument("--agents", type=int, default=50)
	n = parser.parse_args().agents
	lab = L.Lab()
	try:
		lab.up(tpms=1)
		lab.h = lab.host(0)
		lab.h.enrol()
		lab.h.approve()
		lab.make_world(lab.h, "--unapproved-workload", "instance")
		lab.h.attest()
		lab.api = L.Resource(lab)
		agents = [start(lab, i) for i in range(n)]
		took = sorted(seconds_to_inactive(lab, a) for a in agents)
	finally:
		errors = lab.close()
	L.equal(errors, [], "what is left")
	p99 = took[min(len(took) - 1, len(took) * 99 // 100)]
	for name, value in (("change-to-revocation-median", took[len(took) // 2]), ("change-to-revocation-p99", p99)):
		print("BENCH %s %.3f s limit %.2f ratio %.3f" % (name, value, GOAL_S, GOAL_S / value))
	return 0


if __name__ == "__main__":
	sys.exit(main())
