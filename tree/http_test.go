package tree_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/verdigris-go/verdigris/strategy"
	"github.com/verdigris-go/verdigris/tree"
)

type fixed tree.Snapshot

func (f fixed) Snapshot() tree.Snapshot { return tree.Snapshot(f) }

func get(h http.Handler, method, target string, accept ...string) *http.Response {
	r := httptest.NewRequest(method, target, nil)
	r.Header["Accept"] = accept
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func text(t *testing.T, r *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestHandlerFormats(t *testing.T) {
	shop := fixed{Path: "größe", ID: "größe", Children: []tree.Snapshot{{ID: "a"}}}
	const (
		jsonBody  = `{"path":"größe","id":"größe","type":"by service","state":"down","run":0,"children":[{"path":"","id":"a","type":"by service","state":"down","run":0,"restart":"permanent"}]}` + "\n"
		textBody  = "größe  down\n└─ a   down\n"
		asciiBody = "gr??e  down\n`- a   down\n"
		jsonType  = "application/json"
		textType  = "text/plain; charset=utf-8"
	)
	for _, c := range []struct {
		target, accept string
		kind, body     string
	}{
		{"/", "", jsonType, jsonBody},
		{"/", "*/*", jsonType, jsonBody},
		{"/", "text/html,application/xhtml+xml,*/*;q=0.8", jsonType, jsonBody},
		{"/", "text/plain", textType, textBody},
		{"/", "text/plain, */*", textType, textBody},
		{"/", "text/plain;q=0.5, application/json", jsonType, jsonBody},
		{"/", "application/json;q=0.5, text/plain", textType, textBody},
		{"/", "application/json, text/plain", jsonType, jsonBody},
		{"/", "text/plain;q=0", jsonType, jsonBody},
		{"/", ";;;,text/plain;q=x", textType, textBody},
		{"/?format=text", "application/json", textType, textBody},
		{"/?format=ascii", "", textType, asciiBody},
		{"/?format=json", "text/plain", jsonType, jsonBody},
	} {
		t.Run(c.target+" "+c.accept, func(t *testing.T) {
			r := get(tree.Handler(shop), "GET", c.target, c.accept)
			if got := r.Header.Get("Content-Type"); r.StatusCode != 200 || got != c.kind {
				t.Errorf("%d %s", r.StatusCode, got)
			}
			if r.Header.Get("Cache-Control") != "no-store" || r.Header.Get("Vary") != "Accept" || r.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Error(r.Header)
			}
			length := r.ContentLength
			got := text(t, r)
			if got != c.body || length != int64(len(got)) {
				t.Errorf("%d bytes:\n%s", length, got)
			}
		})
	}
}

func TestHandlerRefuses(t *testing.T) {
	h := tree.Handler(fixed{})
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
		if r := get(h, method, "/"); r.StatusCode != 405 || r.Header.Get("Allow") != "GET, HEAD" || r.Header.Get("Cache-Control") != "no-store" {
			t.Error(method, r.Status, r.Header)
		}
	}
	if r := get(h, "GET", "/?format=xml"); r.StatusCode != 400 || !strings.Contains(text(t, r), "json, text or ascii") {
		t.Error(r.Status)
	}
	r := get(h, "HEAD", "/")
	if r.StatusCode != 200 || r.ContentLength < 50 || text(t, r) != "" {
		t.Error(r.Status, r.ContentLength)
	}
}

// stuck is not ready before it is released, and does not stop before that either.
type stuck struct{ release chan struct{} }

func (s stuck) Serve(ctx context.Context) error { return s.ServeReady(ctx, func() {}) }

func (s stuck) ServeReady(_ context.Context, ready func()) error {
	<-s.release
	ready()
	return nil
}

// The handler answers while the supervisor waits for a child that starts, and for one that stops.
func TestHandlerNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		root, err := tree.New(tree.Spec{Name: "app", Children: []tree.Child{
			{ID: "first", Service: tree.ServiceFunc(idle)},
			{ID: "slow", Service: stuck{release}, Shutdown: tree.Infinity},
			{ID: "last", Service: tree.ServiceFunc(idle)},
		}})
		if err != nil {
			t.Fatal(err)
		}
		states := func() string {
			synctest.Wait()
			var n struct {
				State    string
				Children []struct{ State string }
			}
			began := time.Now()
			if err := json.NewDecoder(get(tree.Handler(root), "GET", "/").Body).Decode(&n); err != nil {
				t.Fatal(err)
			}
			if d := time.Since(began); d != 0 {
				t.Errorf("it took %v", d)
			}
			all := n.State + ":"
			for _, c := range n.Children {
				all += " " + c.State
			}
			return all
		}
		ctx, cancel := context.WithCancel(context.Background())
		for _, step := range []struct {
			do   func()
			want string
		}{
			{func() {}, "down: down down down"},
			{func() { root.Start(ctx) }, "starting: running starting down"},
			{cancel, "stopping: running starting down"},
			{func() { close(release) }, "down: down down down"},
		} {
			step.do()
			if got := states(); got != step.want {
				t.Errorf("got %q want %q", got, step.want)
			}
		}
		if err := root.Wait(); err != nil {
			t.Error(err)
		}
	})
}

// Looking at a tree from many goroutines does not disturb it, nor the race detector.
func TestHandlerWhileTheTreeWorks(t *testing.T) {
	failing := tree.ServiceFunc(func(context.Context) error { return errors.New("again") })
	root, err := tree.New(tree.Spec{
		Intensity: strategy.Intensity{Restarts: 2000, Period: time.Hour},
		Children:  []tree.Child{{ID: "failing", Service: failing}, {ID: "idle", Service: tree.ServiceFunc(idle)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- root.Serve(t.Context()) }() // it begins while it is looked at
	h := tree.Handler(root)
	for {
		select {
		case err := <-done:
			if gaveUp, ok := errors.AsType[*tree.IntensityError](err); !ok || gaveUp.Restarts != 2001 {
				t.Error(err)
			}
			return
		default:
			if r := get(h, "GET", "/?format=text"); r.StatusCode != 200 {
				t.Fatal(r.Status)
			}
			if r := get(h, "GET", "/"); r.StatusCode != 200 {
				t.Fatal(r.Status)
			}
		}
	}
}
