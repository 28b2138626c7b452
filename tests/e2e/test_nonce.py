#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Nonces: each works once, for one host, for one purpose, for 60 seconds."""
import sys
import threading
import time

sys.dont_write_bytecode = True

import lab as L
from lab import check, equal, passed, refused
from rogue import CLAIM, Rogue
from wire import SoftKey, b64u, unb64u

LIFE_S = 60


def setup(lab):
	lab.up(tpms=2)
	lab.a, lab.b = Rogue(lab, 0).join(), Rogue(lab, 1).join()
	lab.make_world(lab.a)
	lab.a.must_pass()
	lab.b.must_pass()
	# Ages while the other cases run.
	lab.old = lab.a.challenge()


def test_L1_nonces_differ_and_cost_no_memory(lab):
	"""Three hundred challenges: all nonces differ, and nothing is stored for them."""
	with lab.unchanged(), lab.client() as c:
		seen = {c.post("/v1/challenge", {"host": lab.a.id, "boot": b64u(bytes(32))}).json()["nonce"]
			for _ in range(300)}
	equal(len(seen), 300, "nonces that differ")


def test_L1_unknown_host_gets_a_challenge_like_any_other(lab):
	"""Whether a host is enrolled cannot be read from the answer."""
	with lab.unchanged(), lab.client() as c:
		known = c.post("/v1/challenge", {"host": lab.a.id, "boot": b64u(bytes(32))})
		unknown = c.post("/v1/challenge", {"host": "h-" + "0" * 32, "boot": b64u(bytes(32))})
	equal(unknown.status, known.status, "status")
	k, u = known.json(), unknown.json()
	check(k.pop("nonce") != u.pop("nonce"), "nonces are the same")
	equal(u, k, "challenge of an unknown host")


def test_L1_same_evidence_again(lab):
	"""Evidence that passed is refused when it comes again, and the verdict stays."""
	evidence = lab.a.collect().encode()
	passed(lab.post_evidence(evidence))
	with lab.unchanged():
		refused(lab.post_evidence(evidence), 403, "E_AUTH_NONCE", check="L1")


def test_L1_same_nonce_under_a_new_quote(lab):
	"""A second, later quote over a nonce that was used is refused because of the nonce."""
	challenge = lab.a.challenge()
	first = lab.a.collect(challenge).encode()
	second = lab.a.collect(challenge).encode()
	passed(lab.post_evidence(first))
	with lab.unchanged():
		refused(lab.post_evidence(second), 403, "E_AUTH_NONCE", check="L1")


def test_L1_nonce_of_a_failed_verdict_is_used_up(lab):
	"""A nonce that gave a verdict FAILED does not give another one."""
	def lie(claims):
		claims[CLAIM["instances"]] = [[b"i" * 16, b"\0\x0b" + bytes(32)]]
	# After a failure the verifier asks for everything, before and after the next one.
	L.failed_check(lab.a.attest(claims=lie), "W6")
	challenge = lab.a.challenge()
	first = lab.a.collect(challenge, claims=lie).encode()
	second = lab.a.collect(challenge).encode()
	L.failed_check(lab.post_evidence(first), "W6")
	with lab.unchanged():
		refused(lab.post_evidence(second), 403, "E_AUTH_NONCE", check="L1")
	lab.a.must_pass()


def test_L1_nonce_of_another_host(lab):
	"""A nonce made for host A is refused from host B, and A can still use it."""
	challenge = lab.a.challenge()
	with lab.unchanged():
		refused(lab.b.attest(challenge), 403, check="L1")
	passed(lab.a.attest(challenge))


def test_L1_nonce_that_we_never_made(lab):
	"""Each part of a nonce is covered: version, time, random bytes, MAC."""
	for at in (0, 8, 20, 56):
		challenge = lab.a.challenge()
		nonce = bytearray(unb64u(challenge["nonce"]))
		nonce[at] ^= 1
		challenge["nonce"] = b64u(bytes(nonce))
		with lab.unchanged():
			refused(lab.a.attest(challenge), 403, check="L1")


def test_L1_nonce_for_another_purpose(lab):
	"""A DPoP nonce does not work in evidence."""
	with lab.client() as c:
		nonce = L.dpop_nonce(c, lab.issuer, SoftKey())
	with lab.unchanged():
		refused(lab.a.attest(dict(lab.a.challenge(), nonce=nonce)), 403, check="L1")


def test_L1_nonce_from_before_a_new_document(lab):
	"""A nonce is bound to the reference values: after an operator's document the host asks again."""
	challenge = lab.a.challenge()
	lab.approve("image", "other", "--digest", "ab" * 32)
	with lab.unchanged():
		refused(lab.a.attest(challenge), 403, check="L1")
	lab.a.must_pass()


def test_L1_claims_for_another_verifier(lab):
	"""Evidence that was made for another verifier's URL is refused (relay)."""
	def elsewhere(claims):
		claims[CLAIM["issuer"]] = "https://verifier.example"
	challenge = lab.a.challenge()
	with lab.unchanged():
		refused(lab.a.attest(challenge, claims=elsewhere), 403, check="L2")
	passed(lab.a.attest(challenge))


def test_T19_two_hundred_parallel_uses_of_one_nonce(lab):
	"""The same evidence on 200 connections at once: one wins, 199 are refused, one verdict is stored."""
	evidence = lab.a.collect().encode()
	used = lab.db("SELECT count(*) FROM once")[0][0]
	clients = [lab.client() for _ in range(200)]
	for c in clients:
		c.c.connect()
	start, replies, errors = threading.Barrier(len(clients)), [], []

	def use(client):
		start.wait()
		try:
			replies.append(client.post("/v1/attest", evidence, L.MEDIA_EVIDENCE))
		except OSError as e:
			errors.append(e)
	threads = [threading.Thread(target=use, args=(c,)) for c in clients]
	for t in threads:
		t.start()
	for t in threads:
		t.join()
	for c in clients:
		c.close()
	equal(errors, [], "connections that broke")
	won = [r for r in replies if r.status == 200]
	equal(len(won), 1, "uses that won")
	passed(won[0])
	for r in replies:
		if r is not won[0]:
			refused(r, 403, "E_AUTH_NONCE", check="L1")
	equal(lab.db("SELECT count(*) FROM once")[0][0], used + 1, "nonces used")


def test_L1_nonce_survives_no_restart_trick(lab):
	"""A nonce that was used stays used when the verifier starts again; one that was not still works."""
	used, fresh = lab.a.challenge(), lab.a.challenge()
	passed(lab.a.attest(used))
	late = lab.a.collect(used).encode()
	lab.restart_verifier()
	refused(lab.post_evidence(late), 403, "E_AUTH_NONCE", check="L1")
	passed(lab.a.attest(fresh))


def test_L1_nonce_expired(lab):
	"""60 seconds after it was made, a nonce that was never used is refused."""
	made = int.from_bytes(unb64u(lab.old["nonce"])[1:9], "big")
	L.wait_for("the nonce's end", lambda: time.time() > made + LIFE_S + 1, LIFE_S + 10)
	with lab.unchanged():
		refused(lab.a.attest(dict(lab.a.challenge(), nonce=lab.old["nonce"])), 403, check="L1")


if __name__ == "__main__":
	sys.exit(L.main(setup))
