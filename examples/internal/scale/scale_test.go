package scale

import (
	"image"
	"image/color"
	"testing"
)

func fill(w, h int, at func(x, y int) color.NRGBA) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			m.SetNRGBA(x, y, at(x, y))
		}
	}
	return m
}

func plain(c color.NRGBA) func(int, int) color.NRGBA {
	return func(int, int) color.NRGBA { return c }
}

func TestFitSizes(t *testing.T) {
	tests := []struct{ w, h, size, wantW, wantH int }{
		{320, 213, 96, 96, 64},
		{213, 320, 96, 64, 96},
		{97, 97, 96, 96, 96},
		{1000, 1, 10, 10, 1},
		{1, 1000, 10, 1, 10},
		{96, 20, 96, 96, 20},
		{3, 2, 96, 3, 2},
		{0, 0, 96, 0, 0},
	}
	for _, test := range tests {
		got := Fit(image.NewNRGBA(image.Rect(0, 0, test.w, test.h)), test.size).Rect
		if got != image.Rect(0, 0, test.wantW, test.wantH) {
			t.Errorf("%d x %d into %d: got %v, want %d x %d", test.w, test.h, test.size, got, test.wantW, test.wantH)
		}
	}
}

// A plain image stays plain whatever the ratio: the weights of each new pixel add up to one.
func TestFitKeepsPlainColors(t *testing.T) {
	for _, c := range []color.NRGBA{{A: 255}, {255, 255, 255, 255}, {200, 100, 7, 255}, {200, 100, 7, 128}, {}} {
		for size := 1; size < 17; size++ {
			m := Fit(fill(17, 17, plain(c)), size)
			for i := 0; i < len(m.Pix); i += 4 {
				if got := (color.NRGBA{m.Pix[i], m.Pix[i+1], m.Pix[i+2], m.Pix[i+3]}); got != c {
					t.Fatalf("%v became %v at size %d", c, got, size)
				}
			}
		}
	}
}

func TestFitAverages(t *testing.T) {
	black, white, none := color.NRGBA{A: 255}, color.NRGBA{255, 255, 255, 255}, color.NRGBA{}
	red, green := color.NRGBA{255, 0, 0, 255}, color.NRGBA{0, 255, 0, 0}
	tests := []struct {
		name string
		m    *image.NRGBA
		want color.NRGBA
	}{
		// Half the light of white is 188 in sRGB.
		{"light, not numbers", fill(2, 2, pattern(black, white)), color.NRGBA{188, 188, 188, 255}},
		{"half covered", fill(2, 2, pattern(white, none)), color.NRGBA{255, 255, 255, 128}},
		{"the invisible has no color", fill(2, 2, pattern(red, green)), color.NRGBA{255, 0, 0, 128}},
		{"a third", fill(3, 1, func(x, _ int) color.NRGBA { return [...]color.NRGBA{black, white, black}[x] }), color.NRGBA{156, 156, 156, 255}},
	}
	for _, test := range tests {
		if got := Fit(test.m, 1).NRGBAAt(0, 0); got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}

// pattern is a chessboard.
func pattern(a, b color.NRGBA) func(x, y int) color.NRGBA {
	return func(x, y int) color.NRGBA {
		if (x+y)%2 == 0 {
			return a
		}
		return b
	}
}

// The two halves must not be turned or mirrored by the two passes.
func TestFitKeepsUpright(t *testing.T) {
	m := Fit(fill(40, 20, func(x, y int) color.NRGBA { return color.NRGBA{byte(x * 6), byte(y * 12), 0, 255} }), 4)
	left, right, bottom := m.NRGBAAt(0, 0), m.NRGBAAt(3, 0), m.NRGBAAt(0, 1)
	if !(left.R < right.R && left.G == right.G && left.G < bottom.G && left.R == bottom.R) {
		t.Errorf("left %v, right %v, bottom %v", left, right, bottom)
	}
}

// A part of a larger image has rows that do not follow each other in memory, and an origin of its own.
func TestFitPartOfImage(t *testing.T) {
	whole := fill(40, 40, func(x, y int) color.NRGBA { return color.NRGBA{byte(x * 6), byte(y * 6), 9, 255} })
	part := whole.SubImage(image.Rect(10, 10, 30, 30)).(*image.NRGBA)
	copied := fill(20, 20, func(x, y int) color.NRGBA { return whole.NRGBAAt(10+x, 10+y) })
	if a, b := Fit(part, 7), Fit(copied, 7); string(a.Pix) != string(b.Pix) {
		t.Error("a part of an image and its copy have different thumbnails")
	}
}
