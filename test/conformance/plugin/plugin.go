// Package plugin is an ordinary HTTP service that offers what the conformance
// suite of MCP calls by name, for a gateway to stand in front of. It knows
// nothing of gateways and sessions: its document says how its answers become
// MCP's.
package plugin

import (
	"bytes"
	"context"
	"embed"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

//go:embed openapi.yaml config.yaml
var files embed.FS

// Plugin answers the operations of openapi.yaml.
type Plugin struct {
	http.Handler

	dir     string
	changed func() error
	change  sync.Mutex
	running atomic.Int64
}

// New writes the plugin's document, the gateway's config, which reads the
// plugin's URL from CONFORMANCE_PLUGIN, and an image into dir. The plugin edits
// these files when a caller wants a list to change, and then calls changed.
func New(dir string, changed func() error) (*Plugin, error) {
	for _, name := range []string{document, config} {
		data, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "pixel.png"), pixel(), 0o600); err != nil {
		return nil, err
	}
	p := &Plugin{dir: dir, changed: changed}
	p.Handler = p.routes()
	return p, nil
}

// The files in the folder of a plugin.
const (
	document = "openapi.yaml"
	config   = "config.yaml"
)

func (p *Plugin) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /text", says("text/plain; charset=utf-8", []byte("This is a simple text response for testing.")))
	mux.HandleFunc("GET /image", says("image/png", pixel()))
	mux.HandleFunc("GET /audio", says("audio/wav", silence()))
	mux.HandleFunc("GET /contents/{kind}", contents)
	mux.HandleFunc("GET /error", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusUnprocessableEntity, "This tool intentionally returns an error for testing")
	})
	mux.HandleFunc("GET /header", echo("region", "%s"))
	mux.HandleFunc("POST /schema", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.Copy(w, r.Body)
	})
	mux.HandleFunc("POST /progress", progress)
	mux.HandleFunc("POST /log", logs)
	mux.HandleFunc("POST /elicitation", ask(elicitation))
	mux.HandleFunc("POST /sampling", ask(sampling))
	mux.HandleFunc("POST /questions/{question}", ask(question))
	mux.HandleFunc("DELETE /files/{filename}", ask(deletion))
	mux.HandleFunc("GET /greeting", echo("name", "Hello, %s!"))
	mux.HandleFunc("GET /computations", func(w http.ResponseWriter, _ *http.Request) { reply(w, map[string]any{"running": p.running.Load()}) })
	mux.HandleFunc("POST /computations", p.compute)
	mux.HandleFunc("POST /jobs/failing", func(w http.ResponseWriter, r *http.Request) {
		if pause(r.Context(), time.Second) {
			refuse(w, http.StatusConflict, "The job failed, as it always does.")
		}
	})
	mux.HandleFunc("POST /jobs/broken", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	mux.HandleFunc("GET /documents/{name}", read)
	mux.HandleFunc("GET /records/{id}", func(w http.ResponseWriter, r *http.Request) {
		reply(w, map[string]any{"id": r.PathValue("id"), "templateTest": true, "data": "Data for ID: " + r.PathValue("id")})
	})
	mux.HandleFunc("GET /added", says("text/plain", []byte("This tool was not here before.")))
	mux.HandleFunc("POST /changes/tools", p.edit(document, "x-action: false", "x-action: {name: test_added_tool}"))
	mux.HandleFunc("POST /changes/prompts", p.edit(config, "described in one way", "described in another way"))
	return mux
}

// edit swaps one text of a file for another, or back.
func (p *Plugin) edit(name, one, other string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		p.change.Lock()
		defer p.change.Unlock()
		path := filepath.Join(p.dir, name)
		data, err := os.ReadFile(path)
		if err == nil {
			from, to := one, other
			if !strings.Contains(string(data), one) {
				from, to = other, one
			}
			err = os.WriteFile(path, bytes.Replace(data, []byte(from), []byte(to), 1), 0o600) //nolint:gosec // in the folder of New
		}
		if err == nil {
			err = p.changed()
		}
		if err != nil {
			refuse(w, http.StatusInternalServerError, err.Error())
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

// compute tells ten times how far it has come, and stops when nobody listens.
func (p *Plugin) compute(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Seconds float64 `json:"seconds"`
		Label   string  `json:"label"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	p.running.Add(1)
	defer p.running.Add(-1)
	tell := stream(w)
	for step := range 10 {
		tell(map[string]any{"progress": step, "total": 10, "message": fmt.Sprintf("step %d", step)})
		if !pause(r.Context(), time.Duration(in.Seconds*float64(time.Second)/10)) {
			return
		}
	}
	tell(map[string]any{"label": in.Label, "seconds": in.Seconds})
}

func progress(w http.ResponseWriter, r *http.Request) {
	tell := stream(w)
	for _, done := range []int{0, 50, 100} {
		tell(map[string]any{"progress": done, "total": 100})
		if !pause(r.Context(), 50*time.Millisecond) {
			return
		}
	}
	tell(map[string]any{"done": true})
}

func logs(w http.ResponseWriter, r *http.Request) {
	tell := stream(w)
	for _, text := range []string{"Tool execution started", "Tool processing data", "Tool execution completed"} {
		tell(map[string]any{
			"method": "notifications/message",
			"params": map[string]any{"level": "info", "logger": "conformance", "data": text},
		})
		if !pause(r.Context(), 50*time.Millisecond) {
			return
		}
	}
	tell(result("Three messages were logged."))
}

func contents(w http.ResponseWriter, r *http.Request) {
	switch r.PathValue("kind") {
	case "resource":
		reply(w, map[string]any{"content": []any{
			embedded("test://embedded-resource", "text/plain", "This is an embedded resource content."),
		}})
	case "mixed":
		reply(w, map[string]any{"content": []any{
			map[string]any{"type": "text", "text": "Multiple content types test:"},
			map[string]any{"type": "image", "mimeType": "image/png", "data": base64.StdEncoding.EncodeToString(pixel())},
			embedded("test://mixed-content-resource", "application/json", `{"test":"data","value":123}`),
		}})
	default:
		http.NotFound(w, r)
	}
}

func read(w http.ResponseWriter, r *http.Request) {
	text, ok := map[string]string{
		"text":    "This is the content of the static text resource.",
		"watched": "This text may change.",
		"example": "Embedded resource content for testing.",
	}[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	says("text/plain", []byte(text))(w, r)
}

func says(mediaType string, body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", mediaType)
		_, _ = w.Write(body) //nolint:gosec // no browser reads it
	}
}

func echo(parameter, format string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		says("text/plain; charset=utf-8", fmt.Appendf(nil, format, r.URL.Query().Get(parameter)))(w, r)
	}
}

func reply(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"status": status, "detail": detail})
}

// stream begins an answer of JSON lines; what it returns sends one at once.
func stream(w http.ResponseWriter) func(item any) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	to, flush := json.NewEncoder(w), http.NewResponseController(w)
	return func(item any) {
		_ = to.Encode(item)
		_ = flush.Flush()
	}
}

// pause is false when the caller has gone.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// result is a CallToolResult with one text.
func result(format string, arguments ...any) map[string]any {
	return map[string]any{"content": []any{map[string]any{"type": "text", "text": fmt.Sprintf(format, arguments...)}}}
}

func embedded(uri, mediaType, text string) map[string]any {
	return map[string]any{"type": "resource", "resource": map[string]any{"uri": uri, "mimeType": mediaType, "text": text}}
}

// pixel is a PNG of one red pixel.
func pixel() []byte {
	one := image.NewRGBA(image.Rect(0, 0, 1, 1))
	one.Set(0, 0, color.RGBA{R: 255, A: 255})
	var b bytes.Buffer
	_ = png.Encode(&b, one) // a buffer takes everything
	return b.Bytes()
}

// silence is a WAV file: eight samples of nothing, 8 bits, mono, 8 kHz.
func silence() []byte {
	const samples, rate = 8, 8000
	b := []byte("RIFF")
	b = binary.LittleEndian.AppendUint32(b, 36+samples)
	b = append(b, "WAVEfmt "...)
	b = binary.LittleEndian.AppendUint32(b, 16)
	b = binary.LittleEndian.AppendUint16(b, 1) // PCM
	b = binary.LittleEndian.AppendUint16(b, 1) // channels
	b = binary.LittleEndian.AppendUint32(b, rate)
	b = binary.LittleEndian.AppendUint32(b, rate) // bytes a second
	b = binary.LittleEndian.AppendUint16(b, 1)    // bytes a sample
	b = binary.LittleEndian.AppendUint16(b, 8)    // bits a sample
	b = append(b, "data"...)
	b = binary.LittleEndian.AppendUint32(b, samples)
	return append(b, bytes.Repeat([]byte{128}, samples)...)
}
