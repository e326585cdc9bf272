internal import Crypto
internal import Foundation
internal import Glibc
internal import RiposteCore

/// Why a text or a file is no key that can be used, in words with the remedy.
package struct KeyError: Error, Equatable, Sendable, CustomStringConvertible {
    package let message: String

    package init(_ message: String) { self.message = message }

    package var description: String { message }
}

/// The private half of the pair that signs checkpoints: Ed25519 (RFC 8032), kept as `openssl genpkey -algorithm ed25519` writes it (PKCS#8 in PEM,
/// RFC 8410) or as the 32 bytes in base 64.
package struct SigningKey: Sendable {
    private let key: Curve25519.Signing.PrivateKey

    /// A new one, from the system's random numbers.
    package init() { key = Curve25519.Signing.PrivateKey() }

    package init(text: String) throws(KeyError) {
        let block = PEMBlock(text)
        if let block, block.label != "PRIVATE KEY" { throw KeyError(Self.problem(ofLabel: block.label)) }
        let raw: ArraySlice<UInt8>?
        if let block {
            raw = Self.headers.firstNonNil { block.bytes.starts(with: $0) ? block.bytes.dropFirst($0.count).prefix(32) : nil }
            guard raw != nil else { throw KeyError("it is a private key of another kind; needed is Ed25519: openssl genpkey -algorithm ed25519") }
        } else {
            raw = [UInt8](base64: text.trimmingCharacters(in: .whitespacesAndNewlines))?[...]
        }
        guard let raw, raw.count == 32, let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: Array(raw)) else {
            throw KeyError("it holds no Ed25519 private key: neither PEM (PKCS#8) nor 32 bytes in base 64; riposte audit key generate makes one")
        }
        self.key = key
    }

    /// Reads a file that only its owner, this user or root, may read or write: a key that others can read proves nothing.
    package init(file: String) throws(KeyError) {
        let descriptor = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw KeyError("open \(file.escapedForDisplay): \(String(cString: strerror(errno)))") }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { throw KeyError("\(file.escapedForDisplay) is no regular file") }
        guard status.st_mode & 0o077 == 0 else {
            throw KeyError("others than its owner may use \(file.escapedForDisplay) (mode 0\(String(status.st_mode & 0o7777, radix: 8))): chmod 600 it, or make a new key")
        }
        guard status.st_uid == geteuid() || status.st_uid == 0 else {
            throw KeyError("\(file.escapedForDisplay) belongs to user \(status.st_uid), who could replace it: chown it to the user that Riposte runs as")
        }
        var bytes = [UInt8](repeating: 0, count: 8192)
        let count = read(descriptor, &bytes, bytes.count)
        guard count >= 0 else { throw KeyError("read \(file.escapedForDisplay): \(String(cString: strerror(errno)))") }
        do throws(KeyError) { try self.init(text: String(decoding: bytes.prefix(count), as: UTF8.self)) } catch {
            throw KeyError("\(file.escapedForDisplay): \(error.message)")
        }
    }

    /// Writes it as PEM into a new file that only the owner may read. Never over a file that is there: an old key still proves old checkpoints.
    package func write(newFile file: String) throws(KeyError) {
        let text = PEMBlock(label: "PRIVATE KEY", bytes: Self.headers[0] + Array(key.rawRepresentation)).text
        do { try NewFile.write(Array(text.utf8), to: file, mode: 0o600) } catch { throw KeyError(error.message) }
    }

    package var verifyingKey: VerifyingKey { VerifyingKey(key.publicKey) }

    /// 64 bytes. The signature of a message is not secret.
    func sign(_ message: [UInt8]) throws(KeyError) -> [UInt8] {
        do { return Array(try key.signature(for: message)) } catch { throw KeyError("sign with the key: \(error)") }
    }

    /// What stands before the 32 bytes in PKCS#8: as `openssl` writes it, and version 2, which has the public key after them.
    private static let headers: [[UInt8]] = [
        [0x30, 0x2E, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20],
        [0x30, 0x51, 0x02, 0x01, 0x01, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20],
    ]

    private static func problem(ofLabel label: String) -> String {
        switch label {
        case "ENCRYPTED PRIVATE KEY": "the key is encrypted, and the agent has nobody to ask for the pass phrase: decrypt it with openssl pkey, and keep the file's mode at 0600"
        case "PUBLIC KEY": "it is a public key; the agent signs with the private one"
        default: "it is a PEM file of \"\(label.escapedForDisplay)\"; needed is PRIVATE KEY (PKCS#8), as openssl genpkey -algorithm ed25519 writes it"
        }
    }
}

/// The public half: what verifies checkpoints, and may be known to all.
package struct VerifyingKey: Sendable {
    private let key: Curve25519.Signing.PublicKey

    fileprivate init(_ key: Curve25519.Signing.PublicKey) { self.key = key }

    /// PEM (SubjectPublicKeyInfo), as `openssl pkey -pubout` writes it, or the 32 bytes in base 64.
    package init(text: String) throws(KeyError) {
        let block = PEMBlock(text)
        if let block, block.label != "PUBLIC KEY" {
            let isPrivate = block.label.hasSuffix("PRIVATE KEY")
            throw KeyError(isPrivate ? "it is a private key, which should stay where it signs: riposte audit key show gives the public one" : "it is no public key")
        }
        let raw =
            block.map { $0.bytes.starts(with: Self.header) ? Array($0.bytes.dropFirst(Self.header.count)) : [] }
            ?? [UInt8](base64: text.trimmingCharacters(in: .whitespacesAndNewlines))
        guard let raw, raw.count == 32, let key = try? Curve25519.Signing.PublicKey(rawRepresentation: raw) else {
            throw KeyError("it is no Ed25519 public key: neither PEM nor 32 bytes in base 64")
        }
        self.key = key
    }

    /// A file's name, or the key itself in base 64.
    package init(fileOrText argument: String) throws(KeyError) {
        guard let data = FileManager.default.contents(atPath: argument) else {
            guard [UInt8](base64: argument) != nil else { throw KeyError("there is no file \(argument.escapedForDisplay) that can be read, and it is no key in base 64") }
            try self.init(text: argument)
            return
        }
        do throws(KeyError) { try self.init(text: String(decoding: data.prefix(8192), as: UTF8.self)) } catch {
            throw KeyError("\(argument.escapedForDisplay): \(error.message)")
        }
    }

    package var pem: String { PEMBlock(label: "PUBLIC KEY", bytes: der).text }

    package var base64: String { Array(key.rawRepresentation).base64 }

    /// SHA-256 over the DER form, in hexadecimal: what `openssl pkey -pubin -in KEY -outform DER | sha256sum` says.
    package var fingerprint: String { SHA256.hash(data: der).hexadecimal }

    package func verifies(_ signature: [UInt8], of message: [UInt8]) -> Bool { key.isValidSignature(signature, for: message) }

    private var der: [UInt8] { Self.header + Array(key.rawRepresentation) }

    private static let header: [UInt8] = [0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00]
}

/// The first block of a PEM file (RFC 7468).
private struct PEMBlock {
    let label: String
    let bytes: [UInt8]

    init(label: String, bytes: [UInt8]) {
        self.label = label
        self.bytes = bytes
    }

    /// Nil where the text is no PEM at all.
    init?(_ text: String) {
        var lines = text.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }[...]
        guard let begin = lines.firstIndex(where: { $0.hasPrefix("-----BEGIN ") && $0.hasSuffix("-----") }) else { return nil }
        label = String(lines[begin].dropFirst(11).dropLast(5))
        lines = lines[(begin + 1)...]
        let end = lines.firstIndex { $0.hasPrefix("-----END ") } ?? lines.endIndex
        bytes = [UInt8](base64: lines[..<end].joined()) ?? []
    }

    var text: String {
        var lines = ["-----BEGIN \(label)-----"]
        var rest = bytes.base64[...]
        while !rest.isEmpty {
            lines.append(String(rest.prefix(64)))
            rest = rest.dropFirst(64)
        }
        return (lines + ["-----END \(label)-----", ""]).joined(separator: "\n")
    }
}

extension Sequence {
    fileprivate func firstNonNil<Value>(_ transform: (Element) -> Value?) -> Value? {
        for element in self { if let value = transform(element) { return value } }
        return nil
    }
}
