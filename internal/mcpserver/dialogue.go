package mcpserver

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/stagedoor/stagedoor/internal/invoke"
)

// turnLife is how long a client may take to answer what it was asked
// (2026-07-28, basic/patterns/mrtr, "a short expiry").
const turnLife = 10 * time.Minute

// What a turn is about.
const (
	turnConfirm = "confirm" // the gateway asks whether it may call the plugin
	turnPlugin  = "plugin"  // the plugin asks
	turnPrompt  = "prompt"  // arguments of a prompt are missing
)

// turn is where a request stands that waits for input of its client. Sealed it
// is the requestState, so that any replica can go on.
type turn struct {
	About string          `json:"about"`
	Round int             `json:"round,omitempty"` // of a plugin, from 1
	Asked json.RawMessage `json:"asked,omitempty"` // an object of requests by their keys; nil: none
	// Answers are those that came already.
	Answers map[string]json.RawMessage `json:"answers,omitempty"`
	State   string                     `json:"state,omitempty"` // the plugin's own
	Meta    json.RawMessage            `json:"-"`               // the plugin's _meta for the question
	// Once says that the plugin may be called only once with the answers: there
	// is a confirmation behind them.
	Once    bool   `json:"once,omitempty"`
	Nonce   string `json:"nonce"`
	Expires int64  `json:"expires"` // Unix time in milliseconds

	resumed bool
}

// dialogue is a request of a client for which the client can be asked.
type dialogue struct {
	h     *Handler
	x     *exchange
	era   era
	bound []string // to what a requestState belongs

	capabilities json.RawMessage            // of the client, as far as it can be asked
	turn         *turn                      // where the request stands; nil: at its beginning
	given        map[string]json.RawMessage // answers that came with the request
	by           askFunc
}

// askFunc puts requests to a client that waits for something else, and gives its
// answers by their keys.
type askFunc func(ctx context.Context, t *turn) (map[string]json.RawMessage, error)

// otherResultError is a result of another type than the request's own: a question,
// with whose answers the client comes back, or a task.
type otherResultError struct{ result json.RawMessage }

func (*otherResultError) Error() string { return "answered with a result of another type" }

// instead gives what a request is answered with in the place of its own result:
// a result of another type, or a fault.
func instead(err error) (result json.RawMessage, fault *rpcError) {
	var asked *otherResultError
	if errors.As(err, &asked) {
		return asked.result, nil
	}
	if !errors.As(err, &fault) {
		fault = &rpcError{code: mcp.INTERNAL_ERROR, message: "internal error"}
	}
	return nil, fault
}

// newDialogue reads what the client says about an earlier turn of its request.
// about are words for what is called; an earlier turn was about the same.
func (h *Handler) newDialogue(x *exchange, e era, m *envelope, arguments json.RawMessage, about ...string) (*dialogue, *rpcError) {
	d := &dialogue{h: h, x: x, era: e}
	if e == legacy {
		d.by = d.askLegacy
		if x.stream.allowed || x.forwards() {
			d.capabilities = x.session.Capabilities
		}
		return d, nil
	}
	d.by, d.capabilities = d.askModern, m.capabilities
	d.bound = append([]string{m.method, x.server.name, x.key, digest(arguments)}, about...)
	if raw := m.param("inputResponses"); raw != nil {
		if !isObject(raw) {
			return nil, invalidParams("inputResponses must be an object")
		}
		d.given = map[string]json.RawMessage{}
		for all := membersOf(raw); ; {
			key, answer, ok := all.next()
			if !ok {
				break
			}
			d.given[key] = answer
		}
	}
	if raw := m.param("requestState"); raw != nil {
		if fault := d.resume(raw); fault != nil {
			return nil, fault
		}
	}
	return d, nil
}

// digest is the hash of the arguments as they came, blanks apart.
func digest(arguments json.RawMessage) string {
	var compact bytes.Buffer
	if json.Compact(&compact, arguments) != nil {
		return "" // they were read before
	}
	sum := sha256.Sum256(compact.Bytes())
	return hex.EncodeToString(sum[:])
}

// resume opens a requestState. It is whatever the client wants it to be.
func (d *dialogue) resume(raw json.RawMessage) *rpcError {
	foreign := invalidParams("requestState does not belong to this request: call again without it")
	if !isString(raw) {
		return foreign
	}
	plain, ok := d.h.states.open(unquote(raw), d.bound...)
	if !ok {
		return foreign
	}
	t := &turn{resumed: true}
	if json.Unmarshal(plain, t) != nil {
		return foreign // of another release
	}
	if d.h.options.Now().UnixMilli() >= t.Expires {
		return invalidParams("requestState has expired: call again without it")
	}
	d.turn = t
	return nil
}

// ask gives the answers to a turn's requests, an object by their keys. The error
// is an *[otherResultError] or *[rpcError], to be answered with, or an *[invoke.Error].
func (d *dialogue) ask(ctx context.Context, t *turn) (json.RawMessage, error) {
	if lacking := lacking(d.capabilities, t.Asked, t.Answers); lacking != nil {
		return nil, d.cannotAsk(t, lacking)
	}
	answers, err := d.by(ctx, t)
	if err != nil || len(t.Asked) == 0 {
		return nil, err
	}
	return json.Marshal(answers)
}

// askModern looks whether the client has answered all, and asks it for the rest
// (2026-07-28, basic/patterns/mrtr).
func (d *dialogue) askModern(ctx context.Context, t *turn) (map[string]json.RawMessage, error) {
	missing, fault := t.take(d.given, t.About != turnConfirm || t.resumed)
	d.given = nil // later rounds ask for something else
	switch {
	case fault != nil:
		return nil, fault
	case missing != nil, len(t.Asked) == 0 && !t.resumed:
		return nil, d.pending(t, missing)
	case !t.Once && t.About != turnConfirm:
		return t.Answers, nil
	}
	first, err := d.h.options.Store.Spend(ctx, t.Nonce, time.UnixMilli(t.Expires))
	if err != nil {
		return nil, d.h.storeFault(ctx, d.x, err)
	}
	if !first {
		return nil, invalidParams("requestState was used before: call again without it")
	}
	return t.Answers, nil
}

// take adds answers that were asked for, and gives the requests that are still
// without one. What was not asked for is nothing to us.
func (t *turn) take(given map[string]json.RawMessage, trusted bool) (missing json.RawMessage, fault *rpcError) {
	if t.Answers == nil {
		t.Answers = map[string]json.RawMessage{}
	}
	for key, request := range requestsOf(t.Asked) {
		answer := t.Answers[key]
		if answer == nil && trusted {
			answer = given[key]
		}
		if answer == nil {
			missing = append(append(appendString(append(missing, ','), key), ':'), request...)
			continue
		}
		if problem := checkAnswer(request, answer); problem != "" {
			return nil, invalidParams("inputResponses " + quoteShort(key) + ": " + problem)
		}
		t.Answers[key] = answer
	}
	if missing != nil {
		missing[0] = '{'
		missing = append(missing, '}')
	}
	return missing, nil
}

// pending is the InputRequiredResult. A turn that is asked again stays the same.
func (d *dialogue) pending(t *turn, missing json.RawMessage) error {
	t.Nonce = cmp.Or(t.Nonce, newSessionID())
	t.Expires = cmp.Or(t.Expires, d.h.options.Now().Add(turnLife).UnixMilli())
	plain, err := json.Marshal(t)
	if err != nil {
		return &invoke.Error{Kind: invoke.Internal, Err: err}
	}
	result := d.x.server.typed(string(mcp.ResultTypeInputRequired), t.Meta)
	if missing != nil {
		result = append(append(result, `,"inputRequests":`...), missing...)
	}
	result = appendString(append(result, `,"requestState":`...), d.h.states.seal(plain, d.bound...))
	return &otherResultError{append(result, '}')}
}

// typed begins a modern result that is no complete one. more are members for
// its _meta.
func (s *server) typed(resultType string, more json.RawMessage) []byte {
	rest := s.meta[len(`"resultType":"complete"`):]
	dst := append(append([]byte(`{"resultType":"`), resultType...), '"')
	dst = append(dst, rest...)
	if len(more) > len(`{}`) {
		dst = append(append(dst[:len(dst)-1], ','), more[1:]...)
	}
	return dst
}

// askLegacy sends the requests to the client, one after the other, and waits.
func (d *dialogue) askLegacy(ctx context.Context, t *turn) (map[string]json.RawMessage, error) {
	answers := map[string]json.RawMessage{}
	for key, request := range requestsOf(t.Asked) {
		answer, err := d.x.askClient(ctx, methodOf(request), member(request, "params"))
		if err != nil {
			return nil, d.unanswered(ctx, err)
		}
		if problem := checkAnswer(request, answer); problem != "" {
			return nil, unanswerable("the client's answer is not one: " + problem)
		}
		answers[key] = answer
	}
	return answers, nil
}

// unanswered explains why a client gave no answer.
func (d *dialogue) unanswered(ctx context.Context, err error) error {
	var said *clientError
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &invoke.Error{Kind: invoke.Timeout, Message: "nobody answered what had to be asked in time", Err: err}
	case ctx.Err() != nil:
		return &invoke.Error{Kind: invoke.Cancelled, Message: "the call was cancelled", Err: err}
	case errors.Is(err, errSilent):
		return unanswerable("the client has ended its input")
	case errors.Is(err, errStopping):
		return unanswerable("the gateway is being restarted; call again")
	case errors.As(err, &said):
		return unanswerable("the client answered with an error: " + cutText(said.message, 200))
	}
	return d.h.storeFault(ctx, d.x, err)
}

// outcomeUnanswered is of calls that ended because the client gave no answer.
const outcomeUnanswered = "unanswered"

func unanswerable(why string) error {
	return &invoke.Error{Kind: outcomeUnanswered, Message: "The call has to ask before it can go on, and got no answer: " + why}
}

// cannotAsk says what the client lacks: in 2026-07-28 as an error of the
// protocol (schema, "MissingRequiredClientCapabilityError"), before that to the
// model. What the gateway itself asks explains itself.
func (d *dialogue) cannotAsk(t *turn, lacking *capabilities) error {
	if d.era == modern && t.About != turnConfirm {
		return lacking.fault()
	}
	return unanswerable("the client cannot be asked (" + lacking.String() +
		"). A client that declares this, and reads events (text/event-stream), can")
}
