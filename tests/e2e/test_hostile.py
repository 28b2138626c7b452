#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Bytes that no program of ours would send: too many, too deep, too slow, of the wrong kind."""
import contextlib
import http.client
import os
import socket
import ssl
import sys
import threading
import time
import warnings

sys.dont_write_bytecode = True

import lab as L
from lab import MEDIA_EVIDENCE, check, equal, passed, refused
from rogue import Rogue
from wire import Pairs, b64u, cbor, cbor_head

MIB = 1 << 20
EVIDENCE = 5 * MIB  # the limit of one message
TIMEOUT_S = 5
PER_ADDRESS = 100
JSON = "application/json"


def setup(lab):
	# What a sanitised verifier has freed it keeps for a while, up to 256 MiB: that is not what is measured here.
	lab.verifier_env = {"ASAN_OPTIONS": lab.env()["ASAN_OPTIONS"] + ":quarantine_size_mb=8"}
	lab.up(tpms=1)
	lab.r = Rogue(lab, 0).join()
	lab.make_world(lab.r)
	lab.r.must_pass()


def memory(lab):
	"""Resident pages of the verifier, in MiB."""
	with open("/proc/%d/status" % lab.verifier.pid) as f:
		return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:")) / 1024


def raw(lab, data, shut=True):
	"""Sends bytes, reads until the verifier closes or has answered; what it said."""
	s = lab.tls()
	out = b""
	try:
		s.settimeout(L.DEADLINE_S)
		s.sendall(data)
		while b"\r\n\r\n" not in out or shut:
			d = s.recv(65536)
			if not d:
				break
			out += d
	except (ssl.SSLError, ConnectionError):
		pass
	finally:
		s.close()
	return out


def status_of(answer):
	return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else None


def head(method, path, *lines):
	return "\r\n".join(["%s %s HTTP/1.1" % (method, path), "Host: 127.0.0.1", "Connection: close"] + list(lines) +
			   ["", ""]).encode()


def still_good(lab):
	passed(lab.r.attest())


# ---- too much

def test_X2_evidence_of_64_mib(lab):
	"""Refused by what Content-Length says, before the body is read, and in chunks when the limit is passed."""
	before = memory(lab)
	with lab.unchanged():
		answer = raw(lab, head("POST", "/v1/attest", "Content-Type: " + MEDIA_EVIDENCE, "Content-Length: %d" % (64 * MIB)))
		equal(status_of(answer), 413, "status for a length of 64 MiB")
		sent = 0
		s = lab.tls()
		try:
			s.sendall(head("POST", "/v1/attest", "Content-Type: " + MEDIA_EVIDENCE, "Transfer-Encoding: chunked"))
			chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
			while sent < 64 * MIB:
				s.sendall(chunk)
				sent += 0x10000
			s.sendall(b"0\r\n\r\n")
		except (ssl.SSLError, ConnectionError):
			pass
		answer = b""
		try:
			answer = s.recv(65536)
		except (ssl.SSLError, ConnectionError, socket.timeout):
			pass
		s.close()
		check(status_of(answer) in (None, 413), "answer to 64 MiB in chunks: %r" % answer[:200])
	check(memory(lab) - before < 16, "memory grew by %d MiB" % (memory(lab) - before))
	still_good(lab)


def test_X2_every_route_has_its_limit(lab):
	"""One byte above the limit."""
	for path, media, limit in (("/v1/challenge", JSON, 64 << 10), ("/v1/token", L.MEDIA_FORM, 64 << 10),
				   ("/v1/introspect", L.MEDIA_FORM, 64 << 10), ("/v1/attest", MEDIA_EVIDENCE, EVIDENCE)):
		answer = raw(lab, head("POST", path, "Content-Type: " + media, "Content-Length: %d" % (limit + 1)))
		equal(status_of(answer), 413, "status of " + path)
	with lab.client() as c:
		refused(c.post("/v1/attest", bytes(EVIDENCE), MEDIA_EVIDENCE), 400)
	still_good(lab)


def test_X1_cbor_that_claims_two_to_the_32_items(lab):
	"""Arrays, maps and strings of lengths that are not there: refused fast and without memory."""
	ev = lab.r.collect()
	p = ev.pairs()
	bad = []
	for major in (2, 3, 4, 5):
		for n in ((1 << 32) - 1, 1 << 32, 1 << 40, (1 << 63) + 1, (1 << 64) - 1, 1 << 28):
			bad.append(cbor_head(major, n))
			bad.append(cbor(Pairs(p[:3])).replace(b"\xa3", b"\xa7", 1) + cbor(4) + cbor_head(major, n))
	before, start = memory(lab), time.monotonic()
	with lab.unchanged(), lab.client() as c:
		for b in bad:
			refused(c.post("/v1/attest", b, MEDIA_EVIDENCE), 400, check="X1")
	check(memory(lab) - before < 32, "memory grew by %d MiB" % (memory(lab) - before))
	check(time.monotonic() - start < 20, "that took too long")
	passed(lab.post_evidence(ev.encode()))


def test_X1_nesting_ten_thousand_deep(lab):
	with lab.unchanged(), lab.client() as c:
		for one in (b"\x81", b"\xa1\x01", b"\x9f", b"\xc0"):
			r = c.post("/v1/attest", one * 10000 + b"\0", MEDIA_EVIDENCE)
			check(r.status in (400, 413), "%r" % r)
			refused(r, r.status, check="X1")
		for one in ("[", '{"a":'):
			r = c.post("/v1/challenge", (one * 10000).encode(), JSON)
			check(r.status in (400, 413), "%r" % r)
			refused(r, r.status)
	still_good(lab)


# ---- JSON

def test_T8_json_traps(lab):
	"""Duplicate and unknown members, NUL, bad UTF-8, huge numbers, bytes behind the end, another type."""
	good = '{"host":"%s","boot":"%s"}' % (lab.r.id, b64u(bytes(32)))
	bad = [good[:-1] + ',"host":"x"}', good[:-1] + ',"more":1}', good + "x", good + good, good[:-1], "", "null", "[]", "1",
	       good.replace('"host"', '"ho\\u0000st"'), good.replace(lab.r.id, lab.r.id + "\\u0000"), good.replace('"boot"', '"Boot"'),
	       '{"host":1e400,"boot":"AA"}', '{"host":%s}' % ("9" * 5000), "\ufeff" + good]
	with lab.unchanged(), lab.client() as c:
		equal(c.post("/v1/challenge", good.encode(), JSON).status, 200, "the good one")
		for b in bad:
			refused(c.post("/v1/challenge", b.encode(), JSON), 400)
		refused(c.post("/v1/challenge", good.replace(lab.r.id, "h-\xff").encode("latin-1"), JSON), 400)


def test_T9_base64url_traps(lab):
	text = b64u(bytes(range(32)))
	with lab.client() as c:
		for bad in (text + "=", text[:-1], text + "A", text.replace("A", "+", 1), text[:-1] + "_", " " + text, text + "\\n"):
			r = c.post("/v1/challenge", ('{"host":"%s","boot":"%s"}' % (lab.r.id, bad)).encode(), JSON)
			check(r.status in (400, 413) and "boot" in refused(r, r.status)["detail"], "%r" % r)


# ---- wrong kind

def test_wrong_media_type(lab):
	with lab.unchanged(), lab.client() as c:
		for path, media in (("/v1/attest", JSON), ("/v1/attest", "application/cbor"), ("/v1/challenge", "text/plain"),
				    ("/v1/enrol", MEDIA_EVIDENCE), ("/v1/attest", None)):
			refused(c.post(path, b"{}", media), 415, "E_PEER_MEDIA_TYPE")
		for path in ("/v1/token", "/v1/revoke"):
			L.oauth_error(c.post(path, b"{}", JSON), 415, "invalid_request")


def test_wrong_method_and_path(lab):
	with lab.client() as c:
		refused(c.get("/v1/attest"), 405, "E_PEER_METHOD")
		for method in ("PUT", "DELETE", "PATCH"):
			refused(c.request(method, "/v1/attest", b"", MEDIA_EVIDENCE), 405, "E_PEER_METHOD")
		for path in ("/", "/v1", "/v1/attest/", "//v1/attest", "/v1/./attest", "/v1/%61ttest", "/v1/attest;x", "/V1/attest",
			     "/v1/../v1/jwks", "/v1/jwks%00", "/" + "a" * 3000):
			refused(c.get(path), 404, "E_PEER_NO_ROUTE")
		equal(c.get("/v1/jwks").status, 200, "the right path")


def test_T34_method_override_and_absolute_form(lab):
	with lab.client() as c:
		refused(c.request("GET", "/v1/attest", headers=[("X-HTTP-Method-Override", "POST")]), 405)


def test_requests_that_are_no_http(lab):
	"""Answered with 4xx or nothing at all; nobody else notices."""
	for data in (b"\0" * 100, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"POST /v1/attest HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
		     b"POST /v1/attest HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
		     b"POST /v1/attest HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		     b"POST /v1/attest HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
		     b"GET /healthz HTTP/1.1\r\n" + b"X-A: b\r\n" * 20000 + b"\r\n",
		     b"GET /healthz HTTP/1.1\r\nX: " + b"a" * 200000 + b"\r\n\r\n", os.urandom(5000)):
		s = status_of(raw(lab, data + b"\r\n"))
		check(s is None or 400 <= s < 600, "status %r for %r" % (s, data[:60]))
	still_good(lab)


def test_plain_http_on_the_tls_port(lab):
	with socket.create_connection(("127.0.0.1", lab.port), timeout=L.DEADLINE_S) as s:
		s.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
		try:
			answer = s.recv(1000)
		except ConnectionError:
			answer = b""
	check(b"200" not in answer, "plain HTTP was answered: %r" % answer)


def test_old_tls_is_refused(lab):
	context = ssl.create_default_context(cafile=lab.ca)
	with warnings.catch_warnings():
		warnings.simplefilter("ignore", DeprecationWarning)
		context.minimum_version = ssl.TLSVersion.TLSv1
		context.maximum_version = ssl.TLSVersion.TLSv1_1
	context.set_ciphers("ALL:@SECLEVEL=0")
	try:
		with socket.create_connection(("127.0.0.1", lab.port), timeout=L.DEADLINE_S) as s:
			context.wrap_socket(s, server_hostname="127.0.0.1")
	except (ssl.SSLError, ConnectionError):
		return
	raise L.Failure("TLS 1.1 was accepted")


# ---- foreign text

def test_V9_foreign_text_in_logs_is_escaped(lab):
	"""Line ends, escapes and long text reach neither the log nor the answer as they are."""
	evil = "h-\n<3>root: all is well\x1b[31m" + "x" * 5000
	with lab.client() as c:
		r = c.post("/v1/challenge", {"host": evil, "boot": b64u(bytes(32))})
		refused(r, 400)
		c.request("GET", "/v1/" + "%0a" * 50)
	log = L.read_text(lab.log)
	check("\x1b" not in log and "\nroot: all" not in log and "<3>root" not in log.replace("\\n<3>root", ""),
	      "foreign text went raw into the log")
	check("x" * 1000 not in log, "foreign text is not capped")


# ---- too slow, too many

def connect_from(lab, address):
	return socket.create_connection(("127.0.0.1", lab.port), timeout=L.DEADLINE_S, source_address=(address, 0))


def ended(s):
	"""Whether the verifier has closed this silent connection."""
	s.setblocking(False)
	try:
		while s.recv(1000):
			pass # an alert
		return True
	except BlockingIOError:
		return False
	except ConnectionError:
		return True


def test_V10_silent_connections_do_not_keep_others_out(lab):
	"""500 that say nothing, or one byte of a handshake: others are served at once, and the time limit ends them all."""
	silent, before = [], memory(lab)
	try:
		for i in range(500):
			s = connect_from(lab, "127.0.0.%d" % (2 + i // PER_ADDRESS))
			if i % 2:
				s.sendall(b"\x16")
			silent.append(s)
		for _ in range(5):
			start = time.monotonic()
			with lab.client() as c:
				equal(c.get("/v1/jwks").status, 200, "status for a good client")
			check(time.monotonic() - start < 5, "a good client waited %.1f s" % (time.monotonic() - start))
			still_good(lab)
		check(memory(lab) - before < 64, "memory grew by %d MiB" % (memory(lab) - before))
		L.wait_for("the end of silent connections", lambda: all(ended(s) for s in silent), 4 * TIMEOUT_S + 20)
	finally:
		for s in silent:
			s.close()
	still_good(lab)


def test_V10_slow_loris(lab):
	"""A request that never ends is cut off by the time limit, though bytes keep coming."""
	s = lab.tls()
	s.settimeout(0.2)
	s.sendall(b"POST /v1/challenge HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n")
	start, over = time.monotonic(), False
	while time.monotonic() - start < 60 and not over:
		try:
			s.sendall(b" ")
			over = not s.recv(1000)
		except (TimeoutError, ssl.SSLWantReadError):
			continue
		except (ssl.SSLError, ConnectionError):
			over = True
	s.close()
	check(over, "a slow request lives for ever")
	check(time.monotonic() - start < 2 * TIMEOUT_S + 25, "it took %.0f s to cut it off" % (time.monotonic() - start))


def test_V10_more_connections_than_one_address_may_have(lab):
	"""The cap holds for this address and nobody else, and closing the surplus makes room again."""
	many = []
	try:
		many = [connect_from(lab, "127.0.0.9") for _ in range(PER_ADDRESS + 20)]
		L.wait_for("the end of the surplus", lambda: sum(ended(s) for s in many) >= 20, TIMEOUT_S)
		still_good(lab)
	finally:
		for s in many:
			s.close()

	def served():
		with contextlib.suppress(OSError, http.client.HTTPException), connect_from(lab, "127.0.0.9") as s:
			tls = ssl.create_default_context(cafile=lab.ca).wrap_socket(s, server_hostname="127.0.0.1")
			tls.sendall(head("GET", "/v1/jwks"))
			return tls.recv(100).startswith(b"HTTP/1.1 200 ")
		return False
	L.wait_for("room for a good client", served)


def test_T28_connection_closed_in_the_middle(lab):
	"""Half a request, then silence: nothing is kept of it."""
	ev = lab.r.collect().encode()
	with lab.unchanged():
		for cut in (10, 100, len(ev) // 2):
			s = lab.tls()
			s.sendall(head("POST", "/v1/attest", "Content-Type: " + MEDIA_EVIDENCE, "Content-Length: %d" % len(ev)) + ev[:cut])
			s.close()
	passed(lab.post_evidence(ev))


def test_many_at_once(lab):
	"""Garbage and honest requests from 32 threads: every answer is the right one."""
	errors = []

	def garbage(n):
		try:
			with lab.client() as c:
				for i in range(20):
					r = c.post("/v1/attest", os.urandom(n * 10), MEDIA_EVIDENCE)
					if r.status not in (400, 403):
						errors.append(r)
		except (OSError, http.client.HTTPException) as e:
			errors.append(e)
	threads = [threading.Thread(target=garbage, args=(i,)) for i in range(1, 33)]
	for t in threads:
		t.start()
	for _ in range(5):
		still_good(lab)
	for t in threads:
		t.join()
	equal(errors, [], "wrong answers")


if __name__ == "__main__":
	sys.exit(L.main(setup, config={"timeout_s": TIMEOUT_S, "max_connections_per_address": PER_ADDRESS}))
