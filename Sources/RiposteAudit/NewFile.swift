internal import Glibc
internal import RiposteCore

/// Files that are made and never overwritten: what is there already is somebody's proof.
package enum NewFile {
    /// Data and name are on the medium when it returns. A file that could not be finished is removed.
    package static func write(_ bytes: [UInt8], to path: String, mode: UInt32) throws(JournalError) {
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)
        guard file >= 0 else {
            let error = errno
            let remedy = error == EEXIST ? "; it is not overwritten: name another, or move it away" : ""
            throw JournalError(.disk, "make \(path.escapedForDisplay): \(String(cString: strerror(error)))\(remedy)")
        }
        defer { close(file) }
        do throws(JournalError) {
            try FileDisk().append(bytes, to: file)
            try FileDisk().sync(file)
        } catch {
            unlink(path)
            throw JournalError(.disk, "write \(path.escapedForDisplay): \(error.message)")
        }
    }
}
