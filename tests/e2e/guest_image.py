# SPDX-License-Identifier: Apache-2.0
"""Disks of a guest that boots with measurements, made without root rights and byte by byte the same every time.

What the firmware starts is a unified kernel image (UKI): systemd's stub with the kernel, its command line and an
initramfs as sections, so that all of it is measured; signed for Secure Boot with the test key that Debian's OVMF comes
with. It stands on an EFI system partition. The initramfs mounts a
second disk, ext4, because IMA's policy "tcb" does not measure what lies in memory; there are assay-attest, the
libraries that it needs, busybox and whatever the test adds.

Nothing is taken from the clock, the machine's users or the order of a folder."""
import os
import re
import shutil
import stat
import struct
import subprocess
import time
import uuid

STUB = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"
BUSYBOX = "/bin/busybox"
FIRMWARE = "/usr/share/OVMF/OVMF_CODE_4M.fd"
# Variables of a new machine: without keys, which leaves Secure Boot off, and with the test key in PK, KEK and db.
VARIABLES, VARIABLES_SIGNED = "/usr/share/OVMF/OVMF_VARS_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd"
SIGN_KEY, SIGN_CERTIFICATE = "/usr/share/ovmf/PkKek-1-snakeoil.key", "/usr/share/ovmf/PkKek-1-snakeoil.pem"
SIGN_PASSWORD = "snakeoil"
PROGRAMS = ("objcopy", "mformat", "mmd", "mcopy", "sgdisk", "mke2fs", "debugfs", "ldd", "openssl", "sbsign", "faketime")
TIME = 1700000000
NAMESPACE = uuid.UUID("6a3f9c5e-52a5-4b1e-9f0e-3d8f7c2b1a00")
MODULES = ("virtio_pci", "virtio_blk", "virtio_console", "virtio_net", "virtio_rng", "ext4", "efivarfs")
COMMAND_LINE = "console=ttyS0 loglevel=4 panic=-1 ima_policy=tcb ima_hash=sha256"
OTHER_KERNEL = "other" # below the folder of tools/fetch-kernel
MIB = 1 << 20
ESP_MIB = 64
APPLETS = ("base64", "cat", "cp", "chmod", "cut", "date", "dd", "echo", "grep", "head", "id", "ip", "kill", "ls", "mkdir",
	   "mount", "nc", "poweroff", "printf", "rm", "sed", "sh", "sha256sum", "sleep", "stat", "tail", "tar", "test",
	   "true", "umount", "uname", "wc")


class Missing(Exception):
	"""Something that this machine lacks; the text says what and how to get it."""


def require(kernel_folder):
	"""Raises Missing unless a guest can be built here."""
	if os.uname().machine != "x86_64":
		raise Missing("the guest is made from this machine's programs, for x86_64, and this is " + os.uname().machine)
	for path, package in ((STUB, "systemd-boot-efi"), (BUSYBOX, "busybox-static"), (FIRMWARE, "ovmf"),
			      (VARIABLES_SIGNED, "ovmf"), (SIGN_KEY, "ovmf")):
		if not os.path.exists(path):
			raise Missing("%s is not there; on Debian it is in the package %s" % (path, package))
	for name in PROGRAMS + ("qemu-system-x86_64",):
		if find(name) is None:
			raise Missing("%s is not installed" % name)
	if not kernel_folder or not has_kernel(kernel_folder):
		raise Missing("no kernel for the guest; tools/fetch-kernel FOLDER gets one, ASSAY_GUEST_KERNEL names the folder")


def has_kernel(folder):
	return os.path.isdir(os.path.join(folder, "boot"))


def find(name):
	return shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")


def tool(name, *args, text=None, **env):
	"""Runs one of PROGRAMS; its output. An error has what it printed."""
	p = subprocess.run([find(name), *map(str, args)], input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
			   env=dict({"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "TZ": "UTC",
				     "SOURCE_DATE_EPOCH": str(TIME), "E2FSPROGS_FAKE_TIME": str(TIME)}, **env))
	if p.returncode:
		raise RuntimeError("%s: status %d: %s" % (name, p.returncode, p.stdout[-2000:]))
	return p.stdout


def read(path):
	with open(path, "rb") as f:
		return f.read()


def write(path, data):
	with open(path, "wb") as f:
		f.write(data)
	return path


def align(n, to):
	return (n + to - 1) // to * to


# ---------------------------------------------------------------- kernel

class Kernel:
	"""An unpacked Debian kernel package."""

	def __init__(self, folder):
		boot = os.path.join(folder, "boot")
		(self.version,) = (n[len("vmlinuz-"):] for n in os.listdir(boot) if n.startswith("vmlinuz-"))
		self.image = read(os.path.join(boot, "vmlinuz-" + self.version))
		tree = os.path.join(folder, "lib", "modules", self.version)
		self.paths = {module_name(f): os.path.join(d, f) for d, _, files in os.walk(tree) for f in files if f.endswith(".ko")}
		with open(os.path.join(tree, "modules.builtin")) as f:
			self.builtin = {module_name(line.strip()) for line in f}

	def modules(self, names):
		"""[(file name, data)] in an order in which they can be loaded, with all that they depend on."""
		out = {}

		def add(name):
			if name in self.builtin or name in out:
				return
			if name not in self.paths:
				raise Missing("kernel %s has no module %s" % (self.version, name))
			data = read(self.paths[name])
			for other in re.search(rb"\0depends=([^\0]*)\0", data).group(1).decode().split(","):
				if other:
					add(other)
			out[name] = data
		for name in names:
			add(name)
		return [(name + ".ko", data) for name, data in out.items()]


def module_name(path):
	return os.path.basename(path).removesuffix(".ko").replace("-", "_")


# ---------------------------------------------------------------- initramfs: cpio, "newc" (kernel: initramfs buffer format)

def cpio_entry(number, name, mode, data=b"", device=(0, 0)):
	raw = name.encode() + b"\0"
	fields = (number, mode, 0, 0, 2 if stat.S_ISDIR(mode) else 1, TIME if number else 0, len(data), 0, 0, *device, len(raw), 0)
	head = b"070701" + b"".join(b"%08X" % f for f in fields) + raw
	return head.ljust(align(len(head), 4), b"\0") + data.ljust(align(len(data), 4), b"\0")


def initramfs(kernel, extra):
	"""extra: {path: bytes}, added to what is always there or in place of it."""
	modules = kernel.modules(MODULES)
	files = {"init": read(os.path.join(os.path.dirname(os.path.abspath(__file__)), "guest", "initramfs-init")),
		 "bin/busybox": read(BUSYBOX),
		 "modules/list": "".join(n + "\n" for n, _ in modules).encode()}
	files.update({"modules/" + n: data for n, data in modules})
	files.update(extra)
	folders = {"proc", "sys", "dev", "root"} | {os.path.dirname(p) for p in files} - {""}
	out = [cpio_entry(i, f, stat.S_IFDIR | 0o755) for i, f in enumerate(sorted(folders), 1)]
	out.append(cpio_entry(len(out) + 1, "dev/console", stat.S_IFCHR | 0o600, device=(5, 1)))
	for path in sorted(files):
		out.append(cpio_entry(len(out) + 1, path, stat.S_IFREG | 0o755, files[path]))
	return b"".join(out) + cpio_entry(0, "TRAILER!!!", 0)


# ---------------------------------------------------------------- unified kernel image

def pe_header(pe):
	"""Where the COFF header's signature stands (Microsoft PE format, 2.1)."""
	return struct.unpack_from("<I", pe, 0x3c)[0]


def image_end(pe):
	"""First free address behind the sections of a PE image (Microsoft PE format, 3 and 4)."""
	header = pe_header(pe)
	n_sections, optional_size = struct.unpack_from("<H", pe, header + 6)[0], struct.unpack_from("<H", pe, header + 20)[0]
	base = struct.unpack_from("<Q", pe, header + 24 + 24)[0]
	table = header + 24 + optional_size
	sections = [struct.unpack_from("<II", pe, table + 40 * i + 8) for i in range(n_sections)]
	return base + max(address + size for size, address in sections)


def make_uki(out, kernel, initrd, command_line):
	"""The kernel comes last, so that it can be unpacked in place."""
	sections = ((".osrel", b'ID=assay-test\nVERSION_ID=1\nPRETTY_NAME="Assay test guest"\n'),
		    (".cmdline", command_line.encode()), (".initrd", initrd), (".linux", kernel.image))
	at, args = image_end(read(STUB)), []
	for name, data in sections:
		at = align(at, 4096)
		path = write(out + name, data)
		args += ["--add-section", "%s=%s" % (name, path), "--change-section-vma", "%s=%#x" % (name, at)]
		at += len(data)
	tool("objcopy", *args, STUB, out)
	for name, _ in sections:
		os.unlink(out + name)
	# objcopy writes the present time, and a checksum over it that no firmware reads; the time would get into PCR 4.
	uki = bytearray(read(out))
	struct.pack_into("<I", uki, pe_header(uki) + 8, TIME)
	struct.pack_into("<I", uki, pe_header(uki) + 24 + 64, 0)
	write(out, uki)


def sign(uki):
	"""Signs in place. The signature holds the time at which it was made."""
	plain, key, signed = uki + ".plain", uki + ".key", uki + ".signed"
	os.rename(uki, plain)
	tool("openssl", "rsa", "-in", SIGN_KEY, "-passin", "pass:" + SIGN_PASSWORD, "-out", key)
	tool("faketime", "-f", time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(TIME)), find("sbsign"), "--key", key, "--cert",
	     SIGN_CERTIFICATE, "--output", signed, plain)
	os.unlink(plain)
	os.unlink(key)
	os.rename(signed, uki)


# ---------------------------------------------------------------- disks

def make_esp(out, uki):
	"""A GPT disk with one partition, FAT32, which holds the UKI where firmware looks without being told."""
	fat = out + ".fat"
	with open(fat, "wb") as f:
		f.truncate((ESP_MIB - 2) * MIB)
	tool("mformat", "-i", fat, "-F", "-c", "1", "-N", "41535359", "-v", "ESP", "-T", (ESP_MIB - 2) * MIB // 512, "-h", "64",
	     "-s", "32", "::")
	tool("mmd", "-i", fat, "::/EFI", "::/EFI/BOOT")
	tool("mcopy", "-i", fat, uki, "::/EFI/BOOT/BOOTX64.EFI")
	with open(out, "wb") as f:
		f.truncate(ESP_MIB * MIB)
	tool("sgdisk", "--new=1:2048:+%dM" % (ESP_MIB - 2), "--typecode=1:ef00", "--change-name=1:ESP",
	     "--partition-guid=1:%s" % uuid.uuid5(NAMESPACE, "esp"), "--disk-guid=%s" % uuid.uuid5(NAMESPACE, "disk"), out)
	with open(out, "r+b") as disk, open(fat, "rb") as f:
		disk.seek(2048 * 512)
		shutil.copyfileobj(f, disk)
	os.unlink(fat)


def libraries(program):
	"""Paths of the shared libraries and of the loader that a program needs, as it names them."""
	found = re.findall(r"(/\S+) \(0x", tool("ldd", program))
	if not found:
		raise Missing("%s is not a dynamic program" % program)
	return found


# What the program loads by itself when it needs it, and so does not name.
LOADED = {"/usr/lib/x86_64-linux-gnu/libtss2-tcti-device.so.0": "libtss2-tcti-device0",
	  "/usr/lib/x86_64-linux-gnu/libcurl.so.4": "libcurl4"}


def root_files(attest, extra):
	"""{path in the guest: (mode, path here or bytes)}"""
	here = os.path.dirname(os.path.abspath(__file__))
	files = {"/bin/busybox": (0o755, BUSYBOX), "/sbin/init": (0o755, os.path.join(here, "guest", "init")),
		 "/usr/bin/assay-attest": (0o755, attest),
		 "/etc/passwd": (0o644, b"root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"),
		 "/etc/group": (0o644, b"root:x:0:\nnogroup:x:65534:\n")}
	needed = set(libraries(attest))
	for path, package in LOADED.items():
		if not os.path.exists(path):
			raise Missing("%s is not there; on Debian it is in the package %s" % (path, package))
		needed |= {path, *libraries(path)}
	for path in needed:
		files[path] = (0o755, path)
	for path, data in extra.items():
		files[path] = data if isinstance(data, tuple) else (0o644, data)
	return files


def make_root(out, attest, extra):
	"""An ext4 file system whose files all belong to root and are as old as TIME."""
	files = root_files(attest, extra)
	folders = {"/" + f for f in ("dev", "proc", "sys", "run", "tmp", "root")}
	for path in files:
		while (path := os.path.dirname(path)) != "/":
			folders.add(path)
	script, staged, total = ["mkdir " + f for f in sorted(folders)], [], 0
	for path in sorted(files):
		mode, source = files[path]
		if isinstance(source, bytes):
			staged.append(write("%s.%d" % (out, len(staged)), source))
			source = staged[-1]
		total += os.path.getsize(source)
		script.append("write %s %s" % (os.path.realpath(source), path))
		script.append("set_inode_field %s mode 0%o" % (path, stat.S_IFREG | mode))
		script += ["set_inode_field %s %s 0" % (path, f) for f in ("uid", "gid")]
	script += ["symlink /bin/%s busybox" % name for name in APPLETS]
	with open(out, "wb") as f:
		f.truncate(align(total * 5 // 4 + 16 * MIB, MIB))
	tool("mke2fs", "-q", "-t", "ext4", "-b", "4096", "-O", "^has_journal,^metadata_csum", "-L", "root", "-E",
	     "root_owner=0:0,hash_seed=%s,lazy_itable_init=0" % uuid.uuid5(NAMESPACE, "hash"), "-U", uuid.uuid5(NAMESPACE, "root"), out)
	said = tool("debugfs", "-w", "-f", "/dev/stdin", out, text="\n".join(script) + "\n")
	bad = [line for line in said.splitlines() if not line.startswith(("debugfs", "Allocated inode"))]
	if bad:
		raise RuntimeError("debugfs: %s" % bad[:3])
	for path in staged:
		os.unlink(path)


class Image:
	"""Two disks. command_line: words behind the usual ones; initrd, root: {path: bytes} added or replaced."""

	def __init__(self, folder, kernel, attest, command_line="", initrd=None, root=None):
		os.makedirs(folder, exist_ok=True)
		self.uki, self.esp, self.root = (os.path.join(folder, n) for n in ("uki.efi", "esp.img", "root.img"))
		self.command_line = (COMMAND_LINE + " " + command_line).strip()
		make_uki(self.uki, kernel, initramfs(kernel, initrd or {}), self.command_line)
		sign(self.uki)
		make_esp(self.esp, self.uki)
		make_root(self.root, attest, root or {})
