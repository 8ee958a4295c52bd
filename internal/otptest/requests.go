package otptest

import (
	"context"
	"slices"
	"strconv"

	"github.com/verdigris-go/verdigris/tree"
)

// call is a call of the public API, and what it answered in the words of the scenarios.
type call func(context.Context) (any, error)

// request returns the call for a step.
func (w *world) request(s *supervisor, st Step) call {
	switch st.Op {
	case "start_child":
		return w.startChild(s, st)
	case "restart_child":
		return func(ctx context.Context) (any, error) { return w.ran(s.sup.RestartChild(ctx, st.ID)) }
	case "terminate_child":
		if st.Instance != "" {
			h := w.instance(s, st)
			return func(ctx context.Context) (any, error) { return "ok", s.sup.TerminateRun(ctx, h) }
		}
		return func(ctx context.Context) (any, error) { return "ok", s.sup.TerminateChild(ctx, st.ID) }
	case "delete_child":
		return func(ctx context.Context) (any, error) { return "ok", s.sup.DeleteChild(ctx, st.ID) }
	case "which_children":
		return func(ctx context.Context) (any, error) { return w.which(ctx, s) }
	case "count_children":
		return func(ctx context.Context) (any, error) { return count(ctx, s) }
	case "get_childspec":
		return w.childSpec(s, st)
	}
	panic("otptest: unknown op " + st.Op)
}

func (w *world) startChild(s *supervisor, st Step) call {
	if st.Instance == "" {
		child := w.child(st.Spec, s.path)
		return func(ctx context.Context) (any, error) { return w.ran(s.sup.StartChild(ctx, child)) }
	}
	template := s.node.Children[0]
	if st.Behaviour != nil {
		template.Behaviour = *st.Behaviour
	}
	return func(ctx context.Context) (any, error) {
		return w.ran(s.sup.StartService(ctx, w.service(&template, s.path+"/"+st.Instance)))
	}
}

func (w *world) childSpec(s *supervisor, st Step) call {
	get := func(ctx context.Context) (tree.Child, error) { return s.sup.ChildSpec(ctx, st.ID) }
	if st.Instance != "" {
		h := w.instance(s, st)
		get = func(ctx context.Context) (tree.Child, error) { return s.sup.RunSpec(ctx, h) }
	}
	return func(ctx context.Context) (any, error) {
		c, err := get(ctx)
		if err != nil {
			return nil, err
		}
		return specResult(c), nil
	}
}

// instance returns the handle that a step names.
func (w *world) instance(s *supervisor, st Step) tree.Run {
	if st.Instance == "!not_a_child" {
		return w.stranger()
	}
	return w.handle(s.path+"/"+st.Instance, st.N)
}

// stranger returns the handle of a living run that belongs to another supervisor.
func (w *world) stranger() tree.Run {
	ctx := context.Background()
	if w.scratch == nil {
		var err error
		if w.scratch, err = tree.New(tree.Spec{Dynamic: &tree.Dynamic{Template: tree.Child{ID: "t"}}}); err != nil {
			w.t.Fatal(err)
		}
		if err = w.scratch.Start(ctx); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := w.scratch.WaitReady(ctx); err != nil {
		w.t.Fatal(err)
	}
	h, err := w.scratch.StartService(ctx, tree.ServiceFunc(func(ctx context.Context) error {
		<-ctx.Done()
		return nil
	}))
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}

// ran is the result of something that starts a child.
func (w *world) ran(r tree.Run, err error) (any, error) {
	switch {
	case err != nil:
		return nil, err
	case r.N == 0:
		return "ignored", nil
	}
	out := map[string]any{"ok": w.lifeOf(r).n}
	if r.Info != nil {
		out["info"] = r.Info
	}
	return out, nil
}

// which lists the children as OTP does: the last started first, those of a dynamic supervisor sorted.
func (w *world) which(ctx context.Context, s *supervisor) (any, error) {
	list, err := s.sup.Children(ctx)
	if err != nil {
		return nil, err
	}
	rows := []string{}
	for _, c := range list {
		rows = append(rows, w.row(s, c))
	}
	if s.node.dynamic() {
		slices.Sort(rows)
	} else {
		slices.Reverse(rows)
	}
	return rows, nil
}

// row is the line about one child: id, type and state.
func (w *world) row(s *supervisor, c tree.ChildInfo) string {
	id, state := c.ID, c.State.String()
	if s.node.dynamic() {
		id = "?"
	}
	if c.State == tree.Running {
		l := w.lifeOf(c.Run)
		id, state = base(l.path), strconv.Itoa(l.n)
	}
	return id + " " + c.Type.String() + " " + state
}

func count(ctx context.Context, s *supervisor) (any, error) {
	c, err := s.sup.Count(ctx)
	return []int{c.Specs, c.Active, c.Supervisors, c.Workers}, err
}
