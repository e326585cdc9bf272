#!/usr/bin/env python3
"""Measures a release build of Riposte against the floor, a small C program, in the same run, and prints one table.

Exit status: 0 when everything was measured, whether or not an aim was missed; 1 when something could not be measured.
"""

import argparse
import contextlib
import dataclasses
import datetime
import json
import math
import os
import pathlib
import random
import select
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ALERTS = HERE.parent / "Tests" / "Fixtures" / "falco-alerts.jsonl"
RULES = HERE.parent / "rules" / "riposte.yaml"
KILL_RULE = "Bench kill"
OBSERVED_RULE = "Adding ssh keys to authorized_keys"
# Alerts per second of one core against 1000 playbooks.
MATCH_AIM = 50_000
# Events per second of one core by the shipped rules, microseconds to load 1000 rules, and how much longer 500 rules may take than 25.
EVENT_AIM = 2_000_000
LOAD_AIM = 300_000
GROWTH_AIM = 3.0
# A failure is better than a run that never ends.
PATIENCE = 30.0


class Failure(Exception):
    """Something could not be measured."""


# MARK: rows


@dataclasses.dataclass
class Row:
    """One line of the table. `aim` is None where there is none."""

    measurement: str
    value: str
    peer: str = ""
    ratio: float | None = None
    aim: bool | None = None
    aim_text: str = ""
    raw: dict = dataclasses.field(default_factory=dict)

    def cells(self):
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        met = "" if self.aim is None else ("met" if self.aim else "missed") + f" ({self.aim_text})"
        return [self.measurement, self.value, self.peer, ratio, met]


def percentile(samples, share):
    """Nearest rank: a time that was really measured."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def milliseconds(seconds):
    return f"{seconds * 1000:.3f} ms"


def per_second(rate):
    return f"{rate:,.0f} /s".replace(",", " ")


def mebibytes(kibibytes):
    return f"{kibibytes / 1024:.1f} MiB"


def counted(playbooks):
    return "1 playbook" if playbooks == 1 else f"{playbooks} playbooks"


def print_table(rows):
    lines = [["measurement", "value", "peer or limit", "ratio", "aim"]] + [row.cells() for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    for number, line in enumerate(lines):
        texts = [line[0].ljust(widths[0])] + [line[i].rjust(widths[i]) for i in (1, 2, 3)] + [line[4]]
        print("  ".join(texts).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))


# MARK: playbooks


def bench_playbooks():
    """One that kills, for the time to a dead target; one that observes, so that the flood of alerts goes through plans too."""
    return f"""apiVersion: riposte/v1
playbooks:
  - name: bench-kill
    mode: enforce
    match: {{ rules: ["{KILL_RULE}"] }}
    steps:
      - action: process.kill
  - name: bench-observe
    mode: observe
    match: {{ rules: ["{OBSERVED_RULE}"] }}
    steps:
      - action: process.kill
"""


def many_playbooks(count, rules):
    """Half name a rule. Half have a pattern and a condition, of which every tenth fits an alert of the fixture; the star is in all places in turn."""
    entries = []
    for index in range(count):
        real = rules[(index // 2) % len(rules)]
        if index % 2 == 0:
            rule = real if index // 2 < len(rules) else f"Site rule {index:04}"
            match = f"rules: [{json.dumps(rule)}]"
        else:
            words = real.split() if index % 20 == 1 else f"Site rule {index:04} of team {index % 7}".split()
            patterns = [" ".join(words[:3]) + "*", "*" + " ".join(words[-2:]), "*" + " ".join(words[1:3]) + "*", words[0] + "*" + words[-1]]
            conditions = ["container.id exists and not proc.name in (sh, bash)", "proc.pname = sh and user.uid = 0", 'proc.cmdline contains "passwd"']
            pattern, condition = patterns[(index // 2) % 4], conditions[index % 3]
            match = f"rules: [{json.dumps(pattern)}], when: {json.dumps(condition)}"
        entries.append(f"  - name: bench-{index:04}\n    mode: observe\n    match: {{ {match} }}\n    steps:\n      - action: process.kill\n")
    return "apiVersion: riposte/v1\nplaybooks:\n" + "".join(entries)


# MARK: processes


class Targets:
    """Processes to be killed, started before the clock runs. They are our children, so their pids stay ours until we reap them."""

    def __init__(self, program):
        self.program = program
        self.ready = []

    def spawn(self, count):
        for _ in range(count):
            pid = os.posix_spawn(self.program, ["sleep", "1000"], {})
            self.ready.append((pid, os.pidfd_open(pid)))

    def take(self):
        return self.ready.pop()

    def reap(self, pid, descriptor):
        os.close(descriptor)
        os.waitpid(pid, 0)

    def close(self):
        for pid, descriptor in self.ready:
            os.kill(pid, 9)
            self.reap(pid, descriptor)
        self.ready = []


def boot_time():
    return time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def start_time(pid):
    """When a process was started, on the wall clock, in nanoseconds: what Falco calls proc.pid.ts."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return boot_time() + int(fields[19]) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def resident(pid):
    """VmRSS in KiB."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise Failure(f"process {pid} has no VmRSS")


def until(what, condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise Failure(f"waited {PATIENCE:.0f} s in vain: {what}")
        time.sleep(0.005)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def connect(path):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(path))
    return connection


def end(process):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Agent:
    """A Riposte of our own: its own state, sockets and port."""

    def __init__(self, binary, folder, playbooks):
        folder.mkdir()
        self.socket = folder / "run" / "alerts.sock"
        self.port = free_port()
        configuration = folder / "riposte.yaml"
        configuration.write_text("mode: enforce\nlog_level: warning\nbudgets: []\n")
        command = [binary, "run", "--config", configuration, "--state-dir", folder / "state", "--run-dir", folder / "run"]
        command += ["--http", f"127.0.0.1:{self.port}", "--playbooks", playbooks]
        began = time.monotonic()
        # Alerts and results are printed as for any user, to a place that takes no time.
        self.process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            self.start_seconds = self._wait_for_banner(began)
        except BaseException:
            self.close()
            raise

    def _wait_for_banner(self, began):
        said = b""
        os.set_blocking(self.process.stderr.fileno(), False)
        while b"is ready." not in said:
            if not select.select([self.process.stderr], [], [], PATIENCE)[0]:
                raise Failure("the agent did not become ready")
            piece = self.process.stderr.read()
            if piece == b"":
                raise Failure("the agent ended: " + said.decode(errors="replace").strip())
            said += piece or b""
        seconds = time.monotonic() - began
        # It says that it is ready: hold it to that.
        connect(self.socket).close()
        return seconds

    def close(self):
        end(self.process)
        self.process.stderr.close()


def build_floor(folder):
    program = folder / "floor"
    subprocess.run([os.environ.get("CC", "cc"), "-O2", "-o", program, HERE / "floor.c"], check=True)
    return program


# MARK: from alert to dead target


class Alerts:
    """Alerts in Falco's shape and size: one of the fixture's, with another rule, time and process."""

    def __init__(self, template):
        self.template = template

    def line(self, pid, started_at):
        now = time.time_ns()
        text = datetime.datetime.fromtimestamp(now // 1_000_000_000, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")
        fields = self.template["output_fields"] | {"evt.time": now, "proc.name": "sleep", "proc.pid": pid, "proc.pid.ts": started_at}
        alert = self.template | {"rule": KILL_RULE, "time": f"{text}.{now % 1_000_000_000:09}Z", "output_fields": fields}
        return json.dumps(alert, separators=(",", ":")).encode() + b"\n"


class LineDoor:
    """A connection that stays; an alert is a line."""

    def __init__(self, path):
        self.connection = connect(path)

    def message(self, line):
        return line

    def finish(self):
        pass


class HTTPDoor:
    """A connection that is kept alive; an alert is a POST in one write."""

    def __init__(self, port):
        self.connection = socket.create_connection(("127.0.0.1", port))
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection.settimeout(PATIENCE)

    def message(self, line):
        head = f"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(line)}\r\n\r\n"
        return head.encode() + line

    def finish(self):
        """Reads the answer, which may come before or after the deed and is not part of the time."""
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self._more()
        head, _, body = answer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 202"):
            raise Failure("HTTP: " + head.split(b"\r\n")[0].decode(errors="replace"))
        length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        while len(body) < length:
            body += self._more()

    def _more(self):
        piece = self.connection.recv(65536)
        if not piece:
            raise Failure("HTTP: the connection was closed")
        return piece


def time_to_death(door, alerts, targets):
    """Seconds from just before the write to the moment at which the target's pidfd says that it has ended."""
    pid, descriptor = targets.take()
    message = door.message(alerts.line(pid, start_time(pid)))
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    began = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    door.connection.sendall(message)
    ended = poll.poll(PATIENCE * 1000)
    seconds = (time.clock_gettime_ns(time.CLOCK_MONOTONIC) - began) / 1e9
    if not ended:
        targets.ready.append((pid, descriptor))
        raise Failure("a target was not killed")
    targets.reap(pid, descriptor)
    door.finish()
    return seconds


def measure_deaths(doors, alerts, targets, count, warm_up):
    """Samples by door. The doors take turns, a different one first each time, so that all see the same machine."""
    samples = {name: [] for name in doors}
    order = list(doors)
    for number in range(-warm_up, count):
        if len(targets.ready) < len(order):
            targets.spawn(50 * len(order))
        order.append(order.pop(0))
        for name in order:
            seconds = time_to_death(doors[name], alerts, targets)
            if number >= 0:
                samples[name].append(seconds)
            # What comes after the deed, the outcome's record and the sync, is not to fall into the next one's time.
            time.sleep(0.006)
    return samples


def rows_of_deaths(samples):
    rows = []
    floor = samples["floor"]
    for name in ("socket", "HTTP"):
        mine = samples[name]
        median, floor_median = statistics.median(mine), statistics.median(floor)
        tail, floor_tail = percentile(mine, 0.99), percentile(floor, 0.99)
        raw = {"samples": len(mine), "median": median, "p99": tail, "floor_median": floor_median, "floor_p99": floor_tail}
        rows.append(
            Row(
                f"alert to dead target, {name}, median", milliseconds(median), milliseconds(floor_median), median / floor_median,
                median < 0.001 and median <= 5 * floor_median, "< 1 ms, <= 5 x floor", raw))
        rows.append(
            Row(
                f"alert to dead target, {name}, p99", milliseconds(tail), milliseconds(floor_tail), tail / floor_tail, tail < 0.005, "< 5 ms", raw))
    return rows


# MARK: a flood of alerts


def send_until_taken(door, block, blocks, alerts, targets):
    """Seconds until all was taken. A connection's alerts are taken in their order, so when the last one's target is dead the others are in the journal."""
    targets.spawn(1)
    began = time.monotonic()
    for _ in range(blocks):
        door.connection.sendall(block)
    time_to_death(door, alerts, targets)
    return time.monotonic() - began


def measure_flood(agent, fixture, alerts, targets, total):
    """Alerts per second through the socket, and resident memory before and after, in ten parts."""
    block = b"".join(fixture)
    blocks = math.ceil(total / len(fixture) / 10)
    door = LineDoor(agent.socket)
    time.sleep(1)
    memory = [resident(agent.process.pid)]
    rates = []
    for _ in range(10):
        rates.append(blocks * len(fixture) / send_until_taken(door, block, blocks, alerts, targets))
        time.sleep(0.5)
        memory.append(resident(agent.process.pid))
    idle, after = memory[0], memory[-1]
    # What is kept of every alert shows in every part. The allocator's step up to the longest queue there was shows in one, and ends at a bound.
    growth = statistics.median(later - earlier for earlier, later in zip(memory[1:], memory[2:]))
    is_flat = growth <= 0.01 * after and after <= 2 * idle
    sent = f"{10 * blocks * len(fixture):,}".replace(",", " ")
    return [
        Row("alerts end to end, socket, journal written", per_second(statistics.median(rates)), raw={"rates": rates}),
        Row("resident memory, idle", mebibytes(idle), raw={"kib": idle}),
        Row(
            f"resident memory after {sent} alerts", mebibytes(after), f"{mebibytes(idle)} idle", after / idle, is_flat,
            "flat: < 1 % per tenth, <= 2 x idle", {"kib": memory, "kib_per_tenth": growth}),
    ]


# MARK: inside a process


def measure_inside(binary, folder, sets, rounds, iterations):
    folder.mkdir()
    command = [binary, "alerts", ALERTS, folder, rounds, iterations] + [sets[count] for count in sorted(sets)]
    output = subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE).stdout
    rows = []
    for line in output.splitlines():
        found = json.loads(line)
        rate = statistics.median(found["rates"])
        if found["name"] == "match":
            row = Row(f"alerts read and matched, one core, {counted(found['playbooks'])}", per_second(rate), raw=found)
            if found["playbooks"] == 1000:
                row.peer, row.ratio, row.aim, row.aim_text = per_second(MATCH_AIM), rate / MATCH_AIM, rate >= MATCH_AIM, f">= {per_second(MATCH_AIM)}"
            rows.append(row)
        else:
            floor = statistics.median(found["floor"])
            durability = found["name"].removeprefix("journal-")
            rows.append(Row(f"journal appends, {durability}", per_second(rate), per_second(floor), rate / floor, raw=found))
    return rows


# MARK: rules


def synthetic_rules(count):
    """Rules as people write them, no two alike: files by place and name, programs by name, arguments and origin. The same for the same count."""
    dice = random.Random(count)
    syllables = [a + b for a in "ka lo mi nu ra se ti vo zu be".split() for b in "ren tal dos pik mun gar".split()]
    opened = "(evt.type in (open, openat, openat2) and evt.is_open_{}=true and fd.typechar='f' and fd.num>=0)"
    text = [
        f"- macro: opened_for_write\n  condition: {opened.format('write')}",
        f"- macro: opened_for_read\n  condition: {opened.format('read')}",
        "- macro: started\n  condition: (evt.type in (execve, execveat))",
    ]
    for index in range(count):
        word = f"{dice.choice(syllables)}{index}"
        names = ", ".join(f"{dice.choice(syllables)}{dice.randrange(99)}" for _ in range(dice.randrange(3, 30)))
        condition = [
            f"opened_for_write and fd.name startswith /srv/{word} and not proc.name in ({names})",
            f"opened_for_read and fd.name in (/etc/{word if index != 1 else 'shadow'}, /opt/{word}/key.pem, /run/{word}) and proc.name != {word}",
            f"started and proc.name in ({names}) and proc.pname = {word}",
            f'started and proc.cmdline contains "{word} --" and not user.name = root',
            f"opened_for_write and fd.directory in (/etc/{word}.d, /usr/{word}) and container.id != host",
            f"started and (proc.exepath endswith /{word} or proc.args icontains {word}) and not proc.aname[2] in ({names})",
        ][index % 6]
        text.append(
            f"- rule: Synthetic {index}\n  desc: made for measuring\n  condition: {condition}\n"
            "  output: made for measuring (user=%user.name command=%proc.cmdline file=%fd.name parent=%proc.pname)\n  priority: WARNING\n  tags: [made]"
        )
    return "\n".join(text) + "\n"


def instructions_per_event(binary, rules):
    """By callgrind, which counts the same every time: what more events cost more, so that loading is left out. None where it is not installed."""
    if shutil.which("valgrind") is None or shutil.which("strip") is None:
        return None
    # Debian's valgrind cannot read the debug information of Swift's compiler.
    stripped = rules.parent / "stripped"
    if not stripped.exists():
        subprocess.run(["strip", "--strip-debug", "-o", str(stripped), str(binary)], check=True)
    totals = []
    for events in (20_000, 120_000):
        command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", stripped, "rules-once", rules, events]
        errors = subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True).stderr
        totals.append(int(next(line.split()[-1] for line in errors.splitlines() if "Collected :" in line)))
    return (totals[1] - totals[0]) / 100_000


def measure_rules(binary, folder, rounds, iterations):
    folder.mkdir()
    shutil.copy(RULES, folder / "shipped.yaml")
    for count in (25, 500, 1000):
        (folder / f"synthetic-{count}.yaml").write_text(synthetic_rules(count))
    output = subprocess.run([str(binary), "rules", str(folder), str(rounds), str(iterations)], check=True, stdout=subprocess.PIPE).stdout
    found = {entry["set"]: entry for entry in map(json.loads, output.splitlines())}
    rates = {name: statistics.median(entry["rates"]) for name, entry in found.items()}
    shipped = found["shipped"]
    rows = [
        Row(
            f"events judged, one core, the {shipped['rules']} shipped rules", per_second(rates["shipped"]), per_second(EVENT_AIM), rates["shipped"] / EVENT_AIM,
            rates["shipped"] >= EVENT_AIM, f">= {per_second(EVENT_AIM)}", shipped)
    ]
    for name in ("synthetic-25", "synthetic-500"):
        rows.append(Row(f"events judged, one core, {found[name]['rules']} synthetic rules", per_second(rates[name]), raw=found[name]))
    growth = rates["synthetic-25"] / rates["synthetic-500"]
    rows[-1].peer, rows[-1].ratio, rows[-1].aim, rows[-1].aim_text = "25 rules", growth, growth <= GROWTH_AIM, f"<= {GROWTH_AIM:.0f} x the time of 25"
    for name in ("shipped", "synthetic-25", "synthetic-500"):
        if (count := instructions_per_event(binary, folder / f"{name}.yaml")) is not None:
            rows.append(Row(f"instructions per event, {found[name]['rules']} rules, {name.split('-')[0]}", f"{count:.0f}", raw={"instructions": count}))
    thousand = found["synthetic-1000"]
    load = statistics.median(thousand["load_us"])
    rows.append(
        Row("load of 1000 rules", f"{load / 1000:.0f} ms", f"{LOAD_AIM / 1000:.0f} ms", load / LOAD_AIM, load <= LOAD_AIM, f"<= {LOAD_AIM / 1000:.0f} ms", thousand))
    rows.append(Row("memory per rule, of 1000", f"{thousand['bytes'] / thousand['rules'] / 1024:.1f} KiB", raw={"bytes": thousand["bytes"]}))
    return rows


# MARK: start


def measure_starts(binary, folder, playbooks, count, rounds):
    times = []
    for number in range(rounds):
        agent = Agent(binary, folder / f"start-{count}-{number}", playbooks)
        times.append(agent.start_seconds)
        agent.close()
    median = statistics.median(times)
    return Row(f"start to ready, {counted(count)}", milliseconds(median), "1000 ms", median, median < 1, "< 1 s", {"seconds": times})


# MARK: all


def run(options):
    sizes = {"samples": 600, "warm_up": 30, "flood": 100_000, "rounds": 7, "iterations": 50_000, "starts": 15, "events": 2_000_000}
    if options.quick:
        sizes = {"samples": 100, "warm_up": 10, "flood": 20_000, "rounds": 3, "iterations": 10_000, "starts": 5, "events": 200_000}
    texts = ALERTS.read_bytes().splitlines()
    fixture = [json.loads(text) for text in texts]
    alerts = Alerts(next(alert for alert in fixture if alert["rule"] == OBSERVED_RULE))
    rows = []
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="riposte-bench-")))
        rules = sorted({alert["rule"] for alert in fixture})
        sets = {}
        for count in (1, 100, 1000):
            sets[count] = folder / f"playbooks-{count}"
            sets[count].mkdir()
            (sets[count] / "bench.yaml").write_text(many_playbooks(count, rules))
        (folder / "bench.yaml").write_text(bench_playbooks())

        targets = Targets(shutil.which("sleep"))
        stack.callback(targets.close)
        agent = Agent(options.riposte, folder / "agent", folder / "bench.yaml")
        stack.callback(agent.close)
        floor_socket = folder / "floor.sock"
        floor = subprocess.Popen([build_floor(folder), floor_socket])
        stack.callback(end, floor)
        until("the floor listens", floor_socket.exists)
        doors = {"floor": LineDoor(floor_socket), "socket": LineDoor(agent.socket), "HTTP": HTTPDoor(agent.port)}
        rows += rows_of_deaths(measure_deaths(doors, alerts, targets, sizes["samples"], sizes["warm_up"]))
        agent.close()

        if options.bench:
            rows += measure_inside(options.bench, folder / "inside", sets, sizes["rounds"], sizes["iterations"])
            rows += measure_rules(options.bench, folder / "rules", sizes["rounds"], sizes["events"])

        agent = Agent(options.riposte, folder / "flood", folder / "bench.yaml")
        stack.callback(agent.close)
        rows += measure_flood(agent, [text + b"\n" for text in texts], alerts, targets, sizes["flood"])
        agent.close()

        for count in (1, 1000):
            rows.append(measure_starts(options.riposte, folder, sets[count], count, sizes["starts"]))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("riposte", type=pathlib.Path, help="the release binary of riposte")
    parser.add_argument("bench", type=pathlib.Path, nargs="?", help="the release binary of riposte-bench (default: the one beside riposte)")
    parser.add_argument("--quick", action="store_true", help="fewer samples: to see that it works, not how fast")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    options = parser.parse_args()
    if options.bench is None:
        beside = options.riposte.parent / "riposte-bench"
        options.bench = beside if beside.exists() else None
    load = os.getloadavg()[0]
    try:
        rows = run(options)
    except (Failure, OSError, subprocess.CalledProcessError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps({"cores": os.cpu_count(), "load_before": load, "quick": options.quick, "rows": [dataclasses.asdict(row) for row in rows]}, indent=2))
    else:
        print(f"{os.cpu_count()} cores, load {load:.2f} before; peer: floor.c, write(2), or the limit" + (", quick" if options.quick else ""))
        print_table(rows)
    if options.bench is None:
        print("benchmarks: riposte-bench was not found: matching, journal and rules were not measured", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
