#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""assay-attest hooks: install, remove, policy, check. usage: test-hooks-cli.py ASSAY_ATTEST FIRMWARE_MEASURE SOURCE_ROOT"""
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

ATTEST, MEASURE, SOURCE = (os.path.abspath(p) for p in sys.argv[1:4])
HOOK_ENV = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
USUAL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TOP = tempfile.mkdtemp(prefix="test-hooks.")
count, failures = 0, 0


def true(name, good, *seen):
	global count, failures
	count += 1
	failures += not good
	print("%sok %d - %s" % ("" if good else "not ", count, name))
	if not good:
		for s in seen:
			print("# %s" % str(s).replace("\n", "\n# "))


def run(*args):
	env = {"PATH": os.environ["PATH"]}
	return subprocess.run((ATTEST,) + args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, cwd=TOP)


def check(name, status, *args, says=()):
	"""Runs it; the exit status and words of either output are as they should be. Returns its standard output."""
	p = run(*args)
	out = p.stdout + p.stderr
	true(name, p.returncode == status and all(s in out for s in ((says,) if isinstance(says, str) else says)),
	     "exit status %d, %d expected; %s expected in: %s" % (p.returncode, status, says, out))
	return p.stdout


def path(*parts):
	return os.path.join(TOP, *parts)


def read(*parts):
	with open(path(*parts)) as f:
		return f.read()


def write(text, *parts):
	with open(path(*parts), "w") as f:
		f.write(text if isinstance(text, str) else json.dumps(text))


def data(name):
	with open(os.path.join(SOURCE, "tests", "data", "container", name)) as f:
		return json.load(f)


# ---------------------------------------------------------------- images

def put_blob(layout, data):
	name = hashlib.sha256(data).hexdigest()
	os.makedirs(path(layout, "blobs", "sha256"), exist_ok=True)
	with open(path(layout, "blobs", "sha256", name), "wb") as f:
		f.write(data)
	return {"digest": "sha256:" + name, "size": len(data)}


def layer(files):
	"""A tar archive: names that end with / are folders, (name, target) is a symbolic link."""
	out = io.BytesIO()
	with tarfile.open(fileobj=out, mode="w") as tar:
		for f in files:
			entry = tarfile.TarInfo(f if isinstance(f, str) else f[0])
			entry.mode = 0o755
			if not isinstance(f, str):
				entry.type, entry.linkname = tarfile.SYMTYPE, f[1]
			elif f.endswith("/"):
				entry.type = tarfile.DIRTYPE
			else:
				entry.size = len(f)
			tar.addfile(entry, io.BytesIO(f.encode() if isinstance(f, str) and entry.size else b""))
	return out.getvalue()


def image(layout, config, files=("bin/", "bin/agent", "etc/")):
	shutil.rmtree(path(layout), ignore_errors=True)
	tar = layer(files)
	v1 = "application/vnd.oci.image."
	root = put_blob(layout, tar)
	doc = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [root["digest"]]}}
	if config is not None:
		doc["config"] = config
	conf = put_blob(layout, json.dumps(doc).encode())
	manifest = put_blob(layout, json.dumps({
		"schemaVersion": 2, "mediaType": v1 + "manifest.v1+json", "config": dict(conf, mediaType=v1 + "config.v1+json"),
		"layers": [dict(root, mediaType=v1 + "layer.v1.tar")]}).encode())
	write({"schemaVersion": 2, "manifests": [dict(manifest, mediaType=v1 + "manifest.v1+json",
	       annotations={"org.opencontainers.image.ref.name": "v1"})]}, layout, "index.json")
	write({"imageLayoutVersion": "1.0.0"}, layout, "oci-layout")
	return layout


CONFIG = {"Entrypoint": ["/bin/agent"], "Cmd": ["serve", "now"], "Env": ["PATH=/bin", "MODE=x=y"], "User": "1000:1001",
	  "WorkingDir": "/work/"}


def make(name, *more, status=0, says=()):
	return check(name, status, "hooks", "policy", "--agent", "agent-a", "--image", path("layout") + ":v1",
		     "--model", "/srv/models/m1", "--json", *more, says=says)


def policy():
	image("layout", CONFIG)
	entry = json.loads(make("policy of an image"))
	measured = json.loads(subprocess.run((MEASURE, "image", "--json", path("layout")), stdout=subprocess.PIPE).stdout)
	true("digests are those of firmware-measure", entry["image"] == {k: measured[k] for k in ("manifest", "config", "rootfs")},
	     entry, measured)
	true("program and arguments", entry["args"] == [["/bin/agent", "serve", "now"]], entry)
	true("variables", entry["env"] == {"PATH": "/bin", "MODE": "x=y", "HOME": None}, entry)
	true("user, folder, model", entry["user"] == {"uid": 1000, "gid": 1001} and entry["cwd"] == "/work" and
	     entry["model"] == "/srv/models/m1" and entry["agent"] == "agent-a" and
	     entry["mounts"] == [{"destination": "/model", "source": "/srv/models/m1", "required": True}], entry)
	true("what the image lacks", entry["absent"] == [
		"/dev", "/etc/group", "/etc/hostname", "/etc/hosts", "/etc/mtab", "/etc/passwd", "/etc/resolv.conf", "/proc", "/run",
		"/run/.containerenv", "/run/assay-attest", "/run/assay-attest/attest.sock", "/sys", "/tmp", "/var", "/var/tmp",
		"/model", "/work"], entry["absent"])
	image("layout", CONFIG, ("bin/", "bin/agent", "etc/", "etc/hosts", "etc/passwd", "etc/group", "etc/hostname", "etc/resolv.conf",
				 "proc/", "dev/", "sys/", "tmp/", "run/", "var/", "var/tmp/", "work/", ("etc/mtab", "/proc/mounts")))
	entry = json.loads(make("policy of an image that has most"))
	true("what it lacks still", entry["absent"] == ["/run/.containerenv", "/run/assay-attest", "/run/assay-attest/attest.sock",
							"/model"], entry["absent"])
	entry = json.loads(make("the model elsewhere", "--model-at", "/data/model"))
	true("is absent there, with the folder above",
	     entry["absent"][-2:] == ["/data", "/data/model"] and entry["mounts"][0]["destination"] == "/data/model", entry)
	shown = check("printed for people", 0, "hooks", "policy", "--agent", "a", "--image", path("layout"), "--model", "/m")
	write({"version": 1, "containers": [json.loads(shown)]}, "rules", "own.json")
	check("and loaded again", 0, "hooks", "check", "--agent", "a", "--containers", path("rules", "own.json"), says="accepted: agent a")


def policy_of_odd_images():
	for config in (dict(CONFIG, User="agent"), dict(CONFIG, User=""), dict(CONFIG, User="0:0"), dict(CONFIG, User="root"),
		       dict(CONFIG, User="1000:staff"), {k: v for k, v in CONFIG.items() if k != "User"}, None):
		image("layout", config)
		make("user %s" % (config or {}).get("User"), status=1, says="--user UID:GID")
	entry = json.loads(make("user said", "--user", "7:8", says="names no program"))
	true("is taken; an image that says nothing", entry["user"] == {"uid": 7, "gid": 8} and "args" not in entry and
	     entry["env"] == {"PATH": USUAL_PATH, "HOME": None} and "cwd" not in entry, entry)
	make("root said", "--user", "0:8", status=1, says="--user UID:GID")
	make("a name said", "--user", "agent", status=1, says="--user UID:GID")
	image("layout", dict(CONFIG, User="1000", Volumes={"/data": {}}))
	entry = json.loads(make("a user without group, a volume", says=("no group is said", "--image-volume=ignore")))
	true("has group 0", entry["user"] == {"uid": 1000, "gid": 0}, entry)
	image("layout", dict(CONFIG, Entrypoint=None, Cmd=["/bin/agent"], Env=None))
	true("null is none", json.loads(make("no entry point"))["args"] == [["/bin/agent"]])
	for member, value in (("Env", ["MODE=\u00e9"]), ("Env", ["MODE"]), ("Env", "A=b"), ("Cmd", [1]), ("Entrypoint", {"a": 1}),
			      ("WorkingDir", "work"), ("WorkingDir", "/a/../b")):
		image("layout", dict(CONFIG, **{member: value}))
		make("%s %s" % (member, value), status=1)
	image("layout", CONFIG)
	with open(path("layout", "blobs", "sha256", "0" * 64), "w") as f:
		f.write("x")
	make("a blob that belongs to nothing", status=1)
	image("layout", CONFIG)
	for arguments in (("--agent", "a b"), ("--model", "models/m1"), ("--model", "/srv/../m1"), ("--model-at", "/")):
		make("%s %s" % arguments, *arguments, status=1)


# ---------------------------------------------------------------- hooks

def hook(stage, *more):
	return {"path": os.path.realpath(ATTEST), "args": ["assay-attest", *more, "oci-hook", stage], "env": HOOK_ENV}


def folder_of_hooks():
	files = {"createRuntime": "50-assay-attest-create.json", "poststop": "50-assay-attest-stop.json"}
	check("install", 0, "hooks", "install", "--podman", "--dir", path("hooks", "d"), says=("installed: ", *files.values()))
	for stage, name in files.items():
		doc = json.loads(read("hooks", "d", name))
		true("hook of " + stage, doc == {"version": "1.0.0", "hook": hook(stage), "stages": [stage],
						 "when": {"annotations": {"^dev\\.assay\\.agent$": ".*"}}}, doc)
		when = list(doc["when"]["annotations"].items())[0]
		true("fits the annotation only", re.search(when[0], "dev.assay.agent") and not re.search(when[0], "dev-assay.agent") and
		     not re.search(when[0], "dev.assay.agents"))
	write({}, "attest.json")
	out = check("again, with a configuration", 0, "hooks", "install", "--dir", "hooks/d", "--config", "attest.json", "--json")
	true("files are told", json.loads(out) == {"outcome": "installed", "files": ["hooks/d/" + f for f in files.values()]}, out)
	doc = json.loads(read("hooks", "d", files["poststop"]))
	true("the configuration by its whole path", doc["hook"] == hook("poststop", "--config", os.path.realpath(path("attest.json"))), doc)
	check("a configuration that is not there", 3, "hooks", "install", "--dir", "hooks/d", "--config", "none.json", says="none.json")
	write("{}", "hooks", "d", "other.json")
	check("remove", 0, "hooks", "remove", "--dir", "hooks/d", says="removed: hooks/d/50-assay-attest-create.json")
	true("only ours are gone", os.listdir(path("hooks", "d")) == ["other.json"])
	check("remove again", 0, "hooks", "remove", "--dir", "hooks/d")
	check("remove from nowhere", 0, "hooks", "remove", "--dir", "nowhere")


def bundle(config):
	os.makedirs(path("bundle"), exist_ok=True)
	write(config, "bundle", "config.json")
	os.chmod(path("bundle", "config.json"), 0o640)


def hooks_of_a_bundle():
	other = {"path": "/usr/bin/toolkit", "args": ["toolkit"]}
	plain = data("runc-spec.json")
	del plain["annotations"]
	bundle(dict(plain, hooks={"createRuntime": [other], "prestart": [other]}))
	check("install in a bundle", 0, "hooks", "install", "--bundle", path("bundle"), "--agent", "agent-a", says="installed: ")
	doc = json.loads(read("bundle", "config.json"))
	true("ours are the last", doc["hooks"] == {"createRuntime": [other, hook("createRuntime")], "prestart": [other],
						   "poststop": [hook("poststop")]}, doc["hooks"])
	true("annotations", doc["annotations"] == {"dev.assay.agent": "agent-a", "run.oci.hooks.stderr": "/dev/stderr"}, doc)
	true("the rest as before, the mode too", {k: v for k, v in doc.items() if k not in ("hooks", "annotations")} == plain and
	     os.stat(path("bundle", "config.json")).st_mode & 0o777 == 0o640, doc)
	before = os.stat(path("bundle", "config.json")).st_ino
	check("again", 0, "hooks", "install", "--bundle", path("bundle"))
	true("changes nothing", json.loads(read("bundle", "config.json")) == doc and
	     os.stat(path("bundle", "config.json")).st_ino == before)
	doc["hooks"]["poststop"][0]["path"] = "/opt/old/assay-attest"
	bundle(doc)
	check("in place of an older one", 0, "hooks", "install", "--bundle", path("bundle"))
	doc = json.loads(read("bundle", "config.json"))
	true("is one still", doc["hooks"]["poststop"] == [hook("poststop")], doc["hooks"])
	check("remove from the bundle", 0, "hooks", "remove", "--bundle", path("bundle"), "--json", says="removed")
	doc = json.loads(read("bundle", "config.json"))
	true("others stay", doc["hooks"] == {"createRuntime": [other], "prestart": [other]} and
	     doc["annotations"] == {"dev.assay.agent": "agent-a"}, doc)
	bundle(dict(plain, unknown=1))
	check("what is no configuration", 1, "hooks", "install", "--bundle", path("bundle"), says="unknown")
	check("no bundle", 3, "hooks", "install", "--bundle", path("nowhere"), says="nowhere/config.json")
	true("nothing is left over", os.listdir(path("bundle")) == ["config.json"])


# ---------------------------------------------------------------- check

def judge(name, status, *more, says=()):
	return check(name, status, "hooks", "check", "--bundle", path("bundle"), "--containers", path("rules", "rules.json"), *more,
		     says=says)


def checks():
	rules = data("rules.json")
	rules["containers"][0]["seccomp"] = "any"
	write(rules, "rules", "rules.json")
	digest = hashlib.sha256(json.dumps(rules["containers"][0], sort_keys=True, separators=(",", ":")).encode()).hexdigest()
	bundle(data("runc-spec.json"))
	judge("without our hooks", 1, says="hooks install")
	check("install", 0, "hooks", "install", "--bundle", path("bundle"))
	judge("accepted", 0, says="accepted: agent agent-a, policy " + digest)
	doc = json.loads(read("bundle", "config.json"))
	out = json.loads(judge("accepted, as JSON", 0, "--json"))
	true("has policy", out == {"outcome": "accepted", "agent": "agent-a", "policy": digest}, out)
	judge("rules of another agent", 1, "--agent", "agent-b", says="dev.assay.agent is agent-a")
	judge("no rules", 3, "--agent", "agent-c", says="no entry for agent agent-c")
	bundle(dict(doc, root={"path": "rootfs"}))
	out = json.loads(judge("refused", 1, "--json", says="root.readonly"))
	true("as JSON, too", out["outcome"] == "refused" and out["error"] == "E_AUTH_REFUSED" and "root.readonly" in out["reason"], out)
	for what, part in (("another stage", {"createRuntime": doc["hooks"]["poststop"]}), ("the other only", {"poststop": doc["hooks"]["poststop"]})):
		bundle(dict(doc, hooks=part))
		judge("hooks: " + what, 1, says="hooks.createRuntime")
	bundle(dict(doc, hooks={"createRuntime": doc["hooks"]["createRuntime"]}))
	judge("podman keeps poststop to itself", 0)
	bundle(dict(doc, annotations={}))
	judge("no annotation", 1, says="no annotation")
	judge("an agent in its place", 0, "--agent", "agent-a")
	sock = {"destination": "/run/assay-attest", "type": "bind", "source": "/opt/a", "options": ["ro"]}
	bundle(dict(doc, mounts=doc["mounts"] + [sock]))
	judge("another folder at the daemon's place", 1, says="/opt/a")
	judge("unless the daemon is there", 0, "--socket", "/opt/a/s.sock")
	state = {"destination": "/data", "type": "bind", "source": "/opt/s/x", "options": ["ro"]}
	rules["containers"][0]["mounts"].append({"destination": "/data", "source": "/opt/s/x"})
	write(rules, "rules", "rules.json")
	bundle(dict(doc, mounts=doc["mounts"] + [state]))
	judge("a folder that is permitted", 0)
	judge("unless our state is there", 1, "--state-dir", "/opt/s", says="the state folder")
	os.chmod(path("rules", "rules.json"), 0o666)
	judge("rules that others can write", 3, says="nobody else may write")
	os.chmod(path("rules", "rules.json"), 0o600)
	write(data("podman-crun.json"), "bundle", "config.json")
	check("install in podman's", 0, "hooks", "install", "--bundle", path("bundle"))
	write(data("rules.json"), "rules", "rules.json")
	out = json.loads(judge("podman's is accepted", 0, "--json"))
	profile = data("podman-crun.json")["linux"]["seccomp"]
	true("the digest of its profile", out["seccomp"] == hashlib.sha256(
		json.dumps(profile, sort_keys=True, separators=(",", ":")).encode()).hexdigest(), out)


def page():
	"""The example of assay-containers(5) is what the parser reads."""
	with open(os.path.join(SOURCE, "man", "assay-containers.5")) as f:
		text = f.read().split(".Sh EXAMPLES\n.Bd -literal\n")[1].split(".Ed\n")[0]
	write(text, "rules", "page.json")
	entry = json.loads(text)["containers"][0]
	digest = hashlib.sha256(json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
	check("the example of the page", 0, "hooks", "check", "--agent", "invoices", "--containers", path("rules", "page.json"),
	      says="policy " + digest)


def usage():
	for arguments, words in (
			((), "argument missing"), (("start",), "install, remove, policy or check"), (("install", "more"), "too many"),
			(("install", "--bundle", "b", "--podman"), "--bundle goes without"),
			(("install", "--bundle", "b", "--dir", "d"), "--bundle goes without"),
			(("install", "--agent", "a"), "--annotation"), (("install", "--bundle", "b", "--agent", "a b"), "--agent"),
			(("policy", "--agent", "a", "--image", "i"), "--model"), (("policy", "--agent", "a", "--model", "/m"), "--image"),
			(("policy", "--image", "i", "--model", "/m"), "--agent"), (("check",), "--bundle"), (("install", "--unknown"), "unknown")):
		check("usage: " + " ".join(arguments), 2, "hooks", *arguments, says=words)
	check("help", 0, "hooks", "--help", says=("--bundle", "--model-at"))


def main():
	os.mkdir(path("rules"), 0o755)
	os.mkdir(path("hooks"))
	for part in (policy, policy_of_odd_images, folder_of_hooks, hooks_of_a_bundle, checks, page, usage):
		print("# " + part.__name__)
		part()
	print("1..%d" % count)
	return 1 if failures else 0


if __name__ == "__main__":
	try:
		sys.exit(main())
	finally:
		shutil.rmtree(TOP)
