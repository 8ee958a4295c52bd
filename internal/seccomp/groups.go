package seccomp

import "slices"

// Group is rules that belong together, and why they are there.
type Group struct {
	Name  string
	Why   string
	Rules []Rule
}

// Join makes one list of rules. As the first rule that matches decides, what
// refuses stands before what allows.
func Join(groups ...Group) []Rule {
	var rules []Rule
	for _, g := range groups {
		rules = append(rules, g.Rules...)
	}
	return rules
}

// Refusing gives the group with another action for what it refuses. ENOSYS
// stays: it makes a C library take another way.
func (g Group) Refusing(a Action) Group {
	g.Rules = slices.Clone(g.Rules)
	for i, r := range g.Rules {
		if r.Do == Fail(EPERM) {
			g.Rules[i].Do = a
		}
	}
	return g
}

// rulesFor does the same with each of the calls.
func rulesFor(do Action, calls ...Call) []Rule {
	rules := make([]Rule, len(calls))
	for i, c := range calls {
		rules[i] = Rule{Call: c, Do: do}
	}
	return rules
}

func allow(name, why string, calls ...Call) Group {
	return Group{name, why, rulesFor(Allow, calls...)}
}

func refuse(name, why string, calls ...Call) Group {
	return Group{name, why, rulesFor(Fail(EPERM), calls...)}
}

// and adds a rule with conditions to a group.
func (g Group) and(do Action, c Call, conds ...Cond) Group {
	g.Rules = append(g.Rules, Rule{c, conds, do})
	return g
}

// equals compares an int.
func equals(arg uint8, value uint64) Cond { return Cond{Arg: arg, Value: value} }

// differs compares an int.
func differs(arg uint8, value uint64) Cond { return Cond{Arg: arg, Op: NotEqual, Value: value} }

// masked compares some bits of an int.
func masked(arg uint8, mask, value uint64) Cond {
	return Cond{Arg: arg, Op: Masked, Mask: mask, Value: value}
}
