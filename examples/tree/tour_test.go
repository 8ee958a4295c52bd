//go:build linux

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The tour as make demo runs it: two malformed images, and an index that is killed half-way.
func TestTour(t *testing.T) {
	out := t.TempDir()
	p := start(t, "-out", out)
	if status := p.status(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	// Four, if a malformed image is in a decoder at the moment when the index is killed: it is tried once more.
	p.await(`9 images in, 7 thumbnails out, 2 malformed, [34] crashes survived, \d+ restarts`, 1)
	text := p.out.String()
	if strings.Contains(text, "\x1b") {
		t.Error("there are colors in a pipe")
	}
	for _, name := range []string{"overflow.qoi", "cut-off.qoi"} {
		if !strings.Contains(text, "the image killed its decoder image="+name) {
			t.Errorf("%s has not killed its decoder", name)
		}
	}
	if !strings.Contains(text, "SIGSEGV: segmentation violation") {
		t.Error("no word of a SIGSEGV")
	}
	checkThumbnails(t, out, "", 128)
	checkRestartOrder(t, text)
}

// checkRestartOrder checks that when the first stage died, those after it were stopped in reverse order, and then all
// started again in order.
func checkRestartOrder(t *testing.T, text string) {
	t.Helper()
	if line := inOrder(text,
		"child started path=images/index run=1",
		"child started path=images/decoding run=1",
		"child started path=images/writer run=1",
		"child started path=images/batch run=1",
		"chaos: killing the index",
		"child failed path=images/index run=1",
		"child stopped path=images/batch run=1",
		"child stopped path=images/writer run=1",
		"child stopped path=images/decoding run=1",
		"child restarted path=images/index run=2",
		"child restarted path=images/decoding run=2",
		"child restarted path=images/writer run=2",
		"child restarted path=images/batch run=2",
		"child stopped path=images/writer run=2",
		"child stopped path=images/decoding run=2",
		"child stopped path=images/index run=2",
	); line != "" {
		t.Errorf("not in order: %s", line)
	}
}

func TestTourWithoutChaos(t *testing.T) {
	out := t.TempDir()
	p := start(t, "-chaos=false", "-size", "50", "-workers", "1", "-out", out)
	if status := p.status(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	p.await(`9 images in, 7 thumbnails out, 2 malformed, 2 crashes survived, 2 restarts`, 1)
	checkThumbnails(t, out, "", 50)
}

// What the user's own images have to do with the exit status: bad ones do not count, lost ones do.
func TestTourOfOwnImages(t *testing.T) {
	good, bad := shippedImage(t, "chelsea.qoi"), shippedImage(t, "overflow.qoi")
	tests := []struct {
		name    string
		files   map[string][]byte
		summary string
		status  int
	}{
		{"good", map[string][]byte{"a.qoi": good, "notes.txt": nil}, "1 images in, 1 thumbnails out, 0 malformed", 0},
		{"good, refused and deadly", map[string][]byte{"a.qoi": good, "b.qoi": []byte("text"), "c.qoi": bad}, "3 images in, 1 thumbnails out, 2 malformed", 0},
		{"only bad", map[string][]byte{"a.qoi": bad}, "1 images in, 0 thumbnails out, 1 malformed", 0},
		{"named like a shipped one", map[string][]byte{"overflow.qoi": good}, "1 images in, 1 thumbnails out, 0 malformed", 0},
		{"not to be read", map[string][]byte{"a.qoi": good, "gone.qoi -> nowhere": nil}, "2 images in, 1 thumbnails out, 0 malformed", 1},
		{"none", nil, "0 images in", 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir, out := t.TempDir(), t.TempDir()
			for name, content := range test.files {
				put(t, dir, name, content)
			}
			p := start(t, "-dir", dir, "-out", out)
			if status := p.status(); status != test.status {
				t.Errorf("exit status %d, want %d", status, test.status)
			}
			p.await(test.summary, 1)
			checkThumbnails(t, out, dir, 128)
		})
	}
}

func TestTourGivesUp(t *testing.T) {
	p := start(t, "-dir", filepath.Join(t.TempDir(), "none"), "-out", t.TempDir())
	if status := p.status(); status != 1 {
		t.Errorf("exit status %d, want 1", status)
	}
	p.await(`no such file or directory`, 1)
	p.await("the tree gave up again and again", 1)
}

func TestTourRefusesWrongArguments(t *testing.T) {
	for _, args := range [][]string{{"-workers", "0"}, {"-size", "-1"}, {"-queue", "0"}, {"-nonsense"}, {"image.qoi"}} {
		p := start(t, args...)
		if status := p.status(); status != 2 {
			t.Errorf("%q: exit status %d, want 2", args, status)
		}
	}
}

// put writes a file; "a -> b" is a symbolic link.
func put(t *testing.T, dir, name string, content []byte) {
	t.Helper()
	var err error
	if link, target, ok := strings.Cut(name, " -> "); ok {
		err = os.Symlink(target, filepath.Join(dir, link))
	} else {
		err = os.WriteFile(filepath.Join(dir, name), content, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// checkThumbnails compares every file in out with what rendering its image in this process gives. Bad images would
// end this process, so it would be noticed if they had come out.
func checkThumbnails(t *testing.T, out, dir string, size int) {
	t.Helper()
	files, err := os.ReadDir(out)
	if err != nil {
		t.Fatal(err)
	}
	if dir == "" && len(files) != 7 {
		t.Errorf("%d files came out, want 7", len(files))
	}
	for _, file := range files {
		name := strings.TrimSuffix(file.Name(), ".png") + ".qoi"
		got, err := os.ReadFile(filepath.Join(out, file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, reference(t, dir, name, size)) {
			t.Errorf("%s is not the thumbnail of %s", file.Name(), name)
		}
	}
}
