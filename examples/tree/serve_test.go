package main

import (
	"bytes"
	"context"
	"errors"
	"image/png"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/verdigris-go/verdigris/child"
)

// failing is a Caller whose calls all end with the same error.
type failing struct{ err error }

func (f failing) Do(context.Context, *child.Request) error { return f.err }

func TestStatusSaysWhoseFaultItIs(t *testing.T) {
	crash := func(cause child.Cause) error { return &child.CrashError{Exit: child.Exit{Cause: cause}} }
	tests := []struct {
		name string
		err  error
		want int
	}{
		{"the decoder says no", &child.RemoteError{Message: "not a QOI file"}, 422},
		{"the image killed its decoder", crash(child.Segfault), 422},
		{"heap corruption", crash(child.Aborted), 422},
		{"the decoder did not come back", crash(child.Deadline), 422},
		{"the decoder hung, and the caller was told first", &child.InterruptedError{Started: true, Err: context.DeadlineExceeded}, 422},
		{"somebody killed the decoder", crash(child.Killed), 503},
		{"never started", &child.NotStartedError{}, 503},
		{"no decoder", &child.UnavailableError{}, 503},
		{"timed out before its turn", &child.InterruptedError{Err: context.DeadlineExceeded}, 503},
		{"anything else", errors.New("a mistake"), 500},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := post(&server{decoders: failing{test.err}, size: 64}, "/", []byte("image"))
			if got.Code != test.want {
				t.Errorf("status %d, want %d", got.Code, test.want)
			}
			if retry := got.Header().Get("Retry-After") != ""; retry != (test.want == 503) {
				t.Errorf("status %d with Retry-After %q", got.Code, got.Header().Get("Retry-After"))
			}
			if got.Body.Len() < 2 {
				t.Error("no reason given")
			}
		})
	}
}

func TestRequests(t *testing.T) {
	s := &server{decoders: inlineDecoder(t), size: 64}
	image := shippedImage(t, "chelsea.qoi")
	tests := []struct {
		name, target string
		body         []byte
		want         int
	}{
		{"an image", "/", image, 200},
		{"with a size", "/?size=32", image, 200},
		{"not an image", "/", []byte("hello"), 422},
		{"nothing", "/", nil, 422},
		{"cut off", "/", image[:1000], 422},
		{"size zero", "/?size=0", image, 400},
		{"size too large", "/?size=4097", image, 400},
		{"size no number", "/?size=big", image, 400},
		{"as large as may be", "/", make([]byte, maxUpload), 422},
		{"larger", "/", make([]byte, maxUpload+1), 413},
		{"elsewhere", "/images", image, 404},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := post(s, test.target, test.body); got.Code != test.want {
				t.Errorf("status %d, want %d: %s", got.Code, test.want, got.Body)
			}
		})
	}
}

func TestThumbnailIsThePictureAskedFor(t *testing.T) {
	s := &server{decoders: inlineDecoder(t), size: 64}
	got := post(s, "/?size=32", shippedImage(t, "chelsea.qoi"))
	if want := "image/png"; got.Header().Get("Content-Type") != want {
		t.Errorf("Content-Type %q, want %q", got.Header().Get("Content-Type"), want)
	}
	m, err := png.Decode(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	if d := dimensions(m); d != (Dimensions{32, 21}) {
		t.Errorf("it is %v, want 32x21", d)
	}
}

func TestBrokenUploadIsTheClientsFault(t *testing.T) {
	s := &server{decoders: failing{}, tree: http.NotFoundHandler(), log: slog.New(slog.DiscardHandler)}
	w, r := httptest.NewRecorder(), httptest.NewRequest("POST", "/?size=1", brokenBody{})
	if s.routes().ServeHTTP(w, r); w.Code != http.StatusBadRequest {
		t.Errorf("status %d, want 400", w.Code)
	}
}

type brokenBody struct{}

func (brokenBody) Read([]byte) (int, error) { return 0, errors.New("connection lost") }

// post sends a request to a server that does not listen.
func post(s *server, target string, body []byte) *httptest.ResponseRecorder {
	s.log, s.tree = slog.New(slog.DiscardHandler), http.NotFoundHandler()
	w := httptest.NewRecorder()
	s.routes().ServeHTTP(w, httptest.NewRequest("POST", target, bytes.NewReader(body)))
	return w
}

// inlineDecoder decodes in this process: good images only.
func inlineDecoder(t *testing.T) child.Caller {
	table := filepath.Join(t.TempDir(), "table")
	if err := writeTable(table, []string{"chelsea.qoi"}); err != nil {
		t.Fatal(err)
	}
	d := child.NewInline(child.Config{Setup: decoders.With(catalogConfig{Table: table})})
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func shippedImage(t testing.TB, name string) []byte {
	t.Helper()
	file, err := fs.ReadFile(source(""), name)
	if err != nil {
		t.Fatal(err)
	}
	return file
}
