import RiposteCore
import Testing

@Suite("Who may change what says what is done here")
struct FileRightsTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var rights: FileRights
        var kind: FileRights.Kind
        var user: UInt32
        /// Of the objection; nil: there is none.
        var words: [String]?

        init(_ name: String, _ owner: UInt32, _ mode: UInt32, _ kind: FileRights.Kind = .file, readOnly: Bool = false, as user: UInt32 = 0, says words: [String]? = nil) {
            (testDescription, self.kind, self.user, self.words) = (name, kind, user, words)
            rights = FileRights(owner: owner, mode: mode, isMountedReadOnly: readOnly)
        }
    }

    @Test(
        "root's and one's own, which nobody else can write, are relied on",
        arguments: [
            Case("root's, for root", 0, 0o644), Case("root's, for another user", 0, 0o640, as: 1000), Case("one's own", 1000, 0o600, as: 1000),
            Case("a stranger's, for root", 1000, 0o644, says: ["belongs to user 1000;", "only root may", "chown it to root", "a copy that is root's"]),
            Case("a stranger's, for another user", 1001, 0o400, as: 1000, says: ["belongs to user 1001;", "only root and user 1000, as whom Riposte runs, may"]),
            Case("root's, the group can write", 0, 0o664, says: ["may be written by its group (mode 0664);", "chmod go-w it"]),
            Case("one's own, all can write", 1000, 0o646, as: 1000, says: ["may be written by everybody (mode 0646);"]),
            Case("both", 1000, 0o666, says: ["belongs to user 1000 and may be written by everybody", "chown it to root, chmod go-w it"]),
            Case("a file that is mounted read-only", 0, 0o666, readOnly: true, says: ["everybody"]),
            Case("a folder", 0, 0o755, .folder), Case("a stranger's folder", 1000, 0o755, .folder, says: ["chown it to root with what is in it"]),
            Case("a folder like /tmp", 0, 0o1777, .folder, says: ["everybody (mode 01777)"]), Case("a file's folder like /tmp", 0, 0o1777, .folderOfFile),
            Case("a file's folder that all can write", 0, 0o777, .folderOfFile, says: ["everybody"]),
            Case("a file's folder, a stranger's with the sticky bit", 1000, 0o1755, .folderOfFile, says: ["belongs to user 1000"]),
            Case("a ConfigMap's folder", 0, 0o777, .folder, readOnly: true),
            Case("a folder of ours", 1000, 0o750, .workFolder, as: 1000),
            Case("a folder to write to, a stranger's", 1000, 0o755, .workFolder, says: ["as what Riposte writes there is relied on: chown it to root with what is in it"]),
            Case("a folder to write to like /tmp", 0, 0o1777, .workFolder, says: ["everybody (mode 01777)"]),
            Case("what that stands in, like /tmp", 0, 0o1777, .folderOfWorkFolder), Case("what that stands in, for all", 0, 0o777, .folderOfWorkFolder, says: ["chmod go-w it"]),
            Case("a stranger's folder that is mounted read-only", 1000, 0o755, .folder, readOnly: true, says: ["belongs to user 1000"]),
        ])
    func objections(_ example: Case) {
        let objection = example.rights.objection(to: example.kind, as: example.user)
        #expect((objection == nil) == (example.words == nil), "\(objection ?? "")")
        for words in example.words ?? [] { #expect(objection?.contains(words) == true, "\(objection ?? "")") }
    }
}
