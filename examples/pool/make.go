package main

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/color/palette"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"path/filepath"

	"github.com/verdigris-go/verdigris/examples/tree/qoi"
)

// makeImages fills a directory with n images, the same ones each time: a hundred to a folder, in four formats, and one
// in 25 of them hostile.
func makeImages(dir string, n int) error {
	for i := range n {
		name, content, err := sample(i)
		if err != nil {
			return err
		}
		if err := store(filepath.Join(dir, fmt.Sprintf("%03d", i/100), name), content); err != nil {
			return err
		}
	}
	return nil
}

// sample returns the i-th image.
func sample(i int) (name string, content []byte, err error) {
	if i%25 == 12 {
		h := hostile[i/25%len(hostile)]
		return fmt.Sprintf("%06d-%s", i, h.name), h.make(), nil
	}
	var b bytes.Buffer
	switch m := paint(uint64(i)); i % 4 {
	case 0:
		name, err = "png", png.Encode(&b, m)
	case 1:
		name, err = "jpg", jpeg.Encode(&b, m, nil)
	case 2:
		name, err = "gif", gif.Encode(&b, m, &gif.Options{NumColors: len(palette.Plan9)})
	case 3:
		name, err = "qoi", qoi.Encode(&b, m)
	}
	return fmt.Sprintf("%06d.%s", i, name), b.Bytes(), err
}

// paint paints colored discs on a gradient.
func paint(seed uint64) image.Image {
	r := rand.New(rand.NewPCG(seed, 0))
	w, h := 80+r.IntN(160), 80+r.IntN(160)
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			m.SetNRGBA(x, y, color.NRGBA{uint8(255 * x / w), uint8(255 * y / h), uint8(seed), 255})
		}
	}
	for range 5 {
		disc(m, r.IntN(w), r.IntN(h), 10+r.IntN(40), color.NRGBA{uint8(r.Uint32()), uint8(r.Uint32()), uint8(r.Uint32()), 255})
	}
	return m
}

func disc(m *image.NRGBA, cx, cy, radius int, c color.NRGBA) {
	for y := -radius; y <= radius; y++ {
		for x := -radius; x <= radius; x++ {
			if x*x+y*y <= radius*radius && image.Pt(cx+x, cy+y).In(m.Rect) {
				m.SetNRGBA(cx+x, cy+y, c)
			}
		}
	}
}
