package import RiposteCore

/// A statement about a journal: up to record `seq` it was this and nothing else, at this time, on this machine. Signed, and itself the next record.
///
/// It is a record and not a file beside the journal, so that the chain holds checkpoints too: none can be taken out or exchanged unseen, they are
/// archived and exported with what they anchor, and there is one thing to keep instead of two that must fit.
package struct Checkpoint: Sendable, Equatable {
    /// A record by its place and what it says.
    package struct Position: Sendable, Equatable {
        package var seq: Int64
        package var hash: String

        package init(seq: Int64, hash: String) {
            self.seq = seq
            self.hash = hash
        }
    }

    /// Which journal: the hash of its first record.
    package var journal: String
    /// `/etc/machine-id` of the host.
    package var machine: String
    /// The last record that is anchored; through the chain, all before it are too.
    package var record: Position
    package var time: Timestamp
    /// ``root`` stands for the records from this one to ``record``.
    package var from: Int64
    /// Of the ``HashTree`` over their hashes.
    package var root: String
    /// The checkpoint before, nil where none is known.
    package var previous: Position?
    /// The fingerprint of the key that signs.
    package var key: String

    private static let title = "riposte-checkpoint-v1"

    /// What is signed: lines of printable text, in this order and no other.
    package var payload: String {
        """
        \(Self.title)
        journal \(journal)
        machine \(machine)
        seq \(record.seq)
        hash \(record.hash)
        time \(time)
        from \(from)
        root \(root)
        previous \(previous.map { "\($0.seq) \($0.hash)" } ?? "none")
        key \(key)

        """
    }

    /// Reads ``payload`` back; nil for every text that would not be written like that.
    package init?(payload: String) {
        let lines = payload.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.count == 11, lines[0] == Self.title else { return nil }
        func value(_ line: Int, _ name: String) -> Substring? { lines[line].hasPrefix(name + " ") ? lines[line].dropFirst(name.count + 1) : nil }
        guard let journal = value(1, "journal"), let machine = value(2, "machine"), let seq = value(3, "seq").flatMap({ Int64($0) }), let hash = value(4, "hash"),
            let time = value(5, "time").flatMap({ Timestamp($0) }), let from = value(6, "from").flatMap({ Int64($0) }), let root = value(7, "root"),
            let previous = value(8, "previous"), let key = value(9, "key")
        else { return nil }
        self.init(
            journal: String(journal), machine: String(machine), record: Position(seq: seq, hash: String(hash)), time: time, from: from, root: String(root), previous: nil,
            key: String(key))
        if previous != "none" {
            let words = previous.split(separator: " ")
            guard words.count == 2, let seq = Int64(words[0]) else { return nil }
            self.previous = Position(seq: seq, hash: String(words[1]))
        }
        guard self.payload == payload else { return nil }
    }

    package init(journal: String, machine: String, record: Position, time: Timestamp, from: Int64, root: String, previous: Position?, key: String) {
        self.journal = journal
        self.machine = machine
        self.record = record
        self.time = time
        self.from = from
        self.root = root
        self.previous = previous
        self.key = key
    }
}

/// A checkpoint with its signature, as it stands in the journal and as it is kept elsewhere.
package struct SignedCheckpoint: Sendable, Equatable {
    package var checkpoint: Checkpoint
    /// Ed25519 over the payload's bytes.
    package var signature: [UInt8]

    init(_ checkpoint: Checkpoint, signedWith key: SigningKey) throws(KeyError) {
        self.checkpoint = checkpoint
        signature = try key.sign(Array(checkpoint.payload.utf8))
    }

    /// The record that holds it. The payload stands there as it was signed, so that nobody has to put it together again to verify it.
    package var auditRecord: AuditRecord { AuditRecord(.checkpoint, at: checkpoint.time, detail: detail) }

    private var detail: JSONObject { ["payload": .text(checkpoint.payload), "signature": .text(signature.base64)] }

    package init?(_ record: AuditRecord) {
        guard record.kind == .checkpoint else { return nil }
        self.init(detail: .object(record.detail))
    }

    private init?(detail: JSON?) {
        guard let payload = detail?["payload"]?.string?.valid, let checkpoint = Checkpoint(payload: payload),
            let signature = detail?["signature"]?.string?.valid.flatMap({ [UInt8](base64: $0) })
        else { return nil }
        self.checkpoint = checkpoint
        self.signature = signature
    }

    /// For keeping it elsewhere: one JSON object, the record's `detail` or the whole record.
    package init(kept bytes: [UInt8]) throws(KeyError) {
        guard let json = try? JSON(parsing: bytes), let kept = Self(detail: json["detail"] ?? json) else {
            throw KeyError("it is no checkpoint as `riposte audit checkpoint show --json` prints it")
        }
        self = kept
    }

    /// For keeping it elsewhere.
    package var json: JSON { .object(detail) }

    /// What is wrong with its signature, or nil.
    func problem(with keys: [VerifyingKey]) -> String? {
        guard let key = keys.first(where: { $0.fingerprint == checkpoint.key }) else {
            return "the checkpoint is signed with another key, \(checkpoint.key.prefix(16).description.escapedForDisplay)…"
        }
        return key.verifies(signature, of: Array(checkpoint.payload.utf8)) ? nil : "the checkpoint's signature does not fit what it says: it was changed or forged"
    }
}
