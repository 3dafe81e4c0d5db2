package testbed

import (
	"os"
	"slices"
	"strings"
)

// Asked gives those of the servers that the long tests are asked to start: all, or those that NARU_SERVERS lists by comma.
func Asked(servers ...string) []string {
	names := os.Getenv("NARU_SERVERS")
	if names == "" || names == "all" {
		return servers
	}
	asked := strings.Split(names, ",")
	return slices.DeleteFunc(slices.Clone(servers), func(s string) bool { return !slices.Contains(asked, s) })
}
