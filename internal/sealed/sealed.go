package sealed

import (
	"errors"
	"fmt"
)

// ErrUnsupported is what all functions return on a system other than Linux. It
// matches errors.ErrUnsupported.
var ErrUnsupported = fmt.Errorf("sealed files need Linux: %w", errors.ErrUnsupported)
