internal import ArgumentParser
internal import Foundation
internal import RiposteAgent
internal import RiposteAudit
internal import RiposteCore

struct AuditKeyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key", abstract: "Makes and shows the key that the journal is signed with.", subcommands: [AuditKeyGenerateCommand.self, AuditKeyShowCommand.self])
}

struct AuditKeyGenerateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate", abstract: "Makes a new private key and prints the public one.",
        discussion: """
            The private key goes to a new file that only its owner may read, as openssl genpkey -algorithm ed25519 writes it. The public key goes to standard output: \
            keep it, and its fingerprint, on another machine.

            Example:
              riposte audit key generate --out /etc/riposte/audit.key > audit.pub
            """)

    @OptionGroup var common: CommonOptions

    @Option(name: .long, help: "The private key's file, which must not be there yet (default: audit.signing_key of the configuration).", completion: .file())
    var out: String?

    func run() async throws {
        guard let file = try out ?? common.configuration().audit.signingKey else { throw ValidationError("--out FILE is needed: audit.signing_key is not set") }
        let key = SigningKey()
        do throws(KeyError) { try key.write(newFile: file) } catch { throw Complaint(error.message, status: 1) }
        print(KeyText.output(key.verifyingKey, isJSON: common.json, file: file))
        if !common.json { Terminal.remark("private key in \(file.escapedForDisplay), for audit.signing_key; fingerprint of the public key: \(key.verifyingKey.fingerprint)") }
    }
}

struct AuditKeyShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Prints the public key of a private one, and its fingerprint.",
        discussion: "Example:\n  riposte audit key show /etc/riposte/audit.key --out audit.pub")

    @OptionGroup var common: CommonOptions

    @Argument(help: "The private key's file (default: audit.signing_key of the configuration).", completion: .file())
    var file: String?

    @Option(name: .long, help: "Writes the public key to this new file instead.", completion: .file())
    var out: String?

    func run() async throws {
        guard let file = try file ?? common.configuration().audit.signingKey else { throw ValidationError("a private key's file is needed: audit.signing_key is not set") }
        let key: VerifyingKey
        do throws(KeyError) { key = try SigningKey(file: file).verifyingKey } catch { throw Complaint(error.message, status: 1) }
        if let out {
            do throws(JournalError) { try NewFile.write(Array(key.pem.utf8), to: out, mode: 0o644) } catch { throw Complaint(error.message, status: 1) }
        }
        if out == nil || common.json { print(KeyText.output(key, isJSON: common.json, file: file)) }
        if !common.json { Terminal.remark("fingerprint: \(key.fingerprint)") }
    }
}

private enum KeyText {
    static func output(_ key: VerifyingKey, isJSON: Bool, file: String) -> String {
        guard isJSON else { return String(key.pem.dropLast()) }
        let json: JSON = ["file": .text(file), "public_key": .text(key.base64), "fingerprint": .text(key.fingerprint)]
        return json.line
    }
}
