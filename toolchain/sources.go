//go:build js && wasm

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"testing/fstest"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/format"
	"github.com/open-policy-agent/opa/v1/loader"
	"github.com/open-policy-agent/opa/v1/util"
)

const testSuffix = "_test.rego"

// sources are files as a bundle's folder has them: path relative to its root, and text.
type sources struct {
	Files map[string]string `json:"files"`
}

func (s sources) fileSystem() fs.FS {
	files := fstest.MapFS{}
	for name, text := range s.Files {
		files[path.Clean(name)] = &fstest.MapFile{Data: []byte(text), Mode: 0o444}
	}
	return files
}

func isTest(name string) bool { return strings.HasSuffix(name, testSuffix) }

// withoutTests is a loader's filter: it says what to leave out.
func withoutTests(_ string, info fs.FileInfo, _ int) bool { return isTest(info.Name()) }

// versions answers with which version of Rego a file is to be read: what the manifest says of it, else the current one.
func (s sources) versions() (func(string) (ast.RegoVersion, error), error) {
	var described bundle.Bundle
	if text, ok := s.Files[".manifest"]; ok {
		if err := util.Unmarshal([]byte(text), &described.Manifest); err != nil {
			return nil, fmt.Errorf(".manifest: %w", err)
		}
	}
	return func(name string) (ast.RegoVersion, error) {
		return described.RegoVersionForFile(path.Join("/", name), ast.RegoV1)
	}, nil
}

// load reads the sources as a bundle, with tests and annotations. It parses every file first: the loader ends at the first fault.
func (s sources) load() (*bundle.Bundle, error) {
	versionOf, err := s.versions()
	if err != nil {
		return nil, err
	}
	var faults ast.Errors
	for _, name := range util.KeysSorted(s.Files) {
		if !strings.HasSuffix(name, ".rego") {
			continue
		}
		version, err := versionOf(name)
		if err != nil {
			return nil, err
		}
		_, err = ast.ParseModuleWithOpts(name, s.Files[name], ast.ParserOptions{ProcessAnnotation: true, RegoVersion: version})
		var many ast.Errors
		if errors.As(err, &many) {
			faults = append(faults, many...)
		}
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return loader.NewFileLoader().
		WithFS(s.fileSystem()).
		WithProcessAnnotation(true).
		WithRegoVersion(ast.RegoV1).
		WithSkipBundleVerification(true).
		AsBundle(".")
}

func (s sources) modules(loaded *bundle.Bundle) map[string]*ast.Module {
	modules := map[string]*ast.Module{}
	for _, file := range loaded.Modules {
		modules[file.Path] = file.Parsed
	}
	return modules
}

func has(data map[string]any) func([]string) (bool, error) {
	return func(keys []string) (bool, error) {
		var node any = data
		for _, key := range keys {
			object, ok := node.(map[string]any)
			if !ok {
				return true, nil
			}
			if node, ok = object[key]; !ok {
				return false, nil
			}
		}
		return len(keys) > 0, nil
	}
}

// check parses and compiles the sources. Schemas by name are what annotations call schema["name"].
func check(text []byte) (any, error) {
	var asked struct {
		sources
		Strict  bool           `json:"strict"`
		Schemas map[string]any `json:"schemas"`
	}
	if err := util.Unmarshal(text, &asked); err != nil {
		return nil, err
	}
	loaded, err := asked.load()
	if err != nil {
		return nil, err
	}
	compiler := ast.NewCompiler().
		SetErrorLimit(100).
		WithCapabilities(offline()).
		WithStrict(asked.Strict).
		WithEnablePrintStatements(true).
		WithUseTypeCheckAnnotations(true).
		WithPathConflictsCheck(has(loaded.Data))
	if len(asked.Schemas) > 0 {
		set := ast.NewSchemaSet()
		for name, schema := range asked.Schemas {
			set.Put(ast.SchemaRootRef.Append(ast.StringTerm(name)), schema)
		}
		compiler = compiler.WithSchemas(set)
	}
	if compiler.Compile(asked.modules(loaded)); compiler.Failed() {
		return nil, compiler.Errors
	}
	return map[string]any{"files": len(loaded.Modules)}, nil
}

// formatSource formats one file.
func formatSource(text []byte) (any, error) {
	var asked struct {
		File string `json:"file"`
		Text string `json:"text"`
	}
	if err := util.Unmarshal(text, &asked); err != nil {
		return nil, err
	}
	formatted, err := format.SourceWithOpts(asked.File, []byte(asked.Text), format.Opts{RegoVersion: ast.RegoV1})
	if err != nil {
		return nil, err
	}
	return map[string]any{"text": string(formatted), "changed": !bytes.Equal(formatted, []byte(asked.Text))}, nil
}

// yamlToJSON answers JSON as text, so that no number loses digits on the way.
func yamlToJSON(text []byte) (any, error) {
	var asked struct {
		Text string `json:"text"`
	}
	if err := util.Unmarshal(text, &asked); err != nil {
		return nil, err
	}
	var value any
	if err := util.Unmarshal([]byte(asked.Text), &value); err != nil {
		return nil, fmt.Errorf("not YAML: %w", err)
	}
	written, err := encode(value)
	return string(written), err
}
