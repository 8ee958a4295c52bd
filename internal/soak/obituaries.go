//go:build linux

package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/internal/soak/check"
	"github.com/verdigris-go/verdigris/tree"
)

// obituaries counts what workers have died of, as their supervisors saw it. Its
// methods may be called from any goroutine.
type obituaries struct {
	mu    sync.Mutex
	count map[string]int
}

// note takes the events of the whole tree.
func (o *obituaries) note(e tree.Event) {
	crash, ok := errors.AsType[*child.CrashError](e.Err)
	if !ok || e.Kind != tree.EventExited && e.Kind != tree.EventStartFailed && e.Kind != tree.EventStopped {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.count == nil {
		o.count = map[string]int{}
	}
	o.count[causeWord(crash.Exit.Cause)]++
}

// String lists the causes, the most frequent first.
func (o *obituaries) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	words := slices.SortedFunc(maps.Keys(o.count), func(a, b string) int {
		return cmp.Or(o.count[b]-o.count[a], strings.Compare(a, b))
	})
	for i, w := range words {
		words[i] = fmt.Sprint(w, " ", o.count[w])
	}
	return strings.Join(words, ", ")
}

// enough is how often a kind of fault must have happened so that another fault
// cannot have come before it every time.
const enough = 5

// unmet says which kinds of faults have killed nobody in the way they should.
func (o *obituaries) unmet(kinds []*kind, rows []check.Row) (texts []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, k := range kinds {
		i := slices.IndexFunc(rows, func(r check.Row) bool { return r.Kind == k.name && r.Happened >= enough })
		if k.cause == child.Unknown || i < 0 {
			continue
		}
		word := causeWord(k.cause)
		died := o.count[word]
		if k.act != nil && !k.rare { // the call itself was told
			died = rows[i].Causes[word]
		}
		if died == 0 {
			texts = append(texts, fmt.Sprintf("%s has happened %d times, and no worker has died of %q", k.name, rows[i].Happened, word))
		}
	}
	return texts
}
