//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strings"
	"time"
)

// scene is some work of ours that is worth a profile.
type scene struct {
	row, name string
	make      func() (*lane, error)
	callers   int
	call      call
}

func scenes() []scene {
	proc := func() (*lane, error) { return oneChild(quiet()) }
	pool := func() (*lane, error) { return onePool(1, sentAhead, quiet()) }
	return []scene{
		{"A1", "child", proc, 1, echoes(small)},
		{"A1", "pool", pool, 1, echoes(small)},
		{"A4", "1MiB", proc, 1, echoes(1 << 20)},
		{"A4", "16MiB", proc, 1, echoes(16 << 20)},
		{"B", "child", proc, callers, echoes(small)},
		{"B", "struct", proc, callers, mirrors},
		{"B", "pool", pool, callers, echoes(small)},
	}
}

const profiled = 5 * time.Second

// profileAll writes two profiles for each scene of the rows: ROW-NAME-parent and
// ROW-NAME-worker, to be read with go tool pprof.
func profileAll(dir string, chosen []row) error {
	dir, err := filepath.Abs(dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o777)
	}
	if err != nil {
		return err
	}
	for _, s := range scenes() {
		if !slices.ContainsFunc(chosen, func(r row) bool { return strings.EqualFold(r.id, s.row) }) {
			continue
		}
		base := filepath.Join(dir, s.row+"-"+s.name)
		if err := s.profile(base, profiled); err != nil {
			return fmt.Errorf("%s: %w", base, err)
		}
	}
	return nil
}

func (s scene) profile(base string, d time.Duration) (err error) {
	l, err := s.make()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	f, err := os.Create(base + "-parent")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := record.Call(context.Background(), l, base+"-worker"); err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	got, err := l.crowd(s.callers, d, s.call)
	pprof.StopCPUProfile()
	if err != nil {
		return err
	}
	p := scored(got)
	fmt.Fprintf(os.Stderr, "bench: %s: %s, %s of processor time a call\n", base, perSecond.write(p.rate), nanoseconds.write(p.cpu))
	_, err = record.Call(context.Background(), l, "")
	return err
}
