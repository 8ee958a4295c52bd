package tree

import (
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// Handler answers GET and HEAD with what the tree is doing: as JSON (Snapshot.MarshalJSON lists the fields), or as the
// Picture of it for ?format=text, ?format=ascii and for clients that accept text/plain rather than JSON. It
// never waits for a supervisor, so it answers also while one is starting a slow child, is stopping, or is down. The
// answer is not to be cached.
//
// sup is a *Supervisor, or whatever else has its Snapshot. The answer contains the texts of errors: serve it
// where only those can ask who may read the logs.
func Handler(sup interface{ Snapshot() Snapshot }) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff") // the texts of errors are not to be taken for a page
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
			return
		}
		kind, body, err := render(sup.Snapshot(), format(r))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		h.Set("Content-Type", kind)
		h.Set("Content-Length", strconv.Itoa(len(body)))
		h.Set("Vary", "Accept")
		if r.Method == http.MethodGet {
			_, _ = w.Write(body) // the client has gone if it fails
		}
	})
}

var errFormat = errors.New("format is json, text or ascii")

// render returns the media type and the body.
func render(s Snapshot, format string) (kind string, body []byte, err error) {
	switch format {
	case "json":
		kind = "application/json"
		body, err = json.Marshal(s)
	case "text", "ascii":
		kind = "text/plain; charset=utf-8"
		body = []byte(Picture{ASCII: format == "ascii"}.Of(s))
	default:
		err = errFormat
	}
	return kind, append(body, '\n'), err
}

// format is what the query asks for, and if it does not, what the client likes best.
func format(r *http.Request) string {
	if f := r.URL.Query().Get("format"); f != "" {
		return f
	}
	if weight(r, "text/plain") > weight(r, "application/json") {
		return "text"
	}
	return "json"
}

// weight is how much a client likes a media type that it names (RFC 9110, 12.5.1), 0 to 1.
func weight(r *http.Request, want string) float64 {
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept"), ","), ",") {
		media, params, err := mime.ParseMediaType(part)
		if err != nil || media != want {
			continue
		}
		if q, err := strconv.ParseFloat(params["q"], 64); err == nil {
			return q
		}
		return 1
	}
	return 0
}
