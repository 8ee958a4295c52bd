package wire_test

import (
	"bytes"
	"fmt"
	"reflect"
	"time"

	"github.com/verdigris-go/verdigris/wire"
)

// A call and its answer, as the two sides see them.
func Example() {
	codec, err := wire.CodecFor[[]string]()
	if err != nil {
		panic(err)
	}

	// The parent: the call's head, then its input.
	frame := wire.Begin(nil, wire.KindCall, 1)
	frame, _ = wire.AppendCallHead(frame, "sort", 2*time.Second, nil)
	frame, _ = codec.Append(frame, []string{"b", "a"})
	if err := wire.End(frame, 0, wire.DefaultLimit); err != nil {
		panic(err)
	}

	// The worker.
	r := wire.NewReader(bytes.NewReader(frame), wire.DefaultLimit)
	f, err := r.Next()
	if err == nil {
		err = f.Check(wire.Calls, wire.ToWorker)
	}
	if err != nil {
		panic(err)
	}
	call, _ := wire.ParseCall(f.Body)
	input, err := codec.Decode(call.Input)
	fmt.Printf("%v %d: %s %v, %v left, %v\n", f.Kind, f.ID, call.Func, input, call.Timeout, err)
	// Output:
	// call 1: sort [b a], 2s left, <nil>
}

func ExampleCheckType() {
	type Output struct{ Progress chan int }
	type Job struct{ Out Output }
	fmt.Println(wire.CheckType(reflect.TypeFor[Job]()))
	// Output:
	// wire: Job.Out.Progress: a channel cannot cross a process boundary; pass values
}

func ExampleCodec_Signature() {
	type Job struct {
		Path  string
		Width int `cbor:"w"`
	}
	codec, _ := wire.CodecFor[*Job]()
	fmt.Println(codec.Signature())
	// Output:
	// {"Path":tstr,"w":int64}/null
}
