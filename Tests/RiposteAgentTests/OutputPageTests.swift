import Foundation
import Logging
import RiposteCore
@testable import RiposteAgent
@testable import RiposteOutputs
import RiposteTestSupport
import RiposteTransport
import Testing

/// `docs/outputs.md` is what people copy from.
@Suite struct OutputPageTests {
    private static let page = Result {
        let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../docs/outputs.md").standardizedFileURL.path
        return try String(contentsOfFile: path, encoding: .utf8)
    }

    private func blocks() throws -> [String] {
        try Self.page.get().components(separatedBy: "```yaml\n").dropFirst().compactMap { $0.components(separatedBy: "\n```").first }.filter { $0.hasPrefix("outputs:") }
    }

    /// What the files of the examples would have in them.
    private let secrets = SecretSource(
        environment: { $0 == "CREDENTIALS_DIRECTORY" ? "/run/credentials" : nil },
        file: { path throws(SecretSource.Unusable) in Array((path.hasSuffix(".url") ? "https://hooks.example/x" : String(repeating: "a", count: 32)).utf8) })

    private func outputs(_ text: String) throws -> [Output] {
        let folder = try TemporaryFolder()
        var overrides = ConfigurationOverrides()
        overrides.file = try folder.file("riposte.yaml", text.replacing("/etc/riposte/ca.pem", with: Certificates.shared.get().path("ca.crt")))
        let configuration = try AgentConfiguration.load(overrides, environment: [:])
        var surroundings = configuration.outputSurroundings(HTTPClient(), Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
        surroundings.secrets = secrets
        return try configuration.readOutputs(surroundings)
    }

    @Test("its examples load as they stand there, and each destination has one", .enabled(if: Certificates.isPossible, "needs openssl"))
    func examples() throws {
        var kinds: Set<String> = []
        for block in try blocks() { kinds.formUnion(try outputs(block).map { type(of: $0.destination).kind }) }
        #expect(kinds == Set(DestinationKinds.names))
    }

    @Test("each destination has a section", arguments: DestinationKinds.names)
    func sections(_ kind: String) throws { #expect(try Self.page.get().contains("\n## `\(kind)`\n")) }
}
