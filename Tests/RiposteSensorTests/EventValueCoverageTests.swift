import Testing

@testable import RiposteRules
@testable import RiposteSensor

@Suite("Fields of events, descriptors and paths")
struct EventValueCoverageTests {
    /// What no event of this sensor has.
    private static let without: Set<String> = [
        "fd.sip.name", "fd.cip.name", "fd.lip.name", "fd.rip.name", "evt.asynctype", "evt.pluginname", "evt.plugininfo", "static", "json.value", "json.obj", "json.rawtime",
        "jevt.value",
        "jevt.obj", "jevt.rawtime",
    ]

    @Test("each field of the catalogue is worked out, or known to have no value")
    func everyField() {
        let families = ["fd.", "fs.path.", "evt.", "syscall.", "util.", "static", "json.", "jevt."]
        for description in FieldCatalogue.all where description.source == nil || description.source == "syscall" {
            guard families.contains(where: { description.name.hasPrefix($0) }) else { continue }
            #expect((SensorField.table[description.id] == nil) == Self.without.contains(description.name), "\(description.name)")
        }
    }

    @Test("no field reads outside a record that lacks everything", arguments: 1...5 as ClosedRange<UInt8>)
    func bareRecords(kind: UInt8) {
        let fields = FieldCatalogue.all.filter { $0.name.hasPrefix("fd.") || $0.name.hasPrefix("fs.") || $0.name.hasPrefix("evt.") }
            .map { EventField(id: $0.id, argument: .index(0), type: $0.type, text: UnsafeRawBufferPointer(start: nil, count: 0)) }
        let desk = FixtureDesk()
        for type in EventType.all.map({ EventType(rawValue: $0) }) where SystemCall.named(type) != nil {
            desk.take(FixtureEvent(type.name, kind: kind, result: Int64.min, fd: 3, .max, .max, .max, .max, .max, .max))
            for field in fields { _ = desk.event.value(of: field, in: desk.arena) }
            desk.arena.reset()
        }
    }
}
