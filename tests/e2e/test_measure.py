#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What assay-attest measures: images and models that are not what an operator approved, before the start and after."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile

sys.dont_write_bytecode = True

import lab as L
from lab import check, equal, make_image, make_model

MARK = "the command ran"


def setup(lab):
	lab.up(tpms=1)
	lab.h = lab.host(0)
	lab.h.enrol()
	lab.h.approve()
	# An unapproved workload fails alone here; that it fails the whole host by default is in test_workload.py.
	lab.make_world(lab.h, "--unapproved-workload", "instance")
	lab.h.attest()
	lab.api = L.Resource(lab)
	shutil.copytree(lab.path("img"), lab.path("img.good"))
	shutil.copytree(lab.path("mdl"), lab.path("mdl.good"))


def restore(lab):
	for name in ("img", "mdl"):
		path = lab.path(name)
		if os.path.islink(path) or os.path.isfile(path):
			os.unlink(path)
		elif os.path.isdir(path):
			shutil.rmtree(path)
		shutil.copytree(lab.path(name + ".good"), path)
		L.open_to_all(path)


def change_byte(path, at=10):
	with open(path, "r+b") as f:
		f.seek(at)
		c = f.read(1)
		f.seek(at)
		f.write(bytes([c[0] ^ 1]))


def refused(lab, change, *words, image=None, model=None):
	"""With this change run refuses with these words; the command did not run, nothing was issued, the host stays good."""
	before = lab.db("SELECT count(*) FROM credential")
	try:
		change()
		p = lab.h.run("/bin/echo", MARK, status=125, image=image, model=model)
	finally:
		restore(lab)
	check(MARK not in p.stdout, "the command ran")
	for w in words:
		check(w in p.stderr, "the reason does not hold %r: %r" % (w, p.stderr))
	equal(lab.db("SELECT count(*) FROM credential"), before, "credentials")
	equal(lab.h.attest()["state"], "VERIFIED", "the host afterwards")


def test_good_image_and_model_run(lab):
	p = lab.h.run("/bin/echo", MARK)
	equal(p.stdout, MARK + "\n", "output of the command")
	for select in ("v1", "sha256:" + lab.image["digest"]):
		p = lab.h.run("/bin/echo", MARK, args=("--image-select", select))
		equal(p.stdout, MARK + "\n", "output of the command")
	p = lab.h.run("/bin/echo", MARK, image=lab.path("img") + ":v1")
	equal(p.stdout, MARK + "\n", "output of the command")
	archive = lab.path("img:v2.tar")
	with tarfile.open(archive, "w") as t:
		for name in sorted(os.listdir(lab.path("img"))):
			t.add(os.path.join(lab.path("img"), name), name)
	for image in (archive, archive + ":v1"):
		p = lab.h.run("/bin/echo", MARK, image=image)
		equal(p.stdout, MARK + "\n", "output of the command with the image %s" % image)
	os.unlink(archive)


def test_W4_image_layer_changed(lab):
	refused(lab, lambda: change_byte(lab.image["layer"]), os.path.basename(lab.image["layer"]))


def test_W4_image_layer_longer_or_missing(lab):
	def longer():
		with open(lab.image["layer"], "ab") as f:
			f.write(b"x")
	refused(lab, longer, os.path.basename(lab.image["layer"]))
	refused(lab, lambda: os.unlink(lab.image["layer"]), os.path.basename(lab.image["layer"]))


def test_W4_image_config_changed(lab):
	refused(lab, lambda: change_byte(lab.image["config"]), os.path.basename(lab.image["config"]))


def test_W4_image_manifest_changed(lab):
	refused(lab, lambda: change_byte(lab.image["manifest"]), os.path.basename(lab.image["manifest"]))


def test_W4_tag_moved_to_another_image(lab):
	"""Everything in the layout is consistent, and the tag is the same; the digest is not."""
	def move():
		shutil.rmtree(lab.path("img"))
		os.mkdir(lab.path("img"))
		make_image(lab.path("img"), b"evil agent", "v1")
		L.open_to_all(lab.path("img"))
	refused(lab, move, "W4")


def test_W4_tag_that_is_not_there(lab):
	refused(lab, lambda: None, "v2", image=lab.path("img") + ":v2")


def test_W4_layer_is_a_symlink(lab):
	def link():
		shutil.move(lab.image["layer"], lab.path("layer"))
		os.symlink(lab.path("layer"), lab.image["layer"])
	refused(lab, link, os.path.basename(lab.image["layer"]))


def test_W5_model_file_changed(lab):
	refused(lab, lambda: change_byte(lab.path("mdl", "weights", "a.bin")), "W5")


def test_W5_model_file_renamed(lab):
	refused(lab, lambda: os.rename(lab.path("mdl", "weights", "a.bin"), lab.path("mdl", "weights", "c.bin")), "W5")


def test_W5_model_files_swapped(lab):
	"""The contents are the same, the names too, but not together."""
	def swap():
		a, b, c = (lab.path("mdl", "weights", n) for n in ("a.bin", "b.bin", "c.bin"))
		os.rename(a, c), os.rename(b, a), os.rename(c, b)
	refused(lab, swap, "W5")


def test_W5_model_file_added(lab):
	def add():
		with open(lab.path("mdl", "weights", "z.bin"), "w"):
			pass
	refused(lab, add, "W5")


def test_W5_model_file_removed(lab):
	refused(lab, lambda: os.unlink(lab.path("mdl", "config.json")), "W5")


def test_W5_model_file_symlinked(lab):
	"""To the very same content."""
	def link():
		path = lab.path("mdl", "weights", "a.bin")
		os.unlink(path)
		os.symlink(lab.path("mdl.good", "weights", "a.bin"), path)
	refused(lab, link, "a.bin")


def test_W5_model_folder_symlinked(lab):
	def link():
		shutil.rmtree(lab.path("mdl"))
		os.symlink(lab.path("mdl.good"), lab.path("mdl"))
	refused(lab, link, "mdl")


def test_W5_model_with_a_fifo_or_empty(lab):
	refused(lab, lambda: os.mkfifo(lab.path("mdl", "pipe")), "pipe")

	def empty():
		shutil.rmtree(lab.path("mdl"))
		os.mkdir(lab.path("mdl"))
	refused(lab, empty)


# ---- while it runs

def changes_while_it_runs(lab, change, check_id="W7"):
	"""An attestation tells of it, whoever asks for it; the instance's credentials die; the host lives on."""
	with lab.h.start() as agent:
		# Or run would be faster than we are: it watches what it has measured.
		agent.p.send_signal(signal.SIGSTOP)
		token = lab.h.token(agent.instance)
		equal(lab.api.ask(token, lab.h.proof(agent.instance, token)).json().get("active"), True, "token before")
		try:
			change()
			r = lab.h.attest(status=None)
			mine = [x for x in r["results"] if x["instance"] == agent.instance]
			check(mine and mine[0]["status"] == "contraindicated", "result of the instance: %r" % r)
			check(any(f["check"] == check_id for f in r["failures"]), "%s is not named: %r" % (check_id, r))
			equal(lab.api.ask(token, lab.h.proof(agent.instance, token)).json(), {"active": False}, "token after")
			p = lab.h.token(agent.instance, status=1)
			check(p.stderr, "no reason")
		finally:
			restore(lab)
		# Putting it back does not undo it.
		r = lab.h.attest(status=1)
		mine = [x for x in r["results"] if x["instance"] == agent.instance]
		equal([x["status"] for x in mine], ["contraindicated"], "result of the instance after it was put back")
		lab.h.token(agent.instance, status=1)
		agent.p.send_signal(signal.SIGCONT)
		agent.p.wait(L.DEADLINE_S)
		equal(agent.p.returncode, 125, "exit status of run")
	equal(lab.h.attest()["state"], "VERIFIED", "the host afterwards")


def test_W7_model_changed_while_it_runs(lab):
	changes_while_it_runs(lab, lambda: change_byte(lab.path("mdl", "weights", "b.bin")))


def test_W7_image_changed_while_it_runs(lab):
	changes_while_it_runs(lab, lambda: change_byte(lab.image["layer"]))


def test_W7_model_replaced_by_a_symlink_while_it_runs(lab):
	def link():
		shutil.rmtree(lab.path("mdl"))
		os.symlink(lab.path("mdl.good"), lab.path("mdl"))
	changes_while_it_runs(lab, link)


def test_W5_model_approved_by_its_signature(lab):
	"""The bundle lies in the model's folder or beside it; a file that it does not sign is no part of what was approved."""
	measure, key, pub = lab.program("FIRMWARE_MEASURE"), lab.path("signer.key"), lab.path("signer.pub")
	bundle = lab.path("mdl", "model.sig")
	for args in (("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key), ("pkey", "-in", key, "-pubout", "-out", pub)):
		subprocess.run(("openssl",) + args, check=True, stderr=subprocess.DEVNULL)
	try:
		lab.run(measure, "model", "--sign", key, "--out", bundle, lab.path("mdl"))
		refused_before = lab.h.run("/bin/echo", MARK, status=125)
		check("W5" in refused_before.stderr, "the bundle itself is a change: %r" % refused_before.stderr)
		lab.approve("model", "mdl", "--path", lab.path("mdl"), "--oms", bundle, "--oms-key", pub, "--version-name", "1")
		equal(lab.h.run("/bin/echo", MARK).stdout, MARK + "\n", "output of the command")
		os.rename(bundle, lab.path("model.sig"))
		equal(lab.h.run("/bin/echo", MARK).stdout, MARK + "\n", "output of the command")
		with open(lab.path("mdl", "more"), "w"):
			pass
		check("W5" in lab.h.run("/bin/echo", MARK, status=125).stderr, "a file that is not signed")
	finally:
		restore(lab)
		lab.approve("model", "mdl", "--path", lab.path("mdl"), "--version-name", "1")
	lab.h.run("/bin/true")


def test_W7_run_ends_the_command_by_itself(lab):
	"""Without anybody asking: the interval's attestation finds the change, the command gets TERM, run exits 125."""
	agent = lab.h.start(args=("--interval", "1s", "--json"))
	try:
		change_byte(lab.path("mdl", "weights", "b.bin"))
		agent.p.wait(L.DEADLINE_S)
	finally:
		restore(lab)
		agent.p.kill()
		agent.p.wait()
	equal(agent.p.returncode, 125, "exit status of run")
	events = [json.loads(line) for line in L.read_text(agent.log).splitlines()]
	last = [e for e in events if e["event"] == "refused"]
	check(last and any(f["check"] == "W7" for f in last[0]["verdict"]["failures"]), "no reason: %r" % events)
	equal(lab.h.attest()["state"], "VERIFIED", "the host afterwards")


def noticed(lab, change, undo=lambda: None):
	"""What is done to the files of a running agent ends it and its credentials at once: its interval is half a day."""
	agent = lab.h.start(args=("--interval", "12h"))
	try:
		token = lab.h.token(agent.instance)
		equal(lab.api.ask(token, lab.h.proof(agent.instance, token)).json().get("active"), True, "token before")
		change()
		agent.p.wait(L.DEADLINE_S)
	finally:
		undo()
		restore(lab)
		agent.p.kill()
		agent.p.wait()
	equal(agent.p.returncode, 125, "exit status of run")
	check("W7" in L.read_text(agent.log), "no reason: %r" % L.read_text(agent.log))
	equal(lab.api.ask(token, "x.y.z").json(), {"active": False}, "token after")
	equal(lab.h.attest()["state"], "VERIFIED", "the host afterwards")


def test_W7_write_is_noticed(lab):
	noticed(lab, lambda: change_byte(lab.path("mdl", "weights", "b.bin")))
	noticed(lab, lambda: change_byte(lab.image["layer"]))


def test_W7_new_and_renamed_file_are_noticed(lab):
	def add():
		with open(lab.path("mdl", "weights", "z.bin"), "wb") as f:
			f.write(b"more")
	noticed(lab, add)
	noticed(lab, lambda: os.rename(lab.path("mdl", "weights", "a.bin"), lab.path("mdl", "weights", "c.bin")))
	noticed(lab, lambda: os.unlink(lab.path("mdl", "weights", "a.bin")))


def test_W7_replaced_folder_is_noticed(lab):
	"""Another version, put in the place of the approved one by renaming."""
	def replace():
		shutil.copytree(lab.path("mdl"), lab.path("mdl.next"))
		change_byte(lab.path("mdl.next", "weights", "b.bin"))
		os.rename(lab.path("mdl"), lab.path("mdl.old"))
		os.rename(lab.path("mdl.next"), lab.path("mdl"))
	noticed(lab, replace, lambda: shutil.rmtree(lab.path("mdl.old"), ignore_errors=True))


def test_W7_write_under_another_name_is_noticed(lab):
	"""A second hard link, outside of the folder."""
	other = lab.path("other-name")
	os.link(lab.path("mdl", "weights", "b.bin"), other)
	noticed(lab, lambda: change_byte(other), lambda: os.unlink(other))


def test_W7_mount_is_noticed(lab):
	"""Another file system over the model: none of its files was touched."""
	def mount():
		lab.run("mount", "-t", "tmpfs", "none", lab.path("mdl"))
	noticed(lab, mount, lambda: lab.run("umount", lab.path("mdl")))


def test_same_bytes_again_are_no_change(lab):
	"""They are looked at at once, and the agent goes on; what happens beside image and model is not."""
	path = lab.path("mdl", "weights", "b.bin")
	with lab.h.start(args=("--interval", "12h", "--log-level", "info")) as agent:
		with open(lab.path("beside"), "w") as f:
			f.write("x")
		os.unlink(lab.path("beside"))
		for _ in range(2):
			before = looks(lab)
			with open(path, "rb") as f:
				content = f.read()
			with open(path, "r+b") as f:
				f.write(content)
			L.wait_for("a verdict", lambda: looks(lab) > before)
		check(lab.h.token(agent.instance), "no token")
		agent.p.stdin.close()
		agent.p.wait(L.DEADLINE_S)
	equal(agent.p.returncode, 0, "exit status of run")
	equal(L.read_text(agent.log).count("something was done"), 2, "looks: %r" % L.read_text(agent.log))


def looks(lab):
	return lab.db("SELECT version FROM host_state WHERE host = ?", lab.h.id)[0][0]


def test_W4_withdrawn_while_it_runs(lab):
	"""The operator takes the image back: the running agent ends within its interval."""
	agent = lab.h.start(args=("--interval", "1s"))
	try:
		lab.withdraw("image", "img")
		agent.p.wait(L.DEADLINE_S)
	finally:
		agent.p.kill()
		agent.p.wait()
		lab.approve("image", "img", "--layout", lab.path("img"))
	equal(agent.p.returncode, 125, "exit status of run")
	check("W4" in L.read_text(agent.log), "no reason: %r" % L.read_text(agent.log))
	equal(lab.h.attest()["state"], "VERIFIED", "the host afterwards")
	lab.h.run("/bin/true")


if __name__ == "__main__":
	sys.exit(L.main(setup, needs_root=True))
