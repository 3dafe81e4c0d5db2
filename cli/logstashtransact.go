package cli

import (
	"context"
	"errors"
	"fmt"
)

// transactLogstash runs one pipeline from topics to topics in transactions, until it is interrupted.
func (c *common) transactLogstash(ctx context.Context, pipelines []logstashPipeline, id, deadTopic string) (err error) {
	if len(pipelines) != 1 {
		return fmt.Errorf("transactions are for one pipeline, not %d: give -f", len(pipelines))
	}
	compiled, err := c.compileLogstash(pipelines)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closePipelines(compiled)) }()
	carry, err := compiled[0].Transactions(id, deadTopic)
	if err != nil {
		return err
	}
	ctx, asked, release := c.endOnSignal(ctx)
	defer release()
	if err := carry.Run(ctx); err != nil {
		return err
	}
	return asked()
}
