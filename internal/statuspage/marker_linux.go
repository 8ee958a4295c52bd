package statuspage

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Marker is the worker's side of a page.
type Marker struct {
	file *os.File

	mu  sync.RWMutex // guards mem against Close
	mem []byte       // the first bytes, mapped for writing; nil once closed

	kept int // bytes of what is to be sent
}

// Open takes over the page that the parent has passed. It refuses a file that
// is not a sealed page of the right size. On success the file belongs to the
// Marker, and is not inherited by the worker's own children.
func Open(file *os.File) (*Marker, error) {
	if err := check(file); err != nil {
		return nil, &Error{"open", err}
	}
	mem, err := unix.Mmap(int(file.Fd()), 0, crashAt, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, &Error{"map", err}
	}
	unix.CloseOnExec(int(file.Fd()))
	return &Marker{file: file, mem: mem}, nil
}

func check(file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Size() != Size {
		return fmt.Errorf("the file has %d bytes, a page has %d", info.Size(), Size)
	}
	have, err := unix.FcntlInt(file.Fd(), unix.F_GET_SEALS, 0)
	if err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	if have&seals != seals {
		return fmt.Errorf("the file's size is not sealed (seals %#x)", have)
	}
	return nil
}

// Start notes that the handler of this call is about to run. The page keeps
// the highest id, in whatever order handlers get here. False: the parent has
// recalled what had not been started, and the handler must not run.
func (m *Marker) Start(id uint64) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.mem == nil {
		return true
	}
	at := word(m.mem, wordStarted)
	for {
		old := atomic.LoadUint64(at)
		if littleEndian(old) >= id || atomic.CompareAndSwapUint64(at, old, littleEndian(id)) {
			break
		}
	}
	return atomic.LoadUint64(word(m.mem, wordRecall)) == 0 // after the mark, see the package's text
}

// Keep puts a part of what is to be sent behind what is kept already, and reports
// whether there was room.
func (m *Marker) Keep(part []byte) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.mem == nil || len(part) > crashAt-keptAt-m.kept {
		return false
	}
	copy(m.mem[keptAt+m.kept:], part)
	m.kept += len(part)
	atomic.StoreUint64(word(m.mem, wordKept), littleEndian(uint64(m.kept)))
	return true
}

// Keeps reports whether anything is kept.
func (m *Marker) Keeps() bool { return m.kept > 0 }

// Flush writes what is kept, and keeps it no longer.
func (m *Marker) Flush(w io.Writer) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.mem == nil || m.kept == 0 {
		return nil
	}
	_, err := w.Write(m.mem[keptAt : keptAt+m.kept])
	m.kept = 0
	atomic.StoreUint64(word(m.mem, wordKept), 0)
	return err
}

// Pong notes that this ping has been answered.
func (m *Marker) Pong(ping uint64) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.mem != nil {
		atomic.StoreUint64(word(m.mem, wordPong), littleEndian(ping))
	}
}

// Dying reports whether this process has said that it is dying of a signal.
func (m *Marker) Dying() bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.mem != nil && atomic.LoadUint64(word(m.mem, wordSignal)) != 0
}

// SignalWord is where the number of the signal belongs, in this machine's order of
// bytes if that is the little-endian one. It is valid until Close.
func (m *Marker) SignalWord() *uint64 { return word(m.mem, wordSignal) }

// CrashFile returns the page's file, positioned where the crash text belongs,
// for runtime/debug.SetCrashOutput, which duplicates it. The file still
// belongs to the Marker.
func (m *Marker) CrashFile() (*os.File, error) {
	if _, err := m.file.Seek(crashAt, io.SeekStart); err != nil {
		return nil, &Error{"seek", err}
	}
	return m.file, nil
}

// Close gives the page up; Start does nothing afterwards. A worker never needs
// it: its end closes everything.
func (m *Marker) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mem == nil {
		return nil
	}
	unix.Munmap(m.mem)
	m.mem = nil
	return m.file.Close()
}
