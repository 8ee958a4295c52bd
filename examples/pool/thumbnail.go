package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"image"
	"image/draw"
	_ "image/gif" // image.Decode knows what is imported
	_ "image/jpeg"
	"image/png"
	"os"
	"path/filepath"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/examples/internal/scale"
	"github.com/verdigris-go/verdigris/examples/tree/qoi"
)

// File is a file of the tree as it was when the tree was read.
type File struct {
	Path    string `json:"path"` // below the directory, with slashes
	Size    int64  `json:"size"`
	ModTime int64  `json:"mtime"` // in nanoseconds since 1970
}

// Job is a file to be made into a thumbnail whose sides are at most Side pixels.
type Job struct {
	Dir  string
	File File
	Side int
}

// Thumb is a thumbnail, with the hash and the size in pixels of what it was made of.
type Thumb struct {
	File          File
	PNG           []byte
	Hash          string // SHA-256 of the file, in hex
	Width, Height int
}

// Thumbnail runs in worker processes only. To do it twice does no harm, so the pool may do that after a crash: it may
// have been somebody else who killed the worker.
var Thumbnail = child.Define("thumbnail", thumbnail).Idempotent()

func thumbnail(_ context.Context, job Job) (Thumb, error) {
	file, err := os.ReadFile(filepath.Join(job.Dir, filepath.FromSlash(job.File.Path)))
	if err != nil {
		return Thumb{}, err
	}
	m, err := decode(file) // may end the process, or never end
	if err != nil {
		return Thumb{}, err
	}
	small := scale.Fit(m, job.Side)
	var out bytes.Buffer
	if err := png.Encode(&out, small); err != nil {
		return Thumb{}, err
	}
	hash := sha256.Sum256(file)
	return Thumb{job.File, out.Bytes(), hex.EncodeToString(hash[:]), m.Rect.Dx(), m.Rect.Dy()}, nil
}

func decode(file []byte) (*image.NRGBA, error) {
	if bytes.HasPrefix(file, []byte("qoif")) {
		return qoi.Decode(file) // C that believes what it reads
	}
	m, _, err := image.Decode(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	flat := image.NewNRGBA(image.Rect(0, 0, m.Bounds().Dx(), m.Bounds().Dy()))
	draw.Draw(flat, flat.Rect, m, m.Bounds().Min, draw.Src)
	return flat, nil
}
