#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the hook adds to the start of a container by runc: the real programs, a software TPM, a daemon that watches.

A start is timed from runc's until the container's first word. With and without the hook take turns. What the digests of
the root and of the model take by themselves is measured on the same files in the same run, by firmware-measure, whose own
start is taken off; the hook has to pay that in any case.

usage: bench-hook.py [--runs N], with the programs' paths in the environment as for tests/e2e."""
import argparse
import os
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))

import container_lab as K
import lab as L
import runtimes as C

GOAL_MS = 30.0
LIMIT_HOST_START_MS = 15.0 # of bench-host


def start_ms(runtime, bundle):
	since = time.monotonic()
	c = C.Container(runtime, bundle)
	took = time.monotonic() - since
	L.equal(c.stop(), 0, "exit status of the container")
	return took * 1000


def elapsed_ms(argv):
	since = time.monotonic()
	subprocess.run(argv, stdout=subprocess.DEVNULL, check=True)
	return (time.monotonic() - since) * 1000


def digest_ms(lab, root):
	program = lab.program("FIRMWARE_MEASURE")
	return elapsed_ms([program, "rootfs", root]) + elapsed_ms([program, "model", lab.path("mdl")]) - 2 * elapsed_ms([program, "--version"])


def rank(values, share):
	ordered = sorted(values)
	return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def main():
	parser = argparse.ArgumentParser()
	parser.add_argument("--runs", type=int, default=40)
	n = parser.parse_args().runs
	lab = L.Lab()
	try:
		K.setup(lab, bare=True)
		runc = K.runtime(lab, "runc")
		bare = K.bundle(lab, "bare", agent=None, hooks=False)
		hooked = K.bundle(lab, "hooked")
		times = [(start_ms(runc, bare), start_ms(runc, hooked), digest_ms(lab, hooked.root)) for _ in range(n)]
	except L.Skip as e:
		print("# %s" % e)
		return 77
	finally:
		errors = lab.close()
	L.equal(errors, [], "what is left")
	added = [with_hook - without - digests for without, with_hook, digests in times]
	for name, values in zip(("without the hook", "with it", "digests alone"), zip(*times)):
		print("# %s: median %.1f ms" % (name, rank(values, 0.5)))
	print("# of which measuring, key and extension may take %.0f ms (bench-host)" % LIMIT_HOST_START_MS)
	for name, share in (("median", 0.5), ("p99", 0.99)):
		value = rank(added, share)
		print("BENCH hook-added-%s %.1f ms limit %.1f ratio %.3f" % (name, value, GOAL_MS, GOAL_MS / value))
	return 0


if __name__ == "__main__":
	sys.exit(main())
