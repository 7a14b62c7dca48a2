//go:build js && wasm

package main

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/lineage"
	"github.com/open-policy-agent/opa/v1/util"
)

type testResult struct {
	Package    string   `json:"package"`
	Name       string   `json:"name"`
	File       string   `json:"file"`
	Row        int      `json:"row"`
	Col        int      `json:"col"`
	Outcome    string   `json:"outcome"`
	Message    string   `json:"message,omitempty"`
	Output     string   `json:"output,omitempty"`
	Trace      string   `json:"trace,omitempty"`
	Passed     []string `json:"passed,omitempty"`
	Failed     []string `json:"failed,omitempty"`
	DurationMs float64  `json:"durationMs"`
	// Path of the rule as an entrypoint has it.
	Path string `json:"path"`
}

func outcomeOf(result *tester.Result) (outcome string, message string) {
	switch {
	case result.Skip:
		return "skipped", ""
	case result.Error != nil:
		return "error", result.Error.Error()
	case result.Fail:
		return "failed", ""
	}
	return "passed", ""
}

func pathOf(result *tester.Result) string {
	ref, err := ast.ParseRef(result.Package + "." + result.Name)
	if err != nil {
		return ""
	}
	path, err := storage.NewPathForRef(ref)
	if err != nil {
		return ""
	}
	return strings.TrimPrefix(path.String(), "/")
}

// runTests runs every test rule in OPA's tester; with coverage, traces are off, as OPA has it.
func runTests(text []byte) (any, error) {
	var asked struct {
		sources
		Coverage bool   `json:"coverage"`
		Trace    bool   `json:"trace"`
		Run      string `json:"run"`
	}
	if err := util.Unmarshal(text, &asked); err != nil {
		return nil, err
	}
	loaded, err := asked.load()
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	store := inmem.NewFromObjectWithOpts(loaded.Data, inmem.OptRoundTripOnWrite(false))
	txn, err := store.NewTransaction(ctx)
	if err != nil {
		return nil, err
	}
	defer store.Abort(ctx, txn)
	modules := asked.modules(loaded)
	coverage := cover.New()
	runner := tester.NewRunner().
		SetDefaultRegoVersion(ast.RegoV1).
		SetStore(store).
		SetModules(modules).
		SetParallel(1).
		// No timer of Go fires while a call runs; the caller ends the thread instead.
		SetTimeout(24 * time.Hour).
		Filter(asked.Run)
	if asked.Coverage {
		runner = runner.SetCoverageQueryTracer(coverage)
	} else {
		runner = runner.EnableTracing(asked.Trace)
	}
	results, err := runner.RunTests(ctx, txn)
	if err != nil {
		return nil, err
	}
	tests := []testResult{}
	for result := range results {
		outcome, message := outcomeOf(result)
		one := testResult{
			Package: result.Package, Name: result.Name, Path: pathOf(result),
			Outcome: outcome, Message: message, Output: string(result.Output),
			DurationMs: float64(result.Duration.Microseconds()) / 1000,
		}
		if result.Location != nil {
			one.File, one.Row, one.Col = result.Location.File, result.Location.Row, result.Location.Col
		}
		for name, sub := range result.SubResults.Iter {
			if len(sub.SubResults) > 0 {
				continue
			}
			if !sub.Fail {
				one.Passed = append(one.Passed, strings.Join(name, "/"))
			} else {
				one.Failed = append(one.Failed, strings.Join(name, "/"))
			}
		}
		if asked.Trace && outcome == "failed" {
			var trace bytes.Buffer
			topdown.PrettyTraceWithOpts(&trace, lineage.Fails(result.Trace), topdown.PrettyTraceOptions{Locations: true})
			one.Trace = trace.String()
		}
		tests = append(tests, one)
	}
	slices.SortFunc(tests, func(a, b testResult) int {
		if order := strings.Compare(a.File, b.File); order != 0 {
			return order
		}
		return a.Row - b.Row
	})
	answer := map[string]any{"tests": tests}
	if asked.Coverage {
		answer["coverage"] = coverage.Report(modules)
	}
	return answer, nil
}
