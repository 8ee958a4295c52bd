package statuspage

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Size is the size of a page in bytes.
const Size = 64 << 10

// keptAt is where what is still to be sent begins, crashAt where the crash text does.
const (
	keptAt  = 64
	crashAt = 4 << 10
)

// The numbers at the beginning of a page, 8 bytes each.
const (
	wordStarted = iota
	wordKept
	wordPong
	wordRecall
	wordSignal
)

// ErrUnsupported is what New and Open return on a system other than Linux. It
// matches errors.ErrUnsupported.
var ErrUnsupported = fmt.Errorf("statuspage: worker processes need Linux: %w", errors.ErrUnsupported)

// Error is a page that could not be made or opened.
type Error struct {
	Op  string
	Err error
}

func (e *Error) Error() string { return "statuspage: " + e.Op + ": " + e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// littleEndian converts a number as this machine loads and stores it from and
// to the order of the page. On a little-endian machine it does nothing.
func littleEndian(v uint64) uint64 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], v)
	return binary.NativeEndian.Uint64(b[:])
}
