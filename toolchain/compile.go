//go:build js && wasm

package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/compile"
	"github.com/open-policy-agent/opa/v1/loader"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/types"
	"github.com/open-policy-agent/opa/v1/util"
)

// compileBundle answers the archive that `opa build -b -t wasm` writes. `everyRule` adds each package and each rule
// without arguments as an entrypoint; `tests` keeps the test files.
func compileBundle(text []byte) (any, error) {
	var asked struct {
		sources
		Entrypoints []string `json:"entrypoints"`
		EveryRule   bool     `json:"everyRule"`
		Tests       bool     `json:"tests"`
	}
	if err := util.Unmarshal(text, &asked); err != nil {
		return nil, err
	}
	loaded, err := asked.load()
	if err != nil {
		return nil, err
	}
	entrypoints := asked.Entrypoints
	if asked.EveryRule {
		all, err := everyRule(asked.modules(loaded), asked.Tests)
		if err != nil {
			return nil, err
		}
		for _, name := range all {
			if !slices.Contains(entrypoints, name) {
				entrypoints = append(entrypoints, name)
			}
		}
	}
	if len(entrypoints) == 0 {
		return nil, fmt.Errorf("no entrypoint given")
	}
	filter := loader.Filter(withoutTests)
	if asked.Tests {
		filter = nil
	}
	var archive bytes.Buffer
	err = compile.New().
		WithFS(asked.fileSystem()).
		WithPaths(".").
		WithFilter(filter).
		WithAsBundle(true).
		WithTarget(compile.TargetWasm).
		WithEntrypoints(entrypoints...).
		// Else every function that uses an entrypoint is made one too, and those can't be.
		WithPruneUnused(asked.EveryRule).
		WithRegoAnnotationEntrypoints(true).
		WithCapabilities(ast.CapabilitiesForThisVersion(ast.CapabilitiesRegoVersion(ast.RegoV1))).
		WithRegoVersion(ast.RegoV1).
		WithOutput(&archive).
		Build(context.Background())
	if err != nil {
		return nil, err
	}
	return map[string]any{"archive": base64.StdEncoding.EncodeToString(archive.Bytes()), "entrypoints": entrypoints}, nil
}

// everyRule lists packages and rules without arguments as entrypoints are written.
func everyRule(modules map[string]*ast.Module, tests bool) ([]string, error) {
	found := map[string]struct{}{}
	add := func(ref ast.Ref) error {
		path, err := storage.NewPathForRef(ref)
		if err != nil {
			return err
		}
		found[strings.TrimPrefix(path.String(), "/")] = struct{}{}
		return nil
	}
	for name, module := range modules {
		if !tests && isTest(name) {
			continue
		}
		if len(module.Rules) == 0 {
			continue
		}
		if err := add(module.Package.Path); err != nil {
			return nil, err
		}
		for _, rule := range module.Rules {
			if len(rule.Head.Args) > 0 {
				continue
			}
			if err := add(module.Package.Path.Extend(rule.Head.Ref().GroundPrefix())); err != nil {
				return nil, err
			}
		}
	}
	return util.KeysSorted(found), nil
}

// compileQuery compiles a query over modules, as OPA's own conformance runner does; the module has the one entrypoint `eval`.
func compileQuery(text []byte) (any, error) {
	var asked struct {
		Query        string   `json:"query"`
		Modules      []string `json:"modules"`
		Experimental bool     `json:"experimental"`
	}
	if err := util.Unmarshal(text, &asked); err != nil {
		return nil, err
	}
	options := []func(*rego.Rego){
		rego.Query(asked.Query),
		rego.SetRegoVersion(ast.RegoV1),
		rego.Capabilities(ast.CapabilitiesForThisVersion(ast.CapabilitiesExperimentalKeywords(asked.Experimental))),
		rego.FunctionDecl(&rego.Function{Name: "test.sleep", Decl: types.NewFunction(types.Args(types.S), types.Nl)}),
	}
	for index, module := range asked.Modules {
		options = append(options, rego.Module(fmt.Sprintf("module-%d.rego", index), module))
	}
	compiled, err := rego.New(options...).Compile(context.Background())
	if err != nil {
		return nil, err
	}
	return map[string]any{"wasm": base64.StdEncoding.EncodeToString(compiled.Bytes)}, nil
}
