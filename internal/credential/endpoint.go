package credential

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

const (
	// tokenTime bounds a request of a token.
	tokenTime = 10 * time.Second
	// maxTokenAnswer bounds its answer in bytes.
	maxTokenAnswer = 64 << 10
	// defaultLife is how long a token is used whose answer does not say.
	defaultLife = 5 * time.Minute
)

// Endpoint is an OAuth token endpoint, and who the gateway is there.
type Endpoint struct {
	// URL of the endpoint; it comes from the config, never from a document.
	URL      string
	ClientID string
	// ClientSecret is sent as HTTP Basic (client_secret_basic), or in the body
	// (client_secret_post, RFC 6749, section 2.3.1); nil: the client has none.
	ClientSecret Secret
	SecretInBody bool
	// What is asked for; what is empty is not sent. Resource is RFC 8707's.
	Scopes             []string
	Audience, Resource string
	// Transport carries the requests; nil makes one.
	Transport http.RoundTripper
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// NewTransport is the connections to token endpoints.
func NewTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    4,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    5 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// grant is what a token endpoint gave.
type grant struct {
	token string
	life  time.Duration
}

// grantError is the endpoint's word that it gives none (RFC 6749, section 5.2).
type grantError struct {
	status int
	code   string // "": it was no OAuth error
	text   string
}

func (e *grantError) Error() string {
	message := fmt.Sprintf("token endpoint answered with HTTP %d", e.status)
	if e.code != "" {
		message += fmt.Sprintf(", error %q", e.code)
	}
	if e.text != "" {
		message += fmt.Sprintf(": %.300q", e.text)
	}
	return message
}

// ask asks for a token, with the form's parameters beside the endpoint's own.
// Redirects are not followed: they would take secrets elsewhere.
func (e *Endpoint) ask(ctx context.Context, form url.Values) (grant, error) {
	ctx, cancel := context.WithTimeout(ctx, tokenTime)
	defer cancel()
	req, hidden, err := e.request(ctx, form)
	if err != nil {
		return grant{}, err
	}
	resp, err := e.Transport.RoundTrip(req)
	if err != nil {
		return grant{}, fmt.Errorf("token endpoint: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxTokenAnswer+1))
	switch {
	case err != nil:
		return grant{}, fmt.Errorf("token endpoint: %w", err)
	case len(body) > maxTokenAnswer:
		return grant{}, errors.New("token endpoint's answer is over 64 KiB")
	case resp.StatusCode != http.StatusOK:
		return grant{}, refusalOf(resp.StatusCode, body, hidden)
	}
	return grantOf(body)
}

// request is the request for a token, and what of it must not be told.
func (e *Endpoint) request(ctx context.Context, form url.Values) (*http.Request, []string, error) {
	if len(e.Scopes) > 0 {
		form.Set("scope", strings.Join(e.Scopes, " "))
	}
	for name, value := range map[string]string{"audience": e.Audience, "resource": e.Resource} {
		if value != "" {
			form.Set(name, value)
		}
	}
	hidden, secret := []string{form.Get("subject_token")}, ""
	if e.ClientSecret != nil {
		var err error
		if secret, err = e.ClientSecret(); err != nil {
			return nil, nil, err
		}
		hidden = append(hidden, secret, url.QueryEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret)))
	}
	if e.SecretInBody || secret == "" {
		form.Set("client_id", e.ClientID)
	}
	if e.SecretInBody && secret != "" {
		form.Set("client_secret", secret)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, nil, errors.New("token endpoint is at no URL that makes sense")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "stagedoor")
	if !e.SecretInBody && secret != "" {
		req.SetBasicAuth(url.QueryEscape(e.ClientID), url.QueryEscape(secret)) // RFC 6749, section 2.3.1
		hidden = append(hidden, strings.TrimPrefix(req.Header.Get("Authorization"), "Basic "))
	}
	return req, hidden, nil
}

// refusalOf reads an error's code and its text, without what must not be told.
func refusalOf(status int, body []byte, hidden []string) error {
	var said struct {
		Code string `json:"error"`
		Text string `json:"error_description"`
	}
	if json.Unmarshal(body, &said) != nil {
		return &grantError{status: status}
	}
	for _, secret := range hidden {
		if secret != "" {
			said.Code, said.Text = strings.ReplaceAll(said.Code, secret, "[redacted]"), strings.ReplaceAll(said.Text, secret, "[redacted]")
		}
	}
	return &grantError{status, fmt.Sprintf("%.64s", said.Code), said.Text}
}

// grantOf reads an answer with a bearer token (RFC 6749, section 5.1; RFC 8693,
// section 2.2.1).
func grantOf(body []byte) (grant, error) {
	var said struct {
		Token string          `json:"access_token"`
		Type  string          `json:"token_type"`
		Life  json.RawMessage `json:"expires_in"`
	}
	if err := json.Unmarshal(body, &said); err != nil {
		return grant{}, errors.New("token endpoint's answer is no JSON of a token")
	}
	switch {
	case said.Token == "":
		return grant{}, errors.New("token endpoint's answer has no access_token")
	case said.Type != "" && !strings.EqualFold(said.Type, "Bearer"):
		return grant{}, fmt.Errorf("token endpoint gave a token of the type %.30q, and not Bearer", said.Type)
	case !httpguts.ValidHeaderFieldValue(said.Token) || strings.ContainsAny(said.Token, " \t"):
		return grant{}, errors.New("token endpoint gave a token that a header cannot carry")
	}
	return grant{said.Token, lifeOf(said.Life)}, nil
}

// lifeOf is expires_in, which some write as a string.
func lifeOf(written json.RawMessage) time.Duration {
	text := strings.Trim(string(written), `"`)
	if text == "" || text == "null" {
		return defaultLife
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(seconds) {
		return defaultLife
	}
	return time.Duration(max(0, min(seconds, 365*24*3600)) * float64(time.Second))
}
