package backstage

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/stagedoor/stagedoor/internal/auth"
)

const (
	userinfoTimeout = 5 * time.Second
	maxUserinfo     = 1 << 20 // bytes
	maxUsers        = 4096
	// userinfoPause is how long a failure is the answer to whoever asks next.
	userinfoPause = 2 * time.Second
)

// groups are the entities as which the user owns things: the claim ent, which
// Backstage leaves out of tokens unless it is told otherwise, or what its
// auth plugin says. Rules may depend on them, so there is no user without.
func (v *verifier) groups(ctx context.Context, text string, t *auth.JWT, expires time.Time) ([]string, error) {
	claim, ok := t.Claims["ent"]
	if !ok {
		return v.userinfo.groups(ctx, text, t.Text("sub"), expires)
	}
	list, ok := claim.([]any)
	groups := make([]string, 0, len(list))
	for _, each := range list {
		group, isText := each.(string)
		groups, ok = append(groups, group), ok && isText
	}
	if !ok {
		return nil, &auth.InvalidError{Message: "token has an ent that is no list of texts"}
	}
	return groups, nil
}

// userinfo asks Backstage's auth plugin about users, once for each token.
type userinfo struct {
	url    string
	client *http.Client

	mu    sync.Mutex
	known map[[sha256.Size]byte]*answer // by token
}

type answer struct {
	given  chan struct{} // closed when the rest is there
	groups []string
	err    error
	until  time.Time // it holds; guarded by mu, zero while it is awaited
}

func newUserinfo(url string, transport http.RoundTripper) *userinfo {
	return &userinfo{url: url, known: map[[sha256.Size]byte]*answer{}, client: &http.Client{
		Transport: transport, Timeout: userinfoTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the token goes nowhere else
	}}
}

// groups are those of the user whose token it is, whole or limited. It has been
// verified before.
func (u *userinfo) groups(ctx context.Context, text, subject string, expires time.Time) ([]string, error) {
	key, now := sha256.Sum256([]byte(text)), time.Now()
	u.mu.Lock()
	a := u.known[key]
	if a == nil || !a.until.IsZero() && !now.Before(a.until) {
		u.makeRoom(now)
		a = &answer{given: make(chan struct{})}
		u.known[key] = a
		go u.give(context.WithoutCancel(ctx), a, text, subject, expires) // for all who wait
	}
	u.mu.Unlock()
	select {
	case <-a.given:
		return a.groups, a.err
	case <-ctx.Done():
		return nil, &auth.UnavailableError{Cause: context.Cause(ctx)}
	}
}

// give gets the answer that others wait for.
func (u *userinfo) give(ctx context.Context, a *answer, text, subject string, expires time.Time) {
	a.groups, a.err = u.ask(ctx, text, subject)
	u.mu.Lock()
	defer u.mu.Unlock()
	if a.until = expires; a.err != nil {
		a.until = time.Now().Add(userinfoPause)
	}
	close(a.given)
}

// makeRoom is called with the lock held. Where there are too many answers, those
// that hold no more go, or else any one.
func (u *userinfo) makeRoom(now time.Time) {
	looked := 0
	for key, a := range u.known {
		if looked++; len(u.known) < maxUsers || looked > 16 {
			return
		}
		if a.until.IsZero() {
			continue // others wait for it
		}
		if !now.Before(a.until) || looked > 8 {
			delete(u.known, key)
		}
	}
}

func (u *userinfo) ask(ctx context.Context, text, subject string) ([]string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.url, http.NoBody)
	if err != nil {
		return nil, away(err)
	}
	request.Header.Set("Authorization", "Bearer "+text)
	request.Header.Set("Accept", "application/json")
	response, err := u.client.Do(request)
	if err != nil {
		return nil, away(err)
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound: // 404: of a user who signed in before its database was made anew
		return nil, &auth.InvalidError{Message: "Backstage does not know the token's user: sign in again", Cause: fmt.Errorf("userinfo answered with HTTP %d", response.StatusCode)}
	default:
		return nil, away(fmt.Errorf("answered with HTTP %d", response.StatusCode))
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxUserinfo+1))
	if err != nil {
		return nil, away(err)
	}
	var info struct {
		Claims struct {
			Subject *string   `json:"sub"`
			Groups  *[]string `json:"ent"`
		} `json:"claims"`
	}
	switch {
	case len(body) > maxUserinfo:
		return nil, away(fmt.Errorf("answer has more than %d bytes", maxUserinfo))
	case json.Unmarshal(body, &info) != nil || info.Claims.Groups == nil:
		return nil, away(errors.New("answer has no claims.ent with a list of texts"))
	case info.Claims.Subject != nil && *info.Claims.Subject != subject:
		return nil, away(errors.New("answer is about another user"))
	}
	return *info.Claims.Groups, nil
}

// away is why users' groups cannot be had now.
func away(cause error) error {
	return &auth.UnavailableError{RetryAfter: userinfoPause, Cause: fmt.Errorf("userinfo of Backstage: %w", cause)}
}
