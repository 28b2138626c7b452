#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Platforms judged by what was measured: the firmware log, systemd's and the IMA list against rules of an operator.

The machine is a software TPM that is booted by boot.py, which writes the logs; the real boot is in measured-boot."""
import concurrent.futures
import fcntl
import hashlib
import hmac
import json
import os
import re
import sys

sys.dont_write_bytecode = True

import lab as L
from boot import Boot, EV_APPLICATION, EV_IPL, EV_SEPARATOR
from lab import check, equal
from tpm import Tpm
from wire import sha256

H = 0
MEASURER = "/usr/bin/assay-attest"


def hexed(*contents):
	return [sha256(c).hex() for c in contents]


def profile(boot):
	"""What an operator approves of this boot, written by hand."""
	return {
		"firmware": {
			"pcrs": [0, 1, 2, 3, 4, 5, 6, 7, 8],
			"secure_boot": "required",
			"variables": {"PK": {"certificates": hexed(boot.pk)}, "KEK": {"certificates": hexed(boot.pk)},
				      "db": {"certificates": hexed(boot.db)}},
			"dbx": [d.hex() for d in boot.dbx],
			"boot_applications": {"digests": [boot.loader.hex()]},
			"events": [{"pcr": 7, "type": "EV_EFI_VARIABLE_AUTHORITY", "digests": hexed(boot.authority())}],
			"command_lines": [{"exact": "/vmlinuz " + boot.command_line}],
			"versions": {"crtm": [boot.version]},
		},
		"ima": {"digests": hexed(*(content for _, content in boot.files))},
		"measurer": {"ima": hexed(dict(boot.files)[MEASURER])},
	}


def setup(lab):
	lab.up(tpms=0)
	lab.tpms = lab.harness("up", "--count", "1")["tpms"]
	lab.trust()
	lab.boot = Boot()
	lab.boot.measure(lab.tpm_socket(H))
	lab.logs = (lab.path("firmware.log"), lab.path("ima.list"), lab.path("tpm2-measure.log"))
	lab.boot.write(*lab.logs)
	lab.h = lab.host(H, "--firmware-log", lab.logs[0], "--ima-list", lab.logs[1], "--userspace-log", lab.logs[2])
	lab.h.enrol()
	lab.h.approve("web-1")
	approve(lab, profile(lab.boot))
	os.makedirs(lab.path("img"), exist_ok=True)
	os.makedirs(lab.path("mdl"), exist_ok=True)
	lab.image, lab.model = L.make_image(lab.path("img")), L.make_model(lab.path("mdl"))
	L.open_to_all(lab.path("img"))
	L.open_to_all(lab.path("mdl"))
	lab.approve("image", "img", "--layout", lab.path("img"))
	lab.approve("model", "mdl", "--path", lab.path("mdl"), "--version-name", "1")
	lab.approve("agent", "agent", "--image", "img", "--model", "mdl", "--platform", "plat", "--scope", "read",
		    "--resource", L.RESOURCE)


def approve(lab, rules):
	path = lab.path("profile.json")
	with open(path, "w") as f:
		json.dump(rules, f)
	lab.approve("platform", "plat", "--profile", path, "--host", "web-1")


def reboot(lab, change=lambda b: None, after=lambda b: None):
	"""Another boot of the machine; change: of what boots; after: of what the kernel measured, before it is written."""
	lab.harness("reset", "--index", str(H))
	boot = Boot()
	change(boot)
	boot.measure(lab.tpm_socket(H))
	after(boot)
	boot.write(*lab.logs)
	lab.boot = boot
	return boot


def accepted(lab):
	r = lab.h.attest()
	equal((r["state"], r["failures"]), ("VERIFIED", []), "verdict")
	return r


def refused_by(lab, name, *words):
	"""The verdict fails at this check, in these words."""
	r = lab.h.attest(status=1)
	equal(r["state"], "FAILED", "state: %r" % r)
	found = [f for f in r["failures"] if f["check"] == name]
	check(found, "%s is not named: %r" % (name, r["failures"]))
	text = " ".join(v for f in found for v in f.values())
	for word in words:
		check(word in text, "%r is not said: %r" % (word, found))


def back(lab):
	reboot(lab)
	accepted(lab)


# ---- what was approved

def test_approved_boot_is_affirming(lab):
	"""Rules over events and files, the measurer among them: nothing caps the result, and a token is given."""
	with lab.h.start() as agent:
		r = accepted(lab)
		equal([x["status"] for x in r["results"]], ["affirming"], "status")
		check(lab.h.token(agent.instance), "no token")
	explained = lab.explain(lab.h.id)
	equal([c["result"] for c in explained["checks"] if c["id"] in ("E7", "E1", "P-firmware", "I3", "I2",
		"P-ima", "P-measurer", "P1")], ["pass"] * 8, "checks")
	check({0, 4, 7, 8, 10} <= set(explained["compared"]), "compared: %r" % explained["compared"])


def test_P1_coverage_of_the_rules(lab):
	"""The verdict says how many events and entries each rule decided, and what was not compared."""
	rules = profile(Boot())
	rules["firmware"]["pcrs"].remove(1)
	rules["firmware"]["ignored"] = [{"pcr": 1, "reason": "settings of each host"}]
	lab.withdraw("platform", "plat")
	approve(lab, rules)
	reboot(lab)
	accepted(lab)
	c = lab.explain(lab.h.id)["coverage"]
	equal((c["firmware"]["ignored"], c["firmware"]["ignored_pcrs"], c["firmware"]["undecided"]), (1, [1], 0), "ignored")
	equal({k: v for k, v in c["firmware"]["decided"].items() if k != "structure"},
	      {"firmware.secure_boot": 1, "firmware.variables": 3, "firmware.dbx": 1, "firmware.boot_applications": 1,
	       "firmware.command_lines": 1, "firmware.versions": 1, "firmware.events": 1}, "decided by rules")
	equal(sum(c["firmware"]["decided"].values()) + 1, c["firmware"]["events"], "every event has its place")
	equal(c["ima"], {"entries": 3, "decided": {"ima.boot_aggregate": 1, "measurer": 1, "ima.digests": 1}}, "IMA")
	text = lab.run(lab.program("ASSAYCTL"), "explain", "--socket", lab.socket, "--realm", L.REALM, lab.h.id).stdout
	check("firmware log: " in text and "1        firmware.dbx" in text and "IMA list: 3 entries" in text, text)
	lab.withdraw("platform", "plat")
	approve(lab, profile(Boot()))
	accepted(lab)


def test_only_what_is_new_is_sent(lab):
	"""The second attestation of a boot carries no firmware log and no old entries, and new files are judged."""
	accepted(lab)
	lab.boot.run(lab.tpm_socket(H), [("/usr/bin/init", b"init 1")])
	lab.boot.write(*lab.logs)
	os.rename(lab.logs[0], lab.logs[0] + ".away")
	accepted(lab)
	os.rename(lab.logs[0] + ".away", lab.logs[0])


def test_I3_entries_behind_the_quoted_state(lab):
	"""A forged entry at the end of the list is not covered by the quote: it is not believed and does no harm."""
	before = lab.boot.ima
	lab.boot.append(lab.boot.entry("/usr/bin/forged", sha256(b"forged")))
	lab.boot.write(*lab.logs)
	accepted(lab)
	lab.boot.ima = before
	lab.boot.write(*lab.logs)
	accepted(lab)


# ---- what was not

def test_command_line_changed(lab):
	"""One more word on the kernel's command line."""
	reboot(lab, lambda b: setattr(b, "command_line", b.command_line + " debug"))
	refused_by(lab, "P-profile", "debug")
	back(lab)


def test_secure_boot_off(lab):
	reboot(lab, lambda b: setattr(b, "secure_boot", False))
	refused_by(lab, "P-profile", "ecure")
	back(lab)


def test_other_boot_application(lab):
	reboot(lab, lambda b: setattr(b, "loader", sha256(b"another loader")))
	refused_by(lab, "P-profile", sha256(b"another loader").hex()[:16])
	back(lab)


def test_other_firmware_version(lab):
	reboot(lab, lambda b: setattr(b, "version", "Lab firmware 0.9"))
	refused_by(lab, "P-profile", "0.9")
	back(lab)


def test_E12_revocations_rolled_back(lab):
	reboot(lab, lambda b: b.dbx.pop())
	refused_by(lab, "E12")
	back(lab)


def test_E3_second_separator(lab):
	"""Replays well, and must fail all the same."""
	reboot(lab, lambda b: b.more_events.append((4, EV_SEPARATOR, bytes(4), bytes(4))))
	refused_by(lab, "E3")
	back(lab)


def test_unknown_event(lab):
	"""Denied where the profile says nothing."""
	reboot(lab, lambda b: b.more_events.append((8, EV_IPL, b"grub_cmd: insmod evil\0", b"insmod evil")))
	refused_by(lab, "P-profile")
	back(lab)


def test_E7_log_that_was_edited(lab):
	"""An event's digest changed in the log: the register is not explained, and nothing in the log is believed."""
	def edit(b):
		b.log = b.log.replace(b.loader, sha256(b"approved elsewhere"))
	reboot(lab, after=edit)
	refused_by(lab, "E7", "PCR 4")
	back(lab)


def test_E7_register_extended_after_the_boot(lab):
	with Tpm(lab.tpm_socket(H)) as t:
		t.extend(7, sha256(b"later"))
	refused_by(lab, "E7", "moved")
	refused_by(lab, "E7", "PCR 7")
	back(lab)


def test_E10_log_cut(lab):
	reboot(lab, after=lambda b: setattr(b, "log", b.log[:-3]))
	lab.h.attest(status=1)
	back(lab)


def test_no_log_at_all(lab):
	reboot(lab)
	os.rename(lab.logs[0], lab.logs[0] + ".away")
	r = lab.h.attest(status=1)
	equal(r["state"], "FAILED", "state")
	os.rename(lab.logs[0] + ".away", lab.logs[0])
	accepted(lab)


# ---- systemd

KEY = b"key of a volume"


def approve_systemd(lab):
	"""Also what systemd measures: phases by their names, the machine by its id, the volume by the digest."""
	rules = profile(Boot())
	volume = hmac.new(KEY, b"cryptsetup:root", hashlib.sha256).hexdigest()
	rules["firmware"]["pcrs"] += [11, 15]
	rules["firmware"]["userspace"] = [
		{"pcr": 11, "strings": ["enter-initrd", "leave-initrd", "sysinit", "ready"]},
		{"pcr": 15, "strings": ["machine-id:*"], "digests": [volume]}]
	lab.withdraw("platform", "plat")
	approve(lab, rules)


def systemd_boot(lab, phases=("enter-initrd", "leave-initrd")):
	boot = reboot(lab)
	sock = lab.tpm_socket(H)
	boot.systemd(sock, 15, "volume-key", "cryptsetup:root", KEY)
	for phase in phases:
		boot.systemd(sock, 11, "phase", phase)
	boot.systemd(sock, 15, "machine-id", "machine-id:0123456789abcdef0123456789abcdef")
	boot.write(*lab.logs)
	return boot


def without_systemd(lab):
	lab.withdraw("platform", "plat")
	approve(lab, profile(Boot()))
	back(lab)


def test_systemd_phases_go_on(lab):
	"""Phases that come while the host runs are explained by systemd's log alone; a token lives through them."""
	approve_systemd(lab)
	boot = systemd_boot(lab)
	accepted(lab)
	explained = lab.explain(lab.h.id)
	equal(explained["coverage"]["firmware"]["decided"]["firmware.userspace"], 4, "records that rules decided")
	check({11, 15} <= set(explained["compared"]), "compared: %r" % explained["compared"])
	os.rename(lab.logs[0], lab.logs[0] + ".away")
	for phase in ("sysinit", "ready"):
		boot.systemd(lab.tpm_socket(H), 11, "phase", phase)
		boot.write(*(lab.logs[0] + ".away",) + lab.logs[1:])
		accepted(lab)
	os.rename(lab.logs[0] + ".away", lab.logs[0])
	boot.systemd(lab.tpm_socket(H), 11, "phase", "evil")
	boot.write(*lab.logs)
	refused_by(lab, "P-profile", "systemd, record 6, PCR 11, phase", "evil")
	without_systemd(lab)


def test_E2_string_of_systemd_that_was_not_measured(lab):
	"""The register is explained; a string that its digest does not cover approves nothing."""
	approve_systemd(lab)
	boot = systemd_boot(lab)
	with Tpm(lab.tpm_socket(H)) as t:
		t.extend(11, sha256(b"evil"))
	boot.note(11, "phase", "ready", sha256(b"evil"))
	boot.write(*lab.logs)
	refused_by(lab, "P-profile", sha256(b"evil").hex()[:32])
	without_systemd(lab)


def test_I3_log_of_systemd_longer_than_the_quote(lab):
	"""What systemd measures between quote and log does no harm and is not believed, and a record that is being written neither."""
	approve_systemd(lab)
	boot = systemd_boot(lab)
	boot.note(11, "phase", "evil", sha256(b"evil"))
	boot.userspace = boot.userspace[:-20]
	boot.write(*lab.logs)
	accepted(lab)
	without_systemd(lab)


def test_E7_log_of_systemd_that_lacks_a_record(lab):
	approve_systemd(lab)
	boot = systemd_boot(lab)
	records = boot.userspace.split(b"\x1e")
	boot.userspace = b"\x1e".join(r for r in records if b"leave-initrd" not in r)
	boot.write(*lab.logs)
	refused_by(lab, "E7", "PCR 11", "does not explain")
	without_systemd(lab)


def test_E7_no_log_of_systemd(lab):
	approve_systemd(lab)
	systemd_boot(lab)
	os.unlink(lab.logs[2])
	refused_by(lab, "E7", "PCR 11")
	without_systemd(lab)


def test_P1_systemd_measured_nothing(lab):
	"""Rules over what systemd measures, and it measured nothing: nothing would be compared in its registers."""
	approve_systemd(lab)
	reboot(lab)
	refused_by(lab, "P6", "PCR 11")
	without_systemd(lab)


def test_other_volume_key(lab):
	approve_systemd(lab)
	boot = systemd_boot(lab)
	boot.systemd(lab.tpm_socket(H), 15, "volume-key", "cryptsetup:root", b"another key")
	boot.write(*lab.logs)
	refused_by(lab, "P-profile", "PCR 15, volume-key", "the log calls it cryptsetup:root")
	without_systemd(lab)


def test_systemd_learned(lab):
	"""firmware-measure learn writes the rules of a boot, and they approve it."""
	systemd_boot(lab)
	p = lab.run(lab.program("FIRMWARE_MEASURE"), "learn", "--userspace", lab.logs[2], "--ima", lab.logs[1], lab.logs[0])
	rules = dict(json.loads(p.stdout), measurer={"ima": hexed(b"measurer 1")})
	equal([sorted(r) for r in rules["firmware"]["userspace"]], [["pcr", "strings"], ["digests", "pcr", "strings"]], "rules")
	lab.withdraw("platform", "plat")
	approve(lab, rules)
	accepted(lab)
	without_systemd(lab)


def test_systemd_writes_while_the_host_attests(lab):
	"""The log is read under a lock: a writer that has extended and not yet appended is waited for."""
	approve_systemd(lab)
	boot = systemd_boot(lab)
	with open(lab.logs[2], "ab") as log:
		fcntl.flock(log, fcntl.LOCK_EX)
		before = boot.userspace
		boot.systemd(lab.tpm_socket(H), 11, "phase", "sysinit")
		with concurrent.futures.ThreadPoolExecutor(1) as pool:
			attest = pool.submit(accepted, lab)
			L.wait_for("assay-attest waits for the lock", lambda: lock_is_wanted(lab.logs[2]))
			log.write(boot.userspace[len(before):])
			log.flush()
			fcntl.flock(log, fcntl.LOCK_UN)
			attest.result()
	without_systemd(lab)


def lock_is_wanted(path):
	"""Whether another process than this one has the file open."""
	for pid in os.listdir("/proc"):
		if not pid.isdigit() or int(pid) == os.getpid():
			continue
		try:
			if any(os.readlink("/proc/%s/fd/%s" % (pid, fd)) == path for fd in os.listdir("/proc/%s/fd" % pid)):
				return True
		except OSError:
			pass
	return False


# ---- IMA

def test_unapproved_binary(lab):
	"""What nobody approved was executed: the host fails, and stays failed through partial evidence."""
	reboot(lab)
	accepted(lab)
	lab.boot.run(lab.tpm_socket(H), [("/usr/bin/tool", b"malware")])
	lab.boot.write(*lab.logs)
	refused_by(lab, "P-profile", "/usr/bin/tool")
	refused_by(lab, "P-profile", "/usr/bin/tool")
	back(lab)


def test_I1_violation(lab):
	reboot(lab)
	lab.boot.violation(lab.tpm_socket(H), "/usr/bin/init")
	lab.boot.write(*lab.logs)
	refused_by(lab, "I1")
	back(lab)


def test_I2_data_without_its_hash(lab):
	"""One byte of an entry's data changed, the hash left as it was."""
	def edit(b):
		b.ima = b.ima.replace(sha256(b"init 1"), sha256(b"init 2"))
	reboot(lab, after=edit)
	lab.h.attest(status=1)
	back(lab)


def test_I2_bank_that_the_kernel_cannot_hash_for(lab):
	"""SHA-1 hashes with zeros behind never pass, and the verdict says what is wrong with the register."""
	reboot(lab, lambda b: setattr(b, "padded", True))
	refused_by(lab, "I3", "SHA-1 hashes with zeros behind", "name another one")
	back(lab)


def test_I9_boot_aggregate_of_another_boot(lab):
	"""The list begins with another boot's aggregate; the register fits the list."""
	lab.harness("reset", "--index", str(H))
	b = Boot()
	b.measure(lab.tpm_socket(H))
	lab.harness("reset", "--index", str(H))
	class Other(Boot):
		def run(self, sock, files, hashed=False):
			if hashed:
				files = [("boot_aggregate", sha256(b"another boot"))]
			Boot.run(self, sock, files, hashed)
	lab.boot = Other()
	lab.boot.measure(lab.tpm_socket(H))
	lab.boot.write(*lab.logs)
	refused_by(lab, "I9")
	back(lab)


def openssl(lab, *argv):
	return lab.run("openssl", *argv).stdout


def make_signer(lab):
	"""A CA, a certificate of it for a key that signs files, and a self-signed one for the same key."""
	p = lambda name: lab.path("i7-" + name)
	for name in ("ca", "files"):
		openssl(lab, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", p(name + ".key"))
	openssl(lab, "req", "-x509", "-key", p("ca.key"), "-subj", "/CN=CA", "-days", "30", "-out", p("ca.pem"))
	openssl(lab, "req", "-new", "-key", p("files.key"), "-subj", "/CN=files", "-out", p("files.csr"))
	with open(p("ext"), "w") as f:
		f.write("subjectKeyIdentifier=hash\nkeyUsage=digitalSignature\n")
	openssl(lab, "x509", "-req", "-in", p("files.csr"), "-CA", p("ca.pem"), "-CAkey", p("ca.key"), "-CAcreateserial",
		"-days", "30", "-extfile", p("ext"), "-outform", "DER", "-out", p("good.der"))
	openssl(lab, "x509", "-req", "-in", p("files.csr"), "-signkey", p("files.key"), "-days", "30", "-extfile", p("ext"),
		"-outform", "DER", "-out", p("self.der"))
	return p


def signature(lab, p, content):
	"""security.ima of a file with this content, version 2."""
	with open(p("content"), "wb") as f:
		f.write(content)
	openssl(lab, "dgst", "-sha256", "-sign", p("files.key"), "-out", p("sig"), p("content"))
	ids = openssl(lab, "x509", "-inform", "DER", "-in", p("good.der"), "-noout", "-ext", "subjectKeyIdentifier")
	key_id = bytes.fromhex(ids.split()[-1].replace(":", ""))[-4:]
	sig = open(p("sig"), "rb").read()
	return b"\x03\x02\x04" + key_id + len(sig).to_bytes(2, "big") + sig


def test_I7_keys_that_the_kernel_added(lab):
	"""A key counts where a CA of the document signed it, for files behind it, in its boot."""
	p = make_signer(lab)
	rules = profile(Boot())
	rules["ima"]["signer_cas"] = [L.read_text(p("ca.pem"))]
	lab.withdraw("platform", "plat")
	approve(lab, rules)
	good, self_signed = (open(p(n), "rb").read() for n in ("good.der", "self.der"))
	sock = lab.tpm_socket(H)

	def add_key(b, der):
		b.measure_fields(sock, b"ima-buf", b"sha256:\0" + sha256(der), b".ima\0", der)

	def add_file(b, content):
		b.measure_fields(sock, b"ima-sig", b"sha256:\0" + sha256(content), b"/usr/bin/signed\0", signature(lab, p, content))

	reboot(lab, after=lambda b: (add_key(b, good), add_file(b, b"signed 1")))
	accepted(lab)
	equal(lab.explain(lab.h.id)["coverage"]["ima"]["decided"]["ima.signer_cas"], 2, "decided by the CA")
	add_file(lab.boot, b"signed 2")
	lab.boot.write(*lab.logs)
	accepted(lab)
	reboot(lab, after=lambda b: add_file(b, b"signed 1"))
	refused_by(lab, "I6", "/usr/bin/signed", "not approved")
	reboot(lab, after=lambda b: (add_key(b, self_signed), add_file(b, b"signed 1")))
	refused_by(lab, "I7", ".ima", "not signed by a CA")
	lab.withdraw("platform", "plat")
	approve(lab, profile(Boot()))
	back(lab)


def test_measurer_not_in_the_list(lab):
	"""Nothing says who measured: the document asks for it, so the host fails."""
	reboot(lab, lambda b: b.files.pop())
	refused_by(lab, "P-measurer")
	back(lab)


def long_names(n):
	"""Files whose entries are large, so that a long list takes few of them."""
	folder = "/usr/lib/" + "/".join(["x" * 200] * 18)
	return [("%s/%05d" % (folder, i), b"init 1") for i in range(n)]


def test_long_list_goes_over_several_messages(lab):
	"""More than one message of entries: nothing is decided before the last, and the state moves from part to part."""
	reboot(lab)
	lab.boot.run(lab.tpm_socket(H), long_names(700))
	check(len(lab.boot.ima) > 2 << 20, "the list is too short for the test: %d" % len(lab.boot.ima))
	lab.boot.write(*lab.logs)
	accepted(lab)
	lab.boot.run(lab.tpm_socket(H), [("/usr/bin/tool", b"malware")])
	lab.boot.write(*lab.logs)
	refused_by(lab, "P-profile", "/usr/bin/tool")
	back(lab)


def test_bad_entry_early_in_a_long_list(lab):
	"""What the first part holds is found although the last part decides."""
	reboot(lab)
	lab.boot.run(lab.tpm_socket(H), [("/usr/bin/tool", b"malware")])
	lab.boot.run(lab.tpm_socket(H), long_names(500))
	lab.boot.write(*lab.logs)
	refused_by(lab, "P-profile", "/usr/bin/tool")
	back(lab)


def test_policy_change_asks_for_everything_again(lab):
	"""Rules that no longer approve what runs are applied to the whole boot at the next attestation, and the other way round."""
	accepted(lab)
	rules = profile(Boot())
	rules["ima"]["digests"] = hexed(b"measurer 1")
	lab.withdraw("platform", "plat")
	approve(lab, rules)
	refused_by(lab, "P-profile", "/usr/bin/init")
	lab.withdraw("platform", "plat")
	approve(lab, profile(Boot()))
	accepted(lab)


def test_examples_of_the_manual(lab):
	"""What assay-platform(5) shows as a profile is accepted as it stands there."""
	here = os.path.dirname(os.path.abspath(__file__))
	page = L.read_text(os.path.join(here, "..", "..", "man", "assay-platform.5"))
	examples = [e for e in re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed$", page, re.M | re.S) if e.startswith("{")]
	equal(len(examples), 2, "examples on the page")
	for i, text in enumerate(examples):
		path = lab.path("example.json")
		with open(path, "w") as f:
			f.write(text)
		lab.approve("platform", "example-%d" % i, "--profile", path, "--host", "elsewhere")
	accepted(lab)


def test_rule_that_cannot_be_asked(lab):
	"""A document that names an allowlist which the verifier does not hold is refused, and changes nothing."""
	rules = profile(Boot())
	rules["ima"]["allowlists"] = [sha256(b"list").hex()]
	path = lab.path("allowlist.json")
	with open(path, "w") as f:
		json.dump(rules, f)
	with lab.unchanged():
		p = lab.approve("platform", "plat", "--profile", path, "--host", "web-1", status=1)
	check("allowlists" in p.stderr, "no reason: %r" % p.stderr)
	accepted(lab)


if __name__ == "__main__":
	sys.exit(L.main(setup, needs_root=True))
