#!/usr/bin/env python3
"""Runs the sensor's live tests on other kernels: `make test-kernels`.

Each kernel is booted by QEMU, which needs neither rights nor hardware for it, with this machine's files as its root, read-only and with a layer in memory over them:
what was built here runs there. A kernel is a package of Debian's (also one that only depends on the newest one), which is unpacked once below .build-kernels and
never installed, or a folder in which one was unpacked.

    kernels.py download KERNEL...                       unpack those that are not there yet
    kernels.py run [--bundle FILE] [--brief] KERNEL...  run the tests that were built, or the most important of them
    kernels.py run --command TEXT KERNEL...             run a shell command in their place, to look around

What the guests print is kept in .build-kernels/KERNEL.log; the end of it, and that of the console, is shown where one does not come to an end in LIMIT seconds.
"""

import argparse
import lzma
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "Tests" / "Kernels"
CACHE = ROOT / ".build-kernels"
BUNDLE = ROOT / ".build" / "debug" / "ripostePackageTests.xctest"
# Emulated: a machine in the cloud has no KVM, or one that does not work, and a kernel's verifier is the same either way. ACCEL=kvm is faster.
ACCELERATOR = os.environ.get("ACCEL", "tcg,thread=multi")
# Two that are emulated wait for each other so much that one is faster. What several at once bring about the same tests look for on this machine's own kernel.
PROCESSORS = os.environ.get("PROCESSORS", "1")
LIMIT = int(os.environ.get("LIMIT", "900"))

# A panic is the end of the guest. Where the host is busy, timers come later than the kernel's look at them allows. Without random addresses what QEMU has
# translated of a program serves the next process that runs it.
PARAMETERS = "console=ttyS0 quiet panic=-1 oops=panic no_timer_check norandmaps"

# How the names of the tests begin: what looks at the kernel. Not what needs Docker, and not what is about masses: an emulated processor is twenty times slower.
SENSOR, AGENT = "RiposteSensorTests.", "RiposteAgentTests."
# What every run of all tests includes: each program is loaded and does what it is there for.
BRIEF = [
    *(SENSOR + "KernelSideLiveTests/" + name for name in ("vanishedPaths", "mountedOn", "parentNames", "harmlessOpens", "longNames", "starts", "deepFolders", "messages")),
    *(SENSOR + "SensorLiveTests/" + name for name in ("firstProgram", "evidence")),
    *(AGENT + "ReflexLiveTests/" + name for name in ("kills", "observes")),
]
TESTS = BRIEF + [
    SENSOR + "KernelSideLiveTests/",
    SENSOR + "ProcessLiveTests/",
    *(SENSOR + "SensorLiveTests/" + name for name in ("afterTheEnd", "overflow", "lostStart")),
    *(SENSOR + "StrangeProcessTests/" + name for name in ("thread", "deleted", "memory", "root", "userNamespace", "nested", "longArgument", "deepPath", "anyBytes")),
    AGENT + "ScenarioTests/host",
    *(AGENT + "ReflexLiveTests/" + name for name in ("leavesNothing", "reloads", "spared")),
    *(AGENT + "TamperingLiveTests/" + name for name in ("signals", "objects")),
    *(AGENT + "PinnedSensorTests/" + name for name in ("gap", "unattended")),
]
# Needs 5.15, and `bpf` among the security modules, as Debian has it.
DENIAL = [AGENT + "DenyLiveTests/"]
BRIEF_DENIAL = [AGENT + "DenyLiveTests/" + name for name in ("open", "unspecified", "attached")]
# Need 6.0.
REQUESTS, PINNED_REQUESTS = SENSOR + "RequestLiveTests/", AGENT + "PinnedSensorTests/requests"
SETTINGS = {"RIPOSTE_GUEST": "1", "RIPOSTE_REFLEXES": "5", "NO_COLOR": "1", "TERM": "dumb"}

# Loaded before the root is there, with what they need.
MODULES = ["virtio_pci", "9pnet_virtio", "9p", "overlay"]


class Trouble(Exception):
    """What is told to whoever called, without a stack."""


def called(*words):
    """What a program prints."""
    result = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if result.returncode != 0:
        raise Trouble(f"{' '.join(map(str, words))} failed with {result.returncode}: {result.stderr.strip()[-1000:]}")
    return result.stdout


# Getting kernels


def packages(name):
    """A package and those of the kernel that it depends on: one that names the newest, image and modules apart."""
    result, waiting = [], [name]
    while waiting:
        package = waiting.pop()
        if package in result:
            continue
        result.append(package)
        waiting += re.findall(r"^\s*Depends: (linux-(?:image|binary|modules)-\S+)$", called("apt-cache", "depends", package), re.M)
    return result


def download(name):
    """Unpacks a kernel's packages below CACHE, once."""
    if folder_of(name).exists():
        return
    print(f"unpacking {name} into {CACHE.name}", flush=True)
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as place:
        try:
            fetched(name, place)
        except Trouble:
            # The lists are missing or older than the mirror.
            called(*([] if os.geteuid() == 0 else ["sudo"]), "apt-get", "update", "-qq")
            fetched(name, place)
        unpacked = pathlib.Path(place) / "unpacked"
        for package in pathlib.Path(place).glob("*.deb"):
            called("dpkg-deb", "-x", package, unpacked)
        Kernel(unpacked)
        unpacked.rename(CACHE / name)


def is_there(name):
    """Fetches it if need be; that one cannot be had keeps the others from nothing."""
    try:
        if "/" not in name:
            download(name)
        return True
    except Trouble as trouble:
        print(f"kernels.py: nothing is tested on {name}: {trouble}", file=sys.stderr)
        return False


def fetched(name, place):
    command = ["apt-get", "download", "-qq", "-o", "Acquire::Retries=3", "-o", "APT::Sandbox::User=root"] + packages(name)
    result = subprocess.run(command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if result.returncode != 0:
        raise Trouble(f"{name} cannot be fetched: {result.stdout.strip()[-1000:]}")


def folder_of(name):
    return pathlib.Path(name).resolve() if "/" in name else CACHE / name


class Kernel:
    """One that lies unpacked in a folder: `image`, and the folder of its modules, whose name is its release."""

    def __init__(self, folder):
        releases = [path.parent for base in ("usr/lib", "lib") for path in sorted((folder / base / "modules").glob("*/kernel"))]
        if not releases:
            raise Trouble(f"{folder} has no modules of a kernel: unpack the package with its modules there (dpkg-deb -x)")
        self.modules = releases[0].resolve()
        self.release = self.modules.name
        images = [self.modules / "vmlinuz", folder / "boot" / f"vmlinuz-{self.release}"]
        self.image = next((path for path in images if path.exists()), None)
        if self.image is None:
            raise Trouble(f"{folder} has no kernel: none of {', '.join(map(str, images))} is there")

    def needed(self, names):
        """The files of modules and of what they need, in the order in which they are loaded."""
        base = self.modules.parents[2]
        # Who installs the package makes this list; it is also what modprobe goes by in the guest.
        if not (self.modules / "modules.dep.bin").exists():
            called("depmod", "-b", base, self.release)
        files = []
        for name in names:
            command = ["modprobe", "-d", str(base), "-S", self.release, "--show-depends", name]
            # What it does not find is in the kernel, whose list may be in a package that is not here; if it is not, the guest says what it cannot mount.
            for line in subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.splitlines():
                word, path = line.split()[:2]
                if word == "insmod" and path not in files:
                    files.append(path)
        return [pathlib.Path(path) for path in files]


# Running guests


def initramfs(kernel, command, place):
    """What the kernel starts with: see initramfs.sh."""
    tree = place / "initramfs"
    for folder in ("bin", "proc", "dev", "lower", "layer", "root", "modules", "guest"):
        (tree / folder).mkdir(parents=True)
    shutil.copy(shutil.which("busybox", path="/bin:/usr/bin") or "/bin/busybox", tree / "bin")
    shutil.copy(HERE / "initramfs.sh", tree / "init")
    (tree / "init").chmod(0o755)
    for index, path in enumerate(kernel.needed(MODULES)):
        data = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
        (tree / "modules" / f"{index:02}-{path.name.removesuffix('.xz')}").write_bytes(data)
    shutil.copy(HERE / "machine.sh", tree / "guest")
    (tree / "guest" / "paths").write_text(f"MODULES={shlex.quote(str(kernel.modules))}\nSOURCES={shlex.quote(str(ROOT))}\n")
    (tree / "guest" / "command").write_text(f"cd {shlex.quote(str(ROOT))}\n{command}\n")
    archive = place / "initramfs.cpio"
    # One behind the other, which the kernel unpacks into one tree.
    with open(archive, "wb") as file:
        for folder, part in ((tree, "."), (pathlib.Path("/"), "etc")):
            names = "".join(f"{path.relative_to(folder)}\n" for path in [folder / part, *sorted((folder / part).rglob("*"))])
            subprocess.run(["busybox", "cpio", "-o", "-H", "newc"], cwd=folder, input=names.encode(), stdout=file, stderr=subprocess.PIPE, check=True)
    return archive


def tests_for(kernel, is_brief):
    version = tuple(int(number) for number in re.findall(r"\d+", kernel.release)[:2])
    tests, denial, requests = (BRIEF, BRIEF_DENIAL, [REQUESTS]) if is_brief else (TESTS, DENIAL, [REQUESTS, PINNED_REQUESTS])
    return tests + (denial if version >= (5, 15) else []) + (requests if version >= (6, 0) else [])


def test_command(bundle, kernel, is_brief):
    if not bundle.exists():
        raise Trouble(f"{bundle} is not there: swift build --build-tests")
    words = [bundle.absolute(), "--testing-library", "swift-testing"]
    known = called(*words, "--list-tests").splitlines()
    tests = tests_for(kernel, is_brief)
    for test in tests:
        if not any(name.startswith(test) for name in known):
            raise Trouble(f"there are no tests {test}: TESTS in {HERE.name}/kernels.py names them")
    words += ["--no-parallel"] + [word for test in tests for word in ("--filter", "^" + re.escape(test))]
    return f"export {' '.join(f'{name}={value}' for name, value in SETTINGS.items())}\nexec {shlex.join(map(str, words))}"


class Guest:
    """A kernel in QEMU until it switches itself off: what it printed, and why it ended where it should not have."""

    def __init__(self, kernel, command, place):
        self.console, self.log = place / "console", place / "log"
        self.words = [
            # It ends with us, however we end.
            "setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-accel", ACCELERATOR, "-cpu", "host" if ACCELERATOR.startswith("kvm") else "max", "-smp", PROCESSORS, "-m", "4096",
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", f"file:{self.console}", "-serial", f"file:{self.log}",
            "-kernel", kernel.image, "-initrd", initramfs(kernel, command, place), "-append", PARAMETERS,
            "-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap",
        ]

    def run(self, seen):
        """Calls `seen` with each line of the log; the status of what ran there, or a Trouble that says where it hung."""
        with subprocess.Popen([str(word) for word in self.words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as machine:
            try:
                end, offset, is_running = time.monotonic() + LIMIT, 0, True
                while is_running:
                    is_running = machine.poll() is None
                    offset += self.read(offset, seen)
                    if is_running and time.monotonic() > end:
                        raise Trouble(f"it was not over after {LIMIT} s (LIMIT=) and was ended\n{self.ends()}")
                    time.sleep(0.1)
            finally:
                machine.kill()
            complaints = machine.stdout.read().strip()
        last = self.lines(self.log)[-1:]
        status = re.fullmatch(r"guest: status (\d+)", last[0]) if last else None
        if status is None:
            raise Trouble(f"it ended before it was done\n{complaints}\n{self.ends()}")
        return int(status[1])

    def read(self, offset, seen):
        """Hands over the whole lines from an offset on, all but Guest's own last one; how many bytes those were."""
        if not self.log.exists():
            return 0
        with open(self.log, "rb") as file:
            file.seek(offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        for line in whole.decode(errors="replace").splitlines():
            if not line.startswith("guest: status "):
                seen(line)
        return len(whole)

    def lines(self, path):
        return path.read_text(errors="replace").replace("\r", "").splitlines() if path.exists() else []

    def ends(self):
        return "\n".join(f"{title}, last lines:\n" + "\n".join("    " + line for line in self.lines(path)[-40:]) for title, path in
                         (("console", self.console), ("what ran there", self.log)))


def run(name, bundle, command, is_brief):
    """Whether all was well on a kernel: with the tests in a bundle, or with a command."""
    kernel, is_test = Kernel(folder_of(name)), command is None
    command = command or test_command(bundle, kernel, is_brief)
    print(f"{kernel.release}: booting", flush=True)
    start, left_out, is_shown = time.monotonic(), [], False

    def seen(line):
        nonlocal is_shown
        # What is left out proves nothing, and what is chosen must be possible there.
        if is_test and re.search(r"^➜ .* skipped|Test run with 0 tests", line):
            left_out.append(line)
        # Of a failure the lines that explain it, too.
        is_shown = not is_test or re.match("[✘➜]", line) or "Test run with" in line or (is_shown and line.startswith("↳"))
        if is_shown:
            print(line, flush=True)

    CACHE.mkdir(exist_ok=True)
    log = CACHE / f"{folder_of(name).name}.log"
    with tempfile.TemporaryDirectory(prefix="riposte-kernel-") as place:
        guest = Guest(kernel, command, pathlib.Path(place))
        try:
            status = guest.run(seen)
            problem = f"failed with {status}" if status != 0 else "tests were left out" if left_out else None
        except Trouble as trouble:
            problem = str(trouble)
        finally:
            log.write_text("\n".join(guest.lines(guest.console) + guest.lines(guest.log)) + "\n")
    print(f"{kernel.release}: {problem or 'passed'}, {time.monotonic() - start:.0f} s; {log.relative_to(ROOT)} has all that it printed", flush=True)
    return problem is None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("download").add_argument("kernels", nargs="+")
    running = verbs.add_parser("run")
    running.add_argument("--bundle", default=BUNDLE, type=pathlib.Path)
    running.add_argument("--command")
    running.add_argument("--brief", action="store_true")
    running.add_argument("kernels", nargs="+")
    arguments = parser.parse_args()
    try:
        if arguments.verb == "download":
            return 0 if all([is_there(name) for name in arguments.kernels]) else 1
        return 0 if all([run(name, arguments.bundle, arguments.command, arguments.brief) for name in arguments.kernels]) else 1
    except Trouble as trouble:
        print(f"kernels.py: {trouble}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
