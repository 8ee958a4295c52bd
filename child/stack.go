package child

import (
	"fmt"
	"path"
	"reflect"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Frame is one function on a Go stack. Of C code only the function that Go has
// called is known: its Func is "C.name", and it has neither file nor line.
type Frame struct {
	Func string // with its package's path: "example.com/img.(*Decoder).Decode"
	File string // as the compiler saw it
	Line int    // 0 where the compiler knows none: code of its own, which it prints as line -2
}

// String is short: "img.(*Decoder).Decode (decode.go:42)".
func (f Frame) String() string {
	if f.File == "" {
		return f.name()
	}
	return fmt.Sprintf("%s (%s:%d)", f.name(), brief(path.Base(f.File)), f.Line)
}

func (f Frame) name() string { return brief(f.Func[strings.LastIndexByte(f.Func, '/')+1:]) }

// user reports whether the function is no C and not in the standard library: its
// package's path begins with the name of a host, or is the main module's.
func (f Frame) user() bool {
	root, _, inside := strings.Cut(f.Func, "/")
	if !inside {
		root, _, _ = strings.Cut(root, ".")
	}
	return root == "main" || root == mainModule() || inside && strings.Contains(root, ".")
}

// mainModule is the first element of the path of this program's module.
var mainModule = sync.OnceValue(func() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	root, _, _ := strings.Cut(info.Main.Path, "/")
	return root
})

// site says where a stack stands: in the user's function nearest to the top, and
// what that has called. "" if there is no stack.
func site(stack []Frame) string {
	if len(stack) == 0 {
		return ""
	}
	switch i := slices.IndexFunc(stack, Frame.user); i {
	case -1, 0:
		return "in " + stack[0].String()
	default:
		return "in " + stack[i-1].name() + " called by " + stack[i].String()
	}
}

// chain is the top of a stack in one line; of a recursion it has one link.
func chain(stack []Frame) string {
	const most = 8
	links := slices.CompactFunc(slices.Clone(stack), func(a, b Frame) bool { return a.Func == b.Func })
	var names []string
	for _, f := range links[:min(len(links), most)] {
		names = append(names, f.String())
	}
	if n := len(links) - most; n > 0 {
		names = append(names, fmt.Sprintf("%d more", n))
	}
	return strings.Join(names, " < ")
}

// What is kept of a stack. A report has at most 60 KiB, but the frames of a
// panic come in a message of any size.
const (
	maxFrames = 64
	maxName   = 4 << 10 // bytes of a function's or a file's name
)

// own is how the names of this package's functions begin on a stack.
var own = reflect.TypeFor[Frame]().PkgPath() + "."

// handlers are what of this package stands below the user's functions.
var handlers = []string{own + "(*answers).call(", own + "(*stateType).begin("}

// stackOf finds, in the report of a Go runtime or in a goroutine's own stack, the
// goroutine that matters, and what of it is the user's. Of a crash it is the one
// that crashed, which comes first. Of a dump of a live worker (SIGQUIT), and where
// a thread without a goroutine crashed, it is the first that runs a handler.
// Nothing is believed: text of any form gives some frames or none.
func stackOf(report string) []Frame {
	head, rest := nextGoroutine(report)
	if head == "" {
		return nil
	}
	if !strings.HasPrefix(report, "SIGQUIT: ") && !strings.HasPrefix(head, "goroutine 0 ") {
		return framesOf(rest)
	}
	for ; head != ""; head, rest = nextGoroutine(rest) {
		goroutine, _, _ := strings.Cut(rest, "\n\n")
		for _, h := range handlers {
			if strings.Contains(goroutine, "\n"+h) {
				return framesOf(goroutine)
			}
		}
	}
	return nil
}

// nextGoroutine cuts text behind the next line like "goroutine 1 [running]:".
func nextGoroutine(text string) (head, rest string) {
	for text != "" {
		head, text, _ = strings.Cut(text, "\n")
		if strings.HasPrefix(head, "goroutine ") && strings.HasSuffix(head, "]:") {
			return head, text
		}
	}
	return "", ""
}

// framesOf reads the frames of one goroutine, without those that the crash has
// put on top of the user's, and without those of this package below.
func framesOf(text string) (frames []Frame) {
	for len(frames) < maxFrames {
		var name, place string
		name, text, _ = strings.Cut(text, "\n")
		place, text, _ = strings.Cut(text, "\n")
		f, ok := frameOf(name, place)
		ours := strings.HasPrefix(f.Func, own)
		if !ok || ours && len(frames) > 0 {
			break
		}
		if n := len(frames); n > 1 && frames[n-2].File == "" && frames[n-1].closureOf(f) {
			frames[n-1] = f
		} else if n > 0 || !ours && !ofRuntime(f.Func) {
			frames = append(frames, f)
		}
	}
	return frames
}

// closureOf reports whether f is a closure that cgo has put around a call of C in
// the line where g makes it.
func (f Frame) closureOf(g Frame) bool {
	return strings.HasPrefix(f.Func, g.Func+".func") && f.File == g.File && f.Line == g.Line
}

func ofRuntime(fn string) bool {
	return fn == "panic" || strings.HasPrefix(fn, "runtime.") || strings.HasPrefix(fn, "runtime/")
}

// frameOf reads the two lines of a frame:
//
//	example.com/img.(*Decoder).Decode(0xc000012345, {0x1, 0x2})
//		/src/img/decode.go:42 +0x1d fp=0xc0 sp=0xc0 pc=0x48
func frameOf(name, place string) (f Frame, ok bool) {
	end := strings.LastIndexByte(name, '(')
	place, isPlace := strings.CutPrefix(place, "\t")
	if end <= 0 || !isPlace || strings.HasPrefix(name, "created by ") {
		return f, false
	}
	place, _, _ = strings.Cut(place, " +0x")
	colon := strings.LastIndexByte(place, ':')
	line, err := strconv.Atoi(place[colon+1:])
	if colon < 0 || err != nil {
		return f, false
	}
	f = Frame{Func: name[:end], File: place[:colon], Line: max(line, 0)}
	if _, c, isC := strings.Cut(f.Func, "._Cfunc_"); isC {
		f = Frame{Func: "C." + c}
	}
	return f, len(f.Func) <= maxName && len(f.File) <= maxName
}
