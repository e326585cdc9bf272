extension FieldTable {
    /// Fields that any source has: of the event itself, and of one that is a JSON document.
    static let documents = FieldTable(
        source: nil,
        text: """
            evt.num | uint | - | - | number of the event, counted from 1
            evt.source | string | - | - | source of the event: syscall, k8s_audit
            evt.hostname | string | - | - | name of the host, or what the configuration calls it
            evt.time | string | - | - | time of the event in the host's time zone, with nanoseconds: 11:22:33.123456789
            evt.time.s | string | - | - | evt.time without the nanoseconds
            evt.time.iso8601 | string | - | - | date and time of the event in UTC: 2026-03-04T11:22:33.123456789+0000
            evt.datetime | string | - | - | date and time of the event in the host's time zone, with nanoseconds
            evt.datetime.s | string | - | - | evt.datetime without the nanoseconds
            evt.rawtime | time | - | - | time of the event in nanoseconds since 1970
            evt.rawtime.s | uint | - | - | whole seconds of evt.rawtime
            evt.rawtime.ns | uint | - | - | nanoseconds of evt.rawtime beyond the whole seconds
            evt.reltime | duration | - | - | nanoseconds since the first event
            evt.reltime.s | uint | - | - | whole seconds of evt.reltime
            evt.reltime.ns | uint | - | - | nanoseconds of evt.reltime beyond the whole seconds
            evt.is_async | bool | - | - | whether the event tells of something that happened aside of the others, as a container that was recognised
            evt.asynctype | string | - | - | kind of such an event: container; absent for others
            evt.pluginname | string | - | - | what the event came from where it is no system call: k8saudit
            evt.plugininfo | string | - | - | the event in one line of text where it is no system call

            json.value | string | [key] | - | one value of an event that is a JSON document, by JSON pointer: json.value[/user/username]
            json.obj | string | - | - | the whole document, indented by two blanks
            json.rawtime | string | - | - | evt.rawtime as text
            jevt.value | string | [key] | - | older name of json.value
            jevt.obj | string | - | - | older name of json.obj
            jevt.rawtime | string | - | - | older name of json.rawtime

            static | string | [key] | - | text that the configuration keeps under a name of its own: static.datacenter
            util.cnt | uint | - | - | one more at each time that it is asked for, from 1
            """)
}
