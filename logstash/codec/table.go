package codec

// Table lists all codecs: a plugin's name, and what makes one with its options still to be filled in.
func Table() map[string]func() Plugin {
	return map[string]func() Plugin{
		"avro":       func() Plugin { return new(Avro) },
		"cef":        func() Plugin { return new(CEF) },
		"csv":        func() Plugin { return new(CSV) },
		"dots":       func() Plugin { return new(Dots) },
		"es_bulk":    func() Plugin { return new(ESBulk) },
		"json":       func() Plugin { return new(JSON) },
		"json_lines": func() Plugin { return new(JSONLines) },
		"line":       func() Plugin { return new(Line) },
		"msgpack":    func() Plugin { return new(Msgpack) },
		"multiline":  func() Plugin { return new(Multiline) },
		"plain":      func() Plugin { return new(Plain) },
		"rubydebug":  func() Plugin { return new(RubyDebug) },
	}
}
