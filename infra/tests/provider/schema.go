package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"sort"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

//go:embed schema.json
var raw []byte

// document is schema.json, as derive_schema.py writes it.
type document struct {
	Provider  block
	Resources map[string]block
	Data      map[string]block
}

type block struct {
	Attributes map[string]attribute
	Blocks     map[string]nested
}

type attribute struct {
	Type                         attributeType
	Required, Optional, Computed bool
	Values                       []string // what the documentation enumerates; empty where it does not
}

type nested struct {
	Nesting  string
	Min, Max int64
	Block    block
}

type attributeType struct{ tftypes.Type }

func (t *attributeType) UnmarshalJSON(text []byte) error {
	parsed, err := tftypes.ParseJSONType(text) //nolint:staticcheck // the form in which Terraform itself writes types
	t.Type = parsed
	return err
}

var nestings = map[string]tfprotov5.SchemaNestedBlockNestingMode{
	"list":   tfprotov5.SchemaNestedBlockNestingModeList,
	"set":    tfprotov5.SchemaNestedBlockNestingModeSet,
	"single": tfprotov5.SchemaNestedBlockNestingModeSingle,
}

func read() (document, error) {
	var found document
	if err := json.Unmarshal(raw, &found); err != nil {
		return found, fmt.Errorf("schema.json: %w", err)
	}
	return found, nil
}

func (b block) schema() *tfprotov5.SchemaBlock {
	result := &tfprotov5.SchemaBlock{}
	for _, name := range sorted(b.Attributes) {
		a := b.Attributes[name]
		result.Attributes = append(result.Attributes, &tfprotov5.SchemaAttribute{
			Name: name, Type: a.Type.Type, Required: a.Required, Optional: a.Optional, Computed: a.Computed,
		})
	}
	for _, name := range sorted(b.Blocks) {
		n := b.Blocks[name]
		result.BlockTypes = append(result.BlockTypes, &tfprotov5.SchemaNestedBlock{
			TypeName: name, Block: n.Block.schema(), Nesting: nestings[n.Nesting], MinItems: n.Min, MaxItems: n.Max,
		})
	}
	return result
}

func sorted[T any](named map[string]T) []string {
	names := make([]string, 0, len(named))
	for name := range named {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
