import Foundation
import RiposteCore
import RiposteTestSupport
import Testing

/// A name server that does not answer, in a network and a mount namespace of the test's own.
@Suite(.enabled(if: Machine.isRoot && Machine.has("unshare") && Machine.has("setpriv") && Machine.has("python3"), "needs root, unshare, setpriv and python3"))
struct SilentNameServerTests {
    /// It hears and says nothing; beside it somebody takes what is posted, and writes a line for each.
    private static let servers = """
        import socket, sys
        from http.server import BaseHTTPRequestHandler, HTTPServer
        silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        silent.bind(("127.0.0.1", 53))
        class Taking(BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                with open(sys.argv[1], "a") as file: file.write("taken\\n")
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()
            def log_message(self, *words): pass
        HTTPServer(("127.0.0.1", 8080), Taking).serve_forever()
        """

    @Test("an output whose name nobody resolves holds up no other one")
    func holdsUpNobody() async throws {
        let folder = try TemporaryFolder()
        // Whoever waits for the library that asks waits for minutes.
        let resolver = try folder.file("resolv.conf", "nameserver 127.0.0.1\noptions timeout:30 attempts:5\n")
        let (servers, taken) = (try folder.file("servers.py", Self.servers), folder.path + "/taken")
        let script = "ip link set lo up && mount --bind \"$1\" /etc/resolv.conf && { setpriv --pdeathsig KILL python3 \"$2\" \"$3\" & } && shift 3 && exec \"$@\""
        let place = try Workplace(through: ["unshare", "--mount", "--propagation", "private", "--net", "sh", "-c", script, "sh", resolver, servers, taken])
        defer { place.kill() }
        try await place.start(
            configuration: """
                sensor: { enabled: false }
                outputs:
                  - { name: nowhere, type: http, url: "http://siem.example.org/", timeout: 200ms, retry: { first: 20ms, longest: 50ms } }
                  - { name: here, type: http, url: "http://127.0.0.1:8080/", timeout: 5s, retry: { first: 20ms, longest: 50ms } }
                """)
        func count() -> Int { (try? String(contentsOfFile: taken, encoding: .utf8))?.split(separator: "\n").count ?? 0 }
        for number in 1...20 {
            try place.sendToSocket(alert("rule \(number)", pid: 1) + "\n")
            try await until(.seconds(25)) { count() >= number }
        }
        #expect(count() == 20)
    }
}
