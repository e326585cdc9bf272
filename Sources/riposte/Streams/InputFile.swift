internal import Glibc
internal import RiposteCore

/// What a command reads: a file, a pipe, a device, or `-`, standard input. Whatever is wrong with it is told, with 2.
final class InputFile {
    private let descriptor: CInt
    /// For people.
    let name: String

    init(_ path: String) throws(Complaint) {
        guard path != "-" else {
            (descriptor, name) = (STDIN_FILENO, "standard input")
            return
        }
        name = path.escapedForDisplay
        descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)
        guard descriptor >= 0 else { throw Complaint("\(name) cannot be read: \(String(cString: strerror(errno)))", status: 2) }
    }

    deinit { if descriptor != STDIN_FILENO { close(descriptor) } }

    /// Nil: nobody knows, as of a pipe.
    var size: Int? {
        var facts = stat()
        return fstat(descriptor, &facts) == 0 && facts.st_mode & S_IFMT == S_IFREG ? Int(facts.st_size) : nil
    }

    /// Fills the buffer with what is there, and waits only where there is nothing; how many bytes it is, 0 at the end.
    func read(into buffer: inout [UInt8]) throws(Complaint) -> Int {
        // Whoever feeds us may wait for an answer to what he has sent so far.
        StandardOutput.flush()
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count >= 0 { return count }
            switch errno {
            case EINTR: continue
            case EAGAIN:
                // Somebody has made it non-blocking: it is shared with whoever started us.
                var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
                _ = poll(&wait, 1, -1)
            case let code: throw Complaint("\(name) cannot be read: \(String(cString: strerror(code)))", status: 2)
            }
        }
    }

    /// The beginning, at most so many bytes.
    func beginning(_ limit: Int) throws(Complaint) -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while bytes.count < limit {
            let count = try read(into: &buffer)
            guard count > 0 else { break }
            bytes += buffer[..<min(count, limit - bytes.count)]
        }
        return bytes
    }
}
