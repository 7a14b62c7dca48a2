// OPA's own evaluator behind grpc-go, asked as Envoy asks: what the peers bench has for opa-envoy-plugin, whose module is not served everywhere.
// It does with a request what the plugin does (the message as protojson, parsed_path, parsed_query and version beside it, one prepared query, one
// read transaction, an id for the decision) and nothing else: no decision log, no metrics, no bodies.
//
// opa-grpc FOLDER: access.rego and data.json of FOLDER, the rule data.bench.bare.allow; prints its port.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	envoytype "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"github.com/google/uuid"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/util"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
)

type server struct {
	auth.UnimplementedAuthorizationServer
	query rego.PreparedEvalQuery
	store storage.Store
}

func inputOf(request *auth.CheckRequest) (ast.Value, error) {
	text, err := protojson.Marshal(request)
	if err != nil {
		return nil, err
	}
	var input map[string]any
	if err := util.UnmarshalJSON(text, &input); err != nil {
		return nil, err
	}
	asked, err := url.Parse(request.GetAttributes().GetRequest().GetHttp().GetPath())
	if err != nil {
		return nil, err
	}
	path := []any{}
	for part := range strings.SplitSeq(strings.TrimLeft(asked.Path, "/"), "/") {
		path = append(path, part)
	}
	query := map[string]any{}
	for name, values := range asked.Query() {
		all := make([]any, len(values))
		for index, value := range values {
			all[index] = value
		}
		query[name] = all
	}
	input["parsed_path"], input["parsed_query"], input["version"] = path, query, map[string]any{"ext_authz": "v3", "encoding": "protojson"}
	return ast.InterfaceToValue(input)
}

func (s *server) Check(ctx context.Context, request *auth.CheckRequest) (*auth.CheckResponse, error) {
	input, err := inputOf(request)
	if err != nil {
		return nil, err
	}
	transaction, err := s.store.NewTransaction(ctx)
	if err != nil {
		return nil, err
	}
	defer s.store.Abort(ctx, transaction)
	results, err := s.query.Eval(ctx, rego.EvalParsedInput(input), rego.EvalTransaction(transaction))
	if err != nil {
		return nil, err
	}
	id := []*core.HeaderValueOption{{Header: &core.HeaderValue{Key: "x-decision-id", Value: uuid.NewString()}}}
	if results.Allowed() {
		return &auth.CheckResponse{Status: &status.Status{Code: int32(codes.OK)}, HttpResponse: &auth.CheckResponse_OkResponse{OkResponse: &auth.OkHttpResponse{Headers: id}}}, nil
	}
	denied := &auth.DeniedHttpResponse{Status: &envoytype.HttpStatus{Code: envoytype.StatusCode_Forbidden}, Headers: id}
	return &auth.CheckResponse{Status: &status.Status{Code: int32(codes.PermissionDenied)}, HttpResponse: &auth.CheckResponse_DeniedResponse{DeniedResponse: denied}}, nil
}

func serve(folder string) error {
	ctx := context.Background()
	text, err := os.ReadFile(filepath.Join(folder, "data.json"))
	if err != nil {
		return err
	}
	var data map[string]any
	if err := util.UnmarshalJSON(text, &data); err != nil {
		return err
	}
	rule, err := os.ReadFile(filepath.Join(folder, "access.rego"))
	if err != nil {
		return err
	}
	// As `--optimize-store-for-read-speed` has it for the OPA server beside it.
	store := inmem.NewFromObjectWithOpts(data, inmem.OptReturnASTValuesOnRead(true))
	query, err := rego.New(rego.Query("data.bench.bare.allow"), rego.Module("access.rego", string(rule)), rego.Store(store)).PrepareForEval(ctx)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	grpcServer := grpc.NewServer()
	auth.RegisterAuthorizationServer(grpcServer, &server{query: query, store: store})
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	return grpcServer.Serve(listener)
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("opa-grpc FOLDER")
	}
	log.Fatal(serve(os.Args[1]))
}
