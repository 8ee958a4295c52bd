package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/verdigris-go/verdigris/child"
)

const (
	maxUpload = 16 << 20         // bytes of an image that is posted
	maxSize   = 4096             // pixels
	drainTime = 20 * time.Second // for requests that are being answered when the server is stopped
)

// server is the last stage with -serve. Being last it is started when all before it are ready, and stopped first:
// while it answers the requests it still has, the decoders still live.
type server struct {
	addr     string // the one asked for; after the first start the one got, which a ":0" keeps then
	decoders child.Caller
	tree     http.Handler // shows the tree as JSON
	size     int          // of a thumbnail when the request does not say, pixels
	log      *slog.Logger
}

// String is the name suture and the log know the server by.
func (s *server) String() string { return "http" }

// Serve is ServeReady for whoever does not want to know when.
func (s *server) Serve(ctx context.Context) error { return s.ServeReady(ctx, func() {}) }

// ServeReady listens, is ready then, and serves until ctx ends.
func (s *server) ServeReady(ctx context.Context, ready func()) error {
	listener, err := net.Listen("tcp", s.addr)
	if err != nil {
		return err
	}
	s.addr = listener.Addr().String()
	web := &http.Server{
		Handler:           s.routes(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	s.log.Info("listening", "url", "http://"+s.addr)
	ready()

	drained := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { drained <- s.drain(web) })
	err = web.Serve(listener)
	if stop() { // ctx goes on: the server ended by itself
		return errors.Join(err, web.Close())
	}
	return <-drained
}

// drain takes no more requests and waits for those that are being answered.
func (s *server) drain(web *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	if err := web.Shutdown(ctx); err != nil {
		return errors.Join(err, web.Close())
	}
	return nil
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{$}", s.thumbnail)
	mux.Handle("GET /tree", s.tree)
	return mux
}

// thumbnail answers a posted image with its thumbnail as PNG. The query's size is the longer side in pixels.
func (s *server) thumbnail(w http.ResponseWriter, r *http.Request) {
	size, err := s.sizeOf(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	file, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxUpload))
	if err != nil {
		http.Error(w, err.Error(), statusOfBody(err))
		return
	}
	thumb, err := thumbnailUpload.Call(child.WithKey(r.Context(), r.RemoteAddr), s.decoders, Upload{file, size})
	if err != nil {
		s.log.Warn("request failed", "from", r.RemoteAddr, "bytes", len(file), "cause", err)
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "image/png")
	w.Header().Set("Content-Length", strconv.Itoa(len(thumb.PNG)))
	_, _ = w.Write(thumb.PNG) // a client that has gone does not want to know
}

func (s *server) sizeOf(r *http.Request) (int, error) {
	q := r.URL.Query().Get("size")
	if q == "" {
		return s.size, nil
	}
	size, err := strconv.Atoi(q)
	if err != nil || size < 1 || size > maxSize {
		return 0, errors.New("size has to be a number of pixels from 1 to " + strconv.Itoa(maxSize))
	}
	return size, nil
}

// refuse answers a request whose image did not become a thumbnail.
func refuse(w http.ResponseWriter, err error) {
	status := statusOf(err)
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	http.Error(w, err.Error(), status)
}

func statusOf(err error) int {
	switch judge(err) {
	case refused, crashed:
		return http.StatusUnprocessableEntity
	case innocent:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

func statusOfBody(err error) int {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusBadRequest
}
