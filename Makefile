# The gates are listed in CONTRIBUTING.md; .ci/run runs them all.
# Goals that read from the network install into the caches of go and npm only.

GO ?= go
FUZZTIME ?= 10s
GOLANGCI_VERSION := $(shell sed -n 's/^golangci_version=//p' .ci/run)
GOLANGCI := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/stagedoor/golangci-lint-$(GOLANGCI_VERSION)/golangci-lint

.DEFAULT_GOAL := help
.PHONY: help build test race lint fuzz bench corpus golden docs check smoke sdk conformance clients oracle idp replicas interop replica-cost manifests clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## a static binary: bin/stagedoor
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w' -o bin/stagedoor ./cmd/stagedoor

test: ## all tests (those on Postgres run where it is installed)
	$(GO) test ./...

race: ## all tests with the race detector
	$(GO) test -race ./...

lint: $(GOLANGCI) ## golangci-lint, as .golangci.yml says
	$(GOLANGCI) run --allow-parallel-runners

$(GOLANGCI):
	GOBIN=$(dir $@) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)

fuzz: ## each fuzz target for FUZZTIME (10s)
	@grep -rHoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' . | sort | while IFS=: read -r file match; do \
		echo "$${file%/*} $${match#func }"; \
		$(GO) test -run='^$$' -fuzz="^$${match#func }\$$" -fuzztime=$(FUZZTIME) "$${file%/*}" || exit 1; \
	done

bench: ## benchmarks; write them to files and compare with benchstat
	$(GO) test -run='^$$' -bench=. -benchmem -count=5 ./...

golden: ## write all golden files, overlays and docs/config.md anew; then read the diff
	$(GO) test $$(grep -rl --include='*_test.go' '"update"' . | xargs -n1 dirname | sort -u) -update

corpus: build ## what the documents below CORPUS (folders) come to, and why not
	@find $(CORPUS) -type f \( -name '*.json' -o -name '*.yaml' -o -name '*.yml' \) -print0 | sort -z | \
		xargs -0r grep -lZE '(^|[{,])[[:space:]]*"(openapi|swagger)"[[:space:]]*:[[:space:]]*"[0-9]|^(openapi|swagger):' | \
		xargs -0r bin/stagedoor lint --actions all --summary || test $$? -eq 123 # operations are refused; that is in the report

docs: ## hold the documents to the code
	$(GO) test -count=1 ./docs ./specs ./internal/config

check: ## what every commit should pass
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	$(GO) mod tidy -diff
	$(MAKE) lint test

smoke: build ## start the binary with the example config and make real calls
	.ci/smoke bin/stagedoor

sdk: build ## drive the binary with MCP's official TypeScript client
	npm ci --prefix test/sdk --no-audit --no-fund --loglevel=error
	node test/sdk/smoke.mjs bin/stagedoor config.example.yaml

conformance: build ## hold the binary to the official conformance suites
	npm ci --prefix test/conformance --no-audit --no-fund --loglevel=error
	$(GO) run ./test/conformance -gateway bin/stagedoor -suites test/conformance -expected test/conformance/expected-failures.txt

clients: build ## drive the binary with the official clients in TypeScript and Go, and the Inspector
	npm ci --prefix test/conformance --no-audit --no-fund --loglevel=error
	npm ci --prefix test/sdk --ignore-scripts --no-audit --no-fund --loglevel=error
	$(GO) run ./test/conformance -gateway bin/stagedoor test/conformance/node_modules/node/bin/node test/sdk/clients.mjs
	$(GO) run ./test/conformance -gateway bin/stagedoor test/conformance/node_modules/node/bin/node test/sdk/inspector.mjs
	$(GO) run ./test/conformance -gateway bin/stagedoor $(GO) test -C test/gosdk -count=1 ./...

oracle: ## compare requests with swagger-client's, and write docs/conformance.md
	npm ci --prefix test/oracle --omit=optional --ignore-scripts --no-audit --no-fund --loglevel=error
	$(GO) test -count=1 ./test/oracle -update

idp: ## servers, logins and connect, with an identity provider from npm
	npm ci --prefix test/idp --ignore-scripts --no-audit --no-fund --loglevel=error
	STAGEDOOR_TEST_IDP=$(CURDIR)/test/idp $(GO) test -count=1 ./test/idp

replicas: ## two replicas on one Postgres, killed, stopped and cut off, at length
	STAGEDOOR_TEST_POSTGRES=required $(GO) test -count=1 ./test/replicas -long

interop: ## the gateway and a real Backstage, which is installed from npm, both ways
	test/backstage/run.sh

replica-cost: ## what an idle replica costs, measured for a minute
	$(GO) test -count=1 -run TestReplicaCost ./cmd/stagedoor -v -cost 60s | grep replicas

manifests: ## hold deploy/ to Kubernetes's own schemas
	$(GO) test -count=1 ./test/deploy

clean: ## remove what was built here
	rm -rf bin test/sdk/node_modules test/conformance/node_modules test/oracle/node_modules test/idp/node_modules
