internal import Glibc

/// The few things that the journal asks of a disk: the seam at which tests let each of them fail.
package protocol JournalDisk: Sendable {
    /// Opens for appending; creates with mode 0600.
    func open(_ path: String) throws(JournalError) -> Int32
    /// Writes all bytes at the end, or throws: then any part of them may be there.
    func append(_ bytes: [UInt8], to file: Int32) throws(JournalError)
    func truncate(_ file: Int32, to length: Int) throws(JournalError)
    /// Data and length are on the medium when it returns.
    func sync(_ file: Int32) throws(JournalError)
    /// Replaces bytes that are there: the head, and what has to be brought to the medium once more.
    func overwrite(_ bytes: [UInt8], at offset: Int, of file: Int32) throws(JournalError)
    func close(_ file: Int32)
}

package struct JournalError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// Another process writes this journal.
        case inUse
        /// The disk did not do what was asked.
        case disk
        /// A write failed and could not be taken back; nothing more is written until the journal is opened again.
        case failed
        case closed
        /// What is read is no journal.
        case format
    }

    package let code: Code
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { message }

    static func disk(_ doing: String, _ error: Int32) -> JournalError { JournalError(.disk, "\(doing): \(String(cString: strerror(error)))") }
}

/// The kernel's.
package struct FileDisk: JournalDisk {
    package init() {}

    package func open(_ path: String) throws(JournalError) -> Int32 {
        let file = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw .disk("open \(path)", errno) }
        lseek(file, 0, SEEK_END)
        return file
    }

    package func append(_ bytes: [UInt8], to file: Int32) throws(JournalError) {
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { write(file, $0.baseAddress?.advanced(by: written), bytes.count - written) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw .disk("write to the journal", errno) }
            written += count
        }
    }

    package func truncate(_ file: Int32, to length: Int) throws(JournalError) {
        guard ftruncate(file, off_t(length)) == 0, lseek(file, off_t(length), SEEK_SET) >= 0 else { throw .disk("cut a torn record", errno) }
    }

    package func sync(_ file: Int32) throws(JournalError) {
        guard fdatasync(file) == 0 else { throw .disk("sync the journal", errno) }
    }

    package func overwrite(_ bytes: [UInt8], at offset: Int, of file: Int32) throws(JournalError) {
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { pwrite(file, $0.baseAddress?.advanced(by: written), bytes.count - written, off_t(offset + written)) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw .disk("write what the journal has written before", errno) }
            written += count
        }
    }

    package func close(_ file: Int32) { _ = Glibc.close(file) }
}
