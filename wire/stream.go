package wire

// MaxNote bounds the text of a progress frame, in bytes.
const MaxNote = 1 << 10

// itemOverhead is what an item costs besides its bytes, so that a window bounds small ones in number too.
const itemOverhead = 64

// ItemCost is what an item with a body of size bytes takes of its stream's window.
func ItemCost(size int) int64 { return int64(size) + itemOverhead }

// ProgressBody is the body of a progress frame: how far a call has come.
type ProgressBody struct {
	Done, Total int64  // in units of the function's choice
	Note        string // for people
}

// Append appends the body. A note beyond MaxNote is cut off, with a remark; it never fails.
func (p ProgressBody) Append(dst []byte) []byte {
	dst = appendHead(dst, majorArray, 3)
	dst = appendInt(dst, p.Done)
	dst = appendInt(dst, p.Total)
	return appendBounded(dst, p.Note, MaxNote)
}

// ParseProgress takes the body of a progress frame apart. The error is a [*DecodeError].
func ParseProgress(body []byte) (ProgressBody, error) {
	c := newCursor(body)
	c.array(3, "a progress: an array of 3")
	p := ProgressBody{Done: c.integer("done"), Total: c.integer("total"), Note: string(c.text(MaxNote, "note"))}
	if err := c.end(KindProgress); err != nil {
		return ProgressBody{}, err
	}
	return p, nil
}
