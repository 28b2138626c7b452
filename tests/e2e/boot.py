# SPDX-License-Identifier: Apache-2.0
"""A measured boot without a machine: writes the firmware log, systemd's and the IMA list, and extends a software TPM as they say.

Everything is written here a second time and independently of firmware-measure/. Only the SHA-256 bank is measured.

Source: TCG PC Client Platform Firmware Profile 1.06, 10; UEFI 2.10, 32.4.1; Linux Documentation/security/IMA-templates.rst;
systemd's TPM2_PCR_MEASUREMENTS and systemd-pcrextend(8)."""
import hashlib
import hmac
import json
import struct
import uuid

from tpm import SHA256, Tpm
from wire import sha256

EV_SEPARATOR, EV_NO_ACTION, EV_S_CRTM_VERSION, EV_IPL = 4, 3, 8, 0xd
EV_VARIABLE, EV_APPLICATION, EV_ACTION, EV_AUTHORITY = 0x80000001, 0x80000003, 0x80000007, 0x800000e0
GLOBAL_GUID = uuid.UUID("8be4df61-93ca-11d2-aa0d-00e098032b8c")
SECURITY_GUID = uuid.UUID("d719b2cb-3d3a-4596-a3bc-dad00e67656f")
OWNER_GUID = uuid.UUID("6e2a6a9a-2f4b-4d0e-9b5d-6b8d9e1c7a10")
CERT_SHA256 = uuid.UUID("c1c41626-504c-4092-aca9-41f936934328")
CERT_X509 = uuid.UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072")
IMA_PCR = 10

CALLING = b"Calling EFI Application from Boot Option"
EXIT = (b"Exit Boot Services Invocation", b"Exit Boot Services Returned with Success")


def signature_list(kind, entries, owner=OWNER_GUID):
	"""One EFI_SIGNATURE_LIST; entries of one length."""
	size = 16 + len(entries[0])
	return kind.bytes_le + struct.pack("<III", 28 + size * len(entries), 0, size) + b"".join(
		owner.bytes_le + e for e in entries)


def variable(guid, name, data):
	n = name.encode("utf-16-le")
	return guid.bytes_le + struct.pack("<QQ", len(name), len(data)) + n + data


def image_load(path):
	"""UEFI_IMAGE_LOAD_EVENT with one file path node."""
	p = path.encode("utf-16-le") + b"\0\0"
	node = struct.pack("<BBH", 4, 4, 4 + len(p)) + p + struct.pack("<BBH", 0x7f, 0xff, 4)
	return struct.pack("<QQQQ", 0x1000, 0x1000, 0, len(node)) + node


class Boot:
	"""What a machine does from power-on to its first process; what a test changes is a member before measure()."""

	def __init__(self):
		self.version = "Lab firmware 1.0"
		self.secure_boot = True
		self.pk, self.db = b"\x30platform key" * 8, b"\x30certificate" * 9
		self.dbx = [sha256(b"revoked 1"), sha256(b"revoked 2")]
		self.loader = sha256(b"boot loader")
		self.command_line = "root=/dev/vda1 ro ima_policy=tcb"
		self.files = [("/usr/bin/init", b"init 1"), ("/usr/bin/assay-attest", b"measurer 1")]
		self.more_events = []
		self.n_measured = 0
		self.padded = False  # the kernel cannot hash for the bank: it extends SHA-1 hashes with zeros behind

	def authority(self):
		"""What says which certificate the boot loader was verified with."""
		return variable(SECURITY_GUID, "db", OWNER_GUID.bytes_le + self.db)

	def events(self):
		"""(register, type, data, what the digest is over)."""
		version = self.version.encode("utf-16-le") + b"\0\0"
		yield 0, EV_S_CRTM_VERSION, version, version
		for name, guid, data in (("SecureBoot", GLOBAL_GUID, bytes([self.secure_boot])),
					 ("PK", GLOBAL_GUID, signature_list(CERT_X509, [self.pk])),
					 ("KEK", GLOBAL_GUID, signature_list(CERT_X509, [self.pk])),
					 ("db", SECURITY_GUID, signature_list(CERT_X509, [self.db])),
					 ("dbx", SECURITY_GUID, signature_list(CERT_SHA256, self.dbx))):
			v = variable(guid, name, data)
			yield 7, EV_VARIABLE, v, v
		yield 4, EV_ACTION, CALLING, CALLING
		for pcr in range(8):
			yield pcr, EV_SEPARATOR, bytes(4), bytes(4)
		if self.secure_boot:
			yield 7, EV_AUTHORITY, self.authority(), self.authority()
		yield 4, EV_APPLICATION, image_load("\\EFI\\BOOT\\BOOTX64.EFI"), self.loader
		line = ("/vmlinuz " + self.command_line).encode()
		yield 8, EV_IPL, b"kernel_cmdline: " + line + b"\0", line
		for e in self.more_events:
			yield e
		for action in EXIT:
			yield 5, EV_ACTION, action, action

	def measure(self, tpm_socket):
		"""Boots on this TPM, whose registers are at their reset values."""
		spec = (b"Spec ID Event03\0" + struct.pack("<IBBBBI", 0, 0, 2, 0, 2, 1) + struct.pack("<HH", 0xb, 32) + b"\0")
		self.log = struct.pack("<II", 0, EV_NO_ACTION) + bytes(20) + struct.pack("<I", len(spec)) + spec
		with Tpm(tpm_socket) as t:
			for pcr, kind, data, over in self.events():
				digest = over if kind == EV_APPLICATION else sha256(over)
				self.log += struct.pack("<IIIH", pcr, kind, 1, 0xb) + digest + struct.pack("<I", len(data)) + data
				t.extend(pcr, digest)
			aggregate = sha256(*t.pcrs(SHA256, 0x3ff))
		self.ima, self.n_measured = b"", 0
		self.userspace = b""
		self.run(tpm_socket, [("boot_aggregate", aggregate)], hashed=True)
		self.run(tpm_socket, self.files)

	def entry(self, name, digest):
		fields = (b"sha256:\0" + digest, name.encode() + b"\0")
		return b"".join(struct.pack("<I", len(f)) + f for f in fields)

	def append(self, data, template=b"ima-ng"):
		self.ima += (struct.pack("<I", IMA_PCR) + hashlib.sha1(data).digest() + struct.pack("<I", len(template)) +
			     template + struct.pack("<I", len(data)) + data)

	def run(self, tpm_socket, files, hashed=False):
		"""The kernel measures these (path, content); hashed: the content is its digest already."""
		with Tpm(tpm_socket) as t:
			for name, content in files:
				data = self.entry(name, content if hashed else sha256(content))
				self.append(data)
				t.extend(IMA_PCR, hashlib.sha1(data).digest() + bytes(12) if self.padded else sha256(data))
				self.n_measured += 1

	def measure_fields(self, tpm_socket, template, *fields):
		"""An entry of any template."""
		data = b"".join(struct.pack("<I", len(f)) + f for f in fields)
		self.append(data, template)
		with Tpm(tpm_socket) as t:
			t.extend(IMA_PCR, sha256(data))

	def violation(self, tpm_socket, name):
		data = self.entry(name, bytes(32))
		self.ima += (struct.pack("<I", IMA_PCR) + bytes(20) + struct.pack("<I", 6) + b"ima-ng" +
			     struct.pack("<I", len(data)) + data)
		with Tpm(tpm_socket) as t:
			t.extend(IMA_PCR, b"\xff" * 32)

	def systemd(self, tpm_socket, pcr, kind, text, key=None):
		"""systemd measures a text, or with a key a keyed hash of it, and appends a record."""
		digest = sha256(text.encode()) if key is None else hmac.new(key, text.encode(), hashlib.sha256).digest()
		self.note(pcr, kind, text, digest)
		with Tpm(tpm_socket) as t:
			t.extend(pcr, digest)

	def note(self, pcr, kind, text, digest):
		record = {"pcr": pcr, "digests": [{"hashAlg": "sha256", "digest": digest.hex()}], "content_type": "systemd",
			  "content": {"string": text, "bootId": "71b6a2ba5b134f9ea2f9a4a67e4a0e0e", "timestamp": 1234567,
				      "eventType": kind}}
		self.userspace += b"\x1e" + json.dumps(record, separators=(",", ":")).encode() + b"\n"

	def write(self, log_path, ima_path, userspace_path):
		for path, data in ((log_path, self.log), (ima_path, self.ima), (userspace_path, self.userspace)):
			with open(path, "wb") as f:
				f.write(data)
