# SPDX-License-Identifier: Apache-2.0
"""A lab for end-to-end tests: the real programs, real software TPMs, one verifier, in one temporary folder.

How to add a case: write a function in a test_<group>.py whose name begins with "test_" and holds the id of the check
(or of the pitfall) that it proves, takes the Lab, and raises when something is not as it must be:

	def test_L1_nonce_of_another_host(lab):
		\"\"\"One sentence: what must be so.\"\"\"
		...
		refused(reply, 403, "E_AUTH_NONCE", check="L1")

Cases of a file run in order and share the Lab; each leaves it as it found it (verifier running, documents in force).
A negative case shows three things: the reason, that nothing was issued or changed (Lab.unchanged()), and that the
service is alive, which the runner checks after every case. Nothing sleeps for a fixed time: wait_for() has a deadline.

Who plays which part: Host is a machine with the real assay-attest; Rogue (rogue.py) is a program of our own on a real TPM
(tpm.py sends raw commands), for what assay-attest would never send; wire.py has CBOR, JWS and DPoP, permissive on purpose.

By hand: tests/e2e/test_x.py --build DIR [PATTERN] runs the cases whose names hold PATTERN; --keep leaves the folder.
The output is TAP."""
import argparse
import base64
import contextlib
import functools
import hashlib
import http.client
import io
import json
import os
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import tarfile
import tempfile
import time
import traceback
import urllib.parse

import wire

REALM = "e2e"
OWNER = "lab"
RESOURCE = "https://api.example/v1"
MEDIA_EVIDENCE = "application/vnd.assay.evidence+cbor"
MEDIA_DSSE = "application/vnd.dsse+json"
MEDIA_FORM = "application/x-www-form-urlencoded"
DEADLINE_S = 60
PROGRAMS = {
	"ASSAY_VERIFIER": "verifier/serve/assay-verifier",
	"ASSAYCTL": "verifier/operate/assayctl",
	"ASSAY_ATTEST": "attest/assay-attest",
	"SWTPM_HARNESS": "swtpm-harness/swtpm-harness",
	"FIRMWARE_MEASURE": "firmware-measure/firmware-measure",
	"START_CONTAINER": "tests/e2e/start-container",
	"TLS_CLIENT": "tests/e2e/tls-client",
}


class Failure(AssertionError):
	pass


class Skip(Exception):
	pass


def check(condition, text):
	if not condition:
		raise Failure(text)


def equal(seen, expected, what):
	if seen != expected:
		raise Failure("%s: expected %r, seen %r" % (what, expected, seen))


def wait_for(what, function, deadline_s=DEADLINE_S):
	"""Asks until the answer is true, at short intervals, and gives it."""
	end = time.monotonic() + deadline_s
	while True:
		answer = function()
		if answer:
			return answer
		if time.monotonic() > end:
			raise Failure("%s did not come about within %d s" % (what, deadline_s))
		time.sleep(0.02)


# ---------------------------------------------------------------- HTTP

class Reply:
	def __init__(self, status, headers, body):
		self.status, self.headers, self.body = status, headers, body

	def json(self):
		try:
			return json.loads(self.body)
		except ValueError:
			raise Failure("status %d with a body that is not JSON: %r" % (self.status, self.body[:200]))

	def __repr__(self):
		return "Reply(%d, %r)" % (self.status, self.body[:600])


class UnixConnection(http.client.HTTPConnection):
	def __init__(self, path):
		super().__init__("localhost", timeout=DEADLINE_S)
		self.path = path

	def connect(self):
		self.sock = socket.socket(socket.AF_UNIX)
		self.sock.settimeout(self.timeout)
		self.sock.connect(self.path)


class Client:
	"""One kept-alive connection."""

	def __init__(self, connection):
		self.c = connection

	def request(self, method, path, body=None, media=None, headers=()):
		"""headers: pairs, so that one may stand twice."""
		if isinstance(body, (dict, list)):
			body, media = json.dumps(body).encode(), media or "application/json"
		if self.c.sock is None:
			self.c.connect()
		self.c.putrequest(method, path)
		for name, value in headers:
			self.c.putheader(name, value)
		if media:
			self.c.putheader("Content-Type", media)
		if body is not None:
			self.c.putheader("Content-Length", str(len(body)))
		try:
			self.c.endheaders(body)
		except (BrokenPipeError, ConnectionResetError):
			pass # refused before the body: the answer is there already
		r = self.c.getresponse()
		return Reply(r.status, r.headers, r.read())

	def get(self, path, **k):
		return self.request("GET", path, **k)

	def post(self, path, body, media=None, **k):
		return self.request("POST", path, body, media, **k)

	def form(self, path, fields, **k):
		pairs = fields.items() if isinstance(fields, dict) else fields
		return self.post(path, urllib.parse.urlencode(list(pairs)).encode(), MEDIA_FORM, **k)

	def close(self):
		self.c.close()

	def __enter__(self):
		return self

	def __exit__(self, *_):
		self.close()


def refused(reply, status, name=None, check=None):
	"""A problem document with this status, error name and check."""
	p = reply.json()
	if reply.status != status or (name and p.get("type") != "urn:assay:error:" + name) or \
	   (check is not None and p.get("check", "") != check):
		raise Failure("expected a refusal %s %s %s, seen %r" % (status, name or "", check or "", reply))
	equal(reply.headers.get_content_type(), "application/problem+json", "media type of a refusal")
	equal(p.get("status"), status, "status inside the problem")
	return p


def oauth_error(reply, status, code):
	p = reply.json()
	if reply.status != status or p.get("error") != code or "access_token" in p:
		raise Failure("expected OAuth error %d %s, seen %r" % (status, code, reply))
	return p


def failed_check(reply, name, state="FAILED"):
	"""A verdict on authentic evidence that fails at this check; gives the failure."""
	r = reply.json()
	if reply.status != 200 or r.get("state") != state or not any(f["check"] == name for f in r.get("failures", [])):
		raise Failure("expected a verdict %s that names %s, seen %r" % (state, name, reply))
	check(not any(x["status"] in ("affirming", "warning") for x in r["results"]), "a result of a failed verdict is good")
	return next(f for f in r["failures"] if f["check"] == name)


def passed(reply):
	r = reply.json()
	if reply.status != 200 or r.get("state") != "VERIFIED" or r.get("failures"):
		raise Failure("expected a verdict VERIFIED, seen %r" % reply)
	return r


# ---------------------------------------------------------------- tokens

def token_form(**changes):
	"""Fields of a token request; one given as None is left out."""
	f = {"grant_type": "client_credentials", "scope": "read", "resource": RESOURCE, "task_id": "task-1",
	     "expected_s": "60"}
	f.update({k: v if v is None else str(v) for k, v in changes.items()})
	return {k: v for k, v in f.items() if v is not None}


def dpop_nonce(client, issuer, key):
	"""The verifier's nonce for proofs, from the refusal that RFC 9449, 8 describes."""
	r = client.form("/v1/token", token_form(), headers=[("DPoP", wire.dpop(key, "POST", issuer + "/v1/token"))])
	oauth_error(r, 400, "use_dpop_nonce")
	equal(len(r.headers.get_all("DPoP-Nonce")), 1, "DPoP-Nonce headers")
	return r.headers["DPoP-Nonce"]


def token_request(client, issuer, key, proof=None, **changes):
	"""POST /v1/token with a proof by key and the verifier's nonce; the Reply. proof: claims that replace its own."""
	nonce = dpop_nonce(client, issuer, key)
	p = wire.dpop(key, "POST", issuer + "/v1/token", **dict({"nonce": nonce}, **(proof or {})))
	return client.form("/v1/token", token_form(**changes), headers=[("DPoP", p)])


def get_token(lab, key, **changes):
	"""An access token, which must be given; the whole answer."""
	with lab.client() as c:
		r = token_request(c, lab.issuer, key, **changes)
	equal(r.status, 200, "token: %r" % r)
	equal(r.headers["Cache-Control"], "no-store", "Cache-Control of a token")
	equal(r.json()["token_type"], "DPoP", "token type")
	return r.json()


def no_token(lab, key, code, status=400, **changes):
	"""A token request that must be refused with this OAuth error, and nothing issued."""
	with lab.unchanged("once"), lab.client() as c:
		return oauth_error(token_request(c, lab.issuer, key, **changes), status, code)


def basic(name, secret):
	return "Authorization", "Basic " + base64.b64encode(("%s:%s" % (name, secret)).encode()).decode()


class Resource:
	"""A service that takes tokens: it asks the verifier about each."""

	def __init__(self, lab, name="api", resources=(RESOURCE,)):
		self.lab, self.name = lab, name
		options = [x for r in resources for x in ("--resource", r)]
		self.secret = lab.ctl("client", "add", name, *options)["secret"]

	def ask(self, token, proof=None, method="GET", url=RESOURCE + "/things", auth=True, **form):
		"""The Reply of /v1/introspect; a form member given as None is left out."""
		f = {"token": token, "dpop": proof, "htm": method, "htu": url}
		f.update(form)
		with self.lab.client() as c:
			return c.form("/v1/introspect", {k: v for k, v in f.items() if v is not None},
				      headers=[basic(self.name, self.secret)] if auth else [])

	def active(self, key, token, **k):
		"""Whether the token, with a fresh proof by key, is active; the claims or None."""
		r = self.ask(token, wire.dpop(key, k.get("method", "GET"), k.get("url", RESOURCE + "/things"), token=token), **k)
		equal(r.status, 200, "introspection: %r" % r)
		if r.json().get("active") is True:
			return r.json()
		equal(r.json(), {"active": False}, "answer about an inactive token")
		return None

	def inactive(self, token, proof=None, **k):
		r = self.ask(token, proof, **k)
		equal((r.status, r.json()), (200, {"active": False}), "introspection")


# ---------------------------------------------------------------- things to measure

def blob_put(layout, data):
	digest = hashlib.sha256(data).hexdigest()
	os.makedirs(os.path.join(layout, "blobs", "sha256"), exist_ok=True)
	with open(os.path.join(layout, "blobs", "sha256", digest), "wb") as f:
		f.write(data)
	return {"digest": "sha256:" + digest, "size": len(data)}


def layer_of(files):
	"""A layer with these files, by name, without compression."""
	out = io.BytesIO()
	with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as t:
		for name, data in files.items():
			member = tarfile.TarInfo(name)
			member.size = len(data)
			t.addfile(member, io.BytesIO(data))
	return out.getvalue()


def make_image(layout, text=b"agent", tag="v1", layer=None):
	"""
	A small OCI image layout. Gives the paths of its blobs by role and the manifest's digest in hex. What is in its only
	layer does not matter where none is given.
	"""
	layer = dict(blob_put(layout, layer or b"layer of " + text), mediaType="application/vnd.oci.image.layer.v1.tar")
	config = dict(blob_put(layout, json.dumps({
		"architecture": "amd64", "os": "linux", "config": {"Cmd": [text.decode()]},
		"rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}}).encode()),
		mediaType="application/vnd.oci.image.config.v1+json")
	manifest = dict(blob_put(layout, json.dumps({
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": config, "layers": [layer]}).encode()),
		mediaType="application/vnd.oci.image.manifest.v1+json",
		annotations={"org.opencontainers.image.ref.name": tag})
	with open(os.path.join(layout, "oci-layout"), "w") as f:
		json.dump({"imageLayoutVersion": "1.0.0"}, f)
	with open(os.path.join(layout, "index.json"), "w") as f:
		json.dump({"schemaVersion": 2, "manifests": [manifest]}, f)
	path = {role: os.path.join(layout, "blobs", "sha256", d["digest"][7:])
		for role, d in (("layer", layer), ("config", config), ("manifest", manifest))}
	return dict(path, digest=manifest["digest"][7:], config_digest=config["digest"][7:])


def make_model(folder, files=None):
	"""A small model. Gives (manifest digest, OMS root), computed here from the description in firmware-measure/model.h."""
	files = files or {"weights/a.bin": b"w" * 4096, "weights/b.bin": b"v" * 100, "config.json": b"{}"}
	manifest, root = b"assay model manifest v1\0", b""
	for name in sorted(files, key=str.encode):
		path = os.path.join(folder, name)
		os.makedirs(os.path.dirname(path), exist_ok=True)
		with open(path, "wb") as f:
			f.write(files[name])
		n = name.encode()
		manifest += len(n).to_bytes(4, "big") + n + len(files[name]).to_bytes(8, "big") + wire.sha256(files[name])
		root += wire.sha256(files[name])
	return wire.sha256(manifest), wire.sha256(root)


# ---------------------------------------------------------------- the lab

TABLES = ("host", "host_state", "instance", "instance_revoked", "credential", "document", "document_high", "trust",
	  "client", "task_ended", "once")


def read_text(path, tail=0):
	try:
		with open(path, errors="replace") as f:
			text = f.read()
	except OSError:
		return ""
	return "\n".join(text.splitlines()[-tail:]) if tail else text


class Lab:
	"""The constructor makes the folder; up() starts things; close() is right after either."""

	def __init__(self, keep=False, config=None):
		"""config: replaces values of the verifier's configuration."""
		self.keep, self.verifier_env = keep, {}
		self.dir = tempfile.mkdtemp(prefix="assay-e2e-", dir="/tmp")
		os.chmod(self.dir, 0o711)
		self.verifier, self.hosts, self.children, self.tpms, self.mounts = None, [], [], [], []
		self.at_close = [] # functions for what the lab does not know of
		self.socket = self.path("admin.sock")
		self.state = self.path("verifier")
		self.log = self.path("verifier.log")
		self.port = free_port()
		self.issuer = "https://127.0.0.1:%d" % self.port
		self.extra_config = config or {}

	def mount_tmpfs(self, name, size):
		"""A small file system of its own at this folder of the lab, for tests that fill it. False where that may not be."""
		path = self.path(name)
		os.makedirs(path, exist_ok=True)
		if subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=700,size=" + size, "tmpfs", path],
				  stderr=subprocess.DEVNULL).returncode:
			return False
		self.mounts.append(path)
		return True

	def up(self, tpms=1):
		"""tpms: how many good ones to make at once; none where the test makes its own and then calls trust()."""
		os.makedirs(self.state, 0o700, exist_ok=True)
		self.make_operator()
		self.write_config()
		self.start_verifier()
		if tpms:
			self.add_tpms(tpms)
			self.trust()

	def path(self, *names):
		return os.path.join(self.dir, *names)

	def program(self, name):
		return os.environ[name]

	# ---- running programs

	def env(self):
		e = dict(os.environ, LC_ALL="C", TSS2_LOG="all+none", PATH="/usr/sbin:/usr/bin:/sbin:/bin")
		e.setdefault("ASAN_OPTIONS", "abort_on_error=0:detect_leaks=1")
		e.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1")
		for name in ("ASSAY_TCTI", "TPM2TOOLS_TCTI"):
			e.pop(name, None)
		return e

	def run(self, *argv, status=0, deadline_s=DEADLINE_S, env=None, stdin=None, **k):
		"""Runs a program to its end. status None: any. Gives CompletedProcess with text. Others are subprocess.run()'s."""
		p = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
				   env=dict(self.env(), **(env or {})), timeout=deadline_s, input=stdin,
				   stdin=None if stdin is not None else subprocess.DEVNULL, cwd=k.pop("cwd", self.dir), **k)
		clean_stderr(p.stderr)
		if status is not None and p.returncode != status:
			raise Failure("%s: expected exit status %s, seen %d\n%s%s" % (
				" ".join(map(str, argv)), status, p.returncode, p.stdout[-2000:], p.stderr[-4000:]))
		return p

	def spawn(self, *argv, **k):
		"""A child that is killed at the end of the lab if it still runs."""
		k.setdefault("stdin", subprocess.DEVNULL)
		p = subprocess.Popen([str(a) for a in argv], env=dict(self.env(), **k.pop("env", {})), cwd=self.dir, **k)
		self.children.append(p)
		return p

	def ctl(self, *args, status=0):
		"""assayctl with --json; the parsed answer, or the CompletedProcess where another status was expected."""
		p = self.run(self.program("ASSAYCTL"), args[0], "--socket", self.socket, "--realm", REALM, "--json",
			     *args[1:], status=status)
		if status != 0:
			return p
		return json.loads(p.stdout) if p.stdout.strip() else None

	def harness(self, verb, *args):
		p = self.run(self.program("SWTPM_HARNESS"), verb, "--dir", self.path("tpm"), "--json", *args)
		return json.loads(p.stdout) if p.stdout.strip() else None

	# ---- verifier

	def write_config(self):
		config = {
			"issuer": self.issuer,
			"realm": REALM,
			"listen": "127.0.0.1:%d" % self.port,
			"admin_socket": self.socket,
			"state_dir": self.state,
			"operators_file": self.path("operators.json"),
			"max_connections": 1024,
			"max_connections_per_address": 512,
		}
		config.update(self.extra_config)
		with open(self.path("verifier.json"), "w") as f:
			json.dump(config, f)

	def start_verifier(self):
		check(self.verifier is None, "the verifier runs already")
		with open(self.log, "a") as log:
			self.verifier = self.spawn(self.program("ASSAY_VERIFIER"), "--config", self.path("verifier.json"), "--dev",
						   stdout=log, stderr=log, env=self.verifier_env)
		wait_for("the verifier's health", self.healthy)

	def healthy(self):
		if self.verifier.poll() is not None:
			raise Failure("the verifier ended with status %d" % self.verifier.returncode)
		try:
			with self.client() as c:
				return c.get("/healthz").status == 200
		except (OSError, http.client.HTTPException):
			return False

	def stop_verifier(self, status=0):
		p, self.verifier = self.verifier, None
		if p is None:
			return
		p.terminate()
		try:
			p.wait(DEADLINE_S)
		except subprocess.TimeoutExpired:
			p.kill()
			p.wait()
			raise Failure("the verifier did not end after SIGTERM")
		equal(p.returncode, status, "exit status of the verifier after SIGTERM")

	def kill_verifier(self):
		p, self.verifier = self.verifier, None
		p.kill()
		p.wait()

	def restart_verifier(self):
		self.stop_verifier()
		self.start_verifier()

	def reload_verifier(self):
		self.verifier.send_signal(signal.SIGHUP)

	@property
	def ca(self):
		return self.path("verifier", "ca.pem")

	def client(self):
		context = ssl.create_default_context(cafile=self.ca)
		return Client(http.client.HTTPSConnection("127.0.0.1", self.port, timeout=DEADLINE_S, context=context))

	def admin(self):
		return Client(UnixConnection(self.socket))

	def tls(self):
		"""A raw TLS socket, for what no HTTP client would send."""
		context = ssl.create_default_context(cafile=self.ca)
		s = socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE_S)
		return context.wrap_socket(s, server_hostname="127.0.0.1")

	def post_evidence(self, evidence):
		with self.client() as c:
			return c.post("/v1/attest", evidence, MEDIA_EVIDENCE)

	def jwks(self):
		with self.client() as c:
			return c.get("/v1/jwks").json()["keys"]

	def open_jws(self, token):
		"""(header, claims), verified with our own arithmetic against the published key."""
		kid = wire.jws_open(token)[0]["kid"]
		return wire.jws_open(token, next(k for k in self.jwks() if k["kid"] == kid))

	def metrics(self):
		with self.client() as c:
			text = c.get("/metrics").body.decode()
		out = {}
		for line in text.splitlines():
			if line and not line.startswith("#"):
				name, _, value = line.rpartition(" ")
				out[name] = float(value)
		return out

	# ---- the store, read behind the verifier's back

	def db(self, sql, *args):
		with contextlib.closing(sqlite3.connect("file:%s?mode=ro" % self.path("verifier", "assay.db"), uri=True,
							timeout=DEADLINE_S)) as c:
			return c.execute(sql, args).fetchall()

	def snapshot(self, *without):
		"""Every durable row but the clock's."""
		return {t: sorted(self.db("SELECT * FROM " + t), key=repr) for t in TABLES if t not in without}

	@contextlib.contextmanager
	def unchanged(self, *without):
		"""What happens inside stores nothing and changes nothing, but in these tables."""
		before = self.snapshot(*without)
		yield
		after = self.snapshot(*without)
		for t in before:
			if before[t] != after[t]:
				gone = [r for r in before[t] if r not in after[t]]
				new = [r for r in after[t] if r not in before[t]]
				raise Failure("table %s changed: %.300r became %.300r" % (t, gone, new))

	def epoch(self, host):
		return self.db("SELECT epoch FROM host_state WHERE host = ?", host)[0][0]

	def host_list(self):
		return {h["host"]: h for h in self.ctl("hosts")}

	# ---- operators

	def make_operator(self):
		p = self.run(self.program("ASSAYCTL"), "key", "new", "--out", self.path("op.key"), "--name", OWNER)
		self.write_operators([json.loads(p.stdout)])

	def write_operators(self, entries):
		self.operators = entries
		with open(self.path("operators.json"), "w") as f:
			json.dump({"operators": entries}, f)

	def approve(self, kind, name, *args, status=0, expires="1d"):
		return self.ctl("approve", kind, name, "--key", self.path("op.key"), "--owner", OWNER, "--expires", expires,
				*args, status=status)

	def withdraw(self, kind, name, *args):
		return self.ctl("withdraw", kind, name, "--key", self.path("op.key"), "--owner", OWNER, *args)

	def upload(self, envelope, path="/v1/admin/documents"):
		with self.admin() as c:
			return c.post(path, envelope, MEDIA_DSSE)

	def explain(self, host):
		return self.ctl("explain", host)

	def trust(self):
		for name in ("root.pem", "issuer.pem"):
			self.ctl("trust", "add", self.path("tpm", "ca", name))

	# ---- TPMs and hosts

	def add_tpms(self, count=1, *options):
		"""Makes TPMs whose registers 0 to 7 hold what a firmware would leave there; gives their indexes."""
		first = len(self.tpms)
		self.tpms = self.harness("up", "--count", str(count), *options)["tpms"]
		for i in range(first, len(self.tpms)):
			self.boot_measurements(i)
		return list(range(first, len(self.tpms)))

	def boot_measurements(self, index):
		from tpm import Tpm
		with Tpm(self.tpm_socket(index)) as t:
			for pcr in range(8):
				t.extend(pcr, wire.sha256(b"firmware %d" % pcr))

	def tpm_socket(self, index):
		return self.path("tpm", "tpm-%d" % index, "sock")

	def host(self, index, *options):
		h = Host(self, index, list(options))
		self.hosts.append(h)
		return h

	def make_world(self, host, *platform_options):
		"""
		Documents under which the agent "agent" passes: image "img", model "mdl", platform "plat" with the registers
		that this enrolled host (Host or Rogue) quotes, scopes "read" and "write" for RESOURCE.
		"""
		os.makedirs(self.path("img"), exist_ok=True)
		os.makedirs(self.path("mdl"), exist_ok=True)
		self.image = make_image(self.path("img"))
		self.model = make_model(self.path("mdl"))
		open_to_all(self.path("img"))
		open_to_all(self.path("mdl"))
		self.approve("image", "img", "--layout", self.path("img"))
		self.approve("model", "mdl", "--path", self.path("mdl"), "--version-name", "1")
		host.show_registers()
		self.approve("platform", "plat", "--from", host.id, "--pcrs", "0-7", *platform_options)
		self.approve_agent()

	def approve_agent(self, name="agent", *more):
		self.approve("agent", name, "--image", "img", "--model", "mdl", "--platform", "plat", "--scope", "read",
			     "--scope", "write", "--resource", RESOURCE, "--minimum-status", "warning", *more)

	# ---- the end

	def close(self):
		errors = []
		for function in self.at_close:
			function()
		for p in self.children:
			if p is not self.verifier and p.poll() is None:
				p.kill()
				p.wait()
		try:
			self.stop_verifier()
		except Failure as e:
			errors.append(str(e))
		errors += sanitizer_reports(read_text(self.log))
		if os.path.isdir(self.path("tpm")):
			p = subprocess.run([self.program("SWTPM_HARNESS"), "down", "--dir", self.path("tpm")], env=self.env(),
					   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
			if p.returncode:
				errors.append("swtpm-harness down: " + p.stderr)
		if not self.keep:
			for path in self.mounts:
				if subprocess.run(["umount", "--lazy", path]).returncode:
					errors.append("cannot unmount " + path)
			shutil.rmtree(self.dir, ignore_errors=True)
		return errors


def open_to_all(path):
	for folder, _, files in os.walk(path):
		os.chmod(folder, 0o755)
		for f in files:
			os.chmod(os.path.join(folder, f), 0o644)


def free_port():
	with socket.socket() as s:
		s.bind(("127.0.0.1", 0))
		return s.getsockname()[1]


def sanitizer_reports(text):
	return [line for line in text.splitlines() if "Sanitizer" in line or "runtime error:" in line]


def clean_stderr(text):
	found = sanitizer_reports(text)
	if found:
		raise Failure("a sanitizer reports: %s\n%s" % (found[0], text[-4000:]))


class Host:
	"""One machine: a TPM, a state folder, and assay-attest."""

	def __init__(self, lab, index, options):
		self.lab, self.index, self.options = lab, index, options
		self.state = lab.path("host-%d-%d" % (index, len(lab.hosts)))
		self.id = None

	def argv(self, verb, *args):
		return [self.lab.program("ASSAY_ATTEST"), verb, "--state-dir", self.state, "--tcti",
			"swtpm:path=" + self.lab.tpm_socket(self.index), *self.options, *args]

	def cmd(self, verb, *args, status=0, **k):
		return self.lab.run(*self.argv(verb, *args), status=status, **k)

	def json(self, verb, *args, status=0, **k):
		p = self.cmd(verb, "--json", *args, status=status, **k)
		try:
			return json.loads(p.stdout)
		except ValueError:
			raise Failure("%s printed no JSON: %r %r" % (verb, p.stdout, p.stderr))

	def enrol(self, *args, status=0):
		r = self.json("enrol", "--verifier", self.lab.issuer, "--ca", self.lab.ca, *args, status=status)
		self.id = r.get("host", self.id)
		return r

	def approve(self, name=None):
		"""The operator's word that this machine is ours."""
		self.lab.approve("host", name or "host-%d" % self.index, "--from", self.id, "--asset", "rack 7")

	def attest(self, *args, status=0):
		return self.json("attest", *args, status=status)

	def show_registers(self):
		"""An attestation that cannot pass yet, from which an operator takes the values."""
		self.attest(status=1)

	def run_argv(self, *cmd, agent="agent", image=None, model=None, args=()):
		return self.argv("run", "--agent", agent, "--image", image or self.lab.path("img"), "--model",
				 model or self.lab.path("mdl"), *args, "--", *cmd)

	def run(self, *cmd, status=0, agent="agent", image=None, model=None, args=(), **k):
		return self.lab.run(*self.run_argv(*cmd, agent=agent, image=image, model=model, args=args), status=status, **k)

	def start(self, **k):
		"""An agent that lives until it is told to end; gives a Running."""
		return Running(self, **k)

	def token(self, instance, status=0, scope="read", resource=RESOURCE, task="task-1", expected="60s"):
		p = self.cmd("token", "--instance", instance, "--scope", scope, "--resource", resource, "--task", task,
			     "--expected", expected, status=status)
		return p.stdout.strip() if status == 0 else p

	def proof(self, instance, token, method="GET", url=RESOURCE + "/things", nonce=None, status=0):
		path = self.lab.path("token-%s" % instance)
		with open(path, "w") as f:
			f.write(token + "\n")
		p = self.cmd("proof", "--instance", instance, "--method", method, "--url", url, "--token-file", path,
			     *(["--nonce", nonce] if nonce else []), status=status)
		return p.stdout.strip() if status == 0 else p

	def log_files(self):
		return sorted(f for f in os.listdir(self.state) if f.startswith("workload-"))


class Running:
	"""assay-attest run with a command that waits for its standard input to end."""

	def __init__(self, host, **k):
		self.host = host
		self.log = host.lab.path("run-%d.log" % len(host.lab.children))
		with open(self.log, "w") as log:
			self.p = host.lab.spawn(*host.run_argv("/bin/sh", "-c", "echo $ASSAY_INSTANCE; read x; exit 0", **k),
						stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
		self.instance = self.p.stdout.readline().strip()
		if not self.instance:
			self.p.wait(DEADLINE_S)
			raise Failure("run did not start its command: status %d\n%s" % (self.p.returncode, read_text(self.log)))

	def stop(self, status=0):
		self.p.stdin.close()
		self.p.wait(DEADLINE_S)
		clean_stderr(read_text(self.log))
		equal(self.p.returncode, status, "exit status of run")

	def __enter__(self):
		return self

	def __exit__(self, kind, *_):
		if self.p.poll() is None:
			if kind is None:
				self.stop()
			else:
				self.p.kill()
				self.p.wait()


# ---------------------------------------------------------------- the runner

def tail_logs(lab):
	logs = [lab.log] + sorted(lab.path(n) for n in os.listdir(lab.dir) if n.startswith("run-"))[-3:]
	for path in logs:
		text = read_text(path, tail=30)
		if text:
			yield "--- %s" % os.path.basename(path)
			yield from text.splitlines()


def diagnose(lines):
	for line in lines:
		print("# " + line)


def main(setup, needs_root=False, **options):
	"""Runs every test_* function of the program, in order, on one Lab(**options) that setup(lab) has filled."""
	os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
	parser = argparse.ArgumentParser()
	parser.add_argument("--build", help="build folder, where the environment does not name the programs")
	parser.add_argument("--keep", action="store_true")
	parser.add_argument("pattern", nargs="?", default="")
	args = parser.parse_args()
	for name, path in PROGRAMS.items():
		if args.build:
			os.environ[name] = os.path.join(os.path.abspath(args.build), path)
	cases = [(n, f) for n, f in vars(sys.modules["__main__"]).items() if n.startswith("test_") and callable(f) and args.pattern in n]
	for program in ("swtpm", "swtpm_setup"):
		if shutil.which(program) is None:
			print("1..0 # SKIP %s is not installed" % program)
			return 0
	if needs_root and os.geteuid() != 0:
		print("1..0 # SKIP needs root: run changes uid")
		return 0
	# A lab is cleaned up on SIGTERM too, which is how meson ends a test that takes too long.
	signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
	return run_cases(cases, setup, Lab(keep=args.keep, **options))


def run_cases(cases, setup, lab):
	bad, errors = 0, []
	try:
		setup(lab)
		print("1..%d" % (len(cases) + 1), flush=True)
		for number, (name, function) in enumerate(cases, 1):
			bad += not run_case(lab, number, name, function)
	except Skip as e:
		print("1..0 # SKIP %s" % e)
		return 0
	except Exception:
		diagnose(traceback.format_exc().splitlines())
		diagnose(tail_logs(lab))
		print("Bail out! the lab could not be set up", flush=True)
		return 1
	finally:
		errors = lab.close()
	print("%s %d - everything_ended_cleanly" % ("not ok" if errors else "ok", len(cases) + 1))
	diagnose(errors)
	if lab.keep:
		print("# kept: " + lab.dir)
	return 1 if bad or errors else 0


def run_case(lab, number, name, function):
	start = time.monotonic()
	try:
		function(lab)
		check(lab.verifier is not None, "the case left no verifier behind")
		check(lab.healthy(), "the verifier is not healthy after the case")
	except Skip as e:
		print("ok %d - %s # SKIP %s" % (number, name, e), flush=True)
		return True
	except Exception:
		print("not ok %d - %s" % (number, name))
		diagnose(traceback.format_exc().splitlines())
		diagnose(tail_logs(lab))
		sys.stdout.flush()
		return False
	print("ok %d - %s # %.1f s" % (number, name, time.monotonic() - start), flush=True)
	return True
