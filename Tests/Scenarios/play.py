#!/usr/bin/env python3
"""Plays scenarios.json without judging: to see what each does, and that it still can. Needs root, gcc, and for containers a Docker engine.

    play.py [--docker SOCKET] [NAME…]
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
IMAGE = "riposte-scenarios"


def filled(value, places):
    for name, text in places.items():
        value = value.replace("{" + name + "}", text)
    return value


def command_of(scenario, places):
    """What is started: the attacker under the scenario's name, or a program of the system."""
    program = [f"{places['bin']}/{scenario['program']}"] if "program" in scenario else []
    return program + [filled(word, places) for word in scenario["arguments"]]


def prepared(scenario, places):
    """Makes the files and links that the scenario wants to find."""
    for path in scenario.get("files", []):
        file = pathlib.Path(filled(path, places))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("harmless\n")
    for path, target in scenario.get("links", {}).items():
        os.symlink(filled(target, places), filled(path, places))


def play_on_host(scenario, attacker, folder):
    binaries = folder / "bin"
    binaries.mkdir()
    for name in {scenario.get("program", "attacker"), "attacker", "worker", "watcher", "probe", "dropper", "postgres"}:
        os.link(attacker, binaries / name)
    scratch = folder / "scratch"
    scratch.mkdir()
    places = {"bin": str(binaries), "scratch": str(scratch)}
    prepared(scenario, places)
    return subprocess.run(command_of(scenario, places), env=scenario.get("environment", {}), stdin=subprocess.DEVNULL, capture_output=True, timeout=60)


class Containers:
    """Runs scenarios in a container that stands, or in one of their own where they ask for options."""

    def __init__(self, socket, attacker):
        self.docker = ["docker", "-H", f"unix://{socket}"]
        tar = subprocess.run(["sh", str(HERE / "image.sh"), str(attacker)], check=True, stdout=subprocess.PIPE).stdout
        subprocess.run([*self.docker, "import", "-", IMAGE], input=tar, check=True, stdout=subprocess.DEVNULL)
        self.standing = None

    def play(self, scenario):
        words = command_of(scenario, {"bin": "/scenario", "scratch": "/scratch"})
        flags = ["-t"] if scenario.get("terminal") else []
        flags += ["-u", scenario["user"]] if "user" in scenario else []
        if "options" in scenario:
            command = [*self.docker, "run", "--rm", *flags, *scenario["options"], IMAGE, *words]
        else:
            if self.standing is None:
                answer = subprocess.run([*self.docker, "run", "-d", "--rm", IMAGE, "/bin/sleep", "3600"], check=True, stdout=subprocess.PIPE, text=True)
                self.standing = answer.stdout.strip()
            command = [*self.docker, "exec", *flags, self.standing, *words]
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)

    def close(self):
        if self.standing is not None:
            subprocess.run([*self.docker, "rm", "-f", self.standing], stdout=subprocess.DEVNULL)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--docker", help="the socket of an engine; without it, containers are left out")
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()
    scenarios = [entry for entry in json.loads((HERE / "scenarios.json").read_text()) if not options.names or entry["name"] in options.names]
    failed = 0
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="riposte-scenarios-")))
        folder.chmod(0o755)
        attacker = folder / "attacker"
        subprocess.run(["gcc", "-static", "-O1", "-o", attacker, HERE / "attacker.c"], check=True)
        containers = None
        if options.docker:
            containers = Containers(options.docker, attacker)
            stack.callback(containers.close)
        for scenario in scenarios:
            if scenario["where"] == "host":
                own = folder / "one"
                own.mkdir()
                result = play_on_host(scenario, attacker, own)
                shutil.rmtree(own)
            elif containers is not None:
                result = containers.play(scenario)
            else:
                continue
            good = result.returncode == 0 or scenario.get("failure_is_fine", False)
            failed += not good
            said = (result.stdout + result.stderr).decode(errors="backslashreplace").strip().replace("\n", " ")
            print(f"{'played' if good else 'FAILED'} {scenario['name']} {result.returncode} {said}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
