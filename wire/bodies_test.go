package wire

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"
)

// appender makes the Append methods that cannot fail look like the others.
func appender(f func([]byte) []byte) func([]byte) ([]byte, error) {
	return func(dst []byte) ([]byte, error) { return f(dst), nil }
}

// parser makes the Parse functions look alike.
func parser[T any](parse func([]byte) (T, error)) func([]byte) (any, error) {
	return func(b []byte) (any, error) { return parse(b) }
}

// body is one value of a body type with its two functions.
type body struct {
	value  any
	append func([]byte) ([]byte, error)
	parse  func([]byte) (any, error)
}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 123456789, time.FixedZone("", 3600))

func bodies() map[string]body {
	hello := Hello{1, 1, "build-id", 4711, "go1.26", []string{CapStatusPage}, []Function{{"resize", "bstr", "tstr", "pdf", true}, {Name: "f"}}}
	setup := Setup{1, DefaultLimit, 4, "pdf", []byte{0x18, 0x96}, int(slog.LevelWarn), []string{CapStatusPage}, 1 << 20, "build-id", 1 << 30}
	failed := StartFailed{"no licence", []string{"pdf.licence"}, "goroutine 1"}
	log := Log{noon, slog.LevelError, "slow", []slog.Attr{
		slog.String("s", "text"), slog.Int64("i", -5), slog.Uint64("u", 1<<63), slog.Float64("f", 0.5), slog.Bool("b", true),
		slog.Duration("d", -time.Second), slog.Time("t", noon), slog.Group("g", slog.Int("a", 1), slog.Group("h")),
	}, "a.go:3", 7}
	failure := ErrorBody{"no such page", []string{"pdf.page", "io.EOF"}, map[string]string{"page": "9"}}
	panicked := PanicBody{"index out of range", "goroutine 7"}
	parcel := Parcel{[]BlobRef{{Number: 7, Size: 1 << 40}, {Number: 8}}}
	progress := ProgressBody{-1, 1 << 62, "half of it"}
	return map[string]body{
		"hello":        {hello, hello.Append, parser(ParseHello)},
		"setup":        {setup, setup.Append, parser(ParseSetup)},
		"ready":        {Ready{}, Ready{}.Append, parser(ParseReady)},
		"start-failed": {failed, failed.Append, parser(ParseStartFailed)},
		"cancel":       {Cancel{DeadlineExceeded}, Cancel{DeadlineExceeded}.Append, parser(ParseCancel)},
		"credit":       {Credit{1 << 40}, Credit{1 << 40}.Append, parser(ParseCredit)},
		"parcel":       {parcel, parcel.Append, parser(ParseParcel)},
		"progress":     {progress, appender(progress.Append), parser(ParseProgress)},
		"shutdown":     {Shutdown{time.Second}, Shutdown{time.Second}.Append, parser(ParseShutdown)},
		"goodbye":      {Goodbye{"done"}, Goodbye{"done"}.Append, parser(ParseGoodbye)},
		"log":          {log, appender(log.Append), parser(ParseLog)},
		"error":        {failure, appender(failure.Append), parser(ParseError)},
		"panic":        {panicked, appender(panicked.Append), parser(ParsePanic)},
	}
}

func equalBody(a, b any) bool {
	l, ok := a.(Log)
	if !ok {
		return reflect.DeepEqual(a, b)
	}
	m := b.(Log)
	same := l.Time.Equal(m.Time)
	l.Time, m.Time = time.Time{}, time.Time{}
	return same && fmt.Sprint(l) == fmt.Sprint(m)
}

func TestBodiesRoundTrip(t *testing.T) {
	for name, b := range bodies() {
		out, err := b.append([]byte("head"))
		if err != nil || string(out[:4]) != "head" {
			t.Errorf("%s: %q, %v", name, out, err)
			continue
		}
		if err := valid(out[4:]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got, err := b.parse(out[4:])
		if err != nil || !equalBody(b.value, got) {
			t.Errorf("%s: sent %+v, got %+v, %v", name, b.value, got, err)
		}
		clear(out)
		if !equalBody(b.value, got) {
			t.Errorf("%s aliases the body", name)
		}
	}
}

// Whatever is cut off or added, a body is refused as a whole.
func TestBodiesCutAndExtended(t *testing.T) {
	for name, b := range bodies() {
		out, _ := b.append(nil)
		for n := range len(out) {
			v, err := b.parse(out[:n])
			if !errors.As(err, new(*DecodeError)) || !reflect.ValueOf(v).IsZero() {
				t.Fatalf("%s cut to %d bytes: %+v, %v", name, n, v, err)
			}
		}
		if _, err := b.parse(append(out, 0)); !errors.As(err, new(*DecodeError)) {
			t.Errorf("%s with a byte more: %v", name, err)
		}
	}
}

// A flipped bit may give another value, but never a panic, and never more than the limits allow.
func TestBodiesWithFlippedBits(t *testing.T) {
	for name, b := range bodies() {
		out, _ := b.append(nil)
		for bit := range 8 * len(out) {
			out[bit/8] ^= 1 << (bit % 8)
			if _, err := b.parse(out); err != nil && !errors.As(err, new(*DecodeError)) {
				t.Errorf("%s: %v", name, err)
			}
			out[bit/8] ^= 1 << (bit % 8)
		}
	}
}

// A newer peer may add keys to control bodies; this side ignores them.
func TestControlBodiesIgnoreUnknownKeys(t *testing.T) {
	b := append([]byte{0xa2, 0x01, 0x02}, 0x18, 0x63, 0x81, 0x01) // {1: 2, 99: [1]}
	if c, err := ParseCancel(b); err != nil || c.Reason != DeadlineExceeded {
		t.Errorf("%v, %v", c, err)
	}
	if _, err := ParseReady([]byte{0xa1, 0x01, 0x02}); err != nil {
		t.Error(err)
	}
}

func TestHandshakeRefuses(t *testing.T) {
	long := strings.Repeat("x", MaxSignature+1)
	for name, h := range map[string]Hello{
		"range":        {Version: 1, MinVersion: 2},
		"version zero": {Version: 1, MinVersion: -1},
		"build":        {Build: long},
		"no name":      {Functions: []Function{{}}},
		"long name":    {Functions: []Function{{Name: long}}},
		"signature":    {Functions: []Function{{Name: "f", In: long}}},
		"capabilities": {Capabilities: make([]string, MaxCapabilities+1)},
		"functions":    {Functions: make([]Function, MaxFunctions+1)},
		"not UTF-8":    {Language: "\xff"},
	} {
		if b, err := h.Append([]byte("x")); !errors.As(err, new(*EncodeError)) || string(b) != "x" {
			t.Errorf("hello with bad %s: %v", name, err)
		}
	}
	for name, s := range map[string]Setup{
		"limit":       {Limit: 0, Concurrency: 1},
		"high limit":  {Limit: MaxLimit + 1, Concurrency: 1},
		"concurrency": {Limit: 1, Concurrency: 0},
		"state":       {Limit: 1, Concurrency: 1, State: long},
		"window":      {Limit: 1, Concurrency: 1, Window: -1},
		"high window": {Limit: 1, Concurrency: 1, Window: MaxLimit + 1},
		"state input": {Limit: 1, Concurrency: 1, StateInput: []byte{0x9f, 0xff}},
	} {
		if _, err := s.Append(nil); !errors.As(err, new(*EncodeError)) {
			t.Errorf("setup with bad %s: %v", name, err)
		}
	}
	if _, err := (Shutdown{-1}).Append(nil); err == nil {
		t.Error("negative grace")
	}
	for _, bytes := range []int64{0, -1} {
		if _, err := (Credit{bytes}).Append(nil); err == nil {
			t.Errorf("a credit of %d", bytes)
		}
	}
	if _, err := ParseCredit([]byte{0xa0}); !errors.As(err, new(*DecodeError)) {
		t.Errorf("a credit of nothing: %v", err)
	}
}

// A window bounds small items in number too.
func TestItemCost(t *testing.T) {
	if ItemCost(1) < 64 || ItemCost(MaxLimit) < MaxLimit {
		t.Errorf("%d, %d", ItemCost(1), ItemCost(MaxLimit))
	}
}

// The receiver checks what the sender should have checked.
func TestParseHelloChecksLimits(t *testing.T) {
	h := Hello{Version: 1, MinVersion: 1, Functions: []Function{{Name: strings.Repeat("x", MaxName+1)}}}
	b, err := appendValue(nil, &h)
	if err != nil {
		t.Fatal(err)
	}
	if h, err := ParseHello(b); !errors.As(err, new(*DecodeError)) || h.Version != 0 {
		t.Errorf("%+v, %v", h, err)
	}
}

func TestNegotiate(t *testing.T) {
	for _, c := range []struct {
		min, max int
		ok       bool
	}{{1, 1, true}, {1, 9, true}, {2, 3, false}} {
		v, err := Hello{MinVersion: c.min, Version: c.max}.Negotiate()
		if c.ok != (err == nil) || c.ok && v != Version || !c.ok && !errors.As(err, new(*VersionError)) {
			t.Errorf("%+v: %d, %v", c, v, err)
		}
	}
}

// Reports about failures always get across, whatever is in them.
func TestReportsAreCutToTheLimits(t *testing.T) {
	huge := strings.Repeat("ä\xff", 1<<20)
	meta := map[string]string{}
	for i := range 2 * MaxMeta {
		meta[fmt.Sprint(huge[:300], i)] = huge
	}
	report := ErrorBody{huge, slicesOf(huge, 2*MaxCodes), meta}.Append(nil)
	if _, err := NewReader(bytes.NewReader(AppendFrame(nil, KindError, 1, report)), 16).Next(); err != nil {
		t.Errorf("the longest report does not get across: %v", err)
	}
	e, err := ParseError(report)
	if err != nil || len(e.Message) > MaxMessage || !strings.HasSuffix(e.Message, fmt.Sprintf(" ... (shortened from %d bytes)", len(huge))) || len(e.Codes) != MaxCodes {
		t.Errorf("error: %d bytes, %d codes, %v", len(e.Message), len(e.Codes), err)
	}
	report = PanicBody{huge, huge}.Append(nil)
	if _, err := NewReader(bytes.NewReader(AppendFrame(nil, KindPanic, 1, report)), 16).Next(); err != nil {
		t.Errorf("the longest panic does not get across: %v", err)
	}
	if p, err := ParsePanic(report); err != nil || len(p.Stack) > MaxStack || len(p.Stack) < MaxStack-8 {
		t.Errorf("panic: %d bytes, %v", len(p.Stack), err)
	}
	report = ProgressBody{1, 2, huge}.Append(nil)
	if _, err := NewReader(bytes.NewReader(AppendFrame(nil, KindProgress, 1, report)), 16).Next(); err != nil {
		t.Errorf("the longest progress does not get across: %v", err)
	}
	if p, err := ParseProgress(report); err != nil || len(p.Note) > MaxNote || p.Done != 1 || p.Total != 2 {
		t.Errorf("progress: %d bytes, %v", len(p.Note), err)
	}
	b, err := StartFailed{huge, slicesOf(huge, 2*MaxCodes), huge}.Append(nil)
	if f, err2 := ParseStartFailed(b); err != nil || err2 != nil || len(f.Message) > MaxMessage {
		t.Errorf("start-failed: %v, %v", err, err2)
	}
	if b, err = (Goodbye{huge}).Append(nil); err != nil || len(b) > MaxMessage+100 {
		t.Errorf("goodbye: %d bytes, %v", len(b), err)
	}
}

func slicesOf(s string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = s
	}
	return all
}

type valuer struct{ n *int }

func (v valuer) LogValue() slog.Value { *v.n++; return slog.GroupValue(slog.Int("n", *v.n)) }

type angry struct{}

func (*angry) Error() string { panic("nil receiver") }

func TestLogOfAnything(t *testing.T) {
	calls := 0
	deep := slog.Int("bottom", 1)
	for range 3 * maxAttrDepth {
		deep = slog.Group("g", deep)
	}
	l := Log{Message: "\xff", Attrs: []slog.Attr{
		slog.Any("error", errors.New("wrapped")), slog.Any("nil", nil), slog.Any("angry", (*angry)(nil)), slog.Any("valuer", valuer{&calls}),
		slog.Any("struct", struct{ A int }{1}), slog.Time("never", time.Time{}), slog.String("\xff", strings.Repeat("x", 1<<20)), deep,
		{},
	}}
	got, err := ParseLog(l.Append(nil))
	if err != nil || len(got.Attrs) != len(l.Attrs) || !got.Time.IsZero() || got.Message != "?" {
		t.Fatalf("%v, %v", got, err)
	}
	if calls != 1 {
		t.Errorf("LogValue was called %d times", calls)
	}
	for i, want := range []string{"wrapped", "<nil>", "<nil>", "[n=1]", "{A:1}", "0001-01-01"} {
		if s := got.Attrs[i].Value.String(); !strings.Contains(s, want) {
			t.Errorf("%s is %s, want %s", got.Attrs[i].Key, s, want)
		}
	}
}

func TestLogWithTooManyAttrs(t *testing.T) {
	var inner, outer []any
	for i := range MaxAttrs {
		inner = append(inner, slog.String(fmt.Sprint("inner", i), strings.Repeat("x", 2*MaxAttrText)))
		outer = append(outer, slog.Int(fmt.Sprint("outer", i), i))
	}
	l := Log{Attrs: []slog.Attr{slog.Group("a", inner...), slog.Group("b", outer...)}}
	b := l.Append(nil)
	if len(b) > ControlLimit {
		t.Fatalf("%d bytes do not fit the control channel", len(b))
	}
	got, err := ParseLog(b)
	if err != nil {
		t.Fatal(err)
	}
	group := got.Attrs[0].Value.Group()
	if last := group[len(group)-1]; last.Key != "attributes left out" || last.Value.Int64() != 1 {
		t.Errorf("the group ends with %v", last)
	}
	if last := got.Attrs[1]; last.Key != "attributes left out" || last.Value.Int64() != 1 {
		t.Errorf("the record ends with %v", last)
	}
}

func TestParseLogBoundsGroups(t *testing.T) {
	deep := []byte{0x80}
	for range maxAttrDepth + 1 {
		deep = append([]byte{0x81, 0x83, 0x61, 'g', byte(attrGroup)}, deep...)
	}
	for name, attrs := range map[string][]byte{
		"deep":   deep,
		"many":   append([]byte{0x99, 0x01, 0x00}, bytes.Repeat([]byte{0x83, 0x60, 0x04, itemTrue}, 256)...),
		"kind":   {0x81, 0x83, 0x60, 0x18, 0x63, 0x00},
		"type":   {0x81, 0x83, 0x60, byte(attrFloat), 0x00},
		"bool":   {0x81, 0x83, 0x60, byte(attrBool), 0x01},
		"time":   {0x81, 0x83, 0x60, byte(attrTime), 0xc0, 0x61, 'x'},
		"tag":    {0x81, 0x83, 0x60, byte(attrTime), 0xc2, 0x41, 'x'},
		"pair":   {0x81, 0x82, 0x60, 0x00},
		"no key": {0x81, 0x83, 0x01, 0x00, 0x60},
	} {
		b := append([]byte{0xa1, 0x04}, attrs...)
		if l, err := ParseLog(b); !errors.As(err, new(*DecodeError)) {
			t.Errorf("%s: %v, %v", name, l, err)
		}
	}
}

// Every error of the package is one line that says what happened.
func TestErrorsAreOneLine(t *testing.T) {
	for _, err := range []error{
		&SizeError{KindCall, "", 10, 5}, &SizeError{KindCall, "function name", 10, 5}, &VersionError{2, 3},
		&DecodeError{"hello", errUTF8}, &EncodeError{"hello", errCycle}, &TypeError{nil, "Job.Ch", "a channel"},
		&ProtocolError{Fault: 99},
	} {
		if s := err.Error(); !strings.HasPrefix(s, "wire: ") || strings.Contains(s, "\n") {
			t.Errorf("%T: %s", err, s)
		}
	}
}
