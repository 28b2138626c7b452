#!/usr/bin/env bash
# firmware-measure model --verity beside fsverity(1), and beside a kernel that keeps digests. usage: test-fsverity.sh PROGRAM
set -u
program=$1
command -v fsverity >/dev/null || { echo "1..0 # SKIP fsverity is not installed"; exit 0; }
top=$(mktemp -d) || exit 99
trap 'mountpoint -q "$top/mnt" && umount "$top/mnt"; rm -rf "$top"' EXIT
n=0
bad=0

result()
{
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $n - $2"
	else
		bad=1
		echo "not ok $n - $2"
	fi
}

# The digests of a folder as the program lists them, and as the tool does.
ours()
{
	"$program" model --verity --files "$@" | awk '$3 != "" && length($1) == 64 { print $1, $3 }'
}

theirs()
{
	for f in "$1"/*; do
		echo "$(fsverity digest --compact "$f") ${f##*/}"
	done
}

echo 1..10
mkdir "$top/m"
# Around a block, a block of hashes, a unit of work, two of them.
i=0
for size in 0 1 4095 4096 4097 524288 524289 67108863 67108864 67108865 134217729; do
	i=$((i + 1))
	f=$(printf '%s/m/%02d' "$top" $i)
	truncate -s $size "$f"
	[ $size -eq 0 ] || printf 'z' | dd of="$f" bs=1 seek=$((size - 1)) conv=notrunc status=none
	[ $size -lt 70000 ] || printf 'y' | dd of="$f" bs=1 seek=66666 conv=notrunc status=none
done
theirs "$top/m" >"$top/want"
ours "$top/m" >"$top/got"
diff "$top/want" "$top/got" >&2
result $? "digests of files are those of fsverity"
ours --jobs 1 "$top/m" | cmp -s "$top/want"
result $? "with one thread"
"$program" model --verity "$top/m" >"$top/first"
printf 'x' | dd of="$top/m/10" bs=1 seek=5000000 conv=notrunc status=none
"$program" model --verity "$top/m" >"$top/second"
! cmp -s "$top/first" "$top/second"
result $? "a changed byte shows"
theirs "$top/m" | cmp -s - <(ours "$top/m")
result $? "and where"
mv "$top/m/01" "$top/m/00"
"$program" model --verity "$top/m" | cmp -s - "$top/second"
[ $? -eq 1 ]
result $? "a changed name shows"
"$program" model --verity --verify "$top/want" --key "$top/want" "$top/m" 2>/dev/null
[ $? -eq 2 ]
result $? "not with --verify"
"$program" model --verity --json --files "$top/m" | grep -q '"n_kept":0,.*"verity":"[0-9a-f]\{64\}".*"files":\[{"path":"00","size":0,"verity":"'
result $? "for machines"

kernel_keeps()
{
	truncate -s 64M "$top/ext4" && mkfs.ext4 -q -b 4096 -O verity "$top/ext4" && mkdir "$top/mnt" && mount -o loop "$top/ext4" "$top/mnt" &&
		mkdir "$top/mnt/m" && cp "$top/m/06" "$top/m/05" "$top/mnt/m" && cp "$top/m/06" "$top/mnt/m/salted" &&
		fsverity enable "$top/mnt/m/06" && fsverity enable --salt=00ff "$top/mnt/m/salted"
}
if why=$(kernel_keeps 2>&1); then
	"$program" model --verity "$top/mnt/m" | grep -q '^kept *1$'
	result $? "the kernel's digest is taken"
	theirs "$top/mnt/m" | cmp -s - <(ours "$top/mnt/m")
	result $? "and is the same; one with a salt is not taken"
	! (printf x >>"$top/mnt/m/06") 2>/dev/null
	result $? "what the kernel keeps does not change"
else
	for name in "the kernel's digest is taken" "and is the same" "what the kernel keeps does not change"; do
		n=$((n + 1))
		echo "ok $n - $name # SKIP no fs-verity here: $(tail -1 <<<"$why")"
	done
fi
exit $bad
