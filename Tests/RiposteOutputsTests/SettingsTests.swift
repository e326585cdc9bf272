import RiposteCore
import RiposteTransport
import Testing

@testable import RiposteOutputs

/// What a person writes under `outputs:`, and what they are told of it.
struct SettingsTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var keys: SettingsValue
        var message: String
        var suggestion: String?

        init(_ name: String, _ keys: SettingsValue, _ message: String, _ suggestion: String? = nil) {
            (self.name, self.keys, self.message, self.suggestion) = (name, keys, message, suggestion)
        }

        var testDescription: String { name }
    }

    private static let cases = [
        Case("a key that nobody knows", ["tpye": "http"], "unknown key \"tpye\" in output \"siem\"", "type"),
        Case("no such type", ["type": "htpp"], "expected one of", "http"),
        Case("no type", [:], "output \"siem\" needs type", nil),
        Case("no URL", ["type": "http"], "output \"siem\" needs url", nil),
        Case("a URL with a password", ["type": "http", "url": "https://me:secret@siem.example"], "expected a URL such as", nil),
        Case("a URL of another scheme", ["type": "http", "url": "file:///etc/passwd"], "expected a URL such as", nil),
        Case("a header with a line break", ["type": "http", "url": "https://s.example", "headers": ["X-A": "a\r\nb"]], "\"X-A\" in headers of output", nil),
        Case("a nested key that nobody knows", ["type": "http", "url": "https://s.example", "tls": ["verfy": "false"]], "unknown key \"verfy\" in tls of output", "verify"),
        Case("a certificate without its key", ["type": "http", "url": "https://s.example", "tls": ["certificate": "/nonexistent.pem"]], "certificate of tls of output", nil),
        Case(
            "a template with a field that is none", ["type": "http", "url": "https://s.example", "body": "{{ procname }}"], "body of output \"siem\": \"procname\" is no field",
            "proc.name"),
        Case("a template without an end", ["type": "file", "path": "/tmp/x", "line": "a {{ proc.name"], "line of output \"siem\": \"{{\" without \"}}\", at \"{{ proc", nil),
        Case("two sources of one secret", ["type": "http", "url": ["env": "A", "file": "/b"]], "expected a text or exactly one of", nil),
        Case("a secret that is not there", ["type": "http", "url": ["env": "SIEM_URL"]], "url of output \"siem\": the environment has no SIEM_URL", nil),
        Case("a batch where there is none", ["type": "http", "url": "https://s.example", "batch": ["count": "10"]], "batch has no effect", nil),
        Case("a number that is none", ["type": "file", "path": "/tmp/x", "rotate": ["keep": "many"]], "expected a whole number from 1 to 1000", nil),
    ]

    @Test(arguments: cases)
    func tells(_ sample: Case) {
        let settings = Samples.settings(sample.keys)
        _ = Output.read(settings, name: "siem", Samples.context())
        let problems = settings.problems()
        #expect(problems.contains { $0.message.hasPrefix(sample.message) && $0.suggestion == sample.suggestion }, "\(problems)")
    }

    @Test func everythingIsToldInOneGo() {
        let settings = Samples.settings(["type": "http", "priority": "loud", "formt": "array", "timeout": "soon"])
        _ = Output.read(settings, name: "siem", Samples.context())
        #expect(settings.problems().count == 4)
    }

    @Test(arguments: [("siem", true), ("a-b_2", true), ("", false), ("../x", false), ("A", false), ("-a", false), ("a b", false)])
    func names(_ name: String, _ isFine: Bool) { #expect(Output.isName(name) == isFine) }

    @Test func twoOfOneName() {
        let entry: SettingsValue = ["name": "a", "type": "file", "path": "/tmp/x"]
        let surroundings = Outputs.Surroundings(stateDirectory: "/nonexistent", host: "h", http: .init(), language: Samples.language, logger: Samples.logger)
        #expect(throws: Diagnostics.self) { try Outputs.read([entry, entry], file: "f", surroundings) }
    }

    @Test func whatIsSwitchedOffIsCheckedAndNotMade() {
        let good = Samples.settings(["type": "file", "path": "/tmp/x", "enabled": "false"])
        #expect(Output.read(good, name: "siem", Samples.context()) == nil)
        #expect(good.problems() == [])
        let bad = Samples.settings(["type": "file", "enabled": "false"])
        _ = Output.read(bad, name: "siem", Samples.context())
        #expect(bad.problems().count == 1)
    }
}

/// Nobody sees a secret.
struct SecretTests {
    private static let source = SecretSource(
        environment: { ["SIEM_TOKEN": "from-env", "CREDENTIALS_DIRECTORY": "/run/credentials"][$0] },
        file: { path throws(SecretSource.Unusable) in
            switch path {
            case "/run/credentials/siem": Array("from-credential\n".utf8)
            case "/etc/riposte/token": Array("from-file\r\n".utf8)
            default: throw .init(problem: "\(path) is not there")
            }
        })

    @Test(arguments: [("env", "SIEM_TOKEN", "from-env"), ("credential", "siem", "from-credential"), ("file", "token", "from-file")])
    func comesFrom(_ key: String, _ value: String, _ text: String) {
        let source = SettingsValue(.mapping([.init(key: key, value: .init(.scalar(value, isPlain: true)))]))
        let settings = Samples.settings(["token": source, "literal": "literal"], secrets: Self.source)
        #expect(settings.secret("token")?.revealed == text)
        #expect(settings.secret("literal")?.revealed == "literal")
        #expect(settings.problems() == [])
    }

    @Test(arguments: ["../siem", "a/b", "..", "none"])
    func credentialsStayInTheirFolder(_ name: String) {
        let settings = Samples.settings(["token": ["credential": .init(.scalar(name, isPlain: true))]], secrets: Self.source)
        #expect(settings.secret("token") == nil)
    }

    @Test func hasNoDescription() {
        let secret = Secret("hunter2")
        #expect("\(secret) \(String(reflecting: secret)) \([secret])".contains("hunter2") == false)
        var text = ""
        dump(secret, to: &text)
        #expect(!text.contains("hunter2"))
    }

    @Test("a secret that stands where an answer is cut is not shown in part either", arguments: ["token-4711-hunter2", "tök\"en/hünter2", "geheim\\nis"])
    func isTakenOutWhereItIsCut(_ secret: String) {
        for before in 4085...4097 {
            let body = Array(("x".repeated(before) + secret + " is wrong" + "y".repeated(8000)).utf8)
            // What is shown in the end is shorter; so that the place of the cut is seen, all before it is taken for another secret.
            let mask = SecretMask([Secret(secret), Secret("Bearer " + secret), Secret("x".repeated(before))])
            for said in [HTTPResponse(status: 401, headers: [], body: body).shown, "refused: \(SecretMask.excerpt(body))"] {
                guard case .tryAgain(let reason, _)? = mask.masked(DeliveryReport(whole: .tryAgain(reason: said), count: 1)).fates.first else { continue }
                #expect(!reason.contains(secret.prefix(2)) && !reason.contains("\0"), "\(before): \(reason.suffix(60))")
            }
        }
    }

    @Test(arguments: [
        "POST https://hooks.example/T0/hunter2%2F: refused", "you sent hunter2/", "Basic aHVudGVyMi8= is wrong",
    ])
    func isTakenOutOfTexts(_ text: String) {
        let masked = SecretMask([Secret("hunter2/")]).masked(text)
        #expect(masked.contains("…") && !masked.contains("hunter2") && !masked.contains("aHVudGVyMi8="))
    }
}
