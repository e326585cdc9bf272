internal import Foundation
internal import Glibc
package import RiposteCore

/// What becomes of playbook files that others than root and the user that we run as can change.
package enum ForeignFiles: Sendable {
    /// Who may change them may say what is done here.
    case refused
    /// Where nothing is done: files are looked at in anybody's checkout.
    case warnedOf
}

extension PlaybookSet {
    /// Reads files and folders: their `*.yaml` and `*.yml` sorted by name, without `*.test.yaml` and folders inside.
    package static func load(
        paths: [String], _ catalogue: ActionCatalogue, foreign: ForeignFiles = .refused
    ) throws(Diagnostics) -> (set: PlaybookSet, warnings: [Diagnostic]) {
        let (documents, warnings) = try read(paths, foreign)
        let loaded = try load(documents, catalogue)
        return (loaded.set, warnings + loaded.warnings)
    }

    package static func documents(at paths: [String], foreign: ForeignFiles = .refused) throws(Diagnostics) -> [Document] { try read(paths, foreign).documents }

    private static func read(_ paths: [String], _ foreign: ForeignFiles) throws(Diagnostics) -> (documents: [Document], warnings: [Diagnostic]) {
        var reader = PlaybookFileReader(foreign: foreign)
        for path in paths { reader.read(path) }
        guard reader.problems.isEmpty else { throw Diagnostics(reader.problems) }
        return (reader.documents, reader.warnings)
    }
}

private struct PlaybookFileReader {
    private struct Unreadable: Error { let message: String }

    let foreign: ForeignFiles
    private(set) var documents: [PlaybookSet.Document] = []
    private(set) var problems: [Diagnostic] = []
    private(set) var warnings: [Diagnostic] = []
    private var foldersSeen: Set<String> = []

    init(foreign: ForeignFiles) { self.foreign = foreign }

    mutating func read(_ path: String) {
        do throws(Unreadable) {
            guard let names = try Self.names(in: path) else {
                look(at: Self.folder(of: path), .folderOfFile)
                return read(file: path)
            }
            // One word about the folder, not one about each file in it.
            guard look(at: path, .folder) else { return }
            for name in names { read(file: path.hasSuffix("/") ? path + name : "\(path)/\(name)") }
        } catch { problems.append(Diagnostic(code: "P016", file: path, message: error.message)) }
    }

    private mutating func read(file: String) {
        do throws(Unreadable) {
            let (text, rights) = try Self.contents(of: file)
            // What a link leads to lies in a folder of its own.
            look(at: Self.folder(of: URL(fileURLWithPath: file).resolvingSymlinksInPath().path), .folderOfFile)
            guard judge(rights, .file, file) else { return }
            documents.append(PlaybookSet.Document(name: file, text: text))
        } catch { problems.append(Diagnostic(code: "P016", file: file, message: error.message)) }
    }

    // MARK: - Who may change them

    /// False where nothing of it is to be taken.
    @discardableResult
    private mutating func look(at folder: String, _ kind: FileRights.Kind) -> Bool {
        let place = URL(fileURLWithPath: folder).resolvingSymlinksInPath().path
        guard foldersSeen.insert("\(kind) \(place)").inserted, let rights = FileRights(path: folder) else { return true }
        foldersSeen.insert("\(FileRights.Kind.folderOfFile) \(place)")
        return judge(rights, kind, folder)
    }

    private mutating func judge(_ rights: FileRights, _ kind: FileRights.Kind, _ path: String) -> Bool {
        guard let objection = rights.objection(to: kind) else { return true }
        switch foreign {
        case .refused:
            problems.append(Diagnostic(code: "P049", file: path, message: objection))
            return false
        case .warnedOf:
            warnings.append(Diagnostic(.warning, code: "P049", file: path, message: "an agent does not take it from here: \(objection)"))
            return true
        }
    }

    private static func folder(of file: String) -> String {
        let folder = (file as NSString).deletingLastPathComponent
        return folder.isEmpty ? "." : folder
    }

    // MARK: - Reading

    /// Nil where it is no folder.
    private static func names(in path: String) throws(Unreadable) -> [String]? {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else { throw Unreadable(message: "no such file or folder") }
        guard isFolder.boolValue else { return nil }
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: path) else { throw Unreadable(message: "the folder cannot be read") }
        return names.filter { $0.hasSuffix(".yaml") || $0.hasSuffix(".yml") }.filter { !$0.hasPrefix(".") && !$0.hasSuffix(".test.yaml") }.sorted()
    }

    /// The text and the rights of one and the same file, whatever its name stands for a moment later. Regular files only: a pipe in a folder would be waited for
    /// without end.
    private static func contents(of file: String) throws(Unreadable) -> (text: String, rights: FileRights) {
        var facts = stat()
        guard stat(file, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG else { throw Unreadable(message: "it is no regular file") }
        let descriptor = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { throw Unreadable(message: "it cannot be read") }
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        guard fstat(descriptor, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG, let rights = FileRights(descriptor: descriptor) else {
            throw Unreadable(message: "it is no regular file")
        }
        guard let data = try? handle.readToEnd() ?? Data() else { throw Unreadable(message: "it cannot be read") }
        guard let text = String(validating: data, as: UTF8.self) else { throw Unreadable(message: "it is not UTF-8") }
        return (text, rights)
    }
}
