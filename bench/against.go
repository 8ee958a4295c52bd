//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// Two builds of the library are compared by two builds of this program that do
// the same rows at the same time, one turn here, one turn there. The one that
// was started with -against orders the other by lines of text:
//
//	row ID       begin with a row
//	turn NAME    take this turn; answered by "done", or "none" if the row is over there
//	end          answered by the lines of the row in JSON
//
// An order that cannot be followed is answered by "error: " and what is wrong.
const (
	orderRow  = "row "
	orderTurn = "turn "
	orderEnd  = "end"
	saidDone  = "done"
	saidNone  = "none"
	saidError = "error: "
)

// otherBuild is told of each turn. Zero or one of its methods lets the other
// build take the same turn, so that it is first as often as second.
type otherBuild interface {
	before(name string, second bool) error
	after(name string, second bool) error
}

// noBuild is for a program that is alone.
type noBuild struct{}

func (noBuild) before(string, bool) error { return nil }
func (noBuild) after(string, bool) error  { return nil }

// conversation is an exchange in lines.
type conversation struct {
	in  *bufio.Reader
	out io.Writer
}

func (c conversation) say(text string) error {
	_, err := io.WriteString(c.out, text+"\n")
	return err
}

func (c conversation) hear() (string, error) {
	text, err := c.in.ReadString('\n')
	if errors.Is(err, io.EOF) {
		err = errors.New("the other build has ended; what it has said stands above")
	}
	return strings.TrimSuffix(text, "\n"), err
}

// ask yields the answer to an order.
func (c conversation) ask(order string) (string, error) {
	if err := c.say(order); err != nil {
		return "", err
	}
	answer, err := c.hear()
	if what, wrong := strings.CutPrefix(answer, saidError); wrong {
		err = errors.New("the other build: " + what)
	}
	return answer, err
}

// rival is the other build, as the one with -against sees it.
type rival struct {
	conversation
	*partner
}

// startRival starts the other build, which takes orders.
func startRival(cmd *exec.Cmd) (*rival, error) {
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p, err := startPartner(cmd)
	if err != nil {
		return nil, err
	}
	return &rival{conversation{bufio.NewReader(out), p.in}, p}, nil
}

func (r *rival) before(name string, second bool) error {
	if !second {
		return nil
	}
	_, err := r.ask(orderTurn + name)
	return err
}

func (r *rival) after(name string, second bool) error {
	if second {
		return nil
	}
	_, err := r.ask(orderTurn + name)
	return err
}

// measure takes a row here and there.
func (r *rival) measure(row row, e effort) (lines []line, err error) {
	e.other, e.peers = r, false
	if err := r.say(orderRow + row.id); err != nil {
		return nil, err
	}
	here, err := row.lines(e)
	if err != nil {
		return nil, err
	}
	text, err := r.ask(orderEnd)
	if err != nil {
		return nil, err
	}
	var there []line
	if err := json.Unmarshal([]byte(text), &there); err != nil {
		return nil, fmt.Errorf("the lines of the other build: %w", err)
	}
	return besideEachOther(here, there), nil
}

// besideEachOther compares lines about the same work, round by round. A line
// that is there for another baseline only is left out.
func besideEachOther(here, there []line) (lines []line) {
	for i, l := range here {
		same := func(o line) bool { return strings.HasPrefix(l.Work, o.Work+", ") && slices.Equal(o.Rounds, l.Rounds) }
		if l.Verdict != notThere && slices.ContainsFunc(here[:i], same) {
			continue
		}
		i := slices.IndexFunc(there, func(o line) bool { return o.Work == l.Work })
		switch {
		case l.Verdict == notThere:
		case i < 0 || there[i].Verdict == notThere:
			l = absent(l.Work, "in the other build")
		default:
			l = compare(l.Work, l.Unit, l.Rounds, baseline{"other", there[i].Rounds}, target{})
			l.Note = l.change()
		}
		lines = append(lines, l)
	}
	return lines
}

// notable is the least change that is worth a word.
const notable = 0.03

// change says in which direction all rounds agree.
func (l line) change() string {
	lower, higher := "better", "worse"
	if l.Unit == perSecond {
		lower, higher = higher, lower
	}
	switch {
	case math.Abs(l.Ratio.Median-1) < notable:
		return ""
	case l.Ratio.Max < 1:
		return lower + " in all rounds"
	case l.Ratio.Min > 1:
		return higher + " in all rounds"
	}
	return ""
}

// ordered is this program, as the other build.
type ordered struct{ conversation }

func (o ordered) before(name string, _ bool) error {
	order, err := o.hear()
	if err != nil {
		return err
	}
	if order != orderTurn+name {
		return fmt.Errorf("it is told %q, but has %q to do: both builds need the same sources in bench", order, orderTurn+name)
	}
	return nil
}

func (o ordered) after(string, bool) error { return o.say(saidDone) }

// serve takes rows as it is told, until its input ends.
func (o ordered) serve(e effort) error {
	e.other, e.peers = o, false
	for {
		order, err := o.in.ReadString('\n')
		if err != nil {
			return nil // nobody orders any more
		}
		if err := o.row(strings.TrimSpace(order), e); err != nil {
			return errors.Join(err, o.say(saidError+strings.ReplaceAll(err.Error(), "\n", "; ")))
		}
	}
}

func (o ordered) row(order string, e effort) error {
	id, _ := strings.CutPrefix(order, orderRow)
	chosen, err := choose([]string{id})
	if err != nil {
		return err
	}
	lines, err := chosen[0].lines(e)
	if err != nil {
		return err
	}
	for {
		switch order, err := o.hear(); {
		case err != nil:
			return err
		case order == orderEnd:
			text, err := json.Marshal(lines)
			return errors.Join(err, o.say(string(text)))
		}
		if err := o.say(saidNone); err != nil {
			return err
		}
	}
}
