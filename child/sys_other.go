//go:build !linux

package child

import (
	"io/fs"
	"os"
	"time"

	"github.com/verdigris-go/verdigris/internal/ring"
	"github.com/verdigris-go/verdigris/internal/spawn"
	"github.com/verdigris-go/verdigris/internal/statuspage"
)

// channels cannot be opened on this system: there are no worker processes.
type channels struct {
	control, calls, answers, stdout, stderr [2]*os.File
	page                                    *statuspage.Page
	rings                                   *ring.Ring
}

func openChannels() (*channels, error) { return nil, spawn.ErrUnsupported }

func (*channels) theirs() []*os.File { return nil }
func (*channels) closeTheirs()       {}
func (*channels) closeOurs()         {}
func (*channels) closePipes()        {}
func (*channels) closeRings()        {}
func (*channels) growPipes()         {}

func terminate(*spawn.Process) {}

const pipeSize = 0

func writeNow(uintptr, []byte) (int, error) { return 0, spawn.ErrUnsupported }
func readNow(uintptr, []byte) (int, error)  { return 0, spawn.ErrUnsupported }

func sendWith(uintptr, []byte, []*os.File) (int, error) { return 0, spawn.ErrUnsupported }

const maxRights = 0

func receiveWith(uintptr, []byte, []byte) (int, []int, bool, error) {
	return 0, nil, false, spawn.ErrUnsupported
}

func awaitInput(uintptr, time.Duration) bool { return false }

func hasInput(*os.File) bool { return false }

type descriptors struct {
	control, calls, answers, status *os.File
	rings                           *ring.Worker
}

func inherited() (descriptors, error) { return descriptors{}, spawn.ErrUnsupported }

func killOwnGroup() {}

func adopt() {}

// ownerOf takes every file for our own: no worker is started on this system.
func ownerOf(fs.FileInfo) int { return os.Geteuid() }

// traced is not known on this system.
func traced() bool { return false }

// dumpsCore is not known on this system.
func dumpsCore(int) bool { return false }

func endByFaults(*os.File) {}
