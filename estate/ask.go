package estate

import (
	"context"
	"net/http"

	"github.com/narudata/naru/connect/opensearch"
)

// askTemplate has the cluster compose the template by itself: it refuses what it would refuse later, and its answer has
// the mappings without what says the default. Component templates are left out, since they may be of the same plan.
func askTemplate(ctx context.Context, c *opensearch.Client, body Body) (any, error) {
	asked := clone(body)
	delete(asked, "composed_of")
	answer, err := call(ctx, c, http.MethodPost, "/_index_template/_simulate", asked)
	if err != nil {
		return nil, err
	}
	return answer["template"], nil
}

// askComponent has it composed as if it were an index template of indices that nobody has.
func askComponent(ctx context.Context, c *opensearch.Client, body Body) (any, error) {
	asked := Body{"index_patterns": []any{"naru-simulated-*"}}
	if t := body["template"]; t != nil {
		asked["template"] = t
	}
	return askTemplate(ctx, c, asked)
}

// askPipeline has the pipeline made and one empty document sent through it. What becomes of the document is of no
// interest; the answer to an impossible pipeline is an error.
func askPipeline(ctx context.Context, c *opensearch.Client, body Body) (any, error) {
	_, err := call(ctx, c, http.MethodPost, "/_ingest/pipeline/_simulate", map[string]any{
		"pipeline": body, "docs": []any{map[string]any{"_source": map[string]any{}}},
	})
	return nil, err
}
