import RiposteCore
import Testing

@testable import RiposteOutputs

/// Keys of the vendors' destinations that are wrong, and what a person is told.
struct VendorSettingsTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var kind: String
        var keys: SettingsValue
        var message: String

        init(_ kind: String, _ keys: SettingsValue, _ message: String) { (self.kind, self.keys, self.message) = (kind, keys, message) }

        var testDescription: String { "\(kind): \(message)" }
    }

    @Test(arguments: [
        Case("slack", ["url": "https://h.example/x", "flavor": "teams"], "expected one of slack, mattermost, rocketchat"),
        Case("discord", ["url": "https://h.example/x", "username": "Discord watch"], "expected a name of 80 characters at most"),
        Case("discord", ["url": "https://h.example/x", "flavor": "x"], "unknown key \"flavor\""), Case("teams", [:], "output \"siem\" needs url"),
        Case("googlechat", ["url": "https://h.example/x", "text": "{{ procname }}"], "text of output \"siem\": \"procname\" is no field"),
        Case("pagerduty", [:], "output \"siem\" needs routing_key"), Case("pagerduty", ["routing_key": "short"], "expected an integration key of 32 characters"),
        Case("opsgenie", ["api_key": "k", "region": "eu", "url": "https://h.example"], "region has no effect"), Case("opsgenie", [:], "output \"siem\" needs api_key"),
        Case("telegram", ["token": "1:a/../b", "chat": "1"], "expected a bot's token"), Case("telegram", ["token": "1:a"], "output \"siem\" needs chat"),
        Case("elasticsearch", ["url": "https://h.example", "api_key": "k", "username": "u"], "output \"siem\" has api_key and username or password"),
        Case("elasticsearch", ["url": "https://h.example", "username": "u"], "output \"siem\" needs username and password together"),
        Case("elasticsearch", ["url": "https://h.example", "data_stream": "logs-falco-default", "index": "x"], "index has no effect"),
        Case("elasticsearch", ["url": "https://h.example", "index": "Falco/../x"], "expected a name of lower-case letters"),
        Case("splunk", ["url": "https://h.example:8088/services/collector/event", "token": "t"], "url of output \"siem\" is that of the server only"),
        Case("splunk", ["url": "https://h.example:8088", "token": "t", "ack_timeout": "1m"], "ack_timeout has no effect"),
        Case("loki", ["url": "https://h.example", "labels": ["a-b": "c"]], "expected a label's name"),
        Case("loki", ["url": "https://h.example", "tenant": "a b"], "expected a tenant"),
        Case("alertmanager", ["url": "https://h.example", "urls": ["https://i.example"]], "output \"siem\" has url and urls"),
        Case("alertmanager", ["urls": ["ftp://h.example"]], "expected a URL such as"), Case("kubernetes", ["token": "t"], "output \"siem\" has a token and needs url"),
        Case("kubernetes", ["token": "t", "url": "https://h.example", "service_account": "/x"], "output \"siem\" has token and service_account"),
    ])
    func tells(_ sample: Case) throws {
        let settings = Samples.settings(sample.keys)
        let type = try #require(DestinationKinds.kind(sample.kind))
        _ = type.init(settings: settings, context: Samples.context())
        let problems = settings.problems()
        #expect(problems.contains { $0.message.hasPrefix(sample.message) }, "\(problems)")
    }

    @Test(
        "a secret in a URL is masked wherever it stands, also where something is put between",
        arguments: [
            ("https://h.example/?api_key=S3CR%2FET", "https://h.example/loki/api/v1/push?api_key=S3CR%2FET and S3CR/ET", "https://h.example/loki/api/v1/push?… and …"),
            ("https://h.example/hook/S3CRET/", "https://h.example/hook/S3CRET/loki/api/v1/push", "…loki/api/v1/push"),
            ("https://h.example/hook?a=1&token=S3CRET", "no right for token=S3CRET, status 401", "no right for token=…, status 401"),
        ])
    func aURLIsMasked(_ url: String, _ said: String, _ shown: String) throws {
        let settings = Samples.settings(["url": .init(.scalar(url, isPlain: false))])
        _ = try #require(HTTPEndpoint(settings, Samples.context()))
        #expect(SecretMask(settings.secrets).masked(said) == shown)
    }

    /// What is put together of secrets is as secret.
    @Test func aLoginIsMasked() throws {
        let settings = Samples.settings(["username": "u", "password": "hunter2"])
        let login = try #require(settings.login())
        #expect(login.headers.first?.value == "Basic dTpodW50ZXIy")
        #expect(SecretMask(settings.secrets).masked("you sent Basic dTpodW50ZXIy") == "you sent …")
    }
}
