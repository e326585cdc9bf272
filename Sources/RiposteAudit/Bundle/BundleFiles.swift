internal import Foundation
internal import RiposteCore

extension AuditBundle {
    /// Writes a new folder, or where the name ends in `.tar` a new archive: whole, or nothing is left of it. Nothing that is there is written over.
    package func write(to path: String) throws {
        guard path.hasSuffix(".tar") else { return try writeFolder(path) }
        try NewFile.write(TarArchive(files, at: header.time).bytes, to: path, mode: 0o600)
    }

    /// Under another name beside it until it is whole: half a bundle verifies as damaged.
    private func writeFolder(_ path: String) throws {
        func failure(_ error: Int32) -> BundleError {
            BundleError("make the folder \(path.escapedForDisplay): \(String(cString: strerror(error)))\([EEXIST, ENOTEMPTY, ENOTDIR].contains(error) ? "; name a new one" : "")")
        }
        let name = path.replacing(/\/+$/, with: "")
        var facts = stat()
        guard lstat(name, &facts) != 0 else { throw failure(EEXIST) }
        var template = Array((name + ".XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else { throw failure(errno) }
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        do {
            for file in files { try NewFile.write(file.bytes, to: "\(folder)/\(file.name)", mode: 0o600) }
            guard rename(folder, name) == 0 else { throw failure(errno) }
        } catch {
            try? FileManager.default.removeItem(atPath: folder)
            throw error
        }
    }
}

/// The files of a bundle as they were found.
struct BundleFiles {
    private(set) var found: [String: [UInt8]] = [:]
    /// Names that do not belong.
    private(set) var strangers: [String] = []

    /// Together: more is no bundle of ours.
    private static let sizeLimit = 4 << 30

    init(path: String) throws(BundleError) {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else { throw BundleError("there is no \(path.escapedForDisplay)", isMissing: true) }
        if isFolder.boolValue { try readFolder(path) } else { try readArchive(path) }
        for file in AuditBundle.File.allCases where found[file.rawValue] == nil { throw BundleError("\(path.escapedForDisplay) is no bundle: \(file.rawValue) is not in it") }
    }

    func bytes(of file: AuditBundle.File) -> [UInt8] { found[file.rawValue] ?? [] }

    func lines(of file: AuditBundle.File) -> [[UInt8]] { bytes(of: file).split(separator: UInt8(ascii: "\n")).map(Array.init) }

    private mutating func take(_ name: String, _ bytes: [UInt8]) {
        guard AuditBundle.File(rawValue: name) != nil, found[name] == nil else { return strangers.append(name) }
        found[name] = bytes
    }

    private mutating func readFolder(_ path: String) throws(BundleError) {
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: path) else { throw BundleError("the folder \(path.escapedForDisplay) cannot be read") }
        for name in names.sorted() {
            guard AuditBundle.File(rawValue: name) != nil else {
                strangers.append(name)
                continue
            }
            take(name, try Self.contents("\(path)/\(name)"))
        }
    }

    private mutating func readArchive(_ path: String) throws(BundleError) {
        guard let files = TarArchive.files(in: try Self.contents(path)) else { throw BundleError("\(path.escapedForDisplay) is neither a folder nor a tar archive that is whole") }
        for file in files { take(file.name, file.bytes) }
    }

    private static func contents(_ path: String) throws(BundleError) -> [UInt8] {
        let size = ((try? FileManager.default.attributesOfItem(atPath: path))?[.size] as? NSNumber)?.intValue ?? 0
        guard size <= sizeLimit, let data = FileManager.default.contents(atPath: path) else { throw BundleError("\(path.escapedForDisplay) cannot be read") }
        return Array(data)
    }
}
