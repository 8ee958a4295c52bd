package child

import "time"

// tuning is what only tests have a reason to choose.
type tuning struct {
	killGrace time.Duration // from SIGKILL to the death; a process in an endless system call may not die (5 s)
	patience  time.Duration // for a frame that has been begun, see inlet (10 s)
	transport newTransport  // how calls travel
	undying   bool          // the worker is not killed, as if it were in such a call
	noGroups  bool          // as on a machine without control groups
	noWatch   bool          // over its memory
}

func (t tuning) withDefaults() tuning {
	t.killGrace = or(t.killGrace, 5*time.Second)
	t.patience = or(t.patience, 10*time.Second)
	if t.transport == nil {
		t.transport = newPipes
	}
	return t
}
