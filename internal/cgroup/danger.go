package cgroup

// Danger says that the kernel, or systemd, would take this whole program down
// when one of its workers runs out of memory, other than in a group of its own.
type Danger struct {
	Certain bool   // it is set so; otherwise it is the default of what runs us
	Why     string // in words, with the remedy; "" if there is no such danger
}
