#!/usr/bin/env bash
# The systemd units: understood without a warning, and no more exposed than they are today.
# usage: test-units.sh UNITS_FOLDER PROGRAM...
set -u
units=$1
shift
if ! command -v systemd-analyze >/dev/null; then
	echo "1..0 # SKIP systemd is not installed"
	exit 0
fi
dir=$(mktemp -d /tmp/assay-units-XXXXXX)
trap 'rm -rf "$dir"' EXIT

n=0
ok() { # STATUS NAME
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		sed 's/^/# /' "$dir/out"
	fi
}

echo "1..4"
# Name of the unit, highest exposure (tenths, as systemd-analyze security counts).
while read -r name most; do
	for program in "$@"; do
		[ "${program##*/}" != "${name%.service}" ] || break
	done
	# The program is not installed yet, but its unit must not be wrong for that.
	sed -E "s#^ExecStart=[^ ]+#ExecStart=$program#" "$units/$name" >"$dir/$name"
	systemd-analyze verify --man=no "$dir/$name" >"$dir/out" 2>&1
	status=$?
	[ ! -s "$dir/out" ] || status=1
	ok $status "verify_$name"
	systemd-analyze security --offline=yes --threshold="$most" --no-pager "$dir/$name" >"$dir/out" 2>&1
	ok $? "security_$name"
done <<'LIST'
assay-attest.service 30
assay-verifier.service 14
LIST
