package tree

import (
	"encoding/json"
	"strings"
	"time"
)

// MarshalJSON writes the snapshot with names that stay as they are; new ones may be added. Times are RFC 3339 with
// up to nine decimals, durations whole milliseconds, rounded down. What is in brackets is left out when there is nothing
// to say.
//
//	path          string   from the root, for example "shop/resizers/2"
//	id            string   of the child; of a root its name
//	type          string   "worker" or "supervisor"
//	state         string   "down", "starting", "running", "stopping" or "restarting"
//	run           integer  the number of the current or latest run, from 1; 0: it has never run
//	[since]       time     when it entered its state
//	[restart]     string   "permanent", "transient" or "temporary"; not for the node at the top
//	[attempt]     integer  restarting: how many restarts in a row
//	[next_retry]  time     restarting: when the next start is due
//	[exits]       array    the last 16 ends and failed starts, oldest first:
//	  run         integer  the number of the run
//	  time        time     when it ended
//	  ran_ms      integer  how long it ran
//	  [cause]     string   the error, at most 1,000 bytes of it; not for a normal end
//	  [asked]     boolean  it was asked to stop, or killed
//	  [killed]    boolean  it was ended by force, or abandoned
//	[supervisor]  object   of a supervisor of this library:
//	  strategy    string   "one_for_one", "one_for_all" or "rest_for_one"
//	  dynamic     boolean  whether it is a dynamic one
//	  used        integer  restarts that count at present
//	  limit       integer  how many are allowed
//	  period_ms   integer  within this time
//	[hook_panics] integer  how often OnEvent of this supervisor has panicked
//	[children]    array    nodes like this one, in the order of starting
func (s Snapshot) MarshalJSON() ([]byte, error) {
	n := nodeOf(s)
	n.Restart = ""
	return json.Marshal(n)
}

type node struct {
	Path       string      `json:"path"`
	ID         string      `json:"id"`
	Type       string      `json:"type"`
	State      string      `json:"state"`
	Run        int         `json:"run"`
	Since      time.Time   `json:"since,omitzero"`
	Restart    string      `json:"restart,omitempty"`
	Attempt    int         `json:"attempt,omitempty"`
	NextRetry  time.Time   `json:"next_retry,omitzero"`
	Exits      []exitNode  `json:"exits,omitempty"`
	Supervisor *supervisor `json:"supervisor,omitempty"`
	HookPanics int         `json:"hook_panics,omitempty"`
	Children   []node      `json:"children,omitempty"`
}

type exitNode struct {
	Run    int       `json:"run"`
	Time   time.Time `json:"time"`
	RanMS  int64     `json:"ran_ms"`
	Cause  string    `json:"cause,omitempty"`
	Asked  bool      `json:"asked,omitempty"`
	Killed bool      `json:"killed,omitempty"`
}

type supervisor struct {
	Strategy string `json:"strategy"`
	Dynamic  bool   `json:"dynamic"`
	Used     int    `json:"used"`
	Limit    int    `json:"limit"`
	PeriodMS int64  `json:"period_ms"`
}

func nodeOf(s Snapshot) node {
	n := node{
		Path: s.Path, ID: s.ID, Type: s.Type.String(), State: s.State.String(), Run: s.Run, Since: s.Since,
		Restart: s.Restart.String(), Attempt: s.Attempt, NextRetry: s.NextRetry, HookPanics: s.HookPanics,
	}
	for _, e := range s.Exits {
		n.Exits = append(n.Exits, exitNode{
			Run: e.Run, Time: e.Time, RanMS: e.Ran.Milliseconds(), Cause: causeText(e.Err),
			Asked: e.Asked, Killed: e.Killed,
		})
	}
	if i := s.Supervisor; i != nil {
		n.Supervisor = &supervisor{
			Strategy: i.Strategy.String(), Dynamic: i.Dynamic, Used: i.Used, Limit: i.Limit,
			PeriodMS: i.Period.Milliseconds(),
		}
	}
	for _, c := range s.Children {
		n.Children = append(n.Children, nodeOf(c))
	}
	return n
}

// causeText is the text of an error, with a bound.
func causeText(err error) string {
	const limit = 1000
	if err == nil {
		return ""
	}
	text := endText(err)
	if len(text) > limit {
		text = text[:limit]
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}
