package logstash

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/narudata/naru/logstash/syntax"
)

// WithoutFiles leaves those plugins out of a section's statements that name files, so that a pipeline can be compiled where it does not
// run, and opens no file there. It changes body.
func WithoutFiles(body []syntax.Statement) []syntax.Statement {
	var out []syntax.Statement
	for _, s := range body {
		switch s := s.(type) {
		case *syntax.Plugin:
			if slices.ContainsFunc(s.Attributes, namesFile) {
				continue
			}
		case *syntax.Branch:
			for _, arm := range s.Arms {
				arm.Body = WithoutFiles(arm.Body)
			}
			if s.Else != nil {
				s.Else.Body = WithoutFiles(s.Else.Body)
			}
		}
		out = append(out, s)
	}
	return out
}

// fileOptions are words in names of options that take files.
var fileOptions = regexp.MustCompile(`(^|_)(path|dir|file|files|location|keystore|truststore|template|cacert|ca|certificate|certificates|certificate_authorities|key|cert|regexes|database|sincedb|patterns_dir)$`)

func namesFile(a *syntax.Attribute) bool {
	switch a.Name {
	case "key", "add_field", "match", "message_key", "aggregate_maps":
		return looksLikeFile(a.Value, false)
	}
	return looksLikeFile(a.Value, fileOptions.MatchString(a.Name))
}

// looksLikeFile says whether a value is the name of a file, or has one in it: an absolute one, or any text where names of files stand.
func looksLikeFile(v syntax.Value, anyText bool) bool {
	text := func(s string) bool {
		return anyText && s != "" || path.IsAbs(s) || strings.HasPrefix(s, "./") || strings.Contains(s, "../") || strings.HasPrefix(s, "~") || strings.HasPrefix(s, "file:")
	}
	switch v := v.(type) {
	case *syntax.String:
		return text(v.Value)
	case *syntax.Bareword:
		return anyText && v.Text != "true" && v.Text != "false"
	case *syntax.Array:
		return slices.ContainsFunc(v.Values, func(e syntax.Value) bool { return looksLikeFile(e, anyText) })
	case *syntax.Hash:
		return slices.ContainsFunc(v.Entries, func(e *syntax.Entry) bool { return looksLikeFile(e.Value, false) })
	case *syntax.Plugin:
		return slices.ContainsFunc(v.Attributes, namesFile)
	}
	return false
}
