//go:build linux

package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/internal/ring"
	"github.com/verdigris-go/verdigris/internal/soak/check"
	"github.com/verdigris-go/verdigris/internal/soak/ledger"
)

// options are what the user has asked for.
type options struct {
	calls, faults, workers, callers int
	seed                            uint64
	kinds                           string // patterns of path.Match; "" for all
	keep, verbose                   bool
	pipes                           bool // calls travel by pipes, also where there could be shared memory
}

// soak is one that runs. What is not atomic is set before it begins.
type soak struct {
	opts     options
	seed     uint64
	dir      string
	nonce    string // NAME=value in every worker's environment
	plan     *plan
	book     ledger.File
	happened ledger.Happened
	lanes    *lanes
	strikes  chan *strike
	ordering sync.Mutex // held by a strike that stands in the way of others like it
	stderr   io.Writer
	began    time.Time
	left     []string // of calls in the pools, when all have ended

	callers    sync.Map       // the *call that is being made, by its number
	open       []atomic.Int64 // when each caller began its call, in nanoseconds since began; 0: it has none
	next       atomic.Int64   // call
	moved      atomic.Int64   // outcomes, strikes, steps of the end
	complaints atomic.Int64
	slowest    struct {
		sync.Mutex
		count int // attempts that were slow
		took  time.Duration
		text  string
	}
}

// The folders below the soak's own that have to be empty at its end.
const (
	tmpDir    = "tmp"
	cwdDir    = "cwd"
	ordersDir = "orders"
)

// run runs a soak and reports whether all is well.
func run(o options, stdout, stderr io.Writer) (good bool, err error) {
	if o.workers < 2 || o.callers < 1 || o.calls < 1 {
		return false, fmt.Errorf("%d workers, %d callers, %d calls: at least 2, 1 and 1 are needed", o.workers, o.callers, o.calls)
	}
	ring.SwitchOff(o.pipes)
	kinds := slices.DeleteFunc(allKinds(), func(k *kind) bool {
		return k.piped && !o.pipes || !slices.ContainsFunc(strings.Split(cmp.Or(o.kinds, "*"), ","), func(pattern string) bool {
			fits, err := path.Match(pattern, k.name)
			return err == nil && fits
		})
	})
	if len(kinds) == 0 {
		return false, fmt.Errorf("no kind of fault is called %q", o.kinds)
	}
	p, err := newPlan(o.seed, o.calls, o.faults, kinds)
	if err != nil {
		return false, err
	}
	s, err := prepare(o, p, stderr)
	if err != nil {
		return false, err
	}
	fmt.Fprintf(stdout, "soak: calls=%d faults=%d workers=%d callers=%d seed=%d kinds=%d plan=%016x\n",
		o.calls, o.faults, o.workers, o.callers, o.seed, len(kinds), p.digest)
	good, err = s.run(stdout)
	if good && err == nil && !o.keep {
		return true, os.RemoveAll(s.dir)
	}
	fmt.Fprintln(stderr, "soak: the ledgers are in", s.dir)
	return good, err
}

// prepare makes the folders and the ledgers.
func prepare(o options, p *plan, stderr io.Writer) (s *soak, err error) {
	s = &soak{opts: o, seed: o.seed, plan: p, stderr: stderr, began: time.Now(), open: make([]atomic.Int64, o.callers), strikes: make(chan *strike, o.faults)}
	if s.dir, err = os.MkdirTemp("", "verdigris-soak-"); err != nil {
		return nil, err
	}
	for _, name := range []string{tmpDir, cwdDir, ordersDir} {
		if err := os.Mkdir(filepath.Join(s.dir, name), 0o700); err != nil {
			return nil, err
		}
	}
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	s.nonce = "SOAK_NONCE=" + hex.EncodeToString(random[:])
	if s.lanes, err = newLanes(s.dir, s.nonce, o.workers); err != nil {
		return nil, err
	}
	return s, p.write(s.dir)
}

// run is the soak itself.
func (s *soak) run(stdout io.Writer) (good bool, err error) {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil { // or every crash leaves a file
		return false, err
	}
	if _, err := child.Once(context.Background(), child.Config{}, nothing, true); err != nil { // what is made once is there now
		return false, err
	}
	ground := check.NewGround(s.nonce, filepath.Join(s.dir, tmpDir), filepath.Join(s.dir, cwdDir), filepath.Join(s.dir, ordersDir))
	heap := liveHeap()
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { s.watch(done) })
	err = s.load(stdout)
	close(done)
	watching.Wait()
	if err != nil {
		return false, err
	}
	worked := time.Since(s.began)
	fmt.Fprintf(stdout, "soak: the parent's heap: %d KiB at the beginning, %d KiB at the end\n", heap>>10, liveHeap()>>10)
	leaks := append(ground.Leaks(10*time.Second), s.left...)
	verdict, err := check.Ledgers(s.dir, s.opts.calls)
	if err != nil {
		return false, err
	}
	s.tell(stdout, verdict, leaks, worked)
	s.sweep()
	return verdict.Good() && len(leaks) == 0 && s.complaints.Load() == 0, nil
}

// liveHeap is what the garbage collector leaves, in bytes.
func liveHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// load starts the workers, has all calls made and all faults happen, and stops
// the workers.
func (s *soak) load(stdout io.Writer) (err error) {
	if s.book, err = ledger.Create(filepath.Join(s.dir, "parent")); err != nil {
		return err
	}
	defer s.book.Close()
	if s.happened, err = ledger.OpenHappened(filepath.Join(s.dir, "happened")); err != nil {
		return err
	}
	defer s.happened.Close()
	b, err := openBoard(s)
	if err != nil {
		return err
	}
	defer b.close()
	s.lanes.promise(s)
	ctx := context.Background()
	if err := s.lanes.root.Start(ctx); err != nil {
		return err
	}
	if err := s.lanes.root.WaitReady(ctx); err != nil {
		return err
	}
	for _, l := range s.lanes.all {
		held := l.stats()[0].Enforced
		fmt.Fprintf(stdout, "soak: %s: %v %s\n", l.name, held.Kill, held.KillWhy)
	}
	var callers, strikers sync.WaitGroup
	for range 4 {
		strikers.Go(s.striker)
	}
	for n := range s.open {
		callers.Go(func() { s.caller(&s.open[n]) })
	}
	callers.Wait()
	close(s.strikes)
	strikers.Wait()
	s.moved.Add(1)
	s.left = s.lanes.left(10*time.Second, (*lane).unrest)
	s.moved.Add(1)
	err = s.lanes.root.Stop(ctx)
	s.left = append(s.left, s.lanes.left(0, (*lane).load)...)
	s.lanes.audit(s)
	return err
}

// caller makes calls until there are enough.
func (s *soak) caller(open *atomic.Int64) {
	defer open.Store(0)
	for {
		n := s.next.Add(1) - 1
		if n >= int64(s.opts.calls) {
			return
		}
		open.Store(int64(time.Since(s.began)))
		s.call(int(n))
	}
}

// write writes a line into the parent's ledger.
func (s *soak) write(l ledger.Line) {
	if err := s.book.Write(l); err != nil {
		s.complain("the ledger: %v", err)
	}
}

// complain tells that the soak itself does not work, or an error that nobody expects.
func (s *soak) complain(format string, args ...any) {
	if s.complaints.Add(1) <= 20 {
		fmt.Fprintf(s.stderr, "soak: "+format+"\n", args...)
	}
}

// tell prints the table, what is wrong, and the last line.
func (s *soak) tell(w io.Writer, v *check.Verdict, leaks []string, worked time.Duration) {
	v.Table(w)
	for _, text := range v.Faulty {
		fmt.Fprintln(s.stderr, "soak:", text)
	}
	for _, kind := range v.Missing {
		fmt.Fprintln(s.stderr, "soak: planned and not happened:", kind)
	}
	for _, text := range s.lanes.dead.unmet(allKinds(), v.Rows) {
		s.complain("%s", text)
	}
	goroutines := false
	for _, leak := range leaks {
		fmt.Fprintln(s.stderr, "soak: left behind:", leak)
		goroutines = goroutines || leak == check.Goroutine
	}
	if goroutines {
		buf := make([]byte, 4<<20)
		fmt.Fprintf(s.stderr, "%s\n", buf[:runtime.Stack(buf, true)])
	}
	rate := float64(v.Calls) / worked.Seconds()
	fmt.Fprintf(w, "soak: %v, %.0f calls and %.0f faults a second, %d log records\n",
		worked.Round(100*time.Millisecond), rate, float64(v.Faults)/worked.Seconds(), s.lanes.logs.records.Load())
	if s.slowest.count > 0 {
		fmt.Fprintf(w, "soak: %d attempts took more than %v; the longest: %s\n", s.slowest.count, slow, s.slowest.text)
	}
	fmt.Fprintln(w, "soak: workers died of:", &s.lanes.dead)
	fmt.Fprintln(w, v.Line(len(leaks)))
}
