# make help lists the targets. Everything but Go, gcc, make and git is fetched
# and built by the go command on first use.

GO        ?= go
TOOL      := $(GO) tool -modfile=tools/go.mod
PLATFORMS := linux/arm64 darwin/arm64 windows/amd64

# What to run, for gobench and fuzz: make gobench PKG=./wire BENCH=Encode
PKG      ?= ./...
BENCH    ?= .
COUNT    ?= 6
FUZZTIME ?= 5m

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## decode real images in worker processes, survive the one that crashes
	$(GO) run ./examples/tree

# The race detector and the C decoder of the demo need a C compiler with its
# headers. Without one the rest still has to pass.
.PHONY: test
test: ## vet everything and run all tests under the race detector
	@if [ "$$($(GO) env CGO_ENABLED)" = 1 ] && echo '#include <stdlib.h>' | $$($(GO) env CC) -E -x c - >/dev/null 2>&1; then \
		race=-race; \
	else \
		race=; CGO_ENABLED=0; export CGO_ENABLED; \
		echo "make test: no working C compiler ($$($(GO) env CC)): testing without cgo and without the race detector."; \
		echo "make test: install gcc and the C library's headers (Debian: apt install gcc libc6-dev) for the full run."; \
	fi; \
	set -ex; $(GO) vet ./...; $(GO) test $$race ./...; $(GO) -C bench vet ./...; $(GO) -C bench test $$race ./...

.PHONY: lint
lint: ## run the linters of .golangci.yml (builds them on first use, about two minutes)
	$(TOOL) golangci-lint run
	cd bench && $(GO) tool -modfile=../tools/go.mod golangci-lint run

.PHONY: fmt
fmt: ## format all Go files with gofumpt
	$(TOOL) gofumpt -l -w .

.PHONY: cross
cross: ## build and vet for the other platforms, without cgo
	@for p in $(PLATFORMS); do \
		GOOS=$${p%/*}; GOARCH=$${p#*/}; CGO_ENABLED=0; export GOOS GOARCH CGO_ENABLED; \
		echo "build and vet $$p"; \
		$(GO) build ./... && $(GO) vet ./... && $(GO) -C bench build -o /dev/null ./... && $(GO) -C bench vet ./... || exit 1; \
	done

.PHONY: gobench
gobench: ## run Go benchmarks into out/gobench.txt; with OLD=file compare (PKG, BENCH, COUNT)
	@mkdir -p out
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) $(PKG) >out/gobench.txt || { cat out/gobench.txt; exit 1; }
	$(TOOL) benchstat $(OLD) out/gobench.txt

.PHONY: fuzz
fuzz: ## run all fuzz targets, FUZZTIME (5m) for all of them together (PKG)
	$(GO) run ./internal/fuzzing -time $(FUZZTIME) $(PKG)

.PHONY: mutants
mutants: ## build versions with one protection removed each, and see the named test fail (RUN)
	$(GO) run ./internal/mutants -run '$(RUN)'

.PHONY: cover
cover: ## measure test coverage into out/cover.out and out/cover.html
	@mkdir -p out
	$(GO) test -coverpkg=./... -coverprofile=out/cover.out ./...
	$(GO) tool cover -html=out/cover.out -o out/cover.html
	$(GO) tool cover -func=out/cover.out | tail -n 1

# Random scenarios, recorded with the real OTP, then played: all with goroutines as
# children, the first PROCESSES of them with processes too.
SEED      := $(or $(SEED),$(shell date +%s))
SCENARIOS ?= 300
PROCESSES ?= 100

.PHONY: otp
otp: ## compare with Erlang/OTP on random scenarios (SEED, SCENARIOS, PROCESSES)
	@if ! command -v escript >/dev/null; then \
		echo "make otp: SKIPPED: there is no Erlang/OTP here (Debian: apt install erlang-base). Nothing was compared."; \
		exit 0; \
	fi; \
	set -e; rm -rf out/otp; mkdir -p out/otp; \
	echo "make otp: SEED=$(SEED) SCENARIOS=$(SCENARIOS) PROCESSES=$(PROCESSES)"; \
	$(GO) run ./internal/otptest/gen -seed '$(SEED)' -count $(SCENARIOS) -processes $(PROCESSES) -out out/otp; \
	$(GO) test -c -o out/otp/tree.test ./tree; \
	$(GO) test -c -o out/otp/processes.test ./internal/otptest; \
	cd tree && ../out/otp/tree.test -test.run '^TestOTP$$' -corpus ../out/otp/all; \
	cd ../internal/otptest && ../../out/otp/processes.test -test.run '^TestOTPProcesses$$' -corpus ../../out/otp/some

# Workers that crash, hang, lie and are killed, while callers call them; a
# checker of its own reads what both sides have written down.
FAULTS  ?= 5000
CALLS   ?= 50000
WORKERS ?= 8
CALLERS ?= 64

.PHONY: soak
soak: ## inject faults under load and check every call (SEED, FAULTS, CALLS, WORKERS, CALLERS)
	$(GO) run ./internal/soak -seed '$(SEED)' -faults $(FAULTS) -calls $(CALLS) -workers $(WORKERS) -callers $(CALLERS)

# One caller, many, deaths, starts, trees: each beside what the machine itself needs.
# AGAINST is the folder of another checkout, or a revision: the bench of this
# checkout is then built with that library too.
ROW     ?=
ROUNDS  ?= 5
AGAINST ?=

.PHONY: bench
bench: ## measure the speed of everything against the machine's own (ROW=A1,B ROUNDS JSON=1 AGAINST=main)
	@mkdir -p out/bin
	@$(GO) -C bench build -o ../out/bin/ . ./tiny ./empty ./peers/...
	@$(if $(AGAINST),$(MAKE) -s bench-against)
	@out/bin/bench -row '$(ROW)' -rounds $(ROUNDS) $(if $(JSON),-json) $(if $(AGAINST),-against out/against/bench)

.PHONY: bench-against
bench-against:
	@rm -rf out/against && mkdir -p out/against/library
	@test -d '$(AGAINST)' || git archive '$(AGAINST)' | tar -x -C out/against/library
	@library='$(AGAINST)'; test -d "$$library" || library=out/against/library; \
	sed "s#=> \.\./#=> $$(cd "$$library" && pwd)#" bench/go.mod >out/against/go.mod; cp bench/go.sum out/against
	@$(GO) -C bench build -modfile=../out/against/go.mod -o ../out/against/ . ./tiny ./empty

.PHONY: vuln
vuln: ## look for known vulnerabilities (needs the network)
	$(TOOL) govulncheck ./...
	cd bench && $(GO) tool -modfile=../tools/go.mod govulncheck ./...
