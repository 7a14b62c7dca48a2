//go:build js && wasm

package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/builtins"
	"github.com/open-policy-agent/opa/v1/util"
)

func isTestName(name string) bool { return strings.HasSuffix(name, testSuffix) }

// pure are builtins that OPA takes for more than functions of their operands, and that are such here: the time is given,
// and no schema is fetched.
var pure = map[string]bool{
	"time.now_ns":          true,
	"io.jwt.decode_verify": true,
	"json.match_schema":    true,
	"json.verify_schema":   true,
}

// offline are OPA's capabilities without the network, which no call here can wait for.
func offline() *ast.Capabilities {
	capabilities := ast.CapabilitiesForThisVersion()
	capabilities.AllowNet = []string{}
	return capabilities
}

// callBuiltin calls one of OPA's builtins. Operands and result are Rego text: JSON with sets as {1, 2} and set(), and any
// value as a key. An error that is undefined in Rego has no result; one that ends an evaluation is a fault.
func callBuiltin(text []byte) (any, error) {
	var asked struct {
		Name     string   `json:"name"`
		Operands []string `json:"operands"`
		NowNs    string   `json:"nowNs"`
	}
	if err := util.Unmarshal(text, &asked); err != nil {
		return nil, err
	}
	declared, known := ast.BuiltinMap[asked.Name]
	call := topdown.GetBuiltin(asked.Name)
	if !known || call == nil {
		return nil, fmt.Errorf("OPA has no builtin %s", asked.Name)
	}
	if declared.Nondeterministic && !pure[asked.Name] {
		return nil, fmt.Errorf("%s depends on more than its operands", asked.Name)
	}
	operands := make([]*ast.Term, 0, len(asked.Operands))
	for _, operand := range asked.Operands {
		term, err := ast.ParseTerm(operand)
		if err != nil {
			return nil, err
		}
		operands = append(operands, term)
	}
	now := asked.NowNs
	if now == "" {
		now = "0"
	}
	var result *ast.Term
	err := call(topdown.BuiltinContext{
		Context:      context.Background(),
		Metrics:      metrics.New(),
		Seed:         rand.Reader,
		Time:         ast.NewTerm(ast.Number(json.Number(now))),
		Cancel:       topdown.NewCancel(),
		Cache:        builtins.Cache{},
		Capabilities: offline(),
	}, operands, func(found *ast.Term) error {
		result = found
		return nil
	})
	var halt topdown.Halt
	if errors.As(err, &halt) {
		return nil, halt.Err
	}
	if err != nil || result == nil {
		message := ""
		if err != nil {
			message = err.Error()
		}
		return map[string]any{"undefined": message}, nil
	}
	var written strings.Builder
	if err := writeRego(&written, result.Value); err != nil {
		return nil, err
	}
	return map[string]any{"result": written.String()}, nil
}

func listBuiltins([]byte) (any, error) {
	list := []map[string]any{}
	for _, builtin := range ast.Builtins {
		list = append(list, map[string]any{"name": builtin.Name, "operands": len(builtin.Decl.FuncArgs().Args), "pure": !builtin.Nondeterministic || pure[builtin.Name]})
	}
	return list, nil
}

// writeRego writes a value with strings as JSON has them; Rego's own way of writing escapes some in Go's way.
func writeRego(to *strings.Builder, value ast.Value) (err error) {
	list := func(open, close string, length int, each func(int)) {
		to.WriteString(open)
		for index := range length {
			if index > 0 {
				to.WriteString(",")
			}
			each(index)
		}
		to.WriteString(close)
	}
	inner := func(term *ast.Term) {
		if err == nil {
			err = writeRego(to, term.Value)
		}
	}
	switch value := value.(type) {
	case ast.String:
		text, failed := encode(string(value))
		to.Write(text)
		return failed
	case *ast.Array:
		list("[", "]", value.Len(), func(index int) { inner(value.Elem(index)) })
	case ast.Set:
		if value.Len() == 0 {
			to.WriteString("set()")
			return nil
		}
		items := value.Slice()
		list("{", "}", len(items), func(index int) { inner(items[index]) })
	case ast.Object:
		keys := value.Keys()
		list("{", "}", len(keys), func(index int) {
			inner(keys[index])
			to.WriteString(":")
			inner(value.Get(keys[index]))
		})
	case ast.Null, ast.Boolean, ast.Number:
		to.WriteString(value.String())
	default:
		return fmt.Errorf("a builtin answered what is no value")
	}
	return err
}
