package filter

import (
	"math"
	"time"

	"github.com/narudata/naru/logstash/pattern/regex"
)

// stepsPerMilli is how many steps of a match stand for a millisecond of timeout_millis.
const stepsPerMilli = 10_000

// stepsOf gives the budget of a match that timeout_millis means: never more than regex.DefaultSteps, which take about a
// second; 0 is no limit.
func stepsOf(millis float64) int {
	if millis <= 0 {
		return math.MaxInt
	}
	return int(max(1, min(millis*stepsPerMilli, regex.DefaultSteps)))
}

// limitOf gives timeout_millis as a duration, for work that is made of many matches; 0 is no limit.
func limitOf(millis float64) time.Duration {
	if millis <= 0 {
		return 0
	}
	return time.Duration(min(millis, 1e9) * float64(time.Millisecond))
}
