package main

import (
	"fmt"
	"path"
	"strings"
)

// mutant is the library with one protection removed.
type mutant struct {
	name     string // what is removed
	fault    string // the faults of docs/faults.md that it protects from
	file     string // where
	old, new string // the text that stands there once, and what stands there then
	test     string // which must fail
	pkg      string // the folder of its package, if it is not the file's
}

// in is the folder of the test's package.
func (m mutant) in() string {
	if m.pkg != "" {
		return m.pkg
	}
	return path.Dir(m.file)
}

// apply makes the change.
func (m mutant) apply(text string) (string, error) {
	if n := strings.Count(text, m.old); n != 1 {
		return "", fmt.Errorf("what it replaces stands in %s %d times: %q", m.file, n, m.old)
	}
	return strings.Replace(text, m.old, m.new, 1), nil
}

var table = []mutant{
	// The wire.
	{
		name: "frame bound", fault: "F35", file: "wire/reader.go", test: "TestReaderLimit",
		old: "err == nil && int64(h.size) > int64(limit)", new: "err == nil && h.size == 1<<32-1 && limit < 0",
	},
	{
		name: "memory as bytes arrive", fault: "F35", file: "wire/reader.go", test: "TestReaderDoesNotBelieveLengths",
		old: "case have >= enough:", new: "case have >= min(enough, 1):",
	},
	{
		name: "a caller's memory is its own again", fault: "F66", file: "child/loan.go", test: "TestTransports",
		old: "l.rest = bytes.Clone(l.rest)", new: "_ = bytes.Clone(l.rest)",
	},
	{
		name: "magic byte", fault: "F30 F41", file: "wire/frame.go", test: "TestReaderRefusesFlippedHeaderBits",
		old: "case b[0] != magic:", new: "case b[0] == magic+1:",
	},
	{
		name: "protocol version in frames", fault: "F37", file: "wire/frame.go", test: "TestBadHandshake", pkg: "child",
		old: "case b[3] != Version:", new: "case b[3] == 0:",
	},
	{
		name: "nesting limit", fault: "F36", file: "wire/strict.go", test: "TestLimitsWithoutTheLibrary",
		old: "depth >= MaxNesting", new: "depth >= 1<<30",
	},
	{
		name: "element limit", fault: "F36", file: "wire/strict.go", test: "TestArrayAndMapLimits",
		old: "if n > MaxElements {", new: "if n > 1<<62 {",
	},
	{
		name: "duplicate keys", fault: "F36", file: "wire/strict.go", test: "TestLimitsWithoutTheLibrary",
		old: "if uint64(len(seen)) != n {", new: "if uint64(len(seen)) > n {",
	},
	{
		name: "memory for nested arrays", fault: "F36", file: "wire/direct.go", test: "TestDirectDoesNotBelieveLengths",
		old: "w.owed <= len(w.rest)", new: "int(size) <= len(w.rest)",
	},
	{
		name: "strictness in one walk", fault: "F36", file: "wire/direct.go", test: "TestDirectRefuses",
		old: "w.err == nil && utf8.Valid(s)", new: "w.err == nil && (utf8.Valid(s) || true)",
	},
	{
		name: "nested maps in linear time", fault: "F36", file: "wire/strict.go", test: "TestNestedUnorderedMaps",
		old: "!ordered && !c.again", new: "!ordered",
	},
	{
		name: "partial frame is none", fault: "F34", file: "wire/reader.go", test: "TestReaderCutAtEveryByte",
		old: "return io.ErrUnexpectedEOF", new: "return io.EOF",
	},

	// Shared memory.
	{
		name: "index of a ring", fault: "F36", file: "internal/ring/lane_linux.go", test: "TestWrongIndices",
		old: "if there > Size {", new: "if there > 1<<64-1 {",
	},
	{
		name: "room in a ring", fault: "F36", file: "internal/ring/lane_linux.go", test: "TestWrongIndices",
		old: "if p.head-tail > Size {", new: "if p.head-tail > 1<<64-1 {",
	},
	{
		name: "bells for nothing", fault: "F36", file: "internal/ring/listener_linux.go", test: "TestBellRinger",
		old: "const mostVain = 64", new: "const mostVain = 1 << 40",
	},
	{
		name: "look again before sleeping", fault: "F42", file: "internal/ring/futex_linux.go", test: "TestNoWakeUpIsLost",
		old: "if !ready() {", new: "if word != nil {",
	},

	// Blobs.
	{
		name: "seals of a blob", fault: "F82", file: "internal/sealed/sealed_linux.go", test: "TestFalseBlobs", pkg: "child",
		old: "if have&seals != seals {", new: "if have&seals == 1<<30 {",
	},
	{
		name: "size of a blob", fault: "F82", file: "child/cargo.go", test: "TestFalseBlobs",
		old: "if b.Size() != size {", new: "if b.Size() < 0 {",
	},
	{
		name: "descriptors without a frame", fault: "F84", file: "child/control.go", test: "TestFalseBlobs",
		old: "!c.in.partial() && c.sock.unclaimed()", new: "false && c.sock.unclaimed()",
	},
	{
		name: "descriptors for nobody", fault: "F84", file: "child/returns.go", test: "TestFalseBlobs",
		old: "d == nil || !d.put(c, err)", new: "d != nil && !d.put(c, err)",
	},
	{
		name: "blobs are closed after the call", fault: "F85", file: "child/mail.go", test: "TestBlobsOfManyCalls",
		old: "for _, b := range m.held {\n\t\tb.Close()", new: "for _, b := range m.held[:0] {\n\t\tb.Close()",
	},

	// What an operator sees, and what escalates.
	{
		name: "deaths in calls are excused", fault: "F67", file: "pool/worker.go", test: "TestBadInputNeverEscalates",
		old: "return tree.Excuse(err)", new: "_ = tree.Excuse\n\treturn err",
	},
	{
		name: "calls from inside do not wait", fault: "F68", file: "pool/do.go", test: "TestReentry",
		old: "\tif c.inside {", new: "\tif c.inside && p.id == \"\" {",
	},
	{
		name: "nor are they sent ahead", fault: "F68", file: "pool/choose.go", test: "TestReentry",
		old: "\tif c.inside {", new: "\tif c.inside && r.ahead < 0 {",
	},
	{
		name: "the chain of pools", fault: "F68", file: "child/carry.go", test: "TestReentry", pkg: "pool",
		old: "ids = append(ids, ownPool)", new: "ids = append(ids, ids...)",
	},
	{
		name: "bound of the events", fault: "F61", file: "pool/teller.go", test: "TestEventQueueIsBounded",
		old: "len(t.queue) >= maxUntold", new: "len(t.queue) >= 1<<30",
	},
	{
		name: "a handler of events may panic", fault: "F61", file: "pool/teller.go", test: "TestEventHandlerPanics",
		old: "\tdefer func() { v = recover() }()\n", new: "",
	},
	{
		name: "a condition lasts", fault: "F61", file: "pool/condition.go", test: "TestCondition",
		old: "was == Flapping && f.deaths >= (f.flapLimit+1)/2", new: "was == Flapping && f.deaths >= f.flapLimit",
	},

	// Many calls.
	{
		name: "window of a map", fault: "F65", file: "pool/mapping.go", test: "TestMapIsBounded",
		old: "m.running < width && m.held < window", new: "m.running < width && m.held < 9*window",
	},
	{
		name: "width of a map", fault: "F65", file: "pool/mapping.go", test: "TestMapIsBounded",
		old: "m.running < width && m.held < window", new: "m.running < 9*width && m.held < window",
	},
	{
		name: "a map's calls wait", fault: "F65", file: "pool/do.go", test: "TestMapInAFullPool",
		old: "!again && !c.patient && ", new: "!again && ",
	},
	{
		name: "a map's calls do not take the queue", fault: "F65", file: "pool/roster.go", test: "TestMapInAFullPool",
		old: "return r.waiting - r.patient", new: "return r.waiting",
	},
	{
		name: "calls are cancelled with the loop", fault: "F66", file: "pool/mapping.go", test: "TestMapIsLeft",
		old: "\tm.cancel()\n\tif", new: "\tif",
	},
	{
		name: "the loop is left last", fault: "F66", file: "pool/mapping.go", test: "TestMapIsLeft",
		old: "\tm.live.Wait()\n\tif m.broken", new: "\tif m.broken",
	},
	{
		name: "panics come out of the loop", fault: "F66", file: "pool/mapping.go", test: "TestMapPanics",
		old: "m.broken = func() { panic(v) }", new: "m.broken = func() {}",
	},
	{
		name: "a short map tells", fault: "F66", file: "pool/mapping.go", test: "TestMapCutOff",
		old: "if m.told || m.fed && !m.short {", new: "if m.told || !m.fed || !m.short {",
	},

	// What the worker prints.
	{
		name: "bound of queued lines", fault: "F31", file: "internal/output/queue.go", test: "TestQueueIsBounded",
		old: "!allowed || q.cost+len(line)+lineCost > maxQueued", new: "!allowed",
	},
	{
		name: "bound of the tail", fault: "F31", file: "internal/output/tail.go", test: "TestTail",
		old: "n := min(len(p), t.max-len(t.buf))", new: "n := len(p)",
	},
	{
		name: "drain bound", fault: "F9", file: "internal/output/drain.go", test: "TestCloseWithOpenPipe",
		old: "err := d.deadline(time.Now().Add(grace))", new: "err := d.deadline(time.Time{})",
	},
	{
		name: "bound of records, in bytes", fault: "F31", file: "child/logs.go", test: "TestLargeRecordsForASlowLogger",
		old: "l.held.Add(int64(r.size)) <= logBytes", new: "l.held.Add(int64(r.size)) >= 0",
	},

	// Processes.
	{
		name: "one thread clones", fault: "F24", file: "internal/spawn/thread_linux.go", test: "TestThreadsEnd",
		old: "	clones() <- func() {\n		defer close(done)\n		f()\n	}\n", new: "	go func() {\n		defer close(done)\n		runtime.LockOSThread()\n		f()\n	}()\n",
	},
	{
		name: "close-on-exec of the program", fault: "F43", file: "internal/spawn/start_linux.go", test: "TestDescriptorsOfConcurrentStarts",
		old: "unix.F_DUPFD_CLOEXEC", new: "unix.F_DUPFD",
	},
	{
		name: "group kill before reaping", fault: "F19", file: "internal/spawn/wait_linux.go", test: "TestGroupDiesWithLeader",
		old: "err := p.send(unix.SIGKILL, toGroup)", new: "err := p.send(0, toGroup)",
	},
	{
		name: "a process group of its own", fault: "F27", file: "internal/spawn/start_linux.go", test: "TestSignalGroup",
		old: "Setpgid: true, ", new: "",
	},
	{
		name: "parent-death signal", fault: "F22 F23", file: "internal/spawn/start_linux.go", test: "TestParentKilled",
		old: "Pdeathsig: syscall.SIGKILL, ", new: "",
	},
	{
		name: "a stolen exit is an end", fault: "F18", file: "internal/spawn/wait_linux.go", test: "TestExitStatusStolen",
		old: "return end.pid != 0 || gone(err)", new: "return end.pid != 0 || err == unix.EBADF",
	},

	// Calls.
	{
		name: "id check", fault: "F38 F39", file: "child/calls.go", test: "TestHostileWorkers",
		old: "	k := c.open[id]\n	if k != nil {\n",
		new: "	var k *call\n	for _, k = range c.open {\n		break\n	}\n	if k != nil {\n",
	},
	{
		name: "answers of the dead", fault: "F5", file: "child/run.go", test: "TestAnswerOfTheDead",
		old: "r.transport.Drain(grace)", new: "r.transport.Close()",
	},
	{
		name: "answers to nobody", fault: "F38 F39", file: "child/do.go", test: "TestDuplicateAnswers",
		old: "if r.fall.recalled.Load() {", new: "if f.Kind == wire.KindAnswer || r.fall.recalled.Load() {",
	},
	{
		name: "answer to what has not begun", fault: "F39", file: "child/do.go", test: "TestAnswerToACallThatHasNotBegun",
		old: "case r.started() < f.ID:\n", new: "case r.started() < 0:\n",
	},
	{
		name: "window of a stream", fault: "F35", file: "child/feed.go", test: "TestStreamViolations",
		old: "if f.held >= f.window {", new: "if f.held < 0 {",
	},
	{
		name: "items are copied", fault: "F38", file: "child/feed.go", test: "TestLongStream",
		old: "f.items = append(f.items, item.Take())", new: "f.items = append(f.items, item.Body)",
	},
	{
		name: "items for calls of streams only", fault: "F38 F39", file: "child/do.go", test: "TestProtocolViolations",
		old: "&& feed.streams() != (f.Kind", new: "&& false && feed.streams() != (f.Kind",
	},
	{
		name: "reports that were asked for", fault: "F39", file: "child/do.go", test: "TestProtocolViolations",
		old: "&& !feed.reports():", new: "&& false:",
	},
	{
		name: "a worker keeps to the window", fault: "F35", file: "child/outflow.go", test: "TestSlowConsumer",
		old: "for o.used.Load() >= o.window {", new: "for o.used.Load() < 0 {",
	},
	{
		name: "a consumer that dies has left", fault: "F38", file: "child/do.go", test: "TestStreamConsumerThatDies",
		old: "		if !over {\n			leave()", new: "		if over {\n			leave()",
	},
	{
		name: "a stream that was cut short is not complete", fault: "F38", file: "child/outflow.go", test: "TestOutflowThatEndsQuietly",
		old: "if err == nil && o.ctx.Err() != nil {", new: "if err == nil && o.ctx == nil {",
	},
	{
		name: "what was dropped is not complete", fault: "F38", file: "child/feed.go", test: "TestFeedThatIsLeft",
		old: "case lost: //", new: "case lost && !over: //",
	},
	{
		name: "a stream that has delivered is not tried again", fault: "F63", file: "pool/retry.go", test: "TestStreamsAreRetriedBeforeTheFirstItem",
		old: "req.Idempotent() && !req.Delivered()", new: "req.Idempotent()",
	},
	{
		name: "a frame has to go on", fault: "F33", file: "child/inlet.go", test: "TestFrameThatStops",
		old: "in.halves == 2 {", new: "in.halves == 1<<30 {",
	},
	{
		name: "permissions of kept inputs", fault: "F81", file: "child/replay_dir.go", test: "TestReplay",
		old: "os.O_EXCL, 0o600)", new: "os.O_EXCL, 0o644)",
	},
	{
		name: "private directory of kept inputs", fault: "F81", file: "child/replay_dir.go", test: "TestReplayDirIsPrivate",
		old: "opened.Mode().Perm()&0o077 != 0", new: "opened.Mode().Perm()&0o077 == 1",
	},
	{
		name: "number of kept inputs", fault: "F81", file: "child/replay_dir.go", test: "TestReplayIsBounded",
		old: "max(len(names)-f.MaxFiles, 0)", new: "0",
	},
	{
		name: "ids rise", fault: "F38", file: "child/worker.go", test: "TestHostileParents",
		old: "if err == nil && f.ID <= last {", new: "if err == nil && f.ID == 0 {",
	},
	{
		name: "a state that is not open", fault: "F36", file: "child/task.go", test: "TestHostileParents",
		old: `case f.state != "" && f.state != w.setup.State:`, new: `case f.state == "none":`,
	},
	{
		name: "the mark of a started call", fault: "F6", file: "child/task.go", test: "TestHostileParents",
		old: "for !w.marker.Start(t.id) {", new: "for !w.marker.Start(t.id + 1) {",
	},
	{
		name: "answers that wait are written in time", fault: "F5", file: "child/worker.go", test: "TestAnswersDoNotWaitForAFunction",
		old: "			w.answers.expedite()\n", new: "",
	},
	{
		name: "answers that wait outlive the worker", fault: "F5", file: "child/run.go", test: "TestAnswersOutliveTheirWorker",
		old: "		r.unsent()\n", new: "",
	},
	{
		name: "recalled calls", fault: "F82", file: "child/task.go", test: "TestRecalledCallIsNotBegun",
		old: "for !w.marker.Start(t.id) {", new: "for !w.marker.Start(t.id) && t.id == 0 {",
	},
	{
		name: "calls are taken back", fault: "F82", file: "child/fall.go", test: "TestRecalledCallIsNotBegun",
		old: "r.page.Recall()\n", new: "",
	},
	{
		name: "the word of a fault", fault: "F82", file: "child/run.go", test: "TestPretendedDeath",
		old: "r.awaitReport(signal)", new: "_ = r.deadWithin(dyingGrace)",
	},
	{
		name: "a panic is told at once", fault: "F82", file: "child/task.go", test: "TestPanicIsToldAtOnce",
		old: "		w.answers.dying(id) //", new: "		//",
	},
	{
		name: "a panic is settled by its frame", fault: "F82", file: "child/run.go", test: "TestEveryDeathIsTold",
		old: "		r.foretell()\n", new: "		r.slay()\n",
	},
	{
		name: "a deadline kills", fault: "F11", file: "child/do.go", test: "TestDeadline",
		old: "case r.started() >= k.id:", new: "case r.started() >= 1<<63:",
	},
	{
		name: "late parent guard", fault: "F15", file: "child/heartbeat.go", test: "TestHeartbeat",
		old: "late := now.Sub(h.due) > h.period", new: "late := now.Sub(h.due) > 1<<62",
	},
	{
		name: "heartbeat", fault: "F13 F15", file: "child/heartbeat.go", test: "TestHungWorker",
		old: "if h.missed >= missedBeats {", new: "if h.missed >= 1<<62 {",
	},
	{
		name: "cap of abandoned workers", fault: "F14", file: "child/abandon.go", test: "TestTooManyAbandoned",
		old: "if len(g.pids) < maxAbandoned {", new: "if len(g.pids) < 1<<30 {",
	},
	{
		name: "any exit during a call is a crash", fault: "F3", file: "child/run.go", test: "TestEveryDeathIsTold",
		old: "return r.asked.Load() && crash.Cause == Exited && crash.Observed.Code == 0 && len(crash.Calls) == 0", new: "return crash.Cause == Exited && crash.Observed.Code == 0",
	},
	{
		name: "a second hello", fault: "F36", file: "child/control.go", test: "TestProtocolViolations",
		old: "	c.steps[key] = true\n", new: "",
	},
	{
		name: "marks that are taken back", fault: "F81", file: "child/run.go", test: "TestMarkThatIsTakenBack",
		old: "if mark <= seen {\n			return seen", new: "if mark <= seen {\n			return mark",
	},
	{
		name: "forged traces", fault: "F81", file: "child/exit.go", test: "TestEveryDeathIsTold",
		old: `s.Code == exitPanic && r.Trace != ""`, new: "s.Code == exitPanic",
	},

	// Parents and signals.
	{
		name: "lifeline", fault: "F22 F25", file: "child/worker.go", test: "TestStopLadder",
		old: "		if err != nil {\n			w.orphaned()\n		}\n		switch f.Kind {", new: "		if err != nil {\n			select {}\n		}\n		switch f.Kind {",
	},
	{
		name: "signals of the group", fault: "F79", file: "internal/early/early_linux.go", test: "TestEverybodyIsSignalled", pkg: "child",
		old: "\n	catch()\n", new: "\n",
	},
	{
		name: "SIGCONT with SIGTERM", fault: "F13", file: "child/sys_linux.go", test: "TestStopOfAStoppedWorker",
		old: "	_ = p.SignalGroup(syscall.SIGCONT)\n", new: "",
	},
	{
		name: "close-on-exec of the channels", fault: "F30 F43", file: "child/sys_linux.go", test: "TestProgramsOfWorkers",
		old: "		unix.CloseOnExec(want.fd)\n", new: "",
	},
	{
		name: "the hook was forgotten", fault: "F57", file: "child/run.go", test: "TestForgottenInit",
		old: "	if !initialised.Load() {\n", new: "	if false {\n",
	},

	// What a worker has started, and its limits.
	{
		name: "sweep", fault: "F19 F21", file: "child/contain.go", test: "TestNothingSurvivesAWorker",
		old: "swept = sweep.Kill(h.mark, sweepLimit)", new: "swept = nil",
	},
	{
		name: "one look is not enough", fault: "F21", file: "internal/sweep/sweep.go", test: "TestUnsureLooks",
		old: "case s.clear > 0 && (saw == sure || saw == unsure && s.clear >= enough):", new: "case err == nil:",
	},
	{
		name: "a process that is being executed", fault: "F21", file: "internal/sweep/look_linux.go", test: "TestProcessThatIsBeingExecuted",
		old: "case e.executing[p] && before[p]:", new: "case e.executing[p] && before[p] && false:",
	},
	{
		name: "kill of the control group", fault: "F19 F20 F21", file: "internal/cgroup/group_linux.go", test: "TestNothingSurvivesAWorker", pkg: "child",
		old: "	return killAll(p.dir, p.version)\n", new: "	_ = p\n	return nil\n",
	},
	{
		name: "PID namespace", fault: "F19 F22", file: "child/contain.go", test: "TestNothingSurvivesAWorker",
		old: "c.PIDNamespace = h.enforced.Kill == ContainPIDNamespace", new: "c.PIDNamespace = false",
	},
	{
		name: "Tasks or nothing", fault: "F20 F49", file: "child/contain.go", test: "TestTasksFailClosed",
		old: "case c.Tasks > 0 && !host.Tasks.OK:", new: "case c.Tasks < 0:",
	},
	{
		name: "limit of tasks", fault: "F20", file: "child/contain.go", test: "TestForkBomb",
		old: "h.limits.Tasks, e.Tasks = c.Tasks, LimitCgroup", new: "h.limits.Tasks, e.Tasks = 1000, LimitCgroup",
	},
	{
		name: "memory limit of the group", fault: "F44", file: "child/contain.go", test: "TestMemoryByGroup",
		old: "h.limits.Memory, e.Memory = c.Memory, LimitCgroup", new: "h.limits.Memory, e.Memory = 10*c.Memory, LimitCgroup",
	},
	{
		name: "naming of OOM", fault: "F44", file: "child/limits.go", test: "TestMemoryByGroup",
		old: "s.kills, _ = h.group.OOMKills()", new: "s.kills = 0",
	},
	{
		name: "memory watch", fault: "F44 F46", file: "child/limits.go", test: "TestMemoryByWatch",
		old: "		if used > limit {", new: "		if used > 1<<40 {",
	},
	{
		name: "OOM score", fault: "F45", file: "child/limits_linux.go", test: "TestOOMScore",
		old: "min(own+500, 1000)", new: "own",
	},
	{
		name: "warning of shared OOM", fault: "F80", file: "child/limits.go", test: "TestDangerIsToldOnce",
		old: "warned.Swap(true)", new: "warned.Load()",
	},
	{
		name: "nothing open after a failed start", fault: "F47", file: "child/run.go", test: "TestOutOfDescriptors",
		old: "		if err != nil {\n			ch.closeOurs()\n		}\n", new: "",
	},
	{
		name: "starts at once", fault: "F62", file: "child/starts.go", test: "TestManyStartsAtOnce",
		old: "make(chan struct{}, runtime.NumCPU())", new: "make(chan struct{}, 100*runtime.NumCPU())",
	},
	{
		name: "a parent that has gone already", fault: "F25", file: "internal/early/early_linux.go", test: "TestParentGoneBeforeTheStart", pkg: "child",
		old: "	if hungUp(fdControl) {", new: "	if hungUp(fdControl) && false {",
	},
	{
		name: "depth of workers", fault: "F57", file: "child/starts.go", test: "TestDepthOfWorkers",
		old: "if early.Depth < maxDepth {", new: "if early.Depth < maxDepth+2 {",
	},
	{
		name: "strays are closed", fault: "F43", file: "internal/early/early_linux.go", test: "TestDescriptorsOfWorkers", pkg: "child",
		old: "\n	closeStrays()\n", new: "\n",
	},

	// Calls, once more.
	{
		name: "only the guilty is killed", fault: "F11", file: "child/do.go", test: "TestOnlyTheGuiltyIsKilled",
		old: "case r.progress() == before && r.calls.room(r.started(), r.cfg.Concurrency):", new: "case r.progress() == before || true:",
	},
	{
		name: "what was not started", fault: "F6", file: "child/run.go", test: "TestACrashFailsItsOwnCalls",
		old: "return k.id <= started }", new: "return k.id <= started || k.id < 1<<62 }",
	},
	{
		name: "marks are only believed of who makes them", fault: "F6", file: "child/run.go", test: "TestNotStartedNeedsTheStatusPage",
		old: "	if !r.marks {\n", new: "	if false {\n",
	},
	{
		name: "last words on a private descriptor", fault: "F2 F81", file: "child/worker.go", test: "TestEveryDeathIsTold",
		old: "return debug.SetCrashOutput(crash, debug.CrashOptions{})", new: "_ = crash\n	return nil",
	},
	{
		name: "stacks before a kill", fault: "F11", file: "child/run.go", test: "TestDump",
		old: "first && r.dumps(o) && ", new: "false && r.dumps(o) && ",
	},
	{
		name: "the program by a held descriptor", fault: "F54 F55", file: "internal/spawn/start_linux.go", test: "TestFileOfTheProgramIsGone", pkg: "child",
		old: "	exe := h.exe\n", new: "	exe, err := os.Open(os.Args[0])\n	if err != nil {\n		return nil, err\n	}\n",
	},
	{
		name: "pidfd instead of the number", fault: "F26", file: "internal/spawn/signal_linux.go", test: "TestNumberIsReused",
		old: "	p.conn.Control(func(fd uintptr) {\n		err = done(unix.PidfdSendSignal(int(fd), sig, nil, flags))\n	})\n",
		new: "	err = done(unix.Kill(p.pid, sig))\n",
	},
	{
		name: "build id", fault: "F37 F54", file: "child/run.go", test: "TestAnotherBuild",
		old: "		if h.Build != build {", new: "		if false {",
	},
	{
		name: "closed for good", fault: "F28 F29", file: "child/close.go", test: "TestClose",
		old: "	if p.closed {\n		err = closedEnd(err)\n	}\n", new: "",
	},

	// Filters of system calls.
	{
		name: "ints by their lower half", fault: "F77", file: "internal/seccomp/code.go", test: "TestUpperHalvesDoNotHelp",
		old: "	if d.Width == Int {\n		return low\n	}\n	return c.high(d, c.branch(jeq, uint32(d.Value>>32), low, no))\n}\n\n// above",
		new: "	return c.high(d, c.branch(jeq, uint32(d.Value>>32), low, no))\n}\n\n// above",
	},
	{
		name: "upper halves of what has 64 bits", fault: "F77", file: "internal/seccomp/code.go", test: "TestCompiledMeansTheSame",
		old: "	same := c.branch(jeq, uint32(d.Value>>32), low, no)", new: "	same := low",
	},
	{
		name: "jumps beyond 255", fault: "F77", file: "internal/seccomp/code.go", test: "TestFarJumps",
		old: "	if c.skip(p) < maxSkip {\n		return p", new: "	if c.skip(p) < maxSkip<<10 {\n		return p",
	},
	{
		name: "calls of 32-bit programs", fault: "F77", file: "internal/seccomp/compile.go", test: "TestForeignCallsKillAProcess",
		old: "c.load(offsetArch, c.branch(jeq, a.audit(), number, c.ret(KillProcess)))", new: "c.load(offsetArch, number)",
	},
	{
		name: "calls of x32", fault: "F77", file: "internal/seccomp/compile.go", test: "TestForeignCallsKillAProcess",
		old: "{a.foreign(), []Rule{{Do: KillProcess}}}", new: "{a.foreign(), otherwise}",
	},
	{
		name: "mptcp is not tcp", fault: "F77", file: "internal/seccomp/refuse.go", test: "TestRefused",
		old: "masked(1, sockTypeMask, kind), equals(2, p))", new: "masked(1, sockTypeMask, kind), differs(2, p^1<<31))",
	},
	{
		name: "positive result of a load", fault: "F72", file: "internal/seccomp/load_linux.go", test: "TestLoadDoesNotFailOpen",
		old: "	case result != 0 && !listens:", new: "	case result < 0 && !listens:",
	},
	{
		name: "the filter itself answers", fault: "F72", file: "internal/seccomp/load_linux.go", test: "TestLoadIsVerified",
		old: "	case !p.InForce():", new: "	case p.canary == 0:",
	},
	{
		name: "the thread stays its goroutine's", fault: "F72", file: "internal/seccomp/load_linux.go", test: "TestOtherThreadsStayFree",
		old: "	if t == AllThreads {\n		defer", new: "	if t == AllThreads || true {\n		defer",
	},
	{
		name: "what the runtime calls late", fault: "F71", file: "internal/seccomp/runtime.go", test: "TestCGoSurvives",
		old: "SysFutex, SysSchedYield, SysSchedGetaffinity,", new: "SysFutex, SysSchedYield,",
	},

	{
		name: "the log of a program's own making", fault: "F73", file: "internal/seccomp/violation.go", test: "TestFromAudit",
		old: `.*? pid=(\d+) comm=(?:"[^"]*"|[0-9A-F]+) exe=(?:"[^"]*"|[0-9A-F]+|\(null\)) sig=31 arch`, new: `.* pid=(\d+) .*sig=31 arch`,
	},

	// Landlock.
	{
		name: "gaps have names", fault: "F69", file: "internal/landlock/gaps.go", test: "TestNothingIsLeftOutInSilence",
		old: "case asked && (q.since == 0 || abi < q.since):", new: "case asked && q.since == 0:",
	},
	{
		name: "rules are not about links", fault: "F77", file: "internal/landlock/load_linux.go", test: "TestFinalLinks",
		old: "		flags |= unix.O_NOFOLLOW\n", new: "",
	},
	{
		name: "a path that is not there", fault: "F74", file: "internal/landlock/load_linux.go", test: "TestOpenRefuses",
		old: "		return &Error{Step: StepPath, Path: p.Name, Err: err}\n	}\n	defer", new: "		return nil\n	}\n	defer",
	},
	{
		name: "a restricted thread is nobody else's", fault: "F74", file: "internal/landlock/load_linux.go", test: "TestOtherThreadsStayFree",
		old: "		if !restricted {\n", new: "		if !restricted || true {\n",
	},

	// Inputs that kill, and retries.
	{
		name: "quarantine", fault: "F63", file: "pool/suspects.go", test: "TestPoisonAmongTenThousand",
		old: "	if len(s.charges) < t.Deaths {", new: "	if len(s.charges) < t.Deaths+1000 {",
	},
	{
		name: "copies in the queue", fault: "F63", file: "pool/do.go", test: "TestCopiesOfPoison",
		old: "err != nil {\n		p.release(at, false)", new: "err != nil && false {\n		p.release(at, false)",
	},
	{
		name: "places of streams that died", fault: "F66", file: "pool/errand.go", test: "TestSlowLoopKeepsNoDeadPlace",
		old: "	if e.seen {\n", new: "	if e.seen && s.known {\n",
	},
	{
		name: "deaths after the caller has left", fault: "F63", file: "pool/errand.go", test: "TestPoisonThatHangs",
		old: "		s.sure = s.errand.recognised(ctx, w)\n", new: "",
	},
	{
		name: "wanted deaths", fault: "F63", file: "pool/warden.go", test: "TestWantedDeathsDoNotCount",
		old: "case child.KillCalled, child.Canceled, child.StopTimeout:", new: "case child.StopTimeout:",
	},
	{
		name: "the innocent", fault: "F63", file: "child/run.go", test: "TestInnocent",
		old: "		return end.Reported.Panic.id\n", new: "		return 0\n",
	},
	{
		name: "an answer clears", fault: "F63", file: "pool/suspects.go", test: "TestInnocentInputs",
		old: "bool { return c.shared })", new: "bool { return false })",
	},
	{
		name: "bound of suspects", fault: "F63", file: "pool/suspects.go", test: "TestSuspectsAreBounded",
		old: "	if len(set) < most {", new: "	if len(set) < 1000*most {",
	},
	{
		name: "budget of retries", fault: "F64", file: "pool/retry.go", test: "TestRetriesAreWithinTheBudget",
		old: "	if !r.budget.spend() {", new: "	if !r.budget.spend() && false {",
	},
	{
		name: "only what is idempotent", fault: "F64", file: "pool/retry.go", test: "TestRetry",
		old: "repeatable && is[*child.CrashError](err)", new: "is[*child.CrashError](err)",
	},
	{
		name: "not started is true of all attempts", fault: "F64", file: "pool/retry.go", test: "TestRetryError",
		old: "	if target == child.ErrNotStarted {", new: "	if target == nil {",
	},
}
