package check_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/verdigris-go/verdigris/internal/soak/check"
	"github.com/verdigris-go/verdigris/internal/soak/ledger"
)

// A good soak of three calls: an answer, a crash that was tried again, and a
// call that was first not started. The letters are tokens, see write.
const (
	goodPlan   = "fault 0 1 c-abort"
	goodParent = `
sent 0 1 <0> w 1 call 0 0 once
settled 0 1 ok
got 0 1 ok <=0>
end 0 1 ok
sent 1 1 <1> w 1 call 0 0 once
settled 1 1 crash
got 1 1 crash 0 abort w/1 100 1
sent 1 2 <1'> w 1 call 0 0 once
settled 1 2 ok
got 1 2 ok <=1'>
end 1 2 ok
sent 2 1 <2> w 1 call 0 0 once
settled 2 1 notstarted
got 2 1 notstarted 0
sent 2 2 <2'> w 1 call 0 0 once
settled 2 2 ok
got 2 2 refused 0
end 2 2 refused`
	goodFirst = `
run 100 1 w 0 1000
begin 0 1 <0>
finish 0 1
begin 1 1 <1>`
	goodSecond = `
run 101 1 w 0 2000
begin 1 2 <1'>
finish 1 2
begin 2 2 <2'>
finish 2 2`
)

// books are the files of a soak.
type books struct {
	plan, happened, parent string
	workers                []string
}

func good() books { return books{goodPlan, "1", goodParent, []string{goodFirst, goodSecond}} }

// tokens replaces <1'> by the token of call 1's second attempt, and <=1'> by its answer.
func tokens(s string) string {
	for call := range 4 {
		for nth := 1; nth < 3; nth++ {
			token := ledger.TokenOf(1, ledger.Attempt{Call: call, Nth: nth})
			name := fmt.Sprint(call) + strings.Repeat("'", nth-1)
			pairs := []string{"<" + name + ">", token.String(), "<=" + name + ">", token.Answer().String()}
			for index := range 4 {
				pairs = append(pairs, fmt.Sprintf("<%s:%d>", name, index), token.Item(index).String())
			}
			s = strings.NewReplacer(pairs...).Replace(s)
		}
	}
	return s
}

// judge writes the files and has them checked. A worker's text without an
// end is a line that was cut off.
func (b books) judge(t *testing.T) *check.Verdict {
	t.Helper()
	dir := t.TempDir()
	put := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.TrimLeft(tokens(text), "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("plan", b.plan+"\n")
	put("parent", b.parent+"\n")
	put("happened", b.happened)
	for i, w := range b.workers {
		put(fmt.Sprint("worker-", i), w+"\n")
	}
	v, err := check.Ledgers(dir, 3)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestGoodLedgers(t *testing.T) {
	v := good().judge(t)
	if !v.Good() {
		t.Errorf("%+v", v)
	}
	if line := v.Line(0); line != "soak: calls=3 answered=3 mismatched=0 lost=0 duplicated=0 faults=1 leaked=0" {
		t.Error(line)
	}
	var table strings.Builder
	v.Table(&table)
	if want := "c-abort                       1        1 |        1        0        0        1        0        0        1 | abort 1\n"; !strings.Contains(table.String(), want) {
		t.Errorf("the table has no line %q:\n%s", want, &table)
	}
}

// A worker that is killed while it writes a line loses that line, and nobody wonders.
func TestCutOffLine(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"plan": "", "parent": "sent 0 1 <0> w 1 call 0 0 once\nsettled 0 1 crash\ngot 0 1 crash 0 was-killed w/1 100 1\nend 0 1 crash\n", "worker-0": "run 100 1 w 0 1000\nbegin 0 1 1234",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(tokens(text)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	v, err := check.Ledgers(dir, 1)
	if err != nil || !v.Good() {
		t.Errorf("%+v, %v", v, err)
	}
}

// Each of these ledgers shows one fault of the library, and is not let through.
func TestBadLedgers(t *testing.T) {
	replace := func(s *string, old, repl string) {
		if !strings.Contains(*s, old) {
			t.Fatalf("%q is not in %q", old, *s)
		}
		*s = strings.Replace(*s, old, repl, 1)
	}
	for name, c := range map[string]struct {
		spoil                        func(b *books)
		mismatched, lost, duplicated int
		says                         string
	}{
		"a call without an end":         {func(b *books) { replace(&b.parent, "\nend 0 1 ok", "") }, 0, 1, 0, "call 0 has no end"},
		"an attempt without an outcome": {func(b *books) { replace(&b.parent, "\ngot 2 1 notstarted 0", "") }, 0, 1, 0, "{2 1} has no outcome"},
		"two ends":                      {func(b *books) { b.parent += "\nend 0 1 ok" }, 0, 0, 1, "call 0 has 2 ends"},
		"two outcomes":                  {func(b *books) { b.parent += "\ngot 0 1 ok <=0>" }, 0, 0, 1, "{0 1} has 2 outcomes"},
		"another call's answer":         {func(b *books) { replace(&b.parent, "<=0>", "<=1'>") }, 1, 0, 0, "the answer's token"},
		"answers that have changed places": {func(b *books) {
			replace(&b.parent, "<=0>", "X")
			replace(&b.parent, "<=1'>", "<=0>")
			replace(&b.parent, "X", "<=1'>")
		}, 2, 0, 0, "the answer's token"},
		"an answer out of nothing": {func(b *books) { replace(&b.workers[0], "\nbegin 0 1 <0>\nfinish 0 1", "") }, 1, 0, 0, "no worker has begun and finished it"},
		"an answer before the end": {func(b *books) {
			replace(&b.workers[1], "\nfinish 1 2", "")
			replace(&b.workers[1], "run 101 1", "run 101 2")
		}, 2, 0, 0, "no worker has begun and finished it (1, 0)"},
		"an error out of nothing":            {func(b *books) { replace(&b.workers[1], "\nbegin 2 2 <2'>\nfinish 2 2", "") }, 1, 0, 0, "no worker has begun and finished it"},
		"executed twice by one worker":       {func(b *books) { b.workers[1] += "\nbegin 0 1 <0>\nfinish 0 1" }, 0, 0, 1, "{0 1} was executed 2 times"},
		"sent to a second worker":            {func(b *books) { b.workers[1] += "\nbegin 1 1 <1>\nfinish 1 1" }, 0, 0, 1, "{1 1} was executed 2 times"},
		"begun, and reported as not started": {func(b *books) { b.workers[0] += "\nfinish 1 1\nbegin 2 1 <2>" }, 2, 0, 0, "{2 1}, notstarted: pid 100 has begun it"},
		"another token than was sent":        {func(b *books) { replace(&b.workers[0], "begin 1 1 <1>", "begin 1 1 <2>") }, 1, 0, 0, "has begun with"},
		"executed and never sent":            {func(b *books) { b.workers[1] += "\nbegin 0 2 <0'>\nfinish 0 2" }, 2, 0, 0, "{0 2} was never made"},
		"a crash of another process":         {func(b *books) { replace(&b.parent, "w/1 100 1", "w/1 101 1") }, 1, 0, 0, "of pid 101, and pid 100 has begun it"},
		"a death reported to too many": {func(b *books) {
			replace(&b.parent, "settled 2 1 notstarted\ngot 2 1 notstarted 0", "settled 2 1 crash\ngot 2 1 crash 0 abort w/1 100 1")
		}, 1, 0, 0, "(pid 100), which runs 1 calls at once, was reported to 2"},
		"more at once than allowed": {func(b *books) { replace(&b.workers[0], "\nfinish 0 1", ""); b.workers[0] += "\nfinish 0 1" }, 1, 0, 0, "ran 2 calls at once"},
		"an error that nobody may get": {func(b *books) {
			replace(&b.parent, "got 2 2 refused", "got 2 2 unexpected")
			replace(&b.parent, "end 2 2 refused", "end 2 2 unexpected")
		}, 1, 0, 0, "an error that no call may get"},
		"an end that is not the last outcome": {func(b *books) { replace(&b.parent, "end 1 2 ok", "end 1 2 crash") }, 1, 0, 0, "is not what its last attempt has come to"},
		"settled twice":                       {func(b *books) { b.parent += "\nsettled 0 1 ok" }, 0, 0, 1, "{0 1} was settled 2 times"},
		"never settled":                       {func(b *books) { replace(&b.parent, "settled 0 1 ok\n", "") }, 0, 1, 0, "{0 1} was never settled"},
		"settled as what it was not":          {func(b *books) { replace(&b.parent, "settled 0 1 ok", "settled 0 1 crash") }, 1, 0, 0, "has come to ok and was settled as crash"},
		"a violation that was none":           {func(b *books) { replace(&b.parent, "abort w/1", "protocol-violation w/1") }, 1, 0, 0, "pid 100 is said to have broken the protocol"},
		"too many in one process":             {func(b *books) { b.parent += "\npool w 0 0 1 0" }, 2, 0, 0, "has executed 2 calls, and may execute 1"},
		"a poison that kills too many": {func(b *books) {
			b.parent += "\ndose 7 1"
			b.workers[0] += "\ndrank 7"
			b.workers[1] += "\ndrank 7"
		}, 1, 0, 0, "poison 7 has killed 2 workers, and may kill 1"},
		"a report of nobody's": {func(b *books) { replace(&b.parent, "settled 0 1 ok", "shown 0 1 1 <=0>\nsettled 0 1 ok") }, 2, 0, 0, "which is none of its own"},
		"a line that is none":  {func(b *books) { b.workers[0] += "\nbegin 1 1" }, 1, 0, 0, "is no line"},
		"a call that is none":  {func(b *books) { b.parent += "\nsent 99 1 5 w 1 call 0 0 once" }, 1, 0, 0, "call 99, which is none"},
	} {
		t.Run(name, func(t *testing.T) {
			b := good()
			c.spoil(&b)
			v := b.judge(t)
			if v.Good() || v.Mismatched != c.mismatched || v.Lost != c.lost || v.Duplicated != c.duplicated {
				t.Errorf("%s; want mismatched=%d lost=%d duplicated=%d", v.Line(0), c.mismatched, c.lost, c.duplicated)
			}
			if text := strings.Join(v.Faulty, "\n"); !strings.Contains(text, c.says) {
				t.Errorf("%q is not said:\n%s", c.says, text)
			}
		})
	}
}

func TestFaultThatDidNotHappen(t *testing.T) {
	b := good()
	b.happened = ""
	if v := b.judge(t); v.Good() || v.Faults != 0 || len(v.Missing) != 1 || v.Missing[0] != "c-abort (0 of 1)" {
		t.Errorf("%+v", v)
	}
}

// Call 0 is a stream of three results, the worker dies in the fourth of call 1, call 2 is
// broken off. A third worker is there when the second leaves.
const (
	streamParent = `
pool w 500 0 0 1
sent 0 1 <0> w 2 stream 3 2 once
shown 0 1 2 <=0>
item 0 1 0 <0:0>
item 0 1 1 <0:1>
item 0 1 2 <0:2>
settled 0 1 ok
got 0 1 ok 0
end 0 1 ok
sent 1 1 <1> w 1 stream 9 0 once
item 1 1 0 <1:0>
item 1 1 1 <1:1>
settled 1 1 crash
got 1 1 crash 0 abort w/1 100 1
end 1 1 crash
sent 2 1 <2> w 1 stream 9 0 once
item 2 1 0 <2:0>
got 2 1 broken 0
settled 2 1 ok
end 2 1 broken
replaced w 1 2500`
	streamFirst = `
run 100 1 v 0 1000
begin 0 1 <0>
passed 0 1 0
passed 0 1 1
passed 0 1 2
finish 0 1
begin 1 1 <1>
passed 1 1 0
passed 1 1 1`
	streamSecond = `
run 101 1 w 1 2000
begin 2 1 <2>
passed 2 1 0
passed 2 1 1
finish 2 1
left 3000`
	streamThird = `
run 102 1 w 1 2900
left 4000`
)

func streams() books {
	return books{goodPlan, "1", streamParent, []string{streamFirst, streamSecond, streamThird}}
}

func TestGoodStreams(t *testing.T) {
	if v := streams().judge(t); !v.Good() {
		t.Errorf("%+v", v)
	}
}

// A call that may be executed again may die the second time before its worker can
// write that it has begun.
func TestCrashBeforeTheLedger(t *testing.T) {
	b := good()
	b.parent = strings.Replace(b.parent, "<1> w 1 call", "<1> w 2 call", 1)
	b.parent = strings.Replace(b.parent, "w/1 100 1", "w/1 102 1", 1)
	if v := b.judge(t); !v.Good() {
		t.Errorf("%+v", v)
	}
}

func TestBadStreams(t *testing.T) {
	for name, c := range map[string]struct {
		file      int // of books: 0 the parent, else a worker
		old, repl string
		want      [3]int // mismatched, lost, duplicated
		says      string
	}{
		"a result twice":                      {0, "item 0 1 1 <0:1>", "item 0 1 1 <0:1>\nitem 0 1 1 <0:1>", [3]int{0, 0, 1}, "{0 1} has brought result 1 again"},
		"a result is missing":                 {0, "item 0 1 1 <0:1>\n", "", [3]int{1, 0, 0}, "{0 1} has brought result 2 before 1"},
		"the last one is missing":             {0, "item 0 1 2 <0:2>\n", "", [3]int{1, 0, 0}, "{0 1}, ok: 3 results were sent, and 2 have come"},
		"another stream's":                    {0, "item 0 1 1 <0:1>", "item 0 1 1 <1:1>", [3]int{1, 0, 0}, "as result 1, what is none of its own"},
		"after the end":                       {0, "end 0 1 ok", "item 0 1 3 <0:3>\nend 0 1 ok", [3]int{2, 0, 0}, "{0 1} has brought result 3 after its end"},
		"fewer than before the death":         {0, "item 1 1 1 <1:1>\n", "", [3]int{1, 0, 0}, "{1 1}, crash: 2 results were sent, and 1 have come"},
		"more than were sent":                 {0, "got 2 1 broken", "item 2 1 1 <2:1>\nitem 2 1 2 <2:2>\nitem 2 1 3 <2:3>\ngot 2 1 broken", [3]int{1, 0, 0}, "2 results were sent, and 4 have come"},
		"delivered, and begun once more":      {2, "begin 2 1", "begin 0 1 <0>\npassed 0 1 0\nfinish 0 1\nbegin 2 1", [3]int{0, 0, 1}, "{0 1} has had results sent by pid 100 and by pid 101"},
		"results of what is no stream":        {0, "w 2 stream 3 2", "w 2 call 0 2", [3]int{2, 0, 0}, "which is no stream"},
		"a report after the end":              {0, "end 0 1 ok", "shown 0 1 2 <=0>\nend 0 1 ok", [3]int{1, 0, 0}, "{0 1} has shown report 2 after its end"},
		"beyond the budget":                   {2, "begin 2 1", "begin 0 1 <0>\nfinish 0 1\nbegin 0 1 <0>\nfinish 0 1\nbegin 2 1", [3]int{1, 0, 1}, "w has executed calls again 2 times; of 3 calls it may 1"},
		"nobody was there":                    {3, "run 102 1 w 1 2900", "run 102 1 w 1 3100", [3]int{1, 0, 0}, "w had no worker when pid 101 had left"},
		"an old worker after its replacement": {3, "run 102 1 w 1 2900", "run 102 1 w 0 2900", [3]int{1, 0, 0}, "w has started pid 102 of edition 0 after it was replaced by 1"},
	} {
		t.Run(name, func(t *testing.T) {
			b := streams()
			text := &b.parent
			if c.file > 0 {
				text = &b.workers[c.file-1]
			}
			if !strings.Contains(*text, c.old) {
				t.Fatalf("%q is not there", c.old)
			}
			*text = strings.Replace(*text, c.old, c.repl, 1)
			v := b.judge(t)
			if got := [3]int{v.Mismatched, v.Lost, v.Duplicated}; v.Good() || got != c.want {
				t.Errorf("mismatched, lost, duplicated: %v, want %v", got, c.want)
			}
			if text := strings.Join(v.Faulty, "\n"); !strings.Contains(text, c.says) {
				t.Errorf("%q is not said:\n%s", c.says, text)
			}
		})
	}
}
