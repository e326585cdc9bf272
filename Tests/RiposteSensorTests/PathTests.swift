import CRiposte
import Testing

@testable import RiposteSensor

@Suite("Paths")
struct PathTests {
    struct Case: CustomTestStringConvertible {
        let base: String?
        let path: String
        let joined: String
        var testDescription: String { "\(base ?? "-") + \(path)" }
    }

    @Test(
        "joining",
        arguments: [
            Case(base: nil, path: "/etc/passwd", joined: "/etc/passwd"), Case(base: "/home/a", path: "x", joined: "/home/a/x"), Case(base: "/", path: "x", joined: "/x"),
            Case(base: "/home/a", path: "../b/./c//d/", joined: "/home/b/c/d"), Case(base: "/home/a", path: "../../../etc/shadow", joined: "/etc/shadow"),
            Case(base: nil, path: "//etc///x", joined: "/etc/x"), Case(base: nil, path: "/a/../..", joined: "/"), Case(base: nil, path: "/", joined: "/"),
            Case(base: nil, path: "/tmp/..hidden/...", joined: "/tmp/..hidden/..."), Case(base: "/a", path: "", joined: "/a"), Case(base: "/a", path: ".", joined: "/a"),
            Case(base: nil, path: "x/y", joined: "<UNKNOWN>x/y"),
            Case(base: "/" + String(repeating: "d/", count: 2000) + "e", path: String(repeating: "f", count: 200), joined: "/DIR_TOO_LONG/FILENAME_TOO_LONG"),
            Case(base: "/" + String(repeating: "d/", count: 2000) + "e", path: String(repeating: "../", count: 2002) + "etc/shadow", joined: "/etc/shadow"),
        ])
    func joining(_ example: Case) throws {
        let event = FixtureEvent("openat", result: 3, fd: 3, UInt64(bitPattern: -100), 0, 0, 0).path(example.path, in: example.base).file()
        #expect(try FixtureDesk.value("fd.name", of: event) == example.joined)
        #expect(try FixtureDesk.value("fs.path.name", of: event) == example.joined)
        #expect(try FixtureDesk.value("fs.path.nameraw", of: event) == example.path)
    }

    @Test("a program that was started by a relative path is one below the working directory", arguments: [("./x", "/srv/x"), ("../x", "/x"), ("/y/x", "/y/x")])
    func started(_ path: String, _ joined: String) throws {
        let event = FixtureEvent("execve", kind: 2).with(.path1, path).with(.workingDirectory, "/srv")
        #expect(try FixtureDesk.value("evt.arg.filename", of: event) == joined)
    }

    @Test("a directory descriptor that is not known")
    func unknownBase() throws {
        let event = FixtureEvent("openat", result: -9, 77, 0, 0, 0).with(.path1, "x").with(.base1, "", detail: 1)
        #expect(try FixtureDesk.value("fd.name", of: event) == "<UNKNOWN>x")
    }

    static let renamed = FixtureEvent("renameat2", 5, 0, UInt64(bitPattern: -100), 0, 1).with(.path1, "a").with(.base1, "/old").with(.path2, "b").with(.base2, "/new")

    @Test(
        "which path is which",
        arguments: [
            (renamed, "/old/a", "/new/b", nil), (FixtureEvent("rename").with(.path1, "/a").with(.path2, "/b"), "/a", "/b", nil),
            (FixtureEvent("link").with(.path1, "/a").with(.path2, "/b"), "/b", "/a", nil), (FixtureEvent("linkat").with(.path1, "/a").with(.path2, "/b"), "/b", "/a", nil),
            (FixtureEvent("symlink").with(.path1, "/target").with(.path2, "l").with(.base2, "/d"), "/d/l", "/target", nil),
            (FixtureEvent("mount").with(.path1, "/dev/sda").with(.path2, "/mnt"), "/dev/sda", "/mnt", nil), (FixtureEvent("unlink").path("x", in: "/d"), nil, nil, "/d/x"),
            (FixtureEvent("unlink", result: -2).path("x", in: "/d"), nil, nil, nil), (FixtureEvent("openat", result: -2).path("/x"), nil, nil, nil),
            (FixtureEvent("fchmod", fd: 4, 4, 0o644).file(path: "/etc/x"), nil, nil, "/etc/x"), (FixtureEvent("stat").path("/x"), nil, nil, nil),
            (FixtureEvent("umount2").path("/mnt"), nil, nil, "/mnt"),
        ] as [(FixtureEvent, String?, String?, String?)])
    func roles(event: FixtureEvent, source: String?, target: String?, name: String?) throws {
        #expect(try FixtureDesk.value("fs.path.source", of: event) == source)
        #expect(try FixtureDesk.value("fs.path.target", of: event) == target)
        #expect(try FixtureDesk.value("fs.path.name", of: event) == name)
    }

    @Test(
        "a file that is another than was asked for",
        arguments: [
            (FixtureEvent("openat", result: 3, fd: 3).path("/tmp/link").file(path: "/etc/shadow"), true),
            (FixtureEvent("openat", result: 3, fd: 3).path("../etc//shadow", in: "/tmp").file(path: "/etc/shadow"), false),
            (FixtureEvent("openat", result: -13).path("/tmp/link"), false), (FixtureEvent("read", result: 3, fd: 3, 3).file(path: "/etc/shadow"), false),
        ])
    func differing(event: FixtureEvent, differs: Bool) throws {
        let desk = FixtureDesk()
        desk.take(event)
        #expect(desk.event.pathsDiffer() == differs)
        guard differs else { return }
        #expect(try desk.value("fd.name") == "/tmp/link")
        desk.event.usesKernelPath = true
        #expect(try desk.value("fd.name") == "/etc/shadow")
        #expect(try desk.value("fd.filename") == "shadow")
    }

    @Test(
        "a Unix socket that is bound to another path than the one that was passed",
        arguments: [
            ("/tmp/link", 0, "/run/x.sock", 1, "1->2 /run/x.sock"), ("x.sock", 0, "/run/x.sock", 1, "1->2 /run/x.sock"), ("/run/x.sock", 0, "/run/x.sock", 1, nil),
            ("/tmp/link", -111, "/run/x.sock", 1, nil), ("/tmp/link", 0, "/own", 0, nil), ("/tmp/link", 0, "", 1, nil),
        ] as [(String, Int64, String, UInt32, String?)])
    func unixSockets(passed: String, result: Int64, bound: String, detail: UInt32, name: String?) throws {
        let desk = FixtureDesk()
        desk.take(FixtureEvent("connect", result: result, fd: 3, 3).unix(own: 1, peer: 2).with(.socketPath, bound, detail: detail).address(passed))
        #expect(desk.event.pathsDiffer() == (name != nil))
        #expect(try desk.value("fd.name") == "1->2 \(passed)")
        guard let name else { return }
        desk.event.usesKernelPath = true
        #expect(try desk.value("fd.name") == name)
        #expect(try desk.value("evt.arg.addr") == passed)
    }
}
