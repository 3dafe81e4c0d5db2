// Package proc is what tests and measurements ask the system of processes, so that they compile for every system. Where a
// system has no such thing, it says so or does nothing.
package proc
