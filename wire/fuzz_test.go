package wire

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"testing/iotest"
	"time"
)

// seeds adds every golden vector to a corpus.
func seeds(f *testing.F, files ...string) {
	f.Helper()
	for _, name := range files {
		text, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		for _, v := range parseVectors(f, string(text)) {
			f.Add(v.bytes)
		}
	}
}

// bodySeeds adds the bodies of the golden frames.
func bodySeeds(f *testing.F) {
	f.Helper()
	for _, v := range goldenFrames() {
		f.Add(v.bytes[HeaderSize:])
	}
}

// Whatever arrives: no panic, no frame over the limit, the same frames however the bytes come in, and what is accepted
// is exactly what was sent.
func FuzzReader(f *testing.F) {
	seeds(f, "frames.txt", "refused.txt")
	long, _ := stream()
	f.Add(long)
	f.Fuzz(func(t *testing.T, b []byte) {
		const limit = 100_000
		whole, err := readAll(bytes.NewReader(b), limit)
		single, err2 := readAll(iotest.OneByteReader(bytes.NewReader(b)), limit)
		if len(whole) != len(single) || err.Error() != err2.Error() {
			t.Fatalf("%d frames and %v at once, %d and %v byte by byte", len(whole), err, len(single), err2)
		}
		var sent []byte
		for i, frame := range whole {
			if len(frame.Body) > max(limit, ReportLimit) || !same(frame, single[i]) {
				t.Fatalf("frame %d: %v", i, frame)
			}
			sent = AppendFrame(sent, frame.Kind, frame.ID, frame.Body)
		}
		if err == io.EOF && len(sent) == len(b) && !bytes.Equal(sent, b) {
			t.Fatal("the frames are not what was sent")
		}
	})
}

// What valid accepts has a second reading that agrees: the CBOR library finds it well-formed too.
func FuzzValid(f *testing.F) {
	seeds(f, "values.txt", "refused.txt")
	bodySeeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if valid(b) != nil {
			return
		}
		if err := shared().dec.Wellformed(b); err != nil {
			t.Fatalf("valid accepts %x: %v", b, err)
		}
		if valid(append(bytes.Clone(b), 0)) == nil {
			t.Fatalf("a byte more is accepted: %x", b)
		}
		if len(b) > 0 && valid(b[:len(b)-1]) == nil {
			t.Fatalf("a byte less is accepted: %x", b)
		}
	})
}

// Every body parser survives everything, and whatever it accepts encodes to something that it accepts as the same.
func FuzzBodies(f *testing.F) {
	bodySeeds(f)
	kinds := []Kind{KindHello, KindSetup, KindReady, KindStartFailed, KindCancel, KindShutdown, KindGoodbye, KindLog, KindError, KindPanic, KindCall, KindCredit, KindProgress, KindParcel}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, k := range kinds {
			once, err := reencode(Frame{Kind: k, ID: 1, Body: b})
			if err != nil {
				if !errors.As(err, new(*DecodeError)) {
					t.Fatalf("%v: %v", k, err)
				}
				continue
			}
			twice, err := reencode(Frame{Kind: k, ID: 1, Body: once})
			if err != nil || !bytes.Equal(once, twice) {
				t.Fatalf("%v: %x becomes %x becomes %x, %v", k, b, once, twice, err)
			}
		}
	})
}

type everything struct {
	B  bool
	I  int16
	U  uint
	F  float32
	S  string
	P  []byte
	A  [3]byte
	L  []everything
	M  map[string]*everything
	T  time.Time
	TP *time.Time
	O  ownForm
	C  *selfCBOR
	X  pair
}

// Whatever arrives as a value: no panic, and what is accepted survives the way back.
func FuzzCodec(f *testing.F) {
	seeds(f, "values.txt", "refused.txt")
	c, err := CodecFor[everything]()
	if err != nil {
		f.Fatal(err)
	}
	b, err := c.Append(nil, everything{S: "s", L: []everything{{I: -1}, {}}, M: map[string]*everything{"k": nil}, T: noon, TP: &noon, C: &selfCBOR{3}, A: [3]byte{1}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := c.Decode(b)
		if err != nil {
			if !errors.As(err, new(*DecodeError)) {
				t.Fatal(err)
			}
			return
		}
		once, err := c.Append(nil, v)
		if err != nil {
			if errors.Is(err, errZone) || errors.Is(err, errYear) || errors.Is(err, errZeroTime) {
				return // a text that only others write
			}
			t.Fatalf("%+v was accepted and cannot be sent: %v", v, err)
		}
		w, err := c.Decode(once)
		if err != nil {
			t.Fatal(err)
		}
		if twice, err := c.Append(nil, w); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%x becomes %x, %v", once, twice, err)
		}
	})
}
