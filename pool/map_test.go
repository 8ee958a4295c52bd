package pool_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/pool"
)

var (
	errUnlucky = errors.New("unlucky")

	// times10 refuses numbers that end in 3.
	times10 = child.Define("times 10", func(_ context.Context, n int) (int, error) {
		if n%10 == 3 {
			return 0, errUnlucky
		}
		return 10 * n, nil
	})
	_ = child.RegisterError("unlucky", errUnlucky)
)

// scripted is a Caller whose calls do what the test says before they are answered.
type scripted struct {
	*child.Inline
	do    func(ctx context.Context, n int) error
	width func() int
	live  atomic.Int32 // calls that have not returned
	most  atomic.Int32 // of them at once
}

func newScripted(do func(ctx context.Context, n int) error) *scripted {
	return &scripted{
		Inline: child.NewInline(child.Config{Concurrency: 1000}), do: do,
		width: func() int { return 4 },
	}
}

func (s *scripted) Width() int { return s.width() }

func (s *scripted) Do(ctx context.Context, req *child.Request) error {
	now := s.live.Add(1)
	defer s.live.Add(-1)
	for most := s.most.Load(); now > most && !s.most.CompareAndSwap(most, now); most = s.most.Load() {
	}
	n, _ := strconv.Atoi(child.Key(ctx)) // as byNumber has named it
	if err := s.do(ctx, n); err != nil {
		return err
	}
	return s.Inline.Do(ctx, req)
}

// byNumber lets scripted calls know their input.
func byNumber(n any) string { return fmt.Sprint(n) }

// takes is a call that takes so long, unless it is interrupted.
func takes(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func atOnce(context.Context, int) error { return nil }

// upTo counts from 0, and counts how far it has come.
type upTo struct {
	n      int
	pulled atomic.Int32
	ended  atomic.Bool // by itself, or because its yield returned false
}

func (u *upTo) all() iter.Seq[int] {
	return func(yield func(int) bool) {
		defer u.ended.Store(true)
		for i := range u.n {
			u.pulled.Add(1)
			if !yield(i) {
				return
			}
		}
	}
}

func TestMapOrder(t *testing.T) {
	for _, test := range []struct {
		how  pool.MapConfig
		want []int
	}{
		{pool.MapConfig{Width: 3, Key: byNumber}, []int{0, 10, 20}},
		{pool.MapConfig{Width: 3, Key: byNumber, AsCompleted: true}, []int{20, 10, 0}},
		{pool.MapConfig{Width: 2, Key: byNumber, AsCompleted: true}, []int{10, 0, 20}},
		{pool.MapConfig{Width: 3, Window: 1, Key: byNumber, AsCompleted: true}, []int{0, 10, 20}},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := newScripted(func(ctx context.Context, n int) error { return takes(ctx, time.Duration(10-2*n)*time.Second) })
			all := pool.Map(t.Context(), c, times10, (&upTo{n: 3}).all(), test.how)
			for range 2 { // ranging again runs it again
				var got []int
				for out, err := range all {
					if err != nil {
						t.Error(err)
					}
					got = append(got, out)
				}
				if !slices.Equal(got, test.want) {
					t.Errorf("%+v: %v, want %v", test.how, got, test.want)
				}
			}
		})
	}
}

// A million inputs, and a loop that is slower than the calls.
func TestMapIsBounded(t *testing.T) {
	for _, ordered := range []bool{true, false} {
		for _, window := range []int{0, 5, 100} {
			t.Run(fmt.Sprint(ordered, window), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c, inputs := newScripted(func(ctx context.Context, _ int) error { return takes(ctx, time.Millisecond) }), &upTo{n: 1e6}
					limit := window
					if limit == 0 {
						limit = 4 * 4
					}
					yielded := 0
					for range pool.Map(t.Context(), c, times10, inputs.all(), pool.MapConfig{Window: window, AsCompleted: !ordered}) {
						yielded++
						time.Sleep(time.Second)
						synctest.Wait()
						if held := int(inputs.pulled.Load()) - yielded; held != limit {
							t.Fatalf("%d inputs are held, the limit is %d", held, limit)
						}
						if yielded == 50 {
							break
						}
					}
					if most := c.most.Load(); most != 4 {
						t.Errorf("%d calls at once", most)
					}
				})
			})
		}
	}
}

// One slow call holds up those behind it, and no more than the window.
func TestMapHeadOfLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, inputs := newScripted(func(ctx context.Context, n int) error {
			if n == 0 {
				return takes(ctx, time.Hour)
			}
			return nil
		}), &upTo{n: 1000}
		go func() {
			time.Sleep(time.Minute)
			if n := inputs.pulled.Load(); n != 7 {
				t.Errorf("behind the slow call %d were taken", n)
			}
		}()
		began, n := time.Now(), 0
		for range pool.Map(t.Context(), c, times10, inputs.all(), pool.MapConfig{Window: 7, Key: byNumber}) {
			n++
		}
		if n != 1000 || time.Since(began) != time.Hour {
			t.Errorf("%d results in %v", n, time.Since(began))
		}
	})
}

// However the loop is left, nothing goes on behind it.
func TestMapIsLeft(t *testing.T) {
	ways := map[string]func(loop func(body func(out int) bool)){
		"break": func(loop func(func(int) bool)) { loop(func(out int) bool { return out < 50 }) },
		"panic": func(loop func(func(int) bool)) {
			defer func() {
				if v := recover(); v != "enough" {
					panic(v)
				}
			}()
			loop(func(out int) bool {
				if out == 50 {
					panic("enough")
				}
				return true
			})
		},
		"goexit": func(loop func(func(int) bool)) {
			var wg sync.WaitGroup
			wg.Go(func() {
				loop(func(out int) bool {
					if out == 50 {
						runtime.Goexit()
					}
					return true
				})
			})
			wg.Wait()
		},
	}
	for name, way := range ways {
		for _, completed := range []bool{false, true} {
			t.Run(fmt.Sprint(name, completed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var cancelled atomic.Int32
					c, inputs := newScripted(func(ctx context.Context, n int) error {
						if n <= 5 {
							return takes(ctx, time.Duration(n)*time.Second)
						}
						<-ctx.Done()
						cancelled.Add(1)
						time.Sleep(time.Second) // it does not return at once
						return ctx.Err()
					}), &upTo{n: 1000}
					way(func(body func(int) bool) {
						for out, err := range pool.Map(t.Context(), c, times10, inputs.all(), pool.MapConfig{Key: byNumber, AsCompleted: completed}) {
							if err == nil && !body(out) {
								break
							}
						}
					})
					if n := c.live.Load(); n != 0 || cancelled.Load() == 0 || !inputs.ended.Load() {
						t.Errorf("behind the loop: %d calls, %d were cancelled, the sequence has ended: %v", n, cancelled.Load(), inputs.ended.Load())
					}
				})
			})
		}
	}
}

// Each input that was taken has its pair, and the last one tells that it is the last.
func TestMapCutOff(t *testing.T) {
	late := errors.New("too late")
	for _, completed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(90*time.Second, func() { cancel(late) })
			c, inputs := newScripted(func(ctx context.Context, _ int) error { return takes(ctx, time.Minute) }), &upTo{n: 1000}
			var good, cut int
			var last *pool.CutOffError
			for out, err := range pool.Map(ctx, c, times10, inputs.all(), pool.MapConfig{AsCompleted: completed}) {
				failed, _ := errors.AsType[*pool.MapError](err)
				switch {
				case last != nil:
					t.Error("it goes on behind the last pair")
				case err == nil || errors.Is(err, errUnlucky):
					good++
				case failed != nil && errors.Is(err, late) && failed.Input == failed.Index:
					cut++
				case !errors.As(err, &last) || out != 0:
					t.Error(out, err)
				}
			}
			if good != 4 || cut != 4 || last == nil || last.Taken != 8 || int(inputs.pulled.Load()) != 8 {
				t.Errorf("%d results, %d interrupted, %d pulled, at last %v", good, cut, inputs.pulled.Load(), last)
			}
			if !errors.Is(last, late) || !errors.Is(last, context.Canceled) {
				t.Errorf("%v has no cause", last)
			}
			if !inputs.ended.Load() || c.live.Load() != 0 {
				t.Error("something goes on")
			}
		})
	}
}

// What comes in time is not called cut off, what comes late is, also if only the
// sequence knew.
func TestMapCutOffOrNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loop := func(ctx context.Context, inputs iter.Seq[int], body func()) (n int, last error) {
			for _, err := range pool.Map(ctx, newScripted(atOnce), times10, inputs, pool.MapConfig{}) {
				n, last = n+1, err
				body()
			}
			return n, last
		}
		ctx, cancel := context.WithCancel(t.Context())
		all := &upTo{n: 3}
		if n, err := loop(ctx, all.all(), func() {
			synctest.Wait() // everything has come
			cancel()
		}); n != 3 || err != nil {
			t.Errorf("all came: %d, %v", n, err)
		}
		if n, err := loop(ctx, all.all(), func() {}); n != 1 || !errors.Is(err, context.Canceled) || err.(*pool.CutOffError).Taken != 0 {
			t.Errorf("none can come: %d, %v", n, err)
		}
		ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if n, err := loop(ctx, func(yield func(int) bool) {
			if yield(1) {
				<-ctx.Done() // as a sequence does that reads a channel
			}
		}, func() {}); n != 2 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the sequence went along: %d, %v", n, err)
		}
	})
}

// A sequence that waits does not hold up what is done.
func TestMapInputsThatWait(t *testing.T) {
	for _, completed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			jobs := make(chan int)
			inputs := func(yield func(int) bool) {
				for n := range jobs {
					if !yield(n) {
						return
					}
				}
			}
			go func() {
				for n := range 3 {
					jobs <- n
				}
				time.Sleep(time.Hour)
				close(jobs)
			}()
			began, got := time.Now(), 0
			for _, err := range pool.Map(t.Context(), newScripted(atOnce), times10, inputs, pool.MapConfig{AsCompleted: completed}) {
				if err != nil || time.Since(began) > 0 {
					t.Error(err, time.Since(began))
				}
				got++
			}
			if got != 3 || time.Since(began) != time.Hour {
				t.Error(got, time.Since(began))
			}
		})
	}
}

// What goes wrong in other goroutines goes wrong in the loop's.
func TestMapPanics(t *testing.T) {
	bad := func(yield func(int) bool) {
		yield(1)
		panic("the sequence")
	}
	badly := func(yield func(int) bool) {
		for yield(1) {
		}
		panic("the sequence, stopped")
	}
	leaves := func(yield func(int) bool) {
		yield(1)
		runtime.Goexit()
	}
	deaf := func(yield func(int) bool) {
		for i := range 100 {
			yield(i)
		}
	}
	one := slices.Values([]int{1})
	crash := func(context.Context, int) error { panic("the Caller") }
	for _, test := range []struct {
		name   string
		inputs iter.Seq[int]
		do     func(context.Context, int) error
		how    pool.MapConfig
		want   any // nil: Goexit
	}{
		{"sequence", bad, atOnce, pool.MapConfig{}, "the sequence"},
		{"sequence that is stopped", badly, atOnce, pool.MapConfig{}, "the sequence, stopped"},
		{"sequence that exits", leaves, atOnce, pool.MapConfig{}, nil},
		{"sequence that does not hear", deaf, atOnce, pool.MapConfig{Window: 1}, "runtime error: range function continued iteration after function for loop body returned false"},
		{"key", one, atOnce, pool.MapConfig{Key: func(any) string { panic("the key") }}, "the key"},
		{"caller", one, crash, pool.MapConfig{}, "the Caller"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var v any
				returned := false
				c := newScripted(test.do)
				var wg sync.WaitGroup
				wg.Go(func() {
					defer func() { v = recover() }()
					for range pool.Map(t.Context(), c, times10, test.inputs, test.how) {
						if test.name == "sequence that is stopped" || test.name == "sequence that does not hear" {
							break
						}
					}
					returned = true
				})
				wg.Wait()
				if test.want == nil && v != nil || test.want != nil && fmt.Sprint(v) != fmt.Sprint(test.want) || returned {
					t.Errorf("the loop got %v, and returned: %v", v, returned)
				}
				if c.live.Load() != 0 {
					t.Error("a call goes on")
				}
			})
		})
	}
}

// The width follows what the caller can take.
func TestMapFollowsWidth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var width atomic.Int32
		width.Store(2)
		c := newScripted(func(ctx context.Context, _ int) error { return takes(ctx, time.Second) })
		c.width = func() int { return int(width.Load()) }
		began, n := time.Now(), 0
		for range pool.Map(t.Context(), c, times10, (&upTo{n: 40}).all(), pool.MapConfig{}) {
			n++
			if n == 10 {
				width.Store(10)
			}
		}
		if took := time.Since(began); n != 40 || took > 10*time.Second || c.most.Load() != 10 { // 20 s, two at a time
			t.Errorf("%d results in %v, %d at once", n, took, c.most.Load())
		}
	})
}

func TestMapConfig(t *testing.T) {
	c := newScripted(atOnce)
	for _, how := range []pool.MapConfig{{Width: -1}, {Window: -1}} {
		n := 0
		for _, err := range pool.Map(t.Context(), c, times10, (&upTo{n: 3}).all(), how) {
			n++
			if err == nil {
				t.Errorf("%+v works", how)
			}
		}
		if n != 1 {
			t.Errorf("%+v: %d pairs", how, n)
		}
	}
	for range pool.Map(t.Context(), c, times10, (&upTo{}).all(), pool.MapConfig{}) {
		t.Error("a result of nothing")
	}
	var outs int
	for _, err := range pool.Map(t.Context(), callerOnly{c}, times10, (&upTo{n: 3}).all(), pool.MapConfig{}) {
		if err == nil {
			outs++
		}
	}
	if outs != 3 {
		t.Errorf("a Caller that says nothing of its width: %d results", outs)
	}
}

type callerOnly struct{ child.Caller }

// Map against a loop that calls one after the other.
func TestMapIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		inputs := rapid.SliceOfN(rapid.IntRange(0, 99), 0, 40).Draw(t, "inputs")
		how := pool.MapConfig{
			Width: rapid.IntRange(0, 6).Draw(t, "width"), Window: rapid.IntRange(0, 9).Draw(t, "window"),
			AsCompleted: rapid.Bool().Draw(t, "completed"), Key: byNumber,
		}
		stop := rapid.IntRange(1, 50).Draw(t, "stop")
		c := newScripted(func(_ context.Context, n int) error {
			for range n % 7 {
				runtime.Gosched()
			}
			return nil
		})
		want, got := map[string]int{}, map[string]int{}
		n := 0
		for out, err := range pool.Map(context.Background(), c, times10, slices.Values(inputs), how) {
			one, seq := fmt.Sprint(out), ""
			if e, ok := errors.AsType[*pool.MapError](err); ok {
				if !errors.Is(err, errUnlucky) || inputs[e.Index] != e.Input {
					t.Fatalf("input %d is %d: %v", e.Index, inputs[e.Index], err)
				}
				one = fmt.Sprintf("input %d", e.Index)
			}
			if seq = expect(inputs, n); !how.AsCompleted && one != seq {
				t.Fatalf("pair %d is %s, want %s", n, one, seq)
			}
			got[one]++
			if n++; n == stop {
				break
			}
		}
		if n != min(stop, len(inputs)) {
			t.Fatalf("%d pairs of %d, to be stopped at %d", n, len(inputs), stop)
		}
		for i := range inputs {
			want[expect(inputs, i)]++
		}
		for one, times := range got {
			if times > want[one] {
				t.Fatalf("%s came %d times, want %d", one, times, want[one])
			}
		}
		if n == len(inputs) && !maps.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

// expect is what the i-th input should become.
func expect(inputs []int, i int) string {
	if inputs[i]%10 == 3 {
		return fmt.Sprintf("input %d", i)
	}
	return fmt.Sprint(10 * inputs[i])
}
