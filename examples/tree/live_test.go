//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// serve runs the tour as a server and returns its address.
func serve(t *testing.T, args ...string) (p *program, url string) {
	t.Helper()
	p = start(t, append([]string{"-serve", "127.0.0.1:0", "-out", t.TempDir()}, args...)...)
	return p, p.await(`listening url=(\S+)`, 1)[1]
}

// One decoder is killed from outside while eight clients keep all of them busy: whoever was in it may fail, nobody
// else does.
func TestKillADecoderUnderLoad(t *testing.T) {
	const clients, requests = 8, 15 // each
	p, url := serve(t, "-workers", "3")
	p.await("child ended path=images/batch", 1)
	image, want := shippedImage(t, "chelsea.qoi"), reference(t, "", "chelsea.qoi", 64)
	victim := workers(t, p, "decoder")[0]

	var (
		answered, failed atomic.Int64
		kill             sync.Once
		all              sync.WaitGroup
	)
	for range clients {
		all.Go(func() {
			for range requests {
				status, body := request(t, url+"/?size=64", bytes.NewReader(image))
				switch {
				case status == 200 && !bytes.Equal(body, want):
					t.Error("a request got another image than its own")
				case status == 503 || status == 422:
					failed.Add(1)
				case status != 200:
					t.Errorf("status %d: %s", status, body)
				}
				if answered.Add(1) > clients*requests/4 {
					kill.Do(func() { _ = syscall.Kill(victim, syscall.SIGKILL) })
				}
			}
		})
	}
	all.Wait()
	if n := answered.Load(); n != clients*requests {
		t.Errorf("%d answers, want %d", n, clients*requests)
	}
	if n := failed.Load(); n > 1 {
		t.Errorf("%d requests failed, but a decoder has one at a time", n)
	}
	p.await(`child failed path=images/decoding/pool.*was killed from outside`, 1)
	p.await(`child restarted path=images/decoding/pool/\d+ run=2`, 1)
	p.stop()
}

// Malformed images cost their own requests only.
func TestMalformedUploadsAmongGoodOnes(t *testing.T) {
	p, url := serve(t, "-workers", "2", "-dir", t.TempDir())
	image, want := shippedImage(t, "coffee.qoi"), reference(t, "", "coffee.qoi", 32)
	var all sync.WaitGroup
	for i := range 24 {
		all.Go(func() {
			switch i % 4 {
			case 0:
				expect(t, url+"/?size=32", shippedImage(t, "overflow.qoi"), 422, "segmentation fault")
			case 1:
				expect(t, url+"/?size=32", []byte("no image"), 422, "not a QOI file")
			default:
				expect(t, url+"/?size=32", image, 200, string(want))
			}
		})
	}
	all.Wait()
	p.stop()
}

// More requests than decoders and queue can take: those beyond are told to come back, all others are answered.
func TestOverload(t *testing.T) {
	p, url := serve(t, "-workers", "1", "-queue", "2")
	p.await("child ended path=images/batch", 1)
	image, want := shippedImage(t, "hubble.qoi"), reference(t, "", "hubble.qoi", 32)
	var good, busy atomic.Int64
	var all sync.WaitGroup
	for range 30 {
		all.Go(func() {
			switch status, body := request(t, url+"/?size=32", bytes.NewReader(image)); {
			case status == 200 && bytes.Equal(body, want):
				good.Add(1)
			case status == 503 && strings.Contains(string(body), "overloaded"):
				busy.Add(1)
			default:
				t.Errorf("status %d: %.200q", status, body)
			}
		})
	}
	all.Wait()
	if good.Load() < 3 || busy.Load() == 0 {
		t.Errorf("%d answered, %d refused; want 3 or more, and some", good.Load(), busy.Load())
	}
	p.stop()
}

// SIGTERM: the request that is being sent is answered all the same, and the program ends well.
func TestSIGTERMAnswersWhatIsInFlight(t *testing.T) {
	p, url := serve(t)
	image, want := shippedImage(t, "rocket.qoi"), reference(t, "", "rocket.qoi", 128)
	body, upload := io.Pipe()
	answer := make(chan []byte, 1)
	go func() {
		status, body := request(t, url, body)
		if status != 200 {
			t.Errorf("status %d: %s", status, body)
		}
		answer <- body
	}()
	if _, err := upload.Write(image[:100]); err != nil { // returns when the client has sent it
		t.Fatal(err)
	}
	waitForAnother(t, url)
	p.terminate()
	waitRefused(t, url)
	if _, err := upload.Write(image[100:]); err != nil {
		t.Fatal(err)
	}
	_ = upload.Close()
	if got := <-answer; !bytes.Equal(got, want) {
		t.Error("the answer is not the thumbnail")
	}
	if status := p.status(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	if line := inOrder(p.out.String(), "child stopped path=images/http", "child stopped path=images/writer",
		"child stopped path=images/decoding run", "child stopped path=images/index"); line != "" {
		t.Errorf("not in order: %s", line)
	}
}

// The index is the first stage, so its death restarts the server too: on the same address.
func TestServerComesBackAfterTheIndex(t *testing.T) {
	p, url := serve(t)
	p.await("child ended path=images/batch", 1)
	_ = syscall.Kill(workers(t, p, "index")[0], syscall.SIGKILL)
	if again := p.await(`listening url=(\S+)`, 2)[1]; again != url {
		t.Errorf("it is at %s now, it was at %s", again, url)
	}
	expect(t, url, shippedImage(t, "brick.qoi"), 200, string(reference(t, "", "brick.qoi", 128)))
	p.stop()
}

// An address that cannot be had: nothing that restarting could mend.
func TestServerThatNeverComesUpEnds(t *testing.T) {
	_, url := serve(t)
	p := start(t, "-serve", strings.TrimPrefix(url, "http://"), "-out", t.TempDir())
	if status := p.status(); status != 1 {
		t.Errorf("exit status %d, want 1", status)
	}
	p.await("address already in use", 1)
}

func TestTreeIsShown(t *testing.T) {
	p, url := serve(t)
	p.await("supervisor up path=images run=1", 1)
	response, err := http.Get(url + "/tree")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var root struct {
		Path, State string
		Children    []struct{ ID, State string }
	}
	if err := json.NewDecoder(response.Body).Decode(&root); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, c := range root.Children {
		ids = append(ids, c.ID)
	}
	if want := []string{"index", "decoding", "writer", "batch", "http"}; root.State != "running" || !slices.Equal(ids, want) {
		t.Errorf("%s is %s with the children %q, want %q", root.Path, root.State, ids, want)
	}
	p.stop()
}

// reference renders an image in this process. It must be a good one.
func reference(t *testing.T, dir, name string, size int) []byte {
	t.Helper()
	file, err := fs.ReadFile(source(dir), name)
	if err != nil {
		t.Fatal(err)
	}
	thumb, err := render(file, size)
	if err != nil {
		t.Fatal(err)
	}
	return thumb.PNG
}

func request(t *testing.T, url string, body io.Reader) (status int, answer []byte) {
	response, err := http.Post(url, "image/qoi", body)
	if err != nil {
		t.Error(err)
		return 0, nil
	}
	defer response.Body.Close()
	if answer, err = io.ReadAll(response.Body); err != nil {
		t.Error(err)
	}
	return response.StatusCode, answer
}

func expect(t *testing.T, url string, image []byte, status int, in string) {
	got, answer := request(t, url, bytes.NewReader(image))
	if got != status || !strings.Contains(string(answer), in) {
		t.Errorf("status %d, want %d: %.200q", got, status, answer)
	}
}

// waitForAnother makes sure that the server has accepted what was sent before: connections are accepted in order.
func waitForAnother(t *testing.T, url string) {
	t.Helper()
	response, err := http.Get(url + "/tree")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
}

// waitRefused waits until the server does not listen any more.
func waitRefused(t *testing.T, url string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for range 1000 {
		response, err := client.Get(url + "/tree")
		if err != nil {
			return
		}
		_ = response.Body.Close()
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the server still listens")
}

func (p *program) terminate() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
}

// stop ends the program in good order, and sees that no worker outlives it.
func (p *program) stop() {
	p.t.Helper()
	pids := workers(p.t, p, "")
	p.terminate()
	if status := p.status(); status != 0 {
		p.t.Errorf("exit status %d", status)
	}
	for _, pid := range pids {
		if syscall.Kill(pid, 0) == nil {
			p.t.Errorf("worker %d is still there", pid)
		}
	}
}

// workers returns the process ids of the program's workers whose name contains a word.
func workers(t *testing.T, p *program, word string) (pids []int) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, stat := range stats {
		line, err := os.ReadFile(stat)
		if err != nil {
			continue // it has ended
		}
		var parent int
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(stat)))
		_, rest, _ := strings.Cut(string(line), ") ")                      // behind the name, which may contain anything
		_, _ = fmt.Sscan(strings.TrimLeft(rest, "RSDZTtXxKWPI "), &parent) // behind the state, one letter
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if parent == p.cmd.Process.Pid && strings.Contains(string(name), word) {
			pids = append(pids, pid)
		}
	}
	if len(pids) == 0 {
		t.Fatalf("no worker named %q", word)
	}
	return pids
}
