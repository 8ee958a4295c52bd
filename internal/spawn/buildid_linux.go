package spawn

import (
	"os"
	"sync"
)

// BuildID is the Go build id of this running program, as go tool buildid
// prints it. It is read once, from the file that was executed, also when that
// has been replaced or deleted since.
func BuildID() (string, error) { return ownBuildID() }

var ownBuildID = sync.OnceValues(func() (string, error) {
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		return "", &Error{OpBuild, err}
	}
	defer f.Close()
	id, err := readBuildID(f)
	if err != nil {
		return "", &Error{OpBuild, err}
	}
	return id, nil
})
