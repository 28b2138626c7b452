#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the daemon at random points while instances start, end and die: log and register agree, nobody is lost."""
import os
import random
import subprocess
import sys
import time

sys.dont_write_bytecode = True

import daemon_lab as D
import lab as L
from daemon_lab import Agent
from lab import check, equal, wait_for
from tpm import Tpm
from wire import sha256

KILLS = 200


def setup(lab):
	D.setup(lab, "--interval", "1s")
	seed = os.environ.get("ASSAY_TEST_SEED", str(time.time_ns()))
	print("# ASSAY_TEST_SEED=" + seed)
	lab.random = random.Random(seed)


def explained(lab):
	s = lab.h.json("status", status=None)
	equal(s.get("log", {}).get("pcr"), "explained", "log and register: %r" % s)
	return s


def test_instances_outlive_the_daemon(lab):
	"""The new one knows them, and they it; a token from before goes on."""
	with Agent(lab.h) as a, Agent(lab.h) as b:
		token, jkt = a.token(), b.ok("identity")["jkt"]
		lab.daemon.kill()
		equal(a.do("""
try:
	answer = ask("identity")
except OSError as e:
	answer = type(e).__name__
"""), "ConnectionRefusedError", "without a daemon")
		lab.daemon.start()
		equal(lab.daemon.status()["instances"], 2, "instances")
		equal(a.ok("identity")["instance"], a.instance, "identity")
		equal(b.ok("identity")["jkt"], jkt, "key")
		equal(lab.api.ask(token, a.proof(token)).json().get("active"), True, "token from before")


def test_ends_without_a_daemon_are_made_up_for(lab):
	"""A run that is killed while there is no daemon: the next one says its end, and the verifier knows."""
	gone, stays = Agent(lab.h), Agent(lab.h)
	with stays:
		token, jkt = gone.token(), gone.ok("identity")["jkt"]
		lab.daemon.kill()
		gone.kill()
		equal(len(explained(lab)["instances"]), 2, "instances in the log before")
		lab.daemon.start()
		wait_for("the verifier's word of the end", lambda: not lab.db("SELECT 1 FROM instance WHERE jkt = ?", jkt))
		equal([x["instance"] for x in explained(lab)["instances"]], [stays.instance], "instances in the log after")
		equal(lab.api.ask(token, stays.proof(token)).json(), {"active": False}, "token of the one that ended")


def test_daemon_killed_at_random_points(lab):
	"""
	200 times, within the first moments of an attestation in which an instance has to be ended that died without a
	word, while another asks for tokens. After each: the log explains the register. At the end: all is as it should be.
	"""
	intents = asked = 0
	with Agent(lab.h) as stays:
		for i in range(KILLS):
			dies = lab.h.start()
			at_start = lab.random.random() < 0.5
			if at_start:
				lab.daemon.kill()
			dies.p.kill()
			dies.p.wait()
			if at_start:
				lab.daemon.start(wait=False)
			elif i % 4 == 1:
				asked += stays.ask("token", scope="read", resource=L.RESOURCE, task="t", expected_s=60)["outcome"] == "ok"
			time.sleep(lab.random.uniform(0, 0.15))
			lab.daemon.kill()
			intents += os.path.exists(os.path.join(lab.h.state, "workload.intent"))
			explained(lab)
			lab.daemon.start()
			if i % 10 == 9:
				equal(stays.ok("identity")["instance"], stays.instance, "identity after %d kills" % i)
				wait_for("the ends of those that died", lambda: only(lab, stays))
		now = time.time()
		equal(lab.daemon.attested(now)["outcome"], "accepted", "attestation afterwards")
		wait_for("the ends of those that died", lambda: only(lab, stays))
		equal(lab.h.attest()["state"], "VERIFIED", "state")
		equal(os.listdir(os.path.join(lab.h.state, "instances")), [stays.instance], "folders")
		t = stays.token()
		equal(lab.api.ask(t, stays.proof(t)).json().get("active"), True, "token")
	check(asked > 0, "no token was given meanwhile")
	print("# %d kills, %d of them between intent and its end, %d tokens meanwhile" % (KILLS, intents, asked))


def only(lab, agent):
	return [x["instance"] for x in explained(lab)["instances"]] == [agent.instance]


def test_W1_register_that_nothing_explains(lab):
	"""Somebody else has extended it: named and refused, by the daemon on its own, and the agents end."""
	agent = Agent(lab.h, args=("--interval", "12h"))
	with Tpm(lab.tpm_socket(0)) as t:
		t.extend(13, sha256(b"somebody else"))
	agent.p.wait(L.DEADLINE_S)
	equal(agent.p.returncode, 125, "exit status of run")
	check("unexplained" in L.read_text(agent.log), "no reason: %r" % L.read_text(agent.log))
	s = lab.daemon.status()
	equal(s["outcome"], "refused", "outcome")
	check("unexplained" in s["text"], "no reason: %r" % s)


if __name__ == "__main__":
	sys.exit(L.main(setup, needs_root=True))
