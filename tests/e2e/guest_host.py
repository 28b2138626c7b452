# SPDX-License-Identifier: Apache-2.0
"""A host of the lab that really boots: assay-attest runs in the guest, over the kernel's TPM driver."""
import base64
import json
import os
import types

import guest_machine
import lab as L
import tpm
import wire

STATE = "/run/attest"
TPM_DEVICE = "/dev/tpm0"
NAME_FIRMWARE, NAME_IMA = "binary_bios_measurements", "binary_runtime_measurements"
FIRMWARE_LOG = "/sys/kernel/security/tpm0/" + NAME_FIRMWARE
IMA_LOG = "/sys/kernel/security/ima/" + NAME_IMA


class GuestTpm(tpm.Tpm):
	"""Raw commands to the guest's TPM: one write and one read of the device for each."""

	def __init__(self, machine):
		self.machine, self.handles = machine, []

	def __exit__(self, *_):
		for h in self.handles[:]:
			self.flush(h)

	def _exchange(self, frame):
		# The answer is lost when the device is closed in between, so both are done on one descriptor.
		a = self.machine.shell("printf %%s %s | base64 -d >/tmp/.tpm; { cat /tmp/.tpm >&4; dd bs=4096 count=1 <&4 2>/dev/null; } "
				       "4<>%s" % (base64.b64encode(frame).decode(), TPM_DEVICE))
		return int.from_bytes(a.out[6:10], "big"), a.out[10:]


class GuestHost(L.Host):
	"""boot() and power_off() as often as wanted; what assay-attest keeps on disk survives, as it does on a machine."""

	def __init__(self, lab, index):
		super().__init__(lab, index, [])
		self.machine, self.n_boots, self.kept, self.boot_times = None, 0, None, []

	# ---- power

	def boot(self, image, secure_boot=True):
		control = self.lab.path("tpm", "tpm-%d" % self.index, "sock.ctrl")
		self.lab.harness("reset", "--index", str(self.index))
		self.machine = guest_machine.Machine(self.lab.path("machine-%d" % self.n_boots), image, control, self.lab.port,
						     secure_boot)
		self.n_boots += 1
		self.boot_times.append(self.machine.boot_s)
		self.machine.forward()
		self.machine.put("/run/ca.pem", L.read_text(self.lab.ca).encode())
		if self.kept is not None:
			self.machine.put("/tmp/state.tar", self.kept)
			self.machine.shell("tar -C /run -xpf /tmp/state.tar")

	def power_off(self):
		m = self.machine
		if m is None:
			return
		self.kept = m.shell("tar -C /run -cf - attest").out
		self.machine = None
		m.power_off()

	def close(self):
		if self.machine is not None:
			self.machine.kill()

	# ---- assay-attest

	def argv(self, verb, *args):
		return ["assay-attest", verb, "--state-dir", STATE, *args]

	def cmd(self, verb, *args, status=0, **k):
		a = self.machine.run(*self.argv(verb, *args), status=status)
		return types.SimpleNamespace(returncode=a.status, stdout=a.out.decode(), stderr=a.err.decode())

	def enrol(self, *args, status=0):
		r = self.json("enrol", "--verifier", self.lab.issuer, "--ca", "/run/ca.pem", *args, status=status)
		self.id = r["host"]
		return r

	def run_argv(self, *cmd, agent="agent", image="/srv/img", model="/srv/mdl", args=()):
		return self.argv("run", "--agent", agent, "--image", image, "--model", model, *args, "--", *cmd)

	def start(self):
		"""An agent in the guest that lives on; its instance."""
		command = " ".join(self.run_argv("/bin/sh", "-c", "'echo $ASSAY_INSTANCE; exec sleep 9999'"))
		self.machine.shell(command + " >/tmp/agent.out 2>/tmp/agent.err & echo $! >/tmp/agent.pid")
		return L.wait_for("the agent", self.agent_started)

	def agent_started(self):
		a = self.machine.shell("cat /tmp/agent.out; test -d /proc/$(cat /tmp/agent.pid)", status=None)
		if not a.out and a.status:
			raise L.Failure("run ended: " + self.machine.get("/tmp/agent.err").decode(errors="replace"))
		return a.out.decode().strip()

	def stop(self):
		self.machine.shell("kill $(cat /tmp/agent.pid); while test -d /proc/$(cat /tmp/agent.pid); do sleep 0.1; done")

	def proof(self, instance, token, method="GET", url=L.RESOURCE + "/things"):
		self.machine.put("/tmp/token", token.encode() + b"\n")
		return self.cmd("proof", "--instance", instance, "--method", method, "--url", url, "--token-file",
				"/tmp/token").stdout.strip()

	# ---- what was measured

	def tpm(self):
		return GuestTpm(self.machine)

	def capture(self):
		"""
		{file name: bytes} of this boot: a quote by a key made for it, then the registers, then both logs, which may be
		longer than what was quoted. Registers 0 to 15 of the bank SHA-256.
		"""
		nonce = wire.sha256(b"assay captured boot")
		with self.tpm() as t:
			ak = t.create_primary(tpm.ENDORSEMENT, tpm.signing())
			message, signature = t.quote(ak, nonce, [(tpm.SHA256, 0xffff)])
			pcrs = {str(i): v.hex() for i, v in enumerate(t.pcrs(tpm.SHA256, 0xffff))}
			public = ak.public
		boot = {"kernel": self.machine.run("uname", "-r").out.decode().strip(),
			"command_line": self.machine.get("/proc/cmdline").decode().strip(), "nonce": nonce.hex(),
			"pcrs": {"sha256": pcrs}}
		return {NAME_FIRMWARE: self.machine.get(FIRMWARE_LOG), NAME_IMA: self.machine.get(IMA_LOG),
			"quote.msg": message, "quote.sig": signature, "ak.pub": public,
			"boot.json": json.dumps(boot, indent=1, sort_keys=True).encode() + b"\n"}


def save(folder, files):
	os.makedirs(folder, exist_ok=True)
	for name, data in files.items():
		with open(os.path.join(folder, name), "wb") as f:
			f.write(data)
