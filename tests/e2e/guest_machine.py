# SPDX-License-Identifier: Apache-2.0
"""A virtual machine with firmware and a TPM, in which commands are run: QEMU without KVM, OVMF, swtpm.

The guest has no network but one forwarded port: what it sends to 127.0.0.1:PORT inside arrives at 127.0.0.1:PORT on
this machine. Commands and their answers cross a virtio-serial port (see guest/init). Every wait has a deadline, and
only the process that was started is ever killed."""
import base64
import os
import shlex
import shutil
import socket
import subprocess
import time

import guest_image

QEMU = "qemu-system-x86_64"
BOOT_DEADLINE_S = 300 # 15 to 20 s when nothing else runs; without KVM, a loaded machine takes many times that
COMMAND_DEADLINE_S = 90
FORWARDED = "10.0.2.100"
OUTPUT_MAX = 64 << 20


class MachineError(Exception):
	pass


class Answer:
	def __init__(self, status, out, err):
		self.status, self.out, self.err = status, out, err


class Machine:
	"""
	Boots at once. folder: a new one, for sockets and logs. control: the control socket of a running software TPM, which
	QEMU connects to and which ends with it. port: on the loopback, both here and in the guest. secure_boot: whether the
	firmware has the key that images are signed with, and with it Secure Boot on.
	"""

	def __init__(self, folder, image, control, port, secure_boot=True, env=None):
		self.folder, self.port, self.qemu, self.link = folder, port, None, None
		self.started = time.monotonic()
		os.makedirs(folder, exist_ok=True)
		variables = os.path.join(folder, "vars.fd")
		shutil.copyfile(guest_image.VARIABLES_SIGNED if secure_boot else guest_image.VARIABLES, variables)
		try:
			with socket.socket(socket.AF_UNIX) as listener:
				listener.bind(self.path("command"))
				listener.listen(1)
				listener.settimeout(30)
				self.start(image, control, variables, env)
				self.link = self.wait_for_qemu(listener)
			# The guest says once that it is up.
			self.answer(BOOT_DEADLINE_S)
		except BaseException:
			self.kill()
			raise
		self.boot_s = time.monotonic() - self.started

	def path(self, name):
		return os.path.join(self.folder, name)

	def start(self, image, control, variables, env):
		forward = "guestfwd=tcp:%s:%d-cmd:%s nc 127.0.0.1 %d" % (FORWARDED, self.port, guest_image.BUSYBOX, self.port)
		args = ["-machine", "q35,smm=off", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", "512", "-smp", "1",
			"-display", "none", "-no-reboot", "-nodefaults", "-no-user-config",
			"-serial", "file:" + self.path("serial.log"),
			"-drive", "if=pflash,format=raw,unit=0,readonly=on,file=" + guest_image.FIRMWARE,
			"-drive", "if=pflash,format=raw,unit=1,file=" + variables,
			"-chardev", "socket,id=tpm,path=" + control, "-tpmdev", "emulator,id=tpm0,chardev=tpm",
			"-device", "tpm-tis,tpmdev=tpm0",
			"-drive", "if=none,id=esp,format=raw,snapshot=on,file=" + image.esp,
			"-device", "virtio-blk-pci,drive=esp,bootindex=1",
			"-drive", "if=none,id=root,format=raw,snapshot=on,file=" + image.root, "-device", "virtio-blk-pci,drive=root",
			"-chardev", "socket,id=command,path=" + self.path("command"), "-device", "virtio-serial-pci",
			"-device", "virtserialport,chardev=command,name=assay", "-device", "virtio-rng-pci",
			"-netdev", "user,id=net,restrict=on," + forward, "-device", "virtio-net-pci,netdev=net,romfile="]
		# Changes to the disks go to files that QEMU unlinks at once.
		with open(self.path("qemu.log"), "w") as log:
			self.qemu = subprocess.Popen([guest_image.find(QEMU), *args], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
						     env=dict(env or os.environ, TMPDIR=self.folder))

	def wait_for_qemu(self, listener):
		try:
			link, _ = listener.accept()
		except TimeoutError:
			raise self.error("QEMU did not open the command port")
		return link

	def error(self, text):
		"""What happened, with the ends of both logs."""
		lines = []
		for name in ("qemu.log", "serial.log"):
			try:
				with open(self.path(name), errors="replace") as f:
					lines += ["%s: %s" % (name, line.strip()) for line in f.read().splitlines()[-25:] if line.strip()]
			except OSError:
				pass
		return MachineError("\n".join([text] + lines))

	# ---- commands

	def receive(self, n, end):
		data = bytearray()
		while len(data) < n:
			self.link.settimeout(max(end - time.monotonic(), 0.001))
			try:
				piece = self.link.recv(min(n - len(data), 1 << 16))
			except TimeoutError:
				raise self.error("the guest did not answer in time")
			if not piece:
				raise self.error("the guest is gone: QEMU ended with %s" % self.qemu.wait(10))
			data += piece
		return bytes(data)

	def answer(self, deadline_s):
		end = time.monotonic() + deadline_s
		head = b""
		while not head.endswith(b"\n"):
			head += self.receive(1, end)
			if len(head) > 64:
				raise self.error("the guest answered %r" % head)
		status, n_out, n_err = map(int, head.split())
		if n_out + n_err > OUTPUT_MAX:
			raise self.error("the guest wants to send %d bytes" % (n_out + n_err))
		out = self.receive(n_out, end)
		return Answer(status, out, self.receive(n_err, end))

	def shell(self, line, status=0, deadline_s=COMMAND_DEADLINE_S):
		"""Runs a line of shell in the guest; the Answer. status None: any."""
		if "\n" in line:
			raise ValueError("a command is one line")
		self.link.settimeout(deadline_s)
		self.link.sendall(line.encode() + b"\n")
		a = self.answer(deadline_s)
		if status is not None and a.status != status:
			raise self.error("guest: %s: expected status %s, seen %d\n%s%s" % (
				line[:300], status, a.status, a.out.decode(errors="replace")[-2000:], a.err.decode(errors="replace")[-4000:]))
		return a

	def run(self, *argv, **k):
		return self.shell(" ".join(shlex.quote(str(a)) for a in argv), **k)

	def put(self, path, data):
		self.shell("printf %%s %s | base64 -d >%s" % (base64.b64encode(data).decode(), shlex.quote(path)))

	def get(self, path):
		return self.run("cat", path).out

	def forward(self):
		"""Lets programs of the guest reach PORT on its loopback."""
		self.shell("nc -ll -p %d -e /bin/nc %s %d >/dev/null 2>&1 & echo $!" % (self.port, FORWARDED, self.port))

	# ---- the end

	def power_off(self):
		"""In order: the guest shuts down its TPM and itself."""
		self.link.sendall(b"sync; poweroff -f\n")
		try:
			status = self.qemu.wait(60)
		except subprocess.TimeoutExpired:
			e = self.error("the guest does not power off")
			self.kill()
			raise e
		self.link.close()
		if status != 0:
			raise self.error("QEMU ended with status %d" % status)

	def kill(self):
		if self.link is not None:
			self.link.close()
		if self.qemu is not None and self.qemu.poll() is None:
			self.qemu.kill()
			self.qemu.wait()

	def __enter__(self):
		return self

	def __exit__(self, *_):
		self.kill()
