package strategy

import "time"

// Strategy says which children are restarted together. The zero value is OneForOne, OTP's default.
type Strategy uint8

// The strategies of OTP. Children are always started in the order of the list and stopped in reverse order.
const (
	// OneForOne restarts only the child that ended.
	OneForOne Strategy = iota
	// OneForAll stops all children and starts all of them again.
	OneForAll
	// RestForOne stops the children after the one that ended, then starts it and them again.
	RestForOne
)

// Valid reports whether s is one of the strategies above.
func (s Strategy) Valid() bool { return s <= RestForOne }

// String returns OTP's name of the strategy.
func (s Strategy) String() string {
	return name(uint8(s), "one_for_one", "one_for_all", "rest_for_one")
}

// Restart says when a child that ended by itself is started again. The zero value is Permanent.
type Restart uint8

// The restart types of OTP.
const (
	// Permanent children are always restarted, also after a normal end.
	Permanent Restart = iota
	// Transient children are restarted only when they failed.
	Transient
	// Temporary children are never restarted, and forgotten as soon as they have ended.
	Temporary
)

// Valid reports whether r is one of the restart types above.
func (r Restart) Valid() bool { return r <= Temporary }

// String returns OTP's name of the restart type.
func (r Restart) String() string { return name(uint8(r), "permanent", "transient", "temporary") }

// AutoShutdown says whether a supervisor ends itself because of its significant children. The zero value is Never.
type AutoShutdown uint8

// The kinds of automatic shutdown of OTP.
const (
	// Never ends a supervisor because of a child's end; significant children are then not allowed.
	Never AutoShutdown = iota
	// AnySignificant ends it when any significant child has ended by itself and is not restarted.
	AnySignificant
	// AllSignificant ends it when the last significant child has.
	AllSignificant
)

// Valid reports whether a is one of the kinds above.
func (a AutoShutdown) Valid() bool { return a <= AllSignificant }

// String returns OTP's name of the kind.
func (a AutoShutdown) String() string {
	return name(uint8(a), "never", "any_significant", "all_significant")
}

func name(i uint8, names ...string) string {
	if int(i) < len(names) {
		return names[i]
	}
	return "invalid"
}

// NoRestarts as Intensity.Restarts allows no restart at all: OTP's intensity 0. (Zero is the default, 1.)
const NoRestarts = -1

// Intensity is the restart budget of a supervisor: more than Restarts restarts within Period, and it gives up.
// Both ends of the period count. The zero value is OTP's default, 1 restart in 5 seconds.
type Intensity struct {
	Restarts int           // how many are allowed; 0: one; NoRestarts: none
	Period   time.Duration // the length of the sliding window; 0: 5 s
}

// Valid reports whether both values are in range.
func (i Intensity) Valid() bool { return i.Restarts >= NoRestarts && i.Period >= 0 }

// Limits returns the two numbers with the defaults filled in: restarts is 0 for NoRestarts.
func (i Intensity) Limits() (restarts int, period time.Duration) {
	restarts, period = i.Restarts, i.Period
	if period == 0 {
		period = 5 * time.Second
	}
	switch restarts {
	case 0:
		restarts = 1
	case NoRestarts:
		restarts = 0
	}
	return restarts, period
}

// Backoff delays the restarts of one child: the n-th in a row waits at most Initial*2^(n-1), and never more than Max.
// The zero value does not delay, as in OTP. How long it really waits below that bound (the jitter) is the caller's choice.
type Backoff struct {
	Initial time.Duration // bound of the first delay; 0: no backoff at all
	Max     time.Duration // the highest bound; 0: 100 times Initial
	Reset   time.Duration // a run of this length was healthy, and the counting begins anew; 0: Max
}

// Valid reports whether no value is negative and Max is not below Initial.
func (b Backoff) Valid() bool {
	return b.Initial >= 0 && b.Max >= 0 && b.Reset >= 0 && (b.Max == 0 || b.Max >= b.Initial)
}

// Bound returns the longest delay before the given attempt, counted from 1.
func (b Backoff) Bound(attempt int) time.Duration {
	limit, d := b.max(), b.Initial
	for ; attempt > 1 && d < limit; attempt-- {
		d *= 2
	}
	return min(d, limit)
}

func (b Backoff) max() time.Duration {
	if b.Max == 0 {
		return 100 * b.Initial
	}
	return b.Max
}

func (b Backoff) healthy(ran time.Duration) bool {
	if b.Reset == 0 {
		return ran >= b.max()
	}
	return ran >= b.Reset
}

// Spec describes a supervisor as far as decisions go.
type Spec struct {
	Strategy     Strategy
	Intensity    Intensity
	AutoShutdown AutoShutdown
	// Dynamic makes it OTP's simple_one_for_one: children are only added by StartChild, forgotten when they are
	// not restarted, and stopped all at the same time. Strategy must be OneForOne.
	Dynamic bool
	// MaxChildren limits a dynamic supervisor, as in Elixir's DynamicSupervisor. 0: no limit.
	MaxChildren int
}

// Child describes a child as far as decisions go. ID must be unique among the children known at the same time.
type Child struct {
	ID          string
	Restart     Restart
	Significant bool
	Backoff     Backoff
	// Ref is whatever the caller wants to find again in the actions about this child, so that it need not look it up.
	Ref any
	// Record, if not nil, is the memory for what the State remembers of the child. It must be new.
	Record *Record
}

// Record is what a State remembers of a child. A caller with very many children can keep it in one piece with what it
// remembers itself. In an event it finds the child faster than the ID does.
type Record struct{ child child }
