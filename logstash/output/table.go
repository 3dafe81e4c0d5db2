package output

// Table lists the outputs: a plugin's name, and what makes one with its options still to be filled in.
func Table() map[string]func() Plugin {
	return map[string]func() Plugin{
		"elasticsearch": func() Plugin { return new(Elasticsearch) },
		"file":          func() Plugin { return new(File) },
		"http":          func() Plugin { return new(HTTP) },
		"java_stdout":   func() Plugin { return new(Stdout) },
		"kafka":         func() Plugin { return new(Kafka) },
		"null":          func() Plugin { return new(Null) },
		"opensearch":    func() Plugin { return new(OpenSearch) },
		"pipeline":      func() Plugin { return new(Pipeline) },
		"s3":            func() Plugin { return new(S3) },
		"sink":          func() Plugin { return new(Null) },
		"stdout":        func() Plugin { return new(Stdout) },
		"tcp":           func() Plugin { return new(TCP) },
		"udp":           func() Plugin { return new(UDP) },
	}
}
