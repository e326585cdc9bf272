import Foundation
import RiposteCore
import RiposteTestSupport
import Testing

/// Whom outputs trust, and by which way they go: what is configured, whatever the machine has besides. The program runs on a machine that trusts the tests' authority:
/// in a mount namespace of its own, with its own `/etc/ssl/certs`.
@Suite(.enabled(if: Machine.isRoot && Machine.has("unshare") && Certificates.isPossible, "needs root, unshare and openssl"))
struct OutputTrustTests {
    /// `ca`: what is configured; nil: nothing, so the system's.
    private func delivers(_ type: String, _ address: String, ca: String?) throws -> Bool {
        let certificates = try Certificates.shared.get()
        let folder = try TemporaryFolder()
        try FileManager.default.createDirectory(atPath: folder.path + "/certs", withIntermediateDirectories: true)
        let hash = try run(["openssl", "x509", "-noout", "-subject_hash", "-in", certificates.path("ca.crt")]).output.trimmingCharacters(in: .whitespacesAndNewlines)
        for name in ["\(hash).0", "ca-certificates.crt"] {
            try FileManager.default.copyItem(atPath: certificates.path("ca.crt"), toPath: "\(folder.path)/certs/\(name)")
        }
        let tls = ca.map { ", tls: { ca: \(certificates.path($0)) }" } ?? ""
        let file = try folder.file("riposte.yaml", "sensor: { enabled: false }\noutputs:\n  - { name: o, type: \(type), \(address)\(tls), timeout: 5s }\n")
        let (status, output) = try run([
            "unshare", "-m", "sh", "-c", "mount --bind \"$0\" /etc/ssl/certs && exec \"$@\"", folder.path + "/certs", Riposte.path, "output", "test", "o", "--config", file,
            "--state-dir", folder.path + "/state", "--run-dir", folder.path + "/run",
        ])
        if status != 0 { #expect(output.contains("certificate") || output.contains("SSL"), "\(output)") }
        return status == 0
    }

    private static let cases = [("ca.crt", true), ("stranger-ca.crt", false), (nil, true)]

    @Test("with `tls.ca` nobody else is trusted, by HTTPS", arguments: cases)
    func overHTTPS(_ ca: String?, _ isTrusted: Bool) async throws {
        let server = try await LoopbackServer(Certificates.shared.get()) { _ in .init(200, "") }
        #expect(try delivers("http", "url: \"https://localhost:\(server.port)/\"", ca: ca) == isTrusted)
        #expect(server.requests.isEmpty != isTrusted)
    }

    @Test("with `tls.ca` nobody else is trusted, by NATS", .enabled(if: Machine.has("nats-server"), "needs nats-server"), arguments: cases)
    func overNATS(_ ca: String?, _ isTrusted: Bool) async throws {
        let (certificates, folder) = (try Certificates.shared.get(), try TemporaryFolder())
        let configuration = try folder.file(
            "nats.conf",
            """
            listen: "127.0.0.1:-1"
            ports_file_dir: "\(folder.path)"
            tls { cert_file: "\(certificates.path("server.crt"))", key_file: "\(certificates.path("server.key"))" }
            """)
        let server = try ChildProcess(["nats-server", "-c", configuration, "-l", folder.path + "/log"])
        let ports = URL(fileURLWithPath: "\(folder.path)/nats-server_\(server.pid).ports")
        try await until { (try? JSON(parsing: Array(Data(contentsOf: ports)))) != nil }
        let port = try #require(try JSON(parsing: Array(Data(contentsOf: ports)))["nats"]?.array?.first?.string?.repaired.split(separator: ":").last)
        #expect(try delivers("nats", "servers: [\"tls://localhost:\(port)\"]", ca: ca) == isTrusted)
    }

    @Test("a proxy that is configured is used, whatever the environment says")
    func proxy() async throws {
        let proxy = try await LoopbackServer { _ in .init(200, "") }
        let folder = try TemporaryFolder()
        let file = try folder.file(
            "riposte.yaml",
            "sensor: { enabled: false }\noutputs:\n  - { name: o, type: http, url: \"http://127.0.0.1:1/\", proxy: \"http://127.0.0.1:\(proxy.port)\" }\n")
        let arguments = [Riposte.path, "output", "test", "o", "--config", file, "--state-dir", folder.path + "/state", "--run-dir", folder.path + "/run"]
        let (status, output) = try run(arguments, environment: ["NO_PROXY": "*", "no_proxy": "*"])
        #expect(status == 0 && proxy.requests.count == 1, "\(output)")
    }
}
