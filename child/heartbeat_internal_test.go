package child

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Each letter is a tick. Before it the worker has given a sign of life (a) or
// not (-), or has been seen at work (w); a capital letter, or =, is a tick that is late by
// more than a period. A dot is a ping, and a comma is none.
// An x is where it is found hung.
func TestHeartbeat(t *testing.T) {
	for _, test := range []struct{ ticks, want string }{
		{"aaaaaaaa", "........"},
		{"----", "...x"},
		{"-a---", "....x"},
		{"---a--a--a", ".........."}, // at the last moment
		{"aaa=aaa", "......."},       // this process stood still, the worker did not
		{"---=-", "....x"},           // a late tick gives it another period
		{"---=a--", "......."},       // and it had deserved that
		{"---==", "....x"},           // but not twice in a row
		{"-=-=-=-", "......x"},       // and those between count
		{"====", "...x"},             // a process that is always late judges in the end
		{"AAAAAAAA", "........"},     // but never a worker that answers
		{"---=a--=a--=-", "............x"},
		{"wwww", ",,,,"},               // who works need not be asked
		{"--w----", "..,...x"},         // and has three periods from when it is asked again
		{"-w--w--a---", ".,..,.....x"}, // also if it was silent before
		{"WWWW", ",,,,"},
	} {
		if got := playTicks(test.ticks); got != test.want {
			t.Errorf("%s: %s, want %s", test.ticks, got, test.want)
		}
	}
}

func playTicks(ticks string) string {
	const period = time.Second
	now := time.Now()
	h := newHeartbeat(period, now)
	heard, worked := uint64(0), uint64(0)
	var got strings.Builder
	for _, tick := range ticks {
		now = now.Add(period)
		if tick == 'A' || tick == 'W' || tick == '=' {
			now = now.Add(period + 1)
		}
		if tick == 'a' || tick == 'A' {
			heard++
		}
		if tick == 'w' || tick == 'W' {
			worked++
		}
		v := h.tick(now, heard, worked)
		got.WriteByte(map[verdict]byte{alive: '.', busy: ',', hung: 'x'}[v])
		if v == hung {
			break
		}
	}
	return got.String()
}

// With its timer, in fake time: a worker that falls silent is found after three
// periods without an answer, however long this process itself stands still
// meanwhile.
func TestPulse(t *testing.T) {
	for _, test := range []struct {
		name        string
		stands      time.Duration // this process stands still for so long, at the tick after the last answer
		from, until time.Duration // when the worker is found hung, counted from the ping that it did not answer
	}{
		{"runs", 0, 3 * time.Second, 3 * time.Second},
		{"is a little late", 1900 * time.Millisecond, 3900 * time.Millisecond, 3900 * time.Millisecond},
		{"stands still for an hour", time.Hour, time.Hour + 3*time.Second, time.Hour + 3*time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPulse(time.Second)
				defer p.stop()
				var silent time.Time
				for {
					<-p.C
					if p.tick(min(p.asked, 9), 0) == hung { // it answers nine times
						break
					}
					if p.asked == 10 {
						silent = time.Now()
						time.Sleep(test.stands)
					}
				}
				if took := time.Since(silent); took < test.from || took > test.until {
					t.Errorf("found after %v", took)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		p := newPulse(NoHeartbeat)
		defer p.stop()
		select {
		case <-p.C:
			t.Error("it beats")
		case <-time.After(24 * time.Hour):
		}
	})
}
