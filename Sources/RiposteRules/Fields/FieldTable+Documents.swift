extension FieldTable {
    /// Fields that any source has: of the event itself, and of one that is a JSON document.
    static let documents = FieldTable(
        source: nil,
        text: """
            evt.time | string | - | - | -
            evt.time.s | string | - | - | -
            evt.time.iso8601 | string | - | - | -
            evt.datetime | string | - | - | -
            evt.datetime.s | string | - | - | -
            evt.source | string | - | - | -
            evt.pluginname | string | - | - | -
            evt.plugininfo | string | - | - | -
            evt.num | int | - | - | -
            evt.rawtime | int | - | - | -
            evt.rawtime.s | int | - | - | -
            evt.rawtime.ns | int | - | - | -
            jevt.value | string | [key] | - | -
            """)
}
