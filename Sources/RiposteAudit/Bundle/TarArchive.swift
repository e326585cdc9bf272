internal import RiposteCore

/// The plainest of archives (POSIX.1-1988 ustar): files only, short names, owner root, mode 0600.
struct TarArchive {
    private static let block = 512
    let bytes: [UInt8]

    init(_ files: [(name: String, bytes: [UInt8])], at time: Timestamp) {
        var bytes: [UInt8] = []
        for file in files {
            bytes += Self.header(file.name, size: file.bytes.count, seconds: max(0, time.nanoseconds / 1_000_000_000))
            bytes += file.bytes
            bytes += [UInt8](repeating: 0, count: (Self.block - file.bytes.count % Self.block) % Self.block)
        }
        self.bytes = bytes + [UInt8](repeating: 0, count: 2 * Self.block)
    }

    private static func header(_ name: String, size: Int, seconds: Int64) -> [UInt8] {
        var header = [UInt8](repeating: 0, count: block)
        func put(_ text: String, at place: Int) { header.replaceSubrange(place..<(place + text.utf8.count), with: text.utf8) }
        func octal(_ value: Int64, _ digits: Int) -> String {
            let text = String(value, radix: 8)
            return String(repeating: "0", count: max(0, digits - text.count)) + text
        }
        put(String(name.prefix(99)), at: 0)
        put(octal(0o600, 7), at: 100)
        put(octal(0, 7), at: 108)
        put(octal(0, 7), at: 116)
        put(octal(Int64(size), 11), at: 124)
        put(octal(seconds, 11), at: 136)
        put(String(repeating: " ", count: 8), at: 148)
        put("0", at: 156)
        put("ustar", at: 257)
        put("00", at: 263)
        put("root", at: 265)
        put("root", at: 297)
        put(octal(Int64(header.reduce(0) { $0 + Int($1) }), 6), at: 148)
        header[154] = 0
        return header
    }

    /// Nil where it is no archive, or is not whole. Only plain files are looked at.
    static func files(in bytes: [UInt8]) -> [(name: String, bytes: [UInt8])]? {
        var files: [(name: String, bytes: [UInt8])] = []
        var place = 0
        while place + block <= bytes.count {
            let header = bytes[place..<(place + block)]
            if header.allSatisfy({ $0 == 0 }) { return files }
            func field(_ offset: Int, _ length: Int) -> String {
                String(decoding: bytes[(place + offset)..<(place + offset + length)].prefix { $0 != 0 }, as: UTF8.self)
            }
            guard field(257, 5) == "ustar", let size = Int(field(124, 12).trimmed, radix: 8), size >= 0, size <= bytes.count - place - block else { return nil }
            let content = (place + block)..<(place + block + size)
            let isPlain = header[place + 156] == UInt8(ascii: "0") || header[place + 156] == 0
            if isPlain { files.append((field(0, 100), Array(bytes[content]))) }
            place += block + (size + block - 1) / block * block
        }
        return nil
    }
}

extension String {
    fileprivate var trimmed: Substring { self[...].drop { $0 == " " }.prefix { $0 != " " } }
}
