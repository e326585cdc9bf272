internal import RiposteRules

extension KernelFilter {
    /// Keeps reflexes from programs whose files have these names, whatever their rules say: what the machine, its containers or the way into it cannot do
    /// without. A reflex for which there is no room is taken out. The start of such a program is handed up at once, whatever the reflexes are about, so that
    /// ``SparedProcesses`` hears of it.
    func sparing(_ programs: [String], isStartOfProgram: Bool) -> KernelFilter {
        guard !programs.isEmpty, isStartOfProgram || clauses.contains(where: { $0.reflex != nil }) else { return self }
        var result = self
        let atom = Atom.sparedProgram(programs.map { Array($0.utf8) })
        let place = result.atoms.firstIndex(of: atom) ?? result.atoms.count
        guard place < Self.atomLimit else {
            result.clauses.removeAll { $0.reflex != nil }
            return result
        }
        if place == result.atoms.count { result.atoms.append(atom) }
        for index in result.clauses.indices where result.clauses[index].reflex != nil { result.clauses[index].negative |= 1 << UInt64(place) }
        if isStartOfProgram, result.clauses.count < Self.clauseLimit { result.clauses.append(Clause(positive: 1 << UInt64(place), negative: 0)) }
        return result
    }
}
