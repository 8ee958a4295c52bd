package child

import (
	"context"
	"errors"
	"io"
	"io/fs"
)

// sentinels are the errors that keep their identity across the boundary.
var sentinels = registry[sentinel]{what: "error"}

type sentinel struct {
	name string
	err  error
}

func (s sentinel) Name() string { return s.name }

func init() {
	for name, err := range map[string]error{
		"context.Canceled":         context.Canceled,
		"context.DeadlineExceeded": context.DeadlineExceeded,
		"io.EOF":                   io.EOF,
		"io.ErrUnexpectedEOF":      io.ErrUnexpectedEOF,
		"fs.ErrNotExist":           fs.ErrNotExist,
		"fs.ErrExist":              fs.ErrExist,
		"fs.ErrPermission":         fs.ErrPermission,
		"errors.ErrUnsupported":    errors.ErrUnsupported,
	} {
		_ = RegisterError(name, err)
	}
}

// RegisterError gives an error value a name, under which it crosses the
// boundary: when a handler returns an error that matches err, errors.Is matches
// it on the caller's side too. Call it from an init function or a package
// variable, so that parent and worker agree:
//
//	var ErrTooLarge = child.RegisterError("img.ErrTooLarge", errors.New("image too large"))
//
// The common ones of context, io and io/fs are registered already.
// It returns err, and panics as Define does on a name that is empty or taken.
func RegisterError(name string, err error) error {
	sentinels.add(sentinel{name, err})
	return err
}

// codesOf names the registered errors that err matches, at most 16 of them.
func codesOf(err error) []string {
	var codes []string
	for _, s := range sentinels.all() {
		if errors.Is(err, s.err) && len(codes) < 16 {
			codes = append(codes, s.name)
		}
	}
	return codes
}

// errorsOf is the way back; names that this process does not know are skipped.
func errorsOf(codes []string) []error {
	var errs []error
	for _, code := range codes {
		if s, ok := sentinels.get([]byte(code)); ok {
			errs = append(errs, s.err)
		}
	}
	return errs
}
