import Foundation
import RiposteActions
import RiposteCore
import RipostePlaybooks
import RiposteTestSupport
import Testing

@testable import RiposteAgent

/// `docs/outputs.md` is what people copy from.
struct OutputExampleTests {
    private func examples(_ start: String) throws -> [String] {
        let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../docs/outputs.md").standardizedFileURL.path
        return try String(contentsOfFile: path, encoding: .utf8).components(separatedBy: "```yaml\n").dropFirst().compactMap { $0.components(separatedBy: "\n```").first }
            .filter { $0.hasPrefix(start) }
    }

    @Test("its playbook loads without a warning, and names outputs of the page")
    func playbook() throws {
        let example = try #require(try examples("apiVersion").first)
        let catalogue = Facilities(AgentConfiguration()).catalogue
        let (set, warnings) = try PlaybookSet.load([.init(name: "docs/outputs.md", text: example)], catalogue)
        #expect(set.playbooks.map(\.finish.count) == [2] && warnings.isEmpty, "\(warnings)")
    }

    @Test("an output of type stdout has standard output for itself", arguments: [("", true), (", enabled: false", false)])
    func standardOutput(_ more: String, _ isTaken: Bool) throws {
        let folder = try TemporaryFolder()
        var overrides = ConfigurationOverrides()
        overrides.file = try folder.file("riposte.yaml", "outputs: [{ name: out, type: stdout\(more) }]\n")
        #expect(try AgentConfiguration.load(overrides, environment: [:]).outputs.takeStandardOutput == isTaken)
    }
}
