// Command naru takes over an ELK estate: `naru help` says how.
package main

import (
	"context"
	"fmt"
	"os"
	_ "time/tzdata" // time zones where the host has none

	"github.com/narudata/naru/cli"
)

func main() {
	if was, err := plugin(os.Stderr); was {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(cli.Main(context.Background(), cli.Process(), os.Args[1:]))
}
