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

    func append(_ letters: [CourierState.DeadLetter], at now: Timestamp) throws(OutputFileError) {
        let lines = letters.flatMap { letter -> [UInt8] in
            let json: JSON = [
                "ts": .text("\(now)"), "reason": .text(letter.reason), "seq": .integer(letter.message.seq), "kind": .text(letter.message.kind.rawValue),
                "message": .object(letter.message.falcosidekickPayload),
            ]
            return json.bytes + [UInt8(ascii: "\n")]
        }
        let file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw OutputFileError("open \(path)", errno) }
        defer { close(file) }
        guard write(file, lines, lines.count) == lines.count else { throw OutputFileError("write \(path)", errno) }
        var facts = stat()
        if fstat(file, &facts) == 0, facts.st_size >= sizeLimit, rename(path, path + ".1") != 0 { throw OutputFileError("rename \(path)", errno) }
    }
}
