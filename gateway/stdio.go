package gateway

import (
	"context"
	"io"

	"github.com/stagedoor/stagedoor/internal/principal"
)

// ServeStdio speaks MCP with one client, a JSON-RPC message a line, as the
// server of the name: until in ends and all that was asked is answered, or
// until the context ends. Who started the process is trusted.
func (g *Gateway) ServeStdio(ctx context.Context, server string, in io.Reader, out io.Writer) error {
	return g.mcp.ServeStdio(ctx, server, principal.Principal{}, in, out)
}
