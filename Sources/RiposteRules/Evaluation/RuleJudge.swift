internal import RiposteCore

/// Judges one event after the other by a plan. It remembers within one event what fields, literals and tests gave, so each is worked out at most
/// once, and allocates nothing where nothing matches. One thread uses it.
package final class RuleJudge {
    /// What is known of a slot for the present event; each part is valid where its stamp is the event's.
    private struct SlotState {
        var stamp: UInt32 = 0
        var exactStamp: UInt32 = 0
        var prefixStamp: UInt32 = 0
        var suffixStamp: UInt32 = 0
        var pathStamp: UInt32 = 0
        var partStamp: UInt32 = 0
        var foldedStamp: UInt32 = 0
        var exact: Int32 = -1
        var prefix: Int32 = -1
        var suffix: Int32 = -1
        var path: Int32 = -1
        var partBits: UnsafeMutablePointer<UInt64>?
        var foldedBits: UnsafeMutablePointer<UInt64>?
        var value: FieldView = .absent
    }

    package let plan: RulePlan
    package let arena = FieldArena()
    private let slots: UnsafeMutablePointer<SlotState>
    /// Twice the stamp, and one more where the test held; first the operations, then the parts.
    private let memos: UnsafeMutablePointer<UInt32>
    private let memoCount: Int
    private let bits: UnsafeMutablePointer<UInt64>
    private let bitCount: Int
    private let candidates: UnsafeMutablePointer<UInt64>
    private let found: UnsafeMutablePointer<Int32>
    private var stamp: UInt32 = 0
    private unowned(unsafe) var event: any RuleEvent

    package init(_ plan: RulePlan) {
        self.plan = plan
        event = Nothing.event
        slots = .allocate(capacity: max(1, plan.slotCount))
        slots.initialize(repeating: SlotState(), count: plan.slotCount)
        memoCount = plan.operationCount + plan.partCount
        memos = .allocate(capacity: max(1, memoCount))
        memos.initialize(repeating: 0, count: memoCount)
        bitCount = plan.scanWords.reduce(0) { $0 + $1.parts + $1.folded }
        bits = .allocate(capacity: max(1, bitCount))
        candidates = .allocate(capacity: max(1, (plan.widest + 63) / 64))
        found = .allocate(capacity: max(1, plan.widest))
        var next = bits
        for (slot, words) in plan.scanWords.enumerated() {
            slots[slot].partBits = next
            next += words.parts
            slots[slot].foldedBits = next
            next += words.folded
        }
    }

    deinit {
        slots.deallocate()
        memos.deallocate()
        bits.deallocate()
        candidates.deallocate()
        found.deallocate()
    }

    /// An event without fields, for the time before the first.
    private final class Nothing: RuleEvent, Sendable {
        static let event = Nothing()
        var type: EventType { .other }
        func value(of field: EventField, in arena: FieldArena) -> FieldView { .absent }
    }

    // MARK: - Events

    /// Begins with an event: what was known of the last one is forgotten.
    package func begin(_ event: any RuleEvent) {
        self.event = event
        arena.reset()
        stamp &+= 1
        guard stamp >= 1 << 31 else { return }
        for slot in 0..<plan.slotCount {
            let (parts, folded) = (slots[slot].partBits, slots[slot].foldedBits)
            slots[slot] = SlotState()
            (slots[slot].partBits, slots[slot].foldedBits) = (parts, folded)
        }
        memos.update(repeating: 0, count: memoCount)
        stamp = 1
    }

    /// The indices of the conditions that hold for the event, in the order in which the plan has them, valid until the next call. With
    /// `stopsAtFirst` at most one.
    package func judge(_ event: any RuleEvent, stopsAtFirst: Bool = false) -> UnsafeBufferPointer<Int32> {
        let type = Int(event.type.rawValue)
        let index = type < EventType.count ? Int(plan.typeIndex[type]) : 0
        let typePlan = plan.typePlans + index
        guard typePlan.pointee.ruleCount > 0 else { return UnsafeBufferPointer(start: found, count: 0) }
        begin(event)
        let words = typePlan.pointee.always.count
        for word in 0..<words { candidates[word] = typePlan.pointee.always[word] }
        for gate in 0..<typePlan.pointee.gates.count { open(typePlan.pointee.gates.baseAddress.unsafelyUnwrapped + gate) }
        var count = 0
        for word in 0..<words {
            var rest = candidates[word]
            while rest != 0 {
                let rule = word << 6 + rest.trailingZeroBitCount
                rest &= rest &- 1
                guard run(typePlan.pointee.entries[rule]) else { continue }
                found[count] = typePlan.pointee.roots[rule]
                count += 1
                if stopsAtFirst { return UnsafeBufferPointer(start: found, count: count) }
            }
        }
        return UnsafeBufferPointer(start: found, count: count)
    }

    /// Whether one condition holds for the event that was begun.
    package func holds(_ root: Int) -> Bool { run(plan.roots[root]) }

    // MARK: - Gates

    private func open(_ gate: UnsafePointer<Gate>) {
        let index = gate.pointee.index
        switch gate.pointee.kind {
        case .test: if holds(operation: index) { admit(gate, 0) }
        case .negatedTest: if !holds(operation: index) { admit(gate, 0) }
        case .exact: if let text = text(Int(index)) { admit(gate, exact(Int(index), text)) }
        case .prefix:
            guard let text = text(Int(index)) else { return }
            let tries = family(Int(index)).prefixes.unsafelyUnwrapped
            var literal = prefix(Int(index), text)
            while literal >= 0 {
                admit(gate, literal)
                literal = tries.parent(literal)
            }
        case .suffix:
            guard let text = text(Int(index)) else { return }
            let tries = family(Int(index)).suffixes.unsafelyUnwrapped
            var literal = suffix(Int(index), text)
            while literal >= 0 {
                admit(gate, literal)
                literal = tries.parent(literal)
            }
        case .path:
            guard let text = text(Int(index)) else { return }
            let tries = family(Int(index)).paths.unsafelyUnwrapped
            var literal = path(Int(index), text)
            while literal >= 0 {
                admit(gate, literal)
                literal = tries.parent(literal)
            }
        case .part: if let text = text(Int(index)) { admit(gate, bits: parts(Int(index), text)) }
        case .foldedPart: if let text = text(Int(index)) { admit(gate, bits: foldedParts(Int(index), text)) }
        }
    }

    @inline(__always) private func admit(_ gate: UnsafePointer<Gate>, _ literal: Int32) {
        guard literal >= 0 else { return }
        var place = Int(gate.pointee.offsets[Int(literal)])
        let end = Int(gate.pointee.offsets[Int(literal) + 1])
        while place < end {
            let rule = Int(gate.pointee.conditions[place])
            candidates[rule >> 6] |= 1 << UInt64(rule & 63)
            place += 1
        }
    }

    private func admit(_ gate: UnsafePointer<Gate>, bits: UnsafeMutablePointer<UInt64>) {
        let count = gate.pointee.offsets.count - 1
        for word in 0..<((count + 63) / 64) {
            var rest = bits[word]
            while rest != 0 {
                admit(gate, Int32(word << 6 + rest.trailingZeroBitCount))
                rest &= rest &- 1
            }
        }
    }

    // MARK: - Programs

    private func run(_ start: Int32) -> Bool {
        var place = start
        while place >= 0 {
            let instruction = plan.code[Int(place)]
            let held = instruction.test >= 0 ? holds(operation: instruction.test) : holds(part: ~instruction.test)
            place = held ? instruction.onTrue : instruction.onFalse
        }
        return place == Instruction.holds
    }

    private func holds(part: Int32) -> Bool {
        let memo = memos + plan.operationCount + Int(part)
        if memo.pointee >> 1 == stamp { return memo.pointee & 1 == 1 }
        let held = run(plan.parts[Int(part)])
        memo.pointee = stamp << 1 | (held ? 1 : 0)
        return held
    }

    @inline(__always) private func holds(operation index: Int32) -> Bool {
        let memo = memos + Int(index)
        if memo.pointee >> 1 == stamp { return memo.pointee & 1 == 1 }
        let held = test(plan.operations + Int(index))
        memo.pointee = stamp << 1 | (held ? 1 : 0)
        return held
    }

    // MARK: - Tests

    private func test(_ operation: UnsafePointer<TestOperation>) -> Bool {
        let slot = Int(operation.pointee.slot)
        let value = value(slot)
        switch value {
        case .absent: return false
        case .list(let elements): return test(operation, elements, value)
        default: break
        }
        return holds(operation, value, slot) != operation.pointee.isNegated
    }

    /// Several values at once. A list where one value is expected, as alerts can have it, is different from everything.
    private func test(_ operation: UnsafePointer<TestOperation>, _ elements: UnsafeBufferPointer<FieldView>, _ whole: FieldView) -> Bool {
        if operation.pointee.kind == .exists { return true }
        if operation.pointee.kind == .matcher, operation.pointee.mode == .one, operation.pointee.matcher.unsafelyUnwrapped._withUnsafeGuaranteedRef({ $0 is ComparisonMatcher }) {
            return operation.pointee.matcher.unsafelyUnwrapped._withUnsafeGuaranteedRef { $0.matches(whole, self) } != operation.pointee.isNegated
        }
        guard operation.pointee.mode != .one else { return operation.pointee.isNegated }
        let wantsAll = operation.pointee.mode == .every
        for element in elements where (holds(operation, element) != operation.pointee.isNegated) != wantsAll { return !wantsAll }
        return wantsAll
    }

    /// One value that is not the slot's own: an element of a list.
    func holds(_ operation: UnsafePointer<TestOperation>, _ value: FieldView) -> Bool { holds(operation, value, nil) }

    /// `slot` is where the value stands, so that what its text is among the literals is remembered; nil for other values.
    private func holds(_ operation: UnsafePointer<TestOperation>, _ value: FieldView, _ slot: Int?) -> Bool {
        switch operation.pointee.kind {
        case .exists: return true
        case .never: return false
        case .matcher: return operation.pointee.matcher.unsafelyUnwrapped._withUnsafeGuaranteedRef { $0.matches(value, self) }
        case .equalInteger, .less, .lessOrEqual, .greater, .greaterOrEqual, .lessUnsigned, .lessOrEqualUnsigned, .greaterUnsigned, .greaterOrEqualUnsigned:
            guard case .integer(let number) = value else { return false }
            return compare(operation.pointee.kind, number, operation.pointee.number)
        case .bool:
            guard case .bool(let truth) = value else { return false }
            return truth == (operation.pointee.number != 0)
        default:
            guard case .text(let text) = value else { return false }
            return holds(operation, text, slot)
        }
    }

    @inline(__always) private func compare(_ kind: TestOperation.Kind, _ left: Int64, _ right: Int64) -> Bool {
        switch kind {
        case .equalInteger: left == right
        case .less: left < right
        case .lessOrEqual: left <= right
        case .greater: left > right
        case .greaterOrEqual: left >= right
        case .lessUnsigned: UInt64(bitPattern: left) < UInt64(bitPattern: right)
        case .lessOrEqualUnsigned: UInt64(bitPattern: left) <= UInt64(bitPattern: right)
        case .greaterUnsigned: UInt64(bitPattern: left) > UInt64(bitPattern: right)
        case .greaterOrEqualUnsigned: UInt64(bitPattern: left) >= UInt64(bitPattern: right)
        default: false
        }
    }

    private func holds(_ operation: UnsafePointer<TestOperation>, _ text: UnsafeRawBufferPointer, _ slot: Int?) -> Bool {
        let bytes = operation.pointee.bytes
        let number = Int32(truncatingIfNeeded: operation.pointee.number)
        switch operation.pointee.kind {
        case .equalText: return text.count == bytes.count && text.hasBytes(bytes, at: 0)
        case .hasPrefix: return text.count >= bytes.count && text.hasBytes(bytes, at: 0)
        case .hasSuffix: return text.count >= bytes.count && text.hasBytes(bytes, at: text.count - bytes.count)
        case .isLiteral: return exact(operation, text, slot) == number
        case .inLiterals:
            let literal = exact(operation, text, slot)
            return literal >= 0 && bytes[Int(literal >> 3)] >> UInt8(literal & 7) & 1 == 1
        case .beginsWithLiteral:
            let tries = family(Int(operation.pointee.slot)).prefixes.unsafelyUnwrapped
            var literal = slot.map { prefix($0, text) } ?? tries.find(text)
            while literal >= 0, literal != number { literal = tries.parent(literal) }
            return literal == number
        case .endsWithLiteral:
            let tries = family(Int(operation.pointee.slot)).suffixes.unsafelyUnwrapped
            var literal = slot.map { suffix($0, text) } ?? tries.find(text)
            while literal >= 0, literal != number { literal = tries.parent(literal) }
            return literal == number
        case .belowLiteral, .belowLiterals:
            let tries = family(Int(operation.pointee.slot)).paths.unsafelyUnwrapped
            var literal = slot.map { path($0, text) } ?? tries.find(text)
            if operation.pointee.kind == .belowLiteral {
                while literal >= 0, literal != number { literal = tries.parent(literal) }
                return literal == number
            }
            while literal >= 0, bytes[Int(literal >> 3)] >> UInt8(literal & 7) & 1 == 0 { literal = tries.parent(literal) }
            return literal >= 0
        case .containsLiteral, .containsFoldedLiteral: return contains(operation, text, slot)
        case .lessText: return text.lexicographicallyPrecedes(bytes)
        case .lessOrEqualText: return !bytes.lexicographicallyPrecedes(text)
        case .greaterText: return bytes.lexicographicallyPrecedes(text)
        case .greaterOrEqualText: return !text.lexicographicallyPrecedes(bytes)
        default: return false
        }
    }

    private func exact(_ operation: UnsafePointer<TestOperation>, _ text: UnsafeRawBufferPointer, _ slot: Int?) -> Int32 {
        if let slot { return exact(slot, text) }
        return plan.literals[Int(operation.pointee.slot)].unsafelyUnwrapped._withUnsafeGuaranteedRef { $0.exact.unsafelyUnwrapped.find(text) }
    }

    private func contains(_ operation: UnsafePointer<TestOperation>, _ text: UnsafeRawBufferPointer, _ slot: Int?) -> Bool {
        let isFolded = operation.pointee.kind == .containsFoldedLiteral
        let number = Int(operation.pointee.number)
        if let slot {
            let bits = isFolded ? foldedParts(slot, text) : parts(slot, text)
            return bits[number >> 6] >> UInt64(number & 63) & 1 == 1
        }
        let literals = family(Int(operation.pointee.slot))
        let automaton = (isFolded ? literals.foldedParts : literals.parts).unsafelyUnwrapped
        return withUnsafeTemporaryAllocation(of: UInt64.self, capacity: automaton.wordCount) { bits in
            bits.initialize(repeating: 0)
            automaton.scan(text, into: bits.baseAddress.unsafelyUnwrapped)
            return bits[number >> 6] >> UInt64(number & 63) & 1 == 1
        }
    }

    // MARK: - Values

    /// The slot's value, worked out at most once per event.
    @inline(__always) package func value(_ slot: Int) -> FieldView {
        if slots[slot].stamp == stamp { return slots[slot].value }
        return load(slot)
    }

    @inline(__always) private func text(_ slot: Int) -> UnsafeRawBufferPointer? { if case .text(let text) = value(slot) { text } else { nil } }

    private func load(_ slot: Int) -> FieldView {
        let field = plan.slotFields[slot]
        let value: FieldView
        if field >= 0 {
            value = fitted(event.value(of: plan.fields[Int(field)], in: arena), plan.slotTypes[slot])
        } else {
            value = make(plan.slots[slot])
        }
        slots[slot].value = value
        slots[slot].stamp = stamp
        return value
    }

    /// The value in the shape that tests of the slot's type expect; events that carry typed values have it already.
    @inline(__always) private func fitted(_ value: FieldView, _ type: FieldType) -> FieldView {
        switch (value, type) {
        case (.absent, _), (.text, .string), (.text, .path), (.text, .bytes), (.integer, .int), (.integer, .uint), (.integer, .port), (.integer, .time), (.integer, .duration),
            (.bool, .bool), (.address, .ip), (.address, .net):
            value
        default: fittedSlowly(value, type)
        }
    }

    private func fittedSlowly(_ value: FieldView, _ type: FieldType) -> FieldView {
        if case .list(let elements) = value {
            // As Falco's plugins have it: a list with nothing in it is no value.
            guard !elements.isEmpty else { return .absent }
            for element in elements where !Self.fits(element, type) { return arena.list(elements.map { fitted($0, type) }) }
            return value
        }
        switch type {
        case .string, .path, .bytes, .any: return .text(Transformers.text(value, arena))
        case .int, .uint, .time, .duration, .port:
            guard case .text(let text) = value else { return value }
            let digits = String(decoding: text, as: UTF8.self)
            return (Int64(digits) ?? UInt64(digits).map { Int64(bitPattern: $0) }).map(FieldView.integer) ?? value
        case .bool:
            guard case .text(let text) = value else { return value }
            if text.elementsEqual("true".utf8) { return .bool(true) }
            return text.elementsEqual("false".utf8) ? .bool(false) : value
        case .ip, .net:
            guard case .text(let text) = value, let address = IPAddress(String(decoding: text, as: UTF8.self)) else { return value }
            return .address(address)
        }
    }

    private static func fits(_ value: FieldView, _ type: FieldType) -> Bool {
        switch (value, type) {
        case (.text, .string), (.text, .path), (.text, .bytes), (.text, .any), (.address, .ip), (.address, .net), (.bool, .bool): true
        case (.integer, _): type.isNumber
        default: false
        }
    }

    private func make(_ operation: SlotOperation) -> FieldView {
        switch operation {
        case .field: return .absent
        case .constant(let bytes): return .text(bytes)
        case .number(let number): return .integer(number)
        case .list(let elements):
            let values = elements.map { value($0) }
            return values.contains(where: \.isAbsent) ? .absent : arena.list(values)
        case .transform(let name, let arguments, let selector): return Transformers.apply(name, arguments.map { value($0) }, selector: selector, arena)
        }
    }

    // MARK: - Literals

    @inline(__always) private func family(_ slot: Int) -> SlotLiterals { plan.literals[slot].unsafelyUnwrapped._withUnsafeGuaranteedRef { $0 } }

    private func exact(_ slot: Int, _ text: UnsafeRawBufferPointer) -> Int32 {
        if slots[slot].exactStamp == stamp { return slots[slot].exact }
        let literal = plan.literals[slot].unsafelyUnwrapped._withUnsafeGuaranteedRef { $0.exact.unsafelyUnwrapped.find(text) }
        slots[slot].exact = literal
        slots[slot].exactStamp = stamp
        return literal
    }

    private func prefix(_ slot: Int, _ text: UnsafeRawBufferPointer) -> Int32 {
        if slots[slot].prefixStamp == stamp { return slots[slot].prefix }
        let literal = plan.literals[slot].unsafelyUnwrapped._withUnsafeGuaranteedRef { $0.prefixes.unsafelyUnwrapped.find(text) }
        slots[slot].prefix = literal
        slots[slot].prefixStamp = stamp
        return literal
    }

    private func suffix(_ slot: Int, _ text: UnsafeRawBufferPointer) -> Int32 {
        if slots[slot].suffixStamp == stamp { return slots[slot].suffix }
        let literal = plan.literals[slot].unsafelyUnwrapped._withUnsafeGuaranteedRef { $0.suffixes.unsafelyUnwrapped.find(text) }
        slots[slot].suffix = literal
        slots[slot].suffixStamp = stamp
        return literal
    }

    private func path(_ slot: Int, _ text: UnsafeRawBufferPointer) -> Int32 {
        if slots[slot].pathStamp == stamp { return slots[slot].path }
        let literal = plan.literals[slot].unsafelyUnwrapped._withUnsafeGuaranteedRef { $0.paths.unsafelyUnwrapped.find(text) }
        slots[slot].path = literal
        slots[slot].pathStamp = stamp
        return literal
    }

    private func parts(_ slot: Int, _ text: UnsafeRawBufferPointer) -> UnsafeMutablePointer<UInt64> {
        let bits = slots[slot].partBits.unsafelyUnwrapped
        if slots[slot].partStamp == stamp { return bits }
        plan.literals[slot].unsafelyUnwrapped._withUnsafeGuaranteedRef { literals in
            let automaton = literals.parts.unsafelyUnwrapped
            bits.update(repeating: 0, count: automaton.wordCount)
            automaton.scan(text, into: bits)
        }
        slots[slot].partStamp = stamp
        return bits
    }

    private func foldedParts(_ slot: Int, _ text: UnsafeRawBufferPointer) -> UnsafeMutablePointer<UInt64> {
        let bits = slots[slot].foldedBits.unsafelyUnwrapped
        if slots[slot].foldedStamp == stamp { return bits }
        plan.literals[slot].unsafelyUnwrapped._withUnsafeGuaranteedRef { literals in
            let automaton = literals.foldedParts.unsafelyUnwrapped
            bits.update(repeating: 0, count: automaton.wordCount)
            automaton.scan(text, into: bits)
        }
        slots[slot].foldedStamp = stamp
        return bits
    }
}

extension UnsafeRawBufferPointer {
    /// Whether `part`, of which there is room, stands at a place.
    @inline(__always) fileprivate func hasBytes(_ part: UnsafeRawBufferPointer, at place: Int) -> Bool {
        guard let start = baseAddress, let other = part.baseAddress, part.count > 0 else { return part.count == 0 }
        return (start + place).hasSameBytes(as: other, count: part.count)
    }
}
