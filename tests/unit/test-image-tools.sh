#!/usr/bin/env bash
# Images as other projects' tools make, pack, copy and unpack them. Without a network. usage: test-image-tools.sh PROGRAM
set -u
program=$(realpath "$1") || exit 99
for tool in umoci skopeo podman tar; do
	command -v $tool >/dev/null || { echo "1..0 # SKIP $tool is not installed"; exit 0; }
done
top=$(mktemp -d) || exit 99
podman() { command podman --root "$top/podman" --runroot "$top/podman-run" --storage-driver vfs --events-backend none "$@"; }
trap 'podman unmount --all >/dev/null 2>&1; rm -rf "$top"' EXIT
cd "$top" || exit 99
n=0

result()
{
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		sed 's/^/# /' "$top/err"
	fi
}

# same NAME WANT GOT
same()
{
	echo "$2 is wanted, not $3" >>"$top/err"
	[ -n "$2" ] && [ "$2" = "$3" ]
	result $? "$1"
}

# member NAME ARGUMENTS...: of what the verb says about an image
member()
{
	key=$1
	shift
	"$program" image --json "$@" 2>"$top/err" | python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$key" 2>/dev/null
}

# refused NAME WORDS ARGUMENTS...: with exit status 1 and one line
refused()
{
	name=$1
	words=$2
	shift 2
	"$program" image "$@" >"$top/out" 2>"$top/err"
	[ $? = 1 ] && [ ! -s "$top/out" ] && grep -qF -- "$words" "$top/err" && [ "$(wc -l <"$top/err")" = 1 ]
	result $? "$name"
}

quiet() { "$@" >>"$top/log" 2>&1 || { echo "Bail out! $*"; tail -5 "$top/log"; exit 99; }; }

# An image of two layers.
mkdir -p one/bin two
echo hello >one/bin/a
ln one/bin/a one/bin/b
echo more >two/c
quiet umoci init --layout i
quiet umoci new --image i:v1
quiet umoci insert --image i:v1 one /
quiet umoci insert --image i:v1 two/c /c
manifest=$(python3 -c 'import json; print(json.load(open("i/index.json"))["manifests"][0]["digest"][7:])')

echo 1..17
# The manifest of the first insert is nobody's any more.
refused "blob that belongs to no image" "belongs to no image of the layout" i --select v1
same "the image alone" "$manifest" "$(member manifest i --select v1 --blobs-only)"
quiet umoci gc --layout i
same "layout of umoci" "$manifest" "$(member manifest i --select v1)"

tar -C i --format=gnu -cf gnu.tar .
tar -C i --format=pax -cf pax.tar oci-layout index.json blobs
tar -C i --format=ustar -b 1 -cf ustar.tar oci-layout index.json blobs
for format in gnu pax ustar; do
	same "archive of the layout, $format" "$manifest" "$(member manifest $format.tar --select v1)"
done

quiet skopeo copy oci:i:v1 oci-archive:oci.tar:v1
same "archive of skopeo" "$manifest" "$(member manifest oci.tar --select v1)"

quiet skopeo copy oci:i:v1 docker-archive:docker.tar:example.com/agent:v1
quiet podman load -i docker.tar
quiet podman save -o podman.tar example.com/agent:v1
same "docker archive of skopeo and of podman" "$(member manifest docker.tar --select v1)" "$(member manifest podman.tar)"
same "its configuration" "$(podman image inspect --format '{{.Id}}' example.com/agent:v1)" "$(member config podman.tar --select example.com/agent:v1)"
same "its layers" "$(podman image inspect --format '{{json .RootFS.Layers}}' example.com/agent:v1 | tr -d '[]"' | sed 's/sha256://g')" \
	"$(member layers podman.tar | tr -d "[]' ")"

quiet podman save --format oci-archive -o podman-oci.tar example.com/agent:v1
quiet skopeo copy oci-archive:podman-oci.tar oci:back:v1
same "OCI archive of podman" "$(member manifest back)" "$(member manifest podman-oci.tar)"

gzip -k gnu.tar
refused "compressed archive" "gnu.tar.gz is compressed (gzip)" gnu.tar.gz
head -c 4000 gnu.tar >cut.tar
refused "archive that was cut" "ends" cut.tar --select v1
cp gnu.tar twice.tar
tar -C i --format=gnu -rf twice.tar ./index.json
refused "archive with two indexes" "index.json stands in the archive twice" twice.tar --select v1

# One image for two platforms.
quiet umoci config --image i:v1 --tag arm --architecture arm64
quiet podman manifest create both
quiet podman manifest add both oci:i:v1
quiet podman manifest add both oci:i:arm
quiet podman manifest push --all both oci:both:v1
same "platform of a manifest list" "$(member manifest i --select arm)" "$(member manifest both --select v1@linux/arm64)"
same "the other platform" "$(member manifest i --select v1)" "$(member manifest both --select @linux/amd64)"
refused "several platforms" "more than one image manifest" both --select v1
