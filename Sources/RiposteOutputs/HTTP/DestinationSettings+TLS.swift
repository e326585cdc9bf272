internal import Foundation
package import RiposteTransport

extension DestinationSettings {
    /// `tls: { ca, certificate, key, min_version, verify }`: the standard where it is not set, nil where something in it was reported.
    package func tlsOptions(_ key: String) -> TLSOptions? {
        let section = section(key)
        var options = TLSOptions()
        let (ca, certificate, keyFile) = (section.pem("ca"), section.pem("certificate"), section.secretPEM("key"))
        options.authorities = ca.bytes
        options.certificate = certificate.bytes
        options.key = keyFile.bytes
        if let verifies = section.bool("verify") { options.verifiesPeer = verifies }
        if let version = section.choice("min_version", TLSOptions.Version.self) { options.minimumVersion = version }
        guard !ca.isWrong, !certificate.isWrong, !keyFile.isWrong else { return nil }
        if (options.certificate == nil) != (options.key == nil) {
            section.report("certificate", "\(section.title) needs certificate and key together")
            return nil
        }
        return options
    }

    /// A file with PEM in it.
    private func pem(_ key: String) -> (bytes: [UInt8]?, isWrong: Bool) {
        guard let path = path(key) else { return (nil, isSet(key)) }
        guard let data = FileManager.default.contents(atPath: path), data.range(of: Data("-----BEGIN ".utf8)) != nil else {
            report(key, "\(key) of \(title): \(path) cannot be read, or is no PEM file")
            return (nil, true)
        }
        note(input: Array(data))
        return (Array(data), false)
    }

    /// The key's file by its path, or as any other secret.
    private func secretPEM(_ key: String) -> (bytes: [UInt8]?, isWrong: Bool) {
        guard let member = member(key) else { return (nil, false) }
        if member.text != nil { return pem(key) }
        guard let secret = secret(key) else { return (nil, true) }
        return (Array(secret.revealed.utf8), false)
    }
}
