//go:build js && wasm

package main

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/loader"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// fault is one thing that is wrong, with its place where there is one. Rows and columns count from 1.
type fault struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	File    string `json:"file,omitempty"`
	Row     int    `json:"row,omitempty"`
	Col     int    `json:"col,omitempty"`
}

func (f fault) at(location *ast.Location) fault {
	if location != nil {
		f.File, f.Row, f.Col = location.File, location.Row, location.Col
	}
	return f
}

// faultsOf takes apart what OPA's loader, parser, compiler and evaluator report.
func faultsOf(err error) []fault {
	var many ast.Errors
	if errors.As(err, &many) {
		faults := make([]fault, 0, len(many))
		for _, one := range many {
			message := one.Message
			if one.Details != nil {
				for _, line := range one.Details.Lines() {
					message += "\n" + line
				}
			}
			faults = append(faults, fault{Code: one.Code, Message: message}.at(one.Location))
		}
		return faults
	}
	var loading loader.Errors
	if errors.As(err, &loading) {
		var faults []fault
		for _, one := range loading {
			faults = append(faults, faultsOf(one)...)
		}
		return faults
	}
	var one *ast.Error
	if errors.As(err, &one) {
		return []fault{fault{Code: one.Code, Message: one.Message}.at(one.Location)}
	}
	var evaluation *topdown.Error
	if errors.As(err, &evaluation) {
		return []fault{fault{Code: evaluation.Code, Message: evaluation.Message}.at(evaluation.Location)}
	}
	return []fault{{Code: "opa_error", Message: err.Error()}}
}

// encode writes JSON as JavaScript reads it, without the escapes that are for HTML.
func encode(value any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimRight(buffer.Bytes(), "\n"), nil
}
