package login

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// deviceAnswer is what a device authorization endpoint answers (RFC 8628,
// section 3.2).
type deviceAnswer struct {
	DeviceCode string      `json:"device_code"`
	UserCode   string      `json:"user_code"`
	URI        string      `json:"verification_uri"`
	Complete   string      `json:"verification_uri_complete"`
	ExpiresIn  json.Number `json:"expires_in"`
	Interval   json.Number `json:"interval"`
}

// byDevice lets a person log in with any browser anywhere (RFC 8628).
func (s *Source) byDevice(ctx context.Context, e *errand) (tokenAnswer, error) {
	form := url.Values{"client_id": {e.client}, "resource": {e.resource}}
	if len(e.scopes) > 0 {
		form.Set("scope", strings.Join(e.scopes, " "))
	}
	status, data, err := e.post(ctx, e.as.DeviceEndpoint, form)
	if err == nil {
		err = refusal(e.as.DeviceEndpoint, status, data)
	}
	if err != nil {
		return tokenAnswer{}, err
	}
	var d deviceAnswer
	if err := json.Unmarshal(data, &d); err != nil || d.DeviceCode == "" || d.UserCode == "" {
		return tokenAnswer{}, fmt.Errorf("%s: answer has no device_code and user_code", clean(e.as.DeviceEndpoint))
	}
	for _, shown := range []string{d.URI, cmp.Or(d.Complete, d.URI)} {
		if _, err := e.check(shown); err != nil {
			return tokenAnswer{}, fmt.Errorf("page to log in at: %w", err)
		}
	}
	const least, most = time.Minute, 30 * time.Minute
	life := min(max(cmp.Or(seconds(d.ExpiresIn), 10*time.Minute), least), most)
	s.showCode(d, life)
	return e.poll(ctx, d, time.Now().Add(life))
}

// showCode tells a person what to do.
func (s *Source) showCode(d deviceAnswer, life time.Duration) {
	say(s.opts.Out, "To log in to %s, open\n\n    %s\n\nand enter the code\n\n    %s\n\nwithin %s.\n", s.Server(), clean(d.URI), clean(d.UserCode), life.Round(time.Second))
	if !s.opts.QR {
		return
	}
	if code, err := drawQR(cmp.Or(d.Complete, d.URI)); err == nil { // a URL too long for one is still shown
		say(s.opts.Out, "\n%s\n", code)
	}
}

// poll asks whether the person is done, no more often than it is told to (RFC
// 8628, section 3.5), until the code ends.
func (e *errand) poll(ctx context.Context, d deviceAnswer, end time.Time) (tokenAnswer, error) {
	form := url.Values{"grant_type": {deviceGrant}, "device_code": {d.DeviceCode}, "client_id": {e.client}, "resource": {e.resource}}
	interval := min(max(cmp.Or(seconds(d.Interval), 5*time.Second), time.Second), time.Minute)
	for wait := interval; ; {
		if err := sleep(ctx, wait, end); err != nil {
			return tokenAnswer{}, err
		}
		answer, err := e.grant(ctx, e.as.TokenEndpoint, form)
		if err == nil || ctx.Err() != nil {
			return answer, cmp.Or(ctx.Err(), err)
		}
		_, passes := errors.AsType[passing](err)
		switch code := codeOf(err); {
		case code == "authorization_pending":
			wait = interval
		case code == "slow_down":
			interval += 5 * time.Second
			wait = interval
		case code == "expired_token":
			return answer, errExpired()
		case code == "access_denied":
			return answer, errors.New("login was refused at the authorization server")
		case passes:
			wait = min(2*wait, time.Minute)
		default:
			return answer, err
		}
	}
}

func errExpired() error { return errors.New("code has expired before anybody logged in with it") }

// sleep waits, but not beyond an end.
func sleep(ctx context.Context, d time.Duration, end time.Time) error {
	left := time.Until(end)
	timer := time.NewTimer(min(d, left))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		if d > left {
			return errExpired()
		}
		return nil
	}
}
