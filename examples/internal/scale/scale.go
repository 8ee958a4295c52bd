// Package scale makes images smaller.
package scale

import (
	"image"
	"math"
)

// Fit returns m made smaller, so that neither side is longer than size pixels; the sides keep their ratio. An image
// that fits already is returned as it is.
//
// Each new pixel is the average of the area it covers in m. The average is taken of light and not of sRGB's
// numbers, which would make fine patterns too dark, and every color counts as much as it is opaque.
func Fit(m *image.NRGBA, size int) *image.NRGBA {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	longest := max(w, h)
	if longest <= size {
		return m
	}
	toW, toH := max(1, (w*size+longest/2)/longest), max(1, (h*size+longest/2)/longest)
	narrow := shrinkAndTurn(toLight(m), w, toW) // toW lines of h pixels
	small := shrinkAndTurn(narrow, h, toH)      // toH lines of toW pixels
	return fromLight(small, toW, toH)
}

// light is a pixel's red, green and blue as amounts of light, multiplied by its alpha, and its alpha; each 0 to 1.
type light [4]float32

func (l *light) add(m light, weight float32) {
	for i := range l {
		l[i] += weight * m[i]
	}
}

// shrinkAndTurn averages each line of width pixels down to n pixels, and turns lines into columns. Done twice, it
// shrinks both sides and the image stands upright again.
func shrinkAndTurn(src []light, width, n int) []light {
	height := len(src) / width
	dst := make([]light, n*height)
	for x := range n {
		from, to := float64(x*width)/float64(n), float64((x+1)*width)/float64(n)
		for i := int(from); i < width && float64(i) < to; i++ {
			covered := min(to, float64(i+1)) - max(from, float64(i))
			weight := float32(covered / (to - from))
			for y := range height {
				dst[x*height+y].add(src[y*width+i], weight)
			}
		}
	}
	return dst
}

func toLight(m *image.NRGBA) []light {
	b := m.Rect
	ls := make([]light, 0, b.Dx()*b.Dy())
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			c := m.NRGBAAt(x, y)
			a := float32(c.A) / 255
			ls = append(ls, light{a * ofSRGB[c.R], a * ofSRGB[c.G], a * ofSRGB[c.B], a})
		}
	}
	return ls
}

func fromLight(ls []light, w, h int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i, l := range ls {
		alpha := l[3]
		if alpha <= 0 {
			continue // nothing to be seen, and no color to divide
		}
		for c := range 3 {
			m.Pix[4*i+c] = toSRGB(l[c] / alpha)
		}
		m.Pix[4*i+3] = byte(255*min(alpha, 1) + 0.5)
	}
	return m
}

// ofSRGB is the light of each sRGB value (IEC 61966-2-1).
var ofSRGB = func() (table [256]float32) {
	for i := range table {
		v := float64(i) / 255
		if v <= 0.04045 {
			table[i] = float32(v / 12.92)
		} else {
			table[i] = float32(math.Pow((v+0.055)/1.055, 2.4))
		}
	}
	return table
}()

func toSRGB(l float32) byte {
	v := float64(min(l, 1))
	if v <= 0.0031308 {
		v *= 12.92
	} else {
		v = 1.055*math.Pow(v, 1/2.4) - 0.055
	}
	return byte(255*v + 0.5)
}
