#!/usr/bin/env python3
"""Attacks this machine in more than a dozen harmless ways, and shows how Riposte sees and answers each.

    demo.py RIPOSTE [--without-sensor]

Nothing of it concerns anything but the demo's own processes and containers: the rules ask for a random token. It needs root, gcc, busybox-static and
a Docker engine, and starts an engine of its own where none runs. Exit status: 0 when every attack was seen and answered, else 1.

With --without-sensor the alerts are handed in by the socket, as another detector would; that shows the answers on machines where the sensor cannot run.
"""

import argparse
import contextlib
import dataclasses
import datetime
import json
import os
import pathlib
import platform
import queue
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
SCENARIOS = HERE.parent.parent / "Tests" / "Scenarios"
SYSTEM_ENGINE = pathlib.Path("/var/run/docker.sock")
IMAGE = "riposte-demo"
NAMES = ("nginx", "demo-reader", "dropper", "linker", "sniffer", "client", "writer", "shellcode")
# Of those set aside for documentation: nobody has it. The container that connects to it has it on its own loopback.
HOME = "198.51.100.7"
PATIENCE = 30.0
# An attack that has not been answered by then was missed.
ANSWER_PATIENCE = 10.0


class Failure(Exception):
    """The demo cannot go on."""


@dataclasses.dataclass(frozen=True)
class Attack:
    """`words` is what is started; {bin} are the names of the attacker, {scratch} the demo's folder, {reflex} the name that the kernel knows.
    `options` are those of `docker run`, None on the host. `proof` says how the answer is seen in the world."""

    rule: str
    playbook: str
    action: str
    words: tuple
    proof: str
    options: tuple | None = None
    is_reflex: bool = False

    @property
    def place(self):
        return "host" if self.options is None else "container"


ATTACKS = (
    Attack("Demo: program from memory", "demo-end-program-from-memory", "process.kill",
           ("{bin}/attacker", "memory", "evil", "execveat", "program", "hold", "noop"), "dead"),
    Attack("Demo: program with a known bad name", "demo-end-bad-program", "process.kill", ("{bin}/{reflex}", "hold", "noop"), "dead", is_reflex=True),
    Attack("Demo: password hashes read", "demo-hold-hash-reader", "process.suspend", ("{bin}/demo-reader", "hold", "openat", "/etc/shadow"), "stopped"),
    Attack("Demo: shell below web server", "demo-end-shell-of-server", "process.kill", ("{bin}/nginx", "run", "/bin/sh", "-c", "sleep 60; true"), "dead"),
    Attack("Demo: process taken over", "demo-hold-debugger", "process.suspend", ("{bin}/attacker", "hold", "trace", "attach"), "stopped"),
    Attack("Demo: bait opened by the side door", "demo-end-bait-taker", "process.kill", ("{bin}/attacker", "hold", "open32", "{scratch}/demo-bait"), "dead"),
    Attack("Demo: log emptied", "demo-hold-log-cleaner", "process.suspend",
           ("{bin}/attacker", "hold", "openat", "{scratch}/auth.log", "wronly,creat,trunc"), "stopped"),
    Attack("Demo: terminal in container", "demo-pause-terminal", "container.pause", ("/bin/sh", "-c", "sleep 60; true"), "paused", ("-t",)),
    Attack("Demo: program that the image lacks", "demo-end-dropped-program", "process.kill", ("{bin}/dropper", "drop", "/scratch/tool", "hold", "noop"), "dead", ()),
    Attack("Demo: standard stream on the network", "demo-isolate-remote-shell", "container.isolate",
           ("{bin}/shellcode", "hold", "redirect", "127.0.0.1", "0", "dup2"), "cut off", ()),
    Attack("Demo: breakout by release agent", "demo-stop-breakout", "container.stop",
           ("{bin}/writer", "hold", "openat", "/scratch/release_agent", "wronly,creat"), "ended", ("--cap-add=SYS_ADMIN",)),
    Attack("Demo: call home", "demo-block-home", "network.block",
           ("/bin/sh", "-c", f"ip addr add {HOME}/32 dev lo && exec /scenario/client hold connect {HOME} 4444 nonblock"), "blocked",
           ("--cap-add=NET_ADMIN", "--network=none")),
    Attack("Demo: packets captured", "demo-end-capture", "container.kill", ("{bin}/sniffer", "hold", "packet-socket"), "ended", ()),
    Attack("Demo: link to secrets", "demo-pause-link", "container.pause", ("{bin}/linker", "hold", "symlink", "/etc/shadow", "/scratch/innocent"), "paused", ()),
)


# MARK: small things


def until(what, condition, patience=PATIENCE):
    deadline = time.monotonic() + patience
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise Failure(f"waited {patience:.0f} s in vain: {what}")
        time.sleep(0.01)
    return answer


def holds(condition, patience):
    try:
        return bool(until("", condition, patience))
    except Failure:
        return False


def run(*command, **options):
    """Standard output of a program that has to end well."""
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    if done.returncode != 0:
        raise Failure(f"{pathlib.Path(command[0]).name}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def end(process):
    """Ours: asked first, and waited for."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def stat_fields(pid):
    """Of /proc/PID/stat, from the state on; None when it is gone."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def children(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        found += map(int, task.read_text().split())
    return found


def epoch_ns(text):
    """Of an alert's time, RFC 3339 in UTC with nanoseconds."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    seconds = datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.timezone.utc).timestamp()
    return int(seconds) * 1_000_000_000 + int(fraction.ljust(9, "0")[:9] or 0)


# MARK: what the demo stands on


class Engine:
    """A Docker engine: the one that runs, or one of our own that ends with us."""

    def __init__(self, folder):
        self.folder, self.process = folder, None
        self.socket = SYSTEM_ENGINE
        if not self._answers():
            self._start()

    def _answers(self):
        return subprocess.run(["docker", "-H", f"unix://{self.socket}", "version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0

    def _start(self):
        if shutil.which("dockerd") is None:
            raise Failure("no Docker engine runs, and dockerd is not installed (docker.io of Debian)")
        self.socket = self.folder / "docker.sock"
        places = ["--data-root", self.folder / "data", "--exec-root", self.folder / "exec", "--pidfile", self.folder / "pid"]
        command = ["dockerd", *places, "-H", f"unix://{self.socket}", "--bip", "172.31.247.1/24"]
        self.folder.mkdir()
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log)
        until("dockerd answers", self._is_up)

    def _is_up(self):
        if self.process.poll() is not None:
            raise Failure("dockerd ended: " + (self.folder / "log").read_text(errors="replace")[-1000:])
        return self.socket.exists() and self._answers()

    def docker(self, *arguments, **options):
        return run("docker", "-H", f"unix://{self.socket}", *arguments, **options).decode().strip()

    def state(self, container):
        return json.loads(self.docker("inspect", container))[0]

    def close(self):
        with contextlib.suppress(Failure):
            self.docker("rmi", "-f", IMAGE)
        if self.process is not None:
            end(self.process)


class Agent:
    """`riposte run` in a world of its own: state, sockets, rules and playbooks are the demo's."""

    def __init__(self, binary, folder, engine, token, reflex_name, has_sensor, has_reflex):
        folder.mkdir()
        self.binary, self.folder, self.places = binary, folder, ["--state-dir", folder / "state", "--run-dir", folder / "run"]
        (folder / "riposte.yaml").write_text(
            f"mode: enforce\nlog_level: warning\nbudgets: []\nintake:\n  http: {{ enabled: false }}\ndocker:\n  socket: {json.dumps(str(engine.socket))}\n")
        (folder / "token.yaml").write_text(
            f"- list: demo_tokens\n  items: [{json.dumps(token)}]\n  override: {{ items: replace }}\n"
            f"- list: demo_reflex_names\n  items: [{json.dumps(reflex_name)}]\n  override: {{ items: replace }}\n")
        command = [binary, "run", "--json", "--config", folder / "riposte.yaml", *self.places, "--rules", HERE / "rules.yaml", "--rules", folder / "token.yaml"]
        # Of a checkout that is not root's they would be refused.
        for name in ["playbooks.yaml"] + (["reflex.yaml"] if has_reflex else []):
            (folder / name).write_bytes((HERE / name).read_bytes())
            (folder / name).chmod(0o644)
            command += ["--playbooks", folder / name]
        command += [] if has_sensor else ["--no-sensor"]
        self.lines = queue.SimpleQueue()
        self.errors = open(folder / "errors", "wb")
        self.process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=self.errors)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        try:
            until("the agent is ready", self._is_ready)
            if has_sensor:
                self._require_sensor()
        except BaseException:
            self.close()
            raise

    def _read(self):
        for line in self.process.stdout:
            self.lines.put((time.time_ns(), json.loads(line)))

    def said(self):
        return (self.folder / "errors").read_text(errors="replace")

    def _is_ready(self):
        if self.process.poll() is not None:
            raise Failure("the agent ended: " + self.said().strip())
        return "is ready." in self.said()

    def _require_sensor(self):
        sensor = self.ask("status").get("sensor")
        if sensor is None:
            raise Failure("this binary has no sensor; --without-sensor shows the answers alone")
        if sensor.get("state") != "running":
            raise Failure(f"the sensor does not run here: {sensor.get('problem', sensor.get('state'))}; --without-sensor shows the answers alone")

    def ask(self, *words):
        return json.loads(run(self.binary, *words, "--json", *self.places))

    def hand_in(self, alert):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.folder / "run" / "alerts.sock"))
            connection.sendall(json.dumps(alert).encode() + b"\n")

    def next(self, patience):
        """(time of reading, alert or result), or None."""
        try:
            return self.lines.get(timeout=patience)
        except queue.Empty:
            return None

    def close(self):
        end(self.process)
        self.reader.join(PATIENCE)
        self.errors.close()


# MARK: an attack


class Running:
    """An attack under way, on the host or in a container of its own."""

    def __init__(self, attack, demo):
        self.attack, self.demo = attack, demo
        self.process = self.container = None
        words = [word.format(bin="/scenario" if attack.options is not None else demo.binaries, scratch=demo.scratch, reflex=demo.reflex_name) for word in attack.words]
        if attack.options is None:
            # A small environment, so that the token is among what the kernel tells of it.
            self.process = subprocess.Popen(words, env={"RIPOSTE_DEMO": demo.token, "PATH": os.defpath}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        else:
            self.container = demo.engine.docker("run", "-d", "-e", f"RIPOSTE_DEMO={demo.token}", *attack.options, IMAGE, *words)

    def pid(self):
        """Of the process that an alert would name: the last one that the attack has started."""
        pid = self.process.pid if self.process else self.demo.engine.state(self.container)["State"]["Pid"]
        if self.attack.action == "process.kill" and not self.attack.is_reflex:
            return (children(pid) or [pid])[0]
        return pid

    def alert(self):
        """What another detector would say of it."""
        time.sleep(1)
        pid = self.pid()
        fields = {"proc.pid": pid, "proc.name": pathlib.Path(f"/proc/{pid}/comm").read_text().strip(), "fd.sip": HOME, "container.id": "host"}
        if self.container:
            fields["container.id"] = self.container[:12]
        when = datetime.datetime.now(datetime.timezone.utc).isoformat().replace("+00:00", "Z")
        return {"time": when, "rule": self.attack.rule, "priority": "Critical", "source": "syscall", "output": "handed in by the demo", "tags": ["demo"], "output_fields": fields}

    def is_proved(self, alert):
        """Whether the world is as the answer says."""
        pid = alert["output_fields"].get("proc.pid")
        checks = {
            "dead": lambda: (stat_fields(pid) or ["X"])[0] in "XZ",
            "stopped": lambda: (stat_fields(pid) or ["X"])[0] in "Tt",
            "paused": lambda: self.demo.engine.state(self.container)["State"]["Paused"],
            "ended": lambda: not self.demo.engine.state(self.container)["State"]["Running"],
            "cut off": lambda: not self._answers_ping(),
            "blocked": lambda: HOME in json.dumps(self.demo.agent.ask("network", "status")),
        }
        return pid is not None and holds(checks[self.attack.proof], 3)

    def _answers_ping(self):
        address = self.demo.engine.state(self.container)["NetworkSettings"]["IPAddress"]
        return subprocess.run(["busybox", "ping", "-c", "1", "-W", "1", address], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0

    def close(self):
        if self.process is not None:
            for child in children(self.process.pid) if self.process.poll() is None else []:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, 9)
            self.process.kill()
            self.process.wait()
        if self.container is not None:
            self.demo.engine.docker("rm", "-f", self.container)


@dataclasses.dataclass
class Row:
    attack: Attack
    alert_ms: float | None = None
    answer_ms: float | None = None
    outcome: str = "no alert"
    is_proved: bool = False

    @property
    def is_good(self):
        return self.outcome in ("done", "already") and self.is_proved

    def cells(self):
        times = ["" if value is None else f"{value:.2f}" for value in (self.alert_ms, self.answer_ms)]
        world = self.attack.proof if self.is_proved else f"not {self.attack.proof}"
        response = self.attack.action + (" in the kernel" if self.attack.is_reflex else "")
        return [self.attack.place, self.attack.rule.removeprefix("Demo: "), response, self.outcome, world, *times]


class Demo:
    def __init__(self, options, stack):
        self.has_sensor = not options.without_sensor
        self.has_reflex = self.has_sensor and b'"reflex"' in run(options.riposte, "playbook", "schema")
        if self.has_sensor and not self.has_reflex:
            print("demo: the playbooks of this binary know no `reflex`: that attack is left out", file=sys.stderr)
        self.folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="riposte-demo-", ignore_cleanup_errors=True)))
        self.token, self.reflex_name = secrets.token_hex(16), "demo-" + secrets.token_hex(4)
        self.binaries, self.scratch = self.folder / "bin", self.folder / "scratch"
        self.scratch.mkdir()
        (self.scratch / "demo-bait").write_text("harmless\n")
        self._build()
        self.engine = Engine(self.folder / "engine")
        stack.callback(self.engine.close)
        image = run("sh", SCENARIOS / "image.sh", self.binaries / "attacker", *NAMES)
        self.engine.docker("import", "-", IMAGE, input=image)
        self.agent = Agent(options.riposte, self.folder / "agent", self.engine, self.token, self.reflex_name, self.has_sensor, self.has_reflex)
        stack.callback(self.agent.close)
        stack.callback(self.undo)

    def _build(self):
        self.binaries.mkdir()
        attacker = self.binaries / "attacker"
        run("gcc", "-static", "-O1", "-o", attacker, SCENARIOS / "attacker.c")
        for name in (*NAMES, self.reflex_name):
            os.link(attacker, self.binaries / name)

    def attacks(self):
        """Those that this machine and this way of running the demo know."""
        for attack in ATTACKS:
            is_strange = "open32" in attack.words and platform.machine() != "x86_64"
            if not is_strange and (self.has_reflex or not attack.is_reflex):
                yield attack

    def perform(self, attack):
        running = Running(attack, self)
        try:
            if not self.has_sensor:
                self.agent.hand_in(running.alert())
            return self._answer(attack, running)
        finally:
            running.close()

    def _answer(self, attack, running):
        """Reads what the agent says until this attack has its alert and its result."""
        row, alert = Row(attack), None
        deadline = time.monotonic() + ANSWER_PATIENCE
        while (left := deadline - time.monotonic()) > 0:
            heard = self.agent.next(left)
            if heard is None:
                break
            read_ns, said = heard
            if alert is None and said.get("rule") == attack.rule:
                alert, row.outcome = said, "no response"
                row.alert_ms = (read_ns - epoch_ns(said["time"])) / 1e6
            elif alert is not None and said.get("playbook") == attack.playbook and said.get("action") == attack.action:
                row.outcome = said["outcome"]
                row.answer_ms = (read_ns - epoch_ns(alert["time"])) / 1e6
                row.is_proved = running.is_proved(alert)
                if (said.get("undo") or {}).get("available"):
                    self.undo_one(said["id"])
                if row.outcome not in ("done", "already"):
                    print(f"demo: {attack.rule}: {said.get('reason') or said.get('detail') or said['outcome']}", file=sys.stderr)
                break
        return row

    def undo_one(self, action):
        """While its target is still there. What fails here is tried again at the end."""
        with contextlib.suppress(Failure):
            run(self.agent.binary, "undo", action, "--reason", "end of the demo", *self.agent.places)

    def undo(self):
        """Whatever is still in force."""
        for entry in self.agent.ask("status").get("undos", []):
            self.undo_one(entry["action_id"])
        left = len(self.agent.ask("status").get("undos", []))
        print("demo: " + (f"{left} responses are still in force" if left else "everything is taken back"), file=sys.stderr)


def print_table(rows):
    lines = [["where", "attack", "response", "outcome", "the target is", "ms to alert", "ms to response"]] + [row.cells() for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(7)]
    for number, line in enumerate(lines):
        texts = [line[i].ljust(widths[i]) for i in range(5)] + [line[i].rjust(widths[i]) for i in (5, 6)]
        print("  ".join(texts).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("riposte", type=pathlib.Path, help="the binary of riposte")
    parser.add_argument("--without-sensor", action="store_true", help="hand the alerts in by the socket instead")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("demo: has to be root", file=sys.stderr)
        return 1
    rows = []
    try:
        with contextlib.ExitStack() as stack:
            demo = Demo(options, stack)
            for attack in demo.attacks():
                print(f"demo: {attack.rule.removeprefix('Demo: ')} ({attack.place})", file=sys.stderr)
                rows.append(demo.perform(attack))
    except (Failure, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: ended before its end", file=sys.stderr)
        return 1
    print_table(rows)
    good = sum(row.is_good for row in rows)
    print(f"{good} of {len(rows)} attacks were seen and answered" + ("" if demo.has_sensor else "; the alerts were handed in"))
    return 0 if good == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
