package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program is the program in a process of its own.
type program struct {
	t     *testing.T
	cmd   *exec.Cmd
	out   bytes.Buffer // to be read when it has ended
	ended chan struct{}
}

func start(t *testing.T, args ...string) *program {
	t.Helper()
	p := &program{t: t, cmd: exec.Command(os.Args[0], args...), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), programVariable+"=1")
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = p.cmd.Wait(); close(p.ended) }()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
		if t.Failed() {
			t.Logf("%q printed:\n%s", args, p.out.Bytes())
		}
	})
	return p
}

// status waits for the end of the program: -1 when a signal ended it.
func (p *program) status() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(2 * time.Minute):
		_ = p.cmd.Process.Signal(syscall.SIGQUIT) // prints its goroutines
		p.t.Fatal("it did not end within two minutes")
	}
	return p.cmd.ProcessState.ExitCode()
}

// says fails the test unless the program has printed something like that.
func (p *program) says(pattern string) {
	p.t.Helper()
	if !regexp.MustCompile(pattern).Match(p.out.Bytes()) {
		p.t.Errorf("it has not said %q", pattern)
	}
}

// pictures makes a directory with the images from the first to before the last, and a place for their thumbnails.
func pictures(t *testing.T, first, last int) (dir, out string) {
	t.Helper()
	dir, out = filepath.Join(t.TempDir(), "in"), t.TempDir()
	for i := first; i < last; i++ {
		name, content, err := sample(i)
		if err == nil {
			err = store(filepath.Join(dir, fmt.Sprint(i%3), name), content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir, out
}

func scanned(t *testing.T, dir string) []File {
	t.Helper()
	files, err := scan(dir, "", func(path string, err error) { t.Error(path, err) })
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// sameAsInProcess checks that each file has the thumbnail that it has without workers.
func sameAsInProcess(t *testing.T, dir, out string, files []File) {
	t.Helper()
	for _, f := range files {
		want, err := thumbnail(context.Background(), Job{dir, f, 64})
		if err != nil {
			t.Fatal(f.Path, err)
		}
		got, err := os.ReadFile(filepath.Join(out, f.Path+".png"))
		if err != nil || !bytes.Equal(got, want.PNG) {
			t.Errorf("%s has another thumbnail: %v", f.Path, err)
		}
	}
}

// lines returns what the journal has of each file, which must be one whole line.
func lines(t *testing.T, out string) map[string]record {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(out, "journal"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]record{}
	for line := range bytes.Lines(text) {
		r, ok := parseLine(line)
		if !ok {
			continue // a kill has cut it off
		}
		if _, again := seen[r.Path]; again {
			t.Errorf("%s is in the journal twice", r.Path)
		}
		seen[r.Path] = r
	}
	return seen
}

// Among good images one of each that is hostile: the good ones come out as they would without workers, each hostile
// one has its line, and the next run does only what has changed.
func TestWholeRun(t *testing.T) {
	dir, out := pictures(t, 0, 12)
	good := scanned(t, dir)
	for _, h := range hostile {
		if err := store(filepath.Join(dir, "hostile", h.name), h.make()); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"-out", out, "-size", "64", "-workers", "3", "-deadline", "10s", "-memory", "256", dir}
	p := start(t, args...)
	if status := p.status(); status != someFailed {
		t.Errorf("exit status %d", status)
	}
	for name, words := range map[string]string{
		"overflow.qoi": "its decoder crashed with a segmentation fault",
		"cut-off.qoi":  "its decoder crashed with a segmentation fault",
		"bomb.png":     "", // see TestBomb: a slow machine may find that it takes too long
		"endless.jpg":  "takes longer than 10s",
		"cut-off.png":  "is no proper image: png",
		"empty.gif":    "is no proper image: image: unknown format",
		"text.png":     "is no proper image: image: unknown format",
		"flipped.png":  "is no proper image: ",
	} {
		p.says(`(?m)^hostile/` + regexp.QuoteMeta(name) + `: ` + regexp.QuoteMeta(words))
	}
	p.says(`20 images in .*: 12 done, 8 failed:`)
	p.says(`decoders died and were replaced`)
	sameAsInProcess(t, dir, out, good)
	journal := lines(t, out)
	for _, f := range scanned(t, dir) {
		if r := journal[f.Path]; r.File != f || (r.Failed == "") == strings.HasPrefix(f.Path, "hostile/") || r.Failed == "" && len(r.Hash) != 64 {
			t.Errorf("the journal has %+v of %+v", r, f)
		}
	}

	// The next run does what is new, what has changed, and what has been lost, and nothing else.
	if err := store(filepath.Join(dir, good[0].Path), encodedPNG()); err != nil {
		t.Fatal(err)
	}
	if err := store(filepath.Join(dir, "new.png"), encodedPNG()); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(out, good[1].Path+".png")); err != nil {
		t.Fatal(err)
	}
	p = start(t, args...)
	if status := p.status(); status != someFailed {
		t.Errorf("exit status %d", status)
	}
	p.says(`21 images in .*: 3 done, 10 done before, 8 failed before`)
	sameAsInProcess(t, dir, out, append(good, File{Path: "new.png"}))
}

// Stopped in the middle, by a request or by force, and run again: every image is done, and in the journal once. One
// that takes for ever sees to it that there is a middle.
func TestStoppedInTheMiddle(t *testing.T) {
	for sig, status := range map[syscall.Signal]int{syscall.SIGINT: interrupted, syscall.SIGTERM: interrupted, syscall.SIGKILL: -1} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			dir, out := pictures(t, 100, 124)
			if err := store(filepath.Join(dir, "1", "endless.jpg"), endless()); err != nil {
				t.Fatal(err)
			}
			files := scanned(t, dir)
			args := []string{"-out", out, "-size", "64", "-workers", "2", "-deadline", "10s", dir}
			p := start(t, "-out", out, "-size", "64", "-workers", "2", "-deadline", "5m", dir)
			begun := func() int {
				text, _ := os.ReadFile(filepath.Join(out, "journal"))
				return bytes.Count(text, []byte("\n"))
			}
			for deadline := time.Now().Add(time.Minute); begun() < 6; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("it does not get on")
				}
			}
			if err := p.cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			if got := p.status(); got != status {
				t.Errorf("exit status %d, want %d", got, status)
			}
			first := lines(t, out)
			if status == interrupted {
				p.says(fmt.Sprintf(`\n%d are left; the same command goes on with them\n`, len(files)-len(first)))
			}
			p = start(t, args...)
			if got := p.status(); got != someFailed { // number 112, and the endless one
				t.Errorf("exit status %d", got)
			}
			all := lines(t, out)
			for path, r := range first {
				if all[path] != r {
					t.Errorf("%s was done twice", path)
				}
			}
			if len(all) != len(files) {
				t.Errorf("%d of %d files are in the journal", len(all), len(files))
			}
			var good []File
			for _, f := range files {
				if all[f.Path].Failed == "" {
					good = append(good, f)
				}
			}
			if len(good) != len(files)-2 {
				t.Errorf("%d of %d images are done", len(good), len(files))
			}
			sameAsInProcess(t, dir, out, good)
		})
	}
}

// A file that kills is given up after two decoders, and nobody else is harmed.
func TestPoison(t *testing.T) {
	dir, out := pictures(t, 0, 12)
	if err := store(filepath.Join(dir, "poison.qoi"), overflow()); err != nil {
		t.Fatal(err)
	}
	p := start(t, "-out", out, "-workers", "2", "-deadline", "1m", dir)
	if status := p.status(); status != someFailed {
		t.Errorf("exit status %d", status)
	}
	p.says(`13 images in .*: 12 done, 1 failed:\n     1  decoder died: segmentation fault\n2 decoders died and were replaced\n`)
	p = start(t, "-out", out, "-again", dir)
	p.status()
	p.says(`13 images in .*: 0 done, 12 done before, 1 failed:\n     1  decoder died: segmentation fault\n2 decoders died`)
}

// A small file that becomes a large image is stopped by the bound of memory.
func TestBomb(t *testing.T) {
	dir, out := pictures(t, 0, 2)
	if err := store(filepath.Join(dir, "bomb.png"), bomb()); err != nil {
		t.Fatal(err)
	}
	p := start(t, "-out", out, "-workers", "2", "-deadline", "10m", "-memory", "128", dir)
	if status := p.status(); status != someFailed {
		t.Errorf("exit status %d", status)
	}
	p.says(`(?m)^bomb.png: needs more than 128 MiB of memory$`)
	p.says(`3 images in .*: 2 done, 1 failed:\n     1  too much memory\n2 decoders died`)
}

// It says what is wrong when it cannot begin.
func TestNotPossible(t *testing.T) {
	p := start(t, filepath.Join(t.TempDir(), "nothing"))
	if status := p.status(); status != notPossible {
		t.Errorf("exit status %d", status)
	}
	p.says(`^pool: .*no such file or directory\n$`)
	p = start(t, "-h")
	if status := p.status(); status != allDone {
		t.Errorf("exit status %d", status)
	}
	p.says(`(?s)^Usage: pool \[flags\] DIRECTORY\n.*-deadline time`)
	dir, out := pictures(t, 0, 1)
	p = start(t, "-out", out, dir)
	if status := p.status(); status != allDone {
		t.Errorf("exit status %d", status)
	}
}
