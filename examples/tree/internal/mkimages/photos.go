package main

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/draw"
	_ "image/jpeg"
	_ "image/png"
	"os"
	"path/filepath"

	"github.com/verdigris-go/verdigris/examples/internal/scale"
)

// photos names each photograph's original and the longer side it is shipped with, in pixels.
var photos = []struct {
	name, original string
	size           int
}{
	{"brick.qoi", "brick.png", 256},
	{"chelsea.qoi", "chelsea.png", 320},
	{"coffee.qoi", "coffee.png", 320},
	{"hubble.qoi", "hubble_deep_field.jpg", 288},
	{"rocket.qoi", "rocket.jpg", 320},
}

func photographs(dir string) (map[string]image.Image, error) {
	ms := make(map[string]image.Image)
	var errs []error
	for _, p := range photos {
		m, err := read(filepath.Join(dir, p.original))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		ms[p.name] = scale.Fit(m, p.size)
	}
	return ms, errors.Join(errs...)
}

func read(path string) (*image.NRGBA, error) {
	file, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m, _, err := image.Decode(bytes.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	n := image.NewNRGBA(image.Rectangle{Max: m.Bounds().Size()})
	draw.Draw(n, n.Rect, m, m.Bounds().Min, draw.Src)
	return n, nil
}
