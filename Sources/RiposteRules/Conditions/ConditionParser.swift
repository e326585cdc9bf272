internal import RiposteCore

extension Condition {
    /// Parentheses inside one another, in a filter that stands alone and in a rules file. Falco's limits, 100 and 1000, count
    /// the calls of its parser, five to a parenthesis; these allow more than that and little enough for the stack of any thread.
    package static let depthLimit = 100
    static let depthLimitInRules = 250

    /// Reads a whole condition. The grammar is Falco's, quirks included: operators are found by the longest match and need not be followed
    /// by a blank where no text could follow, `or` binds weakest, an even number of `not` is none.
    package init(parsing text: String) throws(ConditionError) {
        try self.init(parsing: Array(text.utf8), depthLimit: Self.depthLimit)
    }

    init(parsing bytes: [UInt8], depthLimit: Int) throws(ConditionError) {
        var parser = ConditionParser(bytes, depthLimit: depthLimit)
        self = try parser.whole()
    }
}

extension Condition.FieldReference {
    /// Reads a field with its argument that begins at a byte of a text, and gives where it ends; nil where none does.
    static func parse(_ bytes: [UInt8], at start: Int) -> (Condition.FieldReference, end: Int)? {
        var parser = ConditionParser(bytes, depthLimit: Condition.depthLimit)
        return parser.field(at: start)
    }
}

extension Condition.Transform {
    /// Reads a transformer that begins at a byte of a text, and gives where it ends; nil where none begins.
    static func parse(_ bytes: [UInt8], at start: Int) throws(ConditionError) -> (Condition.Transform, end: Int)? {
        var parser = ConditionParser(bytes, depthLimit: Condition.depthLimit)
        return try parser.transform(at: start)
    }
}

private struct ConditionParser {
    private let text: [UInt8]
    private var position = 0
    private var depth = 0
    private var transformDepth = 0

    private static let transformLimit = 50

    private let depthLimit: Int

    /// Blanks at the end are left out, so that what is missing there is missing right behind the last word.
    init(_ text: [UInt8], depthLimit: Int) {
        self.text = Array(text[..<(text.lastIndex { !$0.isBlank }.map { $0 + 1 } ?? 0)])
        self.depthLimit = depthLimit
    }

    mutating func transform(at start: Int) throws(ConditionError) -> (Condition.Transform, end: Int)? {
        position = start
        guard let transform = try transform() else { return nil }
        return (transform, position)
    }

    mutating func field(at start: Int) -> (Condition.FieldReference, end: Int)? {
        position = start
        guard let field = try? field() else { return nil }
        return (field, position)
    }

    mutating func whole() throws(ConditionError) -> Condition {
        skipBlanks()
        guard position < text.count else { throw ConditionError("the condition is empty", at: position) }
        let condition = try disjunction()
        skipBlanks()
        guard position == text.count else { throw unexpected("expected 'and', 'or' or the end") }
        return condition
    }

    // MARK: - Logic

    private mutating func disjunction() throws(ConditionError) -> Condition {
        let first = try conjunction()
        guard takeConnective("or") else { return first }
        var parts = [first]
        repeat { parts.append(try conjunction()) } while takeConnective("or")
        return .or(parts)
    }

    private mutating func conjunction() throws(ConditionError) -> Condition {
        let first = try negation()
        guard takeConnective("and") else { return first }
        var parts = [first]
        repeat { parts.append(try negation()) } while takeConnective("and")
        return .and(parts)
    }

    /// `and` and `or` are followed by a blank or a parenthesis.
    private mutating func takeConnective(_ word: String) -> Bool {
        let start = position
        skipBlanks()
        if takeConnected(word) { return true }
        position = start
        return false
    }

    private mutating func takeConnected(_ word: String) -> Bool {
        take(word) && position < text.count && (text[position].isBlank || text[position] == UInt8(ascii: "("))
    }

    private mutating func negation() throws(ConditionError) -> Condition {
        var isNegated = false
        while true {
            skipBlanks()
            let start = position
            guard takeConnected("not") else {
                position = start
                break
            }
            isNegated.toggle()
        }
        let condition = try primary()
        return isNegated ? .not(condition) : condition
    }

    private mutating func primary() throws(ConditionError) -> Condition {
        skipBlanks()
        guard take("(") else { return try comparisonOrMacro() }
        depth += 1
        guard depth <= depthLimit else { throw ConditionError("nested deeper than \(depthLimit) levels", at: position) }
        let condition = try disjunction()
        skipBlanks()
        guard take(")") else { throw unexpected("expected ')'") }
        depth -= 1
        return condition
    }

    private mutating func comparisonOrMacro() throws(ConditionError) -> Condition {
        let start = position
        if let transform = try transform() { return .test(try test(of: .transform(transform), from: start)) }
        if let field = try field() { return .test(try test(of: .field(field), from: start)) }
        if start < text.count, isLetter(text[start]), let name = identifier() {
            guard name != "and", name != "or", name != "not" else { throw ConditionError("\"\(name)\" stands where a field or '(' is expected, or nothing follows it", at: start) }
            let end = position
            skipBlanks()
            if let word = takeOperator() {
                throw ConditionError("\"\(name)\" stands before \(word.rawValue) and is no field: the name of a field has a dot", at: start)
            }
            position = end
            return .macro(name, start..<end)
        }
        throw unexpected("expected a field, '(' or 'not'")
    }

    // MARK: - Comparisons

    private mutating func test(of left: Condition.Operand, from start: Int) throws(ConditionError) -> Condition.Test {
        skipBlanks()
        let comparison = try comparison()
        var modifier: Condition.Modifier?
        let right: Condition.Right
        switch comparison {
        case .exists: right = .nothing
        case .within, .intersects, .pmatch: right = try listOrOperand()
        case .less, .lessOrEqual, .greater, .greaterOrEqual: right = try number()
        default:
            modifier = takeModifier()
            right = modifier == nil ? try value() : .list(try list())
        }
        return Condition.Test(left: left, comparison: comparison, modifier: modifier, right: right, range: start..<position)
    }

    private mutating func takeOperator() -> Condition.Comparison? {
        for (word, comparison) in Self.symbols where take(word) { return comparison }
        for comparison in Self.words where takeWord(comparison.rawValue, closed: comparison != .exists) { return comparison }
        return nil
    }

    private mutating func comparison() throws(ConditionError) -> Condition.Comparison {
        if let comparison = takeOperator() { return comparison }
        let given = String(decoding: text[position...].prefix { !$0.isBlank && $0 != UInt8(ascii: "(") && $0 != UInt8(ascii: ")") }, as: UTF8.self)
        throw ConditionError(
            given.isEmpty ? "expected an operator" : "\"\(given.escapedForDisplay)\" is no operator", at: position,
            suggestion: nearMiss(to: given, among: Condition.Comparison.allCases.map(\.rawValue)))
    }

    private static let symbols: [(String, Condition.Comparison)] = [
        ("==", .equal), ("=", .equal), ("!=", .notEqual), ("<=", .lessOrEqual), ("<", .less), (">=", .greaterOrEqual), (">", .greater),
    ]

    private static let words: [Condition.Comparison] = [
        .exists, .contains, .icontains, .bcontains, .startswith, .bstartswith, .endswith, .glob, .iglob, .regex, .within, .intersects, .pmatch,
    ]

    private mutating func takeWord(_ word: String, closed: Bool) -> Bool {
        let start = position
        guard take(word) else { return false }
        if !closed || position == text.count || text[position].isBlank || text[position] == UInt8(ascii: "(") { return true }
        position = start
        return false
    }

    private mutating func takeModifier() -> Condition.Modifier? {
        let start = position
        skipBlanks()
        for modifier in Condition.Modifier.allCases where takeWord(modifier.rawValue, closed: true) {
            skipBlanks()
            let here = position
            if position < text.count, text[position] == UInt8(ascii: "(") { return modifier }
            // The name of a list, which where there are no lists is the list of that one word.
            if let word = identifier(), word != "and", word != "or", word != "not" {
                position = here
                return modifier
            }
        }
        position = start
        return nil
    }

    private mutating func value() throws(ConditionError) -> Condition.Right {
        skipBlanks()
        if let operand = try rightOperand() { return .operand(operand) }
        guard let literal = try literal() else { throw unexpected("expected a value") }
        return .literal(literal)
    }

    /// What may stand right of `<` and its like: a number, or another field.
    private mutating func number() throws(ConditionError) -> Condition.Right {
        skipBlanks()
        if let operand = try rightOperand() { return .operand(operand) }
        let start = position
        guard let literal = try literal(), !literal.isQuoted, Self.isNumber(literal.bytes) else { throw ConditionError("expected a number", at: start) }
        return .literal(literal)
    }

    private mutating func listOrOperand() throws(ConditionError) -> Condition.Right {
        skipBlanks()
        if let operand = try rightOperand() { return .operand(operand) }
        return .list(try list())
    }

    /// A list in parentheses, or a bare word: the name of a list, which where there are no lists is the list of that one word. Where there was
    /// a list of that name, its items stand here with commas between.
    private mutating func list() throws(ConditionError) -> [Condition.Literal] {
        skipBlanks()
        guard take("(") else {
            var items: [Condition.Literal] = []
            repeat {
                skipBlanks()
                guard let literal = try literal() else { throw unexpected(items.isEmpty ? "expected a list such as (a, b)" : "expected a value") }
                items.append(literal)
            } while takeAfterBlanks(",")
            return items
        }
        var literals: [Condition.Literal] = []
        skipBlanks()
        if take(")") { return literals }
        while true {
            skipBlanks()
            guard let literal = try literal() else { throw unexpected("expected a value") }
            literals.append(literal)
            skipBlanks()
            if take(",") { continue }
            guard take(")") else { throw unexpected("expected ',' or ')'") }
            return literals
        }
    }

    private static func isNumber(_ bytes: [UInt8]) -> Bool {
        guard let first = bytes.first else { return false }
        let digits = first == UInt8(ascii: "-") || first == UInt8(ascii: "+") ? bytes.dropFirst() : bytes[...]
        return digits.first.map { 0x30...0x39 ~= $0 } ?? false
    }

    // MARK: - Operands

    private mutating func rightOperand() throws(ConditionError) -> Condition.Operand? {
        if take("val(") {
            skipBlanks()
            guard let field = try field() else { throw unexpected("expected a field in val()") }
            skipBlanks()
            guard take(")") else { throw unexpected("expected ')' after val(\(field.text)") }
            return .field(field)
        }
        return try transform().map(Condition.Operand.transform)
    }

    private mutating func transform() throws(ConditionError) -> Condition.Transform? {
        let start = position
        for name in Condition.Transform.Name.allCases where take(name.rawValue + "(") {
            transformDepth += 1
            guard transformDepth <= Self.transformLimit else { throw ConditionError("transformers are nested deeper than \(Self.transformLimit) levels", at: start) }
            var arguments: [Condition.Operand] = []
            repeat { arguments.append(try argument()) } while takeAfterBlanks(",")
            guard takeAfterBlanks(")") else { throw unexpected("expected ',' or ')' in \(name.rawValue)()") }
            transformDepth -= 1
            let selector = position < text.count && text[position] == UInt8(ascii: "[") ? try bracketed() : nil
            return Condition.Transform(name: name, arguments: arguments, selector: selector, range: start..<position)
        }
        return nil
    }

    private mutating func argument() throws(ConditionError) -> Condition.Operand {
        skipBlanks()
        guard take("(") else { return try element() }
        var elements: [Condition.Operand] = []
        if takeAfterBlanks(")") { return .list([]) }
        repeat { elements.append(try element()) } while takeAfterBlanks(",")
        guard takeAfterBlanks(")") else { throw unexpected("expected ',' or ')'") }
        return .list(elements)
    }

    /// What a list may hold, which are no lists.
    private mutating func element() throws(ConditionError) -> Condition.Operand {
        skipBlanks()
        if let transform = try transform() { return .transform(transform) }
        if let field = try field() { return .field(field) }
        let start = position
        guard start < text.count else { throw unexpected("expected a field, a text in quotes, a number or a transformer") }
        guard let literal = try literal(), text[start] == UInt8(ascii: "\"") || text[start] == UInt8(ascii: "'") || Self.isNumber(literal.bytes) else {
            throw ConditionError("expected a field, a text in quotes, a number or a transformer", at: start)
        }
        return .literal(literal)
    }

    private mutating func takeAfterBlanks(_ word: String) -> Bool {
        skipBlanks()
        return take(word)
    }

    /// At least one dot: `proc.name`, `proc.aname[2]`.
    private mutating func field() throws(ConditionError) -> Condition.FieldReference? {
        let start = position
        guard identifier() != nil, position < text.count, text[position] == UInt8(ascii: ".") else {
            position = start
            return nil
        }
        let isOfSteps = text[start..<position].elementsEqual("steps".utf8)
        var isFirst = true
        while position < text.count, text[position] == UInt8(ascii: ".") {
            position += 1
            guard (isOfSteps && isFirst ? stepName() : identifier()) != nil else { throw unexpected("expected a name after '.'") }
            isFirst = false
        }
        let name = String(decoding: text[start..<position], as: UTF8.self)
        let argument = position < text.count && text[position] == UInt8(ascii: "[") ? try bracketed() : nil
        return Condition.FieldReference(name: name, argument: argument, range: start..<position)
    }

    /// `container-pause` of `steps.container-pause.outcome`: names of steps have dashes.
    private mutating func stepName() -> String? {
        let start = position
        while position < text.count, isLetter(text[position]) || 0x30...0x39 ~= text[position] || text[position] == UInt8(ascii: "-") { position += 1 }
        return position > start ? String(decoding: text[start..<position], as: UTF8.self) : nil
    }

    private mutating func bracketed() throws(ConditionError) -> String {
        position += 1
        let start = position
        if position < text.count, text[position] == UInt8(ascii: "\"") || text[position] == UInt8(ascii: "'") {
            let bytes = try quoted()
            guard take("]") else { throw unexpected("expected ']'") }
            return String(decoding: bytes, as: UTF8.self)
        }
        while position < text.count, ![UInt8(ascii: "]"), UInt8(ascii: "["), UInt8(ascii: "\""), UInt8(ascii: "'")].contains(text[position]), !text[position].isBlank {
            position += 1
        }
        guard position > start, position < text.count, text[position] == UInt8(ascii: "]") else { throw unexpected("expected an argument and ']'") }
        defer { position += 1 }
        return String(decoding: text[start..<position], as: UTF8.self)
    }

    private mutating func identifier() -> String? {
        let start = position
        guard position < text.count, isLetter(text[position]) || text[position] == UInt8(ascii: "_") else { return nil }
        while position < text.count, isLetter(text[position]) || 0x30...0x39 ~= text[position] || text[position] == UInt8(ascii: "_") { position += 1 }
        return String(decoding: text[start..<position], as: UTF8.self)
    }

    // MARK: - Literals

    private mutating func literal() throws(ConditionError) -> Condition.Literal? {
        let start = position
        guard position < text.count else { return nil }
        if text[position] == UInt8(ascii: "\"") || text[position] == UInt8(ascii: "'") {
            return Condition.Literal(bytes: try quoted(), range: start..<position, isQuoted: true)
        }
        while position < text.count, !text[position].isBlank, !Self.endsBareWord(text[position]) { position += 1 }
        return position > start ? Condition.Literal(bytes: Array(text[start..<position]), range: start..<position) : nil
    }

    private static func endsBareWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "="), UInt8(ascii: ","): true
        default: false
        }
    }

    private mutating func quoted() throws(ConditionError) -> [UInt8] {
        let start = position
        let quote = text[position]
        position += 1
        var bytes: [UInt8] = []
        while position < text.count {
            let byte = text[position]
            position += 1
            if byte == quote { return bytes }
            bytes.append(byte == UInt8(ascii: "\\") ? try escape(quote) : byte)
        }
        throw ConditionError("this quote is never closed", at: start)
    }

    private mutating func escape(_ quote: UInt8) throws(ConditionError) -> UInt8 {
        guard position < text.count else { throw ConditionError("the text ends inside an escape", at: position) }
        let byte = text[position]
        position += 1
        switch byte {
        case quote, UInt8(ascii: "\\"), UInt8(ascii: "/"): return byte
        case UInt8(ascii: "b"): return 0x08
        case UInt8(ascii: "f"): return 0x0C
        case UInt8(ascii: "n"): return 0x0A
        case UInt8(ascii: "r"): return 0x0D
        case UInt8(ascii: "t"): return 0x09
        case UInt8(ascii: " "): return UInt8(ascii: "\\")
        case UInt8(ascii: "x"):
            guard position + 2 <= text.count, let value = UInt8(String(decoding: text[position..<position + 2], as: UTF8.self), radix: 16) else {
                throw ConditionError("expected two hexadecimal digits after \\x", at: position)
            }
            position += 2
            return value
        default: throw ConditionError("unknown escape", at: position - 2)
        }
    }

    // MARK: - Bytes

    private mutating func take(_ word: String) -> Bool {
        let bytes = word.utf8
        guard text[position...].starts(with: bytes) else { return false }
        position += bytes.count
        return true
    }

    private mutating func skipBlanks() { while position < text.count, text[position].isBlank { position += 1 } }

    private func isLetter(_ byte: UInt8) -> Bool { 0x41...0x5A ~= byte & 0xDF }

    private func unexpected(_ expectation: String) -> ConditionError {
        let left = text[position...]
        if left.elementsEqual("and".utf8) || left.elementsEqual("or".utf8) { return ConditionError("nothing follows \"\(String(decoding: left, as: UTF8.self))\"", at: position) }
        guard position < text.count else { return ConditionError("\(expectation), but the text ends", at: position) }
        return ConditionError(expectation, at: position)
    }
}
