// Command naru carries years of Elasticsearch data out of snapshot repositories: `naru help` says how.
package main

import (
	"context"
	"os"

	"github.com/narudata/naru/cli"
)

func main() {
	os.Exit(cli.Main(context.Background(), cli.Process(), os.Args[1:]))
}
