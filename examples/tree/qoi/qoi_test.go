package qoi

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/color/palette"
	"image/draw"
	"math/rand/v2"
	"testing"
)

// file puts header and end marker around chunks.
func file(width, height uint32, channels byte, chunks ...byte) []byte {
	f := binary.BigEndian.AppendUint32([]byte("qoif"), width)
	f = binary.BigEndian.AppendUint32(f, height)
	f = append(f, channels, 0)
	f = append(f, chunks...)
	return append(f, endMarker[:]...)
}

// strip is an image one pixel high.
func strip(pixels ...color.NRGBA) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, len(pixels), 1))
	for x, c := range pixels {
		m.SetNRGBA(x, 0, c)
	}
	return m
}

func repeat(n int, c color.NRGBA) []color.NRGBA {
	s := make([]color.NRGBA, n)
	for i := range s {
		s[i] = c
	}
	return s
}

// The chunks were worked out by hand from the specification. Every form is here, at both ends of its range.
func TestVectors(t *testing.T) {
	black := color.NRGBA{0, 0, 0, 255}
	tests := []struct {
		name     string
		pixels   []color.NRGBA
		channels byte
		chunks   []byte
	}{
		{"run of one", []color.NRGBA{black}, 3, []byte{0xc0}},
		{"longest run", repeat(62, black), 3, []byte{0xfd}},
		{"run in two chunks", repeat(63, black), 3, []byte{0xfd, 0xc0}},
		{"full color", []color.NRGBA{{200, 100, 50, 255}}, 3, []byte{0xfe, 200, 100, 50}},
		{"full color and alpha", []color.NRGBA{{1, 2, 3, 4}}, 4, []byte{0xff, 1, 2, 3, 4}},
		{"the empty table's pixel", []color.NRGBA{{0, 0, 0, 0}}, 4, []byte{0x00}},
		{"least difference, wrapping around", []color.NRGBA{{254, 254, 254, 255}}, 3, []byte{0x40}},
		{"greatest difference", []color.NRGBA{{1, 1, 1, 255}}, 3, []byte{0x7f}},
		{"mixed differences", []color.NRGBA{{1, 254, 0, 255}}, 3, []byte{0x40 | 3<<4 | 0<<2 | 2}},
		{"least luma", []color.NRGBA{{216, 224, 216, 255}}, 3, []byte{0x80, 0x00}},
		{"greatest luma", []color.NRGBA{{38, 31, 38, 255}}, 3, []byte{0xbf, 0xff}},
		{"luma, red below and blue above green", []color.NRGBA{{10 - 3, 10, 10 + 5, 255}}, 3, []byte{0x80 | 42, 5<<4 | 13}},
		{
			// (10*3 + 20*5 + 30*7 + 255*11) % 64 = 9: the third pixel is the first, found at place 9.
			"table",
			[]color.NRGBA{{10, 20, 30, 255}, {100, 100, 100, 255}, {10, 20, 30, 255}},
			3,
			[]byte{0xfe, 10, 20, 30, 0xfe, 100, 100, 100, 9},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m, want := strip(test.pixels...), file(uint32(len(test.pixels)), 1, test.channels, test.chunks...)
			if got := encode(t, m); !bytes.Equal(got, want) {
				t.Errorf("encoded\n% x, want\n% x", got, want)
			}
			equalPixels(t, decoded(t, want), m)
		})
	}
}

func TestRoundTripOfImageTypes(t *testing.T) {
	bounds := image.Rect(-3, 5, 34, 28) // Neither the origin nor a side is a round number.
	images := map[string]draw.Image{
		"NRGBA":    image.NewNRGBA(bounds),
		"RGBA":     image.NewRGBA(bounds),
		"NRGBA64":  image.NewNRGBA64(bounds),
		"Gray":     image.NewGray(bounds),
		"Alpha":    image.NewAlpha(bounds),
		"CMYK":     image.NewCMYK(bounds),
		"Paletted": image.NewPaletted(bounds, palette.WebSafe),
	}
	for name, m := range images {
		t.Run(name, func(t *testing.T) {
			draw.Draw(m, bounds, noise(bounds), bounds.Min, draw.Src)
			equalPixels(t, decoded(t, encode(t, m)), m)
		})
	}
	t.Run("YCbCr", func(t *testing.T) {
		m := image.NewYCbCr(bounds, image.YCbCrSubsampleRatio420)
		for i := range m.Y {
			m.Y[i] = byte(i * 7)
		}
		equalPixels(t, decoded(t, encode(t, m)), m)
	})
	t.Run("part of an image", func(t *testing.T) {
		m := noise(bounds).SubImage(image.Rect(0, 6, 9, 20))
		equalPixels(t, decoded(t, encode(t, m)), m)
	})
}

// A walk with small steps meets every kind of chunk and every border between kinds.
func TestRoundTripOfWalks(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 0))
		m, c := image.NewNRGBA(image.Rect(0, 0, 64, 16)), color.NRGBA{A: 255}
		reach := 1 + r.IntN(80)
		for i := 0; i < len(m.Pix); i += 4 {
			if r.IntN(3) > 0 {
				c.R += byte(r.IntN(reach) - reach/2)
				c.G += byte(r.IntN(reach) - reach/2)
				c.B += byte(r.IntN(reach) - reach/2)
			}
			if r.IntN(50) == 0 {
				c.A = byte(r.IntN(256))
			}
			copy(m.Pix[i:], []byte{c.R, c.G, c.B, c.A})
		}
		if got := decoded(t, encode(t, m)); !bytes.Equal(got.Pix, m.Pix) {
			t.Fatalf("seed %d: pixels differ", seed)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := file(1, 1, 3, 0xc0)
	tests := []struct {
		name string
		file []byte
		want error
	}{
		{"nothing", nil, ErrFormat},
		{"another format", []byte("\x89PNG\r\n\x1a\n and more than a header of it"), ErrFormat},
		{"cut off in the middle", encode(t, noise(image.Rect(0, 0, 8, 8)))[:100], ErrTruncated},
		{"something behind the end", append(bytes.Clone(good), 0), ErrTruncated},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := Decode(test.file); !errors.Is(err, test.want) {
				t.Errorf("Decode: %v, want %v", err, test.want)
			}
		})
	}
}

func TestEncodeReportsTheWriter(t *testing.T) {
	full := errors.New("disk full")
	if err := Encode(writerFunc(func([]byte) (int, error) { return 0, full }), strip(color.NRGBA{})); !errors.Is(err, full) {
		t.Errorf("Encode: %v, want %v", err, full)
	}
}

// FuzzRoundTrip takes the pixels themselves as input. (Decode on arbitrary bytes is not fuzzed: it would crash, as
// it should.)
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 1, 2, 3, 4, 0, 0, 0, 255}, uint8(3))
	f.Fuzz(func(t *testing.T, pix []byte, width uint8) {
		w := int(width)
		if w == 0 || len(pix) < 4*w {
			return
		}
		m := image.NewNRGBA(image.Rect(0, 0, w, len(pix)/(4*w)))
		copy(m.Pix, pix)
		if got := decoded(t, encode(t, m)); !bytes.Equal(got.Pix, m.Pix) {
			t.Errorf("got\n% x, want\n% x", got.Pix, m.Pix)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	f := encode(b, noise(image.Rect(0, 0, 320, 240)))
	b.SetBytes(4 * 320 * 240)
	for b.Loop() {
		if _, err := Decode(f); err != nil {
			b.Fatal(err)
		}
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func noise(bounds image.Rectangle) *image.NRGBA {
	r := rand.New(rand.NewPCG(1, 2))
	m := image.NewNRGBA(bounds)
	for i := range m.Pix {
		m.Pix[i] = byte(r.Uint32())
	}
	return m
}

func encode(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func decoded(t testing.TB, file []byte) *image.NRGBA {
	t.Helper()
	m, err := Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// equalPixels compares what color.NRGBA makes of both images; their origins may differ.
func equalPixels(t *testing.T, got *image.NRGBA, want image.Image) {
	t.Helper()
	b := want.Bounds()
	if got.Bounds().Size() != b.Size() {
		t.Fatalf("size %v, want %v", got.Bounds().Size(), b.Size())
	}
	for y := range b.Dy() {
		for x := range b.Dx() {
			w := color.NRGBAModel.Convert(want.At(b.Min.X+x, b.Min.Y+y))
			if g := got.NRGBAAt(x, y); g != w {
				t.Fatalf("pixel (%d, %d) is %v, want %v", x, y, g, w)
			}
		}
	}
}
