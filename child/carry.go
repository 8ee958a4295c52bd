package child

import (
	"context"
	"maps"
	"strings"

	"github.com/verdigris-go/verdigris/wire"
)

// Via is the reserved name under which it travels which pools a call has come
// through, so that a pool can tell that a function which it runs calls it again. It
// is one of [AllMeta].
const Via = "verdigris.via"

const reserved = wire.MetaReserved // begins the names of what this library carries for itself

// AllMeta returns all values that travel with the calls of this context, by their
// names: those of [WithMeta], [WithKey] and [Via]. A function that asks another
// process to make calls on its behalf sends them along, and [WithAllMeta] takes them
// up there. The map is the caller's. Trace context has the names of the W3C headers:
//
//	for name, value := range child.AllMeta(ctx) {
//		req.Header.Set(name, value) // an HTTP request: traceparent, tracestate, baggage, verdigris.via
//	}
func AllMeta(ctx context.Context) map[string]string {
	meta := maps.Clone(allMeta(ctx))
	maps.DeleteFunc(meta, func(name, _ string) bool { return !carried(name) })
	return meta
}

// WithAllMeta returns a context that carries values which have come from another
// process, beside its own. The limits of [WithMeta] hold.
func WithAllMeta(ctx context.Context, values map[string]string) context.Context {
	meta := maps.Clone(allMeta(ctx))
	if meta == nil {
		meta = make(map[string]string, len(values))
	}
	for name, value := range values {
		if carried(name) {
			meta[name] = value
		}
	}
	return withAllMeta(ctx, meta)
}

// carried reports whether a value goes on to calls that a function makes. What the
// library says about one call does not.
func carried(name string) bool { return name == Via || !strings.HasPrefix(name, reserved) }

// meta is what travels with the call.
func (r *Request) meta(ctx context.Context) map[string]string {
	meta := allMeta(ctx)
	if r.Via == "" || r.Via == meta[Via] {
		return meta
	}
	with := make(map[string]string, len(meta)+1)
	maps.Copy(with, meta)
	with[Via] = r.Via
	return with
}
