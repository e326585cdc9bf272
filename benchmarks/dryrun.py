#!/usr/bin/env python3
"""Measures how long a dry run over a recorded week of a million alerts takes, and how much memory.

Exit status: 0 when everything was measured, whether or not an aim was missed; 1 when something could not be measured.
"""

import argparse
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
FIXTURES = HERE.parent / "Tests" / "Fixtures" / "falco-alerts.jsonl"
PLAYBOOKS = HERE.parent / "playbooks"

ALERTS = 1_000_000
# Seconds for so many.
AIM = 30
# Of resident memory: the whole recording against its first tenth.
GROWTH_AIM = 1.5

BEGIN = 1_772_582_400  # 2026-03-04T00:00:00Z
WEEK = 7 * 86400
CONTAINERS = 400
PROCESSES = 8
ANSWERED_SHARE = 0.05
SEED = 5


def answered_rules():
    """Names of rules in the shipped playbooks that look at one container, which all alerts of the recording have."""
    return set(re.findall(r"[A-Z][\w/ -]+\w", "\n".join(path.read_text() for path in sorted(PLAYBOOKS.glob("*.yaml")) if ".test." not in path.name)))


def template(alert):
    """A line with places for the time, the container and the process."""
    fields = alert["output_fields"]
    fields.update({"evt.time": "@NS", "container.id": "@ID", "container.name": "@NAME", "container.image.repository": "registry.example/@APP", "proc.pid": "@PID"})
    if fields.get("proc.pid.ts") is not None:
        fields["proc.pid.ts"] = "@NS"
    alert["time"] = "@TIME"
    line = json.dumps(alert).replace("%", "%%")
    for number in ("NS", "PID"):
        line = line.replace(f'"@{number}"', f"%({number})s")
    return re.sub("@(ID|NAME|APP|TIME)", r"%(\1)s", line) + "\n"


def write(path, count):
    """The same week every time: mostly alerts that nobody answers, some that a playbook does, in the order of their time."""
    chance = random.Random(SEED)
    alerts = [json.loads(line) for line in FIXTURES.read_text().splitlines()]
    names = answered_rules()
    answered = [template(alert) for alert in alerts if alert["rule"] in names]
    others = [template(alert) for alert in alerts if alert["rule"] not in names]
    containers = [{"ID": f"{chance.getrandbits(48):012x}", "NAME": f"app{number % 40}-{number}", "APP": f"app{number % 40}"} for number in range(CONTAINERS)]
    with open(path, "w") as file:
        for number in range(count):
            moment = number * WEEK * 1_000_000_000 // count + chance.randrange(1000)
            second, rest = divmod(moment, 1_000_000_000)
            container = containers[chance.randrange(CONTAINERS)]
            container["PID"] = 1000 + chance.randrange(PROCESSES) * 1000 + int(container["ID"][:2], 16)
            container["NS"] = BEGIN * 1_000_000_000 + moment
            container["TIME"] = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(BEGIN + second)) + f".{rest:09}Z"
            file.write(chance.choice(answered if chance.random() < ANSWERED_SHARE else others) % container)


# One playbook that acts on every alert that a shipped one would answer, and takes it back soon.
ACTING = """apiVersion: riposte/v1
playbooks:
  - name: pause
    match: {{ rules: {rules} }}
    dedup: off
    budget: {{ actions: 100000, per: 7d }}
    steps: [{{ action: container.pause, undo: {{ after: 1m }} }}]
"""


def measure(riposte, recording, folder, playbooks=PLAYBOOKS):
    """Seconds, peak of resident memory in bytes, the report, and how often progress was told, of one dry run."""
    options = ["--world", "none", "--ignore-modes", "--config", folder / "riposte.yaml", "--html", folder / "report.html", "--json", "--progress"]
    command = [riposte, "playbook", "dry-run", playbooks, "--alerts", recording, *options]
    begin = time.monotonic()
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as talk:
        process = subprocess.Popen(list(map(str, command)), stdout=output, stderr=talk)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        took = time.monotonic() - begin
        output.seek(0)
        talk.seek(0)
        if process.returncode != 0:
            raise RuntimeError(f"the dry run ended with {process.returncode}: {talk.read()[-2000:].decode(errors='replace')}")
        return took, usage.ru_maxrss * 1024, json.load(output), len(talk.read().splitlines())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("riposte", type=pathlib.Path, help="the release binary")
    parser.add_argument("--alerts", type=int, default=ALERTS, help="how many alerts of a week")
    parser.add_argument("--quick", action="store_true", help="a tenth of them")
    parser.add_argument("--json", action="store_true", help="the numbers as one JSON object")
    parser.add_argument("--write", type=pathlib.Path, metavar="FILE", help="only write the recording to this file")
    options = parser.parse_args()
    count = options.alerts // 10 if options.quick else options.alerts
    if options.write:
        write(options.write, count)
        return 0
    try:
        with tempfile.TemporaryDirectory(prefix="riposte-bench-") as folder:
            folder = pathlib.Path(folder)
            whole, tenth = folder / "week.jsonl", folder / "tenth.jsonl"
            write(whole, count)
            with open(whole, "rb") as source, open(tenth, "wb") as target:
                target.writelines(source.readline() for _ in range(count // 10))
            config, acting = folder / "riposte.yaml", folder / "acting.yaml"
            config.write_text("{}\n")
            _, small, _, _ = measure(options.riposte, tenth, folder)
            took, large, report, told = measure(options.riposte, whole, folder)
            config.write_text("budgets: []\n")
            acting.write_text(ACTING.format(rules=json.dumps(sorted(answered_rules()))))
            acted, _, acts, _ = measure(options.riposte, whole, folder, acting)
            found = {
                "alerts": count, "seconds": took, "limit_s": AIM * count / ALERTS, "bytes": whole.stat().st_size, "matched": report["matched"], "repeats": report["repeats"],
                "acts": report["acts"], "progress_lines": told, "memory_tenth": small, "memory": large, "acting_seconds": acted,
                "acting_acts": acts["acts"],
            }
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        tell(found)
    return 0


def tell(found):
    met = {True: "met", False: "missed"}
    ratio = found["seconds"] / found["limit_s"]
    print(f"{found['alerts']:,} alerts of a week, {found['bytes'] / 2**20:,.0f} MiB; {found['matched']:,} answered, {found['repeats']:,} told again, {found['acts']:,} acts")
    print(f"dry run          {found['seconds']:.1f} s  limit {found['limit_s']:.0f} s  ratio {ratio:.2f}: {met[ratio <= 1]}")
    print(f"                 {found['alerts'] / found['seconds']:,.0f} alerts/s, {found['progress_lines']} lines of progress")
    ratio = found["acting_seconds"] / found["limit_s"]
    print(f"acting           {found['acting_seconds']:.1f} s with {found['acting_acts']:,} acts  limit {found['limit_s']:.0f} s  ratio {ratio:.2f}: {met[ratio <= 1]}")
    growth = found["memory"] / found["memory_tenth"]
    print(f"resident memory  {found['memory_tenth'] / 2**20:.0f} MiB for a tenth of it, {found['memory'] / 2**20:.0f} MiB for all  aim bounded: {met[growth <= GROWTH_AIM]}")


if __name__ == "__main__":
    sys.exit(main())
