package sealed

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Supported says that this system has sealed files.
const Supported = true

const seals = unix.F_SEAL_WRITE | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL

// Create makes an empty file that can be written to until it is sealed. It has
// no name in any directory; name is what /proc shows.
func Create(name string) (*os.File, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate(name, flags|unix.MFD_NOEXEC_SEAL)
	if err == unix.EINVAL { // Linux before 6.3 knows no files that cannot be executed
		fd, err = unix.MemfdCreate(name, flags)
	}
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// Seal makes the file what it is for ever. It fails when the file is mapped for
// writing, in any process.
func Seal(f *os.File) error {
	return control(f, func(fd int) error {
		_, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals)
		return os.NewSyscallError("fcntl", err)
	})
}

// Check returns the size of a sealed file, or why f is none.
func Check(f *os.File) (size int64, err error) {
	err = control(f, func(fd int) error {
		if err := hasSeals(fd); err != nil { // first, see the package's comment
			return err
		}
		size, err = sizeOf(fd)
		return err
	})
	return size, err
}

// Take makes a file of a descriptor that has come from another process, if it is a
// sealed one. Else it is discarded.
func Take(fd int, name string) (*os.File, error) {
	if err := hasSeals(fd); err != nil {
		Discard(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// Discard closes descriptors of which nobody knows what they are. It does not wait
// for that.
func Discard(fds ...int) {
	if len(fds) == 0 {
		return
	}
	go func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}()
}

func hasSeals(fd int) error {
	have, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil {
		return fmt.Errorf("it is no file in memory: %w", os.NewSyscallError("fcntl", err))
	}
	if have&seals != seals {
		return fmt.Errorf("it is not sealed (seals %#x of %#x)", have, seals)
	}
	mode, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	if mode&unix.O_ACCMODE == unix.O_WRONLY {
		return errors.New("it is not open for reading")
	}
	return nil
}

func sizeOf(fd int) (int64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, os.NewSyscallError("fstat", err)
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return 0, os.NewSyscallError("fstatfs", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || fs.Type != unix.TMPFS_MAGIC {
		return 0, errors.New("it is no ordinary file in memory")
	}
	return st.Size, nil
}

// Map maps the first size bytes of a file, for reading only or for writing too.
// [Unmap] ends it; whoever reads there after that is killed by the kernel.
func Map(f *os.File, size int64, write bool) (mem []byte, err error) {
	// Linux before 6.7 refuses to share what is sealed against writing, also with
	// readers. A private mapping of what cannot change is the same.
	prot, flags := unix.PROT_READ, unix.MAP_PRIVATE
	if write {
		prot, flags = unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED
	}
	if int64(int(size)) != size {
		return nil, unix.ENOMEM
	}
	err = control(f, func(fd int) error {
		mem, err = unix.Mmap(fd, 0, int(size), prot, flags)
		return os.NewSyscallError("mmap", err)
	})
	return mem, err
}

// Unmap ends a mapping.
func Unmap(mem []byte) error { return os.NewSyscallError("munmap", unix.Munmap(mem)) }

// Duplicate returns another descriptor of the file, which programs that are
// started do not get.
func Duplicate(f *os.File) (other *os.File, err error) {
	err = control(f, func(fd int) error {
		n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return os.NewSyscallError("fcntl", err)
		}
		other = os.NewFile(uintptr(n), f.Name())
		return nil
	})
	return other, err
}

// control runs do with the descriptor, which is not closed meanwhile. Unlike
// Fd it leaves the file's mode alone.
func control(f *os.File, do func(fd int) error) (err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	if failed := raw.Control(func(fd uintptr) { err = do(int(fd)) }); failed != nil {
		return failed
	}
	return err
}
