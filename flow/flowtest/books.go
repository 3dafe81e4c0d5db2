package flowtest

import "github.com/narudata/naru/flow/ledger"

// Books is a ledger in memory.
type Books = ledger.Memory
