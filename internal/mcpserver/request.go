package mcpserver

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/stagedoor/stagedoor/internal/session"
)

// requestPrefix begins the ids of our own requests.
const requestPrefix = "stagedoor-"

// answerGrace is how long a stopping gateway waits for answers.
const answerGrace = 5 * time.Second

// errStopping says that the gateway stops before the client has answered.
var errStopping = errors.New("gateway stops")

// errCannotAsk says that the client gave no way to ask it something.
var errCannotAsk = errors.New("client reads no events, so that nothing can be asked of it")

// errSilent says that the client can answer no more.
var errSilent = errors.New("client has ended its input")

// clientError is a client's answer that is an error.
type clientError struct{ message string }

func (e *clientError) Error() string { return "client answered with an error: " + e.message }

// askClient asks the client something while its own request is being answered
// (up to 2025-11-25; later revisions have no requests from servers). The answer
// may arrive at any replica.
func (x *exchange) askClient(ctx context.Context, method string, params json.RawMessage) (json.RawMessage, error) {
	if !x.stream.allowed && x.stream.forward == nil {
		return nil, errCannotAsk
	}
	h := x.handler
	id := h.newRequestID(x.session.ID)
	address := answerAddress(x.session.ID, id)
	here, forget := h.questions.ask(address)
	defer forget()
	news, done := h.mail.wait(address)
	defer done()
	message := appendString([]byte(`{"jsonrpc":"2.0","id":`), id)
	message = appendString(append(message, `,"method":`...), method)
	if params != nil {
		message = append(append(message, `,"params":`...), params...)
	}
	x.notify(append(message, '}'))
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	draining, grace := h.draining, (<-chan time.Time)(nil)
	for {
		select {
		case answer := <-here:
			return resultOf(answer)
		case <-draining: // no answer comes to this replica any more, at most to another
			draining, grace = nil, time.After(answerGrace)
		case <-grace:
			return nil, errStopping
		case <-x.stream.silent:
			select {
			case answer := <-here: // its last word
				return resultOf(answer)
			default:
				return nil, errSilent
			}
		case <-news:
		case <-again.C: // the signal may have been lost
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		answers, err := h.options.Store.TakeMail(ctx, address)
		if err != nil && !errors.Is(err, session.ErrAway) {
			return nil, err
		}
		if len(answers) > 0 {
			return resultOf(answers[0])
		}
	}
}

// resultOf takes a client's answer apart.
func resultOf(message []byte) (json.RawMessage, error) {
	if result := member(message, "result"); isObject(result) {
		return result, nil
	}
	said := "no result"
	if raw := member(member(message, "error"), "message"); isString(raw) {
		said = unquote(raw)
	}
	return nil, &clientError{message: said}
}

// answered passes an answer of the client on to whoever asked, at once where
// that was here. Ids that we did not give to this session go nowhere, and so do
// further answers to one question.
func (h *Handler) answered(ctx context.Context, x *exchange, m *envelope) *refusal {
	if !isString(m.id) {
		return nil
	}
	id := unquote(m.id)
	if !h.isRequestID(x.session.ID, id) {
		return nil
	}
	address := answerAddress(x.session.ID, id)
	if h.questions.answer(address, m.raw) {
		return nil
	}
	err := h.options.Store.PutMail(ctx, address, 1, m.raw)
	if err != nil && !errors.Is(err, session.ErrTooMany) {
		return h.storeAway(ctx, x, err)
	}
	return nil
}

// questions are those that this replica has put to clients, by the address of
// the answer.
type questions struct {
	mu    sync.Mutex
	asked map[string]chan json.RawMessage
}

// ask gives where the answer arrives if it comes to this replica.
func (q *questions) ask(address string) (answer <-chan json.RawMessage, forget func()) {
	channel := make(chan json.RawMessage, 1)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.asked == nil {
		q.asked = map[string]chan json.RawMessage{}
	}
	q.asked[address] = channel
	return channel, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		delete(q.asked, address)
	}
}

// answer tells whether the question was put here.
func (q *questions) answer(address string, raw json.RawMessage) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	channel, ok := q.asked[address]
	if ok {
		select {
		case channel <- raw:
		default: // there is one already
		}
	}
	return ok
}

func answerAddress(session, id string) string { return "answer " + session + " " + id }

// newRequestID is an id that only answers of the session can bear: it says so
// itself, so that nobody can fill the mailbox with answers to nothing.
func (h *Handler) newRequestID(session string) string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // documented never to fail
	nonce := base64.RawURLEncoding.EncodeToString(b[:])
	return requestPrefix + nonce + "." + h.sign("request", session, nonce)
}

func (h *Handler) isRequestID(session, id string) bool {
	nonce, signature, ok := strings.Cut(strings.TrimPrefix(id, requestPrefix), ".")
	return ok && strings.HasPrefix(id, requestPrefix) && len(nonce) <= 32 &&
		hmac.Equal([]byte(signature), []byte(h.sign("request", session, nonce)))
}

// sign gives a short proof that this gateway, any replica of it, said the words.
func (h *Handler) sign(words ...string) string {
	mac := hmac.New(sha256.New, h.options.Secret)
	for _, word := range words {
		_, _ = mac.Write(append([]byte(word), 0)) // a hash never fails
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:12])
}
