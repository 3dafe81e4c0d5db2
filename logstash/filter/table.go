package filter

// Table lists all filters: a plugin's name, and what makes one with its options still to be filled in.
func Table() map[string]func() Plugin {
	return map[string]func() Plugin{
		"date":    func() Plugin { return new(Date) },
		"dissect": func() Plugin { return new(Dissect) },
		"drop":    func() Plugin { return new(Drop) },
		"grok":    func() Plugin { return new(Grok) },
		"kv":      func() Plugin { return new(KV) },
		"mutate":  func() Plugin { return new(Mutate) },
		"xml":     func() Plugin { return new(XML) },
	}
}
