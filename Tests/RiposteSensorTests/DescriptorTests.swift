import CRiposte
import Testing

@testable import RiposteSensor

@Suite("Descriptors")
struct DescriptorTests {
    /// An event, and what its fields are; nil is absent.
    struct Case: CustomTestStringConvertible {
        let name: String
        let event: FixtureEvent
        let fields: [(String, String?)]
        var testDescription: String { name }
    }

    @Test("fields", arguments: files + sockets)
    func fields(_ example: Case) throws {
        for (field, value) in example.fields { #expect(try FixtureDesk.value(field, of: example.event) == value, "\(field)") }
    }

    static let files = [
        Case(
            name: "an open",
            event: FixtureEvent("openat", result: 3, fd: 3, UInt64(bitPattern: -100), 0, 0x8_0000, 0).path("..//etc/passwd", in: "/tmp").file(path: "/etc/passwd"),
            fields: [
                ("fd.num", "3"), ("fd.name", "/etc/passwd"), ("fd.nameraw", "../etc/passwd"), ("fd.directory", "/etc"), ("fd.filename", "passwd"), ("fd.type", "file"),
                ("fd.typechar", "f"), ("fd.dev", "2049"), ("fd.dev.major", "8"), ("fd.dev.minor", "1"), ("fd.ino", "7"), ("fd.is_upper_layer", "false"), ("fd.sockfamily", nil),
                ("fd.sip", nil), ("fd.connected", "false"), ("fd.uid", "41223"), ("fd.types[3]", "(file)"), ("fd.types", nil), ("fd.l4proto", "<NA>"),
            ]),
        Case(
            name: "an open of a directory",
            event: FixtureEvent("openat", result: 3, fd: 3, 0, 0, UInt64(DescriptorKind.openDirectory), 0).path("/etc/").file(RIPOSTE_FILE_DIRECTORY),
            fields: [("fd.type", "directory"), ("fd.typechar", "d"), ("fd.name", "/etc"), ("fd.directory", "/etc"), ("fd.filename", nil)]),
        Case(
            name: "a failed openat", event: FixtureEvent("openat", result: -2, UInt64(bitPattern: -100), 0, 0, 0).path("x/y", in: "/d"),
            fields: [("fd.num", "-1"), ("fd.name", "/d/x/y"), ("fd.directory", "/d/x"), ("fd.filename", nil), ("fd.type", nil), ("fd.typechar", "f"), ("fd.ino", nil)]),
        Case(name: "a failed open", event: FixtureEvent("open", result: -2).path("/x"), fields: [("fd.typechar", "o"), ("fd.name", "/x"), ("fd.directory", "/")]),
        Case(
            name: "a read from a file", event: FixtureEvent("read", result: 5, fd: 3, 3, 0, 100).file(flags: 1, path: "/var/log/x"),
            fields: [("fd.num", "3"), ("fd.name", "/var/log/x"), ("fd.directory", "/var/log"), ("fd.filename", "x"), ("fd.typechar", "f"), ("fd.is_upper_layer", "true")]),
        Case(
            name: "a read from a pipe", event: FixtureEvent("read", result: 5, fd: 3, 3, 0, 100).file(RIPOSTE_FILE_PIPE, path: "pipe:[77]"),
            fields: [("fd.name", ""), ("fd.type", "pipe"), ("fd.typechar", "p"), ("fd.directory", nil), ("fd.connected", "false")]),
        Case(
            name: "a bad descriptor", event: FixtureEvent("read", result: -9, fd: 99, 99, 0, 1),
            fields: [("fd.num", "99"), ("fd.name", ""), ("fd.type", nil), ("fd.typechar", "o")]),
        Case(
            name: "a directory's descriptor", event: FixtureEvent("unlinkat", fd: 5, 5, 0, 0).path("x", in: "/d").file(RIPOSTE_FILE_DIRECTORY, path: "/d"),
            fields: [("fd.num", "5"), ("fd.name", "/d"), ("fd.typechar", "d")]),
        Case(
            name: "no directory's descriptor", event: FixtureEvent("unlinkat", fd: -100, UInt64(bitPattern: -100), 0, 0).path("x", in: "/d"),
            fields: [("fd.num", "-100"), ("fd.name", ""), ("fd.typechar", "o")]),
        Case(name: "a call without descriptor", event: FixtureEvent("unlink").path("/x"), fields: [("fd.num", nil), ("fd.name", nil), ("fd.typechar", nil)]),
        Case(
            name: "memfd_create", event: FixtureEvent("memfd_create", result: 4, fd: 4).path("evil").file(RIPOSTE_FILE_MEMFD, path: "/memfd:evil"),
            fields: [("fd.name", "evil"), ("fd.type", "memfd"), ("fd.typechar", "m")]),
    ]

    static let sockets = [
        Case(
            name: "a connection", event: FixtureEvent("connect", fd: 3, 3).socket("10.0.0.5:41822", "10.0.0.9:443", role: RIPOSTE_ROLE_CLIENT, state: 1).address("10.0.0.9:443"),
            fields: [
                ("fd.name", "10.0.0.5:41822->10.0.0.9:443"), ("fd.type", "ipv4"), ("fd.typechar", "4"), ("fd.l4proto", "tcp"), ("fd.sockfamily", "ip"), ("fd.cip", "10.0.0.5"),
                ("fd.sip", "10.0.0.9"), ("fd.cport", "41822"), ("fd.sport", "443"), ("fd.lip", "10.0.0.5"), ("fd.rip", "10.0.0.9"), ("fd.lport", "41822"), ("fd.rport", "443"),
                ("fd.ip", "(10.0.0.5,10.0.0.9)"), ("fd.port", "(41822,443)"), ("fd.connected", "true"), ("fd.name_changed", "true"), ("fd.is_server", "false"),
                ("fd.sproto", "443"), ("fd.directory", nil), ("fd.sip.name", nil), ("fd.snet", "10.0.0.9"), ("evt.arg.tuple", "10.0.0.5:41822->10.0.0.9:443"),
                ("evt.arg.addr", "10.0.0.9:443"), ("evt.arg.fd", "<4t>10.0.0.5:41822->10.0.0.9:443"), ("fd.dev", nil),
            ]),
        Case(
            name: "a connect on its way", event: FixtureEvent("connect", result: -115, fd: 3, 3).socket("10.0.0.5:41822").address("10.0.0.9:443"),
            fields: [("fd.name", "10.0.0.5:41822->10.0.0.9:443"), ("fd.connected", "true"), ("fd.name_changed", "true"), ("fd.sip", "10.0.0.9"), ("evt.res", "EINPROGRESS")]),
        Case(
            name: "a connect that a reflex refused, of a datagram socket that had another peer: as it would have been",
            event: FixtureEvent("connect", fd: 3, 3).socket("10.0.0.5:41822", "10.0.0.7:53", proto: 17, type: 2).address("10.0.0.9:443").denied(),
            fields: [("fd.sip", "10.0.0.9"), ("fd.sport", "443"), ("fd.connected", "true"), ("evt.res", "SUCCESS")]),
        Case(
            name: "a connect that failed", event: FixtureEvent("connect", result: -111, fd: 3, 3).socket("0.0.0.0:0").address("10.0.0.9:443"),
            fields: [("fd.sip", "10.0.0.9"), ("fd.sport", "443"), ("fd.connected", "false"), ("fd.name_changed", "false")]),
        Case(
            name: "an accepted connection", event: FixtureEvent("accept4", result: 7, fd: 7, 3).socket("10.0.0.9:443", "10.0.0.5:41822", role: RIPOSTE_ROLE_SERVER, state: 1),
            fields: [
                ("fd.num", "7"), ("fd.name", "10.0.0.5:41822->10.0.0.9:443"), ("fd.cip", "10.0.0.5"), ("fd.sip", "10.0.0.9"), ("fd.lip", "10.0.0.9"), ("fd.rip", "10.0.0.5"),
                ("fd.connected", "true"), ("fd.is_server", "true"),
            ]),
        Case(
            name: "a failed accept", event: FixtureEvent("accept", result: -11, 3),
            fields: [("fd.num", "-1"), ("fd.typechar", "4"), ("fd.name", ""), ("fd.type", nil), ("evt.arg.tuple", "NULL")]),
        Case(
            name: "a fresh socket", event: FixtureEvent("socket", result: 3, fd: 3, 2, 1, 0).socket(),
            fields: [("fd.name", ""), ("fd.type", "ipv4"), ("fd.l4proto", "<NA>"), ("fd.sip", nil), ("fd.connected", "false"), ("fd.port", nil)]),
        Case(
            name: "a bound socket", event: FixtureEvent("bind", fd: 3, 3).socket("0.0.0.0:80").address("0.0.0.0:80"),
            fields: [
                ("fd.name", "0.0.0.0:80"), ("fd.sip", "0.0.0.0"), ("fd.sport", "80"), ("fd.cip", nil), ("fd.lip", nil), ("fd.rport", nil), ("fd.is_server", "true"),
                ("fd.l4proto", "tcp"), ("fd.ip", "(0.0.0.0)"), ("evt.arg.addr", "0.0.0.0:80"),
            ]),
        Case(
            name: "IPv6", event: FixtureEvent("connect", fd: 3, 3).socket("::1:41822", "::1:53", family: 10, state: 1),
            fields: [("fd.name", "::1:41822->::1:53"), ("fd.type", "ipv6"), ("fd.typechar", "6"), ("fd.sip", "::1")]),
        Case(
            name: "IPv4 mapped into IPv6", event: FixtureEvent("connect", fd: 3, 3).socket("::ffff:10.0.0.5:41822", "::ffff:10.0.0.9:53", family: 10, state: 1),
            fields: [("fd.name", "10.0.0.5:41822->10.0.0.9:53"), ("fd.type", "ipv4"), ("fd.typechar", "4"), ("fd.sip", "10.0.0.9")]),
        Case(
            name: "a datagram", event: FixtureEvent("sendto", result: 9, fd: 3, 3, 0, 9).socket("10.0.0.5:41822", proto: 17, type: 2).address("10.0.0.9:53"),
            fields: [
                ("fd.name", "10.0.0.5:41822->10.0.0.9:53"), ("fd.l4proto", "udp"), ("fd.name_changed", "true"), ("fd.connected", "false"), ("fd.sport", "53"),
                ("fd.rip", "10.0.0.9"),
            ]),
        Case(
            name: "a datagram to an address of no family, which over IPv4 is one of IPv4",
            event: FixtureEvent("sendto", result: 9, fd: 3, 3, 0, 9).socket("10.0.0.5:41822", "10.0.0.7:53", proto: 17, type: 2).address("10.0.0.9:5353", family: 0),
            fields: [("fd.name", "10.0.0.5:41822->10.0.0.9:5353"), ("fd.name_changed", "true"), ("evt.arg.tuple", "10.0.0.5:41822->10.0.0.9:5353")]),
        Case(
            name: "a datagram over IPv6 to an address of no family, which the kernel passes over",
            event: FixtureEvent("sendmsg", result: 9, fd: 3, 3).socket("::1:41822", "::1:53", family: 10, proto: 17, type: 2).address("10.0.0.9:5353", family: 0),
            fields: [("fd.name", "::1:41822->::1:53"), ("fd.name_changed", "false")]),
        Case(
            name: "a datagram whose address was written over, of a connected socket",
            event: FixtureEvent("sendmmsg", result: 1, fd: 3, 3).socket("10.0.0.5:41822", "10.0.0.7:53", proto: 17, type: 2).with(.address, ""),
            fields: [("fd.rip", nil), ("fd.sip", "10.0.0.5"), ("fd.name", "10.0.0.5:41822"), ("evt.arg.tuple", "NULL"), ("fd.name_changed", "false")]),
        Case(
            name: "a connect to no family, which ends a connection",
            event: FixtureEvent("connect", fd: 3, 3).socket("10.0.0.5:41822", proto: 17, type: 2).address("10.0.0.9:5353", family: 0), fields: [("fd.rip", nil)]),
        Case(
            name: "a datagram of UDP-Lite", event: FixtureEvent("sendto", result: 9, fd: 3, 3, 0, 9).socket("10.0.0.5:41822", proto: 136, type: 2).address("10.0.0.9:53"),
            fields: [("fd.name", "10.0.0.5:41822->10.0.0.9:53"), ("fd.l4proto", "udp"), ("evt.arg.fd", "<4u>10.0.0.5:41822->10.0.0.9:53")]),
        Case(
            name: "a datagram of a connected socket",
            event: FixtureEvent("sendto", result: 9, fd: 3, 3, 0, 9).socket("10.0.0.5:41822", "10.0.0.9:53", proto: 17, type: 2, role: RIPOSTE_ROLE_CLIENT),
            fields: [("fd.name", "10.0.0.5:41822->10.0.0.9:53"), ("fd.name_changed", "false")]),
        Case(
            name: "a datagram that came to a server",
            event: FixtureEvent("recvfrom", result: 9, fd: 3, 3, 0, 9).socket("10.0.0.9:53", proto: 17, type: 2).address("10.0.0.5:41822"),
            fields: [("fd.name", "10.0.0.5:41822->10.0.0.9:53"), ("fd.is_server", "true"), ("fd.sport", "53")]),
        Case(
            name: "a datagram that came over a connected socket: from its peer, whatever stands in memory",
            event: FixtureEvent("recvfrom", result: 9, fd: 3, 3, 0, 9).socket("10.0.0.5:41822", "10.0.0.9:53", proto: 17, type: 2).address("10.9.9.9:99"),
            fields: [("fd.rip", "10.0.0.9"), ("fd.rport", "53"), ("fd.name_changed", "false")]),
        Case(
            name: "an answer to a client", event: FixtureEvent("recvfrom", result: 9, fd: 3, 3, 0, 9).socket("10.0.0.5:41822", proto: 17, type: 2).address("10.0.0.9:53"),
            fields: [("fd.name", "10.0.0.5:41822->10.0.0.9:53"), ("fd.sport", "53")]),
        Case(
            name: "ICMP", event: FixtureEvent("sendto", result: 9, fd: 3, 3, 0, 9).socket("10.0.0.5:0", proto: 1, type: 2).address("10.0.0.9:0"),
            fields: [("fd.name", "10.0.0.5->10.0.0.9"), ("fd.l4proto", "icmp")]),
        Case(
            name: "a Unix connection", event: FixtureEvent("connect", fd: 3, 3).unix(own: 0xFFFF_8881_0000_0001, peer: 0xAB).address("/run/x.sock"),
            fields: [
                ("fd.name", "ffff888100000001->ab /run/x.sock"), ("fd.type", "unix"), ("fd.typechar", "u"), ("fd.sockfamily", "unix"), ("fd.connected", "true"), ("fd.sip", nil),
                ("evt.arg.addr", "/run/x.sock"), ("fd.l4proto", "<NA>"),
            ]),
        Case(
            name: "an accepted Unix connection", event: FixtureEvent("accept", result: 4, fd: 4, 3).unix(own: 0xB, peer: 0xA, role: RIPOSTE_ROLE_SERVER, path: "/run/x.sock"),
            fields: [("fd.name", "a->b /run/x.sock"), ("fd.connected", "true")]),
        Case(
            name: "an abstract Unix name", event: FixtureEvent("connect", fd: 3, 3).unix(own: 1, peer: 2).with(.address, [1, 0, 0] + Array("bus".utf8)),
            fields: [("fd.name", "1->2 @bus")]),
        Case(
            name: "netlink", event: FixtureEvent("socket", result: 3, fd: 3, 16, 3, 0).socket(family: 16), fields: [("fd.type", "netlink"), ("fd.typechar", "n"), ("fd.name", "")]),
        Case(name: "a failed socket", event: FixtureEvent("socket", result: -97, 2, 1, 0), fields: [("fd.num", "-1"), ("fd.typechar", "4"), ("fd.type", nil)]),
    ]

    @Test(
        "conditions as the rules write them",
        arguments: [
            ("evt.type = connect and fd.typechar in (4, 6) and fd.ip != 0.0.0.0 and fd.net != 127.0.0.0/8 and (evt.rawres >= 0 or evt.res = EINPROGRESS)", true),
            ("fd.snet in (10.0.0.0/8) and fd.sport = https", true), ("fd.port in (22, 443)", true), ("fd.port != 443", false), ("fd.name startswith 10.0.0.5", true),
            ("fd.sip.name = example.com", false), ("not fd.directory = /etc", true),
        ])
    func conditions(condition: String, holds: Bool) {
        let event = FixtureEvent("connect", fd: 3, 3).socket("10.0.0.5:41822", "10.0.0.9:443", role: RIPOSTE_ROLE_CLIENT, state: 1)
        #expect(FixtureDesk.holds(condition, for: event) == holds)
    }
}
