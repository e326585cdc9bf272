// swift-tools-version: 6.2
import Foundation
import PackageDescription

/// What every Swift target is compiled with. Warnings are errors where RIPOSTE_STRICT is set, as CI does.
///
/// Without MemberImportVisibility: Swift 6.3 ascribes members of the C library's structs (timespec, stat) now to one, now to another module of
/// its overlays, and what builds in debug is refused in release.
let swiftSettings: [SwiftSetting] =
    [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
    ] + ((Context.environment["RIPOSTE_STRICT"] ?? "").isEmpty ? [] : [.treatAllWarnings(as: .error)])

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")
let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let hummingbirdCore = Target.Dependency.product(name: "HummingbirdCore", package: "hummingbird")
let hummingbirdTLS = Target.Dependency.product(name: "HummingbirdTLS", package: "hummingbird")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let unixSignals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
let coreMetrics = Target.Dependency.product(name: "CoreMetrics", package: "swift-metrics")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioHTTPTypes = Target.Dependency.product(name: "NIOHTTPTypes", package: "swift-nio-extras")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

func room(_ name: String, _ dependencies: [Target.Dependency], _ more: [SwiftSetting] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: swiftSettings + more)
}

/// For what tests let go through a hundred thousand chances or events: optimised in the debug build as well, which costs little to build and halves what
/// the simulation takes. All checks of the language stay; who steps through one of these rooms takes its flag away.
let driven: [SwiftSetting] = [.unsafeFlags(["-O"], .when(configuration: .debug))]

/// For what is done a quarter of a million times a second: the release build does not look, at each access to an object's state, whether another access is
/// under way. The debug build, which all tests run with, does.
let hot: [SwiftSetting] = driven + [.unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))]

func tests(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, resources: resources, swiftSettings: swiftSettings)
}

let package = Package(
    name: "riposte",
    products: [
        .executable(name: "riposte", targets: ["riposte"])
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // C: system libraries with inline shims only, and our own syscall shims.
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CNATS", pkgConfig: "libnats", providers: [.apt(["libnats-dev", "libssl-dev"])]),
        .systemLibrary(name: "CNetfilter", pkgConfig: "libnftnl", providers: [.apt(["libnftnl-dev", "libmnl-dev"])]),
        .systemLibrary(name: "CLibBPF", pkgConfig: "libbpf", providers: [.apt(["libbpf-dev"])]),
        .target(name: "CRiposte", dependencies: ["CLibBPF"]),

        // The rooms along the flow; who may import whom is fixed in CONTRIBUTING.md.
        room("RiposteCore", [logging], driven),
        room("RiposteRules", ["RiposteCore", yams], hot),
        room("RipostePlaybooks", ["RiposteCore", "RiposteRules", crypto, logging, yams], driven),
        room("RiposteSensor", ["RiposteCore", "RiposteRules", "CLibBPF", "CRiposte", logging], hot),
        room("RiposteTransport", ["RiposteCore", "CCurl", "CNATS", logging]),
        room("RiposteActions", ["RiposteCore", "RipostePlaybooks", "RiposteTransport", "CNetfilter", "CRiposte", logging, yams]),
        room("RiposteAudit", ["RiposteCore", crypto, logging], driven),
        room("RiposteOutputs", ["RiposteCore", "RiposteTransport", "CRiposte", crypto, logging]),
        room("RiposteMetrics", ["RiposteCore", coreMetrics]),
        room("RiposteIntake", ["RiposteCore", "CRiposte", httpTypes, hummingbird, hummingbirdCore, lifecycle, nioCore, nioHTTPTypes, nioPosix, nioSSL, logging]),
        room(
            "RiposteAgent",
            [
                "RiposteCore", "RiposteRules", "RipostePlaybooks", "RiposteSensor", "RiposteTransport", "RiposteActions", "RiposteAudit", "RiposteIntake",
                "RiposteOutputs", "RiposteMetrics", "CRiposte", coreMetrics, crypto, hummingbird, lifecycle, unixSignals, nioCore, nioPosix, logging, yams,
            ]),
        .executableTarget(
            name: "riposte",
            dependencies: [
                "RiposteCore", "RiposteRules", "RipostePlaybooks", "RiposteSensor", "RiposteActions", "RiposteAudit", "RiposteAgent", "RiposteIntake", argumentParser, logging,
            ],
            swiftSettings: swiftSettings),

        .executableTarget(
            name: "riposte-bench",
            dependencies: ["RiposteCore", "RiposteRules", "RipostePlaybooks", "RiposteAudit", "RiposteOutputs", "RiposteTransport", "RiposteAgent", logging],
            path: "benchmarks/riposte-bench",
            swiftSettings: swiftSettings),

        // Tests.
        room("RiposteTestSupport", ["RiposteCore", "RipostePlaybooks", "CRiposte", httpTypes, hummingbird, hummingbirdCore, hummingbirdTLS, nioCore, nioSSL, lifecycle, logging]),
        tests("RiposteCoreTests", ["RiposteCore", "RiposteTestSupport"]),
        tests("RiposteRulesTests", ["RiposteCore", "RiposteRules", "RiposteTestSupport"]),
        tests("RiposteSensorTests", ["RiposteCore", "RiposteRules", "RiposteSensor", "CRiposte", "RiposteTestSupport", logging]),
        tests("RipostePlaybooksTests", ["RiposteCore", "RiposteRules", "RipostePlaybooks", "RiposteTestSupport", logging]),
        tests("RiposteSimulationTests", ["RiposteCore", "RipostePlaybooks", "RiposteAudit", "RiposteTestSupport", logging]),
        tests("RiposteAuditTests", ["RiposteCore", "RiposteAudit", "RiposteTestSupport", logging]),
        tests("RiposteTransportTests", ["RiposteTransport", "RiposteTestSupport"]),
        tests("RiposteActionsTests", ["RiposteCore", "RipostePlaybooks", "RiposteActions", "RiposteTransport", "RiposteTestSupport"]),
        tests("RiposteOutputsTests", ["RiposteCore", "RiposteTransport", "RiposteOutputs", "RiposteTestSupport", logging]),
        tests("RiposteMetricsTests", ["RiposteCore", "RiposteMetrics", "RiposteTestSupport", coreMetrics]),
        tests("RiposteIntakeTests", ["RiposteCore", "RiposteIntake", "RiposteTransport", "RiposteTestSupport", logging]),
        tests(
            "RiposteAgentTests",
            [
                "RiposteCore", "RiposteRules", "RiposteAudit", "RipostePlaybooks", "RiposteTransport", "RiposteActions", "RiposteSensor", "RiposteAgent", "RiposteMetrics",
                "RiposteTestSupport", "RiposteOutputs", "CRiposte", "riposte", logging,
            ]),
    ],
    swiftLanguageModes: [.v6]
)
