package child

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/verdigris-go/verdigris/wire"
)

const (
	replaySuffix = ".replay"
	partSuffix   = ".part"                     // while it is being written
	partAge      = time.Hour                   // then nobody writes it any more
	replayTime   = "20060102T150405.000000000" // how names begin, so that they sort by time
	maxCallHead  = 300 << 10                   // bytes of a call's frame that are not its input: its name, and 32 meta values of 8 KiB
)

// open opens the directory, which it makes if need be, and makes sure that nobody
// else can read in it or put something into it. All that follows goes by the
// opened directory, so that it does not matter what becomes of its path.
func (f ReplayFiles) open() (*os.Root, error) {
	if err := os.MkdirAll(f.Dir, 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(f.Dir)
	if err != nil {
		return nil, err
	}
	if err := f.private(root); err != nil {
		root.Close()
		return nil, fmt.Errorf("%s: %w", f.Dir, err)
	}
	return root, nil
}

func (f ReplayFiles) private(root *os.Root) error {
	opened, err := root.Stat(".")
	if err != nil {
		return err
	}
	named, err := os.Lstat(filepath.Clean(f.Dir))
	switch owner := ownerOf(opened); {
	case err != nil:
		return err
	case !os.SameFile(opened, named):
		return errors.New("it is a symbolic link; name the directory itself")
	case owner != os.Geteuid():
		return fmt.Errorf("it belongs to the user %d, and this program runs as %d", owner, os.Geteuid())
	case opened.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("others may enter it (mode %#o); make it 0700, for it holds the inputs of crashed calls", opened.Mode().Perm())
	}
	return nil
}

// check makes sure that files can be kept, if they are to be.
func (f ReplayFiles) check() error {
	if f.Dir == "" {
		return nil
	}
	root, err := f.open()
	if err != nil {
		return fmt.Errorf("Config.Replay: %w", err)
	}
	return root.Close()
}

// write writes the call, whose frame was kept, into a new file, and removes the
// oldest ones that are too many. id makes the name unique at this time.
func (f ReplayFiles) write(c CrashedCall, frame []byte, id string) (file string, err error) {
	content, err := f.content(c, frame)
	if err != nil {
		return "", err
	}
	root, err := f.open()
	if err != nil {
		return "", err
	}
	defer root.Close()
	name := fmt.Sprintf("%s-%s-%s%s", stamp(c.Time), fileName(c.Worker), id, replaySuffix)
	if err := writeNew(root, name+partSuffix, content); err != nil {
		_ = root.Remove(name + partSuffix)
		return "", err
	}
	if err := root.Rename(name+partSuffix, name); err != nil {
		_ = root.Remove(name + partSuffix)
		return "", err
	}
	return filepath.Join(f.Dir, name), f.prune(root, c.Time)
}

func (f ReplayFiles) content(c CrashedCall, frame []byte) ([]byte, error) {
	if frame == nil {
		return nil, fmt.Errorf("it is larger than MaxInput, %d bytes", f.MaxInput)
	}
	call, err := wire.ParseCall(frame[wire.HeaderSize:])
	if err != nil {
		return nil, err
	}
	if int64(len(call.Input)) > f.MaxInput {
		return nil, fmt.Errorf("its %d bytes are over MaxInput, %d bytes", len(call.Input), f.MaxInput)
	}
	c.Func, c.Input, c.Timeout, c.Meta = string(call.Func), call.Input, call.Timeout, call.Meta
	return c.Append(nil)
}

// writeNew makes a file that was not there.
func writeNew(root *os.Root, name string, content []byte) error {
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	return errors.Join(err, file.Close())
}

// prune removes the oldest files over MaxFiles, and what a writer that was killed
// has left behind.
func (f ReplayFiles) prune(root *os.Root, now time.Time) error {
	entries, err := fs.ReadDir(root.FS(), ".") // in the order of their names
	if err != nil {
		return err
	}
	var names []string
	for _, e := range entries {
		switch name := e.Name(); {
		case strings.HasSuffix(name, replaySuffix):
			names = append(names, name)
		case strings.HasSuffix(name, replaySuffix+partSuffix) && name < stamp(now.Add(-partAge)):
			_ = root.Remove(name)
		}
	}
	for _, name := range names[:max(len(names)-f.MaxFiles, 0)] {
		if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) { // another worker removes too
			return err
		}
	}
	return nil
}

// stamp is a time in a file's name.
func stamp(t time.Time) string {
	return t.UTC().Format(replayTime)
}

// fileName is a worker's name as part of a file's.
func fileName(worker string) string {
	const most = 40
	name := strings.Map(func(r rune) rune {
		if r < 0x80 && (r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z') {
			return r
		}
		return '_'
	}, worker)
	return name[:min(len(name), most)]
}
