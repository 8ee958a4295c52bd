package seccomp

import "fmt"

// Filter says what becomes of each system call. Its zero value kills the
// process at its first one.
type Filter struct {
	// Default is done with a system call that no rule matches, also with those
	// that this package does not know.
	Default Action
	// Rules are tried in order; the first that matches decides.
	Rules []Rule
}

// Rule says what becomes of one system call.
type Rule struct {
	Call Call
	If   []Cond // all of them must hold; none: always
	Do   Action
}

// Cond compares an argument of a system call. It sees the registers, not the
// memory behind a pointer.
type Cond struct {
	Arg   uint8 // 0 to 5
	Width Width
	Op    Op
	Mask  uint64 // for Masked
	Value uint64
}

// Width is how much of an argument the kernel looks at. The caller chooses all
// 64 bits of a register, so a comparison of all of them lets an int pass that
// has something in its upper half, which the kernel then ignores.
type Width uint8

// The widths.
const (
	Int  Width = iota // 32 bits: int, unsigned int, pid_t, a descriptor
	Long              // 64 bits: long, size_t, a pointer, flags of clone(2)
)

func (w Width) mask() uint64 {
	if w == Int {
		return 1<<32 - 1
	}
	return 1<<64 - 1
}

// Op is a comparison without sign.
type Op uint8

// The comparisons.
const (
	Equal          Op = iota
	NotEqual          // arg != Value
	Less              // arg < Value
	LessOrEqual       // arg <= Value
	Greater           // arg > Value
	GreaterOrEqual    // arg >= Value
	Masked            // arg & Mask == Value
)

// Action is what becomes of a system call.
type Action uint32

// The actions. The zero value is the strictest.
const (
	KillProcess Action = iota << 16 // all threads die as of SIGSYS
	Trap                            // it is not done, and the thread gets SIGSYS, which it may catch
	Notify                          // the holder of the listener decides, see LoadNotify
	Log                             // it is done, and the kernel logs it
	Allow                           // it is done
	fail                            // it returns the error in the lower half
)

// Fail lets the system call return an error without being done.
func Fail(e Errno) Action { return fail | Action(e) }

// Errno gives the error that a call returns, if it fails.
func (a Action) Errno() (e Errno, ok bool) {
	return Errno(a & 0xffff), a&^0xffff == fail
}

// Known reports whether a is one of the actions of this package.
func (a Action) known() bool {
	e, ok := a.Errno()
	return ok && e > 0 && e <= maxErrno || a <= Allow && a&0xffff == 0
}

func (a Action) String() string {
	if e, ok := a.Errno(); ok {
		return "fail with " + e.String()
	}
	switch a {
	case KillProcess:
		return "kill the process"
	case Trap:
		return "trap"
	case Notify:
		return "notify"
	case Log:
		return "log"
	case Allow:
		return "allow"
	}
	return fmt.Sprintf("Action(%#x)", uint32(a))
}

// Errno is an error number of Linux, also where this is compiled elsewhere.
type Errno uint16

// The errors that the groups of this package use.
const (
	EPERM  Errno = 1
	EACCES Errno = 13
	ENOSYS Errno = 38

	maxErrno Errno = 4095 // MAX_ERRNO of the kernel
)

func (e Errno) String() string {
	switch e {
	case EPERM:
		return "EPERM"
	case EACCES:
		return "EACCES"
	case ENOSYS:
		return "ENOSYS"
	}
	return fmt.Sprintf("errno %d", uint16(e))
}

// check finds what cannot be meant.
func (f Filter) check() error {
	if !f.Default.known() {
		return &RuleError{Index: -1, Why: fmt.Sprintf("the default action %v is none", f.Default)}
	}
	for i, r := range f.Rules {
		if why := r.check(); why != "" {
			return &RuleError{Index: i, Rule: r, Why: why}
		}
	}
	return nil
}

func (r Rule) check() string {
	if int(r.Call) >= len(calls) {
		return "there is no such system call"
	}
	if !r.Do.known() {
		return fmt.Sprintf("the action %v is none", r.Do)
	}
	for _, c := range r.If {
		if why := c.check(); why != "" {
			return why
		}
	}
	return ""
}

func (c Cond) check() string {
	switch {
	case c.Arg > 5:
		return fmt.Sprintf("a system call has the arguments 0 to 5, not %d", c.Arg)
	case c.Width > Long:
		return "its width is neither Int nor Long"
	case c.Op > Masked:
		return "its comparison is none"
	case c.Op != Masked && c.Mask != 0:
		return "a mask is for Masked only"
	case (c.Value|c.Mask)&^c.Width.mask() != 0:
		return fmt.Sprintf("%#x does not fit into an argument of 32 bits", c.Value|c.Mask)
	case c.Op == Masked && c.Value&^c.Mask != 0:
		return fmt.Sprintf("nothing masked with %#x is ever %#x", c.Mask, c.Value)
	}
	return ""
}
