package input

// Table lists the inputs: a plugin's name, and what makes one with its options still to be filled in.
func Table() map[string]func() Plugin {
	return map[string]func() Plugin{
		"generator":      func() Plugin { return new(Generator) },
		"java_generator": func() Plugin { return new(Generator) },
		"java_stdin":     func() Plugin { return new(Stdin) },
		"pipeline":       func() Plugin { return new(Pipeline) },
		"stdin":          func() Plugin { return new(Stdin) },
	}
}
