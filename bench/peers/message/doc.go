// Package message is what the peers send that speak protocol buffers.
package message
