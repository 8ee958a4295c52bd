package landlock

import "fmt"

// Policy says what is denied, and what of it is allowed nevertheless. Its zero
// value denies nothing.
type Policy struct {
	// FS and Net are denied everywhere, but for what Paths and Ports allow. When
	// FS has anything, the kernel denies Refer with it.
	FS  FS
	Net Net
	// Scopes are denied without exception.
	Scopes Scope

	Paths []Path
	Ports []Port

	// Quiet keeps denials out of the kernel's audit log.
	Quiet bool
}

// Path allows something in a file, or in a directory and all below it. What
// counts is the file that has this name when the ruleset is opened, also when it
// is renamed later.
type Path struct {
	Name  string
	Allow FS // for what is no directory, the rights that are about one are left out
	// Follow says that Name may be a symbolic link, and that the rule is about
	// where it leads. Links before the last element are always followed.
	Follow bool
}

// Port allows something with a TCP port.
type Port struct {
	Number uint16
	Allow  Net
}

// Plan is a policy for an ABI.
type Plan struct {
	ABI    ABI
	FS     FS // what the kernel is asked to deny
	Net    Net
	Scopes Scope
	Paths  []Path // without rights that the kernel does not know
	Ports  []Port
	Gaps   []Gap // in order of their holes

	quiet uint32
}

// Empty reports whether nothing would be denied.
func (p Plan) Empty() bool { return p.FS == 0 && p.Net == 0 && p.Scopes == 0 }

// PolicyError says that a policy cannot be meant as it is.
type PolicyError struct {
	Rule string // the path or the port, or ""
	Why  string
}

func (e *PolicyError) Error() string {
	if e.Rule == "" {
		return "landlock: policy: " + e.Why
	}
	return "landlock: policy: " + e.Rule + ": " + e.Why
}

// Compile translates the policy for a kernel with this ABI. It is a pure
// function. What the kernel cannot do is left out, and is a gap.
func (p Policy) Compile(abi ABI) (Plan, error) {
	if err := p.check(); err != nil {
		return Plan{}, err
	}
	plan := Plan{ABI: abi, FS: p.FS & abi.FS(), Net: p.Net & abi.Net(), Scopes: p.Scopes & abi.Scopes(), Gaps: p.gaps(abi)}
	if p.Quiet {
		plan.quiet = abi.quiet()
	}
	for _, r := range p.Paths {
		if r.Allow &= plan.FS; r.Allow != 0 {
			plan.Paths = append(plan.Paths, r)
		}
	}
	for _, r := range p.Ports {
		if r.Allow &= plan.Net; r.Allow != 0 {
			plan.Ports = append(plan.Ports, r)
		}
	}
	return plan, nil
}

func (p Policy) check() error {
	switch {
	case p.FS&^AllFS != 0:
		return &PolicyError{Why: fmt.Sprintf("rights to files that are none: %v", p.FS&^AllFS)}
	case p.Net&^AllNet != 0:
		return &PolicyError{Why: fmt.Sprintf("rights to ports that are none: %v", p.Net&^AllNet)}
	case p.Scopes&^AllScopes != 0:
		return &PolicyError{Why: fmt.Sprintf("scopes that are none: %v", p.Scopes&^AllScopes)}
	}
	for _, r := range p.Paths {
		if r.Name == "" || r.Allow == 0 || r.Allow&^p.FS != 0 {
			return &PolicyError{Rule: fmt.Sprintf("path %q", r.Name), Why: why(r.Name != "", r.Allow != 0, r.Allow&^p.FS)}
		}
	}
	for _, r := range p.Ports {
		if r.Allow == 0 || r.Allow&^p.Net != 0 {
			return &PolicyError{Rule: fmt.Sprintf("port %d", r.Number), Why: why(true, r.Allow != 0, r.Allow&^p.Net)}
		}
	}
	return nil
}

func why(named, allows bool, undenied fmt.Stringer) string {
	switch {
	case !named:
		return "a path has a name"
	case !allows:
		return "it allows nothing"
	}
	return fmt.Sprintf("it allows what is not denied: %v", undenied)
}
