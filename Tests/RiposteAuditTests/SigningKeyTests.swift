import Foundation
@testable import RiposteAudit
import RiposteCore
import RiposteTestSupport
import Testing

@Suite("keys that sign the journal")
struct SigningKeyTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// RFC 8410, section 10.3, and its public key, section 10.1.
    private static let privatePEM = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n"
    private static let publicPEM = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n"
    /// The same private key with its public one beside it (version 2).
    private static let version2PEM =
        "-----BEGIN PRIVATE KEY-----\nMFECAQEwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\ngSEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PRIVATE KEY-----\n"

    private func file(_ text: String, mode: Int = 0o600) throws -> String {
        let path = try folder.file(UUID().uuidString, text)
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
        return path
    }

    @Test("PEM and base 64 are the same key", arguments: [privatePEM, version2PEM, "1O5y2/kTWErVttjx92n4rTr+fCjL8dT74Jeoj0R1WEI=\n"])
    func forms(text: String) throws {
        let key = try SigningKey(file: file(text))
        #expect(key.verifyingKey.pem == Self.publicPEM)
        #expect(try VerifyingKey(text: Self.publicPEM).fingerprint == key.verifyingKey.fingerprint)
        #expect(try VerifyingKey(fileOrText: key.verifyingKey.base64).base64 == "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=")
        let signature = try key.sign([1, 2])
        #expect(key.verifyingKey.verifies(signature, of: [1, 2]) && !key.verifyingKey.verifies(signature, of: [1, 3]))
    }

    @Test("a new key goes to a new file that only its owner may read")
    func generate() throws {
        let path = folder.path + "/audit.key"
        let key = SigningKey()
        try key.write(newFile: path)
        #expect(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int == 0o600)
        #expect(try SigningKey(file: path).verifyingKey.fingerprint == key.verifyingKey.fingerprint)
        let error = #expect(throws: KeyError.self) { try SigningKey().write(newFile: path) }
        #expect(error?.message.contains("not overwritten") == true)
    }

    @Test(
        "what is no key, or is nobody's secret, is refused with the remedy",
        arguments: [
            (privatePEM, 0o640, "chmod 600"), (privatePEM, 0o604, "mode 0604"), ("", 0o600, "no Ed25519 private key"), ("AAAA", 0o600, "no Ed25519 private key"),
            (publicPEM, 0o600, "public key"), ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----", 0o600, "encrypted"),
            ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", 0o600, "another kind"), ("-----BEGIN RSA PRIVATE KEY-----\nAAAA", 0o600, "needed is PRIVATE KEY"),
        ])
    func refused(text: String, mode: Int, words: String) throws {
        let path = try file(text, mode: mode)
        let error = try #require(throws: KeyError.self) { try SigningKey(file: path) }
        #expect(error.message.contains(words) && error.message.contains(path), "\(error)")
    }

    @Test("files that are none are refused", arguments: ["/nonexistent", "/dev/null", "/tmp"])
    func noFile(path: String) throws { _ = try #require(throws: KeyError.self) { try SigningKey(file: path) } }

    @Test("a private key given as the public one is refused: it should not be there at all")
    func privateAsPublic() throws {
        let error = try #require(throws: KeyError.self) { try VerifyingKey(fileOrText: file(Self.privatePEM)) }
        #expect(error.message.contains("riposte audit key show"))
        #expect(throws: KeyError.self) { try VerifyingKey(fileOrText: "/nonexistent") }
        #expect(throws: KeyError.self) { try VerifyingKey(text: "AAAA") }
    }
}
