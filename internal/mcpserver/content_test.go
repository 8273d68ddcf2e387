package mcpserver

import (
	"testing"
)

// TestContent: what a client gets of an answer that is not simply JSON, beside
// the differential test, which says that mcp-go would write the same.
func TestContent(t *testing.T) {
	h := newTestHandler(t, Options{})
	s := startSession(t, h, "/mcp/catalog", "2025-11-25", "")
	for _, test := range []struct{ tool, want string }{
		{"fake_image", `{"content":[{"type":"image","mimeType":"image/png","data":"iVBORwA="}]}`},
		{"fake_typedimage", `{"content":[{"type":"image","mimeType":"image/png","data":"iVBORwA="}],"structuredContent":{"mediaType":"image/png","bytes":5}}`},
		{"fake_audio", `{"content":[{"type":"audio","mimeType":"audio/ogg","data":"T2dnUwA="}]}`},
		{"fake_file", `{"_meta":{"io.github.stagedoor/http":{"status":201,"headers":{"location":"/files/7?a=\"b\"","x-ratelimit-remaining":"3"}}},` +
			`"content":[{"type":"resource","resource":{"uri":"stagedoor:///fake/file/e16fa5d9b5192875","mimeType":"application/pdf","blob":"JVBERi0xLjQ="}}]}`},
		{"fake_cut", `{"_meta":{"io.github.stagedoor/http":{"status":200,"truncated":{"reason":"size","path":"items","items":2}}},` +
			`"content":[{"type":"text","text":"{\"items\":[1,2]}"},{"type":"text","text":"Cut: items has its first 2 items. Ask for less with \"limit\"."}],` +
			`"structuredContent":{"items":[1,2]}}`},
		{"fake_cuttext", `{"_meta":{"io.github.stagedoor/http":{"status":200,"truncated":{"reason":"size"}}},` +
			`"content":[{"type":"text","text":"line 1\n"},{"type":"text","text":"Cut."}]}`},
		{"fake_limited", `{"_meta":{"io.github.stagedoor/http":{"status":429,"headers":{"retry-after":"30"}}},` +
			`"content":[{"type":"text","text":"HTTP 429 Too Many Requests; try again in 30s"}],"isError":true}`},
	} {
		if _, a := callTool(t, h, legacy, s, test.tool, "{}"); string(a.Result) != test.want {
			t.Errorf("%s\ngot  %s\nwant %s", test.tool, a.Result, test.want)
		}
	}
	_, a := callTool(t, h, modern, "", "fake_limited", "{}")
	want := `{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"catalog","version":"1.2.3","title":"Software catalog"},` +
		`"io.github.stagedoor/http":{"status":429,"headers":{"retry-after":"30"}}},` +
		`"content":[{"type":"text","text":"HTTP 429 Too Many Requests; try again in 30s"}],"isError":true}`
	if string(a.Result) != want {
		t.Errorf("got  %s\nwant %s", a.Result, want)
	}
}
