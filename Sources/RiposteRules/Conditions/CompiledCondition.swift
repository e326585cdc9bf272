internal import RiposteCore

/// A condition ready to judge: fields known, literals read, patterns compiled, sets hashed. A value without state, safe to share.
package struct CompiledCondition: Sendable {
    indirect enum Node: Sendable {
        case and([Node])
        case or([Node])
        case not(Node)
        case test(Source, Predicate)
    }

    /// What stands left of an operator.
    indirect enum Source: Sendable {
        case field(ByteText)
        /// `proc.aname` without index: every ancestor that the alert names, parent first.
        case ancestors([ByteText])
        /// `fd.ip`, `fd.port`, `fd.net`: both ends.
        case ends([ByteText])
        case constant(FieldValue)
        case list([Source])
        case transform(Condition.Transform.Name, [Source], selector: String?)
    }

    /// The operator with what stands right of it, typed.
    indirect enum Predicate: Sendable {
        case exists
        case equal(FieldValue)
        case equalAddress(IPAddress)
        case inNetwork(IPNetwork)
        case order(Condition.Comparison, FieldValue)
        case contains([UInt8], foldsCase: Bool)
        case hasPrefix([UInt8])
        case hasSuffix([UInt8])
        case glob(GlobPattern)
        case regex(RegularExpression)
        case pathPrefixes(PathPrefixes)
        case oneOf(ValueSet, allElements: Bool)
        case count(Condition.Modifier, [Predicate])
        case unequal(Predicate)
        case compare(Condition.Comparison, Source)
    }

    let root: Node
    /// Every field that the condition reads, in order of appearance: `proc.name`, `proc.aname[2]`.
    package let fields: [String]
    /// Fields that are tested under a `not` and nowhere for `exists`: the test holds where the value is missing, which is when it matters most.
    package let negatedWithoutExists: [String]

    /// Whether the condition holds. Absent fields make comparisons false, and so `not` of them true.
    package func matches(_ source: some FieldSource) -> Bool { Self.holds(root, source) }

    package init(parsing text: String) throws(ConditionError) { try self.init(Condition(parsing: text)) }

    package init(_ condition: Condition) throws(ConditionError) {
        var compiler = ConditionCompiler()
        root = try compiler.node(condition)
        fields = compiler.fields
        negatedWithoutExists = compiler.negated.filter { !compiler.provedToExist.contains($0) }
    }
}

/// Literals of `in` and `intersects`.
struct ValueSet: Sendable {
    var texts: Set<[UInt8]> = []
    var integers: Set<Int64> = []
    var addresses: Set<IPAddress> = []
    var networks: [IPNetwork] = []
}

private struct ConditionCompiler {
    var fields: [String] = []
    var negated: [String] = []
    var provedToExist: Set<String> = []
    private var isNegated = false

    init() {}

    mutating func node(_ condition: Condition) throws(ConditionError) -> CompiledCondition.Node {
        switch condition {
        case .and(let parts): return .and(try nodes(parts))
        case .or(let parts): return .or(try nodes(parts))
        case .not(let part):
            isNegated.toggle()
            defer { isNegated.toggle() }
            return .not(try node(part))
        case .test(let test): return try self.test(test)
        case .macro(let name, let range):
            throw ConditionError("\"\(name)\" is no field, and macros are not available here", at: range.lowerBound)
        }
    }

    private mutating func nodes(_ conditions: [Condition]) throws(ConditionError) -> [CompiledCondition.Node] {
        var result: [CompiledCondition.Node] = []
        for condition in conditions { result.append(try node(condition)) }
        return result
    }

    private mutating func test(_ test: Condition.Test) throws(ConditionError) -> CompiledCondition.Node {
        let (source, type) = try operand(test.left)
        if case .field(let field) = test.left {
            if test.comparison == .exists { provedToExist.insert(field.text) } else if isNegated { negated.append(field.text) }
        }
        return .test(source, try predicate(test, type))
    }

    // MARK: - Left

    private mutating func operand(_ operand: Condition.Operand) throws(ConditionError) -> (CompiledCondition.Source, OldType) {
        switch operand {
        case .field(let field): return try source(of: field)
        case .literal(let literal): return (.constant(.text(literal.bytes)), .text)
        case .list(let elements):
            var sources: [CompiledCondition.Source] = []
            for element in elements { sources.append(try self.operand(element).0) }
            return (.list(sources), .list)
        case .transform(let transform): return try source(of: transform)
        }
    }

    private mutating func source(of field: Condition.FieldReference) throws(ConditionError) -> (CompiledCondition.Source, OldType) {
        let type = try OldType(field)
        if !fields.contains(field.text) { fields.append(field.text) }
        switch field.text {
        case "proc.aname", "proc.aexe", "proc.aexepath", "proc.acmdline", "proc.apid":
            let parent = "proc.p" + field.name.dropFirst("proc.a".count)
            let indexed = (1...16).map { ByteText("\(field.name)[\($0)]") }
            return (.ancestors([ByteText(parent)] + indexed), type)
        case "fd.ip": return (.ends(["fd.cip", "fd.sip", "fd.lip", "fd.rip"]), type)
        case "fd.net": return (.ends(["fd.cip", "fd.sip", "fd.lip", "fd.rip"]), type)
        case "fd.port": return (.ends(["fd.cport", "fd.sport", "fd.lport", "fd.rport"]), type)
        case "fd.cnet", "fd.snet", "fd.lnet", "fd.rnet": return (.field(ByteText(field.text.replacingSuffix("net", by: "ip"))), type)
        default: return (.field(ByteText(field.text)), type)
        }
    }

    private mutating func source(of transform: Condition.Transform) throws(ConditionError) -> (CompiledCondition.Source, OldType) {
        var sources: [CompiledCondition.Source] = []
        var types: [OldType] = []
        for argument in transform.arguments {
            let (source, type) = try operand(argument)
            sources.append(source)
            types.append(type)
        }
        let arity: ClosedRange<Int> =
            switch transform.name {
            case .concat: 2...64
            case .join, .getopt: 2...2
            default: 1...1
            }
        guard arity.contains(sources.count) else {
            throw ConditionError("\(transform.name.rawValue)() takes \(arity.count == 1 ? "\(arity.lowerBound)" : "two or more") arguments", at: transform.range.lowerBound)
        }
        guard transform.selector == nil || transform.name == .getopt else {
            throw ConditionError("only getopt() takes an argument in brackets", at: transform.range.lowerBound)
        }
        if [.tolower, .toupper, .b64, .basename].contains(transform.name), ![.text, .dynamic].contains(types[0]) {
            throw ConditionError("\(transform.name.rawValue)() takes a text", at: transform.range.lowerBound)
        }
        let type: OldType =
            switch transform.name {
            case .len: .integer
            case .getopt: transform.selector == nil ? .list : .text
            default: .text
            }
        return (.transform(transform.name, sources, selector: transform.selector), type)
    }

    // MARK: - Right

    private mutating func predicate(_ test: Condition.Test, _ type: OldType) throws(ConditionError) -> CompiledCondition.Predicate {
        try checkOperator(test, type)
        switch test.right {
        case .nothing: return .exists
        case .literal(let literal): return try predicate(test.comparison, literal, type)
        case .operand(let operand):
            guard test.comparison != .regex, test.comparison != .pmatch, type != .network else {
                throw ConditionError("\(test.comparison.rawValue) compares with literals only", at: test.range.lowerBound)
            }
            return .compare(test.comparison, try self.operand(operand).0)
        case .list(let literals):
            if let modifier = test.modifier {
                var predicates: [CompiledCondition.Predicate] = []
                for literal in literals { predicates.append(try predicate(test.comparison, literal, type)) }
                return .count(modifier, predicates)
            }
            if test.comparison == .pmatch { return .pathPrefixes(PathPrefixes(literals.map(\.bytes))) }
            return .oneOf(try set(of: literals, type), allElements: test.comparison == .within)
        }
    }

    private func checkOperator(_ test: Condition.Test, _ type: OldType) throws(ConditionError) {
        let isAllowed: Bool
        switch (type, test.comparison) {
        case (.text, _), (.dynamic, _), (_, .exists): isAllowed = true
        case (.list, .within), (.list, .intersects): isAllowed = true
        case (.list, _): isAllowed = false
        case (_, .equal), (_, .notEqual), (_, .within), (_, .intersects): isAllowed = true
        case (.integer, .less), (.integer, .lessOrEqual), (.integer, .greater), (.integer, .greaterOrEqual): isAllowed = true
        default: isAllowed = false
        }
        guard isAllowed else {
            throw ConditionError("the operator \(test.comparison.rawValue) does not go with a field of type \(type.rawValue)", at: test.range.lowerBound)
        }
    }

    private func predicate(
        _ comparison: Condition.Comparison, _ literal: Condition.Literal, _ type: OldType
    ) throws(ConditionError) -> CompiledCondition.Predicate {
        switch comparison {
        case .equal: return try equality(literal, type)
        case .notEqual: return .unequal(try equality(literal, type))
        case .less, .lessOrEqual, .greater, .greaterOrEqual: return .order(comparison, try value(literal, type))
        case .contains: return .contains(literal.bytes, foldsCase: false)
        case .icontains: return .contains(literal.bytes.map(\.asciiLowercased), foldsCase: true)
        case .startswith: return .hasPrefix(literal.bytes)
        case .endswith: return .hasSuffix(literal.bytes)
        case .bcontains: return .contains(try hexadecimal(literal), foldsCase: false)
        case .bstartswith: return .hasPrefix(try hexadecimal(literal))
        case .glob: return .glob(GlobPattern(literal.bytes))
        case .iglob: return .glob(GlobPattern(literal.bytes, foldsCase: true))
        case .regex:
            do throws(RegularExpression.Invalid) { return .regex(try RegularExpression(String(decoding: literal.bytes, as: UTF8.self))) } catch {
                throw ConditionError("bad regular expression: \(error.message)", at: literal.range.lowerBound + error.offset)
            }
        case .pmatch: return .pathPrefixes(PathPrefixes([literal.bytes]))
        case .within, .intersects: return .oneOf(try set(of: [literal], type), allElements: comparison == .within)
        case .exists: return .exists
        }
    }

    private func equality(_ literal: Condition.Literal, _ type: OldType) throws(ConditionError) -> CompiledCondition.Predicate {
        switch type {
        case .address: return .equalAddress(try address(literal))
        case .network: return .inNetwork(try network(literal))
        default: return .equal(try value(literal, type))
        }
    }

    private func value(_ literal: Condition.Literal, _ type: OldType) throws(ConditionError) -> FieldValue {
        let text = String(decoding: literal.bytes, as: UTF8.self)
        switch type {
        case .integer:
            guard let value = Int64(text) ?? Self.ports[text] else {
                throw ConditionError("expected a whole number, not \"\(text.escapedForDisplay)\"", at: literal.range.lowerBound)
            }
            return .integer(value)
        case .bool:
            guard text == "true" || text == "false" else { throw ConditionError("expected true or false", at: literal.range.lowerBound) }
            return .bool(text == "true")
        case .text, .list, .dynamic, .address, .network: return .text(literal.bytes)
        }
    }

    private func set(of literals: [Condition.Literal], _ type: OldType) throws(ConditionError) -> ValueSet {
        var set = ValueSet()
        for literal in literals {
            switch type {
            case .address: set.addresses.insert(try address(literal))
            case .network: set.networks.append(try network(literal))
            default:
                let value = try value(literal, type)
                if case .integer(let number) = value { set.integers.insert(number) }
                set.texts.insert(value.bytes)
            }
        }
        return set
    }

    private func address(_ literal: Condition.Literal) throws(ConditionError) -> IPAddress {
        guard let address = IPAddress(String(decoding: literal.bytes, as: UTF8.self)) else {
            throw ConditionError("expected an IP address", at: literal.range.lowerBound)
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
        "ssh": 22, "telnet": 23, "smtp": 25, "domain": 53, "http": 80, "ntp": 123, "snmp": 161, "https": 443, "mysql": 3306, "postgresql": 5432,
    ]
}

extension String {
    fileprivate func replacingSuffix(_ suffix: String, by replacement: String) -> String { dropLast(suffix.count) + replacement }
}

private enum OldType: String {
    case text, integer, bool, address, network, list, dynamic
    init(_ field: Condition.FieldReference) throws(ConditionError) {
        guard let match = try FieldCatalogue.findOfAlert(field) else { self = .dynamic; return }
        if match.isList { self = .list; return }
        switch match.description.type {
        case .string, .path, .bytes: self = .text
        case .int, .uint, .time, .duration, .port: self = .integer
        case .bool: self = .bool
        case .ip: self = .address
        case .net: self = .network
        case .any: self = .dynamic
        }
    }
}
