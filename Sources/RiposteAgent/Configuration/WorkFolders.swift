internal import Foundation
internal import Glibc
internal import RiposteCore

/// The folders that the agent writes to. Who may write to the state folder can put another journal, or another state of what is in force, in the place of ours; who may write to the run
/// folder, another control socket.
extension AgentConfiguration {
    /// Why a folder of that name is not to be written to, and where: its own rights, those of the journal's folder in it, or those of the folder that it stands in. Nil where only
    /// root and the user that we run as can change what is there; it need not be there yet.
    static func objection(toWorkFolder path: String) -> (place: String, objection: String)? {
        if let link = objection(toLink: path) { return (path, link) }
        let folder = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
        let parent = sequence(first: folder) { $0 == "/" ? nil : URL(fileURLWithPath: $0).deletingLastPathComponent().path }
            .dropFirst().first { FileManager.default.fileExists(atPath: $0) }
        let places: [(String?, FileRights.Kind)] = [(folder, .workFolder), (folder + "/journal", .workFolder), (parent, .folderOfWorkFolder)]
        for case (let place?, let kind) in places {
            if let objection = FileRights(path: place)?.objection(to: kind) { return (place, objection) }
        }
        return nil
    }

    /// Whose a link is can make it lead elsewhere, whatever it leads to now.
    private static func objection(toLink path: String) -> String? {
        var facts = stat()
        guard lstat(path, &facts) == 0, facts.st_mode & S_IFMT == S_IFLNK, facts.st_uid != 0, facts.st_uid != geteuid() else { return nil }
        return "it is a link of user \(facts.st_uid), who can make it lead elsewhere: name the folder itself"
    }

    /// Throws where others can change what is in the state folder.
    func refuseForeignState() throws(Diagnostics) { try Self.refuseForeignWorkFolder(stateDirectory) }

    /// Throws where others can change what is in a folder that the agent writes to.
    func refuseForeignWorkFolders() throws(Diagnostics) {
        try refuseForeignState()
        try Self.refuseForeignWorkFolder(runDirectory)
    }

    private static func refuseForeignWorkFolder(_ path: String) throws(Diagnostics) {
        guard let (place, objection) = objection(toWorkFolder: path) else { return }
        throw Diagnostics([Diagnostic(code: "C006", file: place, message: objection)])
    }
}
