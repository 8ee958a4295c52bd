package child

import (
	"context"
	"fmt"
	"reflect"
	"runtime/debug"

	"github.com/verdigris-go/verdigris/wire"
)

// State is something that lives as long as a worker process and belongs to it:
// an engine, a connection, a model that takes seconds to load. C is the type of
// its configuration, S of the state itself. [DefineState] makes one.
type State[C, S any] struct {
	*stateType
	config wire.Codec[C]
}

// DefineState registers a state under a name. A worker that is set up with it
// ([Config.Setup], [State.With]) calls open once, before it is ready; an error
// from open is a failed start. When the worker stops in good order it calls
// close, unless that is nil. After a crash nothing is called: the process is gone.
//
//	var Renderer = child.DefineState("pdf", openRenderer, (*Engine).Close)
//
// It panics as [Define] does.
func DefineState[C, S any](name string, open func(context.Context, C) (*S, error), closeState func(*S) error) State[C, S] {
	config, err := wire.CodecFor[C]()
	if err != nil {
		panic(fmt.Sprintf("child: DefineState(%q): the configuration: %v", name, err))
	}
	if path := config.BlobPath(); path != "" {
		panic(fmt.Sprintf("child: DefineState(%q): the configuration: %v", name, &wire.TypeError{Type: reflect.TypeFor[C](), Path: path, Reason: noBlob}))
	}
	t := &stateType{name: name, config: config.Signature()}
	t.open = func(ctx context.Context, input []byte) (any, error) {
		cfg, err := config.Decode(input)
		if err != nil {
			return nil, &codecError{name, "configuration", err}
		}
		return open(ctx, cfg)
	}
	t.close = func(state any) error {
		if closeState == nil {
			return nil
		}
		return closeState(state.(*S))
	}
	states.add(t)
	return State[C, S]{t, config}
}

// DefineOn registers a function that works on a state, typically a method
// expression:
//
//	var Render = child.DefineOn(Renderer, "pdf.render", (*Engine).Render)
//
// Calling it on a worker without that state fails with a [*StateError] before
// anything is sent. With [Config.Concurrency] above 1 the state is used by
// several goroutines at once. It panics as [Define] does.
func DefineOn[C, S, In, Out any](s State[C, S], name string, fn func(*S, context.Context, In) (Out, error)) Func[In, Out] {
	return define(name, s.Name(), func(ctx context.Context, state any, in In) (Out, error) {
		return fn(state.(*S), ctx, in)
	})
}

// With says which state a worker opens, and with what configuration. It panics
// when the configuration cannot be encoded.
func (s State[C, S]) With(cfg C) Setup {
	input, err := s.config.Append(nil, cfg)
	if err != nil {
		panic(fmt.Sprintf("child: %s.With: %v", s.Name(), err))
	}
	return Setup{s.stateType, input}
}

// Setup is a state and its configuration, ready to be opened by a worker. The
// zero value is none.
type Setup struct {
	state *stateType
	input []byte
}

func (s Setup) name() string {
	if s.state == nil {
		return ""
	}
	return s.state.name
}

// serves reports whether a worker with this setup can run f.
func (s Setup) serves(worker string, f *function) error {
	if f.state == "" || f.state == s.name() {
		return nil
	}
	return &StateError{Worker: worker, Func: f.name, Needs: f.state, Has: s.name()}
}

// stateType is what the registry knows of a State, its types erased.
type stateType struct {
	name   string
	config string // signature of the configuration
	open   func(ctx context.Context, input []byte) (any, error)
	close  func(state any) error
}

// begin opens the state. What goes wrong, a panic included, is told as a worker
// tells it.
func (t *stateType) begin(ctx context.Context, input []byte) (state any, failed *wire.StartFailed) {
	defer func() {
		if v := recover(); v != nil {
			failed = &wire.StartFailed{Message: fmt.Sprintf("opening the state %q panicked: %v", t.name, v), Stack: string(debug.Stack())}
		}
	}()
	state, err := t.open(ctx, input)
	if err != nil {
		return nil, &wire.StartFailed{Message: fmt.Sprintf("opening the state %q: %v", t.name, err), Codes: codesOf(err)}
	}
	return state, nil
}

// end closes the state; a panic becomes an error.
func (t *stateType) end(state any) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	return t.close(state)
}

// Name returns the name the state was defined under.
func (t *stateType) Name() string { return t.name }
