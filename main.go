// Command naru takes over an ELK estate: `naru help` says how.
package main

import (
	"context"
	"os"
	_ "time/tzdata" // time zones where the host has none

	"github.com/narudata/naru/cli"
)

func main() {
	os.Exit(cli.Main(context.Background(), cli.Process(), os.Args[1:]))
}
