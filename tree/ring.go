package tree

// historyLen is how many exits are remembered of a child, and of a supervisor for its IntensityError.
const historyLen = 16

// ring remembers the last historyLen values. The zero value is empty.
type ring[T any] struct {
	list   []T
	oldest int
}

func (r *ring[T]) add(v T) {
	if len(r.list) < historyLen {
		r.list = append(r.list, v)
		return
	}
	r.list[r.oldest] = v
	r.oldest = (r.oldest + 1) % historyLen
}

// all returns a copy, oldest first.
func (r *ring[T]) all() []T {
	return append(append([]T(nil), r.list[r.oldest:]...), r.list[:r.oldest]...)
}
