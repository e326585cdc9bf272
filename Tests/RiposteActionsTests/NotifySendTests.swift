import RiposteActions
import RiposteCore
import RipostePlaybooks
import Testing

/// `notify.send`: who can be told, and what the plan says.
struct NotifySendTests {
    private let action = NotifySend(outputs: { ["soc", "pager"] })

    private func request(_ parameters: JSONObject) throws -> ActionRequest {
        ActionRequest(claim: .host, parameters: try Parameters(checking: parameters, for: action.description))
    }

    @Test func theMessageStandsInThePlan() async throws {
        let plan = try await action.plan(request(["to": ["soc", "pager"], "message": "look\nhere", "title": "Shell", "priority": "critical"]))
        #expect(plan.summary == "tell soc, pager")
        #expect(plan.json["parameters"] == ["message": "look\nhere", "priority": "critical", "title": "Shell", "to": ["soc", "pager"]])
        let performance = try await action.perform(plan)
        #expect(performance.outcome == .done && performance.message == "on its way to soc, pager")
    }

    @Test("what is too long is cut, between characters as UTF-8 has them, and told", arguments: ["x", "é", "日本", "e\u{301}\u{301}\u{301}", "👩‍👩‍👧"])
    func long(_ text: String) async throws {
        let long = String(repeating: text, count: 20_000)
        let plan = try await action.plan(request(["to": ["soc"], "message": .text(long), "title": .text(long)]))
        for (name, limit) in [("message", 8192), ("title", 256)] {
            let value = try #require(plan.json["parameters"]?[ByteText(name)]?.string)
            let words = try #require(value.valid)
            #expect(limit - 3...limit ~= value.bytes.count && words.hasSuffix("…") && long.utf8.starts(with: words.utf8.dropLast(3)))
        }
        // Read back from the journal it is the same.
        let kept = try #require(plan.json["parameters"]?.object)
        #expect(try Parameters(checking: kept, for: action.description) == plan.parameters)
    }

    @Test func changesNothing() {
        #expect(action.description.impact == .readsOnly)
        #expect(action.description.inverse == nil)
    }

    @Test(
        arguments: [
            (["to": ["sok"], "message": "x"], "did you mean \"soc\"?"), (["to": ["\u{1B}[2J"], "message": "x"], #"there is no output "\x1b[2J""#),
            (["to": [], "message": "x"], "to nobody"),
            (["to": ["soc"]], "there is none"), (["to": ["soc"], "message": ""], "there is none"),
        ] as [(JSONObject, String)])
    func whatCannotBeSent(_ parameters: JSONObject, _ words: String) async throws {
        let request = try request(parameters)
        let error = await #expect(throws: ActionError.self) { try await action.plan(request) }
        #expect(error?.failure == .invalid && error?.message.contains(words) == true, "\(error?.message ?? "")")
    }

    @Test func whereNoneIsConfigured() async throws {
        let request = try request(["to": ["soc"], "message": "x"])
        let error = await #expect(throws: ActionError.self) { try await NotifySend(outputs: { [] }).plan(request) }
        #expect(error?.message.contains("add it to outputs") == true)
    }
}
