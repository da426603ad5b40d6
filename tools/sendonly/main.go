// Command sendonly is a linter for one rule that a list of imports cannot express: outside tests, pgproto3 builds messages and
// never reads them. Its decoders panic or loop on hostile bytes and no version 2 without that will come, so reading is the
// work of proxy/wire.
//
//	sendonly ./...
package main

import (
	"go/ast"
	"go/types"
	"strings"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/singlechecker"
)

const pgproto3 = "github.com/jackc/pgproto3/v2"

// reads are the functions and methods of pgproto3 that read bytes, or make something that does.
var reads = map[string]bool{
	"Decode": true, "Receive": true, "ReceiveStartupMessage": true, "UnmarshalJSON": true,
	"NewFrontend": true, "NewBackend": true, "NewChunkReader": true,
}

var analyzer = &analysis.Analyzer{
	Name: "sendonly",
	Doc:  "reports code outside tests that reads with pgproto3",
	Run:  run,
}

func main() { singlechecker.Main(analyzer) }

func run(pass *analysis.Pass) (any, error) {
	if strings.HasPrefix(pass.Pkg.Path(), "tombstone/test/") {
		return nil, nil
	}
	for _, file := range pass.Files {
		if strings.HasSuffix(pass.Fset.File(file.Pos()).Name(), "_test.go") {
			continue
		}
		ast.Inspect(file, func(n ast.Node) bool {
			name, ok := n.(*ast.Ident)
			if !ok {
				return true
			}
			f, ok := pass.TypesInfo.Uses[name].(*types.Func)
			if ok && f.Pkg() != nil && f.Pkg().Path() == pgproto3 && reads[f.Name()] {
				pass.Reportf(name.Pos(), "%s reads with pgproto3, whose decoders panic or loop on hostile bytes; read with proxy/wire and keep pgproto3 for building messages", f.Name())
			}
			return true
		})
	}
	return nil, nil
}
