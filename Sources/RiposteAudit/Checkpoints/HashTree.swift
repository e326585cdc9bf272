internal import Crypto

/// A binary tree of hashes over the records between two checkpoints: its root, signed, stands for each of them, and a path of a few hashes proves
/// that one was among them without showing the others.
///
/// The shape is that of RFC 6962, section 2.1: neighbours are joined level by level, one without a neighbour moves up as it is. A leaf is a record's
/// own hash, which is taken over a text that begins with `{`; a node is SHA-256 over the byte 1 and the two below it, so neither can pass for the other.
enum HashTree {
    typealias Hash = [UInt8]

    /// One hash on the way from a leaf to the root, and the side on which it stands.
    struct Step: Equatable, Sendable {
        var isLeft: Bool
        var hash: Hash
    }

    static func join(_ left: Hash, _ right: Hash) -> Hash {
        var digest = SHA256()
        digest.update(data: [1])
        digest.update(data: left)
        digest.update(data: right)
        return Array(digest.finalize())
    }

    /// All levels, leaves first, so that many paths cost one tree.
    static func levels(over leaves: [Hash]) -> [[Hash]] {
        var levels = [leaves]
        while let level = levels.last, level.count > 1 {
            levels.append(
                stride(from: 0, to: level.count, by: 2).map { place in
                    place + 1 < level.count ? join(level[place], level[place + 1]) : level[place]
                })
        }
        return levels
    }

    static func path(to leaf: Int, in levels: [[Hash]]) -> [Step] {
        var place = leaf
        var steps: [Step] = []
        for level in levels.dropLast() {
            let neighbour = place ^ 1
            if neighbour < level.count { steps.append(Step(isLeft: neighbour < place, hash: level[neighbour])) }
            place /= 2
        }
        return steps
    }

    static func root(from leaf: Hash, along path: [Step]) -> Hash {
        path.reduce(leaf) { hash, step in step.isLeft ? join(step.hash, hash) : join(hash, step.hash) }
    }
}

/// The right edge of a growing ``HashTree``: as many hashes as the number of leaves has binary digits.
struct HashFrontier: Equatable, Sendable {
    private var peaks: [(height: Int, hash: HashTree.Hash)] = []
    private(set) var count = 0

    static func == (left: HashFrontier, right: HashFrontier) -> Bool { left.count == right.count && left.root == right.root }

    mutating func append(_ leaf: HashTree.Hash) {
        var top = (height: 0, hash: leaf)
        while let last = peaks.last, last.height == top.height {
            peaks.removeLast()
            top = (top.height + 1, HashTree.join(last.hash, top.hash))
        }
        peaks.append(top)
        count += 1
    }

    /// Nil where there is no leaf.
    var root: HashTree.Hash? {
        guard let last = peaks.last else { return nil }
        return peaks.dropLast().reversed().reduce(last.hash) { HashTree.join($1.hash, $0) }
    }
}
