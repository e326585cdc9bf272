internal import Foundation
internal import Glibc
internal import RiposteCore
internal import RiposteRules

/// Events per second that one core judges by a set of rules, the time to load rules, and the memory that they take.
///
/// The mix: of 100 events, 90 opens and reads that no rule matches, 9 executions that none matches, and 1 read of a password file.
struct RulesBenchmark {
    /// Events as the sensor will hand them over: typed values by field, made once, borrowed by the judge.
    private final class Event: RuleEvent {
        let type: EventType
        private let values: UnsafeMutablePointer<FieldView>
        private static let count = FieldCatalogue.all.count

        init(_ type: String, _ fields: [String: Any]) {
            guard let known = EventType(named: type) else { fatalError("no event type \(type)") }
            self.type = known
            values = .allocate(capacity: Self.count)
            values.initialize(repeating: .absent, count: Self.count)
            for (name, value) in fields.merging(["evt.type": type], uniquingKeysWith: { first, _ in first }) {
                guard let field = FieldCatalogue.description(named: name) else { fatalError("no field \(name)") }
                values[Int(field.id.rawValue)] = Self.view(value)
            }
        }

        /// Never freed: there are a few dozen of them.
        private static func view(_ value: Any) -> FieldView {
            switch value {
            case let text as String:
                let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, text.utf8.count), alignment: 8)
                memory.copyBytes(from: text.utf8)
                return .text(UnsafeRawBufferPointer(rebasing: memory[..<text.utf8.count]))
            case let number as Int: return .integer(Int64(number))
            case let truth as Bool: return .bool(truth)
            case let list as [String]: return .list(UnsafeBufferPointer(UnsafeMutableBufferPointer<FieldView>.allocate(capacity: list.count).filled(list.map(view))))
            default: fatalError("no field has such a value")
            }
        }

        func value(of field: EventField, in arena: FieldArena) -> FieldView {
            switch field.argument {
            case .none: return values[Int(field.id.rawValue)]
            // Ancestors, from the list of them all.
            case .index(let index):
                guard case .list(let all) = values[Int(field.id.rawValue)], index >= 1, index <= all.count else { return .absent }
                return all[index - 1]
            case .key: return .absent
            }
        }
    }

    private let events: [Event]
    private let folder: String
    private let rounds: Int
    private let iterations: Int

    /// `folder` holds a file of rules for each set to measure: `default.yaml`, `synthetic-25.yaml` ….
    init(folder: String, rounds: Int, iterations: Int) {
        self.folder = folder
        self.rounds = rounds
        self.iterations = iterations
        events = Self.mix()
    }

    func run() throws {
        let files = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".yaml") }.sorted()
        for file in files {
            let text = try String(contentsOfFile: "\(folder)/\(file)", encoding: .utf8)
            try measure(file.replacingOccurrences(of: ".yaml", with: ""), [RuleSet.File(name: file, text: text)])
        }
    }

    private func measure(_ name: String, _ files: [RuleSet.File]) throws {
        var loads: [Int64] = []
        let before = Self.residentBytes()
        guard let ruleSet = RuleSet.load(files).ruleSet else { throw CocoaError(.fileReadCorruptFile) }
        let bytes = Self.residentBytes() - before
        for _ in 0..<rounds { loads.append(ContinuousClock().measure { _ = RuleSet.load(files) }.wholeMicroseconds) }
        let judge = RuleSetJudge(ruleSet, source: "syscall")
        var matches = pass(judge, iterations / 10)
        var rates: [Int64] = []
        for _ in 0..<rounds { rates.append(rate(iterations) { matches = pass(judge, iterations) }) }
        report(
            "rules", rates,
            [
                "set": .text(name), "rules": .integer(Int64(ruleSet.rules.count)), "matches": .integer(Int64(matches)), "load_us": .array(loads.map(JSON.integer)),
                "bytes": .integer(Int64(bytes)),
            ])
    }

    /// Of the process, as proc(5) tells it.
    private static func residentBytes() -> Int {
        let fields = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ") ?? []
        return (fields.count > 1 ? Int(fields[1]) ?? 0 : 0) * Int(getpagesize())
    }

    /// A pass that nothing else is in, for counting instructions.
    func once() throws {
        let text = try String(contentsOfFile: folder, encoding: .utf8)
        guard let ruleSet = RuleSet.load([RuleSet.File(name: folder, text: text)]).ruleSet else { throw CocoaError(.fileReadCorruptFile) }
        report("rules-once", [Int64(pass(RuleSetJudge(ruleSet, source: "syscall"), iterations))])
    }

    private func pass(_ judge: RuleSetJudge, _ count: Int) -> Int {
        var matches = 0
        var place = 0
        for _ in 0..<count {
            matches += judge.count(events[place])
            place += 1
            if place == events.count { place = 0 }
        }
        return matches
    }

    // MARK: - Events

    private static func mix() -> [Event] {
        let paths = [
            "/usr/lib/x86_64-linux-gnu/libc.so.6", "/etc/ld.so.cache", "/proc/self/status", "/usr/share/zoneinfo/Etc/UTC", "/var/lib/app/data/segment-000042.log",
            "/home/worker/project/Sources/main.swift", "/sys/fs/cgroup/cpu.stat", "/usr/lib/locale/C.utf8/LC_CTYPE", "/tmp/build-8Fh2/object.o", "/dev/null",
        ]
        let programs = ["postgres", "nginx", "java", "containerd", "node", "swift-frontend"]
        var events: [Event] = []
        for index in 0..<90 {
            let program = programs[index % programs.count]
            let path = paths[index % paths.count]
            if index % 2 == 0 {
                events.append(Event("openat", process(program).merging(file(path, writes: index % 9 == 0)) { _, new in new }))
            } else {
                events.append(Event("read", process(program).merging(file(path, writes: false)) { _, new in new }))
            }
        }
        let commands = [
            ("ls", "ls --color=auto -la /srv"), ("git", "git status --porcelain=v2 --branch"), ("sed", "sed -n 1,20p notes.txt"), ("date", "date -u +%s"),
            ("cc1", "cc1 -quiet -O2 main.c -o main.s"), ("run-parts", "run-parts --report /etc/cron.hourly"), ("dpkg-query", "dpkg-query -W base-files"),
            ("sleep", "sleep 30"), ("mkdir", "mkdir -p out/objects"),
        ]
        for (name, line) in commands {
            var fields = process(name)
            fields["proc.cmdline"] = line
            fields["proc.args"] = String(line.dropFirst(name.count + 1))
            fields["proc.exepath"] = "/usr/bin/\(name)"
            fields["evt.arg"] = nil
            events.insert(Event("execve", fields), at: events.count / 2)
        }
        events.append(Event("openat", process("cat").merging(file("/etc/shadow", writes: false)) { _, new in new }))
        return events
    }

    private static func process(_ name: String) -> [String: Any] {
        [
            "proc.name": name, "proc.exe": "/usr/bin/\(name)", "proc.exepath": "/usr/bin/\(name)", "proc.cmdline": "\(name) --serve --port 8080",
            "proc.args": "--serve --port 8080",
            "proc.pname": "systemd", "proc.pcmdline": "systemd --system", "proc.pexe": "/lib/systemd/systemd", "proc.pexepath": "/usr/lib/systemd/systemd", "proc.cwd": "/srv/",
            "proc.aname": ["systemd", "init"], "proc.pid": 4711, "proc.ppid": 1, "proc.vpid": 4711, "proc.tty": 0, "proc.env": "PATH=/usr/bin LANG=C.UTF-8",
            "proc.sname": "systemd",
            "proc.is_exe_upper_layer": false, "proc.is_exe_from_memfd": false, "proc.is_vpgid_leader": true, "proc.duration": 5_000_000_000, "user.uid": 1000,
            "user.name": "worker",
            "user.loginuid": -1, "thread.cap_effective": "", "thread.cap_permitted": "", "container.id": "host", "container.image.repository": "", "evt.num": 1, "evt.rawres": 3,
            "evt.res": "SUCCESS", "evt.failed": false, "evt.is_open_read": false, "evt.is_open_write": false, "evt.is_open_exec": false,
        ]
    }

    private static func file(_ path: String, writes: Bool) -> [String: Any] {
        let slash = path.lastIndex(of: "/") ?? path.startIndex
        return [
            "fd.num": 3, "fd.name": path, "fd.nameraw": path, "fd.directory": String(path[..<slash]), "fd.filename": String(path[path.index(after: slash)...]), "fd.type": "file",
            "fd.typechar": "f", "evt.is_open_read": !writes, "evt.is_open_write": writes, "fd.connected": false, "fd.name_changed": false,
        ]
    }
}

extension UnsafeMutableBufferPointer {
    fileprivate func filled(_ elements: [Element]) -> Self {
        _ = initialize(from: elements)
        return self
    }
}
