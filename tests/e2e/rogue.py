# SPDX-License-Identifier: Apache-2.0
"""A hostile host: a real TPM, but a program of its own in the place of assay-attest.

It enrols, measures and quotes as an honest one does; each step takes what a test wants to do differently. That it is
written a second time, from protocol/assay.cddl and evidence.h, also shows that these say enough."""
import os
import struct

import tpm
from lab import equal, failed_check, passed
from tpm import ENDORSEMENT, NULL, SHA256, Tpm, name_of
from wire import Pairs, b64u, cbor, sha256, unb64u, uncbor_at

WORKLOAD_PCR = 13
LOG_PART = 3 << 20 # of the workload log in one message
CONTENT_TYPE = 16723
BANK_ALG = {"sha1": 0x0004, "sha256": 0x000b, "sha384": 0x000c, "sha512": 0x000d}
CLAIM = {"issuer": 1, "host": 2, "ak_name": 3, "boot": 4, "nonce": 5, "selection": 6, "log_offset": 7, "log_records": 8,
	 "log_pcr": 9, "instances": 10}


def evidence_hash(nonce, claims):
	return sha256(b"assay evidence v1\0", nonce, sha256(claims))


def key_hash(nonce, claims, name):
	return sha256(b"assay key v1\0", nonce, sha256(claims), name)


def content_digest(content):
	return sha256(b"assay workload v1\0", struct.pack(">I", CONTENT_TYPE), content)


def record(number, content, pcr=WORKLOAD_PCR, digest=None):
	return cbor({0: number, 1: pcr, 3: {SHA256: digest or content_digest(content)}, CONTENT_TYPE: content})


def event_begin(before=bytes(32)):
	return cbor({0: 0, 1: {SHA256: before}})


def event_start(instance, agent, image, model, key_name, args=bytes(32), container=None):
	"""container: (digest of the root, digest of the policy) of what runs in one."""
	m = {0: 1, 2: instance, 3: agent, 4: list(image), 5: list(model), 6: args, 7: key_name}
	return cbor(m if container is None else {**m, 9: list(container)})


def event_changed(instance, image, model, container=None):
	m = {0: 2, 2: instance, 4: list(image), 5: list(model)}
	return cbor(m if container is None else {**m, 9: list(container)})


def event_end(instance):
	return cbor({0: 3, 2: instance})


def event_resume(restart):
	return cbor({0: 4, 8: restart})


def certified(public, attest, signature):
	return {1: public, 2: attest, 3: signature}


def image_digests(image):
	"""Of what lab.make_image() gives."""
	return bytes.fromhex(image["digest"]), bytes.fromhex(image["config_digest"])


class Evidence:
	"""The members of one evidence message, to be changed before encode()."""

	def __init__(self):
		self.claims, self.quote, self.signature, self.pcrs, self.log = b"", b"", b"", [], b""
		self.boot, self.keys = None, []

	def pairs(self):
		p = Pairs([(1, self.claims), (2, self.quote), (3, self.signature), (4, self.pcrs), (5, self.log)])
		if self.boot is not None:
			p.append((6, self.boot))
		p.append((7, self.keys))
		return p

	def encode(self):
		return cbor(self.pairs())


class TpmKey:
	"""A workload key of a rogue; signs like wire.SoftKey."""

	def __init__(self, rogue, private, public):
		self.rogue, self.private, self.public, self.name = rogue, private, public, name_of(public)

	def jwk(self):
		return tpm.jwk_of(self.public)

	def load(self, t):
		null = t.create_primary(NULL, tpm.storage())
		k = t.load(null, self.private, self.public)
		null.flush()
		return k

	def sign(self, data):
		with self.rogue.tpm() as t:
			k = self.load(t)
			out = t.cmd(0x15d, [k.handle], tpm.b2(sha256(data)) + struct.pack(">HHI", tpm.ALG_NULL, 0x8024, NULL) +
				    tpm.b2(b""), [None]).rest()
		return tpm.raw_signature(out)


class Rogue:
	def __init__(self, lab, index, ak=None):
		"""ak: template of its attestation key."""
		self.lab, self.index, self.template = lab, index, ak or tpm.signing()
		with self.tpm() as t:
			self.ek_public = t.read_public(tpm.EK_RSA)
			try:
				self.ek_cert = t.ek_cert()
			except tpm.TpmError:
				self.ek_cert = b""
			self.ak_public = self.ak(t).public
		self.ak_name = name_of(self.ak_public)
		self.id = "h-" + sha256(b"assay host v1\0", self.ek_public).hex()[:32]
		self.forget()

	def forget(self):
		"""The log of a boot that is over."""
		self.log, self.n_records, self.keys = b"", 0, {}

	def reboot(self, begin=True):
		"""A TPM reset, the firmware's measurements, and a new log."""
		self.lab.harness("reset", "--index", str(self.index))
		self.lab.boot_measurements(self.index)
		self.forget()
		if begin:
			self.begin()

	def tpm(self):
		return Tpm(self.lab.tpm_socket(self.index))

	def ak(self, t):
		return t.create_primary(ENDORSEMENT, self.template)

	def issuer_cert(self):
		import ssl
		folder = os.path.dirname(os.path.dirname(self.lab.tpm_socket(self.index)))
		with open(os.path.join(folder, "ca", "issuer.pem")) as f:
			return ssl.PEM_cert_to_DER_cert(f.read())

	# ---- enrolment

	def enrol_request(self, **changes):
		"""JSON of step one; a member given as None is left out."""
		m = {"ek_public": b64u(self.ek_public), "ak_public": b64u(self.ak_public)}
		if self.ek_cert:
			m["ek_cert"] = b64u(self.ek_cert)
		m.update(changes)
		return {k: v for k, v in m.items() if v is not None}

	def enrol_first(self, **changes):
		"""Step one: the verifier's reply."""
		with self.lab.client() as c:
			return c.post("/v1/enrol", self.enrol_request(**changes))

	def release(self, challenge):
		"""The secret that this TPM releases for its own attestation key."""
		with self.tpm() as t:
			# TPM2_Clear takes the persistent copy away; the template gives the same key again.
			ek = tpm.EK_RSA
			if t.handles_from(tpm.EK_RSA) != tpm.EK_RSA:
				ek = t.create_primary(ENDORSEMENT, self.ek_public[:-258] + tpm.b2(bytes(256))).handle
			return t.activate(self.ak(t), ek, unb64u(challenge["credential_blob"]),
					  unb64u(challenge["encrypted_secret"]))

	def enrol_second(self, challenge, secret, **changes):
		with self.lab.client() as c:
			return c.post("/v1/enrol/activate", {"request": self.enrol_request(**changes),
				"session": challenge["session"], "secret": b64u(secret)})

	def enrol(self):
		first = self.enrol_first()
		equal(first.status, 200, "enrolment, step one: %r" % first)
		challenge = first.json()
		equal(challenge["host"], self.id, "host id")
		second = self.enrol_second(challenge, self.release(challenge))
		equal(second.status, 200, "enrolment, step two: %r" % second)
		return second.json()

	def approve(self):
		self.lab.approve("host", "rogue-%d" % self.index, "--from", self.id, "--asset", "rack 13")

	# ---- workload log

	def append(self, content, extend=True, log=True):
		if extend:
			with self.tpm() as t:
				t.extend(WORKLOAD_PCR, content_digest(content))
		if log:
			self.log += record(self.n_records, content)
			self.n_records += 1

	def contents(self):
		"""The events of the log, in order."""
		out, off = [], 0
		while off < len(self.log):
			rec, off = uncbor_at(self.log, off)
			out.append(rec[CONTENT_TYPE])
		return out

	def begin(self):
		self.append(event_begin())

	def new_key(self, template=None, instance=None):
		"""Makes the key of a new instance, without telling anybody. Gives the instance id."""
		instance = instance or os.urandom(16)
		with self.tpm() as t:
			null = t.create_primary(NULL, tpm.storage())
			k = t.create(null, template or tpm.signing(tpm.WK_ATTRIBUTES))
			self.keys[instance] = TpmKey(self, k.private, k.public)
		return instance

	def start_event(self, instance, agent="agent", image=None, model=None, container=None):
		return event_start(instance, agent, image or image_digests(self.lab.image), model or self.lab.model,
				   self.keys[instance].name, container=container)

	def start(self, agent="agent", image=None, model=None, template=None, container=None):
		"""A measured instance of the lab's image and model."""
		instance = self.new_key(template)
		self.append(self.start_event(instance, agent, image, model, container))
		return instance

	def changed(self, instance, image=None, model=None, container=None):
		self.append(event_changed(instance, image or image_digests(self.lab.image), model or self.lab.model, container))

	def end(self, instance):
		self.append(event_end(instance))
		del self.keys[instance]

	def tasks(self, size):
		"""Instances that start and end, one after the other, until the log has so many bytes."""
		image = image_digests(self.lab.image)
		log = [self.log]
		with self.tpm() as t:
			while size > 0:
				instance, name = os.urandom(16), b"\0\x0b" + os.urandom(32)
				for content in event_start(instance, "agent", image, self.lab.model, name), event_end(instance):
					t.extend(WORKLOAD_PCR, content_digest(content))
					log.append(record(self.n_records, content))
					self.n_records += 1
					size -= len(log[-1])
		self.log = b"".join(log)

	# ---- attestation

	def boot(self, t):
		"""(null primary's public area, its Name, boot id)."""
		null = t.create_primary(NULL, tpm.storage())
		null.flush()
		c = t.clock()
		return null.public, null.name, sha256(b"assay boot v1\0", null.name, struct.pack(">II", c["reset"], c["restart"]))

	def challenge(self, host=None, boot=None):
		if boot is None:
			with self.tpm() as t:
				boot = self.boot(t)[2]
		with self.lab.client() as c:
			r = c.post("/v1/challenge", {"host": host or self.id, "boot": b64u(boot)})
		equal(r.status, 200, "challenge: %r" % r)
		return r.json()

	def claims(self, challenge, boot_id):
		mask = sum(1 << i for i in challenge["pcrs"])
		return {
			CLAIM["issuer"]: challenge["issuer"],
			CLAIM["host"]: self.id,
			CLAIM["ak_name"]: self.ak_name,
			CLAIM["boot"]: boot_id,
			CLAIM["nonce"]: unb64u(challenge["nonce"]),
			CLAIM["selection"]: [[BANK_ALG[challenge["bank"]], mask]],
			CLAIM["log_offset"]: challenge["log_offset"],
			CLAIM["log_records"]: challenge["log_records"],
			CLAIM["log_pcr"]: unb64u(challenge["log_pcr"]),
			CLAIM["instances"]: [[i, self.keys[i].name] for i in sorted(self.keys)],
		}

	def collect(self, challenge=None, claims=None, quote=None, select=None, certify=None, signer=None, present_all=False):
		"""
		Evidence for a challenge. Hooks:
		  claims(dict)                       changes the claims before they are signed, or gives them as bytes
		  quote(t, ak, qualifying, banks)    in place of TPM2_Quote
		  select                             [(algorithm, mask), ...] to quote in place of what was asked
		  certify(t, ak, key, qualifying)    in place of TPM2_Certify, for workload keys
		  signer(t)                          loads the key that signs in place of the enrolled one
		"""
		challenge = challenge or self.challenge()
		ev = Evidence()
		with self.tpm() as t:
			null_public, null_name, boot_id = self.boot(t)
			c = self.claims(challenge, boot_id)
			encoded = claims(c) if claims else None
			ev.claims = encoded if isinstance(encoded, bytes) else cbor(c)
			nonce = c[CLAIM["nonce"]]
			new = [] if certify is False else [i for i in sorted(self.keys) if present_all or
							   b64u(i) not in challenge["keys_known"]]
			for i in new:
				k = self.keys[i].load(t)
				ak = self.ak(t)
				make = certify or (lambda t, ak, k, q: t.certify(ak, k, q))
				ev.keys.append(certified(k.public, *make(t, ak, k, key_hash(nonce, ev.claims, k.name))))
				k.flush(), ak.flush()
			ak = signer(t) if signer else self.ak(t)
			if not challenge["boot_known"]:
				null = t.create_primary(NULL, tpm.storage())
				ev.boot = certified(null_public, *t.certify(ak, null, key_hash(nonce, ev.claims, null_name)))
				null.flush()
			banks = select if select is not None else [tuple(b) for b in c[CLAIM["selection"]]]
			make = quote or (lambda t, ak, q, b: t.quote(ak, q, b))
			ev.quote, ev.signature = make(t, ak, evidence_hash(nonce, ev.claims), banks)
			for alg, mask in banks:
				ev.pcrs += t.pcrs(alg, mask)
		ev.log = self.log[challenge["log_offset"]:][:LOG_PART]
		return ev

	def attest(self, *a, **k):
		return self.lab.post_evidence(self.collect(*a, **k).encode())

	def show_registers(self):
		"""An attestation that cannot pass yet, from which an operator takes the values."""
		failed_check(self.attest(), "P-platform")

	def join(self):
		"""Enrolled and approved, with a log."""
		self.enrol()
		self.approve()
		self.begin()
		return self

	def must_pass(self):
		"""The honest way, which every attack starts from and which must still work after it."""
		return passed(self.attest())
