package invoke

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stagedoor/stagedoor/openapi"
)

// document has an operation for each thing a request can be made of.
const document = `
openapi: 3.1.0
info: {title: T, version: "1"}
paths:
  /v1/{a}/x/{b}.json:
    parameters:
      - {name: a, in: path, required: true, schema: {type: string}}
      - {name: b, in: path, required: true, schema: {}}
    get: {operationId: path, responses: {}}
  /query:
    get:
      operationId: query
      parameters:
        - {name: q, in: query, schema: {}}
        - {name: list, in: query, explode: false, schema: {type: array}}
        - {name: raw, in: query, allowReserved: true, schema: {type: string}}
        - {name: json, in: query, content: {application/json: {}}}
        - {name: text, in: query, content: {text/plain: {}}}
        - {name: X-Trace, in: header, schema: {}}
        - {name: one, in: cookie, schema: {}}
        - {name: two, in: cookie, schema: {}}
      responses: {"200": {description: ok, content: {application/json: {}}}}
  /body:
    post:
      operationId: body
      x-action:
        name: body
        input: {deep: {for: body.spec.deep}, kind: {default: component}}
        fixed: {body.type: url, query.v: 2}
        request: {body.ref: '"\(.kind):\(.name)"'}
      parameters: [{name: v, in: query, schema: {}}]
      requestBody:
        required: true
        content:
          application/json:
            schema: {type: object, required: [name], properties: {name: {}, type: {}, ref: {}, kind: {}, spec: {type: object, properties: {deep: {}, other: {}}}}}
      responses: {}
  /optional:
    post: {operationId: optional, requestBody: {content: {application/json: {schema: {type: object, properties: {a: {}}}}}}, responses: {}}
  /required:
    post: {operationId: required, requestBody: {required: true, content: {application/json: {schema: {type: object, properties: {a: {}}}}}}, responses: {}}
  /whole:
    put: {operationId: whole, requestBody: {required: true, content: {application/vnd.x+json: {schema: {type: array}}}}, responses: {}}
  /form:
    post: {operationId: form, requestBody: {content: {application/x-www-form-urlencoded: {schema: {type: object, properties: {a: {}, b: {}, c: {}}}}}}, responses: {}}
  /jq:
    get:
      x-action: {name: jq, input: {ref: {schema: {type: string}}}, request: {query.filter: 'if .ref == "bad" then error("ref cannot be bad") elif .ref == "none" then empty else "r=" + .ref end'}}
      parameters: [{name: filter, in: query, schema: {}}]
      responses: {}
`

func actionsOf(t testing.TB, doc string) map[string]*openapi.Action {
	t.Helper()
	read := openapi.Read(openapi.Source{Name: "test.yaml", Data: []byte(doc)}, openapi.Options{Mode: openapi.All})
	for _, f := range read.Findings {
		if f.Severity == openapi.SeverityError {
			t.Fatal(f)
		}
	}
	out := map[string]*openapi.Action{}
	for i := range read.Actions {
		out[read.Actions[i].Name] = &read.Actions[i]
	}
	return out
}

func newClient(t testing.TB, o Options) *Client {
	t.Helper()
	if o.BaseURL == "" {
		o.BaseURL = "https://api.example.com/base/"
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func arguments(t testing.TB, s string) map[string]any {
	t.Helper()
	m, ok := decode(t, s).(map[string]any)
	if !ok {
		t.Fatalf("%s is no object", s)
	}
	return m
}

// line is a request as one reads it: method, URL, the headers that vary, body.
func line(t testing.TB, req *http.Request) string {
	t.Helper()
	s := req.Method + " " + req.URL.String()
	for _, h := range []string{"Content-Type", "X-Trace", "Cookie"} {
		if v := req.Header.Get(h); v != "" {
			s += " " + h + "=" + v
		}
	}
	if req.Body != nil {
		b, err := io.ReadAll(req.Body)
		if err != nil {
			t.Fatal(err)
		}
		s += " " + string(b)
	}
	return s
}

func TestRequest(t *testing.T) {
	actions, c := actionsOf(t, document), newClient(t, Options{})
	const base = "https://api.example.com/base"
	for _, tt := range []struct{ action, arguments, want string }{
		{"path", `{"a":"k","b":"n"}`, "GET " + base + "/v1/k/x/n.json"},
		{"path", `{"a":"a/b:c","b":"ü?#"}`, "GET " + base + "/v1/a%2Fb%3Ac/x/%C3%BC%3F%23.json"},
		{"path", `{"a":"...","b":["x","y"]}`, "GET " + base + "/v1/.../x/x,y.json"},
		{"path", `{"a":"a..b","b":".."}`, "GET " + base + "/v1/a..b/x/...json"},
		{"query", `{}`, "GET " + base + "/query"},
		{"query", `{"q":"a b","list":["x","y,z"],"raw":"k=v,w&x","json":{"a":[1]}}`, "GET " + base + "/query?q=a%20b&list=x,y%2Cz&raw=k=v,w%26x&json=%7B%22a%22%3A%5B1%5D%7D"},
		{"query", `{"X-Trace":[],"q":{},"text":"say \"hi\""}`, "GET " + base + "/query?text=say%20%22hi%22"},
		{"query", `{"X-Trace":["a","b"],"one":"1 2","two":2}`, "GET " + base + "/query X-Trace=a,b Cookie=one=1%202; two=2"},
		{"body", `{"name":"<n>","deep":1}`, "POST " + base + `/body?v=2 Content-Type=application/json {"kind":"component","name":"<n>","ref":"component:<n>","spec":{"deep":1},"type":"url"}`},
		{"body", `{"name":"n","kind":"k","spec":{"other":9007199254740993},"deep":null}`, "POST " + base + `/body?v=2 Content-Type=application/json {"kind":"k","name":"n","ref":"k:n","spec":{"deep":null,"other":9007199254740993},"type":"url"}`},
		{"optional", `{}`, "POST " + base + "/optional"},
		{"optional", `{"a":null}`, "POST " + base + `/optional Content-Type=application/json {"a":null}`},
		{"required", `{}`, "POST " + base + `/required Content-Type=application/json {}`},
		{"whole", `{"body":[1,"2"]}`, "PUT " + base + `/whole Content-Type=application/vnd.x+json [1,"2"]`},
		{"form", `{"a":"x y&z","b":[1,2],"c":{"d":1}}`, "POST " + base + "/form Content-Type=application/x-www-form-urlencoded a=x+y%26z&b=1&b=2&c=%7B%22d%22%3A1%7D"},
		{"jq", `{"ref":"x"}`, "GET " + base + "/jq?filter=r%3Dx"},
		{"jq", `{"ref":"none"}`, "GET " + base + "/jq"},
	} {
		req, err := c.Request(context.Background(), actions[tt.action], arguments(t, tt.arguments))
		if err != nil {
			t.Errorf("%s %s: %v", tt.action, tt.arguments, err)
			continue
		}
		if got := line(t, req); got != tt.want {
			t.Errorf("%s %s:\n got %s\nwant %s", tt.action, tt.arguments, got, tt.want)
		}
	}
}

func TestRequestRefused(t *testing.T) {
	actions, c := actionsOf(t, document), newClient(t, Options{})
	for _, tt := range []struct{ action, arguments, want string }{
		{"path", `{"a":"..","b":"x"}`, `an argument would change the path`},
		{"path", `{"a":".","b":"x"}`, `an argument would change the path`},
		{"path", `{"a":"%2e%2e","b":"x"}`, `an argument would change the path`},
		{"path", `{"a":"%252E%252e","b":"x"}`, `an argument would change the path`},
		{"path", `{"a":"../admin","b":"x"}`, `an argument would change the path`},
		{"path", `{"a":"x/..","b":"x"}`, `an argument would change the path`},
		{"path", `{"a":"x/./y","b":"x"}`, `an argument would change the path`},
		{"path", `{"a":"..\\admin","b":"x"}`, `an argument would change the path`},
		{"path", `{"a":"a\\b","b":"x"}`, `an argument would change the path`},
		{"path", `{"a":"%2e%2e%2fadmin","b":"x"}`, `an argument would change the path`},
		{"path", `{"a":"..;x=1/admin","b":"x"}`, `an argument would change the path`},
		{"path", `{"a":"a\u0000b","b":"x"}`, `an argument would change the path`},
		{"path", `{"a":{},"b":"x"}`, `argument "a" must not be empty`},
		{"path", `{"a":"","b":"x"}`, `argument "a" must not be empty`},
		{"path", `{"a":null,"b":"x"}`, `argument "a" must not be empty`},
		{"path", `{"b":"x"}`, `argument "a" must not be empty`},
		{"path", `{"a":[],"b":"x"}`, `argument "a" must not be empty`},
		{"query", `{"X-Trace":"a\r\nHost: evil"}`, "header X-Trace"},
		{"query", `{"X-Trace":"a\u0000"}`, "header X-Trace"},
		{"jq", `{"ref":"bad"}`, "ref cannot be bad"},
		{"jq", `{"ref":5}`, "the arguments do not fit together"},
		{"form", `{"a":"x"}`, ""},
	} {
		_, err := c.Request(context.Background(), actions[tt.action], arguments(t, tt.arguments))
		var e *Error
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s %s: %v", tt.action, tt.arguments, err)
		case tt.want != "" && (!errors.As(err, &e) || e.Kind != InvalidArguments || !strings.Contains(e.Message, tt.want)):
			t.Errorf("%s %s: got %v, want %q", tt.action, tt.arguments, err, tt.want)
		}
	}
}

func TestRequestLeavesArgumentsAlone(t *testing.T) {
	actions, c := actionsOf(t, document), newClient(t, Options{})
	in := arguments(t, `{"name":"n","spec":{"other":1},"deep":2}`)
	if _, err := c.Request(context.Background(), actions["body"], in); err != nil {
		t.Fatal(err)
	}
	if _, changed := in["spec"].(map[string]any)["deep"]; changed || in["kind"] != nil {
		t.Errorf("arguments were changed: %v", in)
	}
}

// FuzzPath: whatever the arguments, the path has the template's segments, and
// decoding it gives the arguments back.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{"..", "%2e%2e", "a/../b", `\`, "\x00", "a;b", "%", "ü", ".%2e", "..;", "?", "#", " "} {
		f.Add(seed, "x")
		f.Add("x", seed)
	}
	action, c := actionsOf(f, document)["path"], newClient(f, Options{})
	f.Fuzz(func(t *testing.T, a, b string) {
		req, err := c.Request(context.Background(), action, map[string]any{"a": a, "b": b})
		if err != nil {
			return
		}
		sent, err := url.ParseRequestURI(req.URL.RequestURI())
		if err != nil {
			t.Fatalf("%q: %v", req.URL.RequestURI(), err)
		}
		segments := strings.Split(sent.EscapedPath(), "/")
		if len(segments) != 6 || segments[1] != "base" || segments[2] != "v1" || segments[4] != "x" || sent.RawQuery != "" || sent.Fragment != "" {
			t.Fatalf("a=%q b=%q gave %q", a, b, req.URL.RequestURI())
		}
		gotA, errA := url.PathUnescape(segments[3])
		gotB, errB := url.PathUnescape(strings.TrimSuffix(segments[5], ".json"))
		if errA != nil || errB != nil || gotA != a || gotB != b {
			t.Fatalf("a=%q b=%q came back as %q %q", a, b, gotA, gotB)
		}
		for _, s := range segments {
			for range 5 {
				for _, part := range strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(`/\`, r) }) {
					if part == "." || part == ".." {
						t.Fatalf("dot segment in %q", req.URL.RequestURI())
					}
				}
				if s, err = url.PathUnescape(s); err != nil {
					break
				}
			}
		}
	})
}
