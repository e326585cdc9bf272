internal import Foundation
package import RiposteCore

/// A state that follows from the journal up to a record, kept so that a start need not read the whole journal. Only a short cut: it can be deleted at
/// any time, and one that does not fit the journal is not believed.
package struct StateSnapshot: Sendable {
    package var seq: Int64
    package var hash: String
    package var state: JSONObject

    package init(seq: Int64, hash: String, state: JSONObject) {
        self.seq = seq
        self.hash = hash
        self.state = state
    }

    private static func path(_ stateDirectory: String) -> String { stateDirectory + "/state.json" }

    /// The newest one that the journal bears out.
    package static func load(stateDirectory: String) -> StateSnapshot? {
        guard let bytes = FileManager.default.contents(atPath: path(stateDirectory)), let json = try? JSON(parsing: Array(bytes)),
            let seq = json["seq"]?.integer, let hash = json["hash"]?.string?.valid, let state = json["state"]?.object,
            (try? JournalReader(stateDirectory: stateDirectory).entry(seq))??.hash == hash
        else { return nil }
        return StateSnapshot(seq: seq, hash: hash, state: state)
    }

    package func save(stateDirectory: String) throws {
        let json: JSON = ["seq": .integer(seq), "hash": .text(hash), "state": .object(state)]
        try PrivateFile.replace(Self.path(stateDirectory), with: json.bytes)
    }
}
