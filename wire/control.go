package wire

import (
	"errors"
	"fmt"
	"time"
)

var errNoName = errors.New("a function without a name")

// CancelReason says why nobody waits for a call any more.
type CancelReason uint8

const (
	Canceled         CancelReason = 1 // the caller went away
	DeadlineExceeded CancelReason = 2 // the caller's time is up
)

// String returns "canceled" or "deadline exceeded".
func (r CancelReason) String() string {
	switch r {
	case Canceled:
		return "canceled"
	case DeadlineExceeded:
		return "deadline exceeded"
	}
	return fmt.Sprintf("CancelReason(%d)", uint8(r))
}

// Cancel is the body of a cancel frame; the frame's id names the call. A worker that does not know the call ignores it.
type Cancel struct {
	Reason CancelReason `cbor:"1,keyasint"`
}

// Append appends the body of a cancel frame.
func (c Cancel) Append(dst []byte) ([]byte, error) { return appendControl(dst, KindCancel, &c, nil) }

// ParseCancel takes the body of a cancel frame apart. The error is a [*DecodeError].
func ParseCancel(body []byte) (Cancel, error) {
	return parseControl[Cancel](body, KindCancel, nil)
}

// Credit lets a stream go on; the frame's id names the call. A worker that does not know the call ignores it.
type Credit struct {
	Bytes int64 `cbor:"1,keyasint"` // of the window that are free again, by [ItemCost]; at least 1
}

// Append appends the body of a credit frame.
func (c Credit) Append(dst []byte) ([]byte, error) {
	return appendControl(dst, KindCredit, &c, c.check())
}

// ParseCredit takes the body of a credit frame apart. The error is a [*DecodeError].
func ParseCredit(body []byte) (Credit, error) {
	return parseControl(body, KindCredit, Credit.check)
}

func (c Credit) check() error {
	if c.Bytes < 1 {
		return fmt.Errorf("a credit of %d bytes", c.Bytes)
	}
	return nil
}

// Shutdown tells the worker to finish the calls it has begun and to go.
type Shutdown struct {
	Grace time.Duration `cbor:"1,keyasint,omitempty"` // nanoseconds until the parent uses force; 0: unknown
}

// Append appends the body of a shutdown frame.
func (s Shutdown) Append(dst []byte) ([]byte, error) {
	return appendControl(dst, KindShutdown, &s, s.check())
}

// ParseShutdown takes the body of a shutdown frame apart. The error is a [*DecodeError].
func ParseShutdown(body []byte) (Shutdown, error) {
	return parseControl(body, KindShutdown, Shutdown.check)
}

func (s Shutdown) check() error {
	if s.Grace < 0 {
		return fmt.Errorf("negative grace %v", s.Grace)
	}
	return nil
}

// Goodbye is a worker's last frame: it ends by its own decision.
type Goodbye struct {
	Reason string `cbor:"1,keyasint,omitempty"` // for people
}

// Append appends the body of a goodbye frame. A reason beyond MaxMessage is cut off, with a remark.
func (g Goodbye) Append(dst []byte) ([]byte, error) {
	g.Reason = bounded(g.Reason, MaxMessage)
	return appendControl(dst, KindGoodbye, &g, nil)
}

// ParseGoodbye takes the body of a goodbye frame apart. The error is a [*DecodeError].
func ParseGoodbye(body []byte) (Goodbye, error) {
	return parseControl(body, KindGoodbye, Goodbye.check)
}

func (g Goodbye) check() error { return within("reason", g.Reason, MaxMessage) }

// appendControl appends v, the body of a control frame, unless its check has failed.
func appendControl(dst []byte, k Kind, v any, failed error) ([]byte, error) {
	out, err := dst, failed
	if err == nil {
		out, err = appendValue(dst, v)
	}
	if err == nil {
		err = valid(out[len(dst):])
	}
	if err != nil {
		return dst, &EncodeError{k.String(), err}
	}
	return out, nil
}

// parseControl decodes the body of a control frame and then checks it.
func parseControl[T any](body []byte, k Kind, check func(T) error) (T, error) {
	var v, zero T
	err := valid(body)
	if err == nil {
		err = shared().control.Unmarshal(body, &v)
	}
	if err == nil && check != nil {
		err = check(v)
	}
	if err != nil {
		return zero, &DecodeError{k.String(), err}
	}
	return v, nil
}

// within checks the length of one text.
func within(what, s string, limit int) error {
	if len(s) > limit {
		return &tooLong{what, uint64(len(s)), int64(limit)}
	}
	return nil
}

// each checks the length of every name in a list.
func each(what string, names []string) error {
	for _, n := range names {
		if err := within(what, n, MaxName); err != nil {
			return err
		}
	}
	return nil
}

func capabilities(caps []string) error {
	if len(caps) > MaxCapabilities {
		return &tooLong{"capabilities", uint64(len(caps)), MaxCapabilities}
	}
	return each("capability", caps)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
