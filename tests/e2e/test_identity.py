#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Who a host is: EK certificates, attestation keys, activation, first binding, approval."""
import os
import struct
import sys

sys.dont_write_bytecode = True

import lab as L
import tpm
from lab import check, equal, failed_check, passed, refused
from rogue import CLAIM, Rogue
from wire import b64u, cbor, unb64u

GOOD, OTHER, SPARE, FOREIGN, EXPIRED, IS_CA, NO_CERT = range(7)


def setup(lab):
	lab.up(tpms=3)
	lab.add_tpms(1, "--foreign-ca")
	lab.add_tpms(1, "--expired-ek-cert")
	lab.add_tpms(1, "--ek-cert-is-ca")
	lab.add_tpms(1, "--no-ek-cert")
	lab.a, lab.b = Rogue(lab, GOOD).join(), Rogue(lab, OTHER).join()
	lab.make_world(lab.a)
	lab.a.must_pass()
	lab.b.must_pass()


def enrolment_refused(lab, reply, check_id, status=None):
	check(reply.status in ((status,) if status else (400, 403)), "expected a refusal, seen %r" % reply)
	p = refused(reply, reply.status)
	check(p.get("check") == check_id or p["detail"].startswith(check_id + ":"), "expected %s, seen %r" % (check_id, reply))


# ---- EK certificate

def real_enrolment_refused(lab, index, check_id):
	"""Through assay-attest: exit 1, the reason names the check, nothing is stored on either side."""
	h = lab.host(index)
	with lab.unchanged():
		p = h.cmd("enrol", "--verifier", lab.issuer, "--ca", lab.ca, status=1)
	check(check_id + ":" in p.stderr, "the reason does not name %s: %r" % (check_id, p.stderr))
	check(not os.path.exists(os.path.join(h.state, "enrolment.json")), "a refused enrolment was written down")


def test_N1_ek_certificate_of_a_foreign_ca(lab):
	real_enrolment_refused(lab, FOREIGN, "N1")


def test_N1_ek_certificate_expired(lab):
	real_enrolment_refused(lab, EXPIRED, "N1")


def test_N2_ek_certificate_with_ca_true(lab):
	real_enrolment_refused(lab, IS_CA, "N2")


def test_N1_no_ek_certificate(lab):
	real_enrolment_refused(lab, NO_CERT, "N1")


def test_N3_ecc_ek(lab):
	"""A host with a P-384 EK of the high range is enrolled, approved and VERIFIED; its RSA EK would be another host."""
	h = lab.host(SPARE)
	rsa = lab.host(SPARE).enrol("--ek", "rsa-2048")
	equal(h.enrol("--ek", "ecc-p384")["state"], "PENDING", "state before anybody knows it")
	check(h.id != rsa["host"], "two endorsement keys are one host")
	h.attest(status=1)
	h.approve("ecc-host")
	r = h.attest()
	equal(r["state"], "VERIFIED", "state of a host with an ECC EK")
	for host in (h.id, rsa["host"]):
		lab.ctl("hosts", "remove", host)
	lab.withdraw("host", "ecc-host")
	lab.harness("reset", "--index", str(SPARE))
	lab.boot_measurements(SPARE)


def test_N1_ecc_ek_without_certificate(lab):
	"""The TPM can make a P-256 EK of the low range, but nobody has certified it."""
	h = lab.host(SPARE)
	with lab.unchanged():
		p = h.cmd("enrol", "--verifier", lab.issuer, "--ca", lab.ca, "--ek", "ecc-p256", status=1)
	check("N1:" in p.stderr, "the reason does not name N1: %r" % p.stderr)


def test_N2_issuing_ca_certificate_used_as_ek(lab):
	"""The certificate that signs EK certificates is none."""
	r = Rogue(lab, SPARE)
	with lab.unchanged():
		enrolment_refused(lab, r.enrol_first(ek_cert=b64u(r.issuer_cert())), "N2")


def test_N3_certificate_of_another_tpm(lab):
	r = Rogue(lab, SPARE)
	with lab.unchanged():
		enrolment_refused(lab, r.enrol_first(ek_cert=b64u(lab.a.ek_cert)), "N3")


def test_N3_public_area_of_another_tpm(lab):
	r = Rogue(lab, SPARE)
	with lab.unchanged():
		enrolment_refused(lab, r.enrol_first(ek_public=b64u(lab.a.ek_public)), "N3")


def test_N4_ek_with_other_attributes(lab):
	"""The key is the certified one, but its public area is not the template's: with sign, and with userWithAuth."""
	r = Rogue(lab, SPARE)
	for flag in (tpm.SIGN, tpm.USER_AUTH, tpm.RESTRICTED):
		area = bytearray(r.ek_public)
		attributes = struct.unpack_from(">I", area, 4)[0] ^ flag
		struct.pack_into(">I", area, 4, attributes)
		with lab.unchanged():
			enrolment_refused(lab, r.enrol_first(ek_public=b64u(bytes(area))), "N4")


def test_N4_ek_with_another_policy(lab):
	r = Rogue(lab, SPARE)
	area = bytearray(r.ek_public)
	area[10] ^= 1
	with lab.unchanged():
		enrolment_refused(lab, r.enrol_first(ek_public=b64u(bytes(area))), "N4")


def test_N1_certificate_with_one_bit_changed(lab):
	"""In the signed part and in the signature."""
	r = Rogue(lab, SPARE)
	for at in (len(r.ek_cert) // 2, len(r.ek_cert) - 5):
		der = bytearray(r.ek_cert)
		der[at] ^= 1
		with lab.unchanged():
			p = refused(r.enrol_first(ek_cert=b64u(bytes(der))), 403)
		check(p["detail"][:2] in ("N1", "N2", "N3"), "no check is named: %r" % p)


# ---- attestation key

def ak_refused(lab, check_id, template):
	r = Rogue(lab, SPARE, ak=template)
	with lab.unchanged():
		enrolment_refused(lab, r.enrol_first(), check_id)


def test_K2_ak_not_restricted(lab):
	ak_refused(lab, "K2", tpm.signing(tpm.AK_ATTRIBUTES & ~tpm.RESTRICTED))


def test_K2_ak_duplicable(lab):
	ak_refused(lab, "K2", tpm.signing(tpm.AK_ATTRIBUTES & ~(tpm.FIXED_TPM | tpm.FIXED_PARENT)))


def test_K2_ak_with_decrypt(lab):
	ak_refused(lab, "K2", tpm.signing(tpm.AK_ATTRIBUTES & ~tpm.RESTRICTED | tpm.DECRYPT, scheme=tpm.ALG_NULL))


def test_K2_storage_key_as_ak(lab):
	ak_refused(lab, "K2", tpm.storage())


def test_K2_ak_that_says_it_was_made_elsewhere(lab):
	"""sensitiveDataOrigin clear in the public area that is sent: an imported key would look like this."""
	r = Rogue(lab, SPARE)
	area = bytearray(r.ak_public)
	struct.pack_into(">I", area, 4, tpm.AK_ATTRIBUTES & ~tpm.ORIGIN)
	with lab.unchanged():
		enrolment_refused(lab, r.enrol_first(ak_public=b64u(bytes(area))), "K2")


def test_K3_ak_without_a_scheme_or_with_sha1(lab):
	r = Rogue(lab, SPARE)
	sha1 = bytearray(r.ak_public)
	struct.pack_into(">H", sha1, 14, tpm.SHA1)
	with lab.unchanged():
		enrolment_refused(lab, r.enrol_first(ak_public=b64u(bytes(sha1))), "K3")
		enrolment_refused(lab, r.enrol_first(ak_public=b64u(tpm.signing(scheme=tpm.ALG_NULL) +
								     b"")), "K3")


def test_K4_ak_in_the_owner_hierarchy(lab):
	"""Its counters are masked. Nothing at enrolment shows it; the first quote does."""
	r = Rogue(lab, SPARE, ak=tpm.signing(unique=b"owner"))
	r.ak = lambda t: t.create_primary(tpm.OWNER, r.template)
	with r.tpm() as t:
		r.ak_public = r.ak(t).public
	r.ak_name = tpm.name_of(r.ak_public)
	r.enrol()
	r.approve()
	r.begin()
	failed_check(r.attest(), "Q14")
	lab.ctl("hosts", "remove", r.id)
	lab.withdraw("host", "rogue-%d" % SPARE)
	r.reboot(begin=False)


# ---- activation

def test_N8_another_tpm_cannot_release_the_secret(lab):
	"""The EK of A with the AK of B: step one is answered, but neither TPM gives the secret."""
	mixed = lab.a.enrol_request(ak_public=b64u(lab.b.ak_public))
	with lab.unchanged(), lab.client() as c:
		r = c.post("/v1/enrol", mixed)
		equal(r.status, 200, "step one")
		for who in (lab.a, lab.b):
			try:
				who.release(r.json())
			except tpm.TpmError:
				continue
			raise L.Failure("a TPM released a secret for a key that it does not hold")


def test_N8_secret_of_one_request_used_for_another(lab):
	"""Step two with another AK than that of step one."""
	r, other = Rogue(lab, SPARE), Rogue(lab, SPARE, ak=tpm.signing(unique=b"second"))
	challenge = r.enrol_first().json()
	secret = r.release(challenge)
	with lab.unchanged("once"):
		refused(other.enrol_second(challenge, secret), 403)
	check(r.id not in lab.host_list(), "a host was made")


def test_N9_wrong_secret_then_the_right_one(lab):
	"""One attempt per session; no body and no log line holds the secret."""
	r = Rogue(lab, SPARE)
	challenge = r.enrol_first().json()
	secret = r.release(challenge)
	with lab.unchanged("once"):
		wrong = r.enrol_second(challenge, bytes(32))
		right = r.enrol_second(challenge, secret)
	refused(wrong, 403, "E_AUTH_REFUSED")
	refused(right, 403, "E_AUTH_NONCE")
	log = L.read_text(lab.log)
	for text in (wrong.body.decode(), right.body.decode(), log):
		for form in (secret.hex()[:16], b64u(secret)[:12]):
			check(form not in text, "the secret shows")


def test_N9_session_of_another_request_or_none(lab):
	r = Rogue(lab, SPARE)
	challenge = r.enrol_first().json()
	secret = r.release(challenge)
	session = bytearray(unb64u(challenge["session"]))
	for at in range(0, len(session), 7):
		bad = bytearray(session)
		bad[at] ^= 0x80
		with lab.unchanged():
			refused(r.enrol_second(dict(challenge, session=b64u(bytes(bad))), secret), 403, "E_AUTH_NONCE")
	with lab.unchanged():
		refused(r.enrol_second(dict(challenge, session=b64u(b"x")), secret), 403, "E_AUTH_NONCE")


def test_K6_registered_but_never_activated(lab):
	"""Step one alone gives nothing: evidence of such a host is refused and nothing is kept of it."""
	r = Rogue(lab, SPARE)
	equal(r.enrol_first().status, 200, "step one")
	r.log, r.n_records = b"", 0
	with lab.unchanged():
		refused(r.attest(), 403)


# ---- first binding wins

def test_N10_second_attestation_key_for_an_enrolled_tpm(lab):
	"""The TPM is the right one, the key is another: 409, and the first record is the same byte by byte."""
	second = Rogue(lab, GOOD, ak=tpm.signing(unique=b"second"))
	equal(second.id, lab.a.id, "id")
	challenge = second.enrol_first().json()
	with lab.unchanged("once"):
		refused(second.enrol_second(challenge, second.release(challenge)), 409, "E_AUTH_CONFLICT")
	lab.a.must_pass()


def test_N10_enrolling_again_changes_nothing(lab):
	with lab.unchanged("once"):
		equal(lab.a.enrol()["state"], "ENROLLED", "state of a host that enrols again")
	lab.a.must_pass()


def test_N10_second_tpm_claims_an_enrolled_id(lab):
	"""B, enrolled itself, says in its claims that it is A: with its own key's Name, and with A's."""
	def as_a(claims):
		claims[CLAIM["host"]] = lab.a.id

	def as_a_with_its_key(claims):
		as_a(claims)
		claims[CLAIM["ak_name"]] = lab.a.ak_name
	for hook, status, name in ((as_a, 403, "K1"), (as_a_with_its_key, 403, "Q6")):
		challenge = lab.b.challenge(host=lab.a.id)
		with lab.unchanged():
			refused(lab.b.attest(challenge, claims=hook), status, check=name)


# ---- quotes by other keys, and evidence for others

def test_Q6_quote_by_another_tpms_key(lab):
	"""Everything of A, but the quote was signed by B's enrolled key."""
	challenge = lab.a.challenge()
	ev = lab.a.collect(challenge)
	other = lab.b.collect(challenge, claims=lambda c: c.update(
		{CLAIM["host"]: lab.a.id, CLAIM["ak_name"]: lab.a.ak_name}))
	for swap_claims in (False, True):
		mixed = lab.a.collect(challenge)
		mixed.quote, mixed.signature = other.quote, other.signature
		if swap_claims:
			mixed.claims = other.claims
		with lab.unchanged():
			refused(lab.post_evidence(mixed.encode()), 403, check="Q6")
	passed(lab.post_evidence(ev.encode()))


def test_K5_quote_by_another_key_of_the_same_tpm(lab):
	with lab.unchanged():
		refused(lab.a.attest(signer=lambda t: t.create_primary(tpm.ENDORSEMENT, tpm.signing(unique=b"second"))), 403,
			check="Q6")


def test_L_garbage_for_somebody_elses_host(lab):
	"""Nobody can fail, lock or age a host from outside: A's row and A's nonce are untouched, and A still passes."""
	challenge = lab.a.challenge()
	good = lab.a.collect(challenge)
	garbage = [
		b"", b"\0", os.urandom(1000), b"\xa0", cbor({1: good.claims}), good.encode()[:-1],
		cbor({1: good.claims, 2: os.urandom(120), 3: os.urandom(72), 4: good.pcrs, 5: b"", 7: []}),
		lab.b.collect(challenge, claims=lambda c: c.update({CLAIM["host"]: lab.a.id})).encode(),
	]
	with lab.unchanged():
		for g in garbage:
			r = lab.post_evidence(g)
			check(r.status in (400, 401, 403), "garbage got %r" % r)
			refused(r, r.status)
	passed(lab.post_evidence(good.encode()))


# ---- approval

def test_N7_genuine_tpm_without_a_host_document(lab):
	"""A vendor's certificate is not an operator's word: PENDING, no good result, no verdict."""
	r = Rogue(lab, SPARE)
	equal(r.enrol()["state"], "PENDING", "state at enrolment")
	r.begin()
	r.start()
	reply = r.attest()
	failed_check(reply, "N7", state="PENDING")
	equal(lab.host_list()[r.id]["status"], "PENDING", "status in the list")
	with lab.client() as c:
		key = next(iter(r.keys.values()))
		n = len(lab.db("SELECT * FROM credential"))
		t = L.token_request(c, lab.issuer, key)
		check(t.status in (400, 401), "a pending host's key got %r" % t)
		equal(len(lab.db("SELECT * FROM credential")), n, "credentials")
	r.approve()
	passed(r.attest())


if __name__ == "__main__":
	sys.exit(L.main(setup))
