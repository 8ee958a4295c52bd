package child

import (
	"context"
	"fmt"
	"maps"
	"strings"
)

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
// 8 KiB, fail the call before it is sent, and so does a name that begins with
// "verdigris.": those are the library's own.
func WithMeta(ctx context.Context, name, value string) context.Context {
	if strings.HasPrefix(name, reserved) {
		name, value = metaRefused, name
	}
	return with(ctx, name, value)
}

// metaRefused is the name under which a reserved one that WithMeta was given is
// remembered, until a call is to be sent.
const metaRefused = reserved + "refused"

// misnamed returns an error if the user has given a name that is not his.
func misnamed(meta map[string]string) error {
	name, refused := meta[metaRefused]
	if !refused {
		return nil
	}
	return fmt.Errorf("WithMeta was given the name %q, and names that begin with %q are the library's own: use another", name, reserved)
}

// with is WithMeta, for the library's names too.
func with(ctx context.Context, name, value string) context.Context {
	old := allMeta(ctx)
	meta := make(map[string]string, len(old)+1)
	for k, v := range old {
		meta[k] = v
	}
	meta[name] = value
	return withAllMeta(ctx, meta)
}

// without is a context that does not carry the name.
func without(ctx context.Context, name string) context.Context {
	meta := maps.Clone(allMeta(ctx))
	if _, has := meta[name]; !has {
		return ctx
	}
	delete(meta, name)
	return context.WithValue(ctx, metaContext{}, meta)
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
