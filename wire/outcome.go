package wire

// Limits on what a worker reports about a failure. Longer texts are cut off by the sender, with a remark.
const (
	MaxMessage = 64 << 10  // bytes of an error's message or a panic's value
	MaxStack   = 256 << 10 // bytes of a stack
	MaxCodes   = 32        // codes of one error
)

// ErrorBody is the body of an error frame: the function ran and returned an error.
type ErrorBody struct {
	Message string
	Codes   []string          // names of the registered sentinel errors it matches, outermost first
	Attrs   map[string]string // facts for logs; at most MaxMeta
}

// Append appends the body. What exceeds the limits is cut off, with a remark in the text; it never fails, because a
// failure must always be reported.
func (e ErrorBody) Append(dst []byte) []byte {
	dst = appendHead(dst, majorArray, 3)
	dst = appendBounded(dst, e.Message, MaxMessage)
	dst = appendCodes(dst, boundedCodes(e.Codes))
	return appendMeta(dst, boundedMeta(e.Attrs))
}

// ParseError takes the body of an error frame apart. The error is a [*DecodeError].
func ParseError(body []byte) (ErrorBody, error) {
	c := newCursor(body)
	c.array(3, "an error: an array of 3")
	e := ErrorBody{
		Message: string(c.text(MaxMessage, "message")),
		Codes:   c.texts(MaxCodes, MaxName, "code"),
		Attrs:   c.meta(),
	}
	if err := c.end(KindError); err != nil {
		return ErrorBody{}, err
	}
	return e, nil
}

// PanicBody is the body of a panic frame: the function panicked and the worker recovered.
type PanicBody struct {
	Value string // the panic's value as text
	Stack string // the panicking goroutine's stack; "" where the language has none
}

// Append appends the body. Texts beyond the limits are cut off, with a remark.
func (p PanicBody) Append(dst []byte) []byte {
	dst = appendHead(dst, majorArray, 2)
	dst = appendBounded(dst, p.Value, MaxMessage)
	return appendBounded(dst, p.Stack, MaxStack)
}

// ParsePanic takes the body of a panic frame apart. The error is a [*DecodeError].
func ParsePanic(body []byte) (PanicBody, error) {
	c := newCursor(body)
	c.array(2, "a panic: an array of 2")
	p := PanicBody{
		Value: string(c.text(MaxMessage, "panic value")),
		Stack: string(c.text(MaxStack, "stack")),
	}
	if err := c.end(KindPanic); err != nil {
		return PanicBody{}, err
	}
	return p, nil
}

// appendCodes appends codes as an array.
func appendCodes(dst []byte, codes []string) []byte {
	dst = appendHead(dst, majorArray, uint64(len(codes)))
	for _, code := range codes {
		dst = appendText(dst, code)
	}
	return dst
}

// boundedCodes returns the codes inside the limits.
func boundedCodes(codes []string) []string {
	if len(codes) == 0 {
		return nil
	}
	fits := make([]string, min(len(codes), MaxCodes))
	for i := range fits {
		fits[i] = bounded(codes[i], MaxName)
	}
	return fits
}

// boundedMeta returns meta with every text inside the limits.
func boundedMeta(meta map[string]string) map[string]string {
	if len(meta) == 0 {
		return nil
	}
	fits := make(map[string]string, len(meta))
	for k, v := range meta {
		if len(fits) == MaxMeta {
			break
		}
		fits[bounded(k, MaxName)] = bounded(v, MaxMetaValue)
	}
	return fits
}
