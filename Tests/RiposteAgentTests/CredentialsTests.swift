import Foundation
import Glibc
import RiposteCore
import RiposteTestSupport
import RiposteTransport
import Testing

@Suite("tokens and certificates of listeners: read anew, and only from files that are nobody else's", .serialized, .enabled(if: Machine.isRoot, "needs root"))
struct CredentialsTests {
    private let place: Workplace
    private let tokens: String

    init() throws {
        place = try Workplace()
        tokens = try place.folder.file("tokens", "old\n")
        chmod(tokens, 0o600)
    }

    private var configuration: String { "intake: { http: { token_file: \(tokens) } }" }

    private func status(_ token: String) async throws -> Int {
        try await HTTPClient().send(
            HTTPRequest(
                .post, "http://127.0.0.1:\(place.httpPort)/", headers: [("Authorization", "Bearer \(token)")], body: Array(alert("Nothing", pid: 1).utf8), timeout: .seconds(20))
        ).status
    }

    private func statuses(_ tokens: String...) async throws -> [Int] {
        var statuses: [Int] = []
        for token in tokens { statuses.append(try await status(token)) }
        return statuses
    }

    /// In place, as an editor does; the mode stays.
    private func write(_ text: String) throws { try Data(text.utf8).write(to: URL(fileURLWithPath: tokens)) }

    @Test("a token that was revoked is refused after SIGHUP and a new one taken, on record; a file that is empty changes nothing, and is told", arguments: [true, false])
    func renewal(bySignal: Bool) async throws {
        let agent = try await place.start(configuration: configuration)
        #expect(try await statuses("old", "new") == [202, 401])
        try write("new\n")
        if bySignal { agent.signal(SIGHUP) }
        try await until { try place.records().contains { $0["message"] == "tokens and certificates are in force" } }
        #expect(try await statuses("old", "new") == [401, 202])
        try write("\n")
        if bySignal { agent.signal(SIGHUP) }
        try await until { try place.json("status").first?["credentials"]?["rejected"] != nil }
        #expect(try await statuses("old", "new") == [401, 202])
        #expect(try place.riposte("status").output.contains("tokens and certificates rejected"))
        try write("newer\n")
        if bySignal { agent.signal(SIGHUP) }
        try await until { try place.json("status").first.map { $0["credentials"]?["rejected"] == nil } ?? false }
        #expect(try await statuses("new", "newer") == [401, 202])
    }

    @Test("a token file that others may change is refused, at the start and by doctor, with the remedy", arguments: [("666", "0"), ("620", "0"), ("600", "65534")])
    func foreign(mode: String, owner: String) async throws {
        try run(["chmod", mode, tokens])
        try run(["chown", owner, tokens])
        let agent = try place.launch(configuration: configuration)
        #expect(try await agent.waitForExit(within: .seconds(60)) == 2)
        #expect(place.errors.contains(tokens) && (place.errors.contains("chmod go-w") || place.errors.contains("chown")), "\(place.errors)")
        let finding = try place.json("doctor", "--config", place.folder.path + "/riposte.yaml").first { $0["subject"] == "intakes" }
        #expect(finding?["verdict"] == "bad")
    }

    @Test("one that everybody may read is taken, and told of")
    func exposed() async throws {
        chmod(tokens, 0o644)
        try await place.start(configuration: configuration)
        #expect(try await status("old") == 202)
        #expect(place.errors.contains("\(tokens) may be read by everybody"))
        let finding = try place.json("doctor", "--config", place.folder.path + "/riposte.yaml").first { $0["subject"] == "intakes" }
        #expect(finding?["verdict"] == "lacking")
    }
}
