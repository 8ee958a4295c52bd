package main

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"io/fs"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/examples/internal/scale"
	"github.com/verdigris-go/verdigris/examples/tree/qoi"
)

// A decoder is a worker process that calls the C decoder, the fragile part of this program. What is written here
// runs in workers only: a crash in it costs one worker and the image it had in hand.

// decoder is the state of a decoder worker: the index's table, as it was when the worker started.
type decoder struct {
	images fs.FS
	names  []string
}

var decoders = child.DefineState("decoder", openDecoder, nil)

func openDecoder(_ context.Context, cfg catalogConfig) (*decoder, error) {
	names, err := readTable(cfg.Table)
	if err != nil {
		return nil, err
	}
	return &decoder{source(cfg.Dir), names}, nil
}

// Job is an image of the index to be made into a thumbnail whose sides are at most Size pixels.
type Job struct {
	Number int
	Size   int
}

// Upload is an image that came with a request.
type Upload struct {
	File []byte
	Size int
}

// Thumb is a thumbnail. From and To are the image's size in pixels before and after.
type Thumb struct {
	PNG      []byte
	From, To Dimensions
}

// Dimensions of an image, in pixels.
type Dimensions struct{ Width, Height int }

func (d Dimensions) String() string { return fmt.Sprintf("%dx%d", d.Width, d.Height) }

var (
	thumbnailOf     = child.DefineOn(decoders, "decoder.thumbnail", (*decoder).thumbnail)
	thumbnailUpload = child.DefineOn(decoders, "decoder.upload", (*decoder).upload)
)

func (d *decoder) thumbnail(_ context.Context, job Job) (Thumb, error) {
	if job.Number < 0 || job.Number >= len(d.names) {
		return Thumb{}, fmt.Errorf("the index has no image number %d", job.Number)
	}
	file, err := fs.ReadFile(d.images, d.names[job.Number])
	if err != nil {
		return Thumb{}, err
	}
	return render(file, job.Size)
}

func (d *decoder) upload(_ context.Context, u Upload) (Thumb, error) { return render(u.File, u.Size) }

// render is the work: decode, make smaller, encode. The first step may end the process.
func render(file []byte, size int) (Thumb, error) {
	m, err := qoi.Decode(file)
	if err != nil {
		return Thumb{}, err
	}
	small := scale.Fit(m, size)
	var out bytes.Buffer
	if err := png.Encode(&out, small); err != nil {
		return Thumb{}, err
	}
	return Thumb{out.Bytes(), dimensions(m), dimensions(small)}, nil
}

func dimensions(m image.Image) Dimensions {
	size := m.Bounds().Size()
	return Dimensions{size.X, size.Y}
}
