package child

import (
	"bytes"
	"crypto/sha256"
	"reflect"
	"testing"
	"time"
)

// Whatever is in a file, reading it gives a call that writes as it was read, or an error.
func FuzzReplayFile(f *testing.F) {
	good, err := CrashedCall{
		Func: "decode", Input: []byte{0xa0}, State: "pdf", StateInput: []byte{1}, Meta: map[string]string{"key": "cat.png"},
		Timeout: time.Second, Time: time.Date(2026, 11, 22, 19, 0, 0, 1, time.UTC), Worker: "w", Build: "b", Cause: "abort", Error: "text",
	}.Append(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good[len(replayMagic)+sha256.Size:])
	f.Add([]byte{0xa1, 0x64, 'f', 'u', 'n', 'c', 0x61, 'x'})
	f.Add([]byte{0xbf, 0xff})
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := parseReplay(body); err == nil && !bytes.HasPrefix(body, []byte(replayMagic)) {
			t.Error("it has no magic")
		}
		sum := sha256.Sum256(body)
		c, err := parseReplay(append(append([]byte(replayMagic), sum[:]...), body...))
		if err != nil {
			return
		}
		again, err := c.Append(nil)
		if err != nil {
			t.Fatalf("%+v cannot be written: %v", c, err)
		}
		if back, err := parseReplay(again); err != nil || !same(back, c) {
			t.Errorf("%+v became %+v, %v", c, back, err)
		}
	})
}

// same compares two calls; what is empty may also be nil.
func same(a, b CrashedCall) bool {
	sameTime := a.Time.Equal(b.Time)
	a.Time, b.Time = time.Time{}, time.Time{}
	for _, c := range []*CrashedCall{&a, &b} {
		c.Input, c.StateInput = append([]byte{}, c.Input...), append([]byte{}, c.StateInput...)
		if c.Meta == nil {
			c.Meta = map[string]string{}
		}
	}
	return sameTime && reflect.DeepEqual(a, b)
}
