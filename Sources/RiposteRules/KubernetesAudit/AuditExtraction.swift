internal import RiposteCore

/// How one field is got out of an audit event. All values are text or lists of text: a JSON string is its text, any other value its JSON.
struct AuditExtraction: Sendable {
    /// What is asked for, and where the answer goes.
    struct Request {
        let event: KubernetesAuditEvent
        let field: EventField
        let arena: FieldArena

        subscript(pointer: StaticString) -> JSON? { event.document[pointer: pointer] }

        func text(_ json: JSON) -> FieldView { if case .string(let text) = json { arena.text(text.bytes) } else { arena.text(json.bytes) } }
    }

    /// What becomes of a list when one of the elements lacks the value. Asked for by number, such an element is absent in any case.
    enum Gaps { case skipped, skippedUnlessAll, absence }

    /// Of a field whose name begins with `ka.`.
    var isOfAudit = false
    let extract: @Sendable (Request) -> FieldView

    init(_ extract: @escaping @Sendable (Request) -> FieldView) { self.extract = extract }

    // MARK: - One text

    static func text(_ pointer: StaticString) -> AuditExtraction {
        AuditExtraction { request in request[pointer].map(request.text) ?? .absent }
    }

    static func constant(_ text: StaticString) -> AuditExtraction { AuditExtraction { $0.arena.text(text) } }

    /// A number where the catalogue says so, else its digits.
    static func number(_ value: @escaping @Sendable (KubernetesAuditEvent) -> Int64) -> AuditExtraction {
        AuditExtraction { request in
            let value = value(request.event)
            return request.field.type.isText ? request.arena.text("\(value)".utf8) : .integer(value)
        }
    }

    static func clock(_ text: @escaping @Sendable (Timestamp) -> String) -> AuditExtraction {
        AuditExtraction { request in
            request.field.type.isText ? request.arena.text(text(request.event.time).utf8) : .integer(request.event.time.nanoseconds)
        }
    }

    /// Only where another extraction has a first element: the old fields of pods' first containers.
    static func first(of list: AuditExtraction) -> AuditExtraction {
        AuditExtraction { request in
            guard case .list(let elements) = list.extract(request), let first = elements.first else { return .absent }
            return first
        }
    }

    /// Whether one of a list's elements will do: `true` or `false`; absent where the list is.
    static func any(of list: AuditExtraction, _ isIt: @escaping @Sendable (UnsafeRawBufferPointer, EventField.Argument) -> Bool) -> AuditExtraction {
        AuditExtraction { request in
            guard case .list(let elements) = list.extract(request) else { return .absent }
            let isAny = elements.contains { element in if case .text(let text) = element { isIt(text, request.field.argument) } else { false } }
            return request.arena.text(isAny ? "true" : "false")
        }
    }

    // MARK: - Lists

    /// Of each element of an array, or of the one whose number is given, what `append` finds in it; that says whether there was anything.
    static func list(
        _ array: StaticString, gaps: Gaps = .skipped, _ append: @escaping @Sendable (JSON, Request, inout [FieldView]) -> Bool
    ) -> AuditExtraction {
        AuditExtraction { request in
            guard let elements = request[array]?.array else { return .absent }
            var values: [FieldView] = []
            if case .index(let index) = request.field.argument {
                guard elements.indices.contains(index), append(elements[index], request, &values) else { return .absent }
            } else {
                for element in elements where !append(element, request, &values) && gaps == .absence { return .absent }
            }
            if gaps == .skippedUnlessAll, values.isEmpty { return .absent }
            return request.arena.list(values)
        }
    }

    /// The elements of an array.
    static func elements(_ array: StaticString) -> AuditExtraction {
        list(array) { element, request, values in
            values.append(request.text(element))
            return true
        }
    }

    /// One value of each element of an array.
    static func each(
        _ array: StaticString, _ member: StaticString, gaps: Gaps = .skipped, _ change: @escaping @Sendable (Request, JSON) -> FieldView = { $0.text($1) }
    ) -> AuditExtraction {
        list(array, gaps: gaps) { element, request, values in
            guard let value = element[pointer: member] else { return false }
            values.append(change(request, value))
            return true
        }
    }

    /// The elements of an array that each element of an array has.
    static func flattened(_ array: StaticString, _ member: StaticString) -> AuditExtraction {
        list(array) { element, request, values in
            guard let parts = element[pointer: member] else { return false }
            for part in parts.array ?? [] { values.append(request.text(part)) }
            return true
        }
    }

    /// The elements of an array that each element of an array has, as one text with blanks between them.
    static func sentence(_ array: StaticString, _ member: StaticString) -> AuditExtraction {
        list(array, gaps: .skippedUnlessAll) { element, request, values in
            guard let parts = element[pointer: member]?.array else { return false }
            values.append(request.arena.joined(parts.map(request.text), separator: [UInt8(ascii: " ")]))
            return true
        }
    }
}
