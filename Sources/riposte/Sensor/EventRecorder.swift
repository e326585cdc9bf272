internal import RiposteCore
internal import RiposteRules
internal import RiposteSensor

/// Writes events of the sensor as recorded events: what `rules eval`, `replay` and `test` read (docs/recorded-events.md).
final class EventRecorder {
    private let fields: FieldSelection

    /// All fields that need no argument, and of those with one what rules ask for: those of `rules`, else the usual ones.
    init(rules: RuleSet?) throws {
        let plain = FieldSelection.everything(source: "syscall").filter { !Self.unrecorded.contains($0) && !$0.hasPrefix("evt.time") && !$0.hasPrefix("evt.datetime") }
        let asked = rules.map { $0.fieldsWithArguments(source: "syscall") } ?? []
        fields = try FieldSelection(plain + Set(asked + Self.usual).sorted(), source: "syscall")
    }

    /// Costly or different at each look.
    private static let unrecorded: Set<String> = [
        "util.cnt", "proc.fdopencount", "proc.fdusage", "proc.stdin.name", "proc.stdin.type", "proc.stdout.name", "proc.stdout.type", "proc.stderr.name", "proc.stderr.type",
    ]
    private static let usual =
        (2...7).map { "proc.aname[\($0)]" }
        + ["flags", "mode", "fd", "path", "name", "oldpath", "newpath", "target", "linkpath", "filename", "request", "cmd", "domain", "uid", "pid", "res"].map { "evt.arg.\($0)" }

    func document(of event: SensorEvent) -> JSONObject {
        JSONObject([.init(key: "evt.time", value: .integer(event.time.nanoseconds))] + fields.values(of: event))
    }
}
