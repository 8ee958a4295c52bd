package pool_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/pool"
)

var (
	// eat dies of poison, after it has put itself on record.
	eat = child.Define("eat", func(_ context.Context, m meal) (int, error) {
		if m.Record != "" {
			m.Record.add()
		}
		if m.Door != "" {
			if err := knock(m.Door); err != nil {
				return 0, err
			}
		}
		switch m.Poison {
		case "exit":
			os.Exit(7)
		case "panic":
			panic("poison")
		case "hang":
			select {}
		}
		return 2 * m.N, nil
	})

	// chew is the same for an input whose memory the test knows: it hangs.
	chew = child.Define("chew", func(_ context.Context, b []byte) (int, error) {
		if bytes.HasPrefix(b, []byte("bad")) {
			select {}
		}
		return len(b), nil
	})
)

type meal struct {
	N      int
	Record record // if not empty
	Door   string // where to knock first, if not empty
	Poison string // "", exit, panic, hang
}

// record is a file to which workers add a byte each time that they begin. So a test
// counts what they have done, and not what the library believes.
type record string

func newRecord(t *testing.T) record { return record(filepath.Join(t.TempDir(), "record")) }

func (r record) add() {
	f, err := os.OpenFile(string(r), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.Write([]byte{'x'})
		f.Close()
	}
	if err != nil {
		panic(err)
	}
}

func (r record) count() int {
	b, _ := os.ReadFile(string(r))
	return len(b)
}

// silent has nothing to say about the deaths that a test wants.
var silent = child.Config{Logger: slog.New(slog.DiscardHandler)}

// refusal is the error of a call that was refused because of its input.
func refusal(t *testing.T, err error) *pool.QuarantinedError {
	t.Helper()
	e, ok := errors.AsType[*pool.QuarantinedError](err)
	if !ok || !errors.Is(err, pool.ErrQuarantined) || !errors.Is(err, child.ErrNotStarted) {
		t.Fatalf("the error is no refusal but a %T: %v", err, err)
	}
	return e
}

// result waits for what has become of a call, in time.
func result(t *testing.T, results <-chan error) error {
	t.Helper()
	select {
	case err := <-results:
		return err
	case <-time.After(10 * time.Second):
		t.Fatal("a call has not ended")
		return nil
	}
}

// mortal calls a function that kills its worker.
func mortal(t *testing.T, p *pool.Pool, m meal) *child.CrashError {
	t.Helper()
	_, err := eat.Call(t.Context(), p, m)
	crash, ok := errors.AsType[*child.CrashError](err)
	if !ok {
		t.Fatalf("the error is no crash but a %T: %v", err, err)
	}
	return crash
}

// F63: one poison among 10,000 inputs, sent again and again by a caller who does not
// know better, kills as many workers as it may and no more. All others are answered.
func TestPoisonAmongTenThousand(t *testing.T) {
	const calls, deaths = 10_000, 3
	var d diary
	p, _, _ := serve(t, pool.Config{Size: 4, MinReady: 4, Queue: calls, Worker: silent, Events: d.write, Quarantine: pool.Quarantine{Deaths: deaths}})
	poison := meal{N: calls / 2, Record: newRecord(t), Poison: "exit"}
	var wg sync.WaitGroup
	inputs := make(chan int)
	for range 16 {
		wg.Go(func() {
			for n := range inputs {
				m := meal{N: n}
				if n == poison.N {
					m = poison
				}
				got, err := eat.Call(t.Context(), p, m)
				for range 20 {
					if n == poison.N {
						_, err = eat.Call(t.Context(), p, m)
					}
				}
				switch {
				case n == poison.N && !errors.Is(err, pool.ErrQuarantined):
					t.Errorf("the poison: %d, %v", got, err)
				case n != poison.N && (err != nil || got != 2*n):
					t.Errorf("input %d: %d, %v", n, got, err)
				}
			}
		})
	}
	for n := range calls {
		inputs <- n
	}
	close(inputs)
	wg.Wait()
	if n := poison.Record.count(); n != deaths {
		t.Errorf("it has killed %d workers, not %d", n, deaths)
	}
	_, err := eat.Call(t.Context(), p, poison)
	e := refusal(t, err)
	if e.Deaths != deaths || e.Call.Func != "eat" || e.Cause != child.Exited || e.Exit != "exited with status 7" || e.Refused < 19 ||
		e.First.After(e.Last) || !e.Until.After(e.Last) || e.Pool != "worker" {
		t.Errorf("%+v", e)
	}
	if text := e.Error(); strings.Contains(text, "\n") || !strings.Contains(text, "killed 3 workers") || !strings.Contains(text, e.ID) {
		t.Error(text)
	}
	list := p.Quarantined()
	if len(list) != 1 || list[0] != e.Suspect {
		t.Errorf("%+v", list)
	}
	if n := poison.Record.count(); n != deaths {
		t.Errorf("a refused call has run: %d deaths", n)
	}
	if s := p.Stats(); s.Quarantined != 21-deaths+1 || s.Crashed != deaths {
		t.Errorf("%+v", s.Counters)
	}
	until(t, "it is told", func() bool { return len(told[pool.EventQuarantined](&d)) > 0 })
	if q := told[pool.EventQuarantined](&d); len(q) != 1 || q[0].ID != e.ID || q[0].Deaths != deaths || !errors.Is(q[0].Last, child.Exited) || q[0].Until != e.Until {
		t.Errorf("%+v", q)
	}
}

// F63: the bound of deaths is exact: as many as it takes, and those of the copies that
// have a worker's place by then. Copies in the queue are refused.
func TestCopiesOfPoison(t *testing.T) {
	const size, deaths = 3, 2
	p, _, _ := serve(t, pool.Config{Size: size, MinReady: size, Worker: silent, Quarantine: pool.Quarantine{Deaths: deaths}})
	d := newDoor(t, filepath.Join(t.TempDir(), "door"))
	poison := meal{Record: newRecord(t), Door: d.path, Poison: "exit"}
	results := make(chan error, 10)
	for range 10 {
		go func() { _, err := eat.Call(context.Background(), p, poison); results <- err }()
	}
	crashed := func() {
		t.Helper()
		if _, ok := errors.AsType[*child.CrashError](result(t, results)); !ok {
			t.Error("it is no crash")
		}
	}
	doors := []func(){d.visitor(t), d.visitor(t), d.visitor(t)}
	until(t, "the others wait", func() bool { return p.Stats().Queued == 10-size })
	doors[0]() // the first death; its place goes to a copy from the queue
	crashed()
	doors = append(doors, d.visitor(t))
	doors[1]() // the second; from now on it is refused
	crashed()
	for range 10 - size - 1 {
		refusal(t, result(t, results)) // all that are queued, one after the other
	}
	doors[2]()
	doors[3]()
	crashed()
	crashed()
	if n := poison.Record.count(); n != deaths+size-1 {
		t.Errorf("%d deaths, not %d", n, deaths+size-1)
	}
	if s := p.Quarantined(); len(s) != 1 || s[0].Deaths != deaths+size-1 || s[0].Refused < 10-size-1 {
		t.Errorf("%+v", s)
	}
	until(t, "all places are free", func() bool { s := p.Stats(); return s.Busy == 0 && s.Queued == 0 && s.Up == size })
}

// F63: poison that hangs kills by its deadline, when its caller has left already and may
// have other things in the memory of the input.
func TestPoisonThatHangs(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 1, Worker: child.Config{Grace: 5 * time.Millisecond, Logger: silent.Logger}, Quarantine: pool.Quarantine{Deaths: 2}})
	input := make([]byte, 100)
	for n := range 2 {
		clear(input)
		copy(input, "bad")
		_, err := chew.Call(withTimeout(t, 200*time.Millisecond), p, input)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		copy(input, "other")
		until(t, "its worker is killed", func() bool { return p.Stats().Workers[0].Run == uint64(n)+2 && p.Stats().Up == 1 })
	}
	if n, err := chew.Call(t.Context(), p, input); n != 100 || err != nil {
		t.Error("what the memory has now is refused:", err)
	}
	clear(input)
	copy(input, "bad")
	_, err := chew.Call(withTimeout(t, 10*time.Second), p, input)
	if e := refusal(t, err); e.Cause != child.Deadline || e.Deaths != 2 {
		t.Errorf("%+v", e)
	}
}

// F63: a death that somebody wanted is not the input's.
func TestWantedDeathsDoNotCount(t *testing.T) {
	worker := child.Config{OnCancel: child.Kill, Grace: 5 * time.Millisecond, Logger: silent.Logger}
	p, _, _ := serve(t, pool.Config{Size: 1, Worker: worker, Quarantine: pool.Quarantine{Deaths: 1}})
	d := newDoor(t, filepath.Join(t.TempDir(), "door"))
	m := meal{Door: d.path}
	ctx, cancel := context.WithCancel(t.Context())
	results := make(chan error, 1)
	go func() { _, err := eat.Call(ctx, p, m); results <- err }()
	d.visitor(t)
	cancel()
	if err := result(t, results); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	until(t, "its worker is killed", func() bool { return p.Stats().Workers[0].Run == 2 && p.Stats().Up == 1 })
	if s := p.Quarantined(); len(s) > 0 {
		t.Fatalf("%+v", s)
	}
	go func() { _, err := eat.Call(t.Context(), p, m); results <- err }()
	d.visitor(t)
	p.Kill()
	if err := result(t, results); !errors.Is(err, child.KillCalled) {
		t.Error(err)
	}
	if s := p.Quarantined(); len(s) > 0 {
		t.Errorf("%+v", s)
	}
}

func TestQuarantineByUserKey(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 2, Worker: silent, Quarantine: pool.Quarantine{Deaths: 2, By: pool.ByUserKey}})
	call := func(key string, m meal) error {
		_, err := eat.Call(child.WithKey(t.Context(), key), p, m)
		return err
	}
	for n := range 4 { // without a key nothing is watched
		if err := call("", meal{N: n % 2, Poison: "exit"}); errors.Is(err, pool.ErrQuarantined) {
			t.Error(err)
		}
	}
	for n := range 2 { // two inputs, one key
		if err := call("cat.jpg", meal{N: n, Poison: "exit"}); errors.Is(err, pool.ErrQuarantined) {
			t.Error(err)
		}
	}
	if e := refusal(t, call("cat.jpg", meal{N: 77})); e.Call.Key != "cat.jpg" {
		t.Errorf("%+v", e)
	}
	if err := call("dog.jpg", meal{N: 77}); err != nil {
		t.Error(err)
	}
	if _, err := double.Call(child.WithKey(t.Context(), "cat.jpg"), p, 1); err != nil {
		t.Error("another function:", err)
	}
}

// F63: of inputs that run beside each other in a worker, the one that panics is to
// blame; where nobody knows who it was, those that are answered another time are not.
func TestInnocentInputs(t *testing.T) {
	p, _, _ := serve(t, pool.Config{
		Size: 1, Worker: child.Config{Concurrency: 2, Logger: silent.Logger}, Quarantine: pool.Quarantine{Deaths: 2},
	})
	d := newDoor(t, filepath.Join(t.TempDir(), "door"))
	beside := func() (open func(), results chan error) {
		results = make(chan error, 1)
		go func() { _, err := eat.Call(context.Background(), p, meal{Door: d.path}); results <- err }()
		return d.visitor(t), results
	}
	dies := func(m meal) {
		t.Helper()
		_, results := beside()
		mortal(t, p, m)
		if _, ok := errors.AsType[*child.CrashError](result(t, results)); !ok {
			t.Error("it has survived")
		}
	}
	dies(meal{N: 1, Poison: "panic"})
	dies(meal{N: 1, Poison: "panic"})
	_, err := eat.Call(t.Context(), p, meal{N: 1, Poison: "panic"})
	refusal(t, err)
	for n := range 4 {
		dies(meal{N: 10 + n, Poison: "exit"}) // it may have been either
		open, results := beside()
		open()
		if err := result(t, results); err != nil {
			t.Fatal(err)
		}
	}
	if s := p.Quarantined(); len(s) != 1 || s[0].Cause != child.Panicked {
		t.Errorf("%+v", s)
	}
	dies(meal{N: 20, Poison: "exit"})
	dies(meal{N: 21, Poison: "exit"}) // twice, and no answer in between
	_, err = eat.Call(t.Context(), p, meal{Door: d.path})
	refusal(t, err)
}

// An input is let in again when its time is over, or when somebody says so.
func TestReleased(t *testing.T) {
	var d diary
	p, _, _ := serve(t, pool.Config{Size: 1, Events: d.write, Worker: silent, Quarantine: pool.Quarantine{Deaths: 1, Hold: 20 * time.Millisecond}})
	m := meal{Poison: "exit"}
	mortal(t, p, m)
	until(t, "its time is over", func() bool { _, err := eat.Call(t.Context(), p, m); return !errors.Is(err, pool.ErrQuarantined) })
	until(t, "it is told", func() bool { return len(told[pool.EventReleased](&d)) >= 1 })
	until(t, "its time is over once more, and nobody asks", func() bool { return len(told[pool.EventReleased](&d)) >= 2 })

	p, _, _ = serve(t, pool.Config{Size: 1, Events: d.write, Worker: silent, Quarantine: pool.Quarantine{Deaths: 1}})
	for n := range 3 {
		mortal(t, p, meal{N: n, Poison: "exit"})
	}
	list := p.Quarantined()
	if len(list) != 3 {
		t.Fatalf("%+v", list)
	}
	id := list[0].ID
	for _, wrong := range []string{"", "x", "0", id + "0"} {
		if p.Release(wrong) {
			t.Errorf("it has released %q", wrong)
		}
	}
	if !p.Release(id) || p.Release(id) {
		t.Error("it is not released once")
	}
	mortal(t, p, meal{N: 0, Poison: "exit"})
	if n := p.ReleaseAll(); n != 3 || len(p.Quarantined()) > 0 {
		t.Errorf("%d released", n)
	}
	until(t, "it is told", func() bool {
		e := told[pool.EventReleased](&d)
		last := e[len(e)-1]
		return len(e) == 6 && strings.Contains(last.Why, "somebody") && last.Call.Func == "eat"
	})
	if n := pool.New(pool.Config{}).ReleaseAll(); n != 0 {
		t.Error(n)
	}
}

// Deaths, answers, callers who leave and inputs that are let in again, all at once: no
// place is lost, and good inputs are answered.
func TestQuarantineUnderFire(t *testing.T) {
	p, _, _ := serve(t, pool.Config{
		Size: 2, MinReady: 2, Queue: 1000, Worker: child.Config{Concurrency: 2, Grace: time.Millisecond, Logger: silent.Logger},
		Quarantine: pool.Quarantine{Deaths: 2, Hold: 50 * time.Millisecond, Max: 2},
	})
	var wg sync.WaitGroup
	for caller := range 8 {
		wg.Go(func() {
			for n := range 15 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(5+n*caller)*time.Millisecond)
				_, _ = eat.Call(ctx, p, meal{N: n % 4, Poison: []string{"", "exit", "", "panic", "hang"}[(n+caller)%5]})
				cancel()
				p.ReleaseAll()
			}
		})
	}
	wg.Wait()
	until(t, "all places are free", func() bool { s := p.Stats(); return s.Busy == 0 && s.Queued == 0 && s.Up == 2 })
	if n, err := eat.Call(t.Context(), p, meal{N: 100}); n != 200 || err != nil {
		t.Error(n, err)
	}
}
