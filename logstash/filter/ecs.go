package filter

// ecs gives the version of the Elastic Common Schema that a filter follows: its own option, or that of the pipeline.
func (s *Setup) ecs(own string) ECS {
	if own != "" {
		return ECS(own)
	}
	return s.ECS
}

// named chooses a name: that without the schema, or that of the schema.
func (v ECS) named(disabled, schema string) string {
	if v == ECSDisabled || v == "" {
		return disabled
	}
	return schema
}
