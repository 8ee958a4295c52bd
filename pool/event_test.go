package pool

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/tree"
)

// Each event as a record, with its level, and as a line.
func TestLogEvents(t *testing.T) {
	head := Head{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), "p"}
	w := Worker{"w-3", 4711, 2}
	call := child.CallInfo{Func: "decode", Key: "cat.png"}
	crash := &child.CrashError{Worker: "w-3", PID: 4711, Run: 2, Exit: child.Exit{Cause: child.Segfault}}
	gaveUp := &tree.IntensityError{Path: "p", ID: "w-3", Restarts: 6, Limit: 5, Period: time.Second}
	for _, c := range []struct {
		event        Event
		record, line string
	}{
		{
			EventUp{head, w, 1234567 * time.Nanosecond},
			`DEBUG msg="worker is up" pool=p worker=w-3 run=2 pid=4711 took=1.234567ms`,
			"worker w-3 (pid 4711, run 2) is up, after 1ms",
		},
		{
			EventDied{head, crash, true},
			`WARN msg="worker died" pool=p counted=true cause.error="crashed with a segmentation fault" cause.cause="segmentation fault" cause.code=0 cause.worker=w-3 cause.pid=4711 cause.run=2`,
			"worker w-3 (pid 4711, run 2) crashed with a segmentation fault",
		},
		{
			EventStartFailed{head, Worker{"w-3", 0, 2}, &child.StartError{Worker: "w-3", Step: "open", Err: errors.New("no luck")}},
			`WARN msg="worker did not start" pool=p worker=w-3 run=2 cause.error="did not start (open)" cause.worker=w-3 cause.cause="no luck"`,
			"worker w-3 did not start (open): no luck",
		},
		{
			EventRecycled{head, w, ReasonMemory, time.Minute, 99},
			`DEBUG msg="worker recycled" pool=p worker=w-3 run=2 pid=4711 reason=memory age=1m0s calls=99`,
			"worker w-3 (pid 4711, run 2) was recycled (memory), after 99 calls in 1m0s",
		},
		{EventResized{head, 4, 8}, `DEBUG msg="pool resized" pool=p from=4 to=8`, "resized from 4 to 8 workers"},
		{
			EventQuarantined{head, "17", call, 3, head.Time.Add(time.Hour), crash},
			`WARN msg="input is in quarantine" pool=p id=17 call.func=decode call.key=cat.png deaths=3 until=2026-01-02T04:04:05.000Z last="worker w-3 (pid 4711, run 2) crashed with a segmentation fault"`,
			"input 17 of decode [cat.png] is in quarantine until 2026-01-02T04:04:05Z, after 3 deaths",
		},
		{
			EventReleased{head, "17", call, 3, "its time was up"},
			`INFO msg="input is let in again" pool=p id=17 call.func=decode call.key=cat.png refused=3 why="its time was up"`,
			"input 17 of decode [cat.png] is let in again: its time was up",
		},
		{
			EventCondition{head, Ready, Rejecting, "the queue is full", nil},
			`WARN msg="pool is rejecting" pool=p before=ready because="the queue is full"`,
			"rejecting, was ready: the queue is full",
		},
		{EventCondition{head, Rejecting, Ready, "", nil}, `INFO msg="pool is ready" pool=p before=rejecting`, "ready, was rejecting"},
		{
			EventCondition{head, Ready, Flapping, "7 deaths", nil},
			`ERROR msg="pool is flapping" pool=p before=ready because="7 deaths"`, "flapping, was ready: 7 deaths",
		},
		{
			EventCondition{head, Ready, Stopped, "it was stopped", errStopped},
			`INFO msg="pool is stopped" pool=p before=ready because="it was stopped"`, "stopped, was ready: it was stopped",
		},
		{
			EventCondition{head, Ready, Stopped, "gave up", gaveUp},
			`ERROR msg="pool is stopped" pool=p before=ready because="gave up"`, "stopped, was ready: gave up",
		},
		{
			EventMissed{head, 7},
			`WARN msg="events of the pool were dropped: they are not handled fast enough" pool=p dropped=7`, "7 events were dropped",
		},
	} {
		var log bytes.Buffer
		LogEvents(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))(c.event)
		if got, want := log.String(), "time=2026-01-02T03:04:05.000Z level="+c.record+"\n"; got != want {
			t.Errorf("%s\ninstead of\n%s", got, want)
		}
		if got := c.event.String(); got != "pool p: "+c.line {
			t.Errorf("%s\ninstead of\npool p: %s", got, c.line)
		}
		if all := c.event.LogValue().String(); !strings.Contains(all, "event=") || !strings.Contains(all, "pool=p") {
			t.Error(all)
		}
	}
}
