package qoi

import (
	"errors"
	"fmt"
	"image"
	"math"
)

// What Decode notices and says politely. Everything else about a file it believes.
var (
	ErrFormat    = errors.New("qoi: not a QOI file: it does not begin with \"qoif\"")
	ErrTruncated = errors.New("qoi: the end marker is missing: the file is cut off or damaged")
	ErrMemory    = errors.New("qoi: no memory for an image of this size")
)

// errOf gives the result of qoi_decode (decode.h) its Go name.
var errOf = [...]error{nil, ErrFormat, ErrTruncated, ErrMemory}

// Decode decodes a whole QOI file. It trusts the file: see the package documentation before calling it.
func Decode(file []byte) (*image.NRGBA, error) {
	if len(file) > math.MaxUint32 {
		return nil, fmt.Errorf("qoi: a file of %d bytes is larger than the decoder can address (4 GiB)", len(file))
	}
	return decode(file)
}

// interleave makes Go's image of four planes.
func interleave(planes []byte, width, height int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, width, height))
	n := width * height
	for i := range n {
		m.Pix[4*i+0] = planes[0*n+i]
		m.Pix[4*i+1] = planes[1*n+i]
		m.Pix[4*i+2] = planes[2*n+i]
		m.Pix[4*i+3] = planes[3*n+i]
	}
	return m
}
