package otptest

import (
	"bufio"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// switchboard is where worker processes call, to be told what to do.
type switchboard struct {
	listener net.Listener
	mu       sync.Mutex
	waiting  map[string]chan *line // by the key of a worker
}

// line is the connection to one worker process. Both sides send words, one to a line of text.
type line struct {
	conn  net.Conn
	words *bufio.Reader
}

func newLine(conn net.Conn) *line { return &line{conn, bufio.NewReader(conn)} }

// hear returns the next word, "" at the end.
func (l *line) hear() string {
	word, _ := l.words.ReadString('\n')
	return strings.TrimSuffix(word, "\n")
}

// say sends a word; whether somebody hears it shows later.
func (l *line) say(word string) { _, _ = l.conn.Write([]byte(word + "\n")) }

func newSwitchboard(t *testing.T) *switchboard {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s := &switchboard{listener: l, waiting: map[string]chan *line{}}
	go s.accept()
	return s
}

func (s *switchboard) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		go s.connect(newLine(conn))
	}
}

// connect hands a line to whoever waits for the worker at its other end.
func (s *switchboard) connect(l *line) {
	key := l.hear()
	s.mu.Lock()
	c := s.waiting[key]
	s.mu.Unlock()
	if c == nil {
		l.conn.Close()
		return
	}
	c <- l
}

// enlist returns a new key, and where the line to the worker with that key arrives, once for each of its runs.
func (s *switchboard) enlist() (key string, lines <-chan *line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key = strconv.Itoa(len(s.waiting))
	c := make(chan *line, 1)
	s.waiting[key] = c
	return key, c
}
