#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The program swtpm-harness as scripts use it. Argument: its path.
set -u
harness=$1
n=0
bad=0

if ! command -v swtpm >/dev/null || ! command -v swtpm_setup >/dev/null; then
	echo "1..0 # SKIP swtpm not installed"
	exit 0
fi
top=$(mktemp -d) || exit 1
dir=$top/h
trap '"$harness" down --dir "$dir" 2>/dev/null; rm -rf "$top"' EXIT

# check NAME WANTED-STATUS COMMAND...
check()
{
	name=$1 want=$2
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

# No process has the folder's path in its command line. Patterns come from a file, or grep would find itself.
echo "$dir" >"$top/path"
none_running()
{
	! grep -qF -f "$top/path" /proc/[0-9]*/cmdline 2>/dev/null
}

package_is_named()
{
	env PATH= "$harness" up --dir "$dir" 2>&1 | grep -q swtpm-tools
}

# Polls until the command succeeds or 20 seconds are over.
await()
{
	end=$(($(date +%s) + 20))
	until "$@" 2>/dev/null; do
		[ "$(date +%s)" -lt "$end" ] || return 1
		sleep 0.02
	done
}

# Sends a signal to `up` in the middle of its work.
interrupt_up()
{
	"$harness" up --dir "$dir" --count 16 &
	pid=$!
	await test -s "$dir/tpm-0/log" && kill "-$1" "$pid"
	wait "$pid"
}

# The same to `run` once its command is there; the command must get it, and the TPMs must go.
interrupt_run()
{
	"$harness" run --dir "$dir" -- sh -c 'trap "exit 42" TERM; : > "$1"; while :; do sleep 0.05; done' sh "$top/begun" &
	pid=$!
	await test -e "$top/begun" && kill -TERM "$pid"
	wait "$pid"
}

extend_both()
{
	"$harness" extend --dir "$dir" --pcr 0 --data firmware && "$harness" extend --dir "$dir" --pcr 0 --hex 00ff
}

# A pipe to the caller must not be held open by the TPM, or this would never end.
up_in_substitution()
{
	text=$(timeout 60 "$harness" up --dir "$dir" --json) || return 1
	case $text in
	*'"alive":true'*'"ek_sha256":"'*'"index":0'*'"tcti":"swtpm:path='"$dir"'/tpm-0/sock"'*) ;;
	*) return 1 ;;
	esac
}

echo 1..30
check "no verb" 2 "$harness"
check "unknown option" 2 "$harness" up --frobnicate
check "no TPM wanted" 2 "$harness" up --dir "$dir" --count 0
check "two kinds of certificate" 2 "$harness" up --dir "$dir" --foreign-ca --no-ek-cert
check "unknown bank" 2 "$harness" up --dir "$dir" --banks md5
check "path too long" 2 "$harness" up --dir "$dir/$(printf '%0100d' 0)"
check "no folder" 3 "$harness" status --dir "$dir"
check "swtpm missing" 3 env PATH= "$harness" up --dir "$dir"
check "the package is named" 0 package_is_named

check "SIGTERM while TPMs are made" 3 interrupt_up TERM
check "nothing left running" 0 none_running
check "nothing left on disk" 1 test -e "$dir"
check "SIGHUP while TPMs are made" 3 interrupt_up HUP
check "nothing left running again" 0 none_running

check "up" 0 up_in_substitution
check "status" 0 "$harness" status --dir "$dir" --clock
check "extend" 0 extend_both
check "extend without an event" 2 "$harness" extend --dir "$dir" --pcr 0
check "digest of a wrong length" 2 "$harness" extend --dir "$dir" --pcr 0 --digest sha256:00
check "no such TPM" 2 "$harness" reset --dir "$dir" --index 1
check "resume of a running TPM" 1 "$harness" resume --dir "$dir"
check "suspend" 0 "$harness" suspend --dir "$dir"
check "status of a suspended TPM" 1 "$harness" status --dir "$dir"
check "resume" 0 "$harness" resume --dir "$dir"
check "down" 0 "$harness" down --dir "$dir"
check "nothing left after down" 0 none_running

check "run passes the status on" 7 "$harness" run -- sh -c 'test -S "$SWTPM_HARNESS_DIR/tpm-0/sock" && test "$ASSAY_TCTI" = "$(cat "$SWTPM_HARNESS_DIR/tpm-0/tcti")" && exit 7'
check "run of a missing command" 127 "$harness" run -- "$top/no-such-command"
check "run passes a signal on" 42 interrupt_run
check "nothing left after run" 0 none_running
exit $bad
