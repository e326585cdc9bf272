import Foundation
import RiposteCore
import RiposteTestSupport
import Testing

@testable import RiposteOutputs

/// A child that is fed lines.
struct ProgramTests {
    private func destination(_ command: [String], _ more: SettingsValue = [:]) throws -> ProgramDestination {
        guard case .mapping(let members) = more.shape else { throw CancellationError() }
        let list = SettingsValue(.list(command.map { .init(.scalar($0, isPlain: false)) }))
        let settings = Samples.settings(.init(.mapping([.init(key: "command", value: list)] + members)))
        let destination = ProgramDestination(settings: settings, context: Samples.context())
        #expect(settings.problems() == [])
        return try #require(destination)
    }

    private func message(_ number: Int64) -> OutputMessage { Samples.message(number, Samples.alert("rule \(number)")) }

    /// A program for the test's own shell: what it is given comes by its arguments, as for every user's program.
    private func script(_ text: String, _ arguments: [String] = []) -> [String] { ["/bin/sh", "-c", text, "sh"] + arguments }

    @Test func oneLineEachAndTheProgramLives() async throws {
        let folder = try TemporaryFolder()
        let destination = try destination(script("echo begun >>\"$1\"; exec cat >>\"$1\"", [folder.path + "/out"]))
        #expect(await destination.deliver([message(1), message(2)]).fates == [.delivered, .delivered])
        #expect(await destination.deliver([message(3)]).fates == [.delivered])
        await destination.close()
        let lines = try String(contentsOfFile: folder.path + "/out", encoding: .utf8).split(separator: "\n")
        #expect(lines.count == 4 && lines[0] == "begun")
        #expect(try lines.dropFirst().map { try JSON(parsing: Array($0.utf8))["rule"] } == ["rule 1", "rule 2", "rule 3"])
    }

    @Test("arguments are no shell's, and the environment is what is configured", arguments: ["$(touch /nonexistent/x)", "a b", ";id", "*"])
    func argumentsAreWords(_ argument: String) async throws {
        let folder = try TemporaryFolder()
        let command = script("{ printf '%s\\n' \"$2\"; env | sort; } >\"$1\"; exec cat >/dev/null", [folder.path + "/out", argument])
        let destination = try destination(command, ["environment": ["TOKEN": "hunter2"]])
        #expect(await destination.deliver([message(1)]).fates == [.delivered])
        await destination.close()
        let lines = try String(contentsOfFile: folder.path + "/out", encoding: .utf8).split(separator: "\n").map(String.init)
        #expect(lines.first == argument)
        let names = Set(lines.dropFirst().compactMap { $0.split(separator: "=").first.map(String.init) }).subtracting(["PWD", "OLDPWD", "SHLVL", "_"])
        #expect(names == ["PATH", "TOKEN"])
    }

    @Test(
        "with ack: line, the program's answer decides",
        arguments: [
            ("ok", DeliveryReport.Fate.delivered), ("retry the disk is full", .tryAgain(reason: "the disk is full")), ("reject no such field", .rejected(reason: "no such field")),
            ("what?", .tryAgain(reason: "the program answered neither ok, retry nor reject: what?")),
        ])
    func answers(_ answer: String, _ fate: DeliveryReport.Fate) async throws {
        let destination = try destination(script("while read -r line; do echo \"$1\"; done", [answer]), ["ack": "line"])
        #expect(await destination.deliver([message(1), message(2)]).fates == [fate, fate])
        await destination.close()
    }

    @Test("where each may take its time for its answer, all of a batch may")
    func deadline() throws {
        let limits = try destination(["/bin/cat"], ["ack": "line", "timeout": "3s"]).limits
        #expect(limits.deadline > .seconds(3) * limits.count)
    }

    @Test("one that reads nothing, or answers nothing, is ended, and nothing counts as delivered", arguments: ["written", "line"])
    func isDeaf(_ ack: String) async throws {
        let destination = try destination(
            ["/bin/sleep", "1000"], ["ack": .init(.scalar(ack, isPlain: true)), "timeout": "200ms"])
        let large = Samples.message(1, Samples.alert("r", output: "x".repeated(200_000)))
        guard case .tryAgain? = await destination.deliver([large]).fates.first else {
            Issue.record("it was delivered to nobody")
            return
        }
        await destination.close()
    }

    @Test("one that ends at once is begun again, later each time")
    func endsAtOnce() async throws {
        let folder = try TemporaryFolder()
        let destination = try destination(script("echo x >>\"$1\"; exit 3", [folder.path + "/out"]), ["ack": "line"])
        var waits: [Duration] = []
        for _ in 1...2 {
            guard case .tryAgain(let reason, let after)? = await destination.deliver([message(1)]).fates.first else {
                Issue.record("it took it")
                return
            }
            if let after { waits.append(after) } else { #expect(reason.contains("ended"), "\(reason)") }
        }
        #expect(waits.count == 1)
        #expect(try String(contentsOfFile: folder.path + "/out", encoding: .utf8) == "x\n")
        await destination.close()
    }

    @Test("what is not there is tried again")
    func isNotThere() async throws {
        guard case .tryAgain(let reason, _)? = try await destination(["/nonexistent/program"]).deliver([message(1)]).fates.first else {
            Issue.record("it was run")
            return
        }
        #expect(reason.contains("No such file"))
    }

    @Test("at the end its whole group ends")
    func groupEnds() async throws {
        let folder = try TemporaryFolder()
        let destination = try destination(script("sleep 1000 & echo $! >\"$1\"; while read -r line; do echo ok; done", [folder.path + "/pid"]), ["ack": "line"])
        #expect(await destination.deliver([message(1)]).fates == [.delivered])
        let pid = try #require(Int32(try String(contentsOfFile: folder.path + "/pid", encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)))
        await destination.close()
        #expect(
            await Service.comesAbout {
                let state = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
                return state.map { $0.contains(") Z ") } ?? true
            })
    }

    @Test("hostile text is one line of JSON", arguments: Hostile.texts)
    func hostile(_ text: String) async throws {
        let folder = try TemporaryFolder()
        let destination = try destination(script("exec cat >\"$1\"", [folder.path + "/out"]))
        #expect(await destination.deliver([Samples.message(1, Samples.alert(text, output: text))]).fates == [.delivered])
        await destination.close()
        let lines = try String(contentsOfFile: folder.path + "/out", encoding: .utf8).split(separator: "\n", omittingEmptySubsequences: true)
        #expect(lines.count == 1)
        #expect(try JSON(parsing: Array(lines[0].utf8))["output"] == .text(text))
    }

    @Test(
        arguments: [
            (["command": "cat"], "whole path"), ([:], "needs command"), (["command": ["/bin/cat"], "ack": "sometimes"], "expected one of written, line"),
            (["command": ["/bin/cat"], "environment": ["A-B": "x"]], "no name of a variable"),
        ] as [(SettingsValue, String)])
    func mistakes(_ keys: SettingsValue, _ problem: String) {
        let settings = Samples.settings(keys)
        _ = ProgramDestination(settings: settings, context: Samples.context())
        let problems = settings.problems()
        #expect(problems.contains { $0.message.contains(problem) }, "\(problems)")
    }
}

/// Lines on a descriptor.
struct StandardOutputTests {
    private func destination(_ keys: SettingsValue, _ descriptor: Int32) throws -> StandardOutputDestination {
        let settings = Samples.settings(keys)
        let destination = StandardOutputDestination(settings, Samples.context(), descriptor: descriptor)
        #expect(settings.problems() == [])
        return try #require(destination)
    }

    @Test(
        arguments: [
            ([:], "{\"uuid\""), (["format": "text"], "2026-03-04T11:22:33.123456789Z Warning rule: a\\nb\\x1b[2J"),
            (["line": "{{ message.title }}|{{ message.text }}"], "rule|a\\nb\\x1b[2J"),
        ] as [(SettingsValue, String)])
    func lines(_ keys: SettingsValue, _ expected: String) async throws {
        let pipe = Pipe()
        let message = Samples.message(1, Samples.alert("rule", output: "a\nb\u{1B}[2J"))
        #expect(try await destination(keys, pipe.fileHandleForWriting.fileDescriptor).deliver([message]).fates == [.delivered])
        let text = String(decoding: pipe.fileHandleForReading.availableData, as: UTF8.self)
        #expect(text.hasPrefix(expected) && text.hasSuffix("\n") && text.count { $0.isNewline } == 1, "\(text)")
    }

    @Test("a reader that is gone is an answer, not the end")
    func nobodyReads() async throws {
        let pipe = Pipe()
        try pipe.fileHandleForReading.close()
        let report = try await destination([:], pipe.fileHandleForWriting.fileDescriptor).deliver([Samples.message(1, Samples.alert("r"))])
        #expect(report.fates == [.tryAgain(reason: "the reader is gone")])
    }
}
