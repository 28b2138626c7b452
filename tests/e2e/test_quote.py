#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Quotes that a real TPM signed but that are not what was asked for, and evidence with bits that are not what was sent."""
import random
import struct
import sys

sys.dont_write_bytecode = True

import lab as L
import tpm
from lab import MEDIA_EVIDENCE, check, failed_check, passed, refused
from rogue import CLAIM, Rogue, certified
from tpm import SHA1, SHA256, SHA384
from wire import Pairs, SoftKey, b64u, cbor, cbor_head, uncbor

BANK = SHA256


def setup(lab):
	lab.up(tpms=0)
	lab.add_tpms(2, "--banks", "sha1,sha256")
	lab.trust()
	lab.a, lab.b = Rogue(lab, 0).join(), Rogue(lab, 1).join()
	lab.make_world(lab.a)
	lab.a.start()
	lab.a.must_pass()
	lab.b.must_pass()
	lab.random = random.Random(7)


def quote_refused(lab, check_id, quote, status=403):
	"""Evidence whose quote was made by this hook is refused at this check; nothing is touched, the nonce included."""
	challenge = lab.a.challenge()
	with lab.unchanged():
		refused(lab.a.attest(challenge, quote=quote), status, check=check_id)
	passed(lab.a.attest(challenge))


# ---- types swapped

def test_Q3_certify_given_as_quote(lab):
	def certify(t, ak, q, banks):
		null = t.create_primary(tpm.NULL, tpm.storage())
		return t.certify(ak, null, q)
	quote_refused(lab, "Q3", certify)


def test_Q3_nv_certify_given_as_quote(lab):
	quote_refused(lab, "Q3", lambda t, ak, q, banks: t.nv_certify(ak, q))


def test_Q3_time_given_as_quote(lab):
	quote_refused(lab, "Q3", lambda t, ak, q, banks: t.get_time(ak, q))


def test_Q3_creation_given_as_quote(lab):
	def creation(t, ak, q, banks):
		null = t.create_primary(tpm.NULL, tpm.storage())
		k = t.create(null, tpm.signing(tpm.WK_ATTRIBUTES))
		null.flush()
		return t.certify_creation(ak, k, q)
	quote_refused(lab, "Q3", creation)


def swapped_certifications(lab, make):
	"""make(t, ak, qualifying) in the place of TPM2_Certify: of the workload key, then of the null primary."""
	instance = lab.b.start()
	failed_check(lab.b.attest(certify=lambda t, ak, k, q: make(t, ak, q)), "C1")
	passed(lab.b.attest())
	lab.b.end(instance)
	# A failed verdict makes the next challenge ask for the null primary again.
	failed_check(lab.b.attest(claims=lambda c: c.update({CLAIM["instances"]: [[bytes(16), b"\0\x0b" + bytes(32)]]})), "W6")
	challenge = lab.b.challenge()
	check(not challenge["boot_known"], "the boot is known after a failure: %r" % challenge)
	ev = lab.b.collect(challenge)
	with lab.b.tpm() as t:
		r = tpm.Reader(ev.boot[2])
		r.take(6), r.b2()
		ev.boot = certified(ev.boot[1], *make(t, lab.b.ak(t), r.b2()))
	failed_check(lab.post_evidence(ev.encode()), "B1")
	passed(lab.b.attest())


def test_C1_quote_given_as_certify(lab):
	swapped_certifications(lab, lambda t, ak, q: t.quote(ak, q, [(BANK, 1)]))


def test_C1_time_given_as_certify(lab):
	swapped_certifications(lab, lambda t, ak, q: t.get_time(ak, q))


def test_C1_nv_certify_given_as_certify(lab):
	swapped_certifications(lab, lambda t, ak, q: t.nv_certify(ak, q))


# ---- magic

def with_signature(change):
	"""A hook: a real quote, changed, and signed by the enrolled key itself: a restricted key signs what does not begin
	with TPM_GENERATED."""
	def hook(t, ak, q, banks):
		quote = change(t.quote(ak, q, banks)[0])
		return quote, t.sign(ak, quote)
	return hook


def test_Q2_wrong_magic_under_a_valid_signature(lab):
	for magic in (0, 0xff544346, 0x4743_54ff):
		quote_refused(lab, "Q2", with_signature(lambda quote: struct.pack(">I", magic) + quote[4:]))


# ---- selection

def selection_fails(lab, select):
	"""The TPM quotes another selection than was asked for, while the claims say what was asked for."""
	failed_check(lab.a.attest(select=select), "Q4")
	passed(lab.a.attest())


def asked(lab):
	return sum(1 << i for i in lab.a.challenge()["pcrs"])


def test_Q4_selection_empty(lab):
	selection_fails(lab, [])
	selection_fails(lab, [(BANK, 0)])


def test_Q4_one_register_missing(lab):
	mask = asked(lab)
	for i in (0, 7, 13):
		selection_fails(lab, [(BANK, mask & ~(1 << i))])


def test_Q4_one_register_more(lab):
	selection_fails(lab, [(BANK, asked(lab) | 1 << 12)])


def test_Q4_sha1_bank(lab):
	selection_fails(lab, [(SHA1, asked(lab))])


def test_Q4_bank_that_is_off(lab):
	"""The quote succeeds, with an empty bitmap and the digest of nothing."""
	selection_fails(lab, [(SHA384, asked(lab))])


def test_Q4_another_bank_beside_the_right_one(lab):
	selection_fails(lab, [(BANK, asked(lab)), (SHA1, asked(lab))])


def test_Q4_register_23_shown_as_13(lab):
	"""A register that anyone can reset, quoted in the place of the workload's."""
	ev = lab.a.collect(select=[(BANK, asked(lab) & ~(1 << 13) | 1 << 23)])
	failed_check(lab.post_evidence(ev.encode()), "Q4")
	passed(lab.a.attest())


def test_Q5_claims_ask_for_another_selection(lab):
	"""Claims and quote agree with each other, but not with us: the nonce is bound to what we asked for."""
	mask = asked(lab) & ~1
	challenge = lab.a.challenge()
	r = lab.a.attest(challenge, claims=lambda c: c.update({CLAIM["selection"]: [[BANK, mask]]}), select=[(BANK, mask)])
	check(r.status in (200, 403), "%r" % r)
	if r.status == 200:
		failed_check(r, "Q4")
	passed(lab.a.attest())


# ---- qualifying data and register values

def test_Q10_other_qualifying_data(lab):
	for change in (lambda q: q[:-1], lambda q: q + b"\0", lambda q: b64u(q).encode(), lambda q: b"",
		       lambda q: bytes(32), lambda q: q[::-1]):
		quote_refused(lab, "Q10", lambda t, ak, q, banks: t.quote(ak, change(q), banks))


def test_Q10_claims_changed_after_the_quote(lab):
	"""One bit in each claim; what is well formed must fail at a check, what is not at the form."""
	ev = lab.a.collect()
	claims = uncbor(ev.claims)
	for name, number in CLAIM.items():
		changed = dict(claims)
		v = changed[number]
		changed[number] = v[:-1] + ("x" if v[-1:] != "x" else "y") if isinstance(v, str) else \
			v[:-1] + bytes([v[-1] ^ 1]) if isinstance(v, bytes) and v else v + 1 if isinstance(v, int) else b"x"
		bad = ev.pairs()
		bad[0] = (1, cbor(changed))
		with lab.unchanged():
			r = lab.post_evidence(cbor(bad))
			check(r.status in (400, 401, 403), "claim %s changed: %r" % (name, r))
			refused(r, r.status)
	passed(lab.post_evidence(ev.encode()))


def test_Q11_register_values(lab):
	"""Two swapped, one changed, one missing, one more: the signed digest decides."""
	for change in (lambda p: [p[1], p[0]] + p[2:], lambda p: [bytes([p[0][0] ^ 1]) + p[0][1:]] + p[1:]):
		ev = lab.a.collect()
		ev.pcrs = change(ev.pcrs)
		failed_check(lab.post_evidence(ev.encode()), "Q11")
	for change in (lambda p: p[:-1], lambda p: p + [p[0]]):
		ev = lab.a.collect()
		ev.pcrs = change(ev.pcrs)
		r = lab.post_evidence(ev.encode())
		check(r.status == 400 or r.json().get("state") == "FAILED", "%r" % r)
	passed(lab.a.attest())


# ---- signature

def test_Q6_signature(lab):
	"""Empty, of other bytes, with other numbers, with r or s of zero."""
	challenge = lab.a.challenge()
	ev = lab.a.collect(challenge)
	good = ev.signature
	r = tpm.Reader(good)
	head, rr, ss = r.take(4), r.b2(), r.b2()
	n = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551.to_bytes(32, "big")
	bad = [("Q6", head + tpm.b2(x) + tpm.b2(y)) for x, y in (
		(bytes(32), ss), (rr, bytes(32)), (n, ss), (rr, n), (b"", b""), (b"\0" + rr, ss), (ss, rr))]
	bad += [("Q1", good[:-1]), ("Q1", good + b"\0"), ("Q1", b"\0\x10")]
	bad += [("Q7", struct.pack(">HH", 0x14, SHA256) + tpm.b2(bytes(256))), ("Q7", struct.pack(">HH", 0x18, SHA1) + good[4:]),
		("Q7", struct.pack(">HH", 0x18, SHA384) + good[4:])]
	with lab.unchanged():
		for check_id, b in bad:
			ev.signature = b
			refused(lab.post_evidence(ev.encode()), 400 if check_id == "Q1" else 403, check=check_id)
	ev.signature = good
	passed(lab.post_evidence(ev.encode()))


def test_Q6_quote_by_a_software_key(lab):
	"""Nothing wrong with the bytes, magic and nonce included, but no TPM vouches for them."""
	thief = SoftKey()

	def forged(t, ak, q, banks):
		quote = t.quote(ak, q, banks)[0]
		s = thief.sign(quote)
		return quote, struct.pack(">HH", tpm.ECDSA, SHA256) + tpm.b2(s[:32]) + tpm.b2(s[32:])
	quote_refused(lab, "Q6", forged, status=403)


# ---- bytes

def offsets(ev):
	"""Where each member of the encoded evidence begins and ends."""
	at, out = 1, {}
	for k, v in ev.pairs():
		out[k] = (at, at + len(cbor(k) + cbor(v)))
		at = out[k][1]
	return out


def flip(data, bit):
	out = bytearray(data)
	out[bit // 8] ^= 1 << bit % 8
	return bytes(out)


def test_Q16_bits_flipped_in_what_the_quote_covers(lab):
	"""Map head, claims, quote, signature, values: refused or FAILED, never passed; without authority nothing changes."""
	ev = lab.a.collect()
	good, where = ev.encode(), offsets(ev)
	bits = range(0, 8 * where[3][1])
	sample = sorted(lab.random.sample(list(bits), 300)) + list(range(0, 8)) + list(range(8 * where[2][0], 8 * where[2][0] + 80))
	with lab.unchanged(), lab.client() as c:
		for bit in sample:
			r = c.post("/v1/attest", flip(good, bit), MEDIA_EVIDENCE)
			check(r.status in (400, 401, 403, 413), "bit %d flipped: %r" % (bit, r))
			refused(r, r.status)
	passed(lab.post_evidence(good))


def test_Q16_bits_flipped_behind_the_quote(lab):
	"""Register values, log, certifications: the quote is the host's own, so the verdict is FAILED or it is refused."""
	lab.a.start()
	for _ in range(40):
		ev = lab.a.collect()
		good, where = ev.encode(), offsets(ev)
		bit = lab.random.randrange(8 * where[4][0], 8 * len(good))
		r = lab.post_evidence(flip(good, bit))
		check(r.status in (400, 401, 403, 413) or (r.status == 200 and r.json()["state"] == "FAILED"),
		      "bit %d of %d flipped: %r" % (bit, 8 * len(good), r))
	passed(lab.a.attest())


def test_Q1_truncated_everywhere(lab):
	ev = lab.a.collect()
	good = ev.encode()
	lengths = sorted(set(range(0, 40)) | set(range(len(good) - 40, len(good))) |
			 set(lab.random.sample(range(len(good)), 80)))
	with lab.unchanged(), lab.client() as c:
		for n in lengths:
			refused(c.post("/v1/attest", good[:n], MEDIA_EVIDENCE), 400)
		for tail in (b"\0", b"\xf6", good):
			refused(c.post("/v1/attest", good + tail, MEDIA_EVIDENCE), 400)
	passed(lab.post_evidence(good))


def test_X1_map_entries_doubled_reordered_missing_or_unknown(lab):
	"""Of the evidence, of its claims (signed so), and of a certified key."""
	lab.a.start()
	ev = lab.a.collect()
	check(len(ev.keys) > 0, "no new key to certify")
	p = ev.pairs()
	bad = [Pairs(p + [p[-1]]), Pairs(p[::-1]), Pairs(p + [(8, b"")]), Pairs([(0, b"")] + p)]
	bad += [Pairs(p[:i] + [p[i]] + p[i:]) for i in range(len(p))]
	bad += [Pairs(p[:i] + p[i + 2:i:-1] + p[i + 3:]) for i in range(len(p) - 1)]
	bad += [Pairs(p[:i] + p[i + 1:]) for i in range(len(p)) if p[i][0] != 6]
	for key in ev.keys:
		k = sorted(key.items())
		for broken in (k + [k[-1]], k[::-1], k[:-1], k + [(4, b"")]):
			bad.append(Pairs([(n, v) if n != 7 else (7, [Pairs(broken)]) for n, v in p]))
	good = ev.encode()
	# Forms that say the same in more bytes, or without an end.
	longer = [bytes([0xb8, len(p)]) + good[1:], b"\xbf" + good[1:] + b"\xff", b"\xc0" + good]
	n = len(ev.claims)
	longer.append(good.replace(cbor_head(2, n) + ev.claims, b"\x5a" + n.to_bytes(4, "big") + ev.claims, 1))
	with lab.unchanged(), lab.client() as c:
		for b in [cbor(x) for x in bad] + longer:
			check(b != good, "the case changes nothing")
			refused(c.post("/v1/attest", b, MEDIA_EVIDENCE), 400, check="X1")
	passed(lab.post_evidence(good))


def test_X1_claims_in_another_form_though_signed(lab):
	"""Deterministic form is demanded of what the quote covers as well."""
	def doubled(c):
		p = sorted(c.items())
		return cbor(Pairs(p + [p[-1]]))

	def reordered(c):
		return cbor(Pairs(sorted(c.items())[::-1]))

	def unknown(c):
		return cbor(c | {12: 1})

	def long_head(c):
		good = cbor(c)
		return bytes([0xb8, len(c)]) + good[1:]
	for hook in (doubled, reordered, unknown, long_head):
		challenge = lab.a.challenge()
		with lab.unchanged():
			refused(lab.a.attest(challenge, claims=hook), 400, check="X1")
		passed(lab.a.attest(challenge))


def test_Q1_structures_with_other_lengths(lab):
	"""Trailing and missing bytes inside the quote, and each of its sizes off by one, under the old signature."""
	ev = lab.a.collect()
	q = ev.quote
	bad = []
	signer = struct.unpack_from(">H", q, 6)[0]
	for at in (6, 8 + signer):
		size = struct.unpack_from(">H", q, at)[0]
		for n in (0, size - 1, size + 1, 0xffff):
			bad.append(q[:at] + struct.pack(">H", n) + q[at + 2:])
	good = ev.quote
	with lab.unchanged():
		for b in (q + b"\0", q[:-1]):
			ev.quote = b
			refused(lab.post_evidence(ev.encode()), 400, check="Q1")
		for b in bad:
			ev.quote = b
			r = lab.post_evidence(ev.encode())
			check(r.status in (400, 401, 403), "%r" % r)
			refused(r, r.status)
	ev.quote = good
	passed(lab.post_evidence(ev.encode()))


if __name__ == "__main__":
	sys.exit(L.main(setup))
