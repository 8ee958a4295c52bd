package spawn

import (
	"errors"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// held are the two files that every start needs. They are opened once and
// stay open, so that a start works after an upgrade, and with few free
// descriptors.
type held struct {
	exe  *os.File // this program, as it runs
	null *os.File // /dev/null
}

var (
	holdMu  sync.Mutex
	holding *held // nil until a first success: a failure is not remembered
)

// Hold opens this program's own file for later starts, and finds out whether
// the kernel has what is needed. Start does it too when nobody has; calling it
// early reports a problem early. It may be called more than once.
func Hold() error {
	_, err := hold()
	return err
}

func hold() (*held, error) {
	holdMu.Lock()
	defer holdMu.Unlock()
	if holding != nil {
		return holding, nil
	}
	h, err := openHeld()
	if err != nil {
		return nil, &Error{OpHold, err}
	}
	holding = h
	return h, nil
}

func openHeld() (*held, error) {
	if err := probePidfd(); err != nil {
		return nil, err
	}
	// O_PATH is enough to execute, and works where the file may not be read.
	exe, err := os.OpenFile("/proc/self/exe", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		exe.Close()
		return nil, err
	}
	return &held{exe, null}, nil
}

// probePidfd tries on this process what will be done with workers. Waiting for
// oneself must fail with ECHILD: anything else means that the call is missing.
func probePidfd() error {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return os.NewSyscallError("pidfd_open", err)
	}
	defer unix.Close(fd)
	if _, err := waitid(fd, unix.WNOHANG|unix.WNOWAIT, nil); !errors.Is(err, unix.ECHILD) {
		return os.NewSyscallError("waitid", unix.ENOSYS)
	}
	return os.NewSyscallError("pidfd_send_signal", unix.PidfdSendSignal(fd, 0, nil, 0))
}
