package invoke

import (
	"context"
	"time"

	"github.com/stagedoor/stagedoor/openapi"
)

// queryTime bounds a jq program. Documents bring them, and one that runs away
// takes memory as long as it takes time.
const queryTime = 500 * time.Millisecond

func runQuery(ctx context.Context, q *openapi.Query, input, arguments any, status int) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTime)
	defer cancel()
	return q.Run(ctx, input, arguments, status)
}

func queryTimeout(err error) *Error {
	return &Error{Kind: Timeout, Message: "the action's jq program took too long", Err: err}
}
