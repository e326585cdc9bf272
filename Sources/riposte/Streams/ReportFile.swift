internal import Glibc
internal import RiposteCore

/// A report beside what is printed, in a file of the caller's choice. What is there is replaced whole or not at all, if it is a regular file; a device or a pipe is written to and
/// stays what it is.
enum ReportFile {
    static func write(_ text: String, to path: String) throws(Complaint) {
        var facts = stat()
        guard stat(path, &facts) == 0 else { return try replace(try target(of: path), with: text, like: nil, asked: path) }
        // Standard output itself, by a name such as /dev/stdout: one after the other, not one over the other.
        var output = stat()
        guard fstat(STDOUT_FILENO, &output) != 0 || (output.st_dev, output.st_ino) != (facts.st_dev, facts.st_ino) else { return StandardOutput.write(text) }
        guard facts.st_mode & S_IFMT == S_IFREG else { return try writeThrough(text, to: path) }
        try replace(try target(of: path), with: text, like: facts, asked: path)
    }

    /// Behind all symbolic links, of which the last may lead to what is not there yet.
    private static func target(of path: String) throws(Complaint) -> String {
        var path = path
        for _ in 0..<40 {
            var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
            let count = readlink(path, &buffer, buffer.count)
            guard count > 0 else { return path }
            let link = String(decoding: buffer[..<count], as: UTF8.self)
            path = link.hasPrefix("/") ? link : folder(of: path) + link
        }
        throw failure(path, ELOOP)
    }

    private static func folder(of path: String) -> String { path.lastIndex(of: "/").map { String(path[...$0]) } ?? "./" }

    /// A file beside it takes its place. `facts`: of the file that is replaced; its mode and owner stay.
    private static func replace(_ path: String, with text: String, like facts: stat?, asked: String) throws(Complaint) {
        var template = Array((folder(of: path) + ".riposte-XXXXXX").utf8CString)
        let file = mkstemp(&template)
        guard file >= 0 else { throw failure(asked, errno) }
        _ = fcntl(file, F_SETFD, FD_CLOEXEC)
        if let facts { fchown(file, facts.st_uid, facts.st_gid) }
        fchmod(file, facts.map { $0.st_mode & 0o7777 } ?? 0o666 & ~currentMask)
        do throws(Complaint) {
            defer { close(file) }
            try write(Array(text.utf8), to: file, asked)
            guard rename(template, path) == 0 else { throw failure(asked, errno) }
        } catch {
            unlink(template)
            throw error
        }
    }

    private static func writeThrough(_ text: String, to path: String) throws(Complaint) {
        let file = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY)
        guard file >= 0 else { throw failure(path, errno) }
        defer { close(file) }
        try write(Array(text.utf8), to: file, path)
    }

    private static func write(_ bytes: [UInt8], to file: CInt, _ path: String) throws(Complaint) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw failure(path, count < 0 ? errno : EIO) }
            rest = rest.dropFirst(count)
        }
    }

    /// What a new file's mode goes through; it can only be read by setting it.
    private static var currentMask: mode_t {
        let mask = umask(0o077)
        umask(mask)
        return mask
    }

    private static func failure(_ path: String, _ code: CInt) -> Complaint {
        Complaint("\(path.escapedForDisplay) cannot be written: \(String(cString: strerror(code)))", status: 2)
    }
}
