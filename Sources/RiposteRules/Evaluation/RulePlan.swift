internal import RiposteCore

/// Conditions compiled to what the judge runs: one table of tests in which equal ones are one, short programs that name them, and per event
/// type the conditions that can hold at all, found through what they cannot do without.
///
/// Immutable and made of plain memory, so that many threads may judge by one plan without counting references.
package final class RulePlan: @unchecked Sendable {
    // Nothing changes after init; the memory lives as long as the plan.

    let fields: UnsafeMutablePointer<EventField>
    let slots: [SlotOperation]
    let slotTypes: UnsafeMutablePointer<FieldType>
    /// The field of each slot, or -1 for what transformers make.
    let slotFields: UnsafeMutablePointer<Int32>
    let slotCount: Int
    let fieldCount: Int
    let literals: UnsafeMutablePointer<Unmanaged<SlotLiterals>?>
    let operations: UnsafeMutablePointer<TestOperation>
    let operationCount: Int
    let code: UnsafeMutablePointer<Instruction>
    let codeCount: Int
    /// Where the program of each shared part of conditions begins.
    let parts: UnsafeMutablePointer<Int32>
    let partCount: Int
    /// Where the program of each condition begins, whatever the event's type.
    let roots: [Int32]
    let typePlans: UnsafeMutablePointer<TypePlan>
    let typePlanCount: Int
    /// By event type, the index of its plan.
    let typeIndex: UnsafeMutablePointer<UInt16>
    /// Words that the scans for substrings need.
    let scanWords: [(parts: Int, folded: Int)]
    /// The most conditions that one event type has.
    let widest: Int

    /// Keeps alive what `literals` and `operations` point to.
    private let owned: [AnyObject]
    private let constants: FieldArena

    init(_ parts: RulePlanParts) {
        func memory<Element>(_ elements: [Element]) -> UnsafeMutablePointer<Element> {
            let memory = UnsafeMutablePointer<Element>.allocate(capacity: max(1, elements.count))
            memory.initialize(from: elements, count: elements.count)
            return memory
        }
        fields = memory(parts.fields)
        fieldCount = parts.fields.count
        slots = parts.slots
        slotTypes = memory(parts.slotTypes)
        slotFields = memory(parts.slots.map { if case .field(let index) = $0 { Int32(index) } else { -1 } })
        slotCount = parts.slots.count
        literals = memory(parts.literals.map { $0.map(Unmanaged.passUnretained) })
        operations = memory(parts.operations)
        operationCount = parts.operations.count
        code = memory(parts.code)
        codeCount = parts.code.count
        self.parts = memory(parts.parts)
        partCount = parts.parts.count
        roots = parts.roots
        typePlans = memory(parts.typePlans)
        typePlanCount = parts.typePlans.count
        typeIndex = memory(parts.typeIndex)
        scanWords = parts.literals.map { ($0?.parts?.wordCount ?? 0, $0?.foldedParts?.wordCount ?? 0) }
        widest = parts.typePlans.map { Int($0.ruleCount) }.max() ?? 0
        owned = parts.literals.compactMap { $0 } + parts.matchers
        constants = parts.constants
    }

    deinit {
        fields.deallocate()
        slotTypes.deallocate()
        slotFields.deallocate()
        literals.deallocate()
        operations.deallocate()
        code.deallocate()
        parts.deallocate()
        typePlans.deallocate()
        typeIndex.deallocate()
    }
}

/// What a plan is made of, while it is made.
struct RulePlanParts {
    var fields: [EventField] = []
    var slots: [SlotOperation] = []
    var slotTypes: [FieldType] = []
    var literals: [SlotLiterals?] = []
    var operations: [TestOperation] = []
    var matchers: [Matcher] = []
    var code: [Instruction] = []
    var parts: [Int32] = []
    var roots: [Int32] = []
    var typePlans: [TypePlan] = []
    var typeIndex: [UInt16] = []
    /// Owns the memory that everything above points to.
    let constants = FieldArena()
}

/// How a slot gets its value.
enum SlotOperation {
    case field(Int)
    case constant(UnsafeRawBufferPointer)
    case number(Int64)
    case list([Int])
    case transform(Condition.Transform.Name, [Int], selector: [UInt8]?)
}

/// One step of a program: a test or a shared part, and where to go on. Below 0 a program ends: ``Instruction/holds`` or ``Instruction/fails``.
struct Instruction {
    static let holds: Int32 = -1
    static let fails: Int32 = -2

    /// The index of an operation, or `~` the index of a part.
    var test: Int32
    var onTrue: Int32
    var onFalse: Int32
}

/// One test, ready to run.
struct TestOperation {
    enum Kind: UInt8 {
        case exists
        case equalText, hasPrefix, hasSuffix
        /// By the number that the slot's text has in a family of literals.
        case isLiteral, inLiterals, beginsWithLiteral, endsWithLiteral, belowLiteral, belowLiterals, containsLiteral, containsFoldedLiteral
        case equalInteger, bool, less, lessOrEqual, greater, greaterOrEqual, lessUnsigned, lessOrEqualUnsigned, greaterUnsigned, greaterOrEqualUnsigned
        case lessText, lessOrEqualText, greaterText, greaterOrEqualText
        case matcher
        case never
    }

    var kind: Kind
    var isNegated = false
    var mode: ConditionGraph.Mode = .one
    var slot: Int32
    /// The integer to compare with, or the literal's number.
    var number: Int64 = 0
    /// The literal, or a set of literals' numbers as bits.
    var bytes = UnsafeRawBufferPointer(start: nil, count: 0)
    var matcher: Unmanaged<Matcher>?
}

/// The conditions that can hold for one type of event.
struct TypePlan {
    var ruleCount: Int32
    var gates: UnsafeMutableBufferPointer<Gate>
    /// Conditions that no gate leads to, as bits.
    var always: UnsafeMutableBufferPointer<UInt64>
    /// Per condition, in the order in which they were given: its program for this type, and its index.
    var entries: UnsafeMutableBufferPointer<Int32>
    var roots: UnsafeMutableBufferPointer<Int32>
}

/// What leads from a value to the conditions that need it: only those are looked at.
struct Gate {
    enum Kind: UInt8 { case exact, prefix, suffix, path, part, foldedPart, test, negatedTest }

    var kind: Kind
    /// The slot, or of `test` the operation.
    var index: Int32
    /// Where the conditions of the literal with this number begin in `conditions`; one more at the end.
    var offsets: UnsafeMutableBufferPointer<Int32>
    var conditions: UnsafeMutableBufferPointer<Int32>
}
