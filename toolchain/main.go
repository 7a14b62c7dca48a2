//go:build js && wasm

// Command toolchain is OPA's own parser, checker, formatter, compiler, tester and evaluator for JavaScript. It puts one
// function on the global object, curfewToolchain(request) -> response, both JSON text. Guarantees: the call returns when
// the work is done; every failure is data in the response; nothing panics out; no file, network or environment is read. It has no limit of
// time: no timer fires while a call runs, so that the caller ends the thread.
package main

import (
	"encoding/json"
	"fmt"
	"syscall/js"
)

// request names an operation; the rest of its members belong to the operation.
type request struct {
	Op string `json:"op"`
}

var operations = map[string]func([]byte) (any, error){
	"version":      version,
	"capabilities": capabilities,
	"check":        check,
	"format":       formatSource,
	"compile":      compileBundle,
	"query":        compileQuery,
	"test":         runTests,
	"evaluate":     evaluate,
	"builtin":      callBuiltin,
	"builtins":     listBuiltins,
	"yaml":         yamlToJSON,
}

func answer(text string) (response map[string]any) {
	defer func() {
		if cause := recover(); cause != nil {
			response = refused([]fault{{Code: "toolchain_panic", Message: fmt.Sprint(cause)}})
		}
	}()
	var asked request
	if err := json.Unmarshal([]byte(text), &asked); err != nil {
		return refused([]fault{{Code: "toolchain_request", Message: err.Error()}})
	}
	operation, known := operations[asked.Op]
	if !known {
		return refused([]fault{{Code: "toolchain_request", Message: "no operation " + asked.Op}})
	}
	value, err := operation([]byte(text))
	if err != nil {
		return refused(faultsOf(err))
	}
	return map[string]any{"value": value}
}

func refused(faults []fault) map[string]any {
	return map[string]any{"faults": faults}
}

func main() {
	js.Global().Set("curfewToolchain", js.FuncOf(func(_ js.Value, args []js.Value) any {
		if len(args) != 1 || args[0].Type() != js.TypeString {
			return `{"faults":[{"code":"toolchain_request","message":"expects one string"}]}`
		}
		response, err := encode(answer(args[0].String()))
		if err != nil {
			return `{"faults":[{"code":"toolchain_response","message":"the answer is not JSON"}]}`
		}
		return string(response)
	}))
	select {}
}
