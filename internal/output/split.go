package output

import "bytes"

// splitter cuts a stream into lines of bounded length. A line ends with \n or
// \r\n, or with the stream.
type splitter struct {
	max  int
	emit func(line []byte, truncated bool)

	line []byte // the begun line; one byte over max, which may turn out to be \r
	over bool   // whether bytes of it were left out
}

func newSplitter(max int, emit func(line []byte, truncated bool)) *splitter {
	return &splitter{max: max, emit: emit}
}

func (s *splitter) write(p []byte) {
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			s.add(p)
			return
		}
		s.add(p[:i])
		s.end()
		p = p[i+1:]
	}
}

// flush ends a last line that has no line end.
func (s *splitter) flush() {
	if len(s.line) > 0 {
		s.end()
	}
}

func (s *splitter) add(p []byte) {
	n := min(len(p), s.max+1-len(s.line))
	s.over = s.over || n < len(p)
	s.line = append(s.line, p[:n]...)
}

func (s *splitter) end() {
	line := s.line
	if !s.over {
		line = bytes.TrimSuffix(line, []byte("\r"))
	}
	n := min(len(line), s.max)
	s.emit(line[:n], s.over || n < len(line))
	s.line, s.over = s.line[:0], false
}
