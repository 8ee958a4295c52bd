package wire

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/verdigris-go/verdigris/internal/sealed"
)

// NewBlob makes a Blob of a copy of data, its only one. As with all ways to make a Blob, the data is in memory, of which
// it takes whole pages, and the error is a [*BlobError]. On systems that have no sealed files a Blob is ordinary memory.
func NewBlob(data []byte) (Blob, error) {
	w, err := NewBlobWriter()
	if err != nil {
		return Blob{}, err
	}
	defer w.Close()
	if _, err := w.Write(data); err != nil {
		return Blob{}, err
	}
	return w.Seal()
}

// ReadBlob makes a Blob of what r has up to its end. More than limit bytes are an error.
func ReadBlob(r io.Reader, limit int64) (Blob, error) {
	w, err := NewBlobWriter()
	if err != nil {
		return Blob{}, err
	}
	defer w.Close()
	n, err := w.ReadFrom(io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		return Blob{}, err
	case n > limit:
		return Blob{}, &BlobError{"make", fmt.Errorf("there are more than %d bytes", limit)}
	}
	return w.Seal()
}

// FillBlob makes a Blob of size bytes, which fill writes in place; they are zero before. dst must not be used after fill
// has returned. An error of fill is returned as it is.
func FillBlob(size int64, fill func(dst []byte) error) (Blob, error) {
	if size < 0 {
		return Blob{}, &BlobError{"make", errors.New("a negative size")}
	}
	if !sealed.Supported {
		data := make([]byte, size)
		return newBlob(size, &blobContent{mem: data, heap: true}), fill(data)
	}
	w, err := NewBlobWriter()
	if err != nil {
		return Blob{}, err
	}
	defer w.Close()
	if err := w.fill(size, fill); err != nil {
		return Blob{}, err
	}
	return w.Seal()
}

// OpenBlob makes a Blob of an existing file: one in memory (memfd_create(2)) with the seals F_SEAL_WRITE, F_SEAL_SHRINK,
// F_SEAL_GROW and F_SEAL_SEAL. Without an error the file belongs to the Blob. It is held to be hostile: nothing is asked
// of it that could wait for another process.
func OpenBlob(f *os.File) (Blob, error) {
	size, err := sealed.Check(f)
	if err != nil {
		return Blob{}, &BlobError{"open", err}
	}
	return newBlob(size, &blobContent{file: f}), nil
}

// BlobWriter makes a Blob of what is written to it. One goroutine uses it at a time.
type BlobWriter struct {
	file *os.File // nil on systems without sealed files, and at the end
	data []byte   // of those systems
	size int64
	over bool
}

// NewBlobWriter makes a writer. It must be sealed or closed.
func NewBlobWriter() (*BlobWriter, error) {
	if !sealed.Supported {
		return &BlobWriter{}, nil
	}
	f, err := sealed.Create("verdigris-blob")
	if err != nil {
		return nil, &BlobError{"make", err}
	}
	return &BlobWriter{file: f}, nil
}

// Write appends p.
func (w *BlobWriter) Write(p []byte) (n int, err error) {
	switch {
	case w.over:
		return 0, &BlobError{"write", os.ErrClosed}
	case w.file == nil:
		w.data, n = append(w.data, p...), len(p)
	default:
		n, err = w.file.Write(p)
	}
	w.size += int64(n)
	return n, wrapBlob("write", err)
}

// ReadFrom appends what r has up to its end. From a file the kernel copies.
func (w *BlobWriter) ReadFrom(r io.Reader) (n int64, err error) {
	if w.over || w.file == nil {
		return io.Copy(struct{ io.Writer }{w}, r)
	}
	n, err = io.Copy(w.file, r)
	w.size += n
	return n, wrapBlob("write", err)
}

// Seal makes the Blob. Nothing can be written after that.
func (w *BlobWriter) Seal() (Blob, error) {
	file, data := w.file, w.data
	if w.over {
		return Blob{}, &BlobError{"seal", os.ErrClosed}
	}
	if file == nil {
		w.over, w.data = true, nil
		return newBlob(w.size, &blobContent{mem: data, heap: true}), nil
	}
	if err := sealed.Seal(file); err != nil {
		return Blob{}, &BlobError{"seal", err}
	}
	w.over, w.file = true, nil
	return newBlob(w.size, &blobContent{file: file}), nil
}

// Close drops what has not been sealed. After Seal it does nothing.
func (w *BlobWriter) Close() error {
	w.over, w.data = true, nil
	if w.file != nil {
		w.file.Close()
		w.file = nil
	}
	return nil
}

// fill maps an empty file for writing while f runs. There must be no such mapping when it is sealed.
func (w *BlobWriter) fill(size int64, f func([]byte) error) error {
	if err := w.file.Truncate(size); err != nil {
		return &BlobError{"make", err}
	}
	w.size = size
	if size == 0 {
		return f(nil)
	}
	mem, err := sealed.Map(w.file, size, true)
	if err != nil {
		return &BlobError{"make", err}
	}
	defer func() { _ = sealed.Unmap(mem) }() // also if f panics
	return f(mem)
}

// sealedCopy is a sealed file of data.
func sealedCopy(data []byte) (*os.File, error) {
	f, err := sealed.Create("verdigris-blob")
	if err != nil {
		return nil, err
	}
	if _, err = f.Write(data); err == nil {
		err = sealed.Seal(f)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func wrapBlob(op string, err error) error {
	if err == nil {
		return nil
	}
	return &BlobError{op, err}
}
