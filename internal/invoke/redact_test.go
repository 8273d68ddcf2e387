package invoke

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stagedoor/stagedoor/internal/credential"
)

// TestRedactedJSON: what hides a secret is JSON where the answer was.
func TestRedactedJSON(t *testing.T) {
	const key = "12345678"
	for _, tt := range []struct{ key, contentType, body, want string }{
		{key, "application/json", `{"pin":12345678,"n":[0.123456789,-12345678e2,1]}`, `{"pin":"[redacted]","n":["[redacted]","[redacted]",1]}`},
		{key, "application/json", `{"12345678":"a 12345678 b"}`, `{"[redacted]":"a [redacted] b"}`},
		{key, "", `{"pin":12345678}`, `{"pin":"[redacted]"}`},
		{key, "application/x-ndjson", "{\"pin\":12345678}\n12345678\npin 12345678\n", `[{"pin":"[redacted]"},"[redacted]","pin [redacted]"]`},
		{key, "application/json-seq", "\x1e{\"pin\":12345678}", `[{"pin":"[redacted]"}]`},
		{key, "text/event-stream", "id: 12345678\nevent: 12345678\ndata: {\"pin\":\ndata: 12345678}\n\n", `[{"event":"[redacted]","id":"[redacted]","data":{"pin":"[redacted]"}}]`},
		{"nabcdef", "application/json", `"line\nabcdef, nabcdef"`, `"line\nabcdef, [redacted]"`},
		{`a":"bcd`, "application/json", `{"a":"bcd","e":"a\":\"bcd"}`, `{"a":"bcd","e":"[redacted]"}`},
		{`k"ey/&9`, "application/json", `{"sent":"{\"k\":\"k\\\"ey/\u00269\"}"}`, `{"sent":"{\"k\":\"[redacted]\"}"}`},
		{"key<&>/x", "application/json", `["key<&>/x","key\u003c\u0026\u003e/x","key<&>\/x"]`, `["[redacted]","[redacted]","[redacted]"]`},
	} {
		o := Options{Credentials: credential.Header("X-Key", known(tt.key))}
		r, err := ask(t, reply(200, tt.contentType, tt.body), o, plain("x"))
		if err != nil || string(r.JSON) != tt.want || !json.Valid(r.JSON) {
			t.Errorf("%s: %s\ngot  %v %v\nwant %s", tt.contentType, tt.body, r, err, tt.want)
		}
	}
}

// TestRedactedForms: a secret is none the less told where it is escaped.
func TestRedactedForms(t *testing.T) {
	const key = "s3cr/t+k y==é"
	hidden := newSecrets(&credential.Credentials{Header: http.Header{"Authorization": {"Bearer " + key}}}, nil)
	for _, form := range []string{key, "Bearer " + key, url.QueryEscape(key), url.PathEscape(key), strings.ToLower(url.QueryEscape(key)), `s3cr\/t+k y==é`} {
		if got := hidden.redactText("/x?k=" + form + "&l=1"); strings.TrimSuffix(strings.Replace(got, "Bearer ", "", 1), "&l=1") != "/x?k=[redacted]" {
			t.Errorf("%s became %s", form, got)
		}
	}
	if got := newSecrets(&credential.Credentials{Header: http.Header{"A": {"secret1"}}, Query: url.Values{"b": {"secret12"}}}, nil).redactText("secret12 secret1"); got != "[redacted] [redacted]" {
		t.Errorf("got %s", got)
	}
}

// TestSecretsAreLearnt: credentials that change are hidden at once.
func TestSecretsAreLearnt(t *testing.T) {
	key := "first-key"
	c := newClient(t, Options{Credentials: credential.Header("X-Key", func() (string, error) { return key, nil })})
	for _, key = range []string{"first-key", "first-key", "other-key"} {
		proof, err := c.proof(t.Context(), plain("x"))
		if err != nil {
			t.Fatal(err)
		}
		hidden, err := c.authorize(&http.Request{Header: http.Header{}, URL: c.base, Host: c.base.Host}, proof, nil)
		if err != nil || hidden.redactText(key) != redacted {
			t.Errorf("%s is seen: %v", key, err)
		}
	}
}

// FuzzRedactJSON: JSON stays JSON, and no string of it says the secret.
func FuzzRedactJSON(f *testing.F) {
	f.Add(`{"pin":12345678,"a\u0031":"12345678\n"}`, "12345678")
	f.Add(`["\nabcdef","a\":\"bcd"]`, `a":"bcd`)
	f.Fuzz(func(t *testing.T, text, key string) {
		hidden := newSecrets(&credential.Credentials{Header: http.Header{"X-Key": {key}}}, nil)
		out := hidden.redactJSON([]byte(text))
		if json.Valid([]byte(text)) && !json.Valid(out) {
			t.Errorf("%q without %q became %q", text, key, out)
		}
		if !json.Valid([]byte(text)) && json.Valid(out) && !hidden.standIn([]byte(text)) {
			t.Errorf("%q became %q", text, out)
		}
	})
}
