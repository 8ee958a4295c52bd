package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
)

// journal is what has become of each file, in a file that only ever grows by a line: a checksum and a record. A kill
// in the middle of a write leaves a line that is not whole, which is not believed; its file is then done again.
type journal struct {
	file  *os.File
	known map[string]record // by path: the last one
}

// record is what has become of a file, as it then was, with a thumbnail of that size.
type record struct {
	File
	Side   int    `json:"side"`
	Hash   string `json:"sha256,omitempty"`
	Width  int    `json:"width,omitempty"`
	Height int    `json:"height,omitempty"`
	Failed string `json:"failed,omitempty"` // why, in words
}

func openJournal(path string) (*journal, error) {
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return nil, err
	}
	j := &journal{file: f, known: parseJournal(text)}
	if len(text) > 0 && text[len(text)-1] != '\n' { // the rest of a line must not spoil the next one
		if _, err := f.WriteString("\n"); err != nil {
			f.Close()
			return nil, err
		}
	}
	return j, nil
}

func parseJournal(text []byte) map[string]record {
	known := map[string]record{}
	for line := range bytes.Lines(text) {
		if r, ok := parseLine(line); ok {
			known[r.Path] = r
		}
	}
	return known
}

// parseLine reports false for everything but a whole line.
func parseLine(line []byte) (r record, ok bool) {
	sum, text, found := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
	if !found || string(sum) != checksum(text) {
		return r, false
	}
	return r, json.Unmarshal(text, &r) == nil
}

func checksum(text []byte) string { return fmt.Sprintf("%08x", crc32.ChecksumIEEE(text)) }

// add notes what has become of a file, for good. The kernel has it when add returns, so it outlives this program; what
// it takes to outlive the machine (fsync) would cost more than to do a few files again.
func (j *journal) add(r record) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(j.file, "%s %s\n", checksum(text), text)
	return err
}

// of returns what has become of a file, unless it has changed since.
func (j *journal) of(f File, side int) (record, bool) {
	r, ok := j.known[f.Path]
	return r, ok && r.File == f && r.Side == side
}

func (j *journal) close() { j.file.Close() }
