//go:build unix

package output

import (
	"os"
	"syscall"
)

// maxSweep is the largest size of a pipe (fs.pipe-max-size, pipe(7)). More
// than that was not there when the reading was ended.
const maxSweep = 1 << 20

// sweep reads what is left in a non-blocking pipe whose deadline has passed,
// past which os.File reads no more: a dead worker's last words may be there.
func sweep(f *os.File, accept func([]byte)) {
	conn, err := f.SyscallConn()
	if err != nil {
		return
	}
	conn.Control(func(fd uintptr) {
		buf := make([]byte, maxBuffer)
		for total := 0; total < maxSweep; {
			n, err := syscall.Read(int(fd), buf)
			if err == syscall.EINTR {
				continue
			}
			if n <= 0 {
				return
			}
			accept(buf[:n])
			total += n
		}
	})
}
