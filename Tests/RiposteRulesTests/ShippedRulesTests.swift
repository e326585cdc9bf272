import Foundation
import RiposteCore
import RiposteRules
import Testing

/// The rules that ship, as content with tests: each fires for one event and lets pass one that is nearly the same.
@Suite("Shipped rules")
struct ShippedRulesTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().appending(path: "rules").path

    @Test("load without an error or a warning")
    func load() {
        let (ruleSet, findings, files) = RuleSet.load(paths: [Self.folder])
        #expect(findings.map(\.diagnostic.rendered) == [])
        #expect(files.count == 2)
        #expect(ruleSet?.rules.allSatisfy(\.isArmed) == true)
    }

    @Test("fire and let pass as their tests say", arguments: ["riposte.test.yaml", "riposte-k8s-audit.test.yaml"])
    func tests(_ name: String) throws {
        let path = "\(Self.folder)/\(name)"
        let file = try RulesTestFile(file: path, text: String(contentsOfFile: path, encoding: .utf8))
        let ruleSet = try #require(RuleSet.load(paths: file.rules.map { "\(Self.folder)/\($0)" }).ruleSet)
        #expect(file.tests.count >= ruleSet.rules.count { $0.source == file.source })
        #expect(file.run(ruleSet).map { "\($0.line): \($0.rule) \($0.message)" } == [])
    }

    @Test("tell the person on call what it means, what to look at, and which technique it is")
    func words() throws {
        for rule in try #require(RuleSet.load(paths: [Self.folder]).ruleSet).rules {
            #expect(rule.description.split(separator: ".").count >= 2, "\(rule.name)")
            #expect(rule.tags.contains { $0.hasPrefix("mitre_") } && rule.tags.contains { $0.hasPrefix("T1") }, "\(rule.name)")
        }
    }

    @Test("find what was done in a real cluster's audit log, and nothing in its housekeeping")
    func cluster() throws {
        let ruleSet = try #require(RuleSet.load(paths: ["\(Self.folder)/riposte-k8s-audit.yaml"]).ruleSet)
        let judge = RuleSetJudge(ruleSet, source: "k8s_audit")
        let fixture = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appending(path: "Fixtures/kubernetes-audit.jsonl")
        var fired: Set<String> = []
        for line in try [UInt8](Data(contentsOf: fixture)).split(separator: UInt8(ascii: "\n")) {
            for event in try KubernetesAuditReader().read(Array(line)).events {
                judge.judge(event) { rule, _ in
                    fired.insert(rule.name)
                    // The API server's own controllers and nodes do nothing that is reported.
                    let user = event.document["user"]?["username"]?.string?.repaired ?? ""
                    #expect(!user.hasPrefix("system:kube-") && !user.hasPrefix("system:node:"), "\(rule.name): \(user)")
                }
            }
        }
        #expect(fired.count >= 15, "\(fired.sorted())")
    }
}
