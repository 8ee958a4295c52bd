package child

import "context"

// W3C names under which trace context travels (Trace Context, Baggage).
const (
	TraceParent = "traceparent"
	TraceState  = "tracestate"
	Baggage     = "baggage"
)

const metaKey = "key" // the reserved name under which a caller's key travels

type metaContext struct{}

// WithKey returns a context whose calls carry a key of the caller's choice: the
// name of a file, the id of a tenant. Crash errors and log records name it, and
// the handler can read it with [Key].
func WithKey(ctx context.Context, key string) context.Context { return WithMeta(ctx, metaKey, key) }

// Key returns the key that the context carries, or "".
func Key(ctx context.Context) string { return Meta(ctx, metaKey) }

// WithMeta returns a context whose calls carry a value under a name, for
// example trace context under [TraceParent]. Values are meant to be few and
// small: all of them travel with each call. More than 32, or a value of more than
// 8 KiB, fail the call before it is sent.
func WithMeta(ctx context.Context, name, value string) context.Context {
	old := allMeta(ctx)
	meta := make(map[string]string, len(old)+1)
	for k, v := range old {
		meta[k] = v
	}
	meta[name] = value
	return withAllMeta(ctx, meta)
}

// Meta returns the value that the context carries under a name, or "". In a
// handler these are the caller's.
func Meta(ctx context.Context, name string) string { return allMeta(ctx)[name] }

func allMeta(ctx context.Context) map[string]string {
	meta, _ := ctx.Value(metaContext{}).(map[string]string)
	return meta
}

func withAllMeta(ctx context.Context, meta map[string]string) context.Context {
	if len(meta) == 0 {
		return ctx
	}
	return context.WithValue(ctx, metaContext{}, meta)
}
