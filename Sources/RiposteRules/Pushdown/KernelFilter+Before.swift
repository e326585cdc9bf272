extension KernelFilter {
    /// Moments at which a call has done nothing yet, and can be refused. What is asked there may not depend on what is known only at its end.
    package struct Before: OptionSet, Sendable, Hashable {
        package let rawValue: UInt32

        package init(rawValue: UInt32) { self.rawValue = rawValue }

        /// The file is found. A result that is no failure is as good as certain, but not which one.
        package static let open = Before(rawValue: 1)
        /// The address is known. Whether anybody takes the connection is not.
        package static let connect = Before(rawValue: 2)

        /// When calls of a type can be refused; empty: never.
        package init(type name: String) {
            let traits = CallTraits(name)
            self = traits.isConnect ? .connect : traits.isOpen || name == "open_by_handle_at" ? .open : []
        }
    }

    /// When a condition is known for certain: all else that it looks at is the same there as at the end of the call.
    package func before(_ clause: Clause) -> Before {
        var result: Before = [.open, .connect]
        for (index, atom) in atoms.enumerated() where (clause.positive | clause.negative) >> UInt64(index) & 1 == 1 { result.formIntersection(atom.before) }
        return result
    }
}

extension KernelFilter.Atom {
    fileprivate var before: KernelFilter.Before {
        guard case .number(let test) = self else { return [.open, .connect] }
        switch test.source {
        case .result: return test.asksForFailure ? .open : []
        // Of a connect it is an argument.
        case .fd: return test.asksForFailure ? [.open, .connect] : .connect
        default: return [.open, .connect]
        }
    }
}

extension KernelFilter.NumberTest {
    /// Whether it tells a failure from a success, and no success from another.
    package var asksForFailure: Bool { mask == .max && (operation == .less && number == 0 || operation == .greater && number == -1) }
}

extension RuleSet {
    /// The types of calls that a reflex of this rule can refuse before they have done anything, in the kernel's terms; in order of their names.
    package func refusableCalls(ofRule name: String) -> [String] {
        guard case .success(let filters) = reflexClauses(ofRule: name) else { return [] }
        return filters.filter { type, filter in
            let hook = KernelFilter.Before(type: type.name)
            return !hook.isEmpty && filter.clauses.allSatisfy { filter.before($0).contains(hook) }
        }.map(\.key.name).sorted()
    }
}
