package tree

// historyLen is how many exits are remembered of a child, and of a supervisor for its IntensityError.
const historyLen = 16

// ring remembers the last historyLen values. A nil ring is an empty one.
type ring[T any] struct {
	list   []T
	oldest int
}

// add returns the ring with the value in it.
func (r *ring[T]) add(v T) *ring[T] {
	switch {
	case r == nil:
		return &ring[T]{list: []T{v}}
	case len(r.list) < historyLen:
		r.list = append(r.list, v)
	default:
		r.list[r.oldest] = v
		r.oldest = (r.oldest + 1) % historyLen
	}
	return r
}

// all returns a copy, oldest first.
func (r *ring[T]) all() []T {
	if r == nil {
		return nil
	}
	return append(append([]T(nil), r.list[r.oldest:]...), r.list[:r.oldest]...)
}
