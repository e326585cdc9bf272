import Testing

@testable import RiposteActions

private let id = String(repeating: "b", count: 64)
private let other = String(repeating: "a", count: 64)

@Suite("The control groups that are a container's own")
struct ContainerGroupsTests {
    private func groups(_ lines: String, areWhole: Bool = true) -> ContainerGroups? { ContainerGroups(Array(lines.utf8), id: id, areWhole: areWhole) }

    @Test("as its first process is in them, in every hierarchy that names it")
    func reads() {
        #expect(groups("12:cpuset:/docker/\(id)\n1:name=systemd:/docker/\(id)/init.scope\n0::/system.slice/docker.service\n")?.paths == ["/docker/\(id)", "/docker/\(id)"])
        #expect(groups("0::/system.slice/docker-\(id).scope\n")?.paths == ["/system.slice/docker-\(id).scope"])
        #expect(groups("0::/\n") == nil && groups("") == nil && groups("0::/docker/\(other)\n") == nil)
    }

    @Test(
        "a path is in them where it begins with one",
        arguments: [
            ("/docker/\(id)", true), ("/docker/\(id)/a/b", true), ("/docker/\(id)x", false), ("/user.slice/user@1.service/\(id)", false),
            ("/user.slice/user@1.service/docker/\(id)", false), ("/docker/\(other)/\(id)", false), ("docker/\(id)", false), ("/", false),
            // So deep that its beginning may be missing.
            ("/docker/\(id)" + String(repeating: "/a", count: 62), false), ("/docker/\(id)/" + String(repeating: "a", count: 3800), false),
        ])
    func holds(_ path: String, _ isIn: Bool) { #expect(groups("0::/docker/\(id)\n")?.hold(path) == isIn) }

    @Test("where we see only what lies below a group of our own, the part that we see counts")
    func relative() {
        let groups = groups("0::/../../kubepods/pod1/\(id)\n", areWhole: false)
        #expect(groups?.hold("/a/kubepods/pod1/\(id)/b") == true && groups?.hold("/../../kubepods/pod1/\(id)") == true)
        #expect(groups?.hold("/a/kubepods/pod2/\(id)") == false && groups?.hold("/user/\(id)") == false)
    }
}
