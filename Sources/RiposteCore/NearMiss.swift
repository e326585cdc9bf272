/// The candidate that somebody probably meant by `word`: one slip in short words, two in longer ones; nil where none is near.
package func nearMiss(to word: String, among candidates: some Sequence<String>) -> String? {
    let allowed = word.count <= 4 ? 1 : word.count <= 8 ? 2 : 3
    // Nobody's slip of the pen is as long as that.
    guard word.utf8.count <= 200 else { return nil }
    let target = Array(word.lowercased())
    var best: (candidate: String, distance: Int)?
    for candidate in candidates where abs(candidate.utf8.count - word.utf8.count) <= 4 * allowed {
        let distance = editDistance(target, Array(candidate.lowercased()))
        if distance <= allowed, distance < candidate.count, distance < best?.distance ?? .max { best = (candidate, distance) }
    }
    return best?.candidate
}

/// Insertions, deletions, substitutions and swaps of neighbours that lead from one word to the other.
private func editDistance(_ left: [Character], _ right: [Character]) -> Int {
    guard !left.isEmpty, !right.isEmpty else { return max(left.count, right.count) }
    var beforePrevious: [Int] = []
    var previous = Array(0...right.count)
    for row in 1...left.count {
        var current = [row]
        for column in 1...right.count {
            let same = left[row - 1] == right[column - 1]
            var cost = min(previous[column] + 1, current[column - 1] + 1, previous[column - 1] + (same ? 0 : 1))
            if row > 1, column > 1, left[row - 1] == right[column - 2], left[row - 2] == right[column - 1] {
                cost = min(cost, beforePrevious[column - 2] + 1)
            }
            current.append(cost)
        }
        (beforePrevious, previous) = (previous, current)
    }
    return previous[right.count]
}
