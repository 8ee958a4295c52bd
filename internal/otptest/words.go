package otptest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/verdigris-go/verdigris/tree"
)

// errStart is how a scripted start fails.
var errStart = errors.New("start_error")

// reasonOf translates the error of a failed start.
func reasonOf(err error) string {
	if start, ok := err.(*tree.StartError); ok { //nolint:errorlint // each level has its own
		return start.ID + ">" + reasonOf(start.Err)
	}
	if e, ok := errors.AsType[*tree.SpecError](err); ok {
		if e.Index < 0 && e.Fault < tree.MissingID && e.Fault != tree.NeedOneTemplate {
			return "bad_flags:" + faultWord(e.Fault)
		}
		return "bad_spec:" + faultWord(e.Fault)
	}
	if _, ok := errors.AsType[*tree.PanicError](err); ok {
		return "crash"
	}
	return err.Error()
}

// rootResult is the result of the start of the whole tree.
func rootResult(err error) any {
	if err == nil {
		return "ok"
	}
	if errors.Is(err, tree.ErrIgnore) {
		return "ignored"
	}
	reason := reasonOf(err)
	if strings.HasPrefix(reason, "bad_") {
		return map[string]any{"error": reason}
	}
	return map[string]any{"error": "start_failed", "reason": reason}
}

// exitError is how a service ends with that reason; failure is the error if it is a failure.
func exitError(reason string, failure error) error {
	switch {
	case reason == "normal":
		return nil
	case reason == "shutdown":
		return tree.ErrShutdown
	case strings.HasPrefix(reason, "shutdown:"):
		return fmt.Errorf("%s: %w", reason, tree.ErrShutdown)
	}
	return failure
}

// refused translates an error of the API into OTP's answer.
func (w *world) refused(err error) any {
	if e, ok := errors.AsType[*tree.SpecError](err); ok {
		return map[string]any{"error": faultWord(e.Fault)}
	}
	if e, ok := errors.AsType[*tree.StartError](err); ok {
		return map[string]any{"error": "start_failed", "reason": reasonOf(e.Err)}
	}
	e, _ := errors.AsType[*tree.RequestError](err)
	if e == nil || requestWords[e.Err] == "" {
		return err.Error()
	}
	out := map[string]any{"error": requestWords[e.Err]}
	if errors.Is(e, tree.ErrAlreadyStarted) {
		out["n"] = w.lifeOf(e.Run).n
	}
	return out
}

var requestWords = map[error]string{
	tree.ErrAlreadyStarted: "already_started", tree.ErrAlreadyPresent: "already_present", tree.ErrRunning: "running",
	tree.ErrRestarting: "restarting", tree.ErrNotFound: "not_found", tree.ErrDynamic: "simple_one_for_one",
}

var faultWords = map[tree.Fault]string{
	tree.InvalidStrategy: "invalid_strategy", tree.InvalidIntensity: "invalid_intensity", tree.InvalidPeriod: "invalid_period",
	tree.InvalidAutoShutdown: "invalid_auto_shutdown", tree.NeedOneTemplate: "need_exactly_one_template",
	tree.MissingID: "missing_id", tree.DuplicateID: "duplicate_id", tree.MissingService: "missing_start",
	tree.InvalidService: "invalid_start", tree.InvalidRestart: "invalid_restart_type",
	tree.InvalidShutdown: "invalid_shutdown", tree.InvalidType: "invalid_child_type",
	tree.SignificantPermanent: "bad_combination:restart=permanent+significant=true",
	tree.SignificantNever:     "bad_combination:auto_shutdown=never+significant=true",
}

func faultWord(f tree.Fault) string { return first(faultWords[f], f.String()) }

// specResult is the answer to get_childspec.
func specResult(c tree.Child) any {
	var shutdown any
	switch d, ok := c.Shutdown.Limit(); {
	case ok:
		shutdown = d.Milliseconds()
	case c.Shutdown == tree.BrutalKill:
		shutdown = "brutal_kill"
	default:
		shutdown = "infinity"
	}
	return map[string]any{"ok": map[string]any{
		"restart": c.Restart.String(), "significant": c.Significant,
		"shutdown": shutdown, "type": c.Type.String(),
	}}
}

func mustUnmarshal(text []byte, to any) {
	if err := json.Unmarshal(text, to); err != nil {
		panic(fmt.Sprintf("otptest: %s: %v", text, err))
	}
}
