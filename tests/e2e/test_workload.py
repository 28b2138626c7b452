#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The workload log, the keys in it and the approvals of what it names: one deviation at a time, on a real TPM."""
import json
import os
import sys

sys.dont_write_bytecode = True

import lab as L
import tpm
from lab import check, equal, failed_check, passed, refused
from rogue import CLAIM, WORKLOAD_PCR, Rogue, content_digest, event_begin, event_end, event_resume, image_digests, record


def setup(lab):
	lab.up(tpms=2)
	lab.a, lab.b = Rogue(lab, 0).join(), Rogue(lab, 1).join()
	lab.make_world(lab.a)
	lab.a.must_pass()
	lab.b.must_pass()


def log_fails(lab, check_id, spoil):
	"""spoil(rogue) in a fresh boot; the verdict names the check, and the next boot is good again."""
	r = lab.a
	r.reboot()
	r.start()
	spoil(r)
	failed_check(r.attest(), check_id)
	r.reboot()
	passed(r.attest())


def rewrite(r, records):
	r.log = b"".join(records)


# ---- log against register

def test_W1_event_missing_from_the_log(lab):
	def spoil(r):
		r.append(r.start_event(r.new_key()), log=False)
	log_fails(lab, "W1", spoil)


def test_W1_event_missing_in_the_middle(lab):
	def spoil(r):
		r.start()
		c = r.contents()
		rewrite(r, [record(i, x) for i, x in enumerate([c[0], c[2]])])
	log_fails(lab, "W1", spoil)


def test_W1_event_added(lab):
	"""Before the end of what the register covers."""
	def spoil(r):
		c = r.contents()
		c.insert(1, r.start_event(r.new_key()))
		rewrite(r, [record(i, x) for i, x in enumerate(c)])
	log_fails(lab, "W1", spoil)


def test_L6_event_behind_the_quote_is_not_trusted(lab):
	"""What lies behind the quoted register passes as what it is: nothing."""
	r = lab.a
	r.reboot()
	instance = r.new_key()
	key = r.keys.pop(instance)
	log = r.log
	r.keys[instance] = key
	content = r.start_event(instance)
	del r.keys[instance]
	r.log += record(r.n_records, content)
	equal(passed(r.attest())["results"][0]["instance"], "", "the only result is the host's")
	equal(lab.db("SELECT count(*) FROM instance WHERE host = ?", r.id)[0][0], 0, "instances")
	r.log = log
	passed(r.attest())


def test_W1_events_reordered(lab):
	def spoil(r):
		r.start()
		c = r.contents()
		rewrite(r, [record(i, x) for i, x in enumerate([c[0], c[2], c[1]])])
	log_fails(lab, "W1", spoil)


def test_W1_event_changed(lab):
	"""Another image, another key, other arguments: with the digest made anew, and with the old digest."""
	for new_digest in (True, False):
		def spoil(r):
			c = r.contents()
			old = content_digest(c[1])
			changed = c[1].replace(bytes.fromhex(lab.image["digest"]), b"\x5a" * 32)
			check(changed != c[1], "nothing was changed")
			rewrite(r, [record(0, c[0]), record(1, changed, digest=None if new_digest else old)])
		log_fails(lab, "W1", spoil)


def test_W1_event_extended_twice(lab):
	def spoil(r):
		r.append(r.contents()[1], log=False)
	log_fails(lab, "W1", spoil)


def test_W_once_event_twice_in_register_and_log(lab):
	def spoil(r):
		r.append(r.contents()[1])
	log_fails(lab, "W-once", spoil)


def test_W_once_start_after_the_end(lab):
	"""Nothing is accepted from an instance or a key after its end: the same again, and the key under another id."""
	for other_id in (False, True):
		def spoil(r):
			instance = next(iter(r.keys))
			key = r.keys[instance]
			r.end(instance)
			passed(r.attest())
			again = os.urandom(16) if other_id else instance
			r.keys[again] = key
			r.append(r.start_event(again))
		log_fails(lab, "W-once", spoil)


def test_W_once_two_instances_with_one_key(lab):
	def spoil(r):
		instance = os.urandom(16)
		r.keys[instance] = next(iter(r.keys.values()))
		r.append(r.start_event(instance))
	log_fails(lab, "W-once", spoil)


def test_W_once_end_of_what_never_began(lab):
	log_fails(lab, "W-once", lambda r: r.append(event_end(os.urandom(16))))


def test_W_begin_twice(lab):
	log_fails(lab, "W-begin", lambda r: r.append(event_begin()))


def test_W_begin_missing(lab):
	r = lab.a
	r.reboot(begin=False)
	r.start()
	failed_check(r.attest(), "W-begin")
	r.reboot()
	passed(r.attest())


def test_W_begin_on_a_register_that_was_used(lab):
	"""A value that nobody approved, told honestly and not; an approval of exactly this value explains it."""
	r = lab.a
	for honest in (False, True):
		r.reboot(begin=False)
		with r.tpm() as t:
			t.extend(WORKLOAD_PCR, b"x" * 32)
			before = t.pcrs(tpm.SHA256, 1 << WORKLOAD_PCR)[0]
		r.append(event_begin(before if honest else bytes(32)))
		failed_check(r.attest(), "W-begin" if honest else "W1")
	lab.approve("platform", "before", "--from", r.id, "--pcrs", "0-7", "--workload-pcr-before", before.hex())
	passed(r.attest())
	lab.withdraw("platform", "before")
	failed_check(r.attest(), "W-begin")
	r.reboot()
	passed(r.attest())


def test_W_order_numbers_and_registers(lab):
	"""They lie outside the digest: a gap, a repetition, another register."""
	def renumber(numbers, pcr=WORKLOAD_PCR):
		def spoil(r):
			rewrite(r, [record(n, c, pcr=pcr) for n, c in zip(numbers, r.contents())])
		return spoil
	for numbers in ((0, 2), (1, 2), (0, 0)):
		log_fails(lab, "W-order", renumber(numbers))
	log_fails(lab, "W-order", renumber((0, 1), pcr=12))


def test_W_resume_that_never_was(lab):
	log_fails(lab, "W-resume", lambda r: r.append(event_resume(7)))


def test_W_offset_of_a_log_that_we_do_not_know(lab):
	"""Offset, count and register value are one thing; the whole log from the beginning is always welcome."""
	r = lab.a
	r.start()
	passed(r.attest())
	for change in ({"log_records": 1}, {"log_pcr": bytes(32)}, {"log_offset": 10}):
		challenge = r.challenge()
		check(challenge["log_offset"] > 0, "the verifier stands at the beginning: %r" % challenge)
		with lab.unchanged():
			refused(r.attest(challenge, claims=lambda c: c.update({CLAIM[k]: v for k, v in change.items()})), 409,
				"E_AUTH_RETRY", check="W-offset")
		passed(r.attest())
	from_zero = {CLAIM["log_offset"]: 0, CLAIM["log_records"]: 0, CLAIM["log_pcr"]: b""}
	ev = r.collect(claims=lambda c: c.update(from_zero))
	check(ev.log != r.log, "nothing was left out")
	failed_check(lab.post_evidence(ev.encode()), "W1")
	passed(r.attest())
	ev = r.collect(claims=lambda c: c.update(from_zero), present_all=True)
	ev.log = r.log
	passed(lab.post_evidence(ev.encode()))


def test_W6_claims_present_what_the_log_does_not(lab):
	"""An instance more, one less, another key for one."""
	r = lab.a
	if not r.keys:
		r.start()
	passed(r.attest())

	def more(c):
		c[CLAIM["instances"]] = sorted(c[CLAIM["instances"]] + [[os.urandom(16), b"\0\x0b" + bytes(32)]])

	def none(c):
		c[CLAIM["instances"]] = []

	def other(c):
		c[CLAIM["instances"]][0][1] = b"\0\x0b" + bytes(32)
	for hook in (more, none, other):
		failed_check(r.attest(claims=hook), "W6")
		passed(r.attest())


def test_W1_bad_event_is_not_laundered_by_the_next_delta(lab):
	"""After a failure the verifier wants the whole log again, so what failed fails again."""
	r = lab.a
	r.reboot()
	r.start()
	passed(r.attest())
	bad = r.start(image=(b"\1" * 32, b"\2" * 32))
	for _ in range(2):
		failed_check(r.attest(), "W4")
		equal(r.challenge()["log_offset"], 0, "offset after a failure")
	r.append(event_end(bad))
	key = r.keys.pop(bad)
	failed_check(r.attest(), "W4")
	check(key is not None, "key")
	r.reboot()
	passed(r.attest())


# ---- keys

def key_fails(lab, check_id, template=None, **hooks):
	"""A measured instance with a key that is not as it must be."""
	r = lab.b
	instance = r.start(template=template)
	with L_no_credential(lab):
		failed_check(r.attest(**hooks), check_id)
		L.no_token(lab, r.keys[instance], "invalid_grant") if template is None else None
	r.end(instance)
	r.reboot()
	passed(r.attest())


class L_no_credential:
	def __init__(self, lab):
		self.lab = lab

	def __enter__(self):
		self.n = self.lab.db("SELECT count(*) FROM credential")[0][0]

	def __exit__(self, kind, *_):
		if kind is None:
			equal(self.lab.db("SELECT count(*) FROM credential")[0][0], self.n, "credentials")


def test_C_key_not_certified(lab):
	key_fails(lab, "C-key", certify=False)


def test_C1_certified_by_another_key(lab):
	def certify(t, ak, k, q):
		ak.flush()
		other = t.create_primary(tpm.ENDORSEMENT, tpm.signing(unique=b"second"))
		ak.handle = other.handle
		return t.certify(other, k, q)
	key_fails(lab, "C1", certify=certify)


def test_C5_certified_for_another_nonce(lab):
	key_fails(lab, "C5", certify=lambda t, ak, k, q: t.certify(ak, k, bytes(32)))
	key_fails(lab, "C5", certify=lambda t, ak, k, q: t.certify(ak, k, q[:-1]))
	key_fails(lab, "C5", certify=lambda t, ak, k, q: t.certify(ak, k, b""))


def test_C5_certification_of_an_earlier_challenge(lab):
	r = lab.b
	instance = r.start()
	old = r.collect()
	ev = r.collect()
	ev.keys = old.keys
	failed_check(lab.post_evidence(ev.encode()), "C5")
	r.end(instance)
	passed(r.attest())


def test_C2_public_area_of_another_key(lab):
	"""The certification is of the measured key, the public area is a key of the thief."""
	r = lab.b
	instance = r.start()
	ev = r.collect()
	mine = r.keys[r.new_key()]
	r.keys = {instance: r.keys[instance]}
	ev.keys[0][1] = mine.public
	failed_check(lab.post_evidence(ev.encode()), "C-log")
	r.end(instance)
	passed(r.attest())


def test_C2_certification_of_another_key(lab):
	"""The public area is the measured one, the certification is of the thief's."""
	r = lab.b
	instance = r.start()
	thief = r.keys[r.new_key()]
	r.keys = {instance: r.keys[instance]}

	def certify(t, ak, k, q):
		k.flush()
		other = thief.load(t)
		k.handle = other.handle
		return t.certify(ak, other, q)
	failed_check(r.attest(certify=certify), "C2")
	r.end(instance)
	passed(r.attest())


def test_C3_key_that_can_be_exported(lab):
	key_fails(lab, "C3", tpm.signing(tpm.WK_ATTRIBUTES & ~(tpm.FIXED_TPM | tpm.FIXED_PARENT)))


def test_C3_key_with_decrypt_or_restricted(lab):
	key_fails(lab, "C3", tpm.signing(tpm.WK_ATTRIBUTES | tpm.RESTRICTED))
	key_fails(lab, "C4", tpm.signing(tpm.WK_ATTRIBUTES | tpm.DECRYPT, scheme=tpm.ALG_NULL))


def test_C4_other_curve_scheme_or_algorithm(lab):
	key_fails(lab, "C4", tpm.signing(tpm.WK_ATTRIBUTES, curve=4, scheme_hash=tpm.SHA384))
	key_fails(lab, "C4", tpm.signing(tpm.WK_ATTRIBUTES, scheme=tpm.ALG_NULL))
	key_fails(lab, "C4", tpm.signing(tpm.WK_ATTRIBUTES, scheme_hash=tpm.SHA384))


def test_C_parent_key_that_survives_a_reset(lab):
	"""A child of the owner hierarchy's primary is as good a key, but it does not show the boot."""
	r = lab.b
	instance = os.urandom(16)
	with r.tpm() as t:
		parent = t.create_primary(tpm.OWNER, tpm.storage())
		k = t.create(parent, tpm.signing(tpm.WK_ATTRIBUTES))

	class OwnerKey:
		public, name = k.public, k.name

		@staticmethod
		def load(t):
			p = t.create_primary(tpm.OWNER, tpm.storage())
			key = t.load(p, k.private, k.public)
			p.flush()
			return key
	r.keys[instance] = OwnerKey
	r.append(r.start_event(instance))
	failed_check(r.attest(), "C-parent")
	r.end(instance)
	passed(r.attest())


def test_C7_certified_key_that_no_event_names(lab):
	r = lab.b
	instance = r.new_key()
	failed_check(r.attest(claims=lambda c: c.update({CLAIM["instances"]: []})), "C-log")
	del r.keys[instance]
	passed(r.attest())


# ---- approvals

def approval_fails(lab, check_id, **k):
	r = lab.a
	r.reboot()
	r.start(**k)
	failed_check(r.attest(), check_id)
	r.reboot()
	passed(r.attest())


def test_W4_image_that_nobody_approved(lab):
	approval_fails(lab, "W4", image=(b"\1" * 32, bytes.fromhex(lab.image["config_digest"])))


def test_W5_model_that_nobody_approved(lab):
	approval_fails(lab, "W5", model=(b"\1" * 32, lab.model[1]))


def test_P_agent_unknown_or_with_another_image(lab):
	approval_fails(lab, "P-agent", agent="nobody")
	lab.approve("image", "other", "--digest", "ab" * 32)
	approval_fails(lab, "P-agent", image=(b"\xab" * 32, b"\xcd" * 32))


def test_W7_changed_while_it_ran(lab):
	"""The host itself says that the model is no longer what was started."""
	r = lab.a
	r.reboot()
	instance = r.start()
	passed(r.attest())
	t = L.get_token(lab, r.keys[instance])
	check(t["access_token"], "token")
	r.changed(instance, model=(b"\7" * 32, b"\7" * 32))
	failed_check(r.attest(), "W7")
	L.no_token(lab, r.keys[instance], "invalid_grant")
	r.reboot()
	passed(r.attest())


# ---- containers

POLICY, OTHER_POLICY = b"\xc1" * 32, b"\xc2" * 32


class Boxed:
	"""
	Images whose layers hold something, approved with their roots: "boxed", and "crate" with another root. The agent
	"boxed" may run them as it likes, "caged" only in a container under POLICY.
	"""

	def __init__(self, lab):
		self.images, self.roots = {}, {}
		for name in ("boxed", "crate"):
			layout = lab.path(name)
			os.makedirs(layout, exist_ok=True)
			self.images[name] = image_digests(L.make_image(layout, name.encode(),
				layer=L.layer_of({"agent.py": b"print(%r)\n" % name})))
			lab.approve("image", name, "--layout", layout, "--rootfs")
			p = lab.run(lab.program("FIRMWARE_MEASURE"), "image", "--json", layout)
			self.roots[name] = bytes.fromhex(json.loads(p.stdout)["rootfs"])
		images = "--image", "boxed", "--image", "crate"
		lab.approve_agent("boxed", *images)
		lab.approve_agent("caged", *images, "--container-policy", POLICY.hex())

	def container(self, root="boxed", policy=POLICY):
		return self.roots[root], policy


def boxed(lab):
	if not hasattr(lab, "boxed"):
		lab.boxed = Boxed(lab)
	return lab.boxed


def container_fails(lab, check_id, agent="boxed", image="boxed", container=None):
	"""One instance beside a good one; gives the failure."""
	r, b = lab.a, boxed(lab)
	r.reboot()
	r.start()
	r.start(agent, b.images.get(image), container=container)
	with L_no_credential(lab):
		f = failed_check(r.attest(), check_id)
	r.reboot()
	passed(r.attest())
	return f


def test_W_root_approved(lab):
	"""The root that the layers make, under any policy where the agent's document asks for none."""
	r, b = lab.a, boxed(lab)
	r.reboot()
	instance = r.start("boxed", b.images["boxed"], container=b.container())
	other = r.start("caged", b.images["crate"], container=b.container("crate"))
	reply = passed(r.attest())
	att = lab.open_jws(L.get_token(lab, r.keys[instance])["access_token"])[1]["att"]
	equal((att["rootfs_digest"], att["container_policy"]), ("sha256:" + b.roots["boxed"].hex(), "sha256:" + POLICY.hex()),
	      "what the token says of the container")
	listed = {x["instance"]: x for x in lab.ctl("agents")}[instance.hex()]
	equal((listed["rootfs"], listed["container_policy"]), (b.roots["boxed"].hex(), POLICY.hex()), "what is listed")
	claims = {x["instance"]: lab.open_jws(x["ear"])[1]["submods"]["container"] for x in reply["results"]}
	equal(claims[instance.hex()]["ear_trustworthiness_vector"]["file-system"], 2, "file system of the container")
	check("configuration" not in claims[instance.hex()]["ear_trustworthiness_vector"], "nobody approved a policy")
	equal(claims[other.hex()]["ear_trustworthiness_vector"]["configuration"], 2, "configuration of the container")
	shown = {x["instance"]: x for x in lab.explain(r.id)["instances"]}[instance.hex()]
	equal((shown["rootfs"], shown["container_policy"]), (b.roots["boxed"].hex(), POLICY.hex()), "what is explained")
	text = lab.run(lab.program("ASSAYCTL"), "explain", "--socket", lab.socket, r.id).stdout
	check("root      " + b.roots["boxed"].hex() in text and "policy    " + POLICY.hex() in text, "not told: %s" % text)
	# And without anything new in the log.
	passed(r.attest())


def test_W_root_of_nobody(lab):
	f = container_fails(lab, "W-root", container=(b"\5" * 32, POLICY))
	check("05" * 32 in f["seen"] and boxed(lab).roots["boxed"].hex() in f["expected"], "root not named: %r" % f)


def test_W_root_of_another_image(lab):
	"""Approved, but in another document than the one that permits the manifest."""
	container_fails(lab, "W-root", container=boxed(lab).container("crate"))


def test_W_root_of_an_image_that_permits_no_containers(lab):
	"""Approved without --rootfs; the root of another document does not help."""
	for root in boxed(lab).roots.values():
		f = container_fails(lab, "W-root", image=None, container=(root, POLICY))
		check("assayctl approve image --rootfs" in f["expected"], "the way out is not named: %r" % f)


def test_W_root_after_the_end(lab):
	"""What ended in a root that nobody approved still counts in this boot."""
	r, b = lab.a, boxed(lab)
	r.reboot()
	r.end(r.start("boxed", b.images["boxed"], container=(b"\5" * 32, POLICY)))
	failed_check(r.attest(), "W-root")
	r.reboot()
	passed(r.attest())


def test_P_container_agent_outside_of_one(lab):
	"""A bare run of an agent whose document asks for a container: of the image, and of one without roots."""
	for image in ("boxed", None):
		f = container_fails(lab, "P-container", agent="caged", image=image)
		check(POLICY.hex() in f["expected"] and "no container" in f["seen"], "not named: %r" % f)


def test_P_container_under_another_policy(lab):
	f = container_fails(lab, "P-container", agent="caged", container=boxed(lab).container(policy=OTHER_POLICY))
	check(POLICY.hex() in f["expected"] and OTHER_POLICY.hex() in f["seen"], "not named: %r" % f)


def test_W_container_change_out_of_or_into_one(lab):
	"""A change that speaks of no container where the start did, and the other way round."""
	b = boxed(lab)
	for started, changed in ((b.container(), None), (None, b.container())):
		def spoil(r):
			instance = r.start("boxed", b.images["boxed"], container=started)
			passed(r.attest())
			r.changed(instance, b.images["boxed"], container=changed)
		log_fails(lab, "W-container", spoil)


def test_W7_root_or_policy_changed_while_it_ran(lab):
	"""To another approved one: it is not what was started, and what was given for it is dead."""
	r, b = lab.a, boxed(lab)
	for changed in (b.container("crate"), b.container(policy=OTHER_POLICY)):
		r.reboot()
		instance = r.start("boxed", b.images["boxed"], container=b.container())
		passed(r.attest())
		L.get_token(lab, r.keys[instance])
		r.changed(instance, b.images["boxed"], container=changed)
		failed_check(r.attest(), "W7")
		L.no_token(lab, r.keys[instance], "invalid_grant")
	r.reboot()
	passed(r.attest())


def test_W_root_withdrawn(lab):
	"""The document with the root decided, so its end is the end of what was given."""
	r, b = lab.a, boxed(lab)
	r.reboot()
	instance = r.start("boxed", b.images["crate"], container=b.container("crate"))
	passed(r.attest())
	L.get_token(lab, r.keys[instance])
	lab.withdraw("image", "crate")
	L.no_token(lab, r.keys[instance], "invalid_grant")
	failed_check(r.attest(), "W4")
	# The same manifest without its root is no more than before.
	lab.approve("image", "crate", "--layout", lab.path("crate"))
	failed_check(r.attest(), "W-root")
	lab.approve("image", "crate", "--layout", lab.path("crate"), "--rootfs")
	passed(r.attest())


# ---- platform

def test_P_platform_register_changed(lab):
	"""One register of the firmware's: FAILED, tokens dead; the next clean boot is good again."""
	r = lab.a
	r.reboot()
	instance = r.start()
	passed(r.attest())
	key = r.keys[instance]
	L.get_token(lab, key)
	lab.harness("extend", "--index", "0", "--pcr", "4", "--data", "evil boot loader")
	f = failed_check(r.attest(), "P-platform")
	check("4" in f["subject"] + f["seen"] + f["expected"], "the register is not named: %r" % f)
	L.no_token(lab, key, "invalid_grant")
	equal(lab.host_list()[r.id]["status"], "FAILED", "status")
	r.reboot()
	passed(r.attest())


def test_P1_registers_that_nobody_extended(lab):
	"""A platform whose registers all stand at their reset value compares nothing, though an operator approved it."""
	r = lab.b
	lab.harness("reset", "--index", "1")
	r.forget()
	r.begin()
	failed_check(r.attest(), "P-platform")
	lab.approve("platform", "bare", "--from", r.id, "--pcrs", "0-7")
	failed_check(r.attest(), "P1")
	lab.withdraw("platform", "bare")
	r.reboot()
	passed(r.attest())
	lab.a.must_pass()


def test_P5_vectors_are_never_mixed(lab):
	"""Half of the registers as in one approved vector, half as in another: no vector fits."""
	r = lab.b
	lab.harness("reset", "--index", "1")
	for pcr in range(8):
		lab.harness("extend", "--index", "1", "--pcr", str(pcr), "--data", "second firmware %d" % pcr)
	r.forget()
	r.begin()
	failed_check(r.attest(), "P-platform")
	lab.approve("platform", "second", "--from", r.id, "--pcrs", "0-7")
	passed(r.attest())
	lab.harness("reset", "--index", "1")
	with r.tpm() as t:
		for pcr in range(8):
			t.extend(pcr, tpm.sha256(b"firmware %d" % pcr if pcr < 4 else b"second firmware %d" % pcr))
	r.forget()
	r.begin()
	failed_check(r.attest(), "P-platform")
	lab.withdraw("platform", "second")
	r.reboot()
	passed(r.attest())


if __name__ == "__main__":
	sys.exit(L.main(setup))
