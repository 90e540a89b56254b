# Everything a person or CI does here. Needs Go 1.26 and make; Docker only for the tests on a real Kafka.
# The linters are Go programs at a pinned version: `go run` fetches them through the module proxy and caches them.

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
# v1.9.0 needs a golang.org/x/telemetry that the module proxy does not serve everywhere.
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.8.0

MODULES  := $(patsubst %/go.mod,%,$(wildcard */go.mod))
COMMANDS := producer/cmd/producer counter/cmd/counter consumer-printer/cmd/consumer-printer standalone/cmd/standalone

# The race detector needs cgo, and cgo a C compiler: without one the same tests run without it.
RACE := $(if $(filter 1,$(shell go env CGO_ENABLED)),-race)

ARGS       ?=
SCALE      ?= 1
TESTARGS   ?=
E2EARGS    ?=
BENCHARGS  ?=
BENCHTEXT  ?= bin/gcide.dict.dz
FUZZTIME   ?= 10s
DURATION   ?=
SEED       ?=
BROKERS    ?=
RATE       ?=
# optional: say so and go on when the vulnerability database cannot be reached; required: fail
VULN       ?= optional
VULNDB     ?= https://vuln.go.dev

.DEFAULT_GOAL := help
.PHONY: run up down logs topics tail build test test-unit test-e2e soak model bench pgo fuzz lint format vet staticcheck vuln tidy-check tidy clean help

run: ## Kafka (embedded) and the three services in one process; ARGS='--duration 30s' passes flags
	@go run ./standalone/cmd/standalone $(ARGS)

up: ## docker compose up: Kafka, the services, Prometheus, Grafana; SCALE=3 runs three counters
	docker compose up --detach --build --wait --scale counter=$(SCALE)

down: ## stop it all and remove it, topics and metrics too
	docker compose --profile '*' down --volumes

logs: ## follow the batches that the printer of docker compose shows
	docker compose logs --follow --no-log-prefix consumer-printer

topics: ## list and describe the topics of docker compose, and the group's lag
	docker compose exec kafka /opt/kafka/bin/kafka-topics.sh --bootstrap-server localhost:29092 --describe --exclude-internal
	docker compose exec kafka /opt/kafka/bin/kafka-consumer-groups.sh --bootstrap-server localhost:29092 --describe --all-groups

tail: ## follow the counts on docker compose's Kafka
	docker compose exec kafka /opt/kafka/bin/kafka-console-consumer.sh --bootstrap-server localhost:29092 --topic word-counts \
		--isolation-level read_committed --property print.key=true

build: ## the four programs, into bin/
	go build -trimpath -o bin/ $(addprefix ./,$(COMMANDS))

test: test-unit test-e2e ## every test this machine can run: units with the race detector, then the whole pipeline

test-unit: ## the tests that need no Kafka; TESTARGS='-run Window -v' passes flags
	go test -pgo=off $(RACE) $(TESTARGS) $$(go list work | grep -v '^wordcount/e2e$$')

test-e2e: ## the pipeline on the embedded broker and on a real Kafka; E2E_DOCKER=required fails without Docker
	go test -count=1 -v -timeout 20m $(E2EARGS) wordcount/e2e

soak: ## break everything many times on a real Kafka, half an hour; DURATION=2m: a part of it; SEED=1 repeats one with as many brokers; BROKERS=1 or 3; SCHEDULE=restarts
	SOAK=$(or $(DURATION),full) SOAK_SCHEDULE=$(SCHEDULE) SOAK_SEED=$(SEED) SOAK_BROKERS=$(BROKERS) SOAK_RATE=$(RATE) \
		go test -count=1 -v -timeout 3h -run '^Test(Soak|LeadersMove|FullDisk)$$' wordcount/e2e/soak

model: ## every run of the exactly-once protocol's model (docs/model), and that each of its rules is needed; needs spin
	@docs/model/check

# The text is Webster's dictionary of 1913 as Debian has it: 40 MB of English, most of it in the public domain.
bench: $(BENCHTEXT) ## measure everything on a real Kafka (Docker on Linux), fifty minutes; BENCHARGS='--cases english --rounds 1'
	go run ./bench/cmd/bench --text $(BENCHTEXT) --json bin/bench.json $(BENCHARGS)

$(BENCHTEXT):
	@mkdir -p $(@D)
	@command -v apt-get >/dev/null || { echo "the text comes from Debian's package dict-gcide: put its gcide.dict.dz at $@, or any English text of 10 MB or more" >&2; exit 1; }
	cd $(@D) && apt-get download dict-gcide && dpkg-deb --extract dict-gcide_*.deb dict-gcide
	mv $(@D)/dict-gcide/usr/share/dictd/gcide.dict.dz $@
	rm -r $(@D)/dict-gcide $(@D)/dict-gcide_*.deb

# go build takes counter/cmd/counter/default.pgo by its name (go.dev/doc/pgo): where BenchmarkDrain spends its time, a backlog without Kafka.
pgo: ## profile the counter anew for its compiler, half a minute: after a change to what it does for each line, word or row
	@mkdir -p bin
	go test -run '^$$' -bench '^BenchmarkDrain$$' -benchtime 20x -cpu 1 -trimpath -cpuprofile $(CURDIR)/bin/drain.prof -o bin/counter.test wordcount/counter
	go tool pprof -proto -focus '\(\*drain\)\.run$$' -output bin/default.pgo bin/drain.prof 2>bin/pprof.log || { cat bin/pprof.log >&2; exit 1; }
	@! grep 'matched no samples' bin/pprof.log >&2
	mv bin/default.pgo counter/cmd/counter/

fuzz: ## each fuzz test for FUZZTIME (10s)
	@grep -rHoE '^func Fuzz[A-Za-z0-9_]*' --include='*_test.go' . | sed -E 's|^\./(.*)/[^/]*:func (.*)|\1 \2|' | sort | \
	while read -r dir name; do \
		echo "== $$dir $$name"; \
		go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "./$$dir" || exit 1; \
	done

lint: format vet staticcheck tidy-check vuln ## gofmt, go vet, staticcheck, go mod tidy, govulncheck

format:
	@files=$$(gofmt -l $(MODULES)); test -z "$$files" || { echo "gofmt -w is needed for:" $$files >&2; exit 1; }

vet:
	go vet -pgo=off work # nothing runs: dependencies are not compiled once more with a profile
	for arch in amd64 arm64; do GOARCH=$$arch go vet wordcount/counter/words || exit 1; done # its assembly

staticcheck:
	go run $(STATICCHECK) $$(go list work)

tidy-check:
	@for m in $(MODULES); do (cd $$m && GOWORK=off go mod tidy -diff) || { echo "make tidy is needed for $$m" >&2; exit 1; }; done

# The vulnerability database is on the network. Where it cannot be reached the check has not run, which is neither a pass nor
# the code's fault.
vuln:
	@for m in $(MODULES); do \
		echo "govulncheck $$m"; \
		rc=0; out=$$(cd $$m && go run $(GOVULNCHECK) -db $(VULNDB) ./... 2>&1) || rc=$$?; \
		case $$rc,$$out in \
		0,*) ;; \
		*'fetching vulnerabilities'*) \
			printf '%s\n' '' '!!! govulncheck DID NOT RUN: its database ($(VULNDB)) cannot be reached from here.' \
				'!!! Nothing is known about vulnerable dependencies; run make vuln where it can.' '' >&2; \
			test $(VULN) = optional; exit ;; \
		*) echo "$$out"; exit 1 ;; \
		esac; \
	done

tidy: ## go mod tidy in every module, gofmt everywhere
	@for m in $(MODULES); do (cd $$m && GOWORK=off go mod tidy) || exit 1; done
	gofmt -w $(MODULES)

clean: ## remove what build made
	rm -rf bin

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
