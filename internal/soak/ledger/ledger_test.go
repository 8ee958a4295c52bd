package ledger_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/verdigris-go/verdigris/internal/soak/ledger"
)

func TestLinesComeBack(t *testing.T) {
	a := ledger.Attempt{Call: 17, Nth: 2}
	for _, l := range []ledger.Line{
		{Event: ledger.Fault, Fault: 3, Kind: "c-abort", Attempt: ledger.Attempt{Call: 9}},
		{Event: ledger.Pool, Lane: "keyed", Budget: 100, Spare: 10, Each: 1, Steady: 1},
		{Event: ledger.Sent, Attempt: a, Token: 0xfeed, Lane: "keyed", Most: 3, Shape: ledger.Stream, Items: 12, Reports: 4, Settles: ledger.Once},
		{Event: ledger.Item, Attempt: a, Index: 3, Token: 0xbeef},
		{Event: ledger.Shown, Attempt: a, Index: 3, Token: 0xbeef},
		{Event: ledger.Settled, Attempt: a, Outcome: ledger.Crash},
		{Event: ledger.Dose, Index: 8, Most: 2},
		{Event: ledger.Replaced, Lane: "keyed", Edition: 4, At: 1_800_000_000_000_000_000},
		{Event: ledger.Got, Attempt: a, Outcome: ledger.OK, Token: 0xbeef},
		{Event: ledger.Got, Attempt: a, Outcome: ledger.Crash, Cause: "abort", Worker: "pool-1/7", PID: 4711, Width: 4},
		{Event: ledger.End, Attempt: a, Outcome: ledger.NotStarted},
		{Event: ledger.Run, PID: 4711, Width: 4, Lane: "pool", Edition: 2, At: 1_800_000_000_000_000_000},
		{Event: ledger.Left, At: 1_800_000_000_000_000_000},
		{Event: ledger.Passed, Attempt: a, Index: 3},
		{Event: ledger.Spoil, Attempt: a},
		{Event: ledger.Drank, Index: 8},
		{Event: ledger.Begin, Attempt: a, Token: 0xfeed},
		{Event: ledger.Finish, Attempt: a},
	} {
		text := string(l.Append(nil))
		got, err := ledger.Parse(strings.TrimSuffix(text, "\n"))
		if err != nil || got != l || !strings.HasSuffix(text, "\n") {
			t.Errorf("%q: %+v, %v; want %+v", text, got, err, l)
		}
	}
}

func TestBadLines(t *testing.T) {
	for _, text := range []string{
		"", "sent", "sent 1 1", "sent 1 1 xyz", "sent 1 1 a b", "sent -1 1 a", "got 1 1 crash 0", "run 4 1", "drank x", "dose 1", "item 1 1 0", "begin 1 1", "ended 1 1 ok", "finish 1  1",
	} {
		if l, err := ledger.Parse(text); err == nil {
			t.Errorf("%q was taken for %+v", text, l)
		}
	}
}

func TestTokens(t *testing.T) {
	seen := map[ledger.Token]ledger.Attempt{}
	for call := range 1000 {
		for nth := 1; nth < 4; nth++ {
			a := ledger.Attempt{Call: call, Nth: nth}
			token := ledger.TokenOf(1, a)
			if other, ok := seen[token]; ok {
				t.Fatalf("%v and %v have the same token", a, other)
			}
			seen[token] = a
			if token.Answer() == token || token == ledger.TokenOf(2, a) {
				t.Errorf("%v: %v", a, token)
			}
		}
	}
}

func TestOwns(t *testing.T) {
	for size := range 40 {
		b := make([]byte, size)
		ledger.Token(5).Fill(b)
		if !ledger.Token(5).Owns(b) {
			t.Errorf("%d bytes are not its own", size)
		}
		for i := range b {
			b[i] ^= 0x10
			if ledger.Token(5).Owns(b) {
				t.Errorf("%d bytes, byte %d changed, are its own", size, i)
			}
			b[i] ^= 0x10
		}
	}
}

func TestHappened(t *testing.T) {
	path := filepath.Join(t.TempDir(), "happened")
	one, err := ledger.OpenHappened(path)
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	other, err := ledger.OpenHappened(path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if one.Get(5) {
		t.Error("nothing has happened yet")
	}
	if err := other.Set(5); err != nil || !one.Get(5) || one.Get(4) || one.Get(6) {
		t.Error(err, one.Get(5), one.Get(4), one.Get(6))
	}
}
