package wire

import (
	"fmt"
	"testing"

	"github.com/fxamacker/cbor/v2"
)

var sizes = []int{16, 1 << 10, 64 << 10, 1 << 20}

func BenchmarkAppendFrame(b *testing.B) {
	c := mustCodec[[]byte](b)
	for _, size := range sizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			payload := make([]byte, size)
			var buf []byte
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				buf = Begin(buf[:0], KindAnswer, 1)
				buf, _ = c.Append(buf, payload)
				_ = End(buf, 0, DefaultLimit)
			}
		})
	}
}

func BenchmarkReader(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			r := NewReader(&frames{frame: AppendFrame(nil, KindAnswer, 1, make([]byte, size))}, DefaultLimit)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Next(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// benchOrder is the struct of the rows in bench.
type benchOrder struct {
	ID            uint64
	Customer      string
	Width, Height int
	Ratio         float64
	Urgent        bool
}

var smallOrder = benchOrder{123456, "customer-0042", 640, 480, 1.3333, true}

type benchJob struct {
	Name          string
	Width, Height int
	Quality       float64
	Tags          []string
}

var job = benchJob{"cat.qoi", 640, 480, 0.8, []string{"animal", "cat"}}

// The codec beside the CBOR library alone, with and without a buffer of one's own: the difference is what the checks
// cost.
func BenchmarkEncodeStruct(b *testing.B) {
	c := mustCodec[benchJob](b)
	b.Run("codec", func(b *testing.B) {
		var buf []byte
		b.ReportAllocs()
		for b.Loop() {
			buf, _ = c.Append(buf[:0], job)
		}
	})
	orders := mustCodec[benchOrder](b)
	b.Run("order", func(b *testing.B) {
		var buf []byte
		b.ReportAllocs()
		for b.Loop() {
			buf, _ = orders.Append(buf[:0], smallOrder)
		}
	})
	b.Run("order/library", func(b *testing.B) {
		var buf []byte
		b.ReportAllocs()
		for b.Loop() {
			buf, _ = orders.plan.encodeByLibrary(buf[:0], &smallOrder)
		}
	})
	b.Run("appendValue", func(b *testing.B) {
		var buf []byte
		b.ReportAllocs()
		for b.Loop() {
			buf, _ = appendValue(buf[:0], &job)
		}
	})
	b.Run("cbor.Marshal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = cbor.Marshal(job)
		}
	})
}

func BenchmarkDecodeStruct(b *testing.B) {
	c := mustCodec[benchJob](b)
	body, _ := c.Append(nil, job)
	b.Run("codec", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = c.Decode(body)
		}
	})
	orders := mustCodec[benchOrder](b)
	small, _ := orders.Append(nil, smallOrder)
	b.Run("order", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = orders.Decode(small)
		}
	})
	b.Run("order/library", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var v benchOrder
			_ = decodeByLibrary(small, &v)
		}
	})
	b.Run("cbor.Unmarshal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var v benchJob
			_ = cbor.Unmarshal(body, &v)
		}
	})
}

func BenchmarkCall(b *testing.B) {
	var buf []byte
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf, _ = AppendCallHead(buf[:0], "resize", 1e9, nil)
			buf = append(buf, itemNull)
		}
	})
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = ParseCall(buf)
		}
	})
}

func BenchmarkValid(b *testing.B) {
	numbers, _ := mustCodec[[]int](b).Append(nil, make([]int, 10_000))
	b.SetBytes(int64(len(numbers)))
	for b.Loop() {
		_ = valid(numbers)
	}
}
