package child

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// What the evidence makes of a death that nobody has ordered.
func TestShortage(t *testing.T) {
	killed := Exit{Cause: Killed, Observed: Observed{Code: -1, Signal: syscall.SIGKILL}}
	failed := Exit{Cause: Exited, Observed: Observed{Code: 3}}
	done := Exit{Cause: Exited}
	fatal := Exit{Cause: OutOfMemory, Observed: Observed{Code: 2}, Detail: "fatal error: runtime: out of memory"}
	said := func(e Exit, stderr string) Exit { e.Reported.Stderr = stderr; return e }
	const mib = 1 << 20
	for name, test := range map[string]struct {
		s      shortage
		e      Exit
		cause  Cause
		detail string
	}{
		"nothing":                      {shortage{}, killed, Killed, ""},
		"own group":                    {shortage{memory: 64 * mib, kills: 1, peak: 65 * mib}, killed, OutOfMemory, "the kernel killed it at its Config.Memory of 64.0 MiB (peak 65.0 MiB)"},
		"own group, without a peak":    {shortage{memory: 64 * mib, kills: 1}, killed, OutOfMemory, "the kernel killed it at its Config.Memory of 64.0 MiB"},
		"own group, another process":   {shortage{memory: 64 * mib, kills: 2}, failed, Exited, "it had been at its Config.Memory of 64.0 MiB; the kernel had killed 2 of its processes"},
		"limit, but another reason":    {shortage{memory: 64 * mib}, killed, Killed, ""},
		"Go gives up":                  {shortage{memory: 64 * mib}, fatal, OutOfMemory, "its runtime got no more memory at its Config.Memory of 64.0 MiB; fatal error: runtime: out of memory"},
		"Go gives up, without a limit": {shortage{}, fatal, OutOfMemory, "fatal error: runtime: out of memory"},
		"cgo gives up":                 {shortage{memory: 64 * mib, byData: true}, said(Exit{Cause: Aborted}, "runtime/cgo: pthread_create failed"), OutOfMemory, "its runtime got no more memory at its Config.Memory of 64.0 MiB"},
		"C gives up, limited by group": {shortage{memory: 64 * mib}, said(failed, "out of memory"), Exited, ""},
		"C says so and ends well":      {shortage{memory: 64 * mib, byData: true}, said(done, "out of memory"), Exited, ""},
		"shared group":                 {shortage{sharedRose: true}, killed, OutOfMemory, "the OOM killer has ended a process of the control group that it shares with its parent, presumably this one"},
		"shared group, other death":    {shortage{sharedRose: true}, failed, Exited, ""},
		"machine":                      {shortage{systemRose: true}, killed, Killed, "the OOM killer has ended a process of this machine, perhaps this one"},
		"tasks":                        {shortage{tasks: 12, refused: 3}, Exit{Cause: Fatal, Detail: "newosproc"}, Fatal, "newosproc; it had met its Config.Tasks of 12, which counts threads too, 3 times"},
		"tasks, other death":           {shortage{tasks: 12, refused: 3}, killed, Killed, ""},
		"tasks, good end":              {shortage{tasks: 12, refused: 3}, done, Exited, ""},
	} {
		if cause, detail := test.s.explain(test.e); cause != test.cause || detail != test.detail {
			t.Errorf("%s: %v, %q", name, cause, detail)
		}
	}
}

// Kills in a group that is shared are told once each, and not of workers that
// die long after.
func TestSharedKillsAreToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kills := uint64(7)
		c := &oomCounter{read: func() (uint64, bool) { return kills, true }}
		blamed := func(want ...bool) {
			t.Helper()
			for i, want := range want {
				if rose, known := c.blame(); rose != want || !known {
					t.Errorf("death %d: %v, %v", i+1, rose, known)
				}
			}
		}
		c.look() // the first worker: what was before is not ours
		blamed(false)
		kills += 2 // two workers at once, a third dies of something else
		c.look()
		blamed(true, true, false)
		kills++ // a stranger; nobody of us dies
		time.Sleep(oomFresh)
		c.look()
		time.Sleep(oomFresh)
		c.look()
		blamed(false)
		kills++ // a tick comes between the kill and its report
		time.Sleep(oomFresh)
		c.look()
		blamed(true, false)
	})
	unknown := &oomCounter{read: func() (uint64, bool) { return 0, false }}
	unknown.look()
	if rose, known := unknown.blame(); rose || known {
		t.Error("a counter that cannot be read has risen")
	}
}

// The watch looks in time, whatever a process does, and seldom when there is room.
func TestWatchLooksInTime(t *testing.T) {
	const gib = 1 << 30
	synctest.Test(t, func(t *testing.T) {
		var looks []time.Duration
		began := time.Now()
		grows := func() int64 { // by 1 GiB/s
			looks = append(looks, time.Since(began))
			return int64(time.Since(began).Seconds() * gib)
		}
		var seen int64
		done := make(chan struct{})
		time.AfterFunc(time.Minute, func() { close(done) })
		watchSize(done, gib, grows, func(used int64) { seen = used })
		if seen <= gib || seen > gib+gib/100 {
			t.Errorf("it was stopped at %d", seen)
		}
		if len(looks) > 20 || !slices.IsSorted(looks) {
			t.Errorf("looked at %v", looks)
		}
	})
	synctest.Test(t, func(*testing.T) { // it ends with the run
		done := make(chan struct{})
		go func() { time.Sleep(time.Minute); close(done) }()
		watchSize(done, gib, func() int64 { return gib }, func(int64) { t.Error("a size at its limit is over it") })
	})
	for room, want := range map[int64]time.Duration{0: 5 * time.Millisecond, gib / 16: 31250 * time.Microsecond, 100 * gib: 500 * time.Millisecond} {
		if got := nextLook(room); got != want {
			t.Errorf("with %d to spare: %v", room, got)
		}
	}
}

func TestWordsOfLimiters(t *testing.T) {
	for l, want := range map[Limiter]string{Unlimited: "no limit", LimitCgroup: "control group", LimitWatch: "RLIMIT_DATA and watch", 9: "Limiter(9)"} {
		if l.String() != want {
			t.Errorf("%d: %v", l, l)
		}
	}
	if s := mib(3 << 19); !strings.HasPrefix(s, "1.5 ") {
		t.Error(s)
	}
}
