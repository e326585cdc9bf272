internal import RiposteCore

/// Turns syntax trees into nodes of a graph: fields found, literals read by the field's type, operators checked against it.
struct ConditionCompiler {
    /// Which fields there are.
    enum Fields: Hashable {
        /// Those of one event source; any other is an error.
        case events(source: String)
        /// Whatever an alert carries, of any source, and names of people's own.
        case alerts
        /// The same, and fields that are not the alert's.
        case alertsAnd(ConditionScope)

        var areOfAlerts: Bool { if case .events = self { false } else { true } }
    }

    /// Something that compiles and is probably not meant.
    struct Warning {
        var code: RulesFinding.Code
        var message: String
        var offset: Int
    }

    var graph: ConditionGraph
    private(set) var warnings: [Warning] = []
    /// Macros compiled into this graph; nil inside for a broken one.
    var macroNodes: [String: ConditionGraph.NodeID?] = [:]
    /// Whether the rule at hand asks to be left out where a field is unknown.
    var leavesOutUnknown = false
    /// Fields in the order of their appearance, with those tested for `exists` and those under `not`.
    private(set) var fields: [String] = []
    private(set) var negated: [String] = []
    private(set) var provedToExist: Set<String> = []
    private var isNegated = false

    private let known: Fields
    /// The node of a macro; throws where there is none.
    private let macro: (inout ConditionCompiler, String, Int) throws(ConditionError) -> ConditionGraph.NodeID

    /// Deeper conditions are refused: planning and evaluation descend as deep.
    static let depthLimit = 200

    init(
        graph: ConditionGraph, fields: Fields, macro: @escaping (inout ConditionCompiler, String, Int) throws(ConditionError) -> ConditionGraph.NodeID
    ) {
        self.graph = graph
        known = fields
        self.macro = macro
    }

    /// Gives what has been warned of so far, and begins anew.
    mutating func takeWarnings() -> [Warning] {
        defer { warnings = [] }
        return warnings
    }

    mutating func restore(_ earlier: [Warning]) { warnings = earlier + warnings }

    mutating func node(_ condition: Condition) throws(ConditionError) -> ConditionGraph.NodeID {
        let node: ConditionGraph.NodeID
        switch condition {
        case .and(let parts): node = graph.all(try nodes(parts))
        case .or(let parts): node = graph.any(try nodes(parts))
        case .not(let part):
            isNegated.toggle()
            defer { isNegated.toggle() }
            node = graph.not(try self.node(part))
        case .test(let test): node = try self.test(test)
        case .macro(let name, let range): node = try macro(&self, name, range.lowerBound)
        }
        guard graph.depths[node] <= Self.depthLimit else { throw ConditionError("nested deeper than \(Self.depthLimit) levels, macros included", at: 0) }
        return node
    }

    private mutating func nodes(_ conditions: [Condition]) throws(ConditionError) -> [ConditionGraph.NodeID] {
        var result: [ConditionGraph.NodeID] = []
        for condition in conditions { result.append(try node(condition)) }
        return result
    }

    // MARK: - Left

    /// A value and what is known of it.
    struct Operand {
        var slot: ConditionGraph.SlotID
        var type: FieldType
        var isList = false
        var quantifier = FieldDescription.Quantifier.one
        /// May stand right of an operator.
        var isComparable = true
        var isPrintable = true
        var offset: Int
    }

    mutating func operand(_ operand: Condition.Operand) throws(ConditionError) -> Operand {
        switch operand {
        case .field(let field): return try self.field(field)
        case .literal(let literal):
            if !literal.isQuoted, let number = Int64(String(decoding: literal.bytes, as: UTF8.self)) {
                return Operand(slot: graph.slot(.number(number), .int), type: .int, offset: literal.range.lowerBound)
            }
            return Operand(slot: graph.slot(.constant(literal.bytes), .string), type: .string, offset: literal.range.lowerBound)
        case .list(let elements):
            var slots: [ConditionGraph.SlotID] = []
            for element in elements { slots.append(try self.operand(element).slot) }
            return Operand(slot: graph.slot(.list(slots), .string), type: .string, isList: true, offset: elements.first?.offset ?? 0)
        case .transform(let transform): return try self.transform(transform)
        }
    }

    private mutating func field(_ field: Condition.FieldReference) throws(ConditionError) -> Operand {
        if case .alertsAnd(let scope) = known, let type = try scope.type(of: field) {
            if !fields.contains(field.text) { fields.append(field.text) }
            let key = ConditionGraph.FieldKey(text: field.text, id: .unlisted, argument: nil, isIndex: false)
            return Operand(slot: graph.slot(.field(key), type), type: type, offset: field.range.lowerBound)
        }
        let match = try match(field)
        if !fields.contains(field.text) { fields.append(field.text) }
        guard let match else {
            let key = ConditionGraph.FieldKey(text: field.text, id: .unlisted, argument: field.argument, isIndex: false)
            return Operand(slot: graph.slot(.field(key), .any), type: .any, offset: field.range.lowerBound)
        }
        let description = match.description
        if Self.constantFields.contains(field.name) {
            warn(.deprecatedItem, "\(field.name) no longer says anything: events come when a call returns, and only then", field.range.lowerBound)
        }
        let key = ConditionGraph.FieldKey(text: field.text, id: description.id, argument: match.argument, isIndex: description.argument == .index)
        return Operand(
            slot: graph.slot(.field(key), description.type), type: description.type, isList: match.isList,
            quantifier: match.quantifier, isComparable: description.isComparable, isPrintable: description.isPrintable, offset: field.range.lowerBound)
    }

    /// The field in the catalogue; nil where alerts may carry it all the same.
    func match(_ field: Condition.FieldReference) throws(ConditionError) -> FieldCatalogue.Match? {
        switch known {
        case .events(let source): try FieldCatalogue.find(field, source: source)
        case .alerts, .alertsAnd: try FieldCatalogue.findOfAlert(field)
        }
    }

    /// Whether there is such a field, with such an argument.
    func knows(_ field: Condition.FieldReference) -> Bool {
        switch known {
        case .events(let source): FieldCatalogue.knows(field, source: source)
        case .alerts: (try? FieldCatalogue.findOfAlert(field)) != nil
        case .alertsAnd(let scope): scope.owns(field.name) ? (try? scope.type(of: field)) != nil : (try? FieldCatalogue.findOfAlert(field)) != nil
        }
    }

    /// Fields of the time when Falco's sensor told of the beginning of calls, too.
    private static let constantFields: Set<String> = [
        "evt.dir", "evt.latency", "evt.latency.s", "evt.latency.ns", "evt.latency.quantized", "evt.latency.human", "evt.wait_latency",
    ]

    private mutating func transform(_ transform: Condition.Transform) throws(ConditionError) -> Operand {
        var arguments: [Operand] = []
        for argument in transform.arguments { arguments.append(try operand(argument)) }
        let name = transform.name
        let arity: ClosedRange<Int> =
            switch name {
            case .concat: 2...64
            case .join, .getopt: 2...2
            default: 1...1
            }
        guard arity.contains(arguments.count) else {
            let words = arity.upperBound == 1 ? "one argument" : arity.lowerBound == arity.upperBound ? "two arguments" : "two or more arguments"
            throw ConditionError("\(name.rawValue)() takes \(words)", at: transform.range.lowerBound)
        }
        guard transform.selector == nil || name == .getopt else {
            throw ConditionError("only getopt() takes an argument in brackets", at: transform.range.lowerBound)
        }
        try checkArguments(arguments, of: name)
        let (type, isList): (FieldType, Bool) =
            switch name {
            case .len: (.uint, false)
            case .getopt: (.string, transform.selector == nil)
            case .tolower, .toupper, .b64: (arguments[0].type == .bytes ? .bytes : .string, arguments[0].isList)
            case .basename: (.string, arguments[0].isList)
            case .join, .concat: (.string, false)
            }
        let slot = graph.slot(.transform(name, arguments.map(\.slot), selector: transform.selector.map { Array($0.utf8) }), type)
        return Operand(slot: slot, type: type, isList: isList, offset: transform.range.lowerBound)
    }

    private func checkArguments(_ arguments: [Operand], of name: Condition.Transform.Name) throws(ConditionError) {
        func require(_ isGood: Bool, _ words: String, _ argument: Operand) throws(ConditionError) {
            guard isGood else { throw ConditionError("\(name.rawValue)() takes \(words)", at: argument.offset) }
        }
        switch name {
        case .tolower, .toupper: for argument in arguments { try require(argument.type.isText, "a text", argument) }
        case .basename: for argument in arguments { try require(argument.type.isText, "a path", argument) }
        case .b64: for argument in arguments { try require(argument.type.isText || argument.type == .bytes, "a text", argument) }
        case .len: try require(arguments[0].isList || arguments[0].type.isText || arguments[0].type == .bytes, "a text or a list", arguments[0])
        case .concat: for argument in arguments { try require(argument.type.isText && !argument.isList, "texts", argument) }
        case .join:
            try require(arguments[0].type.isText && !arguments[0].isList, "a text to put between, first", arguments[0])
            try require(arguments[1].isList || arguments[1].type == .any, "a list, second", arguments[1])
        case .getopt:
            try require(arguments[0].isList || arguments[0].type == .any, "a list of words, first", arguments[0])
            try require(arguments[1].type.isText && !arguments[1].isList, "the letters of the options, second", arguments[1])
        }
    }

    // MARK: - Tests

    private mutating func test(_ test: Condition.Test) throws(ConditionError) -> ConditionGraph.NodeID {
        let left = try operand(test.left)
        try checkOperator(test, left)
        if case .field(let field) = test.left {
            if test.comparison == .exists { provedToExist.insert(field.text) } else if isNegated { negated.append(field.text) }
            if field.name.hasPrefix("ka.") || field.name.hasPrefix("jevt.") { warnOfNotAvailable(test) }
            if field.name == "evt.type" || field.name == "syscall.type" { try checkEventTypes(test) }
        } else if let field = test.left.fields.first(where: { $0.name == "evt.type" || $0.name == "syscall.type" }) {
            throw ConditionError("event types are compared as they are; no transformer can stand around \(field.name)", at: field.range.lowerBound)
        }
        switch test.right {
        case .nothing: return graph.test(.init(slot: left.slot, predicate: .exists))
        case .operand(let operand): return try compare(test, left, operand)
        case .literal(let literal):
            warnOfFieldNames([literal], left)
            return try single(test.comparison, literal, left)
        case .list(let literals):
            warnOfFieldNames(literals, left)
            if let modifier = test.modifier { return try several(test.comparison, modifier, literals, left) }
            return try member(test.comparison, literals, left)
        }
    }

    private mutating func checkEventTypes(_ test: Condition.Test) throws(ConditionError) {
        let literals: [Condition.Literal]
        switch test.right {
        case .nothing: return
        case .literal(let literal): literals = [literal]
        case .list(let list): literals = list
        case .operand(let operand): throw ConditionError("event types are compared with names only", at: operand.offset)
        }
        for literal in literals {
            let name = String(decoding: literal.bytes, as: UTF8.self)
            guard EventType(named: name) != nil else {
                throw ConditionError(
                    "there is no event type \"\(name.escapedForDisplay)\"", at: literal.range.lowerBound, suggestion: nearMiss(to: name, among: EventType.names),
                    kind: .unknownField)
            }
        }
    }

    private func checkOperator(_ test: Condition.Test, _ left: Operand) throws(ConditionError) {
        let comparison = test.comparison
        let isAllowed: Bool
        if comparison == .exists {
            isAllowed = true
        } else if left.isList {
            isAllowed = comparison == .within || comparison == .intersects
        } else {
            switch left.type {
            case .any: isAllowed = true
            case .string, .path: isAllowed = ![.bcontains, .bstartswith].contains(comparison) || known.areOfAlerts
            case .bytes:
                isAllowed = [.equal, .notEqual, .within, .intersects, .contains, .startswith, .endswith, .bcontains, .bstartswith].contains(comparison)
            case .int, .uint, .time, .duration, .port:
                isAllowed = [.equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual, .within, .intersects].contains(comparison)
            case .bool, .ip, .net: isAllowed = [.equal, .notEqual, .within, .intersects].contains(comparison)
            }
        }
        guard isAllowed else {
            let type = left.isList ? "list of \(left.type.rawValue)" : left.type.rawValue
            throw ConditionError("the operator \(comparison.rawValue) does not go with a value of type \(type)", at: test.range.lowerBound)
        }
    }

    /// `=`, `contains`, `<` … with one literal.
    private mutating func single(_ comparison: Condition.Comparison, _ literal: Condition.Literal, _ left: Operand) throws(ConditionError) -> ConditionGraph.NodeID {
        if comparison == .regex { warnOfPlainRegex(literal) }
        let (predicate, isNegated) = try predicate(comparison, literal, left)
        return graph.test(.init(slot: left.slot, predicate: predicate, isNegated: isNegated, mode: mode(left, isNegated: isNegated)))
    }

    private func mode(_ left: Operand, isNegated: Bool) -> ConditionGraph.Mode {
        switch left.quantifier {
        case .one: .one
        case .any: .any
        case .ends: isNegated ? .every : .any
        }
    }

    /// `in`, `intersects`, `pmatch` with literals.
    private mutating func member(_ comparison: Condition.Comparison, _ literals: [Condition.Literal], _ left: Operand) throws(ConditionError) -> ConditionGraph.NodeID {
        let predicate: ConditionGraph.Predicate
        if comparison == .pmatch {
            predicate = .pathPrefixes(unique(literals.map(\.bytes)))
        } else {
            predicate = try set(literals, left)
        }
        var mode = mode(left, isNegated: false)
        if left.isList || left.type == .any { mode = comparison == .within ? .every : .any }
        return graph.test(.init(slot: left.slot, predicate: predicate, mode: mode))
    }

    /// `= anyof (…)` and its like.
    private mutating func several(
        _ comparison: Condition.Comparison, _ modifier: Condition.Modifier, _ literals: [Condition.Literal], _ left: Operand
    ) throws(ConditionError) -> ConditionGraph.NodeID {
        guard !literals.isEmpty else { return graph.constant(false) }
        if modifier == .anyof, comparison == .equal { return try member(.intersects, literals, left) }
        let isSimple = left.quantifier == .one
        if isSimple, modifier == .allof, comparison == .notEqual {
            let predicate = try set(literals, left)
            return graph.test(.init(slot: left.slot, predicate: predicate, isNegated: true))
        }
        // One after the other, so that each is shared with rules that ask the same alone.
        if isSimple, modifier != .oneof {
            var nodes: [ConditionGraph.NodeID] = []
            for literal in literals { nodes.append(try single(comparison, literal, left)) }
            return modifier == .anyof ? graph.any(nodes) : graph.all(nodes)
        }
        var predicates: [ConditionGraph.Predicate] = []
        var isNegated = false
        for literal in literals {
            let (predicate, negated) = try predicate(comparison, literal, left)
            predicates.append(predicate)
            isNegated = negated
        }
        return graph.test(.init(slot: left.slot, predicate: .count(modifier, predicates, isNegated: isNegated), mode: mode(left, isNegated: isNegated)))
    }

    /// With the value of another field.
    private mutating func compare(_ test: Condition.Test, _ left: Operand, _ operand: Condition.Operand) throws(ConditionError) -> ConditionGraph.NodeID {
        guard test.comparison != .regex, test.comparison != .pmatch, left.type != .net else {
            throw ConditionError("\(left.type == .net ? "a network" : test.comparison.rawValue) is compared with literals only", at: test.range.lowerBound)
        }
        let right = try self.operand(operand)
        guard right.isComparable, right.quantifier == .one, right.type != .net else { throw ConditionError("this field cannot stand right of an operator", at: right.offset) }
        let areAlike = left.type == right.type || (left.type.isText && right.type.isText) || (left.type.isNumber && right.type.isNumber)
        guard (areAlike && left.isList == right.isList) || left.type == .any || right.type == .any || (known == .alerts && areAlike) else {
            let (leftWords, rightWords) = (left.typeWords, right.typeWords)
            throw ConditionError("a value of type \(leftWords) cannot be compared with one of type \(rightWords)", at: right.offset)
        }
        let isNegated = test.comparison == .notEqual
        let comparison = isNegated ? .equal : test.comparison
        var mode = mode(left, isNegated: isNegated)
        if left.isList { mode = test.comparison == .within ? .every : .any }
        let node = graph.test(.init(slot: left.slot, predicate: .compare(comparison, right.slot), isNegated: isNegated, mode: mode))
        // Nothing is different from what is not there.
        return isNegated ? graph.all([graph.test(.init(slot: right.slot, predicate: .exists)), node]) : node
    }

    // MARK: - Literals

    private func predicate(
        _ comparison: Condition.Comparison, _ literal: Condition.Literal, _ left: Operand
    ) throws(ConditionError) -> (ConditionGraph.Predicate, isNegated: Bool) {
        switch comparison {
        case .equal: return (try set([literal], left), false)
        case .notEqual: return (try set([literal], left), true)
        case .less: return (try order(.less, literal, left), false)
        case .lessOrEqual: return (try order(.lessOrEqual, literal, left), false)
        case .greater: return (try order(.greater, literal, left), false)
        case .greaterOrEqual: return (try order(.greaterOrEqual, literal, left), false)
        case .contains: return (.contains(literal.bytes, foldsCase: false), false)
        case .icontains: return (.contains(literal.bytes.map(\.asciiLowercased), foldsCase: true), false)
        case .startswith: return (.hasPrefix(literal.bytes), false)
        case .endswith: return (.hasSuffix(literal.bytes), false)
        case .bcontains: return (.contains(try hexadecimal(literal), foldsCase: false), false)
        case .bstartswith: return (.hasPrefix(try hexadecimal(literal)), false)
        case .glob: return (.glob(literal.bytes, foldsCase: false), false)
        case .iglob: return (.glob(literal.bytes, foldsCase: true), false)
        case .regex:
            let pattern = String(decoding: literal.bytes, as: UTF8.self)
            do throws(RegularExpression.Invalid) { _ = try RegularExpression(pattern) } catch {
                let inside = pattern.unicodeScalars.prefix(error.offset).reduce(0) { $0 + UTF8.width($1) }
                throw ConditionError("bad regular expression: \(error.message)", at: literal.range.lowerBound + (literal.isQuoted ? 1 : 0) + inside)
            }
            return (.regex(pattern), false)
        case .pmatch: return (.pathPrefixes([literal.bytes]), false)
        case .within, .intersects: return (try set([literal], left), false)
        case .exists: return (.exists, false)
        }
    }

    private func order(_ order: ConditionGraph.Order, _ literal: Condition.Literal, _ left: Operand) throws(ConditionError) -> ConditionGraph.Predicate {
        if left.type.isNumber { return .integerOrder(order, try integer(literal, left.type), isUnsigned: left.type == .uint) }
        if left.type == .any, let number = Int64(String(decoding: literal.bytes, as: UTF8.self)) { return .integerOrder(order, number, isUnsigned: false) }
        return .textOrder(order, literal.bytes)
    }

    private func set(_ literals: [Condition.Literal], _ left: Operand) throws(ConditionError) -> ConditionGraph.Predicate {
        switch left.type {
        case .string, .path, .bytes, .any:
            if left.type != .bytes, let literal = literals.first(where: { $0.bytes.contains(0) }) {
                throw ConditionError("a text cannot hold a NUL byte", at: literal.range.lowerBound)
            }
            return .textIn(unique(literals.map(\.bytes)))
        case .int, .uint, .time, .duration, .port:
            var numbers: [Int64] = []
            for literal in literals { numbers.append(try integer(literal, left.type)) }
            return .integerIn(unique(numbers))
        case .bool:
            var values: [Bool] = []
            for literal in literals { values.append(try bool(literal)) }
            guard let first = values.first else { return .integerIn([]) }
            // Both: whether there is a value at all.
            return Set(values).count == 1 ? .bool(first) : .exists
        case .ip:
            var addresses: [IPAddress] = []
            for literal in literals { addresses.append(try address(literal)) }
            return .addressIn(unique(addresses))
        case .net:
            var networks: [IPNetwork] = []
            for literal in literals { networks.append(try network(literal)) }
            return .networkIn(unique(networks))
        }
    }

    private func unique<Value: Hashable>(_ values: [Value]) -> [Value] {
        guard values.count > 1 else { return values }
        var seen: Set<Value> = []
        return values.filter { seen.insert($0).inserted }
    }

    private func integer(_ literal: Condition.Literal, _ type: FieldType) throws(ConditionError) -> Int64 {
        let text = String(decoding: literal.bytes, as: UTF8.self)
        let digits = String(text.drop { $0 == " " })
        if let value = Int64(digits) ?? UInt64(digits).map({ Int64(bitPattern: $0) }) { return value }
        if type == .port, let port = Self.ports[text] { return port }
        let words = type == .port ? "a port number or the name of a service" : "a whole number in decimal digits"
        throw ConditionError("expected \(words), not \"\(text.escapedForDisplay)\"", at: literal.range.lowerBound)
    }

    private func bool(_ literal: Condition.Literal) throws(ConditionError) -> Bool {
        switch String(decoding: literal.bytes, as: UTF8.self) {
        case "true": return true
        case "false": return false
        default: throw ConditionError("expected true or false", at: literal.range.lowerBound)
        }
    }

    private func address(_ literal: Condition.Literal) throws(ConditionError) -> IPAddress {
        let text = String(decoding: literal.bytes, as: UTF8.self)
        guard let address = IPAddress(text) else {
            let words = text.contains("/") ? "expected an IP address; a network goes with fd.net, fd.snet …" : "expected an IP address"
            throw ConditionError(words, at: literal.range.lowerBound)
        }
        return address
    }

    private func network(_ literal: Condition.Literal) throws(ConditionError) -> IPNetwork {
        let text = String(decoding: literal.bytes, as: UTF8.self)
        guard text.contains("/"), let network = IPNetwork(text) else {
            throw ConditionError("expected a network such as 10.0.0.0/8", at: literal.range.lowerBound)
        }
        return network
    }

    private func hexadecimal(_ literal: Condition.Literal) throws(ConditionError) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = literal.bytes[...]
        while !rest.isEmpty {
            guard rest.count >= 2, let byte = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else {
                throw ConditionError("expected pairs of hexadecimal digits", at: literal.range.lowerBound)
            }
            bytes.append(byte)
            rest = rest.dropFirst(2)
        }
        return bytes
    }

    /// Names of services(5) that rules use for ports.
    private static let ports: [String: Int64] = [
        "ftp-data": 20, "ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "domain": 53, "bootps": 67, "bootpc": 68, "tftp": 69, "http": 80, "kerberos": 88, "pop3": 110,
        "sunrpc": 111, "ntp": 123, "netbios-ns": 137, "netbios-ssn": 139, "imap2": 143, "snmp": 161, "ldap": 389, "https": 443, "microsoft-ds": 445, "syslog": 514,
        "submission": 587, "ldaps": 636, "rsync": 873, "imaps": 993, "pop3s": 995, "ms-sql-s": 1433, "nfs": 2049, "mysql": 3306, "postgresql": 5432, "amqp": 5672,
        "x11": 6000, "redis": 6379,
    ]

    // MARK: - Warnings

    private mutating func warn(_ code: RulesFinding.Code, _ message: String, _ offset: Int) { warnings.append(Warning(code: code, message: message, offset: offset)) }

    private mutating func warnOfNotAvailable(_ test: Condition.Test) {
        guard [.equal, .notEqual, .within, .intersects, .pmatch].contains(test.comparison) else { return }
        let literals: [Condition.Literal] =
            switch test.right {
            case .literal(let literal): [literal]
            case .list(let list): list
            case .operand, .nothing: []
            }
        for literal in literals where literal.bytes == Array("<NA>".utf8) {
            warn(.unsafeNACheck, "a missing value does not equal <NA>; write \"exists\" or \"not … exists\"", literal.range.lowerBound)
        }
    }

    /// `proc.name = proc.pname` compares with the text "proc.pname", and `proc.name = "tolower(proc.pname)"` with that one.
    private mutating func warnOfFieldNames(_ literals: [Condition.Literal], _ left: Operand) {
        guard known != .alerts, left.type.isText else { return }
        for literal in literals where literal.bytes.contains(UInt8(ascii: ".")) && literal.bytes.first.map({ 0x61...0x7A ~= $0 }) ?? false {
            let bytes = literal.bytes.filter { !$0.isBlank }
            let text = String(decoding: bytes, as: UTF8.self)
            if let (field, end) = Condition.FieldReference.parse(bytes, at: 0), end == bytes.count, knows(field) {
                warn(.suspiciousCondition, "\"\(text)\" is taken for a text; write val(\(text)) for the field's value", literal.range.lowerBound)
            } else if let (_, end) = try? Condition.Transform.parse(bytes, at: 0), end == bytes.count {
                warn(.suspiciousCondition, "\"\(text)\" is taken for a text; write it without quotes for what the transformer makes", literal.range.lowerBound)
            }
        }
    }

    /// A pattern without anything that only a pattern can say: special characters other than an anchor at either end, or `.*`, `.+` or `.?` there.
    private mutating func warnOfPlainRegex(_ literal: Condition.Literal) {
        let (pattern, specials, counts) = (literal.bytes, Set("\\.[]{}()*+?|^$".utf8), Set("*+?".utf8))
        var isOpen = (front: false, back: false)
        var place = 0
        while place < pattern.count {
            let (isFirst, isLast) = (place == 0, place == pattern.count - 1)
            if (isFirst && pattern[place] == UInt8(ascii: "^")) || (isLast && pattern[place] == UInt8(ascii: "$")) {
                place += 1
            } else if pattern[place] == UInt8(ascii: "."), (isFirst && pattern.count > 1) || place == pattern.count - 2, counts.contains(pattern[place + 1]) {
                if isFirst { isOpen.front = true } else { isOpen.back = true }
                place += 2
            } else if specials.contains(pattern[place]) {
                return
            } else {
                place += 1
            }
        }
        let word =
            switch isOpen {
            case (false, false): "="
            case (true, false): "endswith"
            case (false, true): "startswith"
            case (true, true): "contains"
            }
        warn(.suspiciousCondition, "this regular expression says no more than \(word), which is faster", literal.range.lowerBound)
    }
}

extension ConditionCompiler.Operand {
    fileprivate var typeWords: String { isList ? "list of \(type.rawValue)" : type.rawValue }
}

extension Condition.Operand {
    /// Those in it, in their order.
    var fields: [Condition.FieldReference] {
        switch self {
        case .field(let field): [field]
        case .literal: []
        case .list(let elements): elements.flatMap(\.fields)
        case .transform(let transform): transform.arguments.flatMap(\.fields)
        }
    }

    /// Where it begins.
    var offset: Int {
        switch self {
        case .field(let field): field.range.lowerBound
        case .literal(let literal): literal.range.lowerBound
        case .list(let elements): elements.first?.offset ?? 0
        case .transform(let transform): transform.range.lowerBound
        }
    }
}
