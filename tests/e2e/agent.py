# SPDX-License-Identifier: Apache-2.0
"""An agent: runs under `assay-attest run`, and does what the test writes to its standard input.

Each line is JSON: Python to execute, in one name space for all lines. What it leaves in `answer`, or the exception's
words in {"raised": ...}, goes back as a line. The functions here are what tests use most; see test_daemon.py."""
import array
import json
import os
import socket
import subprocess
import sys

PATH = os.environ.get("ASSAY_SOCKET", "")


def connect(path=None):
	s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
	s.settimeout(60)
	s.connect(path or PATH)
	return s


def receive(s):
	data = s.recv(1 << 17)
	return json.loads(data) if data else None


def hello(s):
	"""The nonce of a new connection; where the daemon refuses to give one, its refusal is raised."""
	h = receive(s)
	if h is None or "nonce" not in h:
		raise Refused(h)
	return h["nonce"]


class Refused(Exception):
	pass


def send(s, nonce, request, **members):
	s.send(json.dumps(dict(members, nonce=nonce, request=request)).encode())


def ask(request, **members):
	"""One whole exchange: the daemon's reply, of whichever kind."""
	s = connect()
	try:
		send(s, hello(s), request, **members)
		return receive(s)
	except Refused as e:
		return e.args[0]
	finally:
		s.close()


def run(*argv, **k):
	p = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **k)
	return {"status": p.returncode, "stdout": p.stdout, "stderr": p.stderr}


def in_child(function):
	"""What function() gives in a forked child."""
	r, w = os.pipe()
	pid = os.fork()
	if pid == 0:
		try:
			out = function()
		except Exception as e:
			out = {"raised": repr(e)}
		os.write(w, json.dumps(out).encode())
		os._exit(0)
	os.close(w)
	with os.fdopen(r) as f:
		text = f.read()
	os.waitpid(pid, 0)
	return json.loads(text)


def give(over, fd):
	"""Sends a descriptor over a Unix socket."""
	over.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])


def take(over):
	_, control, _, _ = over.recvmsg(1, socket.CMSG_SPACE(4))
	return array.array("i", control[0][2])[0]


def main():
	space = globals()
	for line in sys.stdin:
		space["answer"] = None
		try:
			exec(json.loads(line), space)
			out = space["answer"]
		except Exception as e:
			out = {"raised": repr(e)}
		print(json.dumps(out), flush=True)


if __name__ == "__main__":
	print(json.dumps(os.environ.get("ASSAY_INSTANCE")), flush=True)
	main()
