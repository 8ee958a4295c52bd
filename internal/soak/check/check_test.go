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
sent 0 1 <0>
got 0 1 ok <=0>
end 0 1 ok
sent 1 1 <1>
got 1 1 crash 0 abort w/1 100 1
sent 1 2 <1'>
got 1 2 ok <=1'>
end 1 2 ok
sent 2 1 <2>
got 2 1 notstarted 0
sent 2 2 <2'>
got 2 2 refused 0
end 2 2 refused`
	goodFirst = `
run 100 1 w
begin 0 1 <0>
finish 0 1
begin 1 1 <1>`
	goodSecond = `
run 101 1 w
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
			s = strings.NewReplacer("<"+name+">", token.String(), "<="+name+">", token.Answer().String()).Replace(s)
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
		"plan": "", "parent": "sent 0 1 <0>\ngot 0 1 crash 0 was-killed w/1 100 1\nend 0 1 crash\n", "worker-0": "run 100 1 w\nbegin 0 1 1234",
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
		}, 1, 0, 0, "no worker has begun and finished it (1, 0)"},
		"an error out of nothing":            {func(b *books) { replace(&b.workers[1], "\nbegin 2 2 <2'>\nfinish 2 2", "") }, 1, 0, 0, "no worker has begun and finished it"},
		"executed twice by one worker":       {func(b *books) { b.workers[1] += "\nbegin 0 1 <0>\nfinish 0 1" }, 0, 0, 1, "{0 1} was executed 2 times"},
		"sent to a second worker":            {func(b *books) { b.workers[1] += "\nbegin 1 1 <1>\nfinish 1 1" }, 0, 0, 1, "{1 1} was executed 2 times"},
		"begun, and reported as not started": {func(b *books) { b.workers[0] += "\nfinish 1 1\nbegin 2 1 <2>" }, 1, 0, 0, "{2 1}, notstarted: pid 100 has begun it"},
		"another token than was sent":        {func(b *books) { replace(&b.workers[0], "begin 1 1 <1>", "begin 1 1 <2>") }, 1, 0, 0, "has begun with"},
		"executed and never sent":            {func(b *books) { b.workers[1] += "\nbegin 0 2 <0'>\nfinish 0 2" }, 2, 0, 0, "{0 2} was never made"},
		"a crash of another process":         {func(b *books) { replace(&b.parent, "w/1 100 1", "w/1 101 1") }, 1, 0, 0, "of pid 101, and pid 100 has begun it"},
		"a death reported to too many":       {func(b *books) { replace(&b.parent, "got 2 1 notstarted 0", "got 2 1 crash 0 abort w/1 100 1") }, 1, 0, 0, "(pid 100), which runs 1 calls at once, was reported to 2"},
		"more at once than allowed":          {func(b *books) { replace(&b.workers[0], "\nfinish 0 1", ""); b.workers[0] += "\nfinish 0 1" }, 1, 0, 0, "ran 2 calls at once"},
		"an error that nobody may get": {func(b *books) {
			replace(&b.parent, "got 2 2 refused", "got 2 2 unexpected")
			replace(&b.parent, "end 2 2 refused", "end 2 2 unexpected")
		}, 1, 0, 0, "an error that no call may get"},
		"an end that is not the last outcome": {func(b *books) { replace(&b.parent, "end 1 2 ok", "end 1 2 crash") }, 1, 0, 0, "is not what its last attempt has come to"},
		"a line that is none":                 {func(b *books) { b.workers[0] += "\nbegin 1 1" }, 1, 0, 0, "is no line"},
		"a call that is none":                 {func(b *books) { b.parent += "\nsent 99 1 5" }, 1, 0, 0, "call 99, which is none"},
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
