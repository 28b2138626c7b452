#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The verifier's clock: stepped back, stepped forward. Needs libfaketime, which sanitizers do not bear."""
import glob
import os
import sys
import time

sys.dont_write_bytecode = True

import lab as L
from lab import check, equal, failed_check, oauth_error, passed, refused
from rogue import Rogue
from wire import b64u, dpop, unb64u

URL = L.RESOURCE + "/things"


def setup(lab):
	libraries = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
	if not libraries:
		raise L.Skip("libfaketime is not installed")
	lab.clock = lab.path("clock")
	step(lab, 0)
	lab.verifier_env = {"LD_PRELOAD": libraries[0], "FAKETIME_TIMESTAMP_FILE": lab.clock, "FAKETIME_NO_CACHE": "1",
			    "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}
	lab.up(tpms=1)
	lab.r = Rogue(lab, 0).join()
	lab.make_world(lab.r)
	lab.r.start()
	lab.r.must_pass()
	lab.key = next(iter(lab.r.keys.values()))
	lab.api = L.Resource(lab)


def step(lab, seconds):
	new = lab.clock + ".new"
	with open(new, "w") as f:
		f.write("%+d\n" % seconds)
	os.rename(new, lab.clock)
	lab.offset = seconds


def server_time(lab):
	"""The time in a nonce that the verifier makes now."""
	return int.from_bytes(unb64u(lab.r.challenge()["nonce"])[1:9], "big")


def proof(lab, token, **k):
	return dpop(lab.key, "GET", URL, token=token, iat=int(time.time()) + lab.offset, **k)


def test_the_verifier_sees_our_clock(lab):
	"""Without this the cases below would prove nothing."""
	step(lab, 30)
	check(abs(server_time(lab) - time.time() - 30) < 3, "the verifier's clock cannot be moved")
	step(lab, 0)


def test_T32_clock_a_little_back(lab):
	"""Half a minute is what clocks do: everything goes on, and a nonce that was used stays used."""
	challenge = lab.r.challenge()
	first, second = lab.r.collect(challenge).encode(), lab.r.collect(challenge).encode()
	passed(lab.post_evidence(first))
	step(lab, -3)
	refused(lab.post_evidence(second), 403, "E_AUTH_NONCE")
	step(lab, -30)
	token = ask_token(lab).json()["access_token"]
	equal(lab.api.ask(token, proof(lab, token)).json().get("active"), True, "token")
	step(lab, 0)


def everything_refuses(lab, token, challenge):
	with lab.unchanged(), lab.client() as c:
		refused(c.post("/v1/challenge", {"host": lab.r.id, "boot": b64u(bytes(32))}), 503, "E_LOCAL_CLOCK")
		refused(lab.r.attest(challenge), 503, "E_LOCAL_CLOCK")
		refused(c.post("/v1/enrol", lab.r.enrol_request()), 503, "E_LOCAL_CLOCK")
		r = c.form("/v1/token", L.token_form(), headers=[("DPoP", dpop(lab.key, "POST", lab.issuer + "/v1/token"))])
		check(r.status == 503 and "access_token" not in r.json(), "token: %r" % r)
		r = lab.api.ask(token, proof(lab, token))
		check(r.status == 503 and "active" not in r.json(), "introspection: %r" % r)
	equal(lab.approve("image", "late", "--digest", "22" * 32, status=None).returncode, 3, "a document")


def test_T32_clock_an_hour_back(lab):
	"""Nothing is decided until it is right again; also not by a verifier that starts meanwhile. Revoking still works."""
	passed(lab.r.attest())
	token, other = (L.get_token(lab, lab.key)["access_token"] for _ in range(2))
	challenge = lab.r.challenge()
	step(lab, -3600)
	everything_refuses(lab, token, challenge)
	lab.stop_verifier()
	lab.start_verifier()
	everything_refuses(lab, token, challenge)
	with lab.client() as c:
		r = c.form("/v1/revoke", {"token": other}, headers=[L.basic(lab.api.name, lab.api.secret)])
		equal(r.status, 200, "revocation")
	step(lab, 0)
	passed(lab.r.attest())
	equal(lab.api.ask(token, proof(lab, token)).json().get("active"), True, "the token lives on")
	lab.api.inactive(other, proof(lab, other))


def test_T32_expired_nonce_does_not_come_back(lab):
	"""Used, expired, forgotten; then the clock goes back to when it was live: still refused."""
	challenge = lab.r.challenge()
	first, second = lab.r.collect(challenge).encode(), lab.r.collect(challenge).encode()
	passed(lab.post_evidence(first))
	for seconds in (200, 400):
		step(lab, seconds)
		passed(lab.r.attest())
	step(lab, 345)
	r = lab.post_evidence(second)
	check(r.status in (403, 409, 503), "an old nonce: %r" % r)
	refused(r, r.status)
	step(lab, 10)
	r = lab.post_evidence(second)
	check(r.status in (403, 409, 503), "an old nonce: %r" % r)
	refused(r, r.status)
	step(lab, 400)


def test_V2_verdict_ends_when_it_is_read(lab):
	"""Past its life: STALE, tokens inactive, none issued; a restart does not extend it."""
	base = lab.offset
	passed(lab.r.attest())
	token = ask_token(lab, expected_s=240).json()["access_token"]
	equal(lab.host_list()[lab.r.id]["status"], "VERIFIED", "status")
	life = lab.db("SELECT verdict_expires - verdict FROM host_state WHERE host = ?", lab.r.id)[0][0]
	equal(life, 300, "life of a verdict")
	for restart in (False, True):
		step(lab, base + life + 2)
		if restart:
			lab.restart_verifier()
		equal(lab.host_list()[lab.r.id]["status"], "STALE", "status")
		lab.api.inactive(token, proof(lab, token))
		r = ask_token(lab)
		oauth_error(r, 400, "invalid_grant")
		check("expired" in r.json()["error_description"] or "attest" in r.json()["error_description"], "%r" % r)
	passed(lab.r.attest())
	equal(lab.host_list()[lab.r.id]["status"], "VERIFIED", "status after a new verdict")


def ask_token(lab, **form):
	"""As lab.token_request, with proofs in the verifier's time."""
	url = lab.issuer + "/v1/token"

	def p(**k):
		return [("DPoP", dpop(lab.key, "POST", url, iat=int(time.time()) + lab.offset, **k))]
	with lab.client() as c:
		nonce = c.form("/v1/token", L.token_form(), headers=p()).headers["DPoP-Nonce"]
		return c.form("/v1/token", L.token_form(**form), headers=p(nonce=nonce))


def test_P4_document_that_expired(lab):
	"""An approval past its end holds no longer, without anybody doing anything."""
	base = lab.offset
	lab.ctl("approve", "model", "mdl2", "--key", lab.path("op.key"), "--owner", L.OWNER, "--expires", "1h", "--digest",
		"33" * 32, "--version-name", "2")
	passed(lab.r.attest())
	step(lab, base + 86400 + 7200)
	failed_check(lab.r.attest(), "N7")
	r = ask_token(lab)
	oauth_error(r, 400, "invalid_grant")


if __name__ == "__main__":
	sys.exit(L.main(setup))
