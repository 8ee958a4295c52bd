package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/bench/measure"
	"github.com/verdigris-go/verdigris/child"
)

func TestMain(m *testing.M) {
	playRole()
	child.Init()
	if once.programs = os.Getenv(orderedVariable); once.programs != "" {
		if err := (ordered{conversation{bufio.NewReader(os.Stdin), os.Stdout}}).serve(once); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(0)
	}
	dir, remove, err := findPrograms()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	once.programs = dir
	code := m.Run()
	if err := remove(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if left := children(); len(left) > 0 {
		fmt.Fprintln(os.Stderr, "processes left behind:", left)
		code = 1
	}
	os.Exit(code)
}

// children are the processes, zombies included, whose parent is this one.
func children() (pids []string) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		stat, _ := os.ReadFile(name)
		_, rest, _ := strings.Cut(string(stat), ") ") // after the name: state, parent, ...
		if f := strings.Fields(rest); len(f) > 1 && f[1] == fmt.Sprint(os.Getpid()) {
			pids = append(pids, name+" "+f[0])
		}
	}
	return pids
}

// once is as little of everything as there can be.
var once = effort{
	rounds: 1, turn: measure.Pace{Time: 2 * time.Millisecond, Least: 1}, pauses: 2, starts: 1, deaths: 1, resident: 1, window: 20 * time.Millisecond,
	idlers: 2, workers: 3, children: 20, restarts: 2, storm: 50, depth: 3, other: noBuild{}, peers: true,
}

// eventually waits for something that ends by itself soon.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			buf := make([]byte, 1<<20)
			t.Fatalf("%s\n%s", what, buf[:runtime.Stack(buf, true)])
		}
	}
}

// Every row can be taken, says something in every line, and leaves nothing behind.
func TestEachRow(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: no row was taken, because of -short")
	}
	if _, err := coldStart(); err != nil { // package spawn keeps a goroutine from the first start on
		t.Fatal(err)
	}
	for _, r := range rows {
		t.Run(r.id, func(t *testing.T) {
			goroutines := runtime.NumGoroutine()
			open, err := descriptors()
			if err != nil {
				t.Fatal(err)
			}
			lines, err := taker(takeRow).readAll([]row{r}, once, 0)
			if err != nil {
				t.Fatal(err)
			}
			if len(lines) == 0 {
				t.Error("no lines")
			}
			seen := map[string]bool{}
			for _, l := range lines {
				check(t, r, l)
				if seen[l.Work] {
					t.Errorf("%q twice", l.Work)
				}
				seen[l.Work] = true
			}
			eventually(t, "goroutines are left", func() bool { return runtime.NumGoroutine() <= goroutines })
			eventually(t, "descriptors are left", func() bool { n, err := descriptors(); return err == nil && n <= open })
			if left := children(); len(left) > 0 {
				t.Error("processes are left:", left)
			}
		})
	}
}

// mayBeNothing are values that are good when they are zero, or nearly so.
var mayBeNothing = []string{"answers lost", "CPU of a hundred", "objects a call", "memory of each of 20"}

func check(t *testing.T, r row, l line) {
	t.Helper()
	if l.Verdict == notThere {
		if l.Note == "" || l.Peer != "" && l.Work != "ttrpc, 16 MiB" {
			t.Errorf("%+v is not there, or does not say why", l)
		}
		return
	}
	tiny := slices.ContainsFunc(mayBeNothing, func(s string) bool { return strings.HasPrefix(l.Work, s) })
	if l.Row != r.id || l.Work == "" || !finite(l.Ours) || l.Ours.Median <= 0 && !tiny {
		t.Errorf("%+v", l)
	}
	if l.Baseline != "" && (!finite(l.Base) || !finite(l.Ratio) || !tiny && (l.Base.Median <= 0 || l.Ratio.Median <= 0)) {
		t.Errorf("%+v", l)
	}
	if (l.Target.Sign == "") != (l.Verdict == untargeted) {
		t.Errorf("%+v: a target and no verdict, or the other way round", l)
	}
}

func TestChoose(t *testing.T) {
	all, err := choose(nil)
	if err != nil || len(all) != len(rows) {
		t.Error(len(all), err)
	}
	some, err := choose([]string{"b", "A1"})
	if err != nil || len(some) != 2 || some[0].id != "B" || some[1].id != "A1" {
		t.Error(some, err)
	}
	if _, err := choose([]string{"A1", "Z9"}); err == nil || !strings.Contains(err.Error(), `"Z9"`) || !strings.Contains(err.Error(), "A1 A2 A3") {
		t.Error(err)
	}
}

// A row with a target whose rounds do not agree is taken once more, after the
// others and if there is time, and the second reading counts.
func TestUnsteadyRowIsTakenAgain(t *testing.T) {
	const long = time.Hour
	for _, x := range []struct {
		what     string
		readings [][]float64 // of row X
		target   target
		within   time.Duration
		want     string
	}{
		{"steady", [][]float64{{5, 5, 5}}, atMost(9), long, "XY 5 "},
		{"once unsteady", [][]float64{{1, 1, 2.1}, {5, 5, 5}, {6, 6, 6}}, atMost(9), long, "XYX 5 "},
		{"twice unsteady", [][]float64{{1, 3}, {1, 5}, {6, 6}}, atMost(9), long, "XYX 3 rounds differ"},
		{"without a target", [][]float64{{1, 3}, {5, 5}}, target{}, long, "XY 2 rounds differ"},
		{"late", [][]float64{{1, 3}, {5, 5}}, atMost(9), 0, "XY 2 rounds differ"},
	} {
		var taken strings.Builder
		take := taker(func(r row, _ effort) ([]line, error) {
			n := strings.Count(taken.String(), r.id)
			taken.WriteString(r.id)
			if r.id == "Y" {
				return []line{alone("w", count, []float64{1}, x.target)}, nil
			}
			return []line{alone("w", count, x.readings[n], x.target)}, nil
		})
		lines, err := take.readAll([]row{{id: "X"}, {id: "Y"}}, once, x.within)
		if err != nil || len(lines) != 2 || lines[0].Row != "X" || lines[1].Row != "Y" {
			t.Fatal(lines, err)
		}
		if got := fmt.Sprint(taken.String(), " ", lines[0].Ours.Median, " ", lines[0].Note); got != x.want {
			t.Errorf("%s: %q, not %q", x.what, got, x.want)
		}
	}
	broken := taker(func(row, effort) ([]line, error) { return nil, errors.New("it is broken") })
	if _, err := broken.readAll([]row{{id: "X"}}, once, long); err == nil || err.Error() != "row X: it is broken" {
		t.Error(err)
	}
}

// A harness that is killed leaves no burner behind: roles end with their input.
func TestRolesEndWithTheirInput(t *testing.T) {
	for _, role := range []string{"burn", "idle", "gopipe 16", "floor", "echo"} {
		p, err := startPartner(self(strings.Fields(role)...))
		if err != nil {
			t.Fatal(err)
		}
		p.in.Close()
		end := make(chan error, 1)
		go func() { end <- p.cmd.Wait() }()
		select {
		case err := <-end:
			if err != nil {
				t.Error(role, err)
			}
		case <-time.After(10 * time.Second):
			t.Error(role, "goes on without input")
			p.end()
			<-end
		}
	}
}

// The processor time is that of other processes too, and of all their threads.
func TestProcessorTime(t *testing.T) {
	b, err := once.burners(1)
	if err != nil {
		t.Fatal(err)
	}
	defer b.end() // also if it has not come to the end below
	alone, err := measure.ProcessorTime()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "a burner takes no time", func() bool {
		both, err := measure.ProcessorTime(b.pids()...)
		now, err2 := measure.ProcessorTime()
		return errors.Join(err, err2) == nil && both-now > 20*time.Millisecond && now >= alone
	})
	b.end()
	if _, err := measure.ProcessorTime(b.pids()...); err == nil {
		t.Error("the time of a process that does not exist")
	}
}

func TestPinIsTakenBack(t *testing.T) {
	done := make(chan error)
	go func() { // a thread of its own, given up at the end
		runtime.LockOSThread()
		done <- errors.Join(pin(lastCore()), pinned(1), pin(free), pinned(allowed.Count()))
	}()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func pinned(want int) error {
	text, err := measure.Field("/proc/thread-self/status", "Threads:", 1) // it is there
	if err != nil || text < 1 {
		return err
	}
	status, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(string(status), "Cpus_allowed:")
	mask, _, _ := strings.Cut(rest, "\n")
	ones := 0
	for _, c := range strings.TrimSpace(mask) {
		for bits := strings.IndexRune("0123456789abcdef", c); bits > 0; bits >>= 1 {
			ones += bits & 1
		}
	}
	if ones != want {
		return fmt.Errorf("the thread may use %d cores, not %d (%s)", ones, want, strings.TrimSpace(mask))
	}
	return nil
}

func TestSwitchOn(t *testing.T) {
	var with struct{ LowLatency bool }
	var other struct{ LowLatency int }
	if !switchOn(&with, "LowLatency") || !with.LowLatency {
		t.Error("a switch that is there was not set")
	}
	if switchOn(&other, "LowLatency") || switchOn(&struct{}{}, "LowLatency") {
		t.Error("a switch that is not there was set")
	}
}

// The worker's end of a profile is written too.
func TestProfile(t *testing.T) {
	base := filepath.Join(t.TempDir(), "p")
	s := scenes()[0]
	if err := s.profile(base, 10*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	for _, end := range []string{"-parent", "-worker"} {
		if info, err := os.Stat(base + end); err != nil || info.Size() == 0 {
			t.Error(end, info, err)
		}
	}
	if err := profileAll(filepath.Join(base+"-parent", "x"), rows); err == nil {
		t.Error("a file was taken for a folder")
	}
}

// A wrong answer, or one that a dead worker gives, is no reading.
func TestWrongAnswersAreErrors(t *testing.T) {
	wrong := replaced{}
	ctx := context.Background()
	if echoes(small)(ctx, wrong) == nil || mirrors(ctx, wrong) == nil {
		t.Error("an answer that is not what was sent was taken")
	}
	v := &victim{lane: &lane{Caller: child.NewInline(quiet())}}
	if _, err := v.next(ctx, os.Getpid(), measure.Monotonic()); err == nil {
		t.Error("an answer of the dead worker was taken")
	}
}

// replaced answers everything with the zero value.
type replaced struct{}

func (replaced) Do(context.Context, *child.Request) error { return nil }
