#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A boot with so many short tasks that its workload log takes more than one message."""
import fcntl
import glob
import hashlib
import os
import struct
import sys

sys.dont_write_bytecode = True

import lab as L
from lab import check, equal, failed_check, get_token, no_token, passed, refused
from rogue import CLAIM, CONTENT_TYPE, LOG_PART, WORKLOAD_PCR, Rogue, content_digest, event_end, event_start, record
from tpm import Tpm
from wire import Pairs, cbor, uncbor_at

HASH = {0x0004: hashlib.sha1, 0x000b: hashlib.sha256, 0x000c: hashlib.sha384, 0x000d: hashlib.sha512}


def setup(lab):
	lab.up(tpms=2)
	lab.h = lab.host(0)
	lab.h.enrol()
	lab.h.approve()
	lab.make_world(lab.h)
	lab.h.attest()
	lab.r = Rogue(lab, 1).join()
	lab.r.must_pass()


def host_tasks(h, size):
	"""What `run` of short tasks leaves in TPM and log, without the hours that they take."""
	path, = glob.glob(os.path.join(h.state, "workload-*.cel"))
	image = bytes.fromhex(h.lab.image["digest"]), bytes.fromhex(h.lab.image["config_digest"])
	with open(os.path.join(h.state, "lock")) as lock, open(path, "r+b") as f, Tpm(h.lab.tpm_socket(h.index)) as t:
		fcntl.flock(lock, fcntl.LOCK_EX)
		log, off, number = f.read(), 0, 0
		while off < len(log):
			rec, off = uncbor_at(log, off)
			number += 1
		banks = sorted(rec[3])
		while size > 0:
			instance, name = os.urandom(16), b"\0\x0b" + os.urandom(32)
			for content in event_start(instance, "agent", image, h.lab.model, name), event_end(instance):
				measured = b"assay workload v1\0" + struct.pack(">I", CONTENT_TYPE) + content
				digests = [(alg, HASH[alg](measured).digest()) for alg in banks]
				t.cmd(0x182, [WORKLOAD_PCR], struct.pack(">I", len(digests)) +
				      b"".join(struct.pack(">H", alg) + d for alg, d in digests), [None])
				rec = cbor({0: number, 1: WORKLOAD_PCR, 3: Pairs(digests), CONTENT_TYPE: content})
				f.write(rec)
				number += 1
				size -= len(rec)
	return number


def n_parts(lab):
	return L.read_text(lab.log).count("incomplete")


def test_W1_long_log(lab):
	"""A host that was away for long, and one of which everything is asked for again, is verified in parts."""
	with lab.h.start() as agent:
		lab.h.attest()
		before = n_parts(lab)
		records = host_tasks(lab.h, LOG_PART + LOG_PART // 4)
		equal(lab.h.attest()["state"], "VERIFIED", "state after a long time")
		equal(n_parts(lab) - before, 1, "parts that were not the last one")
		equal(lab.h.json("status")["log"]["records"], records, "records of the log")
		check(os.path.exists(os.path.join(lab.h.state, "workload.mark")), "no mark in the log")
		lab.h.token(agent.instance)
		lab.approve("image", "img", "--layout", lab.path("img"))
		equal(lab.h.attest()["state"], "VERIFIED", "state under other reference values")
		equal(n_parts(lab) - before, 2, "parts that were not the last one")
		lab.h.token(agent.instance)
	equal(lab.h.attest()["state"], "VERIFIED", "state afterwards")
	equal(n_parts(lab) - before, 2, "parts that were not the last one")


def first_part(r):
	reply = r.attest()
	equal((reply.status, reply.json()["incomplete"], reply.json()["results"]), (200, True, []), "answer to a part: %r" % reply)
	check("expires" not in reply.json(), "a part has a verdict")


def long_boot(lab):
	r = lab.r
	r.reboot()
	passed(r.attest())
	lab.approve("model", "mdl", "--path", lab.path("mdl"), "--version-name", "1") # everything is asked for
	instance = r.start()
	r.tasks(LOG_PART)
	return r, instance


def test_W1_part_is_no_verdict(lab):
	"""Parts alone give no token; the last one does."""
	r, instance = long_boot(lab)
	first_part(r)
	no_token(lab, r.keys[instance], "invalid_grant")
	equal(r.challenge()["boot_known"], False, "boot known")
	lab.restart_verifier()
	passed(r.attest())
	get_token(lab, r.keys[instance])


def test_W1_altered_in_the_first_part(lab):
	"""A record that was never extended: found at the end, and then nothing of the log is kept."""
	r, instance = long_boot(lab)
	true = r.log
	contents = r.contents()
	contents[2] = event_start(os.urandom(16), "agent", *[[os.urandom(32), os.urandom(32)]] * 2, b"\0\x0b" + os.urandom(32))
	contents[3] = event_end(uncbor_at(contents[2], 0)[0][2])
	r.log = b"".join(record(i, c) for i, c in enumerate(contents))
	equal(len(r.log), len(true), "size of the log")
	first_part(r)
	failed_check(r.attest(), "W1")
	no_token(lab, r.keys[instance], "invalid_grant")
	equal(r.challenge()["log_offset"], 0, "position afterwards")
	r.log = true
	first_part(r)
	passed(r.attest())
	get_token(lab, r.keys[instance])


def test_W_offset_part_out_of_order(lab):
	"""A part that is not the next one changes nothing, one under a wrong name fails, and a part of another boot is over."""
	r, instance = long_boot(lab)
	first_part(r)
	challenge = r.challenge()
	with lab.unchanged():
		refused(r.attest(dict(challenge, log_offset=challenge["log_offset"] + 1)), 409, "E_AUTH_RETRY", check="W-offset")
	ev = r.collect()
	ev.log = r.log[:LOG_PART]
	failed_check(lab.post_evidence(ev.encode()), "W-order")
	equal(r.challenge()["log_offset"], 0, "position afterwards")
	first_part(r)
	challenge = r.challenge()
	r.reboot()
	equal(r.challenge()["log_offset"], 0, "position in a new boot")
	position = {k: challenge[k] for k in ("log_offset", "log_records", "log_pcr")}
	failed_check(r.attest(dict(r.challenge(), **position)), "R2", state="FAILED")
	passed(r.attest())


if __name__ == "__main__":
	sys.exit(L.main(setup))
