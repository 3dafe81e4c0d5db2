package output

// Table lists the outputs: a plugin's name, and what makes one with its options still to be filled in.
func Table() map[string]func() Plugin {
	return map[string]func() Plugin{
		"file":        func() Plugin { return new(File) },
		"java_stdout": func() Plugin { return new(Stdout) },
		"null":        func() Plugin { return new(Null) },
		"pipeline":    func() Plugin { return new(Pipeline) },
		"sink":        func() Plugin { return new(Null) },
		"stdout":      func() Plugin { return new(Stdout) },
	}
}
