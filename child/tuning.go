package child

import "time"

// tuning is what only tests have a reason to choose.
type tuning struct {
	killGrace time.Duration // from SIGKILL to the death; a process in an endless system call may not die
	patience  time.Duration // for a frame that has been begun, see inlet
	transport Transport     // how calls travel, if worker and host can
	undying   bool          // the worker is not killed, as if it were in such a call
	noGroups  bool          // as on a machine without control groups
	noWatch   bool          // over its memory

	// From the notice of a fault in C to the death. The Go runtime writes its report meanwhile.
	faultGrace time.Duration
}

// standard is what holds where nothing else has been chosen.
var standard = tuning{killGrace: 5 * time.Second, patience: 10 * time.Second, faultGrace: 5 * time.Second, transport: Rings}

func (t tuning) withDefaults() tuning {
	t.killGrace = or(t.killGrace, standard.killGrace)
	t.patience = or(t.patience, standard.patience)
	t.faultGrace = or(t.faultGrace, standard.faultGrace)
	t.transport = or(t.transport, standard.transport)
	return t
}
