package invoke

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// contentDocument has an operation for each of the media types, whose schema is
// the text after it.
func contentDocument(contents ...string) string {
	var doc strings.Builder
	doc.WriteString("openapi: 3.1.0\ninfo: {title: T, version: '1'}\npaths:\n")
	for i, c := range contents {
		fmt.Fprintf(&doc, "  /%d: {post: {operationId: op%d, requestBody: {required: true, content: {%s}}, responses: {}}}\n", i, i, c)
	}
	return doc.String()
}

func TestBodies(t *testing.T) {
	const pet = `{type: object, xml: {name: pet, namespace: "urn:p", prefix: p}, properties: {id: {type: integer, xml: {attribute: true}}, name: {type: string, xml: {name: called}},
	 tags: {type: array, items: {type: string, xml: {name: tag}}, xml: {wrapped: true}}, plain: {type: array, items: {type: integer}}, wrapped: {type: array, items: {}, xml: {wrapped: true}}, said: {type: string, xml: {nodeType: text}}}}`
	for _, test := range []struct{ content, arguments, contentType, want string }{
		// text
		{`text/plain: {schema: {type: string}}`, `{"body":"é\r\n<&"}`, "text/plain", "é\r\n<&"},
		{`text/plain; charset=iso-8859-1: {}`, `{"body":"é"}`, "text/plain; charset=iso-8859-1", "\xe9"},
		{`text/plain: {schema: {type: integer}}`, `{"body":9007199254740993}`, "text/plain", "9007199254740993"},
		{`text/plain: {schema: {type: boolean}}`, `{"body":true}`, "text/plain", "true"},
		{`application/yaml: {schema: {type: object}}`, `{"body":{"a":[1]}}`, "application/yaml", `{"a":[1]}`},
		{`application/yaml: {schema: {type: object}}`, `{"body":"a: 1\n"}`, "application/yaml", "a: 1\n"},
		{`application/graphql: {schema: {type: string}}`, `{"body":"{me{id}}"}`, "application/graphql", "{me{id}}"},
		{`image/gif: {schema: {type: string, contentEncoding: base64}}`, `{"body":"R0lG"}`, "image/gif", "R0lG"},
		{`text/*: {}`, `{"body":"x","contentType":"text/markdown"}`, "text/markdown", "x"},
		{`text/*: {}`, `{"body":"x"}`, "text/plain", "x"},
		// bytes
		{`application/octet-stream: {schema: {type: string, format: binary}}`, `{"body":"AP8="}`, octetStream, "\x00\xff"},
		{`application/octet-stream: {}`, `{"body":"_w=="}`, octetStream, "\xff"},
		{`application/octet-stream: {}`, `{"body":""}`, octetStream, ""},
		{`application/octet-stream: {}`, `{"body":{"text":"é"}}`, octetStream, "é"},
		{`image/*: {}`, `{"body":"data:image/png;base64,AP8="}`, "image/png", "\x00\xff"},
		{`image/*: {}`, `{"body":"AP8=","contentType":"image/jpeg"}`, "image/jpeg", "\x00\xff"},
		{`image/*: {}`, `{"body":{"data":"AP8=","mediaType":"image/webp"}}`, "image/webp", "\x00\xff"},
		{`image/*: {}`, `{"body":"AP8="}`, "", "body: say by contentType which of image/* it is"},
		{`image/*: {}`, `{"body":"data:text/plain,x"}`, "", "body: say by contentType which of image/* it is"},
		{`"*/*": {schema: {type: string, format: binary}}`, `{"body":"data:,a%20b"}`, octetStream, "a b"},
		{`"*/*": {schema: {type: string, format: binary}}`, `{"body":"data:text/x,a"}`, "text/x", "a"},
		{`application/octet-stream: {}`, `{"body":"no base64!"}`, "", `body: expected base64 or a data: URL; what is plain text goes as {"text": "…"} (illegal base64 data at input byte 2)`},
		{`application/octet-stream: {}`, `{"body":"two words"}`, "", `body: expected base64 or a data: URL; what is plain text goes as {"text": "…"} (illegal base64 data at input byte 3)`},
		{`application/octet-stream: {}`, `{"body":"word_s"}`, "", `body: expected base64 or a data: URL; what is plain text goes as {"text": "…"} (illegal base64 data at input byte 4)`},
		{`application/octet-stream: {}`, `{"body":"QUJD\r\nRA=="}`, octetStream, "ABCD"},
		{`application/octet-stream: {}`, `{"body":"data:x"}`, "", "body: data: URL has no comma before its data"},
		{`application/octet-stream: {}`, `{"body":{"filename":"x"}}`, "", "body: a file has either data (base64) or text"},
		{`application/octet-stream: {}`, `{"body":{"data":"","mediaType":"a/b\r\nX: y"}}`, "", `body: mediaType "a/b\r\nX: y" is no media type`},
		// JSON in other words
		{`application/json-patch+json: {schema: {type: array}}`, `{"body":[{"op":"add","path":"/a/b","value":"<é>"}]}`, "application/json-patch+json", `[{"op":"add","path":"/a/b","value":"<é>"}]`},
		{`application/merge-patch+json: {schema: {type: object}}`, `{"body":{"a":null}}`, "application/merge-patch+json", `{"a":null}`},
		{`application/json: {schema: {type: string}}`, `{"body":"x"}`, "application/json", `"x"`},
		{`application/x-ndjson: {schema: {type: array}}`, `{"body":[{"a":1},"two",[]]}`, "application/x-ndjson", "{\"a\":1}\n\"two\"\n[]\n"},
		{`application/x-ndjson: {schema: {type: string}}`, `{"body":"{}\n{}\n"}`, "application/x-ndjson", "{}\n{}\n"},
		{`application/json-seq: {itemSchema: {}}`, `{"body":[1,{}]}`, "application/json-seq", "\x1e1\n\x1e{}\n"},
		// a choice
		{`application/json-patch+json: {schema: {type: array}}, application/merge-patch+json: {schema: {type: object}}`, `{"body":{"a":1},"contentType":"application/merge-patch+json"}`, "application/merge-patch+json", `{"a":1}`},
		{`application/json-patch+json: {schema: {type: array}}, application/merge-patch+json: {schema: {type: object}}`, `{"body":[]}`, "application/json-patch+json", `[]`},
		{`text/csv: {schema: {type: string}}, application/json: {schema: {type: array}}`, `{"body":"a,b","contentType":"text/csv"}`, "text/csv", "a,b"},
		{`image/png: {}, image/jpeg: {}`, `{"body":"AA==","contentType":"image/gif"}`, "", `contentType "image/gif" is not among image/png, image/jpeg`},
		// forms
		{`application/x-www-form-urlencoded: {schema: {type: object, properties: {a: {}, b: {}, c: {}, d: {}}}}`, `{"a":"x y&z=é+","b":[1,null,2],"c":{"k":"v w"},"d":null}`, "application/x-www-form-urlencoded", "a=x+y%26z%3D%C3%A9%2B&b=1&b=2&c=%7B%22k%22%3A%22v+w%22%7D"},
		{`application/x-www-form-urlencoded: {schema: {type: object, properties: {a: {}, b: {}, c: {}, d: {}, e: {}}}, encoding: {a: {style: deepObject}, b: {explode: false}, c: {contentType: application/json}, d: {style: pipeDelimited}, e: {allowReserved: true}}}`, `{"a":{"x":1},"b":["p","q r"],"c":[1,2],"d":["m","n"],"e":"a/b?c&d"}`, "application/x-www-form-urlencoded", "a%5Bx%5D=1&b=p,q+r&c=%5B1%2C2%5D&d=m%7Cn&e=a/b?c%26d"},
		{`application/x-www-form-urlencoded: {schema: {type: string}}`, `{"body":"a=1&b=2"}`, "application/x-www-form-urlencoded", "a=1&b=2"},
		{`application/x-www-form-urlencoded: {schema: {type: array}}`, `{"body":[]}`, "", "body has to be an object: it is sent as form fields"},
		// XML
		{`application/xml: {schema: ` + pet + `}`, `{"body":{"id":7,"name":"<é&>","tags":["a","b"],"plain":[1,2],"wrapped":["w"],"said":"hm","extra":{"x":true},"none":null}}`, "application/xml",
			xml.Header + `<p:pet xmlns:p="urn:p" id="7"><called>&lt;é&amp;&gt;</called><tags><tag>a</tag><tag>b</tag></tags><plain>1</plain><plain>2</plain><wrapped><wrapped>w</wrapped></wrapped>hm<extra><x>true</x></extra></p:pet>`},
		{`application/xml: {schema: ` + pet + `}`, `{"body":"<pet/>"}`, "application/xml", "<pet/>"},
		{`application/xml: {schema: {type: array, items: {xml: {name: n}}, xml: {name: list}}}`, `{"body":[1,2]}`, "application/xml", xml.Header + `<list><n>1</n><n>2</n></list>`},
		{`application/xml; charset=utf-16: {schema: {type: object}}`, `{"body":{"a":1}}`, "application/xml; charset=utf-8", xml.Header + `<root><a>1</a></root>`},
		{`application/json; charset=utf-16: {schema: {type: array}}`, `{"body":[]}`, "application/json; charset=utf-8", `[]`},
		{`application/xml: {schema: {type: object, xml: {name: a, namespace: "urn:x"}, properties: {id: {xml: {attribute: true, prefix: q, namespace: "urn:q"}}, of: {xml: {attribute: true, prefix: q, namespace: "urn:q"}}}}}`, `{"body":{"id":1,"of":2}}`, "application/xml", xml.Header + `<a xmlns="urn:x" xmlns:q="urn:q" q:id="1" q:of="2"></a>`},
		{`application/xml: {schema: {type: object, properties: {in: {type: object, xml: {nodeType: none}, properties: {q: {}}}}}}`, `{"body":{"in":{"q":1}}}`, "application/xml", xml.Header + `<root><q>1</q></root>`},
		{`application/xml: {schema: {type: object}}`, `{"body":{"a b":1}}`, "", `body: member "a b" cannot be the name of an XML element`},
		{`application/xml: {schema: {type: object}}`, `{"body":{"a":"\u0000\"","></a><b>":1}}`, "", `body: member "></a><b>" cannot be the name of an XML element`},
	} {
		req, err := newClient(t, Options{}).Request(context.Background(), actionsOf(t, contentDocument(test.content))["op0"], arguments(t, test.arguments))
		if err != nil {
			var fault *Error
			if test.contentType != "" || !errors.As(err, &fault) || fault.Message != test.want || fault.Kind != InvalidArguments {
				t.Errorf("%s %s: got %v, want %q", test.content, test.arguments, err, test.want)
			}
			continue
		}
		body, err := io.ReadAll(req.Body)
		if err != nil || req.Header.Get("Content-Type") != test.contentType || string(body) != test.want {
			t.Errorf("%s %s: got %s %q, want %s %q", test.content, test.arguments, req.Header.Get("Content-Type"), body, test.contentType, test.want)
		}
	}
}

// TestMultipart reads what goes out with a reader that we did not write.
func TestMultipart(t *testing.T) {
	doc := contentDocument(`multipart/form-data: {schema: {type: object, properties: {file: {type: string, format: binary}, more: {type: array, items: {type: string, format: binary}}, icon: {type: string},
		meta: {type: object}, list: {type: array}, tags: {type: array}, deep: {type: object}, n: {type: integer}, note: {type: string}, xml: {type: string}, open: {}, sealed: {type: string, contentEncoding: base64}, items: {type: array, items: {type: object, xml: {name: item}, properties: {a: {}}}}, evil: {type: string}, wrong: {type: object}}},
		encoding: {file: {headers: {X-Kind: {schema: {const: picture}}}}, icon: {contentType: "image/png, image/gif"}, tags: {style: form, explode: false}, deep: {style: deepObject}, meta: {contentType: application/vnd.m+json}, xml: {contentType: text/xml}, items: {contentType: application/xml}, evil: {contentType: "text/plain\\r\\nX-Evil: 1"}, wrong: {contentType: text/csv}}}`)
	args := arguments(t, `{"file":{"data":"AP8=","filename":"a\"b\r\né.png","mediaType":"image/png"},"more":["AQ==","data:text/x,hi",{"text":"t","filename":"t.txt"}],
		"icon":"data:image/gif;base64,R0lG","meta":{"k":"<é>"},"list":[1,{"a":2},null,"s"],"tags":["x y","z"],"deep":{"a":{"b":"c d"}},"n":9007199254740993,"note":"é\r\n--stagedoor","xml":"<a/>",
		"open":"AQ==","sealed":"aGk=","items":[{"a":1}],"evil":"x","wrong":{"a":1}}`)
	client, action := newClient(t, Options{}), actionsOf(t, doc)["op0"]
	req, err := client.Request(context.Background(), action, args)
	if err != nil {
		t.Fatal(err)
	}
	body := readAll(t, req)
	if again, _ := client.Request(context.Background(), action, args); !bytes.Equal(readAll(t, again), body) {
		t.Error("the same call gives other bytes")
	}
	mediaType, params, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if err != nil || mediaType != "multipart/form-data" {
		t.Fatal(req.Header, err)
	}
	var got []string
	for parts := multipart.NewReader(bytes.NewReader(body), params["boundary"]); ; {
		p, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		data, _ := io.ReadAll(p)
		line := fmt.Sprintf("%s | %s | %q", p.Header.Get("Content-Disposition"), p.Header.Get("Content-Type"), data)
		if kind := p.Header.Get("X-Kind"); kind != "" {
			line += " " + kind
		}
		got = append(got, line)
	}
	want := []string{
		`form-data; name="deep[a][b]" |  | "c d"`,
		`form-data; name="evil" |  | "x"`,
		`form-data; name="file"; filename="a%22b%0D%0Aé.png" | image/png | "\x00\xff" picture`,
		`form-data; name="icon"; filename="icon" | image/gif | "GIF"`,
		`form-data; name="items" | application/xml | "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<item><a>1</a></item>"`,
		`form-data; name="list" |  | "1"`,
		`form-data; name="list" | application/json | "{\"a\":2}"`,
		`form-data; name="list" |  | "s"`,
		`form-data; name="meta" | application/vnd.m+json | "{\"k\":\"<é>\"}"`,
		`form-data; name="more"; filename="more" | application/octet-stream | "\x01"`,
		`form-data; name="more"; filename="more" | text/x | "hi"`,
		`form-data; name="more"; filename="t.txt" | application/octet-stream | "t"`,
		`form-data; name="n" |  | "9007199254740993"`,
		`form-data; name="note" |  | "é\r\n--stagedoor"`,
		`form-data; name="open"; filename="open" | application/octet-stream | "\x01"`,
		`form-data; name="sealed" | application/octet-stream | "aGk="`,
		`form-data; name="tags" |  | "x y,z"`,
		`form-data; name="wrong" | application/json | "{\"a\":1}"`,
		`form-data; name="xml" | text/xml | "<a/>"`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestNoMediaType: what a caller calls a media type breaks no header.
func TestNoMediaType(t *testing.T) {
	actions := actionsOf(t, contentDocument(
		`multipart/form-data: {schema: {type: object, properties: {f: {type: string, format: binary}}}}`,
		`"*/*": {schema: {type: string, format: binary}}`,
		`text/*: {schema: {type: string}}`,
	))
	client := newClient(t, Options{})
	for _, tt := range []struct{ action, args string }{
		{"op0", `{"f":"data:text/plain;\r\n\r\nx=y;base64,aGk="}`},
		{"op0", `{"f":{"data":"data:text/plain;\r\n\r\nx=y;base64,aGk="}}`},
		{"op0", `{"f":{"text":"hi","mediaType":"text/plain;\n x=y"}}`},
		{"op0", `{"f":"data:text/plain;\u0000x=y,hi"}`},
		{"op1", `{"body":"data:text/plain;\r\n\r\nx=y;base64,aGk="}`},
		{"op1", `{"body":"aGk=","contentType":"text/plain;\rX-Injected: 1"}`},
		{"op2", `{"body":"hi","contentType":"text/plain;\rX-Injected: 1"}`},
		{"op2", `{"body":"hi","contentType":"text/plain; charset=utf-8\r\n"}`},
	} {
		req, err := client.Request(context.Background(), actions[tt.action], arguments(t, tt.args))
		var e *Error
		if !errors.As(err, &e) || e.Kind != InvalidArguments {
			t.Errorf("%s: got %v %v", tt.args, req, err)
		}
	}
	req, err := client.Request(context.Background(), actions["op1"], arguments(t, `{"body":"data:;charset=utf-8,hi","contentType":"text/plain; charset=utf-8"}`))
	if err != nil || req.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("got %v %v", req, err)
	}
}

func TestMultipartWithoutNames(t *testing.T) {
	action := actionsOf(t, contentDocument(`multipart/mixed: {schema: {type: array}}`))["op0"]
	req, err := newClient(t, Options{}).Request(context.Background(), action, arguments(t, `{"body":["a",{"b":1}]}`))
	if err != nil {
		t.Fatal(err)
	}
	_, params, _ := mime.ParseMediaType(req.Header.Get("Content-Type"))
	want := "--B\r\n\r\na\r\n--B\r\nContent-Type: application/json\r\n\r\n{\"b\":1}\r\n--B--\r\n"
	if got := strings.ReplaceAll(string(readAll(t, req)), params["boundary"], "B"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// FuzzBodies holds: no panic; what was sent can be read back.
func FuzzBodies(f *testing.F) {
	actions := actionsOf(f, contentDocument(
		`multipart/form-data: {schema: {type: object, properties: {file: {type: string, format: binary}, a: {}}}}`,
		`application/x-www-form-urlencoded: {schema: {type: object, properties: {a: {}, b: {}}}}`,
		`application/xml: {schema: {type: object, properties: {a: {}, at: {xml: {attribute: true}}}}}`,
		`application/x-ndjson: {itemSchema: {}}`,
	))
	f.Add(`{"file":"AA==","a":{"b":[1]}}`)
	f.Add(`{"file":{"text":"x","filename":"\"\r\n"},"a":"--"}`)
	f.Add(`{"a":"=&","b":["+",{"c":"%"}]}`)
	f.Add(`{"body":{"a":["<",{"b":"\u0001"}],"at":"\""}}`)
	f.Add(`{"body":[1,"\n",{}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		var args map[string]any
		dec := json.NewDecoder(strings.NewReader(text))
		dec.UseNumber()
		if dec.Decode(&args) != nil {
			return
		}
		for _, name := range []string{"op0", "op1", "op2", "op3"} {
			req, err := newClient(t, Options{}).Request(context.Background(), actions[name], args)
			if err != nil {
				continue
			}
			body := readAll(t, req)
			switch contentType := req.Header.Get("Content-Type"); {
			case name == "op0":
				_, params, err := mime.ParseMediaType(contentType)
				if err == nil {
					_, err = multipart.NewReader(bytes.NewReader(body), params["boundary"]).ReadForm(1 << 20)
				}
				if err != nil && !errors.Is(err, io.EOF) {
					t.Errorf("%v: %q", err, body)
				}
			case name == "op1":
				if _, err := url.ParseQuery(string(body)); err != nil {
					t.Errorf("%v: %q", err, body)
				}
			case name == "op2":
				if _, given := args["body"].(string); !given && args["body"] != nil {
					if err := xml.Unmarshal(body, new(struct{})); err != nil {
						t.Errorf("%v: %q", err, body)
					}
				}
			}
		}
	})
}

func readAll(t testing.TB, req *http.Request) []byte {
	t.Helper()
	if req.Body == nil {
		return nil
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		t.Fatal(err)
	}
	return body
}
