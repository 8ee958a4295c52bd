package otptest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Scenario is one recorded scenario, or one that is to be recorded.
type Scenario struct {
	Name       string   `json:"name"`
	About      string   `json:"about,omitempty"`
	Rules      []string `json:"rules"`
	Needs      []string `json:"needs,omitempty"`
	StartAsync string   `json:"start_async,omitempty"`
	Tree       Node     `json:"tree"`
	Steps      []Step   `json:"steps"`
	Expect     *Expect  `json:"expect,omitempty"`
}

// Expect is what OTP did.
type Expect struct {
	Start Observation   `json:"start"`
	Steps []Observation `json:"steps"`
	Final Observation   `json:"final"`
}

// Observation is what happened in one step. Events holds strings and groups without an order.
type Observation struct {
	Result any            `json:"result"`
	Events []any          `json:"events"`
	State  map[string]any `json:"state,omitempty"`
}

// Node is a supervisor in a scenario. Raw values may be wrong on purpose.
type Node struct {
	ID           string          `json:"id,omitempty"`
	Strategy     Text            `json:"strategy,omitempty"`
	Intensity    json.RawMessage `json:"intensity,omitempty"`
	Period       json.RawMessage `json:"period_s,omitempty"`
	AutoShutdown Text            `json:"auto_shutdown,omitempty"`
	Children     []Child         `json:"children"`
	Behaviour    Behaviour       `json:"behaviour,omitzero"`
}

// dynamic reports whether it is a supervisor of many children of one kind.
func (n *Node) dynamic() bool { return n.Strategy == "simple_one_for_one" }

// Child is a child in a scenario.
type Child struct {
	ID          Text            `json:"id,omitempty"`
	Restart     Text            `json:"restart,omitempty"`
	Significant json.RawMessage `json:"significant,omitempty"`
	Shutdown    json.RawMessage `json:"shutdown,omitempty"`
	Type        Text            `json:"type,omitempty"`
	Start       Text            `json:"start,omitempty"`
	Tree        *Node           `json:"tree,omitempty"`
	Behaviour   Behaviour       `json:"behaviour,omitzero"`
	wrong       bool            // it is no object at all
}

// UnmarshalJSON takes anything.
func (c *Child) UnmarshalJSON(raw []byte) error {
	type plain Child
	if raw[0] != '{' {
		c.wrong = true
		return nil
	}
	return json.Unmarshal(raw, (*plain)(c))
}

// Text is a word, or the JSON text of something else after foreign.
type Text string

// foreign begins a Text that was no string.
const foreign = "JSON "

// UnmarshalJSON takes anything.
func (s *Text) UnmarshalJSON(raw []byte) error {
	var word string
	if json.Unmarshal(raw, &word) != nil || string(raw) == "null" {
		word = foreign + string(raw)
	}
	*s = Text(word)
	return nil
}

// Behaviour is the script of a child. Lists have one entry for each attempt to start it, the last one for all others.
type Behaviour struct {
	Start []json.RawMessage `json:"start,omitempty"`
	Stop  json.RawMessage   `json:"stop,omitempty"`
	Run   []json.RawMessage `json:"run,omitempty"`
	Info  *string           `json:"info,omitempty"`
}

// Step is one thing that is done from outside.
type Step struct {
	Op        string     `json:"op"`
	Async     string     `json:"async,omitempty"`
	Ref       string     `json:"ref,omitempty"`
	Child     string     `json:"child,omitempty"`
	Reason    string     `json:"reason,omitempty"`
	Exits     []Exit     `json:"exits,omitempty"`
	Sup       string     `json:"sup,omitempty"`
	ID        string     `json:"id,omitempty"`
	Instance  string     `json:"instance,omitempty"`
	N         int        `json:"n,omitempty"`
	Spec      *Child     `json:"spec,omitempty"`
	Specs     []Child    `json:"specs,omitempty"`
	Auto      Text       `json:"auto_shutdown,omitempty"`
	Behaviour *Behaviour `json:"behaviour,omitempty"`
	Result    string     `json:"result,omitempty"`
	MS        int        `json:"ms,omitempty"`
	MinMS     *int       `json:"min_ms,omitempty"`
	MaxMS     *int       `json:"max_ms,omitempty"`
}

// Exit is one of several exits at once.
type Exit struct {
	Child  string `json:"child"`
	Reason string `json:"reason"`
}

// Load reads all scenarios of a directory. A relative one may also be relative to the folders above: a test runs
// in the folder of its package, and its user is somewhere else.
func Load(dir string) ([]*Scenario, error) {
	for up := 0; up < 3 && !exists(dir) && !filepath.IsAbs(dir); up++ {
		dir = filepath.Join("..", dir)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no scenarios in %s: %w", dir, os.ErrNotExist)
	}
	var all []*Scenario
	for _, file := range files {
		list, err := ReadFile(file)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}

// ReadFile reads the scenarios of one file.
func ReadFile(file string) ([]*Scenario, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var list []*Scenario
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return list, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
