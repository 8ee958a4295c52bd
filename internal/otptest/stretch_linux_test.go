package otptest

import (
	"encoding/json"
	"slices"
	"testing"
)

// stretch is by how much limits and delays are longer for processes, which need longer to die than the shortest
// limits of a scenario when the machine is busy.
const stretch = 5

// stretched returns the scenario with all its times stretched. One that sleeps is left as it is: it is about the
// period of an intensity, which is long enough.
func stretched(sc *Scenario) *Scenario {
	if slices.ContainsFunc(sc.Steps, func(st Step) bool { return st.Op == "sleep" }) {
		return sc
	}
	var out Scenario
	mustUnmarshal(raw(stretchAll(normal(sc))), &out)
	return &out
}

// stretchAll stretches the times in a piece of JSON, in place. The default limit, which need not be written, stays.
func stretchAll(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = stretchAll(v[i])
		}
	case map[string]any:
		for key, value := range v {
			n, isNumber := value.(float64)
			if isNumber && slices.Contains(timeKeys, key) && n != 5000 {
				v[key] = n * stretch
			} else {
				v[key] = stretchAll(value)
			}
		}
	}
	return v
}

var timeKeys = []string{"shutdown", "delay_ms", "exit_after_ms", "min_ms", "max_ms"}

func TestStretched(t *testing.T) {
	const before = `{"tree":{"period_s":2,"children":[{"id":"a","shutdown":30,"behaviour":{"stop":[{"delay_ms":10}]}},
		{"id":"b","shutdown":5000},{"id":"c","shutdown":"infinity"}]},"steps":[{"op":"stop","max_ms":7}],
		"expect":{"start":{"result":{"ok":{"shutdown":30}}}}}`
	const after = `{"tree":{"period_s":2,"children":[{"id":"a","shutdown":150,"behaviour":{"stop":[{"delay_ms":50}]}},
		{"id":"b","shutdown":5000},{"id":"c","shutdown":"infinity"}]},"steps":[{"op":"stop","max_ms":35}],
		"expect":{"start":{"result":{"ok":{"shutdown":150}}}}}`
	var in, want Scenario
	mustUnmarshal([]byte(before), &in)
	mustUnmarshal([]byte(after), &want)
	if got, want := string(raw(stretched(&in))), string(raw(&want)); got != want {
		t.Errorf("\n got  %s\n want %s", got, want)
	}
}

func raw(v any) json.RawMessage {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}
