internal import Foundation
internal import RiposteCore

/// A file of alerts, one per line, read piece by piece: a week's recording need not fit into memory.
struct AlertStream {
    static let lineLimit = 1 << 20
    private static let pieceSize = 1 << 18

    private let handle: FileHandle
    /// Nil: nobody knows, as of a pipe.
    let size: Int?

    /// `-` is standard input.
    init(_ path: String) throws {
        if path == "-" {
            (handle, size) = (.standardInput, nil)
            return
        }
        do { handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path)) } catch {
            throw Complaint("\(path) cannot be read: \((error as NSError).localizedFailureReason ?? error.localizedDescription)", status: 2)
        }
        var information = stat()
        size = fstat(handle.fileDescriptor, &information) == 0 && information.st_mode & S_IFMT == S_IFREG ? Int(information.st_size) : nil
    }

    /// Calls `body` with each line that has something in it, and how many bytes were read so far. Of a line that is too long it gets the beginning, which is no alert.
    func forEachLine(_ body: ([UInt8], _ read: Int) throws -> Void) throws {
        var rest: [UInt8] = []
        var (read, skips) = (0, false)
        func take(_ line: ArraySlice<UInt8>) throws { if line.contains(where: { $0 > 0x20 }) { try body(Array(line), read) } }
        while let piece = try handle.read(upToCount: Self.pieceSize), !piece.isEmpty {
            read += piece.count
            rest += piece
            var begin = rest.startIndex
            while let end = rest[begin...].firstIndex(of: UInt8(ascii: "\n")) {
                if !skips { try take(rest[begin..<end]) }
                skips = false
                begin = end + 1
            }
            rest.removeFirst(begin)
            guard rest.count > Self.lineLimit else { continue }
            if !skips { try take(rest.prefix(256)) }
            skips = true
            rest.removeAll(keepingCapacity: true)
        }
        if !skips { try take(rest[...]) }
    }
}
