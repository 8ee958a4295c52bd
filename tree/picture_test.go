package tree_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/verdigris-go/verdigris/strategy"
	"github.com/verdigris-go/verdigris/tree"
)

var updatePictures = flag.Bool("update-pictures", false, "write the golden pictures")

func ago(d time.Duration) time.Time { return start.Add(-d) }

func worker(id string, state tree.State, run int, since time.Duration, exits ...tree.Exit) tree.Snapshot {
	return tree.Snapshot{Path: "root/" + id, ID: id, Type: tree.TypeWorker, State: state, Run: run, Since: ago(since), Exits: exits}
}

// shop is a tree in which everything happens that can be drawn.
func shop() tree.Snapshot {
	waiting := worker("2", tree.Restarting, 7, 2*time.Second, tree.Exit{Run: 7, Err: errors.New("exit status 3")})
	waiting.Attempt, waiting.NextRetry = 6, start.Add(3500*time.Millisecond)
	due := worker("3", tree.Restarting, 2, 300*time.Millisecond, tree.Exit{Run: 2})
	due.Attempt, due.NextRetry = 1, start.Add(-time.Millisecond)
	return tree.Snapshot{
		Path: "shop", ID: "shop", Type: tree.TypeSupervisor, State: tree.Running, Run: 1, Since: ago(20 * time.Minute),
		Supervisor: &tree.SupervisorInfo{Strategy: strategy.RestForOne, Used: 1, Limit: 3, Period: time.Minute},
		Children: []tree.Snapshot{
			worker("decoder", tree.Running, 3, 12*time.Second, tree.Exit{Run: 1, Err: errors.New("page 7 is torn")},
				tree.Exit{Run: 2, Err: errors.New("killed by SIGSEGV")}),
			{
				Path: "shop/resizers", ID: "resizers", Type: tree.TypeSupervisor, State: tree.Running, Run: 1, Since: ago(3 * time.Hour),
				Supervisor: &tree.SupervisorInfo{Limit: 1, Period: 5 * time.Second}, HookPanics: 2,
				Children: []tree.Snapshot{
					worker("1", tree.Starting, 1, 0), waiting, due,
					worker("4", tree.Running, 9, 72*time.Hour, tree.Exit{Run: 8, Err: errors.New("first line\nsecond\tline \x1b[31mred\x1b[0m \u202eevil")}),
				},
			},
			{
				Path: "shop/connections", ID: "connections", Type: tree.TypeSupervisor, State: tree.Stopping, Run: 1, Since: ago(time.Second),
				Supervisor: &tree.SupervisorInfo{Dynamic: true, Limit: 0, Period: 90 * time.Second},
				Children: []tree.Snapshot{
					worker("17", tree.Stopping, 1, 999*time.Millisecond, tree.Exit{Run: 1, Asked: true, Killed: true, Err: tree.ErrKilled}),
				},
			},
			{Path: "shop/foreign", ID: "foreign", Type: tree.TypeSupervisor, State: tree.Running, Run: 1, Since: ago(100 * time.Hour)},
			worker("a-name-that-is-so-long-that-nobody-can-read-it-to-its-end", tree.Running, 1, time.Minute),
			worker("größe", tree.Down, 2, time.Hour, tree.Exit{Run: 2, Asked: true, Err: tree.ErrShutdown}),
			worker("grumbler", tree.Down, 2, time.Hour, tree.Exit{
				Run: 2, Asked: true,
				Err: errors.New("the disk is full, and what follows is so long that it cannot be shown in one line, whatever the width of the screen may be"),
			}),
			{Path: "shop/never", ID: "never"},
		},
	}
}

func TestPictures(t *testing.T) {
	for name, p := range map[string]tree.Picture{
		"plain":  {Now: start},
		"wide":   {Now: start, Width: 120},
		"narrow": {Now: start, Width: 80},
		"ascii":  {Now: start, ASCII: true},
		"few":    {Now: start, Children: 3},
	} {
		t.Run(name, func(t *testing.T) {
			got := p.Of(shop())
			checkWidth(t, got, max(p.Width, 80))
			golden(t, name, got+"\n")
			if p.ASCII && strings.IndexFunc(got, func(r rune) bool { return r > 126 }) >= 0 {
				t.Error("not ASCII")
			}
		})
	}
}

func checkWidth(t *testing.T, text string, width int) {
	t.Helper()
	if width == 80 { // the zero value is 100
		width = 100
	}
	for line := range strings.Lines(text) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", "picture", name+".txt")
	if *updatePictures {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; if that is right, go test ./tree -run Pictures -update-pictures\ngot:\n%s\nwant:\n%s", file, got, want)
	}
}

// Of many children the troubled ones are drawn.
func TestPictureOfMany(t *testing.T) {
	s := tree.Snapshot{ID: "pool", State: tree.Running, Run: 1, Since: start}
	for i := range 10_000 {
		c := worker(fmt.Sprint(i), tree.Running, 1, 0)
		if i == 7_000 || i == 9_999 {
			c.State = tree.Down
		}
		s.Children = append(s.Children, c)
	}
	got := tree.Picture{Now: start, Children: 4}.Of(s)
	want := strings.TrimSpace(`
pool     running  run 1  0 ms
├─ 0     running  run 1  0 ms
├─ 1     running  run 1  0 ms
├─ 7000  down     run 1  0 ms
├─ 9999  down     run 1  0 ms
└─ …                           9996 more: 9996 running
`)
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for i := range s.Children {
		s.Children[i].State = tree.Restarting
	}
	if got := (tree.Picture{Now: start, Children: 4}).Of(s); strings.Count(got, "\n") != 5 || !strings.Contains(got, "9996 more: 9996 restarting") {
		t.Error(got)
	}
}

// Whatever the texts are, it is one line per node.
func FuzzPicture(f *testing.F) {
	f.Add("a", "x\ny", 80, true)
	f.Add("\xff\xfe", strings.Repeat("\u2028é\x00", 500), -1, false)
	f.Fuzz(func(t *testing.T, id, cause string, width int, ascii bool) {
		s := tree.Snapshot{ID: id, State: tree.Running, Children: []tree.Snapshot{
			{ID: id, Run: 1, Since: start, Exits: []tree.Exit{{Err: errors.New(cause)}}}, {ID: cause},
		}}
		got := tree.Picture{Now: start, Width: width % 1000, ASCII: ascii}.Of(s)
		if strings.Count(got, "\n") != 2 || !utf8.ValidString(got) || strings.ContainsAny(got, "\x1b\r\u2028") {
			t.Errorf("%q", got)
		}
		if width %= 1000; width >= 60 {
			checkWidth(t, got, width)
		}
	})
}

// The picture of a real tree, at three moments.
func TestPictureOfALife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		flaky := tree.ServiceFunc(func(ctx context.Context) error {
			select {
			case <-time.After(time.Minute):
				return broken
			case <-ctx.Done():
				return nil
			}
		})
		sub, err := tree.New(tree.Spec{Strategy: strategy.OneForAll, Children: []tree.Child{
			{ID: "flaky", Service: flaky},
			{ID: "steady", Service: tree.ServiceFunc(idle)},
		}})
		if err != nil {
			t.Fatal(err)
		}
		root, err := tree.New(tree.Spec{Name: "app", Children: []tree.Child{{ID: "sub", Service: sub}}})
		if err != nil {
			t.Fatal(err)
		}
		expect := func(want string) {
			t.Helper()
			synctest.Wait()
			if got := root.Snapshot().String(); got != strings.TrimSpace(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		}
		expect(`
app     down      one_for_one, 0 of 1 in 5 s
└─ sub  down
`)
		if err := root.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Second)
		expect(`
app           running  run 1  50 s  one_for_one, 0 of 1 in 5 s
└─ sub        running  run 1  50 s  one_for_all, 0 of 1 in 5 s
   ├─ flaky   running  run 1  50 s
   └─ steady  running  run 1  50 s
`)
		time.Sleep(12 * time.Second)
		expect(`
app           running  run 1  62 s  one_for_one, 0 of 1 in 5 s
└─ sub        running  run 1  62 s  one_for_all, 1 of 1 in 5 s
   ├─ flaky   running  run 2   2 s  run 1: broken
   └─ steady  running  run 2   2 s  run 1: stopped
`)
		if err := root.Stop(context.Background()); err != nil {
			t.Fatal(err)
		}
	})
}
