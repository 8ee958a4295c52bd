package child

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/verdigris-go/verdigris/wire"
)

// Whatever a function reports: a report now and then, in order, the latest in the end,
// and nothing after it.
func TestReporterIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent []int64
		r := newReporter(wire.Call{}, func(p wire.ProgressBody) { sent = append(sent, p.Done) })
		ctx := context.WithValue(t.Context(), reporterContext{}, r)
		n := int64(0)
		for range 10_000 { // a second
			n++
			Report(ctx, Progress{Done: n})
			time.Sleep(100 * time.Microsecond)
		}
		synctest.Wait()
		if len(sent) < 19 || len(sent) > 21 {
			t.Errorf("%d reports in a second", len(sent))
		}
		n++
		Report(ctx, Progress{Done: n})
		r.end()
		Report(ctx, Progress{Done: -1})
		time.Sleep(time.Second)
		synctest.Wait()
		if sent[len(sent)-1] != n {
			t.Errorf("the last of %d is %d", n, sent[len(sent)-1])
		}
		for i := 1; i < len(sent); i++ {
			if sent[i] <= sent[i-1] {
				t.Errorf("out of order: %v", sent)
			}
		}
	})
}

// Report does not wait for a parent that does not read. The end does, as the answer
// will, and there is no report after it.
func TestReporterDoesNotWait(t *testing.T) {
	begun, open, ended := make(chan struct{}, 2), make(chan struct{}), make(chan struct{})
	var sent []int64
	r := newReporter(wire.Call{}, func(p wire.ProgressBody) {
		begun <- struct{}{}
		<-open
		sent = append(sent, p.Done)
	})
	r.report(Progress{Done: 1})
	<-begun
	for n := range int64(1000) {
		r.report(Progress{Done: n})
	}
	go func() { defer close(ended); r.end() }()
	select {
	case <-ended:
		t.Error("the end has overtaken a report")
	case <-time.After(2 * reportGap):
	}
	close(open)
	<-ended
	r.report(Progress{Done: -1})
	if len(sent) != 2 || sent[0] != 1 || sent[1] != 999 {
		t.Errorf("%v", sent)
	}
}
