# Riposte. `make help` lists what there is.

SUDO := $(if $(filter-out 0,$(shell id -u)),sudo,)
SWIFT ?= swift
# The Swift libraries are in the binary, so that it runs on machines without Swift.
RELEASE := -c release --static-swift-stdlib
BUILD_PACKAGES := libcurl4-openssl-dev libnats-dev libssl-dev libnftnl-dev libmnl-dev libbpf-dev pkg-config
BPF_PACKAGES := clang llvm bpftool libbpf-dev
TEST_PACKAGES := gcc libc6-dev curl docker.io iptables busybox-static nftables iproute2 openssl iputils-ping prometheus prometheus-alertmanager rsyslog rsyslog-gnutls nats-server python3-aiosmtpd \
	qemu-system-x86 kmod python3
BENCH_PACKAGES := gcc libc6-dev python3 valgrind bpftrace
DEMO_PACKAGES := gcc libc6-dev python3 docker.io iptables busybox-static
# On which other kernels the sensor is tested: packages, or folders in which one was unpacked.
KERNELS ?= $(if $(filter x86_64,$(shell uname -m)),linux-image-amd64 linux-image-6.12-amd64)
RUN_ARGUMENTS ?=
TEST_ARGUMENTS ?=

# Installs those of $(1) that are missing, and nothing where all are there.
define install
	@missing=""; for package in $(1); do \
		dpkg-query -W -f='$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$package"; done; \
	if [ -n "$$missing" ]; then \
		echo "installing:$$missing"; \
		$(SUDO) apt-get update -qq && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; fi
endef

.PHONY: run build bpf kernels test test-kernels test-long simulate simulate-planted bench demo check fmt clean help dependencies bpf-dependencies test-dependencies bench-dependencies demo-dependencies

# The agent takes configuration and playbooks from where only root can change them, so not from the checkout of whoever builds: from a copy.
run: build ## install what is missing, build, and run the agent (mode observe) with a copy of config/, rules/ and playbooks/
	$(SUDO) rm -rf .build/run
	$(SUDO) install -D -m 644 -t .build/run/config config/riposte.yaml
	$(SUDO) install -D -m 644 -t .build/run/rules rules/*.yaml
	$(SUDO) install -D -m 644 -t .build/run/playbooks playbooks/*.yaml
	$(SUDO) .build/release/riposte run --config .build/run/config/riposte.yaml $(RUN_ARGUMENTS)

build: dependencies bpf ## build the release binary, .build/release/riposte
	$(SWIFT) build $(RELEASE) --product riposte

bpf: bpf-dependencies ## build the BPF programs for all processors, which the binary embeds
	@$(MAKE) --no-print-directory -C bpf

# One after the other: live tests measure processes, containers and time-outs against a machine that should not be busy with the others.
test: test-dependencies bpf kernels ## install what tests need and run all of them (as root, so that nothing is skipped)
	$(SUDO) env PATH="$$PATH" RIPOSTE_STRICT="$$RIPOSTE_STRICT" CI="$$CI" RIPOSTE_KERNELS="$(KERNELS)" $(SWIFT) test --no-parallel $(TEST_ARGUMENTS)

test-kernels: test-dependencies bpf kernels ## the sensor's live tests on other kernels, in emulated machines; KERNELS="linux-image-amd64 …", or folders, says which
	$(SUDO) env PATH="$$PATH" RIPOSTE_STRICT="$$RIPOSTE_STRICT" $(SWIFT) build --build-tests
	$(SUDO) env PATH="$$PATH" python3 Tests/Kernels/kernels.py run $(KERNELS)

# Where one is not to be had, which is said, the rest is tested all the same.
kernels: test-dependencies
	-$(if $(KERNELS),python3 Tests/Kernels/kernels.py download $(KERNELS))

test-long: test-dependencies bpf ## the same, with 100 sensors and 200 agents killed one after the other where test has 30 and 12, a million events by chance, five million to the sensor, 10 000 reflexes
	$(SUDO) env PATH="$$PATH" RIPOSTE_KILL_ROUNDS=100 RIPOSTE_KILLS=200 RIPOSTE_FUZZ_INPUTS=2500000 RIPOSTE_SOAK_EVENTS=5000000 RIPOSTE_REFLEXES=10000 \
		$(SWIFT) test --no-parallel --filter "SensorRobustness|Pushdown|KillTrial|StrangeProcess|ReflexLive"

SEED ?=
FIRST ?= 0
STEPS ?= 1000000

simulate: dependencies bpf ## the engine through STEPS=1000000 chances, from seed FIRST=0 on; SEED=n plays one again
	env RIPOSTE_SIMULATION_STEPS=$(STEPS) RIPOSTE_SIMULATION_FIRST=$(FIRST) $(if $(SEED),RIPOSTE_SIMULATION_SEED=$(SEED)) $(SWIFT) test --filter RiposteSimulationTests

simulate-planted: dependencies bpf ## show that the simulation finds bugs that are planted in a copy of the sources, .build-planted
	python3 Tests/Planted/plant.py $(firstword $(SWIFT)) $(BUG)

bench: bench-dependencies build ## measure the release build against a floor in the same run
	$(SWIFT) build $(RELEASE) --product riposte-bench
	$(SUDO) python3 benchmarks/run.py .build/release/riposte
	$(SUDO) python3 benchmarks/sensor.py .build/release/riposte
	python3 benchmarks/outputs.py .build/release/riposte-bench
	python3 benchmarks/dryrun.py .build/release/riposte

demo: demo-dependencies build ## a dozen harmless attacks on this host and in a container, each caught and answered
	$(SUDO) python3 examples/demo/demo.py .build/release/riposte

check: dependencies bpf ## formatting, playbooks, rules and their tests
	$(SWIFT) format lint --strict --recursive --parallel Sources Tests benchmarks Package.swift
	$(SWIFT) build --product riposte
	.build/debug/riposte playbook check playbooks
	.build/debug/riposte playbook test playbooks
	.build/debug/riposte rules check --strict rules
	.build/debug/riposte rules test rules

fmt: ## format the Swift sources
	$(SWIFT) format --in-place --recursive --parallel Sources Tests benchmarks Package.swift

clean: ## remove what was built
	$(if $(wildcard .build/run),$(SUDO) rm -rf .build/run)
	rm -rf .build .build-* .output Package.resolved

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

dependencies:
	$(call install,$(BUILD_PACKAGES))

bpf-dependencies:
	$(call install,$(BPF_PACKAGES))

demo-dependencies:
	$(call install,$(DEMO_PACKAGES))

bench-dependencies:
	$(call install,$(BENCH_PACKAGES))

test-dependencies:
	$(call install,$(BUILD_PACKAGES) $(TEST_PACKAGES))
