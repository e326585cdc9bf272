internal import Foundation
internal import Glibc
internal import RiposteCore

/// `<state-dir>/outputs/<name>.dead.jsonl`: what a destination will never take, with its reason. Bounded: a full file becomes `.1`, in place of the
/// one before.
struct DeadLetterFile: Sendable {
    let path: String
    private let sizeLimit: Int

    init(folder: String, name: String, sizeLimit: Int = 8 << 20) {
        path = "\(folder)/\(name).dead.jsonl"
        self.sizeLimit = sizeLimit
    }

    /// All of them, or none.
    func append(_ letters: [CourierState.DeadLetter]) throws(OutputFileError) {
        let lines = letters.flatMap { letter -> [UInt8] in
            var json: JSONObject = ["ts": .text("\(letter.time)"), "reason": .text(letter.reason)]
            json.members += letter.subject.members.members
            return JSON.object(json).bytes + [UInt8(ascii: "\n")]
        }
        let file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw OutputFileError("open \(path)", errno) }
        defer { close(file) }
        var facts = stat()
        let length = fstat(file, &facts) == 0 ? facts.st_size : 0
        let written = write(file, lines, lines.count)
        // Before the cursor that stands behind it is on the disk. What is no file with a disk behind it says EINVAL.
        guard written == lines.count, fdatasync(file) == 0 || errno == EINVAL else {
            let problem = written < 0 || written == lines.count ? errno : ENOSPC
            if written > 0 { ftruncate(file, length) }
            throw OutputFileError("write \(path)", problem)
        }
        if length + lines.count >= sizeLimit, rename(path, path + ".1") != 0 { throw OutputFileError("rename \(path)", errno) }
    }
}

extension CourierState.DeadLetter {
    /// Of messages.
    var count: Int { if case .some(let count, _, _, _) = subject { count } else { 1 } }
}

extension CourierState.DeadLetter.Subject {
    /// Of several only the first and the last are named: all of them are in the journal.
    fileprivate var members: JSONObject {
        func name(_ message: OutputMessage) -> JSON { ["seq": .integer(message.seq), "uuid": .text(message.uuid)] }
        switch self {
        case .message(let message):
            return ["seq": .integer(message.seq), "kind": .text(message.kind.rawValue), "message": .object(message.falcosidekickPayload)]
        case .some(let count, let total, let first, let last):
            return ["refused": .integer(Int64(count)), "of": .integer(Int64(total)), "first": name(first), "last": name(last)]
        }
    }
}
