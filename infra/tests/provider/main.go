// A stand-in for hashicorp/google that knows its schema and nothing else.
//
// `terraform validate`, and `terraform test` with mock_provider, ask a provider only what it accepts. So the modules
// are checked without Google, without credentials and without the registry. It can neither plan nor apply: used
// instead of the real provider by mistake, it says so and stops.
package main

import (
	"context"
	"errors"
	"log"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tfprotov5/tf5server"
)

const address = "registry.terraform.io/hashicorp/google"

var errSchemaOnly = errors.New("this is the schema-only stand-in for hashicorp/google, which the tests use: " +
	"it plans and applies nothing. Run terraform without TF_CLI_CONFIG_FILE to get the real provider")

// provider answers what Terraform asks of a schema. The embedded interface is nil: no other call is ever made.
type provider struct {
	tfprotov5.ProviderServer
	document document
}

func (p provider) GetMetadata(context.Context, *tfprotov5.GetMetadataRequest) (*tfprotov5.GetMetadataResponse, error) {
	return &tfprotov5.GetMetadataResponse{}, nil
}

func (p provider) GetProviderSchema(context.Context, *tfprotov5.GetProviderSchemaRequest) (*tfprotov5.GetProviderSchemaResponse, error) {
	response := &tfprotov5.GetProviderSchemaResponse{
		Provider:          &tfprotov5.Schema{Block: p.document.Provider.schema()},
		ResourceSchemas:   map[string]*tfprotov5.Schema{},
		DataSourceSchemas: map[string]*tfprotov5.Schema{},
		// Terraform may keep the schema: it starts a provider several times per run, and would ask each time
		ServerCapabilities: &tfprotov5.ServerCapabilities{GetProviderSchemaOptional: true},
	}
	for name, block := range p.document.Resources {
		response.ResourceSchemas[name] = &tfprotov5.Schema{Block: block.schema()}
	}
	for name, block := range p.document.Data {
		response.DataSourceSchemas[name] = &tfprotov5.Schema{Block: block.schema()}
	}
	return response, nil
}

func (p provider) PrepareProviderConfig(_ context.Context, request *tfprotov5.PrepareProviderConfigRequest) (*tfprotov5.PrepareProviderConfigResponse, error) {
	return &tfprotov5.PrepareProviderConfigResponse{PreparedConfig: request.Config}, nil
}

func (p provider) ValidateResourceTypeConfig(_ context.Context, request *tfprotov5.ValidateResourceTypeConfigRequest) (*tfprotov5.ValidateResourceTypeConfigResponse, error) {
	diagnostics, err := p.document.Resources[request.TypeName].check(request.Config)
	return &tfprotov5.ValidateResourceTypeConfigResponse{Diagnostics: diagnostics}, err
}

func (p provider) ValidateDataSourceConfig(_ context.Context, request *tfprotov5.ValidateDataSourceConfigRequest) (*tfprotov5.ValidateDataSourceConfigResponse, error) {
	diagnostics, err := p.document.Data[request.TypeName].check(request.Config)
	return &tfprotov5.ValidateDataSourceConfigResponse{Diagnostics: diagnostics}, err
}

func (p provider) ConfigureProvider(context.Context, *tfprotov5.ConfigureProviderRequest) (*tfprotov5.ConfigureProviderResponse, error) {
	return nil, errSchemaOnly
}

func (p provider) StopProvider(context.Context, *tfprotov5.StopProviderRequest) (*tfprotov5.StopProviderResponse, error) {
	return &tfprotov5.StopProviderResponse{}, nil
}

func main() {
	document, err := read()
	if err != nil {
		log.Fatal(err)
	}
	serve := func() tfprotov5.ProviderServer { return provider{document: document} }
	if err := tf5server.Serve(address, serve); err != nil {
		log.Fatal(err)
	}
}
