package input

// A Lag is how far an input is behind in a topic.
type Lag struct {
	Group   string `json:"group"` // of consumers
	Topic   string `json:"topic"`
	Records int64  `json:"records"` // that are not delivered yet, of the partitions that this process has
	// Seconds is the age of the oldest of them, by its timestamp in the topic; 0 if there are none; nil: it is not known.
	Seconds *float64 `json:"seconds,omitempty"`
}
