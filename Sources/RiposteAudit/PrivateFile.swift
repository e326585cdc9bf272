internal import Glibc
internal import RiposteCore

/// Files beside the journal that hold what it holds, and are their owner's alone like it, whatever the folder that they lie in allows.
enum PrivateFile {
    /// A name that is not there becomes an empty file; of one that is, everybody else's rights are taken. By name, not by descriptor: to close one would give up
    /// the locks that SQLite holds on the file in this process.
    static func claim(_ path: String) throws(JournalError) {
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        if file >= 0 { close(file) } else if errno != EEXIST { throw .disk("make \(path.escapedForDisplay)", errno) }
        try closeToOthers(path)
    }

    /// Nothing where there is no such file.
    static func closeToOthers(_ path: String) throws(JournalError) {
        var facts = stat()
        guard lstat(path, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG, facts.st_mode & 0o077 != 0 else { return }
        guard chmod(path, 0o600) == 0 else { throw .disk("take others' rights to \(path.escapedForDisplay)", errno) }
    }

    /// Whole or not at all.
    static func replace(_ path: String, with bytes: [UInt8]) throws(JournalError) {
        let temporary = path + ".new"
        unlink(temporary)
        try NewFile.write(bytes, to: temporary, mode: 0o600)
        guard rename(temporary, path) == 0 else {
            let error = errno
            unlink(temporary)
            throw .disk("replace \(path.escapedForDisplay)", error)
        }
    }
}
