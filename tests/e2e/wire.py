# SPDX-License-Identifier: Apache-2.0
"""What goes over the wire, written a second time and independently of protocol/: CBOR, base64url, P-256, JWS, DPoP.

Everything here is permissive, so that a test can say what no honest program would."""
import base64
import hashlib
import json
import os
import time


def sha256(*parts):
	return hashlib.sha256(b"".join(parts)).digest()


def b64u(data):
	return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64u(text):
	return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


# ---------------------------------------------------------------- CBOR

class Raw(bytes):
	"""Bytes that are CBOR already."""


class Pairs(list):
	"""A map in the order given, duplicates included."""


def cbor_head(major, n):
	if n < 24:
		return bytes([major << 5 | n])
	for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
		if n < 1 << 8 * size:
			return bytes([major << 5 | info]) + n.to_bytes(size, "big")
	raise ValueError(n)


def cbor(x):
	"""Deterministic form; maps in ascending order of their (unsigned) keys unless they are Pairs."""
	if isinstance(x, Raw):
		return bytes(x)
	if isinstance(x, bool):
		return b"\xf5" if x else b"\xf4"
	if isinstance(x, int):
		return cbor_head(0, x) if x >= 0 else cbor_head(1, -1 - x)
	if isinstance(x, bytes):
		return cbor_head(2, len(x)) + x
	if isinstance(x, str):
		return cbor_head(3, len(x.encode())) + x.encode()
	if isinstance(x, Pairs):
		return cbor_head(5, len(x)) + b"".join(cbor(k) + cbor(v) for k, v in x)
	if isinstance(x, dict):
		return cbor(Pairs(sorted(x.items())))
	if isinstance(x, (list, tuple)):
		return cbor_head(4, len(x)) + b"".join(cbor(v) for v in x)
	raise TypeError(type(x))


def uncbor_at(b, off):
	major, info = b[off] >> 5, b[off] & 31
	off += 1
	if info >= 24:
		size = 1 << (info - 24)
		n, off = int.from_bytes(b[off:off + size], "big"), off + size
	else:
		n = info
	if major == 0:
		return n, off
	if major == 1:
		return -1 - n, off
	if major in (2, 3):
		return (b[off:off + n] if major == 2 else b[off:off + n].decode()), off + n
	if major == 4:
		out = []
		for _ in range(n):
			v, off = uncbor_at(b, off)
			out.append(v)
		return out, off
	if major == 5:
		out = {}
		for _ in range(n):
			k, off = uncbor_at(b, off)
			out[k], off = uncbor_at(b, off)
		return out, off
	raise ValueError("CBOR major type %d" % major)


def uncbor(b):
	v, off = uncbor_at(b, 0)
	if off != len(b):
		raise ValueError("bytes behind the end")
	return v


# ---------------------------------------------------------------- P-256

P = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffff
N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551
B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b
G = (0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296,
     0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5)


def _add(p, q):
	if p is None or q is None:
		return p or q
	if p[0] == q[0]:
		if (p[1] + q[1]) % P == 0:
			return None
		m = (3 * p[0] * p[0] - 3) * pow(2 * p[1], -1, P)
	else:
		m = (q[1] - p[1]) * pow(q[0] - p[0], -1, P)
	x = (m * m - p[0] - q[0]) % P
	return x, (m * (p[0] - x) - p[1]) % P


def _mul(k, p):
	r = None
	while k:
		if k & 1:
			r = _add(r, p)
		p, k = _add(p, p), k >> 1
	return r


class SoftKey:
	"""A P-256 key outside any TPM: what a thief has."""

	def __init__(self):
		self.d = int.from_bytes(os.urandom(32), "big") % (N - 1) + 1
		self.x, self.y = _mul(self.d, G)

	def jwk(self):
		return {"kty": "EC", "crv": "P-256", "x": b64u(self.x.to_bytes(32, "big")),
			"y": b64u(self.y.to_bytes(32, "big"))}

	def sign(self, data):
		z = int.from_bytes(sha256(data), "big")
		while True:
			k = int.from_bytes(os.urandom(32), "big") % (N - 1) + 1
			r = _mul(k, G)[0] % N
			s = pow(k, -1, N) * (z + r * self.d) % N
			if r and s:
				return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def p256_verify(jwk, data, signature):
	q = tuple(int.from_bytes(unb64u(jwk[c]), "big") for c in "xy")
	if (q[1] * q[1] - q[0] ** 3 + 3 * q[0] - B) % P:
		return False
	r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
	if len(signature) != 64 or not 0 < r < N or not 0 < s < N:
		return False
	w = pow(s, -1, N)
	z = int.from_bytes(sha256(data), "big")
	p = _add(_mul(z * w % N, G), _mul(r * w % N, q))
	return p is not None and p[0] % N == r


def thumbprint(jwk):
	text = json.dumps({k: jwk[k] for k in ("crv", "kty", "x", "y")}, sort_keys=True, separators=(",", ":"))
	return b64u(sha256(text.encode()))


# ---------------------------------------------------------------- JWS

def jws(key, header, claims):
	text = ".".join(b64u(json.dumps(m, separators=(",", ":")).encode()) for m in (header, claims))
	return text + "." + b64u(key.sign(text.encode()))


def jws_open(token, jwk=None):
	"""(header, claims); with a key also verified."""
	h, c, s = token.split(".")
	if jwk is not None and not p256_verify(jwk, (h + "." + c).encode(), unb64u(s)):
		raise AssertionError("signature does not verify")
	return json.loads(unb64u(h)), json.loads(unb64u(c))


def ath(token):
	return b64u(sha256(token.encode()))


def dpop(key, method, url, nonce=None, token=None, **claims):
	"""A DPoP proof (RFC 9449); further claims replace those made here, None removes one."""
	c = {"jti": b64u(os.urandom(16)), "htm": method, "htu": url, "iat": int(time.time())}
	if nonce is not None:
		c["nonce"] = nonce
	if token is not None:
		c["ath"] = ath(token)
	c.update(claims)
	c = {k: v for k, v in c.items() if v is not None}
	return jws(key, {"typ": "dpop+jwt", "alg": "ES256", "jwk": key.jwk()}, c)
