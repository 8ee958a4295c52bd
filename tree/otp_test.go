package tree

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

var corpus = flag.String("corpus", "testdata/otp", "directory of recorded OTP scenarios for TestOTP")

// TestOTP runs recorded scenarios against real supervisors and goroutines, in the fake time of synctest, and
// compares every event and every state with what OTP's supervisor did. What the files mean is told by their
// format description; each file is a list of scenarios with the recorded trace under "expect".
func TestOTP(t *testing.T) {
	dir := *corpus
	if _, err := os.Stat(dir); err != nil && !filepath.IsAbs(dir) {
		dir = filepath.Join("..", dir) // a test runs in the folder of its package, the user is in the one above
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios in %s: %v", dir, err)
	}
	var total, passed, failed, skipped int
	for _, file := range files {
		for _, sc := range loadScenarios(t, file) {
			total++
			skip := ""
			ok := t.Run(sc.Name, func(t *testing.T) {
				if skip = sc.inexpressible(); skip != "" {
					t.Skip(skip)
				}
				synctest.Test(t, func(t *testing.T) { newWorld(t).play(sc) })
			})
			switch {
			case skip != "":
				skipped++
				fmt.Printf("otp: skipped %s: %s\n", sc.Name, skip)
			case ok:
				passed++
			default:
				failed++
			}
		}
	}
	if skipped*20 > total {
		t.Errorf("%d of %d scenarios skipped: more than 5 %%", skipped, total)
	}
	fmt.Printf("otp: %d scenarios, %d passed, %d failed, %d skipped\n", total, passed, failed, skipped)
}

type scenario struct {
	Name       string   `json:"name"`
	StartAsync string   `json:"start_async"`
	Tree       nodeJSON `json:"tree"`
	Steps      []step   `json:"steps"`
	Expect     struct {
		Start observation   `json:"start"`
		Steps []observation `json:"steps"`
		Final observation   `json:"final"`
	} `json:"expect"`
}

// nodeJSON is a supervisor in a scenario.
type nodeJSON struct {
	ID           string          `json:"id"`
	Strategy     string          `json:"strategy"`
	Intensity    json.RawMessage `json:"intensity"`
	Period       json.RawMessage `json:"period_s"`
	AutoShutdown string          `json:"auto_shutdown"`
	Children     []childJSON     `json:"children"`
	Behaviour    behaviour       `json:"behaviour"`
}

// childJSON is a child in a scenario. Raw values may be wrong on purpose.
type childJSON struct {
	ID          string          `json:"id"`
	Restart     string          `json:"restart"`
	Significant json.RawMessage `json:"significant"`
	Shutdown    json.RawMessage `json:"shutdown"`
	Type        string          `json:"type"`
	Start       string          `json:"start"`
	Tree        *nodeJSON       `json:"tree"`
	Behaviour   behaviour       `json:"behaviour"`
}

// behaviour is the script of a child.
type behaviour struct {
	Start []json.RawMessage `json:"start"`
	Stop  json.RawMessage   `json:"stop"`
	Run   []json.RawMessage `json:"run"`
	Info  *string           `json:"info"`
}

type step struct {
	Op        string      `json:"op"`
	Async     string      `json:"async"`
	Ref       string      `json:"ref"`
	Child     string      `json:"child"`
	Reason    string      `json:"reason"`
	Exits     []exitJSON  `json:"exits"`
	Sup       string      `json:"sup"`
	ID        string      `json:"id"`
	Instance  string      `json:"instance"`
	N         int         `json:"n"`
	Spec      *childJSON  `json:"spec"`
	Specs     []childJSON `json:"specs"`
	Auto      string      `json:"auto_shutdown"`
	Behaviour *behaviour  `json:"behaviour"`
	Result    string      `json:"result"`
	MS        int         `json:"ms"`
	MinMS     *int        `json:"min_ms"`
	MaxMS     *int        `json:"max_ms"`
}

type exitJSON struct {
	Child  string `json:"child"`
	Reason string `json:"reason"`
}

// observation is what happened in one step. Events holds strings and groups without an order.
type observation struct {
	Result any            `json:"result"`
	Events []any          `json:"events"`
	State  map[string]any `json:"state"`
}

func loadScenarios(t *testing.T, file string) []*scenario {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var list []*scenario
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return list
}

// play runs one scenario and compares.
func (w *world) play(sc *scenario) {
	defer w.stopScratch()
	w.compare("start", sc.Expect.Start, w.startRoot(sc.Tree, sc.StartAsync))
	for i, st := range sc.Steps {
		text, _ := json.Marshal(st)
		w.compare(fmt.Sprintf("step %d %s", i, text), sc.Expect.Steps[i], w.step(st))
	}
	w.compare("final", sc.Expect.Final, within(w.stop))
}

// compare takes what has happened since the last time, and fails if it is not what was expected.
func (w *world) compare(what string, want observation, result any) {
	w.t.Helper()
	w.quiet()
	got := observation{Result: normal(result), State: w.stateDiff()}
	events := w.takeEvents()
	if !reflect.DeepEqual(got.Result, want.Result) {
		w.t.Errorf("%s: result\n got  %v\n want %v", what, got.Result, want.Result)
	}
	if err := sameEvents(events, want.Events); err != nil {
		w.t.Errorf("%s: %v", what, err)
	}
	if want.State == nil {
		want.State = map[string]any{}
	}
	if !reflect.DeepEqual(got.State, want.State) {
		w.t.Errorf("%s: state\n got  %v\n want %v", what, got.State, want.State)
	}
	if w.t.Failed() {
		w.abort()
	}
}

// normal makes of a Go value what JSON makes of it.
func normal(v any) (out any) {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	if err := json.Unmarshal(text, &out); err != nil {
		panic(err)
	}
	return out
}

// sameEvents compares two traces. A group without an order is compared after sorting by its path, stably.
func sameEvents(got []string, want []any) error {
	rest := got
	for _, w := range want {
		group := []string{}
		if s, ok := w.(string); ok {
			group = append(group, s)
		} else {
			for _, s := range w.(map[string]any)["events"].([]any) {
				group = append(group, s.(string))
			}
		}
		n := min(len(group), len(rest))
		mine := slices.Clone(rest[:n])
		rest = rest[n:]
		if len(group) > 1 {
			slices.SortStableFunc(mine, byPath)
			slices.SortStableFunc(group, byPath)
		}
		if !slices.Equal(mine, group) {
			return fmt.Errorf("events\n got  %q\n want %v", got, want)
		}
	}
	if len(rest) > 0 {
		return fmt.Errorf("surplus events %q\n got  %q\n want %v", rest, got, want)
	}
	return nil
}

func equal(a, b any) bool { return reflect.DeepEqual(a, b) }

func byPath(a, b string) int {
	return strings.Compare(strings.Fields(a)[1], strings.Fields(b)[1])
}

// reasonOf translates the error of a failed start.
func reasonOf(err error) string {
	if start, ok := err.(*StartError); ok {
		return start.ID + ">" + reasonOf(start.Err)
	}
	if e, ok := errors.AsType[*SpecError](err); ok {
		if e.Index < 0 && e.Fault < MissingID && e.Fault != NeedOneTemplate {
			return "bad_flags:" + faultWord(e.Fault)
		}
		return "bad_spec:" + faultWord(e.Fault)
	}
	if _, ok := errors.AsType[*PanicError](err); ok {
		return "crash"
	}
	return err.Error()
}

var faultWords = map[Fault]string{
	InvalidStrategy: "invalid_strategy", InvalidIntensity: "invalid_intensity", InvalidPeriod: "invalid_period",
	InvalidAutoShutdown: "invalid_auto_shutdown", NeedOneTemplate: "need_exactly_one_template",
	MissingID: "missing_id", DuplicateID: "duplicate_id", MissingService: "missing_start", InvalidService: "invalid_start",
	InvalidRestart: "invalid_restart_type", InvalidShutdown: "invalid_shutdown", InvalidType: "invalid_child_type",
	SignificantPermanent: "bad_combination:restart=permanent+significant=true",
	SignificantNever:     "bad_combination:auto_shutdown=never+significant=true",
}

func faultWord(f Fault) string {
	if w := faultWords[f]; w != "" {
		return w
	}
	return f.String()
}
