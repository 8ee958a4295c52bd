package child

import (
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/verdigris-go/verdigris/internal/sealed"
	"github.com/verdigris-go/verdigris/wire"
)

// socket is an end of the control channel: a stream of frames each way, of which
// some come with descriptors. Those that are put leave with the first byte of the
// next parcel or return that is written after that, and those that have come belong to the next
// that is read. It is a sink and a source.
type socket struct {
	*os.File
	raw syscall.RawConn

	mu     sync.Mutex
	closed bool
	queue  [][]*os.File // to be sent, for one frame after the other
	come   []int        // that have come and nobody has asked for; of what they are nothing is known

	// Of the one that reads.
	room []byte // for descriptors
	take func(fd uintptr) bool
	p    []byte
	n    int
	err  error

	// Of the one that writes.
	left int        // bytes of the frames that have been begun
	with []*os.File // what goes with their first byte
}

func newSocket(f *os.File) (*socket, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	s := &socket{File: f, raw: raw, room: make([]byte, maxRights)}
	s.take = func(fd uintptr) bool {
		s.n, s.err = s.read(fd, s.p)
		return s.n > 0 || s.err != nil
	}
	return s, nil
}

// put hands over the descriptors of a frame that is to be written next of those
// that have any. They belong to the socket then.
func (s *socket) put(files []*os.File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		closeAll(files...)
		return
	}
	s.queue = append(s.queue, files)
}

// claim returns the descriptors that have come with a frame. They belong to the caller.
func (s *socket) claim() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	fds := s.come
	s.come = nil
	return fds
}

// unclaimed reports whether descriptors have come that belong to no frame yet.
func (s *socket) unclaimed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.come) > 0
}

// came takes descriptors that have come; more says that there were others. There
// may be none from before.
func (s *socket) came(fds []int, more bool) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.come) > 0 || more && len(fds) == wire.MaxBlobs {
		err = &protocolError{"more descriptors than belong to a frame"}
	}
	if err != nil || s.closed {
		sealed.Discard(fds...)
	} else {
		s.come = fds
	}
	return err
}

// Close ends both directions. Descriptors that are still here are closed.
func (s *socket) Close() error {
	err := s.File.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, files := range s.queue {
		closeAll(files...)
	}
	sealed.Discard(s.come...)
	s.queue, s.come = nil, nil
	return err
}

// TryWrite writes what goes at once.
func (s *socket) TryWrite(p []byte) (n int, err error) {
	failed := s.raw.Write(func(fd uintptr) bool {
		n, err = s.write(fd, p)
		return true
	})
	if failed != nil {
		return 0, failed
	}
	return n, err
}

// Write waits until all is written.
func (s *socket) Write(p []byte) (n int, err error) {
	failed := s.raw.Write(func(fd uintptr) bool {
		var more int
		more, err = s.write(fd, p[n:])
		n += more
		return err != nil || n == len(p)
	})
	if failed != nil {
		return n, failed
	}
	return n, err
}

// write writes what the kernel takes at once.
func (s *socket) write(fd uintptr, p []byte) (n int, err error) {
	for n < len(p) {
		if s.left == 0 {
			s.begin(p[n:])
		}
		piece := p[n:min(len(p), n+s.left)]
		sent := 0
		if len(s.with) > 0 {
			sent, err = sendWith(fd, piece, s.with)
		} else {
			sent, err = writeNow(fd, piece)
		}
		if sent > 0 {
			closeAll(s.with...)
			s.with = nil
		}
		s.left -= sent
		if n += sent; err != nil || sent < len(piece) {
			return n, err
		}
	}
	return n, nil
}

// begin finds out how much of p, which begins with a frame, can be written at
// once, and what goes with it.
func (s *socket) begin(p []byte) {
	for s.left+wire.HeaderSize <= len(p) {
		kind, size := wire.HeadOf(p[s.left:])
		if kind == wire.KindParcel || kind == wire.KindReturn {
			if s.left == 0 {
				s.left, s.with = size, s.next()
			}
			return
		}
		s.left += size
	}
	s.left = max(s.left, len(p))
}

// next takes the descriptors of one frame out of the queue.
func (s *socket) next() []*os.File {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return nil
	}
	files := s.queue[0]
	s.queue = s.queue[1:]
	return files
}

// Read waits for something to read.
func (s *socket) Read(p []byte) (int, error) {
	s.p, s.n, s.err = p, 0, nil
	err := s.raw.Read(s.take)
	s.p = nil
	if err != nil {
		return 0, err
	}
	return s.n, s.err
}

// Last has nothing to do: the kernel tells the end when nobody can write any more.
func (s *socket) Last() {}

// Poll is that of a source.
func (s *socket) Poll(p []byte, moment time.Duration) (n int, err error) {
	failed := s.raw.Control(func(fd uintptr) {
		if moment <= 0 || awaitInput(fd, moment) {
			n, err = s.read(fd, p)
		}
	})
	if failed != nil {
		return 0, failed
	}
	return n, err
}

// read reads what is there, which may be nothing, and takes the descriptors that come with it.
func (s *socket) read(fd uintptr, p []byte) (n int, err error) {
	n, fds, more, err := receiveWith(fd, p, s.room)
	if len(fds) > 0 {
		if err := s.came(fds, more); err != nil {
			return 0, err
		}
	}
	return n, err
}

func closeAll(files ...*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}
