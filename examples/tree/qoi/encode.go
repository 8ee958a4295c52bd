package qoi

import (
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"io"
	"math"
)

const (
	headerSize = 14
	maxRun     = 62

	tagDiff = 0x40
	tagLuma = 0x80
	tagRun  = 0xc0
	tagRGB  = 0xfe
	tagRGBA = 0xff
)

var endMarker = [8]byte{7: 1}

// pixel is one pixel, alpha not multiplied in.
type pixel struct{ r, g, b, a byte }

// place is where the format's table of 64 keeps a pixel.
func (p pixel) place() byte {
	return (p.r*3 + p.g*5 + p.b*7 + p.a*11) % 64
}

// Encode writes m to w as a QOI file. Colors are taken as sRGB with alpha not multiplied in (color.NRGBA), so an
// *image.NRGBA survives encoding and decoding unchanged. The error says which size is too large for the format, or
// is w's.
func Encode(w io.Writer, m image.Image) error {
	size := m.Bounds().Size()
	if uint64(size.X) > math.MaxUint32 || uint64(size.Y) > math.MaxUint32 {
		return fmt.Errorf("qoi: an image of %d x %d pixels does not fit the format, whose sides have 32 bits", size.X, size.Y)
	}
	e := encoder{out: header(size, opaque(m)), before: pixel{a: 255}}
	e.pixels(m)
	_, err := w.Write(append(e.out, endMarker[:]...))
	return err
}

// encoder holds what decides how the next pixel is written.
type encoder struct {
	out    []byte
	before pixel
	seen   [64]pixel
	run    int // how often before has come again and is not yet written
}

func header(size image.Point, opaque bool) []byte {
	h := binary.BigEndian.AppendUint32([]byte("qoif"), uint32(size.X))
	h = binary.BigEndian.AppendUint32(h, uint32(size.Y))
	channels := byte(4)
	if opaque {
		channels = 3
	}
	return append(h, channels, 0) // color space 0: sRGB with linear alpha
}

func (e *encoder) pixels(m image.Image) {
	b := m.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			c := color.NRGBAModel.Convert(m.At(x, y)).(color.NRGBA)
			e.pixel(pixel{c.R, c.G, c.B, c.A})
		}
	}
	e.flushRun()
}

func (e *encoder) pixel(p pixel) {
	if p == e.before {
		e.run++
		if e.run == maxRun {
			e.flushRun()
		}
		return
	}
	e.flushRun()
	e.changed(p)
	e.seen[p.place()], e.before = p, p
}

func (e *encoder) flushRun() {
	if e.run > 0 {
		e.out = append(e.out, tagRun|byte(e.run-1))
		e.run = 0
	}
}

// changed writes a pixel that differs from the one before, in the shortest way there is.
func (e *encoder) changed(p pixel) {
	dr, dg, db := int8(p.r-e.before.r), int8(p.g-e.before.g), int8(p.b-e.before.b)
	rg, bg := int8(uint8(dr)-uint8(dg)), int8(uint8(db)-uint8(dg))
	switch {
	case e.seen[p.place()] == p:
		e.out = append(e.out, p.place())
	case p.a != e.before.a:
		e.out = append(e.out, tagRGBA, p.r, p.g, p.b, p.a)
	case within(dr, 2) && within(dg, 2) && within(db, 2):
		e.out = append(e.out, tagDiff|byte(dr+2)<<4|byte(dg+2)<<2|byte(db+2))
	case within(dg, 32) && within(rg, 8) && within(bg, 8):
		e.out = append(e.out, tagLuma|byte(dg+32), byte(rg+8)<<4|byte(bg+8))
	default:
		e.out = append(e.out, tagRGB, p.r, p.g, p.b)
	}
}

// within reports whether -n <= d < n.
func within(d int8, n int8) bool { return -n <= d && d < n }

// opaque asks the image, as the standard library's encoders do.
func opaque(m image.Image) bool {
	o, ok := m.(interface{ Opaque() bool })
	return ok && o.Opaque()
}
