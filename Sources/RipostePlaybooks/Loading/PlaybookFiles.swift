internal import Foundation
package import RiposteCore

extension PlaybookSet {
    /// Reads files and folders: their `*.yaml` and `*.yml` sorted by name, without `*.test.yaml` and folders inside.
    package static func load(paths: [String], _ catalogue: ActionCatalogue) throws(Diagnostics) -> (set: PlaybookSet, warnings: [Diagnostic]) {
        try load(try documents(at: paths), catalogue)
    }

    package static func documents(at paths: [String]) throws(Diagnostics) -> [Document] {
        var documents: [Document] = []
        var problems: [Diagnostic] = []
        for path in paths {
            do throws(Unreadable) {
                for file in try files(at: path) {
                    do throws(Unreadable) { documents.append(Document(name: file, text: try text(of: file))) } catch {
                        problems.append(Diagnostic(code: "P016", file: file, message: error.message))
                    }
                }
            } catch { problems.append(Diagnostic(code: "P016", file: path, message: error.message)) }
        }
        guard problems.isEmpty else { throw Diagnostics(problems) }
        return documents
    }

    private struct Unreadable: Error { let message: String }

    private static func files(at path: String) throws(Unreadable) -> [String] {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else { throw Unreadable(message: "no such file or folder") }
        guard isFolder.boolValue else { return [path] }
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: path) else { throw Unreadable(message: "the folder cannot be read") }
        return names.filter { $0.hasSuffix(".yaml") || $0.hasSuffix(".yml") }.filter { !$0.hasPrefix(".") && !$0.hasSuffix(".test.yaml") }.sorted()
            .map { path.hasSuffix("/") ? path + $0 : "\(path)/\($0)" }
    }

    /// Regular files only: a pipe in a folder would be waited for without end.
    private static func text(of file: String) throws(Unreadable) -> String {
        let attributes = try? FileManager.default.attributesOfItem(atPath: URL(fileURLWithPath: file).resolvingSymlinksInPath().path)
        guard attributes?[.type] as? FileAttributeType == .typeRegular else { throw Unreadable(message: "it is no regular file") }
        guard let data = FileManager.default.contents(atPath: file) else { throw Unreadable(message: "it cannot be read") }
        guard let text = String(validating: data, as: UTF8.self) else { throw Unreadable(message: "it is not UTF-8") }
        return text
    }
}
