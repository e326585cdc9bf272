internal import RiposteCore

/// Makes alerts of what our own rules found.
struct OwnAlerts: Sendable {
    private let alerts: AlertDoor

    init(_ alerts: AlertDoor) { self.alerts = alerts }

    /// What the journal will give back: read from what is written, so that a text which is not UTF-8 is the same before and after a restart. Nil, and
    /// on record, for a document that is no alert.
    func alert(_ document: JSONObject, _ arrival: Alert.Arrival) -> Alert? {
        var document = document
        if let fields = document["output_fields"]?.object { document["output_fields"] = .object(fields.withEachKeyOnce) }
        do throws(AlertError) { return try Alert(parsing: JSON.object(document).bytes, id: .new(at: arrival.time), arrival: arrival) } catch {
            alerts.tell("an alert of our own is none", error, excerpt: Array(JSON.object(document).bytes.prefix(256)), arrival: arrival)
            return nil
        }
    }
}

extension JSONObject {
    /// Of a field that the output has and `append_output` adds again, what was added counts, as with Falco.
    fileprivate var withEachKeyOnce: JSONObject {
        var last: [ByteText: Int] = [:]
        for (index, member) in members.enumerated() { last[member.key] = index }
        guard last.count < members.count else { return self }
        return JSONObject(members.enumerated().filter { last[$1.key] == $0 }.map(\.element))
    }
}
