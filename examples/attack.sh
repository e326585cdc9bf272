#!/bin/sh
# A harmless attack, to see Riposte at work without Falco: runs a program from /dev/shm and tells of it as Falco's rule does.
#   sh examples/attack.sh [URL of Riposte's HTTP intake]
set -eu

url=${1:-http://127.0.0.1:2803/}
program=$(mktemp -d /dev/shm/example.XXXXXX)/attack
cp "$(command -v sleep)" "$program"
"$program" 60 &
pid=$!
trap 'kill -CONT $pid 2>/dev/null; kill $pid 2>/dev/null; rm -r "${program%/*}"' EXIT

now=$(date -u +%Y-%m-%dT%H:%M:%S.%NZ)
curl -sS "$url" -d '{"time":"'"$now"'","rule":"Execution from /dev/shm","priority":"Warning","source":"syscall","hostname":"example",
"output":"File execution detected from /dev/shm","tags":["host","container","mitre_execution"],"output_fields":{"proc.pid":'$pid',
"proc.name":"attack","proc.exepath":"'"$program"'","proc.cmdline":"attack 60","evt.type":"execve","user.name":"'"$(id -un)"'"}}'
echo
sleep 1
if state=$(grep State: /proc/$pid/status 2>/dev/null); then echo "process $pid: $state"; else echo "process $pid has ended"; fi
