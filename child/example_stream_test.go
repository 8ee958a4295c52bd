package child_test

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/verdigris-go/verdigris/child"
)

// Lines is a stream: it yields each line of a text as soon as it has it.
var Lines = child.DefineStream("example.lines", func(ctx context.Context, text string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		done, total := int64(0), int64(len(text))
		for line := range strings.Lines(text) {
			if !yield(strings.TrimSpace(line), nil) {
				return // nobody wants more
			}
			done += int64(len(line))
			child.Report(ctx, child.Progress{Done: done, Total: total})
		}
	}
})

func ExampleStream() {
	c := child.NewInline(child.Config{}) // or a Process, or a pool
	var last child.Progress              // the function's, which may be ahead of the loop
	ctx := child.OnProgress(context.Background(), func(p child.Progress) { last = p })
	for line, err := range Lines.Call(ctx, c, "one\ntwo\nthree\n") {
		if err != nil {
			fmt.Println("it has ended early:", err)
			break
		}
		fmt.Println(line)
	}
	fmt.Println(last.Done, "of", last.Total, "bytes")
	for line := range Lines.Call(ctx, c, "four\nfive\n") {
		fmt.Println(line)
		break // the function is told
	}
	// Output:
	// one
	// two
	// three
	// 14 of 14 bytes
	// four
}
