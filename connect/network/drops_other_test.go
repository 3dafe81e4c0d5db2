//go:build !linux

package network

func drops(string, string) (int64, bool) { return 0, false }
