import Foundation
import RiposteCore
import RiposteTestSupport
import Synchronization
import Testing

/// Outputs of the program as it ships: whatever becomes of it and of those who receive, no alert is lost.
@Suite struct OutputTests {
    private final class Receiver: Sendable {
        let server: LoopbackServer

        init(_ answer: @escaping @Sendable () async -> Int) async throws { server = try await LoopbackServer { _ in .init(await answer(), "said") } }

        /// The rules of what came and was taken, in order, repetitions left out.
        var rules: [String] {
            var seen: Set<String> = []
            return server.requests.compactMap { (try? JSON(parsing: $0.body))?["rule"]?.string?.repaired }.filter { seen.insert($0).inserted }
        }

        func section(_ name: String, _ more: String = "") -> String {
            """
              - name: \(name)
                type: http
                url: http://127.0.0.1:\(server.port)/hooks/hunter2
                retry: { first: 20ms, longest: 100ms }
            \(more)

            """
        }
    }

    /// One good, one slow, one dead until later, and a file; the agent is killed in the middle.
    @Test func nothingIsLost() async throws {
        let isBack = Mutex(false)
        let good = try await Receiver { 200 }
        let slow = try await Receiver {
            try? await Task.sleep(for: .milliseconds(30))
            return 200
        }
        let dead = try await Receiver { isBack.withLock(\.self) ? 200 : 503 }
        let place = try Workplace()
        let file = place.folder.path + "/out.jsonl"
        let configuration =
            "sensor: { enabled: false }\naudit: { segment_size: 8KiB }\noutputs:\n" + good.section("good") + good.section("unused", "    send: nothing") + slow.section("slow")
            + dead.section("dead")
            + "  - { name: disk, type: file, path: \(file) }\n"
        try await place.start(configuration: configuration)
        for number in 1...30 { #expect(try await place.post(alert("rule \(number)", pid: 1)).status == 202) }
        // The journal has several files by now. The slow one is somewhere in the middle, the dead one at its beginning.
        try await until { good.rules.count == 30 && slow.rules.count >= 5 && dead.server.requests.count >= 3 }
        place.kill()
        try await place.start(configuration: configuration)
        for number in 31...50 { #expect(try await place.post(alert("rule \(number)", pid: 1)).status == 202) }
        let all = (1...50).map { "rule \($0)" }
        try await until { good.rules.count == 50 }
        #expect(good.rules == all)
        #expect(Set(dead.rules).count == 1, "it was offered the first again and again")
        isBack.withLock { $0 = true }
        try await until { dead.rules.count == 50 && slow.rules.count == 50 }
        #expect(dead.rules == all)
        #expect(slow.rules == all)
        #expect(Set(try lines(of: file).compactMap { $0["rule"]?.string?.repaired }) == Set(all))
        #expect(try await place.stop() == 0)
    }

    /// The guard follows what is at work, not what was when the agent began.
    @Test func noDestinationIsBlocked() async throws {
        func configuration(_ address: String) -> String {
            "sensor: { enabled: false }\noutputs:\n  - { name: far, type: http, url: \"http://\(address):9/\", send: nothing }\n"
        }
        let (place, addresses) = (try Workplace(), ["198.51.100.7", "198.51.100.8"])
        try await place.start(mode: "observe", configuration: configuration(addresses[0]))
        for address in addresses {
            _ = try place.folder.file("riposte.yaml", configuration(address))
            place.agent?.signal(SIGHUP)
            try await until {
                try addresses.allSatisfy { other in
                    let (status, output) = try place.riposte("network", "block", other, "--dry-run")
                    return (status == 3) == (other == address) && output.contains("is the destination of an output") == (other == address)
                }
            }
        }
        #expect(try await place.stop() == 0)
    }

    /// What cannot be sent at the end is sent at the next start.
    @Test func anEndWaitsForNobody() async throws {
        let isBack = Mutex(false)
        let receiver = try await Receiver {
            if !isBack.withLock(\.self) { try? await Task.sleep(for: .seconds(3600)) }
            return 200
        }
        let place = try Workplace()
        let configuration = "sensor: { enabled: false }\noutputs:\n" + receiver.section("hung")
        try await place.start(configuration: configuration)
        _ = try await place.post(alert("rule 1", pid: 1))
        try await until { receiver.server.requests.count == 1 }
        #expect(try await place.stop() == 0)
        isBack.withLock { $0 = true }
        try await place.start(configuration: configuration)
        try await until { receiver.server.requests.count >= 2 }
        #expect(receiver.rules == ["rule 1"])
        #expect(try await place.stop() == 0)
    }

    @Test func auditRecordsGoWhereTheyShould() async throws {
        let place = try Workplace()
        let file = place.folder.path + "/audit.jsonl"
        try place.write(playbooks: "  - { name: p, match: { rules: [r] }, steps: [{ action: process.kill }] }\n")
        try await place.start(
            mode: "observe", configuration: "sensor: { enabled: false }\noutputs:\n  - { name: audit, type: file, path: \(file), send: audit, kinds: [outcome, stop] }\n")
        _ = try await place.post(alert("r", pid: 1))
        try await until { try lines(of: file).contains { $0["rule"] == "Riposte process.kill refused" } }
        #expect(try await place.stop() == 0)
        #expect(try lines(of: file).last?["riposte"]?["kind"] == "stop", "the last record is written before the outputs end")
    }

    @Test func theCommandLineTellsAndTries() async throws {
        let receiver = try await Receiver { 200 }
        let refusing = try await Receiver { 403 }
        let place = try Workplace()
        let configuration = "sensor: { enabled: false }\noutputs:\n" + receiver.section("good") + refusing.section("bad")
        try await place.start(configuration: configuration)
        _ = try await place.post(alert("r", pid: 1))
        try await until { try place.json("output", "list").contains { $0["name"] == "bad" && $0["last_error"] != nil } }
        let listed = try place.json("output", "list")
        #expect(listed.map { $0["name"] } == ["good", "bad"])
        #expect(listed[0]["place"]?.string?.repaired == "POST http://127.0.0.1:\(receiver.server.port)")
        #expect(listed[1]["last_error"]?["reason"] == "status 403: said")
        #expect(try place.json("output", "test", "good").first?["delivered"] == true)
        let (status, output) = try place.riposte("output", "test", "bad")
        #expect(status == 1 && output.contains("status 403: said"))
        #expect(try place.riposte("output", "test", "goood").output.contains("did you mean \"good\"?"))
        #expect(try place.riposte("status").output.contains("OUTPUT"))
        let told = try place.riposte("status", "--json").output + place.riposte("output", "list").output + place.errors + place.records().map(\.line).joined()
        #expect(!told.contains("hunter2"), "no text tells the secret of a URL")
        #expect(try await place.stop() == 0)
        let file = place.folder.path + "/riposte.yaml"
        #expect(try place.riposte("output", "test", "good", "--config", file).status == 0)
        #expect(try place.riposte("output", "list", "--config", file).status == 6)
    }

    @Test func mistakesHavePlaces() throws {
        let place = try Workplace()
        let file = try place.folder.file("bad.yaml", "outputs:\n  - name: a\n    type: file\n    pth: /tmp/x\n  - name: b\n    type: flie\n")
        let (status, output) = try place.riposte("run", "--config", file)
        #expect(status == 2)
        #expect(output.contains("bad.yaml:4:5: error[C002]: unknown key \"pth\" in output \"a\""))
        #expect(output.contains("did you mean \"path\"?"))
        #expect(output.contains("bad.yaml:6:11: error[C003]: expected one of"))
        #expect(output.contains("did you mean \"file\"?"))
        #expect(try place.riposte("doctor", "--config", file).output.contains("outputs"))
    }

    /// The configuration is exchanged under a running agent: who is the same notices nothing, who is changed or new gets all that is theirs.
    @Test func aNewConfigurationWithoutARestart() async throws {
        let good = try await Receiver { 200 }
        let hung = try await Receiver {
            try? await Task.sleep(for: .seconds(3600))
            return 200
        }
        let (after, added) = (try await Receiver { 200 }, try await Receiver { 200 })
        let place = try Workplace()
        let head = "sensor: { enabled: false }\noutputs:\n"
        let secret = try place.folder.file("key", "one\n")
        let signed = "    signature: { secret: { file: \(secret) } }"
        try await place.start(configuration: head + good.section("good", signed) + hung.section("fickle") + hung.section("gone"))
        for number in 1...10 { #expect(try await place.post(alert("rule \(number)", pid: 1)).status == 202) }
        try await until { good.rules.count == 10 && hung.server.requests.count == 2 }
        _ = try place.folder.file("riposte.yaml", head + good.section("good", signed) + after.section("fickle") + added.section("new"))
        try await until { after.rules.count == 10 }
        #expect(after.rules == (1...10).map { "rule \($0)" }, "what the one before did not take")
        #expect(try place.json("output", "list").map { $0["name"] } == ["good", "fickle", "new"])
        #expect(try place.json("output", "list").first?["sent"] == 10, "who is the same was not exchanged")
        #expect(added.rules.isEmpty)
        for number in 11...20 { #expect(try await place.post(alert("rule \(number)", pid: 1)).status == 202) }
        let late = (11...20).map { "rule \($0)" }
        try await until { added.rules == late && Array(after.rules.dropFirst(10)) == late && good.rules.count == 20 }
        // A new secret is no change of the file: SIGHUP.
        _ = try place.folder.file("key", "two\n")
        place.agent?.signal(SIGHUP)
        try await until { try place.records().count { $0["message"] == "outputs are in force" } == 2 }
        let changes = try place.records().filter { $0["message"] == "outputs are in force" }
        #expect(changes[0]["detail"]?["added"] == ["new"] && changes[0]["detail"]?["changed"] == ["fickle"] && changes[0]["detail"]?["removed"] == ["gone"])
        #expect(changes[1]["detail"]?["changed"] == ["good"])
        #expect(try await place.stop() == 0)
        let told = try place.errors + place.records().map(\.line).joined()
        #expect(!told.contains("hunter2"))
    }

    @Test(
        "a configuration with a mistake anywhere in it changes nothing, and says so",
        arguments: [
            ("outputs:\n  - { name: a, type: flie, path: /x }\n", "expected one of"), ("outputs: [\n", "riposte.yaml"), ("senser: {}\n", "senser"),
            ("outputs:\n  - { name: a, type: http, url: { file: /nonexistent } }\n", "cannot be read"),
        ])
    func aBrokenConfiguration(_ text: String, _ words: String) async throws {
        let good = try await Receiver { 200 }
        let place = try Workplace()
        let configuration = "sensor: { enabled: false }\noutputs:\n" + good.section("good")
        try await place.start(configuration: configuration)
        _ = try place.folder.file("riposte.yaml", text)
        try await until { try place.riposte("status").output.contains("files rejected") }
        let (_, status) = try place.riposte("status")
        #expect(status.contains("those before stay in force") && status.contains(words), "\(status)")
        #expect(try place.records().last?["message"] == "outputs were rejected; those before stay in force")
        #expect(try await place.post(alert("rule 1", pid: 1)).status == 202)
        try await until { good.rules == ["rule 1"] }
        _ = try place.folder.file("riposte.yaml", configuration)
        try await until { try !place.riposte("status").output.contains("files rejected") }
        #expect(try await place.stop() == 0)
    }

    /// The agent's own lines make room.
    @Test func standardOutputIsGivenAndTaken() async throws {
        let place = try Workplace()
        try await place.start(configuration: "sensor: { enabled: false }\n")
        _ = try await place.post(alert("rule 1", pid: 1))
        try await until { place.output.contains("rule 1") }
        _ = try place.folder.file("riposte.yaml", "sensor: { enabled: false }\noutputs: [{ name: out, type: stdout }]\n")
        try await until { try place.json("output", "list").count == 1 }
        _ = try await place.post(alert("rule 2", pid: 1))
        try await until { place.output.contains(#""rule":"rule 2""#) && place.errors.contains("rule 2") }
        _ = try place.folder.file("riposte.yaml", "sensor: { enabled: false }\n")
        try await until { try place.json("output", "list").isEmpty }
        _ = try await place.post(alert("rule 3", pid: 1))
        try await until { place.output.contains("rule 3") }
        #expect(!place.errors.contains("rule 3") && !place.output.contains(#""rule":"rule 3""#))
        #expect(try await place.stop() == 0)
    }

    private func lines(of path: String) throws -> [JSON] {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return [] }
        return text.split(separator: "\n").compactMap { try? JSON(parsing: Array($0.utf8)) }
    }
}
