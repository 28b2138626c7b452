#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Credentials: who gets one, what is in it, and when it stops working."""
import json
import os
import sys
import threading
import time

sys.dont_write_bytecode = True

import lab as L
import wire
from lab import RESOURCE, Resource, check, equal, failed_check, get_token, no_token, oauth_error, passed
from rogue import Rogue
from wire import SoftKey, b64u, dpop, jws_open, thumbprint

URL = RESOURCE + "/things"


def setup(lab):
	lab.up(tpms=2)
	lab.a, lab.b = Rogue(lab, 0).join(), Rogue(lab, 1).join()
	lab.make_world(lab.a)
	lab.api = Resource(lab)
	lab.key = live(lab, lab.a)
	lab.other = live(lab, lab.b)


def live(lab, host):
	"""The key of a new instance with a live verdict."""
	instance = host.start()
	passed(host.attest())
	return host.keys[instance]


def token(lab, key=None, **k):
	return get_token(lab, key or lab.key, **k)["access_token"]


def works(lab, t, key=None):
	check(lab.api.active(key or lab.key, t), "a good token is inactive")


def dead(lab, t, key=None):
	check(lab.api.active(key or lab.key, t) is None, "the token still works")


def jti(t):
	return jws_open(t)[1]["jti"]


# ---- what is issued

def test_T6_access_token_is_what_it_says(lab):
	"""RFC 9068, bound to the certified key, with task, owner and digests; signed by the published key."""
	now = int(time.time())
	answer = get_token(lab, lab.key, task_id="task-42", expected_s=100, scope="write read")
	header, c = lab.open_jws(answer["access_token"])
	equal((header["typ"], header["alg"]), ("at+jwt", "ES256"), "header")
	equal(c["cnf"], {"jkt": thumbprint(lab.key.jwk())}, "cnf")
	equal((c["iss"], c["aud"], c["task_id"], c["owner"]), (lab.issuer, RESOURCE, "task-42", L.OWNER), "claims")
	equal(set(c["scope"].split()), {"read", "write"}, "scope")
	instance = next(i for i, k in lab.a.keys.items() if k is lab.key)
	equal(c["sub"], "spiffe://127.0.0.1/agent/agent/instance/%s" % instance.hex(), "sub")
	equal(c["client_id"], c["sub"], "client_id")
	equal(c["exp"] - c["iat"], 115, "life: expected + 15 %")
	check(now <= c["iat"] <= int(time.time()), "iat")
	equal(answer["expires_in"], 115, "expires_in")
	att = c["att"]
	check(lab.image["digest"] in att["image_digest"], "image digest: %r" % att)
	check(lab.model[0].hex() in att["model_digest"], "model digest: %r" % att)
	equal(att["epoch"], lab.epoch(lab.a.id), "epoch")


def test_V6_life_follows_the_rule(lab):
	"""min(expected + 15 %, agent document, rest of the verdict); nothing without an expected duration."""
	equal(get_token(lab, lab.key, expected_s=10)["expires_in"], 12, "life for 10 s")
	rest = lab.db("SELECT verdict_expires FROM host_state WHERE host = ?", lab.a.id)[0][0] - time.time()
	check(get_token(lab, lab.key, expected_s=86400)["expires_in"] <= rest + 1, "a token outlives its verdict")
	for bad in (None, "0", "-1", "1.5", "1e3", "", "99999999999999999999"):
		no_token(lab, lab.key, "invalid_request", expected_s=bad)


def test_V6_audience_that_never_asks_gets_two_minutes(lab):
	lab.approve("agent", "agent", "--image", "img", "--model", "mdl", "--platform", "plat", "--scope", "read",
		    "--scope", "write", "--resource", RESOURCE, "--resource", "https://offline.example",
		    "--minimum-status", "warning")
	passed(lab.a.attest())
	passed(lab.b.attest())
	check(get_token(lab, lab.key, expected_s=250)["expires_in"] > 120, "an audience that introspects")
	equal(get_token(lab, lab.key, expected_s=250, resource="https://offline.example")["expires_in"], 120,
	      "life for an audience that does not")


def test_ear_of_every_instance(lab):
	"""One EAR per instance, bound to its key, never better than warning while the measurer is not attested."""
	r = passed(lab.a.attest())
	equal({x["instance"] for x in r["results"]}, {i.hex() for i in lab.a.keys}, "instances with a result")
	for x in r["results"]:
		header, c = lab.open_jws(x["ear"])
		equal((header["typ"], x["status"], c["ear_status"]), ("eat+jwt", "warning", "warning"), "EAR")
		equal(c["eat_profile"], "tag:ietf.org,2026:rats/ear#03", "profile")
		equal(set(c["submods"]), {"platform", "container", "model", "key"}, "submodules")
		equal(c["cnf"], {"jkt": thumbprint(lab.a.keys[bytes.fromhex(x["instance"])].jwk())}, "cnf")


def test_T6_an_ear_is_not_an_access_token(lab):
	ear = passed(lab.a.attest())["results"][0]["ear"]
	lab.api.inactive(ear, dpop(lab.key, "GET", URL, token=ear))


def test_T4_published_keys_have_kid_alg_and_use(lab):
	for k in lab.jwks():
		equal((k["kty"], k["use"], k["alg"], k["kid"]), ("EC", "sig", "ES256", thumbprint(k)), "key")
		check("d" not in k, "a private key is published")


# ---- who gets nothing

def test_C7_key_that_nobody_certified(lab):
	no_token(lab, SoftKey(), "invalid_grant")


def test_scope_and_resource_beyond_the_document(lab):
	no_token(lab, lab.key, "invalid_scope", scope="read admin")
	no_token(lab, lab.key, "invalid_scope", scope="rea")
	no_token(lab, lab.key, "invalid_target", resource=RESOURCE + "/")
	no_token(lab, lab.key, "unsupported_grant_type", grant_type="password")
	no_token(lab, lab.key, "invalid_request", task_id="a b")
	for name in ("scope", "resource", "task_id", "grant_type"):
		no_token(lab, lab.key, "invalid_request", **{name: None})


def test_T9_minimum_status_affirming(lab):
	"""The measurer is not attested, so the result is a warning, and an agent that demands more gets nothing."""
	lab.approve("agent", "strict", "--image", "img", "--model", "mdl", "--platform", "plat", "--scope", "read",
		    "--resource", RESOURCE)
	instance = lab.a.start(agent="strict")
	r = lab.a.attest().json()
	equal(r["state"], "VERIFIED", "the host is as good as before: %r" % r)
	p = no_token(lab, lab.a.keys[instance], "invalid_grant")
	failure = [f for f in r["failures"] if f["check"] == "P-agent" and f["subject"] == instance.hex()]
	check(failure and "minimum_status" in failure[0]["expected"], "the reply does not say why: %r" % r)
	check("minimum_status" in p["error_description"] or "attest" in p["error_description"], "no reason: %r" % p)
	lab.a.end(instance)
	passed(lab.a.attest())


# ---- proofs of possession

def test_L7_token_used_by_another_key(lab):
	"""A thief's key, another agent's key, and the thief's proof with the right thumbprint claimed."""
	t = token(lab)
	works(lab, t)
	dead(lab, t, SoftKey())
	dead(lab, t, lab.other)

	class Liar(SoftKey):
		def jwk(self):
			return lab.key.jwk()
	dead(lab, t, Liar())
	works(lab, t)


def test_T15_token_as_bearer(lab):
	"""No proof, an empty one, and no method or address."""
	t = token(lab)
	for proof in (None, ""):
		r = lab.api.ask(t, proof)
		check(r.json().get("active") is not True, "a token without a proof works: %r" % r)
	good = dpop(lab.key, "GET", URL, token=t)
	for missing in ({"htm": None}, {"htu": None}):
		r = lab.api.ask(t, good, **missing)
		check(r.json().get("active") is not True, "a token works without %s: %r" % (missing, r))


def test_T14_proof_for_something_else(lab):
	"""Method, address, token, age and form of a proof are all looked at."""
	t, second = token(lab), token(lab)
	now = int(time.time())
	bad = {
		"another method": dpop(lab.key, "POST", URL, token=t),
		"method in lower case": dpop(lab.key, "get", URL, token=t),
		"another address": dpop(lab.key, "GET", URL + "/1", token=t),
		"another token": dpop(lab.key, "GET", URL, token=second),
		"no ath": dpop(lab.key, "GET", URL),
		"too old": dpop(lab.key, "GET", URL, token=t, iat=now - 400),
		"from the future": dpop(lab.key, "GET", URL, token=t, iat=now + 400),
		"no jti": dpop(lab.key, "GET", URL, token=t, jti=None),
		"no iat": dpop(lab.key, "GET", URL, token=t, iat=None),
		"iat is a text": dpop(lab.key, "GET", URL, token=t, iat=str(now)),
	}
	good = dpop(lab.key, "GET", URL, token=t)
	h, c = jws_open(good)
	none = ".".join(b64u(json.dumps(x).encode()) for x in (dict(h, alg="none"), c)) + "."
	bad["alg none"] = none
	bad["signature of zeros"] = good.rsplit(".", 1)[0] + "." + b64u(bytes(64))
	bad["no signature"] = good.rsplit(".", 1)[0] + "."
	bad["two proofs"] = good + "," + good
	for what, proof in bad.items():
		r = lab.api.ask(t, proof)
		check(r.json().get("active") is not True, "%s: the token works" % what)
	works(lab, t)


def test_T14_proof_used_twice(lab):
	"""Also after the verifier has started again."""
	t = token(lab)
	proof = dpop(lab.key, "GET", URL, token=t)
	equal(lab.api.ask(t, proof).json()["active"], True, "first use")
	lab.api.inactive(t, proof)
	lab.restart_verifier()
	lab.api.inactive(t, proof)
	works(lab, t)


def test_T14_one_proof_fifty_times_at_once(lab):
	t = token(lab)
	proof = dpop(lab.key, "GET", URL, token=t)
	start, answers = threading.Barrier(50), []

	def use():
		start.wait()
		answers.append(lab.api.ask(t, proof).json())
	threads = [threading.Thread(target=use) for _ in range(50)]
	for x in threads:
		x.start()
	for x in threads:
		x.join()
	equal(len([a for a in answers if a.get("active")]), 1, "uses that won")
	equal(len([a for a in answers if a == {"active": False}]), 49, "uses that lost")


def test_T15_token_request_with_two_proofs_or_none(lab):
	with lab.unchanged("once"), lab.client() as c:
		nonce = L.dpop_nonce(c, lab.issuer, lab.key)
		url = lab.issuer + "/v1/token"
		one, two = (dpop(lab.key, "POST", url, nonce) for _ in range(2))
		oauth_error(c.form("/v1/token", L.token_form(), headers=[("DPoP", one), ("DPoP", two)]), 400,
			    "invalid_dpop_proof")
		oauth_error(c.form("/v1/token", L.token_form()), 400, "invalid_dpop_proof")
		oauth_error(c.form("/v1/token", L.token_form(), headers=[("DPoP", "x.y.z")]), 400, "invalid_dpop_proof")


def test_T17_dpop_nonce(lab):
	"""One that is missing, not ours, or changed is answered with a new one; nothing is issued."""
	with lab.unchanged("once"), lab.client() as c:
		good = L.dpop_nonce(c, lab.issuer, lab.key)
		bad = bytearray(wire.unb64u(good))
		bad[-1] ^= 1
		challenge = lab.a.challenge()["nonce"]
		for nonce in ("x", b64u(bytes(57)), b64u(bytes(bad)), challenge):
			r = c.form("/v1/token", L.token_form(), headers=[
				("DPoP", dpop(lab.key, "POST", lab.issuer + "/v1/token", nonce))])
			oauth_error(r, 400, "use_dpop_nonce")
			check(r.headers["DPoP-Nonce"], "no new nonce")


# ---- who may ask

def test_introspection_needs_a_client(lab):
	t = token(lab)
	proof = dpop(lab.key, "GET", URL, token=t)
	oauth_error(lab.api.ask(t, proof, auth=False), 401, "invalid_client")
	for name, secret in ((lab.api.name, "wrong"), ("nobody", lab.api.secret), (lab.api.name, "")):
		with lab.client() as c:
			r = c.form("/v1/introspect", {"token": t, "dpop": proof, "htm": "GET", "htu": URL},
				   headers=[L.basic(name, secret)])
		oauth_error(r, 401, "invalid_client")
		check(r.headers["WWW-Authenticate"], "no WWW-Authenticate")
	equal(lab.api.ask(t, proof).json()["active"], True, "the proof is still good: nobody without a secret used it up")


def test_T31_client_of_another_resource(lab):
	"""Another service learns nothing about this one's tokens."""
	other = Resource(lab, "other", ["https://other.example"])
	t = token(lab)
	check(other.active(lab.key, t) is None, "a client asks about a token that is not for it")
	works(lab, t)
	lab.ctl("client", "remove", "other")
	r = other.ask(t, dpop(lab.key, "GET", URL, token=t))
	oauth_error(r, 401, "invalid_client")


def test_T2_tokens_that_are_none_of_ours(lab):
	"""Changed, unsigned, signed by somebody else: exactly inactive."""
	t = token(lab)
	h, c = jws_open(t)
	thief = SoftKey()
	forged = [
		wire.jws(thief, h, c),
		wire.jws(thief, dict(h, jwk=thief.jwk()), c),
		".".join(b64u(json.dumps(x).encode()) for x in (dict(h, alg="none"), c)) + ".",
		t[:-4] + ("AAAA" if t[-4:] != "AAAA" else "BBBB"),
		t + ".x", "x", "..", "a.b.c", "\u00fc",
	]
	head, claims, signature = t.split(".")
	forged.append(".".join((head, b64u(json.dumps(dict(c, exp=c["exp"] + 600)).encode()), signature)))
	for f in forged:
		try:
			proof = dpop(lab.key, "GET", URL, token=f)
		except UnicodeEncodeError:
			proof = dpop(lab.key, "GET", URL)
		lab.api.inactive(f, proof)
		lab.api.inactive(f, dpop(thief, "GET", URL, token=f))


# ---- when a token stops

def test_V2_token_after_its_expiry(lab):
	t = token(lab, expected_s=1)
	c = jws_open(t)[1]
	equal(c["exp"] - c["iat"], 2, "life")
	works(lab, t)
	L.wait_for("the token's end", lambda: time.time() > c["exp"])
	dead(lab, t)


def test_revoked_by_jti(lab):
	t, stays = token(lab), token(lab)
	lab.ctl("revoke", "--jti", jti(t))
	dead(lab, t)
	works(lab, stays)


def test_revoked_by_its_client_or_its_own_key(lab):
	"""RFC 7009: 200 always, also for an unknown token; a stranger's word counts for nothing."""
	by_client, by_key, stays = token(lab), token(lab), token(lab)
	url = lab.issuer + "/v1/revoke"
	with lab.client() as c:
		r = c.form("/v1/revoke", {"token": by_client}, headers=[L.basic(lab.api.name, lab.api.secret)])
		equal(r.status, 200, "revocation by a client")
		nonce = L.dpop_nonce(c, lab.issuer, lab.key)
		r = c.form("/v1/revoke", {"token": by_key},
			   headers=[("DPoP", dpop(lab.key, "POST", url, nonce, token=by_key))])
		equal(r.status, 200, "revocation by the key: %r" % r)
		r = c.form("/v1/revoke", {"token": "no such token"}, headers=[L.basic(lab.api.name, lab.api.secret)])
		equal(r.status, 200, "revocation of an unknown token")
		r = c.form("/v1/revoke", {"token": stays}, headers=[("DPoP", dpop(SoftKey(), "POST", url, nonce, token=stays))])
		check(r.status in (200, 400, 401), "revocation by a stranger: %r" % r)
		r = c.form("/v1/revoke", {"token": stays})
		check(r.status in (400, 401), "revocation by nobody: %r" % r)
	dead(lab, by_client)
	dead(lab, by_key)
	works(lab, stays)


def test_task_ended(lab):
	"""All tokens of the task die and it gets no more; other tasks go on."""
	t, second, stays = token(lab, task_id="t-1"), token(lab, lab.other, task_id="t-1"), token(lab, task_id="t-2")
	lab.ctl("revoke", "--task", "t-1")
	dead(lab, t)
	dead(lab, second, lab.other)
	works(lab, stays)
	no_token(lab, lab.key, "invalid_grant", task_id="t-1")


def test_instance_revoked_for_good(lab):
	"""No verdict brings it back, until an operator clears the host."""
	instance = lab.a.start()
	passed(lab.a.attest())
	key = lab.a.keys[instance]
	t, stays = token(lab, key), token(lab)
	lab.ctl("revoke", "--instance", instance.hex())
	dead(lab, t, key)
	works(lab, stays)
	passed(lab.a.attest())
	dead(lab, t, key)
	no_token(lab, key, "invalid_grant")
	lab.a.end(instance)
	passed(lab.a.attest())


def test_epoch_moved_by_an_operator(lab):
	"""Everything of the host is dead at once, and lives again, with new tokens, after the next verdict."""
	t = token(lab)
	before = lab.epoch(lab.a.id)
	lab.ctl("revoke", "--host", lab.a.id)
	check(lab.epoch(lab.a.id) > before, "the epoch has not moved")
	dead(lab, t)
	no_token(lab, lab.key, "invalid_grant")
	passed(lab.a.attest())
	dead(lab, t)
	works(lab, token(lab))


def test_V3_failed_verdict_kills_tokens(lab):
	"""One bad attestation, and the old token is inactive; a whole verification makes the host good again."""
	t = token(lab)
	failed_check(lab.a.attest(claims=lambda c: c.update({10: []})), "W6")
	dead(lab, t)
	no_token(lab, lab.key, "invalid_grant")
	equal(lab.host_list()[lab.a.id]["status"], "FAILED", "status")
	passed(lab.a.attest())
	dead(lab, t)
	works(lab, token(lab))


def test_T29_instance_that_ended(lab):
	instance = lab.a.start()
	passed(lab.a.attest())
	key = lab.a.keys[instance]
	t = token(lab, key)
	works(lab, t, key)
	lab.a.end(instance)
	passed(lab.a.attest())
	dead(lab, t, key)
	no_token(lab, key, "invalid_grant")


# ---- operators' documents

def test_withdrawn_image_kills_tokens_and_cannot_come_back(lab):
	"""Every host whose verdict used it loses its credentials at once; the same envelope is refused for ever."""
	t, elsewhere = token(lab), token(lab, lab.other)
	envelope = lab.db("SELECT envelope FROM document WHERE kind = 'image' AND name = 'img' ORDER BY serial DESC")[0][0]
	lab.withdraw("image", "img")
	dead(lab, t)
	dead(lab, elsewhere, lab.other)
	no_token(lab, lab.key, "invalid_grant")
	failed_check(lab.a.attest(), "W4")
	with lab.unchanged():
		L.refused(lab.upload(envelope), 409, "E_AUTH_CONFLICT")
	failed_check(lab.a.attest(), "W4")
	lab.approve("image", "img", "--layout", lab.path("img"))
	passed(lab.a.attest())
	passed(lab.b.attest())
	works(lab, token(lab))


def test_older_serial_is_refused(lab):
	"""A document below or at the highest serial, though it is signed and in force."""
	old = lab.path("old.json")
	lab.ctl("approve", "model", "spare", "--key", lab.path("op.key"), "--owner", L.OWNER, "--expires", "1d", "--digest",
		"aa" * 32, "--version-name", "1", "--serial", "4", "--out", old)
	lab.approve("model", "spare", "--digest", "bb" * 32, "--version-name", "2", "--serial", "5")
	with open(old, "rb") as f:
		envelope = f.read()
	with lab.unchanged():
		L.refused(lab.upload(envelope), 409, "E_AUTH_CONFLICT")
		again = lab.approve("model", "spare", "--digest", "cc" * 32, "--version-name", "3", "--serial", "5", status=1)
	check("serial" in again.stderr or "recorded" in again.stderr, "no reason: %r" % again.stderr)


def test_P4_documents_that_nobody_may_sign(lab):
	"""Unsigned, changed after signing, by an unknown key, with an unknown member, for another realm, expired."""
	path = lab.path("doc-%d.json" % os.getpid())

	def make(*extra, key="op.key", realm=L.REALM):
		if os.path.exists(path):
			os.unlink(path)
		lab.run(lab.program("ASSAYCTL"), "approve", "--realm", realm, "image", "evil", "--key", lab.path(key), "--owner",
			"x", "--expires", "1d", "--digest", "dd" * 32, "--serial", "1", "--out", path, *extra)
		with open(path) as f:
			return json.load(f)
	lab.run(lab.program("ASSAYCTL"), "key", "new", "--out", lab.path("stranger.key"))
	good = make()
	tampered = dict(good, payload=good["payload"][:40] + ("A" if good["payload"][40] != "A" else "B") +
			good["payload"][41:])
	cases = [
		(dict(good, signatures=[]), None), (tampered, "E_AUTH_SIGNATURE"), (make(key="stranger.key"), "E_AUTH_UNKNOWN"),
		(make(realm="elsewhere"), "E_AUTH_REFUSED"), (dict(good, extra=1), "E_PEER_UNKNOWN_KEY"),
		(dict(good, payloadType="text/plain"), None),
	]
	for envelope, name in cases:
		with lab.unchanged():
			r = lab.upload(json.dumps(envelope).encode())
			check(400 <= r.status < 500, "expected a refusal, seen %r" % r)
			L.refused(r, r.status, name)


def test_operator_removed_from_the_list(lab):
	"""SIGHUP without the key: what it signed holds no longer, and every verdict that used it is dead."""
	t = token(lab)
	before = lab.epoch(lab.a.id)
	keep = lab.operators
	lab.write_operators([])
	lab.reload_verifier()
	L.wait_for("the epoch's move", lambda: lab.epoch(lab.a.id) > before)
	dead(lab, t)
	lab.write_operators(keep)
	lab.reload_verifier()
	L.wait_for("a verdict under the old list", lambda: lab.a.attest().json().get("state") == "VERIFIED")
	dead(lab, t)
	passed(lab.b.attest())
	works(lab, token(lab))


def test_agent_document_withdrawn(lab):
	t = token(lab)
	lab.withdraw("agent", "agent")
	dead(lab, t)
	no_token(lab, lab.key, "invalid_grant")
	lab.approve_agent()
	passed(lab.a.attest())
	passed(lab.b.attest())
	works(lab, token(lab))


def test_P5_agent_document_replaced_after_the_verdict(lab):
	"""A verdict counts for the rules under which it was made: no token from it under new ones."""
	token(lab)
	lab.approve_agent()
	p = no_token(lab, lab.key, "invalid_grant")
	check("changed" in p["error_description"], "no reason: %r" % p)
	passed(lab.a.attest())
	passed(lab.b.attest())
	works(lab, token(lab))


# ---- durability and secrecy

def test_V7_tokens_outlive_the_verifiers_process(lab):
	t = token(lab)
	lab.kill_verifier()
	lab.start_verifier()
	works(lab, t)
	works(lab, token(lab))


def test_T37_no_token_in_any_log(lab):
	t = token(lab)
	proof = dpop(lab.key, "GET", URL, token=t)
	lab.api.ask(t, proof)
	log = L.read_text(lab.log)
	for secret in (t, t.split(".")[2][:20], proof.split(".")[2][:20], lab.api.secret):
		check(secret not in log, "a secret is in the log")


def test_host_removed(lab):
	"""Its tokens die; when it enrols again it starts from nothing (V5)."""
	t = token(lab, lab.other)
	lab.ctl("hosts", "remove", lab.b.id)
	dead(lab, t, lab.other)
	lab.b.enrol()
	dead(lab, t, lab.other)
	no_token(lab, lab.other, "invalid_grant")
	passed(lab.b.attest())
	dead(lab, t, lab.other)
	works(lab, token(lab, lab.other), lab.other)


if __name__ == "__main__":
	sys.exit(L.main(setup))
