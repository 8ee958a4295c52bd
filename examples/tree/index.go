package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/verdigris-go/verdigris/child"
)

// The index gives every image a number and writes the table to a file. It is a worker process of its own: the first
// stage, which all others build on. The decoders read the table when they start and are told numbers from then on; so
// a number means something only as long as the run of the index lasts that gave it.

// catalog is the state of the index worker. It is opened once for each run, before the worker counts as started.
type catalog struct{ names []string }

// catalogConfig says what to index and where to write the table.
type catalogConfig struct {
	Dir   string // "" stands for the shipped images
	Table string
}

var index = child.DefineState("index", openCatalog, nil)

func openCatalog(_ context.Context, cfg catalogConfig) (*catalog, error) {
	names, err := scan(source(cfg.Dir))
	if err != nil {
		return nil, fmt.Errorf("the images in %q: %w", cfg.Dir, err)
	}
	return &catalog{names}, writeTable(cfg.Table, names)
}

// list answers with the names of the images, in the order of their numbers.
var list = child.DefineOn(index, "index.list", (*catalog).list)

func (c *catalog) list(context.Context, struct{}) ([]string, error) { return c.names, nil }

// writeTable replaces the table in one step, so that nobody ever reads half of one.
func writeTable(path string, names []string) error {
	table, err := json.Marshal(names)
	if err != nil {
		return err
	}
	return replaceFile(path, table)
}

func readTable(path string) (names []string, err error) {
	table, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the index has not written its table: %w", err)
	}
	return names, json.Unmarshal(table, &names)
}

// replaceFile writes a file under another name and then renames it.
func replaceFile(path string, content []byte) error {
	if err := os.WriteFile(path+".part", content, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".part", path)
}
