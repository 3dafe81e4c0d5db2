package measure

import "fmt"

// What tests look at.
var (
	MannWhitney     = mannWhitney
	Autocorrelation = autocorrelation
	Adjusted        = adjusted
	StudentTail     = studentTail
	NodesPath       = fmt.Sprintf(nodesPath, ",indexing_pressure")
	IndicesPath     = indicesPath
	Pace            = pace
)

// Decode reads the two answers of a sample.
func Decode(nodes, indices []byte) (*Sample, error) {
	x := &Sample{}
	if err := x.decodeNodes(nodes); err != nil {
		return nil, err
	}
	return x, x.decodeIndices(indices)
}

// Of makes a window of samples; nil is one that could not be taken.
func Of(samples ...*Sample) *Window {
	w := &Window{}
	w.take(samples, nil)
	return w
}

// WindowOf makes a window of values.
func WindowOf(values map[string][]float64) *Window { return &Window{Values: values} }
