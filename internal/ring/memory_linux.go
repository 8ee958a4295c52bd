package ring

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The memory, see doc.go.
const (
	headerAt  = 0
	callsAt   = 1 << 10
	answersAt = 2 << 10
	bytesAt   = 4 << 10
	total     = bytesAt + 2*Size

	magic   = 0x76647267 // "vdrg"
	version = 1
)

// header is what the parent says before the worker is there.
type header struct {
	magic, version uint32
	size           uint64 // of each way, in bytes
	spin           int64  // for how long the worker may spin, in nanoseconds
}

// seals are what makes it safe to use memory that is shared with somebody who is
// not trusted: the size stays, and so no access can fault.
const seals = unix.F_SEAL_GROW | unix.F_SEAL_SHRINK | unix.F_SEAL_SEAL

// memory is the mapping. It goes when all who share it have let it go.
type memory struct {
	mem   []byte
	users atomic.Int32
}

func mapped(fd int) (*memory, error) {
	mem, err := unix.Mmap(fd, 0, total, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	return &memory{mem: mem}, nil
}

// share counts one more user.
func (m *memory) share() *memory {
	m.users.Add(1)
	return m
}

func (m *memory) release() {
	if m.users.Add(-1) == 0 {
		_ = unix.Munmap(m.mem)
	}
}

func (m *memory) header() *header { return (*header)(unsafe.Pointer(&m.mem[headerAt])) }

func (m *memory) calls() (*lane, []byte) {
	return (*lane)(unsafe.Pointer(&m.mem[callsAt])), m.mem[bytesAt : bytesAt+Size : bytesAt+Size]
}

func (m *memory) answers() (*lane, []byte) {
	return (*lane)(unsafe.Pointer(&m.mem[answersAt])), m.mem[bytesAt+Size:]
}

// create makes the sealed file.
func create() (*os.File, error) {
	fd, err := memfd()
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "rings")
	if err := seal(fd); err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// memfd asks for a file that cannot be executed, which Linux knows since 6.3.
func memfd() (int, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate("verdigris-rings", flags|unix.MFD_NOEXEC_SEAL)
	if err == unix.EINVAL {
		fd, err = unix.MemfdCreate("verdigris-rings", flags)
	}
	return fd, os.NewSyscallError("memfd_create", err)
}

func seal(fd int) error {
	if err := unix.Ftruncate(fd, total); err != nil {
		return os.NewSyscallError("ftruncate", err)
	}
	_, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals)
	return os.NewSyscallError("fcntl", err)
}

// checkFile refuses what is not a file of [New]'s, before it is mapped.
func checkFile(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size != total {
		return fmt.Errorf("not a file of %d bytes", total)
	}
	have, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	if have&seals != seals {
		return fmt.Errorf("the file's size is not sealed (seals %#x)", have)
	}
	return nil
}

var errOther = errors.New("the memory is laid out in another way")

// check refuses memory that somebody else has laid out.
func (h *header) check() error {
	if h.magic != magic || h.version != version || h.size != Size {
		return errOther
	}
	return nil
}
