// Package arch holds the rules of the layout as tests: imports point down, siblings do not import each other,
// each heavy dependency has one door, nothing registers itself, files stay short enough to be read, and
// nothing panics but for a bug. Its only content is tests; see arch_test.go for the rules themselves.
package arch
