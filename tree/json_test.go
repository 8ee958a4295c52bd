package tree_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/verdigris-go/verdigris/strategy"
	"github.com/verdigris-go/verdigris/tree"
)

// The names and units of the JSON are a promise: this is all that can be in it.
func TestSnapshotAsJSON(t *testing.T) {
	s := tree.Snapshot{
		Path: "shop", ID: "shop", Type: tree.TypeSupervisor, State: tree.Running, Run: 1, Since: start.Add(123456789),
		HookPanics: 2, Supervisor: &tree.SupervisorInfo{Strategy: strategy.RestForOne, Used: 1, Limit: 3, Period: time.Minute},
		Children: []tree.Snapshot{
			{
				Path: "shop/index", ID: "index", Type: tree.TypeWorker, State: tree.Restarting, Run: 3, Since: start,
				Restart: strategy.Transient, Attempt: 2, NextRetry: start.Add(1500 * time.Millisecond), Exits: []tree.Exit{
					{Run: 1, Time: start, Ran: 1999 * time.Microsecond},
					{Run: 2, Time: start, Ran: time.Hour, Asked: true, Killed: true, Err: tree.ErrKilled},
					{Run: 3, Time: start, Err: errors.New("<torn> \xff")},
				},
			},
			{Path: "shop/lines", ID: "lines", Type: tree.TypeSupervisor, Restart: strategy.Permanent, Supervisor: &tree.SupervisorInfo{Dynamic: true}},
		},
	}
	got, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.TrimSpace(`
{
  "path": "shop",
  "id": "shop",
  "type": "supervisor",
  "state": "running",
  "run": 1,
  "since": "2026-01-02T03:04:05.123456789Z",
  "supervisor": {
    "strategy": "rest_for_one",
    "dynamic": false,
    "used": 1,
    "limit": 3,
    "period_ms": 60000
  },
  "hook_panics": 2,
  "children": [
    {
      "path": "shop/index",
      "id": "index",
      "type": "worker",
      "state": "restarting",
      "run": 3,
      "since": "2026-01-02T03:04:05Z",
      "restart": "transient",
      "attempt": 2,
      "next_retry": "2026-01-02T03:04:06.5Z",
      "exits": [
        {
          "run": 1,
          "time": "2026-01-02T03:04:05Z",
          "ran_ms": 1
        },
        {
          "run": 2,
          "time": "2026-01-02T03:04:05Z",
          "ran_ms": 3600000,
          "cause": "tree: killed",
          "asked": true,
          "killed": true
        },
        {
          "run": 3,
          "time": "2026-01-02T03:04:05Z",
          "ran_ms": 0,
          "cause": "\u003ctorn\u003e �"
        }
      ]
    },
    {
      "path": "shop/lines",
      "id": "lines",
      "type": "supervisor",
      "state": "down",
      "run": 0,
      "restart": "permanent",
      "supervisor": {
        "strategy": "one_for_one",
        "dynamic": true,
        "used": 0,
        "limit": 0,
        "period_ms": 0
      }
    }
  ]
}
`); string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// brokenError is an error that cannot even say what it is.
type brokenError struct{}

func (brokenError) Error() string { panic("no words") }

func TestSnapshotWithBadErrors(t *testing.T) {
	for _, err := range []error{brokenError{}, errors.New(strings.Repeat("é", 100_000)), errors.New("")} {
		s := tree.Snapshot{ID: "a", Exits: []tree.Exit{{Err: err}}}
		got, e := json.Marshal(s)
		if e != nil || len(got) > 1500 || !utf8.Valid(got) {
			t.Errorf("%d bytes, %v", len(got), e)
		}
		if text := s.String(); strings.Contains(text, "\n") {
			t.Error(text)
		}
	}
}
