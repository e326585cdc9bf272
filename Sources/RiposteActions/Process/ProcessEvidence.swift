internal import RiposteCore

/// What is worth keeping of a process before it ends, as far as it costs microseconds.
///
/// It goes into the journal at each look, and the process says what it is: a command line of megabytes, in which JSON writes six bytes for one, must not fill a disk.
enum ProcessEvidence {
    /// Of one text, as JSON writes it.
    private static let textLimit = 4096

    static func facts(of stat: ProcessStat) -> JSONObject {
        var facts: JSONObject = ["state": .text(String(UnicodeScalar(stat.state))), "session": .integer(Int64(stat.session))]
        if let program = ProcFS.program(stat.pid) {
            append(program.path, as: "executable", to: &facts)
            if program.isDeleted { facts.append("executable_deleted", true) }
        }
        if let line = ProcFS.commandLine(stat.pid, limit: textLimit + 1), append(line, as: "command_line", to: &facts) {
            facts.append("command_line_bytes", ProcFS.argumentsLength(stat.pid).map(JSON.integer))
        }
        if let directory = ProcFS.workingDirectory(stat.pid) { append(directory, as: "working_directory", to: &facts) }
        facts.append("uid", ProcFS.userID(stat.pid).map { .integer(Int64($0)) })
        if let cgroup = ProcFS.mainCgroup(stat.pid) {
            append(ByteText(cgroup.path), as: "cgroup", to: &facts)
            facts.append("container", (cgroup.mark?.id).map(JSON.text))
        }
        facts.append("parents", .array(parents(of: stat)))
        return facts
    }

    /// What is too long is cut, and says so. Whether it was.
    @discardableResult
    private static func append(_ text: ByteText, as key: String, to facts: inout JSONObject) -> Bool {
        let kept = beginning(of: text)
        facts.append(ByteText(key), .string(kept))
        guard kept.bytes.count < text.bytes.count else { return false }
        facts.append(ByteText("\(key)_truncated"), true)
        return true
    }

    private static func beginning(of text: ByteText) -> ByteText {
        let isValid = text.valid != nil
        var (size, end) = (0, 0)
        for byte in text.bytes {
            switch byte {
            case ..<0x20: size += 6
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): size += 2
            // What is no UTF-8 is written as U+FFFD, which has three.
            case 0x80...: size += isValid ? 1 : 3
            default: size += 1
            }
            guard size <= textLimit else { break }
            end += 1
        }
        guard end < text.bytes.count else { return text }
        // Not in the midst of a character.
        for _ in 0..<3 where end > 0 && text.bytes[end] & 0xC0 == 0x80 { end -= 1 }
        return ByteText(Array(text.bytes[..<end]))
    }

    /// Up to the first process, or to eight.
    private static func parents(of stat: ProcessStat) -> [JSON] {
        var result: [JSON] = []
        var next = stat.parent
        while next > 0, result.count < 8, let parent = ProcFS.stat(next) {
            result.append(["pid": .integer(Int64(parent.pid)), "name": .string(parent.name)])
            next = parent.parent
        }
        return result
    }

    /// What will start it again, as far as its cgroup tells.
    static func remarks(_ facts: JSONObject) -> [String] {
        guard let cgroup = facts["cgroup"]?.string?.valid else { return [] }
        if facts["container"] != nil { return ["it runs in a container, which ends with its first process and may be started again by its restart policy"] }
        guard let unit = cgroup.split(separator: "/").last, unit.hasSuffix(".service") else { return [] }
        return ["it belongs to \(String(unit).escapedForDisplay), which may start it again"]
    }
}
