# SPDX-License-Identifier: Apache-2.0
"""TPM 2.0 commands straight over the socket of swtpm, so that a hostile host can do what attest/ never does.

Source: TCG TPM 2.0 Library, Parts 2 and 3, rev 1.59. Sizes and numbers are big endian."""
import os
import socket
import struct
import time

from wire import b64u, sha256

OWNER, ENDORSEMENT, NULL = 0x40000001, 0x4000000b, 0x40000007
SHA1, SHA256, SHA384, ALG_NULL, ECC, RSA = 0x0004, 0x000b, 0x000c, 0x0010, 0x0023, 0x0001
RSASSA, ECDSA, AES, CFB = 0x0014, 0x0018, 0x0006, 0x0043
GENERATED = 0xff544347
EK_RSA, NV_EK_CERT = 0x81010001, 0x01c00002

# TPMA_OBJECT
FIXED_TPM, FIXED_PARENT, ORIGIN, USER_AUTH, NO_DA = 1 << 1, 1 << 4, 1 << 5, 1 << 6, 1 << 10
RESTRICTED, DECRYPT, SIGN = 1 << 16, 1 << 17, 1 << 18
AK_ATTRIBUTES = FIXED_TPM | FIXED_PARENT | ORIGIN | USER_AUTH | RESTRICTED | SIGN
WK_ATTRIBUTES = FIXED_TPM | FIXED_PARENT | ORIGIN | USER_AUTH | SIGN
STORAGE_ATTRIBUTES = FIXED_TPM | FIXED_PARENT | ORIGIN | USER_AUTH | NO_DA | RESTRICTED | DECRYPT

RC_RETRY = 0x922


class TpmError(Exception):
	def __init__(self, code, rc):
		super().__init__("command %#x: response code %#x" % (code, rc))
		self.rc = rc


def b2(data):
	return struct.pack(">H", len(data)) + data


def selection(banks):
	"""TPML_PCR_SELECTION of [(algorithm, mask), ...]."""
	return struct.pack(">I", len(banks)) + b"".join(
		struct.pack(">HB", alg, 3) + mask.to_bytes(3, "little") for alg, mask in banks)


def signing(attributes=AK_ATTRIBUTES, curve=3, scheme=ECDSA, scheme_hash=SHA256, name_alg=SHA256, unique=b""):
	"""TPMT_PUBLIC template of an ECC signing key; scheme ALG_NULL leaves it open."""
	s = struct.pack(">H", ALG_NULL) if scheme == ALG_NULL else struct.pack(">HH", scheme, scheme_hash)
	return (struct.pack(">HHI", ECC, name_alg, attributes) + b2(b"") + struct.pack(">H", ALG_NULL) + s +
		struct.pack(">HH", curve, ALG_NULL) + b2(unique) + b2(b""))


def signing_rsa(attributes=AK_ATTRIBUTES, scheme=RSASSA, scheme_hash=SHA256):
	s = struct.pack(">H", ALG_NULL) if scheme == ALG_NULL else struct.pack(">HH", scheme, scheme_hash)
	return (struct.pack(">HHI", RSA, SHA256, attributes) + b2(b"") + struct.pack(">H", ALG_NULL) + s +
		struct.pack(">HI", 2048, 0) + b2(b""))


def storage(attributes=STORAGE_ATTRIBUTES):
	"""TPMT_PUBLIC template of a P-256 storage key."""
	return (struct.pack(">HHI", ECC, SHA256, attributes) + b2(b"") + struct.pack(">HHH", AES, 128, CFB) +
		struct.pack(">HHH", ALG_NULL, 3, ALG_NULL) + b2(b"") + b2(b""))


def name_of(public):
	"""Name of a TPMT_PUBLIC whose name algorithm is SHA-256."""
	return struct.pack(">H", SHA256) + sha256(public)


def ecc_point(public):
	"""x and y, padded to 32 bytes, of a P-256 TPMT_PUBLIC without a policy; symmetric NULL, scheme ECDSA."""
	off = 4 + 4 + 2 + 2 + 4 + 2 + 2
	out = []
	for _ in range(2):
		n = struct.unpack_from(">H", public, off)[0]
		out.append(public[off + 2:off + 2 + n].rjust(32, b"\0"))
		off += 2 + n
	return out


def jwk_of(public):
	x, y = ecc_point(public)
	return {"kty": "EC", "crv": "P-256", "x": b64u(x), "y": b64u(y)}


def raw_signature(signature):
	"""r || s of a TPMT_SIGNATURE with ECDSA."""
	r = Reader(signature)
	r.u16(), r.u16()
	return r.b2().rjust(32, b"\0") + r.b2().rjust(32, b"\0")


class Reader:
	def __init__(self, data):
		self.d, self.o = data, 0

	def take(self, n):
		v = self.d[self.o:self.o + n]
		if len(v) != n:
			raise ValueError("short response")
		self.o += n
		return v

	def u16(self):
		return int.from_bytes(self.take(2), "big")

	def u32(self):
		return int.from_bytes(self.take(4), "big")

	def u64(self):
		return int.from_bytes(self.take(8), "big")

	def b2(self):
		return self.take(self.u16())

	def rest(self):
		return self.take(len(self.d) - self.o)


class Key:
	"""A loaded object."""

	def __init__(self, tpm, handle, public, private=None):
		self.tpm, self.handle, self.public, self.private = tpm, handle, public, private
		self.name = name_of(public)

	def flush(self):
		self.tpm.flush(self.handle)


class Tpm:
	"""One connection. swtpm serves one at a time, so it is a context manager that is held briefly."""

	def __init__(self, path, timeout_s=60):
		self.s = socket.socket(socket.AF_UNIX)
		self.s.settimeout(timeout_s)
		self.s.connect(path)
		self.handles = []

	def __enter__(self):
		return self

	def __exit__(self, *_):
		try:
			for h in self.handles[:]:
				self.flush(h)
		finally:
			self.s.close()

	def _exchange(self, frame):
		self.s.sendall(frame)
		head = b""
		while len(head) < 10:
			head += self._recv(10 - len(head))
		size = int.from_bytes(head[2:6], "big")
		body = b""
		while len(body) < size - 10:
			body += self._recv(size - 10 - len(body))
		return int.from_bytes(head[6:10], "big"), body

	def _recv(self, n):
		data = self.s.recv(n)
		if not data:
			raise ConnectionError("swtpm closed the connection")
		return data

	def cmd(self, code, handles=(), params=b"", auths=(), returns_handle=False):
		"""auths: session handles; a password session (empty password) is None. Gives a Reader over the parameters."""
		tag, area = 0x8001, b""
		if auths:
			tag = 0x8002
			for a in auths:
				area += struct.pack(">I", 0x40000009 if a is None else a) + b2(b"") + b"\0" + b2(b"")
			area = struct.pack(">I", len(area)) + area
		body = b"".join(struct.pack(">I", h) for h in handles) + area + params
		frame = struct.pack(">HII", tag, 10 + len(body), code) + body
		deadline = time.monotonic() + 20
		while True:
			rc, out = self._exchange(frame)
			if rc != RC_RETRY or time.monotonic() > deadline:
				break
		if rc:
			raise TpmError(code, rc)
		r = Reader(out)
		handle = r.u32() if returns_handle else None
		if tag == 0x8002:
			r = Reader(r.take(r.u32()))
		return (handle, r) if returns_handle else r

	def flush(self, handle):
		self.cmd(0x165, params=struct.pack(">I", handle))
		if handle in self.handles:
			self.handles.remove(handle)

	# ---- keys

	def create_primary(self, hierarchy, template):
		h, r = self.cmd(0x131, [hierarchy], b2(b2(b"") + b2(b"")) + b2(template) + b2(b"") + struct.pack(">I", 0),
				[None], True)
		self.handles.append(h)
		return Key(self, h, r.b2())

	def create(self, parent, template):
		"""TPM2_Create and TPM2_Load; the Key has .private and .creation (hash, ticket)."""
		r = self.cmd(0x153, [parent.handle], b2(b2(b"") + b2(b"")) + b2(template) + b2(b"") + struct.pack(">I", 0),
			     [None])
		private, public, _, creation_hash = r.b2(), r.b2(), r.b2(), r.b2()
		ticket = r.rest()
		k = self.load(parent, private, public)
		k.creation = creation_hash, ticket
		return k

	def load(self, parent, private, public):
		h, _ = self.cmd(0x157, [parent.handle], b2(private) + b2(public), [None], True)
		self.handles.append(h)
		return Key(self, h, public, private)

	def read_public(self, handle):
		return self.cmd(0x173, [handle]).b2()

	def handles_from(self, first):
		"""The first handle in use from this one on, or None."""
		r = self.cmd(0x17a, params=struct.pack(">III", 1, first, 1))
		r.take(1 + 4)
		return r.u32() if r.u32() else None

	def nv_read(self, index):
		r = Reader(self.cmd(0x169, [index]).b2())
		r.u32(), r.u16(), r.u32(), r.b2()
		size, out = r.u16(), b""
		while len(out) < size:
			n = min(512, size - len(out))
			out += self.cmd(0x14e, [index, index], struct.pack(">HH", n, len(out)), [None]).b2()
		return out

	def ek_cert(self):
		"""EK certificate, cut to its own length (a DER SEQUENCE with a two-byte length)."""
		der = self.nv_read(NV_EK_CERT)
		return der[:4 + int.from_bytes(der[2:4], "big")]

	def activate(self, ak, ek, blob, secret):
		"""TPM2_ActivateCredential with the RSA EK at this handle; blob and secret are TPM2B structures."""
		h, _ = self.cmd(0x176, [NULL, NULL], b2(os.urandom(16)) + b2(b"") + b"\1" + struct.pack(">HH", ALG_NULL, SHA256),
				returns_handle=True)
		self.handles.append(h)
		self.cmd(0x151, [ENDORSEMENT, h], b2(b"") * 3 + struct.pack(">i", 0), [None])
		out = self.cmd(0x147, [ak.handle, ek], blob + secret, [None, h]).b2()
		self.handles.remove(h) # the TPM ends a session that is not continued
		return out

	# ---- attestations: (TPMS_ATTEST, TPMT_SIGNATURE)

	def quote(self, ak, qualifying, banks):
		r = self.cmd(0x158, [ak.handle], b2(qualifying) + struct.pack(">H", ALG_NULL) + selection(banks), [None])
		return r.b2(), r.rest()

	def certify(self, ak, key, qualifying):
		r = self.cmd(0x148, [key.handle, ak.handle], b2(qualifying) + struct.pack(">H", ALG_NULL), [None, None])
		return r.b2(), r.rest()

	def certify_creation(self, ak, key, qualifying):
		creation_hash, ticket = key.creation
		r = self.cmd(0x14a, [ak.handle, key.handle],
			     b2(qualifying) + b2(creation_hash) + struct.pack(">H", ALG_NULL) + ticket, [None])
		return r.b2(), r.rest()

	def get_time(self, ak, qualifying):
		r = self.cmd(0x14c, [ENDORSEMENT, ak.handle], b2(qualifying) + struct.pack(">H", ALG_NULL), [None, None])
		return r.b2(), r.rest()

	def nv_certify(self, ak, qualifying, index=NV_EK_CERT):
		r = self.cmd(0x184, [ak.handle, index, index],
			     b2(qualifying) + struct.pack(">HHH", ALG_NULL, 32, 0), [None, None])
		return r.b2(), r.rest()

	def sign(self, key, data):
		"""TPM2_Hash and TPM2_Sign: also a restricted key signs anything that does not begin with TPM_GENERATED."""
		r = self.cmd(0x17d, params=b2(data) + struct.pack(">HI", SHA256, ENDORSEMENT))
		digest, ticket = r.b2(), r.rest()
		return self.cmd(0x15d, [key.handle], b2(digest) + struct.pack(">H", ALG_NULL) + ticket, [None]).rest()

	# ---- registers and clock

	def pcrs(self, bank, mask):
		"""Values in ascending order."""
		out = []
		for i in range(24):
			if mask >> i & 1:
				r = self.cmd(0x17e, params=selection([(bank, 1 << i)]))
				r.u32(), r.take(4 + 2 + 1 + 3)
				out += [r.b2() for _ in range(r.u32())]
		return out

	def extend(self, pcr, digest, bank=SHA256):
		self.cmd(0x182, [pcr], struct.pack(">IH", 1, bank) + digest, [None])

	def clock(self):
		r = self.cmd(0x181)
		r.u64()
		return {"clock": r.u64(), "reset": r.u32(), "restart": r.u32(), "safe": r.take(1)[0]}
