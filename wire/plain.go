package wire

// A handshake in its plain form is written and read here, without the CBOR library: the library has to look at the
// types first, which took more than 0.2 ms of each start of a worker, on both sides together. The plain form is the one
// that this package writes: keys that it knows, in order, none of them empty. Everything else is left to the library,
// which also says what is wrong with it; so the two cannot disagree about what is right.

// entries appends a map of optional entries whose keys are small numbers.
type entries struct {
	buf []byte
	at  int // of the map's head, which holds at most 23 entries
}

func newEntries(dst []byte) entries { return entries{append(dst, majorMap), len(dst)} }

// key appends a key. Its value comes next.
func (e *entries) key(n uint64) {
	e.buf[e.at]++
	e.buf = appendUint(e.buf, n)
}

func (e *entries) int(n uint64, v int) {
	e.key(n)
	e.buf = appendInt(e.buf, int64(v))
}

func (e *entries) text(n uint64, s string) {
	e.key(n)
	e.buf = appendText(e.buf, s)
}

func (e *entries) texts(n uint64, list []string) {
	e.key(n)
	e.buf = appendHead(e.buf, majorArray, uint64(len(list)))
	for _, s := range list {
		e.buf = appendText(e.buf, s)
	}
}

// optional entries are left out when they are zero.

func (e *entries) optionalInt(n uint64, v int) {
	if v != 0 {
		e.int(n, v)
	}
}

func (e *entries) optionalText(n uint64, s string) {
	if s != "" {
		e.text(n, s)
	}
}

// entries takes a map whose keys are numbers in ascending order, and gives each to take, which takes the value, or
// reports that it does not know the key.
func (c *cursor) entries(limit int, take func(key uint64) bool) {
	last := uint64(0)
	for range c.count(majorMap, limit, "map") {
		key := c.expect(majorUint, "key")
		if c.err == nil && (key <= last || !take(key)) {
			c.fail(errDuplicate) // or another reason to leave it to the library
		}
		if c.err != nil {
			return
		}
		last = key
	}
}

// filled is texts for a list that is not empty.
func (c *cursor) filled(limit, size int, what string) []string {
	list := c.texts(limit, size, what)
	if len(list) == 0 {
		c.fail(errTruncated)
	}
	return list
}

// whole takes an item of any kind, which a body has at its first level.
func (c *cursor) whole() []byte {
	at := c.rest
	c.item(1)
	return append([]byte(nil), at[:len(at)-len(c.rest)]...)
}

// plainBody is a body that can be written in its plain form.
type plainBody interface{ appendPlain(dst []byte) []byte }

// appendPlain appends a body, unless its check has failed or its texts are none.
func appendPlain(dst []byte, k Kind, body plainBody, failed error) ([]byte, error) {
	out, err := dst, failed
	if err == nil {
		out = body.appendPlain(dst)
		err = valid(out[len(dst):])
	}
	if err != nil {
		return dst, &EncodeError{k.String(), err}
	}
	return out, nil
}

func (h Hello) appendPlain(dst []byte) []byte {
	e := newEntries(dst)
	e.int(1, h.Version)
	e.int(2, h.MinVersion)
	e.text(3, h.Build)
	e.int(4, h.PID)
	e.text(5, h.Language)
	if len(h.Capabilities) > 0 {
		e.texts(6, h.Capabilities)
	}
	if len(h.Functions) > 0 {
		e.key(7)
		e.buf = appendHead(e.buf, majorArray, uint64(len(h.Functions)))
		for _, f := range h.Functions {
			e.buf = f.appendPlain(e.buf)
		}
	}
	return e.buf
}

func (f Function) appendPlain(dst []byte) []byte {
	e := newEntries(dst)
	e.text(1, f.Name)
	e.optionalText(2, f.In)
	e.optionalText(3, f.Out)
	e.optionalText(4, f.State)
	if f.Stream {
		e.key(5)
		e.buf = appendBool(e.buf, true)
	}
	return e.buf
}

func (h *Hello) parsePlain(body []byte) bool {
	c := newCursor(body)
	c.entries(7, func(key uint64) bool {
		switch key {
		case 1:
			h.Version = c.int("version")
		case 2:
			h.MinVersion = c.int("version")
		case 3:
			h.Build = string(c.text(MaxName, "build"))
		case 4:
			h.PID = c.int("pid")
		case 5:
			h.Language = string(c.text(MaxName, "language"))
		case 6:
			h.Capabilities = c.filled(MaxCapabilities, MaxName, "capability")
		default:
			return false // functions are compared only with another program, which may be of any kind
		}
		return true
	})
	return c.done() == nil
}

func (s Setup) appendPlain(dst []byte) []byte {
	e := newEntries(dst)
	e.int(1, s.Version)
	e.int(2, s.Limit)
	e.int(3, s.Concurrency)
	e.optionalText(4, s.State)
	if len(s.StateInput) > 0 {
		e.key(5)
		e.buf = append(e.buf, s.StateInput...)
	}
	e.optionalInt(6, s.LogLevel)
	if len(s.Capabilities) > 0 {
		e.texts(7, s.Capabilities)
	}
	e.optionalInt(8, s.Window)
	e.optionalText(9, s.Build)
	if s.Blobs != 0 {
		e.key(10)
		e.buf = appendInt(e.buf, s.Blobs)
	}
	return e.buf
}

func (s *Setup) parsePlain(body []byte) bool {
	c := newCursor(body)
	c.entries(10, func(key uint64) bool {
		switch key {
		case 1:
			s.Version = c.int("version")
		case 2:
			s.Limit = c.int("limit")
		case 3:
			s.Concurrency = c.int("concurrency")
		case 4:
			s.State = string(c.text(MaxName, "state"))
		case 5:
			s.StateInput = c.whole()
		case 6:
			s.LogLevel = c.int("level")
		case 7:
			s.Capabilities = c.filled(MaxCapabilities, MaxName, "capability")
		case 8:
			s.Window = c.int("window")
		case 9:
			s.Build = string(c.text(MaxName, "build"))
		case 10:
			s.Blobs = c.integer("limit of blobs")
		default:
			return false
		}
		return true
	})
	return c.done() == nil
}

// int takes an integer of this machine's size.
func (c *cursor) int(what string) int {
	n := c.integer(what)
	if int64(int(n)) != n {
		c.fail(&tooLong{what, uint64(n), int64(int(^uint(0) >> 1))})
	}
	return int(n)
}
