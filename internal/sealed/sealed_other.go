//go:build !linux

package sealed

import "os"

// Supported says that this system has sealed files.
const Supported = false

// Create returns ErrUnsupported.
func Create(string) (*os.File, error) { return nil, ErrUnsupported }

// Seal returns ErrUnsupported.
func Seal(*os.File) error { return ErrUnsupported }

// Check returns ErrUnsupported.
func Check(*os.File) (int64, error) { return 0, ErrUnsupported }

// Map returns ErrUnsupported.
func Map(*os.File, int64, bool) ([]byte, error) { return nil, ErrUnsupported }

// Unmap returns ErrUnsupported.
func Unmap([]byte) error { return ErrUnsupported }

// Duplicate returns ErrUnsupported.
func Duplicate(*os.File) (*os.File, error) { return nil, ErrUnsupported }

// Take returns ErrUnsupported.
func Take(int, string) (*os.File, error) { return nil, ErrUnsupported }

// Discard does nothing.
func Discard(...int) {}
