#!/usr/bin/env python3
"""Measures the sensor of a release build of Riposte against programs in the kernel that do nothing, in the same run, and prints one table.

    sensor.py RIPOSTE [--quick] [--json] [--only calls|rate|latency|kill|start]…

Needs root, gcc, clang, libbpf-dev and, where it is to be compared, bpftrace. Exit status: 0 when everything was measured, whether or not a limit was
missed; 1 when something could not be measured, which is then said.
"""

import argparse
import calendar
import contextlib
import dataclasses
import json
import os
import pathlib
import queue
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from run import PATIENCE, Failure, Row, end, free_port, mebibytes, milliseconds, per_second, percentile, print_table, resident, until

HERE = pathlib.Path(__file__).resolve().parent
SHIPPED_RULES = HERE.parent / "rules" / "riposte.yaml"
CALLS = ("open_close", "stat", "read", "connect", "getppid")
# Limits. Calls and programs: times the cost with empty programs and without any. Seconds elsewhere.
CALL_LIMIT, SPAWN_LIMIT = 1.3, 1.1
ALERT_MEDIAN, ALERT_TAIL = 0.001, 0.005
EVENT_CPU = 1e-6
RESIDENT_KIB = 80_000_000 // 1024
FIRST_EVENT = 0.3

RULES = """\
- rule: Bench observed
  desc: made for measuring
  condition: evt.type = execve and evt.rawres = 0 and proc.name = observed
  output: made for measuring (pid=%proc.pid command=%proc.cmdline)
  priority: NOTICE

- rule: Bench victim
  desc: made for measuring
  condition: evt.type = execve and evt.rawres = 0 and proc.name = victim
  output: made for measuring (pid=%proc.pid command=%proc.cmdline)
  priority: WARNING

# Passes the kernel and matches nothing: what user space costs.
- rule: Bench watched
  desc: made for measuring
  condition: evt.type in (open, openat) and fd.name endswith /bench-watched and proc.cmdline contains "in no command line"
  output: made for measuring (file=%fd.name)
  priority: NOTICE
"""

PLAYBOOK = """\
apiVersion: riposte/v1
playbooks:
  - name: bench-victim
    mode: enforce
    match: {{ rules: ["Bench victim"] }}
    budget: {{ actions: 100000, per: 1h }}
    steps:
      - action: process.kill
{reflex}"""


# MARK: what is built and what the binary can do


class Tools:
    """Our own programs, built into `folder`."""

    def __init__(self, folder):
        self.load = folder / "sensor-load"
        self.floor = folder / "bpf-floor"
        self.object = folder / "empty.bpf.o"
        self._build("gcc", "-static", "-O2", "-o", self.load, HERE / "sensor-load.c")
        self._build("gcc", "-O2", "-o", self.floor, HERE / "bpf-floor.c", "-lbpf")
        include = f"-I/usr/include/{os.uname().machine}-linux-gnu"
        self._build("clang", "-target", "bpf", "-O2", "-g", include, "-c", "-o", self.object, HERE / "empty.bpf.c")
        # By name, so that rules and the floor know them; of one file.
        self.observed, self.victim, self.watched, self.plain = (folder / name for name in ("observed", "victim", "bench-watched", "bench-plain"))
        os.link(self.load, self.observed)
        os.link(self.load, self.victim)
        self.watched.write_text("watched\n")
        self.plain.write_text("plain\n")

    def _build(self, *command):
        if shutil.which(command[0]) is None:
            raise Failure(f"{command[0]} is not installed")
        done = subprocess.run(list(map(str, command)), stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise Failure(f"{command[0]} failed: {done.stderr.strip()}")

    def run(self, *arguments):
        output = subprocess.run([str(self.load), *map(str, arguments)], check=True, stdout=subprocess.PIPE).stdout
        return [json.loads(line) for line in output.splitlines()]


@dataclasses.dataclass
class Abilities:
    push_down: bool
    reflex: bool

    @classmethod
    def of(cls, binary):
        text = subprocess.run([binary, "run", "--help"], check=True, stdout=subprocess.PIPE, text=True).stdout
        schema = subprocess.run([binary, "playbook", "schema"], check=True, stdout=subprocess.PIPE, text=True).stdout
        return cls("--no-push-down" in text, '"reflex"' in schema)


# MARK: conditions under which a load runs


class Floor:
    """Programs of empty.bpf.c in the kernel."""

    def __init__(self, tools, mode):
        self.process = subprocess.Popen([tools.floor, tools.object, mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if self.process.stdout.readline() != b"ready\n":
            raise Failure("bpf-floor: " + self.process.stderr.read().decode(errors="replace").strip())

    def close(self):
        self.process.stdin.close()
        self.process.wait(PATIENCE)


class Tracer:
    """bpftrace with one line that kills victims: what people write who have no tool for it."""

    PROGRAM = 'BEGIN { printf("ready\\n"); } tracepoint:sched:sched_process_exec /comm == "victim"/ { signal("KILL"); }'

    def __init__(self):
        self.process = subprocess.Popen(["bpftrace", "--unsafe", "-e", self.PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for line in self.process.stdout:
            if line == b"ready\n":
                # Its BEGIN comes before the other probes are attached.
                time.sleep(1)
                return
        raise Failure("bpftrace: " + self.process.stderr.read().decode(errors="replace").strip())

    def close(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(PATIENCE)


class Agent:
    """A Riposte with its sensor: `lines` gets what it prints, each line with the time at which it was read."""

    def __init__(self, binary, folder, push_down=True, reflex=False, rules=(SHIPPED_RULES,)):
        folder.mkdir()
        self.binary, self.folder = binary, folder
        (folder / "bench-rules.yaml").write_text(RULES)
        (folder / "bench.yaml").write_text(PLAYBOOK.format(reflex="        reflex: true\n" if reflex else ""))
        (folder / "riposte.yaml").write_text("mode: enforce\nlog_level: warning\nbudgets: []\n")
        command = [binary, "run", "--json", "--config", folder / "riposte.yaml", *self._places(), "--http", f"127.0.0.1:{free_port()}"]
        command += ["--playbooks", folder / "bench.yaml", *sum((["--rules", path] for path in (*rules, folder / "bench-rules.yaml")), [])]
        command += [] if push_down else ["--no-push-down"]
        self.lines = queue.SimpleQueue()
        self.began_ns = time.time_ns()
        self.errors = open(folder / "errors", "w+b")
        self.process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=self.errors)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        try:
            until("the agent is ready", self._is_ready)
            if self.sensor().get("state", "running") != "running":
                raise Failure(f"the sensor does not run here: {self.sensor().get('problem', 'it is off')}")
        except BaseException:
            self.close()
            raise

    def _places(self):
        return ["--state-dir", self.folder / "state", "--run-dir", self.folder / "run"]

    def _read(self):
        for line in self.process.stdout:
            self.lines.put((time.time_ns(), line))

    def _is_ready(self):
        said = (self.folder / "errors").read_bytes()
        if self.process.poll() is not None:
            raise Failure("the agent ended: " + said.decode(errors="replace").strip())
        return b"is ready." in said

    def sensor(self):
        """The sensor's part of `riposte status --json`."""
        command = [self.binary, "status", "--json", *self._places()]
        output = subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE).stdout
        status = json.loads(output)
        if "sensor" not in status:
            raise Failure("this binary has no sensor (`riposte status --json` does not speak of one)")
        return status["sensor"]

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def alerts(self, rule, count, patience=PATIENCE):
        """(time of reading, alert) of the next ones by this rule; fewer when no more come for `patience` seconds."""
        found = []
        while len(found) < count:
            try:
                read_ns, line = self.lines.get(timeout=patience)
            except queue.Empty:
                break
            document = json.loads(line)
            if document.get("rule") == rule:
                found.append((read_ns, document))
        return found

    def close(self):
        end(self.process)
        self.reader.join(PATIENCE)
        self.errors.close()


def dropped(sensor):
    """How many events were lost, of all calls and kinds."""
    lost = sensor.get("dropped", {})
    return sum(lost.values()) if isinstance(lost, dict) else lost


def events(sensor):
    """How many events reached user space."""
    return sensor.get("events", 0)


# MARK: calls and programs


class Bench:
    def __init__(self, options, folder):
        self.binary, self.folder = options.riposte, folder
        self.tools = Tools(folder)
        self.abilities = Abilities.of(self.binary)
        self.agents = 0
        self.missing = []

    @contextlib.contextmanager
    def agent(self, **how):
        self.agents += 1
        agent = Agent(self.binary, self.folder / f"agent-{self.agents}", **how)
        try:
            yield agent
        finally:
            agent.close()

    def conditions(self):
        """Name → what makes it, in the order in which they take turns."""
        found = {
            "nothing": contextlib.nullcontext,
            "empty programs": lambda: contextlib.closing(Floor(self.tools, "empty")),
            "sensor": lambda: self.agent(),
        }
        if self.abilities.push_down:
            found["sensor, no push-down"] = lambda: self.agent(push_down=False)
        else:
            self.missing.append("this binary knows no --no-push-down: what filtering in the kernel saves was not measured")
        return found

    def measure_calls(self, rounds, count, spawns):
        """All conditions in turn, so that a machine that slows down slows all of them down."""
        costs = {}
        for _ in range(rounds):
            for name, condition in self.conditions().items():
                with condition():
                    found = self.tools.run("calls", count, self.tools.plain)[0] | self.tools.run("spawn", spawns, shutil.which("true"))[0]
                for call, cost in found.items():
                    costs.setdefault(name, {}).setdefault(call, []).append(cost)
        rows = []
        for name in [name for name in costs if name.startswith("sensor")]:
            has_limit = name == "sensor"
            for call in CALLS:
                rows.append(self._row(f"{call}, {name}", costs[name][call], costs["empty programs"][call], CALL_LIMIT if has_limit else None, "empty programs"))
            rows.append(self._row(f"spawn, {name}", costs[name]["spawn"], costs["nothing"]["spawn"], SPAWN_LIMIT if has_limit else None, "nothing"))
        for call in CALLS:
            rows.append(self._row(f"{call}, empty programs", costs["empty programs"][call], costs["nothing"][call], None, "nothing"))
        return rows

    def _row(self, name, samples, floor, limit, floor_name):
        cost, peer = min(samples), min(floor)
        if name.startswith("spawn"):
            cost, peer = statistics.median(samples), statistics.median(floor)
        ratio = cost / peer
        aim = None if limit is None else ratio <= limit
        text = "" if limit is None else f"<= {limit} x {floor_name}"
        return Row(name, f"{cost:.0f} ns", f"{peer:.0f} ns", ratio, aim, text, {"samples": samples, "median": statistics.median(samples), "floor": floor})

    # MARK: both cores busy

    def measure_rate(self, seconds):
        """Opens that pass the kernel's filters and match nothing, as many as two processes can make."""
        with self.agent() as agent:
            idle_kib, before, cpu = resident(agent.process.pid), agent.sensor(), agent.cpu_seconds()
            load = self.tools.run("saturate", seconds, self.tools.watched)[0]
            until("the sensor has taken what there is", lambda: self._has_settled(agent))
            after, used, kib = agent.sensor(), agent.cpu_seconds() - cpu, resident(agent.process.pid)
        taken, lost = events(after) - events(before), dropped(after) - dropped(before)
        if taken == 0:
            raise Failure("no event reached user space under load")
        per_event = used / taken
        rows = [
            Row("events taken, both cores open and close", per_second(taken / load["seconds"]), per_second(load["calls"] / load["seconds"]), taken / load["calls"], raw=load),
            Row("events lost of these", f"{lost}", raw={"before": before, "after": after}),
            Row("agent CPU per event", f"{per_event * 1e9:.0f} ns", f"{EVENT_CPU * 1e9:.0f} ns", per_event / EVENT_CPU, per_event < EVENT_CPU, "< 1 us"),
            Row("resident memory, idle", mebibytes(idle_kib), mebibytes(RESIDENT_KIB), idle_kib / RESIDENT_KIB, idle_kib < RESIDENT_KIB, "< 80 MB"),
            Row("resident memory, after load", mebibytes(kib), mebibytes(RESIDENT_KIB), kib / RESIDENT_KIB, kib < RESIDENT_KIB, "< 80 MB"),
        ]
        return rows

    @staticmethod
    def _has_settled(agent):
        first = events(agent.sensor())
        time.sleep(0.1)
        # Asking starts a program, which is an event or two itself.
        return events(agent.sensor()) - first < 1000

    # MARK: from the start of a program to the alert

    def measure_latency(self, count):
        rows = []
        with self.agent() as agent:
            rows += self._alert_rows("idle", agent, count)
            load = subprocess.Popen([self.tools.load, "saturate", str(count * 0.002 + 2), self.tools.plain], stdout=subprocess.DEVNULL)
            try:
                rows += self._alert_rows("both cores busy", agent, count)
            finally:
                end(load)
        return rows

    def _alert_rows(self, name, agent, count):
        begun = {entry["pid"]: entry["exec_ns"] for entry in self.tools.run("executions", count, 1000, self.tools.observed)}
        alerts = agent.alerts("Bench observed", count, patience=5)
        times = [(read_ns - begun[alert["output_fields"]["proc.pid"]]) / 1e9 for read_ns, alert in alerts if alert["output_fields"]["proc.pid"] in begun]
        if len(times) < count:
            self.missing.append(f"exec to alert, {name}: {count - len(times)} of {count} alerts did not come")
        if not times:
            return []
        median, tail = statistics.median(times), percentile(times, 0.99)
        raw = {"seconds": times}
        return [
            Row(f"exec to alert, {name}, median", milliseconds(median), milliseconds(ALERT_MEDIAN), median / ALERT_MEDIAN, median < ALERT_MEDIAN, "< 1 ms", raw),
            Row(f"exec to alert, {name}, p99", milliseconds(tail), milliseconds(ALERT_TAIL), tail / ALERT_TAIL, tail < ALERT_TAIL, "< 5 ms", raw),
        ]

    # MARK: from the start of a program to its death

    def measure_kill(self, count):
        killers = {"floor": lambda: contextlib.closing(Floor(self.tools, "kill"))}
        if shutil.which("bpftrace"):
            killers["bpftrace"] = lambda: contextlib.closing(Tracer())
        else:
            self.missing.append("bpftrace is not installed: it was not measured")
        killers["process.kill"] = lambda: self.agent()
        if self.abilities.reflex:
            killers["reflex"] = lambda: self.agent(reflex=True)
        else:
            self.missing.append("this binary's playbooks know no `reflex`: it was not measured")
        rows, floor = [], None
        for name, killer in killers.items():
            try:
                with killer():
                    victims = self.tools.run("victims", count, 0, self.tools.victim)
            except (Failure, OSError, subprocess.CalledProcessError) as error:
                self.missing.append(f"exec to dead, {name}: {error}")
                continue
            times = [(victim["dead_ns"] - victim["exec_ns"]) / 1e9 for victim in victims if victim["killed"]]
            if len(times) < count:
                self.missing.append(f"exec to dead, {name}: {count - len(times)} of {count} victims were not killed")
            if times:
                floor = floor or times
                rows += self._kill_rows(name, victims, times, floor)
        return rows

    @staticmethod
    def _kill_rows(name, victims, times, floor):
        median, peer = statistics.median(times), statistics.median(floor)
        tail, peer_tail = percentile(times, 0.99), percentile(floor, 0.99)
        printed = sum(victim["printed"] for victim in victims)
        raw = {"seconds": times}
        return [
            Row(f"exec to dead, {name}, median", milliseconds(median), milliseconds(peer), median / peer, raw=raw),
            Row(f"exec to dead, {name}, p99", milliseconds(tail), milliseconds(peer_tail), tail / peer_tail),
            Row(
                f"victims of {len(victims)} that printed, {name}", str(printed), aim=printed == 0 if name == "reflex" else None,
                aim_text="none" if name == "reflex" else "", raw={"printed": printed}),
        ]

    # MARK: from the start of the agent to the first event

    def measure_start(self, rounds):
        times = []
        for _ in range(rounds):
            load = subprocess.Popen([self.tools.load, "executions", "100000", "1000", self.tools.observed], stdout=subprocess.DEVNULL)
            try:
                with self.agent() as agent:
                    alerts = agent.alerts("Bench observed", 1)
                    if not alerts:
                        raise Failure("no alert after the start")
                    times.append((nanoseconds(alerts[0][1]["time"]) - agent.began_ns) / 1e9)
            finally:
                end(load)
        median = statistics.median(times)
        return [
            Row("start to first event, shipped rules", milliseconds(median), milliseconds(FIRST_EVENT), median / FIRST_EVENT, median < FIRST_EVENT, "< 0.3 s", {"seconds": times})
        ]


def nanoseconds(text):
    """Of an alert's time, since 1970. Python's own dates end at microseconds."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z", text)
    if found is None:
        raise Failure(f"not a time: {text}")
    seconds = calendar.timegm(time.strptime(found[1], "%Y-%m-%dT%H:%M:%S"))
    return seconds * 1_000_000_000 + int((found[2] or "0").ljust(9, "0"))


# MARK: all


def measure(bench, options):
    """The rows of all parts. A part that cannot be measured is told of, and the others are measured all the same."""
    full = not options.quick
    parts = {
        "calls": lambda: bench.measure_calls(7 if full else 2, 300_000 if full else 20_000, 400 if full else 50),
        "rate": lambda: bench.measure_rate(10 if full else 1),
        "latency": lambda: bench.measure_latency(2000 if full else 100),
        "kill": lambda: bench.measure_kill(10_000 if full else 200),
        "start": lambda: bench.measure_start(11 if full else 3),
    }
    rows = []
    for name, part in parts.items():
        if options.only and name not in options.only:
            continue
        try:
            rows += part()
        except (Failure, OSError, subprocess.CalledProcessError) as error:
            bench.missing.append(f"{name}: {error}")
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("riposte", type=pathlib.Path, help="the release binary of riposte")
    parser.add_argument("--quick", action="store_true", help="fewer samples: to see that it works, not how fast")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    parser.add_argument("--only", action="append", choices=["calls", "rate", "latency", "kill", "start"], help="this part; may be repeated")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("sensor: has to be root", file=sys.stderr)
        return 1
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="riposte-bench-") as folder:
        try:
            bench = Bench(options, pathlib.Path(folder))
        except (Failure, OSError, subprocess.CalledProcessError) as error:
            print(f"sensor: {error}", file=sys.stderr)
            return 1
        rows = measure(bench, options)
    missing = list(dict.fromkeys(bench.missing))
    if options.json:
        facts = {"cores": os.cpu_count(), "kernel": os.uname().release, "load_before": load, "quick": options.quick}
        print(json.dumps(facts | {"missing": missing, "rows": [dataclasses.asdict(row) for row in rows]}, indent=2))
    else:
        print(f"{os.cpu_count()} cores, Linux {os.uname().release}, load {load:.2f} before; peer: empty programs, nothing, or the limit" + (", quick" if options.quick else ""))
        print_table(rows)
    for text in missing:
        print(f"sensor: {text}", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
