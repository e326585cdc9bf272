internal import Glibc

/// Who may change a file, or what is in a folder: those that say what is done here should be root's, or of the user that we run as, and nobody else's.
package struct FileRights: Sendable, Equatable {
    package enum Kind: Sendable {
        case file
        /// All in it is taken: whoever may add to it may say what is done.
        case folder
        /// A file in it is taken by name. Where the sticky bit is set, as in `/tmp`, others can add to it and not replace what is there.
        case folderOfFile
        /// We write to it, and rely on what is there: whoever may add to it may put something else beside or in place of ours.
        case workFolder
        /// One of those is taken in it by name.
        case folderOfWorkFolder

        fileprivate var holdsOrders: Bool {
            switch self {
            case .file, .folder, .folderOfFile: true
            case .workFolder, .folderOfWorkFolder: false
            }
        }
    }

    package var owner: UInt32
    /// The permission bits.
    package var mode: UInt32
    /// Nobody here can write it, whatever the bits say: volumes of a Kubernetes ConfigMap are 0777 and mounted like this.
    package var isMountedReadOnly: Bool

    package init(owner: UInt32, mode: UInt32, isMountedReadOnly: Bool = false) {
        (self.owner, self.mode, self.isMountedReadOnly) = (owner, mode, isMountedReadOnly)
    }

    /// Nil where there is nothing by that name. Links are followed.
    package init?(path: String) {
        var (facts, system) = (stat(), statvfs())
        guard stat(path, &facts) == 0 else { return nil }
        self.init(facts, isMountedReadOnly: statvfs(path, &system) == 0 && system.f_flag & Self.readOnly != 0)
    }

    package init?(descriptor: Int32) {
        var (facts, system) = (stat(), statvfs())
        guard fstat(descriptor, &facts) == 0 else { return nil }
        self.init(facts, isMountedReadOnly: fstatvfs(descriptor, &system) == 0 && system.f_flag & Self.readOnly != 0)
    }

    /// `ST_RDONLY`.
    private static let readOnly: UInt = 1

    private init(_ facts: stat, isMountedReadOnly: Bool) {
        self.init(owner: facts.st_uid, mode: facts.st_mode & 0o7777, isMountedReadOnly: isMountedReadOnly)
    }

    /// Why it is not to be relied on, with the remedy; nil where only root and that user can change it.
    package func objection(to kind: Kind, as user: UInt32 = geteuid()) -> String? {
        let isForeign = owner != 0 && owner != user
        let isWritable = mode & 0o022 != 0 && !excusesWriters(kind)
        guard isForeign || isWritable else { return nil }
        var (facts, remedies): ([String], [String]) = ([], [])
        if isForeign {
            facts.append("belongs to user \(owner)")
            remedies.append(kind == .file || kind == .folderOfWorkFolder ? "chown it to root" : "chown it to root with what is in it")
        }
        if isWritable {
            facts.append("may be written by \(mode & 0o002 != 0 ? "everybody" : "its group") (mode 0\(String(mode & 0o7777, radix: 8)))")
            remedies.append("chmod go-w it")
        }
        if isForeign, kind.holdsOrders { remedies.append("or use a copy that is root's (install -D -m 644)") }
        let users = user == 0 ? "root" : "root and user \(user), as whom Riposte runs,"
        let reason = kind.holdsOrders ? "it says what is done here" : "what Riposte writes there is relied on"
        return "it \(facts.joined(separator: " and ")); only \(users) may be able to change it, as \(reason): \(remedies.joined(separator: ", "))"
    }

    private func excusesWriters(_ kind: Kind) -> Bool {
        switch kind {
        case .file: false
        case .folder: isMountedReadOnly
        case .workFolder: false
        case .folderOfFile, .folderOfWorkFolder: isMountedReadOnly || mode & 0o1000 != 0
        }
    }
}
