//go:build js && wasm

package main

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/server/types"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/lineage"
	"github.com/open-policy-agent/opa/v1/util"
	opaversion "github.com/open-policy-agent/opa/v1/version"
)

var explanations = map[string]func([]*topdown.Event) []*topdown.Event{
	"full":  lineage.Full,
	"notes": lineage.Notes,
	"fails": lineage.Fails,
	"debug": lineage.Debug,
}

// maxEvents bounds what a trace may hold; an evaluation with more of them is given up.
const maxEvents = 20_000

// boundedTracer keeps events like a buffer, and cancels the evaluation when there are too many.
type boundedTracer struct {
	*topdown.BufferTracer
	cancel topdown.Cancel
}

func (t boundedTracer) TraceEvent(event topdown.Event) {
	if len(*t.BufferTracer) >= maxEvents {
		t.cancel.Cancel()
		return
	}
	t.BufferTracer.TraceEvent(event)
}

func version([]byte) (any, error) {
	return map[string]any{"opa": opaversion.Version, "go": runtime.Version()}, nil
}

func capabilities([]byte) (any, error) {
	return ast.CapabilitiesForThisVersion(), nil
}

// evaluate runs one query in OPA's own evaluator over all sources but tests; `nowNs` is what time.now_ns answers.
func evaluate(text []byte) (any, error) {
	var asked struct {
		sources
		Query   string `json:"query"`
		Input   *any   `json:"input"`
		Explain string `json:"explain"`
		NowNs   string `json:"nowNs"`
		// Events: the trace as OPA's server tells it, and no longer than maxEvents. Pretty: as lines.
		Events bool `json:"events"`
		Pretty bool `json:"pretty"`
	}
	if err := util.Unmarshal(text, &asked); err != nil {
		return nil, err
	}
	loaded, err := asked.load()
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	var printed bytes.Buffer
	options := []func(*rego.Rego){
		rego.Query(asked.Query),
		rego.SetRegoVersion(ast.RegoV1),
		rego.Store(inmem.NewFromObjectWithOpts(loaded.Data, inmem.OptRoundTripOnWrite(false))),
		rego.EnablePrintStatements(true),
		rego.PrintHook(topdown.NewPrintHook(&printed)),
	}
	for name, module := range asked.modules(loaded) {
		if !isTest(name) {
			options = append(options, rego.ParsedModule(module))
		}
	}
	var evalOptions []rego.EvalOption
	if asked.Input != nil {
		evalOptions = append(evalOptions, rego.EvalInput(*asked.Input))
	}
	if asked.NowNs != "" {
		var ns int64
		if _, err := fmt.Sscanf(asked.NowNs, "%d", &ns); err != nil {
			return nil, fmt.Errorf("nowNs is not a number of nanoseconds")
		}
		evalOptions = append(evalOptions, rego.EvalTime(time.Unix(0, ns).UTC()))
	}
	tracer := topdown.NewBufferTracer()
	if asked.Explain != "" && asked.Events {
		cancel := topdown.NewCancel()
		evalOptions = append(evalOptions, rego.EvalQueryTracer(boundedTracer{tracer, cancel}), rego.EvalExternalCancel(cancel))
	} else if asked.Explain != "" {
		evalOptions = append(evalOptions, rego.EvalQueryTracer(tracer))
	}
	prepared, err := rego.New(options...).PrepareForEval(ctx)
	if err != nil {
		return nil, err
	}
	results, err := prepared.Eval(ctx, evalOptions...)
	if err != nil {
		return nil, err
	}
	answer := map[string]any{"printed": printed.String()}
	if len(results) > 0 && len(results[0].Expressions) > 0 {
		answer["result"] = results[0].Expressions[0].Value
	}
	if asked.Explain != "" {
		choose, known := explanations[asked.Explain]
		if !known {
			return nil, fmt.Errorf("explain is one of debug, fails, full, notes")
		}
		if asked.Events {
			explanation, err := types.NewTraceV1(choose(*tracer), asked.Pretty)
			if err != nil {
				return nil, err
			}
			answer["explanation"] = explanation
			return answer, nil
		}
		var trace bytes.Buffer
		topdown.PrettyTraceWithOpts(&trace, choose(*tracer), topdown.PrettyTraceOptions{Locations: true, ExprVariables: true})
		answer["trace"] = trace.String()
	}
	return answer, nil
}
