package check

import (
	"cmp"
	"maps"
	"slices"
)

// judgeBudgets counts, for each pool that sends calls again, how often that was.
func (b *books) judgeBudgets() {
	calls, again := map[string]int{}, map[string]int{}
	for _, c := range b.calls {
		for _, t := range c.tries {
			calls[t.as.Lane]++
			again[t.as.Lane] += max(len(t.begins)-1, 0)
		}
	}
	for _, lane := range slices.Sorted(maps.Keys(b.pools)) {
		p := b.pools[lane]
		if allowed := calls[lane]*p.Budget/1000 + p.Spare; again[lane] > allowed {
			b.faults.mismatch("%s has executed calls again %d times; of %d calls it may %d", lane, again[lane], calls[lane], allowed)
		}
	}
}

// judgeProcesses counts what each process has executed.
func (b *books) judgeProcesses() {
	for _, l := range b.lives {
		if each := b.pools[l.lane].Each; each > 0 && l.begins > each {
			b.faults.mismatch("pid %d of %s has executed %d calls, and may execute %d", l.pid, l.lane, l.begins, each)
		}
	}
}

// judgePoisons counts the workers that each poison has killed.
func (b *books) judgePoisons() {
	for _, n := range slices.Sorted(maps.Keys(b.drank)) {
		if killed, most := b.drank[n], b.doses[n]; killed > most {
			b.faults.mismatch("poison %d has killed %d workers, and may kill %d", n, killed, most)
		}
	}
}

// judgeSteady looks, whenever a worker of a steady lane has left, for another one
// that was there. The last one of all leaves nobody.
func (b *books) judgeSteady() {
	for _, lane := range slices.Sorted(maps.Keys(b.pools)) {
		if b.pools[lane].Steady == 0 {
			continue
		}
		lives := slices.DeleteFunc(slices.Clone(b.lives), func(l life) bool { return l.lane != lane })
		slices.SortFunc(lives, func(x, y life) int { return cmp.Compare(x.left, y.left) })
		for i, l := range lives {
			if l.left > 0 && i < len(lives)-1 && !slices.ContainsFunc(lives, func(o life) bool {
				return o.at < l.left && (o.left == 0 || o.left > l.left)
			}) {
				b.faults.mismatch("%s had no worker when pid %d had left", lane, l.pid)
			}
		}
	}
}

// judgeEditions looks for workers of an edition that was replaced before they were started.
func (b *books) judgeEditions() {
	for _, r := range b.replaced {
		for _, l := range b.lives {
			if l.lane == r.Lane && l.edition < r.Edition && l.at > r.At {
				b.faults.mismatch("%s has started pid %d of edition %d after it was replaced by %d", r.Lane, l.pid, l.edition, r.Edition)
			}
		}
	}
}
