#!/usr/bin/env bash
# The root digest of an image, from its layers, against what umoci, podman and buildah unpack. usage: test-rootfs-tools.sh PROGRAM ASSAYCTL TESTS
set -u
program=$(realpath "$1") || exit 99
ctl=$(realpath "$2") || exit 99
python=$(realpath "$3/unit/rootfs_digest.py") || exit 99
[ "$(id -u)" = 0 ] || { echo "1..0 # SKIP roots with owners are unpacked by root"; exit 0; }
for tool in umoci skopeo podman buildah setcap; do
	command -v $tool >/dev/null || { echo "1..0 # SKIP $tool is not installed"; exit 0; }
done
top=$(mktemp -d /var/tmp/test-rootfs.XXXXXX) || exit 99
storage() { tool=$1; shift; command "$tool" --root "$top/storage" --runroot "$top/run" --storage-driver overlay "$@"; }
trap 'storage podman image unmount --all >/dev/null 2>&1; storage buildah unmount --all >/dev/null 2>&1; rm -rf "$top"' EXIT
cd "$top" || exit 99
n=0

quiet() { "$@" >>"$top/log" 2>&1 || { echo "Bail out! $*"; tail -5 "$top/log"; exit 99; }; }

# same NAME WANT GOT
same()
{
	n=$((n + 1))
	if [ -n "$2" ] && [ "$2" = "$3" ]; then
		echo "ok $n - $1"
	else
		echo "not ok $n - $1"
		echo "# $2 is wanted, not $3"
		sed 's/^/# /' "$top/err"
	fi
}

# member VERB KEY ARGUMENTS...
member()
{
	verb=$1
	key=$2
	shift 2
	"$program" "$verb" --json "$@" 2>"$top/err" | python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$key" 2>>"$top/err"
}

# Three layers: files of every kind, then changes of each, then a folder that comes back.
quiet umoci init --layout i
quiet umoci new --image i:v1
quiet umoci unpack --image i:v1 b1
(
	cd b1/rootfs || exit 1
	mkdir -p bin etc/sub var/log old/deep opaque/x "name with spaces" dir-x dir/a
	echo hi >bin/a; ln bin/a bin/b; ln -s ../bin/a etc/l; ln -s /nowhere/at/all etc/absolute
	chmod 4755 bin/a; chmod 1777 var/log; chown 5:6 etc/sub; chown -h 7:8 etc/l
	setcap cap_net_raw+ep bin/b
	python3 -c 'import os; os.setxattr("etc/sub", "user.test", b"1"); os.setxattr("etc/sub", "user.a", b"")'
	python3 -c 'import os, struct; os.setxattr("etc", "system.posix_acl_access", struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in ((1, 7, 2**32 - 1), (2, 5, 7), (4, 5, 2**32 - 1), (16, 7, 2**32 - 1), (32, 5, 2**32 - 1))))'
	echo x >old/deep/f; echo y >old/g; echo z >opaque/x/z
	head -c 3000000 /dev/urandom >var/log/big
	: >empty; echo u >"name with spaces/ű"; echo 1 >dir-x/1; echo 2 >dir/a/2; echo 3 >dir.x
	echo long >"$(printf 'n%.0s' {1..200})"
) || exit 99
quiet umoci repack --image i:v1 b1
quiet umoci unpack --image i:v1 b2
(
	cd b2/rootfs || exit 1
	rm -r old; mkdir old; echo new >old/new
	rm bin/a; echo changed >bin/c; ln bin/c bin/d
	chmod 700 etc; rm -r etc/sub; echo file >etc/sub; rm etc/l; mkdir etc/l
	rm -r opaque
) || exit 99
quiet umoci repack --image i:v1 b2
quiet umoci unpack --image i:v1 b3
mkdir -p b3/rootfs/opaque; echo back >b3/rootfs/opaque/back; rm b3/rootfs/empty
quiet umoci repack --image i:v1 b3
quiet umoci gc --layout i
want=$(member image rootfs i --select v1)

echo 1..13
quiet umoci unpack --image i:v1 final
same "umoci unpack" "$want" "$(member rootfs rootfs final/rootfs)"
same "another implementation of the format" "$want" "$(python3 "$python" final/rootfs 2>"$top/err")"
same "the number of files and folders" "$(find final/rootfs | wc -l)" "$(member image entries i --select v1)"
"$program" rootfs final/rootfs --expect "$want" >"$top/out" 2>"$top/err"
same "--expect of what it is" 0 $?

# Not the driver vfs, which loses access control lists.
if storage podman info >/dev/null 2>&1; then
	quiet storage podman pull oci:i:v1
	id=$(storage podman images --quiet --no-trunc | head -1)
	same "podman image mount" "$want" "$(member rootfs rootfs "$(storage podman image mount "$id")")"
	container=$(storage buildah from --pull-never "$id" 2>>"$top/log")
	same "buildah mount" "$want" "$(member rootfs rootfs "$(storage buildah mount "$container")")"
	quiet storage podman save -o docker.tar "$id"
	same "archive of podman save" "$want" "$(member image rootfs docker.tar)"
else
	for what in "podman image mount" "buildah mount" "archive of podman save"; do
		n=$((n + 1)); echo "ok $n - $what # SKIP no overlay file system here"
	done
fi
quiet skopeo copy --dest-compress-format zstd --dest-compress oci:i:v1 oci:z:v1
grep -q 'tar+zstd' z/blobs/sha256/* || echo "# no layer was compressed by zstd"
same "layers compressed by zstd" "$want" "$(member image rootfs z)"

quiet umoci unpack --rootless --image i:v1 rootless
same "umoci unpack --rootless, without owners and capabilities" \
	"$(setcap -r final/rootfs/bin/b 2>/dev/null; member rootfs rootfs_without_owners --ignore-owner final/rootfs)" \
	"$(setcap -r rootless/rootfs/bin/b 2>/dev/null; member rootfs rootfs_without_owners --ignore-owner rootless/rootfs)"

# approved ARGUMENTS...: the document that assayctl signs, as JSON
approved()
{
	rm -f approved.json
	"$ctl" --realm test approve image img --key op.key --owner ops --expires 1d --serial 1 --out approved.json "$@" 2>"$top/err" >>"$top/log" || return
	python3 -c 'import base64, json; print(base64.b64decode(json.load(open("approved.json"))["payload"]).decode())'
}
quiet "$ctl" key new --out op.key --name alice
same "assayctl approve image --rootfs" "$want" \
	"$(approved --layout i --select v1 --rootfs | python3 -c 'import json, sys; print(*json.load(sys.stdin)["predicate"]["rootfs"])')"
same "assayctl approve image without it" "$(member image manifest i --select v1)" \
	"$(approved --layout i --select v1 | python3 -c 'import json, sys; p = json.load(sys.stdin)["predicate"]; assert "rootfs" not in p; print(*p["manifests"])')"
approved --layout i --select v1 --digest "$want" --rootfs >/dev/null
same "usage" 2 $?

echo more >>final/rootfs/bin/c
"$program" rootfs final/rootfs --expect "$want" >"$top/out" 2>"$top/err"
same "--expect of what it was" 1 $?
