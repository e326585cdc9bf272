#!/bin/sh
# Writes the image of the scenarios to standard output, as a tar file for `docker import - riposte-scenarios`: busybox, and the attacker under all its
# names below /scenario.
#   image.sh ATTACKER [NAME…]        without names: those of scenarios.json
set -eu

attacker=$1
shift
[ $# -gt 0 ] || set -- $(sed -n 's/.*"program": "\([^"]*\)".*/\1/p' "$(dirname "$0")/scenarios.json" | sort -u) worker watcher
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

mkdir -p "$root/bin" "$root/scenario" "$root/scratch" "$root/tmp" "$root/root/.ssh" "$root/var/log" "$root/etc/pam.d"
cp "$(command -v busybox)" "$root/bin/busybox"
for name in $(busybox --list); do [ "$name" = busybox ] || ln -s busybox "$root/bin/$name"; done
cp "$attacker" "$root/scenario/attacker"
# Names of one file: each is the path that the kernel knows.
for name in "$@"; do ln -f "$root/scenario/attacker" "$root/scenario/$name"; done

printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'www-data:x:33:33:www-data:/:/bin/sh' 'nobody:x:65534:65534:nobody:/:/bin/sh' >"$root/etc/passwd"
printf '%s\n' 'root:x:0:' 'www-data:x:33:' 'nogroup:x:65534:' >"$root/etc/group"
printf '%s\n' 'root:*:19000:0:99999:7:::' >"$root/etc/shadow"
printf '%s\n' 'auth required none' >"$root/etc/pam.d/login"
echo '127.0.0.1 localhost' >"$root/etc/hosts"
chmod 600 "$root/etc/shadow"
chmod 1777 "$root/tmp" "$root/scratch"
tar -C "$root" --owner=0 --group=0 -cf - .
