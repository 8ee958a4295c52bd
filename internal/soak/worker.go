//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/internal/soak/ledger"
)

// home is what a worker is told when it starts.
type home struct {
	Dir     string // of the ledgers
	Lane    string
	Width   int // how many calls it runs at once
	Edition int // of the lane's workers: pools are told to replace them
}

// pid is this process's number as the parent sees it: /proc is the parent's
// also where the worker has a PID namespace of its own.
func pid() (int, error) {
	self, err := os.Readlink("/proc/self")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(self)
}

// life is one life of a worker: its ledger.
type life struct {
	home     home
	book     ledger.File
	happened ledger.Happened

	mu   sync.Mutex
	kept [][]byte // memory that calls leave behind
}

// job is the input of a call.
type job struct {
	Call, Nth int
	Token     uint64
	Kind      string        // the fault to make, "" for none
	Fault     int           // its index
	Random    uint64        // to draw from, where a fault is made at random
	Linger    time.Duration // how long the call takes
	Load      []byte        // what Token fills
	Want      int           // bytes of the answer
	Drowsy    bool          // the caller is slow at taking the answer
	Always    bool          // every execution makes the fault
	Reports   int           // of progress
	Keep      int           // bytes that the worker keeps when the call has ended
	Back      bool          // the worker has the parent make a call meanwhile

	// Of a stream.
	Items, Size int           // how many results, and their bytes
	Pace        time.Duration // how long each takes
	At          int           // the fault is made before this one
}

var (
	workers = child.DefineState("soak", openLife, (*life).close)
	work    = child.DefineOn(workers, "soak.work", (*life).work)
	flow    = child.DefineStreamOn(workers, "soak.flow", (*life).flow)
	poison  = child.DefineOn(workers, "soak.poison", (*life).drink)
	nothing = child.Define("soak.nothing", func(context.Context, bool) (bool, error) { return true, nil })
)

// openLife begins a worker's ledger, unless the parent wants the start to fail.
func openLife(ctx context.Context, h home) (*life, error) {
	happened, err := ledger.OpenHappened(filepath.Join(h.Dir, "happened"))
	if err != nil {
		return nil, err
	}
	if err := obey(ctx, h, happened); err != nil {
		return nil, err
	}
	self, err := pid()
	if err != nil {
		return nil, err
	}
	book, err := ledger.Create(filepath.Join(h.Dir, fmt.Sprintf("worker-%d-%d", self, time.Now().UnixNano())))
	if err != nil {
		return nil, err
	}
	return &life{home: h, book: book, happened: happened}, book.Write(ledger.Line{
		Event: ledger.Run, PID: self, Width: h.Width, Lane: h.Lane, Edition: h.Edition, At: int(time.Now().UnixNano()),
	})
}

// close ends the ledger of a worker that ends in good order.
func (l *life) close() error {
	return l.book.Write(ledger.Line{Event: ledger.Left, At: int(time.Now().UnixNano())})
}

// execution is a call that carries a fault, seen by the worker that runs it.
type execution struct {
	*life
	ctx      context.Context
	job      job
	result   result
	err      error
	finished sync.Once
}

// answers notes that the call has been executed. Faults that come after that call
// it themselves.
func (x *execution) answers() {
	x.finished.Do(func() {
		x.note(ledger.Line{Event: ledger.Finish, Attempt: x.attempt()})
	})
}

func (x *execution) attempt() ledger.Attempt { return ledger.Attempt{Call: x.job.Call, Nth: x.job.Nth} }

var errDamaged = errors.New(refusal + "the input is not the caller's")

// refusal begins the text of every error that the workers return.
const refusal = "soak: "

// work is the function that is called.
func (l *life) work(ctx context.Context, j job) (result, error) {
	x, damage := l.begin(ctx, j)
	defer x.answers() // also when it panics; a worker that dies otherwise does not get there
	if damage != nil {
		return result{}, damage
	}
	x.result = result{token: x.token().Answer(), load: make([]byte, j.Want), drowsy: j.Drowsy}
	x.result.token.Fill(x.result.load)
	time.Sleep(j.Linger)
	if j.Back {
		x.err = x.callBack()
	}
	x.fault()
	return x.result, x.failure()
}

// flow is the stream that is called.
func (l *life) flow(ctx context.Context, j job) iter.Seq2[item, error] {
	return func(yield func(item, error) bool) {
		x, damage := l.begin(ctx, j)
		defer x.answers()
		if damage != nil {
			yield(item{}, damage)
			return
		}
		for n := range j.Items {
			time.Sleep(j.Pace)
			if n == j.At {
				x.fault()
			}
			if x.err != nil {
				break
			}
			if !yield(newItem(x.token(), n, j.Size), nil) {
				return
			}
			x.note(ledger.Line{Event: ledger.Passed, Attempt: x.attempt(), Index: n})
		}
		if j.At >= j.Items {
			x.fault()
		}
		if x.err != nil {
			yield(item{}, x.failure())
		}
	}
}

// begin begins an execution, and reports it as damaged when the input is not the caller's.
func (l *life) begin(ctx context.Context, j job) (x *execution, damage error) {
	x = &execution{life: l, ctx: ctx, job: j}
	x.note(ledger.Line{Event: ledger.Begin, Attempt: x.attempt(), Token: x.token()})
	if !x.token().Owns(j.Load) {
		return x, errDamaged
	}
	for n := range j.Reports {
		child.Report(ctx, child.Progress{Done: int64(n) + 1, Total: int64(j.Reports), Note: x.token().Answer().String()})
	}
	if j.Keep > 0 {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.kept = append(l.kept, bytes.Repeat([]byte{1}, j.Keep))
	}
	return x, nil
}

// fault makes the fault that the call carries, once. A call that is wrongly run
// again is found out, not made worse.
func (x *execution) fault() {
	if x.job.Kind == "" || !x.job.Always && x.happened.Get(x.job.Fault) {
		return
	}
	if err := x.happened.Set(x.job.Fault); err != nil {
		x.giveUp(err)
	}
	actOf(x.job.Kind)(x)
}

// failure is the error that the function returns, if it has one: what it needs may
// be another fault's at the moment.
func (x *execution) failure() error {
	if x.err == nil {
		return nil
	}
	return fmt.Errorf(refusal+"%w", x.err)
}

func (x *execution) token() ledger.Token { return ledger.Token(x.job.Token) }

// note writes a line. A worker that cannot write its ledger must not go on.
func (l *life) note(line ledger.Line) {
	if err := l.book.Write(line); err != nil {
		l.giveUp(err)
	}
}

func (l *life) giveUp(err error) {
	fmt.Fprintln(os.Stderr, "soak: the ledger cannot be written:", err)
	os.Exit(9)
}

// result is the output of a call: a token, and bytes that belong to it.
type result struct {
	token  ledger.Token
	load   []byte
	drowsy bool
	dies   func() // while it is encoded
}

// MarshalBinary encodes the result, or dies.
func (r result) MarshalBinary() ([]byte, error) {
	if r.dies != nil {
		r.dies()
	}
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 9+len(r.load)), uint64(r.token))
	return append(append(b, map[bool]byte{true: 1}[r.drowsy]), r.load...), nil
}

// UnmarshalBinary decodes a result, and takes its time when it is asked to. A
// result whose bytes belong to another token keeps no token.
func (r *result) UnmarshalBinary(b []byte) error {
	if len(b) < 9 {
		return errors.New("the result is cut off")
	}
	r.token = ledger.Token(binary.BigEndian.Uint64(b))
	if b[8] == 1 {
		time.Sleep(20 * time.Millisecond)
	}
	if r.load = b[9:]; !r.token.Owns(r.load) {
		r.token = 0
	}
	return nil
}

// item is a result of a stream: which, its token, and bytes that belong to it.
type item struct {
	index int
	token ledger.Token
	load  []byte
}

func newItem(of ledger.Token, index, size int) item {
	it := item{index, of.Item(index), make([]byte, size)}
	it.token.Fill(it.load)
	return it
}

// MarshalBinary encodes the item.
func (it item) MarshalBinary() ([]byte, error) {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 16+len(it.load)), uint64(it.index))
	return append(binary.BigEndian.AppendUint64(b, uint64(it.token)), it.load...), nil
}

// UnmarshalBinary decodes an item. One whose bytes belong to another token keeps no token.
func (it *item) UnmarshalBinary(b []byte) error {
	if len(b) < 16 {
		return errors.New("the item is cut off")
	}
	it.index, it.token, it.load = int(binary.BigEndian.Uint64(b)), ledger.Token(binary.BigEndian.Uint64(b[8:])), b[16:]
	if !it.token.Owns(it.load) {
		it.token = 0
	}
	return nil
}

// An order is a file that the parent leaves for the next worker of a lane
// which starts: the index of a fault, and what to do.
func orderFor(dir, lane string) string { return filepath.Join(dir, "orders", lane) }

// giveOrder leaves an order; the file appears with its whole text.
func giveOrder(dir, lane string, fault int, what string) error {
	draft := filepath.Join(dir, "orders", fmt.Sprint(".", fault))
	if err := os.WriteFile(draft, fmt.Appendf(nil, "%d %s", fault, what), 0o600); err != nil {
		return err
	}
	return os.Rename(draft, orderFor(dir, lane))
}

// obey looks for an order, and follows it. Of several workers that find it, the
// one that can remove it has it.
func obey(ctx context.Context, h home, happened ledger.Happened) error {
	path := orderFor(h.Dir, h.Lane)
	text, err := os.ReadFile(path)
	if err != nil || os.Remove(path) != nil {
		return nil
	}
	var fault int
	var what string
	if _, err := fmt.Sscan(string(text), &fault, &what); err != nil {
		return fmt.Errorf("the order %q: %w", text, err)
	}
	if err := happened.Set(fault); err != nil {
		return err
	}
	return startFaults[strings.TrimSpace(what)](ctx)
}
