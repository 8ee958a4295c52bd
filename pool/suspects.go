package pool

import (
	"maps"
	"slices"
	"time"

	"github.com/verdigris-go/verdigris/child"
)

// suspects decides which inputs are refused. It is pure: no goroutine, clock or
// I/O. It is told of deaths and answers, and asked about each call.
//
// An input that has killed a worker is a suspect until the last of its deaths is
// older than the window; with enough of them within the window it is held. So that
// many suspects, by accident or because somebody wants it, can neither fill the
// memory nor push out those that are held, both have a bound of their own; beyond it
// the one that was seen least recently goes.
type suspects struct {
	Quarantine // its numbers are final
	free, held map[identity]*suspect
}

// identity stands for a function and an input, or a function and a user's key.
type identity uint64

// suspect is an input that has killed workers.
type suspect struct {
	id      identity
	charges []charge // those that count still, the oldest first
	last    death
	seen    time.Time
	until   time.Time // held: when it is let in again; else zero
	late    int       // deaths since it is held: of copies that were running already
	refused uint64    // calls, since it is held
}

// charge is a death that an input is held to account for.
type charge struct {
	at     time.Time
	shared bool
}

// death is the end of a worker while it ran an input.
type death struct {
	charge // shared: others ran there too, and nobody knows which of them it was
	call   child.CallInfo
	cause  child.Cause
	text   string // the worker's end in one line
}

func newSuspects(rule Quarantine) suspects {
	return suspects{rule, map[identity]*suspect{}, map[identity]*suspect{}}
}

// died notes that an input has killed a worker. It returns the suspect if it is
// held from now on, and one that had to go for it, if any.
func (t *suspects) died(id identity, d death) (caught, ousted *suspect) {
	if s := t.held[id]; s != nil {
		s.last, s.seen = d, d.at
		s.late++
		return nil, nil
	}
	s := t.free[id]
	if s == nil {
		room(t.free, t.Max)
		s = &suspect{id: id}
		t.free[id] = s
	}
	t.forget(s, d.at)
	s.charges, s.last, s.seen = append(s.charges, d.charge), d, d.at
	if len(s.charges) < t.Deaths {
		return nil, nil
	}
	delete(t.free, id)
	ousted = room(t.held, t.Max)
	s.until = d.at.Add(t.Hold)
	t.held[id] = s
	return s, ousted
}

// forget drops the deaths that are older than the window.
func (t *suspects) forget(s *suspect, now time.Time) {
	s.charges = slices.DeleteFunc(s.charges, func(c charge) bool { return now.Sub(c.at) >= t.Window })
}

// room makes room for one more in a set that may have so many; it returns who had
// to go.
func room(set map[identity]*suspect, most int) *suspect {
	if len(set) < most {
		return nil
	}
	oldest := slices.MinFunc(slices.Collect(maps.Values(set)), func(a, b *suspect) int { return a.seen.Compare(b.seen) })
	delete(set, oldest.id)
	return oldest
}

// served lets an input in again that was held for long enough, and returns it then.
func (t *suspects) served(id identity, now time.Time) *suspect {
	if s := t.held[id]; s != nil && !now.Before(s.until) {
		return t.release(id)
	}
	return nil
}

// asks says whether a call with this input is refused: then it returns whom for.
func (t *suspects) asks(id identity, now time.Time) *suspect {
	if s := t.free[id]; s != nil {
		s.seen = now
	}
	s := t.held[id]
	if s != nil {
		s.seen = now
		s.refused++
	}
	return s
}

// answered notes that a worker has answered a call with this input. So it was most
// likely not this one that killed the workers in which others ran as well.
func (t *suspects) answered(id identity) {
	s := t.free[id]
	if s == nil {
		return
	}
	s.charges = slices.DeleteFunc(s.charges, func(c charge) bool { return c.shared })
	if len(s.charges) == 0 {
		delete(t.free, id)
	}
}

// release lets an input in again, and returns it if it was held.
func (t *suspects) release(id identity) *suspect {
	s := t.held[id]
	delete(t.held, id)
	return s
}

// tick forgets those whose deaths are all too old, and returns those that were held
// for long enough, and are let in again.
func (t *suspects) tick(now time.Time) (over []*suspect) {
	for id, s := range t.free {
		if t.forget(s, now); len(s.charges) == 0 {
			delete(t.free, id)
		}
	}
	for id := range t.held {
		if s := t.served(id, now); s != nil {
			over = append(over, s)
		}
	}
	return over
}

// deaths is how many workers it has killed, as far as that counts.
func (s *suspect) deaths() int { return len(s.charges) + s.late }
