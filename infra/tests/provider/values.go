package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// check finds arguments whose value is not among those that the provider's documentation enumerates.
func (b block) check(config *tfprotov5.DynamicValue) ([]*tfprotov5.Diagnostic, error) {
	if !b.enumerates() { // one `terraform test` asks hundreds of times
		return nil, nil
	}
	value, err := config.Unmarshal((&tfprotov5.Schema{Block: b.schema()}).ValueType())
	if err != nil {
		return nil, err
	}
	return b.wrong(value, tftypes.NewAttributePath())
}

func (b block) enumerates() bool {
	for _, a := range b.Attributes {
		if len(a.Values) > 0 {
			return true
		}
	}
	for _, n := range b.Blocks {
		if n.Block.enumerates() {
			return true
		}
	}
	return false
}

func (b block) wrong(value tftypes.Value, at *tftypes.AttributePath) ([]*tfprotov5.Diagnostic, error) {
	if value.IsNull() || !value.IsKnown() {
		return nil, nil
	}
	var members map[string]tftypes.Value
	if err := value.As(&members); err != nil {
		return nil, at.NewError(err)
	}
	var found []*tfprotov5.Diagnostic
	for _, name := range sorted(b.Attributes) {
		if diagnostic := b.Attributes[name].wrong(members[name], at.WithAttributeName(name)); diagnostic != nil {
			found = append(found, diagnostic)
		}
	}
	for _, name := range sorted(b.Blocks) {
		n, here := b.Blocks[name], at.WithAttributeName(name)
		each := []tftypes.Value{members[name]}
		if n.Nesting != "single" {
			if !members[name].IsKnown() { // a dynamic block over what only an apply will tell
				continue
			}
			if err := members[name].As(&each); err != nil {
				return nil, here.NewError(err)
			}
		}
		for i, one := range each {
			within := here
			if n.Nesting == "list" {
				within = here.WithElementKeyInt(i)
			}
			inner, err := n.Block.wrong(one, within)
			if err != nil {
				return nil, err
			}
			found = append(found, inner...)
		}
	}
	return found, nil
}

func (a attribute) wrong(value tftypes.Value, at *tftypes.AttributePath) *tfprotov5.Diagnostic {
	if len(a.Values) == 0 || value.IsNull() || !value.IsKnown() {
		return nil
	}
	var text string
	if err := value.As(&text); err != nil || text == "" || slices.Contains(a.Values, text) {
		return nil
	}
	return &tfprotov5.Diagnostic{
		Severity:  tfprotov5.DiagnosticSeverityError,
		Summary:   fmt.Sprintf("%q is not a possible value", text),
		Detail:    "The provider's documentation allows: " + strings.Join(a.Values, ", "),
		Attribute: at,
	}
}
