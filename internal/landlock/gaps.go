package landlock

import (
	"fmt"
	"log/slog"
)

// Hole is a promise that some kernels cannot keep.
type Hole uint8

// The holes.
const (
	Files          Hole = iota // nothing about files can be denied
	Reparent                   // moving files between directories cannot be allowed, or cannot be denied
	Truncation                 // files can be truncated
	TCPPorts                   // TCP ports can be bound and connected to
	Ioctls                     // ioctl(2) works on all devices that can be opened
	Outsiders                  // signals and abstract sockets reach outsiders
	UnixPaths                  // sockets with a path can be connected to
	BeyondTCP                  // other protocols are not denied with TCP
	Metadata                   // names and attributes of files can be seen, and by their owner changed
	MemoryPrograms             // what is no file can be executed
)

// String says in words what does not hold.
func (h Hole) String() string {
	return [...]string{
		Files:          "nothing about files is denied",
		Reparent:       "moving files to another directory",
		Truncation:     "any file can be truncated",
		TCPPorts:       "every TCP port can be used",
		Ioctls:         "ioctl works on every device that can be opened",
		Outsiders:      "signals and abstract sockets reach processes outside",
		UnixPaths:      "Unix sockets can be connected to by their path",
		BeyondTCP:      "UDP, MPTCP and all other protocols are not denied with TCP",
		Metadata:       "stat, chdir, chmod, chown, utime and setxattr are not denied",
		MemoryPrograms: "a program in anonymous memory (memfd) can be executed",
	}[h]
}

// Gap is a promise that this kernel cannot keep.
type Gap struct {
	Hole Hole
	// Since is the first ABI without it; 0: there is none.
	Since ABI
	// Stricter says that more is denied than asked for; otherwise it is less.
	Stricter bool
}

func (g Gap) String() string {
	s := g.Hole.String()
	if g.Stricter {
		s += " is always denied"
	} else if g.Hole == Reparent {
		s += " is not denied"
	}
	if g.Since == 0 {
		return s + " (by no version of Landlock)"
	}
	return fmt.Sprintf("%s (since ABI %d, Linux %s, that is otherwise)", s, g.Since, g.Since.Linux())
}

// LogValue gives the facts.
func (g Gap) LogValue() slog.Value {
	return slog.GroupValue(slog.String("hole", g.Hole.String()), slog.Int("since", int(g.Since)), slog.Bool("stricter", g.Stricter))
}

// Linux is the version that brought the ABI. Distributions have it in older ones.
func (a ABI) Linux() string {
	versions := [...]string{"5.13", "5.19", "6.2", "6.7", "6.10", "6.12", "6.15", "7.0", "7.1"}
	if a < 1 || int(a) > len(versions) {
		return "(unknown)"
	}
	return versions[a-1]
}

// promises are what a policy asks for, and the ABI that keeps them; 0: none does.
var promises = []struct {
	hole   Hole
	fs     FS
	net    Net
	scopes Scope
	since  ABI
}{
	{hole: Files, fs: firstFS, since: 1},
	{hole: Reparent, fs: Refer, since: 2},
	{hole: Truncation, fs: Truncate, since: 3},
	{hole: TCPPorts, net: AllNet, since: 4},
	{hole: Ioctls, fs: IoctlDev, since: 5},
	{hole: Outsiders, scopes: AllScopes, since: 6},
	{hole: UnixPaths, fs: ResolveUnix, since: 9},
	{hole: BeyondTCP, net: AllNet},
	{hole: Metadata, fs: AllFS},
	{hole: MemoryPrograms, fs: Execute},
}

// gaps are what the kernel cannot keep of what the policy asks for.
func (p Policy) gaps(abi ABI) (gaps []Gap) {
	for _, q := range promises {
		asked := p.FS&q.fs != 0 || p.Net&q.net != 0 || p.Scopes&q.scopes != 0
		switch {
		case q.hole == Reparent && p.FS&abi.FS() != 0 && (abi == 1 || !asked):
			// The first ABI denied it always, the others deny it where they are not
			// told that it is for rules to allow.
			g := Gap{Hole: Reparent, Stricter: true}
			if abi == 1 && asked {
				g.Since = q.since
			}
			gaps = append(gaps, g)
		case asked && (q.since == 0 || abi < q.since):
			gaps = append(gaps, Gap{Hole: q.hole, Since: q.since})
		}
	}
	return gaps
}
