#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""X.509 certificates of agents: who gets one, what is in it, and TLS with a key that stays in the TPM."""
import base64
import os
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True

import agent as callers
import daemon_lab as D
import lab as L
import wire
from daemon_lab import Agent, refused
from lab import check, equal, wait_for

CLIENT, SERVER = b"TLS 1.3, client CertificateVerify", b"TLS 1.3, server CertificateVerify"


def setup(lab):
	D.setup(lab)
	lab.approve_agent("agent", "--x509")
	lab.approve_agent("brief", "--x509", "--max-ttl", "4s")
	lab.approve_agent("plain")
	lab.h.attest()
	lab.tls_client = lab.path("tls-client")
	shutil.copy(lab.program("TLS_CLIENT"), lab.tls_client)
	with lab.client() as c:
		lab.bundle = c.get("/v1/spiffe-bundle")
	with open(lab.path("agents.pem"), "w") as f:
		f.write("".join(pem_of(k) for k in lab.bundle.json()["keys"]))
	for name in ("server", "stranger"):
		openssl(lab, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
			"/CN=" + name, "-addext", "subjectAltName=DNS:localhost", "-keyout", lab.path(name + ".key"), "-out", lab.path(name + ".pem"))


def pem_of(jwk):
	return "-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n" % jwk["x5c"][0]


def openssl(lab, *argv, status=0, **k):
	p = lab.run("openssl", *argv, status=None, **k)
	if status is not None and p.returncode != status:
		raise L.Failure("openssl %s: status %d\n%s%s" % (argv[0], p.returncode, p.stdout, p.stderr))
	return p


def certificate(lab, agent, task="task-1"):
	"""A certificate of the agent's in a file that it can read; (path, the whole answer)."""
	answer = agent.ok("certificate", task=task)
	path = lab.path("certificate-" + agent.instance + ".pem")
	with open(path, "w") as f:
		f.write(answer["certificate"])
	os.chmod(path, 0o644)
	return path, answer


def serial(lab, path):
	return openssl(lab, "x509", "-in", path, "-noout", "-serial").stdout.strip().partition("=")[2].lower()


def public_jwk(lab, path):
	pem = openssl(lab, "x509", "-in", path, "-noout", "-pubkey").stdout
	point = base64.b64decode("".join(pem.splitlines()[1:-1]))[-64:]
	return {"kty": "EC", "crv": "P-256", "x": wire.b64u(point[:32]), "y": wire.b64u(point[32:])}


# ---- what an agent gets

def test_bundle_is_public_and_a_bundle(lab):
	"""SPIFFE Trust Domain and Bundle, 4: anyone may fetch it and keep it for a while."""
	equal(lab.bundle.status, 200, "status")
	equal(lab.bundle.headers.get_content_type(), "application/json", "media type")
	check("max-age=" in lab.bundle.headers["Cache-Control"], "it may not be kept")
	b = lab.bundle.json()
	check(b["spiffe_sequence"] > 0 and b["spiffe_refresh_hint"] > 0, "%r" % b)
	equal([(k["use"], len(k["x5c"]), "kid" in k) for k in b["keys"]], [("x509-svid", 1, False)], "keys")
	text = openssl(lab, "x509", "-in", lab.path("agents.pem"), "-noout", "-text").stdout
	check("URI:spiffe://127.0.0.1\n" in text and "CA:TRUE, pathlen:0" in text and "Certificate Sign" in text, text)


def test_agent_gets_a_certificate(lab):
	"""For its own key, named as its tokens are, for both ends of TLS; OpenSSL verifies it by the published CA."""
	with Agent(lab.h) as a:
		path, answer = certificate(lab, a)
		for purpose in ("sslclient", "sslserver"):
			openssl(lab, "verify", "-x509_strict", "-purpose", purpose, "-CAfile", lab.path("agents.pem"), path)
		sub = lab.open_jws(a.token())[1]["sub"]
		equal(answer["spiffe_id"], sub, "SPIFFE ID and a token's sub")
		equal("".join(answer["ca"].split()), "".join(L.read_text(lab.path("agents.pem")).split()), "the CA that comes along")
		text = openssl(lab, "x509", "-in", path, "-noout", "-text").stdout
		for words in ("X509v3 Subject Alternative Name: critical\n                URI:%s\n" % sub,
			      "X509v3 Key Usage: critical\n                Digital Signature\n",
			      "TLS Web Server Authentication, TLS Web Client Authentication\n",
			      "X509v3 Basic Constraints: critical\n                CA:FALSE\n"):
			check(words in text, "%r is not in %s" % (words, text))
		equal(wire.thumbprint(public_jwk(lab, path)), a.ok("identity")["jkt"], "the certificate's key")
		check(0 < answer["expires_in"] <= 300, "life: %r" % answer["expires_in"])
		openssl(lab, "x509", "-in", path, "-noout", "-checkend", str(answer["expires_in"] + 5), status=1)
		row = next(c for c in lab.ctl("credentials") if c["jti"] == serial(lab, path))
		equal((row["scope"], row["task"], row["agent"], row["instance"]), ("x509-svid", "task-1", "agent", a.instance), "its row")


def test_program_writes_and_renews_it(lab):
	"""Into a file, with the CAs beside it; the next one before the last one expires."""
	path, ca = ("/dev/shm/assay-e2e-%d-%s" % (os.getpid(), x) for x in ("certificate", "ca"))
	with Agent(lab.h, agent="brief") as a:
		p = a.cli("certificate", "--task", "t-1")
		equal(p["status"], 0, "exit status: %r" % p)
		check(p["stdout"].startswith("-----BEGIN CERTIFICATE-----\n"), "%r" % p)
		a.do("""
keeper = subprocess.Popen([%r, "certificate", "--task", "kept", "--out", %r, "--ca-out", %r, "--renew"],
	stderr=subprocess.PIPE, text=True)
""" % (lab.path("assay-attest"), path, ca))
		first = wait_for("a certificate in the file", lambda: L.read_text(path))
		second = wait_for("a new one", lambda: L.read_text(path) not in ("", first) and L.read_text(path))
		check(second.startswith("-----BEGIN CERTIFICATE-----\n"), "%r" % second)
		openssl(lab, "verify", "-CAfile", ca, path)
		lab.ctl("revoke", "--task", "kept")
		equal(a.do("answer = keeper.wait(60)"), 1, "exit status")
		check("invalid_grant" in a.do("answer = keeper.stderr.read()"), "no reason")
		check(not os.path.exists(path), "the file is still there")
		os.unlink(ca)
		equal(a.cli("certificate")["status"], 2, "without a task")


# ---- TLS

class Server:
	"""openssl s_server that demands a certificate of an agent, and sends each line back in reverse."""

	def __init__(self, lab, ca):
		self.lab, self.port, self.log = lab, L.free_port(), lab.path("s_server-%d.log" % len(lab.children))
		with open(self.log, "w") as log:
			self.p = lab.spawn("openssl", "s_server", "-accept", "127.0.0.1:%d" % self.port, "-cert", lab.path("server.pem"), "-key",
					   lab.path("server.key"), "-CAfile", ca, "-Verify", "1", "-verify_return_error", "-tls1_3",
					   "-rev", stdout=log, stderr=log)
		wait_for("s_server", lambda: "ACCEPT" in L.read_text(self.log))

	def __enter__(self):
		return self

	def __exit__(self, *_):
		self.p.kill()
		self.p.wait()

	def meet(self, agent, path, *priority):
		"""What became of the agent's connection."""
		return agent.do("answer = run(%r, PATH, %r, %r, %r, *%r)" % (self.lab.tls_client, path, self.lab.path("server.pem"),
									    str(self.port), priority))


def test_mutual_tls(lab):
	"""The TPM's key signs the handshake, with either hash of TLS 1.3; the server knows the agent by its certificate."""
	for cipher, name in (("AES-128-GCM", "SHA256"), ("AES-256-GCM", "SHA384")):
		with Agent(lab.h) as a, Server(lab, lab.path("agents.pem")) as s:
			path, answer = certificate(lab, a)
			p = s.meet(a, path, "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+" + cipher)
			equal((p["status"], p["stdout"].strip()), (0, "olleh"), "TLS with %s: %r\n%s" % (name, p, L.read_text(s.log)))
			check("TLS1.3" in p["stderr"] and cipher in p["stderr"], "%r" % p)


def test_tls_with_what_is_not_ours(lab):
	"""A CA that the server does not know, and the certificate of another instance: no connection."""
	with Agent(lab.h) as a, Agent(lab.h) as b:
		mine, theirs = certificate(lab, a)[0], certificate(lab, b)[0]
		with Server(lab, lab.path("stranger.pem")) as s:
			check(s.meet(a, mine)["status"] == 1, "a server that does not know the CA accepts it")
		with Server(lab, lab.path("agents.pem")) as s:
			p = s.meet(a, theirs)
			check(p["status"] == 1 and not p["stdout"], "the certificate of another with our key: %r" % p)
			p = s.meet(a, mine)
			equal(p["status"], 0, "our own: %r\n%s" % (p, L.read_text(s.log)))


def test_nothing_but_handshakes_is_signed(lab):
	"""No proof, and nothing a byte away from a CertificateVerify; what is signed verifies by the certificate."""
	with Agent(lab.h) as a:
		jwk = public_jwk(lab, certificate(lab, a)[0])
		good = b" " * 64 + CLIENT + b"\0" + os.urandom(32)
		proof = a.proof("x").rpartition(".")[0].encode()
		for bad in (proof[:146], proof[:130], b"", good[1:], good + b"x", good.replace(b"1.3", b"1.2"), good[:-1], b" " * 130):
			refused(a.ask("tls-sign", message=bad.hex()), "E_AUTH_REFUSED")
		equal(a.ask("tls-sign", message=(good + os.urandom(64)).hex())["outcome"], "refused", "too long")
		equal(a.ask("tls-sign", message="0")["outcome"], "refused", "no bytes")
		for content in (good, b" " * 64 + SERVER + b"\0" + os.urandom(48)):
			der = bytes.fromhex(a.ok("tls-sign", message=content.hex())["signature"])
			check(wire.p256_verify(jwk, content, raw(der)), "the signature does not verify")


def raw(der):
	"""ECDSA-Sig-Value to r||s."""
	equal((der[0], der[1], der[2]), (0x30, len(der) - 2, 2), "DER")
	n = der[3]
	r, s = der[4:4 + n], der[6 + n:]
	return b"".join(int.from_bytes(x, "big").to_bytes(32, "big") for x in (r, s))


# ---- who gets none

def test_without_permission(lab):
	"""A document that does not say so permits none; tokens go on."""
	with Agent(lab.h, agent="plain") as a:
		with lab.unchanged("once"):
			refused(a.ask("certificate", task="t"), "E_AUTH_REFUSED", "unauthorized_client", "--x509")
		p = a.cli("certificate", "--task", "t")
		check(p["status"] == 1 and not p["stdout"] and "--x509" in p["stderr"], "%r" % p)
		check(a.token(), "no token")


def test_certificates_of_two_instances(lab):
	"""Each gets its own; the daemon's word decides whose, and nobody can name another."""
	with Agent(lab.h) as a, Agent(lab.h) as b:
		(x, of_a), (y, of_b) = certificate(lab, a), certificate(lab, b)
		check(of_a["spiffe_id"].endswith(a.instance) and of_b["spiffe_id"].endswith(b.instance), "names: %r %r" % (of_a, of_b))
		check(public_jwk(lab, x) != public_jwk(lab, y), "one key for both")
		equal(a.ask("certificate", task="t", instance=b.instance)["outcome"], "refused", "the certificate of another")
		p = a.cli("certificate", "--instance", b.instance, "--task", "t", "--state-dir", lab.h.state)
		check(p["status"] != 0 and not p["stdout"], "an agent goes past the daemon: %r" % p)


def test_process_that_is_nobody(lab):
	"""What no run has started gets neither certificate nor signature, not even as root."""
	for request, members in (("certificate", {"task": "t"}), ("tls-sign", {"message": (b" " * 64 + CLIENT + b"\0" * 33).hex()})):
		with callers.connect(lab.daemon.path) as s:
			callers.send(s, callers.hello(s), request, **members)
			refused(callers.receive(s), "E_AUTH_REFUSED", "not part of an instance")
	p = lab.run("setpriv", "--reuid", "nobody", "--clear-groups", lab.path("assay-attest"), "certificate", "--task", "t",
		    "--socket", lab.daemon.path, status=None)
	check(p.returncode != 0 and not p.stdout, "%r" % p)


def test_instance_that_ended(lab):
	"""Root may ask for an instance, as long as it is there."""
	with Agent(lab.h) as a:
		p = lab.h.cmd("certificate", "--instance", a.instance, "--task", "t")
		check(p.stdout.startswith("-----BEGIN CERTIFICATE-----\n"), "%r" % p.stdout)
	with lab.unchanged("once"):
		p = lab.h.cmd("certificate", "--instance", a.instance, "--task", "t", status=1)
	check("no instance" in p.stderr, p.stderr)


def test_verdict_that_ended(lab):
	"""A verdict that an operator ended gives none until the next one; what was issued is dead in the list."""
	with Agent(lab.h) as a:
		path, _ = certificate(lab, a)
		lab.ctl("revoke", "--host", lab.h.id)
		refused(a.ask("certificate", task="t"), "E_AUTH_REFUSED", "invalid_grant")
		equal(next(c["alive"] for c in lab.ctl("credentials") if c["jti"] == serial(lab, path)), False, "alive")
		lab.h.attest()
		certificate(lab, a)


def test_verdict_that_expired(lab):
	"""Its certificates end with it, and it gives no more."""
	with Agent(lab.h) as a:
		lab.daemon.stop()
		lab.stop_verifier()
		lab.extra_config["verdict_life_s"] = 3
		lab.write_config()
		lab.start_verifier()
		try:
			lab.h.attest()
			life = int(openssl(lab, "x509", "-noout", "-checkend", "4", status=None,
					   stdin=lab.h.cmd("certificate", "--instance", a.instance, "--task", "t").stdout).returncode)
			equal(life, 1, "a certificate outlives its verdict")
			ask = lambda: lab.h.cmd("certificate", "--instance", a.instance, "--task", "t", status=None)
			p = wait_for("the end of the verdict", lambda: next((p for p in [ask()] if p.returncode == 1), None))
			check("invalid_grant" in p.stderr, p.stderr)
		finally:
			del lab.extra_config["verdict_life_s"]
			lab.write_config()
			lab.restart_verifier()
			lab.daemon.start()
			lab.h.attest()


if __name__ == "__main__":
	sys.exit(L.main(setup, needs_root=True))
