package main

import (
	"bytes"
	"compress/zlib"
	"image/jpeg"
	"image/png"
	"io"
	"strings"
	"testing"
)

// The same image each time, and each hostile one among the first 200.
func TestSamples(t *testing.T) {
	for i := range 8 {
		name, one, err := sample(i)
		if err != nil {
			t.Fatal(err)
		}
		if again, two, _ := sample(i); again != name || !bytes.Equal(one, two) {
			t.Errorf("image %d differs", i)
		}
		if _, err := decode(one); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i, h := range hostile {
		if name, _, err := sample(25*i + 12); err != nil || !strings.HasSuffix(name, h.name) {
			t.Errorf("image %d is %s, want %s: %v", 25*i+12, name, h.name, err)
		}
	}
}

// The hostile ones that would do harm here have to be right, or they would do none there.
func TestHostileImagesAreWellMade(t *testing.T) {
	if c, err := png.DecodeConfig(bytes.NewReader(bomb())); err != nil || c.Width != 40_000 || c.Height != 40_000 {
		t.Error(c, err)
	}
	if c, err := jpeg.DecodeConfig(bytes.NewReader(endless())); err != nil || c.Width != 4096 || c.Height != 4096 {
		t.Error(c, err)
	}
	for _, n := range []int{1 << 20, 3<<20 + 17} {
		r, err := zlib.NewReader(bytes.NewReader(zeros(n)))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r) // checks the sum too
		if err != nil || len(got) != n || bytes.ContainsFunc(got, func(r rune) bool { return r != 0 }) {
			t.Errorf("%d zeros: %d bytes, %v", n, len(got), err)
		}
	}
	for _, name := range []string{"cut-off.png", "empty.gif", "text.png", "flipped.png"} {
		for _, h := range hostile {
			if h.name == name {
				if _, err := decode(h.make()); err == nil {
					t.Errorf("%s can be decoded", name)
				}
			}
		}
	}
}
