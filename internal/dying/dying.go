// Package dying is where package child, which is in every worker, meets package
// cfault, which is only in those that want it: neither imports the other.
package dying

// Arm lets this process tell when C code brings it down; nil unless package cfault is
// linked in and works here. It stores the signal's number at word, and then shuts the socket
// control for writing. Package child calls it in a worker, once.
var Arm func(control int, word *uint64) error
