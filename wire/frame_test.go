package wire

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestBeginEnd(t *testing.T) {
	dst := []byte("before")
	start := len(dst)
	dst = append(Begin(dst, KindCall, 0x0102030405060708), "body"...)
	if err := End(dst, start, 4); err != nil {
		t.Fatal(err)
	}
	want := "before\x56\x10\x00\x01\x00\x00\x00\x04\x01\x02\x03\x04\x05\x06\x07\x08body"
	if string(dst) != want {
		t.Errorf("%q", dst)
	}
	if whole := AppendFrame([]byte("before"), KindCall, 0x0102030405060708, []byte("body")); string(whole) != want {
		t.Errorf("AppendFrame: %q", whole)
	}
	var size *SizeError
	if err := End(dst, start, 3); !errors.As(err, &size) || size.Size != 4 || size.Limit != 3 || size.Kind != KindCall {
		t.Errorf("over the limit: %v", err)
	}
}

func TestKindsBelongToOneChannelAndDirection(t *testing.T) {
	for n := range 256 {
		k, places := Kind(n), 0
		for _, c := range []Channel{Control, Calls} {
			for _, d := range []Direction{ToWorker, ToParent} {
				if k.Valid(c, d) {
					places++
				}
			}
		}
		if known := 0; k.Known() {
			known = 1
			if places != known || strings.HasPrefix(k.String(), "Kind(") {
				t.Errorf("%v is valid in %d places", k, places)
			}
		} else if places != known {
			t.Errorf("unknown kind %d is valid", n)
		}
	}
}

func TestCheck(t *testing.T) {
	body := []byte{itemNull}
	for _, c := range []struct {
		name  string
		frame Frame
		c     Channel
		d     Direction
		want  Fault
	}{
		{"answer", Frame{Kind: KindAnswer, ID: 1, Body: body}, Calls, ToParent, 0},
		{"pong with a number", Frame{Kind: KindPong, ID: 9, Body: nil}, Control, ToParent, 0},
		{"pong without", Frame{Kind: KindPong, ID: 0, Body: nil}, Control, ToParent, 0},
		{"setup from a worker", Frame{Kind: KindSetup, ID: 0, Body: body}, Control, ToParent, Misplaced},
		{"call from a worker", Frame{Kind: KindCall, ID: 1, Body: body}, Calls, ToParent, Misplaced},
		{"answer on the control channel", Frame{Kind: KindAnswer, ID: 1, Body: body}, Control, ToParent, Misplaced},
		{"answer to no call", Frame{Kind: KindAnswer, ID: 0, Body: body}, Calls, ToParent, BadID},
		{"hello about a call", Frame{Kind: KindHello, ID: 1, Body: body}, Control, ToParent, BadID},
		{"cancel of no call", Frame{Kind: KindCancel, ID: 0, Body: body}, Control, ToWorker, BadID},
		{"answer without a value", Frame{Kind: KindAnswer, ID: 1, Body: nil}, Calls, ToParent, BadLength},
		{"ping with a body", Frame{Kind: KindPing, ID: 1, Body: body}, Control, ToWorker, BadLength},
		{"unknown", Frame{Kind: Kind(77), ID: 1, Body: body}, Calls, ToParent, UnknownKind},
	} {
		err := c.frame.Check(c.c, c.d)
		var fault *ProtocolError
		switch {
		case c.want == 0 && err == nil:
		case !errors.As(err, &fault), fault.Fault != c.want, strings.Contains(err.Error(), "protocol fault"):
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestCallHead(t *testing.T) {
	meta := map[string]string{MetaKey: "cat.qoi", MetaTraceparent: "00-aa-bb-01"}
	b, err := AppendCallHead([]byte("x"), "resize", 5e9, meta)
	if err != nil {
		t.Fatal(err)
	}
	b = append(b, 0x41, 7)
	call, err := ParseCall(b[1:])
	if err != nil || string(call.Func) != "resize" || call.Timeout != 5e9 || len(call.Meta) != 2 || call.Meta[MetaKey] != "cat.qoi" {
		t.Fatalf("%+v, %v", call, err)
	}
	if !bytes.Equal(call.Input, []byte{0x41, 7}) || &call.Input[0] != &b[len(b)-2] {
		t.Error("the input is not the sub-slice")
	}
	for range 50 {
		if again, _ := AppendCallHead([]byte("x"), "resize", 5e9, meta); !bytes.Equal(again, b[:len(b)-2]) {
			t.Fatal("the same call has two encodings")
		}
	}
}

func TestParseCallRefuses(t *testing.T) {
	head := func(meta string) string { return "\x84\x61f\x00" + meta }
	for name, body := range map[string]string{
		"another array":    "\x83\x61f\x00\xf6",
		"no array":         "\xa0",
		"a name in bytes":  "\x84\x41f\x00\xf6\xf6",
		"negative timeout": "\x84\x61f\x20\xf6\xf6",
		"huge timeout":     "\x84\x61f\x1b\x80\x00\x00\x00\x00\x00\x00\x00\xf6\xf6",
		"no input":         head("\xf6"),
		"a meta key twice": head("\xa2\x61k\x61v\x61k\x61v\xf6"),
		"a number as meta": head("\xa1\x61k\x01\xf6"),
		"much meta":        head("\xb8\x21" + strings.Repeat("\x60\x60", 33) + "\xf6"),
		"a lying name":     "\x84\x7b\xff\xff\xff\xff\xff\xff\xff\xff",
	} {
		if call, err := ParseCall([]byte(body)); !errors.As(err, new(*DecodeError)) || call.Func != nil {
			t.Errorf("%s: %+v, %v", name, call, err)
		}
	}
}

func TestCallHeadLimits(t *testing.T) {
	many := map[string]string{}
	for i := range MaxMeta + 1 {
		many[strings.Repeat("k", i+1)] = ""
	}
	for name, c := range map[string]struct {
		fn   string
		meta map[string]string
	}{
		"name":       {strings.Repeat("f", MaxName+1), nil},
		"meta count": {"f", many},
		"meta key":   {"f", map[string]string{strings.Repeat("k", MaxName+1): ""}},
		"meta value": {"f", map[string]string{"k": strings.Repeat("v", MaxMetaValue+1)}},
	} {
		b, err := AppendCallHead([]byte("x"), c.fn, 0, c.meta)
		var size *SizeError
		if !errors.As(err, &size) || size.What == "" || string(b) != "x" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := AppendCallHead(nil, "\xff", 0, nil); !errors.As(err, new(*EncodeError)) {
		t.Errorf("not UTF-8: %v", err)
	}
}

// A deadline that has passed must not become a call without limit.
func TestCallTimeoutNeverTurnsIntoNone(t *testing.T) {
	b, _ := AppendCallHead(nil, "f", -1, nil)
	call, err := ParseCall(append(b, itemNull))
	if err != nil || call.Timeout != 1 {
		t.Errorf("%v, %v", call.Timeout, err)
	}
}

func TestParseCallAllocatesOnlyForMeta(t *testing.T) {
	b, _ := AppendCallHead(nil, "resize", 1e9, nil)
	b = append(b, itemNull)
	if n := testing.AllocsPerRun(100, func() { _, _ = ParseCall(b) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { b, _ = AppendCallHead(b[:0], "resize", 1e9, nil) }); n > 0 {
		t.Errorf("AppendCallHead: %v allocations", n)
	}
}

func TestSetID(t *testing.T) {
	frame := AppendFrame(nil, KindCall, 0, []byte{0x80})
	SetID(frame, 1<<63+7)
	if want := AppendFrame(nil, KindCall, 1<<63+7, []byte{0x80}); !bytes.Equal(frame, want) {
		t.Errorf("got %x, want %x", frame, want)
	}
}
