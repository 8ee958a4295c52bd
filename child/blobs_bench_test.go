//go:build linux

package child_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/wire"
)

// look at each page of the data, which is what reading it costs at least
func touch(data []byte) (sum int) {
	for i := 0; i < len(data); i += 4096 {
		sum += int(data[i])
	}
	return sum
}

var (
	touchBytes = child.Define("bench.touch", func(_ context.Context, in []byte) (int, error) { return touch(in), nil })
	touchBlob  = child.Define("bench.touch.blob", func(_ context.Context, in wire.Blob) (int, error) {
		data, err := in.Bytes()
		return touch(data), err
	})
)

// fill is the work of who makes the data.
func fill(data []byte) error {
	for i := range data {
		data[i] = 1
	}
	return nil
}

// A payload as bytes and as a Blob: the same one again and again, one that is copied for each call,
// and one that is filled for each call, where it is. What counts are the ratios.
func BenchmarkBlob(b *testing.B) {
	for _, mib := range []int{1, 16, 256} {
		size := mib << 20
		p, ready := begin(b, child.Config{MaxFrame: 512 << 20})
		<-ready
		data := bytes.Repeat([]byte{1}, size)
		run := func(name string, call func() (int, error)) {
			b.Run(fmt.Sprintf("%dMiB/%s", mib, name), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for b.Loop() {
					if n, err := call(); n != size/4096 || err != nil {
						b.Fatal(n, err)
					}
				}
			})
		}
		run("bytes", func() (int, error) { return touchBytes.Call(b.Context(), p, data) })
		run("filled/bytes", func() (int, error) {
			fresh := make([]byte, size)
			must(b, fill(fresh))
			return touchBytes.Call(b.Context(), p, fresh)
		})
		run("filled/blob", func() (int, error) {
			blob, err := wire.FillBlob(int64(size), fill)
			if err != nil {
				return 0, err
			}
			defer blob.Close()
			return touchBlob.Call(b.Context(), p, blob)
		})
		same, err := wire.NewBlob(data)
		must(b, err)
		run("same", func() (int, error) { return touchBlob.Call(b.Context(), p, same) })
		same.Close()
		run("new", func() (int, error) {
			blob, err := wire.NewBlob(data)
			if err != nil {
				return 0, err
			}
			defer blob.Close()
			return touchBlob.Call(b.Context(), p, blob)
		})
	}
}
