//go:build !linux

package child

import "errors"

func yieldToOOM(int) error { return errors.ErrUnsupported }

func limitData(int, int64) error { return errors.ErrUnsupported }

type resident struct{}

func residentSize(int) (*resident, error) { return nil, errors.ErrUnsupported }

func (*resident) close()       {}
func (*resident) bytes() int64 { return 0 }

func oomKillsOfSystem() (kills uint64, ok bool) { return 0, false }
