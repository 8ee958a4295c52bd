package child

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/verdigris-go/verdigris/internal/spawn"
	"github.com/verdigris-go/verdigris/wire"
)

// ReplayFiles says where the inputs of calls that killed their worker are kept,
// for [Replay]. With an empty Dir, which is the default, nothing is kept.
//
// The inputs of all calls on their way are then held in memory once more, until
// they are answered. Files are as secret as the inputs are: they have mode 0600,
// in a directory that nobody else may enter.
type ReplayFiles struct {
	// Dir is made, with mode 0700, if it does not exist. One that others may
	// enter, that belongs to another user, or that is a symbolic link is refused:
	// the worker then does not start.
	Dir string
	// MaxInput is the largest input that is kept, in bytes (16 MiB).
	MaxInput int64
	// MaxFiles is how many files there may be in Dir, from 1 (20); the oldest are
	// removed. Several workers and programs may share a Dir.
	MaxFiles int
}

// CrashedCall is a call that was running when its worker died: what a replay
// file says about it.
type CrashedCall struct {
	Func       string            `cbor:"func"`
	Input      []byte            `cbor:"input"`       // one CBOR item; see Func.InputOf
	State      string            `cbor:"state"`       // the state the worker had, or ""
	StateInput []byte            `cbor:"state-input"` // its configuration, one CBOR item
	Meta       map[string]string `cbor:"meta"`        // the caller's key, trace context and other values
	Timeout    time.Duration     `cbor:"timeout"`     // that it had when it was sent; 0: none
	Time       time.Time         `cbor:"time"`        // of the worker's end
	Worker     string            `cbor:"worker"`      // Config.Name
	Build      string            `cbor:"build"`       // build id of the program, or ""
	Cause      string            `cbor:"cause"`       // name of the Cause
	Error      string            `cbor:"error"`       // the CrashError in words
}

// A replay file is the magic line, the SHA-256 of what follows it, and a
// CrashedCall as one CBOR map. A change of the format changes the magic.
const (
	replayMagic = "verdigris replay 1\n"
	maxReplay   = 1<<30 + 1<<20 // bytes; a frame has at most 1 GiB
)

var crashedCalls = func() wire.Codec[CrashedCall] {
	codec, err := wire.CodecFor[CrashedCall]()
	if err != nil {
		panic(err)
	}
	return codec
}()

// Append appends the content of a replay file that has this call.
func (c CrashedCall) Append(dst []byte) ([]byte, error) {
	dst = append(dst, replayMagic...)
	sum := len(dst)
	dst = append(dst, make([]byte, sha256.Size)...)
	dst, err := crashedCalls.Append(dst, c)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(dst[sum+sha256.Size:])
	copy(dst[sum:], digest[:])
	return dst, nil
}

func parseReplay(file []byte) (CrashedCall, error) {
	rest, ok := bytes.CutPrefix(file, []byte(replayMagic))
	switch {
	case !ok && bytes.HasPrefix(file, []byte("verdigris replay ")):
		return CrashedCall{}, errors.New("it was written by another version of verdigris, in a format that this one does not know")
	case !ok:
		return CrashedCall{}, errors.New("it is not a replay file")
	case len(rest) < sha256.Size:
		return CrashedCall{}, errors.New("its end is missing")
	}
	if sha256.Sum256(rest[sha256.Size:]) != [sha256.Size]byte(rest) {
		return CrashedCall{}, errors.New("it is damaged: its checksum is wrong")
	}
	c, err := crashedCalls.Decode(rest[sha256.Size:])
	if err != nil {
		return CrashedCall{}, fmt.Errorf("its content: %w", err)
	}
	return c, nil
}

// ReadReplay reads a replay file, to look at it. It believes nothing in the
// file; what is no replay file, or a damaged one, is an error.
func ReadReplay(file string) (CrashedCall, error) {
	c, err := readReplay(file)
	if err != nil {
		return CrashedCall{}, fmt.Errorf("child: replay file %s: %w", file, err)
	}
	return c, nil
}

func readReplay(file string) (CrashedCall, error) {
	f, err := os.Open(file)
	if err != nil {
		return CrashedCall{}, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxReplay+1))
	if err != nil {
		return CrashedCall{}, err
	}
	if len(content) > maxReplay {
		return CrashedCall{}, fmt.Errorf("it has more than %d bytes", maxReplay)
	}
	return parseReplay(content)
}

// InputOf decodes the input of a call of f that was kept, for a test case that
// calls what f calls.
func (f Func[In, Out]) InputOf(c CrashedCall) (In, error) {
	if c.Func != f.Name() {
		var zero In
		return zero, fmt.Errorf("child: the input is of a call of %s, not of %s", c.Func, f.Name())
	}
	in, err := f.in.Decode(c.Input)
	if err != nil {
		return in, &codecError{c.Func, "input", err}
	}
	return in, nil
}

// Replay runs the call in a replay file again: in a worker of its own, as [Once]
// does, with the state, the time limit and the values of the context that it
// had. Under a debugger it runs it in this process, so that a breakpoint is hit,
// see [ReplayInline]. It returns the call's error, which is a [*CrashError] if the
// crash happens again, and nil if the function returns a result.
//
// Of cfg, Setup and CallTimeout may be left out. The program need not be the build
// that crashed; another one is told in the log. It must define the function, or
// the error is an [*UnknownFunctionError].
func Replay(ctx context.Context, cfg Config, file string) error {
	if traced() {
		return ReplayInline(ctx, cfg, file)
	}
	ctx, cfg, req, err := prepareReplay(ctx, cfg, file)
	if err != nil {
		return err
	}
	// A function that exceeds its time is to be killed for that, not for being stopped.
	cfg.Stop.Drain = max(cfg.Stop.Drain, cfg.Grace+cfg.Dump+time.Second)
	err, end := alone(ctx, cfg, func(c Caller) error { return c.Do(ctx, req) })
	if crash, ok := errors.AsType[*CrashError](end); ok {
		if _, interrupted := errors.AsType[*InterruptedError](err); interrupted && crash.Cause != KillCalled {
			return crash
		}
	}
	return err
}

// ReplayInline runs the call in a replay file again in this very process, without
// a time limit, as [Inline] does: a panic is a [*CrashError], and a crash in C
// ends the program, or stops it in its debugger. Otherwise it is like [Replay].
func ReplayInline(ctx context.Context, cfg Config, file string) error {
	ctx, cfg, req, err := prepareReplay(ctx, cfg, file)
	if err != nil {
		return err
	}
	cfg.CallTimeout = 0
	i := NewInline(cfg)
	if err := i.Do(ctx, req); err != nil {
		_ = i.Close() // nobody asks how a state closes that a crash has left behind
		return err
	}
	return i.Close()
}

// prepareReplay makes the call that the file describes, and completes cfg.
func prepareReplay(ctx context.Context, cfg Config, file string) (context.Context, Config, *Request, error) {
	c, err := ReadReplay(file)
	if err != nil {
		return nil, cfg, nil, err
	}
	if cfg, err = cfg.withDefaults(); err != nil {
		return nil, cfg, nil, err
	}
	f, known := functions.get([]byte(c.Func))
	if !known {
		return nil, cfg, nil, &UnknownFunctionError{Worker: cfg.Name, Func: c.Func, Reason: "this program does not define it"}
	}
	if cfg.Setup.state == nil && c.State != "" {
		state, known := states.get([]byte(c.State))
		if !known {
			return nil, cfg, nil, fmt.Errorf("child: replay file %s: its worker had the state %q, which this program does not define", file, c.State)
		}
		cfg.Setup = Setup{state, c.StateInput}
	}
	cfg.CallTimeout = or(cfg.CallTimeout, c.Timeout)
	cfg.Replay = ReplayFiles{} // this call is kept already
	if build, _ := spawn.BuildID(); build != c.Build {
		cfg.Logger.Warn("a call that crashed another build of this program is run again", "file", file, "func", c.Func, "build", build, "crashed", c.Build)
	}
	req := &Request{
		fn:     f,
		append: func(dst []byte) (_, tail []byte, err error) { return append(dst, c.Input...), nil, nil },
		decode: func([]byte, bool) error { return nil },
	}
	if f.stream != nil {
		req.items = &consumer{take: func([]byte, bool) (bool, error) { return true, nil }}
	}
	return replayContext(ctx, c.Meta), cfg, req, nil
}

// replayContext gives the call the values that it had. Whether its progress is
// shown is for who replays it to say.
func replayContext(ctx context.Context, meta map[string]string) context.Context {
	fn := asksProgress(ctx, allMeta(ctx))
	delete(meta, wire.MetaProgress)
	return OnProgress(withAllMeta(ctx, meta), fn)
}

// keeps reports whether the inputs of calls that this cause has hit are worth
// keeping: not if the worker was ended for reasons of others.
func (c Cause) keeps() bool { return c != Canceled && c != StopTimeout && c != KillCalled }

// replayPatience is how long the callers of a dead worker wait for their inputs
// to be written.
const replayPatience = 2 * time.Second

// keep writes the inputs of the calls that were running when the worker died,
// and returns their files, "" where there is none. Whatever goes wrong is logged
// and hurts nobody; what takes too long goes on alone.
func (r *run) keep(crash *CrashError, running []*call) []string {
	files := make([]string, len(running))
	if r.cfg.Replay.Dir == "" || !crash.Cause.keeps() || len(running) == 0 {
		return files
	}
	done := make(chan []string, 1)
	text := strings.ToValidUTF8(crash.Error(), "\uFFFD")
	go func() { done <- r.write(crash, text, running) }()
	patience := time.NewTimer(replayPatience)
	defer patience.Stop()
	select {
	case files = <-done:
	case <-patience.C:
		r.cfg.Logger.Warn("keeping the input of a crashed call takes long; its callers do not wait", "worker", r.cfg.Name, "dir", r.cfg.Replay.Dir)
	}
	return files
}

// write writes the inputs, no more than may stay.
func (r *run) write(crash *CrashError, text string, running []*call) []string {
	files := make([]string, len(running))
	build, _ := spawn.BuildID()
	for i, k := range running {
		if i == r.cfg.Replay.MaxFiles {
			r.cfg.Logger.Warn("not all inputs of crashed calls are kept", "worker", r.cfg.Name, "kept", i, "calls", len(running))
			break
		}
		c := CrashedCall{
			State: r.cfg.Setup.name(), StateInput: r.cfg.Setup.input, Time: time.Now(),
			Worker: strings.ToValidUTF8(r.cfg.Name, "\uFFFD"), Build: build, Cause: crash.Cause.String(), Error: text,
		}
		var file string
		frame, err := k.frame(r.cfg.Replay.MaxInput)
		if err == nil {
			file, err = r.cfg.Replay.write(c, frame, fmt.Sprintf("%d-%d", crash.PID, k.id))
		}
		if err != nil {
			r.cfg.Logger.Warn("the input of a crashed call is not kept", "worker", r.cfg.Name, slog.Any("call", k.info), slog.Any("error", err))
		}
		files[i] = file
	}
	return files
}

// copy is the frame of a call, to be kept until it is answered; nil if it would not
// be written anyway.
func (f ReplayFiles) copy(frame, tail []byte) *[]byte {
	if f.Dir == "" || int64(len(frame)+len(tail)) > f.MaxInput+maxCallHead {
		return nil
	}
	c := slices.Concat(frame, tail)
	return &c
}

// frame is the copy of the call's frame, or nil. Its Blobs, which had gone another
// way, are inside, unless they are too large.
func (k *call) frame(limit int64) ([]byte, error) {
	if k.sent == nil {
		return nil, nil
	}
	frame := *k.sent
	if k.freight == nil || len(k.freight.cargo.blobs) == 0 {
		return frame, nil
	}
	call, err := wire.ParseCall(frame[wire.HeaderSize:])
	if err != nil || k.freight.cargo.parcel.Size() > limit {
		return nil, err
	}
	f, _ := functions.get(call.Func)
	input, err := f.whole(call.Input, k.freight.cargo)
	if err != nil {
		return nil, err
	}
	return append(frame[:len(frame)-len(call.Input):len(frame)-len(call.Input)], input...), nil
}
