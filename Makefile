# The commands of this repository. CI calls nothing else: what passes here passes there.
# `make help` lists them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

GO ?= go
BUILD ?= build
FUZZTIME ?= 10s
BENCHTIME ?= 1s
COUNT ?= 6
# The vulnerability database that `make vuln` reads; empty means the public one.
VULNDB ?=

comma := ,

# Dev tools are pinned in a go.mod of their own, so that go.mod stays the product's.
tool = $(GO) tool -modfile=internal/tools/$(1)/go.mod $(1)

# Folders below this one with a Go file in which a line starts with $(1).
folders = $$(grep -rlE --include='*_test.go' '$(1)' . | xargs -r -n1 dirname | sort -u)

.PHONY: help
help: ## list these commands
	@awk -F ':.*## ' '/^[a-z\/-]+:.*## / { printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2 }' Makefile

.PHONY: build
build: ## bin/shenscan, a static binary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o bin/shenscan ./cmd/shenscan

.PHONY: release
release: ## what a release consists of, into build/release; publishes nothing (VERSION=v0.1.0, ONLY=linux/amd64)
	@mkdir -p $(BUILD)/release
	$(GO) -C deploy/release run . build -out $(abspath $(BUILD))/release -version '$(VERSION)' -only '$(ONLY)'

.PHONY: test/release
test/release: ## that a release is whole, and the same from two folders
	cd deploy/release && $(GO) test -count=1 ./...

.PHONY: test/powershell
test/powershell: ## that the probe's script of Windows is PowerShell by a grammar of it (needs node and npm)
	cd internal/tools/powershell && npm ci && node parse.mjs ../../probe/windows.ps1

# For GoReleaser, which calls these from .goreleaser.yaml.
.PHONY: notices
notices: build
	$(GO) -C deploy/release run . notices -out $(abspath $(BUILD))/NOTICES.md $(abspath bin)/shenscan

.PHONY: sbom
sbom:
	$(GO) -C deploy/release run . sbom -out $(abspath $(SBOM)) $(abspath $(BINARY))

# The architectures that are not released still compile: sizes of integers and
# alignment of atomics are what they would show.
.PHONY: build/others
build/others: ## compile for 386, arm and s390x too
	@for arch in 386 arm s390x; do echo "linux/$$arch"; GOOS=linux GOARCH=$$arch CGO_ENABLED=0 $(GO) build -o /dev/null ./cmd/shenscan; done

.PHONY: run
run: ## scan a simulated fleet and print its report (needs no cloud account)
	$(GO) run ./cmd/shenscan demo

.PHONY: test
test: ## every test that needs only Go
	$(GO) test ./...
	$(GO) -C internal/tools/mutants test ./...

.PHONY: test/race
test/race: ## what runs side by side under the race detector, the longest tests shortened
	$(GO) test -race -short -timeout 20m ./internal/bus ./internal/event ./internal/config ./internal/ecs/... ./producer ./workers ./sink/... ./rules
	$(GO) test -race -timeout 20m ./internal/simtest -args -seeds 3

.PHONY: test/seeds
test/seeds: ## the deterministic simulation with SEEDS (300) seeds from FIRST (1)
	$(GO) test -count=1 -timeout 120m -run 'TestSeeds|TestSchedule|TestWalks' ./internal/simtest -args -seeds $(or $(SEEDS),300) -first $(or $(FIRST),1)

.PHONY: test/mutants
test/mutants: ## every rule and condition dropped, every boundary shifted: the tests of the rules notice each
	$(GO) test -count=1 -timeout 30m -run TestMutants ./rules -args -mutants.whole

.PHONY: test/names
test/names: ## every variant of the plain names of systems, and 100,000 pairs of changes for each of SEEDS (5) seeds from SEED (drawn)
	$(GO) test -count=1 -v -timeout 30m -run TestVariants ./rules -args -names.whole -names.seed=$(or $(SEED),0) -names.seeds=$(or $(SEEDS),5)

.PHONY: test/browser
test/browser: ## the pages in headless Chromium (needs chromium), with a picture of each in build/screenshots (PICTURES=1: in every width and scheme)
	$(GO) test -count=1 -tags browser -timeout 20m -run Browser $(call folders,^//go:build browser) -args -pictures=$(if $(PICTURES),true,false)

.PHONY: test/deploy
test/deploy: test/dashboards ## the files of deploy/ (needs promtool)
	cd deploy/kubernetes && $(GO) test -count=1 ./...
	cd deploy/helm && $(GO) test -count=1 ./...
	cd deploy/terraform && $(GO) test -count=1 ./...
	promtool check config --syntax-only deploy/prometheus/prometheus.yml
	promtool check config --syntax-only deploy/prometheus/prometheus.compose.yml
	promtool check rules deploy/prometheus/alerts.yml
	cd deploy/prometheus && promtool test rules alerts_test.yml
	@if command -v systemd-analyze >/dev/null; then \
	  out=$$(systemd-analyze verify deploy/systemd/shenscan*.service 2>&1 | grep -v 'is not executable' || true); \
	  printf '%s' "$$out"; [ -z "$$out" ]; \
	fi

.PHONY: test/contradict
test/contradict: ## scans of small fleets under every contradiction, fault and pair of the simulator, of which make test takes a sample
	$(GO) test -count=1 -timeout 30m -run 'TestScansUnder.*|TestASickRegionIsBounded' ./cmd/shenscan -args -contradict-whole

.PHONY: contradict
contradict: ## scans of 20,000 instances under every contradiction and fault of the simulator (INSTANCES=n, RUN=name)
	$(GO) test -count=1 -timeout 60m -v -run '(TestScansUnder.*|TestASickRegionIsBounded)/$(RUN)' ./cmd/shenscan -args -contradict-instances $(or $(INSTANCES),20000) -contradict-slow

.PHONY: test/live
test/live: ## what deploy/ deploys, running: keys, panels, every alert brought about (needs prometheus, promtool)
	cd deploy/grafana/gen && $(GO) test -count=1 -tags live -timeout 20m -run Deployment ./...

.PHONY: test/upgrade
test/upgrade: build ## every mix of roles of two versions, forth and back, on one NATS and one store (OLD=path of the last release's binary)
	@mkdir -p $(BUILD)
	$(GO) build -o $(BUILD)/nats-server github.com/nats-io/nats-server/v2
	$(GO) test -count=1 -tags upgrade -timeout 20m -v ./internal/upgradetest -args -old $(abspath $(or $(OLD),bin/shenscan)) -new $(abspath bin/shenscan) -nats-server $(abspath $(BUILD))/nats-server

# The same under the name of what it is: every role, NATS, Prometheus and the
# alerts, from the files of deploy/.
.PHONY: stack
stack: ## run every role, NATS and Prometheus from deploy/, scan, and bring every alert about, with its times
	cd deploy/grafana/gen && $(GO) test -count=1 -tags live -timeout 20m -run "DeploymentShowsAndAlerts|DeploymentClusterAlerts" -v . | grep -vE '^=== (RUN|NAME|PAUSE|CONT)'

.PHONY: test/docs
test/docs: ## every command block of the guide, as printed, in a simulated deployment (ONLY=docs/RUNBOOK.md; Linux)
	@mkdir -p $(BUILD)
	$(GO) build -modfile=internal/tools/nats/go.mod -o $(BUILD)/nats github.com/nats-io/natscli/nats
	$(GO) test -count=1 -v -timeout 20m ./docs -args -whole -nats $(abspath $(BUILD))/nats -only '$(ONLY)' | grep -vE '^(=== |    --- PASS)'

.PHONY: test/clock
test/clock: ## what holds against the real clock on a quiet machine only
	$(GO) test -count=1 -tags live -run FourClients ./internal/ecs/ecsapi

.PHONY: test/image
test/image: ## the container image (needs root and buildah)
	deploy/test-image.sh

.PHONY: lint
lint: ## vet, format, golangci-lint
	$(GO) vet ./...
	@out=$$($(call tool,gofumpt) -l .); [ -z "$$out" ] || { printf 'gofumpt would change (make fmt):\n%s\n' "$$out"; exit 1; }
	$(call tool,golangci-lint) run --allow-parallel-runners ./...

.PHONY: fmt
fmt: ## format every Go file
	$(call tool,gofumpt) -w .

.PHONY: deadcode
deadcode: ## functions that nothing calls, tests included
	@out=$$($(call tool,deadcode) -test ./...); printf '%s\n' "$$out"; [ -z "$$out" ]

.PHONY: mutants
mutants: ## change one operator at a time in MUTANTS (the packages that claim to leave none unnoticed, in internal/tools/mutants/packages.tsv; ONLY=a pattern of file names), run the tests that reach it (TESTS=folders), and list what they do not notice
	$(GO) build -C internal/tools/mutants -o $(abspath $(BUILD))/mutants .
	$(BUILD)/mutants -only '$(ONLY)' -tests '$(TESTS)' $(if $(RESULTS),-results '$(RESULTS)' -retry) $(MUTANTS)

.PHONY: vuln
vuln: ## known vulnerabilities in what the binary calls (VULNDB=file:///… without network)
	$(call tool,govulncheck) $(if $(VULNDB),-db $(VULNDB)) ./...

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME (10s), those below FUZZ alone if it is set
	@for dir in $(or $(FUZZ),$(call folders,^func Fuzz)); do \
	  for target in $$(grep -hoE '^func Fuzz[A-Za-z0-9_]*' $$dir/*_test.go | cut -c6-); do \
	    printf '%s %s\n' "$$dir" "$$target"; \
	    $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$dir | tail -n 2; \
	  done; \
	done

.PHONY: bench
bench: ## Go benchmarks, COUNT (6) times each, into build/bench.txt
	@mkdir -p $(BUILD)
	$(GO) test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) -count $(COUNT) $(call folders,^func Benchmark) | tee $(BUILD)/bench.txt

.PHONY: bench/once
bench/once: ## every Go benchmark once, to see that it runs
	$(GO) test -run '^$$' -bench . -benchtime 1x $(call folders,^func Benchmark)

.PHONY: bench/compare
bench/compare: ## build/bench.txt against build/bench.old.txt
	$(call tool,benchstat) $(BUILD)/bench.old.txt $(BUILD)/bench.txt

.PHONY: bench-full
bench-full: build ## shenscan against the loops one would write instead, on simulated fleets
	$(GO) run ./benchmarks/pipeline

.PHONY: figures
figures: build ## what a store of ROWS (1000000) instances takes of those who ask it: plans, reports, other rules, copies during a scan (OLD=binary, KEEP=folder, ONLY=plan,report)
	$(GO) run ./benchmarks/large -rows $(or $(ROWS),1000000) -old '$(OLD)' -dir '$(KEEP)' -only $(or $(ONLY),plan$(comma)report$(comma)reclassify$(comma)copy)

.PHONY: bench-filters
bench-filters: build ## every filter of the page over 100,000 instances; fails beyond 300 ms
	$(GO) run ./benchmarks/page -instances 100000 -within 300ms

.PHONY: bench-newcomer
bench-newcomer: ## the first minutes as the README has them, timed: clone, first report, first plan, first command without keys
	benchmarks/newcomer.sh

.PHONY: bench-page
bench-page: build ## scrapes and the live table while a million instances are scanned
	$(GO) run ./benchmarks/page

.PHONY: chaos
chaos: ## break a running pipeline: 200 kills and every other fault (SEED=n repeats, RUN=TestKills runs one)
	$(GO) test -count=1 -tags chaos -timeout 60m -v -run '$(RUN)' ./internal/chaos -args -seed $(or $(SEED),0) -kills $(or $(KILLS),200) -instances $(or $(INSTANCES),100000)

.PHONY: chaos/short
chaos/short: ## twelve kills in a scan of 20,000 instances, about a minute
	$(GO) test -count=1 -tags chaos -timeout 10m -v -run TestKills ./internal/chaos -args -seed $(or $(SEED),0)

.PHONY: chaos/scale
chaos/scale: ## what more producers and workers bring, and rescans while a million instances are scanned
	$(GO) test -count=1 -tags scale -timeout 40m -v -run '$(RUN)' ./internal/chaos

.PHONY: soak
soak: ## thirty minutes of serve with churn, scans, rescans, scrapes, a NATS restart and an emptied NATS: flat, nothing doubled (SOAK=30m)
	$(GO) test -count=1 -tags soak -timeout 24h -v -run TestSoak ./internal/chaos -args -seed $(or $(SEED),0) -soak $(or $(SOAK),30m)

.PHONY: soak/short
soak/short: ## the same in a minute and a half
	$(GO) test -count=1 -tags soak -timeout 15m -v -run TestSoak ./internal/chaos -args -seed $(or $(SEED),0) -soak 75s

.PHONY: answers
answers: ## everything that a service answers, under load and then at rest: equal (INSTANCES=1500)
	$(GO) test -count=1 -tags soak -timeout 30m -v -run TestAnswersUnderLoad ./internal/chaos -args -seed $(or $(SEED),0) -answers $(or $(INSTANCES),1500)

.PHONY: chaos/seeds
chaos/seeds: ## ten seeds of 200 kills each in a scan of 100,000 instances
	$(GO) test -count=1 -tags chaos -timeout 6h -v -run TestKills ./internal/chaos -args -seeds 10 -kills 200 -instances 100000

.PHONY: powercut
powercut: ## cut the power of the sink's and the broker's disk (needs root, xfsprogs)
	$(GO) test -count=1 -tags powercut -timeout 30m -v ./internal/chaos

.PHONY: dashboards
dashboards: ## write the Grafana dashboards and alert rules anew
	cd deploy/grafana/gen && $(GO) run .

.PHONY: test/dashboards
test/dashboards: ## dashboards, alert rules and manifests: current, sound, true to the metrics
	cd deploy/grafana/gen && $(GO) test -count=1 ./...

.PHONY: generate
generate: dashboards ## write every generated file anew
	$(GO) generate ./...
	$(GO) test -count=1 ./rules/catalog -update
	$(GO) test -count=1 -run 'TestReferenceIsCurrent|TestWhatTheDemosFleetComesToIsCurrent' ./cmd/shenscan -update-reference

.PHONY: verify
verify: ## generated files and go.mod are current
	@$(GO) mod tidy -diff
	@before=$$(git diff | git hash-object --stdin); \
	$(MAKE) generate; \
	[ "$$before" = "$$(git diff | git hash-object --stdin)" ] || { git --no-pager diff --stat; echo 'generated files were not current: commit what make generate wrote'; exit 1; }

.PHONY: cover
cover: ## coverage of all tests, build/cover.html
	@mkdir -p $(BUILD)
	$(GO) test -coverpkg=./... -coverprofile=$(BUILD)/cover.out ./...
	$(GO) tool cover -html=$(BUILD)/cover.out -o $(BUILD)/cover.html
	$(GO) tool cover -func=$(BUILD)/cover.out | tail -n 1

.PHONY: clean
clean: ## remove what the commands above built
	rm -rf bin $(BUILD)
