//go:build linux

package child_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/verdigris-go/verdigris/child"
)

// Shout fails on the empty string, as nobody has thought of.
var Shout = child.Define("example.shout", func(_ context.Context, s string) (string, error) {
	return s + string(s[len(s)-1]) + "!", nil
})

func ExampleReplay() {
	dir, err := os.MkdirTemp("", "") // in earnest, a directory that stays
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()

	// In production: the call that kills its worker leaves a file behind.
	cfg := child.Config{Replay: child.ReplayFiles{Dir: filepath.Join(dir, "crashes")}}
	_, err = child.Once(child.WithKey(ctx, "order 66"), cfg, Shout, "")
	crash, _ := errors.AsType[*child.CrashError](err)

	// At the desk: look at it, and run it again.
	kept, err := child.ReadReplay(crash.Replay)
	fmt.Println(kept.Func, kept.Meta["key"], kept.Cause, err)
	input, err := Shout.InputOf(kept)
	fmt.Printf("%q %v\n", input, err)

	again := child.Replay(ctx, child.Config{}, crash.Replay)
	fmt.Println(errors.Is(again, child.Panicked))
	// Output:
	// example.shout order 66 panic <nil>
	// "" <nil>
	// true
}
