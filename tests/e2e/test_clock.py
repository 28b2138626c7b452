#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Reset, restart, suspend, power loss, clear and replacement of the TPM: what is the same boot, and what is not."""
import os
import sys
import time

sys.dont_write_bytecode = True

import lab as L
from lab import check, equal, failed_check, passed, refused
from rogue import CLAIM, WORKLOAD_PCR, Rogue, content_digest, event_resume
from tpm import Tpm
from wire import dpop

R, H = 0, 1


def setup(lab):
	lab.up(tpms=2)
	lab.r = Rogue(lab, R).join()
	lab.make_world(lab.r)
	lab.r.must_pass()
	lab.h = lab.host(H)
	lab.h.enrol()
	lab.h.approve()
	lab.h.attest()
	lab.api = L.Resource(lab)


def transition(lab, verb, index, *options):
	lab.harness(verb, "--index", str(index), *options)


def counters(r):
	with r.tpm() as t:
		return t.clock()


def after_power_loss(lab, index, attest, clock):
	"""swtpm calls its clock safe again as soon as it has saved it, which it does every 4 s: an attestation that took
	longer says nothing about a clock that is not safe, and is made again."""
	for _ in range(8):
		transition(lab, "power-loss", index)
		lab.boot_measurements(index)
		attest()
		if not clock()["safe"]:
			return
	raise AssertionError("no attestation was made within 4 s of a power loss")


# ---- the clock rule, by the rogue, which can also answer late and lie

def test_R1_answers_that_overtook_each_other(lab):
	"""Two live nonces, answered in the wrong order: the older quote is refused, nothing changes, a new one passes."""
	first, second = lab.r.challenge(), lab.r.challenge()
	older, newer = lab.r.collect(first).encode(), lab.r.collect(second).encode()
	passed(lab.post_evidence(newer))
	with lab.unchanged():
		refused(lab.post_evidence(older), 409, check="R1")
	lab.r.must_pass()


def test_R2_reset_and_the_same_extends_again(lab):
	"""A perfect quote of another boot under the claims of the old one: REBOOTED, and the old tokens are dead."""
	r = lab.r
	instance = r.start()
	passed(r.attest())
	key = r.keys[instance]
	token = L.get_token(lab, key)["access_token"]
	check(lab.api.active(key, token), "the token must work before")
	proof = dpop(key, "GET", L.RESOURCE + "/things", token=token)
	challenge = r.challenge()
	with r.tpm() as t:
		old_boot = r.boot(t)[2]
	transition(lab, "reset", R)
	lab.boot_measurements(R)
	with r.tpm() as t:
		for c in r.contents():
			t.extend(WORKLOAD_PCR, content_digest(c))
	reply = r.attest(challenge, claims=lambda c: c.update({CLAIM["boot"]: old_boot}), certify=False)
	failed_check(reply, "R2", state="REBOOTED")
	equal(lab.host_list()[r.id]["status"], "REBOOTED", "status")
	lab.api.inactive(token, proof)
	equal(lab.db("SELECT count(*) FROM instance WHERE host = ? AND usable = 1", r.id)[0][0], 0, "usable instances")
	r.reboot()
	passed(r.attest())


def test_R3_reset_after_resumes_is_a_new_boot(lab):
	"""restartCount goes from 3 to 0 while resetCount grows: that is a reset, not a fault."""
	r = lab.r
	for _ in range(3):
		transition(lab, "suspend", R)
		transition(lab, "resume", R)
		r.append(event_resume(counters(r)["restart"]))
		passed(r.attest())
	before = counters(r)
	equal(before["restart"], 3, "restartCount after three resumes")
	r.reboot()
	after = counters(r)
	equal((after["reset"], after["restart"]), ((before["reset"] + 1) % 2**32, 0), "counters after the reset")
	passed(r.attest())


def test_R4_power_loss_is_a_warning(lab):
	"""The clock may go back and is not safe: accepted, told in the explanation, and no alarm."""
	r = lab.r
	passed(r.attest())

	def attest():
		r.forget()
		r.begin()
		passed(r.attest())

	after_power_loss(lab, R, attest, lambda: counters(r))
	check(any("power was lost" in w for w in lab.explain(r.id)["warnings"]), "the explanation does not tell of the power loss")


def test_R5_reset_count_that_went_back(lab):
	"""TPM2_Clear sets the counters to zero: not the boot that we know, and no later one."""
	r = lab.r
	check(counters(r)["reset"] > 0, "nothing to go back from")
	transition(lab, "clear", R)
	r.forget()
	r.reboot()
	failed_check(r.attest(), "R5")
	equal(lab.host_list()[r.id]["status"], "FAILED", "status")
	failed_check(r.attest(), "R5")
	lab.ctl("hosts", "remove", r.id)
	r.enrol()
	passed(r.attest())


def test_R6_boot_id_of_the_attesters_own_making(lab):
	"""The counters win over what the host calls its boot."""
	own = os.urandom(32)
	challenge = lab.r.challenge(boot=own)
	failed_check(lab.r.attest(challenge, claims=lambda c: c.update({CLAIM["boot"]: own})), "R6")
	passed(lab.r.attest())


def test_R_restart_with_an_emptied_register(lab):
	"""Shutdown(STATE), Startup(CLEAR): resetCount stays and PCR 13 is zero. The old log explains nothing any more."""
	r = lab.r
	r.start()
	passed(r.attest())
	transition(lab, "suspend", R)
	transition(lab, "resume", R, "--clear")
	lab.boot_measurements(R)
	old = counters(r)
	r.append(event_resume(old["restart"]), extend=False)
	reply = r.attest()
	check(reply.status == 200 and reply.json()["state"] in ("FAILED", "REBOOTED") or not reply.json()["results"][0]["instance"],
	      "the old log is believed: %r" % reply)
	equal(lab.db("SELECT count(*) FROM instance WHERE host = ? AND usable = 1 AND verdict_expires > ?", r.id,
		     int(time.time()))[0][0], 0, "usable instances of the old log")
	r.forget()
	r.begin()
	passed(r.attest())


def test_W_resume_log_goes_on(lab):
	"""After a resume the same log goes on under the new boot id, and the instance's key still works."""
	r = lab.r
	instance = r.start()
	passed(r.attest())
	transition(lab, "suspend", R)
	transition(lab, "resume", R)
	equal(r.challenge()["boot_known"], False, "another boot id")
	r.append(event_resume(counters(r)["restart"]))
	reply = passed(r.attest())
	equal({x["instance"] for x in reply["results"]}, {i.hex() for i in r.keys}, "instances that live on")
	token = L.get_token(lab, r.keys[instance])["access_token"]
	check(lab.api.active(r.keys[instance], token), "the key does not work after a resume")
	r.end(instance)
	passed(r.attest())


# ---- the same with assay-attest

def accepted(h):
	r = h.attest()
	equal((r["state"], r["accepted"]), ("VERIFIED", True), "attestation")
	return r


def test_host_reset_starts_a_new_log(lab):
	h = lab.h
	h.run("/bin/true")
	accepted(h)
	before = h.log_files()
	transition(lab, "reset", H)
	lab.boot_measurements(H)
	accepted(h)
	h.run("/bin/true")
	accepted(h)
	check(h.log_files() != before, "no new log: %r" % before)


def test_host_reset_kills_running_instances_and_their_tokens(lab):
	h = lab.h
	with h.start() as agent:
		token = h.token(agent.instance)
		proof = h.proof(agent.instance, token)
		equal(lab.api.ask(token, proof).json().get("active"), True, "token before the reset")
		transition(lab, "reset", H)
		lab.boot_measurements(H)
		r = accepted(h)
		check(agent.instance not in [x["instance"] for x in r["results"]], "an instance outlived the boot: %r" % r)
		p = h.cmd("proof", "--instance", agent.instance, "--method", "GET", "--url", L.RESOURCE, status=1)
		check("there is no instance" in p.stderr, "no reason: %r" % p.stderr)
		equal(lab.db("SELECT count(*) FROM instance WHERE id = ?", bytes.fromhex(agent.instance))[0][0], 0, "instance")
		agent.p.terminate()
		agent.p.wait(L.DEADLINE_S)


def test_host_suspend_and_resume(lab):
	"""The log goes on, and so does the running agent."""
	h = lab.h
	with h.start() as agent:
		accepted(h)
		files = h.log_files()
		transition(lab, "suspend", H)
		transition(lab, "resume", H)
		r = accepted(h)
		check(agent.instance in [x["instance"] for x in r["results"]], "the instance is gone: %r" % r)
		equal(h.log_files(), files, "log files")
		token = h.token(agent.instance)
		equal(lab.api.ask(token, h.proof(agent.instance, token)).json().get("active"), True, "token after the resume")


def test_host_restart_starts_a_new_log(lab):
	"""Shutdown(STATE), Startup(CLEAR)."""
	h = lab.h
	with h.start() as agent:
		accepted(h)
		transition(lab, "suspend", H)
		transition(lab, "resume", H, "--clear")
		lab.boot_measurements(H)
		r = accepted(h)
		check(agent.instance not in [x["instance"] for x in r["results"]], "an instance outlived its log: %r" % r)
		agent.p.terminate()
		agent.p.wait(L.DEADLINE_S)
	h.run("/bin/true")
	accepted(h)


def test_host_power_loss(lab):
	h = lab.h
	h.run("/bin/true")

	def clock():
		with Tpm(lab.tpm_socket(H)) as t:
			return t.clock()

	after_power_loss(lab, H, lambda: accepted(h), clock)
	check(any("power was lost" in w for w in lab.explain(h.id)["warnings"]), "the explanation does not tell of the power loss")


def test_host_extended_behind_our_back(lab):
	"""PCR 13 is neither what the log says nor what an intent explains: refused, never repaired, until the next boot."""
	h = lab.h
	h.run("/bin/true")
	log = {f: open(os.path.join(h.state, f), "rb").read() for f in h.log_files()}
	lab.harness("extend", "--index", str(H), "--pcr", "13", "--data", "somebody else")
	with lab.unchanged():
		for verb in ("attest", "attest"):
			p = h.cmd(verb, status=1)
			check("unexplained" in p.stderr or "PCR 13" in p.stderr, "no reason: %r" % p.stderr)
		p = h.run("/bin/true", status=125)
		check(p.stderr, "no reason")
	equal({f: open(os.path.join(h.state, f), "rb").read() for f in h.log_files()}, log, "log files")
	transition(lab, "reset", H)
	lab.boot_measurements(H)
	accepted(h)


def test_host_clear(lab):
	"""TPM2_Clear: the counters are zero, the boot is another, and the verifier wants an operator."""
	h = lab.h
	h.run("/bin/true")
	accepted(h)
	transition(lab, "clear", H)
	r = h.attest(status=1)
	check(any(f["check"] == "R5" for f in r["failures"]), "R5 is not named: %r" % r)
	lab.ctl("hosts", "remove", h.id)
	h.enrol()
	transition(lab, "reset", H)
	lab.boot_measurements(H)
	accepted(h)


def test_host_tpm_replaced(lab):
	"""Another TPM in the same place: assay-attest notices before it sends anything, and --replace makes another host."""
	h = lab.h
	old = h.id
	transition(lab, "replace", H)
	lab.boot_measurements(H)
	with lab.unchanged():
		for verb, status in (("attest", 1), ("enrol", 1)):
			args = ("--verifier", lab.issuer, "--ca", lab.ca) if verb == "enrol" else ()
			p = h.cmd(verb, *args, status=status)
			check("TPM" in p.stderr, "no reason: %r" % p.stderr)
		h.run("/bin/true", status=125)
	r = h.enrol("--replace")
	check(r["host"] != old, "the id is that of the old TPM")
	equal(r["state"], "PENDING", "state of the new host")
	h.attest(status=1)
	h.approve("host-new")
	accepted(h)


if __name__ == "__main__":
	sys.exit(L.main(setup, needs_root=True))
