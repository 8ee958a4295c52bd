package pool

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"time"

	"github.com/verdigris-go/verdigris/child"
)

// Quarantine says when an input is refused because it kills workers: when it has
// killed Deaths of them within Window, for as long as Hold says. A call with such an
// input gets a [*QuarantinedError] at once, and no worker ever sees it.
//
// A worker's death counts when it ran the input and it may have been that: a crash, a
// deadline that had passed, a heartbeat that was missed, too much memory; also when
// the caller has left before. A death that somebody wanted does not count: Kill, a
// stop, a cancelled call with child.Config.OnCancel. With Worker.Concurrency above 1
// a death counts for all inputs that ran in the worker, unless it is known which it
// was (a panic, a deadline); but an answer clears an input of the deaths that it shares
// with others.
//
// Copies of an input that run at the same time may all kill. So the deaths are at most
// Deaths + c - 1, where c is how many copies had a worker's place when the last
// of Deaths died, itself included; c is at most Size * (Worker.Concurrency + Ahead).
// Copies in the queue are refused.
//
// While no input is suspect nothing is done and nothing is paid for it. While some
// are, the input of each call is encoded once more and hashed; that of a stream, or of a
// call that shows its progress, always.
type Quarantine struct {
	// Deaths is how many workers an input may kill within Window, 1 to 1000. 0: there
	// is no quarantine.
	Deaths int

	// Window is the time within which Deaths count. 0: 10 minutes.
	Window time.Duration

	// Hold is how long an input is refused; then it may kill Deaths workers anew.
	// 0: an hour.
	Hold time.Duration

	// By says what an input is recognised by.
	By Identity

	// Max is how many inputs may be in quarantine, and how many more may be
	// suspects, 1 to 65536; beyond that the one that was seen least recently is let
	// in again. 0: 1024.
	Max int
}

// Identity is what an input is recognised by.
type Identity uint8

const (
	// ByInput takes the name of the function and the encoded input: 64 bits of a hash
	// that nobody can predict, since its seed is drawn for each pool. That another
	// input is taken for one of 1024 has a chance of 1 to 2^54 for each call.
	ByInput Identity = iota
	// ByUserKey takes the name of the function and the caller's key, see
	// [child.WithKey]. Calls without a key are not watched.
	ByUserKey
)

// String returns the name of the rule.
func (i Identity) String() string {
	switch i {
	case ByInput:
		return "by input"
	case ByUserKey:
		return "by user key"
	}
	return "invalid"
}

func (q Quarantine) withDefaults() Quarantine {
	q.Window = or(q.Window, 10*time.Minute)
	q.Hold = or(q.Hold, time.Hour)
	q.Max = or(q.Max, 1024)
	return q
}

// Suspect is an input that is in quarantine.
type Suspect struct {
	ID      string         // for [Pool.Release]; means nothing to another pool, or after a restart
	Call    child.CallInfo // the call that died last: its function, key and trace
	Deaths  int            // of workers
	First   time.Time      // of the deaths that counted
	Last    time.Time      // of all of them
	Until   time.Time      // when it is let in again
	Refused uint64         // calls since it is in quarantine
	Cause   child.Cause    // of the last death
	Exit    string         // the last death in one line
}

func (s *suspect) facts() Suspect {
	return Suspect{
		ID: s.id.String(), Call: s.last.call, Deaths: s.deaths(), First: s.charges[0].at, Last: s.last.at, Until: s.until,
		Refused: s.refused, Cause: s.last.cause, Exit: s.last.text,
	}
}

func (id identity) String() string { return fmt.Sprintf("%016x", uint64(id)) }

// ErrQuarantined is matched by the error of a call that was refused because of its
// input.
var ErrQuarantined = errors.New("the input is in quarantine")

// QuarantinedError says that a call was refused because its input has killed workers.
// It matches [ErrQuarantined] and child.ErrNotStarted.
type QuarantinedError struct {
	Pool string
	Suspect
}

func (e *QuarantinedError) Error() string {
	return fmt.Sprintf("call %v was refused by pool %s: its input has killed %d workers, the last %s; it is in quarantine until %s, mend it or call Release(%q)",
		e.Call, e.Pool, e.Deaths, e.Exit, e.Until.Format(time.RFC3339), e.ID)
}

// Is matches ErrQuarantined and child.ErrNotStarted.
func (e *QuarantinedError) Is(target error) bool {
	return target == ErrQuarantined || target == child.ErrNotStarted
}

// LogValue carries every fact.
func (e *QuarantinedError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("error", ErrQuarantined.Error()), slog.String("pool", e.Pool), slog.String("id", e.ID),
		slog.Any("call", e.Call), slog.Int("deaths", e.Deaths), slog.Time("first", e.First), slog.Time("last", e.Last), slog.Time("until", e.Until),
		slog.Uint64("refused", e.Refused), slog.String("cause", e.Cause.String()), slog.String("exit", e.Exit))
}

// Quarantined lists the inputs that are in quarantine, those that are let in first
// first.
func (p *Pool) Quarantined() (list []Suspect) {
	if p.warden == nil {
		return nil
	}
	for _, s := range p.warden.heldNow() {
		list = append(list, s.facts())
	}
	return list
}

// Release lets an input in again, by the ID of its [Suspect]. It reports false if there
// is none in quarantine.
func (p *Pool) Release(id string) bool {
	n, err := strconv.ParseUint(id, 16, 64)
	return err == nil && p.warden != nil && p.warden.release(identity(n))
}

// ReleaseAll lets all inputs in again, and returns how many there were in quarantine.
func (p *Pool) ReleaseAll() (n int) {
	for _, s := range p.Quarantined() {
		if p.Release(s.ID) {
			n++
		}
	}
	return n
}

func (q Quarantine) faults(fault func(wrong bool, format string, args ...any)) {
	fault(q.Deaths < 0 || q.Deaths > 1000, "Quarantine.Deaths %d is not in 0..1000", q.Deaths)
	fault(q.Window < 0, "Quarantine.Window %v is negative", q.Window)
	fault(q.Hold < 0, "Quarantine.Hold %v is negative", q.Hold)
	fault(q.By > ByUserKey, "Quarantine.By %v is not one of ByInput, ByUserKey", q.By)
	fault(q.Max < 1 || q.Max > math.MaxUint16+1, "Quarantine.Max %d is not in 1..65536", q.Max)
}
