#!/usr/bin/env bash
# Exit status of firmware-measure's verbs on logs. usage: test-measure-cli.sh PROGRAM FOLDER_OF_TEST_DATA
set -u
program=$1
boots=$2/boots
log=binary_bios_measurements
top=$(mktemp -d) || exit 99
trap 'rm -rf "$top"' EXIT
n=0
bad=0

# check NAME STATUS COMMAND...
check()
{
	name=$1
	want=$2
	shift 2
	"$@" >"$top/out" 2>"$top/err"
	got=$?
	n=$((n + 1))
	if [ "$got" -eq "$want" ]; then
		echo "ok $n - $name"
	else
		bad=1
		echo "not ok $n - $name"
		sed 's/^/# /' "$top/out" "$top/err"
		echo "# status $got, not $want"
	fi
}

matches()
{
	pattern=$1
	shift
	"$@" 2>&1 | grep -q -- "$pattern"
}

says()
{
	word=$1
	shift
	"$@" 2>&1 | grep -qF -- "$word"
}

head -c 1000 "$boots/good/$log" >"$top/cut"
# record PCR TYPE TEXT [MEASURED]: as systemd appends it to its log
record()
{
	printf '\036{"pcr":%d,"digests":[{"hashAlg":"sha1","digest":"%s"},{"hashAlg":"sha256","digest":"%s"}],' "$1" \
		"$(printf %s "${4-$3}" | sha1sum | cut -d' ' -f1)" "$(printf %s "${4-$3}" | sha256sum | cut -d' ' -f1)"
	printf '"content_type":"systemd","content":{"string":"%s","bootId":"71b6","timestamp":1,"eventType":"%s"}}\n' "$3" "$2"
}

echo 1..51
check "log" 0 "$program" log "$boots/good/$log"
check "log that was cut" 1 "$program" log "$top/cut"
check "log without a file" 2 "$program" log
check "log that is not there" 3 "$program" log "$top/none"
check "explain" 0 "$program" explain "$boots/good/$log"
check "explain of a log that was cut" 1 "$program" explain "$top/cut"
check "explain for machines" 2 "$program" explain --json "$boots/good/$log"
check "predict without a kind" 2 "$program" predict
check "predict an image that is none" 1 "$program" predict uki "$boots/good/$log"
check "predict an image that is not there" 3 "$program" predict uki "$top/none"
check "diff with itself" 0 "$program" diff "$boots/good/$log" "$boots/good/$log"
check "diff" 1 "$program" diff "$boots/good/$log" "$boots/command-line/$log"
check "diff names the section" 0 says "PCR 11  section .cmdline: sha256:" "$program" diff "$boots/good/$log" "$boots/command-line/$log"
check "diff for machines" 0 says '"same":true' "$program" diff --json "$boots/good/$log" "$boots/good/$log"
check "diff of one log" 2 "$program" diff "$boots/good/$log"
check "diff in an unknown bank" 2 "$program" diff --bank md5 "$boots/good/$log" "$boots/good/$log"
check "diff in a bank that is not there" 3 "$program" diff --bank sha384 "$boots/good/$log" "$boots/good/$log"
check "diff with a log that was cut" 3 "$program" diff "$boots/good/$log" "$top/cut"
check "diff names the offset" 0 matches "at offset [1-9][0-9]*: second log" "$program" diff "$boots/good/$log" "$top/cut"
check "diff with a log that is not there" 3 "$program" diff "$top/none" "$boots/good/$log"
line="console=ttyS0 loglevel=4 panic=-1 ima_policy=tcb ima_hash=sha256"
ima=$boots/good/binary_runtime_measurements
"$program" learn --command-line "$line" "$boots/good/$log" >"$top/profile"
check "learn" 0 says '"exact": "console=ttyS0' cat "$top/profile"
sum=$(sha256sum "$0" | cut -d' ' -f1)
printf '10 %040d ima-ng sha256:%s /usr/bin/assay-attest\n' 1 "$sum" >"$top/list"
"$program" learn --json --ima "$top/list" --measurer "$0" "$boots/good/$log" >"$top/measured"
check "learn with a measurer" 0 says "\"measurer\":{\"ima\":[\"$sum\"]}" cat "$top/measured"
check "learn with a measurer that no list shows" 1 "$program" learn --ima "$ima" --measurer "$0" "$boots/good/$log"
check "learn names that measurer" 0 says "$sum" "$program" learn --ima "$ima" --measurer "$0" "$boots/good/$log"
check "learn with a measurer that is not there" 3 "$program" learn --ima "$ima" --measurer "$top/none" "$boots/good/$log"
check "learn with a measurer and no list" 2 "$program" learn --measurer "$0" "$boots/good/$log"
check "predict into a profile without a base" 2 "$program" predict uki --profile "$top/profile" "$0"
check "predict into a profile in another bank" 2 "$program" predict uki --base "$boots/good/$log" --bank sha1 --profile "$top/profile" "$0"
check "predict into a profile that is none" 1 "$program" predict uki --base "$boots/good/$log" --profile "$0" "$0"
check "predict into a profile that is not there" 3 "$program" predict uki --base "$boots/good/$log" --profile "$top/none" "$0"
{
	record 11 phase enter-initrd
	record 15 volume-key cryptsetup:root secret
	record 11 phase ready
} >"$top/user"
{
	cat "$top/user"
	record 11 phase shutdown
} >"$top/user2"
head -c -10 "$top/user" >"$top/user-cut"
before=$("$program" log --json --bank sha256 "$boots/good/$log" | sed 's/.*"11":"\([0-9a-f]*\)".*/\1/')
after=$(python3 - "$before" enter-initrd ready <<'END'
import hashlib, sys
v = bytes.fromhex(sys.argv[1])
for word in sys.argv[2:]:
	v = hashlib.sha256(v + hashlib.sha256(word.encode()).digest()).digest()
print(v.hex())
END
)
check "log goes on with systemd's" 0 says "\"11\":\"$after\"" "$program" log --json --userspace "$top/user" "$boots/good/$log"
check "log shows its records" 0 says '"string":"ready","type":"phase","verified":true' "$program" log --json --userspace "$top/user" "$boots/good/$log"
check "log says what was not measured" 0 says '"string":"cryptsetup:root","type":"volume-key","verified":false' "$program" log --json --userspace "$top/user" "$boots/good/$log"
check "log of systemd in words" 0 says "sha256:11  $after" "$program" log --userspace "$top/user" "$boots/good/$log"
check "log of systemd that was cut" 1 "$program" log --userspace "$top/user-cut" "$boots/good/$log"
check "log of systemd that was cut says which" 0 matches 'at offset [0-9]*: userspace log: record 2' "$program" log --userspace "$top/user-cut" "$boots/good/$log"
check "log of systemd that is not there" 3 "$program" log --userspace "$top/none" "$boots/good/$log"
check "explain shows systemd's records" 0 matches 'u2  *11  phase  *"ready"$' "$program" explain --userspace "$top/user" "$boots/good/$log"
check "explain says what was not measured" 0 matches 'u1  *15  volume-key  *"cryptsetup:root"  (text not measured)$' "$program" explain --userspace "$top/user" "$boots/good/$log"
check "diff of systemd's logs" 0 says "PCR 11  1 record more: systemd phase: + shutdown" "$program" diff --userspace "$top/user" --userspace "$top/user2" "$boots/good/$log" "$boots/good/$log"
check "diff that only systemd's logs make" 1 "$program" diff --userspace "$top/user" --userspace "$top/user2" "$boots/good/$log" "$boots/good/$log"
check "diff of equal logs of systemd" 0 "$program" diff --userspace "$top/user" --userspace "$top/user" "$boots/good/$log" "$boots/good/$log"
check "diff with a log of systemd for one" 2 "$program" diff --userspace "$top/user" "$boots/good/$log" "$boots/good/$log"
check "diff with a log of systemd that was cut" 0 matches "at offset [1-9][0-9]*: second userspace log: record 2" "$program" diff --userspace "$top/user" --userspace "$top/user-cut" "$boots/good/$log" "$boots/good/$log"
"$program" learn --json --command-line "$line" --userspace "$top/user" "$boots/good/$log" >"$top/profile"
check "learn of systemd's log" 0 says "\"userspace\":[{\"pcr\":11,\"strings\":[\"enter-initrd\",\"ready\"]},{\"digests\":[\"$(printf secret | sha256sum | cut -d' ' -f1)\"],\"pcr\":15}]" cat "$top/profile"
check "learn of a log of systemd that was cut" 1 "$program" learn --userspace "$top/user-cut" "$boots/good/$log"
mkdir "$top/m"
printf '\71\0\0\0\0\0\0\0{"w":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]}}0123456789ab' >"$top/m/w.safetensors"
printf 'GGUF' >"$top/m/x.gguf"
check "model with hints" 0 says "w.safetensors: safetensors, 1 tensors, 6 parameters" "$program" model "$top/m"
check "model with a hint that is not understood" 0 says "x.gguf: gguf, not understood: input ends early" "$program" model "$top/m"
check "hints for machines" 0 says '"hints":[{"format":"safetensors","parameters":6,"path":"w.safetensors","tensors":1},{"error":' "$program" model --json "$top/m"
check "hints and files for machines" 0 says '],"files":[{"path":"w.safetensors"' "$program" model --files --json "$top/m"
python3 - >"$top/padded" <<'END'
import struct, sys
spec = b"Spec ID Event03\0" + struct.pack("<IBBBBIHHB", 0, 0, 2, 0, 2, 1, 0xb, 32, 0)
log = struct.pack("<II20sI", 0, 3, bytes(20), len(spec)) + spec
log += struct.pack("<IIIH32sI", 0, 4, 1, 0xb, bytes(32), 4) + bytes(4)
sys.stdout.buffer.write(log + bytes(16))
END
check "log says how much padding there is" 0 says '"padding":16' "$program" log --json "$top/padded"
exit $bad
