package child

import (
	"context"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/verdigris-go/verdigris/wire"
)

// Via is the reserved name under which a function's context carries which pools its
// call has come through, so that a pool can tell that a function which it runs calls it
// again: their ids, the oldest first, with spaces between them. It is one of [AllMeta].
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

// maxVia is how many pools a chain names. Of a longer one the oldest are forgotten.
const maxVia = 32

// poolMarker is the environment variable that tells a worker which pool it belongs to.
const poolMarker = "VERDIGRIS_POOL"

// ownPool is the pool that this process works for, or "".
var ownPool = takePool()

// ownMeta is what a call's context carries that has come without any values.
var ownMeta = map[string]string{Via: ownPool}

func takePool() string {
	id := os.Getenv(poolMarker)
	os.Unsetenv(poolMarker) // or programs that the worker starts would take it for theirs
	if !InWorker() {
		return ""
	}
	return id
}

// cameHere adds the pool that this process works for to what came with a call. So it
// need not travel with each call.
func cameHere(meta map[string]string) map[string]string {
	switch {
	case ownPool == "":
		return meta
	case len(meta) == 0:
		return ownMeta
	}
	ids := strings.Fields(meta[Via])
	if !slices.Contains(ids, ownPool) {
		ids = append(ids, ownPool)
	}
	meta[Via] = strings.Join(ids[max(0, len(ids)-maxVia):], " ")
	return meta
}
