package child_test

import (
	"maps"
	"testing"

	"github.com/verdigris-go/verdigris/child"
)

func TestCarriedValues(t *testing.T) {
	ctx := child.WithMeta(child.WithKey(t.Context(), "k"), child.TraceState, "s")
	sent := child.AllMeta(ctx)
	if want := (map[string]string{"key": "k", child.TraceState: "s"}); !maps.Equal(sent, want) {
		t.Errorf("%v", sent)
	}
	sent[child.Via], sent["verdigris.progress"], sent[child.TraceState] = "a b", "1", "t"
	there := child.WithAllMeta(child.WithMeta(t.Context(), "tenant", "green"), sent)
	if got, want := child.AllMeta(there), (map[string]string{"key": "k", child.TraceState: "t", child.Via: "a b", "tenant": "green"}); !maps.Equal(got, want) {
		t.Errorf("%v", got)
	}
	if child.Meta(there, "verdigris.progress") != "" || child.Key(there) != "k" {
		t.Error("what is about one call has been carried to another")
	}
	if got := child.AllMeta(t.Context()); len(got) != 0 {
		t.Error(got)
	}
}
