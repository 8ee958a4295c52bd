package wire

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"
)

// The golden vectors are the protocol in bytes, for people who write the other side in another language. They never
// change within a protocol version. Three files, each line a name and bytes in hex:
//
//	frames.txt   frames that are sent and accepted
//	values.txt   values of Go types
//	refused.txt  frames and items that are refused
//
// docs/wire.md quotes them; a test holds the two together. After adding one: go test ./wire -run Golden -update
var update = flag.Bool("update", false, "write the golden vectors")

type vector struct {
	name  string
	bytes []byte
}

// frame puts a body into a frame.
func frame(k Kind, id uint64, body []byte) []byte { return AppendFrame(nil, k, id, body) }

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// goldenFrames is a whole conversation, in order.
func goldenFrames() []vector {
	call := must(AppendCallHead(nil, "resize", 1500*time.Millisecond, nil))
	traced := must(AppendCallHead(nil, "resize", 0, map[string]string{
		MetaKey: "cat.qoi", MetaTraceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	}))
	optional := frame(Kind(0x7f), 0, []byte{itemNull})
	optional[2] = flagOptional
	return []vector{
		{"hello", frame(KindHello, 0, must(Hello{PID: 4711, Build: "b1", Language: "go1.26", Capabilities: []string{CapStatusPage}, Functions: []Function{{Name: "resize", In: "bstr", Out: "tstr"}}}.Append(nil)))},
		{"hello-minimal", frame(KindHello, 0, must(Hello{}.Append(nil)))},
		{"hello-stream", frame(KindHello, 0, must(Hello{Language: "c", Capabilities: []string{CapStreams}, Functions: []Function{{Name: "pages", Stream: true}}}.Append(nil)))},
		{"setup", frame(KindSetup, 0, must(Setup{Limit: DefaultLimit, Concurrency: 1, State: "pdf", StateInput: []byte{0xa1, 0x63, 'D', 'P', 'I', 0x18, 150}, LogLevel: int(slog.LevelDebug), Capabilities: []string{CapStatusPage}}.Append(nil)))},
		{"setup-minimal", frame(KindSetup, 0, must(Setup{Limit: DefaultLimit, Concurrency: 1}.Append(nil)))},
		{"setup-window", frame(KindSetup, 0, must(Setup{Limit: DefaultLimit, Concurrency: 1, Window: 1 << 20}.Append(nil)))},
		{"ready", frame(KindReady, 0, must(Ready{}.Append(nil)))},
		{"start-failed", frame(KindStartFailed, 0, must(StartFailed{Message: "no licence", Codes: []string{"pdf.licence"}}.Append(nil)))},
		{"call", frame(KindCall, 1, append(call, 0x43, 1, 2, 3))},
		{"call-with-meta", frame(KindCall, 2, append(traced, 0xa1, 0x61, 'W', 0x18, 64))},
		{"cancel", frame(KindCancel, 2, must(Cancel{DeadlineExceeded}.Append(nil)))},
		{"answer", frame(KindAnswer, 1, appendText(nil, "done"))},
		{"error", frame(KindError, 2, ErrorBody{Message: "no such page", Codes: []string{"pdf.page"}}.Append(nil))},
		{"error-with-attrs", frame(KindError, 2, ErrorBody{Message: "no such page", Attrs: map[string]string{"page": "9"}}.Append(nil))},
		{"panic", frame(KindPanic, 3, PanicBody{"index out of range", "main.go:7"}.Append(nil))},
		{"item", frame(KindItem, 4, appendUint(nil, 1000))},
		{"credit", frame(KindCredit, 4, must(Credit{524288}.Append(nil)))},
		{"done", frame(KindDone, 4, nil)},
		{"progress", frame(KindProgress, 5, ProgressBody{7, 100, "cat.qoi"}.Append(nil))},
		{"log", frame(KindLog, 0, Log{Time: noon, Level: slog.LevelWarn, Message: "slow", Source: "a.go:3", Dropped: 2, Attrs: []slog.Attr{
			slog.String("s", "x"), slog.Int("i", -5), slog.Uint64("u", math.MaxUint64), slog.Float64("f", 1.5), slog.Bool("b", true),
			slog.Duration("d", time.Second), slog.Time("t", noon), slog.Group("g", slog.Int("a", 1)),
		}}.Append(nil))},
		{"parcel", frame(KindParcel, 6, must(Parcel{[]BlobRef{{Number: 7, Size: 5}, {Number: 8, Size: 1 << 30}}}.Append(nil)))},
		{"call-with-blobs", frame(KindCall, 6, append(must(AppendCallHead(nil, "shift", 0, nil)), 0x82, 0x82, 7, 5, 0x82, 8, 0x1a, 0x40, 0, 0, 0))},
		{"return", frame(KindReturn, 6, must(Parcel{[]BlobRef{{Number: 1, Size: 5}}}.Append(nil)))},
		{"blob-answer", frame(KindBlobAnswer, 6, []byte{0x82, 1, 5})},
		{"setup-blobs", frame(KindSetup, 0, must(Setup{Limit: DefaultLimit, Concurrency: 1, Blobs: 1 << 30}.Append(nil)))},
		{"ping", frame(KindPing, 5, nil)},
		{"pong", frame(KindPong, 5, nil)},
		{"optional-unknown-kind", optional},
		{"shutdown", frame(KindShutdown, 0, must(Shutdown{5 * time.Second}.Append(nil)))},
		{"goodbye", frame(KindGoodbye, 0, must(Goodbye{"shutdown"}.Append(nil)))},
	}
}

type thumb struct {
	Width  int    `cbor:"1,keyasint"`
	Height int    `cbor:"2,keyasint"`
	Name   string `cbor:"name"`
	PNG    []byte
	At     time.Time
}

// value is the vector of one Go value, and a check that it decodes to itself.
func value[T any](name string, v T) vector {
	c, err := CodecFor[T]()
	if err != nil {
		panic(err)
	}
	b := must(c.Append(nil, v))
	back, err := c.Decode(b)
	if err != nil || !bytes.Equal(b, must(c.Append(nil, back))) {
		panic(fmt.Sprint(name, " does not decode to itself: ", err))
	}
	return vector{name, b}
}

func goldenValues() []vector {
	return []vector{
		value("nil-bytes", []byte(nil)),
		value("empty-bytes", []byte{}),
		value("bytes", []byte{1, 2, 3}),
		value("byte-array", [4]byte{1, 2, 3, 4}),
		value("empty-text", ""),
		value("text", "grün"),
		value("true", true),
		value("zero", 0),
		value("int-23", 23),
		value("int-24", 24),
		value("int-256", 256),
		value("int-65536", 65536),
		value("int-max", math.MaxInt64),
		value("int-min", math.MinInt64),
		value("uint-max", uint64(math.MaxUint64)),
		value("float-1.5", 1.5),
		value("float-0.1", 0.1),
		value("float-minus-zero", math.Copysign(0, -1)),
		value("float-infinity", math.Inf(1)),
		value("float-nan", math.NaN()),
		value("bigint", *new(big.Int).Lsh(big.NewInt(1), 64)),
		value("bigint-negative", *new(big.Int).Neg(new(big.Int).Lsh(big.NewInt(1), 65))),
		value("duration-1s", time.Second),
		value("time", noon),
		value("zero-time", time.Time{}),
		value("nil-pointer", (*int)(nil)),
		value("nil-slice", []int(nil)),
		value("empty-slice", []int{}),
		value("slice", []int{1, 2, 3}),
		value("map", map[string]int{"b": 1, "a": 2, "": 3, "aa": 4}),
		value("map-int-keys", map[int]string{-1: "m", 1: "p"}),
		value("empty-struct", struct{}{}),
		value("struct", thumb{64, 48, "cat", []byte{0x89}, noon}),
		value("struct-array", pair{A: 1, B: "b"}),
	}
}

// goldenRefused holds frames (with the limit 16 on the call channel to the parent) and items that must be refused.
func goldenRefused() []vector {
	ok := frame(KindAnswer, 1, []byte{itemNull})
	with := func(i int, b byte) []byte {
		f := bytes.Clone(ok)
		f[i] = b
		return f
	}
	return []vector{
		{"frame-bad-magic", with(0, 'P')},
		{"frame-kind-zero", with(1, 0)},
		{"frame-unknown-kind", with(1, 0x7f)},
		{"frame-flag-on-known-kind", with(2, 1)},
		{"frame-unknown-flag", with(2, 2)},
		{"frame-version-2", with(3, 2)},
		{"frame-body-of-17", frame(KindAnswer, 1, bytes.Repeat([]byte{0}, 17))},
		{"frame-call-to-parent", with(1, byte(KindCall))},
		{"frame-answer-without-id", with(15, 0)},
		{"frame-answer-without-body", frame(KindAnswer, 1, nil)},
		{"frame-done-with-body", with(1, byte(KindDone))},
		{"frame-credit-to-parent", with(1, byte(KindCredit))},
		{"frame-progress-without-body", frame(KindProgress, 1, nil)},
		{"frame-cut-in-header", ok[:15]},
		{"frame-cut-in-body", ok[:16]},
		{"item-empty", nil},
		{"item-cut", []byte{0x43, 1, 2}},
		{"item-and-more", []byte{0xf6, 0xf6}},
		{"item-indefinite-bytes", []byte{0x5f, 0x41, 1, 0xff}},
		{"item-indefinite-text", []byte{0x7f, 0x61, 'a', 0xff}},
		{"item-indefinite-array", []byte{0x9f, 1, 0xff}},
		{"item-indefinite-map", []byte{0xbf, 1, 1, 0xff}},
		{"item-break", []byte{0xff}},
		{"item-reserved", []byte{0x1c}},
		{"item-long-integer", []byte{0x18, 0x17}},
		{"item-long-length", []byte{0x58, 0x01, 0x00}},
		{"item-key-twice", []byte{0xa2, 0x01, 0x00, 0x01, 0x00}},
		{"item-key-twice-apart", []byte{0xa3, 0x01, 0x00, 0x02, 0x00, 0x01, 0x00}},
		{"item-not-utf8", []byte{0x61, 0xff}},
		{"item-tag-1", []byte{0xc1, 0x00}},
		{"item-tag-55799", []byte{0xd9, 0xd9, 0xf7, 0x00}},
		{"item-time-of-integer", []byte{0xc0, 0x00}},
		{"item-undefined", []byte{0xf7}},
		{"item-simple-value", []byte{0xf8, 0x20}},
		{"item-nested-65", append(bytes.Repeat([]byte{0x81}, 64), 0x80)},
		{"item-array-of-2^63", []byte{0x9b, 0x80, 0, 0, 0, 0, 0, 0, 0}},
	}
}

// golden reads a file of vectors.
func golden(t *testing.T, name string) []vector {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return parseVectors(t, string(text))
}

func parseVectors(t testing.TB, text string) []vector {
	t.Helper()
	var all []vector
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "#") || lines.Text() == "" {
			continue
		}
		name, digits, _ := strings.Cut(lines.Text(), " ")
		b, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, vector{name, b})
	}
	return all
}

func (v vector) String() string { return strings.TrimRight(fmt.Sprintf("%s %x", v.name, v.bytes), " ") }

// holdAgainst compares what the code produces with a file, or writes the file.
func holdAgainst(t *testing.T, file string, got []vector) {
	t.Helper()
	if *update {
		var b strings.Builder
		for _, v := range got {
			fmt.Fprintln(&b, v)
		}
		if err := os.WriteFile("testdata/"+file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := golden(t, file)
	if len(got) != len(want) {
		t.Fatalf("%s has %d vectors, the code %d", file, len(want), len(got))
	}
	for i := range want {
		if got[i].String() != want[i].String() {
			t.Errorf("%s: the code says\n%v, the file\n%v", file, got[i], want[i])
		}
	}
}

func TestGoldenEncoding(t *testing.T) {
	holdAgainst(t, "frames.txt", goldenFrames())
	holdAgainst(t, "values.txt", goldenValues())
	holdAgainst(t, "refused.txt", goldenRefused())
}

// reencode parses a frame's body and encodes it again.
func reencode(f Frame) ([]byte, error) {
	switch f.Kind {
	case KindHello:
		return again(f.Body, ParseHello, Hello.Append)
	case KindSetup:
		return again(f.Body, ParseSetup, Setup.Append)
	case KindReady:
		return again(f.Body, ParseReady, Ready.Append)
	case KindStartFailed:
		return again(f.Body, ParseStartFailed, StartFailed.Append)
	case KindCancel:
		return again(f.Body, ParseCancel, Cancel.Append)
	case KindShutdown:
		return again(f.Body, ParseShutdown, Shutdown.Append)
	case KindGoodbye:
		return again(f.Body, ParseGoodbye, Goodbye.Append)
	case KindLog:
		return again(f.Body, ParseLog, fallible(Log.Append))
	case KindError:
		return again(f.Body, ParseError, fallible(ErrorBody.Append))
	case KindParcel, KindReturn:
		return again(f.Body, ParseParcel, Parcel.Append)
	case KindCredit:
		return again(f.Body, ParseCredit, Credit.Append)
	case KindProgress:
		return again(f.Body, ParseProgress, fallible(ProgressBody.Append))
	case KindPanic:
		return again(f.Body, ParsePanic, fallible(PanicBody.Append))
	case KindCall:
		return again(f.Body, ParseCall, appendCall)
	}
	return f.Body, nil
}

func again[T any](body []byte, parse func([]byte) (T, error), app func(T, []byte) ([]byte, error)) ([]byte, error) {
	v, err := parse(body)
	if err != nil {
		return nil, err
	}
	return app(v, nil)
}

func fallible[T any](f func(T, []byte) []byte) func(T, []byte) ([]byte, error) {
	return func(v T, dst []byte) ([]byte, error) { return f(v, dst), nil }
}

func appendCall(c Call, dst []byte) ([]byte, error) {
	dst, err := AppendCallHead(dst, string(c.Func), c.Timeout, c.Meta)
	return append(dst, c.Input...), err
}

func TestGoldenDecoding(t *testing.T) {
	for _, v := range golden(t, "frames.txt") {
		f, err := NewReader(bytes.NewReader(v.bytes), DefaultLimit).Next()
		if v.name == "optional-unknown-kind" {
			if err != io.EOF {
				t.Errorf("%s is not skipped: %v", v.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", v.name, err)
			continue
		}
		traits, _ := f.Kind.traits()
		if err := f.Check(traits.channel, traits.direction); err != nil {
			t.Errorf("%s: %v", v.name, err)
		}
		body, err := reencode(f)
		if err != nil || !bytes.Equal(frame(f.Kind, f.ID, body), v.bytes) {
			t.Errorf("%s: decoded and encoded again it is %x, %v", v.name, frame(f.Kind, f.ID, body), err)
		}
	}
	for _, v := range golden(t, "values.txt") {
		if err := valid(v.bytes); err != nil {
			t.Errorf("%s: %v", v.name, err)
		}
	}
}

func TestGoldenRefused(t *testing.T) {
	for _, v := range golden(t, "refused.txt") {
		var err error
		if strings.HasPrefix(v.name, "item-") {
			err = valid(v.bytes)
		} else {
			err = readChecked(v.bytes)
		}
		if err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%s is accepted", v.name)
		}
	}
}

// readChecked reads one frame as a parent does on its call channel, with a limit of 16.
func readChecked(b []byte) error {
	f, err := NewReader(bytes.NewReader(b), 16).Next()
	if err != nil {
		return err
	}
	return f.Check(Calls, ToParent)
}

// The specification quotes the vectors, so that it can be read by itself; it must quote all of them, and rightly.
func TestSpecificationQuotesTheVectors(t *testing.T) {
	doc, err := os.ReadFile("../docs/wire.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"frames.txt", "values.txt", "refused.txt"} {
		text, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(doc), "```text\n"+string(text)+"```\n") {
			t.Errorf("docs/wire.md does not quote testdata/%s as it is", file)
		}
	}
}
