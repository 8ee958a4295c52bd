package tree

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/thejerf/suture/v4"

	"github.com/verdigris-go/verdigris/strategy"
)

// Fault is one kind of mistake in a Spec or a Child.
type Fault uint8

// The faults of a Spec.
const (
	InvalidName Fault = iota + 1
	InvalidStrategy
	InvalidIntensity
	InvalidPeriod
	InvalidAutoShutdown
	InvalidMaxChildren
	NeedOneTemplate // a dynamic supervisor has one template and no children
)

// The faults of a Child.
const (
	MissingID Fault = iota + 32
	InvalidID
	DuplicateID
	MissingService
	InvalidService // a nil function or a nil pointer
	InvalidRestart
	InvalidShutdown
	InvalidType
	InvalidStartTimeout
	InvalidBackoff
	SignificantPermanent // a significant child cannot be permanent
	SignificantNever     // significant children need an AutoShutdown other than Never
)

var faultTexts = map[Fault]string{
	InvalidName:          "the name must not contain a slash",
	InvalidStrategy:      "unknown Strategy (a dynamic supervisor must be OneForOne)",
	InvalidIntensity:     "Intensity.Restarts must be positive, 0 (the default) or strategy.NoRestarts",
	InvalidPeriod:        "Intensity.Period must not be negative",
	InvalidAutoShutdown:  "unknown AutoShutdown",
	InvalidMaxChildren:   "Dynamic.MaxChildren must not be negative",
	NeedOneTemplate:      "a dynamic supervisor needs exactly one Template, without Service, and no Children",
	MissingID:            "the ID is empty",
	InvalidID:            "the ID must not contain a slash",
	DuplicateID:          "the ID is used twice",
	MissingService:       "there is no Service",
	InvalidService:       "the Service is a nil function or a nil pointer",
	InvalidRestart:       "unknown Restart",
	InvalidShutdown:      "Shutdown must be BrutalKill, Infinity or After of a duration that is not negative",
	InvalidType:          "unknown Type",
	InvalidStartTimeout:  "StartTimeout must not be negative",
	InvalidBackoff:       "Backoff must have no negative value, and Max not below Initial",
	SignificantPermanent: "a significant child cannot be permanent",
	SignificantNever:     "a significant child needs an AutoShutdown other than Never",
}

// String says in words what is wrong.
func (f Fault) String() string { return faultTexts[f] }

// SpecError is one mistake in a Spec or a Child.
type SpecError struct {
	Fault Fault
	Name  string // of the supervisor
	Child string // ID of the child, if it is about one
	Index int    // position of the child in the list, from 0; -1: not about a child
}

// Error says where the mistake is and what is wrong.
func (e *SpecError) Error() string {
	where := "tree: spec"
	if e.Name != "" {
		where += " " + e.Name
	}
	if e.Index >= 0 {
		where += fmt.Sprintf(": child %d %q", e.Index, e.Child)
	}
	return where + ": " + e.Fault.String()
}

// CheckSpec returns every mistake of a spec, joined; each is a *SpecError. nil: New will accept it.
func CheckSpec(spec Spec) error {
	var errs []*SpecError
	fault := func(wrong bool, f Fault) {
		if wrong {
			errs = append(errs, &SpecError{Fault: f, Name: spec.Name, Index: -1})
		}
	}
	restarts, period := spec.Intensity.Restarts, spec.Intensity.Period
	fault(strings.Contains(spec.Name, "/"), InvalidName)
	fault(!spec.Strategy.Valid() || spec.Dynamic != nil && spec.Strategy != strategy.OneForOne, InvalidStrategy)
	fault(restarts < strategy.NoRestarts, InvalidIntensity)
	fault(period < 0, InvalidPeriod)
	fault(!spec.AutoShutdown.Valid(), InvalidAutoShutdown)
	if d := spec.Dynamic; d != nil {
		fault(d.MaxChildren < 0, InvalidMaxChildren)
		fault(reflect.ValueOf(d.Template).IsZero() || d.Template.Service != nil || len(spec.Children) > 0, NeedOneTemplate)
		errs = append(errs, checkChild(&d.Template, true, true, spec.AutoShutdown)...)
	}
	errs = append(errs, checkList(spec.Children, true, spec.AutoShutdown)...)
	for _, e := range errs {
		e.Name = spec.Name
	}
	return joined(errs)
}

// CheckChildren returns every mistake of a list of children, joined, without knowing their supervisor:
// whether its AutoShutdown allows significant children is not checked.
func CheckChildren(children ...Child) error {
	return joined(checkList(children, false, strategy.Never))
}

// CheckChildrenFor is CheckChildren for a supervisor with this AutoShutdown.
func CheckChildrenFor(auto strategy.AutoShutdown, children ...Child) error {
	return joined(checkList(children, true, auto))
}

func checkList(children []Child, known bool, auto strategy.AutoShutdown) []*SpecError {
	var errs []*SpecError
	seen := make(map[string]struct{}, len(children))
	for i := range children {
		c := &children[i]
		found := checkChild(c, false, known, auto)
		before := len(seen)
		if seen[c.ID] = struct{}{}; len(seen) == before && c.ID != "" {
			found = append(found, &SpecError{Fault: DuplicateID, Child: c.ID})
		}
		for _, e := range found {
			e.Index = i
		}
		errs = append(errs, found...)
	}
	return errs
}

// checkChild checks in the order in which OTP does, where the first fault is the answer. A template has no service.
// auto is what the supervisor has, if it is known.
func checkChild(c *Child, template, known bool, auto strategy.AutoShutdown) []*SpecError {
	var errs []*SpecError
	fault := func(wrong bool, f Fault) {
		if wrong {
			errs = append(errs, &SpecError{Fault: f, Child: c.ID, Index: -1})
		}
	}
	fault(c.ID == "", MissingID)
	fault(strings.Contains(c.ID, "/"), InvalidID)
	if !template {
		errs = append(errs, checkService(c)...)
	}
	fault(!c.Restart.Valid(), InvalidRestart)
	fault(c.Significant && c.Restart == strategy.Permanent && (!known || auto != strategy.Never), SignificantPermanent)
	fault(c.Significant && known && auto == strategy.Never, SignificantNever)
	fault(c.Type > TypeSupervisor, InvalidType)
	fault(!c.Shutdown.valid(), InvalidShutdown)
	fault(c.StartTimeout < 0, InvalidStartTimeout)
	fault(!c.Backoff.Valid(), InvalidBackoff)
	return errs
}

func checkService(c *Child) []*SpecError {
	switch {
	case c.Service == nil:
		return []*SpecError{{Fault: MissingService, Child: c.ID}}
	case isNil(c.Service):
		return []*SpecError{{Fault: InvalidService, Child: c.ID}}
	}
	return nil
}

func isNil(s suture.Service) bool {
	v := reflect.ValueOf(s)
	switch v.Kind() {
	case reflect.Func, reflect.Pointer, reflect.Map, reflect.Chan:
		return v.IsNil()
	}
	return false
}

// joined makes one error of all mistakes, nil if there is none.
func joined(faults []*SpecError) error {
	errs := make([]error, len(faults))
	for i, f := range faults {
		errs[i] = f
	}
	return errors.Join(errs...)
}
