package statuspage

import (
	"bytes"
	"os"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// seals are what makes it safe to read the page of a process that is not
// trusted: the size stays, and the seals too.
const seals = unix.F_SEAL_GROW | unix.F_SEAL_SHRINK | unix.F_SEAL_SEAL

// Page is the parent's side of a page.
type Page struct {
	file *os.File

	mu   sync.RWMutex // guards mem against Close
	mem  []byte       // the first bytes, mapped; nil once closed
	last uint64       // the count at Close
}

// New makes an empty page.
func New() (*Page, error) {
	file, err := create()
	if err != nil {
		return nil, &Error{"create", err}
	}
	mem, err := unix.Mmap(int(file.Fd()), 0, crashAt, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		file.Close()
		return nil, &Error{"map", err}
	}
	return &Page{file: file, mem: mem}, nil
}

func create() (*os.File, error) {
	fd, err := memfd()
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "status page")
	if err := seal(fd); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// memfd asks for a file that cannot be executed, which Linux knows since 6.3.
func memfd() (int, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate("verdigris-status", flags|unix.MFD_NOEXEC_SEAL)
	if err == unix.EINVAL {
		fd, err = unix.MemfdCreate("verdigris-status", flags)
	}
	return fd, os.NewSyscallError("memfd_create", err)
}

func seal(fd int) error {
	if err := unix.Ftruncate(fd, Size); err != nil {
		return os.NewSyscallError("ftruncate", err)
	}
	_, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals)
	return os.NewSyscallError("fcntl", err)
}

// File is the descriptor to pass to the worker. It belongs to the page.
func (p *Page) File() *os.File { return p.file }

// Started is the highest call id that the worker says it has started; 0 means
// none. After Close it is what it was at Close.
func (p *Page) Started() uint64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.mem == nil {
		return p.last
	}
	return littleEndian(atomic.LoadUint64(word(p.mem, wordStarted)))
}

// Recall lets the worker start no further call: what Started returns from now on is
// final, but for a worker that does not keep to it.
func (p *Page) Recall() {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.mem != nil {
		atomic.StoreUint64(word(p.mem, wordRecall), littleEndian(1))
	}
}

// Signal is the number of the signal that the worker says it is dying of, 0 if it
// has said nothing, or after Close.
func (p *Page) Signal() uint64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.mem == nil {
		return 0
	}
	return littleEndian(atomic.LoadUint64(word(p.mem, wordSignal)))
}

// Kept is a copy of what the worker was still going to send, at most 4 KiB. It is
// complete when the worker is dead, and nil when there is none, or after Close. What
// was sent may stand there too, if the worker has died just then.
func (p *Page) Kept() []byte {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.mem == nil {
		return nil
	}
	n := littleEndian(atomic.LoadUint64(word(p.mem, wordKept)))
	if n == 0 || n > crashAt-keptAt {
		return nil
	}
	return bytes.Clone(p.mem[keptAt : keptAt+n])
}

// Pong is the latest ping that the worker says it has answered; 0 means none.
// After Close it is 0.
func (p *Page) Pong() uint64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.mem == nil {
		return 0
	}
	return littleEndian(atomic.LoadUint64(word(p.mem, wordPong)))
}

// CrashText is a copy of what the worker's runtime printed when it crashed, at
// most 60 KiB, without the zero bytes at its end. It is complete when the
// worker is dead, and nil when there is none, or after Close.
func (p *Page) CrashText() []byte {
	text := make([]byte, p.textEnd()-crashAt)
	n, _ := p.file.ReadAt(text, crashAt)
	if text = bytes.TrimRight(text[:n], "\x00"); len(text) == 0 {
		return nil
	}
	return text
}

// textEnd is the end of the last block that is not all zero. Most pages have no text,
// and to look at each byte of one would take 0.1 ms of every death.
func (p *Page) textEnd() int {
	var block, none [4 << 10]byte
	end := Size
	for ; end > crashAt; end -= len(block) {
		if n, _ := p.file.ReadAt(block[:], int64(end-len(block))); n > 0 && block != none {
			break
		}
	}
	return end
}

// Crashed reports whether the worker's runtime has begun to print what
// CrashText will return; false after Close.
func (p *Page) Crashed() bool {
	var first [1]byte
	n, _ := p.file.ReadAt(first[:], crashAt)
	return n == 1 && first[0] != 0
}

// Close gives the page up. It may be called more than once.
func (p *Page) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mem == nil {
		return nil
	}
	p.last = littleEndian(atomic.LoadUint64(word(p.mem, wordStarted)))
	unix.Munmap(p.mem)
	p.mem = nil
	return p.file.Close()
}

// word is one of the numbers of a mapping, which is aligned to a page.
func word(mem []byte, n int) *uint64 { return (*uint64)(unsafe.Pointer(&mem[8*n])) }
