package landlock

import (
	"fmt"
	"strings"
)

// FS are rights to files and directories (landlock(7)).
type FS uint64

// The rights. Those of a directory are about what is in it.
const (
	Execute     FS = 1 << iota // execute a file
	WriteFile                  // open a file to write
	ReadFile                   // open a file to read
	ReadDir                    // open a directory, list it
	RemoveDir                  // remove or rename a directory
	RemoveFile                 // remove or rename a file
	MakeChar                   // make, rename or link a character device
	MakeDir                    // make or rename a directory
	MakeReg                    // make, rename or link a regular file
	MakeSock                   // make, rename or link a socket
	MakeFifo                   // make, rename or link a named pipe
	MakeBlock                  // make, rename or link a block device
	MakeSym                    // make, rename or link a symbolic link
	Refer                      // link or rename from or to another directory, since ABI 2
	Truncate                   // truncate a file, since ABI 3
	IoctlDev                   // ioctl(2) on a device that was opened inside, since ABI 5
	ResolveUnix                // connect to a socket by its path, since ABI 9

	AllFS   = ResolveUnix<<1 - 1
	fileFS  = Execute | WriteFile | ReadFile | Truncate | IoctlDev | ResolveUnix // those of what is no directory
	firstFS = MakeSym<<1 - 1                                                     // those of ABI 1

	// Read and Write are what these words mean to most.
	Read  = ReadFile | ReadDir
	Write = WriteFile | RemoveDir | RemoveFile | MakeDir | MakeReg | MakeSock | MakeFifo | MakeSym | Refer | Truncate
)

// Net are rights to TCP ports, without MPTCP.
type Net uint64

// The rights, since ABI 4.
const (
	BindTCP    Net = 1 << iota // bind(2); port 0 is that the kernel chooses one
	ConnectTCP                 // connect(2)

	AllNet = ConnectTCP<<1 - 1
)

// Scope is something that is not done to processes outside of the own domain:
// those that were not restricted with this one, by the same or a later Restrict.
type Scope uint64

// The scopes, since ABI 6.
const (
	AbstractUnix Scope = 1 << iota // connect to abstract Unix sockets
	Signals                        // send signals

	AllScopes = Signals<<1 - 1
)

// ABI is the version of the kernel's interface; 0: there is no Landlock.
type ABI int

// Newest is the newest that this package knows. A kernel with a newer one has all
// of that.
const Newest ABI = 9

// FS are the rights that the kernel knows.
func (a ABI) FS() FS {
	switch {
	case a < 1:
		return 0
	case a < 2:
		return firstFS
	case a < 3:
		return firstFS | Refer
	case a < 5:
		return firstFS | Refer | Truncate
	case a < 9:
		return AllFS &^ ResolveUnix
	}
	return AllFS
}

// Net are the rights that the kernel knows.
func (a ABI) Net() Net {
	if a < 4 {
		return 0
	}
	return AllNet
}

// Scopes are those that the kernel knows.
func (a ABI) Scopes() Scope {
	if a < 6 {
		return 0
	}
	return AllScopes
}

// flags of landlock_restrict_self(2) that keep denials out of the audit log,
// since ABI 7; before, there are none in it.
func (a ABI) quiet() uint32 {
	if a < 7 {
		return 0
	}
	return 1 | 4 // LANDLOCK_RESTRICT_SELF_LOG_SAME_EXEC_OFF, _LOG_SUBDOMAINS_OFF
}

var (
	namesFS = []string{
		"execute", "write file", "read file", "read directory", "remove directory", "remove file",
		"make character device", "make directory", "make file", "make socket", "make pipe", "make block device",
		"make symbolic link", "move between directories", "truncate", "ioctl on devices", "connect to socket by path",
	}
	namesNet   = []string{"bind tcp", "connect tcp"}
	namesScope = []string{"abstract sockets outside", "signals to outside"}
)

func (f FS) String() string    { return words(uint64(f), namesFS) }
func (n Net) String() string   { return words(uint64(n), namesNet) }
func (s Scope) String() string { return words(uint64(s), namesScope) }

func words(set uint64, names []string) string {
	var in []string
	for i, name := range names {
		if set&(1<<i) != 0 {
			in = append(in, name)
		}
	}
	if rest := set >> len(names) << len(names); rest != 0 {
		in = append(in, fmt.Sprintf("%#x", rest))
	}
	if in == nil {
		return "nothing"
	}
	return strings.Join(in, ", ")
}
