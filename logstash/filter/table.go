package filter

// Table lists all filters: a plugin's name, and what makes one with its options still to be filled in.
func Table() map[string]func() Plugin {
	return map[string]func() Plugin{
		"aggregate":   func() Plugin { return new(Aggregate) },
		"cidr":        func() Plugin { return new(CIDR) },
		"clone":       func() Plugin { return new(Clone) },
		"csv":         func() Plugin { return new(CSV) },
		"date":        func() Plugin { return new(Date) },
		"de_dot":      func() Plugin { return new(DeDot) },
		"dissect":     func() Plugin { return new(Dissect) },
		"dns":         func() Plugin { return new(DNS) },
		"drop":        func() Plugin { return new(Drop) },
		"elapsed":     func() Plugin { return new(Elapsed) },
		"fingerprint": func() Plugin { return new(Fingerprint) },
		"geoip":       func() Plugin { return new(GeoIP) },
		"grok":        func() Plugin { return new(Grok) },
		"json":        func() Plugin { return new(JSON) },
		"json_encode": func() Plugin { return new(JSONEncode) },
		"kv":          func() Plugin { return new(KV) },
		"metrics":     func() Plugin { return new(Metrics) },
		"mutate":      func() Plugin { return new(Mutate) },
		"prune":       func() Plugin { return new(Prune) },
		"ruby":        func() Plugin { return new(Ruby) },
		"split":       func() Plugin { return new(Split) },
		"syslog_pri":  func() Plugin { return new(SyslogPri) },
		"throttle":    func() Plugin { return new(Throttle) },
		"translate":   func() Plugin { return new(Translate) },
		"truncate":    func() Plugin { return new(Truncate) },
		"urldecode":   func() Plugin { return new(URLDecode) },
		"useragent":   func() Plugin { return new(UserAgent) },
		"uuid":        func() Plugin { return new(UUID) },
		"xml":         func() Plugin { return new(XML) },
	}
}
