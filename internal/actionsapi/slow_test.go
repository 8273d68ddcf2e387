package actionsapi

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// stuck is a body that does not arrive, on a connection with a deadline.
type stuck struct {
	*httptest.ResponseRecorder
	deadlines []time.Time
}

func (s *stuck) SetReadDeadline(at time.Time) error {
	s.deadlines = append(s.deadlines, at)
	return nil
}

func (*stuck) Read([]byte) (int, error) { return 0, fmt.Errorf("read: %w", os.ErrDeadlineExceeded) }

// TestBodiesThatDoNotArrive: they are waited for so long, and the call itself,
// once its body is there, has no such bound.
func TestBodiesThatDoNotArrive(t *testing.T) {
	h, begin := serve(petRegistry(t)), time.Now()
	for want, body := range map[int]string{http.StatusRequestTimeout: "", http.StatusOK: `{"id":"1"}`} {
		w := &stuck{ResponseRecorder: httptest.NewRecorder()}
		r := httptest.NewRequest(http.MethodPost, "/.backstage/actions/v1/actions/pets:get-pet/invoke", w)
		if body != "" {
			r = httptest.NewRequest(http.MethodPost, r.URL.Path, strings.NewReader(body))
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer ada")
		h.ServeHTTP(w, r)
		if w.Code != want || want != http.StatusOK && !strings.Contains(w.Body.String(), "within 10s") {
			t.Errorf("%d %s, want %d", w.Code, w.Body, want)
		}
		if len(w.deadlines) == 0 || w.deadlines[0].Before(begin.Add(readTimeout)) || (want == http.StatusOK) != w.deadlines[len(w.deadlines)-1].IsZero() {
			t.Errorf("%d: deadlines %v", want, w.deadlines)
		}
	}
}
