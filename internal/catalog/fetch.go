package catalog

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
)

func (s *sources) readURL(ctx context.Context, p place) ([]byte, error) {
	u, err := parseURL(p.target)
	if err != nil {
		return nil, err
	}
	client := s.guarded
	if p.trusted || allowed(u, s.allowedURLs) {
		client = s.trusted
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, rawURL(u).String(), nil)
	if err != nil {
		return nil, fmt.Errorf("%q is not a URL", shorten(p.target))
	}
	request.Header.Set("Accept", "application/yaml, text/yaml, text/plain, */*;q=0.5")
	request.Header.Set("User-Agent", "stagedoor-catalog")
	response, err := client.Do(request)
	if err != nil {
		return nil, describe(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("its server answered %d %s", response.StatusCode, http.StatusText(response.StatusCode))
	}
	return readLimited(response.Body)
}

// describe says why a request failed without telling addresses.
func describe(err error) error {
	var timeout net.Error
	var dns *net.DNSError
	var through *url.Error
	switch {
	case errors.Is(err, errForbiddenAddress):
		return errForbiddenAddress
	case errors.As(err, &timeout) && timeout.Timeout():
		return errors.New("its server did not answer in time")
	case errors.As(err, &dns):
		return errors.New("its host is not known")
	case errors.As(err, &through) && strings.HasPrefix(through.Err.Error(), "it redirects"):
		return through.Err
	}
	return errors.New("its server could not be reached")
}
