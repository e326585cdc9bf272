import Foundation
import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import Testing

@Suite("Steps in playbook files")
struct StepLoadingTests {
    private func load(_ steps: String) throws -> (set: PlaybookSet, warnings: [Diagnostic]) {
        let text = "apiVersion: riposte/v1\nplaybooks:\n  - name: p\n    match: { rules: x }\n    steps:\n" + steps.split(separator: "\n").map { "      \($0)\n" }.joined()
        return try PlaybookSet.load([.init(name: "t.yaml", text: text)], testCatalogue)
    }

    @Test("blocks, needs, jumps, limits and retries are read")
    func good() throws {
        let steps = try load(
            """
            - { name: pause, action: container.pause, on_failure: { goto: last } }
            - name: both
              needs: pause
              when: steps.pause.confirmed = true
              on_failure: continue
              parallel:
                - { action: network.block, with: { address: "{{ fd.rip | default: \\"192.0.2.1\\" }}" } }
                - { action: process.kill, timeout: 30s, retry: { max: 2, delay: 1s, factor: 1.5, jitter: false, on: [busy, timeout] }, on_failure: undo }
            - { name: last, action: pod.delete, needs: [pause, both], when: steps.both.outcome = done and run.attempt < 3 }
            """
        ).set.playbooks[0].steps
        #expect(steps.map(\.name) == ["pause", "network-block", "process-kill", "last"])
        #expect(steps[0].onFailure == .goto("last") && steps[0].block == nil)
        #expect(steps[1].block?.name == "both" && steps[1].block?.needs == ["pause"] && steps[1].onFailure == .continue)
        #expect(steps[2].onFailure == .undo && steps[2].timeLimit == .seconds(30))
        #expect(steps[2].retry?.max == 2 && steps[2].retry?.factor == 1.5 && steps[2].retry?.jitter == false && steps[2].retry?.on == [.busy, .timeout])
        #expect(steps[3].needs == ["pause", "both"])
    }

    @Test(
        "mistakes, each with its code and its near miss",
        arguments: [
            ("- { action: process.kill, needs: [pause] }", "P035", nil), ("- { name: a, action: process.kill, needs: [a] }", "P035", nil),
            ("- { name: pause, action: container.pause }\n- { action: process.kill, needs: [puase] }", "P035", "pause"),
            ("- parallel:\n  - { name: a, action: process.kill }\n  - { name: b, action: container.pause, needs: [a] }", "P035", nil),
            ("- { name: a, action: process.kill, on_failure: { goto: a } }", "P036", nil),
            ("- { name: a, action: container.pause }\n- { name: b, action: process.kill, on_failure: { goto: a } }", "P036", nil),
            ("- { name: a, action: container.pause, on_failure: { goto: lsat } }\n- { name: last, action: process.kill }", "P036", "last"),
            (
                "- { name: x, action: container.pause, on_failure: { goto: a } }\n- parallel:\n  - { name: a, action: process.kill }\n  - { name: b, action: pod.delete }", "P036",
                nil
            ),
            ("- parallel:\n  - { name: a, action: process.kill }", "P037", nil), ("- parallel: []", "P037", nil),
            ("- parallel:\n  - { name: a, action: process.kill }\n  - parallel: []", "P037", nil),
            ("- { name: a, action: container.pause }\n- { action: process.kill, when: steps.a.outcome = failed }", "P038", nil),
            ("- { name: a, action: container.pause, on_failure: continue }\n- { action: process.kill, needs: a, when: steps.a.outcome = failed }", "P038", nil),
            ("- { action: process.kill, when: steps.a.outcome = done }", "P039", nil),
            ("- { name: pause, action: container.pause }\n- { action: process.kill, when: steps.puase.outcome = done }", "P039", "steps.pause.outcome"),
            ("- { name: a, action: container.pause }\n- { action: process.kill, when: steps.a.outcome = dnoe }", "P039", "done"),
            ("- { action: process.kill, when: run.mood = enforce }", "P039", "run.mode"), ("- { action: process.kill, when: target.pod.name = x }", "P039", nil),
            ("- { action: process.kill, when: run.attempt = many }", "P008", nil),
            ("- { action: network.block, with: { address: \"{{ steps.a.detail.ip }}\" } }", "P009", nil),
            ("- { action: network.block, with: { address: \"{{ fd.rip | upper }}\" } }", "P009", "default: \"…\""),
            ("- { action: process.kill, retry: { on: [identity] } }", "P040", nil), ("- { action: process.kill, retry: { on: [bsuy] } }", "P040", "busy"),
            ("- { action: process.kill, retry: { max: 100 } }", "P002", nil), ("- { action: process.kill, timeout: 2h }", "P002", nil),
            ("- { action: process.kill, on_failure: { goo: a } }", "P001", "goto"), ("- { name: a }", "P003", nil),
            ("- parallel:\n  - { name: a, action: process.kill }\n  - { name: a, action: container.pause }", "P005", nil),
            ("- { action: process.kill }\n- parallel:\n  - { name: process-kill, action: container.pause }\n  - { action: pod.delete }", "P005", nil),
            ("- action: process.kill\n  parallel:\n  - { name: a, action: container.pause }\n  - { action: pod.delete }", "P001", nil),
        ] as [(String, String, String?)])
    func mistakes(_ steps: String, _ code: String, _ suggestion: String?) throws {
        let error = try #require(throws: Diagnostics.self) { try load(steps) }
        let found = error.entries.filter { $0.code == code }
        #expect(!found.isEmpty, "\(error)")
        if let suggestion { #expect(found.contains { $0.suggestion == suggestion }, "\(error)") }
    }

    @Test("a match is decided before there is a run")
    func inMatch() throws {
        let text = "apiVersion: riposte/v1\nplaybooks:\n  - { name: p, match: { when: steps.a.outcome = done }, steps: [{ action: process.kill }] }\n"
        let error = try #require(throws: Diagnostics.self) { try PlaybookSet.load([.init(name: "t.yaml", text: text)], testCatalogue) }
        #expect(error.entries.map(\.code) == ["P039"])
    }

    @Test("a timeout that cuts off what the action waits is warned of")
    func shortTimeout() throws {
        #expect(try load("- { action: container.stop, timeout: 5s }").warnings.map(\.code) == ["P041"])
        #expect(try load("- { action: container.stop, timeout: 5s, with: { timeout: 2s } }").warnings.isEmpty)
    }

    private static let docs = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path + "/docs"

    /// The page is what people copy from.
    @Test("the examples of docs/playbooks.md load without a warning")
    func examples() throws {
        let page = try String(contentsOfFile: Self.docs + "/playbooks.md", encoding: .utf8)
        let examples = page.components(separatedBy: "```yaml\n").dropFirst().compactMap { $0.components(separatedBy: "\n```").first }.filter { $0.hasPrefix("apiVersion") }
        #expect(examples.count >= 2)
        for (index, example) in examples.enumerated() {
            let (set, warnings) = try PlaybookSet.load([.init(name: "docs/playbooks.md#\(index + 1)", text: example)], testCatalogue)
            #expect(!set.playbooks.isEmpty && warnings.isEmpty, "\(warnings)")
        }
    }

    @Test("every key and every problem's code stands in a page of docs")
    func pages() throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: Self.docs).filter { $0.hasSuffix(".md") }.sorted()
        let pages = try names.map { try String(contentsOfFile: "\(Self.docs)/\($0)", encoding: .utf8) }.joined(separator: "\n")
        let definitions = PlaybookSchema.json(testCatalogue)["$defs"]?.object?.members ?? []
        for definition in definitions {
            for key in definition.value["properties"]?.object?.members.map(\.key.repaired) ?? [] {
                #expect(pages.contains("`\(key)`"), "\(definition.key.repaired) has the key \(key)")
            }
        }
        for code in PlaybookProblem.codes { #expect(pages.contains("`\(code.code)`"), "\(code.code) is not explained") }
    }
}
