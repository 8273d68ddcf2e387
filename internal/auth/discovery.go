package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	requestTimeout = 5 * time.Second
	maxAnswer      = 512 << 10 // bytes of a JWKS, of metadata, of an introspection
	// relocate is how long an issuer's metadata is believed to say where its keys
	// are.
	relocate = time.Hour
)

// source is where a key set is. It is used by one attempt at a time.
type source struct {
	client *http.Client
	issuer string // whose metadata says where; "": jwks is from the config
	jwks   string

	located  time.Time   // when the metadata said so
	requests []time.Time // the last requestsPerMinute
}

// fetch reads the key set.
func (s *source) fetch(ctx context.Context) (*keySet, error) {
	if s.issuer != "" && (s.jwks == "" || time.Since(s.located) >= relocate) {
		if err := s.locate(ctx); err != nil && s.jwks == "" {
			return nil, err
		}
	}
	body, header, err := s.get(ctx, s.jwks)
	var set *keySet
	if err == nil {
		set, err = parseKeySet(body)
	}
	if err != nil {
		if s.issuer != "" {
			s.located = time.Time{} // it may have moved
		}
		return nil, fmt.Errorf("keys at %s: %w", s.jwks, err)
	}
	set.fetched, set.fresh = time.Now(), freshness(header)
	return set, nil
}

// locate asks the issuer's metadata where its keys are.
func (s *source) locate(ctx context.Context) error {
	var failed error
	for _, place := range MetadataURLs(s.issuer) {
		body, _, err := s.get(ctx, place)
		var metadata struct {
			Issuer string `json:"issuer"`
			JWKS   string `json:"jwks_uri"`
		}
		switch {
		case err != nil:
		case json.Unmarshal(body, &metadata) != nil:
			err = errors.New("answer is no JSON object of metadata")
		case metadata.Issuer != s.issuer: // RFC 8414, section 3.3: identical
			err = fmt.Errorf("metadata is of the issuer %.200q", metadata.Issuer)
		case !IsEndpoint(metadata.JWKS) || strings.HasPrefix(s.issuer, "https:") && !strings.HasPrefix(metadata.JWKS, "https:"):
			err = fmt.Errorf("metadata has no jwks_uri with https, but %.200q", metadata.JWKS)
		default:
			s.jwks, s.located = metadata.JWKS, time.Now()
			return nil
		}
		failed = errors.Join(failed, fmt.Errorf("%s: %w", place, err))
	}
	return fmt.Errorf("metadata of the issuer %s cannot be had: %w", s.issuer, failed)
}

// get reads one document, unless the issuer was asked too often.
func (s *source) get(ctx context.Context, place string) ([]byte, http.Header, error) {
	now := time.Now()
	if len(s.requests) >= requestsPerMinute {
		if now.Sub(s.requests[0]) < time.Minute {
			return nil, nil, fmt.Errorf("issuer was asked %d times within a minute", requestsPerMinute)
		}
		s.requests = s.requests[1:]
	}
	s.requests = append(s.requests, now)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, place, http.NoBody) // #nosec G704 -- an issuer of the config, see IsEndpoint
	if err != nil {
		return nil, nil, err
	}
	request.Header.Set("Accept", "application/json")
	return read(s.client, request)
}

// read gives the body of an answer with status 200. The error is a *url.Error
// where there was no answer.
func read(client *http.Client, request *http.Request) ([]byte, http.Header, error) {
	response, err := client.Do(request) // #nosec G704 -- the config names it, or the metadata of an issuer that it names (IsEndpoint)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		var said struct{ Error string }
		_ = json.NewDecoder(io.LimitReader(response.Body, 4<<10)).Decode(&said) // it may say nothing
		return nil, nil, &refusedError{response.StatusCode, said.Error}
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return nil, nil, err
	}
	if len(body) > maxAnswer {
		return nil, nil, fmt.Errorf("answer has more than %d bytes", maxAnswer)
	}
	return body, response.Header, nil
}

// refusedError is an answer other than 200.
type refusedError struct {
	status int
	code   string // of OAuth (RFC 6749, section 5.2); "": it says none
}

func (e *refusedError) Error() string {
	if e.code == "" {
		return fmt.Sprintf("answered with HTTP %d", e.status)
	}
	return fmt.Sprintf("answered with HTTP %d, %.100q", e.status, e.code)
}

// freshness is how long an answer may be used (RFC 9111, section 5.2.2), within
// our bounds.
func freshness(header http.Header) time.Duration {
	for directive := range strings.SplitSeq(strings.Join(header.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		switch name {
		case "no-store", "no-cache":
			return leastFresh
		case "max-age":
			seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31)
			if err != nil {
				return leastFresh
			}
			return min(max(time.Duration(seconds)*time.Second, leastFresh), mostFresh)
		}
	}
	return mostFresh
}

// MetadataURLs is where the metadata of an issuer may be, in the order of MCP's
// specification: RFC 8414 and OpenID Connect with the issuer's path after the
// well-known one, and for issuers with a path OpenID Connect's own way, after
// it. nil: the issuer is no URL.
func MetadataURLs(issuer string) []string {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" {
		return nil
	}
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	origin := u.Scheme + "://" + u.Host
	all := []string{origin + "/.well-known/oauth-authorization-server" + path, origin + "/.well-known/openid-configuration" + path}
	if path != "" {
		all = append(all, origin+path+"/.well-known/openid-configuration")
	}
	return all
}

// IsEndpoint tells whether a URL of an issuer may be asked: over https, or on
// this machine.
func IsEndpoint(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}
