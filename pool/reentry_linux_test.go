package pool_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/pool"
)

// asked is what a function in a worker asks the parent for.
type asked struct {
	Meta map[string]string // what travels with its call
	Then []string          // the sockets that are asked one by the other, from the second on
}

var (
	// callBack has the parent make a call on its behalf, and says what came of it.
	callBack = child.Define("call back", func(ctx context.Context, sockets []string) (string, error) {
		slog.InfoContext(ctx, "calls back")
		if len(sockets) == 0 {
			return "the end", nil
		}
		c, err := net.Dial("unix", sockets[0])
		if err != nil {
			return "", err
		}
		defer c.Close()
		if err := json.NewEncoder(c).Encode(asked{child.AllMeta(ctx), sockets[1:]}); err != nil {
			return "", err
		}
		var answer string
		err = json.NewDecoder(c).Decode(&answer)
		return answer, err
	})

	// packagePool is there in the workers too.
	packagePool = pool.New(pool.Config{Name: "shared"})
	inWorker    = child.Define("in worker", func(ctx context.Context, _ bool) (string, error) {
		_, err := double.Call(ctx, packagePool, 1)
		return fmt.Sprint(err), nil
	})
)

// switchboard takes calls of workers for a caller, at a socket.
func switchboard(t *testing.T, c child.Caller) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go connect(conn, c)
		}
	}()
	return socket
}

func connect(conn net.Conn, c child.Caller) {
	defer conn.Close()
	var a asked
	if json.NewDecoder(conn).Decode(&a) != nil {
		return
	}
	answer, err := callBack.Call(child.WithAllMeta(context.Background(), a.Meta), c, a.Then)
	if re, ok := errors.AsType[*pool.ReentryError](err); ok && errors.Is(err, child.ErrNotStarted) {
		answer = "refused by " + re.Pool
	} else if err != nil {
		answer = err.Error()
	}
	_ = json.NewEncoder(conn).Encode(answer)
}

// A function that calls back into its own pool would wait for itself. Pools of
// different sizes, calls that come straight back, through another pool, or through a
// function that runs in this process.
func TestReentry(t *testing.T) {
	for _, c := range []struct {
		name string
		size int
		set  func(*pool.Config)
		way  string // each letter is a stop of the call, from the pool a on
		want string
	}{
		{"full", 1, nil, "a", "refused by a"},
		{"full, and calls are sent ahead", 1, func(c *pool.Config) { c.Ahead = 3 }, "a", "refused by a"},
		{"full, by key", 1, func(c *pool.Config) { c.Choose, c.Ahead = pool.ByKey, 3 }, "a", "refused by a"},
		{"full, round robin", 1, func(c *pool.Config) { c.Choose, c.Ahead = pool.RoundRobin, 3 }, "a", "refused by a"},
		{"room", 2, nil, "a", "the end"},
		{"room once", 2, nil, "aa", "refused by a"},
		{"room in the same worker", 1, func(c *pool.Config) { c.Worker.Concurrency = 2 }, "a", "the end"},
		{"another pool", 1, nil, "b", "the end"},
		{"through another pool", 1, nil, "ba", "refused by a"},
		{"the other pool again", 1, nil, "bb", "refused by b"},
		{"both, with room in the first", 2, nil, "bab", "refused by b"},
		{"through this process", 1, nil, "ia", "refused by a"},
	} {
		passed := t.Run(c.name, func(t *testing.T) {
			cfg := pool.Config{Name: "a", Size: c.size, MinReady: c.size}
			if c.set != nil {
				c.set(&cfg)
			}
			a, _, _ := serve(t, cfg)
			b, _, _ := serve(t, pool.Config{Name: "b", Size: 1})
			boards := map[rune]string{'a': switchboard(t, a), 'b': switchboard(t, b), 'i': switchboard(t, child.NewInline(child.Config{}))}
			var way []string
			for _, stop := range c.way {
				way = append(way, boards[stop])
			}
			ctx := child.WithKey(withTimeout(t, 10*time.Second), "k")
			if got, err := callBack.Call(ctx, a, way); got != c.want || err != nil {
				t.Errorf("%q instead of %q, %v", got, c.want, err)
			}
		})
		if !passed {
			return // the others would take as long
		}
	}
}

// What is refused says what to do.
func TestReentryError(t *testing.T) {
	err := error(&pool.ReentryError{Pool: "b", Func: "double", Busy: 1})
	for _, part := range []string{"call double", "pool b", "1 calls running", "a pool of their own"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not say %q", err, part)
		}
	}
	if !errors.Is(err, child.ErrNotStarted) {
		t.Error("it may be sent again, and does not say so")
	}
}

// A pool in a package variable exists in the workers too, but nobody serves it there.
func TestPoolInAWorker(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 1})
	got, err := inWorker.Call(t.Context(), p, true)
	if err != nil || !strings.Contains(got, "shared is not available: nobody serves it in this process, which is a worker") || !strings.Contains(got, "child.AllMeta") {
		t.Errorf("%q, %v", got, err)
	}
}

// Trace context and what else a user chooses travel with a call through a pool, on
// to the calls that its function has others make, and into its log records.
func TestValuesTravel(t *testing.T) {
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	var log lockedBuffer
	a, _, _ := serve(t, pool.Config{Name: "a", Size: 1, Worker: child.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}})
	got := make(chan map[string]string, 1)
	spy := spyCaller{got}
	ctx := child.WithMeta(child.WithMeta(child.WithKey(t.Context(), "17"), child.TraceParent, parent), "tenant", "green")
	if _, err := callBack.Call(ctx, a, []string{switchboard(t, spy)}); err != nil {
		t.Fatal(err)
	}
	meta := <-got
	if meta[child.TraceParent] != parent || meta["tenant"] != "green" || meta["key"] != "17" || len(meta[child.Via]) == 0 || len(meta) != 4 {
		t.Errorf("%v", meta)
	}
	until(t, "the record of the function names them", func() bool {
		return strings.Contains(log.String(), `msg="calls back" worker=a-1`) && strings.Contains(log.String(), "key=17 trace="+parent)
	})
}

// lockedBuffer is where a logger may write while a test reads.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// spyCaller shows what comes with a call, and fails it.
type spyCaller struct{ got chan map[string]string }

func (s spyCaller) Do(ctx context.Context, _ *child.Request) error {
	s.got <- child.AllMeta(ctx)
	return errors.New("no")
}
