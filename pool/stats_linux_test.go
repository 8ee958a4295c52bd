package pool_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/pool"
)

var refuse = child.Define("refuse", func(context.Context, bool) (bool, error) { return false, errors.New("no") })

// What happens to a pool, and to its calls, is in its statistics afterwards.
func TestStats(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Name: "p", Size: 2, MinReady: 2, Spares: 1, Queue: 1, QueueTimeout: 50 * time.Millisecond})
	until(t, "all are up", func() bool { s := p.Stats(); return s.Up == 2 && s.Spares == 1 })
	_, err := crash.Call(t.Context(), p, true)
	if err == nil {
		t.Fatal("it lives")
	}
	until(t, "all are up again", func() bool { s := p.Stats(); return s.Up == 2 && s.Spares == 1 && s.Deaths[child.Exited] == 1 })
	dead := slices.DeleteFunc(p.Stats().Workers, func(w pool.WorkerStats) bool { return w.Crashes == 0 })
	if len(dead) != 1 || dead[0].Crashes != 1 || dead[0].Run != 2 || dead[0].LastExit == nil || dead[0].LastExit.Run != 1 || !strings.Contains(dead[0].LastExit.String(), "status 7") {
		t.Errorf("%+v", dead)
	}
	for n := range 20 {
		if _, err := double.Call(t.Context(), p, n); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = refuse.Call(t.Context(), p, true)
	_, _ = refuse.Call(t.Context(), p, true)
	open1, held1 := holdOne(t, p)
	open2, held2 := holdOne(t, p)
	waited := make(chan error, 1)
	go func() { _, err := double.Call(context.Background(), p, 1); waited <- err }()
	until(t, "a call is queued", func() bool { return p.Stats().Queued == 1 })
	_, err = double.Call(t.Context(), p, 1)
	s := p.Stats()
	if !isOverloaded(err) || s.Busy != 2 || s.Queued != 1 || s.Oldest <= 0 || s.Condition != pool.Rejecting {
		t.Errorf("%v, %+v", err, s)
	}
	busy := slices.DeleteFunc(slices.Clone(s.Workers), func(w pool.WorkerStats) bool { return w.State != pool.WorkerBusy })
	if len(busy) != 2 || busy[0].Load != 1 || busy[0].Seat == 0 || busy[0].RSS < 1<<20 || busy[0].PID == 0 {
		t.Errorf("%+v", busy)
	}
	if err := <-waited; !errors.Is(err, child.ErrNotStarted) {
		t.Error(err)
	}
	open1()
	open2()
	if err := errors.Join(<-held1, <-held2); err != nil {
		t.Error(err)
	}
	if err := p.Replace(t.Context()); err != nil {
		t.Error(err)
	}
	until(t, "the spare is up too", func() bool { return p.Stats().Spares == 1 })
	s = p.Stats()
	if s.Calls != 27 || s.Answered != 22 || s.Refused != 2 || s.Crashed != 1 || s.Overloaded != 1 || s.QueueTimeouts != 1 {
		t.Errorf("%+v", s.Counters)
	}
	if s.Deaths[child.Exited] != 1 || len(s.Deaths) != 1 || s.Starts != 7 || s.FailedStarts != 0 || s.Recycled[pool.ReasonReplaced] != 3 || s.Replaced != 3 {
		t.Errorf("%+v", s.Counters)
	}
	if s.RunTime.Count != 25 || s.QueueTime.Count < 25 || s.QueueTime.P50 != 0 && s.QueueTime.P50 > time.Microsecond || s.RunTime.Max < 50*time.Millisecond || s.RunTime.P50 <= 0 || s.RunTime.P50 > s.RunTime.P99 {
		t.Errorf("%+v, %+v", s.QueueTime, s.RunTime)
	}
	checkText(t, s)
}

func checkText(t *testing.T, s pool.Stats) {
	t.Helper()
	text := s.String()
	for _, want := range []string{
		`(?m)^pool p: rejecting: (the queue is full|calls wait longer than 50ms) \(1 `, `2 of 2 up, 1 spare, 0 leaving`, `deaths   1 exit\n`,
		`recycled 3 replaced\n`, `27 ended, 22 answered, 2 refused by the function, 1 crashed, 1 overloaded, 1 queue timeouts\n`,
		`(?m)^  WORKER +PID +RUN +STATE`, `(?m)^  p-\d +\d+ +\d+ +(idle|spare) `,
	} {
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	blob, err := json.Marshal(s)
	var back struct {
		Condition, Because string
		Deaths             map[string]int
		Workers            []struct {
			Name, State string
			RunTime     struct{ P99 time.Duration }
			PID         int
			LastExit    *struct{ Error string }
			Enforced    struct{ Kill, Memory string }
		}
	}
	if err := errors.Join(err, json.Unmarshal(blob, &back)); err != nil || back.Condition != "rejecting" || back.Deaths["exit"] != 1 || len(back.Workers) != 3 || back.Workers[0].PID == 0 ||
		back.Workers[0].Enforced.Kill != s.Workers[0].Enforced.Kill.String() || back.Workers[0].Enforced.Memory != "no limit" {
		t.Errorf("%v %s", err, blob)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("pool", "stats", s)
	if got := log.String(); !strings.Contains(got, "stats.pool=p stats.condition=rejecting") || !strings.Contains(got, `stats.deaths="1 exit"`) || !strings.Contains(got, "stats.run_time.p99=") {
		t.Error(got)
	}
}

func TestStatsOfABadPool(t *testing.T) {
	s := pool.New(pool.Config{Name: "p", Size: -1}).Stats()
	if s.Condition != pool.Stopped || !strings.Contains(s.String(), "stopped: pool: Config of") {
		t.Errorf("%v", s)
	}
	if s := pool.New(pool.Config{Name: "p"}).Stats(); s.Condition != pool.Stopped || !downAndNeverUp.MatchString(s.String()) {
		t.Errorf("%v", s)
	}
}

// downAndNeverUp is the row of a worker that nobody serves: it has been so for no time
// that could be told.
var downAndNeverUp = regexp.MustCompile(`(?m)^  p-1 +0 +\d+ +down +0 +- +0 `)

// The states of a worker, one after the other.
func TestWorkerStates(t *testing.T) {
	dir := t.TempDir()
	d := newDoor(t, dir+"/door")
	p := pool.New(pool.Config{Name: "p", Size: 1, Spares: 1, Surge: pool.NoSurge, Worker: child.Config{Setup: oneHangs.With(dir)}})
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- p.Serve(ctx) }()
	states := func() (all []string) {
		for _, w := range p.Stats().Workers {
			all = append(all, w.State.String())
		}
		slices.Sort(all)
		return all
	}
	is := func(want ...string) {
		t.Helper()
		until(t, fmt.Sprint(want), func() bool { return slices.Equal(states(), want) })
	}
	is("idle", "starting") // one of them hangs
	d.visitor(t)()
	is("idle", "spare")
	open, held := holdOne(t, p)
	is("busy", "spare")
	replaced := make(chan error, 1)
	go func() { replaced <- p.Replace(context.Background()) }()
	until(t, "the busy one leaves", func() bool {
		for _, w := range p.Stats().Workers {
			if w.State == pool.WorkerLeaving && w.Due == pool.ReasonReplaced && w.Load == 1 {
				return true
			}
		}
		return slices.Contains(states(), "busy")
	})
	open()
	if err := errors.Join(<-held, <-replaced); err != nil {
		t.Error(err)
	}
	is("idle", "spare")
	stop()
	<-served
}

// Looking at a pool all the time does no harm: each call is answered, and counted
// once.
func TestStatsUnderLoad(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 8, MinReady: 8, MaxCalls: 50, Worker: child.Config{Concurrency: 2}})
	stop := make(chan struct{})
	var watching sync.WaitGroup
	for range 2 {
		watching.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_ = p.Stats().String()
				}
			}
		})
	}
	var calling sync.WaitGroup
	for range 16 {
		calling.Go(func() {
			for n := range 50 {
				if got, err := double.Call(t.Context(), p, n); err != nil || got != 2*n {
					t.Errorf("%d: %d, %v", n, got, err)
				}
			}
		})
	}
	calling.Wait()
	close(stop)
	watching.Wait()
	if s := p.Stats(); s.Calls != 800 || s.Answered != 800 {
		t.Errorf("%+v", s.Counters)
	}
}
