// Package cost says what an environment takes: storage, shards, nodes, brokers, and money where there are prices. It
// looks at what is there (Look), and at what templates and policies make of it (Objects), by rules of sizing whose every
// number is a Constant that can be set.
//
// Each result comes with the arithmetic behind it. What is not known is said, and not guessed.
package cost
