#!/usr/bin/env python3
"""Measures what it costs to carry alerts to three outputs at once: a file, and a webhook twice, all of Riposte on one core.

Exit status: 0 when everything was measured, whether or not an aim was missed; 1 when something could not be measured.
"""

import argparse
import json
import multiprocessing
import os
import pathlib
import socket
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ALERTS = HERE.parent / "Tests" / "Fixtures" / "falco-alerts.jsonl"
# Alerts per second, each to all three.
RATE_AIM = 20_000
# Of resident memory, from the first fifth of the run to the last.
GROWTH_AIM = 1.05


def receive(listener):
    """A webhook that reads what comes and says 200, and counts lines; on cores that Riposte does not use, where there are any."""
    import threading

    def serve(connection):
        stream = connection.makefile("rb")
        while line := stream.readline():
            length = 0
            while (header := stream.readline()) not in (b"\r\n", b""):
                name, _, value = header.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            if len(stream.read(length)) < length:
                break
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bench", type=pathlib.Path, help="the release binary of riposte-bench")
    parser.add_argument("--rate", type=int, default=RATE_AIM, help="alerts per second that are written")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="5 seconds")
    parser.add_argument("--json", action="store_true", help="the numbers as one JSON object")
    options = parser.parse_args()
    seconds = 5 if options.quick else options.seconds
    cores = sorted(os.sched_getaffinity(0))
    listener = socket.create_server(("127.0.0.1", 0))
    receiver = multiprocessing.Process(target=receive, args=(listener,), daemon=True)
    receiver.start()
    if len(cores) > 1:
        os.sched_setaffinity(receiver.pid, cores[1:])
    try:
        with tempfile.TemporaryDirectory(prefix="riposte-bench-") as folder:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            command = [options.bench, "outputs", ALERTS, folder, url, options.rate, seconds]
            output = subprocess.run(
                list(map(str, command)), check=True, stdout=subprocess.PIPE, preexec_fn=lambda: os.sched_setaffinity(0, cores[:1]), timeout=seconds * 10 + 120).stdout
    except (OSError, subprocess.SubprocessError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    finally:
        receiver.terminate()
    found = json.loads(output)
    if options.json:
        print(json.dumps(found, indent=2))
        return 0
    tell(found, options.rate)
    return 0


def tell(found, rate):
    written, took = found["written"], found["total_ms"] / 1000
    # A burst goes before, which fills what outputs hold in memory.
    sent = {entry["name"]: entry["sent"] - found["warm_up"] for entry in found["outputs"]}
    fifth = max(1, len(found["memory"]) // 5)
    first, last = max(found["memory"][:fifth]), max(found["memory"][-fifth:])
    carried = min(sent.values()) / took
    met = {True: "met", False: "missed"}
    print(f"one core; {rate} alerts/s for {len(found['memory'])} s, each to {', '.join(sent)}")
    print(f"carried to all three       {carried:,.0f} /s  aim {RATE_AIM} /s: {met[carried >= 0.95 * RATE_AIM and found['behind'] < 2 * rate]}")
    print(f"behind when writing ended  {found['behind']} records, gone {found['drained_ms']} ms later")
    print(f"lost                       {sum(written - count for count in sent.values())}")
    print(f"CPU per alert              {(found['cpu_us'] - found['writing_us']) / written:.1f} us for all three outputs, {found['writing_us'] / written:.1f} us for the journal")
    print(f"resident memory            {first / 2**20:.1f} MiB, then {last / 2**20:.1f} MiB  aim flat: {met[last <= GROWTH_AIM * first]}")


if __name__ == "__main__":
    sys.exit(main())
