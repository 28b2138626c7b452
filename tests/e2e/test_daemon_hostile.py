#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Callers that want another's identity, or the daemon's time: connections handed on, process numbers used again, nested
containers, requests that are slow, large or rubbish, a thousand connections. Who is who is tested in test-attest-caller.c;
here it is the whole daemon, and whether others are served meanwhile."""
import json
import os
import random
import signal
import sys
import time

sys.dont_write_bytecode = True

import daemon_lab as D
import lab as L
from daemon_lab import Agent, refused
from lab import check, equal, wait_for

NONCE = "00" * 16


def setup(lab):
	D.setup(lab, "--interval", "12h")
	# The first attestation is over, so that what tests count is theirs.
	lab.daemon.attested(0)
	# One abstract address for agents to hand things to one another.
	lab.meet = "@assay-meet-%d" % os.getpid()


def served(lab, agent):
	equal(agent.ok("identity")["instance"], agent.instance, "identity of an agent that behaves")


def fds(lab):
	return len(os.listdir("/proc/%d/fd" % lab.daemon.p.pid))


class still:
	"""Afterwards the daemon has the descriptors that it had before, no children, and serves."""

	def __init__(self, lab, agent):
		self.lab, self.agent = lab, agent

	def __enter__(self):
		served(self.lab, self.agent)
		self.before = settled(self.lab)

	def __exit__(self, kind, *_):
		if kind is None:
			served(self.lab, self.agent)
			wait_for("the daemon's rest", lambda: fds(self.lab) <= self.before and not children(self.lab))


def children(lab):
	return L.read_text("/proc/%d/task/%d/children" % (lab.daemon.p.pid, lab.daemon.p.pid)).split()


def settled(lab):
	wait_for("the daemon's rest", lambda: not children(lab) and lab.daemon.status()["connections"] <= 3)
	return fds(lab)


# ---- connections that change hands

def test_connection_used_by_a_child(lab):
	"""A child has its parent's connection, and a number of its own: it must connect by itself."""
	with Agent(lab.h) as a:
		r = a.do("""
s = connect()
n = hello(s)
def use():
	send(s, n, "identity")
	return receive(s)
answer = in_child(use)
""")
		refused(r, "E_AUTH_REFUSED", "speaks for who made it")


def hand_over(lab, giver, taker, python):
	"""The giver connects and hands socket s and nonce n to the taker, which runs this with them."""
	taker.do("meet = socket.socket(socket.AF_UNIX); meet.bind('\\0%s'); meet.listen()" % lab.meet[1:])
	giver.do("s = connect(); n = hello(s); m = socket.socket(socket.AF_UNIX); m.connect('\\0%s'); give(m, s.fileno()); "
		 "answer = n" % lab.meet[1:])
	n = giver.do("answer = n")
	r = taker.do("c, _ = meet.accept(); s = socket.socket(fileno=take(c)); s.settimeout(60); n = %r\n%s\nmeet.close(); c.close(); "
		     "s.close()" % (n, python))
	giver.do("m.close(); s.close()")
	return r


def test_connection_of_another_instance(lab):
	"""Nobody gets the identity of the one or of the other."""
	with Agent(lab.h) as a, Agent(lab.h) as b:
		r = hand_over(lab, a, b, "send(s, n, 'identity'); answer = receive(s)")
		refused(r, "E_AUTH_REFUSED", "speaks for who made it")
		r = hand_over(lab, a, b, "send(s, n, 'token', scope='read', resource=%r, task='t', expected_s=60); answer = receive(s)" %
			      L.RESOURCE)
		refused(r, "E_AUTH_REFUSED", "speaks for who made it")
		served(lab, a)
		served(lab, b)


def test_connection_whose_maker_has_ended(lab):
	"""Its reply would go to whoever holds the connection now."""
	with Agent(lab.h) as a:
		equal(a.do("""
s, t = socket.socketpair()
def make():
	c = connect()
	n = hello(c)
	send(c, n, "token", scope="read", resource=%r, task="t", expected_s=60)
	give(t, c.fileno())
	return n
in_child(make)
c = socket.socket(fileno=take(s))
c.settimeout(60)
answer = receive(c)
""" % L.RESOURCE), None, "what came on the connection of a process that has ended")


def test_pid_reused_between_connect_and_look(lab):
	"""
	While the daemon stands still, a process of one instance connects and ends, its connection stays open elsewhere, and a
	process of another instance gets its number. The daemon then sees the second instance behind the first one's
	connection; it gets no request from it.
	"""
	with Agent(lab.h) as thief, Agent(lab.h) as victim:
		settled(lab)
		lab.daemon.p.send_signal(signal.SIGSTOP)
		try:
			pid = thief.do("""
s, t = socket.socketpair()
def make():
	c = connect()
	# Whatever is sent before the nonce is known is worth nothing.
	send(c, "%s", "identity")
	give(t, c.fileno())
	return os.getpid()
answer = in_child(make)
c = socket.socket(fileno=take(s))
c.settimeout(60)
""" % NONCE)
			reuse(victim, pid)
		finally:
			lab.daemon.p.send_signal(signal.SIGCONT)
		r = thief.do("""
answer = []
try:
	n = receive(c)["nonce"]
	answer.append("asked")
	send(c, n, "token", scope="read", resource=%r, task="t", expected_s=60)
except (KeyError, OSError) as e:
	pass
try:
	while True:
		x = receive(c)
		if x is None:
			break
		answer.append(x)
except ConnectionResetError:
	# The daemon has closed with our second packet unread: then the kernel may drop its reply to the first.
	answer.append({"outcome": "refused"})
except OSError as e:
	pass
""" % L.RESOURCE)
		# What makes the case: the daemon did take the connection for the victim's.
		check(r and r[0] == "asked", "the number was not taken for the victim's: %r" % r)
		check(all(x == "asked" or x.get("outcome") == "refused" for x in r), "the thief has an answer: %r" % r)
		check(any(x != "asked" for x in r), "no refusal: %r" % r)
		served(lab, victim)
		victim.do("os.kill(reused, 9); os.waitpid(reused, 0)")


def reuse(agent, pid):
	"""Makes the agent fork a child with this number: the counter of the pid namespace is set to just before it."""
	for _ in range(200):
		with open("/proc/sys/kernel/ns_last_pid", "w") as f:
			f.write(str(pid - 1))
		got = agent.do("""
reused = os.fork()
if reused == 0:
	signal_wait = open("/proc/self/stat").read()
	while True:
		import time
		time.sleep(1000)
answer = reused
""")
		if got == pid:
			return
		agent.do("os.kill(reused, 9); os.waitpid(reused, 0)")
	raise L.Skip("others took the number each time")


# ---- nested containers

def test_nested_container(lab):
	"""An agent makes namespaces of its own, as rootless containers do: root inside, and nobody to the daemon."""
	with Agent(lab.h) as a:
		if a.do("answer = run('unshare', '-Ur', 'true')")["status"] != 0:
			raise L.Skip("users may not make namespaces here")
		for options, word in (("-U", "user"), ("-Ur", "user"), ("-Urm", "user"), ("-Urpf", "pid"), ("-UrC", "user"),
				      ("-Urpfm --mount-proc", "pid")):
			p = a.do("""
p = subprocess.run(["unshare", *%r, "/usr/bin/python3", sys.argv[0]], input=json.dumps("answer = receive(connect())") + "\\n",
		   stdout=subprocess.PIPE, text=True)
answer = json.loads(p.stdout.splitlines()[1])
""" % options.split())
			refused(p, "E_AUTH_REFUSED", word + " namespace")
		served(lab, a)


def test_container_made_after_the_look(lab):
	"""It was an agent when it connected, and is in a container of its own when it asks."""
	with Agent(lab.h) as a:
		r = a.do("""
import ctypes
def late():
	s = connect()
	n = hello(s)
	if ctypes.CDLL(None, use_errno=True).unshare(0x10000000) != 0:
		return None
	send(s, n, "identity")
	return receive(s)
answer = in_child(late)
""")
		if r is None:
			raise L.Skip("users may not make namespaces here")
		refused(r, "E_AUTH_REFUSED", "user namespace")


# ---- ends

def test_end_of_a_killed_run_is_noticed(lab):
	"""kill -9 of run: its end is in log and register and with the verifier, long before the next attestation is due."""
	agent = Agent(lab.h)
	t, jkt = agent.token(), agent.ok("identity")["jkt"]
	equal(lab.api.ask(t, agent.proof(t)).json().get("active"), True, "token before")
	agent.kill()
	wait_for("the verifier's word of the end", lambda: not lab.db("SELECT 1 FROM instance WHERE jkt = ?", jkt))
	s = lab.h.json("status")
	equal((s["log"]["pcr"], s["instances"]), ("explained", []), "log")
	with Agent(lab.h) as other:
		equal(lab.api.ask(t, other.proof(t)).json(), {"active": False}, "token after")


# ---- what is sent

def test_rubbish(lab):
	"""Each is refused by name; none of it costs the daemon anything but the refusal."""
	cases = [
		(b"", None), (b"\0", "E_PEER_SYNTAX"), (b"{}", "E_PEER_MISSING"), (b"[]", "E_PEER_TYPE"), (b"null", "E_PEER_TYPE"),
		(b"{" * 1000, "E_LIMIT_DEPTH"), (b'{"nonce":1}', "E_PEER_TYPE"), (b"x" * 65536, "E_PEER_SYNTAX"),
		(b"x" * 65537, "E_LIMIT_SIZE"), (b"[" * 65536, "E_LIMIT_DEPTH"), (b'"' + b"\\u0000" * 9 + b'"', "E_PEER_SYNTAX"),
		(json.dumps({"nonce": NONCE, "request": "identity"}).encode(), "E_AUTH_NONCE"),
		(json.dumps({"nonce": "N", "request": "attest"}).encode(), "E_PEER_UNSUPPORTED"),
		(json.dumps({"nonce": "N", "request": "identity", "instance": NONCE}).encode(), "E_PEER_UNKNOWN_KEY"),
		(json.dumps({"nonce": "N", "request": "token", "scope": "read"}).encode(), "E_PEER_MISSING"),
		(json.dumps({"nonce": "N", "request": "token", "scope": "read", "resource": "r", "task": "../x", "expected_s": 1}).encode(),
		 None),
		(b'{"nonce":"N","nonce":"N","request":"identity"}', "E_PEER_DUPLICATE"),
	]
	generator = random.Random(1)
	cases += [(bytes(generator.randrange(256) for _ in range(generator.randrange(1, 300))), None) for _ in range(20)]
	with Agent(lab.h) as a, still(lab, a):
		for data, name in cases:
			r = a.do("s = connect(); n = hello(s); s.send(bytes.fromhex(%r).replace(b'\"N\"', json.dumps(n).encode())); "
				 "answer = receive(s); s.close()" % data.hex())
			if name is not None:
				refused(r, name)
			else:
				check(r is None or r["outcome"] == "refused", "%r: %r" % (data[:40], r))


def test_one_request_per_connection(lab):
	"""The second is never read; that it was sent may break the connection before the reply is fetched, as kernels do."""
	with Agent(lab.h) as a, still(lab, a):
		r = a.do("""
s = connect()
n = hello(s)
send(s, n, "identity")
try:
	send(s, n, "identity")
except OSError:
	pass
answer = []
for _ in range(3):
	try:
		answer.append(receive(s))
	except OSError:
		pass
answer = [x["outcome"] for x in answer if x is not None]
""")
		equal(r, ["ok"], "replies")


def test_slow(lab):
	"""A connection without a request is ended, in words; others are served meanwhile."""
	with Agent(lab.h) as slow, Agent(lab.h) as a, still(lab, a):
		slow.do("waiting = [connect() for _ in range(8)]; [hello(s) for s in waiting]")
		served(lab, a)
		served(lab, slow)
		r = slow.do("answer = [receive(s) for s in waiting]; [s.close() for s in waiting]")
		for x in r:
			equal((x["outcome"], x["error"]), ("error", "E_LOCAL_TIMEOUT"), "end of a slow one")


def test_callers_that_hang_up(lab):
	"""Before the nonce, after it, after the request: what was begun is brought to its end, and nothing stays."""
	with Agent(lab.h) as a, still(lab, a):
		for after in ("", "hello(s)", "send(s, hello(s), 'proof', method='GET', url='https://x/')"):
			for _ in range(5):
				a.do("s = connect()\n%s\ns.close()" % (after or "pass"))


# ---- how much

def test_thousand_connections(lab):
	"""Of one instance: it has its sixteen, is told so for the others, and nobody else notices."""
	with Agent(lab.h) as many, Agent(lab.h) as a, still(lab, a):
		r = many.do("""
import collections
open_ones, seen = [], collections.Counter()
for i in range(1000):
	s = connect()
	x = receive(s)
	seen["asked" if "nonce" in x else x["error"]] += 1
	open_ones.append(s)
answer = dict(seen)
""")
		equal(sum(r.values()), 1000, "connections")
		# Those that were slow were ended meanwhile, and made room for as many.
		check(16 <= r["asked"] <= 160 and r["E_LIMIT_RATE"] >= 840, "%r" % r)
		served(lab, a)
		check(fds(lab) < 120, "descriptors of the daemon: %d" % fds(lab))
		many.do("[s.close() for s in open_ones]")


def test_thousand_strangers(lab):
	"""They hold nothing, not even a connection."""
	with Agent(lab.h) as a, still(lab, a):
		p = lab.run("/usr/bin/python3", lab.path("agent.py"), user=65534, group=65534, extra_groups=[], stdin=json.dumps("""
import collections
PATH = %r
open_ones, seen = [], collections.Counter()
for i in range(1000):
	s = connect()
	seen[receive(s)["error"]] += 1
	open_ones.append(s)
answer = dict(seen)
""" % lab.daemon.path) + "\n")
		equal(json.loads(p.stdout.splitlines()[1]), {"E_AUTH_UNKNOWN": 1000}, "what they got")
		served(lab, a)
		check(fds(lab) < 120, "descriptors of the daemon: %d" % fds(lab))


def test_one_that_asks_a_lot_does_not_keep_others_waiting(lab):
	"""Fifteen requests are there, and then comes another instance's: it is not the last that is served."""
	with Agent(lab.h) as greedy, Agent(lab.h) as a, still(lab, a):
		greedy.do("asking = [connect() for _ in range(15)]; nonces = [hello(s) for s in asking]")
		a.do("s = connect(); n = hello(s)")
		begin = len(L.read_text(lab.daemon.log))
		lab.daemon.p.send_signal(signal.SIGSTOP)
		try:
			greedy.do("[send(s, n, 'proof', method='GET', url='https://x/') for s, n in zip(asking, nonces)]")
			a.do("send(s, n, 'identity')")
		finally:
			lab.daemon.p.send_signal(signal.SIGCONT)
		equal(a.do("answer = receive(s); s.close()")["outcome"], "ok", "answer of the other")
		equal(greedy.do("answer = [receive(s)['outcome'] for s in asking]; [s.close() for s in asking]"), ["ok"] * 15, "answers")
		order = [line.split()[1].rstrip(":") for line in L.read_text(lab.daemon.log)[begin:].splitlines() if " ms" in line]
		equal(len(order), 16, "answers in the log")
		check(order.index(a.instance) < 8, "the other one was served as number %d" % (order.index(a.instance) + 1))


def test_root_that_floods(lab):
	with Agent(lab.h) as a, still(lab, a):
		import agent as callers
		ones = [callers.connect(lab.daemon.path) for _ in range(40)]
		first = [callers.receive(s) for s in ones]
		equal(sum("nonce" in x for x in first), 32, "connections of root")
		served(lab, a)
		for s in ones:
			s.close()


if __name__ == "__main__":
	sys.exit(L.main(setup, needs_root=True))
