import Foundation
import Glibc
import RiposteCore
import RiposteTestSupport
import Testing

private let playbook = "apiVersion: riposte/v1\nplaybooks:\n  - { name: a, match: { rules: a }, steps: [{ action: process.kill }] }\n"
private let alert = #"{"rule":"a","priority":"Notice","time":"2026-03-04T11:22:33Z","output_fields":{"proc.pid":4711}}"#

/// What commands read and write besides their files: pipes, devices, links, and standard descriptors that are of no use.
@Suite("standard input, standard output and other files that are none")
struct CommandStreamsTests {
    let place: Workplace

    init() throws {
        place = try Workplace()
        _ = try place.folder.file("p.yaml", playbook)
        _ = try place.folder.file("a.jsonl", alert + "\n")
        _ = try place.folder.file("p.test.yaml", "tests:\n  - { name: t, alerts: [a.jsonl], expect: [{ playbook: a }] }\n")
    }

    /// `script` is for the shell, in the workplace's folder; `$r` is the program and `$f` its folders. Standard output and standard error come together.
    private func shell(_ script: String) throws -> (status: Int32, output: String) {
        let head = "cd \"$1\"; r=$2; f=\"--state-dir $1/state --run-dir $1/run\"; "
        return try run(["timeout", "--kill-after=1", "60", "bash", "-c", head + script, "bash", place.folder.path, Riposte.path])
    }

    // MARK: - Standard input

    private static let readers = [
        "respond --playbooks p.yaml $f -", "playbook dry-run p.yaml --alerts -", "playbook dry-run p.yaml --world none --alerts -", "playbook explain p.yaml $f --alert -",
        "rules eval 'evt.type = execve' --events -", "notify send --to x $f -",
    ]

    @Test("a standard input that cannot be read is told, and ends with 2", arguments: readers, ["<&-", "< .", "0>>a.jsonl"])
    func unreadable(command: String, input: String) throws {
        let (status, output) = try shell("$r \(command) \(input)")
        #expect(status == 2 && output.contains("standard input cannot be read: ") && !output.contains("NSCocoaErrorDomain"), "\(output)")
    }

    @Test("one that somebody made non-blocking is waited for", arguments: readers.dropLast())
    func nonBlocking(command: String) throws {
        let text = command.hasPrefix("rules") ? #"{"evt.type":"execve"}"# : alert
        let (reader, writer) = try pipe(nonBlocking: true)
        let output = Pipe()
        let script = "cd \"$1\"; r=$2; f=\"--state-dir $1/state --run-dir $1/run\"; exec $r \(command)"
        let child = try ChildProcess(["bash", "-c", script, "bash", place.folder.path, Riposte.path], input: reader, output: output.fileHandleForWriting.fileDescriptor)
        try output.fileHandleForWriting.close()
        // The first half is read, and then nothing is there and everybody sleeps.
        #expect(write(writer, text, 10) == 10)
        while child.isRunning, try waiting(in: reader) > 0 || !isAsleep(child.pid) { usleep(1000) }
        #expect(child.isRunning)
        let rest = Array(text.utf8.dropFirst(10))
        #expect(write(writer, rest, rest.count) == rest.count)
        close(reader)
        close(writer)
        let said = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        let status = child.waitForExit()
        #expect(status != 2 && status < 128 && !said.contains("cannot be read"), "\(status): \(said)")
    }

    private func waiting(in pipe: Int32) throws -> Int32 {
        var count: Int32 = 0
        try #require(ioctl(pipe, UInt(FIONREAD), &count) == 0)
        return count
    }

    private func isAsleep(_ pid: Int32) -> Bool {
        let tasks = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")) ?? []
        return tasks.allSatisfy { ((try? String(contentsOfFile: "/proc/\(pid)/task/\($0)/stat", encoding: .utf8)) ?? "").contains(") S ") }
    }

    private func pipe(nonBlocking: Bool) throws -> (reader: Int32, writer: Int32) {
        var ends: [Int32] = [0, 0]
        try #require(Glibc.pipe(&ends) == 0)
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        if nonBlocking { _ = fcntl(ends[0], F_SETFL, O_NONBLOCK) }
        return (ends[0], ends[1])
    }

    @Test("alerts come as lines, as a list, or as one document over several lines, wherever alerts are read")
    func shapes() throws {
        let pretty = "[\n  \(alert),\n  \(alert.replacing(",\"priority\"", with: ",\n\"priority\""))\n]\n"
        for (name, text) in [("lines", "\n\(alert)\n\(alert)"), ("list", "[\(alert),\(alert)]"), ("pretty", pretty), ("lines of lists", "[\(alert)]\n\n[\(alert)]\n")] {
            _ = try place.folder.file("shape.json", text)
            let report = try shell("$r playbook dry-run p.yaml --world none --alerts shape.json --json")
            #expect(report.status == 0)
            #expect(try JSON(parsing: Array(report.output.utf8))["alerts"] == 2, "\(name): \(report.output)")
            let here = try shell("$r playbook dry-run p.yaml --alerts - < shape.json")
            #expect(here.output.contains("alert 2 a") && !here.output.contains("alert 3"), "\(name): \(here.output)")
        }
        _ = try place.folder.file("shape.json", "{\n  \(alert.dropFirst())")
        #expect(try shell("$r playbook dry-run p.yaml --world none --alerts shape.json --json").status == 0, "one alert over two lines")
        _ = try place.folder.file("shape.json", "{\n\(alert)\n")
        #expect(try shell("$r playbook dry-run p.yaml --world none --alerts shape.json").output.contains("1 lines are no alerts"))
    }

    // MARK: - Standard output

    @Test(
        "results that could not be written are a failure, and said",
        arguments: [
            "playbook check p.yaml", "playbook test p.yaml", "playbook schema", "playbook dry-run p.yaml --alerts a.jsonl", "playbook list p.yaml --json", "rules fields", "doctor",
            "--help",
            "undo --list $f", "mode $f", "audit export $f", "audit list $f", "process show $$", "rules eval 'evt.type = execve' --events e.jsonl",
        ])
    func fullDisk(command: String) throws {
        _ = try place.folder.file("e.jsonl", "{\"evt.type\":\"execve\"}\n")
        #expect(try shell("$r mode set observe $f").status == 0)
        for output in [">/dev/full", ">&-"] {
            let (status, talk) = try shell("$r \(command) 2>talk \(output); s=$?; cat talk; exit $s")
            #expect(status == 1 && talk.contains("standard output cannot be written: "), "\(output): \(talk)")
        }
    }

    @Test("a reader that goes away ends what would go on for ever, quietly")
    func reader() throws {
        let event = #"{"evt.type":"execve","proc.name":"nc"}"#
        let endless = try shell("yes '\(event)' | $r rules eval 'evt.type = execve' --events - | head -1; echo ${PIPESTATUS[1]}")
        #expect(endless.output.hasSuffix("}\n0\n") && endless.output.split(separator: "\n").count == 2, "\(endless.output.suffix(500))")
        let finite = try shell("$r playbook check nowhere.yaml 2>/dev/null | true; echo ${PIPESTATUS[0]}")
        #expect(finite.output == "2\n", "what was found counts: \(finite.output)")
    }

    @Test("what was judged is with the reader before more is waited for")
    func streams() throws {
        let (reader, writer) = try pipe(nonBlocking: false)
        let output = Pipe()
        let child = try ChildProcess(
            [Riposte.path, "rules", "eval", "evt.type = execve", "--events", "-"], input: reader, output: output.fileHandleForWriting.fileDescriptor)
        close(reader)
        let event = "{\"evt.type\":\"execve\"}\n"
        #expect(write(writer, event, event.utf8.count) == event.utf8.count)
        // Blocks for ever where the line is kept.
        #expect(output.fileHandleForReading.availableData.count > 10)
        close(writer)
        #expect(child.waitForExit() == 0)
    }

    @Test("an export for which there is no room leaves nothing behind", arguments: ["out", "out.tar"])
    func export(name: String) throws {
        let (status, output) = try shell(
            "sleep 1000 & $r process suspend $! $f --reason \"$(head -c 100000 /dev/zero | tr '\\0' x)\" >/dev/null; kill -9 $!; mkdir e; trap '' XFSZ; ulimit -f 100; $r audit export $f --since 1h --out e/\(name); "
                + "s=$?; ls -A e; exit $s")
        #expect(status == 1 && output.contains("File too large") && !output.contains("records.jsonl\n"), "\(output)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: place.folder.path + "/e").isEmpty)
    }

    // MARK: - Names of files

    @Test(
        "a file's name reaches no terminal as it is",
        arguments: [
            "playbook check bad", "playbook test bad", "playbook list bad/good", "playbook show a bad/good", "rules check bad", "rules list bad/rules", "rules show R bad/rules",
            "rules test bad", "rules eval x --events bad/nowhere$e", "respond --playbooks bad $f a.jsonl",
        ])
    func names(command: String) throws {
        let setup =
            "e=$'\\e[2J\\r'; mkdir -p bad/good bad/rules; cp p.yaml \"bad/good/$e.yaml\"; cp p.test.yaml \"bad/good/$e.test.yaml\"; echo 'x: [' > \"bad/$e.yaml\"; "
            + "echo 'x: [' > \"bad/$e.test.yaml\"; echo '[{rule: R, desc: d, condition: evt.type = execve, output: o, priority: INFO}]' > \"bad/rules/$e.yaml\"; "
        let (_, output) = try shell(setup + "$r \(command)")
        #expect(!output.isEmpty && !output.contains("\u{1B}") && !output.contains("\r"), "\(output.debugDescription)")
    }

    // MARK: - Conditions

    @Test("a condition with any line ends is judged, and its place is told", arguments: ["a\r\n\r\n(", "(\r", "\n\n(", "\r\n", "evt.type =\r\n"])
    func lineEnds(condition: String) throws {
        for way in [["--syntax"], []] {
            let (status, output) = try place.riposte(["rules", "check", "--condition", condition] + way)
            #expect(status == 2 && output.contains("error["), "\(output)")
        }
    }

    // MARK: - Reports

    private static let reports = ["playbook dry-run p.yaml --world none --alerts a.jsonl --html", "playbook test p.yaml --junit"]

    private func kind(_ name: String) -> mode_t {
        var facts = stat()
        return lstat(place.folder.path + "/" + name, &facts) == 0 ? facts.st_mode & S_IFMT : 0
    }

    @Test("a report goes through a pipe, which stays one", arguments: reports)
    func fifo(command: String) throws {
        let (status, output) = try shell("mkfifo pipe; cat pipe > got & timeout 30 $r \(command) pipe >/dev/null; s=$?; wait; head -c 1 got; exit $s")
        #expect(status == 0 && output == "<", "\(output)")
        #expect(kind("pipe") == S_IFIFO)
    }

    @Test("of a link, what it leads to is replaced; the mode stays; nothing else is left behind", arguments: reports)
    func link(command: String) throws {
        let setup = "mkdir d; echo old > d/real; chmod 640 d/real; ln -s d/real link; ln -s d/new dangling; ln -s loop loop; "
        #expect(try shell(setup + "$r \(command) link && $r \(command) dangling").status == 0)
        #expect(kind("link") == S_IFLNK && kind("dangling") == S_IFLNK)
        let facts = try shell("stat -c %a d/real; head -c 1 d/real; head -c 1 d/new; ls -A d | wc -l; umask 027; $r \(command) fresh >/dev/null; stat -c %a fresh")
        #expect(facts.output == "640\n<<2\n640\n", "\(facts.output)")
        for nowhere in ["loop", "d", "missing/r"] {
            let (status, output) = try shell("$r \(command) \(nowhere)")
            #expect(status == 2 && output.contains("\(nowhere) cannot be written: "), "\(output)")
        }
    }

    @Test("/dev/stdout gets the report in front of what is printed", arguments: reports)
    func standardOutput(command: String) throws {
        let (status, output) = try shell("$r \(command) /dev/stdout > both; s=$?; cat both; exit $s")
        #expect(status == 0 && output.hasPrefix("<") && output.split(separator: "\n").count > 3, "\(output)")
    }
}
