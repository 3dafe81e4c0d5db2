package input

// Table lists the inputs: a plugin's name, and what makes one with its options still to be filled in.
func Table() map[string]func() Plugin {
	return map[string]func() Plugin{
		"beats":             func() Plugin { return new(Beats) },
		"dead_letter_queue": func() Plugin { return new(DeadLetterQueue) },
		"elastic_agent":     func() Plugin { return new(Beats) },
		"elasticsearch":     func() Plugin { return new(Elasticsearch) },
		"file":              func() Plugin { return new(File) },
		"generator":         func() Plugin { return new(Generator) },
		"heartbeat":         func() Plugin { return new(Heartbeat) },
		"http":              func() Plugin { return new(HTTP) },
		"java_generator":    func() Plugin { return new(Generator) },
		"java_stdin":        func() Plugin { return new(Stdin) },
		"kafka":             func() Plugin { return new(Kafka) },
		"lumberjack":        func() Plugin { return new(Lumberjack) },
		"opensearch":        func() Plugin { return new(OpenSearch) },
		"pipeline":          func() Plugin { return new(Pipeline) },
		"s3":                func() Plugin { return new(S3) },
		"stdin":             func() Plugin { return new(Stdin) },
		"syslog":            func() Plugin { return new(Syslog) },
		"tcp":               func() Plugin { return new(TCP) },
		"udp":               func() Plugin { return new(UDP) },
	}
}
